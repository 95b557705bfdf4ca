/* Files that are only read: in order for a digest, two against each other, a copy against its source. */
#include "digests.h"
#include "sys.h"

#include <pthread.h>

#define SIZE (9 * FC_MIB + 4321)

#ifdef __SANITIZE_THREAD__ /* it takes ten times as long over each byte: of the faults, only some */
#define STEP 7
#else
#define STEP 2
#endif

static struct fc_tuning tuning(unsigned workers)
{
    struct fc_tuning t = fc_tuning_default;
    t.parallel_threshold = 64 * FC_KIB;
    t.max_workers = workers;
    return t;
}

static int read_name(const char *name, unsigned workers, struct listener *l, struct fc_report *r)
{
    struct fc_tuning t = tuning(workers);
    struct fc_hooks h = hooks_of(l);
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0);
    int rc = fc_read_in_order(fd, &t, &h, r);
    CHECK(close(fd) == 0);
    return rc;
}

static int compare_names(const char *a, const char *b, unsigned workers, struct listener *l,
                         struct fc_report *r, uint64_t *differs)
{
    struct fc_tuning t = tuning(workers);
    struct fc_hooks h = hooks_of(l);
    int fd = open(a, O_RDONLY), other = open(b, O_RDONLY);
    CHECK(fd >= 0 && other >= 0);
    *differs = 12345;
    int rc = fc_compare_fds(fd, other, &t, &h, r, differs);
    CHECK(close(fd) == 0 && close(other) == 0);
    return rc;
}

static void a_file_is_fed_in_order(void)
{
    static const uint64_t sizes[] = {0, 1, 4095, 65536, 262144, 262145, FC_MIB, SIZE};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned workers = 1; workers <= 5; workers++) {
            struct listener l = {0};
            struct fc_report r;
            make_file("read", sizes[i], i + 1);
            CHECK(read_name("read", workers, &l, &r) == 0);
            CHECK(r.bytes == sizes[i] && fed_is_file(&l.of[FC_DIGEST_WRITTEN], "read"));
            forget(&l);
        }
    }
    unlink("read");
}

static void a_pseudo_file_is_read_to_its_end(void)
{
    struct listener l = {0};
    struct fc_report r;
    CHECK(read_name("/proc/self/status", 2, &l, &r) == 0);
    CHECK(r.bytes > 100 && l.of[FC_DIGEST_WRITTEN].n == r.bytes);
    CHECK(memcmp(l.of[FC_DIGEST_WRITTEN].p, "Name:", 5) == 0);
    forget(&l);
}

static void append(void *unused)
{
    (void)unused;
    static unsigned char more[700 * 1000];
    int fd = open("moving", O_WRONLY | O_APPEND);
    memset(more, 'z', sizeof more);
    CHECK(fd >= 0 && write(fd, more, sizeof more) == sizeof more && close(fd) == 0);
}

static void cut(void *unused)
{
    (void)unused;
    CHECK(truncate("moving", 3000000) == 0);
}

static void a_file_that_moves_ends_where_it_ends(void)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        for (int how = 0; how < 2; how++) {
            struct listener l = {.meddle = how ? cut : append, .meddle_at = 1000};
            struct fc_report r;
            make_file("moving", SIZE, 9);
            CHECK(read_name("moving", workers, &l, &r) == 0);
            CHECK(r.bytes == l.of[FC_DIGEST_WRITTEN].n);
            CHECK(how || (r.bytes == SIZE + 700 * 1000 && fed_is_file(&l.of[FC_DIGEST_WRITTEN], "moving")));
            CHECK(!how || r.bytes >= 3000000);
            forget(&l);
        }
    }
    unlink("moving");
}

static void the_first_difference_is_found(void)
{
    static const uint64_t at[] = {0,      1,      4095,           4096,       65535,         65536,
                                  262143, 262144, 2 * FC_MIB - 1, 2 * FC_MIB, SIZE - FC_MIB, SIZE - 1};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        for (unsigned workers = 1; workers <= 4; workers++) {
            struct listener l = {0};
            struct fc_report r;
            uint64_t differs;
            make_file("a", SIZE, 1);
            make_file("b", SIZE, 1);
            CHECK(compare_names("a", "b", workers, &l, &r, &differs) == 0 && differs == UINT64_MAX);
            int fd = open("b", O_RDWR);
            unsigned char c;
            CHECK(fd >= 0 && pread(fd, &c, 1, (off_t)at[i]) == 1);
            c ^= 1;
            CHECK(pwrite(fd, &c, 1, (off_t)at[i]) == 1);
            if (at[i] + 1000000 < SIZE)
                CHECK(pwrite(fd, "another", 7, (off_t)at[i] + 1000000) == 7);
            CHECK(close(fd) == 0);
            CHECK(compare_names("a", "b", workers, &l, &r, &differs) == 0 && differs == at[i]);
            make_file("b", SIZE, 1);
            CHECK(truncate("b", (off_t)at[i]) == 0);
            CHECK(compare_names("a", "b", workers, &l, &r, &differs) == 0 && differs == at[i]);
            CHECK(compare_names("b", "a", workers, &l, &r, &differs) == 0 && differs == at[i]);
            forget(&l);
        }
    }
    unlink("a");
    unlink("b");
}

static void short_reads_and_faults_make_nothing_equal(void)
{
    make_file("a", SIZE, 1);
    make_file("b", SIZE, 1);
    int fd = open("b", O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "?!", 2, SIZE - 3) == 2 && close(fd) == 0);
    for (unsigned nth = 1; nth < 90; nth += STEP + 1) {
        for (unsigned workers = 1; workers <= 3; workers += 2) {
            struct listener l = {.fail_at = nth % 2 ? 0 : nth / 2};
            struct fc_report r;
            uint64_t differs;
            struct fc_fault fault = {FC_OP_pread, nth, nth % 2, nth % 4 < 2 ? FC_FAULT_SHORT : FC_FAULT_ERRNO,
                                     nth % 4 < 2 ? 777 : EIO};
            CHECK(fc_faults_set(&fault, 1) == 0);
            int rc = compare_names("a", "b", workers, &l, &r, &differs);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(rc == 0 ? differs == SIZE - 3 : rc == -EIO || rc == -ECANCELED);
            CHECK(rc == 0 || r.error.err == -rc);
            forget(&l);
            CHECK(fc_faults_set(&fault, 1) == 0);
            rc = read_name("a", workers, &l, &r);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(rc == 0 ? fed_is_file(&l.of[FC_DIGEST_WRITTEN], "a") : rc == -EIO);
            forget(&l);
        }
    }
    unlink("a");
    unlink("b");
}

/* ---- a copy against its source ------------------------------------------------------------------ */

static struct fc_plan plan_of(enum fc_verify verify, bool digest, unsigned workers)
{
    return (struct fc_plan){.ladder = {FC_ENGINE_buffered},
                            .rungs = 1,
                            .workers = workers,
                            .readers = workers,
                            .chunk = 64 * FC_KIB,
                            .read_chunk = 256 * FC_KIB,
                            .window = FC_MIB,
                            .align = 1,
                            .size = SIZE,
                            .believed = true,
                            .verify = verify,
                            .digest = digest || verify >= FC_VERIFY_HASH};
}

static int verify_names(const struct fc_plan *p, struct listener *l, struct fc_report *r)
{
    struct fc_hooks h = hooks_of(l);
    int src = open("a", O_RDONLY), dst = open("b", O_RDWR);
    CHECK(src >= 0 && dst >= 0);
    *r = (struct fc_report){.bytes = SIZE, .engine = FC_ENGINE_NONE, .workers = 1};
    int rc = fc_verify(p, src, dst, &h, r);
    CHECK((fcntl(dst, F_GETFL) & O_DIRECT) == 0);
    CHECK(close(src) == 0 && close(dst) == 0);
    return rc;
}

static void no_wrong_copy_is_proved(void)
{
    static const uint64_t at[] = {0, 4096, 65535, 4 * FC_MIB + 1, SIZE - 1};
    static const enum fc_verify levels[] = {FC_VERIFY_COMPARE, FC_VERIFY_HASH, FC_VERIFY_MEDIA};
    make_file("a", SIZE, 1);
    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < 5; i++) {
            for (unsigned how = 0; how < 4; how++) { /* right, a byte, shorter, longer */
                struct fc_plan p = plan_of(levels[k], i % 2, 1 + i);
                struct listener l = {0};
                struct fc_report r;
                make_file("b", SIZE, 1);
                int fd = open("b", O_RDWR);
                unsigned char c;
                CHECK(fd >= 0 && pread(fd, &c, 1, (off_t)at[i]) == 1);
                c ^= 1;
                CHECK(how != 1 || pwrite(fd, &c, 1, (off_t)at[i]) == 1);
                CHECK(how != 2 || ftruncate(fd, (off_t)at[i]) == 0);
                CHECK(how != 3 || ftruncate(fd, SIZE + 1) == 0);
                CHECK(close(fd) == 0);
                p.drop_cache = i == 3;
                int rc = verify_names(&p, &l, &r);
                if (rc != -EOPNOTSUPP) { /* media on a filesystem that has none */
                    CHECK(rc == (how == 0 ? 0 : -EBADMSG));
                    CHECK(r.verified == (how == 0));
                    CHECK(how == 0 || r.error.code == FC_VERIFY_E_MISMATCH);
                    CHECK(how == 0 || levels[k] != FC_VERIFY_COMPARE || how == 3 || r.error.offset == at[i]);
                }
                forget(&l);
            }
        }
    }
}

/* Any call that fails: no proof. */
static void no_failure_is_a_proof(void)
{
    static const int ops[] = {FC_OP_pread,           FC_OP_fstat,     FC_OP_memory,  FC_OP_fdatasync,
                              FC_OP_thread,          FC_OP_cachestat, FC_OP_fadvise, FC_OP_statx,
                              FC_OP_sync_file_range, FC_OP_fcntl};
    static const int errnos[] = {EIO, EINVAL, EOPNOTSUPP, ENOMEM};
    make_file("b", SIZE, 1);
    int fd = open("b", O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "?!", 2, SIZE - 3) == 2 && close(fd) == 0);
    for (unsigned level = FC_VERIFY_COMPARE; level <= FC_VERIFY_MEDIA; level++) {
        for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
            for (unsigned nth = 1; nth < 40; nth = nth * STEP) {
                for (unsigned e = 0; e < 8; e += STEP / 2) {
                    struct fc_plan p = plan_of((enum fc_verify)level, false, 1 + e % 3);
                    struct fc_fault fault = {ops[i], nth, e >= 4, FC_FAULT_ERRNO, errnos[e % 4]};
                    struct listener l = {0};
                    struct fc_report r;
                    if (ops[i] == FC_OP_fcntl && nth > 1)
                        continue;
                    CHECK(fc_faults_set(&fault, 1) == 0);
                    int rc = verify_names(&p, &l, &r);
                    CHECK(fc_faults_set(NULL, 0) == 0);
                    CHECK(rc != 0 && !r.verified && r.error.err == -rc);
                    forget(&l);
                }
            }
        }
    }
    unlink("a");
    unlink("b");
}

int main(void)
{
    work_in_new_directory();
    a_file_is_fed_in_order();
    a_pseudo_file_is_read_to_its_end();
    a_file_that_moves_ends_where_it_ends();
    the_first_difference_is_found();
    short_reads_and_faults_make_nothing_equal();
    no_wrong_copy_is_proved();
    no_failure_is_a_proof();
    remove_directory_of_work();
    return 0;
}
