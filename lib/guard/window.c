/* SPDX-License-Identifier: MIT */
/*
 * Moves the instructions of a window to where there is room for them.  site.c
 * has seen to it that the window has none that cannot be moved; this refuses
 * them all the same.  Called by the maker of the stubs.
 */
#include "site.h"

#include "decoder.h"

#include <errno.h>
#include <string.h>

#define NEAR_MAX 6U /* bytes of a branch with a displacement of 4 */

/* A near branch to @target with the meaning of @p, to be at @to. */
static int move_branch(const uint8_t *p, const struct nb_insn *in,
		       uint64_t target, uint64_t to, uint8_t *out)
{
	unsigned int len = 0;
	int64_t rel;
	int32_t rel32;

	if (in->flow == NB_FLOW_JUMP) {
		out[len++] = 0xe9;
	} else {
		out[len++] = 0x0f;
		/* Both forms have the condition in their last four bits. */
		out[len++] = 0x80 | (p[in->len == 2 ? 0 : 1] & 0x0f);
	}
	rel = (int64_t)(target - (to + len + sizeof(rel32)));
	rel32 = (int32_t)rel;
	if (rel32 != rel)
		return -ERANGE;
	memcpy(out + len, &rel32, sizeof(rel32));
	return (int)(len + sizeof(rel32));
}

/* As it is, but for what is relative to rip. */
static int move_plain(const uint8_t *p, const struct nb_insn *in,
		      uint64_t delta, uint8_t *out)
{
	int32_t rel32;
	int64_t rel;

	memcpy(out, p, in->len);
	if (!in->disp)
		return in->len;
	memcpy(&rel32, p + in->disp, sizeof(rel32));
	rel = (int64_t)((uint64_t)(int64_t)rel32 + delta);
	rel32 = (int32_t)rel;
	if (rel32 != rel)
		return -ERANGE;
	memcpy(out + in->disp, &rel32, sizeof(rel32));
	return in->len;
}

/**
 * nb_window_move() - copy the instructions of a window to elsewhere.
 * @window: its bytes, the original ones
 * @len:    how many; 0 is allowed
 * @from:   where they execute
 * @to:	    where the copy will execute
 * @m:	    in: where to write it; out: what is where
 *
 * Context: the decoder is open; one caller at a time.
 * Return: the length of the copy; -EINVAL when the bytes are not whole
 * instructions that can be moved, -ERANGE when @to is too far from what they
 * refer to, -ENOSPC when there is no room.
 */
int nb_window_move(const uint8_t *window, unsigned int len, uint64_t from,
		   uint64_t to, struct nb_moved *m)
{
	unsigned int at = 0, done = 0;
	struct nb_insn in;

	m->nr_map = 0;
	if (len > NB_WINDOW_MAX)
		return -EINVAL;
	for (; at < len; at += in.len) {
		int n;

		if (!nb_decode(window + at, len - at, &in) ||
		    (!nb_insn_movable(&in) && !in.padding))
			return -EINVAL;
		if (m->room - done < nb_max(in.len, NEAR_MAX))
			return -ENOSPC;
		if (in.direct)
			n = move_branch(window + at, &in,
					from + at + in.len +
						(uint64_t)(int64_t)in.rel,
					to + done, m->out + done);
		else
			n = move_plain(window + at, &in, from + at - to - done,
				       m->out + done);
		if (n < 0)
			return n;
		if (m->map)
			m->map[m->nr_map] = (struct nb_insn_map){(uint8_t)at,
								 (uint8_t)done};
		m->nr_map++;
		done += (unsigned int)n;
	}
	return (int)done;
}
