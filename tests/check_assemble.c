/*
 * tests/check_assemble.c - PTX to cubin by each assembler that is there, and opening the code generator.
 *
 * Where a machine has no assembler at all, the tests that need one say so and do nothing.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codegen_id.h"
#include "base/pool.h"
#include "jit/asm/assemble.h"
#include "jit/llvm/backend.h"

static const char ptx[] = ".version 7.8\n.target sm_80\n.address_size 64\n"
                          ".visible .entry kernel(.param .u64 p)\n{\n.reg .b64 %rd<3>;\n.reg .f32 %f<2>;\n"
                          "ld.param.u64 %rd1, [p];\ncvta.to.global.u64 %rd2, %rd1;\nmov.f32 %f1, 0f3F800000;\n"
                          "st.global.f32 [%rd2], %f1;\nret;\n}\n";
static const char broken[] = ".version 7.8\n.target sm_80\n.address_size 64\n.visible .entry kernel()\n{\nfrobnicate.f32 %f1;\n}\n";

static const char *const forced[] = { NULL, "/usr/local/cuda/lib64/libnvJitLink.so.13", "/usr/local/cuda/bin/ptxas" };
enum { NFORCED = sizeof forced / sizeof *forced };

/* True when the test is to go on with assembler I. */
static bool use(int i, jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    jc_assembler a;
    if (!forced[i])
        unsetenv("JITC_ASSEMBLER");
    else
        setenv("JITC_ASSEMBLER", forced[i], 1);
    if (jc_assembler_find(arena, &a, &err) == JITC_OK)
        return true;
    fprintf(stderr, "SKIP: no assembler %s: %s\n", forced[i] ? forced[i] : "at all", err.message);
    return false;
}

static jc_target sm80(void) {
    jc_target t;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_target_parse("sm_80", &t, &err), JITC_OK);
    return t;
}

START_TEST(test_assembles) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_target t = sm80();
    const uint8_t *cubin = NULL;
    size_t n = 0;
    if (use(_i, arena)) {
        ck_assert_msg(jc_assemble(ptx, strlen(ptx), &t, arena, &cubin, &n, &err) == JITC_OK, "%s", err.message);
        ck_assert_uint_gt(n, 64);
        ck_assert_mem_eq(cubin, "\177ELF", 4);
    }
    jc_arena_free(arena);
}
END_TEST

START_TEST(test_says_what_is_wrong) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_target t = sm80();
    const uint8_t *cubin = NULL;
    size_t n = 0;
    if (use(_i, arena)) {
        ck_assert_int_eq(jc_assemble(broken, strlen(broken), &t, arena, &cubin, &n, &err), JITC_E_COMPILE);
        ck_assert_msg(strstr(err.message, "frobnicate"), "%s", err.message);
        ck_assert_msg(strstr(err.message, "sm_80"), "%s", err.message);
    }
    jc_arena_free(arena);
}
END_TEST

START_TEST(test_identity) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_assembler a[2];
    if (use(_i, arena)) {
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(jc_assembler_find(arena, &a[i], &err), JITC_OK);
        ck_assert_mem_eq(&a[0].id, &a[1].id, sizeof a[0].id);
        ck_assert_str_eq(a[0].text, a[1].text);
        ck_assert_msg(strchr(a[0].text, '/'), "%s", a[0].text);
    }
    jc_arena_free(arena);
}
END_TEST

START_TEST(test_none) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_assembler a;
    setenv("JITC_ASSEMBLER", "/nowhere/ptxas", 1);
    ck_assert_int_eq(jc_assembler_find(arena, &a, &err), JITC_E_DEVICE);
    ck_assert_msg(strstr(err.message, "/nowhere/ptxas"), "%s", err.message);
    jc_arena_free(arena);
}
END_TEST

static void assemble_one(void *user, size_t i) {
    jitc_status *status = user;
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_target t = sm80();
    const uint8_t *cubin;
    size_t n;
    status[i] = jc_assemble(ptx, strlen(ptx), &t, arena, &cubin, &n, &err);
    jc_arena_free(arena);
}

START_TEST(test_threads) {
    jc_arena *arena = jc_arena_new(NULL);
    jitc_status status[8];
    if (use(_i, arena)) {
        jc_pool_run(4, 8, assemble_one, status);
        for (int i = 0; i < 8; i++)
            ck_assert_int_eq(status[i], JITC_OK);
    }
    jc_arena_free(arena);
}
END_TEST

/* ---- the code generator --------------------------------------------------------------------------------------- */

START_TEST(test_backend) {
    const jc_backend *b[2];
    jc_error err = JC_ERROR_INIT;
    for (int i = 0; i < 2; i++)
        ck_assert_msg(jc_backend_open(&b[i], &err) == JITC_OK, "%s", err.message);
    ck_assert_ptr_eq(b[0], b[1]);
    ck_assert_uint_eq(b[0]->abi, JC_BACKEND_ABI);
    ck_assert_str_eq(b[0]->codegen_id, JC_CODEGEN_ID);
    ck_assert_ptr_nonnull(strchr(b[0]->llvm_version, '.'));
}
END_TEST

START_TEST(test_backend_named) {
    const jc_backend *b;
    jc_error err = JC_ERROR_INIT;
    setenv("JITC_LLVM_LIBRARY", "/nowhere/libjitc-llvm.so", 1);
    ck_assert_int_eq(jc_backend_open(&b, &err), JITC_E_COMPILE);
    ck_assert_msg(strstr(err.message, "/nowhere/libjitc-llvm.so"), "%s", err.message);
    ck_assert_ptr_null(b);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("assemble");
    TCase *t = tcase_create("assemblers");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_assembles, 0, NFORCED);
    tcase_add_loop_test(t, test_says_what_is_wrong, 0, NFORCED);
    tcase_add_loop_test(t, test_identity, 0, NFORCED);
    tcase_add_loop_test(t, test_threads, 0, NFORCED);
    tcase_add_test(t, test_none);
    suite_add_tcase(s, t);
    t = tcase_create("code generator");
    tcase_add_test(t, test_backend);
    tcase_add_test(t, test_backend_named);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
