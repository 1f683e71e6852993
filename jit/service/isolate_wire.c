/*
 * jit/service/isolate_wire.c - what goes to a worker and what comes back, as bytes (jit/service/isolate.h).
 */
#include "jit/service/isolate.h"

#include <string.h>

#include "base/codegen_id.h"
#include "base/hash.h"

static const char request_head[] = "JCREQ 1\n", answer_head[] = "JCANS 1\n";
enum { HEAD = sizeof request_head - 1 };

static void put_blob(jc_bytes *out, const uint8_t *at, size_t n) {
    jc_put_u64(out, n);
    jc_put(out, at, n);
}

static const uint8_t *get_blob(jc_reader *r, size_t *n) {
    *n = (size_t)jc_get_u64(r);
    return jc_get(r, *n);
}

static bool starts_as(jc_reader *r, const char *head) {
    const uint8_t *at = jc_get(r, HEAD);
    return at && memcmp(at, head, HEAD) == 0;
}

/* --- requests --- */

void jc_isolate_put_request(const jc_isolate_request *r, jc_bytes *out) {
    jc_put(out, request_head, HEAD);
    jc_put_str(out, JC_CODEGEN_ID);
    jc_put_u8(out, r->assemble);
    jc_put_str(out, r->name);
    put_blob(out, r->kernel, r->nkernel);
    jc_target_encode(r->target, out);
}

jitc_status jc_isolate_get_request(const uint8_t *bytes, size_t n, jc_arena *arena, jc_target *target, jc_isolate_request *out, jc_error *err) {
    jc_reader r = JC_READER(bytes, n);
    if (!starts_as(&r, request_head))
        return jc_fail(err, JITC_E_INPUT, "this is no request for a kernel");
    const char *id = jc_get_str(&r, arena);
    if (!r.bad && strcmp(id, JC_CODEGEN_ID) != 0)
        return jc_fail(err, JITC_E_ABI, "the request is of the code generator %.16s, and this is %.16s", id, JC_CODEGEN_ID);
    *out = (jc_isolate_request){ .target = target };
    out->assemble = jc_get_u8(&r) != 0;
    out->name = jc_get_str(&r, arena);
    out->kernel = get_blob(&r, &out->nkernel);
    if (r.bad || jc_target_decode(&r, target) != JITC_OK || r.at != r.end)
        return jc_fail(err, JITC_E_INPUT, "the request for a kernel is damaged");
    return JITC_OK;
}

/* --- answers --- */

void jc_isolate_put_answer(const jc_isolate_answer *a, jitc_status status, const jc_error *why, jc_bytes *out) {
    size_t start = out->n;
    jc_put(out, answer_head, HEAD);
    jc_put_str(out, a->llvm);
    jc_put_u32(out, (uint32_t)status);
    if (status != JITC_OK) {
        jc_put_str(out, why->message);
        jc_put_str(out, why->node);
    } else {
        jc_put_f64(out, a->ms_llvm);
        jc_put_f64(out, a->ms_assemble);
        put_blob(out, a->code, a->ncode);
    }
    jc_hash hash = jc_hash_of(out->at + start, out->n - start);
    jc_put(out, hash.b, sizeof hash.b);
}

/* What was cut short has no hash of its own. */
static bool is_whole(const uint8_t *bytes, size_t n) {
    if (!bytes || n < HEAD + JC_HASH_SIZE)
        return false;
    jc_hash hash = jc_hash_of(bytes, n - JC_HASH_SIZE);
    return memcmp(hash.b, bytes + n - JC_HASH_SIZE, JC_HASH_SIZE) == 0;
}

bool jc_isolate_get_answer(const uint8_t *bytes, size_t n, jc_arena *arena, jc_isolate_answer *out, jitc_status *status, jc_error *err) {
    if (!is_whole(bytes, n))
        return false;
    jc_reader r = JC_READER(bytes, n - JC_HASH_SIZE);
    if (!starts_as(&r, answer_head))
        return false;
    *out = (jc_isolate_answer){ .llvm = jc_get_str(&r, arena) };
    *status = (jitc_status)jc_get_u32(&r);
    if (*status != JITC_OK) {
        const char *message = jc_get_str(&r, arena), *node = jc_get_str(&r, arena);
        jc_fail_at(err, *status, NULL, 0, 0, *node ? node : NULL, "%s", message);
    } else {
        out->ms_llvm = jc_get_f64(&r);
        out->ms_assemble = jc_get_f64(&r);
        out->code = get_blob(&r, &out->ncode);
    }
    return !r.bad && r.at == r.end;
}
