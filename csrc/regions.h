/* regions.h: splitting a file by halves. Pure arithmetic. */
#ifndef FC_REGIONS_H
#define FC_REGIONS_H

#include "engines/engine.h"

#define FC_SPLIT_DEPTH_MAX 12

/* The leaves of [0, size) in file order. Halving stops at `depth`, or where a half would be shorter than
 * min_region; the middle is rounded to 2 MiB (to 64 KiB where min_region is below 2 MiB), so that no two
 * leaves share a block, a huge page or a direct request. The caller frees *leaves. At least one leaf, but
 * none for an empty file. */
int fc_regions_split(uint64_t size, unsigned depth, uint64_t min_region, struct fc_span **leaves,
                     unsigned *count);

#endif
