/* SPDX-License-Identifier: MIT */
/*
 * A function, decoded: where its instructions begin and where branches lead.
 */
#ifndef NB_GUARD_BODY_H
#define NB_GUARD_BODY_H

#include "decoder.h"
#include "image.h"

#define NB_BODY_MAX (1U << 20) /* longer functions are not decoded */

/* Offsets are from f.start.  There is one at a time: the maps are static. */
struct nb_body {
	const struct nb_image *im;
	const uint8_t *p;
	struct nb_func f;
	uint32_t len;
	uint32_t limit;	  /* how far it and the padding behind it reach */
	uint32_t decoded; /* up to here */
	bool indirect;	  /* has jumps of which nobody knows where they lead */
};

void nb_body_decode(struct nb_body *b, const struct nb_image *im,
		    const struct nb_func *f);
bool nb_body_is_insn(uint32_t off);
bool nb_body_is_target(uint32_t off);
int64_t nb_body_previous(const struct nb_body *b, uint32_t off,
			 struct nb_insn *in);

#endif /* NB_GUARD_BODY_H */
