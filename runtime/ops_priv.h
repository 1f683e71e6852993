/*
 * runtime/ops_priv.h - what registry.c, ops_call.c (calling) and names.c share.
 */
#ifndef JC_OPS_PRIV_H
#define JC_OPS_PRIV_H

#include <ffi.h>

#include "runtime/ops.h"

struct jc_op_entry {
    jc_schema schema;
    const char *text;      /* the schema as registered */
    jitc_plain_function plain;
    jitc_frame_function frame;
    jitc_shape_function shape;
    void *user;
    unsigned devices;      /* bits 1 << DLDeviceType */
    jc_names *names;       /* where a string passed as a layer name is interned; NULL: it is refused */
    ffi_cif cif;           /* of a plain function: the call, arguments, results */
    struct jc_op_entry *next; /* same name, other devices */
};

/* Fills op->cif for a plain function; the type array lives in ARENA. */
jitc_status jc_op_prepare(jc_op_entry *op, jc_arena *arena, jc_error *err);

/* A layer name that is in no table. */
const jitc_layer_name *jc_name_private(jc_arena *arena, const char *text);

#endif
