/*
 * tools/dot.c - `jitc split --dot`: a model as a picture, one box per piece, one colour per class.
 *
 * An edge goes from the piece that last wrote a value, or its storage, to each piece that takes it: a buffer that attention
 * fills comes from attention, not from where it was allocated.  The label counts the values.  Nothing but the graphs decides
 * what is printed, so equal models give equal text.
 */
#include "tools/tool.h"

#include <string.h>

/* --- colours --- */

/* Hues by the golden angle, so that neighbours in number are far apart; in integers, so that they are the same everywhere. */
const char *tool_class_colour(uint32_t cls, char out[8]) {
    static const char hex[] = "0123456789abcdef";
    uint32_t hue = (uint32_t)(((uint64_t)cls * 948 + 570) % 1536), part = hue % 256; /* six sectors of 256 */
    uint32_t up = part, down = 255 - part;
    const uint32_t rgb[6][3] = { { 255, up, 0 }, { down, 255, 0 }, { 0, 255, up },
                                 { 0, down, 255 }, { up, 0, 255 }, { 255, 0, down } };
    out[0] = '#';
    for (unsigned i = 0; i < 3; i++) { /* mixed with white: black text has to be readable on it */
        uint32_t c = 140 + rgb[hue / 256][i] * 115 / 255;
        out[1 + 2 * i] = hex[c >> 4];
        out[2 + 2 * i] = hex[c & 15];
    }
    out[7] = 0;
    return out;
}

/* --- text --- */

/* In quotes; what DOT would take for an escape or the end of the string is escaped. */
static void quote(jc_bytes *out, const char *text) {
    jc_put_u8(out, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            jc_put_u8(out, '\\');
        jc_put_u8(out, (unsigned char)*c < ' ' ? ' ' : (uint8_t)*c);
    }
    jc_put_u8(out, '"');
}

/* --- edges --- */

#define NOBODY UINT32_MAX

/* One graph: its root calls pieces in order; pieces are known by that order. */
typedef struct flow {
    const jitc_model *m;
    jc_bytes *out;
    uint32_t *defined;  /* by value of the root: the piece that gives it */
    uint32_t *wrote;    /* by value: the last piece that wrote its storage */
    uint32_t *count;    /* by piece: values that the piece at hand takes from it */
    uint32_t at;        /* the piece at hand */
    const jc_node *call; /* of it */
    uint32_t operand;   /* the tensor operand at hand */
} flow;

/* The later of the two holds what the value is now; pieces are numbered in the order they run. */
static uint32_t source(const flow *f, const jc_value *v) {
    uint32_t a = f->defined[v->id], b = f->wrote[jc_storage((jc_value *)v)->id];
    if (a == NOBODY || b == NOBODY)
        return a == NOBODY ? b : a;
    return a > b ? a : b;
}

static void see_value(void *user, jc_value *v) {
    flow *f = user;
    uint32_t from = source(f, v);
    if (from != NOBODY && from != f->at)
        f->count[from]++;
}

static void put_edges(flow *f) {
    jc_node_operands(f->call, see_value, f);
    for (uint32_t i = 0; i < f->m->npieces; i++) {
        if (!f->count[i])
            continue;
        jc_put_text(f->out, "  p%u -> p%u", i, f->at);
        jc_put_text(f->out, f->count[i] > 1 ? " [label=\"%u\"];\n" : ";\n", f->count[i]);
        f->count[i] = 0;
    }
}

static void see_written(void *user, jc_value *v) {
    flow *f = user;
    if (v->type.kind == JC_TENSOR && jc_node_writes(f->call, f->operand++))
        f->wrote[jc_storage(v)->id] = f->at;
}

static void leave(flow *f) {
    f->operand = 0;
    jc_node_operands(f->call, see_written, f);
    for (uint32_t i = 0; i < f->call->nresults; i++)
        f->defined[f->call->results[i]->id] = f->at;
}

static void put_flow(const jitc_model *m, uint32_t graph, const jc_map *pieces, jc_bytes *out) {
    jc_arena *arena = out->arena;
    const jc_func *root = m->graphs[graph]->g->root;
    flow f = { .m = m, .out = out,
               .defined = JC_NEWN(arena, uint32_t, root->nvalues), .wrote = JC_NEWN(arena, uint32_t, root->nvalues),
               .count = JC_NEWN(arena, uint32_t, m->npieces) };
    memset(f.defined, 0xff, root->nvalues * sizeof *f.defined);
    memset(f.wrote, 0xff, root->nvalues * sizeof *f.wrote);
    for (size_t i = 0; i < root->nodes.n; i++) {
        f.call = root->nodes.at[i];
        const jc_piece *p = f.call->callee ? jc_map_get(pieces, &f.call->callee, sizeof(jc_func *)) : NULL;
        if (!p)
            continue;
        f.at = (uint32_t)(p - m->pieces);
        put_edges(&f);
        leave(&f);
    }
}

/* --- boxes --- */

static void put_box(const jitc_model *m, uint32_t i, jc_bytes *out) {
    const jc_piece *p = &m->pieces[i];
    jc_bytes label = JC_BYTES(out->arena);
    char colour[8];
    jc_put_text(&label, "%s: class %u", p->func->name, p->cls);
    for (uint32_t k = 0; k < p->nlayer_names; k++)
        jc_put_text(&label, " %s", p->layer_names[k]);
    jc_put_u8(&label, 0);
    jc_put_text(out, "  p%u [label=", i);
    quote(out, p->func->name);
    jc_put_text(out, ", tooltip=");
    quote(out, (const char *)label.at);
    jc_put_text(out, ", class=\"class%u\", fillcolor=\"%s\"%s];\n", p->cls, tool_class_colour(p->cls, colour),
                p->splitting ? ", style=\"filled,rounded\"" : "");
}

static void put_graph(const jitc_model *m, uint32_t graph, const jc_map *pieces, jc_bytes *out) {
    bool cluster = m->ngraphs > 1;
    if (cluster) {
        jc_put_text(out, "  subgraph cluster_%u {\n  label=", graph);
        quote(out, m->graphs[graph]->g->file);
        jc_put_text(out, ";\n");
    }
    for (uint32_t i = 0; i < m->npieces; i++)
        if (m->pieces[i].graph == graph)
            put_box(m, i, out);
    put_flow(m, graph, pieces, out);
    if (cluster)
        jc_put_text(out, "  }\n");
}

void tool_put_dot(const jitc_model *m, jc_bytes *out) {
    jc_map *pieces = jc_map_new(out->arena);
    char key[2 * JC_HASH_SIZE + 1], colour[8];
    jc_put_text(out, "digraph jitc {\n");
    for (uint32_t i = 0; i < m->nclasses; i++) {
        jc_hash_hex(&m->pieces[m->classes[i].first].canon.hash, key);
        jc_put_text(out, "  // class %u %s: %u of %u pieces, %s\n", i, key, m->classes[i].members, m->npieces,
                    tool_class_colour(i, colour));
    }
    jc_put_text(out, "  label=\"%u pieces, %u classes\";\n", m->npieces, m->nclasses);
    jc_put_text(out, "  node [shape=box, style=filled, fontname=\"sans-serif\"];\n");
    for (uint32_t i = 0; i < m->npieces; i++)
        jc_map_set(pieces, &m->pieces[i].func, sizeof(jc_func *), &m->pieces[i]);
    for (uint32_t g = 0; g < m->ngraphs; g++)
        put_graph(m, g, pieces, out);
    jc_put_text(out, "}\n");
}
