/* SPDX-License-Identifier: MIT */
/*
 * Writing into memory that is executed, and room for stubs near to text.
 */
#ifndef NB_GUARD_CODE_H
#define NB_GUARD_CODE_H

#include "../base/util.h"

struct nb_code {
	long fd; /* /proc/thread-self/mem; < 0: by mprotect(2) */
};

void nb_code_open(struct nb_code *c);
int nb_code_write(struct nb_code *c, uint64_t addr, const uint8_t *bytes,
		  uint64_t len);
void nb_code_close(struct nb_code *c);

/* Mapped, readable and executable, zero. */
int nb_code_map_near(uint64_t start, uint64_t end, uint64_t len,
		     uint64_t *addr);
bool nb_code_reaches(uint64_t start, uint64_t end, uint64_t addr, uint64_t len);

#endif /* NB_GUARD_CODE_H */
