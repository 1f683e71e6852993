/*
 * tests/fuzz/fuzz_print.c - the program as PyTorch's text: whole, or cut into pieces.
 *
 * A piece takes what it uses of what is defined elsewhere, in order of first use, and returns what others use of what it defines.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

void fz_note_of(const fz_prog *p, const fz_value *v, jc_bytes *out) {
    if (v->kind == JC_SYMINT) {
        jc_put_text(out, "Sym(");
        fz_print_size(p, &v->dims[0], false, out);
        jc_put_text(out, ")");
        return;
    }
    jc_put_text(out, "%s[", jc_dtypes[v->dtype].name);
    for (int d = 0; d < v->rank; d++) {
        jc_put_text(out, "%s", d ? ", " : "");
        fz_print_size(p, &v->dims[d], false, out);
    }
    jc_put_text(out, "]");
}

/* What a function needs and gives. */
typedef struct interface {
    int *params, *results; /* values */
    int nparams, nresults;
    unsigned symbols;      /* by name, in its statements */
} interface;

static const char *spaces(int depth) {
    return &"                "[16 - 4 * depth];
}

static void print_param(const fz_prog *p, const fz_value *v, jc_bytes *out) {
    jc_put_text(out, ", %s: \"", v->name);
    fz_note_of(p, v, out);
    jc_put_text(out, "\"");
}

static void print_signature(const fz_prog *p, const interface *f, jc_bytes *out) {
    jc_put_text(out, "def forward(self");
    for (int i = 0; i < p->nvars; i++)
        if (f->symbols >> i & 1)
            jc_put_text(out, ", s%d: \"Sym(s%d)\"", i, i);
    for (int i = 0; i < f->nparams; i++)
        print_param(p, fz_at(p, f->params[i]), out);
    jc_put_text(out, "):\n");
}

static void print_items(const fz_prog *p, const fz_stmt *s, jc_bytes *out) {
    for (size_t i = 0; i < s->items.n; i++) {
        const fz_item *t = &s->items.at[i];
        if (t->kind == FZ_TEXT)
            jc_put_text(out, "%s", t->text);
        else if (t->kind == FZ_NAME)
            jc_put_text(out, "%s", fz_at(p, t->value)->name);
        else
            fz_print_size(p, &t->size, true, out);
    }
}

static void print_name(const fz_prog *p, const fz_value *v, bool noted, jc_bytes *out) {
    jc_put_text(out, "%s", v->name);
    if (noted) {
        jc_put_text(out, ": \"");
        fz_note_of(p, v, out);
        jc_put_text(out, "\"");
    }
    jc_put_text(out, " = ");
}

static void print_stmt(const fz_prog *p, const fz_stmt *s, int index, int depth, jc_bytes *out) {
    jc_put_text(out, "%s", spaces(depth));
    if (s->form == FZ_TUPLE)
        jc_put_text(out, "t%d = ", index);
    else if (s->form == FZ_ASSIGN)
        print_name(p, fz_at(p, s->result[0]), s->noted, out);
    print_items(p, s, out);
    jc_put_text(out, "\n");
    for (int i = 0; s->form == FZ_TUPLE && i < s->nresults; i++) {
        jc_put_text(out, "%s", spaces(depth));
        print_name(p, fz_at(p, s->result[i]), s->noted, out);
        jc_put_text(out, "t%d[%d]\n", index, s->tuple[i]);
    }
}

static void print_return(const fz_prog *p, const int *values, int n, int depth, jc_bytes *out) {
    jc_put_text(out, "%sreturn (", spaces(depth));
    for (int i = 0; i < n; i++)
        jc_put_text(out, "%s%s", i ? ", " : "", fz_at(p, values[i])->name);
    jc_put_text(out, n == 1 ? ",)\n" : ")\n");
}

static void need(const fz_prog *p, interface *f, int value, const bool *inside, bool *seen) {
    (void)p;
    if (inside[value] || seen[value])
        return;
    seen[value] = true;
    f->params[f->nparams++] = value;
}

/* Of the statements of PIECE (all: -1). OUTSIDE: values that others than these statements use. */
static interface interface_of(const fz_prog *p, int piece, const bool *outside, jc_arena *arena) {
    const size_t n = p->values.n + 1;
    interface f = { .params = JC_NEWN(arena, int, n), .results = JC_NEWN(arena, int, n) };
    bool *inside = JC_NEWN(arena, bool, n), *seen = JC_NEWN(arena, bool, n);
    memset(inside, 0, n * sizeof *inside);
    memset(seen, 0, n * sizeof *seen);
    for (size_t i = 0; i < p->stmts.n; i++) {
        const fz_stmt *s = &p->stmts.at[i];
        if (s->dropped || (piece >= 0 && s->piece != piece))
            continue;
        for (size_t k = 0; k < s->items.n; k++) {
            if (s->items.at[k].kind == FZ_NAME)
                need(p, &f, s->items.at[k].value, inside, seen);
            else if (s->items.at[k].kind == FZ_SIZE)
                fz_symbols_of(p, &s->items.at[k].size, &f.symbols);
        }
        for (int k = 0; k < s->nresults; k++) {
            inside[s->result[k]] = true;
            if (outside[s->result[k]])
                f.results[f.nresults++] = s->result[k];
        }
    }
    return f;
}

static void print_body(const fz_prog *p, int piece, int depth, jc_bytes *out) {
    for (size_t i = 0; i < p->stmts.n; i++)
        if (!p->stmts.at[i].dropped && (piece < 0 || p->stmts.at[i].piece == piece))
            print_stmt(p, &p->stmts.at[i], (int)i, depth, out);
}

/* The symbols that tensors among the parameters tell by a dim that is one alone. */
static unsigned told_by(const fz_prog *p, const interface *f) {
    unsigned told = 0;
    for (int i = 0; i < f->nparams; i++) {
        const fz_value *v = fz_at(p, f->params[i]);
        for (int d = 0; d < v->rank; d++)
            if (v->dims[d].n == 1 && v->dims[d].term[0].n == 1 && v->dims[d].term[0].by == 1 &&
                p->atoms[v->dims[d].term[0].atom[0]].kind == FZ_VAR)
                fz_symbols_of(p, &v->dims[d], &told);
    }
    return told;
}

static void symbols_of_value(const fz_prog *p, int value, unsigned *mask) {
    const fz_value *v = fz_at(p, value);
    for (int d = 0; d < (v->kind == JC_SYMINT ? 1 : v->rank); d++)
        fz_symbols_of(p, &v->dims[d], mask);
}

/* A function gets the symbols of all its types: from a tensor, or as parameters of their own. */
static void add_symbols(const fz_prog *p, interface *f, int piece) {
    unsigned used = f->symbols;
    for (int i = 0; i < f->nparams; i++)
        symbols_of_value(p, f->params[i], &used);
    for (size_t i = 0; i < p->stmts.n; i++) {
        const fz_stmt *s = &p->stmts.at[i];
        for (int k = 0; !s->dropped && (piece < 0 || s->piece == piece) && k < s->nresults; k++)
            symbols_of_value(p, s->result[k], &used);
    }
    f->symbols |= used & ~told_by(p, f);
}

/* The root takes what statements and outputs use. */
static interface root_interface(const fz_prog *p, jc_arena *arena) {
    bool *outside = JC_NEWN(arena, bool, p->values.n + 1), *given = JC_NEWN(arena, bool, p->values.n + 1);
    memset(outside, 0, p->values.n + 1);
    memset(given, 0, p->values.n + 1);
    interface f = interface_of(p, -1, outside, arena);
    for (int i = 0; i < f.nparams; i++)
        given[f.params[i]] = true;
    for (size_t i = 0; i < p->stmts.n; i++)
        for (int k = 0; !p->stmts.at[i].dropped && k < p->stmts.at[i].nresults; k++)
            given[p->stmts.at[i].result[k]] = true;
    for (size_t i = 0; i < p->outputs.n; i++)
        if (!given[p->outputs.at[i]]) {
            given[p->outputs.at[i]] = true;
            f.params[f.nparams++] = p->outputs.at[i];
        }
    add_symbols(p, &f, -1);
    return f;
}

static char *finish(jc_bytes *out) {
    jc_put_u8(out, 0);
    return (char *)out->at;
}

char *fz_print_flat(const fz_prog *p, jc_arena *arena) {
    jc_bytes out = JC_BYTES(arena);
    const interface f = root_interface(p, arena);
    jc_put_text(&out, "class GraphModule(torch.nn.Module):\n%s", spaces(1));
    print_signature(p, &f, &out);
    print_body(p, -1, 2, &out);
    print_return(p, p->outputs.at, (int)p->outputs.n, 2, &out);
    return finish(&out);
}

/* Which values does someone outside of PIECE use? */
static void used_outside(const fz_prog *p, int piece, bool *outside) {
    memset(outside, 0, p->values.n + 1);
    for (size_t i = 0; i < p->stmts.n; i++) {
        const fz_stmt *s = &p->stmts.at[i];
        for (size_t k = 0; !s->dropped && s->piece != piece && k < s->items.n; k++)
            if (s->items.at[k].kind == FZ_NAME)
                outside[s->items.at[k].value] = true;
    }
    for (size_t i = 0; i < p->outputs.n; i++)
        outside[p->outputs.at[i]] = true;
}

static void print_call(const fz_prog *p, const interface *f, int piece, jc_bytes *out) {
    jc_put_text(out, "%ssubmod_%d = self.submod_%d(", spaces(2), piece, piece);
    bool first = true;
    for (int i = 0; i < p->nvars; i++)
        if (f->symbols >> i & 1) {
            jc_put_text(out, "%ss%d", first ? "" : ", ", i);
            first = false;
        }
    for (int i = 0; i < f->nparams; i++) {
        jc_put_text(out, "%s%s", first ? "" : ", ", fz_at(p, f->params[i])->name);
        first = false;
    }
    jc_put_text(out, ")\n");
    for (int i = 0; i < f->nresults; i++) {
        jc_put_text(out, "%s", spaces(2));
        print_name(p, fz_at(p, f->results[i]), true, out);
        jc_put_text(out, "submod_%d[%d]\n", piece, i);
    }
}

char *fz_print_cut(const fz_prog *p, jc_arena *arena) {
    jc_bytes out = JC_BYTES(arena), pieces = JC_BYTES(arena);
    interface root = root_interface(p, arena);
    bool *outside = JC_NEWN(arena, bool, p->values.n + 1);
    jc_bytes calls = JC_BYTES(arena);
    for (int i = 0; i < p->npieces; i++) {
        used_outside(p, i, outside);
        interface f = interface_of(p, i, outside, arena);
        bool any = false;
        for (size_t k = 0; k < p->stmts.n; k++)
            any |= !p->stmts.at[k].dropped && p->stmts.at[k].piece == i;
        if (!any)
            continue;
        add_symbols(p, &f, i);
        print_call(p, &f, i, &calls);
        root.symbols |= f.symbols;
        jc_put_text(&pieces, "%sclass submod_%d(torch.nn.Module):\n%s", spaces(1), i, spaces(2));
        print_signature(p, &f, &pieces);
        print_body(p, i, 3, &pieces);
        print_return(p, f.results, f.nresults, 3, &pieces);
    }
    jc_put_text(&out, "class GraphModule(torch.nn.Module):\n%s", spaces(1));
    print_signature(p, &root, &out);
    jc_put(&out, calls.at, calls.n);
    print_return(p, p->outputs.at, (int)p->outputs.n, 2, &out);
    jc_put(&out, pieces.at, pieces.n);
    return finish(&out);
}
