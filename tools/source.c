/*
 * tools/source.c - lines of the text that was read, to show beside what is said about them.
 */
#include "ir/pt2/pt2.h"
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_SHOWN 160

/* The whole file, again; standard input was kept.  Anything that goes wrong is no text. */
static void load(tool *t, size_t i) {
    jc_bytes b = JC_BYTES(t->arena);
    char block[65536];
    size_t n;
    FILE *f;
    if (t->texts[i] || strcmp(t->o.files.at[i], "-") == 0 || !(f = fopen(t->o.files.at[i], "rbe")))
        return;
    while ((n = fread(block, 1, sizeof block, f)) > 0 && !memchr(block, 0, n)) /* an archive, a device: no text */
        jc_put(&b, block, n);
    fclose(f);
    t->texts[i] = (const char *)b.at;
    t->lengths[i] = b.n;
}

const char *tool_source_line(tool *t, uint32_t file, int line) {
    if (line <= 0 || file >= t->o.files.n || !t->texts)
        return NULL;
    load(t, file);
    const char *at = t->texts[file], *end = at ? at + t->lengths[file] : NULL;
    if (at && jc_pt2_is(at, t->lengths[file])) /* an archive has no lines */
        return NULL;
    for (int i = 1; at && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at && at + 1 < end ? at + 1 : NULL;
    }
    if (!at)
        return NULL;
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    stop = stop ? stop : end;
    while (at < stop && (*at == ' ' || *at == '\t'))
        at++;
    if (stop - at <= LINE_MAX_SHOWN)
        return jc_arena_strndup(t->arena, at, (size_t)(stop - at));
    return jc_arena_printf(t->arena, "%.*s ...", LINE_MAX_SHOWN, at);
}
