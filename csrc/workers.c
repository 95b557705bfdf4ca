/* workers.c: hand the leaves of a file to workers, and conduct them. See job.h. */
#include "job.h"

#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 50

/* ---- conducting ------------------------------------------------------------------------------- */

uint64_t fc_interval_ns(const struct fc_hooks *h)
{
    return (uint64_t)(h != NULL && h->interval_ms != 0 ? h->interval_ms : INTERVAL_MS) * 1000000;
}

void fc_progress_of(const struct fc_job *j, uint64_t done, struct fc_progress *p)
{
    *p = (struct fc_progress){.bytes = j->before + done, .total = j->total, .phase = j->phase};
}

int fc_conduct(struct fc_job *j, uint64_t done)
{
    if (j->hooks == NULL || j->hooks->conduct == NULL)
        return 0;
    struct fc_progress p;
    fc_progress_of(j, done, &p);
    j->heard_ns = fc_now_ns();
    pid_t pid = getpid();
    int rc = j->hooks->conduct(j->hooks->arg, &p);
    return fc_called(j, pid, rc, done);
}

int fc_called(struct fc_job *j, pid_t pid, int rc, uint64_t done)
{
    if (getpid() != pid) {
        /* The lock may be held for ever by a worker that is not here. */
        j->forked = true;
        return j->rc = fc_forked(&j->report->error);
    }
    if (rc == 0)
        return 0;
    struct fc_error e = {.err = ECANCELED, .op = -1, .engine = fc_engine_at_work(j), .offset = done};
    e.code = j->phase == FC_PHASE_VERIFY ? FC_VERIFY_E_CANCELLED : FC_COPY_E_CANCELLED;
    atomic_store(&j->cancelled, true);
    return fc_fail_with(j, &e);
}

static bool is_late(const struct fc_job *j)
{
    return fc_now_ns() - j->heard_ns >= fc_interval_ns(j->hooks);
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
        return is_late(j) ? fc_conduct(j, done) : 0;
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

unsigned char *fc_place(struct fc_worker *w, uint64_t at, uint64_t n, size_t *room)
{
    const struct fc_piece *piece = w->piece;
    *room = (size_t)(n < w->job->plan->chunk ? n : w->job->plan->chunk);
    return piece != NULL ? piece->mem + (at - piece->from) : w->buf;
}

void fc_saw(struct fc_worker *w, const unsigned char *p, size_t n)
{
    if (w->job->sums != NULL)
        fc_sum_add(&w->sum, p, n);
}

void fc_place_zeros(struct fc_worker *w, uint64_t at, uint64_t end)
{
    static const unsigned char zeros[64 * 1024];
    for (uint64_t n; w->job->sums != NULL && at < end; at += n) {
        n = end - at < sizeof zeros ? end - at : sizeof zeros;
        fc_saw(w, zeros, (size_t)n);
    }
    if (w->piece != NULL)
        memset(w->piece->mem + (at - w->piece->from), 0, (size_t)(end - at));
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
        int rc = (j->reader != NULL ? j->reader : fc_engine_get(j->plan->ladder[rung]))->copy(w, s);
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
            fc_place_zeros(w, leaf->at, data.at);
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

static struct fc_span *claim(struct fc_worker *w)
{
    struct fc_job *j = w->job;
    if (j->ring != NULL) {
        w->piece = fc_ring_claim(w);
        return w->piece != NULL ? &w->piece->span : NULL;
    }
    unsigned i = atomic_fetch_add(&j->next_leaf, 1);
    if (i >= j->leaf_count || atomic_load(&j->stop))
        return NULL;
    w->leaf_from = j->leaves[i].at;
    fc_sum_begin(&w->sum);
    return &j->leaves[i];
}

/* Keep the digest of what was written; or hold that of what was read again against it. To the job, a difference is
 * where the source ends, as in a comparison. */
static void finish_sum(struct fc_worker *w, const struct fc_span *leaf)
{
    struct fc_job *j = w->job;
    uint64_t *kept = &j->sums->of[leaf - j->leaves], now = fc_sum_end(&w->sum);
    if (j->reader == NULL)
        *kept = now;
    else if (*kept != now)
        fc_lower(&j->eof, w->leaf_from);
}

/* One leaf after another, as long as there is one and all goes well. */
static bool work_once(struct fc_worker *w)
{
    struct fc_job *j = w->job;
    struct fc_span *leaf = claim(w);
    if (leaf == NULL)
        return false;
    int rc = leaf->at < atomic_load(&j->eof) ? copy_leaf(w, leaf) : FC_EOF;
    if (rc != 0 && rc != FC_EOF)
        return false; /* whoever failed has said so in the job */
    if (w->piece != NULL)
        fc_ring_complete(w, w->piece, rc == FC_EOF);
    if (j->sums != NULL && rc == 0)
        finish_sum(w, leaf);
    return true;
}

static void work(struct fc_worker *w)
{
    while (work_once(w))
        ;
    if (!w->job->forked)
        fc_behind_finish(w);
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

static struct timespec at_ns(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

/* Until a worker has something to say, or it is time to hear the caller. With the lock. */
static void wait_for_workers(struct fc_job *j)
{
    uint64_t wait = fc_interval_ns(j->hooks), until_ns = j->heard_ns + wait;
    struct timespec until = at_ns(atomic_load(&j->stop) ? fc_now_ns() + wait : until_ns);
    pthread_cond_timedwait(&j->idle, &j->lock, &until);
}

/* Hear the caller now and then, feed the ring, and lend the workers a hand: with as many threads as there are
 * CPUs, one more that only hashes would take turns with them, and push off their CPU whoever holds the
 * destination's lock. Returns with all workers idle, or with j->forked set. */
static void conduct_workers(struct fc_job *j, struct fc_worker *self)
{
    pthread_mutex_lock(&j->lock);
    for (;;) {
        bool going = !atomic_load(&j->stop);
        bool ripe = going && fc_ring_ready(j), more = going && self != NULL && fc_ring_has_more(j);
        bool late = going && is_late(j);
        if (j->running == 0 && !ripe && !more)
            break;
        if (!ripe && !more && !late) {
            wait_for_workers(j);
            continue;
        }
        pthread_mutex_unlock(&j->lock);
        if (ripe) { /* and while it is fed the caller is heard */
            fc_ring_feed(j);
        } else if (late) {
            fc_conduct(j, atomic_load(&j->done));
        } else {
            work_once(self);
        }
        if (j->forked)
            return;
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    if (self != NULL)
        fc_behind_finish(self);
}

static void free_workers(struct fc_worker *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fc_sys_memory_free(w[i].buf, w[i].buf_size, w[i].buf_direct);
    free(w);
}

static struct fc_crew *crew_of(const struct fc_job *j)
{
    return j->hooks != NULL ? j->hooks->crew : NULL;
}

/* A comparison has one chunk of each file; what goes into the ring needs no other place. */
static size_t buffer_size(const struct fc_job *j)
{
    return j->ring != NULL ? 0 : (size_t)j->plan->chunk * (j->other >= 0 ? 2 : 1);
}

static struct fc_worker *make_workers(struct fc_job *j, unsigned *count)
{
    const struct fc_plan *p = j->plan;
    bool direct = false;
    size_t size = buffer_size(j);
    for (unsigned i = 0; i < p->rungs; i++)
        direct |= (fc_engine_get(p->ladder[i])->flags & FC_ENGINE_ALIGNED) != 0;
    unsigned wanted = p->workers < j->leaf_count ? p->workers : j->leaf_count, made = 0;
    if (crew_of(j) != NULL)
        wanted = 1; /* the others bring their own */
    struct fc_worker *w = calloc(wanted, sizeof *w);
    int rc = w == NULL ? -ENOMEM : 0;
    for (; rc == 0 && made < wanted; made++) {
        void *buf = NULL;
        rc = size > 0 ? fc_sys_memory(size, direct, &buf) : 0;
        if (rc != 0)
            break; /* fewer workers than asked for is no error */
        w[made] = (struct fc_worker){.job = j, .buf = buf, .buf_size = size, .buf_direct = direct};
    }
    if (made == 0) {
        fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, 0);
        free(w);
        return NULL;
    }
    *count = made;
    uint64_t bytes = made * size;
    if (j->ring != NULL)
        bytes = j->ring->places * j->ring->piece;
    if (bytes > j->report->buffer_bytes)
        j->report->buffer_bytes = bytes;
    return w;
}

/* Start threads for all but the caller's own worker, which is the last; *started of them there are. */
static void start_threads(struct fc_job *j, struct fc_worker *w, unsigned wanted, unsigned *started)
{
    pthread_mutex_lock(&j->lock); /* so that none can end before all are counted */
    while (*started < wanted && fc_sys_thread(&w[*started].thread, thread_body, &w[*started]) == 0)
        ++*started;
    j->running = *started;
    pthread_mutex_unlock(&j->lock);
}

static void work_with_crew(struct fc_worker *self)
{
    struct fc_job *j = self->job;
    struct fc_crew *crew = crew_of(j);
    if (crew != NULL)
        crew->offer(crew, j);
    work(self);
    if (crew != NULL)
        crew->withdraw(crew, j);
}

void fc_workers_run(struct fc_job *j)
{
    unsigned count = 0, started = 0;
    struct fc_worker *w = make_workers(j, &count), *self = NULL;
    if (w == NULL)
        return;
    j->workers = count;
    /* Where the caller's thread must wait for what is hashed, it also copies. */
    unsigned threads = j->ring != NULL || count == 1 ? count - 1 : count;
    if (threads > 0)
        start_threads(j, w, threads, &started);
    if (j->ring != NULL || started == 0) {
        self = &w[count - 1];
        self->on_caller = true;
    }
    j->report->workers = started + (self != NULL);
    if (j->ring != NULL || started > 0)
        conduct_workers(j, self);
    else
        work_with_crew(self);
    for (unsigned i = 0; i < started && !j->forked; i++)
        pthread_join(w[i].thread, NULL);
    if (!j->forked)
        free_workers(w, count);
}

/* ---- helping ----------------------------------------------------------------------------------- */

bool fc_job_wants_help(const struct fc_job *j)
{
    return j->ring == NULL && atomic_load(&j->next_leaf) < j->leaf_count && !atomic_load(&j->stop);
}

void fc_job_help(struct fc_job *j)
{
    size_t size = buffer_size(j);
    void *buf;
    if (fc_sys_memory(size, true, &buf) != 0)
        return; /* whoever owns the job goes on without us */
    struct fc_worker w = {.job = j, .buf = buf, .buf_size = size, .buf_direct = true};
    pthread_mutex_lock(&j->lock);
    j->report->workers++;
    j->report->buffer_bytes += size;
    pthread_mutex_unlock(&j->lock);
    work(&w);
    fc_sys_memory_free(buf, size, true);
}
