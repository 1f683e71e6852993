/*
 * jitc/value.h - what goes into and comes out of a call: 16 bytes each.
 */
#ifndef JITC_VALUE_H
#define JITC_VALUE_H

#include "jitc/dlpack.h"
#include "jitc/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An interned string with the host's pointer: see jitc_layer_name_intern() in jitc/context.h. Compared by address. */
typedef struct jitc_layer_name jitc_layer_name;

typedef enum jitc_tag {
    JITC_NONE = 0,
    JITC_TENSOR = 1, /* tensor: borrowed; a complex one is taken as its memory, pairs of real numbers in one dim more */
    JITC_INT = 2,
    JITC_FLOAT = 3,
    JITC_BOOL = 4, /* i is 0 or 1 */
    JITC_NAME = 5,
    JITC_STR = 6,  /* str: dtype names and other structural words of a custom operator's call */
    JITC_LIST = 7, /* n values */
    JITC_DICT = 8, /* n entries */
} jitc_tag;

struct jitc_entry;
typedef struct jitc_value {
    uint32_t tag; /* jitc_tag */
    uint32_t n;   /* of a list or dict */
    union {
        DLTensor *tensor;
        int64_t i;
        double f;
        const jitc_layer_name *name;
        const char *str;
        const struct jitc_value *list;
        const struct jitc_entry *dict;
    };
} jitc_value;

typedef struct jitc_entry {
    const char *key;
    jitc_value value;
} jitc_entry;

#ifdef __cplusplus
}
#endif
#endif
