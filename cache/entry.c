/*
 * cache/entry.c - the file of one entry.
 *
 * All integers little-endian:
 *     0   8  magic "JITCENT\n"
 *     8   4  format version (1)
 *    12   4  flags: bit 0 a MAC follows the trailer; readers treat a file with flags that they do not know as damaged
 *    16  32  key
 *    48   8  length of the whole file
 *    56   8  number of sections
 *    64  24  per section: kind (8), offset (8), length (8); kinds: 1 key preimage, 2 payload, others are skipped
 *     .   .  sections, in the order of the table, each at an offset divisible by 16, zeros between
 *     .  32  trailer: BLAKE2b-256 of everything before
 *     .  32  MAC, if there is one: BLAKE2b-256, keyed, of everything before
 *
 * The trailer finds accidents; the MAC says that the writer had the key.  A reader without a key does not look at the MAC.
 */
#include "cache/entry.h"

#include <string.h>

#define MAGIC "JITCENT\n"
#define SECTION 24
#define ALIGN 16
#define LENGTH_AT 48
#define MAX_SECTIONS 64
enum { KIND_PREIMAGE = 1, KIND_PAYLOAD = 2 };
enum { FLAG_MAC = 1 };

/* --- reading --- */

uint64_t jc_entry_length(const uint8_t *head) {
    jc_reader r = JC_READER(head + LENGTH_AT, JC_ENTRY_HEADER - LENGTH_AT);
    const uint64_t n = jc_get_u64(&r);
    return memcmp(head, MAGIC, strlen(MAGIC)) == 0 && n >= JC_ENTRY_HEADER + JC_HASH_SIZE && n <= JC_ENTRY_MAX ? n : 0;
}

/* N: of all before the trailer. */
static bool section(jc_reader *table, const uint8_t *file, size_t n, uint64_t *kind, const uint8_t **at, size_t *size) {
    *kind = jc_get_u64(table);
    uint64_t offset = jc_get_u64(table), length = jc_get_u64(table);
    if (table->bad || offset > n || length > n - offset)
        return false;
    *at = file + offset;
    *size = (size_t)length;
    return true;
}

static bool sections(jc_reader *r, const uint8_t *file, size_t n, uint64_t count, jc_entry *out) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t kind;
        const uint8_t *at;
        size_t size;
        if (!section(r, file, n, &kind, &at, &size))
            return false;
        if (kind == KIND_PREIMAGE) {
            out->preimage = at;
            out->npreimage = size;
        }
        if (kind == KIND_PAYLOAD) {
            out->payload = at;
            out->npayload = size;
        }
    }
    return out->preimage && out->payload;
}

jc_entry_state jc_entry_decode(const uint8_t *file, size_t n, const jc_mac_key *mac, jc_entry *out) {
    *out = (jc_entry){ 0 };
    if (n < JC_ENTRY_HEADER || jc_entry_length(file) != n)
        return JC_ENTRY_DAMAGED;
    jc_reader r = JC_READER(file + 8, n - 8);
    const uint32_t version = jc_get_u32(&r), flags = jc_get_u32(&r);
    memcpy(out->key.b, jc_get(&r, JC_HASH_SIZE), JC_HASH_SIZE);
    (void)jc_get_u64(&r); /* the length */
    const uint64_t count = jc_get_u64(&r);
    const size_t tail = JC_HASH_SIZE + (flags & FLAG_MAC ? JC_HASH_SIZE : 0);
    if (version != JC_ENTRY_VERSION || (flags & ~(uint32_t)FLAG_MAC) || count > MAX_SECTIONS || JC_ENTRY_HEADER + count * SECTION + tail > n)
        return JC_ENTRY_DAMAGED;
    const jc_hash trailer = jc_hash_of(file, n - tail);
    if (memcmp(trailer.b, file + n - tail, JC_HASH_SIZE) != 0 || !sections(&r, file, n - tail, count, out))
        return JC_ENTRY_DAMAGED;
    if (!mac)
        return JC_ENTRY_GOOD;
    return flags & FLAG_MAC && jc_hash_keyed_fits(mac->b, file, n - JC_HASH_SIZE, file + n - JC_HASH_SIZE) ? JC_ENTRY_GOOD : JC_ENTRY_FOREIGN;
}

/* --- writing --- */

static void pad(jc_bytes *b) {
    while (b->n % ALIGN)
        jc_put_u8(b, 0);
}

void jc_entry_encode(jc_bytes *b, const jc_key *key, const uint8_t *bytes, size_t n, const jc_mac_key *mac) {
    const uint64_t preimage_at = (JC_ENTRY_HEADER + 2 * SECTION + ALIGN - 1) / ALIGN * ALIGN;
    const uint64_t payload_at = (preimage_at + key->npreimage + ALIGN - 1) / ALIGN * ALIGN;
    const size_t start = b->n;
    jc_put(b, MAGIC, 8);
    jc_put_u32(b, JC_ENTRY_VERSION);
    jc_put_u32(b, mac ? FLAG_MAC : 0);
    jc_put(b, key->hash.b, JC_HASH_SIZE);
    jc_put_u64(b, payload_at + n + JC_HASH_SIZE + (mac ? JC_HASH_SIZE : 0));
    jc_put_u64(b, 2);
    jc_put_u64(b, KIND_PREIMAGE);
    jc_put_u64(b, preimage_at);
    jc_put_u64(b, key->npreimage);
    jc_put_u64(b, KIND_PAYLOAD);
    jc_put_u64(b, payload_at);
    jc_put_u64(b, n);
    pad(b);
    jc_put(b, key->preimage, key->npreimage);
    pad(b);
    jc_put(b, bytes, n);
    jc_hash hash = jc_hash_of(b->at + start, b->n - start);
    jc_put(b, hash.b, JC_HASH_SIZE);
    if (mac) {
        hash = jc_hash_keyed(mac->b, b->at + start, b->n - start);
        jc_put(b, hash.b, JC_HASH_SIZE);
    }
}
