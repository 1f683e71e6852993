/*
 * tests/check_fuzz.c - the generator of random graphs: that it makes what it should, notices what is wrong, and a fixed set of
 * graphs on `host` and `sim`.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/fx/fx.h"
#include "tests/fuzz/fuzz_run.h"
#include "tests/fuzz/gen_row.h"

static jc_arena *arena;

static void setup(void) {
    arena = jc_arena_new(NULL);
}

static void teardown(void) {
    jc_arena_free(arena);
}

static fz_case *case_of(uint64_t seed) {
    return fz_case_of(fz_generate(arena, seed), arena);
}

/* --- sizes and ranges --- */

START_TEST(sizes_have_one_form) {
    fz_prog *p = JC_NEW(arena, fz_prog);
    memset(p, 0, sizeof *p);
    p->arena = arena;
    p->nvars = 2;
    p->nruns = 2;
    p->vars[0] = (fz_var){ true, { 7, 0 } };
    p->vars[1] = (fz_var){ false, { 5, 5 } };
    fz_size s = fz_var_size(p, 0), k = fz_var_size(p, 1), sum = fz_add(p, s, k);
    fz_size square = fz_mul(p, sum, sum), long_way = fz_add(p, fz_mul(p, s, s), fz_add(p, fz_mul(p, fz_int(2), fz_mul(p, s, k)), fz_mul(p, k, k)));
    ck_assert(fz_same(p, &square, &long_way));
    ck_assert_int_eq(fz_value_of(p, &square, 0), 144);
    ck_assert_int_eq(fz_value_of(p, &square, 1), 25);
    ck_assert_int_eq(fz_least(p, &square), 25);
    fz_size gone = fz_sub(p, square, long_way), half = fz_fdiv(p, fz_sub(p, s, fz_int(1)), 2), rest = fz_mod(p, fz_sub(p, s, fz_int(1)), 2);
    ck_assert(fz_is(p, &gone, 0));
    ck_assert_int_eq(fz_value_of(p, &half, 1), -1); /* towards minus infinity */
    ck_assert_int_eq(fz_value_of(p, &rest, 1), 1);
    jc_bytes out = JC_BYTES(arena);
    fz_print_size(p, &square, false, &out);
    jc_put_u8(&out, 0);
    ck_assert_str_eq((char *)out.at, "s0*s0 + 10*s0 + 25");
}
END_TEST

START_TEST(ranges_know_what_is_exact) {
    fz_range r = fz_interval(-256, 256, 1);
    ck_assert(fz_settle(&r, JC_BF16));
    ck_assert(r.step == 1 && r.err == 0);
    r = fz_interval(-257, 257, 1); /* 9 bits */
    ck_assert(fz_settle(&r, JC_BF16));
    ck_assert(r.step == 0 && r.err >= 1 && r.err < 8);
    r = fz_interval(-129, 0, 1);
    ck_assert(fz_settle(&r, JC_I8));
    ck_assert(r.lo == -128 && r.hi == 127); /* it wraps */
    r = fz_interval(0, 1e9, 1);
    ck_assert(!fz_settle(&r, JC_F16));
}
END_TEST

/* --- programs --- */

START_TEST(a_seed_is_a_graph) {
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const fz_case *a = case_of(seed), *b = case_of(seed);
        ck_assert_str_eq(a->flat, b->flat);
        ck_assert_str_eq(a->cut, b->cut);
    }
}
END_TEST

static void count(const jc_func *f, uint32_t *seen) {
    for (size_t i = 0; i < f->nodes.n; i++)
        seen[f->nodes.at[i]->op]++;
}

/* As a scheduler has it that takes attention in parts of the keys wherever it can. */
static uint32_t in_parts(void *user, const jc_node *n) {
    (void)user;
    return n->op == JC_OP_sdpa && n->results[0]->type.rank <= JC_MAX_RANK - 2 && n->results[0]->type.dtype != JC_F64 ? 2 : 0;
}

/* Every operator of the table, in graphs that read: a new one without a maker in gen_*.c fails here. */
START_TEST(every_operator_is_made) {
    uint32_t seen[JC_OP_COUNT] = { 0 };
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        const fz_case *c = case_of(seed);
        const char *const texts[] = { c->flat, c->cut };
        for (int i = 0; i < 2; i++) {
            jc_graph *g;
            jc_error err = JC_ERROR_INIT;
            jc_arena *own = jc_arena_new(NULL);
            jitc_status status = jc_fx_read(own, "fuzz", texts[i], strlen(texts[i]), &g, &err);
            if (status != JITC_OK && status != JITC_E_UNSUPPORTED)
                ck_abort_msg("seed %d: %s\n%s", (int)seed, err.message, texts[i]);
            jc_func *simple; /* some operators only stand in what others are made of */
            if (status == JITC_OK && i == 0 && jc_decompose(g->root, false, NULL, NULL, &simple, &err) == JITC_OK)
                count(simple, seen);
            if (status == JITC_OK && i == 0 && jc_decompose(g->root, false, in_parts, NULL, &simple, &err) == JITC_OK)
                count(simple, seen);
            if (status == JITC_OK)
                count(g->root, seen);
            jc_arena_free(own);
        }
        teardown();
        setup();
    }
    for (int i = 0; i < JC_OP_COUNT; i++)
        ck_assert_msg(seen[i] >= 5, "%s is in %u of 3000 graphs: write a maker in tests/fuzz/gen_*.c", jc_ops[i].name, seen[i]);
}
END_TEST

/* What the generator takes for contiguous is so in PyTorch, as far as the reader knows: each row's results are viewed as vectors. */
START_TEST(what_is_viewed_is_contiguous) {
    for (int row = 0; row < fz_nrows; row++) {
        for (uint64_t seed = 1, made = 0; seed <= 400 && made < 6; seed++) {
            fz_prog *p = fz_begin_program(arena, seed);
            if (!fz_make_row(p, &fz_rows[row]) || p->bad)
                continue;
            const int n = (int)p->values.n;
            for (int v = 0; v < n; v++) {
                if (fz_at(p, v)->kind != JC_TENSOR || fz_at(p, v)->rank < 2 || !fz_at(p, v)->contiguous || fz_at(p, v)->def < 0)
                    continue;
                const fz_size all = fz_int(fz_numel_most(p, fz_at(p, v)));
                fz_begin(p);
                fz_put(p, "%v.view([-1])", v);
                fz_gives(p, fz_view(p, v, fz_at(p, v)->dtype, 1, &all));
            }
            const char *text = fz_print_flat(fz_end_program(p), arena);
            jc_graph *g;
            jc_error err = JC_ERROR_INIT;
            const jitc_status status = jc_fx_read(arena, "fuzz", text, strlen(text), &g, &err);
            if (status != JITC_OK && status != JITC_E_UNSUPPORTED)
                ck_abort_msg("%s\n%s", err.message, text);
            made++;
        }
        teardown();
        setup();
    }
}
END_TEST

/* Every spelling that is compiled, in every form: a new one without a maker fails here.  A row of rows.def is mostly what is missing. */
START_TEST(every_spelling_is_made) {
    uint32_t seen[FZ_MAX_SPELLINGS] = { 0 };
    for (uint64_t seed = 1; seed <= 40000; seed++) {
        fz_spellings_of(fz_print_flat(fz_generate(arena, seed), arena), seen);
        if (seed % 100 == 0) {
            teardown();
            setup();
        }
    }
    for (int row = 0; row < fz_nrows; row++) {
        int made = 0;
        for (uint64_t seed = 1; seed <= 20000 && made < 150; seed++) {
            const fz_prog *p = fz_generate_row(arena, seed, &fz_rows[row]);
            if (p)
                fz_spellings_of(fz_print_flat(p, arena), seen);
            made += p != NULL;
            if (seed % 100 == 0) {
                teardown();
                setup();
            }
        }
        ck_assert_msg(made >= 50, "%s of %s came to something %d times of 20000", fz_rows[row].name, fz_rows[row].operands, made);
    }
    for (int i = 0; i < fz_nspellings; i++)
        for (const char *form = fz_spellings[i].forms; fz_spelling_is_text(&fz_spellings[i]) && *form; form++)
            ck_assert_msg(seen[i] & FZ_FORM(*form), "%s is in no graph in its form '%c': write a row in tests/fuzz/rows.def",
                          fz_spellings[i].name, *form);
}
END_TEST

/* The reader finds the first row of a name that has the form, so that another one is never read. */
START_TEST(no_spelling_is_there_twice) {
    for (int i = 0; i < fz_nspellings; i++)
        for (int k = 0; k < i; k++)
            for (const char *form = fz_spellings[i].forms; *form && strcmp(fz_spellings[i].name, fz_spellings[k].name) == 0; form++)
                ck_assert_msg(*form == 'i' || !strchr(fz_spellings[k].forms, *form), "%s is there twice in the form '%c'", fz_spellings[i].name, *form);
}
END_TEST

START_TEST(spellings_are_found_in_text) {
    static const struct {
        const char *text, *name, *seen;
    } rows[] = {
        { "v = torch.ops.aten.add_.Tensor(x, y)", "add", "i" }, { "v = torch.nn.functional.conv2d(x)", "conv2d", "f" }, { "v = x.t()", "t", "m" },
        { "v = torch.special.expit(x)", "expit", "t" },          { "v = f(torch.msort(x), y.msort())", "msort", "tm" },  { "v = x.size(0)", "t", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t seen[FZ_MAX_SPELLINGS] = { 0 }, want = 0;
        for (const char *form = rows[i].seen; *form; form++)
            want |= FZ_FORM(*form);
        fz_spellings_of(rows[i].text, seen);
        for (int k = 0; k < fz_nspellings; k++)
            if (strcmp(fz_spellings[k].name, rows[i].name) == 0)
                ck_assert_msg(seen[k] == want || !strpbrk(fz_spellings[k].forms, rows[i].seen), "%s: %x", rows[i].text, seen[k]);
    }
}
END_TEST

/* What some seeds have a taste for. */
START_TEST(tastes_are_met) {
    int bits = 0, wild = 0, shared = 0, written = 0, sparse = 0;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        const fz_case *c = case_of(seed);
        for (size_t i = 0; i < c->outputs.n; i++)
            bits += c->outputs.at[i].bits;
        for (size_t i = 0; i < c->inputs.n; i++) {
            wild += c->inputs.at[i].wild;
            shared += c->inputs.at[i].with && !c->inputs.at[i].written;
            written += c->inputs.at[i].written;
            sparse += c->inputs.at[i].pad > FZ_SPARSE;
        }
        teardown();
        setup();
    }
    ck_assert_msg(bits >= 50 && wild >= 50 && shared >= 20 && written >= 20 && sparse >= 20,
                  "%d results in bits, %d inputs with NaN, %d in others, %d of them written, %d far apart", bits, wild, shared, written, sparse);
}
END_TEST

/* --- what is wrong is noticed --- */

static const fz_case planted = {
    .seed = 1,
    .flat = "def forward(self, p0: \"f32[4, 4]\"):\n    v1 = p0 + 1.0\n    return (v1,)\n",
    .nruns = 1,
    .nmodes = 1,
};

/* WHAT runs, and the flat text of `planted` is the reference. */
static void plant(const char *body, fz_report *r) {
    fz_case c = planted;
    const fz_input in = { .name = "p0", .lo = -4, .hi = 4, .step = 1, .rank = 2, .order = { 0, 1 } };
    const fz_output out = { .rank = 2, .dims = { { 4, 4 } } };
    jc_push(arena, &c.inputs, in);
    jc_push(arena, &c.outputs, out);
    c.cut = jc_arena_printf(arena, "class GraphModule(torch.nn.Module):\n    def forward(self, p0: \"f32[4, 4]\"):\n        t = self.submod_0(p0)\n"
                            "        v1: \"f32[4, 4]\" = t[0]\n        return (v1,)\n    class submod_0(torch.nn.Module):\n"
                            "        def forward(self, p0: \"f32[4, 4]\"):\n            %s\n            return (v1,)\n", body);
    c.modes[0] = (fz_mode){ .way = FZ_CUT };
    fz_check_apart(&c, r);
}

START_TEST(wrong_numbers_are_noticed) {
    fz_report r;
    plant("v1: \"f32[4, 4]\" = p0 + 1.0", &r);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
    plant("v1: \"f32[4, 4]\" = p0 + 1.0000001", &r);
    ck_assert_int_eq(r.fate, FZ_WRONG);
    plant("v1: \"f32[4, 4]\" = p0.t() + 1.0", &r);
    ck_assert_int_eq(r.fate, FZ_WRONG);
    plant("v1: \"f32[4, 4]\" = torch.empty(4, 4, dtype = torch.float32)\n            v1[0] = p0[0]", &r); /* poison shows */
    ck_assert_int_eq(r.fate, FZ_WRONG);
    plant("v1: \"f32[4, 4]\" = torch.lobpcg(p0, 0)", &r);
    ck_assert_int_eq(r.fate, FZ_REFUSED);
    plant("v1: \"f32[4, 4]\" = p0 +", &r);
    ck_assert_int_eq(r.fate, FZ_UNREADABLE);
}
END_TEST

/* ONE runs and OTHER is the reference: both of p0 and p1, i16[4, 8], with a result of RANK 2 that is compared bit by bit. */
static void plant_pair(const char *one, const char *other, const fz_input *p1, uint8_t rows, fz_report *r) {
    static const char *const head = "def forward(self, p0: \"i16[4, 8]\", p1: \"i16[4, 8]\"):\n";
    fz_case c = planted;
    const fz_input in = { .name = "p0", .lo = 0x7f70, .hi = 0x7fff, .step = 1, .rank = 2, .order = { 0, 1 }, .pad = p1->pad };
    const fz_output out = { .bits = true, .rank = 2, .dims = { { rows, 8 } } };
    jc_push(arena, &c.inputs, in);
    jc_push(arena, &c.inputs, *p1);
    jc_push(arena, &c.outputs, out);
    c.flat = jc_arena_printf(arena, "%s    %s\n    return (v,)\n", head, other);
    c.cut = jc_arena_printf(arena, "class GraphModule(torch.nn.Module):\n    def forward(self, p0: \"i16[4, 8]\", p1: \"i16[4, 8]\"):\n"
                            "        t = self.submod_0(p0, p1)\n        v: \"bf16[%d, 8]\" = t[0]\n        return (v,)\n    class submod_0(torch.nn.Module):\n"
                            "        %s            %s\n            return (v,)\n", rows, head, one);
    c.modes[0] = (fz_mode){ .way = FZ_CUT };
    fz_check_apart(&c, r);
}

START_TEST(wrong_bits_are_noticed) {
    static const char moved[] = "v = torch.cat((p0.view(torch.bfloat16), p1.view(torch.bfloat16)))";
    const fz_input p1 = { .name = "p1", .lo = 0x7f70, .hi = 0x7fff, .step = 1, .rank = 2, .order = { 0, 1 } };
    fz_report r;
    plant_pair(moved, moved, &p1, 8, &r);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
    plant_pair("v = torch.cat((p0.view(torch.bfloat16) * 1.0, p1.view(torch.bfloat16)))", moved, &p1, 8, &r);
    ck_assert_int_eq(r.fate, FZ_WRONG);
}
END_TEST

START_TEST(inputs_that_overlap) {
    static const char reads[] = "v = torch.where(p0 > p1, p0, p1).view(torch.bfloat16)";
    static const char writes[] = "p0 += 1\n            v = p1.view(torch.bfloat16).clone()", ref[] = "p0 += 1\n    v = p1.view(torch.bfloat16).clone()";
    fz_input p1 = { .name = "p1", .lo = 0x7f70, .hi = 0x7fff, .step = 1, .rank = 2, .order = { 0, 1 }, .with = "p0", .offset = 5 };
    fz_report r;
    plant_pair(reads, reads, &p1, 4, &r);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
    plant_pair(writes, ref, &p1, 4, &r); /* refused, and nobody said that it may be */
    ck_assert_int_eq(r.fate, FZ_UNRUN);
    p1.written = true;
    plant_pair(writes, ref, &p1, 4, &r);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
    p1.offset = 32; /* beside it */
    plant_pair(writes, ref, &p1, 4, &r);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
}
END_TEST

START_TEST(rows_far_apart) {
    static const char joined[] = "v = torch.cat((p0, p1)).view(torch.bfloat16)";
    const fz_input p1 = { .name = "p1", .lo = 0x7f70, .hi = 0x7fff, .step = 1, .rank = 2, .order = { 0, 1 }, .pad = INT64_C(4294967296) };
    fz_report r;
    plant_pair(joined, joined, &p1, 8, &r);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
    plant_pair("v = torch.cat((p1, p0)).view(torch.bfloat16)", joined, &p1, 8, &r);
    ck_assert_int_eq(r.fate, FZ_WRONG);
}
END_TEST

START_TEST(a_file_replays) {
    for (uint64_t seed = 3; seed <= 60; seed++) {
        fz_case *c = case_of(seed);
        jc_bytes out = JC_BYTES(arena);
        char message[256];
        fz_choose_modes(c, 3, 15);
        fz_case_print(c, c->modes[0], "said\nso", &out);
        jc_put_u8(&out, 0);
        fz_case *read = fz_case_parse((char *)out.at, arena, message, sizeof message);
        ck_assert_msg(read != NULL, "%s", message);
        ck_assert_int_eq(read->nmodes, 1);
        ck_assert_mem_eq(&read->modes[0], &c->modes[0], sizeof c->modes[0]);
        ck_assert_uint_eq(read->outputs.n, c->outputs.n);
        for (size_t i = 0; i < read->inputs.n; i++) {
            size_t k = 0;
            while (strcmp(c->inputs.at[k].name, read->inputs.at[i].name) != 0)
                k++;
            ck_assert(read->inputs.at[i].lo == c->inputs.at[k].lo && read->inputs.at[i].step == c->inputs.at[k].step &&
                      read->inputs.at[i].pad == c->inputs.at[k].pad && read->inputs.at[i].wild == c->inputs.at[k].wild &&
                      read->inputs.at[i].offset == c->inputs.at[k].offset && read->inputs.at[i].written == c->inputs.at[k].written);
            ck_assert_pstr_eq(read->inputs.at[i].with, c->inputs.at[k].with);
        }
        for (size_t i = 0; i < read->outputs.n; i++)
            ck_assert(read->outputs.at[i].bits == c->outputs.at[i].bits);
    }
}
END_TEST

/* As fuzz_show.c says it at its head: input, then result. */
START_TEST(a_case_is_shown) {
    const float in[] = { -2, -2, -2, -2 };
    const double want[] = { -1, -1, -1, -1 };
    fz_case c = { .seed = 5, .nruns = 1, .flat = "class G(torch.nn.Module):\n  def forward(self, p0: \"f32[2, 2]\"):\n    v = p0 + 1\n    return (v,)\n" };
    const fz_input p0 = { .name = "p0", .lo = -2, .hi = -2, .step = 1, .rank = 2, .order = { 1, 0 } };
    jc_push(arena, &c.inputs, p0);
    jc_push(arena, &c.outputs, ((fz_output){ .rank = 2, .dims = { { 2, 2 } } }));
    jc_bytes head = JC_BYTES(arena);
    jc_put_text(&head, "case 5 1 %zu\n%srun 1 1\ntensor p0 f32 2 2 2 1 2 16\n", strlen(c.flat), c.flat);
    jc_put(&head, in, sizeof in);
    jc_put_text(&head, "floats f32 0 2 2 2 4\n");
    jc_put(&head, want, sizeof want);
    fz_lab *lab = fz_lab_new();
    fz_report r;
    char *shown = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&shown, &n);
    fz_show(lab, &c, out, &r);
    fclose(out);
    ck_assert_msg(r.fate == FZ_OK, "%s", r.message);
    ck_assert_uint_eq(n, head.n);
    ck_assert_mem_eq(shown, head.at, n);
    free(shown);
    fz_lab_free(lab);
}
END_TEST

/* --- a fixed set --- */

#define GRAPHS 15
START_TEST(fixed_graphs) {
    fz_lab *lab = fz_lab_new();
    int refused = 0;
    for (uint64_t seed = 1 + (uint64_t)_i * GRAPHS; seed <= (uint64_t)(_i + 1) * GRAPHS; seed++) {
        fz_report r;
        char mode[64];
        fz_case *c = case_of(seed);
        fz_choose_modes(c, 3, 15);
        fz_check(lab, c, &r);
        refused += r.fate == FZ_REFUSED;
        ck_assert_msg(r.fate == FZ_OK || r.fate == FZ_REFUSED, "seed %d, %s: %s\n(fuzz_graph --seed %d --count 1)", (int)seed,
                      fz_mode_text(r.mode, mode, sizeof mode), r.message, (int)seed);
    }
    ck_assert_msg(refused <= 2, "%d of %d graphs are not supported", refused, GRAPHS);
    fz_lab_free(lab);
}
END_TEST

int main(void) {
    Suite *s = suite_create("fuzz");
    TCase *t = tcase_create("generator"), *spellings = tcase_create("spellings"), *runs = tcase_create("graphs");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, sizes_have_one_form);
    tcase_add_test(t, ranges_know_what_is_exact);
    tcase_add_test(t, a_seed_is_a_graph);
    tcase_add_test(t, every_operator_is_made);
    tcase_add_test(t, what_is_viewed_is_contiguous);
    tcase_add_test(t, no_spelling_is_there_twice);
    tcase_add_test(t, spellings_are_found_in_text);
    tcase_add_test(t, tastes_are_met);
    tcase_add_test(t, wrong_numbers_are_noticed);
    tcase_add_test(t, wrong_bits_are_noticed);
    tcase_add_test(t, inputs_that_overlap);
    tcase_add_test(t, rows_far_apart);
    tcase_add_test(t, a_file_replays);
    tcase_add_test(t, a_case_is_shown);
    tcase_set_timeout(t, 20);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(spellings, setup, teardown);
    tcase_add_test(spellings, every_spelling_is_made);
    tcase_set_timeout(spellings, 60);
    suite_add_tcase(s, spellings);
    tcase_add_checked_fixture(runs, setup, teardown);
    tcase_add_loop_test(runs, fixed_graphs, 0, 8);
    tcase_set_timeout(runs, 20);
    suite_add_tcase(s, runs);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
