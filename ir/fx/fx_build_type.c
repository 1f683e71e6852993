/*
 * ir/fx/fx_build_type.c - annotations: text to types, each distinct text once, and values checked against them.
 *
 *   ann = DTYPE "[" dims "]" [ "[" strides "]" ] [ device ] | ( "Parameter" | "Buffer" ) "(" ann ")" | "Sym(" EXPR ")" | NAME
 *
 * EXPR is an integer, or a float (`zf14`, `0.25`, `2.0*ToFloat(s0)`) or a truth (`s0 >= 3`), of which only the kind is taken, and the value
 * of a literal; a function that we do not have tells nothing.
 * Strides are kept for parameters and for results of custom operators; what is computed has the layout that
 * inference gives it.  Of a complex dtype (c64, c128) the type is that of its memory, f32[..., 2].  A parameter of another type than tensor and integer (LayerName and its mangled spellings) is
 * opaque: a layer name.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* PyTorch's short names of dtypes that exist but that we do not have. */
static const char *const foreign[] = {
    "u16", "u32", "u64", "c32", "i1", "i2", "i4", "u1", "u2", "u3", "u4", "u5", "u6", "u7",
    "f8e4m3fnuz", "f8e5m2fnuz", "f8e8m0fnu", "f4e2m1fnx2", "b1x8", "b2x4", "b4x2", "qi8", "qu8", "qi32", "b16",
};

/* A part of an annotation and where it stands. */
typedef struct part {
    fx_reader *r;
    const char *at, *end;
    uint32_t origin; /* offset of the statement, where the text itself has none */
} part;

static uint32_t offset_of(const part *p, const char *at) {
    const fx_reader *r = p->r;
    return at >= r->text && at <= r->text + (r->end - r->text) ? (uint32_t)(at - r->text) : p->origin;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* FROM..TO as an expression; plain integers and symbols, which most are, without the general parser. */
static const jc_expr *expr_of(const part *p, const char *from, const char *to) {
    fx_reader *r = p->r;
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    const char *c = from;
    int64_t value = 0;
    while (c < to && c - from < 18 && *c >= '0' && *c <= '9')
        value = value * 10 + (*c++ - '0');
    if (c == to && c > from)
        return jc_ex_int(fx_x(r), value);
    for (c = from; c < to && is_word(*c);)
        c++;
    if (c == to && c > from && !(*from >= '0' && *from <= '9')) {
        uint32_t sym = jc_sym_find(fx_x(r), from, (size_t)(to - from));
        if (sym == UINT32_MAX)
            sym = jc_sym_add(fx_x(r), jc_arena_strndup(r->arena, from, (size_t)(to - from)));
        return jc_ex_sym(fx_x(r), sym);
    }
    const uint32_t at = offset_of(p, from);
    const jc_expr *e = NULL;
    jitc_status s = jc_ex_parse(fx_x(r), from, (size_t)(to - from), r->file, fx_line_of(r, at), fx_column_of(r, at),
                                &e, r->err);
    if (s) {
        r->status = s;
        return NULL;
    }
    fx_sound(r, fx_e(e), at);
    return e;
}

/* The bracket that closes the one at P->at; NULL with a failure. */
static const char *closing(const part *p, char open, char close) {
    int depth = 0;
    for (const char *c = p->at; c < p->end; c++) {
        depth += *c == open;
        depth -= *c == close;
        if (!depth)
            return c;
    }
    fx_fail(p->r, JITC_E_INPUT, offset_of(p, p->at), "The annotation ends without '%c'.", close);
    return NULL;
}

/* "[a, b, ...]" at P->at; leaves P behind it. */
static int list_of(part *p, const jc_expr **out) {
    const char *end = closing(p, '[', ']'), *from = p->at + 1;
    if (!end)
        return 0;
    int n = 0, depth = 0;
    bool blank = true;
    for (const char *c = from; c < end; c++)
        blank &= *c == ' ';
    for (const char *c = from; !blank && c <= end; c++) {
        depth += *c == '(';
        depth -= *c == ')';
        if (c < end && (*c != ',' || depth))
            continue;
        if (n == JC_MAX_RANK) {
            fx_fail(p->r, JITC_E_UNSUPPORTED, offset_of(p, from), "A tensor may have at most %d dimensions.",
                    JC_MAX_RANK);
            return 0;
        }
        out[n] = expr_of(p, from, c);
        if (p->r->status)
            return 0;
        n++;
        from = c + 1;
    }
    p->at = end + 1;
    return n;
}

/* COMPLEX: is it the dtype of the parts of a complex one? */
static int dtype_of(const part *p, const char *open, bool *complex) {
    const size_t length = (size_t)(open - p->at);
    int dtype = jc_dtype_find(p->at, length);
    *complex = (length == 3 && memcmp(p->at, "c64", 3) == 0) || (length == 4 && memcmp(p->at, "c128", 4) == 0);
    if (*complex)
        return length == 3 ? JC_F32 : JC_F64;
    if (dtype >= 0)
        return dtype;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strlen(foreign[i]) == length && memcmp(foreign[i], p->at, length) == 0)
            fx_fail(p->r, JITC_E_UNSUPPORTED, offset_of(p, p->at), "The dtype %s is not supported.", foreign[i]);
    fx_fail(p->r, JITC_E_INPUT, offset_of(p, p->at),
            "Expected a dtype such as bf16 or f32 before '[', found '%.*s'.", (int)(length < 40 ? length : 40), p->at);
    return -1;
}

static const jc_expr *const *keep_exprs(fx_reader *r, const jc_expr *const *at, int n) {
    return jc_arena_memdup(r->arena, at, sizeof *at * (size_t)n);
}

static void check_dims(const part *p, const jc_type *type) {
    for (int i = 0; i < type->rank; i++) {
        int64_t d;
        if (jc_ex_is_const(type->dims[i], &d) && d < 0)
            fx_fail(p->r, JITC_E_INPUT, p->origin, "A dimension of a tensor cannot be negative (%lld).",
                    (long long)d);
    }
    const jc_expr *numel = jc_type_numel(fx_x(p->r), type);
    const jc_expr *bytes = jc_ex_mul(fx_x(p->r), numel, jc_ex_int(fx_x(p->r), jc_dtypes[type->dtype].size));
    if (bytes->kind == JC_EX_POISON)
        fx_fail(p->r, JITC_E_INPUT, p->origin, "The tensor has more elements than 64 bits can count.");
}

static void read_tensor(part *p, const char *open, fx_note *note) {
    fx_reader *r = p->r;
    const int dtype = dtype_of(p, open, &note->complex);
    if (dtype < 0)
        return;
    const jc_expr *dims[JC_MAX_RANK], *strides[JC_MAX_RANK];
    p->at = open;
    int rank = list_of(p, dims);
    if (note->complex && rank == JC_MAX_RANK)
        fx_fail(r, JITC_E_UNSUPPORTED, p->origin, "A complex tensor may have at most %d dimensions.", JC_MAX_RANK - 1);
    if (r->status)
        return;
    if (note->complex)
        dims[rank++] = jc_ex_int(fx_x(r), 2);
    note->known = true;
    note->type = (jc_type){ .kind = JC_TENSOR, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank,
                            .dims = keep_exprs(r, dims, rank) };
    check_dims(p, &note->type);
    if (r->status || p->at == p->end || *p->at != '[')
        return;
    const char *at = p->at;
    int n = list_of(p, strides);
    for (int i = 0; i < n && note->complex; i++) /* of its memory */
        strides[i] = jc_ex_mul(fx_x(r), strides[i], jc_ex_int(fx_x(r), 2));
    if (note->complex && n < JC_MAX_RANK)
        strides[n++] = jc_ex_int(fx_x(r), 1);
    if (!r->status && n != rank)
        fx_fail(r, JITC_E_INPUT, offset_of(p, at), "There are %d strides for %d dimensions.", n, rank);
    if (r->status)
        return;
    const jc_expr **plain = jc_type_row_major(fx_x(r), r->arena, dims, rank);
    if (memcmp(plain, strides, sizeof *plain * (size_t)rank) != 0)
        note->type.strides = keep_exprs(r, strides, rank);
}

/* --- what is no integer --- */

/* Where the symbol of a float (zf14), or one of PyTorch's functions that give floats, stands in FROM..TO. */
static bool names_float(const char *from, const char *to) {
    static const char *const words[] = { "ToFloat", "IntTrueDiv", "FloatTrueDiv", "FloatPow", "OpaqueUnaryFn", "oo", "inf", "nan" };
    for (const char *c = from; c < to;) {
        const char *word = c;
        while (c < to && is_word(*c))
            c++;
        const size_t n = (size_t)(c - word);
        if (n > 2 && word[0] == 'z' && word[1] == 'f' && word[2] >= '0' && word[2] <= '9')
            return true;
        for (size_t i = 0; n && i < sizeof words / sizeof *words; i++)
            if (n >= strlen(words[i]) && memcmp(word, words[i], strlen(words[i])) == 0)
                return true;
        c += c == word;
    }
    return memchr(from, '.', (size_t)(to - from)) != NULL;
}

static bool is_word_of(const char *from, const char *to, const char *text) {
    return strlen(text) == (size_t)(to - from) && memcmp(from, text, strlen(text)) == 0;
}

/* "0.250000000000000", "-1.5e-6" */
static bool literal_float(const part *p, const char *from, const char *to, double *out) {
    const bool minus = from < to && *from == '-';
    for (const char *c = from + minus; c < to; c++)
        if (!(*c >= '0' && *c <= '9') && *c != '.' && *c != 'e' && !((*c == '-' || *c == '+') && c[-1] == 'e'))
            return false;
    if (from + minus == to || !(from[minus] >= '0' && from[minus] <= '9'))
        return false;
    *out = fx_double(p->r, from + minus, to) * (minus ? -1 : 1);
    return true;
}

/* A function before '(' that the expressions of sizes lack. */
static bool foreign_function(const char *from, const char *to) {
    static const char *const ours[] = { "Min", "Max", "min", "max", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv" };
    for (const char *c = from; c < to; c++) {
        const char *word = c;
        while (c < to && is_word(*c))
            c++;
        if (c == word || c == to || *c != '(')
            continue;
        bool known = false;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            known |= is_word_of(word, c, ours[i]);
        if (!known)
            return true;
    }
    return false;
}

/* What FROM..TO is where it is no integer: its kind, and its value if it has one; false where it is one. */
static bool read_other(const part *p, const char *from, const char *to, fx_note *note) {
    const size_t n = (size_t)(to - from);
    const bool yes = is_word_of(from, to, "True"), no = is_word_of(from, to, "False");
    static const char *const relations[] = { "Eq(", "Ne(", "Or(", "And(", "Not(" };
    bool truth = yes || no || memchr(from, '<', n) || memchr(from, '>', n);
    double f;
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++)
        truth |= n > strlen(relations[i]) && memcmp(from, relations[i], strlen(relations[i])) == 0;
    if (n >= 9 && memcmp(from, "Piecewise", 9) == 0)
        return true; /* a choice between numbers: known stays false */
    if (!truth && !names_float(from, to))
        return foreign_function(from, to);
    static const char *const whole[] = { "CeilToInt", "FloorToInt", "TruncToInt", "RoundToInt" };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) /* an integer made of a float: which is not known */
        if (!truth && n > strlen(whole[i]) && memcmp(from, whole[i], strlen(whole[i])) == 0)
            return true;
    note->known = true;
    note->type.kind = truth ? JC_BOOL : JC_FLOAT;
    if (yes || no)
        note->literal = jc_arg_bool(yes);
    else if (literal_float(p, from, to, &f))
        note->literal = jc_arg_float(f);
    return true;
}

static void read_symint(part *p, fx_note *note) {
    const char *open = p->at + 3;
    p->at = open;
    const char *end = closing(p, '(', ')');
    if (!end)
        return;
    if (end + 1 != p->end) {
        fx_fail(p->r, JITC_E_INPUT, offset_of(p, end), "Expected the end of the annotation after ')'.");
        return;
    }
    if (read_other(p, open + 1, end, note))
        return;
    note->known = true;
    note->type = (jc_type){ .kind = JC_SYMINT, .expr = expr_of(p, open + 1, end) };
}

/* Dotted words. */
static bool is_type_name(const part *p) {
    for (const char *c = p->at; c < p->end; c++)
        if (!is_word(*c) && *c != '.')
            return false;
    return p->at < p->end;
}

/* A type by its name. */
static void read_name(part *p, fx_note *note) {
    static const struct {
        const char *name;
        uint8_t kind;
    } names[] = { { "int", JC_INT }, { "float", JC_FLOAT }, { "bool", JC_BOOL } };
    const size_t length = (size_t)(p->end - p->at);
    note->type.kind = JC_NAME;
    const char *c = p->at; /* torch.Tensor and Optional[torch.Tensor] say too little */
    while ((c = memchr(c, 'T', (size_t)(p->end - c))) && !(p->end - c >= 6 && memcmp(c, "Tensor", 6) == 0))
        c++;
    note->known = !c;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, p->at, length) == 0)
            note->type.kind = names[i].kind;
}

/* A parameter is a tensor like any other: "Parameter(f32[8])". */
static void strip_class(part *p) {
    static const char *const classes[] = { "Parameter(", "Buffer(" };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const size_t n = strlen(classes[i]);
        if ((size_t)(p->end - p->at) > n && memcmp(p->at, classes[i], n) == 0 && p->end[-1] == ')') {
            p->at += n;
            p->end--;
        }
    }
}

const fx_note *fx_note_of(fx_reader *r, fx_name *name, uint32_t at) {
    if (name->note)
        return name->note;
    fx_note *note = JC_NEW(r->scratch, fx_note);
    part p = { r, name->text, name->text + name->length, at };
    note->literal = fx_absent();
    strip_class(&p);
    const char *open = memchr(p.at, '[', (size_t)(p.end - p.at));
    if (name->length >= 5 && memcmp(p.at, "Sym(", 4) == 0)
        read_symint(&p, note);
    else if (open && !memchr(p.at, '.', (size_t)(open - p.at)))
        read_tensor(&p, open, note);
    else if (open || is_type_name(&p))
        read_name(&p, note);
    else
        fx_fail(r, JITC_E_INPUT, offset_of(&p, p.at),
                "Expected an annotation such as \"bf16[s0, 16]\" or \"Sym(s0)\".");
    if (!r->status)
        name->note = note;
    return note;
}

/* --- checking --- */

static void mismatch(fx_reader *r, uint32_t at, jc_arg value, const jc_type *type) {
    fx_fail(r, fx_blame(value), at, "The annotation says %s, but the value is %s.",
            jc_type_text(fx_x(r), type, r->scratch), fx_kind_text(value));
}

static bool same_type(const jc_type *a, const jc_type *b) {
    if (a->kind != b->kind || a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

void fx_guard(fx_reader *r, const jc_expr *a, const jc_expr *b) {
    if (!r->status)
        jc_conditions_add(fx_x(r), r->arena, &r->func->guards, (jc_condition){ JC_REL_EQ, r->stmt->line, a, b });
}

/* What a piece returns has the dims of the piece's own annotations; the call's have to be those. */
static void guard_dims(fx_reader *r, const jc_value *v, const jc_type *type) {
    for (int i = 0; v->def && v->def->op == JC_OP_call && i < type->rank && i < v->type.rank; i++)
        fx_guard(r, type->dims[i], v->type.dims[i]);
}

static jc_arg check_tensor(fx_reader *r, jc_arg value, const jc_type *type, uint32_t at) {
    if (!fx_is_tensor(value)) {
        mismatch(r, at, value, type);
        return value;
    }
    if (type->strides)
        fx_lay_note(r, value.value, type);
    if (same_type(&value.value->type, type))
        return value;
    jc_type plain = *type;
    plain.strides = NULL;
    guard_dims(r, value.value, type);
    jitc_status s = jc_check_annotation(r->func, value.value, &plain, r->err);
    if (s)
        r->status = s;
    return value;
}

/* The memory's type without the parts' dim is that of each part. */
static jc_arg check_complex(fx_reader *r, jc_arg value, const jc_type *memory, uint32_t at) {
    jc_type type = *memory;
    type.rank--;
    type.strides = NULL;
    const fx_pair *p = value.kind == FX_COMPLEX ? fx_pair_of(value) : NULL;
    if (!p || !fx_is_tensor(p->re) || !fx_is_tensor(p->im)) {
        fx_fail(r, fx_blame(value), at, "The annotation says that this is a complex tensor, but the value is %s.", fx_kind_text(value));
        return value;
    }
    if (type.rank == fx_rank(p->re.value)) {
        check_tensor(r, p->re, &type, at);
        check_tensor(r, p->im, &type, at);
        return value;
    }
    fx_fail(r, JITC_E_INPUT, at, "The annotation says %d dimensions, but the complex value has %d.", type.rank, fx_rank(p->re.value));
    return value;
}

static bool is_whole(double f, int64_t *out) {
    if (!(f >= -0x1p53 && f <= 0x1p53) || (double)(int64_t)f != f)
        return false;
    *out = (int64_t)f;
    return true;
}

static jc_arg check_symint(fx_reader *r, jc_arg value, const jc_expr *expr, uint32_t at) {
    if (value.kind == FX_OPAQUE || value.kind == FX_SYMFLOAT)
        return fx_e(expr); /* could not be worked out: the annotation tells */
    int64_t whole;
    if (value.kind == JC_ARG_BOOL)
        value = fx_i(r, value.b);
    else if (value.kind == JC_ARG_FLOAT && is_whole(value.f, &whole))
        value = fx_i(r, whole);
    if (value.kind != JC_ARG_EXPR) {
        mismatch(r, at, value, &(jc_type){ .kind = JC_SYMINT, .expr = expr });
        return value;
    }
    switch (jc_ex_equal(fx_x(r), value.expr, expr)) {
    case JC_NO:
        fx_fail(r, JITC_E_INPUT, at, "The annotation says Sym(%s), but the value is %s.",
                jc_ex_text(fx_x(r), expr, r->scratch), jc_ex_text(fx_x(r), value.expr, r->scratch));
        return value;
    case JC_YES:
        return value;
    default: /* the text says so; what is certain stays, and the call is held to it */
        fx_guard(r, expr, value.expr);
        return jc_ex_is_const(value.expr, NULL) ? value : fx_e(expr);
    }
}

jc_arg fx_check(fx_reader *r, jc_arg value, fx_name *name, uint32_t at) {
    if (r->status)
        return value;
    const fx_note *note = fx_note_of(r, name, at);
    if (r->status || !note->known)
        return value;
    if (note->literal.kind != FX_ABSENT && (value.kind == FX_OPAQUE || value.kind == FX_SYMFLOAT || value.kind == FX_SYMBOOL || value.kind == FX_VOID))
        return note->literal;
    if (note->complex)
        return check_complex(r, value, &note->type, at);
    if (note->type.kind == JC_TENSOR)
        return check_tensor(r, value, &note->type, at);
    if (note->type.kind == JC_SYMINT)
        return check_symint(r, value, note->type.expr, at);
    return value;
}
