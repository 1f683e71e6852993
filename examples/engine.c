/*
 * examples/engine.c - how an inference engine holds libjitc: one model, two threads, a frame and a stream each.
 *
 * The prefill thread runs the whole model eagerly, at a new size each time.  The decode thread runs it for one token at a time: where there
 * is a GPU the run is captured into a CUDA graph once and replayed, on the host it is simply run.  Weights are bound once, frames are
 * reserved for the largest sizes, results lie in the engine's own memory, and the custom operator finds its layer behind the layer's name
 * without a lookup.
 *
 *     engine [host|cuda]      default: host.  Prints
 *     prefill 16 tokens: 1920
 *     prefill 64 tokens: 7680
 *     prefill 5 tokens: 600
 *     decode 4 steps: 120 240 360 480
 *     layers.0 ran 7 times
 * (On a GPU decoding runs the operator twice, to load what is loaded on first use and into the graph; the steps are replays.)
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/jitc.h"

#define WIDTH 8
#define MOST 64 /* tokens */
#define STEPS 4

/* h = x w^T; a = what the engine's attention makes of h; y = a + x */
static const char text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\", w: \"f32[8, 8]\"):\n"
    "        h: \"f32[s0, 8]\" = torch._C._nn.linear(x, w, None)\n"
    "        a: \"f32[s0, 8]\" = torch.ops.demo.attend(h, 'layers.0')\n"
    "        y: \"f32[s0, 8]\" = a + x\n"
    "        return (y,)\n";

/* ---- the machine: memory and streams ---------------------------------------------------------------------------- */

/* The driver's functions that are used here, found at run time: this program needs no CUDA to be built. */
typedef struct cuda {
    int (*init)(unsigned);
    int (*retain)(void **context, int device);
    int (*set_current)(void *context);
    int (*alloc)(unsigned long long *out, size_t bytes);
    int (*free)(unsigned long long at);
    int (*to_device)(unsigned long long to, const void *from, size_t bytes, void *stream);
    int (*to_host)(void *to, unsigned long long from, size_t bytes, void *stream);
    int (*copy)(unsigned long long to, unsigned long long from, size_t bytes, void *stream);
    int (*stream_new)(void **out, unsigned flags);
    int (*wait)(void *stream);
    int (*begin)(void *stream, int mode);
    int (*end)(void *stream, void **graph);
    int (*instantiate)(void **out, void *graph, unsigned long long flags);
    int (*launch)(void *graph, void *stream);
} cuda;

static struct {
    bool gpu;
    cuda cu;
    void *context;
    DLDevice device;
} machine = { .device = { kDLCPU, 0 } };

static bool open_cuda(void) {
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
        { "cuInit", offsetof(cuda, init) },
        { "cuDevicePrimaryCtxRetain", offsetof(cuda, retain) },
        { "cuCtxSetCurrent", offsetof(cuda, set_current) },
        { "cuMemAlloc_v2", offsetof(cuda, alloc) },
        { "cuMemFree_v2", offsetof(cuda, free) },
        { "cuMemcpyHtoDAsync_v2", offsetof(cuda, to_device) },
        { "cuMemcpyDtoHAsync_v2", offsetof(cuda, to_host) },
        { "cuMemcpyDtoDAsync_v2", offsetof(cuda, copy) },
        { "cuStreamCreate", offsetof(cuda, stream_new) },
        { "cuStreamSynchronize", offsetof(cuda, wait) },
        { "cuStreamBeginCapture_v2", offsetof(cuda, begin) },
        { "cuStreamEndCapture", offsetof(cuda, end) },
        { "cuGraphInstantiateWithFlags", offsetof(cuda, instantiate) },
        { "cuGraphLaunch", offsetof(cuda, launch) },
    };
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof functions / sizeof *functions; i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f)
            return false;
        memcpy((char *)&machine.cu + functions[i].at, &f, sizeof f);
    }
    machine.gpu = library && machine.cu.init(0) == 0 && machine.cu.retain(&machine.context, 0) == 0;
    if (machine.gpu)
        machine.device = (DLDevice){ kDLCUDA, 0 };
    return machine.gpu;
}

/* What ends the program when it goes wrong: an example has nobody to tell. */
static void must(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "engine: %s failed\n", what);
    exit(1);
}

static float *take(size_t floats) {
    unsigned long long at = 0;
    if (machine.gpu) /* the context is current in the thread that asks, from here on */
        must(machine.cu.set_current(machine.context) == 0 && machine.cu.alloc(&at, floats * sizeof(float)) == 0,
             "allocating device memory");
    else
        at = (uintptr_t)aligned_alloc(256, (floats * sizeof(float) + 255) / 256 * 256);
    must(at != 0, "allocating");
    return (float *)(uintptr_t)at;
}

static void give(float *at) {
    if (machine.gpu)
        machine.cu.free((uintptr_t)at);
    else
        free(at);
}

static void put(float *to, const float *from, size_t floats, void *stream) {
    if (machine.gpu)
        must(machine.cu.to_device((uintptr_t)to, from, floats * sizeof *to, stream) == 0, "copying to the device");
    else
        memcpy(to, from, floats * sizeof *to);
}

/* Waits for the stream. */
static void get(float *to, const float *from, size_t floats, void *stream) {
    if (!machine.gpu) {
        memcpy(to, from, floats * sizeof *to);
        return;
    }
    must(machine.cu.to_host(to, (uintptr_t)from, floats * sizeof *to, stream) == 0, "copying from the device");
    must(machine.cu.wait(stream) == 0, "waiting for the stream");
}

static void enter_thread(void **stream) {
    *stream = NULL;
    if (!machine.gpu)
        return;
    must(machine.cu.set_current(machine.context) == 0, "setting the context");
    must(machine.cu.stream_new(stream, 1 /* non-blocking */) == 0, "making a stream");
}

/* ---- the custom operator ---------------------------------------------------------------------------------------- */

/* What an engine keeps of a layer. */
typedef struct layer {
    atomic_int calls;
} layer;

/* demo::attend(Tensor h, LayerName layer) -> Tensor: attention, of which this example has only the copying. */
static int attend(jitc_call *call, const DLTensor *h, const jitc_layer_name *name, DLTensor *out) {
    layer *l = jitc_layer_name_user(name);
    size_t bytes = (size_t)h->shape[0] * WIDTH * sizeof(float);
    char *from = (char *)h->data + h->byte_offset, *to = (char *)out->data + out->byte_offset;
    if (!l) {
        snprintf(call->error, call->error_size, "Nothing is known of layer %s.", jitc_layer_name_text(name));
        return 1;
    }
    atomic_fetch_add(&l->calls, 1);
    if (!machine.gpu)
        memcpy(to, from, bytes);
    else if (machine.cu.copy((uintptr_t)to, (uintptr_t)from, bytes, call->stream) != 0) /* in the stream's order, and capturable */
        return 1;
    return 0;
}

/* ---- the engine ------------------------------------------------------------------------------------------------- */

typedef struct engine {
    jitc_context *ctx;
    jitc_model *model;
    float *weights;
    layer layers[1];
    double prefill[3], decode[STEPS];
    jitc_status status[2]; /* of the two threads */
    char why[2][512];
} engine;

static const int64_t prefill_sizes[3] = { 16, 64, 5 };

static DLTensor tensor(float *data, int64_t *shape) {
    return (DLTensor){ .data = data, .device = machine.device, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
}

/* A frame with the weights bound and memory for MOST_TOKENS: from here on no call allocates. */
static jitc_status open_frame(engine *e, int64_t most_tokens, void *stream, jitc_frame **out) {
    int64_t shape[2] = { WIDTH, WIDTH };
    DLTensor w = tensor(e->weights, shape);
    const jitc_symbol most = { "s0", most_tokens };
    jitc_status status = jitc_frame_new(e->model, NULL, out);
    if (status == JITC_OK)
        status = jitc_frame_bind(*out, 0, 2, (jitc_value){ .tag = JITC_TENSOR, .tensor = &w });
    if (status == JITC_OK)
        status = jitc_frame_reserve(*out, &most, 1, JITC_RESERVE_GRAPHS, stream);
    return status;
}

/* The whole model, from X to Y, both the engine's. */
static jitc_status run(jitc_frame *frame, void *stream, float *x, float *y, int64_t tokens) {
    int64_t shape[2] = { tokens, WIDTH };
    DLTensor in = tensor(x, shape), out = tensor(y, shape);
    const jitc_value values[] = { { .tag = JITC_INT, .i = tokens }, { .tag = JITC_TENSOR, .tensor = &in }, { .tag = JITC_NONE } };
    jitc_value result = { .tag = JITC_TENSOR, .tensor = &out };
    return jitc_frame_run(frame, 0, stream, values, 3, &result, 1);
}

static void fill(float *x, int64_t tokens, float first, void *stream) {
    static _Thread_local float host[MOST * WIDTH];
    for (int64_t i = 0; i < tokens * WIDTH; i++)
        host[i] = first;
    put(x, host, (size_t)(tokens * WIDTH), stream);
}

static double sum(const float *y, int64_t tokens, void *stream) {
    static _Thread_local float host[MOST * WIDTH];
    double total = 0;
    get(host, y, (size_t)(tokens * WIDTH), stream);
    for (int64_t i = 0; i < tokens * WIDTH; i++)
        total += host[i];
    return total;
}

static jitc_status prefill(engine *e) {
    float *x = take(MOST * WIDTH), *y = take(MOST * WIDTH);
    void *stream;
    jitc_frame *frame;
    enter_thread(&stream);
    jitc_status status = open_frame(e, MOST, stream, &frame);
    for (int i = 0; i < 3 && status == JITC_OK; i++) {
        fill(x, prefill_sizes[i], 5, stream);
        status = run(frame, stream, x, y, prefill_sizes[i]);
        if (status == JITC_OK)
            e->prefill[i] = sum(y, prefill_sizes[i], stream);
    }
    give(x);
    give(y);
    return status;
}

/* One token after the other, all in the same memory.  Captured, a step is one launch: addresses and sizes are in the graph, and what it
   refers to stays as long as the frame. */
static jitc_status decode(engine *e) {
    float *x = take(WIDTH), *y = take(WIDTH);
    void *stream, *graph = NULL, *captured = NULL;
    jitc_frame *frame;
    enter_thread(&stream);
    jitc_status status = open_frame(e, 1, stream, &frame);
    if (status == JITC_OK && machine.gpu) {
        fill(x, 1, 0, stream);
        status = run(frame, stream, x, y, 1); /* loads what is loaded on first use */
        must(machine.cu.wait(stream) == 0 && machine.cu.begin(stream, 1 /* this thread's calls */) == 0, "beginning a capture");
        status = status == JITC_OK ? run(frame, stream, x, y, 1) : status;
        must(machine.cu.end(stream, &graph) == 0 && machine.cu.instantiate(&captured, graph, 0) == 0, "capturing");
    }
    for (int i = 0; i < STEPS && status == JITC_OK; i++) {
        fill(x, 1, (float)(5 * (i + 1)), stream);
        if (captured)
            must(machine.cu.launch(captured, stream) == 0, "replaying");
        else
            status = run(frame, stream, x, y, 1);
        if (status == JITC_OK)
            e->decode[i] = sum(y, 1, stream);
    }
    give(x);
    give(y);
    return status;
}

/* Failures wait per thread: they are read where they happened. */
static void *prefill_thread(void *arg) {
    engine *e = arg;
    e->status[0] = prefill(e);
    snprintf(e->why[0], sizeof e->why[0], "%s", jitc_context_error(e->ctx));
    return NULL;
}

static void *decode_thread(void *arg) {
    engine *e = arg;
    e->status[1] = decode(e);
    snprintf(e->why[1], sizeof e->why[1], "%s", jitc_context_error(e->ctx));
    return NULL;
}

/* ---- loading and serving ---------------------------------------------------------------------------------------- */

static void refused(void *user, const jitc_refusal *what) {
    (void)user;
    fprintf(stderr, "engine: %s:%d: %s\n", what->file, what->line, what->reason);
}

static jitc_status load(engine *e) {
    const jitc_context_options o = { .struct_size = sizeof o, .device = machine.gpu ? "cuda:0" : "host", .cache_dir = "" };
    const jitc_op_options op = { .struct_size = sizeof op };
    jitc_graph *graph = NULL;
    jitc_status status = jitc_context_new(&o, &e->ctx);
    if (status == JITC_OK)
        status = jitc_op_register(e->ctx, "demo::attend(Tensor h, LayerName layer) -> Tensor", (jitc_plain_function)attend, &op);
    if (status == JITC_OK && !jitc_layer_name_intern(e->ctx, "layers.0", &e->layers[0]))
        status = JITC_E_NOMEM;
    if (status == JITC_OK)
        status = jitc_graph_read(e->ctx, "engine", text, strlen(text), &graph);
    if (status == JITC_OK)
        status = jitc_model_explain(e->ctx, &graph, 1, NULL, refused, NULL); /* all that would not compile, before compiling */
    if (status == JITC_OK)
        status = jitc_model_build(e->ctx, &graph, 1, NULL, &e->model);
    return status;
}

static void load_weights(engine *e) {
    float host[WIDTH * WIDTH] = { 0 };
    void *stream;
    enter_thread(&stream);
    for (int i = 0; i < WIDTH; i++)
        host[i * WIDTH + i] = 2;
    e->weights = take(WIDTH * WIDTH);
    put(e->weights, host, WIDTH * WIDTH, stream);
    get(host, e->weights, 1, stream); /* both threads read them from here on */
}

static int serve(engine *e) {
    pthread_t threads[2];
    must(pthread_create(&threads[0], NULL, prefill_thread, e) == 0 && pthread_create(&threads[1], NULL, decode_thread, e) == 0,
         "starting threads");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        if (e->status[i] != JITC_OK)
            fprintf(stderr, "engine: %s: %s\n", jitc_status_text(e->status[i]), e->why[i]);
    for (int i = 0; i < 3; i++)
        printf("prefill %lld tokens: %g\n", (long long)prefill_sizes[i], e->prefill[i]);
    printf("decode %d steps:", STEPS);
    for (int i = 0; i < STEPS; i++)
        printf(" %g", e->decode[i]);
    printf("\nlayers.0 ran %d times\n", atomic_load(&e->layers[0].calls));
    return e->status[0] != JITC_OK || e->status[1] != JITC_OK;
}

int main(int argc, char **argv) {
    static engine e;
    if (argc > 1 && strcmp(argv[1], "cuda") == 0 && !open_cuda()) {
        fprintf(stderr, "engine: there is no GPU here\n");
        return 77;
    }
    jitc_status status = load(&e);
    if (status != JITC_OK) {
        fprintf(stderr, "engine: %s: %s\n", jitc_status_text(status), jitc_context_error(e.ctx));
        jitc_context_free(e.ctx);
        return 1;
    }
    load_weights(&e);
    int code = serve(&e);
    jitc_context_free(e.ctx); /* frames and the model go with it */
    give(e.weights);
    return code;
}
