/*
 * tools/cmd_compile.c - `jitc compile`: every class for every arch and range, compiled or found in the cache.
 */
#include <stdio.h>
#include <string.h>

#include "tools/tool.h"

typedef struct report {
    tool *t;
    jitc_model_stats stats; /* over archs and ranges */
    jc_map *kernels;        /* unique ones, by key */
    json_t *classes;
    tool_operators operators;
    JC_VEC(jitc_model *) models; /* kept for the bundle and the page */
} report;

/* The range that each symbol was compiled for, by the names of the class's first piece. */
static json_t *ranges_json(const jitc_model *m, const jc_class *c, const jc_request *q) {
    const jc_piece *p = &m->pieces[c->first];
    json_t *out = json_object();
    for (uint32_t i = 0; i < p->canon.nsyms; i++)
        tool_set(out, jc_sym_at(m->graphs[p->graph]->g->exprs, p->canon.syms[i]->sym)->name,
                 json_pack("[I,I]", (json_int_t)q->lo[i], (json_int_t)q->hi[i]));
    return out;
}

/* " for s72=1:256"; nothing where there is one variant only. */
static const char *range_text(const jitc_model *m, const jc_class *c, const jc_request *q, char *out, size_t size) {
    const jc_piece *p = &m->pieces[c->first];
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < p->canon.nsyms && c->nvariants > 1 && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s=%lld:%lld", i ? "," : "  for ",
                              jc_sym_at(m->graphs[p->graph]->g->exprs, p->canon.syms[i]->sym)->name, (long long)q->lo[i],
                              (long long)q->hi[i]);
    return out;
}

static void add_class(report *r, const jitc_model *m, uint32_t cls, const jc_request *q, const char *arch,
                      const tool_kernels *k) {
    const jc_class *c = &m->classes[cls];
    char range[160];
    char key[2 * JC_HASH_SIZE + 1], cache_key[2 * JC_HASH_SIZE + 1];
    json_t *o = json_object(), *names = json_array();
    jc_hash_hex(&m->pieces[c->first].canon.hash, key);
    jc_hash_hex(&q->key.hash, cache_key);
    for (uint32_t i = 0; i < k->n; i++) {
        json_array_append_new(names, tool_text(k->at[i].name));
        jc_map_set(r->kernels, k->at[i].key.b, JC_HASH_SIZE, (void *)&k->at[i]);
    }
    tool_set(o, "class", json_integer(cls));
    tool_set(o, "name", tool_text(tool_class_name(m, cls)));
    tool_set(o, "arch", tool_text(arch));
    tool_set(o, "key", tool_text(key));
    tool_set(o, "cache_key", tool_text(cache_key));
    tool_set(o, "members", json_integer(c->members));
    tool_set(o, "range", ranges_json(m, c, q));
    tool_set(o, "hit", json_boolean(q->hit));
    tool_set(o, "bytes", json_integer((json_int_t)q->nartifact));
    tool_set(o, "kernels", names);
    json_array_append_new(r->classes, o);
    if (!r->t->o.json) {
        printf("class %-3u %.16s  %-8s  %-8s  %3u member%s %3u kernel%s %8zu bytes  %s%s\n", cls, key, arch,
               q->hit ? "hit" : "compiled", c->members, c->members == 1 ? " " : "s", k->n, k->n == 1 ? " " : "s",
               q->nartifact, tool_class_name(m, cls), range_text(m, c, q, range, sizeof range));
        for (uint32_t i = 0; i < k->n; i++)
            printf("    %s\n", k->at[i].name);
    }
}

static int add_classes(report *r, const jitc_model *m, const char *arch) {
    tool *t = r->t;
    jc_error err = JC_ERROR_INIT;
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++) {
            tool_kernels k;
            TOOL_TRY(t, &err, tool_class_kernels(t, &m->classes[i].variants[v], &k, &err));
            r->stats.kernels += k.n;
            add_class(r, m, i, &m->classes[i].variants[v].request, arch, &k);
        }
    return 0;
}

static int compile_one(report *r, const char *arch) {
    tool *t = r->t;
    jitc_graph **graphs;
    jitc_model *m;
    uint32_t n = (uint32_t)t->o.files.n;
    jitc_model_stats stats = { .struct_size = sizeof stats };
    t->lists_refusals = true;
    t->arch = arch;
    int code = tool_read(t, &graphs);
    if (code || (code = tool_model(t, graphs, n, &(tool_build){ .arch = arch }, &m)))
        return code;
    t->lists_refusals = false;
    jitc_model_get_stats(m, &stats);
    tool_stats_add(&r->stats, &stats);
    if ((code = add_classes(r, m, arch)))
        return code;
    tool_operators_of(t, m, jc_target_is_gpu(&m->target) ? kDLCUDA : kDLCPU, &r->operators);
    for (size_t i = 0; i < r->operators.n; i++) { /* they must outlive the graphs */
        r->operators.at[i].name = jc_arena_strdup(t->arena, r->operators.at[i].name);
        r->operators.at[i].file = jc_arena_strdup(t->arena, r->operators.at[i].file);
    }
    if (t->o.output || t->o.report) {
        jc_push(t->arena, &r->models, m);
        return 0;
    }
    jitc_model_free(m);
    for (uint32_t i = 0; i < n; i++)
        jitc_graph_free(graphs[i]);
    return 0;
}

/* All models as one bundle. */
static int write_bundle(report *r) {
    tool *t = r->t;
    tool_hold_signals(true);
    jitc_status status = jitc_bundle_write(t->ctx, r->models.at, (uint32_t)r->models.n, t->o.output);
    tool_hold_signals(false);
    return status == JITC_OK ? 0 : tool_fail_library(t);
}

static void print_text(const report *r) {
    const jitc_model_stats *s = &r->stats;
    printf("%u pieces, %u classes: %llu compiled, %llu hits; %llu kernels, %llu unique, %llu compiled\n", s->pieces,
           s->classes, (unsigned long long)s->compiled, (unsigned long long)s->hits, (unsigned long long)s->kernels,
           (unsigned long long)s->kernels_unique, (unsigned long long)s->kernels_compiled);
    printf("ms: read %.2f, split %.2f, canonicalise %.2f, hash %.2f, lookup %.2f, schedule %.2f, llvm %.2f, "
           "assemble %.2f, total %.2f\n", s->ms_read, s->ms_split, s->ms_canonicalise, s->ms_hash, s->ms_lookup,
           s->ms_schedule, s->ms_llvm, s->ms_assemble, s->ms_total);
    if (r->operators.n)
        printf("a run needs these custom operators:\n");
    for (size_t i = 0; i < r->operators.n; i++)
        printf("    %s%s\n", r->operators.at[i].schema, r->operators.at[i].registered ? "  (registered)" : "");
}

int cmd_compile(tool *t) {
    jc_error err = JC_ERROR_INIT;
    report r = { .t = t, .stats = { .struct_size = sizeof r.stats }, .kernels = jc_map_new(t->arena) };
    int code = tool_open(t, true);
    if (code)
        return code;
    tool_strings archs = t->o.arch;
    if (archs.n == 0) {
        const char *arch;
        TOOL_TRY(t, &err, tool_arch(t, &arch, &err));
        jc_push(t->arena, &archs, arch);
    }
    r.classes = json_array();
    for (size_t i = 0; i < archs.n && !code; i++)
        code = compile_one(&r, archs.at[i]);
    if (!code && t->o.output)
        code = write_bundle(&r);
    if (!code)
        code = tool_report(t, r.models.at, archs.at, (uint32_t)r.models.n);
    if (code) {
        json_decref(r.classes);
        return code;
    }
    r.stats.kernels_unique = jc_map_count(r.kernels);
    if (!t->o.json) {
        print_text(&r);
        json_decref(r.classes);
        return 0;
    }
    json_t *out = tool_stats_json(&r.stats);
    tool_set(out, "cache", tool_cache_json(t));
    tool_set(out, "class", r.classes);
    tool_set(out, "operators", tool_operators_json(&r.operators));
    return tool_json(t, out, 0);
}
