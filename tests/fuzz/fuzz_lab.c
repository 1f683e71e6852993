/*
 * tests/fuzz/fuzz_lab.c - a process's devices: contexts whose device memory is poisoned, when it is made and whenever a run asks for it.
 */
#include "tests/fuzz/fuzz_lab.h"

#include <stdlib.h>

static fz_lab *the_lab; /* a device knows nothing of its user */

static fz_device *lab_of(const jc_device *d) {
    for (int i = 0; i < 3; i++)
        if (the_lab->devices[i].device == d)
            return &the_lab->devices[i];
    abort();
}

void fz_poison(fz_device *l, const fz_block *b) {
    jc_error err = JC_ERROR_INIT;
    if (b->size)
        l->plain->fill(l->device, b->at, l->poison, b->size, NULL, &err);
}

static jitc_status poisoning_alloc(jc_device *d, size_t size, void **out, jc_error *err) {
    fz_device *l = lab_of(d);
    if (size > 16 * FZ_SPARSE) /* of a tensor with rows far apart: there might even be as much, for a while */
        return jc_fail(err, JITC_E_NOMEM, "%zu bytes are not to be had in a test.", size);
    JC_TRY(l->plain->alloc(d, size, out, err));
    if (l->nblocks == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        l->blocks = realloc(l->blocks, l->room * sizeof *l->blocks);
        if (!l->blocks)
            abort();
    }
    l->blocks[l->nblocks++] = (fz_block){ *out, size };
    fz_poison(l, &l->blocks[l->nblocks - 1]);
    return JITC_OK;
}

static void poisoning_free(jc_device *d, void *at) {
    fz_device *l = lab_of(d);
    for (size_t i = 0; i < l->nblocks; i++)
        if (l->blocks[i].at == at) {
            l->blocks[i] = l->blocks[--l->nblocks];
            break;
        }
    l->plain->free(d, at);
}

static void open_device(fz_lab *lab, int i) {
    fz_device *l = &lab->devices[i];
    jc_error err = JC_ERROR_INIT;
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = fz_devices[i], .threads = 1, .seed = 1 };
    l->tried = true;
    if (jitc_context_new(&o, &l->ctx) != JITC_OK || !fz_register_ops(l->ctx, &l->device) ||
        jc_context_device(l->ctx, &l->device, &err) != JITC_OK) {
        if (l->ctx)
            jitc_context_free(l->ctx);
        l->ctx = NULL;
        l->device = NULL;
        return;
    }
    l->plain = l->device->ops;
    l->poisoning = *l->plain;
    l->poisoning.alloc = poisoning_alloc;
    l->poisoning.free = poisoning_free;
    l->device->ops = &l->poisoning;
}

fz_lab *fz_lab_new(void) {
    fz_lab *lab = calloc(1, sizeof *lab);
    if (!lab)
        abort();
    the_lab = lab;
    return lab;
}

void fz_lab_free(fz_lab *lab) {
    for (int i = 0; i < 3; i++) {
        fz_device *l = &lab->devices[i];
        if (l->ctx) {
            jitc_context_free(l->ctx);
            free(l->blocks);
        }
    }
    free(lab);
    the_lab = NULL;
}

bool fz_lab_has(fz_lab *lab, int device) {
    if (!lab->devices[device].tried)
        open_device(lab, device);
    return lab->devices[device].ctx != NULL;
}
