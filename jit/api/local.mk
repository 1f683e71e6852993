# jit/api/local.mk - the public objects: contexts, models, bundles, ranges
jit_libjit_la_SOURCES += \
	jit/api/archive.c jit/api/archive.h \
	jit/api/bundle.c jit/api/bundle.h jit/api/bundle_decode.c jit/api/bundle_encode.c \
	jit/api/bundle_info.c jit/api/bundle_open.c \
	jit/api/context.c \
	jit/api/executable.c jit/api/executable.h \
	jit/api/executable_run.c \
	jit/api/pairs.c jit/api/pairs.h jit/api/frame.c jit/api/frame_priv.h \
	jit/api/frame_instance.c \
	jit/api/frame_place.c \
	jit/api/frame_reserve.c \
	jit/api/frame_result.c \
	jit/api/frame_run.c \
	jit/api/frame_shape.c \
	jit/api/examples.c jit/api/examples.h \
	jit/api/explain.c jit/api/explain.h \
	jit/api/model.c jit/api/model.h \
	jit/api/model_run.c \
	jit/api/operators.c jit/api/operators.h \
	jit/api/program.c jit/api/program.h \
	jit/api/read_cache.c jit/api/read_cache.h \
	jit/api/trust.c jit/api/trust.h \
	jit/api/variants.c

check_PROGRAMS += tests/check_bundle
TESTS += tests/check_bundle
tests_check_bundle_SOURCES = tests/check_bundle.c tests/faulty_alloc.h tools/safetensors.c tools/safetensors.h
tests_check_bundle_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_bundle_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_bundle_DEPENDENCIES = examples/jitc_tiny_ops.so
