# jit/assemble.mk - the doors to the code generator and to the assemblers; jit/local.mk includes this.
jit_libjit_la_SOURCES += \
	jit/assemble.c jit/assemble.h jit/assemble_priv.h \
	jit/assemble_driver.c jit/assemble_nvjitlink.c jit/assemble_ptxas.c \
	jit/backend.c jit/backend.h

check_PROGRAMS += tests/check_assemble
TESTS += tests/check_assemble
tests_check_assemble_SOURCES = tests/check_assemble.c
tests_check_assemble_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_assemble_LDADD = $(JC_CORE_LIBS) $(CHECK_LIBS)
