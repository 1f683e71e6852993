#include "base/words.h"

#include <string.h>

unsigned jc_words_apart(const char *a, const char *b) {
    size_t n = strlen(b);
    unsigned line[64];
    if (n >= 64)
        return 64;
    for (size_t j = 0; j <= n; j++)
        line[j] = (unsigned)j;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = diagonal + (*a != b[j - 1]);
            best = line[j] + 1 < best ? line[j] + 1 : best;
            best = line[j - 1] + 1 < best ? line[j - 1] + 1 : best;
            diagonal = line[j];
            line[j] = best;
        }
    }
    return line[n];
}
