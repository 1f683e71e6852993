#!/bin/bash
# gpu_sound.sh BINDIST [BASE] - is it sound under an engine, on a machine with an NVIDIA GPU?
#
# BINDIST: an unpacked `make bindist`.  Captures that must stay valid, streams side by side, an engine's life in minutes, the tests of graphs under
# compute-sanitizer, random graphs on cuda, host and sim, and what a call costs; with BASE, an older BINDIST, also there.
# STEPS chooses (default: all); SOAK_SECONDS, FUZZ_SECONDS, FUZZ_SEED, FUZZ_JOBS say how long, from which seed, on how many cores; OUT
# is where failing graphs are left (default: a temporary folder).  Prints everything; exits 1 when something failed.
set -uo pipefail
bindist=$(cd "$1" && pwd)
base=${2:+$(cd "$2" && pwd)}
out=${OUT:-$(mktemp -d)}
mkdir -p "$out" || exit 1
steps=" ${STEPS-tests engine memcheck soak call fuzz} "
failed=0

say() { printf '\n==== %s\n' "$*"; }
wanted() { [[ $steps == *" $1 "* ]]; }
# check NAME COMMAND...: the end of what it prints, and how long it took.
check() {
    local name=$1 start=$SECONDS log status
    shift
    log=$out/$name.log
    "$@" > "$log" 2>&1
    status=$?
    tail -n "${LINES_SHOWN-8}" "$log" | cut -c1-300
    if [ $status != 0 ]; then
        failed=1
        echo "FAILED: $name (exit status $status)"
    fi
    echo "$name: $((SECONDS - start)) s"
}

cd "$bindist" || exit 1
export JITC_LLVM_LIBRARY=$bindist/lib/jitc/libjitc-llvm.so CK_TIMEOUT_MULTIPLIER=20
JITC_CACHE_DIR=$(mktemp -d) && export JITC_CACHE_DIR
trap 'rm -rf "$JITC_CACHE_DIR"' EXIT

say machine
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv
nproc

if wanted tests; then
    say "frames, devices, graphs"
    for t in check_frame_cuda check_cuda_device check_frame check_run; do check $t "tests/$t"; done
fi

if wanted engine; then
    say "the example of an engine"
    LINES_SHOWN=20 check engine examples/engine cuda
fi

if wanted memcheck; then
    say "memcheck"
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    check memcheck_engine "$sanitizer" --tool memcheck --error-exitcode 9 examples/engine cuda
    CK_FORK=no CK_RUN_CASE=short check memcheck_run "$sanitizer" --tool memcheck --error-exitcode 9 tests/check_run
fi

if wanted soak; then
    say "an engine's life"
    SOAK_DEVICE=cuda SOAK_SECONDS=${SOAK_SECONDS-300} LINES_SHOWN=25 check soak tests/soak
fi

if wanted call; then
    say "what a call costs: host, cuda"
    for device in host cuda; do
        LINES_SHOWN=20 check "call_$device" bench/bench_call --device "$device"
        [ -z "$base" ] || (cd "$base" && JITC_LLVM_LIBRARY=$base/lib/jitc/libjitc-llvm.so LINES_SHOWN=20 \
            check "call_${device}_base" "$base/bench/bench_call" --device "$device")
    done
fi

if wanted fuzz; then
    say "random graphs"
    LINES_SHOWN=25 check fuzz tests/fuzz_graph --seed "${FUZZ_SEED-1}" --seconds "${FUZZ_SECONDS-60}" \
        --jobs "${FUZZ_JOBS-$(nproc)}" ${FUZZ_DEVICES:+--devices "$FUZZ_DEVICES"} --out "$out"
fi
exit $failed
