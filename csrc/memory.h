/* memory.h: private memory that may have several owners. What a hasher is fed with is lent to it for one call; where it
 * keeps a part of it nevertheless, that part becomes an owner beside the copy, which may then end. Any thread may
 * drop what it owns. */
#ifndef FC_MEMORY_H
#define FC_MEMORY_H

#include "fastcopy.h"

#include <stdatomic.h>

struct fc_memory {
    unsigned char *p; /* of fc_sys_memory(), page-aligned */
    size_t n;
    bool direct;
    atomic_uint owners;
};

/* With one owner; fc_memory_drop() is in fastcopy.h. */
int fc_memory_new(size_t n, bool direct, struct fc_memory **out);
struct fc_memory *fc_memory_own(struct fc_memory *m);

#endif
