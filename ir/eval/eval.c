/*
 * ir/eval/eval.c - running a function in the reference: inputs in, nodes one after the other, results out.
 *
 * Inputs keep the caller's strides.  Those whose memory overlaps share a storage, as they do where the graph really runs,
 * so a write through one is seen through the other; the caller's memory itself is never written.
 */
#include <stdlib.h>
#include "ir/eval/eval_priv.h"
#include "ir/solve.h"

#define MAX_DEPTH 32 /* pieces call no pieces; this stops a graph that calls itself */

static jc_ev_op *const operators[JC_OP_COUNT] = {
#define OP(id, sig, results, traits, infer, eval, ...) [JC_OP_##id] = jc_ev_##eval,
#include "ir/ops.def"
};

/* A result has the dims that the graph says, whatever its operator made of the operands. */
static jitc_status check_result(jc_ev *ev, const jc_node *n, const jc_value *v) {
    const jc_ev_slot *s = &ev->slots[v->id];
    for (int d = 0; v->type.kind == JC_TENSOR && s->v.tag == JITC_TENSOR && d < v->type.rank; d++) {
        int64_t dim;
        JC_TRY(jc_ev_expr(ev, n, v->type.dims[d], &dim));
        if (d >= s->t.rank || s->t.dims[d] != dim)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "Dim %d of the result is %lld where the graph says %s, which is %lld.", d,
                              (long long)(d < s->t.rank ? s->t.dims[d] : -1),
                              jc_ex_text(ev->f->graph->exprs, v->type.dims[d], ev->arena), (long long)dim);
    }
    return JITC_OK;
}

static jitc_status check_guards(jc_ev *ev) {
    for (size_t i = 0; i < ev->f->guards.n; i++) {
        const jc_condition *c = &ev->f->guards.at[i];
        int64_t a, b;
        JC_TRY(jc_ev_expr(ev, NULL, c->a, &a));
        JC_TRY(jc_ev_expr(ev, NULL, c->b, &b));
        if (c->rel == JC_REL_EQ ? a != b : c->rel == JC_REL_NE ? a == b : a > b)
            return jc_fail_at(ev->err, JITC_E_INPUT, ev->f->graph->file, c->line, 0, NULL,
                              c->rel != JC_REL_EQ ? "%s is %lld and %s is %lld, which the graph was not made for." : "%s is %lld and %s is %lld, where the "
                              "text says that they are one.", jc_ex_text(ev->f->graph->exprs, c->a, ev->arena), (long long)a,
                              jc_ex_text(ev->f->graph->exprs, c->b, ev->arena), (long long)b);
    }
    return JITC_OK;
}

/* Eager: N's results as their dtypes hold them.  What only moves elements has nothing to round. */
static void round_results(jc_ev *ev, const jc_node *n) {
    const bool computes = jc_ops[n->op].traits & (JC_POINTWISE | JC_REDUCTION) || n->op == JC_OP_linear || n->op == JC_OP_matmul ||
                          n->op == JC_OP_full || n->op == JC_OP_arange || n->op == JC_OP_pad;
    for (uint32_t i = 0; computes && i < n->nresults; i++) {
        const jc_ev_tensor *t = &ev->slots[n->results[i]->id].t;
        if (!jc_is_float(t->dtype) || t->dtype == JC_F64)
            continue;
        double *f = jc_ev_floats_out(ev, t);
        for (int64_t k = 0; k < t->st->bytes / jc_dtypes[t->dtype].size; k++)
            f[k] = jc_ev_rounded(t->dtype, f[k]);
    }
}

/* F as it is run: eager in the parts of composite operators.  The copy lies with the graph. */
static jitc_status choose(jc_ev *ev, const jc_func *f) {
    jc_func *parts = NULL;
    jc_guard guard;
    ev->f = f;
    JC_TRY(check_guards(ev));
    if (!(ev->how & JC_EVAL_EAGER))
        return JITC_OK;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(f->graph->arena, &guard))
        jc_fail(ev->err, JITC_E_NOMEM, "There is no memory for a function's composite operators.");
    else
        status = jc_decompose(f, ev->how & JC_EVAL_GPU, NULL, NULL, &parts, ev->err);
    jc_guard_end(f->graph->arena, &guard);
    ev->f = parts;
    return status;
}

static jitc_status run_nodes(jc_ev *ev) {
    for (size_t k = 0; k < ev->f->nodes.n; k++) {
        const jc_node *n = ev->f->nodes.at[k];
        JC_TRY(operators[n->op](ev, n));
        if (ev->how & JC_EVAL_EAGER)
            round_results(ev, n);
        for (uint32_t i = 0; i < n->nresults; i++)
            JC_TRY(check_result(ev, n, n->results[i]));
    }
    return JITC_OK;
}

/* ---- calls of pieces ---- */

typedef struct bound_args {
    const jc_func *f;
    jc_ev_slot *slots;
} bound_args;

static void slot_fact(void *user, uint32_t i, jc_solve_fact *out) {
    const bound_args *b = user;
    const jc_ev_slot *s = &b->slots[b->f->params[i]->id];
    if (s->v.tag == JITC_TENSOR)
        *out = (jc_solve_fact){ .known = true, .rank = s->t.rank, .dims = s->t.dims, .strides = s->t.strides };
    else if (s->v.tag == JITC_INT)
        *out = (jc_solve_fact){ .known = true, .integer = s->v.i };
}

static jitc_status slot_of_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, jc_ev_slot *out) {
    *out = (jc_ev_slot){ .set = true };
    switch (a->kind) {
    case JC_ARG_VALUE:
        if (!ev->slots[a->value->id].set)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "'%s' has no value.", a->value->name ? a->value->name : "?");
        *out = ev->slots[a->value->id];
        return JITC_OK;
    case JC_ARG_EXPR: out->v.tag = JITC_INT; return jc_ev_expr(ev, n, a->expr, &out->v.i);
    case JC_ARG_FLOAT: out->v.tag = JITC_FLOAT; out->v.f = a->f; return JITC_OK;
    case JC_ARG_BOOL: out->v.tag = JITC_BOOL; out->v.i = a->b; return JITC_OK;
    case JC_ARG_STR: out->v = jc_ev_string(ev, a->str); return JITC_OK;
    case JC_ARG_NONE: return JITC_OK;
    default: return jc_ev_fail(ev, n, JITC_E_UNSUPPORTED, "A list cannot pass between pieces.");
    }
}

/* The callee's outputs, nested ones in order, into N's results.  None has no result of its own. */
static jitc_status take_outputs(jc_ev *callee, jc_ev *ev, const jc_node *n, const jc_arg *at, uint32_t count,
                                uint32_t *next) {
    for (uint32_t k = 0; k < count; k++) {
        if (at[k].kind == JC_ARG_LIST) {
            JC_TRY(take_outputs(callee, ev, n, at[k].list.at, at[k].list.n, next));
        } else if (at[k].kind != JC_ARG_NONE) {
            if (*next >= n->nresults)
                return jc_ev_fail(ev, n, JITC_E_INPUT, "'%s' returns more than the %u values that are taken from it.",
                                  n->callee->name, n->nresults);
            JC_TRY(slot_of_arg(callee, NULL, &at[k], &ev->slots[n->results[(*next)++]->id]));
        }
    }
    return JITC_OK;
}

jitc_status jc_ev_call(jc_ev *ev, const jc_node *n) {
    const jc_func *f = n->callee;
    uint32_t next = 0, nsyms = jc_sym_count(f->graph->exprs);
    int64_t *syms = JC_NEWN(ev->arena, int64_t, nsyms);
    jc_ev callee = { .arena = ev->arena, .host = ev->host, .err = ev->err, .f = f, .how = ev->how, .syms = syms, .nsyms = nsyms,
                     .slots = JC_NEWN(ev->arena, jc_ev_slot, f->nvalues), .depth = ev->depth + 1 };
    if (n->nargs != f->nparams || callee.depth > MAX_DEPTH)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "'%s' takes %u arguments and is given %u, or it calls itself.", f->name,
                          f->nparams, n->nargs);
    for (uint32_t k = 0; k < n->nargs; k++)
        JC_TRY(slot_of_arg(ev, n, &n->args[k], &callee.slots[f->params[k]->id]));
    /* The piece's own symbols: usually the caller's, but nothing says so. */
    bool same = f->graph == ev->f->graph;
    bound_args args = { f, callee.slots };
    JC_TRY(jc_solve_facts(f, slot_fact, &args, same ? ev->syms : NULL, same ? ev->nsyms : 0, 0, syms, ev->err));
    JC_TRY(choose(&callee, f));
    if (callee.f != f) { /* its values have other numbers */
        jc_ev_slot *given = callee.slots;
        callee.slots = JC_NEWN(ev->arena, jc_ev_slot, callee.f->nvalues);
        for (uint32_t k = 0; k < f->nparams; k++)
            callee.slots[callee.f->params[k]->id] = given[f->params[k]->id];
    }
    JC_TRY(run_nodes(&callee));
    JC_TRY(take_outputs(&callee, ev, n, callee.f->outputs, f->noutputs, &next));
    return next == n->nresults ? JITC_OK
                               : jc_ev_fail(ev, n, JITC_E_INPUT, "'%s' returns %u values, and %u are taken from it.",
                                            f->name, next, n->nresults);
}

/* ---- inputs ---- */

typedef struct input {
    jc_ev_tensor *t;
    const uint8_t *lo, *hi; /* the bytes it lies in */
} input;

static jitc_status bad_input(jc_ev *ev, uint32_t param, const char *what) {
    const jc_value *p = ev->f->params[param];
    return jc_fail_at(ev->err, JITC_E_INPUT, ev->f->graph->file, p->line, 0, p->name, "The argument for '%s' %s.",
                      p->name ? p->name : "?", what);
}

static jitc_status tensor_input(jc_ev *ev, uint32_t param, const DLTensor *dl, jc_ev_tensor *t, input *in) {
    const jc_type *type = &ev->f->params[param]->type;
    const jc_dtype_info *info = &jc_dtypes[type->dtype];
    int64_t last = 0, dim;
    if (dl->device.device_type == kDLCUDA)
        return bad_input(ev, param, "is device memory; the reference needs it on the host");
    if (dl->dtype.code != info->dl_code || dl->dtype.bits != info->dl_bits || dl->dtype.lanes != 1)
        return bad_input(ev, param, jc_arena_printf(ev->arena, "is not of dtype %s", info->name));
    if (dl->ndim != type->rank)
        return bad_input(ev, param, jc_arena_printf(ev->arena, "has %d dims instead of %d", dl->ndim, type->rank));
    *t = (jc_ev_tensor){ .dtype = type->dtype, .rank = type->rank };
    for (int d = 0; d < t->rank; d++) {
        JC_TRY(jc_ev_expr(ev, NULL, type->dims[d], &dim));
        if (dl->shape[d] != dim)
            return bad_input(ev, param, jc_arena_printf(ev->arena, "has %lld in dim %d, where %lld is needed",
                                                        (long long)dl->shape[d], d, (long long)dim));
        t->dims[d] = dim;
    }
    jc_ev_row_major(t);
    for (int d = 0; d < t->rank; d++) {
        if (dl->strides)
            t->strides[d] = dl->strides[d];
        if (t->strides[d] < 0)
            return bad_input(ev, param, "has a negative stride");
        if (t->dims[d] > 1)
            last += (t->dims[d] - 1) * t->strides[d];
    }
    in->t = t;
    in->lo = (const uint8_t *)dl->data + dl->byte_offset;
    in->hi = in->lo + (jc_ev_numel(t) == 0 ? 0 : (last + 1) * info->size);
    return JITC_OK;
}

static int by_address(const void *a, const void *b) {
    const input *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* One storage for each stretch of memory that inputs overlap in. */
static jitc_status place_inputs(jc_ev *ev, input *at, uint32_t n) {
    qsort(at, n, sizeof *at, by_address);
    for (uint32_t first = 0, end; first < n; first = end) {
        const uint8_t *hi = at[first].hi;
        for (end = first + 1; end < n && at[end].lo < hi; end++)
            hi = at[end].hi > hi ? at[end].hi : hi;
        jc_ev_storage *st = jc_ev_storage_new(ev, hi - at[first].lo);
        st->raw = at[first].lo;
        st->written = true;
        for (uint32_t k = first; k < end; k++) {
            int64_t from = at[k].lo - at[first].lo;
            int size = jc_dtypes[at[k].t->dtype].size;
            if (from % size != 0)
                return jc_fail(ev->err, JITC_E_INPUT, "Two arguments overlap in memory at a distance of %lld bytes, "
                               "which is not a whole number of elements.", (long long)from);
            at[k].t->st = st;
            at[k].t->offset = from / size;
        }
    }
    return JITC_OK;
}

static jitc_status take_inputs(jc_ev *ev, const jitc_value *in) {
    const jc_func *f = ev->f;
    input *tensors = JC_NEWN(ev->arena, input, f->nparams);
    uint32_t count = 0;
    for (uint32_t k = 0; k < f->nparams; k++) {
        const jc_value *p = f->params[k];
        jc_ev_slot *s = &ev->slots[p->id];
        s->set = true;
        s->v = in[k];
        if (p->type.kind == JC_TENSOR) {
            if (in[k].tag != JITC_TENSOR || !in[k].tensor)
                return bad_input(ev, k, "is missing, or is no tensor");
            JC_TRY(tensor_input(ev, k, in[k].tensor, &s->t, &tensors[count++]));
        } else if (p->type.kind == JC_SYMINT && in[k].tag != JITC_INT && p->type.expr) {
            s->v = (jitc_value){ .tag = JITC_INT };
            JC_TRY(jc_ev_expr(ev, NULL, p->type.expr, &s->v.i));
        } else if (in[k].tag == JITC_TENSOR) {
            return bad_input(ev, k, "is a tensor where none is expected");
        }
    }
    return place_inputs(ev, tensors, count);
}

/* ---- outputs ---- */

static void tensor_output(jc_ev *ev, const jc_ev_tensor *t, jc_eval_out *out) {
    jc_ev_tensor flat = jc_ev_like(ev, t, t->dtype);
    out->kind = JC_TENSOR;
    out->dtype = t->dtype;
    out->undefined = !t->st->written;
    out->rank = t->rank;
    for (int d = 0; d < t->rank; d++)
        out->dims[d] = t->dims[d];
    jc_ev_copy(ev, t, &flat);
    if (jc_is_float(t->dtype))
        out->f = jc_ev_floats(ev, &flat);
    else
        out->i = jc_ev_ints(ev, &flat);
}

static jitc_status give_output(jc_ev *ev, const jc_arg *a, jc_eval_out *out) {
    jc_ev_slot s;
    *out = (jc_eval_out){ .kind = JC_SYMINT, .undefined = a->kind == JC_ARG_NONE };
    JC_TRY(slot_of_arg(ev, NULL, a, &s));
    switch (s.v.tag) {
    case JITC_TENSOR: tensor_output(ev, &s.t, out); break;
    case JITC_INT: out->integer = s.v.i; break;
    case JITC_BOOL:
        out->kind = JC_TENSOR;
        out->dtype = JC_B8;
        out->i = jc_arena_memdup(ev->arena, &s.v.i, sizeof s.v.i);
        break;
    case JITC_FLOAT:
        out->kind = JC_TENSOR;
        out->dtype = JC_F64;
        out->f = jc_arena_memdup(ev->arena, &s.v.f, sizeof s.v.f);
        break;
    case JITC_NONE: break;
    default: out->kind = JC_NAME; break;
    }
    return JITC_OK;
}

jitc_status jc_eval(const jc_func *f, unsigned how, const int64_t *syms, uint32_t nsyms, const jitc_value *in,
                    const jc_eval_host *host, jc_arena *arena, jc_eval_out *out, jc_error *err) {
    return jc_eval_written(f, how, syms, nsyms, in, host, arena, out, NULL, err);
}

jitc_status jc_eval_written(const jc_func *f, unsigned how, const int64_t *syms, uint32_t nsyms, const jitc_value *in,
                            const jc_eval_host *host, jc_arena *arena, jc_eval_out *out, jc_eval_out *written, jc_error *err) {
    jc_ev ev = { .arena = arena, .host = host, .err = err, .how = how, .syms = syms, .nsyms = nsyms };
    JC_TRY(choose(&ev, f));
    ev.slots = JC_NEWN(arena, jc_ev_slot, ev.f->nvalues);
    JC_TRY(take_inputs(&ev, in));
    JC_TRY(run_nodes(&ev));
    for (uint32_t k = 0; k < f->noutputs; k++)
        JC_TRY(give_output(&ev, &ev.f->outputs[k], &out[k]));
    for (uint32_t k = 0; written && k < f->nparams; k++)
        if (f->params[k]->type.kind == JC_TENSOR && jc_func_writes(f, f->params[k]))
            tensor_output(&ev, &ev.slots[ev.f->params[k]->id].t, &written[k]);
    return JITC_OK;
}
