/* SPDX-License-Identifier: MIT */
/*
 * Slow memory: what is used often comes to its users, and what is used rarely
 * makes room for it (policy/tier.c, tier_plan.c).
 *
 * Faults pass through here on their way to a decision.  What should move to a
 * node that is full waits, for a tenth of a second or, where there is very much
 * memory, so long that the next does not take too much time: then all chunks
 * are counted, by what is known of them and without a look at them, some cold
 * ones are demoted, and what waits is let in or forgotten.
 *
 * On a machine without slow nodes nothing of this is done: no memory is taken
 * for it, and nothing ever waits.
 *
 * Runs in numabald only.
 */
#include "tiering.h"

#include "nb.h"
#include "plat/arena.h"
#include "policy/tier.h"
#include "regions.h"

#include <errno.h>
#include <string.h>

/* Between two rounds, and between two looks at how much is free. */
#define ROUND_NS (100 * NB_NSEC_PER_MSEC)
/*
 * All chunks are gone through three times in a round, to count them, to demote
 * some and for those that are new: about 3 % of numabald's CPU at most.
 */
#define ROUND_COST_FACTOR 100
/* So much is demoted in a second at most. */
#define RATE_BYTES (512 * NB_MIB)
#define MAX_WAITING 4096
#define MAX_BATCH 1024

struct waiting {
	struct nb_page_move move;
	struct nb_tier_chunk *chunk;
};

struct tiering {
	struct nb_tier tier;
	struct nb_rate_limit rate;
	struct waiting waiting[MAX_WAITING];
	unsigned int nr_waiting;
	uint64_t next_ns;  /* of rounds */
	uint64_t look_ns;  /* last look at what is free */
	uint64_t scan_seq; /* pass of the last round */
	/* chunks to be asked about, or to be moved */
	struct nb_page_move moves[MAX_BATCH];
	struct nb_tier_chunk *chunks[MAX_BATCH];
	uint64_t addrs[MAX_BATCH];
	int nids[MAX_BATCH];
	unsigned int nr;
	struct nb_vma vmas[NB_MAX_REGIONS];
};

static struct tiering *tg; /* (D) NULL: there is one tier */

_Static_assert(sizeof(struct nb_tier_chunk) == sizeof(uint64_t),
	       "a chunk has 8 bytes for its tier");

/* Asked, and it was nowhere: a node that never is. */
#define NOWHERE1 (NB_MAX_NODES + 1)

static struct nb_tier_chunk *chunk_of(const struct nb_block *b, unsigned int c)
{
	return (struct nb_tier_chunk *)&b->tier[c];
}

/**
 * nb_tiering_init() - is there slow memory?
 *
 * Context: start only, before there is a block of chunks.
 * Return: 0 or -ENOMEM.
 */
int nb_tiering_init(void)
{
	struct tiering *t;

	if (tg || !nb_tier_needed(&nb.topo, nb.cfg.nodes))
		return 0;
	t = nb_arena_map(sizeof(*t));
	if (!t)
		return -ENOMEM;
	nb_tier_init(&t->tier, &nb.topo, nb.cfg.nodes);
	nb_rate_limit_init(&t->rate, RATE_BYTES, nb_clock_ns());
	nb_chunk_table_tiers();
	tg = t;
	return 0;
}

static void look_at_nodes(uint64_t now_ns)
{
	int nid;

	nb_for_each_nid (nid, &nb.topo.has_memory) {
		uint64_t free_bytes, all = nb.topo.mem_total_kb[nid] * 1024;

		/* Not told: the kernel will refuse. */
		if (nb.sys->node_free_bytes(nid, &free_bytes))
			free_bytes = all;
		nb_tier_set_free(&tg->tier, nid, free_bytes,
				 (unsigned int)nb.migrate.reserve_pct);
	}
	tg->look_ns = now_ns;
}

/**
 * nb_tiering_begin() - before the faults of a pass
 * @now_ns: the time.
 *
 * Context: numabald.
 */
void nb_tiering_begin(uint64_t now_ns)
{
	if (!tg)
		return;
	nb_tier_tick(&tg->tier, now_ns, nb_process_cpu_ns());
}

/* Files of /sys are dear: only when somebody wants to know. */
static void refresh_free(void)
{
	uint64_t now_ns = tg->tier.clock.wall_ns;

	if (now_ns - tg->look_ns >= ROUND_NS)
		look_at_nodes(now_ns);
}

/**
 * nb_tiering_armed() - some chunks of a block are about to be armed
 * @b: the block.
 * @chunks: a bit for each.
 *
 * Context: numabald, with the as lock held.
 */
void nb_tiering_armed(struct nb_block *b, const uint64_t *chunks)
{
	if (!tg || !b->tier)
		return;
	for (unsigned int c = 0; c < b->nr_chunks; c++)
		if (chunks[c / 64] >> c % 64 & 1)
			nb_tier_armed(&tg->tier, chunk_of(b, c));
}

/**
 * nb_tiering_filter() - is a fault one on slow memory, and should it move?
 * @u: the chunk.
 * @q: the fault.
 * @dst_nid: out: where to.
 *
 * Context: numabald.
 * Return: the reason, or NB_WHY_NONE: not a question of tiers.
 */
enum nb_why nb_tiering_filter(const struct nb_tiering_use *u,
			      const struct nb_migrate_query *q, int *dst_nid)
{
	struct nb_tier_query tq = {
		.page_nid = q->page_nid,
		.dst_nid = q->cpu_nid,
		.bytes = u->bytes,
	};
	struct nb_tier_chunk *c;
	enum nb_why why;

	if (!tg || !u->block->tier)
		return NB_WHY_NONE;
	c = chunk_of(u->block, u->chunk);
	nb_tier_used(&tg->tier, c, q->page_nid, nb_clock_of_cycles(u->cycles),
		     u->may_move);
	if (!u->may_move)
		return NB_WHY_NONE;
	/* It will be there before its memory is. */
	if (q->task_free && q->numa_preferred_nid != NB_NO_NODE)
		tq.dst_nid = q->numa_preferred_nid;
	if (nb_node_isset(&tg->tier.slow, q->page_nid) || c->torn)
		refresh_free();
	why = nb_tier_promote(&tg->tier, &tq, c);
	if (nb_why_is_yes(why))
		*dst_nid = tq.dst_nid;
	return why;
}

/**
 * nb_tiering_admit() - what is to move waits if there is no room for it
 * @u: the chunk.
 * @mv: the move; out: to nowhere, if it waits.
 * @why: why it is to move.
 *
 * Context: numabald.
 * Return: @why, or NB_WHY_PAGE_WAITS.
 */
enum nb_why nb_tiering_admit(const struct nb_tiering_use *u,
			     struct nb_page_move *mv, enum nb_why why)
{
	if (!tg || !u->block->tier)
		return why;
	refresh_free();
	if (nb_tier_take_room(&tg->tier, mv->dst_nid, u->bytes))
		return why;
	if (tg->nr_waiting < MAX_WAITING) {
		mv->why = (uint16_t)why;
		tg->waiting[tg->nr_waiting].move = *mv;
		tg->waiting[tg->nr_waiting++].chunk =
			chunk_of(u->block, u->chunk);
	}
	mv->dst_nid = NB_NO_NODE;
	return NB_WHY_PAGE_WAITS;
}

static void note_move(struct nb_tier_chunk *c, const struct nb_page_move *mv)
{
	uint64_t pages = (uint64_t)mv->nr_moved + mv->nr_failed;
	bool moved = mv->nr_moved > mv->nr_failed;

	if (pages)
		nb_tier_learn(&tg->tier, mv->dst_nid, pages * nb.page_bytes,
			      moved);
	if (moved)
		nb_tier_moved(&tg->tier, c, mv->dst_nid);
	else if (mv->nr_failed)
		nb_tier_stayed(&tg->tier, c);
	if (mv->nr_moved && mv->nr_failed)
		nb_tier_torn(&tg->tier, c, mv->dst_nid);
}

/**
 * nb_tiering_moved() - a chunk was moved after a fault
 * @b: its block.
 * @chunk: the chunk.
 * @mv: the move, and what became of it.
 *
 * Context: numabald.
 */
void nb_tiering_moved(struct nb_block *b, unsigned int chunk,
		      const struct nb_page_move *mv)
{
	if (tg && b->tier)
		note_move(chunk_of(b, chunk), mv);
}

static bool may_run(void)
{
	return nb.cfg.move_pages && !nb.pages_off &&
	       nb.cfg.mode == NB_MODE_ON && !atomic_load(&nb.all_locked);
}

static int snapshot(void)
{
	struct nb_sigstate ss;
	int nr;

	nb_lock(&nb.as_lock, &ss);
	nr = nb_regions_snapshot(tg->vmas, NB_MAX_REGIONS, UINT64_MAX);
	nb_unlock(&nb.as_lock, &ss);
	return nr;
}

typedef void visitor(struct nb_block *b, unsigned int c, int level);

static void visit_block(struct nb_block *b, const struct nb_vma *v,
			visitor *visit)
{
	unsigned int c, end;

	if (!b->tier)
		return;
	nb_block_part(b, v->start, v->end, &c, &end);
	for (; c < end; c++) {
		bool armed = atomic_load(&b->state[c]) == NB_CHUNK_ARMED;
		int level =
			nb_tier_level_cold(&tg->tier, chunk_of(b, c), armed);

		if (level >= 0)
			visit(b, c, level);
	}
}

/* All chunks that might go. */
static void for_each_chunk(int nr_vmas, visitor *visit)
{
	for (int i = 0; i < nr_vmas; i++) {
		const struct nb_vma *v = &tg->vmas[i];
		uint64_t start = v->start, end = v->end;
		struct nb_block *b;

		if (v->flags & NB_VMA_LOCKED)
			continue;
		nb_for_each_block(b, start, end) visit_block(b, v, visit);
	}
}

static void ask(void)
{
	if (!tg->nr)
		return;
	if (nb_page_nids(&nb.migrate, tg->addrs, tg->nids, tg->nr))
		memset(tg->nids, 0xff, sizeof(tg->nids));
	for (unsigned int i = 0; i < tg->nr; i++)
		tg->chunks[i]->nid1 =
			(uint8_t)(nb_node_valid(tg->nids[i]) ? tg->nids[i] + 1
							     : NOWHERE1);
}

/* Where is a chunk that no fault has told of yet? */
static void learn(struct nb_block *b, unsigned int c, int level)
{
	(void)level;
	if (chunk_of(b, c)->nid1)
		return;
	tg->chunks[tg->nr] = chunk_of(b, c);
	tg->addrs[tg->nr++] = nb_chunk_start(b, c);
	if (tg->nr < MAX_BATCH)
		return;
	ask();
	tg->nr = 0;
}

static void count(struct nb_block *b, unsigned int c, int level)
{
	nb_tier_have(&tg->tier, chunk_of(b, c)->nid1 - 1, level,
		     nb_chunk_bytes(b));
}

/* The kernel may have moved it since: only what is where we think goes. */
static void check_places(void)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < tg->nr; i++) {
		tg->addrs[i] = tg->moves[i].start;
		tg->moves[i].tag = tg->chunks[i]->nid1;
	}
	ask();
	for (unsigned int i = 0; i < tg->nr; i++) {
		if (tg->chunks[i]->nid1 != tg->moves[i].tag)
			continue;
		tg->moves[left] = tg->moves[i];
		tg->chunks[left++] = tg->chunks[i];
	}
	tg->nr = left;
}

/* Move the batch; which may be a mix of both directions. */
static void run_batch(void)
{
	for (unsigned int i = 0; i < tg->nr; i++)
		tg->moves[i].tag = i;
	if (tg->nr)
		nb_run_moves(tg->moves, tg->nr);
	for (unsigned int i = 0; i < tg->nr; i++) {
		const struct nb_page_move *mv = &tg->moves[i];

		atomic_fetch_add_explicit(&nb.why_count[mv->why], 1,
					  memory_order_relaxed);
		note_move(tg->chunks[mv->tag], mv);
	}
	tg->nr = 0;
}

static void demote(struct nb_block *b, unsigned int c, int level)
{
	int to = nb_tier_demote(&tg->tier, chunk_of(b, c)->nid1 - 1, level,
				nb_chunk_bytes(b));

	if (to == NB_NO_NODE)
		return;
	tg->chunks[tg->nr] = chunk_of(b, c);
	tg->moves[tg->nr++] = (struct nb_page_move){
		.start = nb_chunk_start(b, c),
		.end = nb_chunk_start(b, c) + nb_chunk_bytes(b),
		.dst_nid = (int16_t)to,
		.why = NB_WHY_PAGE_DEMOTED,
	};
	if (tg->nr < MAX_BATCH)
		return;
	check_places();
	run_batch();
}

static void count_waiting(void)
{
	for (unsigned int i = 0; i < tg->nr_waiting; i++) {
		const struct nb_page_move *mv = &tg->waiting[i].move;
		int level = nb_tier_level_hot(tg->waiting[i].chunk);

		if (level >= 0)
			nb_tier_want(&tg->tier, mv->dst_nid, level,
				     mv->end - mv->start);
	}
}

static void admit_waiting(void)
{
	for (unsigned int i = 0; i < tg->nr_waiting; i++) {
		const struct nb_page_move *mv = &tg->waiting[i].move;
		struct nb_tier_chunk *c = tg->waiting[i].chunk;
		int level = nb_tier_level_hot(c);

		if (level < 0 || !nb_tier_admit(&tg->tier, mv->dst_nid, level,
						mv->end - mv->start))
			continue;
		tg->chunks[tg->nr] = c;
		tg->moves[tg->nr++] = *mv;
		if (tg->nr == MAX_BATCH)
			run_batch();
	}
	run_batch();
	tg->nr_waiting = 0;
}

/**
 * nb_tiering_run() - make room, and let in what waits
 * @now_ns: the time.
 *
 * Context: numabald, after the faults of a pass.
 */
void nb_tiering_run(uint64_t now_ns)
{
	uint64_t cpu_ns;
	int nr_vmas;

	if (!tg || now_ns < tg->next_ns ||
	    (!tg->nr_waiting && tg->scan_seq == nb.scan.scan_seq))
		return;
	tg->next_ns = now_ns + ROUND_NS;
	tg->scan_seq = nb.scan.scan_seq;
	if (!may_run()) {
		tg->nr_waiting = 0;
		return;
	}
	look_at_nodes(now_ns);
	nr_vmas = snapshot();
	tg->nr = 0;
	for_each_chunk(nr_vmas, learn);
	ask();
	tg->nr = 0;
	nb_tier_plan_begin(&tg->tier);
	cpu_ns = nb_thread_cpu_ns();
	for_each_chunk(nr_vmas, count);
	count_waiting();
	cpu_ns = nb_thread_cpu_ns() - cpu_ns;
	tg->next_ns = now_ns + nb_max(ROUND_NS, cpu_ns * ROUND_COST_FACTOR);
	if (nb_tier_plan(&tg->tier,
			 nb_rate_limit_take(&tg->rate, UINT64_MAX, now_ns))) {
		for_each_chunk(nr_vmas, demote);
		check_places();
		run_batch();
		look_at_nodes(now_ns);
	}
	admit_waiting();
}
