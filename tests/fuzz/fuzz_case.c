/*
 * tests/fuzz/fuzz_case.c - cases from programs, and as files.
 *
 * A file is the text behind comments, one fact a line:
 *
 *   # mode host fused whole         or: host fused whole quick
 *   # seed 12 runs 2
 *   # symbol s0 3 5
 *   # input p0 -4 4 0.5 order 1 0 pad 3    wild: with NaN and infinities
 *   # input p1 -4 4 0.5 order 0 pad 0 with p0 5 written
 *   # result 0.25            the bound of each result's error, in order; bits: compared as they lie
 */
#include "tests/fuzz/fuzz_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fz_devices[] = { "host", "sim", "cuda", NULL };
const char *const fz_ways[] = { "whole", "cut", "pieces", "split" };

static void add_outputs(const fz_prog *p, fz_case *c, jc_arena *arena) {
    for (size_t i = 0; i < p->outputs.n; i++) {
        const fz_value *v = fz_at(p, p->outputs.at[i]);
        fz_output o = { .rank = v->kind == JC_SYMINT ? 0 : v->rank };
        for (int r = 0; r < p->nruns; r++)
            for (int d = 0; d < (v->kind == JC_SYMINT ? 1 : v->rank); d++)
                o.dims[r][d] = fz_value_of(p, &v->dims[d], r);
        if (v->kind == JC_TENSOR && p->storages.at[v->storage].range.step == 0)
            o.err = 2 * p->storages.at[v->storage].range.err;
        o.bits = v->kind == JC_TENSOR && p->storages.at[v->storage].range.opaque && !p->storages.at[v->storage].range.mixed;
        jc_push(arena, &c->outputs, o);
    }
}

/* Rows of V, in the worst run; 0: it has none in one. */
static int64_t rows_of(const fz_prog *p, const fz_value *v) {
    int64_t most = 0;
    for (int r = 0; r < p->nruns; r++) {
        int64_t rows = 1;
        for (int k = 0; k < v->rank; k++) {
            const int64_t n = fz_value_of(p, &v->dims[v->order[k]], r);
            if (n == 0)
                return 0;
            rows *= k + 1 < v->rank ? n : 1;
        }
        most = rows > most ? rows : most;
    }
    return most;
}

/* Of one graph in six, an input that has rows apart has them some 2^31 or 2^32 elements apart. */
static void spread_rows(const fz_prog *p, fz_case *c) {
    static const int64_t pads[] = { INT64_C(2147483647), INT64_C(2147483648), INT64_C(2147483600), INT64_C(2500000000), INT64_C(4294967296), INT64_C(4294967295) };
    uint64_t state = c->seed ^ 0x51DE;
    if (fz_next(&state) % 6)
        return;
    for (size_t i = 0, k = 0; i < p->values.n; i++) {
        const fz_value *v = &p->values.at[i];
        if (v->def >= 0 || v->kind != JC_TENSOR)
            continue;
        fz_input *in = &c->inputs.at[k++];
        const int64_t rows = v->rank < 2 || v->contiguous ? 0 : rows_of(p, v);
        bool shared = in->with != NULL;
        for (size_t q = 0; q < c->inputs.n; q++)
            shared |= c->inputs.at[q].with && strcmp(c->inputs.at[q].with, in->name) == 0;
        if (shared || rows < 2 || rows > 64)
            continue;
        in->pad = pads[fz_next(&state) % (sizeof pads / sizeof *pads)];
        return;
    }
}

fz_case *fz_case_of(const fz_prog *p, jc_arena *arena) {
    fz_case *c = JC_NEW(arena, fz_case);
    memset(c, 0, sizeof *c);
    c->seed = p->seed;
    c->nruns = p->nruns;
    c->custom = p->custom;
    c->flat = fz_print_flat(p, arena);
    c->cut = fz_print_cut(p, arena);
    for (size_t i = 0; i < p->values.n; i++) {
        const fz_value *v = &p->values.at[i];
        if (v->def >= 0 || v->kind != JC_TENSOR)
            continue;
        const fz_storage *st = &p->storages.at[v->storage];
        const fz_range *r = st->input ? &st->first : &st->range;
        fz_input in = { .name = v->name, .lo = r->lo, .hi = r->hi, .step = r->opaque ? 0 : r->step, .wild = r->wild, .rank = v->rank, .pad = v->pad };
        memcpy(in.order, v->order, sizeof in.order);
        if (v->with >= 0) {
            in.with = fz_at(p, v->with)->name;
            in.offset = v->offset;
            in.written = st->written;
        }
        if (!r->opaque && in.step == 0)
            in.step = (in.hi - in.lo) / 1024;
        jc_push(arena, &c->inputs, in);
    }
    spread_rows(p, c);
    for (int i = 0; i < p->nvars; i++) {
        fz_symbol s = { .name = jc_arena_printf(arena, "s%d", i) };
        memcpy(s.value, p->vars[i].value, sizeof s.value);
        if (p->vars[i].symbol)
            jc_push(arena, &c->symbols, s);
    }
    add_outputs(p, c, arena);
    return c;
}

void fz_choose_modes(fz_case *c, unsigned have, unsigned ways) {
    uint64_t state = c->seed ^ 0x5DEECE66Du;
    static const uint8_t whole[] = { FZ_WHOLE, FZ_WHOLE, FZ_CUT, FZ_CUT, FZ_PIECES, FZ_PIECES }, custom[] = { FZ_WHOLE, FZ_CUT, FZ_PIECES, FZ_SPLIT };
    const int wanted = 1 + (fz_next(&state) % 6 == 0);
    c->nmodes = 0;
    for (int i = 0; (i < wanted || c->nmodes == 0) && i < 1000 && c->nmodes < 4; i++) {
        fz_mode m = { .device = 0, .strict = fz_next(&state) % 4 == 0 };
        const uint64_t roll = fz_next(&state) % 100;
        if (have & 4)
            m.device = roll < 60 ? 2 : roll < 95 ? 0 : 1;
        else
            m.device = roll < 75 ? 0 : 1;
        m.quick = fz_next(&state) % 100 < 66 && m.device != 2;
        m.way = c->custom ? custom[fz_next(&state) % 4] : whole[fz_next(&state) % 6];
        if ((have >> m.device & 1) && (ways >> m.way & 1))
            c->modes[c->nmodes++] = m;
    }
}

const char *fz_mode_text(fz_mode m, char *at, size_t size) {
    snprintf(at, size, "%s %s %s%s", fz_devices[m.device], m.strict ? "strict" : "fused", fz_ways[m.way], m.quick ? " quick" : "");
    return at;
}

void fz_case_print(const fz_case *c, fz_mode mode, const char *message, jc_bytes *out) {
    char text[64];
    const bool cut = (mode.way == FZ_CUT || mode.way == FZ_PIECES) && c->cut;
    jc_put_text(out, "# replay: fuzz_graph --text THIS-FILE; the graph it was made from: fuzz_graph --seed %" PRIu64 " --count 1\n", c->seed);
    for (const char *m = message; *m;) {
        const size_t n = strcspn(m, "\n");
        jc_put_text(out, "# %.*s\n", (int)n, m);
        m += n + (m[n] == '\n');
    }
    jc_put_text(out, "# mode %s\n# seed %" PRIu64 " runs %d\n", fz_mode_text(mode, text, sizeof text), c->seed, c->nruns);
    for (size_t i = 0; i < c->symbols.n; i++) {
        jc_put_text(out, "# symbol %s", c->symbols.at[i].name);
        for (int r = 0; r < c->nruns; r++)
            jc_put_text(out, " %" PRId64, c->symbols.at[i].value[r]);
        jc_put_text(out, "\n");
    }
    for (size_t i = 0; i < c->inputs.n; i++) {
        const fz_input *in = &c->inputs.at[i];
        if (!strstr(c->flat, jc_arena_printf(out->arena, "%s: \"", in->name)))
            continue;
        jc_put_text(out, "# input %s %.17g %.17g %.17g order", in->name, in->lo, in->hi, in->step);
        for (int d = 0; d < in->rank; d++)
            jc_put_text(out, " %d", in->order[d]);
        jc_put_text(out, " pad %" PRId64 "%s", in->pad, in->wild ? " wild" : "");
        if (in->with)
            jc_put_text(out, " with %s %" PRId64 "%s", in->with, in->offset, in->written ? " written" : "");
        jc_put_text(out, "\n");
    }
    for (size_t i = 0; i < c->outputs.n; i++)
        jc_put_text(out, c->outputs.at[i].bits ? "# result %.9g bits\n" : "# result %.9g\n", c->outputs.at[i].err);
    jc_put_text(out, "%s", cut ? c->cut : c->flat);
}

/* --- reading --- */

static bool parse_mode(const char *line, fz_mode *m) {
    char device[16], strict[16], way[16];
    if (sscanf(line, "%15s %15s %15s", device, strict, way) != 3)
        return false;
    m->strict = strcmp(strict, "strict") == 0;
    m->quick = strstr(line, " quick") != NULL;
    for (m->device = 0; fz_devices[m->device] && strcmp(fz_devices[m->device], device) != 0; m->device++)
        ;
    for (m->way = 0; m->way < FZ_WAYS && strcmp(fz_ways[m->way], way) != 0; m->way++)
        ;
    return fz_devices[m->device] && m->way < FZ_WAYS;
}

static void parse_input(fz_case *c, const char *line, jc_arena *arena) {
    char name[16];
    fz_input in = { 0 };
    int used = 0;
    if (sscanf(line, "%15s %lf %lf %lf order%n", name, &in.lo, &in.hi, &in.step, &used) != 4 || used == 0)
        return;
    in.name = jc_arena_strdup(arena, name);
    for (line += used; in.rank < JC_MAX_RANK; in.rank++) {
        int d, n = 0;
        if (sscanf(line, " %d%n", &d, &n) != 1)
            break;
        in.order[in.rank] = (uint8_t)d;
        line += n;
    }
    sscanf(line, " pad %" SCNd64, &in.pad);
    const char *with = strstr(line, " with ");
    if (with && sscanf(with, " with %15s %" SCNd64, name, &in.offset) == 2)
        in.with = jc_arena_strdup(arena, name);
    in.written = strstr(line, " written") != NULL;
    in.wild = strstr(line, " wild") != NULL;
    jc_push(arena, &c->inputs, in);
}

static void parse_symbol(fz_case *c, const char *line, jc_arena *arena) {
    char name[16];
    fz_symbol s = { 0 };
    int n = 0;
    if (sscanf(line, "%15s%n", name, &n) != 1)
        return;
    s.name = jc_arena_strdup(arena, name);
    for (int r = 0; r < FZ_RUNS; r++) {
        int k = 0;
        if (sscanf(line + n, " %" SCNd64 "%n", &s.value[r], &k) != 1)
            break;
        n += k;
    }
    jc_push(arena, &c->symbols, s);
}

fz_case *fz_case_parse(const char *text, jc_arena *arena, char *message, size_t size) {
    fz_case *c = JC_NEW(arena, fz_case);
    memset(c, 0, sizeof *c);
    c->nruns = 1;
    c->flat = text;
    c->custom = strstr(text, "torch.ops.fuzz.") || strstr(text, "torch.ops.vllm.all_reduce");
    if (strstr(text, "class submod_"))
        c->cut = text;
    while (*text == '#') {
        char *line = jc_arena_printf(arena, "%.*s", (int)strcspn(text, "\n"), text);
        if (strncmp(line, "# mode ", 7) == 0 && parse_mode(line + 7, &c->modes[0])) {
            c->nmodes = 1;
        } else if (strncmp(line, "# seed ", 7) == 0) {
            sscanf(line, "# seed %" SCNu64 " runs %d", &c->seed, &c->nruns);
        } else if (strncmp(line, "# symbol ", 9) == 0) {
            parse_symbol(c, line + 9, arena);
        } else if (strncmp(line, "# input ", 8) == 0) {
            parse_input(c, line + 8, arena);
        } else if (strncmp(line, "# result ", 9) == 0) {
            const fz_output o = { .err = strtod(line + 9, NULL), .bits = strstr(line, " bits") != NULL, .rank = -1 };
            jc_push(arena, &c->outputs, o);
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    if (c->nmodes && c->nruns >= 1 && c->nruns <= FZ_RUNS)
        return c;
    snprintf(message, size, "the file has no line \"# mode DEVICE fused|strict whole|cut|pieces|split [quick]\" before its text");
    return NULL;
}
