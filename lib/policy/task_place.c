/* SPDX-License-Identifier: MIT */
/*
 * 8. Which threads to pin to which node, and which to let go.
 *
 * A thread is brought to its preferred node by a CPU mask of the whole node.
 * Within the node the kernel's scheduler does as it likes; but it cannot undo
 * the mask, however long the queue there gets.  So whoever sets masks has to do
 * the load balancer's part between nodes, and that is most of this file:
 *
 * - capacity: do not pin more threads to a node than it has CPUs, or than its
 *   share when the program has more threads than the machine has CPUs;
 * - relief: release threads from a node where they wait while CPUs are idle
 *   elsewhere, and leave a released thread alone for some rounds.
 *
 * Both use the same idea of "idle elsewhere", so that one does not undo what
 * the other did: a node is never filled beyond its CPUs while others idle.
 * - claims: give way to other processes that use more of a node
 *   (task_claim.c).
 *
 * Owns nothing: numabald makes a struct nb_task_place for each round.
 *
 * Differs from Linux (task_numa_migrate()):
 * - The kernel moves a thread once and leaves it to the load balancer; hence
 *   neither relief nor hold there.
 * - No swap of two threads: sched_setaffinity() moves one.  Two threads that
 *   are pinned to each other's full nodes change places because a node accepts
 *   one thread too many while one of its own is about to leave.
 * - Load is counted in threads and idle CPUs: a process sees nobody else's.
 */
#include "task_place.h"

#include "task_claim.h"

/* Nodes on which this program may run at all. */
static bool usable(const struct nb_task_place *tp, int nid)
{
	return nb_node_isset(&tp->nodes, nid) &&
	       nb_node_isset(&tp->topo->has_cpu, nid) && tp->load[nid].nr_cpus;
}

/* Idle CPUs of a node that no move of this round will take. */
static uint32_t nr_free(const struct nb_task_place *tp, int nid)
{
	uint32_t idle = tp->load[nid].nr_idle;

	return idle - nb_min(idle, tp->planned[nid]);
}

/* The same for all usable nodes but @nid, less those for released threads. */
static uint32_t nr_free_elsewhere(const struct nb_task_place *tp, int nid)
{
	uint32_t free = 0;
	uint32_t relieved = 0;
	int n;

	nb_for_each_nid (n, &tp->nodes) {
		relieved += tp->relieved[n];
		if (n != nid && usable(tp, n))
			free += nr_free(tp, n);
	}
	return free - nb_min(free, relieved);
}

/**
 * nb_node_overloaded() - do threads queue here while CPUs are idle elsewhere?
 * @tp: the round
 * @nid: the node
 *
 * All of: more threads than CPUs, or no CPU idle (others run there as well);
 * own threads wait more than a quarter of the time they want to run, which is
 * more than one thread too many costs on four CPUs, and about what remote
 * memory costs; and there is an idle CPU to go to.
 *
 * Context: numabald.
 * Return: true if so.
 */
bool nb_node_overloaded(const struct nb_task_place *tp, int nid)
{
	const struct nb_node_load *load;

	if (!usable(tp, nid))
		return false;
	load = &tp->load[nid];
	if (load->nr_running + tp->planned[nid] <= load->nr_cpus &&
	    load->nr_idle)
		return false;
	return load->wait_ns > load->run_ns / 3 && nr_free_elsewhere(tp, nid);
}

/* How many threads an overloaded node releases in a round, at most. */
static uint32_t relief_limit(const struct nb_task_place *tp, int nid)
{
	const struct nb_node_load *load = &tp->load[nid];
	uint32_t running = load->nr_running + tp->planned[nid];
	uint32_t half = (load->nr_running + 1) / 2;

	/* Without threads too many, other programs take the CPUs: try half. */
	if (running <= load->nr_cpus)
		return half;
	return nb_min(half, running - load->nr_cpus);
}

/*
 * How many threads may be pinned to a node.  One per CPU while there are idle
 * CPUs elsewhere, else the node's share of all threads: if no distribution can
 * give each thread a CPU, queues of equal length are as good as it gets.
 */
static uint32_t capacity(const struct nb_task_place *tp, int nid)
{
	uint64_t running = 0;
	uint64_t cpus = 0;
	uint32_t own = tp->load[nid].nr_cpus;
	uint64_t share;
	int n;

	if (nr_free_elsewhere(tp, nid))
		return own;
	nb_for_each_nid (n, &tp->nodes) {
		if (!usable(tp, n))
			continue;
		running += tp->load[n].nr_running;
		cpus += tp->load[n].nr_cpus;
	}
	share = nb_div_round_up(running * own, cpus);
	return nb_max(own, (uint32_t)share);
}

/*
 * CPUs of a node that other programs keep busy.  One less than the numbers say:
 * idle CPUs are rounded down, and half a busy CPU is nobody's.
 */
static uint32_t nr_foreign(const struct nb_node_load *load)
{
	uint32_t seen = load->nr_idle + load->nr_running + 1;

	return load->nr_cpus - nb_min(load->nr_cpus, seen);
}

/*
 * Own threads that run there without being pinned do not count: if the node
 * gets too full, the kernel takes them elsewhere, which it cannot with pinned
 * ones.
 */
static bool has_room(const struct nb_task_place *tp, int nid)
{
	uint32_t stay = tp->nr_pinned[nid] + tp->planned[nid];

	if (nr_free(tp, nid))
		return true;
	if (!nb_better_claim(tp, nid))
		return false;
	if (tp->nr_leaving[nid])
		stay--;
	return stay + nr_foreign(&tp->load[nid]) < capacity(tp, nid);
}

static bool leaving(const struct nb_task_place *tp,
		    const struct nb_task_view *task)
{
	return !task->bound && task->numa_preferred_nid != task->pinned_nid &&
	       usable(tp, task->numa_preferred_nid);
}

/* The node that the kernel cannot take the thread away from, or NB_NO_NODE. */
static int fixed_nid(const struct nb_task_view *task)
{
	int nid = task->bound ? task->current_nid : task->pinned_nid;

	return task->running && nb_node_valid(nid) ? nid : NB_NO_NODE;
}

/**
 * nb_task_place_count() - count a thread before any is decided about.
 * @tp: the round
 * @task: the thread
 *
 * Context: numabald.
 */
void nb_task_place_count(struct nb_task_place *tp,
			 const struct nb_task_view *task)
{
	int nid = fixed_nid(task);

	if (nid == NB_NO_NODE)
		return;
	tp->nr_pinned[nid]++;
	if (leaving(tp, task))
		tp->nr_leaving[nid]++;
}

/* The thread is about to leave the node that it is pinned to, if any. */
static void uncount(struct nb_task_place *tp, const struct nb_task_view *task)
{
	int nid = fixed_nid(task);

	if (nid == NB_NO_NODE)
		return;
	tp->nr_pinned[nid] -= nb_min(tp->nr_pinned[nid], 1U);
	if (leaving(tp, task))
		tp->nr_leaving[nid] -= nb_min(tp->nr_leaving[nid], 1U);
}

static bool relieve(struct nb_task_place *tp, const struct nb_task_view *task)
{
	int nid = task->pinned_nid;

	if (!nb_node_overloaded(tp, nid) || !nb_worse_claim(tp, nid) ||
	    tp->relieved[nid] >= relief_limit(tp, nid))
		return false;
	uncount(tp, task);
	tp->relieved[nid]++;
	return true;
}

/**
 * nb_task_place() - decide about one thread.
 * @tp: the round; what is decided is noted in it for the threads that follow
 * @task: the thread
 * @nid: out: the node to pin it to, or NB_NO_NODE to release it; as it was if
 * the answer is no
 *
 * After NB_WHY_TASK_RELIEF the caller sets the thread's hold to
 * NB_TASK_HOLD_ROUNDS and counts it down, one per round.
 *
 * Context: numabald.
 * Return: the reason, yes or no.
 */
enum nb_why nb_task_place(struct nb_task_place *tp,
			  const struct nb_task_view *task, int *nid)
{
	int want = task->numa_preferred_nid;

	*nid = task->pinned_nid;
	if (task->bound)
		return NB_WHY_TASK_BOUND;
	if (!task->running)
		return NB_WHY_TASK_STAY;
	if (relieve(tp, task)) {
		*nid = NB_NO_NODE;
		return NB_WHY_TASK_RELIEF;
	}
	if (want == NB_NO_NODE)
		return NB_WHY_TASK_NO_PREFERENCE;
	if (!usable(tp, want))
		return NB_WHY_TASK_NO_CPU;
	if (task->pinned_nid == want)
		return NB_WHY_TASK_STAY;
	if (task->hold && !nr_free(tp, want))
		return NB_WHY_TASK_HOLD;
	if (!has_room(tp, want))
		return NB_WHY_TASK_NODE_BUSY;
	uncount(tp, task);
	/* Who runs there already takes no further CPU. */
	if (task->current_nid == want)
		tp->nr_pinned[want]++;
	else
		tp->planned[want]++;
	*nid = want;
	return NB_WHY_TASK_PREFERRED;
}
