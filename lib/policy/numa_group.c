/* SPDX-License-Identifier: MIT */
/*
 * 5. Which threads share memory with each other.
 *
 * Each time a chunk passes from one thread to another, both note the other
 * (nb_partners_note()).  Once per pass groups are made from these notes: each
 * thread takes the group with which it shares most, round after round, until
 * nobody changes any more (label propagation).  A thread that shares little
 * with anybody in particular stays alone, and so do all threads of a program
 * in which everybody shares everything: there is no team to bring together.
 * But where one node has room for all who share, those belong together who
 * share at all, directly or by others; and so it is within each group, which
 * falls apart when its sharing ends.
 *
 * Owns nothing.
 *
 * Differs from Linux: partners are exact.  The kernel joins groups by 8 bits of
 * a PID, only ever into larger ones, and never splits them.
 */
#include "numa_group.h"
#include "id_index.h"

#include <string.h>

/* More than chance; see is_team(). */
#define MIN_EVENTS 3
#define DEVIATIONS 3ULL
/* Of what a thread shares with its average partner: less is no bond. */
#define FEW_DEN 2
/* Who is in a group needs less to stay in it ... */
#define STAY_NUM 5
#define STAY_DEN 4
/* ... and leaves it for one with a quarter more. */
#define CHANGE_NUM 5
#define CHANGE_DEN 4
#define MAX_SWEEPS 8

/* Events that say something. */
#define MIN_SHARED (8 * NB_SHARED_EVENT)

struct forming {
	struct nb_group_task *t;
	size_t nr, size;
	struct nb_id_index *at;	     /* of each thread in .t */
	struct nb_id_index *members; /* of each group */
	size_t nr_sharing;	     /* threads that share anything */
};

/**
 * nb_group_scratch_bytes() - memory that nb_groups_form() works in.
 * @nr_tasks: for so many
 *
 * Context: any thread.
 * Return: bytes.
 */
size_t nb_group_scratch_bytes(size_t nr_tasks)
{
	/* A group that has lost its last member stays in the index. */
	return (nb_id_index_size(nr_tasks) + nb_id_index_size(nr_tasks * 2)) *
	       sizeof(struct nb_id_index);
}

static uint32_t *members_of(struct forming *f, uint32_t group)
{
	struct nb_id_index *x =
		nb_id_index_at(f->members, nb_id_index_size(f->nr * 2), group);

	x->id = group;
	return &x->value;
}

static bool shares(const struct nb_group_task *t)
{
	return t->partners && t->partners->total >= MIN_SHARED;
}

static void begin(struct forming *f, void *scratch)
{
	memset(scratch, 0, nb_group_scratch_bytes(f->nr));
	f->size = nb_id_index_size(f->nr);
	f->at = scratch;
	f->members = f->at + f->size;
	for (size_t i = 0; i < f->nr; i++) {
		const struct nb_group_task *t = &f->t[i];

		*nb_id_index_at(f->at, f->size, t->id) =
			(struct nb_id_index){t->id, (uint32_t)i};
		f->nr_sharing += shares(t);
	}
	for (size_t i = 0; i < f->nr; i++)
		++*members_of(f, f->t[i].group);
}

static struct nb_group_task *find(const struct forming *f, uint32_t id)
{
	const struct nb_id_index *x = nb_id_index_at(f->at, f->size, id);

	return x->id ? &f->t[x->value] : NULL;
}

/* What a thread shares with the members of each group among its partners. */
struct votes {
	uint32_t group[NB_NR_PARTNERS];
	uint64_t weight[NB_NR_PARTNERS];
	int nr;
};

static void count_votes(struct votes *v, const struct forming *f,
			const struct nb_partners *p)
{
	v->nr = 0;
	for (int i = 0; i < NB_NR_PARTNERS; i++) {
		struct nb_group_task *other =
			p->id[i] ? find(f, p->id[i]) : NULL;
		int k = 0;

		if (!other)
			continue;
		while (k < v->nr && v->group[k] != other->group)
			k++;
		if (k == v->nr) {
			v->group[k] = other->group;
			v->weight[k] = 0;
			v->nr++;
		}
		v->weight[k] += p->weight[i];
	}
}

/*
 * Is this a thread's team?  Those with whom it shares half as much again as it
 * would if it shared with all alike, and more than chance makes of that.
 */
static bool is_team(struct forming *f, const struct nb_group_task *t,
		    uint32_t group, uint64_t weight)
{
	uint64_t total = t->partners->total;
	uint64_t others = *members_of(f, group) - (t->group == group);
	uint64_t alike = total * others / nb_max(f->nr_sharing, 2UL);
	uint64_t least = alike + alike / 2 + MIN_EVENTS * NB_SHARED_EVENT;

	/* The deviation of a number of events is its square root. */
	return weight >= least &&
	       (weight - least) * (weight - least) >=
		       DEVIATIONS * DEVIATIONS * NB_SHARED_EVENT * alike;
}

/* The group that a thread should be in. */
static uint32_t choose(struct forming *f, const struct nb_group_task *t)
{
	uint64_t best = 0, cur = 0;
	uint32_t group = t->id;
	struct votes v;

	count_votes(&v, f, t->partners);
	for (int k = 0; k < v.nr; k++) {
		if (v.group[k] == t->group)
			cur = v.weight[k];
		/* Of equals the older one, so that two do not swap. */
		if (v.weight[k] < best ||
		    (v.weight[k] == best && v.group[k] > group))
			continue;
		best = v.weight[k];
		group = v.group[k];
	}
	if (cur && is_team(f, t, t->group, cur * STAY_NUM / STAY_DEN) &&
	    best * CHANGE_DEN <= cur * CHANGE_NUM)
		return t->group;
	return is_team(f, t, group, best) ? group : t->id;
}

static bool sweep(struct forming *f)
{
	bool changed = false;

	for (size_t i = 0; i < f->nr; i++) {
		struct nb_group_task *t = &f->t[i];
		uint32_t group = shares(t) ? choose(f, t) : t->id;

		if (group == t->group)
			continue;
		--*members_of(f, t->group);
		++*members_of(f, group);
		t->group = group;
		changed = true;
	}
	return changed;
}

/* The partner in a place of @t's table, if it may be in one group with @t. */
static struct nb_group_task *mate(const struct forming *f,
				  const struct nb_group_task *t, int k)
{
	struct nb_group_task *o = NULL;

	if (t->partners->id[k])
		o = find(f, t->partners->id[k]);
	return o && o->index == t->index && shares(o) ? o : NULL;
}

/* Of those with the same .index: whoever shares with whom. */
static bool sweep_bonds(struct forming *f)
{
	bool changed = false;

	for (size_t i = 0; i < f->nr; i++) {
		struct nb_group_task *t = &f->t[i];
		const struct nb_partners *p = t->partners;
		uint64_t nr = 0, sum = 0;

		if (!shares(t))
			continue;
		for (int k = 0; k < NB_NR_PARTNERS; k++) {
			if (!mate(f, t, k))
				continue;
			nr++;
			sum += p->weight[k];
		}
		for (int k = 0; k < NB_NR_PARTNERS; k++) {
			struct nb_group_task *o = mate(f, t, k);

			if (!o || o->group == t->group ||
			    p->weight[k] * nr * FEW_DEN < sum)
				continue;
			o->group = t->group = nb_min(o->group, t->group);
			changed = true;
		}
	}
	return changed;
}

/*
 * A group of which nothing but the name was common falls apart.  The part with
 * the founder keeps the name, or the first one when there is no founder any
 * more; another takes the name of one of its own.
 */
static void name_parts(struct forming *f)
{
	size_t size = nb_id_index_size(f->nr * 2);

	memset(f->members, 0, size * sizeof(*f->members));
	for (size_t i = 0; i < f->nr; i++) {
		uint32_t name = (uint32_t)f->t[i].index;
		struct nb_id_index *x = nb_id_index_at(f->members, size, name);
		const struct nb_group_task *founder = find(f, name);

		if (x->id)
			continue;
		x->id = name;
		if (!founder)
			x->value = f->t[i].group;
		else if (founder->index == f->t[i].index)
			x->value = founder->group;
	}
	for (size_t i = 0; i < f->nr; i++) {
		struct nb_group_task *t = &f->t[i];
		uint32_t name = (uint32_t)t->index;

		if (nb_id_index_at(f->members, size, name)->value == t->group)
			t->group = name;
	}
}

/**
 * nb_groups_form() - make groups of the threads that share memory.
 * @t: all threads, each with the group that it had
 * @nr: how many
 * @cpus: CPUs of the largest node
 * @scratch: nb_group_scratch_bytes(@nr) bytes
 *
 * A group's name is the id of one who founded it.
 *
 * Context: numabald.
 */
void nb_groups_form(struct nb_group_task *t, size_t nr, uint32_t cpus,
		    void *scratch)
{
	struct forming f = {.t = t, .nr = nr};
	bool few;

	begin(&f, scratch);
	/* All for which there is room on one node need no team. */
	few = f.nr_sharing <= cpus;
	for (int i = 0; !few && i < MAX_SWEEPS; i++)
		if (!sweep(&f))
			break;
	for (size_t i = 0; i < nr; i++) {
		t[i].index = few ? 0 : (int)t[i].group;
		t[i].group = t[i].id;
	}
	for (int i = 0; i < MAX_SWEEPS; i++)
		if (!sweep_bonds(&f))
			break;
	if (!few)
		name_parts(&f);
}
