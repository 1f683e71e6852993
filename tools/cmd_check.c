/*
 * tools/cmd_check.c - `jitc check`: the gate for CI.  Nothing is compiled and nothing stored: what is not in the cache is a miss.
 */
#include <stdio.h>
#include <string.h>

#include "tools/tool.h"

static jitc_status misses_of(tool *t, jitc_model *m, uint32_t *misses, jc_error *err) {
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++) {
            const jc_request *r = &m->classes[i].variants[v].request;
            const uint8_t *bytes;
            size_t n;
            jc_key key;
            JC_TRY(jc_service_key(t->ctx->service, r, t->arena, &key, err));
            *misses += !jc_cache_find(t->ctx->cache, &key, &bytes, &n, NULL);
        }
    return JITC_OK;
}

static int look(tool *t, const char *arch, uint32_t *pieces, uint32_t *classes, uint32_t *misses) {
    jc_error err = JC_ERROR_INIT;
    jitc_graph **graphs;
    jitc_model *m;
    tool_build b = { .arch = arch, .split_only = true };
    int code = tool_read(t, &graphs);
    if (code || (code = tool_model(t, graphs, (uint32_t)t->o.files.n, &b, &m)))
        return code;
    if (t->o.max_misses >= 0)
        TOOL_TRY(t, &err, misses_of(t, m, misses, &err));
    *pieces = m->npieces;
    *classes = m->nclasses;
    return 0;
}

static int report(tool *t, uint32_t pieces, uint32_t classes, uint32_t misses) {
    bool many = t->o.max_classes >= 0 && classes > t->o.max_classes;
    bool cold = t->o.max_misses >= 0 && misses > t->o.max_misses;
    int code = many || cold;
    if (t->o.json) {
        json_t *out = tool_json_new();
        tool_set(out, "pieces", json_integer(pieces));
        tool_set(out, "classes", json_integer(classes));
        tool_set(out, "misses", t->o.max_misses >= 0 ? json_integer(misses) : json_null());
        tool_set(out, "ok", json_boolean(!code));
        return tool_json(t, out, code);
    }
    printf("%u pieces, %u classes", pieces, classes);
    if (t->o.max_classes >= 0)
        printf(" (at most %lld: %s)", (long long)t->o.max_classes, many ? "FAILED" : "ok");
    if (t->o.max_misses >= 0)
        printf(", %u misses (at most %lld: %s)", misses, (long long)t->o.max_misses, cold ? "FAILED" : "ok");
    printf("\n");
    return code;
}

int cmd_check(tool *t) {
    jc_error err = JC_ERROR_INIT;
    uint32_t pieces = 0, classes = 0, misses = 0;
    int code = tool_open(t, t->o.max_misses >= 0);
    if (code)
        return code;
    if (t->o.max_classes < 0 && t->o.max_misses < 0) {
        jc_fail(&err, JITC_E_USAGE, "jitc check needs a limit: --max-classes N, --max-misses M, or both");
        return tool_fail(t, &err);
    }
    tool_strings archs = t->o.arch;
    if (archs.n == 0) {
        const char *arch = "host";
        if (t->o.max_misses >= 0)
            TOOL_TRY(t, &err, tool_arch(t, &arch, &err));
        jc_push(t->arena, &archs, arch);
    }
    for (size_t i = 0; i < archs.n && !code; i++)
        code = look(t, archs.at[i], &pieces, &classes, &misses);
    return code ? code : report(t, pieces, classes, misses);
}
