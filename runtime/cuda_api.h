/*
 * runtime/cuda_api.h - what we use of the CUDA driver API, declared by ourselves and found by dlopen.
 *
 * No CUDA header is needed to build and no driver to start.  tests/check_cuda_api.c compiles these declarations against a
 * real cuda.h: handles are pointers to the same struct tags there; its enums (result, attributes, options) cross the ABI as int
 * and are plain ints here, unless JC_CU_REAL_ENUMS says that cuda.h has been included.
 */
#ifndef JC_CUDA_API_H
#define JC_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#ifdef JC_CU_REAL_ENUMS
typedef CUresult jc_cu_result;
typedef CUdevice_attribute jc_cu_device_attribute;
typedef CUfunction_attribute jc_cu_function_attribute;
typedef CUjit_option jc_cu_jit_option;
typedef CUstreamCaptureStatus jc_cu_capture_status;
typedef CUstreamCaptureMode jc_cu_capture_mode;
#else
typedef int jc_cu_result;
typedef int jc_cu_device_attribute;
typedef int jc_cu_function_attribute;
typedef int jc_cu_jit_option;
typedef int jc_cu_capture_status;
typedef int jc_cu_capture_mode;
#endif
typedef int jc_cu_device;
typedef void (*jc_cu_host_function)(void *);
typedef unsigned long long jc_cu_ptr;
typedef struct CUctx_st *jc_cu_context;
typedef struct CUmod_st *jc_cu_module;
typedef struct CUfunc_st *jc_cu_function;
typedef struct CUstream_st *jc_cu_stream;
typedef struct CUgraph_st *jc_cu_graph;
typedef struct CUgraphNode_st *jc_cu_graph_node;
typedef struct CUuserObject_st *jc_cu_object;

/* CUDA_MEMCPY2D: N rows of a width at a pitch of their own on either side. Ours, cuda.h's. */
#define JC_CU_COPY_2D(X)                                                                           \
    X(size_t, src_x, srcXInBytes)                                                                  \
    X(size_t, src_y, srcY)                                                                         \
    X(int, src_type, srcMemoryType)                                                                \
    X(const void *, src_host, srcHost)                                                             \
    X(jc_cu_ptr, src, srcDevice)                                                                   \
    X(void *, src_array, srcArray)                                                                 \
    X(size_t, src_pitch, srcPitch)                                                                 \
    X(size_t, dst_x, dstXInBytes)                                                                  \
    X(size_t, dst_y, dstY)                                                                         \
    X(int, dst_type, dstMemoryType)                                                                \
    X(void *, dst_host, dstHost)                                                                   \
    X(jc_cu_ptr, dst, dstDevice)                                                                   \
    X(void *, dst_array, dstArray)                                                                 \
    X(size_t, dst_pitch, dstPitch)                                                                 \
    X(size_t, width, WidthInBytes)                                                                 \
    X(size_t, height, Height)
typedef struct jc_cu_copy_2d {
#define JC_CU_FIELD(type, ours, theirs) type ours;
    JC_CU_COPY_2D(JC_CU_FIELD)
#undef JC_CU_FIELD
} jc_cu_copy_2d;
struct CUDA_MEMCPY2D_st; /* cuda.h's own */

/* Ours, cuda.h's, value. */
#define JC_CU_CONSTANTS(X)                                                                         \
    X(JC_CU_SUCCESS, CUDA_SUCCESS, 0)                                                              \
    X(JC_CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY, 2)                                            \
    X(JC_CU_DEINITIALIZED, CUDA_ERROR_DEINITIALIZED, 4)                                            \
    X(JC_CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE, 100)                                                  \
    X(JC_CU_NO_BINARY, CUDA_ERROR_NO_BINARY_FOR_GPU, 209)                                          \
    X(JC_CU_ECC, CUDA_ERROR_ECC_UNCORRECTABLE, 214)                                                \
    X(JC_CU_NVLINK, CUDA_ERROR_NVLINK_UNCORRECTABLE, 220)                                          \
    X(JC_CU_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS, 700)                                      \
    X(JC_CU_TIMEOUT, CUDA_ERROR_LAUNCH_TIMEOUT, 702)                                               \
    X(JC_CU_DESTROYED, CUDA_ERROR_CONTEXT_IS_DESTROYED, 709)                                       \
    X(JC_CU_ASSERT, CUDA_ERROR_ASSERT, 710)                                                        \
    X(JC_CU_STACK, CUDA_ERROR_HARDWARE_STACK_ERROR, 714)                                           \
    X(JC_CU_INSTRUCTION, CUDA_ERROR_ILLEGAL_INSTRUCTION, 715)                                      \
    X(JC_CU_MISALIGNED, CUDA_ERROR_MISALIGNED_ADDRESS, 716)                                        \
    X(JC_CU_SPACE, CUDA_ERROR_INVALID_ADDRESS_SPACE, 717)                                          \
    X(JC_CU_PC, CUDA_ERROR_INVALID_PC, 718)                                                        \
    X(JC_CU_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_FAILED, 719)                                          \
    X(JC_CU_UNKNOWN, CUDA_ERROR_UNKNOWN, 999)                                                      \
    X(JC_CU_CC_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)                            \
    X(JC_CU_CC_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)                            \
    X(JC_CU_SHARED_OPTIN, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 97)               \
    X(JC_CU_MEMORY_DEVICE, CU_MEMORYTYPE_DEVICE, 2)                                                \
    X(JC_CU_MAX_PITCH, CU_DEVICE_ATTRIBUTE_MAX_PITCH, 11)                                          \
    X(JC_CU_FUNC_SHARED, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, 1)                                   \
    X(JC_CU_FUNC_MAX_DYNAMIC, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8)                  \
    X(JC_CU_FUNC_MAX_THREADS, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 0)                          \
    X(JC_CU_CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED, 2)                                     \
    X(JC_CU_CAPTURE_ACTIVE, CU_STREAM_CAPTURE_STATUS_ACTIVE, 1)                                     \
    X(JC_CU_OBJECT_NO_SYNC, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC, 1)                                  \
    X(JC_CU_OBJECT_MOVE, CU_GRAPH_USER_OBJECT_MOVE, 1)                                             \
    X(JC_CU_JIT_LOG, CU_JIT_ERROR_LOG_BUFFER, 5)                                                   \
    X(JC_CU_JIT_LOG_SIZE, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, 6)

enum {
#define JC_CU_ENUM(ours, theirs, value) ours = value,
    JC_CU_CONSTANTS(JC_CU_ENUM)
#undef JC_CU_ENUM
};

/* Member, symbol in the driver, needed (else it may be missing), parameters.  All return jc_cu_result. */
#define JC_CU_FUNCTIONS(X)                                                                                             \
    X(init, cuInit, 1, (unsigned int))                                                                                 \
    X(driver_version, cuDriverGetVersion, 1, (int *))                                                                  \
    X(device_count, cuDeviceGetCount, 1, (int *))                                                                      \
    X(device_get, cuDeviceGet, 1, (jc_cu_device *, int))                                                               \
    X(device_name, cuDeviceGetName, 1, (char *, int, jc_cu_device))                                                    \
    X(device_attribute, cuDeviceGetAttribute, 1, (int *, jc_cu_device_attribute, jc_cu_device))                        \
    X(primary_retain, cuDevicePrimaryCtxRetain, 1, (jc_cu_context *, jc_cu_device))                                    \
    X(primary_release, cuDevicePrimaryCtxRelease_v2, 1, (jc_cu_device))                                                \
    X(ctx_current, cuCtxGetCurrent, 1, (jc_cu_context *))                                                              \
    X(ctx_device, cuCtxGetDevice, 1, (jc_cu_device *))                                                                 \
    X(ctx_push, cuCtxPushCurrent_v2, 1, (jc_cu_context))                                                               \
    X(ctx_pop, cuCtxPopCurrent_v2, 1, (jc_cu_context *))                                                               \
    X(capture_mode, cuThreadExchangeStreamCaptureMode, 1, (jc_cu_capture_mode *))                                      \
    X(mem_alloc, cuMemAlloc_v2, 1, (jc_cu_ptr *, size_t))                                                              \
    X(mem_free, cuMemFree_v2, 1, (jc_cu_ptr))                                                                          \
    X(mem_info, cuMemGetInfo_v2, 1, (size_t *, size_t *))                                                              \
    X(copy_in, cuMemcpyHtoDAsync_v2, 1, (jc_cu_ptr, const void *, size_t, jc_cu_stream))                               \
    X(copy_out, cuMemcpyDtoHAsync_v2, 1, (void *, jc_cu_ptr, size_t, jc_cu_stream))                                    \
    X(copy, cuMemcpyDtoDAsync_v2, 1, (jc_cu_ptr, jc_cu_ptr, size_t, jc_cu_stream))                                     \
    X(copy_rows, cuMemcpy2DAsync_v2, 1, (const struct CUDA_MEMCPY2D_st *, jc_cu_stream))                               \
    X(fill, cuMemsetD8Async, 1, (jc_cu_ptr, unsigned char, size_t, jc_cu_stream))                                      \
    X(stream_sync, cuStreamSynchronize, 1, (jc_cu_stream))                                                             \
    X(module_load, cuModuleLoadDataEx, 1, (jc_cu_module *, const void *, unsigned int, jc_cu_jit_option *, void **))   \
    X(module_unload, cuModuleUnload, 1, (jc_cu_module))                                                                \
    X(module_function, cuModuleGetFunction, 1, (jc_cu_function *, jc_cu_module, const char *))                         \
    X(func_get, cuFuncGetAttribute, 1, (int *, jc_cu_function_attribute, jc_cu_function))                              \
    X(func_set, cuFuncSetAttribute, 1, (jc_cu_function, jc_cu_function_attribute, int))                                \
    X(func_load, cuFuncLoad, 0, (jc_cu_function))                                                                      \
    X(launch, cuLaunchKernel, 1,                                                                                       \
      (jc_cu_function, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int,             \
       unsigned int, jc_cu_stream, void **, void **))                                                                  \
    X(capture_info, cuStreamGetCaptureInfo_v2, 0,                                                                      \
      (jc_cu_stream, jc_cu_capture_status *, uint64_t *, jc_cu_graph *, const jc_cu_graph_node **, size_t *))  \
    X(object_new, cuUserObjectCreate, 0, (jc_cu_object *, void *, jc_cu_host_function, unsigned int, unsigned int))    \
    X(graph_hold, cuGraphRetainUserObject, 0, (jc_cu_graph, jc_cu_object, unsigned int, unsigned int))                 \
    X(error_name, cuGetErrorName, 1, (jc_cu_result, const char **))                                                    \
    X(error_text, cuGetErrorString, 1, (jc_cu_result, const char **))

typedef struct jc_cuda {
    void *library;
#define JC_CU_MEMBER(member, symbol, needed, params) jc_cu_result(*member) params;
    JC_CU_FUNCTIONS(JC_CU_MEMBER)
#undef JC_CU_MEMBER
} jc_cuda;

/* Opens the driver; starts nothing on any GPU.  JITC_E_DEVICE says what was tried and what was missing. */
jitc_status jc_cuda_load(jc_cuda *out, jc_error *err);
void jc_cuda_unload(jc_cuda *c);

#endif
