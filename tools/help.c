/*
 * tools/help.c - `jitc SUBCOMMAND --help`: a page for each, around the table of options.
 */
#include <stdio.h>
#include <string.h>

#include "tools/options.h"

typedef struct help_page {
    const char *what;     /* paragraphs */
    const char *exit;     /* beyond the codes that all have; NULL: nothing */
    const char *examples; /* a line each: command, two spaces, what it does */
} help_page;

/* By the subcommand's index. */
static const help_page pages[] = {
    [CMD_SPLIT_INDEX] = {
        "Reads graphs as PyTorch prints them, cuts flat ones at the splitting operators, and lists the classes: pieces that\n"
        "differ in names alone are members of one. Nothing is compiled. The key is the hash of the canonical form.",
        NULL,
        "jitc split full.py                      pieces and classes\n"
        "jitc split --json a.py b.py             two files are one set of pieces\n"
        "jitc split --dot full.py | dot -Tsvg    a picture, one colour per class\n"
        "jitc split --report out full.py         out/index.html, to be read offline\n" },
    [CMD_COMPILE_INDEX] = {
        "Compiles every class for every arch and range, or finds it in the cache, and lists the custom operators that a run\n"
        "will need. No GPU is needed to compile for one.",
        "5 means that LLVM or the assembler failed.",
        "jitc compile --arch sm_90a full.py\n"
        "jitc compile --arch sm_80,sm_90a -o model.jitc full.py    a bundle for both\n"
        "jitc compile --range s72=1:64 --range s72=65:8192 full.py code for each range\n"
        "jitc compile --trace out.json full.py                     spans of all phases, for ui.perfetto.dev\n"
        "jitc compile --report out full.py                         kernels, plans and times in out/index.html\n" },
    [CMD_RUN_INDEX] = {
        "Compiles what is missing (or loads a bundle), runs every file in turn in one process and prints the results. Inputs\n"
        "come from a file by the parameters' names; what is missing there is made up from the seed, and said.\n"
        "A bundle (*.jitc, or --bundle FILE) is machine code and can do all that you can: run those that you trust. One that\n"
        "belongs to another user, or that others may write to, is refused, but for --trust-key or --trust-files; so are plugins.",
        "1 means that results differ from the reference.",
        "jitc run --plugin ops.so --verify layer10.py layer13.py\n"
        "jitc run --device cuda --inputs in.safetensors --outputs out.safetensors full.py\n"
        "jitc run --load-only --json model.jitc    how long a warm start takes\n" },
    [CMD_EXPLAIN_INDEX] = {
        "Of two pieces: the first node at which they part, with the lines of both, and which fields of their keys differ. Of\n"
        "one file: for each class why it is not the class nearest to it. FILE#submod_3 names one piece of several.",
        "1 means that the two pieces differ.",
        "jitc explain a.py b.py\n"
        "jitc explain full.py#submod_2 full.py#submod_6\n"
        "jitc explain full.py                      every class and its nearest\n"
        "jitc explain --no-lift-names a.py b.py    what strings would cost\n" },
    [CMD_DUMP_INDEX] = {
        "Prints one stage of what happens between text and machine code: of the graphs (text, graph, split), of each class\n"
        "(canonical, decomposed, fused, plan), of each kernel (llvm, ptx, cubin).",
        NULL,
        "jitc dump --stage=canonical --piece submod_2 full.py\n"
        "jitc dump --stage=plan --arch sm_90a full.py\n"
        "jitc dump --stage=ptx --arch sm_90a -o kernels/ full.py    a file per kernel\n" },
    [CMD_CACHE_INDEX] = {
        "stats counts entries, samples of damaged ones (.bad) and temporary files by name, and adds up the hits and misses of\n"
        "all processes. ls lists entries, show KEY (or its beginning) says what a key is made of, log what was compiled when, by\n"
        "whom, and why it was not found. verify reads every entry and checks every byte of it, changing nothing. prune removes\n"
        "the entries that were used longest ago, down to --max-bytes and --max-entries, and what killed writers left.\n"
        "clear removes everything but files that are not the cache's. export PATH writes all good entries to a file, or to a\n"
        "directory that --read-cache can read (an existing one, or PATH/); import PATH takes them in, each verified first.",
        "1 means that verify, export or import found an entry that is damaged or cannot be read.",
        "jitc cache stats\n"
        "jitc cache log\n"
        "jitc cache prune --max-bytes 10000000000\n"
        "jitc cache verify --cache /var/cache/jitc --json\n"
        "jitc cache clear\n" },
    [CMD_BUNDLE_INDEX] = {
        "A bundle is machine code: whoever runs it is in the hands of who made it. keygen FILE makes a secret key, which only you\n"
        "can read, and FILE.pub with its public key; sign puts a signature behind a bundle; verify says whether it is whole and\n"
        "signed by one of the keys given. Commands that use bundles take --trust-key as well, and then refuse all others.",
        "3 means that a bundle is damaged, not signed, or signed by somebody else.",
        "jitc bundle keygen release.key\n"
        "jitc bundle sign --key release.key model.jitc\n"
        "jitc bundle verify --trust-key release.key.pub model.jitc\n"
        "jitc run --trust-key release.key.pub model.jitc\n" },
    [CMD_BENCH_INDEX] = {
        "Runs every file (or the piece, or the bundle) once to load and warm it, then --repeat times, each waited for, and\n"
        "prints the smallest, median and largest time in microseconds.",
        NULL,
        "jitc bench --device cuda --sym s72=16 full.py\n"
        "jitc bench --repeat 1000 --piece submod_2 full.py\n" },
    [CMD_CHECK_INDEX] = {
        "The gate for continuous integration: neither compiles nor stores anything, and counts classes, and those that are not\n"
        "in the cache for the archs and ranges given.",
        "1 means that a limit was exceeded.",
        "jitc check --max-classes 5 full.py\n"
        "jitc check --arch sm_90a --max-misses 0 full.py\n" },
    [CMD_DOCTOR_INDEX] = {
        "Says what this machine has: LLVM, an assembler, devices, the cache, the environment that is looked at, and the words\n"
        "that JITC_DEBUG takes.",
        NULL,
        "jitc doctor\n" },
    [CMD_VERSION_INDEX] = { "Prints the version.", NULL, "jitc version\n" },
};

static unsigned index_of(const tool_command *c) {
    unsigned i = 0;
    while (c->bit >> i != 1)
        i++;
    return i;
}

/* TEXT with every line indented. */
static void indented(const char *text) {
    while (*text) {
        size_t n = strcspn(text, "\n");
        printf("  %.*s\n", (int)n, text);
        text += n + (text[n] != 0);
    }
}

void tool_help(const tool_command *c) {
    const help_page *p = &pages[index_of(c)];
    printf("jitc %s - %s\n\nusage: jitc %s [OPTION]...%s%s\n\n", c->name, c->help, c->name, c->args[0] ? " " : "", c->args);
    indented(p->what);
    printf("\nOptions\n");
    tool_options_list(c);
    printf("\nExit codes\n  0 ok, 1 mismatch or gate failed, 2 usage, 3 bad input, 4 unsupported operator, 5 compilation failed,\n"
           "  6 device.\n");
    if (p->exit)
        printf("  %s\n", p->exit);
    printf("\nExamples\n");
    indented(p->examples);
}
