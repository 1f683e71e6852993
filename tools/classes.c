/*
 * tools/classes.c - what was compiled for a class, and statistics over several models.
 */
#include "tools/tool.h"

#include <stddef.h>
#include <string.h>

jitc_status tool_class_kernels(tool *t, const jc_variant *v, tool_kernels *out, jc_error *err) {
    const jc_request *r = &v->request;
    jc_artifact a;
    jc_plan *plan;
    JC_TRY(jc_artifact_decode(r->artifact, r->nartifact, t->arena, &a, err));
    JC_TRY(jc_plan_decode(a.plan, a.nplan, t->arena, &plan, err));
    *out = (tool_kernels){ plan->nkernels, plan->kernels, plan };
    return JITC_OK;
}

/* JSON name, field */
#define STAT_TIMES(X)                                                                              \
    X("read", ms_read) X("split", ms_split) X("canonicalise", ms_canonicalise) X("hash", ms_hash)   \
    X("lookup", ms_lookup) X("schedule", ms_schedule) X("llvm", ms_llvm) X("assemble", ms_assemble) \
    X("load", ms_load) X("total", ms_total)
#define STAT_COUNTS(X)                                                                             \
    X("pieces", pieces) X("classes", classes) X("compiled", compiled) X("hits", hits)

json_t *tool_stats_json(const jitc_model_stats *s) {
    json_t *out = tool_json_new(), *kernels = json_object(), *ms = json_object();
#define STAT_COUNT(name, field) tool_set(out, name, json_integer((json_int_t)s->field));
    STAT_COUNTS(STAT_COUNT)
#undef STAT_COUNT
    tool_set(kernels, "total", json_integer((json_int_t)s->kernels));
    tool_set(kernels, "unique", json_integer((json_int_t)s->kernels_unique));
    tool_set(kernels, "hits", json_integer((json_int_t)s->kernels_hit));
    tool_set(kernels, "compiled", json_integer((json_int_t)s->kernels_compiled));
    tool_set(out, "kernels", kernels);
#define STAT_TIME(name, field) tool_set(ms, name, tool_real(s->field));
    STAT_TIMES(STAT_TIME)
#undef STAT_TIME
    tool_set(out, "ms", ms);
    return out;
}

json_t *tool_cache_json(const tool *t) {
    json_t *out = json_object();
    jc_cache_stats s;
    const char *dir = jc_cache_dir(t->ctx->cache);
    jc_cache_get_stats(t->ctx->cache, &s);
    tool_set(out, "dir", dir ? tool_text(dir) : json_null());
    tool_set(out, "stored", json_integer((json_int_t)s.stored));
    tool_set(out, "not_stored", json_integer((json_int_t)s.not_stored));
    tool_set(out, "damaged", json_integer((json_int_t)s.corrupt));
    tool_set(out, "errors", json_integer((json_int_t)s.io_errors));
    tool_set(out, "gave_up", json_boolean(s.gave_up));
    return out;
}

static const struct {
    const char *name;
    size_t offset;
} times[] = {
#define STAT_TIME(name, field) { name, offsetof(jitc_model_stats, field) },
    STAT_TIMES(STAT_TIME)
#undef STAT_TIME
};

const char *tool_stat_name(size_t i) {
    return i < sizeof times / sizeof *times ? times[i].name : NULL;
}

double tool_stat_ms(const jitc_model_stats *s, size_t i) {
    return *(const double *)((const char *)s + times[i].offset);
}

void tool_stats_add(jitc_model_stats *to, const jitc_model_stats *s) {
    to->pieces = s->pieces;
    to->classes = s->classes;
    to->compiled += s->compiled;
    to->hits += s->hits;
    to->kernels_compiled += s->kernels_compiled;
    to->kernels_hit += s->kernels_hit;
#define STAT_TIME(name, field) to->field += s->field;
    STAT_TIMES(STAT_TIME)
#undef STAT_TIME
}
