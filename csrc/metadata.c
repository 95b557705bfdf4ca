/* metadata.c: see metadata.h.
 *
 * The order matters. A change of owner clears set-id bits and file capabilities, so it comes first;
 * attributes of the user's own need the right to write, which the mode may take away, so they come before
 * it, and of them the access list last; the times come after everything that could move them. */
#include "metadata.h"

#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define ACCESS_LIST "system.posix_acl_access"

struct target {
    int src, dst;
    const struct stat *st;
    const struct fc_options *o;
    unsigned known; /* enum fc_metadata_known */
    unsigned *warnings;
    struct fc_error *e;
};

/* Is this failure an error or a warning? */
static int judge(struct target *t, int rc, unsigned what, enum fc_op op)
{
    if (rc == 0)
        return 0;
    if (t->o->required & what) {
        fc_error_set(t->e, rc, op, FC_AT_DESTINATION, FC_ENGINE_NONE, 0);
        return rc;
    }
    *t->warnings |= what; /* enum fc_warning begins with the bits of enum fc_preserve */
    return 0;
}

static int keep_owner(struct target *t)
{
    return judge(t, fc_sys_fchown(t->dst, t->st->st_uid, t->st->st_gid), FC_PRESERVE_OWNER, FC_OP_fchown);
}

/* An attribute of the system's (a security label, a capability) may be beyond our rights; the user's own
 * and the access list are what was asked for. */
static bool is_users(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strncmp(name, "system.posix_acl_", 17) == 0;
}

static int copy_attribute(struct target *t, const char *name)
{
    ssize_t n = fc_sys_fgetxattr(t->src, name, NULL, 0);
    if (n == -ENODATA)
        return 0; /* removed since it was listed */
    char *value = n >= 0 ? malloc((size_t)n + 1) : NULL;
    int rc = n < 0 ? (int)n : value == NULL ? -ENOMEM : 0;
    enum fc_op op = FC_OP_fgetxattr;
    if (rc == 0) {
        n = fc_sys_fgetxattr(t->src, name, value, (size_t)n);
        rc = n < 0 ? (int)n : 0;
    }
    if (rc == 0) {
        op = FC_OP_fsetxattr;
        rc = fc_sys_fsetxattr(t->dst, name, value, (size_t)n);
    }
    free(value);
    if (rc != 0 && !is_users(name)) {
        *t->warnings |= FC_WARN_XATTR;
        return 0;
    }
    return judge(t, rc, FC_PRESERVE_XATTR, op);
}

/* A default list of the directory's has put entries here that the source does not have: with them, the same
 * mode would let in more people. */
static int drop_access_list(struct target *t, unsigned what)
{
    if (t->known & (FC_KNOWN_NO_LIST | FC_AS_SHUTIL))
        return 0;
    int rc = fc_sys_fremovexattr(t->dst, ACCESS_LIST);
    bool none = rc == -ENODATA || rc == -EOPNOTSUPP || rc == -ENOSYS;
    return judge(t, none ? 0 : rc, what, FC_OP_fremovexattr);
}

static int keep_attributes(struct target *t)
{
    ssize_t n = fc_sys_flistxattr(t->src, NULL, 0);
    if (n == 0 || n == -EOPNOTSUPP || n == -ENOSYS)
        return drop_access_list(t, FC_PRESERVE_XATTR); /* there are none to keep */
    char *names = n > 0 ? malloc((size_t)n) : NULL;
    if (names != NULL)
        n = fc_sys_flistxattr(t->src, names, (size_t)n);
    int rc = n < 0 ? (int)n : names == NULL ? -ENOMEM : 0;
    if (rc != 0) {
        free(names);
        return judge(t, rc, FC_PRESERVE_XATTR, FC_OP_flistxattr);
    }
    bool has_list = false;
    for (ssize_t at = 0; rc == 0 && at < n; at += (ssize_t)strlen(names + at) + 1) {
        if (strcmp(names + at, ACCESS_LIST) == 0)
            has_list = true;
        else
            rc = copy_attribute(t, names + at);
    }
    free(names);
    if (rc == 0)
        rc = has_list ? copy_attribute(t, ACCESS_LIST) : drop_access_list(t, FC_PRESERVE_XATTR);
    return rc;
}

static int keep_mode(struct target *t)
{
    unsigned mode = t->st->st_mode & 07777 & ~t->o->withhold;
    if (t->known & FC_KNOWN_MODE)
        return 0;
    if ((mode & (S_ISUID | S_ISGID)) && !(t->known & FC_AS_SHUTIL)) {
        /* A set-id bit means the source's owner: on a file of somebody else's it would be another right. */
        struct stat now;
        int rc = fc_sys_fstat(t->dst, &now);
        unsigned before = mode;
        if (rc != 0 || now.st_uid != t->st->st_uid)
            mode &= ~(unsigned)S_ISUID;
        if (rc != 0 || now.st_gid != t->st->st_gid)
            mode &= ~(unsigned)S_ISGID;
        if (mode != before)
            *t->warnings |= FC_WARN_SETID;
    }
    int rc = t->o->preserve & FC_PRESERVE_XATTR ? 0 : drop_access_list(t, FC_PRESERVE_MODE);
    if (rc != 0)
        return rc;
    return judge(t, fc_sys_fchmod(t->dst, mode), FC_PRESERVE_MODE, FC_OP_fchmod);
}

static int keep_times(struct target *t)
{
    struct timespec ts[2] = {t->st->st_atim, t->st->st_mtim};
    return judge(t, fc_sys_futimens(t->dst, ts), FC_PRESERVE_TIMES, FC_OP_futimens);
}

int fc_metadata_copy(int src_fd, const struct stat *src, int dst_fd, const struct fc_options *o,
                     unsigned *warnings, struct fc_error *e)
{
    return fc_metadata_copy_known(src_fd, src, dst_fd, o, 0, warnings, e);
}

int fc_metadata_copy_known(int src_fd, const struct stat *src, int dst_fd, const struct fc_options *o,
                           unsigned known, unsigned *warnings, struct fc_error *e)
{
    static const struct {
        unsigned what;
        int (*keep)(struct target *);
    } steps[] = {
        {FC_PRESERVE_OWNER, keep_owner},
        {FC_PRESERVE_XATTR, keep_attributes},
        {FC_PRESERVE_MODE, keep_mode},
        {FC_PRESERVE_TIMES, keep_times},
    };
    struct target t = {src_fd, dst_fd, src, o, known, warnings, e};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof steps / sizeof steps[0]; i++)
        if (o->preserve & steps[i].what)
            rc = steps[i].keep(&t);
    return rc;
}
