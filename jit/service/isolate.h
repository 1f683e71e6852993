/*
 * jit/service/isolate.h - kernels compiled in processes of their own, where a crash, an endless loop or the hunger for memory of LLVM or of the
 * assembler is a failed compile and no dead engine.
 *
 * The program jitc-worker (jit/service/worker.c), installed beside libjitc-llvm, is started for one kernel: it gets a request on its
 * standard input, ends it, and answers on its standard output; what it says on standard error goes into messages.  A request that it did not survive
 * is kept as a file, which `jitc-worker FILE` compiles again: all that a report of the fault needs.
 *
 * It is no sandbox: the worker has all the rights of its caller.
 */
#ifndef JC_ISOLATE_H
#define JC_ISOLATE_H

#include "base/bytes.h"
#include "base/error.h"
#include "plan/target.h"

#define JC_ISOLATE_SECONDS 600u
#define JC_ISOLATE_BYTES (16ull << 30)

typedef struct jc_isolate {
    bool on;
    uint32_t seconds;       /* of one kernel, by the clock */
    uint64_t bytes;         /* of the worker's address space */
    const char *reports;    /* the directory for requests that were not survived; made when one is; NULL: none */
} jc_isolate;

/* Request: text "JCREQ 1\n"; identity of the code generator; byte: assemble as well; name of the kernel; its bytes; the target. */
typedef struct jc_isolate_request {
    const char *name;
    const uint8_t *kernel;
    size_t nkernel;
    const jc_target *target;
    bool assemble;
} jc_isolate_request;
void jc_isolate_put_request(const jc_isolate_request *r, jc_bytes *out);
jitc_status jc_isolate_get_request(const uint8_t *bytes, size_t n, jc_arena *arena, jc_target *target, jc_isolate_request *out, jc_error *err);

/* Answer: text "JCANS 1\n"; LLVM's version; the status; where it is not ok, what the error says; else times and code; the hash of all that. */
typedef struct jc_isolate_answer {
    const char *llvm;
    double ms_llvm, ms_assemble;
    const uint8_t *code; /* PTX, or what was assembled, or an object */
    size_t ncode;
} jc_isolate_answer;
void jc_isolate_put_answer(const jc_isolate_answer *a, jitc_status status, const jc_error *why, jc_bytes *out);
/* False: these bytes are none, or not all of one.  Else STATUS, with its error. */
bool jc_isolate_get_answer(const uint8_t *bytes, size_t n, jc_arena *arena, jc_isolate_answer *out, jitc_status *status, jc_error *err);

/*
 * Has a worker do it.  GO_ON is asked some ten times a second; what it answers, unless it is JITC_OK, ends the worker.  JITC_E_COMPILE with how the
 * worker ended and where its request is kept; or what the worker answers.  Leaves no process, no descriptor and no temporary file.
 */
jitc_status jc_isolate_compile(const jc_isolate *how, const jc_isolate_request *request, jitc_status (*go_on)(void *user, jc_error *err),
                               void *user, jc_arena *arena, jc_isolate_answer *out, jc_error *err);

#endif
