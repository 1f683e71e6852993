/* tests/bytes/fuzz_pt2.c - an archive of torch.export: a graph that verifies, with weights inside of the file, or a failure. */
#include "ir/pt2/pt2.h"
#include "tests/bytes/fuzz_bytes.h"
#include "tests/pt2_seal.h"

const char *const fuzz_name = "pt2";

static bool read_memory(void *user, uint64_t at, void *to, size_t n) {
    memcpy(to, (const uint8_t *)user + at, n);
    return true;
}

/* Reading on past what is not supported finds other ways. */
static jitc_status try_one(uint8_t *bytes, size_t n, bool tolerant) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_graph *g = NULL;
    const jc_source source = { read_memory, bytes, n };
    const jitc_status status = jc_pt2_read(arena, "fuzz", &source, tolerant, &g, &err);
    const bool taken = fuzz_status(status, &err);
    if (taken && !tolerant && jc_verify(g->root, &err) != JITC_OK)
        fuzz_never("a graph was taken that does not verify", &err);
    for (uint32_t i = 0; taken && i < g->nweights; i++) {
        const jc_weight *w = &g->weights[i];
        if (w->param >= g->root->nparams || !w->name || w->offset > n || w->bytes > n - w->offset)
            fuzz_never("a weight lies outside of the file", &err);
    }
    jc_arena_free(arena);
    return status;
}

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    uint8_t *bytes = jc_arena_memdup(arena, data, n);
    pt2_seal(bytes, n);
    const jitc_status status = try_one(bytes, n, false);
    if (status == JITC_E_UNSUPPORTED)
        try_one(bytes, n, true);
    jc_arena_free(arena);
    return status == JITC_OK;
}
