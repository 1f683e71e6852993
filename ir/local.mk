# ir/local.mk - the intermediate representation: expressions, types, graphs, operators, inference
noinst_LTLIBRARIES += ir/libir.la
JC_COMMON_LIBS += ir/libir.la
ir_libir_la_SOURCES = \
	ir/decompose.c \
	ir/expr.c ir/expr.h ir/expr_div.c ir/expr_priv.h ir/expr_text.c \
	ir/graph.c ir/graph.h \
	ir/infer.c ir/infer_priv.h ir/infer_pointwise.c ir/infer_shape.c ir/infer_view.c \
	ir/ops.c ir/ops.def \
	ir/print.c \
	ir/type.c ir/type.h \
	ir/verify.c

check_PROGRAMS += tests/check_expr tests/check_ir
TESTS += tests/check_expr tests/check_ir
tests_check_expr_SOURCES = tests/check_expr.c
tests_check_expr_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_expr_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
tests_check_ir_SOURCES = tests/check_ir.c
tests_check_ir_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_ir_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
EXTRA_DIST += tests/golden/decompose.txt

include $(top_srcdir)/ir/fx.mk
include $(top_srcdir)/ir/passes.mk
include $(top_srcdir)/ir/eval.mk
