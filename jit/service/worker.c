/*
 * jit/service/worker.c - the program jitc-worker: compiles one kernel for a process that would not have LLVM within itself
 * (jit/service/isolate.h).
 *
 *   jitc-worker SECONDS BYTES    a request on standard input, within these limits; the answer on standard output
 *   jitc-worker FILE             the same for a request that was kept, to see it fail again; says what came of it
 */
#define _GNU_SOURCE /* close_range */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/debug.h"
#include "base/file.h"
#include "base/library.h"
#include "jit/asm/assemble.h"
#include "jit/llvm/backend.h"
#include "jit/service/isolate.h"

#define MAX_REQUEST (1u << 30)

static void limit(int what, uint64_t to) {
    struct rlimit r;
    if (getrlimit(what, &r) != 0)
        return;
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < to)
        to = r.rlim_max;
    r.rlim_cur = to;
    (void)setrlimit(what, &r);
}

/* Nothing of it outlives its caller, writes cores, or goes beyond what it was given. */
static void set_limits(const char *seconds, const char *bytes) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(3, ~0u, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, 8 * strtoull(seconds, NULL, 10)); /* its threads' together; the caller looks at the clock */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose shadows are larger than any limit */
    limit(RLIMIT_AS, strtoull(bytes, NULL, 10));
#else
    (void)bytes;
#endif
}

/* The code generator lies beside us, wherever both were put, unless somebody names another. */
static void name_module(void) {
    char path[PATH_MAX + sizeof "libjitc-llvm.so"];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n <= 0 || n == PATH_MAX || jc_library_env("JITC_LLVM_LIBRARY"))
        return;
    path[n] = 0;
    strcpy(strrchr(path, '/') + 1, "libjitc-llvm.so");
    if (access(path, R_OK) == 0)
        (void)setenv("JITC_LLVM_LIBRARY", path, 1);
}

static void read_all(int fd, jc_bytes *out) {
    char block[65536];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0 && out->n < MAX_REQUEST)
        jc_put(out, block, (size_t)n);
}

static jitc_status compile(const jc_isolate_request *r, jc_arena *arena, jc_isolate_answer *out, jc_error *err) {
    const jc_backend *b;
    double start = jc_now_ms();
    JC_TRY(jc_backend_open(&b, err));
    out->llvm = b->llvm_version;
    JC_TRY(b->compile(r->kernel, r->nkernel, r->name, r->target, arena, &out->code, &out->ncode, NULL, err));
    out->ms_llvm = jc_now_ms() - start;
    start = jc_now_ms();
    if (r->assemble)
        JC_TRY(jc_assemble((const char *)out->code, out->ncode, r->target, arena, &out->code, &out->ncode, err));
    out->ms_assemble = jc_now_ms() - start;
    return JITC_OK;
}

static jitc_status work(int in, jc_arena *arena, jc_isolate_answer *answer, jc_error *err) {
    jc_bytes bytes = JC_BYTES(arena);
    jc_isolate_request request;
    jc_target target;
    read_all(in, &bytes);
    JC_TRY(jc_isolate_get_request(bytes.at, bytes.n, arena, &target, &request, err));
    return compile(&request, arena, answer, err);
}

static int replay(const char *path, jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    jc_isolate_answer answer = { 0 };
    char line[1600];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror(path);
        return 3;
    }
    if (work(fd, arena, &answer, &err) == JITC_OK)
        printf("compiled: %zu bytes, LLVM %s %.1f ms, assembler %.1f ms\n", answer.ncode, answer.llvm, answer.ms_llvm, answer.ms_assemble);
    else
        printf("failed: %s\n", jc_error_text(&err, line, sizeof line));
    return err.status == JITC_OK ? 0 : 5;
}

/* What LLVM or an assembler may print is none of the answer. */
static int serve(jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    jc_isolate_answer answer = { .llvm = "" };
    jc_bytes out = JC_BYTES(arena);
    int to = dup(STDOUT_FILENO);
    if (to < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return 5;
    jitc_status status = work(STDIN_FILENO, arena, &answer, &err);
    jc_isolate_put_answer(&answer, status, &err, &out);
    return jc_write_all(to, out.at, out.n) ? 0 : 5;
}

int main(int argc, char **argv) {
    jc_guard guard;
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: jitc-worker FILE, a request that was kept\n");
        return 2;
    }
    name_module();
    if (argc == 3)
        set_limits(argv[1], argv[2]);
    jc_arena *arena = jc_arena_new(NULL);
    volatile int code = 5;
    if (!arena || JC_GUARD(arena, &guard))
        fprintf(stderr, "out of memory\n");
    else
        code = argc == 3 ? serve(arena) : replay(argv[1], arena);
    if (argc == 3)
        _exit(code); /* all is said; what libraries do at the end may take long, or fail */
    if (arena)
        jc_guard_end(arena, &guard);
    jc_arena_free(arena);
    return code;
}
