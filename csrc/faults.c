/* faults.c: the scripted fault table of the test build. The one place in the core with state that
 * outlives a call, and it is not there in a release build. */
#ifdef FC_FAULTS
#include "faults.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#undef pread
#undef pwrite

enum { SCRIPT_MAX = 32 };

static struct {
    struct fc_fault rule[SCRIPT_MAX];
    atomic_uint rules;
    _Atomic uint64_t struck[SCRIPT_MAX];
    _Atomic uint64_t moved[SCRIPT_MAX]; /* of a flip: calls that moved its byte */
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
        atomic_store(&script.struck[i], 0), atomic_store(&script.moved[i], 0);
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

static bool is_its_turn(const struct fc_fault *f, uint64_t call)
{
    return f->for_ever ? call >= f->nth : call == f->nth;
}

int fc_fault(int op, size_t *n)
{
    uint64_t call = atomic_fetch_add(&script.calls[op], 1) + 1;
    unsigned rules = atomic_load(&script.rules);
    for (unsigned i = 0; i < rules; i++) {
        const struct fc_fault *f = &script.rule[i];
        if (f->op != op || f->kind == FC_FAULT_FLIP || !is_its_turn(f, call))
            continue;
        atomic_fetch_add(&script.struck[i], 1);
        switch (f->kind) {
        case FC_FAULT_FLIP:
            break;
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

/* The rule whose byte is among those n, if it is its turn. A call that does not move the byte is none of its calls. */
static const struct fc_fault *flip_among(int op, off_t off, ssize_t n)
{
    unsigned rules = atomic_load(&script.rules);
    for (unsigned i = 0; i < rules; i++) {
        const struct fc_fault *f = &script.rule[i];
        bool moved = n > 0 && f->value >= off && f->value < off + n;
        if (f->op != op || f->kind != FC_FAULT_FLIP || !moved)
            continue;
        if (is_its_turn(f, atomic_fetch_add(&script.moved[i], 1) + 1)) {
            atomic_fetch_add(&script.struck[i], 1);
            return f;
        }
    }
    return NULL;
}

ssize_t fc_fault_pread(int fd, void *buf, size_t n, off_t off)
{
    ssize_t got = pread(fd, buf, n, off);
    const struct fc_fault *f = flip_among(FC_OP_pread, off, got);
    if (f != NULL)
        ((unsigned char *)buf)[f->value - off] ^= 0x40;
    return got;
}

ssize_t fc_fault_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    ssize_t put = pwrite(fd, buf, n, off);
    const struct fc_fault *f = flip_among(FC_OP_pwrite, off, put);
    if (f == NULL)
        return put;
    unsigned char wrong = ((const unsigned char *)buf)[f->value - off] ^ 0x40;
    return pwrite(fd, &wrong, 1, f->value) == 1 ? put : -1;
}
#else
typedef int fc_no_faults_in_a_release_build; /* ISO C wants a declaration */
#endif
