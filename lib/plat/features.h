/* SPDX-License-Identifier: MIT */
/*
 * What this kernel and container let us do: asked once, at start.
 */
#ifndef NB_FEATURES_H
#define NB_FEATURES_H

#include "../base/util.h"

/* X(name, what it is for) */
#define NB_FEATURES(X)                                                         \
	X(proc, "/proc of this process")                                       \
	X(move_pages, "ask where pages are and move them")                     \
	X(setaffinity, "re-pin threads")                                       \
	X(mempolicy, "see explicit memory policies")                           \
	X(procmap_query, "look up one mapping without reading them all")

enum nb_feature {
#define NB_FEATURE_ENUM(name, doc) NB_FEATURE_##name,
	NB_FEATURES(NB_FEATURE_ENUM)
#undef NB_FEATURE_ENUM
		NB_NR_FEATURES
};

struct nb_feature_state {
	const char *name;
	const char *doc;
	int err; /* 0: there; else -errno of the probe */
};

void nb_features_probe(struct nb_feature_state f[NB_NR_FEATURES]);
/* kernel.numa_balancing: its value, or -errno (-ENOENT: not built in) */
int nb_kernel_numa_balancing(void);

enum nb_thp_mode { NB_THP_NEVER, NB_THP_MADVISE, NB_THP_ALWAYS };
enum nb_thp_mode nb_thp_mode(void);

#endif /* NB_FEATURES_H */
