/*
 * tests/check_safetensors.c - reading files by hand, refusing broken ones, and writing what reads back.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/safetensors.h"

static jc_arena *arena;

static void set_up(void) {
    arena = jc_arena_new(NULL);
}

static void tear_down(void) {
    jc_arena_free(arena);
}

/* Length, header, DATA zero bytes but for a rising count. */
static jitc_status parse(const char *header, int64_t length, size_t data, jc_st_file *out, jc_error *err) {
    size_t size = 8 + strlen(header) + data;
    uint8_t *bytes = jc_arena_alloc(arena, size);
    uint64_t said = length < 0 ? strlen(header) : (uint64_t)length;
    for (int k = 0; k < 8; k++)
        bytes[k] = (uint8_t)(said >> (8 * k));
    memcpy(bytes + 8, header, strlen(header));
    for (size_t k = 0; k < data; k++)
        bytes[8 + strlen(header) + k] = (uint8_t)(k + 1);
    return jc_st_parse(arena, "test", bytes, size, out, err);
}

START_TEST(by_hand) {
    jc_st_file file;
    jc_error err = JC_ERROR_INIT;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]},"
                         "\"a\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[0,4]},"
                         "\"none\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[7,7]},"
                         "\"one\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[7,8]}}";
    ck_assert_msg(parse(header, -1, 8, &file, &err) == JITC_OK, "%s", err.message);
    ck_assert_uint_eq(file.n, 4);
    ck_assert_str_eq(file.at[0].name, "a"); /* by place in the file */
    const jc_st_tensor *b = jc_st_find(&file, "b"), *one = jc_st_find(&file, "one");
    ck_assert(b && b->dtype == JC_U8 && b->rank == 1 && b->dims[0] == 3 && b->nbytes == 3);
    ck_assert_mem_eq(b->data, "\5\6\7", 3);
    ck_assert_uint_eq((uintptr_t)b->data % 16, 0);
    ck_assert(one && one->rank == 0 && one->nbytes == 1);
    ck_assert(jc_st_find(&file, "none")->nbytes == 0);
    ck_assert(!jc_st_find(&file, "__metadata__"));
}
END_TEST

#define TENSOR(dtype, shape, offsets) "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct { const char *name, *header; int64_t length; const char *says; } broken[] = {
    { "length past the end", "{}", 1000, "length" },
    { "huge length", "{}", INT64_MAX, "length" },
    { "no JSON", "{,}", -1, "JSON" },
    { "an array", "[]", -1, "object" },
    { "the same name twice", "{\"x\":1,\"x\":2}", -1, "JSON" },
    { "a number for a tensor", "{\"x\":1}", -1, "dtype" },
    { "unknown dtype", TENSOR("\"C64\"", "[1]", "[0,8]"), -1, "dtype" },
    { "no shape", TENSOR("\"U8\"", "3", "[0,3]"), -1, "shape" },
    { "too many dims", TENSOR("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), -1, "dims" },
    { "negative dim", TENSOR("\"U8\"", "[-1]", "[0,1]"), -1, "dim" },
    { "a fraction", TENSOR("\"U8\"", "[1.5]", "[0,1]"), -1, "dim" },
    { "overflowing shape", TENSOR("\"F64\"", "[4611686018427387904, 4]", "[0,8]"), -1, "elements" },
    { "no offsets", TENSOR("\"U8\"", "[1]", "[0]"), -1, "data_offsets" },
    { "offsets turned round", TENSOR("\"U8\"", "[1]", "[1,0]"), -1, "data_offsets" },
    { "negative offset", TENSOR("\"U8\"", "[2]", "[-1,1]"), -1, "data_offsets" },
    { "offsets past the end", TENSOR("\"U8\"", "[9]", "[0,9]"), -1, "data_offsets" },
    { "offsets that do not fit the shape", TENSOR("\"U8\"", "[3]", "[0,4]"), -1, "data_offsets" },
};

START_TEST(refused) {
    jc_st_file file;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(parse(broken[_i].header, broken[_i].length, 8, &file, &err) == JITC_E_INPUT, "%s", broken[_i].name);
    ck_assert_msg(strstr(err.message, broken[_i].says), "%s: %s", broken[_i].name, err.message);
    ck_assert_str_eq(err.file, "test");
}
END_TEST

START_TEST(written_and_read) {
    static const uint16_t halves[] = { 1, 2, 3, 4, 5, 6 };
    static const int64_t number = 42;
    const jc_st_tensor tensors[] = {
        { .name = "z \"quoted\"", .dtype = JC_F16, .rank = 2, .dims = { 2, 3 }, .data = halves, .nbytes = sizeof halves },
        { .name = "a", .dtype = JC_I64, .rank = 0, .data = &number, .nbytes = 8 },
        { .name = "empty", .dtype = JC_F32, .rank = 1, .data = halves, .nbytes = 0 },
    };
    const char *path = jc_arena_printf(arena, "%s/tests/check_safetensors.%ld", TEST_BUILDDIR, (long)getpid());
    jc_error err = JC_ERROR_INIT;
    jc_st_file file;
    ck_assert_msg(jc_st_write(arena, path, tensors, 3, &err) == JITC_OK, "%s", err.message);
    ck_assert_msg(jc_st_read(arena, path, &file, &err) == JITC_OK, "%s", err.message);
    unlink(path);
    ck_assert_uint_eq(file.n, 3);
    for (int k = 0; k < 3; k++) {
        const jc_st_tensor *t = jc_st_find(&file, tensors[k].name);
        ck_assert_msg(t && t->dtype == tensors[k].dtype && t->rank == tensors[k].rank && t->nbytes == tensors[k].nbytes,
                      "%s", tensors[k].name);
        ck_assert_mem_eq(t->data, tensors[k].data, t->nbytes);
        ck_assert_mem_eq(t->dims, tensors[k].dims, sizeof t->dims);
    }
}
END_TEST

START_TEST(files_that_are_none) {
    jc_error err = JC_ERROR_INIT, other = JC_ERROR_INIT;
    jc_st_file file;
    ck_assert_int_eq(jc_st_read(arena, "/nonexistent/file", &file, &err), JITC_E_IO);
    ck_assert_int_eq(jc_st_read(arena, "/", &file, &other), JITC_E_INPUT);
    other = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_st_write(arena, "/nonexistent/file", NULL, 0, &other), JITC_E_IO);
}
END_TEST

int main(void) {
    Suite *s = suite_create("safetensors");
    TCase *t = tcase_create("files");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, by_hand);
    tcase_add_loop_test(t, refused, 0, (int)(sizeof broken / sizeof *broken));
    tcase_add_test(t, written_and_read);
    tcase_add_test(t, files_that_are_none);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
