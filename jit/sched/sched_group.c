/*
 * jit/sched/sched_group.c - which roots share a kernel.
 *
 * A root is put into the latest earlier group that it may join; joining moves it up, so nothing between may write what it
 * may touch by reading, or touch what it writes.  Two roots may share a kernel when their spaces are the same (a root over
 * rows may turn a pointwise group into a row kernel), they have data in common, and the kernel can be generated.  In a kernel
 * nothing is ordered, so whatever one root reads of what another of the group stores must be the same storage at the same index:
 * then the value passes in a register.
 */
#include "jit/sched/sched.h"

#include <string.h>

/* How many items a root looks back at, and how many kernels it has generated in vain: so that scheduling takes time by the size of the
   graph. */
#define MAX_BACK 1000
#define MAX_TRIES 16

static bool same_space(jc_sched *s, uint32_t rank, const jc_expr *const *a, const jc_expr *const *b) {
    for (uint32_t d = 0; d < rank; d++)
        if (a[d] != b[d] && jc_ex_equal(s->ex, a[d], b[d]) != JC_YES)
            return false;
    return true;
}

static bool fits(jc_sched *s, const jc_item *g, const jc_root *r) {
    const jc_expr *const *dims;
    uint32_t rank = jc_root_space(r, &dims);
    if (g->matmul || r->matmul || rank != g->rank || g->walk != (r->walk != NULL) || g->sized != r->sized)
        return false;
    return same_space(s, rank, dims, g->dims);
}

/* Might R and a root of G meet in memory while both run?  Parts of one buffer do not; what R reads of a storage that G stores is
   for jc_gen_root() to find in a register, and there only. */
static bool meets(const jc_sched *s, const jc_item *g, const jc_root *r) {
    if (jc_set_touches(s, &g->reads, r->store))
        return true;
    for (size_t i = 0; i < g->roots.n; i++) {
        const jc_root *other = g->roots.at[i];
        bool part = r->join && other->join == r->join;
        if (!part && jc_may_touch(s, other->store, r->store))
            return true;
        if (jc_set_touches_other(s, &r->reads, other->store))
            return true;
    }
    return false;
}

static bool shares_data(const jc_item *g, const jc_root *r) {
    for (size_t i = 0; i < g->roots.n; i++)
        if (r->join && g->roots.at[i]->join == r->join)
            return true;
    return jc_sets_meet(&g->reads, &r->reads) || jc_sets_meet(&g->writes, &r->reads);
}

/* Does R's code begin with what such roots before it have in theirs, and have to be as long in a kernel of its own?  That of the best
   N of a row does. */
static bool goes_on(const jc_root *r) {
    return r->value->def && r->value->def->op == JC_OP_nth;
}

static void add(jc_sched *s, jc_item *g, jc_root *r) {
    jc_push(s->arena, &g->roots, r);
    jc_set_join(s, &g->reads, &r->reads);
    jc_set_add(s, &g->writes, r->store);
    if (r->rows && !g->rows)
        g->rows = r->rows;
}

bool jc_item_gen(jc_sched *s, jc_item *g) {
    if (g->gen)
        return true;
    jc_gen *gen = JC_NEW(s->arena, jc_gen);
    if (!jc_gen_group(gen, s, g))
        return false;
    g->gen = gen;
    return true;
}

/* R into G, if a kernel can be generated for that.  What could not be is thrown away, and made again without R when it is needed. */
static bool try_join(jc_sched *s, jc_item *g, jc_root *r) {
    const jc_rows *rows = g->rows;
    if (!jc_item_gen(s, g))
        return false;
    g->rows = rows ? rows : r->rows;
    if (!jc_gen_root(g->gen, r)) {
        g->full = !g->gen->failed; /* too many arguments */
        g->rows = rows;
        g->gen = NULL;
        return false;
    }
    add(s, g, r);
    return true;
}

static bool may_join(jc_sched *s, const jc_item *g, const jc_root *r) {
    if (g->kind != JC_ITEM_GROUP || g->full || (g->gen && jc_gen_is_full(g->gen) && !goes_on(r)))
        return false;
    return fits(s, g, r) && shares_data(g, r) && !meets(s, g, r);
}

jc_item *jc_item_new(jc_sched *s, jc_item_kind kind) {
    jc_item *item = JC_NEW(s->arena, jc_item);
    item->kind = (uint8_t)kind;
    return item;
}

jc_item *jc_item_of_root(jc_sched *s, jc_root *r) {
    const jc_expr *const *dims;
    jc_item *g = jc_item_new(s, JC_ITEM_GROUP);
    g->rank = jc_root_space(r, &dims);
    memcpy(g->dims, dims, g->rank * sizeof *g->dims);
    g->matmul = r->matmul;
    g->walk = r->walk != NULL;
    g->sized = r->sized;
    add(s, g, r);
    return g;
}

/* Does a tensor of type T, without overlaps, take all of STORE? */
bool jc_sched_fills(jc_sched *s, uint32_t store, const jc_type *t) {
    const jc_type *all = &s->stores.at[store].owner->type;
    return jc_dtypes[t->dtype].size == jc_dtypes[all->dtype].size &&
           jc_ex_equal(s->ex, jc_type_numel(s->ex, t), jc_type_numel(s->ex, all)) == JC_YES;
}

static void see_contents(jc_sched *s, const jc_root *r) {
    const jc_type t = { .kind = JC_TENSOR, .dtype = (uint8_t)r->dtype, .rank = (uint8_t)r->rank, .dims = r->dims };
    jc_store *to = &s->stores.at[r->store];
    for (uint32_t i = 0; i < r->reads.n; i++) {
        jc_store *from = &s->stores.at[r->reads.at[i]];
        from->undefined |= from->partial;
    }
    to->filled = true;
    to->partial = to->partial && (r->scatters || !jc_sched_fills(s, r->store, &t));
}

/* Has R to stay behind G? */
static bool comes_after(const jc_sched *s, const jc_item *g, const jc_root *r) {
    return jc_sets_touch(s, &r->reads, &g->writes) || jc_set_touches(s, &g->writes, r->store) || jc_set_touches(s, &g->reads, r->store);
}

void jc_sched_root(jc_sched *s, jc_root *r) {
    uint32_t tries = MAX_TRIES;
    see_contents(s, r);
    for (size_t i = s->items.n; i > 0 && s->items.n - i < MAX_BACK && tries > 0; i--) {
        jc_item *g = s->items.at[i - 1];
        if (may_join(s, g, r)) {
            if (try_join(s, g, r))
                return;
            tries--;
        }
        if (comes_after(s, g, r))
            break;
    }
    jc_push(s->arena, &s->items, jc_item_of_root(s, r));
}
