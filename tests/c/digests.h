/* digests.h: hooks that keep all that they are fed, so that a test sees what a hasher would have; and that fail, or
 * take their time, or fork, where a test says so. */
#ifndef DIGESTS_H
#define DIGESTS_H

#include "check.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

struct fed {
    unsigned char *p;
    size_t n, room;
    bool begun;
};

struct listener {
    struct fed of[3]; /* by enum fc_digest */
    enum fc_digest feeding;
    unsigned calls;     /* of all hooks, */
    unsigned fail_at;   /* and the one of them that says no; 0: none */
    unsigned wait_us;   /* before each feeding, as the interpreter's lock is waited for */
    unsigned update_us; /* for each stretch, as a hasher takes */
    unsigned fork_at;   /* the call that forks; its child has in_child */
    unsigned conducted, stretches;
    bool in_child;
    void (*meddle)(void *), *meddler; /* called once, when half has been fed */
    size_t meddle_at;
};

static inline void sleep_us(unsigned us)
{
    struct timespec ts = {us / 1000000, us % 1000000 * 1000};
    if (us > 0)
        nanosleep(&ts, NULL);
}

/* Whether this call is to fail. */
static inline int called(struct listener *l)
{
    ++l->calls;
    if (l->calls == l->fork_at) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            l->in_child = true;
        } else {
            int status;
            CHECK(waitpid(pid, &status, 0) == pid);
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    }
    return l->calls == l->fail_at;
}

static inline int hear_progress(void *arg, const struct fc_progress *p)
{
    struct listener *l = arg;
    CHECK(p->phase <= FC_PHASE_SYNC);
    ++l->conducted;
    return called(l);
}

static inline int begin_keeping(void *arg, enum fc_digest which)
{
    struct listener *l = arg;
    if (which == FC_DIGEST_NONE) {
        for (int i = 0; i < 3; i++)
            l->of[i].begun = false;
        return 0;
    }
    l->feeding = which;
    l->of[which].n = 0;
    l->of[which].begun = true;
    return called(l);
}

static inline void keep(struct fed *f, const unsigned char *p, size_t n)
{
    if (f->n + n > f->room) {
        f->room = 2 * (f->n + n);
        f->p = realloc(f->p, f->room);
        CHECK(f->p != NULL);
    }
    memcpy(f->p + f->n, p, n);
    f->n += n;
}

static inline int keep_all(void *arg, struct fc_feed *f)
{
    struct listener *l = arg;
    const unsigned char *p;
    size_t n;
    sleep_us(l->wait_us);
    while (fc_feed_take(f, &p, &n)) {
        struct fed *to = &l->of[l->feeding];
        CHECK(n > 0 && to->begun);
        sleep_us(l->update_us);
        keep(to, p, n);
        ++l->stretches;
        if (l->meddle != NULL && to->n >= l->meddle_at) {
            l->meddle(l->meddler);
            l->meddle = NULL;
        }
        if (called(l))
            return 1;
    }
    return 0;
}

static inline int agree_or_not(void *arg)
{
    struct listener *l = arg;
    const struct fed *a = &l->of[FC_DIGEST_WRITTEN], *b = &l->of[FC_DIGEST_REREAD];
    if (called(l))
        return -1;
    return !a->begun || !b->begun || (a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0));
}

static inline struct fc_hooks hooks_of(struct listener *l)
{
    return (struct fc_hooks){.conduct = hear_progress,
                             .arg = l,
                             .interval_ms = 1,
                             .begin = begin_keeping,
                             .feed = keep_all,
                             .agree = agree_or_not};
}

static inline bool fed_is_file(const struct fed *f, const char *name)
{
    size_t n;
    unsigned char *p = read_file(name, &n);
    bool same = f->begun && f->n == n && (n == 0 || memcmp(f->p, p, n) == 0);
    free(p);
    return same;
}

static inline void forget(struct listener *l)
{
    for (int i = 0; i < 3; i++)
        free(l->of[i].p);
    memset(l, 0, sizeof *l);
}

#endif
