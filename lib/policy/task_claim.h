/* SPDX-License-Identifier: MIT */
/*
 * 8a. Who gives way where processes compete for a node.
 */
#ifndef NB_TASK_CLAIM_H
#define NB_TASK_CLAIM_H

#include "task_place.h"

bool nb_better_claim(const struct nb_task_place *tp, int nid);
bool nb_worse_claim(const struct nb_task_place *tp, int nid);

#endif /* NB_TASK_CLAIM_H */
