/* SPDX-License-Identifier: MIT */
/*
 * Calls about time, signals, processes, queues and memory with all that they
 * are handed in armed memory: see matrix.h. Knows nothing of numabal; run by
 * test_guard_matrix.sh.
 */
#define _GNU_SOURCE
#include "matrix.h"

#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static int fd = -1, queue = -1, sem = -1, shm = -1;

static void new_fd(struct run *r, int nr)
{
	if (fd >= 0)
		close(fd);
	fd = nr;
	r->arg[0] = fd;
}

static void event(struct run *r)
{
	new_fd(r, eventfd(4711, 0));
}

static void timer(struct run *r)
{
	new_fd(r, timerfd_create(CLOCK_MONOTONIC, 0));
}

static void child(struct run *r)
{
	siginfo_t info;
	pid_t pid = fork();

	if (!pid)
		_exit(42);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	r->arg[r->arg[0] == P_PID] = pid;
}

static void child_wait4(struct run *r)
{
	r->arg[0] = -1;
	child(r);
}

static void msg_queue(struct run *r)
{
	if (queue < 0)
		queue = msgget(IPC_PRIVATE, 0600);
	r->arg[0] = queue;
}

static void msg_waits(struct run *r)
{
	struct {
		long type;
		char text[100];
	} m = {1, "a message"};

	msg_queue(r);
	while (msgrcv(queue, &m, 100, 0, IPC_NOWAIT) >= 0)
		;
	m.type = 1;
	msgsnd(queue, &m, 100, 0);
}

static void semaphore(struct run *r)
{
	if (sem < 0)
		sem = semget(IPC_PRIVATE, 3, 0600);
	r->arg[0] = sem;
}

static void shared(struct run *r)
{
	if (shm < 0)
		shm = shmget(IPC_PRIVATE, 4096, 0600);
	r->arg[0] = shm;
}

static void mq(struct run *r)
{
	struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 100};
	char name[32];

	snprintf(name, sizeof(name), "/nb_matrix_%d", getpid());
	new_fd(r, mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a));
	mq_unlink(name);
}

static void mq_waits(struct run *r)
{
	mq(r);
	mq_send(fd, "a message", 10, 3);
}

static void signal_waits(struct run *r)
{
	sigset_t set;

	(void)r;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
}

static void to_ourselves(struct run *r)
{
	r->arg[0] = getpid();
}

/* Object 6 is copied to 7: 1 and 3 are vectors. */
static void self_copy(struct run *r)
{
	struct iovec to = {r->at[7], 3000}, from = {r->at[6], 3000};

	r->arg[0] = getpid();
	memcpy(r->at[1], &to, sizeof(to));
	memcpy(r->at[3], &from, sizeof(from));
}

static void one_page(struct run *r)
{
	static char page[8192];
	void *p = page;

	page[0] = 1;
	memcpy(r->at[2], &p, sizeof(p));
}

static void one_waitv(struct run *r)
{
	struct {
		uint64_t val, uaddr;
		uint32_t flags, reserved;
	} w = {77, (uint64_t)r->at[6], 2 | FUTEX_PRIVATE_FLAG, 0};

	memcpy(r->at[0], &w, sizeof(w));
}

static const struct timespec soon = {0, 1000}, none = {0, 0};
static const struct itimerspec it = {{0, 0}, {1000, 0}};
static const struct itimerval itv = {{0, 0}, {1000, 0}};
static const uint64_t usr1 = 1 << (SIGUSR1 - 1), usr2 = 1 << (SIGUSR2 - 1);
static const uint64_t action[4]; /* SIG_DFL */
static const struct rlimit lim = {100, 100};
static const struct sched_param prio;
static const char long_name[16] = "some-long-name";
static const struct sembuf op = {0, 1, 0};
static const struct mq_attr attr = {.mq_flags = O_NONBLOCK};
static const uint32_t cap[2] = {_LINUX_CAPABILITY_VERSION_3, 0}, word = 5;
static const uint64_t sched_attr[6] = {48};
static const uint64_t perf_attr[16] = {(uint64_t)112 << 32 | 1};
static const uint64_t cpus = UINT64_MAX, nodes = 1, range[2];
static const siginfo_t info = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
static const struct sigevent sev = {.sigev_notify = SIGEV_NONE};
static const struct {
	long type;
	char text[100];
} message = {7, "another message"};
static const uint64_t timex[26];

static const struct row rows[] = {
	R(nanosleep, 0, NULL, IN(soon), OUT(16)),
	R(clock_nanosleep, 0, NULL, NUM(1), NUM(0), IN(soon), OUT(16)),
	R(clock_gettime, VOLATILE, NULL, NUM(1), OUT(16)),
	R(clock_getres, 0, NULL, NUM(1), OUT(16)),
	R(gettimeofday, VOLATILE, NULL, OUT(16), OUT(8)),
	R(time, VOLATILE | RESULT, NULL, OUT(8)),
	R(times, VOLATILE | RESULT, NULL, OUT(32)),
	R(adjtimex, VOLATILE, NULL, IN(timex)),
	R(setitimer, VOLATILE, NULL, NUM(ITIMER_VIRTUAL), IN(itv), OUT(32)),
	R(getitimer, VOLATILE, NULL, NUM(ITIMER_VIRTUAL), OUT(32)),
	R(timer_create, VOLATILE, NULL, NUM(1), IN(sev), OUT(4)),
	R(timer_settime, VOLATILE, NULL, NUM(0), NUM(0), IN(it), OUT(32)),
	R(timer_gettime, VOLATILE, NULL, NUM(0), OUT(32)),
	R(timerfd_settime, 0, timer, NUM(0), NUM(0), IN(it), OUT(32)),
	R(timerfd_gettime, 0, timer, NUM(0), OUT(32)),
	R(read, 0, event, NUM(0), OUT(8), NUM(8)),
	R(rt_sigaction, VOLATILE, NULL, NUM(SIGUSR2), IN(action), OUT(32),
	  NUM(8)),
	R(rt_sigprocmask, VOLATILE, NULL, NUM(SIG_BLOCK), IN(usr1), OUT(8),
	  NUM(8)),
	R(rt_sigpending, 0, signal_waits, OUT(8), NUM(8)),
	R(rt_sigtimedwait, VOLATILE, signal_waits, IN(usr1), OUT(128), IN(none),
	  NUM(8)),
	R(rt_sigqueueinfo, 0, to_ourselves, NUM(0), NUM(0), IN(info)),
	R(sigaltstack, VOLATILE, NULL, NUM(0), OUT(24)),
	R(signalfd4, RESULT | NEW_FD, NULL, NUM(-1), IN(usr2), NUM(8), NUM(0)),
	R(getrlimit, 0, NULL, NUM(RLIMIT_CORE), OUT(16)),
	R(setrlimit, 0, NULL, NUM(RLIMIT_NICE), IN(lim)),
	R(prlimit64, 0, NULL, NUM(0), NUM(RLIMIT_SIGPENDING), NUM(0), OUT(16)),
	R(getrusage, VOLATILE, NULL, NUM(0), OUT(144)),
	R(sysinfo, VOLATILE, NULL, OUT(112)),
	R(uname, 0, NULL, OUT(390)),
	R(getgroups, 0, NULL, NUM(100), OUT(400)),
	R(getresuid, 0, NULL, OUT(4), OUT(4), OUT(4)),
	R(getresgid, 0, NULL, OUT(4), OUT(4), OUT(4)),
	R(capget, 0, NULL, IN(cap), OUT(24)),
	R(sched_getparam, 0, NULL, NUM(0), OUT(4)),
	R(sched_setscheduler, 0, NULL, NUM(0), NUM(0), IN(prio)),
	R(sched_rr_get_interval, VOLATILE, NULL, NUM(0), OUT(16)),
	R(sched_getattr, 0, NULL, NUM(0), OUT(48), NUM(48), NUM(0)),
	R(sched_setattr, 0, NULL, NUM(0), IN(sched_attr), NUM(0)),
	R(sched_setaffinity, 0, NULL, NUM(0), NUM(8), IN(cpus)),
	R(sched_getaffinity, 0, NULL, NUM(0), NUM(8), OUT(8)),
	R(get_robust_list, VOLATILE, NULL, NUM(0), OUT(8), OUT(8)),
	R(getcpu, VOLATILE, NULL, OUT(4), OUT(4)),
	R(prctl, 0, NULL, NUM(PR_SET_NAME), IN(long_name)),
	R(arch_prctl, VOLATILE, NULL, NUM(0x1003), OUT(8)),
	R(wait4, VOLATILE | RESULT, child_wait4, NUM(0), OUT(4), NUM(0),
	  OUT(144)),
	R(waitid, VOLATILE, child, NUM(P_PID), NUM(0), OUT(128), NUM(WEXITED),
	  OUT(144)),
	R(getrandom, VOLATILE, NULL, OUT(256), NUM(256), NUM(0)),
	R(perf_event_open, RESULT | NEW_FD, NULL, IN(perf_attr), NUM(0),
	  NUM(-1), NUM(-1), NUM(0)),
	R(msgsnd, 0, msg_queue, NUM(0), IN(message), NUM(100), NUM(0)),
	R(msgrcv, 0, msg_waits, NUM(0), OUT(108), NUM(100), NUM(0), NUM(0)),
	R(msgctl, VOLATILE, msg_queue, NUM(0), NUM(IPC_STAT), OUT(120)),
	R(semop, 0, semaphore, NUM(0), IN(op), NUM(1)),
	R(semtimedop, 0, semaphore, NUM(0), IN(op), NUM(1), IN(soon)),
	R(semctl, 0, semaphore, NUM(0), NUM(0), NUM(GETALL), OUT(6)),
	R(shmctl, VOLATILE, shared, NUM(0), NUM(IPC_STAT), OUT(112)),
	R(mq_timedsend, 0, mq, NUM(0), IN(message), NUM(100), NUM(3), IN(soon)),
	R(mq_timedreceive, 0, mq_waits, NUM(0), OUT(100), NUM(100), OUT(4),
	  IN(soon)),
	R(mq_getsetattr, VOLATILE, mq, NUM(0), IN(attr), OUT(64)),
	R(futex, ALIGNED, NULL, IN(word), NUM(FUTEX_WAIT), NUM(5), IN(soon)),
	R(futex_waitv, VOLATILE | ALIGNED, one_waitv, OUT(24), NUM(1), NUM(0),
	  {0}, {0}, {0}, IN(word)),
	R(mincore, VOLATILE, NULL, NUM(0), NUM(0), OUT(1)),
	R(move_pages, VOLATILE, one_page, NUM(0), NUM(1), OUT(8), NUM(0),
	  OUT(4), NUM(0)),
	R(get_mempolicy, VOLATILE, NULL, OUT(4), OUT(128), NUM(1024), NUM(0),
	  NUM(0)),
	R(set_mempolicy, 0, NULL, NUM(1), IN(nodes), NUM(64)),
	R(process_vm_readv, VECTOR, self_copy, NUM(0), OUT(16), NUM(1), OUT(16),
	  NUM(1), NUM(0), OUT(3000), OUT(3000)),
	R(process_vm_writev, VECTOR, self_copy, NUM(0), OUT(16), NUM(1),
	  OUT(16), NUM(1), NUM(0), OUT(3000), OUT(3000)),
	{451, "cachestat", VOLATILE, event, {NUM(0), IN(range), OUT(40)}},
	{0, NULL, 0, NULL, {{NOTHING, 0, NULL, 0}}},
};

int main(int argc, char **argv)
{
	bool ok;

	signal(SIGUSR2, SIG_IGN);
	ok = run_matrix(rows, argc > 1 ? argv[1] : NULL);
	msgctl(queue, IPC_RMID, NULL);
	semctl(sem, 0, IPC_RMID);
	shmctl(shm, IPC_RMID, NULL);
	return !ok;
}
