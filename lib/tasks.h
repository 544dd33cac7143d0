/* SPDX-License-Identifier: MIT */
/*
 * The process's threads, as numabald knows them: one struct nb_task for each
 * slot of mech/slot.h.
 */
#ifndef NB_TASKS_H
#define NB_TASKS_H

#include "mech/slot.h"
#include "plat/taskinfo.h"
#include "policy/numa_group.h"
#include "policy/task_place.h"

struct nb_task {
	uint32_t id;		  /* (D) unique; 0: the slot is not in use */
	int32_t tid;		  /* (D) */
	char comm[NB_COMM_LEN];	  /* (D) */
	bool seen;		  /* (D) by the walk under way */
	bool running;		  /* (D) used a CPU lately */
	int16_t current_nid;	  /* (D) */
	uint16_t place_why;	  /* (D) enum nb_why of the last round */
	uint32_t hold;		  /* (D) rounds until it may be pinned */
	uint32_t moves;		  /* (D) times that we re-pinned it */
	uint64_t run_ns, wait_ns; /* (D) schedstat at the last round */
	uint64_t round_ns;	  /* (D) time of the last round */
	uint64_t d_run_ns, d_wait_ns, d_ns; /* (D) since the round before */
	struct nb_task_view view;	    /* (D) as the last round saw it */
	struct nb_numa_faults *nf;	    /* (D) made at the first fault */
	struct nb_partners *partners;	    /* (D) made with it */
	uint32_t group;	     /* (D) name of its numa_group, or its id */
	int32_t group_index; /* (D) see nb_place_group() */
	/* For readers in other threads: what numabald last knew. (A) */
	_Atomic int32_t pub_tid;
	_Atomic int32_t pub_preferred_nid;
	_Atomic int32_t pub_nid;
	_Atomic uint64_t pub_total_faults;
	/* (A) set_mempolicy(2) other than default */
	_Atomic bool explicit_policy;
};

/* A thread that is gone, for the statistics at exit. */
struct nb_ended_task {
	int32_t tid;
	char comm[NB_COMM_LEN];
	int16_t current_nid;
	int16_t numa_preferred_nid;
	uint32_t moves;
	uint64_t total_numa_faults;
};

#define NB_MAX_ENDED 256 /* the latest ones that took hint faults */

#define nb_for_each_task(t, i)                                                 \
	for ((i) = 0; (i) < nb_slots_used(); (i)++)                            \
		if (((t) = nb_task_at(i))->id)

int nb_tasks_init(void);
struct nb_task *nb_task_at(int slot);
struct nb_task *nb_task_sync(int slot);
struct nb_task *nb_task_by_id(uint32_t id);
void nb_task_publish(struct nb_task *t);
struct nb_numa_faults *nb_task_faults(struct nb_task *t);
void nb_tasks_walk(void);
const struct nb_ended_task *nb_ended_task_at(unsigned int i);
void nb_tasks_sample(uint64_t now_ns);
int nb_tasks_alive(void);
void nb_tasks_after_fork(void);
void nb_task_set_explicit_policy(int slot, bool explicit_policy);

#endif /* NB_TASKS_H */
