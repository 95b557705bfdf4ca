/* metadata.h: owner, extended attributes, mode and times of a copy. */
#ifndef FC_METADATA_H
#define FC_METADATA_H

#include "fastcopy.h"

#include <sys/stat.h>

/* Give dst_fd (created 0600) what `o->preserve` names, as `src` had it. What is in `o->required` and cannot
 * be kept is an error; the rest becomes bits of *warnings (enum fc_warning). */
int fc_metadata_copy(int src_fd, const struct stat *src, int dst_fd, const struct fc_options *o,
                     unsigned *warnings, struct fc_error *e);

#endif
