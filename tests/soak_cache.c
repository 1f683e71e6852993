/*
 * tests/soak_cache.c - one cache directory under fire: is every answer right, and does everybody get one?
 *
 *   SOAK_SECONDS=600 SOAK_SEED=1 tests/soak_cache        (make soak SOAK_SECONDS=600)
 *
 * Six processes of four threads ask for entries that follow from their keys, and build those that are missing; two more are `jitc run --verify` of
 * small graphs.  Every 20 ms one of the eight is killed, and another takes its place; `jitc cache clear` and `jitc cache prune` run all the while.
 * Ends with 1 when an answer was wrong, an entry was found damaged (a killed writer leaves none) or could not be stored, a process failed or
 * stood still for HANG_SECONDS, or the directory is not whole in the end or cannot be swept.
 */
#define _GNU_SOURCE /* nftw, MAP_ANONYMOUS */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/cache.h"
#include "tests/scratch.h"

#define ASKING 6
#define RUNNING 2
#define SLOTS (ASKING + RUNNING)
#define THREADS 4
#define KEYS 300
#define GRAPHS 12
#define KILL_MS 20
#define HANG_SECONDS 60
#define JITC TEST_BUILDDIR "/jitc"

static struct shared {
    atomic_ullong answers, built, wrong, damaged, errors, waited;
    atomic_ullong beats[SLOTS];
} *shared;

static char base[64], dir[80];
static uint64_t seed = 1;

static uint64_t next(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

/* --- who asks --- */

static size_t size_of(unsigned k) {
    return 50 + (k * 7919u) % 40000;
}

static uint8_t byte_of(unsigned k, size_t at) {
    return (uint8_t)(at * 13 + k * 101 + (at >> 8));
}

static jitc_status build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    const unsigned k = *(unsigned *)user;
    uint8_t *made = jc_arena_alloc(a, size_of(k));
    (void)err;
    for (size_t i = 0; i < size_of(k); i++)
        made[i] = byte_of(k, i);
    usleep(k % 5 * 500);
    *bytes = made;
    *n = size_of(k);
    return JITC_OK;
}

static bool is_right(unsigned k, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte_of(k, i))
            return false;
    return n == size_of(k);
}

typedef struct asker {
    jc_cache *cache;
    uint64_t seed;
    unsigned slot;
} asker;

static void ask(asker *w, unsigned k) {
    uint8_t preimage[64];
    jc_arena *a = jc_arena_new(NULL);
    jc_bytes b = JC_BYTES(a);
    const uint8_t *out;
    size_t n;
    jc_cache_from from;
    memset(preimage, (int)k, sizeof preimage);
    memcpy(preimage, &k, sizeof k);
    jc_key_add(&b, JC_KEY_KERNEL, preimage, sizeof preimage);
    jc_key key = jc_key_end(&b);
    key.light = k % 4 != 0;
    const jc_cache_builder builder = { .build = build, .user = &k };
    const bool ok = jc_cache_get(w->cache, &key, &builder, &out, &n, &from, NULL) == JITC_OK;
    atomic_fetch_add(&shared->wrong, !ok || !is_right(k, out, n));
    atomic_fetch_add(&shared->answers, 1);
    atomic_fetch_add(&shared->beats[w->slot], 1);
    jc_arena_free(a);
}

static void *ask_often(void *user) {
    asker *w = user;
    for (int i = 0; i < 40; i++)
        ask(w, (unsigned)(next(&w->seed) % KEYS));
    return NULL;
}

/* A process opens the cache again and again, so that what it asks for is not in its memory. */
static void ask_for_ever(unsigned slot, uint64_t s) {
    for (;;) {
        pthread_t ids[THREADS];
        asker w[THREADS];
        jc_cache *c;
        jc_cache_stats stats;
        if (jc_cache_open(dir, NULL, NULL, &c, NULL) != JITC_OK)
            _exit(9);
        for (int i = 0; i < THREADS; i++) {
            w[i] = (asker){ c, next(&s) * 31 + (uint64_t)i, slot };
            if (pthread_create(&ids[i], NULL, ask_often, &w[i]) != 0)
                _exit(9);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(ids[i], NULL);
        jc_cache_get_stats(c, &stats);
        atomic_fetch_add(&shared->built, stats.from[JC_FROM_BUILD]);
        atomic_fetch_add(&shared->damaged, stats.corrupt);
        atomic_fetch_add(&shared->errors, stats.io_errors);
        atomic_fetch_add(&shared->waited, stats.waited_processes);
        jc_cache_close(c);
    }
}

/* --- programs --- */

static void write_graph(unsigned g) {
    char path[128];
    snprintf(path, sizeof path, "%s/g%u.py", base, g);
    FILE *f = fopen(path, "w");
    if (!f)
        exit(1);
    fprintf(f, "class GraphModule(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, %u]\"):\n", 4 + g);
    fprintf(f, "        a: \"f32[s0, %u]\" = torch.tanh(x * %u.5)\n        b: \"f32[s0, 1]\" = a.sum(dim = -1, keepdim = True)\n", 4 + g, g);
    fprintf(f, "        c: \"f32[s0, %u]\" = a * b\n        return (c,)\n", 4 + g);
    fclose(f);
}

/* Its words go to a file, which is shown where it fails. */
static void run_program(const char *const *argv, unsigned slot) {
    char log[128];
    snprintf(log, sizeof log, "%s/said.%u", base, slot);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        _exit(9);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(9);
}

static pid_t start_program(const char *const *argv, unsigned slot) {
    pid_t child = fork();
    if (child == 0)
        run_program(argv, slot);
    return child;
}

static pid_t start(unsigned slot) {
    const uint64_t s = next(&seed);
    char graph[128];
    if (slot >= ASKING) {
        snprintf(graph, sizeof graph, "%s/g%u.py", base, (unsigned)(s % GRAPHS));
        const char *const argv[] = { JITC, "run", "--device", "host", "--verify", "-q", "-j", "2", "--cache", dir, graph, NULL };
        return start_program(argv, slot);
    }
    pid_t child = fork();
    if (child == 0)
        ask_for_ever(slot, s);
    return child;
}

/* --- the parent --- */

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct slot {
    pid_t pid;
    double since; /* when it was started or seen to move */
    unsigned long long beats;
    bool killed;
} slot;

static slot slots[SLOTS];
static pid_t cleaner;
static unsigned long long kills, runs, cleanings, failures, hangs;

static void show(unsigned s) {
    char log[128], line[512];
    snprintf(log, sizeof log, "%s/said.%u", base, s);
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof line, f))
        fprintf(stderr, "soak_cache: slot %u: %s", s, line);
    if (f)
        fclose(f);
}

static void ended(unsigned s, int status, bool killed) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && killed)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    failures++;
    fprintf(stderr, "soak_cache: slot %u ended with %s %d\n", s, WIFSIGNALED(status) ? "signal" : "exit code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    show(s);
}

static void reap(void) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == cleaner) {
            cleaner = 0;
            ended(SLOTS, status, false);
        }
        for (unsigned i = 0; i < SLOTS; i++)
            if (slots[i].pid == pid) {
                runs += i >= ASKING && !slots[i].killed;
                ended(i, status, slots[i].killed);
                slots[i].pid = 0;
            }
    }
}

static void fill_slots(void) {
    for (unsigned i = 0; i < SLOTS; i++) {
        const unsigned long long beats = atomic_load(&shared->beats[i]);
        if (!slots[i].pid)
            slots[i] = (slot){ .pid = start(i), .since = now_s(), .beats = beats };
        if (beats != slots[i].beats)
            slots[i] = (slot){ .pid = slots[i].pid, .killed = slots[i].killed, .since = now_s(), .beats = beats };
        if (now_s() - slots[i].since > HANG_SECONDS) {
            fprintf(stderr, "soak_cache: slot %u stands still\n", i);
            hangs++;
            kill(slots[i].pid, SIGKILL);
            slots[i].killed = true;
            slots[i].since = now_s();
        }
    }
}

static void clean(void) {
    const char *const clear[] = { JITC, "cache", "clear", "--cache", dir, NULL };
    const char *const prune[] = { JITC, "cache", "prune", "--max-entries", "100", "--cache", dir, NULL };
    if (!cleaner)
        cleaner = start_program(cleanings++ % 4 == 3 ? clear : prune, SLOTS);
}

static void kill_one(void) {
    slot *s = &slots[next(&seed) % SLOTS];
    if (!s->pid || s->killed)
        return;
    s->killed = true;
    kill(s->pid, SIGKILL);
    kills++;
}

static void fire(double seconds) {
    const double end = now_s() + seconds;
    double next_kill = now_s(), next_clean = now_s() + 0.2;
    while (now_s() < end) {
        reap();
        fill_slots();
        if (now_s() > next_kill) {
            next_kill += KILL_MS / 1e3;
            kill_one();
        }
        if (now_s() > next_clean) {
            next_clean = now_s() + 0.2;
            clean();
        }
        usleep(1000);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i].pid) {
            slots[i].killed = true;
            kill(slots[i].pid, SIGKILL);
        }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}

/* --- what is left --- */

static unsigned temporaries;

static int age_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    if (type != FTW_F || strncmp(path + ftw->base, "tmp.", 4) != 0)
        return 0;
    temporaries++;
    const struct timespec then = { .tv_sec = time(NULL) - 2 * 3600 };
    return utimensat(AT_FDCWD, path, (struct timespec[]){ then, then }, 0);
}

static bool runs_well(const char *const *argv) {
    int status;
    pid_t child = start_program(argv, SLOTS);
    const bool ok = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok)
        show(SLOTS);
    return ok;
}

/* Whole, and swept once what killed writers left is old enough. */
static bool is_clean(void) {
    const char *const verify[] = { JITC, "cache", "verify", "--cache", dir, NULL };
    const char *const prune[] = { JITC, "cache", "prune", "--cache", dir, NULL };
    bool ok = runs_well(verify) && nftw(dir, age_one, 16, FTW_PHYS) == 0;
    const unsigned left = temporaries;
    temporaries = 0;
    ok = ok && runs_well(prune) && nftw(dir, age_one, 16, FTW_PHYS) == 0 && temporaries == 0;
    printf("soak_cache: %u temporary files of killed writers, %u after sweeping\n", left, temporaries);
    return ok;
}

int main(void) {
    const char *seconds = getenv("SOAK_SECONDS"), *wish = getenv("SOAK_SEED");
    strcpy(base, "/tmp/jitc-soak-XXXXXX");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!mkdtemp(base) || shared == MAP_FAILED)
        return perror("soak_cache"), 1;
    snprintf(dir, sizeof dir, "%s/cache", base);
    seed = wish && *wish ? strtoull(wish, NULL, 10) : 1;
    for (unsigned g = 0; g < GRAPHS; g++)
        write_graph(g);
    fire(seconds && *seconds ? atof(seconds) : 5);
    printf("soak_cache: %llu kills, %llu answers, %llu built, %llu waits, %llu runs that ended, %llu cleanings\n", kills, atomic_load(&shared->answers),
           atomic_load(&shared->built), atomic_load(&shared->waited), runs, cleanings);
    printf("soak_cache: %llu wrong, %llu damaged, %llu errors, %llu failures, %llu hangs\n", atomic_load(&shared->wrong), atomic_load(&shared->damaged),
           atomic_load(&shared->errors), failures, hangs);
    const bool ok = is_clean() && !atomic_load(&shared->wrong) && !atomic_load(&shared->damaged) && !atomic_load(&shared->errors) && !failures && !hangs && kills && atomic_load(&shared->answers);
    scratch_remove(base);
    printf("%s%%: Checks: 1, Failures: %d, Errors: 0\n", ok ? "100" : "0", !ok);
    return !ok;
}
