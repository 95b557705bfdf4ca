/* sys.c: the table of system calls, and the seam for injected faults. See sys.h. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#ifdef FC_FAULTS
#include "faults.h"
#else
/* Nothing stands between the core and the kernel in a release build. */
static inline int fault(int op, size_t *n)
{
    (void)op;
    (void)n;
    return 0;
}
#endif

/* A signal handler that keeps arriving (a profiler's timer, say) makes a call return EINTR now and then;
 * a call that is interrupted this often in a row is not being interrupted but broken, and says so. */
#define INTERRUPTED_AT_MOST 1000

#define RETRY(type, op, n, call)                                                                             \
    do {                                                                                                     \
        for (int tries = 0;; tries++) {                                                                      \
            type rc = (type)fault(op, n);                                                                    \
            if (rc == 0)                                                                                     \
                rc = (type)(call);                                                                           \
            else                                                                                             \
                errno = (int)-rc, rc = -1;                                                                   \
            if (rc >= 0)                                                                                     \
                return rc;                                                                                   \
            if (errno != EINTR || tries == INTERRUPTED_AT_MOST)                                              \
                return -errno;                                                                               \
        }                                                                                                    \
    } while (0)

int fc_sys_open(int dir, const char *path, int flags, unsigned mode)
{
    RETRY(int, FC_OP_open, NULL, openat(dir, path, flags | O_CLOEXEC, mode));
}

unsigned fc_sys_descriptors_left(unsigned enough)
{
    enum { AT_ONCE = 256 };
    struct pollfd asked[AT_ONCE];
    struct rlimit limit;
    unsigned left = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return enough;
    /* From above: the kernel gives out the lowest first, so what is free is there, if anywhere. poll() says of many
     * at once which are closed. */
    int above = limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
    while (above > 0 && left < enough) {
        unsigned n = 0;
        for (; n < AT_ONCE && n < enough - left && above > 0; n++)
            asked[n] = (struct pollfd){.fd = --above};
        if (poll(asked, n, 0) < 0)
            return enough;
        for (unsigned i = 0; i < n; i++)
            left += (asked[i].revents & POLLNVAL) != 0;
    }
    return left;
}

int fc_sys_close(int fd)
{
    /* The descriptor is gone whatever close() says, so it is never made again, and an injected failure
     * stands for one that the kernel reports after the fact (NFS and quotas write back here). */
    int injected = fault(FC_OP_close, NULL);
    if (close(fd) != 0 && errno != EINTR)
        return -errno;
    return injected == -EINTR ? 0 : injected;
}

int fc_sys_fstat(int fd, struct stat *st)
{
    RETRY(int, FC_OP_fstat, NULL, fstat(fd, st));
}

int fc_sys_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    RETRY(int, FC_OP_fstatat, NULL, fstatat(dir, path, st, flags));
}

/* The kernel's struct statx as far as Linux 6.1 filled it: the headers of many distributions end before the
 * alignments. */
struct statx_answer {
    uint32_t mask, block_size;
    uint64_t attributes;
    char before[136];
    uint32_t dio_memory, dio_offset;
    char after[96];
};
_Static_assert(sizeof(struct statx_answer) == 256, "struct statx");
#define STATX_ALIGNMENTS  0x2000U /* STATX_DIOALIGN */
#define STATX_DONT_SYNC   0x4000  /* AT_STATX_DONT_SYNC: no server is asked */
#define STATX_APPEND_ONLY 0x20    /* STATX_ATTR_APPEND */

static int statx_fd(int fd, int flags, unsigned mask, struct statx_answer *sx)
{
    RETRY(int, FC_OP_statx, NULL, syscall(SYS_statx, fd, "", AT_EMPTY_PATH | flags, mask, sx));
}

bool fc_sys_keeps_names(int dir)
{
    struct statx_answer sx;
    return statx_fd(dir, STATX_DONT_SYNC, 0, &sx) == 0 && (sx.attributes & STATX_APPEND_ONLY) != 0;
}

int fc_sys_dio_align(int fd, uint32_t *memory, uint32_t *offset)
{
    struct statx_answer sx;
    *memory = *offset = 0;
    int rc = statx_fd(fd, 0, STATX_ALIGNMENTS, &sx);
    if (rc != 0)
        return rc;
    if (!(sx.mask & STATX_ALIGNMENTS))
        return -ENODATA; /* before Linux 6.1, and filesystems that never learnt to answer */
    *memory = sx.dio_memory;
    *offset = sx.dio_offset;
    return 0;
}

int fc_sys_fstatfs(int fd, struct statfs *sf)
{
    RETRY(int, FC_OP_fstatfs, NULL, fstatfs(fd, sf));
}

ssize_t fc_sys_pread(int fd, void *buf, size_t n, uint64_t off)
{
    if (n > FC_IO_MAX)
        n = FC_IO_MAX;
    RETRY(ssize_t, FC_OP_pread, &n, pread(fd, buf, n, (off_t)off));
}

ssize_t fc_sys_pwrite(int fd, const void *buf, size_t n, uint64_t off)
{
    if (n > FC_IO_MAX)
        n = FC_IO_MAX;
    RETRY(ssize_t, FC_OP_pwrite, &n, pwrite(fd, buf, n, (off_t)off));
}

ssize_t fc_sys_copy_file_range(int in, uint64_t in_off, int out, uint64_t out_off, size_t n)
{
    loff_t i = (loff_t)in_off, o = (loff_t)out_off;
    if (n > FC_IO_MAX)
        n = FC_IO_MAX;
    RETRY(ssize_t, FC_OP_copy_file_range, &n, syscall(SYS_copy_file_range, in, &i, out, &o, n, 0U));
}

int fc_sys_ficlone(int dst, int src)
{
    RETRY(int, FC_OP_ficlone, NULL, ioctl(dst, FICLONE, src));
}

int fc_sys_fallocate(int fd, uint64_t off, uint64_t n)
{
    RETRY(int, FC_OP_fallocate, NULL, fallocate(fd, 0, (off_t)off, (off_t)n));
}

int fc_sys_punch_hole(int fd, uint64_t off, uint64_t n)
{
    RETRY(int, FC_OP_punch_hole, NULL,
          fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n));
}

int fc_sys_ftruncate(int fd, uint64_t size)
{
    RETRY(int, FC_OP_ftruncate, NULL, ftruncate(fd, (off_t)size));
}

int64_t fc_sys_seek_data(int fd, uint64_t off)
{
    RETRY(int64_t, FC_OP_seek_data, NULL, lseek(fd, (off_t)off, SEEK_DATA));
}

int64_t fc_sys_seek_hole(int fd, uint64_t off)
{
    RETRY(int64_t, FC_OP_seek_hole, NULL, lseek(fd, (off_t)off, SEEK_HOLE));
}

static int map(int fd, uint64_t off, size_t n, int prot, void **out)
{
    RETRY(int, FC_OP_mmap, NULL,
          (*out = mmap(NULL, n, prot, MAP_SHARED, fd, (off_t)off)) == MAP_FAILED ? -1 : 0);
}

int fc_sys_mmap(int fd, uint64_t off, size_t n, bool writable, void **out)
{
    return map(fd, off, n, writable ? PROT_READ | PROT_WRITE : PROT_READ, out);
}

void fc_sys_munmap(void *p, size_t n)
{
    munmap(p, n);
}

ssize_t fc_sys_copy_mapped(void *to, const void *from, size_t n)
{
    union {
        const void *in;
        void *out;
    } source = {from}; /* iovec has no const */
    struct iovec local = {to, n}, remote = {source.out, n};
    RETRY(ssize_t, FC_OP_process_vm_readv, &n,
          (local.iov_len = remote.iov_len = n, process_vm_readv(getpid(), &local, 1, &remote, 1, 0)));
}

int fc_sys_sync_file_range(int fd, uint64_t off, uint64_t n, unsigned flags)
{
    RETRY(int, FC_OP_sync_file_range, NULL, sync_file_range(fd, (off_t)off, (off_t)n, flags));
}

int fc_sys_fadvise(int fd, uint64_t off, uint64_t n, int advice)
{
    int rc = fault(FC_OP_fadvise, NULL);
    return rc != 0 ? rc : -posix_fadvise(fd, (off_t)off, (off_t)n, advice);
}

/* Not in the kernel headers of every distribution that we build on. */
#ifndef SYS_cachestat
#define SYS_cachestat 451 /* one number on every architecture: calls since 5.1 share their table */
#endif

static int cachestat(int fd, uint64_t off, uint64_t n, uint64_t out[5])
{
    uint64_t range[2] = {off, n};
    RETRY(int, FC_OP_cachestat, NULL, syscall(SYS_cachestat, fd, range, out, 0U));
}

static int mincore_range(void *p, size_t n, unsigned char *vec)
{
    RETRY(int, FC_OP_mincore, NULL, mincore(p, n, vec));
}

int fc_sys_residency(int fd, uint64_t off, uint64_t n, uint64_t *resident, uint64_t *dirty)
{
    enum { NR_CACHE, NR_DIRTY, NR_WRITEBACK, NR_EVICTED, NR_RECENTLY_EVICTED, NR_COUNT };
    uint64_t cs[NR_COUNT];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *resident = *dirty = 0;
    if (n == 0)
        return 0; /* to cachestat a length of 0 means the whole file */
    int rc = cachestat(fd, off, n, cs);
    if (rc == 0) {
        *resident = cs[NR_CACHE] * page;
        *dirty = (cs[NR_DIRTY] + cs[NR_WRITEBACK]) * page;
        return 0;
    }
    if (rc != -ENOSYS && rc != -EPERM) /* older kernels; seccomp filters that never heard of it */
        return rc;
    for (uint64_t at = off, end = off + n; at < end; at += 64 * FC_MIB) {
        size_t len = (size_t)(end - at < 64 * FC_MIB ? end - at : 64 * FC_MIB);
        unsigned char vec[64 * FC_MIB / 4096];
        void *p;
        rc = fc_sys_mmap(fd, at, len, false, &p);
        if (rc != 0)
            return rc;
        rc = mincore_range(p, len, vec);
        fc_sys_munmap(p, len);
        if (rc != 0)
            return rc;
        for (size_t i = 0; i < (len + page - 1) / page; i++)
            *resident += (vec[i] & 1) ? page : 0;
    }
    *dirty = *resident; /* nobody says that they are not */
    return 0;
}

int fc_sys_fsync(int fd)
{
    RETRY(int, FC_OP_fsync, NULL, fsync(fd));
}

int fc_sys_fdatasync(int fd)
{
    RETRY(int, FC_OP_fdatasync, NULL, fdatasync(fd));
}

int fc_sys_syncfs(int fd)
{
    RETRY(int, FC_OP_syncfs, NULL, syncfs(fd));
}

int fc_sys_set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
    RETRY(int, FC_OP_fcntl, NULL, fcntl(fd, F_SETFL, flags));
}

/* From xfs_fs.h, whose package is not on every machine that builds: XFS_IOC_FSGEOMETRY. The numbers are
 * part of the kernel's promise to user space. */
int fc_sys_xfs_has_reflink(int fd)
{
    struct {
        uint32_t blocksize, rtextsize, agblocks, agcount, logblocks, sectsize, inodesize, imaxpct;
        uint64_t datablocks, rtblocks, rtextents, logstart;
        unsigned char uuid[16];
        uint32_t sunit, swidth;
        int32_t version;
        uint32_t flags;
        char rest[160];
    } geometry;
    _Static_assert(sizeof geometry == 256, "struct xfs_fsop_geom");
    enum { REFLINK = 1 << 20 };
    RETRY(int, FC_OP_ioctl, NULL,
          ioctl(fd, _IOC(_IOC_READ, 'X', 126, 256), &geometry) != 0 ? -1 : (geometry.flags & REFLINK) != 0);
}

int fc_sys_fchmod(int fd, unsigned mode)
{
    RETRY(int, FC_OP_fchmod, NULL, fchmod(fd, mode));
}

int fc_sys_chmod_path(int path_fd, unsigned mode)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
    RETRY(int, FC_OP_fchmod, NULL, chmod(path, mode));
}

int fc_sys_fchown(int fd, uint32_t uid, uint32_t gid)
{
    RETRY(int, FC_OP_fchown, NULL, fchown(fd, uid, gid));
}

int fc_sys_futimens(int fd, const struct timespec ts[2])
{
    RETRY(int, FC_OP_futimens, NULL, futimens(fd, ts));
}

ssize_t fc_sys_flistxattr(int fd, char *buf, size_t n)
{
    RETRY(ssize_t, FC_OP_flistxattr, NULL, flistxattr(fd, buf, n));
}

ssize_t fc_sys_fgetxattr(int fd, const char *name, void *buf, size_t n)
{
    RETRY(ssize_t, FC_OP_fgetxattr, NULL, fgetxattr(fd, name, buf, n));
}

int fc_sys_fsetxattr(int fd, const char *name, const void *buf, size_t n)
{
    RETRY(int, FC_OP_fsetxattr, NULL, fsetxattr(fd, name, buf, n, 0));
}

int fc_sys_fremovexattr(int fd, const char *name)
{
    RETRY(int, FC_OP_fremovexattr, NULL, fremovexattr(fd, name));
}

int fc_sys_random(void *buf, size_t n)
{
    RETRY(int, FC_OP_getrandom, NULL, getrandom(buf, n, 0) < 0 ? -1 : 0); /* up to 256 bytes come whole */
}

int fc_sys_flush(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : fc_sys_close(copy);
}

static int linkat_retry(int from, const char *path, int dir, const char *name, int flags)
{
    RETRY(int, FC_OP_linkat, NULL, linkat(from, path, dir, name, flags));
}

int fc_sys_link_fd(int fd, int dir, const char *name)
{
    /* The descriptor itself, given CAP_DAC_READ_SEARCH or Linux 6.10; else through /proc, whose names take
     * a sixth of the making of a small file to resolve. */
    int rc = linkat_retry(fd, "", dir, name, AT_EMPTY_PATH);
    if (rc != -ENOENT)
        return rc;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat_retry(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

int fc_sys_linkat(int from_dir, const char *from, int dir, const char *name)
{
    return linkat_retry(from_dir, from, dir, name, 0);
}

int fc_sys_renameat(int dir, const char *from, const char *to)
{
    RETRY(int, FC_OP_renameat, NULL, renameat(dir, from, dir, to));
}

int fc_sys_rename_fresh(int dir, const char *from, const char *to)
{
    enum { NOREPLACE = 1 }; /* RENAME_NOREPLACE, which older headers do not have */
    RETRY(int, FC_OP_renameat, NULL, (int)syscall(SYS_renameat2, dir, from, dir, to, NOREPLACE));
}

int fc_sys_unlinkat(int dir, const char *name)
{
    RETRY(int, FC_OP_unlinkat, NULL, unlinkat(dir, name, 0));
}

/* Raw: readdir() would keep a buffer and a lock for each directory, and its stream is not for several threads. */
ssize_t fc_sys_getdents(int dir, void *buf, size_t n)
{
    RETRY(ssize_t, FC_OP_getdents, NULL, syscall(SYS_getdents64, dir, buf, n));
}

int fc_sys_mkdirat(int dir, const char *name, unsigned mode)
{
    RETRY(int, FC_OP_mkdirat, NULL, mkdirat(dir, name, mode));
}

ssize_t fc_sys_readlinkat(int dir, const char *name, char *buf, size_t n)
{
    RETRY(ssize_t, FC_OP_readlinkat, NULL, readlinkat(dir, name, buf, n));
}

int fc_sys_symlinkat(const char *target, int dir, const char *name)
{
    RETRY(int, FC_OP_symlinkat, NULL, symlinkat(target, dir, name));
}

int fc_sys_mknodat(int dir, const char *name, unsigned mode, uint64_t device)
{
    RETRY(int, FC_OP_mknodat, NULL, mknodat(dir, name, mode, (dev_t)device));
}

int fc_sys_fchownat(int dir, const char *name, uint32_t uid, uint32_t gid)
{
    RETRY(int, FC_OP_fchownat, NULL, fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

int fc_sys_utimensat(int dir, const char *name, const struct timespec ts[2])
{
    RETRY(int, FC_OP_utimensat, NULL, utimensat(dir, name, ts, AT_SYMLINK_NOFOLLOW));
}

int fc_sys_thread(pthread_t *t, void *(*body)(void *), void *arg)
{
    /* A worker's frames are small; the default of 8 MiB counts against address-space limits. */
    enum { STACK = 256 * 1024 };
    int rc = fault(FC_OP_thread, NULL);
    if (rc != 0)
        return rc;
    /* A thread inherits the mask. Asynchronous signals belong to the threads of the host program; the
     * synchronous ones stay open, for the kernel kills a process whose faulting thread blocks them. */
    sigset_t block, before;
    sigfillset(&block);
    sigdelset(&block, SIGBUS);
    sigdelset(&block, SIGSEGV);
    sigdelset(&block, SIGFPE);
    sigdelset(&block, SIGILL);
    sigdelset(&block, SIGSYS); /* a sandbox that answers calls in a handler */
    sigdelset(&block, SIGTRAP);
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    pthread_attr_setstacksize(&attr, STACK);
    pthread_sigmask(SIG_SETMASK, &block, &before);
    rc = pthread_create(t, &attr, body, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

#define HUGE_PAGE ((size_t)2 * 1024 * 1024)

int fc_sys_memory(size_t n, bool direct, void **out)
{
    int rc = fault(FC_OP_memory, NULL);
    if (rc != 0)
        return rc;
    if (!direct) { /* the heap hands back pages that were touched before: no fault for each of them */
        size_t align = n >= HUGE_PAGE ? HUGE_PAGE : (size_t)sysconf(_SC_PAGESIZE);
        rc = -posix_memalign(out, align, n);
        if (rc == 0 && n >= HUGE_PAGE)
            madvise(*out, n / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish, that spares 512 faults each */
        return rc;
    }
    *out = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*out == MAP_FAILED)
        return -errno;
    /* A fork during a direct read would leave the page with the child and the data with nobody
     * (kernels before 5.19 copied on the parent's next write): such memory is not inherited. */
    if (madvise(*out, n, MADV_DONTFORK) != 0) {
        rc = -errno;
        munmap(*out, n);
        return rc;
    }
    return 0;
}

void fc_sys_memory_free(void *p, size_t n, bool direct)
{
    if (p == NULL)
        return;
    if (direct)
        munmap(p, n);
    else
        free(p);
}

uint64_t fc_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}
