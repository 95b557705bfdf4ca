/* engine.h: what an engine is. One file an engine, one row in engines.def; nothing else need change.
 *
 * To write one, start from buffered.c: it is the shortest that does everything. */
#ifndef FC_ENGINE_H
#define FC_ENGINE_H

#include "../fastcopy.h"

struct fc_job;
struct fc_worker;

enum fc_engine_flags {
    FC_ENGINE_WHOLE_FILE = 1, /* copies all in one call: no regions, no workers */
    FC_ENGINE_SEES_BYTES = 2, /* the bytes pass through our memory */
    FC_ENGINE_MAPS = 4,       /* needs a destination of full length, open for reading too */
    FC_ENGINE_ALIGNED = 8,    /* needs buffers of fc_sys_memory(direct) */
};

/* A stretch of data to be copied to the same offsets: [at, end). `at` moves with what has arrived. */
struct fc_span {
    uint64_t at, end;
};

/* What copy() returns besides 0 (the span is done) and -errno (the copy has failed). Both leave at
 * where the contiguous part of the span ends. */
enum {
    FC_PASS = 1, /* cannot go on here (w->pass_errno says why): the next engine goes on from at */
    FC_EOF = 2,  /* the source ends at span->at */
};

struct fc_engine {
    const char *name;
    unsigned flags; /* enum fc_engine_flags */

    /* NULL, or why it cannot run between such ends. Pure; knows the filesystem, not yet the file. */
    const char *(*refuses)(const struct fc_facts *f);

    /* Around all copy() calls of a job: before the first, and after the last or when the engine is given
     * up for the next (then others may still be inside copy()). enter returns 0, or -errno: it cannot be
     * used. One thread at a time; neither may fail the job. Either may be NULL. */
    int (*enter)(struct fc_job *j);
    void (*leave)(struct fc_job *j);

    /* On several workers at once, on spans that share no page. Calls fc_tick() after each system call
     * that moved data and returns at once what that returns when it is not 0. */
    int (*copy)(struct fc_worker *w, struct fc_span *s);
};

const struct fc_engine *fc_engine_get(int engine);

#endif
