/* SPDX-License-Identifier: MIT */
/*
 * Options: one table for the environment, numabal_opts and `numabal run -o`.
 */
#ifndef NB_CONFIG_H
#define NB_CONFIG_H

#include "base/nodemask.h"
#include "base/parse.h"

#define NB_CONFIG_STR 256
/* Longest error line, with its NUL; a shorter buffer cuts it. */
#define NB_CONFIG_ERR 384
/* At least as many as the table in config.c has. */
#define NB_CONFIG_OPTIONS 32

enum nb_mode { NB_MODE_OFF, NB_MODE_ON, NB_MODE_OBSERVE };
enum nb_guard {
	NB_GUARD_AUTO,
	NB_GUARD_BRACKET,
	NB_GUARD_CONSERVATIVE,
	NB_GUARD_OFF
};
enum nb_follow { NB_FOLLOW_NONE, NB_FOLLOW_FORK, NB_FOLLOW_EXEC };

struct nb_config {
	uint32_t mode; /* enum nb_mode: NUMABAL */
	uint32_t scan_delay_ms;
	uint32_t scan_period_min_ms;
	uint32_t scan_period_max_ms;
	uint32_t scan_size_mb;
	uint32_t min_rss_mb;
	uint32_t min_region_kb;
	uint32_t chunk_kb;
	uint32_t max_overhead_pct;
	uint32_t max_stall_us;
	uint32_t migrate_rate_mbps;
	uint32_t move_pages;
	uint32_t move_tasks;
	uint32_t force;
	uint32_t trace;
	uint32_t guard;		  /* enum nb_guard */
	uint32_t follow;	  /* enum nb_follow */
	uint32_t log;		  /* enum nb_log_level */
	struct nb_nodemask nodes; /* NODES; empty: all allowed */
	char latency_threads[NB_CONFIG_STR];
	char only[NB_CONFIG_STR];
	char skip[NB_CONFIG_STR];
	char stats[NB_CONFIG_STR];
	char record[NB_CONFIG_STR];
	char log_file[NB_CONFIG_STR];
	uint8_t from[NB_CONFIG_OPTIONS]; /* enum nb_config_source */
};

/* Where an option's value came from. */
enum nb_config_source {
	NB_FROM_DEFAULT,
	NB_FROM_CONF, /* NUMABAL_CONF */
	NB_FROM_ENV,
	NB_FROM_OPTS, /* numabal_opts or numabal ctl */
};

/* An option being set. */
struct nb_config_arg {
	const char *name;	    /* as in the table, in either case */
	const char *value;	    /* empty: the default */
	enum nb_config_source from; /* decides how an error line names it */
};

void nb_config_defaults(struct nb_config *c);
int nb_config_set(struct nb_config *c, const struct nb_config_arg *arg,
		  char *err, size_t err_size);
/* Options that depend on each other; to be called after the last _set(). */
int nb_config_check(const struct nb_config *c, char *err, size_t err_size);
int nb_config_from_env(struct nb_config *c, char *const *env, char *err,
		       size_t err_size);
const char *nb_config_getenv(char *const *env, const char *name);
size_t nb_config_display(const struct nb_config *c, char *buf, size_t size);
bool nb_config_program_wanted(const struct nb_config *c, const char *name);
int nb_config_unknown_env(char *const *env, char *buf, size_t size);

#endif /* NB_CONFIG_H */
