/* tests/bytes/fuzz_plan.c - a plan's bytes: what is taken verifies, prints, and is written again as the same plan. */
#include "plan/plan.h"
#include "tests/bytes/fuzz_bytes.h"

#include <string.h>

const char *const fuzz_name = "plan";

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_plan *p, *again;
    bool taken = fuzz_status(jc_plan_decode(data, n, arena, &p, &err), &err);
    if (taken) {
        jc_bytes text = JC_BYTES(arena), bytes = JC_BYTES(arena), twice = JC_BYTES(arena);
        if (jc_plan_verify(p, &err))
            fuzz_never("a decoded plan does not verify", &err);
        jc_plan_print(p, &text);
        jc_plan_encode(p, &bytes);
        if (jc_plan_decode(bytes.at, bytes.n, arena, &again, &err))
            fuzz_never("a plan that was decoded and written cannot be read", &err);
        jc_plan_encode(again, &twice);
        if (bytes.n != twice.n || memcmp(bytes.at, twice.at, bytes.n) != 0)
            fuzz_never("a plan changes by being read and written", &err);
    }
    jc_arena_free(arena);
    return taken;
}
