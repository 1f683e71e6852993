/*
 * bench/bench_product.c - what products cost on the host by how the weight lies: [N, K] (linear) and [K, N] (matmul).
 *
 *   bench_product [--assert] [--repeat N]
 *
 * One thread; µs of its CPU time a call, the least of REPEAT rounds, so that others on the machine count little; the call's own
 * cost is in it.  The limit is on the ratio: one layout is not to cost more than 1.3 times the other.  Against PyTorch:
 * python/bench/host_products.py.
 */
#include <time.h>

#include "bench/bench.h"
#include "jitc/jitc.h"

#define LAYOUTS 1.3

static jitc_context *ctx;

static int fail(const char *what) {
    fprintf(stderr, "bench_product: %s: %s\n", what, jitc_context_error(ctx));
    exit(1);
}

static double cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static jitc_model *product(const char *dtype, int64_t m, int64_t n, int64_t k, bool columns) {
    char text[512];
    jitc_graph *g = NULL;
    jitc_model *model = NULL;
    jitc_model_options o = { .struct_size = sizeof o };
    snprintf(text, sizeof text,
             "class M(torch.nn.Module):\n    def forward(self, x: \"%s[%lld, %lld]\", w: \"%s[%lld, %lld]\"):\n"
             "        y: \"%s[%lld, %lld]\" = %s\n        return (y,)\n",
             dtype, (long long)m, (long long)k, dtype, (long long)(columns ? k : n), (long long)(columns ? n : k), dtype, (long long)m,
             (long long)n, columns ? "x @ w" : "torch._C._nn.linear(x, w)");
    if (jitc_graph_read(ctx, "bench", text, strlen(text), &g) != JITC_OK || jitc_model_build(ctx, &g, 1, &o, &model) != JITC_OK)
        fail("building");
    return model;
}

/* The least of REPEAT rounds, each of at least 2 ms. */
static double microseconds(jitc_model *model, DLTensor *x, DLTensor *w, size_t repeat) {
    jitc_value values[] = { { .tag = JITC_TENSOR, .tensor = x }, { .tag = JITC_TENSOR, .tensor = w } }, result[1];
    double best = 0;
    for (size_t r = 0; r <= repeat; r++) {
        double start = cpu_us(), spent = 0;
        int calls = 0;
        for (; spent < 2000; calls++, spent = cpu_us() - start)
            if (jitc_model_run(model, 0, NULL, values, 2, result, 1) != JITC_OK)
                fail("running");
        if (r && (r == 1 || spent / calls < best)) /* the first round loads */
            best = spent / calls;
    }
    return best;
}

static void compare(const char *dtype, int64_t m, int64_t n, int64_t k, size_t repeat, unsigned *over) {
    size_t size = strcmp(dtype, "f32") == 0 ? 4 : 2;
    void *a = aligned_alloc(64, (size_t)(m * k) * size), *b = aligned_alloc(64, (size_t)(n * k) * size);
    DLDataType type = { size == 4 ? kDLFloat : kDLBfloat, (uint8_t)(8 * size), 1 };
    if (!a || !b)
        fail("memory");
    memset(a, 0, (size_t)(m * k) * size);
    memset(b, 0, (size_t)(n * k) * size);
    double us[2] = { 0, 0 };
    for (int columns = 0; columns < 2; columns++) {
        int64_t dx[] = { m, k }, dw[] = { columns ? k : n, columns ? n : k };
        DLTensor x = { .data = a, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = type, .shape = dx }, w = x;
        w.data = b;
        w.shape = dw;
        jitc_model *model = product(dtype, m, n, k, columns);
        us[columns] = microseconds(model, &x, &w, repeat);
        jitc_model_free(model);
    }
    char what[64];
    snprintf(what, sizeof what, "%s %lld x %lld x %lld, [N,K] %.0f us, [K,N] over it", dtype, (long long)m, (long long)n, (long long)k, us[0]);
    bench_line(what, us[1] / us[0], "", LAYOUTS, over);
    free(a);
    free(b);
}

int main(int argc, char **argv) {
    bench_options o = { .repeat = 10 };
    unsigned over = 0;
    for (int i = 1; i < argc; i++)
        if (!bench_option(argc, argv, &i, &o))
            return fprintf(stderr, "usage: bench_product [--assert] [--repeat N]\n"), 2;
    jitc_context_options c = { .struct_size = sizeof c, .device = "host", .cache_dir = "", .threads = 1 };
    if (jitc_context_new(&c, &ctx) != JITC_OK)
        return fprintf(stderr, "bench_product: no context\n"), 1;
    printf("products on the host\n");
    static const int64_t rows[] = { 1, 4, 32, 128 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            compare(bf16 ? "bf16" : "f32", rows[i], 1024, 1024, o.repeat, &over);
    jitc_context_free(ctx);
    return o.check && over ? 1 : 0;
}
