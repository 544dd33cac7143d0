/* SPDX-License-Identifier: MIT */
/*
 * numabal topo: the machine as numabal sees it, and what the kernel does of
 * its own: for people, or as JSON with -j.
 *
 * Shows what lib/plat/topology.c reads, and nothing that it does not, so that
 * a wrong decision can be traced to a wrong picture.  Called by numabal.c.
 */
#include "cmd.h"

#include "../lib/plat/features.h"
#include "../lib/plat/log.h"
#include "../lib/plat/sys.h"
#include "../lib/plat/topology.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define EXIT_USAGE 2

/* A list of every other one of NB_MAX_CPUS CPUs fits. */
#define LIST_BYTES (32 * 1024)

static const char *cpulist(const struct nb_cpumask *mask)
{
	static char buf[LIST_BYTES];
	struct nb_text t;

	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add_cpulist(&t, mask);
	return buf;
}

static const char *nodelist(const struct nb_nodemask *mask)
{
	static char buf[256];
	struct nb_text t;

	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add_nodelist(&t, mask);
	return buf;
}

static const char *thp_name(void)
{
	switch (nb_thp_mode()) {
	case NB_THP_ALWAYS:
		return "always";
	case NB_THP_MADVISE:
		return "madvise";
	case NB_THP_NEVER:
		break;
	}
	return "never";
}

/* Free memory of a node; false when the kernel does not tell. */
static bool mem_free_kb(int nid, uint64_t *kb)
{
	uint64_t bytes;

	if (nb_sys_linux.node_free_bytes(nid, &bytes) < 0)
		return false;
	*kb = bytes / 1024;
	return true;
}

static const char *json_bool(bool b)
{
	return b ? "true" : "false";
}

static void json_node(const struct nb_topology *t, int nid)
{
	uint64_t free_kb;

	printf("{\"nid\":%d,\"cpus\":\"%s\",\"mem_total_kb\":%llu,", nid,
	       cpulist(&t->node_cpus[nid]),
	       (unsigned long long)t->mem_total_kb[nid]);
	if (mem_free_kb(nid, &free_kb))
		printf("\"mem_free_kb\":%llu,", (unsigned long long)free_kb);
	else
		printf("\"mem_free_kb\":null,");
	printf("\"has_cpu\":%s,\"has_memory\":%s,\"allowed\":%s}",
	       json_bool(nb_node_isset(&t->has_cpu, nid)),
	       json_bool(nb_node_isset(&t->has_memory, nid)),
	       json_bool(nb_node_isset(&t->mems_allowed, nid)));
}

/* Rows and columns are the nodes of "nodes", in that order. */
static void json_distances(const struct nb_topology *t)
{
	const char *row = "";
	int from, to;

	nb_for_each_nid (from, &t->online) {
		const char *comma = "";

		printf("%s[", row);
		nb_for_each_nid (to, &t->online) {
			printf("%s%d", comma, t->distance[from][to]);
			comma = ",";
		}
		printf("]");
		row = ",";
	}
}

static void print_json(const struct nb_topology *t)
{
	int balancing = nb_kernel_numa_balancing();
	const char *comma = "";
	int nid;

	printf("{\"schema\":\"numabal.topo/1\",\"nodes\":[");
	nb_for_each_nid (nid, &t->online) {
		printf("%s", comma);
		json_node(t, nid);
		comma = ",";
	}
	printf("],\"distances\":[");
	json_distances(t);
	printf("],\"type\":\"%s\",", nb_topology_type_name(t->type));
	if (balancing < 0)
		printf("\"kernel_numa_balancing\":null,");
	else
		printf("\"kernel_numa_balancing\":%d,", balancing);
	printf("\"thp\":\"%s\",\"nodes_allowed\":\"%s\",", thp_name(),
	       nodelist(&t->mems_allowed));
	printf("\"cpus_allowed\":\"%s\"}\n", cpulist(&t->cpus_allowed));
}

static const char *node_note(const struct nb_topology *t, int nid)
{
	if (!nb_node_isset(&t->has_cpu, nid))
		return "  no CPUs";
	if (!nb_node_isset(&t->has_memory, nid))
		return "  no memory";
	if (!nb_node_isset(&t->mems_allowed, nid))
		return "  not allowed";
	return "";
}

static void print_nodes(const struct nb_topology *t)
{
	uint64_t free_kb;
	int width = 4;
	int nid;

	nb_for_each_nid (nid, &t->online)
		width = nb_max(width, (int)strlen(cpulist(&t->node_cpus[nid])));
	printf("node  %-*s  memory MiB  free MiB\n", width, "cpus");
	nb_for_each_nid (nid, &t->online) {
		const char *cpus = cpulist(&t->node_cpus[nid]);

		printf("%4d  %-*s  %10llu  ", nid, width, *cpus ? cpus : "-",
		       (unsigned long long)t->mem_total_kb[nid] / 1024);
		if (mem_free_kb(nid, &free_kb))
			printf("%8llu", (unsigned long long)free_kb / 1024);
		else
			printf("%8s", "?");
		printf("%s\n", node_note(t, nid));
	}
}

static void print_distances(const struct nb_topology *t)
{
	int from, to;

	if (nb_nodes_weight(&t->online) < 2)
		return;
	printf("\ndistance");
	nb_for_each_nid (to, &t->online)
		printf(" %5d", to);
	printf("\n");
	nb_for_each_nid (from, &t->online) {
		printf("%8d", from);
		nb_for_each_nid (to, &t->online)
			printf(" %5d", t->distance[from][to]);
		printf("\n");
	}
}

static void print_text(const struct nb_topology *t)
{
	int balancing = nb_kernel_numa_balancing();

	print_nodes(t);
	print_distances(t);
	printf("\ntopology          %s\n",
	       nb_nodes_weight(&t->online) < 2
		       ? "one node: nothing to balance"
		       : nb_topology_type_name(t->type));
	printf("allowed           nodes %s, ", nodelist(&t->mems_allowed));
	printf("CPUs %s\n", cpulist(&t->cpus_allowed));
	printf("kernel balancing  %s\n",
	       balancing > 0	? "on (kernel.numa_balancing)"
	       : balancing == 0 ? "off"
				: "not in this kernel");
	printf("huge pages        %s\n", thp_name());
}

static void print_usage(FILE *f)
{
	fprintf(f, "Usage: numabal topo [-j]\n"
		   "Show this machine's NUMA nodes as numabal sees them.\n"
		   "\n"
		   "  -j, --json  print JSON (schema numabal.topo/1)\n"
		   "  -h, --help  print this help\n");
}

static int flush_stdout(void)
{
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "numabal: topo: cannot write: %s\n",
			strerror(errno));
		return 1;
	}
	return 0;
}

/* optopt is 0 for an unknown long option. */
static int bad_option(char **argv)
{
	if (optopt)
		fprintf(stderr, "numabal: topo: unknown option '-%c'\n",
			optopt);
	else
		fprintf(stderr, "numabal: topo: unknown option '%s'\n",
			argv[optind - 1]);
	return EXIT_USAGE;
}

/**
 * cmd_topo() - numabal topo
 * @argc: number of arguments, the name included
 * @argv: arguments
 *
 * Return: the exit status: 0; 1 failed; 2 wrong usage.
 */
int cmd_topo(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	static struct nb_topology t;
	bool json = false;
	int c, err;

	/* 0 and not 1: numabal.c has parsed its own options already. */
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "hj", options, NULL)) != -1) {
		if (c == 'h') {
			print_usage(stdout);
			return flush_stdout();
		}
		if (c != 'j')
			return bad_option(argv);
		json = true;
	}
	if (optind < argc) {
		fprintf(stderr, "numabal: topo: unexpected argument '%s'\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	err = nb_topology_read(&t);
	if (err) {
		fprintf(stderr, "numabal: topo: cannot read the topology: %s\n",
			strerror(-err));
		return 1;
	}
	if (json)
		print_json(&t);
	else
		print_text(&t);
	return flush_stdout();
}
