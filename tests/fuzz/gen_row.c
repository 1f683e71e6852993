/*
 * tests/fuzz/gen_row.c - statements by rows: rows.def says of a spelling what it takes and what comes out, and this makes them.
 *
 *   ROW(name, forms, operands, rest, when, results, fact, k, rough, f)
 *
 * Name, forms: of a row of spellings.def, and which of its forms are meant ("": all).
 *
 * Operands, apart by blanks: a letter for what will do, a range in parentheses where it has to lie in one, and dims in brackets.
 *
 *   F float   E exact float   S small float   f f32   N number   R exact number   W integer   X exact   C computable   A any tensor   B bool
 *   Y i8   Z f8e4m3fn   = of the first such operand's dtype, and exact if that is   I<e  i64 below the size e, from 0 on
 *
 * A dim is an expression; small letters are sizes, which the first operand that is there binds, or chance: `4*c` takes what 4 divides.
 * `<` and `>` stand for any dims before and behind, the same in all operands.  Capitals are numbers that the row draws: see `numbers` below.
 *
 * Rest: what stands behind the first operand; with `$0` in it, all arguments; behind a `!`, the whole text.  $1: operand 1; {e}: the expression e; {<}: how many dims
 * `<` is, which is the index of the next one; {<>}: the dims of `<`, `>`, each with a comma.
 * When: conditions `e>=e` or `e==e`, apart by blanks, for every run.
 *
 * Results, apart by blanks: a dtype, dims in brackets, and for integers `<e` for the interval [0, e - 1].  Without a dtype it is that of the
 * first operand that is no index; `s`: of a sum, `q`: of a quotient, `p`: of all operands together.  v, v1: a view of operand 0, 1; o, o1: one that
 * overlaps itself.  ~: one that is not contiguous.  `_`: not taken.  `*` before the first: a tuple of one.
 *
 * Fact, k, rough, f: what is known of the first result, from the operands' ranges (gen_row_fact.c), by the number k (an expression, ""
 * is 1; `#` is the first operand's number of elements), so many roundings midway, and a function where the fact is of one.
 */
#include "tests/fuzz/gen_row.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- what letters stand for --- */

typedef struct group {
    bool bound;
    int n;
    fz_size dims[JC_MAX_RANK];
} group;

typedef struct scope {
    fz_prog *p;
    bool bound[128];
    fz_size size[128];
    group before, behind;
    int operand[FZ_OPERANDS], noperands, main; /* main: what results go by */
    char cls[FZ_OPERANDS];
} scope;

/* Numbers that rows draw: from, how many. */
static const uint8_t numbers[128][2] = {
    ['K'] = { 1, 3 }, ['L'] = { 1, 3 }, ['M'] = { 1, 3 }, /* windows */
    ['S'] = { 1, 2 }, ['T'] = { 1, 2 }, ['U'] = { 1, 2 }, /* steps */
    ['P'] = { 0, 2 }, ['Q'] = { 0, 2 }, ['R'] = { 0, 2 }, /* padding */
    ['G'] = { 1, 3 }, ['H'] = { 1, 3 },                   /* groups, factors */
    ['J'] = { 0, 4 }, ['N'] = { 1, 8 }, ['D'] = { 1, 2 }, ['E'] = { 2, 3 },
};

static fz_size size_for(scope *s, int letter) {
    if (!s->bound[letter]) {
        s->bound[letter] = true;
        s->size[letter] = numbers[letter][1] ? fz_int(numbers[letter][0] + fz_below(s->p, numbers[letter][1])) : fz_some_size(s->p);
    }
    return s->size[letter];
}

static fz_size expression(scope *s, const char **at);

static fz_size factor(scope *s, const char **at) {
    if (**at == '(') {
        ++*at;
        const fz_size inner = expression(s, at);
        ++*at; /* ) */
        return inner;
    }
    if (**at == '#') {
        fz_size all = fz_int(1);
        const fz_value v = *fz_at(s->p, s->operand[0]);
        for (int d = 0; d < v.rank; d++)
            all = fz_mul(s->p, all, v.dims[d]);
        ++*at;
        return all;
    }
    if (isalpha((unsigned char)**at))
        return size_for(s, *(*at)++);
    char *end;
    const fz_size k = fz_int(strtol(*at, &end, 10));
    *at = end;
    return k;
}

static fz_size term(scope *s, const char **at) {
    fz_size x = factor(s, at);
    while (**at == '*' || **at == '/' || **at == '%') {
        const char op = *(*at)++;
        *at += op == '/' && **at == '/';
        const fz_size y = factor(s, at);
        int64_t k = 0;
        if (op == '*')
            x = fz_mul(s->p, x, y);
        else if (fz_is_const(s->p, &y, &k) && k > 0)
            x = op == '/' ? fz_fdiv(s->p, x, k) : fz_mod(s->p, x, k);
        else
            s->p->bad = true;
    }
    return x;
}

static fz_size expression(scope *s, const char **at) {
    fz_size x = term(s, at);
    while (**at == '+' || **at == '-') {
        const char op = *(*at)++;
        const fz_size y = term(s, at);
        x = op == '+' ? fz_add(s->p, x, y) : fz_sub(s->p, x, y);
    }
    return x;
}

/* `e>=e`, `e==e`: in all runs. */
static bool holds(scope *s, const char *at) {
    const fz_size a = expression(s, &at);
    const bool equal = *at == '=';
    at += 2;
    const fz_size b = expression(s, &at);
    for (int r = 0; r < s->p->nruns; r++) {
        const int64_t x = fz_value_of(s->p, &a, r), y = fz_value_of(s->p, &b, r);
        if (equal ? x != y : x < y)
            return false;
    }
    return !s->p->bad;
}

static bool all_hold(scope *s, const char *when) {
    for (; *when; when += strspn(when, " ")) {
        if (!holds(s, when))
            return false;
        when += strcspn(when, " ");
    }
    return true;
}

/* --- operands --- */

typedef struct pattern {
    char cls;
    bool ranged;
    fz_range range;  /* has to lie in, where RANGED */
    fz_size below;   /* of an index */
    const char *dims; /* behind the [ */
} pattern;

static bool any_tensor(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_at(p, value)->kind == JC_TENSOR;
}

static bool is_whole(const fz_prog *p, int value, const void *user) {
    return (fz_class(p, value) == 'i' || fz_class(p, value) == 'u') && fz_computable(p, value, user);
}

static bool is_bool(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_class(p, value) == 'b';
}

static bool is_small(const fz_prog *p, int value, const void *user) {
    return fz_is_float(p, value, user) && fz_magnitude(*fz_range_of(p, value)) <= 16;
}

static bool is_exact_number(const fz_prog *p, int value, const void *user) {
    return fz_is_number(p, value, user) && fz_is_exact(p, value, user);
}

static bool is_i64(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_at(p, value)->dtype == JC_I64;
}

static bool is_f32(const fz_prog *p, int value, const void *user) {
    return fz_at(p, value)->dtype == JC_F32 && fz_computable(p, value, user);
}

static bool is_exact_float(const fz_prog *p, int value, const void *user) {
    return fz_is_float(p, value, user) && fz_is_exact(p, value, user);
}

static bool is_i8(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_at(p, value)->dtype == JC_I8;
}

static bool is_f8(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_at(p, value)->dtype == JC_F8E4M3FN && !fz_range_of(p, value)->opaque && !fz_range_of(p, value)->wild;
}

static fz_want *want_of(char cls) {
    switch (cls) {
    case 'f': return is_f32;
    case 'E': return is_exact_float;
    case 'Y': return is_i8;
    case 'Z': return is_f8;
    case 'F': return fz_is_float;
    case 'N': return fz_is_number;
    case 'R': return is_exact_number;
    case 'X': return fz_is_exact;
    case 'C': return fz_computable;
    case 'S': return is_small;
    case 'W': return is_whole;
    case 'B': return is_bool;
    case 'I': return is_i64;
    default: return any_tensor;
    }
}

/* One dim of a pattern against SIZE: what it binds. */
static bool binds(scope *s, const char *at, const fz_size *size) {
    char *end;
    const long k = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : 1;
    const char *letter = isdigit((unsigned char)*at) ? (*end == '*' ? end + 1 : end) : at;
    int64_t number = 0;
    if (isalpha((unsigned char)*letter) && strchr(",]", letter[1]) && !s->bound[(int)*letter]) {
        fz_size quotient = *size;
        if (k > 1 && !fz_divides(s->p, size, k, &quotient))
            return false;
        if (numbers[(int)*letter][1] && (!fz_is_const(s->p, &quotient, &number) || number < numbers[(int)*letter][0] || number > 16))
            return false;
        s->bound[(int)*letter] = true;
        s->size[(int)*letter] = quotient;
        return true;
    }
    const fz_size want = expression(s, &at);
    return fz_same(s->p, &want, size);
}

static int count_plain(const char *dims) {
    int n = 0;
    for (; *dims != ']'; dims += strcspn(dims, ",]"), dims += *dims == ',')
        n += *dims != '<' && *dims != '>';
    return n;
}

static bool group_fits(scope *s, group *g, const fz_size *dims, int n) {
    if (!g->bound) {
        *g = (group){ .bound = true, .n = n };
        for (int d = 0; d < n; d++)
            g->dims[d] = dims[d];
        return true;
    }
    if (g->n != n)
        return false;
    for (int d = 0; d < n; d++)
        if (!fz_same(s->p, &g->dims[d], &dims[d]))
            return false;
    return true;
}

/* Are V's dims those of the pattern?  Then what it binds is bound. */
static bool unify(scope *s, const char *dims, const fz_value *v) {
    const int plain = count_plain(dims);
    const bool before = *dims == '<', behind = strchr(dims, '>') && strchr(dims, '>') < strchr(dims, ']');
    int rest = v->rank - plain, d = 0;
    if (rest < 0 || (rest > 0 && !before && !behind))
        return false;
    const int first = !before ? 0 : s->before.bound ? s->before.n : !behind ? rest : s->behind.bound ? rest - s->behind.n : fz_below(s->p, rest + 1);
    if (first < 0 || first > rest || (first != rest && !behind))
        return false;
    for (; *dims != ']'; dims += strcspn(dims, ",]"), dims += *dims == ',') {
        if (*dims == '<' || *dims == '>') {
            const int n = *dims == '<' ? first : rest - first;
            if (!group_fits(s, *dims == '<' ? &s->before : &s->behind, &v->dims[d], n))
                return false;
            d += n;
        } else if (!binds(s, dims, &v->dims[d++])) {
            return false;
        }
    }
    return true;
}

static bool lies_within(const fz_prog *p, int value, const pattern *t) {
    const fz_range *r = fz_range_of(p, value);
    return !t->ranged || (!r->opaque && !r->wild && r->lo - r->err >= t->range.lo && r->hi + r->err <= t->range.hi && (r->step >= t->range.step));
}

typedef struct wanted {
    const scope *s;
    const pattern *t;
} wanted;

static bool will_do(const fz_prog *p, int value, const void *user) {
    const wanted *w = user;
    const scope *s = w->s;
    const pattern *t = w->t;
    if (t->cls == 'I') {
        const fz_range *r = fz_range_of(p, value);
        if (!is_i64(p, value, NULL) || r->lo < 0 || r->hi > (double)fz_least(p, &t->below) - 1)
            return false;
    } else if (t->cls == '=') {
        const uint8_t dtype = fz_at(p, s->operand[s->main])->dtype;
        if (fz_at(p, value)->dtype != dtype || !(dtype == JC_F8E4M3FN ? is_f8 : fz_computable)(p, value, NULL) ||
            (fz_range_of(p, s->operand[s->main])->step > 0 && fz_range_of(p, value)->step == 0))
            return false;
    } else if (!want_of(t->cls)(p, value, NULL)) {
        return false;
    }
    scope copy = *s;
    const uint64_t state = p->state;
    const bool ok = lies_within(p, value, t) && unify(&copy, t->dims, fz_at(p, value));
    ((fz_prog *)p)->state = state;
    return ok;
}

static uint8_t fresh_dtype(scope *s, const pattern *t) {
    static const uint8_t floats[] = { JC_F32, JC_F32, JC_F32, JC_BF16, JC_BF16, JC_F16, JC_F64 }, ints[] = { JC_I64, JC_I32, JC_I64, JC_I16, JC_I8, JC_U8 };
    uint8_t dtype;
    switch (t->cls) {
    case 'F': case 'S': case 'E': return FZ_PICK(s->p, floats);
    case 'f': return JC_F32;
    case 'Y': return JC_I8;
    case 'Z': return JC_F8E4M3FN;
    case 'W': return FZ_PICK(s->p, ints);
    case 'B': return JC_B8;
    case 'I': return JC_I64;
    case '=': return fz_at(s->p, s->operand[s->main])->dtype;
    default: break;
    }
    do
        dtype = fz_some_dtype(s->p);
    while (dtype == JC_B8 && (t->cls == 'N' || t->cls == 'R'));
    return dtype;
}

static fz_range fresh_range(scope *s, const pattern *t, uint8_t dtype) {
    if (t->cls == 'I')
        return fz_interval(0, (double)fz_least(s->p, &t->below) - 1, 1);
    const bool floating = jc_dtypes[dtype].cls == 'f';
    if (t->ranged) {
        const double step = t->range.step > 0 ? t->range.step : floating ? fmax(exp2(ceil(log2(t->range.hi - t->range.lo)) - 6), 0.0625) : 1;
        return fz_interval(ceil(t->range.lo / step) * step, floor(t->range.hi / step) * step, step);
    }
    fz_range r = t->cls == 'S' ? fz_interval(-2, 2, fz_chance(s->p, 70) ? 1 : 0.5) : fz_some_range(s->p, dtype);
    if (t->cls == 'X' && r.step == 0)
        r = fz_interval(-2, 2, 0.5);
    return r;
}

/* Some dims for a group: few, and small. */
static void draw_group(scope *s, group *g, int room) {
    if (g->bound)
        return;
    *g = (group){ .bound = true, .n = room > 0 ? fz_below(s->p, room < 3 ? room + 1 : 3) : 0 };
    for (int d = 0; d < g->n; d++)
        g->dims[d] = fz_some_size(s->p);
}

/* Dims of a pattern by what is bound, and by chance. */
static int dims_of(scope *s, const char *dims, fz_size *out) {
    int rank = 0;
    const int plain = count_plain(dims);
    for (; *dims != ']'; dims += strcspn(dims, ",]"), dims += *dims == ',') {
        if (*dims == '<' || *dims == '>') {
            group *g = *dims == '<' ? &s->before : &s->behind;
            draw_group(s, g, 3 - plain);
            for (int d = 0; d < g->n && rank < JC_MAX_RANK; d++)
                out[rank++] = g->dims[d];
        } else if (rank < JC_MAX_RANK) {
            const char *at = dims;
            out[rank++] = expression(s, &at);
        }
    }
    if (rank > JC_MAX_RANK - 2)
        s->p->bad = true;
    return rank;
}

static int fresh(scope *s, const pattern *t) {
    fz_size dims[JC_MAX_RANK];
    scope before = *s;
    int rank = 0;
    for (int tries = 0; tries < 6; tries++) { /* dims that are not too large together */
        *s = before;
        rank = dims_of(s, t->dims, dims);
        if (s->p->bad)
            return -1;
        if (fz_fits(s->p, rank, dims))
            break;
    }
    const uint8_t dtype = fresh_dtype(s, t);
    fz_range r = fresh_range(s, t, dtype);
    if (r.hi < r.lo || (t->ranged && jc_dtypes[dtype].cls == 'u' && r.lo < 0))
        return -1;
    const int x = fz_param(s->p, dtype, rank, dims, r);
    if (t->cls == 'A')
        fz_make_wild(s->p, x, NULL);
    return x >= 0 && t->cls != '=' && !want_of(t->cls)(s->p, x, NULL) ? -1 : x;
}

static const char *parse_pattern(scope *s, const char *at, pattern *t) {
    *t = (pattern){ .cls = *at++ };
    if (t->cls == 'I') {
        at++; /* < */
        t->below = expression(s, &at);
    }
    if (*at == '(') {
        char *end;
        t->ranged = true;
        t->range.lo = strtod(at + 1, &end);
        t->range.hi = strtod(end + 1, &end);
        if (*end == ',')
            t->range.step = strtod(end + 1, &end);
        at = end + 1;
    }
    t->dims = at + 1;
    return t->dims + strcspn(t->dims, "]") + 1;
}

static bool choose_operands(scope *s, const char *at) {
    s->main = -1;
    for (; *at; at += *at == ' ') {
        pattern t;
        at = parse_pattern(s, at, &t);
        if (s->p->bad || (t.cls == 'I' && fz_least(s->p, &t.below) < 1))
            return false;
        const wanted w = { s, &t };
        int x = fz_chance(s->p, t.cls == '=' || t.cls == 'I' ? 40 : 65) ? fz_choose(s->p, will_do, &w) : -1;
        if (x >= 0) {
            if (!unify(s, t.dims, fz_at(s->p, x)))
                return false;
        } else {
            x = fresh(s, &t);
        }
        if (x < 0)
            return false;
        if (s->main < 0 && t.cls != 'I' && t.cls != 'B')
            s->main = s->noperands;
        s->cls[s->noperands] = t.cls;
        s->operand[s->noperands++] = x;
    }
    if (s->main < 0)
        s->main = 0;
    return true;
}

/* --- text --- */

static void put_dims(scope *s, const group *g) {
    for (int d = 0; d < g->n; d++)
        fz_put(s->p, "%z, ", &g->dims[d]);
}

static void put_hole(scope *s, const char *at) {
    if (*at == '<' || *at == '>') {
        if (at[1] == '>') {
            put_dims(s, &s->before);
            put_dims(s, &s->behind);
        } else {
            fz_put(s->p, "%d", *at == '<' ? s->before.n : s->behind.n);
        }
        return;
    }
    const fz_size e = expression(s, &at);
    fz_put(s->p, "%z", &e);
}

static void put_rest(scope *s, const char *at) {
    while (*at) {
        const size_t n = strcspn(at, "${");
        if (n)
            fz_put(s->p, "%s", jc_arena_printf(s->p->arena, "%.*s", (int)n, at));
        at += n;
        if (*at == '$') {
            fz_put(s->p, "%v", s->operand[at[1] - '0']);
            at += 2;
        } else if (*at == '{') {
            put_hole(s, at + 1);
            at = strchr(at, '}') + 1;
        }
    }
}

static char some_form(scope *s, const fz_row *row, bool in_place) {
    if (in_place || !*row->forms)
        return fz_some_form(s->p, row->name, in_place);
    return row->forms[fz_below(s->p, (int)strlen(row->forms))];
}

static void put_call(scope *s, const fz_row *row) {
    static const char *const paths[128] = { ['t'] = "torch.", ['f'] = "torch.nn.functional.", ['n'] = "torch._C._nn.", ['l'] = "torch.linalg.", ['y'] = "torch.fft.",
                                            ['k'] = "torch.masked.", ['s'] = "torch.signal.windows.",
                                            ['a'] = "torch.ops.aten.", ['p'] = "torch.ops.prims.", ['v'] = "torch.ops.vllm_ir.", ['g'] = "torch._C._autograd.",
                                            ['x'] = "torch.ops.transformers." };
    const bool whole = strstr(row->rest, "$0");
    if (*row->rest == '!') {
        put_rest(s, row->rest + 1);
        return;
    }
    const bool other = *row->forms && !strpbrk(row->forms, "mta"); /* a module's, which has arguments of its own */
    const char *in_place = s->main == 0 && !whole && !other && fz_goes_in_place(s->p, row->name, s->operand[0]) ? "_" : "";
    const char form = some_form(s, row, *in_place);
    if (form == 'm') {
        fz_put(s->p, "%v.%s%s(", s->operand[0], row->name, in_place);
    } else {
        fz_put(s->p, "%s%s%s%s(", paths[(int)form], row->name, in_place, strchr("apv", form) ? ".default" : "");
        if (!whole)
            fz_put(s->p, *row->rest ? "%v, " : "%v", s->operand[0]);
    }
    put_rest(s, row->rest);
    fz_put(s->p, ")");
}

/* --- results --- */

/* Of all operands, which are still what they were in it. */
static uint8_t promoted(scope *s) {
    const uint8_t dtype = fz_promoted(s->p, s->operand, s->noperands);
    for (int i = 0; i < s->noperands; i++)
        if (!fz_survives(s->p, s->operand[i], dtype))
            s->p->bad = true;
    return dtype;
}

static uint8_t dtype_of(scope *s, const char **at) {
    const uint8_t own = s->noperands ? fz_at(s->p, s->operand[s->main])->dtype : JC_F32;
    const char cls = (char)jc_dtypes[own].cls;
    const size_t n = strcspn(*at, "[");
    const char *name = *at;
    *at += n;
    if (n == 0)
        return own;
    if (*name == 's')
        return cls == 'f' ? own : JC_I64;
    if (*name == 'p')
        return promoted(s);
    if (*name == 'q')
        return cls == 'f' ? own : JC_F32;
    for (int d = 0; d < JC_DTYPE_COUNT; d++)
        if (strlen(jc_dtypes[d].name) == n && strncmp(name, jc_dtypes[d].name, n) == 0)
            return (uint8_t)d;
    return own;
}

/* What the row's fact says of its first result. */
static bool known(scope *s, const fz_row *row, uint8_t dtype, fz_range *out) {
    fz_facts f = { .dtype = dtype, .k = 1, .f = row->f };
    const char *at = row->k;
    for (int i = 0; i < s->noperands; i++)
        if (s->cls[i] != 'I' && s->cls[i] != 'B')
            f.in[f.n++] = *fz_range_of(s->p, s->operand[i]);
    f.least = s->noperands ? (double)fz_numel_least(s->p, fz_at(s->p, s->operand[s->main])) : 1;
    if (*at == '#') {
        f.k = (double)fz_numel_most(s->p, fz_at(s->p, s->operand[s->main]));
    } else if (*at) {
        const fz_size k = expression(s, &at);
        f.k = (double)fz_most(s->p, &k);
    }
    if (!row->fact(&f, out))
        return false;
    double m = fz_magnitude(*out);
    for (int i = 0; i < f.n; i++)
        m = fmax(m, fz_magnitude(f.in[i]));
    if (row->rough && out->step == 0)
        out->err += row->rough * m * 2 * fz_unit(f.dtype);
    return true;
}

static int one_result(scope *s, const fz_row *row, const char **at) {
    const bool overlaps = **at == 'o', view = overlaps || **at == 'v', strided = **at == '~';
    fz_size dims[JC_MAX_RANK];
    int of = 0;
    *at += view || strided;
    if (view && isdigit((unsigned char)**at))
        of = *(*at)++ - '0';
    const uint8_t dtype = dtype_of(s, at);
    ++*at; /* [ */
    const int rank = dims_of(s, *at, dims);
    *at = strchr(*at, ']') + 1;
    if (s->p->bad)
        return -1;
    if (view) {
        const int y = fz_view(s->p, s->operand[of], fz_at(s->p, s->operand[of])->dtype, rank, dims);
        if (y >= 0)
            fz_at(s->p, y)->overlaps |= overlaps;
        return y;
    }
    fz_range r = { 0 };
    if (**at == '<') {
        ++*at;
        const fz_size e = expression(s, at);
        r = fz_interval(0, fmax(0, (double)fz_most(s->p, &e) - 1), 1);
    } else if (!known(s, row, dtype, &r)) {
        return -1;
    }
    const int y = fz_result(s->p, dtype, rank, dims, r);
    if (y >= 0 && strided)
        fz_at(s->p, y)->contiguous = false;
    return y;
}

static bool give_results(scope *s, const fz_row *row) {
    const char *at = row->results;
    const bool tuple = *at == '*' || strchr(at, ' ');
    int n = 0, k = 0, made[FZ_RESULTS] = { 0 }, where[FZ_RESULTS] = { 0 };
    for (at += *at == '*'; *at && n < FZ_RESULTS; at += *at == ' ', k++) {
        if (*at == '_') {
            at++;
            continue;
        }
        made[n] = one_result(s, row, &at);
        where[n] = k;
        if (made[n++] < 0)
            return false;
    }
    fz_stmt *t = &s->p->stmts.at[s->p->stmts.n - 1];
    t->form = tuple ? FZ_TUPLE : FZ_ASSIGN;
    t->nresults = n;
    memcpy(t->result, made, sizeof t->result);
    memcpy(t->tuple, where, sizeof t->tuple);
    return true;
}

bool fz_make_row(fz_prog *p, const fz_row *row) {
    scope s = { .p = p };
    if (!choose_operands(&s, row->operands) || !all_hold(&s, row->when) || p->bad)
        return false;
    fz_begin(p)->noted = true;
    put_call(&s, row);
    return give_results(&s, row) && !p->bad;
}

fz_prog *fz_generate_row(jc_arena *arena, uint64_t seed, const fz_row *row) {
    fz_prog *p = fz_begin_program(arena, seed);
    if (!fz_make_row(p, row) || p->bad)
        return NULL;
    return fz_end_program(p);
}

static bool make_some_row(fz_prog *p) {
    return fz_make_row(p, &fz_rows[fz_below(p, fz_nrows)]);
}

const fz_kind fz_row_kinds[] = { { "row", make_some_row, 1 }, { 0 } };
