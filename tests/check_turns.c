/*
 * tests/check_turns.c - processes that want the same entries: each is built once, nobody waits for ever, and whoever cannot have locks builds.
 *
 * Processes share counters through a page of memory; what they build is slow, so that they meet.
 */
#define _GNU_SOURCE /* nftw, MAP_ANONYMOUS */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/cache.h"
#include "cache/lock.h"
#include "jitc/jitc.h"
#include "tests/scratch.h"

#define KEYS 5
#define RANKS 4

static struct shared {
    atomic_int builds[KEYS], wrong, at_work, finished;
    char line[512];
} *shared;
static char dir[64];
static jc_arena *arena;
static int refuse_with; /* the error that locks fail with; 0: none */

/* --- locks that fail: the program's own fcntl --- */

static int real_fcntl(int fd, int command, void *argument) {
    if (refuse_with && (command == F_OFD_SETLK || command == F_OFD_GETLK)) {
        errno = refuse_with;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

#undef fcntl
int fcntl(int fd, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return real_fcntl(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return real_fcntl(fd, command, argument);
}

/* --- the world --- */

static void setup(void) {
    strcpy(dir, "/tmp/jitc-check-turns-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    arena = jc_arena_new(NULL);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    refuse_with = 0;
}

static void teardown(void) {
    munmap(shared, sizeof *shared);
    jc_arena_free(arena);
    scratch_remove(dir);
}

static jc_key key_of(int i) {
    jc_bytes *b = JC_NEW(arena, jc_bytes);
    *b = JC_BYTES(arena);
    jc_key_add(b, JC_KEY_GRAPH, &i, sizeof i);
    return jc_key_end(b);
}

static void keep_line(void *user, const char *line) {
    (void)user;
    snprintf(shared->line, sizeof shared->line, "%s", line);
}

static jc_cache *opened(unsigned wait_ms) {
    static const jc_log log = { .line = keep_line, .debug = JC_DEBUG_CACHE };
    jc_cache *c = NULL;
    if (jc_cache_open(dir, NULL, &log, &c, NULL) == JITC_OK)
        jc_cache_set(c, &(jc_cache_settings){ .wait_ms = wait_ms });
    return c;
}

static jitc_status slow(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    int i = *(int *)user;
    (void)err;
    atomic_fetch_add(&shared->builds[i], 1);
    usleep(20000);
    *n = sizeof i;
    *bytes = jc_arena_memdup(a, &i, sizeof i);
    return JITC_OK;
}

static bool get(jc_cache *c, int i, jc_cache_builder builder) {
    const uint8_t *out;
    size_t n;
    jc_key key = key_of(i);
    return jc_cache_get(c, &key, &builder, &out, &n, NULL, NULL) == JITC_OK && n == sizeof i && memcmp(out, &i, sizeof i) == 0;
}

static bool get_slow(jc_cache *c, int i) {
    return get(c, i, (jc_cache_builder){ .build = slow, .user = &i });
}

/* A process that does WORK. */
static pid_t start(void (*work)(int rank), int rank) {
    pid_t child = fork();
    if (child == 0) {
        work(rank);
        _exit(0);
    }
    ck_assert_int_gt(child, 0);
    return child;
}

static void ends_well(pid_t child) {
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static void until_at_work(int n) {
    for (int i = 0; atomic_load(&shared->at_work) < n; i++) {
        ck_assert_msg(i < 60000, "nobody is at work");
        usleep(1000);
    }
}

/* --- each key once --- */

static void all_keys(int rank) {
    jc_cache *c = opened(60000);
    atomic_fetch_add(&shared->at_work, 1);
    while (atomic_load(&shared->at_work) < RANKS)
        usleep(100);
    for (int i = 0; i < KEYS; i++)
        atomic_fetch_add(&shared->wrong, !get_slow(c, rank % 2 ? KEYS - 1 - i : i));
    jc_cache_close(c);
}

static void run_ranks(void) {
    pid_t children[RANKS];
    for (int i = 0; i < RANKS; i++)
        children[i] = start(all_keys, i);
    for (int i = 0; i < RANKS; i++)
        ends_well(children[i]);
    ck_assert_int_eq(shared->wrong, 0);
}

START_TEST(built_once) {
    run_ranks();
    for (int i = 0; i < KEYS; i++)
        ck_assert_msg(shared->builds[i] == 1, "key %d was built %d times", i, shared->builds[i]);
}
END_TEST

/* Without locks everything is as right, and nobody waits; that it is built more often shows what the locks are for. */
START_TEST(without_locks) {
    static const int errors[] = { ENOLCK, ENOSYS, EINVAL, EIO };
    refuse_with = errors[_i];
    run_ranks();
    int builds = 0;
    for (int i = 0; i < KEYS; i++)
        builds += shared->builds[i];
    ck_assert_int_gt(builds, KEYS);
    jc_cache *c = opened(60000);
    ck_assert(get_slow(c, 0));
    jc_cache_stats s;
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.from[JC_FROM_DISK], 1);
    jc_cache_close(c);
}
END_TEST

/* Something else in the lock file's place. */
START_TEST(no_lock_file) {
    char path[128];
    snprintf(path, sizeof path, "%s/lock", dir);
    if (_i == 0)
        ck_assert_int_eq(mkdir(path, 0700), 0);
    else if (_i == 1)
        ck_assert_int_eq(symlink("/dev/zero", path), 0);
    else
        ck_assert_int_eq(mkfifo(path, 0600), 0);
    jc_cache *c = opened(60000);
    jc_cache_stats s;
    ck_assert(get_slow(c, 0));
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.unlocked, 1);
    ck_assert_uint_eq(s.stored, 1);
    jc_cache_close(c);
}
END_TEST

/* --- a holder that does not finish --- */

static jitc_status endless(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)a;
    (void)bytes;
    (void)n;
    (void)user;
    atomic_fetch_add(&shared->at_work, 1);
    for (;;)
        pause();
    return jc_fail(err, JITC_E_COMPILE, "not reached");
}

static void hold(int rank) {
    jc_cache *c = opened(60000);
    get(c, rank, (jc_cache_builder){ .build = endless, .user = &rank });
}

static void wait_and_get(int rank) {
    jc_cache *c = opened(60000);
    atomic_fetch_add(&shared->wrong, !get_slow(c, rank));
    jc_cache_close(c);
}

/* The waiter says whom it waits for, and goes on when that one is killed. */
START_TEST(killed_holder) {
    char pid[32];
    pid_t holder = start(hold, 0);
    until_at_work(1);
    pid_t waiter = start(wait_and_get, 0);
    snprintf(pid, sizeof pid, "process %d (", (int)holder);
    for (int i = 0; !strstr(shared->line, pid); i++) {
        ck_assert_msg(i < 60000, "the waiter says: %s", shared->line);
        usleep(1000);
    }
    ck_assert_ptr_nonnull(strstr(shared->line, "waiting"));
    ck_assert_int_eq(shared->builds[0], 0);
    kill(holder, SIGKILL);
    ends_well(waiter);
    waitpid(holder, NULL, 0);
    ck_assert_int_eq(shared->builds[0], 1);
    ck_assert_int_eq(shared->wrong, 0);
}
END_TEST

/* One that never ends is waited for once, for as long as was said. */
START_TEST(deadline) {
    pid_t holders[2] = { start(hold, 0), start(hold, 1) };
    until_at_work(2);
    jc_cache *c = opened(100);
    jc_cache_stats s;
    double start_ms = jc_now_ms();
    ck_assert(get_slow(c, 0));
    ck_assert_double_ge(jc_now_ms() - start_ms, 100);
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.waited_processes, 1);
    ck_assert_uint_eq(s.unlocked, 1);
    ck_assert(get_slow(c, 1));
    jc_cache_get_stats(c, &s);
    ck_assert_msg(s.waited_processes == 1, "who has waited in vain waits again");
    jc_cache_close(c);
    c = opened(0);
    ck_assert(get_slow(c, 0)); /* stored, though somebody holds its lock */
    jc_cache_close(c);
    for (int i = 0; i < 2; i++) {
        kill(holders[i], SIGKILL);
        waitpid(holders[i], NULL, 0);
    }
}
END_TEST

static bool stop_at_once(void *user) {
    (void)user;
    return true;
}

/* Who is told to stop does not wait; what is to be done then is the builder's business. */
START_TEST(stopped) {
    int i = 0;
    jc_key key = key_of(0);
    jc_lock claim;
    pid_t holder = start(hold, 0);
    until_at_work(1);
    jc_cache *c = opened(60000);
    const jc_cache_builder builder = { .build = slow, .stop = stop_at_once, .user = &i };
    ck_assert(jc_cache_elsewhere(c, &key));
    ck_assert_int_eq(jc_cache_await(c, &key, 60000, &builder), JC_TURN_OTHERS);
    ck_assert(get(c, 0, builder));
    ck_assert_int_eq(shared->builds[0], 1);
    jc_cache_close(c);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    c = opened(60000);
    ck_assert(!jc_cache_elsewhere(c, &key));
    ck_assert_int_eq(jc_cache_await(c, &key, 60000, &builder), JC_TURN_THERE);
    key = key_of(1);
    ck_assert_int_eq(jc_cache_await(c, &key, 60000, &builder), JC_TURN_OURS);
    ck_assert(jc_cache_claim(c, &key, &claim));
    jc_lock other;
    ck_assert(!jc_cache_claim(c, &key, &other)); /* to another thread it is somebody else's */
    ck_assert_int_eq(jc_cache_await(c, &key, 30, &(jc_cache_builder){ 0 }), JC_TURN_OTHERS);
    ck_assert(!jc_cache_elsewhere(c, &key)); /* claimed, not being built */
    i = 1;
    ck_assert(get(c, 1, (jc_cache_builder){ .build = slow, .user = &i })); /* which a claim does not keep from */
    jc_lock_close(&claim);
    jc_lock_close(&claim);
    jc_cache_close(c);
}
END_TEST

/* --- forks --- */

static pid_t offspring;

/* A build during which another thread forks: the child lives on. */
static jitc_status forking(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    offspring = fork();
    if (offspring == 0)
        for (;;)
            pause();
    return slow(user, a, bytes, n, err);
}

START_TEST(forked_child_holds_nothing) {
    int i = 0;
    jc_key key = key_of(0);
    jc_cache *c = opened(60000);
    ck_assert(get(c, 0, (jc_cache_builder){ .build = forking, .user = &i }));
    ck_assert_msg(!jc_cache_elsewhere(c, &key), "a forked child has the lock of the build that it was forked in");
    jc_cache_close(c);
    kill(offspring, SIGKILL);
    waitpid(offspring, NULL, 0);
}
END_TEST

/* --- whole models --- */

static const char graph_text[] = "class GraphModule(torch.nn.Module):\n"
                                 "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
                                 "        a: \"f32[s0, 8]\" = torch.tanh(x)\n"
                                 "        b: \"f32[s0, 1]\" = a.sum(dim = -1, keepdim = True)\n"
                                 "        c: \"f32[s0, 8]\" = a.softmax(-1)\n"
                                 "        d: \"f32[8, s0]\" = c.transpose(0, 1).contiguous()\n"
                                 "        return (b, d)\n";

static uint64_t compile_model(const char *cache) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = cache, .device = "host", .threads = 2 };
    jitc_model_options mo = { .struct_size = sizeof mo, .arch = "host" };
    jitc_model_stats s = { .struct_size = sizeof s };
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *m;
    if (jitc_context_new(&o, &ctx) != JITC_OK || jitc_graph_read(ctx, "t.py", graph_text, strlen(graph_text), &g) != JITC_OK ||
        jitc_model_build(ctx, &g, 1, &mo, &m) != JITC_OK)
        return 1000;
    jitc_model_get_stats(m, &s);
    jitc_context_free(ctx);
    return s.kernels_compiled;
}

static void compile(int rank) {
    (void)rank;
    atomic_fetch_add(&shared->at_work, 1);
    while (atomic_load(&shared->at_work) < RANKS)
        usleep(100);
    atomic_fetch_add(&shared->finished, (int)compile_model(dir));
}

static void compile_alone(int rank) {
    (void)rank;
    atomic_fetch_add(&shared->builds[0], (int)compile_model(""));
}

/* As many kernels are compiled by all ranks together as by one alone. */
START_TEST(model_compiled_once) {
    pid_t ranks[RANKS];
    ends_well(start(compile_alone, 0));
    ck_assert_int_ge(shared->builds[0], 2);
    for (int i = 0; i < RANKS; i++)
        ranks[i] = start(compile, i);
    for (int i = 0; i < RANKS; i++)
        ends_well(ranks[i]);
    ck_assert_int_eq(shared->finished, shared->builds[0]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("turns");
    TCase *t = tcase_create("turns");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, built_once);
    tcase_add_loop_test(t, without_locks, 0, 4);
    tcase_add_loop_test(t, no_lock_file, 0, 3);
    tcase_add_test(t, killed_holder);
    tcase_add_test(t, deadline);
    tcase_add_test(t, stopped);
    tcase_add_test(t, forked_child_holds_nothing);
    tcase_add_test(t, model_compiled_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
