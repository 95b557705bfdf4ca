/* write.c: putting bytes, and holes, into the destination. */
#include "job.h"

#include <errno.h>
#include <string.h>

int fc_write_all(struct fc_job *j, const unsigned char *buf, uint64_t *at, size_t n)
{
    while (n > 0) {
        ssize_t put = fc_sys_pwrite(j->dst, buf, n, *at);
        if (put == 0)
            put = -EIO; /* a write of something that writes nothing and gives no reason would spin */
        if (put < 0)
            return fc_fail(j, (int)put, FC_OP_pwrite, FC_AT_DESTINATION, *at);
        atomic_store_explicit(&j->touched, true, memory_order_relaxed);
        buf += put;
        *at += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int fc_make_hole(struct fc_worker *w, uint64_t at, uint64_t end)
{
    static const unsigned char zeros[64 * 1024];
    struct fc_job *j = w->job;
    uint64_t old = j->keep_blocks ? j->old_size : 0;
    if (end > old)
        end = old; /* beyond the old end nothing was written: it reads as zeros once the length is set */
    if (at >= end)
        return 0;
    int rc = fc_sys_punch_hole(j->dst, at, end - at);
    if (rc == 0) {
        atomic_store_explicit(&j->touched, true, memory_order_relaxed);
        return 0;
    }
    if (rc != -EOPNOTSUPP && rc != -ENOSYS && rc != -EPERM)
        return fc_fail(j, rc, FC_OP_punch_hole, FC_AT_DESTINATION, at);
    while (at < end) {
        rc = fc_write_all(j, zeros, &at, (size_t)(end - at < sizeof zeros ? end - at : sizeof zeros));
        if (rc == 0)
            rc = fc_tick(w, at, 0);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool all_zero(const unsigned char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

size_t fc_run_of_blocks(const unsigned char *buf, uint64_t at, size_t n, bool *zero)
{
    size_t run = 0;
    while (run < n) {
        size_t block = FC_HOLE_BLOCK - (at + run) % FC_HOLE_BLOCK;
        if (block > n - run)
            block = n - run;
        bool z = all_zero(buf + run, block);
        if (run > 0 && z != *zero)
            break;
        *zero = z;
        run += block;
    }
    return run;
}

int fc_write_sparse(struct fc_worker *w, const unsigned char *buf, uint64_t *at, size_t n)
{
    while (n > 0) {
        bool zero = false;
        size_t run = fc_run_of_blocks(buf, *at, n, &zero);
        int rc = zero ? fc_make_hole(w, *at, *at + run) : fc_write_all(w->job, buf, at, run);
        if (rc != 0)
            return rc;
        if (zero)
            *at += run;
        buf += run;
        n -= run;
    }
    return 0;
}
