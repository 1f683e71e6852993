/*
 * ir/pt2/pt2_type.c - what the archive says of a value's type, as the annotation that PyTorch would print: "f32[s0, 8][8, 1]", "Sym(s0)".
 *
 * Annotations are texts in ir/fx, which reads each distinct one once and checks it; dtypes that we do not have, too many dims and
 * sizes that overflow are found there.
 */
#include <string.h>
#include "ir/pt2/pt2_priv.h"

static void put_sizes(pt2 *p, jc_bytes *b, const json_t *sizes) {
    jc_put_u8(b, '[');
    for (size_t i = 0; i < json_array_size(sizes) && !p->r->status; i++) {
        const jc_expr *e = pt2_sym_int(p, json_array_get(sizes, i));
        if (!e)
            return;
        jc_put_text(b, i ? ", " : "");
        jc_ex_print(fx_x(p->r), e, b);
    }
    jc_put_u8(b, ']');
}

static fx_name *finish(pt2 *p, const jc_bytes *b) {
    return p->r->status ? NULL : fx_intern(p->r, (const char *)b->at, b->n);
}

static fx_name *tensor_note(pt2 *p, const json_t *meta) {
    jc_bytes b = JC_BYTES(p->r->scratch);
    const char *foreign;
    const json_t *sizes = pt2_list(p, meta, "sizes", "a tensor"), *strides = pt2_list(p, meta, "strides", "a tensor");
    const int dtype = pt2_dtype(json_integer_value(json_object_get(meta, "dtype")), &foreign);
    if (p->r->status)
        return NULL;
    if (dtype < 0 && !foreign)
        fx_fail(p->r, JITC_E_INPUT, p->at, "A tensor of the archive's model has no dtype that is known.");
    else if (json_integer_value(json_object_get(meta, "layout")) != PT2_STRIDED)
        fx_fail(p->r, JITC_E_UNSUPPORTED, p->at, "Sparse tensors, and all others that have no strides, are not supported.");
    jc_put_text(&b, "%s", dtype < 0 ? foreign : jc_dtypes[dtype].name);
    put_sizes(p, &b, sizes);
    if (json_array_size(strides))
        put_sizes(p, &b, strides);
    return finish(p, &b);
}

static fx_name *integer_note(pt2 *p, const json_t *value) {
    jc_bytes b = JC_BYTES(p->r->scratch);
    const jc_expr *e = pt2_sym_int(p, value);
    if (!e)
        return NULL;
    jc_put_text(&b, "Sym(");
    jc_ex_print(fx_x(p->r), e, &b);
    jc_put_u8(&b, ')');
    return finish(p, &b);
}

fx_name *pt2_note(pt2 *p, const char *tag, const char *name) {
    const bool tensor = strcmp(tag, "as_tensor") == 0;
    if (!tensor && strcmp(tag, "as_sym_int") != 0)
        return NULL;
    const json_t *all = pt2_object(p, p->graph, tensor ? "tensor_values" : "sym_int_values", "a graph");
    const json_t *value = json_object_get(all, name);
    if (!p->r->status && !value)
        fx_fail(p->r, JITC_E_INPUT, p->at, "The archive's model does not say what \"%.100s\" is.", name);
    return p->r->status ? NULL : tensor ? tensor_note(p, value) : integer_note(p, value);
}
