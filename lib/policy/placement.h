/* SPDX-License-Identifier: MIT */
/*
 * 6. numa_preferred_nid: the node that a thread should run on.
 */
#ifndef NB_PLACEMENT_H
#define NB_PLACEMENT_H

#include "../base/topology.h"
#include "numa_faults.h"

int nb_nearest_cpu_node(const struct nb_topology *t, int nid);
int nb_placement(const struct nb_numa_faults *f, const struct nb_topology *t,
		 bool alone);

#endif /* NB_PLACEMENT_H */
