/*
 * tests/check_abi.c - the binary interface: what a program that was built against a release relies on.
 *
 * tests/abi/0.1.txt lists the functions of the release, and the size of every public struct with the place of each of its fields.  What is
 * in the list must stay; functions, structs, and fields at the ends of structs that start with their size, may come.
 * JITC_UPDATE_GOLDEN=1 rewrites it: until a release is out, and then for the next one.
 *
 * Structs are read from the headers: for each a small program is compiled that prints sizes and places, so that none is forgotten.
 */
#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jitc/jitc.h"

#define LIST TEST_SRCDIR "/tests/abi/0.1.txt"
#define MAX_LINES 1024

typedef struct lines {
    char at[MAX_LINES][160];
    int n;
} lines;

static void add(lines *l, const char *text) {
    ck_assert_int_lt(l->n, MAX_LINES);
    snprintf(l->at[l->n++], sizeof l->at[0], "%.*s", (int)strcspn(text, "\n"), text);
}

static bool has(const lines *l, const char *text) {
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->at[i], text) == 0)
            return true;
    return false;
}

/* ---- structs of the headers ------------------------------------------------------------------------------------- */

static char *read_header(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/include/jitc/%s", TEST_SRCDIR, name);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    char *text = calloc(1, 1 << 17);
    ck_assert_uint_lt(fread(text, 1, (1 << 17) - 1, f), (1 << 17) - 1);
    fclose(f);
    for (char *p = text; (p = strstr(p, "/*"));) { /* comments become blanks */
        char *end = strstr(p, "*/");
        ck_assert_ptr_nonnull(end);
        memset(p, ' ', (size_t)(end + 2 - p));
    }
    return text;
}

/* The name that a declarator declares: of "(*alloc)(void *user, ...)" alloc, of "key[65]" key. */
static bool declared(const char *at, size_t n, char *out, size_t size) {
    const char *function = NULL;
    for (size_t i = 0; i + 1 < n && !function; i++)
        if (at[i] == '(' && at[i + 1] == '*')
            function = at + i + 2;
    const char *end = at + n, *start;
    if (function) {
        for (end = function; isalnum((unsigned char)*end) || *end == '_'; end++)
            ;
        start = function;
    } else {
        const char *bracket = memchr(at, '[', n);
        end = bracket ? bracket : end;
        while (end > at && isspace((unsigned char)end[-1]))
            end--;
        for (start = end; start > at && (isalnum((unsigned char)start[-1]) || start[-1] == '_'); start--)
            ;
    }
    snprintf(out, size, "%.*s", (int)(end - start), start);
    return end > start;
}

/* Fields of the struct whose body is BODY, N bytes: one FIELD line each. Those of a union within count as the struct's. */
static void put_fields(FILE *f, const char *name, const char *body, size_t n) {
    size_t start = 0;
    int depth = 0;
    for (size_t i = 0; i < n; i++) {
        char field[64];
        if (body[i] == '(')
            depth++;
        if (body[i] == ')')
            depth--;
        if (body[i] == '{' || body[i] == '}')
            start = i + 1;
        if (depth > 0 || (body[i] != ';' && body[i] != ','))
            continue;
        if (declared(body + start, i - start, field, sizeof field))
            fprintf(f, "    FIELD(%s, %s)\n", name, field);
        start = i + 1;
    }
}

/* Every `typedef struct NAME { ... } NAME;` of our headers. */
static void put_structs(FILE *f, const char *text) {
    for (const char *p = text; (p = strstr(p, "typedef struct "));) {
        char name[64];
        const char *open = p + strcspn(p, "{;");
        if (sscanf(p, "typedef struct %63[A-Za-z0-9_]", name) != 1 || *open == ';') {
            p = open;
            continue;
        }
        const char *end = open + 1;
        for (int depth = 1; depth; end++)
            depth += *end == '{' ? 1 : *end == '}' ? -1 : 0;
        fprintf(f, "    SIZE(%s)\n", name);
        put_fields(f, name, open + 1, (size_t)(end - 1 - open - 1));
        p = end;
    }
}

static void put_program(FILE *f) {
    static const char folder[] = TEST_SRCDIR "/include/jitc";
    fprintf(f, "#include <stddef.h>\n#include <stdio.h>\n#include \"jitc/jitc.h\"\n"
               "#define SIZE(s) printf(\"struct %%s %%zu\\n\", #s, sizeof(s));\n"
               "#define FIELD(s, f) printf(\"field %%s.%%s %%zu\\n\", #s, #f, offsetof(s, f));\n"
               "int main(void) {\n");
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 3 || strcmp(e->d_name + n - 2, ".h") != 0 || strcmp(e->d_name, "dlpack.h") == 0) /* not ours to change */
            continue;
        char *text = read_header(e->d_name);
        put_structs(f, text);
        free(text);
    }
    closedir(d);
    fprintf(f, "#define STATUS(id, number, exit_code, text) printf(\"status %%s %%d\\n\", #id, JITC_##id);\n"
               "    JITC_STATUS_LIST(STATUS)\n    return 0;\n}\n");
}

/* Compiles and runs it. False: there is no compiler here. */
static bool structs_now(lines *out) {
    char folder[] = "/tmp/jitc-abi-XXXXXX", path[128], command[2048], line[160];
    if (system("cc --version > /dev/null 2>&1") != 0)
        return false;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/abi.c", folder);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    put_program(f);
    fclose(f);
    snprintf(command, sizeof command, "cc -I'%s/include' -o %s/abi %s && %s/abi", TEST_SRCDIR, folder, path, folder);
    f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        add(out, line);
    ck_assert_msg(pclose(f) == 0, "the program that prints the structs: %s", command);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_gt(out->n, 100);
    return true;
}

/* ---- functions -------------------------------------------------------------------------------------------------- */

/* Names of the stanzas of libjitc.map, as "function JITC_0.1 jitc_version". */
static void functions_now(lines *out) {
    char line[160], stanza[32] = "", name[128], text[160];
    FILE *f = fopen(TEST_SRCDIR "/libjitc.map", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "JITC_%27[0-9.] {", name) == 1)
            snprintf(stanza, sizeof stanza, "JITC_%.20s", name);
        else if (sscanf(line, " jitc_%120[a-z0-9_];", name) == 1) {
            snprintf(text, sizeof text, "function %.30s jitc_%.110s", stanza, name);
            add(out, text);
        }
    }
    fclose(f);
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

static void write_list(const lines *now) {
    FILE *f = fopen(LIST, "w");
    ck_assert_msg(f != NULL, "%s cannot be written", LIST);
    fprintf(f, "# The binary interface of libjitc 0.1 (x86-64): see tests/check_abi.c.\n");
    for (int i = 0; i < now->n; i++)
        fprintf(f, "%s\n", now->at[i]);
    fclose(f);
}

static void read_list(lines *out) {
    char line[160];
    FILE *f = fopen(LIST, "r");
    ck_assert_msg(f != NULL, "%s is missing", LIST);
    while (fgets(line, sizeof line, f))
        if (line[0] != '#')
            add(out, line);
    fclose(f);
    ck_assert_int_gt(out->n, 100);
}

/* May this line of the list differ now?  A struct that starts with its size may grow. */
static bool may_grow(const lines *now, const char *was) {
    char name[64], line[160];
    size_t old;
    if (sscanf(was, "struct %63s %zu", name, &old) != 2)
        return false;
    snprintf(line, sizeof line, "field %s.struct_size 0", name);
    if (!has(now, line))
        return false;
    for (int i = 0; i < now->n; i++) {
        char other[64];
        size_t size;
        if (sscanf(now->at[i], "struct %63s %zu", other, &size) == 2 && strcmp(other, name) == 0)
            return size >= old;
    }
    return false;
}

START_TEST(release) {
    static lines was, now;
    if (sizeof(void *) != 8 || !structs_now(&now)) {
        fprintf(stderr, "SKIP: there is no C compiler here, or pointers have not 8 bytes: structs were not compared with the list\n");
        return;
    }
    functions_now(&now);
    qsort(now.at, (size_t)now.n, sizeof now.at[0], by_text);
    if (getenv("JITC_UPDATE_GOLDEN"))
        write_list(&now);
    read_list(&was);
    for (int i = 0; i < was.n; i++)
        ck_assert_msg(has(&now, was.at[i]) || may_grow(&now, was.at[i]),
                      "libjitc 0.1 has \"%s\", and this one has not: programs built against it would break", was.at[i]);
}
END_TEST

/* What is new since the list was made belongs into it before a release. */
START_TEST(list_is_whole) {
    static lines was, now;
    if (sizeof(void *) != 8 || !structs_now(&now)) {
        fprintf(stderr, "SKIP: there is no C compiler here, or pointers have not 8 bytes: the list was not compared with the structs\n");
        return;
    }
    functions_now(&now);
    read_list(&was);
    for (int i = 0; i < now.n; i++)
        ck_assert_msg(has(&was, now.at[i]), "%s lacks \"%s\": JITC_UPDATE_GOLDEN=1 make check TESTS=tests/check_abi adds it", LIST,
                      now.at[i]);
}
END_TEST

/* ---- shorter structs -------------------------------------------------------------------------------------------- */

static const char text[] =
    "class M(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\"):\n"
    "        y: \"f32[4]\" = x * 2.0\n"
    "        return (y,)\n";

/* Options that end before their last fields, with garbage behind: what lies there is not looked at. */
START_TEST(shorter_options) {
    jitc_context_options c;
    jitc_model_options m;
    jitc_frame_options fo;
    jitc_op_options p;
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *model;
    jitc_frame *frame;
    memset(&c, 0xee, sizeof c);
    memset(&m, 0xee, sizeof m);
    memset(&fo, 0xee, sizeof fo);
    memset(&p, 0xee, sizeof p);
    memset(&c, 0, offsetof(jitc_context_options, seed));
    c.struct_size = offsetof(jitc_context_options, seed);
    c.cache_dir = "";
    c.device = "host";
    ck_assert_int_eq(jitc_context_new(&c, &ctx), JITC_OK);
    p.struct_size = sizeof p.struct_size; /* nothing but the size */
    ck_assert_int_eq(jitc_op_register(ctx, "n::f(Tensor x) -> Tensor", (jitc_plain_function)by_text, &p), JITC_OK);
    m.struct_size = sizeof m.struct_size;
    ck_assert_int_eq(jitc_graph_read(ctx, "abi.py", text, sizeof text - 1, &g), JITC_OK);
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &m, &model) == JITC_OK, "%s", jitc_context_error(ctx));
    fo.struct_size = sizeof fo.struct_size;
    ck_assert_msg(jitc_frame_new(model, &fo, &frame) == JITC_OK, "%s", jitc_context_error(ctx));
    m.struct_size = 3; /* no size at all */
    ck_assert_int_eq(jitc_graph_read(ctx, "abi.py", text, sizeof text - 1, &g), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, &m, &model), JITC_E_USAGE);
    jitc_context_free(ctx);
}
END_TEST

/* Structs to be filled: nothing is written beyond the size that the caller has. */
#define SHORTER(type, field, call)                                                                 \
    do {                                                                                           \
        union {                                                                                    \
            type s;                                                                                \
            unsigned char bytes[sizeof(type)];                                                     \
        } u;                                                                                       \
        memset(&u, 0xee, sizeof u);                                                                \
        type *out = &u.s;                                                                          \
        out->struct_size = offsetof(type, field);                                                  \
        (void)(call);                                                                              \
        ck_assert_uint_eq(out->struct_size, offsetof(type, field));                                \
        for (size_t i = offsetof(type, field); i < sizeof(type); i++)                              \
            ck_assert_msg(u.bytes[i] == 0xee, #type " was written at byte %zu, beyond the %zu that it has", i,             \
                          offsetof(type, field));                                                  \
    } while (0)

static bool open_it(void *user, const void *bytes, size_t n) {
    void **both = user;
    return jitc_bundle_open_bytes(both[0], NULL, bytes, n, (jitc_bundle **)&both[1]) == JITC_OK;
}

START_TEST(shorter_answers) {
    const jitc_context_options c = { .struct_size = sizeof c, .cache_dir = "", .device = "host", .threads = 1 };
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *m;
    jitc_frame *frame;
    const jitc_executable *exe;
    ck_assert_int_eq(jitc_context_new(&c, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_graph_read(ctx, "abi.py", text, sizeof text - 1, &g), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, NULL, &m), JITC_OK);
    ck_assert_int_eq(jitc_frame_new(m, NULL, &frame), JITC_OK);
    ck_assert_int_eq(jitc_model_executable(m, 0, &exe), JITC_OK);
    void *both[2] = { ctx, NULL };
    ck_assert_int_eq(jitc_bundle_write_bytes(ctx, &m, 1, open_it, both), JITC_OK);
    jitc_bundle *bundle = both[1];
    SHORTER(jitc_error_info, column, (jitc_context_error_info(ctx, out), 0));
    SHORTER(jitc_model_stats, kernels_hit, (jitc_model_get_stats(m, out), 0));
    SHORTER(jitc_piece_info, nlayer_names, jitc_model_piece_info(m, 0, out));
    SHORTER(jitc_param_info, type, jitc_model_param_info(m, 0, 0, out));
    SHORTER(jitc_frame_stats, calls, (jitc_frame_get_stats(frame, out), 0));
    SHORTER(jitc_executable_info, nvariants, jitc_executable_get_info(exe, out));
    SHORTER(jitc_executable_param, written, jitc_executable_get_param(exe, 0, out));
    SHORTER(jitc_executable_result, storage, jitc_executable_get_result(exe, 0, out));
    SHORTER(jitc_executable_variant, bytes, jitc_executable_get_variant(exe, 0, out));
    SHORTER(jitc_memory, copies, jitc_executable_memory(exe, NULL, 0, out, NULL, 0));
    SHORTER(jitc_bundle_info, noperators, jitc_bundle_get_info(bundle, out));
    SHORTER(jitc_bundle_target, cuda_toolkit, jitc_bundle_get_target(bundle, 0, out));
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("abi");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, release);
    tcase_add_test(c, list_is_whole);
    tcase_add_test(c, shorter_options);
    tcase_add_test(c, shorter_answers);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
