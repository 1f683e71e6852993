#!/bin/sh
# environment.sh [SRCDIR] - the environment is read by base/library.c alone, which asks secure_getenv(): what a program with borrowed rights
# (set-uid) is told by its caller leads nowhere.  tests/check_library.c tries it.  Prints one line in the form that summary.sh reads.
set -eu
cd "${1:-$srcdir}"

sources=$(find base ir plan cache runtime jit kernels tools python/ext -name '*.[ch]')
# Whole words, outside of comments that begin the line.
bad=$(grep -nwE 'getenv|secure_getenv|environ|execvp|execlp|execvpe|popen|posix_spawnp|wordexp|tempnam|tmpnam|__environ' $sources |
    grep -vE '^[^:]*:[0-9]+: *(/?\*|//)' |
    grep -vE '^base/library\.c:[0-9]+:.*secure_getenv|^(jit/asm/assemble_ptxas|jit/service/isolate)\.c:[0-9]+:.*\benviron\b' || true) # what ptxas and workers are started with
if [ -n "$bad" ]; then
    printf 'To be asked of jc_library_env():\n%s\n' "$bad"
    echo "0%: Checks: 1, Failures: 1, Errors: 0"
    exit 1
fi
echo "100%: Checks: 1, Failures: 0, Errors: 0"
