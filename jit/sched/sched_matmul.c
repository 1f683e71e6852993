/*
 * jit/sched/sched_matmul.c - products: operands as rows along k, and which kernels serve which numbers of rows.
 *
 * Sizes and strides are run-time arguments of which only the power of two that divides them is known, so the products
 * of a model with equal epilogues share their kernels.  A product gets a launch per range of M; the executor takes the one
 * whose guard holds.
 */
#include "jit/sched/sched.h"

typedef struct variant {
    int64_t lo, hi; /* rows served */
    uint8_t family;
    uint16_t threads, lanes, unroll, vec, tile_m, tile_n, tile_k, stages, warps_m, warps_n;
} variant;

#define ANY INT64_MAX
#define OWN 0 /* vec: the CPU's vectors of what is summed up; warps_m: by how many of them it holds */

/*
 * One row: see shares.  Else tensor cores.  Up to some 64 rows only the bytes of weights in flight count,
 * hence the deep ring.  Measured on an H100 (docs/performance.md): a third tile of 16 rows would gain 4 % up to 16 rows, and
 * cost every model a quarter more compile time; 128x256 tiles of mma lose to 128x128 at every size.
 */
static const variant gpu_tensor[] = {
    { 0, 1, JC_K_DOT, 128, 32, 1, 8, 1, 2, 0, 0, 0, 0 },
    { 2, 128, JC_K_MMA, 128, 0, 1, 8, 64, 64, 64, 5, 2, 2 },
    { 129, ANY, JC_K_MMA, 256, 0, 1, 8, 128, 128, 64, 3, 2, 4 },
};
/*
 * Where warpgroups multiply: a tile as large as the registers of two of them can hold the sums of.  Measured on an H200 (docs/performance.md): of few
 * rows 128x128 is quicker where 128x256 leaves multiprocessors idle, at the price of a fourth kernel.
 */
static const variant gpu_warpgroups[] = {
    { 0, 1, JC_K_DOT, 128, 32, 1, 8, 1, 2, 0, 0, 0, 0 },
    { 2, 128, JC_K_MMA, 128, 0, 1, 8, 64, 64, 64, 5, 2, 2 },
    { 129, ANY, JC_K_WGMMA, 256, 0, 1, 8, 128, 256, 64, 4, 8, 1 },
};
static const variant gpu_plain[] = {
    { 0, 1, JC_K_DOT, 128, 32, 1, 8, 1, 2, 0, 0, 0, 0 },
    { 2, ANY, JC_K_DOT, 128, 32, 1, 8, 8, 2, 0, 0, 0, 0 },
};
/*
 * The host by how B lies: one row of activations reads it in place, by dot along k or by bands along n; from two rows on it is worth
 * copying.  Half of the registers hold sums, of 2 vectors each of 4 or 8 rows: the others are too few for B and the rows of A.  Measured on a Zen 3
 * and on a Xeon with AVX-512 (docs/performance.md), as is the block.
 */
#define HOST_TILE { 2, ANY, JC_K_TILE, 1, 1, 1, OWN, 256, 128, 192, 0, OWN, 2 }
static const variant host_plain[] = { { 0, 1, JC_K_DOT, 1, 1, 1, OWN, 1, 8, 0, 0, 0, 0 }, HOST_TILE };
static const variant host_along_n[] = { { 0, 1, JC_K_BAND, 1, 1, 8, OWN, 1, 1024, 0, 0, 0, 0 }, HOST_TILE };

/*
 * One row of activations on a GPU reads each weight once: the bytes in flight are all that counts.  Of a long row several warps take a part
 * each, four loads at a time.  The last that fits a K which is known; measured on an H200 (docs/performance.md).
 */
static const struct share {
    int64_t k;
    uint16_t lanes, unroll, tile_n;
} shares[] = { { 0, 32, 1, 2 }, { 1024, 32, 4, 1 }, { 2048, 64, 4, 1 }, { 4096, 128, 4, 1 } };

/* Rows of operand V: its leading dims against the loops of the result, right-aligned before the last LOOPS. */
static const jc_expr *row_of(jc_gen *g, const jc_value *v, const jc_expr *const *strides, const int *loop_of) {
    const jc_type *out = &g->item->matmul->results[0]->type;
    const jc_expr *row = jc_gen_expr(g, jc_sched_offset(g->s, v));
    const int lead = (int)g->k->rank - out->rank;
    for (uint32_t d = 0; d < v->type.rank; d++)
        if (loop_of[d] >= lead && !jc_sched_spreads(g->s, v->type.dims[d], out->dims[loop_of[d] - lead]) && !jc_ex_is(strides[d], 0))
            row = jc_ex_add(g->ex, row, jc_ex_mul(g->ex, g->loop[loop_of[d]], jc_gen_size(g, strides[d])));
    return row;
}

/* K is dim KDIM of V; ROWDIM its row (or -1), the others are batch dims. */
static jc_operand operand(jc_gen *g, jc_value *v, int kdim, int rowdim, int rowloop) {
    const jc_expr *const *strides = jc_type_strides(g->s->ex, g->s->arena, &v->type);
    int loop_of[JC_MAX_RANK], rank = v->type.rank;
    int batch = 0; /* batch dims of v */
    for (int d = 0; d < rank; d++)
        batch += d != kdim && d != rowdim;
    int next = (int)g->k->rank - 2 - batch;
    for (int d = 0; d < rank; d++)
        loop_of[d] = d == kdim ? -1 : d == rowdim ? rowloop : next++;
    uint16_t arg = jc_gen_pointer(g, g->s->lazy[jc_storage(v)->id].store, (jc_dtype)v->type.dtype, false);
    const jc_expr *row = row_of(g, v, strides, loop_of);
    return (jc_operand){ arg, row, jc_gen_size(g, strides[kdim]) };
}

bool jc_gen_matmul(jc_gen *g, const jc_item *item) {
    const jc_node *n = item->matmul;
    jc_value *a = n->args[0].value, *b = n->args[1].value;
    int ra = a->type.rank, rb = b->type.rank, m = (int)g->k->rank - 2, nn = m + 1;
    if (a->type.dtype != b->type.dtype)
        return false;
    g->k->a = operand(g, a, ra - 1, ra >= 2 ? ra - 2 : -1, m);
    if (n->op == JC_OP_linear)
        g->k->b = operand(g, b, 1, 0, nn);
    else
        g->k->b = operand(g, b, rb - 2, rb - 1, nn);
    /* Only the second operand is marked: marking activations would make kernels differ by where they come from. */
    const jc_store *st = &g->s->stores.at[g->s->lazy[jc_storage(b)->id].store];
    g->args.at[g->k->b.arg].weight = st->input && !st->cls_written && g->k->b.arg != g->k->a.arg;
    g->k->k = jc_gen_size(g, a->type.dims[ra - 1]);
    return true;
}

/* The mma kernels count along k in 32 bits. */
static bool short_k(const jc_kernel *k) {
    int64_t lo, hi;
    return jc_ex_range(k->ex, k->k, &lo, &hi) && hi <= JC_SYM_MAX;
}

static bool tensor_cores(jc_sched *s, const jc_kernel *k) {
    const jc_karg *a = &k->args[k->a.arg], *b = &k->args[k->b.arg];
    bool narrow = (a->dtype == JC_BF16 || a->dtype == JC_F16) && short_k(k);
    return jc_target_schedule_facts(&s->options->target)->tensor_cores && !a->loose && !b->loose && narrow && a->dtype == b->dtype &&
           jc_ex_is(k->a.kstride, 1) && jc_ex_is(k->b.kstride, 1) && jc_ex_divisor(k->ex, k->a.row) % 8 == 0 &&
           jc_ex_divisor(k->ex, k->b.row) % 8 == 0 && jc_ex_divisor(k->ex, k->k) % 8 == 0;
}

/* What the code of an instruction calls nothing for: of any type; of F32 where approximations are allowed. */
enum { ALWAYS = 1, QUICK = 2 };
static const uint8_t inlined[JC_T_COUNT] = {
    [JC_T_LOAD] = ALWAYS, [JC_T_STORE] = ALWAYS, [JC_T_FLOAT] = ALWAYS, [JC_T_INT] = ALWAYS, [JC_T_INDEX] = ALWAYS, [JC_T_SCALAR] = ALWAYS,
    [JC_T_ACC] = ALWAYS, [JC_T_NEG] = ALWAYS, [JC_T_ABS] = ALWAYS, [JC_T_FLOOR] = ALWAYS, [JC_T_CEIL] = ALWAYS, [JC_T_RINT] = ALWAYS,
    [JC_T_SIGNBIT] = ALWAYS, [JC_T_NOT] = ALWAYS, [JC_T_ADD] = ALWAYS, [JC_T_SUB] = ALWAYS, [JC_T_MUL] = ALWAYS, [JC_T_PRODUCT] = ALWAYS,
    [JC_T_FMA] = ALWAYS, [JC_T_MINIMUM] = ALWAYS, [JC_T_MAXIMUM] = ALWAYS, [JC_T_AND] = ALWAYS, [JC_T_OR] = ALWAYS, [JC_T_XOR] = ALWAYS,
    [JC_T_EQ] = ALWAYS, [JC_T_NE] = ALWAYS, [JC_T_LT] = ALWAYS, [JC_T_LE] = ALWAYS, [JC_T_SELECT] = ALWAYS, [JC_T_CONVERT] = ALWAYS,
    [JC_T_WHOLE] = ALWAYS, [JC_T_ROUND] = ALWAYS, [JC_T_EXP] = QUICK, [JC_T_EXP2] = QUICK, [JC_T_DIV] = QUICK, [JC_T_SQRT] = QUICK,
    [JC_T_RSQRT] = QUICK, [JC_T_RCP] = QUICK, [JC_T_TANH] = QUICK, [JC_T_ERF] = QUICK,
};

/* Does E divide by what only the run knows? */
static bool divides_by_size(const jc_expr *e) {
    bool found = (e->kind == JC_EX_FDIV || e->kind == JC_EX_MOD) && !jc_ex_is_const(e->args[1], NULL);
    for (uint32_t i = 0; i < e->n && !found; i++)
        found = divides_by_size(e->args[i]);
    return found;
}

/*
 * Is there no call in K's code?  An assembler runs wgmma's products one after the other where there is one, and it calls for exact quotients and
 * roots, for functions that are computed in f64, and for quotients of 64 bits.
 */
static bool calls_nothing(const jc_kernel *k) {
    int64_t lo, hi;
    for (unsigned d = 0; d < k->rank; d++)
        if (!jc_ex_range(k->ex, k->extent[d], &lo, &hi) || hi > INT32_MAX || divides_by_size(k->extent[d]))
            return false;
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        const jc_instr *t = &k->tape[i];
        const bool quick = !k->exact && t->ct == JC_CT_F32;
        if (inlined[t->op] != ALWAYS && !(inlined[t->op] == QUICK && quick))
            return false;
        if ((t->op == JC_T_LOAD || t->op == JC_T_STORE || t->op == JC_T_INDEX) && divides_by_size(t->index))
            return false;
    }
    return !divides_by_size(k->a.row) && !divides_by_size(k->b.row);
}

/* Lanes take vectors along k only where every row starts aligned and k divides. */
static uint16_t dot_width(const jc_kernel *k, uint16_t want) {
    uint16_t v = want;
    if (!jc_ex_is(k->a.kstride, 1) || !jc_ex_is(k->b.kstride, 1))
        return 1;
    while (v > 1 && (jc_ex_divisor(k->ex, k->a.row) % v || jc_ex_divisor(k->ex, k->b.row) % v ||
                     jc_ex_divisor(k->ex, k->k) % v))
        v /= 2;
    return v;
}

/* Pairs of bf16 flush what is subnormal, which strict mode does not. */
static bool takes_pairs(const jc_sched *s, const jc_kernel *k) {
    return k->family == JC_K_TILE && !k->exact && jc_target_schedule_facts(&s->options->target)->pairs &&
           k->args[k->a.arg].dtype == JC_BF16 && k->args[k->b.arg].dtype == JC_BF16;
}

/* Sums in f64 and integers are twice as wide. */
static void own_shape(const jc_sched *s, jc_kernel *k) {
    unsigned wide = jc_compute_type(k->args[k->a.arg].dtype) == JC_CT_F32 ? 1 : 2;
    uint16_t vec = (uint16_t)(jc_target_schedule_facts(&s->options->target)->vector / wide);
    k->vec = k->family == JC_K_DOT ? dot_width(k, vec) : vec;
    k->tile_k = (uint16_t)(k->tile_k / wide);
    if (k->family == JC_K_TILE)
        k->tile_m = (uint16_t)(k->tile_m / wide);
    const jc_target_facts *cpu = jc_target_schedule_facts(&s->options->target);
    if (k->family == JC_K_TILE)
        k->warps_m = (uint16_t)(cpu->registers / (2 * k->warps_n));
    if (takes_pairs(s, k)) {
        k->lanes = cpu->tiles ? 32 : 2;
        k->tile_k = (uint16_t)(k->tile_k * 2);
    }
    if (k->lanes == 32)
        k->warps_m = 32; /* two by two of eight tiles hold sums */
}

static void apply(const jc_sched *s, jc_kernel *k, const variant *v) {
    k->family = v->family;
    k->threads = v->threads;
    k->lanes = v->lanes;
    k->unroll = v->unroll;
    k->vec = v->family == JC_K_DOT && v->vec != OWN ? dot_width(k, v->vec) : v->vec;
    k->tile_m = v->tile_m;
    k->tile_n = v->tile_n;
    k->tile_k = v->tile_k;
    k->stages = v->stages;
    k->warps_m = v->warps_m;
    k->warps_n = v->warps_n;
    if (v->vec == OWN)
        own_shape(s, k);
}

static bool along_n(const jc_kernel *k) {
    const jc_expr *step, *rest;
    return jc_ex_linear(k->ex, k->b.row, k->rank - 1u, &step, &rest) && jc_ex_is(step, 1);
}

static void share_k(jc_kernel *k, const jc_expr *length) {
    const struct share *s = shares;
    int64_t known;
    if (!jc_ex_is_const(length, &known))
        known = 0;
    for (size_t i = 1; i < sizeof shares / sizeof *shares && known >= shares[i].k; i++)
        s = &shares[i];
    k->lanes = s->lanes;
    k->unroll = s->unroll;
    k->tile_n = s->tile_n;
}

static void table(jc_sched *s, const jc_kernel *k, const variant **at, size_t *n) {
#define TABLE(t) (*at = (t), *n = sizeof(t) / sizeof *(t))
    if (!jc_gpu(s) && !jc_ex_is(k->b.kstride, 1) && along_n(k))
        TABLE(host_along_n);
    else if (!jc_gpu(s))
        TABLE(host_plain);
    else if (tensor_cores(s, k) && jc_target_schedule_facts(&s->options->target)->warpgroups && calls_nothing(k))
        TABLE(gpu_warpgroups);
    else if (tensor_cores(s, k))
        TABLE(gpu_tensor);
    else
        TABLE(gpu_plain);
#undef TABLE
}

jitc_status jc_sched_matmul_steps(jc_sched *s, const jc_item *item) {
    const jc_type *t = &item->matmul->results[0]->type;
    const jc_expr *rows = t->rank >= 2 ? t->dims[t->rank - 2] : jc_ex_int(s->ex, 1);
    const jc_type *a = &item->matmul->args[0].value->type;
    const jc_expr *length = a->dims[a->rank - 1];
    const variant *at;
    size_t n = 1;
    int64_t lo, hi;
    if (!jc_ex_range(s->ex, rows, &lo, &hi))
        lo = 0, hi = ANY;
    for (size_t i = 0; i < n; i++) {
        jc_gen gen = { 0 };
        if (!jc_gen_group(&gen, s, item))
            return jc_sched_refuse(s, item->matmul->line, item->matmul->results[0]->name,
                                   "this product has operands of two dtypes");
        jc_gen_finish(&gen);
        table(s, gen.k, &at, &n);
        if (at[i].hi < lo || at[i].lo > hi)
            continue;
        apply(s, gen.k, &at[i]);
        if (jc_gpu(s) && at[i].hi == 1)
            share_k(gen.k, length);
        bool always = at[i].lo <= lo && at[i].hi >= hi;
        JC_TRY(jc_sched_launch(s, &gen, item->matmul->line, always ? NULL : rows, at[i].lo, at[i].hi));
    }
    return JITC_OK;
}
