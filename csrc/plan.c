/* plan.c: the dispatcher. A pure function of facts and options: it makes no system call, reads no clock
 * and keeps no state, so that a test can invent any machine. */
#include "engines/engine.h"

#include <errno.h>
#include <string.h>

const char *fc_engine_refuses(int engine, const struct fc_facts *f)
{
    return fc_engine_get(engine)->refuses(f);
}

void fc_options_init(struct fc_options *o)
{
    memset(o, 0, sizeof *o);
    o->engine = FC_ENGINE_NONE;
    o->atomic = true;
    o->preserve = FC_PRESERVE_MODE | FC_PRESERVE_TIMES;
    o->split_depth = -1;
}

/* ---- questions about the facts ---------------------------------------------------------------- */

static bool either(const struct fc_facts *f, unsigned flag)
{
    return ((f->src.fs_flags | f->dst.fs_flags) & flag) != 0;
}

static bool both(const struct fc_facts *f, unsigned flag)
{
    return (f->src.fs_flags & f->dst.fs_flags & flag) != 0;
}

static bool one_mount(const struct fc_facts *f)
{
    return f->src.id.dev == f->dst.id.dev;
}

static bool zero_copy_wanted(const struct fc_options *o)
{
    /* Neither call shows us the bytes, so neither can find or fill holes. */
    return !o->no_zero_copy && o->sparse == FC_WHEN_AUTO;
}

/* Most of the source is known not to be in memory. */
static bool is_cold(const struct fc_facts *f)
{
    return f->resident >= 0 && (uint64_t)f->resident < f->src.id.size / 2;
}

static bool fills_memory(const struct fc_facts *f, const struct fc_tuning *t)
{
    uint64_t memory = f->machine.memory_available;
    return memory != 0 && f->src.id.size > memory / 100 * t->pressure_percent;
}

static bool presses_memory(const struct fc_facts *f, const struct fc_tuning *t)
{
    return is_cold(f) && fills_memory(f, t);
}

static uint64_t bytes_to_write(const struct fc_facts *f, const struct fc_plan *p)
{
    return p->has_holes ? f->data_bytes : f->src.id.size;
}

static bool has_room(const struct fc_facts *f, const struct fc_plan *p)
{
    uint64_t owned = p->in_place ? f->dst.allocated : 0, room = f->dst.free_bytes;
    return room == UINT64_MAX || bytes_to_write(f, p) <= room + owned;
}

/* ---- the ladder ------------------------------------------------------------------------------- */

static void rung(struct fc_plan *p, const struct fc_facts *f, int engine)
{
    if (p->rungs < FC_LADDER_MAX && fc_engine_refuses(engine, f) == NULL)
        p->ladder[p->rungs++] = engine;
}

static int refuse(struct fc_error *e, enum fc_code code, int err, int engine, const char *why)
{
    e->err = err;
    e->code = code;
    e->op = -1;
    e->engine = engine;
    e->why = why;
    return -err;
}

static int demanded(const struct fc_facts *f, const struct fc_options *o, struct fc_plan *p, int engine,
                    struct fc_error *e)
{
    const char *why = fc_engine_refuses(engine, f);
    if (why == NULL && !(fc_engine_get(engine)->flags & FC_ENGINE_SEES_BYTES) && o->sparse != FC_WHEN_AUTO)
        why = "this engine does not see the bytes, so it cannot find or fill holes (sparse=always, "
              "sparse=never)";
    if (why != NULL)
        return refuse(e, FC_COPY_E_UNSUPPORTED, EOPNOTSUPP, engine, why);
    p->ladder[p->rungs++] = engine;
    return 0;
}

/* Is the file worth splitting, on this machine or because the caller says so? */
static bool wants_regions(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t)
{
    if (o->workers > 1 || o->parallel_threshold != 0)
        return true;
    return f->src.id.size >= t->one_copy_below && f->machine.cpus > 1 && o->workers == 0 &&
           o->split_depth != 0;
}

/* An existing file in place, on a filesystem that shares extents but would take the new bytes into the old
 * blocks. Where every write takes new blocks anyhow, a clone is never the dearer way. */
bool fc_plan_may_rewrite(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t)
{
    return !o->atomic && f->dst.exists && f->dst.id.size > 0 && f->src.id.size < t->clone_over_from &&
           both(f, FC_FS_CLONES) && !(f->dst.fs_flags & FC_FS_COW);
}

/* A clone sends the source to its medium first, and that is what it takes its time for. */
static bool rewrites(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t)
{
    return fc_plan_may_rewrite(f, o, t) && (f->resident < 0 || f->dirty > 0);
}

/* Where no engine is demanded, and the file is none of those that other rules come for first. */
static bool clones(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t)
{
    return zero_copy_wanted(o) && o->reflink != FC_WHEN_NEVER &&
           fc_engine_refuses(FC_ENGINE_clone, f) == NULL && !rewrites(f, o, t);
}

/* An overlay says neither yes nor no, so a copy there must be ready for both. */
bool fc_plan_will_clone(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t)
{
    bool free_to = o->engine == FC_ENGINE_NONE || o->engine == FC_ENGINE_clone;
    return free_to && f->src.fs != FC_FS_overlay && clones(f, o, t);
}

/* A clone has no pages in memory: to read it again is to read the medium, while what was just written is still
 * at hand. 1.6 GB in files of all sizes, verify=hash, ms, clones / copies: XFS 1570 / 204; Btrfs, where every
 * write pays for checksums and new blocks, 670 / 1270. What goes to its medium at once gains nothing. */
static bool is_read_back(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t,
                         const struct fc_plan *p)
{
    bool from_memory = p->verify == FC_VERIFY_COMPARE || p->verify == FC_VERIFY_HASH;
    return from_memory && o->sync == FC_SYNC_NONE && o->cache != FC_CACHE_DROP && !fills_memory(f, t) &&
           !(f->dst.fs_flags & FC_FS_COW) && has_room(f, p);
}

/* First match wins: the table of docs/engines.md, in its order. */
static int choose_ladder(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t,
                         struct fc_plan *p, struct fc_error *e)
{
    bool zero_copy = zero_copy_wanted(o);
    if (o->engine != FC_ENGINE_NONE) {
        p->reason = FC_REASON_engine_named;
        return demanded(f, o, p, o->engine, e);
    }
    if (o->reflink == FC_WHEN_ALWAYS) {
        p->reason = FC_REASON_reflink_always;
        return demanded(f, o, p, FC_ENGINE_clone, e);
    }
    if (either(f, FC_FS_PSEUDO)) {
        p->reason = FC_REASON_size_not_believed;
    } else if (f->src.id.size <= t->small && o->cache != FC_CACHE_DROP && o->workers <= 1) {
        p->reason = f->src.id.size == 0 ? FC_REASON_empty : FC_REASON_small_file;
    } else if (clones(f, o, t) && is_read_back(f, o, t, p)) {
        p->reason = FC_REASON_read_back;
    } else if (clones(f, o, t)) {
        p->reason = FC_REASON_shared_extents;
        rung(p, f, FC_ENGINE_clone);
        if (!p->digest) /* it would have to be read again for it, which costs more than it spares */
            rung(p, f, FC_ENGINE_copy_range);
    } else if (zero_copy && one_mount(f) && both(f, FC_FS_NETWORK) && f->src.fs != FC_FS_unknown) {
        p->reason = FC_REASON_server_copy;
        rung(p, f, FC_ENGINE_copy_range);
    } else if (either(f, FC_FS_NETWORK)) {
        p->reason = FC_REASON_network;
    } else if (either(f, FC_FS_FRAGILE)) {
        p->reason = FC_REASON_zfs;
    } else if (o->cache == FC_CACHE_DROP) {
        p->reason = FC_REASON_cache_drop;
        rung(p, f, FC_ENGINE_direct);
    } else if (o->cache == FC_CACHE_AUTO && presses_memory(f, t)) {
        p->reason = FC_REASON_cache_pressure;
        rung(p, f, FC_ENGINE_direct);
        p->drop_cache = true;
    } else if (rewrites(f, o, t)) {
        p->reason = FC_REASON_rewrite;
    } else if (zero_copy && o->reflink != FC_WHEN_NEVER && one_mount(f) && !p->digest &&
               !wants_regions(f, o, t)) {
        p->reason = FC_REASON_one_copy;
        rung(p, f, FC_ENGINE_copy_range);
    } else {
        p->reason = FC_REASON_warm_local; /* FC_REASON_local, where one worker turns out to be enough */
    }
    rung(p, f, FC_ENGINE_buffered);
    return 0;
}

/* ---- the workers ------------------------------------------------------------------------------ */

/* Two readers make one head jump. What is in memory needs no head, and what is written goes to memory
 * first, from where the kernel sends it off in order. */
static bool rotates(const struct fc_facts *f)
{
    return f->src.rotational && (f->resident < 0 || is_cold(f));
}

/* A batch system's grant bounds every automatic count, of threads that wait as well: they were granted to
 * others. */
static unsigned within_grant(const struct fc_options *o, unsigned wanted, struct fc_plan *p)
{
    if (o->batch_cpus == 0 || o->batch_cpus >= wanted)
        return wanted;
    p->workers_reason = FC_REASON_batch_granted;
    return o->batch_cpus;
}

static unsigned granted(const struct fc_facts *f, const struct fc_options *o, unsigned wanted,
                        struct fc_plan *p)
{
    unsigned cpus = f->machine.cpus == 0 ? 1 : f->machine.cpus;
    wanted = within_grant(o, wanted, p);
    if (cpus < wanted)
        wanted = cpus;
    if (wanted == 1 && cpus == 1)
        p->workers_reason = FC_REASON_one_cpu;
    return wanted;
}

static unsigned choose_workers(const struct fc_facts *f, const struct fc_options *o,
                               const struct fc_tuning *t, struct fc_plan *p)
{
    uint64_t threshold = o->parallel_threshold != 0 ? o->parallel_threshold : t->parallel_threshold;
    const unsigned one = 1;
    if (fc_engine_get(p->ladder[p->rungs - 1])->flags & FC_ENGINE_WHOLE_FILE) {
        p->workers_reason = FC_REASON_whole_file;
        return one;
    }
    if (p->reason == FC_REASON_one_copy) {
        p->workers_reason = FC_REASON_one_copy;
        return one;
    }
    if (p->ladder[0] == FC_ENGINE_clone && !f->looked_at_machine) {
        p->workers_reason = FC_REASON_whole_file;
        return one;
    }
    if (!p->believed || o->split_depth == 0) {
        p->workers_reason = FC_REASON_no_region;
        return one;
    }
    if (f->src.id.size < threshold || f->src.id.size < 2 * p->min_region) {
        p->workers_reason = FC_REASON_below_threshold;
        return one;
    }
    if (o->workers != 0) {
        p->workers_reason = FC_REASON_workers_named;
        return o->workers;
    }
    if (either(f, FC_FS_NETWORK)) {
        /* These threads wait for a server, not for a CPU. */
        p->workers_reason = either(f, FC_FS_STREAMS) ? FC_REASON_streams : FC_REASON_network;
        return either(f, FC_FS_STREAMS) ? within_grant(o, t->network_workers, p) : one;
    }
    if (rotates(f)) {
        p->workers_reason = FC_REASON_rotating;
        return one;
    }
    if (p->ladder[0] == FC_ENGINE_direct) {
        p->workers_reason = FC_REASON_in_flight; /* and these for a device */
        return within_grant(o, t->direct_workers, p);
    }
    p->workers_reason = FC_REASON_cpus_allowed;
    return granted(f, o, t->max_workers, p);
}

/* Comparing two files that are both in memory, microseconds, one thread / two: 16 MiB 1000 / 1124, 64 MiB 4737 /
 * 3012, 256 MiB 19848 / 10464. */
unsigned fc_plan_readers(uint64_t size, unsigned cpus, const struct fc_tuning *t)
{
    if (size < t->parallel_threshold || cpus < 2)
        return 1;
    return cpus < t->max_workers ? cpus : t->max_workers;
}

/* The same for reading the copy again. A clone and a copy_range are made by one, but read by several. */
static unsigned choose_readers(const struct fc_facts *f, const struct fc_options *o,
                               const struct fc_tuning *t, const struct fc_plan *p)
{
    bool bound = o->batch_cpus != 0 && o->batch_cpus < f->machine.cpus;
    if (f->src.id.size < t->parallel_threshold)
        return 1;
    if (o->workers != 0)
        return o->workers;
    if (either(f, FC_FS_NETWORK) || rotates(f))
        return p->workers;
    return fc_plan_readers(f->src.id.size, bound ? o->batch_cpus : f->machine.cpus, t);
}

static uint64_t choose_chunk(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t,
                             const struct fc_plan *p)
{
    if (o->chunk != 0)
        return o->chunk;
    if (p->ladder[0] == FC_ENGINE_direct)
        return t->chunk_direct;
    return either(f, FC_FS_NETWORK) ? t->chunk_network : t->chunk;
}

/* The same for reading the copy again, which goes past the page cache where it is the medium that is asked. */
static uint64_t choose_read_chunk(const struct fc_facts *f, const struct fc_options *o,
                                  const struct fc_tuning *t, const struct fc_plan *p)
{
    if (o->chunk != 0)
        return o->chunk;
    if (p->verify == FC_VERIFY_MEDIA)
        return t->chunk_direct;
    return either(f, FC_FS_NETWORK) ? t->chunk_network : t->chunk;
}

/* Both ends are asked for the same offsets, and a page that direct and buffered requests shared would be
 * written twice in an unknown order: never below 4 KiB. */
static uint32_t choose_align(const struct fc_facts *f)
{
    uint32_t align = 4096;
    if (f->src.dio_offset > align)
        align = f->src.dio_offset;
    return f->dst.dio_offset > align ? f->dst.dio_offset : align;
}

/* ---- the destination -------------------------------------------------------------------------- */

static void choose_preparation(const struct fc_facts *f, struct fc_plan *p)
{
    bool over_old = p->in_place && f->dst.exists && f->dst.id.size > 0;
    bool clone_first = p->rungs > 0 && p->ladder[0] == FC_ENGINE_clone;
    /* Writing over old blocks spares freeing and finding them again. Where a rewrite takes new blocks
     * anyhow there is nothing to spare. A clone is given the old file whole, see run_whole() in job.c. */
    p->keep_blocks = over_old && !clone_first && !(f->dst.fs_flags & FC_FS_COW);
    /* Blocks reserved in one call, and a size that does not grow with each write: 1.1 to 1.7 times
     * faster on ext4 and XFS with two threads. tmpfs would only fill the pages twice, and where the
     * filesystem compresses or copies on write the reservation is thrown away. */
    p->preallocate = !p->small && p->believed && (f->dst.fs_flags & FC_FS_LOCAL) != 0 &&
                     !(f->dst.fs_flags & (FC_FS_MEMORY | FC_FS_COW | FC_FS_COMPRESSES | FC_FS_FRAGILE)) &&
                     !p->has_holes && !p->find_zeros && !clone_first &&
                     !(p->keep_blocks && f->dst.allocated >= f->src.id.size);
}

static int check_space(const struct fc_facts *f, const struct fc_plan *p, struct fc_error *e)
{
    if (p->ladder[0] == FC_ENGINE_clone || p->find_zeros || (f->dst.fs_flags & FC_FS_COMPRESSES) != 0 ||
        has_room(f, p))
        return 0;
    e->at = FC_AT_DESTINATION;
    return refuse(e, FC_COPY_E_NOSPACE, ENOSPC, FC_ENGINE_NONE,
                  "the copy would not fit; nothing was written");
}

/* ---- the proof -------------------------------------------------------------------------------- */

/* Comparing reads the source a second time, which is cheap while it is in memory. A source that need not say
 * the same twice is proved by what was read of it once. */
static enum fc_verify choose_verify(const struct fc_facts *f, const struct fc_options *o,
                                    const struct fc_tuning *t)
{
    if (o->verify != FC_VERIFY_AUTO)
        return o->verify;
    bool twice = !(f->src.fs_flags & FC_FS_PSEUDO) && f->src.id.size < t->verify_hash_from;
    return twice ? FC_VERIFY_COMPARE : FC_VERIFY_HASH;
}

static int check_medium(const struct fc_facts *f, const struct fc_plan *p, struct fc_error *e)
{
    /* ZFS answers direct reads too out of a cache of its own. */
    if (p->verify != FC_VERIFY_MEDIA || !(f->dst.fs_flags & (FC_FS_MEMORY | FC_FS_PSEUDO | FC_FS_FRAGILE)))
        return 0;
    e->at = FC_AT_DESTINATION;
    return refuse(e, FC_COPY_E_UNSUPPORTED, EOPNOTSUPP, FC_ENGINE_NONE,
                  "verify=media: this filesystem has no medium that can be asked; nothing was copied");
}

/* ---- all of it -------------------------------------------------------------------------------- */

static unsigned believed_depth(const struct fc_options *o, const struct fc_tuning *t)
{
    return o->split_depth >= 0 ? (unsigned)o->split_depth : t->split_depth;
}

int fc_plan_make(const struct fc_facts *f, const struct fc_options *o, const struct fc_tuning *t,
                 struct fc_plan *p, struct fc_error *e)
{
    const struct fc_tuning *head = t;
    t = fc_tuning_between(head, f->src.id.dev, f->dst.id.dev);
    memset(p, 0, sizeof *p);
    memset(e, 0, sizeof *e);
    p->calibrated = t != head;
    e->op = -1;
    e->engine = FC_ENGINE_NONE;
    p->size = f->src.id.size;
    p->source = f->src.id;
    p->in_place = !o->atomic;
    p->sync = o->sync;
    p->drop_cache = o->cache == FC_CACHE_DROP;
    p->find_zeros = o->sparse == FC_WHEN_ALWAYS;
    p->has_holes = o->sparse != FC_WHEN_NEVER && f->data_bytes < f->src.id.size && !either(f, FC_FS_PSEUDO);

    p->verify = choose_verify(f, o, t);
    p->digest = o->digest || p->verify == FC_VERIFY_HASH || p->verify == FC_VERIFY_MEDIA;

    int rc = check_medium(f, p, e);
    if (rc == 0)
        rc = choose_ladder(f, o, t, p, e);
    if (rc != 0)
        return rc;
    p->believed = !(f->src.fs_flags & FC_FS_PSEUDO);
    p->to_eof = o->to_eof || !p->believed;
    p->small = (p->reason == FC_REASON_small_file || p->reason == FC_REASON_empty) && !p->has_holes &&
               !p->find_zeros;
    p->min_region = o->min_region != 0 ? o->min_region : t->min_region;
    p->workers = choose_workers(f, o, t, p);
    p->readers = choose_readers(f, o, t, p);
    if (p->reason == FC_REASON_warm_local && p->workers == 1)
        p->reason = FC_REASON_local;
    /* One worker needs no regions but the report of how far it came. */
    p->split_depth = p->workers > 1 ? believed_depth(o, t) : 0;
    p->chunk = choose_chunk(f, o, t, p);
    p->read_chunk = choose_read_chunk(f, o, t, p);
    p->align = choose_align(f);
    p->window = o->window != 0 ? o->window : t->window;
    p->flush_every = o->flush_every != 0 ? o->flush_every : t->flush_every;
    choose_preparation(f, p);
    return check_space(f, p, e);
}
