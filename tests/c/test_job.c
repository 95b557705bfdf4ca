/* Every engine, alone and with several workers, under faults, cancelling and hand-overs: for the thread and
 * address sanitizers, which see here the whole core without an interpreter. */
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <stdatomic.h>

#define SIZE (6 * FC_MIB + 12345)

static struct fc_options options(int engine, unsigned workers)
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

static int copy(const struct fc_options *o, const struct fc_hooks *h, struct fc_report *r)
{
    struct fc_request q = {AT_FDCWD, "source", AT_FDCWD, "copy", true};
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
                struct fc_options o = options(engine, workers);
                struct fc_report r;
                unsigned calls = 0;
                struct fc_hooks h = {count_calls, &calls, 1};
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
            struct fc_options o = options(FC_ENGINE_buffered, 4);
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
        struct fc_options o = options(FC_ENGINE_buffered, workers);
        struct fc_report r;
        struct fc_hooks h = {cancel_at_once, NULL, 1};
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
            struct fc_options o = options(FC_ENGINE_buffered, 4);
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

int main(void)
{
    work_in_new_directory();
    make_file("source", SIZE, 1);
    every_engine_copies();
    hand_over_keeps_every_byte();
    a_failure_stops_all_and_leaves_nothing();
    cancelling_ends_it();
    a_copy_without_threads_is_a_copy();
    unlink("source");
    remove_directory_of_work();
    return 0;
}
