/*
 * ir/fx/fx_build_custom.c - operators whose body is not ours: arguments kept as written, results by annotation.
 *
 * The same node serves custom operators ("vllm::all_reduce") and calls that nobody knows ("?torch.cumsum").  The
 * results of a call with a tuple come from the statements that take its elements (fx_parse.c noted them); an element that
 * nothing annotates is a result of type u8[0], which cannot be used.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- what is written --- */

#define CUSTOM(name, params) { name, params },
static const fx_custom_row rows[] = {
#include "ir/fx/custom.def"
};
#undef CUSTOM

const fx_custom_row *fx_find_custom(const char *target) {
    size_t lo = 0, hi = sizeof rows / sizeof *rows;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        const int order = strcmp(rows[mid].name, target);
        if (!order)
            return &rows[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* Is the parameter called KEY, or else the INDEX-th one, written? */
static bool param_written(const fx_custom_row *row, const char *key, uint32_t index) {
    for (const char *p = row->params; *p; index--) {
        const size_t length = strcspn(p, " ");
        const bool written = p[length - 1] == '!';
        const size_t name = length - written;
        if (key ? strlen(key) == name && memcmp(p, key, name) == 0 : index == 0)
            return written;
        p += length + (p[length] == ' ');
    }
    return false;
}

void fx_mark_written(const jc_arg *a, bool written, uint32_t *operand, uint64_t *mask) {
    if (a->kind == JC_ARG_VALUE && a->value->type.kind == JC_TENSOR) {
        if (written)
            *mask |= *operand < 64 ? (uint64_t)1 << *operand : UINT64_MAX;
        ++*operand;
    } else if (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) {
        for (uint32_t i = 0; i < a->list.n; i++)
            fx_mark_written(&a->list.at[i], written, operand, mask);
    }
}

uint64_t jc_custom_writes(const char *target, const jc_arg *args, uint32_t nargs) {
    const fx_custom_row *row = fx_find_custom(target);
    uint64_t mask = 0;
    uint32_t operand = 0;
    if (!row)
        return UINT64_MAX;
    for (uint32_t i = 0; i < nargs; i++)
        fx_mark_written(&args[i], param_written(row, args[i].key, i), &operand, &mask);
    return mask;
}

/* --- arguments --- */

jc_arg fx_keep(fx_reader *r, jc_arg a, uint32_t at) {
    if (a.kind == JC_ARG_LIST || a.kind == JC_ARG_DICT) {
        const jc_arg *from = a.list.at;
        a.list.at = JC_NEWN(r->arena, jc_arg, a.list.n);
        for (uint32_t i = 0; i < a.list.n && !r->status; i++)
            a.list.at[i] = fx_keep(r, from[i], at);
    } else if (a.kind >= FX_ABSENT) {
        fx_fail(r, fx_blame(a), at, "An argument here is %s, which cannot be passed.", fx_kind_text(a));
    }
    return fx_sound(r, a, at);
}

jc_arg *fx_arguments(fx_reader *r, jc_arg first, const fx_ast *args, uint32_t *n) {
    uint32_t count = first.kind != FX_ABSENT;
    for (const fx_ast *a = args; a; a = a->next)
        count++;
    jc_arg *at = fx_take(r, sizeof *at * (count ? count : 1));
    *n = 0;
    if (first.kind != FX_ABSENT)
        at[(*n)++] = first;
    for (const fx_ast *a = args; a && !r->status; a = a->next) {
        at[*n] = fx_keep(r, fx_eval(r, a), a->at);
        at[(*n)++].key = a->key ? fx_copy(r, a->key) : NULL;
    }
    return at;
}

/* --- results --- */

static const jc_type *nothing_type(fx_reader *r) {
    const jc_expr **dims = JC_NEW(r->arena, const jc_expr *);
    jc_type *type = JC_NEW(r->scratch, jc_type);
    dims[0] = jc_ex_int(fx_x(r), 0);
    *type = (jc_type){ .kind = JC_TENSOR, .dtype = JC_U8, .rank = 1, .dims = dims };
    return type;
}

/* Is A the call that the current statement assigns? Only that one's results are known. */
static bool is_whole(const fx_reader *r, uint32_t at) {
    const fx_ast *value = r->stmt->value;
    return value && value->at == at && (r->stmt->kind == FX_S_ASSIGN || r->stmt->kind == FX_S_EXPR);
}

static void refuse_complex(fx_reader *r, const fx_note *note, uint32_t at) {
    if (note->complex)
        fx_fail(r, JITC_E_UNSUPPORTED, at, "An operator that is not known here gives a complex tensor, which is not supported.");
}

/* Types of the results; how many there are into N, and which are known into KNOWN (N of them). */
static jc_type *result_types(fx_reader *r, uint32_t at, uint32_t *n, bool **known) {
    const fx_stmt *s = r->stmt;
    *n = 0;
    if (!is_whole(r, at))
        return NULL;
    if (s->note) {
        const fx_note *note = fx_note_of(r, s->note, s->at);
        jc_type *type = JC_NEW(r->scratch, jc_type);
        refuse_complex(r, note, s->at);
        *type = note->type;
        *n = note->known && !r->status;
        *known = fx_take(r, sizeof **known);
        **known = true;
        return type;
    }
    for (const fx_element *e = s->elements; e; e = e->next)
        if (e->index >= *n)
            *n = e->index + 1;
    if (!fx_may_part(r, *n, at))
        return NULL;
    jc_type *types = JC_NEWN(r->scratch, jc_type, *n);
    *known = fx_take(r, sizeof **known * (*n ? *n : 1));
    const jc_type *unknown = *n ? nothing_type(r) : NULL;
    for (uint32_t i = 0; i < *n; i++) {
        types[i] = *unknown;
        (*known)[i] = false;
    }
    for (const fx_element *e = s->elements; e && !r->status; e = e->next) {
        const fx_note *note = e->note ? fx_note_of(r, e->note, s->at) : NULL;
        if (note && note->known) {
            refuse_complex(r, note, s->at);
            types[e->index] = note->type;
            (*known)[e->index] = true;
        }
    }
    return types;
}

static jc_arg bound(jc_value *v, bool known) {
    if (!known)
        return fx_opaque("an element of a tuple result that nothing annotates");
    return v->type.kind == JC_SYMINT ? fx_e(v->type.expr) : fx_v(v);
}

jc_arg fx_custom_node(fx_reader *r, const char *name, const jc_arg *args, uint32_t nargs, uint64_t writes,
                      uint32_t at, uint32_t most) {
    uint32_t n;
    bool *known = NULL;
    const jc_type *types = result_types(r, at, &n, &known);
    if (r->status)
        return fx_nothing();
    n = n < most ? n : most;
    const jc_node *node = jc_func_add_custom(r->func, name, args, nargs, writes, types, n, r->stmt->line);
    if (!n)
        return (jc_arg){ .kind = FX_VOID, .str = name };
    if (r->stmt->note)
        return bound(node->results[0], true);
    jc_arg *results = fx_take(r, sizeof *results * n);
    for (uint32_t i = 0; i < n; i++)
        results[i] = bound(node->results[i], known[i]);
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { results, n } };
}

/* --- the whole --- */

/* Unknown functions are taken to be pure, unless their name says otherwise. */
uint64_t fx_unknown_writes(const char *name, const jc_arg *args, uint32_t nargs) {
    const size_t length = strlen(name);
    for (uint32_t i = 0; i < nargs; i++)
        if (args[i].key && strcmp(args[i].key, "out") == 0)
            return UINT64_MAX;
    return name[length - 1] == '_' ? 1 : 0;
}

jc_arg fx_custom(fx_reader *r, const fx_target *t, jc_arg first, const fx_ast *args, uint32_t at) {
    uint32_t n;
    if (r->status)
        return fx_nothing();
    if (t->kind == FX_FUNCTIONALIZED)
        return fx_functionalized(r, t, args, at);
    const jc_arg *a = fx_arguments(r, first, args, &n);
    if (r->status)
        return fx_nothing();
    const uint64_t writes = t->kind == FX_CUSTOM ? jc_custom_writes(t->name, a, n) : fx_unknown_writes(t->name, a, n);
    return fx_custom_node(r, t->name, a, n, writes, at, UINT32_MAX);
}
