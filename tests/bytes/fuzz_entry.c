/*
 * tests/bytes/fuzz_entry.c - the file of a cache entry, sealed again so that what is behind the hash is reached: it is a hit with
 * a payload inside of what was written, or none.
 */
#define _GNU_SOURCE /* nftw */
#include "cache/disk.h"
#include "tests/bytes/fuzz_bytes.h"
#include "tests/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const fuzz_name = "entry";

enum { LENGTH_AT = 48 };

static char dir[64];

static void remove_dir(void) {
    scratch_remove(dir);
}

/* The key of every input, and of the corpus. */
static jc_key key_of(jc_arena *arena) {
    jc_bytes preimage = JC_BYTES(arena);
    jc_key_add(&preimage, JC_KEY_FORMAT, "1", 1);
    jc_key_add(&preimage, JC_KEY_KERNEL, "a kernel", 8);
    return jc_key_end(&preimage);
}

/* Where the entry lies: the folder of its shard is made. */
static const char *place(jc_arena *arena, const jc_key *key) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_hash_hex(&key->hash, hex);
    if (!dir[0]) {
        strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/jitc-fuzz-XXXXXX" : "/tmp/jitc-fuzz-XXXXXX");
        if (!mkdtemp(dir) || mkdir(jc_arena_printf(arena, "%s/v1", dir), 0700) ||
            mkdir(jc_arena_printf(arena, "%s/v1/%.2s", dir, hex), 0700))
            fuzz_never("there is no folder for the entry", &(jc_error)JC_ERROR_INIT);
        atexit(remove_dir);
    }
    return jc_arena_printf(arena, "%s/v1/%.2s/%s", dir, hex, hex);
}

bool fuzz_one(const uint8_t *data, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_key key = key_of(arena);
    const char *path = place(arena, &key);
    const uint8_t *bytes = fuzz_seal(arena, data, n, LENGTH_AT), *payload, *preimage;
    size_t npayload, npreimage;
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        fuzz_never("the entry cannot be written", &(jc_error)JC_ERROR_INIT);
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    if (!d)
        fuzz_never("the directory is refused", &(jc_error)JC_ERROR_INIT);
    jc_tier_result read = jc_disk_read(d, &key.hash, arena, &preimage, &npreimage);
    jc_tier_result got = jc_disk_get(d, &key, arena, &payload, &npayload);
    if (got == JC_TIER_HIT && (npayload > n || (read == JC_TIER_HIT && npreimage != key.npreimage)))
        fuzz_never("a hit is not what was written", &(jc_error)JC_ERROR_INIT);
    if (got != JC_TIER_HIT && got != JC_TIER_CORRUPT)
        fuzz_never("a file that is there is neither a hit nor damaged", &(jc_error)JC_ERROR_INIT);
    jc_arena_free(arena);
    return got == JC_TIER_HIT;
}
