/*
 * kernels/host_rows.h - host: the points of a call's blocks, row by row.
 */
#ifndef JC_HOST_ROWS_H
#define JC_HOST_ROWS_H

#include "kernels/family.h"

typedef struct jc_host_rows {
    jc_for loop;
    LLVMValueRef number;   /* of the row at hand */
    LLVMValueRef from, to; /* its columns that belong to the blocks */
} jc_host_rows;

/* A loop over ALL points, in rows of COLUMNS, as far as they lie in blocks [first, last) of threads*vec*unroll points.  WHAT names its values. */
jc_host_rows jc_host_rows_begin(jc_emit *e, LLVMValueRef all, LLVMValueRef columns, const char *what);
void jc_host_rows_end(jc_emit *e, jc_host_rows *rows);

#endif
