/*
 * jit/asm/assemble_ptxas.c - PTX to cubin by the `ptxas` program.
 *
 * Works in a fresh folder that only we can enter, and removes it.
 */
#include "jit/asm/assemble_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *find(jc_arena *arena, jc_bytes *tried) {
    char *found = jc_library_in_list(arena, jc_library_env("PATH"), "ptxas");
    if (!found)
        found = jc_library_in_list(arena, "/usr/local/cuda/bin:/opt/cuda/bin", "ptxas");
    if (!found)
        jc_put_text(tried, "ptxas in PATH, /usr/local/cuda/bin and /opt/cuda/bin");
    return found;
}

static bool write_file(const char *path, const char *data, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = true;
    while (n > 0 && good) {
        ssize_t done = write(fd, data, n);
        good = done >= 0 || errno == EINTR;
        if (done > 0)
            data += done, n -= (size_t)done;
    }
    return close(fd) == 0 && good;
}

/* A file's bytes, malloc()ed and terminated; NULL when it cannot be read. */
static char *read_file(const char *path, size_t *n) {
    struct stat st;
    char *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *n = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && (data = malloc((size_t)st.st_size + 1))) {
        ssize_t done;
        while (*n < (size_t)st.st_size && (done = read(fd, data + *n, (size_t)st.st_size - *n)) != 0) {
            if (done < 0 && errno != EINTR)
                break;
            *n += done > 0 ? (size_t)done : 0;
        }
        data[*n] = 0;
    }
    close(fd);
    return data;
}

/* Runs ARGV with its output in the file LOG; its exit status, or -1. */
static int run(const char *path, char *const *argv, const char *log) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    bool ready = posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_EXCL, 0600) == 0 &&
                 posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0;
    if (ready && posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0) {
        pid_t done;
        do
            done = waitpid(pid, &status, 0);
        while (done < 0 && errno == EINTR);
        status = done == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

static bool assemble(const char *path, const char *ptx, size_t n, const char *arch, jc_arena *arena,
                     const uint8_t **cubin, size_t *ncubin, jc_bytes *log) {
    const char *tmp = jc_library_env("TMPDIR");
    char *dir = jc_arena_printf(arena, "%s/jitc-XXXXXX", tmp ? tmp : "/tmp");
    char *in = jc_arena_alloc(arena, strlen(dir) + 16), *out = jc_arena_alloc(arena, strlen(dir) + 16);
    char *words = jc_arena_alloc(arena, strlen(dir) + 16), *arch_option = jc_arena_printf(arena, "-arch=%s", arch);
    char *argv[] = { (char *)(uintptr_t)path, (char[]){ "-O3" }, arch_option, (char[]){ "-o" }, out, in, NULL };
    if (!mkdtemp(dir)) {
        jc_put_text(log, "no folder can be made at %s", dir);
        return false;
    }
    strcat(strcpy(in, dir), "/kernel.ptx");
    strcat(strcpy(out, dir), "/kernel.cubin");
    strcat(strcpy(words, dir), "/log");
    /* Nothing is taken from the arena until the folder is gone, for that might jump. */
    size_t nwords = 0;
    bool written = write_file(in, ptx, n);
    int status = written ? run(path, argv, words) : -1;
    char *said = read_file(words, &nwords), *made = status == 0 ? read_file(out, ncubin) : NULL;
    unlink(in);
    unlink(out);
    unlink(words);
    rmdir(dir);
    if (made)
        jc_arena_defer(arena, free, made);
    if (said)
        jc_arena_defer(arena, free, said);
    jc_put(log, said ? said : "", nwords);
    if (!written)
        jc_put_text(log, "%s cannot be written", in);
    else if (status < 0)
        jc_put_text(log, "%s cannot be run", path);
    *cubin = (uint8_t *)made;
    return made && *ncubin > 0;
}

const jc_assembler_kind jc_assembler_ptxas = { "ptxas", find, assemble };
