/*
 * runtime/sim_watch.c - races in the simulator's global memory: two accesses to a byte, one of them a store, without order.
 *
 * The rule is shared memory's (sim_priv.h: jc_sim_ordered) within a block, and blocks are in no order at all: whatever
 * two of them do to one byte of which one stores is a race, also if both store the same.  Launches follow each
 * other, so a watch lives as long as its launch.
 *
 * Only bytes of ranges that the launch may write can race.  A range that none of those touches is not watched (sim_memory.c
 * finds out once per launch, by address: a tensor that is only read may be a view of what another argument writes).
 * Of a watched range, what is remembered is what was touched: memory is cut into chunks of 256 bytes, found by a
 * hash, and a chunk has marks from its first access on.  So a range of gigabytes costs what is touched of it, and
 * nothing large is cleared between launches or blocks: threads on one device run their launches at once, and share nothing.
 *
 * A mark is 32 bytes, and most kernels touch whole elements.  A chunk's marks therefore stand for units of 1 to 16 bytes: as
 * many as the first access to it allows; an access that starts or ends within a unit cuts all of them, each part with what
 * was known of the whole.  The answers are those of a mark per byte.
 *
 * Reads of several blocks stay known as that until the launch ends: from then on every store is a race.
 */
#include "runtime/sim_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 256u
#define MOST_SHIFT 4u /* 16 bytes: the widest access */

/* ---- chunks ------------------------------------------------------------------------------------------------------- */

struct jc_sim_chunk {
    uintptr_t number;  /* address / CHUNK */
    uint32_t shift;    /* a mark stands for 1 << SHIFT bytes */
    jc_shadow *marks;  /* NULL: a free place in the table */
};

/* Where chunk NUMBER is in a table of 1 << BITS places, or would be. */
static jc_sim_chunk *place_of(jc_sim_chunk *table, uint32_t bits, uintptr_t number) {
    uint64_t at = (uint64_t)number * 0x9e3779b97f4a7c15ull >> (64 - bits), mask = ((uint64_t)1 << bits) - 1;
    while (table[at].marks && table[at].number != number)
        at = (at + 1) & mask;
    return &table[at];
}

static bool grow(jc_sim_watch *w) {
    uint32_t bits = w->bits ? w->bits + 1 : 6;
    jc_sim_chunk *table = calloc((size_t)1 << bits, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; w->bits && i < (size_t)1 << w->bits; i++)
        if (w->chunks[i].marks)
            *place_of(table, bits, w->chunks[i].number) = w->chunks[i];
    free(w->chunks);
    w->chunks = table;
    w->bits = bits;
    return true;
}

/* Cuts the units of C, or makes the first ones; false: no memory. */
static bool cut(jc_sim_chunk *c, uint32_t shift) {
    jc_shadow *marks = calloc(CHUNK >> shift, sizeof *marks);
    if (!marks)
        return false;
    for (uint32_t i = 0; c->marks && i < CHUNK >> shift; i++)
        marks[i] = c->marks[i << shift >> c->shift];
    free(c->marks);
    c->marks = marks;
    c->shift = shift;
    return true;
}

/* The chunk, with units of which the bytes from AT are whole ones; NULL: no memory. */
static jc_sim_chunk *chunk_for(jc_sim_watch *w, uintptr_t at, uint32_t size) {
    uintptr_t number = at / CHUNK;
    uint32_t shift = (uint32_t)__builtin_ctz((uint32_t)(at % CHUNK) | size | 1u << MOST_SHIFT);
    if ((w->nchunks >= ((size_t)1 << w->bits) / 2 || !w->bits) && !grow(w))
        return NULL;
    jc_sim_chunk *c = place_of(w->chunks, w->bits, number);
    if (c->marks && c->shift <= shift)
        return c;
    bool fresh = !c->marks;
    if (!cut(c, shift))
        return NULL;
    c->number = number;
    w->nchunks += fresh;
    return c;
}

void jc_sim_watch_close(jc_sim *s) {
    jc_sim_watch *w = &s->watch;
    for (size_t i = 0; w->bits && i < (size_t)1 << w->bits; i++)
        free(w->chunks[i].marks);
    free(w->chunks);
}

/* ---- order -------------------------------------------------------------------------------------------------------- */

static bool ordered(const jc_sim_thread *t, const jc_mark *m) {
    if (!m->who)
        return true;
    return m->who != JC_READ_BLOCKS && m->block == (uint64_t)t->sim->block && jc_sim_ordered(t, m);
}

static void note_read(const jc_sim_thread *t, jc_mark *m) {
    if (m->who && m->block != (uint64_t)t->sim->block)
        m->who = JC_READ_BLOCKS;
    if (m->who != JC_READ_BLOCKS)
        jc_sim_note_read(t, m);
}

/* T may not touch the byte at AT of PLACE, for what M tells of an earlier access, a store where WROTE. */
static void report(jc_sim_thread *t, bool write, const jc_sim_place *place, uintptr_t at, const jc_mark *m, bool wrote) {
    bool here = m->block == (uint64_t)t->sim->block;
    char who[64], block[40] = "this block";
    if (!here)
        snprintf(block, sizeof block, "block %lld", (long long)m->block);
    if (m->who == JC_READ_BLOCKS)
        snprintf(who, sizeof who, "several blocks have");
    else if (m->who & JC_READ_WARP)
        snprintf(who, sizeof who, "several threads of %s have", block);
    else
        snprintf(who, sizeof who, "thread %u of %s has", (unsigned)m->who - 1u, block);
    jc_sim_fault(t, "race: %s byte %zu of range %u, which %s %s%s.", write ? "writes" : "reads", (size_t)(at - place->from),
                 place->index, who, wrote ? "written" : "read",
                 here && m->who != JC_READ_BLOCKS ? " since the last barrier" : "; blocks run in no order");
}

/* An access within one chunk. */
static bool watch_part(jc_sim_thread *t, const jc_sim_place *place, uintptr_t at, uint32_t size, bool write) {
    jc_sim_chunk *c = chunk_for(&t->sim->watch, at, size);
    if (!c) {
        jc_sim_fault(t, "there is no memory to watch what it touches.");
        return false;
    }
    jc_shadow *b = c->marks + (at % CHUNK >> c->shift), *end = b + (size >> c->shift);
    for (; b < end; b++, at += (uintptr_t)1 << c->shift) {
        const jc_mark *before = !ordered(t, &b->write) ? &b->write : write && !ordered(t, &b->read) ? &b->read : NULL;
        if (before) {
            report(t, write, place, at, before, before == &b->write);
            return false;
        }
        if (write)
            b->write = jc_sim_mark(t, t->tid + 1);
        else
            note_read(t, &b->read);
    }
    return true;
}

bool jc_sim_watch_access(jc_sim_thread *t, const jc_sim_place *place, uintptr_t at, uint32_t size, bool write) {
    while (size) {
        uint32_t room = CHUNK - (uint32_t)(at % CHUNK), part = size < room ? size : room;
        if (!watch_part(t, place, at, part, write))
            return false;
        at += part;
        size -= part;
    }
    return true;
}
