/* check_loader.c - objects of the C compiler loaded and run, and damaged ones refused. */
#include <check.h>
#include <elf.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/loader.h"
#include "runtime/loader_priv.h"

#define SAMPLES TEST_BUILDDIR "/tests/"

typedef struct file {
    uint8_t *at;
    size_t n;
} file;

static file read_file(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, SAMPLES "%s", name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    file out = { malloc(1 << 16), 0 };
    out.n = fread(out.at, 1, 1 << 16, f);
    fclose(f);
    ck_assert_uint_gt(out.n, 64);
    ck_assert_uint_lt(out.n, 1 << 16);
    return out;
}

static int extra_function(int x) {
    return x * 100;
}
static const jc_loader_symbol extra[] = { { "extra_function", (void *)extra_function } };

static jc_loaded *load(const file *f) {
    jc_loaded *l = NULL;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_load_object(f->at, f->n, extra, 1, NULL, &l, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    return l;
}

static void *need(const jc_loaded *l, const char *name) {
    void *at = jc_loaded_symbol(l, name);
    ck_assert_msg(at != NULL, "%s is not there", name);
    return at;
}
#define FUNCTION(type, name) ((type)need(l, name))

static const char *const samples[] = { "loader_pic.o", "loader_plain.o" };

START_TEST(test_runs) {
    file f = read_file(samples[_i]);
    jc_loaded *l = load(&f);
    ck_assert_int_eq(FUNCTION(int (*)(int, int), "sample_add")(20, 22), 42);
    ck_assert_float_eq_tol(FUNCTION(float (*)(float), "sample_expf")(1.0f), 3.7182817f, 1e-6f);
    ck_assert_double_eq_tol(FUNCTION(double (*)(double), "sample_erf")(1.0), 1.6854015858994298, 1e-14);
    ck_assert_int_eq(FUNCTION(int (*)(void), "sample_count")(), 41);
    ck_assert_int_eq(FUNCTION(int (*)(void), "sample_count")(), 42);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_bss")(5), 5);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_bss")(6), 11);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_shared")(3), 10);
    ck_assert_int_eq(*(int *)need(l, "shared_value"), 10);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_extra")(4), 401);
    unsigned char bytes[5] = { 0 };
    FUNCTION(void (*)(unsigned char *, unsigned long), "sample_fill")(bytes, 4);
    ck_assert_mem_eq(bytes, "\x5a\x5a\x5a\x5a\0", 5);
    ck_assert_ptr_null(jc_loaded_symbol(l, "counter")); /* static */
    ck_assert_ptr_null(jc_loaded_symbol(l, "expf"));
    jc_loaded_free(l);
    free(f.at);
}
END_TEST

START_TEST(test_tables) {
    file f = read_file("loader_pic.o");
    jc_loaded *l = load(&f);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_table")(0), 7);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_table")(1), 40);
    ck_assert_int_eq(FUNCTION(int (*)(int), "sample_prime")(15), 53);
    float (*through)(float) = FUNCTION(float (*(*)(void))(float), "sample_pointer")();
    ck_assert_float_eq_tol(through(0.0f), 1.0f, 1e-7f);
    jc_loaded_free(l);
    free(f.at);
}
END_TEST

/* Two loads of one object share nothing. */
START_TEST(test_apart) {
    file f = read_file("loader_pic.o");
    jc_loaded *l = load(&f), *m = load(&f);
    ck_assert_int_eq(FUNCTION(int (*)(void), "sample_count")(), 41);
    ck_assert_int_eq(((int (*)(void))need(m, "sample_count"))(), 41);
    jc_loaded_free(l);
    jc_loaded_free(m);
    jc_loaded_free(NULL);
    free(f.at);
}
END_TEST

/* No page of an object may be written and executed. */
START_TEST(test_protection) {
    file f = read_file("loader_pic.o");
    jc_loaded *l = load(&f);
    const struct {
        const char *symbol, *protection;
    } rows[] = { { "sample_add", "r-xp" }, { "shared_value", "rw-p" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uintptr_t at = (uintptr_t)need(l, rows[i].symbol);
        FILE *maps = fopen("/proc/self/maps", "r");
        ck_assert_ptr_nonnull(maps);
        char line[512], protection[8] = "";
        unsigned long from, to;
        char found[8];
        while (fgets(line, sizeof line, maps))
            if (sscanf(line, "%lx-%lx %7s", &from, &to, found) == 3 && from <= at && at < to)
                memcpy(protection, found, sizeof protection);
        fclose(maps);
        ck_assert_msg(strcmp(protection, rows[i].protection) == 0, "%s lies in pages %s", rows[i].symbol, protection);
    }
    jc_loaded_free(l);
    free(f.at);
}
END_TEST

static jitc_status refuse(const file *f, uint32_t nextra, jc_error *err) {
    jc_loaded *l = NULL;
    *err = (jc_error)JC_ERROR_INIT;
    jitc_status status = jc_load_object(f->at, f->n, extra, nextra, NULL, &l, err);
    if (status == JITC_OK)
        jc_loaded_free(l);
    else
        ck_assert_msg(err->status == status && err->message[0], "a failure without a sentence");
    return status;
}

START_TEST(test_unknown_external) {
    file f = read_file("loader_pic.o");
    jc_error err;
    ck_assert_int_eq(refuse(&f, 0, &err), JITC_E_INPUT);
    ck_assert_msg(strstr(err.message, "'extra_function'") != NULL, "%s", err.message);
    free(f.at);
}
END_TEST

/* Absolute 32-bit addresses do not reach, unless the mapping came to lie that low (as valgrind places it). */
START_TEST(test_absolute) {
    file f = read_file("loader_absolute.o");
    jc_loaded *l = NULL;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_load_object(f.at, f.n, extra, 1, NULL, &l, &err);
    if (status == JITC_OK) {
        ck_assert_uint_lt((uintptr_t)need(l, "sample_table"), UINT32_MAX);
        ck_assert_int_eq(FUNCTION(int (*)(int), "sample_prime")(15), 53);
        jc_loaded_free(l);
    } else {
        ck_assert_int_eq(status, JITC_E_INPUT);
        ck_assert_msg(strstr(err.message, "position-independent") != NULL, "%s", err.message);
    }
    free(f.at);
}
END_TEST

/* Single fields of the header made wrong. */
START_TEST(test_header) {
    static const struct {
        const char *what;
        size_t at;
        uint8_t value;
        const char *word;
    } rows[] = {
        { "magic", 0, 'X', "no relocatable ELF" },
        { "32 bits", EI_CLASS, ELFCLASS32, "no relocatable ELF" },
        { "big-endian", EI_DATA, ELFDATA2MSB, "no relocatable ELF" },
        { "a program", offsetof(Elf64_Ehdr, e_type), ET_EXEC, "no relocatable ELF" },
        { "another machine", offsetof(Elf64_Ehdr, e_machine), EM_386, "no relocatable ELF" },
        { "entry size", offsetof(Elf64_Ehdr, e_shentsize), 63, "table of sections" },
        { "sections far away", offsetof(Elf64_Ehdr, e_shoff) + 6, 1, "table of sections" },
    };
    file f = read_file("loader_pic.o");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        jc_error err;
        uint8_t old = f.at[rows[i].at];
        f.at[rows[i].at] = rows[i].value;
        jitc_status status = refuse(&f, 1, &err);
        f.at[rows[i].at] = old;
        ck_assert_msg(status == JITC_E_INPUT && strstr(err.message, rows[i].word), "%s: %s", rows[i].what, err.message);
    }
    free(f.at);
}
END_TEST

/* Finds the first section of a type, to damage it. */
static Elf64_Shdr *section_of(const file *f, uint32_t type, uint64_t flags) {
    Elf64_Ehdr *h = (Elf64_Ehdr *)f->at;
    Elf64_Shdr *s = (Elf64_Shdr *)(f->at + h->e_shoff);
    for (unsigned i = 0; i < h->e_shnum; i++)
        if (s[i].sh_type == type && (s[i].sh_flags & flags) == flags)
            return &s[i];
    ck_abort_msg("no section of type %u", type);
}

START_TEST(test_sections) {
    file f = read_file("loader_pic.o");
    Elf64_Shdr *text = section_of(&f, SHT_PROGBITS, SHF_EXECINSTR), *bss = section_of(&f, SHT_NOBITS, SHF_ALLOC);
    Elf64_Shdr *rela = section_of(&f, SHT_RELA, 0), *symtab = section_of(&f, SHT_SYMTAB, 0);
    Elf64_Rela *first = (Elf64_Rela *)(f.at + rela->sh_offset);
    struct {
        const char *what;
        uint64_t *field;
        uint64_t value;
        const char *word;
    } rows[] = {
        { "writable code", &text->sh_flags, SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE, "writable and executable" },
        { "thread-local", &bss->sh_flags, SHF_ALLOC | SHF_WRITE | SHF_TLS, "thread-local" },
        { "huge .bss", &bss->sh_size, 1ull << 40, "impossible size" },
        { "odd alignment", &text->sh_addralign, 24, "alignment" },
        { "text outside", &text->sh_offset, f.n, "outside" },
        { "text wraps", &text->sh_offset, UINT64_MAX, "outside" },
        { "relocation outside", &first->r_offset, 1 << 20, "outside of its section" },
        { "relocation at the end", &first->r_offset, UINT64_MAX - 1, "outside of its section" },
        { "relocation type", &first->r_info, ELF64_R_INFO(1, R_X86_64_TPOFF64), "relocation of type 18" },
        { "relocation symbol", &first->r_info, ELF64_R_INFO(9999, R_X86_64_PC32), "symbol 9999" },
        { "relocation size", &rela->sh_size, rela->sh_size - 1, "malformed" },
        { "relocation entry", &rela->sh_entsize, 16, "malformed" },
        { "symbol size", &symtab->sh_entsize, 16, "malformed" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        jc_error err;
        uint64_t old = *rows[i].field;
        *rows[i].field = rows[i].value;
        jitc_status status = refuse(&f, 1, &err);
        *rows[i].field = old;
        ck_assert_msg(status == JITC_E_INPUT && strstr(err.message, rows[i].word), "%s: %d %s", rows[i].what, status,
                      err.message);
    }
    free(f.at);
}
END_TEST

/* Cut short anywhere, in memory that ends there; whether it loads or not, nothing is read beyond. */
START_TEST(test_truncated) {
    file f = read_file("loader_plain.o");
    for (size_t n = 0; n < f.n; n++) {
        file cut = { malloc(n + !n), n };
        memcpy(cut.at, f.at, n);
        jc_error err;
        jitc_status status = refuse(&cut, 1, &err);
        ck_assert_msg(status == JITC_E_INPUT, "cut to %zu bytes: %d", n, status); /* the table of sections comes last */
        free(cut.at);
    }
    free(f.at);
}
END_TEST

/* Every byte changed in several ways: loaded, never run. */
START_TEST(test_mutated) {
    static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x10 };
    file f = read_file("loader_pic.o");
    unsigned refused = 0, loaded = 0;
    for (size_t i = 0; i < f.n; i++)
        for (size_t j = 0; j < sizeof flips; j++) {
            jc_error err;
            f.at[i] ^= flips[j];
            jitc_status status = refuse(&f, 1, &err);
            f.at[i] ^= flips[j];
            ck_assert_msg(status == JITC_OK || status == JITC_E_INPUT || status == JITC_E_NOMEM, "byte %zu: %d", i,
                          status);
            refused += status != JITC_OK;
            loaded += status == JITC_OK;
        }
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_gt(loaded, 1000); /* code bytes may be anything */
    free(f.at);
}
END_TEST

/* Memory that runs out after N allocations, and that counts what is out. */
typedef struct scarce {
    int left, out;
} scarce;

static void *scarce_alloc(void *user, size_t size) {
    scarce *s = user;
    if (s->left-- <= 0)
        return NULL;
    s->out++;
    return malloc(size);
}

static void scarce_free(void *user, void *block, size_t size) {
    (void)size;
    ((scarce *)user)->out--;
    free(block);
}

START_TEST(test_no_memory) {
    file f = read_file("loader_pic.o");
    jitc_status status = JITC_E_NOMEM;
    int n = 0;
    for (; status == JITC_E_NOMEM && n < 100; n++) {
        scarce s = { n, 0 };
        jc_alloc alloc = { scarce_alloc, scarce_free, &s };
        jc_loaded *l = NULL;
        jc_error err = JC_ERROR_INIT;
        status = jc_load_object(f.at, f.n, extra, 1, &alloc, &l, &err);
        if (status == JITC_OK)
            jc_loaded_free(l);
        ck_assert_int_eq(s.out, 0);
    }
    ck_assert_int_eq(status, JITC_OK);
    ck_assert_int_ge(n, 3);
    free(f.at);
}
END_TEST

/* ---- the helpers for narrow floats ---- */

static uint32_t bits_of(float f) {
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    return b;
}

static float of_bits(uint32_t b) {
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

/* Values by hand from IEEE 754: what, the number, its f16, its bf16. */
static const struct {
    double x;
    uint16_t half, bf16;
} narrow_rows[] = {
    { 0.0, 0x0000, 0x0000 },
    { -0.0, 0x8000, 0x8000 },
    { 1.0, 0x3c00, 0x3f80 },
    { -2.0, 0xc000, 0xc000 },
    { 65504.0, 0x7bff, 0x4780 },           /* the largest half; 65536 in bf16 */
    { 65519.0, 0x7bff, 0x4780 },
    { 65520.0, 0x7c00, 0x4780 },           /* half of the last place up: infinity */
    { 1e30, 0x7c00, 0x714a },
    { 0x1p-14, 0x0400, 0x3880 },           /* the smallest normal half */
    { 0x1p-24, 0x0001, 0x3380 },           /* the smallest half */
    { 0x1p-25, 0x0000, 0x3300 },           /* a tie with 0: even */
    { 0x1.8p-25, 0x0001, 0x3340 },
    { 0x1.ff8p-15, 0x03ff, 0x3880 },       /* the largest subnormal half, 1023 of the smallest */
    { 0x1.ffap-15, 0x03ff, 0x3880 },       /* 1023.25 */
    { 0x1.ffcp-15, 0x0400, 0x3880 },       /* 1023.5: a tie, to the smallest normal, which is even */
    { 1.0 + 0x1p-11, 0x3c00, 0x3f80 },     /* a tie: to even, down */
    { 1.0 + 0x3p-11, 0x3c02, 0x3f80 },     /* a tie: to even, up */
    { 1.0 + 0x1p-8, 0x3c04, 0x3f80 },      /* a tie in bf16: down */
    { 1.0 + 0x3p-8, 0x3c0c, 0x3f82 },      /* a tie in bf16: up */
    { 1.0 + 0x1p-8 + 0x1p-40, 0x3c04, 0x3f81 }, /* twice rounded would be 0x3f80 */
    { 0x1p-133, 0x0000, 0x0001 },          /* the smallest bf16 */
    { 0x1p-134, 0x0000, 0x0000 },
    { 0x1p-400, 0x0000, 0x0000 },
    { 0x1.fffp127, 0x7c00, 0x7f80 },
    { INFINITY, 0x7c00, 0x7f80 },
    { -INFINITY, 0xfc00, 0xff80 },
};

START_TEST(test_narrow) {
    for (size_t i = 0; i < sizeof narrow_rows / sizeof *narrow_rows; i++) {
        double x = narrow_rows[i].x;
        ck_assert_msg(bits_of(jc_helper_truncdfhf2(x)) == narrow_rows[i].half, "%a to f16: %04x", x,
                      bits_of(jc_helper_truncdfhf2(x)));
        ck_assert_msg(bits_of(jc_helper_truncdfbf2(x)) == narrow_rows[i].bf16, "%a to bf16: %04x", x,
                      bits_of(jc_helper_truncdfbf2(x)));
        if ((double)(float)x == x) {
            ck_assert_uint_eq(bits_of(jc_helper_truncsfhf2((float)x)), narrow_rows[i].half);
            ck_assert_uint_eq(bits_of(jc_helper_truncsfbf2((float)x)), narrow_rows[i].bf16);
        }
    }
    ck_assert_uint_eq(bits_of(jc_helper_truncsfhf2(of_bits(0x7fc00000))), 0x7e00);
    ck_assert_uint_eq(bits_of(jc_helper_truncsfbf2(of_bits(0xffc12345))), 0xffc1);
}
END_TEST

/* Every half survives the way there and back; a few are known. */
START_TEST(test_widen) {
    ck_assert_float_eq(jc_helper_extendhfsf2(of_bits(0x3555)), 0.333251953125f);
    ck_assert_float_eq(jc_helper_extendhfsf2(of_bits(0x0001)), 0x1p-24f);
    ck_assert_float_eq(jc_helper_extendhfsf2(of_bits(0x83ff)), -0x1.ff8p-15f);
    ck_assert_float_eq(jc_helper_extendhfsf2(of_bits(0xdead7bff)), 65504.0f); /* the upper bits mean nothing */
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = jc_helper_extendhfsf2(of_bits(h));
        bool nan = (h & 0x7fff) > 0x7c00;
        ck_assert_msg(isnan(f) == nan, "%04x", h);
        ck_assert_msg(bits_of(jc_helper_truncsfhf2(f)) == (nan ? h | 0x200 : h), "%04x", h);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("loader");
    TCase *tc = tcase_create("loader");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_runs, 0, 2);
    tcase_add_test(tc, test_tables);
    tcase_add_test(tc, test_apart);
    tcase_add_test(tc, test_protection);
    tcase_add_test(tc, test_unknown_external);
    tcase_add_test(tc, test_absolute);
    tcase_add_test(tc, test_header);
    tcase_add_test(tc, test_sections);
    tcase_add_test(tc, test_truncated);
    tcase_add_test(tc, test_mutated);
    tcase_add_test(tc, test_no_memory);
    tcase_add_test(tc, test_narrow);
    tcase_add_test(tc, test_widen);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
