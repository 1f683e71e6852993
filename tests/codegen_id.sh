#!/bin/sh
# codegen_id.sh [SRCDIR] - the identity of the code generator changes with what generates code, and with nothing else.
# Prints one line in the form that summary.sh reads.
set -eu
cd "${1:-$srcdir}"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0
checks=0

fail() {
    echo "$*"
    failures=$((failures + 1))
}

id() {
    sh "$dir/src/base/codegen_id.sh" "$dir/src" "$dir/id.h"
    cat "$dir/id.h"
}

# A copy of the sources, in which one file at a time gets a line more.
mkdir "$dir/src"
tar -cf - --exclude='*.o' base/codegen_id.sh ir plan jit kernels cache runtime tools | tar -xf - -C "$dir/src"
chmod -R u+w "$dir/src"
before=$(id)

edited() {
    cp "$dir/src/$1" "$dir/kept"
    echo "/* a line more */" >> "$dir/src/$1"
    after=$(id)
    cp "$dir/kept" "$dir/src/$1"
    checks=$((checks + 1))
    [ "$before" != "$after" ]
}

for file in ir/fx/fx_parse.c ir/fx/spellings.def ir/eval/eval.c ir/canon/canon_order.c ir/canon/explain.c ir/print.c ir/split.c \
    ir/layout.c plan/plan_print.c plan/kernel_print.c jit/api/model.c jit/service/service.c jit/service/service_key.c \
    cache/disk.c runtime/exec.c tools/load.c; do
    [ -f "$file" ] || fail "$file is gone: name another in tests/codegen_id.sh"
    edited "$file" && fail "an edit of $file empties every cache"
done
for file in ir/ops.def ir/decompose.c ir/infer_shape.c ir/expr.c ir/canon/canon_decode.c plan/plan.c plan/kernel.c plan/target.c \
    jit/sched/sched_group.c jit/sched/sched.h jit/llvm/emit_tape.c jit/llvm/llvm_compat.c jit/asm/assemble_nvjitlink.c \
    kernels/mma.c kernels/row.c kernels/dialect_nvptx.c; do
    [ -f "$file" ] || fail "$file is gone: name another in tests/codegen_id.sh"
    edited "$file" || fail "an edit of $file leaves old code in every cache"
done
# A file that nobody has thought of counts.
echo 'int x;' > "$dir/src/kernels/new.c"
[ "$(id)" != "$before" ] || fail "a new kernel family does not count"
checks=$((checks + 1))

echo "100%: Checks: $checks, Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
