/*
 * tests/check_captured.c - classes of the models that vLLM captured, with made-up inputs, against the reference.
 *
 * The models are made narrow first: every number that is a width in their text becomes a small one, so that the classes keep their
 * shape (heads, halves, gates, the strides of transposed weights) and lose their size.
 */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden_run.h"

typedef struct width {
    const char *from, *to;
} width;

/* 64 heads of 128 become 8 of 16; the halves that are rotated are 64 and 8. */
static const width llama[] = {
    { "8192", "128" }, { "1024", "128" }, { "10240", "384" }, { "28672", "96" }, { "57344", "192" }, { "128", "16" }, { "64", "8" },
    { "128256", "160" }, { "131072", "48" }, { NULL, NULL },
};
/* A fourth of the heads, 16 of 128, become 16 of 16. */
static const width rank[] = {
    { "8192", "128" }, { "2048", "256" }, { "256", "32" }, { "2560", "320" }, { "7168", "96" }, { "14336", "192" }, { "128", "16" },
    { "64", "8" }, { "32064", "40" }, { "64128", "80" }, { "128256", "160" }, { "131072", "48" }, { NULL, NULL },
};

/* 64 heads of 64 become 16 of 16. */
static const width gpt_oss[] = {
    { "2880", "96" }, { "64", "16" }, { "32", "8" }, { "4096", "256" }, { "512", "128" }, { "5120", "512" }, { "128", "12" },
    { "131072", "48" }, { "201088", "100" }, { NULL, NULL },
};
/* 20 heads of 128, and 64 experts: 20 of 16, and 8. */
static const width ernie[] = {
    { "2560", "320" }, { "128", "16" }, { "64", "8" }, { "512", "64" }, { "3584", "448" }, { "12288", "96" }, { "24576", "192" },
    { "103424", "80" }, { "131072", "48" }, { NULL, NULL },
};
/* 16 heads of 256, 64 of them rotated, become 16 of 64, and 32 of 128 become 32 of 32. */
static const width qwen[] = {
    { "2048", "96" }, { "256", "64" }, { "128", "32" }, { "4096", "1024" }, { "8192", "2048" }, { "12288", "3072" },
    { "512", "128" }, { "9216", "2304" }, { "262144", "48" }, { NULL, NULL },
};
/* 12 heads of 64 become 12 of 8. */
static const width opt[] = {
    { "768", "96" }, { "64", "8" }, { "3072", "192" }, { "2304", "288" }, { "50304", "70" }, { "2050", "60" }, { NULL, NULL },
};

static const struct row {
    const char *model;
    const width *widths;
} rows[] = {
    { "ernie-4.5-21b-strings", ernie },       { "gpt-oss-120b", gpt_oss },     { "llama-3.3-70b", llama },
    { "llama-3.3-70b-customops", llama },     { "llama-3.3-70b-fp8", llama },  { "llama-3.3-70b-tp4-rank0", rank },
    { "llama-3.3-70b-tp4-rank1", rank },      { "opt-125m", opt },             { "qwen3.5-35b-a3b", qwen },
};
#define NROWS ((int)(sizeof rows / sizeof *rows))
#define TOLERANCE 1.5e-2 /* of bf16, rounded several times on the way through a piece */
#define QUANTISED 2e-2   /* by way of fp8, where one neighbour for another is 1/8 */

/* --- operators that the example plugin lacks --- */

static int64_t count(const DLTensor *t) {
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++)
        n *= t->shape[d];
    return n;
}

static double element(jc_dtype dtype, const DLTensor *t, int64_t row, int64_t col) {
    int64_t at = row * t->strides[0] + col * t->strides[1];
    return jc_load_float(dtype, (const char *)t->data + t->byte_offset + (size_t)at * jc_dtypes[dtype].size);
}

/* out = (a * scale of its row) @ (b * scale of its column) */
static int scaled_mm(jitc_call *call, DLTensor *out, const DLTensor *a, const DLTensor *b, const DLTensor *sa,
                     const DLTensor *sb, const DLTensor *bias) {
    if (bias || a->ndim != 2 || b->ndim != 2 || b->shape[0] != a->shape[1])
        return snprintf(call->error, call->error_size, "scaled_mm wants two matrices and no bias"), 1;
    const float *rows_by = (const float *)((const char *)sa->data + sa->byte_offset);
    const float *cols_by = (const float *)((const char *)sb->data + sb->byte_offset);
    for (int64_t i = 0; i < a->shape[0]; i++)
        for (int64_t j = 0; j < b->shape[1]; j++) {
            double sum = 0;
            for (int64_t k = 0; k < a->shape[1]; k++)
                sum += element(JC_F8E4M3FN, a, i, k) * element(JC_F8E4M3FN, b, k, j);
            sum *= (double)rows_by[count(sa) == 1 ? 0 : i] * (double)cols_by[count(sb) == 1 ? 0 : j];
            jc_store_float(JC_BF16, (char *)out->data + out->byte_offset + 2 * (i * b->shape[1] + j), sum);
        }
    return 0;
}

/* Rows of the vocabulary's part [start, end); zero elsewhere. */
static int part_embedding(jitc_call *call, DLTensor *out, const DLTensor *ids, const DLTensor *w, int64_t start, int64_t end,
                          int64_t added, int64_t added_end, int64_t all) {
    size_t row = (size_t)w->shape[1] * 2;
    (void)call, (void)added, (void)added_end, (void)all;
    for (int64_t i = 0; i < ids->shape[0]; i++) {
        int64_t id = ids->dtype.bits == 32 ? ((const int32_t *)ids->data)[i] : ((const int64_t *)ids->data)[i];
        char *to = (char *)out->data + out->byte_offset + (size_t)i * row;
        memset(to, 0, row);
        if (id >= start && id < end)
            memcpy(to, (const char *)w->data + w->byte_offset + (size_t)(id - start) * row, row);
    }
    return 0;
}

static void register_ops(golden_host *h) {
    ck_assert_int_eq(jitc_op_register(h->ctx,
                                      "_C::cutlass_scaled_mm(Tensor(a!) out, Tensor a, Tensor b, Tensor a_scales, Tensor b_scales, "
                                      "Tensor? bias) -> ()", (jitc_plain_function)scaled_mm, NULL), JITC_OK);
    ck_assert_int_eq(jitc_op_register(h->ctx,
                                      "_C::vocab_parallel_embedding(Tensor(a!) out, Tensor ids, Tensor weight, int start, int end, "
                                      "int added_start, int added_end, int all) -> ()", (jitc_plain_function)part_embedding, NULL),
                     JITC_OK);
}

/* --- narrow texts --- */

static const char *narrowed(const width *widths, const char *number, size_t length) {
    for (; widths->from; widths++)
        if (strlen(widths->from) == length && memcmp(widths->from, number, length) == 0)
            return widths->to;
    return NULL;
}

/* The text with its widths changed; digits within words and fractions are left alone. */
static const char *narrow(golden_host *h, const char *path, const width *widths) {
    jc_bytes in = JC_BYTES(h->arena), out = JC_BYTES(h->arena);
    char block[65536];
    size_t n;
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        jc_put(&in, block, n);
    fclose(f);
    jc_put_u8(&in, 0);
    for (const char *at = (const char *)in.at; *at;) {
        n = 0;
        while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '.')
            n++;
        const char *other = n && isdigit((unsigned char)*at) ? narrowed(widths, at, n) : NULL;
        n = n ? n : 1;
        jc_put(&out, other ? other : at, other ? strlen(other) : n);
        at += n;
    }
    jc_put_u8(&out, 0);
    return (const char *)out.at;
}

static void narrow_strides(jitc_model_options *o, const width *widths) {
    for (uint32_t i = 0; i < o->nstrides; i++)
        for (uint32_t d = 0; d < o->strides[i].n; d++) {
            const char **text = (const char **)&o->strides[i].strides[d], *other = narrowed(widths, *text, strlen(*text));
            *text = other ? other : *text;
        }
}

static golden_model build(golden_host *h, const struct row *r) {
    jitc_model_options o = { .struct_size = sizeof o };
    const char *path = jc_arena_printf(h->arena, "%s/models/%s/split.py", golden_graphs(), r->model);
    golden_strides(h, jc_arena_printf(h->arena, "%s/models/%s/strides.json", golden_graphs(), r->model), &o);
    narrow_strides(&o, r->widths);
    return golden_build_text(h, path, narrow(h, path, r->widths), &o);
}

/* --- made-up inputs --- */

typedef struct uses {
    bool *in_dims;
} uses;

static void mark(void *user, uint32_t sym) {
    ((uses *)user)->in_dims[sym] = true;
}

/* Every symbol is TOKENS; one that is a stride alone leaves a gap. */
static int64_t *symbols(golden_host *h, const jc_func *f, int64_t tokens, uint32_t *n) {
    *n = jc_sym_count(f->graph->exprs);
    uses u = { JC_NEWN(h->arena, bool, *n) };
    int64_t *syms = JC_NEWN(h->arena, int64_t, *n);
    for (uint32_t p = 0; p < f->nparams; p++) {
        const jc_type *t = &f->params[p]->type;
        for (int d = 0; t->kind == JC_TENSOR && d < t->rank; d++)
            jc_ex_symbols(t->dims[d], mark, &u);
        if (t->kind == JC_SYMINT)
            jc_ex_symbols(t->expr, mark, &u);
    }
    for (uint32_t s = 0; s < *n; s++)
        syms[s] = u.in_dims[s] ? tokens : tokens + 2;
    return syms;
}

/* Floats in [-1, 1), weights in [-1/4, 1/4), integers in [0, 4): they are positions and rows of tables. */
static void fill(const jc_type *t, char *at, int64_t n, uint64_t *state) {
    const jc_dtype_info *d = &jc_dtypes[t->dtype];
    for (int64_t i = 0; i < n; i++, at += d->size) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        if (d->cls == 'f')
            jc_store_float((jc_dtype)t->dtype, at, (double)(int32_t)(*state >> 32) / (n < 1000 ? 1ull << 31 : 1ull << 33));
        else
            jc_store_int((jc_dtype)t->dtype, at, d->cls == 'b' ? (int64_t)(*state >> 63) : (int64_t)(*state >> 62));
    }
}

static jitc_value made_up(golden_host *h, const jc_type *t, const int64_t *syms, uint32_t nsyms, uint64_t *state) {
    DLTensor *dl = JC_NEW(h->arena, DLTensor);
    int64_t *dims = JC_NEWN(h->arena, int64_t, JC_MAX_RANK), *strides = JC_NEWN(h->arena, int64_t, JC_MAX_RANK);
    int64_t step = 1, span = 1;
    jc_error err = JC_ERROR_INIT;
    *dl = (DLTensor){ .device = h->device->dl, .ndim = t->rank, .shape = dims, .strides = strides,
                      .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
    for (int d = t->rank; d-- > 0;) {
        ck_assert(jc_ex_eval(t->dims[d], syms, nsyms, &dims[d]));
        strides[d] = step;
        if (t->strides)
            ck_assert(jc_ex_eval(t->strides[d], syms, nsyms, &strides[d]));
        step *= dims[d];
        span += (dims[d] - 1) * strides[d];
    }
    size_t bytes = (size_t)span * jc_dtypes[t->dtype].size;
    ck_assert_int_eq(h->device->ops->alloc(h->device, bytes, &dl->data, &err), JITC_OK);
    jc_push(h->arena, &h->blocks, dl->data);
    fill(t, dl->data, span, state);
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = dl };
}

static jitc_value *inputs(golden_host *h, const jc_func *f, int64_t tokens) {
    uint32_t nsyms;
    const int64_t *syms = symbols(h, f, tokens, &nsyms);
    jitc_value *in = JC_NEWN(h->arena, jitc_value, f->nparams);
    uint64_t state = 11;
    for (uint32_t p = 0; p < f->nparams; p++) {
        const jc_type *t = &f->params[p]->type;
        if (t->kind == JC_TENSOR) {
            in[p] = made_up(h, t, syms, nsyms, &state);
        } else if (t->kind == JC_SYMINT) {
            in[p].tag = JITC_INT;
            ck_assert(jc_ex_eval(t->expr, syms, nsyms, &in[p].i));
        } else {
            in[p] = (jitc_value){ .tag = JITC_NAME, .name = jitc_layer_name_intern(h->ctx, f->params[p]->name, NULL) };
        }
    }
    return in;
}

/* --- comparing --- */

/* Each element with the one of the reference's two that is nearer. */
static double compare(golden_host *h, const char *what, const golden_out *got, const jc_eval_out *want, const jc_eval_out *eager,
                      uint32_t n, double tolerance) {
    double worst = 0;
    for (uint32_t k = 0; k < n; k++) {
        size_t size = jc_dtypes[want[k].dtype].size;
        if (want[k].undefined || want[k].kind != JC_TENSOR)
            continue;
        if (!want[k].f) {
            for (size_t i = 0; i < got[k].tensor.nbytes / size; i++)
                ck_assert_int_eq(jc_load_int(want[k].dtype, (const char *)got[k].tensor.data + i * size), want[k].i[i]);
            continue;
        }
        jc_st_tensor near = golden_nearer(h, &got[k].tensor, &want[k], &eager[k]);
        double apart = golden_distance(what, &got[k].tensor, &near);
        ck_assert_msg(apart <= tolerance, "%s: output %u is off by %g", what, k, apart);
        worst = apart > worst ? apart : worst;
    }
    return worst;
}

static void run_class(golden_host *h, const struct row *r, const golden_model *m, uint32_t cls, int64_t tokens) {
    uint32_t piece = m->m->classes[cls].first;
    const jc_func *f = m->m->pieces[piece].func;
    const char *what = jc_arena_printf(h->arena, "%s, %s on %s, %d tokens", r->model, f->name, h->device->ops->name, (int)tokens);
    const jitc_value *in = inputs(h, f, tokens);
    const jc_eval_out *want = golden_evaluate(h, what, f, 0, in); /* first: the piece may write its inputs */
    const jc_eval_out *eager = golden_evaluate(h, what, f, JC_EVAL_EAGER, in);
    double worst = compare(h, what, golden_run_piece(h, m, piece, in), want, eager, f->noutputs,
                           strstr(r->model, "fp8") ? QUANTISED : TOLERANCE);
    if (getenv("JITC_GOLDEN_VERBOSE"))
        fprintf(stderr, "%-58s %3zu nodes, off by %.1e at most\n", what, f->nodes.n, worst);
}

static void run_classes(const struct row *r, const char *device, const int64_t *tokens) {
    golden_host h;
    golden_open(&h, device);
    register_ops(&h);
    golden_model m = build(&h, r);
    for (; *tokens; tokens++)
        for (uint32_t c = 0; c < m.m->nclasses; c++)
            run_class(&h, r, &m, c, *tokens);
    golden_close(&h);
}

START_TEST(on_host) {
    run_classes(&rows[_i], "host", (const int64_t[]){ 3, 1, 33, 0 });
}
END_TEST

START_TEST(on_sim) {
    run_classes(&rows[_i], "sim", (const int64_t[]){ 2, 20, 0 });
}
END_TEST

int main(void) {
    if (!golden_there())
        return 77;
    Suite *s = suite_create("captured");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    tcase_set_timeout(host, 60);
    tcase_set_timeout(sim, 60);
    tcase_add_loop_test(host, on_host, 0, NROWS);
    tcase_add_loop_test(sim, on_sim, 0, NROWS);
    suite_add_tcase(s, host);
    suite_add_tcase(s, sim);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
