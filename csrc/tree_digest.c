/* tree_digest.c: the hooks of verify="hash" in a tree. Regions have a digest each (sum.h); what cannot be split goes
 * through the hooks, byte after byte. */
#include "tree.h"

static int begin(void *arg, enum fc_digest which)
{
    struct fc_tree_worker *w = arg;
    w->sum = &w->sums[which == FC_DIGEST_REREAD];
    fc_sum_begin(w->sum);
    return 0;
}

static int feed(void *arg, struct fc_feed *f)
{
    struct fc_tree_worker *w = arg;
    const unsigned char *p;
    size_t n;
    while (fc_feed_take(f, &p, &n))
        fc_sum_add(w->sum, p, n);
    return 0;
}

static int agree(void *arg)
{
    struct fc_tree_worker *w = arg;
    /* Those of regions were held against each other when the copy was read again. */
    return w->regions.whole || fc_sum_end(&w->sums[0]) == fc_sum_end(&w->sums[1]);
}

void fc_tree_digest_hooks(struct fc_tree_worker *w, struct fc_hooks *h)
{
    h->begin = begin;
    h->feed = feed;
    h->agree = agree;
    h->sums = &w->regions;
}
