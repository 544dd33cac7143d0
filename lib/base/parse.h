/* SPDX-License-Identifier: MIT */
/*
 * Text -> values.  Nothing here allocates, or reads past the NUL.  Every
 * function returns 0 or -errno, and on an error leaves its result untouched.
 */
#ifndef NB_PARSE_H
#define NB_PARSE_H

#include "nodemask.h"
#include "vma.h"

int nb_parse_u64(const char *s, const char **end, uint64_t *v);
int nb_parse_hex(const char *s, const char **end, uint64_t *v);

/* What a number in an option stands for, and in which unit it is kept. */
enum nb_unit {
	NB_UNIT_NONE,
	NB_UNIT_MS,
	NB_UNIT_US,
	NB_UNIT_KB,
	NB_UNIT_MB,
	NB_UNIT_MBPS,
	NB_UNIT_PCT,
};

int nb_parse_quantity(const char *s, enum nb_unit unit, uint64_t *v);
int nb_parse_bool(const char *s, bool *v);
int nb_parse_cpulist(const char *s, struct nb_cpumask *mask);
int nb_parse_nodelist(const char *s, struct nb_nodemask *mask);
uint32_t nb_vma_name_flags(const char *name);
int nb_parse_maps_line(const char *line, struct nb_vma *vma, const char **name);
bool nb_glob_match(const char *pattern, const char *s);
bool nb_glob_list_match(const char *list, const char *s);

#endif /* NB_PARSE_H */
