/* SPDX-License-Identifier: MIT */
/*
 * prog_sig_ignored [SECONDS]: signals that nobody wants are sent to the
 * process all the time, while its first thread maps memory and uses some that
 * is armed.  The kernel throws them away: calls of other threads that end with
 * EINTR must not notice.  Then one of them is given a handler, which maps
 * memory itself, and is ignored again, over and over.  Knows nothing of
 * numabal; run by test_guard_ignored.sh.
 *
 * None is sent before all threads are there: libc blocks signals while it
 * makes one, and what the first thread has blocked waits, and may interrupt.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>

static _Atomic bool over;
static pthread_barrier_t all_there;
static _Atomic long sent, waits, interrupted, handled;

static void map_some(void)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *)p = 1;
	munmap(p, 65536);
}

static void *send_all(void *arg)
{
	const int sigs[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGUSR1};

	(void)arg;
	pthread_barrier_wait(&all_there);
	for (unsigned int i = 0; !atomic_load(&over); i++) {
		kill(getpid(), sigs[i % 5]);
		atomic_fetch_add(&sent, 1);
	}
	return NULL;
}

static void *wait_for_signal(void *arg)
{
	const struct timespec ts = {0, 5000000};
	sigset_t set;

	(void)arg;
	pthread_barrier_wait(&all_there);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	while (!atomic_load(&over)) {
		atomic_fetch_add(&waits, 1);
		if (sigtimedwait(&set, NULL, &ts) != -1 || errno != EAGAIN)
			atomic_fetch_add(&interrupted, 1);
	}
	return NULL;
}

static void *wait_for_event(void *arg)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev;

	(void)arg;
	pthread_barrier_wait(&all_there);
	while (!atomic_load(&over)) {
		atomic_fetch_add(&waits, 1);
		if (epoll_wait(ep, &ev, 1, 5))
			atomic_fetch_add(&interrupted, 1);
	}
	close(ep);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
	map_some();
	atomic_fetch_add(&handled, 1);
}

static void *change(void *arg)
{
	struct sigaction sa = {.sa_handler = on_signal};

	(void)arg;
	pthread_barrier_wait(&all_there);
	for (unsigned int i = 0; !atomic_load(&over); i++) {
		sa.sa_flags = i & 1 ? (int)SA_RESETHAND : SA_RESTART;
		sigaction(SIGURG, &sa, NULL);
		sched_yield();
		signal(SIGURG, SIG_DFL);
		signal(SIGUSR1, on_signal);
		sched_yield();
		signal(SIGUSR1, SIG_IGN);
	}
	return NULL;
}

/* What the first thread does while the others are at it. */
static bool work(unsigned char *buf, int seconds,
		 void *(*const others[3])(void *))
{
	time_t until = time(NULL) + seconds;
	unsigned int nr = others[2] ? 3 : 2;
	pthread_t th[3];

	atomic_store(&over, false);
	pthread_barrier_init(&all_there, NULL, nr + 1);
	for (unsigned int i = 0; i < nr; i++)
		if (pthread_create(&th[i], NULL, others[i], NULL))
			return false;
	pthread_barrier_wait(&all_there);
	while (time(NULL) < until) {
		for (int i = 0; i < 2000; i++)
			map_some();
		for (size_t i = 0; i < BUF_BYTES; i += 4096)
			((volatile unsigned char *)buf)[i]++;
	}
	atomic_store(&over, true);
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(th[i], NULL);
	return true;
}

int main(int argc, char **argv)
{
	void *(*const quiet[3])(void *) = {send_all, wait_for_signal,
					   wait_for_event};
	void *(*const loud[3])(void *) = {send_all, change, NULL};
	int seconds = argc > 1 ? atoi(argv[1]) : 3;
	unsigned char *buf = new_buffer(BUF_BYTES);
	sigset_t rt;

	sigemptyset(&rt);
	sigaddset(&rt, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &rt, NULL);
	signal(SIGUSR1, SIG_IGN);
	if (!wait_armed(buf) || !work(buf, seconds, quiet))
		return 1;
	printf("%ld sent, %ld waits, %ld of them interrupted\n",
	       atomic_load(&sent), atomic_load(&waits),
	       atomic_load(&interrupted));
	if (!work(buf, seconds, loud))
		return 1;
	printf("%ld sent, %ld handled\n", atomic_load(&sent),
	       atomic_load(&handled));
	return atomic_load(&interrupted) || !atomic_load(&handled);
}
