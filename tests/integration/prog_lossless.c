/* SPDX-License-Identifier: MIT */
/*
 * Events that the kernel throws away when it cannot store them: each sender
 * sends one at a time, numbered, its receiver must see every one. What is
 * received goes to another page each time. Knows nothing of numabal; run by
 * test_guard_lossless.sh.
 *
 * prog_lossless SECONDS
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PAGES 64 /* of each receiver: soon armed again */
#define PAYLOAD 1000
#define MAX_NR 1000000

struct channel;

struct kind {
	const char *name;
	bool (*open)(struct channel *c);
	bool (*send)(struct channel *c, uint32_t nr);
	/* The number that was received; @p is over a page's end. */
	long (*receive)(struct channel *c, unsigned char *p);
};

struct channel {
	const struct kind *kind;
	int fd[2];
	_Atomic long x;
	_Atomic pid_t receiver;
	_Atomic uint32_t received, last;
	_Atomic bool failed;
	char path[64];
};

static _Atomic bool stop;
static _Atomic bool bad;

/* ---- datagrams ----------------------------------------------------------- */

static bool open_dgram(struct channel *c)
{
	return !socketpair(AF_UNIX, SOCK_DGRAM, 0, c->fd);
}

static bool open_seqpacket(struct channel *c)
{
	return !socketpair(AF_UNIX, SOCK_SEQPACKET, 0, c->fd);
}

static bool open_udp(struct channel *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	c->fd[0] = socket(AF_INET, SOCK_DGRAM, 0);
	c->fd[1] = socket(AF_INET, SOCK_DGRAM, 0);
	return !bind(c->fd[0], (void *)&a, len) &&
	       !getsockname(c->fd[0], (void *)&a, &len) &&
	       !connect(c->fd[1], (void *)&a, len);
}

static bool send_dgram(struct channel *c, uint32_t nr)
{
	uint32_t words[PAYLOAD / 4];

	for (int i = 0; i < PAYLOAD / 4; i++)
		words[i] = nr;
	return write(c->fd[1], words, PAYLOAD) == PAYLOAD;
}

static long payload_nr(const unsigned char *p)
{
	uint32_t words[PAYLOAD / 4];

	memcpy(words, p, PAYLOAD);
	for (int i = 1; i < PAYLOAD / 4; i++)
		if (words[i] != words[0])
			return -1;
	return words[0];
}

static long receive_read(struct channel *c, unsigned char *p)
{
	return read(c->fd[0], p, PAYLOAD) == PAYLOAD ? payload_nr(p) : -1;
}

static long receive_from(struct channel *c, unsigned char *p)
{
	socklen_t *len = (void *)(p + PAYLOAD + 2000);

	*len = 128;
	return recvfrom(c->fd[0], p, PAYLOAD, 0, (void *)(p + PAYLOAD + 1000),
			len) == PAYLOAD
		       ? payload_nr(p)
		       : -1;
}

static long receive_msg(struct channel *c, unsigned char *p)
{
	struct iovec *iov = (void *)(p + PAYLOAD + 1000);
	struct msghdr *m = (void *)(p + PAYLOAD + 2000);

	for (int i = 0; i < 10; i++)
		iov[i] = (struct iovec){p + i * PAYLOAD / 10, PAYLOAD / 10};
	memset(m, 0, sizeof(*m));
	m->msg_iov = iov;
	m->msg_iovlen = 10;
	return recvmsg(c->fd[0], m, 0) == PAYLOAD ? payload_nr(p) : -1;
}

/* ---- connections: the number is in the client's name --------------------- */

static bool open_listen(struct channel *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	/* Without a file: the first byte of the name is 0. */
	snprintf(a.sun_path + 1, 60, "nb-lossless-%d", getpid());
	c->fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	return !bind(c->fd[0], (void *)&a, sizeof(a)) && !listen(c->fd[0], 8);
}

static bool send_connect(struct channel *c, uint32_t nr)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX}, to;
	socklen_t len = sizeof(to);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool ok;

	snprintf(a.sun_path + 1, 60, "nb-client-%d-%u", getpid(), nr);
	ok = !bind(fd, (void *)&a, sizeof(a)) &&
	     !getsockname(c->fd[0], (void *)&to, &len) &&
	     !connect(fd, (void *)&to, len);
	close(fd);
	return ok;
}

static long receive_accept(struct channel *c, unsigned char *p)
{
	struct sockaddr_un *a = (void *)p;
	socklen_t *len = (void *)(p + 1000);
	unsigned int nr, pid;
	int fd;

	*len = sizeof(*a);
	fd = accept(c->fd[0], (void *)a, len);
	if (fd < 0)
		return -1;
	close(fd);
	if (sscanf(a->sun_path + 1, "nb-client-%u-%u", &pid, &nr) != 2)
		return -1;
	return nr;
}

/* ---- events -------------------------------------------------------------- */

static bool open_event(struct channel *c)
{
	return (c->fd[0] = eventfd(0, 0)) >= 0;
}

static bool send_event(struct channel *c, uint32_t nr)
{
	return !eventfd_write(c->fd[0], nr);
}

static long receive_event(struct channel *c, unsigned char *p)
{
	uint64_t v;

	if (read(c->fd[0], p, 8) != 8)
		return -1;
	memcpy(&v, p, 8);
	return (long)v;
}

static bool open_timer(struct channel *c)
{
	return (c->fd[0] = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0;
}

static bool send_timer(struct channel *c, uint32_t nr)
{
	struct itimerspec t = {.it_value.tv_nsec = 1};

	c->x = nr;
	return !timerfd_settime(c->fd[0], 0, &t, NULL);
}

static long receive_timer(struct channel *c, unsigned char *p)
{
	uint64_t v;

	if (read(c->fd[0], p, 8) != 8)
		return -1;
	memcpy(&v, p, 8);
	return v == 1 ? c->x : -1;
}

static bool open_inotify(struct channel *c)
{
	strcpy(c->path, "/tmp/nb_lossless_XXXXXX");
	c->fd[0] = inotify_init1(0);
	return mkdtemp(c->path) &&
	       inotify_add_watch(c->fd[0], c->path, IN_CREATE) >= 0;
}

static bool send_inotify(struct channel *c, uint32_t nr)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%u", c->path, nr);
	return !close(creat(path, 0600)) && !unlink(path);
}

static long receive_inotify(struct channel *c, unsigned char *p)
{
	struct inotify_event *e = (void *)p;

	return read(c->fd[0], e, 300) > 0 ? atol(e->name) : -1;
}

/* ---- signals ------------------------------------------------------------- */

static bool open_signalfd(struct channel *c)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	return (c->fd[0] = signalfd(-1, &set, 0)) >= 0;
}

static bool open_nothing(struct channel *c)
{
	(void)c;
	return true;
}

static bool send_signal(struct channel *c, int sig, uint32_t nr)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_value.sival_int = (int)nr;
	return !syscall(SYS_rt_tgsigqueueinfo, getpid(), c->receiver, sig,
			&info);
}

static bool send_signalfd(struct channel *c, uint32_t nr)
{
	return send_signal(c, SIGRTMIN, nr);
}

static bool send_sigwait(struct channel *c, uint32_t nr)
{
	return send_signal(c, SIGRTMIN + 1, nr);
}

static long receive_signalfd(struct channel *c, unsigned char *p)
{
	struct signalfd_siginfo *s = (void *)p;

	return read(c->fd[0], s, sizeof(*s)) == sizeof(*s) ? s->ssi_int : -1;
}

static long receive_sigwait(struct channel *c, unsigned char *p)
{
	sigset_t *set = (void *)(p + 1000);
	siginfo_t *info = (void *)p;

	(void)c;
	sigemptyset(set);
	sigaddset(set, SIGRTMIN + 1);
	if (sigwaitinfo(set, info) != SIGRTMIN + 1)
		return -1;
	return info->si_value.sival_int;
}

/* ---- children, queues ---------------------------------------------------- */

static bool send_child(struct channel *c, uint32_t nr)
{
	pid_t pid = fork();

	if (!pid)
		_exit((int)(nr & 127));
	c->x = pid;
	return pid > 0;
}

static long receive_child(struct channel *c, unsigned char *p)
{
	uint32_t want = c->received + 1;
	int status;
	pid_t pid;

	while (!c->x && !bad)
		sched_yield();
	pid = (pid_t)c->x;
	c->x = 0;
	memset(p, 255, 300);
	if (wait4(pid, (int *)p, 0, (struct rusage *)(p + 100)) != pid)
		return -1;
	memcpy(&status, p, sizeof(status));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != (int)(want & 127) ||
	    ((struct rusage *)(p + 100))->ru_maxrss < 0)
		return -1;
	return want;
}

static bool open_msg(struct channel *c)
{
	return (c->x = msgget(IPC_PRIVATE, 0600)) >= 0;
}

static bool send_msg(struct channel *c, uint32_t nr)
{
	struct {
		long type;
		uint32_t nr;
	} m = {1, nr};

	return !msgsnd((int)c->x, &m, 4, 0);
}

static long receive_msgq(struct channel *c, unsigned char *p)
{
	uint32_t nr;

	if (msgrcv((int)c->x, p, 100, 0, 0) != 4)
		return -1;
	memcpy(&nr, p + 8, 4);
	return nr;
}

static bool open_mq(struct channel *c)
{
	struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 100};
	char name[32];

	snprintf(name, sizeof(name), "/nb_lossless_%d", getpid());
	c->fd[0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
	return c->fd[0] >= 0 && !mq_unlink(name);
}

static bool send_mq(struct channel *c, uint32_t nr)
{
	return !mq_send(c->fd[0], (char *)&nr, sizeof(nr), nr % 30);
}

static long receive_mq(struct channel *c, unsigned char *p)
{
	unsigned int prio;
	uint32_t nr;

	if (mq_receive(c->fd[0], (char *)p, 100, (unsigned int *)(p + 1000)) !=
	    sizeof(nr))
		return -1;
	memcpy(&nr, p, sizeof(nr));
	memcpy(&prio, p + 1000, sizeof(prio));
	return prio == nr % 30 ? (long)nr : -1;
}

/* ---- all of them --------------------------------------------------------- */

static const struct kind kinds[] = {
	{"udp", open_udp, send_dgram, receive_read},
	{"udp-from", open_udp, send_dgram, receive_from},
	{"dgram", open_dgram, send_dgram, receive_read},
	{"dgram-msg", open_dgram, send_dgram, receive_msg},
	{"seqpacket", open_seqpacket, send_dgram, receive_read},
	{"accept", open_listen, send_connect, receive_accept},
	{"eventfd", open_event, send_event, receive_event},
	{"timerfd", open_timer, send_timer, receive_timer},
	{"inotify", open_inotify, send_inotify, receive_inotify},
	{"signalfd", open_signalfd, send_signalfd, receive_signalfd},
	{"sigtimedwait", open_nothing, send_sigwait, receive_sigwait},
	{"wait4", open_nothing, send_child, receive_child},
	{"msgrcv", open_msg, send_msg, receive_msgq},
	{"mq_receive", open_mq, send_mq, receive_mq},
};

#define NR_KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static void *receiver(void *arg)
{
	struct channel *c = arg;
	unsigned char *p = new_buffer(PAGES * 4096);

	c->receiver = (pid_t)syscall(SYS_gettid);
	for (uint32_t nr = 1; !bad; nr++) {
		unsigned char *at = p + nr * 5 % (PAGES - 2) * 4096 + 4090;
		long got = c->kind->receive(c, at);

		if (got != nr) {
			fprintf(stderr, "%s: %u was lost: %ld %m\n",
				c->kind->name, nr, got);
			c->failed = true;
			bad = true;
		}
		c->received = nr;
		if (nr == c->last)
			return NULL;
	}
	return NULL;
}

/* The next one when the last has arrived: most often the other side waits. */
static void *sender(void *arg)
{
	struct channel *c = arg;
	uint32_t nr = 0;

	while (!c->receiver)
		sched_yield();
	while (!bad) {
		bool last = stop || nr == MAX_NR;

		if (last)
			c->last = nr + 1;
		if (!c->kind->send(c, ++nr)) {
			fprintf(stderr, "%s: %u: %m\n", c->kind->name, nr);
			bad = true;
		}
		while (c->received < nr && !bad)
			sched_yield();
		if (last)
			return NULL;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 3);
	const struct timespec tick = {0, 50000000};
	struct channel c[NR_KINDS] = {{.kind = NULL}};
	pthread_t threads[NR_KINDS][2];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	/* glibc from 2.41 on blocks all signals in fork(): a child that ends
	 * before it returns would interrupt sigwaitinfo() of another thread,
	 * though nobody wants to know of it.
	 */
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < NR_KINDS; i++) {
		c[i].kind = &kinds[i];
		if (!kinds[i].open(&c[i])) {
			fprintf(stderr, "%s: %m\n", kinds[i].name);
			return 99;
		}
		if (pthread_create(&threads[i][0], NULL, receiver, &c[i]) ||
		    pthread_create(&threads[i][1], NULL, sender, &c[i]))
			return 99;
	}
	while (time(NULL) < until && !bad)
		nanosleep(&tick, NULL);
	stop = true;
	for (int i = 0; i < NR_KINDS && !bad; i++)
		for (int k = 0; k < 2; k++)
			pthread_join(threads[i][k], NULL);
	for (int i = 0; i < NR_KINDS; i++)
		printf("%s%s %u\n", c[i].failed ? "FAIL " : "", kinds[i].name,
		       c[i].received);
	for (int i = 0; i < NR_KINDS; i++) {
		if (c[i].path[0])
			rmdir(c[i].path);
		if (kinds[i].open == open_msg)
			msgctl((int)c[i].x, IPC_RMID, NULL);
	}
	return bad;
}
