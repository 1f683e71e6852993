# jit/sched/local.mk - from a class to a plan and its kernels
jit_libjit_la_SOURCES += \
	jit/sched/sched.h \
	jit/sched/schedule.c jit/sched/schedule.h \
	jit/sched/sched_args.c \
	jit/sched/sched_attention.c \
	jit/sched/sched_gen.c \
	jit/sched/sched_group.c jit/sched/sched_index.c \
	jit/sched/sched_made.c \
	jit/sched/sched_math.c \
	jit/sched/sched_matmul.c \
	jit/sched/sched_once.c \
	jit/sched/sched_order.c \
	jit/sched/sched_plan.c \
	jit/sched/sched_set.c \
	jit/sched/sched_shape.c \
	jit/sched/sched_tape.h \
	jit/sched/sched_values.c \
	jit/sched/sched_walk.c

check_PROGRAMS += tests/check_run tests/check_sched tests/check_large tests/check_planted
TESTS += tests/check_run tests/check_sched tests/check_large tests/check_planted
check_PROGRAMS += tests/check_attention
TESTS += tests/check_attention
tests_check_attention_SOURCES = tests/check_attention.c tests/graph_run.c tests/graph_run.h tests/many.c tests/many.h
tests_check_attention_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_attention_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
check_PROGRAMS += tests/check_sizes tests/check_wide
TESTS += tests/check_sizes tests/check_wide
tests_check_wide_SOURCES = tests/check_wide.c tests/graph_run.c tests/graph_run.h
tests_check_wide_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_wide_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_sizes_SOURCES = tests/check_sizes.c tests/graph_run.c tests/graph_run.h
tests_check_sizes_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_sizes_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
check_PROGRAMS += tests/check_numbers
TESTS += tests/check_numbers
EXTRA_DIST += tests/data/numbers/backward.py tests/data/numbers/backward.txt tests/data/numbers/by_device.py tests/data/numbers/by_device.txt tests/data/numbers/case.py tests/data/numbers/cases.py tests/data/numbers/cases.txt \
	tests/data/numbers/factors.py tests/data/numbers/factors.txt tests/data/numbers/forms.py tests/data/numbers/forms.txt \
	tests/data/numbers/complex.py tests/data/numbers/complex.txt tests/data/numbers/losses.py tests/data/numbers/losses.txt \
	tests/data/numbers/linalg.py tests/data/numbers/linalg.txt tests/data/numbers/masked.py tests/data/numbers/masked.txt tests/data/numbers/steps.py tests/data/numbers/steps.txt \
	tests/data/numbers/layers.py tests/data/numbers/layers.txt tests/data/numbers/layouts.py tests/data/numbers/layouts.txt tests/data/numbers/pointwise.py tests/data/numbers/pointwise.txt \
	tests/data/numbers/reductions.py tests/data/numbers/reductions.txt \
	tests/data/numbers/reports.py tests/data/numbers/reports.txt \
	tests/data/numbers/special.py tests/data/numbers/special.txt \
	tests/data/numbers/counts.py tests/data/numbers/counts.txt \
	tests/data/numbers/moves.py tests/data/numbers/moves.txt tests/data/numbers/order.py tests/data/numbers/order.txt \
	tests/data/numbers/products.py tests/data/numbers/products.txt
tests_check_numbers_SOURCES = tests/check_numbers.c tests/many.c tests/many.h
tests_check_numbers_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_numbers_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
check_PROGRAMS += tests/check_alias
TESTS += tests/check_alias
tests_check_alias_SOURCES = tests/check_alias.c tests/graph_run.c tests/graph_run.h
tests_check_alias_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_alias_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_run_SOURCES = tests/check_run.c tests/graph_run.c tests/graph_run.h tests/many.c tests/many.h
tests_check_run_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_run_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_planted_SOURCES = tests/check_planted.c tests/graph_run.c tests/graph_run.h
tests_check_planted_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_planted_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_large_SOURCES = tests/check_large.c tests/graph_run.c tests/graph_run.h tests/large_graphs.c tests/large_graphs.h
tests_check_large_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_large_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
tests_check_sched_SOURCES = tests/check_sched.c tests/graph_run.c tests/graph_run.h
tests_check_sched_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_sched_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
