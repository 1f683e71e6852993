/*
 * base/trust.h - whose a file is that holds code: who may have written it, and who might change what its path leads to.
 *
 * Code is run, so it is taken from this user and from root, who could do anything anyway, and from nobody else.  A file that its
 * group may write to is refused as well, whoever is in the group: a umask of 002 makes such files, and `chmod go-w` mends them.
 */
#ifndef JC_TRUST_H
#define JC_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/*
 * NULL: what ST is of belongs to root or this user, who alone may write to it.  Else why not, in words that follow "it": "belongs
 * to user 1001", into OUT.  ANY_OWNER: whoever named it trusts its owner, but nobody else.
 */
const char *jc_distrust(const struct stat *st, bool any_owner, char *out, size_t size);

/* Can nobody but root and this user change where PATH leads, an absolute one without links (realpath)?  Its folders are looked at,
   not the file: a sticky one keeps others from what is not theirs. */
bool jc_path_is_private(const char *path);

#endif
