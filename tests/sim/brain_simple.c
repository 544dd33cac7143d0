/* SPDX-License-Identifier: MIT */
/*
 * Brains that do not think: never move anything, and spread all memory evenly
 * over the nodes that have some, as `numactl --interleave=all` does.
 */
#include "brains.h"

#include <assert.h>
#include <stdlib.h>

const struct sim_brain sim_brain_never = {
	.name = "never",
	.doc = "memory where it was first used, threads where they run",
};

struct interleave {
	struct sim *s;
	int next;
};

static void *interleave_init(struct sim *s)
{
	struct interleave *il = calloc(1, sizeof(*il));

	assert(il);
	il->s = s;
	return il;
}

static int interleave_nid(void *ctx, uint32_t page, int nid)
{
	struct interleave *il = ctx;

	(void)page;
	(void)nid;
	il->next = (il->next + 1) % il->s->m.nr_nodes;
	return il->next;
}

const struct sim_brain sim_brain_interleave = {
	.name = "interleave",
	.doc = "each page on the next node, from the start",
	.init = interleave_init,
	.fini = free,
	.alloc_nid = interleave_nid,
};

const struct sim_brain *const sim_brains[] = {
	&sim_brain_never,   &sim_brain_interleave, &sim_brain_kernel,
	&sim_brain_numabal, &sim_brain_perfect,
};

const unsigned int sim_nr_brains = nb_array_size(sim_brains);
