/*
 * plan/kernel.c - kernels as data: tables, the number of blocks, shared memory, and the bytes.
 *
 * What a kernel must fulfil is in kernel_verify.c, its text in kernel_print.c.
 *
 * The bytes:
 *   "JCK2"
 *   family, rank, exact              a byte each
 *   nsyms, then per symbol           kind (byte), index, lo, hi, divisor
 *   extents                          rank expressions
 *   nargs, then per argument         kind, dtype, flags (1 written, 2 weight, 4 loose) (bytes); an I64's symbol
 *   ninstrs, then per instruction    op, ct (bytes), and the fields that `carried` lists for it, in the order below
 *   products                         a, b (argument, row, kstride each), k
 *   attention                        q, k, v (argument, base, row, column each), flags (1 masked, 2 causal) (byte), the mask if there is
 *                                    one, group, parts, scale, keys, k
 *   schedule                         the eleven numbers in order of the structure
 * Numbers are LEB128 (signed ones zigzag), expressions as ir/expr.h writes them.  Symbols have no names here: the
 * code cannot depend on one.
 */
#include "plan/kernel.h"

#include <string.h>

static const uint8_t magic[4] = { 'J', 'C', 'K', '2' };

const jc_family_info jc_families[JC_FAMILY_COUNT] = {
#define INFO(id, name, sums) { #name, JC_SUMS_##sums },
    JC_FAMILY_LIST(INFO)
#undef INFO
};

const jc_tape_info jc_tape_ops[JC_T_COUNT] = {
#define INFO(id, operands_, text) { .name = #id, .operands = operands_ },
    JC_TAPE_LIST(INFO)
#undef INFO
};

/* Which fields an instruction has besides op, ct and its operands. */
enum { HAS_ARG = 1, HAS_INDEX = 2, HAS_FLOAT = 4, HAS_INT = 8, HAS_DTYPE = 16 };
static const uint8_t carried[JC_T_COUNT] = {
    [JC_T_LOAD] = HAS_ARG | HAS_INDEX,
    [JC_T_STORE] = HAS_ARG | HAS_INDEX,
    [JC_T_FLOAT] = HAS_FLOAT,
    [JC_T_INT] = HAS_INT,
    [JC_T_INDEX] = HAS_INDEX,
    [JC_T_SCALAR] = HAS_ARG,
    [JC_T_ROUND] = HAS_DTYPE,
    [JC_T_CARRY] = HAS_INT,
};

jc_ct jc_compute_type(jc_dtype dtype) {
    if (dtype == JC_F64)
        return JC_CT_F64;
    switch (jc_dtypes[dtype].cls) {
    case 'f':
        return JC_CT_F32;
    case 'b':
        return JC_CT_B1;
    default:
        return JC_CT_I64;
    }
}

jc_ct jc_kernel_acc_type(const jc_kernel *k) {
    const bool attention = jc_kernel_is_attention(k);
    const uint16_t a = attention ? k->attention.q.arg : k->a.arg, b = attention ? a : k->b.arg;
    return k->args[a].dtype == JC_F64 || k->args[b].dtype == JC_F64 ? JC_CT_F64 : JC_CT_F32;
}

static uint32_t constant(const jc_expr *e) {
    int64_t x;
    return jc_ex_is_const(e, &x) && x > 0 && x <= JC_MAX_HEAD ? (uint32_t)x : 0;
}

uint32_t jc_kernel_head(const jc_kernel *k) { return constant(k->k); }
uint32_t jc_kernel_head_out(const jc_kernel *k) {
    const jc_expr *last = k->extent[k->rank - 1];
    return constant(k->attention.parts > 1 ? jc_ex_sub(k->ex, last, jc_ex_int(k->ex, JC_PARTS_EXTRA)) : last);
}

bool jc_kernel_sums_read(const jc_kernel *k, uint32_t arg) {
    const jc_attention *t = &k->attention;
    switch (jc_families[k->family].sums) {
    case JC_SUMS_PRODUCT:
        return k->a.arg == arg || k->b.arg == arg;
    case JC_SUMS_ATTENTION:
        return t->q.arg == arg || t->k.arg == arg || t->v.arg == arg || (t->masked && t->mask.arg == arg);
    default:
        return false;
    }
}

static const jc_expr *ceil_by(jc_exprs *ex, const jc_expr *e, int64_t by) {
    return jc_ex_cdiv(ex, e, jc_ex_int(ex, by));
}

static const jc_expr *blocks_point(jc_kernel *k) {
    return ceil_by(k->ex, jc_ex_product(k->ex, k->extent, k->rank), (int64_t)k->threads * k->vec * k->unroll);
}

static const jc_expr *blocks_row(jc_kernel *k) {
    return ceil_by(k->ex, jc_ex_product(k->ex, k->extent, k->rank - 1u), k->threads / k->lanes);
}

static const jc_expr *blocks_walk(jc_kernel *k) {
    return ceil_by(k->ex, jc_ex_product(k->ex, k->extent + 1, k->rank - 1u), (int64_t)k->threads * k->vec * k->unroll);
}

/* Blocks of a product: of M by N outputs each. */
static const jc_expr *tiles(jc_kernel *k, int64_t m, int64_t n) {
    jc_exprs *ex = k->ex;
    return jc_ex_mul(ex, jc_ex_product(ex, k->extent, k->rank - 2u),
                     jc_ex_mul(ex, ceil_by(ex, k->extent[k->rank - 2], m), ceil_by(ex, k->extent[k->rank - 1], n)));
}

static const jc_expr *blocks_dot(jc_kernel *k) {
    return tiles(k, k->tile_m, (int64_t)k->tile_n * (k->threads / k->lanes));
}

static const jc_expr *blocks_mma(jc_kernel *k) {
    return tiles(k, k->tile_m, k->tile_n);
}

static const jc_expr *blocks_wgmma(jc_kernel *k) {
    return tiles(k, k->tile_m, k->tile_n);
}

static const jc_expr *blocks_tile(jc_kernel *k) {
    return tiles(k, k->tile_m, k->tile_n);
}

static const jc_expr *blocks_band(jc_kernel *k) {
    return tiles(k, k->tile_m, k->tile_n);
}

/* The heads of a group are rows of one block. */
static const jc_expr *blocks_attn(jc_kernel *k) {
    jc_exprs *ex = k->ex;
    const uint16_t group = k->attention.group;
    const jc_expr *rows = jc_ex_mul(ex, k->extent[k->rank - 2], jc_ex_int(ex, group)), *batch = jc_ex_int(ex, 1);
    for (unsigned d = 0; d + 2u < k->rank; d++) {
        const jc_expr *x = k->extent[d];
        batch = jc_ex_mul(ex, batch, d + 3u == k->rank && group > 1 ? jc_ex_fdiv(ex, x, jc_ex_int(ex, group)) : x);
    }
    return jc_ex_mul(ex, batch, ceil_by(ex, rows, k->tile_m));
}

static const jc_expr *blocks_flash(jc_kernel *k) {
    return blocks_attn(k);
}

const jc_expr *jc_kernel_blocks(jc_kernel *k) {
    static const jc_expr *(*const blocks[JC_FAMILY_COUNT])(jc_kernel *) = {
#define BLOCKS(id, name, sums) blocks_##name,
        JC_FAMILY_LIST(BLOCKS)
#undef BLOCKS
    };
    return blocks[k->family](k);
}

static uint32_t shared_point(const jc_kernel *k) {
    (void)k;
    return 0;
}

static uint32_t shared_row(const jc_kernel *k) {
    uint32_t reductions = 0;
    if (k->lanes <= 32)
        return 0;
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        uint8_t op = k->tape[i].op;
        reductions += op >= JC_T_RED_SUM;
    }
    return reductions * (k->threads / 32u) * 8u;
}

static uint32_t shared_walk(const jc_kernel *k) {
    (void)k;
    return 0;
}

static uint32_t shared_dot(const jc_kernel *k) {
    return k->lanes > 32 ? k->threads / 32u * k->tile_m * k->tile_n * 8u : 0;
}

static uint32_t shared_mma(const jc_kernel *k) {
    return k->stages * ((uint32_t)k->tile_m + k->tile_n) * k->tile_k * 2u;
}

static uint32_t shared_wgmma(const jc_kernel *k) {
    return shared_mma(k);
}

static uint32_t shared_tile(const jc_kernel *k) {
    (void)k;
    return 0;
}

static uint32_t shared_band(const jc_kernel *k) {
    (void)k;
    return 0;
}

static uint32_t shared_attn(const jc_kernel *k) {
    (void)k;
    return 0;
}

static uint32_t shared_flash(const jc_kernel *k) {
    const uint32_t e = jc_kernel_head(k), n = jc_kernel_head_out(k);
    const uint32_t operands = (k->tile_m * e + k->tile_k * (e + n)) * 2u;
    const uint32_t results = 16u * k->warps_m * (n + (k->attention.parts > 1 ? JC_PARTS_EXTRA : 0u) + 8u) * 4u;
    return operands > results ? operands : results;
}

uint32_t jc_kernel_shared(const jc_kernel *k) {
    static uint32_t (*const shared[JC_FAMILY_COUNT])(const jc_kernel *) = {
#define SHARED(id, name, sums) shared_##name,
        JC_FAMILY_LIST(SHARED)
#undef SHARED
    };
    return shared[k->family](k);
}

/* ---- phases of a walk ---------------------------------------------------------------------------------------- */

typedef struct phase_scan {
    const jc_kernel *k;
    const uint8_t *phase;
    bool step, after; /* needs what a step has; what is left after all */
} phase_scan;

static void see_phase(phase_scan *s, uint32_t instr) {
    s->step |= s->phase[instr] == JC_WALK_STEP;
    s->after |= s->phase[instr] == JC_WALK_AFTER;
}

static void see_phase_of(void *user, uint32_t sym) {
    phase_scan *s = user;
    const jc_ksym *ks = &s->k->syms[sym];
    s->step |= ks->kind == JC_KSYM_LOOP && ks->index == 0;
    if (ks->kind == JC_KSYM_TAPE)
        see_phase(s, ks->index);
}

static bool is_stored_to(const jc_kernel *k, uint16_t arg) {
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (k->tape[i].op == JC_T_STORE && k->tape[i].arg == arg)
            return true;
    return false;
}

bool jc_kernel_walk_phases(const jc_kernel *k, uint8_t *phase) {
    bool good = true;
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        const jc_instr *in = &k->tape[i];
        phase_scan s = { .k = k, .phase = phase };
        const uint32_t operand[3] = { in->a, in->b, in->c };
        for (unsigned j = in->op == JC_T_LAST || in->op == JC_T_CARRY; j < jc_tape_ops[in->op].operands; j++)
            see_phase(&s, operand[j]);
        if (carried[in->op] & HAS_INDEX)
            jc_ex_symbols(in->index, see_phase_of, &s);
        s.after |= in->op == JC_T_LAST;
        s.step |= in->op == JC_T_CARRY || in->op == JC_T_NEXT || (in->op == JC_T_STORE && !s.after) ||
                  (in->op == JC_T_LOAD && !s.after && is_stored_to(k, in->arg));
        good &= !(s.step && s.after) && !(in->op == JC_T_CARRY && phase[in->a] != JC_WALK_BEFORE);
        phase[i] = s.after ? JC_WALK_AFTER : s.step ? JC_WALK_STEP : JC_WALK_BEFORE;
    }
    return good;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void put_sym(const jc_kernel *k, uint32_t s, jc_bytes *out) {
    const jc_sym *facts = jc_sym_at(k->ex, s);
    jc_put_u8(out, k->syms[s].kind);
    jc_put_var(out, k->syms[s].index);
    jc_put_svar(out, facts->lo);
    jc_put_svar(out, facts->hi);
    jc_put_svar(out, facts->divisor);
}

static void put_arg(const jc_karg *a, jc_bytes *out) {
    jc_put_u8(out, a->kind);
    jc_put_u8(out, a->kind == JC_KARG_PTR ? a->dtype : 0);
    jc_put_u8(out, (uint8_t)(a->written | a->weight << 1 | a->loose << 2));
    if (a->kind == JC_KARG_I64)
        jc_put_var(out, a->sym);
}

static void put_instr(const jc_instr *in, jc_bytes *out) {
    unsigned has = carried[in->op], operands = jc_tape_ops[in->op].operands;
    jc_put_u8(out, in->op);
    jc_put_u8(out, in->ct);
    const uint32_t operand[3] = { in->a, in->b, in->c };
    for (unsigned i = 0; i < operands; i++)
        jc_put_var(out, operand[i]);
    if (has & HAS_ARG)
        jc_put_var(out, in->arg);
    if (has & HAS_DTYPE)
        jc_put_u8(out, in->dtype);
    if (has & HAS_INDEX)
        jc_ex_encode(in->index, out);
    if (has & HAS_FLOAT)
        jc_put_f64(out, in->f);
    if (has & HAS_INT)
        jc_put_svar(out, in->i);
}

static void put_operand(const jc_operand *o, jc_bytes *out) {
    jc_put_var(out, o->arg);
    jc_ex_encode(o->row, out);
    jc_ex_encode(o->kstride, out);
}

static void put_matrix(const jc_matrix *x, jc_bytes *out) {
    jc_put_var(out, x->arg);
    jc_ex_encode(x->base, out);
    jc_ex_encode(x->row, out);
    jc_ex_encode(x->column, out);
}

static void put_attention(const jc_attention *t, jc_bytes *out) {
    put_matrix(&t->q, out);
    put_matrix(&t->k, out);
    put_matrix(&t->v, out);
    jc_put_u8(out, (uint8_t)(t->masked | t->causal << 1));
    if (t->masked)
        put_matrix(&t->mask, out);
    jc_put_var(out, t->group);
    jc_put_var(out, t->parts);
    jc_put_var(out, t->scale);
    jc_ex_encode(t->keys, out);
}

void jc_kernel_encode(const jc_kernel *k, jc_bytes *out) {
    jc_put(out, magic, sizeof magic);
    jc_put_u8(out, k->family);
    jc_put_u8(out, k->rank);
    jc_put_u8(out, k->exact);
    jc_put_var(out, k->nsyms);
    for (uint32_t s = 0; s < k->nsyms; s++)
        put_sym(k, s, out);
    for (unsigned d = 0; d < k->rank; d++)
        jc_ex_encode(k->extent[d], out);
    jc_put_var(out, k->nargs);
    for (uint32_t i = 0; i < k->nargs; i++)
        put_arg(&k->args[i], out);
    jc_put_var(out, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++)
        put_instr(&k->tape[i], out);
    if (jc_kernel_is_product(k)) {
        put_operand(&k->a, out);
        put_operand(&k->b, out);
    }
    if (jc_kernel_is_attention(k))
        put_attention(&k->attention, out);
    if (jc_families[k->family].sums)
        jc_ex_encode(k->k, out);
    const uint16_t schedule[] = { k->threads, k->vec, k->unroll, k->lanes, k->steps, k->tile_m,
                                  k->tile_n, k->tile_k, k->stages, k->warps_m, k->warps_n };
    for (size_t i = 0; i < sizeof schedule / sizeof *schedule; i++)
        jc_put_var(out, schedule[i]);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* A number of at most MAX. */
static uint32_t get_upto(jc_reader *r, uint32_t max) {
    uint64_t x = jc_get_var(r);
    if (x > max) {
        r->bad = true;
        return 0;
    }
    return (uint32_t)x;
}

static uint8_t get_byte_below(jc_reader *r, unsigned limit) {
    uint8_t x = jc_get_u8(r);
    if (x >= limit) {
        r->bad = true;
        return 0;
    }
    return x;
}

static void get_syms(jc_reader *r, jc_kernel *k, jc_arena *arena) {
    static const char letter[] = { [JC_KSYM_LOOP] = 'i', [JC_KSYM_ARG] = 'n', [JC_KSYM_TAPE] = 'v' };
    k->nsyms = (uint32_t)jc_get_count(r, 5);
    k->syms = JC_NEWN(arena, jc_ksym, k->nsyms);
    for (uint32_t s = 0; s < k->nsyms && !r->bad; s++) {
        char name[16] = { 0 };
        k->syms[s].kind = get_byte_below(r, JC_KSYM_TAPE + 1);
        k->syms[s].index = get_upto(r, UINT32_MAX);
        uint32_t digits = k->syms[s].index, n = 0;
        char turned[12];
        do
            turned[n++] = (char)('0' + digits % 10);
        while (digits /= 10);
        name[0] = letter[k->syms[s].kind];
        for (uint32_t i = 0; i < n; i++)
            name[1 + i] = turned[n - 1 - i];
        jc_sym *facts = jc_sym_at(k->ex, jc_sym_add(k->ex, name));
        facts->lo = jc_get_svar(r);
        facts->hi = jc_get_svar(r);
        facts->divisor = jc_get_svar(r);
        if (facts->lo > facts->hi || facts->divisor < 1) {
            *facts = (jc_sym){ .name = facts->name, .hi = JC_SYM_MAX, .divisor = 1 };
            r->bad = true;
        }
    }
}

static void get_args(jc_reader *r, jc_kernel *k, jc_arena *arena) {
    k->nargs = (uint32_t)jc_get_count(r, 3);
    k->args = JC_NEWN(arena, jc_karg, k->nargs);
    for (uint32_t i = 0; i < k->nargs && !r->bad; i++) {
        jc_karg *a = &k->args[i];
        a->kind = get_byte_below(r, JC_KARG_F64 + 1);
        a->dtype = get_byte_below(r, JC_DTYPE_COUNT);
        uint8_t flags = get_byte_below(r, 8);
        a->written = flags & 1;
        a->weight = flags & 2;
        a->loose = flags & 4;
        if (a->kind == JC_KARG_I64)
            a->sym = get_upto(r, UINT32_MAX);
    }
}

static void get_instr(jc_reader *r, jc_kernel *k, jc_instr *in) {
    in->op = get_byte_below(r, JC_T_COUNT);
    in->ct = get_byte_below(r, JC_CT_NONE + 1);
    unsigned has = carried[in->op], operands = jc_tape_ops[in->op].operands;
    uint32_t *const operand[3] = { &in->a, &in->b, &in->c };
    for (unsigned i = 0; i < operands; i++)
        *operand[i] = get_upto(r, UINT32_MAX);
    if (has & HAS_ARG)
        in->arg = (uint16_t)get_upto(r, UINT16_MAX);
    if (has & HAS_DTYPE)
        in->dtype = get_byte_below(r, JC_DTYPE_COUNT);
    if (has & HAS_INDEX)
        in->index = jc_ex_decode(k->ex, r, k->nsyms);
    if (has & HAS_FLOAT)
        in->f = jc_get_f64(r);
    if (has & HAS_INT)
        in->i = jc_get_svar(r);
}

static void get_operand(jc_reader *r, jc_kernel *k, jc_operand *o) {
    o->arg = (uint16_t)get_upto(r, UINT16_MAX);
    o->row = jc_ex_decode(k->ex, r, k->nsyms);
    o->kstride = jc_ex_decode(k->ex, r, k->nsyms);
}

static void get_matrix(jc_reader *r, jc_kernel *k, jc_matrix *x) {
    x->arg = (uint16_t)get_upto(r, UINT16_MAX);
    x->base = jc_ex_decode(k->ex, r, k->nsyms);
    x->row = jc_ex_decode(k->ex, r, k->nsyms);
    x->column = jc_ex_decode(k->ex, r, k->nsyms);
}

static void get_attention(jc_reader *r, jc_kernel *k) {
    jc_attention *t = &k->attention;
    get_matrix(r, k, &t->q);
    get_matrix(r, k, &t->k);
    get_matrix(r, k, &t->v);
    uint8_t flags = get_byte_below(r, 4);
    t->masked = flags & 1;
    t->causal = flags & 2;
    if (t->masked)
        get_matrix(r, k, &t->mask);
    t->group = (uint16_t)get_upto(r, UINT16_MAX);
    t->parts = (uint16_t)get_upto(r, UINT16_MAX);
    t->scale = get_upto(r, UINT32_MAX);
    t->keys = jc_ex_decode(k->ex, r, k->nsyms);
}

static void get_kernel(jc_reader *r, jc_kernel *k, jc_arena *arena) {
    k->family = get_byte_below(r, JC_FAMILY_COUNT);
    k->rank = get_byte_below(r, JC_KERNEL_MAX_RANK + 1);
    k->exact = get_byte_below(r, 2);
    get_syms(r, k, arena);
    for (unsigned d = 0; d < k->rank; d++)
        k->extent[d] = jc_ex_decode(k->ex, r, k->nsyms);
    get_args(r, k, arena);
    k->ninstrs = (uint32_t)jc_get_count(r, 2);
    k->tape = JC_NEWN(arena, jc_instr, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs && !r->bad; i++)
        get_instr(r, k, &k->tape[i]);
    if (jc_kernel_is_product(k)) {
        get_operand(r, k, &k->a);
        get_operand(r, k, &k->b);
    }
    if (jc_kernel_is_attention(k))
        get_attention(r, k);
    if (jc_families[k->family].sums)
        k->k = jc_ex_decode(k->ex, r, k->nsyms);
    uint16_t *const schedule[] = { &k->threads, &k->vec, &k->unroll, &k->lanes, &k->steps, &k->tile_m,
                                   &k->tile_n, &k->tile_k, &k->stages, &k->warps_m, &k->warps_n };
    for (size_t i = 0; i < sizeof schedule / sizeof *schedule; i++)
        *schedule[i] = (uint16_t)get_upto(r, UINT16_MAX);
}

jitc_status jc_kernel_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_kernel **out, jc_error *err) {
    jc_reader r = JC_READER(bytes, n);
    const uint8_t *head = jc_get(&r, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return jc_fail(err, JITC_E_INPUT, "These %zu bytes are no kernel of this version of libjitc.", n);
    jc_kernel *k = JC_NEW(arena, jc_kernel);
    k->ex = jc_exprs_new(arena);
    get_kernel(&r, k, arena);
    if (r.bad || r.at != r.end)
        return jc_fail(err, JITC_E_INPUT, "The kernel's %zu bytes are damaged or cut short.", n);
    jc_error why = JC_ERROR_INIT;
    if (jc_kernel_verify(k, &why) != JITC_OK)
        return jc_fail(err, JITC_E_INPUT, "The kernel's bytes are damaged: %s", why.message);
    *out = k;
    return JITC_OK;
}
