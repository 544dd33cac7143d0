/* SPDX-License-Identifier: MIT */
/*
 * What `numabal doctor` asks a program for.
 */
#ifndef NB_GUARD_REPORT_H
#define NB_GUARD_REPORT_H

#include "detect.h"

int nb_guard_report_fd(char *const *env);
void nb_guard_report(int fd, const struct nb_tier_choice *choice);

#endif /* NB_GUARD_REPORT_H */
