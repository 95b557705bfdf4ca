/* tree.h: one running copy of a tree, as its parts see it.
 *
 *     tree.c        the job: both roots, the workers, the conductor, the report
 *     tree_work.c   what a worker does next
 *     tree_dir.c    directories: their descriptors, their beginning and their end
 *     tree_entry.c  one name: filter, kind, what is there already; symlinks and special files
 *     tree_file.c   one regular file
 *     tree_links.c  files that are one file
 *     tree_digest.c the digests of verify="hash"
 *     tree_told.c   what became of each entry, for a caller who asks
 *     filter.c      patterns
 *
 * How it works. Workers, and nobody else, walk and copy. The queue inside a directory is its own stream:
 * whoever asks the kernel for names (getdents) gets a batch that nobody else gets, so one flat directory
 * keeps all of them busy and no list of it is ever made. A batch is worked off by the worker that took it,
 * but for directories, which go to a stack, and for files that take longer than a batch, which go to a
 * short queue. Large files are one worker's each, split into regions as ever, and workers that find
 * nothing else to do help with the regions.
 *
 * What bounds memory: the stack is emptied before the stream below it is read on, so it holds a batch for
 * each open stream and not the width of the tree. Where there are open_max of those, the last one is
 * read to its end first. Directories that are not finished are in memory: as many as the tree is deep.
 * What bounds descriptors: a directory that nobody works in may be closed (tree_dir.c).
 *
 * Nothing is written but through the descriptor of a destination directory and one name below it, which is
 * never followed: whoever exchanges a directory for a symlink meets O_NOFOLLOW, and a directory that had to
 * be closed is compared with what it was (dev, ino) when it is opened again.
 *
 * Threads. `lock` guards the stacks, the queue, the offers, busy, the open state of directories (src, dst,
 * pins, idle list) and the errors. It is held for a few instructions, but for opening again what was
 * closed. The table of links has a lock of its own, taken alone. A directory's pending is atomic: who
 * brings it to 0 finishes it. The calling thread conducts, and calls no file. It also hands over what became of
 * the entries: workers append to a buffer, under the lock, and wait while it is full. */
#ifndef FC_TREE_H
#define FC_TREE_H

#include "job.h"
#include "sum.h"

/* Names come from the kernel in batches of about 100: enough to pay for the lock, few enough that nobody is
 * left with a second's work at the end. */
#define FC_BATCH_BYTES 4096

struct fc_entries {
    const unsigned char *at, *end;
};

struct fc_tree;
struct fc_tree_dir {
    struct fc_tree_dir *parent;        /* NULL: the root */
    struct fc_tree_dir *next;          /* in the stack that it is in */
    struct fc_tree_dir *older, *newer; /* in the list of idle ones */
    struct fc_tree_dir *open_child;    /* one that is open now, whose ".." leads here */
    atomic_uint refs;                  /* children, links and work that point here; the last frees it */
    atomic_uint pending; /* what must be done before it is finished: its stream, files, children */
    int src, dst;        /* -1: closed; dst also where a dry run has none */
    unsigned pins;       /* workers that use the descriptors now */
    bool streaming;      /* its names are not all read */
    bool finished;
    bool stays_empty;    /* another filesystem is mounted here */
    bool meant;          /* of the filter: all in it is */
    bool by_symlink;     /* a symlink leads here */
    bool dst_there;      /* there is a destination to open again */
    bool dst_new;        /* and we made it: nothing is in it that we did not put there */
    bool dst_gives_list; /* a default access list, to what is made in it */
    bool dst_setgid;
    bool mode_right;               /* made with the mode that it is to have */
    atomic_bool named;             /* files without a name cannot be had in it */
    unsigned src_flags, dst_flags; /* enum fc_fs_flags */
    unsigned depth;
    uint64_t dst_dev, dst_ino;
    struct stat st; /* of the source */
    char name[];
};

/* A regular file that waits for a worker. It counts as pending in its directory. */
struct fc_tree_file {
    struct fc_tree_file *next;
    struct fc_tree_dir *dir;
    uint64_t size;
    char name[];
};

struct fc_tree_offer {
    struct fc_tree_offer *next;
    struct fc_job *job;
    unsigned helpers;
};

struct fc_links;

/* Relaxed atomics: each is written by one worker, and read by the conductor now and then. */
struct fc_tree_tally {
#define FC_TREE_COUNT(name) _Atomic uint64_t name;
    FC_TREE_COUNTS(FC_TREE_COUNT)
#undef FC_TREE_COUNT
};

struct fc_tree_worker {
    struct fc_tree *tree;
    pthread_t thread;
    bool on_caller;          /* no thread could be had: this worker conducts between files */
    enum fc_entry_kind kind; /* of the entry that it is at, to be told */
    uint64_t heard_ns;
    struct fc_tree_tally n;
    uint64_t in_job;      /* bytes of the present large file that are counted already */
    unsigned char *names; /* a batch */
    unsigned char *buf;   /* a small file, and a byte more */
    unsigned char *again; /* the same, read again to be verified */
    size_t buf_size;      /* of each */
    char *path;           /* of the directory of the batch, where the filter asks for it */
    size_t path_room, path_length;
    uint64_t temporary;          /* the next temporary name */
    struct fc_sum sums[2], *sum; /* of a file that is verified: written and reread; the one on its way */
    struct fc_sums regions;      /* or of its regions */
};

/* Entries that were not handed over yet, and those that are being, which are the calling thread's. */
struct fc_told_buffer {
    unsigned char *mem;
    size_t size, used;
};
struct fc_told {
    size_t room; /* 0: nobody asks */
    struct fc_told_buffer waiting, given;
    bool ripe; /* the conductor is to come now */
    bool deaf; /* nobody asks any more */
    bool lost; /* one had no memory */
};

struct fc_tree {
    struct fc_crew crew; /* the workers, as a job sees them; first, for it is cast back */
    const struct fc_tree_options *o;
    const struct fc_tuning *tuning;
    const struct fc_hooks *hooks;
    struct fc_tree_report *report;
    struct fc_tree_dir *root;
    uint64_t dst_root_dev, dst_root_ino;
    unsigned umask;    /* 07777: not known */
    unsigned how;      /* enum fc_unpublished_how */
    bool plain;        /* small files may be read and written, */
    bool clones_small; /* or are to be cloned */
    bool proves;       /* small files are read again: what was written is verified */
    struct fc_links *links;

    struct fc_tree_worker *workers;
    unsigned worker_count;
    unsigned open_max; /* streams; and idle directories, for a deep tree comes back through them */

    atomic_bool stop;
    atomic_bool path_wanted; /* the conductor wants to hear what is being copied */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* of workers that wait for something to do, or for helpers */
    pthread_cond_t idle; /* running fell to 0 */
    unsigned running, busy, waiting;
    struct fc_tree_dir *stack;   /* directories that nobody has opened yet */
    struct fc_tree_dir *streams; /* that have names left, the last opened first */
    unsigned stream_count;
    struct fc_tree_file *files, *files_last;
    unsigned file_count;
    bool collecting; /* with an order: files only wait, until the walk is done */
    struct fc_tree_offer *offers;
    struct fc_tree_dir *idle_oldest, *idle_newest;
    unsigned idle_count;
    struct fc_told told;
    bool no_more_errors;    /* no memory for them: they are counted */
    char *path;             /* what is being copied; the conductor takes it away, */
    char *path_shown;       /* and this is his */
    bool cancelled, forked; /* the conductor's: as of a job */
    atomic_uint warnings;
};

#define FC_COUNT(w, name, k) atomic_fetch_add_explicit(&(w)->n.name, k, memory_order_relaxed)

static inline bool fc_tree_stopped(const struct fc_tree *t)
{
    return atomic_load_explicit(&t->stop, memory_order_relaxed);
}

/* tree.c */
void fc_tree_fail(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name,
                  const struct fc_error *e);
/* The same of a refused system call (err is -errno). */
void fc_tree_fail_call(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name, int err,
                       enum fc_op op, enum fc_at at);
void fc_tree_warn(struct fc_tree_worker *w, unsigned warnings);
char *fc_tree_path(const struct fc_tree_dir *d, const char *name); /* malloc'ed, or NULL */
/* The same in two steps: the bytes that it takes, and writing it there. */
size_t fc_tree_path_size(const struct fc_tree_dir *d, const char *name);
void fc_tree_path_put(const struct fc_tree_dir *d, const char *name, char *path, size_t size);
/* Between entries: hears the conductor where this worker is him. False: stop. */
bool fc_tree_go_on(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name);
/* A name in a destination directory that nothing else has. */
void fc_tree_temporary(struct fc_tree_worker *w, char name[32]);

/* tree_work.c */
void fc_tree_work(struct fc_tree_worker *w);
void fc_tree_begin_stream(struct fc_tree *t, struct fc_tree_dir *d);
void fc_tree_stop(struct fc_tree *t);
void fc_tree_wake(struct fc_tree *t); /* with the lock */
void fc_tree_push_dir(struct fc_tree_worker *w, struct fc_tree_dir *parent, const char *name, bool by_symlink,
                      bool meant);
/* Let another worker copy it. always: even if the queue is full. False: do it yourself. */
bool fc_tree_push_file(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name, uint64_t size,
                       bool always);
void fc_tree_offer(struct fc_crew *c, struct fc_job *j);
void fc_tree_withdraw(struct fc_crew *c, struct fc_job *j);

/* Is a file that is made in d with this mode what it is to be, so that no other call need say so? */
bool fc_tree_mode_at_once(const struct fc_tree *t, const struct fc_tree_dir *d, unsigned mode);

/* tree_told.c */
void fc_told_add(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name,
                 enum fc_entry_fate fate, uint64_t size, int err);
void fc_told_take(struct fc_tree *t,
                  struct fc_entries *e); /* on the calling thread; good until the next time */
void fc_told_nobody(struct fc_tree *t);  /* listens any more: nobody is to wait */
void fc_told_free(struct fc_tree *t);

/* What became of the entry; name NULL: of the directory d itself. Not with a lock: it may wait for the caller. */
static inline void fc_tree_tell(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name,
                                enum fc_entry_fate fate, uint64_t size)
{
    if (w->tree->told.room > 0)
        fc_told_add(w, d, name, fate, size, 0);
}

/* tree_dir.c. Opened directories are pinned. */
struct fc_tree_dir *fc_dir_new(struct fc_tree_dir *parent, const char *name);
bool fc_dir_enter(struct fc_tree_worker *w, struct fc_tree_dir *d);
void fc_dir_tell(struct fc_tree_worker *w, const struct fc_tree_dir *d); /* that it is there */
int fc_dir_open_root(struct fc_tree *t, const struct fc_tree_request *q, struct fc_error *e);
int fc_dir_pin(struct fc_tree *t, struct fc_tree_dir *d);
void fc_dir_unpin(struct fc_tree *t, struct fc_tree_dir *d);
void fc_dir_done(struct fc_tree_worker *w, struct fc_tree_dir *d); /* one of what was pending */
void fc_dir_release(struct fc_tree_dir *d);
void fc_dir_close(struct fc_tree_dir *d);

/* tree_entry.c: d is pinned. type: DT_*. */
void fc_tree_entry(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name, unsigned char type);
enum fc_tree_verdict { FC_TREE_NEW, FC_TREE_REPLACE, FC_TREE_LEAVE };
/* What is to be done about what the destination has there: leaving it has been counted or told. */
enum fc_tree_verdict fc_tree_look(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                                  const struct stat *st, struct stat *there);

enum fc_tree_verdict fc_tree_leave(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                                   enum fc_entry_fate fate);
/* Nothing had the name when we looked, and then a call said EEXIST. Does that mean to leave it (which is then done)? */
bool fc_tree_came_meanwhile(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name);

/* tree_file.c */
void fc_tree_file_found(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                        const struct stat *st);
void fc_tree_file_waiting(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name);

/* tree_digest.c */
void fc_tree_digest_hooks(struct fc_tree_worker *w, struct fc_hooks *h);

/* tree_links.c */
enum fc_link_claim {
    FC_LINK_FIRST,   /* copy it, and say fc_links_copied */
    FC_LINK_MADE,    /* it has been dealt with, or will be when the first is copied */
    FC_LINK_NO_ROOM, /* the table is full, which has been told: copy it */
};
struct fc_links *fc_links_new(void);
void fc_links_free(struct fc_links *l);
enum fc_link_claim fc_links_claim(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                                  const struct stat *st, bool replace);
/* The destination has it already, and may be linked to. */
void fc_links_present(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                      const struct stat *st);
void fc_links_copied(struct fc_tree_worker *w, const struct stat *st, bool well);

#endif
