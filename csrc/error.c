/* error.c: what went wrong, for the report. */
#include "job.h"

#include <errno.h>
#include <string.h>

void fc_report_init(struct fc_report *r)
{
    memset(r, 0, sizeof *r);
    r->engine = FC_ENGINE_NONE;
    r->error.op = -1;
    r->error.engine = FC_ENGINE_NONE;
}

static enum fc_code code_of(enum fc_op op, int err)
{
    if (err == ENOSPC || err == EDQUOT)
        return FC_COPY_E_NOSPACE;
    switch (op) {
    case FC_OP_pread:
        return FC_COPY_E_READ;
    case FC_OP_pwrite:
    case FC_OP_copy_file_range:
    case FC_OP_ficlone:
    case FC_OP_ftruncate:
    case FC_OP_punch_hole:
    case FC_OP_sync_file_range:
    case FC_OP_fdatasync:
    case FC_OP_fsync:
    case FC_OP_close:
        return FC_COPY_E_WRITE;
    case FC_OP_fallocate:
        return FC_COPY_E_PREALLOC;
    case FC_OP_mmap:
    case FC_OP_process_vm_readv:
        return FC_COPY_E_MMAP;
    case FC_OP_linkat:
    case FC_OP_renameat:
        return FC_FINALIZE_E_RENAME;
    case FC_OP_fchmod:
    case FC_OP_fchown:
    case FC_OP_futimens:
    case FC_OP_fsetxattr:
    case FC_OP_fgetxattr:
    case FC_OP_flistxattr:
    case FC_OP_fremovexattr:
        return FC_FINALIZE_E_METADATA;
    default:
        return FC_CODE_NONE;
    }
}

void fc_error_set(struct fc_error *e, int err, enum fc_op op, enum fc_at at, int engine, uint64_t offset)
{
    *e = (struct fc_error){
        .err = -err, .code = code_of(op, -err), .op = (int)op, .engine = engine, .offset = offset, .at = at};
}

int fc_refuse_same_file(const struct stat *src, const struct stat *dst, struct fc_error *e)
{
    if (src->st_dev != dst->st_dev || src->st_ino != dst->st_ino)
        return 0;
    *e = (struct fc_error){.err = EINVAL,
                           .code = FC_COPY_E_SAME_FILE,
                           .op = -1,
                           .engine = FC_ENGINE_NONE,
                           .why = "source and destination are the same file"};
    return -EINVAL;
}

int fc_forked(struct fc_error *e)
{
    *e = (struct fc_error){.err = EOWNERDEAD,
                           .op = -1,
                           .engine = FC_ENGINE_NONE,
                           .why =
                               "this process was forked while the copy ran; the copy belongs to its parent"};
    return -EOWNERDEAD;
}

int fc_fail_with(struct fc_job *j, const struct fc_error *e)
{
    pthread_mutex_lock(&j->lock);
    if (j->rc == 0) {
        j->rc = -e->err;
        j->report->error = *e;
    }
    atomic_store(&j->stop, true);
    pthread_cond_broadcast(&j->room);
    pthread_mutex_unlock(&j->lock);
    return -e->err;
}

int fc_fail(struct fc_job *j, int err, enum fc_op op, enum fc_at at, uint64_t offset)
{
    struct fc_error e;
    fc_error_set(&e, err, op, at, fc_engine_at_work(j), offset);
    return fc_fail_with(j, &e);
}
