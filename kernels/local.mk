# kernels/local.mk - kernel families and dialects, and the entry of libjitc-llvm, over the emitting interface (jit/llvm).
noinst_LTLIBRARIES += jit/llvm/libllvm.la
jit_llvm_libllvm_la_SOURCES = \
	kernels/backend_entry.c \
	kernels/attention.c kernels/attention.h \
	kernels/attn.c \
	kernels/band.c \
	kernels/dialect_host.c \
	kernels/dialect_nvptx.c \
	kernels/dialect_sim.c \
	kernels/dot.c \
	kernels/family.h \
	kernels/host_rows.c kernels/host_rows.h \
	kernels/flash.c \
	kernels/fragment.c kernels/fragment.h \
	kernels/mma.c \
	kernels/mma_tile.c kernels/mma_tile.h \
	kernels/point.c \
	kernels/product.c kernels/product.h \
	kernels/row.c \
	kernels/walk.c kernels/amx.c kernels/amx.h kernels/tile.c kernels/wgmma.c
EXTRA_DIST += kernels/README.md

# Kernels by hand: on the host and in the simulator; as PTX.
check_PROGRAMS += tests/check_codegen tests/check_ptx
TESTS += tests/check_codegen tests/check_ptx
tests_check_codegen_SOURCES = tests/check_codegen.c tests/kernel_help.c tests/kernel_help.h tests/many.c tests/many.h
tests_check_codegen_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_codegen_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) -lm
tests_check_ptx_SOURCES = tests/check_ptx.c tests/kernel_help.c tests/kernel_help.h
tests_check_ptx_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_ptx_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS) -lm
