/*
 * runtime/sim.c - the simulator: launches, the order of threads, barriers, faults.
 *
 * Blocks run one after the other.  Every thread of a block is a fiber; one runs until it waits (barrier, warp operation) or
 * ends, and then a random one of those that can go on is switched to directly.  When none can, the launch's own
 * stack decides: all ended, or a deadlock.  After a fault the launch is left as it stands: its fibers hold nothing
 * that would have to be given back, except the lists of copies, which belong to the threads' records.
 */
#include "runtime/sim_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- random numbers, faults -------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) */
static uint64_t mix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint32_t jc_sim_random(jc_sim *s, uint32_t below) {
    return (uint32_t)((mix(&s->random) >> 32) * below >> 32);
}

void jc_sim_fault(jc_sim_thread *t, const char *format, ...) {
    jc_sim *s = t->sim;
    if (s->faulted)
        return;
    char what[640];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    s->faulted = true;
    jc_fail(s->err, JITC_E_DEVICE, "Kernel %s: block %lld, thread %u (warp %u, lane %u): %s", s->launch->name,
            (long long)s->block, t->tid, t->warp, t->lane, what);
}

/* ---- who runs ---------------------------------------------------------------------------------------------------- */

void jc_sim_can_run(jc_sim_thread *t) {
    t->state = JC_SIM_RUNS;
    t->sim->ready[t->sim->nready++] = t;
}

void jc_sim_next(jc_sim_thread *self) {
    jc_sim *s = self->sim;
    if (jc_fiber_overflown(&self->fiber))
        jc_sim_fault(self, "its stack of %zu bytes has overflown.", JC_FIBER_STACK);
    if (self->ncopies)
        jc_sim_land_some(self);
    jc_fiber *to = &s->fibers.main;
    if (!s->faulted && s->nready) {
        uint32_t i = jc_sim_random(s, s->nready);
        jc_sim_thread *next = s->ready[i];
        s->ready[i] = s->ready[--s->nready];
        if (next == self)
            return;
        to = &next->fiber;
    }
    jc_fiber_switch(&s->fibers, to);
}

static void run_thread(void *arg) {
    jc_sim_thread *self = arg;
    jc_sim *s = self->sim;
    jc_fiber_entered(&s->fibers);
    s->launch->kernel(s->launch->args, self);
    self->state = JC_SIM_ENDED;
    self->fiber.ended = true;
    s->ended++;
    jc_sim_next(self);
}

/* ---- what threads ask for ---------------------------------------------------------------------------------------- */

int32_t jc_sim_tid(jc_sim_thread *self) {
    return (int32_t)self->tid;
}

int64_t jc_sim_block(jc_sim_thread *self) {
    return self->sim->block;
}

uint8_t *jc_sim_shared(jc_sim_thread *self) {
    return self->sim->shared;
}

void jc_sim_barrier(jc_sim_thread *self) {
    jc_sim *s = self->sim;
    self->state = JC_SIM_BARRIER;
    if (++s->at_barrier == s->nthreads) {
        s->at_barrier = 0;
        s->epoch++;
        for (uint32_t i = 0; i < s->nthreads; i++)
            jc_sim_can_run(&s->threads[i]);
    }
    jc_sim_next(self);
}

/* ---- deadlock ---------------------------------------------------------------------------------------------------- */

static const char *const waits_at[] = {
    [JC_SIM_RUNS] = "runs",
    [JC_SIM_BARRIER] = "waits at a barrier",
    [JC_SIM_SYNC] = "waits at a warp sync",
    [JC_SIM_SHUFFLE] = "waits at a shuffle",
    [JC_SIM_LDMATRIX] = "waits at an ldmatrix",
    [JC_SIM_MMA] = "waits at an mma",
    [JC_SIM_WGMMA] = "waits at a wgmma",
    [JC_SIM_ENDED] = "has ended",
};

static bool waits_for_warp(const jc_sim_thread *t) {
    return t->state >= JC_SIM_SYNC && t->state <= JC_SIM_WGMMA;
}

/* Nobody can go on: says who waits for whom. A warp that parted is named first, since it explains the rest. */
static void report_deadlock(jc_sim *s) {
    jc_sim_thread *one = NULL, *other = NULL;
    for (uint32_t i = 0; i < s->nthreads && !other; i++) {
        jc_sim_thread *t = &s->threads[i];
        if (!waits_for_warp(t))
            continue;
        for (uint32_t lane = 0; lane < jc_sim_lanes(s, t->warp) && !other; lane++) {
            jc_sim_thread *mate = &s->threads[t->warp * JC_WARP + lane];
            if (mate->state != t->state || mate->how != t->how) {
                one = t;
                other = mate;
            }
        }
    }
    if (other && other->state == one->state) {
        jc_sim_fault(one, "deadlock: it %s (%d), while lane %u of its warp waits at a different one (%d).",
                     waits_at[one->state], one->how, other->lane, other->how);
        return;
    }
    if (other) {
        jc_sim_fault(one, "deadlock: it %s, while lane %u of its warp %s.", waits_at[one->state], other->lane,
                     waits_at[other->state]);
        return;
    }
    for (uint32_t i = 0; i < s->nthreads; i++) {
        if (s->threads[i].state == JC_SIM_BARRIER)
            one = &s->threads[i];
        else
            other = &s->threads[i];
    }
    if (one && other)
        jc_sim_fault(one, "deadlock: it waits at a barrier with %u of %u threads, while thread %u %s.", s->at_barrier,
                     s->nthreads, other->tid, waits_at[other->state]);
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

uint32_t jc_sim_lanes(const jc_sim *s, uint32_t warp) {
    uint32_t rest = s->nthreads - warp * JC_WARP;
    return rest < JC_WARP ? rest : JC_WARP;
}

static void run_block(jc_sim *s, int64_t block) {
    s->block = block;
    s->nready = s->at_barrier = s->ended = 0;
    s->epoch = 1;
    memset(s->in_warp, 0, s->nwarps * sizeof *s->in_warp);
    memset(s->sync, 0, s->nwarps * sizeof *s->sync);
    jc_sim_memory_block(s);
    for (uint32_t i = 0; i < s->nthreads; i++) {
        jc_sim_thread *t = &s->threads[i];
        t->ncopies = 0;
        t->committed = 0;
        t->ngroups = t->fenced = 0;
        jc_fiber_prepare(&t->fiber, run_thread, t);
        jc_sim_can_run(t);
    }
    uint32_t first = jc_sim_random(s, s->nready);
    jc_sim_thread *t = s->ready[first];
    s->ready[first] = s->ready[--s->nready];
    jc_fiber_switch(&s->fibers, &t->fiber);
    if (!s->faulted && s->ended != s->nthreads)
        report_deadlock(s);
}

static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* All blocks, in an order that a random step through them gives. */
static void run_blocks(jc_sim *s) {
    uint64_t n = (uint64_t)s->launch->blocks, step = mix(&s->random) % n + 1, at = mix(&s->random) % n;
    while (gcd(step, n) != 1)
        step++;
    for (uint64_t i = 0; i < n && !s->faulted; i++) {
        run_block(s, (int64_t)at);
        at = (uint64_t)(((unsigned __int128)at + step) % n);
    }
}

static bool open_threads(jc_sim *s) {
    s->threads = calloc(s->nthreads, sizeof *s->threads);
    s->each = calloc(s->nthreads, sizeof(jc_fiber *));
    s->ready = calloc(s->nthreads, sizeof(jc_sim_thread *));
    s->in_warp = calloc(s->nwarps, sizeof *s->in_warp);
    s->sync = calloc(s->nwarps, sizeof *s->sync);
    if (!s->threads || !s->each || !s->ready || !s->in_warp || !s->sync)
        return false;
    for (uint32_t i = 0; i < s->nthreads; i++) {
        jc_sim_thread *t = &s->threads[i];
        t->sim = s;
        t->tid = i;
        t->warp = i / JC_WARP;
        t->lane = i % JC_WARP;
        s->each[i] = &t->fiber;
    }
    return jc_fibers_open(&s->fibers, s->each, s->nthreads);
}

static void close_threads(jc_sim *s) {
    if (s->fibers.area)
        jc_fibers_close(&s->fibers, s->each, s->nthreads);
    for (uint32_t i = 0; s->threads && i < s->nthreads; i++)
        free(s->threads[i].copies);
    free(s->threads);
    free(s->each);
    free(s->ready);
    free(s->in_warp);
    free(s->sync);
}

jitc_status jc_sim_run(const jc_sim_launch *l, jc_error *err) {
    if (l->threads < 1 || l->threads > JC_SIM_MAX_THREADS)
        return jc_fail(err, JITC_E_DEVICE, "Kernel %s: a block of %u threads is not possible; 1 to %u are.", l->name,
                       l->threads, JC_SIM_MAX_THREADS);
    if (l->blocks <= 0)
        return JITC_OK;
    jc_error own = JC_ERROR_INIT; /* the first fault counts, whatever ERR holds already */
    jc_sim *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    if (!s)
        return jc_fail(err, JITC_E_NOMEM, "There is no memory to simulate kernel %s.", l->name);
    memset(s, 0, sizeof *s);
    s->launch = l;
    s->err = &own;
    s->random = l->seed;
    s->nthreads = l->threads;
    s->nwarps = (l->threads + JC_WARP - 1) / JC_WARP;
    if (open_threads(s) && jc_sim_memory_open(s))
        run_blocks(s);
    else
        jc_fail(&own, JITC_E_NOMEM, "There is no memory to simulate kernel %s with %u threads.", l->name, l->threads);
    jc_sim_memory_close(s);
    close_threads(s);
    free(s);
    return own.status == JITC_OK ? JITC_OK : jc_fail(err, own.status, "%s", own.message);
}

const jc_loader_symbol jc_sim_symbols[] = {
#define ROW(name, ret, params) { #name, (void *)name },
    JC_SIM_CALLS(ROW)
#undef ROW
};
const uint32_t jc_sim_nsymbols = sizeof jc_sim_symbols / sizeof *jc_sim_symbols;
