/*
 * examples/ops_triton.c - Triton kernels launched from the graph.
 *
 * A launch names its kernel and constants by indices into tables that are not in the text, so a host knows a kernel by
 * what the text does have: the names of its parameters.  Kernels are rows of a table; a launch that fits none is an
 * error that says which parameters it has.  The one kernel here has vLLM's parameters of Qwen3.5's attention prologue and, as all
 * operators of this plugin, a fixed meaning of its own: it splits each head of q_gate in query and gate, normalises query and
 * key per head (weights + 1, epsilon 1e-6) and rotates them by the first row of positions.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "ops_tiny.h"

typedef struct launch {
    tiny_scratch *s;
    const jitc_entry *at; /* kwargs */
    uint32_t n;
} launch;

typedef struct kernel {
    const char *parameters[12]; /* all of them, any order */
    void (*run)(const launch *l);
} kernel;

static const jitc_entry *parameter(const launch *l, const char *name) {
    for (uint32_t k = 0; k < l->n; k++) {
        if (!strcmp(l->at[k].key, name))
            return &l->at[k];
    }
    return NULL;
}

static DLTensor *tensor(const launch *l, const char *name) {
    const jitc_entry *e = parameter(l, name);
    tiny_expect(l->s, e && e->value.tag == JITC_TENSOR, "A pointer parameter of the kernel is not a tensor.");
    return l->s->failed ? NULL : e->value.tensor;
}

/* ---- the kernel ---- */

static void normalise(double *x, const double *w, int64_t n) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += x[k] * x[k] / (double)n;
    for (int64_t k = 0; k < n; k++)
        x[k] *= (1 + w[k]) / sqrt(sum + 1e-6);
}

static void rotate(double *x, const double *row, int64_t half) {
    for (int64_t k = 0; k < half; k++) {
        double a = x[k], b = x[half + k];
        x[k] = a * row[k] - b * row[half + k];
        x[half + k] = b * row[k] + a * row[half + k];
    }
}

typedef struct angles {
    tiny_array table, positions;
    int64_t tokens;
} angles;

/* HEADS heads of WIDTH per token, PITCH apart in FROM, normalised and rotated into OUT. */
static void heads(const launch *l, const angles *a, const double *from, int64_t pitch, const tiny_array *w, double *out,
                  int64_t count) {
    int64_t width = w->n, rotated = tiny_dim(&a->table, 0);
    for (int64_t k = 0; k < count && !l->s->failed; k++) {
        int64_t at = (int64_t)a->positions.at[k / (count / a->tokens)];
        if (!tiny_expect(l->s, at >= 0 && at < a->table.n / rotated, "A position is outside the table of angles."))
            return;
        memcpy(out + k * width, from + k * pitch, (size_t)width * sizeof *out);
        normalise(out + k * width, w->at, width);
        rotate(out + k * width, tiny_row(&a->table, at, rotated), rotated / 2);
    }
}

static void norm_rope_gate(const launch *l) {
    tiny_scratch *s = l->s;
    tiny_array q = tiny_load(s, tensor(l, "q_gate_ptr")), k = tiny_load(s, tensor(l, "k_ptr"));
    tiny_array qw = tiny_load(s, tensor(l, "q_weight_ptr")), kw = tiny_load(s, tensor(l, "k_weight_ptr"));
    angles a = { tiny_load(s, tensor(l, "cos_sin_cache_ptr")), tiny_load(s, tensor(l, "positions_ptr")), q.dims[0] };
    if (s->failed || a.tokens == 0)
        return;
    int64_t width = qw.n;
    if (!tiny_expect(s, width > 0 && kw.n == width && q.n % (2 * width * a.tokens) == 0 &&
                         k.n % (width * a.tokens) == 0 && tiny_dim(&a.table, 0) > 0 && tiny_dim(&a.table, 0) <= width &&
                         a.positions.n >= a.tokens,
                     "The kernel's q_gate and k are not whole heads as wide as their norms' weights."))
        return;
    double *query = tiny_alloc(s, q.n / 2), *gate = tiny_alloc(s, q.n / 2), *key = tiny_alloc(s, k.n);
    if (s->failed)
        return;
    heads(l, &a, q.at, 2 * width, &qw, query, q.n / 2 / width);
    heads(l, &a, k.at, width, &kw, key, k.n / width);
    for (int64_t n = 0; n < q.n / 2; n++)
        gate[n] = q.at[n / width * 2 * width + width + n % width];
    if (s->failed)
        return;
    tiny_store(s, tensor(l, "q_out_ptr"), query, q.n / 2);
    tiny_store(s, tensor(l, "gate_out_ptr"), gate, q.n / 2);
    tiny_store(s, tensor(l, "k_out_ptr"), key, k.n);
}

static const kernel kernels[] = {
    { { "q_gate_ptr", "k_ptr", "q_out_ptr", "k_out_ptr", "gate_out_ptr", "q_weight_ptr", "k_weight_ptr",
        "cos_sin_cache_ptr", "positions_ptr", "positions_stride_m" },
      norm_rope_gate },
};

/* ---- finding it ---- */

static bool fits(const kernel *k, const launch *l) {
    uint32_t n = 0;
    for (; n < sizeof k->parameters / sizeof *k->parameters && k->parameters[n]; n++) {
        if (!parameter(l, k->parameters[n]))
            return false;
    }
    return n == l->n;
}

static void unknown(const launch *l) {
    char text[512];
    size_t at = (size_t)snprintf(text, sizeof text, "No kernel is known with the parameters");
    for (uint32_t k = 0; k < l->n && at < sizeof text; k++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %s", k ? "," : "", l->at[k].key);
    tiny_expect(l->s, false, text);
}

static int triton_kernel_wrapper_mutation(jitc_call *c) {
    tiny_scratch s = { .call = c };
    launch l = { .s = &s };
    for (uint32_t k = 0; k < c->nargs; k++) {
        if (c->keys && c->keys[k] && !strcmp(c->keys[k], "kwargs") && c->args[k].tag == JITC_DICT) {
            l.at = c->args[k].dict;
            l.n = c->args[k].n;
        }
    }
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        if (fits(&kernels[k], &l)) {
            kernels[k].run(&l);
            return tiny_end(&s);
        }
    }
    unknown(&l);
    return tiny_end(&s);
}

const tiny_op tiny_triton_ops[] = {
    { "higher_order::triton_kernel_wrapper_mutation(...) -> ...", NULL, triton_kernel_wrapper_mutation, UINT64_MAX },
    { 0 },
};
