/* SPDX-License-Identifier: MIT */
/*
 * Small arithmetic and compiler helpers, used by every layer.
 */
#ifndef NB_UTIL_H
#define NB_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NB_NSEC_PER_USEC 1000ULL
#define NB_NSEC_PER_MSEC 1000000ULL
#define NB_NSEC_PER_SEC 1000000000ULL
#define NB_MIB (1024ULL * 1024ULL)

#define nb_likely(x) __builtin_expect(!!(x), 1)
#define nb_unlikely(x) __builtin_expect(!!(x), 0)
#define nb_array_size(a) (sizeof(a) / sizeof((a)[0]))
#define nb_container_of(ptr, type, member)                                     \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define nb_min(a, b)                                                           \
	({                                                                     \
		__typeof__(a) min_a_ = (a);                                    \
		__typeof__(b) min_b_ = (b);                                    \
		min_a_ < min_b_ ? min_a_ : min_b_;                             \
	})
#define nb_max(a, b)                                                           \
	({                                                                     \
		__typeof__(a) max_a_ = (a);                                    \
		__typeof__(b) max_b_ = (b);                                    \
		max_a_ > max_b_ ? max_a_ : max_b_;                             \
	})
#define nb_clamp(v, lo, hi) nb_min(nb_max(v, lo), hi)

static inline uint64_t nb_div_round_up(uint64_t n, uint64_t d)
{
	return n / d + (n % d != 0);
}

/* @align is a power of two. */
static inline uint64_t nb_align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t nb_align_up(uint64_t v, uint64_t align)
{
	return nb_align_down(v + align - 1, align);
}

/* A range of addresses, [start, end) in bytes. */
struct nb_range {
	uint64_t start;
	uint64_t end;
};

#endif /* NB_UTIL_H */
