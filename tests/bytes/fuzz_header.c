/* tests/bytes/fuzz_header.c - a safetensors file: tensors that lie inside of it and are as long as their dims say, or a failure. */
#include "tests/bytes/fuzz_bytes.h"
#include "tools/safetensors.h"

const char *const fuzz_name = "header";

/* The length of the header is what any change of the header makes wrong: it ends where the last brace does. */
static void seal(uint8_t *bytes, size_t n) {
    size_t end = n;
    while (end > 8 && bytes[end - 1] != '}')
        end--;
    for (unsigned i = 0; end > 8 && i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)(end - 8) >> (8 * i));
}

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_st_file file;
    uint8_t *bytes = jc_arena_memdup(arena, data, n);
    seal(bytes, n);
    bool taken = fuzz_status(jc_st_parse(arena, "fuzz", bytes, n, &file, &err), &err);
    for (uint32_t i = 0; taken && i < file.n; i++) {
        const jc_st_tensor *t = &file.at[i];
        size_t elements = 1;
        for (int d = 0; d < t->rank; d++)
            elements *= (size_t)t->dims[d];
        if (t->nbytes != elements * jc_dtypes[t->dtype].size || t->nbytes > n || !t->name)
            fuzz_never("a tensor is not as long as its dims say", &err);
        volatile uint8_t sum = 0;
        for (size_t b = 0; b < t->nbytes; b++)
            sum = (uint8_t)(sum + ((const uint8_t *)t->data)[b]);
    }
    jc_arena_free(arena);
    return taken;
}
