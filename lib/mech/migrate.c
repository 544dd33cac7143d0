/* SPDX-License-Identifier: MIT */
/*
 * Page migration: takes a list of ranges and targets, asks where their pages
 * are, and moves those that are elsewhere, sorted by target, in batches.
 *
 * One move_pages(2) costs tens of microseconds before it moves anything, and
 * flushes its work whenever the target changes or a page is already there:
 * hence the sorting, the batches and the question first.  What the kernel
 * says of each page is data, counted and handed back, never retried blindly.
 *
 * Runs in numabald only.
 */
#include "migrate.h"

#include "../plat/arena.h"

#include <errno.h>

/**
 * nb_migrate_init() - get the window's memory
 * @m: zeroed.
 * @sys: system calls.
 * @topo: the machine.
 * @page_bytes: page size.
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_migrate_init(struct nb_migrate *m, const struct nb_sys *sys,
		    const struct nb_topology *topo, uint32_t page_bytes)
{
	m->sys = sys;
	m->topo = topo;
	m->page_bytes = page_bytes;
	m->batch_pages = 512;
	m->reserve_pct = 3;
	m->pages = nb_arena_alloc(NB_MIGRATE_WINDOW * sizeof(*m->pages));
	m->nodes = nb_arena_alloc(NB_MIGRATE_WINDOW * sizeof(*m->nodes));
	m->status = nb_arena_alloc(NB_MIGRATE_WINDOW * sizeof(*m->status));
	m->owner = nb_arena_alloc(NB_MIGRATE_WINDOW * sizeof(*m->owner));
	if (!m->pages || !m->nodes || !m->status || !m->owner)
		return -ENOMEM;
	return 0;
}

static bool before(const struct nb_page_move *a, const struct nb_page_move *b)
{
	if (a->dst_nid != b->dst_nid)
		return a->dst_nid < b->dst_nid;
	return a->start < b->start;
}

/* Shell sort: in place, no allocation; lists are short (Ciura's gaps). */
static void sort_moves(struct nb_page_move *mv, unsigned int nr)
{
	static const unsigned int gaps[] = {1750, 701, 301, 132, 57,
					    23,	  10,  4,   1};

	for (unsigned int g = 0; g < nb_array_size(gaps); g++) {
		for (unsigned int i = gaps[g]; i < nr; i++) {
			struct nb_page_move tmp = mv[i];
			unsigned int j = i;

			for (; j >= gaps[g] && before(&tmp, &mv[j - gaps[g]]);
			     j -= gaps[g])
				mv[j] = mv[j - gaps[g]];
			mv[j] = tmp;
		}
	}
}

static long query(struct nb_migrate *m, unsigned int nr)
{
	return m->sys->move_pages(nr, m->pages, NULL, m->status);
}

/* Keep in the window only what is somewhere, but not on @dst. */
static unsigned int keep_elsewhere(struct nb_migrate *m, unsigned int nr,
				   int dst)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (m->status[i] < 0 || m->status[i] == dst)
			continue;
		m->pages[left] = m->pages[i];
		m->owner[left] = m->owner[i];
		left++;
	}
	return left;
}

/* How many pages may go to @dst without filling it. */
static uint64_t room_on(struct nb_migrate *m, int dst)
{
	uint64_t reserve =
		m->topo->mem_total_kb[dst] * 1024 / 100 * m->reserve_pct;
	uint64_t free_bytes;

	if (m->sys->node_free_bytes(dst, &free_bytes))
		return UINT64_MAX; /* not told: the kernel will refuse */
	if (free_bytes <= reserve)
		return 0;
	return (free_bytes - reserve) / m->page_bytes;
}

static void refuse_tail(struct nb_migrate *m, struct nb_page_move *moves,
			unsigned int from, unsigned int nr)
{
	for (unsigned int i = from; i < nr; i++) {
		struct nb_page_move *mv = &moves[m->owner[i]];

		mv->nr_failed++;
		mv->why = NB_WHY_PAGE_TARGET_FULL;
		m->nr_full++;
	}
}

/* Move window [from, nr) to @dst in batches; -errno if the call is refused. */
static long move_batches(struct nb_migrate *m, unsigned int nr, int dst)
{
	unsigned int done = 0;

	while (done < nr) {
		unsigned int n = nb_min(nr - done, m->batch_pages);
		long err;

		for (unsigned int i = 0; i < n; i++)
			m->nodes[i] = dst;
		err = m->sys->move_pages(n, m->pages + done, m->nodes,
					 m->status + done);
		m->nr_calls++;
		/* > 0: so many not moved. ENOMEM, ENOENT: about pages. */
		if (err < 0 && err != -ENOMEM && err != -ENOENT)
			return err;
		done += n;
	}
	return 0;
}

/*
 * One address of a transparent huge page moves all of it, further ones would
 * only be refused: first one address of each 2 MiB.
 */
static long move_huge_first(struct nb_migrate *m, unsigned int *nr, int dst)
{
	void *heads[NB_MIGRATE_WINDOW / 64];
	int nodes[NB_MIGRATE_WINDOW / 64], status[NB_MIGRATE_WINDOW / 64];
	unsigned int n = 0;
	uint64_t last = UINT64_MAX;
	long err;

	for (unsigned int i = 0; i < *nr && n < nb_array_size(heads); i++) {
		uint64_t block = (uint64_t)m->pages[i] >> 21;

		if (block == last)
			continue;
		last = block;
		heads[n] = m->pages[i];
		nodes[n++] = dst;
	}
	err = m->sys->move_pages(n, heads, nodes, status);
	m->nr_calls++;
	if (err < 0 && err != -ENOMEM && err != -ENOENT)
		return err;
	err = query(m, *nr);
	if (err)
		return err;
	return 0;
}

/* Count what the last query says of [0, nr); keep what is not on @dst. */
static unsigned int count_moved(struct nb_migrate *m,
				struct nb_page_move *moves, unsigned int nr,
				int dst)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (m->status[i] != dst)
			continue;
		moves[m->owner[i]].nr_moved++;
		m->nr_moved++;
	}
	return keep_elsewhere(m, nr, dst);
}

static int run_window(struct nb_migrate *m, struct nb_page_move *moves,
		      unsigned int nr, int dst)
{
	uint64_t room;
	long err = query(m, nr), refused;

	if (err)
		return (int)err;
	nr = keep_elsewhere(m, nr, dst);
	if (!nr)
		return 0;
	room = room_on(m, dst);
	if (room < nr) {
		refuse_tail(m, moves, (unsigned int)room, nr);
		nr = (unsigned int)room;
	}
	if (nr && m->huge) {
		err = move_huge_first(m, &nr, dst);
		if (err)
			return (int)err;
		nr = count_moved(m, moves, nr, dst);
	}
	if (!nr)
		return 0;
	refused = move_batches(m, nr, dst);
	err = query(m, nr);
	if (!err)
		nr = count_moved(m, moves, nr, dst);
	if (refused || err)
		return (int)(refused ? refused : err);
	for (unsigned int i = 0; i < nr; i++) {
		moves[m->owner[i]].nr_failed++;
		moves[m->owner[i]].why = NB_WHY_PAGE_FAILED;
	}
	m->nr_failed += nr;
	return 0;
}

/**
 * nb_migrate_run() - move pages
 * @m: the migrator.
 * @moves: ranges and targets; sorted here by target, results filled in.
 * @nr: how many, at most 65535.
 *
 * Context: numabald.
 * Return: 0; or -errno when move_pages(2) itself is refused (EPERM, ENOSYS),
 * with the results so far filled in.
 */
int nb_migrate_run(struct nb_migrate *m, struct nb_page_move *moves,
		   unsigned int nr)
{
	unsigned int fill = 0;
	int err;

	sort_moves(moves, nr);
	/* First of all: an error leaves some of them unvisited. */
	for (unsigned int i = 0; i < nr; i++) {
		moves[i].nr_moved = 0;
		moves[i].nr_failed = 0;
	}
	for (unsigned int i = 0; i < nr; i++) {
		for (uint64_t a = moves[i].start; a < moves[i].end;
		     a += m->page_bytes) {
			m->pages[fill] = (void *)a;
			m->owner[fill] = (uint16_t)i;
			if (++fill < NB_MIGRATE_WINDOW)
				continue;
			err = run_window(m, moves, fill, moves[i].dst_nid);
			fill = 0;
			if (err)
				return err;
		}
		if (fill &&
		    (i + 1 == nr || moves[i + 1].dst_nid != moves[i].dst_nid)) {
			err = run_window(m, moves, fill, moves[i].dst_nid);
			fill = 0;
			if (err)
				return err;
		}
	}
	return 0;
}

/**
 * nb_page_nids() - ask where pages are
 * @m: the migrator (for its window).
 * @addrs: an address in each page.
 * @nids: out: its node, or -errno (-ENOENT: not there, -EFAULT: no mapping).
 * @nr: how many.
 *
 * Context: numabald.
 * Return: 0 or -errno of move_pages(2).
 */
int nb_page_nids(struct nb_migrate *m, const uint64_t *addrs, int *nids,
		 unsigned int nr)
{
	unsigned int done = 0;

	while (done < nr) {
		unsigned int n = nb_min(nr - done, NB_MIGRATE_WINDOW + 0U);
		long err;

		for (unsigned int i = 0; i < n; i++)
			m->pages[i] = (void *)nb_align_down(addrs[done + i],
							    m->page_bytes);
		err = query(m, n);
		if (err)
			return (int)err;
		for (unsigned int i = 0; i < n; i++)
			nids[done + i] = m->status[i];
		done += n;
	}
	return 0;
}
