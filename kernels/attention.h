/*
 * kernels/attention.h - what the families of attention share: the rows of a block, where matrices lie, the scale, and outputs.
 */
#ifndef JC_KERNEL_ATTENTION_H
#define JC_KERNEL_ATTENTION_H

#include "kernels/product.h"

typedef struct jc_attend {
    jc_env base;             /* the batch, without the head of a group: what is known here holds for all of its heads */
    jc_env shared;           /* below it, at the first head of the group: for K and V */
    LLVMValueRef first;      /* row of the block, as all rows are counted: m * group + head */
    LLVMValueRef rows, keys; /* how many there are of all blocks: M * group; S */
    LLVMValueRef begin, end; /* the keys that are the block's: of all, or of its part */
    LLVMValueRef scale;      /* of ACC's type */
    LLVMValueRef mask_step;  /* from key to key; NULL: no mask */
    LLVMTypeRef index;       /* of all of these: i64 on the host, i32 elsewhere */
} jc_attend;

/* BLOCK: i32 or i64. */
void jc_attend_place(jc_emit *e, jc_attend *t, LLVMValueRef block);
/* ENV is where row R lies (batch, head, m); gives m. */
LLVMValueRef jc_attend_row(jc_attend *t, jc_env *env, LLVMValueRef r);
/* The element (i64) that matrix X has at row I, column 0. */
LLVMValueRef jc_attend_element(jc_env *env, const jc_matrix *x, LLVMValueRef i);
/* What the mask makes of SCORE by the element at key S, where it has that of key 0 at FROM: minus infinity, or a sum, SCORE being counted
   in 1/PER. */
LLVMValueRef jc_attend_masked(jc_attend *t, LLVMValueRef from, LLVMValueRef s, LLVMValueRef score, double per);
/* How many keys the rows before row END (of all rows, not within the block) see. */
LLVMValueRef jc_attend_seen(jc_attend *t, LLVMValueRef end);
LLVMValueRef jc_attend_min(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
/* The greater, or the one that is no NaN. */
LLVMValueRef jc_attend_max(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
/* 1/SUM, and 0 where that is 0. */
LLVMValueRef jc_attend_share(jc_emit *e, LLVMValueRef sum);

#endif
