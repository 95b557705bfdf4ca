/* sum.c: see sum.h. XXH64 as its specification has it, for it keeps up with memory. */
#include "sum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

enum { BLOCK = sizeof((struct fc_sum *)0)->rest };

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

/* In the order of the machine: nobody else will read these digests. */
static uint64_t word(const unsigned char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t step(uint64_t lane, uint64_t x)
{
    return rotate(lane + x * P2, 31) * P1;
}

void fc_sum_begin(struct fc_sum *s)
{
    *s = (struct fc_sum){.lane = {P1 + P2, P2, 0, 0 - P1}};
}

static void blocks(struct fc_sum *s, const unsigned char *p, size_t n)
{
    uint64_t a = s->lane[0], b = s->lane[1], c = s->lane[2], d = s->lane[3];
    for (; n >= BLOCK; p += BLOCK, n -= BLOCK) {
        a = step(a, word(p));
        b = step(b, word(p + 8));
        c = step(c, word(p + 16));
        d = step(d, word(p + 24));
    }
    s->lane[0] = a, s->lane[1] = b, s->lane[2] = c, s->lane[3] = d;
}

void fc_sum_add(struct fc_sum *s, const unsigned char *p, size_t n)
{
    size_t held = s->total % BLOCK;
    s->total += n;
    if (held > 0) {
        size_t more = n < BLOCK - held ? n : BLOCK - held;
        memcpy(s->rest + held, p, more);
        p += more;
        n -= more;
        if (held + more < BLOCK)
            return;
        blocks(s, s->rest, BLOCK);
    }
    blocks(s, p, n);
    memcpy(s->rest, p + n / BLOCK * BLOCK, n % BLOCK);
}

static uint64_t merge(uint64_t h, uint64_t lane)
{
    return (h ^ step(0, lane)) * P1 + P4;
}

uint64_t fc_sum_end(const struct fc_sum *s)
{
    const uint64_t *l = s->lane;
    const unsigned char *p = s->rest, *end = p + s->total % BLOCK;
    uint64_t h = P5; /* the third lane, as it begins, and P5 */
    if (s->total >= BLOCK) {
        h = rotate(l[0], 1) + rotate(l[1], 7) + rotate(l[2], 12) + rotate(l[3], 18);
        h = merge(merge(merge(merge(h, l[0]), l[1]), l[2]), l[3]);
    }
    h += s->total;
    for (; end - p >= 8; p += 8)
        h = rotate(h ^ step(0, word(p)), 27) * P1 + P4;
    if (end - p >= 4) {
        uint32_t x;
        memcpy(&x, p, sizeof x);
        h = rotate(h ^ x * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; p++)
        h = rotate(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

/* ---- of regions ---------------------------------------------------------------------------------- */

int fc_sums_open(struct fc_sums *s, unsigned count, unsigned depth, uint64_t min_region)
{
    if (count > s->room) {
        uint64_t *more = realloc(s->of, count * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        s->of = more;
        s->room = count;
    }
    s->depth = depth;
    s->min_region = min_region;
    return 0;
}
