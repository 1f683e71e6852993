# tests/local.mk - what the test programs share; each folder's fragment declares its own programs.
EXTRA_DIST += tests/summary.sh tests/lsan.supp tests/valgrind.supp
