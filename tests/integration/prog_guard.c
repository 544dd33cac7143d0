/* SPDX-License-Identifier: MIT */
/*
 * A program that hands armed memory to the kernel in every way that it can.
 * Knows nothing of numabal; run by test_preload_guard.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* In the middle of the buffer, over a page's end. */
#define AT (BUF_BYTES / 2 - 100)

static char text[4096];
static char big_file[] = "/tmp/nb_guard_XXXXXX";

ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t off, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);

struct ends {
	int in, out;
};

static struct ends new_pipe(void)
{
	int fd[2];

	if (pipe(fd))
		exit(97);
	return (struct ends){fd[0], fd[1]};
}

static struct ends new_sockets(int type)
{
	int fd[2];

	if (socketpair(AF_UNIX, type, 0, fd))
		exit(97);
	return (struct ends){fd[0], fd[1]};
}

static void drop(struct ends e, void *p)
{
	close(e.in);
	close(e.out);
	munmap(p, BUF_BYTES);
}

/* Ways to receive sizeof(text) bytes. */
enum how_in {
	READ,
	READ_CHK,
	READV,
	RECV,
	RECV_CHK,
	RECVFROM,
	RECVMSG,
	RECVMMSG,
	RAW_READ,
	NR_IN
};

static ssize_t get(enum how_in how, int fd, void *p)
{
	struct iovec iov[2] = {{p, 1000},
			       {(char *)p + 1000, sizeof(text) - 1000}};
	struct mmsghdr msg = {.msg_hdr = {.msg_iov = iov, .msg_iovlen = 2}};

	switch (how) {
	case READ:
		return read(fd, p, sizeof(text));
	case READ_CHK:
		return __read_chk(fd, p, sizeof(text), sizeof(text));
	case READV:
		return readv(fd, iov, 2);
	case RECV:
		return recv(fd, p, sizeof(text), 0);
	case RECV_CHK:
		return __recv_chk(fd, p, sizeof(text), sizeof(text), 0);
	case RECVFROM:
		return recvfrom(fd, p, sizeof(text), 0, NULL, NULL);
	case RECVMSG:
		return recvmsg(fd, &msg.msg_hdr, 0);
	case RECVMMSG:
		return recvmmsg(fd, &msg, 1, 0, NULL) == 1
			       ? (ssize_t)msg.msg_len
			       : -1;
	default:
		return syscall(SYS_read, fd, p, sizeof(text));
	}
}

static bool receive(void)
{
	for (int how = 0; how < NR_IN; how++) {
		/* A datagram that cannot be stored is gone. */
		struct ends e = new_sockets(SOCK_DGRAM);
		unsigned char *p = armed_buffer();

		CHECK(write(e.out, text, sizeof(text)) == sizeof(text));
		if (get(how, e.in, p + AT) != sizeof(text)) {
			fprintf(stderr, "receive %d: %m\n", how);
			return false;
		}
		CHECK(!memcmp(p + AT, text, sizeof(text)));
		drop(e, p);
	}
	return true;
}

static ssize_t put(int how, int fd, void *p)
{
	struct iovec iov[2] = {{p, 1000},
			       {(char *)p + 1000, sizeof(text) - 1000}};
	struct mmsghdr msg = {.msg_hdr = {.msg_iov = iov, .msg_iovlen = 2}};

	switch (how) {
	case 0:
		return write(fd, p, sizeof(text));
	case 1:
		return writev(fd, iov, 2);
	case 2:
		return send(fd, p, sizeof(text), 0);
	case 3:
		return sendto(fd, p, sizeof(text), 0, NULL, 0);
	case 4:
		return sendmsg(fd, &msg.msg_hdr, 0);
	case 5:
		return sendmmsg(fd, &msg, 1, 0) == 1 ? (ssize_t)msg.msg_len
						     : -1;
	default:
		return syscall(SYS_write, fd, p, sizeof(text));
	}
}

static bool send_out(void)
{
	for (int how = 0; how < 7; how++) {
		struct ends e = new_sockets(SOCK_DGRAM);
		unsigned char *p = armed_buffer();
		char copy[sizeof(text)];

		memcpy(p + AT, text, sizeof(text));
		CHECK(wait_armed(p + AT) && wait_armed(p + AT + 4000));
		if (put(how, e.out, p + AT) != sizeof(text)) {
			fprintf(stderr, "send %d: %m\n", how);
			return false;
		}
		CHECK(read(e.in, copy, sizeof(copy)) == sizeof(copy));
		CHECK(!memcmp(copy, text, sizeof(text)));
		drop(e, p);
	}
	return true;
}

static bool at_offset(void)
{
	int fd = open(big_file, O_RDWR);

	for (int how = 0; how < 5; how++) {
		unsigned char *p = armed_buffer();
		struct iovec iov = {p + AT, sizeof(text)};
		ssize_t n;

		if (how == 0)
			n = pread(fd, p + AT, sizeof(text), 4096);
		else if (how == 1)
			n = __pread_chk(fd, p + AT, sizeof(text), 4096,
					1 << 20);
		else if (how == 2)
			n = preadv(fd, &iov, 1, 4096);
		else if (how == 3)
			n = preadv2(fd, &iov, 1, 4096, 0);
		else
			n = pwrite(fd, p + AT, sizeof(text), 1 << 20);
		if (n != sizeof(text)) {
			fprintf(stderr, "at_offset %d: %zd, %m\n", how, n);
			return false;
		}
		CHECK(how == 4 || !memcmp(p + AT, text, sizeof(text)));
		munmap(p, BUF_BYTES);
	}
	close(fd);
	return true;
}

static bool stdio(void)
{
	const size_t len = 1 << 20;
	unsigned char *p = armed_buffer(), *q;
	FILE *f = fopen(big_file, "r+");

	CHECK(f);
	CHECK(fread(p, 1, len, f) == len);
	CHECK(!memcmp(p, text, sizeof(text)) &&
	      !memcmp(p + len - sizeof(text), text, sizeof(text)));
	q = armed_buffer();
	CHECK(!fseek(f, 0, SEEK_SET));
	CHECK(fwrite(q, 1, len, f) == len && !fflush(f));
	munmap(q, BUF_BYTES);
	q = new_buffer(BUF_BYTES);
	memset(q, 'x', len);
	q[len] = '\0';
	CHECK(wait_armed(q) && wait_armed(q + len));
	CHECK(fputs((char *)q, f) >= 0 && !fflush(f));
	/* A stream's buffer in such memory. */
	munmap(p, BUF_BYTES);
	p = armed_buffer();
	fclose(f);
	f = fopen(big_file, "r");
	CHECK(f && !setvbuf(f, (char *)p, _IOFBF, 1 << 16));
	for (size_t i = 0; i < len; i++)
		CHECK(fgetc(f) == (i % 512 ? 0 : (int)(i / 512 * 7 & 255)));
	fclose(f);
	munmap(p, BUF_BYTES);
	munmap(q, BUF_BYTES);
	return true;
}

static bool paths(void)
{
	for (int how = 0; how < 8; how++) {
		unsigned char *p = armed_buffer();
		char *path = (char *)p + AT;
		struct stat *st = (struct stat *)(p + AT - 4096);
		int fd = -1, err;

		strcpy(path, "/proc/self/exe");
		CHECK(wait_armed(path) && wait_armed(st));
		switch (how) {
		case 0:
			err = stat(path, st);
			break;
		case 1:
			err = (fd = open(path, O_RDONLY)) < 0;
			break;
		case 2:
			err = access(path, R_OK);
			break;
		case 3:
			err = readlink(path, (char *)st, 200) <= 0;
			break;
		case 4:
			err = !getcwd((char *)st, 4096);
			break;
		case 5:
			err = (fd = open("/", O_DIRECTORY)) < 0 ||
			      syscall(SYS_getdents64, fd, st, 2048) <= 0;
			break;
		case 6:
			err = fstatat(AT_FDCWD, path, st, 0);
			break;
		default:
			err = (int)syscall(SYS_openat, AT_FDCWD, path,
					   O_RDONLY) < 0;
			break;
		}
		if (err) {
			fprintf(stderr, "path %d: %m\n", how);
			return false;
		}
		if (fd >= 0)
			close(fd);
		munmap(p, BUF_BYTES);
	}
	return true;
}

static bool waiting(void)
{
	for (int how = 0; how < 8; how++) {
		struct ends e = new_pipe();
		unsigned char *p = armed_buffer();
		struct pollfd *pfd = (void *)p;
		fd_set *set = (void *)p;
		struct epoll_event *ev = (void *)p, add = {.events = EPOLLIN};
		int ep = epoll_create1(0), *status = (int *)p, r;
		pid_t pid;

		CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, e.in, &add));
		if (how == 0 || how == 1)
			*pfd = (struct pollfd){.fd = e.in, .events = POLLIN};
		if (how == 2) {
			FD_ZERO(set);
			FD_SET(e.in, set);
		}
		CHECK(write(e.out, "x", 1) == 1);
		CHECK(wait_armed(p));
		if (how == 0)
			r = poll(pfd, 1, 1000);
		else if (how == 1)
			r = ppoll(pfd, 1, NULL, NULL);
		else if (how == 2)
			r = select(e.in + 1, set, NULL, NULL, NULL);
		else if (how == 3)
			r = epoll_wait(ep, ev, 4, 1000);
		else if (how == 4)
			r = epoll_pwait(ep, ev, 4, 1000, NULL);
		else if (how == 5)
			r = pipe((int *)p) + 1;
		else if (how == 6)
			r = getrandom(p, 256, 0) == 256;
		else {
			pid = fork();
			if (!pid)
				_exit(7);
			CHECK(wait_armed(p));
			r = waitpid(pid, status, 0) == pid &&
			    WEXITSTATUS(*status) == 7;
		}
		if (r != 1) {
			fprintf(stderr, "waiting %d: %d %m\n", how, r);
			return false;
		}
		close(ep);
		drop(e, p);
	}
	return true;
}

/* ---- a call that blocks before the memory could be armed ---------------- */

struct reader {
	int fd;
	unsigned char *p;
	_Atomic int tid;
	ssize_t got;
};

static void *reader(void *arg)
{
	struct reader *r = arg;

	r->tid = (int)syscall(SYS_gettid);
	r->got = read(r->fd, r->p + AT, sizeof(text));
	return NULL;
}

static bool blocked(void)
{
	for (int i = 0; i < 5; i++) {
		struct ends e = new_pipe();
		struct reader r = {.fd = e.in, .p = new_buffer(BUF_BYTES)};
		unsigned char *other = new_buffer(BUF_BYTES);
		pthread_t th;

		CHECK(!pthread_create(&th, NULL, reader, &r));
		while (!r.tid || !asleep(r.tid))
			sched_yield();
		/* What is armed after it blocks: all but its buffer. */
		for (int pass = 0; pass < 3; pass++) {
			CHECK(wait_armed(other));
			CHECK(wait_armed(r.p) && pattern_ok(other, BUF_BYTES));
			CHECK(r.p[0] == 0);
		}
		CHECK(write(e.out, text, sizeof(text)) == sizeof(text));
		CHECK(!pthread_join(th, NULL));
		CHECK(r.got == sizeof(text));
		CHECK(!memcmp(r.p + AT, text, sizeof(text)));
		munmap(other, BUF_BYTES);
		drop(e, r.p);
	}
	return true;
}

/* An unusable address is still the kernel's to refuse. */
static bool bad_address(void)
{
	struct ends e = new_pipe();
	void *volatile bad = (void *)8;

	CHECK(write(e.out, bad, 4) == -1 && errno == EFAULT);
	CHECK(write(e.out, "abcd", 4) == 4);
	CHECK(read(e.in, bad, 4) == -1 && errno == EFAULT);
	CHECK(open(bad, O_RDONLY) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_rt_sigprocmask, -1, bad, NULL, 8) == -1 &&
	      errno == EFAULT);
	CHECK(read(-1, text, 1) == -1 && errno == EBADF);
	close(e.in);
	close(e.out);
	return true;
}

static bool make_file(void)
{
	int fd = mkstemp(big_file);

	for (int i = 0; i < (int)sizeof(text); i++)
		text[i] = (char)(i * 31 + i / 256);
	for (int i = 0; fd >= 0 && i < 512; i++)
		if (write(fd, text, sizeof(text)) != sizeof(text))
			fd = -1;
	return fd >= 0 && !close(fd);
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"receive", receive},
		{"send", send_out},
		{"at-offset", at_offset},
		{"stdio", stdio},
		{"paths", paths},
		{"waiting", waiting},
		{"blocked", blocked},
		{"bad-address", bad_address},
		{NULL, NULL},
	};
	int bad = 1;

	if (make_file())
		bad = run_cases(cases, argc, argv);
	unlink(big_file);
	return bad;
}
