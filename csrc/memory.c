/* memory.c: see memory.h. */
#include "memory.h"

#include "sys.h"

#include <errno.h>
#include <stdlib.h>

int fc_memory_new(size_t n, bool direct, struct fc_memory **out)
{
    void *p = NULL;
    struct fc_memory *m = malloc(sizeof *m);
    int rc = m == NULL ? -ENOMEM : fc_sys_memory(n, direct, &p);
    if (rc != 0) {
        free(m);
        return rc;
    }
    m->p = p;
    m->n = n;
    m->direct = direct;
    atomic_init(&m->owners, 1);
    *out = m;
    return 0;
}

struct fc_memory *fc_memory_own(struct fc_memory *m)
{
    atomic_fetch_add(&m->owners, 1);
    return m;
}

void fc_memory_drop(struct fc_memory *m)
{
    if (m == NULL || atomic_fetch_sub(&m->owners, 1) > 1)
        return;
    fc_sys_memory_free(m->p, m->n, m->direct);
    free(m);
}
