# jit/service/local.mk - the compile service: lookup, single flight, keys, the door to the code generator
jit_libjit_la_SOURCES += \
	jit/llvm/backend.h \
	jit/service/backend.c \
	jit/service/isolate.c jit/service/isolate.h jit/service/isolate_wire.c \
	jit/service/known.c jit/service/known.h \
	jit/service/service.c jit/service/service.h jit/service/service_priv.h \
	jit/service/service_kernel.c \
	jit/service/service_key.c

# What compiles a kernel in a process of its own, where libjitc-llvm is as well; .libs is where programs of the build tree look.
jitclib_PROGRAMS = jitc-worker
jitc_worker_SOURCES = jit/service/worker.c
jitc_worker_LDADD = $(JC_CORE_LIBS)
noinst_DATA += .libs/jitc-worker
.libs/jitc-worker: jitc-worker$(EXEEXT)
	@$(MKDIR_P) .libs
	@cp -f jitc-worker$(EXEEXT) $@
CLEANFILES += .libs/jitc-worker

check_PROGRAMS += tests/check_isolate
TESTS += tests/check_isolate
tests_check_isolate_SOURCES = tests/check_isolate.c tests/tool_run.c tests/tool_run.h
tests_check_isolate_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_isolate_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_isolate_DEPENDENCIES = jitc$(EXEEXT) .libs/jitc-worker tests/bad_llvm.so
JC_PLUGINS += tests/bad_llvm.so
EXTRA_DIST += tests/bad_llvm.c

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
