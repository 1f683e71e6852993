/*
 * tools/cmd_explain.c - `jitc explain`: the first node at which two pieces part, and which fields of their keys differ.
 *
 *   jitc explain A B            two files of one piece each; FILE#submod_3 names one of several
 *   jitc explain F              for each class of F the class nearest to it, and what keeps them apart; then what is not supported
 */
#include <stdio.h>
#include <string.h>

#include "tools/tool.h"

typedef struct side {
    jitc_model *m;
    const jc_piece *p;
} side;

/* --- choosing pieces --- */

/* "F#submod_3" to F and submod_3. A file with '#' in its own name is taken as it is. */
static const char *cut_piece(tool *t, size_t i) {
    const char *text = t->o.files.at[i], *hash = strrchr(text, '#');
    FILE *f = hash ? fopen(text, "rbe") : NULL;
    if (f)
        fclose(f);
    if (!hash || f)
        return NULL;
    t->o.files.at[i] = jc_arena_strndup(t->arena, text, (size_t)(hash - text));
    return hash + 1;
}

static jitc_status choose(const jitc_model *m, uint32_t graph, const char *name, const jc_piece **out, jc_error *err) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->npieces; i++) {
        const jc_piece *p = &m->pieces[i];
        if (p->graph != graph || (name && strcmp(p->func->name, name) != 0))
            continue;
        *out = p;
        n++;
    }
    const char *file = m->graphs[graph]->g->file;
    if (n == 0 && name)
        return jc_fail(err, JITC_E_USAGE, "%s has no piece '%s'; jitc split lists them", file, name);
    if (n != 1)
        return jc_fail(err, JITC_E_USAGE, "%s has %u pieces: name one, as in '%s#submod_0'", file, n, file);
    return JITC_OK;
}

/* --- fields of the keys --- */

static const char *field_name(unsigned number) {
    switch (number) {
#define FIELD_NAME(id, value, text)                                                                \
    case value:                                                                                    \
        return text;
        JC_KEY_FIELDS(FIELD_NAME)
#undef FIELD_NAME
    }
    return "unknown";
}

typedef struct field {
    unsigned number;
    const uint8_t *at;
    size_t n;
} field;

static bool next_field(jc_reader *r, field *out) {
    if (r->bad || r->at == r->end)
        return false;
    out->number = jc_get_u8(r);
    out->n = (size_t)jc_get_u64(r);
    out->at = jc_get(r, out->n);
    return out->at != NULL;
}

static json_t *key_fields(const jc_key *a, const jc_key *b) {
    jc_reader ra = JC_READER(a->preimage, a->npreimage), rb = JC_READER(b->preimage, b->npreimage);
    field fa, fb;
    json_t *out = json_array();
    while (next_field(&ra, &fa) && next_field(&rb, &fb)) {
        json_t *o = json_object();
        tool_set(o, "field", tool_text(field_name(fa.number)));
        tool_set(o, "same", json_boolean(fa.number == fb.number && fa.n == fb.n && memcmp(fa.at, fb.at, fa.n) == 0));
        tool_set(o, "bytes", json_integer((json_int_t)fa.n));
        json_array_append_new(out, o);
    }
    return out;
}

static jitc_status fields_of(tool *t, const side *a, const side *b, json_t **out, jc_error *err) {
    jc_key ka, kb;
    JC_TRY(jc_service_key(t->ctx->service, &a->m->classes[a->p->cls].variants[0].request, t->arena, &ka, err));
    JC_TRY(jc_service_key(t->ctx->service, &b->m->classes[b->p->cls].variants[0].request, t->arena, &kb, err));
    *out = key_fields(&ka, &kb);
    return JITC_OK;
}

/* --- differences --- */

static jitc_status compare(tool *t, const side *a, const side *b, jc_difference *out, jc_error *err) {
    return jc_explain(&a->p->canon, a->p->func, &b->p->canon, b->p->func, t->arena, out, err);
}

static json_t *difference_json(const jc_difference *d) {
    json_t *o;
    if (d->same)
        return json_null();
    o = json_object();
    tool_set(o, "node", d->node == UINT32_MAX ? json_null() : json_integer(d->node));
    tool_set(o, "what", tool_text(d->what ? d->what : ""));
    tool_set(o, "a", tool_text(d->a ? d->a : ""));
    tool_set(o, "b", tool_text(d->b ? d->b : ""));
    tool_set(o, "a_line", json_integer(d->a_line));
    tool_set(o, "b_line", json_integer(d->b_line));
    return o;
}

static const char *file_of(const side *a) {
    return a->m->graphs[a->p->graph]->g->file;
}

/* What differs, where, and either the input's name or the line itself. */
static void print_side(tool *t, const side *a, const jc_difference *d, const char *text, int line) {
    const char *input = tool_difference_input(a->p, d);
    bool ended = text && strcmp(text, "no further node") == 0;
    const char *source = input || ended ? NULL : tool_source_line(t, a->p->graph, line);
    printf("  %s", file_of(a));
    if (line > 0)
        printf(":%d", line);
    printf(": %s", text ? text : "");
    if (input)
        printf(" is '%s'", input);
    printf("\n");
    if (source)
        printf("      %s\n", source);
}

static void print_difference(tool *t, const side *a, const side *b, const jc_difference *d) {
    printf("  they part at %s", d->what ? d->what : "the start");
    if (d->node != UINT32_MAX && !(d->what && strstr(d->what, "node")))
        printf(", node %u", d->node);
    printf("\n");
    print_side(t, a, d, d->a, d->a_line);
    print_side(t, b, d, d->b, d->b_line);
}

static void print_fields(const json_t *fields) {
    size_t i;
    json_t *f;
    printf("  key:");
    json_array_foreach((json_t *)fields, i, f)
        printf("%s %s %s", i ? "," : "", json_string_value(json_object_get(f, "field")),
               json_is_true(json_object_get(f, "same")) ? "same" : "DIFFERS");
    printf("\n");
}

static json_t *side_json(const side *a) {
    char key[2 * JC_HASH_SIZE + 1];
    json_t *o = json_object();
    jc_hash_hex(&a->p->canon.hash, key);
    tool_set(o, "file", tool_text(file_of(a)));
    tool_set(o, "name", tool_text(a->p->func->name));
    tool_set(o, "key", tool_text(key));
    return o;
}

static int explain_two(tool *t, const side *a, const side *b) {
    jc_error err = JC_ERROR_INIT;
    jc_difference d;
    json_t *fields = NULL;
    TOOL_TRY(t, &err, compare(t, a, b, &d, &err));
    TOOL_TRY(t, &err, fields_of(t, a, b, &fields, &err));
    int code = d.same ? 0 : 1;
    if (t->o.json) {
        json_t *out = tool_json_new();
        tool_set(out, "same", json_boolean(d.same));
        tool_set(out, "a", side_json(a));
        tool_set(out, "b", side_json(b));
        tool_set(out, "first_difference", difference_json(&d));
        tool_set(out, "key_fields", fields);
        return tool_json(t, out, code);
    }
    printf("%s %s and %s %s are %s\n", file_of(a), a->p->func->name, file_of(b), b->p->func->name,
           d.same ? "the same" : "different");
    if (!d.same)
        print_difference(t, a, b, &d);
    print_fields(fields);
    json_decref(fields);
    return code;
}

/* --- the classes of one set --- */

static side first_of(jitc_model *m, uint32_t cls) {
    return (side){ m, &m->pieces[m->classes[cls].first] };
}

static json_t *class_json(const jitc_model *m, uint32_t cls, const side *a, const tool_neighbour *n) {
    json_t *o = json_object();
    tool_set(o, "class", json_integer(cls));
    tool_set(o, "members", json_integer(m->classes[cls].members));
    tool_set(o, "piece", side_json(a));
    tool_set(o, "splitting", json_boolean(a->p->splitting));
    tool_set(o, "nodes", json_integer(a->p->canon.nnodes));
    tool_set(o, "nearest", n->cls == UINT32_MAX ? json_null() : json_integer(n->cls));
    return o;
}

static void print_class(tool *t, const side *a, const side *b, const tool_neighbour *n) {
    const jc_class *c = &a->m->classes[a->p->cls];
    printf("class %u (%s, %u member%s)", a->p->cls, a->p->func->name, c->members, c->members == 1 ? "" : "s");
    if (n->cls == UINT32_MAX) {
        printf(": there is no other %s class\n", a->p->splitting ? "splitting" : "compiled");
        return;
    }
    printf(" is not class %u (%s), with which it shares %u of its %u nodes\n", n->cls, b->p->func->name, n->common,
           a->p->canon.nnodes);
    print_difference(t, a, b, &n->difference);
}

static int explain_class(tool *t, jitc_model *m, uint32_t cls, const tool_neighbour *n, json_t *list) {
    jc_error err = JC_ERROR_INIT;
    side a = first_of(m, cls), b = { 0 };
    json_t *fields, *o = class_json(m, cls, &a, n);
    json_array_append_new(list, o);
    if (n->cls != UINT32_MAX) {
        b = first_of(m, n->cls);
        TOOL_TRY(t, &err, fields_of(t, &a, &b, &fields, &err));
        tool_set(o, "common_nodes", json_integer(n->common));
        tool_set(o, "first_difference", difference_json(&n->difference));
        tool_set(o, "key_fields", fields);
    }
    if (!t->o.json)
        print_class(t, &a, &b, n);
    return 0;
}

/* The class of --piece, or every class. */
static bool wanted(const tool *t, const jitc_model *m, uint32_t cls) {
    if (!t->o.piece)
        return true;
    for (uint32_t i = 0; i < m->npieces; i++)
        if (m->pieces[i].cls == cls && strcmp(m->pieces[i].func->name, t->o.piece) == 0)
            return true;
    return false;
}

static jitc_status check_piece(const tool *t, const jitc_model *m, jc_error *err) {
    for (uint32_t i = 0; i < m->nclasses; i++)
        if (wanted(t, m, i))
            return JITC_OK;
    return jc_fail(err, JITC_E_USAGE, "there is no piece '%s'; jitc split lists them", t->o.piece);
}

static void print_refusals(tool *t) {
    tool_refusals list;
    char line[1600];
    tool_refusals_of(t, t->arch, &list);
    if (list.n)
        printf("not supported by %s, so that these do not compile:\n", t->arch);
    for (size_t i = 0; i < list.n; i++)
        printf("  %s\n", tool_refusal_text(&list.at[i], line, sizeof line));
}

static int explain_set(tool *t, jitc_model *m) {
    jc_error err = JC_ERROR_INIT;
    tool_neighbour *near;
    TOOL_TRY(t, &err, check_piece(t, m, &err));
    TOOL_TRY(t, &err, tool_neighbours(t, m, &near, &err));
    json_t *list = json_array(), *out;
    tool_refusals refusals;
    int code = 0;
    for (uint32_t i = 0; i < m->nclasses && !code; i++)
        if (wanted(t, m, i))
            code = explain_class(t, m, i, &near[i], list);
    if (!code && !t->o.json)
        print_refusals(t);
    if (code || !t->o.json) {
        json_decref(list);
        return code;
    }
    tool_refusals_of(t, t->arch, &refusals);
    out = tool_json_new();
    tool_set(out, "pieces", json_integer(m->npieces));
    tool_set(out, "classes", json_integer(m->nclasses));
    tool_set(out, "class", list);
    tool_set(out, "unsupported", tool_refusals_json(&refusals));
    return tool_json(t, out, 0);
}

int cmd_explain(tool *t) {
    jc_error err = JC_ERROR_INIT;
    jitc_graph **graphs;
    jitc_model *m;
    const char *names[2] = { NULL, NULL }, *arch = NULL;
    uint32_t n = (uint32_t)t->o.files.n;
    side a, b;
    for (uint32_t i = 0; n == 2 && i < n; i++) {
        names[i] = cut_piece(t, i);
        names[i] = names[i] ? names[i] : t->o.piece;
    }
    int code = tool_open(t, false);
    if (code)
        return code;
    if (n > 2) {
        jc_fail(&err, JITC_E_USAGE, "jitc explain takes one file or two, not %u", n);
        return tool_fail(t, &err);
    }
    TOOL_TRY(t, &err, tool_arch(t, &arch, &err));
    t->arch = arch;
    t->lists_refusals = true;
    if ((code = tool_read(t, &graphs)) ||
        (code = tool_model(t, graphs, n, &(tool_build){ .arch = arch, .split_only = true }, &m)))
        return code;
    if (n == 1)
        return explain_set(t, m);
    a.m = b.m = m;
    TOOL_TRY(t, &err, choose(m, 0, names[0], &a.p, &err));
    TOOL_TRY(t, &err, choose(m, 1, names[1], &b.p, &err));
    return explain_two(t, &a, &b);
}
