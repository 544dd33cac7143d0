/* SPDX-License-Identifier: MIT */
/*
 * A process with all of its tables on the fake machine, as numabald finds it.
 */
#ifndef FAKE_PROCESS_H
#define FAKE_PROCESS_H

#include "../../lib/mech/affinity.h"
#include "../../lib/mech/arm.h"
#include "../../lib/mech/chunk.h"
#include "../../lib/nb.h"
#include "../../lib/regions.h"
#include "../../lib/tasks.h"
#include "fake_sys.h"

#include <string.h>

#define CHUNK 65536ULL
#define NOBODY 10000000 /* no thread has such an id */
#define BLOCK(n) (FAKE_BASE + (n)*NB_BLOCK_BYTES)

/* Options and counters as at the start. */
static inline void fake_process(int nr_nodes, int cpus_per_node)
{
	fake_reset();
	fake_map(FAKE_BASE, FAKE_END - FAKE_BASE, 0);
	fake_topology(&nb.topo, nr_nodes, cpus_per_node);
	nb.sys = &fake_sys;
	nb.page_bytes = FAKE_PAGE;
	nb.thp = NB_THP_NEVER;
	nb_config_defaults(&nb.cfg);
	nb.cfg.mode = NB_MODE_ON;
	nb.cfg.nodes = nb.topo.mems_allowed;
	atomic_store(&nb.state, NB_RUNNING);
	nb.pages_off = false;
	atomic_store(&nb.all_locked, false);
	memset(&nb.count, 0, sizeof(nb.count));
	memset(&nb.pass, 0, sizeof(nb.pass));
	memset(nb.why_count, 0, sizeof(nb.why_count));
	nb_rate_limit_init(&nb.rate, 0, 0);
}

/* Its tables, empty. */
static inline int fake_process_tables(void)
{
	if (nb_chunk_table_init() || nb_regions_init() || nb_tasks_init() ||
	    nb_samples_init() || nb_affinity_init(nb.sys, &nb.topo))
		return -1;
	if (!nb.migrate.pages &&
	    nb_migrate_init(&nb.migrate, nb.sys, &nb.topo, FAKE_PAGE))
		return -1;
	nb_regions_clear();
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	nb_tasks_after_fork();
	return 0;
}

#endif /* FAKE_PROCESS_H */
