/*
 * kernels/host_rows.c - host: a loop over the points of a call's blocks, row by row; the first and the last row may be parts.
 */
#include "kernels/host_rows.h"

jc_host_rows jc_host_rows_begin(jc_emit *e, LLVMValueRef all, LLVMValueRef columns, const char *what) {
    const int64_t per_block = (int64_t)e->k->threads * e->k->vec * e->k->unroll;
    jc_host_rows r;
    LLVMValueRef begin = LLVMBuildNSWMul(e->b, e->first, jc_i64(e, per_block), "");
    LLVMValueRef end = LLVMBuildNSWMul(e->b, e->last, jc_i64(e, per_block), "");
    end = jc_name(e, jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, end, all, ""), end, all), "%s.last", what);
    r.loop = jc_for_begin(e, begin, end, jc_i64(e, 0), what);
    LLVMValueRef left = LLVMBuildNSWSub(e->b, end, r.loop.i, "");
    jc_emit_divmod(e, r.loop.i, columns, &r.number, &r.from);
    jc_name(e, r.number, "row");
    LLVMValueRef rest = LLVMBuildNSWSub(e->b, columns, r.from, "");
    r.loop.step = jc_name(e, jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, rest, left, ""), rest, left), "%s.step", what);
    r.to = LLVMBuildNSWAdd(e->b, r.from, r.loop.step, "column.last");
    return r;
}

void jc_host_rows_end(jc_emit *e, jc_host_rows *rows) {
    jc_for_end(e, &rows->loop);
}
