/*
 * jit/api/model_run.c - running a model without a frame: in one of its own; and what a graph takes and gives.
 */
#include <string.h>

#include "jit/api/executable.h"
#include "jit/api/frame_priv.h"

static jitc_status run(jitc_model *m, jc_program_kind kind, uint32_t index, void *stream, const jitc_value *values,
                       uint32_t nvalues, jitc_value *results, uint32_t nresults) {
    jc_error err = JC_ERROR_INIT;
    jitc_frame *f;
    JC_ENTRY(m->ctx, &err, jc_frame_of_model(m, &f, &err));
    return jc_frame_call(f, kind, index, stream, values, nvalues, results, nresults, false);
}

jitc_status jitc_model_run(jitc_model *m, uint32_t graph, void *stream, const jitc_value *values, uint32_t nvalues,
                           jitc_value *results, uint32_t nresults) {
    JC_NEED(NULL, m);
    JC_NEED_ARRAYS(m->ctx, values, nvalues, results, nresults);
    return run(m, JC_RUN_GRAPH, graph, stream, values, nvalues, results, nresults);
}

jitc_status jitc_piece_run(jitc_model *m, uint32_t piece, void *stream, const jitc_value *values, uint32_t nvalues,
                           jitc_value *results, uint32_t nresults) {
    JC_NEED(NULL, m);
    JC_NEED_ARRAYS(m->ctx, values, nvalues, results, nresults);
    return run(m, JC_RUN_PIECE, piece, stream, values, nvalues, results, nresults);
}

uint32_t jitc_model_params(const jitc_model *m, uint32_t graph) {
    return m && graph < m->ngraphs ? m->graphs[graph]->g->root->nparams : 0;
}

uint32_t jitc_model_outputs(const jitc_model *m, uint32_t graph) {
    return m && graph < m->ngraphs ? m->graphs[graph]->g->root->noutputs : 0;
}

jitc_status jitc_model_param_info(const jitc_model *m, uint32_t graph, uint32_t param, jitc_param_info *out) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, m);
    JC_NEED(m->ctx, out);
    if (param >= jitc_model_params(m, graph))
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "graph %u has no parameter %u", graph, param), &err);
    const jc_value *v = m->graphs[graph]->g->root->params[param];
    static const uint32_t tags[] = { [JC_TENSOR] = JITC_TENSOR, [JC_SYMINT] = JITC_INT, [JC_NAME] = JITC_NAME,
                                     [JC_INT] = JITC_INT, [JC_FLOAT] = JITC_FLOAT, [JC_BOOL] = JITC_BOOL };
    jitc_param_info info = { out->struct_size, v->name, tags[v->type.kind], NULL };
    info.type = jc_model_param_type((jitc_model *)m, graph, param);
    if (!info.type)
        return jc_context_done(m->ctx, JITC_E_NOMEM, &err);
    memcpy(out, &info, info.struct_size < sizeof info ? info.struct_size : sizeof info);
    return JITC_OK;
}

