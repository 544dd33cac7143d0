/* SPDX-License-Identifier: MIT */
/*
 * 1. Taking access away from chunks, and giving it back.
 */
#ifndef NB_ARM_H
#define NB_ARM_H

#include "../plat/sys.h"
#include "chunk.h"

/* What became of a chunk that a thread faulted on. */
enum nb_disarm {
	NB_DISARM_DONE,	  /* it was armed; accessible now */
	NB_DISARM_RACE,	  /* somebody else is changing it: try again */
	NB_DISARM_NOT,	  /* it is not armed */
	NB_DISARM_FAILED, /* the kernel refused: the access is not back */
};

/* Neighbouring chunks on their way to one mprotect(2). */
struct nb_arm_batch {
	const struct nb_sys *sys;
	uint64_t max_bytes; /* longest run */
	uint64_t start;	    /* [start, end) is ARMING */
	uint64_t end;
};

/* Chunks not accessible, or about to be, in the whole process. */
extern _Atomic uint64_t nb_nr_armed;
/* Mappings that may still be added by cutting others; below 0: none. */
extern _Atomic int64_t nb_map_room;

void nb_arm_without_barrier(bool yes);
int nb_arm_add(struct nb_arm_batch *batch, struct nb_block *b,
	       const uint64_t *eligible, unsigned int *nr_armed);
int nb_arm_flush(struct nb_arm_batch *batch);
int nb_arm_block(const struct nb_sys *sys, struct nb_block *b,
		 const uint64_t *eligible, unsigned int *nr_armed);
enum nb_disarm nb_disarm_chunk(const struct nb_sys *sys, struct nb_block *b,
			       unsigned int i);
int nb_disarm_range(const struct nb_sys *sys, uint64_t start, uint64_t end);
int nb_disarm_for_call(const struct nb_sys *sys, uint64_t start, uint64_t end);
int nb_mark_excluded(const struct nb_sys *sys, uint64_t start, uint64_t end);
void nb_forget_range(uint64_t start, uint64_t end, bool forget_excluded);
int nb_exclude_range(const struct nb_sys *sys, uint64_t start, uint64_t end,
		     unsigned int chunk_shift);

#endif /* NB_ARM_H */
