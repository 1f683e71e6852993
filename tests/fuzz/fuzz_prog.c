/*
 * tests/fuzz/fuzz_prog.c - the program: values, statements, operands, and how one is made.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint64_t fz_next(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int fz_below(fz_prog *p, int n) {
    return (int)(fz_next(&p->state) % (uint64_t)n);
}

bool fz_chance(fz_prog *p, int percent) {
    return fz_below(p, 100) < percent;
}

double fz_pick_number(fz_prog *p, double lo, double hi, double step) {
    return lo + step * (double)fz_below(p, (int)((hi - lo) / step) + 1);
}

fz_value *fz_at(const fz_prog *p, int value) {
    return &p->values.at[value];
}

fz_range *fz_range_of(const fz_prog *p, int value) {
    return &p->storages.at[fz_at(p, value)->storage].range;
}

char fz_class(const fz_prog *p, int value) {
    return (char)jc_dtypes[fz_at(p, value)->dtype].cls;
}

/* --- sizes --- */

bool fz_fits(const fz_prog *p, int rank, const fz_size *dims) {
    if (rank > JC_MAX_RANK - 2)
        return false;
    for (int r = 0; r < p->nruns; r++) {
        int64_t n = 1;
        for (int d = 0; d < rank; d++) {
            const int64_t x = fz_value_of(p, &dims[d], r);
            if (x < 0 || x > p->limit)
                return false;
            n *= x ? x : 1;
            if (n > p->limit)
                return false;
        }
    }
    return true;
}

static int64_t numel(const fz_prog *p, const fz_value *v, int run) {
    int64_t n = 1;
    for (int d = 0; d < v->rank; d++)
        n *= fz_value_of(p, &v->dims[d], run);
    return n;
}

int64_t fz_numel_most(const fz_prog *p, const fz_value *v) {
    int64_t most = 0;
    for (int r = 0; r < p->nruns; r++)
        most = numel(p, v, r) > most ? numel(p, v, r) : most;
    return most;
}

int64_t fz_numel_least(const fz_prog *p, const fz_value *v) {
    int64_t least = INT64_MAX;
    for (int r = 0; r < p->nruns; r++)
        least = numel(p, v, r) < least ? numel(p, v, r) : least;
    return least;
}

fz_size fz_some_size(fz_prog *p) {
    static const uint8_t small[] = { 1, 1, 2, 2, 3, 4, 4, 5, 7, 8, 8, 16, 0 };
    if (fz_chance(p, 60))
        return fz_var_size(p, fz_below(p, p->nvars));
    return fz_int(FZ_PICK(p, small));
}

/* --- values --- */

static int new_value(fz_prog *p, fz_value v) {
    jc_push(p->arena, &p->values, v);
    return (int)p->values.n - 1;
}

static int new_storage(fz_prog *p, fz_range r, bool input) {
    const fz_storage s = { .range = r, .first = r, .input = input };
    jc_push(p->arena, &p->storages, s);
    return (int)p->storages.n - 1;
}

static fz_value tensor(const fz_prog *p, uint8_t dtype, int rank, const fz_size *dims) {
    fz_value v = { .kind = JC_TENSOR, .dtype = dtype, .rank = (uint8_t)rank, .contiguous = true, .def = (int)p->stmts.n - 1, .with = -1 };
    for (int d = 0; d < rank; d++) { /* rank 0 has no dims to copy */
        v.dims[d] = dims[d];
        v.order[d] = (uint8_t)d;
    }
    return v;
}

/* An earlier parameter, written or to be, whose memory may hold a new one of DTYPE and range R too, now and later; -1: none. */
static int some_host(fz_prog *p, uint8_t dtype, fz_range r) {
    int found[16], n = 0;
    for (int i = 0; i < (int)p->values.n && n < 16; i++) {
        const fz_value *v = fz_at(p, i);
        if (v->kind != JC_TENSOR || v->def >= 0 || v->view || v->overlaps || v->with >= 0 || v->dtype != dtype)
            continue;
        const fz_range *have = fz_range_of(p, i);
        if (have->lo >= r.lo && have->hi <= r.hi && have->step >= r.step && have->step > 0 && have->err == 0)
            found[n++] = i;
    }
    return n ? found[fz_below(p, n)] : -1;
}

/* One storage of two parameters: what is written into one changes the other. */
static void lie_within(fz_prog *p, fz_value *v, int host) {
    v->with = host;
    v->offset = fz_chance(p, 30) ? 0 : fz_below(p, (int)fz_numel_most(p, fz_at(p, host)) + 1);
    v->storage = fz_at(p, host)->storage;
    v->overlaps = fz_at(p, host)->overlaps;
}

int fz_param(fz_prog *p, uint8_t dtype, int rank, const fz_size *dims, fz_range r) {
    if (p->bad || !fz_fits(p, rank, dims)) {
        p->bad = true;
        return -1;
    }
    fz_value v = tensor(p, dtype, rank, dims);
    v.def = -1;
    const int host = p->shared && fz_chance(p, 75) ? some_host(p, dtype, r) : -1;
    if (host >= 0)
        lie_within(p, &v, host);
    else
        v.storage = new_storage(p, r, true);
    snprintf(v.name, sizeof v.name, "p%u", (unsigned)p->values.n);
    if (rank > 1 && fz_chance(p, 15)) { /* a layout of the caller's */
        const int a = fz_below(p, rank), b = fz_below(p, rank);
        const uint8_t t = v.order[a];
        v.order[a] = v.order[b];
        v.order[b] = t;
        v.pad = fz_chance(p, 50) ? 1 + fz_below(p, 8) : 0;
        v.contiguous = a == b && v.pad == 0;
    }
    return new_value(p, v);
}

void fz_make_wild(fz_prog *p, int value, fz_want *want) {
    if (!p->wild || value < 0 || fz_class(p, value) != 'f' || jc_dtypes[fz_at(p, value)->dtype].size < 2 || !fz_chance(p, 75))
        return;
    fz_storage *s = &p->storages.at[fz_at(p, value)->storage];
    const fz_storage before = *s;
    s->range.wild = s->first.wild = true;
    if (want && !want(p, value, NULL))
        *s = before;
}

/* Does the statement being made read what X shares with it otherwise than as X? */
static bool reads_again(const fz_prog *p, int x) {
    const fz_stmt *s = &p->stmts.at[p->stmts.n - 1];
    int times = 0;
    for (size_t i = 0; i < s->items.n; i++)
        if (s->items.at[i].kind == FZ_NAME && fz_at(p, s->items.at[i].value)->storage == fz_at(p, x)->storage)
            times++;
    return times > 1;
}

/* A result of DTYPE, of range R, that goes into X: as PyTorch has it, no floats into integers, and nothing but bools into bools. */
static int into(fz_prog *p, int x, uint8_t dtype, int rank, const fz_size *dims, fz_range r) {
    const fz_value v = *fz_at(p, x);
    const char from = (char)jc_dtypes[dtype].cls, to = (char)jc_dtypes[v.dtype].cls;
    bool ok = rank == v.rank && !r.wild && !r.opaque && !reads_again(p, x) && (dtype == v.dtype || from == 'b' || (from == 'f' && to == 'f'));
    for (int d = 0; ok && d < rank; d++)
        ok = fz_same(p, &dims[d], &v.dims[d]);
    if (!ok || !fz_settle(&r, dtype) || (dtype != v.dtype && !fz_cast_range(&r, dtype, v.dtype)) || !fz_wrote(p, x, r)) {
        p->bad = true;
        return -1;
    }
    const int y = fz_view(p, x, v.dtype, v.rank, v.dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return y;
}

/* Are all tensors that the statement being made names contiguous?  What it makes may keep the order of their strides, so only then it certainly is too. */
static bool all_contiguous(const fz_prog *p) {
    const fz_stmt *s = p->stmts.n ? &p->stmts.at[p->stmts.n - 1] : NULL;
    bool all = true;
    for (size_t i = 0; s && i < s->items.n && all; i++)
        if (s->items.at[i].kind == FZ_NAME && fz_at(p, s->items.at[i].value)->kind == JC_TENSOR)
            all = fz_at(p, s->items.at[i].value)->contiguous;
    return all;
}

int fz_result(fz_prog *p, uint8_t dtype, int rank, const fz_size *dims, fz_range r) {
    if (p->in_place && !p->bad)
        return into(p, p->in_place - 1, dtype, rank, dims, r);
    if (p->bad || !fz_fits(p, rank, dims) || !fz_settle(&r, dtype)) {
        p->bad = true;
        return -1;
    }
    fz_value v = tensor(p, dtype, rank, dims);
    v.contiguous = rank < 2 || all_contiguous(p);
    v.storage = new_storage(p, r, false);
    snprintf(v.name, sizeof v.name, "v%u", (unsigned)p->values.n);
    return new_value(p, v);
}

int fz_view(fz_prog *p, int of, uint8_t dtype, int rank, const fz_size *dims) {
    if (p->bad || !fz_fits(p, rank, dims)) {
        p->bad = true;
        return -1;
    }
    fz_value v = tensor(p, dtype, rank, dims);
    v.storage = fz_at(p, of)->storage;
    v.overlaps = fz_at(p, of)->overlaps;
    v.contiguous = false;
    v.view = true;
    snprintf(v.name, sizeof v.name, "v%u", (unsigned)p->values.n);
    return new_value(p, v);
}

int fz_symint(fz_prog *p, fz_size size) {
    fz_value v = { .kind = JC_SYMINT, .def = (int)p->stmts.n - 1, .storage = -1 };
    v.dims[0] = size;
    snprintf(v.name, sizeof v.name, "n%u", (unsigned)p->values.n);
    return new_value(p, v);
}

bool fz_writable(const fz_prog *p, int value) {
    return !fz_at(p, value)->overlaps;
}

bool fz_wrote(fz_prog *p, int value, fz_range r) {
    const uint8_t dtype = fz_at(p, value)->dtype;
    fz_range *old = fz_range_of(p, value), both;
    if (p->bad || !fz_writable(p, value) || !fz_settle(&r, dtype)) {
        p->bad = true;
        return false;
    }
    both = fz_join(*old, r);
    /* Two kinds of exactness may be none together. */
    if (jc_dtypes[dtype].cls == 'f' && !fz_settle(&both, dtype)) {
        p->bad = true;
        return false;
    }
    *old = both;
    p->storages.at[fz_at(p, value)->storage].written = true;
    return true;
}

/* --- operands --- */

static const uint8_t dtypes[] = { JC_F32, JC_F32, JC_F32, JC_F32, JC_BF16, JC_BF16, JC_BF16, JC_F16, JC_F16, JC_F64,
                                  JC_I64, JC_I32, JC_I64, JC_I32, JC_I8,   JC_I16,  JC_U8,   JC_B8 };

uint8_t fz_some_dtype(fz_prog *p) {
    if (p->shared && fz_chance(p, 70)) /* so that many are alike */
        return fz_chance(p, 75) ? JC_F32 : JC_I32;
    return p->floats_only ? dtypes[fz_below(p, 10)] : FZ_PICK(p, dtypes);
}

fz_range fz_some_range(fz_prog *p, uint8_t dtype) {
    if (p->shared && dtype != JC_B8)
        return fz_interval(jc_dtypes[dtype].cls == 'u' ? 0 : -4, 4, 1);
    switch (jc_dtypes[dtype].cls) {
    case 'b': return fz_interval(0, 1, 1);
    case 'u': return fz_interval(0, 1 + fz_below(p, 9), 1);
    case 'i': return fz_interval(-fz_below(p, 8), 1 + fz_below(p, 8), 1);
    default: break;
    }
    static const double tops[] = { 1, 2, 4, 8 }, steps[] = { 1, 1, 0.5, 0.25, 0 };
    const double top = FZ_PICK(p, tops), step = FZ_PICK(p, steps);
    if (step == 0) /* any float: as exact as its dtype is */
        return (fz_range){ .lo = -top, .hi = top, .step = 2 * top * fz_unit(dtype) };
    return fz_interval(fz_chance(p, 20) ? step : -top, top, step);
}

int fz_choose(fz_prog *p, fz_want *want, const void *user) {
    int found[64], n = 0;
    for (int i = (int)p->values.n - 1; i >= 0 && n < 64; i--)
        if (p->values.at[i].kind == JC_TENSOR && (!want || want(p, i, user)))
            found[n++] = i;
    if (n == 0)
        return -1;
    /* Late values mostly, so that there are chains. */
    return found[fz_chance(p, 50) ? fz_below(p, n < 3 ? n : 3) : fz_below(p, n)];
}

/* --- statements --- */

fz_stmt *fz_begin(fz_prog *p) {
    p->in_place = 0;
    const fz_stmt s = { .form = FZ_ASSIGN, .noted = fz_chance(p, 70) };
    jc_push(p->arena, &p->stmts, s);
    return &p->stmts.at[p->stmts.n - 1];
}

static void put_item(fz_prog *p, fz_item i) {
    fz_stmt *s = &p->stmts.at[p->stmts.n - 1];
    jc_push(p->arena, &s->items, i);
}

static void put_literal(fz_prog *p, const char *text, size_t n) {
    if (n)
        put_item(p, (fz_item){ .kind = FZ_TEXT, .text = jc_arena_printf(p->arena, "%.*s", (int)n, text) });
}

static void put_text(fz_prog *p, const char *text) {
    put_item(p, (fz_item){ .kind = FZ_TEXT, .text = text });
}

/* As Python writes a float. */
static const char *number_text(fz_prog *p, double x) {
    char *text = jc_arena_printf(p->arena, "%.17g", x);
    return strpbrk(text, ".en") ? text : jc_arena_printf(p->arena, "%s.0", text);
}

static void put(fz_prog *p, const char *format, va_list ap) {
    while (*format) {
        const size_t n = strcspn(format, "%");
        put_literal(p, format, n);
        format += n;
        if (!*format)
            break;
        if (format[1] == 'v')
            put_item(p, (fz_item){ .kind = FZ_NAME, .value = va_arg(ap, int) });
        else if (format[1] == 'z')
            put_item(p, (fz_item){ .kind = FZ_SIZE, .size = *va_arg(ap, const fz_size *) });
        else
            put_text(p, format[1] == 'd'   ? jc_arena_printf(p->arena, "%d", va_arg(ap, int))
                        : format[1] == 's' ? va_arg(ap, const char *)
                        : format[1] == 'g' ? number_text(p, va_arg(ap, double))
                        : format[1] == 't' ? jc_arena_printf(p->arena, "torch.%s", jc_dtypes[va_arg(ap, int)].torch)
                                           : "%");
        format += 2;
    }
}

void fz_put(fz_prog *p, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    put(p, format, ap);
    va_end(ap);
}

bool fz_gives(fz_prog *p, int value) {
    fz_stmt *s = &p->stmts.at[p->stmts.n - 1];
    s->nresults = 1;
    s->result[0] = value;
    return value >= 0;
}

/* --- calls --- */

/* Of all rows of NAME that one handler reads. */
static const char *forms_of(const char *name) {
    const fz_spelling *best = NULL;
    for (int i = 0; i < fz_nspellings; i++) {
        const fz_spelling *s = &fz_spellings[i];
        if (strcmp(s->name, name) == 0 && (!best || (strcmp(s->handler, best->handler) == 0 && strlen(s->forms) > strlen(best->forms))))
            best = s;
    }
    return best ? best->forms : "";
}

/* In which forms NAME_ is, a row of its own or an `i` of NAME's; "": in none. */
static const char *forms_in_place(const char *name) {
    char own[64];
    snprintf(own, sizeof own, "%s_", name);
    const char *forms = forms_of(own);
    return *forms ? forms : strchr(forms_of(name), 'i') ? forms_of(name) : "";
}

bool fz_has_in_place(const char *name) {
    return *forms_in_place(name) != 0;
}

char fz_some_form(fz_prog *p, const char *name, bool in_place) {
    const char *forms = in_place ? forms_in_place(name) : forms_of(name);
    const bool apart = in_place && strpbrk(forms, "mtna"); /* torch.nn.functional has few */
    char form;
    do
        form = forms[fz_below(p, (int)strlen(forms))];
    while (form == 'i' || (apart && (form == 'f' || form == 'p')));
    return form;
}

static void call(fz_prog *p, const char *name, const char *suffix, int x, const char *rest, va_list ap) {
    static const char *const paths[128] = { ['t'] = "torch.", ['f'] = "torch.nn.functional.", ['n'] = "torch._C._nn.",
                                            ['l'] = "torch.linalg.", ['y'] = "torch.fft.", ['k'] = "torch.masked.", ['s'] = "torch.signal.windows.",
                                            ['a'] = "torch.ops.aten.", ['p'] = "torch.ops.prims.", ['v'] = "torch.ops.vllm_ir." };
    const char form = fz_some_form(p, name, *suffix);
    const bool overload = form == 'a' || form == 'p' || form == 'v';
    if (form == 'm')
        fz_put(p, "%v.%s%s(", x, name, suffix);
    else
        fz_put(p, "%s%s%s%s(%v%s", paths[(int)form], name, suffix, overload ? ".default" : "", x, *rest ? ", " : "");
    put(p, rest, ap);
    fz_put(p, ")");
}

bool fz_goes_in_place(fz_prog *p, const char *name, int x) {
    if (!fz_chance(p, 14) || !fz_has_in_place(name) || !fz_writable(p, x) || !fz_computable(p, x, NULL))
        return false;
    p->in_place = 1 + x;
    return true;
}

void fz_call(fz_prog *p, const char *name, int x, const char *rest, ...) {
    va_list ap;
    va_start(ap, rest);
    call(p, name, fz_goes_in_place(p, name, x) ? "_" : "", x, rest, ap);
    va_end(ap);
}

void fz_call_in_place(fz_prog *p, const char *name, int x, const char *rest, ...) {
    va_list ap;
    va_start(ap, rest);
    call(p, name, "_", x, rest, ap);
    va_end(ap);
}

/* --- a program --- */

static void make_vars(fz_prog *p) {
    static const uint8_t constants[] = { 1, 2, 3, 4, 5, 6, 7, 8, 8, 12, 16, 17, 24, 31, 32, 33, 64, 0 };
    static const uint8_t sizes[] = { 0, 1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 32, 33, 40, 65, 100 };
    p->nvars = 2 + fz_below(p, FZ_VARS - 1);
    for (int i = 0; i < p->nvars; i++) {
        fz_var *v = &p->vars[i];
        v->symbol = fz_chance(p, 40);
        const int64_t k = FZ_PICK(p, constants);
        for (int r = 0; r < FZ_RUNS; r++)
            v->value[r] = v->symbol ? FZ_PICK(p, sizes) : k;
    }
}

static bool one_statement(fz_prog *p) {
    static const struct {
        const fz_kind *kinds;
        int weight;
    } groups[] = { { fz_pointwise_kinds, 32 }, { fz_reduce_kinds, 12 }, { fz_view_kinds, 19 }, { fz_join_kinds, 8 },
                   { fz_make_kinds, 11 },      { fz_product_kinds, 6 }, { fz_write_kinds, 18 },
                   { fz_order_kinds, 8 },   { fz_row_kinds, 40 } };
    if (p->bits && fz_chance(p, 25))
        return fz_make_bits(p);
    int roll = fz_below(p, 154), g = 0, total = 0;
    while (roll >= groups[g].weight)
        roll -= groups[g++].weight;
    const fz_kind *k = groups[g].kinds, *const first = p->bits && fz_chance(p, 40) ? fz_chance(p, 60) ? fz_join_kinds : fz_view_kinds : k;
    for (k = first; k->name; k++)
        total += k->weight;
    roll = fz_below(p, total);
    for (k = first; roll >= k->weight; k++)
        roll -= k->weight;
    return k->make(p);
}

/* What a statement that came to nothing had made goes again. */
static void try_statement(fz_prog *p) {
    const size_t nv = p->values.n, ns = p->storages.n, nt = p->stmts.n;
    jc_arena *a = p->arena;
    fz_value *values = nv ? jc_arena_memdup(a, p->values.at, sizeof *values * nv) : NULL;
    fz_storage *before = ns ? jc_arena_memdup(a, p->storages.at, sizeof *before * ns) : NULL;
    p->bad = false;
    if (one_statement(p) && !p->bad)
        return;
    p->values.n = nv;
    p->storages.n = ns;
    p->stmts.n = nt;
    if (nv)
        memcpy(p->values.at, values, sizeof *values * nv);
    if (ns)
        memcpy(p->storages.at, before, sizeof *before * ns);
}

static void choose_outputs(fz_prog *p) {
    bool any = false, *used = JC_NEWN(p->arena, bool, p->values.n + 1);
    memset(used, 0, p->values.n + 1);
    for (size_t i = 0; i < p->stmts.n; i++)
        for (size_t k = 0; k < p->stmts.at[i].items.n; k++)
            if (p->stmts.at[i].items.at[k].kind == FZ_NAME)
                used[p->stmts.at[i].items.at[k].value] = true;
    for (int i = (int)p->values.n - 1; i >= 0; i--) {
        const fz_value *v = fz_at(p, i);
        const bool last = i == (int)p->values.n - 1, param = v->def < 0;
        if (last || fz_chance(p, param ? 10 : v->kind == JC_SYMINT ? 40 : !used[i] ? 80 : v->view ? 15 : 25) || (!any && !param)) {
            any = true;
            jc_push(p->arena, &p->outputs, i);
        }
        if (p->outputs.n == 8)
            break;
    }
    for (size_t i = 0; i < p->outputs.n; i++) { /* in any order */
        const int k = fz_below(p, (int)p->outputs.n), t = p->outputs.at[i];
        p->outputs.at[i] = p->outputs.at[k];
        p->outputs.at[k] = t;
    }
}

/* Random cuts; pieces of one statement and of many. */
static void choose_cuts(fz_prog *p) {
    const int percent = 10 + fz_below(p, 50);
    int piece = 0;
    for (size_t i = 0; i < p->stmts.n; i++) {
        p->stmts.at[i].piece = piece;
        if (i + 1 < p->stmts.n && fz_chance(p, percent))
            piece++;
    }
    p->npieces = piece + 1;
}

fz_prog *fz_begin_program(jc_arena *arena, uint64_t seed) {
    fz_prog *p = JC_NEW(arena, fz_prog);
    memset(p, 0, sizeof *p);
    p->arena = arena;
    p->seed = p->state = seed;
    for (int i = 0; i < 4; i++)
        fz_next(&p->state);
    p->nruns = 1 + fz_below(p, FZ_RUNS);
    p->limit = fz_chance(p, 92) ? 4000 : 60000;
    p->floats_only = fz_chance(p, 40);
    uint64_t taste = seed ^ 0x7A57E;
    const uint64_t roll = fz_next(&taste) % 10;
    p->bits = roll == 0;
    p->wild = roll == 1;
    p->shared = roll == 2;
    make_vars(p);
    return p;
}

fz_prog *fz_end_program(fz_prog *p) {
    choose_outputs(p);
    choose_cuts(p);
    return p;
}

fz_prog *fz_generate(jc_arena *arena, uint64_t seed) {
    fz_prog *p = fz_begin_program(arena, seed);
    const int want = fz_chance(p, 96) ? 2 + fz_below(p, 12) : 15 + fz_below(p, 30);
    for (int tries = 0; tries < 40 * want && (int)p->stmts.n < want; tries++)
        try_statement(p);
    return fz_end_program(p);
}
