/*
 * bench/bench_call.c - what a call costs beside its kernels.
 *
 *   bench_call [--assert] [--device host|cuda] [--repeat N]
 *
 * A kernel alone (x + 1 over one row), a piece of Llama-3.3-70B, and a model of 80 pieces of one class; at a shape that is known and
 * at one that is new.  On host the large piece runs with 0 tokens, so that its kernels, which would take a second, are
 * skipped and the rest remains; on a GPU it runs with one, and what is measured is how long the caller is held up.  A new shape is
 * measured by calls that are refused after the shape has been planned, for want of data: those at sizes not seen before, less
 * those at sizes that were; the median over rounds, the other figures being those of the fastest.
 */
#include "base/debug.h"
#include "bench/bench.h"
#include "jit/api/model.h"

#define MAX_VALUES 128
#define SIZES 48 /* new shapes; fewer than any version remembers */

typedef struct subject {
    const char *name;
    jitc_model *m;
    const jc_func *f;  /* what is run: of piece 0, or the root */
    bool whole;
    jitc_value values[MAX_VALUES];
    DLTensor tensors[MAX_VALUES];
    int64_t dims[MAX_VALUES][8];
    void *data[MAX_VALUES];
    jitc_value results[16];
} subject;

static jitc_context *ctx;
static jc_device *device;

static int fail(const char *what) {
    fprintf(stderr, "bench_call: %s: %s\n", what, jitc_context_error(ctx));
    exit(1);
}

/* ---- what is called --------------------------------------------------------------------------------------------- */

static jitc_model *build(jitc_graph *g) {
    jitc_model_options o = { .struct_size = sizeof o };
    jitc_model *m = NULL;
    if (jitc_model_build(ctx, &g, 1, &o, &m) != JITC_OK)
        fail("building");
    return m;
}

static jitc_model *from_text(const char *text) {
    jitc_graph *g = NULL;
    if (jitc_graph_read(ctx, "bench", text, strlen(text), &g) != JITC_OK)
        fail("reading");
    return build(g);
}

static jitc_model *from_file(const char *name) {
    char path[4096];
    jitc_graph *g = NULL;
    snprintf(path, sizeof path, "%s/%s", bench_graphs(), name);
    if (jitc_graph_read_file(ctx, path, &g) != JITC_OK)
        fail(path);
    return build(g);
}

static jitc_model *chain(int n) {
    static char t[100000];
    size_t at = (size_t)sprintf(t, "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 16]\"):\n"
                                   "        v0: \"f32[s0, 16]\" = x\n");
    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(t + at, "        r%d = self.submod_%d(v%d, s0)\n        v%d: \"f32[s0, 16]\" = r%d[0]\n", i, i, i, i + 1, i);
    at += (size_t)sprintf(t + at, "        return (v%d,)\n", n);
    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(t + at, "    class submod_%d(torch.nn.Module):\n        def forward(self, x: \"f32[s0, 16]\", s0: \"Sym(s0)\"):\n"
                                      "            y: \"f32[s0, 16]\" = x + 1.0\n            return (y,)\n", i);
    return from_text(t);
}

/* N parameters, one of them of a symbolic size. */
static jitc_model *many_params(int n) {
    static char t[20000];
    size_t at = (size_t)sprintf(t, "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 16]\"");
    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(t + at, ", w%d: \"f32[16]\"", i);
    at += (size_t)sprintf(t + at, "):\n        y0: \"f32[s0, 16]\" = x + w0\n");
    for (int i = 1; i < n; i++)
        at += (size_t)sprintf(t + at, "        y%d: \"f32[s0, 16]\" = y%d + w%d\n", i, i - 1, i);
    sprintf(t + at, "        return (y%d,)\n", n - 1);
    return from_text(t);
}

/* ---- calling it ------------------------------------------------------------------------------------------------- */

static void size_to(subject *s, int64_t n) {
    int64_t syms[16];
    for (int i = 0; i < 16; i++)
        syms[i] = n;
    for (uint32_t i = 0; i < s->f->nparams; i++) {
        const jc_type *t = &s->f->params[i]->type;
        if (t->kind == JC_SYMINT)
            s->values[i] = (jitc_value){ .tag = JITC_INT, .i = n };
        for (int d = 0; t->kind == JC_TENSOR && d < t->rank; d++)
            if (!jc_ex_eval(t->dims[d], syms, 16, &s->dims[i][d]))
                fail("a dim has no value");
    }
}

static void prepare(subject *s, int64_t most) {
    jc_error err = JC_ERROR_INIT;
    s->f = s->whole ? s->m->graphs[0]->g->root : s->m->pieces[0].func;
    if (s->f->nparams > MAX_VALUES || s->f->noutputs > 16)
        fail("too many parameters");
    size_to(s, most);
    for (uint32_t i = 0; i < s->f->nparams; i++) {
        const jc_type *t = &s->f->params[i]->type;
        int64_t bytes = jc_dtypes[t->dtype].size;
        if (t->kind != JC_TENSOR)
            continue;
        for (int d = 0; d < t->rank; d++)
            bytes *= s->dims[i][d];
        if (device->ops->alloc(device, (size_t)bytes, &s->data[i], &err) != JITC_OK)
            fail(err.message);
        if (device->dl.device_type != kDLCPU || bytes < 1 << 20) /* on host, large ones are never read */
            device->ops->fill(device, s->data[i], 0, (size_t)bytes, NULL, &err);
        s->tensors[i] = (DLTensor){ .data = s->data[i], .device = device->dl, .ndim = t->rank, .shape = s->dims[i],
                                    .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
        s->values[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &s->tensors[i] };
    }
}

static jitc_status run(subject *s) {
    return s->whole ? jitc_model_run(s->m, 0, NULL, s->values, s->f->nparams, s->results, s->f->noutputs)
                    : jitc_piece_run(s->m, 0, NULL, s->values, s->f->nparams, s->results, s->f->noutputs);
}

static void wait_for_it(void) {
    jc_error err = JC_ERROR_INIT;
    device->ops->sync(device, NULL, &err);
}

/* The fastest of REPEAT rounds of 200 calls, µs a call. */
static double known(subject *s, int64_t n, size_t repeat) {
    double best = 1e9;
    size_to(s, n);
    for (size_t r = 0; r <= repeat; r++) {
        double start = jc_now_ms();
        for (int i = 0; i < 200; i++)
            if (run(s) != JITC_OK)
                fail(s->name);
        double us = (jc_now_ms() - start) * 1000 / 200;
        wait_for_it();
        best = r && us < best ? us : best;
    }
    return best;
}

/* One pass over SIZES sizes from FROM down, all refused; µs a call. */
static double refused(subject *s, int64_t from) {
    double start = jc_now_ms();
    for (int64_t n = from; n > from - SIZES; n--) {
        size_to(s, n);
        if (run(s) != JITC_E_INPUT)
            fail("a call without data was not refused");
    }
    return (jc_now_ms() - start) * 1000 / SIZES;
}

/* The median over rounds. */
static double planned(subject *s, size_t repeat) {
    double adds[1000];
    uint32_t without = 0;
    repeat = repeat < 1000 ? repeat : 1000;
    while (s->f->params[without]->type.kind != JC_TENSOR || s->f->params[without]->type.dims[0]->kind == JC_EX_CONST)
        without++;
    s->tensors[without].data = NULL;
    for (size_t r = 0; r < repeat; r++) { /* the largest first, so that no memory is taken on the way */
        int64_t from = (int64_t)(repeat - r) * SIZES;
        double first = refused(s, from), second = refused(s, from);
        adds[r] = first - second;
    }
    s->tensors[without].data = s->data[without];
    return bench_median(adds, repeat);
}

#ifdef JITC_FRAME_H
static double bound(subject *s, size_t repeat) {
    jitc_frame *f = NULL;
    double best = 1e9;
    size_to(s, 1);
    if (jitc_frame_new(s->m, NULL, &f) != JITC_OK)
        fail("a frame");
    for (uint32_t i = 0; i < s->f->nparams; i++)
        if (s->f->params[i]->type.kind == JC_TENSOR && s->f->params[i]->type.dims[0]->kind == JC_EX_CONST) {
            if (jitc_frame_bind(f, 0, i, s->values[i]) != JITC_OK)
                fail("binding");
            s->values[i] = (jitc_value){ .tag = JITC_NONE };
        }
    for (size_t r = 0; r <= repeat; r++) {
        double start = jc_now_ms();
        for (int i = 0; i < 200; i++) {
            s->results[0] = (jitc_value){ .tag = JITC_NONE };
            if (jitc_frame_run(f, 0, NULL, s->values, s->f->nparams, s->results, s->f->noutputs) != JITC_OK)
                fail(s->name);
        }
        double us = (jc_now_ms() - start) * 1000 / 200;
        wait_for_it();
        best = r && us < best ? us : best;
    }
    jitc_frame_free(f);
    return best;
}
#endif

int main(int argc, char **argv) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    bench_options b = { .repeat = 20 };
    unsigned over = 0;
    jc_error err = JC_ERROR_INIT;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--device") == 0 && i + 1 < argc)
            o.device = argv[++i];
        else if (!bench_option(argc, argv, &i, &b))
            return fprintf(stderr, "usage: bench_call [--assert] [--device host|cuda] [--repeat N]\n"), 2;
    }
    if (jitc_context_new(&o, &ctx) != JITC_OK || jc_context_device(ctx, &device, &err) != JITC_OK)
        return fprintf(stderr, "bench_call: %s\n", err.message), 1;
    bool host = device->dl.device_type == kDLCPU;
    printf("on %s, fastest of %zu rounds\n", device->ops->name, b.repeat);
    static subject one, llama, all, weights;
    one = (subject){ .name = "one kernel", .m = chain(1) };
    prepare(&one, (int64_t)(b.repeat + 1) * SIZES);
    bench_line("one kernel, known shape", known(&one, 1, b.repeat), "us", 0, &over);
    bench_line("one kernel, what a new shape adds", planned(&one, b.repeat), "us", 0, &over);
    llama = (subject){ .name = "Llama-3.3-70B piece", .m = from_file("llama_block/piece.py") };
    prepare(&llama, (int64_t)(b.repeat + 1) * SIZES);
    bench_line(host ? "Llama-3.3-70B piece, known shape, 0 tokens" : "Llama-3.3-70B piece, known shape, 1 token",
               known(&llama, host ? 0 : 1, b.repeat), "us", 0, &over);
    bench_line("Llama-3.3-70B piece, what a new shape adds", planned(&llama, b.repeat), "us", 20, &over);
    all = (subject){ .name = "80 pieces", .m = chain(80), .whole = true };
    prepare(&all, (int64_t)(b.repeat + 1) * SIZES);
    bench_line("80 pieces of one class, known shape", known(&all, 1, b.repeat), "us", 0, &over);
    bench_line("80 pieces of one class, what a new shape adds", planned(&all, b.repeat), "us", 0, &over);
    weights = (subject){ .name = "100 weights", .m = many_params(100), .whole = true };
    prepare(&weights, 1);
    bench_line("one kernel with 100 weights", known(&weights, 1, b.repeat), "us", 0, &over);
#ifdef JITC_FRAME_H
    bench_line("one kernel with 100 weights, bound", bound(&weights, b.repeat), "us", 0, &over);
#endif
    jitc_context_free(ctx);
    return b.check && over;
}
