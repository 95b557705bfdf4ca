/* regions.c: see regions.h. */
#include "regions.h"

#include <errno.h>
#include <stdlib.h>

struct splitter {
    struct fc_span *leaves;
    unsigned count;
    uint64_t align, min_region;
};

/* Recursion of at most FC_SPLIT_DEPTH_MAX frames. */
static void split(struct splitter *s, uint64_t at, uint64_t end, unsigned depth)
{
    uint64_t middle = at + (end - at) / 2;
    middle = (middle + s->align / 2) / s->align * s->align;
    if (depth == 0 || middle <= at || middle >= end || middle - at < s->min_region ||
        end - middle < s->min_region) {
        s->leaves[s->count++] = (struct fc_span){at, end};
        return;
    }
    split(s, at, middle, depth - 1);
    split(s, middle, end, depth - 1);
}

int fc_regions_split(uint64_t size, unsigned depth, uint64_t min_region, struct fc_span **leaves,
                     unsigned *count)
{
    if (depth > FC_SPLIT_DEPTH_MAX)
        depth = FC_SPLIT_DEPTH_MAX;
    struct splitter s = {
        .leaves = malloc(sizeof *s.leaves << depth),
        .align = min_region >= 2 * FC_MIB ? 2 * FC_MIB : 64 * FC_KIB,
        .min_region = min_region,
    };
    if (s.leaves == NULL)
        return -ENOMEM;
    if (size > 0)
        split(&s, 0, size, depth);
    *leaves = s.leaves;
    *count = s.count;
    return 0;
}
