/*
 * tools/jitc.c - the program: finds the subcommand, parses its options, runs it.
 *
 * Results go to standard output, progress and errors to standard error.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "tools/tool.h"

static const tool_command commands[] = {
#define TOOL_COMMAND_ROW(id, name, args, help) { #name, args, help, CMD_##id, cmd_##name },
    TOOL_COMMANDS(TOOL_COMMAND_ROW)
#undef TOOL_COMMAND_ROW
};
#define NCOMMANDS (sizeof commands / sizeof *commands)

static void help(FILE *to) {
    fprintf(to, "usage: jitc SUBCOMMAND [OPTION]... [FILE]...\n\nCompiles and runs captured PyTorch graphs. "
                "Several files are one set of pieces; `-' is standard input.\n\n");
    for (size_t i = 0; i < NCOMMANDS; i++)
        fprintf(to, "  %-8s %-8s  %s\n", commands[i].name, commands[i].args, commands[i].help);
    fprintf(to, "\n`jitc SUBCOMMAND --help' lists the options.\n");
}

static const tool_command *find(const char *name) {
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int no_command(const char *name) {
    const char *names[NCOMMANDS];
    for (size_t i = 0; i < NCOMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = tool_nearest(name, names, NCOMMANDS);
    if (near)
        fprintf(stderr, "jitc: there is no subcommand '%s'; did you mean '%s'?\n", name, near);
    else
        fprintf(stderr, "jitc: there is no subcommand '%s'; see jitc --help\n", name);
    return 2;
}

static int run(tool *t, int argc, char **argv) {
    jc_error err = JC_ERROR_INIT;
    TOOL_TRY(t, &err, tool_options_parse(&t->o, t->command, argc, argv, t->arena, &err));
    if (t->o.help) {
        tool_help(t->command);
        return 0;
    }
    return tool_trace_end(t, t->command->run(t));
}

/* Memory that is given back is needed again at once: keeping it saves an eighth of a hit's time and a fifteenth of a compilation's. */
static void keep_memory(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 16 << 20);
#endif
}

int main(int argc, char **argv) {
    keep_memory();
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    tool t = { .command = find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]) };
    if (!t.command)
        return no_command(argv[1]);
    jc_guard guard;
    volatile int code = 5;
    t.arena = jc_arena_new(NULL);
    for (int i = 2; i < argc; i++) /* before anything can fail */
        t.o.json |= strcmp(argv[i], "--json") == 0;
    tool_json_memory(&t);
    if (!t.arena || JC_GUARD(t.arena, &guard))
        code = tool_no_memory(&t);
    else
        code = run(&t, argc - 2, argv + 2);
    jitc_context_free(t.ctx);
    if (t.arena) {
        jc_guard_end(t.arena, &guard);
        jc_arena_free(t.arena);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "jitc: standard output cannot be written\n");
        return code ? code : 3;
    }
    return code;
}
