/*
 * base/error.c - filling and spelling the error record; the words for each status.
 */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

const char *jitc_status_text(jitc_status status) {
    static const struct {
        int number;
        const char *text;
    } rows[] = {
#define ROW(id, number, exit_code, text) { number, text },
        JITC_STATUS_LIST(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].number == (int)status)
            return rows[i].text;
    return "unknown status";
}

/* Copies TEXT; one that does not fit keeps its end, since the end of a path says more than its start. */
static void copy_end(char *to, size_t size, const char *text) {
    size_t length = strlen(text);
    if (length < size) {
        memcpy(to, text, length + 1);
        return;
    }
    memcpy(to, "...", 3);
    memcpy(to + 3, text + length - (size - 4), size - 3);
}

/* Formats into TO; one that does not fit ends in "...", never in half a UTF-8 character. */
static void format_start(char *to, size_t size, const char *format, va_list args) {
    int length = vsnprintf(to, size, format, args);
    if (length < 0) {
        copy_end(to, size, "(the message could not be formatted)");
        return;
    }
    if ((size_t)length < size)
        return;
    size_t end = size - 4;
    while (end > 0 && ((unsigned char)to[end] & 0xc0) == 0x80)
        end--;
    memcpy(to + end, "...", 4);
}

void jc_error_place(jc_error *err, const char *file, int line, int column, const char *node) {
    if (!err || err->status == JITC_OK)
        return;
    if (!err->file[0] && !err->line) {
        if (file)
            copy_end(err->file, sizeof err->file, file);
        err->line = line;
        err->column = column;
    }
    if (!err->node[0] && node)
        copy_end(err->node, sizeof err->node, node);
}

static void record(jc_error *err, jitc_status status, const char *format, va_list args) {
    *err = (jc_error){ .status = status };
    format_start(err->message, sizeof err->message, format, args);
}

jitc_status jc_fail(jc_error *err, jitc_status status, const char *format, ...) {
    if (err && err->status == JITC_OK) {
        va_list args;
        va_start(args, format);
        record(err, status, format, args);
        va_end(args);
    }
    return status;
}

jitc_status jc_fail_at(jc_error *err, jitc_status status, const char *file, int line, int column,
                       const char *node, const char *format, ...) {
    if (err && err->status == JITC_OK) {
        va_list args;
        va_start(args, format);
        record(err, status, format, args);
        va_end(args);
        jc_error_place(err, file, line, column, node);
    }
    return status;
}

const char *jc_error_text(const jc_error *err, char *out, unsigned long size) {
    if (size == 0)
        return "";
    char place[320] = "";
    if (err->line && err->column)
        snprintf(place, sizeof place, "%s%s%d:%d: ", err->file, err->file[0] ? ":" : "line ", err->line, err->column);
    else if (err->line)
        snprintf(place, sizeof place, "%s%s%d: ", err->file, err->file[0] ? ":" : "line ", err->line);
    else if (err->file[0])
        snprintf(place, sizeof place, "%s: ", err->file);
    const char *message = err->message[0] ? err->message : jitc_status_text(err->status);
    if (err->node[0])
        snprintf(out, size, "%s%s (node %s)", place, message, err->node);
    else
        snprintf(out, size, "%s%s", place, message);
    return out;
}
