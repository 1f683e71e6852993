#!/bin/sh
# bindist.sh SRCDIR VERSION - makes bindist/ in the source tree: a tarball that runs unpacked anywhere on a Linux with
# the same C library or a newer one.
#
# LLVM and the small libraries are linked in, hidden (--enable-static-llvm).  Programs find the code generator relative
# to themselves; test programs find their data relative to the folder they are started in, which `run-tests' sees to.
# The same sources and tools give the same bytes.
set -eu
unset MAKEFLAGS MFLAGS MAKELEVEL || true

srcdir=$(cd "$1" && pwd)
version=$2
jobs=${JOBS:-$(nproc)}
out=$srcdir/bindist
tree=$out/tree
name=libjitc-$version-linux-$(uname -m)
root=$out/$name
library_dir=lib

fail() { echo "bindist: $*" >&2; exit 1; }

mkdir -p "$tree"
cd "$tree"
if [ ! -e config.status ] || [ "$srcdir/configure" -nt config.status ]; then
    "$srcdir/configure" --quiet --enable-static-llvm --with-llvm-config="${LLVM_CONFIG:-check}" --with-test-root=. \
        --prefix=/usr/local --libdir='${prefix}/lib' \
        CFLAGS="-O2 -g -ffunction-sections -fdata-sections -ffile-prefix-map=$srcdir=."
fi
make -j"$jobs" all
make -j"$jobs" check-programs

rm -rf "$root" "$out/stage" "$out/$name.tar.xz"
make install DESTDIR="$out/stage" > /dev/null
mkdir -p "$root/tests" "$root/examples" "$root/docs"
cp -a "$out/stage/usr/local/." "$root/"
rm -rf "$out/stage"
find "$root/$library_dir" -name '*.la' -delete
# Wherever it lies, pkg-config finds it.
sed -e 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$root/$library_dir/pkgconfig/jitc.pc" > "$root/jitc.pc.new"
mv "$root/jitc.pc.new" "$root/$library_dir/pkgconfig/jitc.pc"

for program in $(make -s --no-print-directory print-check_PROGRAMS); do
    mkdir -p "$root/$(dirname "$program")"
    cp "$program" "$root/$program"
done
for program in $(make -s --no-print-directory print-noinst_PROGRAMS); do
    mkdir -p "$root/$(dirname "$program")"
    # libtool's wrapper of a program that wants the installed library: made anew, to find the one that lies here.
    if [ -e "$(dirname "$program")/.libs/$(basename "$program")" ]; then
        ${CC:-gcc} -O2 -I"$root/include" -o "$root/$program" "$srcdir/$program.c" -L"$root/$library_dir" -ljitc \
            -Wl,-rpath,"\$ORIGIN/../$library_dir" -lpthread -ldl -lm
    else
        cp "$program" "$root/$program"
    fi
done
for plugin in $(make -s --no-print-directory print-JC_PLUGINS); do
    cp "$plugin" "$root/$plugin"
done
# Data of the tests, sources of the examples: what the source tarball has in these folders.
for folder in tests examples; do
    (cd "$srcdir" && find "$folder" -type f ! -name '*.c' ! -name 'local.mk' ! -name '*.mk' -print) |
        while read -r file; do
            mkdir -p "$root/$(dirname "$file")"
            cp "$srcdir/$file" "$root/$file"
        done
done
cp "$srcdir"/examples/*.c "$root/examples/" 2>/dev/null || true
cp "$srcdir"/*.md "$root/" 2>/dev/null || true
cp "$srcdir"/docs/*.md "$root/docs/" 2>/dev/null || true
chmod -R u+w "$root"

cat > "$root/run-tests" <<'END'
#!/bin/sh
# run-tests [PROGRAM...] - runs the test programs (tests/check_*, or those named) from where this was unpacked.
# JITC_GRAPHS names the folder of captured graphs, for the tests that want them.
cd "$(dirname "$0")" || exit 1
JITC_LLVM_LIBRARY=$PWD/lib/jitc/libjitc-llvm.so
JITC_CACHE_DIR=${JITC_CACHE_DIR-$PWD/tests/cache.d}
JITC_GRAPHS=${JITC_GRAPHS-$PWD/graphs}
CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER-15}
export JITC_LLVM_LIBRARY JITC_CACHE_DIR JITC_GRAPHS CK_TIMEOUT_MULTIPLIER
[ $# -gt 0 ] || set -- tests/check_*
logs=
for program; do
    case $program in *.log) continue ;; esac
    log=$program.log
    "$program" > "$log" 2>&1
    status=$?
    case $status in
    0) word=PASS ;;
    77) word=SKIP ;;
    *) word=FAIL; cat "$log" ;;
    esac
    echo "$word $program (exit status: $status)" | tee -a "$log"
    logs="$logs $log"
done
exec sh tests/summary.sh $logs
END
chmod +x "$root/run-tests"

# Symbols of debuggers stay at home; those that plugins bind to are dynamic ones.
find "$root" -type f \( -perm -u+x -o -name '*.so*' \) -print | while read -r file; do
    if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then
        strip --strip-unneeded "$file"
    fi
done

# Nothing but the C library may be asked of the other machine.
find "$root" -type f \( -perm -u+x -o -name '*.so*' \) -print | while read -r file; do
    if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then
        readelf -d "$file" | sed -n "s|.*(NEEDED).*\[\(.*\)\]|$file needs \1|p; /ORIGIN/d; s|.*(RUNPATH).*|$file has a RUNPATH|p"
    fi
done | grep -vE ' needs (libjitc|libc|libm|libdl|librt|libpthread|ld-linux[^ ]*)\.so\.[0-9]+$' > "$out/foreign.txt" || true
if [ -s "$out/foreign.txt" ]; then
    cat "$out/foreign.txt" >&2
    fail "these would not run elsewhere"
fi

cd "$out"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime='2000-01-01 00:00:00Z' -cf - "$name" |
    xz -T"$jobs" -6 > "$name.tar.xz"
echo "$out/$name: $(du -sh "$root" | cut -f1) unpacked"
echo "$out/$name.tar.xz: $(du -h "$name.tar.xz" | cut -f1)"
