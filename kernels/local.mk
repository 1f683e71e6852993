# kernels/local.mk - kernel families and dialects.  They and the emitter (jit/llvm) call each other: one library.
noinst_LTLIBRARIES += jit/llvm/libllvm.la
jit_llvm_libllvm_la_SOURCES = \
	kernels/dialect.c kernels/dialect.h \
	kernels/dialect_host.c \
	kernels/dialect_nvptx.c \
	kernels/dialect_sim.c \
	kernels/dot.c \
	kernels/mma.c \
	kernels/point.c \
	kernels/product.c kernels/product.h \
	kernels/row.c
