/*
 * cache/cache.c - the way from memory through the tiers to a build, and single flight.
 *
 * Who finds an entry in memory takes no lock.  One lock guards the builds under way, the flights; it is never held while
 * reading, building or writing.  A flight is claimed by whoever is to build; others who would build the same wait for its
 * end and then start over: they find the entry, or claim a flight of their own.  So nobody inherits another's
 * failure, and failures are not cached.  Looking (jc_cache_find) knows nothing of flights.
 *
 * Among processes it is the same with locks (cache/lock.h) in place of flights: whoever has claimed a flight takes the entry's lock, or asks
 * again and again whether it is free and the entry there.  Asking costs some 15 us, so the pauses grow with what was waited for.
 *
 * What was read or built stays until the cache is closed: each entry in an arena of its own, kept in a list.
 */
#include "cache/cache.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "cache/history.h"
#include "cache/lock.h"
#include "cache/prune.h"

#define MAX_TIERS 18u /* memory, disk, and what is added */

/* In the arena of the entry that is to be. */
typedef struct flight {
    struct flight *next;
    jc_key key;
    jc_arena *arena;
    jc_lock lock;
    bool done, failed;
    unsigned waiters;
} flight;

typedef struct held {
    struct held *next;
    jc_arena *arena; /* which holds this too */
} held;

struct jc_cache {
    const jc_alloc *alloc;
    const jc_log *log;
    jc_arena *arena, *memory_arena;
    jc_tier *tiers[MAX_TIERS]; /* the first is memory */
    size_t ntiers;
    const char *dir, *warning;
    jc_disk *disk;             /* NULL: memory alone */
    jc_mac_key *mac;           /* NULL: none */
    jc_cache_settings settings;
    struct {
        atomic_uint writes;    /* that failed, in a row */
        atomic_uint_fast64_t not_stored;
        atomic_bool unread;    /* it has been told that it cannot be read */
    } trouble[MAX_TIERS];
    atomic_bool impatient;     /* a wait for another process was in vain */
    atomic_uint_fast64_t from[JC_FROM_COUNT], waited, waited_processes, unlocked, differing;
    pthread_mutex_t lock;
    pthread_cond_t landed;
    flight *flights;           /* under the lock, like the rest */
    held *held;
};

const char *jc_cache_from_text(jc_cache_from from) {
    static const char *const words[] = { "in memory", "on disk", "in a read-only cache", "built" };
    return words[from];
}

/* --- opening and closing --- */

static void open_tiers(jc_cache *c, const char *dir) {
    c->tiers[c->ntiers++] = jc_tier_table(c->memory_arena, "memory", "", JC_FROM_MEMORY);
    c->disk = dir && *dir ? jc_disk_open_keyed(c->arena, dir, false, c->mac, &c->warning) : NULL;
    if (c->disk) {
        c->tiers[c->ntiers++] = jc_disk_tier(c->disk);
        c->dir = jc_disk_dir(c->disk);
    }
}

static jitc_status open_in(jc_arena *arena, jc_arena *memory, const char *dir, const jc_mac_key *mac, const jc_alloc *alloc,
                           const jc_log *log, jc_cache **out) {
    jc_guard outer, inner;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(arena, &outer) == 0 && JC_GUARD(memory, &inner) == 0) {
        jc_cache *c = JC_NEW(arena, jc_cache);
        c->arena = arena;
        c->memory_arena = memory;
        c->alloc = alloc;
        c->log = log;
        c->mac = mac ? jc_arena_memdup(arena, mac, sizeof *mac) : NULL;
        c->settings = (jc_cache_settings)JC_CACHE_DEFAULTS;
        open_tiers(c, dir);
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->landed, NULL);
        *out = c;
        status = JITC_OK;
    }
    jc_guard_end(memory, &inner);
    jc_guard_end(arena, &outer);
    return status;
}

jitc_status jc_cache_open_keyed(const char *dir, const jc_mac_key *mac, const jc_alloc *alloc, const jc_log *log, jc_cache **out, jc_error *err) {
    jc_arena *arena = jc_arena_new(alloc), *memory = jc_arena_new(alloc);
    *out = NULL;
    if (arena && memory && open_in(arena, memory, dir, mac, alloc, log, out) == JITC_OK)
        return JITC_OK;
    jc_arena_free(arena);
    jc_arena_free(memory);
    return jc_fail(err, JITC_E_NOMEM, "out of memory while opening the cache");
}

jitc_status jc_cache_open(const char *dir, const jc_alloc *alloc, const jc_log *log, jc_cache **out, jc_error *err) {
    return jc_cache_open_keyed(dir, NULL, alloc, log, out, err);
}

const jc_mac_key *jc_cache_mac(const jc_cache *c) {
    return c->mac;
}

/* What this process had from the cache goes into the directory's history. */
static void leave(jc_cache *c) {
    jc_cache_stats s;
    uint64_t answers = 0;
    jc_cache_get_stats(c, &s);
    for (int i = 0; i < JC_FROM_COUNT; i++)
        answers += s.from[i];
    if (c->disk && answers)
        jc_history_used(c->disk, &s);
}

void jc_cache_close(jc_cache *c) {
    if (!c)
        return;
    leave(c);
    for (size_t i = 0; i < c->ntiers; i++)
        jc_tier_close(c->tiers[i]);
    for (held *h = c->held, *next; h; h = next) {
        next = h->next;
        jc_arena_free(h->arena);
    }
    pthread_cond_destroy(&c->landed);
    pthread_mutex_destroy(&c->lock);
    jc_arena_free(c->memory_arena);
    jc_arena_free(c->arena);
}

void jc_cache_set(jc_cache *c, const jc_cache_settings *settings) {
    c->settings = *settings;
}

const jc_cache_settings *jc_cache_get_settings(const jc_cache *c) {
    return &c->settings;
}

const char *jc_cache_dir(const jc_cache *c) {
    return c->dir;
}

const char *jc_cache_warning(const jc_cache *c) {
    return c->warning;
}

bool jc_cache_add(jc_cache *c, jc_tier *tier) {
    if (c->ntiers == MAX_TIERS)
        return false;
    c->tiers[c->ntiers++] = tier;
    return true;
}

jc_tier *jc_cache_tier(jc_cache *c, size_t i) {
    return i < c->ntiers ? c->tiers[i] : NULL;
}

static bool gave_up(const jc_cache *c, size_t tier) {
    return atomic_load(&c->trouble[tier].writes) >= JC_CACHE_GIVE_UP;
}

void jc_cache_get_stats(jc_cache *c, jc_cache_stats *out) {
    *out = (jc_cache_stats){ .waited = atomic_load(&c->waited), .waited_processes = atomic_load(&c->waited_processes),
                             .unlocked = atomic_load(&c->unlocked), .differing = atomic_load(&c->differing) };
    for (int i = 0; i < JC_FROM_COUNT; i++)
        out->from[i] = atomic_load(&c->from[i]);
    for (size_t i = 1; i < c->ntiers; i++) {
        jc_tier_stats s;
        out->not_stored += atomic_load(&c->trouble[i].not_stored);
        out->gave_up |= gave_up(c, i);
        jc_tier_get_stats(c->tiers[i], &s);
        out->stored += s.stored;
        out->corrupt += s.corrupt;
        out->foreign += s.foreign;
        out->io_errors += s.errors;
    }
}

/* --- entries --- */

typedef struct found {
    const uint8_t *bytes;
    size_t n;
    jc_cache_from from;
    double ms; /* that building took */
} found;

static bool in_memory(jc_cache *c, const jc_key *key, found *f) {
    f->from = JC_FROM_MEMORY;
    return c->tiers[0]->ops->get(c->tiers[0], key, NULL, &f->bytes, &f->n) == JC_TIER_HIT;
}

static void answer(jc_cache *c, const found *f, const uint8_t **out, size_t *n, jc_cache_from *from) {
    *out = f->bytes;
    *n = f->n;
    if (from)
        *from = f->from;
    atomic_fetch_add_explicit(&c->from[f->from], 1, memory_order_relaxed);
}

/* ARENA, which holds KEY and what F found, is the cache's from now on.  Under the lock.  False when memory is out: then it is not. */
static bool keep(jc_cache *c, jc_arena *arena, const jc_key *key, const found *f) {
    jc_guard guard;
    held *volatile h = NULL;
    if (JC_GUARD(arena, &guard) == 0)
        h = JC_NEW(arena, held);
    jc_guard_end(arena, &guard);
    if (!h || !jc_tier_put(c->tiers[0], key, f->bytes, f->n))
        return false;
    *h = (held){ c->held, arena };
    c->held = h;
    return true;
}

static void log_entry(const jc_cache *c, const jc_tier *t, const jc_key *key, const char *what, size_t n) {
    char hex[2 * JC_HASH_SIZE + 1];
    if (!c->log || !(c->log->debug & JC_DEBUG_CACHE))
        return;
    jc_hash_hex(&key->hash, hex);
    if (n)
        jc_log_line(c->log, "cache: %.12s %s %s (%s), %zu bytes", hex, what, t->where, t->ops->name, n);
    else
        jc_log_line(c->log, "cache: %.12s %s %s (%s)", hex, what, t->where, t->ops->name);
}

static const char *reason(int why) {
    return why ? strerror(why) : "memory is out, or it is too large";
}

/* Trouble is no failure, but whoever runs this wants to know why nothing is found. */
static void tell_unread(jc_cache *c, size_t tier, int why) {
    if (!atomic_exchange(&c->trouble[tier].unread, true))
        jc_log_line(c->log, "warning: the cache %s cannot be read: %s; what is there is compiled again", c->tiers[tier]->where, reason(why));
}

static void not_stored(jc_cache *c, size_t tier, int why) {
    const char *where = c->tiers[tier]->where;
    if (atomic_fetch_add(&c->trouble[tier].not_stored, 1) == 0)
        jc_log_line(c->log, "warning: what was compiled cannot be stored in the cache %s: %s", where, reason(why));
    if (atomic_fetch_add(&c->trouble[tier].writes, 1) + 1 == JC_CACHE_GIVE_UP)
        jc_log_line(c->log, "warning: after %u failures in a row nothing more is stored in the cache %s by this process", JC_CACHE_GIVE_UP, where);
}

/* The first tier below memory that has it. */
static bool below(jc_cache *c, const jc_key *key, jc_arena *arena, found *f) {
    static const char *const words[] = { "found in", "not in", "damaged in", "not by our key in", "not readable in" };
    for (size_t i = 1; i < c->ntiers; i++) {
        jc_tier *t = c->tiers[i];
        f->n = 0;
        errno = 0;
        jc_tier_result r = jc_tier_get(t, key, arena, &f->bytes, &f->n);
        if (r == JC_TIER_ERROR)
            tell_unread(c, i, errno);
        log_entry(c, t, key, words[r], f->n);
        f->from = t->from;
        if (r == JC_TIER_HIT)
            return true;
    }
    return false;
}

/* In every tier that takes it and does not have it: another process may have been faster. */
static void store(jc_cache *c, const jc_key *key, const found *f) {
    for (size_t i = 1; i < c->ntiers; i++) {
        jc_tier *t = c->tiers[i];
        if (t->read_only || gave_up(c, i) || jc_tier_probe(t, key))
            continue;
        errno = 0;
        bool ok = jc_tier_put(t, key, f->bytes, f->n);
        if (!ok)
            not_stored(c, i, errno);
        else
            atomic_store(&c->trouble[i].writes, 0);
        log_entry(c, t, key, ok ? "stored in" : "could not be stored in", f->n);
    }
}

static void copy_key(jc_key *to, const jc_key *from, jc_arena *arena) {
    *to = *from;
    to->preimage = jc_arena_memdup(arena, from->preimage, from->npreimage);
}

/* --- looking --- */

/* What was found below stays; where another thread has been faster, its bytes serve. */
static bool keep_found(jc_cache *c, jc_arena *arena, const jc_key *key, found *f) {
    found theirs;
    pthread_mutex_lock(&c->lock);
    bool other = in_memory(c, key, &theirs), ok = other || keep(c, arena, key, f);
    pthread_mutex_unlock(&c->lock);
    if (other)
        *f = theirs;
    if (other || !ok)
        jc_arena_free(arena);
    return ok;
}

bool jc_cache_find(jc_cache *c, const jc_key *key, const uint8_t **out, size_t *n, jc_cache_from *from) {
    found f;
    jc_key own;
    jc_guard guard;
    if (!in_memory(c, key, &f)) {
        jc_arena *arena = c->ntiers > 1 && !c->settings.paranoid ? jc_arena_new(c->alloc) : NULL;
        volatile bool there = false;
        if (!arena)
            return false;
        if (JC_GUARD(arena, &guard) == 0 && below(c, key, arena, &f)) {
            copy_key(&own, key, arena);
            there = true;
        }
        jc_guard_end(arena, &guard);
        if (!there)
            jc_arena_free(arena);
        if (!there || !keep_found(c, arena, &own, &f))
            return false;
    }
    answer(c, &f, out, n, from);
    return true;
}

/* --- flights; the lock is held --- */

static flight *in_flight(jc_cache *c, const jc_key *key) {
    flight *f = c->flights;
    while (f && (memcmp(&f->key.hash, &key->hash, sizeof key->hash) != 0 || f->key.npreimage != key->npreimage ||
                 memcmp(f->key.preimage, key->preimage, key->npreimage) != 0))
        f = f->next;
    return f;
}

/* NULL when memory is out. */
static flight *claim(jc_cache *c, const jc_key *key) {
    jc_arena *arena = jc_arena_new(c->alloc);
    jc_guard guard;
    flight *volatile f = NULL;
    if (!arena)
        return NULL;
    if (JC_GUARD(arena, &guard) == 0) {
        flight *made = JC_NEW(arena, flight);
        copy_key(&made->key, key, arena);
        made->arena = arena;
        made->lock = (jc_lock)JC_LOCK_INIT;
        f = made;
    }
    jc_guard_end(arena, &guard);
    if (!f) {
        jc_arena_free(arena);
        return NULL;
    }
    f->next = c->flights;
    c->flights = f;
    return f;
}

/* Gives the lock up while waiting. */
static void wait_for(jc_cache *c, flight *f) {
    atomic_fetch_add_explicit(&c->waited, 1, memory_order_relaxed);
    f->waiters++;
    while (!f->done)
        pthread_cond_wait(&c->landed, &c->lock);
    if (--f->waiters == 0 && f->failed)
        jc_arena_free(f->arena);
}

/* The end of a flight. A failed one goes with the last who waits. */
static void land(jc_cache *c, flight *f, bool failed) {
    flight **p = &c->flights;
    while (*p != f)
        p = &(*p)->next;
    *p = f->next;
    f->done = true;
    f->failed = failed;
    pthread_cond_broadcast(&c->landed);
    if (failed && f->waiters == 0)
        jc_arena_free(f->arena);
}

/* --- turns among processes --- */

#define TOLD_AFTER_MS 5000

/* Somebody who asks whether it is his turn. */
typedef struct wait {
    const jc_cache_builder *builder;
    double start, until; /* ms */
    bool asked, told;
} wait;

static wait wait_of(const jc_cache_builder *builder, double patience_ms) {
    double now = jc_now_ms();
    return (wait){ .builder = builder, .start = now, .until = now + patience_ms };
}

/* Whom we wait for: at once for who reads such lines; everybody is told after a while, for nothing seems to happen. */
static void say_whom(jc_cache *c, const jc_lock *l, wait *w) {
    char hex[2 * JC_HASH_SIZE + 1], who[JC_LOCK_WHO_SIZE];
    const bool late = jc_now_ms() - w->start > TOLD_AFTER_MS;
    const bool tell = late ? !w->told : !w->asked && c->log && c->log->debug & JC_DEBUG_CACHE;
    w->asked = true;
    w->told |= late;
    if (!tell)
        return;
    jc_hash_hex(&l->key, hex);
    jc_lock_who(l, who);
    jc_log_line(c->log, "cache: %.12s is being built by %s; waiting", hex, who);
}

/* Pauses, a quarter of what has been waited for but 4 to 50 ms; false once the wait is over. */
static bool pause_in(const wait *w) {
    double now = jc_now_ms(), ms = (now - w->start) / 4, left = w->until - now;
    if (left <= 0 || (w->builder->stop && w->builder->stop(w->builder->user)))
        return false;
    ms = ms < 4 ? 4 : ms > 50 ? 50 : ms;
    ms = ms < left ? ms : left;
    (void)nanosleep(&(struct timespec){ .tv_nsec = (long)(ms * 1e6) }, NULL);
    return true;
}

/* False where others have it still when the wait is over. */
static bool wait_while_others(jc_cache *c, const jc_lock *l, wait *w) {
    while (jc_lock_ask(l) == JC_LOCK_OTHERS) {
        say_whom(c, l, w);
        if (!pause_in(w))
            return false;
    }
    return true;
}

/* Has the entry been stored on the disk? Where it has, F gets it. */
static bool appeared(jc_cache *c, const jc_key *key, jc_arena *arena, found *f) {
    return jc_tier_probe(jc_disk_tier(c->disk), key) && below(c, key, arena, f);
}

static bool takes_turns(const jc_cache *c) {
    return c->disk && c->settings.wait_ms && !c->settings.paranoid && !atomic_load(&c->impatient);
}

/* Takes the lock when it is our turn; true where the entry came first. */
static bool wait_with(jc_cache *c, flight *f, const jc_cache_builder *builder, found *into) {
    wait w = wait_of(builder, c->settings.wait_ms);
    jc_lock_state state;
    while ((state = jc_lock_take(&f->lock)) == JC_LOCK_OTHERS) {
        atomic_fetch_add(&c->waited_processes, !w.asked);
        if (!wait_while_others(c, &f->lock, &w)) {
            if (jc_now_ms() >= w.until)
                atomic_store(&c->impatient, true);
            break;
        }
        if (appeared(c, &f->key, f->arena, into))
            return true;
    }
    atomic_fetch_add(&c->unlocked, state != JC_LOCK_FREE);
    return appeared(c, &f->key, f->arena, into);
}

/* True where the entry is there in the end; else it is for us to build, under its lock if that can be had. */
static bool wait_for_turn(jc_cache *c, flight *f, const jc_cache_builder *builder, found *into) {
    if (takes_turns(c) && jc_lock_open(c->disk, &f->key.hash, false, &f->lock))
        return wait_with(c, f, builder, into);
    atomic_fetch_add(&c->unlocked, c->disk != NULL);
    return false;
}

/* Neither building it nor claiming to is held by others, any longer. */
static bool is_free(jc_cache *c, const jc_key *key, wait *w) {
    jc_lock claim;
    if (!takes_turns(c) || !jc_lock_open(c->disk, &key->hash, true, &claim))
        return true;
    bool free = wait_while_others(c, &claim, w);
    jc_lock_close(&claim);
    return free;
}

jc_cache_turn jc_cache_await(jc_cache *c, const jc_key *key, double patience_ms, const jc_cache_builder *builder) {
    const uint8_t *bytes;
    size_t n;
    wait w = wait_of(builder, patience_ms);
    if (!is_free(c, key, &w))
        return JC_TURN_OTHERS;
    return jc_cache_find(c, key, &bytes, &n, NULL) ? JC_TURN_THERE : JC_TURN_OURS;
}

bool jc_cache_claim(jc_cache *c, const jc_key *key, jc_lock *claim) {
    *claim = (jc_lock)JC_LOCK_INIT;
    if (!takes_turns(c) || !jc_lock_open(c->disk, &key->hash, true, claim) || jc_lock_take(claim) != JC_LOCK_OTHERS)
        return true;
    jc_lock_close(claim);
    return false;
}

bool jc_cache_elsewhere(jc_cache *c, const jc_key *key) {
    jc_lock lock;
    if (!takes_turns(c) || !jc_lock_open(c->disk, &key->hash, false, &lock))
        return false;
    bool others = jc_lock_ask(&lock) == JC_LOCK_OTHERS;
    jc_lock_close(&lock);
    return others;
}

/* --- building --- */

/* Was what a tier has the same as what was built? */
static void compare(jc_cache *c, const jc_key *key, const found *had, const found *built) {
    char hex[2 * JC_HASH_SIZE + 1];
    size_t at = 0;
    if (had->n == built->n && memcmp(had->bytes, built->bytes, built->n) == 0)
        return;
    while (at < had->n && at < built->n && had->bytes[at] == built->bytes[at])
        at++;
    atomic_fetch_add(&c->differing, 1);
    jc_hash_hex(&key->hash, hex);
    if (c->log)
        jc_log_line(c->log, "warning: PARANOID: the entry %s %s is not what was compiled just now: %zu bytes there, %zu here, the first difference at byte %zu; what "
                    "was compiled is used. The cache was tampered with, or the compiler does not give the same code each time: jitc cache show %.12s", hex,
                    jc_cache_from_text(had->from), had->n, built->n, at, hex);
}

static jitc_status find_or_build(jc_cache *c, flight *f, found *into, const jc_cache_builder *builder, jc_error *err) {
    found had;
    const bool there = below(c, &f->key, f->arena, into) || wait_for_turn(c, f, builder, into);
    if (there && !c->settings.paranoid)
        return JITC_OK;
    had = *into;
    const double start = jc_now_ms();
    into->from = JC_FROM_BUILD;
    JC_TRY(builder->build(builder->user, f->arena, &into->bytes, &into->n, err));
    into->ms = jc_now_ms() - start;
    if (there)
        compare(c, &f->key, &had, into);
    store(c, &f->key, into);
    return JITC_OK;
}

static jitc_status fill(jc_cache *c, flight *f, found *into, const jc_cache_builder *builder, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(f->arena, &guard) == 0)
        status = find_or_build(c, f, into, builder, err);
    jc_guard_end(f->arena, &guard);
    jc_lock_close(&f->lock);
    return status;
}

/* What a directory wants once something was built, and nobody else waits for. */
static void after_build(jc_cache *c, const jc_key *key, const found *f) {
    const jc_prune how = { .max_bytes = c->settings.max_bytes, .max_entries = c->settings.max_entries, .sample = 4096 };
    if (!c->disk || f->from != JC_FROM_BUILD)
        return;
    jc_history_built(c->disk, key, f->ms, f->n);
    if (atomic_load(&c->from[JC_FROM_BUILD]) % 32 == 0)
        jc_prune_at_times(c->disk, &how, c->alloc);
}

/* Found in memory, or a flight of this thread's own, or neither when memory is out. Waits where another thread builds. */
static flight *find_or_claim(jc_cache *c, const jc_key *key, found *f, bool *there) {
    flight *own = NULL, *other;
    *there = in_memory(c, key, f);
    if (*there)
        return NULL;
    pthread_mutex_lock(&c->lock);
    while (!(*there = in_memory(c, key, f)) && (other = in_flight(c, key)))
        wait_for(c, other);
    if (!*there)
        own = claim(c, key);
    pthread_mutex_unlock(&c->lock);
    return own;
}

jitc_status jc_cache_get(jc_cache *c, const jc_key *key, const jc_cache_builder *builder, const uint8_t **out,
                         size_t *n, jc_cache_from *from, jc_error *err) {
    found f;
    bool there;
    jitc_status status = JITC_OK;
    flight *own = find_or_claim(c, key, &f, &there);
    if (!there && !own)
        return jc_fail(err, JITC_E_NOMEM, "out of memory while looking up the cache");
    if (own) {
        status = fill(c, own, &f, builder, err);
        pthread_mutex_lock(&c->lock);
        if (status == JITC_OK && !keep(c, own->arena, &own->key, &f))
            status = JITC_E_NOMEM;
        land(c, own, status != JITC_OK);
        pthread_mutex_unlock(&c->lock);
        if (status == JITC_OK)
            after_build(c, key, &f);
    }
    if (status == JITC_OK)
        answer(c, &f, out, n, from);
    else if (status == JITC_E_NOMEM)
        jc_fail(err, status, "out of memory while filling a cache entry");
    return status;
}
