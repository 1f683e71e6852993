/*
 * tools/cache.h - the subcommands of `jitc cache` that are more than a walk over its files. Each answers the exit code.
 */
#ifndef JC_TOOL_CACHE_H
#define JC_TOOL_CACHE_H

#include "cache/scan.h"
#include "tools/tool.h"

int cache_ls(tool *t, jc_disk *disk);    /* every entry, a line each */
int cache_show(tool *t, jc_disk *disk);  /* what one entry's key is made of */
int cache_prune(tool *t, jc_disk *disk); /* down to a size */

int cache_export(tool *t, jc_disk *disk);
int cache_import(tool *t, jc_disk *disk);
int cache_log(tool *t, jc_disk *disk);   /* what was built, by whom, and why */

/* What all processes counted, as far as the history goes back: SINCE, 0 where there is none. */
void cache_sum_history(tool *t, jc_disk *disk, jc_cache_stats *sum, int64_t *since);

/* The key's fields, "graph" and so on; NULL past what is known. */
const char *cache_field_text(unsigned field);

#endif
