/*
 * tools/safetensors.h - reading and writing files of named tensors.
 *
 * The format: 8 bytes little-endian length of a JSON header, the header ({"name": {"dtype", "shape", "data_offsets"}, ...,
 * "__metadata__": {...}}), then the tensors' bytes, row-major.
 */
#ifndef JC_SAFETENSORS_H
#define JC_SAFETENSORS_H

#include "ir/type.h"

typedef struct jc_st_tensor {
    const char *name;
    jc_dtype dtype;
    int rank;
    int64_t dims[JC_MAX_RANK];
    const void *data; /* row-major; when read: aligned to 16 */
    size_t nbytes;
} jc_st_tensor;

typedef struct jc_st_file {
    jc_st_tensor *at; /* in order of their place in the file */
    uint32_t n;
} jc_st_file;

/* SIZE bytes of a file, mapped as long as ARENA lives; NULL, and errno says why. */
const void *jc_st_map(jc_arena *arena, int fd, size_t size);
/* Everything lives as long as ARENA; the file is mapped, so it must not be changed meanwhile.  JITC_E_IO where it
   cannot be opened, JITC_E_INPUT where it is not what the format says. */
jitc_status jc_st_read(jc_arena *arena, const char *path, jc_st_file *out, jc_error *err);
/* The same from memory that outlives ARENA; PATH is for messages. */
jitc_status jc_st_parse(jc_arena *arena, const char *path, const void *data, size_t size, jc_st_file *out,
                        jc_error *err);
const jc_st_tensor *jc_st_find(const jc_st_file *file, const char *name); /* NULL when absent */

/* Writes by a temporary file beside PATH and a rename.  The tensors keep their order. */
jitc_status jc_st_write(jc_arena *arena, const char *path, const jc_st_tensor *at, uint32_t n, jc_error *err);

#endif
