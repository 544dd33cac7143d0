/* SPDX-License-Identifier: MIT */
/*
 * Decodes a function from its start to its end and notes where branches lead.
 *
 * A switch becomes a jump through a table of distances, whose form compilers
 * have agreed upon: lea of the table, movslq of an element, add, jmp.  Such
 * tables are read, with whatever follows them that could belong to them; what
 * is taken for a target too much costs a window at most.  For other indirect
 * jumps the function is marked, unless its frame has just been taken down:
 * then it is a call that the function ends with.
 *
 * Used by site.c.
 */
#include "body.h"

#include "site.h"

#include <string.h>

#define TABLE_MAX 1024U /* elements */
#define LOAD_AGE 6U	/* instructions from loading an element to the jump */

/* The jumps of a function, and its tables, as sets of registers. */
struct jumps {
	uint32_t used;	/* hold the table of some jump */
	uint32_t table; /* some table is put there */
	uint8_t reg;	/* of the last load of an element */
	uint8_t age;	/* since then */
	uint8_t form;	/* of the instruction before */
};

/* By byte up to the limit: an instruction starts, a branch leads there. */
#define MAP_WORDS ((NB_BODY_MAX + NB_WINDOW_MAX) / 64 + 1)
static uint64_t insn_map[MAP_WORDS];
static uint64_t target_map[MAP_WORDS];

static void mark(uint64_t *map, uint32_t off)
{
	map[off / 64] |= 1ULL << off % 64;
}

static bool marked(const uint64_t *map, uint32_t off)
{
	return map[off / 64] >> off % 64 & 1;
}

/* Follow an instruction; jumps through tables come to be known. */
static void follow(struct nb_body *b, struct jumps *j, uint32_t off,
		   const struct nb_insn *in)
{
	int64_t to = (int64_t)off + in->len + in->rel;

	if (in->direct && to >= 0 && to < b->limit)
		mark(target_map, (uint32_t)to);
	if (in->form == NB_FORM_LOAD) {
		j->reg = in->reg;
		j->age = 0;
	} else if (in->flow == NB_FLOW_JUMP_INDIRECT && !in->disp) {
		if (in->form == NB_FORM_JUMP && j->age <= LOAD_AGE)
			j->used |= 1U << j->reg;
		else if (j->form != NB_FORM_STACK)
			b->indirect = true;
		j->age = UINT8_MAX;
	}
	if (j->age < UINT8_MAX)
		j->age++;
	j->form = in->form;
}

/* What may be a table at @vaddr: mark what it leads to.  Is it one? */
static bool read_table(const struct nb_body *b, uint64_t vaddr)
{
	const struct nb_image *im = b->im;
	uint64_t off = vaddr - im->data_vaddr;
	unsigned int i;

	if (!im->data || off >= im->data_len)
		return false;
	for (i = 0; i < TABLE_MAX && im->data_len - off >= 4; i++, off += 4) {
		uint64_t to;
		int32_t rel;

		memcpy(&rel, im->data + off, sizeof(rel));
		to = vaddr + (uint64_t)(int64_t)rel;
		/* A case may be in a part of the function that is elsewhere. */
		if (to - im->vaddr >= im->len)
			break;
		to -= b->f.start;
		if (to < b->len && marked(insn_map, (uint32_t)to))
			mark(target_map, (uint32_t)to);
	}
	return i;
}

static void read_tables(struct nb_body *b, struct jumps *j)
{
	struct nb_insn in;

	for (uint32_t off = 0; off < b->decoded; off += in.len) {
		uint64_t at;

		if (!nb_decode(b->p + off, b->len - off, &in))
			break;
		at = b->f.start + off + in.len + (uint64_t)(int64_t)in.rel;
		if (in.form == NB_FORM_LEA && j->used >> in.reg & 1 &&
		    read_table(b, at))
			j->table |= 1U << in.reg;
	}
	if (j->used & ~j->table)
		b->indirect = true;
}

/**
 * nb_body_decode() - decode a function.
 * @b:	out
 * @im: the segment
 * @f:	the function, which lies in it
 *
 * Context: the decoder is open; one caller at a time.  What was decoded before
 * is forgotten.
 */
void nb_body_decode(struct nb_body *b, const struct nb_image *im,
		    const struct nb_func *f)
{
	uint64_t limit = nb_eh_frame_next(im, f->end - 1) - f->start;
	uint64_t len = nb_min(f->end - f->start, NB_BODY_MAX);
	struct jumps j = {.age = UINT8_MAX};
	struct nb_insn in;
	uint32_t off;

	*b = (struct nb_body){
		.im = im,
		.p = im->text + (f->start - im->vaddr),
		.f = *f,
		.len = (uint32_t)len,
	};
	b->limit = (uint32_t)nb_min(limit, b->len + NB_WINDOW_MAX);
	if (f->end - f->start > NB_BODY_MAX)
		return;
	memset(insn_map, 0, (b->limit / 64 + 1) * sizeof(insn_map[0]));
	memset(target_map, 0, (b->limit / 64 + 1) * sizeof(target_map[0]));
	for (off = 0; off < b->len; off += in.len) {
		if (!nb_decode(b->p + off, b->len - off, &in))
			break;
		mark(insn_map, off);
		follow(b, &j, off, &in);
	}
	b->decoded = off;
	if (j.used)
		read_tables(b, &j);
}

/**
 * nb_body_is_insn() - does an instruction begin there?
 * @off: offset in what was decoded last
 *
 * Context: any.
 * Return: true when one does.
 */
bool nb_body_is_insn(uint32_t off)
{
	return marked(insn_map, off);
}

/**
 * nb_body_is_target() - does a branch of the function lead there?
 * @off: offset in what was decoded last
 *
 * Context: any.
 * Return: true when one does, or may.
 */
bool nb_body_is_target(uint32_t off)
{
	return marked(target_map, off);
}

/**
 * nb_body_previous() - the instruction that ends at @off.
 * @b:	 what was decoded last
 * @off: offset in it
 * @in:	 out
 *
 * Context: as nb_body_decode().
 * Return: its offset, -1 when there is none.
 */
int64_t nb_body_previous(const struct nb_body *b, uint32_t off,
			 struct nb_insn *in)
{
	for (uint32_t n = 1; n <= 15 && n <= off; n++) {
		if (!marked(insn_map, off - n))
			continue;
		if (!nb_decode(b->p + off - n, n, in) || in->len != n)
			return -1;
		return (int64_t)off - n;
	}
	return -1;
}
