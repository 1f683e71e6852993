/* tests/bytes/fuzz_kernel.c - a kernel's bytes: what is taken verifies, prints, can be launched, and is written again as it was. */
#include "plan/kernel.h"
#include "tests/bytes/fuzz_bytes.h"

#include <string.h>

const char *const fuzz_name = "kernel";

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_kernel *k, *again;
    bool taken = fuzz_status(jc_kernel_decode(data, n, arena, &k, &err), &err);
    if (taken) {
        jc_bytes text = JC_BYTES(arena), bytes = JC_BYTES(arena), twice = JC_BYTES(arena);
        if (jc_kernel_verify(k, &err))
            fuzz_never("a decoded kernel does not verify", &err);
        if (!jc_kernel_blocks(k) || jc_kernel_shared(k) > JC_KERNEL_MAX_SHARED)
            fuzz_never("a decoded kernel cannot be launched", &err);
        jc_kernel_print(k, &text);
        jc_kernel_encode(k, &bytes);
        if (jc_kernel_decode(bytes.at, bytes.n, arena, &again, &err))
            fuzz_never("a kernel that was decoded and written cannot be read", &err);
        jc_kernel_encode(again, &twice);
        if (bytes.n != twice.n || memcmp(bytes.at, twice.at, bytes.n) != 0)
            fuzz_never("a kernel changes by being read and written", &err);
    }
    jc_arena_free(arena);
    return taken;
}
