/* SPDX-License-Identifier: MIT */
/*
 * Finds the system calls of a segment and decides how each can be guarded.
 *
 * A function that holds the bytes of `syscall` is decoded from its start to
 * its end, so that instructions are told from bytes that look like them and
 * the places where branches lead are known.  Then each site gets the shortest
 * windows that can be had.  Last, branch.c looks for branches from elsewhere
 * into a window; where there are any, all is done again, knowing of them.
 *
 * Called by patch.c for each module.
 */
#include "site.h"

#include "body.h"
#include "branch.h"
#include "bridge.h"
#include "shape.h"

#include <errno.h>
#include <string.h>

#define JUMP_LEN 5U
#define SYSCALL_LEN NB_SYSCALL_LEN
#define NR_RUN_MAX NB_NR_RUN_MAX
#define ROUNDS 8

/* The table of system calls; without it, no call is plain. */
bool nb_sysclass_is_plain(uint64_t nr) __attribute__((weak));

struct finder {
	const struct nb_image *im;
	struct nb_site *sites;
	int nr, max;
	uint64_t floor; /* end of the last window */
	struct nb_site_counts *counts;
	struct nb_targets targets;
	struct nb_bridge bridge;
};

/* A run of instructions next to a site that grows until it is a window. */
struct run {
	uint32_t start, end; /* offsets in the function */
	unsigned int insns;
	bool begun; /* an indirect branch may lead to its start */
	bool ended; /* execution does not get past its end */
	uint8_t why;
};

static bool is_target(const struct finder *fi, const struct nb_body *b,
		      uint32_t off)
{
	return (off < b->limit && nb_body_is_target(off)) ||
	       nb_targets_has(&fi->targets, b->f.start + off);
}

/* No branch leads to between @start and @end, both of them excluded. */
static bool is_closed(const struct finder *fi, const struct nb_body *b,
		      uint32_t start, uint32_t end)
{
	for (start++; start < end; start++)
		if (is_target(fi, b, start))
			return false;
	return true;
}

/*
 * A jump of which nobody knows where it leads may lead to any boundary between
 * two instructions.  Not so between a system call and what sets its number:
 * nobody else sets it.
 */
static bool may_be_case(const struct nb_body *b, const struct run *r)
{
	return b->indirect && r->insns;
}

/* One instruction more at the run's start. */
static bool grow_down(const struct finder *fi, const struct nb_body *b,
		      struct run *r)
{
	struct nb_insn in;
	int64_t at = nb_body_previous(b, r->start, &in);

	r->why = NB_SITE_PRE_SHORT;
	if (at < 0 || b->f.start + (uint64_t)at < fi->floor)
		return false;
	if (!nb_insn_movable(&in) || nb_insn_ends(&in)) {
		r->why = NB_SITE_PRE_FIXED;
		return false;
	}
	if (r->begun || !is_closed(fi, b, (uint32_t)at, r->start + 1) ||
	    may_be_case(b, r)) {
		r->why = NB_SITE_PRE_TARGET;
		return false;
	}
	r->start = (uint32_t)at;
	r->insns++;
	r->begun = in.endbr;
	return true;
}

/*
 * One instruction more at the run's end.  Where execution does not arrive,
 * only what fills up the space between functions is taken.
 */
static bool grow_up(const struct finder *fi, const struct nb_body *b,
		    struct run *r)
{
	bool dead = r->ended || r->end >= b->len;
	struct nb_insn in;

	r->why = NB_SITE_POST_SHORT;
	if (r->end >= b->limit ||
	    !nb_decode(b->p + r->end, b->limit - r->end, &in))
		return false;
	if (dead && !in.padding)
		return false;
	if (!dead && (!nb_insn_movable(&in) || in.endbr)) {
		r->why = NB_SITE_POST_FIXED;
		return false;
	}
	if (!is_closed(fi, b, r->end, r->end + in.len) ||
	    (r->end > r->start &&
	     (is_target(fi, b, r->end) || (!dead && may_be_case(b, r))))) {
		r->why = NB_SITE_POST_TARGET;
		return false;
	}
	r->end += in.len;
	r->insns++;
	r->ended = r->ended || nb_insn_ends(&in);
	return true;
}

static uint32_t run_len(const struct run *r)
{
	return r->end - r->start;
}

/*
 * The constant that eax holds at the system call at @off, when it is set by
 * the instructions right before it.  @from: out: the bytes since then.
 */
static int32_t constant_nr(const struct finder *fi, const struct nb_body *b,
			   uint32_t off, uint8_t *from)
{
	uint32_t at = off;
	struct nb_insn in;

	do {
		int64_t prev = nb_body_previous(b, at, &in);

		if (prev < 0 || off - prev > NR_RUN_MAX || in.endbr ||
		    !is_closed(fi, b, (uint32_t)prev, at + 1) ||
		    (b->indirect && at != off))
			return NB_NR_UNKNOWN;
		at = (uint32_t)prev;
	} while (in.rax == NB_RAX_KEPT);
	if (in.rax != NB_RAX_CONST || in.imm < 0)
		return NB_NR_UNKNOWN;
	*from = (uint8_t)(off - at);
	return in.imm;
}

/* Without windows on both sides: one that holds the call as well? */
static void plan_moved(const struct finder *fi, const struct nb_body *b,
		       struct nb_site *s)
{
	uint32_t off = (uint32_t)(s->vaddr - b->f.start);
	struct run r = {.start = off, .end = off + SYSCALL_LEN};

	s->kind = NB_SITE_UNGUARDED;
	if (!is_closed(fi, b, off, off + SYSCALL_LEN))
		return;
	while (run_len(&r) < JUMP_LEN && grow_up(fi, b, &r))
		;
	while (run_len(&r) < JUMP_LEN && grow_down(fi, b, &r))
		;
	if (run_len(&r) < JUMP_LEN)
		return;
	s->kind = NB_SITE_OUT_OF_LINE;
	s->pre_len = (uint8_t)(off - r.start);
	s->post_len = (uint8_t)(r.end - off - SYSCALL_LEN);
}

/* What is behind the call, at @after; its other window is there. */
static void plan_post(const struct finder *fi, const struct nb_body *b,
		      struct nb_site *s, uint32_t after)
{
	struct run post = {.start = after, .end = after};

	s->kind = NB_SITE_PRE_ONLY;
	while (run_len(&post) < JUMP_LEN && grow_up(fi, b, &post))
		;
	if (run_len(&post) < JUMP_LEN) {
		s->why = post.why;
		return;
	}
	s->post_len = (uint8_t)run_len(&post);
	s->kind = NB_SITE_BRACKET;
}

static void plan_windows(const struct finder *fi, const struct nb_body *b,
			 struct nb_site *s)
{
	uint32_t off = (uint32_t)(s->vaddr - b->f.start);
	struct run pre = {.start = off, .end = off};

	while (run_len(&pre) < JUMP_LEN && grow_down(fi, b, &pre))
		;
	if (run_len(&pre) < JUMP_LEN) {
		s->why = pre.why;
		plan_moved(fi, b, s);
		return;
	}
	s->pre_len = (uint8_t)run_len(&pre);
	plan_post(fi, b, s, off + SYSCALL_LEN);
}

/* The call of a bridge at @off: a call of a stub takes its place. */
static void plan_call(struct finder *fi, const struct nb_body *b,
		      struct nb_site *s, uint32_t off)
{
	uint32_t after = off + NB_CALL_LEN;

	s->why = NB_SITE_PRE_TARGET;
	if (s->vaddr - NB_CALL_LEN < fi->floor || !is_closed(fi, b, off, after))
		return;
	s->why = NB_SITE_OK;
	s->pre_len = NB_CALL_LEN;
	plan_post(fi, b, s, after);
	fi->floor = s->vaddr + s->post_len;
}

/* What comes right before @s has taken bytes that only @s cannot do without. */
static bool take_back(struct finder *fi, const struct nb_body *b,
		      const struct nb_site *s)
{
	struct nb_site *last = &fi->sites[fi->nr - 1];

	if (s->kind != NB_SITE_UNGUARDED || !fi->nr || last->call ||
	    last->kind != NB_SITE_BRACKET || last->vaddr < b->f.start ||
	    fi->floor + NB_WINDOW_MAX < s->vaddr)
		return false;
	last->kind = NB_SITE_PRE_ONLY;
	last->why = NB_SITE_POST_SHORT;
	last->post_len = 0;
	fi->floor = last->vaddr + SYSCALL_LEN;
	return true;
}

static void plan_site(struct finder *fi, const struct nb_body *b,
		      struct nb_site *s)
{
	uint32_t off = (uint32_t)(s->vaddr - b->f.start);
	uint8_t from = 0;

	s->nr = constant_nr(fi, b, off, &from);
	if (s->nr != NB_NR_UNKNOWN && nb_sysclass_is_plain &&
	    nb_sysclass_is_plain((uint64_t)s->nr)) {
		s->kind = NB_SITE_PLAIN;
		s->pre_len = from;
	} else {
		plan_windows(fi, b, s);
		if (take_back(fi, b, s)) {
			s->why = NB_SITE_OK;
			plan_windows(fi, b, s);
		}
		fi->floor = s->vaddr + SYSCALL_LEN + s->post_len;
	}
}

static int add_site(struct finder *fi, const struct nb_site *s)
{
	if (fi->nr == fi->max)
		return -ENOSPC;
	fi->sites[fi->nr++] = *s;
	return 0;
}

/* Those who call it are known when all of the segment was seen once. */
static void plan_bridge(struct finder *fi, const struct nb_body *b,
			struct nb_site *s, uint32_t off)
{
	bool whole = nb_bridge_starts(b->im, b->f.start, s->vaddr);

	s->why = NB_SITE_CANCEL;
	if (whole && !fi->bridge.start)
		fi->bridge.start = b->f.start;
	if (!whole || fi->bridge.start != b->f.start || !fi->bridge.nr ||
	    off > UINT8_MAX || !is_closed(fi, b, 0, off + 1))
		return;
	s->kind = NB_SITE_BRIDGE;
	s->why = NB_SITE_OK;
	s->pre_len = (uint8_t)off;
}

/* A call of the bridge is at @off of a function. */
static int call_candidate(struct finder *fi, struct nb_body *b, uint32_t off)
{
	struct nb_site s = {
		.vaddr = b->f.start + off + NB_CALL_LEN,
		.nr = NB_NR_UNKNOWN,
		.kind = NB_SITE_UNGUARDED,
		.why = NB_SITE_NOT_REACHED,
		.call = true,
	};

	if (b->decoded == b->len && nb_body_is_insn(off))
		plan_call(fi, b, &s, off);
	return add_site(fi, &s);
}

/* Is there an instruction `syscall` with prefixes that ends after @off + 1? */
static bool is_prefixed(const struct nb_body *b, uint32_t off)
{
	struct nb_insn in;

	for (uint32_t n = 1; n <= 13 && n <= off; n++)
		if (nb_body_is_insn(off - n))
			return nb_decode(b->p + off - n, b->len - off + n,
					 &in) &&
			       in.flow == NB_FLOW_SYSCALL &&
			       in.len == n + SYSCALL_LEN;
	return false;
}

/* The bytes of `syscall` are at @off of a function. */
static int body_candidate(struct finder *fi, struct nb_body *b, uint32_t off)
{
	struct nb_site s = {
		.vaddr = b->f.start + off,
		.nr = NB_NR_UNKNOWN,
		.kind = NB_SITE_UNGUARDED,
	};

	if (nb_shape_is_sigreturn(b->im, s.vaddr)) {
		s.kind = NB_SITE_SIGRETURN;
		s.nr = NB_NR_SIGRETURN;
	} else if (nb_bridge_is(b->im, s.vaddr)) {
		plan_bridge(fi, b, &s, off);
	} else if (off >= b->decoded || off + SYSCALL_LEN > b->len) {
		s.why = NB_SITE_NOT_REACHED;
	} else if (nb_body_is_insn(off)) {
		if (b->decoded < b->len)
			s.why = NB_SITE_NOT_REACHED;
		else
			plan_site(fi, b, &s);
	} else if (is_prefixed(b, off)) {
		s.why = NB_SITE_PRE_FIXED;
	} else {
		fi->counts->false_hits++;
		return 0;
	}
	return add_site(fi, &s);
}

/* The next byte pair 0f 05 in [@from, @end) of the segment; -1: none. */
static int64_t next_pair(const struct nb_image *im, uint64_t from, uint64_t end)
{
	const uint8_t *p = im->text + from + 1, *stop = im->text + end;

	while (p < stop && (p = memchr(p, 0x05, (size_t)(stop - p)))) {
		if (p[-1] == 0x0f)
			return p - 1 - im->text;
		p++;
	}
	return -1;
}

/* ... or call of the bridge. */
static int64_t next_candidate(const struct finder *fi, uint64_t from,
			      uint64_t end, bool *call)
{
	int64_t at = next_pair(fi->im, from, end);

	*call = false;
	for (int i = 0; i < fi->bridge.nr; i++) {
		uint64_t off = fi->bridge.call[i] - fi->im->vaddr;

		/* A pair has two bytes before @end. */
		if (off < from || off + 2 > end ||
		    (at >= 0 && off > (uint64_t)at))
			continue;
		*call = true;
		return (int64_t)off;
	}
	return at;
}

/*
 * No .eh_frame entry covers the candidate.  Assemblers' code may go on behind
 * what its author has described, as clone() does; tables may lie there, too.
 * It is code when everything from the function before up to the next one can
 * be decoded.  When only some bytes before it look like a call, it is not
 * known what it is.
 */
static int gap_candidate(struct finder *fi, uint64_t at)
{
	const struct nb_image *im = fi->im;
	struct nb_site s = {
		.vaddr = im->vaddr + at,
		.nr = NB_NR_UNKNOWN,
		.kind = NB_SITE_UNGUARDED,
		.why = NB_SITE_NO_FUNCTION,
	};
	bool credible = nb_shape_is_call(im, at);
	struct nb_body b;
	struct nb_func f;

	fi->counts->candidates++;
	if (nb_shape_is_sigreturn(im, s.vaddr)) {
		s.kind = NB_SITE_SIGRETURN;
		s.nr = NB_NR_SIGRETURN;
		return add_site(fi, &s);
	}
	if (!im->eh_frame)
		return add_site(fi, &s);
	if (!nb_eh_frame_before(im, s.vaddr, &f))
		f.start = im->vaddr;
	f.end = nb_eh_frame_next(im, s.vaddr);
	nb_body_decode(&b, im, &f);
	if (b.decoded == b.len && credible)
		return body_candidate(fi, &b, (uint32_t)(s.vaddr - f.start));
	if (credible || (b.decoded == b.len &&
			 nb_body_is_insn((uint32_t)(s.vaddr - f.start))))
		return add_site(fi, &s);
	fi->counts->false_hits++;
	return 0;
}

/* What may be a call of the bridge, where no function is known. */
static int gap_call(struct finder *fi, uint64_t at)
{
	const struct nb_site s = {
		.vaddr = fi->im->vaddr + at + NB_CALL_LEN,
		.nr = NB_NR_UNKNOWN,
		.kind = NB_SITE_UNGUARDED,
		.why = NB_SITE_NO_FUNCTION,
		.call = true,
	};

	fi->counts->candidates++;
	return add_site(fi, &s);
}

/* All of the function @f from @from on, an offset in the segment. */
static int scan_function(struct finder *fi, const struct nb_func *f,
			 uint64_t from)
{
	const struct nb_image *im = fi->im;
	uint64_t start = f->start - im->vaddr;
	/* A pair may begin with the function's last byte. */
	uint64_t end = nb_min(f->end - im->vaddr + 1, im->len);
	struct nb_body b;
	int err = 0;

	nb_body_decode(&b, im, f);
	while (!err) {
		bool call;
		int64_t at = next_candidate(fi, from, end, &call);
		uint32_t off = (uint32_t)((uint64_t)at - start);

		if (at < 0)
			break;
		fi->counts->candidates++;
		err = call ? call_candidate(fi, &b, off)
			   : body_candidate(fi, &b, off);
		from = (uint64_t)at + 1;
	}
	return err;
}

static int scan_segment(struct finder *fi)
{
	const struct nb_image *im = fi->im;
	uint64_t from = 0;
	int64_t at;
	int err = 0;
	bool call;

	fi->nr = 0;
	fi->floor = im->vaddr;
	*fi->counts = (struct nb_site_counts){0};
	while (!err && (at = next_candidate(fi, from, im->len, &call)) >= 0) {
		struct nb_func f;

		if (nb_eh_frame_find(im, im->vaddr + (uint64_t)at, &f)) {
			err = scan_function(fi, &f, (uint64_t)at);
			from = f.end - im->vaddr;
		} else {
			err = call ? gap_call(fi, (uint64_t)at)
				   : gap_candidate(fi, (uint64_t)at);
			from = (uint64_t)at + 1;
		}
	}
	return err;
}

/*
 * Does a branch lead into what was planned?  Plan again, knowing of it.  What
 * still has one in the end is given up.
 */
static int plan_segment(struct finder *fi)
{
	int err = scan_segment(fi);

	if (!err && fi->bridge.start) {
		nb_bridge_calls(fi->im, fi->bridge.start, &fi->bridge);
		err = scan_segment(fi);
	}
	for (int i = 0; !err && i < ROUNDS; i++) {
		if (!nb_branches_find(fi->im, fi->sites, fi->nr, &fi->targets))
			return 0;
		fi->targets.full = fi->targets.full || i == ROUNDS - 1;
		err = scan_segment(fi);
	}
	return err;
}

/**
 * nb_sites_find() - find the system calls of a segment.
 * @im:	    the segment
 * @sites:  out: the sites, by address
 * @max:    room there
 * @counts: out: how many there are of which kind
 *
 * The windows of sites do not overlap, hold no other site, and no branch
 * leads into them but to their first bytes.  The number of a plain site is
 * certain; of the others it is what the instructions before it say.
 *
 * Context: one caller at a time (it works in static memory); opens the decoder
 * when it is not.
 * Return: how many sites there are; -ENOSYS without a decoder, -ENOSPC when
 * there is no room.
 */
int nb_sites_find(const struct nb_image *im, struct nb_site *sites, int max,
		  struct nb_site_counts *counts)
{
	struct finder fi = {
		.im = im, .sites = sites, .max = max, .counts = counts};
	int err = nb_decoder_open();

	*counts = (struct nb_site_counts){0};
	if (err)
		return err;
	err = plan_segment(&fi);
	if (err)
		return err;
	for (int i = 0; i < fi.nr; i++) {
		struct nb_site *s = &sites[i];

		if (s->kind == NB_SITE_PLAIN || s->kind == NB_SITE_SIGRETURN ||
		    s->kind == NB_SITE_BRIDGE)
			s->pre_len = 0;
		counts->kind[s->kind]++;
		counts->why[s->why]++;
	}
	return fi.nr;
}
