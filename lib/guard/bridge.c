/* SPDX-License-Identifier: MIT */
/*
 * Bridges.  Some libcs (glibc since 2.41, musl) make all calls that can be
 * cancelled at one place:
 *
 *	long bridge(volatile int *cancelled, long nr, long a1, ..., long a6)
 *
 * looks whether its thread was cancelled and makes the call.  The handler of
 * the signal that cancels compares addresses: from the bridge's start up to
 * the system call, the thread ends; elsewhere, the bridge is still to come, or
 * the call has been made and its result must not get lost.  With a window
 * inside of the bridge a thread would be elsewhere after it has looked: it
 * would not be cancelled, and block.
 *
 * So a bridge stays as it is, and those who call it are led by way of a stub
 * that looks as if it were the call itself, and goes on with the bridge: what
 * cancels on the way there finds a thread that has not looked yet, and behind
 * it one that has its result.  A bridge that can be reached by anything but
 * such calls is not guarded.
 *
 * Called by site.c.  Owns nothing.
 */
#include "bridge.h"

#include "branch.h"

#include <string.h>

/* The arguments of C become those of a system call.  Written in assembler. */
static const uint8_t moves[] = {
	0x49, 0x89, 0xfb,	      /* mov %rdi,%r11 */
	0x48, 0x89, 0xf0,	      /* mov %rsi,%rax */
	0x48, 0x89, 0xd7,	      /* mov %rdx,%rdi */
	0x48, 0x89, 0xce,	      /* mov %rcx,%rsi */
	0x4c, 0x89, 0xc2,	      /* mov %r8,%rdx */
	0x4d, 0x89, 0xca,	      /* mov %r9,%r10 */
	0x4c, 0x8b, 0x44, 0x24, 0x08, /* mov 8(%rsp),%r8 */
	0x4c, 0x8b, 0x4c, 0x24, 0x10, /* mov 16(%rsp),%r9 */
	0x4c, 0x89, 0x5c, 0x24, 0x08, /* mov %r11,8(%rsp) */
};
/* The last three alone: nobody else keeps a register where an argument was. */
#define LAST_MOVES 15U

/**
 * nb_bridge_is() - does a system call look like that of a bridge?
 * @im: the segment.
 * @vaddr: of the call.
 *
 * Context: any.
 * Return: true: it must not be touched.
 */
bool nb_bridge_is(const struct nb_image *im, uint64_t vaddr)
{
	uint64_t off = vaddr - im->vaddr;

	return off >= LAST_MOVES &&
	       !memcmp(im->text + off - LAST_MOVES,
		       moves + sizeof(moves) - LAST_MOVES, LAST_MOVES);
}

/* Bytes of the instruction at @p if it is one that looks at a flag; or 0. */
static unsigned int look_len(const uint8_t *p)
{
	if (p[0] == 0xf3 && p[1] == 0x0f && p[2] == 0x1e && p[3] == 0xfa)
		return 4; /* endbr64 */
	if (p[0] == 0x8b && p[1] == 0x07)
		return 2; /* mov (%rdi),%eax */
	if (p[0] == 0xf6 && p[1] == 0x07)
		return 3; /* testb $X,(%rdi) */
	if (p[0] == 0xa8 || (p[0] == 0x85 && p[1] == 0xc0))
		return 2; /* test $X,%al; test %eax,%eax */
	if (p[0] == 0x75)
		return 2; /* jne */
	if (p[0] == 0x0f && p[1] == 0x85)
		return 6;
	return 0;
}

/**
 * nb_bridge_starts() - is a function the bridge, from its first byte on?
 * @im: the segment.
 * @start: of the function, which holds ...
 * @vaddr: ... a system call that nb_bridge_is() knows.
 *
 * Context: any.
 * Return: true: it looks at the flag, moves the arguments, makes the call.
 */
bool nb_bridge_starts(const struct nb_image *im, uint64_t start, uint64_t vaddr)
{
	const uint8_t *p = im->text + (start - im->vaddr), *stop;
	unsigned int len;

	if (vaddr - start < sizeof(moves))
		return false;
	stop = im->text + (vaddr - im->vaddr) - sizeof(moves);
	while (p < stop && (len = look_len(p)))
		p += len;
	return p == stop && !memcmp(p, moves, sizeof(moves));
}

/**
 * nb_bridge_calls() - find those who call a bridge
 * @im: the segment.
 * @start: of the bridge.
 * @br: out; without calls when anybody jumps there.
 *
 * Context: the decoder is open; one caller at a time.
 */
void nb_bridge_calls(const struct nb_image *im, uint64_t start,
		     struct nb_bridge *br)
{
	int nr;

	br->start = start;
	br->nr = 0;
	nr = nb_branches_to(im, start, br->call, NB_BRIDGE_CALLS);
	for (int i = 0; i < nr; i++)
		if (im->text[br->call[i] - im->vaddr] != 0xe8)
			return;
	br->nr = nb_max(nr, 0);
}
