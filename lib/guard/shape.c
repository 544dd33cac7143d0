/* SPDX-License-Identifier: MIT */
/*
 * What system calls look like by the bytes before them, where decoding does
 * not tell.  Called by site.c; owns nothing.
 */
#include "shape.h"

#include <string.h>

/**
 * nb_shape_is_sigreturn() - does a system call look like the restorer's?
 * @im: the segment.
 * @vaddr: of the call.
 *
 * The restorer is known to unwinders by its bytes.  Its .eh_frame entry begins
 * one byte before it, so that decoding from there goes wrong.
 *
 * Context: any.
 * Return: true: it must not be touched.
 */
bool nb_shape_is_sigreturn(const struct nb_image *im, uint64_t vaddr)
{
	static const uint8_t mov_rax[] = {0x48, 0xc7, 0xc0, NB_NR_SIGRETURN,
					  0,	0,    0};
	static const uint8_t mov_eax[] = {0xb8, NB_NR_SIGRETURN, 0, 0, 0};
	uint64_t off = vaddr - im->vaddr;
	const uint8_t *p = im->text + off;

	return (off >= sizeof(mov_rax) &&
		!memcmp(p - sizeof(mov_rax), mov_rax, sizeof(mov_rax))) ||
	       (off >= sizeof(mov_eax) &&
		!memcmp(p - sizeof(mov_eax), mov_eax, sizeof(mov_eax)));
}

/**
 * nb_shape_is_call() - does something before it look as if it set the number?
 * @im: the segment.
 * @at: offset there of the bytes of `syscall`.
 *
 * Where code is told from data, it does before real ones.
 *
 * Context: any.
 * Return: true if so.
 */
bool nb_shape_is_call(const struct nb_image *im, uint64_t at)
{
	const uint8_t *p = im->text + at, *stop;

	stop = im->text + at - nb_min(at, (uint64_t)NB_NR_RUN_MAX / 2);
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
