/*
 * jit/sched/sched_set.c - sets of storages: sorted numbers.  Most hold a handful, whatever the graph.
 */
#include "jit/sched/sched.h"

#include <string.h>

/* The first place in A whose number is at least I. */
static uint32_t place(const jc_set *a, uint32_t i) {
    uint32_t lo = 0, hi = a->n;
    if (hi && a->at[hi - 1] < i)
        return hi;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (a->at[mid] < i)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool jc_set_has(const jc_set *a, uint32_t i) {
    const uint32_t at = place(a, i);
    return at < a->n && a->at[at] == i;
}

static void make_room(jc_sched *s, jc_set *a, uint32_t n) {
    if (n <= a->room)
        return;
    const uint32_t room = n + n / 2 + 2;
    uint32_t *to = JC_NEWN(s->arena, uint32_t, room);
    if (a->n)
        memcpy(to, a->at, a->n * sizeof *to);
    a->at = to;
    a->room = room;
}

void jc_set_add(jc_sched *s, jc_set *a, uint32_t i) {
    const uint32_t at = place(a, i);
    if (at < a->n && a->at[at] == i)
        return;
    make_room(s, a, a->n + 1);
    memmove(a->at + at + 1, a->at + at, (a->n - at) * sizeof *a->at);
    a->at[at] = i;
    a->n++;
}

static uint32_t missing(const jc_set *a, const jc_set *b) {
    uint32_t n = 0;
    for (uint32_t i = 0, k = 0; k < b->n; k++) {
        while (i < a->n && a->at[i] < b->at[k])
            i++;
        n += i == a->n || a->at[i] != b->at[k];
    }
    return n;
}

void jc_set_join(jc_sched *s, jc_set *a, const jc_set *b) {
    const uint32_t more = missing(a, b);
    if (!more)
        return;
    make_room(s, a, a->n + more);
    for (uint32_t i = a->n, k = b->n, to = a->n + more; k > 0;) { /* from the end, where there is room */
        if (i > 0 && a->at[i - 1] >= b->at[k - 1]) {
            k -= a->at[i - 1] == b->at[k - 1];
            a->at[--to] = a->at[--i];
        } else {
            a->at[--to] = b->at[--k];
        }
    }
    a->n += more;
}

bool jc_set_touches_other(const jc_sched *s, const jc_set *a, uint32_t b) {
    if (!jc_set_has(&s->aliased, b))
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->at[i] != b && jc_may_touch(s, a->at[i], b))
            return true;
    return false;
}

bool jc_set_touches(const jc_sched *s, const jc_set *a, uint32_t b) {
    return jc_set_has(a, b) || jc_set_touches_other(s, a, b);
}

bool jc_sets_meet(const jc_set *a, const jc_set *b) {
    const jc_set *few = a->n < b->n ? a : b, *many = few == a ? b : a;
    for (uint32_t i = 0; i < few->n; i++)
        if (jc_set_has(many, few->at[i]))
            return true;
    return false;
}

bool jc_sets_touch(const jc_sched *s, const jc_set *a, const jc_set *b) {
    if (jc_sets_meet(a, b))
        return true;
    for (uint32_t i = 0; i < b->n && s->aliased.n; i++)
        if (jc_set_touches_other(s, a, b->at[i]))
            return true;
    return false;
}
