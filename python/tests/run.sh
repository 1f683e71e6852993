#!/bin/sh
# run.sh [BUILDDIR] - the tests of the Python package: makes the wheel of a build tree, installs it into a venv with torch, runs them, checks types and
# style, and says what a call costs.
#
#     TORCH=2.11.0         the version of torch
#     JITC_VENV=DIR        the venv, kept from run to run; default: BUILDDIR/python-venv
#     JITC_PYTHON=python3  3.10 or later
#
# torch comes from PyPI, whose wheel for this platform wants NVIDIA's libraries even to be imported: some 3 GB.  Exit 77, and a line that
# starts with SKIP, where there is no network, no Python or no venv; ends with "N passed, N failed, N skipped".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
python=${JITC_PYTHON:-python3}
venv=${JITC_VENV:-$build/python-venv}
torch=${TORCH:-2.11.0}

skip() {
    echo "SKIP: python/tests: $*" >&2
    echo "0 passed, 0 failed, 1 skipped"
    exit 77
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null || skip "there is no Python 3.10 or later ($python)"
"$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2> /dev/null ||
    skip "Python's headers are missing: apt-get install python3-dev"
if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" > /dev/null 2>&1 || { rm -rf "$venv"; skip "no venv can be made: apt-get install python3-venv"; }
fi
if ! "$venv/bin/python" -c "import torch, pytest, numpy; assert torch.__version__.split('+')[0] == '$torch'" 2> /dev/null; then
    "$venv/bin/pip" install -q "torch==$torch" numpy setuptools pytest 2> "$build/python-pip.log" ||
        { cat "$build/python-pip.log" >&2; skip "torch $torch cannot be installed from PyPI"; }
fi
"$venv/bin/pip" install -q ruff mypy 2> /dev/null || echo "SKIP: ruff and mypy cannot be installed" >&2

make -s -C "$build" JC_PY="$python" wheel
"$venv/bin/pip" install -q --force-reinstall --no-deps "$build"/dist/jitc-*.whl

status=0
cd "$here/.."
if [ -x "$venv/bin/ruff" ] && [ -x "$venv/bin/mypy" ]; then
    "$venv/bin/ruff" check -q --no-cache . || status=1
    "$venv/bin/ruff" format -q --no-cache --check . || status=1
    "$venv/bin/mypy" --python-executable "$venv/bin/python" --cache-dir "$build/python-mypy" || status=1
fi
"$venv/bin/python" bench/call.py
cd tests # not where jitc/ lies: what was installed is what is tested
"$venv/bin/python" -B -m pytest -q -rs -p no:cacheprovider . || status=1
exit $status
