/*
 * kernels/flash.c - FLASH: attention on tensor cores (mma.sync.m16n8k16).
 *
 * A block's rows of Q, and `tile_k` rows of K and of V at a time, lie in shared memory.  V's travel while the scores are made, and the
 * next of K while these are used, so that there is one buffer each, and two barriers a round.  A warp has 16 or 32 rows to itself: their
 * scores and results stay in registers, of each row its four threads know the largest score so far, and their own part of the sum of
 * weights, which meet at the end.  Scores become the left operand of the second product where they are.
 *
 * Rounds that no row of a block sees are left out, and so is a warp's work for those that none of its rows sees.  The mask, the number of keys and
 * the diagonal are looked at only in rounds where they matter.
 *
 * Results go by way of shared memory, 16 rows of each warp at a time, as those of kernels/mma.c do.
 */
#include "kernels/attention.h"
#include "kernels/fragment.h"

#include <math.h>

enum { MAX_ROWS = 2, MAX_STEPS = JC_MAX_HEAD / 16, MAX_COLUMNS = JC_MAX_HEAD / 8, MAX_KEYS = 16, MAX_COPIES = 64, VECTOR = 8, PAD = 8 };

/* A thread's part in copying a tile: chunk `it*threads + tid` of it. */
typedef struct copies {
    const jc_matrix *x;
    unsigned n, total;
    LLVMValueRef row[MAX_COPIES], column[MAX_COPIES], to[MAX_COPIES]; /* i32; `to`: a byte of shared memory */
    LLVMValueRef base, step;                                         /* K and V: i64 */
} copies;

typedef struct flash {
    jc_emit *e;
    const jc_kernel *k;
    jc_attend t;
    bool bf16, late;            /* late: the scale is positive, and comes in with the exponential */
    unsigned head, head_out;    /* E, N */
    unsigned columns;           /* of results: N, and what a part has besides */
    unsigned mi, nj, no;        /* a warp's fragments: of 16 rows, of 8 keys, of 8 columns */
    unsigned at_k, at_v;        /* bytes of shared memory */
    LLVMValueRef tid, lane, warp;
    LLVMValueRef scale;         /* that and log2(e) */
    LLVMValueRef warp_first, warp_seen; /* its first row; keys that its rows see */
    LLVMValueRef seen[MAX_ROWS][2], mask[MAX_ROWS][2]; /* of a row: keys seen; the element of the mask at key 0, or NULL */
    LLVMValueRef q[MAX_STEPS][4];                        /* where a warp has 16 rows */
    LLVMValueRef s[MAX_ROWS][MAX_KEYS][4], o[MAX_ROWS][MAX_COLUMNS][4], top[MAX_ROWS][2], total[MAX_ROWS][2]; /* slots */
    copies of_k, of_v;
} flash;

static LLVMValueRef get(flash *f, LLVMValueRef slot) { return LLVMBuildLoad2(f->e->b, f->e->t.f32, slot, ""); }
static void put(flash *f, LLVMValueRef v, LLVMValueRef slot) { LLVMBuildStore(f->e->b, v, slot); }
static LLVMValueRef less(flash *f, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildICmp(f->e->b, LLVMIntSLT, a, b, ""); }

static LLVMValueRef slot_of(flash *f, double x, const char *name) {
    LLVMValueRef slot = jc_alloca(f->e, f->e->t.f32, 1, 0, name);
    put(f, jc_real_of(f->e->t.f32, x), slot);
    return slot;
}

/* ---- copying -------------------------------------------------------------------------------------------------- */

static void find_copies(flash *f, copies *c, const jc_matrix *x, unsigned rows, unsigned columns, unsigned at) {
    jc_emit *e = f->e;
    const unsigned chunks = columns / 8;
    *c = (copies){ .x = x, .total = rows * chunks };
    c->n = (c->total + f->k->threads - 1) / f->k->threads;
    for (unsigned it = 0; it < c->n; it++) {
        LLVMValueRef id = jc_i32_add(e, f->tid, jc_i32(e, (int64_t)it * f->k->threads)), chunk;
        jc_emit_divmod(e, id, jc_i32(e, chunks), &c->row[it], &chunk);
        c->column[it] = jc_i32_mul(e, chunk, 8);
        c->to[it] = jc_i32_add(e, jc_shared_chunk(e, c->row[it], chunk, chunks), jc_i32(e, at));
    }
}

/* Chunk IT of C from element FROM of its row; zeros unless VALID (NULL: it is). */
static void copy_chunk(flash *f, const copies *c, unsigned it, LLVMValueRef from, LLVMValueRef valid) {
    jc_emit *e = f->e;
    LLVMTypeRef element = jc_memory_type(e, f->k->args[c->x->arg].dtype);
    LLVMValueRef at = jc_gep(e, element, jc_gep(e, element, e->args[c->x->arg], from), c->column[it]);
    LLVMValueRef bytes = valid ? jc_select(e, valid, jc_i32(e, 16), jc_i32(e, 0)) : jc_i32(e, 16);
    const bool some = it == c->n - 1 && c->total % f->k->threads;
    jc_if exists = { 0 };
    if (some)
        exists = jc_if_begin(e, less(f, f->tid, jc_i32(e, c->total % f->k->threads)), "copy");
    e->d->cp_async(e, jc_shared_at(e, c->to[it]), at, bytes);
    if (some)
        jc_if_end(e, &exists);
}

static void copy_q(flash *f) {
    jc_emit *e = f->e;
    copies c;
    find_copies(f, &c, &f->k->attention.q, f->k->tile_m, f->head, 0);
    for (unsigned it = 0; it < c.n; it++) {
        jc_env env;
        LLVMValueRef r = jc_i32_add(e, f->t.first, c.row[it]), valid = less(f, r, f->t.rows);
        LLVMValueRef m = jc_attend_row(&f->t, &env, jc_select(e, valid, r, jc_i32(e, 0)));
        copy_chunk(f, &c, it, jc_attend_element(&env, c.x, m), valid);
    }
}

/* Rows of K or V from S0 on. */
static void copy_keys(flash *f, const copies *c, LLVMValueRef s0) {
    jc_emit *e = f->e;
    /* A part may be empty, and its first tile is copied all the same. */
    const bool whole = f->k->attention.parts == 1 && jc_ex_divisor(f->k->ex, f->k->attention.keys) % f->k->tile_k == 0;
    for (unsigned it = 0; it < c->n; it++) {
        LLVMValueRef s = jc_i32_add(e, s0, c->row[it]), valid = whole ? NULL : less(f, s, f->t.keys);
        if (valid)
            s = jc_select(e, valid, s, jc_i32(e, 0));
        LLVMValueRef from = LLVMBuildMul(e->b, jc_widen_int(e, s, e->t.i64, true), c->step, "");
        copy_chunk(f, c, it, LLVMBuildAdd(e->b, c->base, from, ""), valid);
    }
    e->d->cp_commit(e);
}

static void find_keys(flash *f, copies *c, const jc_matrix *x, unsigned columns, unsigned at) {
    find_copies(f, c, x, f->k->tile_k, columns, at);
    c->base = jc_attend_element(&f->t.shared, x, jc_i32(f->e, 0));
    c->step = jc_emit_expr64(&f->t.base, x->row);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

/* The thread's row in half HALF of its warp's fragment I, as all rows are counted. */
static LLVMValueRef row_of(flash *f, unsigned i, unsigned half) {
    jc_emit *e = f->e;
    return jc_i32_add(e, jc_i32_add(e, f->warp_first, jc_i32_shr(e, f->lane, 2)), jc_i32(e, 16 * i + 8 * half));
}

static void find_rows(flash *f) {
    jc_emit *e = f->e;
    const jc_attention *a = &f->k->attention;
    f->warp_first = jc_i32_add(e, f->t.first, jc_i32_mul(e, f->warp, 16 * f->mi));
    LLVMValueRef seen = jc_attend_seen(&f->t, jc_i32_add(e, f->warp_first, jc_i32(e, 16 * f->mi)));
    f->warp_seen = jc_select(e, less(f, f->warp_first, f->t.rows), seen, jc_i32(e, 0));
    for (unsigned i = 0; i < f->mi; i++)
        for (unsigned h = 0; h < 2; h++) {
            jc_env env;
            LLVMValueRef r = row_of(f, i, h), valid = less(f, r, f->t.rows);
            LLVMValueRef m = jc_attend_row(&f->t, &env, jc_select(e, valid, r, jc_i32(e, 0)));
            seen = a->causal ? jc_attend_min(e, f->t.keys, jc_i32_add(e, m, jc_i32(e, 1))) : f->t.keys;
            f->seen[i][h] = a->masked ? jc_select(e, valid, seen, jc_i32(e, 0)) : seen;
            f->mask[i][h] = a->masked ? jc_attend_element(&env, &a->mask, m) : NULL;
            f->top[i][h] = slot_of(f, -INFINITY, "top");
            f->total[i][h] = slot_of(f, 0, "total");
        }
    for (unsigned i = 0; i < f->mi; i++)
        for (unsigned j = 0; j < f->no; j++)
            for (unsigned c = 0; c < 4; c++)
                f->o[i][j][c] = slot_of(f, 0, "sum");
    for (unsigned i = 0; i < f->mi; i++)
        for (unsigned j = 0; j < f->nj; j++)
            for (unsigned c = 0; c < 4; c++)
                f->s[i][j][c] = slot_of(f, 0, "score");
}

/* ---- the products --------------------------------------------------------------------------------------------- */

static void load_q(flash *f, unsigned i, unsigned kk, LLVMValueRef q[4]) {
    jc_emit *e = f->e;
    LLVMValueRef row = jc_i32_add(e, jc_i32_mul(e, f->warp, 16 * f->mi), jc_i32_and(e, f->lane, 15));
    LLVMValueRef chunk = jc_i32_add(e, jc_i32_shr(e, f->lane, 4), jc_i32(e, 2 * kk));
    LLVMValueRef at = jc_i32_add(e, jc_shared_chunk(e, row, chunk, f->head / 8), jc_i32(e, i * 16 * f->head * 2));
    e->d->ldmatrix_x4(e, jc_shared_at(e, at), false, q);
}

/* Keys 8 j to 8 j + 15, elements 16 kk on: two right operands. */
static void load_k(flash *f, unsigned j, unsigned kk, LLVMValueRef b[4]) {
    jc_emit *e = f->e;
    LLVMValueRef row = jc_i32_add(e, jc_i32_and(e, f->lane, 7), jc_i32_mul(e, jc_i32_shr(e, f->lane, 4), 8));
    LLVMValueRef chunk = jc_i32_add(e, jc_i32_and(e, jc_i32_shr(e, f->lane, 3), 1), jc_i32(e, 2 * kk));
    LLVMValueRef at = jc_i32_add(e, jc_shared_chunk(e, row, chunk, f->head / 8), jc_i32(e, f->at_k + j * 8 * f->head * 2));
    e->d->ldmatrix_x4(e, jc_shared_at(e, at), false, b);
}

/* Keys 16 kk on, columns 8 j to 8 j + 15. */
static void load_v(flash *f, unsigned j, unsigned kk, LLVMValueRef b[4]) {
    jc_emit *e = f->e;
    LLVMValueRef row = jc_i32_and(e, f->lane, 15), chunk = jc_i32_add(e, jc_i32_shr(e, f->lane, 4), jc_i32(e, j));
    LLVMValueRef at = jc_i32_add(e, jc_shared_chunk(e, row, chunk, f->head_out / 8), jc_i32(e, f->at_v + kk * 16 * f->head_out * 2));
    e->d->ldmatrix_x4(e, jc_shared_at(e, at), true, b);
}

static void multiply(flash *f, LLVMValueRef const a[4], LLVMValueRef const b[2], LLVMValueRef slots[4]) {
    LLVMValueRef c[4];
    for (unsigned h = 0; h < 4; h++)
        c[h] = get(f, slots[h]);
    f->e->d->mma_16816(f->e, f->bf16, a, b, c);
    for (unsigned h = 0; h < 4; h++)
        put(f, c[h], slots[h]);
}

static void scores(flash *f) {
    jc_emit *e = f->e;
    LLVMValueRef q[MAX_ROWS][4], b[4];
    for (unsigned i = 0; i < f->mi; i++)
        for (unsigned j = 0; j < f->nj; j++)
            for (unsigned c = 0; c < 4; c++)
                put(f, jc_real_of(e->t.f32, 0), f->s[i][j][c]);
    for (unsigned kk = 0; kk < f->head / 16; kk++) {
        for (unsigned i = 0; i < f->mi; i++)
            for (unsigned h = 0; h < 4; h++)
                q[i][h] = f->q[kk][h];
        for (unsigned i = 0; f->mi > 1 && i < f->mi; i++)
            load_q(f, i, kk, q[i]);
        for (unsigned j = 0; j < f->nj; j += 2) {
            load_k(f, j, kk, b);
            for (unsigned i = 0; i < f->mi; i++)
                for (unsigned h = 0; h < 2; h++)
                    multiply(f, q[i], b + 2 * h, f->s[i][j + h]);
        }
    }
}

static LLVMValueRef packed(flash *f, LLVMValueRef low, LLVMValueRef high) {
    jc_emit *e = f->e;
    LLVMValueRef pair = jc_set_lane(e, jc_set_lane(e, jc_undef(jc_vec_of(e->t.f32, 2)), 0, low), 1, high);
    return LLVMBuildBitCast(e->b, jc_to_memory(e, f->bf16 ? JC_BF16 : JC_F16, pair), e->t.i32, "");
}

static void values(flash *f) {
    LLVMValueRef p[MAX_ROWS][4], b[4];
    for (unsigned kk = 0; kk < f->nj / 2; kk++) {
        for (unsigned i = 0; i < f->mi; i++)
            for (unsigned h = 0; h < 4; h++) {
                LLVMValueRef *s = f->s[i][2 * kk + h / 2] + 2 * (h % 2);
                p[i][h] = packed(f, get(f, s[0]), get(f, s[1]));
            }
        for (unsigned j = 0; j < f->no; j += 2) {
            load_v(f, j, kk, b);
            for (unsigned i = 0; i < f->mi; i++)
                for (unsigned h = 0; h < 2; h++)
                    multiply(f, p[i], b + 2 * h, f->o[i][j + h]);
        }
    }
}

/* ---- weights -------------------------------------------------------------------------------------------------- */

/* What key S is to the thread's row of fragment I, half H: minus infinity where it does not see it, else SCORE and what the mask adds. */
static LLVMValueRef seen_score(flash *f, unsigned i, unsigned h, LLVMValueRef s, LLVMValueRef score) {
    jc_emit *e = f->e;
    LLVMValueRef sees = less(f, s, f->seen[i][h]);
    if (f->k->attention.masked) /* what is not seen is looked at in a place that there is */
        score = jc_attend_masked(&f->t, jc_select(e, sees, f->mask[i][h], jc_i64(e, 0)), jc_select(e, sees, s, jc_i32(e, 0)), score, M_LOG2E);
    return jc_select(e, sees, score, jc_real_of(e->t.f32, -INFINITY));
}

static void look_at_keys(flash *f, LLVMValueRef s0) {
    jc_emit *e = f->e;
    const jc_attention *a = &f->k->attention;
    const bool whole = jc_ex_divisor(f->k->ex, a->keys) % f->k->tile_k == 0;
    LLVMValueRef column = jc_i32_add(e, s0, jc_i32_mul(e, jc_i32_and(e, f->lane, 3), 2));
    jc_if some = { 0 };
    if (whole && !a->causal && !a->masked)
        return;
    if (!a->masked) { /* the first row of a warp sees the fewest */
        LLVMValueRef all = jc_i32_add(e, s0, jc_i32(e, f->k->tile_k)), m, head;
        jc_emit_divmod(e, f->warp_first, jc_i32(e, a->group), &m, &head);
        LLVMValueRef fewest = a->causal ? jc_attend_min(e, f->t.keys, jc_i32_add(e, m, jc_i32(e, 1))) : f->t.keys;
        some = jc_if_begin(e, less(f, fewest, all), "unseen");
    }
    for (unsigned i = 0; i < f->mi; i++)
        for (unsigned j = 0; j < f->nj; j++)
            for (unsigned c = 0; c < 4; c++) {
                LLVMValueRef s = jc_i32_add(e, column, jc_i32(e, 8 * j + c % 2));
                put(f, seen_score(f, i, c / 2, s, get(f, f->s[i][j][c])), f->s[i][j][c]);
            }
    if (!a->masked)
        jc_if_end(e, &some);
}

/* Of the four threads of a row. */
static LLVMValueRef across(flash *f, LLVMValueRef x, LLVMValueRef (*join)(jc_emit *e, LLVMValueRef a, LLVMValueRef b)) {
    x = join(f->e, x, jc_shuffle_xor(f->e, x, 1));
    return join(f->e, x, jc_shuffle_xor(f->e, x, 2));
}

static LLVMValueRef added(jc_emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(e->b, a, b, ""); }

/* 2^x, of which nothing is left that would be subnormal: the largest is 1. */
static LLVMValueRef weight(jc_emit *e, LLVMValueRef x) { return e->d->exp2_normal ? e->d->exp2_normal(e, x) : jc_math_exp2(e, x); }

/* Scores of half H of fragment I to weights, and what was summed up so far brought to the same largest score. */
static void weigh(flash *f, unsigned i, unsigned h) {
    jc_emit *e = f->e;
    LLVMValueRef old = get(f, f->top[i][h]), top = get(f, f->s[i][0][2 * h]), sum = NULL;
    LLVMValueRef low = jc_real_of(e->t.f32, -INFINITY), by = f->late ? f->scale : jc_real_of(e->t.f32, 1);
    for (unsigned j = 0; j < f->nj; j++)
        for (unsigned c = !j; c < 2; c++)
            top = jc_attend_max(e, top, get(f, f->s[i][j][2 * h + c]));
    top = jc_attend_max(e, old, across(f, top, jc_attend_max));
    put(f, top, f->top[i][h]);
    LLVMValueRef none = LLVMBuildFCmp(e->b, LLVMRealOEQ, top, low, "");
    LLVMValueRef from = LLVMBuildFNeg(e->b, LLVMBuildFMul(e->b, jc_select(e, none, jc_real_of(e->t.f32, 0), top), by, ""), "");
    LLVMValueRef less_by = weight(e, jc_fused(e, old, by, from));
    for (unsigned j = 0; j < f->nj; j++)
        for (unsigned c = 0; c < 2; c++) {
            LLVMValueRef slot = f->s[i][j][2 * h + c], p = weight(e, jc_fused(e, get(f, slot), by, from));
            put(f, p, slot);
            sum = sum ? LLVMBuildFAdd(e->b, sum, p, "") : p;
        }
    put(f, jc_fused(e, get(f, f->total[i][h]), less_by, sum), f->total[i][h]);
    for (unsigned j = 0; j < f->no; j++)
        for (unsigned c = 0; c < 2; c++) {
            LLVMValueRef slot = f->o[i][j][2 * h + c];
            put(f, LLVMBuildFMul(e->b, get(f, slot), less_by, ""), slot);
        }
}

static void scale_scores(flash *f) {
    for (unsigned i = 0; !f->late && i < f->mi; i++)
        for (unsigned j = 0; j < f->nj; j++)
            for (unsigned c = 0; c < 4; c++)
                put(f, LLVMBuildFMul(f->e->b, get(f, f->s[i][j][c]), f->scale, ""), f->s[i][j][c]);
}

/* ---- the rounds ----------------------------------------------------------------------------------------------- */

static void round_of(flash *f, LLVMValueRef s0, LLVMValueRef seen) {
    jc_emit *e = f->e;
    LLVMValueRef next = jc_i32_add(e, s0, jc_i32(e, f->k->tile_k)), mine = less(f, s0, f->warp_seen);
    e->d->cp_wait(e, 0);
    e->d->barrier(e);
    copy_keys(f, &f->of_v, s0);
    jc_if first = jc_if_begin(e, mine, "scores");
    scores(f);
    scale_scores(f);
    look_at_keys(f, s0);
    jc_if_end(e, &first);
    e->d->cp_wait(e, 0);
    e->d->barrier(e);
    jc_if more = jc_if_begin(e, less(f, next, seen), "next");
    copy_keys(f, &f->of_k, next);
    jc_if_end(e, &more);
    jc_if second = jc_if_begin(e, mine, "values");
    for (unsigned i = 0; i < f->mi; i++)
        for (unsigned h = 0; h < 2; h++)
            weigh(f, i, h);
    values(f);
    jc_if_end(e, &second);
}

static void rounds(flash *f) {
    jc_emit *e = f->e;
    LLVMValueRef seen = jc_attend_seen(&f->t, jc_i32_add(e, f->t.first, jc_i32(e, f->k->tile_m)));
    copy_q(f);
    e->d->cp_commit(e);
    copy_keys(f, &f->of_k, f->t.begin);
    if (f->mi == 1) {
        e->d->cp_wait(e, 1);
        e->d->barrier(e);
        for (unsigned kk = 0; kk < f->head / 16; kk++)
            load_q(f, 0, kk, f->q[kk]);
    }
    jc_for loop = jc_for_begin(e, f->t.begin, seen, jc_i32(e, f->k->tile_k), "key");
    loop.rolled = true;
    round_of(f, loop.i, seen);
    jc_for_end(e, &loop);
    e->d->cp_wait(e, 0);
    e->d->barrier(e);
}

/* ---- results -------------------------------------------------------------------------------------------------- */

static LLVMValueRef region_at(flash *f, LLVMValueRef row, LLVMValueRef column) {
    jc_emit *e = f->e;
    const unsigned pitch = f->columns + PAD;
    LLVMValueRef index = jc_i32_add(e, jc_i32_mul(e, row, pitch), column);
    return jc_shared_at(e, jc_i32_add(e, jc_i32_mul(e, f->warp, 16 * pitch * 4), jc_i32_mul(e, index, 4)));
}

static void put_row(flash *f, LLVMValueRef at, LLVMValueRef top, LLVMValueRef total) {
    jc_emit *e = f->e;
    LLVMValueRef first = LLVMBuildICmp(e->b, LLVMIntEQ, jc_i32_and(e, f->lane, 3), jc_i32(e, 0), ""), pair = jc_undef(jc_vec_of(e->t.f32, 2));
    pair = jc_set_lane(e, pair, 0, jc_select(e, first, top, jc_real_of(e->t.f32, 0)));
    pair = jc_set_lane(e, pair, 1, jc_select(e, first, total, jc_real_of(e->t.f32, 0)));
    e->d->store(e, JC_SHARED, pair, jc_gep(e, e->t.f32, at, jc_i32(e, f->head_out)), 8);
}

static void put_down(flash *f, unsigned i) {
    jc_emit *e = f->e;
    LLVMValueRef row = jc_i32_shr(e, f->lane, 2), column = jc_i32_mul(e, jc_i32_and(e, f->lane, 3), 2);
    for (unsigned h = 0; h < 2; h++) {
        LLVMValueRef total = across(f, get(f, f->total[i][h]), added), one = jc_real_of(e->t.f32, 1);
        LLVMValueRef share = f->k->attention.parts > 1 ? one : jc_attend_share(e, total);
        LLVMValueRef at = region_at(f, jc_i32_add(e, row, jc_i32(e, 8 * h)), column);
        for (unsigned j = 0; j < f->no; j++) {
            LLVMValueRef pair = jc_undef(jc_vec_of(e->t.f32, 2));
            for (unsigned c = 0; c < 2; c++)
                pair = jc_set_lane(e, pair, c, LLVMBuildFMul(e->b, get(f, f->o[i][j][2 * h + c]), share, ""));
            e->d->store(e, JC_SHARED, pair, jc_gep(e, e->t.f32, at, jc_i32(e, j * 8)), 8);
        }
        if (f->k->attention.parts > 1) /* the first of a row's four threads has what is known of the row, the others zeros */
            put_row(f, at, LLVMBuildFMul(e->b, get(f, f->top[i][h]), f->late ? f->scale : one, ""), total);
    }
}

/* The tape for 16 rows from FIRST on. */
static void run_tape(flash *f, jc_tape *tape, LLVMValueRef first) {
    jc_emit *e = f->e;
    const unsigned per_row = f->columns / VECTOR;
    jc_for loop = jc_for_begin(e, f->lane, jc_i32(e, 16 * per_row), jc_i32(e, 32), "output");
    LLVMValueRef row, column;
    jc_emit_divmod(e, loop.i, jc_i32(e, per_row), &row, &column);
    column = jc_i32_mul(e, column, VECTOR);
    LLVMValueRef r = jc_i32_add(e, first, row), valid = less(f, r, f->t.rows);
    jc_env place, env;
    jc_attend_row(&f->t, &place, jc_select(e, valid, r, jc_i32(e, 0)));
    jc_env_init(&env, e, tape, &place);
    env.loop[f->k->rank - 1] = column;
    env.store_if = valid;
    jc_emit_loads(&env, NULL);
    env.acc = jc_name(e, jc_shared_floats(e, region_at(f, row, column), VECTOR), "sums");
    jc_emit_rest(&env, NULL);
    jc_for_end(e, &loop);
}

static void outputs(flash *f) {
    jc_emit *e = f->e;
    jc_tape tape;
    jc_tape_init(&tape, e, VECTOR);
    jc_for loop = jc_for_begin(e, jc_i32(e, 0), jc_i32(e, f->mi), jc_i32(e, 1), "part");
    for (unsigned i = 0; i < f->mi; i++) {
        jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, loop.i, jc_i32(e, i), ""), "put_down");
        put_down(f, i);
        jc_if_end(e, &s);
    }
    e->d->warp_sync(e);
    run_tape(f, &tape, jc_i32_add(e, f->warp_first, jc_i32_mul(e, loop.i, 16)));
    e->d->warp_sync(e);
    jc_for_end(e, &loop);
}

/* A scale that is known to be positive does not change which score is the largest. */
static bool comes_late(const jc_kernel *k) {
    const jc_instr *scale = &k->tape[k->attention.scale];
    const bool sums = k->attention.masked && k->args[k->attention.mask.arg].dtype != JC_B8;
    return scale->op == JC_T_FLOAT && scale->f > 0 && !sums;
}

void jc_kernel_flash(jc_emit *e) {
    const jc_kernel *k = e->k;
    flash *f = JC_NEW(e->arena, flash);
    *f = (flash){ .e = e, .k = k, .bf16 = k->args[k->attention.q.arg].dtype == JC_BF16, .late = comes_late(k), .head = jc_kernel_head(k),
                  .head_out = jc_kernel_head_out(k) };
    f->mi = k->tile_m / 16u / (k->warps_m ? k->warps_m : 1);
    f->columns = f->head_out + (k->attention.parts > 1 ? JC_PARTS_EXTRA : 0);
    f->nj = k->tile_k / 8u;
    f->no = f->head_out / 8;
    const unsigned most = (k->tile_m > k->tile_k ? k->tile_m : k->tile_k) * (f->head > f->head_out ? f->head : f->head_out) / 8;
    if (jc_on_host(e) || f->mi < 1 || f->mi > MAX_ROWS || f->nj > MAX_KEYS || most > (unsigned)MAX_COPIES * k->threads) {
        jc_emit_fail(e, "A flash kernel's tile of %u rows by %u keys for %u threads cannot be generated for %s.", k->tile_m, k->tile_k, k->threads,
                     e->d->name);
        return;
    }
    f->at_k = k->tile_m * f->head * 2u;
    f->at_v = f->at_k + k->tile_k * f->head * 2u;
    f->tid = e->d->thread(e);
    f->lane = jc_name(e, jc_i32_and(e, f->tid, 31), "lane");
    f->warp = jc_name(e, jc_i32_shr(e, f->tid, 5), "warp");
    e->shared_at = e->d->shared(e, jc_kernel_shared(k));
    jc_attend_place(e, &f->t, e->d->block(e));
    f->scale = LLVMBuildFMul(e->b, f->t.scale, jc_real_of(e->t.f32, M_LOG2E), "scale");
    find_keys(f, &f->of_k, &k->attention.k, f->head, f->at_k);
    find_keys(f, &f->of_v, &k->attention.v, f->head_out, f->at_v);
    find_rows(f);
    rounds(f);
    outputs(f);
}
