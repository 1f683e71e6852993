# python/local.mk - the package jitc for Python: its extension module and the wheel.  Not part of `all': the C library needs no Python.
JC_PY = python3
JC_EXT_C = python/ext/module.c python/ext/context.c python/ext/bundle.c python/ext/model.c python/ext/program.c python/ext/weights.c python/ext/gate.c python/ext/gate_new.c \
	python/ext/region.c python/ext/exchange.c python/ext/abi.c python/ext/ahead.c python/ext/loaded.c python/ext/walk.c python/ext/hold.c
JC_EXT_H = python/ext/ext.h python/ext/exchange.h python/ext/abi.h python/ext/program.h python/ext/gate.h python/ext/hold.h
JC_PY_FILES = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/python/jitc/*.py $(srcdir)/python/jitc/*.pyi $(srcdir)/python/jitc/vllm/*.py $(srcdir)/python/jitc/py.typed))
JC_PY_TESTS = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/python/tests/*.py $(srcdir)/python/tests/vllm/*.py $(srcdir)/python/tests/*.sh $(srcdir)/python/bench/*.py))
EXTRA_DIST += $(JC_EXT_C) $(JC_EXT_H) $(JC_PY_FILES) $(JC_PY_TESTS) \
	examples/torch_compile.py examples/torch_export.py examples/vllm_serve.sh python/README.md python/pyproject.toml python/pack_wheel.py python/wheel.sh

# Against CPython's limited API: one module for 3.10 and all later ones.
python/_jitc.abi3.so: $(JC_EXT_C) $(JC_EXT_H) $(jitcinclude_HEADERS) libjitc.la
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CC) $(AM_CPPFLAGS) $(CPPFLAGS) -DPy_LIMITED_API=0x030a0000 \
	  -I`$(JC_PY) -c 'import sysconfig; print(sysconfig.get_path("include"))'` $(AM_CFLAGS) $(CFLAGS) -fPIC -shared \
	  $(LDFLAGS) -o $@ $(filter %.c,$^) -L.libs -ljitc -Wl,-rpath,'$$ORIGIN/lib'
CLEANFILES += python/_jitc.abi3.so

# What goes into a wheel, of this build tree.
wheel-parts: python/_jitc.abi3.so libjitc.la libjitc-llvm.la jitc$(EXEEXT) jitc-worker$(EXEEXT)

wheel:
	@CC='$(CC)' PYTHON='$(JC_PY)' LLVM_CONFIG='$(LLVM_CONFIG)' MAKE='$(MAKE)' JC_STATIC='$(JC_STATIC_BUILD)' \
	  $(SHELL) $(srcdir)/python/wheel.sh '$(srcdir)' '$(PACKAGE_VERSION)'
.PHONY: wheel wheel-parts
