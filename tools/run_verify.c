/*
 * tools/run_verify.c - the same run by the reference, and how far apart the two are.
 */
#include "tools/run.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* --- the reference --- */

static jitc_status call_host(void *user, const char *target, const jitc_value *args, const char *const *keys,
                             uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    const run *r = user;
    const jc_op_entry *op = jc_ops_find(r->t->ctx->ops, target, kDLCPU);
    char schema[1024];
    DLDevice host = { .device_type = kDLCPU };
    if (!op)
        return jc_fail_at(err, JITC_E_UNSUPPORTED, r->file, line, 0, NULL,
                          "the reference needs custom operator %s on the host, and it is not registered: give --plugin with "
                          "one that registers %s", target,
                          jc_op_infer(target, args, keys, nargs, nresults, ~0ull, schema, sizeof schema));
    return jc_op_call(op, host, NULL, args, keys, nargs, results, nresults, err);
}

static const jitc_layer_name *name_of(void *user, const char *text) {
    const run *r = user;
    return jitc_layer_name_intern(r->t->ctx, text, NULL);
}

/* In way HOW, as r->outputs are: results, then what is in written inputs. */
static jitc_status evaluate(run *r, unsigned how, jc_eval_out **out, jc_error *err) {
    jc_eval_host host = { .call = call_host, .user = r, .name = name_of };
    jc_eval_out *written = JC_NEWN(r->arena, jc_eval_out, r->f->nparams);
    uint32_t n = r->f->noutputs;
    *out = JC_NEWN(r->arena, jc_eval_out, r->noutputs);
    if (r->t->o.index && strcmp(r->t->o.index, "clamp") == 0)
        how |= JC_EVAL_CLAMP;
    if (r->device->target.dialect != JC_DIALECT_HOST)
        how |= JC_EVAL_GPU;
    JC_TRY(jc_eval_written(r->f, how, r->syms, r->nsyms, r->host, &host, r->arena, *out, written, err));
    for (uint32_t i = 0; i < r->f->nparams; i++)
        if (run_writes(r, i))
            (*out)[n++] = written[i];
    return JITC_OK;
}

jitc_status run_reference(run *r, run_judge *out, jc_error *err) {
    JC_TRY(evaluate(r, 0, &out->exact, err));
    return evaluate(r, JC_EVAL_EAGER, &out->eager, err);
}

static bool is_strict(const run *r) {
    return r->t->o.mode && strcmp(r->t->o.mode, "strict") == 0;
}

/* --- the comparison --- */

/* Relative L2 distance allowed, by what the result is rounded to, itself or on the way.  Through a chain of pieces the
   roundings add up: eager PyTorch comes out at 0.5e-2 to 1.3e-2 from float64 on small models of 4 to 8 layers. */
static double tolerance(const run *r, const run_output *o, bool rounded) {
    double chain = r->f->nodes.n > 1 && r->f->nodes.at[0]->op == JC_OP_call ? 2 : 1;
    if (r->t->o.rtol >= 0)
        return r->t->o.rtol;
    switch (o->tensor.dtype) {
    case JC_F32:
    case JC_F64:
        return rounded ? chain * 1e-2 : 1e-5;
    case JC_BF16:
    case JC_F16:
        return chain * 1e-2;
    case JC_F8E4M3FN:
    case JC_F8E5M2:
        return 1e-1;
    default:
        return 0; /* integers are equal or wrong */
    }
}

typedef struct distance {
    double max_abs, difference, reference; /* the last two: sums of squares */
} distance;

static void add(distance *d, double ours, double theirs) {
    double delta = fabs(ours - theirs);
    if (ours == theirs || (isnan(ours) && isnan(theirs)))
        delta = 0;
    else if (!isfinite(delta))
        delta = DBL_MAX;
    if (delta > d->max_abs)
        d->max_abs = delta;
    d->difference += delta * delta;
    if (isfinite(theirs))
        d->reference += theirs * theirs;
}

static void judge(const run *r, run_output *o, const distance *d, bool rounded) {
    double atol = r->t->o.atol > 0 ? r->t->o.atol : 0;
    o->max_abs = d->max_abs;
    if (d->difference > 0)
        o->rel_l2 = isfinite(d->difference) && d->reference > 0 ? sqrt(d->difference / d->reference) : DBL_MAX;
    o->rtol = tolerance(r, o, rounded);
    o->differs = !(o->rel_l2 <= o->rtol) && !(o->max_abs <= atol);
}

static bool same_shape(const run_output *o, const jc_eval_out *ref) {
    if (o->kind == JC_SYMINT)
        return ref->kind == JC_SYMINT;
    if (ref->kind != JC_TENSOR || ref->rank != o->tensor.rank || ref->dtype != o->tensor.dtype)
        return false;
    for (int d = 0; d < ref->rank; d++)
        if (ref->dims[d] != o->tensor.dims[d])
            return false;
    return true;
}

/* Which of both is nearer to X, or equal. */
static double nearer(double x, double exact, double eager) {
    const bool is_eager = x == eager || (isnan(x) && isnan(eager));
    return is_eager || fabs(x - eager) < fabs(x - exact) || isnan(exact) ? eager : exact;
}

/* Strict code rounds what the reference rounds: where nothing rough is on the way bits are equal, but for those of NaNs. */
static bool same_bits(jc_dtype dtype, const void *at, double want) {
    uint64_t have = 0, wanted = 0;
    memcpy(&have, at, jc_dtypes[dtype].size);
    jc_store_float(dtype, &wanted, want);
    return have == wanted || (isnan(jc_load_float(dtype, at)) && isnan(want));
}

static void compare(const run *r, run_output *o, const jc_eval_out *exact, const jc_eval_out *eager, bool rounded, bool rough) {
    distance d = { 0 };
    const bool strict = is_strict(r);
    const jc_eval_out *ref = strict ? eager : exact;
    bool all_same = true;
    const jc_st_tensor *t = &o->tensor;
    size_t size = jc_dtypes[t->dtype].size, n = t->nbytes / size;
    if (!same_shape(o, ref)) {
        o->max_abs = o->rel_l2 = DBL_MAX;
        o->differs = true;
        return;
    }
    if (o->kind == JC_SYMINT)
        add(&d, (double)o->integer, (double)ref->integer);
    for (size_t i = 0; o->kind == JC_TENSOR && i < n; i++) {
        const char *at = (const char *)t->data + i * size;
        if (ref->f) {
            const double x = jc_load_float(t->dtype, at);
            add(&d, x, strict ? eager->f[i] : nearer(x, exact->f[i], eager->f[i]));
            all_same &= same_bits(t->dtype, at, eager->f[i]);
        } else if (!strict && jc_load_int(t->dtype, at) == eager->i[i])
            d.reference += (double)eager->i[i] * (double)eager->i[i];
        else if (jc_load_int(t->dtype, at) != ref->i[i])
            add(&d, (double)jc_load_int(t->dtype, at), (double)ref->i[i]);
        else
            d.reference += (double)ref->i[i] * (double)ref->i[i];
    }
    judge(r, o, &d, rounded);
    if (strict && !rough && !all_same && r->t->o.rtol < 0 && !(r->t->o.atol > 0)) {
        o->rtol = 0;
        o->differs = true;
    }
}

void run_compare(run *r, const run_judge *reference) {
    const bool *rounded = run_rounding(r->arena, r->f, false), *rough = run_rounding(r->arena, r->f, true);
    for (uint32_t i = 0, next = 0; i < r->noutputs; i++) {
        run_output *o = &r->outputs[i];
        const jc_eval_out *exact = &reference->exact[i];
        uint32_t at = i;
        if (o->written) { /* parameters come after the outputs */
            while (!run_writes(r, next))
                next++;
            at = r->f->noutputs + next++;
        }
        if (exact->undefined && o->kind == JC_TENSOR)
            o->undefined = true;
        if (!o->undefined && (o->kind == JC_TENSOR || o->kind == JC_SYMINT))
            compare(r, o, exact, &reference->eager[i], rounded[at], rough[at]);
    }
}
