/* facts.h: what transfer.c and job.c share with facts.c. */
#ifndef FC_FACTS_H
#define FC_FACTS_H

#include "fastcopy.h"

#include <sys/stat.h>

void fc_identity_of(const struct stat *st, struct fc_identity *id);

#endif
