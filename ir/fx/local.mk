# ir/fx/local.mk - the reader of PyTorch's text, its tests, and the page of operators
ir_libir_la_SOURCES += \
	ir/fx/core_aten.def ir/fx/custom.def ir/fx/definitions.def ir/fx/reasons.def ir/fx/series.def ir/fx/series.py ir/fx/spellings.def \
	ir/fx/fx.h ir/fx/fx_ast.h ir/fx/fx_build.h ir/fx/fx_factor.h \
	ir/fx/fx_lex.c ir/fx/fx_parse.c \
	ir/fx/fx_build.c ir/fx/fx_build_arg.c ir/fx/fx_build_attention.c ir/fx/fx_build_backward.c ir/fx/fx_build_call.c ir/fx/fx_build_called.c ir/fx/fx_build_complex.c ir/fx/fx_build_conv.c ir/fx/fx_build_copy.c ir/fx/fx_build_count.c ir/fx/fx_build_ctc.c ir/fx/fx_build_custom.c ir/fx/fx_build_functional.c \
	ir/fx/fx_build_define.c ir/fx/fx_build_expr.c ir/fx/fx_build_index.c ir/fx/fx_build_inline.c ir/fx/fx_build_layout.c ir/fx/fx_build_make.c ir/fx/fx_build_math.c \
	ir/fx/fx_build_move.c ir/fx/fx_build_norm.c ir/fx/fx_build_number.c ir/fx/fx_build_orthogonal.c ir/fx/fx_build_order.c ir/fx/fx_build_pool.c ir/fx/fx_build_product.c ir/fx/fx_build_put.c ir/fx/fx_build_python.c \
	ir/fx/fx_build_refuse.c ir/fx/fx_build_resize.c ir/fx/fx_build_step.c ir/fx/fx_build_factor.c ir/fx/fx_build_fft.c ir/fx/fx_build_linalg.c ir/fx/fx_build_masked.c ir/fx/fx_build_signal.c ir/fx/fx_build_special.c ir/fx/fx_build_type.c ir/fx/fx_build_view.c

check_PROGRAMS += tests/check_fx tests/fuzz_fx docs/gen_operators
TESTS += tests/check_fx tests/fuzz_fx
tests_check_fx_SOURCES = tests/check_fx.c
tests_check_fx_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_fx_LDADD = ir/libir.la base/libbase.la $(CHECK_LIBS)
tests_fuzz_fx_SOURCES = tests/fuzz_fx.c
tests_fuzz_fx_LDADD = ir/libir.la base/libbase.la
docs_gen_operators_SOURCES = docs/gen_operators.c
docs_gen_operators_LDADD = ir/libir.la base/libbase.la

EXTRA_DIST += docs/operators.md tests/golden/fx.txt \
	tests/data/fx/autocast.py tests/data/fx/branches.py tests/data/fx/choices.py tests/data/fx/constants.py tests/data/fx/constants_aten.py \
	tests/data/fx/definitions.py tests/data/fx/dunders.py tests/data/fx/floats.py tests/data/fx/functional.py tests/data/fx/functional_parts.py \
	tests/data/fx/lists.py tests/data/fx/llama_block_small.py tests/data/fx/moves.py tests/data/fx/no_grad.py tests/data/fx/pieces.py \
	tests/data/fx/qwen3_5_layer10.py tests/data/fx/qwen3_5_layer13.py tests/data/fx/refused.py tests/data/fx/regions.py tests/data/fx/regions_aten.py \
	tests/data/fx/writes.py

# Writes docs/operators.md anew; tests/check_fx compares it.
update-docs: docs/gen_operators$(EXEEXT)
	docs/gen_operators$(EXEEXT) > $(srcdir)/docs/operators.md.tmp
	mv $(srcdir)/docs/operators.md.tmp $(srcdir)/docs/operators.md
.PHONY: update-docs
