/*
 * tests/check_split.c - cutting, layout across pieces, and the models that vLLM cut itself.
 */
#include "passes_help.h"

/* ---- where it is cut --------------------------------------------------------------------------------------------- */

#define ATTN(q, out) "torch.ops.vllm.unified_attention_with_output(" q ", " q ", " q ", " out ", 'layer')"
#define X "x: \"bf16[s0, 8]\", s0: \"Sym(s0)\", w: \"bf16[8, 8]\""

/* Pieces as text: name, S if it splits, operators, outputs by name; joined by blanks. */
typedef struct cut_row {
    const char *name, *text, *pieces;
} cut_row;

static const cut_row cut_rows[] = {
    { "no splitting operator: one piece", MODULE(X, S("y = x + x") S("return (y,)")), "submod_0:add:r" },
    { "a splitting operator is alone",
      MODULE(X, S("a = x + x") S("o = torch.empty((s0, 8), dtype = torch.bfloat16)") S("u = " ATTN("a", "o"))
                    S("z = o * 2") S("return (z,)")),
      "submod_0:add,empty:a,o submod_1S:custom: submod_2:mul:z" },
    { "one comes first",
      MODULE(X, S("u = " ATTN("x", "x")) S("z = x * 2") S("return (z,)")), "submod_1S:custom: submod_2:mul:z" },
    { "one comes last",
      MODULE(X, S("z = x * 2") S("u = " ATTN("z", "z")) S("return (z,)")), "submod_0:mul:z submod_1S:custom:" },
    { "those that follow each other share a piece",
      MODULE(X, S("a = x + x") S("d: \"bf16[0]\" = torch.ops.vllm.unified_kv_cache_update(a, a, 'layer')")
                    S("u = " ATTN("a", "x")) S("z = x * 2") S("return (z,)")),
      "submod_0:add:a submod_1S:custom,custom: submod_2:mul:z" },
    { "something between them does not",
      MODULE(X, S("a = x + x") S("u = " ATTN("a", "x")) S("b = a * 2") S("v = " ATTN("b", "x")) S("return (b,)")),
      "submod_0:add:a submod_1S:custom: submod_2:mul:b submod_3S:custom:" },
    { "allocations alone go back, and leave a gap",
      MODULE(X, S("a = x + x") S("d: \"bf16[0]\" = torch.ops.vllm.unified_kv_cache_update(a, a, 'layer')")
                    S("o = torch.empty((s0, 8), dtype = torch.bfloat16)") S("u = " ATTN("a", "o")) S("z = o * 2")
                        S("return (z,)")),
      "submod_0:add,empty:a,o submod_1S:custom: submod_3S:custom: submod_4:mul:z" },
    { "zeros do not",
      MODULE(X, S("a = x + x") S("d: \"bf16[0]\" = torch.ops.vllm.unified_kv_cache_update(a, a, 'layer')")
                    S("o = torch.zeros((s0, 8), dtype = torch.bfloat16)") S("u = " ATTN("a", "o")) S("z = o * 2")
                        S("return (z,)")),
      "submod_0:add:a submod_1S:custom: submod_2:full:o submod_3S:custom: submod_4:mul:z" },
    { "allocations at the start stay",
      MODULE(X, S("o = torch.empty((s0, 8), dtype = torch.bfloat16)") S("u = " ATTN("x", "o")) S("z = o * 2")
                    S("return (z,)")),
      "submod_0:empty:o submod_1S:custom: submod_2:mul:z" },
    { "an index goes to the piece of what it shows",
      MODULE(X, S("a = x + x") S("u = " ATTN("a", "x")) S("b = a[(Ellipsis, slice(None, 4, None))]") S("z = b * 2")
                    S("return (z,)")),
      "submod_0:add,slice:a,b submod_1S:custom: submod_2:mul:z" },
    { "an index with an integer as well",
      MODULE(X, S("a = x + x") S("u = " ATTN("a", "x")) S("b = a[(slice(None, None, None), 3)]") S("z = b * 2")
                    S("return (z,)")),
      "submod_0:add,slice,reshape:a,b submod_1S:custom: submod_2:mul:z" },
    { "of a parameter it stays",
      MODULE(X, S("a = x + x") S("u = " ATTN("a", "x")) S("b = w[(Ellipsis, slice(None, 4, None))]") S("z = b * 2")
                    S("return (z,)")),
      "submod_0:add:a submod_1S:custom: submod_2:slice,mul:z" },
    { "a chunk is a call like others",
      MODULE(X, S("a = x + x") S("u = " ATTN("a", "x")) S("c = a.chunk(2, dim = -1)") S("b = c[0]") S("e = c[1]")
                    S("z = b * e") S("return (z,)")),
      "submod_0:add:a submod_1S:custom: submod_2:slice,slice,mul:z" },
    { "the destination of a setitem stays",
      MODULE(X, S("a = x + x") S("b = x * 2") S("u = " ATTN("a", "x")) S("e = w + 1")
                    S("a[(slice(None, 8, None), slice(None, None, None))] = e;  setitem = a") S("return (a, b)")),
      "submod_0:add,mul:a,b submod_1S:custom: submod_2:add,slice,copy_:" },
    { "outputs by first later use, operands in order",
      MODULE(X, S("a = x + 1") S("b = x + 2") S("c = x + 3") S("d = x + 4")
                    S("u = torch.ops.vllm.unified_attention_with_output(c, a, c, b, 'layer')") S("z = d * b")
                        S("return (z, a)")),
      "submod_0:add,add,add,add:c,a,b,d submod_1S:custom: submod_2:mul:z" },
    { "what only the root returns comes last",
      MODULE(X, S("a = x + 1") S("b = x + 2") S("u = " ATTN("b", "x")) S("return (a, b)")),
      "submod_0:add,add:b,a submod_1S:custom:" },
    { "keyword operands count in their place",
      MODULE(X, S("a = x + 1") S("b = x + 2")
                    S("u = torch.ops.vllm.unified_attention_with_output(b, b, b, x, 'layer', kv_cache_dummy_dep = a)")
                        S("return ()")),
      "submod_0:add,add:b,a submod_1S:custom:" },
    { "what goes back ends a row of splitting operators",
      MODULE(X, S("a = x + x") S("u = " ATTN("a", "x")) S("b = a[(Ellipsis, slice(None, 4, None))]")
                    S("v = " ATTN("b", "x")) S("return (b,)")),
      "submod_0:add,slice:a,b submod_1S:custom: submod_3S:custom:" },
    { "an overload and another namespace",
      MODULE(X, S("a = x + 1") S("u = torch.ops.mine.gdn_attention_core.default(a, a, a, x, 'layer')")
                    S("return (x,)")),
      "submod_0:add:a submod_1S:custom:" },
    { "a longer name is another operator",
      MODULE(X, S("a = x + 1") S("u = torch.ops.vllm.mamba_mixer3(a, x, 'layer')") S("return (x,)")),
      "submod_0:add,custom:r" },
};

static void print_output(const jc_value *v, jc_bytes *out, bool first) {
    jc_put_text(out, "%s%s", first ? "" : ",", v->name ? v->name : "?");
}

static void print_piece(const jc_func *f, const char *outputs, jc_bytes *out) {
    jc_put_text(out, "%s%s:", f->name, jc_piece_is_splitting(f, NULL) ? "S" : "");
    for (size_t i = 0; i < f->nodes.n; i++)
        jc_put_text(out, "%s%s", i ? "," : "", jc_ops[f->nodes.at[i]->op].name);
    jc_put_text(out, ":");
    if (outputs)
        jc_put_text(out, "%s", outputs);
    for (uint32_t i = 0; !outputs && i < f->noutputs; i++)
        print_output(f->outputs[i].value, out, i == 0);
}

START_TEST(cuts) {
    const cut_row *row = &cut_rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_text(arena, row->name, row->text);
    jc_bytes out = JC_BYTES(arena);
    for (size_t i = 0; i < g->pieces.n; i++) {
        jc_put_text(&out, i ? " " : "");
        print_piece(g->pieces.at[i], g->pieces.n == 1 ? "r" : NULL, &out);
    }
    jc_put_u8(&out, 0);
    ck_assert_msg(!strcmp((char *)out.at, row->pieces), "%s:\n  got  %s\n  want %s", row->name, (char *)out.at,
                  row->pieces);
    jc_error err = JC_ERROR_INIT;
    char why[1600];
    for (size_t i = 0; i < g->pieces.n; i++)
        ck_assert_msg(jc_verify(g->pieces.at[i], &err) == JITC_OK, "%s: %s", row->name,
                      jc_error_text(&err, why, sizeof why));
    ck_assert_msg(jc_verify(g->root, &err) == JITC_OK, "%s: %s", row->name, jc_error_text(&err, why, sizeof why));
    jc_arena_free(arena);
}
END_TEST

START_TEST(other_operators) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const char *const ops[] = { "mine" };
    const jc_split_options options = { ops, 1 };
    const char *text = MODULE(X, S("a = x + 1") S("u = " ATTN("a", "x")) S("b = a + 1")
                                     S("v = torch.ops.n.mine(b, x)") S("z = x + 1") S("return (z,)"));
    jc_graph *g = read_text(arena, "other", text, strlen(text));
    ck_assert_int_eq(jc_split(g, &options, &err), JITC_OK);
    ck_assert_uint_eq(g->pieces.n, 3);
    ck_assert(jc_piece_is_splitting(g->pieces.at[1], &options));
    ck_assert(!jc_piece_is_splitting(g->pieces.at[0], &options));
    ck_assert(jc_piece_is_splitting(g->pieces.at[0], NULL));
    jc_arena_free(arena);
}
END_TEST

/* --- names --- */

static const struct {
    const char *name, *called;
    bool means;
} names[] = {
    { "x", "torch.ops.vllm.x.default", true },
    { "vllm::x", "torch.ops.vllm.x.default", true },
    { "vllm.x", "vllm::x", true },
    { "torch.ops.vllm.x", "torch.ops.vllm.x.out", true },
    { "torch.ops.vllm.x.default", "torch.ops.vllm.x.default", true },
    { "torch.ops.vllm.x.default", "vllm::x", true },
    { "vllm::x.default", "torch.ops.vllm.x", true },
    { "vllm::x.out", "torch.ops.vllm.x.default", false },
    { "vllm::x.default", "torch.ops.vllm.x.out", false },
    { "vllm::x", "torch.ops.mine.x.default", false },
    { "vllm::xy", "torch.ops.vllm.x.default", false },
    { "vllm::", "torch.ops.vllm.x.default", false },
    { "", "torch.ops.vllm.x.default", false },
    { "linear", "torch._C._nn.linear", true },
    { "torch.nn.functional.linear", "torch._C._nn.linear", true },
    { "torch.nn.functional.linear", "torch.ops.aten.linear.default", false },
    { "aten::linear", "torch._C._nn.linear", true },
    { "aten::linear.default", "torch._C._nn.linear", false },
    { "aten::linear", "torch.ops.aten.linear.default", true },
    { "prims::linear", "torch._C._nn.linear", false },
    { "torch.norm", "torch.linalg.norm", false },
    { "torch.linalg.norm", "torch.linalg.norm", true },
    { "view", "Tensor.view", true },
    { "Tensor.view", "Tensor.view", true },
    { "torch.Tensor.view", "Tensor.view", true },
    { "x.view", "Tensor.view", true },
    { "aten.view", "Tensor.view", true },
    { "torch.view", "Tensor.view", false },
    { "Tensor.view", "torch.ops.aten.view.default", false },
    { "add", "operator.add", true },
    { "operator.add", "operator.add", true },
    { "operator.add", "operator.iadd", false },
    { "einops_rearrange", "einops_rearrange", true },
};

START_TEST(names_mean) {
    ck_assert_msg(jc_name_means(names[_i].name, names[_i].called) == names[_i].means, "'%s' and '%s'", names[_i].name, names[_i].called);
}
END_TEST

#define ANY S("a = x + 1") S("l: \"bf16[s0, 8]\" = torch._C._nn.linear(a, w, None)") S("b = l.relu()") S("b *= 2") S("c = b[(Ellipsis, slice(None, 4, None))]") \
            S("d = c * 2") S("e = b.to(torch.bfloat16)") S("u = torch.ops.n.mine.default(e, d)") S("return (d, e)")

/* Pieces as above, without what they return. */
static const cut_row any_rows[] = {
    { "linear", NULL, "submod_0:add submod_1S:linear submod_2:relu,mul,copy_,slice,mul,custom" },
    { "torch.nn.functional.linear", NULL, "submod_0:add submod_1S:linear submod_2:relu,mul,copy_,slice,mul,custom" },
    { "aten::relu", NULL, "submod_0:add,linear submod_1S:relu submod_2:mul,copy_,slice,mul,custom" },
    { "Tensor.relu", NULL, "submod_0:add,linear submod_1S:relu submod_2:mul,copy_,slice,mul,custom" },
    { "operator.imul", NULL, "submod_0:add,linear,relu submod_1S:mul,copy_,slice submod_2:mul,custom" },
    { "getitem", NULL, "submod_0:add,linear,relu,mul,copy_ submod_1S:slice submod_2:mul,custom" },
    { "operator.mul", NULL, "submod_0:add,linear,relu,mul,copy_,slice submod_1S:mul submod_2:custom" },
    { "n::mine", NULL, "submod_0:add,linear,relu,mul,copy_,slice,mul submod_1S:custom" },
    { "x.to", NULL, "submod_0:add,linear,relu,mul,copy_,slice,mul,custom" },
};

START_TEST(any_operator) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const char *const ops[] = { any_rows[_i].name }, *text = MODULE(X, ANY);
    const jc_split_options options = { ops, 1 };
    jc_graph *g = read_text(arena, ops[0], text, strlen(text));
    const jc_graph *all[] = { g };
    jc_bytes out = JC_BYTES(arena);
    ck_assert_int_eq(jc_split_check(all, 1, &options, arena, &err), JITC_OK);
    ck_assert_int_eq(jc_split(g, &options, &err), JITC_OK);
    for (size_t i = 0; i < g->pieces.n; i++) {
        const jc_func *f = g->pieces.at[i];
        jc_put_text(&out, "%s%s%s:", i ? " " : "", f->name, jc_piece_is_splitting(f, &options) ? "S" : "");
        for (size_t k = 0; k < f->nodes.n; k++)
            jc_put_text(&out, "%s%s", k ? "," : "", jc_ops[f->nodes.at[k]->op].name);
    }
    jc_put_u8(&out, 0);
    ck_assert_msg(!strcmp((char *)out.at, any_rows[_i].pieces), "%s:\n  got  %s\n  want %s", ops[0], (char *)out.at, any_rows[_i].pieces);
    ck_assert_int_eq(jc_split_check(all, 1, &options, arena, &err), JITC_OK); /* the names are there once it is cut as well */
    jc_arena_free(arena);
}
END_TEST

static const struct {
    const char *name, *says;
} nothings[] = {
    { "n::mien", "'n::mien', but call nothing of that name; near it are: torch.ops.n.mine.default" },
    { "Tensor.linear", "near it are: torch._C._nn.linear" },
    { "sdpa", "they call: operator.add, torch._C._nn.linear, Tensor.relu, operator.imul, operator.getitem, operator.mul" },
    { "", "they call: operator.add" },
};

START_TEST(no_operator) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const char *const ops[] = { "relu", nothings[_i].name }, *text = MODULE(X, ANY);
    const jc_split_options options = { ops, 2 };
    const jc_graph *g = read_text(arena, "none", text, strlen(text));
    ck_assert_int_eq(jc_split_check(&g, 1, &options, arena, &err), JITC_E_USAGE);
    ck_assert_msg(strstr(err.message, nothings[_i].says), "%s", err.message);
    jc_arena_free(arena);
}
END_TEST

/* A root that calls and computes is bad input, with the line of what computes. */
START_TEST(mixed_root) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const char *text = HEAD "    def forward(self, x: \"bf16[8]\"):\n"
                            "        submod_0 = self.submod_0(x)\n"
                            "        getitem = submod_0[0]\n"
                            "        y = getitem + 1\n"
                            "        return (y,)\n"
                            "    class submod_0(torch.nn.Module):\n"
                            "        def forward(self, x: \"bf16[8]\"):\n"
                            "            y = x + x\n"
                            "            return (y,)\n";
    jc_graph *g = read_text(arena, "mixed", text, strlen(text));
    ck_assert_int_eq(jc_split(g, NULL, &err), JITC_E_INPUT);
    ck_assert_int_eq(err.line, 7);
    jc_arena_free(arena);
}
END_TEST

#define CUT(root, piece)                                                                           \
    HEAD "    def forward(self, x: \"bf16[s0, 8]\", s0: \"Sym(s0)\", w: \"bf16[8, 8]\"):\n" root                        \
         "    class submod_0(torch.nn.Module):\n" piece
#define T(line) "            " line "\n"

/* What pieces return of symbols that everybody knows goes; the rest stays in place. */
START_TEST(symbols_between_pieces_go) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *text = CUT(S("submod_0 = self.submod_0(x)") S("getitem = submod_0[0]") S("getitem_1 = submod_0[1]")
                               S("getitem_2 = submod_0[2]") S("submod_1 = self.submod_1(getitem_2, getitem_1)")
                                   S("getitem_3 = submod_1[0]") S("return (getitem_3, getitem, getitem_1)"),
                           "        def forward(self, x: \"bf16[s0, 8]\"):\n" T("y = x + 1")
                               T("n: \"Sym(s0)\" = torch.ops.aten.sym_size.int(y, 0)") T("z = x * 2") T("return (y, n, z)")
                                   "    class submod_1(torch.nn.Module):\n"
                                   "        def forward(self, z: \"bf16[s0, 8]\", n: \"Sym(s0)\"):\n"
                                       T("v = z.view(n, 2, 4)") T("return (v,)"));
    const jc_graph *g = cut_text(arena, "symbols", text);
    jc_error err = JC_ERROR_INIT;
    ck_assert_uint_eq(g->pieces.at[0]->noutputs, 2);
    ck_assert_str_eq(g->pieces.at[0]->outputs[0].value->name, "y");
    ck_assert_str_eq(g->pieces.at[0]->outputs[1].value->name, "z");
    ck_assert_uint_eq(g->root->nodes.at[0]->nresults, 2);
    ck_assert_ptr_eq(g->root->nodes.at[1]->args[0].value, g->root->nodes.at[0]->results[1]);
    ck_assert_int_eq(g->root->outputs[2].kind, JC_ARG_EXPR);
    ck_assert_int_eq(jc_verify(g->root, &err), JITC_OK);
    jc_arena_free(arena);
}
END_TEST

/* One text called twice with different layouts has no one layout. */
START_TEST(called_twice) {
    static const struct {
        const char *second;
        jitc_status status;
    } calls[] = { { "w", JITC_OK }, { "w.t()", JITC_E_INPUT }, { "getitem_1", JITC_E_UNSUPPORTED } };
    jc_arena *arena = jc_arena_new(NULL);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char text[2000];
        snprintf(text, sizeof text, "%s        submod_1 = self.submod_0(%s)\n%s",
                 HEAD "    def forward(self, w: \"bf16[8, 8]\"):\n" S("submod_0 = self.submod_0(w)")
                          S("getitem = submod_0[0]") S("getitem_1 = submod_0[1]"),
                 calls[i].second,
                 S("getitem_2 = submod_1[0]") S("return (getitem_2,)") "    class submod_0(torch.nn.Module):\n"
                                                                     "        def forward(self, w: \"bf16[8, 8]\"):\n"
                     T("y = w.t()") T("z = w + 1") T("return (z, y)"));
        jc_graph *g = read_text(arena, "twice", text, strlen(text));
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_split(g, NULL, &err);
        if (status == JITC_OK)
            status = jc_layout(g, NULL, 0, &err);
        ck_assert_msg(status == calls[i].status, "submod_0(%s): status %d: %s", calls[i].second, status, err.message);
    }
    jc_arena_free(arena);
}
END_TEST

/* A lone piece stays what it is, with its outputs as they are: symbolic ones, parameters, repeats. */
START_TEST(whole_piece_keeps_its_outputs) {
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_text(
        arena, "whole", MODULE(X, S("y = x + x") S("n: \"Sym(s0)\" = torch.ops.aten.sym_size.int(y, 0)")
                                      S("return (y, n, x, y)")));
    ck_assert_uint_eq(g->pieces.n, 1);
    ck_assert_uint_eq(g->pieces.at[0]->noutputs, 4);
    ck_assert_uint_eq(g->root->noutputs, 4);
    ck_assert_int_eq(g->root->outputs[1].kind, JC_ARG_EXPR);
    ck_assert_int_eq(g->root->outputs[3].kind, JC_ARG_VALUE);
    ck_assert_uint_eq(g->root->nodes.n, 1);
    jc_arena_free(arena);
}
END_TEST

/* ---- layout -------------------------------------------------------------------------------------------------------- */

/* Strides of a parameter as text, "" if contiguous. */
static const char *strides_text(jc_arena *arena, const jc_graph *g, const jc_value *v) {
    jc_bytes b = JC_BYTES(arena);
    for (int i = 0; v->type.strides && i < v->type.rank; i++) {
        jc_put_text(&b, i ? "," : "");
        jc_ex_print(g->exprs, v->type.strides[i], &b);
    }
    jc_put_u8(&b, 0);
    return (const char *)b.at;
}

static const jc_value *param_named(const jc_func *f, const char *name) {
    for (uint32_t i = 0; i < f->nparams; i++)
        if (!strcmp(f->params[i]->name, name))
            return f->params[i];
    return NULL;
}

typedef struct layout_row {
    const char *name, *text, *param, *strides; /* of the last piece */
} layout_row;

#define LAST(view) MODULE(X, S("a = x + x") S("v = " view) S("u = " ATTN("x", "w")) S("z = v * 2") S("return (z,)"))

static const layout_row layout_rows[] = {
    { "contiguous", LAST("a.view(-1, 2, 4)"), "v", "" },
    { "sliced", LAST("a[(Ellipsis, slice(2, 6, None))]"), "v", "8,1" },
    { "sliced, then viewed", LAST("a[(Ellipsis, slice(2, 6, None))].view(-1, 2, 2)"), "v", "8,2,1" },
    { "transposed", LAST("a.t()"), "v", "1,8" },
    { "transposed and made contiguous", LAST("a.t().contiguous()"), "v", "" },
    { "a step", LAST("a[(Ellipsis, slice(None, None, 2))]"), "v", "8,2" },
    { "strides of dims of one do not count", LAST("a.unsqueeze(1).transpose(1, 0)"), "v", "" },
};

START_TEST(layouts) {
    const layout_row *row = &layout_rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_text(arena, row->name, row->text);
    const jc_value *p = param_named(g->pieces.at[g->pieces.n - 1], row->param);
    ck_assert_msg(p != NULL, "%s: no parameter %s", row->name, row->param);
    ck_assert_msg(!strcmp(strides_text(arena, g, p), row->strides), "%s: got [%s], want [%s]", row->name,
                  strides_text(arena, g, p), row->strides);
    jc_arena_free(arena);
}
END_TEST

START_TEST(root_strides) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const char *text = MODULE(X ", s7: \"Sym(s7)\"", S("y = x + w[(slice(0, 1, None),)]") S("u = " ATTN("w", "w"))
                                                         S("z = x * y") S("return (z,)"));
    const char *const rows[] = { "s7", "1" }, *const columns[] = { "1", "8" }, *const plain[] = { "8", "1" };
    const jc_stride_entry entries[] = { { "x", 2, rows }, { "w", 2, columns } };
    jc_graph *g = read_text(arena, "strides", text, strlen(text));
    ck_assert_int_eq(jc_split(g, NULL, &err), JITC_OK);
    ck_assert_int_eq(jc_layout(g, entries, 2, &err), JITC_OK);
    ck_assert_str_eq(strides_text(arena, g, param_named(g->pieces.at[2], "x")), "s7,1");
    ck_assert_str_eq(strides_text(arena, g, param_named(g->pieces.at[1], "w")), "1,8");
    ck_assert_str_eq(strides_text(arena, g, param_named(g->pieces.at[2], "y")), "");
    const jc_stride_entry same = { "x", 2, plain };
    ck_assert_int_eq(jc_layout(g, &same, 1, &err), JITC_OK);
    ck_assert_str_eq(strides_text(arena, g, param_named(g->pieces.at[2], "x")), "");
    const jc_stride_entry unknown = { "nobody", 2, rows }, short_one = { "x", 1, rows };
    ck_assert_int_eq(jc_layout(g, &unknown, 1, &err), JITC_E_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "nobody"));
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_layout(g, &short_one, 1, &err), JITC_E_INPUT);
    jc_arena_free(arena);
}
END_TEST

/* Strides that say nothing: of a dim of one element, and of a tensor without any. */
START_TEST(root_strides_of_one) {
    static const char *const text = HEAD "    def forward(self, x: \"f32[4, 1, 8]\", y: \"f32[4, 0]\"):\n"
        "        submod_0 = self.submod_0(x, y)\n        z: \"f32[4, 1, 8]\" = submod_0[0]\n        return (z,)\n\n"
        "    class submod_0(torch.nn.Module):\n        def forward(self, x: \"f32[4, 1, 8]\", y: \"f32[4, 0]\"):\n"
        "            z: \"f32[4, 1, 8]\" = x + 1.0\n            return (z,)\n";
    static const char *const wide[] = { "16", "s9", "1" }, *const none[] = { "7", "s3" };
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const jc_stride_entry entries[] = { { "x", 3, wide }, { "y", 2, none } };
    jc_graph *g = read_text(arena, "strides", text, strlen(text));
    ck_assert_msg(jc_layout(g, entries, 2, &err) == JITC_OK, "%s", err.message);
    ck_assert_str_eq(strides_text(arena, g, param_named(g->pieces.at[0], "x")), "16,8,1");
    ck_assert_str_eq(strides_text(arena, g, param_named(g->pieces.at[0], "y")), "");
    jc_arena_free(arena);
}
END_TEST

typedef struct alias_row {
    const char *name, *text;
    uint32_t p, q; /* alias numbers of the parameters p and q of the last piece */
} alias_row;

static const alias_row alias_rows[] = {
    { "two views of one buffer, one written",
      MODULE(X, S("a = x + x") S("p = a[(Ellipsis, slice(0, 4, None))]") S("q = a[(Ellipsis, slice(4, 8, None))]")
                    S("u = torch.ops.vllm.unified_attention_with_output(q, q, q, p, 'layer')") S("return (p, q)")),
      1, 1 },
    { "two views of one buffer, neither written",
      MODULE(X, S("a = x + x") S("p = a[(Ellipsis, slice(0, 4, None))]") S("q = a[(Ellipsis, slice(4, 8, None))]")
                    S("u = torch.ops.vllm.unified_attention_with_output(q, q, p, w, 'layer')") S("return (p, q)")),
      0, 0 },
    { "two buffers",
      MODULE(X, S("p = x + x") S("q = x + 1")
                    S("u = torch.ops.vllm.unified_attention_with_output(q, q, q, p, 'layer')") S("return (p, q)")),
      0, 0 },
    { "a view of a parameter and the parameter",
      MODULE(X ", q: \"bf16[8, 8]\"",
             S("p = q.view(64)") S("u = torch.ops.vllm.unified_attention_with_output(q, q, x, p, 'layer')")
                 S("return (p, q)")),
      1, 1 },
};

START_TEST(aliases) {
    const alias_row *row = &alias_rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_text(arena, row->name, row->text);
    const jc_func *f = g->pieces.at[g->pieces.n - 1];
    ck_assert(jc_piece_is_splitting(f, NULL));
    ck_assert_msg(param_named(f, "p")->alias == row->p && param_named(f, "q")->alias == row->q,
                  "%s: got %u and %u, want %u and %u", row->name, param_named(f, "p")->alias,
                  param_named(f, "q")->alias, row->p, row->q);
    jc_arena_free(arena);
}
END_TEST

/* ---- copies that have to be copies -------------------------------------------------------------------------------- */

static bool is_marked(const jc_node *n) {
    return (n->op == JC_OP_reshape || n->op == JC_OP_contiguous) && n->args[n->nargs - 1].kind != JC_ARG_NONE;
}

/* Lines of marked nodes, in order of the pieces, counted from the first statement. */
static const char *marked_lines(jc_arena *arena, const jc_graph *g) {
    jc_bytes out = JC_BYTES(arena);
    for (size_t p = 0; p < g->pieces.n; p++)
        for (size_t i = 0; i < g->pieces.at[p]->nodes.n; i++)
            if (is_marked(g->pieces.at[p]->nodes.at[i]))
                jc_put_text(&out, "%s%d", out.n ? "," : "", g->pieces.at[p]->nodes.at[i]->line - 4);
    return out.n ? jc_arena_printf(arena, "%.*s", (int)out.n, (const char *)out.at) : "";
}

typedef struct copy_row {
    const char *name, *text, *lines;
} copy_row;

#define SET(p) "u = torch.ops.vllm.unified_attention_with_output(w, w, w, " p ", 'layer')"
static const copy_row copy_rows[] = {
    { "written by a later piece, the operand is read by one after it",
      MODULE(X, S("a = x + x") S("c = a.t().reshape(-1)") S(SET("c")) S("z = a * 2") S("return (z,)")), "2" },
    { "and by the caller", MODULE(X, S("c = x.t().reshape(-1)") S(SET("c")) S("return (c,)")), "1" },
    { "by nobody", MODULE(X, S("a = x + x") S("c = a.t().reshape(-1)") S(SET("c")) S("z = c * 2") S("return (z,)")), "" },
    { "the operand is written by a later piece, the copy is read after it",
      MODULE(X, S("a = x + x") S("c = a.t().contiguous()") S(SET("a")) S("z = c * 2") S("return (z,)")), "2" },
    { "the copy stays inside", MODULE(X, S("a = x + x") S("c = a.t().contiguous()") S("z = c * 2") S(SET("a")) S("return (z, a)")), "" },
    { "through a copy of the copy",
      MODULE(X, S("a = x + x") S("c = a.t().contiguous()") S("d = c.t().reshape(-1)") S(SET("a")) S("z = d * 2") S("return (z,)")), "2" },
    { "a copy of it is written", MODULE(X, S("a = x + x") S("c = a.t().contiguous()") S("d = c.t().reshape(-1)") S(SET("d")) S("return (a, d)")),
      "2" },
    { "in a piece of its own",
      MODULE(X, S("a = x + x") S(SET("w")) S("c = a.t().contiguous()") S("d = c.mul_(2)") S(SET("w")) S("return (a, d)")), "3" },
    { "of what only the piece before it made",
      MODULE(X, S("a = x + x") S(SET("w")) S("c = a.t().contiguous()") S("d = c.mul_(2)") S(SET("w")) S("return (d,)")), "" },
    { "written before", MODULE(X, S("a = x + x") S(SET("a")) S("c = a.t().contiguous()") S("return (a, c)")), "" },
    { "a view for all sizes", MODULE(X, S("a = x + x") S("c = a.view(s0, 4, 2)") S(SET("c")) S("return (a,)")), "" },
};

START_TEST(copies) {
    const copy_row *row = &copy_rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_text(arena, row->name, row->text);
    const char *got = marked_lines(arena, g);
    ck_assert_msg(!strcmp(got, row->lines), "%s: marked are \"%s\", want \"%s\"", row->name, got, row->lines);
    jc_arena_free(arena);
}
END_TEST

/* What one call of a piece needs, the piece has, whatever another call of it needs. */
START_TEST(copies_of_two_calls) {
    jc_arena *arena = jc_arena_new(NULL);
    static const char *const calls[] = { "a", "b" };
    for (int i = 0; i < 2; i++) {
        char text[2000];
        snprintf(text, sizeof text, "%s        submod_1 = self.submod_1(%s)\n%s",
                 HEAD "    def forward(self, w: \"bf16[8, 8]\"):\n" S("submod_0 = self.submod_0(w)") S("a = submod_0[0]")
                          S("submod_2 = self.submod_0(w)") S("b = submod_2[0]"),
                 calls[i],
                 S("return (w, a, b)") "    class submod_0(torch.nn.Module):\n        def forward(self, w: \"bf16[8, 8]\"):\n"
                     T("y = w.t().reshape(64)") T("return (y,)") "    class submod_1(torch.nn.Module):\n"
                                                                "        def forward(self, y: \"bf16[64]\"):\n"
                         T("z = y.add_(1)") T("return ()"));
        const jc_graph *g = cut_text(arena, "two calls", text);
        ck_assert_msg(*marked_lines(arena, g), "nothing is marked where %s is written", calls[i]);
    }
    jc_arena_free(arena);
}
END_TEST

/* Marks go with the layout that they were made for. */
START_TEST(copies_follow_layout) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    const char *text = MODULE(X, S("c = x.reshape(-1)") S(SET("c")) S("return (c,)"));
    const char *const columns[] = { "1", "s0" };
    const jc_stride_entry entry = { "x", 2, columns };
    jc_graph *g = cut_text(arena, "layout", text);
    ck_assert_str_eq(marked_lines(arena, g), "");
    ck_assert_int_eq(jc_layout(g, &entry, 1, &err), JITC_OK);
    ck_assert_str_eq(marked_lines(arena, g), "1");
    const char *const rows[] = { "8", "1" };
    const jc_stride_entry back = { "x", 2, rows };
    ck_assert_int_eq(jc_layout(g, &back, 1, &err), JITC_OK);
    ck_assert_str_eq(marked_lines(arena, g), "");
    jc_arena_free(arena);
}
END_TEST

/* ---- the models ------------------------------------------------------------------------------------------------------ */

typedef struct model_row {
    const char *folder, *full, *split;
    uint32_t pieces, classes; /* of EXPECTED.json, and of tiny/README.md */
} model_row;

#define BIG(name, pieces, classes) { "models/" name, "full.py", "split.py", pieces, classes }
#define TINY(name, v, pieces, classes) { "tiny/" name, "full" v ".py", "split" v ".py", pieces, classes }
static const model_row models[] = {
    BIG("ernie-4.5-21b-strings", 57, 5),
    BIG("gpt-oss-120b", 73, 4),
    BIG("llama-3.3-70b", 161, 4),
    BIG("llama-3.3-70b-customops", 161, 4),
    BIG("llama-3.3-70b-fp8", 161, 4),
    BIG("llama-3.3-70b-strings", 161, 4),
    BIG("llama-3.3-70b-tp4-rank0", 161, 4),
    BIG("llama-3.3-70b-tp4-rank1", 161, 4),
    BIG("opt-125m", 25, 4),
    BIG("qwen3.5-35b-a3b", 81, 7),
    BIG("qwen3.5-35b-a3b-strings", 81, 7),
    TINY("llama", "", 9, 4),
    TINY("llama", "_str", 9, 4),
    TINY("llama", "_ir", 9, 4),
    TINY("llama", "_ir_str", 9, 4),
    TINY("opt", "", 9, 4),
    TINY("opt", "_str", 9, 4),
    TINY("qwen3_5", "", 17, 7),
    TINY("qwen3_5", "_str", 17, 7),
    TINY("gpt_oss", "", 9, 4),
    TINY("gpt_oss", "_str", 9, 4),
    TINY("deepseek", "", 11, 5),
    TINY("deepseek", "_str", 11, 5),
    TINY("ernie", "_text", 9, 5),
    TINY("ernie", "_text_str", 9, 5),
    TINY("ernie", "_all", 9, 4),
    TINY("ernie", "_all_str", 9, 4),
    TINY("mamba2", "", 9, 7),
    TINY("mamba2", "_str", 9, 7),
    TINY("llama_tp", "_rank0", 5, 4),
    TINY("llama_tp", "_rank0_str", 5, 4),
    TINY("llama_tp", "_rank1", 5, 4),
    TINY("llama_tp", "_rank1_str", 5, 4),
};

#define MAX_PIECES 200

/* Our cut and vLLM's have the same pieces, in the same classes, with the same names. */
START_TEST(models_agree) {
    const model_row *m = &models[_i];
    if (!graphs_there(m->folder))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *ours = cut_file(arena, m->folder, m->full), *theirs = cut_file(arena, m->folder, m->split);
    ck_assert_msg(ours->pieces.n == m->pieces, "%s/%s: %zu pieces, want %u", m->folder, m->full, ours->pieces.n,
                  m->pieces);
    ck_assert_msg(theirs->pieces.n == m->pieces, "%s/%s: %zu pieces, want %u", m->folder, m->split,
                  theirs->pieces.n, m->pieces);
    uint32_t a[MAX_PIECES], b[MAX_PIECES];
    jc_hash ha[MAX_PIECES], hb[MAX_PIECES];
    ck_assert_str_eq(marked_lines(arena, ours), ""); /* they run at every size */
    ck_assert_str_eq(marked_lines(arena, theirs), "");
    const uint32_t na = classes_of(arena, ours, 0, a, ha), nb = classes_of(arena, theirs, 0, b, hb);
    for (uint32_t i = 0; i < m->pieces; i++) {
        ck_assert_msg(!strcmp(ours->pieces.at[i]->name, theirs->pieces.at[i]->name), "%s: piece %u is %s and %s",
                      m->folder, i, ours->pieces.at[i]->name, theirs->pieces.at[i]->name);
        ck_assert_msg(same_hash(&ha[i], &hb[i]), "%s/%s: %s differs from vLLM's", m->folder, m->full,
                      ours->pieces.at[i]->name);
    }
    ck_assert_msg(na == m->classes && nb == m->classes, "%s: %u and %u classes, want %u", m->folder, na, nb,
                  m->classes);
    jc_arena_free(arena);
}
END_TEST

typedef struct pair_row {
    const char *a_folder, *a, *b_folder, *b;
} pair_row;

static const pair_row pairs[] = {
    { "models/llama-3.3-70b", "full.py", "models/llama-3.3-70b-strings", "full.py" },
    { "models/qwen3.5-35b-a3b", "full.py", "models/qwen3.5-35b-a3b-strings", "full.py" },
    { "models/llama-3.3-70b-tp4-rank0", "full.py", "models/llama-3.3-70b-tp4-rank1", "full.py" },
    { "tiny/llama", "full.py", "tiny/llama", "full_str.py" },
    { "tiny/llama", "full_ir.py", "tiny/llama", "full_ir_str.py" },
    { "tiny/opt", "full.py", "tiny/opt", "full_str.py" },
    { "tiny/qwen3_5", "full.py", "tiny/qwen3_5", "full_str.py" },
    { "tiny/gpt_oss", "full.py", "tiny/gpt_oss", "full_str.py" },
    { "tiny/deepseek", "full.py", "tiny/deepseek", "full_str.py" },
    { "tiny/ernie", "full_text.py", "tiny/ernie", "full_text_str.py" },
    { "tiny/ernie", "full_all.py", "tiny/ernie", "full_all_str.py" },
    { "tiny/mamba2", "full.py", "tiny/mamba2", "full_str.py" },
    { "tiny/llama_tp", "full_rank0.py", "tiny/llama_tp", "full_rank0_str.py" },
};

/* Captures of one model, on another rank or with names as strings, share every class, piece by piece. */
START_TEST(captures_share) {
    const pair_row *p = &pairs[_i];
    if (!graphs_there(p->a_folder))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *ga = cut_file(arena, p->a_folder, p->a), *gb = cut_file_with(arena, p->b_folder, p->b, p->a_folder);
    uint32_t a[MAX_PIECES], b[MAX_PIECES];
    jc_hash ha[MAX_PIECES], hb[MAX_PIECES];
    ck_assert_uint_eq(ga->pieces.n, gb->pieces.n);
    classes_of(arena, ga, 0, a, ha);
    classes_of(arena, gb, 0, b, hb);
    for (size_t i = 0; i < ga->pieces.n; i++)
        ck_assert_msg(same_hash(&ha[i], &hb[i]), "%s/%s and %s/%s: %s differs", p->a_folder, p->a, p->b_folder, p->b,
                      ga->pieces.at[i]->name);
    jc_arena_free(arena);
}
END_TEST

/* Two passes of one model that skip different layers share what they have in common. */
START_TEST(passes_share) {
    if (!graphs_there("tiny/ernie"))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *ga = cut_file(arena, "tiny/ernie", "full_all.py"), *gb = cut_file(arena, "tiny/ernie", "full_text.py");
    uint32_t a[MAX_PIECES], b[MAX_PIECES], common = 0;
    jc_hash ha[MAX_PIECES], hb[MAX_PIECES];
    classes_of(arena, ga, 0, a, ha);
    classes_of(arena, gb, 0, b, hb);
    for (size_t i = 0; i < gb->pieces.n; i++)
        for (size_t k = 0; k < ga->pieces.n; k++)
            if (same_hash(&hb[i], &ha[k])) {
                common++;
                break;
            }
    ck_assert_msg(common >= 5, "only %u pieces in common", common); /* the first, and the attention pieces */
    jc_arena_free(arena);
}
END_TEST

/* piece_strides.json, by hand: parameters that arrive as views, in how many pieces. */
typedef struct strides_row {
    const char *folder, *param, *strides; /* PARAM: the end of its name, from a letter on */
    uint32_t count;
} strides_row;

static const strides_row strides_rows[] = {
    { "models/gpt-oss-120b", "value", "5120,64,1", 36 },
    { "models/llama-3.3-70b", "value", "10240,128,1", 80 },
    { "models/llama-3.3-70b-tp4-rank1", "value", "2560,128,1", 80 },
    { "models/opt-125m", "key", "2304,64,1", 12 },
    { "models/opt-125m", "value", "2304,64,1", 12 },
    { "models/opt-125m", "query", "2304,64,1", 12 },
    { "models/qwen3.5-35b-a3b", "mixed_qkv", "12288,1", 30 },
    { "models/qwen3.5-35b-a3b", "z", "12288,128,1", 30 },
    { "models/qwen3.5-35b-a3b", "l_positions", "s7,1", 10 },
    { "models/qwen3.5-35b-a3b", "value", "9216,256,1", 10 },
    { "models/llama-3.3-70b-fp8", "value", "10240,128,1", 80 },
    { "models/llama-3.3-70b-fp8", "l_self_modules_layers_modules_N_modules_self_attn_modules_qkv_proj_parameters_weight",
      "1,8192", 80 },
    { "models/llama-3.3-70b-fp8", "l_self_modules_layers_modules_N_modules_self_attn_modules_o_proj_parameters_weight",
      "1,8192", 80 },
    { "models/llama-3.3-70b-fp8", "l_self_modules_layers_modules_N_modules_mlp_modules_gate_up_proj_parameters_weight",
      "1,8192", 80 },
    { "models/llama-3.3-70b-fp8", "l_self_modules_layers_modules_N_modules_mlp_modules_down_proj_parameters_weight",
      "1,28672", 80 },
};

/* Numbers after underscores become N; at the end they go.  The root's parameters begin with L where their aliases in the
   text begin with l. */
static void plain_name(const char *name, char *out) {
    size_t n = 0;
    for (const char *at = name; *at;) {
        out[n++] = *at;
        const size_t digits = strspn(at + 1, "0123456789");
        if (*at++ == '_' && digits) {
            out[n++] = 'N';
            at += digits;
        }
    }
    while (n && (out[n - 1] == '_' || out[n - 1] == 'N'))
        n--;
    out[n] = 0;
    if (out[0] == 'L')
        out[0] = 'l';
}

START_TEST(strides_found) {
    static const char *const folders[] = { "models/gpt-oss-120b", "models/llama-3.3-70b",
                                           "models/llama-3.3-70b-tp4-rank1", "models/opt-125m",
                                           "models/qwen3.5-35b-a3b", "models/llama-3.3-70b-fp8" };
    const char *folder = folders[_i / 2];
    if (!graphs_there(folder))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_file(arena, folder, _i % 2 ? "full.py" : "split.py");
    uint32_t found[sizeof strides_rows / sizeof *strides_rows] = { 0 };
    for (size_t i = 0; i < g->pieces.n; i++)
        for (uint32_t k = 0; k < g->pieces.at[i]->nparams; k++) {
            const jc_value *p = g->pieces.at[i]->params[k];
            if (p->type.kind != JC_TENSOR || !p->type.strides)
                continue;
            char name[512];
            const char *strides = strides_text(arena, g, p);
            plain_name(p->name, name);
            bool known = false;
            for (size_t r = 0; r < sizeof strides_rows / sizeof *strides_rows; r++)
                if (!strcmp(strides_rows[r].folder, folder) && !strcmp(strides_rows[r].param, name) &&
                    !strcmp(strides_rows[r].strides, strides)) {
                    found[r]++;
                    known = true;
                }
            ck_assert_msg(known, "%s: %s: %s (%s) has strides [%s]", folder, g->pieces.at[i]->name, p->name, name,
                          strides);
        }
    for (size_t r = 0; r < sizeof strides_rows / sizeof *strides_rows; r++)
        ck_assert_msg(strcmp(strides_rows[r].folder, folder) || found[r] == strides_rows[r].count,
                      "%s: %s [%s] in %u pieces, want %u", folder, strides_rows[r].param, strides_rows[r].strides,
                      found[r], strides_rows[r].count);
    jc_arena_free(arena);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("split");
    TCase *cut = tcase_create("cut");
    tcase_add_loop_test(cut, cuts, 0, sizeof cut_rows / sizeof *cut_rows);
    tcase_add_test(cut, other_operators);
    tcase_add_loop_test(cut, names_mean, 0, sizeof names / sizeof *names);
    tcase_add_loop_test(cut, any_operator, 0, sizeof any_rows / sizeof *any_rows);
    tcase_add_loop_test(cut, no_operator, 0, sizeof nothings / sizeof *nothings);
    tcase_add_test(cut, mixed_root);
    tcase_add_test(cut, symbols_between_pieces_go);
    tcase_add_test(cut, called_twice);
    tcase_add_test(cut, whole_piece_keeps_its_outputs);
    suite_add_tcase(s, cut);
    TCase *layout = tcase_create("layout");
    tcase_add_loop_test(layout, layouts, 0, sizeof layout_rows / sizeof *layout_rows);
    tcase_add_loop_test(layout, aliases, 0, sizeof alias_rows / sizeof *alias_rows);
    tcase_add_loop_test(layout, copies, 0, sizeof copy_rows / sizeof *copy_rows);
    tcase_add_test(layout, copies_of_two_calls);
    tcase_add_test(layout, copies_follow_layout);
    tcase_add_test(layout, root_strides);
    tcase_add_test(layout, root_strides_of_one);
    suite_add_tcase(s, layout);
    TCase *m = tcase_create("models");
    tcase_set_timeout(m, 120);
    tcase_add_loop_test(m, models_agree, 0, sizeof models / sizeof *models);
    tcase_add_loop_test(m, captures_share, 0, sizeof pairs / sizeof *pairs);
    tcase_add_test(m, passes_share);
    tcase_add_loop_test(m, strides_found, 0, 12);
    suite_add_tcase(s, m);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_NORMAL);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
