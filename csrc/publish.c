/* publish.c: see publish.h. */
#include "publish.h"

#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int fail(struct fc_error *e, int err, enum fc_op op)
{
    fc_error_set(e, err, op, FC_AT_DESTINATION, FC_ENGINE_NONE, 0);
    return err;
}

static int make_name(struct fc_unpublished *u, struct fc_error *e)
{
    uint64_t random;
    if (fc_sys_keeps_names(u->dir)) /* this one would be there for ever */
        return fail(e, -EPERM, FC_OP_renameat);
    int rc = fc_sys_random(&random, sizeof random);
    if (rc != 0)
        return fail(e, rc, FC_OP_getrandom);
    snprintf(u->name, sizeof u->name, FC_TEMPORARY_PREFIX "%016llx", (unsigned long long)random);
    return 0;
}

static int create_named(struct fc_unpublished *u, unsigned mode, struct fc_error *e)
{
    for (int tries = 0;; tries++) {
        int rc = make_name(u, e);
        if (rc != 0)
            return rc;
        u->fd = fc_sys_open(u->dir, u->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        if (u->fd >= 0)
            return 0;
        if (u->fd != -EEXIST || tries == 100) {
            rc = u->fd;
            u->fd = -1;
            u->name[0] = '\0';
            return fail(e, rc, FC_OP_open);
        }
    }
}

/* A file without a name gets one through /proc: without it, only a privileged process could link it. */
bool fc_can_link_descriptors(void)
{
    struct stat st;
    return fc_sys_fstatat(AT_FDCWD, "/proc/self/fd", &st, 0) == 0;
}

int fc_unpublished_create(struct fc_unpublished *u, int dir, unsigned mode, unsigned how, struct fc_error *e)
{
    *u = (struct fc_unpublished){.dir = dir,
                                 .fd = -1,
                                 .local = (how & FC_UNPUBLISHED_LOCAL) != 0,
                                 .fresh = (how & FC_UNPUBLISHED_FRESH) != 0};
    if (!(how & FC_UNPUBLISHED_NAMED) && ((how & FC_UNPUBLISHED_LINKABLE) || fc_can_link_descriptors())) {
        u->fd = fc_sys_open(dir, ".", O_RDWR | O_TMPFILE, mode);
        if (u->fd >= 0)
            return 0;
        /* EOPNOTSUPP; EISDIR and ENOENT where nobody knows the flag; EINVAL of some FUSE. Whatever it is,
         * a file with a name meets it too, if it is about more than this flag. */
        u->fd = -1;
    }
    return create_named(u, mode, e);
}

/* Not every filesystem can tell in the same step whether the name is free (EINVAL: NFS, old ones; ENOSYS: seccomp
 * filters). There it is looked at first. */
static int rename_fresh(struct fc_unpublished *u, const char *name)
{
    struct stat st;
    int rc = fc_sys_rename_fresh(u->dir, u->name, name);
    if (rc != -EINVAL && rc != -ENOSYS)
        return rc;
    rc = fc_sys_fstatat(u->dir, name, &st, AT_SYMLINK_NOFOLLOW);
    if (rc == -ENOENT)
        return fc_sys_renameat(u->dir, u->name, name);
    return rc == 0 ? -EEXIST : rc;
}

static int rename_to(struct fc_unpublished *u, const char *name, struct fc_error *e)
{
    int rc = u->fresh ? rename_fresh(u, name) : fc_sys_renameat(u->dir, u->name, name);
    if (rc != 0)
        return fail(e, rc, FC_OP_renameat);
    u->name[0] = '\0';
    return 0;
}

int fc_unpublished_publish(struct fc_unpublished *u, const char *name, struct fc_error *e)
{
    int rc;
    if (u->name[0] != '\0') {
        rc = fc_sys_close(u->fd);
        u->fd = -1;
        return rc != 0 ? fail(e, rc, FC_OP_close) : rename_to(u, name, e);
    }
    rc = u->local ? 0 : fc_sys_flush(u->fd);
    if (rc != 0)
        return fail(e, rc, FC_OP_close);
    rc = fc_sys_link_fd(u->fd, u->dir, name);
    if (rc == -EEXIST &&
        !u->fresh) { /* linkat replaces nothing, and there is no exchange with what has no name */
        rc = make_name(u, e);
        if (rc != 0) {
            u->name[0] = '\0';
            return rc;
        }
        rc = fc_sys_link_fd(u->fd, u->dir, u->name);
        if (rc == 0)
            rc = rename_to(u, name, e);
        else
            u->name[0] = '\0', fail(e, rc, FC_OP_linkat);
        if (rc != 0)
            return rc;
    } else if (rc != 0) {
        return fail(e, rc, FC_OP_linkat);
    }
    fc_sys_close(u->fd); /* it has been flushed, and is published */
    u->fd = -1;
    return 0;
}

void fc_unpublished_discard(struct fc_unpublished *u)
{
    if (u->name[0] != '\0')
        fc_sys_unlinkat(u->dir, u->name);
    if (u->fd >= 0)
        fc_sys_close(u->fd);
    *u = (struct fc_unpublished){.dir = u->dir, .fd = -1};
}
