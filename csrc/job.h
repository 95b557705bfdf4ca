/* job.h: one running copy, as its parts see it: job.c, workers.c, ladder.c, write.c, behind.c and the
 * engines.
 *
 * The calling thread makes the job, is its conductor, and joins every worker before it ends. Workers
 * touch their own struct fc_worker and leaf, the atomics, and what `lock` guards; they call no Python
 * and take no other lock. A job of one worker runs it on the calling thread. */
#ifndef FC_JOB_H
#define FC_JOB_H

#include "engines/engine.h"
#include "sum.h"
#include "sys.h"

#include <stdatomic.h>

struct fc_job {
    const struct fc_plan *plan;
    const struct fc_hooks *hooks;
    struct fc_report *report;
    const struct fc_engine *reader; /* a job that only reads: its way, in place of the plan's ladder */
    struct fc_ring *ring;           /* with a digest: on their way to it; see ring.h */
    struct fc_sums *sums;           /* or each leaf has one: made while copying, compared by a reader */
    enum fc_at at;                  /* whose fault an error of the reader is */
    enum fc_phase phase;
    uint64_t heard_ns;      /* when the caller was last asked; its own thread's */
    uint64_t before, total; /* of the phase: bytes done by jobs before this one; of all */
    int src, dst;
    int other;   /* a comparison: the file to compare with; else -1 */
    bool whole;  /* the first engine took the file in one call */
    bool forked; /* conduct returned in a child: nothing may be joined, closed or removed */

    /* What the destination was, and is to be. */
    bool keep_blocks;
    uint64_t old_size; /* of a destination in place */
    uint64_t dst_size; /* as set by preparing it */

    struct fc_span *leaves; /* leaf->at is moved by the worker that claimed it alone */
    bool *cold;             /* with drop_cache, a stretch each: none of it was resident; see behind.c */
    unsigned leaf_count;
    unsigned workers; /* that share the window; fewer may have started */
    atomic_uint next_leaf;
    atomic_uint rung;
    atomic_bool stop;
    atomic_bool cancelled;      /* by conduct: nothing is tried again */
    atomic_bool touched;        /* the destination is not what it was */
    _Atomic uint64_t done;      /* bytes at the destination, holes counted in */
    _Atomic uint64_t written;   /* without them */
    _Atomic uint64_t eof;       /* the lowest offset at which the source was seen to end */
    _Atomic uint64_t tail_from; /* bytes from here on are left for the end: `direct` cannot write them */
    _Atomic uint64_t flushes;
    _Atomic uint64_t mapped, mapped_peak; /* bytes of file mapped now, and at most */

    pthread_mutex_t lock; /* guards rc, report->error, report->attempts and running */
    pthread_cond_t idle;  /* for the conductor: running fell to 0, or the ring has something to feed */
    pthread_cond_t room;  /* for workers: a place in the ring is free, or there is nothing more to do */
    unsigned running;
    int rc; /* the first failure */
};

struct fc_worker {
    struct fc_job *job;
    pthread_t thread;
    bool on_caller;     /* this worker is the calling thread, and conducts between its own calls */
    unsigned char *buf; /* page-aligned: for engines through fc_place() */
    size_t buf_size;
    struct fc_piece *piece; /* with a ring: what is at work on */
    struct fc_sum sum;      /* with sums: of the leaf at work, */
    uint64_t leaf_from;     /* which begins here */
    bool buf_direct;
    int pass_errno;     /* of the engine that cannot go on: why, */
    enum fc_op pass_op; /* and in doing what */
    uint64_t mapped_since_flush;
    struct fc_span behind[2]; /* stretches written: [0] growing, [1] on its way to the medium */
};

static inline uint64_t fc_smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- for engines ------------------------------------------------------------------------------ */

/* Where the bytes from offset at on are to go, of which n are left: at most *room, one chunk. Asked anew for
 * each transfer. Page-aligned as `at` is. */
unsigned char *fc_place(struct fc_worker *w, uint64_t at, uint64_t n, size_t *room);
void fc_place_zeros(struct fc_worker *w, uint64_t at, uint64_t end);

/* The next bytes of the leaf at work, as they were written or read: for its digest, if it has one. */
void fc_saw(struct fc_worker *w, const unsigned char *p, size_t n);

/* n bytes at offset at have arrived. 0, or -ECANCELED: stop. */
int fc_tick(struct fc_worker *w, uint64_t at, uint64_t n);

/* Note the job's failure, if it is the first, and stop the others. err is -errno; it is returned. */
int fc_fail(struct fc_job *j, int err, enum fc_op op, enum fc_at at, uint64_t offset);

/* Where does the source end now? 0, FC_EOF if that is at or before at, or a failure. */
int fc_source_end(struct fc_worker *w, uint64_t at, uint64_t *end);

/* Cannot go on at all with this engine; returns FC_PASS. */
int fc_pass(struct fc_worker *w, int err, enum fc_op op);

/* Write all of buf; on a failure *at tells how far it came. */
int fc_write_all(struct fc_job *j, const unsigned char *buf, uint64_t *at, size_t n);
/* The same, but blocks of FC_HOLE_BLOCK zeros become holes. */
#define FC_HOLE_BLOCK 4096
int fc_write_sparse(struct fc_worker *w, const unsigned char *buf, uint64_t *at, size_t n);
/* How far buf is all zeros, block by block, or all not. */
size_t fc_run_of_blocks(const unsigned char *buf, uint64_t at, size_t n, bool *zero);
/* Make [at, end) of the destination read as zeros without writing them, where the filesystem can. */
int fc_make_hole(struct fc_worker *w, uint64_t at, uint64_t end);

/* ---- between job.c and its helpers ------------------------------------------------------------ */

/* job.c: its locks and its beginning */
int fc_job_begin(struct fc_job *j);
void fc_job_end(struct fc_job *j);
/* Into the pieces of a ring, for a digest that wants the bytes in order and is begun; FC_DIGEST_NONE: into regions. */
int fc_job_split(struct fc_job *j, enum fc_digest in_order);
bool fc_makes_digests(const struct fc_hooks *h);
int fc_digest_begin(struct fc_job *j, enum fc_digest which);

/* error.c */
void fc_report_init(struct fc_report *r);
void fc_error_set(struct fc_error *e, int err, enum fc_op op, enum fc_at at, int engine, uint64_t offset);
/* -EINVAL, and *e says so: they are one file. Else 0. */
int fc_refuse_same_file(const struct stat *src, const struct stat *dst, struct fc_error *e);
int fc_forked(struct fc_error *e); /* we are the child of a fork in a hook: says so, returns -EOWNERDEAD */
int fc_fail_with(struct fc_job *j, const struct fc_error *e);

/* ladder.c: the engine of the present rung, for all workers; enter and leave it; fall to the next. */
int fc_engine_at_work(const struct fc_job *j);
void fc_ladder_note(struct fc_report *r, int engine, int err, uint64_t offset);
int fc_ladder_next(struct fc_job *j, unsigned rung, int err, enum fc_op op, uint64_t offset);
int fc_ladder_enter(struct fc_job *j);
void fc_ladder_leave(struct fc_job *j);
int fc_ladder_pass(struct fc_worker *w, unsigned rung, uint64_t offset);

/* workers.c: copy all leaves; the outcome is in j->rc. Conducting is for the calling thread; fc_called is what
 * follows each of the hooks: was it a fork, does it cancel? A thread of the
 * crew may help between offer and withdraw: it claims leaves as any worker does. */
bool fc_job_wants_help(const struct fc_job *j);
void fc_job_help(struct fc_job *j);
void fc_workers_run(struct fc_job *j);
int fc_conduct(struct fc_job *j, uint64_t done);
void fc_progress_of(const struct fc_job *j, uint64_t done, struct fc_progress *p);
int fc_called(struct fc_job *j, pid_t pid, int rc, uint64_t done);
uint64_t fc_interval_ns(const struct fc_hooks *h);
void fc_lower(_Atomic uint64_t *to, uint64_t at); /* to the smaller of the two */

/* small.c: a small file in one read and one write, on the calling thread. old_size is that of a
 * destination in place, which is written over and then cut. digests: NULL, or the hooks to feed. */
int fc_small_copy(int src, int dst, uint64_t size, uint64_t old_size, const struct fc_hooks *digests,
                  struct fc_report *r);

/* transfer.c: the same two questions for whoever has opened and looked already. */
bool fc_copy_is_small(const struct stat *src, const struct fc_options *o, const struct fc_tuning *t);
int fc_copy_opened(int src_fd, const struct stat *src, int dst_fd, const struct stat *dst,
                   const struct fc_options *o, const struct fc_tuning *t, const struct fc_hooks *h,
                   struct fc_plan *p, struct fc_report *r);

/* behind.c: what a copy leaves in the page cache. */
void fc_behind_look(struct fc_job *j);
int fc_behind_wrote(struct fc_worker *w, uint64_t at, uint64_t n);
int fc_behind_finish(struct fc_worker *w);                     /* what fails here has failed the job */
int fc_behind_wait(struct fc_job *j, uint64_t at, uint64_t n); /* until it is written back */

#endif
