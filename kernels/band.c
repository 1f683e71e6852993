/*
 * kernels/band.c - BAND: products of one row on the host, where B's elements are consecutive along n.
 *
 * What takes time is reading B, once and from far away: in place, in the order in which it lies, `unroll` of its rows at a time.  A block's
 * sums lie in memory, so near that they cost next to nothing.  The products of `unroll` k are added up before they meet the sum:
 * what is rounded most often is small.  Columns past the last whole vector are done by single elements, and so is what `unroll` leaves
 * over of k.
 */
#include "jit/llvm/llvm_compat.h"
#include "kernels/product.h"

typedef struct band {
    jc_emit *e;
    const jc_kernel *k;
    jc_product p;
    uint8_t ct;
    LLVMTypeRef type;
    LLVMValueRef step_a, step_b;
    LLVMValueRef row_a, row_b; /* the first element of A's row; of B's column n0 */
    jc_product_sums sums;
} band;

static LLVMValueRef load(band *d, const jc_operand *o, LLVMValueRef at, unsigned w) {
    uint8_t from = jc_compute_type(d->k->args[o->arg].dtype);
    return jc_emit_convert(d->e, d->ct, from, jc_load_run(d->e, o->arg, at, w, 1));
}

/* Adds N elements of A, times as many rows of B from row K on, to the sums from FROM to below TO, W at a time. */
static LLVMValueRef columns(band *d, LLVMValueRef k, const LLVMValueRef *a, unsigned n, LLVMValueRef from, LLVMValueRef to, unsigned w) {
    jc_emit *e = d->e;
    LLVMTypeRef type = jc_vec_of(d->type, w);
    LLVMValueRef row[64];
    for (unsigned u = 0; u < n; u++)
        row[u] = LLVMBuildAdd(e->b, d->row_b, LLVMBuildMul(e->b, LLVMBuildAdd(e->b, k, jc_i64(e, u), ""), d->step_b, ""), "b.row");
    jc_for loop = jc_for_begin(e, from, to, jc_i64(e, w), w > 1 ? "columns" : "column");
    LLVMValueRef at = jc_gep(e, d->type, d->sums.at, loop.i), sum = NULL;
    for (unsigned u = 0; u < n; u++) {
        LLVMValueRef b = jc_name(e, load(d, &d->k->b, LLVMBuildAdd(e->b, row[u], loop.i, ""), w), "b"), wide = jc_splat(e, a[u], w);
        sum = jc_product_multiply_add(e, wide, b, sum ? sum : LLVMConstNull(type));
    }
    LLVMValueRef old = LLVMBuildLoad2(e->b, type, at, "sum");
    LLVMSetAlignment(old, 4);
    LLVMSetAlignment(LLVMBuildStore(e->b, jc_product_add(e, old, sum), at), 4);
    jc_for_end(e, &loop);
    return loop.i;
}

/* The first lines of the N rows of B that come after the N from K on: each row's columns are a stream of their own, which the CPU notices only after it
   has waited for some of it.  All of them would be too much for what lies near.  Rows of no whole block are short, and follow one another closely. */
static void fetch_starts(band *d, LLVMValueRef k, unsigned n) {
    enum { LINES = 8, LINE = 64 };
    jc_emit *e = d->e;
    LLVMValueRef whole = LLVMBuildICmp(e->b, LLVMIntEQ, d->sums.columns, jc_i64(e, d->k->tile_n), "");
    jc_for rows = jc_for_begin(e, jc_i64(e, n), jc_select(e, whole, jc_i64(e, 2 * n), jc_i64(e, n)), jc_i64(e, 1), "ahead");
    LLVMValueRef row = LLVMBuildAdd(e->b, d->row_b, LLVMBuildMul(e->b, LLVMBuildAdd(e->b, k, rows.i, ""), d->step_b, ""), "b.ahead");
    LLVMValueRef at = jc_product_element(e, &d->k->b, row);
    for (unsigned i = 0; i < LINES; i++)
        jc_product_fetch(e, jc_gep(e, e->t.i8, at, jc_i64(e, i * LINE)));
    jc_for_end(e, &rows);
}

/* From K on to below TO, N rows of B at a time. */
static LLVMValueRef rows(band *d, LLVMValueRef from, LLVMValueRef to, unsigned n) {
    jc_emit *e = d->e;
    LLVMValueRef a[64], w = jc_i64(e, d->k->vec);
    jc_for loop = jc_for_begin(e, from, LLVMBuildSub(e->b, to, jc_i64(e, n - 1), ""), jc_i64(e, n), n > 1 ? "k.steps" : "k");
    for (unsigned u = 0; u < n; u++) {
        LLVMValueRef at = LLVMBuildMul(e->b, LLVMBuildAdd(e->b, loop.i, jc_i64(e, u), ""), d->step_a, "");
        a[u] = jc_name(e, load(d, &d->k->a, LLVMBuildAdd(e->b, d->row_a, at, ""), 1), "a");
    }
    if (n > 1)
        fetch_starts(d, loop.i, n);
    LLVMValueRef whole = LLVMBuildSub(e->b, d->sums.columns, LLVMBuildSub(e->b, w, jc_i64(e, 1), ""), "");
    LLVMValueRef next = columns(d, loop.i, a, n, jc_i64(e, 0), whole, d->k->vec);
    if (jc_ex_divisor(d->k->ex, d->k->extent[d->k->rank - 1]) % d->k->vec)
        columns(d, loop.i, a, n, next, d->sums.columns, 1);
    jc_for_end(e, &loop);
    return loop.i;
}

void jc_kernel_band(jc_emit *e) {
    const jc_kernel *k = e->k;
    if (!jc_on_host(e)) {
        jc_emit_fail(e, "A band kernel is for the host alone.");
        return;
    }
    band *d = JC_NEW(e->arena, band);
    *d = (band){ .e = e, .k = k, .ct = jc_product_sum_type(k) };
    d->type = jc_ct_type(e, d->ct);
    d->sums = (jc_product_sums){ .at = jc_alloca(e, d->type, k->tile_m * k->tile_n, 64, "sums"), .ld = k->tile_n };
    jc_for blocks = jc_for_begin(e, e->first, e->last, jc_i64(e, 1), "block");
    jc_product_block(e, &d->p, &d->sums, blocks.i);
    d->step_a = jc_emit_expr64(&d->p.base, k->a.kstride);
    d->step_b = jc_emit_expr64(&d->p.base, k->b.kstride);
    d->row_a = jc_product_row(&d->p, false, d->p.m0);
    d->row_b = jc_product_row(&d->p, true, d->p.n0);
    jc_product_zero(e, d->sums.at, d->type, jc_i64(e, k->tile_n), k->vec);
    LLVMValueRef next = rows(d, jc_i64(e, 0), d->p.k, k->unroll);
    if (jc_ex_divisor(k->ex, k->k) % k->unroll)
        rows(d, next, d->p.k, 1);
    jc_product_outputs(&d->p, &d->sums, k->vec);
    jc_for_end(e, &blocks);
}
