/*
 * bench/bench_lookup.c - what finding something costs that this process has compiled already.
 *
 *   bench_lookup [--assert]
 *
 * For the pieces of a captured model, compiled for this machine: a look-up of each class by jc_service_get(), the same with a key
 * of its own (hashed again, then compared in the memory tier), and of each kernel (encoded, hashed, looked up), which is
 * what stands in for lowering it.  Microseconds each, the median of 200 rounds over all of them.
 */
#include "bench/bench.h"
#include "jit/api/model.h"
#include "jit/sched/schedule.h"
#include "jit/service/service_priv.h"

#define ROUNDS 200

static jitc_model *open_model(jitc_context **ctx) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host" };
    jitc_model_options mo = { .struct_size = sizeof mo, .arch = "host" };
    char path[4096];
    jitc_graph *graph;
    jitc_model *m = NULL;
    snprintf(path, sizeof path, "%s/models/qwen3.5-35b-a3b/full.py", bench_graphs());
    if (jitc_context_new(&o, ctx) != JITC_OK || jitc_graph_read_file(*ctx, path, &graph) != JITC_OK ||
        jitc_model_build(*ctx, &graph, 1, &mo, &m) != JITC_OK)
        fprintf(stderr, "bench_lookup: %s\n", *ctx ? jitc_context_error(*ctx) : "out of memory");
    return m;
}

static bool not_there(void) {
    fprintf(stderr, "bench_lookup: something is not there that was compiled\n");
    return false;
}

static double known(jitc_model *m, jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    double start = jc_now_ms();
    for (uint32_t i = 0; i < m->nclasses; i++) {
        jc_request r = m->classes[i].variants[0].request;
        if (jc_service_get(m->ctx->service, &r, 1, NULL, NULL, arena, &err) != JITC_OK || !r.hit)
            return -1;
    }
    return (jc_now_ms() - start) * 1000 / m->nclasses;
}

static double keyed(jitc_model *m, jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    const uint8_t *bytes;
    size_t n;
    double start = jc_now_ms();
    for (uint32_t i = 0; i < m->nclasses; i++) {
        jc_key key;
        if (jc_service_key(m->ctx->service, &m->classes[i].variants[0].request, arena, &key, &err) != JITC_OK ||
            !jc_cache_find(m->ctx->cache, &key, &bytes, &n, NULL))
            return -1;
    }
    return (jc_now_ms() - start) * 1000 / m->nclasses;
}

/* Kernels of all classes, from scheduling them again. */
static bool schedule(jitc_model *m, jc_arena *arena, jc_schedule *out) {
    for (uint32_t i = 0; i < m->nclasses; i++) {
        const jc_request *r = &m->classes[i].variants[0].request;
        jc_schedule_options o = { .target = r->target, .strict = r->strict, .clamp = r->clamp, .lo = r->lo, .hi = r->hi };
        jc_error err = JC_ERROR_INIT;
        jc_graph *g;
        if (jc_canon_decode(r->canon->bytes, r->canon->nbytes, arena, &g, &err) != JITC_OK ||
            jc_schedule_class(g->root, &o, arena, &out[i], &err) != JITC_OK)
            return false;
    }
    return true;
}

static double kernels(jitc_model *m, const jc_schedule *all, jc_arena *arena) {
    const uint8_t *bytes;
    size_t n, count = 0;
    double start = jc_now_ms();
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t k = 0; k < all[i].nkernels; k++, count++) {
            jc_key key;
            if (jc_service_kernel_key(m->ctx->service, all[i].kernels[k], &m->target, arena, &key) != JITC_OK ||
                !jc_cache_find(m->ctx->cache, &key, &bytes, &n, NULL))
                return -1;
        }
    return (jc_now_ms() - start) * 1000 / (double)count;
}

static bool measure(jitc_model *m, unsigned *over) {
    double us[3][ROUNDS];
    jc_arena *plans = jc_arena_new(NULL);
    jc_schedule *all = JC_NEWN(plans, jc_schedule, m->nclasses);
    if (!schedule(m, plans, all))
        return not_there();
    for (int i = 0; i < ROUNDS; i++) {
        jc_arena *arena = jc_arena_new(NULL);
        us[0][i] = known(m, arena);
        us[1][i] = keyed(m, arena);
        us[2][i] = kernels(m, all, arena);
        jc_arena_free(arena);
        if (us[0][i] < 0 || us[1][i] < 0 || us[2][i] < 0)
            return not_there();
    }
    printf("%u classes of Qwen3.5-35B for %s\n", m->nclasses, m->target.cpu);
    bench_line("class that is known", bench_median(us[0], ROUNDS), "us", 2, over);
    bench_line("class by its key, in the memory tier", bench_median(us[1], ROUNDS), "us", 50, over);
    bench_line("kernel by its key, in the memory tier", bench_median(us[2], ROUNDS), "us", 10, over);
    jc_arena_free(plans);
    return true;
}

int main(int argc, char **argv) {
    bool check = argc == 2 && strcmp(argv[1], "--assert") == 0;
    unsigned over = 0;
    jitc_context *ctx;
    if (argc > 1 && !check)
        return fprintf(stderr, "usage: bench_lookup [--assert]\n"), 2;
    jitc_model *m = open_model(&ctx);
    bool ok = m && measure(m, &over);
    jitc_context_free(ctx);
    return !ok || (check && over);
}
