/*
 * runtime/sim_memory.c - the simulator's memory: who may touch what, and when.
 *
 * Global memory is the launch's ranges, sorted; a load has to lie in one of them, a store in one that is written.  They
 * may overlap: two arguments may be views of one buffer.  Ranges that are written, and those that overlap one, are
 * watched for races (sim_watch.c).
 *
 * Shared memory has a shadow record per byte: by whom and when it was last written, by whom and when last read, and
 * is an asynchronous copy under way.  "When" is the block, the number of barriers that it has passed, and of warp syncs
 * that the thread's warp has.  Two accesses of which one writes are ordered when a barrier lies between them,
 * or both are of one warp and a warp sync does, or both are one thread's; else it is a race.  What another block did
 * counts as nothing, so that records need no clearing.
 *
 * An asynchronous copy lands at once, or at a later wait of its thread, or when it is waited for: at random.  From its
 * start to that wait nobody may touch its target, its own thread included; with the wait it counts as written by its
 * thread at that time, so that others need a barrier after it.  Its source counts as read at both times.
 */
#include "runtime/sim_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static int by_start(const void *a, const void *b) {
    const jc_sim_place *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* A range that none that is written overlaps cannot race. */
static void find_watched(jc_sim *s) {
    uintptr_t to = 0, from = UINTPTR_MAX; /* of written ranges: the largest end before, the smallest start after */
    for (uint32_t i = 0; i < s->nplaces; i++) {
        jc_sim_place *p = &s->places[i];
        p->watched = p->written || to > p->from;
        if (p->written && p->to > to)
            to = p->to;
    }
    for (uint32_t i = s->nplaces; i-- > 0;) {
        jc_sim_place *p = &s->places[i];
        p->watched |= from < p->to;
        if (p->written)
            from = p->from;
    }
}

bool jc_sim_memory_open(jc_sim *s) {
    const jc_sim_launch *l = s->launch;
    s->places = calloc(l->nranges + 1, sizeof *s->places);
    s->shared = aligned_alloc(1024, (l->shared + 1024u) / 1024u * 1024u);
    s->shadow = calloc(l->shared + 1, sizeof *s->shadow);
    if (!s->places || !s->shared || !s->shadow)
        return false;
    for (uint32_t i = 0; i < l->nranges; i++) {
        uintptr_t from = (uintptr_t)l->ranges[i].at;
        if (l->ranges[i].size)
            s->places[s->nplaces++] = (jc_sim_place){ from, from + l->ranges[i].size, 0, i, l->ranges[i].written, false };
    }
    qsort(s->places, s->nplaces, sizeof *s->places, by_start);
    for (uint32_t i = 0; i < s->nplaces; i++) {
        uintptr_t before = i ? s->places[i - 1].reach : 0;
        s->places[i].reach = s->places[i].to > before ? s->places[i].to : before;
    }
    find_watched(s);
    return true;
}

void jc_sim_memory_close(jc_sim *s) {
    free(s->places);
    free(s->shared);
    free(s->shadow);
    jc_sim_watch_close(s);
}

void jc_sim_memory_block(jc_sim *s) {
    memset(s->shared, 0xff, s->launch->shared);
}

bool jc_sim_in_shared(const jc_sim *s, const void *address, uint32_t size) {
    uintptr_t at = (uintptr_t)address, from = (uintptr_t)s->shared;
    return at >= from && size <= s->launch->shared && at - from <= s->launch->shared - size;
}

/* ---- global memory ------------------------------------------------------------------------------------------------ */

static bool holds(const jc_sim_place *p, uintptr_t at, uint32_t size, bool write) {
    return at >= p->from && at < p->to && size <= p->to - at && (!write || p->written);
}

static bool in_global(jc_sim *s, uintptr_t at, uint32_t size, bool write) {
    if (s->nplaces && holds(&s->places[s->last], at, size, write))
        return true;
    uint32_t lo = 0, hi = s->nplaces; /* places that start at or before AT: those below LO */
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->places[mid].from <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (uint32_t i = lo; i-- > 0 && s->places[i].reach > at;)
        if (holds(&s->places[i], at, size, write)) {
            s->last = i;
            return true;
        }
    return false;
}

/* How an access misses a range: the bytes between them (0 when they touch or overlap). */
static uintptr_t gap(uintptr_t from, uintptr_t to, uintptr_t at, uint32_t size) {
    if (at >= to)
        return at - to;
    return at + size <= from ? from - (at + size) : 0;
}

/* Names the range that the access most likely meant: the nearest one. */
static void report_outside(jc_sim_thread *t, const char *what, uintptr_t at, uint32_t size, bool write) {
    jc_sim *s = t->sim;
    uintptr_t from = (uintptr_t)s->shared, to = from + s->launch->shared, best = UINTPTR_MAX;
    const jc_sim_place *place = NULL;
    if (s->launch->shared)
        best = gap(from, to, at, size);
    for (uint32_t i = 0; i < s->nplaces; i++) {
        const jc_sim_place *p = &s->places[i];
        if (write && holds(p, at, size, false)) {
            jc_sim_fault(t, "a %s of %u bytes to range %u of %zu bytes, which is read-only, at byte %zu.", what, size,
                         p->index, (size_t)(p->to - p->from), (size_t)(at - p->from));
            return;
        }
        uintptr_t g = gap(p->from, p->to, at, size);
        if (g < best) {
            best = g;
            place = p;
        }
    }
    if (best == UINTPTR_MAX) {
        jc_sim_fault(t, "a %s of %u bytes out of bounds: the kernel may touch no memory at all.", what, size);
        return;
    }
    char name[40] = "shared memory";
    if (place) {
        from = place->from;
        to = place->to;
        snprintf(name, sizeof name, "range %u", place->index);
    }
    if (at < from)
        jc_sim_fault(t, "a %s of %u bytes out of bounds: it starts %zu bytes before the start of %s, which has %zu bytes.",
                     what, size, (size_t)(from - at), name, (size_t)(to - from));
    else
        jc_sim_fault(t, "a %s of %u bytes out of bounds: it ends %zu bytes beyond the end of %s, which has %zu bytes.",
                     what, size, (size_t)(at + size - to), name, (size_t)(to - from));
}

/* ---- shared memory ------------------------------------------------------------------------------------------------ */

/* What was done by another block is forgotten: each has a shared memory of its own. */
static bool is_set(const jc_sim *s, const jc_mark *m) {
    return m->who && m->block == (uint64_t)s->block;
}

static bool ordered(const jc_sim_thread *t, const jc_mark *m) {
    return !is_set(t->sim, m) || jc_sim_ordered(t, m);
}

static void note_read(const jc_sim_thread *t, jc_shadow *b) {
    if (!is_set(t->sim, &b->read))
        b->read.who = 0;
    jc_sim_note_read(t, &b->read);
}

static bool pending(jc_sim_thread *t, const jc_shadow *b, uint32_t at, const char *does) {
    if (!is_set(t->sim, &b->write) || !b->write.pending)
        return false;
    jc_sim_fault(t, "%s byte %u of shared memory, to which thread %u's asynchronous copy has not been waited for.", does, at,
                 b->write.who - 1u);
    return true;
}

/* Why T may not read byte B (AT in shared memory); true when it may. */
static bool may_read(jc_sim_thread *t, const jc_shadow *b, uint32_t at) {
    if (pending(t, b, at, "reads"))
        return false;
    if (!is_set(t->sim, &b->write))
        jc_sim_fault(t, "reads byte %u of shared memory, which is uninitialised: nothing has been written there.", at);
    else if (!ordered(t, &b->write))
        jc_sim_fault(t, "race: reads byte %u of shared memory, which thread %u has written since the last barrier.", at,
                     b->write.who - 1u);
    else
        return true;
    return false;
}

static bool may_write(jc_sim_thread *t, const jc_shadow *b, uint32_t at) {
    if (pending(t, b, at, "writes"))
        return false;
    if (!ordered(t, &b->write))
        jc_sim_fault(t, "race: writes byte %u of shared memory, which thread %u has written since the last barrier.", at,
                     b->write.who - 1u);
    else if (ordered(t, &b->read))
        return true;
    else if (b->read.who & JC_READ_WARP)
        jc_sim_fault(t, "race: writes byte %u of shared memory, which several threads have read since the last barrier.",
                     at);
    else
        jc_sim_fault(t, "race: writes byte %u of shared memory, which thread %u has read since the last barrier.", at,
                     b->read.who - 1u);
    return false;
}

static void note_write(const jc_sim_thread *t, jc_shadow *b) {
    b->write = jc_sim_mark(t, t->tid + 1);
}

static bool access_shared(jc_sim_thread *t, uint32_t at, uint32_t size, bool write) {
    jc_shadow *b = t->sim->shadow + at;
    for (uint32_t i = 0; i < size; i++) {
        if (!(write ? may_write(t, b + i, at + i) : may_read(t, b + i, at + i)))
            return false;
        if (write)
            note_write(t, b + i);
        else
            note_read(t, b + i);
    }
    return true;
}

/* ---- what threads ask for ----------------------------------------------------------------------------------------- */

/* Is the access in order? Faults when it is not. */
static bool check_access(jc_sim_thread *t, const char *what, const void *address, uint32_t size, uint32_t align,
                         bool write) {
    jc_sim *s = t->sim;
    uintptr_t at = (uintptr_t)address;
    if (s->faulted)
        return false;
    bool shared = jc_sim_in_shared(s, address, size);
    if (!shared && !in_global(s, at, size, write)) {
        report_outside(t, what, at, size, write);
        return false;
    }
    if (align > 1 && at % align) {
        jc_sim_fault(t, "a %s of %u bytes is misaligned: its address is no multiple of %u, but %zu more than one.", what,
                     size, align, (size_t)(at % align));
        return false;
    }
    if (shared)
        return access_shared(t, (uint32_t)(at - (uintptr_t)s->shared), size, write);
    const jc_sim_place *place = &s->places[s->last];
    return !place->watched || jc_sim_watch_access(t, place, at, size, write);
}

const void *jc_sim_load(jc_sim_thread *self, const void *address, uint32_t size, uint32_t align) {
    if (check_access(self, "load", address, size, align, false))
        return address;
    memset(self->sim->scratch, 0, sizeof self->sim->scratch); /* zeros lead nowhere as indices */
    return self->sim->scratch;
}

void *jc_sim_store(jc_sim_thread *self, void *address, uint32_t size, uint32_t align) {
    return check_access(self, "store", address, size, align, true) ? address : self->sim->scratch;
}

bool jc_sim_async_read(jc_sim_thread *t, const void *address, uint32_t size) {
    const jc_sim *s = t->sim;
    if (!check_access(t, "wgmma", address, size, 16, false))
        return false;
    const uint32_t at = (uint32_t)((const uint8_t *)address - s->shared);
    for (uint32_t i = 0; i < size; i++) {
        const jc_mark *m = &s->shadow[at + i].write;
        if (s->threads[m->who - 1u].fenced < m->epoch) {
            jc_sim_fault(t, "wgmma reads byte %u of shared memory, which thread %u has written and not fenced.", at + i, m->who - 1u);
            return false;
        }
    }
    return true;
}

/* ---- asynchronous copies ------------------------------------------------------------------------------------------ */

static void land(jc_sim_thread *t, jc_sim_copy *c) {
    if (c->landed)
        return;
    uint8_t *to = t->sim->shared + c->at;
    if (c->valid)
        memcpy(to, c->from, c->valid);
    memset(to + c->valid, 0, c->size - c->valid);
    c->landed = true;
}

void jc_sim_land_some(jc_sim_thread *t) {
    for (uint32_t i = 0; i < t->ncopies; i++)
        if (!t->copies[i].landed && jc_sim_random(t->sim, 4) == 0)
            land(t, &t->copies[i]);
}

static jc_sim_copy *new_copy(jc_sim_thread *t) {
    if (t->ncopies == t->copies_cap) {
        uint32_t cap = t->copies_cap ? 2 * t->copies_cap : 16;
        jc_sim_copy *moved = realloc(t->copies, cap * sizeof *moved);
        if (!moved) {
            jc_sim_fault(t, "there is no memory to simulate its asynchronous copies.");
            return NULL;
        }
        t->copies = moved;
        t->copies_cap = cap;
    }
    return &t->copies[t->ncopies++];
}

void jc_sim_cp_async(jc_sim_thread *self, void *shared, const void *global, uint32_t size, uint32_t valid) {
    jc_sim *s = self->sim;
    if (s->faulted)
        return;
    if ((size != 4 && size != 8 && size != 16) || valid > size) {
        jc_sim_fault(self, "an asynchronous copy of %u bytes of %u does not exist.", valid, size);
        return;
    }
    if (!jc_sim_in_shared(s, shared, size)) {
        report_outside(self, "asynchronous copy", (uintptr_t)shared, size, true);
        return;
    }
    if (valid && jc_sim_in_shared(s, global, valid)) {
        jc_sim_fault(self, "an asynchronous copy reads shared memory; it can read global memory only.");
        return;
    }
    /* The source has to be aligned even where nothing of it is read. */
    uintptr_t bits = (uintptr_t)shared | (uintptr_t)global;
    if (bits % size) {
        jc_sim_fault(self, "an asynchronous copy of %u bytes is misaligned by %zu bytes.", size, (size_t)(bits % size));
        return;
    }
    if (valid && !check_access(self, "asynchronous copy", global, valid, 1, false))
        return;
    uint32_t at = (uint32_t)((uint8_t *)shared - s->shared);
    if (!access_shared(self, at, size, true))
        return;
    jc_sim_copy *c = new_copy(self);
    if (!c)
        return;
    for (uint32_t i = 0; i < size; i++)
        s->shadow[at + i].write.pending = true;
    const jc_sim_place *place = valid && s->places[s->last].watched ? &s->places[s->last] : NULL;
    *c = (jc_sim_copy){ at, size, valid, global, place, self->committed, false };
    if (jc_sim_random(s, 2))
        land(self, c);
}

void jc_sim_cp_commit(jc_sim_thread *self) {
    self->committed++;
}

void jc_sim_cp_wait(jc_sim_thread *self, int32_t pending) {
    uint64_t left = pending < 0 ? 0 : (uint64_t)pending;
    uint64_t done = self->committed > left ? self->committed - left : 0; /* groups below this one */
    uint32_t n = 0;
    for (; n < self->ncopies && self->copies[n].group < done; n++) {
        jc_sim_copy *c = &self->copies[n];
        land(self, c);
        if (c->place)
            jc_sim_watch_access(self, c->place, (uintptr_t)c->from, c->valid, false);
        for (uint32_t i = 0; i < c->size; i++)
            note_write(self, &self->sim->shadow[c->at + i]);
    }
    self->ncopies -= n;
    if (self->ncopies)
        memmove(self->copies, self->copies + n, self->ncopies * sizeof *self->copies);
}
