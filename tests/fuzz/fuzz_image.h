/* SPDX-License-Identifier: MIT */
/*
 * A segment for the fuzzers of lib/guard/, with functions back to back and an
 * .eh_frame that says where they are.  Each part is in memory of just its
 * size, so that a read past its end shows.
 */
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

#include "../../lib/guard/image.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond))                                                   \
			abort();                                               \
	} while (0)

#define TEXT_AT 0x10000U
#define HDR_AT 0x80000U
#define FRAME_AT 0x90000U
#define MAX_FUNCS 16

struct fuzz_image {
	struct nb_image im;
	uint8_t *text, *hdr, *frame;
	struct nb_func func[MAX_FUNCS];
	unsigned int nr_funcs;
};

static inline void put32(uint8_t *p, uint64_t v)
{
	uint32_t v32 = (uint32_t)v;

	memcpy(p, &v32, sizeof(v32));
}

static inline void *exact_copy(const void *from, size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);

	CHECK(p);
	memcpy(p, from, bytes);
	return p;
}

/* The functions are in @fi->func, as offsets of the text. */
static inline void fuzz_image_make(struct fuzz_image *fi, const uint8_t *text,
				   size_t len)
{
	static const uint8_t cie[] = {13,  0,	0, 0, 0,    0,	0, 0,	1,
				      'z', 'R', 0, 1, 0x78, 16, 1, 0x1b};
	static const uint8_t head[] = {1, 0x1b, 3, 0x3b};
	size_t frame_len = sizeof(cie) + 17UL * fi->nr_funcs;
	size_t hdr_len = 12 + 8UL * fi->nr_funcs;

	fi->text = exact_copy(text, len);
	fi->frame = calloc(1, frame_len);
	fi->hdr = calloc(1, hdr_len);
	CHECK(fi->frame && fi->hdr);
	memcpy(fi->frame, cie, sizeof(cie));
	memcpy(fi->hdr, head, sizeof(head));
	put32(fi->hdr + 4, FRAME_AT - (HDR_AT + 4));
	put32(fi->hdr + 8, fi->nr_funcs);
	for (uint32_t i = 0; i < fi->nr_funcs; i++) {
		uint32_t at = (uint32_t)sizeof(cie) + 17 * i;
		uint8_t *p = fi->frame + at, *line = fi->hdr + 12 + 8 * i;

		fi->func[i].start += TEXT_AT;
		fi->func[i].end += TEXT_AT;
		put32(p, 13);
		put32(p + 4, at + 4);
		put32(p + 8, fi->func[i].start - (FRAME_AT + at + 8));
		put32(p + 12, fi->func[i].end - fi->func[i].start);
		put32(line, fi->func[i].start - HDR_AT);
		put32(line + 4, FRAME_AT + at - HDR_AT);
	}
	fi->im = (struct nb_image){
		.text = fi->text,
		.vaddr = TEXT_AT,
		.len = len,
		.eh_hdr = fi->hdr,
		.eh_hdr_vaddr = HDR_AT,
		.eh_hdr_len = hdr_len,
		.eh_frame = fi->frame,
		.eh_frame_vaddr = FRAME_AT,
		.eh_frame_len = frame_len,
	};
}

static inline void fuzz_image_free(struct fuzz_image *fi)
{
	free(fi->text);
	free(fi->frame);
	free(fi->hdr);
}

#endif /* FUZZ_IMAGE_H */
