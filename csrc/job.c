/* job.c: carry out one plan between two descriptors: prepare the destination, run the ladder on the
 * regions, follow the source to its end, set the length, clean up. */
#include "job.h"

#include "regions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 50

/* ---- failing ---------------------------------------------------------------------------------- */

static enum fc_code code_of(enum fc_op op, int err)
{
    if (err == ENOSPC || err == EDQUOT)
        return FC_COPY_E_NOSPACE;
    switch (op) {
    case FC_OP_pread:
        return FC_COPY_E_READ;
    case FC_OP_pwrite:
    case FC_OP_copy_file_range:
    case FC_OP_ficlone:
    case FC_OP_ftruncate:
    case FC_OP_punch_hole:
    case FC_OP_sync_file_range:
    case FC_OP_fdatasync:
    case FC_OP_fsync:
    case FC_OP_close:
        return FC_COPY_E_WRITE;
    case FC_OP_fallocate:
        return FC_COPY_E_PREALLOC;
    case FC_OP_mmap:
    case FC_OP_process_vm_readv:
        return FC_COPY_E_MMAP;
    case FC_OP_linkat:
    case FC_OP_renameat:
        return FC_FINALIZE_E_RENAME;
    case FC_OP_fchmod:
    case FC_OP_fchown:
    case FC_OP_futimens:
    case FC_OP_fsetxattr:
    case FC_OP_fgetxattr:
    case FC_OP_flistxattr:
        return FC_FINALIZE_E_METADATA;
    default:
        return FC_CODE_NONE;
    }
}

void fc_error_set(struct fc_error *e, int err, enum fc_op op, enum fc_at at, int engine, uint64_t offset)
{
    *e = (struct fc_error){
        .err = -err, .code = code_of(op, -err), .op = (int)op, .engine = engine, .offset = offset, .at = at};
}

static int engine_of(struct fc_job *j, unsigned rung)
{
    return rung < j->plan->rungs ? j->plan->ladder[rung] : FC_ENGINE_NONE;
}

static int fail_with(struct fc_job *j, const struct fc_error *e)
{
    pthread_mutex_lock(&j->lock);
    if (j->rc == 0) {
        j->rc = -e->err;
        j->report->error = *e;
    }
    atomic_store(&j->stop, true);
    pthread_mutex_unlock(&j->lock);
    return -e->err;
}

int fc_fail(struct fc_job *j, int err, enum fc_op op, enum fc_at at, uint64_t offset)
{
    struct fc_error e;
    fc_error_set(&e, err, op, at, engine_of(j, atomic_load(&j->rung)), offset);
    return fail_with(j, &e);
}

int fc_pass(struct fc_worker *w, int err)
{
    w->pass_errno = err;
    return FC_PASS;
}

/* ---- conducting ------------------------------------------------------------------------------- */

static uint64_t interval_ns(const struct fc_hooks *h)
{
    return (uint64_t)(h != NULL && h->interval_ms != 0 ? h->interval_ms : INTERVAL_MS) * 1000000;
}

int fc_conduct(struct fc_job *j, enum fc_phase phase, uint64_t done)
{
    if (j->hooks == NULL || j->hooks->conduct == NULL)
        return 0;
    struct fc_progress p = {.bytes = done, .total = j->plan->size, .phase = phase};
    int rc = j->hooks->conduct(j->hooks->arg, &p);
    struct fc_error e = {.op = -1, .engine = engine_of(j, atomic_load(&j->rung)), .offset = done};
    if (getpid() != j->pid) {
        j->forked = true;
        e.err = EOWNERDEAD;
        e.why = "this process was forked while the copy ran; the copy belongs to its parent";
        return fail_with(j, &e);
    }
    if (rc == 0)
        return 0;
    e.err = ECANCELED;
    e.code = FC_COPY_E_CANCELLED;
    return fail_with(j, &e);
}

int fc_tick(struct fc_worker *w, uint64_t at, uint64_t n)
{
    struct fc_job *j = w->job;
    atomic_fetch_add_explicit(&j->written, n, memory_order_relaxed);
    uint64_t done = atomic_fetch_add_explicit(&j->done, n, memory_order_relaxed) + n;
    if (j->plan->drop_cache || j->plan->sync != FC_SYNC_NONE) {
        int rc = fc_behind_wrote(w, at, n);
        if (rc != 0)
            return rc;
    }
    if (w->on_caller) {
        uint64_t now = fc_now_ns();
        if (now - w->heard_ns >= interval_ns(j->hooks)) {
            w->heard_ns = now;
            return fc_conduct(j, FC_PHASE_COPY, done);
        }
        return 0;
    }
    return atomic_load_explicit(&j->stop, memory_order_relaxed) ? -ECANCELED : 0;
}

/* ---- writing ---------------------------------------------------------------------------------- */

int fc_write_all(struct fc_job *j, const unsigned char *buf, uint64_t *at, size_t n)
{
    while (n > 0) {
        ssize_t put = fc_sys_pwrite(j->dst, buf, n, *at);
        if (put == 0)
            put = -EIO; /* a write of something that writes nothing and gives no reason would spin */
        if (put < 0)
            return fc_fail(j, (int)put, FC_OP_pwrite, FC_AT_DESTINATION, *at);
        buf += put;
        *at += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int fc_make_hole(struct fc_job *j, uint64_t at, uint64_t end)
{
    static const unsigned char zeros[64 * 1024];
    uint64_t old = j->keep_blocks ? j->old_size : 0;
    if (end > old)
        end = old; /* beyond the old end nothing was written: it reads as zeros once the length is set */
    if (at >= end)
        return 0;
    int rc = fc_sys_punch_hole(j->dst, at, end - at);
    if (rc == 0)
        return 0;
    if (rc != -EOPNOTSUPP && rc != -ENOSYS && rc != -EPERM)
        return fc_fail(j, rc, FC_OP_punch_hole, FC_AT_DESTINATION, at);
    while (at < end) {
        rc = fc_write_all(j, zeros, &at, (size_t)(end - at < sizeof zeros ? end - at : sizeof zeros));
        if (rc != 0)
            return rc;
        if (atomic_load_explicit(&j->stop, memory_order_relaxed))
            return -ECANCELED;
    }
    return 0;
}

static bool all_zero(const unsigned char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

int fc_write_sparse(struct fc_job *j, const unsigned char *buf, uint64_t *at, size_t n)
{
    const size_t block_size = FC_HOLE_BLOCK;
    while (n > 0) {
        /* The longest run of blocks that are alike: all of zeros, or all not. */
        size_t run = 0;
        bool zero = false;
        while (run < n) {
            size_t block = block_size - (*at + run) % block_size;
            if (block > n - run)
                block = n - run;
            bool z = all_zero(buf + run, block);
            if (run > 0 && z != zero)
                break;
            zero = z;
            run += block;
        }
        if (zero) {
            int rc = fc_make_hole(j, *at, *at + run);
            if (rc != 0)
                return rc;
            *at += run;
        } else {
            int rc = fc_write_all(j, buf, at, run);
            if (rc != 0)
                return rc;
        }
        buf += run;
        n -= run;
    }
    return 0;
}

/* ---- the ladder ------------------------------------------------------------------------------- */

static void note_attempt(struct fc_report *r, int engine, int err, uint64_t offset)
{
    if (r->attempt_count < FC_LADDER_MAX)
        r->attempts[r->attempt_count++] = (struct fc_attempt){engine, err, offset};
}

static bool is_failure_of_its_own(int err)
{
    return err == EIO || err == ENOSPC || err == EDQUOT || err == ENOMEM;
}

/* The engine of this rung cannot go on: take the next, or tell why there is none. */
static int next_rung(struct fc_job *j, unsigned rung, int err, uint64_t offset)
{
    int engine = j->plan->ladder[rung];
    note_attempt(j->report, engine, err, offset);
    if (rung + 1 < j->plan->rungs) {
        atomic_store(&j->rung, rung + 1);
        return 0;
    }
    bool own = is_failure_of_its_own(err);
    j->report->error = (struct fc_error){.err = own ? err : EOPNOTSUPP,
                                         .code = own ? FC_COPY_E_WRITE : FC_COPY_E_UNSUPPORTED,
                                         .op = -1,
                                         .engine = engine,
                                         .offset = offset,
                                         .cause = err};
    return -j->report->error.err;
}

/* Enter the engine of the present rung, or the first below it that can be entered. With `lock` held, or
 * while there are no workers. */
static int enter(struct fc_job *j)
{
    for (;;) {
        unsigned rung = atomic_load(&j->rung);
        const struct fc_engine *engine = fc_engine_get(j->plan->ladder[rung]);
        int err = engine->enter != NULL ? engine->enter(j) : 0;
        if (err == 0)
            return 0;
        int rc = next_rung(j, rung, -err, 0);
        if (rc != 0)
            return rc;
    }
}

static void leave(struct fc_job *j)
{
    const struct fc_engine *engine = fc_engine_get(j->plan->ladder[atomic_load(&j->rung)]);
    if (engine->leave != NULL)
        engine->leave(j);
}

/* A worker found that the engine of `rung` cannot go on. The first to say so moves everybody on. */
static int leave_rung(struct fc_job *j, unsigned rung, int err, uint64_t offset)
{
    int rc = 0;
    pthread_mutex_lock(&j->lock);
    if (j->rc != 0) {
        rc = -ECANCELED;
    } else if (atomic_load(&j->rung) == rung) {
        leave(j);
        rc = next_rung(j, rung, err, offset);
        if (rc == 0)
            rc = enter(j);
        j->rc = rc;
    }
    if (rc != 0)
        atomic_store(&j->stop, true);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

void fc_lower(_Atomic uint64_t *to, uint64_t at)
{
    uint64_t now = atomic_load(to);
    while (at < now && !atomic_compare_exchange_weak(to, &now, at))
        ;
}

static int copy_span(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    while (s->at < s->end) {
        unsigned rung = atomic_load(&j->rung);
        int rc = fc_engine_get(j->plan->ladder[rung])->copy(w, s);
        if (rc == FC_PASS)
            rc = leave_rung(j, rung, w->pass_errno, s->at);
        else if (rc == FC_EOF)
            fc_lower(&j->eof, s->at);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- regions ---------------------------------------------------------------------------------- */

/* The next stretch of data of the leaf; empty and at the leaf's end if there is none. What the filesystem
 * says must move forward and stay inside: it is about a file that somebody may be writing. */
static int next_data(struct fc_worker *w, const struct fc_span *leaf, struct fc_span *data)
{
    struct fc_job *j = w->job;
    *data = *leaf;
    if (!j->plan->has_holes)
        return 0;
    int64_t at = fc_sys_seek_data(j->src, leaf->at);
    if (at == -ENXIO) { /* a hole up to the end, wherever that is by now */
        struct stat st;
        data->at = leaf->end;
        int rc = fc_sys_fstat(j->src, &st);
        if (rc != 0)
            return fc_fail(j, rc, FC_OP_fstat, FC_AT_SOURCE, leaf->at);
        if ((uint64_t)st.st_size < leaf->end) {
            data->at = data->end = (uint64_t)st.st_size > leaf->at ? (uint64_t)st.st_size : leaf->at;
            fc_lower(&j->eof, data->at);
        }
        return 0;
    }
    if (at < 0)
        return 0; /* cannot say (EINVAL, EOPNOTSUPP, a fault): then all of it is data */
    if ((uint64_t)at > leaf->at)
        data->at = (uint64_t)at < leaf->end ? (uint64_t)at : leaf->end;
    if (data->at < leaf->end) {
        int64_t hole = fc_sys_seek_hole(j->src, data->at);
        if (hole > (int64_t)data->at && (uint64_t)hole < leaf->end)
            data->end = (uint64_t)hole;
    }
    return 0;
}

static int copy_leaf(struct fc_worker *w, struct fc_span *leaf)
{
    struct fc_job *j = w->job;
    while (leaf->at < leaf->end) {
        struct fc_span data;
        int rc = next_data(w, leaf, &data);
        if (rc == 0 && data.at > leaf->at) {
            rc = fc_make_hole(j, leaf->at, data.at);
            if (rc == 0) {
                atomic_fetch_add_explicit(&j->done, data.at - leaf->at, memory_order_relaxed);
                leaf->at = data.at;
            }
        }
        if (rc == 0 && data.at == data.end && data.end < leaf->end)
            return FC_EOF;
        if (rc == 0) {
            rc = copy_span(w, &data);
            leaf->at = data.at;
        }
        if (rc == 0)
            rc = fc_tick(w, leaf->at, 0);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void work(struct fc_worker *w)
{
    struct fc_job *j = w->job;
    for (;;) {
        unsigned i = atomic_fetch_add(&j->next_leaf, 1);
        if (i >= j->leaf_count || atomic_load(&j->stop))
            break;
        struct fc_span *leaf = &j->leaves[i];
        if (leaf->at >= atomic_load(&j->eof))
            break;
        w->drop_source = j->cold != NULL && j->cold[i];
        int rc = copy_leaf(w, leaf);
        fc_behind_finish(w);
        if (rc != 0 && rc != FC_EOF)
            break; /* whoever failed has said so in the job */
    }
}

static void *thread_body(void *arg)
{
    struct fc_worker *w = arg;
    struct fc_job *j = w->job;
    work(w);
    pthread_mutex_lock(&j->lock);
    if (--j->running == 0)
        pthread_cond_signal(&j->idle);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---- the conductor ---------------------------------------------------------------------------- */

/* Wait for the workers, hearing the caller's callback now and then. Returns with all of them idle, or
 * with j->forked set. */
static void conduct_workers(struct fc_job *j)
{
    uint64_t wait = interval_ns(j->hooks);
    pthread_mutex_lock(&j->lock);
    while (j->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t ns = (uint64_t)until.tv_nsec + wait;
        until.tv_sec += (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
        if (pthread_cond_timedwait(&j->idle, &j->lock, &until) != ETIMEDOUT || atomic_load(&j->stop))
            continue;
        pthread_mutex_unlock(&j->lock);
        fc_conduct(j, FC_PHASE_COPY, atomic_load(&j->done));
        if (j->forked)
            return;
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
}

static void free_workers(struct fc_worker *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fc_sys_memory_free(w[i].buf, w[i].buf_size, w[i].buf_direct);
    free(w);
}

static struct fc_worker *make_workers(struct fc_job *j, unsigned *count)
{
    const struct fc_plan *p = j->plan;
    bool direct = false;
    for (unsigned i = 0; i < p->rungs; i++)
        direct |= (fc_engine_get(p->ladder[i])->flags & FC_ENGINE_ALIGNED) != 0;
    unsigned wanted = p->workers < j->leaf_count ? p->workers : j->leaf_count, made = 0;
    struct fc_worker *w = calloc(wanted, sizeof *w);
    int rc = w == NULL ? -ENOMEM : 0;
    for (; rc == 0 && made < wanted; made++) {
        void *buf;
        rc = fc_sys_memory((size_t)p->chunk, direct, &buf);
        if (rc != 0)
            break; /* fewer workers than asked for is no error */
        w[made] =
            (struct fc_worker){.job = j, .buf = buf, .buf_size = (size_t)p->chunk, .buf_direct = direct};
    }
    if (made == 0) {
        fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, 0);
        free(w);
        return NULL;
    }
    *count = made;
    j->report->buffer_bytes = made * p->chunk;
    return w;
}

static void run_workers(struct fc_job *j)
{
    unsigned count = 0, started = 0;
    struct fc_worker *w = make_workers(j, &count);
    if (w == NULL)
        return;
    j->workers = count;
    if (count > 1) {
        pthread_mutex_lock(&j->lock); /* so that none can end before all are counted */
        while (started < count && fc_sys_thread(&w[started].thread, thread_body, &w[started]) == 0)
            started++;
        j->running = started;
        pthread_mutex_unlock(&j->lock);
    }
    j->report->workers = started;
    if (started == 0) { /* one worker, or no thread to be had */
        w[0].on_caller = true;
        w[0].heard_ns = fc_now_ns();
        j->report->workers = 1;
        work(&w[0]);
    } else {
        conduct_workers(j);
        for (unsigned i = 0; i < started && !j->forked; i++)
            pthread_join(w[i].thread, NULL);
    }
    if (!j->forked)
        free_workers(w, count);
}

/* ---- the destination -------------------------------------------------------------------------- */

static int set_size(struct fc_job *j, uint64_t size)
{
    int rc = fc_sys_ftruncate(j->dst, size);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_ftruncate, FC_AT_DESTINATION, size);
    j->dst_size = size;
    return 0;
}

static bool needs_length(const struct fc_job *j)
{
    for (unsigned i = 0; i < j->plan->rungs; i++)
        if (fc_engine_get(j->plan->ladder[i])->flags & (FC_ENGINE_MAPS | FC_ENGINE_ALIGNED))
            return true;
    return j->leaf_count > 1;
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

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How far the copy is whole from its beginning. */
static uint64_t prefix(const struct fc_job *j)
{
    uint64_t tail = atomic_load(&j->tail_from);
    for (unsigned i = 0; i < j->leaf_count; i++)
        if (j->leaves[i].at < j->leaves[i].end)
            return smaller(j->leaves[i].at, tail);
    return smaller(j->plan->size, tail);
}

/* Read and write on from *length: the tail that `direct` left, and then, with to_eof, what a file has
 * grown by or a false size has hidden, until read says that it ends. */
static int follow(struct fc_job *j, uint64_t *length, uint64_t limit)
{
    struct fc_worker w = {
        .job = j, .on_caller = true, .heard_ns = fc_now_ns(), .buf_size = (size_t)j->plan->chunk};
    void *buf;
    int rc = fc_sys_memory(w.buf_size, false, &buf);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, *length);
    w.buf = buf;
    while (rc == 0 && *length < limit) {
        uint64_t at = *length;
        ssize_t got = fc_sys_pread(j->src, w.buf, (size_t)smaller(limit - at, w.buf_size), at);
        if (got < 0)
            rc = fc_fail(j, (int)got, FC_OP_pread, FC_AT_SOURCE, at);
        if (got <= 0)
            break;
        rc = (j->plan->find_zeros ? fc_write_sparse : fc_write_all)(j, w.buf, length, (size_t)got);
        if (rc == 0)
            rc = fc_tick(&w, at, (uint64_t)got);
    }
    if (!j->forked) {
        fc_behind_finish(&w);
        fc_sys_memory_free(buf, w.buf_size, false);
    }
    return rc;
}

/* Leave no more behind than was whole: whoever reads the file finds a beginning of the source. Where
 * nothing was written yet, the old content stays. */
static void cut(struct fc_job *j)
{
    bool untouched = j->keep_blocks && atomic_load(&j->written) == 0;
    fc_sys_ftruncate(j->dst, untouched ? j->old_size : prefix(j)); /* the first error is the one to tell */
}

/* ---- all of it -------------------------------------------------------------------------------- */

/* An engine that takes the file in one call, before anything is prepared for the others. */
static int run_whole(struct fc_job *j)
{
    struct fc_worker w = {.job = j, .on_caller = true, .heard_ns = fc_now_ns()};
    struct fc_span all = {0, j->plan->size};
    int rc = j->dst_size > 0 ? set_size(j, 0) : 0;
    if (rc == 0)
        rc = fc_engine_get(j->plan->ladder[0])->copy(&w, &all);
    if (rc == 0) {
        j->report->workers = 1;
        j->dst_size = j->plan->size;
    }
    if (rc != FC_PASS)
        return rc;
    rc = j->rc = next_rung(j, 0, w.pass_errno, 0);
    return rc == 0 ? FC_PASS : rc;
}

static int run_regions(struct fc_job *j)
{
    const struct fc_plan *p = j->plan;
    free(j->leaves);
    j->leaves = NULL;
    atomic_store(&j->next_leaf, 0);
    int rc = fc_regions_split(p->size, p->split_depth, p->min_region, &j->leaves, &j->leaf_count);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, 0);
    if (p->drop_cache)
        fc_behind_look(j);
    rc = j->rc = enter(j);
    if (rc != 0)
        return rc;
    rc = prepare(j);
    if (rc == 0 && j->leaf_count > 0) {
        run_workers(j);
        rc = j->rc;
    }
    if (!j->forked)
        leave(j);
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
    uint64_t end = smaller(p->size, atomic_load(&j->eof)), tail = atomic_load(&j->tail_from), length = end;
    int rc = 0;
    if (tail < end)
        rc = follow(j, &tail, end);
    if (rc == 0 && p->to_eof && end == p->size)
        rc = follow(j, &length, UINT64_MAX);
    if (rc != 0)
        return rc;
    atomic_store(&j->tail_from, UINT64_MAX);
    /* The length is right by itself only where one worker wrote a file without holes to its end. */
    bool by_writing = j->leaf_count <= 1 && !p->has_holes && !p->find_zeros && j->dst_size <= length;
    bool emptied = length == 0 && p->in_place; /* cutting to nothing still moves the mtime */
    if (emptied || (!by_writing && j->dst_size != length))
        rc = set_size(j, length);
    j->report->bytes = length;
    return rc;
}

static int run(struct fc_job *j)
{
    const struct fc_plan *p = j->plan;
    int rc = 0;
    if (p->in_place) {
        struct stat st;
        rc = fc_sys_fstat(j->dst, &st);
        if (rc != 0)
            return fc_fail(j, rc, FC_OP_fstat, FC_AT_DESTINATION, 0);
        j->old_size = j->dst_size = (uint64_t)st.st_size;
    }
    rc = FC_PASS;
    if (fc_engine_get(p->ladder[0])->flags & FC_ENGINE_WHOLE_FILE)
        rc = run_whole(j);
    if (rc == FC_PASS)
        rc = run_regions(j);
    if ((rc == -ENOSPC || rc == -EDQUOT) && j->keep_blocks && !j->forked)
        rc = run_again_from_empty(j);
    return rc == 0 ? finish(j) : rc;
}

static int init_sync(struct fc_job *j)
{
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&j->lock, NULL);
    if (rc != 0)
        return -rc;
    rc = pthread_condattr_init(&attr);
    if (rc == 0) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&j->idle, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (rc != 0)
        pthread_mutex_destroy(&j->lock);
    return -rc;
}

static int run_small(const struct fc_plan *p, int src, int dst, struct fc_report *r)
{
    struct stat st = {0};
    int rc = p->in_place ? fc_sys_fstat(dst, &st) : 0;
    if (rc != 0) {
        fc_error_set(&r->error, rc, FC_OP_fstat, FC_AT_DESTINATION, FC_ENGINE_buffered, 0);
        return rc;
    }
    return fc_small_copy(src, dst, p->size, (uint64_t)st.st_size, r);
}

int fc_job_run(const struct fc_plan *p, int src_fd, int dst_fd, const struct fc_hooks *h, struct fc_report *r)
{
    if (p->small)
        return run_small(p, src_fd, dst_fd, r);
    struct fc_job j = {.plan = p,
                       .hooks = h,
                       .report = r,
                       .src = src_fd,
                       .dst = dst_fd,
                       .pid = getpid(),
                       .keep_blocks = p->keep_blocks};
    atomic_store(&j.eof, UINT64_MAX);
    atomic_store(&j.tail_from, UINT64_MAX);
    int rc = init_sync(&j);
    if (rc != 0) {
        fc_error_set(&r->error, rc, FC_OP_thread, FC_AT_BOTH, FC_ENGINE_NONE, 0);
        return rc;
    }
    rc = run(&j);
    if (j.forked)
        return rc;
    if (rc != 0 && p->in_place)
        cut(&j);
    int engine = engine_of(&j, atomic_load(&j.rung));
    if (rc == 0)
        note_attempt(r, engine, 0, r->bytes);
    r->engine = engine;
    r->written = atomic_load(&j.written);
    r->regions = j.leaf_count;
    r->windows = (r->bytes + p->window - 1) / p->window;
    r->flushes = atomic_load(&j.flushes);
    r->mapped_bytes = atomic_load(&j.mapped_peak);
    pthread_cond_destroy(&j.idle);
    pthread_mutex_destroy(&j.lock);
    free(j.leaves);
    free(j.cold);
    return rc;
}

int fc_job_sync(const struct fc_plan *p, int dst_fd, const struct fc_hooks *h, struct fc_report *r)
{
    enum { STEP = 16 * 1024 * 1024 }; /* what a slow disk writes in a tenth of a second */
    if (p->sync == FC_SYNC_NONE)
        return 0;
    struct fc_job j = {.plan = p, .hooks = h, .report = r, .dst = dst_fd, .pid = getpid()};
    int rc = init_sync(&j);
    if (rc != 0)
        return rc;
    for (uint64_t at = 0; rc == 0 && r->bytes > STEP && at < r->bytes; at += STEP) {
        rc = fc_behind_wait(&j, at, STEP);
        if (rc == 0)
            rc = fc_conduct(&j, FC_PHASE_SYNC, at);
    }
    if (rc == 0) {
        rc = p->sync == FC_SYNC_FULL ? fc_sys_fsync(dst_fd) : fc_sys_fdatasync(dst_fd);
        if (rc != 0)
            fc_fail(&j, rc, p->sync == FC_SYNC_FULL ? FC_OP_fsync : FC_OP_fdatasync, FC_AT_DESTINATION, 0);
    }
    pthread_cond_destroy(&j.idle);
    pthread_mutex_destroy(&j.lock);
    return rc;
}
