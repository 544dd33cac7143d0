/* SPDX-License-Identifier: MIT */
/*
 * Calls on descriptors that block, in both directions, while the memory around
 * theirs is armed. Knows nothing of numabal; run by test_guard_blocked.sh.
 */
#define _GNU_SOURCE
#include "blocked.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

#define LEN 5000 /* two pages, or three */

static char text[LEN];

/* ---- receiving ----------------------------------------------------------- */

static bool pipe_ends(struct blocked *b)
{
	return !pipe(b->fd);
}

static bool sockets(struct blocked *b, int type)
{
	return !socketpair(AF_UNIX, type, 0, b->fd);
}

static bool stream(struct blocked *b)
{
	return sockets(b, SOCK_STREAM);
}

static bool dgram(struct blocked *b)
{
	return sockets(b, SOCK_DGRAM);
}

static bool seqpacket(struct blocked *b)
{
	return sockets(b, SOCK_SEQPACKET);
}

/* On the loopback; the second is connected to the first. */
static bool inet(struct blocked *b, int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	b->fd[0] = socket(AF_INET, type, 0);
	b->fd[1] = socket(AF_INET, type, 0);
	CHECK(!bind(b->fd[0], (void *)&a, len));
	CHECK(!getsockname(b->fd[0], (void *)&a, &len));
	if (type == SOCK_STREAM)
		return !listen(b->fd[0], 5);
	CHECK(!connect(b->fd[1], (void *)&a, len));
	len = sizeof(a);
	CHECK(!getsockname(b->fd[1], (void *)&a, &len));
	b->x = ntohs(a.sin_port);
	return true;
}

static bool udp(struct blocked *b)
{
	return inet(b, SOCK_DGRAM);
}

static bool tcp(struct blocked *b)
{
	return inet(b, SOCK_STREAM);
}

static bool send_text(struct blocked *b)
{
	return write(b->fd[1], text, LEN) == LEN;
}

static bool got_text(struct blocked *b)
{
	return b->ret == LEN && !memcmp(PLACE(b, 0), text, LEN);
}

static long do_read(struct blocked *b)
{
	return read(b->fd[0], PLACE(b, 0), LEN);
}

static long do_recv(struct blocked *b)
{
	return recv(b->fd[0], PLACE(b, 0), LEN, MSG_WAITALL);
}

/* Every descriptor of these is in memory that can be armed, too. */
static struct iovec *iov_of(struct blocked *b)
{
	struct iovec *iov = (void *)PLACE(b, 1);

	for (int i = 0; i < 20; i++)
		iov[i] = (struct iovec){PLACE(b, 2 + i), LEN / 20};
	return iov;
}

static bool got_pieces(struct blocked *b)
{
	for (int i = 0; i < 20; i++)
		CHECK(!memcmp(PLACE(b, 2 + i), text + i * LEN / 20, LEN / 20));
	return b->ret == LEN;
}

static long do_readv(struct blocked *b)
{
	return readv(b->fd[0], iov_of(b), 20);
}

static struct msghdr *msg_of(struct blocked *b, int i)
{
	struct mmsghdr *m = (struct mmsghdr *)PLACE(b, 30) + i;

	memset(m, 0, sizeof(*m));
	m->msg_hdr.msg_iov = iov_of(b);
	m->msg_hdr.msg_iovlen = 20;
	m->msg_hdr.msg_name = PLACE(b, 31);
	m->msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
	return &m->msg_hdr;
}

static long do_recvmsg(struct blocked *b)
{
	return recvmsg(b->fd[0], msg_of(b, 0), 0);
}

static long do_recvmmsg(struct blocked *b)
{
	struct mmsghdr *m = (void *)msg_of(b, 0);
	long n = recvmmsg(b->fd[0], m, 1, 0, NULL);

	return n == 1 ? (long)m->msg_len : -1;
}

static bool got_from(struct blocked *b)
{
	struct sockaddr_in *from = (void *)PLACE(b, 31);

	return ntohs(from->sin_port) == b->x && got_pieces(b);
}

static long do_recvfrom(struct blocked *b)
{
	socklen_t *len = (void *)PLACE(b, 32);

	*len = 100;
	return recvfrom(b->fd[0], PLACE(b, 0), LEN, 0, (void *)PLACE(b, 31),
			len);
}

static bool got_datagram(struct blocked *b)
{
	struct sockaddr_in *from = (void *)PLACE(b, 31);
	socklen_t *len = (void *)PLACE(b, 32);

	CHECK(*len == sizeof(*from) && ntohs(from->sin_port) == b->x);
	return got_text(b);
}

static long do_accept(struct blocked *b)
{
	socklen_t *len = (void *)PLACE(b, 32);

	*len = 100;
	b->fd[2] = accept(b->fd[0], (void *)PLACE(b, 31), len);
	return b->fd[2];
}

static bool connect_to(struct blocked *b)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK(!getsockname(b->fd[0], (void *)&a, &len));
	CHECK(!connect(b->fd[1], (void *)&a, len));
	CHECK(!getsockname(b->fd[1], (void *)&a, &len));
	b->x = ntohs(a.sin_port);
	return true;
}

static bool accepted(struct blocked *b)
{
	struct sockaddr_in *from = (void *)PLACE(b, 31);
	socklen_t *len = (void *)PLACE(b, 32);

	return b->ret >= 0 && *len == sizeof(*from) &&
	       ntohs(from->sin_port) == b->x;
}

/* ---- sending ------------------------------------------------------------- */

/* What is sent goes where it does not fit: as large as the buffer's half. */
#define MUCH ((long)(BUF_BYTES / 2 - 65536))

static void *reader(void *arg)
{
	struct blocked *b = arg;
	static char got[65536];
	long n, sum = 0;

	while (sum < MUCH && (n = read(b->fd[0], got, sizeof(got))) > 0)
		for (long i = 0; i < n; i++, sum++)
			b->x += got[i] != text[sum % LEN];
	b->x += sum != MUCH;
	return NULL;
}

static void fill_much(struct blocked *b)
{
	for (long i = 0; i < MUCH; i++)
		PLACE(b, 0)[i] = (unsigned char)text[i % LEN];
}

static long do_write(struct blocked *b)
{
	fill_much(b);
	return write(b->fd[1], PLACE(b, 0), MUCH);
}

static long do_sendmsg(struct blocked *b)
{
	struct iovec iov = {PLACE(b, 0), MUCH};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	fill_much(b);
	return sendmsg(b->fd[1], &m, 0);
}

static bool read_all(struct blocked *b)
{
	reader(b);
	return true;
}

static bool sent_much(struct blocked *b)
{
	return b->ret == MUCH && !b->x;
}

/* ---- waiting ------------------------------------------------------------- */

static bool poked(struct blocked *b)
{
	return write(b->fd[1], "x", 1) == 1;
}

static long do_poll(struct blocked *b)
{
	struct pollfd *p = (void *)PLACE(b, 0);

	*p = (struct pollfd){.fd = b->fd[0], .events = POLLIN};
	return poll(p, 1, -1);
}

static long do_ppoll(struct blocked *b)
{
	struct pollfd *p = (void *)PLACE(b, 0);
	struct timespec *ts = (void *)PLACE(b, 1);
	sigset_t *set = (void *)PLACE(b, 2);

	*p = (struct pollfd){.fd = b->fd[0], .events = POLLIN};
	*ts = (struct timespec){.tv_sec = 100};
	sigfillset(set);
	return syscall(SYS_ppoll, p, 1, ts, set, 8);
}

static bool polled(struct blocked *b)
{
	return b->ret == 1 && ((struct pollfd *)PLACE(b, 0))->revents == POLLIN;
}

static long do_select(struct blocked *b)
{
	fd_set *set = (void *)PLACE(b, 0);
	struct timeval *tv = (void *)PLACE(b, 1);

	FD_ZERO(set);
	FD_SET(b->fd[0], set);
	*tv = (struct timeval){.tv_sec = 100};
	return syscall(SYS_select, b->fd[0] + 1, set, NULL, NULL, tv);
}

static long do_pselect(struct blocked *b)
{
	fd_set *set = (void *)PLACE(b, 0);
	uint64_t *pair = (void *)PLACE(b, 1);

	FD_ZERO(set);
	FD_SET(b->fd[0], set);
	sigfillset((sigset_t *)PLACE(b, 2));
	pair[0] = (uint64_t)PLACE(b, 2);
	pair[1] = 8;
	return syscall(SYS_pselect6, b->fd[0] + 1, set, NULL, NULL, NULL, pair);
}

static bool selected(struct blocked *b)
{
	return b->ret == 1 && FD_ISSET(b->fd[0], (fd_set *)PLACE(b, 0));
}

static bool epoll(struct blocked *b)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 4711};

	b->fd[2] = epoll_create1(0);
	return pipe_ends(b) &&
	       !epoll_ctl(b->fd[2], EPOLL_CTL_ADD, b->fd[0], &ev);
}

static long do_epoll(struct blocked *b)
{
	return epoll_wait(b->fd[2], (void *)PLACE(b, 0), 100, -1);
}

static long do_epoll_pwait(struct blocked *b)
{
	sigfillset((sigset_t *)PLACE(b, 2));
	return epoll_pwait(b->fd[2], (void *)PLACE(b, 0), 100, -1,
			   (sigset_t *)PLACE(b, 2));
}

static long do_epoll_pwait2(struct blocked *b)
{
	struct timespec *ts = (void *)PLACE(b, 1);

	*ts = (struct timespec){.tv_sec = 100};
	return syscall(441, b->fd[2], PLACE(b, 0), 100, ts, NULL, 8);
}

static bool epolled(struct blocked *b)
{
	struct epoll_event *ev = (void *)PLACE(b, 0);

	return b->ret == 1 && ev->events == EPOLLIN && ev->data.u64 == 4711;
}

/* ---- others -------------------------------------------------------------- */

static bool event(struct blocked *b)
{
	return (b->fd[0] = eventfd(0, 0)) >= 0;
}

static bool event_happens(struct blocked *b)
{
	return !eventfd_write(b->fd[0], 4711);
}

static bool event_seen(struct blocked *b)
{
	uint64_t v;

	memcpy(&v, PLACE(b, 0), 8);
	return b->ret == 8 && v == 4711;
}

static bool timer(struct blocked *b)
{
	return (b->fd[0] = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0;
}

static bool timer_ends(struct blocked *b)
{
	struct itimerspec *t = (void *)PLACE(b, 3);

	*t = (struct itimerspec){.it_value.tv_nsec = 1};
	return !timerfd_settime(b->fd[0], 0, t, NULL);
}

static bool timer_seen(struct blocked *b)
{
	return b->ret == 8 && *PLACE(b, 0) == 1;
}

static bool signals(struct blocked *b)
{
	sigset_t *set = (void *)PLACE(b, 3);

	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	CHECK(!pthread_sigmask(SIG_BLOCK, set, NULL));
	return (b->fd[0] = signalfd(-1, set, 0)) >= 0;
}

static bool signal_sent(struct blocked *b)
{
	return !pthread_sigqueue(b->thread, SIGUSR1,
				 (union sigval){.sival_int = 4711});
}

static bool signal_seen(struct blocked *b)
{
	struct signalfd_siginfo *s = (void *)PLACE(b, 0);

	return b->ret == sizeof(*s) && s->ssi_signo == SIGUSR1 &&
	       s->ssi_int == 4711;
}

static char folder[] = "/tmp/nb_watch_XXXXXX";

static bool watch(struct blocked *b)
{
	b->fd[0] = inotify_init1(0);
	CHECK(mkdtemp(folder));
	return inotify_add_watch(b->fd[0], folder, IN_CREATE) >= 0;
}

static bool file_made(struct blocked *b)
{
	char path[64];

	(void)b;
	snprintf(path, sizeof(path), "%s/some-file", folder);
	CHECK(!close(creat(path, 0600)));
	return !unlink(path) && !rmdir(folder);
}

static bool file_seen(struct blocked *b)
{
	struct inotify_event *e = (void *)PLACE(b, 0);

	return b->ret >= (long)sizeof(*e) && !strcmp(e->name, "some-file");
}

/* The offset, which is read before and written after it blocks. */
static long do_splice(struct blocked *b)
{
	off_t *off = (void *)PLACE(b, 0);
	char path[] = "/tmp/nb_splice_XXXXXX";

	b->fd[2] = mkstemp(path);
	unlink(path);
	*off = 100000;
	return splice(b->fd[0], NULL, b->fd[2], off, LEN, 0);
}

static bool spliced(struct blocked *b)
{
	off_t off;

	memcpy(&off, PLACE(b, 0), sizeof(off));
	return b->ret > 0 && off == 100000 + b->ret;
}

int main(int argc, char **argv)
{
	static const struct blocked_case cases[] = {
		{"read", pipe_ends, do_read, send_text, got_text},
		{"read-tcp-like", stream, do_recv, send_text, got_text},
		{"recv-dgram", dgram, do_read, send_text, got_text},
		{"recv-seqpacket", seqpacket, do_recv, send_text, got_text},
		{"recv-udp", udp, do_recv, send_text, got_text},
		{"recvfrom", udp, do_recvfrom, send_text, got_datagram},
		{"readv", pipe_ends, do_readv, send_text, got_pieces},
		{"recvmsg", udp, do_recvmsg, send_text, got_from},
		{"recvmmsg", udp, do_recvmmsg, send_text, got_from},
		{"accept", tcp, do_accept, connect_to, accepted},
		{"write", pipe_ends, do_write, read_all, sent_much},
		{"write-socket", stream, do_write, read_all, sent_much},
		{"sendmsg", stream, do_sendmsg, read_all, sent_much},
		{"poll", pipe_ends, do_poll, poked, polled},
		{"ppoll", pipe_ends, do_ppoll, poked, polled},
		{"select", pipe_ends, do_select, poked, selected},
		{"pselect6", pipe_ends, do_pselect, poked, selected},
		{"epoll_wait", epoll, do_epoll, poked, epolled},
		{"epoll_pwait", epoll, do_epoll_pwait, poked, epolled},
		{"epoll_pwait2", epoll, do_epoll_pwait2, poked, epolled},
		{"eventfd", event, do_read, event_happens, event_seen},
		{"timerfd", timer, do_read, timer_ends, timer_seen},
		{"signalfd", signals, do_read, signal_sent, signal_seen},
		{"inotify", watch, do_read, file_made, file_seen},
		{"splice", pipe_ends, do_splice, send_text, spliced},
		{NULL, NULL, NULL, NULL, NULL},
	};

	for (int i = 0; i < LEN; i++)
		text[i] = (char)(i * 31 + i / 256 + 1);
	return run_all_blocked(cases, argc, argv);
}
