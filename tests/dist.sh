#!/bin/sh
# dist.sh [SRCDIR] - the tarball has every file that git knows: what no fragment names (EXTRA_DIST) is lost to whoever builds from it.
# Runs in the build folder, whose Makefile says what it packs.  Prints one line in the form that summary.sh reads.
set -eu
srcdir=${1:-$srcdir}
tracked=
[ ! -e "$srcdir/.git" ] || tracked=$(git -C "$srcdir" -c safe.directory='*' ls-files 2> /dev/null) || tracked=
if [ -z "$tracked" ]; then
    echo "SKIP: dist.sh: $srcdir is no git checkout, there is nothing to hold the tarball's list against"
    exit 77
fi

unset MAKEFLAGS MFLAGS
packed=$(make -s --eval='packed:;@printf "%s\\n" $(DISTFILES)' packed |
    awk -v top="$srcdir/" 'index($0, top) == 1 { $0 = substr($0, length(top) + 1) } { sub(/^\.\//, ""); print }')
lost=$(printf '%s\n%s\n%s\n' "$packed" "$packed" "$tracked" | LC_ALL=C sort | uniq -u | grep -v '^\.git' || true)
if [ -n "$lost" ]; then
    printf 'Not in the tarball (EXTRA_DIST?):\n%s\n' "$lost"
    echo "0%: Checks: 1, Failures: 1, Errors: 0"
    exit 1
fi
echo "100%: Checks: 1, Failures: 0, Errors: 0"
