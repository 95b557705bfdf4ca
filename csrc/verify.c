/* verify.c: prove a finished copy, before anybody sees it (or after, where it was written in place).
 *
 *     compare   both ends are read and compared
 *     hash      the digest of what was written, taken while it was copied, against one of the copy read again
 *     media     the same, but the copy is forced to its medium, dropped from memory and read from there
 *
 * Where no bytes passed here while copying (clone, copy_range), hash and media read the source for its digest. */
#include "facts.h"
#include "job.h"
#include "reading.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct proof {
    const struct fc_plan *plan;
    int src, dst;
    const struct fc_hooks *hooks;
    struct fc_report *report;
    uint64_t before, total;
};

static int differs(struct proof *v, uint64_t offset, const char *why)
{
    v->report->error = (struct fc_error){.err = EBADMSG,
                                         .code = FC_VERIFY_E_MISMATCH,
                                         .op = -1,
                                         .engine = FC_ENGINE_NONE,
                                         .offset = offset,
                                         .at = FC_AT_DESTINATION,
                                         .why = why};
    return -EBADMSG;
}

static int fail(struct proof *v, int rc, enum fc_op op)
{
    fc_error_set(&v->report->error, rc, op, FC_AT_DESTINATION, FC_ENGINE_NONE, 0);
    return rc;
}

static int check_length(struct proof *v)
{
    struct stat st;
    int rc = fc_sys_fstat(v->dst, &st);
    if (rc != 0)
        return fail(v, rc, FC_OP_fstat);
    uint64_t size = (uint64_t)st.st_size, bytes = v->report->bytes;
    return size == bytes
               ? 0
               : differs(v, size < bytes ? size : bytes, "the copy has not the length that was written");
}

/* The digest of one end, every byte of it read. */
static int read_end(struct proof *v, enum fc_digest which, uint32_t direct)
{
    bool source = which == FC_DIGEST_WRITTEN;
    struct fc_sums *sums = source ? NULL : v->hooks->sums;
    uint64_t end = 0;
    struct fc_reading q = {.fd = source ? v->src : v->dst,
                           .other = -1,
                           .size = v->report->bytes,
                           .drop_cache = v->plan->drop_cache,
                           .chunk = v->plan->read_chunk,
                           .direct = direct,
                           .before = v->before,
                           .total = v->total,
                           .at = source ? FC_AT_SOURCE : FC_AT_DESTINATION,
                           .workers = v->plan->readers,
                           .digest = which,
                           .sums = sums != NULL && sums->whole ? sums : NULL};
    int rc = fc_reading_run(&q, v->hooks, v->report, &end);
    v->before += v->report->bytes;
    if (rc != 0 || end == v->report->bytes)
        return rc;
    if (q.sums != NULL)
        return differs(v, end,
                       "what was read again is not what was written, from the offset given on or behind it");
    return differs(v, end,
                   source ? "the source became shorter" : "the copy is shorter than what was written");
}

static int compare(struct proof *v)
{
    uint64_t end = 0;
    struct fc_reading q = {.fd = v->src,
                           .other = v->dst,
                           .size = v->report->bytes,
                           .drop_cache = v->plan->drop_cache,
                           .chunk = v->plan->read_chunk,
                           .before = v->before,
                           .total = v->total,
                           .workers = v->plan->readers};
    int rc = fc_reading_run(&q, v->hooks, v->report, &end);
    if (rc != 0 || end == v->report->bytes)
        return rc;
    return differs(v, end, "the first different byte is at the offset given");
}

/* ---- the medium ------------------------------------------------------------------------------- */

static int cannot_ask(struct proof *v, const char *why)
{
    v->report->error = (struct fc_error){.err = EOPNOTSUPP,
                                         .code = FC_COPY_E_UNSUPPORTED,
                                         .op = -1,
                                         .engine = FC_ENGINE_NONE,
                                         .at = FC_AT_DESTINATION,
                                         .why = why};
    return -EOPNOTSUPP;
}

static const char in_memory[] =
    "verify=media: the copy can neither be read past the page cache here nor be dropped from it";

/* Out of memory with it, so that whoever reads next must ask the medium. */
static int drop_pages(struct proof *v, uint64_t *left)
{
    uint64_t dirty = 0;
    fc_sys_fadvise(v->dst, 0, 0, POSIX_FADV_DONTNEED); /* whether it did anything is seen below */
    return fc_sys_residency(v->dst, 0, v->report->bytes, left, &dirty);
}

/* An overlay hands on to the filesystem below, which may be memory, and takes O_DIRECT there too; and its own cache
 * is always empty. What has a medium below says how it wants to be read (ext4 and XFS do, from Linux 6.1 on). */
static bool hides_its_medium(int fd, int fs)
{
    uint32_t memory, block;
    return fs == FC_FS_overlay && (fc_sys_dio_align(fd, &memory, &block) != 0 || block == 0);
}

/* A direct read need not be one: Btrfs reads what has checksums through the page cache after all (since Linux
 * 6.18), and takes O_DIRECT without a word. ext4 and XFS are known to go to the medium whatever is in memory. */
static bool reads_directly(int fs)
{
    return fs == FC_FS_ext4 || fs == FC_FS_xfs;
}

static int read_medium(struct proof *v)
{
    uint64_t left = 0;
    uint32_t memory = 0, block = 0;
    int fs = fc_filesystem_of(v->dst);
    if (hides_its_medium(v->dst, fs))
        return cannot_ask(v, "verify=media: this overlay does not say what its files lie on");
    int rc = fc_job_sync(v->plan, FC_SYNC_DATA, v->dst, v->hooks, v->report);
    if (rc != 0)
        return rc;
    int seen = drop_pages(v, &left);
    if ((seen != 0 || left != 0) && !reads_directly(fs))
        return cannot_ask(v, in_memory);
    if (fc_sys_dio_align(v->dst, &memory, &block) != 0)
        block = 4096; /* nobody says: a page suits every device known */
    if (block != 0 && block < 4096)
        block = 4096;
    if (block != 0 && fc_sys_set_direct(v->dst, true) == 0) {
        uint64_t before = v->before;
        rc = read_end(v, FC_DIGEST_REREAD, block);
        if (rc == -EOWNERDEAD)
            return rc; /* the parent shares the descriptor's flags, and still reads */
        fc_sys_set_direct(v->dst, false);
        if (rc != -EINVAL)
            return rc;
        v->before = before; /* the flag is taken, the reading is not: some filesystems are like that */
        v->report->error = (struct fc_error){.op = -1, .engine = FC_ENGINE_NONE};
        seen = drop_pages(v, &left);
    }
    if (seen != 0 || left != 0)
        return cannot_ask(v, in_memory);
    return read_end(v, FC_DIGEST_REREAD, 0);
}

/* ---- together --------------------------------------------------------------------------------- */

/* Finish the digests. By their owner: a hasher may be the user's. */
static int agree(struct proof *v)
{
    pid_t pid = getpid();
    int same = v->hooks->agree(v->hooks->arg);
    if (getpid() != pid)
        return fc_forked(&v->report->error);
    if (same > 0)
        return 0;
    if (same == 0)
        return differs(v, 0, "the digest of the copy is not that of its source");
    fail(v, -ECANCELED, FC_OP_memory);
    return -ECANCELED;
}

static int prove_by_digests(struct proof *v)
{
    bool media = v->plan->verify == FC_VERIFY_MEDIA;
    int rc = 0;
    v->report->both_read = v->report->digest_of != FC_DIGEST_WRITTEN;
    if (v->report->both_read) {
        v->total += v->report->bytes;
        rc = read_end(v, FC_DIGEST_WRITTEN, 0);
    }
    if (rc == 0)
        rc = media ? read_medium(v) : read_end(v, FC_DIGEST_REREAD, 0);
    if (rc != 0)
        return rc;
    if (v->report->both_read)
        v->report->digest_of = FC_DIGEST_REREAD;
    return 0;
}

static int prove(struct proof *v)
{
    const struct fc_plan *p = v->plan;
    int rc = 0;
    if (p->verify != FC_VERIFY_NONE)
        rc = check_length(v);
    if (rc != 0)
        return rc;
    if (p->verify == FC_VERIFY_HASH || p->verify == FC_VERIFY_MEDIA)
        return prove_by_digests(v);
    if (p->digest && v->report->digest_of == FC_DIGEST_NONE) {
        v->total += p->verify == FC_VERIFY_COMPARE ? v->report->bytes : 0;
        rc = read_end(v, FC_DIGEST_REREAD, 0);
        if (rc == 0)
            v->report->digest_of = FC_DIGEST_REREAD;
    }
    return rc == 0 && p->verify == FC_VERIFY_COMPARE ? compare(v) : rc;
}

int fc_verify(const struct fc_plan *p, int src_fd, int dst_fd, const struct fc_hooks *h, struct fc_report *r)
{
    struct proof v = {.plan = p, .src = src_fd, .dst = dst_fd, .hooks = h, .report = r, .total = r->bytes};
    if (p->verify == FC_VERIFY_NONE && !p->digest)
        return 0;
    uint64_t began = fc_now_ns();
    int rc = p->digest && !fc_makes_digests(h) ? fail(&v, -EINVAL, FC_OP_memory) : prove(&v);
    if (rc == 0 && p->digest)
        rc = agree(&v);
    if (rc == -EOWNERDEAD)
        return rc;
    r->verify_ns = fc_now_ns() - began;
    r->verified = rc == 0 && p->verify != FC_VERIFY_NONE;
    /* Not EBADMSG alone: that is also what XFS and ext4 answer where their own checksums do not fit. */
    if (r->error.code == FC_VERIFY_E_MISMATCH && p->in_place)
        r->error.why = "the copy differs from its source; it was written in place, so what was there before "
                       "is already overwritten";
    return rc;
}
