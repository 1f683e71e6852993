/*
 * tests/golden_run.c - see golden_run.h.
 */
#include "tests/golden_run.h"
#include "ir/solve.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- where the graphs are --- */

const char *golden_graphs(void) {
    const char *dir = getenv("JITC_GRAPHS");
    return dir && *dir ? dir : TEST_SRCDIR "/../shared/graphs";
}

bool golden_there(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/tiny/README.md", golden_graphs());
    FILE *f = fopen(path, "rb");
    if (f)
        fclose(f);
    else
        fprintf(stderr, "SKIP: there are no graphs in %s; set JITC_GRAPHS.\n", golden_graphs());
    return f != NULL;
}

/* --- the context --- */

static void record(void *user, const char *op, const jitc_layer_name *name) {
    golden_host *h = user;
    golden_call c = { jc_arena_strdup(h->arena, op), name ? jc_name_text(name) : "" };
    jc_push(h->arena, &h->calls, c);
}

void golden_open(golden_host *h, const char *device) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = device, .threads = 1, .seed = 5,
                               .debug = "poison" };
    jc_error err = JC_ERROR_INIT;
    memset(h, 0, sizeof *h);
    h->arena = jc_arena_new(NULL);
    ck_assert(h->arena && jitc_context_new(&o, &h->ctx) == JITC_OK);
    ck_assert_msg(jitc_plugin_load(h->ctx, TEST_BUILDDIR "/examples/jitc_tiny_ops.so") == JITC_OK, "%s",
                  jitc_context_error(h->ctx));
    ck_assert_msg(jc_context_device(h->ctx, &h->device, &err) == JITC_OK, "%s: %s", device, err.message);
    h->trace = (jc_call_trace){ record, h };
    h->ctx->trace = &h->trace;
}

void golden_close(golden_host *h) {
    for (size_t i = 0; i < h->blocks.n; i++)
        h->device->ops->free(h->device, h->blocks.at[i]);
    jitc_context_free(h->ctx);
    jc_arena_free(h->arena);
}

/* --- models --- */

static golden_model build(golden_host *h, const char *name, jitc_graph *const *graphs, uint32_t n,
                          const jitc_model_options *options) {
    golden_model m = { .path = jc_arena_strdup(h->arena, name), .stats = { .struct_size = sizeof m.stats } };
    jitc_model_options plain = { .struct_size = sizeof plain };
    ck_assert_msg(jitc_model_build(h->ctx, graphs, n, options ? options : &plain, &m.m) == JITC_OK, "%s: %s", name,
                  jitc_context_error(h->ctx));
    m.root = graphs[0]->g->root;
    jitc_model_get_stats(m.m, &m.stats);
    return m;
}

golden_model golden_build_all(golden_host *h, const char *const *paths, uint32_t n, const jitc_model_options *options) {
    jitc_graph **graphs = JC_NEWN(h->arena, jitc_graph *, n);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_msg(jitc_graph_read_file(h->ctx, paths[i], &graphs[i]) == JITC_OK, "%s", jitc_context_error(h->ctx));
    return build(h, paths[0], graphs, n, options);
}

golden_model golden_build(golden_host *h, const char *path, const jitc_model_options *options) {
    return golden_build_all(h, &path, 1, options);
}

golden_model golden_build_text(golden_host *h, const char *name, const char *text, const jitc_model_options *options) {
    jitc_graph *graph;
    ck_assert_msg(jitc_graph_read(h->ctx, name, text, strlen(text), &graph) == JITC_OK, "%s", jitc_context_error(h->ctx));
    return build(h, name, &graph, 1, options);
}

static jitc_strides one_entry(jc_arena *arena, const char *param, const json_t *list) {
    const char **text = JC_NEWN(arena, const char *, json_array_size(list));
    for (size_t d = 0; d < json_array_size(list); d++) {
        const json_t *e = json_array_get(list, d);
        text[d] = json_is_string(e) ? jc_arena_strdup(arena, json_string_value(e))
                                    : jc_arena_printf(arena, "%lld", (long long)json_integer_value(e));
    }
    return (jitc_strides){ jc_arena_strdup(arena, param), (uint32_t)json_array_size(list), text };
}

void golden_strides(golden_host *h, const char *path, jitc_model_options *options) {
    const char *param;
    json_t *list, *file = json_load_file(path, 0, NULL);
    jitc_strides *out = JC_NEWN(h->arena, jitc_strides, json_object_size(file));
    options->nstrides = 0;
    json_object_foreach(file, param, list)
        out[options->nstrides++] = one_entry(h->arena, param, list);
    options->strides = out;
    json_decref(file);
}

void golden_expect(const golden_model *m, uint64_t compiled, uint64_t hits) {
    ck_assert_msg(m->stats.compiled == compiled && m->stats.hits == hits, "%s: %llu compiled and %llu hits, expected %llu and %llu",
                  m->path, (unsigned long long)m->stats.compiled, (unsigned long long)m->stats.hits,
                  (unsigned long long)compiled, (unsigned long long)hits);
}

/* --- inputs --- */

jitc_value golden_tensor(golden_host *h, const jc_st_tensor *t, bool on_device) {
    jc_error err = JC_ERROR_INIT;
    DLTensor *dl = JC_NEW(h->arena, DLTensor);
    *dl = (DLTensor){ .data = (void *)t->data, .ndim = t->rank, .device = h->device->dl,
                      .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
    dl->shape = jc_arena_memdup(h->arena, t->dims, sizeof t->dims);
    if (on_device) {
        ck_assert_msg(h->device->ops->alloc(h->device, t->nbytes, &dl->data, &err) == JITC_OK, "%s", err.message);
        jc_push(h->arena, &h->blocks, dl->data);
        ck_assert_msg(h->device->ops->copy_in(h->device, dl->data, t->data, t->nbytes, NULL, &err) == JITC_OK, "%s",
                      err.message);
    }
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = dl };
}

jitc_value *golden_values(golden_host *h, const jc_func *f, const jc_st_file *inputs, const void *names) {
    jc_error err = JC_ERROR_INIT;
    jitc_value *in = JC_NEWN(h->arena, jitc_value, f->nparams);
    for (uint32_t k = 0; k < f->nparams; k++) {
        const jc_value *p = f->params[k];
        if (p->type.kind == JC_TENSOR) {
            const jc_st_tensor *t = jc_st_find(inputs, p->name);
            ck_assert_msg(t != NULL, "there is no input for %s", p->name);
            in[k] = golden_tensor(h, t, true);
        } else if (p->type.kind == JC_NAME) {
            const char *text = json_string_value(json_object_get(names, p->name));
            ck_assert_msg(text != NULL, "there is no name for %s", p->name);
            in[k] = (jitc_value){ .tag = JITC_NAME, .name = jitc_layer_name_intern(h->ctx, text, NULL) };
        }
    }
    uint32_t nsyms = jc_sym_count(f->graph->exprs);
    int64_t *syms = JC_NEWN(h->arena, int64_t, nsyms);
    ck_assert_msg(jc_solve(f, in, 1, syms, &err) == JITC_OK, "%s", err.message);
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k]->type.kind == JC_SYMINT) {
            in[k].tag = JITC_INT;
            ck_assert(jc_ex_eval(f->params[k]->type.expr, syms, nsyms, &in[k].i));
        }
    return in;
}

/* --- results --- */

static int dtype_of(DLDataType d) {
    for (int k = 0; k < JC_DTYPE_COUNT; k++)
        if (jc_dtypes[k].dl_code == d.code && jc_dtypes[k].dl_bits == d.bits)
            return k;
    return -1;
}

/* Elements in row-major order, whatever the strides. */
static void fetch(golden_host *h, const DLTensor *t, jc_st_tensor *out) {
    jc_error err = JC_ERROR_INIT;
    int dtype = dtype_of(t->dtype);
    ck_assert(dtype >= 0 && t->ndim <= JC_MAX_RANK);
    int64_t n = 1, span = 1;
    out->dtype = (jc_dtype)dtype;
    out->rank = t->ndim;
    for (int d = 0; d < t->ndim; d++) {
        out->dims[d] = t->shape[d];
        n *= t->shape[d];
        span += (t->shape[d] - 1) * t->strides[d];
    }
    size_t size = jc_dtypes[dtype].size;
    char *to = jc_arena_alloc(h->arena, (size_t)n * size);
    out->data = to;
    out->nbytes = (size_t)n * size;
    if (n == 0)
        return;
    char *raw = malloc((size_t)span * size);
    ck_assert_msg(h->device->ops->copy_out(h->device, raw, (char *)t->data + t->byte_offset, (size_t)span * size, NULL,
                                           &err) == JITC_OK, "%s", err.message);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, at = 0;
        for (int d = t->ndim; d-- > 0;) {
            at += rest % t->shape[d] * t->strides[d];
            rest /= t->shape[d];
        }
        memcpy(to + (size_t)i * size, raw + (size_t)at * size, size);
    }
    free(raw);
}

static bool undefined(const golden_model *m, uint32_t piece, uint32_t output) {
    const jc_class *c = &m->m->classes[m->m->pieces[piece].cls];
    const jc_plan *plan = jc_exec_plan(jc_class_loaded(c));
    return plan->outputs[output].kind == JC_OUT_TENSOR && plan->outputs[output].undefined;
}

/* The piece that made an output of the root, if one did and nothing that follows could write it. */
static bool root_undefined(const golden_model *m, const jc_arg *output) {
    if (m->m->npieces != 1 || output->kind != JC_ARG_VALUE || !output->value->def)
        return false;
    return undefined(m, 0, output->value->index);
}

static golden_out *collect(golden_host *h, const jitc_value *results, uint32_t n) {
    golden_out *out = JC_NEWN(h->arena, golden_out, n);
    for (uint32_t k = 0; k < n; k++) {
        out[k].tensor.name = jc_arena_printf(h->arena, "out%u", k);
        if (results[k].tag == JITC_TENSOR) {
            fetch(h, results[k].tensor, &out[k].tensor);
        } else {
            ck_assert_uint_eq(results[k].tag, JITC_INT);
            out[k].tensor.dtype = JC_I64;
            out[k].tensor.nbytes = sizeof(int64_t);
            out[k].tensor.data = jc_arena_memdup(h->arena, &results[k].i, sizeof(int64_t));
        }
    }
    return out;
}

golden_out *golden_run(golden_host *h, const golden_model *m, const jitc_value *values) {
    uint32_t n = m->root->noutputs;
    jitc_value *results = JC_NEWN(h->arena, jitc_value, n);
    h->calls.n = 0;
    ck_assert_msg(jitc_model_run(m->m, 0, NULL, values, m->root->nparams, results, n) == JITC_OK, "%s: %s", m->path,
                  jitc_context_error(h->ctx));
    golden_out *out = collect(h, results, n);
    for (uint32_t k = 0; k < n; k++)
        out[k].undefined = root_undefined(m, &m->root->outputs[k]);
    return out;
}

golden_out *golden_run_piece(golden_host *h, const golden_model *m, uint32_t piece, const jitc_value *values) {
    const jc_func *f = m->m->pieces[piece].func;
    jitc_value *results = JC_NEWN(h->arena, jitc_value, f->noutputs);
    h->calls.n = 0;
    ck_assert_msg(jitc_piece_run(m->m, piece, NULL, values, f->nparams, results, f->noutputs) == JITC_OK, "%s: %s",
                  m->path, jitc_context_error(h->ctx));
    golden_out *out = collect(h, results, f->noutputs);
    for (uint32_t k = 0; k < f->noutputs; k++)
        out[k].undefined = undefined(m, piece, k);
    return out;
}

/* --- the reference --- */

static jitc_status call_op(void *user, const char *target, const jitc_value *args, const char *const *keys,
                           uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    golden_host *h = user;
    const jc_op_entry *op = jc_ops_find(h->ctx->ops, target, kDLCPU);
    if (!op)
        return jc_fail_at(err, JITC_E_UNSUPPORTED, NULL, line, 0, NULL, "%s is not registered", target);
    return jc_op_call(op, (DLDevice){ .device_type = kDLCPU }, NULL, args, keys, nargs, results, nresults, err);
}

static const jitc_layer_name *name_of(void *user, const char *text) {
    golden_host *h = user;
    return jitc_layer_name_intern(h->ctx, text, NULL);
}

jc_eval_out *golden_evaluate(golden_host *h, const char *what, const jc_func *f, unsigned how, const jitc_value *values) {
    jc_error err = JC_ERROR_INIT;
    uint32_t nsyms = jc_sym_count(f->graph->exprs);
    int64_t *syms = JC_NEWN(h->arena, int64_t, nsyms);
    jc_eval_out *out = JC_NEWN(h->arena, jc_eval_out, f->noutputs);
    jc_eval_host host = { .call = call_op, .user = h, .name = name_of };
    ck_assert_msg(jc_solve(f, values, 1, syms, &err) == JITC_OK, "%s: %s", what, err.message);
    ck_assert_msg(jc_eval(f, how | (h->device->target.dialect != JC_DIALECT_HOST ? JC_EVAL_GPU : 0), syms, nsyms, values, &host, h->arena, out, &err) == JITC_OK, "%s:%d: %s", what, err.line,
                  err.message);
    return out;
}

jc_eval_out *golden_reference(golden_host *h, const char *path, const jitc_value *values) {
    jitc_graph *graph;
    ck_assert_msg(jitc_graph_read_file(h->ctx, path, &graph) == JITC_OK, "%s", jitc_context_error(h->ctx));
    return golden_evaluate(h, path, graph->g->root, 0, values);
}

jc_st_tensor golden_exact(const jc_eval_out *o) {
    jc_st_tensor t = { .dtype = JC_F64, .rank = o->rank, .data = o->f };
    memcpy(t.dims, o->dims, sizeof t.dims);
    return t;
}

jc_st_tensor golden_nearer(golden_host *h, const jc_st_tensor *got, const jc_eval_out *exact, const jc_eval_out *eager) {
    jc_st_tensor t = golden_exact(exact);
    size_t size = jc_dtypes[got->dtype].size, n = got->nbytes / size;
    double *f = JC_NEWN(h->arena, double, n);
    for (size_t k = 0; k < n; k++) {
        double x = jc_load_float(got->dtype, (const char *)got->data + k * size);
        f[k] = fabs(x - eager->f[k]) < fabs(x - exact->f[k]) ? eager->f[k] : exact->f[k];
    }
    t.data = (const uint8_t *)f;
    return t;
}

double golden_distance(const char *what, const jc_st_tensor *a, const jc_st_tensor *b) {
    double apart = 0, size = 0;
    int64_t n = 1;
    ck_assert_msg(a->rank == b->rank, "%s: rank %d, expected %d", what, a->rank, b->rank);
    for (int d = 0; d < a->rank; d++) {
        ck_assert_msg(a->dims[d] == b->dims[d], "%s: dimension %d is %lld, expected %lld", what, d, (long long)a->dims[d],
                      (long long)b->dims[d]);
        n *= a->dims[d];
    }
    for (int64_t k = 0; k < n; k++) {
        double x = jc_load_float(a->dtype, (const char *)a->data + k * jc_dtypes[a->dtype].size);
        double y = jc_load_float(b->dtype, (const char *)b->data + k * jc_dtypes[b->dtype].size);
        apart += (x - y) * (x - y);
        size += y * y;
    }
    return apart == 0 ? 0 : sqrt(apart / size);
}
