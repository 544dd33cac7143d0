/* SPDX-License-Identifier: MIT */
/*
 * libnuma and /sys -> struct nb_topology, once, at start.
 *
 * Two readers that agree: our own of /sys/devices/system/node, which is also
 * what tests feed with made-up machines, and libnuma.  libnuma is opened only
 * where there is more than one node, and late: it is not to be in the way of
 * a program on an ordinary machine, nor to print or exit, which it does about
 * a /sys that it does not understand.  So ours looks first.
 *
 * Nothing read is trusted: holes in the numbering, nodes without CPUs or
 * memory, missing files and nonsense give a smaller topology, never an error.
 * Without /sys the machine is one node with all CPUs.
 *
 * Owns nothing.  Called by start, by tests and by `numabal topo`.
 */
#include "topology.h"

#include "../base/parse.h"
#include "arena.h"
#include "log.h"
#include "sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define NODE_ROOT "/sys/devices/system/node"
/* Linux: REMOTE_DISTANCE, where the firmware says nothing. */
#define REMOTE_DISTANCE 20
/* A list of every other one of NB_MAX_CPUS CPUs takes 20 KiB. */
#define FILE_BYTES (64 * 1024)
/* More nodes than any kernel has: less is refused by get_mempolicy(2). */
#define KERNEL_NODES 4096

/* What the readers share while they work. */
struct reader {
	struct nb_topology *t;
	const char *root;
	char *buf; /* FILE_BYTES */
};

/* Read @file of node @nid; of no node if that is NB_NO_NODE. */
static long read_at(struct reader *r, const char *file, int nid)
{
	struct nb_text t;
	char path[512];

	nb_text_init(&t, path, sizeof(path));
	nb_text_add(&t, "%s/", r->root);
	if (nid >= 0)
		nb_text_add(&t, "node%d/", nid);
	nb_text_add(&t, "%s", file);
	if (t.len >= t.size)
		return -ENAMETOOLONG;
	return nb_sys_linux.read_file(path, r->buf, FILE_BYTES);
}

/* An empty list is a valid one here: a node without CPUs. */
static bool empty_list(const char *s)
{
	return !*s || *s == '\n';
}

static bool read_nodes(struct reader *r, const char *file,
		       struct nb_nodemask *mask)
{
	if (read_at(r, file, NB_NO_NODE) < 0)
		return false;
	mask->bits = 0;
	return empty_list(r->buf) || !nb_parse_nodelist(r->buf, mask);
}

static void clear(struct nb_topology *t)
{
	memset(t, 0, sizeof(*t));
	for (int i = 0; i < NB_MAX_CPUS; i++)
		t->cpu_to_nid[i] = NB_NO_NODE;
	for (int i = 0; i < NB_MAX_NODES; i++)
		for (int j = 0; j < NB_MAX_NODES; j++)
			t->distance[i][j] =
				i == j ? NB_LOCAL_DISTANCE : REMOTE_DISTANCE;
}

/* Without a list of nodes: those that have a list of CPUs. */
static void probe_nodes(struct reader *r)
{
	for (int nid = 0; nid < NB_MAX_NODES; nid++)
		if (read_at(r, "cpulist", nid) >= 0)
			nb_node_set(&r->t->online, nid);
}

/* Give @nid the CPUs of @cpus; a CPU is on one node, the first that has it. */
static void set_node_cpus(struct nb_topology *t, int nid,
			  const struct nb_cpumask *cpus)
{
	int cpu;

	nb_for_each_cpu (cpu, cpus) {
		if (t->cpu_to_nid[cpu] != NB_NO_NODE)
			continue;
		t->cpu_to_nid[cpu] = (int16_t)nid;
		nb_cpu_set(&t->node_cpus[nid], cpu);
		nb_node_set(&t->has_cpu, nid);
		t->nr_cpus = nb_max(t->nr_cpus, cpu + 1);
	}
}

static void read_cpus(struct reader *r)
{
	struct nb_cpumask online, cpus;
	bool know_online;
	int nid;

	/* Kernels differ in whether a node lists its CPUs that are offline. */
	know_online = read_at(r, "../cpu/online", NB_NO_NODE) >= 0 &&
		      !nb_parse_cpulist(r->buf, &online);
	nb_for_each_nid (nid, &r->t->online) {
		if (read_at(r, "cpulist", nid) < 0 || empty_list(r->buf) ||
		    nb_parse_cpulist(r->buf, &cpus))
			continue;
		if (know_online)
			nb_cpus_and(&cpus, &cpus, &online);
		set_node_cpus(r->t, nid, &cpus);
	}
}

static uint64_t parse_mem_total(const char *meminfo)
{
	const char *p = strstr(meminfo, "MemTotal:");
	uint64_t kb;

	if (!p)
		return 0;
	p += strlen("MemTotal:");
	while (*p == ' ')
		p++;
	return nb_parse_u64(p, &p, &kb) ? 0 : kb;
}

static void read_memory(struct reader *r)
{
	struct nb_topology *t = r->t;
	struct nb_nodemask mask;
	int nid;

	nb_for_each_nid (nid, &t->online) {
		if (read_at(r, "meminfo", nid) >= 0)
			t->mem_total_kb[nid] = parse_mem_total(r->buf);
		if (t->mem_total_kb[nid])
			nb_node_set(&t->has_memory, nid);
	}
	if (read_nodes(r, "has_memory", &mask))
		t->has_memory.bits = mask.bits & t->online.bits;
}

/*
 * A node's row has a column for each node that is online.  A row that does
 * not fit is as good as none.
 */
static void read_distance_row(struct reader *r, int nid)
{
	struct nb_topology *t = r->t;
	uint16_t row[NB_MAX_NODES];
	const char *p = r->buf;
	uint64_t d;
	int to;

	if (read_at(r, "distance", nid) < 0)
		return;
	memcpy(row, t->distance[nid], sizeof(row));
	nb_for_each_nid (to, &t->online) {
		while (*p == ' ')
			p++;
		if (nb_parse_u64(p, &p, &d) || d < NB_LOCAL_DISTANCE ||
		    d > UINT16_MAX || (to == nid && d != NB_LOCAL_DISTANCE))
			return;
		row[to] = (uint16_t)d;
	}
	while (*p == ' ' || *p == '\n')
		p++;
	if (!*p)
		memcpy(t->distance[nid], row, sizeof(row));
}

/* As long as nobody has said otherwise, everything may be used. */
static void allow_all(struct nb_topology *t)
{
	int nid;

	t->mems_allowed = t->online;
	nb_for_each_nid (nid, &t->online)
		for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
			t->cpus_allowed.bits[i] |= t->node_cpus[nid].bits[i];
}

static int read_tree(struct reader *r)
{
	struct nb_topology *t = r->t;
	int nid;

	if (!read_nodes(r, "online", &t->online) || !t->online.bits)
		probe_nodes(r);
	read_cpus(r);
	if (!t->has_cpu.bits)
		return -ENODATA;
	read_memory(r);
	nb_for_each_nid (nid, &t->online) {
		read_distance_row(r, nid);
		t->nr_nids = nid + 1;
	}
	allow_all(t);
	t->type = nb_topology_classify(t);
	return 0;
}

/**
 * nb_topology_read_sysfs() - read a machine from a tree of files
 * @t: the machine; everything that it has is allowed
 * @root: as /sys/devices/system/node; "../cpu/online" is used if it is there
 *
 * Context: Start only.
 * Return: 0; -ENODATA: no node with a CPU in it; -ENOMEM.
 */
int nb_topology_read_sysfs(struct nb_topology *t, const char *root)
{
	struct reader r = {.t = t, .root = root};
	int err;

	clear(t);
	r.buf = nb_arena_map(FILE_BYTES);
	if (!r.buf)
		return -ENOMEM;
	err = read_tree(&r);
	nb_arena_unmap(r.buf, FILE_BYTES);
	return err;
}

struct bitmask;

/* X(return type, name, parameters): what we use of libnuma */
#define LIBNUMA(X)                                                             \
	X(int, numa_available, (void))                                         \
	X(int, numa_max_node, (void))                                          \
	X(int, numa_distance, (int, int))                                      \
	X(long long, numa_node_size64, (int, long long *))                     \
	X(int, numa_node_to_cpus, (int, struct bitmask *))                     \
	X(struct bitmask *, numa_allocate_cpumask, (void))                     \
	X(int, numa_bitmask_isbitset, (const struct bitmask *, unsigned int))  \
	X(unsigned int, numa_bitmask_nbytes, (struct bitmask *))               \
	X(void, numa_bitmask_free, (struct bitmask *))

struct libnuma {
	void *handle;
#define LIBNUMA_POINTER(ret, name, params) ret(*name) params;
	LIBNUMA(LIBNUMA_POINTER)
#undef LIBNUMA_POINTER
};

static int libnuma_open(struct libnuma *n)
{
	void *sym;

	n->handle = dlopen("libnuma.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!n->handle)
		return -ENOENT;
#define LIBNUMA_LOOKUP(ret, name, params)                                      \
	sym = dlsym(n->handle, #name);                                         \
	if (!sym)                                                              \
		goto out_close;                                                \
	memcpy(&n->name, &sym, sizeof(sym));
	LIBNUMA(LIBNUMA_LOOKUP)
#undef LIBNUMA_LOOKUP
	if (n->numa_available() >= 0)
		return 0;
out_close:
	dlclose(n->handle);
	return -ENOENT;
}

static void libnuma_cpus(const struct libnuma *n, struct nb_topology *t)
{
	static struct nb_cpumask cpus[NB_MAX_NODES];
	struct bitmask *bm = n->numa_allocate_cpumask();
	unsigned int nr;
	int nid, cpu;

	if (!bm)
		return;
	nr = n->numa_bitmask_nbytes(bm) * 8;
	nb_for_each_nid (nid, &t->online) {
		memset(&cpus[nid], 0, sizeof(cpus[nid]));
		if (n->numa_node_to_cpus(nid, bm))
			goto out_free;
		/* Only those that we know to be online. */
		nb_for_each_cpu (cpu, &t->cpus_allowed)
			if ((unsigned int)cpu < nr &&
			    n->numa_bitmask_isbitset(bm, (unsigned int)cpu))
				nb_cpu_set(&cpus[nid], cpu);
	}
	for (int i = 0; i < NB_MAX_CPUS; i++)
		t->cpu_to_nid[i] = NB_NO_NODE;
	memset(t->node_cpus, 0, sizeof(t->node_cpus));
	t->has_cpu.bits = 0;
	t->nr_cpus = 0;
	nb_for_each_nid (nid, &t->online)
		set_node_cpus(t, nid, &cpus[nid]);
out_free:
	n->numa_bitmask_free(bm);
}

/**
 * nb_topology_read_libnuma() - read what libnuma says of this machine
 * @t: the machine as nb_topology_read_sysfs() has read it; what libnuma
 *     knows replaces what it holds
 *
 * libnuma stays loaded: it does not free what it allocates, which a leak
 * checker in the program would report once nothing points to it any more.
 *
 * Context: Start only: libnuma uses malloc.
 * Return: 0; -ENOENT: there is no libnuma, or it knows nothing; @t is then
 * unchanged.
 */
int nb_topology_read_libnuma(struct nb_topology *t)
{
	struct libnuma n;
	int from, to;

	if (libnuma_open(&n))
		return -ENOENT;
	if (n.numa_max_node() + 1 != t->nr_nids)
		return -ENOENT;
	libnuma_cpus(&n, t);
	nb_for_each_nid (from, &t->online) {
		long long bytes = n.numa_node_size64(from, NULL);

		if (bytes > 0)
			t->mem_total_kb[from] = (uint64_t)bytes / 1024;
		nb_for_each_nid (to, &t->online) {
			int d = n.numa_distance(from, to);

			if (d >= NB_LOCAL_DISTANCE && d <= UINT16_MAX)
				t->distance[from][to] = (uint16_t)d;
		}
	}
	t->type = nb_topology_classify(t);
	return 0;
}

/* A machine that says nothing of itself: one node. */
static void single_node(struct nb_topology *t)
{
	struct nb_cpumask cpus;
	int cpu, last = 0;

	clear(t);
	if (nb_sys_linux.sched_getaffinity(0, &cpus) < 0 ||
	    nb_cpus_empty(&cpus)) {
		memset(&cpus, 0, sizeof(cpus));
		nb_cpu_set(&cpus, 0);
	}
	nb_for_each_cpu (cpu, &cpus)
		last = cpu;
	/* Threads of other masks may run on those between: no other node. */
	for (cpu = 0; cpu < last; cpu++)
		nb_cpu_set(&cpus, cpu);
	nb_node_set(&t->online, 0);
	t->has_memory = t->online;
	t->nr_nids = 1;
	set_node_cpus(t, 0, &cpus);
	allow_all(t);
	t->type = NB_TOPOLOGY_DIRECT;
}

/* "Mems_allowed_list:" of /proc: where get_mempolicy(2) is forbidden. */
static bool mems_allowed_status(struct nb_nodemask *mask)
{
	static const char key[] = "\nMems_allowed_list:\t";
	char *buf = nb_arena_map(FILE_BYTES);
	char *p = NULL, *end;
	bool ok = false;

	if (!buf)
		return false;
	if (nb_sys_linux.read_file("/proc/thread-self/status", buf,
				   FILE_BYTES) >= 0)
		p = strstr(buf, key);
	if (p) {
		p += strlen(key);
		end = strchr(p, '\n');
		if (end)
			*end = '\0';
		ok = !nb_parse_nodelist(p, mask);
	}
	nb_arena_unmap(buf, FILE_BYTES);
	return ok;
}

static void read_mems_allowed(struct nb_topology *t)
{
	unsigned long bits[KERNEL_NODES / (8 * sizeof(unsigned long))] = {0};
	struct nb_nodemask mask = {0};
	long ret;

	ret = nb_syscall6(SYS_get_mempolicy, 0, (long)bits, KERNEL_NODES, 0,
			  MPOL_F_MEMS_ALLOWED, 0);
	if (ret >= 0) {
		for (int nid = 0; nid < NB_MAX_NODES; nid++)
			if (bits[nid / NB_LONG_BITS] >> (nid % NB_LONG_BITS) &
			    1)
				nb_node_set(&mask, nid);
	} else if (!mems_allowed_status(&mask)) {
		return;
	}
	/* None at all is not possible: then the answer was not one. */
	if (mask.bits & t->online.bits)
		t->mems_allowed.bits = mask.bits & t->online.bits;
}

static void read_cpus_allowed(struct nb_topology *t)
{
	struct nb_cpumask cpus;

	if (nb_sys_linux.sched_getaffinity(0, &cpus) < 0)
		return;
	nb_cpus_and(&cpus, &cpus, &t->cpus_allowed);
	if (!nb_cpus_empty(&cpus))
		t->cpus_allowed = cpus;
}

/**
 * nb_topology_read() - read this machine, as this process may use it
 * @t: the machine
 *
 * The CPUs allowed are those of the calling thread.
 *
 * Context: Start only; on a machine with several nodes it may use malloc.
 * Return: 0; -ENOMEM.
 */
int nb_topology_read(struct nb_topology *t)
{
	int err = nb_topology_read_sysfs(t, NODE_ROOT);

	if (err == -ENOMEM)
		return err;
	if (err)
		single_node(t);
	if (nb_nodes_weight(&t->online) > 1)
		nb_topology_read_libnuma(t);
	read_mems_allowed(t);
	read_cpus_allowed(t);
	return 0;
}

static bool seen_before(const uint16_t *seen, int nr, uint16_t d)
{
	while (nr--)
		if (seen[nr] == d)
			return true;
	return false;
}

/* Distinct distances between nodes with CPUs, up to three, and the largest. */
static int count_distances(const struct nb_topology *t, uint16_t *max)
{
	uint16_t seen[3];
	int a, b, nr = 0;

	*max = NB_LOCAL_DISTANCE;
	nb_for_each_nid (a, &t->has_cpu) {
		nb_for_each_nid (b, &t->has_cpu) {
			uint16_t d = t->distance[a][b];

			*max = nb_max(*max, d);
			if (nr < 3 && !seen_before(seen, nr, d))
				seen[nr++] = d;
		}
	}
	return nr;
}

/**
 * nb_topology_classify() - how the nodes are connected
 * @t: the machine; only nodes with CPUs count
 *
 * With at most two distances every node is a neighbour of each other one.
 * Else the first pair that is farthest apart decides: if some node is nearer
 * to both, traffic hops over nodes (glueless mesh); if not, there is something
 * between groups of nodes that is none itself (backplane).
 *
 * Context: Anywhere.
 * Return: the type.
 */
enum nb_topology_type nb_topology_classify(const struct nb_topology *t)
{
	uint16_t max;
	int a, b, c;

	if (count_distances(t, &max) <= 2)
		return NB_TOPOLOGY_DIRECT;
	nb_for_each_nid (a, &t->has_cpu) {
		nb_for_each_nid (b, &t->has_cpu) {
			if (t->distance[a][b] < max)
				continue;
			nb_for_each_nid (c, &t->has_cpu)
				if (t->distance[a][c] < max &&
				    t->distance[b][c] < max)
					return NB_TOPOLOGY_GLUELESS_MESH;
			return NB_TOPOLOGY_BACKPLANE;
		}
	}
	return NB_TOPOLOGY_DIRECT;
}

/**
 * nb_topology_type_name() - the name of a type, as JSON and tools have it
 * @type: the type
 *
 * Context: Anywhere.
 * Return: a constant.
 */
const char *nb_topology_type_name(enum nb_topology_type type)
{
	switch (type) {
	case NB_TOPOLOGY_DIRECT:
		return "direct";
	case NB_TOPOLOGY_GLUELESS_MESH:
		return "glueless-mesh";
	case NB_TOPOLOGY_BACKPLANE:
		return "backplane";
	}
	return "unknown";
}

/**
 * nb_topology_is_numa() - is there anything to balance?
 * @t: the machine
 *
 * Context: Anywhere.
 * Return: true if the process may use memory of two nodes or more.
 */
bool nb_topology_is_numa(const struct nb_topology *t)
{
	struct nb_nodemask mask = {t->mems_allowed.bits & t->has_memory.bits};

	return nb_nodes_weight(&mask) >= 2;
}
