/*
 * tests/check_calls.c - system calls that fail, each in turn, once and for ever, while `jitc` writes and reads bundles and its cache: it gives the
 * right answer or says what failed; files are whole, old or not there; no descriptor and no temporary file is left.
 *
 * Calls are tried by ones at first, then in growing steps; with JITC_FAULTS_ALL by ones.  The model calls a custom operator alone, so nothing here needs LLVM.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tool_run.h"

static const char small_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8]\"):\n"
    "        a: \"f32[8]\" = torch.ops.test.scale(x, 'layers.1')\n"
    "        return (a,)\n";

/* What each kind of call may say. */
static const struct {
    const char *name;
    int errors[6]; /* 0 behind the last; first a 0: half of it is done */
} kinds[] = {
    { "open", { EMFILE, EROFS, ESTALE, EIO, EACCES } },
    { "read", { 0, EIO, ESTALE, EINTR } },
    { "write", { 0, ENOSPC, EIO, EDQUOT, EINTR, EROFS } },
    { "fsync", { EIO, ENOSPC, EDQUOT } },
    { "close", { EIO, ENOSPC, EDQUOT } },
    { "rename", { ENOSPC, EROFS, ESTALE, EIO } },
    { "stat", { EIO, ESTALE, EACCES } },
    { "mkdir", { ENOSPC, EROFS, EDQUOT } },
    { "lock", { ENOLCK, ENOSYS, EIO, EINTR } },
};

static const struct {
    const char *args;
    const char *file;   /* written: whole, as it was, or not there; NULL: none */
    bool cold;          /* with an empty cache */
    bool cache_trouble; /* never stops it */
} jobs[] = {
    { "compile -q --arch host -o new.jitc small.py", "new.jitc", false, false },
    { "compile -q --arch host -o old.jitc small.py", "old.jitc", false, false },
    { "compile -q --arch host small.py", NULL, true, true },
    { "compile -q --arch host small.py", NULL, false, true },
    { "run -q --load-only --device host --no-cache good.jitc", NULL, false, false },
    { "check -q --no-cache --arch host --max-misses 0 --read-cache good.jitc small.py", NULL, false, false },
    { "bundle sign --key a.key old.jitc", "old.jitc", false, false },
    { "bundle verify --trust-key a.key.pub signed.jitc", NULL, false, false },
    { "cache verify", NULL, false, false },
    { "cache export new.entries", NULL, false, false },
    { "cache import some.entries --cache other", NULL, false, false },
    { "cache prune", NULL, false, false },
};

static const char *good, *sealed, *entries;
static size_t ngood, nsealed, nentries;

static void set_up(void) {
    tool_enter("calls");
    write_text("small.py", small_text);
    result r = jitc("compile -q --arch host -o good.jitc small.py");
    expect(&r, 0);
    r = jitc("bundle keygen a.key");
    expect(&r, 0);
    good = whole("good.jitc", &ngood);
    r = jitc("compile -q --arch host -o signed.jitc small.py");
    expect(&r, 0);
    r = jitc("bundle sign --key a.key signed.jitc");
    expect(&r, 0);
    sealed = whole("signed.jitc", &nsealed);
    r = jitc("cache export some.entries");
    expect(&r, 0);
    entries = whole("some.entries", &nentries);
}

static void spill(const char *path, const char *at, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(at, 1, n, f), n);
    fclose(f);
}

/* No temporary file is in FOLDER or below. */
static bool is_clean(const char *folder) {
    DIR *d = opendir(folder);
    bool clean = true;
    for (struct dirent *e; d && clean && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        clean = !strstr(e->d_name, "tmp.") && (e->d_type != DT_DIR || is_clean(jc_arena_printf(arena, "%s/%s", folder, e->d_name)));
    }
    if (d)
        closedir(d);
    return clean;
}

static bool is(const char *path, const char *at, size_t n) {
    size_t m;
    const char *got = whole(path, &m);
    return m == n && memcmp(got, at, n) == 0;
}

typedef struct trial {
    size_t job;
    const char *call;
    int error;
    long at;
    bool forever;
} trial;

static result play(const trial *t) {
    const char *environment[] = { "LD_PRELOAD=" TEST_BUILDDIR "/tests/fail_calls.so",
                                  jc_arena_printf(arena, "FAIL_CALL=%s", t->call),
                                  jc_arena_printf(arena, "FAIL_AT=%ld", t->at),
                                  t->error ? jc_arena_printf(arena, "FAIL_ERRNO=%d", t->error) : "FAIL_ERRNO",
                                  jc_arena_printf(arena, "FAIL_REACHED=%s/reached", dir),
                                  t->forever ? "FAIL_FOREVER=1" : "FAIL_FOREVER", NULL };
    unlink("reached");
    unlink("new.jitc");
    unlink("new.entries");
    spill("old.jitc", good, ngood);
    if (jobs[t->job].cold)
        jitc("cache clear");
    return run_program(JITC, environment, jobs[t->job].args);
}

static void look_at(const trial *t, const result *r) {
    const char *args = jobs[t->job].args, *file = jobs[t->job].file;
    const char *what = jc_arena_printf(arena, "%s, %s number %ld%s: %s", args, t->call, t->at, t->forever ? " and later" : "",
                                       t->error ? strerror(t->error) : "half");
    bool signs = strstr(args, "sign") && file;
    ck_assert_msg(r->code == 0 || (r->code > 0 && r->code <= 6 && (*r->err || strstr(r->out, "unreadable"))), "%s: exit code %d: %s", what, r->code, r->err);
    ck_assert_msg(r->code == 0 || !jobs[t->job].cache_trouble || strcmp(t->call, "open") == 0 || strcmp(t->call, "read") == 0, "%s: %s", what, r->err);
    if (file && r->code == 0)
        ck_assert_msg(signs ? is(file, sealed, nsealed) : is(file, good, ngood), "%s: %s is not what was written", what, file);
    else if (file && access(file, F_OK) == 0) /* a folder that could not be synchronised has the new one */
        ck_assert_msg(is(file, good, ngood) || (signs && is(file, sealed, nsealed)), "%s: %s is half a file", what, file);
    if (r->code == 0 && t->error != ESTALE && access("new.entries", F_OK) == 0) /* a stale one has been removed by somebody */
        ck_assert_msg(is("new.entries", entries, nentries), "%s: half an export", what);
    ck_assert_msg(is_clean("."), "%s: a temporary file is left", what);
    ck_assert_msg(access("reached", F_OK) != 0 || atoi(whole("reached", NULL)) == 0, "%s: %s descriptors are open", what, whole("reached", NULL));
}

/* What was done meanwhile has hurt nothing. */
static void still_good(void) {
    result r = jitc("cache verify");
    expect(&r, 0);
    ck_assert_msg(strstr(r.out, "2 good") || strstr(r.out, "1 good"), "%s", r.out);
    r = jitc("cache verify --cache other");
    expect(&r, 0);
    r = jitc("cache stats --json");
    ck_assert_int_eq(number(expect_json(&r, 0), "bad"), 0); /* nothing that was good was set aside */
    r = jitc("compile -q --arch host -o new.jitc small.py");
    expect(&r, 0);
    ck_assert(is("new.jitc", good, ngood));
}

START_TEST(calls_fail) {
    size_t k = (size_t)_i;
    long tried = 0;
    bool all = getenv("JITC_FAULTS_ALL") != NULL;
    for (size_t job = 0; job < sizeof jobs / sizeof *jobs; job++)
        for (int forever = 0; forever < 2; forever++) {
            bool reached = true;
            for (long n = 0; reached; n += all ? 1 : 1 + n / 5) {
                size_t nerrors = 1;
                while (nerrors < 6 && kinds[k].errors[nerrors])
                    nerrors++;
                trial t = { job, kinds[k].name, kinds[k].errors[(size_t)n % nerrors], n, forever };
                if (forever && t.error == EINTR) /* no kernel does that */
                    t.error = EIO;
                result r = play(&t);
                look_at(&t, &r);
                reached = access("reached", F_OK) == 0;
                tried += reached;
                ck_assert_int_lt(n, 1000);
            }
        }
    still_good();
    if (all)
        fprintf(stderr, "%s: %ld faults\n", kinds[k].name, tried);
    ck_assert_msg(tried > 0, "nothing %s", kinds[k].name);
}
END_TEST

int main(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    fprintf(stderr, "SKIP: the sanitizer has these calls for itself\n");
    return 77;
#endif
    Suite *s = suite_create("calls");
    TCase *t = tcase_create("calls");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_add_loop_test(t, calls_fail, 0, sizeof kinds / sizeof *kinds);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
