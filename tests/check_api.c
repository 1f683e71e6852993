/*
 * tests/check_api.c - the interface as a whole: what is exported, what the headers are to C++, and threads on one context.
 */
#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jitc/jitc.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define THREADS 4

/* ---- what is exported ------------------------------------------------------------------------------------------- */

#define MAX_NAMES 256
typedef struct names {
    char at[MAX_NAMES][64];
    int n;
} names;

static void add(names *to, const char *text, size_t length) {
    ck_assert_int_lt(to->n, MAX_NAMES);
    ck_assert_uint_lt(length, sizeof to->at[0]);
    memcpy(to->at[to->n], text, length);
    to->at[to->n++][length] = 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

static void same_names(names *a, names *b, const char *what) {
    qsort(a->at, (size_t)a->n, sizeof a->at[0], by_text);
    qsort(b->at, (size_t)b->n, sizeof b->at[0], by_text);
    for (int i = 0, k = 0; i < a->n || k < b->n; i++, k++) {
        int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->at[i], b->at[k]);
        ck_assert_msg(order == 0, "%s: only %s has %s", what, order < 0 ? "the first" : "the second",
                      order < 0 ? a->at[i] : b->at[k]);
    }
}

static char *read_whole(const char *path) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be read", path);
    char *text = calloc(1, 1 << 20);
    ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, f), (1 << 20) - 1);
    fclose(f);
    return text;
}

/* Comments become blanks. */
static void strip(char *text) {
    for (char *p = text; (p = strstr(p, "/*"));) {
        char *end = strstr(p, "*/");
        ck_assert_ptr_nonnull(end);
        memset(p, ' ', (size_t)(end + 2 - p));
    }
}

/* The function of each declaration that starts with JITC_API: the word before its first parenthesis. */
static void declared_in(const char *path, names *out) {
    char *text = read_whole(path);
    strip(text);
    for (char *p = text; (p = strstr(p, "JITC_API ")); p++) {
        const char *line = p;
        while (line > text && line[-1] != '\n')
            line--;
        if (*line == '#') /* the macro's definition */
            continue;
        char *open = strchr(p, '('), *start;
        ck_assert_ptr_nonnull(open);
        for (start = open; isalnum((unsigned char)start[-1]) || start[-1] == '_'; start--)
            ;
        add(out, start, (size_t)(open - start));
    }
    free(text);
}

static void declared(names *out) {
    static const char folder[] = TEST_SRCDIR "/include/jitc";
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d));) {
        char path[1024];
        size_t n = strlen(e->d_name);
        if (n < 3 || strcmp(e->d_name + n - 2, ".h") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        declared_in(path, out);
    }
    closedir(d);
    ck_assert_int_gt(out->n, 20);
}

/* The names of the version script, which have to be in order within their stanza. */
static void in_map(names *out) {
    char *text = read_whole(TEST_SRCDIR "/libjitc.map");
    ck_assert_msg(strstr(text, "\nJITC_0.1 {\n  global:\n") != NULL, "no stanza of release 0.1");
    ck_assert_msg(strstr(text, "  local:\n    *;\n};") != NULL, "not everything else is hidden");
    for (char *p = text; (p = strstr(p, "\n    jitc_")); p++) {
        char *end = strchr(p, ';');
        ck_assert_ptr_nonnull(end);
        add(out, p + 5, (size_t)(end - p - 5));
        const char *last = out->n > 1 ? out->at[out->n - 2] : "";
        ck_assert_msg(strcmp(last, out->at[out->n - 1]) < 0, "%s stands before %s", last, out->at[out->n - 1]);
    }
    free(text);
}

START_TEST(map_and_headers) {
    static names map, headers;
    if (access(TEST_SRCDIR "/libjitc.map", R_OK) != 0) {
        printf("SKIP: the version script is not here, so it was not compared with the headers\n");
        return;
    }
    in_map(&map);
    declared(&headers);
    same_names(&map, &headers, "libjitc.map (first) and include/jitc (second)");
}
END_TEST

static const char *library(void) {
    static const char *const places[] = { TEST_BUILDDIR "/.libs/libjitc.so", TEST_BUILDDIR "/lib/libjitc.so" };
    for (size_t i = 0; i < COUNT(places); i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

START_TEST(symbols) {
    static names exported, headers;
    char command[1024], line[512];
    if (system("nm --version > /dev/null 2>&1") != 0 || !library()) {
        printf("SKIP: there is no %s here, so the library's symbols were not compared with the headers\n",
               library() ? "nm" : "libjitc.so");
        return;
    }
    snprintf(command, sizeof command, "nm -D --defined-only '%s'", library());
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        char kind, name[256];
        if (sscanf(line, "%*s %c %255s", &kind, name) != 2 || kind == 'A') /* the version itself */
            continue;
        ck_assert_msg(kind == 'T', "%s is no function: %c", name, kind);
        ck_assert_msg(strstr(name, "@@JITC_0.1") != NULL || !strchr(name, '@'), "%s has another version", name);
        add(&exported, name, strcspn(name, "@"));
    }
    ck_assert_int_eq(pclose(f), 0);
    declared(&headers);
    same_names(&exported, &headers, "libjitc.so (first) and include/jitc (second)");
}
END_TEST

/* ---- the headers ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *compiler, *language, *source;
} languages[] = {
    { "g++", "-x c++ -std=c++11", "" },
    { "g++", "-x c++ -std=c++20", "" },
    { "clang++", "-x c++ -std=c++17", "" },
    { "cc", "-x c -std=c11", "" },
    { "cc", "-x c -std=c17", "" },
    /* Another DLPack header, included first, is left alone. */
    { "cc", "-x c -std=c11", "#include <stdint.h>\\n#define DLPACK_DLPACK_H_\\n"
      "typedef struct { int32_t device_type, device_id; } DLDevice; typedef struct { uint8_t code, bits; uint16_t lanes; } DLDataType;\\n"
      "typedef struct { void *data; DLDevice device; int32_t ndim; DLDataType dtype; int64_t *shape, *strides; uint64_t byte_offset; } "
      "DLTensor; enum { kDLCPU = 1, kDLCUDA = 2 };\\n" },
};

/* Each header alone, as strictly as the compiler can. */
START_TEST(headers_compile) {
    static const char *const headers[] = { "bundle", "context", "dlpack", "executable", "explain", "frame", "jitc", "model", "op", "status", "value" };
    char command[2048];
    snprintf(command, sizeof command, "%s --version > /dev/null 2>&1", languages[_i].compiler);
    if (system(command) != 0) {
        printf("SKIP: there is no %s, so the headers were not tried with %s\n", languages[_i].compiler, languages[_i].language);
        return;
    }
    for (size_t i = 0; i < COUNT(headers); i++) {
        snprintf(command, sizeof command,
                 "printf '%s#include \"jitc/%s.h\"\\n#include \"jitc/%s.h\"\\nint main(void) { return JITC_OK; }\\n' | "
                 "%s %s -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I'" TEST_SRCDIR "/include' -",
                 languages[_i].source, headers[i], strcmp(headers[i], "dlpack") ? headers[i] : "status", languages[_i].compiler,
                 languages[_i].language);
        ck_assert_msg(system(command) == 0, "jitc/%s.h does not compile with %s %s", headers[i], languages[_i].compiler,
                      languages[_i].language);
    }
}
END_TEST

START_TEST(versions) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", JITC_VERSION_MAJOR, JITC_VERSION_MINOR, JITC_VERSION_PATCH);
    ck_assert_str_eq(JITC_VERSION, text);
    ck_assert_str_eq(jitc_version(), text);
    ck_assert_int_eq(strncmp(jitc_build_id(), JITC_VERSION " ", sizeof JITC_VERSION), 0);
    ck_assert_ptr_nonnull(strstr(jitc_build_id(), " LLVM "));
    ck_assert_uint_eq(sizeof(jitc_value), 16);
    ck_assert_str_eq(jitc_status_text(JITC_OK), "ok");
    ck_assert_str_eq(jitc_status_text(JITC_E_NOMEM), "out of memory");
    ck_assert_str_eq(jitc_status_text((jitc_status)9999), "unknown status");
}
END_TEST

/* ---- threads ---------------------------------------------------------------------------------------------------- */

/* Two classes: three pieces that differ in names and widths of what is added. */
static const char text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\", w: \"f32[s0, 4]\"):\n"
    "        submod_0 = self.submod_0(x, s0, w)\n"
    "        a: \"f32[s0, 4]\" = submod_0[0];  submod_0 = None\n"
    "        submod_1 = self.submod_1(a, s0)\n"
    "        b: \"f32[s0, 1]\" = submod_1[0];  submod_1 = None\n"
    "        submod_2 = self.submod_2(a, s0, w)\n"
    "        y: \"f32[s0, 4]\" = submod_2[0];  submod_2 = None\n"
    "        return (y, b)\n"
    "\n"
    "    class submod_0(torch.nn.Module):\n"
    "        def forward(self, x: \"f32[s0, 4]\", s0: \"Sym(s0)\", w: \"f32[s0, 4]\"):\n"
    "            m: \"f32[s0, 4]\" = x * 2.0\n"
    "            n: \"f32[s0, 4]\" = m + w\n"
    "            return (n,)\n"
    "\n"
    "    class submod_1(torch.nn.Module):\n"
    "        def forward(self, a: \"f32[s0, 4]\", s0: \"Sym(s0)\"):\n"
    "            r: \"f32[s0, 1]\" = a.sum(dim = -1, keepdim = True)\n"
    "            return (r,)\n"
    "\n"
    "    class submod_2(torch.nn.Module):\n"
    "        def forward(self, p: \"f32[s0, 4]\", s0: \"Sym(s0)\", q: \"f32[s0, 4]\"):\n"
    "            u: \"f32[s0, 4]\" = p * 2.0\n"
    "            v: \"f32[s0, 4]\" = u + q\n"
    "            return (v,)\n";

typedef struct worker {
    jitc_context *ctx;
    pthread_barrier_t *start;
    int index;
    jitc_status status;
    char message[512];
    jitc_model_stats stats;
    char keys[3][65];
    float y, b;
    const jitc_layer_name *same, *own;
    const char *bad; /* bytes of the numbers are wrong, ... */
} worker;

static jitc_context *open_context(const char *cache_dir, unsigned threads) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = cache_dir, .device = "host", .threads = threads };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    return ctx;
}

static jitc_status build_and_run(worker *w) {
    float x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, wt[8] = { 10, 10, 10, 10, 10, 10, 10, 10 };
    int64_t shape[2] = { 2, 4 };
    DLTensor xt = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape }, wtt = xt;
    wtt.data = wt;
    jitc_value in[3] = { { .tag = JITC_INT, .i = 2 }, { .tag = JITC_TENSOR, .tensor = &xt }, { .tag = JITC_TENSOR, .tensor = &wtt } }, out[2];
    jitc_graph *graph;
    jitc_model *model;
    jitc_status status = jitc_graph_read(w->ctx, "threads.py", text, sizeof text - 1, &graph);
    if (status == JITC_OK)
        status = jitc_model_build(w->ctx, &graph, 1, NULL, &model);
    if (status == JITC_OK)
        status = jitc_model_run(model, 0, NULL, in, 3, out, 2);
    if (status != JITC_OK)
        return status;
    w->stats.struct_size = sizeof w->stats;
    jitc_model_get_stats(model, &w->stats);
    for (uint32_t i = 0; i < 3; i++) {
        jitc_piece_info info = { .struct_size = sizeof info };
        status = jitc_model_piece_info(model, i, &info);
        memcpy(w->keys[i], info.key, sizeof info.key);
    }
    w->y = ((float *)out[0].tensor->data)[7];
    w->b = ((float *)out[1].tensor->data)[1];
    jitc_model_free(model);
    jitc_graph_free(graph);
    return status;
}

static void *build_thread(void *arg) {
    worker *w = arg;
    pthread_barrier_wait(w->start);
    w->status = build_and_run(w);
    snprintf(w->message, sizeof w->message, "%s", jitc_context_error(w->ctx));
    return NULL;
}

static void run_threads(worker *w, jitc_context *ctx, void *(*work)(void *arg)) {
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){ .ctx = ctx, .start = &start, .index = i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

/* However many threads ask, each class and each kernel is compiled once, and all get the same. */
START_TEST(one_compile) {
    worker w[THREADS];
    char dir[] = "/tmp/jitc-api-XXXXXX", command[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int disk = 0; disk < 2; disk++) {
        jitc_context *ctx = open_context(disk ? dir : "", 1 + (unsigned)disk);
        uint64_t compiled = 0, hits = 0, kernels = 0;
        run_threads(w, ctx, build_thread);
        for (int i = 0; i < THREADS; i++) {
            ck_assert_msg(w[i].status == JITC_OK, "thread %d: %s", i, w[i].message);
            ck_assert_uint_eq(w[i].stats.pieces, 3);
            ck_assert_uint_eq(w[i].stats.classes, 2);
            ck_assert_uint_eq(w[i].stats.compiled + w[i].stats.hits, 2);
            compiled += w[i].stats.compiled;
            hits += w[i].stats.hits;
            kernels += w[i].stats.kernels_compiled;
            for (int k = 0; k < 3; k++)
                ck_assert_str_eq(w[i].keys[k], w[0].keys[k]);
            ck_assert_str_eq(w[i].keys[0], w[i].keys[2]);
            ck_assert_str_ne(w[i].keys[0], w[i].keys[1]);
            /* a = 2 x + 10; y = 2 a + 10; b = the row's sum of a */
            ck_assert(w[i].y == 2 * (2 * 8 + 10) + 10);
            ck_assert(w[i].b == 2 * (5 + 6 + 7 + 8) + 40);
        }
        ck_assert_uint_eq(compiled, 2);
        ck_assert_uint_eq(hits, 2 * THREADS - 2);
        ck_assert_uint_eq(kernels, 2);
        jitc_context_free(ctx);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static void *fail_thread(void *arg) {
    worker *w = arg;
    char bad[128];
    jitc_graph *graph;
    w->bad = jitc_context_error(w->ctx)[0] ? "a new thread has an error" : NULL;
    for (int i = 0; i < 200 && !w->bad; i++) {
        jitc_error_info info = { .struct_size = sizeof info };
        char want[32];
        int n = snprintf(bad, sizeof bad, "class M(torch.nn.Module):\n    def forward(self, x%d):\n        return (y%d,)\n", w->index, w->index);
        pthread_barrier_wait(w->start);
        w->status = jitc_graph_read(w->ctx, "bad.py", bad, (size_t)n, &graph);
        pthread_barrier_wait(w->start); /* all have failed by now */
        jitc_context_error_info(w->ctx, &info);
        snprintf(want, sizeof want, "'y%d'", w->index);
        if (w->status != JITC_E_INPUT || info.line != 3 || !strstr(info.message, want) || !strstr(jitc_context_error(w->ctx), want))
            w->bad = "another thread's error";
    }
    return NULL;
}

START_TEST(errors_per_thread) {
    worker w[THREADS];
    jitc_context *ctx = open_context("", 1), *other = open_context("", 1);
    run_threads(w, ctx, fail_thread);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(!w[i].bad, "thread %d: %s", i, w[i].bad);
    ck_assert_str_eq(jitc_context_error(ctx), ""); /* this thread had none */
    ck_assert_str_eq(jitc_context_error(other), "");
    jitc_context_free(other);
    jitc_context_free(ctx);
}
END_TEST

static void *name_thread(void *arg) {
    worker *w = arg;
    char own[32];
    snprintf(own, sizeof own, "layers.%d", w->index);
    pthread_barrier_wait(w->start);
    for (int i = 0; i < 500 && !w->bad; i++) {
        char shared[32];
        snprintf(shared, sizeof shared, "shared.%d", i % 50);
        const jitc_layer_name *name = jitc_layer_name_intern(w->ctx, shared, NULL);
        if (!name || strcmp(jitc_layer_name_text(name), shared) != 0)
            w->bad = "another text";
        if (i % 50 == 7)
            w->same = name;
        name = jitc_layer_name_intern(w->ctx, own, i == 0 ? w : NULL);
        if (w->own && name != w->own)
            w->bad = "another handle";
        w->own = name;
        if (jitc_layer_name_user(name) != w)
            w->bad = "another user pointer";
    }
    return NULL;
}

START_TEST(names_from_threads) {
    worker w[THREADS];
    jitc_context *ctx = open_context("", 1);
    run_threads(w, ctx, name_thread);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_msg(!w[i].bad, "thread %d: %s", i, w[i].bad);
        ck_assert_ptr_eq(w[i].same, w[0].same);
        for (int k = 0; k < i; k++)
            ck_assert_ptr_ne(w[i].own, w[k].own);
    }
    ck_assert_str_eq(jitc_layer_name_text(w[0].same), "shared.7");
    jitc_context_free(ctx);
}
END_TEST

/* Contexts know nothing of each other. */
START_TEST(two_contexts) {
    jitc_context *a = open_context("", 1), *b = open_context("", 1);
    worker w = { .ctx = a }, v = { .ctx = b };
    ck_assert_ptr_ne(jitc_layer_name_intern(a, "x", &w), jitc_layer_name_intern(b, "x", &v));
    ck_assert_ptr_eq(jitc_layer_name_user(jitc_layer_name_intern(a, "x", NULL)), &w);
    ck_assert_int_eq(build_and_run(&w), JITC_OK);
    ck_assert_int_eq(build_and_run(&w), JITC_OK); /* from memory */
    ck_assert_uint_eq(w.stats.compiled, 0);
    ck_assert_uint_eq(w.stats.hits, 2);
    ck_assert_int_eq(build_and_run(&v), JITC_OK); /* no memory and no disk in common */
    ck_assert_uint_eq(v.stats.compiled, 2);
    jitc_context_free(a);
    ck_assert_int_eq(build_and_run(&v), JITC_OK);
    ck_assert(v.y == w.y && v.b == w.b);
    jitc_context_free(b);
}
END_TEST

/* ---- the suite -------------------------------------------------------------------------------------------------- */

int main(void) {
    Suite *s = suite_create("api");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 20);
    tcase_add_test(c, map_and_headers);
    tcase_add_test(c, symbols);
    tcase_add_loop_test(c, headers_compile, 0, COUNT(languages));
    tcase_add_test(c, versions);
    tcase_add_test(c, one_compile);
    tcase_add_test(c, errors_per_thread);
    tcase_add_test(c, names_from_threads);
    tcase_add_test(c, two_contexts);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
