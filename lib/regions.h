/* SPDX-License-Identifier: MIT */
/*
 * The memory that may be armed.
 */
#ifndef NB_REGIONS_H
#define NB_REGIONS_H

#include "base/vma.h"

#define NB_MAX_REGIONS 8192
#define NB_REGION_KEEPER_SHIFT 24

/* Beside NB_VMA_LOCKED and NB_VMA_HUGE. */
enum nb_region_flags {
	NB_REGION_NEVER = 1U << 16,    /* a stack, or written by the kernel */
	NB_REGION_BRK = 1U << 17,      /* grows and shrinks by brk(2) */
	NB_REGION_LARGE = 1U << 18,    /* fit for the conservative tier, too */
	NB_REGION_KEEPER = 0x7f << 24, /* for whom it is not armed: keep.h */
};

struct nb_region {
	uint64_t start;
	uint64_t end;
	uint32_t flags;	  /* NB_VMA_LOCKED, NB_VMA_HUGE, enum nb_region_flags */
	uint32_t prot;	  /* as the program has set it: PROT_* */
	uint64_t born_ns; /* when it was mapped */
};

/* All under the as lock, but nb_regions_may_overlap(). */
int nb_regions_init(void);
int nb_regions_add(uint64_t start, uint64_t end, uint32_t flags,
		   uint64_t now_ns);
void nb_regions_add_prot(const struct nb_region *r);
void nb_regions_remove(uint64_t start, uint64_t end);
void nb_regions_protect(uint64_t start, uint64_t end, uint32_t prot);
void nb_regions_never(uint64_t start, uint64_t end);
void nb_regions_flag(uint64_t start, uint64_t end, uint32_t flag, bool set);
const struct nb_region *nb_regions_find(uint64_t addr);
void nb_regions_gap(uint64_t addr, struct nb_range *within);
bool nb_regions_cover(uint64_t start, uint64_t end);
bool nb_regions_may_overlap(uint64_t start, uint64_t end);
bool nb_regions_peek(uint64_t addr, struct nb_region *r, uint32_t *seen);
bool nb_regions_unchanged(uint32_t seen);
int nb_regions_index(uint64_t addr);
int nb_regions_count(void);
const struct nb_region *nb_regions_at(int i);
uint64_t nb_regions_bytes(void);
int nb_regions_snapshot(struct nb_vma *vmas, int max, uint64_t born_before_ns);
void nb_regions_only_large(bool only);
bool nb_region_eligible(const struct nb_region *r);
void nb_regions_clear(void);
int nb_exclude_region_part(const struct nb_region *r,
			   const struct nb_range *part);
unsigned int nb_region_chunk_shift(const struct nb_region *r, uint64_t addr);

#endif /* NB_REGIONS_H */
