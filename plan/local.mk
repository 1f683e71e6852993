# plan/local.mk
noinst_LTLIBRARIES += plan/libplan.la
JC_COMMON_LIBS += plan/libplan.la
plan_libplan_la_SOURCES = \
	plan/artifact.c \
	plan/kernel.c plan/kernel.h plan/kernel_print.c plan/kernel_verify.c \
	plan/plan.c plan/plan.h plan/plan_flow.c plan/plan_print.c plan/plan_verify.c \
	plan/target.c plan/target.h

check_PROGRAMS += tests/check_plan
TESTS += tests/check_plan
tests_check_plan_SOURCES = tests/check_plan.c
tests_check_plan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_plan_LDADD = plan/libplan.la ir/libir.la base/libbase.la $(CHECK_LIBS)
