/* SPDX-License-Identifier: MIT */
/*
 * plat/topology.c: machines of many shapes, as trees of files; and whether
 * libnuma sees the same in them.
 */
#include "../../lib/plat/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NODE_ROOT "/sys/devices/system/node"

static char dir[32]; /* of the test that runs; the nodes are in node/ */
static struct nb_topology topo;

static void put_file(const char *name, const char *text)
{
	char path[128];
	char *slash;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (slash = strchr(path + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void put_node_file(int nid, const char *file, const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), "node/node%d/%s", nid, file);
	put_file(name, text);
}

/* A node as the kernel shows it; @cpumap is what libnuma reads. */
static void put_node(int nid, const char *cpus, const char *cpumap, int mem_mb,
		     const char *distance)
{
	char buf[256];

	put_node_file(nid, "cpulist", cpus);
	if (cpumap)
		put_node_file(nid, "cpumap", cpumap);
	snprintf(buf, sizeof(buf),
		 "Node %d MemTotal:       %d kB\n"
		 "Node %d MemFree:        1024 kB\n",
		 nid, mem_mb * 1024, nid);
	put_node_file(nid, "meminfo", buf);
	if (distance)
		put_node_file(nid, "distance", distance);
}

static int read_made(void)
{
	char root[64];

	snprintf(root, sizeof(root), "%s/node", dir);
	memset(&topo, 0xa5, sizeof(topo));
	return nb_topology_read_sysfs(&topo, root);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/nb-topo-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int remove_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_two_nodes(void **state)
{
	(void)state;
	put_file("node/online", "0-1\n");
	put_file("node/has_memory", "0-1\n");
	put_node(0, "0-1,4\n", NULL, 100, "10 21\n");
	put_node(1, "2-3,5\n", NULL, 200, "22 10\n");
	assert_int_equal(read_made(), 0);
	assert_int_equal(topo.nr_nids, 2);
	assert_int_equal(topo.nr_cpus, 6);
	assert_true(topo.online.bits == 3 && topo.has_cpu.bits == 3);
	assert_true(topo.has_memory.bits == 3 && topo.mems_allowed.bits == 3);
	assert_int_equal(topo.distance[0][1], 21);
	assert_int_equal(topo.distance[1][0], 22);
	assert_int_equal(topo.distance[1][1], 10);
	assert_true(topo.mem_total_kb[1] == 200 * 1024);
	assert_int_equal(nb_cpu_to_nid(&topo, 4), 0);
	assert_int_equal(nb_cpu_to_nid(&topo, 5), 1);
	assert_int_equal(nb_cpu_to_nid(&topo, 6), NB_NO_NODE);
	assert_int_equal(nb_cpus_weight(&topo.node_cpus[1]), 3);
	assert_int_equal(nb_cpus_weight(&topo.cpus_allowed), 6);
	assert_true(nb_topology_is_numa(&topo));
}

/* Nodes 0, 2 and 5: rows have three columns. */
static void test_holes(void **state)
{
	(void)state;
	put_file("node/online", "0,2,5\n");
	put_node(0, "0\n", NULL, 100, "10 20 30\n");
	put_node(2, "1\n", NULL, 0, "20 10 40\n");
	put_node(5, "\n", NULL, 300, "30 40 10\n");
	assert_int_equal(read_made(), 0);
	assert_int_equal(topo.nr_nids, 6);
	assert_true(topo.online.bits == 0x25);
	assert_true(topo.has_cpu.bits == 0x05);
	assert_true(topo.has_memory.bits == 0x21);
	assert_int_equal(topo.distance[0][5], 30);
	assert_int_equal(topo.distance[2][5], 40);
	assert_int_equal(topo.distance[5][2], 40);
	assert_int_equal(topo.distance[5][0], 30);
	assert_int_equal(topo.distance[0][1], 20);
	assert_true(nb_topology_is_numa(&topo));
	/* The node without CPUs does not count: two distances are left. */
	assert_int_equal(topo.type, NB_TOPOLOGY_DIRECT);
}

static void test_offline_cpus(void **state)
{
	(void)state;
	put_file("cpu/online", "0,3\n");
	put_file("node/online", "0-1\n");
	put_node(0, "0-1\n", NULL, 100, NULL);
	put_node(1, "2-3\n", NULL, 100, NULL);
	assert_int_equal(read_made(), 0);
	assert_int_equal(nb_cpu_to_nid(&topo, 0), 0);
	assert_int_equal(nb_cpu_to_nid(&topo, 1), NB_NO_NODE);
	assert_int_equal(nb_cpu_to_nid(&topo, 2), NB_NO_NODE);
	assert_int_equal(nb_cpu_to_nid(&topo, 3), 1);
	assert_int_equal(topo.distance[0][0], 10);
	assert_int_equal(topo.distance[0][1], 20);
}

static void test_hostile(void **state)
{
	(void)state;
	put_file("node/online", "what?\n");
	put_file("node/has_memory", "0-999999\n");
	put_file("cpu/online", "\xff\xfe\n");
	put_node(0, "0-3\n", NULL, 100, "10 20\n");
	put_node(1, "2-5\n", NULL, 100, "20 -10\n");
	put_node(2, "9-1\n", NULL, 100, "99999 5 10\n");
	put_node_file(2, "meminfo", "MemTotal: 99999999999999999999999 kB");
	put_node(3, "8192\n", NULL, 100, "1");
	assert_int_equal(read_made(), 0);
	assert_true(topo.online.bits == 0xf);
	/* A CPU is on one node only. */
	assert_int_equal(nb_cpu_to_nid(&topo, 3), 0);
	assert_int_equal(nb_cpu_to_nid(&topo, 4), 1);
	assert_int_equal(nb_cpus_weight(&topo.node_cpus[1]), 2);
	assert_true(topo.has_cpu.bits == 0x3);
	assert_true(topo.has_memory.bits == 0xb);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++)
			assert_int_equal(topo.distance[i][j], i == j ? 10 : 20);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_made(), -ENODATA);
	put_file("node/online", "0-1\n");
	assert_int_equal(read_made(), -ENODATA);
	put_file("node/online", "64-70\n");
	assert_int_equal(read_made(), -ENODATA);
}

static void test_one_node(void **state)
{
	(void)state;
	put_file("node/online", "0\n");
	put_node(0, "0-7\n", NULL, 100, "10\n");
	assert_int_equal(read_made(), 0);
	assert_false(nb_topology_is_numa(&topo));
	assert_int_equal(topo.type, NB_TOPOLOGY_DIRECT);
}

static void test_classify(void **state)
{
	static const struct {
		const char *what;
		enum nb_topology_type type;
		int nr;
		uint64_t no_cpu;
		uint16_t d[16];
	} cases[] = {
		{"one", NB_TOPOLOGY_DIRECT, 1, 0, {10}},
		{"pair", NB_TOPOLOGY_DIRECT, 2, 0, {10, 21, 21, 10}},
		{"all alike",
		 NB_TOPOLOGY_DIRECT,
		 3,
		 0,
		 {10, 20, 20, 20, 10, 20, 20, 20, 10}},
		{"a ring",
		 NB_TOPOLOGY_GLUELESS_MESH,
		 4,
		 0,
		 {10, 20, 30, 20, 20, 10, 20, 30, 30, 20, 10, 20, 20, 30, 20,
		  10}},
		{"two boxes of two",
		 NB_TOPOLOGY_BACKPLANE,
		 4,
		 0,
		 {10, 20, 30, 30, 20, 10, 30, 30, 30, 30, 10, 20, 30, 30, 20,
		  10}},
		{"a line",
		 NB_TOPOLOGY_GLUELESS_MESH,
		 3,
		 0,
		 {10, 20, 30, 20, 10, 20, 30, 20, 10}},
		/* The one in the middle has no CPUs: nothing hops there. */
		{"a line, no CPUs",
		 NB_TOPOLOGY_DIRECT,
		 3,
		 0x2,
		 {10, 20, 30, 20, 10, 20, 30, 20, 10}},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(cases); i++) {
		int nr = cases[i].nr;
		uint64_t nodes = (1ULL << nr) - 1;

		memset(&topo, 0, sizeof(topo));
		topo.online.bits = nodes;
		topo.has_cpu.bits = nodes & ~cases[i].no_cpu;
		for (int a = 0; a < nr; a++)
			for (int b = 0; b < nr; b++)
				topo.distance[a][b] = cases[i].d[a * nr + b];
		if (nb_topology_classify(&topo) != cases[i].type)
			fail_msg("%s: not %s", cases[i].what,
				 nb_topology_type_name(cases[i].type));
	}
}

static void test_is_numa(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	topo.online.bits = topo.has_memory.bits = topo.mems_allowed.bits = 3;
	assert_true(nb_topology_is_numa(&topo));
	topo.mems_allowed.bits = 1;
	assert_false(nb_topology_is_numa(&topo));
	topo.mems_allowed.bits = 3;
	topo.has_memory.bits = 2;
	assert_false(nb_topology_is_numa(&topo));
}

/* The machine we are on: what both readers and this process say of it. */
static void test_this_machine(void **state)
{
	static struct nb_topology by_libnuma;
	cpu_set_t set;

	(void)state;
	assert_int_equal(nb_topology_read(&topo), 0);
	assert_true(topo.nr_nids >= 1 && topo.has_cpu.bits);
	assert_true(topo.mems_allowed.bits);
	assert_false(topo.mems_allowed.bits & ~topo.online.bits);
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set)) {
			assert_true(nb_cpu_isset(&topo.cpus_allowed, cpu));
			assert_true(nb_cpu_to_nid(&topo, cpu) >= 0);
		}
	if (nb_topology_read_sysfs(&topo, NODE_ROOT))
		skip();
	by_libnuma = topo;
	if (nb_topology_read_libnuma(&by_libnuma) == -ENOENT)
		skip();
	assert_memory_equal(&by_libnuma, &topo, sizeof(topo));
}

/* In a mount namespace of its own: 0 agree, 1 differ, 77 not possible. */
static int compare_readers(void)
{
	static struct nb_topology a, b, whole;
	char root[64];

	snprintf(root, sizeof(root), "%s/node", dir);
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(root, NODE_ROOT, NULL, MS_BIND, NULL))
		return 77;
	if (nb_topology_read_sysfs(&a, NODE_ROOT))
		return 1;
	b = a;
	/* So that what libnuma does not replace shows. */
	memset(b.distance, 0, sizeof(b.distance));
	memset(b.mem_total_kb, 0, sizeof(b.mem_total_kb));
	memset(b.node_cpus, 0, sizeof(b.node_cpus));
	if (nb_topology_read_libnuma(&b) == -ENOENT)
		return 77;
	for (int i = 0; i < NB_MAX_NODES; i++)
		for (int j = 0; j < NB_MAX_NODES; j++)
			if (!nb_node_isset(&a.online, i) ||
			    !nb_node_isset(&a.online, j))
				b.distance[i][j] = a.distance[i][j];
	if (memcmp(&a, &b, sizeof(a)))
		return 1;
	if (nb_topology_read(&whole) || whole.type != a.type)
		return 1;
	return memcmp(whole.distance, a.distance, sizeof(a.distance)) != 0;
}

static void check_readers(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(compare_readers());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_libnuma_two(void **state)
{
	(void)state;
	put_file("node/online", "0-1\n");
	put_file("node/has_memory", "0-1\n");
	put_node(0, "0\n", "00000001\n", 100, "10 21\n");
	put_node(1, "1\n", "00000002\n", 200, "22 10\n");
	check_readers();
}

static void test_libnuma_holes(void **state)
{
	(void)state;
	put_file("node/online", "0,2,5\n");
	put_file("node/has_memory", "0,5\n");
	put_node(0, "0\n", "00000001\n", 100, "10 20 30\n");
	put_node(2, "1\n", "00000002\n", 0, "20 10 40\n");
	put_node(5, "\n", "00000000\n", 300, "30 40 10\n");
	check_readers();
}

#define TREE_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(test_two_nodes),
		TREE_TEST(test_holes),
		TREE_TEST(test_offline_cpus),
		TREE_TEST(test_hostile),
		TREE_TEST(test_nothing),
		TREE_TEST(test_one_node),
		cmocka_unit_test(test_classify),
		cmocka_unit_test(test_is_numa),
		TREE_TEST(test_libnuma_two),
		TREE_TEST(test_libnuma_holes),
		/* Last: libnuma stays loaded, with this machine in it. */
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
