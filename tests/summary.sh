#!/bin/sh
# summary.sh LOG... - adds up what the test programs reported.
#
# Check prints "100%: Checks: 5, Failures: 0, Errors: 0".  A test that cannot run here says so on a line
# "SKIP: reason"; it counts as skipped, not as passed.  A program that exits with 77 is one skipped test, and one that
# ends without Check's line is one failed test.  Prints "N passed, N failed, N skipped"; exits 1 when one failed.
set -eu

LC_ALL=C awk '
function finish() {
    if (file == "")
        return
    if (!counted && exit_77)
        skips = skips ? skips : 1
    else if (!counted) {
        failed++
        print "no result from " file
    } else if (bad == 0 && exit_code != 0) {
        failed++
        print file ": exit status " exit_code
    }
    passed += good
    failed += bad
    skipped += skips
    passed -= counted ? skips : 0
}
FNR == 1 {
    finish()
    file = FILENAME
    counted = exit_77 = exit_code = good = bad = skips = 0
}
match($0, /Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/) {
    split(substr($0, RSTART, RLENGTH), part, /[^0-9]+/)
    counted = 1
    good += part[2] - part[3] - part[4]
    bad += part[3] + part[4]
}
/^SKIP: / { skips++; print }
/^[A-Z]+ .*\(exit status: [0-9]+\)$/ {
    code = $NF
    sub(/\)/, "", code)
    exit_code = code + 0
    exit_77 = (exit_code == 77)
}
END {
    finish()
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0
}' "$@" < /dev/null
