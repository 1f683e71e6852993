/*
 * tests/check_explain.c - everything that is not supported is listed, and nothing else is: explaining agrees with building.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jitc/jitc.h"

#define MAX_ITEMS 64

typedef struct item {
    char op[64], node[32], piece[32], reason[256];
    int line, column;
} item;

typedef struct list {
    item at[MAX_ITEMS];
    int n;
} list;

static jitc_context *ctx;

static void setup(void) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
}

static void teardown(void) {
    jitc_context_free(ctx);
}

static void told(void *user, const jitc_refusal *what) {
    list *l = user;
    item *i = &l->at[l->n];
    if (l->n >= MAX_ITEMS)
        return;
    l->n++;
    snprintf(i->op, sizeof i->op, "%s", what->op);
    snprintf(i->node, sizeof i->node, "%s", what->node);
    snprintf(i->piece, sizeof i->piece, "%s", what->piece);
    snprintf(i->reason, sizeof i->reason, "%s", what->reason);
    i->line = what->line;
    i->column = what->column;
}

static jitc_status explain(jitc_graph *graph, list *l) {
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host" };
    l->n = 0;
    return jitc_model_explain(ctx, &graph, 1, &o, told, l);
}

static jitc_status build(jitc_graph *graph, jitc_error_info *why) {
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host" };
    jitc_model *m;
    jitc_status status = jitc_model_build(ctx, &graph, 1, &o, &m);
    *why = (jitc_error_info){ .struct_size = sizeof *why };
    if (status != JITC_OK)
        jitc_context_error_info(ctx, why);
    jitc_model_free(m);
    return status;
}

static bool has(const list *l, const jitc_error_info *why) {
    for (int i = 0; i < l->n; i++)
        if (l->at[i].line == why->line && strncmp(l->at[i].reason, why->message, sizeof l->at[i].reason - 1) == 0)
            return true;
    return false;
}

/* ---- explaining agrees with building ---------------------------------------------------------------------------- */

/* What strict reading says no to, in a graph that was read all the same. */
static void unreadable(const char *name, jitc_graph *tolerant, jitc_status read, const jitc_error_info *first) {
    jitc_error_info why;
    list l;
    jitc_error_info was = *first; /* the next failure takes its place */
    char message[512];
    snprintf(message, sizeof message, "%s", first->message);
    was.message = message;
    ck_assert_msg(read == JITC_E_UNSUPPORTED, "%s: read only when tolerant, but fails with %d: %s", name, read, message);
    ck_assert_msg(explain(tolerant, &l) == JITC_OK, "%s: %s", name, jitc_context_error(ctx));
    ck_assert_msg(has(&l, &was), "%s: line %d is not listed: %s", name, was.line, message);
    ck_assert_msg(build(tolerant, &why) == JITC_E_UNSUPPORTED, "%s: it was built", name);
    ck_assert_msg(why.line == was.line && strcmp(why.message, message) == 0, "%s: %s, and then %s", name, message, why.message);
}

/* Counts builds that passed, and failed for want of support, into SEEN. */
static void agrees(const char *name, const char *text, size_t n, int seen[2]) {
    jitc_graph *strict = NULL, *tolerant = NULL;
    jitc_error_info first = { .struct_size = sizeof first }, why = first;
    list l, again;
    jitc_status read = jitc_graph_read(ctx, name, text, n, &strict);
    char message[512];
    jitc_context_error_info(ctx, &first);
    snprintf(message, sizeof message, "%s", first.message);
    first.message = message;
    jitc_status also = jitc_graph_read_tolerant(ctx, name, text, n, &tolerant);
    if (also != JITC_OK) {
        ck_assert_msg(also == read || (read == JITC_E_UNSUPPORTED && also == JITC_E_INPUT), "%s: %d and %d", name, read, also);
        return;
    }
    if (read != JITC_OK) {
        unreadable(name, tolerant, read, &first);
        seen[1]++;
        jitc_graph_free(tolerant);
        return;
    }
    jitc_status explained = explain(tolerant, &l);
    jitc_status built = build(strict, &why);
    ck_assert_msg((explained == JITC_OK && l.n == 0) == (built == JITC_OK), "%s: explained %d with %d items, built %d: %s", name,
                  explained, l.n, built, why.message);
    if (built == JITC_E_UNSUPPORTED)
        ck_assert_msg(has(&l, &why), "%s: line %d is not listed: %s", name, why.line, why.message);
    else
        ck_assert_int_eq(explained, built);
    if (explained == JITC_OK) { /* it can be explained again, and built */
        ck_assert_int_eq(explain(tolerant, &again), JITC_OK);
        ck_assert_int_eq(again.n, l.n);
        ck_assert_int_eq(build(tolerant, &why), built);
    }
    seen[0] += built == JITC_OK;
    seen[1] += built == JITC_E_UNSUPPORTED;
    jitc_graph_free(strict);
    jitc_graph_free(tolerant);
}

static char *read_whole(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be read", path);
    size_t room = 1 << 20;
    char *text = malloc(room + 1);
    for (*n = 0; !feof(f);) {
        if (*n == room)
            text = realloc(text, (room *= 2) + 1);
        ck_assert_ptr_nonnull(text);
        *n += fread(text + *n, 1, room - *n, f);
        ck_assert(!ferror(f));
    }
    text[*n] = 0;
    fclose(f);
    return text;
}

/* A case of golden/fx.txt that is shortened ("(x: ..." and a body), written out. */
static void write_out(const char *text, size_t n, char *out, size_t size) {
    if (*text != '(') {
        snprintf(out, size, "%.*s", (int)n, text);
        return;
    }
    const char *line = memchr(text, '\n', n), *end = line;
    while (end[-1] != ')')
        end--;
    size_t k = (size_t)snprintf(out, size, "class M(torch.nn.Module):\n    def forward(self, %.*s):\n", (int)(end - text - 2),
                                text + 1);
    for (const char *p = line + 1, *next; p < text + n; p = next) {
        next = memchr(p, '\n', (size_t)(text + n - p));
        next = next ? next + 1 : text + n;
        k += (size_t)snprintf(out + k, size - k, "        %.*s", (int)(next - p), p);
        ck_assert_uint_lt(k, size);
    }
}

START_TEST(golden_texts) {
    static char out[1 << 16];
    size_t n;
    int seen[2] = { 0, 0 };
    char *file = read_whole(TEST_SRCDIR "/tests/golden/fx.txt", &n), name[128];
    for (char *p = strstr(file, "\n=== "), *next; p; p = next) {
        char *text = strchr(p + 1, '\n'), *end = text ? strstr(text, "\n---\n") : NULL;
        next = strstr(p + 1, "\n=== ");
        ck_assert_ptr_nonnull(end);
        snprintf(name, sizeof name, "%.*s", (int)(text - p - 5), p + 5);
        write_out(text + 1, (size_t)(end - text), out, sizeof out);
        agrees(name, out, strlen(out), seen);
    }
    free(file);
    ck_assert_int_gt(seen[0], 40);
    ck_assert_int_gt(seen[1], 10);
}
END_TEST

/* Captured models: all are supported. */
static int captured(const char *folder) {
    DIR *d = opendir(folder);
    int count = 0;
    if (!d)
        return 0;
    for (const struct dirent *e; (e = readdir(d));) {
        char path[2048];
        size_t length = strlen(e->d_name), n;
        jitc_graph *graph;
        list l;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.' && e->d_type == DT_DIR)
            count += captured(path);
        if (length < 4 || strcmp(e->d_name + length - 3, ".py") != 0)
            continue;
        char *text = read_whole(path, &n);
        if (jitc_graph_read(ctx, path, text, n, &graph) == JITC_OK) {
            jitc_status status = explain(graph, &l);
            ck_assert_msg(status == JITC_OK, "%s: %s", path, jitc_context_error(ctx));
            ck_assert_msg(l.n == 0, "%s:%d: %s", path, l.at[0].line, l.at[0].reason);
            jitc_graph_free(graph);
            count++;
        }
        free(text);
    }
    closedir(d);
    return count;
}

START_TEST(captured_models) {
    const char *folder = getenv("JITC_GRAPHS");
    if (!folder || access(folder, R_OK) != 0) {
        fprintf(stderr, "SKIP: there are no captured graphs here (JITC_GRAPHS), so none was explained\n");
        return;
    }
    ck_assert_int_gt(captured(folder), 10);
}
END_TEST

/* ---- what is listed --------------------------------------------------------------------------------------------- */

#define HEAD "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\""

typedef struct want {
    int line;
    const char *op, *node, *piece, *fragment;
} want;
typedef struct list_row {
    const char *name, *text;
    want want[8];
} list_row;

static const list_row list_rows[] = {
    { "nothing", HEAD "):\n        y: \"f32[s0, 8]\" = x + 1\n        return (y,)\n", { { 0 } } },
    { "unknown operators",
      HEAD "):\n        a: \"f32[s0, 8]\" = torch.lobpcg(x, dim = -1)\n"
           "        b: \"f32[s0, 8]\" = a * 2\n"
           "        c: \"f32[s0, 8]\" = b.frobnicate(3)\n"
           "        return (c,)\n",
      { { 3, "torch.lobpcg", "a", "submod_0", "does not know" }, { 5, "Tensor.frobnicate", "c", "submod_0", "does not know" } } },
    { "an unknown operator whose result nobody needs is called all the same",
      HEAD "):\n        a: \"f32[s0, 8]\" = torch.lobpcg(x, dim = -1)\n        return (x,)\n",
      { { 3, "torch.lobpcg", "a", "submod_0", "does not know" } } },
    { "dtypes and arguments, and what follows from them is not told",
      HEAD ", c: \"c32[s0, 8]\", q: \"f8e4m3fn[s0, 8]\"):\n"
           "        d = q + 1\n"
           "        e: \"f32[s0, 8]\" = d + x\n"
           "        f: \"c32[s0, 8]\" = c + 1\n"
           "        g: \"f32[s0, 8]\" = torch.nn.functional.silu(x, frob = 3)\n"
           "        h: \"f32[s0, 8]\" = g + e\n"
           "        k = x & x\n"
           "        m = k.view(s0, 2, 4)\n"
           "        n = m.sum(dim = -1)\n"
           "        o: \"f32[s0, 8]\" = torch.lobpcg(h, dim = 0)\n"
           "        return (h, f, n, o)\n",
      { { 2, "", "c", "M", "c32" },
        { 3, "+", "d", "submod_0", "f8e4m3fn" },
        { 6, "torch.nn.functional.silu", "g", "submod_0", "frob" },
        { 8, "&", "k", "submod_0", "f32" },
        { 11, "torch.lobpcg", "o", "submod_0", "does not know" } } },
    { "statements that give nothing",
      HEAD "):\n        x[[0, 1]] = 3.0\n        x[:, 0:8:0] = 1.0\n        y = x + 1\n        return (y,)\n",
      { { 4, "operator.setitem", "", "submod_0", "step" } } },
    { "reductions of eight dims, which only the scheduler finds",
      "class M(torch.nn.Module):\n    def forward(self, x: \"f32[2, 1, 2, 1, 2, 1, 2, 2]\"):\n"
      "        a: \"f32[2, 1, 2, 1, 2, 1, 2, 1]\" = x.sum(dim = -1, keepdim = True)\n"
      "        b: \"f32[2, 1, 2, 1, 2, 1, 2, 1]\" = x.amax(dim = -1, keepdim = True)\n"
      "        c: \"f32[2, 1, 2, 1, 2, 1, 2, 1]\" = a + b\n"
      "        return (c,)\n",
      { { 3, "sum", "a", "submod_0", "more than 7 dims" }, { 4, "amax", "b", "submod_0", "more than 7 dims" } } },
    { "both members of a class, each in its own words",
      "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
      "        submod_0 = self.submod_0(x, s0)\n"
      "        a: \"f32[s0, 8]\" = submod_0[0];  submod_0 = None\n"
      "        submod_1 = self.submod_1(a, s0)\n"
      "        b: \"f32[s0, 8]\" = submod_1[0];  submod_1 = None\n"
      "        return (b,)\n"
      "    class submod_0(torch.nn.Module):\n"
      "        def forward(self, x: \"f32[s0, 8]\", s0: \"Sym(s0)\"):\n"
      "            y: \"f32[s0, 8]\" = torch.lobpcg(x, dim = 0)\n"
      "            return (y,)\n"
      "    class submod_1(torch.nn.Module):\n"
      "        def forward(self, p: \"f32[s0, 8]\", s0: \"Sym(s0)\"):\n"
      "            q: \"f32[s0, 8]\" = torch.lobpcg(p, dim = 0)\n"
      "            return (q,)\n",
      { { 10, "torch.lobpcg", "y", "submod_0", "does not know" }, { 14, "torch.lobpcg", "q", "submod_1", "does not know" } } },
    { "pieces that cannot be read whole",
      "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
      "        submod_0 = self.submod_0(x, s0)\n"
      "        a: \"f32[s0, 8]\" = submod_0[0]\n"
      "        e = submod_0[1];  submod_0 = None\n"
      "        submod_1 = self.submod_1(a, s0)\n"
      "        b: \"f32[s0, 8]\" = submod_1[0];  submod_1 = None\n"
      "        return (b, e)\n"
      "    class submod_0(torch.nn.Module):\n"
      "        def forward(self, x: \"f32[s0, 8]\", s0: \"Sym(s0)\"):\n"
      "            y = x & x\n"
      "            z = y + 1\n"
      "            w: \"f32[s0, 8]\" = torch.lobpcg(x, dim = 0)\n"
      "            return (w, z)\n"
      "    class submod_1(torch.nn.Module):\n"
      "        def forward(self, p: \"f32[s0, 8]\", s0: \"Sym(s0)\"):\n"
      "            q: \"f32[s0, 8]\" = torch.nn.functional.silu(p, frob = 3)\n"
      "            return (q,)\n",
      { { 11, "&", "y", "submod_0", "f32" },
        { 13, "torch.lobpcg", "w", "submod_0", "does not know" },
        { 17, "torch.nn.functional.silu", "q", "submod_1", "frob" } } },
};

START_TEST(lists) {
    const list_row *row = &list_rows[_i];
    jitc_graph *graph;
    list l;
    ck_assert_msg(jitc_graph_read_tolerant(ctx, "t.py", row->text, strlen(row->text), &graph) == JITC_OK, "%s: %s", row->name,
                  jitc_context_error(ctx));
    ck_assert_msg(explain(graph, &l) == JITC_OK, "%s: %s", row->name, jitc_context_error(ctx));
    int n = 0;
    for (; n < 8 && row->want[n].line; n++) {
        const want *w = &row->want[n];
        const item *i = &l.at[n];
        ck_assert_msg(n < l.n, "%s: line %d is not listed", row->name, w->line);
        ck_assert_msg(i->line == w->line && strcmp(i->op, w->op) == 0 && strcmp(i->node, w->node) == 0 &&
                          strcmp(i->piece, w->piece) == 0 && strstr(i->reason, w->fragment),
                      "%s: line %d: [%s] %s = %s: %s", row->name, i->line, i->piece, i->node, i->op, i->reason);
    }
    ck_assert_msg(l.n == n, "%s: line %d is listed as well: %s", row->name, l.at[n].line, l.at[n].reason);
}
END_TEST

/* Statements that are not supported, at random places among others; later ones use what they give. */
START_TEST(random_places) {
    static const char *const bad[] = {
        "%s: \"f32[s0, 8]\" = torch.lobpcg(%s, dim = 0)",    "%s: \"f32[s0, 8]\" = torch.nn.functional.silu(%s, frob = 1)",
        "%s: \"f32[s0, 8]\" = %s.frobnicate()",              "%s: \"f32[s0, 8]\" = %s[:, 0:8:0]",
        "%s: \"f32[s0, 8]\" = torch.div(%s, 2, rounding_mode = 'front')",
    };
    static const char *const good[] = { "%s: \"f32[s0, 8]\" = %s + 1", "%s: \"f32[s0, 8]\" = torch.relu(%s)", "%s = %s * 2" };
    unsigned seed = 7;
    for (int round = 0; round < 150; round++) {
        char text[4096], name[16], from[16] = "x";
        int lines[16], nbad = 0, k = snprintf(text, sizeof text, HEAD "):\n");
        for (int i = 0; i < 12; i++) {
            bool is_bad = rand_r(&seed) % 3 == 0;
            snprintf(name, sizeof name, "v%d", i);
            k += snprintf(text + k, sizeof text - (size_t)k, "        ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            k += snprintf(text + k, sizeof text - (size_t)k, is_bad ? bad[rand_r(&seed) % 5] : good[rand_r(&seed) % 3], name, from);
#pragma GCC diagnostic pop
            k += snprintf(text + k, sizeof text - (size_t)k, "\n");
            if (is_bad)
                lines[nbad++] = 3 + i;
            if (is_bad || rand_r(&seed) % 2)
                memcpy(from, name, sizeof from);
        }
        k += snprintf(text + k, sizeof text - (size_t)k, "        return (%s,)\n", from);
        jitc_graph *graph;
        list l;
        ck_assert_msg(jitc_graph_read_tolerant(ctx, "r.py", text, (size_t)k, &graph) == JITC_OK, "%s\n%s", jitc_context_error(ctx), text);
        ck_assert_msg(explain(graph, &l) == JITC_OK, "%s\n%s", jitc_context_error(ctx), text);
        ck_assert_msg(l.n == nbad, "%d of %d listed\n%s", l.n, nbad, text);
        for (int i = 0; i < nbad; i++)
            ck_assert_msg(l.at[i].line == lines[i], "line %d, not %d\n%s", l.at[i].line, lines[i], text);
        jitc_graph_free(graph);
    }
}
END_TEST

/* Graphs that were explained are cut: other options come too late. */
START_TEST(other_options) {
    static const char text[] = HEAD "):\n        y: \"f32[s0, 8]\" = x + 1\n        return (y,)\n";
    static const char *const strides[] = { "16", "1" };
    static const jitc_strides entry = { "x", 2, strides };
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .strides = &entry, .nstrides = 1 };
    jitc_graph *graph;
    jitc_model *m;
    list l;
    ck_assert_int_eq(jitc_graph_read(ctx, "t.py", text, sizeof text - 1, &graph), JITC_OK);
    ck_assert_int_eq(explain(graph, &l), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &graph, 1, &o, &m), JITC_E_USAGE);
    ck_assert_str_eq(jitc_context_error(ctx), "graph 0 was explained with other split_ops, strides or examples: read it again");
    o.nstrides = 0;
    ck_assert_int_eq(jitc_model_build(ctx, &graph, 1, &o, &m), JITC_OK);
    ck_assert_int_eq(explain(graph, &l), JITC_E_USAGE); /* in use */
}
END_TEST

int main(void) {
    Suite *s = suite_create("explain");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, golden_texts);
    tcase_add_test(c, captured_models);
    tcase_add_loop_test(c, lists, 0, sizeof list_rows / sizeof *list_rows);
    tcase_add_test(c, random_places);
    tcase_add_test(c, other_options);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
