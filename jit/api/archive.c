#include "jit/api/archive.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_at(void *user, uint64_t at, void *to, size_t n) {
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(fileno(user), (char *)to + done, n - done, (off_t)(at + done));
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Of an archive only what describes it is read: the weights may be larger than memory. */
bool jc_file_is_archive(FILE *f, jc_source *out) {
    struct stat st;
    char head[4];
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof head)
        return false;
    *out = (jc_source){ read_at, f, (uint64_t)st.st_size };
    return read_at(f, 0, head, sizeof head) && jc_pt2_is(head, sizeof head);
}
