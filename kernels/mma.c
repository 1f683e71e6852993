/*
 * kernels/mma.c - MMA: matrix products on tensor cores (mma.sync.m16n8k16).
 *
 * Tiles of A (tile_m x tile_k) and B (tile_n x tile_k) travel by 16-byte asynchronous copies into a ring of `stages`
 * buffers.  A round of the loop waits for its stage, passes one barrier (after which the stage that was read last is
 * free), starts the copy that goes there, and multiplies; the first stages-1 rounds only copy, so that the body exists
 * once.  Rows past the end and what tile_k leaves over of K are filled with zeros by the copy itself.
 *
 * The epilogue goes through shared memory, 16 rows of each warp at a time: fragments are put down and read back as runs
 * of a row, so that the tape exists once, in vectors, and global memory is accessed in full lines.
 */
#include "kernels/fragment.h"
#include "kernels/product.h"

enum { MAX_COPIES = 64, MAX_FRAGMENTS = 32, MAX_KK = 16, EPILOGUE_VECTOR = 8, PAD = 8 };

/* One thread's part in copying one operand's tile: chunk `it*threads + tid`. */
typedef struct copies {
    unsigned n;
    LLVMValueRef from[MAX_COPIES];  /* global address at k = 0 */
    LLVMValueRef to[MAX_COPIES];    /* byte in a stage, i32 */
    LLVMValueRef valid[MAX_COPIES]; /* the row exists; NULL: it does */
    LLVMValueRef column[MAX_COPIES];/* first k of the chunk, i32 */
    LLVMValueRef inside;            /* of the last copy: the chunk exists; NULL: it does */
} copies;

typedef struct mma {
    jc_emit *e;
    const jc_kernel *k;
    jc_product p;
    unsigned chunks;            /* of a row */
    unsigned stage_bytes, a_bytes;
    unsigned mi, ni;            /* fragments of a warp */
    bool bf16, k_whole;
    LLVMValueRef tid, lane, warp_m, warp_n;
    copies a, b;
    LLVMValueRef at_a[MAX_KK], at_b[MAX_KK], at_b_last[MAX_KK]; /* bytes in a stage, by step of k */
    LLVMValueRef acc[MAX_FRAGMENTS][MAX_FRAGMENTS][4];          /* slots */
} mma;

/* ---- copying -------------------------------------------------------------------------------------------------- */

static void find_copies(mma *g, copies *c, bool second) {
    jc_emit *e = g->e;
    const jc_kernel *k = g->k;
    unsigned rows = second ? k->tile_n : k->tile_m, total = rows * g->chunks;
    LLVMValueRef first = second ? g->p.n0 : g->p.m0, size = second ? g->p.n : g->p.m;
    bool whole = jc_ex_divisor(k->ex, k->extent[k->rank - (second ? 1 : 2)]) % rows == 0;
    unsigned arg = second ? k->b.arg : k->a.arg;
    LLVMTypeRef element = jc_memory_type(e, k->args[arg].dtype);
    c->n = (total + k->threads - 1) / k->threads;
    for (unsigned it = 0; it < c->n && it < MAX_COPIES; it++) {
        LLVMValueRef id = jc_i32_add(g->e, g->tid, jc_i32(e, (int64_t)it * k->threads)), row, chunk;
        jc_emit_divmod(e, id, jc_i32(e, g->chunks), &row, &chunk);
        LLVMValueRef index = jc_product_offset(e, first, row);
        if (!whole) {
            c->valid[it] = jc_product_below(e, index, size);
            index = jc_select(e, c->valid[it], index, LLVMConstNull(LLVMTypeOf(index)));
        }
        c->column[it] = jc_i32_mul(g->e, chunk, 8);
        LLVMValueRef at = jc_gep(e, element, e->args[arg], jc_product_row(&g->p, second, index));
        c->from[it] = jc_name(e, jc_gep(e, element, at, c->column[it]), second ? "b.from" : "a.from");
        c->to[it] = jc_shared_chunk(g->e, row, chunk, g->chunks);
        if (second)
            c->to[it] = jc_i32_add(g->e, c->to[it], jc_i32(e, g->a_bytes));
        if (it == c->n - 1 && total % k->threads)
            c->inside = LLVMBuildICmp(e->b, LLVMIntSLT, id, jc_i32(e, total), "");
    }
}

static void start_copies(mma *g, copies *c, bool second, LLVMValueRef k, LLVMValueRef stage) {
    jc_emit *e = g->e;
    unsigned arg = second ? g->k->b.arg : g->k->a.arg;
    LLVMTypeRef element = jc_memory_type(e, g->k->args[arg].dtype);
    for (unsigned it = 0; it < c->n; it++) {
        LLVMValueRef valid = c->valid[it], from = jc_gep(e, element, c->from[it], k);
        if (!g->k_whole) {
            LLVMValueRef column = jc_i32_add(g->e, jc_widen_int(e, k, e->t.i32, true), c->column[it]);
            LLVMValueRef in_row = jc_product_below(e, column, g->p.k);
            from = jc_select(e, in_row, from, e->args[arg]);
            valid = valid ? LLVMBuildAnd(e->b, valid, in_row, "") : in_row;
        }
        LLVMValueRef bytes = valid ? jc_select(e, valid, jc_i32(e, 16), jc_i32(e, 0)) : jc_i32(e, 16);
        LLVMValueRef to = jc_name(e, jc_shared_at(g->e, jc_i32_add(g->e, stage, c->to[it])), "copy.to");
        jc_name(e, from, "copy.from");
        jc_name(e, bytes, "copy.bytes");
        if (it == c->n - 1 && c->inside) {
            jc_if s = jc_if_begin(e, c->inside, "copy");
            e->d->cp_async(e, to, from, bytes);
            jc_if_end(e, &s);
        } else
            e->d->cp_async(e, to, from, bytes);
    }
}

/* The copy of round NEXT, unless there is no such round; a group in any case. */
static void start_round(mma *g, LLVMValueRef next, LLVMValueRef rounds) {
    jc_emit *e = g->e;
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, next, rounds, ""), "next");
    LLVMValueRef stage = jc_i32_mul(g->e, LLVMBuildURem(e->b, jc_name(e, next, "next"), jc_i32(e, g->k->stages), ""), g->stage_bytes);
    LLVMValueRef k = jc_i32_mul(g->e, next, g->k->tile_k);
    jc_name(e, stage, "next.stage");
    jc_name(e, k, "next.k");
    start_copies(g, &g->a, false, k, stage);
    start_copies(g, &g->b, true, k, stage);
    jc_if_end(e, &s);
    e->d->cp_commit(e);
}

/* ---- multiplying ---------------------------------------------------------------------------------------------- */

static void find_fragments(mma *g) {
    jc_emit *e = g->e;
    LLVMValueRef row_a = jc_i32_and(g->e, g->lane, 15), half_a = jc_i32_shr(g->e, g->lane, 4);
    LLVMValueRef low = jc_i32_and(g->e, g->lane, 7), half_b = jc_i32_and(g->e, jc_i32_shr(g->e, g->lane, 3), 1);
    LLVMValueRef row_b = jc_i32_add(g->e, low, jc_i32_mul(g->e, half_a, 8));
    LLVMValueRef base_a = jc_i32_mul(g->e, g->warp_m, g->mi * 16), base_b = jc_i32_mul(g->e, g->warp_n, g->ni * 8);
    for (unsigned kk = 0; kk < g->k->tile_k / 16u; kk++) {
        LLVMValueRef step = jc_i32(e, 2 * kk), of_b = jc_i32(e, g->a_bytes);
        g->at_a[kk] = jc_shared_chunk(g->e, jc_i32_add(g->e, base_a, row_a), jc_i32_add(g->e, half_a, step), g->chunks);
        LLVMValueRef chunk = jc_i32_add(g->e, half_b, step);
        g->at_b[kk] = jc_i32_add(g->e, jc_shared_chunk(g->e, jc_i32_add(g->e, base_b, row_b), chunk, g->chunks), of_b);
        if (g->ni % 2) /* of the last pair only the first half exists: both halves read it */
            g->at_b_last[kk] = jc_i32_add(g->e, jc_shared_chunk(g->e, jc_i32_add(g->e, base_b, low), chunk, g->chunks), of_b);
    }
    for (unsigned i = 0; i < g->mi; i++)
        for (unsigned j = 0; j < g->ni; j++)
            for (unsigned c = 0; c < 4; c++) {
                g->acc[i][j][c] = jc_alloca(e, e->t.f32, 1, 0, "sum");
                LLVMBuildStore(e->b, LLVMConstNull(e->t.f32), g->acc[i][j][c]);
            }
}

static void multiply(mma *g, LLVMValueRef stage) {
    jc_emit *e = g->e;
    unsigned row_bytes = g->chunks * 16;
    LLVMValueRef a[MAX_FRAGMENTS][4], b[MAX_FRAGMENTS + 1][2], r[4], c[4];
    for (unsigned kk = 0; kk < g->k->tile_k / 16u; kk++) {
        for (unsigned i = 0; i < g->mi; i++) {
            LLVMValueRef at = jc_i32_add(g->e, stage, g->at_a[kk]);
            at = jc_name(e, jc_gep(e, e->t.i8, jc_shared_at(g->e, at), jc_i32(e, i * 16 * row_bytes)), "a.at");
            e->d->ldmatrix_x4(e, at, false, a[i]);
            for (unsigned h = 0; h < 4; h++)
                jc_name(e, a[i][h], "a");
        }
        for (unsigned j = 0; j < g->ni; j += 2) {
            LLVMValueRef at = jc_i32_add(g->e, stage, j + 1 < g->ni ? g->at_b[kk] : g->at_b_last[kk]);
            at = jc_name(e, jc_gep(e, e->t.i8, jc_shared_at(g->e, at), jc_i32(e, j * 8 * row_bytes)), "b.at");
            e->d->ldmatrix_x4(e, at, false, r);
            for (unsigned h = 0; h < 4; h++)
                b[j + h / 2][h % 2] = jc_name(e, r[h], "b");
        }
        for (unsigned i = 0; i < g->mi; i++)
            for (unsigned j = 0; j < g->ni; j++) {
                for (unsigned h = 0; h < 4; h++)
                    c[h] = LLVMBuildLoad2(e->b, e->t.f32, g->acc[i][j][h], "");
                e->d->mma_16816(e, g->bf16, a[i], b[j], c);
                for (unsigned h = 0; h < 4; h++)
                    LLVMBuildStore(e->b, jc_name(e, c[h], "sum"), g->acc[i][j][h]);
            }
    }
}

static void main_loop(mma *g) {
    jc_emit *e = g->e;
    const jc_kernel *k = g->k;
    LLVMValueRef size = jc_widen_int(e, g->p.k, e->t.i32, true);
    LLVMValueRef rounds = LLVMBuildUDiv(e->b, LLVMBuildAdd(e->b, size, jc_i32(e, k->tile_k - 1), ""), jc_i32(e, k->tile_k), "");
    unsigned ahead = k->stages - 1u;
    jc_for loop = jc_for_begin(e, jc_i32(e, -(int64_t)ahead), rounds, jc_i32(e, 1), "round");
    if (ahead)
        e->d->cp_wait(e, ahead - 1);
    e->d->barrier(e);
    start_round(g, jc_i32_add(g->e, loop.i, jc_i32(e, ahead)), rounds);
    if (!ahead) {
        e->d->cp_wait(e, 0);
        e->d->barrier(e);
    }
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSGE, loop.i, jc_i32(e, 0), ""), "multiply");
    multiply(g, jc_i32_mul(g->e, LLVMBuildURem(e->b, loop.i, jc_i32(e, k->stages), ""), g->stage_bytes));
    jc_if_end(e, &s);
    jc_for_end(e, &loop);
    e->d->cp_wait(e, 0);
    e->d->barrier(e);
}

/* ---- the epilogue --------------------------------------------------------------------------------------------- */

typedef struct epilogue {
    unsigned columns, groups;  /* of a warp's tile that are put down at once; how many times */
    unsigned pitch;            /* f32 from row to row */
    unsigned w;                /* points of a vector */
    LLVMValueRef region;       /* the warp's, a byte of shared memory */
} epilogue;

static bool find_epilogue(mma *g, epilogue *x) {
    const jc_kernel *k = g->k;
    unsigned warps = k->threads / 32u, room = jc_kernel_shared(k) / warps / 16u / 4u; /* f32 a row */
    x->w = jc_power_dividing(g->e, k->extent[k->rank - 1], EPILOGUE_VECTOR);
    x->columns = g->ni * 8;
    x->groups = 1;
    while (x->columns > room && g->ni % (2 * x->groups) == 0) {
        x->groups *= 2;
        x->columns = g->ni * 8 / x->groups;
    }
    if (x->columns > room)
        return false;
    x->pitch = x->columns + PAD <= room ? x->columns + PAD : x->columns;
    LLVMValueRef warp = jc_i32_shr(g->e, g->tid, 5);
    x->region = jc_i32_mul(g->e, warp, 16 * x->pitch * 4);
    return true;
}

static LLVMValueRef region_at(mma *g, epilogue *x, LLVMValueRef row, LLVMValueRef column) {
    LLVMValueRef index = jc_i32_add(g->e, jc_i32_mul(g->e, row, x->pitch), column);
    return jc_shared_at(g->e, jc_i32_add(g->e, x->region, jc_i32_mul(g->e, index, 4)));
}

static void put_down(mma *g, epilogue *x, unsigned i, unsigned group) {
    jc_emit *e = g->e;
    LLVMValueRef row = jc_i32_shr(g->e, g->lane, 2), column = jc_i32_mul(g->e, jc_i32_and(g->e, g->lane, 3), 2);
    unsigned n = g->ni / x->groups;
    for (unsigned half = 0; half < 2; half++) {
        LLVMValueRef at = region_at(g, x, jc_i32_add(g->e, row, jc_i32(e, 8 * half)), column);
        for (unsigned j = 0; j < n; j++) {
            LLVMValueRef pair = jc_undef(jc_vec_of(e->t.f32, 2));
            for (unsigned h = 0; h < 2; h++) {
                LLVMValueRef slot = g->acc[i][group * n + j][2 * half + h];
                pair = jc_set_lane(e, pair, h, LLVMBuildLoad2(e->b, e->t.f32, slot, ""));
            }
            e->d->store(e, JC_SHARED, pair, jc_gep(e, e->t.f32, at, jc_i32(e, j * 8)), 8);
        }
    }
}

/* The tape for the 16 rows from M0 on and the columns put down, from N0 on. */
static void run_tape(mma *g, epilogue *x, jc_tape *t, LLVMValueRef m0, LLVMValueRef n0) {
    jc_emit *e = g->e;
    const jc_kernel *k = g->k;
    unsigned per_row = x->columns / x->w;
    jc_for loop = jc_for_begin(e, g->lane, jc_i32(e, 16 * per_row), jc_i32(e, 32), "output");
    LLVMValueRef row, column;
    jc_emit_divmod(e, loop.i, jc_i32(e, per_row), &row, &column);
    column = jc_i32_mul(g->e, column, x->w);
    LLVMValueRef m = jc_product_offset(e, m0, row), n = jc_product_offset(e, n0, column);
    LLVMValueRef valid = LLVMBuildAnd(e->b, jc_product_below(e, m, g->p.m), jc_product_below(e, n, g->p.n), "valid");
    jc_env env;
    jc_env_init(&env, e, t, &g->p.base);
    env.loop[k->rank - 2] = jc_select(e, valid, m, LLVMConstNull(LLVMTypeOf(m)));
    env.loop[k->rank - 1] = jc_select(e, valid, n, LLVMConstNull(LLVMTypeOf(n)));
    env.store_if = valid;
    jc_emit_loads(&env, NULL);
    env.acc = jc_name(e, jc_shared_floats(e, region_at(g, x, row, column), x->w), "sums");
    jc_emit_rest(&env, NULL);
    jc_for_end(e, &loop);
}

static void outputs(mma *g) {
    jc_emit *e = g->e;
    epilogue x;
    jc_tape t;
    if (!find_epilogue(g, &x)) {
        jc_emit_fail(e, "An mma kernel's stages are too small for 16 rows of each warp's sums.");
        return;
    }
    jc_tape_init(&t, e, x.w);
    LLVMValueRef m0 = jc_product_offset(e, g->p.m0, jc_i32_mul(g->e, g->warp_m, g->mi * 16));
    LLVMValueRef n0 = jc_product_offset(e, g->p.n0, jc_i32_mul(g->e, g->warp_n, g->ni * 8));
    unsigned parts = g->mi * x.groups;
    jc_for loop = jc_for_begin(e, jc_i32(e, 0), jc_i32(e, parts), jc_i32(e, 1), "part");
    for (unsigned part = 0; part < parts; part++) {
        jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, loop.i, jc_i32(e, part), ""), "put_down");
        put_down(g, &x, part / x.groups, part % x.groups);
        jc_if_end(e, &s);
    }
    e->d->warp_sync(e);
    LLVMValueRef i, group;
    jc_emit_divmod(e, loop.i, jc_i32(e, x.groups), &i, &group);
    run_tape(g, &x, &t, jc_product_offset(e, m0, jc_i32_mul(g->e, i, 16)),
             jc_product_offset(e, n0, jc_i32_mul(g->e, group, x.columns)));
    e->d->warp_sync(e);
    jc_for_end(e, &loop);
}

void jc_kernel_mma(jc_emit *e) {
    const jc_kernel *k = e->k;
    mma *g = JC_NEW(e->arena, mma);
    *g = (mma){ .e = e, .k = k, .chunks = k->tile_k / 8u, .bf16 = k->args[k->a.arg].dtype == JC_BF16 };
    g->mi = k->tile_m / 16u / (k->warps_m ? k->warps_m : 1);
    g->ni = k->tile_n / 8u / (k->warps_n ? k->warps_n : 1);
    g->a_bytes = (unsigned)k->tile_m * k->tile_k * 2u;
    g->stage_bytes = ((unsigned)k->tile_m + k->tile_n) * k->tile_k * 2u;
    g->k_whole = jc_ex_divisor(k->ex, k->k) % k->tile_k == 0;
    unsigned most = (k->tile_m > k->tile_n ? k->tile_m : k->tile_n) * g->chunks;
    if (jc_on_host(e) || g->mi > MAX_FRAGMENTS || g->ni > MAX_FRAGMENTS || k->tile_k > 16 * MAX_KK ||
        most > (unsigned)MAX_COPIES * k->threads) {
        jc_emit_fail(e, "An mma kernel's tile of %u x %u x %u for %u threads cannot be generated for %s.", k->tile_m,
                     k->tile_n, k->tile_k, k->threads, e->d->name);
        return;
    }
    g->tid = e->d->thread(e);
    g->lane = jc_name(e, jc_i32_and(g->e, g->tid, 31), "lane");
    LLVMValueRef warp = jc_name(e, jc_i32_shr(g->e, g->tid, 5), "warp");
    jc_emit_divmod(e, warp, jc_i32(e, k->warps_m), &g->warp_n, &g->warp_m);
    jc_name(e, g->warp_m, "warp.m");
    jc_name(e, g->warp_n, "warp.n");
    e->shared_at = e->d->shared(e, jc_kernel_shared(k));
    jc_product_place(e, &g->p, e->d->block(e), k->tile_m, k->tile_n);
    find_copies(g, &g->a, false);
    find_copies(g, &g->b, true);
    find_fragments(g);
    main_loop(g);
    outputs(g);
}
