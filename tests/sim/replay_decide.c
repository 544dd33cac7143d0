/* SPDX-License-Identifier: MIT */
/*
 * The decisions of lib/sample.c and lib/place.c, step by step as there, from
 * recorded events.  Whoever changes those files changes this one.
 *
 * Where another policy wants to move what was not moved, it is taken as moved;
 * later events show the page where it was, as nothing else is known of it.
 */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (2 * NB_MIB) /* lib/mech/chunk.h */

static struct nb_numa_faults *faults_of(struct replay *r, struct replay_task *t)
{
	if (t->nf)
		return t->nf;
	t->nf = malloc(nb_numa_faults_size(r->topo.nr_nids));
	t->partners = calloc(1, sizeof(*t->partners));
	if (t->nf)
		nb_numa_faults_init(t->nf, r->topo.nr_nids);
	return t->nf;
}

/* lib/tasks.c, forget() and nb_task_sync() */
void replay_task_begin(struct replay *r, int slot, uint32_t id, int32_t tid)
{
	struct replay_task *t = &r->task[slot];

	free(t->nf);
	free(t->partners);
	memset(t, 0, sizeof(*t));
	t->id = id;
	t->tid = tid;
	t->group = id;
	t->group_index = -1;
	if (id)
		r->slot_of_id[id % nb_array_size(r->slot_of_id)] =
			(uint16_t)slot;
}

/* Fibonacci hashing. */
static size_t hash(const struct replay *r, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15ULL) >> 20) &
	       (r->cap_history - 1);
}

static struct replay_history *find(struct replay *r, uint64_t key)
{
	size_t i = hash(r, key);

	while (r->history[i].key && r->history[i].key != key)
		i = (i + 1) & (r->cap_history - 1);
	return &r->history[i];
}

static int grow_history(struct replay *r)
{
	struct replay_history *old = r->history;
	size_t nr = r->cap_history;
	size_t cap = nr ? nr * 2 : 1024;
	struct replay_history *fresh = calloc(cap, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	r->history = fresh;
	r->cap_history = cap;
	for (size_t i = 0; i < nr; i++)
		if (old[i].key)
			*find(r, old[i].key) = old[i];
	free(old);
	return 0;
}

static uint64_t chunk_start(const struct replay_sample *s)
{
	return nb_align_down(s->addr, 1ULL << s->chunk_shift);
}

/* The chunk's record; one that had none when it was recorded has none. */
static struct nb_page_history *history_of(struct replay *r,
					  const struct replay_sample *s)
{
	uint64_t key = chunk_start(s) | s->chunk_shift;
	struct replay_history *e;

	if (r->nr_history * 2 >= r->cap_history && grow_history(r))
		return NULL;
	e = find(r, key);
	if (!e->key) {
		e->key = key;
		r->nr_history++;
	}
	if (s->no_history)
		memset(&e->h, 0, sizeof(e->h));
	return &e->h;
}

/* lib/tasks.c, nb_task_by_id() */
static struct replay_task *task_by_id(struct replay *r, uint32_t id)
{
	struct replay_task *t =
		&r->task[r->slot_of_id[id % nb_array_size(r->slot_of_id)]];

	return t->id == id ? t : NULL;
}

/* lib/sample.c, note_partners() */
static void note_partners(struct replay *r, const struct replay_sample *s)
{
	struct replay_task *t = &r->task[s->slot], *other;

	if (!s->last.shared || s->last.same_task)
		return;
	other = task_by_id(r, s->last.task);
	if (t->partners)
		nb_partners_note(t->partners, s->last.task);
	if (other && other->partners)
		nb_partners_note(other->partners, t->id);
}

/* lib/sample.c, task_free() */
static bool task_free(const struct replay *r, const struct replay_task *t)
{
	return !r->tasks_off && nb_task_follows(t->place_why, t->running);
}

/* lib/sample.c, decide() */
static enum nb_why decide(struct replay *r, struct replay_sample *s)
{
	struct replay_task *t = &r->task[s->slot];
	struct nb_numa_faults *nf = faults_of(r, t);
	struct nb_migrate_query q = {
		.page_nid = s->page_nid,
		.cpu_nid = s->cpu_nid,
		.last = s->last,
		.numa_preferred_nid = nf ? nf->numa_preferred_nid : NB_NO_NODE,
		.task_free = task_free(r, t),
		.task_scan_seq = nf ? nf->numa_scan_seq : 0,
		.nodes = r->nodes,
		.group = nb_group_at(&r->groups, t->group_index),
		.dice = nb_chunk_dice(chunk_start(s)),
	};
	uint64_t bytes = nb_min(s->bytes, BLOCK_BYTES), granted;
	enum nb_why why = s->tier_why;

	if (s->not_movable == NB_WHY_PAGE_NO_NODE)
		return NB_WHY_PAGE_NO_NODE;
	if (why == NB_WHY_NONE)
		why = nb_migrate_filter(&q, &r->topo);
	if (!nb_why_is_yes(why))
		return why;
	if (s->not_movable)
		return s->not_movable;
	granted = nb_rate_limit_take(&r->rate, bytes, r->batch_ns);
	if (granted < bytes) {
		r->rate.tokens += granted;
		return NB_WHY_PAGE_RATE_LIMIT;
	}
	if (s->waits)
		return NB_WHY_PAGE_WAITS;
	s->new_dst_nid = s->cpu_nid;
	if (s->tier_why && s->dst_nid != NB_NO_NODE)
		s->new_dst_nid = s->dst_nid;
	return why;
}

/* lib/sample.c, account(); what moved is as recorded, if it was tried then. */
static void account(struct replay *r, struct replay_sample *s)
{
	struct nb_numa_faults *nf = faults_of(r, &r->task[s->slot]);
	struct nb_fault_sample fs = {
		.mem_nid = s->page_nid,
		.cpu_nid = s->cpu_nid,
		.nr_pages = (1ULL << s->chunk_shift) / r->page_bytes,
		.priv = nb_last_user_owns(&s->last),
	};
	bool wanted = s->new_dst_nid != NB_NO_NODE;
	uint64_t nr_moved = s->nr_moved, nr_failed = s->nr_failed;
	enum nb_why result = s->new_why;

	if (s->new_dst_nid == s->dst_nid) {
		if (wanted && s->result >= 0)
			result = (enum nb_why)s->result;
	} else {
		nr_moved = wanted ? fs.nr_pages : 0;
		nr_failed = 0;
	}
	if (wanted && nr_moved) {
		fs.mem_nid = s->new_dst_nid;
		nb_page_history_moved(
			&find(r, chunk_start(s) | s->chunk_shift)->h);
	}
	fs.migrate_fail = (wanted && nr_failed > nr_moved) ||
			  result == NB_WHY_PAGE_LOCKED;
	fs.local = fs.mem_nid == fs.cpu_nid;
	if (s->page_nid == NB_NO_NODE || nb_tier_in_place(s->new_why) ||
	    s->new_why == NB_WHY_PAGE_WAITS)
		return;
	if (nf)
		nb_numa_faults_account(nf, &fs);
}

/* Returns where to say what differs, if nothing has before. */
static struct replay_difference *differs(struct replay *r, const char *about,
					 int slot, uint64_t time_ns)
{
	struct replay_difference *d = &r->first;

	r->nr_differ++;
	if (d->about)
		return NULL;
	d->about = about;
	d->time_ns = time_ns;
	d->tid = r->task[slot].tid;
	return d;
}

static void say_whys(const struct replay *r, struct replay_difference *d,
		     int recorded, enum nb_why replayed)
{
	snprintf(d->recorded, sizeof(d->recorded), "%s", r->why_name[recorded]);
	snprintf(d->replayed, sizeof(d->replayed), "%s",
		 replay_why_name(replayed));
}

static void say_nids(struct replay_difference *d, int recorded, int replayed)
{
	snprintf(d->recorded, sizeof(d->recorded), "node %d", recorded);
	snprintf(d->replayed, sizeof(d->replayed), "node %d", replayed);
}

static void compare_sample(struct replay *r, const struct replay_sample *s)
{
	bool same_why = r->why_of[s->why] == (int)s->new_why;
	struct replay_difference *d;

	r->nr_samples++;
	r->recorded[s->why]++;
	r->replayed[s->new_why]++;
	if (same_why && s->new_dst_nid == s->dst_nid)
		return;
	d = differs(r, same_why ? "target" : "reason", s->slot, r->batch_ns);
	if (!d)
		return;
	d->sample = r->nr_samples;
	d->addr = s->addr;
	if (same_why)
		say_nids(d, s->dst_nid, s->new_dst_nid);
	else
		say_whys(r, d, s->why, s->new_why);
}

/* lib/sample.c, nb_fault_drain() */
int replay_batch(struct replay *r)
{
	for (uint32_t i = 0; i < r->nr_sample; i++) {
		struct replay_sample *s = &r->sample[i];
		struct nb_page_history *h = history_of(r, s);

		if (!h)
			return -ENOMEM;
		s->last = nb_page_history_note(h, r->task[s->slot].id,
					       s->cpu_nid);
		note_partners(r, s);
		s->new_dst_nid = NB_NO_NODE;
		s->new_why = decide(r, s);
	}
	for (uint32_t i = 0; i < r->nr_sample; i++) {
		account(r, &r->sample[i]);
		compare_sample(r, &r->sample[i]);
	}
	r->want_sample = r->nr_sample = 0;
	return 0;
}

/* lib/place.c, place_one() */
static enum nb_why place_one(struct replay *r, struct replay_use *u)
{
	struct replay_task *t = &r->task[u->slot];
	int nid = NB_NO_NODE;
	enum nb_why why;

	if (t->hold)
		t->hold--;
	if (u->off)
		why = NB_WHY_TASK_OFF;
	else
		why = nb_task_place(&r->place, &u->view, &nid);
	t->place_why = (uint16_t)why;
	if (why == NB_WHY_TASK_RELIEF)
		t->hold = NB_TASK_HOLD_ROUNDS;
	return why;
}

static void compare_use(struct replay *r, const struct replay_use *u,
			enum nb_why why)
{
	bool same_why = r->why_of[u->why] == (int)why;
	int nid = u->view.numa_preferred_nid;
	struct replay_difference *d;

	r->recorded[u->why]++;
	r->replayed[why]++;
	if (same_why && nid == u->preferred_nid)
		return;
	d = differs(r, same_why ? "preferred node" : "reason", u->slot,
		    r->round_ns);
	if (!d)
		return;
	if (same_why)
		say_nids(d, u->preferred_nid, nid);
	else
		say_whys(r, d, u->why, why);
}

/* lib/place.c, group_all() */
static void group_all(struct replay *r)
{
	for (uint32_t i = 0; i < r->nr_use; i++) {
		const struct nb_task_view *v = &r->use[i].view;
		struct replay_task *t = &r->task[r->use[i].slot];

		r->members[i] = (struct nb_group_task){
			.id = t->id,
			.group = t->group,
			.current_nid = (int16_t)v->current_nid,
			.running = v->running,
			.partners = t->partners,
			.nf = t->nf,
		};
	}
	nb_group_round(&r->groups, r->members, r->nr_use, &r->place,
		       r->scratch);
	for (uint32_t i = 0; i < r->nr_use; i++) {
		struct replay_task *t = &r->task[r->use[i].slot];

		t->group = r->members[i].group;
		t->group_index = r->members[i].index;
		if (!t->nf)
			continue;
		t->nf->numa_preferred_nid = r->members[i].want_nid;
		r->use[i].view.numa_preferred_nid = r->members[i].want_nid;
	}
}

/* lib/place.c, nb_place_round() */
int replay_round(struct replay *r)
{
	for (uint32_t i = 0; i < r->nr_use; i++) {
		struct replay_use *u = &r->use[i];
		struct replay_task *t = &r->task[u->slot];

		t->running = u->view.running;
		u->view.hold = t->hold;
		u->view.numa_preferred_nid = NB_NO_NODE;
		if (t->nf)
			nb_numa_faults_decay(t->nf, u->d_run_ns, u->d_ns);
	}
	group_all(r);
	for (uint32_t i = 0; i < r->nr_use; i++)
		nb_task_place_count(&r->place, &r->use[i].view);
	for (uint32_t i = 0; i < r->nr_use; i++)
		compare_use(r, &r->use[i], place_one(r, &r->use[i]));
	r->nr_rounds++;
	r->want_load = r->want_use = r->nr_use = 0;
	return 0;
}
