/* filter.h: is an entry of a tree meant? Pure: it knows names, not files. Any thread. */
#ifndef FC_FILTER_H
#define FC_FILTER_H

#include "fastcopy.h"

/* FC_GONE_THROUGH: a directory that is not meant itself, but may hold what is. */
enum fc_verdict { FC_LEFT_OUT, FC_GONE_THROUGH, FC_MEANT };

/* `path` is only looked at where fc_filter_needs_path. inside: the directory it lies in is FC_MEANT. */
enum fc_verdict fc_filter_judge(const struct fc_filter *f, const char *name, const char *path, bool directory,
                                bool inside);
bool fc_filter_needs_path(const struct fc_filter *f);

#endif
