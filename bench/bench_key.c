/*
 * bench/bench_key.c - from text to key: microseconds per piece, over every graph below $JITC_GRAPHS.
 *
 *   bench_key [--assert] [FILE]...
 *
 * For each file the best of five runs of read, split, layout and canonicalise, divided by the number of pieces.  The figure that
 * counts is the median over all pieces, each standing for its file's mean.
 */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <sys/stat.h>

#include "base/debug.h"
#include "bench/bench.h"
#include "jitc/jitc.h"

#define REPEAT 5
#define LIMIT_US 100

typedef struct file {
    char *path;
    unsigned pieces, classes;
    size_t bytes;
    double read, split, canonicalise, total; /* microseconds a piece */
} file;

static file *files;
static size_t nfiles;

static void add_file(const char *path) {
    files = realloc(files, (nfiles + 1) * sizeof *files);
    if (!files)
        exit(1);
    files[nfiles++] = (file){ .path = strdup(path) };
}

static int see(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    size_t n = strlen(path);
    (void)st;
    (void)ftw;
    if (type == FTW_F && n > 3 && strcmp(path + n - 3, ".py") == 0)
        add_file(path);
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const file *)a)->path, ((const file *)b)->path);
}

static char *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rbe");
    struct stat st;
    char *text = f && fstat(fileno(f), &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    *n = text ? fread(text, 1, (size_t)st.st_size, f) : 0;
    if (f)
        fclose(f);
    return text;
}

/* One run; false when it failed. */
static bool run(file *f, const char *text, size_t n) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host" };
    jitc_model_options mo = { .struct_size = sizeof mo, .split_only = true };
    jitc_model_stats s = { .struct_size = sizeof s };
    jitc_context *ctx;
    jitc_graph *graph;
    jitc_model *model;
    bool ok = jitc_context_new(&o, &ctx) == JITC_OK;
    double start = jc_now_ms();
    ok = ok && jitc_graph_read(ctx, f->path, text, n, &graph) == JITC_OK &&
         jitc_model_build(ctx, &graph, 1, &mo, &model) == JITC_OK;
    double total = (jc_now_ms() - start) * 1000;
    if (ok) {
        jitc_model_get_stats(model, &s);
        total /= s.pieces;
        if (f->total == 0 || total < f->total)
            *f = (file){ f->path, s.pieces, s.classes, n, s.ms_read * 1000 / s.pieces, s.ms_split * 1000 / s.pieces,
                         s.ms_canonicalise * 1000 / s.pieces, total };
    } else if (ctx) {
        fprintf(stderr, "bench_key: %s\n", jitc_context_error(ctx));
    }
    jitc_context_free(ctx);
    return ok;
}

static bool measure(file *f) {
    size_t n;
    char *text = slurp(f->path, &n);
    bool ok = text != NULL;
    for (int i = 0; ok && i < REPEAT; i++)
        ok = run(f, text, n);
    free(text);
    return ok;
}

static double median_piece(void) {
    double *all, m;
    size_t n = 0, k = 0;
    for (size_t i = 0; i < nfiles; i++)
        n += files[i].pieces;
    all = malloc((n + 1) * sizeof *all);
    if (!all)
        return 0;
    for (size_t i = 0; i < nfiles; i++)
        for (unsigned p = 0; p < files[i].pieces; p++)
            all[k++] = files[i].total;
    m = bench_median(all, n);
    free(all);
    return m;
}

int main(int argc, char **argv) {
    bool check = false, ok = true;
    unsigned over = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--assert") == 0)
            check = true;
        else
            add_file(argv[i]);
    if (nfiles == 0)
        nftw(bench_graphs(), see, 16, FTW_PHYS);
    if (nfiles == 0)
        return fprintf(stderr, "bench_key: there is no graph below %s\n", bench_graphs()), 1;
    qsort(files, nfiles, sizeof *files, by_path);
    printf("  %7s %7s %9s   %8s %8s %8s %8s  us a piece\n", "pieces", "classes", "bytes", "read", "split", "canon", "total");
    for (size_t i = 0; i < nfiles; i++) {
        file *f = &files[i];
        if (!measure(f)) {
            ok = false;
            continue;
        }
        printf("  %7u %7u %9zu   %8.1f %8.1f %8.1f %8.1f  %s\n", f->pieces, f->classes, f->bytes, f->read, f->split,
               f->canonicalise, f->total, f->path);
    }
    bench_line("key of a piece, median over all pieces", median_piece(), "us", LIMIT_US, &over);
    for (size_t i = 0; i < nfiles; i++)
        free(files[i].path);
    free(files);
    return !ok || (check && over);
}
