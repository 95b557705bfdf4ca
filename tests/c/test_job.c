/* Every engine, alone and with several workers, under faults, cancelling and hand-overs: for the thread and
 * address sanitizers, which see here the whole core without an interpreter. */
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <stdatomic.h>

#define SIZE (6 * FC_MIB + 12345)

static int copy(const struct fc_options *o, const struct fc_hooks *h, struct fc_report *r)
{
    struct fc_request q = {AT_FDCWD, "source", AT_FDCWD, "copy", true, false};
    struct fc_facts f;
    struct fc_plan p;
    memset(r, 0, sizeof *r);
    int rc = fc_transfer_plan(&q, o, &fc_tuning_default, &f, &p, &r->error);
    return rc != 0 ? rc : fc_transfer_run(&q, o, &p, h, r);
}

static int count_calls(void *arg, const struct fc_progress *p)
{
    unsigned *calls = arg;
    CHECK(p->bytes <= p->total);
    ++*calls;
    return 0;
}

static int cancel_at_once(void *arg, const struct fc_progress *p)
{
    (void)arg;
    (void)p;
    return 1;
}

static void every_engine_copies(void)
{
    for (int engine = FC_ENGINE_NONE; engine < FC_ENGINE_COUNT; engine++) {
        for (unsigned workers = 1; workers <= 5; workers += 2) {
            for (int shape = 0; shape < 8; shape++) {
                struct fc_options o = options_for(engine, workers);
                struct fc_report r;
                unsigned calls = 0;
                struct fc_hooks h = {.conduct = count_calls, .arg = &calls, .interval_ms = 1};
                o.atomic = shape & 1;
                o.sparse = shape & 2 ? FC_WHEN_ALWAYS : FC_WHEN_AUTO;
                o.sync = shape & 4 ? FC_SYNC_DATA : FC_SYNC_NONE;
                int rc = copy(&o, &h, &r);
                if (rc == -EOPNOTSUPP && r.error.code == FC_COPY_E_UNSUPPORTED)
                    continue; /* this filesystem, or this engine and sparse=always */
                CHECK(rc == 0);
                CHECK(same_files("source", "copy"));
                CHECK(engine == FC_ENGINE_NONE || r.engine == engine);
            }
            unlink("copy");
        }
    }
}

/* A rung that cannot go on hands over where it was, whoever of the workers meets it first. */
static void hand_over_keeps_every_byte(void)
{
    for (unsigned nth = 1; nth < 12; nth++) {
        struct fc_fault fault = {FC_OP_copy_file_range, nth, true, FC_FAULT_ERRNO, EXDEV};
        int src = open("source", O_RDONLY), dst = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
        CHECK(src >= 0 && dst >= 0);
        struct fc_plan p = {
            .ladder = {FC_ENGINE_copy_range, FC_ENGINE_mapped, FC_ENGINE_direct, FC_ENGINE_buffered},
            .rungs = 4,
            .workers = 4,
            .split_depth = 5,
            .min_region = 128 * FC_KIB,
            .chunk = 64 * FC_KIB,
            .window = 256 * FC_KIB,
            .align = 4096,
            .flush_every = 1,
            .size = SIZE};
        struct fc_fault script[] = {fault, {FC_OP_mmap, nth * 2, true, FC_FAULT_ERRNO, ENODEV}};
        struct fc_report r = {.engine = FC_ENGINE_NONE};
        CHECK(fc_faults_set(script, 2) == 0);
        CHECK(fc_job_run(&p, src, dst, 0, NULL, &r) == 0);
        CHECK(fc_faults_set(NULL, 0) == 0);
        CHECK(close(src) == 0 && close(dst) == 0);
        CHECK(same_files("source", "copy"));
        CHECK(r.attempt_count >= 1 && r.attempts[r.attempt_count - 1].err == 0);
        CHECK(r.attempts[0].engine == FC_ENGINE_copy_range);
        unlink("copy");
    }
}

static void a_failure_stops_all_and_leaves_nothing(void)
{
    int before = open_descriptors();
    static const int ops[] = {FC_OP_pread, FC_OP_pwrite, FC_OP_ftruncate, FC_OP_renameat, FC_OP_linkat};
    make_file("copy", 1000, 7);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        for (unsigned nth = 1; nth < 40; nth += 6) {
            struct fc_options o = options_for(FC_ENGINE_buffered, 4);
            struct fc_report r;
            struct fc_fault fault = {ops[i], nth, true, FC_FAULT_ERRNO, EIO};
            CHECK(fc_faults_set(&fault, 1) == 0);
            int rc = copy(&o, NULL, &r);
            uint64_t struck = fc_faults_struck(0);
            CHECK(fc_faults_set(NULL, 0) == 0);
            /* Facts that cannot be read (a pread of /proc) are no failure of the copy. */
            CHECK(rc == 0 || rc == -EIO);
            CHECK(rc != 0 || struck == 0 || ops[i] == FC_OP_pread || same_files("source", "copy"));
            if (rc != 0) {
                struct stat st;
                CHECK(stat("copy", &st) == 0 && st.st_size == 1000);
            } else {
                make_file("copy", 1000, 7);
                unlink("copy");
                make_file("copy", 1000, 7);
            }
            CHECK(open_descriptors() == before);
        }
    }
    unlink("copy");
}

static void cancelling_ends_it(void)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        struct fc_options o = options_for(FC_ENGINE_buffered, workers);
        struct fc_report r;
        struct fc_hooks h = {.conduct = cancel_at_once, .interval_ms = 1};
        struct fc_fault slow = {FC_OP_pwrite, 1, true, FC_FAULT_DELAY, 2000};
        CHECK(fc_faults_set(&slow, 1) == 0);
        CHECK(copy(&o, &h, &r) == -ECANCELED);
        CHECK(fc_faults_set(NULL, 0) == 0);
        CHECK(r.error.code == FC_COPY_E_CANCELLED);
        CHECK(access("copy", F_OK) != 0);
    }
}

/* Fewer threads, or none, are no error; nor is less memory than for all workers. */
static void a_copy_without_threads_is_a_copy(void)
{
    static const int ops[] = {FC_OP_thread, FC_OP_memory};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned nth = 1; nth <= 3; nth++) {
            struct fc_options o = options_for(FC_ENGINE_buffered, 4);
            struct fc_report r;
            struct fc_fault fault = {ops[i], nth, true, FC_FAULT_ERRNO, EAGAIN};
            CHECK(fc_faults_set(&fault, 1) == 0);
            int rc = copy(&o, NULL, &r);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(rc == 0 || (ops[i] == FC_OP_memory && nth == 1));
            CHECK(rc != 0 || same_files("source", "copy"));
            unlink("copy");
        }
    }
}

static int script(int op, unsigned nth, bool for_ever, enum fc_fault_kind kind, long value)
{
    struct fc_fault fault = {op, nth, for_ever, kind, value};
    return fc_faults_set(&fault, 1);
}

/* The kernel tells a file's writeback error once: whoever hears it must say it. */
static void an_error_of_writeback_is_never_lost(void)
{
    static const int engines[] = {FC_ENGINE_buffered, FC_ENGINE_direct, FC_ENGINE_mapped};
    for (size_t i = 0; i < 3; i++) {
        for (unsigned nth = 1; nth <= 6; nth++) {
            struct fc_options o = options_for(engines[i], 1);
            struct fc_report r;
            o.sync = FC_SYNC_DATA;
            o.cache = nth % 2 ? FC_CACHE_DROP : FC_CACHE_AUTO;
            CHECK(script(FC_OP_sync_file_range, nth, false, FC_FAULT_ERRNO, EUCLEAN) == 0);
            int rc = copy(&o, NULL, &r);
            uint64_t struck = fc_faults_struck(0);
            CHECK(fc_faults_set(NULL, 0) == 0);
            if (rc == -EOPNOTSUPP && r.error.code == FC_COPY_E_UNSUPPORTED)
                continue;
            CHECK(rc == (struck ? -EUCLEAN : 0));
            CHECK(struck == 0 || r.error.err == EUCLEAN);
            unlink("copy");
        }
    }
}

static int copy_in_place(const struct fc_plan *p, uint64_t old_size, const struct fc_hooks *h,
                         struct fc_report *r)
{
    int src = open("source", O_RDONLY), dst = open("copy", O_RDWR | O_CREAT, 0644);
    CHECK(src >= 0 && dst >= 0);
    *r = (struct fc_report){.engine = FC_ENGINE_NONE};
    int rc = fc_job_run(p, src, dst, old_size, h, r);
    CHECK(close(src) == 0 && close(dst) == 0);
    return rc;
}

static struct fc_plan plan_in_place(int engine, int then)
{
    return (struct fc_plan){.ladder = {engine, then},
                            .rungs = then == FC_ENGINE_NONE ? 1 : 2,
                            .workers = 1,
                            .min_region = 8 * FC_MIB,
                            .chunk = 64 * FC_KIB,
                            .window = FC_MIB,
                            .align = 4096,
                            .flush_every = 16,
                            .size = SIZE,
                            .believed = true,
                            .in_place = true,
                            .to_eof = true,
                            .keep_blocks = true};
}

/* A short answer of an end that is not direct says nothing about the end of the file. */
static void a_short_read_is_not_the_end(void)
{
    for (unsigned nth = 1; nth <= 40; nth += 13) {
        struct fc_plan p = plan_in_place(FC_ENGINE_direct, FC_ENGINE_buffered);
        struct fc_report r;
        struct fc_fault faults[] = {{FC_OP_fcntl, 1, false, FC_FAULT_ERRNO, EINVAL},
                                    {FC_OP_pread, nth, false, FC_FAULT_SHORT, 1000}};
        CHECK(fc_faults_set(faults, 2) == 0);
        CHECK(copy_in_place(&p, 0, NULL, &r) == 0);
        CHECK(fc_faults_set(NULL, 0) == 0);
        CHECK(same_files("source", "copy"));
        unlink("copy");
    }
}

/* What has changed nothing yet leaves the old file, hole or clone first. */
static void an_untouched_destination_stays(void)
{
    static const struct {
        int engine, op, err;
    } cases[] = {{FC_ENGINE_clone, FC_OP_ficlone, EIO},
                 {FC_ENGINE_buffered, FC_OP_pwrite, EIO},
                 {FC_ENGINE_buffered, FC_OP_punch_hole, EIO},
                 {FC_ENGINE_mapped, FC_OP_mmap, ENOMEM}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fc_plan p = plan_in_place(cases[i].engine, FC_ENGINE_NONE);
        struct fc_report r;
        p.find_zeros = cases[i].op == FC_OP_punch_hole;
        make_file("copy", SIZE + 999, 5);
        make_file("before", SIZE + 999, 5);
        if (p.find_zeros) { /* a source that begins with zeros */
            CHECK(rename("source", "kept") == 0);
            CHECK(truncate("kept", SIZE) == 0);
            int fd = open("source", O_WRONLY | O_CREAT, 0644);
            CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0 && close(fd) == 0);
        }
        CHECK(script(cases[i].op, 1, true, FC_FAULT_ERRNO, cases[i].err) == 0);
        CHECK(copy_in_place(&p, SIZE + 999, NULL, &r) == -cases[i].err);
        CHECK(fc_faults_struck(0) > 0);
        CHECK(fc_faults_set(NULL, 0) == 0);
        CHECK(r.error.err == cases[i].err);
        CHECK(same_files("before", "copy"));
        if (p.find_zeros)
            CHECK(rename("kept", "source") == 0);
        unlink("copy");
        unlink("before");
    }
}

static int cancel_when_full(void *arg, const struct fc_progress *p)
{
    (void)arg;
    (void)p;
    return fc_faults_struck(0) > 0;
}

/* A disk that is full is tried once more from an empty file, but not for somebody who has given up. */
static void cancelling_beats_trying_again(void)
{
    struct fc_plan p = plan_in_place(FC_ENGINE_buffered, FC_ENGINE_NONE);
    struct fc_report r;
    make_file("copy", SIZE, 5);
    CHECK(script(FC_OP_pwrite, 5, false, FC_FAULT_ERRNO, ENOSPC) == 0);
    CHECK(copy_in_place(&p, SIZE, NULL, &r) == 0); /* nobody gives up: it works */
    CHECK(same_files("source", "copy"));
    struct fc_fault faults[] = {{FC_OP_pwrite, 50, false, FC_FAULT_ERRNO, ENOSPC},
                                {FC_OP_pwrite, 1, true, FC_FAULT_DELAY, 3000}};
    struct fc_hooks h = {.conduct = cancel_when_full, .interval_ms = 1};
    p.workers = 3;
    p.split_depth = 4;
    p.min_region = 256 * FC_KIB;
    CHECK(fc_faults_set(faults, 2) == 0);
    int rc = copy_in_place(&p, SIZE, &h, &r);
    CHECK(fc_faults_set(NULL, 0) == 0);
    CHECK(rc == -ECANCELED || rc == -ENOSPC);
    unlink("copy");
}

int main(void)
{
    work_in_new_directory();
    make_file("source", SIZE, 1);
    every_engine_copies();
    hand_over_keeps_every_byte();
    a_failure_stops_all_and_leaves_nothing();
    cancelling_ends_it();
    a_copy_without_threads_is_a_copy();
    an_error_of_writeback_is_never_lost();
    a_short_read_is_not_the_end();
    an_untouched_destination_stays();
    cancelling_beats_trying_again();
    unlink("source");
    remove_directory_of_work();
    return 0;
}
