/* tree.c: one copy of a tree from its beginning to its report: options, roots, workers, conductor, errors.
 * See tree.h. */
#include "tree.h"

#include "facts.h"
#include "filter.h"
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 50
#define ERRORS_KEPT 1000
/* Some 500 entries at a time: enough to pay for taking the GIL. */
#define TOLD_ROOM ((size_t)(64 * FC_KIB))

void fc_tree_options_init(struct fc_tree_options *o)
{
    memset(o, 0, sizeof *o);
    fc_options_init(&o->file);
    o->max_size = UINT64_MAX;
    o->errors_kept = ERRORS_KEPT;
}

void fc_tree_report_free(struct fc_tree_report *r)
{
    for (unsigned i = 0; i < r->errors_kept; i++)
        free(r->errors[i].path);
    free(r->errors);
    r->errors = NULL;
    r->errors_kept = 0;
}

/* ---- names --------------------------------------------------------------------------------------- */

/* "a/b/name"; with an empty name "a/b/". NULL as name: the directory itself. */
size_t fc_tree_path_size(const struct fc_tree_dir *d, const char *name)
{
    size_t n = name != NULL ? strlen(name) + 1 : 0;
    for (const struct fc_tree_dir *up = d; up->parent != NULL; up = up->parent)
        n += strlen(up->name) + 1;
    return n > 0 ? n : 1;
}

void fc_tree_path_put(const struct fc_tree_dir *d, const char *name, char *path, size_t size)
{
    char *at = path + size;
    if (name != NULL)
        at = memcpy(at - strlen(name) - 1, name, strlen(name) + 1);
    for (const struct fc_tree_dir *up = d; up->parent != NULL; up = up->parent) {
        size_t length = strlen(up->name);
        at -= length + 1;
        memcpy(at, up->name, length);
        at[length] = '/';
    }
    path[size - 1] = '\0'; /* without a name, the last slash */
}

char *fc_tree_path(const struct fc_tree_dir *d, const char *name)
{
    size_t size = fc_tree_path_size(d, name);
    char *path = malloc(size);
    if (path != NULL)
        fc_tree_path_put(d, name, path, size);
    return path;
}

void fc_tree_temporary(struct fc_tree_worker *w, char name[32])
{
    snprintf(name, 32, FC_TEMPORARY_PREFIX "%016llx", (unsigned long long)w->temporary++);
}

/* ---- what went wrong ------------------------------------------------------------------------------ */

void fc_tree_fail(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name,
                  const struct fc_error *e)
{
    struct fc_tree *t = w->tree;
    struct fc_tree_report *r = t->report;
    char *path = fc_tree_path(d, name);
    pthread_mutex_lock(&t->lock);
    if (r->errors_kept < t->o->errors_kept) {
        if (r->errors_kept % 64 == 0) {
            struct fc_tree_error *more = realloc(r->errors, (r->errors_kept + 64) * sizeof *more);
            r->errors = more != NULL ? more : r->errors;
            t->no_more_errors |= more == NULL;
        }
        if (!t->no_more_errors) {
            r->errors[r->errors_kept++] = (struct fc_tree_error){*e, path};
            path = NULL;
        }
    }
    r->error_count++;
    pthread_mutex_unlock(&t->lock);
    free(path);
    if (t->told.room > 0)
        fc_told_add(w, d, name, FC_FATE_FAILED, 0, e->err);
    if (t->o->stop_on_error)
        fc_tree_stop(t);
}

void fc_tree_fail_call(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name, int err,
                       enum fc_op op, enum fc_at at)
{
    struct fc_error e;
    fc_error_set(&e, err, op, at, FC_ENGINE_NONE, 0);
    fc_tree_fail(w, d, name, &e);
}

void fc_tree_warn(struct fc_tree_worker *w, unsigned warnings)
{
    if (warnings == 0)
        return;
    FC_COUNT(w, warned, 1);
    atomic_fetch_or(&w->tree->warnings, warnings);
}

/* ---- the conductor -------------------------------------------------------------------------------- */

static uint64_t interval_ns(const struct fc_tree *t)
{
    const struct fc_hooks *h = t->hooks;
    return (uint64_t)(h != NULL && h->interval_ms != 0 ? h->interval_ms : INTERVAL_MS) * 1000000;
}

static void count(const struct fc_tree *t, struct fc_tree_counts *c)
{
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < t->worker_count; i++) {
#define FC_TREE_COUNT(name) c->name += atomic_load_explicit(&t->workers[i].n.name, memory_order_relaxed);
        FC_TREE_COUNTS(FC_TREE_COUNT)
#undef FC_TREE_COUNT
    }
}

/* What a call of the caller's came to. */
static void answered(struct fc_tree *t, pid_t before, int rc)
{
    t->forked = getpid() != before; /* we are the child: the locks may be held by workers that are not here */
    if (t->forked) {
        atomic_store(&t->stop, true);
    } else if (rc != 0) {
        t->cancelled = true;
        fc_told_nobody(t);
        fc_tree_stop(t);
    }
}

/* On the calling thread. */
static void conduct(struct fc_tree *t)
{
    if (t->hooks == NULL || t->hooks->conduct == NULL)
        return;
    struct fc_tree_counts c;
    count(t, &c);
    pthread_mutex_lock(&t->lock);
    if (t->path != NULL) {
        free(t->path_shown);
        t->path_shown = t->path;
        t->path = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    struct fc_progress p = {.bytes = c.bytes,
                            .total = c.bytes_found,
                            .files = c.files + c.links,
                            .files_total = c.files_found,
                            .path = t->path_shown};
    pid_t pid = getpid();
    int rc = t->hooks->conduct(t->hooks->arg, &p);
    atomic_store(&t->path_wanted, true);
    answered(t, pid, rc);
}

/* What became of entries; also after a stop, but for a cancel. */
static void tell_caller(struct fc_tree *t)
{
    struct fc_entries e;
    if (t->told.room == 0 || t->forked)
        return;
    fc_told_take(t, &e);
    if (e.at == e.end)
        return;
    pid_t pid = getpid();
    int rc = t->hooks->told(t->hooks->arg, &e);
    answered(t, pid, rc);
}

static void show_path(struct fc_tree *t, const struct fc_tree_dir *d, const char *name)
{
    char *path = fc_tree_path(d, name);
    pthread_mutex_lock(&t->lock);
    char *before = t->path;
    t->path = path;
    pthread_mutex_unlock(&t->lock);
    free(before);
}

bool fc_tree_go_on(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name)
{
    struct fc_tree *t = w->tree;
    if (d != NULL && atomic_load_explicit(&t->path_wanted, memory_order_relaxed) &&
        atomic_exchange(&t->path_wanted, false))
        show_path(t, d, name);
    if (w->on_caller && !fc_tree_stopped(t)) {
        uint64_t now = fc_now_ns();
        bool late = now - w->heard_ns >= interval_ns(t);
        if (late || t->told.ripe)
            tell_caller(t);
        if (late && !fc_tree_stopped(t)) {
            w->heard_ns = now;
            conduct(t);
        }
    }
    return !fc_tree_stopped(t);
}

/* Returns with no worker running, or with t->forked. */
static void conduct_workers(struct fc_tree *t)
{
    uint64_t heard_ns = fc_now_ns(), wait = interval_ns(t);
    pthread_mutex_lock(&t->lock);
    while (t->running > 0) {
        uint64_t until_ns = heard_ns + wait, now = fc_now_ns();
        if (!t->told.ripe && now < until_ns) {
            struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
            pthread_cond_timedwait(&t->idle, &t->lock, &until);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        tell_caller(t);
        if (now >= until_ns && !fc_tree_stopped(t))
            conduct(t);
        if (t->forked)
            return;
        if (now >= until_ns)
            heard_ns = fc_now_ns();
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

/* ---- the workers ----------------------------------------------------------------------------------- */

static void *thread_body(void *arg)
{
    struct fc_tree_worker *w = arg;
    struct fc_tree *t = w->tree;
    fc_tree_work(w);
    pthread_mutex_lock(&t->lock);
    if (--t->running == 0)
        pthread_cond_signal(&t->idle);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static unsigned choose_workers(const struct fc_tree *t)
{
    const struct fc_options *o = &t->o->file;
    struct fc_machine_facts m = {0};
    if (o->workers != 0)
        return o->workers;
    fc_machine_look(&m, true);
    bool network = (t->root->src_flags | t->root->dst_flags) & FC_FS_NETWORK;
    unsigned wanted = network ? t->tuning->network_workers : t->tuning->tree_workers;
    if (!network && m.cpus < wanted) /* those of a network wait for a server, not for a CPU */
        wanted = m.cpus;
    if (o->batch_cpus != 0 && o->batch_cpus < wanted)
        wanted = o->batch_cpus;
    return wanted > 0 ? wanted : 1;
}

/* A process may have few descriptors, or few left. A worker has at most two directories in hand besides those that wait
 * (each at both ends), a third one on its way back up, and both ends of a file. */
static unsigned fit_descriptors(struct fc_tree *t, unsigned workers)
{
    enum { OPEN_MAX = 32, OF_WORKER = 10, OF_OPEN = 4 };
    unsigned enough = workers * OF_WORKER + OPEN_MAX * OF_OPEN, left = fc_sys_descriptors_left(enough);
    t->open_max = OPEN_MAX;
    if (left >= enough)
        return workers;
    if (workers > left / (2 * OF_WORKER))
        workers = left < 2 * OF_WORKER ? 1 : left / (2 * OF_WORKER);
    unsigned open = left > workers * OF_WORKER ? (left - workers * OF_WORKER) / OF_OPEN : 0;
    t->open_max = open < 1 ? 1 : open < OPEN_MAX ? open : OPEN_MAX;
    return workers;
}

static size_t room_for_files(const struct fc_tree_worker *w)
{
    return w->tree->proves ? 2 * w->buf_size : w->buf_size;
}

static int make_workers(struct fc_tree *t)
{
    unsigned wanted = fit_descriptors(t, choose_workers(t));
    uint64_t random = 0;
    int rc = fc_sys_random(&random, sizeof random);
    if (rc != 0)
        return rc;
    t->workers = calloc(wanted, sizeof *t->workers);
    rc = t->workers != NULL ? 0 : -ENOMEM;
    while (rc == 0 && t->worker_count < wanted) {
        struct fc_tree_worker *w = &t->workers[t->worker_count];
        void *names, *buf;
        w->tree = t;
        w->buf_size = (size_t)t->tuning->small + 1;
        w->temporary = random + ((uint64_t)t->worker_count << 40);
        if ((rc = fc_sys_memory(FC_BATCH_BYTES, false, &names)) != 0)
            break;
        w->names = names;
        t->worker_count++;
        if ((rc = fc_sys_memory(room_for_files(w), false, &buf)) != 0)
            break;
        w->buf = buf;
        w->again = t->proves ? w->buf + w->buf_size : NULL;
    }
    if (t->worker_count > 1 && t->workers[t->worker_count - 1].buf == NULL) /* fewer than asked is no error */
        fc_sys_memory_free(t->workers[--t->worker_count].names, FC_BATCH_BYTES, false);
    return t->worker_count > 0 && t->workers[0].buf != NULL ? 0 : rc;
}

static void free_workers(struct fc_tree *t)
{
    for (unsigned i = 0; i < t->worker_count; i++) {
        fc_sys_memory_free(t->workers[i].names, FC_BATCH_BYTES, false);
        fc_sys_memory_free(t->workers[i].buf, room_for_files(&t->workers[i]), false);
        free(t->workers[i].path);
        free(t->workers[i].regions.of);
    }
    free(t->workers);
}

static void run_workers(struct fc_tree *t)
{
    unsigned started = 0;
    pthread_mutex_lock(&t->lock); /* so that none can end before all are counted */
    while (started < t->worker_count &&
           fc_sys_thread(&t->workers[started].thread, thread_body, &t->workers[started]) == 0)
        started++;
    t->running = started;
    t->busy = started > 0 ? started : 1;
    pthread_mutex_unlock(&t->lock);
    t->report->workers = started > 0 ? started : 1;
    if (started == 0) {
        t->workers[0].on_caller = true;
        t->workers[0].heard_ns = fc_now_ns();
        fc_tree_work(&t->workers[0]);
        return;
    }
    conduct_workers(t);
    for (unsigned i = 0; i < started && !t->forked; i++)
        pthread_join(t->workers[i].thread, NULL);
}

/* ---- all of it -------------------------------------------------------------------------------------- */

/* What the process takes from the mode of every new file. Asking umask() would change it for a moment, in
 * every thread; not knowing it (no /proc, before Linux 4.7) costs one call more a file. */
static unsigned read_umask(void)
{
    char text[2048];
    int fd = fc_sys_open(AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
    ssize_t n = fd >= 0 ? fc_sys_pread(fd, text, sizeof text - 1, 0) : -1;
    if (fd >= 0)
        fc_sys_close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strstr(text, "\nUmask:");
    return at != NULL ? (unsigned)strtoul(at + strlen("\nUmask:"), NULL, 8) : 07777;
}

/* Is one read and one write, and perhaps one read more, all that a small file needs? Then it is done by tree_file.c,
 * and not by transfer.c. */
static void choose_ways(struct fc_tree *t)
{
    const struct fc_options *o = &t->o->file;
    bool ordinary = o->sparse == FC_WHEN_AUTO && o->cache != FC_CACHE_DROP && !o->keep_failed;
    bool clone = o->reflink == FC_WHEN_ALWAYS || o->engine == FC_ENGINE_clone;
    t->clones_small = ordinary && clone && o->verify == FC_VERIFY_NONE;
    t->plain = ordinary && !clone && o->verify != FC_VERIFY_MEDIA &&
               (o->engine == FC_ENGINE_NONE || o->engine == FC_ENGINE_buffered);
    t->proves = t->plain && o->verify != FC_VERIFY_NONE;
    t->how = fc_can_link_descriptors() ? FC_UNPUBLISHED_LINKABLE : FC_UNPUBLISHED_NAMED;
    t->umask = read_umask();
    t->collecting = t->o->order != FC_ORDER_AS_FOUND;
}

static int init_sync(struct fc_tree *t)
{
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&t->lock, NULL);
    if (rc != 0)
        return -rc;
    rc = pthread_condattr_init(&attr);
    if (rc == 0) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&t->idle, &attr);
        if (rc == 0 && (rc = pthread_cond_init(&t->wake, NULL)) != 0)
            pthread_cond_destroy(&t->idle);
        pthread_condattr_destroy(&attr);
    }
    if (rc != 0)
        pthread_mutex_destroy(&t->lock);
    return -rc;
}

static int cancelled(struct fc_error *e)
{
    *e = (struct fc_error){.err = ECANCELED, .code = FC_COPY_E_CANCELLED, .op = -1, .engine = FC_ENGINE_NONE};
    return -ECANCELED;
}

static int run(struct fc_tree *t, const struct fc_tree_request *q)
{
    struct fc_tree_report *r = t->report;
    int rc = fc_dir_open_root(t, q, &r->refused);
    if (rc != 0)
        return rc;
    t->links = t->o->links ? fc_links_new() : NULL;
    rc = t->o->links && t->links == NULL ? -ENOMEM : make_workers(t);
    if (rc != 0) {
        fc_error_set(&r->refused, rc, FC_OP_memory, FC_AT_BOTH, FC_ENGINE_NONE, 0);
        return rc;
    }
    t->workers[0].n.directories = 1;
    fc_dir_tell(&t->workers[0], t->root);
    atomic_fetch_add(&t->root->refs, 1); /* ours, beside that of its work */
    t->root->streaming = true;
    t->streams = t->root;
    t->stream_count = 1;
    run_workers(t);
    tell_caller(t);
    if (t->forked)
        return fc_forked(&r->refused);
    count(t, &r->counts);
    r->warnings = atomic_load(&t->warnings);
    r->buffer_bytes = t->worker_count * (room_for_files(t->workers) + FC_BATCH_BYTES);
    r->buffer_bytes += t->told.waiting.size + t->told.given.size;
    if (t->told.lost)
        fc_error_set(&r->refused, -ENOMEM, FC_OP_memory, FC_AT_BOTH, FC_ENGINE_NONE, 0);
    return t->cancelled ? cancelled(&r->refused) : t->told.lost ? -ENOMEM : 0;
}

int fc_tree_run(const struct fc_tree_request *q, const struct fc_tree_options *o,
                const struct fc_tuning *tuning, const struct fc_hooks *h, struct fc_tree_report *r)
{
    uint64_t began = fc_now_ns();
    memset(r, 0, sizeof *r);
    r->refused.op = -1;
    r->refused.engine = FC_ENGINE_NONE;
    struct fc_tree t = {
        .crew = {fc_tree_offer, fc_tree_withdraw}, .o = o, .tuning = tuning, .hooks = h, .report = r};
    atomic_store(&t.path_wanted, h != NULL);
    if (h != NULL && h->told != NULL)
        t.told.room = o->told_room != 0 ? o->told_room : TOLD_ROOM;
    int rc = init_sync(&t);
    if (rc != 0) {
        fc_error_set(&r->refused, rc, FC_OP_thread, FC_AT_BOTH, FC_ENGINE_NONE, 0);
        return rc;
    }
    choose_ways(&t);
    rc = run(&t, q);
    if (rc == -EOWNERDEAD)
        return rc;
    fc_links_free(t.links);
    if (t.root != NULL) {
        fc_dir_close(t.root);
        fc_dir_release(t.root);
    }
    free_workers(&t);
    fc_told_free(&t);
    free(t.path);
    free(t.path_shown);
    pthread_cond_destroy(&t.wake);
    pthread_cond_destroy(&t.idle);
    pthread_mutex_destroy(&t.lock);
    r->elapsed_ns = fc_now_ns() - began;
    return rc;
}
