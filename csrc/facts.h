/* facts.h: what transfer.c and job.c share with facts.c. */
#ifndef FC_FACTS_H
#define FC_FACTS_H

#include "fastcopy.h"

#include <sys/stat.h>

void fc_identity_of(const struct stat *st, struct fc_identity *id);

/* CPUs that the affinity of this process allows. */
unsigned fc_cpus(void);

/* Look at two open ends that were stat'ed already. dst_fd is the file to be written, or the directory in
 * which it will appear; the latter is said with dst_exists = false. Descriptors stay the caller's. What
 * cannot be found out is left at "not known". */
void fc_facts_of(int src_fd, const struct stat *src, int dst_fd, const struct stat *dst, bool dst_exists,
                 const struct fc_options *o, const struct fc_tuning *t, struct fc_facts *f);

/* The filesystem of fd (enum fc_fs_kind) by its number, -1 if it does not say; and what the table knows of it
 * (enum fc_fs_flags). */
int fc_filesystem_of(int fd);
unsigned fc_filesystem_flags_of(int fd);

/* CPUs and kernel version; closely, 150 us: memory and what the cgroups limit, too. */
void fc_machine_look(struct fc_machine_facts *m, bool closely);

#endif
