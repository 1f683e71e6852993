/*
 * jit/sched/sched_group.c - which roots share a kernel.
 *
 * A root is put into the latest earlier group that it may join; joining moves it up, so nothing between may write what it
 * reads, or touch what it writes.  Two roots may share a kernel when their spaces are the same (a root over rows may
 * turn a pointwise group into a row kernel), they have data in common, and the kernel can be generated: whatever one
 * reads of what another of the group stores must be at the same index, so that the value passes in a register.
 */
#include "jit/sched/sched.h"

#include <string.h>

/* Loop space of a root: all columns of its rows, or its own dims. */
static uint32_t space(const jc_root *r, const jc_expr *const **dims) {
    *dims = r->rows ? r->rows->full : r->dims;
    return r->rows ? r->rows->rank : r->rank;
}

static bool same_space(jc_sched *s, uint32_t rank, const jc_expr *const *a, const jc_expr *const *b) {
    for (uint32_t d = 0; d < rank; d++)
        if (a[d] != b[d] && jc_ex_equal(s->ex, a[d], b[d]) != JC_YES)
            return false;
    return true;
}

static bool fits(jc_sched *s, const jc_item *g, const jc_root *r) {
    const jc_expr *const *dims;
    uint32_t rank = space(r, &dims);
    if (g->matmul || r->matmul || rank != g->rank)
        return false;
    return same_space(s, rank, dims, g->dims);
}

static bool has_root_storing(const jc_item *g, uint32_t store, uint32_t join) {
    for (size_t i = 0; i < g->roots.n; i++)
        if (g->roots.at[i]->store == store && (!join || g->roots.at[i]->join != join))
            return true;
    return false;
}

static bool shares_data(jc_sched *s, const jc_item *g, const jc_root *r) {
    for (size_t i = 0; i < g->roots.n; i++)
        if (r->join && g->roots.at[i]->join == r->join)
            return true;
    for (uint32_t i = 0; i < s->set_words; i++)
        if ((g->reads.w[i] | g->writes.w[i]) & r->reads.w[i])
            return true;
    return false;
}

static void add(jc_sched *s, jc_item *g, jc_root *r) {
    jc_push(s->arena, &g->roots, r);
    jc_set_join(s, g->reads, r->reads);
    jc_set_add(g->writes, r->store);
    if (r->rows && !g->rows)
        g->rows = r->rows;
}

/* The group with R in it, if a kernel can be generated for that. */
static bool try_join(jc_sched *s, jc_item *g, jc_root *r) {
    jc_item trial = *g;
    jc_gen gen = { 0 };
    if (has_root_storing(g, r->store, r->join))
        return false;
    for (uint32_t i = 0; i < s->stores.n; i++) /* what the group reads must not be overwritten within it */
        if (jc_set_has(g->reads, i) && i != r->store &&
            s->stores.at[i].conflict == s->stores.at[r->store].conflict)
            return false;
    if (jc_set_has(g->reads, r->store))
        return false;
    trial.roots.at = JC_NEWN(s->arena, jc_root *, g->roots.n + 1);
    trial.roots.cap = g->roots.n + 1;
    memcpy(trial.roots.at, g->roots.at, g->roots.n * sizeof *trial.roots.at);
    trial.roots.at[trial.roots.n++] = r;
    trial.rows = g->rows ? g->rows : r->rows;
    if (!jc_gen_group(&gen, s, &trial))
        return false;
    add(s, g, r);
    return true;
}

jitc_status jc_sched_root(jc_sched *s, jc_root *r) {
    jc_set writes = jc_set_new(s), later_reads = jc_set_new(s), later_writes = jc_set_new(s);
    jc_set_add(writes, r->store);
    s->stores.at[r->store].filled = true;
    for (size_t i = s->items.n; i-- > 0;) {
        jc_item *g = s->items.at[i];
        if (jc_sets_conflict(s, r->reads, later_writes) || jc_sets_conflict(s, writes, later_writes) ||
            jc_sets_conflict(s, writes, later_reads))
            break;
        if (g->kind == JC_ITEM_GROUP && fits(s, g, r) && shares_data(s, g, r) && try_join(s, g, r))
            return JITC_OK;
        jc_set_join(s, later_reads, g->reads);
        jc_set_join(s, later_writes, g->writes);
    }
    jc_item *g = JC_NEW(s->arena, jc_item);
    const jc_expr *const *dims;
    g->kind = JC_ITEM_GROUP;
    g->rank = space(r, &dims);
    memcpy(g->dims, dims, g->rank * sizeof *g->dims);
    g->reads = jc_set_new(s);
    g->writes = jc_set_new(s);
    g->rows = r->rows;
    g->matmul = r->matmul;
    add(s, g, r);
    jc_push(s->arena, &s->items, g);
    return JITC_OK;
}
