/* SPDX-License-Identifier: MIT */
/*
 * Queues, semaphore sets, asynchronous reads and writes, terminals, copies
 * between processes (of ourselves), libraries, names.
 */
#include "torture.h"

#include <aio.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <netdb.h>
#include <pty.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>

struct message {
	long type;
	char text[3000];
};

static void sysv_messages(struct worker *w)
{
	struct message *out = get(sizeof(*out)), *in = get(sizeof(*in));
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	struct msqid_ds *ds = get(sizeof(*ds));

	CHECK(id >= 0, errno);
	for (int i = 1; id >= 0 && i < 5; i++) {
		size_t bytes = 1 + below(w, sizeof(out->text));
		long n;

		out->type = i;
		fill(out->text, bytes, bytes);
		MUST(AGAIN(msgsnd(id, out, bytes, 0)));
		memset(in, 0, sizeof(*in));
		n = AGAIN(msgrcv(id, in, sizeof(in->text), 0, 0));
		CHECK(n == (long)bytes && in->type == i, n);
		CHECK(same(in->text, bytes, bytes), bytes);
		note(w, bytes);
	}
	FAILS(msgrcv(id, in, 10, 0, IPC_NOWAIT), ENOMSG);
	MUST(msgctl(id, IPC_STAT, ds));
	CHECK(ds->msg_qnum == 0, ds->msg_qnum);
	MUST(msgctl(id, IPC_RMID, NULL));
	free(out);
	free(in);
	free(ds);
}

static void sysv_semaphores(struct worker *w)
{
	int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
	struct sembuf *op = calloc(3, sizeof(*op));
	unsigned short *all = calloc(3, sizeof(*all));
	struct timespec *ts = get(sizeof(*ts));

	CHECK(id >= 0, errno);
	all[0] = 1;
	all[1] = (unsigned short)below(w, 1000);
	all[2] = 3;
	MUST(semctl(id, 0, SETALL, all));
	for (unsigned short i = 0; i < 3; i++)
		op[i] = (struct sembuf){i, (short)(i + 1), 0};
	MUST(AGAIN(semop(id, op, 3)));
	memset(all, 0, 6);
	MUST(semctl(id, 0, GETALL, all));
	CHECK(all[0] == 2 && all[2] == 6, all[2]);
	note(w, all[1]);
	op[0].sem_op = -100;
	*ts = (struct timespec){0, 200000};
	FAILS(semtimedop(id, op, 1, ts), EAGAIN);
	MUST(semctl(id, 0, IPC_RMID));
	free(op);
	free(all);
	free(ts);
}

static void posix_messages(struct worker *w)
{
	struct mq_attr *attr = calloc(1, sizeof(*attr));
	char *name = get(64), *out = get_filled(500, 1), *in = get(500);
	unsigned int *prio = get(sizeof(*prio));
	mqd_t q;

	sprintf(name, "/torture-%d-%u", (int)getpid(), w->id);
	attr->mq_maxmsg = 4;
	attr->mq_msgsize = 500;
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, attr);
	if (q == (mqd_t)-1) { /* not built in, not mounted, too many */
		CHECK(errno != EFAULT, errno);
		goto out;
	}
	MUST(mq_unlink(name));
	MUST(AGAIN(mq_send(q, out, 500, 3)));
	CHECK(AGAIN(mq_receive(q, in, 500, prio)) == 500 && *prio == 3, errno);
	CHECK(same(in, 500, 1), 0);
	MUST(mq_getattr(q, attr));
	CHECK(attr->mq_curmsgs == 0, attr->mq_curmsgs);
	MUST(mq_close(q));
out:
	note(w, hash(out, 500));
	free(attr);
	free(name);
	free(out);
	free(in);
	free(prio);
}

static void async_io(struct worker *w)
{
	enum { NR = 3 };
	struct io_event *ev = calloc(NR, sizeof(*ev));
	struct iocb **list = calloc(NR, sizeof(*list));
	size_t bytes = 1 + below(w, 20000);
	aio_context_t *ctx = calloc(1, sizeof(*ctx));
	char *path = path_of(w, "aio");
	int fd = (int)MUST(open(path, O_RDWR | O_CREAT, 0600));
	long n, got = 0;

	MUST(syscall(SYS_io_setup, NR, ctx));
	for (int turn = 0; turn < 2; turn++) {
		for (uint64_t i = 0; i < NR; i++) {
			struct iocb *cb =
				turn ? list[i] : calloc(1, sizeof(*cb));

			list[i] = cb;
			cb->aio_fildes = (uint32_t)fd;
			cb->aio_lio_opcode =
				turn ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
			if (!turn)
				cb->aio_buf = (uint64_t)get_filled(bytes, i);
			else
				memset((void *)cb->aio_buf, 0, bytes);
			cb->aio_nbytes = bytes;
			cb->aio_offset = (int64_t)(i * bytes);
			cb->aio_data = i;
		}
		n = syscall(SYS_io_submit, *ctx, NR, list);
		CHECK(n == NR, n);
		for (got = 0; got < NR; got += n) {
			n = AGAIN(syscall(SYS_io_getevents, *ctx, 1, NR, ev,
					  NULL));
			CHECK(n > 0, n);
			if (n <= 0)
				break;
			for (long k = 0; k < n; k++)
				CHECK(ev[k].res == (int64_t)bytes, ev[k].res);
		}
	}
	for (uint64_t i = 0; i < NR; i++) {
		CHECK(same((void *)list[i]->aio_buf, bytes, i), i);
		free((void *)list[i]->aio_buf);
		free(list[i]);
	}
	note(w, bytes);
	MUST(syscall(SYS_io_destroy, *ctx));
	MUST(close(fd));
	MUST(unlink(path));
	free(ctx);
	free(ev);
	free(list);
	free(path);
}

static void own_memory(struct worker *w)
{
	size_t bytes = 1 + below(w, 30000);
	struct iovec *v = get(2 * sizeof(*v));
	char *from = get_filled(bytes, 4), *to = get(bytes);
	long n;

	v[0] = (struct iovec){to, bytes};
	v[1] = (struct iovec){from, bytes};
	n = process_vm_readv(getpid(), v, 1, v + 1, 1, 0);
	if (n < 0 && (errno == EPERM || errno == ENOSYS))
		goto out;
	CHECK(n == (long)bytes, n);
	CHECK(same(to, bytes, 4), bytes);
	fill(from, bytes, 5);
	v[0].iov_base = from;
	v[1].iov_base = to;
	n = process_vm_writev(getpid(), v, 1, v + 1, 1, 0);
	CHECK(n == (long)bytes, n);
	CHECK(same(to, bytes, 5), bytes);
out:
	note(w, bytes);
	free(v);
	free(from);
	free(to);
}

static void terminals(struct worker *w)
{
	struct winsize *ws = calloc(1, sizeof(*ws));
	struct termios *t = get(sizeof(*t));
	int *fd = get(2 * sizeof(*fd)), *ready = get(sizeof(*ready));
	char *buf = get(100);

	ws->ws_row = (unsigned short)(1 + below(w, 100));
	if (openpty(fd, fd + 1, NULL, NULL, ws)) {
		CHECK(errno != EFAULT, errno);
		goto out;
	}
	MUST(tcgetattr(fd[1], t));
	cfmakeraw(t);
	MUST(tcsetattr(fd[1], TCSANOW, t));
	memset(ws, 0, sizeof(*ws));
	MUST(ioctl(fd[1], TIOCGWINSZ, ws));
	fill(buf, 100, 1);
	full_write(fd[0], buf, 100);
	memset(buf, 0, 100);
	full_read(fd[1], buf, 100);
	CHECK(same(buf, 100, 1), 0);
	MUST(ioctl(fd[1], FIONREAD, ready));
	CHECK(*ready == 0, *ready);
	MUST(close(fd[0]));
	MUST(close(fd[1]));
out:
	note(w, ws->ws_row);
	free(ws);
	free(t);
	free(fd);
	free(ready);
	free(buf);
}

/* By threads of libc. */
static void posix_aio(struct worker *w)
{
	size_t bytes = 1 + below(w, 20000);
	char *path = path_of(w, "paio"), *buf = get_filled(bytes, 6);
	struct aiocb *cb = calloc(1, sizeof(*cb));
	const struct aiocb **list = calloc(1, sizeof(*list));
	int fd = (int)MUST(open(path, O_RDWR | O_CREAT, 0600));

	cb->aio_fildes = fd;
	cb->aio_buf = buf;
	cb->aio_nbytes = bytes;
	list[0] = cb;
	for (int turn = 0; turn < 2; turn++) {
		MUST(turn ? aio_read(cb) : aio_write(cb));
		while (aio_error(cb) == EINPROGRESS)
			if (aio_suspend(list, 1, NULL))
				CHECK(errno == EINTR, errno);
		CHECK(aio_return(cb) == (long)bytes, aio_error(cb));
		CHECK(same(buf, bytes, 6), bytes);
		memset(buf, 0, bytes);
		if (turn)
			break;
	}
	note(w, bytes);
	MUST(close(fd));
	MUST(unlink(path));
	free(path);
	free(buf);
	free(cb);
	free(list);
}

/* Code and data come and go. */
static void libraries(struct worker *w)
{
	static const char *const names[] = {
		"libBrokenLocale.so.1", "libthread_db.so.1", "libresolv.so.2"};
	char *name = get(5000);
	void *lib;

	for (int i = 0; i < 3; i++) {
		strcpy(name, names[below(w, 3)]);
		lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
		if (lib)
			CHECK(!dlclose(lib), 0);
	}
	strcpy(name, "/no/such/library.so");
	CHECK(!dlopen(name, RTLD_NOW), 0);
	note(w, 3);
	free(name);
}

/* The name service reads files, and has buffers of its own. */
static void names(struct worker *w)
{
	struct passwd *pw = get(sizeof(*pw)), *found = NULL;
	struct addrinfo *hints = calloc(1, sizeof(*hints)), *ai = NULL;
	char *buf = get(20000), *host = get(200);

	CHECK(!getpwuid_r(0, pw, buf, 20000, &found), errno);
	CHECK(found && !strcmp(pw->pw_name, "root"), 0);
	strcpy(host, "127.0.0.1");
	hints->ai_flags = AI_NUMERICHOST;
	hints->ai_socktype = SOCK_STREAM;
	CHECK(!getaddrinfo(host, "80", hints, &ai), errno);
	CHECK(ai && ai->ai_family == AF_INET, 0);
	if (ai)
		freeaddrinfo(ai);
	note(w, hash("root", 4));
	free(pw);
	free(hints);
	free(buf);
	free(host);
}

const struct op ipc_ops[] = {
	{"sysv-messages", sysv_messages, 2},
	{"sysv-semaphores", sysv_semaphores, 2},
	{"posix-messages", posix_messages, 2},
	{"async-io", async_io, 1},
	{"own-memory", own_memory, 1},
	{"posix-aio", posix_aio, 2},
	{"libraries", libraries, 4},
	{"names", names, 2},
	{"terminals", terminals, 4},
	{0},
};
