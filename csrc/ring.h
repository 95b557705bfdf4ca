/* ring.h: pieces of a file on their way to a digest, which wants them in order.
 *
 * Workers claim pieces of the file in its order, each with a place of its own in one ring of private memory,
 * and put the bytes there that they also write. The conductor gives to the hooks what is complete from the
 * beginning on, and the place is free again. So the bytes that are hashed are the very bytes that were
 * written, and no hasher is ever handed mapped memory of a file: cut short under it, it would kill us.
 *
 * The hasher is Python's. To get the interpreter's lock back takes up to 5 ms whenever another thread of
 * Python is busy, so it is held from stretch to stretch, as long as there is one to hand. And while it is
 * waited for, the workers go on until the ring is full: it is kept small, so that the bytes are still in the
 * cache of a core when they are hashed, until the first such wait was seen; then it grows to its full size. */
#ifndef FC_RING_H
#define FC_RING_H

#include "engines/engine.h"
#include "memory.h"

#include <pthread.h>

struct fc_piece {
    struct fc_span span; /* as a leaf's: `at` moves with what has arrived */
    uint64_t from;       /* the offset of its first byte, */
    unsigned char *mem;  /* which goes here */
    bool done;           /* it has all arrived, or the source ends in it */
};

/* Guarded by the job's lock. */
struct fc_ring {
    struct fc_memory *memory;
    size_t piece;            /* bytes; offsets of pieces are multiples of it */
    unsigned places;         /* that there are, */
    unsigned used;           /* and how many of them are in use by now: the first ones */
    unsigned head;           /* place of the next piece */
    bool grow;               /* use all places, from the next time round */
    bool over;               /* no more pieces: a worker met the end of the source */
    uint64_t count;          /* pieces of the file */
    uint64_t next, oldest;   /* to be claimed; to be hashed */
    uint64_t hashed;         /* bytes, from the beginning of the file */
    struct fc_piece *pieces; /* number n is pieces[n % places] */
};

struct fc_feed {
    struct fc_job *job;       /* or NULL: the stretch below is all there is */
    struct fc_memory *memory; /* a stretch of its own, before those of the ring, begins here; */
    size_t n;                 /* 0: there is none, or it was taken */
    struct fc_memory *taken;  /* what the last stretch lies in */
    pid_t pid;                /* who called the hook: a child of a fork in it gets nothing */
    uint64_t since_ns;        /* when it was called, or last given something */
    unsigned given;           /* pieces that it has in hand */
    size_t given_bytes;
};

int fc_ring_open(struct fc_job *j, unsigned workers);
void fc_ring_close(struct fc_job *j);

/* For workers. Claiming waits for a place, but on the calling thread, which would make it; NULL: there is none, or
 * no more to do. */
bool fc_ring_has_more(const struct fc_job *j);
struct fc_piece *fc_ring_claim(struct fc_worker *w);
void fc_ring_complete(struct fc_worker *w, struct fc_piece *piece, bool at_end);

/* For the conductor: with the lock, is there enough to be fed? Without it, feed it. */
bool fc_ring_ready(const struct fc_job *j);
int fc_ring_feed(struct fc_job *j);
/* With nobody else at work: how far the file is whole. */
uint64_t fc_ring_prefix(const struct fc_job *j);

/* The first n bytes of m, which passed elsewhere, while no worker runs. */
int fc_feed_bytes(struct fc_job *j, struct fc_memory *m, size_t n);

#endif
