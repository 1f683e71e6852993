/*
 * cache/key.c - preimages of keys: tagged, length-prefixed fields, never joined strings.
 */
#include "cache/cache.h"

void jc_key_add(jc_bytes *preimage, jc_key_field field, const void *data, size_t n) {
    jc_put_u8(preimage, (uint8_t)field);
    jc_put_u64(preimage, n);
    jc_put(preimage, data, n);
}

jc_key jc_key_end(const jc_bytes *preimage) {
    return (jc_key){ preimage->at, preimage->n, jc_hash_of(preimage->at, preimage->n), false };
}
