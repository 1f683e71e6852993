/*
 * tools/report_parts.c - the sections of a report: classes, differences, members, times, stages.
 */
#include <stdio.h>
#include <string.h>

#include "tools/report_html.h"

static const jc_piece *first_of(const jitc_model *m, uint32_t cls) {
    return &m->pieces[m->classes[cls].first];
}

static void section(page *p, const char *id, const char *title) {
    page_raw(p, "<h2 id=\"%s\">%s</h2>\n", id, title);
}

/* --- classes --- */

/* "s0 in 1:16", by the names of the class's first piece; nothing where there is one range alone. */
static void put_range(page *p, const jitc_model *m, uint32_t cls, const jc_request *q) {
    const jc_piece *piece = first_of(m, cls);
    if (m->classes[cls].nvariants < 2)
        return;
    for (uint32_t i = 0; i < piece->canon.nsyms; i++) {
        page_raw(p, " ");
        page_str(p, jc_sym_at(m->graphs[piece->graph]->g->exprs, piece->canon.syms[i]->sym)->name);
        page_raw(p, " in %lld:%lld", (long long)q->lo[i], (long long)q->hi[i]);
    }
}

/* Was the class found in the cache, for each arch and range, and how large is it? */
static void put_cache(page *p, uint32_t cls) {
    page_raw(p, "<td>");
    for (uint32_t i = 0; i < p->n && p->archs; i++) {
        const jc_class *c = &p->models[i]->classes[cls];
        for (uint32_t v = 0; v < c->nvariants; v++) {
            const jc_request *q = &c->variants[v].request;
            page_raw(p, "<div class=\"%s\">%s, ", q->hit ? "hit" : "miss", q->hit ? "&#10003; hit" : "&#10007; compiled");
            page_str(p, p->archs[i]);
            put_range(p, p->models[i], cls, q);
            page_raw(p, ", %zu bytes</div>", q->nartifact);
        }
    }
    page_raw(p, "</td>");
}

static void class_row(page *p, uint32_t cls) {
    const jitc_model *m = p->models[0];
    const jc_piece *piece = first_of(m, cls);
    char key[2 * JC_HASH_SIZE + 1];
    jc_hash_hex(&piece->canon.hash, key);
    page_raw(p, "<tr id=\"class%u\"><td>", cls);
    page_class(p, cls);
    page_raw(p, "</td><td><code title=\"%s\">%.16s</code></td>", key, key);
    page_cell(p, "%u", m->classes[cls].members);
    page_cell(p, "%u", piece->canon.nnodes);
    page_cell(p, "%u", piece->canon.ninputs);
    page_cell(p, "%u", piece->func->noutputs);
    page_raw(p, "<td>%s<code>", piece->splitting ? "splitting, " : "");
    page_str(p, piece->func->name);
    page_raw(p, "</code></td>");
    if (p->archs)
        put_cache(p, cls);
    page_raw(p, "</tr>\n");
}

void page_classes(page *p) {
    section(p, "classes", "Classes");
    page_raw(p, "<table>\n<tr><th>class</th><th>key</th><th class=\"n\">members</th><th class=\"n\">nodes</th>"
             "<th class=\"n\">inputs</th><th class=\"n\">outputs</th><th>first member</th>%s</tr>\n",
             p->archs ? "<th>cache</th>" : "");
    for (uint32_t i = 0; i < p->models[0]->nclasses; i++)
        class_row(p, i);
    page_raw(p, "</table>\n");
}

/* --- differences --- */

static void put_side(page *p, const jc_piece *piece, const jc_difference *d, const char *text, int line) {
    const jitc_model *m = p->models[0];
    const char *input = tool_difference_input(piece, d);
    bool ended = text && strcmp(text, "no further node") == 0;
    const char *source = input || ended ? NULL : tool_source_line(p->t, piece->graph, line);
    page_raw(p, "<tr><td>");
    page_class(p, piece->cls);
    page_raw(p, "</td><td><code>");
    page_str(p, m->graphs[piece->graph]->g->file);
    if (line > 0)
        page_raw(p, ":%d", line);
    page_raw(p, "</code></td><td><code>");
    page_str(p, text ? text : "");
    if (input) {
        page_raw(p, "</code> is <code>");
        page_str(p, input);
    }
    page_raw(p, "</code>");
    if (source) {
        page_raw(p, "<br><code>");
        page_str(p, source);
        page_raw(p, "</code>");
    }
    page_raw(p, "</td></tr>\n");
}

static void difference(page *p, uint32_t cls) {
    const tool_neighbour *n = &p->near[cls];
    const jc_piece *a = first_of(p->models[0], cls), *b;
    page_raw(p, "<p>");
    page_class(p, cls);
    if (n->cls == UINT32_MAX) {
        page_raw(p, ": there is no other %s class.</p>\n", a->splitting ? "splitting" : "compiled");
        return;
    }
    b = first_of(p->models[0], n->cls);
    page_raw(p, " is not ");
    page_class(p, n->cls);
    page_raw(p, ", with which it shares %u of its %u nodes: they part at <b>", n->common, a->canon.nnodes);
    page_str(p, n->difference.what ? n->difference.what : "the start");
    page_raw(p, "</b></p>\n<table>\n");
    put_side(p, a, &n->difference, n->difference.a, n->difference.a_line);
    put_side(p, b, &n->difference, n->difference.b, n->difference.b_line);
    page_raw(p, "</table>\n");
}

void page_differences(page *p) {
    section(p, "differences", "Differences");
    page_raw(p, "<p>For each class the one nearest to it, and the first thing that keeps them apart.</p>\n");
    for (uint32_t i = 0; i < p->models[0]->nclasses; i++)
        difference(p, i);
}

/* --- members --- */

void page_members(page *p) {
    const jitc_model *m = p->models[0];
    section(p, "members", "Members");
    page_raw(p, "<details%s><summary>%u pieces, in the order they run</summary>\n<table>\n<tr><th>piece</th><th>class</th>"
             "%s<th>layer names</th></tr>\n", m->npieces <= 200 ? " open" : "", m->npieces,
             m->ngraphs > 1 ? "<th>file</th>" : "");
    for (uint32_t i = 0; i < m->npieces; i++) {
        const jc_piece *piece = &m->pieces[i];
        page_raw(p, "<tr><td><code>");
        page_str(p, piece->func->name);
        page_raw(p, "</code></td><td>");
        page_class(p, piece->cls);
        page_raw(p, "</td>");
        if (m->ngraphs > 1) {
            page_raw(p, "<td><code>");
            page_str(p, m->graphs[piece->graph]->g->file);
            page_raw(p, "</code></td>");
        }
        page_raw(p, "<td>");
        for (uint32_t k = 0; k < piece->nlayer_names; k++) {
            page_raw(p, k ? "<br><code>" : "<code>");
            page_str(p, piece->layer_names[k]);
            page_raw(p, "</code>");
        }
        page_raw(p, "</td></tr>\n");
    }
    page_raw(p, "</table>\n</details>\n");
}

/* --- times --- */

void page_times(page *p) {
    section(p, "times", "Times");
    page_raw(p, "<p>Milliseconds. Those of <code>llvm</code> and <code>assemble</code> are summed over threads.</p>\n<table>\n"
             "<tr><th>phase</th>");
    for (uint32_t i = 0; i < p->n; i++) {
        page_raw(p, "<th class=\"n\">");
        page_str(p, p->archs ? p->archs[i] : "split only");
        page_raw(p, "</th>");
    }
    page_raw(p, "</tr>\n");
    for (size_t k = 0; tool_stat_name(k); k++) {
        page_raw(p, "<tr><td>%s</td>", tool_stat_name(k));
        for (uint32_t i = 0; i < p->n; i++)
            page_cell(p, "%.3f", tool_stat_ms(&p->models[i]->stats, k));
        page_raw(p, "</tr>\n");
    }
    page_raw(p, "</table>\n");
}

/* --- stages --- */

static void details(page *p, const char *title, const char *arch, const jc_bytes *text) {
    page_raw(p, "<details><summary>%s%s", title, arch ? ", " : "");
    page_str(p, arch ? arch : "");
    page_raw(p, "</summary><pre>");
    page_text(p, (const char *)text->at, text->n);
    page_raw(p, "</pre></details>\n");
}

/* Kernels and plan are made again: a hit has neither as text, and they depend on the key alone. */
static jitc_status schedules(page *p, uint32_t cls, jc_error *err) {
    jc_arena *arena = p->t->arena;
    for (uint32_t i = 0; i < p->n; i++) {
        const jc_class *c = &p->models[i]->classes[cls];
        for (uint32_t v = 0; v < c->nvariants; v++) {
            const jc_request *q = &c->variants[v].request;
            jc_bytes kernels = JC_BYTES(arena), plan = JC_BYTES(arena);
            const char *arch = p->archs[i];
            jc_schedule s;
            JC_TRY(tool_schedule(p->t, p->models[i], cls, q, &s, err));
            if (c->nvariants > 1)
                arch = jc_arena_printf(arena, "%s, range %u of %u", arch, v + 1, c->nvariants);
            tool_put_kernels(&s, &kernels);
            jc_plan_print(s.plan, &plan);
            details(p, "kernels", arch, &kernels);
            details(p, "plan", arch, &plan);
        }
    }
    return JITC_OK;
}

static jitc_status stages_of(page *p, uint32_t cls, jc_error *err) {
    const jitc_model *m = p->models[0];
    jc_bytes text = JC_BYTES(p->t->arena), canonical = JC_BYTES(p->t->arena), decomposed = JC_BYTES(p->t->arena);
    jc_func_print(first_of(m, cls)->func, &text);
    JC_TRY(tool_put_canonical(p->t, m, cls, &canonical, err));
    JC_TRY(tool_put_decomposed(p->t, m, cls, &decomposed, err));
    page_raw(p, "<h3>");
    page_class(p, cls);
    page_raw(p, "</h3>\n");
    details(p, "graph: the first member as it was cut", NULL, &text);
    details(p, "canonical", NULL, &canonical);
    details(p, "decomposed", NULL, &decomposed);
    return p->archs ? schedules(p, cls, err) : JITC_OK;
}

jitc_status page_stages(page *p, jc_error *err) {
    section(p, "stages", "Stages");
    for (uint32_t i = 0; i < p->models[0]->nclasses; i++)
        JC_TRY(stages_of(p, i, err));
    return JITC_OK;
}
