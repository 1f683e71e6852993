/*
 * ir/fx/fx_build_functional.c - auto_functionalized(op, ...): an operator that writes, in functional form.
 *
 * It works on copies of what the operator writes and returns the operator's results, None where it has none, and then the copies.  It is
 * spelled out as copies and the operator itself.
 *
 * auto_functionalized(op, x=..., out=...) does not say what is written: only operators of custom.def can be spelled out, any other stays a
 * custom operator that nobody has.
 *
 * auto_functionalized_v2(op, x=..., _out_base_index=0, _all_bases=[...]) copies bases, and what the operator writes are views of these:
 *
 *   _NAME_base_index=B                                      the base itself, or with _NAME_alias=True; B None: the argument is None
 *   ... _NAME_slice_dim, _NAME_slice_start, _NAME_slice_end a slice of it
 *   ... _NAME_size, _NAME_stride, _NAME_storage_offset      as_strided of it
 *   _NAME_length=N, _NAME_0_base_index, ...                 a list of these; N None: the argument is None
 *
 * What a text does not say is how many results the operator itself has: as few as agree with the annotations of those that are taken.  An
 * operator that is registered with another number of results is refused where it is bound.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* "torch.ops._C.rms_norm.default" as "_C::rms_norm"; NULL where it is no operator of others. */
static const char *custom_name(fx_reader *r, const char *path) {
    static const char *const not[] = { "aten.", "prims.", "higher_order." };
    if (strncmp(path, "torch.ops.", 10) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof not / sizeof *not; i++)
        if (strncmp(path + 10, not[i], strlen(not[i])) == 0)
            return NULL;
    char *name = jc_arena_strdup(r->scratch, path + 10), *dot = strchr(name, '.');
    if (!dot)
        return NULL;
    char *op = dot + 1, *overload = strstr(op, ".default");
    if (overload && !overload[8])
        *overload = '\0';
    *dot = '\0';
    return jc_arena_printf(r->arena, "%s::%s", name, op);
}

/* --- the first version --- */

/* The index among CALL's arguments of the parameter that starts at P; nargs where it is not given. */
static uint32_t argument_of(const char *p, size_t length, uint32_t index, const jc_arg *args, uint32_t nargs) {
    for (uint32_t i = 0; i < nargs; i++)
        if (args[i].key ? strlen(args[i].key) == length && memcmp(args[i].key, p, length) == 0 : i == index)
            return i;
    return nargs;
}

static jc_arg copied(fx_reader *r, jc_arg a) {
    jc_arg copy = fx_v(FX_OP(r, JC_OP_clone, fx_v(a.value)));
    copy.key = a.key;
    return copy;
}

/* Copies of what is written, the operator on them, and (None, copies ...) in the order of the schema. */
static jc_arg by_table(fx_reader *r, const fx_custom_row *row, jc_arg *args, uint32_t nargs) {
    jc_arg results[FX_MAX_PARAMS] = { fx_nothing() };
    uint32_t n = 1, index = 0;
    for (const char *p = row->params; *p && n < FX_MAX_PARAMS; index++) {
        const size_t length = strcspn(p, " ");
        const bool written = p[length - 1] == '!';
        const uint32_t i = argument_of(p, length - written, index, args, nargs);
        if (written && i < nargs && fx_is_tensor(args[i]))
            results[n++] = args[i] = copied(r, args[i]);
        if (r->status)
            return fx_nothing();
        p += length + (p[length] == ' ');
    }
    jc_func_add_custom(r->func, row->name, args, nargs, jc_custom_writes(row->name, args, nargs), NULL, 0,
                       r->stmt->line);
    return fx_list(r, results, n);
}

/* --- the second version: what the call says --- */

typedef struct second {
    fx_reader *r;
    uint32_t at;
    const char *name;
    jc_arg *given; /* the call's arguments; those that have been used have no key any more */
    uint32_t ngiven;
    jc_arg *bases; /* copies */
    uint32_t nbases;
    jc_arg *args; /* the operator's */
    uint32_t nargs, operand;
    uint64_t writes;
} second;

static void refuse(second *s, const char *what, const char *of) {
    fx_fail(s->r, JITC_E_INPUT, s->at, "auto_functionalized_v2 of %s: expected %s%s%s.", s->name, what, of ? " of " : "", of ? of : "");
}

/* The argument PREFIX SUFFIX, which is used up; NULL where there is none. */
static const jc_arg *take(second *s, const char *prefix, const char *suffix) {
    const size_t n = strlen(prefix);
    for (uint32_t i = 0; i < s->ngiven; i++) {
        const char *key = s->given[i].key;
        if (!key || strncmp(key, prefix, n) != 0 || strcmp(key + n, suffix) != 0)
            continue;
        s->given[i].key = NULL;
        return &s->given[i];
    }
    return NULL;
}

static int64_t constant(second *s, const jc_arg *a, const char *what, const char *of) {
    int64_t i = 0;
    if (!a || a->kind != JC_ARG_EXPR || !jc_ex_is_const(a->expr, &i))
        refuse(s, what, of);
    return i;
}

static uint32_t numbers(second *s, const jc_arg *a, const jc_expr **out, const char *of) {
    const uint32_t n = a && a->kind == JC_ARG_LIST ? a->list.n : UINT32_MAX;
    if (n > JC_MAX_RANK - 1) /* one more is needed to make it */
        refuse(s, "a list of at most 7 integers as size and stride", of);
    for (uint32_t i = 0; i < n && !s->r->status; i++) {
        out[i] = a->list.at[i].expr;
        if (a->list.at[i].kind != JC_ARG_EXPR)
            refuse(s, "integers as size and stride", of);
    }
    return n;
}

static jc_value *strided_view(second *s, const char *prefix, jc_value *base, const jc_arg *offset) {
    const jc_expr *sizes[JC_MAX_RANK], *strides[JC_MAX_RANK];
    const uint32_t n = numbers(s, take(s, prefix, "_size"), sizes, prefix), m = numbers(s, take(s, prefix, "_stride"), strides, prefix);
    if (!s->r->status && (n != m || offset->kind != JC_ARG_EXPR))
        refuse(s, "a stride for each size, and an offset,", prefix);
    for (uint32_t i = 0; i < n && !s->r->status; i++)
        if (jc_ex_is(strides[i], 0) && !jc_ex_is(sizes[i], 1))
            fx_fail(s->r, JITC_E_UNSUPPORTED, s->at, "auto_functionalized_v2 of %s: what it writes lies over itself.", s->name);
    return s->r->status ? NULL : fx_strided(s->r, base, sizes, strides, n, offset->expr);
}

static jc_value *sliced_view(second *s, const char *prefix, jc_value *base, const jc_arg *dim) {
    const jc_arg *start = take(s, prefix, "_slice_start"), *end = take(s, prefix, "_slice_end");
    const int64_t d = constant(s, dim, "an integer as the dim of a slice", prefix);
    if (!s->r->status && (!start || !end || d < 0 || d >= fx_rank(base)))
        refuse(s, "a dim of the base, a start and an end as the slice", prefix);
    return s->r->status ? NULL : fx_python_slice(s->r, base, (int)d, *start, *end, fx_nothing(), s->at);
}

/* What the operator gets where the call says INDEX, PREFIX_... */
static jc_arg view_of_base(second *s, const char *prefix, const jc_arg *index) {
    if (index->kind == JC_ARG_NONE)
        return fx_nothing();
    const int64_t i = constant(s, index, "an integer as the base's index", prefix);
    if (!s->r->status && (i < 0 || i >= s->nbases))
        refuse(s, "the index of one of its bases as the base", prefix);
    if (s->r->status)
        return fx_nothing();
    jc_value *base = s->bases[i].value;
    const jc_arg *offset = take(s, prefix, "_storage_offset"), *dim = take(s, prefix, "_slice_dim");
    if (!take(s, prefix, "_alias") && (offset || dim))
        base = offset ? strided_view(s, prefix, base, offset) : sliced_view(s, prefix, base, dim);
    return fx_v(base);
}

static jc_arg views_of_bases(second *s, const char *prefix, const jc_arg *length) {
    if (length->kind == JC_ARG_NONE)
        return fx_nothing();
    const int64_t n = constant(s, length, "an integer as the length", prefix);
    if (!s->r->status && (n < 0 || n > s->ngiven))
        refuse(s, "as many views as the length says", prefix);
    if (s->r->status)
        return fx_nothing();
    jc_arg *at = JC_NEWN(s->r->arena, jc_arg, (size_t)n);
    for (int64_t i = 0; i < n && !s->r->status; i++) {
        const char *element = jc_arena_printf(s->r->scratch, "%s_%lld", prefix, (long long)i);
        const jc_arg *index = take(s, element, "_base_index");
        if (!index)
            refuse(s, "a base index", element);
        else
            at[i] = view_of_base(s, element, index);
    }
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, (uint32_t)n } };
}

static void pass(second *s, jc_arg a, const char *key, bool written) {
    a.key = key;
    if (s->r->status)
        return;
    fx_mark_written(&a, written, &s->operand, &s->writes);
    s->args[s->nargs++] = a;
}

/* "_out" of "_out_base_index"; NULL where KEY does not end in SUFFIX. */
static const char *prefix_of(second *s, const char *key, const char *suffix) {
    const size_t n = key ? strlen(key) : 0, m = strlen(suffix);
    if (n < m + 2 || key[0] != '_' || strcmp(key + n - m, suffix) != 0)
        return NULL;
    return jc_arena_strndup(s->r->arena, key, n - m);
}

/* The operator's arguments: those of lists first, since elements have the keys of lone tensors; then the lone ones, and what is passed on. */
static void find_arguments(second *s) {
    const char *prefix;
    for (uint32_t i = 0; i < s->ngiven && !s->r->status; i++)
        if ((prefix = prefix_of(s, s->given[i].key, "_length")) != NULL) {
            s->given[i].key = NULL;
            pass(s, views_of_bases(s, prefix, &s->given[i]), prefix + 1, true);
        }
    for (uint32_t i = 0; i < s->ngiven && !s->r->status; i++)
        if ((prefix = prefix_of(s, s->given[i].key, "_base_index")) != NULL) {
            s->given[i].key = NULL;
            pass(s, view_of_base(s, prefix, &s->given[i]), prefix + 1, true);
        }
    for (uint32_t i = 0; i < s->ngiven && !s->r->status; i++)
        if (s->given[i].key)
            pass(s, s->given[i], s->given[i].key, false);
}

static void copy_bases(second *s) {
    for (uint32_t i = 0; i < s->ngiven; i++)
        if (!s->given[i].key) {
            refuse(s, "arguments by name only", NULL);
            return;
        }
    const jc_arg *list = take(s, "_all_bases", "");
    if (!list || list->kind != JC_ARG_LIST) {
        refuse(s, "a list of tensors as _all_bases", NULL);
        return;
    }
    s->nbases = list->list.n;
    s->bases = fx_take(s->r, sizeof *s->bases * (s->nbases + 1));
    for (uint32_t i = 0; i < s->nbases && !s->r->status; i++) {
        if (!fx_is_tensor(list->list.at[i]))
            refuse(s, "tensors as _all_bases", NULL);
        else
            s->bases[i] = copied(s->r, list->list.at[i]);
    }
}

/* --- the second version: what it gives --- */

/* Can element I be the new content of BASE, as far as its annotation tells? */
static bool may_be(second *s, const fx_element *e, const jc_value *base) {
    const fx_note *note = e->note ? fx_note_of(s->r, e->note, s->r->stmt->at) : NULL;
    if (!note || !note->known || s->r->status)
        return true;
    if (note->type.kind != JC_TENSOR || note->type.dtype != base->type.dtype || note->type.rank != base->type.rank)
        return false;
    for (int d = 0; d < note->type.rank; d++)
        if (jc_ex_equal(fx_x(s->r), note->type.dims[d], base->type.dims[d]) == JC_NO)
            return false;
    return true;
}

/* How many elements of the result the operator itself gives, None among them. */
static uint32_t own_results(second *s) {
    const fx_element *elements = s->r->stmt->elements;
    uint32_t n = 1;
    for (const fx_element *e = elements; e; e = e->next)
        if (e->index >= s->nbases && e->index - s->nbases >= n)
            n = e->index - s->nbases + 1;
    for (bool fits = false; !fits; n += !fits) {
        fits = true;
        for (const fx_element *e = elements; e && fits; e = e->next)
            fits = e->index < n || (e->index - n < s->nbases && may_be(s, e, s->bases[e->index - n].value));
    }
    return n;
}

static bool takes_first(const fx_reader *r) {
    for (const fx_element *e = r->stmt->elements; e; e = e->next)
        if (!e->index)
            return true;
    return false;
}

static jc_arg by_bases(fx_reader *r, const char *name, jc_arg *given, uint32_t n, uint32_t at) {
    second s = { .r = r, .at = at, .name = name, .given = given, .ngiven = n };
    s.args = fx_take(r, sizeof *s.args * (n + 1));
    copy_bases(&s);
    find_arguments(&s);
    const uint32_t own = r->status ? 0 : own_results(&s), nresults = own == 1 && !takes_first(r) ? 0 : own;
    if (!fx_may_part(r, own, at))
        return fx_nothing();
    const jc_arg first = fx_custom_node(r, name, s.args, s.nargs, s.writes, at, nresults);
    jc_arg *results = fx_take(r, sizeof *results * (own + s.nbases));
    for (uint32_t i = 0; i < own + s.nbases && !r->status; i++)
        results[i] = i >= own ? s.bases[i - own] : first.kind == JC_ARG_LIST && i < first.list.n ? first.list.at[i] : fx_nothing();
    return r->status ? fx_nothing() : (jc_arg){ .kind = JC_ARG_LIST, .list = { results, own + s.nbases } };
}

/* --- the whole --- */

jc_arg fx_functionalized(fx_reader *r, const fx_target *t, const fx_ast *args, uint32_t at) {
    const bool v2 = strcmp(t->name, "higher_order::auto_functionalized_v2") == 0;
    jc_arg op = args ? fx_eval(r, args) : fx_absent();
    const char *name = op.kind == FX_OPERATOR ? custom_name(r, op.str) : NULL;
    uint32_t n;
    if (r->status)
        return fx_nothing();
    if (!name) {
        fx_fail(r, op.kind == FX_OPERATOR ? JITC_E_UNSUPPORTED : JITC_E_INPUT, at,
                "auto_functionalized() needs a custom operator, torch.ops.x.y, as its first argument.");
        return fx_nothing();
    }
    const fx_custom_row *row = fx_find_custom(name);
    const jc_arg text = { .kind = JC_ARG_STR, .str = name };
    jc_arg *a = fx_arguments(r, row || v2 ? fx_absent() : text, args->next, &n);
    if (r->status)
        return fx_nothing();
    if (v2)
        return by_bases(r, name, a, n, at);
    return row ? by_table(r, row, a, n) : fx_custom_node(r, t->name, a, n, 0, at, UINT32_MAX);
}
