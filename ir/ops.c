/*
 * ir/ops.c - the table of operators, expanded from ops.def.
 */
#include "ir/graph.h"

/* How many words the signature S has. */
#define SPACE(s, i) (sizeof(s) > (i) && (s)[sizeof(s) > (i) ? (i) : 0] == ' ')
#define WORDS(s)                                                                                   \
    ((sizeof(s) > 1) + SPACE(s, 1) + SPACE(s, 2) + SPACE(s, 3) + SPACE(s, 4) + SPACE(s, 5) + SPACE(s, 6) +     \
     SPACE(s, 7) + SPACE(s, 8) + SPACE(s, 9) + SPACE(s, 10) + SPACE(s, 11) + SPACE(s, 12) + SPACE(s, 13) +     \
     SPACE(s, 14) + SPACE(s, 15))

const jc_op_info jc_ops[JC_OP_COUNT] = {
#define OP(id, sig, results, traits, ...) { #id, sig, traits, WORDS(sig), results },
#include "ir/ops.def"
};

#define OP(id, sig, results, ...)                                                                  \
    _Static_assert(sizeof(sig) <= 17, "WORDS() looks at 16 characters");                           \
    _Static_assert((results) <= JC_MAX_RESULTS || (results) == JC_AS_CALLED, "too many results");
#include "ir/ops.def"
