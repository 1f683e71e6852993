# ir/eval/local.mk - the reference
ir_libir_la_SOURCES += \
	ir/eval/eval.c ir/eval/eval.h ir/eval/eval_priv.h \
	ir/eval/eval_attention.c ir/eval/eval_custom.c ir/eval/eval_float.c ir/eval/eval_layout.c ir/eval/eval_matmul.c ir/eval/eval_order.c ir/eval/eval_pointwise.c \
	ir/eval/eval_reduce.c ir/eval/eval_shape.c ir/eval/eval_tensor.c

check_PROGRAMS += tests/check_eval tests/check_eval_float
TESTS += tests/check_eval tests/check_eval_float
JC_EVAL_TEST_LIBS = ir/libir.la base/libbase.la $(CHECK_LIBS) -lm
tests_check_eval_SOURCES = tests/check_eval.c
tests_check_eval_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_eval_LDADD = $(JC_EVAL_TEST_LIBS)
tests_check_eval_float_SOURCES = tests/check_eval_float.c
tests_check_eval_float_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_eval_float_LDADD = $(JC_EVAL_TEST_LIBS)
