# tests/local.mk - what the test programs share; each folder's fragment declares its own programs.
TESTS += tests/includes.sh tests/environment.sh tests/codegen_id.sh tests/targets.sh
TESTS += tests/dist.sh tests/table.sh
EXTRA_DIST += tests/environment.sh tests/codegen_id.sh tests/targets.sh tests/includes.sh tests/summary.sh tests/lsan.supp tests/tsan.supp tests/valgrind.supp
EXTRA_DIST += tests/dist.sh tests/scratch.h tests/table.sh tests/torch_diff.py tests/torch_graphs.py tests/torch_models.py tests/torch_ops.py tests/torch_strict.py tests/torch_tensors.py
include tests/bytes/local.mk
include tests/fuzz/local.mk
