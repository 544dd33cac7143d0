/* SPDX-License-Identifier: MIT */
/*
 * 9. A token bucket over migrated bytes.
 */
#ifndef NB_RATE_LIMIT_H
#define NB_RATE_LIMIT_H

#include "../base/util.h"

struct nb_rate_limit {
	uint64_t bytes_per_sec; /* 0: no limit */
	uint64_t tokens;	/* bytes that may be moved now */
	uint64_t last_ns;
};

void nb_rate_limit_init(struct nb_rate_limit *r, uint64_t bytes_per_sec,
			uint64_t now_ns);
uint64_t nb_rate_limit_take(struct nb_rate_limit *r, uint64_t bytes,
			    uint64_t now_ns);

#endif /* NB_RATE_LIMIT_H */
