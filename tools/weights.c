/*
 * tools/weights.c - values of parameters that the graph's own file holds: an archive of torch.export (ir/pt2).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/run.h"

/* The file's bytes: mapped, since weights are large and not all of them need be looked at. */
static jitc_status map_file(jc_arena *arena, const char *path, const uint8_t **out, size_t *size, jc_error *err) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot open the file: %s", strerror(errno));
    const bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
    *size = good ? (size_t)st.st_size : 0;
    *out = good ? jc_st_map(arena, fd, *size) : NULL;
    const int why = errno;
    close(fd);
    if (!*out)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot map the file: %s", good ? strerror(why) : "it is no regular file");
    return JITC_OK;
}

/* Row-major from the bytes at FROM, which lie as the weight's strides say. */
static const void *dense(jc_arena *arena, const jc_weight *w, const uint8_t *from, size_t nbytes) {
    const size_t size = jc_dtypes[w->dtype].size;
    int64_t index[JC_MAX_RANK] = { 0 }, plain = 1;
    bool row_major = (uintptr_t)from % 16 == 0;
    for (int d = w->rank - 1; d >= 0; d--) {
        row_major &= w->strides[d] == plain || w->dims[d] == 1;
        plain *= w->dims[d];
    }
    if (row_major || nbytes == 0)
        return from;
    uint8_t *out = jc_arena_alloc(arena, nbytes);
    for (size_t i = 0; i < nbytes / size; i++) {
        size_t at = 0;
        for (int d = 0; d < w->rank; d++)
            at += (size_t)(index[d] * w->strides[d]);
        memcpy(out + i * size, from + at * size, size);
        for (int d = w->rank - 1; d >= 0 && ++index[d] == w->dims[d]; d--)
            index[d] = 0;
    }
    return out;
}

static jitc_status add(jc_arena *arena, const jc_graph *g, const jc_weight *w, const uint8_t *bytes, size_t size, jc_st_file *out,
                       jc_error *err) {
    jc_st_tensor t = { .name = g->root->params[w->param]->name, .dtype = w->dtype, .rank = w->rank };
    size_t nbytes = jc_dtypes[w->dtype].size;
    memcpy(t.dims, w->dims, sizeof t.dims);
    for (int d = 0; d < w->rank; d++)
        if (__builtin_mul_overflow(nbytes, (size_t)w->dims[d], &nbytes))
            return jc_fail_at(err, JITC_E_INPUT, g->file, 0, 0, t.name, "The tensor is too large.");
    if (w->offset > size || w->bytes > size - w->offset)
        return jc_fail_at(err, JITC_E_IO, g->file, 0, 0, t.name, "The file has become shorter.");
    t.nbytes = nbytes;
    t.data = dense(arena, w, bytes + w->offset, nbytes);
    out->at[out->n++] = t;
    return JITC_OK;
}

jitc_status run_weights(const tool *t, uint32_t file, const jc_graph *g, jc_arena *arena, jc_st_file *out, jc_error *err) {
    const bool piped = t->texts && t->texts[file];
    const uint8_t *bytes = piped ? (const uint8_t *)t->texts[file] : NULL;
    size_t size = piped ? t->lengths[file] : 0;
    *out = (jc_st_file){ .at = JC_NEWN(arena, jc_st_tensor, g->nweights) };
    if (!g->nweights)
        return JITC_OK;
    if (!piped)
        JC_TRY(map_file(arena, g->file, &bytes, &size, err));
    for (uint32_t i = 0; i < g->nweights; i++)
        JC_TRY(add(arena, g, &g->weights[i], bytes, size, out, err));
    return JITC_OK;
}
