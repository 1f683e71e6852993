/*
 * examples/ops_rotary.c - rotary embedding, in place.
 */
#include "ops_tiny.h"

/* Rotates the first 2*half elements at X by a row of the table: halves (neox) or pairs. */
static void rotate(double *x, const double *row, int64_t half, bool neox) {
    for (int64_t k = 0; k < half; k++) {
        double *a = neox ? &x[k] : &x[2 * k], *b = neox ? &x[half + k] : &x[2 * k + 1];
        double c = row[k], s = row[half + k], x1 = *a, x2 = *b;
        *a = x1 * c - x2 * s;
        *b = x2 * c + x1 * s;
    }
}

static void rotate_heads(tiny_scratch *s, DLTensor *t, const tiny_array *positions, const tiny_array *table,
                         int64_t head, bool neox) {
    tiny_array x = tiny_load(s, t);
    int64_t width = tiny_dim(table, 0), rows = table->n / (width ? width : 1);
    if (!tiny_expect(s, x.at && head > 0 && positions->n > 0 && x.n % (positions->n * head) == 0 && width <= head,
                     "Rotary embedding needs whole heads, one row of them per position."))
        return;
    int64_t heads = x.n / positions->n / head;
    for (int64_t i = 0; i < positions->n * heads; i++) {
        int64_t at = (int64_t)positions->at[i / heads];
        if (!tiny_expect(s, at >= 0 && at < rows, "A position is outside the table of angles."))
            return;
        rotate(x.at + i * head, tiny_row(table, at, width), width / 2, neox);
    }
    tiny_store(s, t, x.at, x.n);
}

static int rotary_embedding(jitc_call *call, const DLTensor *positions, DLTensor *query, DLTensor *key, int64_t head_size,
                            const DLTensor *cos_sin_cache, bool is_neox) {
    tiny_scratch s = { .call = call };
    tiny_array p = tiny_load(&s, positions), table = tiny_load(&s, cos_sin_cache);
    if (!s.failed && p.n > 0) {
        rotate_heads(&s, query, &p, &table, head_size, is_neox);
        if (key)
            rotate_heads(&s, key, &p, &table, head_size, is_neox);
    }
    return tiny_end(&s);
}

static int rotary_embedding_frame(jitc_call *c) {
    return rotary_embedding(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), tiny_int(c, 3), tiny_tensor(c, 4),
                            tiny_int(c, 5) != 0);
}

const tiny_op tiny_rotary_ops[] = {
    { "_C::rotary_embedding(Tensor positions, Tensor(a1!) query, Tensor(a2!)? key, int head_size, Tensor cos_sin_cache, "
      "bool is_neox) -> ()",
      TINY_PLAIN(rotary_embedding), rotary_embedding_frame, 1 << 1 | 1 << 2 },
    { 0 },
};
