/* fastcopy.h: the one public header of the core: its types and its contracts.
 *
 * The layers, each knowing only those below it:
 *
 *     tree       a directory and all in it                  tree*.c filter.c
 *     transfer   one file from open to publish             transfer.c publish.c metadata.c
 *     copyfile   the same as shutil does it                copyfile.c
 *     job        carry out one plan between two descriptors  job.c workers.c small.c regions.c ring.c memory.c
 *     verify     prove the copy                              verify.c reading.c
 *     plan       facts + options -> plan, no system call    plan.c
 *     facts      what is true of both ends and the machine  facts.c
 *     engines    the ways of moving bytes                   engines/
 *     sys        every system call                          sys.c
 *
 * Conventions. A function that can fail returns 0 or -errno and, where it takes a struct fc_error,
 * says there what was being done. Nothing here keeps state between calls: no globals that change, no
 * threads that outlive the call. Every function may be called from any thread; two threads may not
 * use one object at a time. Callbacks (struct fc_hooks) run on the calling thread alone.
 */
#ifndef FASTCOPY_H
#define FASTCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_KIB UINT64_C(1024)
#define FC_MIB (FC_KIB * 1024)
#define FC_GIB (FC_MIB * 1024)

/* ---- names ------------------------------------------------------------------------------------ */

/* The engines, in the order of engines/engines.def. */
enum fc_engine_id {
    FC_ENGINE_NONE = -1, /* in options: choose for me; in errors and reports: no engine was at work */
#define ENGINE(name) FC_ENGINE_##name,
#include "engines/engines.def"
#undef ENGINE
    FC_ENGINE_COUNT
};

/* How a choice was reached: reasons.def. */
enum fc_reason {
#define REASON(name, text) FC_REASON_##name,
#include "reasons.def"
#undef REASON
    FC_REASON_COUNT
};

/* The filesystems known by name: filesystems.def. */
enum fc_fs_kind {
#define FILESYSTEM(name, magic, flags) FC_FS_##name,
#include "filesystems.def"
#undef FILESYSTEM
    FC_FS_COUNT
};

enum fc_fs_flags {
    FC_FS_LOCAL = 1,        /* a kernel filesystem of this machine that keeps POSIX promises */
    FC_FS_NETWORK = 2,      /* a server answers */
    FC_FS_STREAMS = 4,      /* and likes several streams at once */
    FC_FS_CLONES = 8,       /* may share extents between files (asked of the kernel where it can say) */
    FC_FS_MEMORY = 16,      /* no medium behind it */
    FC_FS_PSEUDO = 32,      /* sizes are not to be believed */
    FC_FS_COW = 64,         /* a rewrite in place takes new blocks before it frees the old ones */
    FC_FS_COMPRESSES = 128, /* free space says little about what fits */
    FC_FS_FRAGILE = 256,    /* zero-copy calls were seen to lose data: plain read and write alone */
    FC_FS_MODELESS = 512,   /* files have no permissions of their own */
};

/* The conditions of ours that carry a stable code: errors.def. */
enum fc_code {
    FC_CODE_NONE,
#define CODE(name, err) FC_##name,
#include "errors.def"
#undef CODE
    FC_CODE_COUNT
};

/* The system calls of sys.c: sys.def. */
enum fc_op {
#define OP(name) FC_OP_##name,
#include "sys.def"
#undef OP
    FC_OP_COUNT
};

const char *fc_engine_name(int engine);
const char *fc_reason_name(int reason);
const char *fc_reason_text(int reason);
const char *fc_fs_name(int fs);
unsigned fc_fs_flags(int fs); /* of the table; facts.c may know better of a mounted one */
const char *fc_code_name(int code);
int fc_code_errno(int code);
const char *fc_op_name(int op);

/* ---- options ---------------------------------------------------------------------------------- */

enum fc_when { FC_WHEN_AUTO, FC_WHEN_ALWAYS, FC_WHEN_NEVER };
enum fc_cache { FC_CACHE_AUTO, FC_CACHE_KEEP, FC_CACHE_DROP };
enum fc_sync { FC_SYNC_NONE, FC_SYNC_DATA, FC_SYNC_FULL };
enum fc_verify { FC_VERIFY_NONE, FC_VERIFY_AUTO, FC_VERIFY_COMPARE, FC_VERIFY_HASH, FC_VERIFY_MEDIA };
enum fc_preserve {
    FC_PRESERVE_MODE = 1,
    FC_PRESERVE_TIMES = 2,
    FC_PRESERVE_OWNER = 4,
    FC_PRESERVE_XATTR = 8
};

/* What the user asked for. Zero of a number means "no wish"; split_depth says so with -1. */
struct fc_options {
    int engine; /* FC_ENGINE_NONE: auto; else a demand */
    enum fc_when reflink;
    enum fc_when sparse;
    enum fc_cache cache;
    enum fc_sync sync;
    enum fc_verify verify;

    bool digest;         /* the report is to have one; the hooks make it */
    bool atomic;         /* unpublished file, then rename; else written in place */
    bool keep_failed;    /* leave the unpublished file behind for diagnosis */
    bool on_change_warn; /* a source that moved is a warning, not an error */
    bool no_zero_copy;   /* auto leaves out clone and copy_range */
    bool to_eof;         /* copy to the end that read finds, as shutil does, not to the size first seen */
    unsigned preserve;   /* enum fc_preserve, what to keep */
    unsigned required;   /* those of them that are an error when they cannot be kept */
    unsigned
        withhold; /* permissions that no copy is given; and what replaces a file keeps the mode of that */
    unsigned workers;
    unsigned batch_cpus; /* fc_batch_cpus(), asked where the environment is safe to read */
    int split_depth;
    uint64_t parallel_threshold;
    uint64_t min_region;
    uint64_t chunk;
    uint64_t window;
    unsigned flush_every;
};

void fc_options_init(struct fc_options *o);

struct fc_tuning; /* with the plan, below */

/* ---- facts ------------------------------------------------------------------------------------ */

/* What makes a file "the one the plan saw". */
struct fc_identity {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
};

struct fc_end_facts {
    struct fc_identity id; /* of a destination that is not there yet: dev of its directory */
    uint32_t mode, uid, gid;
    uint64_t allocated;              /* bytes it owns on its medium */
    int fs;                          /* enum fc_fs_kind */
    unsigned fs_flags;               /* enum fc_fs_flags, after asking the kernel */
    uint32_t dio_memory, dio_offset; /* O_DIRECT alignments, 0: not offered */
    bool exists;
    bool rotational;
    uint64_t free_bytes; /* UINT64_MAX: not known */
};

struct fc_machine_facts {
    unsigned cpus;             /* affinity and cgroup quota */
    uint64_t memory_available; /* of the machine and of the cgroup, the smaller; 0: not known */
    unsigned kernel;           /* 6.18 is 0x0612 */
};

struct fc_facts {
    struct fc_end_facts src, dst;
    struct fc_machine_facts machine;
    bool looked_at_machine; /* small files are planned without */
    int64_t resident;       /* bytes of the source in the page cache, -1: not known */
    uint64_t dirty;         /* of those, not known to be on the medium */
    uint64_t data_bytes;    /* of the source, without its holes */
    bool replaces;          /* something has the name, and the copy, a new file, will take it (atomic) */
};

/* Both ends in the filesystem of `path`, which need not be a directory: for capabilities. */
int fc_facts_of_directory(int dir, const char *path, struct fc_facts *f);

/* What a batch system granted this job (SLURM, PBS, LSF, Grid Engine), 0: none did. Reads the
 * environment, so nobody may be changing it meanwhile: the binding holds the GIL. */
unsigned fc_batch_cpus(void);

/* ---- plan ------------------------------------------------------------------------------------- */

/* The numbers of the dispatcher: data, so that a calibration can replace them. tuning.c holds the
 * built-in ones, each with the measurement behind it. */
struct fc_tuning {
    uint64_t small; /* up to here: one call, no thread, no window */
    uint64_t
        one_copy_below; /* on one filesystem, up to here: copy_range, where its one copy beats two workers */
    uint64_t clone_over_from;    /* over an existing file, from here: clone */
    uint64_t parallel_threshold; /* from here: regions */
    uint64_t min_region;
    uint64_t chunk;         /* buffered, local */
    uint64_t chunk_network; /* buffered, at a network or unknown filesystem */
    uint64_t chunk_direct;
    uint64_t window;
    unsigned flush_every;
    unsigned max_workers;     /* of auto, on a local filesystem */
    unsigned tree_workers;    /* the same for a tree, whose files are not one file */
    unsigned network_workers; /* of auto, where streams help */
    unsigned direct_workers;  /* requests in flight */
    unsigned split_depth;
    unsigned pressure_percent; /* a cold source above this share of free memory is copied past the cache */
    uint64_t verify_hash_from; /* verify=auto: up to here compare, from here hash */

    /* Numbers measured on one filesystem, for copies within it: its device, and the next of their kind. What
     * is passed around is the head of this list, the numbers for everywhere else; its dev means nothing. */
    uint64_t dev;
    const struct fc_tuning *next;
};

extern const struct fc_tuning fc_tuning_default;

/* The numbers for a copy from device src to device dst. Pure. */
const struct fc_tuning *fc_tuning_between(const struct fc_tuning *head, uint64_t src, uint64_t dst);

#define FC_LADDER_MAX 4

/* A decision: plain, of fixed size, and complete. Nothing is decided after it but what the kernel
 * refuses. */
struct fc_plan {
    int ladder[FC_LADDER_MAX];
    unsigned rungs;
    enum fc_reason reason;         /* of the ladder */
    enum fc_reason workers_reason; /* of the count */
    unsigned workers;
    unsigned readers; /* of a verification */
    unsigned split_depth;
    uint64_t min_region, chunk, window;
    uint64_t read_chunk; /* of a verification */
    uint32_t align;      /* of direct requests, at either end */
    unsigned flush_every;
    uint64_t size; /* as first seen; not believed where to_eof is set */
    bool to_eof;   /* the end of the file is where read says */
    enum fc_sync sync;
    enum fc_verify verify; /* never AUTO */
    bool digest;           /* for the report, or for the verification */

    bool believed;   /* size and times of the source mean something */
    bool small;      /* one call */
    bool has_holes;  /* walk data and holes */
    bool find_zeros; /* turn blocks of zeros into holes */
    bool preallocate;
    bool keep_blocks; /* in place: write over, then cut to length */
    bool drop_cache;  /* leave no pages behind that were not there before */
    bool in_place;
    bool calibrated; /* with numbers measured on this filesystem, not the built-in ones */
    struct fc_identity source;
};

struct fc_error {
    int err;           /* errno, positive */
    enum fc_code code; /* FC_CODE_NONE: the system's own refusal */
    int op;            /* enum fc_op, or -1 */
    int engine;        /* or FC_ENGINE_NONE */
    uint64_t offset;
    enum fc_at { FC_AT_BOTH, FC_AT_SOURCE, FC_AT_DESTINATION } at;
    int cause;       /* what the kernel answered, where err is our own */
    const char *why; /* a sentence of static storage, or NULL */
};

/* Pure. -EOPNOTSUPP: a named engine or a demanded clone cannot be had, and e->why says why.
 * -ENOSPC: it would not fit. */
int fc_plan_make(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t,
                 struct fc_plan *p, struct fc_error *e);

/* Is a clone what will be tried first, and as good as certain to do it, so that little else need be known? Asked
 * before anything about the machine is. Pure. */
/* It depends on whether the source is on its medium (resident, dirty). */
bool fc_plan_may_rewrite(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t);
bool fc_plan_will_clone(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t);

/* How many threads a file of this size is worth that is only read. Pure. */
unsigned fc_plan_readers(uint64_t size, unsigned cpus, const struct fc_tuning *t);

/* NULL: the engine can run between these ends; else the reason why not. Pure. */
const char *fc_engine_refuses(int engine, const struct fc_facts *f);

/* ---- running ---------------------------------------------------------------------------------- */

struct fc_progress {
    uint64_t bytes; /* that have reached the destination, holes counted in */
    uint64_t total;
    enum fc_phase { FC_PHASE_COPY, FC_PHASE_VERIFY, FC_PHASE_SYNC } phase;
    uint64_t files, files_total; /* of a tree: finished, and found so far */
    const char *path;            /* of a tree: what is being copied, below its root */
};

enum fc_digest { FC_DIGEST_NONE, FC_DIGEST_WRITTEN, FC_DIGEST_REREAD };
struct fc_feed;

struct fc_entries;

/* Called on the calling thread. conduct about every interval_ms; anything but 0 from any of them, agree
 * excepted, cancels. begin, feed and agree are there together or not at all, and make digests of bytes in order:
 * begin starts one (WRITTEN: of the source, or of what was written; REREAD: of the destination, read again; NONE: none,
 * and those begun so far are forgotten, for they are of nothing that is there), feed is to take all that
 * fc_feed_take gives, and to conduct whenever fc_feed_due says so, agree finishes what was begun and says whether
 * all are the same (1 or 0; below: it could not). */
struct fc_hooks {
    int (*conduct)(void *arg, const struct fc_progress *p);
    void *arg;
    unsigned interval_ms; /* 0: 50 */
    int (*begin)(void *arg, enum fc_digest which);
    int (*feed)(void *arg, struct fc_feed *f);
    int (*agree)(void *arg);
    struct fc_crew *crew; /* NULL: a job makes threads of its own */
    struct fc_sums
        *sums; /* not NULL: digests of verify=hash are made by region where they can be, see sum.h */
    int (*told)(void *arg,
                struct fc_entries *e); /* of a tree, what became of each entry; NULL: nobody asks */
};

/* Threads that are there already and may help a job that has regions left. The job is copied by the thread
 * that runs it; between offer and withdraw others may call fc_job_help, and withdraw waits for them. */
struct fc_job;
struct fc_crew {
    void (*offer)(struct fc_crew *c, struct fc_job *j);
    void (*withdraw)(struct fc_crew *c, struct fc_job *j);
};

/* The next bytes for the digest that was begun; false: none for now. They stay what they are until the next
 * call. It never waits. */
bool fc_feed_take(struct fc_feed *f, const unsigned char **p, size_t *n);
/* For a feed that must end, with its hook saying no, because somebody keeps hold of what was taken last: that stays
 * memory, whatever becomes of the copy, until it is dropped. */
struct fc_memory;
struct fc_memory *fc_feed_keep(struct fc_feed *f);
void fc_memory_drop(struct fc_memory *m);
/* Is it time to conduct? Then *p says with what. (feed has the interpreter's lock, and need not wait for it again.) */
bool fc_feed_due(struct fc_feed *f, struct fc_progress *p);

struct fc_attempt {
    int engine;
    int err; /* why it was left, errno; 0: it finished */
    uint64_t offset;
};

enum fc_warning {
    FC_WARN_MODE = 1,
    FC_WARN_TIMES = 2,
    FC_WARN_OWNER = 4,
    FC_WARN_XATTR = 8,
    FC_WARN_CTIME = 16,   /* the source's ctime alone moved */
    FC_WARN_CHANGED = 32, /* the source moved, and on_change=warn */
    FC_WARN_SETID = 64,   /* set-id bits dropped, for the owner could not be kept */
};

struct fc_report {
    uint64_t bytes;      /* length of the copy */
    uint64_t written;    /* of it, bytes that were moved, not holes */
    uint64_t elapsed_ns; /* of the whole transfer */
    int engine;          /* that finished */
    struct fc_attempt attempts[FC_LADDER_MAX];
    unsigned attempt_count;
    unsigned workers; /* threads that ran, 1: the caller itself */
    uint64_t regions, windows, flushes;
    uint64_t buffer_bytes;    /* private memory of the workers, at its peak */
    uint64_t mapped_bytes;    /* mapped file pages, at their peak */
    unsigned warnings;        /* enum fc_warning */
    enum fc_digest digest_of; /* what the digest of the report was made of */
    bool both_read;           /* verify=hash: no bytes passed here while copying, so both ends were read */
    bool verified;            /* as the plan says */
    uint64_t verify_ns;       /* of elapsed_ns */
    char kept_name[48];       /* keep_failed: the unpublished file that was left */
    struct fc_error error;
};

/* Move the bytes of src_fd to dst_fd as the plan says. dst_fd is open for writing (for reading too,
 * if the ladder holds `mapped`), not in append mode, and old_size long. On failure of a copy in place the destination is
 * cut to the contiguous prefix written; an unpublished one is the caller's to remove.
 * -ECANCELED: conduct said so. -EOWNERDEAD: we are the child of a fork inside conduct, and nothing was
 * joined, closed or removed. */
int fc_job_run(const struct fc_plan *p, int src_fd, int dst_fd, uint64_t old_size, const struct fc_hooks *h,
               struct fc_report *r);

/* Force the copy to the medium: written back window by window, so that conduct is heard in between, and
 * then fdatasync or fsync. */
int fc_job_sync(const struct fc_plan *p, enum fc_sync sync, int dst_fd, const struct fc_hooks *h,
                struct fc_report *r);

/* After fc_job_run, between the same descriptors (dst_fd open for reading too): make the digest that the plan
 * wants, where the copy could not, and prove the copy as plan->verify says. -EBADMSG: it is not the source. */
int fc_verify(const struct fc_plan *p, int src_fd, int dst_fd, const struct fc_hooks *h, struct fc_report *r);

/* Feed an open file to the hooks, from its first byte to its last. r->bytes says how many there were. */
int fc_read_in_order(int fd, const struct fc_tuning *t, const struct fc_hooks *h, struct fc_report *r);

/* Compare two open files. *differs is the offset of the first difference; UINT64_MAX: there is none. Where one
 * is the beginning of the other they differ at its end. */
int fc_compare_fds(int a, int b, const struct fc_tuning *t, const struct fc_hooks *h, struct fc_report *r,
                   uint64_t *differs);

/* Two open regular files, in place, of any size: facts, plan and job in one call (the shutil door).
 * Neither descriptor is closed. */
int fc_copy_fds(int src_fd, int dst_fd, const struct fc_options *o, const struct fc_tuning *t,
                const struct fc_hooks *h, struct fc_plan *p, struct fc_report *r);

/* shutil.copyfile, when it is about two regular files: its checks, its audit events between them, both opens
 * and the copy. */
enum fc_audit { FC_AUDIT_COPYFILE, FC_AUDIT_OPEN_SOURCE, FC_AUDIT_OPEN_DESTINATION };

struct fc_copyfile {
    const char *src, *dst;
    /* Called before each step, on the calling thread; anything but 0 forbids it. NULL: nobody listens. */
    int (*audit)(void *arg, enum fc_audit event);
    /* Asked on the calling thread for numbers better than `t`, once the file turns out not to be small: to
     * look for them takes longer than a small copy. NULL answered: the copy is given up. NULL: there are none. */
    const struct fc_tuning *(*tuning)(void *arg);
    void *arg;
};

#define FC_NOT_ORDINARY 4095 /* no errno */

/* FC_NOT_ORDINARY: it is not, and nothing was done. A failed open says so in r->error.op and .at. */
int fc_copyfile(const struct fc_copyfile *q, const struct fc_options *o, const struct fc_tuning *t,
                const struct fc_hooks *h, struct fc_plan *p, struct fc_report *r);

/* One file by name. Directories are descriptors or AT_FDCWD. */
struct fc_request {
    int src_dir;
    const char *src;
    int dst_dir;
    const char *dst;
    bool follow; /* follow a symlink as source */
    bool fresh;  /* nothing is to have the name: what has it is an error (EEXIST), and stays */
};

/* Decide, touching nothing. */
int fc_transfer_plan(const struct fc_request *q, const struct fc_options *o, const struct fc_tuning *t,
                     struct fc_facts *f, struct fc_plan *p, struct fc_error *e);

/* Carry a plan out. The source must be the one that the plan saw (-ESTALE). */
int fc_transfer_run(const struct fc_request *q, const struct fc_options *o, const struct fc_plan *p,
                    const struct fc_hooks *h, struct fc_report *r);

/* ---- trees ------------------------------------------------------------------------------------ */

/* Names that are left out, or alone are copied. Patterns as in a .gitignore, see filter.c. */
struct fc_filter;
int fc_filter_make(const char *const *exclude, unsigned n_exclude, const char *const *include,
                   unsigned n_include, struct fc_filter **out);
void fc_filter_free(struct fc_filter *f);

enum fc_existing {
    FC_EXISTING_OVERWRITE,
    FC_EXISTING_FAIL,
    FC_EXISTING_SKIP,
    FC_EXISTING_UPDATE,
    FC_EXISTING_OLDER
};
enum fc_special { FC_SPECIAL_SKIP, FC_SPECIAL_FAIL, FC_SPECIAL_RECREATE };
enum fc_order { FC_ORDER_AS_FOUND, FC_ORDER_SMALLEST_FIRST, FC_ORDER_LARGEST_FIRST };

struct fc_tree_options {
    struct fc_options file; /* of each file; its `workers` are those of the tree */
    enum fc_existing existing;
    enum fc_special special;
    enum fc_order order;
    bool follow;         /* copy what symlinks lead to, instead of them */
    bool links;          /* files that are one file stay one */
    bool one_filesystem; /* a directory where another filesystem is mounted stays empty */
    bool dry_run;        /* count, and write nothing */
    bool stop_on_error;
    bool as_shutil;                 /* as copystat does: see FC_AS_SHUTIL */
    uint64_t min_size, max_size;    /* of regular files */
    unsigned errors_kept;           /* that many are told with their path, the others only counted */
    size_t told_room;               /* bytes of entries that wait to be told; 0: enough */
    const struct fc_filter *filter; /* or NULL */
};

void fc_tree_options_init(struct fc_tree_options *o);

/* Names are what was finished, or, in a dry run, what would be. */
#define FC_TREE_COUNTS(X)                                                                                    \
    X(files)       /* regular files copied */                                                                \
    X(directories) /* made, or found there and gone through */                                               \
    X(symlinks)                                                                                              \
    X(links)    /* hard links made instead of copies */                                                      \
    X(special)  /* FIFOs, sockets and devices recreated */                                                   \
    X(bytes)    /* the lengths of the files copied */                                                        \
    X(written)  /* of them, bytes that were moved */                                                         \
    X(shared)   /* of them, bytes whose blocks are the source's (clones) */                                  \
    X(holes)    /* of them, bytes of holes */                                                                \
    X(skipped)  /* left alone: there already, special, of a size not wanted */                               \
    X(excluded) /* left out by the filter */                                                                 \
    X(files_found)                                                                                           \
    X(bytes_found) /* so far, of what is to be copied */                                                     \
    X(warned)      /* files and directories of which something could not be kept */

struct fc_tree_counts {
#define FC_TREE_COUNT(name) uint64_t name;
    FC_TREE_COUNTS(FC_TREE_COUNT)
#undef FC_TREE_COUNT
};

/* What became of one entry; in a dry run, what would. A directory is told before what is in it, when it was made or
 * entered, and may be told once more, when its end fails. */
enum fc_entry_kind {
    FC_ENTRY_FILE,
    FC_ENTRY_DIRECTORY,
    FC_ENTRY_SYMLINK,
    FC_ENTRY_SPECIAL,
    FC_ENTRY_UNKNOWN
};
enum fc_entry_fate {
    FC_FATE_COPIED,
    FC_FATE_CLONED,
    FC_FATE_LINKED,  /* to a copy that was made before */
    FC_FATE_MADE,    /* a directory, a symlink, a special file */
    FC_FATE_ENTERED, /* a directory that was there */
    FC_FATE_FAILED,
    FC_FATE_LEFT_FILTER, /* left alone, and why */
    FC_FATE_LEFT_SIZE,
    FC_FATE_LEFT_SPECIAL,
    FC_FATE_LEFT_EXISTS,
    FC_FATE_LEFT_UP_TO_DATE
};

struct fc_entry {
    uint64_t size; /* of what was copied or cloned */
    uint32_t length;
    int err; /* of what failed, errno */
    uint8_t kind, fate;
    char path[]; /* below the root; "" is the root */
};

/* The next of those that `told` is given, in the order in which it happened; NULL: no more. It is good for the call. */
const struct fc_entry *fc_entries_take(struct fc_entries *e);

struct fc_tree_error {
    struct fc_error error;
    char *path; /* below the root, of an entry; "" is the root. NULL: no memory for it */
};

struct fc_tree_report {
    struct fc_tree_counts counts;
    uint64_t error_count;
    struct fc_tree_error *errors; /* the first errors_kept of them */
    unsigned errors_kept;
    unsigned warnings; /* enum fc_warning, of all files */
    unsigned workers;
    uint64_t elapsed_ns;
    uint64_t buffer_bytes;   /* private memory of the workers */
    struct fc_error refused; /* why nothing, or no more, was done */
};

void fc_tree_report_free(struct fc_tree_report *r);

/* The directory `src` as `dst`, which is made, or filled if it is a directory already.
 * 0: all is there, but for what r->errors says. -errno: refused as a whole, or cancelled (-ECANCELED), and
 * r->refused says why. -EOWNERDEAD as for a job. The report is to be freed in each case. */
struct fc_tree_request {
    const char *src, *dst;
};

int fc_tree_run(const struct fc_tree_request *q, const struct fc_tree_options *o, const struct fc_tuning *t,
                const struct fc_hooks *h, struct fc_tree_report *r);

#ifdef FC_FAULTS
/* ---- the test build's seam -------------------------------------------------------------------- */

enum fc_fault_kind { FC_FAULT_ERRNO, FC_FAULT_SHORT, FC_FAULT_DELAY, FC_FAULT_FLIP };

struct fc_fault {
    int op;       /* enum fc_op */
    unsigned nth; /* 1: the next call of op; of a flip, the next that moves its byte */
    bool for_ever;
    enum fc_fault_kind kind;
    long value; /* errno; bytes at most; microseconds; the offset of the byte that is read or written wrong */
};

/* Replace the script; n = 0 clears it. Not while a copy runs. */
int fc_faults_set(const struct fc_fault *faults, unsigned n);
/* How often op has been called since the script was set. */
uint64_t fc_faults_calls(int op);
/* How often fault i has struck. */
uint64_t fc_faults_struck(unsigned i);
#endif

#endif
