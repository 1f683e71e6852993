/*
 * tools/cmd_bench.c - `jitc bench`: how long a run takes, once it has run.
 *
 * The first run, which loads code and plans memory, is not among those that are timed; each of the others is waited for.
 */
#include "tools/run.h"

int cmd_bench(tool *t) {
    return run_files(t, true);
}
