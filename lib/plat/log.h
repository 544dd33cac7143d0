/* SPDX-License-Identifier: MIT */
/*
 * Formatting and writing without stdio, malloc or locks.
 */
#ifndef NB_LOG_H
#define NB_LOG_H

#include "../base/nodemask.h"

#include <stdarg.h>

/* NUMABAL_LOG; the numbers are those of enum numabal_log_level, and 0. */
enum nb_log_level { NB_LOG_ERROR, NB_LOG_WARN, NB_LOG_INFO, NB_LOG_DEBUG };

/* A text being built: never overflows, always NUL-terminated. */
struct nb_text {
	char *buf;
	size_t size;
	size_t len; /* what would have been written, may exceed @size */
};

void nb_text_init(struct nb_text *t, char *buf, size_t size);
/* %s %c %d %u %ld %lu %lld %llu %zu %x %lx %llx %p %%, with 0 and width */
void nb_text_add(struct nb_text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void nb_text_vadd(struct nb_text *t, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Append a set as the kernel writes it, "0,2-3"; nothing for an empty one. */
void nb_text_add_cpulist(struct nb_text *t, const struct nb_cpumask *mask);
void nb_text_add_nodelist(struct nb_text *t, const struct nb_nodemask *mask);

typedef void nb_log_sink(int level, const char *msg, void *arg);

void nb_log_setup(int level, const char *file);
void nb_log_set_sink(nb_log_sink *fn, void *arg, bool set);
bool nb_log_on(int level);
void nb_log(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* NB_LOG_H */
