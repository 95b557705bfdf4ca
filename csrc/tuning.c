/* tuning.c: the numbers of the dispatcher, each with the measurement behind it.
 *
 * Measured on 2 cores with 1 MiB of L2 each, Linux 6.18, source warm in the page cache, unless said
 * otherwise. bench/ repeats the measurements; a calibration replaces the numbers. */
#include "fastcopy.h"

const struct fc_tuning fc_tuning_default = {
    /* One read and one write of the whole file through one buffer that fits the L2 cache. Above it, the
     * loop of `buffered` costs nothing more. */
    .small = 256 * FC_KIB,
    /* The kernel's copy between pages of one filesystem touches the data once, a read and a write twice.
     * Over an existing file, microseconds, copy_range / buffered with 1 / with 2 workers: 1 MiB on ext4
     * 67 / 95 / 185, on XFS 76 / 161 / 180, on tmpfs 135 / 180 / 199; 4 MiB 261 / 460 / 386; 16 MiB 1612 /
     * 2992 / 2559, 1647 / 2996 / 1728, 4303 / 6730 / 3827. From 64 MiB two workers are level or ahead. */
    .one_copy_below = 64 * FC_MIB,
    /* Over an existing file on XFS, microseconds, clone / buffered, the source just written: 1 MiB 434 / 154, 4 MiB
     * 779 / 560, 16 MiB 2341 / 2333. A source that is on its medium is cloned at any size: 1 MiB 54 / 138. */
    .clone_over_from = 16 * FC_MIB,
    /* Between two filesystems; a file of less than two regions has one worker anyhow. */
    .parallel_threshold = 4 * FC_MIB,
    .min_region = 8 * FC_MIB,
    /* Buffers must stay in L2: 1 GiB on ext4 moves at 3.3 GB/s through 256 KiB, at 1.8 through 4 MiB. */
    .chunk = 256 * FC_KIB,
    /* A network charges for the round trip, not for the cache miss. */
    .chunk_network = 4 * FC_MIB,
    /* Direct, cold: 4 requests of 1 MiB in flight reach 1.0 GB/s, where the device can do 0.83 sustained. */
    .chunk_direct = 1 * FC_MIB,
    .window = 64 * FC_MIB,
    .flush_every = 16,
    .max_workers = 2,
    /* Files of one tree share no lock, but those of one directory share its. Measured with 2 CPUs, where both
     * are kept busy; beyond that it is a ceiling and no measurement. */
    .tree_workers = 8,
    .network_workers = 4,
    .direct_workers = 4,
    .split_depth = 7,
    .pressure_percent = 50,
    /* Comparing 1 GiB that both are in memory takes 114 ms, reading the copy again and hashing it 150 (blake3,
     * two threads). But from here on the source may have left memory while it was copied. */
    .verify_hash_from = 1 * FC_GIB,
};

const struct fc_tuning *fc_tuning_between(const struct fc_tuning *head, uint64_t src, uint64_t dst)
{
    for (const struct fc_tuning *t = head->next; t != NULL && src == dst; t = t->next)
        if (t->dev == dst)
            return t;
    return head;
}
