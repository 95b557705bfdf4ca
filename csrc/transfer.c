/* transfer.c: one file by name, from open to publish. */
#include "facts.h"
#include "job.h"
#include "metadata.h"
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Both ends of a request, open and looked at. */
struct ends {
    int to_sync;      /* the directory once more, for sync=full */
    int src, dir;     /* the source; the directory of the destination */
    const char *name; /* of the destination in it */
    struct stat src_st, dst_st;
    bool dst_exists;
};

static int refuse(struct fc_error *e, int err, enum fc_code code, enum fc_at at, const char *why)
{
    *e =
        (struct fc_error){.err = err, .code = code, .op = -1, .engine = FC_ENGINE_NONE, .at = at, .why = why};
    return -err;
}

static int fail(struct fc_error *e, int err, enum fc_op op, enum fc_at at)
{
    fc_error_set(e, err, op, at, FC_ENGINE_NONE, 0);
    return err;
}

/* ---- opening ---------------------------------------------------------------------------------- */

static int special(struct fc_error *e, const struct stat *st, enum fc_at at)
{
    if (S_ISDIR(st->st_mode))
        return refuse(e, EISDIR, FC_CODE_NONE, at, NULL);
    if (S_ISLNK(st->st_mode))
        return refuse(e, ELOOP, FC_CODE_NONE, at, "a symlink is not written through");
    return refuse(e, EOPNOTSUPP, FC_COPY_E_UNSUPPORTED, at, "not a regular file (a FIFO, socket or device)");
}

/* Looked at before it is opened, for opening a device or a FIFO is an act; and again after, for it may
 * have been exchanged. */
static int open_source(const struct fc_request *q, struct ends *n, struct fc_error *e)
{
    int rc = fc_sys_fstatat(q->src_dir, q->src, &n->src_st, q->follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (rc != 0)
        return fail(e, rc, FC_OP_fstatat, FC_AT_SOURCE);
    if (!S_ISREG(n->src_st.st_mode))
        return special(e, &n->src_st, FC_AT_SOURCE);
    int flags = O_RDONLY | O_NOCTTY | (q->follow ? 0 : O_NOFOLLOW);
    n->src = fc_sys_open(q->src_dir, q->src, flags | O_NONBLOCK, 0);
    if (n->src == -EAGAIN) /* somebody holds a lease on it (a file server): wait until he gives it up */
        n->src = fc_sys_open(q->src_dir, q->src, flags, 0);
    if (n->src < 0)
        return fail(e, n->src, FC_OP_open, FC_AT_SOURCE);
    rc = fc_sys_fstat(n->src, &n->src_st);
    if (rc != 0)
        return fail(e, rc, FC_OP_fstat, FC_AT_SOURCE);
    return S_ISREG(n->src_st.st_mode) ? 0 : special(e, &n->src_st, FC_AT_SOURCE);
}

static int open_directory(const struct fc_request *q, struct ends *n, struct fc_error *e)
{
    const char *slash = strrchr(q->dst, '/');
    n->name = slash != NULL ? slash + 1 : q->dst;
    if (q->dst[0] == '\0')
        return refuse(e, ENOENT, FC_CODE_NONE, FC_AT_DESTINATION, NULL);
    /* The exact name of what will exist: these can only name a directory. */
    if (n->name[0] == '\0' || strcmp(n->name, ".") == 0 || strcmp(n->name, "..") == 0)
        return refuse(e, EISDIR, FC_CODE_NONE, FC_AT_DESTINATION, NULL);
    char *parent =
        slash == NULL ? strdup(".") : strndup(q->dst, slash == q->dst ? 1 : (size_t)(slash - q->dst));
    if (parent == NULL)
        return fail(e, -ENOMEM, FC_OP_memory, FC_AT_DESTINATION);
    n->dir = fc_sys_open(q->dst_dir, parent, O_PATH | O_DIRECTORY, 0);
    free(parent);
    return n->dir < 0 ? fail(e, n->dir, FC_OP_open, FC_AT_DESTINATION) : 0;
}

/* Nothing was to have the name: the caller said so, or made the directory for the copy a moment ago. */
static const char taken[] =
    "something has that name (or two names of the source are one here): it is not overwritten";

static int look_at_destination(const struct fc_request *q, struct ends *n, const struct fc_options *o,
                               struct fc_error *e)
{
    int rc = fc_sys_fstatat(n->dir, n->name, &n->dst_st, AT_SYMLINK_NOFOLLOW);
    n->dst_exists = rc == 0;
    if (rc == -ENOENT)
        return 0;
    if (rc != 0)
        return fail(e, rc, FC_OP_fstatat, FC_AT_DESTINATION);
    if (q->fresh)
        return refuse(e, EEXIST, FC_CODE_NONE, FC_AT_DESTINATION, taken);
    if (S_ISLNK(n->dst_st.st_mode) && o->atomic)
        return 0; /* replaced, never followed */
    if (!S_ISREG(n->dst_st.st_mode))
        return special(e, &n->dst_st, FC_AT_DESTINATION);
    return fc_refuse_same_file(&n->src_st, &n->dst_st, e);
}

static void close_ends(struct ends *n)
{
    if (n->src >= 0)
        fc_sys_close(n->src);
    if (n->dir >= 0)
        fc_sys_close(n->dir);
    if (n->to_sync >= 0)
        fc_sys_close(n->to_sync);
}

static int open_ends(const struct fc_request *q, const struct fc_options *o, struct ends *n,
                     struct fc_error *e)
{
    *n = (struct ends){.src = -1, .dir = -1, .to_sync = -1};
    int rc = open_source(q, n, e);
    if (rc == 0)
        rc = open_directory(q, n, e);
    if (rc == 0)
        rc = look_at_destination(q, n, o, e);
    if (rc != 0)
        close_ends(n);
    return rc;
}

/* ---- deciding --------------------------------------------------------------------------------- */

int fc_transfer_plan(const struct fc_request *q, const struct fc_options *o, const struct fc_tuning *t,
                     struct fc_facts *f, struct fc_plan *p, struct fc_error *e)
{
    struct ends n;
    int rc = open_ends(q, o, &n, e);
    if (rc != 0)
        return rc;
    /* An unpublished copy is a new file, whatever it will replace. O_PATH opens nothing. */
    bool rewrite = n.dst_exists && !o->atomic;
    int dst = rewrite ? fc_sys_open(n.dir, n.name, O_PATH | O_NOFOLLOW, 0) : n.dir;
    if (dst < 0)
        rc = fail(e, dst, FC_OP_open, FC_AT_DESTINATION);
    if (rc == 0 && (rc = fc_sys_fstat(dst, &n.dst_st)) != 0)
        fail(e, rc, FC_OP_fstat, FC_AT_DESTINATION);
    if (rc == 0) {
        fc_facts_of(n.src, &n.src_st, dst, &n.dst_st, rewrite, o, t, f);
        f->replaces = n.dst_exists && !rewrite;
    }
    if (rc == 0)
        rc = fc_plan_make(f, o, t, p, e);
    if (rewrite && dst >= 0)
        fc_sys_close(dst);
    close_ends(&n);
    return rc;
}

/* ---- carrying out ----------------------------------------------------------------------------- */

static bool moved(const struct fc_identity *was, const struct fc_identity *is)
{
    return was->dev != is->dev || was->ino != is->ino || was->size != is->size ||
           was->mtime_ns != is->mtime_ns;
}

static int changed(struct fc_error *e, const char *why)
{
    return refuse(e, ESTALE, FC_COPY_E_SOURCE_CHANGED, FC_AT_SOURCE, why);
}

/* The clocks of files are coarse: this detects, it does not prove. */
static int check_source(const struct fc_plan *p, const struct fc_options *o, int src, struct fc_report *r)
{
    struct stat st;
    struct fc_identity now;
    if (!p->believed)
        return 0;
    int rc = fc_sys_fstat(src, &st);
    if (rc != 0)
        return fail(&r->error, rc, FC_OP_fstat, FC_AT_SOURCE);
    fc_identity_of(&st, &now);
    if (moved(&p->source, &now) || r->bytes != p->size) {
        if (!o->on_change_warn)
            return changed(&r->error, "the source changed while it was copied");
        r->warnings |= FC_WARN_CHANGED;
    } else if (now.ctime_ns != p->source.ctime_ns) {
        r->warnings |= FC_WARN_CTIME;
    }
    return 0;
}

static int open_in_place(const struct fc_request *q, struct ends *n, const struct fc_plan *p,
                         struct fc_error *e)
{
    bool maps = false;
    for (unsigned i = 0; i < p->rungs; i++)
        maps |= (fc_engine_get(p->ladder[i])->flags & FC_ENGINE_MAPS) != 0;
    /* O_NONBLOCK, for it may have become a FIFO since we looked. */
    int flags = (maps || p->verify != FC_VERIFY_NONE || p->digest ? O_RDWR : O_WRONLY) | O_CREAT |
                O_NOFOLLOW | O_NOCTTY | (q->fresh ? O_EXCL : 0);
    int fd = fc_sys_open(n->dir, n->name, flags | O_NONBLOCK, 0666);
    if (fd == -EAGAIN)
        fd = fc_sys_open(n->dir, n->name, flags, 0666);
    if (fd < 0)
        return fail(e, fd, FC_OP_open, FC_AT_DESTINATION);
    int rc = fc_sys_fstat(fd, &n->dst_st);
    if (rc != 0)
        fail(e, rc, FC_OP_fstat, FC_AT_DESTINATION);
    else if (!S_ISREG(n->dst_st.st_mode))
        rc = special(e, &n->dst_st, FC_AT_DESTINATION);
    else
        rc = fc_refuse_same_file(&n->src_st, &n->dst_st, e);
    if (rc != 0)
        fc_sys_close(fd);
    return rc != 0 ? rc : fd;
}

/* That the source moved meanwhile says more than that it is not what it was. */
static int verify(const struct fc_plan *p, const struct fc_options *o, int src, int dst,
                  const struct fc_hooks *h, struct fc_report *r)
{
    int rc = fc_verify(p, src, dst, h, r);
    if (rc == 0 || r->error.code != FC_VERIFY_E_MISMATCH)
        return rc;
    struct fc_error mismatch = r->error;
    int moved_too = check_source(p, o, src, r);
    if (moved_too == 0)
        r->error = mismatch;
    return moved_too != 0 ? moved_too : rc;
}

/* With `withhold`, as cp without -p: a file that is there keeps its mode, and a new one passes the umask. */
static int give_metadata(struct ends *n, int dst, const struct fc_options *o, struct fc_report *r)
{
    struct fc_options as_there = *o;
    struct stat st = n->src_st;
    if (o->withhold != 0 && n->dst_exists && S_ISREG(n->dst_st.st_mode)) {
        as_there.withhold = 0;
        st.st_mode = S_IFREG | (n->dst_st.st_mode & 0777);
    }
    return fc_metadata_copy(n->src, &st, dst, &as_there, &r->warnings, &r->error);
}

/* Everything between an open destination and its publication. */
static int fill(const struct fc_plan *p, const struct fc_options *o, struct ends *n, int dst,
                const struct fc_hooks *h, struct fc_report *r)
{
    uint64_t old_size = o->atomic ? 0 : (uint64_t)n->dst_st.st_size;
    int rc = fc_job_run(p, n->src, dst, old_size, h, r);
    if (rc == 0)
        rc = check_source(p, o, n->src, r);
    if (rc == 0)
        rc = verify(p, o, n->src, dst, h, r);
    if (rc == 0)
        rc = give_metadata(n, dst, o, r);
    if (rc == 0)
        rc = fc_job_sync(p, p->sync, dst, h, r);
    return rc;
}

/* Opened before anything is published: who may write into a directory may not always read it. */
static int open_to_sync(struct ends *n, struct fc_error *e)
{
    n->to_sync = fc_sys_open(n->dir, ".", O_RDONLY | O_DIRECTORY, 0);
    return n->to_sync < 0 ? fail(e, n->to_sync, FC_OP_open, FC_AT_DESTINATION) : 0;
}

static int sync_directory(struct ends *n, struct fc_error *e)
{
    int rc = fc_sys_fsync(n->to_sync);
    return rc == 0 || rc == -EINVAL ? 0
                                    : fail(e, rc, FC_OP_fsync, FC_AT_DESTINATION); /* EINVAL: needs none */
}

static int run_atomic(const struct fc_request *q, const struct fc_plan *p, const struct fc_options *o,
                      struct ends *n, const struct fc_hooks *h, struct fc_report *r)
{
    struct fc_unpublished u;
    /* With a mode to keep, nobody else gets at the bytes before it is set. */
    unsigned mode = o->preserve & FC_PRESERVE_MODE ? 0600 : 0666;
    unsigned how = (o->keep_failed ? FC_UNPUBLISHED_NAMED : 0) | (q->fresh ? FC_UNPUBLISHED_FRESH : 0);
    int rc = fc_unpublished_create(&u, n->dir, mode, how, &r->error);
    if (rc != 0)
        return rc;
    rc = fill(p, o, n, u.fd, h, r);
    if (rc == -EOWNERDEAD)
        return rc;
    if (rc == 0)
        rc = fc_unpublished_publish(&u, n->name, &r->error);
    if (rc != 0 && o->keep_failed && u.name[0] != '\0') {
        memcpy(r->kept_name, u.name, sizeof u.name);
        u.name[0] = '\0';
    }
    fc_unpublished_discard(&u);
    return rc;
}

static int run_in_place(const struct fc_request *q, const struct fc_plan *p, const struct fc_options *o,
                        struct ends *n, const struct fc_hooks *h, struct fc_report *r)
{
    int dst = open_in_place(q, n, p, &r->error);
    if (dst < 0)
        return dst;
    int rc = fill(p, o, n, dst, h, r);
    if (rc == -EOWNERDEAD)
        return rc;
    int closed = fc_sys_close(dst);
    return rc == 0 && closed != 0 ? fail(&r->error, closed, FC_OP_close, FC_AT_DESTINATION) : rc;
}

int fc_transfer_run(const struct fc_request *q, const struct fc_options *o, const struct fc_plan *p,
                    const struct fc_hooks *h, struct fc_report *r)
{
    uint64_t began = fc_now_ns();
    struct ends n;
    fc_report_init(r);
    int rc = open_ends(q, o, &n, &r->error);
    if (rc != 0)
        return rc;
    struct fc_identity now;
    fc_identity_of(&n.src_st, &now);
    if (moved(&p->source, &now))
        rc = changed(&r->error, "the source is not the file that the plan saw");
    if (rc == 0 && p->sync == FC_SYNC_FULL)
        rc = open_to_sync(&n, &r->error);
    if (rc == 0)
        rc = (o->atomic ? run_atomic : run_in_place)(q, p, o, &n, h, r);
    if (rc == -EOWNERDEAD)
        return rc;
    if (rc == 0 && p->sync == FC_SYNC_FULL)
        rc = sync_directory(&n, &r->error);
    close_ends(&n);
    r->elapsed_ns = fc_now_ns() - began;
    return rc;
}

/* ---- two descriptors -------------------------------------------------------------------------- */

/* Nothing asked for that a plain read and write would not give. */
static bool is_ordinary(const struct fc_options *o)
{
    return o->engine == FC_ENGINE_NONE && o->reflink != FC_WHEN_ALWAYS && o->sparse == FC_WHEN_AUTO &&
           o->cache != FC_CACHE_DROP && o->sync == FC_SYNC_NONE && o->verify == FC_VERIFY_NONE &&
           !o->digest && o->workers <= 1;
}

bool fc_copy_is_small(const struct stat *src, const struct fc_options *o, const struct fc_tuning *t)
{
    bool holes = src->st_blocks * 512 < src->st_size;
    return (uint64_t)src->st_size <= t->small && !holes && is_ordinary(o);
}

int fc_copy_opened(int src_fd, const struct stat *src, int dst_fd, const struct stat *dst,
                   const struct fc_options *o, const struct fc_tuning *t, const struct fc_hooks *h,
                   struct fc_plan *p, struct fc_report *r)
{
    struct fc_facts f;
    fc_facts_of(src_fd, src, dst_fd, dst, true, o, t, &f);
    f.dst.free_bytes = UINT64_MAX; /* as shutil: write until the disk is full */
    int rc = fc_plan_make(&f, o, t, p, &r->error);
    if (rc == 0)
        rc = fc_job_run(p, src_fd, dst_fd, (uint64_t)dst->st_size, h, r);
    if (rc == 0)
        rc = verify(p, o, src_fd, dst_fd, h, r);
    return rc == 0 ? fc_job_sync(p, p->sync, dst_fd, h, r) : rc;
}

int fc_copy_fds(int src_fd, int dst_fd, const struct fc_options *o, const struct fc_tuning *t,
                const struct fc_hooks *h, struct fc_plan *p, struct fc_report *r)
{
    uint64_t began = fc_now_ns();
    struct stat src, dst;
    fc_report_init(r);
    memset(p, 0, sizeof *p);
    int rc = fc_sys_fstat(src_fd, &src);
    if (rc == 0)
        rc = fc_sys_fstat(dst_fd, &dst);
    if (rc != 0)
        return fail(&r->error, rc, FC_OP_fstat, FC_AT_BOTH);
    if (fc_copy_is_small(&src, o, t)) {
        p->reason = FC_REASON_small_file;
        rc = fc_small_copy(src_fd, dst_fd, (uint64_t)src.st_size, (uint64_t)dst.st_size, NULL, r);
    } else {
        rc = fc_copy_opened(src_fd, &src, dst_fd, &dst, o, t, h, p, r);
    }
    r->elapsed_ns = fc_now_ns() - began;
    return rc;
}
