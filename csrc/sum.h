/* sum.h: digests that are made by workers, which call no Python, and compared with each other, and with nothing
 * else: any digest will do, for what is proved is that a copy was read back as it was written. */
#ifndef FC_SUM_H
#define FC_SUM_H

#include "fastcopy.h"

/* One on its way. */
struct fc_sum {
    uint64_t lane[4], total;
    unsigned char rest[32];
};

void fc_sum_begin(struct fc_sum *s);
void fc_sum_add(struct fc_sum *s, const unsigned char *p, size_t n);
uint64_t fc_sum_end(const struct fc_sum *s);

/* One for each region of a file, each made by the worker that copies the region while the bytes are in the cache of
 * its core, so that no region waits for another. Reading splits the file as writing did. The owner of the hooks
 * frees `of`. */
struct fc_sums {
    uint64_t *of;
    unsigned room;
    unsigned depth; /* how the file was split */
    uint64_t min_region;
    bool whole; /* they are of all that was written, and of nothing else */
};

int fc_sums_open(struct fc_sums *s, unsigned count, unsigned depth, uint64_t min_region);

#endif
