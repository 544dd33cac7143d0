/* SPDX-License-Identifier: MIT */
/*
 * pthread_cancel(3) of threads that are blocked in the kernel, or somewhere on
 * the way there and back: cleanup handlers run.  C and C++: there, they are
 * destructors.  Knows nothing of numabal; run by test_guard_cancel.sh.
 *
 *	prog_cancel CASE | deferred N | async N
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEM_BYTES (8UL << 20)

static int ends[2], full[2], sock[2], listener, epoll_fd;
static sem_t sem;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pid_t child;
static int cleaned, locked;
static int tid; /* of the thread, once it is about to block */
static char *mem;

#define READ(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define WRITE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void clean_mutex(void *arg)
{
	/* It is ours again: POSIX says so. */
	locked = pthread_mutex_trylock((pthread_mutex_t *)arg) == EBUSY;
	pthread_mutex_unlock((pthread_mutex_t *)arg);
}

static void do_read(void)
{
	ssize_t n = read(ends[0], mem + 100, 5000);

	(void)n;
}

static void do_write(void)
{
	ssize_t n = write(full[1], mem, 65536);

	(void)n;
}

static void do_recv(void)
{
	recv(sock[0], mem + 4000, 200, 0);
}

static void do_accept(void)
{
	struct sockaddr_storage *sa = (struct sockaddr_storage *)(mem + 8192);
	socklen_t len = sizeof(*sa);

	accept(listener, (struct sockaddr *)sa, &len);
}

static void do_poll(void)
{
	struct pollfd *p = (struct pollfd *)mem;

	p->fd = ends[0];
	p->events = POLLIN;
	poll(p, 1, -1);
}

static void do_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	select(ends[0] + 1, &set, NULL, NULL, NULL);
}

static void do_epoll(void)
{
	epoll_wait(epoll_fd, (struct epoll_event *)mem, 8, -1);
}

static void do_sem(void)
{
	sem_wait(&sem);
}

static void do_sleep(void)
{
	struct timespec *ts = (struct timespec *)mem;

	ts->tv_sec = 1000;
	ts->tv_nsec = 0;
	nanosleep(ts, ts + 1);
}

static void do_wait(void)
{
	waitpid(child, (int *)mem, 0);
}

static void do_pause(void)
{
	pause();
}

static void do_sigwait(void)
{
	sigset_t *set = (sigset_t *)mem;

	sigemptyset(set);
	sigaddset(set, SIGUSR2);
	sigwaitinfo(set, (siginfo_t *)(mem + 4096));
}

static void do_cond(void)
{
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(clean_mutex, &mutex);
	locked = 0;
	for (;;)
		pthread_cond_wait(&cond, &mutex);
	pthread_cleanup_pop(1);
}

static const struct blocked {
	const char *name;
	void (*call)(void);
} cases[] = {
	{"read", do_read},   {"write", do_write},     {"recv", do_recv},
	{"poll", do_poll},   {"accept", do_accept},   {"select", do_select},
	{"epoll", do_epoll}, {"sem_wait", do_sem},    {"nanosleep", do_sleep},
	{"wait4", do_wait},  {"sigwait", do_sigwait}, {"cond_wait", do_cond},
	{"pause", do_pause},
};

static int type; /* PTHREAD_CANCEL_... */

static void *blocked_thread(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
		pthread_setcanceltype(type, NULL);
	WRITE(tid, (int)syscall(SYS_gettid));
	((const struct blocked *)arg)->call();
	pthread_cleanup_pop(0);
	return NULL;
}

/* Until the kernel says that it sleeps, in a system call that is no futex of
 * starting up: a thread writes its id right before it.
 */
static void wait_blocked(void)
{
	char path[64], buf[512], *p;
	ssize_t n;
	int fd;

	while (!READ(tid))
		;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", READ(tid));
	do {
		fd = open(path, O_RDONLY);
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
		buf[n > 0 ? n : 0] = '\0';
		p = strrchr(buf, ')');
	} while (p && p[2] != 'S');
}

static int run_blocked(const struct blocked *b)
{
	pthread_t th;
	void *res;

	for (int i = 0; i < 2; i++) {
		type = i ? PTHREAD_CANCEL_ASYNCHRONOUS
			 : PTHREAD_CANCEL_DEFERRED;
		WRITE(tid, 0);
		cleaned = 0;
		locked = b->call != do_cond;
		if (pthread_create(&th, NULL, blocked_thread, (void *)b))
			return 97;
		wait_blocked();
		/* Long enough for the memory to be armed meanwhile. */
		for (int k = 0; k < 200; k++)
			for (size_t at = 1 << 20; at < MEM_BYTES; at += 4096)
				mem[at]++;
		pthread_cancel(th);
		pthread_join(th, &res);
		if (res != PTHREAD_CANCELED || cleaned != 1 || !locked) {
			fprintf(stderr, "%s, type %d: %s, cleaned %d times\n",
				b->name, i,
				res == PTHREAD_CANCELED ? "cancelled"
							: "returned",
				cleaned);
			return 1;
		}
	}
	return 0;
}

/* Calls of every kind of site, for ever. */
static void calls(int zero, int null, char *buf)
{
	struct timespec none = {0, 0};
	struct pollfd p = {.fd = zero, .events = POLLIN, .revents = 0};

	for (;;) {
		if (read(zero, buf, 64) != 64 || write(null, buf, 64) != 64)
			abort();
		nanosleep(&none, NULL);
		poll(&p, 1, 0);
		if (pread(zero, buf, 5000, 0) != 5000)
			abort();
	}
}

static int zero_fd, null_fd;

static void *busy_thread(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
		pthread_setcanceltype(type, NULL);
	WRITE(tid, 1);
	calls(zero_fd, null_fd, (char *)arg);
	pthread_cleanup_pop(0);
	return NULL;
}

/* Cancelled at a random point: in libc, in the kernel, in between. */
static int run_busy(int how, int rounds)
{
	unsigned int seed = (unsigned int)getpid();
	pthread_t th;
	void *res;

	type = how;
	for (int i = 0; i < rounds; i++) {
		WRITE(tid, 0);
		cleaned = 0;
		if (pthread_create(&th, NULL, busy_thread, mem + i % 1000))
			return 97;
		while (!READ(tid))
			;
		for (int k = rand_r(&seed) % 20000; k > 0; k--)
			__asm__ volatile("");
		pthread_cancel(th);
		pthread_join(th, &res);
		if (res != PTHREAD_CANCELED || cleaned != 1) {
			fprintf(stderr, "round %d: cleaned %d times\n", i,
				cleaned);
			return 1;
		}
	}
	return 0;
}

static int set_up(void)
{
	struct sockaddr_un_ {
		sa_family_t family;
		char path[8];
	} any = {AF_UNIX, ""};
	struct epoll_event ev;
	sigset_t set;

	memset(&ev, 0, sizeof(ev));
	mem = (char *)mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	epoll_fd = epoll_create1(0);
	zero_fd = open("/dev/zero", O_RDONLY);
	null_fd = open("/dev/null", O_WRONLY);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (mem == MAP_FAILED || pipe(ends) || pipe(full) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sock) ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any.family)) ||
	    listen(listener, 1) || sem_init(&sem, 0, 0))
		return 1;
	memset(mem, 1, MEM_BYTES);
	if (write(full[1], mem, 65536) != 65536)
		return 1;
	child = fork();
	if (!child)
		for (;;)
			pause();
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &ev);
}

int main(int argc, char **argv)
{
	int ret = 97;

	if (argc < 2 || set_up())
		return 97;
	if (argc > 2)
		ret = run_busy(!strcmp(argv[1], "async")
				       ? PTHREAD_CANCEL_ASYNCHRONOUS
				       : PTHREAD_CANCEL_DEFERRED,
			       atoi(argv[2]));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(argv[1], cases[i].name))
			ret = run_blocked(&cases[i]);
	kill(child, SIGKILL);
	return ret;
}
