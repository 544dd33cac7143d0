/* SPDX-License-Identifier: MIT */
/*
 * The process's mappings, from /proc/self/maps or PROCMAP_QUERY.
 */
#ifndef NB_MAPS_H
#define NB_MAPS_H

#include "../base/vma.h"

/*
 * @name is the path or [name], perhaps empty, valid during the call.  Not 0
 * stops the walk and is what it returns.
 */
typedef int nb_vma_fn(const struct nb_vma *vma, const char *name, void *arg);

int nb_maps_for_each(nb_vma_fn *fn, void *arg);
int nb_maps_find(uint64_t addr, struct nb_vma *vma);
int nb_maps_query(uint64_t addr, struct nb_vma *vma);

#endif /* NB_MAPS_H */
