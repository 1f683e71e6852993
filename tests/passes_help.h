/*
 * tests/passes_help.h - what check_split.c and check_canon.c share: reading texts and files, keys of pieces.
 */
#ifndef PASSES_HELP_H
#define PASSES_HELP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/canon/canon.h"
#include "ir/fx/fx.h"
#include "ir/passes.h"

/* A module with one function. */
#define HEAD "from __future__ import annotations\nimport torch\nclass GraphModule(torch.nn.Module):\n"
#define MODULE(params, body) HEAD "    def forward(self, " params "):\n" body
#define S(line) "        " line "\n"

static inline jc_graph *read_text(jc_arena *arena, const char *name, const char *text, size_t length) {
    jc_error err = JC_ERROR_INIT;
    jc_graph *g = NULL;
    char why[1600];
    if (jc_fx_read(arena, name, text, length, &g, &err) != JITC_OK)
        ck_abort_msg("%s: %s", name, jc_error_text(&err, why, sizeof why));
    return g;
}

static inline jc_graph *cut_text(jc_arena *arena, const char *name, const char *text) {
    jc_error err = JC_ERROR_INIT;
    char why[1600];
    jc_graph *g = read_text(arena, name, text, strlen(text));
    if (jc_split(g, NULL, &err) != JITC_OK || jc_layout(g, NULL, 0, &err) != JITC_OK)
        ck_abort_msg("%s: %s", name, jc_error_text(&err, why, sizeof why));
    return g;
}

static inline jc_canon canon_of(jc_arena *arena, const char *name, const jc_func *piece, unsigned flags) {
    jc_error err = JC_ERROR_INIT;
    char why[1600];
    jc_canon c;
    if (jc_canonicalise(piece, flags, arena, &c, &err) != JITC_OK)
        ck_abort_msg("%s: %s", name, jc_error_text(&err, why, sizeof why));
    return c;
}

/* The form of the last piece of a text. */
static inline jc_canon form_of(jc_arena *arena, const char *name, const char *text, unsigned flags) {
    const jc_graph *g = cut_text(arena, name, text);
    return canon_of(arena, name, g->pieces.at[g->pieces.n - 1], flags);
}

/* ---- the real graphs -------------------------------------------------------------------------------------------- */

static inline const char *graphs_dir(void) {
    const char *dir = getenv("JITC_GRAPHS");
    return dir && *dir ? dir : TEST_SRCDIR "/../shared/graphs";
}

static inline bool graphs_there(const char *what) {
    char path[4096];
    snprintf(path, sizeof path, "%s/FORMS.txt", graphs_dir());
    FILE *f = fopen(path, "rb");
    if (f) {
        fclose(f);
        return true;
    }
    fprintf(stderr, "SKIP: %s: no graphs at %s; set JITC_GRAPHS\n", what, graphs_dir());
    return false;
}

/* NULL where there is no such file. */
static inline char *file_text(jc_arena *arena, const char *name, size_t *length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", graphs_dir(), name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    char *text = jc_arena_alloc(arena, (size_t)n + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    *length = (size_t)n;
    return text;
}

static inline jc_graph *read_file(jc_arena *arena, const char *name) {
    size_t length = 0;
    const char *text = file_text(arena, name, &length);
    ck_assert_msg(text != NULL, "%s/%s cannot be read", graphs_dir(), name);
    return read_text(arena, name, text, length);
}

/* Reads {"NAME": [stride, ...], ...}. */
static inline uint32_t read_strides(jc_arena *arena, const char *text, jc_stride_entry **out) {
    JC_VEC(jc_stride_entry) v = { 0 };
    const char *at = strchr(text, '"');
    while (at) {
        const char *end = strchr(at + 1, '"');
        jc_stride_entry e = { .param = jc_arena_strndup(arena, at + 1, (size_t)(end - at - 1)) };
        const char **strides = JC_NEWN(arena, const char *, JC_MAX_RANK);
        at = strchr(end, '[') + 1;
        while (*at != ']') {
            at += strspn(at, " \t\n,\"");
            const size_t n = strcspn(at, " \t\n,\"]");
            if (n)
                strides[e.n++] = jc_arena_strndup(arena, at, n);
            at += n;
            at += strspn(at, " \t\n,\"");
        }
        e.strides = strides;
        jc_push(arena, &v, e);
        at = strchr(at, '"');
    }
    *out = v.at;
    return (uint32_t)v.n;
}

/* Reads, cuts and lays out; STRIDES/strides.json counts where it is there. */
static inline jc_graph *cut_file_with(jc_arena *arena, const char *folder, const char *file, const char *strides) {
    jc_error err = JC_ERROR_INIT;
    char name[512], why[1600];
    snprintf(name, sizeof name, "%s/%s", folder, file);
    jc_graph *g = read_file(arena, name);
    snprintf(why, sizeof why, "%s/strides.json", strides);
    size_t length = 0;
    const char *text = file_text(arena, why, &length);
    jc_stride_entry *entries = NULL;
    const uint32_t n = text ? read_strides(arena, text, &entries) : 0;
    if (jc_split(g, NULL, &err) != JITC_OK || jc_layout(g, entries, n, &err) != JITC_OK)
        ck_abort_msg("%s: %s", name, jc_error_text(&err, why, sizeof why));
    return g;
}

static inline jc_graph *cut_file(jc_arena *arena, const char *folder, const char *file) {
    return cut_file_with(arena, folder, file, folder);
}

/* Classes of the pieces of G: CLASS gets a number for each piece, in order of first appearance. */
static inline uint32_t classes_of(jc_arena *arena, const jc_graph *g, unsigned flags, uint32_t *class, jc_hash *hash) {
    jc_map *map = jc_map_new(arena);
    for (size_t i = 0; i < g->pieces.n; i++) {
        const jc_canon c = canon_of(arena, g->pieces.at[i]->name, g->pieces.at[i], flags);
        hash[i] = c.hash;
        uint32_t *known = jc_map_get(map, hash[i].b, JC_HASH_SIZE);
        if (!known) {
            known = JC_NEW(arena, uint32_t);
            *known = (uint32_t)jc_map_count(map);
            jc_map_set(map, hash[i].b, JC_HASH_SIZE, known);
        }
        class[i] = *known;
    }
    return (uint32_t)jc_map_count(map);
}

static inline bool same_hash(const jc_hash *a, const jc_hash *b) {
    return !memcmp(a->b, b->b, JC_HASH_SIZE);
}

#endif
