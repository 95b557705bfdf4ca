/* ring.c: see ring.h. */
#include "ring.h"

#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* All of the ring: the longer a stretch, the less the 5 ms weigh that the lock takes to come back, and half of this
 * is hashed in 10. A verified copy beside a busy thread of Python is to keep below 96 MiB.
 * Some of it: 1 GiB on ext4, copied by two and hashed (xxh3_128), takes 98 to 110 ms through 1 to 16 MiB, where the
 * plain copy takes 101, and 140 and more through 32 and 64; blake3, with two threads, likes 4 to 8. */
#define RING_MOST (88 * FC_MIB)
#define RING_HOT  (8 * FC_MIB)
/* A wait for the interpreter's lock that is not just a busy machine. */
#define LONG_WAIT_NS  UINT64_C(1000000)
#define SLOW_BYTES_NS 1 /* what a hasher may take for its work: 1 GB/s */
/* What follows what it has written needs long stretches, see behind.c; and mapping costs by the call. */
#define PIECE_BEHIND (8 * FC_MIB)
#define PIECE_MAPPED (4 * FC_MIB)

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static unsigned flags_of_ladder(const struct fc_job *j)
{
    unsigned flags = 0;
    for (unsigned i = 0; i < j->plan->rungs; i++)
        flags |= fc_engine_get(j->plan->ladder[i])->flags;
    return flags;
}

/* Two for each worker are to fit into the ring, whatever chunk was asked for: a piece may be less than one. */
static uint64_t size_of_piece(const struct fc_plan *p, unsigned workers, unsigned flags, bool behind)
{
    uint64_t piece = p->chunk, block = most(p->align, 1), align = (64 * FC_KIB + block - 1) / block * block;
    if (behind)
        piece = most(piece, PIECE_BEHIND);
    if (flags & FC_ENGINE_MAPS)
        piece = most(piece, PIECE_MAPPED);
    piece = fc_smaller(piece, RING_MOST / (2 * (uint64_t)workers));
    return most((piece + align - 1) / align, 1) * align;
}

int fc_ring_open(struct fc_job *j, unsigned workers)
{
    const struct fc_plan *p = j->plan;
    unsigned flags = flags_of_ladder(j);
    bool behind = p->drop_cache || p->sync != FC_SYNC_NONE;
    uint64_t piece = size_of_piece(p, workers, flags, behind);
    uint64_t count = (p->size + piece - 1) / piece;
    uint64_t places = fc_smaller(most(RING_MOST / piece, 2 * (uint64_t)workers), most(count, 1));
    /* Alone, the conductor hashes each piece before it goes for the next. */
    uint64_t used = workers == 1 ? 1 : behind ? places : most(RING_HOT / piece, 2 * workers);

    struct fc_ring *r = calloc(1, sizeof *r);
    j->ring = r;
    if (r == NULL)
        return fc_fail(j, -ENOMEM, FC_OP_memory, FC_AT_BOTH, 0);
    r->piece = (size_t)piece;
    r->count = count;
    r->places = (unsigned)places;
    r->used = (unsigned)fc_smaller(used, places);
    bool direct = (flags & FC_ENGINE_ALIGNED) != 0 || (j->reader != NULL && p->align > 1);
    r->pieces = calloc(places, sizeof *r->pieces);
    int rc = r->pieces == NULL ? -ENOMEM : fc_memory_new((size_t)(places * piece), direct, &r->memory);
    return rc == 0 ? 0 : fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, 0);
}

void fc_ring_close(struct fc_job *j)
{
    struct fc_ring *r = j->ring;
    if (r == NULL)
        return;
    fc_memory_drop(r->memory);
    free(r->pieces);
    free(r);
    j->ring = NULL;
}

static struct fc_piece *piece_of(const struct fc_ring *r, uint64_t n)
{
    return &r->pieces[n % r->places];
}

/* ---- workers ---------------------------------------------------------------------------------- */

static bool is_full(const struct fc_ring *r)
{
    return r->next - r->oldest >= r->used;
}

bool fc_ring_has_more(const struct fc_job *j)
{
    const struct fc_ring *r = j->ring;
    return r != NULL && !r->over && r->next < r->count && !is_full(r);
}

struct fc_piece *fc_ring_claim(struct fc_worker *w)
{
    struct fc_job *j = w->job;
    struct fc_ring *r = j->ring;
    struct fc_piece *piece = NULL;
    pthread_mutex_lock(&j->lock);
    while (!w->on_caller && is_full(r) && !r->over && r->next < r->count && !atomic_load(&j->stop))
        pthread_cond_wait(&j->room, &j->lock);
    if (fc_ring_has_more(j) && !atomic_load(&j->stop)) {
        /* More places come in when the last of the old ones was given away: what is under way lies in one
         * stretch then. */
        if (r->head == r->used && r->grow)
            r->used = r->places;
        if (r->head == r->used)
            r->head = 0;
        uint64_t from = r->next * r->piece;
        piece = piece_of(r, r->next);
        *piece = (struct fc_piece){.span = {from, fc_smaller(from + r->piece, j->plan->size)},
                                   .from = from,
                                   .mem = r->memory->p + r->head * r->piece};
        r->head++;
        r->next++;
    }
    pthread_mutex_unlock(&j->lock);
    return piece;
}

void fc_ring_complete(struct fc_worker *w, struct fc_piece *piece, bool at_end)
{
    struct fc_job *j = w->job;
    pthread_mutex_lock(&j->lock);
    piece->done = true;
    if (at_end) {
        j->ring->over = true;
        pthread_cond_broadcast(&j->room);
    }
    if (fc_ring_ready(j))
        pthread_cond_signal(&j->idle);
    pthread_mutex_unlock(&j->lock);
}

/* ---- the conductor ----------------------------------------------------------------------------- */

/* Pieces to be fed at a time: while others work not all that there are, so that they have room meanwhile. But
 * where each stretch may cost a wait for the interpreter's lock, long ones. */
static unsigned stretch(const struct fc_job *j)
{
    const struct fc_ring *r = j->ring;
    unsigned part = j->running == 0 ? 1 : r->used == r->places ? 2 : 4;
    return r->used > part ? r->used / part : 1;
}

/* From the oldest on, pieces that are done and lie side by side; n is their bytes. Beyond the end of the
 * source nothing counts, nor what a direct copy has left for later. */
static unsigned ripe(const struct fc_job *j, const unsigned char **p, size_t *n)
{
    const struct fc_ring *r = j->ring;
    uint64_t limit = fc_smaller(atomic_load(&j->eof), atomic_load(&j->tail_from));
    unsigned run = 0, limit_run = stretch(j);
    *n = 0;
    for (uint64_t i = r->oldest; i < r->next && run < limit_run; i++, run++) {
        const struct fc_piece *piece = piece_of(r, i);
        uint64_t end = fc_smaller(piece->span.end, limit);
        if (!piece->done || end <= piece->from || (run > 0 && piece->mem != *p + *n))
            break;
        if (run == 0)
            *p = piece->mem;
        *n += (size_t)(end - piece->from);
    }
    return run;
}

bool fc_ring_ready(const struct fc_job *j)
{
    const struct fc_ring *r = j->ring;
    const unsigned char *p = NULL;
    size_t n;
    unsigned run = r == NULL ? 0 : ripe(j, &p, &n);
    return run > 0 && (run >= stretch(j) || is_full(r) || r->over || r->next == r->count);
}

bool fc_feed_take(struct fc_feed *f, const unsigned char **p, size_t *n)
{
    uint64_t now = fc_now_ns();
    struct fc_job *j = f->job;
    if (f->n > 0) {
        f->taken = f->memory;
        *p = f->memory->p;
        *n = f->n;
        f->n = 0;
        return true;
    }
    if (j == NULL || j->ring == NULL || getpid() != f->pid)
        return false;
    struct fc_ring *r = j->ring;
    pthread_mutex_lock(&j->lock);
    /* Before the first stretch the lock was waited for by our caller, after the others by the hasher. One that is
     * just slow comes to no harm. */
    if (now - f->since_ns > LONG_WAIT_NS + f->given_bytes / SLOW_BYTES_NS)
        r->grow = true;
    if (f->given > 0) {
        r->oldest += f->given;
        pthread_cond_broadcast(&j->room);
    }
    f->given = 0;
    f->since_ns = now;
    if (!atomic_load(&j->stop) && fc_ring_ready(j)) {
        f->given = ripe(j, p, n);
        f->taken = r->memory;
        f->given_bytes = *n;
        r->hashed += *n;
    }
    pthread_mutex_unlock(&j->lock);
    return f->given > 0;
}

struct fc_memory *fc_feed_keep(struct fc_feed *f)
{
    return fc_memory_own(f->taken);
}

bool fc_feed_due(struct fc_feed *f, struct fc_progress *p)
{
    struct fc_job *j = f->job;
    uint64_t now = fc_now_ns();
    if (j == NULL || now - j->heard_ns < fc_interval_ns(j->hooks) || getpid() != f->pid)
        return false;
    j->heard_ns = now;
    fc_progress_of(j, atomic_load(&j->done), p);
    return true;
}

int fc_ring_feed(struct fc_job *j)
{
    return fc_feed_bytes(j, NULL, 0);
}

int fc_feed_bytes(struct fc_job *j, struct fc_memory *m, size_t n)
{
    struct fc_feed f = {.job = j, .memory = m, .n = n, .since_ns = fc_now_ns(), .pid = getpid()};
    if (n > 0 && j->ring != NULL)
        j->ring->hashed += n;
    int rc = j->hooks->feed(j->hooks->arg, &f);
    return fc_called(j, f.pid, rc, atomic_load(&j->done));
}

uint64_t fc_ring_prefix(const struct fc_job *j)
{
    const struct fc_ring *r = j->ring;
    for (uint64_t i = r->oldest; i < r->next; i++) {
        const struct fc_piece *piece = piece_of(r, i);
        if (piece->span.at < piece->span.end)
            return piece->span.at;
    }
    return fc_smaller(r->next * r->piece, j->plan->size);
}
