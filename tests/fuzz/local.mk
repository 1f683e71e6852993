# tests/fuzz/local.mk - random graphs; see README.md beside this.
FUZZ_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/gen_row.h tests/fuzz/rows.def tests/fuzz/fuzz_lab.h tests/fuzz/fuzz_run.h \
	tests/fuzz/fuzz_case.c tests/fuzz/fuzz_input.c tests/fuzz/fuzz_lab.c tests/fuzz/fuzz_ops.c tests/fuzz/fuzz_print.c tests/fuzz/fuzz_prog.c tests/fuzz/fuzz_range.c \
	tests/fuzz/fuzz_run.c tests/fuzz/fuzz_show.c tests/fuzz/fuzz_shrink.c tests/fuzz/fuzz_size.c tests/fuzz/fuzz_spell.c \
	tests/fuzz/gen_cast.c tests/fuzz/gen_join.c tests/fuzz/gen_make.c tests/fuzz/gen_order.c tests/fuzz/gen_pointwise.c tests/fuzz/gen_product.c tests/fuzz/gen_reduce.c \
	tests/fuzz/gen_row.c tests/fuzz/gen_row_fact.c tests/fuzz/gen_row_table.c tests/fuzz/gen_view.c tests/fuzz/gen_write.c

check_PROGRAMS += tests/fuzz_graph tests/check_fuzz
TESTS += tests/check_fuzz
tests_fuzz_graph_SOURCES = tests/fuzz/fuzz_graph.c $(FUZZ_SOURCES)
tests_fuzz_graph_LDADD = $(JC_CORE_LIBS) -lm
tests_check_fuzz_SOURCES = tests/check_fuzz.c $(FUZZ_SOURCES)
tests_check_fuzz_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_fuzz_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) -lm

FUZZ_SECONDS = 60
FUZZ_SEED = 1
FUZZ_JOBS = 0
.PHONY: fuzz
fuzz: libjitc-llvm.la tests/fuzz_graph$(EXEEXT)
	JITC_LLVM_LIBRARY=$(abs_top_builddir)/.libs/libjitc-llvm.so tests/fuzz_graph$(EXEEXT) \
	    --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) --jobs $(FUZZ_JOBS)
