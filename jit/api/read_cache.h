/*
 * jit/api/read_cache.h - the read-only caches of a context.
 */
#ifndef JC_READ_CACHE_H
#define JC_READ_CACHE_H

#include "jit/api/model.h"

/* Adds the directory, the bundle, or the archive with a bundle in it, at PATH to the tiers of the context's cache.  One that cannot be used is passed
   over, and the log says why: only memory that runs out is a failure.  NAMED: as a cache, by somebody who trusts its owner. */
jitc_status jc_read_cache_add(jitc_context *ctx, const char *path, bool named, jc_error *err);
/* Is PATH an archive with a bundle in it, as jitc.export writes it? */
bool jc_archive_has_bundle(jitc_context *ctx, const char *path);

#endif
