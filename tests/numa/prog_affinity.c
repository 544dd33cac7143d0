/* SPDX-License-Identifier: MIT */
/*
 * A program whose threads numabal pins, looking at its own CPU masks: it must
 * see the masks that it has, not the pins; and so must its children.
 *
 * Each thread works on a locked buffer of another node, so that it must be
 * moved itself.  Prints one line per check, exits 1 if one fails.  With an
 * argument, a pinned thread runs nproc(1) in the program's place.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUF_BYTES (40UL << 20)
#define NR 2

static volatile int stop, failed, turn, looked;
static int all; /* CPUs of the program's own mask */
static bool only_exec;
static pthread_t threads[NR];
static pid_t tids[NR];
static char *bufs[NR];

static void check(int ok, const char *what)
{
	printf("%s: %s\n", ok ? "ok" : "FAILED", what);
	failed |= !ok;
}

/*
 * The kernel's own mask of a thread: how many CPUs.  A system call, however it
 * is made, would be answered with the program's view of it.
 */
static int kernel_cpus(pid_t tid)
{
	char path[64], line[512];
	int nr = -1;
	FILE *f;

	if (!tid)
		tid = (pid_t)syscall(SYS_gettid);
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Cpus_allowed:", 13))
			continue;
		nr = 0;
		for (char *p = line + 13; *p; p++) {
			char digit[2] = {*p, 0};

			nr += __builtin_popcountl(strtoul(digit, NULL, 16));
		}
	}
	if (f)
		fclose(f);
	return nr;
}

static int seen_cpus(pid_t tid)
{
	cpu_set_t set;

	return sched_getaffinity(tid, sizeof(set), &set) ? -1 : CPU_COUNT(&set);
}

static void pin_self(int cpu, const cpu_set_t *full)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), cpu < 0 ? full : &one))
		exit(2);
}

static void *just_look(void *arg)
{
	*(int *)arg = kernel_cpus(0);
	return NULL;
}

static int child_status(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(kernel_cpus(0) != all || seen_cpus(0) != all);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int nproc(void)
{
	char line[32] = "";
	FILE *p = popen("nproc", "r");

	if (!p || !fgets(line, sizeof(line), p))
		return -1;
	pclose(p);
	return atoi(line);
}

/* Run on a thread that is pinned, as children take after their creator. */
static void look_around(pthread_t other)
{
	pthread_t t;
	cpu_set_t set;
	int cpus = 0;

	check(kernel_cpus(0) < all, "who looks around is pinned");
	check(!pthread_getaffinity_np(other, sizeof(set), &set) &&
		      CPU_COUNT(&set) == all,
	      "pthread_getaffinity_np of a pinned thread is the full mask");
	check(child_status() == 0, "a forked child has the full mask");
	check(nproc() == all, "nproc in a child counts all CPUs");
	if (pthread_create(&t, NULL, just_look, &cpus) || pthread_join(t, NULL))
		exit(2);
	check(cpus == all, "a new thread has the full mask");
	check(!sched_setaffinity(tids[0], sizeof(cpu_set_t), &set) &&
		      seen_cpus(tids[0]) == all,
	      "setting the full mask is not refused");
}

static void *worker(void *arg)
{
	long id = (long)arg;

	tids[id] = (pid_t)syscall(SYS_gettid);
	while (!stop) {
		for (size_t i = 0; i < BUF_BYTES && !stop; i += 64)
			bufs[id][i]++;
		if (id != turn - 1 || looked)
			continue;
		if (only_exec) {
			execl("/usr/bin/nproc", "nproc", (char *)NULL);
			exit(3);
		}
		look_around(threads[NR - 1]);
		looked = 1;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int pinned = 0;
	cpu_set_t full;

	(void)argv;
	all = seen_cpus(0);
	only_exec = argc > 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sched_getaffinity(0, sizeof(full), &full);
	for (long i = 0; i < NR; i++) {
		bufs[i] = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pin_self(all - 1, &full); /* on the last node */
		memset(bufs[i], 1, BUF_BYTES);
		pin_self(-1, &full);
		if (mlock(bufs[i], BUF_BYTES))
			exit(77);
	}
	for (long i = 0; i < NR; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)i))
			exit(2);
	for (int i = 0; i < 60 && pinned < NR; i++) {
		sleep(1);
		pinned = 0;
		for (int t = 0; t < NR; t++)
			pinned += tids[t] && kernel_cpus(tids[t]) < all;
	}
	if (only_exec && pinned == NR)
		turn = 1;
	while (turn)
		pause(); /* until it is another program */
	check(pinned == NR, "numabal pinned both threads");
	for (int t = 0; t < NR; t++)
		check(seen_cpus(tids[t]) == all,
		      "sched_getaffinity of it is the full mask");
	turn = 1;
	while (!looked)
		usleep(10000);
	stop = 1;
	for (int i = 0; i < NR; i++)
		pthread_join(threads[i], NULL);
	return failed;
}
