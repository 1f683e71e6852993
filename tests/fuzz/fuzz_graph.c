/*
 * tests/fuzz/fuzz_graph.c - random graphs, by seeds, on all devices there are: see README.md.
 *
 * The parent forks workers and compiles nothing itself.  A worker takes seeds one by one and ends after a few hundred, so that what it
 * had in memory goes; one that crashes or hangs is a mismatch of the seed that it had.
 */
#include "tests/fuzz/fuzz_run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 256
#define MAX_FOUND 64
#define BATCH 1000    /* graphs of one worker's life */
#define HANG_SECONDS 60

typedef struct found {
    uint64_t seed;
    fz_report report;
} found;

/* Shared by all processes. */
typedef struct board {
    _Atomic uint64_t next;      /* seed */
    _Atomic uint64_t graphs, mismatches, refused;
    _Atomic uint32_t nfound;
    found found[MAX_FOUND];
    _Atomic uint64_t generated[JC_OP_COUNT], spelled[FZ_MAX_SPELLINGS];
    _Atomic uint32_t forms[FZ_MAX_SPELLINGS];
    struct {
        _Atomic uint64_t seed; /* at work; 0: none */
        _Atomic int64_t since; /* ms */
    } job[MAX_JOBS];
} board;

typedef struct options {
    uint64_t seed, count;
    double seconds;
    int jobs, shrink;
    const char *text, *out;
    bool print, show, coverage, dry;
    unsigned devices, ways; /* bit each */
} options;

static board *b;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void note(uint64_t seed, const fz_report *r) {
    const uint32_t i = atomic_fetch_add(&b->nfound, 1);
    atomic_fetch_add(&b->mismatches, 1);
    if (i < MAX_FOUND)
        b->found[i] = (found){ seed, *r };
}

static unsigned devices_here(fz_lab *lab, const options *o) {
    unsigned have = 0;
    for (int i = 0; fz_devices[i]; i++)
        if (o->devices >> i & 1 && fz_lab_has(lab, i))
            have |= 1u << i;
    return have;
}

/* --- workers --- */

static void count_spellings(const char *text) {
    uint32_t seen[FZ_MAX_SPELLINGS] = { 0 };
    fz_spellings_of(text, seen);
    for (int i = 0; i < fz_nspellings; i++) {
        atomic_fetch_or(&b->forms[i], seen[i]);
        atomic_fetch_add(&b->spelled[i], seen[i] != 0);
    }
}

static void work(int job, const options *o, uint64_t end, double until) {
    fz_lab *lab = fz_lab_new();
    const unsigned have = devices_here(lab, o);
    for (int i = 0; i < BATCH && now() < until; i++) {
        const uint64_t seed = atomic_fetch_add(&b->next, 1);
        fz_report r;
        if (seed >= end)
            break;
        atomic_store(&b->job[job].since, (int64_t)(now() * 1000));
        atomic_store(&b->job[job].seed, seed);
        jc_arena *arena = jc_arena_new(NULL);
        fz_case *c = fz_case_of(fz_generate(arena, seed), arena);
        fz_choose_modes(c, have, o->ways);
        if (o->coverage)
            count_spellings(c->flat);
        if (o->dry)
            r.fate = FZ_OK;
        else
            fz_check(lab, c, &r);
        if (r.fate == FZ_REFUSED)
            atomic_fetch_add(&b->refused, 1);
        else if (r.fate != FZ_OK)
            note(seed, &r);
        jc_arena_free(arena);
        atomic_fetch_add(&b->graphs, 1);
        atomic_store(&b->job[job].seed, 0);
    }
    for (int i = 0; i < JC_OP_COUNT; i++)
        atomic_fetch_add(&b->generated[i], fz_generated[i]);
    fz_lab_free(lab);
    _exit(0);
}

static pid_t start(int job, const options *o, uint64_t end, double until) {
    atomic_store(&b->job[job].seed, 0);
    const pid_t child = fork();
    if (child == 0)
        work(job, o, end, until);
    return child;
}

/* A worker that ended with a seed in hand has crashed, or was killed because it hung. */
static void bury(int job, int status, bool hung) {
    const uint64_t seed = atomic_load(&b->job[job].seed);
    fz_report r = { .fate = hung ? FZ_HUNG : FZ_CRASHED };
    if (seed == 0)
        return;
    if (hung)
        snprintf(r.message, sizeof r.message, "no answer within %d s", HANG_SECONDS);
    else
        snprintf(r.message, sizeof r.message, "the process ended by signal %d, status %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                 WIFEXITED(status) ? WEXITSTATUS(status) : 0);
    note(seed, &r);
    atomic_fetch_add(&b->graphs, 1);
}

static void run_all(const options *o) {
    const uint64_t end = o->count > UINT64_MAX - o->seed ? UINT64_MAX : o->seed + o->count;
    const double until = o->seconds > 0 ? now() + o->seconds : 1e18;
    pid_t pid[MAX_JOBS] = { 0 };
    bool hung[MAX_JOBS] = { false };
    int alive = 0;
    for (int i = 0; i < o->jobs; i++)
        alive += (pid[i] = start(i, o, end, until)) > 0;
    while (alive > 0) {
        int status;
        const pid_t gone = waitpid(-1, &status, WNOHANG);
        for (int i = 0; i < o->jobs; i++) {
            const int64_t since = atomic_load(&b->job[i].since);
            if (pid[i] > 0 && atomic_load(&b->job[i].seed) && now() * 1000 - (double)since > 1000.0 * HANG_SECONDS && !hung[i]) {
                hung[i] = true;
                kill(pid[i], SIGKILL);
            }
            if (gone > 0 && pid[i] == gone) {
                bury(i, status, hung[i]);
                hung[i] = false;
                alive--;
                pid[i] = 0;
                if (now() < until && atomic_load(&b->next) < end)
                    alive += (pid[i] = start(i, o, end, until)) > 0;
            }
        }
        if (gone <= 0)
            usleep(10000);
    }
}

/* --- what was found --- */

static void leave_behind(const options *o, const fz_case *c, const fz_report *r, const char *message) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_bytes out = JC_BYTES(arena);
    char path[4096];
    fz_case_print(c, r->mode, message, &out);
    snprintf(path, sizeof path, "%s/fuzz-%" PRIu64 ".py", o->out, c->seed);
    FILE *f = fopen(path, "w");
    if (f && fwrite(out.at, 1, out.n, f) == out.n)
        printf("  %s\n", path);
    else
        printf("  %s cannot be written: %s\n", path, strerror(errno));
    if (f)
        fclose(f);
    jc_arena_free(arena);
}

static void explain(const options *o, const found *f, bool shrink) {
    static const char *const fates[] = { "ok", "not supported", "not read", "not built", "failed", "wrong shape", "wrong numbers", "crash", "hang" };
    jc_arena *arena = jc_arena_new(NULL);
    char mode[64];
    fz_report r = f->report;
    fz_prog *p = fz_generate(arena, f->seed);
    fz_case *c = fz_case_of(p, arena);
    if (r.fate == FZ_CRASHED || r.fate == FZ_HUNG) { /* which mode was it? */
        fz_lab *lab = fz_lab_new();
        fz_choose_modes(c, o->devices & ~4u, o->ways);
        fz_lab_free(lab);
        const int n = c->nmodes;
        for (int i = 0; i < n; i++) {
            fz_case one = *c;
            one.modes[0] = c->modes[i];
            one.nmodes = 1;
            fz_check_apart(&one, &r);
            if (r.fate != FZ_OK)
                break;
        }
        if (r.fate == FZ_OK)
            r = f->report;
    }
    if (shrink)
        c = fz_shrink(p, &r, 40, arena);
    printf("seed %" PRIu64 ": %s, %s: %s\n", f->seed, fates[r.fate], fz_mode_text(r.mode, mode, sizeof mode), r.message);
    if (shrink)
        leave_behind(o, c, &r, jc_arena_printf(arena, "%s: %s", fates[r.fate], r.message));
    fflush(stdout);
    jc_arena_free(arena);
}

static void print_coverage(void) {
    for (int i = 0; i < JC_OP_COUNT; i++)
        printf("%8" PRIu64 " %s\n", atomic_load(&b->generated[i]), jc_ops[i].name);
    for (int i = 0; i < fz_nspellings; i++) {
        const fz_spelling *s = &fz_spellings[i];
        printf("%8" PRIu64 " %s \"%s\"", atomic_load(&b->spelled[i]), s->name, s->forms);
        for (const char *f = s->forms; *f; f++)
            if (!(atomic_load(&b->forms[i]) & FZ_FORM(*f)))
                printf(" -%c", *f);
        printf("%s\n", fz_spelling_is_text(s) ? "" : " (not compiled)");
    }
}

/* --- one text --- */

static int replay(const options *o) {
    jc_arena *arena = jc_arena_new(NULL);
    char message[256], mode[64], *text = NULL;
    size_t n = 0;
    FILE *f = fopen(o->text, "r");
    if (!f || getdelim(&text, &n, '\0', f) < 0) {
        fprintf(stderr, "fuzz_graph: %s: %s\n", o->text, strerror(errno));
        return 2;
    }
    fclose(f);
    fz_case *c = fz_case_parse(text, arena, message, sizeof message);
    if (!c) {
        fprintf(stderr, "fuzz_graph: %s: %s.\n", o->text, message);
        return 2;
    }
    fz_report r;
    fz_check_apart(c, &r);
    printf("%s: %s%s\n1 graphs, %d mismatches\n", fz_mode_text(c->modes[0], mode, sizeof mode), r.fate == FZ_OK ? "as expected" : "", r.message,
           r.fate != FZ_OK);
    free(text);
    jc_arena_free(arena);
    return r.fate != FZ_OK;
}

static int print_one(const options *o) {
    jc_arena *arena = jc_arena_new(NULL);
    fz_prog *p = fz_generate(arena, o->seed);
    fz_case *c = fz_case_of(p, arena);
    jc_bytes out = JC_BYTES(arena);
    fz_choose_modes(c, 3, o->ways);
    fz_case_print(c, c->modes[0], "", &out);
    fwrite(out.at, 1, out.n, stdout);
    jc_arena_free(arena);
    return 0;
}

static int show_all(const options *o) {
    fz_lab *lab = fz_lab_new();
    for (uint64_t i = 0; i < o->count && !ferror(stdout); i++) {
        jc_arena *arena = jc_arena_new(NULL);
        fz_report r;
        fz_show(lab, fz_case_of(fz_generate(arena, o->seed + i), arena), stdout, &r);
        if (r.fate != FZ_OK)
            fprintf(stderr, "seed %" PRIu64 ": %s\n", o->seed + i, r.message);
        jc_arena_free(arena);
    }
    fz_lab_free(lab);
    return ferror(stdout) ? 2 : 0;
}

static int usage(void) {
    fputs("usage: fuzz_graph [--seed N] [--count N] [--seconds N] [--jobs N] [--devices host,sim,cuda] [--out DIR]\n"
          "                  [--ways whole,cut,pieces,split] [--shrink N] [--coverage] [--dry] [--print] [--show] [--text FILE]\n"
          "Runs the graphs of seeds N, N+1, ... and ends with \"N graphs, N mismatches\"; exits 1 where there is one.\n"
          "--coverage: how many graphs had each operator of the table, and each spelling with -X where form X was in none; with --dry none is run.\n"
          "--show: writes the graphs with inputs and expected results instead (fuzz_show.c).\n"
          "--shrink: how many failing ones are shrunk and left in DIR as fuzz-SEED.py (5).\n", stderr);
    return 2;
}

static bool parse(int argc, char **argv, options *o) {
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--coverage") == 0) {
            o->coverage = true;
            continue;
        }
        if (strcmp(a, "--dry") == 0) {
            o->dry = true;
            continue;
        }
        if (strcmp(a, "--print") == 0) {
            o->print = true;
            continue;
        }
        if (strcmp(a, "--show") == 0) {
            o->show = true;
            continue;
        }
        if (!v)
            return false;
        i++;
        if (strcmp(a, "--seed") == 0)
            o->seed = strtoull(v, NULL, 10);
        else if (strcmp(a, "--count") == 0)
            o->count = strtoull(v, NULL, 10);
        else if (strcmp(a, "--seconds") == 0)
            o->seconds = strtod(v, NULL);
        else if (strcmp(a, "--jobs") == 0)
            o->jobs = atoi(v);
        else if (strcmp(a, "--shrink") == 0)
            o->shrink = atoi(v);
        else if (strcmp(a, "--out") == 0)
            o->out = v;
        else if (strcmp(a, "--text") == 0)
            o->text = v;
        else if (strcmp(a, "--devices") == 0) {
            o->devices = 0;
            for (int d = 0; fz_devices[d]; d++)
                o->devices |= strstr(v, fz_devices[d]) ? 1u << d : 0;
        } else if (strcmp(a, "--ways") == 0) {
            o->ways = 0;
            for (int w = 0; w < FZ_WAYS; w++)
                o->ways |= strstr(v, fz_ways[w]) ? 1u << w : 0;
        } else {
            return false;
        }
    }
    o->jobs = o->jobs < 1 ? (int)sysconf(_SC_NPROCESSORS_ONLN) : o->jobs;
    o->jobs = o->jobs > MAX_JOBS ? MAX_JOBS : o->jobs;
    return true;
}

int main(int argc, char **argv) {
    options o = { .seed = 1, .count = UINT64_MAX, .out = ".", .shrink = 5, .devices = 7, .ways = 15 };
    if (!parse(argc, argv, &o) || o.seed == 0)
        return usage();
    if (o.print)
        return print_one(&o);
    if (o.text)
        return replay(&o);
    if (o.show)
        return show_all(&o);
    if (o.count == UINT64_MAX && o.seconds <= 0)
        o.seconds = 60;
    b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        return 2;
    atomic_store(&b->next, o.seed);
    const double began = now();
    run_all(&o);
    const double took = now() - began;
    const uint32_t n = atomic_load(&b->nfound) < MAX_FOUND ? atomic_load(&b->nfound) : MAX_FOUND;
    for (uint32_t i = 0; i < n; i++)
        explain(&o, &b->found[i], (int)i < o.shrink);
    if (o.coverage)
        print_coverage();
    const uint64_t graphs = atomic_load(&b->graphs), mismatches = atomic_load(&b->mismatches);
    printf("%.1f s, %d jobs, %.1f graphs/s; %" PRIu64 " not supported\n", took, o.jobs, (double)graphs / took, atomic_load(&b->refused));
    printf("%" PRIu64 " graphs, %" PRIu64 " mismatches\n", graphs, mismatches);
    return mismatches > 0;
}
