/* tree_entry.c: one name of a tree: is it meant, what is it, what is there already; and what is neither a
 * directory nor a regular file. See tree.h. */
#include "tree.h"

#include "filter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the destination has ------------------------------------------------------------------ */

enum fc_tree_verdict fc_tree_leave(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                                   enum fc_entry_fate fate)
{
    FC_COUNT(w, skipped, 1);
    fc_tree_tell(w, d, name, fate, 0);
    return FC_TREE_LEAVE;
}

static enum fc_tree_verdict refuse(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name, int err,
                                   enum fc_code code, enum fc_at at, const char *why)
{
    struct fc_error e = {.err = err, .code = code, .op = -1, .engine = FC_ENGINE_NONE, .at = at, .why = why};
    fc_tree_fail(w, d, name, &e);
    return FC_TREE_LEAVE;
}

/* Filesystems that keep whole seconds cut what they were given. */
static bool same_time(const struct timespec *src, const struct timespec *dst)
{
    return src->tv_sec == dst->tv_sec && (src->tv_nsec == dst->tv_nsec || dst->tv_nsec == 0);
}

/* As cp -u sees it: what is as new as the source stays, whatever it is. */
static bool is_older(const struct stat *dst, const struct stat *src)
{
    return dst->st_mtim.tv_sec < src->st_mtim.tv_sec ||
           (dst->st_mtim.tv_sec == src->st_mtim.tv_sec && dst->st_mtim.tv_nsec < src->st_mtim.tv_nsec &&
            dst->st_mtim.tv_nsec != 0); /* nor are whole seconds older than those that were cut to them */
}

static bool agrees(const struct stat *src, const struct stat *dst)
{
    return S_ISREG(src->st_mode) && S_ISREG(dst->st_mode) && src->st_size == dst->st_size &&
           same_time(&src->st_mtim, &dst->st_mtim);
}

enum fc_tree_verdict fc_tree_look(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                                  const struct stat *st, struct stat *there)
{
    const struct fc_tree_options *o = w->tree->o;
    if (d->dst_new || !d->dst_there) /* a dry run has no new directories */
        return FC_TREE_NEW;
    int rc = fc_sys_fstatat(d->dst, name, there, AT_SYMLINK_NOFOLLOW);
    if (rc == -ENOENT)
        return FC_TREE_NEW;
    if (rc != 0) {
        fc_tree_fail_call(w, d, name, rc, FC_OP_fstatat, FC_AT_DESTINATION);
        return FC_TREE_LEAVE;
    }
    struct fc_error same;
    if (fc_refuse_same_file(st, there, &same) != 0) {
        fc_tree_fail(w, d, name, &same);
        return FC_TREE_LEAVE;
    }
    if (S_ISDIR(there->st_mode))
        return refuse(w, d, name, EISDIR, FC_CODE_NONE, FC_AT_DESTINATION, "a directory is not replaced");
    if (o->existing == FC_EXISTING_FAIL)
        return refuse(w, d, name, EEXIST, FC_CODE_NONE, FC_AT_DESTINATION, "it exists (existing=fail)");
    if (o->existing == FC_EXISTING_SKIP || (o->existing == FC_EXISTING_UPDATE && agrees(st, there)) ||
        (o->existing == FC_EXISTING_OLDER && !is_older(there, st))) {
        if (o->links && st->st_nlink > 1 && S_ISREG(there->st_mode))
            fc_links_present(w, d, name, st);
        return fc_tree_leave(w, d, name,
                             o->existing == FC_EXISTING_SKIP ? FC_FATE_LEFT_EXISTS : FC_FATE_LEFT_UP_TO_DATE);
    }
    return FC_TREE_REPLACE;
}

bool fc_tree_came_meanwhile(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name)
{
    if (w->tree->o->existing != FC_EXISTING_SKIP || d->dst_new)
        return false;
    fc_tree_leave(w, d, name, FC_FATE_LEFT_EXISTS);
    return true;
}

/* ---- symlinks and special files ----------------------------------------------------------------- */

/* What both are: made by one call, under their own name or, to replace something, under another first. */
struct node {
    const struct stat *st;
    const char *target; /* of a symlink */
};

static int make(const struct node *n, int dir, const char *name)
{
    if (n->target != NULL)
        return fc_sys_symlinkat(n->target, dir, name);
    return fc_sys_mknodat(dir, name, n->st->st_mode & (S_IFMT | 0777), n->st->st_rdev);
}

/* A symlink's mode says nothing. That of others: opening a device or a FIFO would be an act, so only its
 * name is opened, and changed through /proc. */
static int set_mode(const struct node *n, int dir, const char *name, const struct fc_options *o)
{
    if (n->target != NULL)
        return 0;
    unsigned mode = n->st->st_mode & 07777 & ~o->withhold;
    struct stat st;
    int fd = fc_sys_open(dir, name, O_PATH | O_NOFOLLOW, 0);
    int rc = fd < 0 ? fd : fc_sys_fstat(fd, &st);
    bool is_it = rc == 0 && (st.st_mode & S_IFMT) == (n->st->st_mode & S_IFMT);
    if (is_it && (st.st_mode & 07777) != mode)
        rc = fc_sys_chmod_path(fd, mode);
    if (fd >= 0)
        fc_sys_close(fd);
    return rc;
}

static int set_metadata(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *shown, const char *name,
                        const struct node *n)
{
    const struct fc_options *o = &w->tree->o->file;
    struct timespec ts[2] = {n->st->st_atim, n->st->st_mtim};
    struct {
        unsigned what;
        enum fc_op op;
        int rc;
    } done[3] = {{FC_PRESERVE_OWNER, FC_OP_fchownat, 0},
                 {FC_PRESERVE_MODE, FC_OP_fchmod, 0},
                 {FC_PRESERVE_TIMES, FC_OP_utimensat, 0}};
    if (o->preserve & FC_PRESERVE_OWNER)
        done[0].rc = fc_sys_fchownat(d->dst, name, n->st->st_uid, n->st->st_gid);
    if (o->preserve & FC_PRESERVE_MODE)
        done[1].rc = set_mode(n, d->dst, name, o);
    if (o->preserve & FC_PRESERVE_TIMES)
        done[2].rc = fc_sys_utimensat(d->dst, name, ts);
    for (int i = 0; i < 3; i++) {
        if (done[i].rc == 0)
            continue;
        if (o->required & done[i].what) {
            fc_tree_fail_call(w, d, shown, done[i].rc, done[i].op, FC_AT_DESTINATION);
            return done[i].rc;
        }
        fc_tree_warn(w, done[i].what);
    }
    return 0;
}

static bool make_node(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name, const struct node *n,
                      bool replace)
{
    char temporary[32];
    const char *made = name;
    if (replace && fc_sys_keeps_names(d->dst)) {
        fc_tree_fail_call(w, d, name, -EPERM, FC_OP_renameat, FC_AT_DESTINATION);
        return false;
    }
    if (replace) {
        fc_tree_temporary(w, temporary);
        made = temporary;
    }
    int rc = make(n, d->dst, made);
    if (rc == -EEXIST && fc_tree_came_meanwhile(w, d, name))
        return false;
    if (rc != 0) {
        fc_tree_fail_call(w, d, name, rc, n->target != NULL ? FC_OP_symlinkat : FC_OP_mknodat,
                          FC_AT_DESTINATION);
        return false;
    }
    rc = set_metadata(w, d, name, made, n);
    if (rc == 0 && replace && (rc = fc_sys_renameat(d->dst, made, name)) != 0)
        fc_tree_fail_call(w, d, name, rc, FC_OP_renameat, FC_AT_DESTINATION);
    if (rc != 0 && replace)
        fc_sys_unlinkat(d->dst, made);
    return rc == 0;
}

static bool same_target(const struct fc_tree_dir *d, const char *name, const char *target)
{
    char there[PATH_MAX];
    ssize_t n = fc_sys_readlinkat(d->dst, name, there, sizeof there);
    return n >= 0 && (size_t)n == strlen(target) && memcmp(there, target, (size_t)n) == 0;
}

/* As cp: what it leads to is not lost to a symlink that leads to itself. */
static bool leads_to(const struct fc_tree_dir *d, const char *name, const struct stat *there)
{
    struct stat end;
    return !S_ISLNK(there->st_mode) && fc_sys_fstatat(d->src, name, &end, 0) == 0 &&
           end.st_dev == there->st_dev && end.st_ino == there->st_ino;
}

static void found_symlink(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                          const struct stat *st)
{
    const struct fc_tree_options *o = w->tree->o;
    char target[PATH_MAX + 1];
    struct stat there;
    enum fc_tree_verdict verdict = fc_tree_look(w, d, name, st, &there);
    if (verdict == FC_TREE_LEAVE)
        return;
    ssize_t n = fc_sys_readlinkat(d->src, name, target, PATH_MAX);
    if (n < 0) {
        fc_tree_fail_call(w, d, name, (int)n, FC_OP_readlinkat, FC_AT_SOURCE);
        return;
    }
    target[n] = '\0';
    if (verdict == FC_TREE_REPLACE && o->existing == FC_EXISTING_UPDATE && same_target(d, name, target)) {
        fc_tree_leave(w, d, name, FC_FATE_LEFT_UP_TO_DATE);
        return;
    }
    /* shutil replaces nothing by a symlink: the system says that it is there. */
    bool replace = verdict == FC_TREE_REPLACE && !o->as_shutil;
    if (replace && leads_to(d, name, &there)) {
        refuse(w, d, name, EINVAL, FC_COPY_E_SAME_FILE, FC_AT_BOTH,
               "this symlink leads to what it would replace");
        return;
    }
    struct node link = {.st = st, .target = target};
    if (o->dry_run || make_node(w, d, name, &link, replace)) {
        FC_COUNT(w, symlinks, 1);
        fc_tree_tell(w, d, name, FC_FATE_MADE, 0);
    }
}

static void found_special(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                          const struct stat *st)
{
    const struct fc_tree_options *o = w->tree->o;
    struct stat there;
    if (o->special == FC_SPECIAL_SKIP) {
        fc_tree_leave(w, d, name, FC_FATE_LEFT_SPECIAL);
        return;
    }
    if (o->special == FC_SPECIAL_FAIL) {
        refuse(w, d, name, EOPNOTSUPP, FC_COPY_E_UNSUPPORTED, FC_AT_SOURCE,
               "not a regular file (a FIFO, socket or device)");
        return;
    }
    enum fc_tree_verdict verdict = fc_tree_look(w, d, name, st, &there);
    struct node node = {.st = st};
    if (verdict != FC_TREE_LEAVE &&
        (o->dry_run || make_node(w, d, name, &node, verdict == FC_TREE_REPLACE))) {
        FC_COUNT(w, special, 1);
        fc_tree_tell(w, d, name, FC_FATE_MADE, 0);
    }
}

/* ---- one name ----------------------------------------------------------------------------------- */

/* The path of `name`, for patterns that ask for it. The directory's part is made once a batch. */
static const char *path_of(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name)
{
    if (w->path_length == 0) {
        free(w->path);
        w->path = fc_tree_path(d, "");
        if (w->path == NULL)
            return NULL;
        w->path_length = strlen(w->path) + 1;
        char *longer = realloc(w->path, w->path_length + NAME_MAX + 1);
        if (longer == NULL)
            return NULL;
        w->path = longer;
    }
    strncpy(w->path + w->path_length - 1, name, NAME_MAX + 1);
    return w->path;
}

static enum fc_verdict judge(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                             bool directory)
{
    const struct fc_filter *f = w->tree->o->filter;
    const char *path = NULL;
    if (f == NULL)
        return FC_MEANT;
    if (fc_filter_needs_path(f) && (path = path_of(w, d, name)) == NULL) {
        fc_tree_fail_call(w, d, name, -ENOMEM, FC_OP_memory, FC_AT_SOURCE);
        return FC_LEFT_OUT;
    }
    enum fc_verdict verdict = fc_filter_judge(f, name, path, directory, d->meant);
    if (verdict == FC_LEFT_OUT) {
        FC_COUNT(w, excluded, 1);
        fc_tree_tell(w, d, name, FC_FATE_LEFT_FILTER, 0);
    }
    return verdict;
}

static enum fc_entry_kind kind_of(unsigned mode)
{
    switch (mode & S_IFMT) {
    case 0: /* the filesystem did not say */
        return FC_ENTRY_UNKNOWN;
    case S_IFREG:
        return FC_ENTRY_FILE;
    case S_IFDIR:
        return FC_ENTRY_DIRECTORY;
    case S_IFLNK:
        return FC_ENTRY_SYMLINK;
    default:
        return FC_ENTRY_SPECIAL;
    }
}

void fc_tree_entry(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name, unsigned char type)
{
    bool follow = w->tree->o->follow;
    struct stat st = {0};
    bool directory = type == DT_DIR;
    w->kind = kind_of(DTTOIF((unsigned)type));
    if (!directory) {
        int rc = fc_sys_fstatat(d->src, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW);
        if (rc != 0) {
            if (judge(w, d, name, false) != FC_LEFT_OUT)
                fc_tree_fail_call(w, d, name, rc, FC_OP_fstatat, FC_AT_SOURCE);
            return;
        }
        directory = S_ISDIR(st.st_mode);
        w->kind = kind_of(st.st_mode);
    }
    enum fc_verdict verdict = judge(w, d, name, directory);
    if (verdict == FC_LEFT_OUT)
        return;
    if (directory)
        fc_tree_push_dir(w, d, name, follow && type != DT_DIR, verdict == FC_MEANT);
    else if (S_ISREG(st.st_mode))
        fc_tree_file_found(w, d, name, &st);
    else if (S_ISLNK(st.st_mode))
        found_symlink(w, d, name, &st);
    else
        found_special(w, d, name, &st);
}
