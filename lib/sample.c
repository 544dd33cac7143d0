/* SPDX-License-Identifier: MIT */
/*
 * From hint faults to statistics and page moves: empties the rings, asks where
 * the pages are, decides which chunks follow their users, moves them, and
 * accounts every fault where its page is afterwards, as Linux does.
 *
 * Runs in numabald only.
 */
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/fault_ring.h"
#include "nb.h"
#include "plat/arena.h"
#include "policy/migrate_filter.h"
#include "policy/task_place.h"
#include "policy/tier.h"
#include "record.h"
#include "regions.h"
#include "tasks.h"
#include "tiering.h"

#include <errno.h>
#include <string.h>

#define MAX_SAMPLES 1024

struct sample {
	struct nb_hint_fault fault;
	struct nb_task *task;
	struct nb_block *block;
	struct nb_page_move move; /* the chunk, and where to */
	struct nb_last_user last;
	uint32_t region_flags;
	uint16_t not_movable; /* enum nb_why: whatever policy says */
	uint16_t tier_why;    /* enum nb_why: what tiering.c says, or NONE */
	uint16_t why;	      /* enum nb_why: what was decided */
	bool no_history;
	int page_nid;
	uint32_t nr_pages; /* what the fault stands for */
};

static struct sample *samples; /* MAX_SAMPLES of each */
static struct nb_page_move *moves;
static uint64_t *addrs;
static int *nids;

_Static_assert(sizeof(struct nb_page_history) == sizeof(uint64_t),
	       "a chunk has 8 bytes for its history");

/**
 * nb_samples_init() - get the batch's memory
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_samples_init(void)
{
	if (samples)
		return 0;
	samples = nb_arena_alloc(MAX_SAMPLES * sizeof(*samples));
	moves = nb_arena_alloc(MAX_SAMPLES * sizeof(*moves));
	addrs = nb_arena_alloc(MAX_SAMPLES * sizeof(*addrs));
	nids = nb_arena_alloc(MAX_SAMPLES * sizeof(*nids));
	return samples && moves && addrs && nids ? 0 : -ENOMEM;
}

static unsigned int collect(void)
{
	int used = nb_slots_used();
	unsigned int nr = 0;

	for (int i = 0; i < used && nr < MAX_SAMPLES; i++) {
		struct nb_fault_ring *ring = &nb_slot_at(i)->ring;
		struct nb_task *task = NULL;

		if (!nb_fault_ring_fill(ring))
			continue;
		task = nb_task_sync(i);
		while (nr < MAX_SAMPLES &&
		       nb_fault_ring_pop(ring, &samples[nr].fault)) {
			samples[nr].task = task;
			samples[nr].block =
				nb_block_find(samples[nr].fault.addr);
			if (samples[nr].block && task->id)
				nr++;
		}
	}
	return nr;
}

/*
 * The range that the fault stands for: its chunk, with what is left over of
 * the region before the first and after the last whole chunk.
 */
static void bound_move(struct sample *s, const struct nb_region *r)
{
	uint64_t bytes = nb_chunk_bytes(s->block);
	unsigned int i = nb_chunk_index(s->block, s->fault.addr);

	s->move.start = nb_chunk_start(s->block, i);
	s->move.end = s->move.start + bytes;
	if (!r)
		return;
	if (s->move.start < r->start + bytes)
		s->move.start = r->start;
	if (s->move.end + bytes > r->end)
		s->move.end = r->end;
}

/* Reasons that are not the statistics' but the program's or the user's. */
static enum nb_why not_movable(const struct sample *s,
			       const struct nb_region *r)
{
	/* Unmapped since: nothing to move. */
	if (!r)
		return NB_WHY_PAGE_NO_NODE;
	if (r->flags & NB_VMA_LOCKED || atomic_load(&nb.all_locked))
		return NB_WHY_PAGE_LOCKED;
	if (atomic_load(&s->task->explicit_policy))
		return NB_WHY_PAGE_POLICY;
	if (!nb.cfg.move_pages || nb.pages_off || nb.cfg.mode != NB_MODE_ON)
		return NB_WHY_PAGE_OFF;
	return NB_WHY_NONE;
}

static void look_up_regions(unsigned int nr)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	for (unsigned int i = 0; i < nr; i++) {
		const struct nb_region *r =
			nb_regions_find(samples[i].fault.addr);

		bound_move(&samples[i], r);
		samples[i].region_flags = r ? r->flags : 0;
		samples[i].move.dst_nid = NB_NO_NODE;
		samples[i].move.nr_moved = 0;
		samples[i].move.nr_failed = 0;
		samples[i].not_movable = (uint16_t)not_movable(&samples[i], r);
		addrs[i] = samples[i].fault.addr;
	}
	nb_unlock(&nb.as_lock, &ss);
}

/* Will the next placement bring the thread to its preferred node? */
static bool task_free(const struct nb_task *t)
{
	return nb_may_move_tasks() && nb_task_follows(t->place_why, t->running);
}

static struct nb_tiering_use tiering_use(const struct sample *s)
{
	return (struct nb_tiering_use){
		.block = s->block,
		.chunk = nb_chunk_index(s->block, s->fault.addr),
		.cycles = s->fault.cycles,
		.bytes = s->move.end - s->move.start,
		.may_move = !s->not_movable,
	};
}

static struct nb_page_history *history_of(const struct sample *s)
{
	unsigned int c = nb_chunk_index(s->block, s->fault.addr);

	return (struct nb_page_history *)&s->block->data[c];
}

/* Two threads take turns with a chunk: both remember it. */
static void note_partners(const struct sample *s)
{
	struct nb_task *other;

	if (!s->last.shared || s->last.same_task)
		return;
	other = nb_task_by_id(s->last.task);
	if (s->task->partners)
		nb_partners_note(s->task->partners, s->last.task);
	if (other && other->partners)
		nb_partners_note(other->partners, s->task->id);
}

static enum nb_why decide(struct sample *s, uint64_t now_ns)
{
	struct nb_numa_faults *nf = nb_task_faults(s->task);
	struct nb_tiering_use u = tiering_use(s);
	struct nb_migrate_query q = {
		.page_nid = s->page_nid,
		.cpu_nid = s->fault.nid,
		.last = s->last,
		.numa_preferred_nid = nf ? nf->numa_preferred_nid : NB_NO_NODE,
		.task_free = task_free(s->task),
		.task_scan_seq = nf ? nf->numa_scan_seq : 0,
		.nodes = nb.cfg.nodes,
		.group = nb_place_group(s->task->group_index),
		.dice = nb_chunk_dice(nb_chunk_start(s->block, u.chunk)),
	};
	uint64_t bytes = u.bytes, granted;
	int dst_nid = s->fault.nid;
	enum nb_why why;

	s->tier_why = NB_WHY_NONE;
	if (s->not_movable == NB_WHY_PAGE_NO_NODE)
		return NB_WHY_PAGE_NO_NODE;
	why = nb_tiering_filter(&u, &q, &dst_nid);
	s->tier_why = (uint16_t)why;
	if (why == NB_WHY_NONE)
		why = nb_migrate_filter(&q, &nb.topo);
	if (!nb_why_is_yes(why))
		return why;
	if (s->not_movable)
		return s->not_movable;
	/* What the bucket holds at least is a block. */
	bytes = nb_min(bytes, NB_BLOCK_BYTES);
	granted = nb_rate_limit_take(&nb.rate, bytes, now_ns);
	if (granted < bytes) {
		nb.rate.tokens += granted;
		return NB_WHY_PAGE_RATE_LIMIT;
	}
	s->move.dst_nid = (int16_t)dst_nid;
	return nb_tiering_admit(&u, &s->move, why);
}

static unsigned int decide_all(unsigned int nr, uint64_t now_ns)
{
	unsigned int nr_moves = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct sample *s = &samples[i];
		struct nb_page_history *h = history_of(s);

		s->page_nid = nids[i] >= 0 ? nids[i] : NB_NO_NODE;
		s->nr_pages =
			(uint32_t)(nb_chunk_bytes(s->block) / nb.page_bytes);
		if (s->fault.flags & NB_HF_KEEP)
			atomic_fetch_add(&nb.why_count[NB_WHY_PAGE_LATENCY], 1);
		s->no_history = !h->last_task;
		s->last = nb_page_history_note(h, s->task->id, s->fault.nid);
		note_partners(s);
		s->why = (uint16_t)decide(s, now_ns);
		s->move.why = s->why;
		atomic_fetch_add_explicit(&nb.why_count[s->why], 1,
					  memory_order_relaxed);
		if (!nb_why_is_yes(s->why))
			continue;
		s->move.tag = i;
		moves[nr_moves++] = s->move;
	}
	return nr_moves;
}

/**
 * nb_run_moves() - move pages, and book what it costs
 * @mv: where to; results are filled in, and they are sorted.
 * @nr: how many, not 0.
 *
 * Context: numabald.
 */
void nb_run_moves(struct nb_page_move *mv, unsigned int nr)
{
	uint64_t cpu_ns = nb_thread_cpu_ns();
	int err = nb_migrate_run(&nb.migrate, mv, nr);

	if (err == -EPERM || err == -ENOSYS || err == -EACCES) {
		nb.pages_off = true;
		nb_log(NB_LOG_WARN,
		       "move_pages is refused (error %d): pages stay where "
		       "they are, only threads are moved",
		       -err);
	}
	for (unsigned int i = 0; i < nr; i++) {
		nb_count(numa_pages_migrated, mv[i].nr_moved);
		nb_count(numa_pages_migrate_fail, mv[i].nr_failed);
		nb.pass.moved += mv[i].nr_moved;
	}
	cpu_ns = nb_thread_cpu_ns() - cpu_ns;
	atomic_fetch_add(&nb.migrate_ns, cpu_ns);
	/* Placing all memory once is what the program came for. */
	if (nb.migrate.nr_moved <= nb.rss_bytes / nb.page_bytes)
		nb.placing_ns += cpu_ns;
}

static void run_moves(unsigned int nr_moves)
{
	if (!nr_moves)
		return;
	nb_run_moves(moves, nr_moves);
	for (unsigned int i = 0; i < nr_moves; i++) {
		struct sample *s = &samples[moves[i].tag];

		s->move.nr_moved = moves[i].nr_moved;
		s->move.nr_failed = moves[i].nr_failed;
		s->move.why = moves[i].why;
		if (moves[i].nr_moved)
			nb_page_history_moved(history_of(s));
		nb_tiering_moved(s->block,
				 nb_chunk_index(s->block, s->fault.addr),
				 &s->move);
	}
}

static void account(const struct sample *s)
{
	struct nb_numa_faults *nf = nb_task_faults(s->task);
	struct nb_fault_sample fs = {
		.mem_nid = s->page_nid,
		.cpu_nid = s->fault.nid,
		.nr_pages = s->nr_pages,
		.priv = nb_last_user_owns(&s->last),
	};
	bool wanted = s->move.dst_nid != NB_NO_NODE;

	/* Where the page is now, as Linux counts it. */
	if (wanted && s->move.nr_moved)
		fs.mem_nid = s->move.dst_nid;
	fs.migrate_fail = (wanted && s->move.nr_failed > s->move.nr_moved) ||
			  s->move.why == NB_WHY_PAGE_LOCKED;
	fs.local = fs.mem_nid == fs.cpu_nid;
	nb_count(numa_hint_faults, 1);
	if (s->page_nid != NB_NO_NODE && s->page_nid == s->fault.nid)
		nb_count(numa_hint_faults_local, 1);
	if (s->page_nid == NB_NO_NODE)
		return;
	nb.pass.faults++;
	if (s->page_nid == s->fault.nid || nb_tier_in_place(s->why))
		nb.pass.local += s->nr_pages;
	else
		nb.pass.remote += s->nr_pages;
	if (fs.migrate_fail)
		nb.pass.failed += s->nr_pages;
	if (fs.priv)
		nb.pass.priv += s->nr_pages;
	else
		nb.pass.shared += s->nr_pages;
	/* Linux: task_numa_fault(), of slow memory in tiering mode */
	if (nb_tier_in_place(s->why) || s->why == NB_WHY_PAGE_WAITS)
		return;
	if (nf)
		nb_numa_faults_account(nf, &fs);
}

static void record_all(unsigned int nr, uint64_t now_ns)
{
	if (!nb_record_on())
		return;
	nb_record_batch(now_ns, nr);
	for (unsigned int i = 0; i < nr; i++) {
		const struct sample *s = &samples[i];

		nb_record_sample(&(struct nb_record_sample){
			.fault = &s->fault,
			.move = &s->move,
			.task = s->task,
			.chunk_shift = s->block->chunk_shift,
			.region_flags = s->region_flags,
			.page_nid = s->page_nid,
			.no_history = s->no_history,
			.not_movable = s->not_movable,
			.tier_why = s->tier_why,
			.why = s->why,
		});
	}
}

/**
 * nb_fault_drain() - take, decide on and account all waiting hint faults
 *
 * Context: numabald.
 * Return: how many there were.
 */
unsigned int nb_fault_drain(void)
{
	unsigned int total = 0, nr;
	uint64_t now_ns;

	do {
		nr = collect();
		if (!nr)
			break;
		look_up_regions(nr);
		if (nb_page_nids(&nb.migrate, addrs, nids, nr))
			for (unsigned int i = 0; i < nr; i++)
				nids[i] = -ENOENT;
		now_ns = nb_clock_ns();
		run_moves(decide_all(nr, now_ns));
		for (unsigned int i = 0; i < nr; i++)
			account(&samples[i]);
		record_all(nr, now_ns);
		total += nr;
	} while (nr == MAX_SAMPLES);
	return total;
}
