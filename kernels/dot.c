/*
 * kernels/dot.c - DOT: small or odd matrix products, lanes along k.
 *
 * A group of `lanes` threads (the host: its one thread) makes tile_m x tile_n sums.  Each lane takes `vec` consecutive k of all rows
 * at a time, `unroll` times before it adds any up; rows past the end repeat the last one and are not stored.  What vec leaves over of
 * K is done by single elements.
 * GPU: sums meet by shuffles, those of a group's warps in shared memory; then lane o of its first warp has output o and runs the epilogue
 * for it.
 * Host: the accumulators are vectors, and the epilogue runs over the tile, in vectors where the tile is whole.
 */
#include "jit/llvm/llvm_compat.h"
#include "kernels/product.h"

enum { MAX_TILE = 64 };

typedef struct dot {
    jc_emit *e;
    const jc_kernel *k;
    jc_product p;
    unsigned w, nm, nn;
    bool host;
    uint8_t ct;                        /* of sums */
    LLVMTypeRef type;
    LLVMValueRef lane, lanes;          /* of the group; i64 */
    LLVMValueRef warp, first;          /* GPU, i32: of the block; the first one of the group */
    LLVMValueRef row_a[MAX_TILE], row_b[MAX_TILE], step_a, step_b;
    unsigned align_a, align_b;
    LLVMValueRef n0;                   /* of the warp */
    LLVMValueRef sum[MAX_TILE * MAX_TILE]; /* slots: of the host's vectors, or one value */
    LLVMValueRef single[MAX_TILE * MAX_TILE]; /* host: slots of what vectors leave over */
    LLVMValueRef tile;                 /* host: all sums, in memory */
} dot;

static bool unit(const jc_operand *o) {
    return jc_ex_is(o->kstride, 1);
}

static void find_rows(dot *d) {
    jc_emit *e = d->e;
    LLVMValueRef last_m = LLVMBuildSub(e->b, d->p.m, jc_int_of(LLVMTypeOf(d->p.m), 1), "");
    LLVMValueRef last_n = LLVMBuildSub(e->b, d->p.n, jc_int_of(LLVMTypeOf(d->p.n), 1), "");
    for (unsigned i = 0; i < d->nm; i++) {
        LLVMValueRef m = jc_product_offset(e, d->p.m0, jc_i32(e, i));
        m = jc_select(e, jc_product_below(e, m, last_m), m, last_m);
        d->row_a[i] = jc_product_row(&d->p, false, m);
    }
    for (unsigned j = 0; j < d->nn; j++) {
        LLVMValueRef n = jc_product_offset(e, d->n0, jc_i32(e, j));
        n = jc_select(e, jc_product_below(e, n, last_n), n, last_n);
        d->row_b[j] = jc_product_row(&d->p, true, n);
    }
    d->step_a = jc_emit_expr64(&d->p.base, d->k->a.kstride);
    d->step_b = jc_emit_expr64(&d->p.base, d->k->b.kstride);
}

/* W elements of a row from K on, as sums are computed. */
static LLVMValueRef operand(dot *d, bool second, LLVMValueRef row, LLVMValueRef k, unsigned w) {
    jc_emit *e = d->e;
    const jc_operand *o = second ? &d->k->b : &d->k->a;
    uint8_t from = jc_compute_type(d->k->args[o->arg].dtype);
    LLVMValueRef v, step = second ? d->step_b : d->step_a;
    if (w == 1 || unit(o)) {
        LLVMValueRef at = LLVMBuildAdd(e->b, row, unit(o) ? k : LLVMBuildMul(e->b, k, step, ""), "");
        unsigned align = second ? d->align_b : d->align_a;
        v = jc_load_run(e, o->arg, at, w, align < w ? align : w);
    } else {
        v = jc_undef(jc_vec_of(jc_ct_type(e, from), w));
        for (unsigned l = 0; l < w; l++) {
            LLVMValueRef kl = LLVMBuildAdd(e->b, k, jc_i64(e, l), "");
            LLVMValueRef at = LLVMBuildAdd(e->b, row, LLVMBuildMul(e->b, kl, step, ""), "");
            v = jc_set_lane(e, v, l, jc_load_run(e, o->arg, at, 1, 1));
        }
    }
    return jc_name(e, jc_emit_convert(e, d->ct, from, v), second ? "b" : "a");
}

static void add_products(dot *d, unsigned w, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef *slots) {
    jc_emit *e = d->e;
    LLVMTypeRef type = jc_vec_of(d->type, d->host ? w : 1);
    for (unsigned i = 0; i < d->nm; i++)
        for (unsigned j = 0; j < d->nn; j++) {
            LLVMValueRef slot = slots[i * d->nn + j], c = LLVMBuildLoad2(e->b, type, slot, "");
            if (d->host) {
                c = jc_product_multiply_add(e, a[i], b[j], c);
            } else {
                for (unsigned l = 0; l < w; l++)
                    c = jc_product_multiply_add(e, jc_lane(e, a[i], l), jc_lane(e, b[j], l), c);
            }
            LLVMBuildStore(e->b, c, slot);
        }
}

/* All products of STEPS times W elements, STEP apart from K on, added to SLOTS of vectors (host) or single values.  Every load comes
   before the first product: what is in flight is what counts. */
static void products(dot *d, LLVMValueRef k, unsigned w, unsigned steps, LLVMValueRef step, LLVMValueRef *slots) {
    jc_emit *e = d->e;
    LLVMValueRef *a = JC_NEWN(e->arena, LLVMValueRef, steps * d->nm), *b = JC_NEWN(e->arena, LLVMValueRef, steps * d->nn);
    LLVMValueRef *at = JC_NEWN(e->arena, LLVMValueRef, steps);
    for (unsigned s = 0; s < steps; s++)
        at[s] = s ? LLVMBuildAdd(e->b, at[s - 1], step, "k") : k;
    for (unsigned s = 0; s < steps; s++)
        for (unsigned j = 0; j < d->nn; j++)
            b[s * d->nn + j] = operand(d, true, d->row_b[j], at[s], w);
    for (unsigned s = 0; s < steps; s++)
        for (unsigned i = 0; i < d->nm; i++)
            a[s * d->nm + i] = operand(d, false, d->row_a[i], at[s], w);
    for (unsigned s = 0; s < steps; s++)
        add_products(d, w, a + s * d->nm, b + s * d->nn, slots);
}

static void make_slots(dot *d, LLVMValueRef *slots, unsigned w) {
    LLVMTypeRef type = jc_vec_of(d->type, w);
    for (unsigned i = 0; i < d->nm * d->nn; i++) {
        slots[i] = jc_alloca(d->e, type, 1, 0, "sum");
        LLVMBuildStore(d->e->b, LLVMConstNull(type), slots[i]);
    }
}

/*
 * Host: the vectors' sums into the tile.  By way of memory and a loop: joined to the loop over k, the instructions that add
 * up within a vector would keep accumulators in the lower half of the register file, where they do not fit.
 */
static void fold_vectors(dot *d) {
    jc_emit *e = d->e;
    unsigned count = d->nm * d->nn;
    LLVMTypeRef vector = jc_vec_of(d->type, d->w);
    LLVMValueRef all = jc_alloca(e, vector, count > 1 ? count : 2, 64, "vectors");
    for (unsigned i = 0; i < count; i++)
        LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, vector, d->sum[i], ""), jc_gep(e, vector, all, jc_i64(e, i)));
    jc_for loop = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, count), jc_i64(e, 1), "output");
    LLVMValueRef v = LLVMBuildLoad2(e->b, vector, jc_gep(e, vector, all, loop.i), "");
    for (unsigned w = d->w; w > 1; w /= 2)
        v = jc_product_add(e, jc_slice(e, v, 0, w / 2), jc_slice(e, v, w / 2, w / 2));
    LLVMBuildStore(e->b, v, jc_gep(e, d->type, d->tile, loop.i));
    jc_for_end(e, &loop);
}

/* Host: adds the sums of the rest of k to the tile. */
static void add_singles(dot *d) {
    jc_emit *e = d->e;
    for (unsigned i = 0; i < d->nm * d->nn; i++) {
        LLVMValueRef at = jc_gep(e, d->type, d->tile, jc_i64(e, i)), v = LLVMBuildLoad2(e->b, d->type, at, "");
        LLVMBuildStore(e->b, jc_product_add(e, v, LLVMBuildLoad2(e->b, d->type, d->single[i], "")), at);
    }
}

static void sum_over_k(dot *d) {
    jc_emit *e = d->e;
    LLVMValueRef k = jc_widen_int(e, d->p.k, e->t.i64, true), whole = k;
    bool rest = jc_ex_divisor(d->k->ex, d->k->k) % d->w != 0;
    if (rest)
        whole = LLVMBuildAnd(e->b, k, jc_i64(e, -(int64_t)d->w), "");
    make_slots(d, d->sum, d->host ? d->w : 1);
    LLVMValueRef from = LLVMBuildMul(e->b, d->lane, jc_i64(e, d->w), "");
    LLVMValueRef step = LLVMBuildMul(e->b, d->lanes, jc_i64(e, d->w), "");
    jc_for loop;
    if (d->k->unroll > 1) {
        LLVMValueRef more = LLVMBuildMul(e->b, step, jc_i64(e, d->k->unroll - 1), "");
        loop = jc_for_begin(e, from, LLVMBuildSub(e->b, whole, more, ""), LLVMBuildAdd(e->b, step, more, ""), "k.steps");
        products(d, loop.i, d->w, d->k->unroll, step, d->sum);
        loop.rolled = true;
        jc_for_end(e, &loop);
        from = loop.i;
    }
    loop = jc_for_begin(e, from, whole, step, "k");
    products(d, loop.i, d->w, 1, step, d->sum);
    loop.rolled = d->k->unroll > 1;
    jc_for_end(e, &loop);
    if (d->host)
        fold_vectors(d);
    if (!rest)
        return;
    if (d->host)
        make_slots(d, d->single, 1);
    from = LLVMBuildAdd(e->b, whole, d->lane, "");
    loop = jc_for_begin(e, from, k, d->lanes, "k.tail");
    products(d, loop.i, 1, 1, d->lanes, d->host ? d->single : d->sum);
    jc_for_end(e, &loop);
    if (d->host)
        add_singles(d);
}

/* ---- GPU ------------------------------------------------------------------------------------------------------ */

static LLVMValueRef shared_slot(dot *d, LLVMValueRef warp, unsigned i) {
    jc_emit *e = d->e;
    LLVMValueRef index = LLVMBuildNSWMul(e->b, warp, jc_i32(e, d->nm * d->nn), "");
    return jc_gep(e, e->t.i64, e->shared_at, LLVMBuildNSWAdd(e->b, index, jc_i32(e, i), ""));
}

/* The sums of a group's warps, by shared memory. */
static void join_warps(dot *d, LLVMValueRef lane, LLVMValueRef *sum) {
    jc_emit *e = d->e;
    unsigned count = d->nm * d->nn, warps = d->k->lanes / 32, align = d->ct == JC_CT_F32 ? 4 : 8;
    e->shared_at = e->d->shared(e, jc_kernel_shared(d->k));
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, lane, jc_i32(e, 0), ""), "first_lane");
    for (unsigned i = 0; i < count; i++)
        e->d->store(e, JC_SHARED, sum[i], shared_slot(d, d->warp, i), align);
    jc_if_end(e, &s);
    e->d->barrier(e);
    for (unsigned i = 0; i < count; i++) {
        sum[i] = NULL;
        for (unsigned w = 0; w < warps; w++) {
            LLVMValueRef at = shared_slot(d, LLVMBuildNSWAdd(e->b, d->first, jc_i32(e, w), ""), i);
            LLVMValueRef x = e->d->load(e, JC_SHARED, d->type, at, align);
            sum[i] = jc_name(e, w ? jc_product_add(e, sum[i], x) : x, "sum.group");
        }
    }
}

static void gpu_epilogue(dot *d, LLVMValueRef lane, const LLVMValueRef *sum) {
    jc_emit *e = d->e;
    const jc_kernel *k = d->k;
    unsigned count = d->nm * d->nn;
    jc_tape t;
    jc_tape_init(&t, e, 1);
    for (unsigned first = 0; first < count; first += 32) {
        unsigned n = count - first < 32 ? count - first : 32;
        LLVMValueRef v = sum[first], o = LLVMBuildAdd(e->b, lane, jc_i32(e, first), ""), i, j;
        for (unsigned l = 1; l < n; l++)
            v = jc_select(e, LLVMBuildICmp(e->b, LLVMIntEQ, lane, jc_i32(e, l), ""), sum[first + l], v);
        jc_emit_divmod(e, o, jc_i32(e, d->nn), &i, &j);
        LLVMValueRef m = jc_product_offset(e, d->p.m0, i), c = jc_product_offset(e, d->n0, j);
        LLVMValueRef valid = LLVMBuildAnd(e->b, jc_product_below(e, m, d->p.m), jc_product_below(e, c, d->p.n), "valid");
        if (n < 32)
            valid = LLVMBuildAnd(e->b, valid, LLVMBuildICmp(e->b, LLVMIntULT, lane, jc_i32(e, n), ""), "");
        jc_env env;
        jc_env_init(&env, e, &t, &d->p.base);
        env.loop[k->rank - 2] = jc_select(e, valid, m, LLVMConstNull(LLVMTypeOf(m)));
        env.loop[k->rank - 1] = jc_select(e, valid, c, LLVMConstNull(LLVMTypeOf(c)));
        env.store_if = valid;
        env.acc = jc_emit_convert(e, jc_product_acc_type(k), d->ct, v);
        jc_emit_loads(&env, NULL);
        jc_emit_rest(&env, NULL);
    }
}

static void gpu_outputs(dot *d) {
    jc_emit *e = d->e;
    unsigned count = d->nm * d->nn;
    LLVMValueRef sum[MAX_TILE * MAX_TILE], lane = LLVMBuildAnd(e->b, LLVMBuildTrunc(e->b, d->lane, e->t.i32, ""), jc_i32(e, 31), "");
    for (unsigned i = 0; i < count; i++) {
        sum[i] = LLVMBuildLoad2(e->b, d->type, d->sum[i], "");
        for (unsigned mask = 16; mask > 0; mask /= 2)
            sum[i] = jc_name(e, jc_product_add(e, sum[i], jc_shuffle_xor(e, sum[i], mask)), "sum.warp");
    }
    if (d->k->lanes == 32) {
        gpu_epilogue(d, lane, sum);
        return;
    }
    join_warps(d, lane, sum);
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, d->warp, d->first, ""), "first_warp");
    gpu_epilogue(d, lane, sum);
    jc_if_end(e, &s);
}

/* ---- host ----------------------------------------------------------------------------------------------------- */

/*
 * The sums of a tile are a function of their own, (A, B, tile, k, steps, rows ...).  In one function with the epilogue, LLVM
 * hoists the constants of the epilogue's polynomials over the loop along k, whose accumulators then lose their registers:
 * half the speed.
 */
static LLVMValueRef sums_function(dot *d, LLVMTypeRef *type) {
    jc_emit *e = d->e;
    enum { FIXED = 6 };
    LLVMTypeRef params[FIXED + 2 * MAX_TILE] = { e->t.ptr, e->t.ptr, e->t.ptr };
    unsigned n = FIXED + d->nm + d->nn;
    for (unsigned i = 3; i < n; i++)
        params[i] = e->t.i64;
    *type = LLVMFunctionType(e->t.nothing, params, n, false);
    LLVMValueRef fn = LLVMAddFunction(e->m, jc_arena_printf(e->arena, "%s.sums", e->name), *type);
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, jc_compat_attribute(e->c, "nounwind", 0));
    LLVMBasicBlockRef back = LLVMGetInsertBlock(e->b);
    jc_emit outer = *e;
    e->fn = fn;
    e->args = JC_NEWN(e->arena, LLVMValueRef, e->k->nargs);
    e->args[d->k->a.arg] = jc_name_arg(e, d->k->a.arg, LLVMGetParam(fn, 0));
    e->args[d->k->b.arg] = jc_name_arg(e, d->k->b.arg, LLVMGetParam(fn, 1));
    d->tile = jc_name(e, LLVMGetParam(fn, 2), "tile");
    d->p.k = jc_name(e, LLVMGetParam(fn, 3), "k.size");
    d->step_a = jc_name(e, LLVMGetParam(fn, 4), "a.step");
    d->step_b = jc_name(e, LLVMGetParam(fn, 5), "b.step");
    for (unsigned i = 0; i < d->nm; i++)
        d->row_a[i] = jc_name(e, LLVMGetParam(fn, FIXED + i), "a.row%u", i);
    for (unsigned j = 0; j < d->nn; j++)
        d->row_b[j] = jc_name(e, LLVMGetParam(fn, FIXED + d->nm + j), "b.row%u", j);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    sum_over_k(d);
    LLVMBuildRetVoid(e->b);
    e->fn = outer.fn;
    e->args = outer.args;
    LLVMPositionBuilderAtEnd(e->b, back);
    return fn;
}

static void call_sums(dot *d, LLVMValueRef fn, LLVMTypeRef type) {
    jc_emit *e = d->e;
    LLVMValueRef args[6 + 2 * MAX_TILE] = { e->args[d->k->a.arg], e->args[d->k->b.arg], d->tile,
                                            jc_widen_int(e, d->p.k, e->t.i64, true), d->step_a, d->step_b };
    unsigned n = 6;
    for (unsigned i = 0; i < d->nm; i++)
        args[n++] = d->row_a[i];
    for (unsigned j = 0; j < d->nn; j++)
        args[n++] = d->row_b[j];
    LLVMBuildCall2(e->b, type, fn, args, n, "");
}

static void host_outputs(dot *d) {
    jc_emit *e = d->e;
    LLVMValueRef rows = jc_product_left(e, d->p.m, d->p.m0, jc_i64(e, d->nm)), columns = jc_product_left(e, d->p.n, d->n0, jc_i64(e, d->nn));
    bool power = !(d->nn & (d->nn - 1));
    jc_product_outputs(&d->p, &(jc_product_sums){ d->tile, rows, columns, d->nn }, power ? d->nn : 1);
}

/* ---- both ----------------------------------------------------------------------------------------------------- */

void jc_kernel_dot(jc_emit *e) {
    const jc_kernel *k = e->k;
    if (k->tile_m > MAX_TILE || k->tile_n > MAX_TILE) {
        jc_emit_fail(e, "A dot kernel's tile of %u x %u is larger than %d x %d.", k->tile_m, k->tile_n, MAX_TILE, MAX_TILE);
        return;
    }
    dot *d = JC_NEW(e->arena, dot);
    *d = (dot){ .e = e, .k = k, .w = k->vec, .nm = k->tile_m, .nn = k->tile_n, .host = jc_on_host(e) };
    d->ct = jc_product_sum_type(k);
    d->type = jc_ct_type(e, d->ct);
    if (d->host && k->vec == 1 && unit(&k->a) && unit(&k->b))
        d->w = e->host_width;
    d->align_a = jc_power_dividing(e, k->a.row, d->w);
    d->align_b = jc_power_dividing(e, k->b.row, d->w);
    if (d->host) {
        LLVMTypeRef type;
        d->lane = jc_i64(e, 0);
        d->lanes = jc_i64(e, 1);
        LLVMValueRef sums = sums_function(d, &type);
        d->tile = jc_alloca(e, d->type, d->nm * d->nn > 1 ? d->nm * d->nn : 2, 64, "tile");
        jc_for blocks = jc_for_begin(e, e->first, e->last, jc_i64(e, 1), "block");
        jc_product_place(e, &d->p, blocks.i, k->tile_m, k->tile_n);
        d->n0 = d->p.n0;
        find_rows(d);
        call_sums(d, sums, type);
        host_outputs(d);
        jc_for_end(e, &blocks);
        return;
    }
    LLVMValueRef tid = e->d->thread(e), group, lane;
    jc_emit_divmod(e, tid, jc_i32(e, k->lanes), &group, &lane);
    d->warp = LLVMBuildLShr(e->b, tid, jc_i32(e, 5), "warp");
    d->first = LLVMBuildNSWMul(e->b, group, jc_i32(e, k->lanes / 32), "warp.first");
    jc_product_place(e, &d->p, e->d->block(e), k->tile_m, (int64_t)k->tile_n * (k->threads / k->lanes));
    d->n0 = jc_product_offset(e, d->p.n0, LLVMBuildMul(e->b, group, jc_i32(e, k->tile_n), ""));
    d->lane = jc_name(e, jc_widen_int(e, lane, e->t.i64, false), "lane");
    d->lanes = jc_i64(e, k->lanes);
    find_rows(d);
    sum_over_k(d);
    gpu_outputs(d);
}
