/* SPDX-License-Identifier: MIT */
/*
 * From statistics to threads on nodes: once per scan pass, decays every
 * thread's faults, renews its preferred node, and pins or releases it.
 *
 * Runs in numabald only.
 */
#include "mech/affinity.h"
#include "nb.h"
#include "plat/arena.h"
#include "policy/group_place.h"
#include "policy/task_place.h"
#include "record.h"
#include "tasks.h"

#include <errno.h>
#include <string.h>

/* The machine's CPU times at the last round. */
static struct nb_cpu_times *times, *times_before;
static struct nb_task_place place;
static uint32_t nr_rounds;

static struct nb_group_set groups;
static struct nb_group_task *members; /* in the order of their slots */
static void *scratch;

static int init(void)
{
	size_t bytes = (size_t)nb.topo.nr_cpus * sizeof(*times);

	if (times)
		return 0;
	if (members)
		return -ENOMEM; /* no memory the first time */
	times_before = nb_arena_alloc(bytes);
	members = nb_arena_map(NB_MAX_SLOTS * sizeof(*members));
	scratch = nb_arena_map(nb_group_scratch_bytes(NB_MAX_SLOTS));
	groups.g = nb_arena_map(NB_MAX_GROUPS * sizeof(*groups.g));
	groups.max = NB_MAX_GROUPS;
	times = nb_arena_alloc(bytes);
	if (members && scratch && groups.g && times_before && times)
		return 0;
	times = NULL; /* what there is of it is not asked for again */
	return -ENOMEM;
}

/* @idle: thousandths of CPUs. */
static void set_idle(struct nb_node_load *l, uint64_t idle)
{
	uint64_t all = l->nr_cpus * 1000ULL;

	l->nr_idle = nb_free_cpus(idle);
	l->busy_milli = (uint32_t)(all - nb_min(all, idle));
}

/* Idle CPUs of each node since the last round. */
static void load_idle(void)
{
	uint64_t idle[NB_MAX_NODES];
	int cpu, nid;

	if (nb_cpu_times_read(times, nb.topo.nr_cpus) < 0)
		return; /* no /proc/stat: no node looks idle */
	nb_for_each_cpu (cpu, &nb.topo.cpus_allowed) {
		if (cpu >= nb.topo.nr_cpus)
			break;
		nid = nb_cpu_to_nid(&nb.topo, cpu);
		if (nid != NB_NO_NODE)
			place.load[nid].nr_cpus++;
	}
	nb_cpu_times_idle(&nb.topo, times_before, times, idle);
	nb_for_each_nid (nid, &nb.topo.has_cpu)
		set_idle(&place.load[nid], idle[nid]);
	memcpy(times_before, times, (size_t)nb.topo.nr_cpus * sizeof(*times));
}

/* Our own CPU time is not another program's. */
static void load_self(uint64_t now_ns)
{
	static uint64_t cpu_before, ns_before;
	uint64_t cpu = nb_thread_cpu_ns();
	int c = -1, nid = NB_NO_NODE;

	nb_sys_getcpu(&c, &nid);
	if (nb_node_valid(nid) && now_ns > ns_before && cpu >= cpu_before)
		place.load[nid].own_milli +=
			(uint32_t)((cpu - cpu_before) * 1000 /
				   (now_ns - ns_before));
	cpu_before = cpu;
	ns_before = now_ns;
}

static void load_threads(void)
{
	struct nb_task *t;
	int i;

	nb_for_each_task (t, i) {
		struct nb_node_load *l;

		if (!t->running || t->current_nid == NB_NO_NODE)
			continue;
		l = &place.load[t->current_nid];
		l->nr_running++;
		l->run_ns += t->d_run_ns;
		l->wait_ns += t->d_wait_ns;
		if (t->d_ns)
			l->own_milli +=
				(uint32_t)(t->d_run_ns * 1000 / t->d_ns);
	}
}

static void act(struct nb_task *t, int slot, enum nb_why why, int nid)
{
	int err;

	if (why == NB_WHY_TASK_RELIEF) {
		t->hold = NB_TASK_HOLD_ROUNDS;
		err = nb_affinity_release(slot, t->tid);
	} else {
		err = nb_affinity_pin(slot, t->tid, nid);
		if (!err) {
			t->moves++;
			nb_count(numa_task_migrated, 1);
		}
	}
	if (err == -EPERM || err == -ENOSYS) {
		nb.tasks_off = true;
		nb_log(NB_LOG_WARN,
		       "sched_setaffinity is refused (error %d): threads stay "
		       "where they are, only pages are moved",
		       -err);
	}
}

static void look_at(struct nb_task *t, int slot)
{
	struct nb_task_view *v = &t->view;

	memset(v, 0, sizeof(*v));
	v->numa_preferred_nid = t->nf ? t->nf->numa_preferred_nid : NB_NO_NODE;
	v->current_nid = t->current_nid;
	v->running = t->running;
	v->hold = t->hold;
	v->pinned_nid = nb_affinity_pinned_nid(slot);
	v->bound = nb_affinity_bound(slot);
}

static void place_one(struct nb_task *t, int slot)
{
	int nid = NB_NO_NODE;
	enum nb_why why;

	if (t->hold)
		t->hold--;
	if (!nb_may_move_tasks())
		why = NB_WHY_TASK_OFF;
	else
		why = nb_task_place(&place, &t->view, &nid);
	atomic_fetch_add_explicit(&nb.why_count[why], 1, memory_order_relaxed);
	t->place_why = (uint16_t)why;
	if (nb_why_is_yes(why))
		act(t, slot, why, nid);
}

/* The rule looks at all threads before it moves the first. */
static void place_all(void)
{
	struct nb_task *t;
	int i;

	nb_for_each_task (t, i) {
		nb_affinity_learn(i, t->tid);
		look_at(t, i);
		nb_task_place_count(&place, &t->view);
	}
	nb_for_each_task (t, i)
		place_one(t, i);
}

/*
 * A coin for each process and round: equal processes that compete for a node
 * would otherwise all do the same at the same time, for ever.
 */
static bool take_turn(void)
{
	uint64_t x = (uint64_t)atomic_load(&nb.pid) << 32 | ++nr_rounds;

	/* The finaliser of MurmurHash3: every bit of x reaches bit 0. */
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return (x ^ x >> 33) & 1;
}

/**
 * nb_place_group() - where the memory is that a task shares
 * @index: of its group, from the last round.
 *
 * Context: numabald.
 * Return: the group, or the process as a whole.
 */
const struct nb_numa_group *nb_place_group(int index)
{
	return nb_group_at(&groups, index);
}

/**
 * nb_place_nr_groups() - how many groups there are
 *
 * Context: any thread; others than numabald get what it last was.
 * Return: the number; their indices are below it.
 */
int nb_place_nr_groups(void)
{
	return groups.nr;
}

/* Make groups, and renew every thread's preferred node. */
static void group_all(void)
{
	struct nb_task *t;
	size_t nr = 0;
	int i;

	nb_for_each_task (t, i)
		members[nr++] = (struct nb_group_task){
			.id = t->id,
			.group = t->group,
			.current_nid = t->current_nid,
			.running = t->running,
			.partners = t->partners,
			.nf = t->nf,
		};
	nb_group_round(&groups, members, nr, &place, scratch);
	nr = 0;
	nb_for_each_task (t, i) {
		const struct nb_group_task *m = &members[nr++];

		t->group = m->group;
		t->group_index = m->index;
		if (t->nf)
			t->nf->numa_preferred_nid = m->want_nid;
	}
}

/**
 * nb_place_round() - decay, choose preferred nodes, move threads
 * @now_ns: the time.
 *
 * Context: numabald, after a full scan pass and its faults.
 */
void nb_place_round(uint64_t now_ns)
{
	struct nb_pass_faults *p = &nb.pass;
	struct nb_task *t;
	uint64_t seen = p->local + p->remote;
	int i;

	if (init())
		return;
	memset(&place, 0, sizeof(place));
	place.topo = &nb.topo;
	place.nodes = nb.cfg.nodes;
	place.turn = take_turn();
	nb_tasks_sample(now_ns);
	load_idle();
	load_threads();
	load_self(now_ns);
	nb_for_each_task (t, i) {
		if (!t->nf)
			continue;
		nb_numa_faults_decay(t->nf, t->d_run_ns, t->d_ns);
	}
	group_all();
	place_all();
	nb_for_each_task (t, i)
		nb_task_publish(t);
	if (seen)
		atomic_store(&nb.local_permille,
			     (uint32_t)(p->local * 1000 / seen));
	nb_scan_period_update(&nb.period, &nb.period_opts, p, nb.rss_bytes);
	nb_record_round(now_ns, &place);
	atomic_store(&nb.scan_period_ms, nb.period.scan_period_ms);
	nb.last_pass = *p;
	memset(p, 0, sizeof(*p));
}
