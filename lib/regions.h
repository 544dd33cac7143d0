/* SPDX-License-Identifier: MIT */
/*
 * The memory that may be armed.
 */
#ifndef NB_REGIONS_H
#define NB_REGIONS_H

#include "base/vma.h"

#define NB_MAX_REGIONS 8192

struct nb_region {
	uint64_t start;
	uint64_t end;
	uint32_t flags; /* NB_VMA_LOCKED, NB_VMA_HUGE */
	uint32_t reserved;
	uint64_t born_ns; /* when it was mapped */
};

/* All under the as lock, but nb_regions_may_overlap(). */
int nb_regions_init(void);
int nb_regions_add(uint64_t start, uint64_t end, uint32_t flags,
		   uint64_t now_ns);
void nb_regions_remove(uint64_t start, uint64_t end);
void nb_regions_flag(uint64_t start, uint64_t end, uint32_t flag, bool set);
const struct nb_region *nb_regions_find(uint64_t addr);
bool nb_regions_cover(uint64_t start, uint64_t end);
bool nb_regions_may_overlap(uint64_t start, uint64_t end);
int nb_regions_count(void);
const struct nb_region *nb_regions_at(int i);
uint64_t nb_regions_bytes(void);
int nb_regions_snapshot(struct nb_vma *vmas, int max, uint64_t born_before_ns);
void nb_regions_clear(void);
int nb_exclude_region_part(const struct nb_region *r,
			   const struct nb_range *part);
unsigned int nb_region_chunk_shift(const struct nb_region *r, uint64_t addr);

#endif /* NB_REGIONS_H */
