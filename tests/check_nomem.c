/*
 * tests/check_nomem.c - `jitc` where memory runs out: allocation number N of malloc and its kin fails, once or with all that follow,
 * for each subcommand that opens no LLVM.  It answers as it would have, or says that memory is out: in a sentence and, with
 * --json, in an object; it is never killed.
 * What follows a result that was printed (a trace) may still fail, by its exit code and sentence.
 *
 * N goes from 0 until a run passes without reaching it: by ones at first, then in growing steps; with JITC_FAULTS_ALL by ones.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tool_run.h"

static const char mul_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8]\"):\n"
    "        y: \"f32[8]\" = x * 2\n"
    "        return (y,)\n";
static const char names_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
    "        a: \"f32[s0, 8]\" = torch.ops.vllm.f(x, 'layers.1');  x = None\n"
    "        b: \"f32[s0, 8]\" = a.sum(dim = -1, keepdim = True) + a\n"
    "        c: \"f32[s0, 8]\" = torch.ops.vllm.f(b, 'layers.2')\n"
    "        return (c,)\n";
static const char bad_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8]\"):\n"
    "        y: \"f32[8]\" = torch.frobnicate(x)\n"
    "        return (y,)\n";

static const struct {
    const char *args;
    int code; /* with memory */
    bool doctor;
} rows[] = {
    { "version --json", 0, false },
    { "split names.py", 0, false },
    { "split --json names.py", 0, false },
    { "split --report page names.py", 0, false },
    { "split --dot names.py", 0, false },
    { "explain --json names.py", 0, false },
    { "explain names.py mul.py", 1, false },
    { "dump --stage=decomposed names.py", 0, false },
    { "dump --stage=plan --arch host mul.py", 0, false },
    { "check --max-classes 3 --arch host --json mul.py", 0, false }, /* an entry that there is no memory for is a miss */
    { "compile --json --arch host mul.py", 0, false }, /* a hit */
    { "compile --json --arch host bad.py", 4, false },
    { "run --device host --json --verify --trace t.json mul.py", 0, false },
    { "run --device host --outputs out.safetensors --names names.json mul.py", 0, false },
    { "run --device host --no-cache --read-cache mul.jitc mul.py", 0, false },
    { "run --device host --json mul.jitc", 0, false },
    { "run --device host --load-only --json --trust-key a.key.pub mul.jitc", 0, false },
    { "bench --device host --repeat 1 mul.jitc", 0, false },
    { "bundle sign --json --key a.key mul.jitc", 0, false },
    { "bundle verify --trust-key a.key.pub mul.jitc", 0, false },
    { "cache stats --json", 0, false },
    { "cache verify --json", 0, false },
    { "cache clear --cache elsewhere", 0, false },
    { "doctor --json", 0, true },
};

static void set_up(void) {
    tool_enter("nomem");
    write_text("mul.py", mul_text);
    write_text("names.py", names_text);
    write_text("bad.py", bad_text);
    write_text("names.json", "{\"x\": \"y\"}");
    result r = jitc("compile -q --arch host -o mul.jitc mul.py");
    expect(&r, 0);
    r = jitc("bundle keygen a.key");
    expect(&r, 0);
    r = jitc("bundle sign --key a.key mul.jitc");
    expect(&r, 0);
}

static result run_with(const char *args, long at, bool forever) {
    const char *environment[] = { "LD_PRELOAD=" TEST_BUILDDIR "/tests/fail_malloc.so", jc_arena_printf(arena, "FAIL_AT=%ld", at),
                                  "FAIL_REACHED=reached", forever ? "FAIL_FOREVER=1" : "FAIL_FOREVER", NULL };
    unlink("reached");
    return run_program(JITC, environment, args);
}

static void look_at(const char *args, const result *r, int code, long at, bool forever) {
    bool says = strstr(r->err, "memory") != NULL, json = strstr(args, "--json") != NULL;
    ck_assert_msg(r->code == code || (r->code > 0 && r->code <= 6 && says), "%s, allocation %ld%s: exit code %d\n%s%s", args, at,
                  forever ? " and all later ones" : "", r->code, r->out, r->err);
    if (json) {
        json_t *j = parse(r->out);
        ck_assert_int_eq(number(j, "version"), 1);
        json_decref(j);
    }
}

START_TEST(out_of_memory) {
    const char *args = rows[_i].args;
    bool all = getenv("JITC_FAULTS_ALL") != NULL;
    for (int forever = 0; forever < 2; forever++) {
        long n = 0;
        for (bool reached = true; reached; n += all || n < 8 ? 1 : n / (rows[_i].doctor ? 3 : 6)) {
            result r = run_with(args, n, forever);
            look_at(args, &r, rows[_i].code, n, forever);
            reached = access("reached", F_OK) == 0;
            ck_assert_msg(reached || r.code == rows[_i].code, "%s: exit code %d with memory: %s", args, r.code, r.err);
            ck_assert_msg(n < 1000000, "%s: no end", args);
        }
        ck_assert_int_gt(n, 2);
    }
}
END_TEST

int main(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    fprintf(stderr, "SKIP: the sanitizer's malloc is not to be replaced\n");
    return 77;
#endif
    Suite *s = suite_create("nomem");
    TCase *t = tcase_create("nomem");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_add_loop_test(t, out_of_memory, 0, sizeof rows / sizeof *rows);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
