#!/bin/sh
# includes.sh [SRCDIR] - includes point one way through the folders, as the table below says; LLVM's headers are included in
# jit/llvm and kernels alone, CUDA's nowhere.  Prints one line in the form that summary.sh reads.
set -eu
cd "${1:-$srcdir}"

bad=$(grep -n '^#include "' $(find base ir plan cache runtime jit kernels tools -name '*.[ch]') | LC_ALL=C awk -F '[:"]' '
BEGIN {
    # A folder, and those that it may include besides itself.
    may["base"] = ""
    may["ir"] = "base"
    may["ir/pt2"] = "base ir ir/fx"
    may["ir/fx"] = may["ir/canon"] = may["ir/eval"] = "base ir"
    may["plan"] = "base ir"
    may["cache"] = "base"
    may["runtime"] = "base ir plan"
    may["jit/llvm"] = "base ir plan"
    may["kernels"] = "base ir plan jit/llvm"
    may["jit/asm"] = "base plan"
    may["jit/sched"] = "base ir plan"
    may["jit/service"] = "base ir ir/canon plan cache jit/asm jit/llvm jit/sched"
    may["jit/api"] = "base ir ir/fx ir/pt2 ir/canon ir/eval plan cache runtime jit/asm jit/sched jit/service"
    may["tools"] = "base ir ir/fx ir/pt2 ir/canon ir/eval plan cache runtime jit/api jit/asm jit/llvm jit/sched jit/service"
}
function folder(path, part, n) {
    n = split(path, part, "/")
    return n > 2 ? part[1] "/" part[2] : part[1]
}
$4 !~ /\// || $4 ~ /^jitc\// { next }
{
    from = folder($1)
    to = folder($4)
    if (from != to && !index(" " may[from] " ", " " to " "))
        print $1 ":" $2 ": " from " may not include " $4
}')
bad=$bad$(grep -nE '#include <(llvm|cuda)' $(find base ir plan cache runtime jit tools -name '*.[ch]' ! -path 'jit/llvm/*') || true)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad"
    echo "0%: Checks: 1, Failures: 1, Errors: 0"
    exit 1
fi
echo "100%: Checks: 1, Failures: 0, Errors: 0"
