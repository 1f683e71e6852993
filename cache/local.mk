# cache/local.mk
noinst_LTLIBRARIES += cache/libcache.la
JC_FRONT_LIBS += cache/libcache.la
cache_libcache_la_SOURCES = \
	cache/cache.c cache/cache.h \
	cache/carry.c cache/carry.h \
	cache/disk.c cache/disk.h \
	cache/entry.c cache/entry.h \
	cache/history.c cache/history.h \
	cache/key.c \
	cache/lock.c cache/lock.h \
	cache/mac.c \
	cache/prune.c cache/prune.h \
	cache/scan.c cache/scan.h \
	cache/tier.c cache/tier.h \
	cache/tier_table.c
EXTRA_DIST += cache/README.md

check_PROGRAMS += tests/check_cache
TESTS += tests/check_cache
tests_check_cache_SOURCES = tests/check_cache.c
tests_check_cache_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_cache_LDADD = cache/libcache.la base/libbase.la $(CHECK_LIBS)

check_PROGRAMS += tests/check_prune
TESTS += tests/check_prune
tests_check_prune_SOURCES = tests/check_prune.c
tests_check_prune_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_prune_LDADD = cache/libcache.la base/libbase.la $(CHECK_LIBS)

check_PROGRAMS += tests/check_history
TESTS += tests/check_history
tests_check_history_SOURCES = tests/check_history.c
tests_check_history_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_history_LDADD = cache/libcache.la base/libbase.la $(CHECK_LIBS)

check_PROGRAMS += tests/check_share
TESTS += tests/check_share
tests_check_share_SOURCES = tests/check_share.c
tests_check_share_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_share_LDADD = cache/libcache.la base/libbase.la $(CHECK_LIBS)

check_PROGRAMS += tests/check_power
TESTS += tests/check_power
tests_check_power_SOURCES = tests/check_power.c
tests_check_power_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_power_LDADD = cache/libcache.la base/libbase.la $(CHECK_LIBS)
