# ir/passes.mk - cutting, layout, canonical form
ir_libir_la_SOURCES += \
	ir/canon.c ir/canon.h ir/canon_decode.c ir/canon_encode.c ir/canon_graph.c ir/canon_order.c ir/canon_priv.h \
	ir/explain.c \
	ir/layout.c \
	ir/passes.h \
	ir/split.c

check_PROGRAMS += tests/check_split tests/check_canon
TESTS += tests/check_split tests/check_canon
tests_check_split_SOURCES = tests/check_split.c tests/passes_help.h
tests_check_split_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_split_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
tests_check_canon_SOURCES = tests/check_canon.c tests/passes_help.h
tests_check_canon_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_canon_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
