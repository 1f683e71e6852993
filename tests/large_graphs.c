/*
 * tests/large_graphs.c - see large_graphs.h.
 */
#include "tests/large_graphs.h"

#include <stdlib.h>
#include <string.h>

#define X64 "s0: \"Sym(s0)\", x: \"f32[s0, 64]\""

static void chain(FILE *f, int n, const char *const *ops, int nops) {
    fprintf(f, "    def forward(self, " X64 "):\n        a0 = x + 1.0\n        b = x + 2.0\n");
    for (int i = 1; i < n; i++) {
        fprintf(f, "        a%d = ", i);
        for (const char *p = ops[i % nops]; *p; p++)
            *p == '@' ? fprintf(f, "a%d", i - 1) : fputc(*p, f);
        fputc('\n', f);
    }
    fprintf(f, "        return (a%d,)\n", n - 1);
}

static void adds(FILE *f, int n) {
    static const char *const ops[] = { "@ + x" };
    chain(f, n, ops, 1);
}

static void functions(FILE *f, int n) {
    static const char *const ops[] = { "torch.sin(@)", "@ * b", "torch.exp(@)", "torch.tanh(@)", "@ - x" };
    chain(f, n, ops, 5);
}

static void reductions(FILE *f, int n) {
    static const char *const ops[] = { "@ * @.sum(dim = -1, keepdim = True)" };
    chain(f, n, ops, 1);
}

static void norms(FILE *f, int n) {
    static const char *const ops[] = { "torch.softmax(@, -1)" };
    chain(f, n, ops, 1);
}

static void doubles(FILE *f, int n) {
    static const char *const ops[] = { "@ + @" };
    chain(f, n, ops, 1);
}

static void results(FILE *f, int n, const char *format) {
    for (int i = 0; i < n; i++)
        fprintf(f, format, i, i);
}

static void wide(FILE *f, int n) {
    fprintf(f, "    def forward(self, " X64 "):\n");
    results(f, n, "        a%d = x * %d.5\n");
    fprintf(f, "        return (");
    results(f, n, "a%d, ");
    fprintf(f, ")\n");
}

static void parts(FILE *f, int n) {
    fprintf(f, "    def forward(self, " X64 "):\n");
    results(f, n, "        a%d = x * %d.5\n");
    fprintf(f, "        c = torch.cat([");
    results(f, n, "a%d, ");
    fprintf(f, "], 1)\n        return (c,)\n");
}

/* Views of views of what is computed, each used. */
static void views(FILE *f, int n) {
    fprintf(f, "    def forward(self, " X64 "):\n        v0 = x + 1.0\n        a0 = v0 * 2.0\n");
    for (int i = 1; i < n; i++)
        fprintf(f, "        v%d = v%d.transpose(0, 1)\n        a%d = v%d * %d.5\n", i, i - 1, i, i, i);
    fprintf(f, "        return (");
    results(f, n, "a%d, ");
    fprintf(f, ")\n");
}

static void writes(FILE *f, int n) {
    fprintf(f, "    def forward(self, " X64 "):\n");
    for (int i = 0; i < n; i++)
        fprintf(f, "        a%d = x[:, %d].add_(1.0)\n", i, i % 64);
    fprintf(f, "        return (x,)\n");
}

static void lookups(FILE *f, int n) {
    fprintf(f, "    def forward(self, s0: \"Sym(s0)\", t: \"f32[9, 4]\", k: \"i64[s0]\"):\n");
    for (int i = 0; i < n; i++)
        fprintf(f, "        j%d = k + %d\n        a%d = t.index_select(0, j%d)\n", i, i, i, i);
    fprintf(f, "        return (");
    results(f, n, "a%d, ");
    fprintf(f, ")\n");
}

static void operands(FILE *f, int n) {
    fprintf(f, "    def forward(self, ");
    for (int i = 0; i < n; i++)
        fprintf(f, "x%d: \"f32[4, 64]\", ", i);
    fprintf(f, "):\n        a1 = x0 + x1\n");
    for (int i = 2; i < n; i++)
        fprintf(f, "        a%d = a%d + x%d\n", i, i - 1, i);
    fprintf(f, "        return (a%d,)\n", n - 1);
}

/* Operands that each have a size of their own. */
static void sizes(FILE *f, int n) {
    fprintf(f, "    def forward(self, ");
    for (int i = 0; i < n; i++)
        fprintf(f, "s%d: \"Sym(s%d)\", x%d: \"f32[s%d, 4]\", ", i, i, i, i);
    fprintf(f, "):\n        c = torch.cat([");
    for (int i = 0; i < n; i++)
        fprintf(f, "x%d, ", i);
    fprintf(f, "], 0)\n        return (c,)\n");
}

const large_graph large_graphs[] = {
    { "adds", adds },
    { "functions", functions },
    { "reductions", reductions },
    { "norms", norms },
    { "doubles", doubles },
    { "wide", wide },
    { "parts", parts },
    { "views", views },
    { "writes", writes },
    { "lookups", lookups },
    { "operands", operands },
    { "sizes", sizes },
};
const unsigned nlarge_graphs = sizeof large_graphs / sizeof *large_graphs;

char *large_text(const char *name, int n) {
    unsigned i = 0;
    while (i < nlarge_graphs && strcmp(large_graphs[i].name, name) != 0)
        i++;
    if (i == nlarge_graphs)
        return NULL;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "class GraphModule(torch.nn.Module):\n");
    large_graphs[i].body(f, n);
    fclose(f);
    return text;
}
