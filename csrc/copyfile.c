/* copyfile.c: the steps of shutil.copyfile, in its order, for a copy between regular files. */
#include "job.h"

#include <errno.h>
#include <fcntl.h>

struct step {
    const struct fc_copyfile *q;
    struct fc_report *r;
};

static int audit(struct step *s, enum fc_audit event)
{
    if (s->q->audit == NULL || s->q->audit(s->q->arg, event) == 0)
        return 0;
    s->r->error =
        (struct fc_error){.err = ECANCELED, .code = FC_COPY_E_CANCELLED, .op = -1, .engine = FC_ENGINE_NONE};
    return -ECANCELED;
}

static int fail(struct step *s, int err, enum fc_op op, enum fc_at at)
{
    fc_error_set(&s->r->error, err, op, at, FC_ENGINE_NONE, 0);
    return err;
}

static int open_source(struct step *s)
{
    int rc = audit(s, FC_AUDIT_OPEN_SOURCE);
    if (rc != 0)
        return rc;
    int fd = fc_sys_open(AT_FDCWD, s->q->src, O_RDONLY, 0);
    return fd < 0 ? fail(s, fd, FC_OP_open, FC_AT_SOURCE) : fd;
}

/* *old_size: of a file that was there already. A new one is made exclusively, so that it is known to be
 * empty without another look; a dangling symlink, and somebody who was faster, take the other way. */
static int open_destination(struct step *s, bool exists, uint64_t *old_size)
{
    int rc = audit(s, FC_AUDIT_OPEN_DESTINATION);
    if (rc != 0)
        return rc;
    *old_size = 0;
    int fd = exists ? -EEXIST : fc_sys_open(AT_FDCWD, s->q->dst, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd != -EEXIST)
        return fd < 0 ? fail(s, fd, FC_OP_open, FC_AT_DESTINATION) : fd;
    fd = fc_sys_open(AT_FDCWD, s->q->dst, O_WRONLY | O_CREAT, 0666);
    if (fd < 0)
        return fail(s, fd, FC_OP_open, FC_AT_DESTINATION);
    struct stat st;
    rc = fc_sys_fstat(fd, &st);
    if (rc != 0) {
        fc_sys_close(fd);
        return fail(s, rc, FC_OP_fstat, FC_AT_DESTINATION);
    }
    *old_size = (uint64_t)st.st_size;
    return fd;
}

static bool is_ordinary(const struct fc_copyfile *q, struct stat *src, bool *exists)
{
    struct stat dst;
    if (fc_sys_fstatat(AT_FDCWD, q->src, src, 0) != 0 || !S_ISREG(src->st_mode))
        return false;
    int rc = fc_sys_fstatat(AT_FDCWD, q->dst, &dst, 0);
    *exists = rc == 0;
    if (rc != 0)
        return rc == -ENOENT;
    return S_ISREG(dst.st_mode) && (dst.st_dev != src->st_dev || dst.st_ino != src->st_ino);
}

int fc_copyfile(const struct fc_copyfile *q, const struct fc_options *o, const struct fc_tuning *t,
                const struct fc_hooks *h, struct fc_plan *p, struct fc_report *r)
{
    struct step s = {q, r};
    struct stat src;
    bool exists;
    uint64_t old_size;
    fc_report_init(r);
    if (!is_ordinary(q, &src, &exists))
        return FC_NOT_ORDINARY;
    int rc = audit(&s, FC_AUDIT_COPYFILE);
    if (rc != 0)
        return rc;
    int in = open_source(&s);
    if (in < 0)
        return in;
    int out = open_destination(&s, exists, &old_size);
    if (out < 0) {
        fc_sys_close(in);
        return out;
    }
    /* Small files are most files: they need no second look, for reading goes on to the end whatever the
     * size was said to be. */
    bool holes = src.st_blocks * 512 < src.st_size;
    if ((uint64_t)src.st_size <= t->small && !holes)
        rc = fc_small_copy(in, out, (uint64_t)src.st_size, old_size, r);
    else
        rc = fc_copy_fds(in, out, o, t, h, p, r);
    if (rc == -EOWNERDEAD)
        return rc;
    fc_sys_close(in);
    int closed = fc_sys_close(out);
    return rc == 0 && closed != 0 ? fail(&s, closed, FC_OP_close, FC_AT_DESTINATION) : rc;
}
