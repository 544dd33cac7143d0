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

#include <errno.h>
#include <string.h>

#define JUMP_LEN 5U
#define SYSCALL_LEN 2U
#define NR_SIGRETURN 15
#define NR_RUN_MAX 64 /* bytes from where a number is set to its call */
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

static void plan_windows(const struct finder *fi, const struct nb_body *b,
			 struct nb_site *s)
{
	uint32_t off = (uint32_t)(s->vaddr - b->f.start);
	uint32_t after = off + SYSCALL_LEN;
	struct run pre = {.start = off, .end = off};
	struct run post = {.start = after, .end = after};

	while (run_len(&pre) < JUMP_LEN && grow_down(fi, b, &pre))
		;
	if (run_len(&pre) < JUMP_LEN) {
		s->why = pre.why;
		plan_moved(fi, b, s);
		return;
	}
	s->pre_len = (uint8_t)run_len(&pre);
	while (run_len(&post) < JUMP_LEN && grow_up(fi, b, &post))
		;
	if (run_len(&post) < JUMP_LEN) {
		s->why = post.why;
		s->kind = NB_SITE_PRE_ONLY;
		return;
	}
	s->post_len = (uint8_t)run_len(&post);
	s->kind = NB_SITE_BRACKET;
}

/*
 * The restorer is known to unwinders by its bytes.  Its .eh_frame entry begins
 * one byte before it, so that decoding from there goes wrong.
 */
static bool is_sigreturn(const struct nb_image *im, uint64_t vaddr)
{
	static const uint8_t mov_rax[] = {0x48, 0xc7, 0xc0, NR_SIGRETURN,
					  0,	0,    0};
	static const uint8_t mov_eax[] = {0xb8, NR_SIGRETURN, 0, 0, 0};
	uint64_t off = vaddr - im->vaddr;
	const uint8_t *p = im->text + off;

	return (off >= sizeof(mov_rax) &&
		!memcmp(p - sizeof(mov_rax), mov_rax, sizeof(mov_rax))) ||
	       (off >= sizeof(mov_eax) &&
		!memcmp(p - sizeof(mov_eax), mov_eax, sizeof(mov_eax)));
}

/*
 * glibc since 2.41 makes all calls that can be cancelled at one place, whose
 * addresses its signal handler compares: a thread in a stub, or in what that
 * calls, would not be cancelled, and then block.
 */
static bool is_cancel_bridge(const struct nb_image *im, uint64_t vaddr)
{
	static const uint8_t moves[] = {
		0x4c, 0x8b, 0x44, 0x24, 0x08, /* mov 8(%rsp),%r8 */
		0x4c, 0x8b, 0x4c, 0x24, 0x10, /* mov 16(%rsp),%r9 */
		0x4c, 0x89, 0x5c, 0x24, 0x08, /* mov %r11,8(%rsp) */
	};
	uint64_t off = vaddr - im->vaddr;

	return off >= sizeof(moves) &&
	       !memcmp(im->text + off - sizeof(moves), moves, sizeof(moves));
}

/* What comes right before @s has taken bytes that only @s cannot do without. */
static bool take_back(struct finder *fi, const struct nb_body *b,
		      const struct nb_site *s)
{
	struct nb_site *last = &fi->sites[fi->nr - 1];

	if (s->kind != NB_SITE_UNGUARDED || !fi->nr ||
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

	if (is_sigreturn(b->im, s.vaddr)) {
		s.kind = NB_SITE_SIGRETURN;
		s.nr = NR_SIGRETURN;
	} else if (is_cancel_bridge(b->im, s.vaddr)) {
		s.why = NB_SITE_CANCEL;
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
static int64_t next_candidate(const struct nb_image *im, uint64_t from,
			      uint64_t end)
{
	const uint8_t *p = im->text + from + 1, *stop = im->text + end;

	while (p < stop && (p = memchr(p, 0x05, (size_t)(stop - p)))) {
		if (p[-1] == 0x0f)
			return p - 1 - im->text;
		p++;
	}
	return -1;
}

/*
 * Does something right before the bytes of `syscall` look as if it set the
 * call's number?  Where code is told from data, it does before real ones.
 */
static bool is_credible(const struct nb_image *im, uint64_t at)
{
	const uint8_t *p = im->text + at, *stop;

	stop = im->text + at - nb_min(at, (uint64_t)NR_RUN_MAX / 2);
	for (p -= 2; p >= stop; p--) {
		/* mov imm32,%eax or, below 1024, imm32,%rax; xor %eax,%eax */
		if (p + 5 <= im->text + at && p[0] == 0xb8 && p[2] < 4 &&
		    !p[3] && !p[4])
			return true;
		if (p + 6 <= im->text + at && p[0] == 0xc7 && p[1] == 0xc0 &&
		    p[3] < 4 && !p[4] && !p[5])
			return true;
		if ((p[0] == 0x31 || p[0] == 0x33) && p[1] == 0xc0)
			return true;
		/* mov reg,%eax in its two forms */
		if ((p[0] == 0x89 && (p[1] & 0xc7) == 0xc0) ||
		    (p[0] == 0x8b && (p[1] & 0xf8) == 0xc0))
			return true;
	}
	return false;
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
	bool credible = is_credible(im, at);
	struct nb_body b;
	struct nb_func f;

	fi->counts->candidates++;
	if (is_sigreturn(im, s.vaddr)) {
		s.kind = NB_SITE_SIGRETURN;
		s.nr = NR_SIGRETURN;
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
		int64_t at = next_candidate(im, from, end);

		if (at < 0)
			break;
		fi->counts->candidates++;
		err = body_candidate(fi, &b, (uint32_t)((uint64_t)at - start));
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

	fi->nr = 0;
	fi->floor = im->vaddr;
	*fi->counts = (struct nb_site_counts){0};
	while (!err && (at = next_candidate(im, from, im->len)) >= 0) {
		struct nb_func f;

		if (nb_eh_frame_find(im, im->vaddr + (uint64_t)at, &f)) {
			err = scan_function(fi, &f, (uint64_t)at);
			from = f.end - im->vaddr;
		} else {
			err = gap_candidate(fi, (uint64_t)at);
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

		if (s->kind == NB_SITE_PLAIN || s->kind == NB_SITE_SIGRETURN)
			s->pre_len = 0;
		counts->kind[s->kind]++;
		counts->why[s->why]++;
	}
	return fi.nr;
}

/**
 * nb_site_kind_name() - a word for reports.
 * @kind: the kind
 *
 * Context: any.
 * Return: the word.
 */
const char *nb_site_kind_name(enum nb_site_kind kind)
{
	static const char *const name[] = {
		[NB_SITE_BRACKET] = "bracket",
		[NB_SITE_PRE_ONLY] = "pre-only",
		[NB_SITE_OUT_OF_LINE] = "out-of-line",
		[NB_SITE_PLAIN] = "plain",
		[NB_SITE_SIGRETURN] = "sigreturn",
		[NB_SITE_UNGUARDED] = "unguarded",
	};

	return kind < nb_array_size(name) ? name[kind] : "?";
}

/**
 * nb_site_why_text() - why a window is missing, for reports.
 * @why: the reason
 *
 * Context: any.
 * Return: the text.
 */
const char *nb_site_why_text(enum nb_site_why why)
{
	static const char *const text[] = {
		[NB_SITE_OK] = "ok",
		[NB_SITE_NO_FUNCTION] = "no function is known there",
		[NB_SITE_NOT_REACHED] = "its function cannot be decoded",
		[NB_SITE_PRE_SHORT] = "too few bytes before it",
		[NB_SITE_PRE_TARGET] = "a branch leads to before it",
		[NB_SITE_PRE_FIXED] = "what is before it cannot be moved",
		[NB_SITE_POST_SHORT] = "too few bytes after it",
		[NB_SITE_POST_TARGET] = "a branch leads to after it",
		[NB_SITE_POST_FIXED] = "what is after it cannot be moved",
		[NB_SITE_CANCEL] = "cancellation depends on where it is",
	};

	return why < nb_array_size(text) ? text[why] : "?";
}
