/*
 * ir/fx/fx_build_arg.c - what handlers ask of a call's arguments; each question fails with a sentence of its own.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* The I-th name in the row's parameter list, for messages. */
static const char *param_name(fx_call *c, int i) {
    const char *p = c->row->params;
    for (; i > 0 && p; i--)
        p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL;
    if (!p)
        return "?";
    p += *p == '*';
    const char *end = strchr(p, ' ');
    return jc_arena_strndup(c->r->scratch, p, end ? (size_t)(end - p) : strlen(p));
}

bool fx_given(const fx_call *c, int i) {
    return c->a[i].kind != FX_ABSENT && c->a[i].kind != JC_ARG_NONE;
}

void fx_bad_arg(fx_call *c, int i, const char *expected) {
    if (c->a[i].kind == FX_ABSENT)
        fx_fail(c->r, JITC_E_INPUT, c->at, "`%s` needs its argument `%s`: %s.", c->row->name, param_name(c, i),
                expected);
    else
        fx_fail(c->r, fx_blame(c->a[i]), c->at, "The argument `%s` of `%s` must be %s, but is %s.", param_name(c, i),
                c->row->name, expected, fx_kind_text(c->a[i]));
}

void fx_refuse_arg(fx_call *c, int i, const char *why) {
    fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "`%s` with this `%s` is not supported: %s.", c->row->name,
            param_name(c, i), why);
}

jc_value *fx_tensor(fx_call *c, int i) {
    if (c->r->status)
        return NULL;
    if (fx_is_tensor(c->a[i]))
        return c->a[i].value;
    fx_bad_arg(c, i, "a tensor");
    return NULL;
}

jc_arg fx_tensor_or_none(fx_call *c, int i) {
    return fx_given(c, i) ? fx_v(fx_tensor(c, i)) : fx_nothing();
}

jc_arg fx_operand(fx_call *c, int i) {
    const jc_arg a = c->a[i];
    if (a.kind != JC_ARG_VALUE && !fx_is_scalar(a))
        fx_bad_arg(c, i, "a tensor or a number");
    return a;
}

jc_arg fx_number(fx_call *c, int i) {
    if (!fx_is_scalar(c->a[i]))
        fx_bad_arg(c, i, "a number");
    return c->a[i];
}

jc_arg fx_number_or(fx_call *c, int i, jc_arg otherwise) {
    return fx_given(c, i) ? fx_number(c, i) : otherwise;
}

const jc_expr *fx_expr(fx_call *c, int i) {
    if (c->a[i].kind == JC_ARG_EXPR)
        return c->a[i].expr;
    fx_bad_arg(c, i, "an integer");
    return jc_ex_int(fx_x(c->r), 0);
}

double fx_float(fx_call *c, int i, double otherwise) {
    int64_t value;
    if (!fx_given(c, i))
        return otherwise;
    if (c->a[i].kind == JC_ARG_FLOAT)
        return c->a[i].f;
    if (c->a[i].kind == JC_ARG_EXPR && jc_ex_is_const(c->a[i].expr, &value))
        return (double)value;
    fx_bad_arg(c, i, "a constant number");
    return otherwise;
}

bool fx_bool(fx_call *c, int i, bool otherwise) {
    int64_t value;
    if (!fx_given(c, i))
        return otherwise;
    if (c->a[i].kind == JC_ARG_BOOL)
        return c->a[i].b;
    if (c->a[i].kind == JC_ARG_EXPR && jc_ex_is_const(c->a[i].expr, &value))
        return value != 0;
    fx_bad_arg(c, i, "True or False");
    return otherwise;
}

int64_t fx_int(fx_call *c, int i, int64_t otherwise) {
    int64_t value;
    if (!fx_given(c, i))
        return otherwise;
    if (c->a[i].kind == JC_ARG_EXPR && jc_ex_is_const(c->a[i].expr, &value))
        return value;
    if (c->a[i].kind == JC_ARG_EXPR)
        fx_refuse_arg(c, i, "it has to be a constant");
    else
        fx_bad_arg(c, i, "an integer");
    return otherwise;
}

int fx_norm_dim(fx_reader *r, int64_t dim, int rank, uint32_t at) {
    const int64_t n = rank ? rank : 1;
    if (dim >= -n && dim < n)
        return (int)(dim < 0 ? dim + n : dim);
    fx_fail(r, JITC_E_INPUT, at, "The dimension %lld is outside a tensor of %d dimensions.", (long long)dim, rank);
    return 0;
}

int fx_dim(fx_call *c, int i, int rank, int otherwise) {
    return fx_norm_dim(c->r, fx_int(c, i, otherwise), rank, c->at);
}

int fx_given_dim(fx_call *c, int i, int rank) {
    if (!fx_given(c, i))
        fx_bad_arg(c, i, "a dimension");
    return fx_dim(c, i, rank, 0);
}

uint32_t fx_exprs(fx_call *c, int i, const jc_expr **out, uint32_t room) {
    const jc_arg a = c->a[i], *at = a.kind == JC_ARG_LIST ? a.list.at : &a;
    const uint32_t n = a.kind == JC_ARG_LIST ? a.list.n : 1;
    if (c->r->status)
        return UINT32_MAX;
    if (n > room) {
        fx_refuse_arg(c, i, "there are too many numbers in it");
        return UINT32_MAX;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (at[k].kind != JC_ARG_EXPR) {
            c->a[i] = at[k]; /* so that the message tells of the element */
            fx_bad_arg(c, i, "a list of integers");
            return UINT32_MAX;
        }
        out[k] = at[k].expr;
    }
    return n;
}

uint32_t fx_which_dims(fx_call *c, int i, int rank, int *out) {
    const jc_expr *at[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, i, at, JC_MAX_RANK);
    for (uint32_t k = 0; n != UINT32_MAX && k < n; k++) {
        int64_t d = 0;
        if (!jc_ex_is_const(at[k], &d))
            fx_refuse_arg(c, i, "it has to be constants");
        out[k] = fx_norm_dim(c->r, d, rank, c->at);
    }
    return c->r->status ? 0 : n;
}

uint32_t fx_tensors(fx_call *c, int i, jc_value ***out) {
    const jc_arg a = c->a[i];
    if (a.kind != JC_ARG_LIST || !a.list.n) {
        fx_bad_arg(c, i, "a list of at least one tensor");
        return 0;
    }
    *out = fx_take(c->r, sizeof **out * a.list.n);
    for (uint32_t k = 0; k < a.list.n; k++) {
        if (!fx_is_tensor(a.list.at[k])) {
            c->a[i] = a.list.at[k];
            fx_bad_arg(c, i, "a list of tensors");
            return 0;
        }
        (*out)[k] = a.list.at[k].value;
    }
    return c->r->status ? 0 : a.list.n;
}

jc_arg fx_dtype_or(fx_call *c, int i, jc_arg otherwise) {
    if (!fx_given(c, i))
        return otherwise;
    if (c->a[i].kind == FX_OPAQUE)
        fx_refuse_arg(c, i, "the dtype is not one of ours");
    else if (c->a[i].kind != JC_ARG_DTYPE)
        fx_bad_arg(c, i, "a dtype");
    return c->a[i];
}

jc_arg fx_dims(fx_reader *r, const jc_expr *const *at, uint32_t n) {
    return jc_arg_exprs(r->graph, at, n);
}
