/*
 * ir/pt2/pt2_priv.h - the state of one reading, and what the files of this folder ask of each other.
 *
 * The JSON trees outlive the reading; names and texts that point into them are borrowed.  Failure is sticky, as in ir/fx/fx_ast.h: after one
 * pt2_ast() and all that builds on it still give something, and callers check where it matters.
 */
#ifndef JC_PT2_PRIV_H
#define JC_PT2_PRIV_H

#include <jansson.h>

#include "ir/fx/fx_build.h"
#include "ir/pt2/pt2_zip.h"

typedef struct pt2 {
    fx_reader *r;
    const json_t *model;     /* models/X.json */
    const json_t *graph;     /* the graph at hand: the whole one, or one that is written out in its place */
    const char *scope;       /* goes before the names of such a one; "" for the whole */
    uint32_t depth;          /* of such ones */
    uint32_t at;             /* number of the node at hand; 0: before the first */
    fx_stmt **tail;          /* of the statements so far */
} pt2;

/* --- pt2_arg.c --- */
fx_ast *pt2_ast(pt2 *p, fx_ast_kind kind);
void pt2_append(fx_ast *list, fx_ast ***tail, fx_ast *item);
fx_ast *pt2_refused(pt2 *p, const char *format, ...) JC_PRINTF(2, 3);
fx_ast *pt2_path(pt2 *p, const char *path);
/* What the graph at hand calls NAME. */
fx_name *pt2_name(pt2 *p, const char *name);
fx_ast *pt2_name_ast(pt2 *p, const char *name);
/* An argument of a node, a union: {"as_tensor": {"name": "x"}}. */
fx_ast *pt2_arg(pt2 *p, const json_t *arg);
/* A union's tag and value; NULL after a failure. */
const char *pt2_union(pt2 *p, const json_t *u, const json_t **value);
/* PyTorch's name of a dtype by its number in the schema; NULL: unknown. FOREIGN: a name where it is not one of ours. */
int pt2_dtype(int64_t number, const char **foreign);

/* What has to be there: NULL after a failure, which says that WHAT lacks KEY. */
const char *pt2_string(pt2 *p, const json_t *o, const char *key, const char *what);
const json_t *pt2_list(pt2 *p, const json_t *o, const char *key, const char *what);
const json_t *pt2_object(pt2 *p, const json_t *o, const char *key, const char *what);

/* --- pt2_expr.c --- */
/* Sympy's srepr, into the graph's table; NULL after a failure. */
const jc_expr *pt2_srepr(pt2 *p, const char *text);
/* The same of a SymInt: {"as_int": 3} or {"as_expr": {"expr_str": ...}}. */
const jc_expr *pt2_sym_int(pt2 *p, const json_t *value);

/* --- pt2_type.c --- */
#define PT2_STRIDED 7 /* of the schema's layouts, the one that is read */
/* Annotations of what the graph at hand calls NAME, by the tag of its argument; NULL: there is none, or a failure. */
fx_name *pt2_note(pt2 *p, const char *tag, const char *name);

/* --- pt2_graph.c --- */
void pt2_build(pt2 *p);
/* The folder of PROGRAM's signature that says what its inputs or outputs ("input_specs") are. */
const json_t *pt2_specs(pt2 *p, const char *key);

/* --- pt2_guard.c --- */
/* Ranges and guards of the program to the root's conditions. */
void pt2_guards(pt2 *p);

/* --- pt2_weights.c --- */
/* Where the values of parameters, buffers and constants lie, as WEIGHTS and CONSTANTS (NULL: there is no such entry) tell. */
jitc_status pt2_weights(jc_graph *g, const json_t *model, const jc_zip *z, const json_t *weights, const json_t *constants,
                        jc_error *err);

#endif
