/*
 * tests/fuzz/fuzz_run.c - a case against the reference.
 *
 * The reference runs the flat text as it was read.  Every mode reads its text anew, builds, and runs all sets of sizes and the first
 * one again, with all of the library's device memory poisoned before each run, and compares: dims with what the generator says, integers
 * and exact floats exactly, other floats within the bound that the generator worked out.
 */
#include "tests/fuzz/fuzz_lab.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/frame.h"

uint64_t fz_generated[JC_OP_COUNT];

bool fz_fail(fz_run *r, fz_fate fate, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    r->report->fate = (uint8_t)fate;
    vsnprintf(r->report->message, sizeof r->report->message, format, ap);
    va_end(ap);
    return false;
}

/* Did a run with rows far apart end since a tensor of that size was to be copied, as one is that is not aligned?  There is no such memory. */
static bool too_large(const fz_run *r, jitc_status status) {
    bool far = false;
    for (size_t i = 0; i < r->c->inputs.n; i++)
        far |= r->c->inputs.at[i].pad > FZ_SPARSE;
    return far && status == JITC_E_NOMEM;
}

/* What the library says of its last failure; NOT where it is no refusal. */
static bool library_fails(fz_run *r, jitc_context *ctx, fz_fate not) {
    jitc_error_info info = { .struct_size = sizeof info };
    jitc_context_error_info(ctx, &info);
    const bool refused = info.status == JITC_E_UNSUPPORTED || too_large(r, info.status);
    return fz_fail(r, refused ? FZ_REFUSED : not, "%s", jitc_context_error(ctx));
}

/* --- the reference --- */

static jitc_status call_op(void *user, const char *target, const jitc_value *args, const char *const *keys, uint32_t nargs,
                           DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    jitc_context *ctx = user;
    const DLDevice cpu = { kDLCPU, 0 };
    const jc_op_entry *op = jc_ops_find(ctx->ops, target, kDLCPU);
    (void)line;
    if (!op)
        return jc_fail(err, JITC_E_UNSUPPORTED, "%s is not registered", target);
    return jc_op_call(op, cpu, NULL, args, keys, nargs, results, nresults, err);
}

static const jitc_layer_name *name_of(void *user, const char *text) {
    return jitc_layer_name_intern(user, text, NULL);
}

static bool symbols_of(fz_run *r, const jc_exprs *exprs, int which, int64_t *syms) {
    for (uint32_t i = 0; i < jc_sym_count(exprs) && i < 64; i++) {
        const char *name = jc_sym_at((jc_exprs *)exprs, i)->name;
        size_t k = 0;
        while (k < r->c->symbols.n && strcmp(r->c->symbols.at[k].name, name) != 0)
            k++;
        if (k == r->c->symbols.n)
            return fz_fail(r, FZ_UNREADABLE, "the graph has a symbol %s, which the case does not know", name);
        syms[i] = r->c->symbols.at[k].value[which];
    }
    return true;
}

static bool shapes_agree(fz_run *r, int which) {
    for (uint32_t i = 0; i < r->noutputs; i++) {
        const jc_eval_out *w = &r->want[0][which][i];
        const fz_output *o = &r->c->outputs.at[i];
        if (o->rank < 0)
            continue;
        if (w->kind == JC_SYMINT) {
            if (w->integer != o->dims[which][0])
                return fz_fail(r, FZ_SHAPE, "reference: size %u is %" PRId64 ", the generator says %" PRId64, i, w->integer, o->dims[which][0]);
            continue;
        }
        for (int d = 0; d < w->rank; d++)
            if (w->rank != o->rank || w->dims[d] != o->dims[which][d])
                return fz_fail(r, FZ_SHAPE, "reference: result %u, dim %d is %" PRId64 ", the generator says %" PRId64, i, d, w->dims[d],
                            o->dims[which][d]);
    }
    return true;
}

static bool evaluate(fz_run *r, jitc_context *ctx, int which) {
    const uint32_t nsyms = jc_sym_count(r->root->graph->exprs);
    jc_error err = JC_ERROR_INIT;
    jitc_value *in = JC_NEWN(r->arena, jitc_value, r->nparams + 1);
    if (!symbols_of(r, r->root->graph->exprs, which, r->syms[which]))
        return false;
    if (!fz_make_inputs(r, which, nsyms))
        return false;
    for (uint32_t i = 0; i < r->nparams; i++) {
        const jc_value *v = r->root->params[i];
        if (v->type.kind == JC_TENSOR) {
            in[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &r->host[which][i].dl };
        } else {
            in[i] = (jitc_value){ .tag = JITC_INT };
            jc_ex_eval(v->type.expr, r->syms[which], nsyms, &in[i].i);
        }
    }
    const jc_eval_host host = { .call = call_op, .user = ctx, .name = name_of };
    for (int gpu = 0; gpu < 2; gpu++) {
        r->want[gpu][which] = JC_NEWN(r->arena, jc_eval_out, r->noutputs + 1);
        const jitc_status status = jc_eval(r->root, gpu ? JC_EVAL_GPU : 0, r->syms[which], nsyms, in, &host, r->arena, r->want[gpu][which], &err);
        if (status != JITC_OK)
            return fz_fail(r, strstr(err.message, "of this layout cannot be seen as") ? FZ_REFUSED : FZ_UNREADABLE, "reference: %s", err.message);
    }
    return shapes_agree(r, which);
}

/* --- comparing --- */

static const char *sizes_text(const fz_run *r, int which, char *at, size_t size) {
    size_t n = 0;
    at[0] = 0;
    for (size_t i = 0; i < r->c->symbols.n && n < size; i++)
        n += (size_t)snprintf(at + n, size - n, " %s=%" PRId64, r->c->symbols.at[i].name, r->c->symbols.at[i].value[which]);
    return at;
}

static bool close_enough(double x, double y, double err) {
    return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= err;
}

static bool compare(fz_run *r, fz_device *l, int which, uint32_t i, const jitc_value *got) {
    const jc_eval_out *w = &r->want[l->device->target.dialect != JC_DIALECT_HOST][which][i];
    char sizes[128];
    jc_error err = JC_ERROR_INIT;
    int64_t n = 1, span = 1;
    sizes_text(r, which, sizes, sizeof sizes);
    if (w->kind == JC_SYMINT)
        return (got->tag == JITC_INT && got->i == w->integer) ||
               fz_fail(r, FZ_WRONG, "size %u is %" PRId64 ", expected %" PRId64 ";%s", i, got->i, w->integer, sizes);
    if (w->undefined)
        return true;
    if (got->tag != JITC_TENSOR || got->tensor->ndim != w->rank)
        return fz_fail(r, FZ_SHAPE, "result %u has another rank;%s", i, sizes);
    const DLTensor *t = got->tensor;
    for (int d = 0; d < w->rank; d++) {
        if (t->shape[d] != w->dims[d])
            return fz_fail(r, FZ_SHAPE, "result %u, dim %d is %" PRId64 ", expected %" PRId64 ";%s", i, d, t->shape[d], w->dims[d], sizes);
        n *= w->dims[d];
        span += (w->dims[d] - 1) * t->strides[d];
    }
    if (n == 0)
        return true;
    const size_t size = jc_dtypes[w->dtype].size;
    uint8_t *raw = (uint8_t *)t->data + t->byte_offset;
    if (span < FZ_SPARSE || l->device->dl.device_type != kDLCPU)
        raw = jc_arena_alloc(r->arena, (size_t)span * size);
    if (raw != (uint8_t *)t->data + t->byte_offset && (l->plain->copy_out(l->device, raw, (uint8_t *)t->data + t->byte_offset, (size_t)span * size, NULL, &err) ||
        l->plain->sync(l->device, NULL, &err)))
        return fz_fail(r, FZ_UNRUN, "result %u cannot be read: %s", i, err.message);
    for (int64_t k = 0; k < n; k++) {
        int64_t rest = k, at = 0;
        for (int d = w->rank; d-- > 0; rest /= w->dims[d])
            at += rest % w->dims[d] * t->strides[d];
        if (w->f && r->c->outputs.at[i].bits) {
            uint64_t have = 0, want = 0;
            memcpy(&have, raw + (size_t)at * size, size);
            jc_store_float((jc_dtype)w->dtype, &want, w->f[k]);
            if (have != want)
                return fz_fail(r, FZ_WRONG, "result %u, element %" PRId64 " has the bits 0x%" PRIx64 ", expected 0x%" PRIx64 ";%s", i, k, have, want, sizes);
        } else if (w->f) {
            const double x = jc_load_float((jc_dtype)w->dtype, raw + (size_t)at * size);
            if (!close_enough(x, w->f[k], r->c->outputs.at[i].err))
                return fz_fail(r, FZ_WRONG, "result %u, element %" PRId64 " is %.9g, expected %.9g within %.3g;%s", i, k, x, w->f[k],
                            r->c->outputs.at[i].err, sizes);
        } else {
            const int64_t x = jc_load_int((jc_dtype)w->dtype, raw + (size_t)at * size);
            if (x != w->i[k])
                return fz_fail(r, FZ_WRONG, "result %u, element %" PRId64 " is %" PRId64 ", expected %" PRId64 ";%s", i, k, x, w->i[k], sizes);
        }
    }
    return true;
}

/* --- building and running --- */

static bool values_for(fz_run *r, const jc_func *root, int which, const int64_t *syms, uint32_t nsyms, fz_tensor *on_device, jitc_value *in) {
    for (uint32_t i = 0; i < root->nparams; i++) {
        const jc_value *v = root->params[i];
        in[i] = (jitc_value){ .tag = JITC_INT };
        if (v->type.kind != JC_TENSOR) {
            if (!jc_ex_eval(v->type.expr, syms, nsyms, &in[i].i))
                return fz_fail(r, FZ_UNREADABLE, "%s has no value", v->name);
            continue;
        }
        for (uint32_t k = 0; k < r->nparams; k++)
            if (strcmp(r->root->params[k]->name, v->name) == 0)
                in[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &on_device[k].dl };
        if (in[i].tag != JITC_TENSOR)
            return fz_fail(r, FZ_UNREADABLE, "%s is a parameter of one text alone", v->name);
    }
    (void)which;
    return true;
}

/* A size that the root can say itself is no result of a piece: does the model leave this one out? */
static bool left_out(const jc_value *v, bool sizes_are) {
    return sizes_are && v->type.kind == JC_SYMINT;
}

/* --- memory for results --- */

/* Blocks that a run was given, poisoned. */
typedef struct giver {
    fz_device *l;
    jc_arena *arena;
    JC_VEC(void *) blocks;
} giver;

static void *give(giver *g, const DLTensor *t) {
    jc_error err = JC_ERROR_INIT;
    void *at;
    const fz_block b = { NULL, fz_bytes_of(t) };
    if (g->l->plain->alloc(g->l->device, b.size, &at, &err))
        return NULL;
    fz_poison(g->l, &(fz_block){ at, b.size });
    jc_push(g->arena, &g->blocks, at);
    return at;
}

static void give_result(void *user, uint32_t index, DLTensor *t, void *stream) {
    (void)index;
    (void)stream;
    t->data = give(user, t);
}

static void take_back(giver *g) {
    for (size_t i = 0; i < g->blocks.n; i++)
        g->l->plain->free(g->l->device, g->blocks.at[i]);
    g->blocks.n = 0;
}

/* The caller's tensors for results like those of an earlier run. */
static void give_like(giver *g, const jitc_value *before, jitc_value *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (jitc_value){ .tag = JITC_NONE };
        if (before[i].tag != JITC_TENSOR || fz_bytes_of(before[i].tensor) > FZ_SPARSE)
            continue;
        DLTensor *t = jc_arena_memdup(g->arena, before[i].tensor, sizeof *t);
        t->data = give(g, t);
        t->byte_offset = 0;
        out[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
    }
}

/* What RESULTS say, when their memory has gone. */
static jitc_value *remember(jc_arena *arena, const jitc_value *results, uint32_t n) {
    jitc_value *out = jc_arena_memdup(arena, results, sizeof *out * n);
    for (uint32_t i = 0; i < n; i++) {
        if (out[i].tag != JITC_TENSOR)
            continue;
        const size_t size = sizeof(int64_t) * (size_t)out[i].tensor->ndim;
        DLTensor *t = jc_arena_memdup(arena, out[i].tensor, sizeof *t);
        t->shape = size ? jc_arena_memdup(arena, t->shape, size) : NULL;
        t->strides = size ? jc_arena_memdup(arena, t->strides, size) : NULL;
        out[i].tensor = t;
    }
    return out;
}

/* --- runs --- */

/* A built model and how it is run: in FRAME, or in its own where that is NULL. */
typedef struct built {
    fz_device *l;
    jitc_model *m;
    jitc_frame *frame;
    const jc_func *root;
    fz_mode mode;
    giver giver;
    jitc_value *first; /* results of the first run */
} built;

/* The root's calls by hand, through the public call of a piece. */
static bool run_pieces(fz_run *r, const built *b, const jc_func *root, const int64_t *syms, uint32_t nsyms, const jitc_value *in,
                       jitc_value *out) {
    jitc_value *at = JC_NEWN(r->arena, jitc_value, root->nvalues + 1);
    for (uint32_t i = 0; i < root->nparams; i++)
        at[root->params[i]->id] = in[i];
    for (size_t k = 0; k < root->nodes.n; k++) {
        const jc_node *n = root->nodes.at[k];
        jitc_value args[128], results[128];
        uint32_t piece = 0;
        jitc_piece_info info = { .struct_size = sizeof info };
        memset(results, 0, sizeof results);
        while (jitc_model_piece_info(b->m, piece, &info) == JITC_OK && strcmp(info.name, n->callee->name) != 0)
            piece++;
        const bool fewer = info.noutputs != n->nresults;
        uint32_t given = 0;
        for (uint32_t i = 0; i < n->nresults; i++)
            given += !left_out(n->results[i], fewer);
        if (n->nargs > 128 || n->nresults > 128 || info.noutputs != given)
            return fz_fail(r, FZ_UNRUN, "%s: the model has %u results, the text %u", n->callee->name, info.noutputs, given);
        for (uint32_t i = 0; i < n->nargs; i++) {
            args[i] = (jitc_value){ .tag = JITC_INT };
            if (n->args[i].kind == JC_ARG_VALUE)
                args[i] = at[n->args[i].value->id];
            else if (!jc_ex_eval(n->args[i].expr, syms, nsyms, &args[i].i))
                return fz_fail(r, FZ_UNRUN, "%s: argument %u has no value", n->callee->name, i);
        }
        const jitc_status status = b->frame ? jitc_frame_run_piece(b->frame, piece, NULL, args, n->nargs, results, given)
                                            : jitc_piece_run(b->m, piece, NULL, args, n->nargs, results, given);
        if (status != JITC_OK)
            return library_fails(r, b->m->ctx, FZ_UNRUN);
        for (uint32_t i = 0, next = 0; i < n->nresults; i++)
            if (!left_out(n->results[i], fewer))
                at[n->results[i]->id] = results[next++];
    }
    for (uint32_t i = 0; i < root->noutputs; i++) {
        out[i] = (jitc_value){ .tag = JITC_INT };
        if (root->outputs[i].kind == JC_ARG_VALUE)
            out[i] = at[root->outputs[i].value->id];
        else
            jc_ex_eval(root->outputs[i].expr, syms, nsyms, &out[i].i);
    }
    return true;
}

static bool run_model(fz_run *r, const built *b, int which, const jitc_value *in, jitc_value *out) {
    char sizes[128];
    const jitc_status status = b->frame ? jitc_frame_run(b->frame, 0, NULL, in, b->root->nparams, out, r->noutputs)
                                        : jitc_model_run(b->m, 0, NULL, in, b->root->nparams, out, r->noutputs);
    const fz_fate fate = status == JITC_E_UNSUPPORTED || too_large(r, status) ? FZ_REFUSED : FZ_UNRUN;
    return status == JITC_OK ||
           fz_fail(r, fate, "%s;%s", jitc_context_error(b->l->ctx), sizes_text(r, which, sizes, sizeof sizes));
}

/* Was the run refused since inputs lie in one another of which one is written?  Then all is well. */
static bool shares_memory(fz_run *r) {
    bool may = false;
    for (size_t i = 0; i < r->c->inputs.n; i++)
        may |= r->c->inputs.at[i].with && r->c->inputs.at[i].written;
    if (!may || r->report->fate != FZ_UNRUN || !strstr(r->report->message, " share memory, and input "))
        return false;
    r->report->fate = FZ_OK;
    r->report->message[0] = 0;
    return true;
}

static bool run_once(fz_run *r, built *b, int which, bool again) {
    fz_device *l = b->l;
    const jc_func *root = b->root;
    const uint32_t nsyms = jc_sym_count(root->graph->exprs);
    fz_tensor *on_device = JC_NEWN(r->arena, fz_tensor, r->nparams + 1);
    jitc_value *in = JC_NEWN(r->arena, jitc_value, root->nparams + 1), *out = JC_NEWN(r->arena, jitc_value, r->noutputs + 1);
    int64_t syms[64];
    bool ok = root->noutputs == r->noutputs || fz_fail(r, FZ_UNREADABLE, "the two texts have different results");
    memset(on_device, 0, (r->nparams + 1) * sizeof *on_device);
    memset(out, 0, (r->noutputs + 1) * sizeof *out);
    ok = ok && symbols_of(r, root->graph->exprs, which, syms) && fz_copy_inputs(r, l, which, on_device) &&
         values_for(r, root, which, syms, nsyms, on_device, in);
    for (size_t i = 0; i < l->nblocks; i++)
        fz_poison(l, &l->blocks[i]);
    if (again && b->first && b->frame && b->mode.way != FZ_PIECES)
        give_like(&b->giver, b->first, out, r->noutputs);
    bool refused = false;
    if (ok) {
        ok = b->mode.way == FZ_PIECES ? run_pieces(r, b, root, syms, nsyms, in, out) : run_model(r, b, which, in, out);
        refused = !ok && shares_memory(r);
        ok |= refused;
    }
    for (uint32_t i = 0; ok && !refused && i < r->noutputs; i++)
        ok = compare(r, l, which, i, &out[i]);
    b->first = !ok || refused ? NULL : which == 0 ? remember(r->arena, out, r->noutputs) : b->first;
    take_back(&b->giver);
    fz_free_inputs(r, l, on_device);
    return ok;
}

/* Some models are built for a range that holds the case's sizes, or for the first set of sizes exactly and that range. */
static void ranges_of(fz_run *r, jitc_model_options *o) {
    jitc_range *ranges = JC_NEWN(r->arena, jitc_range, 2 * r->c->symbols.n + 1);
    uint32_t n = 0;
    const int kind = (int)(r->c->seed % 7);
    for (size_t i = 0; kind < 2 && i < r->c->symbols.n; i++) {
        const fz_symbol *s = &r->c->symbols.at[i];
        if (jc_sym_find(r->root->graph->exprs, s->name, strlen(s->name)) == UINT32_MAX)
            continue;
        int64_t lo = s->value[0], hi = lo;
        for (int k = 1; k < r->c->nruns; k++) {
            lo = s->value[k] < lo ? s->value[k] : lo;
            hi = s->value[k] > hi ? s->value[k] : hi;
        }
        if (kind == 1 && n == 0 && hi > lo)
            ranges[n++] = (jitc_range){ s->name, s->value[0], s->value[0] };
        ranges[n++] = (jitc_range){ s->name, lo, hi };
    }
    o->ranges = ranges;
    o->nranges = n;
}

/* Results that share a storage get memory apart from us, which pieces that write it would notice: they keep the frame's. */
static bool make_frame(fz_run *r, built *b) {
    const jitc_frame_options o = { .struct_size = sizeof o, .result = b->mode.way == FZ_PIECES ? NULL : give_result, .user = &b->giver };
    if (r->c->seed % 5 >= 2)
        return true;
    return jitc_frame_new(b->m, &o, &b->frame) == JITC_OK || library_fails(r, b->l->ctx, FZ_UNBUILT);
}

static bool check_mode(fz_run *r, fz_lab *lab, fz_mode mode) {
    static const char *const ours[] = { "touch", "mix", "all_reduce" };
    const char *text = (mode.way == FZ_CUT || mode.way == FZ_PIECES) && r->c->cut ? r->c->cut : r->c->flat;
    jitc_model_options o = { .struct_size = sizeof o, .strict = mode.strict };
    jitc_graph *graph = NULL, *plain = NULL;
    if (!fz_lab_has(lab, mode.device))
        return fz_fail(r, FZ_UNRUN, "there is no device %s", fz_devices[mode.device]);
    fz_device *l = &lab->devices[mode.device];
    built b = { .l = l, .mode = mode, .giver = { .l = l, .arena = r->arena } };
    l->poison = r->c->seed & 1 ? 0xFF : 0x4B;
    l->device->target.quick = mode.quick;
    if (mode.way == FZ_SPLIT) {
        o.split_ops = ours;
        o.nsplit_ops = 3;
    }
    fz_strides_of(r, l, &o);
    ranges_of(r, &o);
    bool ok = (jitc_graph_read(l->ctx, "fuzz", text, strlen(text), &graph) == JITC_OK &&
               jitc_graph_read(l->ctx, "fuzz", text, strlen(text), &plain) == JITC_OK) ||
              library_fails(r, l->ctx, FZ_UNREADABLE);
    ok = ok && (jitc_model_build(l->ctx, &graph, 1, &o, &b.m) == JITC_OK || library_fails(r, l->ctx, FZ_UNBUILT));
    ok = ok && make_frame(r, &b);
    b.root = ok ? plain->g->root : NULL;
    for (int i = 0; ok && i <= r->c->nruns; i++) /* the first one again: its shape is known */
        ok = run_once(r, &b, i % r->c->nruns, i == r->c->nruns);
    jitc_frame_free(b.frame);
    jitc_model_free(b.m);
    if (graph)
        jitc_graph_free(graph);
    if (plain)
        jitc_graph_free(plain);
    return ok;
}

static void count_ops(const jc_func *f) {
    bool seen[JC_OP_COUNT] = { false };
    for (size_t i = 0; i < f->nodes.n; i++)
        seen[f->nodes.at[i]->op] = true;
    for (int i = 0; i < JC_OP_COUNT; i++)
        fz_generated[i] += seen[i];
}

bool fz_judge(fz_run *r, fz_lab *lab, jitc_graph **flat) {
    fz_lab_has(lab, 0);
    jitc_context *ctx = lab->devices[0].ctx;
    if (jitc_graph_read(ctx, "fuzz", r->c->flat, strlen(r->c->flat), flat) != JITC_OK)
        return library_fails(r, ctx, FZ_UNREADABLE);
    if ((*flat)->g->refused.n)
        return fz_fail(r, FZ_REFUSED, "%s", (*flat)->g->refused.at[0].reason);
    r->root = (*flat)->g->root;
    r->nparams = r->root->nparams;
    r->noutputs = r->root->noutputs;
    for (int i = 0; i < r->c->nruns; i++)
        if (!evaluate(r, ctx, i))
            return false;
    return true;
}

void fz_check(fz_lab *lab, const fz_case *c, fz_report *report) {
    fz_run r = { .c = c, .report = report, .arena = jc_arena_new(NULL) };
    jitc_graph *flat = NULL;
    *report = (fz_report){ .fate = FZ_OK, .mode = c->modes[0] };
    bool ok = fz_judge(&r, lab, &flat);
    if (flat)
        count_ops(flat->g->root);
    for (int i = 0; ok && i < c->nmodes; i++) {
        report->mode = c->modes[i];
        ok = check_mode(&r, lab, c->modes[i]);
    }
    if (flat)
        jitc_graph_free(flat);
    jc_arena_free(r.arena);
}
