#!/bin/sh
# wheel.sh SRCDIR VERSION - makes dist/jitc-VERSION-cp310-abi3-PLATFORM.whl in the build tree it is started in.
#
# The wheel is to run on any Linux of the same C library or a newer one, so LLVM and the small libraries are linked in, hidden: in a tree
# of its own, wheel/, configured with --enable-static-llvm (or in this one, where it is).  Where LLVM's archives are not
# installed, or with WHEEL_SHARED=1, the wheel takes this tree's libraries as they are, says so, and is named linux, not manylinux: it runs on
# machines with the same packages alone.
set -eu
srcdir=$(cd "$1" && pwd)
version=$2
tree=.
shared=${WHEEL_SHARED:-0}
jobs=${JOBS:-$(nproc)}

if [ "${JC_STATIC:-}" != yes ] && [ "$shared" != 1 ]; then
    if "$LLVM_CONFIG" --link-static --libfiles core > /dev/null 2>&1 &&
        ls "$("$LLVM_CONFIG" --libdir)"/libLLVMCore.a > /dev/null 2>&1; then
        tree=wheel
        mkdir -p wheel
        if [ ! -e wheel/config.status ] || [ "$srcdir/configure" -nt wheel/config.status ]; then
            (cd wheel && "$srcdir/configure" --quiet --enable-static-llvm --with-llvm-config="$LLVM_CONFIG" CC="$CC" \
                CFLAGS="-O2 -g -ffunction-sections -fdata-sections -ffile-prefix-map=$srcdir=.")
        fi
    else
        echo "wheel: LLVM's archives are not installed: this wheel holds libraries that need those of this machine." >&2
    fi
elif [ "$shared" = 1 ]; then
    echo "wheel: WHEEL_SHARED=1: this wheel holds libraries that need those of this machine." >&2
fi
(cd "$tree" && "$MAKE" -s --no-print-directory -j"$jobs" JC_PY="$PYTHON" wheel-parts)
mkdir -p dist
exec "$PYTHON" "$srcdir/python/pack_wheel.py" --package "$srcdir/python" --tree "$tree" --version "$version" --out dist
