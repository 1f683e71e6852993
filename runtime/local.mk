# runtime/local.mk - devices, operators, executor; what planrt.mk adds is the loader and the simulator.
noinst_LTLIBRARIES += runtime/libruntime.la
JC_FRONT_LIBS += runtime/libruntime.la
runtime_libruntime_la_SOURCES = \
	runtime/cuda_api.c runtime/cuda_api.h \
	runtime/device.c runtime/device.h \
	runtime/device_cuda.c \
	runtime/device_host.c \
	runtime/device_mem.c runtime/device_mem.h \
	runtime/device_sim.c \
	runtime/exec.c runtime/exec.h runtime/exec_priv.h \
	runtime/exec_args.c \
	runtime/exec_bounds.c \
	runtime/exec_check.c \
	runtime/exec_frame.c \
	runtime/exec_overlap.c \
	runtime/exec_shape.c \
	runtime/names.c \
	runtime/ops.h runtime/ops_priv.h \
	runtime/ops_call.c \
	runtime/plugin.c \
	runtime/registry.c \
	runtime/schema.c
runtime_libruntime_la_CFLAGS = $(AM_CFLAGS) $(FFI_CFLAGS)
runtime_libruntime_la_LIBADD = $(FFI_LIBS) -lpthread -ldl -lm

include runtime/planrt.mk

JC_RUNTIME_TEST_LIBS = runtime/libruntime.la plan/libplan.la ir/libir.la base/libbase.la $(CHECK_LIBS)

check_PROGRAMS += tests/check_ops tests/check_exec tests/check_cuda_api tests/check_cuda_device
TESTS += tests/check_ops tests/check_exec tests/check_cuda_api tests/check_cuda_device
tests_check_ops_SOURCES = tests/check_ops.c
tests_check_ops_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_ops_LDADD = $(JC_RUNTIME_TEST_LIBS)
EXTRA_tests_check_ops_DEPENDENCIES = tests/plugin_ok.so tests/plugin_bare.so
tests_check_exec_SOURCES = tests/check_exec.c
tests_check_exec_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_exec_LDADD = $(JC_RUNTIME_TEST_LIBS)
tests_check_cuda_api_SOURCES = tests/check_cuda_api.c
tests_check_cuda_api_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(CUDA_CPPFLAGS)
tests_check_cuda_api_LDADD = $(JC_RUNTIME_TEST_LIBS)
tests_check_cuda_device_SOURCES = tests/check_cuda_device.c tests/gpu_help.h
tests_check_cuda_device_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_cuda_device_LDADD = $(JC_RUNTIME_TEST_LIBS)

tests/plugin_ok.so tests/plugin_bare.so: $(jitcinclude_HEADERS)
CLEANFILES += tests/plugin_ok.so tests/plugin_bare.so
EXTRA_DIST += tests/plugin_ok.c tests/plugin_bare.c

# Kernels for the executor's tests, by the C compiler: for the host, for the simulator, and one with a fault.
JC_EXEC_KERNELS = tests/exec_host.o tests/exec_sim.o tests/exec_fault.o
JC_EXEC_CC = $(CC) -O1 -fno-stack-protector -fno-lto -fno-pic -fno-asynchronous-unwind-tables -c
tests/exec_host.o: $(srcdir)/tests/data/exec_kernel.c
	@$(MKDIR_P) tests
	$(AM_V_CC)$(JC_EXEC_CC) -o $@ $(srcdir)/tests/data/exec_kernel.c
tests/exec_sim.o: $(srcdir)/tests/data/exec_kernel.c
	@$(MKDIR_P) tests
	$(AM_V_CC)$(JC_EXEC_CC) -DSIM -o $@ $(srcdir)/tests/data/exec_kernel.c
tests/exec_fault.o: $(srcdir)/tests/data/exec_kernel.c
	@$(MKDIR_P) tests
	$(AM_V_CC)$(JC_EXEC_CC) -DSIM -DOFF_BY_ONE=1 -o $@ $(srcdir)/tests/data/exec_kernel.c
EXTRA_tests_check_exec_DEPENDENCIES = $(JC_EXEC_KERNELS)
CLEANFILES += $(JC_EXEC_KERNELS)
EXTRA_DIST += tests/data/exec_kernel.c
