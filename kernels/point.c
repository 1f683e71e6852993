/*
 * kernels/point.c - POINT: every point of the space for itself.
 *
 * GPU: a thread takes `unroll` vectors, a block's width apart; all their loads come first.  Points past the end compute
 * point 0 and do not store, so there are no branches around loads but those of what the kernel writes too.  Dividing a 64-bit number of a point by extents is
 * expensive; where the number of points need not fit 31 bits, a block divides its first point once by the largest
 * product of inner extents that does fit, and threads continue in 32 bits from there.
 *
 * Host: blocks are ranges of points; the loop goes row by row through a range, so that indices are divided once a row
 * and the inner loop runs along the last dimension, in vectors and then point by point.
 */
#include "kernels/host_rows.h"

static const jc_expr *product(jc_emit *e, unsigned first, unsigned last) {
    return jc_ex_product(e->k->ex, e->k->extent + first, last - first);
}

/* From 0 to below LIMIT? A size like 40 - s0 is never negative in a call, but not by its range, so it is computed in 64 bits. */
static bool below(jc_emit *e, const jc_expr *x, int64_t limit) {
    int64_t lo, hi;
    return jc_ex_range(e->k->ex, x, &lo, &hi) && lo >= 0 && hi < limit;
}

/* ---- GPU ------------------------------------------------------------------------------------------------------ */

typedef struct place {
    jc_env base;          /* expressions of arguments alone */
    unsigned split;       /* dims from here on are numbered by 32 bits; rank: none are */
    bool whole;           /* all are, block offset included */
    LLVMValueRef start;   /* of the block: i32 when whole, else i64 */
    LLVMValueRef outer, inner; /* not whole: start / product, start % product (i32) */
    LLVMValueRef points;
    bool full;            /* the space is a whole number of blocks */
} place;

static void find_place(jc_emit *e, place *p) {
    const jc_kernel *k = e->k;
    int64_t per_block = (int64_t)k->threads * k->vec * k->unroll, limit = (int64_t)1 << 31;
    const jc_expr *all = product(e, 0, k->rank);
    jc_env_init(&p->base, e, NULL, NULL);
    LLVMValueRef block = e->d->block(e);
    p->whole = below(e, all, limit - per_block);
    p->full = jc_ex_divisor(k->ex, all) % per_block == 0;
    if (p->whole) {
        p->points = jc_name(e, jc_emit_expr(&p->base, all), "points");
        p->start = LLVMBuildNSWMul(e->b, block, jc_i32(e, per_block), "block.start");
        return;
    }
    p->points = jc_name(e, jc_emit_expr64(&p->base, all), "points");
    p->start = LLVMBuildNSWMul(e->b, jc_widen_int(e, block, e->t.i64, false), jc_i64(e, per_block), "block.start");
    for (p->split = k->rank; p->split > 0; p->split--)
        if (!below(e, product(e, p->split - 1, k->rank), limit - per_block))
            break;
    if (p->split == k->rank)
        return;
    LLVMValueRef q = jc_emit_expr64(&p->base, product(e, p->split, k->rank)), r;
    jc_emit_divmod(e, p->start, q, &p->outer, &r);
    p->inner = LLVMBuildTrunc(e->b, r, e->t.i32, "block.inner");
    jc_name(e, p->outer, "block.outer");
}

/* The loop variables of the point LOCAL (i32) points into the block. */
static void locate(jc_env *env, place *p, LLVMValueRef local) {
    jc_emit *e = env->e;
    const jc_kernel *k = e->k;
    LLVMTypeRef wide = LLVMTypeOf(p->start);
    LLVMValueRef at = LLVMBuildNSWAdd(e->b, p->start, jc_widen_int(e, local, wide, false), "point");
    LLVMValueRef valid = p->full ? NULL : LLVMBuildICmp(e->b, LLVMIntSLT, at, p->points, "point.valid");
    env->store_if = valid;
    if (p->whole || p->split == k->rank) {
        if (valid)
            at = jc_select(e, valid, at, LLVMConstNull(wide));
        jc_emit_split_index(env, at, 0, k->rank);
        return;
    }
    LLVMValueRef q, r, n = jc_emit_expr(&p->base, product(e, p->split, k->rank));
    at = LLVMBuildNSWAdd(e->b, p->inner, local, "");
    jc_emit_divmod(e, at, jc_widen_int(e, n, e->t.i32, true), &q, &r);
    q = LLVMBuildNSWAdd(e->b, p->outer, jc_widen_int(e, q, e->t.i64, false), "");
    if (valid) {
        r = jc_select(e, valid, r, jc_i32(e, 0));
        q = jc_select(e, valid, q, jc_i64(e, 0));
    }
    if (below(e, product(e, 0, p->split), (int64_t)1 << 31))
        q = LLVMBuildTrunc(e->b, q, e->t.i32, "");
    jc_emit_split_index(env, r, p->split, k->rank);
    jc_emit_split_index(env, q, 0, p->split);
}

static void gpu_point(jc_emit *e) {
    const jc_kernel *k = e->k;
    jc_tape t;
    place p;
    jc_tape_init(&t, e, k->vec);
    find_place(e, &p);
    LLVMValueRef lane = LLVMBuildNSWMul(e->b, e->d->thread(e), jc_i32(e, k->vec), "");
    jc_env *env = JC_NEWN(e->arena, jc_env, k->unroll);
    for (unsigned u = 0; u < k->unroll; u++) {
        jc_env_init(&env[u], e, &t, &p.base);
        locate(&env[u], &p, LLVMBuildNSWAdd(e->b, lane, jc_i32(e, (int64_t)u * k->threads * k->vec), ""));
        jc_emit_loads(&env[u], NULL);
    }
    for (unsigned u = 0; u < k->unroll; u++)
        jc_emit_rest(&env[u], NULL);
}

/* ---- host ----------------------------------------------------------------------------------------------------- */

static void columns(jc_emit *e, jc_tape *t, jc_env *row, LLVMValueRef *from, LLVMValueRef to) {
    LLVMValueRef limit = LLVMBuildNSWSub(e->b, to, jc_i64(e, (int64_t)t->w - 1), "");
    jc_for loop = jc_for_begin(e, *from, limit, jc_i64(e, t->w), t->w > 1 ? "column" : "tail");
    jc_env env;
    jc_env_init(&env, e, t, row);
    env.loop[e->k->rank - 1] = loop.i;
    jc_emit_loads(&env, NULL);
    jc_emit_rest(&env, NULL);
    jc_for_end(e, &loop);
    *from = loop.i;
}

static void host_point(jc_emit *e) {
    const jc_kernel *k = e->k;
    unsigned w = k->vec > 1 ? k->vec : e->host_width;
    jc_tape vector, single;
    jc_env base, row;
    jc_tape_init(&vector, e, w);
    jc_tape_init(&single, e, 1);
    jc_env_init(&base, e, &single, NULL);
    LLVMValueRef points = jc_name(e, jc_emit_expr64(&base, product(e, 0, k->rank)), "points");
    LLVMValueRef n = jc_name(e, jc_emit_expr64(&base, k->extent[k->rank - 1]), "columns");

    jc_host_rows rows = jc_host_rows_begin(e, points, n, "point");
    jc_env_init(&row, e, &single, &base);
    if (k->rank > 1)
        jc_emit_split_index(&row, rows.number, 0, k->rank - 1u);
    bool *uniform = JC_NEWN(e->arena, bool, k->ninstrs), *column = JC_NEWN(e->arena, bool, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        uniform[i] = !single.column[i] && k->tape[i].op != JC_T_STORE && !single.late[i];
        for (size_t j = 0; j < single.deps[i].n; j++) /* what waits for a store, waits with it */
            uniform[i] &= uniform[single.deps[i].at[j]];
        column[i] = !uniform[i];
    }
    jc_emit_rest(&row, uniform);
    jc_emit_bases(&row, column);
    columns(e, &vector, &row, &rows.from, rows.to);
    if (w != k->vec)
        columns(e, &single, &row, &rows.from, rows.to);
    jc_host_rows_end(e, &rows);
}

void jc_kernel_point(jc_emit *e) {
    if (jc_on_host(e))
        host_point(e);
    else
        gpu_point(e);
}
