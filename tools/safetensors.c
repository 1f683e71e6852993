/*
 * tools/safetensors.c - see safetensors.h.  Nothing in a file is believed: every length, offset, shape and dtype is
 * checked against the bytes that are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/safetensors.h"

#include "base/file.h"

#define ALIGNMENT 16
#define MAX_HEADER (100u << 20) /* what other readers of the format accept */

typedef struct parse {
    jc_arena *arena;
    const char *path;
    const uint8_t *data; /* the first tensor's byte */
    size_t size;         /* bytes from there to the end of the file */
    jc_error *err;
} parse;

static int dtype_of(const char *name) {
    for (int d = 0; d < JC_DTYPE_COUNT; d++) {
        if (!strcmp(jc_dtypes[d].safetensors, name))
            return d;
    }
    return -1;
}

static jitc_status bad(const parse *p, const char *tensor, const char *what) {
    return jc_fail_at(p->err, JITC_E_INPUT, p->path, 0, 0, tensor, "Tensor '%s' of this safetensors file has %s.", tensor,
                      what);
}

static jitc_status parse_shape(const parse *p, const char *name, const json_t *shape, jc_st_tensor *out) {
    size_t bytes = jc_dtypes[out->dtype].size;
    if (!json_is_array(shape) || json_array_size(shape) > JC_MAX_RANK)
        return bad(p, name, "no shape, or one of too many dims");
    out->rank = (int)json_array_size(shape);
    for (int d = 0; d < out->rank; d++) {
        const json_t *dim = json_array_get(shape, (size_t)d);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad(p, name, "a dim that is no size");
        out->dims[d] = json_integer_value(dim);
        if (__builtin_mul_overflow(bytes, (size_t)out->dims[d], &bytes))
            return bad(p, name, "too many elements");
    }
    out->nbytes = bytes;
    return JITC_OK;
}

static jitc_status parse_tensor(const parse *p, const char *name, const json_t *entry, jc_st_tensor *out) {
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    int d = dtype ? dtype_of(dtype) : -1;
    if (d < 0)
        return bad(p, name, "a dtype that is not known");
    *out = (jc_st_tensor){ .name = jc_arena_strdup(p->arena, name), .dtype = (jc_dtype)d };
    JC_TRY(parse_shape(p, name, json_object_get(entry, "shape"), out));
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return bad(p, name, "no data_offsets");
    int64_t lo = json_integer_value(from), hi = json_integer_value(to);
    if (lo < 0 || hi < lo || (uint64_t)hi > p->size || (size_t)(hi - lo) != out->nbytes)
        return bad(p, name, "data_offsets that leave the file or do not fit its shape");
    out->data = p->data + lo;
    return JITC_OK;
}

static int by_place(const void *a, const void *b) {
    const jc_st_tensor *x = a, *y = b;
    return x->data != y->data ? (x->data < y->data ? -1 : 1) : strcmp(x->name, y->name);
}

static jitc_status parse_header(const parse *p, json_t *header, jc_st_file *out) {
    const char *name;
    json_t *entry;
    out->n = 0;
    out->at = JC_NEWN(p->arena, jc_st_tensor, json_object_size(header));
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") != 0)
            JC_TRY(parse_tensor(p, name, entry, &out->at[out->n++]));
    }
    qsort(out->at, out->n, sizeof *out->at, by_place);
    /* Files align the data as a whole at best; what lies askew is moved. */
    for (uint32_t k = 0; k < out->n; k++) {
        if ((uintptr_t)out->at[k].data % ALIGNMENT != 0)
            out->at[k].data = jc_arena_memdup(p->arena, out->at[k].data, out->at[k].nbytes);
    }
    return JITC_OK;
}

static void drop_json(void *handle) {
    json_decref(handle);
}

jitc_status jc_st_parse(jc_arena *arena, const char *path, const void *data, size_t size, jc_st_file *out,
                        jc_error *err) {
    const uint8_t *bytes = data;
    uint64_t length = 0;
    json_error_t why;
    for (int k = 7; k >= 0 && size >= 8; k--)
        length = length << 8 | bytes[k];
    if (size < 8 || length > size - 8 || length > MAX_HEADER)
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "This is no safetensors file: its header's length leaves "
                          "the file.");
    parse p = { arena, path, bytes + 8 + length, size - 8 - (size_t)length, err };
    json_t *header = json_loadb((const char *)bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (!header)
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "The header of this safetensors file is no JSON: %s.",
                          why.text);
    jc_arena_defer(arena, drop_json, header);
    if (!json_is_object(header))
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "The header of this safetensors file is no JSON object.");
    return parse_header(&p, header, out);
}

typedef struct mapping {
    void *at;
    size_t size;
} mapping;

static void unmap(void *handle) {
    mapping *m = handle;
    munmap(m->at, m->size);
}

const void *jc_st_map(jc_arena *arena, int fd, size_t size) {
    mapping m = { mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0), size };
    if (m.at == MAP_FAILED)
        return NULL;
    jc_arena_defer(arena, unmap, jc_arena_memdup(arena, &m, sizeof m));
    return m.at;
}

jitc_status jc_st_read(jc_arena *arena, const char *path, jc_st_file *out, jc_error *err) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "The file cannot be opened: %s.", strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 8) {
        close(fd);
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "This is no safetensors file: it is too short, or not a "
                          "file.");
    }
    const void *bytes = jc_st_map(arena, fd, (size_t)st.st_size);
    const int why = errno;
    close(fd);
    if (!bytes)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "The file cannot be mapped: %s.", strerror(why));
    return jc_st_parse(arena, path, bytes, (size_t)st.st_size, out, err);
}

const jc_st_tensor *jc_st_find(const jc_st_file *file, const char *name) {
    for (uint32_t k = 0; k < file->n; k++) {
        if (!strcmp(file->at[k].name, name))
            return &file->at[k];
    }
    return NULL;
}

/* ---- writing ---- */

/* The header's text, padded so that the data starts aligned; malloc'ed; NULL when memory is out or a name is no UTF-8. */
static char *header_text(const jc_st_tensor *at, uint32_t n) {
    json_t *header = json_object();
    size_t offset = 0;
    for (uint32_t k = 0; k < n; k++) {
        json_t *shape = json_array();
        for (int d = 0; d < at[k].rank; d++)
            json_array_append_new(shape, json_integer(at[k].dims[d]));
        json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", jc_dtypes[at[k].dtype].safetensors, "shape", shape,
                                  "data_offsets", (json_int_t)offset, (json_int_t)(offset + at[k].nbytes));
        if (!header || json_object_set_new(header, at[k].name, entry) != 0) {
            json_decref(header);
            return NULL;
        }
        offset += at[k].nbytes;
    }
    char *text = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(header);
    return text;
}

/* Length of the header with what pads it, the header, and each tensor's bytes. */
static bool publish(jc_arena *arena, const char *path, const char *header, const jc_st_tensor *at, uint32_t n) {
    size_t length = strlen(header), padded = (length + 8 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - 8;
    jc_span *parts = JC_NEWN(arena, jc_span, n + 1);
    uint8_t *head = jc_arena_alloc(arena, 8 + padded);
    for (int k = 0; k < 8; k++)
        head[k] = (uint8_t)((uint64_t)padded >> (8 * k));
    memset(head + 8, ' ', padded); /* as the format pads */
    memcpy(head + 8, header, length);
    parts[0] = (jc_span){ head, 8 + padded };
    for (uint32_t k = 0; k < n; k++)
        parts[k + 1] = (jc_span){ at[k].data, at[k].nbytes };
    return jc_file_publish(path, parts, n + 1, (jc_publish){ .mode = 0666 });
}

jitc_status jc_st_write(jc_arena *arena, const char *path, const jc_st_tensor *at, uint32_t n, jc_error *err) {
    jitc_status status = JITC_OK;
    char *header = header_text(at, n);
    if (!header)
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "The header cannot be made: a tensor's name is no UTF-8, "
                          "or memory is out.");
    jc_arena_defer(arena, free, header);
    if (!publish(arena, path, header, at, n))
        status = jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "The file cannot be written: %s.", strerror(errno));
    return status;
}
