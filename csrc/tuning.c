/* tuning.c: the numbers of the dispatcher, each with the measurement behind it.
 *
 * Measured on 2 cores with 1 MiB of L2 each, Linux 6.18, source warm in the page cache, unless said
 * otherwise. bench/ repeats the measurements; a calibration replaces the numbers. */
#include "fastcopy.h"

const struct fc_tuning fc_tuning_default = {
    /* One read and one write of the whole file through one buffer that fits the L2 cache. Above it, the
     * loop of `buffered` costs nothing more. */
    .small = 256 * FC_KIB,
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
    .network_workers = 4,
    .direct_workers = 4,
    .split_depth = 7,
    .pressure_percent = 50,
};
