/* small.c: a file that fits one buffer. Open files in, no thread, no window: for such files every call
 * that is not a read or a write is overhead. */
#include "job.h"
#include "ring.h"

#include <errno.h>
#include <unistd.h>

/* A worker's and a Python thread's stack have room for it, on musl too (128 KiB). */
#define ON_STACK (16 * 1024)

static int fail(struct fc_report *r, int err, enum fc_op op, enum fc_at at, uint64_t offset)
{
    fc_error_set(&r->error, err, op, at, FC_ENGINE_buffered, offset);
    return err;
}

/* A hook says no, or came back in a child that has no business here. */
static int cancelled(struct fc_report *r, pid_t pid, uint64_t offset)
{
    if (getpid() != pid)
        return fc_forked(&r->error);
    fc_error_set(&r->error, -ECANCELED, FC_OP_memory, FC_AT_BOTH, FC_ENGINE_buffered, offset);
    r->error.op = -1;
    r->error.code = FC_COPY_E_CANCELLED;
    return -ECANCELED;
}

/* Until the file ends: it may hold more than `size` by now, or less, or its size may be a lie. A read that
 * had room for more and brought just what was expected has seen the end; any other is followed by one more. */
static int stream(int src, int dst, unsigned char *buf, size_t n, uint64_t size, uint64_t *at,
                  const struct fc_hooks *digests, struct fc_memory *memory, struct fc_report *r)
{
    const pid_t pid = digests != NULL ? getpid() : 0;
    *at = 0;
    if (digests != NULL && (digests->begin(digests->arg, FC_DIGEST_WRITTEN) != 0 || getpid() != pid))
        return cancelled(r, pid, *at);
    for (;;) {
        ssize_t got = fc_sys_pread(src, buf, n, *at);
        if (got < 0)
            return fail(r, (int)got, FC_OP_pread, FC_AT_SOURCE, *at);
        if (got == 0)
            return 0;
        for (size_t done = 0; done < (size_t)got;) {
            ssize_t put = fc_sys_pwrite(dst, buf + done, (size_t)got - done, *at);
            if (put <= 0)
                return fail(r, put == 0 ? -EIO : (int)put, FC_OP_pwrite, FC_AT_DESTINATION, *at);
            done += (size_t)put;
            *at += (uint64_t)put;
        }
        struct fc_feed f = {.memory = memory, .n = (size_t)got};
        if (digests != NULL && (digests->feed(digests->arg, &f) != 0 || getpid() != pid))
            return cancelled(r, pid, *at);
        if (*at == size && (size_t)got < n)
            return 0;
    }
}

int fc_small_copy(int src, int dst, uint64_t size, uint64_t old_size, const struct fc_hooks *digests,
                  struct fc_report *r)
{
    unsigned char on_stack[ON_STACK];
    unsigned char *buf = on_stack;
    struct fc_memory *memory = NULL; /* of what is too large, or lent to a hasher */
    /* One byte more than the size, so that one read both takes the file and could see it grow. */
    size_t n = size < ON_STACK ? ON_STACK : (size_t)size + 1;
    uint64_t at = 0;
    if (!fc_makes_digests(digests))
        digests = NULL;
    int rc = n > ON_STACK || digests != NULL ? fc_memory_new(n, false, &memory) : 0;
    if (rc != 0)
        return fail(r, rc, FC_OP_memory, FC_AT_BOTH, 0);
    if (memory != NULL)
        buf = memory->p;
    rc = stream(src, dst, buf, n, size, &at, digests, memory, r);
    if ((rc == -ENOSPC || rc == -EDQUOT) && old_size > 0 && fc_sys_ftruncate(dst, 0) == 0) {
        old_size = 0; /* the old blocks may be just what was missing; see run_again_from_empty() */
        rc = stream(src, dst, buf, n, size, &at, digests, memory, r);
    }
    fc_memory_drop(memory);
    if (rc == 0 && (old_size > at || (at == 0 && old_size == 0))) {
        rc = fc_sys_ftruncate(dst, at); /* to nothing, too: it moves the mtime as opening with O_TRUNC does */
        if (rc != 0)
            fail(r, rc, FC_OP_ftruncate, FC_AT_DESTINATION, at);
    } else if (rc != 0 && rc != -EOWNERDEAD && at > 0) {
        fc_sys_ftruncate(dst, at); /* leave the prefix; the first error is the one to tell */
    }
    r->bytes = r->written = at;
    r->engine = FC_ENGINE_buffered;
    r->workers = 1;
    r->regions = r->windows = at > 0;
    r->buffer_bytes = n;
    if (rc == 0 && digests != NULL)
        r->digest_of = FC_DIGEST_WRITTEN;
    if (rc == 0)
        r->attempts[r->attempt_count++] = (struct fc_attempt){FC_ENGINE_buffered, 0, at};
    return rc;
}
