# base/local.mk
noinst_LTLIBRARIES += base/libbase.la
JC_COMMON_LIBS += base/libbase.la
base_libbase_la_SOURCES = \
	base/arena.c base/arena.h \
	base/bytes.c base/bytes.h \
	base/debug.c base/debug.h \
	base/error.c base/error.h \
	base/file.c base/file.h \
	base/hash.c base/hash.h \
	base/library.c base/library.h \
	base/pool.c base/pool.h \
	base/seal.c base/seal.h \
	base/trace.c base/trace.h \
	base/trust.c base/trust.h \
	base/vec.c base/vec.h \
	base/words.c base/words.h
base_libbase_la_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS)
base_libbase_la_LIBADD = $(SODIUM_LIBS) -lpthread -ldl -lm

check_PROGRAMS += tests/check_base
TESTS += tests/check_base
tests_check_base_SOURCES = tests/check_base.c
tests_check_base_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_base_LDADD = base/libbase.la $(CHECK_LIBS)
