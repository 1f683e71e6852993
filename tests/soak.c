/*
 * tests/soak.c - an engine's life in minutes: does it stay right, and does memory stay flat?
 *
 *   SOAK_SECONDS=300 SOAK_DEVICE=cuda SOAK_SEED=1 tests/soak        (make soak SOAK_SECONDS=300)
 *
 * Four threads share one model of 80 pieces of one class, and one with products and norms.  Each has a frame and, on a GPU, a
 * stream of its own, and calls at random, at 5,000 sizes up to 8192 tokens: the whole graph into the frame's memory or into the
 * caller's, the 80 pieces one after the other, the second model, what it captured at 1, 8 and 64 tokens; now and then it throws
 * its frame away and makes another.  Results of the chain are compared with numbers worked out here, by what the text says and exactly;
 * those of the second model with the hash that each size gave first.
 *
 * Memory is read when all threads are at rest, after everything has happened once and at the end: resident memory, what the frames hold,
 * and on a GPU what is free.  Ends with 1 when a call failed, a number was wrong, or memory grew by more than 2 %.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "jit/api/model.h"
#include "tests/cuda_help.h"

#define PIECES 80
#define COLS 16
#define KINDS 7    /* of rows */
#define MOST 8192  /* tokens */
#define SIZES 5000
#define THREADS 4
#define MIX_MOST 64
#define MIX_COLS 32

typedef enum { WHOLE, GIVEN, CHAIN, MIX, REPLAY, RENEW, MODES } mode;
static const char *const mode_names[MODES] = { "whole graphs in the frame", "whole graphs in the caller's memory",
                                               "chains of 80 pieces", "products and norms", "replays of captured graphs",
                                               "new frames" };

static jitc_context *ctx;
static jc_device *device;
static jitc_model *chain, *mix;
static cuda_help cuda;
static bool on_gpu;
static float expected[KINDS][COLS]; /* rows of the chain's result, by kind */
static int64_t sizes[SIZES];
static uint64_t hashes[MIX_MOST + 1];
static atomic_bool stop, failed;
static atomic_ulong counts[MODES];
static pthread_barrier_t start, end;

typedef struct captured {
    int64_t size;
    void *graph;
    void *result; /* where a replay leaves it */
} captured;

typedef struct worker {
    pthread_t id;
    uint64_t seed;
    jitc_frame *frame, *mix_frame;
    void *stream;
    void *x, *out, *mix_x;    /* device memory */
    void *weights[PIECES];    /* likewise; then, all that is bound */
    float *host;              /* results brought here */
    captured captured[3];
    uint64_t calls_since;
} worker;

static bool fail(const char *what, const char *why) {
    fprintf(stderr, "soak: %s: %s\n", what, why);
    atomic_store(&failed, true);
    atomic_store(&stop, true);
    return false;
}

static bool library(const char *what, jitc_status status) {
    return status == JITC_OK || fail(what, jitc_context_error(ctx));
}

static uint64_t next(worker *w) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return w->seed >> 33;
}

/* ---- the models -------------------------------------------------------------------------------------------------- */

static jitc_model *build(const char *text) {
    jitc_model_options o = { .struct_size = sizeof o };
    jitc_graph *g = NULL;
    jitc_model *m = NULL;
    if (!library("reading", jitc_graph_read(ctx, "soak", text, strlen(text), &g)) ||
        !library("building", jitc_model_build(ctx, &g, 1, &o, &m)))
        exit(1);
    return m;
}

/* Piece i: y = x - the largest of its row + w_i. */
static char *chain_text(void) {
    size_t room = 1 << 17, n = 0;
    char *t = malloc(room);
    n += (size_t)snprintf(t + n, room - n, "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", v0: \"f32[s0, 16]\"");
    for (int i = 0; i < PIECES; i++)
        n += (size_t)snprintf(t + n, room - n, ", w%d: \"f32[16]\"", i);
    n += (size_t)snprintf(t + n, room - n, "):\n");
    for (int i = 0; i < PIECES; i++)
        n += (size_t)snprintf(t + n, room - n, "        r%d = self.submod_%d(v%d, w%d, s0)\n        v%d: \"f32[s0, 16]\" = r%d[0]\n", i, i,
                              i, i, i + 1, i);
    n += (size_t)snprintf(t + n, room - n, "        return (v%d,)\n", PIECES);
    for (int i = 0; i < PIECES; i++)
        n += (size_t)snprintf(t + n, room - n,
                              "    class submod_%d(torch.nn.Module):\n        def forward(self, x: \"f32[s0, 16]\", w: \"f32[16]\", s0: \"Sym(s0)\"):\n"
                              "            m: \"f32[s0, 1]\" = x.amax(dim = -1, keepdim = True)\n"
                              "            d: \"f32[s0, 16]\" = x - m\n            y: \"f32[s0, 16]\" = d + w\n            return (y,)\n", i);
    return t;
}

static const char mix_text[] =
    "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 32]\", w: \"f32[32, 32]\"):\n"
    "        h: \"f32[s0, 32]\" = torch._C._nn.linear(x, w, None)\n"
    "        q: \"f32[s0, 32]\" = h.pow(2)\n"
    "        n: \"f32[s0, 1]\" = q.mean(dim = -1, keepdim = True)\n"
    "        e: \"f32[s0, 1]\" = n + 1e-05\n"
    "        r: \"f32[s0, 1]\" = torch.rsqrt(e)\n"
    "        y: \"f32[s0, 32]\" = h * r\n"
    "        p: \"f32[s0, 16]\" = y[(slice(None, None, None), slice(0, 16, None))]\n"
    "        u: \"f32[s0, 32]\" = torch.sigmoid(y)\n"
    "        return (u, p)\n";

static float weight(int piece, int k) {
    return (float)((piece * 5 + k * 3) % 11);
}

static float first(int kind, int k) {
    return (float)((kind * 13 + k * 7) % 29);
}

/* By what the text says; all numbers are small integers, so every order of sums gives the same. */
static void work_out_expected(void) {
    for (int r = 0; r < KINDS; r++) {
        for (int k = 0; k < COLS; k++)
            expected[r][k] = first(r, k);
        for (int i = 0; i < PIECES; i++) {
            float most = expected[r][0];
            for (int k = 1; k < COLS; k++)
                most = expected[r][k] > most ? expected[r][k] : most;
            for (int k = 0; k < COLS; k++)
                expected[r][k] += weight(i, k) - most;
        }
    }
}

/* ---- memory of the caller ---------------------------------------------------------------------------------------- */

static void *device_block(size_t bytes) {
    jc_error err = JC_ERROR_INIT;
    void *at = NULL;
    if (device->ops->alloc(device, bytes, &at, &err) != JITC_OK)
        fail("memory", err.message);
    return at;
}

static bool to_device(const worker *w, void *to, const float *from, size_t bytes) {
    jc_error err = JC_ERROR_INIT;
    return (device->ops->copy_in(device, to, from, bytes, w->stream, &err) == JITC_OK &&
            device->ops->sync(device, w->stream, &err) == JITC_OK) || fail("copying in", err.message);
}

static bool to_host(const worker *w, const void *from, size_t bytes) {
    jc_error err = JC_ERROR_INIT;
    return (device->ops->copy_out(device, w->host, from, bytes, w->stream, &err) == JITC_OK &&
            device->ops->sync(device, w->stream, &err) == JITC_OK) || fail("copying out", err.message);
}

typedef struct tensor {
    int64_t shape[2];
    DLTensor t;
} tensor;

static jitc_value tensor_of(tensor *t, void *at, int rank, int64_t rows, int64_t cols) {
    t->shape[0] = rank == 2 ? rows : cols;
    t->shape[1] = cols;
    t->t = (DLTensor){ .data = at, .device = device->dl, .ndim = rank, .dtype = { kDLFloat, 32, 1 }, .shape = t->shape };
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = &t->t };
}

static bool own_memory(worker *w) {
    w->x = device_block(MOST * COLS * 4);
    w->out = device_block(MOST * COLS * 4);
    w->mix_x = device_block((MIX_MOST + MIX_COLS) * MIX_COLS * 4);
    w->host = malloc(MOST * COLS * 4);
    for (int i = 0; i < MOST * COLS; i++)
        w->host[i] = first(i / COLS % KINDS, i % COLS);
    bool ok = to_device(w, w->x, w->host, MOST * COLS * 4);
    for (int i = 0; i < (MIX_MOST + MIX_COLS) * MIX_COLS; i++)
        w->host[i] = (float)(i % 37 - 18) / 16;
    ok &= to_device(w, w->mix_x, w->host, (MIX_MOST + MIX_COLS) * MIX_COLS * 4);
    for (int p = 0; p < PIECES; p++) {
        w->weights[p] = device_block(COLS * 4);
        for (int k = 0; k < COLS; k++)
            w->host[k] = weight(p, k);
        ok &= to_device(w, w->weights[p], w->host, COLS * 4);
    }
    return ok;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static bool right(const worker *w, const void *at, int64_t rows, const char *what) {
    char why[96];
    if (!to_host(w, at, (size_t)rows * COLS * 4))
        return false;
    for (int64_t i = 0; i < rows; i++)
        if (memcmp(w->host + i * COLS, expected[i % KINDS], sizeof expected[0]) != 0) {
            snprintf(why, sizeof why, "row %lld of %lld is wrong", (long long)i, (long long)rows);
            return fail(what, why);
        }
    return true;
}

static jitc_status run_whole(worker *w, int64_t rows, jitc_value *out) {
    jitc_value in[PIECES + 2] = { { .tag = JITC_INT, .i = rows } };
    tensor x;
    in[1] = tensor_of(&x, w->x, 2, rows, COLS);
    return jitc_frame_run(w->frame, 0, w->stream, in, PIECES + 2, out, 1);
}

static bool whole(worker *w, int64_t rows) {
    jitc_value out = { .tag = JITC_NONE };
    return library("a graph", run_whole(w, rows, &out)) && right(w, out.tensor->data, rows, "a graph");
}

static bool whole_given(worker *w, int64_t rows) {
    tensor t;
    jitc_value out = tensor_of(&t, w->out, 2, rows, COLS);
    return library("a graph, given", run_whole(w, rows, &out)) && right(w, w->out, rows, "a graph, given");
}

static bool pieces(worker *w, int64_t rows) {
    tensor x;
    jitc_value v = tensor_of(&x, w->x, 2, rows, COLS), none = { .tag = JITC_NONE };
    for (uint32_t p = 0; p < PIECES; p++) {
        jitc_value in[3] = { v, none, { .tag = JITC_INT, .i = rows } }, out = none;
        if (!library("a piece", jitc_frame_run_piece(w->frame, p, w->stream, in, 3, &out, 1)))
            return false;
        v = out;
    }
    return right(w, v.tensor->data, rows, "a chain of pieces");
}

static uint64_t hash_of(const float *at, size_t n) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &at[i], sizeof bits);
        h = (h ^ bits) * 1099511628211u;
    }
    return h;
}

static bool mixed(worker *w, int64_t rows) {
    tensor x, weights;
    jitc_value in[3] = { { .tag = JITC_INT, .i = rows }, tensor_of(&x, w->mix_x, 2, rows, MIX_COLS),
                         tensor_of(&weights, (float *)w->mix_x + MIX_MOST * MIX_COLS, 2, MIX_COLS, MIX_COLS) };
    jitc_value out[2] = { { .tag = JITC_NONE }, { .tag = JITC_NONE } };
    if (!library("the second model", jitc_frame_run(w->mix_frame, 0, w->stream, in, 3, out, 2)) ||
        !to_host(w, out[0].tensor->data, (size_t)rows * MIX_COLS * 4))
        return false;
    uint64_t hash = hash_of(w->host, (size_t)rows * MIX_COLS);
    if (!hashes[rows])
        hashes[rows] = hash; /* recorded by one thread, before the others start */
    return hashes[rows] == hash || fail("the second model", "another result than the first time");
}

static bool replay(worker *w) {
    const captured *c = &w->captured[next(w) % 3];
    jc_error err = JC_ERROR_INIT;
    if (!c->graph)
        return true;
    device->ops->fill(device, c->result, 0xee, (size_t)c->size * COLS * 4, w->stream, &err);
    return (cuda.launch(c->graph, w->stream) == 0 || fail("a replay", "the launch failed")) &&
           right(w, c->result, c->size, "a replay");
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

static bool capture(worker *w, captured *c, int64_t size) {
    jitc_value out = { .tag = JITC_NONE };
    void *graph = NULL;
    c->size = size;
    if (cuda.capture_begin(w->stream, 1 /* of this thread: the others copy and make graphs meanwhile */) != 0)
        return fail("capturing", "it does not begin");
    bool ok = library("a captured graph", run_whole(w, size, &out));
    if (cuda.capture_end(w->stream, &graph) != 0 || !ok)
        return fail("capturing", "it does not end well");
    c->result = out.tensor->data;
    return cuda.instantiate(&c->graph, graph, 0) == 0 || fail("capturing", "the graph cannot be instantiated");
}

/* Frames as an engine makes them: weights bound, memory reserved, the small sizes captured. The graphs captured before go with the
   process: what they take is little, and frames are renewed on host only. */
static bool make_frames(worker *w) {
    static const int64_t sizes_captured[] = { 1, 8, 64 };
    jitc_symbol limit = { NULL, MOST };
    tensor t;
    if (!library("a frame", jitc_frame_new(chain, NULL, &w->frame)) || !library("a frame", jitc_frame_new(mix, NULL, &w->mix_frame)))
        return false;
    for (uint32_t p = 0; p < PIECES; p++) {
        jitc_value v = tensor_of(&t, w->weights[p], 1, 1, COLS);
        if (!library("binding", jitc_frame_bind(w->frame, 0, p + 2, v)) || !library("binding", jitc_frame_bind_piece(w->frame, p, 1, v)))
            return false;
    }
    if (!library("reserving", jitc_frame_reserve(w->frame, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_PIECES | JITC_RESERVE_RESULTS,
                                                 w->stream)))
        return false;
    for (int i = 0; i < 3 && on_gpu; i++)
        if (!capture(w, &w->captured[i], sizes_captured[i]))
            return false;
    return true;
}

static void free_frames(worker *w) {
    jitc_frame_free(w->frame);
    jitc_frame_free(w->mix_frame);
}

static bool renew(worker *w) {
    if (on_gpu)
        return true;
    free_frames(w);
    return make_frames(w);
}

static bool one(worker *w, mode m, int64_t rows) {
    m = m == REPLAY && !on_gpu ? WHOLE : m == RENEW && on_gpu ? CHAIN : m; /* what there is not counts as nothing */
    bool ok = m == WHOLE    ? whole(w, rows)
              : m == GIVEN  ? whole_given(w, rows)
              : m == CHAIN  ? pieces(w, rows)
              : m == MIX    ? mixed(w, rows % MIX_MOST + 1)
              : m == REPLAY ? replay(w)
                            : renew(w);
    atomic_fetch_add(&counts[m], m == CHAIN ? PIECES : 1);
    return ok;
}

/* ---- a thread ---------------------------------------------------------------------------------------------------- */

static void *work(void *user) {
    static const uint8_t shares[32] = { WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, GIVEN, GIVEN, GIVEN, GIVEN, GIVEN,
                                        GIVEN, CHAIN, CHAIN, CHAIN, CHAIN, CHAIN, CHAIN, MIX, MIX, MIX, MIX, REPLAY, REPLAY, REPLAY, REPLAY,
                                        REPLAY, REPLAY };
    worker *w = user;
    bool ok = (!on_gpu || cuda_help_current(&cuda) || fail("CUDA", "no context")) &&
              (!on_gpu || cuda.stream_create(&w->stream, 1) == 0 || fail("CUDA", "no stream")) && own_memory(w) && make_frames(w);
    for (int m = MODES; m-- > 0 && ok;) /* everything once, at the largest size; new frames first, so that all memory is touched */
        ok = one(w, (mode)m, MOST);
    for (int i = 0; i < 300 && ok; i++) /* what is remembered fills up */
        ok = one(w, (mode)shares[next(w) % 32], sizes[next(w) % SIZES]);
    pthread_barrier_wait(&start); /* memory is read */
    pthread_barrier_wait(&start);
    while (ok && !atomic_load(&stop))
        ok = one(w, w->calls_since++ % 2000 == 1999 ? RENEW : (mode)shares[next(w) % 32], sizes[next(w) % SIZES]);
    pthread_barrier_wait(&end);
    pthread_barrier_wait(&end);
    return NULL;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

typedef struct memory {
    double resident, frames, used; /* MB; the last of the GPU */
} memory;

static memory read_memory(const worker *w) {
    long pages = 0, resident = 0;
    memory m = { 0 };
    size_t left = 0, total = 0;
    malloc_trim(0);
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        fail("memory", "/proc/self/statm cannot be read");
    if (f)
        fclose(f);
    m.resident = (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
    for (int i = 0; i < THREADS; i++) {
        jitc_frame_stats s = { .struct_size = sizeof s }, t = s;
        jitc_frame_get_stats(w[i].frame, &s);
        jitc_frame_get_stats(w[i].mix_frame, &t);
        m.frames += (double)(s.device_bytes + s.host_bytes + t.device_bytes + t.host_bytes) / 1e6;
    }
    if (on_gpu && cuda.mem_info(&left, &total) == 0)
        m.used = (double)(total - left) / 1e6;
    return m;
}

static bool flat(const char *what, double before, double after) {
    bool ok = after <= before * 1.02;
    printf("%-28s %10.2f MB at the start, %10.2f at the end%s\n", what, before, after, ok ? "" : ": GROWN");
    return ok;
}

static void rest(double seconds) {
    struct timespec t = { 0, 20000000 };
    double until = jc_now_ms() + seconds * 1000;
    while (jc_now_ms() < until && !atomic_load(&stop))
        nanosleep(&t, NULL);
}

static bool open_world(void) {
    const char *name = getenv("SOAK_DEVICE");
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = name && *name ? name : NULL, .threads = 1 };
    jc_error err = JC_ERROR_INIT;
    if (jitc_context_new(&o, &ctx) != JITC_OK || jc_context_device(ctx, &device, &err) != JITC_OK)
        return fail("the device", err.message);
    on_gpu = device->dl.device_type == kDLCUDA;
    if (on_gpu && !(cuda_help_open(&cuda) && cuda_help_current(&cuda)))
        return fail("CUDA", "the driver lacks what is needed");
    char *text = chain_text();
    chain = build(text);
    mix = build(mix_text);
    free(text);
    work_out_expected();
    return true;
}

/* The hashes of the second model, by one thread. */
static bool record(worker *w) {
    bool ok = own_memory(w) && library("a frame", jitc_frame_new(mix, NULL, &w->mix_frame));
    for (int64_t n = 1; n <= MIX_MOST && ok; n++)
        ok = mixed(w, n);
    jitc_frame_free(w->mix_frame);
    return ok;
}

int main(void) {
    static worker w[THREADS], recorder;
    const char *text = getenv("SOAK_SECONDS"), *seed = getenv("SOAK_SEED");
    double seconds = text && atof(text) > 0 ? atof(text) : 3;
    bool ok = open_world() && record(&recorder);
    if (!ok)
        return 1;
    for (int i = 0; i < SIZES; i++) {
        recorder.seed += (uint64_t)(seed ? atoll(seed) : 1) * 977;
        sizes[i] = 1 + (int64_t)(next(&recorder) % MOST);
    }
    pthread_barrier_init(&start, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        w[i].seed = recorder.seed + (uint64_t)i;
        pthread_create(&w[i].id, NULL, work, &w[i]);
    }
    pthread_barrier_wait(&start);
    memory before = read_memory(w);
    pthread_barrier_wait(&start);
    rest(seconds);
    atomic_store(&stop, true);
    pthread_barrier_wait(&end);
    memory after = read_memory(w);
    pthread_barrier_wait(&end);
    for (int i = 0; i < THREADS; i++)
        pthread_join(w[i].id, NULL);
    unsigned long calls = 0;
    for (int m = 0; m < MODES; m++) {
        printf("%10lu %s\n", (unsigned long)atomic_load(&counts[m]), mode_names[m]);
        calls += m == RENEW ? 0 : atomic_load(&counts[m]);
    }
    printf("%lu calls on %s in %.0f s by %d threads at %d sizes; %d errors\n", calls, device->ops->name, seconds, THREADS, SIZES,
           atomic_load(&failed) ? 1 : 0);
    ok = flat("resident memory", before.resident, after.resident);
    ok &= flat("memory of frames", before.frames, after.frames);
    if (on_gpu)
        ok &= flat("memory of the GPU in use", before.used, after.used);
    ok &= !atomic_load(&failed);
    jitc_context_free(ctx);
    printf("%d%%: Checks: 1, Failures: %d, Errors: 0\n", ok ? 100 : 0, !ok);
    return !ok;
}
