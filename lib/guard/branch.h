/* SPDX-License-Identifier: MIT */
/*
 * Branches that lead into windows from outside of the function.
 */
#ifndef NB_GUARD_BRANCH_H
#define NB_GUARD_BRANCH_H

#include "site.h"

#define NB_TARGETS 64

/* Where such branches lead; full: there are more, so it may be anywhere. */
struct nb_targets {
	uint64_t vaddr[NB_TARGETS];
	int nr;
	bool full;
};

bool nb_targets_has(const struct nb_targets *t, uint64_t vaddr);
int nb_branches_to(const struct nb_image *im, uint64_t target, uint64_t *from,
		   int max);
int nb_branches_find(const struct nb_image *im, const struct nb_site *sites,
		     int nr, struct nb_targets *t);

#endif /* NB_GUARD_BRANCH_H */
