/* SPDX-License-Identifier: MIT */
/*
 * Are there branches from elsewhere to where no branch may lead: into a
 * window, or to a system call whose window is before it?
 *
 * site.c knows the branches of the functions that it has decoded.  To decode
 * all others would take longer than all the rest, so their bytes are searched
 * for what could be a branch to such a place, and only the function around
 * such a find is decoded to see whether it is one.  Compilers branch between
 * functions with 4 byte displacements, which is searched everywhere; short
 * ones are searched as far as they reach.
 */
#include "branch.h"

#include "decoder.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Sites by place: which pieces of the segment hold something forbidden. */
#define MAP_BITS (1U << 16)
#define CHUNK 64
#define SHORT_REACH 130ULL

struct search {
	const struct nb_image *im;
	const struct nb_site *sites;
	int nr;
	unsigned int shift; /* bytes per bit of the map, log2 */
	struct nb_targets *t;
	int found;
	/* Not NULL: who leads to @target is looked for, and nothing else. */
	uint64_t *from;
	uint64_t target;
	int max;
};

static uint64_t map[MAP_BITS / 64];

/**
 * nb_targets_has() - is it one of them?
 * @t:	   the targets
 * @vaddr: where
 *
 * Context: any.
 * Return: true when it is, or may be.
 */
bool nb_targets_has(const struct nb_targets *t, uint64_t vaddr)
{
	if (t->full)
		return true;
	for (int i = 0; i < t->nr; i++)
		if (t->vaddr[i] == vaddr)
			return true;
	return false;
}

static uint64_t behind(const struct nb_site *s)
{
	return s->vaddr + nb_site_insn_len(s->call);
}

static bool forbids(const struct nb_site *s, uint64_t vaddr)
{
	switch (s->kind) {
	case NB_SITE_PRE_ONLY:
	case NB_SITE_BRACKET:
		/* Not the first bytes of the two windows. */
		return vaddr > s->vaddr - s->pre_len &&
		       vaddr < behind(s) + s->post_len && vaddr != behind(s);
	case NB_SITE_OUT_OF_LINE:
		return vaddr > s->vaddr - s->pre_len &&
		       vaddr < behind(s) + s->post_len;
	case NB_SITE_PLAIN:  /* what gives it its number, see site.c */
	case NB_SITE_BRIDGE: /* all before it */
		return vaddr > s->vaddr - s->pre_len && vaddr <= s->vaddr;
	default:
		return false;
	}
}

/* Sites are in order, and what they forbid is near them. */
static bool forbidden(const struct search *se, uint64_t vaddr)
{
	int lo = 0, hi = se->nr;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (se->sites[mid].vaddr + 2 + NB_WINDOW_MAX < vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < se->nr; lo++) {
		const struct nb_site *s = &se->sites[lo];

		if (s->vaddr > vaddr + UINT8_MAX)
			return false;
		if (forbids(s, vaddr))
			return true;
	}
	return false;
}

static void build_map(struct search *se)
{
	memset(map, 0, sizeof(map));
	se->shift = 4;
	while (se->im->len >> se->shift >= MAP_BITS)
		se->shift++;
	for (int i = 0; i < se->nr; i++) {
		const struct nb_site *s = &se->sites[i];
		uint64_t at = s->vaddr - se->im->vaddr;
		uint64_t first = (at - s->pre_len) >> se->shift;
		uint64_t last = (at + 2 + s->post_len) >> se->shift;

		for (; first <= last && first < MAP_BITS; first++)
			map[first / 64] |= 1ULL << first % 64;
	}
}

/*
 * Does the instruction that holds the byte at @at lead to @target?  Where
 * there is no function, or one that cannot be followed, it might.
 */
static bool leads_to(const struct nb_image *im, uint64_t at, uint64_t target)
{
	struct nb_insn in;
	struct nb_func f;
	uint64_t pc;

	if (!nb_eh_frame_find(im, at, &f))
		return true;
	for (pc = f.start; pc < f.end; pc += in.len) {
		if (!nb_decode(im->text + (pc - im->vaddr), f.end - pc, &in))
			return true;
		if (pc + in.len <= at)
			continue;
		return in.direct &&
		       pc + in.len + (uint64_t)(int64_t)in.rel == target;
	}
	return true;
}

static void note(struct search *se, uint64_t off, uint64_t to)
{
	uint64_t at = se->im->vaddr + off;

	if (to != se->target || !leads_to(se->im, at, to))
		return;
	if (se->found < se->max)
		se->from[se->found] = at;
	se->found++;
}

/* The byte at @off may be the opcode of a branch that ends at @end. */
static void check(struct search *se, uint64_t off, uint64_t end, int32_t rel)
{
	uint64_t to = end + (uint64_t)(int64_t)rel;
	uint64_t bit = to >> se->shift;
	uint64_t vaddr = se->im->vaddr + to;

	if (se->from) {
		note(se, off, vaddr);
		return;
	}
	if (to >= se->im->len || bit >= MAP_BITS ||
	    !(map[bit / 64] >> bit % 64 & 1))
		return;
	if (!forbidden(se, vaddr) || nb_targets_has(se->t, vaddr) ||
	    !leads_to(se->im, se->im->vaddr + off, vaddr))
		return;
	se->found++;
	if (se->t->nr < NB_TARGETS)
		se->t->vaddr[se->t->nr++] = vaddr;
	else
		se->t->full = true;
}

/* At @off: e8 call, e9 jump or, after 0f, 8x conditional jump. */
static void check_near(struct search *se, uint64_t off)
{
	uint64_t rel_off = off + 1 + (se->im->text[off] == 0x0f);
	int32_t rel;

	if (se->im->len - rel_off < sizeof(rel))
		return;
	memcpy(&rel, se->im->text + rel_off, sizeof(rel));
	check(se, off, rel_off + 4, rel);
}

static bool is_near(const uint8_t *p)
{
	return (p[0] & 0xfe) == 0xe8 || (p[0] == 0x0f && (p[1] & 0xf0) == 0x80);
}

/* Bit i: a near branch may begin at p[i].  Looks at one byte more. */
static uint64_t near_branches(const uint8_t *p)
{
	uint64_t mask = 0;

#ifdef __SSE2__
	for (int i = 0; i < CHUNK; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(p + i));
		__m128i w = _mm_loadu_si128((const __m128i *)(p + i + 1));
		__m128i call, cond;

		call = _mm_cmpeq_epi8(_mm_and_si128(v, _mm_set1_epi8(-2)),
				      _mm_set1_epi8((char)0xe8));
		cond = _mm_cmpeq_epi8(_mm_and_si128(w, _mm_set1_epi8(-16)),
				      _mm_set1_epi8((char)0x80));
		cond = _mm_and_si128(cond,
				     _mm_cmpeq_epi8(v, _mm_set1_epi8(0x0f)));
		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(
				_mm_or_si128(call, cond))
			<< i;
	}
#else
	for (int i = 0; i < CHUNK; i++)
		mask |= (uint64_t)is_near(p + i) << i;
#endif
	return mask;
}

/* All of the segment: what takes longest of all. */
static void search_near(struct search *se)
{
	const uint8_t *text = se->im->text;
	uint64_t off;

	for (off = 0; off + CHUNK < se->im->len; off += CHUNK)
		for (uint64_t hit = near_branches(text + off); hit;
		     hit &= hit - 1)
			check_near(se, off + (unsigned)__builtin_ctzll(hit));
	for (; off + 1 < se->im->len; off++)
		if (is_near(text + off))
			check_near(se, off);
}

static void search_short(struct search *se, uint64_t from, uint64_t to)
{
	const uint8_t *text = se->im->text;

	for (uint64_t off = from; off + 2 <= to; off++)
		if (text[off] == 0xeb || (text[off] & 0xf0) == 0x70 ||
		    (text[off] & 0xfc) == 0xe0)
			check(se, off, off + 2, (int8_t)text[off + 1]);
}

/* What was decoded for site @s: its function, or the gap that it is in. */
static struct nb_func decoded_for(const struct search *se,
				  const struct nb_site *s)
{
	struct nb_func f;

	if (nb_eh_frame_find(se->im, s->vaddr, &f))
		return f;
	if (!nb_eh_frame_before(se->im, s->vaddr, &f))
		f.start = se->im->vaddr;
	f.end = nb_eh_frame_next(se->im, s->vaddr);
	return f;
}

/* Short branches to site @s from outside of that. */
static void search_around(struct search *se, const struct nb_site *s)
{
	uint64_t at = s->vaddr - se->im->vaddr;
	uint64_t from = at - nb_min(at, SHORT_REACH + s->pre_len);
	uint64_t to = nb_min(at + 2 + s->post_len + SHORT_REACH, se->im->len);
	struct nb_func f = decoded_for(se, s);

	search_short(se, from, f.start - se->im->vaddr);
	search_short(se, f.end - se->im->vaddr, to);
}

/**
 * nb_branches_to() - who calls a function, or jumps there?
 * @im:	    the segment
 * @target: the function, of which .eh_frame knows
 * @from:   out: where the branches are, ascending
 * @max:    room there
 *
 * Context: the decoder is open; one caller at a time.
 * Return: how many; -1: one that is not told of, too many, or a short one.
 */
int nb_branches_to(const struct nb_image *im, uint64_t target, uint64_t *from,
		   int max)
{
	struct search se = {
		.im = im, .from = from, .target = target, .max = max};
	uint64_t at = target - im->vaddr;
	int found;

	search_near(&se);
	found = se.found;
	search_short(&se, at - nb_min(at, SHORT_REACH),
		     nb_min(at + SHORT_REACH, im->len));
	return se.found > found || found > max ? -1 : found;
}

/**
 * nb_branches_find() - look for branches to where none may lead.
 * @im:	   the segment
 * @sites: its sites, by address, with the windows that they would have
 * @nr:	   how many
 * @t:	   in and out: where branches lead; what is found is added
 *
 * Context: the decoder is open; one caller at a time.
 * Return: how many were found that were not in @t.
 */
int nb_branches_find(const struct nb_image *im, const struct nb_site *sites,
		     int nr, struct nb_targets *t)
{
	struct search se = {.im = im, .sites = sites, .nr = nr, .t = t};

	if (!nr || t->full)
		return 0;
	build_map(&se);
	search_near(&se);
	for (int i = 0; i < nr; i++)
		if (sites[i].pre_len || sites[i].post_len)
			search_around(&se, &sites[i]);
	return se.found;
}
