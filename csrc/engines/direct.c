/* direct: past the page cache, with O_DIRECT and aligned buffers (open(2), "O_DIRECT").
 *
 * For cold data, and for data that must not push others out of the cache. Each worker has one request of
 * 1 MiB in flight, and there are several workers. An end that has no medium (tmpfs) is read or written as
 * usual. Whatever cannot be a whole aligned block, the last bytes of the file, is left for the end, when
 * no direct request is in flight any more, and shares no page with any. */
#include "../job.h"

#include <errno.h>

static const char *refuses(const struct fc_facts *f)
{
    if ((f->src.fs_flags | f->dst.fs_flags) & FC_FS_PSEUDO)
        return "a pseudo-file has no medium to read from directly";
    if (!f->looked_at_machine)
        return NULL;
    if (f->src.dio_offset == 0 && f->dst.dio_offset == 0)
        return "neither end offers direct I/O (O_DIRECT)";
    return NULL;
}

/* The flag goes onto our own open file descriptions, so nobody else's reads change. EINVAL: this end has
 * no direct I/O. Both ends without it is no direct copy. */
static int enter(struct fc_job *j)
{
    if (j->plan->chunk < j->plan->align || (j->plan->find_zeros && j->plan->align > FC_HOLE_BLOCK))
        return -EINVAL;
    int src = fc_sys_set_direct(j->src, true);
    int dst = fc_sys_set_direct(j->dst, true);
    return src != 0 && dst != 0 ? dst : 0;
}

static void leave(struct fc_job *j)
{
    /* Cannot fail where setting it could; and a flag left on would show as EINVAL in what comes next. */
    fc_sys_set_direct(j->src, false);
    fc_sys_set_direct(j->dst, false);
}

/* Write whole blocks. *pass is an errno if this end turns out not to take direct requests of this shape. */
static int write_blocks(struct fc_job *j, const unsigned char *buf, uint64_t at, size_t n, int *pass)
{
    const size_t block = j->plan->align;
    while (n > 0) {
        ssize_t done = fc_sys_pwrite(j->dst, buf, n, at);
        if (done == 0)
            done = -EIO;
        if (done < 0 && done != -EINVAL)
            return fc_fail(j, (int)done, FC_OP_pwrite, FC_AT_DESTINATION, at);
        if (done > 0)
            atomic_store_explicit(&j->touched, true, memory_order_relaxed);
        /* After a short write, go on from a border. */
        size_t whole = done < 0 ? 0 : (size_t)done / block * block;
        if (whole == 0) {
            *pass = EINVAL;
            return 0;
        }
        buf += whole;
        at += whole;
        n -= whole;
    }
    return 0;
}

static int put(struct fc_worker *w, const unsigned char *buf, uint64_t at, size_t n, int *pass)
{
    int rc = 0;
    *pass = 0;
    if (!w->job->plan->find_zeros)
        return write_blocks(w->job, buf, at, n, pass);
    while (rc == 0 && *pass == 0 && n > 0) {
        bool zero = false;
        size_t run = fc_run_of_blocks(buf, at, n, &zero);
        rc = zero ? fc_make_hole(w, at, at + run) : write_blocks(w->job, buf, at, run, pass);
        buf += run;
        at += run;
        n -= run;
    }
    return rc;
}

/* A read brought less than a block: the source ends inside it, or before; or an end that is not direct gave
 * a short answer, which says nothing about the end; or the source was cut and has grown again since. The last is
 * told from the one before by asking once more: 0 is to do that. */
static int less_than_a_block(struct fc_worker *w, struct fc_span *s, uint64_t at, size_t got, bool again)
{
    uint64_t ends;
    int rc = fc_source_end(w, at + got, &ends);
    if (rc == 0)
        return again ? fc_pass(w, ENODATA, FC_OP_pread) : 0;
    if (rc != FC_EOF)
        return rc;
    if (got > 0)
        fc_lower(&w->job->tail_from, at);
    s->at = at + got > s->at ? at + got : s->at;
    return FC_EOF;
}

static int copy(struct fc_worker *w, struct fc_span *s)
{
    struct fc_job *j = w->job;
    const uint64_t block = j->plan->align;
    const uint64_t tail = j->plan->size / block * block;
    uint64_t short_at = UINT64_MAX;
    while (s->at < s->end) {
        uint64_t at = s->at / block * block; /* a span may begin inside a block that is data in part */
        if (at >= tail) {
            fc_lower(&j->tail_from, at);
            s->at = s->end;
            return 0;
        }
        uint64_t end = s->end >= tail ? tail : (s->end + block - 1) / block * block;
        size_t room;
        unsigned char *buf = fc_place(w, at, end - at, &room);
        ssize_t got = fc_sys_pread(j->src, buf, room / block * block, at);
        if (got == -EINVAL)
            return fc_pass(w, EINVAL, FC_OP_pread);
        if (got < 0)
            return fc_fail(j, (int)got, FC_OP_pread, FC_AT_SOURCE, at);
        size_t whole = (size_t)got / block * block;
        if (whole == 0) {
            int rc = less_than_a_block(w, s, at, (size_t)got, short_at == at);
            if (rc != 0)
                return rc;
            short_at = at;
            continue;
        }
        int pass, rc = put(w, buf, at, whole, &pass);
        if (rc == 0 && pass != 0)
            return fc_pass(w, pass, FC_OP_pwrite);
        if (rc == 0) {
            uint64_t now = at + whole, from = s->at;
            s->at = now < s->end ? now : s->end;
            rc = fc_tick(w, from, s->at - from);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

const struct fc_engine fc_engine_direct = {
    .name = "direct",
    .flags = FC_ENGINE_SEES_BYTES | FC_ENGINE_ALIGNED,
    .refuses = refuses,
    .enter = enter,
    .leave = leave,
    .copy = copy,
};
