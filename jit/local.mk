# jit/local.mk
noinst_LTLIBRARIES += jit/libjit.la
JC_FRONT_LIBS += jit/libjit.la
jit_libjit_la_SOURCES = \
	jit/bundle.c jit/bundle.h jit/bundle_decode.c jit/bundle_encode.c \
	jit/context.c jit/model.c jit/model.h jit/model_run.c jit/variants.c \
	jit/known.c jit/known.h jit/service.c jit/service.h jit/service_kernel.c jit/service_key.c jit/service_priv.h \
	jit/sched.h jit/schedule.c jit/schedule.h \
	jit/sched_gen.c jit/sched_group.c jit/sched_matmul.c jit/sched_plan.c jit/sched_shape.c jit/sched_values.c
EXTRA_DIST += jit/README.md

include jit/assemble.mk

check_PROGRAMS += tests/check_run tests/check_sched tests/check_planted
TESTS += tests/check_run tests/check_sched tests/check_planted
tests_check_run_SOURCES = tests/check_run.c tests/graph_run.c tests/graph_run.h
tests_check_run_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_run_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_planted_SOURCES = tests/check_planted.c tests/graph_run.c tests/graph_run.h
tests_check_planted_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_planted_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_sched_SOURCES = tests/check_sched.c tests/graph_run.c tests/graph_run.h
tests_check_sched_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_sched_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/check_bundle
TESTS += tests/check_bundle
tests_check_bundle_SOURCES = tests/check_bundle.c tools/safetensors.c tools/safetensors.h
tests_check_bundle_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_bundle_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_bundle_DEPENDENCIES = examples/jitc_tiny_ops.so

include $(top_srcdir)/tests/models.mk
include $(top_srcdir)/tests/faults.mk

check_PROGRAMS += tests/check_service
TESTS += tests/check_service
tests_check_service_SOURCES = tests/check_service.c
tests_check_service_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_service_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
