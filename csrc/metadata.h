/* metadata.h: owner, extended attributes, mode and times of a copy. */
#ifndef FC_METADATA_H
#define FC_METADATA_H

#include "fastcopy.h"

#include <sys/stat.h>

/* What the caller knows of dst_fd, so that nothing need be done about it. */
enum fc_metadata_known {
    FC_KNOWN_NO_LIST = 1, /* it was made where nothing gives it an access list */
    FC_KNOWN_MODE = 2,    /* it was made with the mode that it is to have */
    FC_AS_SHUTIL = 4,     /* set-id bits stay whoever owns it, and so does an access list that it was given */
};

/* Give dst_fd (created 0600) what `o->preserve` names, as `src` had it. What is in `o->required` and cannot
 * be kept is an error; the rest becomes bits of *warnings (enum fc_warning). */
int fc_metadata_copy(int src_fd, const struct stat *src, int dst_fd, const struct fc_options *o,
                     unsigned *warnings, struct fc_error *e);
int fc_metadata_copy_known(int src_fd, const struct stat *src, int dst_fd, const struct fc_options *o,
                           unsigned known, unsigned *warnings, struct fc_error *e);

#endif
