/*
 * runtime/exec_frame.c - the memory of calls.
 *
 * Device memory is taken in blocks and kept: a captured CUDA graph refers to addresses of a run that is long over, and nobody tells
 * us when the last graph is gone.  So a region that has to grow takes a new block, half as large again at least, and the old one
 * goes with the frame: what is kept stays below twice the largest.
 */
#include "runtime/exec_priv.h"

#include <string.h>

typedef struct jc_frame_block {
    struct jc_frame_block *next;
    void *at, *stream;
    size_t bytes;
} jc_frame_block;

jitc_status jc_frame_new(jc_device *device, const jc_memory *memory, jc_frame **out, jc_error *err) {
    *out = NULL;
    jc_frame *f = device->alloc->alloc(device->alloc->user, sizeof *f);
    if (!f)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while preparing a call.");
    memset(f, 0, sizeof *f);
    f->d = device;
    if (memory)
        f->memory = *memory;
    *out = f;
    return JITC_OK;
}

static jitc_status take(jc_frame *f, size_t bytes, void *stream, void **out, jc_error *err) {
    *out = NULL;
    if (!f->memory.alloc)
        return f->d->ops->alloc(f->d, bytes, out, err);
    void *at = f->memory.alloc(f->memory.user, bytes, stream);
    if (!at)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory: the frame's allocator has no %zu bytes.", bytes);
    if ((uintptr_t)at % JC_EXEC_ALIGN) {
        f->memory.free(f->memory.user, at, bytes, stream);
        return jc_fail(err, JITC_E_USAGE, "The frame's allocator gave %p, which is not aligned to %u bytes.", at, JC_EXEC_ALIGN);
    }
    *out = at;
    return JITC_OK;
}

static size_t round_up(size_t n) {
    return (n + JC_EXEC_ALIGN - 1) / JC_EXEC_ALIGN * JC_EXEC_ALIGN;
}

jitc_status jc_frame_grow(jc_frame *f, jc_region *r, size_t want, void *stream, jc_error *err) {
    const jc_alloc *alloc = f->d->alloc;
    if (want <= r->bytes)
        return JITC_OK;
    size_t half = r->bytes + r->bytes / 2, bytes = round_up(want > half ? want : half);
    jc_error first = JC_ERROR_INIT;
    void *at;
    jc_frame_block *b = alloc->alloc(alloc->user, sizeof *b);
    if (!b)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while preparing a call.");
    jitc_status status = take(f, bytes, stream, &at, want < half ? &first : err);
    if (status != JITC_OK && want < half) { /* memory is short */
        bytes = round_up(want);
        status = take(f, bytes, stream, &at, err);
    }
    if (status != JITC_OK) {
        alloc->free(alloc->user, b, sizeof *b);
        return status;
    }
    *b = (jc_frame_block){ f->blocks, at, stream, bytes };
    f->blocks = b;
    atomic_fetch_add_explicit(&f->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->nblocks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->kept, r->bytes, memory_order_relaxed);
    *r = (jc_region){ at, bytes };
    return JITC_OK;
}

jitc_status jc_frame_scratch(jc_frame *f, size_t want, jc_error *err) {
    const jc_alloc *alloc = f->d->alloc;
    if (want <= f->scratch_bytes)
        return JITC_OK;
    void *scratch = alloc->alloc(alloc->user, want);
    if (!scratch)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while preparing a call.");
    if (f->scratch)
        alloc->free(alloc->user, f->scratch, f->scratch_bytes);
    f->scratch = scratch;
    f->scratch_bytes = want;
    return JITC_OK;
}

jitc_status jc_frame_reserve_host(jc_frame *f, const jc_exec *e, jc_error *err) {
    return jc_frame_scratch(f, e->scratch, err);
}

jitc_status jc_frame_reserve(jc_frame *f, size_t arena, size_t temp, void *stream, jc_error *err) {
    JC_TRY(jc_frame_grow(f, &f->arena, arena, stream, err));
    return jc_frame_grow(f, &f->temp, temp, stream, err);
}

void jc_frame_count(const jc_frame *f, jc_frame_memory *out) {
    *out = (jc_frame_memory){ atomic_load_explicit(&f->bytes, memory_order_relaxed),
                              atomic_load_explicit(&f->nblocks, memory_order_relaxed),
                              atomic_load_explicit(&f->kept, memory_order_relaxed) };
}

void jc_frame_free(jc_frame *f) {
    if (!f)
        return;
    const jc_alloc *alloc = f->d->alloc;
    for (jc_frame_block *b = f->blocks, *next; b; b = next) {
        next = b->next;
        if (f->memory.free)
            f->memory.free(f->memory.user, b->at, b->bytes, b->stream);
        else
            f->d->ops->free(f->d, b->at);
        alloc->free(alloc->user, b, sizeof *b);
    }
    if (f->scratch)
        alloc->free(alloc->user, f->scratch, f->scratch_bytes);
    alloc->free(alloc->user, f, sizeof *f);
}
