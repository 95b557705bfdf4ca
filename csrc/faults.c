/* faults.c: the scripted fault table of the test build. The one place in the core with state that
 * outlives a call, and it is not there in a release build. */
#ifdef FC_FAULTS
#include "faults.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { SCRIPT_MAX = 32 };

static struct {
    struct fc_fault rule[SCRIPT_MAX];
    atomic_uint rules;
    _Atomic uint64_t struck[SCRIPT_MAX];
    _Atomic uint64_t calls[FC_OP_COUNT];
} script;

int fc_faults_set(const struct fc_fault *faults, unsigned n)
{
    if (n > SCRIPT_MAX)
        return -E2BIG;
    atomic_store(&script.rules, 0);
    if (n > 0)
        memcpy(script.rule, faults, n * sizeof *faults);
    for (unsigned i = 0; i < SCRIPT_MAX; i++)
        atomic_store(&script.struck[i], 0);
    for (unsigned i = 0; i < FC_OP_COUNT; i++)
        atomic_store(&script.calls[i], 0);
    atomic_store(&script.rules, n);
    return 0;
}

uint64_t fc_faults_calls(int op)
{
    return atomic_load(&script.calls[op]);
}

uint64_t fc_faults_struck(unsigned i)
{
    return i < SCRIPT_MAX ? atomic_load(&script.struck[i]) : 0;
}

int fc_fault(int op, size_t *n)
{
    uint64_t call = atomic_fetch_add(&script.calls[op], 1) + 1;
    unsigned rules = atomic_load(&script.rules);
    for (unsigned i = 0; i < rules; i++) {
        const struct fc_fault *f = &script.rule[i];
        if (f->op != op || (f->for_ever ? call < f->nth : call != f->nth))
            continue;
        atomic_fetch_add(&script.struck[i], 1);
        switch (f->kind) {
        case FC_FAULT_ERRNO:
            return (int)-f->value;
        case FC_FAULT_SHORT:
            if (n != NULL && *n > (size_t)f->value)
                *n = (size_t)f->value;
            break;
        case FC_FAULT_DELAY: {
            struct timespec ts = {f->value / 1000000, f->value % 1000000 * 1000};
            nanosleep(&ts, NULL);
            break;
        }
        }
    }
    return 0;
}
#else
typedef int fc_no_faults_in_a_release_build; /* ISO C wants a declaration */
#endif
