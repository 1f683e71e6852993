/*
 * tests/check_fx.c - the reader: goldens of small texts, the real graphs, text that is cut or changed at every byte,
 * memory that runs out at every point.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "ir/fx/fx.h"

#define DATA TEST_SRCDIR "/tests/data/fx/"

/* --- files --- */

static char *slurp(const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *length = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*length + 1);
    ck_assert(text && fread(text, 1, *length, f) == *length);
    text[*length] = '\0';
    fclose(f);
    return text;
}

static const char *graphs_dir(void) {
    const char *dir = getenv("JITC_GRAPHS");
    return dir ? dir : TEST_SRCDIR "/../shared/graphs";
}

/* --- goldens --- */

typedef struct buffer {
    char *at;
    size_t n;
} buffer;

static void put(buffer *b, const char *text, size_t n) {
    b->at = realloc(b->at, b->n + n + 1);
    ck_assert_ptr_nonnull(b->at);
    memcpy(b->at + b->n, text, n);
    b->n += n;
    b->at[b->n] = '\0';
}

static void puts_(buffer *b, const char *text) {
    put(b, text, strlen(text));
}

/* A shortened case written out: the class, its parameters, its body. */
static buffer whole_text(const char *text, size_t n) {
    buffer b = { 0 };
    if (!n || *text != '(') {
        put(&b, text, n);
        return b;
    }
    const char *line = memchr(text, '\n', n), *end = line;
    while (end[-1] != ')')
        end--;
    puts_(&b, "class M(torch.nn.Module):\n    def forward(self, ");
    put(&b, text + 1, (size_t)(end - text - 2));
    puts_(&b, "):\n");
    for (const char *p = line + 1; p < text + n;) {
        const char *next = memchr(p, '\n', (size_t)(text + n - p));
        next = next ? next + 1 : text + n;
        puts_(&b, "        ");
        put(&b, p, (size_t)(next - p));
        p = next;
    }
    return b;
}

/* What reading TEXT gives, as a golden says it. */
static void outcome(const char *text, size_t n, buffer *out) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g = NULL;
    jc_error err = JC_ERROR_INIT;
    char line[2048];
    jitc_status s = jc_fx_read(arena, "t", text, n, &g, &err);
    if (s) {
        jc_error_text(&err, line, sizeof line);
        puts_(out, s == JITC_E_INPUT ? "! input " : s == JITC_E_UNSUPPORTED ? "! unsupported " : "! other ");
        puts_(out, line);
        puts_(out, "\n");
    } else {
        jc_bytes b = JC_BYTES(arena);
        jc_graph_print(g, &b);
        put(out, (const char *)b.at, b.n);
        for (size_t i = 0; i <= g->pieces.n; i++)
            if (jc_verify(i < g->pieces.n ? g->pieces.at[i] : g->root, &err))
                puts_(out, "! verify\n");
    }
    jc_arena_free(arena);
}

START_TEST(goldens) {
    const char *path = TEST_SRCDIR "/tests/golden/fx.txt";
    size_t n;
    char *file = slurp(path, &n);
    ck_assert_msg(file != NULL, "%s is missing", path);
    buffer fresh = { 0 };
    int wrong = 0, cases = 0;
    const char *p = strstr(file, "\n=== ");
    put(&fresh, file, (size_t)(p + 1 - file));
    for (p++; p && *p; cases++) {
        const char *text = strchr(p, '\n') + 1, *sep = strncmp(text, "---\n", 4) ? strstr(text, "\n---\n") + 1 : text;
        const char *want = sep + 4, *next = strncmp(want, "=== ", 4) ? strstr(want, "\n=== ") : want - 1;
        const char *end = next ? next + 1 : file + n;
        buffer whole = whole_text(text, (size_t)(sep - text)), got = { 0 };
        outcome(whole.at ? whole.at : "", whole.n, &got);
        if (got.n != (size_t)(end - want) || memcmp(got.at, want, got.n) != 0) {
            fprintf(stderr, "%.*s\nwant:\n%.*sgot:\n%s", (int)(text - 1 - p), p, (int)(end - want), want, got.at);
            wrong++;
        }
        put(&fresh, p, (size_t)(want - p));
        put(&fresh, got.at, got.n);
        free(whole.at);
        free(got.at);
        p = next ? next + 1 : NULL;
    }
    if (wrong && getenv("JITC_UPDATE_GOLDEN")) {
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        fwrite(fresh.at, 1, fresh.n, f);
        fclose(f);
        wrong = 0;
    }
    free(fresh.at);
    free(file);
    ck_assert_msg(!wrong, "%d of %d cases differ", wrong, cases);
    ck_assert_int_gt(cases, 90);
}
END_TEST

/* --- forms that must not matter --- */

static buffer replace(const char *text, const char *from, const char *to) {
    buffer b = { 0 };
    for (const char *hit; (hit = strstr(text, from)); text = hit + strlen(from)) {
        put(&b, text, (size_t)(hit - text));
        puts_(&b, to);
    }
    puts_(&b, text);
    return b;
}

static const struct {
    const char *name, *from, *to;
} rewrites[] = {
    { "CRLF", "\n", "\r\n" },
    { "tabs", "    ", "\t" },
    { "no blanks around =", " = ", "=" },
    { "many blanks", " ", "   " },
    { "trailing blanks", "\n", "  \t\n" },
    { "frees on lines of their own", ";  ", "\n        " },
    { "no blank after ;", ";  ", ";" },
    { "older comments", "# ", " #  " },
    { "double quotes", "'", "\"" },
    { "no future import", "from __future__ import annotations\n", "" },
    { "no imports", "from __future__ import annotations\nimport torch\n", "" },
    { "device import", "import torch\n", "import torch\nfrom torch import device\n" },
    { "byte order mark", "from __future__", "\xEF\xBB\xBF""from __future__" },
};

START_TEST(forms_that_do_not_matter) {
    size_t n;
    char *text = slurp(DATA "pieces.py", &n);
    ck_assert_ptr_nonnull(text);
    buffer plain = { 0 }, got = { 0 }, other = replace(text, rewrites[_i].from, rewrites[_i].to);
    outcome(text, n, &plain);
    outcome(other.at, other.n, &got);
    ck_assert_msg(plain.at[0] == 'f', "%s", plain.at);
    ck_assert_msg(strcmp(text, other.at) != 0, "%s changes nothing", rewrites[_i].name);
    ck_assert_msg(strcmp(plain.at, got.at) == 0, "%s: %s", rewrites[_i].name, got.at);
    free(text);
    free(plain.at);
    free(got.at);
    free(other.at);
}
END_TEST

/* --- places, lines, names --- */

START_TEST(lines_and_names_are_kept) {
    static const char text[] = "class M(torch.nn.Module):\n"
                               "    def forward(self, x: \"f32[4]\"):\n"
                               "        # a comment\n"
                               "        a = torch.abs(\n"
                               "            x)\n"
                               "        b = a\n"
                               "        t = torch.ops.my.op(b)\n"
                               "        c: \"f32[4]\" = t[0]\n"
                               "        return (b, c)\n";
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_fx_read(arena, "dir/f.py", text, sizeof text - 1, &g, &err), JITC_OK);
    const jc_func *f = g->root;
    ck_assert_str_eq(g->file, "dir/f.py");
    ck_assert_str_eq(f->name, "M");
    ck_assert_int_eq(f->line, 1);
    ck_assert_str_eq(f->params[0]->name, "x");
    ck_assert_int_eq(f->nodes.n, 2);
    ck_assert_str_eq(f->nodes.at[0]->results[0]->name, "a");
    ck_assert_int_eq(f->nodes.at[0]->line, 4);
    ck_assert_str_eq(f->nodes.at[1]->target, "my::op");
    ck_assert_int_eq(f->nodes.at[1]->line, 7);
    ck_assert_str_eq(f->nodes.at[1]->results[0]->name, "c");
    ck_assert(f->tuple);
    jc_arena_free(arena);
}
END_TEST

START_TEST(text_is_borrowed_for_the_call_only) {
    size_t n;
    char *text = slurp(DATA "pieces.py", &n);
    ck_assert_ptr_nonnull(text);
    buffer want = { 0 };
    outcome(text, n, &want);
    ck_assert_msg(want.at[0] == 'f', "%s", want.at);
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g;
    jc_error err = JC_ERROR_INIT;
    char name[] = "t";
    ck_assert_int_eq(jc_fx_read(arena, name, text, n, &g, &err), JITC_OK);
    memset(text, 'X', n);
    memset(name, 'X', 1);
    free(text);
    jc_bytes b = JC_BYTES(arena);
    jc_graph_print(g, &b);
    ck_assert_uint_eq(b.n, want.n);
    ck_assert(memcmp(b.at, want.at, b.n) == 0);
    ck_assert_str_eq(g->file, "t");
    jc_arena_free(arena);
    free(want.at);
}
END_TEST

/* --- limits --- */

static jitc_status status_of(const char *text, size_t n, char *message, size_t size) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g;
    jc_error err = JC_ERROR_INIT;
    jitc_status s = jc_fx_read(arena, "t", text, n, &g, &err);
    jc_error_text(&err, message, size);
    ck_assert_int_eq(s, err.status);
    for (size_t i = 0; !s && i <= g->pieces.n; i++)
        ck_assert_msg(!jc_verify(i < g->pieces.n ? g->pieces.at[i] : g->root, &err), "%.200s", err.message);
    jc_arena_free(arena);
    return s;
}

static const struct {
    const char *name, *open, *close;
    jitc_status deep; /* of 5000 of them; of 40 it is ok */
} nests[] = {
    { "parentheses", "(", ")", JITC_E_INPUT },   { "signs", "-", "", JITC_E_INPUT },
    { "calls", "torch.abs(", ")", JITC_E_INPUT }, { "methods", "", ".abs()", JITC_E_INPUT },
    { "sums", "", " + x", JITC_E_INPUT },        { "powers", "x * 2 ** ", "", JITC_E_INPUT },
    { "index", "", "[0:4]", JITC_E_INPUT },
};

START_TEST(nesting_is_bounded) {
    char message[2048];
    for (int k = 0; k < 2; k++) {
        const int depth = k ? 5000 : 25;
        buffer b = { 0 };
        puts_(&b, "def forward(self, x: \"f32[4]\"):\n    y = ");
        for (int i = 0; i < depth; i++)
            puts_(&b, nests[_i].open);
        puts_(&b, *nests[_i].open == 'x' ? "2" : "x");
        for (int i = 0; i < depth; i++)
            puts_(&b, nests[_i].close);
        puts_(&b, "\n    return y\n");
        jitc_status s = status_of(b.at, b.n, message, sizeof message);
        if (k)
            ck_assert_msg(s == nests[_i].deep, "%s: %s", nests[_i].name, message);
        else if (*nests[_i].open != 'x') /* a power of sizes is refused, but not for its depth */
            ck_assert_msg(s == JITC_OK, "%s: %s", nests[_i].name, message);
        free(b.at);
    }
}
END_TEST

START_TEST(bytes_that_are_no_text) {
    static const char nul[] = "class M:\n    def forward(self, x: \"f32[4]\"):\n # \0\n        return x\n";
    static const char latin[] = "class M:\n    def forward(self, x\xE9: \"f32[4]\"):\n        return x\n";
    static const char comment[] = "class M:\n    def forward(self, x: \"f32[4]\"):\n        # \xFF\xFE\n        return x\n";
    static const char string[] =
        "class M:\n    def forward(self, x: \"f32[4]\"):\n        y = torch.ops.my.op(x, '\xC3\xA9\xFF')\n        return x\n";
    char message[2048];
    ck_assert_int_eq(status_of(nul, sizeof nul - 1, message, sizeof message), JITC_E_INPUT);
    ck_assert_msg(strstr(message, "NUL") && strstr(message, "t:3:4"), "%s", message);
    ck_assert_int_eq(status_of(latin, sizeof latin - 1, message, sizeof message), JITC_E_INPUT);
    ck_assert_msg(strstr(message, "0xe9") != NULL, "%s", message);
    ck_assert_int_eq(status_of(comment, sizeof comment - 1, message, sizeof message), JITC_OK);
    ck_assert_int_eq(status_of(string, sizeof string - 1, message, sizeof message), JITC_OK);
    ck_assert_int_eq(status_of("", 0, message, sizeof message), JITC_E_INPUT);
}
END_TEST

/* --- damage --- */

static const char *const small_files[] = { "qwen3_5_layer10.py", "pieces.py" };

START_TEST(cut_at_every_byte) {
    char path[512], message[2048];
    snprintf(path, sizeof path, DATA "%s", small_files[_i]);
    size_t n;
    char *text = slurp(path, &n);
    ck_assert_ptr_nonnull(text);
    size_t good = 0;
    for (size_t k = 0; k <= n; k++) {
        char *exact = malloc(k ? k : 1); /* so that a sanitizer sees a read past the end */
        memcpy(exact, text, k);
        jitc_status s = status_of(exact, k, message, sizeof message);
        ck_assert_msg(s == JITC_OK || s == JITC_E_INPUT || s == JITC_E_UNSUPPORTED, "%zu: %s", k, message);
        good += s == JITC_OK;
        free(exact);
    }
    ck_assert_uint_ge(good, 1); /* the whole */
    ck_assert_uint_le(good, 64); /* and what ends within the last statement */
    free(text);
}
END_TEST

START_TEST(changed_at_every_byte) {
    static const char put_in[] = { '\0', '\n', ' ', '(', ')', '\'', '9', ',', ':', '=', '-', 'x', '[', '\\', (char)0xFF };
    char path[512], message[2048];
    snprintf(path, sizeof path, DATA "%s", small_files[_i]);
    size_t n;
    char *text = slurp(path, &n);
    ck_assert_ptr_nonnull(text);
    for (size_t k = 0; k < n; k++) {
        const char was = text[k];
        for (size_t c = 0; c < sizeof put_in; c++) {
            text[k] = put_in[c];
            jitc_status s = status_of(text, n, message, sizeof message);
            ck_assert_msg(s == JITC_OK || s == JITC_E_INPUT || s == JITC_E_UNSUPPORTED, "%zu: %s", k, message);
        }
        text[k] = was;
    }
    free(text);
}
END_TEST

/* --- memory --- */

typedef struct faulty {
    long left; /* allocations until none succeeds; negative: all do */
    long live, made;
} faulty;

static void *faulty_alloc(void *user, size_t size) {
    faulty *f = user;
    if (f->left == 0)
        return NULL;
    f->left -= f->left > 0;
    f->live++;
    f->made++;
    return malloc(size);
}

static void faulty_free(void *user, void *block, size_t size) {
    (void)size;
    ((faulty *)user)->live--;
    free(block);
}

START_TEST(memory_runs_out_at_every_point) {
    size_t n;
    char *text = slurp(DATA "llama_block_small.py", &n);
    ck_assert_ptr_nonnull(text);
    faulty f = { .left = -1 };
    const jc_alloc alloc = { faulty_alloc, faulty_free, &f };
    bool done = false;
    for (long k = 1; !done; k++) {
        f = (faulty){ .left = k };
        jc_arena *arena = jc_arena_new(&alloc);
        ck_assert_ptr_nonnull(arena);
        jc_graph *g;
        jc_error err = JC_ERROR_INIT;
        jitc_status s = jc_fx_read(arena, "t", text, n, &g, &err);
        ck_assert_msg(s == JITC_OK || s == JITC_E_NOMEM, "%ld: %.200s", k, err.message);
        ck_assert_int_eq(s, err.status);
        done = s == JITC_OK;
        jc_arena_free(arena);
        ck_assert_msg(f.live == 0, "%ld allocations leak when the %ld-th fails", f.live, k);
        ck_assert_int_lt(k, 1000);
    }
    ck_assert_int_gt(f.made, 4);
    free(text);
}
END_TEST

/* What grows with the text: UNIT many times between HEAD and TAIL. */
static const struct {
    const char *name, *head, *unit, *tail;
    jitc_status status;
} growing[] = {
    { "a path with blanks", "y = torch", " .a", "(x)\nreturn x\n", JITC_OK },
    { "a path", "y = torch", ".a", "(x)\nreturn x\n", JITC_OK },
    { "new dims", "y = x[", "None, ", "]\nreturn y\n", JITC_E_UNSUPPORTED },
    { "splits that nothing takes", "", "y = x.split(1)\n", "return x\n", JITC_E_UNSUPPORTED },
    { "unbound dims", "", "y = x.unbind()\n", "return x\n", JITC_E_UNSUPPORTED },
    { "far elements", "", "t = torch.ops.my.op(x);  y = t[4095]\n", "return x\n", JITC_E_UNSUPPORTED },
    { "sums", "y = s0\n", "y = y + s0 * y\n", "return x\n", JITC_E_INPUT },
    { "squares", "", "y = (s0 + s1 + s2 + s3 + s0 * s1) * (s0 + s1 + s2 + s3 + s2 * s3 + 7)\n", "return x\n", JITC_OK },
    { "smaller ones", "y = s0\n", "y = torch.sym_min(y, s1 * 3 - y)\n", "return x\n", JITC_E_INPUT },
    { "values", "y = x\n", "y = y + 1\n", "return y\n", JITC_OK },
};

typedef struct counted {
    size_t live, most;
} counted;

static void *counted_alloc(void *user, size_t size) {
    counted *c = user;
    c->live += size;
    c->most = c->live > c->most ? c->live : c->most;
    return malloc(size);
}

static void counted_free(void *user, void *block, size_t size) {
    ((counted *)user)->live -= block ? size : 0;
    free(block);
}

/* Bytes that reading N units needs at most. */
static size_t memory_for(int row, int n, size_t *text, jitc_status want) {
    buffer b = { 0 };
    counted c = { 0, 0 };
    const jc_alloc alloc = { counted_alloc, counted_free, &c };
    puts_(&b, "def forward(self, x: \"f32[4096]\", s0: \"Sym(s0)\", s1: \"Sym(s1)\", s2: \"Sym(s2)\", s3: \"Sym(s3)\"):\n");
    puts_(&b, growing[row].head);
    for (int i = 0; i < n; i++)
        puts_(&b, growing[row].unit);
    puts_(&b, growing[row].tail);
    jc_arena *arena = jc_arena_new(&alloc);
    jc_graph *g;
    jc_error err = JC_ERROR_INIT;
    jitc_status s = jc_fx_read(arena, "t", b.at, b.n, &g, &err);
    ck_assert_msg(s == want, "%s, %d: %d: %.200s", growing[row].name, n, s, err.message);
    *text = b.n;
    jc_arena_free(arena);
    free(b.at);
    return c.most;
}

/* No more than so many bytes for each of the text, and those that every reading takes. */
START_TEST(memory_is_linear_in_the_text) {
    enum { EACH = 2500, START = 48 << 20, UNITS = 20000 };
    size_t text, most = memory_for(_i, UNITS, &text, growing[_i].status);
    ck_assert_msg(most <= START + EACH * text, "%s: %zu bytes for a text of %zu", growing[_i].name, most, text);
}
END_TEST

/* 256 new dims are not none. */
START_TEST(many_new_dims) {
    for (int n = 1; n <= 1024; n *= 2) {
        size_t text;
        buffer b = { 0 };
        char message[2048];
        puts_(&b, "def forward(self, x: \"f32[4]\"):\n    y = x[");
        for (int i = 0; i < n; i++)
            puts_(&b, "None, ");
        puts_(&b, "]\n    return y\n");
        jitc_status s = status_of(b.at, b.n, message, sizeof message);
        text = b.n;
        ck_assert_msg(s == (n < JC_MAX_RANK ? JITC_OK : JITC_E_UNSUPPORTED), "%d in %zu bytes: %d: %s", n, text, s, message);
        free(b.at);
    }
}
END_TEST

/* Operands beyond the 64 that have a bit: where one of them is written, all count as written. */
START_TEST(many_operands) {
    static const struct {
        const char *op;
        bool written[2]; /* operand 3 and the last one */
    } rows[] = { { "torch.ops.my.op", { true, true } }, { "torch.ops._C.rms_norm", { true, true } },
                 { "torch.ops._C.rotary_embedding", { true, true } }, { "torch.ops.vllm.all_reduce", { false, false } } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buffer b = { 0 };
        puts_(&b, "def forward(self, x: \"f32[4]\"):\n    y: \"f32[4]\" = ");
        puts_(&b, rows[i].op);
        puts_(&b, "([");
        for (int k = 0; k < 70; k++)
            puts_(&b, "x, ");
        puts_(&b, "], x, 'a')\n    return y\n");
        jc_arena *arena = jc_arena_new(NULL);
        jc_graph *g;
        jc_error err = JC_ERROR_INIT;
        ck_assert_msg(jc_fx_read(arena, "t", b.at, b.n, &g, &err) == JITC_OK, "%s", err.message);
        const jc_node *n = g->root->nodes.at[0];
        ck_assert_msg(jc_node_writes(n, 3) == rows[i].written[0] && jc_node_writes(n, 70) == rows[i].written[1], "%s",
                      rows[i].op);
        jc_arena_free(arena);
        free(b.at);
    }
}
END_TEST

/* --- real graphs --- */

/* "pieces": N of MODEL in EXPECTED.json; -1 where the model is not in it. */
static int expected_pieces(const char *json, const char *model) {
    char key[256];
    snprintf(key, sizeof key, "\"%s\": {", model);
    const char *at = strstr(json, key), *pieces = at ? strstr(at, "\"pieces\":") : NULL;
    return pieces ? atoi(pieces + 9) : -1;
}

typedef struct seen {
    int files, expected;
    char *json;
} seen;

static void read_real(const char *path, const char *dir, const char *file, seen *s) {
    size_t n;
    char *text = slurp(path, &n), message[2048];
    ck_assert_msg(text != NULL, "%s cannot be read", path);
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(!jc_fx_read(arena, path, text, n, &g, &err), "%s", jc_error_text(&err, message, sizeof message));
    for (size_t i = 0; i <= g->pieces.n; i++) {
        const jc_func *f = i < g->pieces.n ? g->pieces.at[i] : g->root;
        ck_assert_msg(!jc_verify(f, &err), "%s: %s", path, jc_error_text(&err, message, sizeof message));
        for (size_t k = 0; k < f->nodes.n; k++) /* nothing in them may be unknown */
            ck_assert_msg(!f->nodes.at[k]->target || f->nodes.at[k]->target[0] != JC_UNKNOWN_MARK, "%s:%d: %s", path,
                          f->nodes.at[k]->line, f->nodes.at[k]->target);
    }
    const int want = s->json ? expected_pieces(s->json, dir) : -1;
    if (want >= 0) {
        const bool split = strcmp(file, "split.py") == 0;
        ck_assert_msg((int)g->pieces.n == (split ? want : 0), "%s: %zu pieces", path, g->pieces.n);
        s->expected += split;
    }
    s->files++;
    jc_arena_free(arena);
    free(text);
}

static void walk(const char *path, const char *dir, seen *s) {
    DIR *d = opendir(path);
    ck_assert_msg(d != NULL, "%s cannot be opened", path);
    for (struct dirent *e; (e = readdir(d));) {
        char sub[1024];
        struct stat st;
        const size_t n = strlen(e->d_name);
        snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.' || stat(sub, &st))
            continue;
        if (S_ISDIR(st.st_mode))
            walk(sub, e->d_name, s);
        else if (n > 3 && strcmp(e->d_name + n - 3, ".py") == 0)
            read_real(sub, dir, e->d_name, s);
    }
    closedir(d);
}

START_TEST(every_real_graph_reads) {
    const char *dir = graphs_dir();
    char path[1024];
    size_t n;
    struct stat st;
    seen s = { 0 };
    if (stat(dir, &st)) {
        fprintf(stderr, "SKIP: every_real_graph_reads: there is no %s (JITC_GRAPHS)\n", dir);
        return;
    }
    snprintf(path, sizeof path, "%s/models/EXPECTED.json", dir);
    s.json = slurp(path, &n);
    walk(dir, "", &s);
    ck_assert_int_gt(s.files, 0);
    if (s.json)
        ck_assert_int_gt(s.expected, 0);
    free(s.json);
}
END_TEST

/* --- docs/operators.md --- */

/* How much of core ATen is compiled; of the rest spellings.def says why not. */
START_TEST(core_aten_is_known) {
    static const char *const core[] = {
#define CORE(name) #name,
#include "ir/fx/core_aten.def"
#undef CORE
    };
    static const struct {
        const char *name, *forms, *handler;
    } rows[] = {
#define SPELL(name, forms, params, handler, op, aux) { #name, forms, #handler },
#include "ir/fx/spellings.def"
#undef SPELL
    };
    const size_t n = sizeof core / sizeof *core;
    size_t compiled = 0;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            if (strchr(rows[k].forms, 'a') && strcmp(rows[k].name, core[i]) == 0) {
                known = true;
                compiled += strcmp(rows[k].handler, "refused") != 0;
                break;
            }
        ck_assert_msg(known, "aten.%s of core ATen has no row in spellings.def", core[i]);
    }
    printf("core ATen: %zu of %zu operators are compiled\n", compiled, n);
    ck_assert_uint_ge(compiled, 158);
}
END_TEST

START_TEST(operators_page_is_current) {
    size_t n;
    const char *path = TEST_SRCDIR "/docs/operators.md";
    FILE *p = popen(TEST_BUILDDIR "/docs/gen_operators", "r");
    ck_assert_ptr_nonnull(p);
    buffer got = { 0 };
    char block[4096];
    for (size_t k; (k = fread(block, 1, sizeof block, p)) > 0;)
        put(&got, block, k);
    ck_assert_msg(pclose(p) == 0 && got.n, "docs/gen_operators failed");
    char *text = slurp(path, &n);
    ck_assert_msg(text && strcmp(text, got.at) == 0, "%s is out of date: make update-docs", path);
    free(text);
    free(got.at);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int main(void) {
    Suite *suite = suite_create("fx");
    TCase *t = tcase_create("fx");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, goldens);
    tcase_add_loop_test(t, forms_that_do_not_matter, 0, COUNT(rewrites));
    tcase_add_test(t, lines_and_names_are_kept);
    tcase_add_test(t, text_is_borrowed_for_the_call_only);
    tcase_add_loop_test(t, nesting_is_bounded, 0, COUNT(nests));
    tcase_add_test(t, bytes_that_are_no_text);
    tcase_add_loop_test(t, cut_at_every_byte, 0, COUNT(small_files));
    tcase_add_loop_test(t, changed_at_every_byte, 0, COUNT(small_files));
    tcase_add_test(t, memory_runs_out_at_every_point);
    tcase_add_loop_test(t, memory_is_linear_in_the_text, 0, COUNT(growing));
    tcase_add_test(t, many_new_dims);
    tcase_add_test(t, many_operands);
    tcase_add_test(t, every_real_graph_reads);
    tcase_add_test(t, core_aten_is_known);
    tcase_add_test(t, operators_page_is_current);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
