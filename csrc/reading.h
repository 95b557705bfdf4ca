/* reading.h: jobs that only read: a file for its digest, two files against each other. */
#ifndef FC_READING_H
#define FC_READING_H

#include "fastcopy.h"

/* What to read, and how. */
struct fc_reading {
    int fd, other;          /* other: to compare with; else -1 */
    uint64_t size;          /* what there should be */
    bool to_eof;            /* then on to the real end */
    bool drop_cache;        /* leave no pages of fd behind that were not there before */
    uint64_t chunk;         /* of one read */
    uint32_t direct;        /* read past the page cache, in blocks of this; 0: as usual */
    uint64_t before, total; /* for progress: bytes done by readings before this one; of all */
    enum fc_at at;          /* whose fault an error is */
    unsigned workers;
    enum fc_digest digest; /* what to begin, with no other */
    struct fc_sums
        *sums; /* or hold each region against its own: *end is where the first begins that differs */
};

/* 0, and *end says how far it came: the end of the file, or where the two differ (a comparison of two files that
 * do not). r->error tells of a failure. Progress is that of verifying. */
int fc_reading_run(const struct fc_reading *q, const struct fc_hooks *h, struct fc_report *r, uint64_t *end);

#endif
