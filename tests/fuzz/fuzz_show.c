/*
 * tests/fuzz/fuzz_show.c - cases for another judge: each with its inputs and what the reference expects (tests/torch_diff.py reads it).
 *
 *   case SEED RUNS BYTES        the flat text follows, BYTES long; then for each run:
 *   run PARAMS RESULTS          then, in order, the parameters:
 *   int NAME VALUE
 *   tensor NAME DTYPE RANK DIMS STRIDES BYTES               its memory follows
 *   within NAME DTYPE RANK DIMS STRIDES OWNER AT            lies in the memory of parameter OWNER (a number), from byte AT on
 *                               and the results:
 *   none                        nothing wrote it, or it is no value
 *   int VALUE
 *   floats DTYPE BOUND RANK DIMS N                          N doubles follow
 *   bits DTYPE 0 RANK DIMS N                                N 64-bit words follow: a float's bits, which NaNs have too
 *   integers DTYPE 0 RANK DIMS N                            N 64-bit integers follow
 */
#include "tests/fuzz/fuzz_lab.h"

#include <inttypes.h>
#include <string.h>

static void put_sizes(FILE *out, const int64_t *at, int n) {
    for (int d = 0; d < n; d++)
        fprintf(out, " %" PRId64, at[d]);
}

static void show_input(const fz_run *r, int which, uint32_t i, FILE *out) {
    const jc_value *v = r->root->params[i];
    const fz_tensor *t = &r->host[which][i];
    if (v->type.kind != JC_TENSOR) {
        int64_t x = 0;
        jc_ex_eval(v->type.expr, r->syms[which], jc_sym_count(r->root->graph->exprs), &x);
        fprintf(out, "int %s %" PRId64 "\n", v->name, x);
        return;
    }
    fprintf(out, "%s %s %s %d", t->with < 0 ? "tensor" : "within", v->name, jc_dtypes[v->type.dtype].name, t->dl.ndim);
    put_sizes(out, t->dl.shape, t->dl.ndim);
    put_sizes(out, t->dl.strides, t->dl.ndim);
    if (t->with >= 0) {
        fprintf(out, " %d %zu\n", t->with, t->at);
        return;
    }
    fprintf(out, " %zu\n", t->bytes);
    fwrite(t->dl.data, 1, t->bytes, out);
}

static void show_result(const fz_run *r, int which, uint32_t i, FILE *out) {
    const jc_eval_out *w = &r->want[0][which][i];
    const fz_output *o = &r->c->outputs.at[i];
    int64_t n = 1;
    if (w->kind == JC_SYMINT) {
        fprintf(out, "int %" PRId64 "\n", w->integer);
        return;
    }
    if (w->kind != JC_TENSOR || w->undefined) {
        fprintf(out, "none\n");
        return;
    }
    for (int d = 0; d < w->rank; d++)
        n *= w->dims[d];
    fprintf(out, "%s %s %.17g %d", w->i ? "integers" : o->bits ? "bits" : "floats", jc_dtypes[w->dtype].name, o->err, w->rank);
    put_sizes(out, w->dims, w->rank);
    fprintf(out, " %" PRId64 "\n", n);
    for (int64_t k = 0; k < n; k++) {
        uint64_t word = 0;
        if (w->i)
            memcpy(&word, &w->i[k], sizeof word);
        else if (o->bits)
            jc_store_float((jc_dtype)w->dtype, &word, w->f[k]);
        else
            memcpy(&word, &w->f[k], sizeof word);
        fwrite(&word, sizeof word, 1, out);
    }
}

/* What is written while another input lies in its memory may come out in either order. */
static bool has_one_outcome(const fz_case *c) {
    for (size_t i = 0; i < c->inputs.n; i++)
        if (c->inputs.at[i].with && c->inputs.at[i].written)
            return false;
    return true;
}

void fz_show(fz_lab *lab, const fz_case *c, FILE *out, fz_report *report) {
    fz_run r = { .c = c, .report = report, .arena = jc_arena_new(NULL) };
    jitc_graph *flat = NULL;
    *report = (fz_report){ .fate = FZ_OK };
    if (has_one_outcome(c) && fz_judge(&r, lab, &flat)) {
        fprintf(out, "case %" PRIu64 " %d %zu\n%s", c->seed, c->nruns, strlen(c->flat), c->flat);
        for (int which = 0; which < c->nruns; which++) {
            fprintf(out, "run %u %u\n", r.nparams, r.noutputs);
            for (uint32_t i = 0; i < r.nparams; i++)
                show_input(&r, which, i, out);
            for (uint32_t i = 0; i < r.noutputs; i++)
                show_result(&r, which, i, out);
        }
    }
    if (flat)
        jitc_graph_free(flat);
    jc_arena_free(r.arena);
}
