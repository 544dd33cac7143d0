/* SPDX-License-Identifier: MIT */
/*
 * 6a. The node for each numa_group, and for the threads that are in none.
 */
#ifndef NB_GROUP_PLACE_H
#define NB_GROUP_PLACE_H

#include "numa_group.h"
#include "task_place.h"

void nb_group_place(struct nb_group_set *set, struct nb_group_task *t,
		    size_t nr, const struct nb_task_place *tp);
void nb_group_round(struct nb_group_set *set, struct nb_group_task *t,
		    size_t nr, const struct nb_task_place *tp, void *scratch);

#endif /* NB_GROUP_PLACE_H */
