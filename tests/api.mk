# tests/api.mk - the public interface, promise by promise
check_PROGRAMS += tests/check_bundle_open tests/check_cancel tests/check_executable tests/check_explain tests/check_null
TESTS += tests/check_bundle_open tests/check_cancel tests/check_executable tests/check_explain tests/check_null
tests_check_bundle_open_SOURCES = tests/check_bundle_open.c
tests_check_bundle_open_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_bundle_open_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_cancel_SOURCES = tests/check_cancel.c
tests_check_cancel_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_cancel_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_executable_SOURCES = tests/check_executable.c
tests_check_executable_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_executable_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_explain_SOURCES = tests/check_explain.c
tests_check_explain_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_explain_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_null_SOURCES = tests/check_null.c
tests_check_null_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_null_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
