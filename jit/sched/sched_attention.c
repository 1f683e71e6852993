/*
 * jit/sched/sched_attention.c - attention as one kernel: where it is, and for how many rows which.
 *
 * What a kernel of attention cannot take, and all of strict mode, is decomposed into products and a softmax (ir/decompose.c).  As with
 * products, sizes and strides are run-time arguments; head sizes are not.
 */
#include "jit/sched/sched_tape.h"

/* ---- is it one kernel? ---------------------------------------------------------------------------------------- */

static const jc_expr *from_end(const jc_type *t, uint32_t i) { return t->dims[t->rank - i]; }

static int64_t head_size(const jc_type *t) {
    int64_t x;
    return jc_ex_is_const(from_end(t, 1), &x) && x > 0 && x <= JC_MAX_HEAD ? x : 0;
}

/* Does X's last dim lie consecutively, and every row start at a multiple of ALIGN elements? */
static bool lies_well(jc_sched *s, const jc_value *x, int64_t align) {
    const jc_expr *const *strides = jc_type_strides(s->ex, s->arena, &x->type);
    if (!jc_ex_is(strides[x->type.rank - 1], 1) || jc_ex_divisor(s->ex, jc_sched_offset(s, x)) % align)
        return false;
    for (uint32_t d = 0; d + 1u < x->type.rank; d++)
        if (jc_ex_divisor(s->ex, strides[d]) % align)
            return false;
    return true;
}

static bool counts_in_31_bits(jc_sched *s, const jc_expr *x) {
    int64_t lo, hi;
    return jc_ex_range(s->ex, x, &lo, &hi) && hi <= JC_SYM_MAX;
}

/* Elements of a row that are one access: of tensor cores, or of vectors. */
static int64_t granule(const jc_sched *s) {
    return jc_gpu(s) ? 16 : 4;
}

static bool is_one_kernel(jc_sched *s, const jc_node *n) {
    if (n->op != JC_OP_sdpa || s->options->strict)
        return false;
    const jc_value *q = n->args[0].value, *k = n->args[1].value, *v = n->args[2].value;
    const int64_t e = head_size(&q->type), width = head_size(&v->type);
    const uint8_t dtype = q->type.dtype;
    if (!e || !width || e % granule(s) || width % granule(s) || jc_no_elements(s, k->type.dims, k->type.rank))
        return false;
    if (jc_gpu(s) && (!jc_target_schedule_facts(&s->options->target)->tensor_cores || (dtype != JC_F16 && dtype != JC_BF16)))
        return false;
    if (!counts_in_31_bits(s, from_end(&q->type, 2)) || !counts_in_31_bits(s, from_end(&k->type, 2)))
        return false;
    const int64_t align = jc_gpu(s) ? 8 : 1;
    return lies_well(s, q, align) && lies_well(s, k, align) && lies_well(s, v, align);
}

/* Blocks that keep a GPU busy; the most parts; tiles of keys that a part is worth having. */
#define BLOCKS 264
#define MAX_PARTS 32
#define LEAST_TILES 2

/* Into how many parts the keys of N are split, on a GPU, where few rows leave it without work; 1: none. */
static uint32_t parts_of(jc_sched *s, const jc_node *n) {
    const jc_type *out = &n->results[0]->type, *k = &n->args[1].value->type;
    const int64_t group = jc_attention_groups(&n->args[0].value->type, k);
    int64_t lo, hi, blocks = 1, size, parts = 1, most = MAX_PARTS;
    if (!jc_gpu(s) || out->rank > JC_MAX_RANK - 2 || !jc_ex_range(s->ex, from_end(out, 2), &lo, &hi) || hi * group > 64)
        return 1;
    for (uint32_t d = 0; d + 2u < out->rank; d++)
        blocks *= jc_ex_is_const(out->dims[d], &size) && size > 0 && size <= BLOCKS ? size : 1;
    if (!jc_ex_range(s->ex, from_end(k, 2), &lo, &hi))
        return 1;
    if (hi / (JC_KEYS_AT_ONCE * LEAST_TILES) < most)
        most = hi / (JC_KEYS_AT_ONCE * LEAST_TILES);
    while (2 * parts <= most && 2 * parts * (blocks / group) <= BLOCKS)
        parts *= 2;
    return (uint32_t)parts;
}

uint32_t jc_sched_keeps(void *sched, const jc_node *n) {
    return is_one_kernel(sched, n) ? parts_of(sched, n) : 0;
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

/* Argument I of attention as a matrix ROWS x COLUMNS of each batch; each GROUP heads have it in common. */
static jc_matrix matrix(jc_gen *g, uint32_t i, const jc_expr *rows, const jc_expr *columns, int64_t group) {
    const jc_node *n = g->item->matmul;
    jc_value *v = n->args[i].value;
    const jc_type *out = &n->results[0]->type;
    const jc_expr *const *strides = jc_type_strides(g->s->ex, g->s->arena, &v->type);
    const jc_expr *step[2] = { jc_ex_int(g->ex, 0), jc_ex_int(g->ex, 0) }, *base = jc_gen_expr(g, jc_sched_offset(g->s, v));
    for (uint32_t d = 0; d < v->type.rank; d++) {
        const uint32_t left = v->type.rank - d, at = out->rank - left; /* of this one and those after it; the dim of the result */
        const bool shared = group > 1 && left == 3;
        const jc_expr *of = left == 1 ? columns : left == 2 ? rows : out->dims[at];
        if (jc_ex_is(strides[d], 0) || (!shared && jc_sched_spreads(g->s, v->type.dims[d], of)))
            continue;
        const jc_expr *stride = jc_gen_size(g, strides[d]);
        if (left <= 2)
            step[2 - left] = stride;
        else
            base = jc_ex_add(g->ex, base, jc_ex_mul(g->ex, shared ? jc_ex_fdiv(g->ex, g->loop[at], jc_ex_int(g->ex, group)) : g->loop[at], stride));
    }
    const uint16_t arg = jc_gen_pointer(g, g->s->lazy[jc_storage(v)->id].store, (jc_dtype)v->type.dtype, false);
    return (jc_matrix){ arg, base, step[0], step[1] };
}

bool jc_gen_attention(jc_gen *g, const jc_item *item) {
    const jc_node *n = item->matmul;
    const jc_type *q = &n->args[0].value->type, *k = &n->args[1].value->type, *out = &n->results[0]->type;
    const jc_expr *rows = from_end(out, 2), *keys = from_end(k, 2);
    const int64_t group = jc_attention_groups(q, k);
    jc_attention *t = &g->k->attention;
    t->q = matrix(g, 0, rows, from_end(q, 1), 1);
    t->k = matrix(g, 1, keys, from_end(q, 1), group);
    t->v = matrix(g, 2, keys, from_end(&n->args[2].value->type, 1), group);
    t->masked = n->args[3].kind == JC_ARG_VALUE;
    if (t->masked)
        t->mask = matrix(g, 3, rows, keys, 1);
    t->causal = n->args[4].b;
    t->group = (uint16_t)group;
    t->parts = n->op == JC_OP_sdpa_parts ? (uint16_t)n->args[6].expr->value : 1;
    t->keys = jc_gen_size(g, keys);
    g->k->k = jc_gen_expr(g, from_end(q, 1));
    g->stores = item->roots.at[0]->stores;
    t->scale = jc_gen_argument(g, n, 5, q->dtype == JC_F64 ? JC_CT_F64 : JC_CT_F32);
    return !g->failed;
}

/* ---- schedules ------------------------------------------------------------------------------------------------ */

/* Rows are those of all heads of a group. */
typedef struct variant {
    int64_t lo, hi; /* rows served */
    uint16_t warps, tile_m;
} variant;

#define ANY INT64_MAX

/* Tiles of 128 rows read what is shared half as often; of few rows they leave a GPU without work, and of large heads that are causal, with
   too much beyond the diagonal (measured on an H200, docs/performance.md). */
static const variant gpu[] = { { 0, 512, 4, 64 }, { 513, ANY, 4, 128 } };
static const variant gpu_causal[] = { { 0, ANY, 4, 64 } };

#define HOST_ROWS 64
#define HOST_KEYS 64
#define GPU_KEYS 64

static void for_host(const jc_sched *s, jc_kernel *k) {
    const bool wide = jc_kernel_acc_type(k) == JC_CT_F64;
    unsigned vec = jc_target_schedule_facts(&s->options->target)->vector / (wide ? 2 : 1);
    while (jc_kernel_head(k) % vec || jc_kernel_head_out(k) % vec)
        vec /= 2;
    k->family = JC_K_ATTN;
    k->threads = 1;
    k->vec = (uint16_t)vec;
    k->tile_m = wide ? HOST_ROWS / 2 : HOST_ROWS;
    k->tile_k = HOST_KEYS;
}

/* What a thread holds of scores and results grows with the rows of its warp, 16 or 32. */
static void for_gpu(const jc_sched *s, jc_kernel *k, const variant *v) {
    const jc_target_facts *facts = jc_target_schedule_facts(&s->options->target);
    k->family = JC_K_FLASH;
    k->threads = (uint16_t)(32 * v->warps);
    k->vec = 8;
    k->warps_m = v->warps;
    k->tile_m = jc_kernel_head_out(k) > 128 || jc_kernel_head(k) > 128 ? (uint16_t)(16 * v->warps) : v->tile_m;
    k->tile_k = GPU_KEYS;
    while (k->tile_k > 16 && jc_kernel_shared(k) > facts->shared)
        k->tile_k /= 2;
}

jitc_status jc_sched_attention_steps(jc_sched *s, const jc_item *item) {
    const jc_node *n = item->matmul;
    const jc_expr *rows = from_end(&n->results[0]->type, 2);
    const int64_t group = jc_attention_groups(&n->args[0].value->type, &n->args[1].value->type);
    const bool large = head_size(&n->args[0].value->type) > 64 || head_size(&n->results[0]->type) > 64;
    const variant *at = n->args[4].b && large ? gpu_causal : gpu;
    const size_t count = jc_gpu(s) && at == gpu ? sizeof gpu / sizeof *gpu : 1;
    int64_t lo, hi;
    if (!jc_ex_range(s->ex, rows, &lo, &hi))
        lo = 0, hi = ANY;
    for (size_t i = 0; i < count; i++) {
        const variant *v = &at[i];
        const int64_t from = jc_gpu(s) ? (v->lo + group - 1) / group : 0, to = jc_gpu(s) && v->hi != ANY ? v->hi / group : ANY;
        jc_gen gen = { 0 };
        if (to < lo || from > hi || to < from)
            continue;
        if (!jc_gen_group(&gen, s, item))
            return jc_sched_refuse(s, n->line, n->results[0]->name, "no kernel can compute this attention in one pass");
        jc_gen_finish(&gen);
        if (jc_gpu(s))
            for_gpu(s, gen.k, v);
        else
            for_host(s, gen.k);
        const bool always = from <= lo && to >= hi;
        JC_TRY(jc_sched_launch(s, &gen, n->line, always ? NULL : rows, from, to));
    }
    return JITC_OK;
}
