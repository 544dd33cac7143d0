/* SPDX-License-Identifier: MIT */
/* What the files behind work.h share with each other, and no program uses. */
#ifndef BENCH_WORK_INT_H
#define BENCH_WORK_INT_H

#include "work.h"

#include <stdio.h>
#include <unistd.h>

/* The program's name, for messages. */
extern const char *work_prog;

/**
 * work_warn() - one line on stderr
 * @fmt: as printf(3), %m included
 *
 * Context: any thread.
 */
void work_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* _exit, since other threads may be at work and atexit would not expect it. */
#define work_die(code, ...)                                                    \
	do {                                                                   \
		work_warn(__VA_ARGS__);                                        \
		fflush(stdout);                                                \
		_exit(code);                                                   \
	} while (0)

bool work_set_has(const struct work_set *s, int bit);
bool work_has_cpus(const struct work *w, int nid);

/* workplace.c: nodes, then what is put on them. Each ends us on failure. */
void work_find_nodes(struct work *w);
void work_plan(struct work *w);
void work_use_cpus(const struct work_set *cpus);
void work_use_node(const struct work *w, int nid);
void work_place_buf(const struct work *w, struct work_buf *b);
void work_fill_node(const struct work_fill *fill);
long work_node_free_mb(int nid);

/* The value of a word before the first pass. */
uint64_t work_first_value(const struct work *w, const struct work_buf *b,
			  size_t word);

/* workopts.c: both end us with a message when something is wrong. */
void work_parse_options(struct work *w, int argc, char **argv);
void work_check_options(struct work *w);

#endif /* BENCH_WORK_INT_H */
