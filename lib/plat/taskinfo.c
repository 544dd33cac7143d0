/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of a thread and of the CPUs' load, from /proc.
 *
 * Threads are those of this process, under /proc/self/task; the process's own
 * numbers come from /proc/thread-self, because /proc/self has none left once
 * the first thread has ended.  All of it may be made up or missing in a
 * container: then the functions say so, and nothing is guessed.
 *
 * Also what a thread of ours should not share with the program.
 *
 * Owns nothing.  Called by numabald and start.
 */
#include "taskinfo.h"

#include "../base/parse.h"
#include "line_reader.h"
#include "log.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define UNSHARE_FIRST (1U << 1) /* CLOSE_RANGE_UNSHARE */

/* Fields of /proc/PID/stat, counted from the state, which is 0. */
#define STAT_UTIME 11
#define STAT_STIME 12
#define STAT_PROCESSOR 36

static long read_task_file(pid_t tid, const char *file, char *buf, size_t size)
{
	struct nb_text t;
	char path[64];

	nb_text_init(&t, path, sizeof(path));
	nb_text_add(&t, "/proc/self/task/%d/%s", (int)tid, file);
	return nb_sys_linux.read_file(path, buf, size);
}

/* The thread is gone, or there is no /proc. */
static int read_error(long ret)
{
	return ret == -ENOENT ? -ESRCH : (int)ret;
}

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Read a number; what is not one (there are negative ones) is skipped. */
static const char *next_number(const char *p, uint64_t *v)
{
	p = skip_space(p);
	*v = 0;
	if (nb_parse_u64(p, &p, v))
		while (*p && *p != ' ')
			p++;
	return p;
}

/*
 * The fields after the name: the name is in parentheses and may have spaces
 * and parentheses of its own, so they begin after the last one.
 */
static int parse_stat(const char *stat, struct nb_taskinfo *ti, uint64_t *ticks)
{
	const char *p = strrchr(stat, ')');
	uint64_t v;

	if (!p || p[1] != ' ' || !p[2])
		return -EINVAL;
	ti->state = p[2];
	p += 3;
	*ticks = 0;
	for (int field = 1; field <= STAT_PROCESSOR; field++) {
		p = skip_space(p);
		if (!*p || *p == '\n')
			return 0;
		p = next_number(p, &v);
		if (field == STAT_UTIME || field == STAT_STIME)
			*ticks += v;
		else if (field == STAT_PROCESSOR && v < NB_MAX_CPUS)
			ti->cpu = (int)v;
	}
	return 0;
}

/* Times of /proc/PID/stat are in ticks of 1/AT_CLKTCK seconds. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	uint64_t hz = getauxval(AT_CLKTCK);

	return ticks * (NB_NSEC_PER_SEC / (hz ? hz : 100));
}

/**
 * nb_taskinfo_read() - how long a thread ran and waited, and where it is
 * @tid: a thread of this process
 * @ti: the answer; without schedstats in the kernel the times are those of
 *	/proc/PID/stat, which are coarse, and nothing for waiting
 *
 * Context: Any thread.
 * Return: 0; -ESRCH: no such thread, or no /proc; -errno.
 */
int nb_taskinfo_read(pid_t tid, struct nb_taskinfo *ti)
{
	struct nb_taskinfo got = {.cpu = -1};
	uint64_t ticks;
	char buf[1024];
	const char *p;
	long ret;
	int err;

	ret = read_task_file(tid, "stat", buf, sizeof(buf));
	if (ret < 0)
		return read_error(ret);
	err = parse_stat(buf, &got, &ticks);
	if (err)
		return err;
	ret = read_task_file(tid, "schedstat", buf, sizeof(buf));
	if (ret > 0) {
		p = next_number(buf, &got.run_ns);
		next_number(p, &got.wait_ns);
	}
	if (!got.run_ns)
		got.run_ns = ticks_to_ns(ticks);
	*ti = got;
	return 0;
}

/**
 * nb_taskinfo_comm() - the name of a thread
 * @tid: a thread of this process
 * @comm: the name; any bytes but NUL may be in it
 *
 * Context: Any thread.
 * Return: 0; -ESRCH: no such thread, or no /proc; -errno.
 */
int nb_taskinfo_comm(pid_t tid, char comm[NB_COMM_LEN])
{
	char buf[NB_COMM_LEN + 2];
	long len;

	len = read_task_file(tid, "comm", buf, sizeof(buf));
	if (len < 0)
		return read_error(len);
	if (len && buf[len - 1] == '\n')
		len--;
	len = nb_min(len, (long)NB_COMM_LEN - 1);
	memcpy(comm, buf, (size_t)len);
	comm[len] = '\0';
	return 0;
}

/* As getdents64(2) writes them. */
struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static int walk_dirents(const char *buf, size_t len, nb_tid_fn *fn, void *arg)
{
	size_t pos = 0;
	uint64_t tid;
	int ret;

	while (pos < len) {
		const struct dirent64 *d = (const void *)(buf + pos);

		pos += d->reclen;
		if (nb_parse_u64(d->name, NULL, &tid) || !tid || tid > INT_MAX)
			continue;
		ret = fn((pid_t)tid, arg);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * nb_for_each_tid() - call a function for each thread of this process
 * @fn: the function
 * @arg: passed through
 *
 * Threads that begin or end meanwhile may be seen or not.
 *
 * Context: Any thread; nothing is allocated.
 * Return: 0; what @fn returned if not 0; -errno when there is no /proc.
 */
int nb_for_each_tid(nb_tid_fn *fn, void *arg)
{
	uint64_t buf[256];
	long fd, len;
	int ret = 0;

	fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)"/proc/self/task",
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return (int)fd;
	do {
		len = nb_syscall6(SYS_getdents64, fd, (long)buf, sizeof(buf), 0,
				  0, 0);
		if (len > 0)
			ret = walk_dirents((const char *)buf, (size_t)len, fn,
					   arg);
		else if (len < 0)
			ret = (int)len;
	} while (len > 0 && !ret);
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	return ret;
}

/*
 * "cpuN user nice system idle iowait irq softirq steal guest guest_nice":
 * the last two are in user and nice already.
 */
static void parse_cpu_line(const char *line, struct nb_cpu_times *times,
			   int nr_cpus)
{
	struct nb_cpu_times sum = {0, 0};
	uint64_t cpu, v;
	const char *p;

	if (nb_parse_u64(line + 3, &p, &cpu) || cpu >= (uint64_t)nr_cpus)
		return;
	for (int field = 0; field < 8; field++) {
		p = next_number(p, &v);
		sum.total += v;
		if (field == 3 || field == 4)
			sum.idle += v;
	}
	times[cpu] = sum;
}

/**
 * nb_cpu_times_read() - how long each CPU was idle
 * @times: one for each CPU; all 0 for one that is offline
 * @nr_cpus: how many
 *
 * Waiting for a disk counts as idle: a thread could run there.
 *
 * Context: Any thread.
 * Return: 0 or -errno.
 */
int nb_cpu_times_read(struct nb_cpu_times *times, int nr_cpus)
{
	struct nb_line_reader r;
	char *line;
	int ret;

	if (nr_cpus <= 0)
		return -EINVAL;
	memset(times, 0, (size_t)nr_cpus * sizeof(*times));
	ret = nb_lines_open(&r, "/proc/stat");
	if (ret)
		return ret;
	do {
		ret = nb_lines_next(&r, &line);
		/* They come first; what follows them is long. */
		if (ret > 0 && strncmp(line, "cpu", 3) != 0)
			ret = 0;
		if (ret > 0)
			parse_cpu_line(line, times, nr_cpus);
	} while (ret > 0);
	nb_lines_close(&r);
	return ret;
}

/**
 * nb_cpu_times_idle() - how much of each node's CPUs was idle
 * @t: the machine; CPUs that the program may not use do not count
 * @before: one for each CPU
 * @now: and the same later
 * @idle: out: thousandths of CPUs, by node
 *
 * Context: Any thread.
 */
void nb_cpu_times_idle(const struct nb_topology *t,
		       const struct nb_cpu_times *before,
		       const struct nb_cpu_times *now,
		       uint64_t idle[NB_MAX_NODES])
{
	int cpu;

	memset(idle, 0, NB_MAX_NODES * sizeof(*idle));
	nb_for_each_cpu (cpu, &t->cpus_allowed) {
		int nid = nb_cpu_to_nid(t, cpu);

		if (cpu >= t->nr_cpus)
			break;
		if (nid == NB_NO_NODE || now[cpu].total <= before[cpu].total ||
		    now[cpu].idle < before[cpu].idle)
			continue;
		idle[nid] += (now[cpu].idle - before[cpu].idle) * 1000 /
			     (now[cpu].total - before[cpu].total);
	}
}

/**
 * nb_rss_bytes() - resident set of the process
 *
 * Context: Any thread.
 * Return: bytes; 0 when /proc is not there.
 */
uint64_t nb_rss_bytes(void)
{
	uint64_t size, resident;
	const char *p;
	char buf[128];

	if (nb_sys_linux.read_file("/proc/thread-self/statm", buf,
				   sizeof(buf)) < 0)
		return 0;
	p = next_number(buf, &size);
	next_number(p, &resident);
	return resident * getauxval(AT_PAGESZ);
}

/* A number from /proc/thread-self/status; 0 when unknown. */
static uint64_t own_status(const char *key)
{
	struct nb_line_reader r;
	uint64_t v = 0;
	char *line;

	if (nb_lines_open(&r, "/proc/thread-self/status"))
		return 0;
	while (nb_lines_next(&r, &line) > 0) {
		if (strncmp(line, key, strlen(key)) == 0) {
			next_number(line + strlen(key), &v);
			break;
		}
	}
	nb_lines_close(&r);
	return v;
}

/**
 * nb_locked_bytes() - locked memory of the process (VmLck)
 *
 * Context: Any thread.
 * Return: bytes; 0 when unknown.
 */
uint64_t nb_locked_bytes(void)
{
	return own_status("VmLck:") * 1024;
}

/**
 * nb_own_descriptors() - give the calling thread a table of descriptors, empty
 *
 * A program may count on the lowest number that is free, as in close(0),
 * open(...), and closes what it does not know: the files of our thread must
 * not be among its own.  No copy stays open: readers see the end of a pipe.
 *
 * Context: numabald.
 * Return: false: the kernel refused, they are shared.
 */
bool nb_own_descriptors(void)
{
	uint64_t nr;

	if (!nb_syscall6(SYS_close_range, 0, UINT32_MAX, UNSHARE_FIRST, 0, 0,
			 0))
		return true;
	/* Before Linux 5.9 */
	nr = own_status("FDSize:");
	if (!nr || nb_syscall6(SYS_unshare, CLONE_FILES, 0, 0, 0, 0, 0))
		return false;
	for (uint64_t fd = 0; fd < nr; fd++)
		nb_syscall6(SYS_close, (long)fd, 0, 0, 0, 0, 0);
	return true;
}

static int count_tid(pid_t tid, void *arg)
{
	(void)tid;
	++*(int *)arg;
	return 0;
}

/**
 * nb_nr_threads() - how many threads has this process?
 *
 * Context: any thread; one folder of /proc.
 * Return: the number; 0 when it is not told.
 */
int nb_nr_threads(void)
{
	int n = 0;

	nb_for_each_tid(count_tid, &n);
	return n;
}
