/*
 * tests/check_sizes.c - sizes that are 0, 1, odd or not what an annotation says: right on every device, or refused.
 *
 * A row runs at several values of its symbols, on `host` and `sim`, against the reference, or is refused there by both.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/graph_run.h"

#define S0 "s0: \"Sym(s0)\", "
#define S1 "s1: \"Sym(s1)\", "
#define MODULE "class GraphModule(torch.nn.Module):\n"
#define FORWARD "    def forward(self, "
#define SUBMODULE "    class submod_0(torch.nn.Module):\n        def forward(self, "

typedef struct row {
    graph_case c;
    const char *good[8]; /* values of the symbols at which it runs */
    const char *bad[4];  /* ... at which it is refused ... */
    const char *says;    /* ... with a sentence that has these */
} row;

static const row rows[] = {
    /* expressions without a value */
    { { "quotient in the root", NULL,
        MODULE FORWARD S0 S1 "x: \"f32[s0, 4]\"):\n        a = self.submod_0(x)\n        y = a[0]\n"
        "        q: \"Sym(s0//s1)\" = s0 // s1\n        return (y, q)\n"
        SUBMODULE "x: \"f32[s0, 4]\"):\n            y: \"f32[s0, 4]\" = x + 1.0\n            return (y,)\n", NULL, 0, NULL },
      { "s0=8 s1=3", "s0=3 s1=7" }, { "s0=8 s1=0" }, "s0//s1|s0=8|s1=0" },
    { { "quotient of a product", S0 S1 "x: \"f32[s0, 4]\"", "y = x + 1.0\nq = (s0 * 3) % s1", "y, q", 0, NULL },
      { "s0=8 s1=5" }, { "s0=8 s1=0" }, "s0=8|s1=0" },
};

#define NROWS ((int)(sizeof rows / sizeof *rows))

static void all_of(const row *r, const char *device) {
    for (size_t i = 0; i < sizeof r->good / sizeof *r->good && r->good[i]; i++)
        graph_check_at(&r->c, device, r->good[i], 5 + i);
    for (size_t i = 0; i < sizeof r->bad / sizeof *r->bad && r->bad[i]; i++)
        graph_fails_at(&r->c, device, r->bad[i], r->says);
}

START_TEST(on_host) {
    all_of(&rows[_i], "host");
}
END_TEST

START_TEST(on_sim) {
    all_of(&rows[_i], "sim");
}
END_TEST

int main(void) {
    Suite *s = suite_create("sizes");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    tcase_add_loop_test(host, on_host, 0, NROWS);
    tcase_add_loop_test(sim, on_sim, 0, NROWS);
    tcase_set_timeout(host, 60);
    tcase_set_timeout(sim, 60);
    suite_add_tcase(s, host);
    suite_add_tcase(s, sim);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
