/* SPDX-License-Identifier: MIT */
/*
 * Areas: memory with stubs.
 */
#ifndef NB_GUARD_AREA_H
#define NB_GUARD_AREA_H

#include "code.h"

/* The pointers that the stubs of an area call through: at its start. */
struct nb_area_head {
	uint64_t enter, leave, enter_call;
};

struct nb_area {
	uint64_t start, end;
	uint64_t free; /* the first byte not used */
};

int nb_area_get(struct nb_code *code, const struct nb_range *text,
		uint64_t bytes, struct nb_area **area);
const struct nb_area *nb_area_of(uint64_t addr);

#endif /* NB_GUARD_AREA_H */
