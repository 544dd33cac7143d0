/* SPDX-License-Identifier: MIT */
/*
 * The calls that are many calls in one, and what they share with syscall.c.
 */
#ifndef NB_GUARD_SUBCALL_H
#define NB_GUARD_SUBCALL_H

#include "syscall.h"

bool nb_subcall_ranges(enum nb_arg_kind kind, const struct nb_regs *r,
		       struct nb_range_sink *to);

static inline void nb_sink_add(struct nb_range_sink *to, uint64_t start,
			       uint64_t len)
{
	if (start && len)
		to->add(to, start, len);
}

static inline bool nb_read_from(void *buf, uint64_t at, uint64_t bytes)
{
	return at && !nb_guard_copy(buf, (const void *)at, bytes);
}

#endif /* NB_GUARD_SUBCALL_H */
