/*
 * tests/check_cuda_api.c - our declarations of the driver API: against a real cuda.h where configure found one, and
 * what happens on a machine without a driver.
 *
 * The comparison is done by the compiler; that this file compiles is the test.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_CUDA_H
#include <cuda.h>
#define JC_CU_REAL_ENUMS
#include "runtime/cuda_api.h"

#define CHECK_CONSTANT(ours, theirs, value) _Static_assert((int)(ours) == (int)(theirs), #ours);
JC_CU_CONSTANTS(CHECK_CONSTANT)

/* cuda.h renames cuMemAlloc to cuMemAlloc_v2 by macro, so the versioned names are what it declares.  cuFuncLoad came with
   CUDA 12.4. */
#if CUDA_VERSION < 12040
CUresult cuFuncLoad(CUfunction);
#endif
/* cuda.h declares the latest form alone, of CUDA 12.3; this one came with 11.3. */
CUresult cuStreamGetCaptureInfo_v2(CUstream, CUstreamCaptureStatus *, cuuint64_t *, CUgraph *, const CUgraphNode **, size_t *);
#define CHECK_FUNCTION(member, symbol, needed, params)                                             \
    _Static_assert(__builtin_types_compatible_p(__typeof__(symbol), jc_cu_result params), #symbol);
JC_CU_FUNCTIONS(CHECK_FUNCTION)

#define CHECK_FIELD(type, ours, theirs)                                                            \
    _Static_assert(offsetof(jc_cu_copy_2d, ours) == offsetof(CUDA_MEMCPY2D, theirs), #theirs);
JC_CU_COPY_2D(CHECK_FIELD)
_Static_assert(sizeof(jc_cu_copy_2d) == sizeof(CUDA_MEMCPY2D), "CUDA_MEMCPY2D");

_Static_assert(sizeof(CUresult) == sizeof(int), "enums cross as int");
_Static_assert(sizeof(CUdevice_attribute) == sizeof(int), "enums cross as int");
_Static_assert(sizeof(CUfunction_attribute) == sizeof(int), "enums cross as int");
_Static_assert(sizeof(CUjit_option) == sizeof(int), "enums cross as int");
_Static_assert(__builtin_types_compatible_p(CUdeviceptr, jc_cu_ptr), "CUdeviceptr");
_Static_assert(__builtin_types_compatible_p(CUdevice, jc_cu_device), "CUdevice");
_Static_assert(__builtin_types_compatible_p(CUcontext, jc_cu_context), "CUcontext");
_Static_assert(__builtin_types_compatible_p(CUstream, jc_cu_stream), "CUstream");
#else
#include "runtime/cuda_api.h"
#endif
#include "runtime/device.h"

START_TEST(declarations_match_cuda_h) {
#ifndef HAVE_CUDA_H
    puts("SKIP: no cuda.h was found, so the driver declarations were not compared with one");
#endif
    ck_assert_int_eq(sizeof(jc_cu_ptr), sizeof(void *));
}
END_TEST

START_TEST(missing_driver_says_what_was_tried) {
    jc_cuda cu;
    jc_error err = JC_ERROR_INIT;
    if (jc_cuda_load(&cu, &err) == JITC_OK) {
        jc_cuda_unload(&cu);
        ck_assert_ptr_null(cu.library);
        puts("SKIP: there is a CUDA driver here, so its absence was not tested");
        return;
    }
    ck_assert_int_eq(err.status, JITC_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(err.message, "libcuda.so.1"));
    jc_device *d = NULL;
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_device_open("cuda", NULL, NULL, NULL, &d, &err), JITC_E_DEVICE);
    ck_assert_ptr_null(d);
    ck_assert_msg(strstr(err.message, "no CUDA driver") || strstr(err.message, "too old"), "%s", err.message);
}
END_TEST

START_TEST(unknown_devices) {
    static const char *const names[] = { "", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:99999", "Host", "cpu" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        jc_device *d = NULL;
        jc_error err = JC_ERROR_INIT;
        ck_assert_msg(jc_device_open(names[i], NULL, NULL, NULL, &d, &err) == JITC_E_DEVICE, "'%s'", names[i]);
        ck_assert_msg(strstr(err.message, "host, sim, cuda") != NULL, "'%s': %s", names[i], err.message);
        ck_assert_ptr_null(d);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda_api");
    TCase *tc = tcase_create("cuda_api");
    tcase_add_test(tc, declarations_match_cuda_h);
    tcase_add_test(tc, missing_driver_says_what_was_tried);
    tcase_add_test(tc, unknown_devices);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
