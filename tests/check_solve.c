/*
 * tests/check_solve.c - symbols' values from shapes, strides and integers.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "ir/solve.h"

static jc_arena *arena;
static jc_graph *graph;
static jc_func *func;

static void set_up(void) {
    arena = jc_arena_new(NULL);
    graph = jc_graph_new(arena, "test");
    func = jc_func_new(graph, "f");
}

static void tear_down(void) {
    jc_arena_free(arena);
}

/* Two tensors of dims and strides as text over a and b, one symint; -1 ends. NULL strides: contiguous. */
static const struct solve_row {
    const char *name;
    const char *dims[2][3], *strides[2][3], *integer;
    int64_t shape[2][3], stride[2][3], value;
    int64_t a, b;      /* expected */
    const char *says[2]; /* or in the message */
} solve_rows[] = {
    { "dims", { { "a", "4" }, { "b" } }, { { 0 } }, NULL, { { 3, 4 }, { 5 } }, { { 0 } }, 0, 3, 5, { 0 } },
    { "linear", { { "48*a" }, { "b + 1" } }, { { 0 } }, NULL, { { 96 }, { 5 } }, { { 0 } }, 0, 2, 4, { 0 } },
    { "one after the other", { { "a + b" }, { "b" } }, { { 0 } }, NULL, { { 7 }, { 5 } }, { { 0 } }, 0, 2, 5, { 0 } },
    { "product", { { "a*b" }, { "b" } }, { { 0 } }, NULL, { { 12 }, { 3 } }, { { 0 } }, 0, 4, 3, { 0 } },
    { "symint", { { "4" }, { "b" } }, { { 0 } }, "2*a", { { 4 }, { 3 } }, { { 0 } }, 10, 5, 3, { 0 } },
    { "fallback", { { "4" }, { "b" } }, { { 0 } }, NULL, { { 4 }, { 3 } }, { { 0 } }, 0, 8, 3, { 0 } },
    { "stride", { { "3", "b" }, { "1" } }, { { "a", "1" } }, NULL, { { 3, 5 }, { 1 } }, { { 7, 1 } }, 0, 7, 5, { 0 } },
    { "stride of one row says nothing", { { "1", "b" }, { "1" } }, { { "a", "1" } }, NULL, { { 1, 5 }, { 1 } }, { { 7, 1 } },
      0, 8, 5, { 0 } },
    { "a dim goes before a stride", { { "3", "b" }, { "a" } }, { { "a", "1" } }, NULL, { { 3, 5 }, { 6 } }, { { 7, 1 } }, 0, 6,
      5, { 0 } },
    { "division is only checked", { { "a" }, { "(a + 3)//4" } }, { { 0 } }, NULL, { { 5 }, { 2 } }, { { 0 } }, 0, 5, 8, { 0 } },
    { "a stride that is a quotient", { { "3", "b" }, { "1" } }, { { "(a + 1)//2", "1" } }, NULL, { { 3, 5 }, { 1 } }, { { 7, 1 } }, 0, 13, 5, { 0 } },
    { "the fallback where it will do", { { "3", "b" }, { "1" } }, { { "a//2", "1" } }, NULL, { { 3, 5 }, { 1 } }, { { 4, 1 } }, 0, 8, 5, { 0 } },
    { "a stride that is a product", { { "3", "2" }, { "1" } }, { { "a*b", "1" } }, NULL, { { 3, 2 }, { 1 } }, { { 12, 1 } }, 0, 12, 1, { 0 } },
    { "a product with what another stride gives", { { "3", "2" }, { "4" } }, { { "a*b", "1" }, { "a//3" } }, NULL, { { 3, 2 }, { 4 } },
      { { 12, 1 }, { 2 } }, 0, 6, 2, { 0 } },
    { "strides that agree", { { "3", "b" }, { "2", "4" } }, { { "(a + 1)//2", "1" }, { "a//2", "1" } }, NULL, { { 3, 5 }, { 2, 4 } },
      { { 3, 1 }, { 3, 1 } }, 0, 6, 5, { 0 } },
    { "a stride that comes round", { { "3", "b" }, { "1" } }, { { "a % 4 + 5", "1" } }, NULL, { { 3, 5 }, { 1 } }, { { 7, 1 } }, 0, 2, 5, { 0 } },
    { "a stride that nothing gives", { { "3", "b" }, { "1" } }, { { "2*(a//3)", "1" } }, NULL, { { 3, 5 }, { 1 } }, { { 7, 1 } }, 0, 8, 5, { 0 } },
    { "a dim that is a quotient", { { "a//8", "b" }, { "a//8" } }, { { 0 } }, NULL, { { 3, 5 }, { 3 } }, { { 0 } }, 0, 24, 5, { 0 } },
    { "the fallback where a dim will do with it", { { "a//2" }, { "b" } }, { { 0 } }, NULL, { { 4 }, { 3 } }, { { 0 } }, 0, 8, 3, { 0 } },
    { "dims that agree", { { "a//8", "b" }, { "(a + 7)//8" } }, { { 0 } }, NULL, { { 3, 5 }, { 4 } }, { { 0 } }, 0, 25, 5, { 0 } },
    { "a dim that is a product", { { "a*b" }, { "1" } }, { { 0 } }, NULL, { { 12 }, { 1 } }, { { 0 } }, 0, 12, 1, { 0 } },
    { "a product and a quotient", { { "a*b" }, { "b//2" } }, { { 0 } }, NULL, { { 15 }, { 2 } }, { { 0 } }, 0, 3, 5, { 0 } },
    { "a dim of nothing", { { "a//8" }, { "b" } }, { { 0 } }, NULL, { { 0 }, { 3 } }, { { 0 } }, 0, 0, 3, { 0 } },
    { "what is left of a dim", { { "40 - a//2" }, { "b" } }, { { 0 } }, NULL, { { 30 }, { 3 } }, { { 0 } }, 0, 20, 3, { 0 } },
    { "an integer that is a quotient", { { "b" }, { "1" } }, { { 0 } }, "a//4", { { 5 }, { 1 } }, { { 0 } }, 7, 28, 5, { 0 } },
    { "a dim before a stride", { { "a//2", "4" }, { "1" } }, { { "4", "1" }, { "b//2" } }, NULL, { { 3, 4 }, { 1 } }, { { 4, 1 }, { 1 } }, 0, 6, 8, { 0 } },
    { "a dim that nothing gives", { { "2*(a//3)" }, { "b" } }, { { 0 } }, NULL, { { 3 }, { 3 } }, { { 0 } }, 0, 0, 0, { "'p0'", "2*(a//3)" } },
    { "dims that do not agree", { { "a//8" }, { "a//4" } }, { { 0 } }, NULL, { { 3 }, { 9 } }, { { 0 } }, 0, 0, 0, { "is 9", "a//4" } },
    { "a stride of nothing says nothing", { { "a", "0" }, { "1" } }, { { "b", "1" } }, NULL, { { 3, 0 }, { 1 } }, { { 7, 1 } }, 0, 3, 8, { 0 } },
    { "two values", { { "a" }, { "a" } }, { { 0 } }, NULL, { { 3 }, { 4 } }, { { 0 } }, 0, 0, 0, { "'p0'", "'p1'" } },
    { "no whole solution", { { "2*a" }, { "b" } }, { { 0 } }, NULL, { { 3 }, { 4 } }, { { 0 } }, 0, 0, 0, { "'p0'", "2*a" } },
    { "not as annotated", { { "4" }, { "b" } }, { { 0 } }, NULL, { { 5 }, { 4 } }, { { 0 } }, 0, 0, 0, { "'p0'", "dim 0" } },
    { "division that does not come out", { { "a" }, { "(a + 3)//4" } }, { { 0 } }, NULL, { { 5 }, { 3 } }, { { 0 } }, 0, 0, 0,
      { "'p1'", "'p0'" } },
};

static const jc_expr *parsed(const char *text) {
    const jc_expr *e = NULL;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_ex_parse(graph->exprs, text, strlen(text), "test", 1, 1, &e, &err) == JITC_OK, "%s", err.message);
    return e;
}

START_TEST(solving) {
    const struct solve_row *r = &solve_rows[_i];
    jitc_value inputs[3];
    jc_sym_add(graph->exprs, "a");
    jc_sym_add(graph->exprs, "b");
    for (int p = 0; p < 2; p++) {
        const jc_expr **dims = JC_NEWN(arena, const jc_expr *, 3), **strides = JC_NEWN(arena, const jc_expr *, 3);
        jc_type type = { .kind = JC_TENSOR, .dtype = JC_F32, .dims = dims };
        for (; r->dims[p][type.rank]; type.rank++) {
            dims[type.rank] = parsed(r->dims[p][type.rank]);
            if (r->strides[p][0])
                strides[type.rank] = parsed(r->strides[p][type.rank]);
        }
        if (r->strides[p][0])
            type.strides = strides;
        DLTensor *t = JC_NEW(arena, DLTensor);
        *t = (DLTensor){ .ndim = type.rank, .shape = jc_arena_memdup(arena, r->shape[p], sizeof r->shape[p]) };
        if (r->strides[p][0])
            t->strides = jc_arena_memdup(arena, r->stride[p], sizeof r->stride[p]);
        inputs[p] = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
        jc_func_param(func, p ? "p1" : "p0", &type);
    }
    if (r->integer) {
        jc_type type = { .kind = JC_SYMINT, .expr = parsed(r->integer) };
        jc_func_param(func, "n", &type);
        inputs[2] = (jitc_value){ .tag = JITC_INT, .i = r->value };
    }
    int64_t syms[2];
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_solve(func, inputs, 8, syms, &err);
    if (r->says[0]) {
        ck_assert_msg(status == JITC_E_INPUT, "%s", r->name);
        ck_assert_msg(strstr(err.message, r->says[0]) && strstr(err.message, r->says[1]), "%s: %s", r->name, err.message);
    } else {
        ck_assert_msg(status == JITC_OK, "%s: %s", r->name, err.message);
        ck_assert_msg(syms[0] == r->a && syms[1] == r->b, "%s: a = %lld, b = %lld", r->name, (long long)syms[0],
                      (long long)syms[1]);
    }
}
END_TEST

/* Guards: as they say, or refused with both sides; of a symbol that nothing gives, a certain value says what it is. */
static const struct guard_row {
    const char *a, *b;
    const char *says; /* NULL: fine */
    jc_rel rel;
} guard_rows[] = {
    { "a", "3", NULL, JC_REL_EQ }, { "a", "4", "a is 4, but they are 3 (a=3) and 4", JC_REL_EQ },
    { "2*a + 1", "7", NULL, JC_REL_EQ }, { "a", "8//(a - 3)", "8//(a - 3)", JC_REL_EQ },
    { "b", "5", NULL, JC_REL_EQ }, { "b", "a", "b is a, but they are 8 (b=8) and 3 (a=3)", JC_REL_EQ },
    { "a", "4", NULL, JC_REL_LE }, { "a", "2", "where a <= 2, but they are 3 (a=3) and 2", JC_REL_LE },
    { "a", "4", NULL, JC_REL_NE }, { "a + 1", "4", "where a + 1 != 4, but they are 4 (a=3) and 4", JC_REL_NE },
};

START_TEST(guards) {
    const struct guard_row *r = &guard_rows[_i];
    int64_t syms[2], dim = 3;
    jc_error err = JC_ERROR_INIT;
    const jc_expr *dims[] = { parsed("a") };
    jc_type type = { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = dims };
    jc_func_param(func, "p", &type);
    parsed("b");
    jc_push(arena, &func->guards, ((jc_condition){ (uint8_t)r->rel, 12, parsed(r->a), parsed(r->b) }));
    DLTensor t = { .ndim = 1, .shape = &dim };
    jitc_status status = jc_solve(func, &(jitc_value){ .tag = JITC_TENSOR, .tensor = &t }, 8, syms, &err);
    ck_assert_msg(status == (r->says ? JITC_E_INPUT : JITC_OK), "%s, %s: %s", r->a, r->b, err.message);
    if (r->says)
        ck_assert_msg(strstr(err.message, r->says) && err.line == 12, "line %d: %s", err.line, err.message);
}
END_TEST

/* A value that is looked for is one with which guards hold. */
START_TEST(sought_with_guards) {
    int64_t syms[2], dim = 3;
    jc_error err = JC_ERROR_INIT;
    jc_sym_add(graph->exprs, "a");
    const jc_expr *dims[] = { parsed("a//8") };
    jc_type type = { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = dims };
    jc_func_param(func, "p", &type);
    jc_push(arena, &func->guards, ((jc_condition){ JC_REL_LE, 12, parsed("27"), parsed("a") }));
    DLTensor t = { .ndim = 1, .shape = &dim };
    ck_assert_int_eq(jc_solve(func, &(jitc_value){ .tag = JITC_TENSOR, .tensor = &t }, 8, syms, &err), JITC_OK);
    ck_assert_int_eq(syms[0], 27);
}
END_TEST

/* What each symbol is solved from, before there is a call. */
START_TEST(origins) {
    static const struct {
        const char *sym;
        jc_solve_origin from;
    } rows[] = {
        { "a", { true, 0, 0, true } }, { "b", { true, 0, 1, false } }, { "c", { true, 1, -1, false } }, { "d", { true, 2, 0, false } },
        { "e", { true, 3, 0, false } }, { "f", { false, 0, 0, false } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        jc_sym_add(graph->exprs, rows[i].sym);
    const jc_expr *dims[] = { parsed("3"), parsed("2*b") }, *strides[] = { parsed("(a + 1)//2*b"), parsed("1") }, *more[] = { parsed("c*d + b") };
    const jc_expr *size[] = { parsed("e//2 + 1") };
    const jc_type types[] = {
        { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 2, .dims = dims, .strides = strides },
        { .kind = JC_SYMINT, .expr = parsed("c + 1") },
        { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = more },
        { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = size },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        jc_func_param(func, "p", &types[i]);
    const jc_solve_origin *got = jc_solver_origins(jc_solver_new(func, arena), arena);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const jc_solve_origin *w = &rows[i].from, *g = &got[i];
        ck_assert_msg(g->found == w->found && (!w->found || (g->param == w->param && g->dim == w->dim && g->stride == w->stride)),
                      "%s: %d, parameter %u, dim %d, stride %d", rows[i].sym, g->found, g->param, g->dim, g->stride);
    }
}
END_TEST

#define ROWS(table) (int)(sizeof table / sizeof *table)

int main(void) {
    Suite *s = suite_create("solve");
    TCase *t = tcase_create("symbols");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, solving, 0, ROWS(solve_rows));
    tcase_add_loop_test(t, guards, 0, ROWS(guard_rows));
    tcase_add_test(t, sought_with_guards);
    tcase_add_test(t, origins);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
