/*
 * tests/bytes/fuzz_bundle.c - a bundle's bytes, sealed again so that what is behind the hash is reached: what is taken is a model
 * of which everything can be asked.
 */
#include "jit/api/bundle.h"
#include "jitc/jitc.h"
#include "tests/bytes/fuzz_bytes.h"

const char *const fuzz_name = "bundle";

enum { LENGTH_AT = 16 };

static jitc_context *context(void) {
    static jitc_context *ctx;
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    if (!ctx && jitc_context_new(&o, &ctx) != JITC_OK)
        fuzz_never("there is no context", &(jc_error)JC_ERROR_INIT);
    return ctx;
}

static void ask(jitc_model *m) {
    for (uint32_t c = 0; c < jitc_model_classes(m); c++) {
        const jitc_executable *exe;
        jitc_executable_info info = { .struct_size = sizeof info };
        if (jitc_model_executable(m, c, &exe) != JITC_OK || jitc_executable_get_info(exe, &info) != JITC_OK)
            continue;
        for (uint32_t i = 0; i < info.nparams; i++)
            jitc_executable_get_param(exe, i, &(jitc_executable_param){ .struct_size = sizeof(jitc_executable_param) });
        for (uint32_t i = 0; i < info.nresults; i++)
            jitc_executable_get_result(exe, i, &(jitc_executable_result){ .struct_size = sizeof(jitc_executable_result) });
        for (uint32_t i = 0; i < info.nsymbols; i++)
            jitc_executable_get_symbol(exe, i, &(jitc_executable_symbol){ .struct_size = sizeof(jitc_executable_symbol) });
    }
}

bool fuzz_one(const uint8_t *data, size_t n) {
    jitc_model *m = jc_model_new(context());
    jc_error err = JC_ERROR_INIT;
    jc_bundle_file file;
    if (!m)
        return false;
    const uint8_t *bytes = fuzz_seal(m->arena, data, n, LENGTH_AT);
    bool taken = fuzz_status(jc_bundle_open(bytes, n, m->arena, &file, &err), &err);
    for (uint32_t t = 1; taken && t < file.needs.ntargets && t < 4; t++) {
        jitc_model *other = jc_model_new(context());
        if (fuzz_status(jc_bundle_decode(&file, t, "fuzz", other, &err), &err))
            ask(other);
        jitc_model_free(other);
    }
    taken = taken && fuzz_status(jc_bundle_decode(&file, 0, "fuzz", m, &err), &err);
    if (taken)
        ask(m);
    jitc_model_free(m);
    return taken;
}
