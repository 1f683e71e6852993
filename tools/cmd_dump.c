/*
 * tools/cmd_dump.c - `jitc dump`: the stages between text and cubin.
 *
 *   of the graphs     text, graph, split
 *   of each class     canonical, decomposed, fused, plan
 *   of each kernel    llvm, ptx, cubin
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "jit/asm/assemble.h"
#include "jit/sched/schedule.h"
#include "ir/pt2/pt2.h"
#include "tools/tool.h"

/* id, name, printer */
#define STAGES(X)                                                                                  \
    X(TEXT, "text", NULL)                                                                          \
    X(GRAPH, "graph", NULL)                                                                        \
    X(SPLIT, "split", NULL)                                                                        \
    X(CANONICAL, "canonical", put_canonical)                                                       \
    X(DECOMPOSED, "decomposed", put_decomposed)                                                    \
    X(FUSED, "fused", put_fused)                                                                   \
    X(PLAN, "plan", put_plan)                                                                      \
    X(LLVM, "llvm", put_kernels)                                                                   \
    X(PTX, "ptx", put_kernels)                                                                     \
    X(CUBIN, "cubin", put_kernels)
typedef enum stage {
#define STAGE_ENUM(id, name, put) STAGE_##id,
    STAGES(STAGE_ENUM)
#undef STAGE_ENUM
    STAGE_COUNT
} stage;

typedef struct part {
    char *name; /* kernel; NULL: text that stands alone */
    const uint8_t *at;
    size_t n;
} part;

typedef struct dump {
    tool *t;
    const char *arch;
    stage stage;
    jitc_model *m;
    const jc_class *cls;
    uint32_t index;   /* its number */
    const jc_request *range; /* the variant's: its ranges count, nothing has been compiled */
    jc_schedule schedule;
    jc_bytes out;     /* text so far */
    JC_VEC(part) parts; /* kernels */
    jc_map *seen;     /* kernels, by key */
} dump;

/* --- classes --- */

static jitc_status put_canonical(dump *d, jc_error *err) {
    return tool_put_canonical(d->t, d->m, d->index, &d->out, err);
}

static jitc_status schedule(dump *d, jc_error *err) {
    return tool_schedule(d->t, d->m, d->index, d->range, &d->schedule, err);
}

static jitc_status put_decomposed(dump *d, jc_error *err) {
    return tool_put_decomposed(d->t, d->m, d->index, &d->out, err);
}

static jitc_status put_fused(dump *d, jc_error *err) {
    JC_TRY(schedule(d, err));
    tool_put_kernels(&d->schedule, &d->out);
    return JITC_OK;
}

static jitc_status put_plan(dump *d, jc_error *err) {
    JC_TRY(schedule(d, err));
    jc_plan_print(d->schedule.plan, &d->out);
    return JITC_OK;
}

/* --- kernels --- */

static jitc_status compile(dump *d, uint32_t i, part *out, jc_error *err) {
    const jc_backend *b;
    jc_arena *arena = d->t->arena;
    jc_bytes kernel = JC_BYTES(arena);
    char *ir = NULL;
    JC_TRY(jc_backend_open(&b, err));
    jc_kernel_encode(d->schedule.kernels[i], &kernel);
    JC_TRY(b->compile(kernel.at, kernel.n, d->schedule.plan->kernels[i].name, &d->m->target, arena, &out->at, &out->n,
                      d->stage == STAGE_LLVM ? &ir : NULL, err));
    if (d->stage == STAGE_LLVM && ir)
        *out = (part){ .at = (uint8_t *)ir, .n = strlen(ir) };
    else if (d->stage == STAGE_CUBIN)
        return jc_assemble((const char *)out->at, out->n, &d->m->target, arena, &out->at, &out->n, err);
    else if (out->n && !out->at[out->n - 1])
        out->n = strlen((const char *)out->at);
    return JITC_OK;
}

static jitc_status put_kernels(dump *d, jc_error *err) {
    JC_TRY(schedule(d, err));
    for (uint32_t i = 0; i < d->schedule.nkernels; i++) {
        const jc_plan_kernel *k = &d->schedule.plan->kernels[i];
        part p = { 0 };
        if (jc_map_get(d->seen, k->key.b, sizeof k->key.b) || (d->t->o.kernel && strcmp(d->t->o.kernel, k->name) != 0))
            continue;
        JC_TRY(compile(d, i, &p, err));
        p.name = jc_arena_strdup(d->t->arena, k->name);
        jc_map_set(d->seen, k->key.b, sizeof k->key.b, p.name);
        jc_push(d->t->arena, &d->parts, p);
    }
    return JITC_OK;
}

static const struct {
    const char *name;
    jitc_status (*put)(dump *d, jc_error *err);
} stages[STAGE_COUNT] = {
#define STAGE_ROW(id, name, put) { name, put },
    STAGES(STAGE_ROW)
#undef STAGE_ROW
};

/* --- writing --- */

static bool is_directory(const char *path) {
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static jitc_status write_parts(dump *d, jc_error *err) {
    tool *t = d->t;
    const char *to = t->o.output;
    if (d->parts.n == 0)
        return jc_fail(err, JITC_E_USAGE, "there is no kernel%s%s", t->o.kernel ? " " : " in it",
                       t->o.kernel ? t->o.kernel : "");
    if (is_directory(to)) {
        for (size_t i = 0; i < d->parts.n; i++)
            JC_TRY(tool_write(jc_arena_printf(t->arena, "%s/%s.%s", to, d->parts.at[i].name,
                                                 d->stage == STAGE_LLVM ? "ll" : stages[d->stage].name),
                              d->parts.at[i].at, d->parts.at[i].n, err));
        return JITC_OK;
    }
    if (d->stage == STAGE_CUBIN && d->parts.n > 1)
        return jc_fail(err, JITC_E_USAGE, "there are %zu kernels: choose one with --kernel %s, or give a directory with -o",
                       d->parts.n, d->parts.at[0].name);
    for (size_t i = 0; i < d->parts.n; i++)
        jc_put(&d->out, d->parts.at[i].at, d->parts.at[i].n);
    return tool_write(to, d->out.at, d->out.n, err);
}

static json_t *dump_json(const dump *d) {
    json_t *out = tool_json_new(), *kernels = json_array();
    char target[64];
    tool_set(out, "stage", tool_text(stages[d->stage].name));
    if (d->m) {
        jc_target_text(&d->m->target, target);
        tool_set(out, "arch", tool_text(target));
    }
    if (d->out.n)
        tool_set(out, "text", json_stringn((const char *)d->out.at, d->out.n));
    for (size_t i = 0; i < d->parts.n; i++) {
        json_t *k = json_object();
        tool_set(k, "name", tool_text(d->parts.at[i].name));
        tool_set(k, "bytes", json_integer((json_int_t)d->parts.at[i].n));
        if (d->stage != STAGE_CUBIN)
            tool_set(k, "text", json_stringn((const char *)d->parts.at[i].at, d->parts.at[i].n));
        json_array_append_new(kernels, k);
    }
    if (stages[d->stage].put == put_kernels)
        tool_set(out, "kernels", kernels);
    else
        json_decref(kernels);
    return out;
}

static int finish(dump *d) {
    jc_error err = JC_ERROR_INIT;
    if (d->t->o.json)
        return tool_json(d->t, dump_json(d), 0);
    if (stages[d->stage].put == put_kernels)
        TOOL_TRY(d->t, &err, write_parts(d, &err));
    else
        TOOL_TRY(d->t, &err, tool_write(d->t->o.output, d->out.at, d->out.n, &err));
    return 0;
}

/* --- the stages --- */

static jitc_status no_text(const char *path, jc_error *err) {
    return jc_fail_at(err, JITC_E_USAGE, path, 0, 0, NULL, "an archive holds no text; --stage=graph shows what is read of it");
}

static jitc_status put_text(dump *d, jc_error *err) {
    tool *t = d->t;
    for (size_t i = 0; i < t->o.files.n; i++) {
        const char *path = t->o.files.at[i];
        char block[65536];
        size_t n;
        if (strcmp(path, "-") == 0) {
            if (jc_pt2_is(t->texts[i], t->lengths[i]))
                return no_text(path, err);
            jc_put(&d->out, t->texts[i], t->lengths[i]);
            continue;
        }
        FILE *f = fopen(path, "rbe");
        if (!f)
            return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot open the file: %s", strerror(errno));
        n = fread(block, 1, sizeof block, f);
        const bool archive = jc_pt2_is(block, n);
        for (; n > 0 && !archive; n = fread(block, 1, sizeof block, f))
            jc_put(&d->out, block, n);
        fclose(f);
        if (archive)
            return no_text(path, err);
    }
    return JITC_OK;
}

static void put_graphs(dump *d, jitc_graph **graphs) {
    for (size_t i = 0; i < d->t->o.files.n; i++) {
        if (d->t->o.files.n > 1)
            jc_put_text(&d->out, "# %s\n", graphs[i]->g->file);
        jc_graph_print(graphs[i]->g, &d->out);
    }
}

static void put_split(dump *d) {
    for (uint32_t i = 0; d->t->o.piece && i < d->m->npieces; i++)
        if (strcmp(d->m->pieces[i].func->name, d->t->o.piece) == 0)
            jc_func_print(d->m->pieces[i].func, &d->out);
    if (!d->t->o.piece)
        put_graphs(d, d->m->graphs);
}

/* The class of --piece, or every class. */
static bool wanted(const dump *d, uint32_t cls) {
    if (!d->t->o.piece)
        return true;
    for (uint32_t i = 0; i < d->m->npieces; i++)
        if (d->m->pieces[i].cls == cls && strcmp(d->m->pieces[i].func->name, d->t->o.piece) == 0)
            return true;
    return false;
}

static void put_head(dump *d, uint32_t cls, const jc_canon *canon) {
    char key[2 * JC_HASH_SIZE + 1];
    jc_hash_hex(&canon->hash, key);
    jc_put_text(&d->out, "# class %u, %s: %u member%s, first %s\n", cls, key, d->cls->members,
                d->cls->members == 1 ? "" : "s", tool_class_name(d->m, cls));
    for (uint32_t i = 0; i < canon->nsyms && d->cls->nvariants > 1 && d->stage >= STAGE_FUSED; i++)
        jc_put_text(&d->out, "# s%u in %lld:%lld\n", i, (long long)d->range->lo[i], (long long)d->range->hi[i]);
}

static jitc_status put_class(dump *d, uint32_t cls, jc_error *err) {
    d->cls = &d->m->classes[cls];
    d->index = cls;
    const jc_canon *canon = &d->m->pieces[d->cls->first].canon;
    for (uint32_t v = 0; v < (d->stage >= STAGE_FUSED ? d->cls->nvariants : 1); v++) {
        d->range = &d->cls->variants[v].request;
        if (stages[d->stage].put != put_kernels)
            put_head(d, cls, canon);
        JC_TRY(stages[d->stage].put(d, err));
    }
    return JITC_OK;
}

static int put_classes(dump *d) {
    jc_error err = JC_ERROR_INIT;
    uint32_t n = 0;
    if (d->stage >= STAGE_PTX && !jc_target_is_gpu(&d->m->target))
        jc_fail(&err, JITC_E_USAGE, "--stage=%s needs a GPU to compile for: --arch sm_90a", stages[d->stage].name);
    for (uint32_t i = 0; i < d->m->nclasses && err.status == JITC_OK; i++)
        if (wanted(d, i)) {
            n++;
            put_class(d, i, &err);
        }
    if (err.status == JITC_OK && n == 0)
        jc_fail(&err, JITC_E_USAGE, "there is no piece '%s'; jitc split lists them", d->t->o.piece);
    if (err.status == JITC_E_UNSUPPORTED)
        tool_place_refusal(d->t, d->arch, &err);
    return err.status == JITC_OK ? finish(d) : tool_fail(d->t, &err);
}

static jitc_status find_stage(const tool *t, stage *out, jc_error *err) {
    if (!t->o.stage)
        return jc_fail(err, JITC_E_USAGE, "jitc dump needs --stage=text|graph|split|canonical|decomposed|fused|plan|llvm|ptx|cubin");
    for (*out = 0; *out < STAGE_COUNT; (*out)++)
        if (strcmp(stages[*out].name, t->o.stage) == 0)
            return JITC_OK;
    return jc_fail(err, JITC_E_USAGE, "there is no stage '%s'; there are text, graph, split, canonical, decomposed, fused, "
                   "plan, llvm, ptx and cubin", t->o.stage);
}

int cmd_dump(tool *t) {
    jc_error err = JC_ERROR_INIT;
    dump d = { .t = t, .out = JC_BYTES(t->arena), .seen = jc_map_new(t->arena) };
    jitc_graph **graphs;
    d.arch = "host";
    TOOL_TRY(t, &err, find_stage(t, &d.stage, &err));
    int code = tool_open(t, false);
    if (code || (code = tool_read(t, &graphs)))
        return code;
    if (d.stage == STAGE_TEXT)
        TOOL_TRY(t, &err, put_text(&d, &err));
    if (d.stage == STAGE_GRAPH)
        put_graphs(&d, graphs);
    if (d.stage <= STAGE_GRAPH)
        return finish(&d);
    if (d.stage > STAGE_CANONICAL)
        TOOL_TRY(t, &err, tool_arch(t, &d.arch, &err));
    if ((code = tool_model(t, graphs, (uint32_t)t->o.files.n, &(tool_build){ .arch = d.arch, .split_only = true }, &d.m)))
        return code;
    if (d.stage == STAGE_SPLIT) {
        put_split(&d);
        return finish(&d);
    }
    return put_classes(&d);
}
