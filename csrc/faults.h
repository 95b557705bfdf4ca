/* faults.h: the test build's answer to "what if this call failed?" (only with FC_FAULTS). */
#ifndef FC_FAULTS_H
#define FC_FAULTS_H

#include "fastcopy.h"

#include <unistd.h>

/* Asked before a call of op: -errno that it shall fail with, or 0; *n, where given, may be cut short.
 * A delay is slept out here. Any thread. */
int fc_fault(int op, size_t *n);

#define fault fc_fault

/* The calls, but that a byte may be another than it was: of what is read, or of what is written. */
ssize_t fc_fault_pread(int fd, void *buf, size_t n, off_t off);
ssize_t fc_fault_pwrite(int fd, const void *buf, size_t n, off_t off);

#define pread  fc_fault_pread
#define pwrite fc_fault_pwrite

#endif
