/*
 * jit/sched/sched_shape.c - how the work of pointwise and row kernels is spread: threads, vectors, steps.
 *
 * On a GPU (also for the simulator, which runs the same schedules) a lane moves 16 bytes of the narrowest tensor at a
 * time; rows get about N/16 threads and are held in registers up to 64 elements a thread (measured on an
 * H100: which of many shapes is taken matters 1-2 %, spilling or reading rows twice matters 2x).  On the host one
 * thread takes a row, or a run of points, in vectors that LLVM maps to the machine's.
 */
#include "jit/sched/sched.h"

#define GPU_THREADS 256
#define GPU_ROW_STEPS 8     /* more data registers than this spill */
#define GPU_ROW_THREADS 1024
#define GPU_WALK_THREADS 64 /* few walkers there are mostly: over many processors */
#define HOST_VEC 16
#define HOST_UNROLL 64

/* The widest vector, a power of two up to WANT, that always divides EXTENT. */
static uint16_t vector_width(jc_exprs *ex, const jc_expr *extent, uint32_t want) {
    int64_t divisor = jc_ex_divisor(ex, extent);
    uint32_t v = 1;
    while (v < want && divisor % (2 * v) == 0)
        v *= 2;
    return (uint16_t)v;
}

static uint32_t wanted_width(const jc_sched *s, const jc_gen *g) {
    if (!jc_gpu(s))
        return HOST_VEC;
    return g->small <= 2 ? 8 : g->small == 4 ? 4 : 2;
}

static uint32_t round_up(uint32_t x, uint32_t to) {
    return (x + to - 1) / to * to;
}

static void shape_row(jc_sched *s, jc_gen *g) {
    jc_kernel *k = g->k;
    const jc_expr *columns = k->extent[k->rank - 1];
    int64_t n;
    k->family = JC_K_ROW;
    k->unroll = 1;
    k->vec = vector_width(g->ex, columns, wanted_width(s, g));
    if (!jc_gpu(s)) {
        k->threads = k->lanes = 1;
        return;
    }
    if (!jc_ex_is_const(columns, &n)) {
        k->threads = k->lanes = GPU_THREADS;
        return;
    }
    uint64_t vectors = ((uint64_t)n + k->vec - 1) / k->vec;
    if (vectors <= 16) { /* short rows share a warp */
        k->lanes = 1;
        while (k->lanes < vectors)
            k->lanes *= 2;
    } else if (vectors <= 64) {
        k->lanes = 32;
    } else {
        uint64_t lanes = vectors / 2;
        k->lanes = (uint16_t)(lanes > GPU_ROW_THREADS ? GPU_ROW_THREADS : round_up((uint32_t)lanes, 32));
    }
    k->threads = k->lanes < 128 ? (k->lanes <= 32 ? 128 : round_up(k->lanes, 32)) : k->lanes;
    if (k->lanes > 32 && k->threads != k->lanes)
        k->threads = k->lanes;
    uint64_t steps = (vectors + k->lanes - 1) / k->lanes;
    k->steps = (uint16_t)(steps * k->vec <= GPU_ROW_STEPS * 8 ? steps : 0);
    if (k->steps == 0)
        k->threads = k->lanes = 512;
}

static void shape_point(jc_sched *s, jc_gen *g) {
    jc_kernel *k = g->k;
    k->family = JC_K_POINT;
    k->vec = vector_width(g->ex, k->extent[k->rank - 1], wanted_width(s, g));
    k->threads = jc_gpu(s) ? GPU_THREADS : 1;
    k->unroll = jc_gpu(s) ? 1 : HOST_UNROLL;
}

/* Neighbours along the last dim go side by side where what they store lies side by side. */
static bool stores_rows(const jc_gen *g) {
    const uint32_t last = g->k->rank - 1u;
    for (size_t i = 0; i < g->tape.n; i++) {
        const jc_expr *step, *rest;
        if (g->tape.at[i].op == JC_T_STORE && (!jc_ex_linear(g->ex, g->tape.at[i].index, last, &step, &rest) || !jc_ex_is(step, 1)))
            return false;
    }
    return true;
}

static void shape_walk(jc_sched *s, jc_gen *g) {
    jc_kernel *k = g->k;
    k->family = JC_K_WALK;
    k->unroll = 1;
    k->threads = jc_gpu(s) ? GPU_WALK_THREADS : 1;
    k->vec = jc_gpu(s) || !stores_rows(g) ? 1 : vector_width(g->ex, k->extent[k->rank - 1], HOST_VEC);
}

void jc_sched_shape(jc_sched *s, jc_gen *g) {
    if (g->item->walk)
        shape_walk(s, g);
    else if (g->item->rows)
        shape_row(s, g);
    else
        shape_point(s, g);
}
