/*
 * base/debug.c - debug flags from text, log lines, the clock.
 */
#include "base/debug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    unsigned bit;
} flags[] = {
#define ROW(id, name, help) { name, JC_DEBUG_##id },
    JC_DEBUG_LIST(ROW)
#undef ROW
};

static unsigned flag_of(const char *word, size_t length) {
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strlen(flags[i].name) == length && memcmp(flags[i].name, word, length) == 0)
            return flags[i].bit;
    return 0;
}

static jitc_status unknown(const char *word, size_t length, jc_error *err) {
    char known[256];
    size_t n = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", flags[i].name);
    return jc_fail(err, JITC_E_USAGE, "Unknown debug flag '%.*s': expected words from this list, separated by commas: %s.",
                   (int)(length > 64 ? 64 : length), word, known);
}

jitc_status jc_debug_parse(const char *text, unsigned *bits, jc_error *err) {
    unsigned found = 0;
    *bits = 0;
    for (const char *at = text ? text : ""; *at;) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ", ");
        if (length == 0)
            break;
        unsigned bit = flag_of(at, length);
        if (!bit)
            return unknown(at, length, err);
        found |= bit;
        at += length;
    }
    *bits = found;
    return JITC_OK;
}

void jc_log_line(const jc_log *log, const char *format, ...) {
    if (!log || !log->line)
        return;
    char small[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length < 0)
        return;
    /* Dumps of kernels are long; without memory for one its start has to do. */
    char *text = (size_t)length < sizeof small ? NULL : malloc((size_t)length + 1);
    if (text) {
        va_start(args, format);
        vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    log->line(log->user, text ? text : small);
    free(text);
}

double jc_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
