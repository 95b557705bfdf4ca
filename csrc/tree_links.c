/* tree_links.c: files of the source that are one file become one file. See tree.h.
 *
 * The first name of a file is copied, the others are linked to it; those that are found while it is being
 * copied wait, without a worker. The table forgets a file when all of its names were seen, so it holds the
 * files that have names in two places, or outside the tree. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* About 100 MiB. Beyond it a file is copied, and an error says that it is not the one that it was. */
#define LINKS_MAX (1U << 20)
#define BUCKETS   (1U << 12)

struct name {
    struct name *next;
    struct fc_tree_dir *dir; /* a reference; of one that waits, a pending too */
    bool replace;
    char name[];
};

struct file {
    struct file *next;
    uint64_t dev, ino, left; /* names that were not seen yet */
    bool there;              /* else it is being copied */
    struct name *first, *waiting;
};

struct fc_links {
    pthread_mutex_t lock;
    unsigned count;
    struct file *buckets[BUCKETS];
};

struct fc_links *fc_links_new(void)
{
    struct fc_links *l = calloc(1, sizeof *l);
    if (l != NULL && pthread_mutex_init(&l->lock, NULL) != 0) {
        free(l);
        return NULL;
    }
    return l;
}

static struct name *new_name(struct fc_tree_dir *d, const char *name, bool replace)
{
    size_t n = strlen(name) + 1;
    struct name *made = malloc(sizeof *made + n);
    if (made == NULL)
        return NULL;
    *made = (struct name){.dir = d, .replace = replace};
    memcpy(made->name, name, n);
    atomic_fetch_add(&d->refs, 1);
    return made;
}

static void free_name(struct name *n)
{
    if (n != NULL)
        fc_dir_release(n->dir);
    free(n);
}

static void free_file(struct file *f)
{
    free_name(f->first);
    free(f);
}

void fc_links_free(struct fc_links *l)
{
    if (l == NULL)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct file *f = l->buckets[i], *next; f != NULL; f = next) {
            next = f->next;
            free_file(f);
        }
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static struct file **find(struct fc_links *l, const struct stat *st)
{
    uint64_t hash = (st->st_ino ^ st->st_dev << 20) * UINT64_C(0x9E3779B97F4A7C15);
    struct file **at = &l->buckets[hash >> 52];
    while (*at != NULL && ((*at)->ino != st->st_ino || (*at)->dev != st->st_dev))
        at = &(*at)->next;
    return at;
}

static struct file *insert(struct fc_links *l, struct file **at, struct fc_tree_dir *d, const char *name,
                           const struct stat *st)
{
    struct file *f = l->count < LINKS_MAX ? calloc(1, sizeof *f) : NULL;
    if (f == NULL)
        return NULL;
    *f = (struct file){.dev = st->st_dev, .ino = st->st_ino, .left = st->st_nlink - 1};
    f->first = new_name(d, name, false);
    if (f->first == NULL) {
        free(f);
        return NULL;
    }
    l->count++;
    *at = f;
    return f;
}

static void forget(struct fc_links *l, struct file **at)
{
    struct file *f = *at;
    *at = f->next;
    l->count--;
    free_file(f);
}

/* ---- linking ------------------------------------------------------------------------------------- */

/* No link follows a symlink. If somebody has put another file under the first's name, in the destination and
 * with the right to, then that is what the second is too. */
static int link_pinned(struct fc_tree_worker *w, const struct name *first, struct fc_tree_dir *d,
                       const char *name, bool replace, enum fc_op *op)
{
    char temporary[32];
    *op = FC_OP_linkat;
    if (!replace)
        return fc_sys_linkat(first->dir->dst, first->name, d->dst, name);
    if (fc_sys_keeps_names(d->dst)) {
        *op = FC_OP_renameat;
        return -EPERM;
    }
    fc_tree_temporary(w, temporary);
    int rc = fc_sys_linkat(first->dir->dst, first->name, d->dst, temporary);
    if (rc != 0)
        return rc;
    *op = FC_OP_renameat;
    rc = fc_sys_renameat(d->dst, temporary, name);
    /* Renaming a file to another name of its own does nothing, and says that it went well. */
    int left = fc_sys_unlinkat(d->dst, temporary);
    return rc != 0 || left == 0 || left == -ENOENT ? rc : left;
}

static int link_both(struct fc_tree_worker *w, const struct name *first, struct fc_tree_dir *d,
                     const char *name, bool replace, enum fc_op *op)
{
    struct fc_tree *t = w->tree;
    int rc = fc_dir_pin(t, first->dir);
    if (rc != 0)
        return rc;
    rc = fc_dir_pin(t, d);
    if (rc == 0) {
        rc = link_pinned(w, first, d, name, replace, op);
        fc_dir_unpin(t, d);
    }
    fc_dir_unpin(t, first->dir);
    return rc;
}

static void make_link(struct fc_tree_worker *w, const struct name *first, struct fc_tree_dir *d,
                      const char *name, bool replace)
{
    struct fc_tree *t = w->tree;
    enum fc_op op = FC_OP_open;
    int rc = t->o->dry_run ? 0 : link_both(w, first, d, name, replace, &op);
    if (rc != 0) {
        fc_tree_fail_call(w, d, name, rc, op, FC_AT_DESTINATION);
        return;
    }
    FC_COUNT(w, links, 1);
    fc_tree_tell(w, d, name, FC_FATE_LINKED, 0);
}

static enum fc_link_claim no_room(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name)
{
    struct fc_error e = {.err = ENOMEM,
                         .op = -1,
                         .engine = FC_ENGINE_NONE,
                         .at = FC_AT_DESTINATION,
                         .why = "too many files with several names: this one was copied, and not linked"};
    fc_tree_fail(w, d, name, &e);
    return FC_LINK_NO_ROOM;
}

enum fc_link_claim fc_links_claim(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                                  const struct stat *st, bool replace)
{
    struct fc_links *l = w->tree->links;
    struct name *here = new_name(d, name, replace), *first = NULL;
    if (here == NULL)
        return no_room(w, d, name);
    pthread_mutex_lock(&l->lock);
    struct file **at = find(l, st), *f = *at;
    bool is_first = f == NULL, waits = f != NULL && !f->there;
    if (is_first) {
        f = insert(l, at, d, name, st);
    } else {
        f->left -= f->left > 0;
        if (waits) {
            here->next = f->waiting;
            f->waiting = here;
            atomic_fetch_add(&d->pending, 1);
        } else {
            first = new_name(f->first->dir, f->first->name, false);
            if (f->left == 0)
                forget(l, at);
        }
    }
    pthread_mutex_unlock(&l->lock);
    if (waits)
        return FC_LINK_MADE;
    free_name(here);
    if (is_first)
        return f != NULL ? FC_LINK_FIRST : no_room(w, d, name);
    if (first == NULL)
        return no_room(w, d, name);
    make_link(w, first, d, name, replace);
    free_name(first);
    return FC_LINK_MADE;
}

void fc_links_present(struct fc_tree_worker *w, struct fc_tree_dir *d, const char *name,
                      const struct stat *st)
{
    struct fc_links *l = w->tree->links;
    pthread_mutex_lock(&l->lock);
    struct file **at = find(l, st), *f = *at;
    if (f != NULL)
        f->left -= f->left > 0;
    else if ((f = insert(l, at, d, name, st)) != NULL)
        f->there = true;
    pthread_mutex_unlock(&l->lock);
}

/* Those that waited are linked to it; or, if it could not be copied, one of them is the first now. */
void fc_links_copied(struct fc_tree_worker *w, const struct stat *st, bool well)
{
    struct fc_links *l = w->tree->links;
    pthread_mutex_lock(&l->lock);
    struct file **at = find(l, st), *f = *at;
    struct name *waiting = f->waiting, *first = f->first;
    f->waiting = NULL;
    f->there = true;
    if (!well || f->left == 0) {
        f->first = NULL;
        forget(l, at);
    } else {
        first = new_name(first->dir, first->name, false);
    }
    pthread_mutex_unlock(&l->lock);
    for (struct name *n = waiting, *next; n != NULL; n = next) {
        next = n->next;
        if (well && first != NULL)
            make_link(w, first, n->dir, n->name, n->replace);
        else if (!fc_tree_push_file(w, n->dir, n->name, 0, true))
            fc_tree_fail_call(w, n->dir, n->name, -ENOMEM, FC_OP_memory, FC_AT_SOURCE);
        fc_dir_done(w, n->dir);
        free_name(n);
    }
    free_name(first);
}
