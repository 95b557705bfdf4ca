/* tree_dir.c: the directories of a tree: opened at both ends, closed while nobody works in them, opened
 * again, and finished when all in them is done. See tree.h. */
#include "tree.h"

#include "facts.h"
#include "metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- nodes ------------------------------------------------------------------------------------- */

struct fc_tree_dir *fc_dir_new(struct fc_tree_dir *parent, const char *name)
{
    size_t n = strlen(name) + 1;
    struct fc_tree_dir *d = calloc(1, sizeof *d + n);
    if (d == NULL)
        return NULL;
    memcpy(d->name, name, n);
    d->src = d->dst = -1;
    atomic_store(&d->refs, 1);
    atomic_store(&d->pending, 1);
    d->parent = parent;
    if (parent != NULL) {
        d->depth = parent->depth + 1;
        atomic_fetch_add(&parent->refs, 1);
        atomic_fetch_add(&parent->pending, 1);
    }
    return d;
}

void fc_dir_release(struct fc_tree_dir *d)
{
    while (d != NULL && atomic_fetch_sub(&d->refs, 1) == 1) {
        struct fc_tree_dir *parent = d->parent;
        free(d);
        d = parent;
    }
}

void fc_dir_close(struct fc_tree_dir *d)
{
    if (d->src >= 0)
        fc_sys_close(d->src);
    if (d->dst >= 0)
        fc_sys_close(d->dst);
    d->src = d->dst = -1;
}

/* With the lock. */
static void shut(struct fc_tree_dir *d)
{
    if (d->parent != NULL && d->parent->open_child == d)
        d->parent->open_child = NULL;
    fc_dir_close(d);
}

/* ---- idle ones, with the lock ------------------------------------------------------------------- */

static void leave_idle(struct fc_tree *t, struct fc_tree_dir *d)
{
    bool listed = d->older != NULL || t->idle_oldest == d;
    if (!listed)
        return;
    *(d->older != NULL ? &d->older->newer : &t->idle_oldest) = d->newer;
    *(d->newer != NULL ? &d->newer->older : &t->idle_newest) = d->older;
    d->older = d->newer = NULL;
    t->idle_count--;
}

static void enter_idle(struct fc_tree *t, struct fc_tree_dir *d)
{
    d->older = t->idle_newest;
    *(d->older != NULL ? &d->older->newer : &t->idle_oldest) = d;
    t->idle_newest = d;
    if (++t->idle_count > t->open_max) {
        struct fc_tree_dir *oldest = t->idle_oldest;
        leave_idle(t, oldest);
        shut(oldest);
    }
}

/* ---- opening again ------------------------------------------------------------------------------ */

/* A directory that was open before: it must be the same one. */
static int open_known(int dir, const char *name, int flags, uint64_t dev, uint64_t ino)
{
    struct stat st;
    int fd = fc_sys_open(dir, name, O_RDONLY | O_DIRECTORY | flags, 0);
    if (fd < 0)
        return fd;
    int rc = fc_sys_fstat(fd, &st);
    if (rc == 0 && (st.st_dev != dev || st.st_ino != ino))
        rc = -ESTALE;
    if (rc != 0)
        fc_sys_close(fd);
    return rc != 0 ? rc : fd;
}

/* d's two ends, below (or above: "..") two open ones. Neither or both. */
static int open_both(const struct fc_tree_dir *d, int src_dir, int dst_dir, const char *name, int *src,
                     int *dst)
{
    *dst = -1;
    *src = open_known(src_dir, name, d->by_symlink ? 0 : O_NOFOLLOW, d->st.st_dev, d->st.st_ino);
    if (*src >= 0 && d->dst_there)
        *dst = open_known(dst_dir, name, O_NOFOLLOW, d->dst_dev, d->dst_ino);
    if (*src < 0 || (d->dst_there && *dst < 0)) {
        int rc = *src < 0 ? *src : *dst;
        if (*src >= 0)
            fc_sys_close(*src);
        *src = -1;
        return rc;
    }
    return 0;
}

/* From a child that is open, as one mostly is where workers come back up a deep tree; or else, level by
 * level, from the nearest ancestor that is. The lock is held: nobody closes what we stand on. */
static int open_again(struct fc_tree_dir *d)
{
    const struct fc_tree_dir *child = d->open_child;
    if (child != NULL && open_both(d, child->src, child->dst, "..", &d->src, &d->dst) == 0)
        return 0;
    unsigned levels = 0;
    struct fc_tree_dir *open = d;
    while (open->src < 0) {
        open = open->parent;
        levels++;
    }
    struct fc_tree_dir **way = malloc(levels * sizeof(struct fc_tree_dir *));
    if (way == NULL)
        return -ENOMEM;
    unsigned i = levels;
    for (struct fc_tree_dir *up = d; up != open; up = up->parent)
        way[--i] = up;
    int src = open->src, dst = open->dst, rc = 0;
    for (; i < levels && rc == 0; i++) {
        int above_src = src, above_dst = dst;
        rc = open_both(way[i], above_src, above_dst, way[i]->name, &src, &dst);
        if (i > 0) {
            fc_sys_close(above_src);
            if (above_dst >= 0)
                fc_sys_close(above_dst);
        }
    }
    free(way);
    if (rc == 0) {
        d->src = src;
        d->dst = dst;
        d->parent->open_child = d;
    }
    return rc;
}

int fc_dir_pin(struct fc_tree *t, struct fc_tree_dir *d)
{
    int rc = 0;
    pthread_mutex_lock(&t->lock);
    if (d->src < 0)
        rc = open_again(d);
    else
        leave_idle(t, d);
    if (rc == 0)
        d->pins++;
    pthread_mutex_unlock(&t->lock);
    return rc;
}

void fc_dir_unpin(struct fc_tree *t, struct fc_tree_dir *d)
{
    pthread_mutex_lock(&t->lock);
    if (--d->pins == 0 && d->finished)
        shut(d); /* a link was made to what is in it */
    else if (d->pins == 0 && !d->streaming && d->parent != NULL)
        enter_idle(t, d);
    pthread_mutex_unlock(&t->lock);
}

/* ---- the first time ----------------------------------------------------------------------------- */

static bool refuse(struct fc_tree_worker *w, const struct fc_tree_dir *d, int err, enum fc_code code,
                   enum fc_at at, const char *why)
{
    struct fc_error e = {.err = err, .code = code, .op = -1, .engine = FC_ENGINE_NONE, .at = at, .why = why};
    fc_tree_fail(w, d, NULL, &e);
    return false;
}

static bool is(const struct stat *st, uint64_t dev, uint64_t ino)
{
    return st->st_dev == dev && st->st_ino == ino;
}

/* Only a symlink can lead back up; and only it is worth looking at every ancestor. */
static bool loops(const struct fc_tree_dir *d)
{
    for (const struct fc_tree_dir *up = d->by_symlink ? d->parent : NULL; up != NULL; up = up->parent)
        if (is(&d->st, up->st.st_dev, up->st.st_ino))
            return true;
    return false;
}

static unsigned flags_of(int fd, uint64_t dev, uint64_t known_dev, unsigned known)
{
    return dev == known_dev ? known : fc_filesystem_flags_of(fd);
}

static bool enter_source(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    struct fc_tree *t = w->tree;
    const struct fc_tree_dir *up = d->parent;
    int flags = O_RDONLY | O_DIRECTORY | (d->by_symlink ? 0 : O_NOFOLLOW);
    d->src = fc_sys_open(up->src, d->name, flags, 0);
    int rc = d->src < 0 ? d->src : fc_sys_fstat(d->src, &d->st);
    if (rc != 0) {
        fc_tree_fail_call(w, d, NULL, rc, d->src < 0 ? FC_OP_open : FC_OP_fstat, FC_AT_SOURCE);
        return false;
    }
    if (is(&d->st, t->dst_root_dev, t->dst_root_ino))
        return refuse(w, d, EINVAL, FC_COPY_E_SAME_FILE, FC_AT_SOURCE,
                      "the destination lies in the source: it is not copied into itself");
    if (loops(d))
        return refuse(w, d, ELOOP, FC_CODE_NONE, FC_AT_SOURCE,
                      "a symlink leads back to a directory above it");
    d->src_flags = flags_of(d->src, d->st.st_dev, up->st.st_dev, up->src_flags);
    d->stays_empty = t->o->one_filesystem && d->st.st_dev != t->root->st.st_dev;
    return true;
}

/* A directory that is made with its final mode need not be given it later. It must let us in meanwhile. */
static bool may_have_mode_at_once(const struct fc_tree *t, const struct fc_tree_dir *d)
{
    unsigned mode = d->st.st_mode & 07777;
    return (mode & 0700) == 0700 && !d->parent->dst_setgid && fc_tree_mode_at_once(t, d->parent, mode);
}

static unsigned mode_to_make(const struct fc_tree *t, struct fc_tree_dir *d)
{
    d->mode_right = may_have_mode_at_once(t, d);
    if (d->mode_right)
        return d->st.st_mode & 0777;
    return t->o->file.preserve & FC_PRESERVE_MODE ? 0700 : 0777;
}

static int look_for_list(struct fc_tree_dir *d)
{
    ssize_t n = fc_sys_fgetxattr(d->dst, "system.posix_acl_default", NULL, 0);
    d->dst_gives_list = !(n == -ENODATA || n == -EOPNOTSUPP || n == -ENOSYS);
    return 0;
}

static bool enter_destination(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    const struct fc_tree *t = w->tree;
    const struct fc_tree_dir *up = d->parent;
    struct stat st;
    if (t->o->dry_run && !up->dst_there)
        return true;
    int rc = t->o->dry_run ? -EEXIST : fc_sys_mkdirat(up->dst, d->name, mode_to_make(t, d));
    d->dst_new = rc == 0;
    d->mode_right &= d->dst_new;
    if (rc == -EEXIST && up->dst_new && !t->o->as_shutil && !t->o->dry_run)
        return refuse(w, d, EEXIST, FC_CODE_NONE, FC_AT_DESTINATION,
                      "two names of the source are one here (or somebody was faster): they are not mixed");
    if (rc == -EEXIST)
        rc = 0;
    if (rc != 0) {
        fc_tree_fail_call(w, d, NULL, rc, FC_OP_mkdirat, FC_AT_DESTINATION);
        return false;
    }
    d->dst = fc_sys_open(up->dst, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (d->dst == -ENOENT && t->o->dry_run)
        return true;
    rc = d->dst < 0 ? d->dst : fc_sys_fstat(d->dst, &st);
    if (rc == -ENOTDIR || rc == -ELOOP)
        return refuse(w, d, ENOTDIR, FC_CODE_NONE, FC_AT_DESTINATION,
                      "what is there is no directory (a symlink to one is not followed)");
    if (rc != 0) {
        fc_tree_fail_call(w, d, NULL, rc, d->dst < 0 ? FC_OP_open : FC_OP_fstat, FC_AT_DESTINATION);
        return false;
    }
    if (is(&d->st, st.st_dev, st.st_ino) || is(&t->root->st, st.st_dev, st.st_ino))
        return refuse(w, d, EINVAL, FC_COPY_E_SAME_FILE, FC_AT_BOTH,
                      "the source lies in the destination: it is not copied over itself");
    d->dst_there = true;
    d->dst_dev = st.st_dev;
    d->dst_ino = st.st_ino;
    d->dst_setgid = (st.st_mode & S_ISGID) != 0;
    d->dst_flags = flags_of(d->dst, st.st_dev, up->dst_dev, up->dst_flags);
    d->dst_gives_list = up->dst_gives_list; /* a new directory inherits it */
    return d->dst_new || look_for_list(d) == 0;
}

void fc_dir_tell(struct fc_tree_worker *w, const struct fc_tree_dir *d)
{
    bool made = d->dst_new || !d->dst_there; /* in a dry run: it would be */
    fc_tree_tell(w, d, NULL, made ? FC_FATE_MADE : FC_FATE_ENTERED, 0);
}

bool fc_dir_enter(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    struct fc_tree *t = w->tree;
    int rc = fc_dir_pin(t, d->parent);
    if (rc != 0) {
        fc_tree_fail_call(w, d, NULL, rc, FC_OP_open, FC_AT_BOTH);
        return false;
    }
    bool in = enter_source(w, d) && enter_destination(w, d);
    if (in) {
        pthread_mutex_lock(&t->lock);
        d->parent->open_child = d;
        pthread_mutex_unlock(&t->lock);
    }
    fc_dir_unpin(t, d->parent);
    if (in) {
        d->pins = 1; /* nobody else knows of it yet */
        FC_COUNT(w, directories, 1);
        fc_dir_tell(w, d);
    } else {
        fc_dir_close(d);
        d->dst_there = false;
    }
    return in;
}

/* ---- the root ----------------------------------------------------------------------------------- */

static int refused(struct fc_error *e, int err, enum fc_code code, enum fc_at at, const char *why)
{
    *e =
        (struct fc_error){.err = err, .code = code, .op = -1, .engine = FC_ENGINE_NONE, .at = at, .why = why};
    return -err;
}

static int failed(struct fc_error *e, int err, enum fc_op op, enum fc_at at)
{
    fc_error_set(e, err, op, at, FC_ENGINE_NONE, 0);
    return err;
}

/* Is the directory `fd`, or one above it, the source? Takes fd. Where we may not look further up, the walk
 * finds it out: it does not enter the destination. */
static int refuse_inside(int fd, const struct stat *source, struct fc_error *e)
{
    struct stat st, before = {0};
    for (int rc = 0; fd >= 0; before = st) {
        rc = fc_sys_fstat(fd, &st);
        bool top = rc == 0 && is(&st, before.st_dev, before.st_ino);
        int up = rc == 0 && !top ? fc_sys_open(fd, "..", O_PATH | O_DIRECTORY, 0) : -ENOENT;
        fc_sys_close(fd);
        if (rc != 0)
            return failed(e, rc, FC_OP_fstat, FC_AT_DESTINATION);
        if (is(source, st.st_dev, st.st_ino))
            return refused(e, EINVAL, FC_COPY_E_SAME_FILE, FC_AT_BOTH,
                           "a directory is not copied into itself, nor onto itself");
        fd = up;
    }
    return 0;
}

/* The directory that `path` lies in, to be made there. */
static int open_parent(const char *path, size_t n)
{
    while (n > 0 && path[n - 1] != '/')
        n--;
    char *parent = n == 0 ? strdup(".") : strndup(path, n);
    int fd = parent == NULL ? -ENOMEM : fc_sys_open(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0);
    free(parent);
    return fd;
}

static int make_root(struct fc_tree *t, const char *path, size_t n, struct fc_error *e)
{
    struct fc_tree_dir *d = t->root;
    int parent = open_parent(path, n);
    if (parent < 0)
        return failed(e, parent, FC_OP_open, FC_AT_DESTINATION);
    int again = fc_sys_open(parent, ".", O_PATH | O_DIRECTORY, 0);
    int rc = again < 0 ? failed(e, again, FC_OP_open, FC_AT_DESTINATION) : refuse_inside(again, &d->st, e);
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    char *name = strndup(path + begin, n - begin);
    if (rc == 0 && name == NULL)
        rc = failed(e, -ENOMEM, FC_OP_memory, FC_AT_DESTINATION);
    if (rc == 0 && !t->o->dry_run) {
        rc = fc_sys_mkdirat(parent, name, t->o->file.preserve & FC_PRESERVE_MODE ? 0700 : 0777);
        if (rc != 0)
            failed(e, rc, FC_OP_mkdirat, FC_AT_DESTINATION);
        else if ((d->dst = fc_sys_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)) < 0)
            rc = failed(e, d->dst, FC_OP_open, FC_AT_DESTINATION);
        d->dst_new = rc == 0;
    }
    free(name);
    fc_sys_close(parent);
    return rc;
}

static int open_destination(struct fc_tree *t, const char *path, struct fc_error *e)
{
    struct fc_tree_dir *d = t->root;
    struct stat st;
    size_t n = strlen(path);
    bool slash = n > 0 && path[n - 1] == '/'; /* as ever: it leads into what a symlink points to */
    while (n > 1 && path[n - 1] == '/')
        n--;
    d->dst = fc_sys_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | (slash ? 0 : O_NOFOLLOW), 0);
    int rc = d->dst == -ENOENT && n > 0 ? make_root(t, path, n, e) : 0;
    if (rc != 0)
        return rc;
    if (d->dst == -ENOENT && t->o->dry_run)
        return 0;
    if (d->dst == -ENOTDIR || d->dst == -ELOOP)
        return refused(e, ENOTDIR, FC_CODE_NONE, FC_AT_DESTINATION,
                       "what is there is no directory (a symlink to one is not followed)");
    if (d->dst < 0)
        return failed(e, d->dst, FC_OP_open, FC_AT_DESTINATION);
    if (!d->dst_new && t->o->existing == FC_EXISTING_FAIL)
        return refused(e, EEXIST, FC_CODE_NONE, FC_AT_DESTINATION, "the destination exists (existing=fail)");
    if (!d->dst_new) {
        int again = fc_sys_open(d->dst, ".", O_PATH | O_DIRECTORY, 0);
        rc = again < 0 ? failed(e, again, FC_OP_open, FC_AT_DESTINATION) : refuse_inside(again, &d->st, e);
    }
    if (rc == 0 && (rc = fc_sys_fstat(d->dst, &st)) != 0)
        failed(e, rc, FC_OP_fstat, FC_AT_DESTINATION);
    if (rc != 0)
        return rc;
    d->dst_there = true;
    d->dst_dev = t->dst_root_dev = st.st_dev;
    d->dst_ino = t->dst_root_ino = st.st_ino;
    d->dst_setgid = (st.st_mode & S_ISGID) != 0;
    d->dst_flags = fc_filesystem_flags_of(d->dst);
    return look_for_list(d);
}

int fc_dir_open_root(struct fc_tree *t, const struct fc_tree_request *q, struct fc_error *e)
{
    struct fc_tree_dir *d = t->root = fc_dir_new(NULL, "");
    if (d == NULL)
        return failed(e, -ENOMEM, FC_OP_memory, FC_AT_SOURCE);
    d->src = fc_sys_open(AT_FDCWD, q->src, O_RDONLY | O_DIRECTORY, 0);
    if (d->src < 0)
        return failed(e, d->src, FC_OP_open, FC_AT_SOURCE);
    int rc = fc_sys_fstat(d->src, &d->st);
    if (rc != 0)
        return failed(e, rc, FC_OP_fstat, FC_AT_SOURCE);
    d->src_flags = fc_filesystem_flags_of(d->src);
    d->pins = 1;
    return open_destination(t, q->dst, e);
}

/* ---- the end ------------------------------------------------------------------------------------ */

/* Times and modes come last: what is put into a directory moves the ones, and may be forbidden by the other. */
static void finish_destination(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    const struct fc_options *o = &w->tree->o->file;
    struct fc_error e;
    unsigned warnings = 0, known = 0;
    if (d->mode_right || (!d->dst_new && o->withhold != 0))
        known |= FC_KNOWN_MODE;
    if (d->dst_new && d->parent != NULL && !d->parent->dst_gives_list)
        known |= FC_KNOWN_NO_LIST;
    if (w->tree->o->as_shutil)
        known |= FC_AS_SHUTIL;
    int rc = fc_metadata_copy_known(d->src, &d->st, d->dst, o, known, &warnings, &e);
    if (rc != 0)
        fc_tree_fail(w, d, NULL, &e);
    fc_tree_warn(w, warnings);
    if (rc == 0 && o->sync == FC_SYNC_FULL) {
        rc = fc_sys_fsync(d->dst);
        if (rc != 0 && rc != -EINVAL) /* EINVAL: this filesystem's directories need none */
            fc_tree_fail_call(w, d, NULL, rc, FC_OP_fsync, FC_AT_DESTINATION);
    }
    bool own_filesystem = d->parent == NULL || d->parent->dst_dev != d->dst_dev;
    if (rc == 0 && o->sync == FC_SYNC_DATA && own_filesystem && (rc = fc_sys_syncfs(d->dst)) != 0)
        fc_tree_fail_call(w, d, NULL, rc, FC_OP_syncfs, FC_AT_DESTINATION);
}

/* All in it is done. Its parent may have been closed since; we stand in a child of it. */
static void finish(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    struct fc_tree *t = w->tree;
    struct fc_tree_dir *up = d->parent;
    if (d->dst_there && !t->o->dry_run && !fc_tree_stopped(t)) {
        int rc = fc_dir_pin(t, d);
        if (rc == 0) {
            finish_destination(w, d);
            fc_dir_unpin(t, d);
        } else {
            fc_tree_fail_call(w, d, NULL, rc, FC_OP_open, FC_AT_BOTH);
        }
    }
    pthread_mutex_lock(&t->lock);
    leave_idle(t, d);
    if (up != NULL && up->src < 0 && d->src >= 0 &&
        open_both(up, d->src, d->dst, "..", &up->src, &up->dst) == 0)
        enter_idle(t, up);
    d->finished = true;
    if (d->pins == 0 || up == NULL)
        shut(d);
    pthread_mutex_unlock(&t->lock);
}

void fc_dir_done(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    while (d != NULL && atomic_fetch_sub(&d->pending, 1) == 1) {
        struct fc_tree_dir *up = d->parent;
        finish(w, d);
        fc_dir_release(d);
        d = up;
    }
}
