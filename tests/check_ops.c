/*
 * tests/check_ops.c - operator schemas, the registry, calls through libffi, layer names, plugins.
 */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "runtime/ops.h"

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

static jc_arena *arena;
static jc_registry *ops;
static jc_names *names;

static void setup(void) {
    arena = jc_arena_new(NULL);
    ops = jc_ops_new(arena);
    names = jc_names_new(arena);
    jc_ops_set_names(ops, names);
}

static void teardown(void) {
    jc_arena_free(arena);
}

/* ---- schemas --------------------------------------------------------------------------------------------------- */

static void show_value(char *out, size_t size, const jitc_value *v) {
    char item[64];
    switch (v->tag) {
    case JITC_NONE: snprintf(out, size, "None"); break;
    case JITC_INT: snprintf(out, size, "%lld", (long long)v->i); break;
    case JITC_FLOAT: snprintf(out, size, "%gf", v->f); break;
    case JITC_BOOL: snprintf(out, size, "%s", v->i ? "True" : "False"); break;
    case JITC_STR: snprintf(out, size, "'%s'", v->str); break;
    case JITC_LIST:
        snprintf(out, size, "[");
        for (uint32_t i = 0; i < v->n; i++) {
            show_value(item, sizeof item, &v->list[i]);
            strncat(out, item, size - strlen(out) - 1);
            strncat(out, i + 1 < v->n ? " " : "", size - strlen(out) - 1);
        }
        strncat(out, "]", size - strlen(out) - 1);
        break;
    default: snprintf(out, size, "tag %u", v->tag); break;
    }
}

/* One letter per kind, then ? for optional, ! for written, * for keyword-only. */
static void show_schema(char *out, size_t size, const jc_schema *s) {
    static const char kinds[] = "TIFBNLA";
    size_t n = (size_t)snprintf(out, size, "%s:", s->name);
    for (uint32_t i = 0; i < s->nargs; i++) {
        const jc_schema_arg *a = &s->args[i];
        char dflt[128] = "";
        if (a->has_default)
            show_value(dflt, sizeof dflt, &a->dflt);
        n += (size_t)snprintf(out + n, size - n, " %c%s%s%s%s=%s", kinds[a->type], a->optional ? "?" : "",
                              a->written ? "!" : "", a->keyword_only ? "*" : "", a->name, dflt);
    }
    snprintf(out + n, size - n, s->any ? " ... -> %d" : " -> %d", (int)s->nresults);
}

static const struct {
    const char *text, *shown;
} good[] = {
    { "vllm::f() -> ()", "vllm::f: -> 0" },
    { "vllm::gdn_in_proj(Tensor x, int qkvz, int ba, LayerName layer) -> (Tensor, Tensor)",
      "vllm::gdn_in_proj: Tx= Iqkvz= Iba= Nlayer= -> 2" },
    { " ns :: f ( Tensor x ) -> Tensor ", NULL },
    { "ns::f(Tensor(a!) x, Tensor(a3!)? y, Tensor(b) z) -> ()", "ns::f: T!x= T?!y= Tz= -> 0" },
    { "ns::f(Tensor x, *, int n=3, float e=1e-6, bool b=True) -> Tensor",
      "ns::f: Tx= I*n=3 F*e=1e-06f B*b=True -> 1" },
    { "ns::f(Tensor? x=None, str name='auto', str? other=None, LayerName l=\"a.b\") -> (Tensor)",
      "ns::f: T?x=None Nname='auto' N?other=None Nl='a.b' -> 1" },
    { "ns::f(SymInt a, SymInt[] b=[], int[2] c=[1, 2], float[]? d=None, Tensor[] e, Tensor?[] g) -> Tensor out",
      "ns::f: Ia= Ab=[] Ac=[1 2] A?d=None Le= Ag= -> 1" },
    { "ns::f(ScalarType dtype=float32, Device? d=None, Any v, Dict(str, Tensor) kwargs, Scalar s=2.5) -> ()",
      "ns::f: Adtype='float32' A?d=None Av= Akwargs= As=2.5f -> 0" },
    { "ns::f(float a=2, float b=-inf, int c=-7, float d=.5, bool b2=False) -> ()",
      "ns::f: Fa=2f Fb=-inff Ic=-7 Fd=0.5f Bb2=False -> 0" },
    { "ns::f(Tensor(a0!)[] outs, Tensor[]? maybe=None) -> (Tensor first, Tensor second, Tensor)",
      "ns::f: L!outs= L?maybe=None -> 3" },
    { "ns::f.overload(Tensor x) -> Tensor", "ns::f.overload: Tx= -> 1" },
    { "ns::f.default(Tensor x) -> Tensor", "ns::f: Tx= -> 1" },
    { "a::b::f(int x) -> ()", "a::b::f: Ix= -> 0" },
    { "higher_order::triton_kernel_wrapper_mutation(...) -> ...",
      "higher_order::triton_kernel_wrapper_mutation: ... -> -1" },
    { "ns::f(...) -> (Tensor, Tensor)", "ns::f: ... -> 2" },
    { "ns::f(...) -> ()", "ns::f: ... -> 0" },
    { "ns::f(Tensor x,\n      int y) -> Tensor", "ns::f: Tx= Iy= -> 1" },
};

START_TEST(schema_good) {
    jc_schema s;
    jc_error err = JC_ERROR_INIT;
    char shown[1024];
    jitc_status status = jc_schema_parse(good[_i].text, arena, &s, &err);
    if (!good[_i].shown) {
        ck_assert_msg(status == JITC_E_USAGE, "%s", good[_i].text);
        return;
    }
    ck_assert_msg(status == JITC_OK, "%s: %s", good[_i].text, err.message);
    show_schema(shown, sizeof shown, &s);
    ck_assert_str_eq(shown, good[_i].shown);
}
END_TEST

static const struct {
    const char *text;
    int column;
    const char *word; /* in the message */
} bad[] = {
    { "", 1, "the operator's name" },
    { "f(Tensor x) -> Tensor", 2, "'::'" },
    { "ns::(Tensor x) -> Tensor", 5, "the operator's name" },
    { "ns::f.(Tensor x) -> Tensor", 7, "the overload's name" },
    { "ns::f", 6, "'('" },
    { "ns::f(Tensor x", 15, "')'" },
    { "ns::f(Tensor x) Tensor", 17, "'->'" },
    { "ns::f(Tensor x) ->", 19, "a type" },
    { "ns::f(Tensor x) -> Tensor,", 26, "the end" },
    { "ns::f(tensor x) -> ()", 7, "a type (Tensor, int" },
    { "ns::f(Tensor) -> ()", 13, "the argument's name" },
    { "ns::f(Tensor x, Tensor x) -> ()", 24, "two arguments 'x'" },
    { "ns::f(Tensor(a x) -> ()", 19, "the argument's name" },
    { "ns::f(Tensor() x) -> ()", 14, "an alias set" },
    { "ns::f(Tensor[ x) -> ()", 15, "']'" },
    { "ns::f(int n=) -> ()", 13, "a default value" },
    { "ns::f(int n=1.5) -> ()", 13, "an integer" },
    { "ns::f(int n=None) -> ()", 13, "an integer" },
    { "ns::f(int n=99999999999999999999) -> ()", 13, "a number that fits" },
    { "ns::f(bool b=1) -> ()", 14, "True or False" },
    { "ns::f(float e='x') -> ()", 15, "a number" },
    { "ns::f(Tensor x=3) -> ()", 16, "None, the only default" },
    { "ns::f(Tensor x=None) -> ()", 16, "None, the only default" },
    { "ns::f(str s=3) -> ()", 13, "a string" },
    { "ns::f(str s='abc) -> ()", 24, "the closing quote" },
    { "ns::f(Tensor x, *, *, int n) -> ()", 20, "a type" },
    { "ns::f(Tensor x) -> Tensor[]", 20, "a list of tensors cannot be a result" },
    { "ns::f(Tensor x) -> int", 20, "only tensors" },
    { "ns::f(Tensor x) -> (Tensor, float)", 29, "only tensors" },
    { "ns::f(Tensor(a!) x) -> Tensor(a!)", 24, "alias" },
    { "ns::f(Tensor x) -> ...", 20, "left open" },
    { "ns::f(int[] l=[1, 2) -> ()", 20, "']'" },
    { "ns::f(Any l=[[[[[[[[[[1]]]]]]]]]]) -> ()", 22, "nested too deeply" },
};

START_TEST(schema_bad) {
    jc_schema s;
    jc_error err = JC_ERROR_INIT;
    char column[32];
    ck_assert_msg(jc_schema_parse(bad[_i].text, arena, &s, &err) == JITC_E_USAGE, "%s", bad[_i].text);
    snprintf(column, sizeof column, "column %d:", bad[_i].column);
    ck_assert_msg(strstr(err.message, column) && strstr(err.message, bad[_i].word), "%s: %s", bad[_i].text,
                  err.message);
}
END_TEST

/* Every prefix of a long schema is refused and nothing is read beyond its end. */
START_TEST(schema_truncated) {
    static const char whole[] = "ns::f.o(Tensor(a!)? x=None, *, int[2] n=[1, 2], str s='a', float e=1e-5) -> (Tensor, Tensor)";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, whole, n);
        cut[n] = '\0';
        jc_schema s;
        jc_error err = JC_ERROR_INIT;
        ck_assert_msg(jc_schema_parse(cut, arena, &s, &err) == JITC_E_USAGE, "%s", cut);
        free(cut);
    }
}
END_TEST

START_TEST(schema_too_many_arguments) {
    char text[2048] = "ns::f(";
    for (int i = 0; i < 65; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sint a%d", i ? ", " : "", i);
    strcat(text, ") -> ()");
    jc_schema s;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_schema_parse(text, arena, &s, &err), JITC_E_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "at most 64"));
}
END_TEST

/* ---- calls ----------------------------------------------------------------------------------------------------- */

static const jc_op_entry *add(const char *schema, void *plain, jitc_frame_function frame, const jitc_op_options *o) {
    jc_error err = JC_ERROR_INIT;
    char name[64];
    jitc_status status = jc_ops_register(ops, schema, (jitc_plain_function)plain, frame, o, &err);
    ck_assert_msg(status == JITC_OK, "%s: %s", schema, err.message);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(schema, "("), schema);
    return jc_ops_find(ops, name, kDLCPU);
}

static jitc_value t_(DLTensor *t) { return (jitc_value){ .tag = JITC_TENSOR, .tensor = t }; }
static jitc_value i_(int64_t i) { return (jitc_value){ .tag = JITC_INT, .i = i }; }
static jitc_value f_(double f) { return (jitc_value){ .tag = JITC_FLOAT, .f = f }; }
static jitc_value b_(bool b) { return (jitc_value){ .tag = JITC_BOOL, .i = b }; }
static jitc_value n_(const jitc_layer_name *n) { return (jitc_value){ .tag = JITC_NAME, .name = n }; }
static const jitc_value none = { .tag = JITC_NONE };

static const DLDevice cpu = { kDLCPU, 0 };

static struct {
    int calls;
    void *stream, *user;
    char op[64];
} seen;

/* One process may run all tests (CK_FORK=no). */
static void forget(void) { memset(&seen, 0, sizeof seen); }

static void note(const jitc_call *call) {
    seen.calls++;
    seen.stream = call->stream;
    seen.user = call->user;
    snprintf(seen.op, sizeof seen.op, "%s", call->op);
}

/* 20 parameters of every kind, more than fit in registers. */
static int twenty(jitc_call *call, const DLTensor *t0, int64_t i0, double f0, bool b0, const jitc_layer_name *n0,
                  const jitc_value *oi, const jitc_value *of, const jitc_value *ob, const DLTensor *ot,
                  const jitc_layer_name *on, const jitc_value *list, const jitc_value *any, int64_t i1, double f1,
                  bool b1, DLTensor *w, double f2, int64_t i2, bool b2, const jitc_value *ints, DLTensor *r0,
                  DLTensor *r1) {
    note(call);
    bool ok = t0 && t0->ndim == 2 && i0 == INT64_MIN && f0 == 0.1 && b0 && !strcmp(jc_name_text(n0), "l.0") &&
              oi->tag == JITC_INT && oi->i == -5 && of->tag == JITC_NONE && ob->tag == JITC_BOOL && ob->i == 1 && !ot &&
              !on && list->tag == JITC_LIST && list->n == 2 && list->list[1].tensor == t0 && any->tag == JITC_STR &&
              !strcmp(any->str, "bf16") && i1 == 7 && f1 == 3.0 && !b1 && w->ndim == 1 && f2 == -1e300 &&
              i2 == 1 && b2 && ints->n == 3 && ints->list[2].i == 30;
    if (!ok) {
        snprintf(call->error, call->error_size, "an argument was wrong");
        return 1;
    }
    *(float *)w->data = 2.5f;
    *(float *)r0->data = 1.0f;
    *(float *)r1->data = (float)call->nargs;
    return 0;
}

START_TEST(call_every_type) {
    float data[4] = { 0 };
    int64_t dims[2] = { 1, 1 };
    DLTensor t0 = { .ndim = 2, .shape = dims, .data = &data[0] }, w = { .ndim = 1, .shape = dims, .data = &data[1] };
    DLTensor r0 = { .ndim = 1, .shape = dims, .data = &data[2] }, r1 = { .ndim = 1, .shape = dims, .data = &data[3] };
    DLTensor *results[] = { &r0, &r1 };
    const jc_op_entry *op =
        add("ns::twenty(Tensor t0, int i0, float f0, bool b0, LayerName n0, int? oi, float? of, bool? ob, Tensor? ot, "
            "str? on, Tensor[] list, Any any, SymInt i1, float f1, bool b1, Tensor(a!) w, float f2, int i2, bool b2, "
            "int[] ints) -> (Tensor, Tensor)",
            (void *)twenty, NULL, NULL);
    jitc_value list[] = { t_(&w), t_(&t0) }, ints[] = { i_(10), i_(20), i_(30) };
    jitc_value args[] = { t_(&t0), i_(INT64_MIN), f_(0.1), b_(true), n_(jc_name_intern(names, "l.0", NULL)), i_(-5),
                          none, b_(true), none, none, { .tag = JITC_LIST, .n = 2, .list = list },
                          { .tag = JITC_STR, .str = "bf16" }, i_(7), i_(3) /* a float parameter */, b_(false), t_(&w),
                          f_(-1e300), b_(true) /* an int parameter */, i_(1) /* a bool one */,
                          { .tag = JITC_LIST, .n = 3, .list = ints } };
    jc_error err = JC_ERROR_INIT;
    int stream;
    jitc_status status = jc_op_call(op, cpu, &stream, args, NULL, 20, results, 2, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_ptr_eq(seen.stream, &stream);
    ck_assert_str_eq(seen.op, "ns::twenty");
    ck_assert(data[1] == 2.5f && data[2] == 1.0f && data[3] == 20.0f);
    /* The same by keyword, in reverse. */
    static const char *const keys[] = { "ints", "b2", "i2", "f2", "w", "b1", "f1", "i1", "any", "list",
                                        "on", "ot", "ob", "of", "oi", "n0", "b0", "f0", "i0", "t0" };
    jitc_value reversed[20];
    for (int i = 0; i < 20; i++)
        reversed[i] = args[19 - i];
    status = jc_op_call(op, cpu, NULL, reversed, keys, 20, results, 2, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_int_eq(seen.calls, 2);
}
END_TEST

/* One of each kind alone and in every order of three kinds. */
static int three(jitc_call *call, int64_t a, double b, bool c) {
    note(call);
    return !(a == 41 && b == 0.5 && c);
}
static int three_back(jitc_call *call, bool c, double b, int64_t a) {
    return three(call, a, b, c);
}
static int eight_floats(jitc_call *call, double a, double b, double c, double d, double e, double f, double g, double h,
                        double i, int64_t j) {
    note(call);
    return !(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == 10);
}
static int eight_ints(jitc_call *call, bool a, int64_t b, bool c, int64_t d, bool e, int64_t f, bool g, int64_t h,
                      bool i, double j) {
    note(call);
    return !(a && b == 2 && !c && d == 4 && e && f == 6 && !g && h == 8 && i && j == 10);
}

START_TEST(call_type_orders) {
    jc_error err = JC_ERROR_INIT;
    const jc_op_entry *a = add("ns::a(int a, float b, bool c) -> ()", (void *)three, NULL, NULL);
    const jc_op_entry *b = add("ns::b(bool c, float b, int a) -> ()", (void *)three_back, NULL, NULL);
    jitc_value abc[] = { i_(41), f_(0.5), b_(true) }, cba[] = { b_(true), f_(0.5), i_(41) };
    ck_assert_int_eq(jc_op_call(a, cpu, NULL, abc, NULL, 3, NULL, 0, &err), JITC_OK);
    ck_assert_int_eq(jc_op_call(b, cpu, NULL, cba, NULL, 3, NULL, 0, &err), JITC_OK);
    jitc_value floats[10], ints[10];
    for (int i = 0; i < 10; i++) {
        floats[i] = f_(i + 1);
        ints[i] = i % 2 ? i_(i + 1) : b_(i % 4 == 0);
    }
    const jc_op_entry *c = add("ns::c(float a, float b, float c, float d, float e, float f, float g, float h, float i, "
                               "int j) -> ()", (void *)eight_floats, NULL, NULL);
    floats[9] = i_(10);
    ck_assert_int_eq(jc_op_call(c, cpu, NULL, floats, NULL, 10, NULL, 0, &err), JITC_OK);
    const jc_op_entry *d = add("ns::d(bool a, int b, bool c, int d, bool e, int f, bool g, int h, bool i, float j) -> ()",
                               (void *)eight_ints, NULL, NULL);
    ints[9] = f_(10);
    ck_assert_int_eq(jc_op_call(d, cpu, NULL, ints, NULL, 10, NULL, 0, &err), JITC_OK);
    ck_assert_int_eq(seen.calls, 4);
}
END_TEST

static struct {
    int64_t n;
    double e;
    char name[32];
    bool b, has_tensor;
} defaults;

static int with_defaults(jitc_call *call, const DLTensor *x, int64_t n, double e, const jitc_layer_name *name, bool b) {
    note(call);
    defaults.has_tensor = x;
    defaults.n = n;
    defaults.e = e;
    snprintf(defaults.name, sizeof defaults.name, "%s", name ? jc_name_text(name) : "none");
    defaults.b = b;
    /* A default is the same layer name as the interned one. */
    return name && !strcmp(defaults.name, "auto") && name != jc_name_intern(names, "auto", NULL);
}

static const struct {
    const char *what;
    int n;
    const char *keys[5];
    int64_t number; /* of an int argument */
    int64_t n_want;
    double e_want;
} default_rows[] = {
    { "all defaults", 0, { NULL }, 0, 3, 1e-6 },
    { "one keyword", 1, { "n" }, 9, 9, 1e-6 },
    { "an int for a float", 1, { "e" }, 2, 3, 2.0 },
};

START_TEST(call_defaults) {
    const jc_op_entry *op = add("ns::f(Tensor? x=None, int n=3, *, float e=1e-6, str name='auto', bool b=True) -> ()",
                                (void *)with_defaults, NULL, NULL);
    jitc_value args[] = { i_(default_rows[_i].number) };
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_op_call(op, cpu, NULL, args, default_rows[_i].keys, (uint32_t)default_rows[_i].n, NULL, 0,
                                    &err);
    ck_assert_msg(status == JITC_OK, "%s: %s", default_rows[_i].what, err.message);
    ck_assert_int_eq(defaults.n, default_rows[_i].n_want);
    ck_assert(defaults.e == default_rows[_i].e_want);
    ck_assert(defaults.b && !defaults.has_tensor);
    ck_assert_str_eq(defaults.name, "auto");
}
END_TEST

static int never(jitc_call *call) {
    note(call);
    return 0;
}

static DLTensor a_tensor;
static const jitc_value nested[] = { { .tag = JITC_INT, .i = 1 } };

static const struct {
    const char *what;
    uint32_t n;
    const char *keys[4];
    jitc_value args[4];
    uint32_t results;
    const char *words[2]; /* in the message */
} wrong_calls[] = {
    { "tensor missing", 0, { NULL }, { { 0 } }, 1, { "ns::f", "argument 'x'" } },
    { "int for a tensor", 1, { NULL }, { { .tag = JITC_INT } }, 1, { "'x' is a tensor", "passes an integer" } },
    { "None for a tensor", 1, { NULL }, { { 0 } }, 1, { "'x' is a tensor", "passes None" } },
    { "float for an int", 2, { NULL }, { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = JITC_FLOAT } }, 1,
      { "'n' is an integer", "passes a float" } },
    { "int for a layer name", 2, { NULL, "name" }, { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = JITC_INT } }, 1,
      { "'name' is a layer name or None", "passes an integer" } },
    { "unknown keyword", 2, { NULL, "m" }, { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = JITC_INT } }, 1,
      { "no argument 'm'", "ns::f(" } },
    { "twice", 2, { NULL, "x" },
      { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = JITC_TENSOR, .tensor = &a_tensor } }, 1,
      { "'x' twice", "ns::f" } },
    { "keyword-only by position", 3, { NULL },
      { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = JITC_INT }, { .tag = JITC_NONE } }, 1,
      { "fewer positional arguments", "ns::f" } },
    { "list of ints for tensors", 2, { NULL, "list" },
      { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = JITC_LIST, .n = 1, .list = nested } }, 1,
      { "'list' is a list of tensors", "passes a list" } },
    { "too many results", 1, { NULL }, { { .tag = JITC_TENSOR, .tensor = &a_tensor } }, 2,
      { "gives 1 results", "takes 2" } },
    { "unknown tag", 2, { NULL }, { { .tag = JITC_TENSOR, .tensor = &a_tensor }, { .tag = 77 } }, 1,
      { "'n'", "unknown tag" } },
};

START_TEST(call_refused) {
    const jc_op_entry *op = add("ns::f(Tensor x, int n=1, *, str? name=None, Tensor[] list=[]) -> Tensor", NULL, never,
                                NULL);
    DLTensor result = { 0 }, *results[] = { &result, &result };
    for (int check = 0; check < 2; check++) {
        jc_error err = JC_ERROR_INIT;
        jitc_status status =
            check ? jc_op_check(op, wrong_calls[_i].args, wrong_calls[_i].keys, wrong_calls[_i].n,
                                wrong_calls[_i].results, 0, &err)
                  : jc_op_call(op, cpu, NULL, wrong_calls[_i].args, wrong_calls[_i].keys, wrong_calls[_i].n, results,
                               wrong_calls[_i].results, &err);
        ck_assert_msg(status == (check ? JITC_E_UNSUPPORTED : JITC_E_INPUT), "%s", wrong_calls[_i].what);
        for (int w = 0; w < 2; w++)
            ck_assert_msg(strstr(err.message, wrong_calls[_i].words[w]) != NULL, "%s: %s", wrong_calls[_i].what,
                          err.message);
    }
    ck_assert_int_eq(seen.calls, 0);
}
END_TEST

static int fails(jitc_call *call) {
    const char *text = call->user;
    if (text)
        snprintf(call->error, call->error_size, "%s", text);
    return -3;
}

START_TEST(call_operator_error) {
    jitc_op_options o = { .struct_size = sizeof o, .user = "the cache is full" };
    const jc_op_entry *said = add("ns::said() -> ()", NULL, fails, &o);
    const jc_op_entry *mute = add("ns::mute() -> ()", (void *)fails, NULL, NULL);
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_op_call(said, cpu, NULL, NULL, NULL, 0, NULL, 0, &err), JITC_E_OP);
    ck_assert_str_eq(err.message, "Operator ns::said failed: the cache is full (it returned -3)");
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_op_call(mute, cpu, NULL, NULL, NULL, 0, NULL, 0, &err), JITC_E_OP);
    ck_assert_str_eq(err.message, "Operator ns::mute failed: it gave no reason (it returned -3)");
}
END_TEST

/* An open operator gets what the graph passes, keywords and all. */
static int open_operator(jitc_call *call) {
    note(call);
    return !(call->nargs == 2 && call->args[0].i == 7 && !call->keys[0] && !strcmp(call->keys[1], "kwargs") &&
             call->args[1].tag == JITC_DICT && call->args[1].dict[0].value.f == 0.5 && call->nresults == 0);
}

START_TEST(call_open) {
    const jitc_entry dict[] = { { "scale", f_(0.5) } };
    const char *const keys[] = { NULL, "kwargs" };
    jitc_value args[] = { i_(7), { .tag = JITC_DICT, .n = 1, .dict = dict } };
    const jc_op_entry *op = add("ns::open(...) -> ...", NULL, open_operator, NULL);
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_op_check(op, args, keys, 2, 0, 0, &err), JITC_OK);
    ck_assert_int_eq(jc_op_call(op, cpu, NULL, args, keys, 2, NULL, 0, &err), JITC_OK);
    ck_assert_int_eq(seen.calls, 1);
    ck_assert_int_eq(jc_ops_register(ops, "ns::open2(...) -> ()", (jitc_plain_function)never, NULL, NULL, &err),
                     JITC_E_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "jitc_op_register_frame"));
}
END_TEST

/* A frame function gets the values in schema order, defaults filled in. */
static int framed(jitc_call *call) {
    note(call);
    return !(call->nargs == 3 && !call->keys && call->args[0].i == 1 && call->args[1].tag == JITC_FLOAT &&
             call->args[1].f == 2.0 && call->args[2].i == 3 && call->struct_size == sizeof *call);
}

START_TEST(call_frame) {
    const jc_op_entry *op = add("ns::f(int a, float b, int c=3) -> ()", NULL, framed, NULL);
    const char *const keys[] = { "b", "a" };
    jitc_value args[] = { i_(2), i_(1) };
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_op_call(op, cpu, NULL, args, keys, 2, NULL, 0, &err), JITC_OK);
}
END_TEST

static int double_rows(jitc_call *call) {
    call->results[0]->shape[0] *= call->args[0].i;
    return call->args[0].i < 0;
}

START_TEST(shape_function) {
    jitc_op_options o = { .struct_size = sizeof o, .shape = double_rows };
    const jc_op_entry *with = add("ns::with(int n) -> Tensor", NULL, never, &o);
    const jc_op_entry *without = add("ns::without(int n) -> Tensor", NULL, never, NULL);
    int64_t dims[2] = { 4, 5 };
    DLTensor t = { .ndim = 2, .shape = dims }, *results[] = { &t };
    jitc_value args[] = { i_(3) };
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_op_shape(without, cpu, args, NULL, 1, results, 1, &err), JITC_OK);
    ck_assert_int_eq(dims[0], 4);
    ck_assert_int_eq(jc_op_shape(with, cpu, args, NULL, 1, results, 1, &err), JITC_OK);
    ck_assert_int_eq(dims[0], 12);
    args[0].i = -1;
    ck_assert_int_eq(jc_op_shape(with, cpu, args, NULL, 1, results, 1, &err), JITC_E_OP);
    ck_assert_ptr_nonnull(strstr(err.message, "shape function"));
}
END_TEST

/* ---- what an operator may write -------------------------------------------------------------------------------- */

static const jitc_value two_tensors[] = { { .tag = JITC_TENSOR }, { .tag = JITC_TENSOR } };

static const struct {
    const char *schema;
    uint64_t writes;
    bool ok;
} write_rows[] = {
    { "ns::f(Tensor x, Tensor[] l, Tensor y) -> ()", 0, true },
    { "ns::f(Tensor x, Tensor[] l, Tensor y) -> ()", 0xf, true }, /* may write less */
    { "ns::f(Tensor(a!) x, Tensor[] l, Tensor y) -> ()", 0x1, true },
    { "ns::f(Tensor(a!) x, Tensor[] l, Tensor y) -> ()", 0xe, false },
    { "ns::f(Tensor x, Tensor(a!)[] l, Tensor y) -> ()", 0x6, true },
    { "ns::f(Tensor x, Tensor(a!)[] l, Tensor y) -> ()", 0x2, false },
    { "ns::f(Tensor x, Tensor[] l, Tensor(a!) y) -> ()", 0x8, true },
    { "ns::f(Tensor x, Tensor[] l, Tensor(a!) y) -> ()", 0x7, false },
    { "ns::f(...) -> ()", 0, true },
};

START_TEST(writes_checked) {
    const jc_op_entry *op = add(write_rows[_i].schema, NULL, never, NULL);
    jitc_value args[] = { { .tag = JITC_TENSOR }, { .tag = JITC_LIST, .n = 2, .list = two_tensors },
                          { .tag = JITC_TENSOR } };
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_op_check(op, args, NULL, 3, 0, write_rows[_i].writes, &err);
    ck_assert_msg(status == (write_rows[_i].ok ? JITC_OK : JITC_E_UNSUPPORTED), "%s: %s", write_rows[_i].schema,
                  err.message);
    if (!write_rows[_i].ok) {
        ck_assert_msg(strstr(err.message, write_rows[_i].schema) != NULL, "%s", err.message);
        ck_assert_msg(strstr(err.message, "called as: \"ns::f(Tensor") != NULL, "%s", err.message);
    }
}
END_TEST

START_TEST(schema_inferred) {
    const jitc_value mixed[] = { { .tag = JITC_INT }, { .tag = JITC_TENSOR } };
    const jitc_value args[] = { { .tag = JITC_TENSOR }, { .tag = JITC_INT }, { .tag = JITC_FLOAT }, { .tag = JITC_BOOL },
                                { .tag = JITC_NAME }, { .tag = JITC_NONE },
                                { .tag = JITC_LIST, .n = 2, .list = two_tensors },
                                { .tag = JITC_LIST, .n = 2, .list = mixed }, { .tag = JITC_TENSOR } };
    const char *const keys[] = { NULL, NULL, NULL, NULL, "layer_name", NULL, NULL, NULL, "out" };
    char text[512];
    /* operands: 0, 1 and 2 in the list, 3 in the mixed list, 4 */
    jc_op_infer("vllm::f", args, keys, 9, 2, 0x12, text, sizeof text);
    ck_assert_str_eq(text, "vllm::f(Tensor a0, int a1, float a2, bool a3, str layer_name, Any a5, Tensor(a6!)[] a6, "
                           "Any a7, Tensor(a8!) out) -> (Tensor, Tensor)");
    jc_op_infer("vllm::f", args, NULL, 1, 1, 0, text, sizeof text);
    ck_assert_str_eq(text, "vllm::f(Tensor a0) -> Tensor");
    jc_op_infer("vllm::f", args, NULL, 0, 0, 0, text, sizeof text);
    ck_assert_str_eq(text, "vllm::f() -> ()");
    jc_op_infer("vllm::f", args, NULL, 9, 0, 0, text, 12);
    ck_assert_str_eq(text, "vllm::f(Ten");
}
END_TEST

/* ---- the registry ---------------------------------------------------------------------------------------------- */

START_TEST(registry_names_and_devices) {
    jitc_op_options host = { .struct_size = sizeof host, .devices = 1u << kDLCPU };
    jitc_op_options gpu = { .struct_size = sizeof gpu, .devices = 1u << kDLCUDA };
    jc_error err = JC_ERROR_INIT;
    const jc_op_entry *f = add("ns::f(Tensor x) -> Tensor", NULL, never, &host);
    ck_assert_ptr_eq(jc_ops_find(ops, "ns::f.default", kDLCPU), f);
    ck_assert_ptr_null(jc_ops_find(ops, "ns::f", kDLCUDA));
    ck_assert_ptr_null(jc_ops_find(ops, "ns::f.other", kDLCPU));
    ck_assert_ptr_null(jc_ops_find(ops, "ns::g", kDLCPU));
    ck_assert_ptr_null(jc_ops_find(ops, ".default", kDLCPU));
    ck_assert_int_eq(jc_ops_register(ops, "ns::f(Tensor x) -> Tensor", NULL, never, &gpu, &err), JITC_OK);
    ck_assert_ptr_ne(jc_ops_find(ops, "ns::f", kDLCUDA), NULL);
    ck_assert_ptr_ne(jc_ops_find(ops, "ns::f", kDLCUDA), f);
    ck_assert_ptr_eq(jc_ops_find(ops, "ns::f", kDLCPU), f);
    ck_assert_int_eq(jc_ops_register(ops, "ns::f.default(int y) -> ()", NULL, never, NULL, &err), JITC_E_USAGE);
    ck_assert_msg(strstr(err.message, "registered already") != NULL, "%s", err.message);
    const jc_op_entry *o = add("ns::f.other(Tensor x) -> Tensor", NULL, never, NULL);
    ck_assert_ptr_eq(jc_ops_find(ops, "ns::f.other", kDLCUDA), o);
    ck_assert_str_eq(jc_op_schema(o)->name, "ns::f.other");
}
END_TEST

START_TEST(registry_usage) {
    jitc_op_options small = { .struct_size = 3 }, odd = { .struct_size = sizeof odd, .devices = 1u << 9 };
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, "ns::f() -> ()", NULL, NULL, NULL, &err), JITC_E_USAGE);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, NULL, NULL, never, NULL, &err), JITC_E_USAGE);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, "ns::f() -> ()", NULL, never, &small, &err), JITC_E_USAGE);
    ck_assert_msg(strstr(err.message, "struct_size is 3") != NULL, "%s", err.message);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, "ns::f() -> ()", NULL, never, &odd, &err), JITC_E_USAGE);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, "ns::f(", NULL, never, NULL, &err), JITC_E_USAGE);
    ck_assert_ptr_null(jc_ops_find(ops, "ns::f", kDLCPU));
    /* An older caller, who knew only of the shape function. */
    jitc_op_options old = { .struct_size = offsetof(jitc_op_options, user), .shape = double_rows, .user = &err };
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, "ns::f() -> ()", NULL, never, &old, &err), JITC_OK);
    ck_assert_int_eq(jc_op_call(jc_ops_find(ops, "ns::f", kDLCPU), cpu, NULL, NULL, NULL, 0, NULL, 0, &err), JITC_OK);
    ck_assert_ptr_null(seen.user);
}
END_TEST

/* The text may go after registering. */
START_TEST(registry_copies) {
    char *text = strdup("ns::f(int n=5) -> ()");
    add(text, NULL, never, NULL);
    memset(text, 'x', strlen(text));
    free(text);
    const jc_op_entry *op = jc_ops_find(ops, "ns::f", kDLCUDA);
    ck_assert_ptr_nonnull(op);
    ck_assert_str_eq(jc_op_schema(op)->args[0].name, "n");
}
END_TEST

/* ---- layer names ----------------------------------------------------------------------------------------------- */

START_TEST(names_handles) {
    int state1, state2;
    char text[] = "model.layers.10.linear_attn";
    const jitc_layer_name *a = jc_name_intern(names, text, NULL);
    text[14] = '3';
    const jitc_layer_name *b = jc_name_intern(names, text, &state2);
    text[14] = '0';
    ck_assert_ptr_ne(a, b);
    ck_assert_ptr_eq(jc_name_intern(names, text, NULL), a);
    ck_assert_str_eq(jc_name_text(a), "model.layers.10.linear_attn");
    ck_assert_str_eq(jc_name_text(b), "model.layers.13.linear_attn");
    ck_assert_ptr_null(jc_name_user(a));
    ck_assert_ptr_eq(jc_name_intern(names, text, &state1), a);
    ck_assert_ptr_eq(jc_name_user(a), &state1);
    jc_name_intern(names, text, NULL);
    ck_assert_ptr_eq(jc_name_user(a), &state1);
    ck_assert_ptr_eq(jc_name_user(b), &state2);
    ck_assert_str_eq(jc_name_text(jc_name_intern(names, "", NULL)), "");
}
END_TEST

static const jitc_layer_name *handles[8][500];

static void intern_all(void *user, size_t index) {
    (void)user;
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "layer.%d", i);
        handles[index][i] = jc_name_intern(names, text, NULL);
    }
}

START_TEST(names_threads) {
    jc_pool_run(4, 8, intern_all, NULL);
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "layer.%d", i);
        ck_assert_str_eq(jc_name_text(handles[0][i]), text);
        for (int k = 1; k < 8; k++)
            ck_assert_ptr_eq(handles[k][i], handles[0][i]);
    }
}
END_TEST

static void *fail_alloc(void *user, size_t size) {
    int *left = user;
    return (*left)-- > 0 ? malloc(size) : NULL;
}

static void fail_free(void *user, void *block, size_t size) {
    (void)user, (void)size;
    free(block);
}

/* Memory runs out at each allocation in turn: no handle, no lock left behind. */
START_TEST(names_out_of_memory) {
    int left = 1000;
    jc_alloc alloc = { fail_alloc, fail_free, &left };
    for (int n = 0, done = 0; !done; n++) {
        ck_assert_int_lt(n, 100);
        left = 1000;
        jc_arena *own = jc_arena_new(&alloc);
        jc_names *table = jc_names_new(own);
        left = n;
        char big[9000];
        memset(big, 'x', sizeof big - 1);
        big[sizeof big - 1] = '\0';
        const jitc_layer_name *name = jc_name_intern(table, big, NULL);
        done = name != NULL;
        left = 1000;
        ck_assert_ptr_nonnull(jc_name_intern(table, "after", NULL));
        jc_arena_free(own);
    }
}
END_TEST

/* ---- plugins --------------------------------------------------------------------------------------------------- */

/* The context of these tests is the registry itself. */
static jitc_status api_register(jitc_context *ctx, const char *schema, jitc_plain_function f, const jitc_op_options *o) {
    jc_error err = JC_ERROR_INIT;
    return jc_ops_register((jc_registry *)ctx, schema, f, NULL, o, &err);
}

static const jitc_plugin_api api = { .struct_size = sizeof api, .abi = JITC_PLUGIN_ABI, .op_register = api_register };

START_TEST(plugin_registers) {
    jc_plugin plugin;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_plugin_open(TEST_BUILDDIR "/tests/plugin_ok.so", false, (jitc_context *)ops, &api, &plugin, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_ptr_nonnull(plugin.handle);
    const jc_op_entry *op = jc_ops_find(ops, "test::add_one", kDLCPU);
    ck_assert_ptr_nonnull(op);
    int64_t value = 0;
    DLTensor t = { .data = &value }, *results[] = { &t };
    jitc_value args[] = { i_(1), n_(jc_name_intern(names, "l", NULL)) };
    ck_assert_int_eq(jc_op_call(op, cpu, NULL, args, NULL, 2, results, 1, &err), JITC_OK);
    ck_assert_int_eq(value, 42);
    /* Once more: its operator is there already. */
    jc_plugin again;
    ck_assert_int_eq(jc_plugin_open(TEST_BUILDDIR "/tests/plugin_ok.so", false, (jitc_context *)ops, &api, &again, &err),
                     JITC_E_USAGE);
    ck_assert_ptr_nonnull(again.handle);
    jc_plugin_close(&again);
    jc_plugin_close(&plugin);
}
END_TEST

static const struct {
    const char *path;
    unsigned abi;
    jitc_status status;
    bool handle;
    const char *word;
} plugin_rows[] = {
    { TEST_BUILDDIR "/tests/plugin_ok.so", JITC_PLUGIN_ABI + 1, JITC_E_ABI, true, "another version" },
    { TEST_BUILDDIR "/tests/plugin_bare.so", JITC_PLUGIN_ABI, JITC_E_INPUT, false, "jitc_plugin_register" },
    { TEST_BUILDDIR "/tests/no_such_plugin.so", JITC_PLUGIN_ABI, JITC_E_IO, false, "no_such_plugin" },
    { "no_such_plugin.so", JITC_PLUGIN_ABI, JITC_E_IO, false, "./no_such_plugin.so" },
    { "libm.so.6", JITC_PLUGIN_ABI, JITC_E_IO, false, "./libm.so.6" }, /* not by the library path */
    { TEST_SRCDIR "/tests/check_ops.c", JITC_PLUGIN_ABI, JITC_E_IO, false, "check_ops.c" },
    { "", JITC_PLUGIN_ABI, JITC_E_IO, false, "could not be opened" },
};

START_TEST(plugin_refused) {
    jc_plugin plugin;
    jc_error err = JC_ERROR_INIT;
    jitc_plugin_api other = api;
    other.abi = plugin_rows[_i].abi;
    jitc_status status = jc_plugin_open(plugin_rows[_i].path, false, (jitc_context *)ops, &other, &plugin, &err);
    ck_assert_msg(status == plugin_rows[_i].status, "%s: %d %s", plugin_rows[_i].path, status, err.message);
    ck_assert_msg(strstr(err.message, plugin_rows[_i].word) != NULL, "%s: %s", plugin_rows[_i].path, err.message);
    ck_assert_int_eq(plugin.handle != NULL, plugin_rows[_i].handle);
    ck_assert_ptr_null(jc_ops_find(ops, "test::add_one", kDLCPU));
    jc_plugin_close(&plugin);
}
END_TEST

/* ---- the suite ------------------------------------------------------------------------------------------------- */

static TCase *case_new(Suite *suite, const char *name) {
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_checked_fixture(c, forget, NULL);
    suite_add_tcase(suite, c);
    return c;
}

int main(void) {
    Suite *suite = suite_create("ops");
    TCase *c = case_new(suite, "schema");
    tcase_add_loop_test(c, schema_good, 0, ROWS(good));
    tcase_add_loop_test(c, schema_bad, 0, ROWS(bad));
    tcase_add_test(c, schema_truncated);
    tcase_add_test(c, schema_too_many_arguments);
    c = case_new(suite, "calls");
    tcase_add_test(c, call_every_type);
    tcase_add_test(c, call_type_orders);
    tcase_add_loop_test(c, call_defaults, 0, ROWS(default_rows));
    tcase_add_loop_test(c, call_refused, 0, ROWS(wrong_calls));
    tcase_add_test(c, call_operator_error);
    tcase_add_test(c, call_open);
    tcase_add_test(c, call_frame);
    tcase_add_test(c, shape_function);
    tcase_add_loop_test(c, writes_checked, 0, ROWS(write_rows));
    tcase_add_test(c, schema_inferred);
    c = case_new(suite, "registry");
    tcase_add_test(c, registry_names_and_devices);
    tcase_add_test(c, registry_usage);
    tcase_add_test(c, registry_copies);
    c = case_new(suite, "names");
    tcase_add_test(c, names_handles);
    tcase_add_test(c, names_threads);
    tcase_add_test(c, names_out_of_memory);
    c = case_new(suite, "plugins");
    tcase_add_test(c, plugin_registers);
    tcase_add_loop_test(c, plugin_refused, 0, ROWS(plugin_rows));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
