/* SPDX-License-Identifier: MIT */
/*
 * A libc's one place for system calls that can be cancelled, and who calls it.
 */
#ifndef NB_GUARD_BRIDGE_H
#define NB_GUARD_BRIDGE_H

#include "image.h"

#define NB_BRIDGE_CALLS 16
#define NB_CALL_LEN 5U /* call rel32 */

struct nb_bridge {
	uint64_t start;			/* of the function; 0: not looked for */
	uint64_t call[NB_BRIDGE_CALLS]; /* the calls of it, ascending */
	int nr;				/* 0: it cannot be guarded by them */
};

bool nb_bridge_is(const struct nb_image *im, uint64_t vaddr);
bool nb_bridge_starts(const struct nb_image *im, uint64_t start,
		      uint64_t vaddr);
void nb_bridge_calls(const struct nb_image *im, uint64_t start,
		     struct nb_bridge *br);

#endif /* NB_GUARD_BRIDGE_H */
