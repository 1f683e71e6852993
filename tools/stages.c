/*
 * tools/stages.c - the stages of a class as text: what `jitc dump` prints and a report shows.
 */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

static const jc_piece *first_of(const jitc_model *m, uint32_t cls) {
    return &m->pieces[m->classes[cls].first];
}

/* The class as a function of its own. */
static jitc_status decode(tool *t, const jitc_model *m, uint32_t cls, jc_func **out, jc_error *err) {
    const jc_canon *c = &first_of(m, cls)->canon;
    jc_graph *g;
    JC_TRY(jc_canon_decode(c->bytes, c->nbytes, t->arena, &g, err));
    *out = g->root;
    return JITC_OK;
}

jitc_status tool_put_canonical(tool *t, const jitc_model *m, uint32_t cls, jc_bytes *out, jc_error *err) {
    jc_func *f;
    JC_TRY(decode(t, m, cls, &f, err));
    jc_func_print(f, out);
    return JITC_OK;
}

jitc_status tool_put_decomposed(tool *t, const jitc_model *m, uint32_t cls, jc_bytes *out, jc_error *err) {
    jc_func *f, *simple;
    JC_TRY(decode(t, m, cls, &f, err));
    JC_TRY(jc_decompose(f, jc_target_is_simt(&m->target), NULL, NULL, &simple, err));
    jc_func_print(simple, out);
    return JITC_OK;
}

jitc_status tool_schedule(tool *t, const jitc_model *m, uint32_t cls, const jc_request *range, jc_schedule *out,
                          jc_error *err) {
    const jc_piece *p = first_of(m, cls);
    jc_schedule_options o = { .target = m->target, .strict = range->strict, .clamp = range->clamp, .lo = range->lo, .hi = range->hi };
    jc_func *f;
    JC_TRY(decode(t, m, cls, &f, err));
    jitc_status status = jc_schedule_class(f, &o, t->arena, out, err);
    if (status != JITC_OK && err->line > 0 && (uint32_t)err->line <= p->canon.nnodes && !err->file[0]) {
        err->line = p->canon.nodes[err->line - 1]->line; /* a class knows its nodes by number */
        snprintf(err->file, sizeof err->file, "%s", m->graphs[p->graph]->g->file);
    }
    return status;
}

void tool_put_kernels(const jc_schedule *s, jc_bytes *out) {
    for (uint32_t i = 0; i < s->nkernels; i++) {
        jc_put_text(out, "kernel %s\n", s->plan->kernels[i].name);
        jc_kernel_print(s->kernels[i], out);
    }
}
