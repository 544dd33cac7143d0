/* SPDX-License-Identifier: MIT */
/*
 * Which vector state there is to save around the slow half of the guard, and
 * how much room it takes.  entry.S reads the variables.
 *
 * Saved is what compiled C, memcpy included, may destroy.  Not saved are the
 * tiles of AMX (large, and used by who asked for them only) and protection
 * keys (which a hook must see as the program has set them).
 *
 * Owns the variables: constant after nb_xsave_init().
 */
#include "xsave.h"

#include "guard.h"

#if defined(__x86_64__) && defined(__LP64__)
#include <cpuid.h>

/* FXSAVE, then the header of XSAVE. */
#define LEGACY_BYTES 512U
#define HEADER_BYTES 64U

#define FEATURE_OSXSAVE (1U << 27) /* leaf 1, ecx */
#define LEAF_XSAVE 0xd
#define XSAVE_COMPACT (1U << 1) /* leaf 0xd, 1, eax */
#define PART_ALIGNED (1U << 1)	/* leaf 0xd, part, ecx */

/* Parts: x87, SSE, AVX, three of AVX-512, the 16 registers of APX. */
#define NR_PARTS 64
#define WANTED (0x3ULL | 0x4ULL | 0xe0ULL | 1ULL << 19)

uint64_t nb_guard_xsave_mask;
uint64_t nb_guard_xsave_bytes = LEGACY_BYTES;
uint8_t nb_guard_xsave_compact;

static uint64_t enabled_parts(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t bytes_needed(uint64_t mask, bool compact)
{
	uint64_t bytes = LEGACY_BYTES + HEADER_BYTES;

	for (unsigned int i = 2; i < NR_PARTS; i++) {
		uint32_t size, offset, flags, unused;

		if (!(mask >> i & 1))
			continue;
		__cpuid_count(LEAF_XSAVE, i, size, offset, flags, unused);
		if (!compact) {
			bytes = nb_max(bytes, (uint64_t)offset + size);
			continue;
		}
		if (flags & PART_ALIGNED)
			bytes = nb_align_up(bytes, 64);
		bytes += size;
	}
	return bytes;
}

/**
 * nb_xsave_init() - find out what to save
 *
 * Context: start only.
 */
void nb_xsave_init(void)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & FEATURE_OSXSAVE) ||
	    !__get_cpuid_count(LEAF_XSAVE, 1, &a, &b, &c, &d))
		return;
	nb_guard_xsave_compact = (a & XSAVE_COMPACT) != 0;
	nb_guard_xsave_mask = enabled_parts() & WANTED;
	nb_guard_xsave_bytes =
		bytes_needed(nb_guard_xsave_mask, nb_guard_xsave_compact);
}

#else

#include <errno.h>

uint64_t nb_guard_xsave_mask;

void nb_xsave_init(void)
{
}

/**
 * nb_guard_copy() - there are no stubs: nobody gets here
 * @to: ignored
 * @from: ignored
 * @bytes: ignored
 *
 * Context: never.
 * Return: -EFAULT.
 */
long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	(void)to;
	(void)from;
	(void)bytes;
	return -EFAULT;
}

const char nb_guard_copy_begin[1], nb_guard_copy_end[1], nb_guard_copy_fault[1];

#endif
