/* SPDX-License-Identifier: MIT */
/*
 * Counters and the file that is written at exit.
 */
#include "stats.h"

#include "mech/hint_fault.h"
#include "nb.h"
#include "plat/arena.h"
#include "regions.h"
#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

/* Resident pages are counted exactly up to this many, else sampled. */
#define MAX_QUERY (128 * 1024ULL)
#define QUERY_BATCH 1024
#define STDERR_COPY_MIN 200	/* above what programs count on */
#define TEXT_BYTES (4 * NB_MIB) /* 8,192 tasks of 64 nodes do not fit: cut */

static char start_dir[PATH_MAX]; /* with a '/' at the end */
static int stderr_fd = -1;

/**
 * nb_stats_collect() - all counters
 * @st: out.
 *
 * Context: any thread.
 */
void nb_stats_collect(struct numabal_stats *st)
{
#define COPY(name, doc) st->name = atomic_load(&nb.count.name);
	NUMABAL_STATS(COPY)
#undef COPY
	st->numa_scan_time_us = atomic_load(&nb.scan_ns) / 1000;
	st->numa_migrate_time_us = atomic_load(&nb.migrate_ns) / 1000;
	st->numa_fault_time_us = atomic_load(&nb.fault_ns) / 1000;
	st->latency_hint_faults = atomic_load(&nb_fault_totals.kept);
}

static void count_batch(struct nb_stats_pages *p, const uint64_t *addrs,
			unsigned int nr, uint64_t weight)
{
	static int nids[QUERY_BATCH];

	if (nb_page_nids(&nb.migrate, addrs, nids, nr))
		return;
	for (unsigned int i = 0; i < nr; i++)
		if (nb_node_valid(nids[i]))
			p->resident[nids[i]] += weight;
}

/* Where the pages of all regions are. */
static void count_pages(struct nb_stats_pages *p)
{
	static uint64_t addrs[QUERY_BATCH];
	uint64_t stride, weight;
	struct nb_sigstate ss;
	unsigned int n = 0;

	memset(p, 0, sizeof(*p));
	if (!nb.page_bytes || !nb.migrate.pages)
		return;
	nb_lock(&nb.as_lock, &ss);
	weight = nb_div_round_up(nb_regions_bytes() / nb.page_bytes, MAX_QUERY);
	weight = nb_max(weight, 1ULL);
	p->sampled = weight > 1;
	stride = weight * nb.page_bytes;
	for (int i = 0; i < nb_regions_count(); i++) {
		const struct nb_region *r = nb_regions_at(i);

		for (uint64_t a = r->start; a < r->end; a += stride) {
			addrs[n++] = a;
			if (n < QUERY_BATCH)
				continue;
			count_batch(p, addrs, n, weight);
			n = 0;
		}
	}
	nb_unlock(&nb.as_lock, &ss);
	if (n)
		count_batch(p, addrs, n, weight);
}

static const char *rank(void)
{
	static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK",
					    "PMI_RANK", "SLURM_PROCID"};

	for (size_t i = 0; i < nb_array_size(names); i++) {
		const char *v = nb_config_getenv(environ, names[i]);

		if (v && *v)
			return v;
	}
	return "0";
}

static void add_host(struct nb_text *t)
{
	char host[80];
	long n = nb.sys->read_file("/proc/sys/kernel/hostname", host,
				   sizeof(host));

	for (long i = 0; i < n && host[i] != '\n'; i++)
		nb_text_add(t, "%c", host[i] == '/' ? '_' : host[i]);
}

static void add_comm(struct nb_text *t)
{
	for (const char *s = nb.comm; *s; s++)
		nb_text_add(t, "%c", *s == '/' ? '_' : *s);
}

/**
 * nb_stats_expand_path() - fill in the templates of a file name
 * @tmpl: with %p process id, %e program, %h host, %t time, %r MPI rank, %%.
 * @out: result.
 * @size: its size.
 *
 * Context: any thread.
 */
void nb_stats_expand_path(const char *tmpl, char *out, size_t size)
{
	struct nb_text t;

	nb_text_init(&t, out, size);
	for (; *tmpl; tmpl++) {
		if (*tmpl != '%' || !tmpl[1]) {
			nb_text_add(&t, "%c", *tmpl);
			continue;
		}
		switch (*++tmpl) {
		case 'p':
			nb_text_add(&t, "%d", atomic_load(&nb.pid));
			break;
		case 'e':
			add_comm(&t);
			break;
		case 'h':
			add_host(&t);
			break;
		case 't':
			nb_text_add(&t, "%lld", (long long)time(NULL));
			break;
		case 'r':
			nb_text_add(&t, "%s", rank());
			break;
		case '%':
			nb_text_add(&t, "%%");
			break;
		default:
			nb_text_add(&t, "%%%c", *tmpl);
		}
	}
}

/* Complete or not at all: a reader never sees half an object. */
static long write_file(const char *path, const char *buf, size_t len)
{
	static char tmp[PATH_MAX + NB_CONFIG_STR + 32];
	struct nb_text t;
	long fd, err;

	nb_text_init(&t, tmp, sizeof(tmp));
	nb_text_add(&t, "%s.%d.tmp", path, atomic_load(&nb.pid));
	fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)tmp,
			 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644, 0, 0);
	if (fd == -EACCES || fd == -EROFS || fd == -EPERM) {
		/* A device, or a file in a directory that is not ours. */
		fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)path,
				 O_WRONLY | O_TRUNC | O_CLOEXEC, 0, 0, 0);
		if (fd < 0)
			return fd;
		err = nb_sys_write_all((int)fd, buf, len);
		nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
		return err;
	}
	if (fd < 0)
		return fd;
	err = nb_sys_write_all((int)fd, buf, len);
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	if (err >= 0)
		err = nb_syscall6(SYS_renameat, AT_FDCWD, (long)tmp, AT_FDCWD,
				  (long)path, 0, 0);
	if (err < 0)
		nb_syscall6(SYS_unlinkat, AT_FDCWD, (long)tmp, 0, 0, 0, 0);
	return err;
}

static bool names_process(const char *tmpl)
{
	for (; (tmpl = strchr(tmpl, '%')); tmpl += tmpl[1] ? 2 : 1)
		if (tmpl[1] == 'p')
			return true;
	return false;
}

/**
 * nb_stats_output_path() - where this process writes
 * @tmpl: as nb_stats_expand_path(); NUMABAL_STATS or NUMABAL_RECORD.
 * @path: result.
 * @size: its size.
 *
 * Context: any thread, after nb_stats_prepare().
 */
void nb_stats_output_path(const char *tmpl, char *path, size_t size)
{
	struct nb_text t;
	size_t len;

	nb_text_init(&t, path, size);
	if (tmpl[0] != '/')
		nb_text_add(&t, "%s", start_dir);
	len = nb_min(t.len, size - 1);
	nb_stats_expand_path(tmpl, path + len, size - len);
	if (nb.root_process || names_process(tmpl))
		return;
	/* Another process of the same run: not over the first one's. */
	len = strlen(path);
	nb_text_init(&t, path + len, size - len);
	nb_text_add(&t, ".%d", atomic_load(&nb.pid));
}

/**
 * nb_stats_prepare() - remember where to write, before the program changes it
 *
 * The directory for a relative name; and for standard error a descriptor of
 * our own, as programs close theirs before they are quite finished.
 *
 * Context: start only.
 */
void nb_stats_prepare(void)
{
	long n;

	if (nb.cfg.stats[0] == '-')
		stderr_fd = (int)nb_syscall6(SYS_fcntl, 2, F_DUPFD_CLOEXEC,
					     STDERR_COPY_MIN, 0, 0, 0);
	if ((!nb.cfg.stats[0] || nb.cfg.stats[0] == '-') && !nb.cfg.record[0])
		return;
	n = nb_syscall6(SYS_getcwd, (long)start_dir, sizeof(start_dir) - 2, 0,
			0, 0, 0);
	if (n > 1 && start_dir[n - 2] != '/')
		memcpy(start_dir + n - 1, "/", 2);
	else if (n <= 0)
		start_dir[0] = '\0';
}

static long write_stderr(const char *buf, size_t len)
{
	/* Closed by a closefrom() of the program: then 2 is as good. */
	if (stderr_fd >= 0 && nb_sys_write_all(stderr_fd, buf, len) >= 0)
		return 0;
	return nb_sys_write_all(2, buf, len);
}

/**
 * nb_stats_write_start() - write the statistics of a process left alone
 *
 * It may end by a call that does not come by: a runtime that makes its calls
 * itself.  A file only: it is written over at an end that is seen.
 *
 * Context: start only.
 */
void nb_stats_write_start(void)
{
	if (nb.cfg.stats[0] && nb.cfg.stats[0] != '-')
		nb_stats_write_exit();
}

/**
 * nb_stats_write_exit() - write what NUMABAL_STATS asks for
 *
 * Processes that a run started, but that were never balanced, write nothing.
 *
 * Context: any thread; the balancer has stopped.
 */
void nb_stats_write_exit(void)
{
	struct nb_stats_pages pages;
	static char path[PATH_MAX + NB_CONFIG_STR];
	bool text = !strcmp(nb.cfg.stats, "-text");
	struct nb_text t;
	char *buf;
	long err;

	if (!nb.cfg.stats[0] ||
	    (!nb.root_process && !atomic_load(&nb.count.numa_scan_seq)))
		return;
	buf = nb_arena_map(TEXT_BYTES);
	if (!buf)
		return;
	count_pages(&pages);
	nb_text_init(&t, buf, TEXT_BYTES);
	if (text)
		nb_stats_text(&t, &pages);
	else
		nb_stats_json(&t, &pages);
	if (text || !strcmp(nb.cfg.stats, "-")) {
		err = write_stderr(buf, nb_min(t.len, TEXT_BYTES - 1));
	} else {
		nb_stats_output_path(nb.cfg.stats, path, sizeof(path));
		err = write_file(path, buf, nb_min(t.len, TEXT_BYTES - 1));
		if (err < 0)
			nb_log(NB_LOG_WARN, "cannot write %s (error %ld)", path,
			       -err);
	}
	nb_arena_unmap(buf, TEXT_BYTES);
}
