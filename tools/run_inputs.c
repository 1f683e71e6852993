/*
 * tools/run_inputs.c - the inputs of a run: from a file where it has them, made up where not.
 *
 * Made-up numbers depend on --seed and the parameter's name alone, so that two graphs with the same parameters get the
 * same inputs.  A floating tensor with a symbolic dim is an activation: uniform, variance 1.  One of constant dims is a weight:
 * of rank 1 around 1 (norms), else uniform with variance 1/last dim, so that activations keep their size through the layers.
 * Integers are indices below the smallest table they index, else below 8.
 */
#include "tools/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_SYMBOL 8
#define DEFAULT_BOUND 8
#define UNKNOWN (-1)

/* --- random numbers --- */

static uint64_t seed_of(const char *name, int64_t seed) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h ^ ((uint64_t)seed * 0x9e3779b97f4a7c15u);
}

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [-1, 1). */
static double uniform(uint64_t *state) {
    return (double)(int64_t)(splitmix(state) >> 11) / (double)(1ll << 52) - 1;
}

/* --- symbols --- */

/* What --sym says; its form has been checked. */
static bool user_symbol(const run *r, const char *name, int64_t *value) {
    for (size_t i = 0; i < r->t->o.sym.n; i++) {
        const char *rest;
        size_t n;
        if (tool_pair(r->t->o.sym.at[i], &n, &rest) && strlen(name) == n && memcmp(name, r->t->o.sym.at[i], n) == 0)
            return tool_integer(rest, value);
    }
    return false;
}

typedef struct uses {
    bool *used;
    uint32_t n;
} uses;

static void mark(void *user, uint32_t sym) {
    uses *u = user;
    if (sym < u->n)
        u->used[sym] = true;
}

static void uses_of(const jc_type *type, uses *u) {
    for (int d = 0; d < type->rank; d++) {
        jc_ex_symbols(type->dims[d], mark, u);
        if (type->strides)
            jc_ex_symbols(type->strides[d], mark, u);
    }
    if (type->kind == JC_SYMINT && type->expr)
        jc_ex_symbols(type->expr, mark, u);
}

/* A symbol that is only ever a stride: what makes its tensors as dense as can be. */
static int64_t stride_value(const run *r, uint32_t sym) {
    int64_t value = 0;
    for (uint32_t i = 0; i < r->f->nparams; i++) {
        const jc_type *type = &r->f->params[i]->type;
        int64_t inner = 1, dim;
        for (int d = type->rank - 1; type->kind == JC_TENSOR && d >= 0; d--) {
            if (type->strides && type->strides[d]->kind == JC_EX_SYM && type->strides[d]->sym == sym && inner > value)
                value = inner;
            if (!jc_ex_eval(type->dims[d], r->syms, r->nsyms, &dim))
                break;
            inner *= dim;
        }
    }
    return value;
}

static bool in_dims(const run *r, uint32_t sym) {
    for (uint32_t i = 0; i < r->f->nparams; i++) {
        const jc_type *type = &r->f->params[i]->type;
        for (int d = 0; d < type->rank; d++)
            if (jc_ex_uses(type->dims[d], sym))
                return true;
        if (type->kind == JC_SYMINT && type->expr && jc_ex_uses(type->expr, sym))
            return true;
    }
    return false;
}

/* How many dims of parameters cannot be made with the values so far. */
static uint32_t impossible_dims(const run *r) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->f->nparams; i++) {
        const jc_type *type = &r->f->params[i]->type;
        for (int d = 0; type->kind == JC_TENSOR && d < type->rank; d++) {
            int64_t dim;
            n += !jc_ex_eval(type->dims[d], r->syms, r->nsyms, &dim) || dim < 0;
        }
    }
    return n;
}

/* Where a dim comes out below 0 (40 - s0, s0 - 100) the made-up symbols that can help get another value. */
static void make_possible(run *r, const bool *made) {
    static const int64_t others[] = { 16, 32, 64, 128, 256, 1024, 4096, 65536, 4, 2, 1, 0 };
    uint32_t left = impossible_dims(r);
    for (uint32_t s = 0; s < r->nsyms && left; s++) {
        for (size_t i = 0; made[s] && left && i < sizeof others / sizeof *others; i++) {
            const int64_t before = r->syms[s];
            r->syms[s] = others[i];
            const uint32_t now = impossible_dims(r);
            if (now < left)
                left = now;
            else
                r->syms[s] = before;
        }
    }
}

/* Values for what no input determines. */
static jitc_status choose_symbols(run *r, jc_error *err) {
    jc_exprs *exprs = r->f->graph->exprs;
    uses u = { JC_NEWN(r->arena, bool, r->nsyms), r->nsyms };
    bool *made = JC_NEWN(r->arena, bool, r->nsyms);
    for (uint32_t i = 0; i < r->f->nparams; i++)
        uses_of(&r->f->params[i]->type, &u);
    for (int strides = 0; strides < 2; strides++) {
        for (uint32_t s = 0; s < r->nsyms; s++) {
            const char *name = jc_sym_at(exprs, s)->name;
            int64_t value = 0;
            if (!u.used[s] || in_dims(r, s) == (strides != 0))
                continue;
            bool given = user_symbol(r, name, &value);
            if (r->syms[s] != UNKNOWN && given && r->syms[s] != value)
                return jc_fail(err, JITC_E_INPUT, "--sym says %s=%lld, but the inputs make it %lld", name,
                               (long long)value, (long long)r->syms[s]);
            if (r->syms[s] != UNKNOWN)
                continue;
            made[s] = !given;
            r->syms[s] = given ? value : strides ? stride_value(r, s) : DEFAULT_SYMBOL;
        }
        if (!strides)
            make_possible(r, made);
    }
    for (uint32_t s = 0; s < r->nsyms; s++) {
        if (made[s] && !r->t->o.quiet)
            fprintf(stderr, "jitc: %s: %s=%lld (--sym gives another value)\n", r->file, jc_sym_at(exprs, s)->name, (long long)r->syms[s]);
        if (r->syms[s] == UNKNOWN)
            r->syms[s] = DEFAULT_SYMBOL;
    }
    return JITC_OK;
}

/* --- tensors --- */

static jitc_status overflow(const run *r, const jc_value *p, jc_error *err) {
    return jc_fail_at(err, JITC_E_INPUT, r->file, p->line, 0, p->name, "the size of '%s' overflows or cannot be computed",
                      p->name);
}

/* An empty tensor of P's type; *BYTES is what its memory spans. */
static jitc_status describe(const run *r, const jc_value *p, DLTensor *t, size_t *bytes, jc_error *err) {
    const jc_type *type = &p->type;
    const jc_dtype_info *info = &jc_dtypes[type->dtype];
    int64_t span = 1, step = 1;
    bool empty = false;
    *t = (DLTensor){ .ndim = type->rank, .device = { .device_type = kDLCPU }, .dtype = { info->dl_code, info->dl_bits, 1 } };
    t->shape = JC_NEWN(r->arena, int64_t, type->rank);
    t->strides = JC_NEWN(r->arena, int64_t, type->rank);
    for (int d = type->rank - 1; d >= 0; d--) {
        int64_t reach;
        t->strides[d] = step;
        if (!jc_ex_eval(type->dims[d], r->syms, r->nsyms, &t->shape[d]) || t->shape[d] < 0 ||
            (type->strides && (!jc_ex_eval(type->strides[d], r->syms, r->nsyms, &t->strides[d]) || t->strides[d] < 0)) ||
            __builtin_mul_overflow(step, t->shape[d], &step) ||
            __builtin_mul_overflow(t->shape[d] ? t->shape[d] - 1 : 0, t->strides[d], &reach) ||
            __builtin_add_overflow(span, reach, &span))
            return overflow(r, p, err);
        empty |= t->shape[d] == 0;
    }
    if (empty)
        span = 0;
    if (span > INT64_MAX / 16)
        return overflow(r, p, err);
    *bytes = (size_t)span * info->size;
    return JITC_OK;
}

/* Calls PUT for every element in row-major order, with where it lies. */
static void each_element(const DLTensor *t, size_t size, void (*put)(void *user, uint64_t n, void *at), void *user) {
    int64_t index[JC_MAX_RANK] = { 0 }, offset = 0;
    uint64_t n = 0;
    for (int d = 0; d < t->ndim; d++)
        if (t->shape[d] == 0)
            return;
    for (;;) {
        put(user, n++, (char *)t->data + (size_t)offset * size);
        int d = t->ndim - 1;
        for (; d >= 0; d--) {
            offset += t->strides[d];
            if (++index[d] < t->shape[d])
                break;
            offset -= t->strides[d] * t->shape[d];
            index[d] = 0;
        }
        if (d < 0)
            return;
    }
}

typedef struct copy {
    const char *from;
    size_t size;
} copy;

static void put_copy(void *user, uint64_t n, void *at) {
    const copy *c = user;
    memcpy(at, c->from + n * c->size, c->size);
}

typedef struct filler {
    uint64_t state;
    jc_dtype dtype;
    double center, width; /* floats */
    uint64_t bound;       /* integers */
} filler;

static void put_random(void *user, uint64_t n, void *at) {
    filler *f = user;
    (void)n;
    if (jc_dtypes[f->dtype].cls == 'f')
        jc_store_float(f->dtype, at, f->center + f->width * uniform(&f->state));
    else
        jc_store_int(f->dtype, at, (int64_t)(splitmix(&f->state) % f->bound));
}

static bool symbolic(const jc_type *type) {
    for (int d = 0; d < type->rank; d++)
        if (!jc_ex_is_const(type->dims[d], NULL))
            return true;
    return false;
}

static filler filler_of(const run *r, const jc_value *p, const DLTensor *t, int64_t bound) {
    filler f = { .state = seed_of(p->name, r->t->o.seed), .dtype = p->type.dtype };
    double unit = sqrt(3); /* half width of a uniform distribution of variance 1 */
    if (symbolic(&p->type))
        f.width = unit;
    else if (p->type.rank <= 1)
        f.center = 1, f.width = 0.25;
    else
        f.width = unit / sqrt(t->shape[t->ndim - 1] > 0 ? (double)t->shape[t->ndim - 1] : 1);
    f.bound = bound == INT64_MAX || bound < 1 ? DEFAULT_BOUND : (uint64_t)bound;
    if (jc_dtypes[f.dtype].cls == 'b')
        f.bound = 2;
    if (jc_dtypes[f.dtype].size == 1 && f.bound > 127)
        f.bound = 127;
    return f;
}

static jitc_status check_given(const run *r, const jc_value *p, const DLTensor *t, const jc_st_tensor *given,
                               jc_error *err) {
    bool same = given->rank == t->ndim;
    if (given->dtype != (jc_dtype)p->type.dtype)
        return jc_fail_at(err, JITC_E_INPUT, r->t->o.inputs, 0, 0, NULL, "'%s' is %s, but the graph wants %s", p->name,
                          jc_dtypes[given->dtype].name, jc_dtypes[p->type.dtype].name);
    for (int d = 0; same && d < t->ndim; d++)
        same = given->dims[d] == t->shape[d];
    return same ? JITC_OK
                : jc_fail_at(err, JITC_E_INPUT, r->t->o.inputs, 0, 0, NULL, "the shape of '%s' does not fit %s", p->name,
                             jc_type_text(r->f->graph->exprs, &p->type, r->arena));
}

static jitc_status make_tensor(run *r, const jc_value *p, const jc_st_tensor *given, int64_t bound, jitc_value *out,
                               jc_error *err) {
    DLTensor *t = JC_NEW(r->arena, DLTensor);
    size_t bytes = 0, size = jc_dtypes[p->type.dtype].size;
    JC_TRY(describe(r, p, t, &bytes, err));
    *out = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
    if (given)
        JC_TRY(check_given(r, p, t, given, err));
    t->data = jc_arena_alloc(r->arena, bytes);
    if (given && !p->type.strides) {
        memcpy(t->data, given->data, bytes);
    } else if (given) {
        copy c = { given->data, size };
        each_element(t, size, put_copy, &c);
    } else {
        filler f = filler_of(r, p, t, bound);
        each_element(t, size, put_random, &f);
        r->made++;
    }
    return JITC_OK;
}

/* --- layer names --- */

static const char *name_of(const run *r, const jc_value *p, const json_t *names) {
    for (size_t i = r->t->o.name.n; i-- > 0;) {
        const char *rest;
        size_t n;
        if (tool_pair(r->t->o.name.at[i], &n, &rest) && strlen(p->name) == n && memcmp(p->name, r->t->o.name.at[i], n) == 0)
            return rest;
    }
    const char *text = json_string_value(json_object_get(names, p->name));
    return text ? text : p->name;
}

/* --- all of them --- */

/* What --inputs says goes before what the graph's own file holds. */
static const jc_st_tensor *given_for(const run *r, const jc_value *p, const jc_st_file *file) {
    const jc_st_tensor *given = file && p->type.kind == JC_TENSOR ? jc_st_find(file, p->name) : NULL;
    return !given && r->weights.n && p->type.kind == JC_TENSOR ? jc_st_find(&r->weights, p->name) : given;
}

typedef struct files {
    const run *r;
    const jc_st_file *file;
} files;

/* A file's tensors are dense; how they will lie here is still open. */
static void file_fact(void *user, uint32_t i, jc_solve_fact *out) {
    const files *f = user;
    const jc_st_tensor *given = given_for(f->r, f->r->f->params[i], f->file);
    if (given)
        *out = (jc_solve_fact){ .known = true, .rank = given->rank, .dims = given->dims, .dims_alone = true };
}

static void warn_unknown(const run *r, const jc_st_file *file) {
    for (uint32_t k = 0; file && k < file->n; k++) {
        bool known = false;
        for (uint32_t i = 0; i < r->f->nparams; i++)
            known |= strcmp(r->f->params[i]->name, file->at[k].name) == 0;
        if (!known)
            fprintf(stderr, "jitc: warning: %s: %s has no parameter '%s'\n", r->t->o.inputs, r->f->name, file->at[k].name);
    }
}

jitc_status run_inputs(run *r, const jc_st_file *file, const json_t *names, jc_error *err) {
    const jc_func *f = r->f;
    int64_t *bounds = JC_NEWN(r->arena, int64_t, f->nparams);
    r->nsyms = jc_sym_count(f->graph->exprs);
    r->syms = JC_NEWN(r->arena, int64_t, r->nsyms);
    r->host = JC_NEWN(r->arena, jitc_value, f->nparams);
    warn_unknown(r, file);
    JC_TRY(jc_solve_facts(r->f, file_fact, &(files){ r, file }, NULL, 0, UNKNOWN, r->syms, err));
    JC_TRY(choose_symbols(r, err));
    if (r->model->codegen_id)
        JC_TRY(run_bundle_bounds(r, bounds, err));
    else
        run_bounds(r->arena, f, r->syms, r->nsyms, bounds);
    for (uint32_t i = 0; i < f->nparams; i++) {
        const jc_value *p = f->params[i];
        switch ((jc_kind)p->type.kind) {
        case JC_TENSOR:
            JC_TRY(make_tensor(r, p, given_for(r, p, file), bounds[i], &r->host[i], err));
            break;
        case JC_SYMINT:
            r->host[i].tag = JITC_INT;
            if (!jc_ex_eval(p->type.expr, r->syms, r->nsyms, &r->host[i].i))
                return overflow(r, p, err);
            break;
        case JC_NAME:
            r->host[i] = (jitc_value){ .tag = JITC_NAME,
                                       .name = jitc_layer_name_intern(r->t->ctx, name_of(r, p, names), NULL) };
            break;
        default:
            return jc_fail_at(err, JITC_E_UNSUPPORTED, r->file, p->line, 0, p->name,
                              "'%s' is a number that is known at run time only; jitc run has no way to give it", p->name);
        }
    }
    return JITC_OK;
}

/* --- to the device --- */

static size_t span_of(const DLTensor *t) {
    int64_t span = 1;
    for (int d = 0; d < t->ndim; d++) {
        if (t->shape[d] == 0)
            return 0;
        span += (t->shape[d] - 1) * t->strides[d];
    }
    return (size_t)span * (t->dtype.bits / 8);
}

jitc_status run_to_device(run *r, jc_error *err) {
    r->values = jc_arena_memdup(r->arena, r->host, r->f->nparams * sizeof *r->host);
    if (r->device->dl.device_type == kDLCPU)
        return JITC_OK; /* the reference has run by now: what the graph writes does no harm */
    for (uint32_t i = 0; i < r->f->nparams; i++) {
        if (r->host[i].tag != JITC_TENSOR)
            continue;
        DLTensor *t = jc_arena_memdup(r->arena, r->host[i].tensor, sizeof *t);
        size_t bytes = span_of(t);
        void *block = NULL;
        JC_TRY(r->device->ops->alloc(r->device, bytes, &block, err));
        jc_push(r->arena, &r->blocks, block);
        if (bytes)
            JC_TRY(r->device->ops->copy_in(r->device, block, t->data, bytes, NULL, err));
        t->data = block;
        t->device = r->device->dl;
        r->values[i].tensor = t;
    }
    return r->device->ops->sync(r->device, NULL, err);
}

void run_free_device(run *r) {
    for (size_t i = 0; i < r->blocks.n; i++)
        r->device->ops->free(r->device, r->blocks.at[i]);
    r->blocks.n = 0;
}
