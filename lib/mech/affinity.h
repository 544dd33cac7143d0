/* SPDX-License-Identifier: MIT */
/*
 * 5. Where threads may run: what the program asked for, and our pins.
 */
#ifndef NB_AFFINITY_H
#define NB_AFFINITY_H

#include "../base/topology.h"
#include "../plat/sys.h"

/* Of one thread; under the affinity lock. */
struct nb_affinity {
	struct nb_cpumask wish; /* the mask that the program sees */
	int16_t pinned_nid;	/* or NB_NO_NODE */
	bool known;		/* @wish is valid */
	bool bound;		/* @wish is narrower than all allowed CPUs */
};

int nb_affinity_init(const struct nb_sys *sys, const struct nb_topology *t);
void nb_affinity_forget(int slot);
void nb_affinity_inherit(int slot, int from_slot);
int nb_affinity_learn(int slot, pid_t tid);
int nb_affinity_pin(int slot, pid_t tid, int nid);
int nb_affinity_release(int slot, pid_t tid);
int nb_affinity_apply_wish(int slot);
int nb_affinity_set_wish(int slot, pid_t tid, const struct nb_cpumask *mask);
bool nb_affinity_get_wish(int slot, struct nb_cpumask *mask);
int nb_affinity_pinned_nid(int slot);
bool nb_affinity_bound(int slot);
void nb_affinity_fork_prepare(void);
void nb_affinity_fork_parent(void);
void nb_affinity_fork_child(int old_slot);
void nb_affinity_reinit(void);

#endif /* NB_AFFINITY_H */
