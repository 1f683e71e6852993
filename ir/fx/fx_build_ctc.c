/*
 * ir/fx/fx_build_ctc.c - connectionist temporal classification: the loss of all ways to align labels with time.
 *
 * The forward variables of Graves et al. (2006), in logarithms, one step for each point in time, so there is a constant number of these.  Lengths
 * are values: what lies beyond them is left alone by masks.  Steps are text (definitions.def: ctc_...).
 */
#include <string.h>
#include "ir/fx/fx_build.h"

enum { LOG_PROBS, TARGETS, INPUT_LENGTHS, TARGET_LENGTHS, BLANK, REDUCTION, ZERO_INFINITY, MOST_STEPS = 64 };

/* Numbers that the text gives are a tensor, too. */
static void as_tensor(fx_call *c, int i) {
    if (!c->r->status && c->a[i].kind == JC_ARG_LIST)
        c->a[i] = fx_v(fx_list_tensor(c->r, c->a[i], c->at));
    fx_tensor(c, i);
}

static jc_arg at_time(fx_reader *r, jc_value *x, int64_t t) {
    return fx_v(x && !r->status ? fx_select(r, x, 0, jc_ex_int(fx_x(r), t), r->stmt->at) : NULL);
}

/* Log probabilities of each label, [T, N, 2 S + 1], into argument 0; which labels may be reached from the one before the last into argument 1. */
static void lay_labels(fx_call *c) {
    fx_call with = *c;
    with.a[TARGETS] = fx_defined_as(&with, "ctc_labels");
    c->a[LOG_PROBS] = c->r->status ? fx_nothing() : fx_defined_as(&with, "ctc_emitted");
    c->a[TARGETS] = c->r->status ? fx_nothing() : fx_defined_as(&with, "ctc_skips");
}

/* ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity) */
jc_arg fx_h_ctc_loss(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, LOG_PROBS), *labels = fx_tensor(c, TARGETS);
    int64_t steps = 0;
    as_tensor(c, INPUT_LENGTHS);
    as_tensor(c, TARGET_LENGTHS);
    if (!x || !labels || r->status)
        return fx_nothing();
    const bool alone = fx_rank(x) == 2;
    if ((fx_rank(x) != 3 && !alone) || fx_class_of(x) != 'f')
        fx_bad_arg(c, LOG_PROBS, "logarithms of probabilities [time, classes], or [time, stack, classes]");
    else if (!jc_ex_is_const(x->type.dims[0], &steps) || steps < 1 || steps > MOST_STEPS)
        fx_refuse_arg(c, LOG_PROBS, "there is one step for each point in time, which have to be a constant number of up to 64");
    else if (!alone && fx_rank(labels) == 1)
        fx_refuse_arg(c, TARGETS, "where labels of the stack lie behind each other, only their lengths say where each begins");
    if (r->status)
        return fx_nothing();
    if (alone)
        c->a[LOG_PROBS] = fx_v(fx_unsqueeze(r, x, 1));
    if (fx_rank(labels) == 1)
        c->a[TARGETS] = fx_v(fx_unsqueeze(r, labels, 0));
    if (!fx_given(c, BLANK))
        c->a[BLANK] = fx_i(r, 0);
    const fx_call given = *c;
    fx_call step = *c;
    lay_labels(&step);
    jc_value *emitted = step.a[LOG_PROBS].value;
    for (int64_t t = 0; t < steps && !r->status; t++) {
        step.a[LOG_PROBS] = at_time(r, emitted, t);
        step.a[BLANK] = fx_i(r, t);
        step.a[TARGET_LENGTHS] = fx_defined_as(&step, t ? "ctc_step" : "ctc_begin");
    }
    fx_call end = given;
    end.a[LOG_PROBS] = step.a[TARGET_LENGTHS];
    end.a[LOG_PROBS] = r->status ? fx_nothing() : fx_defined_as(&end, "ctc_end");
    if (fx_bool(c, ZERO_INFINITY, false) && !r->status)
        end.a[LOG_PROBS] = fx_defined_as(&end, "ctc_finite");
    if (alone && fx_is_tensor(end.a[LOG_PROBS]) && !r->status)
        end.a[LOG_PROBS] = fx_v(fx_squeeze(r, end.a[LOG_PROBS].value, 0));
    if (r->status)
        return fx_nothing();
    const bool word = fx_given(c, REDUCTION) && c->a[REDUCTION].kind == JC_ARG_STR;
    const bool mean = word ? strcmp(c->a[REDUCTION].str, "mean") == 0 : fx_int(c, REDUCTION, 1) == 1;
    return fx_defined_as(&end, mean ? "ctc_mean" : "ctc_reduced");
}
