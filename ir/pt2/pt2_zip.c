/*
 * ir/pt2/pt2_zip.c - the directory of a zip file, and entries that are stored.
 *
 *   { local header, name, extra, bytes } ... directory: { entry, name, extra } ... [zip64 end, its locator] end, comment
 *
 * PyTorch stores everything, so that its tensors can be mapped: there is nothing to unpack here, and nothing that could grow.  All numbers
 * are little-endian; the directory is what counts, and a local header only has to agree with it about the name.  What is not used is
 * not looked at further than its directory entry.
 */
#include <string.h>
#include "ir/pt2/pt2_zip.h"

#define LOCAL 0x04034b50u
#define ENTRY 0x02014b50u
#define END 0x06054b50u
#define END64 0x06064b50u
#define LOCATOR64 0x07064b50u

enum { LOCAL_SIZE = 30, ENTRY_SIZE = 46, END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, COMMENT_MAX = 65535 };

#define ENTRIES_MAX (1u << 20)
#define DIRECTORY_MAX (256u << 20)
#define NAME_MAX_LENGTH 4096

static uint32_t le16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t le32(const uint8_t *p) { return le16(p) | le16(p + 2) << 16; }
static uint64_t le64(const uint8_t *p) { return le32(p) | (uint64_t)le32(p + 4) << 32; }

static jitc_status damaged(const char *file, jc_error *err, const char *what) {
    return jc_fail_at(err, JITC_E_INPUT, file, 0, 0, NULL, "This is no archive that can be read: %s.", what);
}

static jitc_status get(const char *file, const jc_source *src, uint64_t at, void *to, size_t n, jc_error *err) {
    if (at > src->size || n > src->size - at)
        return damaged(file, err, "it ends too early");
    if (!src->read(src->user, at, to, n))
        return jc_fail_at(err, JITC_E_IO, file, 0, 0, NULL, "The file cannot be read.");
    return JITC_OK;
}

/* --- the end --- */

typedef struct directory {
    uint64_t at, size, n;
} directory;

/* Beyond 65535 entries or 4 GiB the true numbers stand in a second record. */
static jitc_status read_end64(const jc_zip *z, uint64_t end, directory *d, jc_error *err) {
    uint8_t locator[LOCATOR_SIZE], record[END64_SIZE];
    if (end < LOCATOR_SIZE)
        return damaged(z->file, err, "its end is damaged");
    JC_TRY(get(z->file, z->src, end - LOCATOR_SIZE, locator, sizeof locator, err));
    if (le32(locator) != LOCATOR64)
        return damaged(z->file, err, "its end is damaged");
    JC_TRY(get(z->file, z->src, le64(locator + 8), record, sizeof record, err));
    if (le32(record) != END64)
        return damaged(z->file, err, "its end is damaged");
    *d = (directory){ .n = le64(record + 32), .size = le64(record + 40), .at = le64(record + 48) };
    return JITC_OK;
}

static jitc_status find_end(const jc_zip *z, directory *d, jc_error *err) {
    const uint64_t most = END_SIZE + COMMENT_MAX, size = z->src->size;
    const size_t n = (size_t)(size < most ? size : most);
    uint8_t *tail = jc_arena_alloc(z->arena, n + 1);
    if (n < END_SIZE)
        return damaged(z->file, err, "it is too short");
    JC_TRY(get(z->file, z->src, size - n, tail, n, err));
    for (size_t i = n - END_SIZE + 1; i-- > 0;) {
        const uint8_t *p = tail + i;
        if (le32(p) != END || le16(p + 20) != n - i - END_SIZE)
            continue;
        *d = (directory){ .n = le16(p + 10), .size = le32(p + 12), .at = le32(p + 16) };
        if (d->n == 0xFFFF || d->size == 0xFFFFFFFF || d->at == 0xFFFFFFFF)
            return read_end64(z, size - n + i, d, err);
        return JITC_OK;
    }
    return damaged(z->file, err, "the directory at its end is missing; was it copied as a whole?");
}

/* --- the directory --- */

/* Sizes that do not fit 32 bits, in the order in which they are missing. */
static bool read_extra(jc_zip_entry *e, const uint8_t *p, size_t n) {
    uint64_t *const large[] = { &e->size, &e->packed, &e->header };
    bool found = e->size != 0xFFFFFFFF && e->packed != 0xFFFFFFFF && e->header != 0xFFFFFFFF;
    while (!found && n >= 4 && le16(p + 2) <= n - 4) {
        const size_t length = le16(p + 2);
        size_t at = 0;
        for (size_t i = 0; le16(p) == 1 && i < 3; i++) {
            if (*large[i] != 0xFFFFFFFF)
                continue;
            if (length < at + 8)
                return false;
            *large[i] = le64(p + 4 + at);
            at += 8;
        }
        found |= le16(p) == 1;
        p += 4 + length;
        n -= 4 + length;
    }
    return found;
}

/* All entries lie in one folder, whose name is the file's at the time: it says nothing. */
static const char *below_folder(const char *name) {
    const char *slash = strchr(name, '/');
    return slash ? slash + 1 : name;
}

static jitc_status read_entry(jc_zip *z, const uint8_t **p, const uint8_t *end, jc_zip_entry *e, jc_error *err) {
    const uint8_t *h = *p;
    if (end - h < ENTRY_SIZE || le32(h) != ENTRY)
        return damaged(z->file, err, "its directory is damaged");
    const size_t name = le16(h + 28), extra = le16(h + 30), comment = le16(h + 32);
    if ((size_t)(end - h) < ENTRY_SIZE + name + extra + comment || name > NAME_MAX_LENGTH || memchr(h + ENTRY_SIZE, 0, name))
        return damaged(z->file, err, "its directory is damaged");
    *e = (jc_zip_entry){ .flags = (uint16_t)le16(h + 8), .method = (uint16_t)le16(h + 10), .crc = le32(h + 16),
                         .packed = le32(h + 20), .size = le32(h + 24), .header = le32(h + 42) };
    if (!read_extra(e, h + ENTRY_SIZE + name, extra))
        return damaged(z->file, err, "its directory is damaged");
    e->name = below_folder(jc_arena_strndup(z->arena, (const char *)h + ENTRY_SIZE, name));
    *p = h + ENTRY_SIZE + name + extra + comment;
    return JITC_OK;
}

jitc_status jc_zip_open(jc_arena *arena, const char *file, const jc_source *src, jc_zip *out, jc_error *err) {
    directory d = { 0 };
    *out = (jc_zip){ .file = file, .src = src, .arena = arena, .names = jc_map_new(arena) };
    JC_TRY(find_end(out, &d, err));
    if (d.at > src->size || d.size > src->size - d.at || d.size > DIRECTORY_MAX || d.n > ENTRIES_MAX || d.n > d.size / ENTRY_SIZE)
        return damaged(file, err, "its directory is damaged");
    uint8_t *bytes = jc_arena_alloc(arena, (size_t)d.size + 1);
    JC_TRY(get(file, src, d.at, bytes, (size_t)d.size, err));
    const uint8_t *p = bytes;
    out->end = d.at;
    out->at = JC_NEWN(arena, jc_zip_entry, d.n);
    for (; out->n < d.n; out->n++) {
        jc_zip_entry *e = &out->at[out->n];
        JC_TRY(read_entry(out, &p, bytes + d.size, e, err));
        if (jc_map_get(out->names, e->name, strlen(e->name)))
            return jc_fail_at(err, JITC_E_INPUT, file, 0, 0, NULL, "The archive holds two entries called \"%.200s\".", e->name);
        jc_map_set(out->names, e->name, strlen(e->name), e);
    }
    return JITC_OK;
}

const jc_zip_entry *jc_zip_find(const jc_zip *z, const char *name) {
    return jc_map_get(z->names, name, strlen(name));
}

/* --- entries --- */

jitc_status jc_zip_place(const jc_zip *z, const jc_zip_entry *e, uint64_t *at, jc_error *err) {
    uint8_t h[LOCAL_SIZE];
    if (e->method != 0 || e->packed != e->size || (e->flags & 1))
        return jc_fail_at(err, JITC_E_UNSUPPORTED, z->file, 0, 0, NULL,
                          "The entry \"%.200s\" is compressed or encrypted; torch.export.save() stores its entries, and only those are read.",
                          e->name);
    JC_TRY(get(z->file, z->src, e->header, h, sizeof h, err));
    const uint64_t name = le16(h + 26), skip = LOCAL_SIZE + name + le16(h + 28);
    if (le32(h) != LOCAL || e->header >= z->end || skip > z->end - e->header || e->size > z->end - e->header - skip)
        return jc_fail_at(err, JITC_E_INPUT, z->file, 0, 0, NULL, "The entry \"%.200s\" does not lie within the archive.", e->name);
    char *told = jc_arena_alloc(z->arena, (size_t)name + 1);
    JC_TRY(get(z->file, z->src, e->header + LOCAL_SIZE, told, (size_t)name, err));
    if (strcmp(below_folder(told), e->name) != 0)
        return jc_fail_at(err, JITC_E_INPUT, z->file, 0, 0, NULL, "The entry \"%.200s\" is called something else where it lies.", e->name);
    *at = e->header + skip;
    return JITC_OK;
}

static uint32_t crc_of(const uint8_t *p, size_t n) {
    uint32_t table[256], crc = 0xFFFFFFFF;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < n; i++)
        crc = table[(crc ^ p[i]) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

jitc_status jc_zip_read(const jc_zip *z, const jc_zip_entry *e, uint64_t max, char **out, jc_error *err) {
    uint64_t at;
    JC_TRY(jc_zip_place(z, e, &at, err));
    if (e->size > max)
        return jc_fail_at(err, JITC_E_INPUT, z->file, 0, 0, NULL, "The entry \"%.200s\" is larger than %llu bytes.", e->name,
                          (unsigned long long)max);
    *out = jc_arena_alloc(z->arena, (size_t)e->size + 1);
    JC_TRY(get(z->file, z->src, at, *out, (size_t)e->size, err));
    if (crc_of((const uint8_t *)*out, (size_t)e->size) != e->crc)
        return jc_fail_at(err, JITC_E_INPUT, z->file, 0, 0, NULL, "The entry \"%.200s\" is damaged: its checksum is another.", e->name);
    return JITC_OK;
}
