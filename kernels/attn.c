/*
 * kernels/attn.c - ATTN: attention on the host.
 *
 * A block's rows of Q are copied, converted, to a scratch, where their sums are too.  For each `tile_k` keys: the scores of four rows by two
 * keys at a time, their products along E in vectors; then each row's weights, relative to the largest score of it so far, and what was
 * summed up before brought to the same; then the products with V of four rows by two vectors of columns.  K and V are read where they
 * lie.
 *
 * Rows are taken by fours: those past the last are zeros, and are not stored.  Keys past the last one repeat it, and count for nothing.
 */
#include "kernels/attention.h"

#include <math.h>

enum { ROWS = 4, KEYS = 2, MAX_VECTORS = 2 };

typedef struct attn {
    jc_emit *e;
    const jc_kernel *k;
    jc_attend t;
    unsigned w, head, head_out, keys; /* lanes; E, N; keys at a time */
    LLVMTypeRef type, vector;
    LLVMValueRef q, scores, sums;     /* [tile_m][E], [tile_m][tile_k], [tile_m][N] */
    LLVMValueRef top, total;          /* of each row: the largest score, the sum of the weights */
    LLVMValueRef rows, padded;        /* of the block; rounded up to ROWS */
    LLVMValueRef base_k, base_v, step_k, step_v;
    LLVMValueRef s0, count;           /* these keys */
} attn;

static LLVMValueRef i64_add(attn *a, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildAdd(a->e->b, x, y, ""); }
static LLVMValueRef i64_mul(attn *a, LLVMValueRef x, unsigned y) { return LLVMBuildMul(a->e->b, x, jc_i64(a->e, y), ""); }

/* W elements of argument ARG as sums are computed. */
static LLVMValueRef load(attn *a, uint16_t arg, LLVMValueRef at, unsigned w) {
    const uint8_t from = jc_compute_type(a->k->args[arg].dtype);
    return jc_emit_convert(a->e, (uint8_t)jc_kernel_acc_type(a->k), from, jc_load_run(a->e, arg, at, w, 1));
}

/* What lies in a scratch whose rows have LD elements. */
static LLVMValueRef at_of(attn *a, LLVMValueRef scratch, LLVMValueRef row, unsigned ld, LLVMValueRef column) {
    return jc_gep(a->e, a->type, scratch, i64_add(a, i64_mul(a, row, ld), column));
}

static LLVMValueRef get(attn *a, LLVMTypeRef type, LLVMValueRef at) {
    LLVMValueRef v = LLVMBuildLoad2(a->e->b, type, at, "");
    LLVMSetAlignment(v, a->type == a->e->t.f64 ? 8 : 4);
    return v;
}

static void put(attn *a, LLVMValueRef v, LLVMValueRef at) {
    LLVMSetAlignment(LLVMBuildStore(a->e->b, v, at), a->type == a->e->t.f64 ? 8 : 4);
}

typedef LLVMValueRef (*join)(jc_emit *e, LLVMValueRef a, LLVMValueRef b);

/* All lanes of V as one. */
static LLVMValueRef across(attn *a, LLVMValueRef v, join f) {
    for (unsigned w = jc_width_of(LLVMTypeOf(v)); w > 1; w /= 2)
        v = f(a->e, jc_slice(a->e, v, 0, w / 2), jc_slice(a->e, v, w / 2, w / 2));
    return jc_lane(a->e, v, 0);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static void begin_row(attn *a, LLVMValueRef r) {
    jc_emit *e = a->e;
    jc_env env;
    LLVMValueRef m = jc_attend_row(&a->t, &env, i64_add(a, a->t.first, r));
    LLVMValueRef from = jc_attend_element(&env, &a->k->attention.q, m);
    jc_for columns = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, a->head), jc_i64(e, a->w), "e");
    put(a, load(a, a->k->attention.q.arg, i64_add(a, from, columns.i), a->w), at_of(a, a->q, r, a->head, columns.i));
    jc_for_end(e, &columns);
    put(a, jc_real_of(a->type, -INFINITY), jc_gep(e, a->type, a->top, r));
    put(a, jc_real_of(a->type, 0), jc_gep(e, a->type, a->total, r));
}

static void begin_rows(attn *a) {
    jc_emit *e = a->e;
    LLVMValueRef zero = jc_i64(e, 0), one = jc_i64(e, 1), left = LLVMBuildSub(e->b, a->padded, a->rows, "");
    jc_product_zero(e, a->sums, a->type, i64_mul(a, a->padded, a->head_out), a->w);
    jc_product_zero(e, at_of(a, a->q, a->rows, a->head, zero), a->type, i64_mul(a, left, a->head), a->w);
    jc_for rows = jc_for_begin(e, zero, a->rows, one, "row");
    begin_row(a, rows.i);
    jc_for_end(e, &rows);
}

/* ---- scores --------------------------------------------------------------------------------------------------- */

static LLVMValueRef added(jc_emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(e->b, a, b, ""); }

/* Of ROWS rows from R on, and KEYS keys from J on. */
static void score(attn *a, LLVMValueRef r, LLVMValueRef j) {
    jc_emit *e = a->e;
    const jc_matrix *k = &a->k->attention.k;
    LLVMValueRef sum[ROWS][KEYS], key[KEYS], row[ROWS], last = LLVMBuildSub(e->b, a->t.keys, jc_i64(e, 1), "");
    for (unsigned c = 0; c < KEYS; c++) {
        LLVMValueRef s = jc_attend_min(e, i64_add(a, i64_add(a, a->s0, j), jc_i64(e, c)), last);
        key[c] = i64_add(a, a->base_k, LLVMBuildMul(e->b, s, a->step_k, ""));
        for (unsigned i = 0; i < ROWS; i++) {
            sum[i][c] = jc_alloca(e, a->vector, 1, 0, "score");
            LLVMBuildStore(e->b, LLVMConstNull(a->vector), sum[i][c]);
        }
    }
    jc_for columns = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, a->head), jc_i64(e, a->w), "e");
    for (unsigned i = 0; i < ROWS; i++)
        row[i] = get(a, a->vector, at_of(a, a->q, i64_add(a, r, jc_i64(e, i)), a->head, columns.i));
    for (unsigned c = 0; c < KEYS; c++) {
        LLVMValueRef x = jc_name(e, load(a, k->arg, i64_add(a, key[c], columns.i), a->w), "k");
        for (unsigned i = 0; i < ROWS; i++)
            LLVMBuildStore(e->b, jc_fused(e, row[i], x, LLVMBuildLoad2(e->b, a->vector, sum[i][c], "")), sum[i][c]);
    }
    jc_for_end(e, &columns);
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned c = 0; c < KEYS; c++) {
            LLVMValueRef at = at_of(a, a->scores, i64_add(a, r, jc_i64(e, i)), a->keys, i64_add(a, j, jc_i64(e, c)));
            put(a, across(a, LLVMBuildLoad2(e->b, a->vector, sum[i][c], ""), added), at);
        }
}

static void scores(attn *a) {
    jc_emit *e = a->e;
    jc_for rows = jc_for_begin(e, jc_i64(e, 0), a->padded, jc_i64(e, ROWS), "rows");
    jc_for keys = jc_for_begin(e, jc_i64(e, 0), a->count, jc_i64(e, KEYS), "keys");
    score(a, rows.i, keys.i);
    jc_for_end(e, &keys);
    jc_for_end(e, &rows);
}

/* ---- weights -------------------------------------------------------------------------------------------------- */

/* Row R's scores times the scale, and what the mask adds; minus infinity from what the row sees to WHOLE, a multiple of vectors. */
static void finish_scores(attn *a, LLVMValueRef r, LLVMValueRef whole) {
    jc_emit *e = a->e;
    jc_env env;
    LLVMValueRef zero = jc_i64(e, 0), one = jc_i64(e, 1), seen = a->count;
    LLVMValueRef m = jc_attend_row(&a->t, &env, i64_add(a, a->t.first, r));
    if (a->k->attention.causal) {
        LLVMValueRef before = LLVMBuildSub(e->b, i64_add(a, m, one), a->s0, "");
        seen = jc_attend_min(e, a->count, jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, before, zero, ""), zero, before));
    }
    const unsigned w = a->k->attention.masked ? 1 : a->w;
    LLVMTypeRef type = jc_vec_of(a->type, w);
    LLVMValueRef from = a->k->attention.masked ? jc_attend_element(&env, &a->k->attention.mask, m) : NULL;
    jc_for keys = jc_for_begin(e, zero, w > 1 ? whole : seen, jc_i64(e, w), "key");
    LLVMValueRef at = at_of(a, a->scores, r, a->keys, keys.i), x = LLVMBuildFMul(e->b, get(a, type, at), jc_splat(e, a->t.scale, w), "");
    if (from)
        x = jc_attend_masked(&a->t, from, i64_add(a, a->s0, keys.i), x, 1);
    put(a, x, at);
    jc_for_end(e, &keys);
    jc_for unseen = jc_for_begin(e, seen, whole, one, "unseen");
    put(a, jc_real_of(a->type, -INFINITY), at_of(a, a->scores, r, a->keys, unseen.i));
    jc_for_end(e, &unseen);
}

static LLVMValueRef largest(attn *a, LLVMValueRef r, LLVMValueRef whole) {
    jc_emit *e = a->e;
    LLVMValueRef top = jc_alloca(e, a->vector, 1, 0, "top");
    LLVMBuildStore(e->b, jc_real_of(a->vector, -INFINITY), top);
    jc_for keys = jc_for_begin(e, jc_i64(e, 0), whole, jc_i64(e, a->w), "key");
    LLVMValueRef x = get(a, a->vector, at_of(a, a->scores, r, a->keys, keys.i));
    LLVMBuildStore(e->b, jc_attend_max(e, LLVMBuildLoad2(e->b, a->vector, top, ""), x), top);
    jc_for_end(e, &keys);
    return across(a, LLVMBuildLoad2(e->b, a->vector, top, ""), jc_attend_max);
}

/* Scores to weights relative to TOP; their sum. */
static LLVMValueRef weigh(attn *a, LLVMValueRef r, LLVMValueRef whole, LLVMValueRef top) {
    jc_emit *e = a->e;
    LLVMValueRef total = jc_alloca(e, a->vector, 1, 0, "total");
    LLVMBuildStore(e->b, LLVMConstNull(a->vector), total);
    jc_for keys = jc_for_begin(e, jc_i64(e, 0), whole, jc_i64(e, a->w), "key");
    LLVMValueRef at = at_of(a, a->scores, r, a->keys, keys.i);
    LLVMValueRef p = jc_math_exp(e, LLVMBuildFSub(e->b, get(a, a->vector, at), jc_splat(e, top, a->w), ""));
    put(a, p, at);
    LLVMBuildStore(e->b, LLVMBuildFAdd(e->b, LLVMBuildLoad2(e->b, a->vector, total, ""), p, ""), total);
    jc_for_end(e, &keys);
    return across(a, LLVMBuildLoad2(e->b, a->vector, total, ""), added);
}

/* What row R has summed up so far, times BY. */
static void bring_down(attn *a, LLVMValueRef r, LLVMValueRef by) {
    jc_emit *e = a->e;
    jc_if changed = jc_if_begin(e, LLVMBuildFCmp(e->b, LLVMRealUNE, by, jc_real_of(a->type, 1), ""), "changed");
    jc_for columns = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, a->head_out), jc_i64(e, a->w), "n");
    LLVMValueRef at = at_of(a, a->sums, r, a->head_out, columns.i);
    put(a, LLVMBuildFMul(e->b, get(a, a->vector, at), jc_splat(e, by, a->w), ""), at);
    jc_for_end(e, &columns);
    jc_if_end(e, &changed);
}

static void weights(attn *a) {
    jc_emit *e = a->e;
    LLVMValueRef lanes = jc_i64(e, a->w), up = LLVMBuildUDiv(e->b, i64_add(a, a->count, jc_i64(e, a->w - 1)), lanes, "");
    LLVMValueRef whole = LLVMBuildMul(e->b, up, lanes, "");
    jc_for rows = jc_for_begin(e, jc_i64(e, 0), a->rows, jc_i64(e, 1), "row");
    LLVMValueRef at_top = jc_gep(e, a->type, a->top, rows.i), at_total = jc_gep(e, a->type, a->total, rows.i);
    finish_scores(a, rows.i, whole);
    LLVMValueRef old = get(a, a->type, at_top), top = jc_attend_max(e, old, largest(a, rows.i, whole));
    LLVMValueRef none = LLVMBuildFCmp(e->b, LLVMRealOEQ, top, jc_real_of(a->type, -INFINITY), "");
    LLVMValueRef from = jc_select(e, none, jc_real_of(a->type, 0), top), by = jc_math_exp(e, LLVMBuildFSub(e->b, old, from, ""));
    LLVMValueRef more = weigh(a, rows.i, whole, from);
    put(a, top, at_top);
    put(a, jc_fused(e, get(a, a->type, at_total), by, more), at_total);
    bring_down(a, rows.i, by);
    jc_for_end(e, &rows);
}

/* ---- values --------------------------------------------------------------------------------------------------- */

/* To the sums of ROWS rows from R on, and NV vectors of columns from N on. */
static void add_values(attn *a, LLVMValueRef r, LLVMValueRef n, unsigned nv) {
    jc_emit *e = a->e;
    LLVMValueRef sum[ROWS][MAX_VECTORS], at[ROWS][MAX_VECTORS];
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned c = 0; c < nv; c++) {
            at[i][c] = at_of(a, a->sums, i64_add(a, r, jc_i64(e, i)), a->head_out, i64_add(a, n, jc_i64(e, c * a->w)));
            sum[i][c] = jc_alloca(e, a->vector, 1, 0, "sum");
            LLVMBuildStore(e->b, get(a, a->vector, at[i][c]), sum[i][c]);
        }
    jc_for keys = jc_for_begin(e, jc_i64(e, 0), a->count, jc_i64(e, 1), "key");
    LLVMValueRef row = i64_add(a, a->base_v, LLVMBuildMul(e->b, i64_add(a, a->s0, keys.i), a->step_v, "")), v[MAX_VECTORS];
    for (unsigned c = 0; c < nv; c++)
        v[c] = jc_name(e, load(a, a->k->attention.v.arg, i64_add(a, i64_add(a, row, n), jc_i64(e, c * a->w)), a->w), "v");
    for (unsigned i = 0; i < ROWS; i++) {
        LLVMValueRef p = jc_splat(e, get(a, a->type, at_of(a, a->scores, i64_add(a, r, jc_i64(e, i)), a->keys, keys.i)), a->w);
        for (unsigned c = 0; c < nv; c++)
            LLVMBuildStore(e->b, jc_fused(e, p, v[c], LLVMBuildLoad2(e->b, a->vector, sum[i][c], "")), sum[i][c]);
    }
    jc_for_end(e, &keys);
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned c = 0; c < nv; c++)
            put(a, LLVMBuildLoad2(e->b, a->vector, sum[i][c], ""), at[i][c]);
}

static void values(attn *a) {
    jc_emit *e = a->e;
    const unsigned nv = a->head_out % (MAX_VECTORS * a->w) ? 1 : MAX_VECTORS;
    jc_for rows = jc_for_begin(e, jc_i64(e, 0), a->padded, jc_i64(e, ROWS), "rows");
    jc_for columns = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, a->head_out), jc_i64(e, nv * a->w), "n");
    add_values(a, rows.i, columns.i, nv);
    jc_for_end(e, &columns);
    jc_for_end(e, &rows);
}

/* ---- the block ------------------------------------------------------------------------------------------------ */

static void outputs(attn *a, jc_tape *tape) {
    jc_emit *e = a->e;
    jc_env row, env;
    jc_for rows = jc_for_begin(e, jc_i64(e, 0), a->rows, jc_i64(e, 1), "row");
    jc_attend_row(&a->t, &row, i64_add(a, a->t.first, rows.i));
    LLVMValueRef share = jc_attend_share(e, get(a, a->type, jc_gep(e, a->type, a->total, rows.i)));
    jc_for columns = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, a->head_out), jc_i64(e, a->w), "n");
    LLVMValueRef sum = get(a, a->vector, at_of(a, a->sums, rows.i, a->head_out, columns.i));
    jc_env_init(&env, e, tape, &row);
    env.loop[a->k->rank - 1] = columns.i;
    env.acc = LLVMBuildFMul(e->b, sum, jc_splat(e, share, a->w), "");
    jc_emit_loads(&env, NULL);
    jc_emit_rest(&env, NULL);
    jc_for_end(e, &columns);
    jc_for_end(e, &rows);
}

static void block(attn *a, LLVMValueRef number, jc_tape *tape) {
    jc_emit *e = a->e;
    const jc_attention *t = &a->k->attention;
    LLVMValueRef zero = jc_i64(e, 0), four = jc_i64(e, ROWS);
    jc_attend_place(e, &a->t, number);
    a->rows = jc_product_left(e, a->t.rows, a->t.first, jc_i64(e, a->k->tile_m));
    a->padded = LLVMBuildMul(e->b, LLVMBuildUDiv(e->b, i64_add(a, a->rows, jc_i64(e, ROWS - 1)), four, ""), four, "padded");
    a->base_k = jc_attend_element(&a->t.shared, &t->k, zero);
    a->base_v = jc_attend_element(&a->t.shared, &t->v, zero);
    a->step_k = jc_emit_expr64(&a->t.base, t->k.row);
    a->step_v = jc_emit_expr64(&a->t.base, t->v.row);
    begin_rows(a);
    LLVMValueRef seen = jc_attend_seen(&a->t, i64_add(a, a->t.first, a->rows));
    jc_for keys = jc_for_begin(e, zero, seen, jc_i64(e, a->keys), "keys");
    a->s0 = keys.i;
    a->count = jc_product_left(e, seen, keys.i, jc_i64(e, a->keys));
    scores(a);
    weights(a);
    values(a);
    jc_for_end(e, &keys);
    outputs(a, tape);
}

void jc_kernel_attn(jc_emit *e) {
    const jc_kernel *k = e->k;
    if (!jc_on_host(e) || k->tile_m % ROWS || k->tile_k % KEYS) {
        jc_emit_fail(e, "An attn kernel is for the host alone, and takes %d rows by %d keys.", ROWS, KEYS);
        return;
    }
    attn *a = JC_NEW(e->arena, attn);
    jc_tape tape;
    *a = (attn){ .e = e, .k = k, .w = k->vec, .head = jc_kernel_head(k), .head_out = jc_kernel_head_out(k), .keys = k->tile_k };
    a->type = jc_ct_type(e, (uint8_t)jc_kernel_acc_type(k));
    a->vector = jc_vec_of(a->type, a->w);
    a->q = jc_alloca(e, a->type, k->tile_m * a->head, 64, "q");
    a->scores = jc_alloca(e, a->type, (unsigned)k->tile_m * k->tile_k, 64, "scores");
    a->sums = jc_alloca(e, a->type, k->tile_m * a->head_out, 64, "sums");
    a->top = jc_alloca(e, a->type, k->tile_m, 64, "top");
    a->total = jc_alloca(e, a->type, k->tile_m, 64, "total");
    jc_tape_init(&tape, e, a->w);
    jc_for blocks = jc_for_begin(e, e->first, e->last, jc_i64(e, 1), "block");
    block(a, blocks.i, &tape);
    jc_for_end(e, &blocks);
}
