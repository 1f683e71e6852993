/* tests/bytes/fuzz_canon.c - canonical bytes: what is taken is a class that verifies, prints, and has a canonical form of its own. */
#include "ir/canon/canon.h"
#include "tests/bytes/fuzz_bytes.h"

const char *const fuzz_name = "canon";

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_graph *g, *again;
    jc_canon canon;
    bool taken = fuzz_status(jc_canon_decode(data, n, arena, &g, &err), &err);
    if (taken) {
        jc_bytes text = JC_BYTES(arena);
        if (jc_verify(g->root, &err))
            fuzz_never("a decoded class does not verify", &err);
        jc_func_print(g->root, &text);
        if (fuzz_status(jc_canonicalise(g->root, JC_CANON_NO_LIFT, arena, &canon, &err), &err) &&
            jc_canon_decode(canon.bytes, canon.nbytes, arena, &again, &err))
            fuzz_never("a canonical form of ours cannot be decoded", &err);
    }
    jc_arena_free(arena);
    return taken;
}
