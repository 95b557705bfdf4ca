/* publish.h: a file that nobody sees until it is whole. */
#ifndef FC_PUBLISH_H
#define FC_PUBLISH_H

#include "fastcopy.h"

/* ".fastcopy-" and 16 hexadecimal digits: the name that a clean-up may remove after a kill. */
#define FC_TEMPORARY_PREFIX ".fastcopy-"

struct fc_unpublished {
    int dir;                                    /* the caller's */
    int fd;                                     /* open for reading and writing, or -1 */
    bool local;                                 /* FC_UNPUBLISHED_LOCAL */
    bool fresh;                                 /* FC_UNPUBLISHED_FRESH */
    char name[sizeof FC_TEMPORARY_PREFIX + 16]; /* empty: it has none (O_TMPFILE) */
};

enum fc_unpublished_how {
    FC_UNPUBLISHED_NAMED = 1,    /* with a name, so that it can be left behind for diagnosis */
    FC_UNPUBLISHED_LINKABLE = 2, /* fc_can_link_descriptors() was asked */
    FC_UNPUBLISHED_LOCAL = 4,    /* a filesystem whose close() has nothing to report */
    FC_UNPUBLISHED_FRESH = 8,    /* what has the name already is not replaced: -EEXIST */
};

/* Has a file without a name a way to get one? */
bool fc_can_link_descriptors(void);

/* In the directory `dir`, with the given mode (umask and default ACLs apply). */
int fc_unpublished_create(struct fc_unpublished *u, int dir, unsigned mode, unsigned how, struct fc_error *e);

/* Make it appear as `name` at once, in place of what was there, and close it. On failure it is still
 * unpublished, though perhaps closed. */
int fc_unpublished_publish(struct fc_unpublished *u, const char *name, struct fc_error *e);

/* Remove and close what was not published. */
void fc_unpublished_discard(struct fc_unpublished *u);

#endif
