# jit/service/local.mk - the compile service: lookup, single flight, keys, the door to the code generator
jit_libjit_la_SOURCES += \
	jit/llvm/backend.h \
	jit/service/backend.c \
	jit/service/known.c jit/service/known.h \
	jit/service/service.c jit/service/service.h jit/service/service_priv.h \
	jit/service/service_kernel.c \
	jit/service/service_key.c

check_PROGRAMS += tests/check_service
TESTS += tests/check_service
tests_check_service_SOURCES = tests/check_service.c
tests_check_service_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_service_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
EXTRA_tests_check_service_DEPENDENCIES = tests/other_llvm.so

check_PROGRAMS += tests/check_turns
TESTS += tests/check_turns
tests_check_turns_SOURCES = tests/check_turns.c
tests_check_turns_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_turns_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/check_library
TESTS += tests/check_library
tests_check_library_SOURCES = tests/check_library.c tests/tool_run.c tests/tool_run.h
tests_check_library_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_library_LDADD = base/libbase.la $(CHECK_LIBS) $(JANSSON_LIBS)
EXTRA_tests_check_library_DEPENDENCIES = jitc$(EXEEXT) tests/no_env.so tests/planted.so
JC_PLUGINS += tests/no_env.so tests/other_llvm.so tests/planted.so
EXTRA_DIST += tests/no_env.c tests/other_llvm.c tests/planted.c
