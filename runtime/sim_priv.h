/*
 * runtime/sim_priv.h - the simulator's parts: fibers (sim_switch.c), scheduling and barriers (sim.c), memory
 * (sim_memory.c), races in global memory (sim_watch.c), what a warp does together (sim_warp.c).
 */
#ifndef JC_SIM_PRIV_H
#define JC_SIM_PRIV_H

#include <stdbool.h>
#include "runtime/sim.h"

#define JC_WARP 32u
#define JC_SIM_MAX_THREADS 1024u
#define JC_FIBER_STACK ((size_t)64 << 10)

/* ---- fibers (sim_switch.c) -------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define JC_FIBER_ASM 1
#else
#define JC_FIBER_ASM 0
#include <ucontext.h>
#endif

typedef struct jc_fiber {
#if JC_FIBER_ASM
    void *sp;
#else
    ucontext_t context;
#endif
    uint8_t *stack;      /* JC_FIBER_STACK bytes; the sanitizer's idea of it for the main fiber */
    size_t size;
    void *fake;          /* the sanitizer's */
    uintptr_t registered; /* valgrind's number */
    bool ended;          /* will not be switched to again */
} jc_fiber;

/* All fibers of a launch, and the caller's own. */
typedef struct jc_fibers {
    jc_fiber main;
    jc_fiber *running, *previous;
    uint8_t *area;       /* the stacks */
    size_t size;
} jc_fibers;

bool jc_fibers_open(jc_fibers *fs, jc_fiber *const *each, uint32_t n); /* false: no memory */
void jc_fibers_close(jc_fibers *fs, jc_fiber *const *each, uint32_t n);
/* F will run ENTRY(ARG), which must not return, when first switched to. Whatever it ran before is forgotten. */
void jc_fiber_prepare(jc_fiber *f, void (*entry)(void *arg), void *arg);
void jc_fiber_entered(jc_fibers *fs); /* the first thing ENTRY does */
void jc_fiber_switch(jc_fibers *fs, jc_fiber *to);
bool jc_fiber_overflown(const jc_fiber *f);

/* ---- threads ---------------------------------------------------------------------------------------------------- */

typedef enum jc_sim_state {
    JC_SIM_RUNS,      /* or could */
    JC_SIM_BARRIER,
    JC_SIM_SYNC,
    JC_SIM_SHUFFLE,
    JC_SIM_LDMATRIX,
    JC_SIM_MMA,
    JC_SIM_WGMMA,
    JC_SIM_ENDED,
} jc_sim_state;

typedef struct jc_sim_place jc_sim_place;
typedef struct jc_sim_chunk jc_sim_chunk;

/* One cp.async that was not waited for yet. */
typedef struct jc_sim_copy {
    uint32_t at;          /* in shared memory */
    uint32_t size, valid;
    const void *from;
    const jc_sim_place *place; /* FROM's, where it is watched */
    uint64_t group;
    bool landed;
} jc_sim_copy;

/* A group of wgmma that was not waited for yet: what one lane has of it. */
typedef struct jc_sim_group {
    const uint8_t *a, *b;
    float *const *sums;
    int32_t how;
} jc_sim_group;
#define JC_SIM_GROUPS 4u

typedef struct jc_sim jc_sim;

struct jc_sim_thread {
    jc_fiber fiber;
    jc_sim *sim;
    uint32_t tid, warp, lane;
    uint8_t state;        /* jc_sim_state */
    /* what it brought to the warp's common operation */
    int32_t how;          /* mask; trans; bf16: must be the same in all lanes */
    uint32_t value;       /* shuffle: in and out */
    const void *address;  /* ldmatrix: checked row */
    uint32_t *out;
    const uint32_t *a, *b;
    float *c;
    /* asynchronous copies, oldest first */
    jc_sim_copy *copies;
    uint32_t ncopies, copies_cap;
    uint64_t committed;   /* groups */
    /* products of its warpgroup that run, oldest first; the barriers that were passed at its last fence */
    jc_sim_group groups[JC_SIM_GROUPS];
    uint32_t ngroups, fenced;
};

/* Who touched a byte last, and when. */
typedef struct jc_mark {
    uint64_t block : 47;
    uint64_t pending : 1; /* an asynchronous copy that WHO has not waited for */
    uint64_t who : 16;    /* thread + 1, 0: nobody; of reads also JC_READ_WARP + warp, JC_READ_MANY, JC_READ_BLOCKS */
    uint32_t epoch, sync; /* the block's and the warp's count of waits at that time */
} jc_mark;
#define JC_READ_WARP 0x8000u   /* several lanes of one warp */
#define JC_READ_MANY 0xffffu   /* lanes of several warps of one block */
#define JC_READ_BLOCKS 0xfffeu /* several blocks */

/* What is known about a byte of memory. */
typedef struct jc_shadow {
    jc_mark write, read;
} jc_shadow;

/* A range of global memory; sorted by start. */
struct jc_sim_place {
    uintptr_t from, to, reach; /* REACH: the largest TO up to here */
    uint32_t index;            /* among the launch's ranges */
    bool written;
    bool watched;              /* it or a range that overlaps it is written */
};

/* What was touched of the watched ranges. */
typedef struct jc_sim_watch {
    jc_sim_chunk *chunks; /* a hash table of 1 << BITS; none when BITS is 0 */
    size_t nchunks;
    uint32_t bits;
} jc_sim_watch;

struct jc_sim {
    const jc_sim_launch *launch;
    jc_error *err;
    bool faulted;
    uint64_t random;
    int64_t block;

    jc_fibers fibers;
    jc_sim_thread *threads;
    jc_fiber **each;
    uint32_t nthreads, nwarps;
    jc_sim_thread **ready;    /* threads that can go on, in no order */
    uint32_t nready, at_barrier, ended;
    uint32_t *in_warp;        /* lanes that wait for their warp */
    uint32_t epoch;           /* barriers passed in this block, from 1 */
    uint32_t *sync;           /* warp_syncs passed, per warp */

    jc_sim_place *places;
    uint32_t nplaces, last;   /* LAST: the place of the previous access */
    jc_sim_watch watch;
    uint8_t *shared;
    jc_shadow *shadow;
    _Alignas(64) uint8_t scratch[1024]; /* what a faulting access gets */
};

/* sim.c */
uint32_t jc_sim_random(jc_sim *s, uint32_t below);
/* Records the first fault of the launch. */
void jc_sim_fault(jc_sim_thread *t, const char *format, ...) JC_PRINTF(2, 3);
void jc_sim_can_run(jc_sim_thread *t);  /* puts T among the ready ones */
void jc_sim_next(jc_sim_thread *self);  /* lets another thread run, if there is one, else the launch decides */
uint32_t jc_sim_lanes(const jc_sim *s, uint32_t warp);

/* sim_memory.c */
bool jc_sim_memory_open(jc_sim *s);     /* false: no memory */
void jc_sim_memory_close(jc_sim *s);
void jc_sim_memory_block(jc_sim *s);    /* poisons shared memory for a new block */
bool jc_sim_in_shared(const jc_sim *s, const void *address, uint32_t size);
void jc_sim_land_some(jc_sim_thread *t);
/* T's tensor cores read SIZE bytes at ADDRESS of shared memory; false: they may not, and the launch has faulted. */
bool jc_sim_async_read(jc_sim_thread *t, const void *address, uint32_t size);

/* sim_watch.c */
/* Notes an access within PLACE, which is watched; false: it is a race, and the launch has faulted. */
bool jc_sim_watch_access(jc_sim_thread *t, const jc_sim_place *place, uintptr_t at, uint32_t size, bool write);
void jc_sim_watch_close(jc_sim *s);

/* ---- order, in shared and in global memory ----------------------------------------------------------------------- */

static inline jc_mark jc_sim_mark(const jc_sim_thread *t, uint32_t who) {
    const jc_sim *s = t->sim;
    return (jc_mark){ .block = (uint64_t)s->block, .who = who, .epoch = s->epoch, .sync = s->sync[t->warp] };
}

/* Is M, of T's block, before what T does now? A barrier lies between, or both are of one warp and a warp sync does, or both
   are T's. */
static inline bool jc_sim_ordered(const jc_sim_thread *t, const jc_mark *m) {
    const jc_sim *s = t->sim;
    if (!m->who || m->epoch < s->epoch || m->who == t->tid + 1)
        return true;
    if (m->who == JC_READ_MANY)
        return false;
    uint32_t warp = m->who & JC_READ_WARP ? m->who & ~JC_READ_WARP : (m->who - 1u) / JC_WARP;
    return warp == t->warp && m->sync < s->sync[warp];
}

/* Joins a read by T to M, the reads of T's block. */
static inline void jc_sim_note_read(const jc_sim_thread *t, jc_mark *m) {
    uint32_t who = t->tid + 1;
    if (!jc_sim_ordered(t, m)) {
        uint32_t warp = m->who & JC_READ_WARP ? m->who & ~JC_READ_WARP : (m->who - 1u) / JC_WARP;
        who = warp == t->warp ? JC_READ_WARP | warp : JC_READ_MANY;
    }
    *m = jc_sim_mark(t, who);
}

#endif
