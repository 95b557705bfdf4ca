/* tree_told.c: what became of each entry, for a caller who asks. See tree.h.
 *
 * Workers append under the lock, and wait while there is no room; the conductor takes all of it away, leaving them
 * another buffer, when half of it is full and at every tick. So however many entries there are, they take twice the
 * room, or what the longest path takes. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct fc_entry *fc_entries_take(struct fc_entries *e)
{
    const struct fc_entry *entry = (const struct fc_entry *)(const void *)e->at;
    if (e->at == e->end)
        return NULL;
    e->at += entry->length;
    return entry;
}

static void ripen(struct fc_tree *t)
{
    t->told.ripe = true;
    pthread_cond_signal(&t->idle);
}

static bool make_room(struct fc_told *told, size_t n)
{
    struct fc_told_buffer *b = &told->waiting;
    size_t size = b->used + n > told->room ? b->used + n : told->room;
    if (size <= b->size)
        return true;
    unsigned char *mem = realloc(b->mem, size);
    if (mem == NULL)
        return false;
    b->mem = mem;
    b->size = size;
    return true;
}

void fc_told_add(struct fc_tree_worker *w, const struct fc_tree_dir *d, const char *name,
                 enum fc_entry_fate fate, uint64_t size, int err)
{
    struct fc_tree *t = w->tree;
    struct fc_told *told = &t->told;
    struct fc_told_buffer *b = &told->waiting;
    const size_t align = _Alignof(struct fc_entry);
    size_t path = fc_tree_path_size(d, name);
    size_t n = (sizeof(struct fc_entry) + path + align - 1) / align * align;
    enum fc_entry_kind kind = name != NULL ? w->kind : FC_ENTRY_DIRECTORY;
    pthread_mutex_lock(&t->lock);
    /* Who conducts himself waits for nobody: he comes by between two entries. */
    while (!told->deaf && !w->on_caller && b->used > 0 && b->used + n > told->room) {
        ripen(t);
        t->waiting++;
        pthread_cond_wait(&t->wake, &t->lock);
        t->waiting--;
    }
    bool lost = !told->deaf && !make_room(told, n);
    if (lost) {
        told->deaf = told->lost = true;
    } else if (!told->deaf) {
        struct fc_entry *entry = (struct fc_entry *)(void *)(b->mem + b->used);
        *entry = (struct fc_entry){size, (uint32_t)n, err, (uint8_t)kind, (uint8_t)fate};
        fc_tree_path_put(d, name, entry->path, path);
        b->used += n;
        if (b->used > told->room / 2 && !told->ripe)
            ripen(t);
    }
    pthread_mutex_unlock(&t->lock);
    if (lost)
        fc_tree_stop(t);
}

void fc_told_take(struct fc_tree *t, struct fc_entries *e)
{
    struct fc_told *told = &t->told;
    pthread_mutex_lock(&t->lock);
    struct fc_told_buffer given = told->waiting;
    told->waiting = told->given;
    told->waiting.used = 0;
    told->given = given;
    told->ripe = false;
    *e = (struct fc_entries){given.mem, given.mem + (told->deaf ? 0 : given.used)};
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

void fc_told_nobody(struct fc_tree *t)
{
    pthread_mutex_lock(&t->lock);
    t->told.deaf = true;
    fc_tree_wake(t);
    pthread_mutex_unlock(&t->lock);
}

void fc_told_free(struct fc_tree *t)
{
    free(t->told.waiting.mem);
    free(t->told.given.mem);
}
