/*
 * ir/pt2/pt2_zip.h - the container: a zip file whose entries are stored, not compressed.
 */
#ifndef JC_PT2_ZIP_H
#define JC_PT2_ZIP_H

#include "base/vec.h"
#include "ir/pt2/pt2.h"

typedef struct jc_zip_entry {
    const char *name;   /* without the folder that all entries lie in, terminated */
    uint64_t header;    /* place of the local header */
    uint64_t packed, size;
    uint32_t crc;
    uint16_t method, flags;
} jc_zip_entry;

typedef struct jc_zip {
    const char *file;
    const jc_source *src;
    jc_arena *arena;
    jc_zip_entry *at; /* in the directory's order */
    uint32_t n;
    uint64_t end;     /* where the directory starts: entries lie before it */
    jc_map *names;
} jc_zip;

/* Reads the directory. Everything belongs to ARENA. */
jitc_status jc_zip_open(jc_arena *arena, const char *file, const jc_source *src, jc_zip *out, jc_error *err);
const jc_zip_entry *jc_zip_find(const jc_zip *z, const char *name); /* NULL: there is none */
/* Where the bytes of an entry lie: E->size of them from *AT on. JITC_E_UNSUPPORTED: they are compressed or encrypted. */
jitc_status jc_zip_place(const jc_zip *z, const jc_zip_entry *e, uint64_t *at, jc_error *err);
/* The bytes themselves, MAX at most, with a NUL behind them, and as their checksum says. */
jitc_status jc_zip_read(const jc_zip *z, const jc_zip_entry *e, uint64_t max, char **out, jc_error *err);

#endif
