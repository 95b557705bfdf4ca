/* copy_range: let the kernel, or the server, move the bytes (copy_file_range).
 *
 * For server-side copies (NFS 4.2, SMB, Ceph) and for sharing parts of files. */
#include "../job.h"

#include <errno.h>

#define FIRST_CALL (8 * FC_MIB)
#define CALL_NS    UINT64_C(50000000) /* what one call should last, so that cancelling is prompt */

static const char *refuses(const struct fc_facts *f)
{
    unsigned any = f->src.fs_flags | f->dst.fs_flags;
    if (any & FC_FS_PSEUDO)
        return "a pseudo-file answers copy_file_range with nothing";
    if (any & FC_FS_FRAGILE)
        return "this filesystem has lost data with zero-copy calls";
    if (f->looked_at_machine && f->machine.kernel != 0 && f->machine.kernel < 0x0503)
        return "copy_file_range before Linux 5.3 is broken between filesystems";
    if (f->src.id.dev != f->dst.id.dev && f->src.fs != f->dst.fs)
        return "the ends lie on different filesystems";
    return NULL;
}

/* Is this the end of the source, or a filesystem that says so? (/proc and some overlays answer 0 though
 * there is data.) */
static int nothing_came(struct fc_worker *w, uint64_t at)
{
    uint64_t end;
    int rc = fc_source_end(w, at, &end);
    return rc == 0 ? fc_pass(w, ENODATA, FC_OP_copy_file_range) : rc;
}

static uint64_t next_size(uint64_t n, uint64_t took_ns)
{
    if (took_ns < CALL_NS / 2 && n < FC_IO_MAX)
        return n * 2;
    if (took_ns > CALL_NS * 2 && n > FC_MIB)
        return n / 2;
    return n;
}

static int copy(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    uint64_t n = FIRST_CALL;
    while (s->at < s->end) {
        uint64_t at = s->at, left = s->end - at, began = fc_now_ns();
        ssize_t got = fc_sys_copy_file_range(j->src, at, j->dst, at, (size_t)(left < n ? left : n));
        if (got == 0)
            return nothing_came(w, at);
        switch (got) {
        case -ENOSPC:
        case -EDQUOT:
        case -ENOMEM:
            return fc_fail(j, (int)got, FC_OP_copy_file_range, FC_AT_BOTH, at);
        default:
            /* EXDEV, EINVAL, EOPNOTSUPP, ENOSYS; EPERM (seccomp); EIO and ENOENT (CIFS); EACCES
             * (fuse-overlayfs); ETXTBSY (swap file); EFBIG at the end of a file. What is really broken
             * shows itself again to a plain read or write. */
            if (got < 0)
                return fc_pass(w, (int)-got, FC_OP_copy_file_range);
        }
        s->at += (uint64_t)got;
        int rc = fc_tick(w, at, (uint64_t)got);
        if (rc != 0)
            return rc;
        n = next_size(n, fc_now_ns() - began);
    }
    return 0;
}

const struct fc_engine fc_engine_copy_range = {
    .name = "copy_range",
    .refuses = refuses,
    .copy = copy,
};
