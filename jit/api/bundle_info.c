/*
 * jit/api/bundle_info.c - what a bundle holds: targets and their needs, custom operators, classes.
 */
#include "jit/api/bundle.h"

#include <string.h>

#include "jit/api/operators.h"
#include "jit/asm/code_needs.h"

/* --- targets --- */

/* As jc_target_parse() reads it. */
static const char *arch_of(const jc_target *t, jc_arena *arena) {
    if (t->dialect == JC_DIALECT_HOST)
        return "host";
    return jc_arena_printf(arena, "%ssm_%u%.1s", t->dialect == JC_DIALECT_SIM ? "sim:" : "", t->sm, t->suffix ? &t->suffix : "");
}

/* What kinds of code are called among the counts of a target, and what one needs. */
static void add_code(jitc_bundle_target *t, const jc_code *c, bool *unknown) {
    uint32_t driver = 0, toolkit;
    t->kernels++;
    switch (c->kind) {
    case JC_CODE_OBJECT:
        t->objects++;
        return;
    case JC_CODE_PTX:
        t->ptx++;
        driver = jc_ptx_cuda(c->bytes, c->nbytes);
        break;
    default:
        t->cubins++;
        toolkit = jc_cubin_toolkit(c->bytes, c->nbytes);
        t->cuda_toolkit = toolkit > t->cuda_toolkit ? toolkit : t->cuda_toolkit;
        driver = jc_toolkit_driver(toolkit);
    }
    *unknown |= driver == 0;
    t->cuda_driver = driver > t->cuda_driver ? driver : t->cuda_driver;
}

static jitc_status describe_target(const jitc_bundle *b, uint32_t target, jitc_bundle_target *out, jc_error *err) {
    static const char *const devices[] = { [JC_DIALECT_HOST] = "host", [JC_DIALECT_NVPTX] = "cuda", [JC_DIALECT_SIM] = "sim" };
    const jc_target *t = &b->file.needs.targets[target];
    const jitc_model *m = b->models[target];
    jc_map *seen = jc_map_new(b->arena);
    bool unknown = false;
    *out = (jitc_bundle_target){ .struct_size = sizeof *out, .arch = arch_of(t, b->arena), .device = devices[t->dialect],
                                 .cpu = t->dialect == JC_DIALECT_NVPTX ? "" : t->cpu };
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++) {
            const jc_request *r = &m->classes[i].variants[v].request;
            jc_artifact a;
            JC_TRY(jc_artifact_decode(r->artifact, r->nartifact, b->arena, &a, err));
            out->variants++;
            for (uint32_t k = 0; k < a.ncodes; k++) {
                if (jc_map_get(seen, &a.codes[k].key, sizeof a.codes[k].key))
                    continue;
                jc_map_set(seen, jc_arena_memdup(b->arena, &a.codes[k].key, sizeof a.codes[k].key), sizeof a.codes[k].key, out);
                add_code(out, &a.codes[k], &unknown);
            }
        }
    if (unknown)
        out->cuda_driver = 0;
    return JITC_OK;
}

/* --- operators --- */

typedef JC_VEC(jitc_bundle_operator) operators;

static void add_call(const jitc_bundle *b, const jc_piece *first, uint32_t members, const jc_node *n, operators *list) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].name, n->target) == 0) {
            list->at[i].calls += members;
            return;
        }
    int node = n->line - 1; /* in a class lines are numbers of nodes */
    jitc_bundle_operator op = {
        .struct_size = sizeof op,
        .name = n->target,
        .schema = jc_node_schema(n, b->arena),
        .calls = members,
        .piece = first->func->name,
        .line = node >= 0 && (uint32_t)node < first->canon.nnodes ? first->canon.nodes[node]->line : first->func->line,
    };
    jc_push(b->arena, list, op);
}

static jitc_status describe_operators(jitc_bundle *b, jc_error *err) {
    const jitc_model *m = b->models[0]; /* the same for all targets */
    operators list = { 0 };
    for (uint32_t i = 0; i < m->nclasses; i++) {
        const jc_piece *first = &m->pieces[m->classes[i].first];
        jc_graph *g;
        JC_TRY(jc_canon_decode(first->canon.bytes, first->canon.nbytes, b->arena, &g, err));
        for (size_t k = 0; k < g->root->nodes.n; k++)
            if (g->root->nodes.at[k]->op == JC_OP_custom)
                add_call(b, first, m->classes[i].members, g->root->nodes.at[k], &list);
    }
    b->operators = list.at;
    b->info.noperators = (uint32_t)list.n;
    return JITC_OK;
}

/* --- the whole --- */

jitc_status jc_bundle_describe(jitc_bundle *b, jc_error *err) {
    const jc_bundle_requires *q = &b->file.needs;
    const jitc_model *m = b->models[0];
    b->info = (jitc_bundle_info){
        .struct_size = sizeof b->info,
        .name = b->info.name,
        .bytes = b->bytes.n,
        .format = q->min_version,
        .reads = JC_BUNDLE_VERSION,
        .codegen_id = q->codegen_id,
        .llvm_version = q->llvm_version,
        .ntargets = q->ntargets,
        .ngraphs = m->ngraphs,
        .npieces = m->npieces,
        .nclasses = m->nclasses,
    };
    b->targets = JC_NEWN(b->arena, jitc_bundle_target, q->ntargets);
    for (uint32_t i = 0; i < q->ntargets; i++)
        JC_TRY(describe_target(b, i, &b->targets[i], err));
    return describe_operators(b, err);
}

/* --- the public calls --- */

/* ROW, one of N such, into the caller's struct, whose size is its first field. */
static jitc_status give(const jitc_bundle *b, const void *rows, size_t size, uint32_t row, uint32_t n, const char *what, void *out) {
    jc_error err = JC_ERROR_INIT;
    if (row >= n)
        return jc_context_done(b->ctx, jc_fail(&err, JITC_E_USAGE, "%s %u of a bundle with %u", what, row, n), &err);
    jc_give_struct(out, (const char *)rows + row * size, size);
    return JITC_OK;
}

jitc_status jitc_bundle_get_info(const jitc_bundle *bundle, jitc_bundle_info *out) {
    JC_NEED(NULL, bundle);
    JC_NEED(bundle->ctx, out);
    return give(bundle, &bundle->info, sizeof bundle->info, 0, 1, "info", out);
}

jitc_status jitc_bundle_get_target(const jitc_bundle *bundle, uint32_t target, jitc_bundle_target *out) {
    JC_NEED(NULL, bundle);
    JC_NEED(bundle->ctx, out);
    return give(bundle, bundle->targets, sizeof *bundle->targets, target, bundle->info.ntargets, "target", out);
}

jitc_status jitc_bundle_get_operator(const jitc_bundle *bundle, uint32_t op, jitc_bundle_operator *out) {
    JC_NEED(NULL, bundle);
    JC_NEED(bundle->ctx, out);
    return give(bundle, bundle->operators, sizeof *bundle->operators, op, bundle->info.noperators, "operator", out);
}

jitc_status jitc_bundle_executable(jitc_bundle *bundle, uint32_t target, uint32_t cls, const jitc_executable **out) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, bundle);
    JC_NEED(bundle->ctx, out);
    *out = NULL;
    if (target >= bundle->info.ntargets)
        return jc_context_done(bundle->ctx, jc_fail(&err, JITC_E_USAGE, "target %u of a bundle with %u", target,
                                                    bundle->info.ntargets), &err);
    return jitc_model_executable(bundle->models[target], cls, out);
}
