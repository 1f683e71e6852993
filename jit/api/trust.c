/*
 * jit/api/trust.c - see jit/api/trust.h.
 */
#include "jit/api/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/trust.h"

#define MAX_KEY_FILE (1u << 20)

/* --- the keys --- */

/* One line of a file: a key, or nothing. */
static jitc_status add_line(jc_trust *t, jc_arena *arena, const char *path, int line, const char *at, size_t n, jc_error *err) {
    jc_public_key key;
    size_t word = 0;
    while (n && (*at == ' ' || *at == '\t'))
        at++, n--;
    while (word < n && at[word] != ' ' && at[word] != '\t' && at[word] != '\r')
        word++;
    if (word == 0 || *at == '#')
        return JITC_OK;
    if (!jc_key_parse(at, word, key.b))
        return jc_fail_at(err, JITC_E_INPUT, path, line, 0, NULL, "expected a public key, %d hex digits, at the start of the line",
                          JC_PUBLIC_KEY_DIGITS);
    jc_push(arena, &t->keys, key);
    return JITC_OK;
}

static jitc_status add_lines(jc_trust *t, jc_arena *arena, const char *path, jc_span file, jc_error *err) {
    const char *at = (const char *)file.at, *end = at + file.n;
    size_t before = t->keys.n;
    for (int line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        JC_TRY(add_line(t, arena, path, line, at, n, err));
        at += n + 1;
    }
    return t->keys.n > before ? JITC_OK : jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "the file of public keys has none");
}

static jitc_status add_file(jc_trust *t, jc_arena *arena, const char *path, jc_error *err) {
    struct stat st;
    jc_span file;
    char whose[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), why = errno;
    if (fd < 0)
        return jc_fail(err, JITC_E_USAGE, "'%s' is neither a public key, %d hex digits, nor a file with some: %s", path, JC_PUBLIC_KEY_DIGITS,
                       strerror(why));
    bool ok = fstat(fd, &st) == 0 && jc_file_read(fd, MAX_KEY_FILE, arena, &file);
    why = errno;
    close(fd);
    if (!ok && why == ENOMEM)
        return JITC_E_NOMEM;
    if (!ok)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "the file of public keys cannot be read: %s", strerror(why));
    if (!t->files && jc_distrust(&st, false, whose, sizeof whose))
        return jc_fail_at(err, JITC_E_TRUST, path, 0, 0, NULL, "the file of public keys %s: who can change it says whose code is run", whose);
    return add_lines(t, arena, path, file, err);
}

jitc_status jc_trust_open(jc_arena *arena, const jitc_context_options *o, jc_trust *out, jc_error *err) {
    out->files = o->trust_files;
    if (o->ntrust_keys && !o->trust_keys)
        return jc_fail(err, JITC_E_USAGE, "jitc_context_options.trust_keys is NULL, but there are to be %u", o->ntrust_keys);
    for (uint32_t i = 0; i < o->ntrust_keys; i++) {
        const char *text = o->trust_keys[i];
        jc_public_key key;
        if (!text)
            return jc_fail(err, JITC_E_USAGE, "jitc_context_options.trust_keys has a NULL");
        if (jc_key_parse(text, strlen(text), key.b))
            jc_push(arena, &out->keys, key);
        else
            JC_TRY(add_file(out, arena, text, err));
    }
    return JITC_OK;
}

/* --- bundles --- */

jitc_status jc_trust_file(const jc_trust *t, const struct stat *st, bool named, jc_error *err) {
    char whose[128];
    if (t->files || t->keys.n || !S_ISREG(st->st_mode) || !jc_distrust(st, named, whose, sizeof whose))
        return JITC_OK;
    return jc_fail(err, JITC_E_TRUST, "the file %s. A bundle is machine code and can do all that this process can; to use it all the same, ask for "
                   "a signature (--trust-key) or trust files of others (--trust-files, jitc_context_options.trust_files)", whose);
}

static bool is_trusted(const jc_trust *t, const jc_public_key *key) {
    for (size_t i = 0; i < t->keys.n; i++)
        if (memcmp(&t->keys.at[i], key, sizeof *key) == 0)
            return true;
    return false;
}

jitc_status jc_trust_bytes(const jc_trust *t, jc_span *bytes, jc_public_key *by, jc_error *err) {
    jc_public_key key;
    char text[JC_PUBLIC_KEY_DIGITS + 1];
    jc_seal seal = jc_seal_check(bytes->at, &bytes->n, &key);
    if (by && seal == JC_SEAL_GOOD)
        *by = key;
    if (seal == JC_SEAL_BAD)
        return jc_fail(err, t->keys.n ? JITC_E_TRUST : JITC_E_INPUT, "the bundle's signature is not of these bytes: one of them was changed");
    if (!t->keys.n)
        return JITC_OK;
    if (seal == JC_SEAL_NONE)
        return jc_fail(err, JITC_E_TRUST, "the bundle has no signature, and one by a trusted key is asked for (jitc bundle sign)");
    jc_key_text(key.b, text);
    return is_trusted(t, &key) ? JITC_OK : jc_fail(err, JITC_E_TRUST, "the bundle was signed by %s, which is none of the keys that are trusted", text);
}
