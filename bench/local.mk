# bench/local.mk - programs that measure; `make bench' runs them.
noinst_PROGRAMS += bench/bench_cache bench/bench_call bench/bench_compile bench/bench_herd bench/bench_key bench/bench_large bench/bench_lookup bench/bench_models bench/bench_product bench/bench_scale
bench_bench_cache_SOURCES = bench/bench_cache.c bench/bench.h
bench_bench_cache_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_call_SOURCES = bench/bench_call.c bench/bench.h
bench_bench_call_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_compile_SOURCES = bench/bench_compile.c bench/bench.h
bench_bench_compile_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_herd_SOURCES = bench/bench_herd.c bench/bench.h
bench_bench_herd_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_key_SOURCES = bench/bench_key.c bench/bench.h
bench_bench_key_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_large_SOURCES = bench/bench_large.c bench/bench.h tests/large_graphs.c tests/large_graphs.h
bench_bench_large_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_lookup_SOURCES = bench/bench_lookup.c bench/bench.h
bench_bench_lookup_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_models_SOURCES = bench/bench_models.c bench/bench.h
bench_bench_models_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_product_SOURCES = bench/bench_product.c bench/bench.h
bench_bench_product_LDADD = $(JC_CORE_LIBS) -lm
bench_bench_scale_SOURCES = bench/bench_scale.c
bench_bench_scale_LDADD = $(JC_CORE_LIBS) -lm

bench: $(noinst_PROGRAMS) all-am
	@JITC_GRAPHS="$${JITC_GRAPHS-$(abs_top_srcdir)/../shared/graphs}"; export JITC_GRAPHS; \
	JITC_LLVM_LIBRARY='$(abs_top_builddir)/.libs/libjitc-llvm.so'; export JITC_LLVM_LIBRARY; \
	bench/bench_cache && bench/bench_call && bench/bench_compile && bench/bench_herd && bench/bench_key && bench/bench_large && bench/bench_lookup && bench/bench_models && bench/bench_product && bench/bench_scale
.PHONY: bench
EXTRA_DIST += bench/cold.txt bench/golden.py bench/gpu.sh bench/gpu_llama.py
