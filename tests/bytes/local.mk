# tests/bytes/local.mk - targets for hostile bytes; see README.md beside this.
JC_BYTES_TARGETS = tests/bytes/fuzz_artifact tests/bytes/fuzz_bundle tests/bytes/fuzz_canon tests/bytes/fuzz_entry \
	tests/bytes/fuzz_header tests/bytes/fuzz_kernel tests/bytes/fuzz_plan tests/bytes/fuzz_pt2 tests/bytes/fuzz_schema
check_PROGRAMS += $(JC_BYTES_TARGETS) tests/bytes/make_corpus
TESTS += $(JC_BYTES_TARGETS)
JC_BYTES_DRIVER = tests/bytes/driver.c tests/bytes/fuzz_bytes.h
tests_bytes_fuzz_artifact_SOURCES = tests/bytes/fuzz_artifact.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_artifact_LDADD = plan/libplan.la ir/libir.la base/libbase.la
tests_bytes_fuzz_bundle_SOURCES = tests/bytes/fuzz_bundle.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_bundle_LDADD = $(JC_CORE_LIBS) -lm
tests_bytes_fuzz_canon_SOURCES = tests/bytes/fuzz_canon.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_canon_LDADD = ir/libir.la base/libbase.la
tests_bytes_fuzz_entry_SOURCES = tests/bytes/fuzz_entry.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_entry_LDADD = cache/libcache.la base/libbase.la
tests_bytes_fuzz_header_SOURCES = tests/bytes/fuzz_header.c $(JC_BYTES_DRIVER) tools/safetensors.c tools/safetensors.h
tests_bytes_fuzz_header_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_bytes_fuzz_header_LDADD = ir/libir.la base/libbase.la $(JANSSON_LIBS)
tests_bytes_fuzz_kernel_SOURCES = tests/bytes/fuzz_kernel.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_kernel_LDADD = plan/libplan.la ir/libir.la base/libbase.la
tests_bytes_fuzz_plan_SOURCES = tests/bytes/fuzz_plan.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_plan_LDADD = plan/libplan.la ir/libir.la base/libbase.la
tests_bytes_fuzz_pt2_SOURCES = tests/bytes/fuzz_pt2.c tests/pt2_seal.h $(JC_BYTES_DRIVER)
tests_bytes_fuzz_pt2_LDADD = ir/pt2/libpt2.la ir/libir.la base/libbase.la -lm
tests_bytes_fuzz_schema_SOURCES = tests/bytes/fuzz_schema.c $(JC_BYTES_DRIVER)
tests_bytes_fuzz_schema_LDADD = runtime/libruntime.la plan/libplan.la ir/libir.la base/libbase.la
tests_bytes_make_corpus_SOURCES = tests/bytes/make_corpus.c tools/safetensors.c tools/safetensors.h
tests_bytes_make_corpus_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_bytes_make_corpus_LDADD = $(JC_CORE_LIBS) $(JANSSON_LIBS) -lm
JC_BYTES_CORPUS = \
	tests/data/fuzz/artifact/good_attention_host tests/data/fuzz/artifact/good_attention_sm_90a \
	tests/data/fuzz/canon/good_attention tests/data/fuzz/plan/good_attention_host tests/data/fuzz/plan/good_attention_sm_90a \
	tests/data/fuzz/kernel/good_attention_host_0 tests/data/fuzz/kernel/good_attention_sm_90a_0 tests/data/fuzz/kernel/good_attention_sm_90a_1 \
	tests/data/fuzz/artifact/good_custom_host tests/data/fuzz/artifact/good_custom_sm_90a \
	tests/data/fuzz/artifact/good_norm_host tests/data/fuzz/artifact/good_norm_sm_90a \
	tests/data/fuzz/artifact/good_product_host tests/data/fuzz/artifact/good_product_sm_90a \
	tests/data/fuzz/artifact/good_views_host tests/data/fuzz/artifact/good_views_sm_90a \
	tests/data/fuzz/artifact/good_written_host tests/data/fuzz/artifact/good_written_sm_90a \
	tests/data/fuzz/bundle/good_host tests/data/fuzz/bundle/good_two tests/data/fuzz/bundle/null_plus_zero \
	tests/data/fuzz/canon/good_custom tests/data/fuzz/canon/good_norm tests/data/fuzz/canon/good_product \
	tests/data/fuzz/canon/good_views tests/data/fuzz/canon/good_written tests/data/fuzz/canon/poison_dim \
	tests/data/fuzz/entry/good_entry tests/data/fuzz/header/good_none tests/data/fuzz/header/good_three \
	tests/data/fuzz/kernel/good_custom_host_0 tests/data/fuzz/kernel/good_custom_sm_90a_0 \
	tests/data/fuzz/kernel/good_norm_host_0 tests/data/fuzz/kernel/good_norm_sm_90a_0 \
	tests/data/fuzz/kernel/good_product_host_0 tests/data/fuzz/kernel/good_product_host_1 \
	tests/data/fuzz/kernel/good_product_sm_90a_0 tests/data/fuzz/kernel/good_product_sm_90a_1 \
	tests/data/fuzz/kernel/good_product_sm_90a_2 tests/data/fuzz/kernel/good_views_host_0 \
	tests/data/fuzz/kernel/good_views_host_1 tests/data/fuzz/kernel/good_views_host_2 \
	tests/data/fuzz/kernel/good_views_host_3 tests/data/fuzz/kernel/good_views_sm_90a_0 \
	tests/data/fuzz/kernel/good_views_sm_90a_1 tests/data/fuzz/kernel/good_views_sm_90a_2 \
	tests/data/fuzz/kernel/good_views_sm_90a_3 tests/data/fuzz/kernel/good_written_host_0 \
	tests/data/fuzz/kernel/good_written_host_1 tests/data/fuzz/kernel/good_written_sm_90a_0 \
	tests/data/fuzz/kernel/good_written_sm_90a_1 tests/data/fuzz/plan/good_custom_host \
	tests/data/fuzz/plan/good_custom_sm_90a tests/data/fuzz/plan/good_norm_host tests/data/fuzz/plan/good_norm_sm_90a \
	tests/data/fuzz/plan/good_product_host tests/data/fuzz/plan/good_product_sm_90a tests/data/fuzz/plan/good_views_host \
	tests/data/fuzz/plan/good_views_sm_90a tests/data/fuzz/plan/good_written_host tests/data/fuzz/plan/good_written_sm_90a \
	tests/data/fuzz/pt2/good_tiny \
	tests/data/fuzz/schema/good_0 tests/data/fuzz/schema/good_1 tests/data/fuzz/schema/good_2 tests/data/fuzz/schema/good_3
EXTRA_DIST += tests/bytes/README.md $(JC_BYTES_CORPUS)

# make fuzz-bytes FUZZ_SECONDS=60: the same targets under libFuzzer, in a tree configured for it (README.md beside this).
JC_BYTES_LIBS = tools/tests_bytes_fuzz_header-safetensors.o $(JC_CORE_LIBS) $(JANSSON_LIBS) -lm
# FUZZ_SECONDS is tests/fuzz/local.mk's.
.PHONY: fuzz-bytes
fuzz-bytes: $(JC_BYTES_TARGETS)
	@for target in $(JC_BYTES_TARGETS); do \
	  name=$${target##*fuzz_}; work=tests/bytes/libfuzzer.d/$$name; mkdir -p $$work; \
	  for part in fuzz_$$name driver; do \
	    $(CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -DJC_LIBFUZZER \
	      -c -o $$work.$$part.o $(srcdir)/tests/bytes/$$part.c || exit 1; \
	  done; \
	  $(LIBTOOL) --silent --tag=CC --mode=link $(CC) $(AM_CFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $$work.run \
	    $$work.fuzz_$$name.o $$work.driver.o $(JC_BYTES_LIBS) || exit 1; \
	  echo "== $$name"; \
	  $$work.run -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -rss_limit_mb=1024 -artifact_prefix=$$work. \
	    -print_final_stats=1 $$work $(srcdir)/tests/data/fuzz/$$name || exit 1; \
	done
