/*
 * jit/api/operators.h - schemas of custom operators, as their calls in a graph show them.
 */
#ifndef JC_OPERATORS_H
#define JC_OPERATORS_H

#include "ir/graph.h"

/* A schema that would take call N of a custom operator, in ARENA. */
const char *jc_node_schema(const jc_node *n, jc_arena *arena);

#endif
