/* faults.h: the test build's answer to "what if this call failed?" (only with FC_FAULTS). */
#ifndef FC_FAULTS_H
#define FC_FAULTS_H

#include "fastcopy.h"

/* Asked before a call of op: -errno that it shall fail with, or 0; *n, where given, may be cut short.
 * A delay is slept out here. Any thread. */
int fc_fault(int op, size_t *n);

#define fault fc_fault

#endif
