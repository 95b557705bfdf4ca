/* reading.c: see reading.h. A reading is a job with workers, regions or a ring, and a conductor like any other;
 * in the place of an engine it has a way of reading. */
#include "reading.h"

#include "facts.h"
#include "job.h"
#include "ring.h"

#include <errno.h>
#include <string.h>

/* Every byte of it, holes too: what a filesystem says about holes is no proof. Reads of whole blocks may begin
 * before the span and end behind it. */
static int read_span(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    uint64_t block = j->plan->align;
    while (s->at < s->end) {
        uint64_t at = s->at / block * block, from = s->at;
        size_t n;
        unsigned char *buf = fc_place(w, at, (s->end - at + block - 1) / block * block, &n);
        ssize_t got = fc_sys_pread(j->src, buf, n, at);
        if (got < 0)
            return fc_fail(j, (int)got, FC_OP_pread, j->at, at);
        uint64_t now = at + (uint64_t)got;
        if (now <= from)
            return FC_EOF;
        s->at = now < s->end ? now : s->end;
        fc_saw(w, buf + (from - at), (size_t)(s->at - from));
        int rc = fc_tick(w, from, s->at - from);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static ssize_t read_full(int fd, unsigned char *buf, size_t n, uint64_t at)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = fc_sys_pread(fd, buf + have, n - have, at + have);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static size_t first_difference(const unsigned char *a, const unsigned char *b, size_t n)
{
    enum { STEP = 4096 };
    size_t i = 0;
    while (i + STEP <= n && memcmp(a + i, b + i, STEP) == 0)
        i += STEP;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* To the job, a difference is where the source ends: nothing behind it matters. */
static int compare_span(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    unsigned char *a = w->buf, *b = w->buf + j->plan->chunk;
    while (s->at < s->end) {
        uint64_t at = s->at, left = s->end - at;
        if (at >= atomic_load_explicit(&j->eof, memory_order_relaxed))
            return FC_EOF; /* another worker has found one before this */
        size_t n = (size_t)(left < j->plan->chunk ? left : j->plan->chunk);
        ssize_t got = read_full(j->src, a, n, at);
        if (got < 0)
            return fc_fail(j, (int)got, FC_OP_pread, FC_AT_SOURCE, at);
        ssize_t other = read_full(j->other, b, n, at);
        if (other < 0)
            return fc_fail(j, (int)other, FC_OP_pread, FC_AT_DESTINATION, at);
        size_t both = (size_t)(got < other ? got : other), same = first_difference(a, b, both);
        s->at += same;
        if (same < n)
            return FC_EOF;
        int rc = fc_tick(w, at, n);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static const struct fc_engine reader = {.name = "read", .copy = read_span};
static const struct fc_engine comparer = {.name = "compare", .copy = compare_span};

/* Behind what the size promised, until nothing comes: one piece at a time, on the calling thread. */
static int read_on(struct fc_job *j, uint64_t *at)
{
    struct fc_memory *m;
    int rc = fc_memory_new(2 * (size_t)j->plan->chunk, false, &m);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_memory, FC_AT_BOTH, *at);
    struct fc_worker w = {.job = j, .on_caller = true, .buf = m->p, .buf_size = m->n};
    while (rc == 0) {
        struct fc_piece piece = {.span = {*at, *at + j->plan->chunk}, .from = *at, .mem = m->p};
        w.piece = j->ring != NULL ? &piece : NULL;
        rc = j->reader->copy(&w, &piece.span);
        *at = piece.span.at;
        int fed = 0;
        if (j->ring != NULL && *at > piece.from && (rc == 0 || rc == FC_EOF))
            fed = fc_feed_bytes(j, m, (size_t)(*at - piece.from));
        rc = fed != 0 ? fed : rc;
    }
    if (!j->forked)
        fc_memory_drop(m);
    return rc == FC_EOF ? 0 : rc;
}

static int run(struct fc_job *j, const struct fc_reading *q, uint64_t *end)
{
    const struct fc_plan *p = j->plan;
    int rc = fc_job_split(j, q->other >= 0 || q->sums != NULL ? FC_DIGEST_NONE : q->digest);
    if (rc != 0)
        return rc;
    if (j->leaf_count > 0)
        fc_workers_run(j);
    rc = j->rc;
    if (rc == 0) {
        uint64_t eof = atomic_load(&j->eof);
        *end = eof < p->size ? eof : p->size;
        if (p->to_eof && *end == p->size)
            rc = read_on(j, end);
    }
    return rc;
}

int fc_reading_run(const struct fc_reading *q, const struct fc_hooks *h, struct fc_report *r, uint64_t *end)
{
    uint32_t block = q->direct != 0 ? q->direct : 1;
    struct fc_plan p = {
        .size = q->size,
        .to_eof = q->to_eof,
        .workers = q->workers,
        .split_depth = q->sums != NULL  ? q->sums->depth
                       : q->workers > 1 ? fc_tuning_default.split_depth
                                        : 0,
        .min_region = q->sums != NULL ? q->sums->min_region : fc_tuning_default.min_region,
        .chunk = (q->chunk + block - 1) / block * block,
        .align = block,
        .drop_cache = q->drop_cache,
    };
    struct fc_job j = {.plan = &p,
                       .hooks = h,
                       .report = r,
                       .reader = q->other >= 0 ? &comparer : &reader,
                       .sums = q->sums,
                       .src = q->fd,
                       .dst = -1,
                       .other = q->other,
                       .at = q->at,
                       .phase = FC_PHASE_VERIFY,
                       .before = q->before,
                       .total = q->total};
    unsigned copied_by = r->workers;
    int rc = fc_job_begin(&j);
    if (rc != 0)
        return rc;
    rc = run(&j, q, end);
    if (j.forked)
        return rc;
    fc_job_end(&j);
    if (copied_by != 0)
        r->workers = copied_by;
    return rc;
}

/* ---- for whoever has descriptors --------------------------------------------------------------- */

static int look(int fd, struct fc_report *r, enum fc_at at, uint64_t *size)
{
    struct stat st;
    int rc = fc_sys_fstat(fd, &st);
    if (rc != 0)
        fc_error_set(&r->error, rc, FC_OP_fstat, at, FC_ENGINE_NONE, 0);
    *size = rc == 0 ? (uint64_t)st.st_size : 0;
    return rc;
}

int fc_read_in_order(int fd, const struct fc_tuning *t, const struct fc_hooks *h, struct fc_report *r)
{
    uint64_t size;
    fc_report_init(r);
    int rc = look(fd, r, FC_AT_SOURCE, &size);
    if (rc != 0)
        return rc;
    struct fc_reading q = {.fd = fd,
                           .other = -1,
                           .size = size,
                           .to_eof = true,
                           .total = size,
                           .chunk = t->chunk,
                           .at = FC_AT_SOURCE,
                           .workers = fc_plan_readers(size, fc_cpus(), t),
                           .digest = FC_DIGEST_WRITTEN};
    return fc_reading_run(&q, h, r, &r->bytes);
}

int fc_compare_fds(int a, int b, const struct fc_tuning *t, const struct fc_hooks *h, struct fc_report *r,
                   uint64_t *differs)
{
    uint64_t size_a, size_b, end;
    fc_report_init(r);
    int rc = look(a, r, FC_AT_SOURCE, &size_a);
    if (rc == 0)
        rc = look(b, r, FC_AT_DESTINATION, &size_b);
    if (rc != 0)
        return rc;
    uint64_t size = size_a < size_b ? size_a : size_b;
    struct fc_reading q = {.fd = a,
                           .other = b,
                           .size = size,
                           .to_eof = true,
                           .total = size,
                           .chunk = t->chunk,
                           .workers = fc_plan_readers(size, fc_cpus(), t)};
    rc = fc_reading_run(&q, h, r, &end);
    if (rc != 0)
        return rc;
    /* They were read until one of them gave no more, or until they differed: do both end here? */
    unsigned char one;
    ssize_t more_a = fc_sys_pread(a, &one, 1, end), more_b = fc_sys_pread(b, &one, 1, end);
    if (more_a < 0 || more_b < 0) {
        rc = (int)(more_a < 0 ? more_a : more_b);
        fc_error_set(&r->error, rc, FC_OP_pread, more_a < 0 ? FC_AT_SOURCE : FC_AT_DESTINATION,
                     FC_ENGINE_NONE, end);
        return rc;
    }
    r->bytes = end;
    *differs = more_a == 0 && more_b == 0 ? UINT64_MAX : end;
    return 0;
}
