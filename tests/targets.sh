#!/bin/sh
# targets.sh [SRCDIR] - architectures and CPU levels are compared and named in plan/target.c alone: elsewhere no arch number or
# suffix is looked at, and no "sm_NN" or "x86-64-vN" stands in code.  Comments, and texts of help and messages to people, are not
# code.  Prints one line in the form that summary.sh reads.
set -eu
cd "${1:-$srcdir}"

bad=$(find base ir plan cache runtime jit kernels -name '*.[ch]' ! -path plan/target.c | LC_ALL=C sort | while read -r file; do
    # Comments go, lines stay.
    LC_ALL=C awk '
        { line = $0; out = "" }
        {
            while (line != "") {
                if (within) {
                    at = index(line, "*/")
                    if (!at) { line = ""; continue }
                    line = substr(line, at + 2); within = 0
                } else {
                    at = index(line, "/*")
                    if (!at) { out = out line; line = ""; continue }
                    out = out substr(line, 1, at - 1); line = substr(line, at + 2); within = 1
                }
            }
        }
        out ~ /(->|\.)(sm|suffix) *([=!<>]=|<|>|\/|%)/ || out ~ /"[^"]*(sm_[0-9]|x86-64-v)[^"]*"/ ||
        out ~ /str(n)?cmp\([^)]*(->|\.)cpu/ || out ~ /nvptx64|x86_64-unknown|\+ptx[0-9]/ {
            print FILENAME ":" FNR ": " out
        }' "$file"
done)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad"
    echo "0%: Checks: 1, Failures: 1, Errors: 0"
    exit 1
fi
echo "100%: Checks: 1, Failures: 0, Errors: 0"
