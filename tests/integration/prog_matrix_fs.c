/* SPDX-License-Identifier: MIT */
/*
 * Calls on paths and descriptors with all that they are handed in armed
 * memory: see matrix.h. Runs in a folder of its own, which is empty. Knows
 * nothing of numabal; run by test_guard_matrix.sh.
 */
#define _GNU_SOURCE
#include "matrix.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <utime.h>

#define LEN 5000

static char text[LEN];
static int fd[4]; /* of the call, all of them closed after it */

/* ---- what is there before the call --------------------------------------- */

static void close_all(void)
{
	for (int i = 0; i < 4; i++) {
		if (fd[i] > 0)
			close(fd[i]);
		fd[i] = 0;
	}
}

static void no_files(struct run *r)
{
	(void)r;
	close_all();
}

/* "file" of LEN bytes, "link" to it; nothing else. */
static void files(struct run *r)
{
	static const char *const gone[] = {"new", "dir", "old", "fifo"};

	(void)r;
	close_all();
	for (int i = 0; i < 4; i++)
		if (unlink(gone[i]))
			rmdir(gone[i]);
	fd[0] = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd[0] < 0 || write(fd[0], text, LEN) != LEN ||
	    (symlink("file", "link") && errno != EEXIST))
		exit(99);
	lseek(fd[0], 0, SEEK_SET);
	if (close(creat("old", 0600)))
		exit(99);
}

static void on_file(struct run *r)
{
	files(r);
	r->arg[0] = fd[0];
}

static void on_dir(struct run *r)
{
	files(r);
	fd[1] = open(".", O_DIRECTORY);
	r->arg[0] = fd[1];
}

static void full_pipe(struct run *r)
{
	close_all();
	if (pipe(fd) || write(fd[1], text, LEN) != LEN)
		exit(99);
	r->arg[0] = fd[0];
}

static void empty_pipe(struct run *r)
{
	close_all();
	if (pipe(fd))
		exit(99);
	r->arg[0] = fd[1];
}

static void iovecs(struct run *r)
{
	struct iovec iov[3] = {
		{r->at[6], 100}, {r->at[7], 4000}, {r->at[8], 9}};

	memcpy(r->at[1], iov, sizeof(iov));
}

static void vec_from_pipe(struct run *r)
{
	full_pipe(r);
	iovecs(r);
}

static void vec_to_pipe(struct run *r)
{
	empty_pipe(r);
	iovecs(r);
}

static void vec_file(struct run *r)
{
	on_file(r);
	iovecs(r);
}

static void two_files(struct run *r)
{
	on_file(r);
	fd[1] = open("new", O_RDWR | O_CREAT, 0600);
	r->arg[0] = fd[1]; /* sendfile: out, in */
	r->arg[1] = fd[0];
}

static void two_files_copy(struct run *r)
{
	two_files(r);
	r->arg[0] = fd[0];
	r->arg[1] = (long)r->at[1];
	r->arg[2] = fd[1];
}

static void pipe_and_file(struct run *r)
{
	full_pipe(r);
	fd[2] = open("file", O_RDWR);
	r->arg[2] = fd[2];
}

static void sockets(struct run *r)
{
	close_all();
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) ||
	    write(fd[1], text, LEN) != LEN)
		exit(99);
	r->arg[0] = fd[0];
}

/* Object 1 is the header, 6 to 8 the pieces, 9 the vector. */
static void message(struct run *r)
{
	struct iovec iov[3] = {
		{r->at[6], 100}, {r->at[7], 4000}, {r->at[8], 9}};
	struct msghdr m = {.msg_iov = (void *)r->at[9], .msg_iovlen = 3};

	sockets(r);
	memcpy(r->at[9], iov, sizeof(iov));
	memcpy(r->at[1], &m, sizeof(m));
}

static void messages(struct run *r)
{
	message(r);
	memset(r->at[1] + sizeof(struct msghdr), 0, 8);
}

static void bound(struct run *r)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	close_all();
	strcpy(a.sun_path + 1, "nb-matrix");
	fd[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fd[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(fd[0], (void *)&a, 12) || listen(fd[0], 3))
		exit(99);
	strcpy(a.sun_path + 1, "nb-client");
	if (bind(fd[1], (void *)&a, 12))
		exit(99);
	r->arg[0] = fd[0];
}

static void connected(struct run *r)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	bound(r);
	strcpy(a.sun_path + 1, "nb-matrix");
	if (connect(fd[1], (void *)&a, 12))
		exit(99);
}

static void client(struct run *r)
{
	bound(r);
	fd[2] = socket(AF_UNIX, SOCK_STREAM, 0);
	r->arg[0] = fd[2];
}

static void epoll(struct run *r)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 4711};

	full_pipe(r);
	fd[2] = epoll_create1(0);
	epoll_ctl(fd[2], EPOLL_CTL_ADD, fd[0], &ev);
	r->arg[0] = fd[2];
}

static void epoll_new(struct run *r)
{
	full_pipe(r);
	fd[2] = epoll_create1(0);
	r->arg[0] = fd[2];
	r->arg[2] = fd[0];
}

/* The lowest numbers, so that they are known: of pipe, select and poll. */
static void poll_3(struct run *r)
{
	close_all();
	if (pipe(fd) || dup2(fd[0], 60) < 0 || write(fd[1], text, 9) != 9)
		exit(99);
	(void)r;
}

static void pair_of_mask(struct run *r)
{
	uint64_t pair[2] = {(uint64_t)r->at[6], 8};

	poll_3(r);
	memcpy(r->at[5], pair, sizeof(pair));
}

/* ---- the table ----------------------------------------------------------- */

static const struct pollfd pfd = {.fd = 60, .events = POLLIN};
static const uint64_t set = 1ULL << 60;
static const struct timespec ts = {1, 0}, times[2] = {{1000, 0}, {2000, 0}};
static const struct timeval tv = {1, 0}, tvs[2] = {{1000, 0}, {2000, 0}};
static const struct utimbuf ut = {1000, 2000};
static const struct flock lk = {.l_type = F_WRLCK};
static const struct epoll_event ev = {.events = EPOLLIN};
static const struct open_how how = {.flags = O_RDONLY};
static const uint64_t off = 3, mask = 0;
static const uint32_t len = 110, one = 1, handle[34] = {128};
static const char addr[12] = "\1\0\0nb-matrix", name[12] = "\1\0\0nb-third";

static const struct row rows[] = {
	R(open, RESULT | NEW_FD, files, STR("file"), NUM(O_RDONLY)),
	R(openat, RESULT | NEW_FD, files, NUM(AT_FDCWD), STR("file"),
	  NUM(O_RDONLY)),
	R(openat2, RESULT | NEW_FD, files, NUM(AT_FDCWD), STR("file"), IN(how),
	  NUM(sizeof(how))),
	R(creat, RESULT | NEW_FD, files, STR("new"), NUM(0600)),
	R(stat, VOLATILE, files, STR("file"), OUT(144)),
	R(lstat, VOLATILE, files, STR("link"), OUT(144)),
	R(fstat, VOLATILE, on_file, NUM(0), OUT(144)),
	R(newfstatat, VOLATILE, files, NUM(AT_FDCWD), STR("file"), OUT(144)),
	R(statx, VOLATILE, files, NUM(AT_FDCWD), STR("file"), NUM(0),
	  NUM(0x7ff), OUT(256)),
	R(statfs, VOLATILE, files, STR("file"), OUT(120)),
	R(fstatfs, VOLATILE, on_file, NUM(0), OUT(120)),
	R(access, 0, files, STR("file"), NUM(R_OK)),
	R(faccessat, 0, files, NUM(AT_FDCWD), STR("nothing"), NUM(R_OK)),
	R(readlink, 0, files, STR("link"), OUT(100), NUM(100)),
	R(readlinkat, 0, files, NUM(AT_FDCWD), STR("link"), OUT(3), NUM(3)),
	R(getcwd, VOLATILE, NULL, OUT(4000), NUM(4000)),
	R(truncate, 0, files, STR("file"), NUM(100)),
	R(chmod, 0, files, STR("file"), NUM(0600)),
	R(chown, 0, files, STR("file"), NUM(-1), NUM(-1)),
	R(fchownat, 0, files, NUM(AT_FDCWD), STR("file"), NUM(-1), NUM(-1)),
	R(mkdir, 0, files, STR("dir"), NUM(0700)),
	R(rmdir, 0, files, STR("nothing")),
	R(rename, 0, files, STR("old"), STR("new")),
	R(renameat2, 0, files, NUM(AT_FDCWD), STR("old"), NUM(AT_FDCWD),
	  STR("new"), NUM(1)),
	R(link, 0, files, STR("old"), STR("new")),
	R(linkat, 0, files, NUM(AT_FDCWD), STR("old"), NUM(AT_FDCWD),
	  STR("new")),
	R(symlink, 0, files, STR("somewhere"), STR("new")),
	R(unlink, 0, files, STR("old")),
	R(mknod, 0, files, STR("fifo"), NUM(S_IFIFO | 0600)),
	R(utime, 0, files, STR("file"), IN(ut)),
	R(utimes, 0, files, STR("file"), IN(tvs)),
	R(utimensat, 0, files, NUM(AT_FDCWD), STR("file"), IN(times)),
	R(setxattr, 0, files, STR("file"), STR("user.x"), IN(text), NUM(10)),
	R(getxattr, 0, files, STR("file"), STR("user.x"), OUT(10), NUM(10)),
	R(listxattr, VOLATILE, files, STR("file"), OUT(100), NUM(100)),
	R(removexattr, 0, files, STR("file"), STR("user.x")),
	R(name_to_handle_at, RESULT | VOLATILE, files, NUM(AT_FDCWD),
	  STR("file"), IN(handle), OUT(8)),
	R(memfd_create, RESULT | NEW_FD, no_files, STR("some-name"), NUM(0)),
	R(execve, 0, files, STR("nothing")),
	R(getdents64, VOLATILE | RESULT, on_dir, NUM(0), OUT(1000), NUM(1000)),
	R(read, 0, full_pipe, NUM(0), OUT(LEN), NUM(LEN)),
	R(write, 0, empty_pipe, NUM(0), IN(text), NUM(LEN)),
	R(pread64, 0, on_file, NUM(0), OUT(LEN), NUM(LEN), NUM(100)),
	R(pwrite64, 0, on_file, NUM(0), IN(text), NUM(LEN), NUM(100)),
	R(readv, VECTOR, vec_from_pipe, NUM(0), OUT(48), NUM(3), {0}, {0}, {0},
	  OUT(100), OUT(4000), OUT(9)),
	R(writev, VECTOR, vec_to_pipe, NUM(0), OUT(48), NUM(3), {0}, {0}, {0},
	  OUT(100), OUT(4000), OUT(9)),
	R(preadv, VECTOR, vec_file, NUM(0), OUT(48), NUM(3), NUM(5), {0}, {0},
	  OUT(100), OUT(4000), OUT(9)),
	R(pwritev2, VECTOR, vec_file, NUM(0), OUT(48), NUM(3), NUM(5), {0}, {0},
	  OUT(100), OUT(4000), OUT(9)),
	R(vmsplice, VECTOR, vec_to_pipe, NUM(0), OUT(48), NUM(3), {0}, {0}, {0},
	  OUT(100), OUT(4000), OUT(9)),
	R(sendfile, 0, two_files, NUM(0), NUM(0), IN(off), NUM(100)),
	R(copy_file_range, 0, two_files_copy, NUM(0), IN(off), NUM(0), IN(off),
	  NUM(100)),
	R(splice, 0, pipe_and_file, NUM(0), NUM(0), NUM(0), IN(off), NUM(100)),
	R(fcntl, 0, on_file, NUM(0), NUM(F_GETLK), IN(lk)),
	R(ioctl, 0, full_pipe, NUM(0), NUM(FIONREAD), OUT(4)),
	R(pipe, VOLATILE, no_files, OUT(8)),
	R(pipe2, VOLATILE, no_files, OUT(8), NUM(O_CLOEXEC)),
	R(socketpair, VOLATILE, no_files, NUM(AF_UNIX), NUM(SOCK_STREAM),
	  NUM(0), OUT(8)),
	R(sendto, 0, sockets, NUM(0), IN(text), NUM(LEN), NUM(0)),
	R(recvfrom, 0, sockets, NUM(0), OUT(LEN), NUM(LEN), NUM(0), OUT(110),
	  IN(len)),
	R(sendmsg, VECTOR, message, NUM(0), OUT(56), NUM(0), {0}, {0}, {0},
	  OUT(100), OUT(4000), OUT(9), OUT(48)),
	R(recvmsg, VECTOR, message, NUM(0), OUT(56), NUM(0), {0}, {0}, {0},
	  OUT(100), OUT(4000), OUT(9), OUT(48)),
	R(sendmmsg, VECTOR, messages, NUM(0), OUT(64), NUM(1), NUM(0), {0}, {0},
	  OUT(100), OUT(4000), OUT(9), OUT(48)),
	R(recvmmsg, VECTOR, messages, NUM(0), OUT(64), NUM(1), NUM(0), {0}, {0},
	  OUT(100), OUT(4000), OUT(9), OUT(48)),
	R(bind, 0, client, NUM(0), IN(name), NUM(12)),
	R(connect, 0, client, NUM(0), IN(addr), NUM(12)),
	R(accept, RESULT | NEW_FD, connected, NUM(0), OUT(110), IN(len)),
	R(accept4, RESULT | NEW_FD, connected, NUM(0), OUT(110), IN(len),
	  NUM(0)),
	R(getsockname, 0, connected, NUM(0), OUT(110), IN(len)),
	R(getsockopt, 0, connected, NUM(0), NUM(SOL_SOCKET), NUM(SO_TYPE),
	  OUT(4), IN(len)),
	R(setsockopt, 0, connected, NUM(0), NUM(SOL_SOCKET), NUM(SO_KEEPALIVE),
	  IN(one), NUM(4)),
	R(epoll_ctl, 0, epoll_new, NUM(0), NUM(EPOLL_CTL_ADD), NUM(0), IN(ev)),
	R(epoll_wait, 0, epoll, NUM(0), OUT(120), NUM(10), NUM(-1)),
	R(epoll_pwait, 0, epoll, NUM(0), OUT(120), NUM(10), NUM(-1), IN(mask),
	  NUM(8)),
	R(poll, 0, poll_3, IN(pfd), NUM(1), NUM(-1)),
	R(ppoll, VOLATILE, poll_3, IN(pfd), NUM(1), IN(ts), IN(mask), NUM(8)),
	R(select, VOLATILE, poll_3, NUM(61), IN(set), {0}, {0}, IN(tv)),
	R(pselect6, VOLATILE, pair_of_mask, NUM(61), IN(set), {0}, {0}, IN(ts),
	  OUT(16), IN(mask)),
	{0, NULL, 0, NULL, {{NOTHING, 0, NULL, 0}}},
};

int main(int argc, char **argv)
{
	for (int i = 0; i < LEN; i++)
		text[i] = (char)(i * 31 + i / 256 + 1);
	return !run_matrix(rows, argc > 1 ? argv[1] : NULL);
}
