/*
 * tests/check_isolate.c - kernels compiled in processes of their own (jit/service/isolate.h): what comes of them, and what becomes of this
 * process when they die, never end, or eat memory.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit/api/model.h"
#include "tests/tool_run.h"

#define MODULE TEST_BUILDDIR "/.libs/libjitc-llvm.so"
#define BAD TEST_BUILDDIR "/tests/bad_llvm.so"
#define WORKER TEST_BUILDDIR "/.libs/jitc-worker"

static const char mul_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8]\"):\n"
    "        y: \"f32[8]\" = x * 2\n"
    "        return (y,)\n";
static const char two_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8, 8]\"):\n"
    "        y: \"f32[8, 8]\" = torch.softmax(x, dim = -1)\n"
    "        z: \"f32[8, 8]\" = torch.matmul(y, x)\n"
    "        return (z,)\n";

static void set_up(void) {
    tool_enter("isolate");
    write_text("mul.py", mul_text);
    write_text("two.py", two_text);
    setenv("JITC_LLVM_LIBRARY", BAD, 1);
    setenv("JITC_TEST_MODULE", MODULE, 1);
    setenv("JITC_ASSEMBLER", "/nonexistent/ptxas", 1);
    unsetenv("JITC_TEST_FAULT");
}

static int open_files(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static jitc_context *context(unsigned seconds, uint64_t size) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "cache", .device = "host", .threads = 2, .isolate = true,
                               .isolate_seconds = seconds, .isolate_bytes = size };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    return ctx;
}

static jitc_status build(jitc_context *ctx, const char *text, bool (*cancel)(void *user)) {
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .cancel = cancel };
    jitc_graph *g;
    jitc_model *m;
    ck_assert_int_eq(jitc_graph_read(ctx, "g.py", text, strlen(text), &g), JITC_OK);
    return jitc_model_build(ctx, &g, 1, &o, &m);
}

/* The code is the same, and LLVM is not in this process. */
START_TEST(same_code) {
    size_t n, m;
    unsetenv("JITC_TEST_FAULT");
    result r = jitc("compile --no-cache --arch host -o here.jitc two.py");
    expect(&r, 0);
    r = jitc("compile --no-cache --isolate --arch host -o there.jitc two.py");
    expect(&r, 0);
    const char *a = whole("here.jitc", &n), *b = whole("there.jitc", &m);
    ck_assert(n == m && memcmp(a, b, n) == 0);
    r = jitc("compile --no-cache --isolate --arch sm_80 -o there.jitc two.py");
    expect(&r, 0);
    r = jitc("run --no-cache --isolate --device host --verify two.py");
    expect(&r, 0);
    jitc_context *ctx = context(0, 0);
    ck_assert_msg(build(ctx, two_text, NULL) == JITC_OK, "%s", jitc_context_error(ctx));
    jitc_context_free(ctx);
    FILE *f = fopen("/proc/self/maps", "r");
    char line[4200];
    while (fgets(line, sizeof line, f))
        ck_assert_msg(!strstr(line, "/libjitc-llvm") && !strstr(line, "/libLLVM"), "%s", line);
    fclose(f);
}
END_TEST

static const struct {
    const char *fault, *words;
    unsigned seconds;
    uint64_t size;
} faults[] = {
    { "abort", "Cannot select: t42", 0, 0 },
    { "segv", "signal 11", 0, 0 },
    { "kill", "signal 9", 0, 0 },
    { "exit", "no answer", 0, 0 },
    { "open", "signal 6", 0, 0 },
    { "loop", "did not end within 1 s", 1, 0 },
    { "silence", "signal 9", 0, 0 },
    { "hunger", "out of memory", 0, 1ull << 30 },
};

/* The files that are kept, and the path of one. */
static int reports(char *path, size_t size) {
    DIR *d = opendir("cache/failed");
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            n++;
            snprintf(path, size, "cache/failed/%s", e->d_name);
        }
    if (d)
        closedir(d);
    return n;
}

START_TEST(not_survived) {
    char path[512] = "";
    struct stat st;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (faults[_i].size) {
        fprintf(stderr, "SKIP: there are no limits of memory with a sanitizer\n");
        return;
    }
#endif
    jitc_context *ctx = context(faults[_i].seconds, faults[_i].size);
    int files = open_files();
    setenv("JITC_TEST_FAULT", faults[_i].fault, 1);
    ck_assert_int_eq(build(ctx, mul_text, NULL), JITC_E_COMPILE);
    const char *said = jitc_context_error(ctx);
    ck_assert_msg(strstr(said, faults[_i].words) && strstr(said, "kernel"), "%s", said);
    ck_assert_int_eq(open_files(), files);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    ck_assert_int_eq(reports(path, sizeof path), 1);
    ck_assert_msg(strstr(said, path) != NULL, "%s", said);
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    unsetenv("JITC_TEST_FAULT");
    result r = run_program(WORKER, NULL, path); /* what was kept is all that it takes */
    expect(&r, 0);
    ck_assert_msg(strncmp(r.out, "compiled: ", 10) == 0, "%s", r.out);
    ck_assert_msg(build(ctx, mul_text, NULL) == JITC_OK, "%s", jitc_context_error(ctx)); /* and this context goes on */
    jitc_context_free(ctx);
}
END_TEST

START_TEST(the_tool) {
    const char *const fault[] = { "JITC_TEST_FAULT=abort", NULL };
    result r = run_program(JITC, fault, "compile --isolate --json --arch host mul.py");
    json_t *j = expect_json(&r, 5);
    ck_assert_str_eq(text(json_object_get(j, "error"), "status"), "E_COMPILE");
    json_decref(j);
    ck_assert_msg(strstr(r.err, "killed by signal 6") != NULL, "%s", r.err);
    r = run_program(JITC, fault, "compile --arch host mul.py"); /* or this shows nothing */
    ck_assert_int_eq(r.code, 128 + SIGABRT);
    const char *const chatter[] = { "JITC_TEST_FAULT=chatter", NULL };
    r = run_program(JITC, chatter, "compile --isolate --arch host mul.py");
    expect(&r, 0);
    r = run_program(WORKER, NULL, "mul.py");
    expect(&r, 5);
    ck_assert(strstr(r.out, "no request") != NULL);
}
END_TEST

static void copy(const char *from, const char *to) {
    size_t n;
    const char *bytes = whole(from, &n);
    FILE *f = fopen(to, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
    chmod(to, 0755);
}

/* An installation that was put elsewhere: worker and code generator lie beside each other. */
START_TEST(elsewhere) {
    const char *const bare[] = { "JITC_LLVM_LIBRARY", NULL };
    mkdir("p", 0755);
    mkdir("p/bin", 0755);
    mkdir("p/lib", 0755);
    mkdir("p/lib/jitc", 0755);
    copy(JITC, "p/bin/jitc");
    copy(WORKER, "p/lib/jitc/jitc-worker");
    result r = run_program("p/bin/jitc", bare, "compile --isolate --no-cache --arch host mul.py");
    expect(&r, 5); /* there is no code generator */
    ck_assert_int_eq(symlink(MODULE, "p/lib/jitc/libjitc-llvm.so"), 0);
    r = run_program("p/bin/jitc", bare, "compile --isolate --no-cache --arch host mul.py");
    expect(&r, 0);
    unlink("p/lib/jitc/jitc-worker");
    r = run_program("p/bin/jitc", bare, "compile --isolate --no-cache --arch host mul.py");
    expect(&r, 5);
    ck_assert_msg(strstr(r.err, "There is no") && strstr(r.err, "jitc-worker"), "%s", r.err);
}
END_TEST

/* Keys name the LLVM that a worker has. */
static long long counted(const result *r, const char *what) {
    json_t *j = expect_json(r, 0);
    long long n = number(j, what);
    json_decref(j);
    return n;
}

START_TEST(other_llvm) {
    const char *const other[] = { "JITC_TEST_FAULT=other", NULL };
    result r = run_program(JITC, other, "compile --isolate --json --arch host mul.py");
    ck_assert_int_eq(counted(&r, "compiled"), 1);
    ck_assert_msg(strstr(r.err, "99.9.9") != NULL, "%s", r.err);
    r = run_program(JITC, NULL, "compile --isolate --json --arch host mul.py");
    ck_assert_int_eq(counted(&r, "compiled"), 1); /* what the other made is not for this one */
    r = run_program(JITC, NULL, "compile --isolate --json --arch host mul.py");
    ck_assert_int_eq(counted(&r, "hits"), 1);
}
END_TEST

static atomic_int asked;

static bool soon(void *user) {
    (void)user;
    return atomic_fetch_add(&asked, 1) > 8;
}

/* A build that is cancelled does not wait for a worker that never ends. */
START_TEST(cancelled) {
    jitc_context *ctx = context(60, 0);
    setenv("JITC_TEST_FAULT", "loop", 1);
    ck_assert_int_eq(build(ctx, mul_text, soon), JITC_E_CANCELLED);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    unsetenv("JITC_TEST_FAULT");
    ck_assert_int_eq(build(ctx, mul_text, NULL), JITC_OK);
    jitc_context_free(ctx);
}
END_TEST

/* A host that ignores its children's ends, and one without standard files. */
START_TEST(odd_hosts) {
    signal(SIGCHLD, SIG_IGN);
    jitc_context *ctx = context(0, 0);
    ck_assert_msg(build(ctx, mul_text, NULL) == JITC_OK, "%s", jitc_context_error(ctx));
    setenv("JITC_TEST_FAULT", "segv", 1);
    ck_assert_int_eq(build(ctx, two_text, NULL), JITC_E_COMPILE);
    unsetenv("JITC_TEST_FAULT");
    signal(SIGCHLD, SIG_DFL);
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        _exit(build(ctx, two_text, NULL) == JITC_OK ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("isolate");
    TCase *t = tcase_create("isolate");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_add_test(t, same_code);
    tcase_add_loop_test(t, not_survived, 0, sizeof faults / sizeof *faults);
    tcase_add_test(t, the_tool);
    tcase_add_test(t, elsewhere);
    tcase_add_test(t, other_llvm);
    tcase_add_test(t, cancelled);
    tcase_add_test(t, odd_hosts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
