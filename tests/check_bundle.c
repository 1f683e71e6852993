/*
 * tests/check_bundle.c - bundles: what is loaded runs as what was saved did; damaged files are refused; hostile ones do no harm.
 *
 * The small model calls custom operators alone, so it needs no code generator; its numbers are worked out by hand.
 */
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit/api/bundle.h"
#include "tests/faulty_alloc.h"
#include "tools/safetensors.h"

#define ROWS 3
#define COLUMNS 8

static char folder[64]; /* of this test, emptied behind it */
static char file[96];

/* --- the small model: layer L is x * n + L, then (splitting) + 100 * L --- */

static const char *const small_text =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\", name: \"LayerName\"):\n"
    "        a: \"f32[s0, 8]\" = torch.ops.test.scale(x, 3, 0.5, True, 'layers.1')\n"
    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(a, name)\n"
    "        c: \"f32[s0, 8]\" = torch.ops.test.scale(b, 5, 0.25, False, 'layers.2')\n"
    "        d: \"f32[s0, 8]\" = torch.ops.test.cut(c, 'layers.4')\n"
    "        e: \"f32[s0, 8]\" = torch.ops.test.scale(d, 7, 0.0, True, 'layers.5')\n"
    "        return (e, b, s0)\n";

/* a = 3x + 0.5 + 1; b = a + 300; c = 5b + 0.25 + 2 and negative; d = c + 400; e = 7d + 5 */
static double small_b(double x) {
    return 3 * x + 301.5;
}
static double small_e(double x) {
    return 7 * (400 - (5 * small_b(x) + 2.25)) + 5;
}

static float *data(const DLTensor *t) {
    return (float *)((char *)t->data + t->byte_offset);
}

static int64_t count(const DLTensor *t) {
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++)
        n *= t->shape[d];
    return n;
}

static int digit(const jitc_layer_name *name) {
    const char *text = jitc_layer_name_text(name);
    return text[0] ? text[strlen(text) - 1] - '0' : 0;
}

static int scale(jitc_call *call, const DLTensor *x, int64_t by, double plus, bool positive, const jitc_layer_name *name,
                 DLTensor *y) {
    (void)call;
    for (int64_t i = 0, n = count(x) < count(y) ? count(x) : count(y); i < n; i++)
        data(y)[i] = (positive ? 1 : -1) * (data(x)[i] * (float)by + (float)plus + (float)digit(name));
    return 0;
}

static int cut(jitc_call *call, const DLTensor *x, const jitc_layer_name *name, DLTensor *y) {
    (void)call;
    for (int64_t i = 0, n = count(x) < count(y) ? count(x) : count(y); i < n; i++)
        data(y)[i] = data(x)[i] + 100 * (float)digit(name);
    return 0;
}

static jitc_context *context(const char *device, unsigned threads) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = device, .threads = threads };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::scale(Tensor x, int by, float plus, bool positive, LayerName n) -> Tensor",
                                      (jitc_plain_function)scale, NULL), JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::cut(Tensor x, LayerName n) -> Tensor", (jitc_plain_function)cut, NULL),
                     JITC_OK);
    return ctx;
}

static jitc_model *build(jitc_context *ctx, const char *name, const char *text, const char *arch, bool split_only) {
    static const char *const split[] = { "cut" };
    jitc_graph *g;
    jitc_model *m;
    jitc_model_options o = { .struct_size = sizeof o, .arch = arch, .split_only = split_only, .split_ops = split,
                             .nsplit_ops = 1 };
    ck_assert_msg(jitc_graph_read(ctx, name, text, strlen(text), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

static jitc_model *small(jitc_context *ctx) {
    return build(ctx, "small.py", small_text, "host", false);
}

static void save(jitc_model *m, const char *path) {
    ck_assert_msg(jitc_model_save(m, path) == JITC_OK, "%s", jitc_context_error(m->ctx));
}

static jitc_model *load(jitc_context *ctx, const char *path, const char *arch) {
    jitc_model *m;
    ck_assert_msg(jitc_bundle_load(ctx, path, arch, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

/* --- files --- */

static uint8_t *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *at = malloc(*n + 1);
    ck_assert(fread(at, 1, *n, f) == *n);
    fclose(f);
    return at;
}

static void spill(const char *path, const void *at, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(at, 1, n, f) == n && fclose(f) == 0);
}

static unsigned entries(void) {
    unsigned n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static const char *path_of(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void set_up(void) {
    snprintf(folder, sizeof folder, "/tmp/check_bundle.XXXXXX");
    umask(022); /* a bundle that others may write to is not opened */
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(file, sizeof file, "%s/model.jitc", folder);
}

static void tear_down(void) {
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            remove(path_of(e->d_name));
    closedir(d);
    rmdir(folder);
}

/* --- running the small model --- */

typedef struct input {
    _Alignas(64) float at[ROWS * COLUMNS];
    int64_t shape[2], strides[2];
    DLTensor tensor;
} input;

static void make_input(input *in) {
    for (int i = 0; i < ROWS * COLUMNS; i++)
        in->at[i] = (float)(i - 7);
    in->shape[0] = ROWS;
    in->shape[1] = in->strides[0] = COLUMNS;
    in->strides[1] = 1;
    in->tensor = (DLTensor){ .data = in->at, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { 2, 32, 1 }, .shape = in->shape,
                             .strides = in->strides };
}

static jitc_status run_small(jitc_model *m, input *in, jitc_value *out) {
    jitc_value values[] = { { .tag = JITC_INT, .i = ROWS }, { .tag = JITC_TENSOR, .tensor = &in->tensor },
                            { .tag = JITC_NAME, .name = jitc_layer_name_intern(m->ctx, "layers.3", NULL) } };
    return jitc_model_run(m, 0, NULL, values, 3, out, 3);
}

static void check_small(jitc_model *m) {
    input in;
    jitc_value out[3];
    for (int again = 0; again < 2; again++) {
        make_input(&in);
        ck_assert_msg(run_small(m, &in, out) == JITC_OK, "%s", jitc_context_error(m->ctx));
        ck_assert(out[0].tag == JITC_TENSOR && out[1].tag == JITC_TENSOR);
        ck_assert(out[2].tag == JITC_INT && out[2].i == ROWS);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            ck_assert_msg(data(out[0].tensor)[i] == (float)small_e(i - 7), "e[%d] is %g, not %g", i,
                          data(out[0].tensor)[i], small_e(i - 7));
            ck_assert_msg(data(out[1].tensor)[i] == (float)small_b(i - 7), "b[%d] is %g, not %g", i,
                          data(out[1].tensor)[i], small_b(i - 7));
        }
    }
}

START_TEST(save_load_run) {
    jitc_context *ctx = context("host", 1), *other = context("host", 1);
    jitc_model *m = small(ctx);
    jitc_model_stats stats = { .struct_size = sizeof stats };
    save(m, file);
    check_small(m);
    jitc_context_free(ctx);
    m = load(other, file, NULL);
    jitc_model_get_stats(m, &stats);
    ck_assert_uint_eq(stats.pieces, 5);
    ck_assert_uint_eq(stats.classes, 2);
    ck_assert_uint_eq(stats.hits, 2);
    ck_assert_uint_eq(stats.compiled, 0);
    ck_assert(stats.ms_load > 0);
    check_small(m);
    jitc_context_free(other);
}
END_TEST

/* Everything that can be asked of a model is the same after loading, but the file. */
START_TEST(tells_the_same) {
    jitc_context *ctx = context("host", 1);
    jitc_model *a = small(ctx), *b;
    save(a, file);
    b = load(ctx, file, "host");
    ck_assert_uint_eq(b->npieces, a->npieces);
    for (uint32_t i = 0; i < a->npieces; i++) {
        jitc_piece_info x = { .struct_size = sizeof x }, y = { .struct_size = sizeof y };
        ck_assert_int_eq(jitc_model_piece_info(a, i, &x), JITC_OK);
        ck_assert_int_eq(jitc_model_piece_info(b, i, &y), JITC_OK);
        ck_assert_str_eq(x.name, y.name);
        ck_assert_str_eq(x.key, y.key);
        ck_assert(x.cls == y.cls && x.splitting == y.splitting && y.hit);
        ck_assert(x.ninputs == y.ninputs && x.noutputs == y.noutputs && x.nlayer_names == y.nlayer_names);
        for (uint32_t k = 0; k < x.nlayer_names; k++)
            ck_assert_str_eq(x.layer_names[k], y.layer_names[k]);
        ck_assert_str_eq(y.file, file);
    }
    ck_assert(jitc_model_params(b, 0) == 3 && jitc_model_outputs(b, 0) == 3);
    static const char *const names[] = { "s0", "x", "name" }, *const types[] = { "Sym(s0)", "f32[s0, 8]", "LayerName" };
    static const uint32_t tags[] = { JITC_INT, JITC_TENSOR, JITC_NAME };
    for (uint32_t i = 0; i < 3; i++) {
        jitc_param_info info = { .struct_size = sizeof info };
        ck_assert_int_eq(jitc_model_param_info(b, 0, i, &info), JITC_OK);
        ck_assert_str_eq(info.name, names[i]);
        ck_assert_str_eq(info.type, types[i]);
        ck_assert_uint_eq(info.tag, tags[i]);
    }
    for (uint32_t i = 0; i < a->nclasses; i++) {
        const jc_canon *x = &a->pieces[a->classes[i].first].canon, *y = &b->pieces[b->classes[i].first].canon;
        ck_assert(x->nbytes == y->nbytes && memcmp(x->bytes, y->bytes, x->nbytes) == 0);
        ck_assert(memcmp(&a->classes[i].variants[0].request.key.hash, &b->classes[i].variants[0].request.key.hash, sizeof(jc_hash)) == 0);
        ck_assert_uint_eq(a->classes[i].members, b->classes[i].members);
        ck_assert_int_eq(a->classes[i].variants[0].request.lo[0], b->classes[i].variants[0].request.lo[0]);
        ck_assert_int_eq(a->classes[i].variants[0].request.hi[0], b->classes[i].variants[0].request.hi[0]);
    }
    jitc_context_free(ctx);
}
END_TEST

START_TEST(piece_alone) {
    jitc_context *ctx = context("host", 1);
    input in;
    save(small(ctx), file);
    jitc_model *m = load(ctx, file, "host");
    uint32_t n = m->pieces[2].func->nparams;
    jitc_value values[4], out[1];
    make_input(&in);
    ck_assert_uint_le(n, 2);
    for (uint32_t i = 0; i < n; i++)
        values[i] = m->pieces[2].func->params[i]->type.kind == JC_TENSOR
                        ? (jitc_value){ .tag = JITC_TENSOR, .tensor = &in.tensor }
                        : (jitc_value){ .tag = JITC_INT, .i = ROWS };
    ck_assert_msg(jitc_piece_run(m, 2, NULL, values, n, out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
    for (int i = 0; i < ROWS * COLUMNS; i++) /* c = -(5x + 0.25 + 2) */
        ck_assert(data(out[0].tensor)[i] == -(5 * (float)(i - 7) + 2.25f));
    jitc_context_free(ctx);
}
END_TEST

/* A failure while running says which bundle and which line of the text. */
static int fails(jitc_call *call, const DLTensor *x, const jitc_layer_name *name, DLTensor *y) {
    (void)x;
    (void)name;
    (void)y;
    snprintf(call->error, call->error_size, "no such layer");
    return 1;
}

START_TEST(error_lines) {
    jitc_context *ctx = context("host", 1), *other;
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    input in;
    jitc_value out[3];
    jitc_error_info info = { .struct_size = sizeof info };
    save(small(ctx), file);
    jitc_context_free(ctx);
    ck_assert_int_eq(jitc_context_new(&o, &other), JITC_OK);
    jitc_op_register(other, "test::scale(Tensor x, int by, float plus, bool positive, LayerName n) -> Tensor",
                     (jitc_plain_function)scale, NULL);
    jitc_op_register(other, "test::cut(Tensor x, LayerName n) -> Tensor", (jitc_plain_function)fails, NULL);
    make_input(&in);
    ck_assert_int_eq(run_small(load(other, file, NULL), &in, out), JITC_E_OP);
    jitc_context_error_info(other, &info);
    ck_assert_int_eq(info.line, 4);
    ck_assert_str_eq(info.file, file);
    ck_assert_msg(strstr(info.message, "no such layer") != NULL, "%s", info.message);
    jitc_context_free(other);
}
END_TEST

/* A bundle that was loaded can be saved, and is what it was. */
START_TEST(saved_again) {
    jitc_context *ctx = context("host", 1);
    size_t na, nb;
    save(small(ctx), file);
    save(load(ctx, file, NULL), path_of("again.jitc"));
    uint8_t *a = slurp(file, &na), *b = slurp(path_of("again.jitc"), &nb);
    ck_assert_uint_eq(na, nb);
    ck_assert(memcmp(a, b, na) == 0);
    free(a);
    free(b);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(same_bytes) {
    static const struct {
        const char *graph, *file, *home, *locale;
        unsigned threads;
    } rows[] = {
        { "small.py", "a.jitc", "/", "C", 1 },
        { "/some/other/place/other.py", "b.jitc", "/tmp", "C.UTF-8", 2 },
        { "", "c.jitc", "", "POSIX", 0 },
    };
    uint8_t *first = NULL;
    size_t nfirst = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setenv("HOME", rows[i].home, 1);
        setenv("LC_ALL", rows[i].locale, 1);
        jitc_context *ctx = context("host", rows[i].threads);
        save(build(ctx, rows[i].graph, small_text, "host", false), path_of(rows[i].file));
        size_t n;
        uint8_t *at = slurp(path_of(rows[i].file), &n);
        if (!first) {
            first = at;
            nfirst = n;
        } else {
            ck_assert_msg(n == nfirst && memcmp(at, first, n) == 0, "row %zu gives other bytes", i);
            free(at);
        }
        jitc_context_free(ctx);
    }
    free(first);
}
END_TEST

/* --- several targets --- */

START_TEST(several_targets) {
    static const char *const archs[] = { "host", "sim", "sm_90a", "sm_80" };
    static const struct {
        const char *ask, *gives; /* NULL: refused */
    } rows[] = {
        { "host", "host (" }, { "sim", "sim:sm_80 (" }, { "sm_90a", "sm_90a" }, { "sm_80", "sm_80" },
        { "sm_86", "sm_80" }, { "sim:sm_90a", NULL },
        { "sm_90", NULL }, /* the last: see below */
    };
    jitc_context *ctx = context("host", 1);
    jitc_model *models[4], *m;
    jc_artifact plain;
    char text[64];
    for (int i = 0; i < 4; i++)
        models[i] = build(ctx, "small.py", small_text, archs[i], false);
    ck_assert_msg(jitc_bundle_write(ctx, models, 4, file) == JITC_OK, "%s", jitc_context_error(ctx));
    /* What goes to a GPU of the next major number is PTX, or else what its own architecture has: machine code for sm_80 is not. */
    const jc_request *r = &models[3]->classes[0].variants[0].request;
    ck_assert_int_eq(jc_artifact_decode(r->artifact, r->nartifact, ctx->arena, &plain, NULL), JITC_OK);
    const char *last = jc_artifact_is_ptx(&plain) ? "sm_80" : "sm_90a";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *gives = i + 1 == sizeof rows / sizeof *rows ? last : rows[i].gives;
        jitc_status status = jitc_bundle_load(ctx, file, rows[i].ask, &m);
        ck_assert_msg(status == (gives ? JITC_OK : JITC_E_UNSUPPORTED), "%s: %s", rows[i].ask,
                      jitc_context_error(ctx));
        if (!gives) {
            ck_assert(strstr(jitc_context_error(ctx), "sm_90a") && strstr(jitc_context_error(ctx), "host ("));
            continue;
        }
        jc_target_text(&m->target, text);
        ck_assert_msg(strncmp(text, gives, strlen(gives)) == 0, "%s gives %s", rows[i].ask, text);
    }
    check_small(load(ctx, file, NULL)); /* the context's device is the host */
    check_small(load(ctx, file, "host"));
    ck_assert_int_eq(jitc_bundle_load(ctx, file, "sm_1", &m), JITC_E_USAGE);
    jitc_context_free(ctx);
    ctx = context("sim", 1);
    check_small(load(ctx, file, NULL));
    jitc_context_free(ctx);
}
END_TEST

START_TEST(refuses_to_write) {
    jitc_context *ctx = context("host", 1);
    jitc_model *m = small(ctx);
    static const char other[] = "class G(torch.nn.Module):\n    def forward(self, x: \"f32[4]\"):\n"
                                "        y: \"f32[4]\" = torch.ops.test.cut(x, 'layers.1')\n        return (y,)\n";
    jitc_model *twice[] = { m, small(ctx) }, *mixed[] = { m, build(ctx, "o", other, "sim", false) };
    jitc_model *only = build(ctx, "s", small_text, "host", true);
    save(m, file);
    size_t n, now;
    uint8_t *before = slurp(file, &n);
    ck_assert_int_eq(jitc_bundle_write(ctx, twice, 2, file), JITC_E_USAGE);
    ck_assert(strstr(jitc_context_error(ctx), "host (") != NULL);
    ck_assert_int_eq(jitc_bundle_write(ctx, mixed, 2, file), JITC_E_USAGE);
    ck_assert_int_eq(jitc_bundle_write(ctx, NULL, 0, file), JITC_E_USAGE);
    ck_assert_int_eq(jitc_model_save(only, file), JITC_E_USAGE);
    ck_assert(strstr(jitc_context_error(ctx), "split_only") != NULL);
    ck_assert_int_eq(jitc_model_save(m, path_of("no/such/folder")), JITC_E_IO);
    ck_assert_int_eq(jitc_model_save(m, folder), JITC_E_IO);
    ck_assert_int_eq(jitc_model_save(m, "/dev/null"), JITC_E_IO);
    uint8_t *after = slurp(file, &now);
    ck_assert(n == now && memcmp(before, after, n) == 0);
    ck_assert_uint_eq(entries(), 1); /* nothing is left behind */
    free(before);
    free(after);
    jitc_context_free(ctx);
}
END_TEST

/* --- damage --- */

static uint8_t *small_bytes(jitc_context *ctx, size_t *n) {
    save(small(ctx), file);
    return slurp(file, n);
}

static void refused(jitc_context *ctx, const uint8_t *at, size_t n, const char *what, size_t where) {
    jitc_model *m;
    spill(file, at, n);
    jitc_status status = jitc_bundle_load(ctx, file, "host", &m);
    ck_assert_msg(status == JITC_E_INPUT, "%s at %zu gives %d", what, where, status);
    ck_assert_msg(strstr(jitc_context_error(ctx), file) != NULL, "%s", jitc_context_error(ctx));
    ck_assert(m == NULL);
}

START_TEST(every_truncation) {
    jitc_context *ctx = context("host", 1);
    size_t n;
    uint8_t *at = small_bytes(ctx, &n);
    for (size_t i = 0; i < n; i++)
        refused(ctx, at, i, "a cut", i);
    at[n] = 0;
    refused(ctx, at, n + 1, "a byte more", n);
    free(at);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(every_flipped_byte) {
    jitc_context *ctx = context("host", 1);
    size_t n;
    uint8_t *at = small_bytes(ctx, &n);
    for (size_t i = 0; i < n; i++) {
        at[i] ^= (uint8_t)(1u << i % 8);
        refused(ctx, at, n, "a flip", i);
        at[i] ^= (uint8_t)(1u << i % 8);
    }
    free(at);
    jitc_context_free(ctx);
}
END_TEST

static void repair(uint8_t *at, size_t n) {
    jc_hash hash = jc_hash_of(at, n - JC_HASH_SIZE);
    memcpy(at + n - JC_HASH_SIZE, hash.b, JC_HASH_SIZE);
}

/* Loads from memory and asks everything; runs where the parameters are still those of the small model. */
static bool survives(jitc_context *ctx, const uint8_t *at, size_t n) {
    jitc_model *m = jc_model_new(ctx);
    jc_bundle_file b;
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    input in;
    jitc_value out[3];
    uint8_t *own = malloc(n); /* so that reading beyond is seen */
    memcpy(own, at, n);
    jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(m->arena, &guard) == 0) {
        status = jc_bundle_open(own, n, m->arena, &b, &err);
        if (status == JITC_OK)
            status = jc_bundle_decode(&b, 0, "hostile.jitc", m, &err);
    }
    jc_guard_end(m->arena, &guard);
    ck_assert(status == JITC_OK || status == JITC_E_INPUT || status == JITC_E_NOMEM);
    for (uint32_t i = 0; status == JITC_OK && i < m->npieces; i++) {
        jitc_piece_info info = { .struct_size = sizeof info };
        ck_assert_int_eq(jitc_model_piece_info(m, i, &info), JITC_OK);
    }
    for (uint32_t g = 0; status == JITC_OK && g < m->ngraphs; g++)
        for (uint32_t i = 0; i < jitc_model_params(m, g); i++) {
            jitc_param_info info = { .struct_size = sizeof info };
            ck_assert_int_eq(jitc_model_param_info(m, g, i, &info), JITC_OK);
        }
    bool ran = false;
    make_input(&in);
    if (status == JITC_OK && jitc_model_params(m, 0) == 3 && jitc_model_outputs(m, 0) == 3)
        ran = run_small(m, &in, out) == JITC_OK;
    jitc_model_free(m);
    free(own);
    return ran;
}

/* Bytes of which every one is changed in turn, and the hash made right again: what the loader lets through must be
   safe to run (there is no machine code in the small model). */
START_TEST(hostile) {
    static const uint8_t masks[] = { 0x01, 0x02, 0x80, 0xff };
    jitc_context *ctx = context("host", 1);
    size_t n, ran = 0;
    uint8_t *at = small_bytes(ctx, &n);
    ck_assert(survives(ctx, at, n));
    for (size_t i = (size_t)_i; i < n - JC_HASH_SIZE; i += 4)
        for (size_t k = 0; k < sizeof masks; k++) {
            at[i] ^= masks[k];
            repair(at, n);
            ran += survives(ctx, at, n);
            at[i] ^= masks[k];
        }
    ck_assert_uint_gt(ran, 0); /* names, lines and literals may be anything */
    free(at);
    jitc_context_free(ctx);
}
END_TEST

/* Cuts with a right length and hash. */
START_TEST(hostile_cuts) {
    jitc_context *ctx = context("host", 1);
    size_t n;
    uint8_t *at = small_bytes(ctx, &n), *cut_short = malloc(n);
    for (size_t size = JC_BUNDLE_HEADER + JC_HASH_SIZE; size < n; size++) {
        memcpy(cut_short, at, size);
        for (int i = 0; i < 8; i++)
            cut_short[16 + i] = (uint8_t)((uint64_t)size >> 8 * i);
        repair(cut_short, size);
        ck_assert(!survives(ctx, cut_short, size));
    }
    free(at);
    free(cut_short);
    jitc_context_free(ctx);
}
END_TEST

static const struct {
    size_t at;
    uint8_t value;
    const char *says;
} headers[] = {
    { 0, 'K', "not a bundle" }, { 8, 99, "format 99" }, { 12, 1, "flags 0x1" }, { 15, 0x80, "flags 0x80000000" },
    { 24, 200, "table of sections" }, { 24, 6, "has no artifacts" },
};

START_TEST(header) {
    jitc_context *ctx = context("host", 1);
    size_t n;
    uint8_t *at = small_bytes(ctx, &n);
    at[headers[_i].at] = headers[_i].value;
    repair(at, n);
    refused(ctx, at, n, headers[_i].says, headers[_i].at);
    ck_assert_msg(strstr(jitc_context_error(ctx), headers[_i].says) != NULL, "%s", jitc_context_error(ctx));
    free(at);
    jitc_context_free(ctx);
}
END_TEST

/* A later version may add sections: they are skipped. */
START_TEST(unknown_section) {
    jitc_context *ctx = context("host", 1);
    size_t n;
    uint8_t *at = small_bytes(ctx, &n), *more = calloc(1, n + 16);
    memcpy(more, at, 32 + 7 * 24); /* header, table of seven */
    memcpy(more + 224, at + 208, n - 208); /* the sections start 16 later */
    for (int i = 0; i < 7; i++) {
        uint64_t offset;
        memcpy(&offset, at + 32 + 24 * i + 8, 8);
        offset += 16;
        memcpy(more + 32 + 24 * i + 8, &offset, 8);
    }
    uint64_t length = n + 16, eight = 8, entry[3] = { 99, 224, 16 };
    memcpy(more + 16, &length, 8);
    memcpy(more + 24, &eight, 8);
    memcpy(more + 32 + 7 * 24, entry, sizeof entry);
    repair(more, n + 16);
    spill(file, more, n + 16);
    check_small(load(ctx, file, "host"));
    free(at);
    free(more);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(probe) {
    jitc_context *ctx = context("host", 1);
    save(small(ctx), file);
    ck_assert_int_eq(jitc_bundle_probe(file), 1);
    spill(path_of("text.py"), small_text, strlen(small_text));
    ck_assert_int_eq(jitc_bundle_probe(path_of("text.py")), 0);
    spill(path_of("empty"), "", 0);
    ck_assert_int_eq(jitc_bundle_probe(path_of("empty")), 0);
    ck_assert_int_eq(jitc_bundle_probe(path_of("absent")), 0);
    ck_assert_int_eq(jitc_bundle_probe(folder), 0);
    jitc_model *m;
    ck_assert_int_eq(jitc_bundle_load(ctx, path_of("absent"), NULL, &m), JITC_E_IO);
    ck_assert_int_eq(jitc_bundle_load(ctx, folder, NULL, &m), JITC_E_IO);
    ck_assert_int_eq(jitc_bundle_load(ctx, path_of("text.py"), NULL, &m), JITC_E_INPUT);
    jitc_context_free(ctx);
}
END_TEST

/* --- memory that runs out --- */

START_TEST(out_of_memory) {
    jitc_context *ctx = context("host", 1);
    faults f = { .left = -1 };
    jitc_context_options o = { .struct_size = sizeof o, .alloc = faulty_alloc, .free = faulty_free, .alloc_user = &f,
                               .cache_dir = "", .device = "host", .threads = 1 };
    save(small(ctx), file);
    jitc_context_free(ctx);
    for (long k = 0;; k++) {
        jitc_model *m;
        ck_assert_int_lt(k, 1000);
        f.left = -1;
        ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
        f.left = k;
        jitc_status status = jitc_bundle_load(ctx, file, "host", &m);
        f.left = -1;
        jitc_context_free(ctx);
        ck_assert_int_eq(f.alive, 0);
        if (status == JITC_OK)
            break;
        ck_assert_int_eq(status, JITC_E_NOMEM);
    }
}
END_TEST

/* --- with compiled kernels --- */

static const char *const kernel_text =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[s0, 8]\", w: \"f32[8]\"):\n"
    "        n: \"f32[s0, 8]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06)\n"
    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(n, 'layers.1')\n"
    "        y: \"f32[s0, 8]\" = b * 2.0\n"
    "        return (y,)\n";

static bool mapped(const char *what) {
    char line[512];
    bool found = false;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f))
        found |= strstr(line, what) != NULL;
    fclose(f);
    return found;
}

/* x is 1 everywhere, so its norm is w: y = 2 (w + 100), but for the epsilon. */
static void run_kernels(jitc_model *m) {
    input in, w;
    jitc_value out[1];
    make_input(&in);
    make_input(&w);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        in.at[i] = 1;
    w.tensor.ndim = 1;
    w.shape[0] = COLUMNS;
    w.strides[0] = 1;
    jitc_value values[] = { { .tag = JITC_TENSOR, .tensor = &in.tensor }, { .tag = JITC_TENSOR, .tensor = &w.tensor } };
    ck_assert_msg(jitc_model_run(m, 0, NULL, values, 2, out, 1) == JITC_OK, "%s", jitc_context_error(m->ctx));
    for (int i = 0; i < ROWS * COLUMNS; i++)
        ck_assert_float_eq_tol(data(out[0].tensor)[i], 2 * ((float)(i % COLUMNS - 7) + 100), 1e-3f);
}

/* Compiled in a process of its own, so that this one has no reason to open the code generator. */
START_TEST(no_llvm) {
    pid_t child = fork();
    if (child == 0) {
        jitc_context *ctx = context("host", 1);
        save(build(ctx, "k.py", kernel_text, "host", false), file);
        _exit(mapped("libjitc-llvm") ? 0 : 9);
    }
    int status;
    ck_assert(waitpid(child, &status, 0) == child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "compiling: status %x", (unsigned)status);
    jitc_context *ctx = context("host", 1);
    run_kernels(load(ctx, file, NULL));
    ck_assert(!mapped("libjitc-llvm") && !mapped("libLLVM"));
    jitc_context_free(ctx);
}
END_TEST

START_TEST(kernels_for_two) {
    jitc_context *ctx = context("host", 2);
    jitc_model *models[] = { build(ctx, "k.py", kernel_text, "host", false), build(ctx, "k.py", kernel_text, "sim", false) };
    ck_assert_msg(jitc_bundle_write(ctx, models, 2, file) == JITC_OK, "%s", jitc_context_error(ctx));
    jitc_context_free(ctx);
    static const char *const devices[] = { "host", "sim" };
    for (int i = 0; i < 2; i++) {
        ctx = context(devices[i], 1);
        run_kernels(load(ctx, file, NULL));
        jitc_context_free(ctx);
    }
}
END_TEST

static void load_code(jitc_model *m, uint32_t cls) {
    jc_exec *exec;
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    if (JC_GUARD(m->arena, &guard) == 0)
        (void)jc_model_exec(m, cls, 0, &exec, &err);
    jc_guard_end(m->arena, &guard);
}

/* Damaged in its kernels' code or plans: never more than an error before anything runs. */
START_TEST(hostile_kernels) {
    jitc_context *ctx = context("host", 1);
    jc_device *device;
    jc_error err = JC_ERROR_INIT;
    size_t n;
    save(build(ctx, "k.py", kernel_text, "host", false), file);
    uint8_t *at = slurp(file, &n);
    ck_assert_int_eq(jc_context_device(ctx, &device, &err), JITC_OK);
    for (size_t i = JC_BUNDLE_HEADER; i < n - JC_HASH_SIZE; i += 5) {
        jitc_model *m;
        at[i] ^= 0x11;
        repair(at, n);
        spill(file, at, n);
        if (jitc_bundle_load(ctx, file, "host", &m) == JITC_OK) {
            for (uint32_t c = 0; c < m->nclasses; c++)
                load_code(m, c);
            jitc_model_free(m);
        }
        at[i] ^= 0x11;
    }
    free(at);
    jitc_context_free(ctx);
}
END_TEST

/* --- a whole model, both as it was captured and cut --- */

static jc_arena *arena;

static char *graphs_path(const char *name) {
    const char *root = getenv("JITC_GRAPHS");
    return jc_arena_printf(arena, "%s/tiny/llama/%s", root ? root : TEST_SRCDIR "/../shared/graphs", name);
}

static const jitc_value *llama_inputs(jitc_context *ctx, jitc_model *m, uint32_t graph, const jc_st_file *inputs,
                                      const json_t *names) {
    uint32_t n = jitc_model_params(m, graph);
    jitc_value *values = JC_NEWN(arena, jitc_value, n);
    for (uint32_t i = 0; i < n; i++) {
        jitc_param_info info = { .struct_size = sizeof info };
        ck_assert_int_eq(jitc_model_param_info(m, graph, i, &info), JITC_OK);
        if (info.tag == JITC_TENSOR) {
            const jc_st_tensor *t = jc_st_find(inputs, info.name);
            ck_assert_msg(t != NULL, "no input for %s", info.name);
            DLTensor *dl = JC_NEW(arena, DLTensor);
            *dl = (DLTensor){ .data = jc_arena_memdup(arena, t->data, t->nbytes), .ndim = t->rank, .device = { kDLCPU, 0 },
                              .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
            dl->shape = jc_arena_memdup(arena, t->dims, sizeof t->dims);
            values[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = dl };
        } else if (info.tag == JITC_NAME) {
            const char *text = json_string_value(json_object_get(names, info.name));
            ck_assert_msg(text != NULL, "no name for %s", info.name);
            values[i] = (jitc_value){ .tag = JITC_NAME, .name = jitc_layer_name_intern(ctx, text, NULL) };
        } else {
            values[i] = (jitc_value){ .tag = JITC_INT, .i = 5 };
        }
    }
    return values;
}

/* Results' bytes, row-major. */
static jc_bytes llama_run(jitc_context *ctx, jitc_model *m, uint32_t graph, const jc_st_file *inputs, const json_t *names) {
    uint32_t n = jitc_model_outputs(m, graph);
    jc_bytes out = JC_BYTES(arena);
    jitc_value *results = JC_NEWN(arena, jitc_value, n);
    const jitc_value *values = llama_inputs(ctx, m, graph, inputs, names);
    ck_assert_msg(jitc_model_run(m, graph, NULL, values, jitc_model_params(m, graph), results, n) == JITC_OK, "%s",
                  jitc_context_error(ctx));
    for (uint32_t i = 0; i < n; i++) {
        const DLTensor *t = results[i].tensor;
        ck_assert_uint_eq(results[i].tag, JITC_TENSOR);
        jc_put(&out, (const char *)t->data + t->byte_offset, (size_t)count(t) * t->dtype.bits / 8);
    }
    ck_assert_uint_gt(out.n, 0);
    return out;
}

START_TEST(tiny_llama) {
    arena = jc_arena_new(NULL);
    if (access(graphs_path("full.py"), R_OK) != 0) {
        fprintf(stderr, "SKIP: %s is not there; set JITC_GRAPHS\n", graphs_path("full.py"));
        jc_arena_free(arena);
        return;
    }
    json_error_t why;
    json_t *names = json_load_file(graphs_path("names.json"), 0, &why);
    ck_assert_msg(names != NULL, "%s", why.text);
    jc_st_file inputs;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_st_read(arena, graphs_path("inputs-T5.safetensors"), &inputs, &err) == JITC_OK, "%s", err.message);
    jitc_context *ctx = context("host", 1), *other = context("host", 1);
    ck_assert_msg(jitc_plugin_load(ctx, TEST_BUILDDIR "/examples/jitc_tiny_ops.so") == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(jitc_plugin_load(other, TEST_BUILDDIR "/examples/jitc_tiny_ops.so"), JITC_OK);
    jitc_graph *graphs[2];
    jitc_model *m;
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host" };
    ck_assert_msg(jitc_graph_read_file(ctx, graphs_path("full.py"), &graphs[0]) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_graph_read_file(ctx, graphs_path("split.py"), &graphs[1]) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, graphs, 2, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    save(m, file);
    jitc_model *loaded = load(other, file, NULL);
    for (uint32_t g = 0; g < 2; g++) {
        jc_bytes a = llama_run(ctx, m, g, &inputs, names), b = llama_run(other, loaded, g, &inputs, names);
        ck_assert_uint_eq(a.n, b.n);
        ck_assert_msg(memcmp(a.at, b.at, a.n) == 0, "graph %u gives other numbers after loading", g);
    }
    json_decref(names);
    jitc_context_free(ctx);
    jitc_context_free(other);
    jc_arena_free(arena);
}
END_TEST

int main(void) {
    Suite *s = suite_create("bundle");
    TCase *t = tcase_create("small"), *bad = tcase_create("damage"), *k = tcase_create("kernels");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_checked_fixture(bad, set_up, tear_down);
    tcase_add_checked_fixture(k, set_up, tear_down);
    tcase_add_test(t, save_load_run);
    tcase_add_test(t, tells_the_same);
    tcase_add_test(t, piece_alone);
    tcase_add_test(t, error_lines);
    tcase_add_test(t, saved_again);
    tcase_add_test(t, same_bytes);
    tcase_add_test(t, several_targets);
    tcase_add_test(t, refuses_to_write);
    tcase_add_test(t, probe);
    tcase_add_test(t, out_of_memory);
    tcase_add_test(bad, every_truncation);
    tcase_add_test(bad, every_flipped_byte);
    tcase_add_loop_test(bad, hostile, 0, 4);
    tcase_add_test(bad, hostile_cuts);
    tcase_add_loop_test(bad, header, 0, (int)(sizeof headers / sizeof *headers));
    tcase_add_test(bad, unknown_section);
    tcase_add_test(k, no_llvm);
    tcase_add_test(k, kernels_for_two);
    tcase_add_test(k, hostile_kernels);
    tcase_add_test(k, tiny_llama);
    tcase_set_timeout(bad, 60);
    tcase_set_timeout(k, 60);
    suite_add_tcase(s, t);
    suite_add_tcase(s, bad);
    suite_add_tcase(s, k);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
