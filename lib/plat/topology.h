/* SPDX-License-Identifier: MIT */
/*
 * libnuma and /sys -> struct nb_topology.
 */
#ifndef NB_PLAT_TOPOLOGY_H
#define NB_PLAT_TOPOLOGY_H

#include "../base/topology.h"

int nb_topology_read(struct nb_topology *t);
int nb_topology_read_sysfs(struct nb_topology *t, const char *root);
int nb_topology_read_libnuma(struct nb_topology *t);
enum nb_topology_type nb_topology_classify(const struct nb_topology *t);
const char *nb_topology_type_name(enum nb_topology_type type);
bool nb_topology_is_numa(const struct nb_topology *t);

#endif /* NB_PLAT_TOPOLOGY_H */
