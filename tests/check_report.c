/*
 * tests/check_report.c - what `jitc` shows: traces, pictures, reports, explanations, progress, help, the cache from outside.
 *
 * Every test spawns build/jitc in a directory of its own.  What is expected was worked out by hand from the graphs below.
 */
#define _GNU_SOURCE /* nftw, posix_openpt */
#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/tool_run.h"

/* Two layers: 0 and 2 double something and allocate, 1 and 3 are attention, which writes the buffer, 4 adds x. */
static const char graph_layers[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\"):\n"
    "        q: \"f32[s0, 4]\" = x * 2\n"
    "        out: \"f32[s0, 4]\" = torch.empty_like(q)\n"
    "        unified = torch.ops.vllm.unified_attention_with_output(q, q, q, out, '<script>alert(1)</script>&0');"
    "  q = unified = None\n"
    "        q2: \"f32[s0, 4]\" = out * 2;  out = None\n"
    "        out2: \"f32[s0, 4]\" = torch.empty_like(q2)\n"
    "        unified_1 = torch.ops.vllm.unified_attention_with_output(q2, q2, q2, out2, 'layers.1');"
    "  q2 = unified_1 = None\n"
    "        y: \"f32[s0, 4]\" = out2 + x;  out2 = x = None\n"
    "        return (y,)\n";
/* by piece: class */
static const unsigned layer_class[] = { 0, 1, 0, 1, 2 };
/* from, to, values: q and the buffer go to attention; what comes next takes the buffer from attention, which wrote it */
static const unsigned layer_edges[][3] = { { 0, 1, 2 }, { 1, 2, 1 }, { 2, 3, 2 }, { 3, 4, 1 } };

static const char graph_mul[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\", w: \"f32[4]\"):\n"
    "        mul: \"f32[s0, 4]\" = x * w;  x = w = None\n"
    "        add: \"f32[s0, 4]\" = mul + 1;  mul = None\n"
    "        return (add,)\n";

/* The same with something more in front, and another number at the end. */
static const char graph_more[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\", w: \"f32[4]\"):\n"
    "        exp: \"f32[s0, 4]\" = torch.exp(x);  x = None\n"
    "        mul: \"f32[s0, 4]\" = exp * w;  exp = w = None\n"
    "        add: \"f32[s0, 4]\" = mul + 1;  mul = None\n"
    "        return (add,)\n";

static const char graph_sum[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\"):\n"
    "        sum_1: \"f32[s0]\" = torch.sum(x, 1);  x = None\n"
    "        return (sum_1,)\n";

static const char graph_unknown[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\"):\n"
    "        y: \"f32[4]\" = torch.frobnicate(x);  x = None\n"
    "        return (y,)\n";

static void set_up(void) {
    tool_enter("report");
    write_text("layers.py", graph_layers);
    write_text("mul.py", graph_mul);
    write_text("more.py", graph_more);
    write_text("sum.py", graph_sum);
    write_text("unknown.py", graph_unknown);
}

static bool ends_with(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static int files_seen;
static int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)path;
    (void)st;
    (void)ftw;
    files_seen += type == FTW_F;
    return 0;
}

static int files_in(const char *path) {
    files_seen = 0;
    nftw(path, count_file, 16, FTW_PHYS);
    return files_seen;
}

/* --- traces --- */

static unsigned spans(const json_t *trace, const char *name, const char *arg) {
    size_t i;
    json_t *e;
    unsigned n = 0;
    json_array_foreach(json_object_get(trace, "traceEvents"), i, e) {
        if (strcmp(text(e, "name"), name) != 0)
            continue;
        ck_assert_str_eq(text(e, "ph"), "X");
        if (arg)
            ck_assert_msg(json_is_string(json_object_get(json_object_get(e, "args"), arg)), "a %s span has no %s", name, arg);
        n++;
    }
    return n;
}

/* What every viewer needs: complete events with times, and on each thread spans that nest. */
static void check_shape(const json_t *trace) {
    const json_t *events = json_object_get(trace, "traceEvents");
    size_t i, k;
    json_t *a, *b;
    ck_assert(json_is_array(events));
    json_array_foreach(events, i, a) {
        const char *phase = text(a, "ph");
        number(a, "pid");
        number(a, "tid");
        ck_assert(json_is_object(json_object_get(a, "args")));
        if (strcmp(phase, "M") == 0)
            continue;
        ck_assert_str_eq(phase, "X");
        ck_assert(real(a, "ts") >= 0 && real(a, "dur") >= 0);
        json_array_foreach(events, k, b) {
            if (k <= i || strcmp(text(b, "ph"), "X") != 0 || number(a, "tid") != number(b, "tid"))
                continue;
            double a_end = real(a, "ts") + real(a, "dur"), b_end = real(b, "ts") + real(b, "dur");
            ck_assert_msg(real(b, "ts") >= a_end - 0.01 || b_end <= a_end + 0.01, "%s and %s overlap on thread %lld",
                          text(a, "name"), text(b, "name"), number(a, "tid"));
        }
    }
}

static json_t *trace_of(const char *path) {
    json_t *trace = parse(whole(path, NULL));
    check_shape(trace);
    return trace;
}

START_TEST(test_trace_compile) {
    result r = jitc("compile --arch host --trace t.json -j 2 --json mul.py sum.py");
    json_t *j = expect_json(&r, 0), *trace = trace_of("t.json"), *e;
    size_t i;
    ck_assert_uint_eq(spans(trace, "read", "file"), 2);
    ck_assert_uint_eq(spans(trace, "canonicalise", "piece"), 2);
    ck_assert_uint_eq(spans(trace, "schedule", "class"), 2);
    ck_assert_uint_eq(spans(trace, "split", NULL), 1);
    ck_assert_uint_eq(spans(trace, "hash", NULL), 1);
    ck_assert_uint_ge(spans(trace, "lookup", NULL), 1);
    ck_assert_uint_eq(spans(trace, "llvm", "kernel"), (unsigned)number(json_object_get(j, "kernels"), "compiled"));
    json_array_foreach(json_object_get(trace, "traceEvents"), i, e) {
        const json_t *arg = json_object_get(e, "args");
        if (strcmp(text(e, "name"), "llvm") == 0)
            ck_assert_msg(strstr(r.out, text(arg, "kernel")) != NULL, "no kernel is called %s", text(arg, "kernel"));
        if (strcmp(text(e, "name"), "schedule") == 0)
            ck_assert_msg(strstr(r.out, text(arg, "class")) != NULL, "no class has the key %s", text(arg, "class"));
    }
    json_decref(trace);
    json_decref(j);
    /* A hit has no code generator in it. */
    r = jitc("compile --arch host --trace hit.json mul.py sum.py");
    expect(&r, 0);
    trace = trace_of("hit.json");
    ck_assert_uint_eq(spans(trace, "llvm", NULL), 0);
    ck_assert_uint_eq(spans(trace, "schedule", NULL), 0);
    ck_assert_uint_eq(spans(trace, "read", "file"), 2);
    json_decref(trace);
}
END_TEST

START_TEST(test_trace_run) {
    result r = jitc("run --device host --trace t.json mul.py");
    expect(&r, 0);
    json_t *trace = trace_of("t.json");
    ck_assert_uint_eq(spans(trace, "load", "of"), 1);
    ck_assert_uint_eq(spans(trace, "first run", NULL), 1);
    json_decref(trace);
    r = jitc("compile --arch host -o m.jitc mul.py");
    expect(&r, 0);
    r = jitc("bench --device host --repeat 2 --trace b.json m.jitc");
    expect(&r, 0);
    trace = trace_of("b.json");
    ck_assert_uint_ge(spans(trace, "load", "of"), 2); /* the file; the class's code */
    ck_assert_uint_eq(spans(trace, "llvm", NULL), 0);
    json_decref(trace);
}
END_TEST

START_TEST(test_trace_failures) {
    /* What went wrong keeps its exit code, and the trace says how far it got. */
    result r = jitc("compile --arch host --trace t.json unknown.py");
    expect(&r, 4);
    json_t *trace = trace_of("t.json");
    ck_assert_uint_eq(spans(trace, "read", "file"), 1);
    json_decref(trace);
    r = jitc("compile --arch host --trace nowhere/t.json mul.py");
    expect(&r, 3);
    ck_assert_ptr_nonnull(strstr(r.err, "nowhere/t.json"));
    ck_assert_int_ne(access("nowhere", F_OK), 0);
}
END_TEST

/* --- pictures --- */

/* The quoted string at *AT, unescaped; *AT moves behind it. */
static char *quoted(const char **at) {
    jc_bytes b = JC_BYTES(arena);
    ck_assert_msg(**at == '"', "expected a string at: %.40s", *at);
    for ((*at)++; **at != '"'; (*at)++) {
        ck_assert_msg(**at && **at != '\n', "a string does not end");
        if (**at == '\\')
            (*at)++;
        jc_put_u8(&b, (uint8_t)**at);
    }
    (*at)++;
    jc_put_u8(&b, 0);
    return (char *)b.at;
}

typedef struct attribute {
    char *name, *value;
} attribute;

/* "[a=b, c="d"]" */
static size_t attributes(const char **at, attribute *out, size_t max) {
    size_t n = 0;
    ck_assert_int_eq(*(*at)++, '[');
    for (;;) {
        ck_assert_uint_lt(n, max);
        size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
        ck_assert_msg(length > 0, "expected an attribute at: %.40s", *at);
        out[n].name = jc_arena_strndup(arena, *at, length);
        *at += length;
        ck_assert_int_eq(*(*at)++, '=');
        if (**at == '"') {
            out[n].value = quoted(at);
        } else {
            length = strcspn(*at, ",]");
            out[n].value = jc_arena_strndup(arena, *at, length);
            *at += length;
        }
        n++;
        if (*(*at)++ == ']')
            return n;
        ck_assert_int_eq((*at)[-1], ',');
        ck_assert_int_eq(*(*at)++, ' ');
    }
}

typedef struct picture {
    unsigned boxes, edges, clusters;
    struct {
        char *label, *cls, *colour;
    } box[64];
    unsigned edge[64][3];
} picture;

static unsigned digits(const char **at) {
    ck_assert_msg(isdigit((unsigned char)**at), "expected a number at: %.40s", *at);
    unsigned x = 0;
    while (isdigit((unsigned char)**at))
        x = 10 * x + (unsigned)(*(*at)++ - '0');
    return x;
}

static void read_box(picture *p, unsigned box, const char **at) {
    attribute list[8];
    size_t n = attributes(at, list, 8);
    ck_assert_uint_lt(box, 64);
    ck_assert_msg(!p->box[box].label, "p%u has two boxes", box);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, "label") == 0)
            p->box[box].label = list[i].value;
        if (strcmp(list[i].name, "class") == 0)
            p->box[box].cls = list[i].value;
        if (strcmp(list[i].name, "fillcolor") == 0)
            p->box[box].colour = list[i].value;
    }
    ck_assert(p->box[box].label && p->box[box].cls && p->box[box].colour);
    p->boxes++;
}

static void read_edge(picture *p, unsigned from, const char **at) {
    attribute list[1];
    ck_assert_uint_lt(p->edges, 64);
    unsigned *e = p->edge[p->edges++];
    *at += 5; /* " -> p" */
    e[0] = from;
    e[1] = digits(at);
    e[2] = 1;
    if (**at == ' ') {
        (*at)++;
        ck_assert_uint_eq(attributes(at, list, 1), 1);
        ck_assert_str_eq(list[0].name, "label");
        e[2] = (unsigned)atoi(list[0].value);
    }
}

static void read_line(picture *p, const char *at) {
    attribute list[8];
    while (*at == ' ')
        at++;
    if (strncmp(at, "//", 2) == 0 || strcmp(at, "}") == 0)
        return;
    if (strncmp(at, "subgraph cluster_", 17) == 0) {
        p->clusters++;
        ck_assert(ends_with(at, "{"));
        return;
    }
    if (at[0] == 'p' && isdigit((unsigned char)at[1])) {
        at++;
        unsigned box = digits(&at);
        if (strncmp(at, " -> p", 5) == 0) {
            read_edge(p, box, &at);
        } else {
            at++;
            read_box(p, box, &at);
        }
    } else if (strncmp(at, "label=", 6) == 0) {
        at += 6;
        quoted(&at);
    } else {
        ck_assert_msg(strncmp(at, "node ", 5) == 0, "what is '%s'?", at);
        at += 5;
        attributes(&at, list, 8);
    }
    ck_assert_msg(strcmp(at, ";") == 0, "a statement ends with '%s'", at);
}

static void read_picture(const char *dot, picture *p) {
    char *copy = jc_arena_strdup(arena, dot), *save = NULL;
    int depth = 0;
    memset(p, 0, sizeof *p);
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool opens = ends_with(line, "{");
        if (depth == 0)
            ck_assert_str_eq(line, "digraph jitc {");
        else
            read_line(p, line);
        depth += opens;
        depth -= ends_with(line, "}") && !strchr(line, '"');
    }
    ck_assert_int_eq(depth, 0);
}

START_TEST(test_dot) {
    result r = jitc("split --dot layers.py");
    picture p;
    expect(&r, 0);
    read_picture(r.out, &p);
    ck_assert_uint_eq(p.boxes, 5);
    ck_assert_uint_eq(p.clusters, 0);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_str_eq(p.box[i].label, jc_arena_printf(arena, "submod_%u", i));
        ck_assert_str_eq(p.box[i].cls, jc_arena_printf(arena, "class%u", layer_class[i]));
        ck_assert(strlen(p.box[i].colour) == 7 && strspn(p.box[i].colour + 1, "0123456789abcdef") == 6);
        for (unsigned k = 0; k < i; k++)
            ck_assert_int_eq(strcmp(p.box[i].colour, p.box[k].colour) == 0, layer_class[i] == layer_class[k]);
    }
    ck_assert_uint_eq(p.edges, sizeof layer_edges / sizeof *layer_edges);
    for (unsigned i = 0; i < p.edges; i++)
        ck_assert_mem_eq(p.edge[i], layer_edges[i], sizeof *layer_edges);
    result again = jitc("split --dot layers.py");
    ck_assert_str_eq(r.out, again.out);
}
END_TEST

START_TEST(test_dot_files) {
    picture p;
    write_text("a\"\\b.py", graph_layers);
    result r = jitc("split --dot a\"\\b.py mul.py");
    expect(&r, 0);
    read_picture(r.out, &p);
    ck_assert_uint_eq(p.boxes, 6);
    ck_assert_uint_eq(p.clusters, 2);
    ck_assert_uint_eq(p.edges, 4);
    ck_assert_ptr_nonnull(strstr(r.out, "label=\"a\\\"\\\\b.py\";"));
    r = jitc("split --dot --json mul.py");
    json_t *j = expect_json(&r, 0);
    read_picture(text(j, "dot"), &p);
    ck_assert_uint_eq(p.boxes, 1);
    ck_assert_int_eq(number(j, "pieces"), 1);
    json_decref(j);
}
END_TEST

/* --- reports --- */

static bool is_void(const char *tag, size_t n) {
    static const char *const tags[] = { "meta", "br", "!DOCTYPE" };
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (strlen(tags[i]) == n && memcmp(tags[i], tag, n) == 0)
            return true;
    return false;
}

/* Every tag is one of ours, closed in order; every '&' starts a reference; nothing points out of the page. */
static void check_page(const char *page) {
    static const char *const known[] = { "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "a", "br", "b",
                                         "table", "tr", "th", "td", "div", "code", "pre", "details", "summary", "!DOCTYPE" };
    static const char *const never[] = { "http:", "https:", "src=", "@import", "url(", "<script", "javascript:", "<link", "//cdn" };
    char stack[64][16];
    int depth = 0;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        ck_assert_msg(strcasestr(page, never[i]) == NULL, "the page has %s", never[i]);
    for (const char *at = page; (at = strchr(at, '<')); at++) {
        bool close = at[1] == '/', ours = false;
        const char *name = at + 1 + close;
        size_t n = strcspn(name, " >");
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            ours |= strlen(known[i]) == n && memcmp(known[i], name, n) == 0;
        ck_assert_msg(ours, "a tag of somebody else: %.40s", at);
        if (is_void(name, n))
            continue;
        if (close) {
            ck_assert_msg(depth > 0 && strlen(stack[depth - 1]) == n && memcmp(stack[depth - 1], name, n) == 0,
                          "%.20s closes '%s'", at, depth ? stack[depth - 1] : "nothing");
            depth--;
        } else {
            ck_assert_int_lt(depth, 64);
            snprintf(stack[depth++], sizeof *stack, "%.*s", (int)n, name);
        }
    }
    ck_assert_int_eq(depth, 0);
    for (const char *at = page; (at = strstr(at, "href=\"")); at++)
        ck_assert_int_eq(at[6], '#');
    for (const char *at = page; (at = strchr(at, '&')); at++) {
        size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyzFDx#0123456789");
        ck_assert_msg(at[1 + n] == ';', "a bare &: %.20s", at);
    }
}

static void page_has(const char *page, const char *what) {
    ck_assert_msg(strstr(page, what) != NULL, "the page lacks '%s'", what);
}

START_TEST(test_report_split) {
    write_text("a<b>&\"'\xff.py", graph_layers);
    result r = jitc("split --json --report deep/down/ a<b>&\"'\xff.py more.py");
    json_t *j = expect_json(&r, 0), *piece;
    char *page = whole("deep/down/index.html", NULL);
    size_t i;
    check_page(page);
    page_has(page, "6 pieces, 4 classes");
    page_has(page, "default-src 'none'");
    page_has(page, "a&lt;b&gt;&amp;&quot;&#39;&#xFFFD;.py");
    page_has(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;0");
    page_has(page, "<code>layers.1</code>");
    page_has(page, "func canonical("); /* stages */
    page_has(page, "canonicalise");    /* times */
    json_array_foreach(json_object_get(j, "piece"), i, piece) {
        page_has(page, text(piece, "key"));
        page_has(page, jc_arena_printf(arena, "<code>%s</code>", text(piece, "name")));
    }
    json_decref(j);
    ck_assert_int_eq(files_in("deep"), 1);
    ck_assert_ptr_null(strstr(page, "compiled,")); /* nothing was */
}
END_TEST

START_TEST(test_report_compile) {
    result r = jitc("compile --arch host --json --report out mul.py more.py");
    json_t *j = expect_json(&r, 0), *c, *k;
    char *page = whole("out/index.html", NULL);
    size_t i, n;
    check_page(page);
    page_has(page, "&#10007; compiled, host");
    ck_assert_ptr_null(strstr(page, "&#10003; hit"));
    page_has(page, "<summary>kernels, host</summary>");
    page_has(page, "<summary>plan, host</summary>");
    page_has(page, "<td>llvm</td>");
    /* Each is nearest to the other: multiplication and addition are in both, exp is in one. */
    page_has(page, "with which it shares 2 of its 2 nodes");
    page_has(page, "with which it shares 2 of its 3 nodes");
    page_has(page, "exp: &quot;f32[s0, 4]&quot; = torch.exp(x);  x = None");
    json_array_foreach(json_object_get(j, "class"), i, c)
        json_array_foreach(json_object_get(c, "kernels"), n, k)
            page_has(page, json_string_value(k));
    json_decref(j);
    r = jitc("compile --arch host --report out mul.py more.py");
    expect(&r, 0);
    page = whole("out/index.html", NULL);
    page_has(page, "&#10003; hit, host");
    ck_assert_ptr_null(strstr(page, "&#10007; compiled"));
    ck_assert_int_eq(files_in("out"), 1);
}
END_TEST

START_TEST(test_report_archs) {
    result r = jitc("compile --arch sm_80,host --range 1:16 --range 17:64 --report out mul.py");
    expect(&r, 0);
    char *page = whole("out/index.html", NULL);
    check_page(page);
    page_has(page, "compiled, sm_80 s0 in 1:16");
    page_has(page, "compiled, host s0 in 17:64");
    page_has(page, "<summary>kernels, sm_80, range 2 of 2</summary>");
}
END_TEST

START_TEST(test_report_trouble) {
    result r = jitc("split --report mul.py/x mul.py");
    expect(&r, 3);
    ck_assert_str_eq(whole("mul.py", NULL), graph_mul);
    write_text("file", "x");
    r = jitc("split --report file mul.py");
    expect(&r, 3);
    ck_assert_str_eq(whole("file", NULL), "x");
}
END_TEST

/* --- explanations --- */

START_TEST(test_explain_nearest) {
    result r = jitc("explain --json layers.py");
    json_t *j = expect_json(&r, 0), *list = json_object_get(j, "class");
    ck_assert_uint_eq(json_array_size(list), 3);
    const json_t *a = json_array_get(list, 0), *b = json_array_get(list, 1), *c = json_array_get(list, 2);
    ck_assert_int_eq(number(a, "nearest"), 2);
    ck_assert(json_is_null(json_object_get(b, "nearest"))); /* attention: the only splitting class */
    ck_assert_int_eq(number(c, "nearest"), 0);
    ck_assert_int_eq(number(a, "members"), 2);
    ck_assert_int_eq(number(a, "common_nodes"), 0);
    const json_t *d = json_object_get(a, "first_difference");
    ck_assert_int_eq(number(d, "node"), 0);
    ck_assert_int_eq(number(d, "a_line"), 3);
    ck_assert_int_eq(number(d, "b_line"), 9);
    ck_assert_uint_eq(strncmp(text(d, "a"), "mul(", 4), 0);
    ck_assert_uint_eq(strncmp(text(d, "b"), "add(", 4), 0);
    json_decref(j);

    r = jitc("explain layers.py");
    expect(&r, 0);
    ck_assert_ptr_nonnull(strstr(r.out, "class 1 (submod_1, 2 members): there is no other splitting class\n"));
    ck_assert_ptr_nonnull(strstr(r.out, "class 0 (submod_0, 2 members) is not class 2 (submod_4), with which it shares 0 of its "));
    ck_assert_ptr_nonnull(strstr(r.out, "  layers.py:3: mul("));
    ck_assert_ptr_nonnull(strstr(r.out, "\n      q: \"f32[s0, 4]\" = x * 2\n"));
    ck_assert_ptr_nonnull(strstr(r.out, "\n      y: \"f32[s0, 4]\" = out2 + x;  out2 = x = None\n"));

    r = jitc("explain --json --piece submod_2 layers.py");
    j = expect_json(&r, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "class")), 1);
    json_decref(j);
    r = jitc("explain --piece submod_9 layers.py");
    expect(&r, 2);
}
END_TEST

/* An input whose type differs is called by its name. */
START_TEST(test_explain_input) {
    char *wide = jc_arena_strdup(arena, graph_sum);
    for (char *at = wide; (at = strstr(at, "f32[s0, 4]")); at++)
        at[8] = '8';
    write_text("wide.py", wide);
    result r = jitc("explain sum.py wide.py");
    expect(&r, 1);
    ck_assert_ptr_nonnull(strstr(r.out, "they part at type of input 0, node 0\n"));
    ck_assert_ptr_nonnull(strstr(r.out, "  sum.py:2: f32[s0, 4] is 'x'\n"));
    ck_assert_ptr_nonnull(strstr(r.out, "  wide.py:2: f32[s0, 8] is 'x'\n"));
}
END_TEST

static const char *graphs(void) {
    const char *env = getenv("JITC_GRAPHS");
    return env && *env ? env : TEST_SRCDIR "/../shared/graphs";
}

/* Captured models and the number of classes that are no splitting ones and have no other of their kind. */
static const char *const captured[] = {
    "models/opt-125m/full.py", "models/qwen3.5-35b-a3b/full.py", "models/gpt-oss-120b/full.py",
    "models/ernie-4.5-21b-strings/split.py", "models/llama-3.3-70b-fp8/split.py",
    "tiny/llama/full.py", "tiny/deepseek/split.py", "tiny/mamba2/full.py", "tiny/qwen3_5/full.py",
};

START_TEST(test_explain_captured) {
    const char *path = jc_arena_printf(arena, "%s/%s", graphs(), captured[_i]);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "SKIP: there is no %s\n", path);
        return;
    }
    result r = jitc("explain --json %s", path);
    json_t *j = expect_json(&r, 0), *list = json_object_get(j, "class"), *c, *other;
    size_t i, k;
    ck_assert_uint_eq(json_array_size(list), (size_t)number(j, "classes"));
    json_array_foreach(list, i, c) {
        unsigned alike = 0; /* other classes of its kind */
        json_array_foreach(list, k, other)
            alike += k != i && json_equal(json_object_get(c, "splitting"), json_object_get(other, "splitting"));
        ck_assert_int_eq(json_is_null(json_object_get(c, "nearest")), alike == 0);
        if (!alike)
            continue;
        const json_t *d = json_object_get(c, "first_difference");
        ck_assert_int_ne(number(c, "nearest"), (long long)i);
        ck_assert_msg(number(d, "a_line") > 0 && number(d, "b_line") > 0, "%s: class %zu has no lines", captured[_i], i);
        ck_assert_str_ne(text(d, "a"), text(d, "b"));
        ck_assert_int_le(number(c, "common_nodes"), number(c, "nodes"));
    }
    json_decref(j);
}
END_TEST

/* The layers of Qwen3.5 are followed by GDN (an input projection of 12288 rows) or by attention (9216): nothing else differs. */
START_TEST(test_explain_qwen) {
    const char *path = jc_arena_printf(arena, "%s/models/qwen3.5-35b-a3b/full.py", graphs());
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "SKIP: there is no %s\n", path);
        return;
    }
    result r = jitc("explain --json --piece submod_2 %s", path);
    json_t *j = expect_json(&r, 0);
    const json_t *c = json_array_get(json_object_get(j, "class"), 0), *d = json_object_get(c, "first_difference");
    ck_assert_str_eq(text(d, "a"), "bf16[12288, 2048]");
    ck_assert_str_eq(text(d, "b"), "bf16[9216, 2048]");
    ck_assert_ptr_nonnull(strstr(text(d, "what"), "type of input"));
    json_decref(j);
}
END_TEST

/* --- progress --- */

/* Runs with a terminal for standard error and gives what it showed. */
static char *on_terminal(const char *args, int code) {
    int master = posix_openpt(O_RDWR | O_NOCTTY), flags;
    jc_bytes b = JC_BYTES(arena);
    char block[1024];
    ssize_t n;
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    ck_assert_int_eq(spawn(JITC, words_of((char[]){ "jitc" }, jc_arena_strdup(arena, args)), NULL, slave), code);
    flags = fcntl(master, F_GETFL);
    fcntl(master, F_SETFL, flags | O_NONBLOCK);
    while ((n = read(master, block, sizeof block)) > 0)
        jc_put(&b, block, (size_t)n);
    close(slave);
    close(master);
    jc_put_u8(&b, 0);
    return (char *)b.at;
}

START_TEST(test_progress) {
    char *shown = on_terminal("compile --arch host --no-cache mul.py sum.py more.py", 0);
    ck_assert_msg(strstr(shown, "compiling 1/") != NULL, "the terminal shows: %s", shown);
    ck_assert_msg(ends_with(shown, "\r\033[K"), "the line is left standing: %s", shown);
    shown = on_terminal("compile --arch host --no-cache -q mul.py sum.py more.py", 0);
    ck_assert_str_eq(shown, "");
    result r = jitc("compile --arch host --no-cache mul.py sum.py more.py");
    expect(&r, 0);
    ck_assert_str_eq(r.err, ""); /* no terminal */
    r = jitc("run --device host mul.py");
    expect(&r, 0);
    ck_assert_ptr_nonnull(strstr(r.err, "made up"));
    r = jitc("run --device host --quiet mul.py");
    expect(&r, 0);
    ck_assert_str_eq(r.err, "");
}
END_TEST

/* --- help and options --- */

static const char *const commands[] = { "split", "compile", "run", "explain", "dump", "cache", "bench", "check", "doctor",
                                        "version" };
#define NCOMMANDS (sizeof commands / sizeof *commands)

/* DESIGN's table: an option with a value, and who takes it. */
static const struct {
    const char *option, *by;
} options[] = {
    { "--arch sm_90a", "split compile run explain dump bench check" },
    { "--device host", "split compile run explain dump bench check doctor" },
    { "--cache d", "split compile run explain dump cache bench check doctor" },
    { "--no-cache", "split compile run explain dump bench check" },
    { "--sym s72=8", "run bench" },
    { "--range 1:8192", "split compile run explain dump bench check" },
    { "--range s72=1:8192", "split compile run explain dump bench check" },
    { "--strides f.json", "split compile run explain dump bench check" },
    { "--inputs f.safetensors", "run bench" },
    { "--outputs f.safetensors", "run" },
    { "--seed 1", "run bench" },
    { "--names f.json", "run bench" },
    { "--name p=x", "run bench" },
    { "--plugin p.so", "split compile run explain dump bench check" },
    { "--piece submod_1", "split run explain dump bench" },
    { "--verify", "run" },
    { "--rtol 1e-3", "run" },
    { "--atol 1e-3", "run" },
    { "--no-lift-names", "split compile run explain dump bench check" },
    { "--split-op mamba_mixer", "split compile run explain dump bench check" },
    { "--provider rms_norm=native", "split compile run explain dump bench check" },
    { "--mode strict", "split compile run explain dump bench check" },
    { "-j 2", "split compile run explain dump bench check" },
    { "--jobs=2", "split compile run explain dump bench check" },
    { "--stage=plan", "dump" },
    { "--repeat 3", "run bench" },
    { "--load-only", "run" },
    { "--dot", "split" },
    { "--report d", "split compile" },
    { "--trace f.json", "compile run bench" },
    { "-o f", "compile dump" },
    { "--max-classes 3", "check" },
    { "--max-misses 3", "check" },
    { "-q", "split compile run explain dump cache bench check doctor version" },
    { "--json", "split compile run explain dump cache bench check doctor version" },
};

static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

START_TEST(test_option) {
    const char *option = options[_i].option;
    const char *name = jc_arena_strndup(arena, option, strcspn(option, " ="));
    for (size_t c = 0; c < NCOMMANDS; c++) {
        bool takes = has_word(options[_i].by, commands[c]);
        result r = jitc("%s %s --help", commands[c], option);
        ck_assert_msg(r.code == (takes ? 0 : 2), "jitc %s %s: exit code %d", commands[c], option, r.code);
        if (takes)
            ck_assert_msg(strstr(r.out, name) != NULL, "the help of %s does not mention %s", commands[c], name);
        else
            ck_assert_msg(strstr(r.err, commands[c]) || strstr(r.err, "did you mean"), "%s", r.err);
    }
    char *manual = whole(TEST_SRCDIR "/docs/tool.md", NULL);
    ck_assert_msg(strstr(manual, name) != NULL, "docs/tool.md does not mention %s", name);
}
END_TEST

START_TEST(test_help) {
    const char *command = commands[_i];
    result r = jitc("%s --help", command);
    char *manual = whole(TEST_SRCDIR "/docs/tool.md", NULL), *at = r.out;
    expect(&r, 0);
    ck_assert_msg(strstr(r.out, jc_arena_printf(arena, "jitc %s - ", command)) == r.out, "%s", r.out);
    page_has(r.out, jc_arena_printf(arena, "usage: jitc %s [OPTION]...", command));
    page_has(r.out, "\nOptions\n");
    page_has(r.out, "\nExit codes\n");
    page_has(r.out, jc_arena_printf(arena, "\nExamples\n  jitc %s", command));
    page_has(manual, jc_arena_printf(arena, "`jitc %s", command));
    /* What the page lists, the manual has, and the table above has been asked about, but for --help and what only run has. */
    while ((at = strstr(at, "--"))) {
        size_t n = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
        const char *option = jc_arena_strndup(arena, at, n);
        ck_assert_msg(strstr(manual, option) != NULL, "docs/tool.md does not mention %s", option);
        at += n;
    }
    r = jitc("--help");
    page_has(r.out, jc_arena_printf(arena, "  %s ", command));
}
END_TEST

/* --- bench --- */

START_TEST(test_bench) {
    result r = jitc("bench --device host --repeat 5 --json mul.py sum.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "run")), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *run = json_array_get(json_object_get(j, "run"), i);
        ck_assert_int_eq(number(run, "repeat"), 5);
        ck_assert(real(run, "min_us") > 0);
        ck_assert(real(run, "min_us") <= real(run, "median_us") && real(run, "median_us") <= real(run, "max_us"));
    }
    json_decref(j);
    r = jitc("bench --device host --repeat 3 --piece submod_0 mul.py");
    expect(&r, 0);
    page_has(r.out, "median");
    page_has(r.out, "mul.py submod_0");
    r = jitc("bench --repeat=-1 mul.py");
    expect(&r, 2);
}
END_TEST

/* --- the cache --- */

static char entry_path[4096];
static int find_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    if (type == FTW_F && strlen(path + ftw->base) == 64)
        strcpy(entry_path, path);
    return 0;
}

/* Some entry, and its shard. */
static char *some_entry(char **shard) {
    entry_path[0] = 0;
    nftw("cache", find_entry, 16, FTW_PHYS);
    ck_assert_msg(entry_path[0], "the cache has no entry");
    char *path = jc_arena_strdup(arena, entry_path);
    *shard = jc_arena_strndup(arena, path, (size_t)(strrchr(path, '/') - path));
    return path;
}

static json_t *cache_json(const char *action, int code) {
    result r = jitc("cache %s --json", action);
    return expect_json(&r, code);
}

START_TEST(test_cache) {
    json_t *j = cache_json("stats", 0);
    ck_assert_int_eq(number(j, "entries"), 0); /* there is no directory yet */
    json_decref(j);
    ck_assert_int_ne(access("cache", F_OK), 0);
    result r = jitc("compile --arch host mul.py");
    expect(&r, 0);
    j = cache_json("stats", 0);
    long long entries = number(j, "entries");
    ck_assert_int_ge(entries, 1);
    ck_assert_int_eq(entries + 3, files_in("cache")); /* and the lock, the log, and when it was last pruned */
    ck_assert_int_gt(number(j, "bytes"), 0);
    json_decref(j);
    j = cache_json("verify", 0);
    ck_assert_int_eq(number(j, "ok"), entries);
    ck_assert_int_eq(number(j, "class_entries"), 1);
    ck_assert_int_eq(number(j, "class_entries") + number(j, "kernel_entries"), entries);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "damaged")), 0);
    json_decref(j);

    /* What a killed writer leaves, what a lookup sets aside, and what somebody put there. */
    char *shard, *path = some_entry(&shard);
    write_text(jc_arena_printf(arena, "%s/tmp.1.2.3.0", shard), "half");
    write_text(jc_arena_printf(arena, "%s.bad", path), "bad");
    write_text(jc_arena_printf(arena, "%s/README", shard), "mine");
    j = cache_json("stats", 0);
    ck_assert_int_eq(number(j, "entries"), entries);
    ck_assert_int_eq(number(j, "temporary"), 1);
    ck_assert_int_eq(number(j, "temporary_bytes"), 4);
    ck_assert_int_eq(number(j, "bad"), 1);
    ck_assert_int_eq(number(j, "other"), 1);
    json_decref(j);
    j = cache_json("clear", 0);
    ck_assert_int_eq(number(j, "removed"), entries + 2);
    json_decref(j);
    ck_assert_int_eq(files_in("cache"), 2); /* the lock file stays: others may be waiting */
    ck_assert_str_eq(whole(jc_arena_printf(arena, "%s/README", shard), NULL), "mine");
    j = cache_json("stats", 0);
    ck_assert_int_eq(number(j, "entries"), 0);
    json_decref(j);
    r = jitc("compile --arch host --json mul.py");
    j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "compiled"), 1);
    json_decref(j);
}
END_TEST

/* Ways to damage an entry: each is found, named, and left as it is. */
enum { FLIP, TRUNCATE, RENAME, EMPTY, DAMAGES };

START_TEST(test_cache_damage) {
    result r = jitc("compile --arch host mul.py");
    expect(&r, 0);
    char *shard, *path = some_entry(&shard);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    if (_i == FLIP) {
        fseek(f, (long)st.st_size / 2, SEEK_SET);
        int c = fgetc(f);
        fseek(f, (long)st.st_size / 2, SEEK_SET);
        fputc(c ^ 1, f);
    }
    fclose(f);
    if (_i == TRUNCATE)
        ck_assert_int_eq(truncate(path, st.st_size - 1), 0);
    if (_i == EMPTY)
        ck_assert_int_eq(truncate(path, 0), 0);
    if (_i == RENAME) { /* whole, but for another key */
        char *other = jc_arena_strdup(arena, path), *last = other + strlen(other) - 1;
        *last = *last == '0' ? '1' : '0';
        ck_assert_int_eq(rename(path, other), 0);
        path = other;
    }
    ck_assert_int_eq(stat(path, &st), 0);
    json_t *j = cache_json("verify", 1), *damaged = json_object_get(j, "damaged");
    ck_assert_uint_eq(json_array_size(damaged), 1);
    ck_assert_str_eq(json_string_value(json_array_get(damaged, 0)), path);
    json_decref(j);
    struct stat now;
    ck_assert_int_eq(stat(path, &now), 0);
    ck_assert(now.st_size == st.st_size && now.st_ino == st.st_ino);
    r = jitc("cache verify");
    expect(&r, 1);
    page_has(r.out, jc_arena_printf(arena, "damaged: %s\n", path));
}
END_TEST

/* Entries are listed by what their keys are made of, and pruned down to a number. */
START_TEST(test_cache_ls_and_prune) {
    result r = jitc("compile --arch host --range 1 --range 8 mul.py");
    expect(&r, 0);
    json_t *j = cache_json("ls", 0), *entries = json_object_get(j, "entries"), *entry, *field;
    size_t i, classes = 0, graphs = 0, n = json_array_size(entries);
    const char *key = NULL;
    ck_assert_uint_ge(n, 3);
    json_array_foreach(entries, i, entry)
        if (strcmp(json_string_value(json_object_get(entry, "kind")), "class") == 0) {
            key = jc_arena_strdup(arena, json_string_value(json_object_get(entry, "key")));
            ck_assert_str_eq(json_string_value(json_object_get(entry, "target")), "host");
            classes++;
        }
    json_decref(j);
    ck_assert_uint_eq(classes, 2);
    j = cache_json(jc_arena_printf(arena, "show %.12s", key), 0);
    entry = json_array_get(json_object_get(j, "entries"), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "entries")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(entry, "key")), key);
    json_array_foreach(json_object_get(entry, "fields"), i, field)
        graphs += strcmp(json_string_value(json_object_get(field, "field")), "canonical form") == 0;
    ck_assert_uint_eq(graphs, 1);
    json_decref(j);
    j = cache_json("prune --max-entries 1", 0);
    ck_assert_int_eq(number(j, "removed"), (int64_t)n - 1);
    ck_assert_int_eq(number(j, "left"), 1);
    json_decref(j);
    j = cache_json("stats", 0);
    ck_assert_int_eq(number(j, "entries"), 1);
    json_decref(j);
}
END_TEST

/* Why a class was compiled again: the nearest key, and where the two part. */
START_TEST(test_cache_log) {
    static const char *const ranges[] = { "1", "8" };
    json_t *j, *line;
    const char *first = NULL;
    size_t i, classes = 0;
    for (int k = 0; k < 2; k++) {
        result r = jitc("compile --arch host --range %s mul.py", ranges[k]);
        expect(&r, 0);
        r = jitc("compile --arch host --range %s mul.py", ranges[k]);
        expect(&r, 0);
    }
    j = cache_json("log", 0);
    json_array_foreach(json_object_get(j, "built"), i, line) {
        if (strcmp(json_string_value(json_object_get(line, "kind")), "class") != 0)
            continue;
        ck_assert_str_eq(json_string_value(json_object_get(line, "program")), "jitc");
        if (classes++ == 0) {
            first = jc_arena_strdup(arena, json_string_value(json_object_get(line, "key")));
            ck_assert(json_is_null(json_object_get(line, "nearest")));
            continue;
        }
        ck_assert_str_eq(json_string_value(json_object_get(line, "nearest")), first);
        ck_assert_str_eq(json_string_value(json_object_get(line, "first_difference")), "ranges of the symbols");
    }
    ck_assert_uint_eq(classes, 2);
    ck_assert_int_eq(number(j, "unreadable"), 0);
    json_decref(j);
    j = cache_json("stats", 0);
    ck_assert_int_eq(number(j, "hits"), 2);
    ck_assert_int_eq(number(j, "misses"), number(j, "entries"));
    json_decref(j);
}
END_TEST

/* Carried to another directory, entries serve there; what others may write to is not taken in. */
START_TEST(test_cache_carried) {
    result r = jitc("compile --arch host mul.py");
    expect(&r, 0);
    json_t *j = cache_json("export entries.jc", 0);
    long long n = number(j, "exported");
    ck_assert_int_ge(n, 2);
    json_decref(j);
    j = cache_json("import entries.jc --cache other", 0);
    ck_assert_int_eq(number(j, "imported"), n);
    json_decref(j);
    j = cache_json("export layer/ --cache other", 0);
    ck_assert_int_eq(number(j, "exported"), n);
    json_decref(j);
    r = jitc("compile --arch host --no-cache --read-cache layer --json mul.py");
    j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "hits"), 1);
    json_decref(j);
    ck_assert_int_eq(chmod("entries.jc", 0666), 0);
    r = jitc("cache import entries.jc --cache third");
    ck_assert_int_eq(r.code, 3);
    page_has(r.err, "--trust-files");
    r = jitc("cache import entries.jc --trust-files --cache third");
    expect(&r, 0);
}
END_TEST

/* Entries by who has not the key are misses, and a key that others can read is none. */
START_TEST(test_cache_key) {
    result r = jitc("compile --arch host mul.py");
    expect(&r, 0);
    write_text("key", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    ck_assert_int_eq(chmod("key", 0600), 0);
    setenv("JITC_CACHE_KEY", "key", 1);
    for (int hits = 0; hits < 2; hits++) {
        r = jitc("compile --arch host --json mul.py");
        json_t *j = expect_json(&r, 0);
        ck_assert_int_eq(number(j, "hits"), hits);
        json_decref(j);
    }
    ck_assert_int_eq(chmod("key", 0644), 0);
    r = jitc("compile --arch host --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "hits"), 0);
    json_decref(j);
    page_has(r.err, "chmod 600");
    unsetenv("JITC_CACHE_KEY");
}
END_TEST

static const struct {
    const char *args;
    int code;
    const char *says;
} cache_usage[] = {
    { "cache", 2, "needs an action" },
    { "cache frob", 2, "stats, ls, show, " },
    { "cache show", 2, "takes one word more" },
    { "cache show xyz", 3, "no entry whose key begins with 'xyz'" },
    { "cache prune --max-bytes 0", 2, "jitc cache clear" },
    { "cache stats clear", 2, "not also 'clear'" },
    { "cache stats --cache mul.py", 3, "not a directory" },
    { "cache stats --arch host", 2, "takes no --arch" },
};

START_TEST(test_cache_usage) {
    result r = jitc("%s", cache_usage[_i].args);
    ck_assert_msg(r.code == cache_usage[_i].code, "jitc %s: exit code %d: %s", cache_usage[_i].args, r.code, r.err);
    ck_assert_msg(strstr(r.err, cache_usage[_i].says) != NULL, "jitc %s says: %s", cache_usage[_i].args, r.err);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("report");
    TCase *t = tcase_create("report");
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_trace_compile);
    tcase_add_test(t, test_trace_run);
    tcase_add_test(t, test_trace_failures);
    tcase_add_test(t, test_dot);
    tcase_add_test(t, test_dot_files);
    tcase_add_test(t, test_report_split);
    tcase_add_test(t, test_report_compile);
    tcase_add_test(t, test_report_archs);
    tcase_add_test(t, test_report_trouble);
    tcase_add_test(t, test_explain_nearest);
    tcase_add_test(t, test_explain_input);
    tcase_add_loop_test(t, test_explain_captured, 0, sizeof captured / sizeof *captured);
    tcase_add_test(t, test_explain_qwen);
    tcase_add_test(t, test_progress);
    tcase_add_loop_test(t, test_option, 0, sizeof options / sizeof *options);
    tcase_add_loop_test(t, test_help, 0, NCOMMANDS);
    tcase_add_test(t, test_bench);
    tcase_add_test(t, test_cache);
    tcase_add_loop_test(t, test_cache_damage, 0, DAMAGES);
    tcase_add_test(t, test_cache_ls_and_prune);
    tcase_add_test(t, test_cache_log);
    tcase_add_test(t, test_cache_carried);
    tcase_add_test(t, test_cache_key);
    tcase_add_loop_test(t, test_cache_usage, 0, sizeof cache_usage / sizeof *cache_usage);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
