/* SPDX-License-Identifier: MIT */
/*
 * One executable segment as the site finder sees it: plain memory, wherever
 * it comes from (the running process, a file, a test).
 */
#ifndef NB_GUARD_IMAGE_H
#define NB_GUARD_IMAGE_H

#include "../base/util.h"

struct nb_image {
	const uint8_t *text; /* the bytes of the segment */
	uint64_t vaddr;	     /* link-time address of text[0] */
	uint64_t len;
	/* PT_GNU_EH_FRAME and .eh_frame; NULL: none */
	const uint8_t *eh_hdr;
	uint64_t eh_hdr_vaddr;
	uint64_t eh_hdr_len;
	const uint8_t *eh_frame;
	uint64_t eh_frame_vaddr;
	uint64_t eh_frame_len;
	/* Read-only data, where jump tables are; NULL: cannot be read */
	const uint8_t *data;
	uint64_t data_vaddr;
	uint64_t data_len;
};

/* [start, end) in link-time addresses. */
struct nb_func {
	uint64_t start;
	uint64_t end;
};

bool nb_eh_frame_find(const struct nb_image *im, uint64_t vaddr,
		      struct nb_func *f);
/* The last function that starts at or before @vaddr. */
bool nb_eh_frame_before(const struct nb_image *im, uint64_t vaddr,
			struct nb_func *f);
/* Start of the first function after @vaddr, or the segment's end. */
uint64_t nb_eh_frame_next(const struct nb_image *im, uint64_t vaddr);

#endif /* NB_GUARD_IMAGE_H */
