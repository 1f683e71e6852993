# jit/local.mk - from pieces to artifacts, and from graphs to models that run
noinst_LTLIBRARIES += jit/libjit.la
JC_FRONT_LIBS += jit/libjit.la
jit_libjit_la_SOURCES =
EXTRA_DIST += jit/README.md

include $(top_srcdir)/jit/api/local.mk
include $(top_srcdir)/jit/asm/local.mk
include $(top_srcdir)/jit/sched/local.mk
include $(top_srcdir)/jit/service/local.mk
include $(top_srcdir)/tests/api.mk
include $(top_srcdir)/tests/models.mk
include $(top_srcdir)/tests/faults.mk
