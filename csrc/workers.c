/* workers.c: hand the leaves of a file to workers, and conduct them. See job.h. */
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 50

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
    pid_t pid = getpid();
    int rc = j->hooks->conduct(j->hooks->arg, &p);
    struct fc_error e = {.op = -1, .engine = fc_engine_at_work(j), .offset = done};
    if (getpid() != pid) {
        /* We are the child: the lock may be held for ever by a worker that is not here. */
        j->forked = true;
        e.err = EOWNERDEAD;
        e.why = "this process was forked while the copy ran; the copy belongs to its parent";
        j->report->error = e;
        return j->rc = -EOWNERDEAD;
    }
    if (rc == 0)
        return 0;
    atomic_store(&j->cancelled, true);
    e.err = ECANCELED;
    e.code = FC_COPY_E_CANCELLED;
    return fc_fail_with(j, &e);
}

int fc_tick(struct fc_worker *w, uint64_t at, uint64_t n)
{
    struct fc_job *j = w->job;
    if (n > 0)
        atomic_store_explicit(&j->touched, true, memory_order_relaxed);
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

int fc_source_end(struct fc_worker *w, uint64_t at, uint64_t *end)
{
    struct stat st;
    int rc = fc_sys_fstat(w->job->src, &st);
    *end = rc == 0 ? (uint64_t)st.st_size : 0;
    if (rc != 0)
        return fc_fail(w->job, rc, FC_OP_fstat, FC_AT_SOURCE, at);
    return *end <= at ? FC_EOF : 0;
}

/* ---- a span, a leaf ---------------------------------------------------------------------------- */

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
            rc = fc_ladder_pass(w, rung, s->at);
        else if (rc == FC_EOF)
            fc_lower(&j->eof, s->at);
        if (rc != 0)
            return rc;
    }
    return 0;
}

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
        uint64_t end;
        int rc = fc_source_end(w, leaf->at, &end);
        if (rc != 0 && rc != FC_EOF)
            return rc;
        data->at = leaf->end;
        if (end < leaf->end) {
            data->at = data->end = end > leaf->at ? end : leaf->at;
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
            rc = fc_make_hole(w, leaf->at, data.at);
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
        int rc = copy_leaf(w, leaf);
        if (!j->forked)
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

/* ---- the workers ------------------------------------------------------------------------------- */

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

void fc_workers_run(struct fc_job *j)
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
