/*
 * plan/artifact.c - a plan and the code of its kernels as one byte string.
 *
 *   "JCA1"
 *   target            as plan/target.c writes it
 *   plan              blob
 *   ncodes, then per code: key (32 bytes), kind (byte), bytes (blob)
 *
 * Decoding borrows: the plan and the code stay where they are (in a mapped cache entry, say).  It checks the frame
 * only: the plan is verified by jc_plan_decode(), the code by whoever loads it.
 */
#include "plan/plan.h"

#include <string.h>

static const uint8_t magic[4] = { 'J', 'C', 'A', '1' };

void jc_artifact_encode(const jc_artifact *a, jc_bytes *out) {
    jc_put(out, magic, sizeof magic);
    jc_target_encode(&a->target, out);
    jc_put_blob(out, a->plan, a->nplan);
    jc_put_var(out, a->ncodes);
    for (uint32_t i = 0; i < a->ncodes; i++) {
        jc_put(out, a->codes[i].key.b, JC_HASH_SIZE);
        jc_put_u8(out, a->codes[i].kind);
        jc_put_blob(out, a->codes[i].bytes, a->codes[i].nbytes);
    }
}

/* Host and sim run objects; nvptx has cubins, or PTX where there was no assembler. */
static bool kind_fits(uint8_t kind, const jc_target *t) {
    return jc_target_is_gpu(t) ? kind == JC_CODE_CUBIN || kind == JC_CODE_PTX : kind == JC_CODE_OBJECT;
}

bool jc_artifact_is_ptx(const jc_artifact *a) {
    bool ptx = jc_target_is_gpu(&a->target);
    for (uint32_t i = 0; i < a->ncodes; i++)
        ptx &= a->codes[i].kind == JC_CODE_PTX;
    return ptx;
}

jitc_status jc_artifact_take(jc_reader *r, jc_arena *arena, jc_artifact *out, jc_error *err) {
    jc_artifact a = { 0 };
    size_t n = (size_t)(r->end - r->at);
    const uint8_t *head = jc_get(r, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return jc_fail(err, JITC_E_INPUT, "These %zu bytes are no artifact of this version of libjitc.", n);
    if (jc_target_decode(r, &a.target) != JITC_OK)
        return jc_fail(err, JITC_E_INPUT, "The artifact is for a target that does not exist, or damaged.");
    a.plan = jc_get_blob(r, &a.nplan);
    a.ncodes = (uint32_t)jc_get_count(r, JC_HASH_SIZE + 2);
    a.codes = JC_NEWN(arena, jc_code, a.ncodes);
    for (uint32_t i = 0; i < a.ncodes && !r->bad; i++) {
        const uint8_t *key = jc_get(r, JC_HASH_SIZE);
        if (key)
            memcpy(a.codes[i].key.b, key, JC_HASH_SIZE);
        a.codes[i].kind = jc_get_u8(r);
        a.codes[i].bytes = jc_get_blob(r, &a.codes[i].nbytes);
        r->bad |= !kind_fits(a.codes[i].kind, &a.target);
    }
    if (r->bad)
        return jc_fail(err, JITC_E_INPUT, "The artifact's %zu bytes are damaged or cut short.", n);
    *out = a;
    return JITC_OK;
}

jitc_status jc_artifact_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_artifact *out, jc_error *err) {
    jc_reader r = JC_READER(bytes, n);
    JC_TRY(jc_artifact_take(&r, arena, out, err));
    if (r.at != r.end)
        return jc_fail(err, JITC_E_INPUT, "The artifact's %zu bytes are damaged or cut short.", n);
    return JITC_OK;
}
