/* sys.h: every system call of the core, one typed function each.
 *
 * All return a value >= 0 or -errno, and never touch errno's meaning for the caller. Interrupted calls
 * are made again (bounded, see sys.c). Transfers may be short: the callers loop, for only they know what
 * a short count means. In the test build each function first asks the fault script (fc_faults_set).
 */
#ifndef FC_SYS_H
#define FC_SYS_H

#include "fastcopy.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

/* A transfer of more is split: above it some kernels and filesystems cut or overflow. */
#define FC_IO_MAX FC_GIB

int fc_sys_open(int dir, const char *path, int flags, unsigned mode);
int fc_sys_close(int fd);
/* How many more may be opened; not more than `enough` are counted. */
unsigned fc_sys_descriptors_left(unsigned enough);
int fc_sys_fstat(int fd, struct stat *st);
int fc_sys_fstatat(int dir, const char *path, struct stat *st, int flags);
/* Is it a directory (chattr +a) in which a name can be made, and neither be removed nor given to another? */
bool fc_sys_keeps_names(int dir);
/* Alignments of O_DIRECT from statx; 0 in both where it is not offered, -ENODATA where nothing is said. */
int fc_sys_dio_align(int fd, uint32_t *memory, uint32_t *offset);
int fc_sys_fstatfs(int fd, struct statfs *sf);

ssize_t fc_sys_pread(int fd, void *buf, size_t n, uint64_t off);
ssize_t fc_sys_pwrite(int fd, const void *buf, size_t n, uint64_t off);
/* The raw call with both offsets explicit: glibc 2.41 truncated its result, older ones emulated it. */
ssize_t fc_sys_copy_file_range(int in, uint64_t in_off, int out, uint64_t out_off, size_t n);
int fc_sys_ficlone(int dst, int src);

int fc_sys_fallocate(int fd, uint64_t off, uint64_t n); /* raw: glibc's posix_fallocate writes zeros */
int fc_sys_punch_hole(int fd, uint64_t off, uint64_t n);
int fc_sys_ftruncate(int fd, uint64_t size);
int64_t fc_sys_seek_data(int fd, uint64_t off);
int64_t fc_sys_seek_hole(int fd, uint64_t off);

int fc_sys_mmap(int fd, uint64_t off, size_t n, bool writable, void **out);
void fc_sys_munmap(void *p, size_t n);
/* memcpy between our own mappings in which a missing page is an errno, not a SIGBUS. */
ssize_t fc_sys_copy_mapped(void *to, const void *from, size_t n);

int fc_sys_sync_file_range(int fd, uint64_t off, uint64_t n, unsigned flags);
int fc_sys_fadvise(int fd, uint64_t off, uint64_t n, int advice);
/* Resident and dirty bytes of a range of a file: cachestat (6.5), else mincore, which knows the first
 * alone: all may be dirty. */
int fc_sys_residency(int fd, uint64_t off, uint64_t n, uint64_t *resident, uint64_t *dirty);
int fc_sys_fsync(int fd);
int fc_sys_fdatasync(int fd);
int fc_sys_syncfs(int fd);
int fc_sys_set_direct(int fd, bool on);
int fc_sys_xfs_has_reflink(int fd); /* 1, 0 or -errno */

int fc_sys_fchmod(int fd, unsigned mode);
int fc_sys_chmod_path(int path_fd, unsigned mode); /* of an O_PATH descriptor: through /proc */
int fc_sys_fchown(int fd, uint32_t uid, uint32_t gid);
int fc_sys_futimens(int fd, const struct timespec ts[2]);
ssize_t fc_sys_flistxattr(int fd, char *buf, size_t n);
ssize_t fc_sys_fgetxattr(int fd, const char *name, void *buf, size_t n);
int fc_sys_fsetxattr(int fd, const char *name, const void *buf, size_t n);

int fc_sys_fremovexattr(int fd, const char *name);
int fc_sys_random(void *buf, size_t n);
/* What close() would say, without closing: NFS and quotas report a lost write only then. */
int fc_sys_flush(int fd);

int fc_sys_link_fd(int fd, int dir, const char *name); /* give an O_TMPFILE its name */
int fc_sys_renameat(int dir, const char *from, const char *to);
int fc_sys_rename_fresh(int dir, const char *from, const char *to); /* -EEXIST: replaces nothing */
int fc_sys_unlinkat(int dir, const char *name);

/* Directories, and what is neither one nor a regular file. No name is ever followed. */
ssize_t fc_sys_getdents(int dir, void *buf, size_t n);
int fc_sys_mkdirat(int dir, const char *name, unsigned mode);
ssize_t fc_sys_readlinkat(int dir, const char *name, char *buf, size_t n);
int fc_sys_symlinkat(const char *target, int dir, const char *name);
int fc_sys_mknodat(int dir, const char *name, unsigned mode, uint64_t device);
int fc_sys_linkat(int from_dir, const char *from, int dir, const char *name);
int fc_sys_fchownat(int dir, const char *name, uint32_t uid, uint32_t gid);
int fc_sys_utimensat(int dir, const char *name, const struct timespec ts[2]);

int fc_sys_thread(pthread_t *t, void *(*body)(void *), void *arg);
/* Page-aligned private memory; for direct I/O also kept from children, see sys.c. Freed as it was made. */
int fc_sys_memory(size_t n, bool direct, void **out);
void fc_sys_memory_free(void *p, size_t n, bool direct);

uint64_t fc_now_ns(void);

#endif
