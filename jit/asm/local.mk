# jit/asm/local.mk - PTX to cubin
jit_libjit_la_SOURCES += \
	jit/asm/assemble.c jit/asm/assemble.h jit/asm/assemble_priv.h \
	jit/asm/code_needs.c jit/asm/code_needs.h \
	jit/asm/assemble_driver.c jit/asm/assemble_nvjitlink.c jit/asm/assemble_ptxas.c

check_PROGRAMS += tests/check_assemble
TESTS += tests/check_assemble
tests_check_assemble_SOURCES = tests/check_assemble.c
tests_check_assemble_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_assemble_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
