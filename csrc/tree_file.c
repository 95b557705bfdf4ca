/* tree_file.c: one regular file of a tree. See tree.h.
 *
 * A small file costs these calls, and none of them can go: fstatat (what is it, and is it worth opening),
 * open, pread, fstat (is it still the file that was looked at), close; open, pwrite, futimens, close. One
 * more, linkat, makes it appear at once. An empty one is never opened: there is nothing to read.
 *
 * Whatever is out of the ordinary about a file goes the way of fastcopy's single files (transfer.c): holes,
 * sizes that are not to be believed, one that was exchanged since it was looked at, an engine by name,
 * everything large, a proof by the medium. `plain` in tree.c says which small ones stay here. */
#include "tree.h"

#include "metadata.h"
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- opening and reading the source -------------------------------------------------------------- */

enum { READ_WHOLE = 0, NOT_ORDINARY = 1 };

static bool is_same_state(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           S_ISREG(b->st_mode);
}

static int open_source(const struct fc_tree *t, const struct fc_tree_dir *d, const char *name)
{
    /* O_NONBLOCK, for it may have become a FIFO; and where somebody holds a lease on it, the other way waits. */
    return fc_sys_open(d->src, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | (t->o->follow ? 0 : O_NOFOLLOW), 0);
}

/* All of it into the worker's buffer, and is it then what it was when we looked? */
static int read_small(struct fc_tree_worker *w, int src, const struct stat *st)
{
    size_t size = (size_t)st->st_size, at = 0;
    struct stat now;
    while (at < size) {
        ssize_t got = fc_sys_pread(src, w->buf + at, w->buf_size - at, at);
        if (got <= 0)
            return NOT_ORDINARY;
        at += (size_t)got;
    }
    return at == size && fc_sys_fstat(src, &now) == 0 && is_same_state(st, &now) ? READ_WHOLE : NOT_ORDINARY;
}

/* ---- the destination ----------------------------------------------------------------------------- */

/* A small copy on its way. */
struct copy {
    struct fc_tree_worker *w;
    struct fc_tree_dir *d;
    const char *name;
    const struct stat *st;
    int src; /* open where its attributes are to be kept, or it is to be cloned or verified; else -1 */
    bool mode_right;
    struct fc_error e;
};

static int fail(struct copy *c, int rc, enum fc_op op)
{
    fc_error_set(&c->e, rc, op, FC_AT_DESTINATION, FC_ENGINE_NONE, 0);
    return rc;
}

bool fc_tree_mode_at_once(const struct fc_tree *t, const struct fc_tree_dir *d, unsigned mode)
{
    const unsigned kept = t->o->file.preserve;
    return (kept & FC_PRESERVE_MODE) && !(kept & FC_PRESERVE_OWNER) && (mode & 07000) == 0 &&
           (mode & t->o->file.withhold) == 0 && (mode & t->umask) == 0 && !d->dst_gives_list &&
           (d->dst_flags & FC_FS_LOCAL) && !(d->dst_flags & FC_FS_MODELESS);
}

static unsigned mode_to_make(struct copy *c)
{
    const struct fc_tree *t = c->w->tree;
    c->mode_right = fc_tree_mode_at_once(t, c->d, c->st->st_mode & 07777);
    if (c->mode_right)
        return c->st->st_mode & 0777;
    return t->o->file.preserve & FC_PRESERVE_MODE ? 0600 : 0666;
}

static int write_all(struct copy *c, int dst)
{
    size_t size = (size_t)c->st->st_size, at = 0;
    while (at < size) {
        ssize_t put = fc_sys_pwrite(dst, c->w->buf + at, size - at, at);
        if (put <= 0)
            return fail(c, put == 0 ? -EIO : (int)put, FC_OP_pwrite);
        at += (size_t)put;
    }
    return 0;
}

/* ---- the proof ----------------------------------------------------------------------------------- */

/* All of it, and no more than that? */
static int read_again(struct copy *c, int fd, unsigned char *buf, enum fc_at at, bool *whole)
{
    size_t size = (size_t)c->st->st_size, have = 0;
    ssize_t got = 1;
    while (got > 0 && have <= size) {
        got = fc_sys_pread(fd, buf + have, size + 1 - have, have);
        if (got < 0) {
            fc_error_set(&c->e, (int)got, FC_OP_pread, at, FC_ENGINE_NONE, have);
            return (int)got;
        }
        have += (size_t)got;
    }
    *whole = have == size;
    return 0;
}

static int differs(struct copy *c)
{
    struct stat now;
    bool warn = c->w->tree->o->file.on_change_warn;
    if (c->src >= 0 && !warn && !(fc_sys_fstat(c->src, &now) == 0 && is_same_state(c->st, &now))) {
        c->e = (struct fc_error){.err = ESTALE,
                                 .code = FC_COPY_E_SOURCE_CHANGED,
                                 .op = -1,
                                 .engine = FC_ENGINE_NONE,
                                 .at = FC_AT_SOURCE,
                                 .why = "the source changed while it was copied"};
        return -ESTALE; /* which says more */
    }
    c->e = (struct fc_error){.err = EBADMSG,
                             .code = FC_VERIFY_E_MISMATCH,
                             .op = -1,
                             .engine = FC_ENGINE_NONE,
                             .at = FC_AT_DESTINATION,
                             .why = "what was read again is not what was written"};
    return -EBADMSG;
}

/* Both verify=hash and compare: what was written is still at hand, and the bytes themselves prove more than
 * digests of them. Only compare (which auto is, for such files) reads the source again too. */
static int prove(struct copy *c, int dst)
{
    size_t size = (size_t)c->st->st_size;
    bool whole = true;
    int rc = 0;
    if (c->w->tree->o->file.verify != FC_VERIFY_HASH && size > 0)
        rc = read_again(c, c->src, c->w->buf, FC_AT_SOURCE, &whole);
    if (rc == 0 && whole)
        rc = read_again(c, dst, c->w->again, FC_AT_DESTINATION, &whole);
    if (rc != 0)
        return rc;
    return whole && memcmp(c->w->buf, c->w->again, size) == 0 ? 0 : differs(c);
}

static int fill(struct copy *c, int dst)
{
    const struct fc_tree *t = c->w->tree;
    const struct fc_options *o = &t->o->file;
    unsigned warnings = 0, known = c->mode_right ? FC_KNOWN_MODE : 0;
    known |= c->d->dst_gives_list ? 0 : FC_KNOWN_NO_LIST;
    known |= t->o->as_shutil ? FC_AS_SHUTIL : 0;
    int rc = 0;
    if (t->clones_small && c->st->st_size > 0)
        rc = (rc = fc_sys_ficlone(dst, c->src)) == 0 ? 0 : fail(c, rc, FC_OP_ficlone);
    else
        rc = write_all(c, dst);
    if (rc == 0 && t->proves)
        rc = prove(c, dst);
    if (rc == 0)
        rc = fc_metadata_copy_known(c->src, c->st, dst, o, known, &warnings, &c->e);
    if (rc == 0 && o->sync == FC_SYNC_FULL)
        rc = (rc = fc_sys_fsync(dst)) == 0 ? 0 : fail(c, rc, FC_OP_fsync);
    if (rc == 0)
        fc_tree_warn(c->w, warnings);
    return rc;
}

/* Under its own name from the beginning. -EEXIST: somebody was faster. What fails is not left behind: a new
 * file is whole or not there. */
static int copy_in_sight(struct copy *c)
{
    int access = c->w->tree->proves ? O_RDWR : O_WRONLY;
    int dst = fc_sys_open(c->d->dst, c->name, access | O_CREAT | O_EXCL | O_NOFOLLOW, mode_to_make(c));
    if (dst < 0)
        return fail(c, dst, FC_OP_open);
    int rc = fill(c, dst), closed = fc_sys_close(dst);
    if (rc == 0 && closed != 0)
        rc = fail(c, closed, FC_OP_close);
    if (rc != 0)
        fc_sys_unlinkat(c->d->dst, c->name);
    return rc;
}

/* In a directory that we made nothing has the name, unless two names of the source fold into one here: then the
 * second must not take the place of the first. shutil lets it. And what exists is left alone with
 * existing=skip, even if it came since we looked. */
static bool is_fresh(const struct fc_tree *t, const struct fc_tree_dir *d)
{
    return t->o->existing == FC_EXISTING_SKIP || (d->dst_new && !t->o->as_shutil);
}

static int copy_unpublished(struct copy *c)
{
    struct fc_unpublished u;
    unsigned how = c->w->tree->how | (c->d->dst_flags & FC_FS_LOCAL ? FC_UNPUBLISHED_LOCAL : 0);
    how |= is_fresh(c->w->tree, c->d) ? FC_UNPUBLISHED_FRESH : 0;
    if (atomic_load_explicit(&c->d->named, memory_order_relaxed))
        how |= FC_UNPUBLISHED_NAMED;
    int rc = fc_unpublished_create(&u, c->d->dst, mode_to_make(c), how, &c->e);
    if (rc != 0)
        return rc;
    if (u.name[0] != '\0') /* not tried again for each file */
        atomic_store_explicit(&c->d->named, true, memory_order_relaxed);
    rc = fill(c, u.fd);
    if (rc == 0)
        rc = fc_unpublished_publish(&u, c->name, &c->e);
    fc_unpublished_discard(&u);
    return rc;
}

/* An empty file is whole as soon as it is there, if it is there with all that it is to have. */
static bool may_be_in_sight(const struct copy *c)
{
    const struct fc_options *o = &c->w->tree->o->file;
    bool nothing_hidden =
        !(o->preserve & (FC_PRESERVE_OWNER | FC_PRESERVE_XATTR)) &&
        (!(o->preserve & FC_PRESERVE_MODE) || fc_tree_mode_at_once(c->w->tree, c->d, c->st->st_mode & 07777));
    return !o->atomic || (c->st->st_size == 0 && nothing_hidden && o->sync == FC_SYNC_NONE);
}

/* ---- a small one --------------------------------------------------------------------------------- */

static void copied(struct fc_tree_worker *w, uint64_t bytes, uint64_t written, uint64_t shared)
{
    FC_COUNT(w, files, 1);
    FC_COUNT(w, written, written);
    FC_COUNT(w, shared, shared);
    if (bytes > written + shared)
        FC_COUNT(w, holes, bytes - written - shared);
}

static int read_source(struct copy *c)
{
    const struct fc_tree *t = c->w->tree;
    bool keep_open = t->clones_small || t->proves || (t->o->file.preserve & FC_PRESERVE_XATTR);
    if (c->st->st_size == 0 && !(t->o->file.preserve & FC_PRESERVE_XATTR))
        return READ_WHOLE;
    c->src = open_source(t, c->d, c->name);
    if (c->src < 0)
        return NOT_ORDINARY;
    struct stat now;
    bool same = t->clones_small ? fc_sys_fstat(c->src, &now) == 0 && is_same_state(c->st, &now)
                                : read_small(c->w, c->src, c->st) == READ_WHOLE;
    if (!same || !keep_open) {
        fc_sys_close(c->src);
        c->src = -1;
    }
    return same ? READ_WHOLE : NOT_ORDINARY;
}

/* NOT_ORDINARY: nothing was done, and what stands in the way is for transfer.c to find out and to tell. */
static int copy_small(struct copy *c, enum fc_tree_verdict verdict)
{
    uint64_t size = (uint64_t)c->st->st_size;
    if (read_source(c) != READ_WHOLE)
        return NOT_ORDINARY;
    int rc = verdict == FC_TREE_NEW && may_be_in_sight(c) ? copy_in_sight(c) : copy_unpublished(c);
    if (c->src >= 0)
        fc_sys_close(c->src);
    bool cloned = c->w->tree->clones_small;
    if (rc == -EEXIST || (rc != 0 && cloned && c->e.op == FC_OP_ficlone))
        return NOT_ORDINARY;
    if (rc != 0) {
        fc_tree_fail(c->w, c->d, c->name, &c->e);
        return rc;
    }
    FC_COUNT(c->w, bytes, size);
    copied(c->w, size, cloned ? 0 : size, cloned ? size : 0);
    fc_tree_tell(c->w, c->d, c->name, cloned && size > 0 ? FC_FATE_CLONED : FC_FATE_COPIED, size);
    return 0;
}

/* Over an existing file in place is the other way's affair, as is what needs more than a read and a write. */
static bool is_small(const struct fc_tree *t, const struct fc_tree_dir *d, const struct stat *st,
                     enum fc_tree_verdict verdict)
{
    bool holes = st->st_blocks * 512 < st->st_size && !(d->src_flags & FC_FS_FRAGILE);
    return (t->plain || t->clones_small) && (uint64_t)st->st_size <= t->tuning->small && !holes &&
           !(d->src_flags & (FC_FS_PSEUDO | FC_FS_NETWORK)) &&
           (verdict == FC_TREE_NEW || (t->o->file.atomic && t->o->file.withhold == 0));
}

/* ---- any other ----------------------------------------------------------------------------------- */

/* Of a job that runs on a worker: no Python here, but the worker's counts, and whether to stop. */
static int conduct_job(void *arg, const struct fc_progress *p)
{
    struct fc_tree_worker *w = arg;
    if (p->phase == FC_PHASE_COPY && p->bytes > w->in_job) {
        FC_COUNT(w, bytes, p->bytes - w->in_job);
        w->in_job = p->bytes;
    }
    return !fc_tree_go_on(w, NULL, NULL);
}

static int copy_by_plan(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name)
{
    enum { INTERVAL_MS = 10 };
    struct fc_tree *t = w->tree;
    struct fc_request q = {d->src, name, d->dst, name, t->o->follow, is_fresh(t, d)};
    struct fc_hooks hooks = {.conduct = conduct_job, .arg = w, .interval_ms = INTERVAL_MS, .crew = &t->crew};
    if (t->o->file.verify != FC_VERIFY_NONE)
        fc_tree_digest_hooks(w, &hooks);
    struct fc_options o = t->o->file;
    struct fc_facts facts;
    struct fc_plan plan;
    struct fc_report r;
    o.workers = t->worker_count > 1 ? 0 : 1; /* the dispatcher chooses whether regions pay */
    w->in_job = 0;
    int rc = fc_transfer_plan(&q, &o, t->tuning, &facts, &plan, &r.error);
    if (rc == 0)
        rc = fc_transfer_run(&q, &o, &plan, &hooks, &r);
    if (rc != 0) {
        atomic_fetch_sub_explicit(&w->n.bytes, w->in_job, memory_order_relaxed);
        bool left = rc == -EEXIST && fc_tree_came_meanwhile(w, d, name);
        if (!left && !(rc == -ECANCELED && fc_tree_stopped(t)))
            fc_tree_fail(w, d, name, &r.error);
        return rc;
    }
    FC_COUNT(w, bytes, r.bytes - w->in_job);
    bool cloned = r.engine == FC_ENGINE_clone;
    copied(w, r.bytes, cloned ? 0 : r.written, cloned ? r.bytes : 0);
    fc_tree_tell(w, d, name, cloned ? FC_FATE_CLONED : FC_FATE_COPIED, r.bytes);
    fc_tree_warn(w, r.warnings);
    return 0;
}

/* ---- a file -------------------------------------------------------------------------------------- */

static void copy_file(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                      const struct stat *st, enum fc_tree_verdict verdict)
{
    struct fc_tree *t = w->tree;
    bool linked = t->o->links && st->st_nlink > 1;
    if (linked) {
        enum fc_link_claim claim = fc_links_claim(w, d, name, st, verdict == FC_TREE_REPLACE);
        if (claim == FC_LINK_MADE)
            return;
        linked = claim == FC_LINK_FIRST;
    }
    int rc = NOT_ORDINARY;
    if (t->o->dry_run) {
        FC_COUNT(w, files, 1);
        FC_COUNT(w, bytes, (uint64_t)st->st_size);
        fc_tree_tell(w, d, name, FC_FATE_COPIED, (uint64_t)st->st_size);
        rc = 0;
    } else if (is_small(t, d, st, verdict)) {
        struct copy c = {.w = w, .d = d, .name = name, .st = st, .src = -1};
        rc = copy_small(&c, verdict);
    }
    if (rc == NOT_ORDINARY)
        rc = copy_by_plan(w, d, name);
    if (linked)
        fc_links_copied(w, st, rc == 0);
}

static void found(struct fc_tree_worker *w, uint64_t size)
{
    FC_COUNT(w, files_found, 1);
    FC_COUNT(w, bytes_found, size);
}

void fc_tree_file_found(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                        const struct stat *st)
{
    struct fc_tree *t = w->tree;
    uint64_t size = (uint64_t)st->st_size;
    if (size < t->o->min_size || size > t->o->max_size) {
        FC_COUNT(w, skipped, 1);
        fc_tree_tell(w, d, name, FC_FATE_LEFT_SIZE, 0);
        return;
    }
    if (t->collecting) {
        found(w, size);
        if (!fc_tree_push_file(w, d, name, size, true))
            fc_tree_fail_call(w, d, name, -ENOMEM, FC_OP_memory, FC_AT_SOURCE);
        return;
    }
    struct stat there;
    enum fc_tree_verdict verdict = fc_tree_look(w, d, name, st, &there);
    if (verdict == FC_TREE_LEAVE)
        return;
    found(w, size);
    if (size > t->tuning->small && !t->o->dry_run && fc_tree_push_file(w, d, name, size, false))
        return;
    copy_file(w, d, name, st, verdict);
}

void fc_tree_file_waiting(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name)
{
    struct stat st, there;
    int rc = fc_sys_fstatat(d->src, name, &st, w->tree->o->follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (rc == 0 && !S_ISREG(st.st_mode))
        rc = -ESTALE;
    if (rc != 0) {
        fc_tree_fail_call(w, d, name, rc, FC_OP_fstatat, FC_AT_SOURCE);
        return;
    }
    enum fc_tree_verdict verdict = fc_tree_look(w, d, name, &st, &there);
    if (verdict != FC_TREE_LEAVE)
        copy_file(w, d, name, &st, verdict);
}
