/*
 * ir/fx/fx.h - reading PyTorch's text (`computation_graph.py`, print_readable) into a graph.
 *
 *   text --fx_lex--> tokens --fx_parse--> statements --fx_build (spellings.def)--> jc_graph
 *
 * What a graph takes of its module besides its parameters: `self.NAME...` with an annotation is a *constant*, one more parameter behind the declared
 * ones (jc_func.nconstants), named by its path; the caller binds it.  A class nested in the root that the root calls is a piece, a function of its
 * own; one that it passes to an operator of a higher order (invoke_subgraph, the wrap_... kin, cond) is built in place, its constants' paths beginning with
 * its name.  Of `cond` the branch that is taken is built, or both with a choice between their results where only the run tells and they do nothing but
 * compute.  Floats that only the run knows (`x.item()`, quotients of sizes) are tensors of f64 without dims (fx_build_number.c); with the truths among
 * them they can be used where numbers can, but not as sizes.  auto_functionalized and its second version become copies and the operator itself
 * (fx_build_functional.c).  What a statement calls is kept in its nodes and in jc_graph.called, for those who cut at operators.
 *
 * The text is borrowed for the call only.  Errors name file, line, column and what was expected (JITC_E_INPUT); a known
 * operator with a dtype or argument we do not support is JITC_E_UNSUPPORTED.  An operator nobody knows, outside
 * torch.ops.*, becomes a custom node with target "?torch.foo.bar", which reads, splits and hashes; compiling it fails.
 *
 * The types of a custom operator's results come from annotations: its own, or those of the statements that take its
 * elements.  An element that no statement takes, below one that is taken, has the placeholder type u8[0].  A
 * parameter without annotation has the type of the piece's parameter that it is passed to, else it is opaque (JC_NAME).
 */
#ifndef JC_FX_H
#define JC_FX_H

#include "ir/graph.h"

/* TEXT need not be terminated; a NUL inside is bad input.  FILE names it in messages. */
jitc_status jc_fx_read(jc_arena *arena, const char *file, const char *text, size_t length, jc_graph **out,
                       jc_error *err);

/* The same, but a statement that is not supported does not end the reading: it goes into the graph's list of refusals, with what
   else is wrong only because of it left out, and what it gives counts as known by its annotation.  Where there are refusals the graph is
   good for looking at its pieces and nothing else: see jc_graph.root. A node with the bare mark as target stands for such a
   statement. */
jitc_status jc_fx_read_tolerant(jc_arena *arena, const char *file, const char *text, size_t length, jc_graph **out,
                                jc_error *err);

/* Which operands a custom operator writes, by name ("vllm::unified_attention_with_output"), from the table of known
   operators; where it is not listed every tensor operand counts as written (the mask is all ones).  KEYS/positions as
   in the call. */
uint64_t jc_custom_writes(const char *target, const jc_arg *args, uint32_t nargs);

#endif
