# examples/local.mk - the embedding example, the plugin of small operators, and the tests that use the plugin
JC_TINY_OPS = \
	examples/ops_attention.c examples/ops_cuda.c examples/ops_gdn.c examples/ops_mamba.c examples/ops_moe.c \
	examples/ops_norm.c examples/ops_rotary.c examples/ops_tensor.c examples/ops_triton.c examples/ops_weights.c
jc_tiny_ops_includes = examples/ops_recurrent.h examples/ops_tiny.h
JC_PLUGINS += examples/jitc_tiny_ops.so
examples/jitc_tiny_ops.so: $(JC_TINY_OPS) $(jc_tiny_ops_includes)
EXTRA_DIST += examples/jitc_tiny_ops.c $(JC_TINY_OPS) $(jc_tiny_ops_includes)

noinst_PROGRAMS += examples/embed
examples_embed_SOURCES = examples/embed.c
examples_embed_LDADD = libjitc.la
noinst_PROGRAMS += examples/engine
examples_engine_SOURCES = examples/engine.c
examples_engine_LDADD = libjitc.la

check_PROGRAMS += tests/check_plugin_ops tests/check_goldens tests/check_safetensors
TESTS += tests/check_plugin_ops tests/check_goldens tests/check_safetensors
JC_TINY_HOST = tests/tiny_host.c tests/tiny_host.h
tests_check_plugin_ops_SOURCES = tests/check_plugin_ops.c $(JC_TINY_HOST) examples/ops_tensor.c examples/ops_weights.c
tests_check_plugin_ops_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_plugin_ops_LDADD = $(JC_RUNTIME_TEST_LIBS) -lm
EXTRA_tests_check_plugin_ops_DEPENDENCIES = examples/jitc_tiny_ops.so tests/fake_cuda.so
tests/fake_cuda.so: LDFLAGS += -Wl,-soname,libcuda.so.1
CLEANFILES += tests/fake_cuda.so
EXTRA_DIST += tests/fake_cuda.c
tests_check_goldens_SOURCES = tests/check_goldens.c $(JC_TINY_HOST) tools/safetensors.c tools/safetensors.h
tests_check_goldens_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_goldens_LDADD = $(JC_RUNTIME_TEST_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_goldens_DEPENDENCIES = examples/jitc_tiny_ops.so
tests_check_safetensors_SOURCES = tests/check_safetensors.c tools/safetensors.c tools/safetensors.h
tests_check_safetensors_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_safetensors_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/check_embed
TESTS += tests/check_embed
tests_check_embed_SOURCES = tests/check_embed.c
tests_check_embed_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_embed_LDADD = $(CHECK_LIBS)
EXTRA_tests_check_embed_DEPENDENCIES = examples/embed$(EXEEXT)

check_PROGRAMS += tests/check_engine
TESTS += tests/check_engine
tests_check_engine_SOURCES = tests/check_engine.c
tests_check_engine_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_engine_LDADD = $(CHECK_LIBS)
EXTRA_tests_check_engine_DEPENDENCIES = examples/engine$(EXEEXT)
