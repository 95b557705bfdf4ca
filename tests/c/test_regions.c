/* Leaves cover a file once, in order, on borders that no two requests share. */
#include "check.h"
#include "regions.h"

static void holds_for(uint64_t size, unsigned depth, uint64_t min_region)
{
    struct fc_span *leaf;
    unsigned count;
    uint64_t align = min_region >= 2 * FC_MIB ? 2 * FC_MIB : 64 * FC_KIB;
    CHECK(fc_regions_split(size, depth, min_region, &leaf, &count) == 0);
    CHECK((count == 0) == (size == 0));
    CHECK(count <= 1u << (depth < FC_SPLIT_DEPTH_MAX ? depth : FC_SPLIT_DEPTH_MAX));
    uint64_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        CHECK(leaf[i].at == at && leaf[i].end > at);
        CHECK(leaf[i].at % align == 0);
        CHECK(count == 1 || leaf[i].end - leaf[i].at >= min_region);
        at = leaf[i].end;
    }
    CHECK(at == size);
    free(leaf);
}

int main(void)
{
    uint64_t seed = 42;
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t size = next_random(&seed) >> (next_random(&seed) % 64);
        size >>= 1; /* offsets are signed */
        unsigned depth = (unsigned)(next_random(&seed) % 14);
        uint64_t min_region = 64 * FC_KIB << (next_random(&seed) % 12);
        holds_for(size, depth, min_region);
    }
    holds_for(0, 7, 8 * FC_MIB);
    holds_for(1, 7, 8 * FC_MIB);
    holds_for(16 * FC_MIB, 1, 8 * FC_MIB);
    holds_for(INT64_MAX, 12, 8 * FC_MIB);
    return 0;
}
