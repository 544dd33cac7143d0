/* SPDX-License-Identifier: MIT */
/*
 * Calls that block without a descriptor: futexes, children, timers, queues,
 * semaphores, locks, signals, while the memory around theirs is armed. Knows
 * nothing of numabal; run by test_guard_blocked.sh.
 */
#define _GNU_SOURCE
#include "blocked.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/wait.h>

static void nothing(int sig)
{
	(void)sig;
}

/* ---- futexes ------------------------------------------------------------- */

static long do_futex(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 1);

	*(int *)WORD(b, 0) = 5;
	*ts = (struct timespec){.tv_sec = 100};
	return syscall(SYS_futex, WORD(b, 0), FUTEX_WAIT_PRIVATE, 5, ts, NULL,
		       0);
}

static bool wake(struct blocked *b)
{
	return syscall(SYS_futex, WORD(b, 0), FUTEX_WAKE_PRIVATE, 1) == 1;
}

static bool returned_0(struct blocked *b)
{
	return b->ret == 0;
}

static long do_futex_waitv(struct blocked *b)
{
	struct {
		uint64_t val, uaddr;
		uint32_t flags, reserved;
	} *w = (void *)PLACE(b, 1);

	for (int i = 0; i < 40; i++) {
		*(int *)WORD(b, 2 + i) = 5;
		w[i].val = 5;
		w[i].uaddr = (uint64_t)WORD(b, 2 + i);
		w[i].flags = 2 | FUTEX_PRIVATE_FLAG;
	}
	return syscall(449, w, 40, 0, NULL, 0);
}

static bool wake_one_of_40(struct blocked *b)
{
	/* A kernel without it says so at once, and nobody waits. */
	return syscall(SYS_futex, WORD(b, 2 + 17), FUTEX_WAKE_PRIVATE, 1) == 1;
}

static bool returned_17(struct blocked *b)
{
	return b->ret == 17;
}

/* Taken from us: the kernel writes the word when it is given up. */
static bool pi_taken(struct blocked *b)
{
	*(int *)WORD(b, 0) = (int)syscall(SYS_gettid);
	return true;
}

static long do_futex_pi(struct blocked *b)
{
	return syscall(SYS_futex, WORD(b, 0), FUTEX_LOCK_PI_PRIVATE, 0, NULL);
}

static bool pi_given_up(struct blocked *b)
{
	return !syscall(SYS_futex, WORD(b, 0), FUTEX_UNLOCK_PI_PRIVATE);
}

static bool pi_theirs(struct blocked *b)
{
	return !b->ret && (*(int *)WORD(b, 0) & FUTEX_TID_MASK) == b->tid;
}

/* Requeued by somebody else from one word to the other. */
static bool requeue(struct blocked *b)
{
	*(int *)WORD(b, 3) = 6;
	CHECK(syscall(SYS_futex, WORD(b, 0), FUTEX_CMP_REQUEUE_PRIVATE, 0, 1,
		      WORD(b, 3), 5) == 1);
	CHECK(wait_armed(b->p + 8192));
	return syscall(SYS_futex, WORD(b, 3), FUTEX_WAKE_PRIVATE, 1) == 1;
}

/* ---- children ------------------------------------------------------------ */

static bool child(struct blocked *b)
{
	CHECK(!pipe(b->fd));
	b->x = fork();
	if (!b->x) {
		char c;

		close(b->fd[1]);
		_exit(read(b->fd[0], &c, 1) == 1 ? 42 : 1);
	}
	return b->x > 0;
}

static bool child_ends(struct blocked *b)
{
	return write(b->fd[1], "x", 1) == 1;
}

static long do_wait4(struct blocked *b)
{
	memset(PLACE(b, 1), 255, sizeof(struct rusage));
	return wait4((pid_t)b->x, (int *)PLACE(b, 0), 0,
		     (struct rusage *)PLACE(b, 1));
}

static bool waited4(struct blocked *b)
{
	int status;

	memcpy(&status, PLACE(b, 0), sizeof(status));
	return b->ret == b->x && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 42 &&
	       ((struct rusage *)PLACE(b, 1))->ru_maxrss > 0;
}

static long do_waitid(struct blocked *b)
{
	return syscall(SYS_waitid, P_PID, b->x, PLACE(b, 0), WEXITED,
		       PLACE(b, 1));
}

static bool waited_id(struct blocked *b)
{
	siginfo_t *info = (void *)PLACE(b, 0);

	return !b->ret && info->si_pid == b->x && info->si_status == 42;
}

/* ---- time, signals ------------------------------------------------------- */

static bool handler(struct blocked *b)
{
	struct sigaction sa = {.sa_handler = nothing};

	(void)b;
	return !sigaction(SIGUSR1, &sa, NULL);
}

static long do_nanosleep(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 0);

	*ts = (struct timespec){.tv_sec = 1000};
	return nanosleep(ts, (void *)PLACE(b, 1));
}

static long do_clock_nanosleep(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 0);
	int err;

	*ts = (struct timespec){.tv_sec = 1000};
	err = clock_nanosleep(CLOCK_REALTIME, 0, ts, (void *)PLACE(b, 1));
	errno = err;
	return err ? -1 : 0;
}

static bool interrupt(struct blocked *b)
{
	return !pthread_kill(b->thread, SIGUSR1);
}

static bool slept(struct blocked *b)
{
	struct timespec *rem = (void *)PLACE(b, 1);

	return b->ret == -1 && b->err == EINTR && rem->tv_sec > 900 &&
	       rem->tv_sec < 1000;
}

static bool signal_blocked(struct blocked *b)
{
	sigset_t *set = (void *)PLACE(b, 3);

	sigemptyset(set);
	sigaddset(set, SIGUSR2);
	return !pthread_sigmask(SIG_BLOCK, set, NULL);
}

static long do_sigtimedwait(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 2);
	sigset_t *set = (void *)PLACE(b, 0);

	sigemptyset(set);
	sigaddset(set, SIGUSR2);
	*ts = (struct timespec){.tv_sec = 1000};
	return sigtimedwait(set, (siginfo_t *)PLACE(b, 1), ts);
}

static bool signal_sent(struct blocked *b)
{
	return !pthread_sigqueue(b->thread, SIGUSR2,
				 (union sigval){.sival_int = 4711});
}

static bool signal_seen(struct blocked *b)
{
	siginfo_t *info = (void *)PLACE(b, 1);

	return b->ret == SIGUSR2 && info->si_value.sival_int == 4711;
}

/* ---- queues and semaphores ----------------------------------------------- */

static bool msg_queue(struct blocked *b)
{
	b->x = msgget(IPC_PRIVATE, 0600);
	return b->x >= 0;
}

static long do_msgrcv(struct blocked *b)
{
	return msgrcv((int)b->x, PLACE(b, 0), 1000, 0, 0);
}

static bool msg_sent(struct blocked *b)
{
	struct {
		long type;
		char text[100];
	} m = {7, "a message"};

	CHECK(!msgsnd((int)b->x, &m, sizeof(m.text), 0));
	return true;
}

static bool msg_seen(struct blocked *b)
{
	msgctl((int)b->x, IPC_RMID, NULL);
	return b->ret == 100 && *PLACE(b, 0) == 7 &&
	       !strcmp((char *)PLACE(b, 0) + 8, "a message");
}

static bool mq(struct blocked *b)
{
	struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 100};
	char name[32];

	snprintf(name, sizeof(name), "/nb_mq_%d", getpid());
	b->fd[0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
	mq_unlink(name);
	return b->fd[0] >= 0;
}

static long do_mq(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 1);

	*ts = (struct timespec){.tv_sec = time(NULL) + 1000};
	return mq_timedreceive(b->fd[0], (char *)PLACE(b, 0), 100,
			       (unsigned int *)PLACE(b, 2), ts);
}

static bool mq_sent(struct blocked *b)
{
	return !mq_send(b->fd[0], "a message", 10, 3);
}

static bool mq_seen(struct blocked *b)
{
	return b->ret == 10 && *PLACE(b, 2) == 3 &&
	       !strcmp((char *)PLACE(b, 0), "a message");
}

static bool sem(struct blocked *b)
{
	b->x = semget(IPC_PRIVATE, 1, 0600);
	return b->x >= 0;
}

static struct sembuf *take_one(struct blocked *b)
{
	struct sembuf *op = (void *)PLACE(b, 0);

	*op = (struct sembuf){.sem_op = -1};
	return op;
}

static long do_semop(struct blocked *b)
{
	return semop((int)b->x, take_one(b), 1);
}

static long do_semtimedop(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 1);

	*ts = (struct timespec){.tv_sec = 1000};
	return semtimedop((int)b->x, take_one(b), 1, ts);
}

static bool sem_given(struct blocked *b)
{
	struct sembuf op = {.sem_op = 1};

	return !semop((int)b->x, &op, 1);
}

static bool sem_taken(struct blocked *b)
{
	return !semctl((int)b->x, 0, IPC_RMID) && !b->ret;
}

/* ---- a lock of a file, asynchronous I/O ---------------------------------- */

static bool lock(int fd, int cmd, short type)
{
	struct flock l = {.l_type = type};

	return !fcntl(fd, cmd, &l);
}

static bool locked_file(struct blocked *b)
{
	char path[] = "/tmp/nb_lock_XXXXXX", proc[64];

	b->fd[0] = mkstemp(path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", b->fd[0]);
	b->fd[1] = open(proc, O_RDWR);
	unlink(path);
	return lock(b->fd[0], F_OFD_SETLK, F_WRLCK);
}

static long do_lock(struct blocked *b)
{
	struct flock *l = (void *)PLACE(b, 0);

	*l = (struct flock){.l_type = F_WRLCK};
	return fcntl(b->fd[1], F_OFD_SETLKW, l);
}

static bool unlock(struct blocked *b)
{
	return lock(b->fd[0], F_OFD_SETLK, F_UNLCK);
}

/* An event that is in no buffer yet: of an IOCB_CMD_POLL. */
static bool aio(struct blocked *b)
{
	aio_context_t *ctx = (void *)PLACE(b, 2);
	struct iocb cb = {.aio_lio_opcode = 5, .aio_buf = 1 /* POLLIN */};
	struct iocb *list = &cb;

	CHECK(!pipe(b->fd) && !syscall(SYS_io_setup, 10, ctx));
	cb.aio_fildes = (uint32_t)b->fd[0];
	cb.aio_data = 4711;
	return syscall(SYS_io_submit, *ctx, 1, &list) == 1;
}

static long do_aio(struct blocked *b)
{
	aio_context_t *ctx = (void *)PLACE(b, 2);
	struct timespec *ts = (void *)PLACE(b, 1);

	*ts = (struct timespec){.tv_sec = 1000};
	return syscall(SYS_io_getevents, *ctx, 1, 100, PLACE(b, 0), ts);
}

static bool aio_seen(struct blocked *b)
{
	aio_context_t *ctx = (void *)PLACE(b, 2);

	syscall(SYS_io_destroy, *ctx);
	return b->ret == 1 && ((struct io_event *)PLACE(b, 0))->data == 4711;
}

int main(int argc, char **argv)
{
	static const struct blocked_case cases[] = {
		{"futex", NULL, do_futex, wake, returned_0},
		{"futex-requeue", NULL, do_futex, requeue, returned_0},
		{"futex_waitv", NULL, do_futex_waitv, wake_one_of_40,
		 returned_17},
		{"futex-pi", pi_taken, do_futex_pi, pi_given_up, pi_theirs},
		{"wait4", child, do_wait4, child_ends, waited4},
		{"waitid", child, do_waitid, child_ends, waited_id},
		{"nanosleep", handler, do_nanosleep, interrupt, slept},
		{"clock_nanosleep", handler, do_clock_nanosleep, interrupt,
		 slept},
		{"sigtimedwait", signal_blocked, do_sigtimedwait, signal_sent,
		 signal_seen},
		{"msgrcv", msg_queue, do_msgrcv, msg_sent, msg_seen},
		{"mq_timedreceive", mq, do_mq, mq_sent, mq_seen},
		{"semop", sem, do_semop, sem_given, sem_taken},
		{"semtimedop", sem, do_semtimedop, sem_given, sem_taken},
		{"file-lock", locked_file, do_lock, unlock, returned_0},
		{"io_getevents", aio, do_aio, child_ends, aio_seen},
		{NULL, NULL, NULL, NULL, NULL},
	};

	return run_all_blocked(cases, argc, argv);
}
