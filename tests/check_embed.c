/*
 * tests/check_embed.c - the embedding example prints what its head says it prints.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

START_TEST(prints_what_it_says) {
    char out[256] = "";
    setenv("JITC_CACHE_DIR", "", 1);
    FILE *f = popen(TEST_BUILDDIR "/examples/embed", "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(out, 1, sizeof out - 1, f);
    int status = pclose(f);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "examples/embed ended with %d", status);
    ck_assert_uint_gt(n, 0);
    ck_assert_str_eq(out, "[2 tokens] 7 13 19 25\n");
}
END_TEST

int main(void) {
    Suite *s = suite_create("embed");
    TCase *t = tcase_create("embed");
    tcase_add_test(t, prints_what_it_says);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
