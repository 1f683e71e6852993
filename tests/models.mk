# tests/models.mk - whole models from text to numbers; jit/local.mk includes this.
JC_GOLDEN_RUN = tests/golden_run.c tests/golden_run.h tools/safetensors.c tools/safetensors.h
check_PROGRAMS += tests/check_classes tests/check_models tests/check_seed
TESTS += tests/check_classes tests/check_models tests/check_seed
tests_check_classes_SOURCES = tests/check_classes.c $(JC_GOLDEN_RUN)
tests_check_classes_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_classes_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
tests_check_models_SOURCES = tests/check_models.c $(JC_GOLDEN_RUN)
tests_check_models_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_models_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_models_DEPENDENCIES = examples/jitc_tiny_ops.so libjitc-llvm.la
tests_check_seed_SOURCES = tests/check_seed.c $(JC_GOLDEN_RUN)
tests_check_seed_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_seed_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) $(JANSSON_LIBS) -lm
EXTRA_tests_check_seed_DEPENDENCIES = examples/jitc_tiny_ops.so libjitc-llvm.la
EXTRA_tests_check_classes_DEPENDENCIES = examples/jitc_tiny_ops.so libjitc-llvm.la
