/*
 * tests/check_engine.c - the engine example prints what its head says it prints, on the host and where there is a GPU on that.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char numbers[] =
    "prefill 16 tokens: 1920\n"
    "prefill 64 tokens: 7680\n"
    "prefill 5 tokens: 600\n"
    "decode 4 steps: 120 240 360 480\n";

/* Standard output of the example on DEVICE; its exit code. */
static int run(const char *device, char *out, size_t size) {
    char command[512];
    snprintf(command, sizeof command, "%s/examples/engine %s", TEST_BUILDDIR, device);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(out, 1, size - 1, f);
    out[n] = 0;
    int status = pclose(f);
    ck_assert_msg(WIFEXITED(status), "examples/engine was killed");
    return WEXITSTATUS(status);
}

START_TEST(on_host) {
    char out[1024];
    for (int i = 0; i < 5; i++) { /* two threads: not by luck */
        ck_assert_int_eq(run("host", out, sizeof out), 0);
        ck_assert_msg(strncmp(out, numbers, sizeof numbers - 1) == 0, "%s", out);
        ck_assert_str_eq(out + sizeof numbers - 1, "layers.0 ran 7 times\n");
    }
}
END_TEST

START_TEST(on_cuda) {
    char out[1024];
    int code = run("cuda", out, sizeof out);
    if (code == 77) {
        fprintf(stderr, "SKIP: there is no GPU here, so the engine example ran on the host alone\n");
        return;
    }
    ck_assert_int_eq(code, 0);
    ck_assert_msg(strncmp(out, numbers, sizeof numbers - 1) == 0, "%s", out);
    ck_assert_str_eq(out + sizeof numbers - 1, "layers.0 ran 5 times\n"); /* decoding: once to load, once into the capture */
}
END_TEST

int main(void) {
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("engine");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, on_host);
    tcase_add_test(t, on_cuda);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
