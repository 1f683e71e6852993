# jit/llvm/local.mk - the code generator; the families in kernels/ belong to the same library (kernels/local.mk).
JC_BACK_LIBS += jit/llvm/libllvm.la
jit_llvm_libllvm_la_CPPFLAGS = $(AM_CPPFLAGS) $(LLVM_CPPFLAGS)
jit_llvm_libllvm_la_CFLAGS = $(AM_CFLAGS)
jit_llvm_libllvm_la_SOURCES += \
	jit/llvm/dialect.c jit/llvm/dialect.h \
	jit/llvm/emit.h \
	jit/llvm/emit_access.c \
	jit/llvm/emit_build.c \
	jit/llvm/emit_convert.c \
	jit/llvm/emit_expr.c \
	jit/llvm/emit_math.c jit/llvm/emit_math.h \
	jit/llvm/emit_move.c \
	jit/llvm/emit_name.c \
	jit/llvm/emit_rare.c \
	jit/llvm/emit_tape.c \
	jit/llvm/llvm_compat.c jit/llvm/llvm_compat.h \
	jit/llvm/llvm_module.c jit/llvm/llvm_module.h
EXTRA_DIST += jit/llvm/README.md
