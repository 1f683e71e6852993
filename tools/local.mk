# tools/local.mk - the program `jitc'.
bin_PROGRAMS += jitc
jitc_SOURCES = \
	tools/jitc.c tools/tool.h \
	tools/options.c tools/options.h tools/help.c \
	tools/report.c tools/refusals.c tools/load.c tools/source.c tools/classes.c tools/operators.c tools/neighbours.c tools/stages.c \
	tools/dot.c tools/trace.c tools/report_html.c tools/report_html.h tools/report_parts.c \
	tools/cache.h tools/cache_carry.c tools/cache_list.c tools/cache_log.c tools/cache_prune.c \
	tools/cmd_bench.c \
	tools/cmd_bundle.c \
	tools/cmd_cache.c \
	tools/cmd_check.c \
	tools/cmd_compile.c \
	tools/cmd_doctor.c \
	tools/cmd_dump.c \
	tools/cmd_explain.c \
	tools/cmd_run.c tools/run.h tools/run_bounds.c tools/run_bundle.c tools/run_inputs.c tools/run_outputs.c tools/run_print.c tools/run_rounding.c \
	tools/run_verify.c tools/weights.c \
	tools/cmd_split.c \
	tools/cmd_version.c \
	tools/safetensors.c tools/safetensors.h
jitc_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
jitc_LDFLAGS = $(JC_PLUGIN_HOST)
jitc_LDADD = $(JC_CORE_LIBS) $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/check_tool
TESTS += tests/check_tool
tests_check_tool_SOURCES = tests/check_tool.c tests/tool_run.c tests/tool_run.h tools/safetensors.c
tests_check_tool_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_tool_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS)
EXTRA_tests_check_tool_DEPENDENCIES = jitc$(EXEEXT) examples/jitc_tiny_ops.so

check_PROGRAMS += tests/check_report
TESTS += tests/check_report
tests_check_report_SOURCES = tests/check_report.c tests/tool_run.c tests/tool_run.h
tests_check_report_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_report_LDADD = base/libbase.la $(CHECK_LIBS) $(JANSSON_LIBS)
EXTRA_tests_check_report_DEPENDENCIES = jitc$(EXEEXT)
EXTRA_DIST += docs/tool.md

check_PROGRAMS += tests/check_trust
TESTS += tests/check_trust
tests_check_trust_SOURCES = tests/check_trust.c tests/tool_run.c tests/tool_run.h
tests_check_trust_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_trust_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_trust_DEPENDENCIES = jitc$(EXEEXT) tests/plugin_ok.so

check_PROGRAMS += tests/check_nomem
TESTS += tests/check_nomem
tests_check_nomem_SOURCES = tests/check_nomem.c tests/tool_run.c tests/tool_run.h
tests_check_nomem_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_nomem_LDADD = base/libbase.la $(CHECK_LIBS) $(JANSSON_LIBS)
EXTRA_tests_check_nomem_DEPENDENCIES = jitc$(EXEEXT) tests/fail_malloc.so
CLEANFILES += tests/fail_malloc.so
EXTRA_DIST += tests/fail_malloc.c

check_PROGRAMS += tests/check_calls
TESTS += tests/check_calls
tests_check_calls_SOURCES = tests/check_calls.c tests/tool_run.c tests/tool_run.h
tests_check_calls_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_calls_LDADD = base/libbase.la $(CHECK_LIBS) $(JANSSON_LIBS)
EXTRA_tests_check_calls_DEPENDENCIES = jitc$(EXEEXT) tests/fail_calls.so
CLEANFILES += tests/fail_calls.so
EXTRA_DIST += tests/fail_calls.c
