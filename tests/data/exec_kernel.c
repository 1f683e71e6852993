/*
 * exec_kernel.c - kernels as the code generator would emit them, for check_exec: out[i] = a[i] * 2 in blocks of 64.
 *
 * The symbol is the name that a plan gives to a POINT kernel whose key is all zeros.  With -DSIM: the nvptx schedule, one
 * thread per element; OFF_BY_ONE plants a fault.
 */
typedef long long i64;

#ifndef SIM
void point_000000000000(void *const *args, i64 first, i64 last) {
    const float *a = *(const float *const *)args[0];
    float *out = *(float *const *)args[1];
    i64 n = *(const i64 *)args[2];
    for (i64 i = first * 64; i < last * 64 && i < n; i++)
        out[i] = a[i] * 2;
}
#else
struct jc_sim_thread;
int jc_sim_tid(struct jc_sim_thread *);
i64 jc_sim_block(struct jc_sim_thread *);
const void *jc_sim_load(struct jc_sim_thread *, const void *, unsigned, unsigned);
void *jc_sim_store(struct jc_sim_thread *, void *, unsigned, unsigned);

#ifndef OFF_BY_ONE
#define OFF_BY_ONE 0
#endif

void point_000000000000(void *const *args, struct jc_sim_thread *self) {
    const float *a = *(const float *const *)args[0];
    float *out = *(float *const *)args[1];
    i64 n = *(const i64 *)args[2] + OFF_BY_ONE;
    i64 i = jc_sim_block(self) * 64 + jc_sim_tid(self);
    if (i < n)
        *(float *)jc_sim_store(self, out + i, 4, 4) = *(const float *)jc_sim_load(self, a + i, 4, 4) * 2;
}
#endif
