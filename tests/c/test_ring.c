/* A digest on the way: whatever happens to a copy, what was fed to the hasher is what is in the destination, in order;
 * or nobody says that it was. */
#include "digests.h"
#include "sys.h"

#include <pthread.h>

#ifdef __SANITIZE_THREAD__ /* it takes ten times as long over each byte */
#define SIZE (FC_MIB + 12345)
#else
#define SIZE (6 * FC_MIB + 12345)
#endif

static const int engines[] = {FC_ENGINE_NONE, FC_ENGINE_buffered, FC_ENGINE_direct, FC_ENGINE_mapped,
                              FC_ENGINE_copy_range};

static struct fc_options options(int engine, unsigned workers)
{
    struct fc_options o = options_for(engine, workers);
    o.digest = true;
    return o;
}

static int copy(const char *from, const struct fc_options *o, struct listener *l, struct fc_report *r)
{
    struct fc_request q = {AT_FDCWD, from, AT_FDCWD, "copy", true, false};
    struct fc_hooks h = hooks_of(l);
    struct fc_facts f;
    struct fc_plan p;
    memset(r, 0, sizeof *r);
    int rc = fc_transfer_plan(&q, o, &fc_tuning_default, &f, &p, &r->error);
    return rc != 0 ? rc : fc_transfer_run(&q, o, &p, &h, r);
}

static bool refused(int rc, const struct fc_report *r)
{
    return rc == -EOPNOTSUPP && r->error.code == FC_COPY_E_UNSUPPORTED;
}

/* Of a copy that is there. */
static void check_digest(const struct listener *l, const struct fc_report *r, const char *name)
{
    CHECK(r->digest_of == FC_DIGEST_WRITTEN || r->digest_of == FC_DIGEST_REREAD);
    CHECK(fed_is_file(&l->of[r->digest_of], name));
}

/* Data and holes of all lengths. */
static void make_sparse(const char *name, uint64_t size)
{
    make_file("data", size, 77);
    size_t n;
    unsigned char *p = read_file("data", &n);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    uint64_t seed = 99;
    for (uint64_t at = 0; at < size;) {
        uint64_t run = 4096 * (1 + next_random(&seed) % 60), left = size - at;
        if (run > left)
            run = left;
        if (next_random(&seed) % 2)
            CHECK(pwrite(fd, p + at, run, (off_t)at) == (ssize_t)run);
        at += run;
    }
    CHECK(close(fd) == 0);
    free(p);
    unlink("data");
}

static void every_engine_feeds_what_it_writes(void)
{
    static const char *const sources[] = {"source", "sparse", "empty", "small"};
    for (unsigned e = 0; e < 5; e++) {
        for (unsigned workers = 1; workers <= 5; workers++) {
            for (unsigned shape = 0; shape < 32; shape++) {
                struct fc_options o = options(engines[e], workers);
                struct listener l = {0};
                struct fc_report r;
                const char *from = sources[(shape + workers) % 4];
                o.atomic = shape & 1;
                o.sparse = shape & 2 ? FC_WHEN_ALWAYS : FC_WHEN_AUTO;
                o.sync =
                    (shape & 4) && workers == 3 ? FC_SYNC_DATA : FC_SYNC_NONE; /* the disk takes its time */
                o.cache = (shape & 8) && workers == 2 ? FC_CACHE_DROP : FC_CACHE_AUTO;
                o.verify = (shape & 16) != 0 ? FC_VERIFY_HASH
                           : shape % 3 == 0  ? FC_VERIFY_COMPARE
                                             : FC_VERIFY_NONE;
                int rc = copy(from, &o, &l, &r);
                if (!refused(rc, &r)) {
                    CHECK(rc == 0);
                    CHECK(same_files(from, "copy"));
                    check_digest(&l, &r, "copy");
                    CHECK(r.verified == (o.verify != FC_VERIFY_NONE));
                }
                forget(&l);
            }
            unlink("copy");
        }
    }
}

/* A hasher that is slower than the copy, and one that must wait for its turn each time. */
static void a_slow_hasher_gets_every_byte(void)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        for (unsigned slow = 0; slow < 4; slow++) {
            struct fc_options o = options(FC_ENGINE_buffered, workers);
            struct listener l = {.wait_us = slow & 1 ? 3000 : 0, .update_us = slow & 2 ? 300 : 0};
            struct fc_report r;
            o.verify = FC_VERIFY_HASH;
            CHECK(copy("large", &o, &l, &r) == 0);
            CHECK(r.digest_of == FC_DIGEST_WRITTEN);
            check_digest(&l, &r, "copy");
            CHECK(same_files("large", "copy"));
            forget(&l);
            unlink("copy");
        }
    }
}

/* The number of calls that all goes well with. */
static void a_hook_that_says_no_ends_it(void)
{
    int before = open_descriptors();
    for (unsigned e = 0; e < 5; e++) {
        for (unsigned workers = 1; workers <= 4; workers += 3) {
            for (unsigned nth = 1; nth < 60; nth += nth < 8 ? 1 : 7) {
                struct fc_options o = options(engines[e], workers);
                struct listener l = {.fail_at = nth};
                struct fc_report r;
                o.verify = FC_VERIFY_HASH;
                int rc = copy("source", &o, &l, &r);
                if (!refused(rc, &r)) {
                    CHECK(l.calls < nth ? rc == 0 : rc == -ECANCELED);
                    CHECK((access("copy", F_OK) == 0) == (rc == 0));
                    CHECK(rc == 0 || r.error.err == ECANCELED);
                }
                CHECK(open_descriptors() == before);
                forget(&l);
                unlink("copy");
            }
        }
    }
}

static struct fc_plan plan_of(int first, int then, unsigned workers, uint64_t size)
{
    return (struct fc_plan){.ladder = {first, then},
                            .rungs = then == FC_ENGINE_NONE ? 1 : 2,
                            .workers = workers,
                            .readers = workers,
                            .split_depth = 5,
                            .min_region = 128 * FC_KIB,
                            .chunk = 64 * FC_KIB,
                            .read_chunk = 256 * FC_KIB,
                            .window = 256 * FC_KIB,
                            .align = 4096,
                            .flush_every = 2,
                            .size = size,
                            .believed = true,
                            .digest = true,
                            .in_place = true,
                            .to_eof = true,
                            .keep_blocks = true};
}

/* Copy in place between descriptors, and verify as the plan says. */
static int copy_in_place(const char *from, const struct fc_plan *p, struct listener *l, struct fc_report *r)
{
    struct fc_hooks h = hooks_of(l);
    struct stat st;
    int src = open(from, O_RDONLY), dst = open("copy", O_RDWR | O_CREAT, 0644);
    CHECK(src >= 0 && dst >= 0 && fstat(dst, &st) == 0);
    *r = (struct fc_report){.engine = FC_ENGINE_NONE};
    int rc = fc_job_run(p, src, dst, (uint64_t)st.st_size, &h, r);
    if (rc == 0)
        rc = fc_verify(p, src, dst, &h, r);
    if (!l->in_child)
        CHECK((fcntl(dst, F_GETFL) & O_DIRECT) == 0 && (fcntl(src, F_GETFL) & O_DIRECT) == 0);
    CHECK(close(src) == 0 && close(dst) == 0);
    return rc;
}

struct kept {
    struct fc_memory *memory;
    const unsigned char *p;
    size_t n;
};

static int begin_nothing(void *arg, enum fc_digest which)
{
    (void)arg, (void)which;
    return 0;
}

static int keep_the_first(void *arg, struct fc_feed *f)
{
    struct kept *k = arg;
    if (!fc_feed_take(f, &k->p, &k->n))
        return 0;
    k->memory = fc_feed_keep(f);
    return 1;
}

static int agree_to_nothing(void *arg)
{
    (void)arg;
    return -1;
}

static void what_is_kept_outlives_the_copy(void)
{
    static const char *const sources[] = {"source", "small"};
    for (unsigned e = 0; e < 4; e++) {
        for (unsigned i = 0; i < 2; i++) {
            struct fc_options o = options(engines[e], 1 + e % 3);
            struct fc_request q = {AT_FDCWD, sources[i], AT_FDCWD, "copy", true, false};
            struct kept k = {0};
            struct fc_hooks h = {
                .arg = &k, .begin = begin_nothing, .feed = keep_the_first, .agree = agree_to_nothing};
            struct fc_facts f;
            struct fc_plan p;
            struct fc_report r = {0};
            int rc = fc_transfer_plan(&q, &o, &fc_tuning_default, &f, &p, &r.error);
            if (rc == 0)
                rc = fc_transfer_run(&q, &o, &p, &h, &r);
            if (refused(rc, &r))
                continue;
            CHECK(rc == -ECANCELED && k.memory != NULL && access("copy", F_OK) != 0);
            size_t n;
            unsigned char *source = read_file(sources[i], &n);
            CHECK(k.n > 0 && k.n <= n && memcmp(k.p, source, k.n) == 0);
            free(source);
            fc_memory_drop(k.memory);
        }
    }
}

static void a_hand_over_feeds_every_byte_once(void)
{
    static const struct {
        int from, op, err;
    } cases[] = {{FC_ENGINE_direct, FC_OP_pread, EINVAL},
                 {FC_ENGINE_direct, FC_OP_pwrite, EINVAL},
                 {FC_ENGINE_direct, FC_OP_fcntl, EINVAL},
                 {FC_ENGINE_mapped, FC_OP_mmap, ENODEV},
                 {FC_ENGINE_mapped, FC_OP_process_vm_readv, EPERM},
                 {FC_ENGINE_copy_range, FC_OP_copy_file_range, EXDEV},
                 {FC_ENGINE_clone, FC_OP_ficlone, EXDEV}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned nth = 1; nth < 40; nth += 3) {
            for (unsigned workers = 1; workers <= 4; workers += 3) {
                const char *from = nth % 2 ? "source" : "sparse";
                struct fc_plan p = plan_of(cases[i].from, FC_ENGINE_buffered, workers, SIZE);
                struct fc_fault fault = {cases[i].op, cases[i].op == FC_OP_fcntl ? 1 : nth,
                                         cases[i].op != FC_OP_pread && cases[i].op != FC_OP_pwrite,
                                         FC_FAULT_ERRNO, cases[i].err};
                struct listener l = {0};
                struct fc_report r;
                p.has_holes = nth % 2 == 0;
                p.verify = nth % 4 == 1 ? FC_VERIFY_HASH : FC_VERIFY_NONE;
                CHECK(fc_faults_set(&fault, 1) == 0);
                int rc = copy_in_place(from, &p, &l, &r);
                CHECK(fc_faults_set(NULL, 0) == 0);
                if (rc != -EINVAL) { /* a fault that met the rung below */
                    CHECK(rc == 0);
                    CHECK(same_files(from, "copy"));
                    check_digest(&l, &r, "copy");
                }
                forget(&l);
                unlink("copy");
            }
        }
    }
}

static void a_full_disk_is_tried_again_from_the_first_byte(void)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        for (unsigned nth = 1; nth <= 90; nth += 11) {
            struct fc_plan p = plan_of(FC_ENGINE_buffered, FC_ENGINE_NONE, workers, SIZE);
            struct fc_fault fault = {FC_OP_pwrite, nth, false, FC_FAULT_ERRNO, ENOSPC};
            struct listener l = {0};
            struct fc_report r;
            p.verify = FC_VERIFY_HASH;
            make_file("copy", SIZE + 5000, 5);
            CHECK(fc_faults_set(&fault, 1) == 0);
            CHECK(copy_in_place("source", &p, &l, &r) == 0);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(r.digest_of == FC_DIGEST_WRITTEN && same_files("source", "copy"));
            check_digest(&l, &r, "copy");
            forget(&l);
            unlink("copy");
        }
    }
}

/* ---- a source that does not hold still ---------------------------------------------------------- */

static void make_shorter(void *size)
{
    CHECK(truncate("moving", (off_t) * (uint64_t *)size) == 0);
}

static void make_longer(void *unused)
{
    (void)unused;
    int fd = open("moving", O_WRONLY | O_APPEND);
    static unsigned char more[300 * 1000];
    memset(more, 'x', sizeof more);
    CHECK(fd >= 0 && write(fd, more, sizeof more) == sizeof more && close(fd) == 0);
}

static void write_over(void *unused)
{
    (void)unused;
    int fd = open("moving", O_WRONLY);
    static unsigned char other[SIZE];
    memset(other, 'y', sizeof other);
    CHECK(fd >= 0 && write(fd, other, sizeof other) == SIZE && close(fd) == 0);
}

static void a_source_that_moves_is_fed_as_it_was_copied(void)
{
    static const int in_pieces[] = {FC_ENGINE_buffered, FC_ENGINE_direct, FC_ENGINE_mapped};
    static void (*const meddle[])(void *) = {make_shorter, make_longer, write_over};
    for (unsigned e = 0; e < 3; e++) {
        for (unsigned how = 0; how < 3; how++) {
            for (unsigned workers = 1; workers <= 4; workers += 3) {
                for (uint64_t left = 0; left < SIZE; left += 2345678) {
                    struct fc_plan p = plan_of(in_pieces[e], FC_ENGINE_NONE, workers, SIZE);
                    uint64_t size = left;
                    struct listener l = {.meddle = meddle[how], .meddler = &size, .meddle_at = SIZE / 3};
                    struct fc_report r;
                    make_file("moving", SIZE, 3);
                    p.has_holes = left % 2;
                    int rc = copy_in_place("moving", &p, &l, &r);
                    CHECK(rc == 0);
                    check_digest(&l, &r, "copy");
                    CHECK(how != 1 || same_files("moving", "copy"));
                    forget(&l);
                    unlink("copy");
                }
            }
        }
    }
    unlink("moving");
}

static atomic_bool enough;

static void *truncate_and_fill(void *unused)
{
    uint64_t seed = 4242;
    static unsigned char bytes[64 * 1024];
    (void)unused;
    while (!atomic_load(&enough)) {
        int fd = open("moving", O_WRONLY);
        if (fd < 0)
            continue;
        for (int i = 0; i < 20; i++) {
            memset(bytes, (int)(next_random(&seed) % 256), sizeof bytes);
            if (next_random(&seed) % 4 == 0)
                CHECK(ftruncate(fd, (off_t)(next_random(&seed) % (2 * SIZE))) == 0);
            CHECK(pwrite(fd, bytes, sizeof bytes, (off_t)(next_random(&seed) % SIZE)) == sizeof bytes);
        }
        CHECK(close(fd) == 0);
    }
    return NULL;
}

static void a_source_in_the_hands_of_another_thread(void)
{
    pthread_t t;
    make_file("moving", SIZE, 3);
    atomic_store(&enough, false);
    CHECK(pthread_create(&t, NULL, truncate_and_fill, NULL) == 0);
    for (unsigned i = 0; i < 60; i++) {
        static const int in_pieces[] = {FC_ENGINE_buffered, FC_ENGINE_direct, FC_ENGINE_mapped};
        struct fc_plan p = plan_of(in_pieces[i % 3], FC_ENGINE_NONE, 1 + i % 5, SIZE);
        struct listener l = {0};
        struct fc_report r;
        p.find_zeros = i % 7 == 0;
        p.has_holes = i % 2;
        int rc = copy_in_place("moving", &p, &l, &r);
        if (rc == 0)
            check_digest(&l, &r, "copy");
        else /* direct: a last block that is no block any more */
            CHECK(rc == -EOPNOTSUPP);
        forget(&l);
        if (i % 5 == 0)
            unlink("copy");
    }
    atomic_store(&enough, true);
    CHECK(pthread_join(t, NULL) == 0);
    unlink("copy");
    unlink("moving");
}

/* ---- less than was asked for -------------------------------------------------------------------- */

static void without_threads_or_memory(void)
{
    static const int ops[] = {FC_OP_thread, FC_OP_memory};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned nth = 1; nth <= 4; nth++) {
            struct fc_options o = options(FC_ENGINE_buffered, 4);
            struct listener l = {0};
            struct fc_report r;
            struct fc_fault fault = {ops[i], nth, nth % 2, FC_FAULT_ERRNO,
                                     ops[i] == FC_OP_memory ? ENOMEM : EAGAIN};
            o.verify = nth > 2 ? FC_VERIFY_HASH : FC_VERIFY_NONE;
            CHECK(fc_faults_set(&fault, 1) == 0);
            int rc = copy("source", &o, &l, &r);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(rc == 0 || (ops[i] == FC_OP_memory && rc == -ENOMEM));
            if (rc == 0)
                check_digest(&l, &r, "copy");
            forget(&l);
            unlink("copy");
        }
    }
}

static void no_fault_is_lost_and_none_makes_a_false_digest(void)
{
    int before = open_descriptors();
    for (unsigned e = 0; e < 5; e++) {
        for (int op = 0; op < FC_OP_COUNT; op++) {
            for (unsigned nth = 1; nth < 130; nth = nth * 4 + 1) {
                struct fc_options o = options(engines[e], 3);
                struct listener l = {0};
                struct fc_report r;
                struct fc_fault fault = {op, nth, ((unsigned)op + nth) % 2, FC_FAULT_ERRNO, EIO};
                o.verify = op % 4 ? FC_VERIFY_HASH : FC_VERIFY_COMPARE;
                if (op == FC_OP_fdatasync || op == FC_OP_cachestat)
                    o.verify = FC_VERIFY_MEDIA;
                CHECK(fc_faults_set(&fault, 1) == 0);
                int rc = copy("source", &o, &l, &r);
                CHECK(fc_faults_set(NULL, 0) == 0);
                if (rc == 0) {
                    CHECK(same_files("source", "copy"));
                    check_digest(&l, &r, "copy");
                } else if (!refused(rc, &r)) {
                    /* A flag that could be set and cannot be taken off again shows in the next read. */
                    bool stuck = op == FC_OP_fcntl && rc == -EINVAL;
                    CHECK(rc == -EIO || rc == -EOPNOTSUPP || stuck);
                    CHECK(r.error.err == -rc && access("copy", F_OK) != 0);
                }
                CHECK(open_descriptors() == before);
                forget(&l);
                unlink("copy");
            }
        }
    }
}

static void short_answers_are_gone_on_from(void)
{
    static const int in_pieces[] = {FC_ENGINE_buffered, FC_ENGINE_mapped};
    for (unsigned e = 0; e < 2; e++) {
        for (unsigned nth = 1; nth < 30; nth += 4) {
            struct fc_options o = options(in_pieces[e], 1 + nth % 4);
            struct listener l = {0};
            struct fc_report r;
            struct fc_fault faults[] = {{FC_OP_pread, nth, true, FC_FAULT_SHORT, 5000},
                                        {FC_OP_pwrite, nth, true, FC_FAULT_SHORT, 3001},
                                        {FC_OP_process_vm_readv, nth, true, FC_FAULT_SHORT, 7003}};
            o.verify = nth % 8 == 1 ? FC_VERIFY_HASH : FC_VERIFY_COMPARE;
            CHECK(fc_faults_set(faults, 3) == 0);
            int rc = copy("source", &o, &l, &r);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(rc == 0 && same_files("source", "copy"));
            check_digest(&l, &r, "copy");
            forget(&l);
            unlink("copy");
        }
    }
}

/* The child gets its error, closes what it inherited, and touches neither lock nor file. */
#ifndef __SANITIZE_THREAD__
static void a_fork_in_any_hook_leaves_the_copy_alone(void)
{
    for (unsigned e = 0; e < 5; e++) {
        for (unsigned nth = 1; nth < 24; nth++) {
            struct fc_options o = options(engines[e], 1 + nth % 3);
            struct listener l = {.fork_at = nth};
            struct fc_report r;
            const char *from = nth % 5 == 4 ? "small" : "source";
            o.verify = nth % 4 ? FC_VERIFY_HASH : FC_VERIFY_MEDIA;
            if (nth % 5 == 4)
                o.workers = 0;
            int rc = copy(from, &o, &l, &r);
            if (l.in_child)
                _exit(rc == -EOWNERDEAD && r.error.err == EOWNERDEAD ? 0 : 1);
            if (!refused(rc, &r)) {
                CHECK(rc == 0);
                check_digest(&l, &r, "copy");
                CHECK(same_files(from, "copy"));
            }
            forget(&l);
            unlink("copy");
        }
    }
}
#endif

int main(void)
{
    work_in_new_directory();
    make_file("source", SIZE, 1);
    make_file("large", 3 * SIZE + 1, 2);
    make_file("small", 1000, 3);
    make_file("empty", 0, 4);
    make_sparse("sparse", SIZE);
    every_engine_feeds_what_it_writes();
    a_slow_hasher_gets_every_byte();
    a_hook_that_says_no_ends_it();
    what_is_kept_outlives_the_copy();
    a_hand_over_feeds_every_byte_once();
    a_full_disk_is_tried_again_from_the_first_byte();
    a_source_that_moves_is_fed_as_it_was_copied();
    a_source_in_the_hands_of_another_thread();
    without_threads_or_memory();
    no_fault_is_lost_and_none_makes_a_false_digest();
    short_answers_are_gone_on_from();
#ifndef __SANITIZE_THREAD__ /* which takes the threads that a child has not for threads that it leaked */
    a_fork_in_any_hook_leaves_the_copy_alone();
#endif
    static const char *const names[] = {"source", "large", "small", "empty", "sparse"};
    for (size_t i = 0; i < 5; i++)
        unlink(names[i]);
    remove_directory_of_work();
    return 0;
}
