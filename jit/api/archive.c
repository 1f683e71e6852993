#include "jit/api/archive.h"

#include <sys/stat.h>

#include "base/file.h"

static bool read_at(void *user, uint64_t at, void *to, size_t n) {
    return jc_read_at(fileno(user), to, n, (off_t)at);
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
