#!/bin/sh
# table.sh - an operator that lacks one of its functions does not compile or does not link.
#
# Adds rows to a copy of ir/ops.def that name functions nobody defines, and compiles what resolves each column.  A column passes
# when the compiler names the missing function, or leaves it for the linker to miss.  Prints one line in the form that
# summary.sh reads.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/ir"
sed '/^#undef OP$/i\
OP(probe, "T", 1, 0, probe, probe, probe, BY(probe))\
VIEW(probe_view, "T", probe, probe, AT(probe))\
COMPOSITE(probe_composite, "T", 1, probe, probe)' "$srcdir/ir/ops.def" > "$work/ir/ops.def"
grep -q '^OP(probe,' "$work/ir/ops.def"

failures=0
# FILE FUNCTION: compiling FILE with the longer table has to fail or leave a reference to FUNCTION.
misses() {
    if ${CC:-cc} -std=gnu17 -w -c -I"$work" -I"$srcdir" -I"$srcdir/include" -I. -o "$work/out.o" "$srcdir/$1" 2> "$work/err"; then
        ${NM:-nm} -u "$work/out.o" > "$work/err"
    fi
    if ! grep -qw "$2" "$work/err"; then
        echo "$1 does not miss $2:"
        cat "$work/err"
        failures=$((failures + 1))
    fi
}
misses ir/infer.c jc_infer_probe
misses ir/eval/eval.c jc_ev_probe
misses jit/sched/sched_values.c on_probe
misses jit/sched/sched_gen.c by_probe
misses jit/sched/sched_gen.c at_probe
misses ir/decompose.c define_probe_composite

echo "$((100 - failures * 100 / 6))%: Checks: 6, Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
