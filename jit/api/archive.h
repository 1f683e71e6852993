/*
 * jit/api/archive.h - files that are archives of torch.export.
 */
#ifndef JC_ARCHIVE_H
#define JC_ARCHIVE_H

#include <stdio.h>

#include "ir/pt2/pt2.h"

/* Is F one?  Then its bytes into OUT, as long as F is open. */
bool jc_file_is_archive(FILE *f, jc_source *out);

#endif
