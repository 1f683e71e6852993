# tests/faults.mk - bad input, allocation failures, and the interface as a whole; jit/local.mk includes this.
check_PROGRAMS += tests/check_bad tests/check_faults tests/check_api
TESTS += tests/check_bad tests/check_faults tests/check_api
check_PROGRAMS += tests/check_frame
TESTS += tests/check_frame

tests_check_bad_SOURCES = tests/check_bad.c
tests_check_bad_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_bad_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
EXTRA_tests_check_bad_DEPENDENCIES = tests/plugin_ok.so tests/plugin_bare.so tests/plugin_old.so

# An arena of its own, in which each allocation asks the user's allocator.
tests_check_faults_SOURCES = tests/check_faults.c base/arena.c
tests_check_faults_CPPFLAGS = $(AM_CPPFLAGS) -DJC_ARENA_FIRST_BLOCK=1
tests_check_faults_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_faults_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

tests_check_frame_SOURCES = tests/check_frame.c base/arena.c
tests_check_frame_CPPFLAGS = $(AM_CPPFLAGS) -DJC_ARENA_FIRST_BLOCK=1
tests_check_frame_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_frame_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

tests_check_api_SOURCES = tests/check_api.c
tests_check_api_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_api_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
EXTRA_tests_check_api_DEPENDENCIES = libjitc.la

tests/plugin_old.so: $(jitcinclude_HEADERS)
CLEANFILES += tests/plugin_old.so
EXTRA_DIST += tests/plugin_old.c
