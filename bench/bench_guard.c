/* SPDX-License-Identifier: MIT */
/*
 * What the guard costs: system calls and start-up, in a guarded process
 * against an unguarded one.
 *
 *	bench_guard NUMABAL [ROUNDS]
 *
 * NUMABAL is the numabal command.  The two processes are started in turn,
 * each measures every call for a while and tells the least that one took on
 * average; start-up is timed from here.  Prints for each the medians, the
 * median of the ratios of neighbours, and the limit that the ratio should
 * keep.  Knows nothing of numabal but the command.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 60
#define CALLS 2000
#define MAX_ROUNDS 201

extern char **environ;

static int zero_fd, file_fd;
static char buf[4096];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void do_getppid(void)
{
	getppid();
}

static void do_read(void)
{
	if (read(zero_fd, buf, 64) != 64)
		exit(1);
}

static void do_pread(void)
{
	if (pread(file_fd, buf, 4096, 0) != 4096)
		exit(1);
}

static void do_pwrite(void)
{
	if (pwrite(file_fd, buf, 4096, 0) != 4096)
		exit(1);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void do_signal(void)
{
	raise(SIGUSR1);
}

static const struct subject {
	const char *name;
	void (*call)(void);
	const char *limit; /* of the ratio */
} subjects[] = {
	{"getppid", do_getppid, "1.05"},
	{"read 64 B of /dev/zero", do_read, "1.20"},
	{"pread 4 KiB, cached", do_pread, "1.10"},
	{"pwrite 4 KiB, cached", do_pwrite, "1.10"},
	{"a signal and its handler", do_signal, "+2000"},
};

#define NR_SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

static double least(void (*call)(void))
{
	double best = 0;

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t0 = now_ns(), ns;

		for (int i = 0; i < CALLS; i++)
			call();
		ns = now_ns() - t0;
		if (!b || (double)ns / CALLS < best)
			best = (double)ns / CALLS;
	}
	return best;
}

/* One of the two: a line of numbers. */
static int measure(void)
{
	char path[] = "/tmp/bench_guard.XXXXXX";

	zero_fd = open("/dev/zero", O_RDONLY);
	file_fd = mkstemp(path);
	if (zero_fd < 0 || file_fd < 0)
		return 1;
	unlink(path);
	signal(SIGUSR1, on_signal);
	do_pwrite();
	for (size_t i = 0; i < NR_SUBJECTS; i++)
		printf("%.1f ", least(subjects[i].call));
	printf("\n");
	return 0;
}

static bool run(char *const *argv, char *out, size_t size)
{
	posix_spawn_file_actions_t fa;
	size_t len = 0;
	int p[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return false;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, p[1], STDOUT_FILENO);
	if (posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ))
		return false;
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	while ((n = read(p[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(p[0]);
	return waitpid(pid, &status, 0) == pid && !status;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
	double s[MAX_ROUNDS];

	memcpy(s, v, sizeof(*v) * (size_t)n);
	qsort(s, (size_t)n, sizeof(*s), by_value);
	return s[n / 2];
}

static double values[NR_SUBJECTS + 1][2][MAX_ROUNDS];

static void report(const char *name, const char *limit, size_t k, int n,
		   const char *unit)
{
	double ratio[MAX_ROUNDS] = {0};

	for (int i = 0; i < n; i++)
		ratio[i] = values[k][1][i] / values[k][0][i];
	printf("%-24s alone %7.1f  guarded %7.1f %s  ratio %.3f  (%s)\n", name,
	       median(values[k][0], n), median(values[k][1], n), unit,
	       median(ratio, n), limit);
}

static bool round_of(char **argv, int skip, int side, int i)
{
	char out[256], *p = out;
	static char *const start[] = {"/bin/true", NULL};
	char *args[16];
	uint64_t t0;
	int n = 0;

	if (!run(argv + skip, out, sizeof(out)))
		return false;
	for (size_t k = 0; k < NR_SUBJECTS; k++)
		values[k][side][i] = strtod(p, &p);
	for (; argv[skip + 2] && n < 12; skip++)
		args[n++] = argv[skip];
	args[n++] = start[0];
	args[n] = NULL;
	t0 = now_ns();
	if (!run(args, out, sizeof(out)))
		return false;
	values[NR_SUBJECTS][side][i] = (double)(now_ns() - t0) / 1000;
	return true;
}

int main(int argc, char **argv)
{
	char *args[] = {argc > 1 ? argv[1] : "", "run", "-o", "force=1", "--",
			"/proc/self/exe",	 "-",	NULL};
	int rounds = argc > 2 ? atoi(argv[2]) : 15;
	static char self[4096];

	if (argc == 2 && !strcmp(argv[1], "-"))
		return measure();
	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return 1;
	args[5] = self;
	for (int i = 0; i < rounds; i++)
		for (int s = 0; s < 2; s++) {
			int side = (i + s) % 2;

			if (!round_of(args, side ? 0 : 5, side, i)) {
				fprintf(stderr, "a run failed\n");
				return 1;
			}
		}
	for (size_t k = 0; k < NR_SUBJECTS; k++)
		report(subjects[k].name, subjects[k].limit, k, rounds, "ns");
	report("start-up of true", "+8000", NR_SUBJECTS, rounds, "us");
	return 0;
}
