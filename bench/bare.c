/* bare.c: the system calls that a copy cannot do without, and nothing else, timed from within.
 * Built by limits.py as a shared library. Each returns nanoseconds, or -errno. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

/* Open, create, read, write, close, close. */
long bare_copy(const char *src, const char *dst, char *buf, unsigned long n)
{
    long began = now();
    int in = open(src, O_RDONLY | O_CLOEXEC);
    int out = open(dst, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (in < 0 || out < 0)
        return -errno;
    ssize_t got = read(in, buf, n);
    if (got < 0 || write(out, buf, (size_t)got) != got || close(in) != 0 || close(out) != 0)
        return -errno;
    return now() - began;
}

/* Open, create, clone, close, close. */
long bare_clone(const char *src, const char *dst)
{
    long began = now();
    int in = open(src, O_RDONLY | O_CLOEXEC);
    int out = open(dst, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (in < 0 || out < 0 || ioctl(out, FICLONE, in) != 0 || close(in) != 0 || close(out) != 0)
        return -errno;
    return now() - began;
}
