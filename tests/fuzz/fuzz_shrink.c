/*
 * tests/fuzz/fuzz_shrink.c - a failing program made smaller.
 *
 * Each step changes the program, runs it in a child of its own and keeps the change where the fate is the same.  A statement that is
 * dropped leaves its results behind as inputs.
 */
#include "tests/fuzz/fuzz_run.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_MS 60000

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void fz_check_apart(const fz_case *c, fz_report *report) {
    int fd[2], status = 0;
    *report = (fz_report){ .fate = FZ_CRASHED, .mode = c->modes[0] };
    if (pipe(fd) != 0)
        return;
    const pid_t child = fork();
    if (child == 0) {
        fz_report own;
        close(fd[0]);
        fz_check(fz_lab_new(), c, &own);
        _exit(write(fd[1], &own, sizeof own) == (ssize_t)sizeof own ? 0 : 1);
    }
    close(fd[1]);
    struct pollfd p = { .fd = fd[0], .events = POLLIN };
    if (child > 0 && poll(&p, 1, HANG_MS) == 0) {
        report->fate = FZ_HUNG;
        snprintf(report->message, sizeof report->message, "no answer within %d s", HANG_MS / 1000);
        kill(child, SIGKILL);
    } else if (child > 0 && read(fd[0], report, sizeof *report) != (ssize_t)sizeof *report) {
        *report = (fz_report){ .fate = FZ_CRASHED, .mode = c->modes[0] };
    }
    if (child > 0)
        waitpid(child, &status, 0);
    if (report->fate == FZ_CRASHED)
        snprintf(report->message, sizeof report->message, "the process ended by signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    close(fd[0]);
}

typedef struct shrinker {
    fz_prog *p;
    fz_report *report; /* of the smallest so far */
    jc_arena *arena;
    double until;
    bool changed;
} shrinker;

/* Do two messages say the same, but for numbers and names? */
static bool alike(const char *a, const char *b) {
    for (int n = 0; n < 40; n++) {
        while (*a && !isalpha((unsigned char)*a))
            a++;
        while (*b && !isalpha((unsigned char)*b))
            b++;
        if (*a != *b)
            return false;
        if (!*a)
            break;
        a++;
        b++;
    }
    return true;
}

/* The program as it is now, in MODE: still the same fate? */
static bool still(shrinker *s, fz_mode mode) {
    fz_report r;
    if (now() > s->until)
        return false;
    fz_case *c = fz_case_of(s->p, s->arena);
    c->modes[0] = mode;
    c->nmodes = 1;
    fz_check_apart(c, &r);
    if (r.fate != s->report->fate)
        return false;
    if ((r.fate == FZ_UNREADABLE || r.fate == FZ_UNBUILT || r.fate == FZ_UNRUN) && !alike(r.message, s->report->message))
        return false;
    *s->report = r;
    s->changed = true;
    return true;
}

/* The simplest mode that shows it: one fact of it after the other. */
static void shrink_mode(shrinker *s) {
    fz_mode m = s->report->mode;
    m.quick = false;
    if (s->report->mode.quick)
        still(s, m);
    m = s->report->mode;
    m.way = FZ_WHOLE;
    if (s->report->mode.way != FZ_WHOLE)
        still(s, m);
    m = s->report->mode;
    m.way = FZ_CUT;
    if (s->report->mode.way == FZ_PIECES)
        still(s, m);
    m = s->report->mode;
    m.strict = false;
    if (s->report->mode.strict)
        still(s, m);
    m = s->report->mode;
    m.device = 0;
    if (s->report->mode.device)
        still(s, m);
}

static void shrink_runs(shrinker *s) {
    fz_prog *p = s->p;
    for (int r = 0; p->nruns > 1 && r < p->nruns; r++) {
        fz_var old[FZ_VARS];
        const int n = p->nruns;
        memcpy(old, p->vars, sizeof old);
        for (int i = 0; i < p->nvars; i++)
            p->vars[i].value[0] = old[i].value[r];
        p->nruns = 1;
        if (still(s, s->report->mode))
            return;
        memcpy(p->vars, old, sizeof old);
        p->nruns = n;
    }
}

static void shrink_outputs(shrinker *s) {
    fz_prog *p = s->p;
    for (size_t i = p->outputs.n; i-- > 0 && p->outputs.n > 1;) {
        const int was = p->outputs.at[i];
        memmove(&p->outputs.at[i], &p->outputs.at[i + 1], sizeof(int) * (p->outputs.n - i - 1));
        p->outputs.n--;
        if (still(s, s->report->mode))
            continue;
        memmove(&p->outputs.at[i + 1], &p->outputs.at[i], sizeof(int) * (p->outputs.n - i));
        p->outputs.at[i] = was;
        p->outputs.n++;
    }
}

static void set_dropped(fz_prog *p, int i, bool dropped) {
    fz_stmt *t = &p->stmts.at[i];
    t->dropped = dropped;
    for (int k = 0; k < t->nresults; k++)
        p->values.at[t->result[k]].def = dropped ? -1 : i;
}

/* From FROM on COUNT statements; whole ranges first. */
static void shrink_stmts(shrinker *s) {
    fz_prog *p = s->p;
    for (int size = (int)p->stmts.n / 2; size >= 1; size /= 2)
        for (int end = (int)p->stmts.n; end > 0; end -= size) {
            const int from = end > size ? end - size : 0;
            bool was[256] = { false }, any = false;
            for (int i = from; i < end && i - from < 256; i++) {
                was[i - from] = p->stmts.at[i].dropped;
                any |= !was[i - from];
                set_dropped(p, i, true);
            }
            if (any && still(s, s->report->mode))
                continue;
            for (int i = from; i < end && i - from < 256; i++)
                set_dropped(p, i, was[i - from]);
        }
}

static void shrink_pieces(shrinker *s) {
    fz_prog *p = s->p;
    int *was = JC_NEWN(s->arena, int, p->stmts.n + 1);
    for (int k = p->npieces - 1; k > 0; k--) {
        bool any = false;
        for (size_t i = 0; i < p->stmts.n; i++) {
            was[i] = p->stmts.at[i].piece;
            any |= was[i] == k && !p->stmts.at[i].dropped;
            if (was[i] >= k)
                p->stmts.at[i].piece--;
        }
        p->npieces--;
        if (s->report->mode.way == FZ_WHOLE || !any || still(s, s->report->mode))
            continue;
        for (size_t i = 0; i < p->stmts.n; i++)
            p->stmts.at[i].piece = was[i];
        p->npieces++;
    }
}

static void shrink_sizes(shrinker *s) {
    static const int64_t values[] = { 1, 2, 3, 4, 5, 8, 16, 0 };
    fz_prog *p = s->p;
    for (int i = 0; i < p->nvars; i++) {
        const fz_var was = p->vars[i];
        if (was.symbol && p->nruns == 1) {
            p->vars[i].symbol = false;
            if (!still(s, s->report->mode))
                p->vars[i] = was;
        }
        for (int r = 0; r < (p->vars[i].symbol ? p->nruns : 1); r++) {
            const fz_var before = p->vars[i];
            for (size_t k = 0; k < sizeof values / sizeof *values && values[k] < before.value[r]; k++) {
                for (int q = 0; q < FZ_RUNS; q++)
                    if (q == r || !before.symbol)
                        p->vars[i].value[q] = values[k];
                if (still(s, s->report->mode))
                    break;
                p->vars[i] = before;
            }
        }
    }
}

static void shrink_layouts(shrinker *s) {
    fz_prog *p = s->p;
    for (size_t i = 0; i < p->values.n; i++) {
        fz_value *v = &p->values.at[i], was = *v;
        bool plain = v->pad == 0;
        for (int d = 0; d < v->rank; d++) {
            plain &= v->order[d] == d;
            v->order[d] = (uint8_t)d;
        }
        v->pad = 0;
        if (v->kind == JC_TENSOR && v->def < 0 && !plain && !still(s, s->report->mode))
            *v = was;
    }
}

fz_case *fz_shrink(fz_prog *p, fz_report *report, double seconds, jc_arena *arena) {
    shrinker s = { .p = p, .report = report, .arena = arena, .until = now() + seconds };
    do {
        s.changed = false;
        shrink_mode(&s);
        shrink_runs(&s);
        shrink_outputs(&s);
        shrink_stmts(&s);
        shrink_pieces(&s);
        shrink_layouts(&s);
        shrink_sizes(&s);
    } while (s.changed && now() < s.until);
    fz_case *c = fz_case_of(p, arena);
    c->modes[0] = report->mode;
    c->nmodes = 1;
    return c;
}
