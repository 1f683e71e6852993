/*
 * jit/api/explain.h - what building and explaining share.
 */
#ifndef JC_EXPLAIN_H
#define JC_EXPLAIN_H

#include "jit/api/model.h"
#include "jitc/explain.h"

/* Before code is generated: graphs in which the reader refused something fail with the first. */
jitc_status jc_check_refused(jitc_graph *const *graphs, uint32_t n, jc_error *err);
/* Before a build: graphs that were explained have been cut, and must be built with the same options. */
jitc_status jc_check_explained(jitc_graph *const *graphs, uint32_t n, const jitc_model_options *o, jc_error *err);

#endif
