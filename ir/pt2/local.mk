# ir/pt2/local.mk - the reader of torch.export's archives
noinst_LTLIBRARIES += ir/pt2/libpt2.la
JC_FRONT_LIBS += ir/pt2/libpt2.la
ir_pt2_libpt2_la_SOURCES = \
	ir/pt2/pt2.c ir/pt2/pt2.h ir/pt2/pt2_priv.h \
	ir/pt2/pt2_arg.c \
	ir/pt2/pt2_expr.c \
	ir/pt2/pt2_graph.c \
	ir/pt2/pt2_guard.c \
	ir/pt2/pt2_static.c \
	ir/pt2/pt2_type.c \
	ir/pt2/pt2_weights.c \
	ir/pt2/pt2_zip.c ir/pt2/pt2_zip.h
ir_pt2_libpt2_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
ir_pt2_libpt2_la_LIBADD = $(JANSSON_LIBS)
EXTRA_DIST += ir/pt2/README.md

check_PROGRAMS += tests/check_pt2
TESTS += tests/check_pt2
tests_check_pt2_SOURCES = tests/check_pt2.c tests/pt2_seal.h tests/tool_run.c tests/tool_run.h tools/safetensors.c tools/safetensors.h
tests_check_pt2_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_pt2_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_pt2_DEPENDENCIES = jitc$(EXEEXT)
JC_PT2_NAMES = plain v213 sizes inplace functional dtypes layouts forms forms_core
EXTRA_DIST += tests/data/pt2/make_pt2.py tests/data/pt2/old.pt2 tests/data/pt2/packed.pt2 tests/data/pt2/tiny.pt2 \
	tests/data/pt2/two.pt2 $(JC_PT2_NAMES:%=tests/data/pt2/%.pt2) $(JC_PT2_NAMES:%=tests/data/pt2/%.safetensors)
