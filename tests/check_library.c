/*
 * tests/check_library.c - where libraries are opened from, and where not: `jitc` copied elsewhere, with libraries planted around it.
 *
 * A planted library prints PLANTED when it is opened, whatever comes of it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/library.h"
#include "tests/tool_run.h"

#define MODULE "libjitc-llvm.so"
#define COMPILE "compile --no-cache --arch host g.py"

static const char graph[] = "class GraphModule(torch.nn.Module):\n    def forward(self, x: \"f32[8]\"):\n"
                            "        y: \"f32[8]\" = x * 2\n        return (y,)\n";
static const char *const plain[] = { "JITC_LLVM_LIBRARY", "LD_LIBRARY_PATH", NULL };

static void copy(const char *from, const char *to, mode_t mode) {
    size_t n;
    const char *bytes = whole(from, &n);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, mode);
    ck_assert_msg(fd >= 0, "%s cannot be made", to);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    fchmod(fd, mode);
    close(fd);
}

static void plant(const char *folder) {
    char *path = jc_arena_strdup(arena, folder);
    for (char *p = path; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0755);
            *p = '/';
        }
    mkdir(path, 0755);
    copy(TEST_BUILDDIR "/tests/planted.so", jc_arena_printf(arena, "%s/" MODULE, folder), 0755);
}

static bool planted(const result *r) {
    return strstr(r->err, "PLANTED") != NULL;
}

/* p/bin/jitc, in a folder that others may enter. */
static void set_up(void) {
    umask(022);
    tool_enter("library");
    chmod(dir, 0755);
    write_text("g.py", graph);
    mkdir("p", 0755);
    mkdir("p/bin", 0755);
    copy(JITC, "p/bin/jitc", 0755);
}

static char *copied(void) {
    return jc_arena_printf(arena, "%s/p/bin/jitc", dir);
}

/* Beside it, in .libs, one and two folders up, in lib, in the current directory, by its bare name. */
START_TEST(not_from_around) {
    static const char *const folders[] = { "p/bin", "p/bin/.libs", "p/.libs", ".libs", ".", "p/lib", "p/jitc", "lib/jitc",
                                           "p/bin/lib/jitc", "lib" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        plant(folders[i]);
    result r = run_program(copied(), plain, COMPILE);
    ck_assert_msg(!planted(&r), "a planted library was opened: %s", r.err);
    ck_assert_msg(r.code == 5 && strstr(r.err, "JITC_LLVM_LIBRARY"), "exit code %d: %s", r.code, r.err);
    r = run_program("p/bin/jitc", plain, COMPILE); /* by a relative path */
    ck_assert(!planted(&r));
    chdir("p/bin");
    write_text("g.py", graph);
    r = run_program("./jitc", plain, COMPILE);
    ck_assert(!planted(&r));
    chdir(dir);
}
END_TEST

/* The folder that an installation has: wherever the whole was put, and only if nobody else can write there. */
START_TEST(from_where_it_was_put) {
    plant("p/lib/jitc");
    result r = run_program(copied(), plain, COMPILE);
    ck_assert_msg(planted(&r), "not from ../lib/jitc: %s", r.err);
    copy(TEST_BUILDDIR "/.libs/" MODULE, "p/lib/jitc/" MODULE, 0755);
    r = run_program(copied(), plain, COMPILE);
    expect(&r, 0);
    symlink("p/bin/jitc", "link");
    r = run_program("./link", plain, COMPILE); /* a link leads to the program's own folder */
    expect(&r, 0);
    plant("p/lib/jitc");
    chmod("p/lib/jitc/" MODULE, 0777);
    r = run_program(copied(), plain, COMPILE);
    ck_assert_msg(!planted(&r) && r.code == 5, "a library that all can write to was opened: %s", r.err);
    chmod("p/lib/jitc/" MODULE, 0755);
    chmod("p/lib/jitc", 0777);
    r = run_program(copied(), plain, COMPILE);
    ck_assert_msg(!planted(&r) && r.code == 5, "from a folder that all can write to: %s", r.err);
    chmod("p/lib/jitc", 0755);
}
END_TEST

START_TEST(not_anothers) {
    const struct passwd *nobody = getpwnam("nobody");
    plant("p/lib/jitc");
    if (geteuid() != 0 || !nobody || chown("p/lib/jitc/" MODULE, nobody->pw_uid, (gid_t)-1) != 0) {
        fprintf(stderr, "SKIP: only root can plant somebody else's library\n");
        return;
    }
    result r = run_program(copied(), plain, COMPILE);
    ck_assert_msg(!planted(&r) && r.code == 5, "somebody else's library was opened: %s", r.err);
}
END_TEST

/* What is named is opened, and nothing else is then looked for. */
START_TEST(by_name) {
    plant("named");
    const char *by_path[] = { jc_arena_printf(arena, "JITC_LLVM_LIBRARY=%s/named/" MODULE, dir), NULL };
    result r = run_program(JITC, by_path, COMPILE);
    ck_assert_msg(planted(&r) && r.code == 5 && strstr(r.err, "no module of libjitc"), "%d: %s", r.code, r.err);
    const char *missing[] = { "JITC_LLVM_LIBRARY=/nowhere/x.so", NULL };
    r = run_program(JITC, missing, COMPILE);
    ck_assert_msg(r.code == 5 && strstr(r.err, "/nowhere/x.so"), "%d: %s", r.code, r.err);
    r = run_program(JITC, plain, COMPILE); /* the build tree finds its own */
    expect(&r, 0);
}
END_TEST

/* Where secure_getenv() knows nothing, as with borrowed rights: neither the library nor the cache is where the environment says. */
START_TEST(environment_of_others) {
    plant("named");
    const char *around[] = { jc_arena_printf(arena, "JITC_LLVM_LIBRARY=%s/named/" MODULE, dir),
                             jc_arena_printf(arena, "JITC_ASSEMBLER=%s/named/" MODULE, dir),
                             "LD_PRELOAD=" TEST_BUILDDIR "/tests/no_env.so",
                             "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0", NULL };
    result r = run_program(JITC, around, "compile --arch host g.py");
    expect(&r, 0);
    ck_assert(!planted(&r));
    ck_assert_int_ne(access("cache", F_OK), 0);
    r = run_program(JITC, around, "doctor");
    expect(&r, 0);
    ck_assert_msg(!planted(&r) && !strstr(r.out, "(/named"), "%s", r.out);
}
END_TEST

/* In truth: set-uid nobody.  False, and said, where that cannot be. */
static bool lend_rights(void) {
#ifdef __SANITIZE_ADDRESS__
    fprintf(stderr, "SKIP: a set-uid program cannot be looked at by the leak sanitizer that it holds\n");
    return false;
#endif
    const struct passwd *nobody = getpwnam("nobody");
    struct statvfs fs;
    if (geteuid() == 0 && nobody && statvfs(dir, &fs) == 0 && !(fs.f_flag & ST_NOSUID) && chown("p/bin/jitc", nobody->pw_uid, (gid_t)-1) == 0 &&
        chmod("p/bin/jitc", 04755) == 0)
        return true;
    fprintf(stderr, "SKIP: only root can make a program set-uid for somebody else, and not in every file system\n");
    return false;
}

START_TEST(borrowed_rights) {
    plant("named");
    plant("p/lib/jitc"); /* beside a hard link it would be the attacker's */
    const char *around[] = { jc_arena_printf(arena, "JITC_LLVM_LIBRARY=%s/named/" MODULE, dir), NULL };
    result r = run_program(copied(), around, COMPILE);
    ck_assert(planted(&r));
    if (!lend_rights())
        return;
    r = run_program(copied(), around, COMPILE);
    ck_assert_msg(!planted(&r) && r.code == 5, "%d: %s", r.code, r.err);
}
END_TEST

/* Each that leads to code or to files: `doctor` says where it found what. */
static const char *const leading[][2] = {
    { "JITC_CACHE_DIR=%s/cache", "named" }, { "XDG_CACHE_HOME=%s/xdg", "named" }, { "HOME=%s", "named" },
    { "JITC_LLVM_LIBRARY=%s/named/" MODULE, "named" }, { "JITC_ASSEMBLER=%s/named/libnvJitLink.so.13", "named" },
    { "LD_LIBRARY_PATH=%s/named", "named" }, { "VIRTUAL_ENV=%s/venv", "venv/lib/python3.11/site-packages/nvidia/cu13/lib" },
    { "CONDA_PREFIX=%s/conda", "conda/lib/python3.11/site-packages/nvidia/cu13/lib" },
    { "HOME=%s/home", "home/.local/lib/python3.11/site-packages/nvidia/cu13/lib" }, { "PATH=%s/named", "named" },
    { "CUDA_HOME=%s/named", "named" },
};

START_TEST(borrowed_environment) {
    const char *name = leading[_i][0], *variable = jc_arena_printf(arena, name, dir), *folder = leading[_i][1];
    const char *const own[] = { "JITC_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "JITC_LLVM_LIBRARY", "JITC_ASSEMBLER", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
                                "CONDA_PREFIX", variable, NULL };
    plant(folder);
    rename(jc_arena_printf(arena, "%s/" MODULE, folder), jc_arena_printf(arena, "%s/libnvJitLink.so.13", folder));
    plant("named");
    copy(TEST_BUILDDIR "/tests/planted.so", "named/ptxas", 0755);
    result r = run_program(copied(), own, "doctor");
    expect(&r, 0);
    ck_assert_msg(strstr(r.out, dir) || planted(&r), "%s is not looked at: %s", variable, r.out); /* or this test shows nothing */
    if (!lend_rights())
        return;
    r = run_program(copied(), own, "doctor");
    expect(&r, 0);
    ck_assert_msg(!strstr(r.out, dir) && !planted(&r), "%s leads somewhere: %s%s", variable, r.out, r.err);
}
END_TEST

START_TEST(lists) {
    write_text("lib.so", "x");
    mkdir("sub", 0755);
    write_text("sub/lib.so", "x");
    char *absolute = jc_arena_printf(arena, ":.:sub:/nowhere:%s/sub", dir), real[4096];
    ck_assert_ptr_null(jc_library_in_list(arena, NULL, "lib.so"));
    ck_assert_ptr_null(jc_library_in_list(arena, ".:sub:", "lib.so"));
    ck_assert_str_eq(jc_library_in_list(arena, absolute, "lib.so"), realpath("sub/lib.so", real));
    ck_assert_ptr_null(jc_library_in_list(arena, dir, "sub")); /* a folder is no library */
}
END_TEST

int main(void) {
    Suite *s = suite_create("library");
    TCase *t = tcase_create("library");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_add_test(t, not_from_around);
    tcase_add_test(t, from_where_it_was_put);
    tcase_add_test(t, not_anothers);
    tcase_add_test(t, by_name);
    tcase_add_test(t, environment_of_others);
    tcase_add_test(t, borrowed_rights);
    tcase_add_loop_test(t, borrowed_environment, 0, sizeof leading / sizeof *leading);
    tcase_add_test(t, lists);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
