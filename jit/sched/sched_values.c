/*
 * jit/sched/sched_values.c - which values lie in memory, and when.
 *
 * One pass over the nodes of a class in order.  Each value becomes lazy (code, to be generated wherever it is used) or
 * real (a storage).  A lazy value is made real, by a root at the present place in the order, when
 *   - somebody needs an address: a custom operator, a product, a reinterpreting view, an output;
 *   - an effect writes its storage, or writes later what generating it reads;
 *   - it holds a fused reduction or unstored product sums, and is used in a way that such a kernel cannot serve;
 *   - generating it twice costs more than storing it.
 * What does not belong here: how a kernel computes its roots (sched_gen.c), and which roots share one (sched_group.c).
 */
#include "jit/sched/sched.h"

#include "ir/passes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Tape instructions beyond which a value used more than once is stored, and beyond which any value is. */
#define COST_SHARED 48
#define COST_MAX 512
/* Arguments beyond which a value is stored. */
#define ARGS_LAZY (JC_KERNEL_MAX_ARGS / 3 - 10)

/* --- what the class does with its storages --- */

static void count_use(void *user, jc_value *v) {
    ((jc_sched *)user)->lazy[v->id].uses++;
}

static void note_user(jc_sched *s, jc_node *n) {
    jc_node_operands(n, count_use, s);
    for (uint32_t a = 0; a < n->nargs; a++)
        if (n->args[a].kind == JC_ARG_VALUE)
            s->lazy[n->args[a].value->id].user = n;
}

static void count_output(jc_sched *s, const jc_arg *a) {
    if (a->kind == JC_ARG_VALUE) {
        s->lazy[a->value->id].uses++;
        s->lazy[jc_storage(a->value)->id].escapes = true;
    }
    for (uint32_t i = 0; a->kind == JC_ARG_LIST && i < a->list.n; i++)
        count_output(s, &a->list.at[i]);
}

typedef struct write_scan {
    jc_sched *s;
    int at;
} write_scan;

static void note_write(jc_sched *s, jc_value *owner, int at) {
    s->lazy[owner->id].last_write = at;
    if (owner->def || !owner->alias)
        return;
    for (uint32_t p = 0; p < s->f->nparams; p++)
        if (s->f->params[p]->alias == owner->alias)
            s->lazy[s->f->params[p]->id].last_write = at;
}

static void scan_written(void *user, jc_value *v) {
    write_scan *w = user;
    note_write(w->s, jc_storage(v), w->at);
}

static void scan(jc_sched *s) {
    jc_func *f = s->f;
    for (uint32_t i = 0; i < f->nvalues; i++) {
        s->lazy[i].last_write = -1;
        s->lazy[i].store = JC_NO_STORE;
    }
    for (size_t i = 0; i < f->nodes.n; i++) {
        write_scan w = { s, (int)i };
        note_user(s, f->nodes.at[i]);
        jc_node_written(f->nodes.at[i], scan_written, &w);
    }
    for (uint32_t i = 0; i < f->noutputs; i++)
        count_output(s, &f->outputs[i]);
}

/* --- making values real --- */

static uint32_t new_store(jc_sched *s, jc_value *owner) {
    jc_store st = { .owner = owner, .first = UINT32_MAX };
    uint32_t id = (uint32_t)s->stores.n;
    st.touch = id;
    st.cls_written = s->lazy[owner->id].last_write >= 0;
    if (!owner->def) {
        st.input = st.filled = true;
        st.index = owner->index;
        for (uint32_t i = 0; i < id && owner->alias; i++)
            if (s->stores.at[i].input && s->stores.at[i].owner->alias == owner->alias) {
                st.touch = s->stores.at[i].touch;
                jc_set_add(s, &s->aliased, i);
                jc_set_add(s, &s->aliased, id);
                break;
            }
    } else {
        st.escapes = s->lazy[owner->id].escapes;
    }
    jc_push(s->arena, &s->stores, st);
    jc_lazy *l = &s->lazy[owner->id];
    l->store = id;
    l->matmul = NULL;
    l->rows = NULL;
    l->reads.n = 0;
    jc_set_add(s, &l->reads, id);
    return id;
}

static bool real(const jc_sched *s, jc_value *v) {
    return s->lazy[jc_storage(v)->id].store != JC_NO_STORE;
}

/* What V's code is: its own, or of the owner that it is a view of once that is real. */
static jc_lazy *lazy_of(jc_sched *s, jc_value *v) {
    return real(s, v) ? &s->lazy[jc_storage(v)->id] : &s->lazy[v->id];
}

/* Node N is not supported.  Where all such nodes are asked for, its results count as made from here on. */
JC_PRINTF(3, 4) static jitc_status refuse(jc_sched *s, const jc_node *n, const char *format, ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    JC_TRY(jc_sched_refuse(s, n->line, n->nresults ? n->results[0]->name : NULL, "%s", text));
    for (uint32_t i = 0; i < n->nresults; i++)
        if (n->results[i]->type.kind == JC_TENSOR && !real(s, n->results[i])) {
            uint32_t store = new_store(s, n->results[i]);
            s->stores.at[store].filled = true;
        }
    return JITC_OK;
}

const jc_expr *jc_sched_offset(jc_sched *s, const jc_value *v) {
    if (!v->base || !v->offset)
        return jc_ex_int(s->ex, 0);
    const int64_t of_base = jc_dtypes[v->base->type.dtype].size, own = jc_dtypes[v->type.dtype].size;
    return of_base >= own ? jc_ex_mul(s->ex, v->offset, jc_ex_int(s->ex, of_base / own))
                          : jc_ex_fdiv(s->ex, v->offset, jc_ex_int(s->ex, own / of_base));
}

/* The storages that generating V loads from as things stand.  `lazy.reads` is what it was when V was made: an operand that became real
   since is loaded, and has its place in the order and a life to end. */
typedef struct load_scan {
    jc_sched *s;
    jc_set *to;
} load_scan;

static void add_loads(jc_sched *s, jc_set *to, jc_value *v);

static void operand_loads(void *user, jc_value *v) {
    load_scan *l = user;
    if (v->type.kind == JC_TENSOR)
        add_loads(l->s, l->to, v);
}

static void add_loads(jc_sched *s, jc_set *to, jc_value *v) {
    load_scan l = { s, to };
    if (real(s, v))
        jc_set_add(s, to, s->lazy[jc_storage(v)->id].store);
    else if (v->def)
        jc_node_operands(v->def, operand_loads, &l);
}

/* A root over V's dims that stores into an owner's contiguous storage. */
static jc_root *root_new(jc_sched *s, jc_value *v, uint32_t store, const jc_type *place, const jc_expr *offset) {
    jc_root *r = JC_NEW(s->arena, jc_root);
    const jc_expr *const *strides = jc_type_strides(s->ex, s->arena, place);
    const jc_lazy *l = lazy_of(s, v);
    r->value = v;
    r->rank = place->rank;
    r->store = store;
    r->dtype = (jc_dtype)place->dtype;
    r->offset = offset ? offset : jc_ex_int(s->ex, 0);
    for (uint32_t d = 0; d < r->rank; d++) {
        r->dims[d] = place->dims[d];
        r->strides[d] = strides[d];
    }
    r->rows = real(s, v) ? NULL : l->rows;
    r->matmul = real(s, v) ? NULL : l->matmul;
    r->stores = (uint32_t)s->stores.n;
    add_loads(s, &r->reads, v);
    r->line = v->def ? v->def->line : v->line;
    return r;
}

/* Copies that only rearrange: the value can be computed over the dims of what is copied.  What lies in memory is the end: it may have
   been written since it was made. */
static jc_value *peel(const jc_sched *s, jc_value *v) {
    while (v->def && !v->base && !real(s, v) &&
           (v->def->op == JC_OP_reshape || v->def->op == JC_OP_contiguous || v->def->op == JC_OP_clone))
        v = v->def->args[0].value;
    return v;
}

static jitc_status realise(jc_sched *s, jc_value *v) {
    jc_value *owner = jc_storage(v);
    if (s->lazy[owner->id].store != JC_NO_STORE)
        return JITC_OK;
    jc_value *inner = peel(s, owner);
    if (inner->def && !real(s, inner) && jc_ops[inner->def->op].traits & JC_REDUCTION)
        inner = jc_sched_unkept(s, inner);
    jc_type place = owner->type;
    if (inner != owner) {
        place.rank = inner->type.rank;
        place.dims = inner->type.dims;
        place.strides = NULL;
    }
    jc_root *r = root_new(s, inner, 0, &place, NULL);
    r->store = new_store(s, owner);
    jc_sched_root(s, r);
    return JITC_OK;
}

/* --- classes of nodes --- */

static bool same_dims(jc_sched *s, const jc_type *a, const jc_expr *const *dims, uint32_t rank) {
    if (a->rank != rank)
        return false;
    for (uint32_t d = 0; d < rank; d++)
        if (a->dims[d] != dims[d] && jc_ex_equal(s->ex, a->dims[d], dims[d]) != JC_YES)
            return false;
    return true;
}

/* Is T one value a row of ROWS: dims [rows...] or [rows..., 1]? */
static bool is_row_scalar(jc_sched *s, const jc_type *t, const jc_rows *rows) {
    if (same_dims(s, t, rows->full, rows->rank - 1))
        return true;
    return t->rank == rows->rank && jc_ex_is(t->dims[t->rank - 1], 1) &&
           !jc_ex_is(rows->full[rows->rank - 1], 1) && same_dims(s, &(jc_type){ .rank = (uint8_t)(rows->rank - 1), .dims = t->dims },
                                                               rows->full, rows->rank - 1);
}

static bool is_row_shape(jc_sched *s, const jc_type *t, const jc_rows *rows) {
    return same_dims(s, t, rows->full, rows->rank) || is_row_scalar(s, t, rows);
}

static bool same_rows(jc_sched *s, const jc_rows *a, const jc_rows *b) {
    return a == b || same_dims(s, &(jc_type){ .rank = (uint8_t)a->rank, .dims = a->full }, b->full, b->rank);
}

static void add_reads(jc_sched *s, jc_lazy *to, jc_value *v) {
    jc_set_join(s, &to->reads, &lazy_of(s, v)->reads);
}

/* Gives up fused sums and reductions of V, if it has any. */
static jitc_status plain(jc_sched *s, jc_value *v) {
    const jc_lazy *l = lazy_of(s, v);
    return !real(s, v) && (l->matmul || l->rows) ? realise(s, v) : JITC_OK;
}

/* Can operand V with rows be used by a node of type T, rank for rank? */
static bool rows_fit(jc_sched *s, const jc_value *v, const jc_type *t, const jc_rows *rows) {
    if (!is_row_shape(s, t, rows) || !is_row_shape(s, &v->type, rows))
        return false;
    return v->type.rank == t->rank || v->type.rank == 0;
}

static jitc_status pointwise_operand(jc_sched *s, jc_node *n, jc_value *v) {
    jc_lazy *out = &s->lazy[n->results[0]->id];
    const jc_type *t = &n->results[0]->type;
    const jc_lazy *l = lazy_of(s, v);
    if (real(s, v)) {
        add_reads(s, out, v);
        return JITC_OK;
    }
    if (l->matmul && (out->matmul || out->rows || !same_dims(s, &v->type, t->dims, t->rank)))
        JC_TRY(realise(s, v));
    else if (l->rows && (out->matmul || (out->rows && !same_rows(s, out->rows, l->rows)) ||
                         !rows_fit(s, v, t, l->rows)))
        JC_TRY(realise(s, v));
    if (!real(s, v)) {
        out->matmul = l->matmul ? l->matmul : out->matmul;
        out->rows = l->rows ? l->rows : out->rows;
    }
    add_reads(s, out, v);
    return JITC_OK;
}

static jitc_status on_pointwise(jc_sched *s, jc_node *n) {
    /* A fused product excludes fused reductions: reductions go to memory first. */
    bool product = false;
    for (uint32_t i = 0; i < n->nargs; i++)
        if (n->args[i].kind == JC_ARG_VALUE)
            product |= !real(s, n->args[i].value) && lazy_of(s, n->args[i].value)->matmul;
    for (uint32_t i = 0; i < n->nargs; i++) {
        if (n->args[i].kind != JC_ARG_VALUE)
            continue;
        jc_value *v = n->args[i].value;
        if (product && !real(s, v) && lazy_of(s, v)->rows)
            JC_TRY(realise(s, v));
        JC_TRY(pointwise_operand(s, n, v));
    }
    return JITC_OK;
}

/* PyTorch may copy here, and a write tells (ir/unsure.c). */
static bool may_be_copy(const jc_node *n) {
    const jc_arg *apart = &n->args[n->nargs - 1];
    return (n->op == JC_OP_reshape || n->op == JC_OP_contiguous) && n->results[0]->base && apart->kind == JC_ARG_BOOL && apart->b;
}

static jitc_status on_view(jc_sched *s, jc_node *n) {
    jc_value *v = n->args[0].value, *r = n->results[0];
    if (may_be_copy(n))
        JC_TRY(jc_sched_refuse(s, n->line, r->name, "`%s` copies in PyTorch where its operand does not lie row-major, as what is computed from transposed "
                               "tensors does not, and here it is a view; what is written to one of the two later is read by way of the other. "
                               "Make the operand contiguous, or do not write in place.", jc_ops[n->op].name));
    jc_lazy *l = lazy_of(s, v);
    if (n->op == JC_OP_bitcast || (!real(s, v) && l->matmul))
        JC_TRY(realise(s, v));
    if (!real(s, v) && l->rows && !(n->op == JC_OP_reshape && is_row_scalar(s, &v->type, l->rows) &&
                                    is_row_scalar(s, &r->type, l->rows)))
        JC_TRY(realise(s, v));
    if (r->base && real(s, r))
        return JITC_OK;
    s->lazy[r->id].rows = real(s, v) ? NULL : lazy_of(s, v)->rows;
    add_reads(s, &s->lazy[r->id], v);
    return JITC_OK;
}

static jitc_status on_clone(jc_sched *s, jc_node *n) {
    jc_value *v = n->args[0].value;
    JC_TRY(plain(s, v));
    add_reads(s, &s->lazy[n->results[0]->id], v);
    return JITC_OK;
}

static jitc_status on_custom(jc_sched *s, jc_node *n);

/* Has an earlier check said so, of indices that nothing writes?  From now on one has. */
static bool is_checked(jc_sched *s, const jc_node *check) {
    struct {
        const jc_value *index;
        const jc_expr *size;
        uint64_t wrap;
    } key = { check->args[0].value, check->args[1].expr, check->args[3].b };
    if (s->lazy[jc_storage(check->args[0].value)->id].last_write >= 0)
        return false;
    if (jc_map_get(s->checks, &key, sizeof key))
        return true;
    jc_map_set(s->checks, jc_arena_memdup(s->arena, &key, sizeof key), sizeof key, s);
    return false;
}

/* Is INDEX held below SIZE? */
static bool is_clamped(const jc_sched *s, const jc_value *index, const jc_expr *size) {
    const jc_node *n = index->def;
    if (!n || n->op != JC_OP_clamp || n->args[1].kind != JC_ARG_EXPR || !jc_ex_is(n->args[1].expr, 0) || n->args[2].kind != JC_ARG_EXPR)
        return false;
    return n->args[2].expr == jc_ex_sub(s->ex, size, jc_ex_int(s->ex, 1));
}

/* Where the executor is to look at indices, they lie in memory for that. */
static jitc_status check_index(jc_sched *s, jc_value *index, const jc_value *table, const jc_expr *dim, bool wrap, bool writes, int line) {
    int64_t d = 0;
    jc_ex_is_const(dim, &d);
    if (s->options->clamp || is_clamped(s, index, table->type.dims[d]) || jc_sched_counted(s, index, table->type.dims[d]))
        return JITC_OK;
    jc_node *check = jc_sched_index_check(s, index, table, dim, wrap, writes, line);
    return is_checked(s, check) ? JITC_OK : on_custom(s, check);
}

static jitc_status on_check_info(jc_sched *s, jc_node *n) {
    return s->options->clamp ? JITC_OK : on_custom(s, jc_sched_info_check(s, n));
}

static jitc_status on_take(jc_sched *s, jc_node *n) {
    if (n->args[4].kind == JC_ARG_BOOL && n->args[4].b)
        JC_TRY(jc_sched_refuse(s, n->line, n->results[0]->name, "`x[i]` by a tensor without dims is a view in PyTorch, and here it is a copy; what is "
                               "written to one of the two later is read by way of the other. Do not write in place."));
    JC_TRY(plain(s, n->args[0].value));
    JC_TRY(check_index(s, n->args[2].value, n->args[0].value, n->args[1].expr, n->args[3].b, false, n->line));
    JC_TRY(plain(s, n->args[2].value));
    add_reads(s, &s->lazy[n->results[0]->id], n->args[0].value);
    add_reads(s, &s->lazy[n->results[0]->id], n->args[2].value);
    return JITC_OK;
}

static jitc_status on_pick(jc_sched *s, jc_node *n) {
    jc_lazy *out = &s->lazy[n->results[0]->id];
    JC_TRY(plain(s, n->args[0].value));
    for (uint32_t k = 0; k < n->args[2].list.n; k++) {
        JC_TRY(check_index(s, n->args[2].list.at[k].value, n->args[0].value, n->args[1].list.at[k].expr, n->args[3].b, false, n->line));
        JC_TRY(plain(s, n->args[2].list.at[k].value));
        add_reads(s, out, n->args[2].list.at[k].value);
    }
    add_reads(s, out, n->args[0].value);
    return JITC_OK;
}

/* The iteration space of a reduction: kept dims, then the product of the reduced ones. */
static const jc_rows *rows_of(jc_sched *s, const jc_node *n, bool *last_only) {
    const jc_type *t = &n->args[0].value->type;
    jc_rows *rows = JC_NEW(s->arena, jc_rows);
    const jc_expr *columns = jc_ex_int(s->ex, 1);
    bool reduced[JC_MAX_RANK] = { false };
    for (uint32_t i = 0; i < n->args[1].list.n; i++) {
        int64_t d;
        if (jc_ex_is_const(n->args[1].list.at[i].expr, &d) && d >= 0 && d < t->rank)
            reduced[d] = true;
    }
    for (uint32_t d = 0; d < t->rank; d++)
        if (reduced[d])
            columns = jc_ex_mul(s->ex, columns, t->dims[d]);
        else
            rows->full[rows->rank++] = t->dims[d];
    *last_only = t->rank > 0 && n->args[1].list.n == 1 && reduced[t->rank - 1];
    rows->full[rows->rank++] = columns;
    return rows;
}

static jitc_status on_reduction(jc_sched *s, jc_node *n) {
    jc_value *v = n->args[0].value;
    jc_lazy *out = &s->lazy[n->results[0]->id];
    bool last_only;
    const jc_rows *rows = rows_of(s, n, &last_only);
    if (rows->rank > JC_MAX_RANK - 1)
        return refuse(s, n, "a reduction of a tensor with more than %d dims is not supported", JC_MAX_RANK - 1);
    jc_lazy *l = lazy_of(s, v);
    if (!real(s, v) && l->matmul)
        JC_TRY(realise(s, v));
    if (!real(s, v) && l->rows &&
        (!last_only || !same_rows(s, l->rows, rows) || !same_dims(s, &v->type, rows->full, rows->rank)))
        JC_TRY(realise(s, v));
    out->rows = !real(s, v) && lazy_of(s, v)->rows ? lazy_of(s, v)->rows : rows;
    add_reads(s, out, v);
    return last_only ? JITC_OK : realise(s, n->results[0]);
}

/* A part of DST: rank-for-rank region starting at START with SIZE along DIM. */
static jc_root *part_root(jc_sched *s, jc_value *v, jc_value *dst, uint32_t store, const jc_expr *const *starts,
                          uint32_t join) {
    jc_type place = v->type;
    place.strides = jc_type_strides(s->ex, s->arena, &dst->type);
    const jc_expr *offset = jc_ex_int(s->ex, 0);
    for (uint32_t d = 0; d < dst->type.rank; d++)
        offset = jc_ex_add(s->ex, offset, jc_ex_mul(s->ex, starts[d], place.strides[d]));
    jc_root *r = root_new(s, v, store, &place, offset);
    r->dtype = (jc_dtype)dst->type.dtype;
    r->join = join;
    return r;
}

static jitc_status on_cat(jc_sched *s, jc_node *n) {
    jc_value *out = n->results[0];
    int64_t dim = 0;
    const jc_expr *starts[JC_MAX_RANK];
    jc_ex_is_const(n->args[1].expr, &dim);
    for (uint32_t d = 0; d < JC_MAX_RANK; d++)
        starts[d] = jc_ex_int(s->ex, 0);
    uint32_t store = new_store(s, out), join = ++s->njoins;
    for (uint32_t i = 0; i < n->args[0].list.n; i++) {
        jc_value *v = n->args[0].list.at[i].value;
        if (v->type.rank != out->type.rank) /* PyTorch lets an empty 1-D tensor through: nothing to store */
            continue;
        jc_sched_root(s, part_root(s, v, out, store, starts, join));
        starts[dim] = jc_ex_add(s->ex, starts[dim], v->type.dims[dim]);
    }
    return JITC_OK;
}

/* The inside, and around it, dim by dim, a slab before and a slab after: parts that do not overlap. */
static jitc_status on_pad(jc_sched *s, jc_node *n) {
    jc_value *out = n->results[0], *in = n->args[0].value;
    const jc_expr *starts[JC_MAX_RANK] = { NULL }, *dims[JC_MAX_RANK];
    uint32_t rank = out->type.rank, store = new_store(s, out), join = ++s->njoins;
    for (uint32_t d = 0; d < rank; d++)
        starts[d] = n->args[1].list.at[d].expr;
    jc_sched_root(s, part_root(s, in, out, store, starts, join));
    for (uint32_t d = 0; d < rank; d++) {
        const jc_expr *width[2] = { n->args[1].list.at[d].expr, n->args[2].list.at[d].expr };
        for (uint32_t side = 0; side < 2; side++) {
            if (jc_ex_is(width[side], 0))
                continue;
            for (uint32_t e = 0; e < rank; e++) {
                starts[e] = e < d ? n->args[1].list.at[e].expr : jc_ex_int(s->ex, 0);
                dims[e] = e < d ? in->type.dims[e] : out->type.dims[e];
            }
            dims[d] = width[side];
            starts[d] = side ? jc_ex_sub(s->ex, out->type.dims[d], width[1]) : jc_ex_int(s->ex, 0);
            jc_value *c = jc_sched_constant(s, dims, rank, n->args[3], (jc_dtype)out->type.dtype, n->line);
            jc_sched_root(s, part_root(s, c, out, store, starts, join));
        }
    }
    return JITC_OK;
}

/* --- products --- */

static jc_node *only_user(const jc_sched *s, const jc_value *v) {
    return s->lazy[v->id].uses == 1 ? s->lazy[v->id].user : NULL;
}

/* Follows the chain of single pointwise uses; the last value that is no wider than the product itself. */
static jc_value *epilogue_end(jc_sched *s, jc_value *c) {
    jc_value *end = c, *v = c;
    uint8_t size = jc_dtypes[c->type.dtype].size;
    for (jc_node *n; (n = only_user(s, v)) != NULL;) {
        if (!(jc_ops[n->op].traits & JC_POINTWISE) || s->lazy[v->id].last_write >= 0)
            break;
        v = n->results[0];
        if (!same_dims(s, &v->type, c->type.dims, c->type.rank))
            break;
        if (jc_dtypes[v->type.dtype].size <= size)
            end = v;
    }
    return end;
}

static jitc_status on_matmul(jc_sched *s, jc_node *n) {
    jc_value *out = n->results[0];
    for (uint32_t i = 0; i < 2; i++) {
        JC_TRY(realise(s, n->args[i].value));
        add_reads(s, &s->lazy[out->id], n->args[i].value);
    }
    if (n->op == JC_OP_linear && n->args[2].kind == JC_ARG_VALUE) {
        JC_TRY(plain(s, n->args[2].value));
        add_reads(s, &s->lazy[out->id], n->args[2].value);
    }
    s->lazy[out->id].matmul = n;
    jc_value *end = epilogue_end(s, out);
    s->lazy[end->id].matmul_end = true;
    return JITC_OK;
}

/* What is multiplied lies in memory, its last dim consecutive and where a kernel's accesses are aligned. */
static jitc_status attention_operand(jc_sched *s, jc_node *n, uint32_t i) {
    jc_value **v = &n->args[i].value;
    if (real(s, *v) && jc_set_has(&s->aliased, s->lazy[jc_storage(*v)->id].store))
        *v = jc_sched_clone(s, *v, n->line);
    JC_TRY(realise(s, *v));
    add_reads(s, &s->lazy[n->results[0]->id], *v);
    return JITC_OK;
}

static jitc_status on_attention(jc_sched *s, jc_node *n) {
    jc_value *out = n->results[0];
    for (uint32_t i = 0; i < 4; i++)
        if (n->args[i].kind == JC_ARG_VALUE)
            JC_TRY(attention_operand(s, n, i));
    if (n->args[5].kind == JC_ARG_VALUE) {
        JC_TRY(plain(s, n->args[5].value));
        add_reads(s, &s->lazy[out->id], n->args[5].value);
    }
    s->lazy[out->id].matmul = n;
    s->lazy[epilogue_end(s, out)->id].matmul_end = true;
    return JITC_OK;
}

/* --- effects --- */

typedef struct call_scan {
    jc_sched *s;
    jc_item *item;
    uint32_t operand;
    jitc_status status;
} call_scan;

static void call_operand(void *user, jc_value *v) {
    call_scan *c = user;
    if (v->type.kind != JC_TENSOR || c->status != JITC_OK)
        return;
    c->status = realise(c->s, v);
    uint32_t store = c->s->lazy[jc_storage(v)->id].store;
    if (c->status != JITC_OK)
        return;
    jc_set_add(c->s, &c->item->reads, store);
    if (jc_node_writes(c->item->node, c->operand)) {
        jc_set_add(c->s, &c->item->writes, store);
        c->s->stores.at[store].filled = true;
        if (jc_sched_fills(c->s, store, &v->type))
            c->s->stores.at[store].partial = false;
    }
    c->operand++;
}

/* Do values say how many elements the unknown operator TARGET gives? Of x[...] and where() only those with a mask are unknown. */
static bool by_values(const char *target) {
    static const char *const names[] = { "nonzero", "argwhere", "masked_select", "unique", "_unique", "_unique2", "unique_dim", "unique_consecutive",
                                         "where", "getitem" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (jc_name_means(names[i], target))
            return true;
    return false;
}

static jitc_status on_custom(jc_sched *s, jc_node *n) {
    if (n->target[0] == JC_UNKNOWN_MARK && by_values(n->target + 1))
        return refuse(s, n, "%s gives as many elements as values say (a mask, or what is nonzero or unique), but sizes have to follow from sizes",
                      n->target + 1);
    if (n->target[0] == JC_UNKNOWN_MARK)
        return refuse(s, n, "%s is an operator that jitc does not know: it can be read and hashed, but not compiled",
                      n->target + 1);
    jc_item *item = jc_item_new(s, JC_ITEM_CALL);
    item->node = n;
    call_scan c = { s, item, 0, JITC_OK };
    jc_node_operands(n, call_operand, &c);
    JC_TRY(c.status);
    for (uint32_t i = 0; i < n->nresults; i++) {
        if (n->results[i]->type.kind != JC_TENSOR)
            return refuse(s, n, "result %u of %s is not a tensor", i, n->target);
        uint32_t store = new_store(s, n->results[i]);
        s->stores.at[store].filled = true;
        jc_set_add(s, &item->writes, store);
    }
    jc_push(s->arena, &s->items, item);
    return JITC_OK;
}

/* Does generating V read what writing DST may touch, anywhere but through DST at the same index? */
static bool reads_elsewhere(jc_sched *s, jc_value *v, jc_value *dst) {
    if (v == dst || !jc_set_touches(s, &lazy_of(s, v)->reads, s->lazy[jc_storage(dst)->id].store))
        return false;
    if (real(s, v) || !v->def || !(jc_ops[v->def->op].traits & JC_POINTWISE) ||
        !same_dims(s, &v->type, dst->type.dims, dst->type.rank))
        return true;
    for (uint32_t i = 0; i < v->def->nargs; i++)
        if (v->def->args[i].kind == JC_ARG_VALUE && reads_elsewhere(s, v->def->args[i].value, dst))
            return true;
    return false;
}

static jitc_status on_copy(jc_sched *s, jc_node *n) {
    jc_value *dst = n->args[0].value;
    JC_TRY(realise(s, dst));
    jc_value *src = n->args[1].kind == JC_ARG_VALUE
                        ? n->args[1].value
                        : jc_sched_constant(s, dst->type.dims, dst->type.rank, n->args[1], (jc_dtype)dst->type.dtype, n->line);
    if (reads_elsewhere(s, src, dst)) {
        if (real(s, src)) /* the copy may overlap itself: by way of memory of its own */
            src = jc_sched_clone(s, src, n->line);
        JC_TRY(realise(s, src));
    }
    uint32_t store = s->lazy[jc_storage(dst)->id].store;
    const jc_lazy *l = lazy_of(s, src);
    if (!real(s, src) && (l->rows || l->matmul) && !same_dims(s, &src->type, dst->type.dims, dst->type.rank))
        JC_TRY(realise(s, src));
    jc_root *r = root_new(s, src, store, &dst->type, jc_sched_offset(s, dst));
    jc_sched_root(s, r);
    return JITC_OK;
}

/* --- in order, and where indices say --- */

/* Result I of N, which N's own kernel computes, in memory of its own.  The caller says how and has it placed. */
static jc_root *ordered_root(jc_sched *s, jc_node *n, uint32_t i) {
    jc_value *v = n->results[i];
    jc_root *r = root_new(s, v, 0, &v->type, NULL);
    r->ordered = n;
    r->store = new_store(s, v);
    return r;
}

static jitc_status on_scan(jc_sched *s, jc_node *n) {
    JC_TRY(plain(s, n->args[0].value));
    for (uint32_t i = 0; i < n->nresults; i++) {
        jc_root *r = ordered_root(s, n, i);
        r->walk = jc_walk_space(s, n);
        jc_sched_root(s, r);
    }
    return JITC_OK;
}

/* What DST's elements are set by while it is written: from elsewhere, so by way of memory of its own. */
static jitc_status apart_from(jc_sched *s, jc_value **v, const jc_value *dst, int line) {
    JC_TRY(plain(s, *v));
    if (!jc_set_touches(s, &lazy_of(s, *v)->reads, s->lazy[jc_storage((jc_value *)dst)->id].store))
        return JITC_OK;
    if (real(s, *v))
        *v = jc_sched_clone(s, *v, line);
    return realise(s, *v);
}

/* The tensor that INDEX shows once or several times. */
static jc_value *shown(const jc_sched *s, jc_value *index) {
    while (index->def && (index->def->op == JC_OP_expand || index->def->op == JC_OP_reshape) &&
           !jc_no_elements(s, index->type.dims, index->type.rank))
        index = index->def->args[0].value;
    return index;
}

static jitc_status on_put(jc_sched *s, jc_node *n) {
    jc_value *dst = n->args[0].value;
    const jc_arg *indices = &n->args[1];
    JC_TRY(realise(s, dst));
    for (uint32_t i = 0; i < indices->list.n; i++) {
        jc_value **index = &indices->list.at[i].value;
        JC_TRY(apart_from(s, index, dst, n->line));
        JC_TRY(check_index(s, shown(s, *index), dst, n->args[2].list.at[i].expr, n->args[5].b, true, n->line));
        JC_TRY(plain(s, *index));
    }
    if (n->args[3].kind == JC_ARG_VALUE)
        JC_TRY(apart_from(s, &n->args[3].value, dst, n->line));
    jc_type place = indices->list.at[0].value->type;
    if (jc_no_elements(s, place.dims, place.rank))
        return JITC_OK; /* nothing is put: what else a kernel would do over these dims it does once for none of them */
    place.dtype = dst->type.dtype;
    place.strides = jc_type_strides(s->ex, s->arena, &dst->type);
    jc_root *r = root_new(s, dst, s->lazy[jc_storage(dst)->id].store, &place, jc_sched_offset(s, dst));
    for (uint32_t i = 0; i < indices->list.n; i++)
        add_loads(s, &r->reads, indices->list.at[i].value);
    if (n->args[3].kind == JC_ARG_VALUE)
        add_loads(s, &r->reads, n->args[3].value);
    r->ordered = n;
    r->scatters = true;
    r->walk = jc_walk_space(s, n);
    jc_sched_root(s, r);
    return JITC_OK;
}

/* Each element beside those of its run. */
static jitc_status on_sort_runs(jc_sched *s, jc_node *n) {
    jc_value *x = n->args[0].value;
    JC_TRY(plain(s, x));
    if (x->type.rank >= JC_MAX_RANK)
        return refuse(s, n, "a sort of a tensor with more than %d dims is not supported", JC_MAX_RANK - 1);
    jc_rows *rows = JC_NEW(s->arena, jc_rows);
    for (uint32_t d = 0; d < x->type.rank; d++)
        rows->full[rows->rank++] = x->type.dims[d];
    rows->full[rows->rank++] = n->args[1].expr;
    for (uint32_t i = 0; i < n->nresults; i++) {
        jc_root *r = ordered_root(s, n, i);
        r->rows = rows;
        jc_sched_root(s, r);
    }
    return JITC_OK;
}

static jitc_status on_merge_runs(jc_sched *s, jc_node *n) {
    for (uint32_t i = 0; i < 2; i++)
        JC_TRY(realise(s, n->args[i].value));
    for (uint32_t i = 0; i < n->nresults; i++) {
        jc_root *r = ordered_root(s, n, i);
        r->sized = true;
        r->walk = jc_walk_space(s, n);
        jc_sched_root(s, r);
    }
    return JITC_OK;
}

/* --- the pass --- */

/* Lazy, of no operands. */
static jitc_status on_generated(jc_sched *s, jc_node *n) {
    (void)s;
    (void)n;
    return JITC_OK;
}

static jitc_status on_empty(jc_sched *s, jc_node *n) {
    uint32_t store = new_store(s, n->results[0]);
    s->stores.at[store].partial = true;
    return JITC_OK;
}

/* Composite operators are decomposed and calls cut before. */
static jitc_status on_none(jc_sched *s, jc_node *n) {
    return refuse(s, n, "operator %s has no lowering", jc_ops[n->op].name);
}

static jitc_status (*const on_node[JC_OP_COUNT])(jc_sched *s, jc_node *n) = {
#define OP(id, sig, results, traits, infer, eval, lower, ...) [JC_OP_##id] = on_##lower,
#include "ir/ops.def"
};

/* What generating V costs, roughly: kept small by storing values where it grows. */
typedef struct cost_scan {
    const jc_sched *s;
    const uint32_t *cost;
    uint32_t sum;
} cost_scan;

static void operand_cost(void *user, jc_value *v) {
    cost_scan *c = user;
    if (v->type.kind == JC_TENSOR)
        c->sum += real(c->s, v) ? 1 : c->cost[v->id];
}

static uint32_t cost_of(const jc_sched *s, const uint32_t *cost, const jc_node *n) {
    cost_scan c = { s, cost, 2 };
    jc_node_operands(n, operand_cost, &c);
    return c.sum;
}

/* Is V computed only to be written by the very next effect, the last of its storage? on_copy() sees to the rest. */
static bool goes_there(const jc_sched *s, const jc_value *v, uint32_t at) {
    const uint32_t i = s->next_effect[at];
    if (i == s->f->nodes.n || s->lazy[v->id].uses != 1)
        return false;
    const jc_node *n = s->f->nodes.at[i];
    return n->op == JC_OP_copy_ && n->args[1].kind == JC_ARG_VALUE && n->args[1].value == v &&
           s->lazy[jc_storage(n->args[0].value)->id].last_write == (int)i;
}

/* Does V alone fill a third of a kernel's arguments?  Then it is stored, so that an operator of three such operands still fits.
   Each argument but the symbols' comes from an access, so cheap values need no count. */
static bool crowded(jc_sched *s, jc_value *v, uint32_t cost) {
    if (cost * (s->lazy[v->id].matmul ? JC_MAX_RANK : 1) <= ARGS_LAZY - ARGS_LAZY / 4)
        return false;
    jc_root *r = root_new(s, v, 0, &v->type, NULL);
    if (!r->matmul && r->reads.n * JC_DTYPE_COUNT + jc_sym_count(s->ex) <= ARGS_LAZY) /* pointers and symbols: quicker than to generate it */
        return false;
    return jc_gen_count_args(s, r) > ARGS_LAZY;
}

static bool must_store(jc_sched *s, jc_value *v, uint32_t at, uint32_t cost) {
    const jc_lazy *l = &s->lazy[v->id];
    if (v->type.kind != JC_TENSOR || real(s, v))
        return false;
    if (v->base) /* views of views without end: of what lies in memory they are one */
        return cost > COST_MAX;
    if (l->matmul_end || l->last_write >= 0 || l->escapes || cost > COST_MAX || (cost > COST_SHARED && l->uses > 1) || crowded(s, v, cost))
        return true;
    for (uint32_t i = 0; i < l->reads.n; i++)
        if (s->lazy[s->stores.at[l->reads.at[i]].owner->id].last_write > (int)at && !goes_there(s, v, at))
            return true;
    return false;
}

static void count_value(void *user, jc_value *v) {
    (void)v;
    *(uint32_t *)user += 2;
}

/* How many values there may be in the end: pads, copies and reductions without the dims that they keep add values of their own. */
static uint32_t most_values(const jc_func *f) {
    uint32_t n = 2 * f->nvalues;
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node_operands(f->nodes.at[i], count_value, &n);
        n += 2 + (f->nodes.at[i]->op == JC_OP_pad ? 2 * JC_MAX_RANK : 0);
    }
    return n;
}

/* Are the numbers of bytes of N's results expressions that can be worked out? */
static bool has_sizes(const jc_sched *s, const jc_node *n) {
    bool all = true;
    for (uint32_t r = 0; r < n->nresults; r++) {
        const jc_type *t = &n->results[r]->type;
        const jc_expr *size = jc_ex_int(s->ex, jc_dtypes[t->dtype].size);
        all = all && (t->kind != JC_TENSOR || jc_ex_mul(s->ex, jc_type_numel(s->ex, t), size)->kind != JC_EX_POISON);
    }
    return all;
}

static jitc_status on_any(jc_sched *s, jc_node *n) {
    if (!has_sizes(s, n))
        return refuse(s, n, "the size of its result is too large an expression (of more than some 300 sizes), or beyond 2^63 bytes");
    return on_node[n->op](s, n);
}

static void find_effects(jc_sched *s) {
    const uint32_t n = (uint32_t)s->f->nodes.n;
    s->next_effect = JC_NEWN(s->arena, uint32_t, n);
    for (uint32_t i = n, next = n; i-- > 0;) {
        s->next_effect[i] = next;
        if (jc_ops[s->f->nodes.at[i]->op].traits & JC_EFFECT)
            next = i;
    }
}

jitc_status jc_sched_values(jc_sched *s) {
    jc_func *f = s->f;
    s->room = most_values(f);
    s->lazy = JC_NEWN(s->arena, jc_lazy, s->room);
    s->checks = jc_map_new(s->arena);
    uint32_t *cost = JC_NEWN(s->arena, uint32_t, f->nvalues);
    uint32_t ncost = f->nvalues;
    scan(s);
    find_effects(s);
    jc_sched_once(s);
    for (uint32_t p = 0; p < f->nparams; p++)
        if (f->params[p]->type.kind == JC_TENSOR)
            new_store(s, f->params[p]);
    for (uint32_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        JC_TRY(on_any(s, n));
        for (uint32_t r = 0; r < n->nresults; r++) {
            jc_value *v = n->results[r];
            if (v->id < ncost)
                cost[v->id] = real(s, v) ? 1 : cost_of(s, cost, n);
            if (must_store(s, v, i, cost[v->id]))
                JC_TRY(realise(s, v));
        }
    }
    return JITC_OK;
}
