/* tree_work.c: what a worker does next. See tree.h. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Files that wait for another worker. What finds no room is copied by who found it. */
#define FILES_MAX 256

/* As the kernel writes it. */
struct name_record {
    uint64_t ino;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* ---- putting work where others find it --------------------------------------------------------- */

void fc_tree_wake(struct fc_tree *t)
{
    if (t->waiting > 0)
        pthread_cond_broadcast(&t->wake);
}

void fc_tree_stop(struct fc_tree *t)
{
    atomic_store(&t->stop, true);
    pthread_mutex_lock(&t->lock);
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

void fc_tree_push_dir(struct fc_tree_worker *w, struct fc_tree_dir *parent, const char *name, bool by_symlink,
                      bool meant)
{
    struct fc_tree *t = w->tree;
    struct fc_tree_dir *d = fc_dir_new(parent, name);
    if (d == NULL) {
        fc_tree_fail_call(w, parent, name, -ENOMEM, FC_OP_memory, FC_AT_SOURCE);
        return;
    }
    d->by_symlink = by_symlink;
    d->meant = meant;
    pthread_mutex_lock(&t->lock);
    d->next = t->stack;
    t->stack = d;
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

bool fc_tree_push_file(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name, uint64_t size,
                       bool always)
{
    struct fc_tree *t = w->tree;
    size_t n = strlen(name) + 1;
    struct fc_tree_file *f = malloc(sizeof *f + n);
    if (f == NULL)
        return false;
    *f = (struct fc_tree_file){.dir = d, .size = size};
    memcpy(f->name, name, n);
    pthread_mutex_lock(&t->lock);
    bool room = always || t->file_count < FILES_MAX;
    if (room) {
        atomic_fetch_add(&d->pending, 1);
        if (t->files == NULL)
            t->files = f;
        else
            t->files_last->next = f;
        t->files_last = f;
        t->file_count++;
        fc_tree_wake(t);
    }
    pthread_mutex_unlock(&t->lock);
    if (!room)
        free(f);
    return room;
}

void fc_tree_offer(struct fc_crew *c, struct fc_job *j)
{
    struct fc_tree *t = (struct fc_tree *)c;
    struct fc_tree_offer *offer = calloc(1, sizeof *offer);
    if (offer == NULL)
        return; /* nobody helps */
    offer->job = j;
    pthread_mutex_lock(&t->lock);
    offer->next = t->offers;
    t->offers = offer;
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

void fc_tree_withdraw(struct fc_crew *c, struct fc_job *j)
{
    struct fc_tree *t = (struct fc_tree *)c;
    pthread_mutex_lock(&t->lock);
    struct fc_tree_offer **at = &t->offers, *offer;
    while (*at != NULL && (*at)->job != j)
        at = &(*at)->next;
    offer = *at;
    if (offer != NULL) {
        *at = offer->next;
        while (offer->helpers > 0) {
            t->waiting++;
            pthread_cond_wait(&t->wake, &t->lock);
            t->waiting--;
            pthread_mutex_unlock(&t->lock);
            fc_conduct(j, atomic_load(&j->done)); /* nobody else tells them to stop */
            pthread_mutex_lock(&t->lock);
        }
    }
    pthread_mutex_unlock(&t->lock);
    free(offer);
}

/* ---- doing it ---------------------------------------------------------------------------------- */

static void end_stream(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    struct fc_tree *t = w->tree;
    pthread_mutex_lock(&t->lock);
    bool first = d->streaming; /* others may have seen the end before us */
    if (first) {
        d->streaming = false;
        struct fc_tree_dir **at = &t->streams;
        while (*at != d)
            at = &(*at)->next;
        *at = d->next;
        t->stream_count--;
    }
    pthread_mutex_unlock(&t->lock);
    if (first)
        fc_dir_done(w, d);
}

/* Its names are there for everybody, and the first batch of them is ours. */
void fc_tree_begin_stream(struct fc_tree *t, struct fc_tree_dir *d)
{
    atomic_fetch_add(&d->pending, 1);
    pthread_mutex_lock(&t->lock);
    d->streaming = true;
    d->next = t->streams;
    t->streams = d;
    t->stream_count++;
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

/* d is pinned, and this batch is one of its pendings. */
static void read_batch(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    ssize_t n = fc_tree_stopped(w->tree) ? 0 : fc_sys_getdents(d->src, w->names, FC_BATCH_BYTES);
    if (n < 0) /* ENOENT: removed while we read it, which is the end of its names */
        fc_tree_fail_call(w, d, NULL, (int)n, FC_OP_getdents, FC_AT_SOURCE);
    w->path_length = 0;
    for (ssize_t at = 0; at < n;) {
        struct name_record *r = (struct name_record *)(void *)(w->names + at);
        at += r->length;
        if (strcmp(r->name, ".") == 0 || strcmp(r->name, "..") == 0)
            continue;
        if (!fc_tree_go_on(w, d, r->name))
            break;
        fc_tree_entry(w, d, r->name, r->type);
    }
    if (n <= 0)
        end_stream(w, d);
    fc_dir_unpin(w->tree, d);
    fc_dir_done(w, d);
}

static void open_dir(struct fc_tree_worker *w, struct fc_tree_dir *d)
{
    struct fc_tree *t = w->tree;
    if (!fc_tree_go_on(w, d->parent, d->name) || !fc_dir_enter(w, d)) {
        fc_dir_done(w, d);
        return;
    }
    if (d->stays_empty) {
        fc_dir_unpin(t, d);
        fc_dir_done(w, d);
        return;
    }
    fc_tree_begin_stream(t, d);
    read_batch(w, d);
}

static void copy_file(struct fc_tree_worker *w, struct fc_tree_file *f)
{
    struct fc_tree *t = w->tree;
    w->kind = FC_ENTRY_FILE;
    if (fc_tree_go_on(w, f->dir, f->name)) {
        int rc = fc_dir_pin(t, f->dir);
        if (rc == 0) {
            fc_tree_file_waiting(w, f->dir, f->name);
            fc_dir_unpin(t, f->dir);
        } else {
            fc_tree_fail_call(w, f->dir, f->name, rc, FC_OP_open, FC_AT_BOTH);
        }
    }
    fc_dir_done(w, f->dir);
    free(f);
}

static void help(struct fc_tree_worker *w, struct fc_tree_offer *offer)
{
    struct fc_tree *t = w->tree;
    fc_job_help(offer->job);
    pthread_mutex_lock(&t->lock);
    offer->helpers--;
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

/* ---- choosing it ------------------------------------------------------------------------------- */

struct task {
    enum { NOTHING_LEFT, DIRECTORY, STREAM, A_FILE, HELP } kind;
    struct fc_tree_dir *dir;
    struct fc_tree_file *file;
    struct fc_tree_offer *offer;
};

static int by_size(const void *a, const void *b)
{
    const struct fc_tree_file *const *x = a, *const *y = b;
    return ((*x)->size > (*y)->size) - ((*x)->size < (*y)->size);
}

/* The walk is done: put what it found in order. Where there is no memory for that, there is no order. */
static void sort_files(struct fc_tree *t)
{
    t->collecting = false;
    size_t n = 0;
    struct fc_tree_file **all = calloc(t->file_count + 1, sizeof(struct fc_tree_file *));
    if (all == NULL)
        return;
    for (struct fc_tree_file *f = t->files; f != NULL; f = f->next)
        all[n++] = f;
    qsort(all, n, sizeof *all, by_size);
    t->files = t->files_last = NULL;
    for (size_t i = 0; i < n; i++) {
        struct fc_tree_file *f = all[t->o->order == FC_ORDER_SMALLEST_FIRST ? n - 1 - i : i];
        f->next = t->files;
        t->files_last = t->files == NULL ? f : t->files_last;
        t->files = f;
    }
    free(all);
}

static struct fc_tree_offer *wanting_help(struct fc_tree *t)
{
    struct fc_tree_offer *offer = t->offers;
    while (offer != NULL && !fc_job_wants_help(offer->job))
        offer = offer->next;
    return offer;
}

/* With an order, the first; else the largest. */
static struct fc_tree_file *take_file(struct fc_tree *t)
{
    struct fc_tree_file *before = NULL, *f;
    if (t->o->order == FC_ORDER_AS_FOUND)
        for (f = t->files; f->next != NULL; f = f->next)
            if (f->next->size > (before == NULL ? t->files : before->next)->size)
                before = f;
    f = before == NULL ? t->files : before->next;
    *(before == NULL ? &t->files : &before->next) = f->next;
    if (t->files_last == f)
        t->files_last = before;
    t->file_count--;
    return f;
}

/* With the lock. Directories before the stream below them, names before files that wait, the largest of those first,
 * and any of it before helping: a helper shares a file's lock with the one he helps, so that the less there is
 * left of the last file the better. 1,000 x 1 KB, 100 x 1 MB, 10 x 50 MB and 1 x 1 GB on tmpfs take 0.39 s and not the
 * 0.45 of files copied as they are found. */
static bool choose(struct fc_tree *t, struct task *k)
{
    if (t->stack != NULL && (t->stream_count < t->open_max || t->streams == NULL)) {
        *k = (struct task){.kind = DIRECTORY, .dir = t->stack};
        t->stack = t->stack->next;
    } else if (t->streams != NULL) {
        *k = (struct task){.kind = STREAM, .dir = t->streams};
        t->streams->pins++;
        atomic_fetch_add(&t->streams->pending, 1);
    } else if (t->files != NULL && !t->collecting) {
        *k = (struct task){.kind = A_FILE, .file = take_file(t)};
    } else if ((k->offer = wanting_help(t)) != NULL) {
        k->kind = HELP;
        k->offer->helpers++;
    } else {
        return false;
    }
    return true;
}

static void take(struct fc_tree *t, struct task *k)
{
    pthread_mutex_lock(&t->lock);
    t->busy--;
    for (;;) {
        if (choose(t, k)) {
            t->busy++;
            break;
        }
        if (t->busy == 0 && t->collecting) {
            sort_files(t);
            continue;
        }
        if (t->busy == 0) {
            k->kind = NOTHING_LEFT;
            fc_tree_wake(t);
            break;
        }
        t->waiting++;
        pthread_cond_wait(&t->wake, &t->lock);
        t->waiting--;
    }
    pthread_mutex_unlock(&t->lock);
}

void fc_tree_work(struct fc_tree_worker *w)
{
    for (;;) {
        struct task k = {0};
        take(w->tree, &k);
        switch (k.kind) {
        case DIRECTORY:
            open_dir(w, k.dir);
            break;
        case STREAM:
            read_batch(w, k.dir);
            break;
        case A_FILE:
            copy_file(w, k.file);
            break;
        case HELP:
            help(w, k.offer);
            break;
        case NOTHING_LEFT:
            return;
        }
    }
}
