/*
 * tests/check_sched.c - what the scheduler makes of small graphs: which kernels, in which order, and what they load.
 *
 * Numbers are checked in tests/check_run.c; here it is the shape of the plan that matters: what is fused, what is not, what must
 * keep its order, and that kernels that ought to be equal are.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/canon/canon.h"
#include "ir/fx/fx.h"
#include "ir/passes.h"
#include "tests/graph_run.h"

typedef struct row {
    graph_case graph;
    const char *host; /* steps: families in order, "call" for custom operators */
    const char *gpu;
} row;

static jc_arena *arena;

static void setup(void) {
    arena = jc_arena_new(NULL);
}

static void teardown(void) {
    jc_arena_free(arena);
}

static jc_schedule scheduled(const graph_case *c, const char *arch) {
    return graph_schedule(c, arch, arena);
}

static const char *steps(const jc_schedule *s) {
    jc_bytes b = JC_BYTES(arena);
    for (uint32_t i = 0; i < s->plan->nsteps; i++) {
        const jc_plan_step *t = &s->plan->steps[i];
        jc_put_text(&b, "%s%s", i ? " " : "", t->kind == JC_STEP_CALL ? "call" : jc_families[s->kernels[t->kernel]->family].name);
    }
    jc_put_u8(&b, 0);
    return (const char *)b.at;
}

#define NORM                                                                                       \
    "f = x.to(torch.float32)\np = f.pow(2)\nm = p.mean(dim = -1, keepdim = True)\na = m + 1e-05\nr = torch.rsqrt(a)\nn = f * r\n" \
    "b: \"bf16[s0, 128]\" = n.to(torch.bfloat16)\ny: \"bf16[s0, 128]\" = b * w"

#define SDPA "torch.nn.functional.scaled_dot_product_attention"
#define S01 "s0: \"Sym(s0)\", s1: \"Sym(s1)\", "

static const row rows[] = {
    { { "pointwise chain", "x: \"f32[s0, 64]\"", "a = x + 1.0\nb = torch.exp(a)\nc = b * x", "c", 0, NULL }, "point", "point" },
    { { "norm", "x: \"bf16[s0, 128]\", w: \"bf16[128]\"", NORM, "y", 0, NULL }, "row", "row" },
    { { "norm with residual out", "x: \"bf16[s0, 256]\", r: \"bf16[s0, 256]\", w: \"bf16[256]\"",
        "n = torch.ops.vllm_ir.fused_add_rms_norm.default(x, r, w, 1e-06)\na: \"bf16[s0, 256]\" = n[0]\nb: \"bf16[s0, 256]\" = n[1]", "a, b", 0, NULL }, "row", "row" },
    { { "softmax", "x: \"bf16[s0, 96]\"", "y: \"bf16[s0, 96]\" = torch.nn.functional.softmax(x, dim = -1)", "y", 0, NULL }, "row", "row" },
    { { "rotary by gather", "x: \"bf16[s0, 4, 16]\", t: \"bf16[64, 16]\", i: \"i64[s0]\"",
        "cs = t.index_select(0, i)\nh = cs.chunk(2, dim = -1)\nc0: \"bf16[s0, 8]\" = h[0]\ns0_: \"bf16[s0, 8]\" = h[1]\nc = c0.unsqueeze(-2)\ns = s0_.unsqueeze(-2)\n"
        "k = torch.chunk(x, 2, dim = -1)\na: \"bf16[s0, 4, 8]\" = k[0]\nb: \"bf16[s0, 4, 8]\" = k[1]\n"
        "p = a * c\nq = b * s\nu = p - q\nv = b * c\nw = a * s\ny = v + w\nz: \"bf16[s0, 4, 16]\" = torch.cat((u, y), dim = -1)", "z", 0, NULL },
      "call point", "point" }, /* the host looks at the indices first */
    { { "bias and epilogue", "x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\", b: \"bf16[80]\", r: \"bf16[s0, 80]\"",
        "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, b)\nz = torch.nn.functional.silu(y)\nv = z + r", "v", 0, NULL },
      "dot tile", "dot mma wgmma" },
    { { "a weight by columns", "x: \"bf16[s0, 64]\", w: \"bf16[64, 80]\"", "y: \"bf16[s0, 80]\" = x @ w", "y", 0, NULL }, "band tile", "dot dot" },
    { { "a wide epilogue stays out", "x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\"",
        "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, None)\nz: \"f32[s0, 80]\" = y.to(torch.float32)", "z", 0, NULL }, "dot tile point", "dot mma wgmma point" },
    { { "norm of a product", "x: \"bf16[s0, 64]\", u: \"bf16[128, 64]\", w: \"bf16[128]\"",
        "l: \"bf16[s0, 128]\" = torch._C._nn.linear(x, u, None)\ny: \"bf16[s0, 128]\" = torch.ops.vllm_ir.rms_norm.default(l, w, 1e-06)", "y", 0, NULL },
      "dot tile row", "dot mma wgmma row" },
    { { "product and a function that is called", "x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\"",
        "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, None)\nz = torch.asinh(y)", "z", 0, NULL }, "dot tile", "dot mma mma" },
    { { "two norms in a row", "x: \"f32[s0, 32]\", w: \"f32[32]\"",
        "y = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06)\nz = torch.ops.vllm_ir.rms_norm.default(y, w, 1e-06)", "z", 0, NULL }, "row", "row" },
    { { "other rows", "x: \"f32[s0, 32]\"", "a = x.mean(dim = -1, keepdim = True)\nb = x - a\nc: \"f32[s0, 4, 8]\" = b.view(-1, 4, 8)\nd = c.mean(dim = -1, keepdim = True)\ne = c - d", "e", 0, NULL }, "row row", "row row" },
    { { "one range of threads for both halves", "x: \"bf16[s0, 32]\"",
        "c = x.chunk(2, dim = -1)\na: \"bf16[s0, 16]\" = c[0]\nb: \"bf16[s0, 16]\" = c[1]\nd = a.contiguous()\ne = b.contiguous()", "d, e", 0, NULL }, "point", "point" },
    { { "a write ends what reads before it", "x: \"f32[s0, 8]\"",
        "y = x.clone()\nb = y + 1.0\ny *= 3.0;  imul: \"f32[s0, 8]\" = y\nz = b + imul", "z", 0, NULL }, "point point", "point point" },
    { { "in place in one pass", "x: \"f32[s0, 8]\"", "x *= 3.0;  imul: \"f32[s0, 8]\" = x", "imul", 0, NULL }, "point", "point" },
    { { "call between", "x: \"f32[s0, 8]\"", "a = x + 1.0\nb: \"f32[s0, 8]\" = torch.ops.test.op(a)\nc = b * a", "c", 0, NULL }, "point call point", "point call point" },
    { { "untouched buffer", "s0: \"Sym(s0)\", x: \"f32[s0, 8]\"", "e = torch.empty((s0, 8), dtype = torch.float32, device = device(type='cuda', index=0))\ny = x + 1.0", "e, y", 0, NULL }, "point", "point" },
    { { "attention", S01 "q: \"bf16[2, 4, s0, 64]\", k: \"bf16[2, 2, s1, 64]\", v: \"bf16[2, 2, s1, 64]\"",
        "o: \"bf16[2, 4, s0, 64]\" = " SDPA "(q, k, v, enable_gqa = True)\ny = o + q", "y", 0, NULL }, "attn", "flash flash" },
    { { "causal attention of heads beside each other", S01 "x: \"f16[2, s0, 384]\"",
        "a = x.view(2, s0, 3, 1, 128)\nq = a[(slice(None), slice(None), 0)].transpose(1, 2)\nk = a[(slice(None), slice(None), 1)].transpose(1, 2)\n"
        "v = a[(slice(None), slice(None), 2)].transpose(1, 2)\no = " SDPA "(q, k, v, is_causal = True)", "o", 0, NULL }, "attn", "flash" },
    { { "attention of one row", "s1: \"Sym(s1)\", q: \"bf16[2, 8, 1, 64]\", k: \"bf16[2, 2, s1, 64]\"", "o = " SDPA "(q, k, k, enable_gqa = True)\ny = o * 2", "y", 0, NULL },
      "attn", "flash row" },
    { { "attention of one row and few keys", "q: \"bf16[2, 8, 1, 64]\", k: \"bf16[2, 8, 128, 64]\"", "o = " SDPA "(q, k, k)", "o", 0, NULL }, "attn", "flash" },
    { { "attention that tensor cores do not take", S01 "q: \"f32[2, 4, s0, 64]\", k: \"f32[2, 4, s1, 64]\"", "o = " SDPA "(q, k, k)", "o", 0, NULL },
      "attn", "dot dot row dot dot" },
    { { "attention of rows that are not consecutive", S01 "q: \"bf16[2, s0, 64]\", k: \"bf16[2, 64, s1]\"", "o = " SDPA "(q, k.transpose(1, 2), q)", "o", 0, NULL },
      "band tile row band tile", "dot dot row dot dot" },
    { { "nothing to do", "x: \"f32[s0, 8]\"", "y: \"f32[s0, 4, 2]\" = x.view(-1, 4, 2)", "y", 0, NULL }, "", "" },
};
#define NROWS ((int)(sizeof rows / sizeof *rows))

START_TEST(fuses) {
    jc_schedule host = scheduled(&rows[_i].graph, "host"), gpu = scheduled(&rows[_i].graph, "sm_90a");
    ck_assert_msg(strcmp(rows[_i].host[0] ? steps(&host) : "", rows[_i].host) == 0 && (rows[_i].host[0] || host.plan->nsteps == 0),
                  "%s, host: %s, expected %s", rows[_i].graph.name, steps(&host), rows[_i].host);
    ck_assert_msg(strcmp(rows[_i].gpu[0] ? steps(&gpu) : "", rows[_i].gpu) == 0 && (rows[_i].gpu[0] || gpu.plan->nsteps == 0),
                  "%s, gpu: %s, expected %s", rows[_i].graph.name, steps(&gpu), rows[_i].gpu);
}
END_TEST

/* Warpgroups multiply where there are such, and where nothing is called beside them: not even a quotient of 64 bits for an index. */
START_TEST(warpgroups) {
    static const char params[] = "s0: \"Sym(s0)\", s1: \"Sym(s1)\", x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\", r: \"bf16[s1]\"";
    static const graph_case plain = { "product", params, "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, None)\nz = torch.nn.functional.silu(y)", "z", 0, NULL };
    static const graph_case strange = { "product", params,
                                        "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, None)\ni = torch.arange(80, device = device(type='cuda', index=0))\n"
                                        "j = i % s1\nk = torch.ops.aten.index.Tensor(r, [j])\nz = y + k", "z", 0, NULL };
    static const struct {
        const graph_case *graph;
        const char *arch, *steps;
    } cases[] = { { &plain, "sm_90a", "dot mma wgmma" }, { &plain, "sim:sm_90a", "dot mma wgmma" }, { &plain, "sm_90", "dot mma mma" },
                  { &plain, "sm_80", "dot mma mma" }, { &plain, "sm_100a", "dot mma mma" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const jc_schedule s = scheduled(cases[i].graph, cases[i].arch);
        ck_assert_msg(strcmp(steps(&s), cases[i].steps) == 0, "%s: %s, expected %s", cases[i].arch, steps(&s), cases[i].steps);
    }
    const jc_schedule s = scheduled(&strange, "sm_90a");
    ck_assert_ptr_null(strstr(steps(&s), "wgmma"));
}
END_TEST

static uint32_t loads(const jc_kernel *k) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->ninstrs; i++)
        n += k->tape[i].op == JC_T_LOAD;
    return n;
}

/* A norm loads each element of the row once, and the weight once; held in registers on a GPU. */
/* Of a CPU's registers half hold sums, of 2 vectors each. */
START_TEST(products_fill_registers) {
    static const struct {
        const char *arch, *dtype;
        unsigned rows, lanes, pair;
    } cpus[] = { { "host/x86-64", "f32", 4, 4, 1 }, { "host/x86-64-v3", "f32", 4, 8, 1 }, { "host/x86-64-v4", "f32", 8, 16, 1 },
                 { "host/x86-64-v4", "f64", 8, 8, 1 }, { "host/x86-64-v4", "bf16", 8, 16, 1 }, { "host/x86-64-v4-bf16", "bf16", 8, 16, 2 },
                 { "host/x86-64-v4-bf16", "f16", 8, 16, 1 }, { "host/x86-64-v4-bf16", "f32", 8, 16, 1 },
                 { "host/x86-64-v4-amx", "bf16", 32, 16, 32 }, { "host/x86-64-v4-amx", "f16", 8, 16, 1 }, { "host/x86-64-v4-amx", "f32", 8, 16, 1 } };
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        char params[64], body[64];
        snprintf(params, sizeof params, "x: \"%s[32, 64]\", w: \"%s[64, 80]\"", cpus[i].dtype, cpus[i].dtype);
        snprintf(body, sizeof body, "y: \"%s[32, 80]\" = x @ w", cpus[i].dtype);
        const graph_case c = { "product", params, body, "y", 0, NULL };
        const jc_schedule s = scheduled(&c, cpus[i].arch);
        ck_assert_str_eq(steps(&s), "tile");
        ck_assert_uint_eq(s.kernels[0]->warps_m, cpus[i].rows);
        ck_assert_uint_eq(s.kernels[0]->warps_n, 2);
        ck_assert_uint_eq(s.kernels[0]->vec, cpus[i].lanes);
        ck_assert_uint_eq(s.kernels[0]->lanes, cpus[i].pair);
    }
}
END_TEST

START_TEST(reads_rows_once) {
    static const graph_case c = { "norm", "x: \"bf16[s0, 128]\", w: \"bf16[128]\"", NORM, "y", 0, NULL };
    jc_schedule s = scheduled(&c, "sm_90a");
    ck_assert_uint_eq(s.nkernels, 1);
    ck_assert_uint_eq(loads(s.kernels[0]), 2);
    ck_assert_uint_gt(s.kernels[0]->steps, 0);
    ck_assert_uint_eq(s.kernels[0]->vec, 8);
}
END_TEST

/* Products of other sizes with the same epilogue are the same kernels. */
START_TEST(sizes_are_arguments) {
    static const graph_case c = { "mlp", "x: \"bf16[s0, 64]\", w: \"bf16[256, 64]\", d: \"bf16[64, 256]\"",
                                  "y: \"bf16[s0, 256]\" = torch._C._nn.linear(x, w, None)\nz: \"bf16[s0, 64]\" = torch._C._nn.linear(y, d, None)", "z", 0, NULL };
    jc_schedule s = scheduled(&c, "sm_90a");
    ck_assert_str_eq(steps(&s), "dot mma wgmma dot mma wgmma");
    ck_assert_uint_eq(s.nkernels, 3);
}
END_TEST

/* Of two products that a sum could take unrounded it takes the same one wherever they come from: a rotary embedding is one kernel behind
   products of any size. */
START_TEST(rotations_are_equal) {
    static const char *const lengths[] = { "64", "72", "80", "96", "128", "136", "160", "256" };
    const char *first = NULL;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const graph_case c = { "rotary", jc_arena_printf(arena, "x: \"bf16[s0, %s]\", w: \"bf16[64, %s]\", t: \"bf16[s0, 16]\"", lengths[i], lengths[i]),
                               "l: \"bf16[s0, 64]\" = torch._C._nn.linear(x, w, None)\nh = l.view(-1, 4, 16)\nk = torch.chunk(h, 2, dim = -1)\n"
                               "a: \"bf16[s0, 4, 8]\" = k[0]\nb: \"bf16[s0, 4, 8]\" = k[1]\ncs = t.chunk(2, dim = -1)\nc = cs[0].unsqueeze(-2)\n"
                               "s = cs[1].unsqueeze(-2)\nu = a * c - b * s\nv = b * c\nw_1 = a * s\ny = v + w_1\n"
                               "z: \"bf16[s0, 4, 16]\" = torch.cat((u, y), dim = -1)", "z", 0, NULL };
        jc_schedule s = scheduled(&c, "sm_90a");
        jc_bytes text = JC_BYTES(arena);
        jc_kernel_print(s.kernels[s.nkernels - 1], &text);
        jc_put_u8(&text, 0);
        ck_assert_msg(!first || strcmp(first, (const char *)text.at) == 0, "behind a product of %s: %s; behind one of %s: %s", lengths[0], first,
                      lengths[i], (const char *)text.at);
        first = first ? first : (const char *)text.at;
    }
}
END_TEST

/* What a kernel is told of a loop variable holds for every size: also where a dim is a product of symbols. */
START_TEST(loops_reach_their_extents) {
    static const graph_case cases[] = {
        { "flat", "x: \"f32[s0, 65536]\"", "f = x.view(-1)\ny = f * 2.0", "y", 0, NULL },
        { "flat of two", "x: \"f32[s0, s1]\"", "f = x.view(-1)\ny = f * 2.0", "y", 0, NULL },
        { "rows", "x: \"f32[s0, s1, 4]\"", "f = x.view(-1, 4)\ny = f.sum(dim = -1)", "y", 0, NULL },
        { "columns", "x: \"f32[4, s0, 3]\"", "f = x.view(4, -1)\ny = f.sum(dim = -1)", "y", 0, NULL },
        { "product", "x: \"f32[s0, 3, 8]\", w: \"f32[3000000000, 8]\"", "f = x.view(-1, 8)\ny = torch._C._nn.linear(f, w, None)", "y", 0, NULL },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        jc_schedule s = scheduled(&cases[c], "sm_90a");
        for (uint32_t n = 0; n < s.nkernels; n++) {
            const jc_kernel *k = s.kernels[n];
            for (uint32_t i = 0; i < k->nsyms; i++) {
                int64_t lo, hi;
                if (k->syms[i].kind != JC_KSYM_LOOP)
                    continue;
                if (!jc_ex_range(k->ex, k->extent[k->syms[i].index], &lo, &hi))
                    hi = INT64_MAX;
                ck_assert_msg(jc_sym_at(k->ex, i)->hi >= hi - 1, "%s: loop %u goes to %lld, and the kernel thinks to %lld", cases[c].name,
                              k->syms[i].index, (long long)hi - 1, (long long)jc_sym_at(k->ex, i)->hi);
            }
        }
    }
}
END_TEST

/* A range keeps only the variants that it needs. */
START_TEST(range_prunes) {
    static const graph_case c = { "linear", "x: \"bf16[s0, 64]\", w: \"bf16[256, 64]\"", "y: \"bf16[s0, 256]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL };
    jc_error err = JC_ERROR_INIT;
    jc_graph *g, *class_;
    jc_canon canon;
    jc_schedule s;
    int64_t lo = 1, hi = 1;
    jc_schedule_options o = { .lo = &lo, .hi = &hi };
    char *text = graph_text(&c);
    ck_assert_int_eq(jc_fx_read(arena, c.name, text, strlen(text), &g, &err), JITC_OK);
    ck_assert_int_eq(jc_split(g, NULL, &err), JITC_OK);
    ck_assert_int_eq(jc_canonicalise(g->pieces.at[0], 0, arena, &canon, &err), JITC_OK);
    ck_assert_int_eq(jc_canon_decode(canon.bytes, canon.nbytes, arena, &class_, &err), JITC_OK);
    ck_assert_int_eq(jc_target_parse("sm_90a", &o.target, &err), JITC_OK);
    o.clamp = jc_target_is_gpu(&o.target);
    ck_assert_int_eq(jc_schedule_class(class_->root, &o, arena, &s, &err), JITC_OK);
    ck_assert_str_eq(steps(&s), "dot");
    free(text);
}
END_TEST

/* Buffers whose lifetimes do not meet share a slot; those that are given back do not. */
START_TEST(slots) {
    static const graph_case c = { "chain", "x: \"f32[s0, 8]\"",
                                  "a: \"f32[s0, 8]\" = torch.ops.test.op(x)\nb: \"f32[s0, 8]\" = torch.ops.test.op(a)\n"
                                  "d: \"f32[s0, 8]\" = torch.ops.test.op(b)\ne: \"f32[s0, 8]\" = torch.ops.test.op(d)", "e", 0, NULL };
    jc_schedule s = scheduled(&c, "host");
    ck_assert_uint_eq(s.plan->nbuffers, 4);
    ck_assert_uint_eq(s.plan->nescapes, 1);
    ck_assert_uint_eq(s.plan->nslots, 2);
}
END_TEST

/* An operand that became real after its user was made is loaded: its buffer is in use until then, and its kernel has run.  Here a
   product realises A, which the copy of B then reads; were that not seen, the copy's kernel would be given A's memory to write D to. */
START_TEST(what_became_real_is_read) {
    static const graph_case c = { "late", "x: \"bf16[7]\", w: \"bf16[7, 7]\", p: \"bf16[7]\"",
                                  "a = x - 2.5\nb = a.to(torch.float64)\nl: \"bf16[7]\" = torch._C._nn.linear(a, w, p)\n"
                                  "c: \"bf16[7]\" = p.copy_(b)\nd: \"bf16[7]\" = c.sub_(l)", "p", 0, NULL };
    jc_schedule s = scheduled(&c, "host");
    ck_assert_str_eq(steps(&s), "point dot point point");
    const jc_plan_step *product = &s.plan->steps[1], *copy = &s.plan->steps[2];
    uint32_t a = product->kargs[1].tensor;
    bool read = false;
    for (uint32_t i = 0; i < copy->nkargs; i++)
        read |= copy->kargs[i].kind == JC_KARG_PTR && copy->kargs[i].tensor == a && !(copy->kargs[i].access & JC_KARG_WRITES);
    ck_assert(read);
    scheduled(&c, "sm_90a");
}
END_TEST

START_TEST(unknown_operator) {
    static const graph_case c = { "unknown", "x: \"f32[s0, 8]\"", "a = x + 1.0\ny: \"f32[s0, 8]\" = torch.frobnicate(a)", "y", 0, NULL };
    char message[2048];
    ck_assert_int_eq(graph_compile(&c, "host", NULL, NULL, message, sizeof message), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(message, "torch.frobnicate") && strstr(message, "unknown:4"), "%s", message);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sched");
    TCase *t = tcase_create("sched");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, fuses, 0, NROWS);
    tcase_add_test(t, products_fill_registers);
    tcase_add_test(t, reads_rows_once);
    tcase_add_test(t, warpgroups);
    tcase_add_test(t, sizes_are_arguments);
    tcase_add_test(t, rotations_are_equal);
    tcase_add_test(t, loops_reach_their_extents);
    tcase_add_test(t, range_prunes);
    tcase_add_test(t, slots);
    tcase_add_test(t, what_became_real_is_read);
    tcase_add_test(t, unknown_operator);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
