/*
 * tests/fuzz/fuzz_spell.c - which rows of ir/fx/spellings.def a text has, and in which of their forms.
 *
 * By the text alone: the last part of a dotted path before a '(', with what stands before it, is a name in a form.  So nothing here
 * depends on the reader.
 */
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <string.h>

const fz_spelling fz_spellings[] = {
#define SPELL(name, forms, parameters, handler, op, aux) { #name, forms, #handler },
#include "ir/fx/spellings.def"
#undef SPELL
};
const int fz_nspellings = (int)(sizeof fz_spellings / sizeof *fz_spellings);
_Static_assert(sizeof fz_spellings / sizeof *fz_spellings <= FZ_MAX_SPELLINGS, "FZ_MAX_SPELLINGS");

bool fz_spelling_is_text(const fz_spelling *s) {
    return strcmp(s->handler, "refused") != 0 && strcmp(s->handler, "ignore") != 0;
}

static const struct {
    const char *path;
    char form;
} paths[] = {
    { "torch.nn.functional.", 'f' }, { "torch._C._nn.", 'n' },    { "torch._C._autograd.", 'g' }, { "torch._C.", 'c' },
    { "torch.ops.aten.", 'a' },      { "torch.ops.prims.", 'p' }, { "torch.ops.vllm_ir.", 'v' },  { "torch.ops.transformers.", 'x' },
    { "torch.linalg.", 'l' },        { "torch.fft.", 'y' },      { "torch.masked.", 'k' },       { "torch.signal.windows.", 's' },
           { "torch.special.", 't' },   { "torch.", 't' },
};

static bool is_row(int row, const char *name, size_t n, char form) {
    const fz_spelling *s = &fz_spellings[row];
    return strlen(s->name) == n && strncmp(s->name, name, n) == 0 && strchr(s->forms, form);
}

static void mark(const char *name, size_t n, char form, uint32_t *seen) {
    const bool in_place = n > 1 && name[n - 1] == '_';
    for (int i = 0; i < fz_nspellings; i++) {
        if (is_row(i, name, n, form))
            seen[i] |= FZ_FORM(form);
        if (in_place && is_row(i, name, n - 1, form) && strchr(fz_spellings[i].forms, 'i'))
            seen[i] |= FZ_FORM('i');
    }
}

static bool in_path(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

void fz_spellings_of(const char *text, uint32_t *seen) {
    for (const char *open = strchr(text, '('); open; open = strchr(open + 1, '(')) {
        const char *from = open;
        while (from > text && in_path(from[-1]))
            from--;
        char form = 'm';
        const char *name = memchr(from, '.', (size_t)(open - from));
        if (!name)
            continue;
        name++;
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++)
            if (strncmp(from, paths[k].path, strlen(paths[k].path)) == 0) {
                form = paths[k].form;
                name = from + strlen(paths[k].path);
                break;
            }
        mark(name, strcspn(name, ".("), form, seen);
    }
}
