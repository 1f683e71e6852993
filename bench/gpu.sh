#!/bin/bash
# gpu.sh BINDIST GRAPHS [TOKENS] - checks and measures on a machine with an NVIDIA GPU.
#
# BINDIST: an unpacked `make bindist`; GRAPHS: a folder with llama_block/ and tiny/.  Runs the tests that want a GPU, the
# tiny models with their goldens, and the Llama-70B piece at full width against PyTorch.  Needs python3 with torch for the
# last.  Prints everything; exits 1 when something failed.
set -uo pipefail
bindist=$(cd "$1" && pwd)
graphs=$(cd "$2" && pwd)
tokens=${3-1,16,64,256,2048}
here=$(cd "$(dirname "$0")" && pwd)
failed=0

say() { printf '\n==== %s\n' "$*"; }
check() { "$@" || { failed=1; echo "FAILED: $*"; }; }

export JITC_GRAPHS=$graphs JITC_LLVM_LIBRARY=$bindist/lib/jitc/libjitc-llvm.so CK_TIMEOUT_MULTIPLIER=10
JITC_CACHE_DIR=$(mktemp -d) && export JITC_CACHE_DIR
trap 'rm -rf "$JITC_CACHE_DIR"' EXIT

say machine
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv
"$bindist/bin/jitc" doctor

say tests
cd "$bindist" || exit 1
for t in ${TESTS-check_cuda_device check_run}; do
    start=$SECONDS
    "tests/$t" > "/tmp/$t.log" 2>&1 || { failed=1; echo "FAILED: $t"; }
    tail -n 60 "/tmp/$t.log" | cut -c1-400
    echo "$t: $((SECONDS - start)) s"
done

say "each assembler"
for assembler in "" "$(ldconfig -p | sed -n 's|.*=> \(.*libcuda.so.1\)$|\1|p' | head -n 1)" "$(command -v ptxas)"; do
    echo "JITC_ASSEMBLER=$assembler"
    JITC_ASSEMBLER=$assembler check "$bindist/bin/jitc" run "$graphs/llama_block/small.py" --device cuda:0 --no-cache --verify
done

say "tiny models on the GPU, every capture and number of tokens"
outs=$(mktemp -d)
for model in "$graphs"/tiny/*; do
    for inputs in "$model"/inputs*-T*.safetensors; do
        variant=$(basename "$inputs" .safetensors)
        variant=${variant#inputs}
        v=${variant%-T*}
        v=${v#-}
        for graph in "$model"/{full,split}"${v:+_$v}"{,_str,_ir,_ir_str}.py; do
            [ -e "$graph" ] || continue
            names=$model/names${v:+_$v}.json
            case $graph in *_ir.py) names=$model/names_ir.json ;; esac
            out=$outs/$(basename "$model")_$(basename "$graph" .py)$variant.safetensors
            if "$bindist/bin/jitc" run "$graph" --device cuda:0 --inputs "$inputs" --names "$names" --outputs "$out" \
                --plugin "$bindist/examples/jitc_tiny_ops.so" > /tmp/run.log 2>&1; then
                echo "$model $variant $out $(basename "$graph")" >> "$outs/list"
            else
                failed=1
                echo "FAILED: $graph $variant"
                tail -n 3 /tmp/run.log
            fi
        done
    done
done
check python3 "$here/golden.py" "$outs/list"
rm -rf "$outs"

say "the Llama-70B piece"
[ -z "$tokens" ] || check python3 "$here/gpu_llama.py" --jitc "$bindist/bin/jitc" --graph "$graphs/llama_block/piece.py" --tokens "$tokens" ${COMPILE:+--compile}
exit $failed
