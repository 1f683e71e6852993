/*
 * jit/api/bundle.c - bundles: a model, compiled, as one file.
 *
 * File, all integers little-endian:
 *     0   8  magic "JITCBND\n"
 *     8   4  format version (4)
 *    12   4  flags: none are known; a reader refuses a file with any
 *    16   8  length of the whole file
 *    24   8  number of sections
 *    32  24  per section: kind (8), offset (8), length (8); readers skip kinds that they do not know
 *     .   .  sections, each at an offset divisible by 16, zeros between
 *   end-32   BLAKE2b-256 of everything before
 *
 * Sections.  "var" and "svar" are the LEB128 numbers of base/bytes.h, "str" is a var into the strings.
 *   1 requirements     u32 format a reader must know; var targets, each as plan/target.c writes it; code generator's id and
 *                      LLVM's version as texts.  Can be read without the rest.
 *   2 strings          u32 count; u32 end of each; the texts, each with its NUL
 *   3 classes          var count; per class var: outputs, inputs, symbols, nodes, bytes of the canonical form
 *   4 graphs           var count; per graph
 *       symbols        var count; str name, svar lo, hi, divisor
 *       expressions    var count; each as jc_ex_encode() writes it
 *       types          var count; bytes kind, dtype, rank, flags (1: strides, 2: a value); var expressions: dims, strides,
 *                      value
 *       pieces         var count; function (below); var class; byte splitting; per canonical input a bind (byte kind, then
 *                      var parameter, str, svar, f64 or byte); per canonical symbol var symbol; per node svar: lines
 *                      below the one before
 *       root           function; var outputs; var calls, each: var piece, svar line, per parameter of the piece an argument,
 *                      var results, each: var type, var 1 + number of the value it is a view of, or 0; then the outputs as
 *                      arguments; var guards, each: byte relation (jc_rel), svar line, two var expressions.  Values
 *                      are numbered as they are defined, parameters first.
 *       function       str name, svar line, byte tuple, var parameters, each: str name, svar line, var type
 *       argument       byte kind, then var value, var expression, f64, byte, or var count and so many arguments
 *   5 programs         per target, per class: per symbol var ranges, each svar lo, hi; then per variant, which is a choice of
 *                      one range per symbol (the last symbol's changes fastest): hash of the cache key (32); var length of
 *                      the artifact
 *   6 canonical forms  one after the other
 *   7 artifacts        in the order of the programs, each at an offset divisible by 16
 *
 * A signed bundle has a seal behind it (base/seal.h), which is none of the file's length and looked at first.
 *
 * A reader takes the whole file into private memory, checks length and hash, and uses those bytes from then on.
 * There is no path, time, name of a file or machine, and no address in a bundle.
 */
#include "base/file.h"
#include "jit/api/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- writing --- */

static jitc_status io_error(jc_error *err, const char *path, const char *what, int why) {
    return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot %s: %s", what, strerror(why));
}

/* What is done with the bytes of a bundle. */
typedef struct writing {
    const char *path;        /* a file, or */
    jitc_bundle_sink sink;   /* the caller's function */
    void *user;
} writing;

static jitc_status encode_and_write(jc_arena *arena, jitc_model *const *models, uint32_t n, const writing *to, jc_error *err) {
    jc_bytes b = JC_BYTES(arena);
    JC_TRY(jc_bundle_encode(models, n, &b, err));
    if (!to->path)
        return to->sink(to->user, b.at, b.n) ? JITC_OK
                                             : jc_fail(err, JITC_E_IO, "the function that was given did not take the bundle");
    if (!jc_file_publish(to->path, &(jc_span){ b.at, b.n }, 1, (jc_publish){ .mode = JC_BUNDLE_MODE, .durable = true }))
        return io_error(err, to->path, "write the file", errno);
    return JITC_OK;
}

static jitc_status write_to(jitc_context *ctx, jitc_model *const *models, uint32_t n, const writing *to) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    if (n == 0)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "a bundle needs at least one model"), &err);
    for (uint32_t i = 0; i < n; i++)
        if (!models[i] || models[i]->ctx != ctx)
            return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "model %u is %s", i,
                                                models[i] ? "of another context" : "NULL"), &err);
    jc_arena *arena = jc_arena_new(&ctx->alloc);
    if (!arena)
        return jc_context_done(ctx, JITC_E_NOMEM, &err);
    jitc_status status = JC_GUARD(arena, &guard) ? JITC_E_NOMEM : encode_and_write(arena, models, n, to, &err);
    jc_guard_end(arena, &guard);
    jc_arena_free(arena);
    return jc_context_done(ctx, status, &err);
}

jitc_status jitc_bundle_write(jitc_context *ctx, jitc_model *const *models, uint32_t n, const char *path) {
    JC_NEED(ctx, ctx, models, path);
    return write_to(ctx, models, n, &(writing){ .path = path });
}

jitc_status jitc_bundle_write_bytes(jitc_context *ctx, jitc_model *const *models, uint32_t n, jitc_bundle_sink sink, void *user) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(ctx, ctx, models);
    if (!sink)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "jitc_bundle_write_bytes: `sink` is NULL"), &err);
    return write_to(ctx, models, n, &(writing){ .sink = sink, .user = user });
}

jitc_status jitc_model_save(jitc_model *m, const char *path) {
    JC_NEED(NULL, m);
    return jitc_bundle_write(m->ctx, &m, 1, path);
}

/* --- reading --- */

static jitc_status read_failed(const char *path, int why, jc_error *err) {
    if (why == ENOMEM)
        return JITC_E_NOMEM;
    if (why == EINVAL)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "a bundle is a regular file");
    if (why == EFBIG)
        return jc_fail(err, JITC_E_INPUT, "the file is larger than any bundle");
    return io_error(err, path, "read the file", why);
}

/* What was looked at is what is read. */
jitc_status jc_bundle_read(const jc_trust *trust, const char *path, bool named, jc_arena *arena, jc_span *out,
                           jc_public_key *by, jc_error *err) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return io_error(err, path, "open the file", errno);
    bool ok = fstat(fd, &st) == 0;
    jitc_status status = ok ? jc_trust_file(trust, &st, named, err) : JITC_OK;
    ok = ok && status == JITC_OK && jc_file_read(fd, JC_BUNDLE_MAX, arena, out);
    int why = errno;
    close(fd);
    if (status != JITC_OK)
        return status;
    return ok ? jc_trust_bytes(trust, out, by, err) : read_failed(path, why, err);
}

int jitc_bundle_probe(const char *path) {
    char head[8];
    struct stat st;
    if (!path || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) /* what writes to a FIFO would take us for its reader */
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return 0;
    bool is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read(fd, head, sizeof head) == (ssize_t)sizeof head &&
              memcmp(head, JC_BUNDLE_MAGIC, sizeof head) == 0;
    close(fd);
    return is;
}

/* --- choosing --- */

/* Is all code for target T PTX? Artifacts say themselves whose they are. */
static bool all_ptx(const jc_bundle_file *f, const jc_target *t, jc_arena *arena) {
    jc_span section = f->sections[JC_SECTION_ARTIFACTS];
    jc_reader r = JC_READER(section.at, section.n);
    jc_error ignored = JC_ERROR_INIT;
    jc_artifact a;
    bool ptx = true;
    while (ptx && r.at < r.end && jc_artifact_take(&r, arena, &a, &ignored) == JITC_OK) {
        ptx = !jc_target_same(&a.target, t) || jc_artifact_is_ptx(&a);
        while (r.at < r.end && (size_t)(r.at - section.at) % JC_BUNDLE_ALIGN)
            r.at++;
    }
    return ptx;
}

static jitc_status wanted(jitc_context *ctx, const jc_bundle_requires *q, const char *arch, jc_target *out, jc_error *err) {
    jc_device *device;
    if (arch)
        return jc_target_parse(arch, out, err);
    if (q->ntargets == 1) {
        *out = q->targets[0];
        return JITC_OK;
    }
    JC_TRY(jc_context_device(ctx, &device, err));
    *out = device->target;
    return JITC_OK;
}

jitc_status jc_bundle_choose(jitc_context *ctx, const jc_bundle_file *f, const char *arch, jc_arena *arena, uint32_t *out,
                             jc_error *err) {
    const jc_bundle_requires *q = &f->needs;
    jc_target want;
    unsigned best = 0;
    JC_TRY(wanted(ctx, q, arch, &want, err));
    for (uint32_t i = 0; i < q->ntargets; i++) {
        unsigned score = jc_target_suits(&q->targets[i], &want, all_ptx(f, &q->targets[i], arena));
        if (score > best) {
            best = score;
            *out = i;
        }
    }
    if (best)
        return JITC_OK;
    char text[64];
    jc_bytes list = JC_BYTES(arena);
    for (uint32_t i = 0; i < q->ntargets; i++) {
        jc_target_text(&q->targets[i], text);
        jc_put_text(&list, "%s%s", i ? ", " : "", text);
    }
    jc_target_text(&want, text);
    return jc_fail(err, JITC_E_UNSUPPORTED, "the bundle has no code for %s; it has: %.*s. Compile the model for that target "
                   "as well", text, (int)list.n, (const char *)list.at);
}

/* --- loading --- */

static jitc_status load(jitc_model *m, const char *path, const char *arch, jc_error *err) {
    jc_bundle_file file;
    jc_span bytes;
    uint32_t target = 0;
    double start = jc_now_ms();
    JC_TRY(jc_bundle_read(&m->ctx->trust, path, false, m->arena, &bytes, NULL, err));
    JC_TRY(jc_bundle_open(bytes.at, bytes.n, m->arena, &file, err));
    JC_TRY(jc_bundle_choose(m->ctx, &file, arch, m->arena, &target, err));
    JC_TRY(jc_bundle_decode(&file, target, jc_arena_strdup(m->arena, path), m, err));
    m->stats.ms_load = m->stats.ms_total = jc_now_ms() - start;
    jc_trace_span(m->ctx->spans, "load", path, start);
    return JITC_OK;
}

jitc_status jitc_bundle_load(jitc_context *ctx, const char *path, const char *arch, jitc_model **out) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    JC_NEED(ctx, ctx, path, out);
    *out = NULL;
    jitc_model *m = jc_model_new(ctx);
    if (!m)
        return jc_context_done(ctx, JITC_E_NOMEM, &err);
    jitc_status status = JC_GUARD(m->arena, &guard) ? JITC_E_NOMEM : load(m, path, arch, &err);
    jc_guard_end(m->arena, &guard);
    jc_error_place(&err, path, 0, 0, NULL);
    if (status != JITC_OK)
        jitc_model_free(m);
    else
        *out = m;
    return jc_context_done(ctx, status, &err);
}
