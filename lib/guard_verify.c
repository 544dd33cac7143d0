/* SPDX-License-Identifier: MIT */
/*
 * Does the kernel agree with the table of regions?  Asked of a range before it
 * is armed, and of all memory every few seconds.
 *
 * Whoever changes the address space passes by guard_mm.c, which takes a range
 * out of the table, or makes it one that may not be armed, before the call.  So
 * under the as lock every region that may be armed is private anonymous memory
 * to read and write, but where chunks are armed.  Where it is not, somebody
 * changes mappings without passing by us: code that was not found, or not
 * patched.  Its other calls may hand armed memory to the kernel, so nothing is
 * armed any more; and what it has changed is not ours to give back.
 *
 * Also counts the mappings: the program gets at least half of what the kernel
 * allows (vm.max_map_count).
 *
 * Runs in numabald; owns nothing but the state of its own walk.
 */
#include "base/mutant.h"
#include "base/parse.h"
#include "guard_hooks.h"
#include "guard_mm.h"
#include "mech/arm.h"
#include "nb.h"
#include "plat/maps.h"
#include "regions.h"

/* From the end of one walk to the next, at least; and its share of time. */
#define WALK_NS (2 * NB_NSEC_PER_SEC)
#define WALK_SHARE 200
/* The lock is held for one piece of memory at a time. */
#define PIECE_BYTES (32 * NB_MIB)
/* Somebody may be giving a chunk back at this moment. */
#define TRIES 4
#define MAX_MAPS_DEFAULT 65530

const char nb_why_unseen_change[] =
	"memory was mapped or unmapped by a call that is not guarded";

static uint64_t next_walk_ns; /* (D) */

/* A walk over the mappings of a part of one region. */
struct look {
	uint64_t at;  /* up to here all is well */
	uint64_t end; /* of the part */
};

static bool fits(const struct nb_vma *vma, uint64_t start, uint64_t end)
{
	const uint32_t never = NB_VMA_SHARED | NB_VMA_FILE | NB_VMA_STACK |
			       NB_VMA_SPECIAL | NB_VMA_EXEC;
	const uint32_t rw = NB_VMA_READ | NB_VMA_WRITE;

	if (vma->flags & never && !NB_NO_KINDS)
		return false;
	if ((vma->flags & rw) == rw)
		return true;
	return !(vma->flags & rw) && nb_range_shut(start, end);
}

static int look_at(const struct nb_vma *vma, const char *name, void *arg)
{
	struct look *l = arg;
	uint64_t stop = nb_min(vma->end, l->end);

	(void)name;
	if (vma->start > l->at || !fits(vma, l->at, stop))
		return 1;
	l->at = stop;
	return 0;
}

/* Under the as lock.  Returns where the first difference is, or @end. */
static uint64_t agree_until(uint64_t start, uint64_t end)
{
	struct look l = {start, end};

	for (int i = 0; i < TRIES && l.at < end; i++)
		if (nb.sys->walk_maps(l.at, end, look_at, &l) < 0)
			return end; /* not readable now: nothing is known */
	return l.at;
}

/* Not ours any more, and as it is now: nothing is given back. */
static void disown(uint64_t start, uint64_t end)
{
	nb_regions_remove(start, end);
	nb_forget_range(start, end, true);
}

/**
 * nb_verify_range() - is what may be armed of a range what the table says?
 * @range: the range.
 *
 * Regions in which something else is mapped are taken out of the table.
 *
 * Context: with the as lock held.
 * Return: false: something was.
 */
bool nb_verify_range(const struct nb_range *range)
{
	bool ok = true;
	int i = nb_regions_index(range->start);

	while (i < nb_regions_count()) {
		struct nb_region r = *nb_regions_at(i++);
		uint64_t start = nb_max(r.start, range->start);
		uint64_t end = nb_min(r.end, range->end), at;

		if (start >= end)
			break;
		if (!nb_region_eligible(&r))
			continue;
		at = agree_until(start, end);
		if (at >= end)
			continue;
		disown(nb_align_down(at, nb.page_bytes), end);
		ok = false;
		/* What came after it in the table is elsewhere now. */
		i = nb_regions_index(end);
	}
	return ok;
}

/* The next piece that has a region in it. */
static bool next_piece(struct nb_range *piece)
{
	int i = nb_regions_index(piece->end);

	if (i >= nb_regions_count())
		return false;
	piece->start = nb_max(nb_regions_at(i)->start, piece->end);
	piece->end = piece->start + PIECE_BYTES;
	return true;
}

/**
 * nb_verify_all() - is what may be armed what the table says?
 *
 * Regions in which something else is mapped are taken out of the table.
 *
 * Context: numabald, no lock held.
 * Return: false: something was.
 */
bool nb_verify_all(void)
{
	struct nb_range piece = {0, 0};
	struct nb_sigstate ss;
	bool ok = true, more = true;

	while (more && !atomic_load(&nb.stop)) {
		nb_lock(&nb.as_lock, &ss);
		more = next_piece(&piece);
		if (more)
			ok &= nb_verify_range(&piece);
		nb_unlock(&nb.as_lock, &ss);
	}
	return ok;
}

struct census {
	int64_t nr;
	bool io_uring;
};

static int count_one(const struct nb_vma *vma, const char *name, void *arg)
{
	struct census *c = arg;

	(void)name;
	c->nr++;
	c->io_uring |= !!(vma->flags & NB_VMA_IO_URING);
	return 0;
}

static int64_t max_maps(void)
{
	const char *end;
	char buf[32];
	uint64_t n = 0;
	long len = nb.sys->read_file("/proc/sys/vm/max_map_count", buf,
				     sizeof(buf));

	if (len <= 0 || nb_parse_u64(buf, &end, &n) || n > INT32_MAX)
		return MAX_MAPS_DEFAULT;
	return (int64_t)n;
}

static void count_mappings(void)
{
	struct census c = {0, false};
	struct nb_sigstate ss;

	if (nb_maps_for_each(count_one, &c))
		return;
	/* A ring that was handed to the program ready-made. */
	if (c.io_uring)
		nb_standdown("the program uses io_uring");
	c.nr = max_maps() / 2 - c.nr;
	atomic_store(&nb_map_room, c.nr);
	if (c.nr > 0 || !atomic_load(&nb_nr_armed))
		return;
	nb_lock(&nb.as_lock, &ss);
	nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
}

/**
 * nb_reconcile() - compare the table with the kernel's, at times
 * @now_ns: the time.
 *
 * Stands down when they differ and system calls are guarded; where they are
 * not, it is known that not all changes are seen.
 *
 * Context: numabald, no lock held.
 */
void nb_reconcile(uint64_t now_ns)
{
	bool due = now_ns >= next_walk_ns;

	if (!due && atomic_load(&nb_map_room) > 0)
		return;
	count_mappings();
	if (!due)
		return;
	if (!nb_verify_all() && nb_guarded())
		nb_standdown(nb_why_unseen_change);
	now_ns += WALK_SHARE * (nb_clock_ns() - now_ns);
	next_walk_ns = now_ns + WALK_NS;
}

/**
 * nb_reconcile_after_fork() - the child has not looked yet
 *
 * Context: forked child.
 */
void nb_reconcile_after_fork(void)
{
	next_walk_ns = 0;
}
