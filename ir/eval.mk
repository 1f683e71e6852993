# ir/eval.mk - the reference
ir_libir_la_SOURCES += \
	ir/eval.c ir/eval.h ir/eval_priv.h ir/eval_custom.c ir/eval_float.c ir/eval_matmul.c ir/eval_pointwise.c \
	ir/eval_reduce.c ir/eval_shape.c ir/eval_tensor.c ir/solve.c

check_PROGRAMS += tests/check_eval tests/check_eval_float tests/check_solve
TESTS += tests/check_eval tests/check_eval_float tests/check_solve
JC_EVAL_TEST_LIBS = ir/libir.la base/libbase.la $(CHECK_LIBS) -lm
tests_check_eval_SOURCES = tests/check_eval.c
tests_check_eval_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_eval_LDADD = $(JC_EVAL_TEST_LIBS)
tests_check_eval_float_SOURCES = tests/check_eval_float.c
tests_check_eval_float_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_eval_float_LDADD = $(JC_EVAL_TEST_LIBS)
tests_check_solve_SOURCES = tests/check_solve.c
tests_check_solve_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_solve_LDADD = $(JC_EVAL_TEST_LIBS)
