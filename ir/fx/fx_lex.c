/*
 * ir/fx/fx_lex.c - characters to tokens, names interned once.
 *
 * One pass, nothing allocated per token: a name is hashed where it stands and looked up in a table of all distinct
 * names of the file, comments are skipped by memchr, line numbers are counted as newlines go by, columns are worked out
 * only when something failed.  `torch.` and what follows it without a blank is one token, since such paths are most of
 * what a graph calls.  Inside brackets newlines count as blanks, as in Python.
 *
 * What does not belong here: the meaning of indentation (nested classes are told by their column, in fx_parse.c).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr, strtod_l */
#endif
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "ir/fx/fx_ast.h"

enum { BAD, BLANK, LINE, ALPHA, DIGIT, QUOTE, NOTE, SLASH, PUNCT, OPERATOR };

/* Classes of the first character of a token. */
static const uint8_t first_class[256] = {
    ['\t'] = BLANK, [' '] = BLANK, ['\r'] = BLANK, ['\f'] = BLANK, ['\n'] = LINE, ['#'] = NOTE,
    ['\\'] = SLASH, ['\''] = QUOTE, ['"'] = QUOTE, ['0' ... '9'] = DIGIT,
    ['a' ... 'z'] = ALPHA, ['A' ... 'Z'] = ALPHA, ['_'] = ALPHA,
    ['('] = PUNCT, [')'] = PUNCT, ['['] = PUNCT, [']'] = PUNCT, ['{'] = PUNCT, ['}'] = PUNCT,
    [','] = PUNCT, [':'] = PUNCT, [';'] = PUNCT, ['.'] = PUNCT, ['='] = PUNCT, ['~'] = PUNCT, ['!'] = PUNCT,
    ['+'] = OPERATOR, ['-'] = OPERATOR, ['*'] = OPERATOR, ['/'] = OPERATOR, ['%'] = OPERATOR, ['@'] = OPERATOR,
    ['&'] = OPERATOR, ['|'] = OPERATOR, ['^'] = OPERATOR, ['<'] = OPERATOR, ['>'] = OPERATOR,
};

/* Characters of a name. */
static const uint8_t in_name[256] = {
    ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1, ['_'] = 1,
};

static const struct {
    const char text[8];
    uint8_t keyword;
} keywords[] = {
    { "class", FX_KW_CLASS }, { "def", FX_KW_DEF },       { "return", FX_KW_RETURN }, { "del", FX_KW_DEL },
    { "pass", FX_KW_PASS },   { "import", FX_KW_IMPORT }, { "from", FX_KW_FROM },     { "None", FX_KW_NIL },
    { "True", FX_KW_TRUE },   { "False", FX_KW_FALSE },   { "if", FX_KW_OTHER },      { "else", FX_KW_OTHER },
    { "elif", FX_KW_OTHER },  { "for", FX_KW_OTHER },     { "while", FX_KW_OTHER },   { "and", FX_KW_OTHER },
    { "or", FX_KW_OTHER },    { "not", FX_KW_OTHER },     { "in", FX_KW_OTHER },      { "is", FX_KW_OTHER },
    { "lambda", FX_KW_OTHER }, { "with", FX_KW_WITH },    { "try", FX_KW_OTHER },     { "assert", FX_KW_OTHER },
    { "global", FX_KW_OTHER }, { "yield", FX_KW_OTHER },  { "raise", FX_KW_OTHER },   { "await", FX_KW_OTHER },
};

/* Asked once for each distinct name. */
static uint8_t keyword_of(const char *text, size_t length) {
    if (length < 2 || length > 6)
        return FX_KW_NONE;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (keywords[i].text[0] == text[0] && !keywords[i].text[length] &&
            memcmp(keywords[i].text, text, length) == 0)
            return keywords[i].keyword;
    return FX_KW_NONE;
}

/* --- failure --- */

int fx_line_of(const fx_reader *r, uint32_t at) {
    int line = 1;
    if (r->numbered)
        return (int)at;
    for (const char *p = r->text, *end = r->text + at; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        line++;
    return line;
}

int fx_column_of(const fx_reader *r, uint32_t at) {
    if (r->numbered)
        return 0;
    const char *line = at ? memrchr(r->text, '\n', at) : NULL;
    return (int)(r->text + at - (line ? line + 1 : r->text)) + 1;
}

void fx_fail(fx_reader *r, jitc_status status, uint32_t at, const char *format, ...) {
    if (r->status != JITC_OK)
        return;
    r->status = status;
    at = r->within ? r->within - 1 : at;
    r->token.kind = FX_T_END;
    r->p = r->end;
    char message[900];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    jc_fail_at(r->err, status, r->file, fx_line_of(r, at), fx_column_of(r, at), NULL, "%s", message);
}

const char *fx_token_text(const fx_reader *r, const fx_token *t, char *out, size_t size) {
    if (t->kind == FX_T_END) {
        snprintf(out, size, "the end of the text");
    } else if (t->kind == FX_T_NEWLINE) {
        snprintf(out, size, "the end of the line");
    } else {
        const char *at = r->text + t->at;
        size_t length = 0, room = size - 8 < 32 ? size - 8 : 32;
        while (at + length < r->text + (r->end - r->text) && length < room && in_name[(uint8_t)at[length]])
            length++;
        if (!length)
            length = 1;
        snprintf(out, size, "'%.*s'", (int)length, at);
    }
    return out;
}

/* --- pools --- */

struct fx_chunk {
    fx_chunk *next;
    size_t size;
};
#define FIRST_CHUNK ((size_t)16 << 10) /* enough for a small piece */
#define CHUNK ((size_t)128 << 10)

void fx_pool_reset(fx_pool *pool) {
    pool->current = NULL;
    pool->left = 0;
}

void *fx_take(fx_reader *r, size_t size) {
    fx_pool *pool = r->pool;
    size = (size + 7) & ~(size_t)7;
    while (pool->left < size) {
        fx_chunk *next = pool->current ? pool->current->next : pool->first;
        if (!next || next->size < size) {
            size_t room = pool->first ? CHUNK : FIRST_CHUNK;
            room = size > room ? size : room;
            fx_chunk *fresh = jc_arena_alloc(r->scratch, sizeof *fresh + room);
            *fresh = (fx_chunk){ .next = next, .size = room };
            if (pool->current)
                pool->current->next = fresh;
            else
                pool->first = fresh;
            next = fresh;
        }
        pool->current = next;
        pool->at = (uint8_t *)(next + 1);
        pool->left = next->size;
    }
    void *at = pool->at;
    pool->at += size;
    pool->left -= size;
    return at;
}

/* --- names --- */

static inline uint64_t load64(const char *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint32_t load32(const char *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* A sum of words times odd numbers, which do not wait for each other, and a last mix.  The table is private to one
   reading and probing is bounded by its size, so text made to collide costs time, never correctness. */
static inline uint32_t hash_name(const char *p, size_t n) {
    const uint64_t k = 0x9E3779B97F4A7C15u;
    uint64_t h = n * k, m = 0xD6E8FEB86659FD93u;
    if (n >= 8) {
        const char *last = p + n - 8;
        for (; p < last; p += 8, m += 2 * k)
            h += load64(p) * m;
        h += load64(last) * (m ^ 0x94D049BB133111EAu);
    } else if (n >= 4) {
        h += (load32(p) | (uint64_t)load32(p + n - 4) << 32) * m;
    } else if (n) {
        h += ((uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16) * m;
    }
    h = (h ^ h >> 32) * k;
    h ^= h >> 29;
    return (uint32_t)(h * k >> 32);
}

static inline bool same_text(const char *a, const char *b, size_t n) {
    if (n < 8) {
        if (n >= 4)
            return load32(a) == load32(b) && load32(a + n - 4) == load32(b + n - 4);
        return !n || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
    }
    for (size_t i = 0; i + 8 < n; i += 8)
        if (load64(a + i) != load64(b + i))
            return false;
    return load64(a + n - 8) == load64(b + n - 8);
}

static void names_grow(fx_reader *r) {
    uint32_t old = r->names ? r->names_mask + 1 : 0, size = old ? old * 2 : 512;
    fx_name **at = JC_NEWN(r->scratch, fx_name *, size);
    for (uint32_t i = 0; i < old; i++) {
        fx_name *n = r->names[i];
        if (!n)
            continue;
        uint32_t j = n->hash & (size - 1);
        while (at[j])
            j = (j + 1) & (size - 1);
        at[j] = n;
    }
    r->names = at;
    r->names_mask = size - 1;
}

static fx_name *name_new(fx_reader *r, const char *text, size_t length, uint32_t hash, uint32_t slot) {
    if (r->names_count * 2 > r->names_mask) {
        names_grow(r);
        for (slot = hash & r->names_mask; r->names[slot]; slot = (slot + 1) & r->names_mask)
            continue;
    }
    if (!r->spare_left) {
        r->spare_left = 64;
        r->spare = JC_NEWN(r->scratch, fx_name, r->spare_left);
    }
    r->spare_left--;
    fx_name *n = r->spare++;
    n->text = text;
    n->length = (uint32_t)length;
    n->hash = hash;
    n->keyword = keyword_of(text, length);
    r->names[slot] = n;
    r->names_count++;
    return n;
}

fx_name *fx_intern(fx_reader *r, const char *text, size_t length) {
    uint32_t hash = hash_name(text, length), slot = hash & r->names_mask;
    for (fx_name *n; (n = r->names[slot]); slot = (slot + 1) & r->names_mask)
        if (n->hash == hash && n->length == length && same_text(n->text, text, length))
            return n;
    return name_new(r, text, length, hash, slot);
}

const char *fx_copy(fx_reader *r, fx_name *name) {
    if (!name->copy)
        name->copy = jc_arena_strndup(r->arena, name->text, name->length);
    return name->copy;
}

void fx_lex_start(fx_reader *r, const char *text, size_t length) {
    names_grow(r);
    r->text = r->p = r->line_start = text;
    r->end = text + length;
    r->line = 1;
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        r->p += 3;
    const char *nul = length ? memchr(text, 0, length) : NULL;
    if (length > UINT32_MAX - 64)
        fx_fail(r, JITC_E_INPUT, 0, "The text is larger than 4 GiB.");
    else if (nul)
        fx_fail(r, JITC_E_INPUT, (uint32_t)(nul - text),
                "The text holds a NUL byte; this is not a graph as PyTorch prints it.");
}

/* --- numbers --- */

static double power_of_ten(int n) {
    static const double table[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    return table[n];
}

static void free_c_locale(void *handle) {
    freelocale((locale_t)handle);
}

/* Exactly rounded, whatever the process's locale: a mantissa below 2^53 and a power of ten up to 22 are both exact as
   doubles, so one operation rounds once (Clinger's fast path); everything else goes to strtod_l. */
static double float_value(fx_reader *r, const char *from, const char *to, uint64_t mantissa, int exponent, bool exact) {
    if (exact && mantissa < (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22)
        return exponent < 0 ? (double)mantissa / power_of_ten(-exponent)
                            : (double)mantissa * power_of_ten(exponent);
    if (!r->c_locale) {
        r->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (r->c_locale)
            jc_arena_defer(r->scratch, free_c_locale, r->c_locale);
    }
    char *text = jc_arena_strndup(r->scratch, from, (size_t)(to - from));
    return r->c_locale ? strtod_l(text, NULL, (locale_t)r->c_locale) : strtod(text, NULL);
}

double fx_double(fx_reader *r, const char *from, const char *to) {
    return float_value(r, from, to, 0, 0, false);
}

static void lex_hex(fx_reader *r) {
    const char *p = r->p + 2;
    uint64_t value = 0;
    bool over = false;
    for (; p < r->end && in_name[(uint8_t)*p]; p++) {
        int c = *p | 32, digit = c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= '0' && c <= '9' ? c - '0' : -1;
        if (digit < 0) {
            fx_fail(r, JITC_E_INPUT, r->token.at, "This is no hexadecimal number.");
            return;
        }
        over |= value >> 60;
        value = value << 4 | (unsigned)digit;
    }
    if (over || p == r->p + 2) {
        fx_fail(r, JITC_E_INPUT, r->token.at, "This hexadecimal number is empty or does not fit in 64 bits.");
        return;
    }
    r->token.kind = FX_T_INT;
    r->token.magnitude = value;
    r->p = p;
}

/* A number starts at r->p with a digit, or with a point and a digit. */
static void lex_number(fx_reader *r) {
    const char *p = r->p, *from = p;
    if (r->end - p > 1 && *p == '0' && (p[1] == 'x' || p[1] == 'X')) {
        lex_hex(r);
        return;
    }
    uint64_t mantissa = 0;
    bool over = false, real = false;
    int scale = 0;
    for (; p < r->end; p++) {
        if (*p >= '0' && *p <= '9') {
            over |= mantissa > (UINT64_MAX - 9) / 10;
            mantissa = mantissa * 10 + (unsigned)(*p - '0');
            scale -= real && scale > -10000;
        } else if (*p == '.' && !real) {
            real = true;
        } else {
            break;
        }
    }
    if (p < r->end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        bool minus = q < r->end && *q == '-';
        if (q < r->end && (*q == '-' || *q == '+'))
            q++;
        int exponent = 0;
        const char *digits = q;
        for (; q < r->end && *q >= '0' && *q <= '9'; q++)
            exponent = exponent < 10000 ? exponent * 10 + (*q - '0') : exponent;
        if (q == digits) {
            fx_fail(r, JITC_E_INPUT, r->token.at, "This number ends in an exponent without digits.");
            return;
        }
        scale += minus ? -exponent : exponent;
        real = true;
        p = q;
    }
    const bool complex = p < r->end && *p == 'j';
    p += complex;
    if (p < r->end && in_name[(uint8_t)*p]) {
        fx_fail(r, JITC_E_INPUT, r->token.at, "A number runs into '%c' here.", *p);
        return;
    }
    r->p = p;
    if (complex) {
        r->token.kind = FX_T_COMPLEX;
        r->token.number = float_value(r, from, p - 1, mantissa, scale, !over);
    } else if (real) {
        r->token.kind = FX_T_FLOAT;
        r->token.number = float_value(r, from, p, mantissa, scale, !over);
    } else if (over || mantissa > (uint64_t)INT64_MAX + 1) {
        fx_fail(r, JITC_E_INPUT, r->token.at, "The integer does not fit in 64 bits.");
    } else {
        r->token.kind = FX_T_INT;
        r->token.magnitude = mantissa;
    }
}

/* --- strings --- */

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* The code point of \x, \u or \U at P (after the letter); UINT32_MAX when malformed. */
static uint32_t hex_escape(const char *p, const char *end, int digits) {
    uint32_t c = 0;
    if (end - p < digits)
        return UINT32_MAX;
    for (int i = 0; i < digits; i++) {
        int d = p[i] | 32;
        d = d >= 'a' && d <= 'f' ? d - 'a' + 10 : p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : -1;
        if (d < 0)
            return UINT32_MAX;
        c = c << 4 | (unsigned)d;
    }
    return c && c < 0x110000 ? c : UINT32_MAX;
}

static fx_name *decode_string(fx_reader *r, const char *from, const char *to) {
    static const char plain[] = "\\\\''\"\"n\nt\tr\rb\bf\fa\av\v";
    char *out = jc_arena_alloc(r->scratch, (size_t)(to - from) + 1);
    size_t n = 0;
    for (const char *p = from; p < to; p++) {
        if (*p != '\\') {
            out[n++] = *p;
            continue;
        }
        p++;
        int digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
        const char *at = NULL;
        for (size_t i = 0; !digits && i + 1 < sizeof plain; i += 2)
            if (plain[i] == *p)
                at = plain + i + 1;
        uint32_t c = digits ? hex_escape(p + 1, to, digits) : at ? (uint32_t)*at : UINT32_MAX;
        if (c == UINT32_MAX) {
            fx_fail(r, JITC_E_INPUT, (uint32_t)(p - r->text), "The string holds an escape that is not understood.");
            return NULL;
        }
        n += put_utf8(out + n, c);
        p += digits;
    }
    return fx_intern(r, out, n);
}

static void lex_string(fx_reader *r) {
    const char quote = *r->p, *from = r->p + 1, *p = from;
    bool escaped = false;
    while (p < r->end && *p != quote && *p != '\n') {
        if (*p == '\\') {
            escaped = true;
            if (++p == r->end || *p == '\n')
                break;
        }
        p++;
    }
    if (p >= r->end || *p != quote) {
        fx_fail(r, JITC_E_INPUT, r->token.at, "The string that starts here does not end on its line.");
        return;
    }
    r->p = p + 1;
    r->token.kind = FX_T_STR;
    r->token.name = escaped ? decode_string(r, from, p) : fx_intern(r, from, (size_t)(p - from));
    if (r->status)
        r->token.kind = FX_T_END;
}

/* --- tokens --- */

static inline const char *name_end(const char *p, const char *end) {
#ifdef __SSE2__ /* most of a graph's text is names of 10 to 80 characters */
    for (; end - p >= 16; p += 16) {
        const __m128i c = _mm_loadu_si128((const __m128i *)p), lower = _mm_or_si128(c, _mm_set1_epi8(0x20));
        /* signed compares: bytes above 127 are negative and in no range */
        const __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                             _mm_cmpgt_epi8(_mm_set1_epi8('z' + 1), lower));
        const __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('0' - 1)),
                                            _mm_cmpgt_epi8(_mm_set1_epi8('9' + 1), c));
        const __m128i name = _mm_or_si128(_mm_or_si128(letter, digit), _mm_cmpeq_epi8(c, _mm_set1_epi8('_')));
        const unsigned mask = (unsigned)_mm_movemask_epi8(name);
        if (mask != 0xFFFF)
            return p + __builtin_ctz(~mask);
    }
#endif
    while (p < end && in_name[(uint8_t)*p])
        p++;
    return p;
}

static void lex_name(fx_reader *r) {
    const char *from = r->p, *p = name_end(from + 1, r->end);
    r->token.kind = FX_T_NAME;
    if (p - from == 5 && p + 1 < r->end && *p == '.' && in_name[(uint8_t)p[1]] && memcmp(from, "torch", 5) == 0) {
        r->token.kind = FX_T_PATH;
        while (p + 1 < r->end && *p == '.' && in_name[(uint8_t)p[1]])
            p = name_end(p + 1, r->end);
    }
    r->p = p;
    r->token.name = fx_intern(r, from, (size_t)(p - from));
}

/* `+`, `**`, `<=`, `//=` ... */
static void lex_operator(fx_reader *r) {
    static const uint8_t doubled[256] = {
        ['*'] = FX_T_POW, ['/'] = FX_T_FDIV, ['<'] = FX_T_SHL, ['>'] = FX_T_SHR,
    };
    fx_token *t = &r->token;
    const char c = *r->p, *p = r->p + 1;
    t->kind = (uint8_t)c;
    if (p < r->end && *p == c && doubled[(uint8_t)c]) {
        t->kind = doubled[(uint8_t)c];
        p++;
    } else if (c == '-' && p < r->end && *p == '>') {
        t->kind = FX_T_ARROW;
        r->p = p + 1;
        return;
    }
    if (p < r->end && *p == '=') {
        p++;
        if (t->kind == '<' || t->kind == '>') {
            t->kind = c == '<' ? FX_T_LE : FX_T_GE;
        } else {
            t->op = t->kind;
            t->kind = FX_T_AUG;
        }
    }
    r->p = p;
}

static void lex_punct(fx_reader *r) {
    fx_token *t = &r->token;
    const char c = *r->p++;
    t->kind = (uint8_t)c;
    switch (c) {
    case '(':
    case '[':
    case '{':
        r->brackets++;
        break;
    case ')':
    case ']':
    case '}':
        r->brackets -= r->brackets > 0;
        break;
    case '=':
    case '!':
        if (r->p < r->end && *r->p == '=') {
            t->kind = c == '=' ? FX_T_EQ : FX_T_NE;
            r->p++;
        }
        break;
    case '.':
        if (r->end - r->p >= 2 && r->p[0] == '.' && r->p[1] == '.') {
            t->kind = FX_T_DOTS;
            r->p += 2;
        } else if (r->p < r->end && *r->p >= '0' && *r->p <= '9') {
            r->p--;
            lex_number(r);
        }
        break;
    }
}

static void lex_newline(fx_reader *r) {
    r->p++;
    r->line++;
    r->line_start = r->p;
}

void fx_next(fx_reader *r) {
    for (;;) {
        while (r->p < r->end && *r->p == ' ')
            r->p++;
        r->token.at = (uint32_t)(r->p - r->text);
        if (r->p >= r->end || r->status) {
            r->token.kind = FX_T_END;
            return;
        }
        switch (first_class[(uint8_t)*r->p]) {
        case ALPHA:
            lex_name(r);
            return;
        case PUNCT:
            lex_punct(r);
            return;
        case OPERATOR:
            lex_operator(r);
            return;
        case BLANK:
            r->p++;
            continue;
        case LINE:
            lex_newline(r);
            if (r->brackets)
                continue;
            r->token.kind = FX_T_NEWLINE;
            return;
        case NOTE: {
            const char *line = memchr(r->p, '\n', (size_t)(r->end - r->p));
            r->p = line ? line : r->end;
            continue;
        }
        case DIGIT:
            lex_number(r);
            return;
        case QUOTE:
            lex_string(r);
            return;
        case SLASH: /* a line that goes on */
            r->p++;
            while (r->p < r->end && *r->p == '\r')
                r->p++;
            if (r->p < r->end && *r->p == '\n') {
                lex_newline(r);
                continue;
            }
            fx_fail(r, JITC_E_INPUT, r->token.at, "A backslash may only end a line.");
            return;
        default:
            fx_fail(r, JITC_E_INPUT, r->token.at,
                    "The byte 0x%02x cannot stand here; names are made of ASCII letters, digits and '_'.",
                    (uint8_t)*r->p);
            return;
        }
    }
}

void fx_skip_line(fx_reader *r) {
    if (r->token.kind != FX_T_NEWLINE && r->p < r->end) {
        const char *line = memchr(r->p, '\n', (size_t)(r->end - r->p));
        r->p = line ? line : r->end;
        r->brackets = 0;
    }
    fx_next(r);
}
