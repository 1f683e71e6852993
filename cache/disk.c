/*
 * cache/disk.c - the disk tier: one verified file per entry, published atomically.
 *
 * Path: DIR/v1/XX/KEY, where KEY is the key's hash in hex and XX its first two digits (the shard).
 *
 * The file's format is in cache/entry.c.
 *
 * A reader looks at the header's length, then takes the whole file into private memory, checks hash, key and preimage, and uses those bytes.
 * A writer publishes by jc_file_publish(): a temporary file "tmp.*" in the shard, then a rename; entries with a light key are
 * not fsynced (1 ms each on an SSD): after a power cut one may be damaged, which is a miss.  A damaged
 * entry is removed if it is still the same file, and one sample is kept as KEY.bad.  No locks are needed for
 * any of this; those of cache/lock.h, on the file DIR/lock, only save work.
 *
 * Code from a cache runs in this process, so who may write to it matters.  A writable directory, all below it and its entries belong to this
 * user, who alone may write to them.  A read-only one may belong to somebody else, whom whoever named it trusts; what lies in it belongs to the same
 * user.  Each lookup goes down from the directory by descriptors and follows no link below it, so what was looked at is what is read.  What lies in
 * an entry's place and is none is set aside as a damaged one is.  Nothing is held open between lookups.
 *
 * With a MAC key who owns what does not matter: the directory may be shared by users that have the key, and others may lie entries there or take them away, which
 * costs misses.  New files and directories then have the permissions that the directory they are in has for others.
 */
#include "base/file.h"
#include "cache/disk.h"
#include "cache/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct jc_disk {
    jc_tier tier; /* where: as the user names it */
    const jc_alloc *alloc;
    const char *root, *dir; /* without and with the format version */
    uid_t owner;
    const jc_mac_key *mac; /* NULL: none */
};

#define FORMAT "v1"
_Static_assert(JC_ENTRY_VERSION == 1, "FORMAT names the version");

static bool is_alone(const struct stat *st, uid_t owner) {
    return st->st_uid == owner && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Where others may write, what has a second name might be a file of ours that somebody has put there to be written to. */
bool jc_disk_is_owners(const jc_disk *d, const struct stat *st) {
    return d->mac ? !S_ISREG(st->st_mode) || st->st_nlink == 1 : is_alone(st, d->owner);
}

/* --- the directory --- */

/* Is it ours, and ours alone to write?  A read-only one, which may be named by a link and has to be there: its owner's alone.  SHARED: anybody's. */
static const char *refuse(jc_arena *arena, const char *dir, bool read_only, bool shared, uid_t *owner) {
    struct stat st;
    *owner = geteuid();
    if ((read_only ? stat : lstat)(dir, &st) != 0)
        return errno == ENOENT && !read_only
                   ? NULL
                   : jc_arena_printf(arena, "the cache directory %s cannot be examined: %s", dir, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return jc_arena_printf(arena, "the cache directory %s is a symbolic link; name the directory itself", dir);
    if (!S_ISDIR(st.st_mode))
        return jc_arena_printf(arena, "%s is not a directory; remove it or choose another cache directory", dir);
    if (st.st_uid != geteuid() && !read_only && !shared)
        return jc_arena_printf(arena, "the cache directory %s belongs to user %u, not to this process (%u)", dir,
                               (unsigned)st.st_uid, (unsigned)geteuid());
    if (st.st_mode & (S_IWGRP | S_IWOTH) && !shared)
        return jc_arena_printf(arena, "the cache directory %s is writable by others; chmod go-w it", dir);
    *owner = st.st_uid;
    return NULL;
}

static const jc_tier_ops disk_ops, directory_ops;

/* DIR without slashes at its end, which would have a link followed. */
static const char *without_slashes(jc_arena *arena, const char *dir) {
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return jc_arena_strndup(arena, dir, n);
}

/* The directory of this format, where there is one: a link or another's would be refused at each lookup, and is told of once. */
static const char *refuse_format(jc_arena *arena, const char *dir, bool shared, uid_t owner) {
    struct stat st;
    if (lstat(dir, &st) != 0)
        return NULL;
    if (!S_ISDIR(st.st_mode))
        return jc_arena_printf(arena, "%s in the cache directory is not a directory; remove it or choose another cache directory", dir);
    if (!shared && !is_alone(&st, owner))
        return jc_arena_printf(arena, "the directory %s of the cache %s", dir, st.st_uid != owner ? "belongs to another user" : "is writable by others; chmod go-w it");
    return NULL;
}

jc_disk *jc_disk_open(jc_arena *arena, const char *dir, bool read_only, const char **warning) {
    return jc_disk_open_keyed(arena, dir, read_only, NULL, warning);
}

jc_disk *jc_disk_open_keyed(jc_arena *arena, const char *dir, bool read_only, const jc_mac_key *mac, const char **warning) {
    uid_t owner;
    const char *root = without_slashes(arena, dir), *entries = jc_arena_printf(arena, "%s/" FORMAT, root);
    const char *why = refuse(arena, root, read_only, mac != NULL, &owner);
    if (!why)
        why = refuse_format(arena, entries, mac != NULL, owner);
    if (why) {
        if (warning)
            *warning = why;
        return NULL;
    }
    jc_disk *d = JC_NEW(arena, jc_disk);
    d->tier.ops = read_only ? &directory_ops : &disk_ops;
    d->tier.where = jc_arena_strdup(arena, dir);
    d->tier.from = read_only ? JC_FROM_READ_ONLY : JC_FROM_DISK;
    d->tier.read_only = read_only;
    d->alloc = jc_arena_allocator(arena);
    d->root = root;
    d->dir = entries;
    d->owner = owner;
    d->mac = mac;
    return d;
}

const char *jc_disk_dir(const jc_disk *d) {
    return d->tier.where;
}

const char *jc_disk_entries(const jc_disk *d) {
    return d->dir;
}

const char *jc_disk_format(void) {
    return FORMAT;
}

jc_tier *jc_disk_tier(jc_disk *d) {
    return &d->tier;
}

/* mkdir -p, 0700. */
static bool make_dirs(const char *path) {
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return false;
    memcpy(part, path, n + 1);
    for (char *p = part + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            if (mkdir(part, 0700) != 0 && errno != EEXIST)
                return false;
            *p = '/';
        }
    return mkdir(part, 0700) == 0 || errno == EEXIST;
}

typedef struct place {
    char shard[3], file[2 * JC_HASH_SIZE + 1];
} place;

static place place_of(const jc_hash *key) {
    place p;
    jc_hash_hex(key, p.file);
    memcpy(p.shard, p.file, 2);
    p.shard[2] = 0;
    return p;
}

/* Permissions of a new file in the directory FD: the owner's, and where others share it those that FD gives them. */
static unsigned mode_in(const jc_disk *d, int fd) {
    struct stat st;
    return 0600u | (d->mac && fstat(fd, &st) == 0 ? (unsigned)st.st_mode & 0066u : 0u);
}

/* As AT is to others. */
static void make_dir(const jc_disk *d, int at, const char *name) {
    struct stat st;
    if (mkdirat(at, name, 0700) == 0 && d->mac && fstat(at, &st) == 0)
        (void)fchmodat(at, name, 0700 | (st.st_mode & 07077), 0);
}

/* The directory NAME in directory AT, which is closed, if it is its owner's alone; -1 with errno set.  MAKE: where it is not there. */
static int enter(const jc_disk *d, int at, const char *name, int flags, bool make) {
    struct stat st;
    if (make)
        make_dir(d, at, name);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags), why = errno;
    if (at != AT_FDCWD)
        close(at);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !jc_disk_is_owners(d, &st))) {
        close(fd);
        fd = -1;
        why = EPERM;
    }
    errno = why;
    return fd;
}

int jc_disk_open_root(const jc_disk *d, bool make) {
    return make && !make_dirs(d->root) ? -1 : enter(d, AT_FDCWD, d->root, d->tier.read_only ? 0 : O_NOFOLLOW, false);
}

int jc_disk_open_file(const jc_disk *d, int root, const char *name, int flags) {
    struct stat st;
    int fd = openat(root, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, (mode_t)mode_in(d, root));
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !jc_disk_is_owners(d, &st))) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

/* The shard of P, to name files in; -1 with errno set. */
static int open_shard(const jc_disk *d, const place *p, bool make) {
    int fd = jc_disk_open_root(d, make);
    if (fd >= 0)
        fd = enter(d, fd, FORMAT, O_NOFOLLOW, make);
    return fd >= 0 ? enter(d, fd, p->shard, O_NOFOLLOW, make) : fd;
}

/* --- reading --- */

/* A hit where the file is as long as its header says.  What is not is not read: it may be sparse, and huge.  A header that cannot be
   read says nothing of the entry. */
static jc_tier_result is_complete(int fd, const struct stat *st) {
    uint8_t head[JC_ENTRY_HEADER];
    if (!jc_read_at(fd, head, sizeof head, 0))
        return errno == ENODATA ? JC_TIER_CORRUPT : JC_TIER_ERROR;
    return st->st_size > 0 && jc_entry_length(head) == (uint64_t)st->st_size ? JC_TIER_HIT : JC_TIER_CORRUPT;
}

/* Opened so that nothing waits: neither for the writer of a FIFO nor for a device. */
static jc_tier_result read_whole(const jc_disk *d, int shard, const char *name, jc_arena *arena, jc_span *out) {
    struct stat st;
    int fd = openat(shard, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ESTALE ? JC_TIER_MISS : errno == ELOOP || errno == ENXIO ? JC_TIER_CORRUPT : JC_TIER_ERROR;
    jc_tier_result result = JC_TIER_ERROR;
    if (fstat(fd, &st) == 0) {
        result = JC_TIER_CORRUPT;
        if (S_ISREG(st.st_mode) && jc_disk_is_owners(d, &st))
            result = is_complete(fd, &st);
        if (result == JC_TIER_HIT)
            result = jc_file_read(fd, JC_ENTRY_MAX, arena, out) ? JC_TIER_HIT : JC_TIER_ERROR;
    }
    close(fd);
    return result;
}

static const jc_tier_result results[] = { [JC_ENTRY_GOOD] = JC_TIER_HIT, [JC_ENTRY_DAMAGED] = JC_TIER_CORRUPT, [JC_ENTRY_FOREIGN] = JC_TIER_FOREIGN };

/* HIT: the entry is whole, by who has the key, and for exactly this key. */
static jc_tier_result verify(const jc_disk *d, const jc_span *file, const jc_key *key, const uint8_t **payload, size_t *npayload) {
    jc_entry e;
    jc_tier_result r = results[jc_entry_decode(file->at, file->n, d->mac, &e)];
    if (r != JC_TIER_HIT)
        return r;
    if (memcmp(&e.key, &key->hash, sizeof e.key) != 0 || e.npreimage != key->npreimage || memcmp(e.preimage, key->preimage, e.npreimage) != 0)
        return JC_TIER_CORRUPT;
    *payload = e.payload;
    *npayload = e.npayload;
    return JC_TIER_HIT;
}

/* Sets what lies there aside, if nobody has replaced it since. */
static void set_aside(int shard, const char *name, const struct stat *seen) {
    struct stat now;
    char bad[2 * JC_HASH_SIZE + 5];
    if (fstatat(shard, name, &now, AT_SYMLINK_NOFOLLOW) != 0 || now.st_ino != seen->st_ino || now.st_dev != seen->st_dev)
        return;
    snprintf(bad, sizeof bad, "%s.bad", name);
    if (renameat(shard, name, shard, bad) == 0)
        return;
    (void)unlinkat(shard, bad, 0); /* no directory goes over a file */
    if (renameat(shard, name, shard, bad) != 0)
        (void)unlinkat(shard, name, 0);
}

#define HOUR 3600

/* That the entry was used, for who prunes: file systems need not keep access times. */
static void touch(int shard, const char *name, const struct stat *seen) {
    const int64_t ago = (int64_t)time(NULL) - seen->st_atim.tv_sec;
    if (ago > HOUR || ago < -HOUR)
        (void)utimensat(shard, name, (struct timespec[]){ { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } }, AT_SYMLINK_NOFOLLOW);
}

static jc_tier_result missing(void) {
    return errno == ENOENT || errno == ENOTDIR || errno == ESTALE ? JC_TIER_MISS : JC_TIER_ERROR;
}

jc_tier_result jc_disk_get(const jc_disk *d, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n) {
    const place p = place_of(&key->hash);
    jc_span file = { 0 };
    struct stat seen = { 0 };
    int shard = open_shard(d, &p, false);
    if (shard < 0)
        return missing();
    (void)fstatat(shard, p.file, &seen, AT_SYMLINK_NOFOLLOW);
    jc_tier_result result = read_whole(d, shard, p.file, arena, &file);
    if (result == JC_TIER_HIT)
        result = verify(d, &file, key, out, n);
    if (result == JC_TIER_CORRUPT && !d->tier.read_only)
        set_aside(shard, p.file, &seen);
    if (result == JC_TIER_HIT && !d->tier.read_only)
        touch(shard, p.file, &seen);
    close(shard);
    return result;
}

jc_tier_result jc_disk_read_file(const jc_disk *d, const jc_hash *hash, jc_arena *arena, jc_span *file, jc_entry *out) {
    const place p = place_of(hash);
    int shard = open_shard(d, &p, false);
    if (shard < 0)
        return missing();
    jc_tier_result result = read_whole(d, shard, p.file, arena, file);
    close(shard);
    if (result != JC_TIER_HIT || (result = jc_disk_check(d, file, out)) != JC_TIER_HIT)
        return result;
    return memcmp(&out->key, hash, sizeof *hash) == 0 ? JC_TIER_HIT : JC_TIER_CORRUPT;
}

jc_tier_result jc_disk_check(const jc_disk *d, const jc_span *file, jc_entry *out) {
    jc_tier_result result = results[jc_entry_decode(file->at, file->n, d->mac, out)];
    if (result != JC_TIER_HIT)
        return result;
    const jc_hash of_preimage = jc_hash_of(out->preimage, out->npreimage);
    return memcmp(&of_preimage, &out->key, sizeof of_preimage) == 0 ? JC_TIER_HIT : JC_TIER_CORRUPT;
}

jc_tier_result jc_disk_read(const jc_disk *d, const jc_hash *hash, jc_arena *arena, const uint8_t **preimage, size_t *npreimage) {
    jc_span file = { 0 };
    jc_entry e;
    jc_tier_result result = jc_disk_read_file(d, hash, arena, &file, &e);
    *preimage = e.preimage;
    *npreimage = e.npreimage;
    return result;
}

/* --- writing --- */

static bool publish_in(const jc_disk *d, int shard, const place *p, const jc_span *file, bool durable) {
    const unsigned mode = mode_in(d, shard);
    bool ok = jc_file_publish_at(shard, p->file, file, 1, (jc_publish){ .mode = mode, .durable = durable });
    if (ok && d->mac)
        (void)fchmodat(shard, p->file, mode, 0); /* whatever the umask */
    return ok;
}

/* Who clears the cache removes empty directories: between making the shard and writing into it, it may go. */
static bool publish(const jc_disk *d, const place *p, const jc_span *file, bool durable) {
    for (int attempt = 0;; attempt++) {
        int shard = open_shard(d, p, true);
        const bool ok = shard >= 0 && publish_in(d, shard, p, file, durable);
        const int why = errno;
        if (shard >= 0)
            close(shard);
        errno = why;
        if (ok || why != ENOENT || attempt == 3)
            return ok;
    }
}

bool jc_disk_put(const jc_disk *d, const jc_key *key, const uint8_t *bytes, size_t n) {
    const place p = place_of(&key->hash);
    jc_arena *scratch = n > JC_ENTRY_MAX / 2 ? NULL : jc_arena_new(d->alloc);
    jc_guard guard;
    volatile bool ok = false;
    if (!scratch)
        return false;
    if (JC_GUARD(scratch, &guard) == 0) {
        jc_bytes b = JC_BYTES(scratch);
        jc_entry_encode(&b, key, bytes, n, d->mac);
        ok = publish(d, &p, &(jc_span){ b.at, b.n }, !key->light);
    }
    jc_guard_end(scratch, &guard);
    jc_arena_free(scratch);
    return ok;
}

bool jc_disk_install(const jc_disk *d, const jc_hash *key, const jc_span *file) {
    const place p = place_of(key);
    return publish(d, &p, file, false);
}

/* --- as a tier --- */

static bool is_named(const jc_disk *d, const place *p) {
    struct stat st;
    int shard = open_shard(d, p, false);
    if (shard < 0)
        return false;
    const bool there = fstatat(shard, p->file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && jc_disk_is_owners(d, &st) &&
                       faccessat(shard, p->file, R_OK, 0) == 0;
    close(shard);
    return there;
}

/* Whose an entry is its name does not say. */
static bool is_ours(const jc_disk *d, const jc_key *key) {
    const uint8_t *bytes;
    size_t n;
    jc_arena *scratch = jc_arena_new(d->alloc);
    const bool ours = scratch && jc_disk_get(d, key, scratch, &bytes, &n) == JC_TIER_HIT;
    jc_arena_free(scratch);
    return ours;
}

static bool probe(jc_tier *t, const jc_key *key) {
    const jc_disk *d = (const jc_disk *)t;
    const place p = place_of(&key->hash);
    return is_named(d, &p) && (!d->mac || is_ours(d, key));
}

static jc_tier_result get(jc_tier *t, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n) {
    return jc_disk_get((const jc_disk *)t, key, arena, out, n);
}

static bool put(jc_tier *t, const jc_key *key, const uint8_t *bytes, size_t n) {
    return jc_disk_put((const jc_disk *)t, key, bytes, n);
}

static const jc_tier_ops disk_ops = { "disk", probe, get, put, NULL }, directory_ops = { "directory", probe, get, put, NULL };

jc_tier *jc_tier_disk(jc_arena *arena, const char *dir, bool read_only, const char **warning) {
    jc_disk *d = jc_disk_open(arena, dir, read_only, warning);
    return d ? &d->tier : NULL;
}
