# include/local.mk - the public headers, installed as jitc/NAME.h: all there are.
jitcincludedir = $(includedir)/jitc
jitcinclude_HEADERS = $(wildcard $(srcdir)/include/jitc/*.h)
