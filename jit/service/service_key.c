/*
 * jit/service/service_key.c - what the keys of classes and of kernels are made of.
 *
 * The assembler's identity is found once per service; that there is none is an identity too: entries then hold PTX.
 *
 * The LLVM in a key is the one that made the code, and a hit must not open it to learn which that is.  So keys are made with the
 * version that this library was built for, until something is missing and the code generator is opened: if that says another
 * version, all keys are made with it from then on, and the call that found out starts over (service.c).
 */
#include <string.h>

#include "base/codegen_id.h"
#include "jit/service/service_priv.h"

#define FORMAT_VERSION 1

static jitc_status assembler(jc_service *s, jc_hash *id) {
    volatile jitc_status status = JITC_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->assembler_known) {
        jc_error err = JC_ERROR_INIT;
        jc_guard guard;
        if (JC_GUARD(s->arena, &guard)) {
            status = JITC_E_NOMEM;
        } else {
            s->have_assembler = jc_assembler_find(s->arena, &s->assembler, &err) == JITC_OK;
            s->assembler_known = true;
            if (!s->have_assembler)
                jc_log_line(s->options.log, "warning: %s; the driver will assemble PTX at load", err.message);
        }
        jc_guard_end(s->arena, &guard);
    }
    *id = s->have_assembler ? s->assembler.id : (jc_hash){ { 0 } };
    pthread_mutex_unlock(&s->lock);
    return status;
}

static jitc_status key_tail(jc_service *s, const jc_target *target, jc_bytes *b) {
    static const char generator[] = JC_CODEGEN_ID " LLVM "; /* put together by hand: each lookup of a kernel does it */
    const char *version = jc_service_llvm(s);
    char compiler[sizeof generator + 32];
    const size_t n = strnlen(version, 32);
    jc_hash id;
    memcpy(compiler, generator, sizeof generator - 1);
    memcpy(compiler + sizeof generator - 1, version, n);
    jc_key_add(b, JC_KEY_COMPILER, compiler, sizeof generator - 1 + n);
    if (jc_target_is_gpu(target)) {
        JC_TRY(assembler(s, &id));
        jc_key_add(b, JC_KEY_ASSEMBLER, id.b, sizeof id.b);
    }
    return JITC_OK;
}

const char *jc_service_llvm(jc_service *s) {
    return s->llvm;
}

static void key_head(jc_bytes *b) {
    static const uint8_t format[4] = { FORMAT_VERSION };
    jc_key_add(b, JC_KEY_FORMAT, format, sizeof format);
}

static void key_target(const jc_target *target, jc_arena *arena, jc_bytes *b) {
    jc_bytes t = JC_BYTES(arena);
    jc_target_encode(target, &t);
    jc_key_add(b, JC_KEY_TARGET, t.at, t.n);
}

jitc_status jc_service_key(jc_service *s, const jc_request *r, jc_arena *arena, jc_key *out, jc_error *err) {
    jc_bytes b = JC_BYTES(arena), ranges = JC_BYTES(arena);
    uint8_t options = (uint8_t)(r->strict | r->clamp << 1);
    (void)err;
    key_head(&b);
    jc_key_add(&b, JC_KEY_GRAPH, r->canon->bytes, r->canon->nbytes);
    for (uint32_t i = 0; i < r->canon->nsyms; i++) {
        jc_put_u64(&ranges, (uint64_t)(r->lo ? r->lo[i] : 0));
        jc_put_u64(&ranges, (uint64_t)(r->hi ? r->hi[i] : JC_SYM_MAX));
    }
    jc_key_add(&b, JC_KEY_RANGES, ranges.at, ranges.n);
    key_target(&r->target, arena, &b);
    jc_key_add(&b, JC_KEY_OPTIONS, &options, 1);
    JC_TRY(key_tail(s, &r->target, &b));
    *out = jc_key_end(&b);
    return JITC_OK;
}

jitc_status jc_service_kernel_key(jc_service *s, const jc_kernel *k, const jc_target *target, jc_arena *arena,
                                  jc_key *out) {
    jc_bytes b = JC_BYTES(arena), kernel = JC_BYTES(arena);
    jc_kernel_encode(k, &kernel);
    key_head(&b);
    key_target(target, arena, &b);
    JC_TRY(key_tail(s, target, &b));
    jc_key_add(&b, JC_KEY_KERNEL, kernel.at, kernel.n);
    *out = jc_key_end(&b);
    out->light = true; /* the artifacts that use the kernel hold its code as well */
    return JITC_OK;
}
