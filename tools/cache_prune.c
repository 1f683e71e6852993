/*
 * tools/cache_prune.c - `jitc cache prune [--max-bytes N] [--max-entries N]`: what was used longest ago goes, down to a size.
 *
 * Without a bound those hold that a compilation keeps to by itself.
 */
#include <stdio.h>

#include "cache/prune.h"
#include "tools/cache.h"

int cache_prune(tool *t, jc_disk *disk) {
    jc_error err = JC_ERROR_INIT;
    jc_pruned p;
    const jc_cache_settings *s = jc_cache_get_settings(t->ctx->cache);
    const bool given = t->o.max_bytes >= 0 || t->o.max_entries >= 0;
    const jc_prune how = { .on_purpose = true,
                           .max_bytes = t->o.max_bytes >= 0 ? (uint64_t)t->o.max_bytes : given ? 0 : s->max_bytes,
                           .max_entries = t->o.max_entries >= 0 ? (uint64_t)t->o.max_entries : given ? 0 : s->max_entries };
    if (t->o.max_bytes == 0 || t->o.max_entries == 0)
        jc_fail(&err, JITC_E_USAGE, "a bound of 0 would leave nothing; use jitc cache clear");
    TOOL_TRY(t, &err, err.status);
    TOOL_TRY(t, &err, jc_prune_run(disk, &how, t->arena, &p, &err));
    if (t->o.json) {
        json_t *out = tool_json_new();
        tool_set(out, "dir", tool_text(jc_disk_dir(disk)));
        tool_set(out, "removed", json_integer((json_int_t)p.removed));
        tool_set(out, "bytes", json_integer((json_int_t)p.removed_bytes));
        tool_set(out, "temporary", json_integer((json_int_t)p.temporaries));
        tool_set(out, "left", json_integer((json_int_t)(p.entries - p.removed)));
        tool_set(out, "left_bytes", json_integer((json_int_t)(p.bytes - p.removed_bytes)));
        tool_set(out, "busy", json_boolean(p.busy));
        return tool_json(t, out, 0);
    }
    if (p.busy)
        printf("%s: another process is pruning it; nothing was done\n", jc_disk_dir(disk));
    else
        printf("%s: %llu entries removed, %llu bytes, and %llu temporary files; %llu entries are left, %llu bytes\n", jc_disk_dir(disk),
               (unsigned long long)p.removed, (unsigned long long)p.removed_bytes, (unsigned long long)p.temporaries,
               (unsigned long long)(p.entries - p.removed), (unsigned long long)(p.bytes - p.removed_bytes));
    return 0;
}
