/*
 * kernels/attention.c - rows, matrices and the scale of attention.
 */
#include "kernels/attention.h"

#include <math.h>

/* X, an expression of an integer, as the indices here are. */
static LLVMValueRef as_index(jc_attend *t, const jc_expr *x) {
    return jc_widen_int(t->base.e, jc_emit_expr64(&t->base, x), t->index, true);
}

static void find_scale(jc_emit *e, jc_attend *t) {
    const jc_kernel *k = e->k;
    bool *need = JC_NEWN(e->arena, bool, k->ninstrs);
    jc_tape tape;
    jc_env env;
    jc_tape_init(&tape, e, 1);
    jc_env_init(&env, e, &tape, &t->base);
    need[k->attention.scale] = true;
    jc_tape_close(&tape, need);
    jc_emit_loads(&env, need);
    jc_emit_rest(&env, need);
    t->scale = jc_env_value(&env, k->attention.scale, false);
}

static void find_part(jc_emit *e, jc_attend *t) {
    jc_exprs *ex = e->k->ex;
    const jc_attention *a = &e->k->attention;
    t->begin = jc_int_of(t->index, 0);
    t->end = t->keys;
    if (a->parts == 1)
        return;
    const jc_expr *granule = jc_ex_int(ex, JC_KEYS_AT_ONCE), *each = jc_ex_cdiv(ex, jc_ex_cdiv(ex, a->keys, granule), jc_ex_int(ex, a->parts));
    LLVMValueRef length = as_index(t, jc_ex_mul(ex, each, granule)), part = jc_widen_int(e, t->base.loop[0], t->index, true);
    t->begin = jc_attend_min(e, t->keys, LLVMBuildMul(e->b, part, length, ""));
    t->end = jc_attend_min(e, t->keys, LLVMBuildAdd(e->b, t->begin, length, ""));
}

void jc_attend_place(jc_emit *e, jc_attend *t, LLVMValueRef block) {
    const jc_kernel *k = e->k;
    jc_exprs *ex = k->ex;
    const jc_expr *rows = jc_ex_mul(ex, k->extent[k->rank - 2], jc_ex_int(ex, k->attention.group));
    LLVMValueRef rest, tile, head;
    unsigned batch = k->rank - 2u;
    jc_env_init(&t->base, e, NULL, NULL);
    t->index = jc_on_host(e) ? e->t.i64 : e->t.i32;
    t->rows = jc_name(e, as_index(t, rows), "rows");
    t->keys = jc_name(e, as_index(t, k->attention.keys), "keys");
    block = jc_widen_int(e, block, t->index, true);
    LLVMValueRef tiles = as_index(t, jc_ex_cdiv(ex, rows, jc_ex_int(ex, k->tile_m)));
    jc_emit_divmod(e, block, tiles, &rest, &tile);
    if (k->attention.causal) /* what takes longest comes first */
        tile = LLVMBuildSub(e->b, LLVMBuildSub(e->b, tiles, jc_int_of(t->index, 1), ""), tile, "");
    t->first = LLVMBuildMul(e->b, tile, jc_int_of(t->index, k->tile_m), "first");
    if (k->attention.group > 1) {
        batch--;
        LLVMValueRef groups = as_index(t, jc_ex_fdiv(ex, k->extent[batch], jc_ex_int(ex, k->attention.group)));
        jc_emit_divmod(e, rest, groups, &rest, &head);
        head = LLVMBuildMul(e->b, head, jc_int_of(t->index, k->attention.group), "head");
    }
    if (batch)
        jc_emit_split_index(&t->base, rest, 0, batch);
    find_part(e, t);
    jc_env_init(&t->shared, e, NULL, &t->base);
    if (k->attention.group > 1)
        t->shared.loop[batch] = head;
    t->mask_step = k->attention.masked ? jc_emit_expr64(&t->base, k->attention.mask.column) : NULL;
    find_scale(e, t);
}

LLVMValueRef jc_attend_row(jc_attend *t, jc_env *env, LLVMValueRef r) {
    jc_emit *e = t->base.e;
    const jc_kernel *k = e->k;
    LLVMValueRef m = r, head;
    jc_env_init(env, e, NULL, &t->base);
    if (k->attention.group > 1) {
        jc_emit_divmod(e, r, jc_int_of(t->index, k->attention.group), &m, &head);
        env->loop[k->rank - 3] = LLVMBuildAdd(e->b, t->shared.loop[k->rank - 3], head, "");
    }
    env->loop[k->rank - 2] = m;
    return m;
}

LLVMValueRef jc_attend_element(jc_env *env, const jc_matrix *x, LLVMValueRef i) {
    jc_emit *e = env->e;
    LLVMValueRef step = jc_emit_expr64(env, x->row);
    return LLVMBuildAdd(e->b, jc_emit_expr64(env, x->base), LLVMBuildMul(e->b, jc_widen_int(e, i, e->t.i64, true), step, ""), "");
}

LLVMValueRef jc_attend_masked(jc_attend *t, LLVMValueRef from, LLVMValueRef s, LLVMValueRef score, double per) {
    jc_emit *e = t->base.e;
    const uint16_t arg = e->k->attention.mask.arg;
    const uint8_t ct = jc_compute_type(e->k->args[arg].dtype), to = (uint8_t)jc_kernel_acc_type(e->k);
    LLVMTypeRef type = jc_ct_type(e, to);
    LLVMValueRef at = LLVMBuildAdd(e->b, from, LLVMBuildMul(e->b, jc_widen_int(e, s, e->t.i64, true), t->mask_step, ""), "");
    LLVMValueRef v = jc_load_run(e, arg, at, 1, 1);
    return ct == JC_CT_B1 ? jc_select(e, v, score, jc_real_of(type, -INFINITY))
                          : jc_fused(e, jc_emit_convert(e, to, ct, v), jc_real_of(type, per), score);
}

LLVMValueRef jc_attend_seen(jc_attend *t, LLVMValueRef end) {
    jc_emit *e = t->base.e;
    if (!e->k->attention.causal)
        return t->end;
    LLVMValueRef group = jc_int_of(t->index, e->k->attention.group), one = jc_int_of(t->index, 1);
    LLVMValueRef last = LLVMBuildSub(e->b, jc_attend_min(e, end, t->rows), one, "");
    return jc_attend_min(e, t->end, LLVMBuildAdd(e->b, LLVMBuildUDiv(e->b, last, group, ""), one, ""));
}

LLVMValueRef jc_attend_min(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    return jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b);
}

LLVMValueRef jc_attend_max(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef args[] = { a, b };
    return jc_call_intrinsic(e, "llvm.maxnum", &type, 1, args, 2);
}

LLVMValueRef jc_attend_share(jc_emit *e, LLVMValueRef sum) {
    LLVMTypeRef type = LLVMTypeOf(sum);
    LLVMValueRef none = LLVMBuildFCmp(e->b, LLVMRealOEQ, sum, jc_real_of(type, 0), "");
    return jc_select(e, none, jc_real_of(type, 0), LLVMBuildFDiv(e->b, jc_real_of(type, 1), sum, ""));
}
