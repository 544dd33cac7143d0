/* SPDX-License-Identifier: MIT */
/*
 * workplace: the nodes of the machine, and putting threads and buffers on the
 * right or the wrong ones. Called by work.c: nodes and plan by main before
 * the threads start, the buffers by the threads that use them.
 *
 * Placement leaves no memory policy behind (but for --mbind): a page is put
 * on a node by touching it from there.
 */
#define _GNU_SOURCE
#include "work_int.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSFS_NODE "/sys/devices/system/node"
#define HUGE_BYTES ((size_t)2 << 20)
/* What --fill leaves: below the watermarks the OOM killer would end us. */
#define MIN_FREE_MB 16

/* ---- nodes ---- */

static void set_add(struct work_set *s, int bit)
{
	CPU_SET_S(bit, sizeof(*s), (cpu_set_t *)s);
}

bool work_set_has(const struct work_set *s, int bit)
{
	return CPU_ISSET_S(bit, sizeof(*s), (const cpu_set_t *)s);
}

static void set_and(struct work_set *s, const struct work_set *with)
{
	for (size_t i = 0; i < sizeof(s->bits) / sizeof(s->bits[0]); i++)
		s->bits[i] &= with->bits[i];
}

bool work_has_cpus(const struct work *w, int nid)
{
	return nid >= 0 && CPU_COUNT_S(sizeof(struct work_set),
				       (const cpu_set_t *)&w->node_cpus[nid]);
}

/* Read a list such as "0-3,8"; false when there is no such file. */
static bool read_list(const char *path, struct work_set *s)
{
	char text[8192];
	FILE *f = fopen(path, "re");
	char *p = text;

	memset(s, 0, sizeof(*s));
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	while (*p >= '0' && *p <= '9') {
		unsigned long first = strtoul(p, &p, 10), last = first;

		if (*p == '-')
			last = strtoul(p + 1, &p, 10);
		for (; first <= last && first < WORK_SET_BITS; first++)
			set_add(s, first);
		p += *p == ',';
	}
	return true;
}

static void find_homes(struct work *w, bool need_mem)
{
	for (int nid = 0; nid <= w->max_nid; nid++)
		if (work_has_cpus(w, nid) &&
		    (!need_mem || work_set_has(&w->node_mem, nid)))
			w->homes[w->nr_homes++] = nid;
}

void work_find_nodes(struct work *w)
{
	struct work_set online = {{0}}, mems = {{0}};
	char path[64];

	if (sched_getaffinity(0, sizeof(w->allowed), (void *)&w->allowed))
		work_die(WORK_SETUP, "sched_getaffinity: %m");
	if (!read_list(SYSFS_NODE "/online", &online)) {
		set_add(&w->node_mem, 0);
		w->node_cpus[0] = w->allowed;
	} else {
		if (!read_list(SYSFS_NODE "/has_memory", &w->node_mem))
			w->node_mem = online;
		if (!syscall(SYS_get_mempolicy, NULL, &mems, WORK_SET_BITS, 0,
			     MPOL_F_MEMS_ALLOWED))
			set_and(&w->node_mem, &mems);
	}
	for (int nid = 0; nid < WORK_MAX_NODES; nid++) {
		if (!work_set_has(&online, nid))
			continue;
		snprintf(path, sizeof(path), SYSFS_NODE "/node%d/cpulist", nid);
		read_list(path, &w->node_cpus[nid]);
		set_and(&w->node_cpus[nid], &w->allowed);
		w->max_nid = nid;
	}
	find_homes(w, true);
	if (!w->nr_homes)
		find_homes(w, false);
	if (!w->nr_homes)
		work_die(WORK_SETUP, "no node has a CPU that we may use");
}

int work_other_node(const struct work *w, int nid, int k)
{
	int i = 0;

	while (i < w->nr_homes && w->homes[i] != nid)
		i++;
	if (i == w->nr_homes)
		return w->homes[k % w->nr_homes];
	if (w->nr_homes > 1)
		return w->homes[(i + 1 + k % (w->nr_homes - 1)) % w->nr_homes];
	for (i = 0; i <= w->max_nid; i++)
		if (i != nid && work_set_has(&w->node_mem, i))
			return i;
	return nid;
}

/* ---- placement ---- */

void work_use_cpus(const struct work_set *cpus)
{
	if (sched_setaffinity(0, sizeof(*cpus), (const void *)cpus))
		work_die(WORK_SETUP, "sched_setaffinity: %m");
}

/* Pin to a node; to all allowed CPUs when it has none or is no node. */
void work_use_node(const struct work *w, int nid)
{
	work_use_cpus(work_has_cpus(w, nid) ? &w->node_cpus[nid] : &w->allowed);
}

uint64_t work_first_value(const struct work *w, const struct work_buf *b,
			  size_t word)
{
	return (word + 1) * 0x9e3779b97f4a7c15u + (uint64_t)(b - w->bufs);
}

static void touch(const struct work *w, struct work_buf *b, size_t from,
		  size_t to)
{
	for (size_t i = from / sizeof(uint64_t); i < to / sizeof(uint64_t); i++)
		b->mem[i] = work_first_value(w, b, i);
}

/* Put [from, to) of a buffer on a node and leave no policy behind. */
static void touch_on(const struct work *w, struct work_buf *b, int nid,
		     size_t from, size_t to)
{
	struct work_set node = {{0}};

	if (work_has_cpus(w, nid)) {
		work_use_node(w, nid);
		touch(w, b, from, to);
		return;
	}
	set_add(&node, nid);
	if (syscall(SYS_set_mempolicy, MPOL_BIND, &node, WORK_SET_BITS))
		work_die(WORK_SETUP, "set_mempolicy on node %d: %m", nid);
	touch(w, b, from, to);
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
}

/* Memory of its own mapping, aligned for THP, with PROT_NONE on both sides. */
static void *map_alone(size_t bytes)
{
	char *raw = mmap(NULL, bytes + 2 * HUGE_BYTES, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *mem = (char *)(((uintptr_t)raw + HUGE_BYTES) & ~(HUGE_BYTES - 1));

	if (raw == MAP_FAILED ||
	    mmap(mem, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != mem)
		work_die(WORK_SETUP, "mmap of %zu MiB: %m", bytes >> 20);
	return mem;
}

static void bind_buf(const struct work *w, const struct work_buf *b)
{
	struct work_set nodes = {{0}};
	int mode = MPOL_BIND;

	if (b->nid >= 0) {
		set_add(&nodes, b->nid);
	} else {
		mode = MPOL_INTERLEAVE;
		for (int i = 0; i < w->nr_homes; i++)
			set_add(&nodes, w->homes[i]);
	}
	if (syscall(SYS_mbind, b->mem, w->buf_bytes, mode, &nodes,
		    WORK_SET_BITS, 0))
		work_die(WORK_SETUP, "mbind: %m");
}

/* Make and place one buffer; the first member of its first team does it. */
void work_place_buf(const struct work *w, struct work_buf *b)
{
	size_t step = b->nid == WORK_NID_INTERLEAVE ? HUGE_BYTES : w->buf_bytes;
	size_t to;

	b->mem = map_alone(w->buf_bytes);
	b->pass = calloc(w->nr_units * w->nr_lanes, sizeof(*b->pass));
	if (!b->pass)
		work_die(WORK_SETUP, "no memory");
	if (w->opts.thp != WORK_THP_DEFAULT &&
	    madvise(b->mem, w->buf_bytes,
		    w->opts.thp == WORK_THP_ON ? MADV_HUGEPAGE
					       : MADV_NOHUGEPAGE))
		work_warn("--thp has no effect: madvise: %m");
	for (size_t at = 0, i = 0; at < w->buf_bytes; at = to, i++) {
		to = at + step < w->buf_bytes ? at + step : w->buf_bytes;
		if (b->nid == WORK_NID_ANY)
			touch(w, b, at, to);
		else
			touch_on(w, b,
				 b->nid >= 0 ? b->nid
					     : w->homes[i % w->nr_homes],
				 at, to);
	}
	if (w->opts.mbind)
		bind_buf(w, b);
	if (w->opts.mlock && mlock(b->mem, w->buf_bytes))
		work_die(WORK_SETUP, "mlock of %d MiB: %m (see ulimit -l)",
			 w->opts.mb);
}

long work_node_free_mb(int nid)
{
	char path[64], line[128];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS_NODE "/node%d/meminfo", nid);
	f = fopen(path, "re");
	while (f && kb < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "Node %*d MemFree: %ld", &kb) != 1)
			kb = -1;
	if (f)
		fclose(f);
	return kb < 0 ? 0 : kb >> 10;
}

/* Take memory of a node and bind it there, so that little is left. */
void work_fill_node(const struct work_fill *fill)
{
	long free_mb = work_node_free_mb(fill->nid);
	long mb = fill->leave ? free_mb - fill->mb : fill->mb;
	struct work_set node = {{0}};
	void *mem;

	if (mb <= 0)
		return;
	if (mb > free_mb - MIN_FREE_MB)
		work_die(WORK_SETUP,
			 "--fill %d:%ld: node %d has %ld MiB free, %d "
			 "must remain",
			 fill->nid, mb, fill->nid, free_mb, MIN_FREE_MB);
	mem = map_alone((size_t)mb << 20);
	set_add(&node, fill->nid);
	if (syscall(SYS_mbind, mem, (size_t)mb << 20, MPOL_BIND, &node,
		    WORK_SET_BITS, 0))
		work_die(WORK_SETUP, "mbind on node %d: %m", fill->nid);
	memset(mem, 1, (size_t)mb << 20);
}

void work_place_apart(struct work *w)
{
	for (int i = 0; i < w->nr_teams; i++)
		w->bufs[i].nid = work_other_node(w, w->homes[i % w->nr_homes],
						 i / w->nr_homes);
}

/* Decide where threads start and where buffers go. */
void work_plan(struct work *w)
{
	const struct work_opts *o = &w->opts;
	int any_mem = 0;

	while (any_mem < w->max_nid && !work_set_has(&w->node_mem, any_mem))
		any_mem++;
	for (int i = 0; i < w->nr_teams; i++) {
		int nid = w->homes[i % w->nr_homes];

		w->bufs[i].nid =
			work_set_has(&w->node_mem, nid) ? nid : any_mem;
	}
	for (int i = 0; i < o->nr_threads; i++) {
		struct work_thread *t = &w->threads[i];

		t->w = w;
		t->id = i;
		t->team = i % w->nr_teams;
		t->member = i / w->nr_teams;
		t->rng = 88172645463325252u + i;
		t->start_nid = w->homes[t->team % w->nr_homes];
	}
	if (o->place != WORK_PLACE_RIGHT)
		w->kind->place_wrong(w);
	for (int i = 0; i < w->nr_teams; i++) {
		if (o->place == WORK_PLACE_NODE)
			w->bufs[i].nid = o->place_nid;
		else if (o->place == WORK_PLACE_INTERLEAVE)
			w->bufs[i].nid = WORK_NID_INTERLEAVE;
		else if (o->place == WORK_PLACE_FIRST_TOUCH)
			w->bufs[i].nid = WORK_NID_ANY;
	}
	for (int i = 0; i < o->nr_threads; i++) {
		struct work_thread *t = &w->threads[i];
		int nid = w->bufs[t->team].nid;

		if (o->pin == WORK_PIN_RIGHT)
			t->start_nid =
				work_has_cpus(w, nid)
					? nid
					: w->homes[t->team % w->nr_homes];
		else if (o->pin == WORK_PIN_WRONG && t->start_nid == nid)
			t->start_nid = work_other_node(w, nid, 0);
		else if (o->place == WORK_PLACE_FIRST_TOUCH)
			t->start_nid = WORK_NID_ANY;
	}
}
