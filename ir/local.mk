# ir/local.mk - the intermediate representation: expressions, types, graphs, operators, inference, cutting
noinst_LTLIBRARIES += ir/libir.la
JC_COMMON_LIBS += ir/libir.la
ir_libir_la_SOURCES = \
	ir/conditions.c \
	ir/copies.c ir/unsure.c \
	ir/decompose.c \
	ir/expr.c ir/expr.h ir/expr_div.c ir/expr_priv.h ir/expr_text.c \
	ir/graph.c ir/graph.h \
	ir/infer.c ir/infer_attention.c ir/infer_copy.c ir/infer_order.c ir/infer_priv.h ir/infer_pointwise.c ir/infer_shape.c ir/infer_view.c \
	ir/info.c ir/info.h \
	ir/layout.c \
	ir/narrow.c \
	ir/ops.c ir/ops.def \
	ir/passes.h ir/passes_priv.h \
	ir/print.c \
	ir/solve.c ir/solve.h \
	ir/split.c ir/split_names.c \
	ir/type.c ir/type.h \
	ir/verify.c

check_PROGRAMS += tests/check_expr tests/check_ir tests/check_solve tests/check_split
TESTS += tests/check_expr tests/check_ir tests/check_solve tests/check_split
tests_check_expr_SOURCES = tests/check_expr.c
tests_check_expr_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_expr_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
tests_check_ir_SOURCES = tests/check_ir.c
tests_check_ir_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_ir_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
tests_check_solve_SOURCES = tests/check_solve.c
tests_check_solve_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_solve_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS) -lm
tests_check_split_SOURCES = tests/check_split.c tests/passes_help.h
tests_check_split_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_split_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
EXTRA_DIST += tests/golden/decompose.txt

include $(top_srcdir)/ir/pt2/local.mk
include $(top_srcdir)/ir/fx/local.mk
include $(top_srcdir)/ir/canon/local.mk
include $(top_srcdir)/ir/eval/local.mk
