/*
 * jit/sched/sched_set.c - sets of storages.
 */
#include "jit/sched/sched.h"

jc_set jc_set_new(jc_sched *s) {
    return (jc_set){ JC_NEWN(s->arena, uint64_t, s->set_words) };
}

void jc_set_add(jc_set a, uint32_t i) {
    a.w[i / 64] |= 1ull << (i % 64);
}

bool jc_set_has(jc_set a, uint32_t i) {
    return a.w[i / 64] >> (i % 64) & 1;
}

void jc_set_join(jc_sched *s, jc_set a, jc_set b) {
    for (uint32_t i = 0; i < s->set_words; i++)
        a.w[i] |= b.w[i];
}

bool jc_set_touches_other(const jc_sched *s, jc_set a, uint32_t b) {
    if (!jc_set_has(s->aliased, b))
        return false;
    for (uint32_t i = 0; i < s->stores.n; i++)
        if (i != b && jc_set_has(a, i) && jc_may_touch(s, i, b))
            return true;
    return false;
}

bool jc_set_touches(const jc_sched *s, jc_set a, uint32_t b) {
    return jc_set_has(a, b) || jc_set_touches_other(s, a, b);
}

bool jc_sets_touch(const jc_sched *s, jc_set a, jc_set b) {
    for (uint32_t i = 0; i < s->set_words; i++)
        if (a.w[i] & b.w[i])
            return true;
    for (uint32_t i = 0; i < s->set_words; i++)
        for (uint64_t w = b.w[i] & s->aliased.w[i]; w; w &= w - 1)
            if (jc_set_touches_other(s, a, i * 64 + (uint32_t)__builtin_ctzll(w)))
                return true;
    return false;
}
