/* Whole trees: deep, wide, linked, filtered, with several workers, under faults and cancelling; for the thread
 * and address sanitizers. */
#include "check.h"
#include "filter.h"
#include "sys.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>

/* ---- trees to copy ------------------------------------------------------------------------------- */

/* Levels are entered one by one: their path would be longer than PATH_MAX. */
static void make_deep(const char *name, int levels)
{
    CHECK(mkdir(name, 0755) == 0);
    int dir = open(name, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < levels; i++) {
        CHECK(mkdirat(dir, "a level with a long name", 0755) == 0 && mkdirat(dir, "beside", 0755) == 0);
        int fd = openat(dir, "file", O_WRONLY | O_CREAT, 0644);
        CHECK(fd >= 0 && write(fd, "content", 7) == 7 && close(fd) == 0);
        int down = openat(dir, "a level with a long name", O_RDONLY | O_DIRECTORY);
        CHECK(down >= 0 && close(dir) == 0);
        dir = down;
    }
    close(dir);
}

static void make_wide(const char *name)
{
    CHECK(mkdir(name, 0755) == 0 && chdir(name) == 0);
    char file[64];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(file, sizeof file, "file %u", i);
        make_file(file, i % 7 == 0 ? 0 : i * 13, i + 1);
    }
    make_file("large", 5 * FC_MIB + 77, 3);
    make_file("larger", 9 * FC_MIB, 4);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(file, sizeof file, "middle %u", i);
        make_file(file, 300 * FC_KIB + i, i + 1);
    }
    for (unsigned i = 0; i < 60; i++) {
        snprintf(file, sizeof file, "dir %u", i);
        CHECK(mkdir(file, i % 3 ? 0755 : 0555) == 0);
    }
    CHECK(link("file 1", "dir 1/linked") == 0 && link("file 1", "dir 2/linked") == 0);
    CHECK(link("middle 1", "dir 2/middle") == 0 && link("file 3", "linked") == 0);
    CHECK(symlink("nowhere", "dir 1/dangling") == 0 && symlink("..", "dir 1/loop") == 0);
    CHECK(mkfifo("fifo", 0600) == 0);
    CHECK(chdir("..") == 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st, (void)f;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_tree(const char *path)
{
    char command[PATH_MAX];
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        snprintf(command, sizeof command, "rm -rf '%s'", path); /* deeper than a path is long */
        CHECK(system(command) == 0);
    }
}

static void compare(const char *a, const char *b)
{
    char command[PATH_MAX];
    snprintf(command, sizeof command, "diff -r --no-dereference '%s' '%s' >/dev/null", a, b);
    CHECK(system(command) == 0);
}

static unsigned temporary_names(const char *path)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        n += strncmp(e->d_name, ".fastcopy-", 10) == 0;
    if (dir != NULL)
        closedir(dir);
    return n;
}

/* ---- copying --------------------------------------------------------------------------------------- */

static struct fc_tree_options options(unsigned workers)
{
    struct fc_tree_options o;
    fc_tree_options_init(&o);
    o.file.workers = workers;
    o.file.parallel_threshold = o.file.min_region = 256 * FC_KIB; /* so that workers help each other */
    o.file.chunk = 64 * FC_KIB;
    return o;
}

static int copy(const char *src, const struct fc_tree_options *o, const struct fc_hooks *h,
                struct fc_tree_report *r)
{
    struct fc_tree_request q = {src, "copy"};
    return fc_tree_run(&q, o, &fc_tuning_default, h, r);
}

static void deep_and_wide_come_whole(void)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        struct fc_tree_report r;
        struct fc_tree_options o = options(workers);
        o.special = FC_SPECIAL_RECREATE;
        o.links = true;
        o.file.atomic = workers & 1;
        o.order = (enum fc_order)(workers % 3);
        int before = open_descriptors();
        CHECK(copy("wide", &o, NULL, &r) == 0 && r.error_count == 0);
        CHECK(r.counts.files == 342 && r.counts.directories == 61 && r.counts.symlinks == 2);
        CHECK(r.counts.links == 4 && r.counts.special == 1);
        CHECK(temporary_names("copy") == 0);
        unlink("copy/fifo"), rename("wide/fifo", "fifo"); /* diff would wait for somebody to write to it */
        compare("wide", "copy");
        CHECK(rename("fifo", "wide/fifo") == 0);
        struct stat a, b;
        CHECK(stat("copy/file 1", &a) == 0 && stat("copy/dir 2/linked", &b) == 0 && a.st_ino == b.st_ino);
        CHECK(stat("wide/dir 3", &a) == 0 && stat("copy/dir 3", &b) == 0);
        CHECK(a.st_mode == b.st_mode && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
        fc_tree_report_free(&r);
        remove_tree("copy");

        CHECK(copy("deep", &o, NULL, &r) == 0 && r.error_count == 0);
        CHECK(r.counts.files == 600 && r.counts.directories == 1201);
        CHECK(open_descriptors() == before);
        fc_tree_report_free(&r);
        remove_tree("copy");
    }
}

static void what_agrees_is_left_alone(void)
{
    struct fc_tree_report r;
    struct fc_tree_options o = options(3);
    CHECK(copy("wide", &o, NULL, &r) == 0 && r.error_count == 0);
    fc_tree_report_free(&r);
    make_file("copy/file 5", 9, 1);
    o.existing = FC_EXISTING_UPDATE;
    CHECK(copy("wide", &o, NULL, &r) == 0 && r.error_count == 0);
    CHECK(r.counts.files == 1 && r.counts.skipped == 346 + 2); /* symlinks too; and a FIFO */
    fc_tree_report_free(&r);
    o.existing = FC_EXISTING_FAIL;
    CHECK(copy("wide", &o, NULL, &r) == -EEXIST && r.refused.err == EEXIST);
    fc_tree_report_free(&r);
    remove_tree("copy");
}

/* Each call fails once, and then for ever, wherever it is made. The copy is right, or it says what is not. */
static void a_fault_is_told_and_leaves_no_half_file(void)
{
    static const int ops[] = {
        FC_OP_open,    FC_OP_fstat,    FC_OP_fstatat,   FC_OP_getdents,  FC_OP_readlinkat, FC_OP_pread,
        FC_OP_pwrite,  FC_OP_futimens, FC_OP_fchmod,    FC_OP_utimensat, FC_OP_linkat,     FC_OP_symlinkat,
        FC_OP_mknodat, FC_OP_mkdirat,  FC_OP_unlinkat,  FC_OP_renameat,  FC_OP_thread,     FC_OP_memory,
        FC_OP_close,   FC_OP_fstatfs,  FC_OP_getrandom,
    };
    int before = open_descriptors();
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        for (unsigned nth = 1; nth < 200; nth = nth * 9 + 1) {
            for (int for_ever = 0; for_ever < 2; for_ever++) {
                struct fc_tree_report r;
                struct fc_tree_options o = options(1 + nth % 3);
                o.special = FC_SPECIAL_RECREATE;
                o.links = nth & 1;
                struct fc_fault fault = {ops[i], nth, for_ever, FC_FAULT_ERRNO, EIO};
                CHECK(fc_faults_set(&fault, 1) == 0);
                int rc = copy("wide", &o, NULL, &r);
                uint64_t struck = fc_faults_struck(0);
                CHECK(fc_faults_set(NULL, 0) == 0);
                CHECK(rc == 0 || rc == -EIO);
                if (rc == 0 && r.error_count == 0 && struck == 0)
                    CHECK(r.counts.files + r.counts.links == 346);
                if (rc == 0 && r.error_count == 0) {
                    unlink("copy/fifo"), rename("wide/fifo", "fifo");
                    compare("wide", "copy");
                    CHECK(rename("fifo", "wide/fifo") == 0);
                }
                CHECK(ops[i] == FC_OP_unlinkat || temporary_names("copy") == 0);
                CHECK(open_descriptors() == before);
                fc_tree_report_free(&r);
                remove_tree("copy");
            }
        }
    }
}

/* ---- the conductor ---------------------------------------------------------------------------------- */

static int cancel_later(void *arg, const struct fc_progress *p)
{
    unsigned *calls = arg;
    CHECK(p->files <= p->files_total && p->bytes <= p->total);
    return ++*calls == 3;
}

static void cancelling_ends_it(void)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        for (int no_thread = 0; no_thread < 2; no_thread++) {
            unsigned calls = 0;
            struct fc_tree_report r;
            struct fc_tree_options o = options(workers);
            struct fc_hooks h = {.conduct = cancel_later, .arg = &calls, .interval_ms = 1};
            struct fc_fault slow[] = {{FC_OP_pwrite, 1, true, FC_FAULT_DELAY, 500},
                                      {FC_OP_thread, 1, true, FC_FAULT_ERRNO, EAGAIN}};
            int before = open_descriptors();
            CHECK(fc_faults_set(slow, 1 + (unsigned)no_thread) == 0);
            CHECK(copy("wide", &o, &h, &r) == -ECANCELED && r.refused.code == FC_COPY_E_CANCELLED);
            CHECK(fc_faults_set(NULL, 0) == 0);
            CHECK(calls == 3 && open_descriptors() == before && temporary_names("copy") == 0);
            fc_tree_report_free(&r);
            remove_tree("copy");
        }
    }
}

/* ---- patterns ----------------------------------------------------------------------------------------- */

static void patterns_mean_what_git_says(void)
{
    static const struct {
        const char *pattern, *path;
        bool directory, matches;
    } cases[] = {
        {"*.o", "a.o", 0, 1},        {"*.o", "b/c/a.o", 0, 1},
        {"/*.o", "b/a.o", 0, 0},     {"/*.o", "a.o", 0, 1},
        {"b/*.o", "b/a.o", 0, 1},    {"b/*.o", "x/b/a.o", 0, 0},
        {"b/*.o", "b/c/a.o", 0, 0},  {"**/b/*.o", "x/y/b/a.o", 0, 1},
        {"**/b", "b", 0, 1},         {"b/**", "b/c/d", 0, 1},
        {"b/**", "b", 1, 0},         {"a/**/z", "a/z", 0, 1},
        {"a/**/z", "a/b/c/z", 0, 1}, {"a/**/z", "a/b/c/y", 0, 0},
        {"build/", "build", 1, 1},   {"build/", "build", 0, 0},
        {"build/", "x/build", 1, 1}, {"?", "a", 0, 1},
        {"?", "ab", 0, 0},           {"[a-c]x", "bx", 0, 1},
        {"[!a-c]x", "bx", 0, 0},     {"[^a-c]x", "dx", 0, 1},
        {"[]x]", "]", 0, 1},         {"[x", "[x", 0, 1},
        {"\\*", "*", 0, 1},          {"\\*", "a", 0, 0},
        {"a*b*c", "aXbYbc", 0, 1},   {"a*b*c", "aXbYb", 0, 0},
        {"*", ".hidden", 0, 1},      {"", "a", 0, 0},
        {"**", "a/b", 0, 1},         {"a?b", "a/b", 0, 0},
        {"x[a/]b", "x/b", 0, 0},     {"**/x/**/y", "a/x/b/x/c/y", 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fc_filter *f;
        const char *patterns[] = {cases[i].pattern};
        CHECK(fc_filter_make(patterns, 1, NULL, 0, &f) == 0);
        const char *slash = strrchr(cases[i].path, '/'), *name = slash ? slash + 1 : cases[i].path;
        enum fc_verdict v = fc_filter_judge(f, name, cases[i].path, cases[i].directory, false);
        if ((v == FC_LEFT_OUT) != cases[i].matches)
            fprintf(stderr, "pattern %s, path %s\n", cases[i].pattern, cases[i].path);
        CHECK((v == FC_LEFT_OUT) == cases[i].matches);
        fc_filter_free(f);
    }
}

/* ---- digests -------------------------------------------------------------------------------------------- */

static void a_digest_is_that_of_xxhash_however_it_is_fed(void)
{
    static const struct {
        const char *text;
        uint64_t digest;
    } cases[] = {
        {"", UINT64_C(0xef46db3751d8e999)},
        {"a", UINT64_C(0xd24ec4f1a98c6e5b)},
        {"abc", UINT64_C(0x44bc2cf5ad770999)},
        {"Nobody inspects the spammish repetition", UINT64_C(0xfbcea83c8a378bf1)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece < 50; piece++) {
            struct fc_sum s;
            size_t n = strlen(cases[i].text);
            fc_sum_begin(&s);
            for (size_t at = 0; at < n; at += piece)
                fc_sum_add(&s, (const unsigned char *)cases[i].text + at, n - at < piece ? n - at : piece);
            CHECK(fc_sum_end(&s) == cases[i].digest);
        }
    }
}

static void every_file_is_proved(void)
{
    for (int verify = FC_VERIFY_AUTO; verify <= FC_VERIFY_HASH; verify++) {
        struct fc_tree_report r;
        struct fc_tree_options o = options(3);
        o.file.verify = (enum fc_verify)verify;
        CHECK(fc_faults_set(NULL, 0) == 0);
        CHECK(copy("wide", &o, NULL, &r) == 0 && r.error_count == 0);
        CHECK(fc_faults_calls(FC_OP_pread) > 2 * 340);
        fc_tree_report_free(&r);
        remove_tree("copy");
    }
}

/* Whichever of a file's regions has another digest than its copy. */
static void the_digest_of_each_region_counts(void)
{
    struct fc_options o = options_for(FC_ENGINE_buffered, 2);
    struct fc_request q = {AT_FDCWD, "source", AT_FDCWD, "copy", true, false};
    struct fc_facts f;
    struct fc_plan p;
    struct fc_tree_worker w = {0};
    struct fc_hooks h = {.arg = &w};
    fc_tree_digest_hooks(&w, &h);
    make_file("source", 4 * FC_MIB + 5, 8);
    o.verify = FC_VERIFY_HASH;
    for (unsigned wrong = 0, regions = 1; wrong <= regions; wrong++) { /* the last time, none is */
        struct fc_report r = {0};
        CHECK(fc_transfer_plan(&q, &o, &fc_tuning_default, &f, &p, &r.error) == 0);
        int src = open("source", O_RDONLY), dst = open("copy", O_RDWR | O_CREAT, 0644);
        CHECK(src >= 0 && dst >= 0 && fc_job_run(&p, src, dst, 0, &h, &r) == 0);
        regions = (unsigned)r.regions;
        CHECK(regions > 2 && w.regions.whole);
        if (wrong < regions)
            w.regions.of[wrong] ^= 1;
        int rc = fc_verify(&p, src, dst, &h, &r);
        CHECK(r.verified == (wrong == regions) && rc == (wrong == regions ? 0 : -EBADMSG));
        CHECK(wrong == regions || (r.error.code == FC_VERIFY_E_MISMATCH && r.error.at == FC_AT_DESTINATION));
        CHECK(wrong != 1 || r.error.offset > 0);
        CHECK(close(src) == 0 && close(dst) == 0 && unlink("copy") == 0);
    }
    free(w.regions.of);
    CHECK(unlink("source") == 0);
}

/* ---- what becomes of each entry ------------------------------------------------------------------------ */

struct ear {
    unsigned fates[FC_FATE_LEFT_UP_TO_DATE + 1], entries, calls, enough;
    uint64_t bytes;
};

static int hear(void *arg, struct fc_entries *e)
{
    struct ear *ear = arg;
    ear->calls++;
    for (const struct fc_entry *entry; (entry = fc_entries_take(e)) != NULL; ear->entries++) {
        CHECK((ear->entries == 0) == (entry->path[0] == '\0')); /* the root is the first */
        CHECK((entry->err != 0) == (entry->fate == FC_FATE_FAILED));
        ear->fates[entry->fate]++;
        ear->bytes += entry->size;
    }
    return ear->entries >= ear->enough;
}

static void every_entry_is_told(void)
{
    for (unsigned workers = 0; workers <= 4; workers++) { /* 0: no thread can be had */
        for (unsigned room = 1; room <= 8192; room *= 8192) {
            for (unsigned enough = 100; enough <= 10000; enough *= 100) {
                struct ear ear = {.enough = enough};
                struct fc_tree_report r;
                struct fc_tree_options o = options(workers > 0 ? workers : 1);
                struct fc_hooks h = {.told = hear, .arg = &ear, .interval_ms = 1};
                struct fc_fault none = {FC_OP_thread, 1, true, FC_FAULT_ERRNO, EAGAIN};
                o.links = true;
                o.told_room = room;
                CHECK(fc_faults_set(&none, workers == 0) == 0);
                int rc = copy("wide", &o, &h, &r);
                CHECK(fc_faults_set(NULL, 0) == 0);
                if (enough == 100) {
                    CHECK(rc == -ECANCELED && ear.entries >= 100);
                } else {
                    CHECK(rc == 0 && ear.bytes == r.counts.bytes);
                    CHECK(ear.fates[FC_FATE_COPIED] + ear.fates[FC_FATE_CLONED] == r.counts.files);
                    CHECK(ear.fates[FC_FATE_LINKED] == 4 && ear.fates[FC_FATE_MADE] == 61 + 2);
                    CHECK(ear.fates[FC_FATE_LEFT_SPECIAL] == 1 && ear.entries == 342 + 4 + 61 + 2 + 1);
                }
                CHECK(temporary_names("copy") == 0);
                fc_tree_report_free(&r);
                remove_tree("copy");
            }
        }
    }
}

int main(void)
{
    work_in_new_directory();
    a_digest_is_that_of_xxhash_however_it_is_fed();
    patterns_mean_what_git_says();
    make_wide("wide");
    make_deep("deep", 600);
    deep_and_wide_come_whole();
    what_agrees_is_left_alone();
    every_file_is_proved();
    the_digest_of_each_region_counts();
    every_entry_is_told();
    cancelling_ends_it();
    a_fault_is_told_and_leaves_no_half_file();
    remove_tree("wide");
    remove_tree("deep");
    remove_directory_of_work();
    return 0;
}
