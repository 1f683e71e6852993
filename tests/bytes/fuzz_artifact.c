/* tests/bytes/fuzz_artifact.c - an artifact's bytes: plan and code lie inside of them, and are written again as they were. */
#include "plan/plan.h"
#include "tests/bytes/fuzz_bytes.h"

#include <string.h>

const char *const fuzz_name = "artifact";

static void inside(const uint8_t *data, size_t n, const uint8_t *at, size_t length, const jc_error *err) {
    if (length && (at < data || (size_t)(at - data) > n || length > n - (size_t)(at - data)))
        fuzz_never("an artifact's part lies outside of it", err);
}

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_artifact a, again;
    jc_plan *plan;
    bool taken = fuzz_status(jc_artifact_decode(data, n, arena, &a, &err), &err);
    if (taken) {
        jc_bytes bytes = JC_BYTES(arena), twice = JC_BYTES(arena);
        inside(data, n, a.plan, a.nplan, &err);
        for (uint32_t i = 0; i < a.ncodes; i++)
            inside(data, n, a.codes[i].bytes, a.codes[i].nbytes, &err);
        jc_artifact_encode(&a, &bytes);
        if (jc_artifact_decode(bytes.at, bytes.n, arena, &again, &err))
            fuzz_never("an artifact that was decoded and written cannot be read", &err);
        jc_artifact_encode(&again, &twice);
        if (bytes.n != twice.n || memcmp(bytes.at, twice.at, bytes.n) != 0)
            fuzz_never("an artifact changes by being read and written", &err);
        fuzz_status(jc_plan_decode(a.plan, a.nplan, arena, &plan, &err), &err);
    }
    jc_arena_free(arena);
    return taken;
}
