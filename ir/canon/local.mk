# ir/canon/local.mk - canonical form, structural hash, where two forms part
ir_libir_la_SOURCES += \
	ir/canon/canon.c ir/canon/canon.h ir/canon/canon_decode.c ir/canon/canon_encode.c ir/canon/canon_graph.c \
	ir/canon/canon_order.c ir/canon/canon_priv.h \
	ir/canon/explain.c

check_PROGRAMS += tests/check_canon
TESTS += tests/check_canon
tests_check_canon_SOURCES = tests/check_canon.c tests/passes_help.h
tests_check_canon_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_canon_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
