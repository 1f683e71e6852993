/*
 * kernels/mma_tile.c - products on tensor cores: copies into the ring, and the way of the sums to the tape.
 */
#include "kernels/mma_tile.h"

enum { VECTOR = 8, PAD = 8 };

/* ---- copying -------------------------------------------------------------------------------------------------- */

/* Of the operand's row INDEX, the address of COLUMN. */
static LLVMValueRef row_at(jc_mma *g, bool second, LLVMValueRef index, LLVMValueRef column) {
    jc_emit *e = g->e;
    unsigned arg = second ? g->k->b.arg : g->k->a.arg;
    LLVMTypeRef element = jc_memory_type(e, g->k->args[arg].dtype);
    return jc_gep(e, element, jc_gep(e, element, e->args[arg], jc_product_row(&g->p, second, index)), column);
}

/* By how many bytes rows lie apart that are ROWS apart; NULL: they need not lie evenly. */
static LLVMValueRef rows_apart(jc_mma *g, bool second, unsigned rows) {
    jc_emit *e = g->e;
    const jc_kernel *k = g->k;
    const jc_expr *step, *rest;
    if (!jc_ex_linear(k->ex, second ? k->b.row : k->a.row, k->rank - (second ? 1u : 2u), &step, &rest))
        return NULL;
    return LLVMBuildMul(e->b, jc_emit_expr64(&g->p.base, step), jc_i64(e, 2 * (int64_t)rows), "rows.apart");
}

/*
 * The first copy's place is worked out, and where a pass of all threads is whole rows, and these a period of the swizzle, the others follow from it at
 * equal distances.
 */
static void find_copies(jc_mma *g, jc_mma_copies *c, bool second) {
    jc_emit *e = g->e;
    const jc_kernel *k = g->k;
    const unsigned rows = second ? k->tile_n : k->tile_m, total = rows * g->chunks, pass = k->threads / g->chunks;
    LLVMValueRef first = second ? g->p.n0 : g->p.m0, size = second ? g->p.n : g->p.m, apart = NULL, from = NULL, none = NULL;
    bool whole = jc_ex_divisor(k->ex, k->extent[k->rank - (second ? 1 : 2)]) % rows == 0;
    const bool even = k->threads % g->chunks == 0 && pass % JC_SHARED_PERIOD == 0;
    if (even)
        apart = rows_apart(g, second, pass);
    c->n = (total + k->threads - 1) / k->threads;
    for (unsigned it = 0; it < c->n && it < JC_MMA_COPIES; it++) {
        LLVMValueRef id = jc_i32_add(e, g->tid, jc_i32(e, (int64_t)it * k->threads)), row, chunk;
        jc_emit_divmod(e, id, jc_i32(e, g->chunks), &row, &chunk);
        LLVMValueRef index = jc_product_offset(e, first, row);
        c->column[it] = even && it ? c->column[0] : jc_i32_mul(e, chunk, 8);
        from = apart && it ? jc_gep(e, e->t.i8, from, apart) : row_at(g, second, index, c->column[it]);
        c->from[it] = from;
        if (!whole) {
            c->valid[it] = jc_product_below(e, index, size);
            if (!apart || !it)
                none = row_at(g, second, LLVMConstNull(LLVMTypeOf(index)), c->column[it]);
            c->from[it] = jc_select(e, c->valid[it], from, none);
        }
        jc_name(e, c->from[it], second ? "b.from" : "a.from");
        if (even && it) {
            c->to[it] = jc_gep(e, e->t.i8, c->to[0], jc_i32(e, (int64_t)it * k->threads * 16));
        } else {
            LLVMValueRef to = jc_shared_chunk(e, row, chunk, g->chunks);
            c->to[it] = jc_shared_at(e, second ? jc_i32_add(e, to, jc_i32(e, g->a_bytes)) : to);
        }
        if (it == c->n - 1 && total % k->threads)
            c->inside = LLVMBuildICmp(e->b, LLVMIntSLT, id, jc_i32(e, total), "");
    }
}

static void start_copies(jc_mma *g, jc_mma_copies *c, bool second, LLVMValueRef k, LLVMValueRef stage) {
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
        LLVMValueRef to = jc_name(e, jc_gep(e, e->t.i8, c->to[it], stage), "copy.to");
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

LLVMValueRef jc_mma_rounds(jc_mma *g) {
    jc_emit *e = g->e;
    LLVMValueRef size = jc_widen_int(e, g->p.k, e->t.i32, true);
    return LLVMBuildUDiv(e->b, LLVMBuildAdd(e->b, size, jc_i32(e, g->k->tile_k - 1), ""), jc_i32(e, g->k->tile_k), "");
}

LLVMValueRef jc_mma_next_stage(jc_mma *g, LLVMValueRef stage) {
    jc_emit *e = g->e;
    LLVMValueRef behind = jc_i32_add(e, stage, jc_i32(e, g->stage_bytes));
    LLVMValueRef last = LLVMBuildICmp(e->b, LLVMIntEQ, behind, jc_i32(e, (int64_t)g->k->stages * g->stage_bytes), "");
    return jc_name(e, jc_select(e, last, jc_i32(e, 0), behind), "stage.next");
}

void jc_mma_start_round(jc_mma *g, LLVMValueRef next, LLVMValueRef rounds, LLVMValueRef stage) {
    jc_emit *e = g->e;
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, jc_name(e, next, "next"), rounds, ""), "next");
    LLVMValueRef k = jc_name(e, jc_i32_mul(e, next, g->k->tile_k), "next.k");
    start_copies(g, &g->a, false, k, stage);
    start_copies(g, &g->b, true, k, stage);
    jc_if_end(e, &s);
    e->d->cp_commit(e);
}

/* ---- the epilogue --------------------------------------------------------------------------------------------- */

typedef struct epilogue {
    unsigned columns, groups;  /* of a warp's tile that are put down at once; how many times */
    unsigned pitch;            /* f32 from row to row */
    unsigned w;                /* points of a vector */
    LLVMValueRef region;       /* the warp's, a byte of shared memory */
    LLVMValueRef down[2][JC_MMA_FRAGMENTS]; /* where a lane puts a pair of each fragment of a group: of row lane / 4, and of that + 8 */
} epilogue;

static LLVMValueRef region_at(jc_mma *g, epilogue *x, LLVMValueRef row, LLVMValueRef column) {
    LLVMValueRef index = jc_i32_add(g->e, jc_i32_mul(g->e, row, x->pitch), column);
    return jc_shared_at(g->e, jc_i32_add(g->e, x->region, jc_i32_mul(g->e, index, 4)));
}

static void find_pairs(jc_mma *g, epilogue *x) {
    jc_emit *e = g->e;
    LLVMValueRef row = jc_i32_shr(e, g->lane, 2), column = jc_i32_mul(e, jc_i32_and(e, g->lane, 3), 2);
    LLVMValueRef first = region_at(g, x, row, column);
    for (unsigned half = 0; half < 2; half++)
        for (unsigned j = 0; j < g->ni / x->groups; j++)
            x->down[half][j] = jc_gep(e, e->t.f32, first, jc_i32(e, (int64_t)half * 8 * x->pitch + j * 8));
}

static bool find_epilogue(jc_mma *g, epilogue *x) {
    const jc_kernel *k = g->k;
    unsigned warps = k->threads / 32u, room = jc_kernel_shared(k) / warps / 16u / 4u; /* f32 a row */
    x->w = jc_power_dividing(g->e, k->extent[k->rank - 1], VECTOR);
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
    find_pairs(g, x);
    return true;
}

static void put_down(jc_mma *g, epilogue *x, unsigned i, unsigned group) {
    jc_emit *e = g->e;
    unsigned n = g->ni / x->groups;
    for (unsigned half = 0; half < 2; half++)
        for (unsigned j = 0; j < n; j++) {
            LLVMValueRef pair = jc_undef(jc_vec_of(e->t.f32, 2));
            for (unsigned h = 0; h < 2; h++) {
                LLVMValueRef slot = g->acc[i][group * n + j][2 * half + h];
                pair = jc_set_lane(e, pair, h, LLVMBuildLoad2(e->b, e->t.f32, slot, ""));
            }
            e->d->store(e, JC_SHARED, pair, x->down[half][j], 8);
        }
}

/* The tape for the 16 rows from M0 on and the columns put down, from N0 on. */
static void run_tape(jc_mma *g, epilogue *x, jc_tape *t, LLVMValueRef m0, LLVMValueRef n0) {
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

void jc_mma_outputs(jc_mma *g) {
    jc_emit *e = g->e;
    epilogue x;
    jc_tape t;
    if (!find_epilogue(g, &x)) {
        jc_emit_fail(e, "The stages of a product on tensor cores are too small for 16 rows of each warp's sums.");
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

/* ---- the block ------------------------------------------------------------------------------------------------ */

static void clear_sums(jc_mma *g) {
    jc_emit *e = g->e;
    for (unsigned i = 0; i < g->mi; i++)
        for (unsigned j = 0; j < g->ni; j++)
            for (unsigned c = 0; c < 4; c++) {
                g->acc[i][j][c] = jc_alloca(e, e->t.f32, 1, 0, "sum");
                LLVMBuildStore(e->b, LLVMConstNull(e->t.f32), g->acc[i][j][c]);
            }
}

jc_mma *jc_mma_open(jc_emit *e) {
    const jc_kernel *k = e->k;
    jc_mma *g = JC_NEW(e->arena, jc_mma);
    *g = (jc_mma){ .e = e, .k = k, .chunks = k->tile_k / 8u, .bf16 = k->args[k->a.arg].dtype == JC_BF16 };
    g->mi = k->tile_m / 16u / (k->warps_m ? k->warps_m : 1);
    g->ni = k->tile_n / 8u / (k->warps_n ? k->warps_n : 1);
    g->a_bytes = (unsigned)k->tile_m * k->tile_k * 2u;
    g->stage_bytes = ((unsigned)k->tile_m + k->tile_n) * k->tile_k * 2u;
    g->k_whole = jc_ex_divisor(k->ex, k->k) % k->tile_k == 0;
    unsigned most = (k->tile_m > k->tile_n ? k->tile_m : k->tile_n) * g->chunks;
    if (jc_on_host(e) || g->mi > JC_MMA_FRAGMENTS || g->ni > JC_MMA_FRAGMENTS || most > (unsigned)JC_MMA_COPIES * k->threads) {
        jc_emit_fail(e, "A product's tile of %u x %u x %u for %u threads cannot be generated for %s.", k->tile_m,
                     k->tile_n, k->tile_k, k->threads, e->d->name);
        return NULL;
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
    clear_sums(g);
    return g;
}
