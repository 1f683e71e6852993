/*
 * kernels/tile.c - TILE: products of many rows on the host.
 *
 * A block's sums lie in memory.  For each part of k (`tile_k`) it copies what it needs of B to a panel, converted, and in the order
 * in which it is multiplied: warps_n vectors of columns, then k, then the next columns; likewise some rows of A to a strip.  A function of
 * its own then holds the sums of warps_m rows and warps_n vectors in registers while it walks over k.  So each copy of an
 * element of B serves tile_m rows, one of A tile_n columns, and each load of a vector warps_m products.
 *
 * Of bf16 a copy's element may be a pair of neighbours along k, a word of 32 bits (lanes 2): one instruction then adds the products of
 * both to a sum of f32.  The copies are no conversions but moves.  What an odd K leaves over is paired with 0.  Such sums are flushed to zero
 * where they are subnormal, and so are operands.  Where the CPU has tiles (lanes 32), these hold the sums, and one instruction multiplies 16 rows
 * of 16 words by 16 columns: panel and strip are what it loads, filled up with 0 to whole tiles.
 *
 * Rows and columns past the end repeat the last one, and are not stored: nothing beyond an operand is read.
 */
#include "jit/llvm/llvm_compat.h"
#include "kernels/amx.h"
#include "kernels/product.h"

#include <string.h>

enum { MAX_REGISTERS = 64, LINE = 64 /* bytes of the cache's */ };

/* How B lies. */
typedef enum order { ALONG_K, ALONG_N, ANY_ORDER } order;

typedef struct tile {
    jc_emit *e;
    const jc_kernel *k;
    jc_product p;
    order order;
    uint8_t ct;
    unsigned w, nm, nn;                    /* lanes; rows and columns that registers hold */
    bool tiles;                            /* by AMX */
    bool fetches;                          /* see note_ahead() */
    unsigned pair, depth;                  /* elements of k in a word; words of a copied row of A, or column of B */
    LLVMTypeRef type, vector;              /* of sums */
    LLVMTypeRef word, words;               /* of copies */
    LLVMValueRef step_a, step_b;
    LLVMValueRef panel, strip;             /* [columns/nn][depth][nn] of B; [nm][depth] of A */
    LLVMValueRef square;                   /* where as many columns as words in a run are turned */
    jc_product_sums sums;
    LLVMValueRef copied;                   /* rows, whole strips of them */
    LLVMValueRef off_a, off_b;             /* i64: where rows and columns start */
    LLVMValueRef k0, length;               /* this part of k; in words */
    LLVMValueRef whole;                    /* words that are no halves */
    LLVMValueRef ahead, stride, lines;     /* see note_ahead(): bytes; how many lines */
    LLVMValueRef panels, calls;            /* of the products */
} tile;

/* W words of an operand that lie side by side from AT on. */
static LLVMValueRef load(tile *d, const jc_operand *o, LLVMValueRef at, unsigned w) {
    jc_emit *e = d->e;
    if (d->pair > 1)
        return LLVMBuildBitCast(e->b, jc_load_memory(e, o->arg, at, w * d->pair, 1), jc_vec_of(d->word, w), "");
    uint8_t from = jc_compute_type(d->k->args[o->arg].dtype);
    return jc_emit_convert(e, d->ct, from, jc_load_run(e, o->arg, at, w, 1));
}

static void put(tile *d, LLVMValueRef v, LLVMValueRef base, LLVMValueRef index) {
    jc_emit *e = d->e;
    LLVMSetAlignment(LLVMBuildStore(e->b, v, jc_gep(e, d->word, base, index)), d->ct == JC_CT_F32 ? 4 : 8);
}

/* Where row I of A's, or column I of B's, has k 0; of those of the block, and of as many as are copied beyond. */
static void note_offsets(tile *d, bool second, LLVMValueRef to, LLVMValueRef count) {
    jc_emit *e = d->e;
    LLVMValueRef size = second ? d->p.n : d->p.m, last = LLVMBuildSub(e->b, size, jc_i64(e, 1), "");
    jc_for loop = jc_for_begin(e, jc_i64(e, 0), count, jc_i64(e, 1), second ? "b.offset" : "a.offset");
    LLVMValueRef at = LLVMBuildAdd(e->b, second ? d->p.n0 : d->p.m0, loop.i, "");
    at = jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, at, last, ""), at, last);
    LLVMBuildStore(e->b, jc_product_row(&d->p, second, at), jc_gep(e, e->t.i64, to, loop.i));
    jc_for_end(e, &loop);
}

/* The element that row (column) INDEX has at K. */
static LLVMValueRef element(tile *d, bool second, LLVMValueRef index, LLVMValueRef k) {
    jc_emit *e = d->e;
    LLVMValueRef at = jc_gep(e, e->t.i64, second ? d->off_b : d->off_a, index);
    at = LLVMBuildLoad2(e->b, e->t.i64, at, second ? "b.row" : "a.row");
    return LLVMBuildAdd(e->b, at, LLVMBuildMul(e->b, k, second ? d->step_b : d->step_a, ""), "");
}

static bool divides(tile *d, unsigned by, const jc_expr *size) {
    return jc_ex_divisor(d->k->ex, size) % by == 0;
}

/* K of the operands where this part's word K is. */
static LLVMValueRef whole_k(tile *d, LLVMValueRef k) {
    jc_emit *e = d->e;
    return LLVMBuildAdd(e->b, d->k0, d->pair > 1 ? LLVMBuildMul(e->b, k, jc_i64(e, d->pair), "") : k, "");
}

/* X where word K of this part is no half, else 0. */
static LLVMValueRef if_whole(tile *d, LLVMValueRef k, LLVMValueRef x) {
    jc_emit *e = d->e;
    if (divides(d, d->pair, d->k->k))
        return x;
    return jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, k, d->whole, ""), x, LLVMConstNull(LLVMTypeOf(x)));
}

/* Word K of row (column) INDEX, from wherever its elements lie. */
static LLVMValueRef load_word(tile *d, bool second, LLVMValueRef index, LLVMValueRef k) {
    jc_emit *e = d->e;
    const jc_operand *o = second ? &d->k->b : &d->k->a;
    LLVMValueRef at = element(d, second, index, whole_k(d, k)), low, high;
    if (d->pair == 1)
        return load(d, o, at, 1);
    low = LLVMBuildZExt(e->b, jc_load_memory(e, o->arg, at, 1, 1), d->word, "low");
    at = LLVMBuildAdd(e->b, at, if_whole(d, k, second ? d->step_b : d->step_a), "");
    high = LLVMBuildZExt(e->b, if_whole(d, k, jc_load_memory(e, o->arg, at, 1, 1)), d->word, "high");
    return LLVMBuildOr(e->b, low, LLVMBuildShl(e->b, high, jc_i32(e, 16), ""), "");
}

/* Where the panel has column J at k 0. */
static LLVMValueRef panel_at(tile *d, LLVMValueRef j) {
    jc_emit *e = d->e;
    LLVMValueRef q, r;
    jc_emit_divmod(e, j, jc_i64(e, d->nn), &q, &r);
    return LLVMBuildAdd(e->b, LLVMBuildMul(e->b, q, jc_i64(e, d->nn * d->depth), ""), r, "");
}

/* One word of B, k'th of this part. */
static void copy_word(tile *d, LLVMValueRef k, LLVMValueRef j) {
    jc_emit *e = d->e;
    LLVMValueRef to = LLVMBuildAdd(e->b, panel_at(d, j), LLVMBuildMul(e->b, k, jc_i64(e, d->nn), ""), "");
    put(d, load_word(d, true, j, k), d->panel, to);
}

/* COUNT columns from J on, of k from FROM on, word by word. */
static void copy_words(tile *d, LLVMValueRef from, LLVMValueRef j, unsigned count) {
    jc_emit *e = d->e;
    jc_for ks = jc_for_begin(e, from, d->length, jc_i64(e, 1), "k.single");
    jc_for js = jc_for_begin(e, j, LLVMBuildAdd(e->b, j, jc_i64(e, count), ""), jc_i64(e, 1), "column.single");
    copy_word(d, ks.i, js.i);
    jc_for_end(e, &js);
    jc_for_end(e, &ks);
}

/* Words of a run along k that is copied at once: a vector, less where K is known to be shorter; at least 16 bytes. */
static unsigned run_of(const tile *d) {
    const unsigned least = d->ct == JC_CT_F32 ? 4 : 2;
    unsigned run = d->w;
    int64_t k;
    if (jc_ex_is_const(d->k->k, &k))
        while (run > least && (int64_t)run * d->pair > k)
            run /= 2;
    return run;
}

/* A loop over runs of words; the last one starts where it ends with the last whole word, so it may repeat some of the one before. */
static jc_for runs_begin(tile *d, unsigned run, LLVMValueRef *at) {
    jc_emit *e = d->e;
    LLVMValueRef last = LLVMBuildSub(e->b, d->whole, jc_i64(e, run), ""), zero = jc_i64(e, 0);
    LLVMValueRef to = jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, last, zero, ""), zero, d->whole);
    jc_for loop = jc_for_begin(e, zero, to, jc_i64(e, run), "k");
    *at = jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, loop.i, last, ""), loop.i, last);
    return loop;
}

/* The first word that no run has: all if there is none. */
static LLVMValueRef after_runs(tile *d, unsigned run) {
    jc_emit *e = d->e;
    return jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, d->whole, jc_i64(e, run), ""), jc_i64(e, 0), d->whole);
}

static bool all_in_runs(tile *d, unsigned run) {
    int64_t k;
    return divides(d, d->pair, d->k->k) && (divides(d, run * d->pair, d->k->k) || (jc_ex_is_const(d->k->k, &k) && k <= d->k->tile_k && k >= (int64_t)run * d->pair));
}

/*
 * In each 16 bytes (G words: 4 or 2) of G vectors, V[i][j] becomes V[j][i].  By interleaving single words, then pairs, as the
 * CPU's instructions do: other orders take LLVM longer to select than all else in a kernel.
 */
static void transpose(tile *d, LLVMValueRef *v, unsigned g, unsigned w) {
    jc_emit *e = d->e;
    LLVMValueRef low[64], high[64], old[4];
    for (unsigned run = 1; run < g; run *= 2) {
        for (unsigned l = 0; l < w; l++) {
            unsigned of = l / run % 2 * w, at = l / g * g + l % g / (2 * run) * run + l % run;
            low[l] = jc_i32(e, of + at);
            high[l] = jc_i32(e, of + at + g / 2);
        }
        memcpy(old, v, sizeof old);
        for (unsigned i = 0; i < g; i += 2) {
            LLVMValueRef a = old[run == 1 ? i : i / 2], b = old[run == 1 ? i + 1 : i / 2 + 2];
            v[i] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(low, w), "");
            v[i + 1] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(high, w), "");
        }
    }
}

/* X rounded up to a multiple of BY; i64. */
static LLVMValueRef round_up(jc_emit *e, LLVMValueRef x, unsigned by) {
    LLVMValueRef n = LLVMBuildUDiv(e->b, LLVMBuildAdd(e->b, x, jc_i64(e, by - 1), ""), jc_i64(e, by), "");
    return LLVMBuildMul(e->b, n, jc_i64(e, by), "");
}

/* V[i]'s 16 bytes number j become V[j]'s number i: N vectors of N times G words. */
static void transpose_lanes(tile *d, LLVMValueRef *v, unsigned n, unsigned g) {
    jc_emit *e = d->e;
    LLVMValueRef lane[2][64], old[64];
    for (unsigned l = 0; l < n * g; l++) {
        const unsigned at = l / g * 2 * g + l % g;
        lane[0][l] = jc_i32(e, at);
        lane[1][l] = jc_i32(e, at + g);
    }
    for (unsigned round = 1; round < n; round *= 2) {
        memcpy(old, v, n * sizeof *v);
        for (unsigned i = 0; i < n; i++) {
            const LLVMValueRef which = LLVMConstVector(lane[i / (n / 2)], n * g);
            v[i] = LLVMBuildShuffleVector(e->b, old[2 * i % n], old[2 * i % n + 1], which, "");
        }
    }
}

/* From run K on, as many columns from J on as there are words in a RUN; each line of the cache once, since those of many columns may share a
   set of it.  By way of memory and in loops: LLVM takes long to select a shuffle. */
static void copy_square(tile *d, LLVMValueRef k, LLVMValueRef j, LLVMValueRef to, unsigned run) {
    jc_emit *e = d->e;
    const unsigned g = d->ct == JC_CT_F32 ? 4 : 2, n = run / g;
    LLVMTypeRef type = jc_vec_of(d->word, run);
    LLVMValueRef v[64] = { NULL };
    jc_for quads = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, n), jc_i64(e, 1), "quad");
    LLVMValueRef first = LLVMBuildAdd(e->b, j, LLVMBuildMul(e->b, quads.i, jc_i64(e, g), ""), "");
    for (unsigned i = 0; i < g; i++)
        v[i] = load(d, &d->k->b, element(d, true, LLVMBuildAdd(e->b, first, jc_i64(e, i), ""), whole_k(d, k)), run);
    transpose(d, v, g, run);
    for (unsigned i = 0; i < g; i++)
        LLVMSetAlignment(LLVMBuildStore(e->b, v[i], jc_gep(e, type, d->square, LLVMBuildAdd(e->b, quads.i, jc_i64(e, i * n), ""))), 16);
    jc_for_end(e, &quads);
    jc_for rest = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, g), jc_i64(e, 1), "lane");
    LLVMValueRef from = jc_gep(e, type, d->square, LLVMBuildMul(e->b, rest.i, jc_i64(e, n), ""));
    for (unsigned q = 0; q < n; q++) {
        v[q] = LLVMBuildLoad2(e->b, type, jc_gep(e, type, from, jc_i64(e, q)), "");
        LLVMSetAlignment(v[q], 16);
    }
    transpose_lanes(d, v, n, g);
    LLVMValueRef row = LLVMBuildAdd(e->b, k, rest.i, "");
    for (unsigned q = 0; q < n; q++) {
        LLVMValueRef at = LLVMBuildMul(e->b, LLVMBuildAdd(e->b, row, jc_i64(e, q * g), ""), jc_i64(e, d->nn), "");
        put(d, v[q], d->panel, LLVMBuildAdd(e->b, to, at, ""));
    }
    jc_for_end(e, &rest);
}

/* B is consecutive along k. */
static void copy_along_k(tile *d) {
    jc_emit *e = d->e;
    const unsigned run = run_of(d);
    LLVMValueRef k;
    d->square = jc_alloca(e, d->word, run * run, 64, "square");
    jc_for js = jc_for_begin(e, jc_i64(e, 0), round_up(e, d->sums.columns, d->nn), jc_i64(e, run), "columns");
    LLVMValueRef to = panel_at(d, js.i);
    jc_for ks = runs_begin(d, run, &k);
    copy_square(d, k, js.i, to, run);
    jc_for_end(e, &ks);
    if (!all_in_runs(d, run))
        copy_words(d, after_runs(d, run), js.i, run);
    jc_for_end(e, &js);
}

/* W columns of word K, of which the first element is AT, of B that is consecutive along n. */
static LLVMValueRef load_columns(tile *d, LLVMValueRef at, LLVMValueRef k) {
    jc_emit *e = d->e;
    LLVMValueRef low, high, lane[64];
    if (d->pair == 1)
        return load(d, &d->k->b, at, d->w);
    low = jc_load_memory(e, d->k->b.arg, at, d->w, 1);
    high = jc_load_memory(e, d->k->b.arg, LLVMBuildAdd(e->b, at, if_whole(d, k, d->step_b), ""), d->w, 1);
    for (unsigned l = 0; l < d->w; l++) {
        lane[2 * l] = jc_i32(e, l);
        lane[2 * l + 1] = jc_i32(e, l + d->w);
    }
    LLVMValueRef both = LLVMBuildShuffleVector(e->b, low, if_whole(d, k, high), LLVMConstVector(lane, 2 * d->w), "");
    return LLVMBuildBitCast(e->b, both, d->words, "");
}

/* B is consecutive along n. */
static void copy_along_n(tile *d) {
    jc_emit *e = d->e;
    LLVMValueRef zero = jc_i64(e, 0), step = jc_i64(e, d->nn);
    jc_for ks = jc_for_begin(e, zero, d->length, jc_i64(e, 1), "k");
    LLVMValueRef from = element(d, true, zero, whole_k(d, ks.i));
    LLVMValueRef to = LLVMBuildMul(e->b, ks.i, step, "");
    jc_for js = jc_for_begin(e, zero, LLVMBuildSub(e->b, d->sums.columns, jc_i64(e, d->nn - 1), ""), step, "columns");
    LLVMValueRef here = LLVMBuildAdd(e->b, from, js.i, "");
    LLVMValueRef there = LLVMBuildAdd(e->b, to, LLVMBuildMul(e->b, js.i, jc_i64(e, d->depth), ""), "");
    for (unsigned j = 0; j < d->nn; j += d->w)
        put(d, load_columns(d, LLVMBuildAdd(e->b, here, jc_i64(e, j), ""), ks.i), d->panel, LLVMBuildAdd(e->b, there, jc_i64(e, j), ""));
    jc_for_end(e, &js);
    jc_for_end(e, &ks);
    if (divides(d, d->nn, d->k->extent[d->k->rank - 1]))
        return;
    LLVMValueRef rest = LLVMBuildURem(e->b, d->sums.columns, step, "");
    jc_if some = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntNE, rest, zero, ""), "rest");
    copy_words(d, zero, LLVMBuildSub(e->b, d->sums.columns, rest, ""), d->nn);
    jc_if_end(e, &some);
}

/* B is consecutive along neither. */
static void copy_any(tile *d) {
    jc_emit *e = d->e;
    jc_for js = jc_for_begin(e, jc_i64(e, 0), d->sums.columns, jc_i64(e, d->nn), "columns");
    copy_words(d, jc_i64(e, 0), js.i, d->nn);
    jc_for_end(e, &js);
}

/* NM rows of A from I of the block on; and those after them are fetched. */
static void copy_rows(tile *d, LLVMValueRef i) {
    jc_emit *e = d->e;
    LLVMValueRef from = jc_i64(e, 0), one = jc_i64(e, 1), k;
    const jc_operand *a = &d->k->a;
    const unsigned run = run_of(d);
    jc_for rows = jc_for_begin(e, from, jc_i64(e, d->nm), one, "a.row");
    LLVMValueRef index = LLVMBuildAdd(e->b, i, rows.i, ""), to = LLVMBuildMul(e->b, rows.i, jc_i64(e, d->depth), "");
    if (jc_ex_is(a->kstride, 1)) {
        jc_for ks = runs_begin(d, run, &k);
        put(d, load(d, a, element(d, false, index, whole_k(d, k)), run), d->strip, LLVMBuildAdd(e->b, to, k, ""));
        LLVMValueRef later = element(d, false, LLVMBuildAdd(e->b, index, jc_i64(e, d->nm), ""), whole_k(d, k));
        jc_product_fetch(e, jc_product_element(e, a, later));
        jc_for_end(e, &ks);
        from = after_runs(d, run);
    }
    if (!jc_ex_is(a->kstride, 1) || !all_in_runs(d, run)) {
        jc_for ks = jc_for_begin(e, from, d->length, one, "k.single");
        put(d, load_word(d, false, index, ks.i), d->strip, LLVMBuildAdd(e->b, to, ks.i, ""));
        jc_for_end(e, &ks);
    }
    jc_for_end(e, &rows);
}

/*
 * What of the next part's B is fetched while this part is multiplied: cache lines of each row (ALONG_N) or column of it.  A call of the products
 * fetches one line of each, one with every step of k: all at once they would keep the products waiting.  Not beside tiles, which are too quick for
 * that: measured on a Sapphire Rapids (docs/performance.md), its caches fetch better when left alone.
 */
static void note_ahead(tile *d) {
    jc_emit *e = d->e;
    const unsigned size = jc_dtypes[d->k->args[d->k->b.arg].dtype].size, run = d->order == ALONG_N ? d->k->tile_n : d->k->tile_k;
    LLVMValueRef zero = jc_i64(e, 0), next = whole_k(d, jc_i64(e, d->depth)), stride = d->step_b;
    if (d->order == ALONG_K) {
        LLVMValueRef second = LLVMBuildLoad2(e->b, e->t.i64, jc_gep(e, e->t.i64, d->off_b, jc_i64(e, 1)), "");
        stride = LLVMBuildSub(e->b, second, LLVMBuildLoad2(e->b, e->t.i64, d->off_b, ""), "");
    }
    d->ahead = jc_product_element(e, &d->k->b, element(d, true, zero, next));
    d->stride = LLVMBuildMul(e->b, stride, jc_i64(e, size), "ahead.stride");
    LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntSLT, next, d->p.k, "more");
    d->lines = jc_select(e, more, jc_i64(e, (run * size + LINE - 1) / LINE), zero);
    LLVMValueRef strips = LLVMBuildUDiv(e->b, d->copied, jc_i64(e, d->nm), "");
    d->panels = LLVMBuildUDiv(e->b, round_up(e, d->sums.columns, d->nn), jc_i64(e, d->nn), "panels");
    d->calls = LLVMBuildMul(e->b, strips, d->panels, "calls");
}

/* Where the first row's or column's LINE is, and how far the next one's; where there is none, a place that is near. */
static LLVMValueRef line_ahead(tile *d, LLVMValueRef line, LLVMValueRef *stride) {
    jc_emit *e = d->e;
    LLVMValueRef some = LLVMBuildICmp(e->b, LLVMIntSLT, line, d->lines, "");
    *stride = jc_select(e, some, d->stride, jc_i64(e, 0));
    return jc_select(e, some, jc_gep(e, e->t.i8, d->ahead, LLVMBuildMul(e->b, line, jc_i64(e, LINE), "")), d->panel);
}

/* What of a line is fetched with word K: of B along n a row for each element of k. */
static void fetch_step(tile *d, LLVMValueRef at, LLVMValueRef stride, LLVMValueRef k) {
    jc_emit *e = d->e;
    const unsigned rows = d->order == ALONG_N ? d->pair : 1;
    for (unsigned i = 0; i < rows; i++) {
        LLVMValueRef row = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, k, jc_i64(e, rows), ""), jc_i64(e, i), "");
        jc_product_fetch(e, jc_gep(e, e->t.i8, at, LLVMBuildMul(e->b, row, stride, "")));
    }
}

/* The lines that are left for call NUMBER where there are more of them than calls. */
static void fetch_rest(tile *d, LLVMValueRef number) {
    jc_emit *e = d->e;
    LLVMValueRef stride;
    jc_for rest = jc_for_begin(e, LLVMBuildAdd(e->b, number, d->calls, ""), d->lines, d->calls, "line");
    LLVMValueRef at = line_ahead(d, rest.i, &stride);
    jc_for each = jc_for_begin(e, jc_i64(e, 0), d->length, jc_i64(e, 1), "ahead");
    fetch_step(d, at, stride, each.i);
    jc_for_end(e, &each);
    jc_for_end(e, &rest);
}

/* Both of W words. */
static LLVMValueRef multiply_add(tile *d, LLVMValueRef a, LLVMValueRef b, LLVMValueRef sum) {
    jc_emit *e = d->e;
    if (d->pair == 1)
        return jc_product_multiply_add(e, a, b, sum);
    LLVMTypeRef pairs = jc_vec_of(e->t.bf16, d->w * d->pair);
    LLVMValueRef args[] = { sum, LLVMBuildBitCast(e->b, a, pairs, ""), LLVMBuildBitCast(e->b, b, pairs, "") };
    return jc_call_intrinsic(e, jc_arena_printf(e->arena, "llvm.x86.avx512bf16.dpbf16ps.%u", d->w * 32), NULL, 0, args, 3);
}

/* Words of k in whole tiles. */
static LLVMValueRef whole_tiles(tile *d, LLVMValueRef length) {
    return divides(d, 2 * JC_AMX_WORDS, d->k->k) ? length : round_up(d->e, length, JC_AMX_WORDS);
}

/* 0 for what the panel, or else the strip, lacks of the last tile of k: N words a step, UNITS times, each unit SIZE words long. */
static void fill_up(tile *d, LLVMValueRef base, LLVMValueRef units, unsigned size, unsigned n) {
    jc_emit *e = d->e;
    LLVMValueRef one = jc_i64(e, 1), zero = LLVMConstNull(n > 1 ? jc_vec_of(d->word, n) : d->word);
    if (divides(d, 2 * JC_AMX_WORDS, d->k->k))
        return;
    jc_for unit = jc_for_begin(e, jc_i64(e, 0), units, one, "filled");
    jc_for ks = jc_for_begin(e, d->length, whole_tiles(d, d->length), one, "k.filled");
    LLVMValueRef at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, unit.i, jc_i64(e, size), ""), LLVMBuildMul(e->b, ks.i, jc_i64(e, n), ""), "");
    put(d, zero, base, at);
    jc_for_end(e, &ks);
    jc_for_end(e, &unit);
}

/* As products(), with sums in tiles 0 and up: rows of them by columns. */
static void products_by_tiles(tile *d, LLVMValueRef fn) {
    jc_emit *e = d->e;
    const unsigned rows = d->nm / JC_AMX_ROWS, columns = d->k->warps_n, a = rows * columns, b = a + rows;
    LLVMValueRef strip = LLVMGetParam(fn, 0), panel = LLVMGetParam(fn, 1), length = LLVMGetParam(fn, 2);
    LLVMValueRef sums[JC_AMX_TILES], stride = jc_i64(e, 4 * d->k->tile_n);
    for (unsigned t = 0; t < rows * columns; t++) {
        sums[t] = jc_gep(e, d->type, LLVMGetParam(fn, 3), jc_i64(e, t / columns * JC_AMX_ROWS * d->k->tile_n + t % columns * d->w));
        jc_amx_zero(e, t);
    }
    jc_if later = jc_if_begin(e, LLVMGetParam(fn, 4), "later");
    for (unsigned t = 0; t < rows * columns; t++)
        jc_amx_load(e, t, sums[t], stride);
    jc_if_end(e, &later);
    jc_for ks = jc_for_begin(e, jc_i64(e, 0), whole_tiles(d, length), jc_i64(e, JC_AMX_WORDS), "k");
    for (unsigned r = 0; r < rows; r++)
        jc_amx_load(e, a + r, jc_gep(e, d->word, strip, LLVMBuildAdd(e->b, ks.i, jc_i64(e, r * JC_AMX_ROWS * d->depth), "")), jc_i64(e, 4 * d->depth));
    LLVMValueRef from = jc_gep(e, d->word, panel, LLVMBuildMul(e->b, ks.i, jc_i64(e, d->nn), ""));
    for (unsigned c = 0; c < columns; c++)
        jc_amx_load(e, b + c, jc_gep(e, d->word, from, jc_i64(e, c * d->w)), jc_i64(e, 4 * d->nn));
    for (unsigned t = 0; t < rows * columns; t++)
        jc_amx_multiply(e, t, a + t / columns, b + t % columns);
    jc_for_end(e, &ks);
    for (unsigned t = 0; t < rows * columns; t++)
        jc_amx_store(e, t, sums[t], stride);
}

/* The walk over k: strip, panel, length, the sums to write, or to add to if this is no first part, and what to fetch. */
static void products(tile *d, LLVMValueRef fn) {
    jc_emit *e = d->e;
    LLVMValueRef slot[MAX_REGISTERS], strip = LLVMGetParam(fn, 0), panel = LLVMGetParam(fn, 1), length = LLVMGetParam(fn, 2);
    LLVMValueRef sums = LLVMGetParam(fn, 3), b[MAX_REGISTERS];
    const unsigned nv = d->k->warps_n, align = d->ct == JC_CT_F32 ? 4 : 8;
    for (unsigned i = 0; i < d->nm * nv; i++) {
        slot[i] = jc_alloca(e, d->vector, 1, 0, "sum");
        LLVMBuildStore(e->b, LLVMConstNull(d->vector), slot[i]);
    }
    jc_for ks = jc_for_begin(e, jc_i64(e, 0), length, jc_i64(e, 1), "k");
    LLVMValueRef from = jc_gep(e, d->word, panel, LLVMBuildMul(e->b, ks.i, jc_i64(e, d->nn), ""));
    for (unsigned j = 0; j < nv; j++) {
        b[j] = LLVMBuildLoad2(e->b, d->words, jc_gep(e, d->word, from, jc_i64(e, j * d->w)), "b");
        LLVMSetAlignment(b[j], align);
    }
    LLVMValueRef at = jc_gep(e, d->word, strip, ks.i);
    for (unsigned i = 0; i < d->nm; i++) {
        LLVMValueRef a = LLVMBuildLoad2(e->b, d->word, jc_gep(e, d->word, at, jc_i64(e, i * d->depth)), "a");
        for (unsigned j = 0; j < nv; j++) {
            LLVMValueRef s = LLVMBuildLoad2(e->b, d->vector, slot[i * nv + j], "");
            LLVMBuildStore(e->b, multiply_add(d, jc_splat(e, a, d->w), b[j], s), slot[i * nv + j]);
        }
    }
    if (d->fetches)
        fetch_step(d, LLVMGetParam(fn, 5), LLVMGetParam(fn, 6), ks.i);
    jc_for_end(e, &ks);
    LLVMValueRef to[MAX_REGISTERS];
    for (unsigned i = 0; i < d->nm * nv; i++)
        to[i] = jc_gep(e, d->type, sums, jc_i64(e, i / nv * d->k->tile_n + i % nv * d->w));
    jc_if later = jc_if_begin(e, LLVMGetParam(fn, 4), "later");
    for (unsigned i = 0; i < d->nm * nv; i++) {
        LLVMValueRef old = LLVMBuildLoad2(e->b, d->vector, to[i], "");
        LLVMSetAlignment(old, align);
        LLVMBuildStore(e->b, jc_product_add(e, old, LLVMBuildLoad2(e->b, d->vector, slot[i], "")), slot[i]);
    }
    jc_if_end(e, &later);
    for (unsigned i = 0; i < d->nm * nv; i++)
        LLVMSetAlignment(LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, d->vector, slot[i], ""), to[i]), align);
}

static LLVMValueRef products_function(tile *d, LLVMTypeRef *type) {
    jc_emit *e = d->e;
    LLVMTypeRef params[] = { e->t.ptr, e->t.ptr, e->t.i64, e->t.ptr, e->t.i1, e->t.ptr, e->t.i64 };
    *type = LLVMFunctionType(e->t.nothing, params, d->fetches ? 7 : 5, false);
    LLVMValueRef fn = LLVMAddFunction(e->m, jc_arena_printf(e->arena, "%s.products", e->name), *type);
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, jc_compat_attribute(e->c, "nounwind", 0));
    static const char *const names[] = { "strip", "panel", "length", "sums", "is_later", "ahead", "ahead.stride" };
    for (unsigned i = 0; i < LLVMCountParams(fn); i++)
        jc_name(e, LLVMGetParam(fn, i), "%s", names[i]);
    LLVMBasicBlockRef back = LLVMGetInsertBlock(e->b);
    LLVMValueRef outer = e->fn;
    e->fn = fn;
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    (d->tiles ? products_by_tiles : products)(d, fn);
    LLVMBuildRetVoid(e->b);
    e->fn = outer;
    LLVMPositionBuilderAtEnd(e->b, back);
    return fn;
}

static void set_part(tile *d, LLVMValueRef k0) {
    jc_emit *e = d->e;
    LLVMValueRef pair = jc_i64(e, d->pair);
    d->k0 = k0;
    d->length = d->whole = jc_product_left(e, d->p.k, k0, jc_i64(e, d->k->tile_k));
    if (d->pair > 1) {
        d->whole = LLVMBuildUDiv(e->b, d->length, pair, "words.whole");
        d->length = LLVMBuildUDiv(e->b, LLVMBuildAdd(e->b, d->length, jc_i64(e, d->pair - 1), ""), pair, "words");
    }
}

/* This part of k, of all of the block. */
static void part(tile *d, LLVMValueRef fn, LLVMTypeRef type) {
    jc_emit *e = d->e;
    static void (*const copy[])(tile *) = { [ALONG_K] = copy_along_k, [ALONG_N] = copy_along_n, [ANY_ORDER] = copy_any };
    copy[d->order](d);
    if (d->fetches)
        note_ahead(d);
    if (d->tiles) {
        fill_up(d, d->panel, LLVMBuildUDiv(e->b, round_up(e, d->sums.columns, d->nn), jc_i64(e, d->nn), ""), d->nn * d->depth, d->nn);
        jc_amx_begin(e);
    }
    jc_for is = jc_for_begin(e, jc_i64(e, 0), d->sums.rows, jc_i64(e, d->nm), "strip");
    copy_rows(d, is.i);
    if (d->tiles)
        fill_up(d, d->strip, jc_i64(e, d->nm), d->depth, 1);
    jc_for js = jc_for_begin(e, jc_i64(e, 0), d->sums.columns, jc_i64(e, d->nn), "panel");
    LLVMValueRef panel = jc_gep(e, d->word, d->panel, LLVMBuildMul(e->b, js.i, jc_i64(e, d->depth), ""));
    LLVMValueRef at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, is.i, jc_i64(e, d->sums.ld), ""), js.i, "");
    LLVMValueRef is_later = LLVMBuildICmp(e->b, LLVMIntNE, d->k0, jc_i64(e, 0), "");
    LLVMValueRef args[] = { d->strip, panel, d->length, jc_gep(e, d->type, d->sums.at, at), is_later, NULL, NULL };
    if (d->fetches) {
        LLVMValueRef first = LLVMBuildMul(e->b, LLVMBuildUDiv(e->b, is.i, jc_i64(e, d->nm), ""), d->panels, "");
        LLVMValueRef number = LLVMBuildAdd(e->b, first, LLVMBuildUDiv(e->b, js.i, jc_i64(e, d->nn), ""), "call");
        args[5] = line_ahead(d, number, &args[6]);
        fetch_rest(d, number);
    }
    LLVMBuildCall2(e->b, type, fn, args, d->fetches ? 7 : 5, "");
    jc_for_end(e, &js);
    jc_for_end(e, &is);
    if (d->tiles)
        jc_amx_end(e);
}

static order order_of(const jc_kernel *k) {
    const jc_expr *step, *rest;
    if (jc_ex_is(k->b.kstride, 1))
        return ALONG_K;
    return jc_ex_linear(k->ex, k->b.row, k->rank - 1u, &step, &rest) && jc_ex_is(step, 1) ? ALONG_N : ANY_ORDER;
}

/* What pairs add up is flushed, so that a sum which is stored as it is may be rounded by an instruction that flushes too. */
static bool stores_sums_alone(const jc_kernel *k) {
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (k->tape[i].op != JC_T_ACC && (k->tape[i].op != JC_T_STORE || k->tape[k->tape[i].a].op != JC_T_ACC))
            return false;
    return true;
}

void jc_kernel_tile(jc_emit *e) {
    const jc_kernel *k = e->k;
    LLVMTypeRef type;
    if (!jc_on_host(e)) {
        jc_emit_fail(e, "A tile kernel is for the host alone.");
        return;
    }
    const jc_target_facts *cpu = jc_target_facts_of(e->target);
    if ((k->lanes > 1 && !cpu->pairs) || (k->lanes > 2 && !cpu->tiles)) {
        jc_emit_fail(e, "The CPU that a tile kernel is for has no instruction for %s of bf16.", k->lanes > 2 ? "tiles" : "pairs");
        return;
    }
    tile *d = JC_NEW(e->arena, tile);
    *d = (tile){ .e = e, .k = k, .order = order_of(k), .ct = jc_product_sum_type(k), .w = k->vec, .nm = k->warps_m, .nn = k->warps_n * k->vec };
    d->pair = k->lanes > 1 ? 2 : 1;
    d->tiles = k->lanes == 2 * JC_AMX_WORDS;
    d->fetches = d->order != ANY_ORDER && !d->tiles;
    d->depth = k->tile_k / d->pair;
    d->type = jc_ct_type(e, d->ct);
    d->vector = jc_vec_of(d->type, d->w);
    d->word = d->pair > 1 ? e->t.i32 : d->type;
    d->words = jc_vec_of(d->word, d->w);
    LLVMValueRef fn = products_function(d, &type);
    d->off_a = jc_alloca(e, e->t.i64, k->tile_m + d->nm, 64, "a.offsets");
    d->off_b = jc_alloca(e, e->t.i64, k->tile_n, 64, "b.offsets");
    d->panel = jc_alloca(e, d->word, d->depth * k->tile_n, 64, "panel");
    d->strip = jc_alloca(e, d->word, d->depth * d->nm, 64, "strip");
    d->sums = (jc_product_sums){ .at = jc_alloca(e, d->type, k->tile_m * k->tile_n, 64, "sums"), .ld = k->tile_n };
    jc_for blocks = jc_for_begin(e, e->first, e->last, jc_i64(e, 1), "block");
    jc_product_block(e, &d->p, &d->sums, blocks.i);
    d->step_a = jc_emit_expr64(&d->p.base, k->a.kstride);
    d->step_b = jc_emit_expr64(&d->p.base, k->b.kstride);
    d->copied = round_up(e, d->sums.rows, d->nm);
    LLVMValueRef count = LLVMBuildMul(e->b, d->copied, jc_i64(e, k->tile_n), "");
    note_offsets(d, false, d->off_a, LLVMBuildAdd(e->b, d->copied, jc_i64(e, d->nm), ""));
    note_offsets(d, true, d->off_b, round_up(e, d->sums.columns, d->nn));
    jc_if empty = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, d->p.k, jc_i64(e, 0), ""), "empty");
    jc_product_zero(e, d->sums.at, d->type, count, d->w);
    jc_if_end(e, &empty);
    jc_for ks = jc_for_begin(e, jc_i64(e, 0), d->p.k, jc_i64(e, k->tile_k), "k.part");
    set_part(d, ks.i);
    part(d, fn, type);
    jc_for_end(e, &ks);
    e->flush_bf16 = d->pair > 1 && stores_sums_alone(k);
    jc_product_outputs(&d->p, &d->sums, d->w);
    e->flush_bf16 = false;
    jc_for_end(e, &blocks);
}
