/* SPDX-License-Identifier: MIT */
/*
 * Areas: memory with stubs, near to the modules that use it.
 *
 * Owns the table of them.  Areas are made, and their room is given out, under
 * the lock of patch.c; they are never given back, and looked up without a
 * lock.
 */
#include "area.h"

#include "guard.h"

#include <errno.h>
#include <stdatomic.h>

#define PAGE 4096ULL
#define MAX_AREAS 1024

static struct nb_area areas[MAX_AREAS];
static _Atomic uint32_t nr_areas; /* (A) */

static struct nb_area_head entries(void)
{
#if defined(__x86_64__) && defined(__LP64__)
	return (struct nb_area_head){
		.enter = (uint64_t)(uintptr_t)nb_guard_enter_entry,
		.leave = (uint64_t)(uintptr_t)nb_guard_leave_entry,
		.enter_call = (uint64_t)(uintptr_t)nb_guard_enter_call_entry,
	};
#else
	return (struct nb_area_head){0, 0, 0};
#endif
}

static int new_area(struct nb_code *code, const struct nb_range *text,
		    uint64_t bytes, struct nb_area **area)
{
	uint32_t i = atomic_load_explicit(&nr_areas, memory_order_relaxed);
	struct nb_area_head head = entries();
	uint64_t len = nb_align_up(sizeof(head) + bytes, PAGE), at;
	int ret;

	if (i == MAX_AREAS)
		return -ENOSPC;
	ret = nb_code_map_near(text->start, text->end, len, &at);
	if (ret)
		return ret;
	/* From here on it is ours, whether it can be used or not. */
	areas[i] = (struct nb_area){at, at + len, at + len};
	/* Pairs with the load in nb_area_of(). */
	atomic_store_explicit(&nr_areas, i + 1, memory_order_release);
	ret = nb_code_write(code, at, (const uint8_t *)&head, sizeof(head));
	if (ret)
		return ret;
	areas[i].free = at + sizeof(head);
	*area = &areas[i];
	return 0;
}

/**
 * nb_area_get() - find room for stubs, or make it
 * @code: to write with
 * @text: the text that they are for
 * @bytes: how much at least
 * @area: out: has so much from its @free on, near enough to all of @text
 *
 * Context: under the lock of patch.c.
 * Return: 0 or -errno.
 */
int nb_area_get(struct nb_code *code, const struct nb_range *text,
		uint64_t bytes, struct nb_area **area)
{
	uint32_t nr = atomic_load_explicit(&nr_areas, memory_order_relaxed);

	for (uint32_t i = 0; i < nr; i++) {
		struct nb_area *a = &areas[i];

		if (a->end - a->free < bytes ||
		    !nb_code_reaches(text->start, text->end, a->start,
				     a->end - a->start))
			continue;
		*area = a;
		return 0;
	}
	return new_area(code, text, bytes, area);
}

/**
 * nb_area_of() - which area is an address in?
 * @addr: the address
 *
 * Context: Anywhere, including signal handlers.
 * Return: the area, or NULL.
 */
const struct nb_area *nb_area_of(uint64_t addr)
{
	/* Pairs with the store in new_area(). */
	uint32_t nr = atomic_load_explicit(&nr_areas, memory_order_acquire);

	for (uint32_t i = 0; i < nr; i++)
		if (addr >= areas[i].start && addr < areas[i].end)
			return &areas[i];
	return NULL;
}
