# tests/local.mk - what the test programs share; each folder's fragment declares its own programs.
TESTS += tests/includes.sh
EXTRA_DIST += tests/includes.sh tests/summary.sh tests/lsan.supp tests/valgrind.supp
