/* SPDX-License-Identifier: MIT */
/*
 * Makes a segment out of the bytes of functions, with an .eh_frame that tells
 * where they are.  For the tests of guard/.
 */
#ifndef MAKE_IMAGE_H
#define MAKE_IMAGE_H

#include "../../lib/guard/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TEXT 0x1000U
#define HDR 0x8000U
#define FRAME 0x9000U
#define DATA 0xa000U
#define PART 0x1000U

struct made {
	struct nb_image im;
	uint8_t text[PART], hdr[PART], frame[PART], data[PART];
	uint32_t nr_frame, nr_func, cie;
};

static inline void put32(uint8_t *p, uint64_t v)
{
	uint32_t v32 = (uint32_t)v;

	memcpy(p, &v32, sizeof(v32));
}

/* A CIE: the augmentation's letters, and its data. */
static inline void made_cie(struct made *m, const char *aug, const void *data,
			    uint8_t len)
{
	uint8_t *p = m->frame + m->nr_frame;
	uint32_t n = 9;

	m->cie = m->nr_frame;
	memset(p, 0, 4);
	put32(p + 4, 0);
	p[8] = 1;
	memcpy(p + n, aug, strlen(aug) + 1);
	n += (uint32_t)strlen(aug) + 1;
	p[n++] = 1;
	p[n++] = 0x78;
	p[n++] = 16;
	if (aug[0] == 'z') {
		p[n++] = len;
		memcpy(p + n, data, len);
		n += len;
	}
	put32(p, n - 4);
	m->nr_frame += n;
}

/* An FDE of 4 byte fields relative to themselves, and the table's line. */
static inline void made_func(struct made *m, uint32_t start, uint32_t end)
{
	uint32_t at = m->nr_frame;
	uint8_t *p = m->frame + at, *line = m->hdr + 12 + 8 * m->nr_func;

	put32(p, 13);
	put32(p + 4, at + 4 - m->cie);
	put32(p + 8, start - (FRAME + at + 8));
	put32(p + 12, end - start);
	p[16] = 0;
	put32(line, start - HDR);
	put32(line + 4, FRAME + at - HDR);
	m->nr_frame += 17;
	m->nr_func++;
	put32(m->hdr + 8, m->nr_func);
	m->im.eh_hdr_len = 12 + 8 * m->nr_func;
	m->im.eh_frame_len = m->nr_frame;
}

static inline void made_init(struct made *m)
{
	static const uint8_t head[] = {1, 0x1b, 3, 0x3b};

	memset(m, 0, sizeof(*m));
	memset(m->text, 0xcc, sizeof(m->text));
	memcpy(m->hdr, head, sizeof(head));
	m->im = (struct nb_image){
		.text = m->text,
		.vaddr = TEXT,
		.len = sizeof(m->text),
		.eh_hdr = m->hdr,
		.eh_hdr_vaddr = HDR,
		.eh_hdr_len = 12,
		.eh_frame = m->frame,
		.eh_frame_vaddr = FRAME,
		.data = m->data,
		.data_vaddr = DATA,
		.data_len = sizeof(m->data),
	};
	made_cie(m, "zR", "\x1b", 1);
}

/* A function of these bytes at @off of the segment. */
static inline void made_code(struct made *m, uint32_t off, const void *code,
			     uint32_t len)
{
	assert_true(off + len <= sizeof(m->text));
	memcpy(m->text + off, code, len);
	made_func(m, TEXT + off, TEXT + off + len);
}

#endif /* MAKE_IMAGE_H */
