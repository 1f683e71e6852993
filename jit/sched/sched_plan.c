/*
 * jit/sched/sched_plan.c - items into steps, storages into buffers, and the plan's tables.
 *
 * Buffers live from the first item that touches them to the last.  Those that do not escape share slots: a buffer takes a
 * free slot whose bytes are the same expression, so that reuse never depends on a symbol's value.
 */
#include "jit/sched/sched.h"

#include <stdio.h>
#include <string.h>

static const jc_expr *to_plan(jc_sched *s, const jc_expr *e) {
    return jc_ex_subst(s->plan->ex, e, NULL, 0);
}

static jc_type type_to_plan(jc_sched *s, const jc_type *t) {
    jc_type out = *t;
    const jc_expr **dims = JC_NEWN(s->arena, const jc_expr *, t->rank), **strides = NULL;
    for (uint32_t d = 0; d < t->rank; d++)
        dims[d] = to_plan(s, t->dims[d]);
    if (t->strides) {
        strides = JC_NEWN(s->arena, const jc_expr *, t->rank);
        for (uint32_t d = 0; d < t->rank; d++)
            strides[d] = to_plan(s, t->strides[d]);
    }
    out.dims = dims;
    out.strides = strides;
    out.expr = t->expr ? to_plan(s, t->expr) : NULL;
    return out;
}

/* --- storages --- */

static void touch_all(jc_sched *s, const jc_set *set, uint32_t at) {
    for (uint32_t i = 0; i < set->n; i++) {
        jc_store *st = &s->stores.at[set->at[i]];
        st->first = at < st->first ? at : st->first;
        st->last = at > st->last ? at : st->last;
    }
}

static void touch(jc_sched *s, const jc_item *item, uint32_t at) {
    touch_all(s, &item->reads, at);
    touch_all(s, &item->writes, at);
}

static const jc_expr *bytes_of(jc_sched *s, const jc_store *st) {
    const jc_type *t = &st->owner->type;
    const jc_expr *n = jc_type_numel(s->ex, t);
    return to_plan(s, jc_ex_mul(s->ex, n, jc_ex_int(s->ex, jc_dtypes[t->dtype].size)));
}

/* What buffers of one size share. */
typedef struct slot {
    uint32_t index, free_after; /* number, item */
} slot;
typedef JC_VEC(slot) slots;

/* The first slot of BYTES that is free at item AT, or a new one, until the last use of ST. */
static uint32_t take_slot(jc_sched *s, jc_map *by_bytes, const jc_expr *bytes, uint32_t at, const jc_store *st) {
    slots *of = jc_map_get(by_bytes, &bytes, sizeof bytes);
    if (!of) {
        of = JC_NEW(s->arena, slots);
        jc_map_set(by_bytes, jc_arena_memdup(s->arena, &bytes, sizeof bytes), sizeof bytes, of);
    }
    size_t k = 0;
    while (k < of->n && of->at[k].free_after >= at)
        k++;
    if (k == of->n)
        jc_push(s->arena, of, ((slot){ s->plan->nslots++, 0 }));
    of->at[k].free_after = st->last;
    return of->at[k].index;
}

static void place_buffer(jc_sched *s, jc_map *by_bytes, jc_store *st, uint32_t at) {
    jc_plan_buffer b = { bytes_of(s, st), JC_PLAN_NONE, JC_PLAN_NONE, st->undefined || (st->partial && st->escapes) };
    st->index = (uint32_t)s->buffers.n;
    if (st->escapes)
        b.escape = s->plan->nescapes++;
    else
        b.slot = take_slot(s, by_bytes, b.bytes, at, st);
    jc_push(s->arena, &s->buffers, b);
}

/* In order of first use, so that slots free up in time; what nothing touches and is given back all the same comes last. */
static void place_buffers(jc_sched *s) {
    const uint32_t nitems = (uint32_t)s->items.n, nstores = (uint32_t)s->stores.n;
    jc_map *by_bytes = jc_map_new(s->arena);
    uint32_t *head = JC_NEWN(s->arena, uint32_t, nitems + 1), *next = JC_NEWN(s->arena, uint32_t, nstores);
    for (uint32_t i = nstores; i-- > 0;) { /* of each item a list, in order; numbers are one more */
        const jc_store *st = &s->stores.at[i];
        const uint32_t at = st->first < nitems ? st->first : nitems;
        if (st->input || (at == nitems && !st->escapes))
            continue;
        next[i] = head[at];
        head[at] = i + 1;
    }
    for (uint32_t at = 0; at <= nitems; at++)
        for (uint32_t i = head[at]; i; i = next[i - 1])
            place_buffer(s, by_bytes, &s->stores.at[i - 1], at);
}

/* --- tensors --- */

/* What tells T from other tensors. */
static void tensor_key(jc_bytes *b, const jc_plan_tensor *t) {
    const uint32_t facts[] = { t->home, t->index, t->type.dtype, t->type.rank, t->type.strides != NULL };
    jc_put(b, facts, sizeof facts);
    jc_put(b, &t->offset, sizeof t->offset);
    jc_put(b, t->type.dims, t->type.rank * sizeof *t->type.dims);
    if (t->type.strides)
        jc_put(b, t->type.strides, t->type.rank * sizeof *t->type.strides);
}

static uint32_t add_tensor(jc_sched *s, const jc_store *st, const jc_expr *offset, const jc_type *type) {
    jc_plan_tensor t = {
        .home = st->input ? JC_HOME_INPUT : JC_HOME_BUFFER,
        .index = st->index,
        .offset = offset ? to_plan(s, offset) : jc_ex_int(s->plan->ex, 0),
        .type = type_to_plan(s, type),
    };
    jc_bytes key = JC_BYTES(s->arena);
    tensor_key(&key, &t);
    uintptr_t known = (uintptr_t)jc_map_get(s->by_tensor, key.at, key.n);
    if (known)
        return (uint32_t)(known - 1);
    jc_push(s->arena, &s->tensors, t);
    jc_map_set(s->by_tensor, key.at, key.n, (void *)(uintptr_t)s->tensors.n);
    return (uint32_t)s->tensors.n - 1;
}

uint32_t jc_plan_tensor_of(jc_sched *s, const jc_value *v) {
    const jc_value *owner = v->base ? v->base : v;
    return add_tensor(s, &s->stores.at[s->lazy[owner->id].store], jc_sched_offset(s, v), &v->type);
}

static uint32_t whole(jc_sched *s, uint32_t store) {
    const jc_store *st = &s->stores.at[store];
    return add_tensor(s, st, NULL, &st->owner->type);
}

/* --- launches --- */

static uint32_t kernel_index(jc_sched *s, jc_kernel *k) {
    jc_bytes b = JC_BYTES(s->arena);
    jc_kernel_encode(k, &b);
    jc_target_encode(&s->options->target, &b);
    jc_plan_kernel pk = { .key = jc_hash_of(b.at, b.n), .threads = k->threads, .shared = jc_kernel_shared(k) };
    uintptr_t known = (uintptr_t)jc_map_get(s->by_key, &pk.key, sizeof pk.key);
    if (known)
        return (uint32_t)(known - 1);
    char hex[2 * JC_HASH_SIZE + 1];
    jc_hash_hex(&pk.key, hex);
    snprintf(pk.name, sizeof pk.name, "%s_%.12s", jc_families[k->family].name, hex);
    jc_push(s->arena, &s->pkernels, pk);
    jc_push(s->arena, &s->kernels, k);
    jc_map_set(s->by_key, jc_arena_memdup(s->arena, &pk.key, sizeof pk.key), sizeof pk.key,
               (void *)(uintptr_t)s->pkernels.n);
    return (uint32_t)s->pkernels.n - 1;
}

static bool is_read(const jc_kernel *k, uint32_t arg) {
    bool read = jc_kernel_sums_read(k, arg);
    for (uint32_t i = 0; i < k->ninstrs && !read; i++)
        read = k->tape[i].op == JC_T_LOAD && k->tape[i].arg == arg;
    return read;
}

/* The tensor that a root writes. */
static uint32_t written_by(jc_sched *s, const jc_root *r) {
    const jc_type t = { .kind = JC_TENSOR, .dtype = (uint8_t)r->dtype, .rank = (uint8_t)r->rank, .dims = r->dims, .strides = r->strides };
    if (jc_sched_fills(s, r->store, &t))
        return whole(s, r->store);
    return add_tensor(s, &s->stores.at[r->store], r->offset, &t);
}

static void add_access(jc_sched *s, const jc_gen *g, const jc_gen_ptr *p, jc_plan_karg *a) {
    a->tensor = whole(s, p->store);
    a->access = (is_read(g->k, p->arg) ? JC_KARG_READS : 0) | (g->k->args[p->arg].written ? JC_KARG_WRITES : 0);
    a->parts = JC_NEWN(s->arena, uint32_t, g->item->roots.n);
    for (size_t i = 0; i < g->item->roots.n && g->k->args[p->arg].written; i++) {
        const jc_root *r = g->item->roots.at[i];
        if (r->store == p->store && r->dtype == p->dtype && !r->scatters)
            a->parts[a->nparts++] = written_by(s, r);
    }
}

static jc_plan_karg karg(jc_sched *s, const jc_gen *g, uint32_t arg) {
    jc_plan_karg a = { .kind = g->k->args[arg].kind, .tensor = JC_PLAN_NONE, .input = JC_PLAN_NONE };
    for (size_t i = 0; i < g->ptrs.n; i++)
        if (g->ptrs.at[i].arg == arg)
            add_access(s, g, &g->ptrs.at[i], &a);
    for (size_t i = 0; i < g->ints.n; i++)
        if (g->ints.at[i].arg == arg)
            a.expr = to_plan(s, g->ints.at[i].expr);
    return a;
}

jitc_status jc_sched_launch(jc_sched *s, jc_gen *g, int line, const jc_expr *guard, int64_t lo, int64_t hi) {
    JC_TRY(jc_kernel_verify(g->k, s->err));
    jc_plan_step step = { .kind = JC_STEP_LAUNCH, .line = line, .lo = lo, .hi = hi };
    step.kernel = kernel_index(s, g->k);
    step.guard = guard ? to_plan(s, guard) : NULL;
    step.nkargs = g->k->nargs;
    step.kargs = JC_NEWN(s->arena, jc_plan_karg, step.nkargs);
    for (uint32_t i = 0; i < step.nkargs; i++)
        step.kargs[i] = karg(s, g, i);
    const jc_expr **map = JC_NEWN(s->arena, const jc_expr *, g->k->nsyms);
    for (uint32_t i = 0; i < g->k->nsyms; i++)
        if (g->k->syms[i].kind == JC_KSYM_ARG)
            map[i] = step.kargs[g->k->syms[i].index].expr;
    step.blocks = jc_ex_subst(s->plan->ex, jc_kernel_blocks(g->k), map, g->k->nsyms);
    jc_push(s->arena, &s->steps, step);
    return JITC_OK;
}

static bool has_nothing(const jc_sched *s, const jc_item *item) {
    for (size_t i = 0; i < item->roots.n; i++)
        if (!jc_no_elements(s, item->roots.at[i]->dims, item->roots.at[i]->rank))
            return false;
    return true;
}

static jitc_status group_step(jc_sched *s, jc_item *item) {
    if (has_nothing(s, item))
        return JITC_OK;
    if (item->matmul)
        return jc_is_attention(item->matmul) ? jc_sched_attention_steps(s, item) : jc_sched_matmul_steps(s, item);
    const jc_root *r = item->roots.at[0];
    if (!jc_item_gen(s, item))
        return jc_sched_refuse(s, r->line, r->value->name, "no kernel can compute this value in one pass");
    jc_gen_finish(item->gen);
    jc_sched_shape(s, item->gen);
    return jc_sched_launch(s, item->gen, r->line, NULL, 0, 0);
}

/* --- calls --- */

static jc_plan_arg call_arg(jc_sched *s, const jc_arg *a) {
    jc_plan_arg out = { .key = a->key };
    switch (a->kind) {
    case JC_ARG_VALUE:
        if (a->value->type.kind == JC_TENSOR) {
            out.kind = JITC_TENSOR;
            out.tensor = jc_plan_tensor_of(s, a->value);
        } else {
            static const uint8_t tags[] = { [JC_NAME] = JITC_NAME, [JC_INT] = JITC_INT, [JC_FLOAT] = JITC_FLOAT,
                                            [JC_BOOL] = JITC_BOOL, [JC_SYMINT] = JITC_INT };
            out.kind = tags[a->value->type.kind];
            out.from_input = true;
            out.input = a->value->index;
        }
        break;
    case JC_ARG_EXPR:
        out.kind = JITC_INT;
        out.expr = to_plan(s, a->expr);
        break;
    case JC_ARG_FLOAT:
        out.kind = JITC_FLOAT;
        out.f = a->f;
        break;
    case JC_ARG_BOOL:
        out.kind = JITC_BOOL;
        out.b = a->b;
        break;
    case JC_ARG_STR:
    case JC_ARG_DEVICE:
        out.kind = JITC_STR;
        out.str = a->str;
        break;
    case JC_ARG_DTYPE:
        out.kind = JITC_STR;
        out.str = jc_dtypes[a->dtype].torch;
        break;
    case JC_ARG_LIST:
    case JC_ARG_DICT:
        out.kind = a->kind == JC_ARG_LIST ? JITC_LIST : JITC_DICT;
        out.list.n = a->list.n;
        out.list.at = JC_NEWN(s->arena, jc_plan_arg, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            out.list.at[i] = call_arg(s, &a->list.at[i]);
        break;
    default:
        out.kind = JITC_NONE;
    }
    return out;
}

static void call_step(jc_sched *s, const jc_node *n) {
    jc_plan_step step = { .kind = JC_STEP_CALL, .line = n->line, .op = n->target, .writes = n->writes };
    step.nargs = n->nargs;
    step.args = JC_NEWN(s->arena, jc_plan_arg, n->nargs);
    for (uint32_t i = 0; i < n->nargs; i++)
        step.args[i] = call_arg(s, &n->args[i]);
    step.nresults = n->nresults;
    step.results = JC_NEWN(s->arena, uint32_t, n->nresults);
    for (uint32_t i = 0; i < n->nresults; i++)
        step.results[i] = jc_plan_tensor_of(s, n->results[i]);
    jc_push(s->arena, &s->steps, step);
}

/* --- inputs and outputs --- */

static void add_inputs(jc_sched *s) {
    jc_plan *p = s->plan;
    p->ninputs = s->f->nparams;
    p->inputs = JC_NEWN(s->arena, jc_plan_input, p->ninputs);
    for (uint32_t i = 0; i < p->ninputs; i++)
        p->inputs[i] = (jc_plan_input){ type_to_plan(s, &s->f->params[i]->type),
                                        s->lazy[s->f->params[i]->id].last_write >= 0, s->f->params[i]->alias };
}

static jitc_status add_output(jc_sched *s, const jc_arg *a, jc_plan_output *out) {
    switch (a->kind) {
    case JC_ARG_VALUE: {
        jc_value *v = a->value;
        if (!v->def) {
            *out = (jc_plan_output){ .kind = JC_OUT_INPUT, .index = v->index };
            return JITC_OK;
        }
        const jc_store *st = &s->stores.at[s->lazy[jc_storage(v)->id].store];
        *out = (jc_plan_output){ .kind = JC_OUT_TENSOR, .undefined = !st->filled, .index = jc_plan_tensor_of(s, v) };
        return JITC_OK;
    }
    case JC_ARG_EXPR:
        *out = (jc_plan_output){ .kind = JC_OUT_EXPR, .expr = to_plan(s, a->expr) };
        return JITC_OK;
    case JC_ARG_NONE:
        *out = (jc_plan_output){ .kind = JC_OUT_NONE };
        return JITC_OK;
    default:
        *out = (jc_plan_output){ .kind = JC_OUT_NONE };
        return jc_sched_refuse(s, s->f->line, NULL, "an output that is neither a tensor nor an integer is not supported");
    }
}

static void add_checks(jc_sched *s) {
    jc_plan *p = s->plan;
    p->nchecks = (uint32_t)s->conditions.n;
    p->checks = JC_NEWN(s->arena, jc_condition, p->nchecks);
    for (uint32_t i = 0; i < p->nchecks; i++) {
        const jc_condition *c = &s->conditions.at[i];
        p->checks[i] = (jc_condition){ c->rel, c->line, to_plan(s, c->a), to_plan(s, c->b) };
    }
}

static void move_lists(jc_sched *s) {
    jc_plan *p = s->plan;
    p->nbuffers = (uint32_t)s->buffers.n;
    p->buffers = s->buffers.at;
    p->ntensors = (uint32_t)s->tensors.n;
    p->tensors = s->tensors.at;
    p->nkernels = (uint32_t)s->pkernels.n;
    p->kernels = s->pkernels.at;
    p->nsteps = (uint32_t)s->steps.n;
    p->steps = s->steps.at;
}

jitc_status jc_sched_plan(jc_sched *s) {
    s->plan = JC_NEW(s->arena, jc_plan);
    s->plan->ex = jc_exprs_new(s->arena);
    s->plan->nsyms = jc_sym_count(s->ex);
    for (uint32_t i = 0; i < s->plan->nsyms; i++) {
        const jc_sym *facts = jc_sym_at(s->ex, i);
        jc_sym *own = jc_sym_at(s->plan->ex, jc_sym_add(s->plan->ex, facts->name));
        own->lo = facts->lo;
        own->hi = facts->hi;
    }
    s->by_key = jc_map_new(s->arena);
    s->by_tensor = jc_map_new(s->arena);
    for (uint32_t i = 0; i < s->items.n; i++)
        touch(s, s->items.at[i], i);
    add_inputs(s);
    place_buffers(s);
    for (uint32_t i = 0; i < s->items.n; i++) {
        if (s->items.at[i]->kind == JC_ITEM_GROUP)
            JC_TRY(group_step(s, s->items.at[i]));
        else
            call_step(s, s->items.at[i]->node);
    }
    s->plan->noutputs = s->f->noutputs;
    s->plan->outputs = JC_NEWN(s->arena, jc_plan_output, s->plan->noutputs);
    for (uint32_t i = 0; i < s->plan->noutputs; i++)
        JC_TRY(add_output(s, &s->f->outputs[i], &s->plan->outputs[i]));
    add_checks(s);
    move_lists(s);
    return s->refused ? JITC_OK : jc_plan_verify(s->plan, s->err);
}
