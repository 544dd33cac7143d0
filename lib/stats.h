/* SPDX-License-Identifier: MIT */
/*
 * Statistics as text for programs and for people.
 */
#ifndef NB_STATS_H
#define NB_STATS_H

#include "plat/log.h"

struct nb_stats_pages {
	uint64_t resident[64]; /* pages per node */
	bool sampled;
};

void nb_stats_json(struct nb_text *t, const struct nb_stats_pages *pages);
void nb_stats_text(struct nb_text *t, const struct nb_stats_pages *pages);
void nb_stats_expand_path(const char *tmpl, char *out, size_t size);
void nb_stats_output_path(const char *tmpl, char *path, size_t size);
const char *nb_state_name(int state);

#endif /* NB_STATS_H */
