/*
 * tests/check_trust.c - whose code is run: bundles and plugins by their owners, modes and names; signatures.
 *
 * The small model calls a custom operator alone, so it needs no code generator, and its bundle may be changed byte by byte.
 */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/seal.h"
#include "base/trust.h"
#include "jit/api/bundle.h"
#include "tests/tool_run.h"

static const char small_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8]\"):\n"
    "        a: \"f32[8]\" = torch.ops.test.scale(x)\n"
    "        return (a,)\n";
static const char mul_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[8]\"):\n"
    "        y: \"f32[8]\" = x * 2\n"
    "        return (y,)\n";

#define PLUGIN TEST_BUILDDIR "/tests/plugin_ok.so"

typedef struct bytes {
    uint8_t *at;
    size_t n;
} bytes;

static bool keep(void *user, const void *at, size_t n) {
    bytes *b = user;
    *b = (bytes){ jc_arena_memdup(arena, at, n), n };
    return true;
}

static jitc_context *context_of(jitc_context_options o) {
    jitc_context *ctx;
    o.struct_size = sizeof o;
    o.device = "host";
    o.cache_dir = "";
    o.threads = 1;
    ck_assert_msg(jitc_context_new(&o, &ctx) == JITC_OK, "%s", jitc_context_error(ctx));
    return ctx;
}

static jitc_context *plain_context(void) {
    return context_of((jitc_context_options){ 0 });
}

static bytes small_bundle(void) {
    jitc_context *ctx = plain_context();
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host" };
    jitc_graph *g;
    jitc_model *m;
    bytes b = { 0 };
    ck_assert_int_eq(jitc_graph_read(ctx, "small.py", small_text, strlen(small_text), &g), JITC_OK);
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(jitc_bundle_write_bytes(ctx, &m, 1, keep, &b), JITC_OK);
    jitc_context_free(ctx);
    return b;
}

static void spill(const char *path, const void *at, size_t n, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, at, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void set_up(void) {
    tool_enter("trust");
}

/* False, and said, where this is not root. */
static bool give_away(const char *path) {
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() == 0 && nobody && chown(path, nobody->pw_uid, (gid_t)-1) == 0)
        return true;
    fprintf(stderr, "SKIP: only root can give files to somebody else\n");
    return false;
}

/* ---- owners and modes ------------------------------------------------------------------------------------------- */

typedef enum use { BUNDLE_LOAD, BUNDLE_OPEN, PLUGIN_LOAD } use;

static jitc_status use_file(jitc_context *ctx, use how, const char *path) {
    jitc_bundle *bundle;
    jitc_model *m;
    return how == PLUGIN_LOAD   ? jitc_plugin_load(ctx, path)
           : how == BUNDLE_OPEN ? jitc_bundle_open(ctx, path, &bundle)
                                : jitc_bundle_load(ctx, path, "host", &m);
}

static void expect_use(use how, const char *path, bool trust_files, jitc_status status, const char *word) {
    jitc_context *ctx = context_of((jitc_context_options){ .trust_files = trust_files });
    jitc_status got = use_file(ctx, how, path);
    ck_assert_msg(got == status, "use %d: %d instead of %d: %s", how, got, status, jitc_context_error(ctx));
    ck_assert_msg(!word || (strstr(jitc_context_error(ctx), word) && strstr(jitc_context_error(ctx), path)), "%s", jitc_context_error(ctx));
    jitc_context_free(ctx);
}

static void make(use how, const char *path, mode_t mode) {
    size_t n;
    bytes b = how == PLUGIN_LOAD ? (bytes){ 0 } : small_bundle();
    const void *at = how == PLUGIN_LOAD ? (const void *)whole(PLUGIN, &n) : b.at;
    spill(path, at, how == PLUGIN_LOAD ? n : b.n, mode);
}

START_TEST(modes) {
    static const struct {
        mode_t mode;
        const char *word; /* NULL: it is used */
    } rows[] = { { 0600, NULL }, { 0644, NULL }, { 0755, NULL }, { 0444, NULL }, { 0664, "its group" }, { 0620, "its group" },
                 { 0666, "everybody" }, { 0602, "everybody" }, { 0777, "everybody" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make((use)_i, "./m.jitc", rows[i].mode);
        expect_use((use)_i, "./m.jitc", false, rows[i].word ? JITC_E_TRUST : JITC_OK, rows[i].word);
        expect_use((use)_i, "./m.jitc", true, JITC_OK, NULL);
        remove("./m.jitc");
    }
}
END_TEST

START_TEST(owners) {
    make((use)_i, "./m.jitc", 0644);
    if (!give_away("./m.jitc"))
        return;
    expect_use((use)_i, "./m.jitc", false, JITC_E_TRUST, "belongs to user");
    expect_use((use)_i, "./m.jitc", true, JITC_OK, NULL);
}
END_TEST

/* The folder is everybody's: the file that was looked at is opened by its descriptor, and the next plugin is not taken for it. */
START_TEST(plugin_in_a_shared_folder) {
    mkdir("shared", 0755);
    make(PLUGIN_LOAD, "shared/first.so", 0644);
    make(PLUGIN_LOAD, "shared/second.so", 0644);
    char real[4096];
    ck_assert(jc_path_is_private(realpath("shared/first.so", real)));
    chmod("shared", 0777);
    ck_assert(!jc_path_is_private(real));
    chmod("shared", 01777);
    ck_assert(jc_path_is_private(real));
    chmod("shared", 0777);
    ck_assert(!jc_path_is_private("shared/first.so")); /* from wherever this is */
    jc_registry *ops = jc_ops_new(arena);
    jitc_plugin_api api = { .struct_size = sizeof api, .abi = JITC_PLUGIN_ABI + 1 };
    jc_error err = JC_ERROR_INIT;
    jc_plugin first, second;
    ck_assert_int_eq(jc_plugin_open("shared/first.so", false, (jitc_context *)ops, &api, &first, &err), JITC_E_ABI);
    ck_assert_int_eq(jc_plugin_open("shared/second.so", false, (jitc_context *)ops, &api, &second, &err), JITC_E_ABI);
    ck_assert(first.handle && second.handle && first.handle != second.handle);
    ck_assert(first.file >= 0 && second.file >= 0);
    jc_plugin_close(&first);
    jc_plugin_close(&second);
    ck_assert_int_eq(second.file, -1);
    mkfifo("fifo.so", 0600);
    ck_assert_int_eq(jc_plugin_open("fifo.so", false, (jitc_context *)ops, &api, &first, &err), JITC_E_IO); /* and nothing waits for a writer */
    ck_assert_ptr_null(first.handle);
}
END_TEST

/* What we write ourselves can be read again, whatever the umask. */
START_TEST(own_files) {
    struct stat st;
    jitc_context *ctx = plain_context();
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host" };
    jitc_graph *g;
    jitc_model *m;
    ck_assert_int_eq(jitc_graph_read(ctx, "small.py", small_text, strlen(small_text), &g), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, &o, &m), JITC_OK);
    umask(0);
    ck_assert_int_eq(jitc_model_save(m, "own.jitc"), JITC_OK);
    umask(022);
    ck_assert_int_eq(stat("own.jitc", &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0644);
    ck_assert_int_eq(jitc_bundle_load(ctx, "own.jitc", "host", &m), JITC_OK);
    jitc_context_free(ctx);
}
END_TEST

/* ---- names ------------------------------------------------------------------------------------------------------ */

/* What a file holds decides nothing. */
START_TEST(by_name) {
    write_text("mul.py", mul_text);
    result r = jitc("compile -q --no-cache --arch host -o m.jitc mul.py");
    expect(&r, 0);
    r = jitc("run -q --device host m.jitc");
    expect(&r, 0);
    rename("m.jitc", "graph.py");
    static const char *const runs[] = { "run", "bench --repeat 1" };
    for (size_t i = 0; i < 2; i++) {
        r = jitc("%s -q --device host graph.py", runs[i]);
        expect(&r, 3);
        ck_assert_msg(strstr(r.err, "graph.py: this is no text but a bundle") && strstr(r.err, "--bundle graph.py"), "%s", r.err);
        r = jitc("%s -q --device host --bundle graph.py", runs[i]);
        expect(&r, 0);
        r = jitc("%s -q --device host --bundle graph.py mul.py", runs[i]);
        expect(&r, 2);
    }
    static const char *const readers[] = { "split", "compile --no-cache", "explain", "check --no-cache --max-misses 9", "dump --stage=graph" };
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        r = jitc("%s graph.py", readers[i]);
        expect(&r, 3);
        ck_assert_msg(strstr(r.err, "this is a bundle") != NULL, "%s", r.err);
    }
    r = jitc("run --device host --bundle mul.py");
    expect(&r, 3);
    ck_assert(strstr(r.err, "not a bundle") != NULL);
    rename("mul.py", "mul.jitc"); /* text stays text */
    r = jitc("run -q --no-cache --device host mul.jitc");
    expect(&r, 0);
    chmod("graph.py", 0666);
    r = jitc("run -q --device host --bundle graph.py");
    expect(&r, 3);
    ck_assert(strstr(r.err, "chmod go-w") && strstr(r.err, "--trust-files"));
    r = jitc("run -q --device host --trust-files --bundle graph.py");
    expect(&r, 0);
}
END_TEST

/* One that others may write to is no cache either, whoever names it; somebody else's is, since it is named. */
START_TEST(read_caches) {
    write_text("mul.py", mul_text);
    result r = jitc("compile -q --no-cache --arch host -o m.jitc mul.py");
    expect(&r, 0);
    static const char check[] = "check -q --no-cache --arch host --max-misses 0 --read-cache m.jitc mul.py";
    r = jitc(check);
    expect(&r, 0);
    chmod("m.jitc", 0664);
    r = jitc(check);
    expect(&r, 1);
    ck_assert_msg(strstr(r.err, "its group") != NULL, "%s", r.err);
    r = jitc("%s --trust-files", check);
    expect(&r, 0);
    chmod("m.jitc", 0644);
    if (give_away("m.jitc")) {
        r = jitc(check);
        expect(&r, 0);
    }
    r = jitc("%s --trust-key %064d", check, 0);
    expect(&r, 1);
    ck_assert_msg(strstr(r.err, "no signature") != NULL, "%s", r.err);
}
END_TEST

/* ---- signatures ------------------------------------------------------------------------------------------------- */

static const jc_secret_key alice = { { 1, 2, 3 } }, mallory = { { 4, 5, 6 } };

static const char *digits_of(const jc_secret_key *key) {
    char *text = jc_arena_alloc(arena, JC_PUBLIC_KEY_DIGITS + 1);
    jc_public_key public_key = jc_key_public(key);
    jc_key_text(public_key.b, text);
    return text;
}

static bytes signed_by(const jc_secret_key *key, bytes b) {
    bytes out = { jc_arena_alloc(arena, b.n + JC_SEAL_SIZE), b.n + JC_SEAL_SIZE };
    memcpy(out.at, b.at, b.n);
    jc_seal_make(b.at, b.n, key, out.at + b.n);
    return out;
}

static jitc_context *context_trusting(const char *const *keys, uint32_t n) {
    return context_of((jitc_context_options){ .trust_keys = keys, .ntrust_keys = n });
}

static jitc_status open_it(jitc_context *ctx, const uint8_t *at, size_t n) {
    jitc_bundle *bundle;
    jitc_status status = jitc_bundle_open_bytes(ctx, "m", at, n, &bundle);
    jitc_bundle_close(bundle);
    return status;
}

/* RFC 8032, test 1: the secret key's public one. */
START_TEST(keys) {
    jc_secret_key key;
    ck_assert(jc_key_parse("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", 64, key.seed));
    ck_assert_str_eq(digits_of(&key), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    ck_assert(!jc_key_parse("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f6", 63, key.seed));
    ck_assert(!jc_key_parse("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f6g", 64, key.seed));
    jc_secret_key a, b;
    ck_assert(jc_key_new(&a) && jc_key_new(&b) && memcmp(&a, &b, sizeof a) != 0);
}
END_TEST

START_TEST(who_signed) {
    const char *const both[] = { digits_of(&mallory), digits_of(&alice) }, *const hers[] = { both[1] };
    bytes plain = small_bundle(), sealed = signed_by(&alice, plain), again = signed_by(&alice, plain), other = signed_by(&mallory, plain);
    ck_assert(memcmp(sealed.at, again.at, sealed.n) == 0);
    jitc_context *any = plain_context(), *her = context_trusting(hers, 1), *two = context_trusting(both, 2);
    ck_assert_int_eq(open_it(any, plain.at, plain.n), JITC_OK);
    ck_assert_int_eq(open_it(any, sealed.at, sealed.n), JITC_OK);
    ck_assert_int_eq(open_it(her, sealed.at, sealed.n), JITC_OK);
    ck_assert_int_eq(open_it(two, sealed.at, sealed.n), JITC_OK);
    ck_assert_int_eq(open_it(two, other.at, other.n), JITC_OK);
    ck_assert_int_eq(open_it(her, plain.at, plain.n), JITC_E_TRUST);
    ck_assert(strstr(jitc_context_error(her), "no signature") != NULL);
    ck_assert_int_eq(open_it(her, other.at, other.n), JITC_E_TRUST);
    ck_assert(strstr(jitc_context_error(her), both[0]) != NULL);
    ck_assert_int_eq(open_it(her, (const uint8_t *)"no bundle at all", 16), JITC_E_TRUST); /* nothing is parsed before */
    /* Another's file is hers all the same. */
    spill("m.jitc", sealed.at, sealed.n, 0666);
    jitc_model *m;
    ck_assert_msg(jitc_bundle_load(her, "m.jitc", "host", &m) == JITC_OK, "%s", jitc_context_error(her));
    ck_assert_int_eq(jitc_bundle_load(any, "m.jitc", "host", &m), JITC_E_TRUST);
    spill("m.jitc", plain.at, plain.n, 0600);
    ck_assert_int_eq(jitc_bundle_load(her, "m.jitc", "host", &m), JITC_E_TRUST);
    jitc_context_free(any);
    jitc_context_free(her);
    jitc_context_free(two);
}
END_TEST

/* Each byte and each length, by who asks for a signature and by who does not. */
START_TEST(changed_bytes) {
    const char *const hers[] = { digits_of(&alice) };
    bytes sealed = signed_by(&alice, small_bundle());
    jitc_context *ctx[] = { context_trusting(hers, 1), plain_context() };
    for (size_t i = (size_t)_i; i < sealed.n; i += 4)
        for (int k = 0; k < 2; k++) {
            sealed.at[i] ^= (uint8_t)(1u << i % 8);
            jitc_status status = open_it(ctx[k], sealed.at, sealed.n);
            sealed.at[i] ^= (uint8_t)(1u << i % 8);
            ck_assert_msg(status == (k == 0 ? JITC_E_TRUST : JITC_E_INPUT), "byte %zu of %zu: %d", i, sealed.n, status);
            uint8_t *own = malloc(i + 1); /* so that reading beyond is seen */
            memcpy(own, sealed.at, i);
            status = open_it(ctx[k], own, i);
            free(own);
            ck_assert_msg(status == (k == 0 ? JITC_E_TRUST : i + JC_SEAL_SIZE == sealed.n ? JITC_OK : JITC_E_INPUT), "%zu of %zu bytes: %d", i,
                          sealed.n, status);
        }
    jitc_context_free(ctx[0]);
    jitc_context_free(ctx[1]);
}
END_TEST

START_TEST(files_of_keys) {
    const char *her = digits_of(&alice), *him = digits_of(&mallory);
    const struct {
        const char *text;
        mode_t mode;
        jitc_status status;
        const char *word;
    } rows[] = {
        { jc_arena_printf(arena, "# ours\n\n%s  alice\n\t%s\r\n", him, her), 0644, JITC_OK, NULL },
        { jc_arena_printf(arena, "%s", her), 0600, JITC_OK, NULL },
        { jc_arena_printf(arena, "%s\n", her), 0664, JITC_E_TRUST, "its group" },
        { "", 0644, JITC_E_INPUT, "has none" },
        { "# nobody\n", 0644, JITC_E_INPUT, "has none" },
        { jc_arena_printf(arena, "%s\nalice %s\n", him, her), 0644, JITC_E_INPUT, "keys:2:" },
        { jc_arena_printf(arena, "%.63s\n", her), 0644, JITC_E_INPUT, "keys:1:" },
        { jc_arena_printf(arena, "%s0\n", her), 0644, JITC_E_INPUT, "keys:1:" },
    };
    bytes sealed = signed_by(&alice, small_bundle());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const names[] = { "./keys" };
        jitc_context_options o = { .struct_size = sizeof o, .device = "host", .cache_dir = "", .trust_keys = names, .ntrust_keys = 1 };
        jitc_context *ctx;
        spill("keys", rows[i].text, strlen(rows[i].text), rows[i].mode);
        jitc_status status = jitc_context_new(&o, &ctx);
        ck_assert_msg(status == rows[i].status, "row %zu: %d: %s", i, status, jitc_context_error(ctx));
        if (status == JITC_OK)
            ck_assert_int_eq(open_it(ctx, sealed.at, sealed.n), JITC_OK);
        else
            ck_assert_msg(strstr(jitc_context_error(ctx), rows[i].word) != NULL, "%s", jitc_context_error(ctx));
        jitc_context_free(ctx);
        remove("keys");
    }
    const char *const bad[] = { "./nowhere", NULL };
    for (uint32_t i = 0; i < 2; i++) {
        jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .trust_keys = &bad[i], .ntrust_keys = 1 };
        jitc_context *ctx;
        ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_E_USAGE);
        jitc_context_free(ctx);
    }
}
END_TEST

/* ---- the tool --------------------------------------------------------------------------------------------------- */

START_TEST(the_tool) {
    struct stat st;
    size_t n, again;
    write_text("mul.py", mul_text);
    umask(0);
    result r = jitc("bundle keygen a.key");
    expect(&r, 0);
    ck_assert(stat("a.key", &st) == 0 && (st.st_mode & 0777) == 0600);
    ck_assert(stat("a.key.pub", &st) == 0 && (st.st_mode & 0777) == 0644);
    umask(022);
    const char *secret = whole("a.key", NULL);
    r = jitc("bundle keygen a.key"); /* a key is not written over */
    expect(&r, 3);
    ck_assert_str_eq(whole("a.key", NULL), secret);
    write_text("c.key.pub", "");
    r = jitc("bundle keygen c.key");
    expect(&r, 3);
    ck_assert_int_ne(access("c.key", F_OK), 0);
    r = jitc("bundle keygen --json b.key");
    json_t *said = expect_json(&r, 0);
    const char *b = jc_arena_strdup(arena, text(said, "public_key"));
    json_decref(said);
    r = jitc("compile -q --no-cache --arch host -o m.jitc mul.py");
    expect(&r, 0);
    r = jitc("bundle verify --trust-key a.key.pub m.jitc");
    expect(&r, 3);
    r = jitc("bundle sign --key a.key m.jitc");
    expect(&r, 0);
    const char *sealed = whole("m.jitc", &n);
    r = jitc("bundle sign --key a.key m.jitc"); /* in the place of the old one, and the same */
    expect(&r, 0);
    ck_assert(memcmp(whole("m.jitc", &again), sealed, n) == 0 && again == n);
    r = jitc("bundle verify --trust-key a.key.pub m.jitc");
    expect(&r, 0);
    r = jitc("bundle verify --trust-key %s --trust-key a.key.pub --json m.jitc", b);
    json_decref(expect_json(&r, 0));
    r = jitc("bundle verify --trust-key %s m.jitc", b);
    expect(&r, 3);
    r = jitc("bundle verify m.jitc");
    expect(&r, 2);
    r = jitc("run -q --device host --trust-key a.key.pub m.jitc");
    expect(&r, 0);
    r = jitc("run -q --device host --trust-key b.key.pub m.jitc");
    expect(&r, 3);
    r = jitc("bundle sign --key b.key m.jitc");
    expect(&r, 0);
    r = jitc("run -q --device host --trust-key b.key.pub m.jitc");
    expect(&r, 0);
    r = jitc("check -q --no-cache --arch host --max-misses 0 --trust-key b.key.pub --read-cache m.jitc mul.py");
    expect(&r, 0);
}
END_TEST

START_TEST(the_tool_refuses) {
    static const struct {
        const char *args;
        int code;
        const char *word;
    } rows[] = {
        { "bundle", 2, "an action" },
        { "bundle sign", 2, "one file" },
        { "bundle sing m.jitc", 2, "keygen, sign or verify" },
        { "bundle sign m.jitc", 2, "--key" },
        { "bundle sign --key a.key.pub m.jitc", 3, "no secret key" },
        { "bundle sign --key nowhere m.jitc", 3, "nowhere" },
        { "bundle sign --key a.key mul.py", 3, "not a bundle" },
        { "bundle sign --key a.key nowhere", 3, "nowhere" },
        { "bundle sign --key loose.key m.jitc", 3, "chmod 600" },
        { "bundle sign --key a.key loose.jitc", 3, "its group" },
        { "bundle keygen nowhere/a.key", 3, "nowhere" },
        { "bundle verify --trust-key mul.py m.jitc", 3, "mul.py:1" },
        { "run --device host --trust-key nowhere m.jitc", 2, "nowhere" },
    };
    size_t n;
    write_text("mul.py", mul_text);
    result r = jitc("bundle keygen a.key");
    expect(&r, 0);
    spill("loose.key", whole("a.key", NULL), strlen(whole("a.key", NULL)), 0640);
    r = jitc("compile -q --no-cache --arch host -o m.jitc mul.py");
    expect(&r, 0);
    const char *before = whole("m.jitc", &n);
    spill("loose.jitc", before, n, 0664);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        r = jitc("%s", rows[i].args);
        expect(&r, rows[i].code);
        ck_assert_msg(strstr(r.err, rows[i].word) != NULL, "%s: %s", rows[i].args, r.err);
    }
    ck_assert(memcmp(whole("m.jitc", NULL), before, n) == 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("trust");
    TCase *t = tcase_create("trust");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_add_loop_test(t, modes, BUNDLE_LOAD, PLUGIN_LOAD + 1);
    tcase_add_loop_test(t, owners, BUNDLE_LOAD, PLUGIN_LOAD + 1);
    tcase_add_test(t, plugin_in_a_shared_folder);
    tcase_add_test(t, own_files);
    tcase_add_test(t, by_name);
    tcase_add_test(t, read_caches);
    tcase_add_test(t, keys);
    tcase_add_test(t, who_signed);
    tcase_add_loop_test(t, changed_bytes, 0, 4);
    tcase_add_test(t, files_of_keys);
    tcase_add_test(t, the_tool);
    tcase_add_test(t, the_tool_refuses);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
