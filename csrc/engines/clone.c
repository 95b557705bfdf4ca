/* clone: share the source's extents with the destination (FICLONE).
 *
 * Constant time on XFS and Btrfs, but for a dirty source, which is written back first. */
#include "../job.h"

#include <errno.h>

static const char *refuses(const struct fc_facts *f)
{
    unsigned shared = f->src.fs_flags & f->dst.fs_flags;
    if (f->src.fs != f->dst.fs)
        return "the ends lie on different filesystems";
    if (!(shared & FC_FS_CLONES))
        return "this filesystem does not share extents between files";
    /* Subvolumes of one Btrfs or bcachefs have device numbers of their own, and the kernel knows. */
    if (f->src.id.dev != f->dst.id.dev && !(shared & FC_FS_COW))
        return "the ends lie on different filesystems";
    return NULL;
}

static int copy(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    int rc = fc_sys_ficlone(j->dst, j->src);
    switch (rc) {
    case 0:
        break;
    case -EIO:
    case -ENOMEM:
    case -ENOSPC:
    case -EDQUOT: /* final: another engine would meet the same disk, and hide that it is failing */
        return fc_fail(j, rc, FC_OP_ficlone, FC_AT_BOTH, 0);
    default:
        /* EOPNOTSUPP, EXDEV, EINVAL (NOCOW beside COW, a filesystem that rounds), ETXTBSY (swap file),
         * EPERM and ENOSYS (filters), ENOTTY (a FUSE that passes no ioctl), EISDIR... */
        return fc_pass(w, -rc, FC_OP_ficlone);
    }
    /* Some filesystems have said yes and left the file short (ZFS, several versions): look. */
    struct stat st;
    rc = fc_sys_fstat(j->dst, &st);
    if (rc != 0)
        return fc_fail(j, rc, FC_OP_fstat, FC_AT_DESTINATION, 0);
    if ((uint64_t)st.st_size < s->end) {
        rc = fc_sys_ftruncate(j->dst, 0);
        return rc != 0 ? fc_fail(j, rc, FC_OP_ftruncate, FC_AT_DESTINATION, 0)
                       : fc_pass(w, ENODATA, FC_OP_ficlone);
    }
    s->at = s->end;
    j->dst_size = (uint64_t)st.st_size;
    atomic_fetch_add(&j->done, s->end); /* nothing was written */
    return 0;
}

const struct fc_engine fc_engine_clone = {
    .name = "clone",
    .flags = FC_ENGINE_WHOLE_FILE,
    .refuses = refuses,
    .copy = copy,
};
