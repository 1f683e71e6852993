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
EXTRA_tests_check_faults_DEPENDENCIES = tests/plugin_ok.so
tests_check_faults_SOURCES = tests/check_faults.c base/arena.c
tests_check_faults_CPPFLAGS = $(AM_CPPFLAGS) -DJC_ARENA_FIRST_BLOCK=1
tests_check_faults_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_faults_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

tests_check_frame_SOURCES = tests/check_frame.c base/arena.c
tests_check_frame_CPPFLAGS = $(AM_CPPFLAGS) -DJC_ARENA_FIRST_BLOCK=1
tests_check_frame_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_frame_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/check_frame_cuda
TESTS += tests/check_frame_cuda
tests_check_frame_cuda_SOURCES = tests/check_frame_cuda.c tests/cuda_help.h tests/gpu_help.h
tests_check_frame_cuda_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_frame_cuda_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

# An engine's life in minutes; `make check' has a few seconds of it.
check_PROGRAMS += tests/soak
TESTS += tests/soak
tests_soak_SOURCES = tests/soak.c tests/cuda_help.h
tests_soak_LDADD = $(JC_CORE_LIBS) -lm
# A cache directory under fire, likewise.
check_PROGRAMS += tests/soak_cache
TESTS += tests/soak_cache
tests_soak_cache_SOURCES = tests/soak_cache.c
tests_soak_cache_LDADD = cache/libcache.la base/libbase.la
EXTRA_tests_soak_cache_DEPENDENCIES = jitc$(EXEEXT)
soak: tests/soak tests/soak_cache all-am
	@SOAK_SECONDS="$(SOAK_SECONDS)" JITC_LLVM_LIBRARY='$(abs_top_builddir)/.libs/libjitc-llvm.so' tests/soak
	@SOAK_SECONDS="$(SOAK_SECONDS)" JITC_LLVM_LIBRARY='$(abs_top_builddir)/.libs/libjitc-llvm.so' tests/soak_cache
SOAK_SECONDS = 300
.PHONY: soak

tests_check_api_SOURCES = tests/check_api.c
tests_check_api_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_api_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
EXTRA_tests_check_api_DEPENDENCIES = libjitc.la

tests/plugin_old.so: $(jitcinclude_HEADERS)
CLEANFILES += tests/plugin_old.so
EXTRA_DIST += tests/plugin_old.c
