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
 * 4. nr_armed counts a chunk from before ARMING to after NONE.
 */
#include "arm.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

#define ACCESS (PROT_READ | PROT_WRITE)

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
			atomic_fetch_sub(&b->nr_armed, nr);
		start = stop;
	}
}

/**
 * nb_arm_flush() - arm what nb_arm_add() has gathered
 * @batch: the run of chunks; empty afterwards.
 *
 * Context: numabald, with the as lock held since the first nb_arm_add().
 * Return: 0, or -errno of mprotect(2).
 */
int nb_arm_flush(struct nb_arm_batch *batch)
{
	const struct nb_sys *sys = batch->sys;
	uint64_t start = batch->start, len = batch->end - batch->start;
	long err;

	if (!len)
		return 0;
	batch->start = batch->end;
	err = sys->mprotect(start, len, PROT_NONE);
	if (!err) {
		mark_run(start, start + len, NB_CHUNK_ARMED);
		return 0;
	}
	/* A part may have been changed before it failed. */
	if (sys->mprotect(start, len, ACCESS))
		/* Perhaps not accessible: then a fault gives it back. */
		mark_run(start, start + len, NB_CHUNK_ARMED);
	else
		mark_run(start, start + len, NB_CHUNK_NONE);
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
		atomic_fetch_add(&b->nr_armed, 1);
		if (!move_state(b, i, NB_CHUNK_NONE, NB_CHUNK_ARMING)) {
			atomic_fetch_sub(&b->nr_armed, 1);
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
	long err = sys->mprotect(nb_chunk_start(b, first),
				 (uint64_t)(end - first) << b->chunk_shift,
				 ACCESS);

	for (; first < end; first++) {
		/* Not if nb_forget_range() was faster. */
		if (move_state(b, first, NB_CHUNK_BUSY,
			       err ? NB_CHUNK_ARMED : NB_CHUNK_NONE) &&
		    !err)
			atomic_fetch_sub(&b->nr_armed, 1);
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
 * back all armed chunks around needs none, so that is tried next.
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
		if (!give_back(sys, b, i, i + 1))
			return NB_DISARM_DONE;
		if (!move_state(b, i, NB_CHUNK_ARMED, NB_CHUNK_BUSY))
			return NB_DISARM_RACE;
		claim_neighbours(b, i, &first, &end);
		if (!give_back(sys, b, first, end))
			return NB_DISARM_DONE;
		return NB_DISARM_FAILED;
	}
	state = atomic_load_explicit(&b->state[i], memory_order_acquire);
	if (state == NB_CHUNK_NONE || state == NB_CHUNK_EXCLUDED)
		return NB_DISARM_NOT;
	return NB_DISARM_RACE;
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

/* The chunks of @b that overlap [start, end). */
static void part_of(const struct nb_block *b, uint64_t start, uint64_t end,
		    unsigned int *first, unsigned int *last)
{
	uint64_t block_end = b->start + NB_BLOCK_BYTES;

	*first = start > b->start ? nb_chunk_index(b, start) : 0;
	*last = end < block_end ? nb_chunk_index(b, end - 1) + 1 : b->nr_chunks;
}

#define for_each_block(b, start, end)                                          \
	for ((b) = nb_block_next((start), (end)); (b);                         \
	     (b) = nb_block_next((b)->start + NB_BLOCK_BYTES, (end)))

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

	for_each_block(b, start, end)
	{
		int e;

		if (!atomic_load(&b->nr_armed))
			continue;
		part_of(b, start, end, &first, &last);
		e = disarm_part(sys, b, first, last);
		err = e ? e : err;
	}
	return err;
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

	for_each_block(b, start, end)
	{
		part_of(b, start, end, &first, &last);
		for (; first < last; first++) {
			uint8_t old;

			b->data[first] = 0;
			do {
				old = atomic_load(&b->state[first]);
			} while (
				old != NB_CHUNK_NONE &&
				(old != NB_CHUNK_EXCLUDED || forget_excluded) &&
				!move_state(b, first, old, NB_CHUNK_NONE));
			if (old != NB_CHUNK_NONE && old != NB_CHUNK_EXCLUDED)
				atomic_fetch_sub(&b->nr_armed, 1);
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
		part_of(b, start, end, &first, &last);
		for (; first < last; first++)
			move_state(b, first, NB_CHUNK_NONE, NB_CHUNK_EXCLUDED);
	}
	return err;
}

/**
 * nb_range_excluded() - has all of a range been excluded already?
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread.
 * Return: true if so.
 */
bool nb_range_excluded(uint64_t start, uint64_t end)
{
	uint64_t addr = nb_align_down(start, NB_BLOCK_BYTES);
	unsigned int first, last;

	for (; addr < end; addr += NB_BLOCK_BYTES) {
		struct nb_block *b = nb_block_find(addr);

		if (!b)
			return false;
		part_of(b, start, end, &first, &last);
		for (; first < last; first++)
			if (atomic_load(&b->state[first]) != NB_CHUNK_EXCLUDED)
				return false;
	}
	return true;
}

/**
 * nb_range_armed() - is any chunk of a range not accessible?
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread.
 * Return: true if so.
 */
bool nb_range_armed(uint64_t start, uint64_t end)
{
	struct nb_block *b;

	for_each_block(b, start, end)
	{
		if (atomic_load(&b->nr_armed))
			return true;
	}
	return false;
}
