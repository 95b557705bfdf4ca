# The declarations of csrc/fastcopy.h, as far as the binding needs them.
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "fastcopy.h" nogil:
    int FC_ENGINE_NONE, FC_ENGINE_COUNT, FC_REASON_COUNT, FC_FS_COUNT, FC_CODE_COUNT, FC_OP_COUNT, FC_LADDER_MAX
    int FC_COPY_E_UNSUPPORTED

    const char *fc_engine_name(int engine)
    const char *fc_reason_name(int reason)
    const char *fc_reason_text(int reason)
    const char *fc_fs_name(int fs)
    unsigned fc_fs_flags(int fs)
    const char *fc_code_name(int code)
    int fc_code_errno(int code)
    const char *fc_op_name(int op)

    struct fc_options:
        int engine
        int reflink, sparse, cache, sync, verify
        bint digest, atomic, keep_failed, on_change_warn, no_zero_copy, to_eof
        unsigned preserve, required, withhold, workers, batch_cpus
        int split_depth
        uint64_t parallel_threshold, min_region, chunk, window
        unsigned flush_every

    void fc_options_init(fc_options *o)

    struct fc_identity:
        uint64_t dev, ino, size
        int64_t mtime_ns, ctime_ns

    struct fc_end_facts:
        fc_identity id
        uint32_t mode, uid, gid
        uint64_t allocated
        int fs
        unsigned fs_flags
        uint32_t dio_memory, dio_offset
        bint exists, rotational
        uint64_t free_bytes

    struct fc_machine_facts:
        unsigned cpus
        uint64_t memory_available
        unsigned kernel

    struct fc_facts:
        fc_end_facts src, dst
        fc_machine_facts machine
        bint looked_at_machine
        int64_t resident
        uint64_t dirty, data_bytes
        bint replaces

    unsigned fc_batch_cpus()

    struct fc_tuning:
        uint64_t small, one_copy_below, chunk, chunk_network
        unsigned max_workers, network_workers
        uint64_t dev
        const fc_tuning *next

    const fc_tuning fc_tuning_default

    struct fc_plan:
        int ladder[4]
        unsigned rungs
        int reason, workers_reason
        int verify
        bint digest
        unsigned workers, readers, split_depth
        uint64_t min_region, chunk, window, read_chunk
        uint32_t align
        unsigned flush_every
        uint64_t size
        bint to_eof, small, has_holes, find_zeros, preallocate, keep_blocks, drop_cache, in_place
        bint calibrated
        fc_identity source

    struct fc_error:
        int err, code, op, engine, at, cause
        uint64_t offset
        const char *why

    int fc_plan_make(const fc_facts *f, const fc_options *o, const fc_tuning *t, fc_plan *p, fc_error *e)
    const char *fc_engine_refuses(int engine, const fc_facts *f)

    struct fc_progress:
        uint64_t bytes, total
        int phase
        uint64_t files, files_total
        const char *path

    enum fc_digest:
        FC_DIGEST_NONE, FC_DIGEST_WRITTEN, FC_DIGEST_REREAD

    struct fc_feed:
        pass

    struct fc_entries:
        pass

    struct fc_hooks:
        int (*conduct)(void *arg, const fc_progress *p) noexcept
        void *arg
        unsigned interval_ms
        int (*begin)(void *arg, fc_digest which) noexcept
        int (*feed)(void *arg, fc_feed *f) noexcept
        int (*agree)(void *arg) noexcept
        int (*told)(void *arg, fc_entries *e) noexcept

    struct fc_memory:
        pass

    bint fc_feed_take(fc_feed *f, const unsigned char **p, size_t *n)
    fc_memory *fc_feed_keep(fc_feed *f)
    void fc_memory_drop(fc_memory *m)
    bint fc_feed_due(fc_feed *f, fc_progress *p)

    int fc_read_in_order(int fd, const fc_tuning *t, const fc_hooks *h, fc_report *r)
    int fc_compare_fds(int a, int b, const fc_tuning *t, const fc_hooks *h, fc_report *r, uint64_t *differs)

    struct fc_attempt:
        int engine, err
        uint64_t offset

    struct fc_report:
        uint64_t bytes, written, elapsed_ns
        int engine
        fc_attempt attempts[4]
        unsigned attempt_count, workers
        uint64_t regions, windows, flushes, buffer_bytes, mapped_bytes
        unsigned warnings
        int digest_of
        bint both_read, verified
        uint64_t verify_ns
        char kept_name[48]
        fc_error error

    int fc_copy_fds(int src_fd, int dst_fd, const fc_options *o, const fc_tuning *t, const fc_hooks *h,
                    fc_plan *p, fc_report *r)

    int FC_OP_open, FC_AT_SOURCE, FC_AT_DESTINATION, FC_NOT_ORDINARY

    enum fc_audit:
        FC_AUDIT_COPYFILE, FC_AUDIT_OPEN_SOURCE, FC_AUDIT_OPEN_DESTINATION

    struct fc_copyfile_request "fc_copyfile":
        const char *src
        const char *dst
        int (*audit)(void *arg, fc_audit event) noexcept
        const fc_tuning *(*tuning)(void *arg) noexcept
        void *arg

    int fc_copyfile(const fc_copyfile_request *q, const fc_options *o, const fc_tuning *t, const fc_hooks *h,
                    fc_plan *p, fc_report *r)

    struct fc_request:
        int src_dir
        const char *src
        int dst_dir
        const char *dst
        bint follow
        bint fresh

    int fc_transfer_plan(const fc_request *q, const fc_options *o, const fc_tuning *t, fc_facts *f, fc_plan *p,
                         fc_error *e)
    int fc_transfer_run(const fc_request *q, const fc_options *o, const fc_plan *p, const fc_hooks *h, fc_report *r)
    int fc_facts_of_directory(int dir, const char *path, fc_facts *f)

    struct fc_filter:
        pass

    int fc_filter_make(const char **without, unsigned n_without, const char **only, unsigned n_only, fc_filter **out)
    void fc_filter_free(fc_filter *f)

    struct fc_tree_options:
        fc_options file
        int existing, special, order
        bint follow, links, one_filesystem, dry_run, stop_on_error, as_shutil
        uint64_t min_size, max_size
        unsigned errors_kept
        size_t told_room
        const fc_filter *filter

    void fc_tree_options_init(fc_tree_options *o)

    struct fc_tree_counts:
        uint64_t files, directories, symlinks, links, special, bytes, written, shared, holes, skipped, excluded
        uint64_t files_found, bytes_found, warned

    struct fc_entry:
        uint64_t size
        int err, kind, fate
        const char *path

    const fc_entry *fc_entries_take(fc_entries *e)

    struct fc_tree_error:
        fc_error error
        char *path

    struct fc_tree_report:
        fc_tree_counts counts
        uint64_t error_count
        fc_tree_error *errors
        unsigned errors_kept, warnings, workers
        uint64_t elapsed_ns, buffer_bytes
        fc_error refused

    void fc_tree_report_free(fc_tree_report *r)

    struct fc_tree_request:
        const char *src
        const char *dst

    int fc_tree_run(const fc_tree_request *q, const fc_tree_options *o, const fc_tuning *t, const fc_hooks *h,
                    fc_tree_report *r)


cdef extern from "regions.h" nogil:
    struct fc_span:
        uint64_t at, end
    int fc_regions_split(uint64_t size, unsigned depth, uint64_t min_region, fc_span **leaves, unsigned *count)


cdef extern from *:
    """
    #ifdef FC_FAULTS
    enum { HAS_FAULTS_ = 1 };
    #else
    /* A release build has no seam: these stand in for it, and the binding shows none of them. */
    enum { HAS_FAULTS_ = 0 };
    struct fc_fault { int op; unsigned nth; bool for_ever; int kind; long value; };
    static inline int fc_faults_set(const struct fc_fault *f, unsigned n) { (void)f; (void)n; return -ENOSYS; }
    static inline uint64_t fc_faults_calls(int op) { (void)op; return 0; }
    static inline uint64_t fc_faults_struck(unsigned i) { (void)i; return 0; }
    #endif
    """
    int HAS_FAULTS_
    struct fc_fault:
        int op
        unsigned nth
        bint for_ever
        int kind
        long value
    int fc_faults_set(const fc_fault *faults, unsigned n)
    uint64_t fc_faults_calls(int op)
    uint64_t fc_faults_struck(unsigned i)
