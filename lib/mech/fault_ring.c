/* SPDX-License-Identifier: MIT */
/*
 * A ring of hint faults with one writer and one reader.
 *
 * The writer is a thread inside its SIGSEGV handler; it never waits: a full
 * ring drops the record and counts it.  The reader is numabald.
 */
#include "fault_ring.h"

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/**
 * nb_fault_ring_push() - append a record
 * @r: the ring of the calling thread.
 * @f: the record, copied.
 *
 * Context: signal handler, the ring's own thread only.
 * Return: false if the ring was full and the record was dropped.
 */
bool nb_fault_ring_push(struct nb_fault_ring *r, const struct nb_hint_fault *f)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	/* acquire: pairs with the release in nb_fault_ring_pop() */
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	if (head - tail >= NB_RING_SIZE) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	r->rec[head % NB_RING_SIZE] = *f;
	/* release: the record before the index, for nb_fault_ring_pop() */
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

/**
 * nb_fault_ring_pop() - take the oldest record
 * @r: any thread's ring.
 * @f: the record.
 *
 * Context: numabald.
 * Return: false if the ring is empty.
 */
bool nb_fault_ring_pop(struct nb_fault_ring *r, struct nb_hint_fault *f)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	/* acquire: pairs with the release in nb_fault_ring_push() */
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	if (head == tail)
		return false;
	*f = r->rec[tail % NB_RING_SIZE];
	/* release: the copy before the place is reused */
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

/**
 * nb_fault_ring_fill() - how many records wait
 * @r: the ring.
 *
 * Context: any thread, signal handler.
 * Return: 0 to NB_RING_SIZE.
 */
uint32_t nb_fault_ring_fill(const struct nb_fault_ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_relaxed) -
	       atomic_load_explicit(&r->tail, memory_order_relaxed);
}
