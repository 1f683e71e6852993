/*
 * runtime/plugin.c - shared objects that register operators.
 */
#include "runtime/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/library.h"
#include "base/trust.h"

static jitc_status run_entry(const char *path, jitc_plugin_entry entry, jitc_context *ctx, const jitc_plugin_api *api,
                             jc_error *err) {
    jitc_status status = entry(ctx, api);
    if (status == JITC_E_ABI)
        return jc_fail(err, status, "Plugin %s was built for another version of libjitc's plugin interface (this one is %u): "
                       "rebuild it.", path, api->abi);
    if (status != JITC_OK)
        return jc_fail(err, status, "Plugin %s failed to register its operators: %s.", path, jitc_status_text(status));
    return JITC_OK;
}

/*
 * Opens the file at PATH that was looked at, and no other.  Where nobody else can change where the path leads, that is what lies
 * there, and the loader gets the path, by which plugins find what lies beside them ($ORIGIN) and debuggers find them.  Else it gets the
 * descriptor, which stays open: by the same name the loader would take the next plugin for this one.
 */
static jitc_status open_ours(const char *path, jc_plugin *out, char *why, size_t size, jc_error *err) {
    char real[PATH_MAX], name[32], whose[128];
    struct stat st;
    int fd = realpath(path, real) ? open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK) : -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, size, "%s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        snprintf(why, size, "it is no regular file");
    } else if (jc_distrust(&st, false, whose, sizeof whose)) {
        close(fd);
        return jc_fail(err, JITC_E_TRUST, "The plugin %s %s. A plugin can do all that this process can; to open it all the same, trust files "
                       "of others (--trust-files, jitc_context_options.trust_files).", path, whose);
    } else if (jc_path_is_private(real)) {
        out->handle = jc_library_open(real, why, size);
    } else {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if ((out->handle = jc_library_open(name, why, size))) {
            out->file = fd;
            return JITC_OK;
        }
    }
    if (fd >= 0)
        close(fd);
    return JITC_OK;
}

void jc_plugin_close(jc_plugin *p) {
    jc_library_close(p->handle);
    if (p->handle && p->file >= 0)
        close(p->file);
    *p = (jc_plugin){ NULL, -1 };
}

jitc_status jc_plugin_open(const char *path, bool anybodys, jitc_context *ctx, const jitc_plugin_api *api, jc_plugin *out,
                           jc_error *err) {
    char local[4096], why[512];
    *out = (jc_plugin){ NULL, -1 };
    /* dlopen searches the library path for a name without a slash; a plugin is a file. */
    if (!strchr(path, '/')) {
        if (snprintf(local, sizeof local, "./%s", path) >= (int)sizeof local)
            return jc_fail(err, JITC_E_IO, "The plugin's file name is too long.");
        path = local;
    }
    if (anybodys)
        out->handle = jc_library_open(path, why, sizeof why);
    else
        JC_TRY(open_ours(path, out, why, sizeof why, err));
    if (!out->handle)
        return jc_fail(err, JITC_E_IO, "The plugin %s could not be opened: %s.", path, why);
    union {
        void *object;
        jitc_plugin_entry function;
    } entry = { jc_library_symbol(out->handle, JITC_PLUGIN_ENTRY) };
    if (!entry.object) {
        jc_plugin_close(out);
        return jc_fail(err, JITC_E_INPUT, "%s is no plugin of libjitc: it has no function " JITC_PLUGIN_ENTRY "().",
                       path);
    }
    return run_entry(path, entry.function, ctx, api, err);
}
