/*
 * tests/large_graphs.h - graphs of any number of nodes, of the kinds that once took minutes, or never ended.
 */
#ifndef LARGE_GRAPHS_H
#define LARGE_GRAPHS_H

#include <stdio.h>

typedef struct large_graph {
    const char *name;
    void (*body)(FILE *f, int n);
} large_graph;
extern const large_graph large_graphs[];
extern const unsigned nlarge_graphs;

/* The text of the graph NAME with some N nodes; malloc'd.  NULL: there is no such graph. */
char *large_text(const char *name, int n);

#endif
