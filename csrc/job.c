/* job.c: carry out one plan between two descriptors: prepare the destination, run the ladder on the
 * regions, follow the source to its end, set the length, clean up. */
#include "job.h"

#include "regions.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the destination -------------------------------------------------------------------------- */

static int set_size(struct fc_job *j, uint64_t size)
{
    int rc = fc_sys_ftruncate(j->dst, size);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_ftruncate, FC_AT_DESTINATION, size);
    j->dst_size = size;
    if (size < j->old_size)
        atomic_store(&j->touched, true);
    return 0;
}

static bool needs_length(const struct fc_job *j)
{
    for (unsigned i = 0; i < j->plan->rungs; i++)
        if (fc_engine_get(j->plan->ladder[i])->flags & (FC_ENGINE_MAPS | FC_ENGINE_ALIGNED))
            return true;
    /* And a write beyond the end makes some filesystems reserve more behind it (XFS), which a file that is
     * mostly holes did not ask for. */
    return j->leaf_count > 1 || j->plan->has_holes || j->plan->find_zeros;
}

static int prepare(struct fc_job *j)
{
    const struct fc_plan *p = j->plan;
    int rc = 0;
    if (!j->keep_blocks && j->dst_size > 0)
        rc = set_size(j, 0);
    if (rc == 0 && p->preallocate && p->size > 0) {
        rc = fc_sys_fallocate(j->dst, 0, p->size);
        if (rc == 0)
            j->dst_size = j->dst_size > p->size ? j->dst_size : p->size;
        else if (rc == -ENOSPC || rc == -EDQUOT || rc == -EIO || rc == -EFBIG)
            return fc_fail(j, rc, FC_OP_fallocate, FC_AT_DESTINATION, 0);
        else
            rc = 0; /* EOPNOTSUPP, ENOSYS, EPERM of a seccomp filter, ...: it was only ever an offer */
    }
    /* Writers of several regions would each push the end of the file on, under its exclusive lock. */
    if (rc == 0 && j->dst_size < p->size && needs_length(j))
        rc = set_size(j, p->size);
    return rc;
}

/* How far the copy is whole from its beginning. */
static uint64_t prefix(const struct fc_job *j)
{
    uint64_t tail = atomic_load(&j->tail_from);
    if (j->ring != NULL)
        return fc_smaller(fc_ring_prefix(j), tail);
    if (j->leaves == NULL)
        return j->whole ? j->plan->size : 0;
    for (unsigned i = 0; i < j->leaf_count; i++)
        if (j->leaves[i].at < j->leaves[i].end)
            return fc_smaller(j->leaves[i].at, tail);
    return fc_smaller(j->plan->size, tail);
}

static int follow_one(struct fc_worker *w, struct fc_memory *m, struct fc_span *s)
{
    struct fc_job *j = w->job;
    struct fc_piece piece = {.span = *s, .from = s->at, .mem = m->p};
    bool hashes = j->ring != NULL && j->ring->hashed == s->at; /* else the digest is made in another way */
    if (hashes && s->end - s->at > w->buf_size)
        piece.span.end = s->at + w->buf_size;
    w->piece = hashes ? &piece : NULL;
    int rc = fc_engine_get(FC_ENGINE_buffered)->copy(w, &piece.span);
    s->at = piece.span.at;
    if (!hashes || s->at == piece.from || (rc != 0 && rc != FC_EOF))
        return rc;
    int fed = fc_feed_bytes(j, m, (size_t)(s->at - piece.from));
    return fed != 0 ? fed : rc;
}

/* Read and write on from *length to limit, or until read says that the source ends. */
static int follow(struct fc_job *j, uint64_t *length, uint64_t limit)
{
    struct fc_memory *m;
    int rc = fc_memory_new((size_t)j->plan->chunk, false, &m);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, *length);
    struct fc_worker w = {.job = j, .on_caller = true, .buf = m->p, .buf_size = m->n};
    if (j->report->workers == 0)
        j->report->workers = 1;
    struct fc_span s = {*length, limit};
    while (rc == 0 && s.at < limit)
        rc = follow_one(&w, m, &s);
    *length = s.at;
    if (j->forked)
        return rc;
    int behind = fc_behind_finish(&w);
    fc_memory_drop(m);
    return rc != 0 && rc != FC_EOF ? rc : behind;
}

/* Has the source more than we knew of? It grows, or its size was a lie. */
static int follow_growth(struct fc_job *j, uint64_t *length)
{
    unsigned char one;
    ssize_t got = fc_sys_pread(j->src, &one, 1, *length);
    if (got < 0)
        return fc_fail(j, (int)got, FC_OP_pread, FC_AT_SOURCE, *length);
    return got == 0 ? 0 : follow(j, length, INT64_MAX);
}

/* Leave no more behind than was whole: whoever reads the file finds a beginning of the source. Where
 * nothing was written yet, the old content stays. */
static void cut(struct fc_job *j)
{
    bool untouched = !atomic_load(&j->touched);
    fc_sys_ftruncate(j->dst, untouched ? j->old_size : prefix(j)); /* the first error is the one to tell */
}

/* ---- all of it -------------------------------------------------------------------------------- */

/* An engine that takes the file in one call, before anything is prepared for the others. The old content is
 * not cut first, so that it survives if the engine cannot go on. A destination that is longer is no end to
 * clone the last, broken block of a file to (EINVAL): only then it is cut to the same length. */
static int run_whole(struct fc_job *j)
{
    struct fc_worker w = {.job = j, .on_caller = true};
    struct fc_span all = {0, j->plan->size};
    const struct fc_engine *engine = fc_engine_get(j->plan->ladder[0]);
    int rc = engine->copy(&w, &all);
    if (rc == FC_PASS && w.pass_errno == EINVAL && j->dst_size > j->plan->size) {
        rc = set_size(j, j->plan->size);
        if (rc == 0)
            rc = engine->copy(&w, &all);
    }
    if (rc == 0) {
        j->report->workers = 1;
        j->whole = true;
    }
    if (rc != FC_PASS)
        return rc;
    rc = j->rc = fc_ladder_next(j, 0, w.pass_errno, w.pass_op, 0);
    return rc == 0 ? FC_PASS : rc;
}

/* Will all the bytes pass through our memory from here on? */
static bool sees_bytes(const struct fc_job *j)
{
    for (unsigned i = atomic_load(&j->rung); i < j->plan->rungs; i++)
        if (!(fc_engine_get(j->plan->ladder[i])->flags & FC_ENGINE_SEES_BYTES))
            return false;
    return true;
}

/* Only `buffered` tells what it saw. */
static bool sums_regions(const struct fc_job *j)
{
    bool buffered = true;
    for (unsigned i = atomic_load(&j->rung); i < j->plan->rungs; i++)
        buffered &= j->plan->ladder[i] == FC_ENGINE_buffered;
    return buffered && j->plan->verify == FC_VERIFY_HASH && j->hooks != NULL && j->hooks->sums != NULL;
}

int fc_job_split(struct fc_job *j, enum fc_digest in_order)
{
    const struct fc_plan *p = j->plan;
    int rc;
    fc_ring_close(j); /* of a first attempt, as the leaves */
    free(j->leaves);
    j->leaves = NULL;
    atomic_store(&j->next_leaf, 0);
    if (in_order != FC_DIGEST_NONE) {
        rc = fc_ring_open(j, p->workers);
        j->leaf_count = rc == 0 ? (unsigned)fc_smaller(j->ring->count, UINT32_MAX) : 0;
        if (rc == 0)
            rc = fc_digest_begin(j, in_order);
    } else {
        rc = fc_regions_split(p->size, p->split_depth, p->min_region, &j->leaves, &j->leaf_count);
        if (rc == 0 && j->sums != NULL)
            rc = fc_sums_open(j->sums, j->leaf_count, p->split_depth, p->min_region);
        if (rc != 0)
            rc = fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, 0);
    }
    if (rc == 0 && p->drop_cache)
        fc_behind_look(j);
    return rc;
}

static int run_regions(struct fc_job *j)
{
    bool hashes = j->plan->digest && fc_makes_digests(j->hooks) && sees_bytes(j);
    j->sums = sums_regions(j) ? j->hooks->sums : NULL;
    int rc = fc_job_split(j, hashes && j->sums == NULL ? FC_DIGEST_WRITTEN : FC_DIGEST_NONE);
    if (rc != 0)
        return rc;
    rc = j->rc = fc_ladder_enter(j);
    if (rc != 0)
        return rc;
    rc = prepare(j);
    if (rc == 0 && j->leaf_count > 0) {
        fc_workers_run(j);
        rc = j->rc;
    }
    if (!j->forked)
        fc_ladder_leave(j);
    return rc;
}

/* A rewrite in place may need new blocks (a snapshot below, compression) that a file emptied first would
 * have given back: what an ordinary copy could do must not fail here. */
static int run_again_from_empty(struct fc_job *j)
{
    j->keep_blocks = false;
    j->rc = 0;
    atomic_store(&j->stop, false);
    atomic_store(&j->done, 0);
    atomic_store(&j->written, 0);
    atomic_store(&j->eof, UINT64_MAX);
    atomic_store(&j->tail_from, UINT64_MAX);
    j->report->error = (struct fc_error){.op = -1, .engine = FC_ENGINE_NONE};
    int rc = set_size(j, 0);
    return rc != 0 ? rc : run_regions(j);
}

static int finish(struct fc_job *j)
{
    const struct fc_plan *p = j->plan;
    uint64_t end = fc_smaller(p->size, atomic_load(&j->eof)), tail = atomic_load(&j->tail_from), length = end;
    int rc = 0;
    if (tail < end)
        rc = follow(j, &tail, end);
    if (tail < end)
        length = end = tail; /* cut short in the meantime */
    if (j->whole && j->old_size <= p->size)
        length = j->dst_size; /* all that the source had when it was taken, grown or not */
    else if (rc == 0 && p->to_eof && end == p->size)
        rc = follow_growth(j, &length);
    if (rc != 0)
        return rc;
    atomic_store(&j->tail_from, UINT64_MAX);
    /* The length is right by itself only where one worker wrote a file without holes to its end. */
    bool by_writing = j->leaf_count <= 1 && !p->has_holes && !p->find_zeros && j->dst_size <= length;
    bool emptied = length == 0 && p->in_place; /* cutting to nothing still moves the mtime */
    if (emptied || (!by_writing && j->dst_size != length))
        rc = set_size(j, length);
    j->report->bytes = length;
    if (rc != 0)
        return rc;
    if (j->sums != NULL && length == p->size) {
        j->sums->whole = true;
        j->report->digest_of = FC_DIGEST_WRITTEN;
    }
    if (j->ring == NULL)
        return 0;
    if (j->ring->hashed != length) /* cut short behind what was hashed already */
        return fc_digest_begin(j, FC_DIGEST_NONE);
    j->report->digest_of = FC_DIGEST_WRITTEN;
    return 0;
}

static int run(struct fc_job *j)
{
    const struct fc_plan *p = j->plan;
    int rc = FC_PASS;
    if (fc_engine_get(p->ladder[0])->flags & FC_ENGINE_WHOLE_FILE)
        rc = run_whole(j);
    if (rc == FC_PASS)
        rc = run_regions(j);
    if ((rc == -ENOSPC || rc == -EDQUOT) && j->keep_blocks && !j->forked && !atomic_load(&j->cancelled))
        rc = run_again_from_empty(j);
    return rc == 0 ? finish(j) : rc;
}

int fc_job_begin(struct fc_job *j)
{
    j->heard_ns = fc_now_ns();
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&j->lock, NULL);
    if (rc != 0)
        return -rc;
    rc = pthread_condattr_init(&attr);
    if (rc == 0) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&j->idle, &attr);
        pthread_condattr_destroy(&attr);
        if (rc == 0 && (rc = pthread_cond_init(&j->room, NULL)) != 0)
            pthread_cond_destroy(&j->idle);
    }
    if (rc != 0) {
        pthread_mutex_destroy(&j->lock);
        fc_error_set(&j->report->error, -rc, FC_OP_thread, FC_AT_BOTH, FC_ENGINE_NONE, 0);
    }
    atomic_store(&j->eof, UINT64_MAX);
    atomic_store(&j->tail_from, UINT64_MAX);
    return -rc;
}

void fc_job_end(struct fc_job *j)
{
    pthread_cond_destroy(&j->idle);
    pthread_cond_destroy(&j->room);
    pthread_mutex_destroy(&j->lock);
    fc_ring_close(j);
    free(j->leaves);
    free(j->cold);
}

bool fc_makes_digests(const struct fc_hooks *h)
{
    return h != NULL && h->begin != NULL && h->feed != NULL && h->agree != NULL;
}

int fc_digest_begin(struct fc_job *j, enum fc_digest which)
{
    pid_t pid = getpid();
    return fc_called(j, pid, j->hooks->begin(j->hooks->arg, which), 0);
}

int fc_job_run(const struct fc_plan *p, int src_fd, int dst_fd, uint64_t old_size, const struct fc_hooks *h,
               struct fc_report *r)
{
    if (h != NULL && h->sums != NULL)
        h->sums->whole = false;
    if (p->small)
        return fc_small_copy(src_fd, dst_fd, p->size, old_size, p->digest ? h : NULL, r);
    struct fc_job j = {.plan = p,
                       .hooks = h,
                       .report = r,
                       .src = src_fd,
                       .dst = dst_fd,
                       .other = -1,
                       .total = p->size,
                       .old_size = old_size,
                       .dst_size = old_size,
                       .keep_blocks = p->keep_blocks};
    int rc = fc_job_begin(&j);
    if (rc != 0)
        return rc;
    rc = run(&j);
    if (rc == 0)
        rc = j.rc;
    if (j.forked)
        return rc;
    if (rc != 0 && p->in_place)
        cut(&j);
    int engine = fc_engine_at_work(&j);
    if (rc == 0)
        fc_ladder_note(r, engine, 0, r->bytes);
    r->engine = engine;
    r->written = atomic_load(&j.written);
    r->regions = j.leaf_count;
    r->windows = (r->bytes + p->window - 1) / p->window;
    r->flushes = atomic_load(&j.flushes);
    r->mapped_bytes = atomic_load(&j.mapped_peak);
    fc_job_end(&j);
    return rc;
}

int fc_job_sync(const struct fc_plan *p, enum fc_sync sync, int dst_fd, const struct fc_hooks *h,
                struct fc_report *r)
{
    enum { STEP = 16 * 1024 * 1024 }; /* what a slow disk writes in a tenth of a second */
    if (sync == FC_SYNC_NONE)
        return 0;
    struct fc_job j = {.plan = p,
                       .hooks = h,
                       .report = r,
                       .src = -1,
                       .dst = dst_fd,
                       .other = -1,
                       .phase = FC_PHASE_SYNC,
                       .total = r->bytes};
    int rc = fc_job_begin(&j);
    if (rc != 0)
        return rc;
    for (uint64_t at = 0; rc == 0 && r->bytes > STEP && at < r->bytes; at += STEP) {
        rc = fc_behind_wait(&j, at, STEP);
        if (rc == 0)
            rc = fc_conduct(&j, at);
    }
    if (rc == 0) {
        rc = sync == FC_SYNC_FULL ? fc_sys_fsync(dst_fd) : fc_sys_fdatasync(dst_fd);
        if (rc != 0)
            fc_fail(&j, rc, sync == FC_SYNC_FULL ? FC_OP_fsync : FC_OP_fdatasync, FC_AT_DESTINATION, 0);
    }
    if (!j.forked)
        fc_job_end(&j);
    return rc;
}
