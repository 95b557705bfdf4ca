/* facts.c: what is true of this source, this destination and this machine. It looks and decides nothing. */
#include "facts.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

static const uint64_t magics[] = {
#define FILESYSTEM(name, magic, flags) magic,
#include "filesystems.def"
#undef FILESYSTEM
};

static int64_t to_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void fc_identity_of(const struct stat *st, struct fc_identity *id)
{
    id->dev = st->st_dev;
    id->ino = st->st_ino;
    id->size = (uint64_t)st->st_size;
    id->mtime_ns = to_ns(st->st_mtim);
    id->ctime_ns = to_ns(st->st_ctim);
}

/* A small file of /proc, /sys or the cgroup tree. */
static bool read_text(int dir, const char *path, char *buf, size_t n)
{
    int fd = fc_sys_open(dir, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    ssize_t got = fc_sys_pread(fd, buf, n - 1, 0);
    fc_sys_close(fd);
    if (got <= 0)
        return false;
    buf[got] = '\0';
    return true;
}

/* ---- an end ----------------------------------------------------------------------------------- */

static bool is_rotational(dev_t dev)
{
    char path[64], device[512], text[8];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(dev), minor(dev));
    ssize_t n = readlink(path, device, sizeof device - 1);
    if (n <= 0)
        return false; /* no block device: memory, a network, a Btrfs of several */
    device[n] = '\0';
    if (strstr(device, "virtio") != NULL)
        return false; /* a guest's disk calls itself rotating unless its host was told better */
    int dir = fc_sys_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0)
        return false;
    bool known =
        read_text(dir, "queue/rotational", text, sizeof text) ||
        read_text(dir, "../queue/rotational", text, sizeof text); /* a partition: its disk is one up */
    fc_sys_close(dir);
    return known && text[0] == '1';
}

/* Behind FUSE may be a cluster, and only the table of mounts says so: " - fuse.glusterfs " after the device. */
static int fuse_kind(dev_t dev)
{
    static const struct {
        const char *type;
        int fs;
    } kinds[] = {{" - fuse.glusterfs ", FC_FS_glusterfs}, {" - fuse.ceph", FC_FS_ceph}};
    char wanted[32], *line = NULL;
    size_t room = 0;
    int kind = FC_FS_fuse;
    snprintf(wanted, sizeof wanted, " %u:%u ", major(dev), minor(dev));
    int fd = fc_sys_open(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY, 0);
    FILE *mounts = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (mounts == NULL) {
        if (fd >= 0)
            fc_sys_close(fd);
        return kind;
    }
    while (getline(&line, &room, mounts) > 0)
        for (size_t i = 0; strstr(line, wanted) != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
            if (strstr(line, kinds[i].type) != NULL)
                kind = kinds[i].fs;
    free(line);
    fclose(mounts);
    return kind;
}

static int kind_of(uint64_t magic)
{
    for (int i = 1; i < FC_FS_COUNT; i++)
        if (magics[i] == (magic & UINT64_C(0xFFFFFFFF)))
            return i;
    return FC_FS_unknown;
}

/* Returns the kind, for the same call tells both. */
static int look_at_space(int fd, struct fc_end_facts *e)
{
    struct statfs sf;
    e->free_bytes = UINT64_MAX;
    if (fc_sys_fstatfs(fd, &sf) != 0)
        return FC_FS_unknown;
    /* All zero: a filesystem that does not count (overlays of some kinds, FUSE). The reserve is for root,
     * and root may use it. */
    bool reserve = sf.f_bfree != sf.f_bavail && geteuid() == 0;
    if (sf.f_blocks != 0)
        e->free_bytes = (uint64_t)sf.f_bsize * (reserve ? sf.f_bfree : sf.f_bavail);
    return kind_of((uint64_t)sf.f_type);
}

int fc_filesystem_of(int fd)
{
    struct statfs sf;
    return fc_sys_fstatfs(fd, &sf) == 0 ? kind_of((uint64_t)sf.f_type) : -1;
}

unsigned fc_filesystem_flags_of(int fd)
{
    int fs = fc_filesystem_of(fd);
    return fs < 0 ? 0 : fc_fs_flags(fs);
}

/* XFS is asked by a call of its own first: its statfs pushes on the freeing of deleted files, which takes
 * as long as a clone does (18 us), and counts space that a clone does not need. */
static void look_at_filesystem(int fd, struct fc_end_facts *e)
{
    e->fs = FC_FS_xfs;
    e->free_bytes = UINT64_MAX;
    int reflink = fc_sys_xfs_has_reflink(fd);
    if (reflink < 0)
        e->fs = look_at_space(fd, e);
    if (e->fs == FC_FS_fuse)
        e->fs = fuse_kind((dev_t)e->id.dev);
    e->fs_flags = fc_fs_flags(e->fs);
    if (reflink == 0)
        e->fs_flags &= ~(unsigned)FC_FS_CLONES;
}

static void look_at_alignment(int fd, struct fc_end_facts *e)
{
    e->dio_memory = e->dio_offset = 0;
    if (e->fs_flags & (FC_FS_MEMORY | FC_FS_PSEUDO))
        return; /* tmpfs takes the flag since 6.6 and ignores it: there is no medium to go to directly */
    int rc = fc_sys_dio_align(fd, &e->dio_memory, &e->dio_offset);
    /* Where nobody says, a page suits every device known; the open flag decides in the end. A directory
     * is not asked for alignments: its filesystem is, once the file is there. */
    if (rc != 0 || (e->dio_offset == 0 && S_ISDIR(e->mode)))
        e->dio_memory = e->dio_offset = 4096;
}

/* `other`: an end that was looked at already; on the same device it has the same filesystem. */
static void look_at_end(int fd, const struct stat *st, const struct fc_end_facts *other,
                        struct fc_end_facts *e)
{
    memset(e, 0, sizeof *e);
    fc_identity_of(st, &e->id);
    e->mode = st->st_mode;
    e->uid = st->st_uid;
    e->gid = st->st_gid;
    e->allocated = (uint64_t)st->st_blocks * 512;
    if (other != NULL && other->id.dev == e->id.dev) {
        e->fs = other->fs;
        e->fs_flags = other->fs_flags;
        e->free_bytes = other->free_bytes;
    } else {
        look_at_filesystem(fd, e);
    }
}

/* ---- the machine ------------------------------------------------------------------------------ */

#define CGROUP "/sys/fs/cgroup"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A number in a cgroup file, or UINT64_MAX for "max", -1 and what cannot be read. */
static uint64_t cgroup_number(const char *dir, const char *file, uint64_t *second)
{
    char path[1200], text[64];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    if (!read_text(AT_FDCWD, path, text, sizeof text) || text[0] == 'm' || text[0] == '-')
        return UINT64_MAX;
    char *end;
    uint64_t first = strtoull(text, &end, 10);
    if (second != NULL)
        *second = strtoull(end, NULL, 10);
    return first;
}

static uint64_t cgroup_page_cache(const char *dir)
{
    char path[1200], text[4096];
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    const char *at = read_text(AT_FDCWD, path, text, sizeof text) ? strstr(text, "\ninactive_file ") : NULL;
    return at != NULL ? strtoull(at + strlen("\ninactive_file "), NULL, 10) : 0;
}

static unsigned quota_to_cpus(uint64_t quota, uint64_t period)
{
    if (quota == UINT64_MAX || period == 0)
        return UINT32_MAX;
    uint64_t cpus = (quota + period - 1) / period; /* 1.5 CPUs keep two threads busy most of the time */
    return cpus == 0 ? 1 : (unsigned)smaller(cpus, UINT32_MAX);
}

/* Limits hold for a group and for all of its ancestors: walk from `dir` up to `root`. */
static void walk_cgroup(char *dir, const char *root, bool v2, bool cpu, bool memory,
                        struct fc_machine_facts *m)
{
    for (;;) {
        uint64_t period = 0;
        if (cpu) {
            uint64_t quota =
                v2 ? cgroup_number(dir, "cpu.max", &period) : cgroup_number(dir, "cpu.cfs_quota_us", NULL);
            if (!v2)
                period = cgroup_number(dir, "cpu.cfs_period_us", NULL);
            unsigned cpus = quota_to_cpus(quota, period);
            if (cpus < m->cpus)
                m->cpus = cpus;
        }
        if (memory) {
            uint64_t limit = cgroup_number(dir, v2 ? "memory.max" : "memory.limit_in_bytes", NULL);
            uint64_t used = cgroup_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
            /* What is used holds page cache, which gives way. 0 would mean "not known". */
            uint64_t free_now = limit > used ? limit - used : 1;
            if (limit != UINT64_MAX && used != UINT64_MAX)
                m->memory_available = smaller(m->memory_available, free_now + cgroup_page_cache(dir));
        }
        char *slash = strrchr(dir, '/');
        if (slash == NULL || strlen(dir) <= strlen(root))
            return;
        *slash = '\0';
    }
}

static void look_at_cgroups(struct fc_machine_facts *m)
{
    char text[2048];
    if (!read_text(AT_FDCWD, "/proc/self/cgroup", text, sizeof text))
        return;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(line, ':');
        char *path = names != NULL ? strchr(names + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        names++;
        if (strcmp(path, "/") == 0)
            path = "";
        char root[64], dir[1100];
        bool v2 = names[0] == '\0';
        bool cpu = v2 || strcmp(names, "cpu") == 0 || strncmp(names, "cpu,", 4) == 0;
        bool memory = v2 || strcmp(names, "memory") == 0;
        if ((!cpu && !memory) || strlen(path) > 1000 || strlen(names) > 32)
            continue;
        snprintf(root, sizeof root, v2 ? CGROUP : CGROUP "/%s", names);
        snprintf(dir, sizeof dir, "%s%s", root, path);
        walk_cgroup(dir, root, v2, cpu, memory, m);
    }
}

static uint64_t memory_of_machine(void)
{
    char text[1024];
    if (!read_text(AT_FDCWD, "/proc/meminfo", text, sizeof text))
        return 0;
    const char *at = strstr(text, "MemAvailable:");
    return at != NULL ? strtoull(at + strlen("MemAvailable:"), NULL, 10) * FC_KIB : 0;
}

unsigned fc_cpus(void)
{
    /* More than cpu_set_t holds would need a larger set, and no copy wants 1,024 threads. */
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    return (unsigned)CPU_COUNT(&set);
}

static unsigned kernel_version(void)
{
    struct utsname u;
    unsigned major_number = 0, minor_number = 0;
    if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major_number, &minor_number) != 2)
        return 0;
    return major_number << 8 | minor_number;
}

void fc_machine_look(struct fc_machine_facts *m, bool closely)
{
    m->cpus = fc_cpus();
    m->kernel = kernel_version();
    if (closely) {
        m->memory_available = memory_of_machine();
        look_at_cgroups(m);
    }
}

unsigned fc_batch_cpus(void)
{
    static const char *const names[] = {"SLURM_CPUS_PER_TASK", "PBS_NP", "LSB_DJOB_NUMPROC", "NSLOTS"};
    unsigned granted = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = getenv(names[i]);
        long n = text != NULL ? strtol(text, NULL, 10) : 0;
        if (n > 0 && n < 1000000 && (granted == 0 || (unsigned)n < granted))
            granted = (unsigned)n;
    }
    return granted;
}

/* ---- together --------------------------------------------------------------------------------- */

/* Looking must stay small beside copying. A small file is copied in the time that a few calls take; reading
 * what the machine has left (a dozen files of /proc and the cgroups) takes 150 us, so it is done for files
 * that take 10 ms; and a clone takes 20 us whatever the size. */
#define LOOK_CLOSELY (64 * FC_MIB)

static void look_at_pages(int src_fd, struct fc_facts *f)
{
    uint64_t resident;
    if (fc_sys_residency(src_fd, 0, f->src.id.size, &resident, &f->dirty) == 0)
        f->resident = (int64_t)resident;
}

static void look_closely(int src_fd, int dst_fd, const struct fc_options *o, const struct fc_tuning *t,
                         struct fc_facts *f)
{
    look_at_alignment(src_fd, &f->src);
    look_at_alignment(dst_fd, &f->dst);
    f->src.rotational = is_rotational((dev_t)f->src.id.dev);
    f->dst.rotational = is_rotational((dev_t)f->dst.id.dev);
    /* Counting the resident pages of 1 GiB takes as long as copying a few MiB, so it is asked only where
     * the answer can matter. */
    uint64_t memory = f->machine.memory_available;
    bool presses = memory != 0 && f->src.id.size > memory / 100 * t->pressure_percent;
    if (f->resident < 0 && (presses || f->src.rotational || o->cache == FC_CACHE_DROP))
        look_at_pages(src_fd, f);
}

void fc_facts_of(int src_fd, const struct stat *src, int dst_fd, const struct stat *dst, bool dst_exists,
                 const struct fc_options *o, const struct fc_tuning *t, struct fc_facts *f)
{
    struct stat again;
    memset(f, 0, sizeof *f);
    f->resident = -1;
    look_at_end(src_fd, src, NULL, &f->src);
    f->src.exists = true;
    /* Pages written here and not yet sent make the server's size and mtime move later, under our eyes. Not
     * being allowed to flush is no reason not to read. */
    if ((f->src.fs_flags & FC_FS_NETWORK) && fc_sys_fdatasync(src_fd) == 0 &&
        fc_sys_fstat(src_fd, &again) == 0)
        fc_identity_of(&again, &f->src.id);
    look_at_end(dst_fd, dst, &f->src, &f->dst);
    f->dst.exists = dst_exists;
    f->data_bytes = smaller(f->src.id.size, f->src.allocated);

    bool named = o->engine != FC_ENGINE_NONE || o->cache == FC_CACHE_DROP;
    bool reread = o->verify != FC_VERIFY_NONE || o->digest;
    if (f->src.id.size > t->small && fc_plan_may_rewrite(f, o, t))
        look_at_pages(src_fd, f);
    if ((f->src.id.size <= t->small && !named) || (fc_plan_will_clone(f, o, t) && !reread))
        return;
    if (f->dst.free_bytes == UINT64_MAX && !o->to_eof) /* as shutil: nobody will ask */
        look_at_space(dst_fd, &f->dst);
    bool closely = named || f->src.id.size >= LOOK_CLOSELY;
    f->looked_at_machine = true;
    fc_machine_look(&f->machine, closely);
    if (closely)
        look_closely(src_fd, dst_fd, o, t, f);
}

int fc_facts_of_directory(int dir, const char *path, struct fc_facts *f)
{
    struct stat st;
    memset(f, 0, sizeof *f);
    int fd = fc_sys_open(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        fd = fc_sys_open(dir, path, O_PATH, 0); /* not readable: its filesystem can still be named */
    if (fd < 0)
        return fd;
    int rc = fc_sys_fstat(fd, &st);
    if (rc == 0) {
        look_at_end(fd, &st, NULL, &f->src);
        look_at_alignment(fd, &f->src);
        f->dst = f->src;
        f->looked_at_machine = true;
        fc_machine_look(&f->machine, true);
    }
    fc_sys_close(fd);
    return rc;
}
