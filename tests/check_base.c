/*
 * tests/check_base.c - arena, containers, byte strings, hashes, pool, errors, debug flags.
 */
#include <check.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/debug.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/vec.h"

/* ---- an allocator that counts and fails at will ---------------------------------------------------------- */

typedef struct counter {
    size_t blocks, bytes; /* that are out */
    size_t calls;
    size_t fail_at; /* the call that gets NULL, from 1 up, and all after it; 0: none */
} counter;

static void *counted_alloc(void *user, size_t size) {
    counter *c = user;
    if (++c->calls >= c->fail_at && c->fail_at)
        return NULL;
    void *at = malloc(size);
    ck_assert_ptr_nonnull(at);
    memset(at, 0xa5, size); /* the arena has to clear it */
    c->blocks++;
    c->bytes += size;
    return at;
}

static void counted_free(void *user, void *at, size_t size) {
    counter *c = user;
    memset(at, 0x5a, size);
    free(at);
    c->blocks--;
    c->bytes -= size;
}

static jc_alloc counted(counter *c) {
    return (jc_alloc){ counted_alloc, counted_free, c };
}

/* ---- arena ----------------------------------------------------------------------------------------------- */

static bool all_bytes_are(const unsigned char *at, size_t size, unsigned char x) {
    return size == 0 || (at[0] == x && memcmp(at, at + 1, size - 1) == 0);
}

START_TEST(arena_zeroed_aligned_distinct) {
    counter c = { 0 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 100, 2000, 8191, 8192, 70000, 3u << 20, 0, 5 };
    enum { N = sizeof sizes / sizeof *sizes };
    unsigned char *at[N];
    for (size_t i = 0; i < N; i++) {
        at[i] = jc_arena_alloc(arena, sizes[i]);
        ck_assert_msg((uintptr_t)at[i] % 16 == 0, "size %zu is not aligned", sizes[i]);
        ck_assert_msg(all_bytes_are(at[i], sizes[i], 0), "size %zu is not zero", sizes[i]);
        memset(at[i], (int)(i + 1), sizes[i]);
    }
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(all_bytes_are(at[i], sizes[i], (unsigned char)(i + 1)), "size %zu was overwritten", sizes[i]);
        for (size_t k = 0; k < i; k++)
            ck_assert_ptr_ne(at[i], at[k]);
    }
    ck_assert_uint_eq(jc_arena_used(arena), c.bytes);
    ck_assert_uint_ge(c.bytes, 3u << 20);
    jc_arena_free(arena);
    ck_assert_uint_eq(c.blocks, 0);
    ck_assert_uint_eq(c.bytes, 0);
}
END_TEST

/* Many small allocations stay within twice what was asked for, and a few blocks. */
START_TEST(arena_is_thrifty) {
    counter c = { 0 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    for (int i = 0; i < 100000; i++)
        jc_arena_alloc(arena, 32);
    size_t asked = 100000u * 32;
#ifdef __SANITIZE_ADDRESS__
    asked *= 2; /* room between allocations */
#endif
    ck_assert_uint_le(c.bytes, 2 * asked);
    ck_assert_uint_le(c.calls, 20);
    jc_arena_free(arena);
}
END_TEST

START_TEST(arena_strings) {
    jc_arena *arena = jc_arena_new(NULL);
    ck_assert_str_eq(jc_arena_strdup(arena, ""), "");
    ck_assert_str_eq(jc_arena_strdup(arena, "layer"), "layer");
    ck_assert_str_eq(jc_arena_strndup(arena, "layer", 3), "lay");
    ck_assert_str_eq(jc_arena_strndup(arena, "la\0yer", 6), "la");
    ck_assert_str_eq(jc_arena_strndup(arena, "layer", 50), "layer");
    ck_assert_str_eq(jc_arena_strndup(arena, NULL, 0), "");
    ck_assert_mem_eq(jc_arena_memdup(arena, "a\0b", 4), "a\0b", 4);
    ck_assert_ptr_nonnull(jc_arena_memdup(arena, NULL, 0));
    ck_assert_str_eq(jc_arena_printf(arena, "%s=%d", "x", -7), "x=-7");
    ck_assert_str_eq(jc_arena_printf(arena, "%s", ""), "");
    /* around the length that needs a second go */
    for (int width = 250; width < 262; width++) {
        char *text = jc_arena_printf(arena, "%*d|", width, 42);
        ck_assert_uint_eq(strlen(text), (size_t)width + 1);
        ck_assert_str_eq(text + width - 2, "42|");
    }
    jc_arena_free(arena);
    jc_arena_free(NULL);
}
END_TEST

static const struct {
    size_t count, size;
} overflows[] = {
    { SIZE_MAX, 2 },         { SIZE_MAX / 2 + 1, 2 }, { SIZE_MAX, 1 },           { SIZE_MAX - 15, 1 },
    { SIZE_MAX / 16, 16 },   { 2, SIZE_MAX },         { SIZE_MAX, SIZE_MAX },    { (size_t)1 << 32, (size_t)1 << 32 },
    { (size_t)1 << 62, 1 },
};

START_TEST(arena_overflow_counts_as_no_memory) {
    counter c = { 0 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    jc_guard guard;
    volatile bool jumped = false;
    if (JC_GUARD(arena, &guard))
        jumped = true;
    else
        jc_arena_array(arena, overflows[_i].count, overflows[_i].size);
    jc_guard_end(arena, &guard);
    ck_assert_msg(jumped, "%zu times %zu was given", overflows[_i].count, overflows[_i].size);
    ck_assert_uint_eq(c.calls, 1); /* the arena itself; nothing absurd was asked of the allocator */
    jc_arena_free(arena);
}
END_TEST

START_TEST(arena_array_of_nothing) {
    jc_arena *arena = jc_arena_new(NULL);
    ck_assert_ptr_nonnull(jc_arena_array(arena, 0, SIZE_MAX));
    ck_assert_ptr_nonnull(jc_arena_array(arena, SIZE_MAX, 0));
    jc_arena_free(arena);
}
END_TEST

static int order[8], orders;
static void note_order(void *handle) {
    order[orders++] = *(const int *)handle; /* lies in the arena: has to be there still */
}

START_TEST(defer_runs_in_reverse_before_memory_goes) {
    counter c = { 0 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    orders = 0;
    for (int i = 0; i < 4; i++) {
        int *number = JC_NEW(arena, int);
        *number = i;
        jc_arena_defer(arena, note_order, number);
        jc_arena_alloc(arena, 9000); /* spread over blocks */
    }
    ck_assert_int_eq(orders, 0);
    jc_arena_free(arena);
    ck_assert_int_eq(orders, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(order[i], 3 - i);
    ck_assert_uint_eq(c.blocks, 0);
}
END_TEST

START_TEST(defer_without_memory_gives_the_handle_back) {
    counter c = { .fail_at = 2 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    static int handle = 5;
    jc_guard guard;
    volatile bool jumped = false;
    orders = 0;
    if (JC_GUARD(arena, &guard))
        jumped = true;
    else
        jc_arena_defer(arena, note_order, &handle);
    jc_guard_end(arena, &guard);
    ck_assert(jumped);
    ck_assert_int_eq(orders, 1);
    jc_arena_free(arena);
    ck_assert_int_eq(orders, 1);
}
END_TEST

START_TEST(guards_nest) {
    counter c = { .fail_at = 2 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    jc_guard outer, inner;
    volatile int inner_jumps = 0, outer_jumps = 0;
    if (JC_GUARD(arena, &outer)) {
        outer_jumps++;
    } else {
        if (JC_GUARD(arena, &inner))
            inner_jumps++;
        else
            jc_arena_alloc(arena, 1);
        jc_guard_end(arena, &inner);
        ck_assert_int_eq(inner_jumps, 1);
        jc_arena_alloc(arena, 1);
        ck_abort_msg("an allocation without memory returned");
    }
    jc_guard_end(arena, &outer);
    ck_assert_int_eq(inner_jumps, 1);
    ck_assert_int_eq(outer_jumps, 1);
    jc_arena_free(arena);
}
END_TEST

START_TEST(guard_ended_is_left_alone) {
    counter c = { .fail_at = 2 };
    jc_alloc alloc = counted(&c);
    jc_arena *arena = jc_arena_new(&alloc);
    jc_guard outer, inner;
    volatile int inner_jumps = 0, outer_jumps = 0;
    if (JC_GUARD(arena, &outer)) {
        outer_jumps++;
    } else {
        if (JC_GUARD(arena, &inner))
            inner_jumps++;
        jc_guard_end(arena, &inner);
        jc_arena_alloc(arena, 1);
    }
    jc_guard_end(arena, &outer);
    ck_assert_int_eq(inner_jumps, 0);
    ck_assert_int_eq(outer_jumps, 1);
    jc_arena_free(arena);
}
END_TEST

START_TEST(arena_new_without_memory) {
    counter c = { .fail_at = 1 };
    jc_alloc alloc = counted(&c);
    ck_assert_ptr_null(jc_arena_new(&alloc));
}
END_TEST

/* Uses everything that allocates; true when it ran to its end. */
static bool use_all(jc_arena *arena) {
    jc_guard guard;
    volatile bool done = false;
    if (!JC_GUARD(arena, &guard)) {
        static int handle;
        jc_map *map = jc_map_new(arena);
        jc_bytes bytes = JC_BYTES(arena);
        JC_VEC(int) numbers = { 0 };
        for (int i = 0; i < 3000; i++) {
            const char *key = jc_arena_printf(arena, "key %d", i);
            jc_map_set(map, key, strlen(key), arena);
            jc_put_str(&bytes, key);
            jc_push(arena, &numbers, i);
        }
        jc_put_text(&bytes, "%3000d", 1);
        orders = 0;
        jc_arena_defer(arena, note_order, &handle);
        done = numbers.n == 3000;
    }
    jc_guard_end(arena, &guard);
    return done;
}

START_TEST(every_allocation_may_fail) {
    size_t failures = 0;
    for (size_t fail_at = 2;; fail_at++) {
        counter c = { .fail_at = fail_at };
        jc_alloc alloc = counted(&c);
        jc_arena *arena = jc_arena_new(&alloc);
        bool done = use_all(arena);
        jc_arena_free(arena);
        ck_assert_uint_eq(c.blocks, 0);
        ck_assert_uint_eq(c.bytes, 0);
        if (done)
            break;
        failures++;
    }
    ck_assert_uint_ge(failures, 5);
}
END_TEST

/* ---- vec and map ----------------------------------------------------------------------------------------- */

START_TEST(vec_grows) {
    jc_arena *arena = jc_arena_new(NULL);
    JC_VEC(double) v = { 0 };
    for (int i = 0; i < 10000; i++)
        jc_push(arena, &v, i * 0.5);
    ck_assert_uint_eq(v.n, 10000);
    ck_assert_uint_ge(v.cap, v.n);
    for (int i = 0; i < 10000; i++)
        ck_assert(v.at[i] == i * 0.5);
    jc_arena_free(arena);
}
END_TEST

START_TEST(map_grows_and_keeps_order) {
    enum { N = 20000 };
    jc_arena *arena = jc_arena_new(NULL);
    jc_map *map = jc_map_new(arena);
    int *numbers = JC_NEWN(arena, int, N);
    for (int i = 0; i < N; i++) {
        char *key = jc_arena_printf(arena, "model.layers.%d", i);
        numbers[i] = i;
        ck_assert_ptr_null(jc_map_get(map, key, strlen(key)));
        jc_map_set(map, key, strlen(key), &numbers[i]);
        ck_assert_uint_eq(jc_map_count(map), (size_t)i + 1);
    }
    for (int i = 0; i < N; i++) {
        char want[64];
        int length = snprintf(want, sizeof want, "model.layers.%d", i);
        ck_assert_ptr_eq(jc_map_get(map, want, (size_t)length), &numbers[i]);
        const void *key;
        size_t n;
        void *value;
        ck_assert(jc_map_at(map, (size_t)i, &key, &n, &value));
        ck_assert_uint_eq(n, (size_t)length);
        ck_assert_mem_eq(key, want, n);
        ck_assert_ptr_eq(value, &numbers[i]);
    }
    ck_assert(!jc_map_at(map, N, NULL, NULL, NULL));
    ck_assert(jc_map_at(map, 0, NULL, NULL, NULL));
    ck_assert_ptr_null(jc_map_get(map, "model.layers.20000", 18));
    jc_arena_free(arena);
}
END_TEST

START_TEST(map_keys_are_byte_strings) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_map *map = jc_map_new(arena);
    int a, b, c, d;
    jc_map_set(map, "", 0, &a);
    jc_map_set(map, "\0", 1, &b);
    jc_map_set(map, "\0\0", 2, &c);
    jc_map_set(map, "12345678", 8, &d);
    ck_assert_ptr_eq(jc_map_get(map, NULL, 0), &a);
    ck_assert_ptr_eq(jc_map_get(map, "\0", 1), &b);
    ck_assert_ptr_eq(jc_map_get(map, "\0\0", 2), &c);
    ck_assert_ptr_eq(jc_map_get(map, "12345678", 8), &d);
    ck_assert_ptr_null(jc_map_get(map, "1234567", 7));
    jc_map_set(map, "\0", 1, &d);
    ck_assert_ptr_eq(jc_map_get(map, "\0", 1), &d);
    ck_assert_uint_eq(jc_map_count(map), 4);
    jc_arena_free(arena);
}
END_TEST

START_TEST(hash64_spreads) {
    /* Neither one bit nor the length goes unnoticed, in the low bits that tables use. */
    unsigned buckets[256] = { 0 };
    for (unsigned i = 0; i < 65536; i++) {
        unsigned char key[3] = { (unsigned char)i, (unsigned char)(i >> 8), 0 };
        buckets[jc_hash64(key, 3) & 255]++;
    }
    for (int i = 0; i < 256; i++) /* 256 expected, standard deviation 16 */
        ck_assert_msg(buckets[i] > 150 && buckets[i] < 362, "bucket %d has %u of 65536", i, buckets[i]);
    char zeros[40] = { 0 };
    for (size_t n = 0; n < 40; n++)
        for (size_t m = 0; m < n; m++)
            ck_assert_uint_ne(jc_hash64(zeros, n), jc_hash64(zeros, m));
    ck_assert_uint_eq(jc_hash64(zeros, 40), jc_hash64(zeros, 40));
}
END_TEST

/* ---- bytes ----------------------------------------------------------------------------------------------- */

/* The spelling is a file format: written out by hand. */
START_TEST(bytes_are_spelt_so) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_bytes b = JC_BYTES(arena);
    jc_put_u8(&b, 0xfe);
    jc_put_u32(&b, 0x01020304);
    jc_put_u64(&b, 0x1122334455667788);
    jc_put_f64(&b, 1.0);
    jc_put_var(&b, 300);
    jc_put_svar(&b, -1);
    jc_put_svar(&b, 1);
    jc_put_svar(&b, -65);
    jc_put_blob(&b, "\0x", 2);
    jc_put_str(&b, "hi");
    jc_put_str(&b, NULL);
    jc_put_text(&b, "%d;", 12);
    jc_put_text(&b, "%s", "");
    jc_put(&b, NULL, 0);
    static const uint8_t want[] = {
        0xfe, 0x04, 0x03, 0x02, 0x01, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f,
        0xac, 0x02, 0x01, 0x02, 0x81, 0x01, 0x02, 0x00, 'x', 0x02, 'h', 'i', 0x00, '1', '2', ';',
    };
    ck_assert_uint_eq(b.n, sizeof want);
    ck_assert_mem_eq(b.at, want, sizeof want);
    jc_arena_free(arena);
}
END_TEST

START_TEST(bytes_text_of_any_length) {
    jc_arena *arena = jc_arena_new(NULL);
    for (int width = 1; width < 600; width += 7) {
        jc_bytes b = JC_BYTES(arena);
        jc_put_u8(&b, '<');
        jc_put_text(&b, "%*d", width, 5);
        jc_put_u8(&b, '>');
        ck_assert_uint_eq(b.n, (size_t)width + 2);
        ck_assert_mem_eq(b.at + width, "5>", 2);
    }
    jc_arena_free(arena);
}
END_TEST

static const uint64_t numbers[] = {
    0, 1, 127, 128, 16383, 16384, 2097151, 2097152, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
    INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX,
};
static const size_t number_sizes[] = { 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 9, 10, 10, 10 };

START_TEST(leb128_there_and_back) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_bytes b = JC_BYTES(arena);
    jc_put_var(&b, numbers[_i]);
    ck_assert_uint_eq(b.n, number_sizes[_i]);
    jc_reader r = JC_READER(b.at, b.n);
    ck_assert_uint_eq(jc_get_var(&r), numbers[_i]);
    ck_assert(!r.bad && r.at == r.end);

    int64_t x = (int64_t)numbers[_i];
    for (int sign = 0; sign < 2; sign++, x = (int64_t)(0 - (uint64_t)x)) {
        b = JC_BYTES(arena);
        jc_put_svar(&b, x);
        r = JC_READER(b.at, b.n);
        ck_assert_int_eq(jc_get_svar(&r), x);
        ck_assert(!r.bad && r.at == r.end);
    }
    jc_arena_free(arena);
}
END_TEST

static const struct {
    const char *name, *bytes;
    size_t length;
    bool ok;
    uint64_t value;
} leb128_rows[] = {
    { "empty", "", 0, false, 0 },
    { "unfinished", "\x80", 1, false, 0 },
    { "unfinished after nine", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, false, 0 },
    { "overlong zero", "\x80\x00", 2, false, 0 },
    { "overlong one", "\x81\x80\x00", 3, false, 0 },
    { "largest", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, UINT64_MAX },
    { "one bit too many", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, 0 },
    { "many bits too many", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, false, 0 },
    { "eleven bytes", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x01", 11, false, 0 },
    { "two to the 63", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10, true, (uint64_t)1 << 63 },
};

START_TEST(leb128_limits) {
    jc_reader r = JC_READER(leb128_rows[_i].bytes, leb128_rows[_i].length);
    uint64_t got = jc_get_var(&r);
    ck_assert_msg(r.bad == !leb128_rows[_i].ok, "%s", leb128_rows[_i].name);
    ck_assert_msg(got == leb128_rows[_i].value, "%s: %llu", leb128_rows[_i].name, (unsigned long long)got);
}
END_TEST

typedef struct record {
    uint8_t u8;
    uint32_t u32;
    uint64_t u64;
    double f64;
    uint64_t var;
    int64_t svar;
    const uint8_t *blob;
    size_t length;
    char *text;
    size_t count;
    const uint8_t *raw;
} record;

static record get_all(jc_reader *r, jc_arena *arena) {
    record x;
    x.u8 = jc_get_u8(r);
    x.u32 = jc_get_u32(r);
    x.u64 = jc_get_u64(r);
    x.f64 = jc_get_f64(r);
    x.var = jc_get_var(r);
    x.svar = jc_get_svar(r);
    x.blob = jc_get_blob(r, &x.length);
    x.text = jc_get_str(r, arena);
    x.count = jc_get_count(r, 2);
    x.raw = jc_get(r, 4);
    return x;
}

START_TEST(reader_of_truncated_input) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_bytes b = JC_BYTES(arena);
    jc_put_u8(&b, 7);
    jc_put_u32(&b, 0xdeadbeef);
    jc_put_u64(&b, UINT64_MAX - 5);
    jc_put_f64(&b, -DBL_MIN);
    jc_put_var(&b, 1u << 20);
    jc_put_svar(&b, INT64_MIN);
    jc_put_blob(&b, "blob\0b", 6);
    jc_put_str(&b, "text");
    jc_put_var(&b, 2);
    jc_put(&b, "tail", 4);

    jc_reader whole = JC_READER(b.at, b.n);
    record x = get_all(&whole, arena);
    ck_assert(!whole.bad && whole.at == whole.end);
    ck_assert_uint_eq(x.u8, 7);
    ck_assert_uint_eq(x.u32, 0xdeadbeef);
    ck_assert_uint_eq(x.u64, UINT64_MAX - 5);
    ck_assert(x.f64 == -DBL_MIN);
    ck_assert_uint_eq(x.var, 1u << 20);
    ck_assert_int_eq(x.svar, INT64_MIN);
    ck_assert_uint_eq(x.length, 6);
    ck_assert_mem_eq(x.blob, "blob\0b", 6);
    ck_assert_str_eq(x.text, "text");
    ck_assert_uint_eq(x.count, 2);
    ck_assert_mem_eq(x.raw, "tail", 4);

    for (size_t n = 0; n < b.n; n++) {
        /* a copy of the exact size, so that a read past the end is seen by the tools that look for one */
        uint8_t *part = malloc(n ? n : 1);
        if (n)
            memcpy(part, b.at, n);
        jc_reader r = JC_READER(part, n);
        record y = get_all(&r, arena);
        ck_assert_msg(r.bad, "cut at %zu of %zu and not noticed", n, b.n);
        ck_assert_ptr_null(y.raw);
        ck_assert(y.text != NULL && y.blob != NULL);
        free(part);
    }
    jc_arena_free(arena);
}
END_TEST

START_TEST(bad_reader_stays_bad) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_reader r = JC_READER("\x01\x02", 2);
    ck_assert_uint_eq(jc_get_u32(&r), 0);
    ck_assert(r.bad);
    record x = get_all(&r, arena);
    ck_assert_uint_eq(x.u8, 0);
    ck_assert_uint_eq(x.u32, 0);
    ck_assert_uint_eq(x.u64, 0);
    ck_assert(x.f64 == 0 && !signbit(x.f64));
    ck_assert_uint_eq(x.var, 0);
    ck_assert_int_eq(x.svar, 0);
    ck_assert_uint_eq(x.length, 0);
    ck_assert_ptr_nonnull(x.blob);
    ck_assert_str_eq(x.text, "");
    ck_assert_uint_eq(x.count, 0);
    ck_assert_ptr_null(x.raw);
    jc_arena_free(arena);
}
END_TEST

static const struct {
    const char *name, *bytes;
    size_t length;
} bad_blobs[] = {
    { "length past the end", "\x05" "abcd", 5 },
    { "huge length", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc", 13 },
    { "NUL inside", "\x03" "a\0b", 4 },
    { "NUL at the end", "\x02" "a\0", 3 },
};

START_TEST(bad_strings) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_reader r = JC_READER(bad_blobs[_i].bytes, bad_blobs[_i].length);
    const char *text = jc_get_str(&r, arena);
    ck_assert_msg(r.bad, "%s", bad_blobs[_i].name);
    ck_assert_str_eq(text, "");
    jc_arena_free(arena);
}
END_TEST

static const struct {
    const char *bytes;
    size_t length, min;
    bool ok;
    size_t count;
} counts[] = {
    { "\x00", 1, 8, true, 0 },
    { "\x02" "abcd", 5, 2, true, 2 },
    { "\x02" "abc", 4, 2, false, 0 },
    { "\x05" "abcd", 5, 1, false, 0 },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc", 13, 8, false, 0 },
    { "\x05" "ab", 3, 0, true, 5 },
    { "\x01" "abcd", 5, SIZE_MAX, false, 0 },
    { "", 0, 1, false, 0 },
};

START_TEST(counts_must_fit) {
    jc_reader r = JC_READER(counts[_i].bytes, counts[_i].length);
    size_t got = jc_get_count(&r, counts[_i].min);
    ck_assert_msg(r.bad == !counts[_i].ok, "row %d", _i);
    ck_assert_uint_eq(got, counts[_i].count);
}
END_TEST

START_TEST(doubles_keep_their_bits) {
    static const uint64_t patterns[] = { 0, 0x8000000000000000, 0x7ff0000000000000, 0x7ff8000000000123,
                                         0xfff0000000000000, 1, 0x3ff0000000000001 };
    jc_arena *arena = jc_arena_new(NULL);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        double x, y;
        memcpy(&x, &patterns[i], sizeof x);
        jc_bytes b = JC_BYTES(arena);
        jc_put_f64(&b, x);
        jc_reader r = JC_READER(b.at, b.n);
        y = jc_get_f64(&r);
        ck_assert_mem_eq(&x, &y, sizeof x);
    }
    jc_arena_free(arena);
}
END_TEST

START_TEST(empty_reads_of_nothing) {
    jc_reader r = { 0 };
    ck_assert_ptr_nonnull(jc_get(&r, 0));
    ck_assert(!r.bad);
    ck_assert_ptr_null(jc_get(&r, 1));
    ck_assert(r.bad);
    ck_assert_ptr_null(jc_get(&r, 0));
}
END_TEST

/* ---- hash ------------------------------------------------------------------------------------------------ */

/* BLAKE2b with 32 bytes of output and no key, as Python's hashlib.blake2b(..., digest_size=32) gives it. */
static const struct {
    const char *text, *hex;
} vectors[] = {
    { "", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8" },
    { "abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319" },
    { "The quick brown fox jumps over the lazy dog",
      "01718cec35cd3d796dd00020e0bfecb473ad23457d063b75eff29c0ffa2e58a9" },
};

START_TEST(blake2b_vectors) {
    char hex[2 * JC_HASH_SIZE + 1];
    size_t length = strlen(vectors[_i].text);
    jc_hash hash = jc_hash_of(vectors[_i].text, length);
    jc_hash_hex(&hash, hex);
    ck_assert_str_eq(hex, vectors[_i].hex);
    for (size_t cut = 0; cut <= length; cut++) {
        jc_hasher h;
        jc_hasher_init(&h);
        jc_hasher_add(&h, vectors[_i].text, cut);
        jc_hasher_add(&h, NULL, 0);
        jc_hasher_add(&h, vectors[_i].text + cut, length - cut);
        jc_hash parts = jc_hasher_end(&h);
        ck_assert_mem_eq(parts.b, hash.b, JC_HASH_SIZE);
    }
}
END_TEST

START_TEST(hash_of_nothing_at_null) {
    jc_hash a = jc_hash_of(NULL, 0), b = jc_hash_of("", 0);
    ck_assert_mem_eq(a.b, b.b, JC_HASH_SIZE);
}
END_TEST

/* ---- pool ------------------------------------------------------------------------------------------------ */

typedef struct tally {
    atomic_uint *runs;
    atomic_uint here;        /* calls by the thread that asked */
    pthread_t asked;
} tally;

static void count_run(void *user, size_t index) {
    tally *t = user;
    atomic_fetch_add(&t->runs[index], 1);
    if (pthread_equal(pthread_self(), t->asked))
        atomic_fetch_add(&t->here, 1);
}

static const struct {
    unsigned threads;
    size_t count;
} pools[] = { { 0, 0 }, { 0, 1 }, { 1, 1000 }, { 2, 1000 }, { 7, 3 }, { 16, 5000 }, { 0, 999 }, { 100000, 500 } };

START_TEST(pool_runs_each_once) {
    size_t count = pools[_i].count;
    tally t = { .runs = calloc(count + 1, sizeof *t.runs), .asked = pthread_self() };
    jc_pool_run(pools[_i].threads, count, count_run, &t);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(t.runs[i] == 1, "%zu ran %u times", i, t.runs[i]);
    ck_assert_uint_eq(t.runs[count], 0);
    if (pools[_i].threads == 1)
        ck_assert_uint_eq(t.here, count);
    free(t.runs);
}
END_TEST

/* Two indices that wait for each other only end when two threads run them. */
static void meet(void *user, size_t index) {
    (void)index;
    pthread_barrier_wait(user);
}

START_TEST(pool_runs_at_the_same_time) {
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 3);
    jc_pool_run(3, 3, meet, &barrier);
    pthread_barrier_destroy(&barrier);
    ck_assert_uint_ge(jc_pool_cores(), 1);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------------------- */

static jitc_status forwards(jc_error *err, bool *went_on) {
    *went_on = false;
    JC_TRY(JITC_OK);
    JC_TRY(jc_fail(err, JITC_E_IO, "The file '%s' could not be read.", "x"));
    *went_on = true;
    return JITC_OK;
}

START_TEST(error_first_one_stays) {
    jc_error err = JC_ERROR_INIT;
    bool went_on;
    ck_assert_int_eq(forwards(&err, &went_on), JITC_E_IO);
    ck_assert(!went_on);
    ck_assert_int_eq(jc_fail(&err, JITC_E_NOMEM, "later"), JITC_E_NOMEM);
    ck_assert_int_eq(jc_fail_at(&err, JITC_E_INPUT, "f", 1, 2, "n", "later"), JITC_E_INPUT);
    ck_assert_int_eq(err.status, JITC_E_IO);
    ck_assert_str_eq(err.message, "The file 'x' could not be read.");
    ck_assert_str_eq(err.file, "");
    ck_assert_int_eq(jc_fail(NULL, JITC_E_IO, "%d", 1), JITC_E_IO);
    ck_assert_int_eq(jc_fail_at(NULL, JITC_E_IO, NULL, 0, 0, NULL, "%d", 1), JITC_E_IO);
}
END_TEST

START_TEST(error_place_is_added_once) {
    jc_error err = JC_ERROR_INIT;
    jc_error_place(&err, "f.py", 1, 2, "n");
    ck_assert_str_eq(err.file, "");
    jc_fail(&err, JITC_E_INPUT, "Bad.");
    jc_error_place(&err, NULL, 0, 0, "mul_1");
    jc_error_place(&err, "f.py", 3, 4, "other");
    jc_error_place(&err, "g.py", 5, 6, NULL);
    jc_error_place(NULL, "g.py", 5, 6, NULL);
    ck_assert_str_eq(err.file, "f.py");
    ck_assert_int_eq(err.line, 3);
    ck_assert_int_eq(err.column, 4);
    ck_assert_str_eq(err.node, "mul_1");
}
END_TEST

static const struct {
    const char *file;
    int line, column;
    const char *node, *want;
} texts[] = {
    { "f.py", 3, 4, "mul_1", "f.py:3:4: Bad. (node mul_1)" },
    { "f.py", 3, 0, NULL, "f.py:3: Bad." },
    { "f.py", 0, 0, NULL, "f.py: Bad." },
    { NULL, 3, 4, NULL, "line 3:4: Bad." },
    { NULL, 3, 0, "x", "line 3: Bad. (node x)" },
    { NULL, 0, 0, NULL, "Bad." },
    { NULL, 0, 0, "x", "Bad. (node x)" },
};

START_TEST(error_text) {
    jc_error err = JC_ERROR_INIT;
    char out[200];
    jc_fail_at(&err, JITC_E_INPUT, texts[_i].file, texts[_i].line, texts[_i].column, texts[_i].node, "Bad.");
    ck_assert_ptr_eq(jc_error_text(&err, out, sizeof out), out);
    ck_assert_str_eq(out, texts[_i].want);
    char small[6];
    jc_error_text(&err, small, sizeof small);
    ck_assert_uint_le(strlen(small), 5);
    ck_assert_mem_eq(small, out, strlen(small));
    ck_assert_str_eq(jc_error_text(&err, NULL, 0), "");
}
END_TEST

START_TEST(error_long_parts) {
    char path[600], name[3000];
    memset(path, 'd', sizeof path);
    strcpy(path + sizeof path - 6, "/f.py");
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 2); /* two bytes a letter */
    name[sizeof name - 2] = 0;
    for (int shift = 0; shift < 2; shift++) {
        jc_error err = JC_ERROR_INIT;
        jc_fail_at(&err, JITC_E_INPUT, path, 1, 1, path, "%s%s", shift ? "a" : "", name);
        ck_assert_uint_eq(strlen(err.file), sizeof err.file - 1);
        ck_assert_mem_eq(err.file, "...", 3);
        ck_assert_str_eq(err.file + strlen(err.file) - 5, "/f.py");
        ck_assert_uint_eq(strlen(err.node), sizeof err.node - 1);
        size_t n = strlen(err.message);
        ck_assert_uint_lt(n, sizeof err.message);
        ck_assert_str_eq(err.message + n - 3, "...");
        ck_assert_uint_eq((n - 3 - (size_t)shift) % 2, 0); /* no half letter */
    }
}
END_TEST

START_TEST(status_words) {
    ck_assert_str_eq(jitc_status_text(JITC_OK), "ok");
    ck_assert_str_eq(jitc_status_text(JITC_E_NOMEM), "out of memory");
    ck_assert_str_eq(jitc_status_text(JITC_E_FORKED), "used in a forked child after a device was opened");
    ck_assert_str_eq(jitc_status_text((jitc_status)99), "unknown status");
    ck_assert_str_eq(jitc_status_text((jitc_status)-1), "unknown status");
    jc_error err = JC_ERROR_INIT;
    char out[64];
    ck_assert_str_eq(jc_error_text(&err, out, sizeof out), "ok");
}
END_TEST

/* ---- debug ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    unsigned bits;
    const char *unknown; /* NULL: parses */
} words[] = {
    { NULL, 0, NULL },
    { "", 0, NULL },
    { "cache", 1u, NULL },
    { "pass", 2u, NULL },
    { "cache,pass", 3u, NULL },
    { "time, run", 64u | 128u, NULL },
    { ",,ptx,", 32u, NULL },
    { "cache,cache", 1u, NULL },
    { "cash", 0, "'cash'" },
    { "cache,Pass", 0, "'Pass'" },
    { "cach", 0, "'cach'" },
    { "caches", 0, "'caches'" },
    { "cache;pass", 0, "'cache;pass'" },
};

START_TEST(debug_flags) {
    jc_error err = JC_ERROR_INIT;
    unsigned bits = 12345;
    jitc_status status = jc_debug_parse(words[_i].text, &bits, &err);
    ck_assert_uint_eq(bits, words[_i].bits);
    if (!words[_i].unknown) {
        ck_assert_int_eq(status, JITC_OK);
        ck_assert_int_eq(err.status, JITC_OK);
        return;
    }
    ck_assert_int_eq(status, JITC_E_USAGE);
    ck_assert_int_eq(err.status, JITC_E_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, words[_i].unknown));
    ck_assert_ptr_nonnull(strstr(err.message, "cache, pass, lower, kernel, llvm, ptx, run, time"));
}
END_TEST

typedef struct lines {
    int n;
    char last[3000];
} lines;

static void keep_line(void *user, const char *text) {
    lines *l = user;
    l->n++;
    snprintf(l->last, sizeof l->last, "%s", text);
}

START_TEST(debug_lines) {
    lines l = { 0 };
    jc_log log = { keep_line, &l, JC_DEBUG_CACHE };
    int evaluated = 0;
    JC_LOG(&log, JC_DEBUG_CACHE, "hit %d", ++evaluated);
    ck_assert_str_eq(l.last, "hit 1");
    JC_LOG(&log, JC_DEBUG_PASS, "pass %d", ++evaluated);
    ck_assert_int_eq(l.n, 1);
    ck_assert_int_eq(evaluated, 1); /* what nobody reads is not worked out */
    jc_log_line(&log, "%2500d", 8);
    ck_assert_uint_eq(strlen(l.last), 2500);
    ck_assert_str_eq(l.last + 2498, " 8");
    const jc_log *none = NULL;
    JC_LOG(none, JC_DEBUG_CACHE, "nothing");
    jc_log_line(NULL, "nothing");
    jc_log nowhere = { .debug = ~0u };
    JC_LOG(&nowhere, JC_DEBUG_CACHE, "nothing");
    ck_assert_int_eq(l.n, 2);
}
END_TEST

START_TEST(clock_goes_forward) {
    double a = jc_now_ms(), b = jc_now_ms();
    ck_assert(a > 0 && b >= a);
}
END_TEST

/* ---- the list -------------------------------------------------------------------------------------------- */

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

static void arena_tests(Suite *suite) {
    TCase *c = tcase_create("arena");
    suite_add_tcase(suite, c);
    tcase_add_test(c, arena_zeroed_aligned_distinct);
    tcase_add_test(c, arena_is_thrifty);
    tcase_add_test(c, arena_strings);
    tcase_add_loop_test(c, arena_overflow_counts_as_no_memory, 0, ROWS(overflows));
    tcase_add_test(c, arena_array_of_nothing);
    tcase_add_test(c, defer_runs_in_reverse_before_memory_goes);
    tcase_add_test(c, defer_without_memory_gives_the_handle_back);
    tcase_add_test(c, guards_nest);
    tcase_add_test(c, guard_ended_is_left_alone);
    tcase_add_test(c, arena_new_without_memory);
    tcase_add_test(c, every_allocation_may_fail);
}

static void container_tests(Suite *suite) {
    TCase *c = tcase_create("vec and map");
    suite_add_tcase(suite, c);
    tcase_add_test(c, vec_grows);
    tcase_add_test(c, map_grows_and_keeps_order);
    tcase_add_test(c, map_keys_are_byte_strings);
    tcase_add_test(c, hash64_spreads);
}

static void bytes_tests(Suite *suite) {
    TCase *c = tcase_create("bytes");
    suite_add_tcase(suite, c);
    tcase_add_test(c, bytes_are_spelt_so);
    tcase_add_test(c, bytes_text_of_any_length);
    tcase_add_loop_test(c, leb128_there_and_back, 0, ROWS(numbers));
    tcase_add_loop_test(c, leb128_limits, 0, ROWS(leb128_rows));
    tcase_add_test(c, reader_of_truncated_input);
    tcase_add_test(c, bad_reader_stays_bad);
    tcase_add_loop_test(c, bad_strings, 0, ROWS(bad_blobs));
    tcase_add_loop_test(c, counts_must_fit, 0, ROWS(counts));
    tcase_add_test(c, doubles_keep_their_bits);
    tcase_add_test(c, empty_reads_of_nothing);
}

static void other_tests(Suite *suite) {
    TCase *c = tcase_create("hash, pool, error, debug");
    suite_add_tcase(suite, c);
    tcase_add_loop_test(c, blake2b_vectors, 0, ROWS(vectors));
    tcase_add_test(c, hash_of_nothing_at_null);
    tcase_add_loop_test(c, pool_runs_each_once, 0, ROWS(pools));
    tcase_add_test(c, pool_runs_at_the_same_time);
    tcase_add_test(c, error_first_one_stays);
    tcase_add_test(c, error_place_is_added_once);
    tcase_add_loop_test(c, error_text, 0, ROWS(texts));
    tcase_add_test(c, error_long_parts);
    tcase_add_test(c, status_words);
    tcase_add_loop_test(c, debug_flags, 0, ROWS(words));
    tcase_add_test(c, debug_lines);
    tcase_add_test(c, clock_goes_forward);
}

int main(void) {
    Suite *suite = suite_create("base");
    arena_tests(suite);
    container_tests(suite);
    bytes_tests(suite);
    other_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
