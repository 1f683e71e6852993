# runtime/planrt.mk - the loader of objects and the simulator; runtime/local.mk includes this.
runtime_libruntime_la_SOURCES += \
	runtime/loader.c runtime/loader.h runtime/loader_externals.c runtime/loader_priv.h \
	runtime/sim.c runtime/sim.h runtime/sim_memory.c runtime/sim_priv.h runtime/sim_switch.c runtime/sim_warp.c \
	runtime/sim_watch.c

check_PROGRAMS += tests/check_loader tests/check_sim tests/check_races
TESTS += tests/check_loader tests/check_sim tests/check_races
tests_check_loader_SOURCES = tests/check_loader.c
tests_check_loader_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_loader_LDADD = runtime/libruntime.la plan/libplan.la ir/libir.la base/libbase.la $(CHECK_LIBS) -lm
tests_check_sim_SOURCES = tests/check_sim.c
tests_check_sim_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_sim_LDADD = runtime/libruntime.la plan/libplan.la ir/libir.la base/libbase.la $(CHECK_LIBS) -lm
tests_check_races_SOURCES = tests/check_races.c
tests_check_races_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_races_LDADD = runtime/libruntime.la plan/libplan.la ir/libir.la base/libbase.la $(CHECK_LIBS) -lm

# Objects for the loader's tests, by the C compiler: position-independent, not, and with absolute addresses.
JC_LOADER_SAMPLES = tests/loader_pic.o tests/loader_plain.o tests/loader_absolute.o
JC_LOADER_CC = $(CC) -O2 -fno-stack-protector -fno-lto -c
tests/loader_pic.o: $(srcdir)/tests/data/loader_sample.c
	@$(MKDIR_P) tests
	$(AM_V_CC)$(JC_LOADER_CC) -fPIC -fno-asynchronous-unwind-tables -DWITH_TABLE -o $@ $(srcdir)/tests/data/loader_sample.c
tests/loader_plain.o: $(srcdir)/tests/data/loader_sample.c
	@$(MKDIR_P) tests
	$(AM_V_CC)$(JC_LOADER_CC) -fno-pic -o $@ $(srcdir)/tests/data/loader_sample.c
tests/loader_absolute.o: $(srcdir)/tests/data/loader_sample.c
	@$(MKDIR_P) tests
	$(AM_V_CC)$(JC_LOADER_CC) -fno-pic -DWITH_TABLE -o $@ $(srcdir)/tests/data/loader_sample.c
EXTRA_tests_check_loader_DEPENDENCIES = $(JC_LOADER_SAMPLES)
CLEANFILES += $(JC_LOADER_SAMPLES)
EXTRA_DIST += tests/data/loader_sample.c
