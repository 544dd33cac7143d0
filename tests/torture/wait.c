/* SPDX-License-Identifier: MIT */
/*
 * Waiting for things and asking for things: poll and its kin, descriptors for
 * events, timers, signals and changes of files, clocks and limits.
 */
#include "torture.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>

static void epoll(struct worker *w)
{
	enum { NR = 5 };
	struct epoll_event *ev = calloc(NR, sizeof(*ev));
	int ep = (int)MUST(epoll_create1(EPOLL_CLOEXEC)), fd[NR];
	uint64_t *count = get(sizeof(*count)), seen = 0;
	struct job job = {.kind = JOB_SEND, .bytes = 8};
	long n;

	for (int i = 0; i < NR; i++) {
		fd[i] = (int)MUST(eventfd(0, 0));
		ev->events = EPOLLIN;
		ev->data.u64 = (uint64_t)i;
		MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], ev));
	}
	CHECK(AGAIN(epoll_wait(ep, ev, NR, 0)) == 0, 0);
	for (int i = 0; i < NR; i++) {
		job.out = fd[i];
		job.seed = 1; /* a counter that is not the largest */
		peer_do(w->peer, &job);
	}
	while (seen != (1 << NR) - 1) {
		n = AGAIN(epoll_wait(ep, ev, NR, 20000));
		CHECK(n > 0, n);
		if (n <= 0)
			break;
		for (long k = 0; k < n; k++) {
			uint64_t i = ev[k].data.u64;

			CHECK(i < NR && ev[k].events == EPOLLIN, i);
			CHECK(read(fd[i], count, 8) == 8, errno);
			note(w, 1);
			seen |= 1ULL << i;
		}
	}
	peer_wait(w->peer);
	for (int i = 0; i < NR; i++)
		MUST(close(fd[i]));
	MUST(close(ep));
	free(count);
	free(ev);
}

static void polls(struct worker *w)
{
	struct job job = {.kind = JOB_SEND, .bytes = 3, .seed = rnd(w)};
	struct pollfd *fds = calloc(3, sizeof(*fds));
	struct timespec *ts = get(sizeof(*ts));
	sigset_t *set = get(sizeof(*set));
	int *p = get(2 * sizeof(*p));
	char *buf = get(3);

	MUST(pipe(p));
	fds[0] = (struct pollfd){.fd = p[0], .events = POLLIN};
	fds[1] = (struct pollfd){.fd = -1};
	fds[2] = (struct pollfd){.fd = p[1], .events = POLLOUT};
	CHECK(AGAIN(poll(fds, 3, 0)) == 1 && fds[2].revents == POLLOUT,
	      fds[2].revents);
	job.out = p[1];
	peer_do(w->peer, &job);
	CHECK(AGAIN(poll(fds, 1, 20000)) == 1, errno);
	full_read(p[0], buf, 3);
	CHECK(same(buf, 3, job.seed), 0);
	sigemptyset(set);
	sigaddset(set, SIGSEGV);
	sigaddset(set, SIGUSR1);
	peer_do(w->peer, &job);
	*ts = (struct timespec){20, 0};
	CHECK(AGAIN(ppoll(fds, 1, ts, set)) == 1, errno);
	full_read(p[0], buf, 3);
	peer_wait(w->peer);
	*ts = (struct timespec){0, 1000};
	CHECK(AGAIN(ppoll(fds, 1, ts, set)) == 0, errno);
	note(w, hash(buf, 3));
	close(p[0]);
	close(p[1]);
	free(fds);
	free(ts);
	free(set);
	free(p);
	free(buf);
}

static void selects(struct worker *w)
{
	struct job job = {.kind = JOB_SEND, .bytes = 3, .seed = rnd(w)};
	fd_set *in = get(sizeof(*in)), *out = get(sizeof(*out));
	struct timeval *tv = get(sizeof(*tv));
	struct timespec *ts = get(sizeof(*ts));
	int *p = get(2 * sizeof(*p));
	char *buf = get(3);
	long n;

	MUST(pipe(p));
	CHECK(p[1] < FD_SETSIZE, p[1]);
	job.out = p[1];
	peer_do(w->peer, &job);
	do {
		FD_ZERO(in);
		FD_SET(p[0], in);
		*tv = (struct timeval){20, 0};
		n = select(p[0] + 1, in, NULL, NULL, tv);
	} while (n < 0 && errno == EINTR);
	CHECK(n == 1 && FD_ISSET(p[0], in), n);
	full_read(p[0], buf, 3);
	CHECK(same(buf, 3, job.seed), 0);
	FD_ZERO(in);
	FD_ZERO(out);
	FD_SET(p[0], in);
	FD_SET(p[1], out);
	*ts = (struct timespec){1, 0};
	n = AGAIN(pselect(p[1] + 1, in, out, NULL, ts, NULL));
	CHECK(n == 1 && !FD_ISSET(p[0], in) && FD_ISSET(p[1], out), n);
	note(w, (uint64_t)n);
	peer_wait(w->peer);
	close(p[0]);
	close(p[1]);
	free(in);
	free(out);
	free(tv);
	free(ts);
	free(p);
	free(buf);
}

static void counters(struct worker *w)
{
	uint64_t *v = get(sizeof(*v)), n = 1 + below(w, 1000);
	struct itimerspec *its = calloc(1, sizeof(*its));
	int fd = (int)MUST(eventfd(0, EFD_NONBLOCK)), t;

	FAILS(read(fd, v, 8), EAGAIN);
	*v = n;
	CHECK(write(fd, v, 8) == 8, errno);
	CHECK(write(fd, v, 8) == 8, errno);
	*v = 0;
	CHECK(read(fd, v, 8) == 8 && *v == 2 * n, *v);
	note(w, *v);
	MUST(close(fd));
	t = (int)MUST(timerfd_create(CLOCK_MONOTONIC, 0));
	its->it_value.tv_nsec = 1 + (long)below(w, 2000000);
	MUST(timerfd_settime(t, 0, its, NULL));
	*v = 0;
	CHECK(AGAIN(read(t, v, 8)) == 8 && *v == 1, *v);
	MUST(timerfd_gettime(t, its));
	CHECK(!its->it_value.tv_nsec && !its->it_value.tv_sec, 0);
	MUST(close(t));
	free(its);
	free(v);
}

static void signal_descriptor(struct worker *w)
{
	struct signalfd_siginfo *info = get(sizeof(*info));
	sigset_t *set = get(sizeof(*set)), *old = get(sizeof(*old));
	siginfo_t *si = get(sizeof(*si));
	struct timespec *ts = get(sizeof(*ts));
	union sigval v = {.sival_int = (int)below(w, 1 << 30)};
	int fd, sig = SIGRTMIN + 3;

	sigemptyset(set);
	sigaddset(set, sig);
	CHECK(!pthread_sigmask(SIG_BLOCK, set, old), 0);
	fd = (int)MUST(signalfd(-1, set, SFD_CLOEXEC));
	CHECK(!pthread_sigqueue(pthread_self(), sig, v), 0);
	CHECK(AGAIN(read(fd, info, sizeof(*info))) == sizeof(*info), errno);
	CHECK(info->ssi_signo == (uint32_t)sig, info->ssi_signo);
	CHECK(info->ssi_int == v.sival_int, info->ssi_int);
	CHECK(!pthread_sigqueue(pthread_self(), sig, v), 0);
	*ts = (struct timespec){20, 0};
	CHECK(AGAIN(sigtimedwait(set, si, ts)) == sig, errno);
	CHECK(si->si_value.sival_int == v.sival_int, 0);
	*ts = (struct timespec){0, 100};
	FAILS(sigtimedwait(set, si, ts), EAGAIN);
	CHECK(!pthread_sigmask(SIG_SETMASK, old, set), 0);
	CHECK(sigismember(set, sig) == 1, 0);
	CHECK(sigismember(set, SIGSEGV) == 0, 0);
	note(w, (uint64_t)v.sival_int);
	MUST(close(fd));
	free(info);
	free(set);
	free(old);
	free(si);
	free(ts);
}

static void file_events(struct worker *w)
{
	char *path = path_of(w, "seen"), *buf = get(4096);
	struct inotify_event *e = (struct inotify_event *)buf;
	int fd = (int)MUST(inotify_init1(0)), f;
	long n;

	MUST(inotify_add_watch(fd, w->dir, IN_CREATE | IN_DELETE));
	f = (int)MUST(creat(path, 0600));
	MUST(close(f));
	n = AGAIN(read(fd, buf, 4096));
	CHECK(n > (long)sizeof(*e) && e->mask & IN_CREATE, n);
	CHECK(!strcmp(e->name, "seen"), n);
	MUST(unlink(path));
	n = AGAIN(read(fd, buf, 4096));
	CHECK(n > (long)sizeof(*e) && e->mask & IN_DELETE, n);
	note(w, e->mask);
	MUST(close(fd));
	free(buf);
	free(path);
}

static void clocks(struct worker *w)
{
	struct timespec *a = get(sizeof(*a)), *b = get(sizeof(*b));
	struct rusage *ru = get(sizeof(*ru));
	struct rlimit *rl = get(sizeof(*rl));
	struct sysinfo *si = get(sizeof(*si));
	struct tms *t = get(sizeof(*t));
	struct itimerval *it = get(sizeof(*it));

	MUST(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, a));
	MUST(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, b));
	CHECK(b->tv_sec > a->tv_sec ||
		      (b->tv_sec == a->tv_sec && b->tv_nsec >= a->tv_nsec),
	      0);
	MUST(clock_getres(CLOCK_THREAD_CPUTIME_ID, a));
	*a = (struct timespec){0, 1 + (long)below(w, 300000)};
	while (nanosleep(a, b) && errno == EINTR) {
		CHECK(b->tv_sec == 0 && b->tv_nsec <= 1000000, b->tv_nsec);
		*a = *b;
	}
	MUST(getrusage(RUSAGE_THREAD, ru));
	MUST(getrlimit(RLIMIT_NOFILE, rl));
	CHECK(rl->rlim_cur > 0 && rl->rlim_cur <= rl->rlim_max, rl->rlim_cur);
	MUST(sysinfo(si));
	CHECK(si->totalram > 0, 0);
	MUST(times(t));
	MUST(getitimer(ITIMER_REAL, it));
	note(w, (uint64_t)it->it_value.tv_sec);
	free(a);
	free(b);
	free(ru);
	free(rl);
	free(si);
	free(t);
	free(it);
}

static void questions(struct worker *w)
{
	struct utsname *u = get(sizeof(*u));
	size_t bytes = 1 + below(w, 4000);
	char *p = calloc(2, bytes), *host = get(256);
	gid_t *groups = get(64 * sizeof(*groups));
	cpu_set_t *cpus = get(sizeof(*cpus));
	unsigned int zeros = 0;

	MUST(uname(u));
	CHECK(!strcmp(u->sysname, "Linux"), 0);
	CHECK(AGAIN(getrandom(p, bytes, 0)) > 0, errno);
	CHECK(AGAIN(getrandom(p + bytes, bytes, 0)) > 0, errno);
	for (size_t i = 0; i < 2 * bytes; i++)
		zeros += !p[i];
	CHECK(zeros < bytes || bytes < 8, zeros);
	MUST(gethostname(host, 256));
	MUST(getgroups(64, groups));
	MUST(sched_getaffinity(0, sizeof(*cpus), cpus));
	CHECK(CPU_COUNT(cpus) == sysconf(_SC_NPROCESSORS_ONLN),
	      CPU_COUNT(cpus));
	note(w, bytes);
	free(u);
	free(p);
	free(host);
	free(groups);
	free(cpus);
}

const struct op wait_ops[] = {
	{"epoll", epoll, 1},
	{"polls", polls, 1},
	{"selects", selects, 1},
	{"counters", counters, 1},
	{"signal-descriptor", signal_descriptor, 1},
	{"file-events", file_events, 1},
	{"clocks", clocks, 1},
	{"questions", questions, 1},
	{0},
};
