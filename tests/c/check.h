/* check.h: what the C tests share: a check that says where it failed, and files to copy. */
#ifndef CHECK_H
#define CHECK_H

#include "fastcopy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* A generator of our own: the same numbers on every machine. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* So that a file of a few MiB has regions, windows and flushes. */
static inline struct fc_options options_for(int engine, unsigned workers)
{
    struct fc_options o;
    fc_options_init(&o);
    o.engine = engine;
    o.workers = workers;
    o.parallel_threshold = 64 * FC_KIB;
    o.min_region = 256 * FC_KIB;
    o.chunk = 64 * FC_KIB;
    o.window = 256 * FC_KIB;
    o.flush_every = 2;
    return o;
}

/* An empty directory in the build folder, which is on a real filesystem, and becomes the working one. */
static inline void work_in_new_directory(void)
{
    char name[] = "check-XXXXXX";
    CHECK(mkdtemp(name) != NULL);
    CHECK(chdir(name) == 0);
}

static inline void remove_directory_of_work(void)
{
    char path[4096];
    CHECK(getcwd(path, sizeof path) != NULL);
    CHECK(chdir("..") == 0);
    CHECK(rmdir(path) == 0); /* it must be empty: nothing may be left behind */
}

static inline void make_file(const char *name, size_t size, uint64_t seed)
{
    unsigned char *p = malloc(size + 8);
    CHECK(p != NULL);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t r = next_random(&seed);
        memcpy(p + i, &r, 8);
    }
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, p, size) == (ssize_t)size);
    CHECK(close(fd) == 0);
    free(p);
}

static inline unsigned char *read_file(const char *name, size_t *size)
{
    struct stat st;
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    *size = (size_t)st.st_size;
    unsigned char *p = malloc(*size + 1);
    CHECK(p != NULL && read(fd, p, *size + 1) == st.st_size);
    close(fd);
    return p;
}

static inline int same_files(const char *a, const char *b)
{
    size_t n, m;
    unsigned char *p = read_file(a, &n), *q = read_file(b, &m);
    int same = n == m && memcmp(p, q, n) == 0;
    free(p);
    free(q);
    return same;
}

static inline int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

#endif
