/* SPDX-License-Identifier: MIT */
/*
 * The process's mappings, from /proc/self/maps or PROCMAP_QUERY.
 */
#ifndef NB_MAPS_H
#define NB_MAPS_H

#include "sys.h"

int nb_maps_for_each(nb_vma_fn *fn, void *arg);
int nb_maps_walk(uint64_t start, uint64_t end, nb_vma_fn *fn, void *arg);
int nb_maps_find(uint64_t addr, struct nb_vma *vma);
int nb_maps_query(uint64_t addr, struct nb_vma *vma);

#endif /* NB_MAPS_H */
