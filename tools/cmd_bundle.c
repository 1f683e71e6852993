/*
 * tools/cmd_bundle.c - `jitc bundle keygen|sign|verify`: whose a bundle is (base/seal.h, SECURITY.md).
 *
 *   keygen FILE              makes FILE, a secret key that only its owner can read, and FILE.pub, a line for --trust-key
 *   sign --key KEY FILE      puts a signature behind the bundle, in the place of one that is there
 *   verify --trust-key P FILE   is it whole, and by one of these keys?
 *
 * A secret key's file is the text "jitc-secret-key " and 64 hex digits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jit/api/bundle.h"
#include "tools/tool.h"

#define SECRET "jitc-secret-key "
enum { SECRET_HEAD = sizeof SECRET - 1, SECRET_SIZE = SECRET_HEAD + JC_PUBLIC_KEY_DIGITS + 1 };

static int say(tool *t, const char *file, const char *what, const jc_public_key *key) {
    char digits[JC_PUBLIC_KEY_DIGITS + 1];
    jc_key_text(key->b, digits);
    if (!t->o.json) {
        printf("%s: %s %s\n", file, what, digits);
        return 0;
    }
    json_t *out = tool_json_new();
    tool_set(out, "file", tool_text(file));
    tool_set(out, "public_key", tool_text(digits));
    return tool_json(t, out, 0);
}

/* --- keygen --- */

/* A file that is not there yet, with these permissions whatever the umask.  */
static jitc_status make_file(const char *path, mode_t mode, const char *text, jc_error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, errno == EEXIST ? "the file is there already, and a key is not written over" :
                          "the file cannot be made: %s", strerror(errno));
    bool ok = fchmod(fd, mode) == 0 && jc_write_all(fd, text, strlen(text)) && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok)
        return JITC_OK;
    unlink(path);
    return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "the file cannot be written: %s", strerror(why));
}

static jitc_status write_keys(tool *t, const char *path, const jc_secret_key *key, const jc_public_key *public_key, jc_error *err) {
    char digits[JC_PUBLIC_KEY_DIGITS + 1], secret[SECRET_SIZE + 1];
    const char *beside = jc_arena_printf(t->arena, "%s.pub", path), *name = strrchr(path, '/');
    jc_key_text(key->seed, digits);
    snprintf(secret, sizeof secret, SECRET "%s\n", digits);
    jitc_status status = make_file(path, 0600, secret, err);
    explicit_bzero(secret, sizeof secret);
    if (status != JITC_OK)
        return status;
    jc_key_text(public_key->b, digits);
    status = make_file(beside, 0644, jc_arena_printf(t->arena, "%s  %s\n", digits, name ? name + 1 : path), err);
    if (status != JITC_OK)
        unlink(path);
    return status;
}

static int keygen(tool *t, const char *path) {
    jc_error err = JC_ERROR_INIT;
    jc_secret_key key;
    if (!jc_key_new(&key)) {
        jc_fail(&err, JITC_E_IO, "the system has no random numbers: %s", strerror(errno));
        return tool_fail(t, &err);
    }
    jc_public_key public_key = jc_key_public(&key);
    jitc_status status = write_keys(t, path, &key, &public_key, &err);
    jc_key_forget(&key);
    return status == JITC_OK ? say(t, path, "a secret key; its public key, in the same with .pub, is", &public_key) : tool_fail(t, &err);
}

/* --- sign --- */

static jitc_status read_key(const tool *t, jc_secret_key *out, jc_error *err) {
    const char *path = t->o.key;
    char text[SECRET_SIZE];
    struct stat st;
    if (!path)
        return jc_fail(err, JITC_E_USAGE, "--key FILE says by which secret key to sign; jitc bundle keygen makes one");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "the secret key cannot be opened: %s", strerror(errno));
    bool examined = fstat(fd, &st) == 0;
    bool whole = examined && S_ISREG(st.st_mode) && st.st_size == SECRET_SIZE;
    bool have = whole && jc_read_at(fd, text, SECRET_SIZE, 0);
    int why = errno;
    close(fd);
    if (!examined || (whole && !have))
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "the secret key cannot be read: %s", strerror(why));
    bool good = have && memcmp(text, SECRET, SECRET_HEAD) == 0 && text[SECRET_SIZE - 1] == '\n' &&
                jc_key_parse(text + SECRET_HEAD, JC_PUBLIC_KEY_DIGITS, out->seed);
    explicit_bzero(text, sizeof text);
    if (!good)
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "this is no secret key, as jitc bundle keygen writes it");
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return jc_fail_at(err, JITC_E_TRUST, path, 0, 0, NULL, "the secret key can be read by others: chmod 600, or make a new one if it may have been");
    return JITC_OK;
}

/* What is signed is a bundle, whole, that nobody else may have changed. */
static jitc_status seal_file(tool *t, const char *path, const jc_secret_key *key, jc_error *err) {
    const jc_trust trust = { .files = t->o.trust_files };
    uint8_t seal[JC_SEAL_SIZE];
    jc_bundle_file file;
    jc_span bytes;
    JC_TRY(jc_bundle_read(&trust, path, false, t->arena, &bytes, NULL, err));
    JC_TRY(jc_bundle_open(bytes.at, bytes.n, t->arena, &file, err));
    jc_seal_make(bytes.at, bytes.n, key, seal);
    tool_hold_signals(true);
    bool ok = jc_file_publish(path, (jc_span[]){ bytes, { seal, sizeof seal } }, 2, (jc_publish){ .mode = JC_BUNDLE_MODE, .durable = true });
    int why = errno;
    tool_hold_signals(false);
    return ok ? JITC_OK : jc_fail(err, JITC_E_IO, "the file cannot be written: %s", strerror(why));
}

static int sign(tool *t, const char *path) {
    jc_error err = JC_ERROR_INIT;
    jc_secret_key key = { 0 };
    jitc_status status = read_key(t, &key, &err);
    if (status == JITC_OK)
        status = seal_file(t, path, &key, &err);
    jc_public_key public_key = jc_key_public(&key);
    jc_key_forget(&key);
    jc_error_place(&err, path, 0, 0, NULL);
    return status == JITC_OK ? say(t, path, "signed by", &public_key) : tool_fail(t, &err);
}

/* --- verify --- */

static jitc_status check(tool *t, const char *path, jc_public_key *by, jc_error *err) {
    const jitc_context_options o = { .trust_files = t->o.trust_files, .trust_keys = t->o.trust_key.at, .ntrust_keys = (uint32_t)t->o.trust_key.n };
    jc_trust trust = { 0 };
    jc_bundle_file file;
    jc_span bytes;
    if (!o.ntrust_keys)
        return jc_fail(err, JITC_E_USAGE, "--trust-key says whose signature counts: a public key, or a file of them");
    JC_TRY(jc_trust_open(t->arena, &o, &trust, err));
    JC_TRY(jc_bundle_read(&trust, path, false, t->arena, &bytes, by, err));
    return jc_bundle_open(bytes.at, bytes.n, t->arena, &file, err);
}

static int verify(tool *t, const char *path) {
    jc_error err = JC_ERROR_INIT;
    jc_public_key by;
    jitc_status status = check(t, path, &by, &err);
    jc_error_place(&err, path, 0, 0, NULL);
    return status == JITC_OK ? say(t, path, "whole, and signed by", &by) : tool_fail(t, &err);
}

/* --- the command --- */

static const struct {
    const char *name;
    int (*run)(tool *t, const char *path);
} actions[] = { { "keygen", keygen }, { "sign", sign }, { "verify", verify } };

int cmd_bundle(tool *t) {
    jc_error err = JC_ERROR_INIT;
    const tool_strings *words = &t->o.files;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, words->at[0]) == 0) {
            if (words->n == 2)
                return actions[i].run(t, words->at[1]);
            jc_fail(&err, JITC_E_USAGE, "jitc bundle %s takes one file", words->at[0]);
            return tool_fail(t, &err);
        }
    jc_fail(&err, JITC_E_USAGE, "jitc bundle cannot '%s'; it takes keygen, sign or verify, and a file", words->at[0]);
    return tool_fail(t, &err);
}
