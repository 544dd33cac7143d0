/* SPDX-License-Identifier: MIT */
/*
 * Arming: PROT_NONE on, by numabald; read and write access back, by whoever
 * needs it first.
 *
 * Only memory that the region table holds as plain read-write private
 * anonymous memory is ever passed here, so giving back always means
 * PROT_READ | PROT_WRITE.
 *
 * Invariants:
 * 1. Between nb_arm_add() and the end of nb_arm_flush() a chunk is ARMING:
 *    nobody else touches its protection, a fault waits.
 * 2. A chunk is marked NONE only after mprotect(2) gave the access back.
 * 3. After nb_disarm_range() no chunk of the range is armed, and no
 *    mprotect(2) of another thread on it is under way.
 * 4. nr_armed and nb_nr_armed count a chunk from before ARMING to after NONE.
 * 5. A chunk that a published range of a call in flight overlaps is not armed:
 *    nb_arm_flush() looks for ranges after the marks and a barrier in every
 *    thread, nb_disarm_for_call() for marks after its thread has published.
 * 6. nb_map_room is what is left of the mappings that we may add, at least:
 *    numabald counts them and sets it anew.
 * 7. Who holds a chunk BUSY has its signals blocked: a handler of its own
 *    would wait for it for ever.
 */
#include "arm.h"

#include "../base/mutant.h"
#include "../plat/lock.h"
#include "protect.h"
#include "slot.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* Tries before a waiting thread sleeps instead of yielding. */
#define YIELDS_MAX 16

static bool no_barrier; /* (I) after start: see nb_arm_without_barrier() */
_Atomic uint64_t nb_nr_armed;
_Atomic int64_t nb_map_room = INT64_MAX / 2;

/* Each change of a protection may cut a mapping into three. */
static void take_room(void)
{
	atomic_fetch_sub_explicit(&nb_map_room, 2, memory_order_relaxed);
}

static bool has_room(void)
{
	return atomic_load_explicit(&nb_map_room, memory_order_relaxed) > 0;
}

static void count_armed(struct nb_block *b, unsigned int nr)
{
	atomic_fetch_add(&nb_nr_armed, nr);
	atomic_fetch_add(&b->nr_armed, nr);
}

static void uncount_armed(struct nb_block *b, unsigned int nr)
{
	atomic_fetch_sub(&b->nr_armed, nr);
	atomic_fetch_sub(&nb_nr_armed, nr);
}

static bool move_state(struct nb_block *b, unsigned int i,
		       enum nb_chunk_state from, enum nb_chunk_state to)
{
	uint8_t old = (uint8_t)from;

	return atomic_compare_exchange_strong(&b->state[i], &old, (uint8_t)to);
}

static void set_run(struct nb_block *b, unsigned int i, unsigned int end,
		    enum nb_chunk_state to)
{
	/* release: pairs with the acquires of who waits for us */
	for (; i < end; i++)
		atomic_store_explicit(&b->state[i], (uint8_t)to,
				      memory_order_release);
}

/* What nb_arm_flush() found out about its run. */
static void mark_run(uint64_t start, uint64_t end, enum nb_chunk_state to)
{
	while (start < end) {
		struct nb_block *b = nb_block_find(start);
		uint64_t stop = nb_min(end, b->start + NB_BLOCK_BYTES);
		unsigned int first = nb_chunk_index(b, start);
		unsigned int nr =
			(unsigned int)((stop - start) >> b->chunk_shift);

		set_run(b, first, first + nr, to);
		if (to == NB_CHUNK_NONE)
			uncount_armed(b, nr);
		start = stop;
	}
}

static long arm_run(const struct nb_sys *sys, uint64_t start, uint64_t end)
{
	uint64_t len = end - start;
	long err = nb_protect_shut(sys, start, len);

	take_room();
	if (!err) {
		mark_run(start, end, NB_CHUNK_ARMED);
		return 0;
	}
	/* A part may have been changed before it failed. */
	if (nb_protect_open(sys, start, len))
		/* Perhaps not accessible: then a fault gives it back. */
		mark_run(start, end, NB_CHUNK_ARMED);
	else
		mark_run(start, end, NB_CHUNK_NONE);
	return err;
}

/* Slots whose calls overlap a run; more of them are all looked at. */
#define BUSY_MAX 64

static bool touched(const uint16_t *busy, int nr, uint64_t start, uint64_t end)
{
	if (nr > BUSY_MAX)
		return nb_slots_may_touch(start, end);
	for (int i = 0; i < nr; i++)
		if (nb_slot_touches(nb_slot_at(busy[i]), start, end))
			return true;
	return false;
}

/* Arm a run without the chunks that calls in flight may touch. */
static long arm_around(const struct nb_sys *sys, uint64_t start, uint64_t end)
{
	static uint16_t busy[BUSY_MAX]; /* under the as lock */
	int nr = nb_slots_touching(start, end, busy, BUSY_MAX);
	uint64_t from = start, next;
	long err = 0;

	for (uint64_t a = start; a < end && !err; a = next) {
		next = a + nb_chunk_bytes(nb_block_find(a));
		if (!touched(busy, nr, a, next))
			continue;
		mark_run(a, next, NB_CHUNK_NONE);
		if (from < a)
			err = arm_run(sys, from, a);
		from = next;
	}
	if (err)
		mark_run(from, end, NB_CHUNK_NONE);
	else if (from < end)
		err = arm_run(sys, from, end);
	return err;
}

/**
 * nb_arm_without_barrier() - are there calls that publish what they touch?
 * @yes: no; what else is published comes with a barrier of its own.
 *
 * Context: start only.
 */
void nb_arm_without_barrier(bool yes)
{
	no_barrier = yes;
}

/**
 * nb_arm_flush() - arm what nb_arm_add() has gathered
 * @batch: the run of chunks; empty afterwards.
 *
 * Chunks that a call in flight may touch are left out; all of them are while
 * a call that may touch anything is.
 *
 * Context: numabald, with the as lock held since the first nb_arm_add().
 * Return: 0, -EPERM if there is no membarrier(2) and so nothing was armed, or
 * -errno of mprotect(2).
 */
int nb_arm_flush(struct nb_arm_batch *batch)
{
	uint64_t start = batch->start, end = batch->end;
	long err;

	batch->start = end;
	if (start == end)
		return 0;
	err = 0;
	if (!no_barrier && !NB_NO_MEMBARRIER && batch->sys->membarrier())
		err = -EPERM;
	if (err || nb_slots_may_touch(0, 0))
		mark_run(start, end, NB_CHUNK_NONE);
	else if (nb_slots_may_touch(start, end))
		err = arm_around(batch->sys, start, end);
	else
		err = arm_run(batch->sys, start, end);
	return (int)err;
}

/**
 * nb_arm_add() - add chunks of a block to a batch
 * @batch: the batch; neighbours become one mprotect(2), over block ends too,
 *	up to its max_bytes.
 * @b: the block.
 * @eligible: a bit per chunk: may it be armed?
 * @nr_armed: out: chunks of the block that were taken.
 *
 * Chunks that are armed, excluded or being given back stay as they are.  Those
 * taken are ARMING until nb_arm_flush().
 *
 * Context: numabald, with the as lock held.
 * Return: 0, or -errno of mprotect(2) on what was gathered before.
 */
int nb_arm_add(struct nb_arm_batch *batch, struct nb_block *b,
	       const uint64_t *eligible, unsigned int *nr_armed)
{
	*nr_armed = 0;
	for (unsigned int i = 0; i < b->nr_chunks; i++) {
		uint64_t start = nb_chunk_start(b, i);
		int err;

		if (!(eligible[i / 64] >> i % 64 & 1))
			continue;
		if (batch->end != start ||
		    batch->end - batch->start >= batch->max_bytes) {
			err = nb_arm_flush(batch);
			if (err)
				return err;
			batch->start = start;
			batch->end = start;
		}
		count_armed(b, 1);
		if (!move_state(b, i, NB_CHUNK_NONE, NB_CHUNK_ARMING)) {
			uncount_armed(b, 1);
			continue;
		}
		batch->end = start + nb_chunk_bytes(b);
		++*nr_armed;
	}
	return 0;
}

/**
 * nb_arm_block() - arm some chunks of one block
 * @sys: system calls.
 * @b: the block.
 * @eligible: a bit per chunk: may it be armed?
 * @nr_armed: out: chunks that were armed now.
 *
 * Context: numabald, with the as lock held.
 * Return: 0, or -errno of mprotect(2).
 */
int nb_arm_block(const struct nb_sys *sys, struct nb_block *b,
		 const uint64_t *eligible, unsigned int *nr_armed)
{
	struct nb_arm_batch batch = {.sys = sys, .max_bytes = NB_BLOCK_BYTES};
	int err = nb_arm_add(&batch, b, eligible, nr_armed);

	return err ? err : nb_arm_flush(&batch);
}

/* The armed chunks before and after chunk @i, in its block, become BUSY. */
static void claim_neighbours(struct nb_block *b, unsigned int i,
			     unsigned int *first, unsigned int *end)
{
	*first = i;
	*end = i + 1;
	while (*first > 0 &&
	       move_state(b, *first - 1, NB_CHUNK_ARMED, NB_CHUNK_BUSY))
		--*first;
	while (*end < b->nr_chunks &&
	       move_state(b, *end, NB_CHUNK_ARMED, NB_CHUNK_BUSY))
		++*end;
}

static long give_back(const struct nb_sys *sys, struct nb_block *b,
		      unsigned int first, unsigned int end)
{
	long err = nb_protect_open(sys, nb_chunk_start(b, first),
				   (uint64_t)(end - first) << b->chunk_shift);

	take_room();
	for (; first < end; first++) {
		/* Not if nb_forget_range() was faster. */
		if (move_state(b, first, NB_CHUNK_BUSY,
			       err ? NB_CHUNK_ARMED : NB_CHUNK_NONE) &&
		    !err)
			uncount_armed(b, 1);
	}
	return err;
}

/**
 * nb_disarm_chunk() - give one chunk back to a thread that needs it
 * @sys: system calls.
 * @b: the block.
 * @i: the chunk.
 *
 * When the kernel has no room for another mapping (max_map_count), giving
 * back all armed chunks around needs none, so that is tried next; it is tried
 * at once when our share of that room has been used up.
 *
 * Context: any thread, signal handler.
 * Return: see enum nb_disarm.
 */
enum nb_disarm nb_disarm_chunk(const struct nb_sys *sys, struct nb_block *b,
			       unsigned int i)
{
	unsigned int first, end;
	uint8_t state;

	if (move_state(b, i, NB_CHUNK_ARMED, NB_CHUNK_BUSY)) {
		first = i;
		end = i + 1;
		if (nb_unlikely(!has_room()))
			claim_neighbours(b, i, &first, &end);
		if (!give_back(sys, b, first, end))
			return NB_DISARM_DONE;
		if (!move_state(b, i, NB_CHUNK_ARMED, NB_CHUNK_BUSY))
			return NB_DISARM_RACE;
		claim_neighbours(b, i, &first, &end);
		if (!give_back(sys, b, first, end))
			return NB_DISARM_DONE;
		return NB_DISARM_FAILED;
	}
	state = atomic_load_explicit(&b->state[i], memory_order_acquire);
	return nb_chunk_open(state) ? NB_DISARM_NOT : NB_DISARM_RACE;
}

static void wait_a_little(void)
{
	struct timespec ts = {0, 20000};

	/* Sleep, not yield: the other side may have a lower priority. */
	nb_syscall6(SYS_nanosleep, (long)&ts, 0, 0, 0, 0, 0);
}

/* Give back [i, end) of a block; waits for others that are at it. */
static int disarm_part(const struct nb_sys *sys, struct nb_block *b,
		       unsigned int i, unsigned int end)
{
	int err = 0;

	while (i < end) {
		unsigned int run = i;
		uint8_t state;

		while (run < end &&
		       move_state(b, run, NB_CHUNK_ARMED, NB_CHUNK_BUSY))
			run++;
		if (run > i) {
			long e = give_back(sys, b, i, run);

			err = e ? (int)e : err;
			i = run;
			continue;
		}
		state = atomic_load_explicit(&b->state[i],
					     memory_order_acquire);
		if (state == NB_CHUNK_BUSY)
			wait_a_little();
		else if (state != NB_CHUNK_ARMED)
			i++;
	}
	return err;
}

/**
 * nb_disarm_range() - give back every armed chunk that overlaps a range
 * @sys: system calls.
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread with the as lock held; not the handler.
 * Return: 0, or the last -errno of mprotect(2), with the chunks concerned
 * still armed.
 */
int nb_disarm_range(const struct nb_sys *sys, uint64_t start, uint64_t end)
{
	unsigned int first, last;
	struct nb_block *b;
	int err = 0;

	/* Counted before and until after: invariant 4. */
	if (!atomic_load(&nb_nr_armed))
		return 0;
	nb_for_each_block(b, start, end)
	{
		int e;

		if (!atomic_load(&b->nr_armed))
			continue;
		nb_block_part(b, start, end, &first, &last);
		e = disarm_part(sys, b, first, last);
		err = e ? e : err;
	}
	return err;
}

/* The first chunk of [i, end) that is not surely accessible, or @end. */
static unsigned int next_shut(const struct nb_block *b, unsigned int i,
			      unsigned int end)
{
	/* acquire: pairs with the release in set_run() */
	while (i < end && nb_chunk_open(atomic_load_explicit(
				  &b->state[i], memory_order_acquire)))
		i++;
	return i;
}

/* The armed chunks from @i on are given back; how many, 0 if @i is at work. */
static int open_run(const struct nb_sys *sys, struct nb_block *b,
		    unsigned int i, unsigned int end)
{
	enum nb_disarm st = NB_DISARM_DONE;
	struct nb_sigstate ss;
	unsigned int run = i;

	if (atomic_load(&b->state[i]) != NB_CHUNK_ARMED)
		return 0;
	nb_signals_block(&ss);
	while (run < end && move_state(b, run, NB_CHUNK_ARMED, NB_CHUNK_BUSY))
		run++;
	/* Refused as one: piece by piece, with what is around them. */
	if (run > i && give_back(sys, b, i, run))
		for (unsigned int k = i; k < run && st != NB_DISARM_FAILED; k++)
			st = nb_disarm_chunk(sys, b, k);
	nb_signals_restore(&ss);
	return st == NB_DISARM_FAILED ? -ENOMEM : (int)(run - i);
}

/* Give back what is armed of [i, end); the number, or -errno. */
static int open_part(const struct nb_sys *sys, struct nb_block *b,
		     unsigned int i, unsigned int end)
{
	unsigned int tries = 0;
	int nr = 0;

	while ((i = next_shut(b, i, end)) < end) {
		int n = open_run(sys, b, i, end);

		if (n < 0)
			return n;
		nr += n;
		if (!n && ++tries <= YIELDS_MAX)
			nb_sys_sched_yield();
		else if (!n)
			wait_a_little();
	}
	return nr;
}

/**
 * nb_disarm_for_call() - give back what a call in flight will touch
 * @sys: system calls.
 * @start: first byte.
 * @end: one past the last.
 *
 * The range has been published: what is accessible now stays so.
 *
 * Context: any thread of the program, signal handler; without a lock.
 * Return: how many chunks were given back, or -errno of mprotect(2).
 */
int nb_disarm_for_call(const struct nb_sys *sys, uint64_t start, uint64_t end)
{
	unsigned int first, last;
	struct nb_block *b;
	int nr = 0;

	if (nb_likely(!atomic_load(&nb_nr_armed)))
		return 0;
	nb_for_each_block(b, start, end)
	{
		int n;

		if (!atomic_load(&b->nr_armed))
			continue;
		nb_block_part(b, start, end, &first, &last);
		n = open_part(sys, b, first, last);
		if (n < 0)
			return n;
		nr += n;
	}
	return nr;
}

/* False: numabald has taken it up again. */
static bool exclude(struct nb_block *b, unsigned int i)
{
	uint8_t old;

	do {
		old = atomic_load(&b->state[i]);
	} while (nb_chunk_open(old) &&
		 !move_state(b, i, old, NB_CHUNK_EXCLUDED));
	return nb_chunk_open(old);
}

/**
 * nb_mark_excluded() - as nb_exclude_range(), for a thread in a hurry
 * @sys: system calls.
 * @start: first byte.
 * @end: one past the last.
 *
 * Only where blocks exist.  Lost where one is being replaced at this moment:
 * numabald is to be told as well.
 *
 * Context: any thread of the program, signal handler; without a lock.
 * Return: 0, or -errno of mprotect(2).
 */
int nb_mark_excluded(const struct nb_sys *sys, uint64_t start, uint64_t end)
{
	unsigned int i, last;
	struct nb_block *b;

	nb_for_each_block(b, start, end)
	{
		nb_block_part(b, start, end, &i, &last);
		while (i < last) {
			int n = open_part(sys, b, i, i + 1);

			if (n < 0)
				return n;
			if (exclude(b, i))
				i++;
		}
	}
	return 0;
}

/**
 * nb_forget_range() - nothing of a range is armed, excluded or known
 * @start: first byte.
 * @end: one past the last.
 * @forget_excluded: also what was excluded may be armed again.
 *
 * Marks only: for memory whose protection is already right, or gone.
 *
 * Context: with the as lock held; a forked child.
 */
void nb_forget_range(uint64_t start, uint64_t end, bool forget_excluded)
{
	unsigned int first, last;
	struct nb_block *b;

	nb_for_each_block(b, start, end)
	{
		nb_block_part(b, start, end, &first, &last);
		for (; first < last; first++) {
			uint8_t old;

			b->data[first] = 0;
			do {
				old = atomic_load(&b->state[first]);
			} while (
				old != NB_CHUNK_NONE &&
				(old != NB_CHUNK_EXCLUDED || forget_excluded) &&
				!move_state(b, first, old, NB_CHUNK_NONE));
			if (!nb_chunk_open(old))
				uncount_armed(b, 1);
		}
	}
}

/**
 * nb_exclude_range() - give a range back and never arm it again
 * @sys: system calls.
 * @start: first byte.
 * @end: one past the last.
 * @chunk_shift: log2 of the chunk size for blocks that do not exist yet.
 *
 * Holds until nb_forget_range() forgets it.
 *
 * Context: any thread with the as lock held; not the handler.
 * Return: 0, -ENOMEM, or -errno of mprotect(2).
 */
int nb_exclude_range(const struct nb_sys *sys, uint64_t start, uint64_t end,
		     unsigned int chunk_shift)
{
	uint64_t addr = nb_align_down(start, NB_BLOCK_BYTES);
	unsigned int first, last;
	int err = nb_disarm_range(sys, start, end);

	for (; !err && addr < end; addr += NB_BLOCK_BYTES) {
		struct nb_block *b = nb_block_get(addr, chunk_shift);

		if (!b)
			return -ENOMEM;
		nb_block_part(b, start, end, &first, &last);
		for (; first < last; first++)
			exclude(b, first);
	}
	return err;
}
