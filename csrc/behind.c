/* behind.c: what a copy leaves in the page cache.
 *
 * With cache=drop, and with sync, each worker follows its own writes: a stretch that has grown to STRETCH
 * is sent to the medium without waiting, and when the next one is full, the one before is waited for and
 * dropped. So the device works while we copy, and no more than two stretches a worker stay behind. A job that
 * only reads drops what it has read in the same way. */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* Long enough for large requests, short enough that a sync at the end finds little left to do. */
#define STRETCH (8 * FC_MIB)

static bool wants_drop(const struct fc_worker *w)
{
    return w->job->plan->drop_cache;
}

/* Which stretches of the source had no page in the cache before we came: only what we brought in ourselves is
 * dropped. Asked before the first byte, for reading ahead blurs it. */
void fc_behind_look(struct fc_job *j)
{
    uint64_t size = j->plan->size;
    free(j->cold);
    j->cold = calloc((size_t)(size / STRETCH + 1), sizeof *j->cold);
    for (uint64_t at = 0; j->cold != NULL && at < size; at += STRETCH) {
        uint64_t resident, dirty, n = size - at < STRETCH ? size - at : STRETCH;
        int rc = fc_sys_residency(j->src, at, n, &resident, &dirty);
        j->cold[at / STRETCH] = rc == 0 && resident == 0;
    }
}

static void drop_source(struct fc_job *j, uint64_t at, uint64_t end)
{
    while (j->cold != NULL && at < end && at < j->plan->size) {
        uint64_t border = (at / STRETCH + 1) * STRETCH, n = (border < end ? border : end) - at;
        if (j->cold[at / STRETCH])
            fc_sys_fadvise(j->src, at, n, POSIX_FADV_DONTNEED);
        at += n;
    }
}

/* Data that the medium refused. The kernel tells a file's writeback error once, whatever its errno (EIO,
 * ENODATA of a medium, EUCLEAN, what a server says), so it must not be ignored here; but these mean that
 * there is no such call for this file, and that the sync at the end does the work. */
static bool refused(int rc)
{
    return rc != 0 && rc != -ENOSYS && rc != -EPERM && rc != -EINVAL && rc != -ESPIPE && rc != -EOPNOTSUPP;
}

int fc_behind_wait(struct fc_job *j, uint64_t at, uint64_t n)
{
    int rc = fc_sys_sync_file_range(
        j->dst, at, n, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    atomic_fetch_add(&j->flushes, 1);
    return refused(rc) ? fc_fail(j, rc, FC_OP_sync_file_range, FC_AT_DESTINATION, at) : 0;
}

static int settle(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    uint64_t n = s->end - s->at;
    int rc = 0;
    if (n > 0 && wants_drop(w)) {
        int copy = j->reader == NULL ? j->dst : j->other;
        if (j->reader == NULL)
            rc = fc_behind_wait(j, s->at, n);
        /* Advice: a filesystem may decline, and then the pages stay, which harms nobody's data. */
        if (copy >= 0)
            fc_sys_fadvise(copy, s->at, n, POSIX_FADV_DONTNEED);
        drop_source(j, s->at, s->end);
    }
    *s = (struct fc_span){0, 0};
    return rc;
}

static int send(struct fc_worker *w)
{
    struct fc_span *growing = &w->behind[0], *sent = &w->behind[1];
    int rc = settle(w, sent);
    *sent = *growing;
    *growing = (struct fc_span){0, 0};
    if (rc == 0 && sent->end > sent->at && w->job->reader == NULL) {
        rc = fc_sys_sync_file_range(w->job->dst, sent->at, sent->end - sent->at, SYNC_FILE_RANGE_WRITE);
        rc = refused(rc) ? fc_fail(w->job, rc, FC_OP_sync_file_range, FC_AT_DESTINATION, sent->at) : 0;
    }
    return rc;
}

int fc_behind_wrote(struct fc_worker *w, uint64_t at, uint64_t n)
{
    struct fc_span *growing = &w->behind[0];
    int rc = 0;
    if (n == 0)
        return 0;
    if (growing->end != at) {
        rc = send(w);
        *growing = (struct fc_span){at, at};
    }
    growing->end = at + n;
    if (rc == 0 && growing->end - growing->at >= STRETCH)
        rc = send(w);
    return rc;
}

int fc_behind_finish(struct fc_worker *w)
{
    int rc = send(w);
    return rc == 0 ? settle(w, &w->behind[1]) : rc;
}
