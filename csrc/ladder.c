/* ladder.c: one engine after another. See job.h. */
#include "job.h"

#include <errno.h>

int fc_engine_at_work(const struct fc_job *j)
{
    unsigned rung = atomic_load(&j->rung);
    if (j->reader != NULL)
        return FC_ENGINE_NONE;
    return rung < j->plan->rungs ? j->plan->ladder[rung] : FC_ENGINE_NONE;
}

int fc_pass(struct fc_worker *w, int err, enum fc_op op)
{
    w->pass_errno = err;
    w->pass_op = op;
    return FC_PASS;
}

void fc_ladder_note(struct fc_report *r, int engine, int err, uint64_t offset)
{
    if (r->attempt_count < FC_LADDER_MAX)
        r->attempts[r->attempt_count++] = (struct fc_attempt){engine, err, offset};
}

static bool is_failure_of_its_own(int err)
{
    return err == EIO || err == ENOSPC || err == EDQUOT || err == ENOMEM;
}

/* The engine of this rung cannot go on: take the next, or tell why there is none. */
int fc_ladder_next(struct fc_job *j, unsigned rung, int err, enum fc_op op, uint64_t offset)
{
    int engine = j->plan->ladder[rung];
    fc_ladder_note(j->report, engine, err, offset);
    if (rung + 1 < j->plan->rungs) {
        atomic_store(&j->rung, rung + 1);
        return 0;
    }
    fc_error_set(&j->report->error, -err, op, FC_AT_BOTH, engine, offset);
    if (!is_failure_of_its_own(err)) {
        j->report->error.err = EOPNOTSUPP;
        j->report->error.code = FC_COPY_E_UNSUPPORTED;
        j->report->error.op = -1;
        j->report->error.cause = err;
    }
    return -j->report->error.err;
}

/* Enter the engine of the present rung, or the first below it that can be entered. With `lock` held, or
 * while there are no workers. */
int fc_ladder_enter(struct fc_job *j)
{
    for (;;) {
        unsigned rung = atomic_load(&j->rung);
        const struct fc_engine *engine = fc_engine_get(j->plan->ladder[rung]);
        int err = engine->enter != NULL ? engine->enter(j) : 0;
        if (err == 0)
            return 0;
        int rc = fc_ladder_next(j, rung, -err, FC_OP_fcntl, 0);
        if (rc != 0)
            return rc;
    }
}

void fc_ladder_leave(struct fc_job *j)
{
    const struct fc_engine *engine = fc_engine_get(j->plan->ladder[atomic_load(&j->rung)]);
    if (engine->leave != NULL)
        engine->leave(j);
}

/* A worker found that the engine of `rung` cannot go on. The first to say so moves everybody on. */
int fc_ladder_pass(struct fc_worker *w, unsigned rung, uint64_t offset)
{
    struct fc_job *j = w->job;
    int rc = 0;
    pthread_mutex_lock(&j->lock);
    if (j->rc != 0) {
        rc = -ECANCELED;
    } else if (atomic_load(&j->rung) == rung) {
        fc_ladder_leave(j);
        rc = fc_ladder_next(j, rung, w->pass_errno, w->pass_op, offset);
        if (rc == 0)
            rc = fc_ladder_enter(j);
        j->rc = rc;
    }
    if (rc != 0) {
        atomic_store(&j->stop, true);
        pthread_cond_broadcast(&j->room);
    }
    pthread_mutex_unlock(&j->lock);
    return rc;
}
