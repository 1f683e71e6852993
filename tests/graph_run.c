/*
 * tests/graph_run.c - see graph_run.h. The reference (ir/eval) shares no code with what is tested.
 */
#include "tests/graph_run.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/canon/canon.h"
#include "ir/eval/eval.h"
#include "ir/fx/fx.h"
#include "ir/passes.h"

char *graph_text(const graph_case *c) {
    char *out = NULL;
    size_t n;
    if (!c->params)
        return strdup(c->body);
    FILE *f = open_memstream(&out, &n);
    fprintf(f, "class GraphModule(torch.nn.Module):\n    def forward(self, %s):\n", c->params);
    for (const char *p = c->body; *p;) {
        size_t line = strcspn(p, "\n");
        fprintf(f, "        %.*s\n", (int)line, p);
        p += line + (p[line] == '\n');
    }
    fprintf(f, "        return (%s,)\n", c->result);
    fclose(f);
    return out;
}

static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

typedef struct tensor {
    DLTensor dl;
    int64_t dims[2 * JC_MAX_RANK];
} tensor;

static DLDataType dl_type(jc_dtype d) {
    return (DLDataType){ jc_dtypes[d].dl_code, jc_dtypes[d].dl_bits, 1 };
}

/* Floats in [-2, 2), integers in [0, 8), bools. */
static void fill(jc_dtype d, void *data, int64_t n, uint64_t *state) {
    uint8_t *at = data;
    for (int64_t i = 0; i < n; i++, at += jc_dtypes[d].size) {
        uint64_t r = next(state);
        if (jc_dtypes[d].cls == 'f')
            jc_store_float(d, at, (double)(int64_t)(r >> 40) / (1 << 22) - 2);
        else
            jc_store_int(d, at, jc_dtypes[d].cls == 'b' ? (int64_t)(r & 1) : (int64_t)(r % 8));
    }
}

static void make_tensor(const jc_value *v, jc_device *device, const int64_t *syms, uint32_t nsyms, uint64_t *state,
                        tensor *t, tensor *host) {
    int64_t n = 1;
    memset(t, 0, sizeof *t);
    for (uint32_t d = v->type.rank; d-- > 0;) {
        ck_assert(jc_ex_eval(v->type.dims[d], syms, nsyms, &t->dims[d]));
        t->dims[JC_MAX_RANK + d] = n;
        n *= t->dims[d];
    }
    size_t bytes = (size_t)n * jc_dtypes[v->type.dtype].size;
    t->dl = (DLTensor){ .device = device->dl, .ndim = v->type.rank, .dtype = dl_type((jc_dtype)v->type.dtype),
                        .shape = t->dims, .strides = t->dims + JC_MAX_RANK };
    *host = *t;
    host->dl.shape = host->dims;
    host->dl.strides = host->dims + JC_MAX_RANK;
    host->dl.device.device_type = kDLCPU;
    host->dl.data = calloc(1, bytes + 16);
    fill((jc_dtype)v->type.dtype, host->dl.data, n, state);
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(device->ops->alloc(device, bytes, &t->dl.data, &err), JITC_OK);
    ck_assert_int_eq(device->ops->copy_in(device, t->dl.data, host->dl.data, bytes, NULL, &err), JITC_OK);
}

static double default_tolerance(jc_dtype d) {
    return d == JC_F64 ? 1e-12 : d == JC_F32 ? 1e-5 : jc_dtypes[d].size == 2 ? 1e-2 : 1e-1;
}

/* Relative L2 distance, NaN and infinities in the same places counting as equal. */
static double distance(const graph_case *c, jc_device *device, const jitc_value *got, const jc_eval_out *want) {
    jc_error err = JC_ERROR_INIT;
    double difference = 0, norm = 0;
    int64_t n = 1;
    if (want->kind == JC_SYMINT) {
        ck_assert_msg(got->tag == JITC_INT && got->i == want->integer, "%s: symint %lld, expected %lld", c->name,
                      (long long)got->i, (long long)want->integer);
        return 0;
    }
    if (want->undefined)
        return 0;
    ck_assert_msg(got->tag == JITC_TENSOR, "%s: result is no tensor", c->name);
    const DLTensor *t = got->tensor;
    ck_assert_int_eq(t->ndim, want->rank);
    int64_t span = 1;
    for (int d = 0; d < want->rank; d++) {
        ck_assert_msg(t->shape[d] == want->dims[d], "%s: dim %d is %lld, expected %lld", c->name, d,
                      (long long)t->shape[d], (long long)want->dims[d]);
        n *= want->dims[d];
        span += (want->dims[d] - 1) * t->strides[d];
    }
    if (n == 0)
        return 0;
    size_t size = jc_dtypes[want->dtype].size;
    uint8_t *raw = malloc((size_t)span * size);
    ck_assert_int_eq(device->ops->copy_out(device, raw, (uint8_t *)t->data + t->byte_offset, (size_t)span * size, NULL,
                                           &err), JITC_OK);
    ck_assert_int_eq(device->ops->sync(device, NULL, &err), JITC_OK);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, at = 0;
        for (int d = want->rank; d-- > 0;) {
            at += rest % want->dims[d] * t->strides[d];
            rest /= want->dims[d];
        }
        if (want->f) {
            double x = jc_load_float(want->dtype, raw + (size_t)at * size), y = want->f[i];
            if ((isnan(x) && isnan(y)) || x == y) {
                norm += isfinite(y) ? y * y : 0;
                continue;
            }
            ck_assert_msg(isfinite(x) && (isfinite(y) || fabs(x) > 400), "%s: element %lld is %g, expected %g", c->name,
                          (long long)i, x, y);
            difference += (x - y) * (x - y);
            norm += y * y;
        } else {
            int64_t x = jc_load_int(want->dtype, raw + (size_t)at * size);
            ck_assert_msg(x == want->i[i], "%s: element %lld is %lld, expected %lld", c->name, (long long)i,
                          (long long)x, (long long)want->i[i]);
        }
    }
    free(raw);
    return difference == 0 ? 0 : sqrt(difference / norm);
}

static jitc_status call_op(void *user, const char *target, const jitc_value *args, const char *const *keys,
                           uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    jitc_context *ctx = user;
    DLDevice cpu = { kDLCPU, 0 };
    const jc_op_entry *op = jc_ops_find(ctx->ops, target, kDLCPU);
    jitc_value own[16]; /* the graph as read still has its strings: an operator gets names */
    (void)line;
    if (!op)
        return jc_fail(err, JITC_E_UNSUPPORTED, "%s is not registered", target);
    for (uint32_t i = 0; i < nargs; i++) {
        own[i] = args[i];
        if (args[i].tag == JITC_STR)
            own[i] = (jitc_value){ .tag = JITC_NAME, .name = jitc_layer_name_intern(ctx, args[i].str, NULL) };
    }
    args = own;
    return jc_op_call(op, cpu, NULL, args, keys, nargs, results, nresults, err);
}

static jitc_context *context(const graph_case *c, const char *device, uint64_t seed) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = device, .threads = 1, .seed = seed,
                               .debug = "poison" };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    if (c->setup)
        ck_assert(c->setup(ctx));
    return ctx;
}

enum { MAX_INPUTS = 1100, MAX_RESULTS = 200, MAX_SYMBOLS = 100 };

/* A case, read twice (the reference does not see what the passes did), with inputs in both memories. */
typedef struct trial {
    const graph_case *c;
    jitc_context *ctx;
    jitc_graph *graph, *plain;
    jitc_model *model;
    jc_device *device;
    const jc_func *root;
    uint32_t nsyms;
    int64_t syms[MAX_SYMBOLS];
    tensor *on_device, *on_host;
    jitc_value in[MAX_INPUTS], ref_in[MAX_INPUTS], out[MAX_RESULTS];
    jc_eval_out *want;
} trial;

/* Reads and builds; what fails is left in the context. */
/* "s0=3 s1=0" as ranges that hold just that; NAMES gets the names. */
static uint32_t exact_ranges(const char *text, char names[][16], jitc_range *out) {
    uint32_t n = 0;
    for (const char *p = text; *p; n++) {
        size_t name = strcspn(p, "=");
        ck_assert_uint_lt(n, MAX_SYMBOLS);
        snprintf(names[n], 16, "%.*s", (int)name, p);
        const int64_t value = strtoll(p + name + 1, (char **)&p, 10);
        out[n] = (jitc_range){ names[n], value, value };
        p += strspn(p, " ");
    }
    return n;
}

/* EXACT: for these symbols alone; NULL: for all. */
static jitc_status trial_build(trial *t, const graph_case *c, const char *device_name, const char *exact, uint64_t seed) {
    jc_error err = JC_ERROR_INIT;
    char names[MAX_SYMBOLS][16];
    jitc_range ranges[MAX_SYMBOLS];
    const char *level = strchr(device_name, '/');
    char device[16];
    snprintf(device, sizeof device, "%.*s", (int)(level ? level - device_name : (ptrdiff_t)strlen(device_name)), device_name);
    *t = (trial){ .c = c, .ctx = context(c, device, seed) };
    if (level) {
        ck_assert_int_eq(jc_context_device(t->ctx, &t->device, &err), JITC_OK);
        snprintf(t->device->target.cpu, sizeof t->device->target.cpu, "%s", level + 1);
    }
    char *text = graph_text(c);
    jitc_model_options o = { .struct_size = sizeof o, .strict = seed & 1, .clamp_index = true, .ranges = ranges,
                             .nranges = exact ? exact_ranges(exact, names, ranges) : 0 };
    jitc_status status = jitc_graph_read(t->ctx, c->name, text, strlen(text), &t->graph);
    if (status == JITC_OK) {
        ck_assert_int_eq(jitc_graph_read(t->ctx, c->name, text, strlen(text), &t->plain), JITC_OK);
        t->root = t->plain->g->root;
        t->nsyms = jc_sym_count(t->root->graph->exprs);
        ck_assert_uint_le(t->nsyms, MAX_SYMBOLS);
        ck_assert_uint_le(t->root->nparams, MAX_INPUTS);
        ck_assert_uint_le(t->root->noutputs, MAX_RESULTS);
        status = jitc_model_build(t->ctx, &t->graph, 1, &o, &t->model);
    }
    free(text);
    if (status == JITC_OK)
        ck_assert_msg(jc_context_device(t->ctx, &t->device, &err) == JITC_OK, "%s", err.message);
    return status;
}

static void trial_inputs(trial *t, uint64_t seed) {
    uint32_t np = t->root->nparams;
    uint64_t state = seed;
    t->on_device = calloc(np + 1, sizeof(tensor));
    t->on_host = calloc(np + 1, sizeof(tensor));
    for (uint32_t p = 0; p < np; p++) {
        const jc_value *v = t->root->params[p];
        jitc_value *in = &t->in[p];
        if (v->type.kind == JC_TENSOR) {
            make_tensor(v, t->device, t->syms, t->nsyms, &state, &t->on_device[p], &t->on_host[p]);
            *in = (jitc_value){ .tag = JITC_TENSOR, .tensor = &t->on_device[p].dl };
            t->ref_in[p] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &t->on_host[p].dl };
            continue;
        }
        if (v->type.kind == JC_SYMINT) {
            *in = (jitc_value){ .tag = JITC_INT };
            ck_assert(jc_ex_eval(v->type.expr, t->syms, t->nsyms, &in->i));
        } else {
            *in = (jitc_value){ .tag = JITC_NAME, .name = jitc_layer_name_intern(t->ctx, v->name, NULL) };
        }
        t->ref_in[p] = *in;
    }
}

/* The inputs again, after a run that may have written them. */
static void trial_refill(trial *t) {
    jc_error err = JC_ERROR_INIT;
    for (uint32_t p = 0; p < t->root->nparams; p++) {
        size_t bytes = jc_dtypes[t->root->params[p]->type.dtype].size;
        if (t->in[p].tag != JITC_TENSOR)
            continue;
        for (int d = 0; d < t->on_host[p].dl.ndim; d++)
            bytes *= (size_t)t->on_host[p].dims[d];
        t->device->ops->copy_in(t->device, t->on_device[p].dl.data, t->on_host[p].dl.data, bytes, NULL, &err);
    }
}

static jitc_status trial_reference(trial *t, jc_error *err) {
    jc_eval_host host = { .call = call_op, .user = t->ctx };
    t->want = JC_NEWN(t->plain->arena, jc_eval_out, t->root->noutputs);
    const bool gpu = t->device->target.dialect != JC_DIALECT_HOST;
    return jc_eval(t->root, JC_EVAL_CLAMP | (gpu ? JC_EVAL_GPU : 0), t->syms, t->nsyms, t->ref_in, &host, t->plain->arena, t->want, err);
}

static jitc_status trial_run(trial *t) {
    return jitc_model_run(t->model, 0, NULL, t->in, t->root->nparams, t->out, t->root->noutputs);
}

static void trial_end(trial *t) {
    for (uint32_t p = 0; t->on_device && p < t->root->nparams; p++)
        if (t->in[p].tag == JITC_TENSOR) {
            t->device->ops->free(t->device, t->on_device[p].dl.data);
            free(t->on_host[p].dl.data);
        }
    free(t->on_device);
    free(t->on_host);
    jitc_context_free(t->ctx);
}

/* Runs twice (the second call takes the remembered shape) and compares. WHERE says the symbols, for messages. */
static double trial_compare(trial *t, const char *device_name, const char *where) {
    jc_error err = JC_ERROR_INIT;
    double worst = 0;
    jitc_status status = trial_reference(t, &err);
    ck_assert_msg(status == JITC_OK, "%s: reference: %s", t->c->name, err.message);
    for (int twice = 0; twice < 2; twice++) {
        if (twice)
            trial_refill(t);
        status = trial_run(t);
        ck_assert_msg(status == JITC_OK, "%s on %s, %s: %s", t->c->name, device_name, where, jitc_context_error(t->ctx));
        for (uint32_t i = 0; i < t->root->noutputs; i++) {
            double d = distance(t->c, t->device, &t->out[i], &t->want[i]);
            double limit = t->c->tolerance > 0 ? t->c->tolerance : default_tolerance((jc_dtype)t->want[i].dtype);
            ck_assert_msg(d <= limit, "%s on %s, %s: result %u is off by %g (limit %g)", t->c->name, device_name, where, i,
                          d, limit);
            worst = d > worst ? d : worst;
        }
    }
    return worst;
}

double graph_check(const graph_case *c, const char *device_name, int64_t sym, uint64_t seed) {
    trial t;
    char where[40];
    jitc_status status = trial_build(&t, c, device_name, NULL, seed);
    ck_assert_msg(status == JITC_OK, "%s: %s", c->name, jitc_context_error(t.ctx));
    for (uint32_t i = 0; i < t.nsyms; i++)
        t.syms[i] = sym;
    snprintf(where, sizeof where, "%lld rows", (long long)sym);
    trial_inputs(&t, seed);
    double worst = trial_compare(&t, device_name, where);
    trial_end(&t);
    return worst;
}

/* "s0=3 s1=0" */
static void trial_symbols(trial *t, const char *text) {
    for (const char *p = text; *p;) {
        size_t name = strcspn(p, "=");
        uint32_t sym = jc_sym_find(t->root->graph->exprs, p, name);
        ck_assert_msg(sym != UINT32_MAX, "%s: no symbol %.*s", t->c->name, (int)name, p);
        t->syms[sym] = strtoll(p + name + 1, (char **)&p, 10);
        p += strspn(p, " ");
    }
}

static double check_built(const graph_case *c, const char *device_name, const char *symbols, const char *exact, uint64_t seed) {
    trial t;
    jitc_status status = trial_build(&t, c, device_name, exact, seed);
    ck_assert_msg(status == JITC_OK, "%s: %s", c->name, jitc_context_error(t.ctx));
    trial_symbols(&t, symbols);
    trial_inputs(&t, seed);
    double worst = trial_compare(&t, device_name, symbols);
    trial_end(&t);
    return worst;
}

double graph_check_at(const graph_case *c, const char *device_name, const char *symbols, uint64_t seed) {
    return check_built(c, device_name, symbols, NULL, seed);
}

double graph_check_exact(const graph_case *c, const char *device_name, const char *symbols, uint64_t seed) {
    return check_built(c, device_name, symbols, symbols, seed);
}

/* Refused with EXPECTED, also by the reference where it does not have an answer (KNOWN). */
static void refused_at(const graph_case *c, const char *device_name, const char *symbols, const char *fragments, jitc_status expected,
                       bool known) {
    trial t;
    jc_error err = JC_ERROR_INIT;
    char want[80];
    jitc_status status = trial_build(&t, c, device_name, NULL, 1);
    if (status == JITC_OK) {
        trial_symbols(&t, symbols);
        trial_inputs(&t, 1);
        status = trial_reference(&t, &err);
        ck_assert_msg(status == (known ? JITC_OK : JITC_E_INPUT), "%s, %s: the reference gives %d", c->name, symbols, status);
        status = trial_run(&t);
    }
    ck_assert_msg(status == expected, "%s on %s, %s: status %d", c->name, device_name, symbols, status);
    for (const char *p = fragments; *p;) {
        size_t n = strcspn(p, "|");
        snprintf(want, sizeof want, "%.*s", (int)n, p);
        ck_assert_msg(strstr(jitc_context_error(t.ctx), want) != NULL, "%s on %s, %s: \"%s\" does not say \"%s\"", c->name,
                      device_name, symbols, jitc_context_error(t.ctx), want);
        p += n + (p[n] == '|');
    }
    trial_end(&t);
}

void graph_fails_at(const graph_case *c, const char *device_name, const char *symbols, const char *fragments) {
    refused_at(c, device_name, symbols, fragments, JITC_E_INPUT, false);
}

void graph_unsupported_at(const graph_case *c, const char *device_name, const char *symbols, const char *fragments, bool known) {
    refused_at(c, device_name, symbols, fragments, JITC_E_UNSUPPORTED, known);
}

jitc_status graph_compile(const graph_case *c, const char *arch, uint8_t **artifact, size_t *n, char *message,
                          size_t size) {
    jitc_context *ctx = context(c, "host", 1);
    jitc_graph *graph;
    jitc_model *model = NULL;
    char *text = graph_text(c);
    jitc_model_options o = { .struct_size = sizeof o, .arch = arch };
    jitc_status status = jitc_graph_read(ctx, c->name, text, strlen(text), &graph);
    if (status == JITC_OK)
        status = jitc_model_build(ctx, &graph, 1, &o, &model);
    snprintf(message, size, "%s", status == JITC_OK ? "" : jitc_context_error(ctx));
    if (status == JITC_OK && artifact) {
        *n = model->classes[0].variants[0].request.nartifact;
        *artifact = malloc(*n);
        memcpy(*artifact, model->classes[0].variants[0].request.artifact, *n);
    }
    free(text);
    jitc_context_free(ctx);
    return status;
}

jc_schedule graph_schedule(const graph_case *c, const char *arch, jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    jc_graph *g, *class_;
    jc_canon canon;
    jc_schedule s;
    jc_schedule_options o = { 0 };
    char *text = graph_text(c);
    ck_assert_msg(jc_fx_read(arena, c->name, text, strlen(text), &g, &err) == JITC_OK, "%s: %s", c->name, err.message);
    ck_assert_int_eq(jc_split(g, NULL, &err), JITC_OK);
    ck_assert_int_eq(jc_layout(g, NULL, 0, &err), JITC_OK);
    ck_assert_int_eq(jc_canonicalise(g->pieces.at[0], 0, arena, &canon, &err), JITC_OK);
    ck_assert_int_eq(jc_canon_decode(canon.bytes, canon.nbytes, arena, &class_, &err), JITC_OK);
    const char *cpu = strchr(arch, '/'); /* "host/x86-64-v3": for that CPU */
    ck_assert_int_eq(jc_target_parse(cpu ? "host" : arch, &o.target, &err), JITC_OK);
    if (cpu)
        snprintf(o.target.cpu, sizeof o.target.cpu, "%s", cpu + 1);
    o.clamp = jc_target_is_gpu(&o.target);
    ck_assert_msg(jc_schedule_class(class_->root, &o, arena, &s, &err) == JITC_OK, "%s: %s", c->name, err.message);
    free(text);
    return s;
}
