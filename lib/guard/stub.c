/* SPDX-License-Identifier: MIT */
/*
 * Stubs: what is executed instead of a site's windows.
 *
 *	pre	the window's instructions, a call of enter, jmp to the syscall
 *	post	a call of leave, the window's instructions, jmp behind it
 *	whole	the window's instructions before the syscall, a call of enter,
 *		syscall, a call of leave, those after it, jmp behind the window
 *
 * The pre stub of a call of a bridge (bridge.c) is called instead of it: a call
 * of enter_call, jmp to the bridge.
 *
 * A call skips the red zone and hands over the index of the site, in r11, and
 * the address in the program's text that the call stands for, in rcx: a system
 * call destroys both.  It changes nothing else that the program can see: lea
 * leaves the flags alone.
 *
 * Plain arithmetic on bytes: owns nothing, calls nothing but window.c.  Called
 * by patch.c, which puts the bytes where they belong.
 */
#include "stub.h"

#include <errno.h>
#include <string.h>

static const uint8_t lea_down[] = {0x48, 0x8d, 0x64, 0x24, 0x80};
static const uint8_t lea_up[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};
static const uint8_t mov_r11d[] = {0x41, 0xbb};
static const uint8_t lea_rcx[] = {0x48, 0x8d, 0x0d};
/* Of a call: its address is on the stack already, and rcx is in use. */
static const uint8_t lea_call_down[] = {0x48, 0x8d, 0x64, 0x24, 0x88};
static const uint8_t lea_call_up[] = {0x48, 0x8d, 0xa4, 0x24, 0x78, 0, 0, 0};
static const uint8_t lea_r10[] = {0x4c, 0x8d, 0x15};
static const uint8_t call_rel[] = {0xe8};
static const uint8_t call_slot[] = {0xff, 0x15};
static const uint8_t jmp[] = {0xe9};
static const uint8_t syscall_insn[] = {0x0f, 0x05};

#define INT3 0xcc

/* lea, mov, lea, call, lea: see put_call() */
#define CALL_LEN (5U + 6U + 7U + 6U + 8U)
/* Between the first and the last of them, rsp is lower by the red zone. */
#define RED_ZONE 128U
#define RETURN_ADDR 8U /* ... of which a call of a bridge takes these */

static void put(struct nb_stub_buf *b, const void *bytes, unsigned int n)
{
	if (b->err)
		return;
	if (n > b->room - b->len) {
		b->err = -ENOSPC;
		return;
	}
	memcpy(b->out + b->len, bytes, n);
	b->len += n;
}

static uint64_t here(const struct nb_stub_buf *b)
{
	return b->at + b->len;
}

static int rel32(uint64_t from, uint64_t to, int32_t *rel)
{
	int64_t d = (int64_t)(to - from);

	if (d < INT32_MIN || d > INT32_MAX)
		return -ERANGE;
	*rel = (int32_t)d;
	return 0;
}

/* An instruction that ends in the distance from its end to @to. */
static void put_rel(struct nb_stub_buf *b, const uint8_t *op, unsigned int n,
		    uint64_t to)
{
	int32_t rel = 0;

	put(b, op, n);
	if (!b->err)
		b->err = rel32(here(b) + sizeof(rel), to, &rel);
	put(b, &rel, sizeof(rel));
}

static void put_call(struct nb_stub_buf *b, uint64_t slot, uint32_t index,
		     uint64_t stands_for)
{
	put(b, lea_down, sizeof(lea_down));
	put(b, mov_r11d, sizeof(mov_r11d));
	put(b, &index, sizeof(index));
	put_rel(b, lea_rcx, sizeof(lea_rcx), stands_for);
	put_rel(b, call_slot, sizeof(call_slot), slot);
	put(b, lea_up, sizeof(lea_up));
}

static void put_enter_call(struct nb_stub_buf *b, uint32_t index,
			   uint64_t stands_for)
{
	put(b, lea_call_down, sizeof(lea_call_down));
	put(b, mov_r11d, sizeof(mov_r11d));
	put(b, &index, sizeof(index));
	put_rel(b, lea_r10, sizeof(lea_r10), stands_for);
	put_rel(b, call_slot, sizeof(call_slot), b->enter_call);
	put(b, lea_call_up, sizeof(lea_call_up));
}

static uint64_t behind(const struct nb_patched *p)
{
	return p->addr + nb_site_insn_len(p->call);
}

/* Instructions of a window that struct nb_patched has room for. */
enum {
	MAP_MAX = sizeof(((struct nb_patched *)0)->pre_map) /
		  sizeof(struct nb_insn_map)
};

struct half {
	const uint8_t *window;
	unsigned int len;
	uint64_t from; /* where the window is */
	uint32_t stub; /* where its stub begins in the buffer */
	struct nb_insn_map *map;
	uint8_t *nr_map;
};

static void put_window(struct nb_stub_buf *b, const struct half *h)
{
	struct nb_insn_map map[NB_WINDOW_MAX];
	struct nb_moved m = {
		.out = b->out + b->len,
		.room = b->room - b->len,
		.map = map,
	};
	uint32_t offset = b->len - h->stub;
	int n;

	*h->nr_map = 0;
	if (b->err || !h->len)
		return;
	n = nb_window_move(h->window, h->len, h->from, here(b), &m);
	if (n < 0 || m.nr_map > MAP_MAX) {
		b->err = n < 0 ? n : -ENOSPC;
		return;
	}
	for (unsigned int i = 0; i < m.nr_map; i++) {
		h->map[i].from = map[i].from;
		h->map[i].to = (uint8_t)(map[i].to + offset);
	}
	*h->nr_map = (uint8_t)m.nr_map;
	b->len += (uint32_t)n;
}

/* Does execution go on behind the post window? */
static bool falls_through(const struct nb_patched *p)
{
	const uint8_t *last;

	if (!p->post_len || !p->nr_post_map)
		return true;
	last = &p->bytes[p->pre_len + p->post_map[p->nr_post_map - 1].from];
	/* ret, jmp; what is not recognised gets a jump that is never run. */
	return *last != 0xc3 && *last != 0xe9 && *last != 0xeb;
}

static void put_back(struct nb_stub_buf *b, const struct nb_patched *p)
{
	if (falls_through(p))
		put_rel(b, jmp, sizeof(jmp), behind(p) + p->post_len);
}

static void put_pre(struct nb_stub_buf *b, struct nb_patched *p, uint32_t index)
{
	const struct half pre = {
		.window = p->bytes,
		.len = p->pre_len,
		.from = p->addr - p->pre_len,
		.stub = b->len,
		.map = p->pre_map,
		.nr_map = &p->nr_pre_map,
	};

	p->pre_stub = here(b);
	put_window(b, &pre);
	put_call(b, b->enter, index, p->addr);
}

/* Instead of the call of a bridge. */
static void put_pre_call(struct nb_stub_buf *b, struct nb_patched *p,
			 uint32_t index)
{
	int32_t rel;

	memcpy(&rel, p->bytes + sizeof(call_rel), sizeof(rel));
	p->syscall_addr = p->addr + (uint64_t)(int64_t)rel;
	p->pre_stub = here(b);
	put_enter_call(b, index, nb_site_start(p));
	put_rel(b, jmp, sizeof(jmp), p->syscall_addr);
}

/* @stub: what the map's offsets are relative to. */
static void put_post(struct nb_stub_buf *b, struct nb_patched *p,
		     uint32_t index, uint32_t stub)
{
	const struct half post = {
		.window = p->bytes + p->pre_len,
		.len = p->post_len,
		.from = behind(p),
		.stub = stub,
		.map = p->post_map,
		.nr_map = &p->nr_post_map,
	};

	put_call(b, b->leave, index, behind(p));
	put_window(b, &post);
	put_back(b, p);
}

static void build(struct nb_patched *p, uint32_t index, struct nb_stub_buf *b)
{
	uint32_t start = b->len;

	if (p->call) {
		put_pre_call(b, p, index);
	} else if (p->kind == NB_SITE_OUT_OF_LINE) {
		put_pre(b, p, index);
		p->syscall_addr = here(b);
		put(b, syscall_insn, sizeof(syscall_insn));
		put_post(b, p, index, start);
	} else {
		put_pre(b, p, index);
		p->syscall_addr = p->addr;
		put_rel(b, jmp, sizeof(jmp), p->addr);
	}
	p->pre_stub_len = (uint8_t)(b->len - start);
	p->post_stub = 0;
	p->post_stub_len = 0;
	if (p->kind != NB_SITE_BRACKET)
		return;
	start = b->len;
	p->post_stub = here(b);
	put_post(b, p, index, start);
	p->post_stub_len = (uint8_t)(b->len - start);
}

/**
 * nb_stub_build() - write the stubs of a site
 * @p: the site: addr, kind, lengths and bytes are set; out: all the rest
 * @index: its index
 * @b: where to write them; left alone on failure
 *
 * Context: Anywhere the decoder may be used.
 * Return: 0; -ENOSPC; -ERANGE: too far away; what nb_window_move() returns.
 */
int nb_stub_build(struct nb_patched *p, uint32_t index, struct nb_stub_buf *b)
{
	uint32_t before = b->len;
	int ret;

	build(p, index, b);
	if (!b->err && b->len - before > NB_STUBS_MAX)
		b->err = -ENOSPC;
	ret = b->err;
	b->err = 0;
	if (ret)
		b->len = before;
	return ret;
}

/* A jump from @from to @to over a window of @len bytes. */
static int put_jump(uint8_t *out, unsigned int len, uint64_t from, uint64_t to)
{
	int32_t rel;
	int ret = rel32(from + NB_JUMP_LEN, to, &rel);

	if (ret)
		return ret;
	*out = jmp[0];
	memcpy(out + 1, &rel, sizeof(rel));
	for (unsigned int i = NB_JUMP_LEN; i < len; i++)
		out[i] = INT3;
	return 0;
}

/**
 * nb_stub_jumps() - what a site looks like when it is guarded
 * @p: the site, with its stubs
 * @to: out: nb_site_span() bytes, from nb_site_start() on
 *
 * Context: Anywhere.
 * Return: 0, or -ERANGE: a stub is too far away.
 */
int nb_stub_jumps(const struct nb_patched *p, uint8_t *to)
{
	uint64_t start = nb_site_start(p);
	unsigned int insn = nb_site_insn_len(p->call);
	uint8_t *after = to + p->pre_len + insn;
	int ret;

	if (p->kind == NB_SITE_OUT_OF_LINE)
		return put_jump(to, nb_site_span(p), start, p->pre_stub);
	ret = put_jump(to, p->pre_len, start, p->pre_stub);
	if (p->call)
		*to = call_rel[0];
	memcpy(to + p->pre_len, syscall_insn, insn);
	if (ret || p->kind != NB_SITE_BRACKET)
		return ret;
	return put_jump(after, p->post_len, behind(p), p->post_stub);
}

/* In @map, the instruction that @off is in, or @none. */
static uint64_t moved_from(const struct nb_insn_map *map, unsigned int nr,
			   unsigned int off, uint64_t none)
{
	while (nr--)
		if (map[nr].to <= off)
			return map[nr].from;
	return none;
}

/* @off: in a call's instructions? then whether rsp is lowered */
static bool in_call(unsigned int off, unsigned int call, unsigned int *skew)
{
	if (off < call || off >= call + CALL_LEN)
		return false;
	*skew = off == call ? 0 : RED_ZONE;
	return true;
}

/* @off is behind the call of leave in a stub of @len bytes. */
static uint64_t after_leave(const struct nb_patched *p, unsigned int off,
			    unsigned int len)
{
	uint64_t window = behind(p);

	if (falls_through(p) && off >= len - NB_JUMP_LEN)
		return window + p->post_len;
	return window +
	       moved_from(p->post_map, p->nr_post_map, off, p->post_len);
}

/**
 * nb_stub_original() - where an address in a site's stubs stands for
 * @p: the site
 * @addr: start of an instruction in one of its stubs
 * @skew: out: by how much rsp is lower there than at the address returned
 *
 * Context: Anywhere, including signal handlers.
 * Return: the address in the program's text; 0: not in these stubs.
 */
uint64_t nb_stub_original(const struct nb_patched *p, uint64_t addr,
			  unsigned int *skew)
{
	bool whole = p->kind == NB_SITE_OUT_OF_LINE;
	unsigned int off = (unsigned int)(addr - p->pre_stub), enter;

	*skew = 0;
	if (addr >= p->pre_stub && addr - p->pre_stub < p->pre_stub_len) {
		if (p->call) {
			*skew = off && off < CALL_LEN ? RED_ZONE : RETURN_ADDR;
			return nb_site_start(p);
		}
		enter = whole ? (unsigned int)(p->syscall_addr - p->pre_stub)
			      : p->pre_stub_len - NB_JUMP_LEN;
		enter -= CALL_LEN;
		if (off < enter)
			return nb_site_start(p) +
			       moved_from(p->pre_map, p->nr_pre_map, off, 0);
		if (in_call(off, enter, skew) || off == enter + CALL_LEN)
			return p->addr;
		enter += CALL_LEN + NB_SYSCALL_LEN;
		if (in_call(off, enter, skew))
			return p->addr + NB_SYSCALL_LEN;
		return after_leave(p, off, p->pre_stub_len);
	}
	if (addr < p->post_stub || addr - p->post_stub >= p->post_stub_len)
		return 0;
	off = (unsigned int)(addr - p->post_stub);
	if (in_call(off, 0, skew))
		return behind(p);
	return after_leave(p, off, p->post_stub_len);
}
