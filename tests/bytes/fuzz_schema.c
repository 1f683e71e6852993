/* tests/bytes/fuzz_schema.c - the text of an operator's schema: a schema within its limits, or a failure with a message. */
#include "runtime/ops.h"
#include "tests/bytes/fuzz_bytes.h"

#include <string.h>

const char *const fuzz_name = "schema";

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_schema schema;
    char *text = jc_arena_alloc(arena, n + 1);
    memcpy(text, data, n);
    jitc_status status = jc_schema_parse(text, arena, &schema, &err);
    /* whoever registers an operator wrote the schema: a wrong one is a wrong use */
    bool taken = status == JITC_E_USAGE && err.message[0] ? false : fuzz_status(status, &err);
    if (taken && (schema.nargs > JC_OP_MAX_ARGS ||
                  (schema.nresults > JC_OP_MAX_ARGS && schema.nresults != JC_SCHEMA_ANY_RESULTS)))
        fuzz_never("a schema exceeds its limits", &err);
    for (uint32_t i = 0; taken && i < schema.nargs; i++)
        if (!schema.args[i].name)
            fuzz_never("an argument has no name", &err);
    jc_arena_free(arena);
    return taken;
}
