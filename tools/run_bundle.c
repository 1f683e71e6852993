/*
 * tools/run_bundle.c - what `jitc run` does otherwise when it is given a bundle (jitc/bundle.h) instead of text.
 *
 * A bundle has no nodes.  What made-up indices have to respect is read from the canonical forms of the classes, followed from
 * each piece's inputs to the parameters that are passed to it directly.
 */
#include <stdio.h>

#include "jitc/bundle.h"
#include "tools/run.h"

/* --- the options --- */

jitc_status run_bundle_check(const tool *t, bool *is, jc_error *err) {
    const tool_options *o = &t->o;
    const struct {
        bool given;
        const char *name;
    } fixed[] = { { o->range.n > 0, "range" },       { o->strides != NULL, "strides" }, { o->split_op.n > 0, "split-op" },
                  { o->provider.n > 0, "provider" }, { o->mode != NULL, "mode" },       { o->no_lift_names, "no-lift-names" } };
    *is = false;
    for (size_t i = 0; i < o->files.n; i++)
        *is |= o->bundle || (tool_names_bundle(o->files.at[i]) && jitc_bundle_probe(o->files.at[i]) != 0);
    if (!*is)
        return JITC_OK;
    if (o->files.n > 1)
        return jc_fail(err, JITC_E_USAGE, "a bundle is a whole model: give it alone");
    if (o->verify)
        return jc_fail(err, JITC_E_USAGE, "--verify: a bundle holds no text for the reference to run; give the graph's file");
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i].given)
            return jc_fail(err, JITC_E_USAGE, "--%s: that was settled when the bundle was compiled; give it to jitc compile",
                           fixed[i].name);
    return JITC_OK;
}

/* --- made-up indices --- */

static void lower(int64_t *bound, int64_t to) {
    if (to < *bound)
        *bound = to;
}

/* CALL NULL: the piece's own parameters are those of the run. */
static jitc_status piece_bounds(const run *r, const jc_piece *p, const jc_graph *form, const jc_node *call,
                                int64_t *bounds, jc_error *err) {
    const jc_canon *c = &p->canon;
    int64_t *syms = JC_NEWN(r->arena, int64_t, c->nsyms), *own = JC_NEWN(r->arena, int64_t, c->ninputs);
    if (form->root->nparams != c->ninputs || jc_sym_count(form->exprs) != c->nsyms)
        return jc_fail(err, JITC_E_INPUT, "the bundle's canonical form of %s is that of another piece", p->func->name);
    JC_TRY(jc_piece_symbols(p, r->syms, r->nsyms, syms, err));
    run_bounds(r->arena, form->root, syms, c->nsyms, own);
    for (uint32_t i = 0; i < c->ninputs; i++) {
        const jc_bind *b = &c->inputs[i];
        if (b->kind != JC_BIND_PARAM)
            continue;
        const jc_arg *a = call ? &call->args[b->param] : NULL;
        if (!a)
            lower(&bounds[b->param], own[i]);
        else if (a->kind == JC_ARG_VALUE && !a->value->def)
            lower(&bounds[a->value->index], own[i]);
    }
    return JITC_OK;
}

jitc_status run_bundle_bounds(const run *r, int64_t *bounds, jc_error *err) {
    const jitc_model *m = r->model;
    jc_graph **forms = JC_NEWN(r->arena, jc_graph *, m->nclasses);
    jc_map *pieces = jc_map_new(r->arena);
    for (uint32_t i = 0; i < r->f->nparams; i++)
        bounds[i] = INT64_MAX;
    for (uint32_t i = 0; i < m->nclasses; i++) {
        const jc_canon *c = &m->pieces[m->classes[i].first].canon;
        JC_TRY(jc_canon_decode(c->bytes, c->nbytes, r->arena, &forms[i], err));
    }
    if (r->piece != UINT32_MAX)
        return piece_bounds(r, &m->pieces[r->piece], forms[m->pieces[r->piece].cls], NULL, bounds, err);
    for (uint32_t i = 0; i < m->npieces; i++)
        jc_map_set(pieces, &m->pieces[i].func, sizeof(jc_func *), &m->pieces[i]);
    for (size_t i = 0; i < r->f->nodes.n; i++) {
        const jc_node *call = r->f->nodes.at[i];
        const jc_piece *p = jc_map_get(pieces, &call->callee, sizeof(jc_func *));
        JC_TRY(piece_bounds(r, p, forms[p->cls], call, bounds, err));
    }
    return JITC_OK;
}

/* --- loading alone --- */

/* All but the GPU's own module load: on `host` and `sim` the code is linked, for a GPU plans and code are decoded. */
static jitc_status make_ready(tool *t, jitc_model *m, jc_error *err) {
    jc_device *device;
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t k = 0; k < m->classes[i].nvariants; k++) {
            jc_variant *v = &m->classes[i].variants[k];
            tool_kernels kernels;
            if (jc_target_is_gpu(&m->target)) {
                JC_TRY(tool_class_kernels(t, v, &kernels, err));
                continue;
            }
            JC_TRY(jc_context_device(t->ctx, &device, err));
            if (!v->exec)
                JC_TRY(jc_exec_load(device, v->request.artifact, v->request.nartifact, &v->exec, err));
        }
    return JITC_OK;
}

int run_load_only(tool *t, jitc_model *m) {
    jc_error err = JC_ERROR_INIT;
    jitc_model_stats stats = { .struct_size = sizeof stats };
    char target[64];
    double start = jc_now_ms();
    TOOL_TRY(t, &err, make_ready(t, m, &err));
    double ms = jc_now_ms() - start;
    jitc_model_get_stats(m, &stats);
    stats.ms_load += ms;
    stats.ms_total += ms;
    jc_target_text(&m->target, target);
    if (!t->o.json) {
        printf("%u pieces, %u classes for %s: loaded in %.3f ms, ready in %.3f ms\n", stats.pieces, stats.classes, target,
               stats.ms_load, stats.ms_total);
        return 0;
    }
    json_t *out = tool_stats_json(&stats);
    tool_set(out, "arch", tool_text(target));
    return tool_json(t, out, 0);
}
