/* SPDX-License-Identifier: MIT */
/*
 * Pipes and sockets, with a peer at the other end that lets the worker wait:
 * what was published before memory is armed counts, not what was found.
 */
#include "torture.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static void close_both(int *p)
{
	MUST(close(p[0]));
	MUST(close(p[1]));
	free(p);
}

/* The peer sends, we wait for it. */
static void blocked_pipe(struct worker *w)
{
	size_t bytes = 1 + below(w, 100000);
	struct job job = {.kind = JOB_SEND, .bytes = bytes, .seed = rnd(w)};
	int *p = get(2 * sizeof(*p)), *ready = get(sizeof(*ready));
	char *buf = get(bytes);

	MUST(pipe(p));
	job.out = p[1];
	peer_do(w->peer, &job);
	full_read(p[0], buf, bytes);
	CHECK(same(buf, bytes, job.seed), bytes);
	peer_wait(w->peer);
	MUST(ioctl(p[0], FIONREAD, ready));
	CHECK(*ready == 0, *ready);
	note(w, hash(buf, bytes));
	/* The other way round: we wait for room. */
	job.kind = JOB_SINK;
	job.in = p[0];
	peer_do(w->peer, &job);
	full_write(p[1], buf, bytes);
	peer_wait(w->peer);
	free(buf);
	free(ready);
	close_both(p);
}

static void short_reads(struct worker *w)
{
	struct job job = {.kind = JOB_SEND};
	int *p = get(2 * sizeof(*p));

	MUST(pipe(p));
	for (int i = 0; i < 20; i++) {
		size_t bytes = 1 + below(w, 200);
		char *buf = get(bytes);

		job.out = p[1];
		job.bytes = bytes;
		job.seed = rnd(w);
		peer_do(w->peer, &job);
		full_read(p[0], buf, bytes);
		CHECK(same(buf, bytes, job.seed), bytes);
		note(w, hash(buf, bytes));
		free(buf);
	}
	peer_wait(w->peer);
	close_both(p);
}

/* Stream and sequenced sockets: there and back. */
static void pairs(struct worker *w)
{
	size_t bytes = 1 + below(w, 60000);
	struct job job = {.kind = JOB_ECHO, .bytes = bytes, .seed = rnd(w)};
	char *to = get_filled(bytes, job.seed), *from = get(bytes);
	int *s = get(2 * sizeof(*s));
	size_t sent = 0, got = 0;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	job.in = job.out = s[1];
	peer_do(w->peer, &job);
	while (got < bytes) {
		size_t n = sent + 5000 < bytes ? 5000 : bytes - sent;
		long r;

		full_write(s[0], to + sent, n);
		sent += n;
		do {
			r = AGAIN(recv(s[0], from + got, bytes - got, 0));
			CHECK(r > 0, r);
			got += r > 0 ? (size_t)r : bytes;
		} while (got < sent);
	}
	CHECK(same(from, bytes, job.seed), bytes);
	note(w, hash(from, bytes));
	peer_wait(w->peer);
	free(to);
	free(from);
	close_both(s);
}

static void messages(struct worker *w, int type)
{
	int *s = get(2 * sizeof(*s));

	MUST(socketpair(AF_UNIX, type, 0, s));
	for (int i = 0; i < 10; i++) {
		size_t bytes = 1 + below(w, 3000);
		struct job job = {.kind = JOB_DGRAM,
				  .bytes = bytes,
				  .seed = rnd(w),
				  .out = s[1]};
		char *buf = get(bytes + 10);
		long n;

		peer_do(w->peer, &job);
		n = AGAIN(recv(s[0], buf, bytes + 10, 0));
		CHECK(n == (long)bytes, n);
		CHECK(same(buf, bytes, job.seed), bytes);
		note(w, hash(buf, bytes));
		free(buf);
	}
	peer_wait(w->peer);
	close_both(s);
}

static void unix_messages(struct worker *w)
{
	messages(w, SOCK_DGRAM);
	messages(w, SOCK_SEQPACKET);
}

/* ---- sendmsg and recvmsg, with a descriptor ------------------------------ */

static struct msghdr *new_msg(struct worker *w, size_t nr, uint64_t seed,
			      const size_t *len)
{
	struct msghdr *m = calloc(1, sizeof(*m));

	(void)w;
	m->msg_iov = calloc(nr, sizeof(*m->msg_iov));
	m->msg_iovlen = nr;
	for (size_t i = 0; i < nr; i++) {
		m->msg_iov[i].iov_len = len[i];
		m->msg_iov[i].iov_base = get_filled(len[i], seed + i);
	}
	return m;
}

static void free_msg(struct msghdr *m)
{
	for (size_t i = 0; i < m->msg_iovlen; i++)
		free(m->msg_iov[i].iov_base);
	free(m->msg_iov);
	free(m->msg_control);
	free(m);
}

static void add_fd(struct msghdr *m, int fd)
{
	struct cmsghdr *c;

	m->msg_controllen = CMSG_SPACE(sizeof(int));
	m->msg_control = calloc(1, m->msg_controllen);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

static void descriptors(struct worker *w)
{
	int *s = get(2 * sizeof(*s)), *p = get(2 * sizeof(*p)), fd = -1;
	size_t len[3] = {1 + below(w, 500), below(w, 3000), below(w, 90)};
	struct msghdr *out, *in;
	uint64_t seed = rnd(w);
	char *c = get(2);
	long n;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	MUST(pipe(p));
	out = new_msg(w, 3, seed, len);
	in = new_msg(w, 3, 0, len);
	add_fd(out, p[1]);
	add_fd(in, -1);
	n = AGAIN(sendmsg(s[0], out, 0));
	CHECK(n == (long)(len[0] + len[1] + len[2]), n);
	n = AGAIN(recvmsg(s[1], in, MSG_CMSG_CLOEXEC));
	CHECK(n == (long)(len[0] + len[1] + len[2]), n);
	for (size_t i = 0; i < 3; i++)
		CHECK(same(in->msg_iov[i].iov_base, len[i], seed + i), i);
	CHECK(CMSG_FIRSTHDR(in) && in->msg_controllen >= CMSG_LEN(4),
	      in->msg_controllen);
	if (CMSG_FIRSTHDR(in))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(in)), sizeof(fd));
	full_write(fd, "x", 1);
	full_read(p[0], c, 1);
	CHECK(*c == 'x', *c);
	note(w, len[0] + len[1]);
	MUST(close(fd));
	free_msg(out);
	free_msg(in);
	free(c);
	close_both(s);
	close_both(p);
}

/* ---- UDP ----------------------------------------------------------------- */

static int udp_socket(struct sockaddr_in *a, socklen_t *len)
{
	int fd = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));

	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(fd, (struct sockaddr *)a, sizeof(*a)));
	*len = sizeof(*a);
	MUST(getsockname(fd, (struct sockaddr *)a, len));
	CHECK(*len == sizeof(*a) && a->sin_port, *len);
	return fd;
}

static void many_messages(struct worker *w, int out, int in,
			  const struct sockaddr_in *to)
{
	enum { NR = 6 };
	struct mmsghdr *mo = calloc(NR, sizeof(*mo));
	struct mmsghdr *mi = calloc(NR, sizeof(*mi));
	struct sockaddr_in *name = get(sizeof(*name));
	uint64_t seed = rnd(w);
	long n, got = 0;

	*name = *to;
	for (size_t i = 0; i < NR; i++) {
		size_t len = 1 + below(w, 1200), room = 1500;
		struct msghdr *m = new_msg(w, 1, seed + i, &len);

		mo[i].msg_hdr = *m;
		mo[i].msg_hdr.msg_name = name;
		mo[i].msg_hdr.msg_namelen = sizeof(*name);
		free(m);
		m = new_msg(w, 1, 0, &room);
		mi[i].msg_hdr = *m;
		free(m);
	}
	n = AGAIN(sendmmsg(out, mo, NR, 0));
	CHECK(n == NR, n);
	while (got < NR) {
		n = AGAIN(recvmmsg(in, mi + got, (unsigned int)(NR - got),
				   MSG_WAITFORONE, NULL));
		CHECK(n > 0, n);
		if (n <= 0)
			break;
		got += n;
	}
	for (size_t i = 0; i < NR; i++) {
		size_t len = mo[i].msg_hdr.msg_iov->iov_len;

		CHECK(mo[i].msg_len == len && mi[i].msg_len == len,
		      mi[i].msg_len);
		CHECK(same(mi[i].msg_hdr.msg_iov->iov_base, len, seed + i), i);
		note(w, len);
		free(mo[i].msg_hdr.msg_iov->iov_base);
		free(mo[i].msg_hdr.msg_iov);
		free(mi[i].msg_hdr.msg_iov->iov_base);
		free(mi[i].msg_hdr.msg_iov);
	}
	free(mo);
	free(mi);
	free(name);
}

static void udp(struct worker *w)
{
	struct sockaddr_in *a = get(sizeof(*a)), *b = get(sizeof(*b));
	struct sockaddr_in *from = get(sizeof(*from));
	socklen_t *len = get(sizeof(*len));
	int in = udp_socket(a, len), out = udp_socket(b, len);

	for (int i = 0; i < 8; i++) {
		size_t bytes = 1 + below(w, 4000);
		char *buf = get_filled(bytes, bytes);
		long n;

		n = AGAIN(sendto(out, buf, bytes, 0, (struct sockaddr *)a,
				 sizeof(*a)));
		CHECK(n == (long)bytes, n);
		memset(buf, 0, bytes);
		*len = sizeof(*from);
		n = AGAIN(recvfrom(in, buf, bytes, 0, (struct sockaddr *)from,
				   len));
		CHECK(n == (long)bytes, n);
		CHECK(same(buf, bytes, bytes), bytes);
		CHECK(from->sin_port == b->sin_port && *len == sizeof(*from),
		      *len);
		note(w, hash(buf, bytes));
		free(buf);
	}
	many_messages(w, out, in, a);
	MUST(close(in));
	MUST(close(out));
	free(a);
	free(b);
	free(from);
	free(len);
}

/* ---- TCP ----------------------------------------------------------------- */

static int accept_peer(struct worker *w, int on, const struct sockaddr_in *a,
		       size_t bytes)
{
	struct job job = {.kind = JOB_CONNECT,
			  .in = ntohs(a->sin_port),
			  .bytes = bytes,
			  .seed = rnd(w)};
	struct sockaddr_in *name = get(sizeof(*name));
	socklen_t *len = get(sizeof(*len));
	int fd;

	peer_do(w->peer, &job);
	*len = sizeof(*name);
	fd = (int)MUST(AGAIN(accept(on, (struct sockaddr *)name, len)));
	CHECK(*len == sizeof(*name) && name->sin_family == AF_INET, *len);
	CHECK(name->sin_addr.s_addr == htonl(INADDR_LOOPBACK), 0);
	free(name);
	free(len);
	return fd;
}

static void tcp(struct worker *w)
{
	int on = (int)MUST(socket(AF_INET, SOCK_STREAM, 0)), fd;
	struct sockaddr_in *a = calloc(1, sizeof(*a));
	int *opt = get(sizeof(*opt));
	socklen_t *len = get(sizeof(*len));
	size_t bytes = 1 + below(w, 50000);
	char *out = get_filled(bytes, bytes), *in = get(bytes);

	*opt = 1;
	MUST(setsockopt(on, SOL_SOCKET, SO_REUSEADDR, opt, sizeof(*opt)));
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(on, (struct sockaddr *)a, sizeof(*a)));
	MUST(listen(on, 4));
	*len = sizeof(*a);
	MUST(getsockname(on, (struct sockaddr *)a, len));
	fd = accept_peer(w, on, a, bytes);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, opt, sizeof(*opt)));
	*len = sizeof(*opt);
	*opt = 77;
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, opt, len));
	CHECK(*opt == 0 && *len == sizeof(*opt), *opt);
	full_write(fd, out, bytes);
	full_read(fd, in, bytes);
	CHECK(same(in, bytes, bytes), bytes);
	CHECK(AGAIN(recv(fd, in, 1, 0)) == 0, 0);
	note(w, hash(out, bytes));
	peer_wait(w->peer);
	MUST(close(fd));
	MUST(close(on));
	free(a);
	free(opt);
	free(len);
	free(out);
	free(in);
}

const struct op socket_ops[] = {
	{"blocked-pipe", blocked_pipe, 1},
	{"short-reads", short_reads, 1},
	{"pairs", pairs, 1},
	{"unix-messages", unix_messages, 1},
	{"descriptors", descriptors, 1},
	{"udp", udp, 1},
	{"tcp", tcp, 2},
	{0},
};
