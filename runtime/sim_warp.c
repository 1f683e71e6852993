/*
 * runtime/sim_warp.c - what the 32 lanes of a warp do together: sync, shuffle, ldmatrix, mma, wgmma.
 *
 * Each lane brings its operands and waits; the last one to come does the work for all.  Lanes that wait at different
 * operations, or at one operation with different modes, never come together: that is a deadlock (sim.c).
 *
 * The layouts are those of the PTX ISA, "Matrix fragments for mma.m16n8k16", "ldmatrix" and "wgmma.mma_async".
 */
#include "runtime/sim_priv.h"

#include <string.h>

/* ---- coming together ---------------------------------------------------------------------------------------------- */

typedef void work_fn(jc_sim_thread *lanes, uint32_t n);

static void together(jc_sim_thread *self, jc_sim_state state, int32_t how, work_fn *work) {
    jc_sim *s = self->sim;
    uint32_t n = jc_sim_lanes(s, self->warp);
    jc_sim_thread *lanes = &s->threads[self->warp * JC_WARP];
    self->state = (uint8_t)state;
    self->how = how;
    s->in_warp[self->warp]++;
    bool all = s->in_warp[self->warp] == n;
    for (uint32_t i = 0; i < n && all; i++)
        all = lanes[i].state == state && lanes[i].how == how;
    if (all && !s->faulted) {
        work(lanes, n);
        s->in_warp[self->warp] = 0;
        for (uint32_t i = 0; i < n; i++)
            jc_sim_can_run(&lanes[i]);
    }
    jc_sim_next(self);
}

/* ldmatrix and mma need a whole warp. */
static bool whole(jc_sim_thread *self, const char *what) {
    uint32_t n = jc_sim_lanes(self->sim, self->warp);
    if (n != JC_WARP)
        jc_sim_fault(self, "%s in a warp of %u lanes; it needs 32.", what, n);
    return n == JC_WARP;
}

static void sync_lanes(jc_sim_thread *lanes, uint32_t n) {
    (void)n;
    lanes->sim->sync[lanes->warp]++;
}

void jc_sim_warp_sync(jc_sim_thread *self) {
    together(self, JC_SIM_SYNC, 0, sync_lanes);
}

static void shuffle_lanes(jc_sim_thread *lanes, uint32_t n) {
    uint32_t value[JC_WARP], mask = (uint32_t)lanes->how;
    for (uint32_t i = 0; i < n; i++)
        value[i] = lanes[i].value;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = i ^ mask;
        if (from < n)
            lanes[i].value = value[from];
        else
            jc_sim_fault(&lanes[i], "a shuffle takes the value of lane %u, but its warp has %u lanes.", from, n);
    }
}

uint32_t jc_sim_shfl_xor(jc_sim_thread *self, uint32_t value, int32_t mask) {
    self->value = value;
    together(self, JC_SIM_SHUFFLE, mask, shuffle_lanes);
    return self->value;
}

/* ---- ldmatrix ----------------------------------------------------------------------------------------------------- */

/* Lanes 8i to 8i + 7 name the rows of matrix i.  Lane l gets of each matrix row l/4, columns 2(l%4) and the next one, or
   with .trans column l/4, rows 2(l%4) and the next one. */
static void ldmatrix_lanes(jc_sim_thread *lanes, uint32_t n) {
    bool trans = lanes->how;
    for (uint32_t matrix = 0; matrix < 4; matrix++) {
        uint16_t m[8][8];
        for (uint32_t row = 0; row < 8; row++)
            memcpy(m[row], lanes[8 * matrix + row].address, sizeof m[row]);
        for (uint32_t l = 0; l < n; l++) {
            uint32_t major = l / 4, minor = 2 * (l % 4);
            uint32_t low = trans ? m[minor][major] : m[major][minor];
            uint32_t high = trans ? m[minor + 1][major] : m[major][minor + 1];
            lanes[l].out[matrix] = low | high << 16;
        }
    }
}

void jc_sim_ldmatrix_x4(jc_sim_thread *self, const void *address, uint32_t *out, int32_t trans) {
    memset(out, 0, 4 * sizeof *out);
    if (!whole(self, "ldmatrix"))
        return;
    if (!self->sim->faulted && !jc_sim_in_shared(self->sim, address, 16)) {
        jc_sim_fault(self, "ldmatrix: the row of 16 bytes lies out of bounds of the %u bytes of shared memory.",
                     self->sim->launch->shared);
    }
    self->address = jc_sim_load(self, address, 16, 16);
    self->out = out;
    together(self, JC_SIM_LDMATRIX, trans != 0, ldmatrix_lanes);
}

/* ---- mma ---------------------------------------------------------------------------------------------------------- */

static float of_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float of_f16(uint16_t x) {
    uint32_t field = x >> 10 & 0x1f, fraction = x & 0x3ff, sign = (uint32_t)(x & 0x8000) << 16, bits;
    if (field == 0) {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (field == 0x1f ? 0x7f800000u : (field + 112) << 23) | fraction << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The two elements of a register. */
static void unpack(uint32_t reg, bool bf16, float out[2]) {
    for (int i = 0; i < 2; i++) {
        uint16_t half = (uint16_t)(reg >> 16 * i);
        out[i] = bf16 ? of_bf16(half) : of_f16(half);
    }
}

/*
 * With g = lane/4 and t = 2*(lane%4), a lane holds
 *   A (16 x 16)  registers 0..3: row g + 8*(r%2), columns t + 8*(r/2) and the next one
 *   B (16 x 8)   registers 0, 1: rows t + 8*r and the next one, column g
 *   C (16 x 8)   floats 0..3: row g + 8*(i/2), column t + i%2
 * Products are exact in double; the sum is rounded once.
 */
static void mma_lanes(jc_sim_thread *lanes, uint32_t n) {
    float a[16][16], b[8][16];
    bool bf16 = lanes->how;
    for (uint32_t l = 0; l < n; l++) {
        uint32_t g = l / 4, t = 2 * (l % 4);
        for (uint32_t r = 0; r < 4; r++)
            unpack(lanes[l].a[r], bf16, &a[g + 8 * (r % 2)][t + 8 * (r / 2)]);
        for (uint32_t r = 0; r < 2; r++)
            unpack(lanes[l].b[r], bf16, &b[g][t + 8 * r]);
    }
    for (uint32_t l = 0; l < n; l++)
        for (uint32_t i = 0; i < 4; i++) {
            const float *row = a[l / 4 + 8 * (i / 2)], *column = b[2 * (l % 4) + i % 2];
            double sum = lanes[l].c[i];
            for (int k = 0; k < 16; k++)
                sum += (double)row[k] * column[k];
            lanes[l].c[i] = (float)sum;
        }
}

void jc_sim_mma_16816(jc_sim_thread *self, const uint32_t *a, const uint32_t *b, float *c, int32_t bf16) {
    if (!whole(self, "mma"))
        return;
    self->a = a;
    self->b = b;
    self->c = c;
    together(self, JC_SIM_MMA, bf16 != 0, mma_lanes);
}

/* ---- wgmma -------------------------------------------------------------------------------------------------------- */

enum { GROUP_ROWS = 64, ROW_BYTES = 128, ATOM = 1024 };

void jc_sim_fence_async(jc_sim_thread *self) {
    self->fenced = self->sim->epoch;
}

/* 16 of k from STEP on of ROW in the tile AT, as floats; false: a fault. */
static bool read_row(jc_sim_thread *t, const uint8_t *at, uint32_t row, uint32_t step, bool bf16, float out[16]) {
    for (uint32_t chunk = 0; chunk < 2; chunk++) {
        const uint8_t *from = at + row * ROW_BYTES + ((2 * step + chunk) ^ row % 8) * 16;
        uint32_t regs[4];
        if (!jc_sim_async_read(t, from, sizeof regs))
            return false;
        memcpy(regs, from, sizeof regs);
        for (uint32_t r = 0; r < 4; r++)
            unpack(regs[r], bf16, out + 8 * chunk + 2 * r);
    }
    return true;
}

/* Each warp has 16 rows of its group's 64, in fragments as mma has them. */
static void wgmma_lanes(jc_sim_thread *lanes, uint32_t n) {
    const jc_sim_group *g = &lanes->groups[0];
    const uint32_t columns = (uint32_t)g->how & 0xffff, steps = (uint32_t)g->how >> 16 & 0xff, first = lanes->warp % 4 * 16;
    const bool bf16 = g->how >> 24;
    float a[16][16], b[16];
    for (uint32_t step = 0; step < steps; step++) {
        for (uint32_t row = 0; row < 16; row++)
            if (!read_row(lanes, g->a, first + row, step, bf16, a[row]))
                return;
        for (uint32_t column = 0; column < columns; column++) {
            if (!read_row(lanes, g->b, column, step, bf16, b))
                return;
            for (uint32_t row = 0; row < 16; row++) {
                const uint32_t lane = row % 8 * 4 + column % 8 / 2, slot = column / 8 * 4 + row / 8 * 2 + column % 2;
                float *sum = lanes[lane].groups[0].sums[slot];
                double exact = *sum;
                for (int k = 0; k < 16; k++)
                    exact += (double)a[row][k] * b[k];
                *sum = (float)exact;
            }
        }
    }
    for (uint32_t l = 0; l < n; l++) {
        lanes[l].ngroups--;
        memmove(lanes[l].groups, lanes[l].groups + 1, lanes[l].ngroups * sizeof *lanes[l].groups);
    }
}

void jc_sim_wgmma(jc_sim_thread *self, const void *a, const void *b, float *const *sums, int32_t how) {
    const jc_sim *s = self->sim;
    const uint32_t n = (uint32_t)how & 0xffff;
    if (s->faulted || !whole(self, "wgmma"))
        return;
    if (s->nthreads % 128)
        jc_sim_fault(self, "wgmma in a block of %u threads; it needs warpgroups of 128.", s->nthreads);
    else if (self->ngroups == JC_SIM_GROUPS)
        jc_sim_fault(self, "wgmma: %u groups are running, and none has been waited for.", JC_SIM_GROUPS);
    else if (!jc_sim_in_shared(s, a, GROUP_ROWS * ROW_BYTES) || !jc_sim_in_shared(s, b, n * ROW_BYTES))
        jc_sim_fault(self, "wgmma: a tile lies out of bounds of the %u bytes of shared memory.", s->launch->shared);
    else if (((const uint8_t *)a - s->shared) % ATOM || ((const uint8_t *)b - s->shared) % ATOM)
        jc_sim_fault(self, "wgmma: a swizzled tile does not start at a multiple of %d bytes.", ATOM);
    else
        self->groups[self->ngroups++] = (jc_sim_group){ a, b, sums, how };
}

/* They read shared memory until they are waited for: here that is when they do. */
void jc_sim_wgmma_wait(jc_sim_thread *self, int32_t pending) {
    while (!self->sim->faulted && self->ngroups > (uint32_t)pending)
        together(self, JC_SIM_WGMMA, self->groups[0].how, wgmma_lanes);
}
