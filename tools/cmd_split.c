/*
 * tools/cmd_split.c - `jitc split`: pieces, and the classes of equal ones; as a picture with --dot.
 */
#include <stdio.h>
#include <string.h>

#include "tools/tool.h"

static json_t *piece_json(const jitc_piece_info *p) {
    json_t *o = json_object(), *names = json_array();
    for (uint32_t i = 0; i < p->nlayer_names; i++)
        json_array_append_new(names, tool_text(p->layer_names[i]));
    tool_set(o, "file", tool_text(p->file));
    tool_set(o, "name", tool_text(p->name));
    tool_set(o, "class", json_integer(p->cls));
    tool_set(o, "key", tool_text(p->key));
    tool_set(o, "splitting", json_boolean(p->splitting));
    tool_set(o, "layer_names", names);
    return o;
}

static jitc_piece_info info_of(const jitc_model *m, uint32_t i) {
    jitc_piece_info p = { .struct_size = sizeof p };
    jitc_model_piece_info(m, i, &p);
    return p;
}

static bool wanted(const tool *t, const jitc_piece_info *p) {
    return !t->o.piece || strcmp(p->name, t->o.piece) == 0;
}

static int print_json(tool *t, const jitc_model *m) {
    json_t *out = tool_json_new(), *pieces = json_array();
    tool_set(out, "pieces", json_integer(m->npieces));
    tool_set(out, "classes", json_integer(m->nclasses));
    for (uint32_t i = 0; i < m->npieces; i++) {
        jitc_piece_info p = info_of(m, i);
        if (wanted(t, &p))
            json_array_append_new(pieces, piece_json(&p));
    }
    tool_set(out, "piece", pieces);
    if (t->o.dot) {
        jc_bytes dot = JC_BYTES(t->arena);
        tool_put_dot(m, &dot);
        tool_set(out, "dot", json_stringn((const char *)dot.at, dot.n));
    }
    return tool_json(t, out, 0);
}

static bool any_wanted(const tool *t, const jitc_model *m, uint32_t cls) {
    for (uint32_t i = 0; i < m->npieces; i++) {
        jitc_piece_info p = info_of(m, i);
        if (p.cls == cls && wanted(t, &p))
            return true;
    }
    return false;
}

static jitc_status check_piece(const tool *t, const jitc_model *m, jc_error *err) {
    for (uint32_t i = 0; i < m->npieces; i++)
        if (!t->o.piece || strcmp(m->pieces[i].func->name, t->o.piece) == 0)
            return JITC_OK;
    return jc_fail(err, JITC_E_USAGE, "there is no piece '%s'; jitc split --json lists them", t->o.piece);
}

/* One line per class, then its members with the layer names they carry. */
static void print_class(const tool *t, const jitc_model *m, uint32_t cls) {
    const jc_class *c = &m->classes[cls];
    jitc_piece_info first = info_of(m, c->first);
    printf("\nclass %u  %.16s  %u member%s%s  (%u nodes, %u inputs, %u outputs)\n", cls, first.key, c->members,
           c->members == 1 ? "" : "s", first.splitting ? ", splitting" : "", m->pieces[c->first].canon.nnodes,
           m->pieces[c->first].canon.ninputs, first.noutputs);
    for (uint32_t i = c->first; i < m->npieces; i++) {
        if (m->pieces[i].cls != cls)
            continue;
        jitc_piece_info p = info_of(m, i);
        if (!wanted(t, &p))
            continue;
        if (m->ngraphs > 1)
            printf("  %s:", p.file);
        else
            printf("  ");
        printf("%-12s", p.name);
        for (uint32_t k = 0; k < p.nlayer_names; k++)
            printf(" %s", p.layer_names[k]);
        putchar('\n');
    }
}

static int print_dot(tool *t, const jitc_model *m) {
    jc_bytes dot = JC_BYTES(t->arena);
    tool_put_dot(m, &dot);
    fwrite(dot.at, 1, dot.n, stdout);
    return 0;
}

int cmd_split(tool *t) {
    jc_error err = JC_ERROR_INIT;
    jitc_graph **graphs;
    jitc_model *m;
    int code = tool_open(t, false);
    if (code || (code = tool_read(t, &graphs)) ||
        (code = tool_model(t, graphs, (uint32_t)t->o.files.n, &(tool_build){ .split_only = true }, &m)))
        return code;
    if (t->o.piece)
        TOOL_TRY(t, &err, check_piece(t, m, &err));
    if ((code = tool_report(t, &m, NULL, 1)))
        return code;
    if (t->o.json)
        return print_json(t, m);
    if (t->o.dot)
        return print_dot(t, m);
    printf("%u piece%s, %u class%s\n", m->npieces, m->npieces == 1 ? "" : "s", m->nclasses,
           m->nclasses == 1 ? "" : "es");
    for (uint32_t i = 0; i < m->nclasses; i++)
        if (!t->o.piece || any_wanted(t, m, i))
            print_class(t, m, i);
    return 0;
}
