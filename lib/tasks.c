/* SPDX-License-Identifier: MIT */
/*
 * The registry of threads: follows the slots that threads take, finds those
 * that never came by (alive before start, created inside libc), notices who
 * is gone.
 *
 * Invariants:
 * 1. struct nb_task belongs to numabald; other threads only take slots and
 *    set explicit_policy.
 * 2. id is the slot's: when it changes, the slot has another thread and all
 *    statistics start anew.
 */
#include "tasks.h"

#include "mech/affinity.h"
#include "nb.h"
#include "plat/arena.h"
#include "record.h"
#include "start_room.h"

#include <errno.h>
#include <string.h>

static struct nb_task *tasks;		      /* NB_MAX_SLOTS of them */
static uint16_t slot_of_id[2 * NB_MAX_SLOTS]; /* (D) by id, the latest */
static int nr_alive;			      /* (D) threads in the last walk */
static struct nb_ended_task ended[NB_MAX_ENDED]; /* (D) a ring */
static unsigned int nr_ended;			 /* (D) ever */

/**
 * nb_tasks_init() - get the table
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_tasks_init(void)
{
	struct nb_slot *slots;

	if (tasks)
		return 0;
	tasks = nb_arena_map(NB_MAX_SLOTS * sizeof(*tasks));
	slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));
	if (!tasks || !slots)
		return -ENOMEM;
	nb_slots_init(slots);
	return 0;
}

/**
 * nb_task_at() - the task of a slot
 *
 * Context: numabald.
 * Return: the task.
 */
struct nb_task *nb_task_at(int slot)
{
	return &tasks[slot];
}

static void remember_ended(const struct nb_task *t)
{
	struct nb_ended_task *e = &ended[nr_ended % NB_MAX_ENDED];

	nr_ended++;
	e->tid = t->tid;
	memcpy(e->comm, t->comm, sizeof(e->comm));
	e->current_nid = t->current_nid;
	e->numa_preferred_nid = (int16_t)t->nf->numa_preferred_nid;
	e->moves = t->moves;
	e->total_numa_faults = t->nf->total;
}

/**
 * nb_ended_task_at() - the i-th of the latest threads that are gone
 * @i: from 0.
 *
 * Context: numabald, or when it has stopped.
 * Return: NULL when there are no more.
 */
const struct nb_ended_task *nb_ended_task_at(unsigned int i)
{
	return i < nb_min(nr_ended, NB_MAX_ENDED + 0U) ? &ended[i] : NULL;
}

static void forget(struct nb_task *t)
{
	struct nb_numa_faults *nf = t->nf;
	struct nb_partners *partners = t->partners;

	if (t->id && nf && nf->total)
		remember_ended(t);
	t->id = 0;
	atomic_store(&t->pub_tid, 0);
	atomic_store(&t->explicit_policy, false);
	memset(&t->tid, 0,
	       offsetof(struct nb_task, pub_tid) -
		       offsetof(struct nb_task, tid));
	t->nf = nf; /* its memory serves the next thread of the slot */
	t->partners = partners;
	t->current_nid = NB_NO_NODE;
	t->group_index = -1;
	if (partners)
		memset(partners, 0, sizeof(*partners));
	if (nf)
		nb_numa_faults_init(nf, nb.topo.nr_nids);
}

/**
 * nb_task_sync() - the task of a slot, new if the slot has a new thread
 * @slot: the slot.
 *
 * Context: numabald.
 * Return: the task; its id is 0 if the slot is free.
 */
struct nb_task *nb_task_sync(int slot)
{
	struct nb_slot *s = nb_slot_at(slot);
	struct nb_task *t = &tasks[slot];
	uint32_t id = atomic_load(&s->task);
	int tid = nb_slot_tid(s);
	bool policy = atomic_load(&t->explicit_policy);

	if (!tid)
		id = 0;
	if (t->id == id)
		return t;
	if (t->id)
		nb_record_task_end(t);
	forget(t);
	t->id = id;
	t->tid = tid;
	t->group = id;
	if (!id)
		return t;
	slot_of_id[id % nb_array_size(slot_of_id)] = (uint16_t)slot;
	atomic_store(&t->explicit_policy, policy);
	nb_taskinfo_comm(tid, t->comm);
	nb_affinity_learn(slot, tid);
	nb_task_publish(t);
	nb_record_task(t);
	return t;
}

/**
 * nb_task_by_id() - the task with an id
 * @id: unique, never 0.
 *
 * Context: numabald.
 * Return: NULL if it is gone, or hidden by a much younger one.
 */
struct nb_task *nb_task_by_id(uint32_t id)
{
	struct nb_task *t = &tasks[slot_of_id[id % nb_array_size(slot_of_id)]];

	return t->id == id ? t : NULL;
}

/**
 * nb_task_publish() - let readers in other threads see a task as it is now
 * @t: the task.
 *
 * Context: numabald.
 */
void nb_task_publish(struct nb_task *t)
{
	atomic_store(&t->pub_preferred_nid,
		     t->nf ? t->nf->numa_preferred_nid : NB_NO_NODE);
	atomic_store(&t->pub_nid, t->current_nid);
	atomic_store(&t->pub_total_faults, t->nf ? t->nf->total : 0);
	atomic_store(&t->pub_tid, t->tid);
}

/**
 * nb_task_faults() - a task's fault statistics, made at first use
 * @t: the task.
 *
 * Context: numabald.
 * Return: NULL for no memory: the task then has no statistics.
 */
struct nb_numa_faults *nb_task_faults(struct nb_task *t)
{
	if (!t->nf) {
		t->nf = nb_arena_alloc(nb_numa_faults_size(nb.topo.nr_nids));
		t->partners = nb_arena_alloc(sizeof(*t->partners));
		if (t->nf)
			nb_numa_faults_init(t->nf, nb.topo.nr_nids);
	}
	return t->nf;
}

static int note_tid(pid_t tid, void *arg)
{
	int slot;

	(void)arg;
	nr_alive++;
	if (tid == atomic_load(&nb.thread_tid))
		return 0;
	slot = nb_slot_note_found(tid);
	if (slot >= 0)
		nb_task_sync(slot)->seen = true;
	return 0;
}

/**
 * nb_tasks_walk() - compare the table with the threads that exist
 *
 * Context: numabald.
 */
void nb_tasks_walk(void)
{
	int used = nb_slots_used();

	for (int i = 0; i < used; i++)
		nb_task_sync(i)->seen = false;
	nr_alive = 0;
	if (nb_for_each_tid(note_tid, NULL) < 0)
		return;
	for (int i = 0; i < used; i++) {
		struct nb_task *t = &tasks[i];

		/* A thread that came during the walk was not in @used. */
		if (!t->id || t->seen)
			continue;
		/*
		 * It may have come after the walk read past it: the kernel
		 * has the last word.
		 */
		if (nb_thread_exists(t->tid))
			continue;
		/* Or it gave its slot up itself, and another has it now. */
		if (!nb_slot_hold(i, t->tid))
			continue;
		nb_record_task_end(t);
		forget(t);
		nb_start_end(i);
		nb_affinity_forget(i);
		nb_slot_release(i);
	}
}

/**
 * nb_tasks_alive() - threads in the last walk, ours included
 *
 * Context: any thread; see hooks.h.
 * Return: how many.
 */
int nb_tasks_alive(void)
{
	return nr_alive;
}

static void sample_one(struct nb_task *t, uint64_t now_ns)
{
	struct nb_taskinfo ti;

	if (nb_taskinfo_read(t->tid, &ti)) {
		t->running = false;
		return;
	}
	t->d_ns = t->round_ns ? now_ns - t->round_ns : 0;
	t->d_run_ns = t->round_ns ? ti.run_ns - t->run_ns : 0;
	t->d_wait_ns = t->round_ns ? ti.wait_ns - t->wait_ns : 0;
	t->run_ns = ti.run_ns;
	t->wait_ns = ti.wait_ns;
	t->round_ns = now_ns;
	t->current_nid = (int16_t)nb_cpu_to_nid(&nb.topo, ti.cpu);
	/* A twentieth of a CPU: not worth a place on a node. */
	t->running = t->d_run_ns > t->d_ns / 20;
}

/**
 * nb_tasks_sample() - read every thread's run and wait time
 * @now_ns: the time.
 *
 * Context: numabald, once a placement round.
 */
void nb_tasks_sample(uint64_t now_ns)
{
	struct nb_task *t;
	int i;

	nb_for_each_task (t, i)
		sample_one(t, now_ns);
}

/**
 * nb_tasks_after_fork() - the child has one thread
 *
 * Context: child.
 */
void nb_tasks_after_fork(void)
{
	int used = nb_slots_used();

	for (int i = 0; tasks && i < used; i++)
		forget(&tasks[i]);
	nb_start_after_fork();
	nr_ended = 0;
	nb_slots_after_fork();
}

/**
 * nb_task_set_explicit_policy() - a thread chose its memory policy
 * @slot: its slot.
 * @explicit_policy: or went back to the default.
 *
 * Context: any thread.
 */
void nb_task_set_explicit_policy(int slot, bool explicit_policy)
{
	if (tasks && slot >= 0)
		atomic_store(&tasks[slot].explicit_policy, explicit_policy);
}
