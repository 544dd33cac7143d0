/* SPDX-License-Identifier: MIT */
/*
 * Calls that take pointers: the memory is given back, for as long as its
 * mapping lives, before the kernel sees it.  So a call that blocks and is
 * served later finds it accessible still.
 *
 * Two tables say what each call uses: syscall_guard.def the functions of libc,
 * syscall_args.def the system calls, for them and for syscall(2).  syscall(2)
 * goes on to the other files for what is theirs.
 *
 * Limits: what libc does inside itself is not seen.  Mutexes and semaphores in
 * a large mapping of the program's own are such a case (their futex calls are
 * libc's), strings that printf(3) writes another.  Descriptors of memory
 * (iovec, msghdr) are read here: where they lie in no memory at all, the
 * program gets SIGSEGV, not EFAULT.
 */
#include "preload.h"

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <mqueue.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum kind {
	NO_ARG,
	ARG_BUF,
	ARG_ARR,
	ARG_MUL,
	ARG_FIX,
	ARG_STR,
	ARG_TEXT,
	ARG_IOV,
	ARG_MSG,
	ARG_MMSG,
	ARG_FDS,
	ARG_IOCBS,
	ARG_AIO,
};

struct arg {
	uint8_t kind;
	uint8_t ptr; /* index of the argument */
	uint8_t len; /* index of the one that says how much */
	uint16_t size;
};

#define MAX_ARGS 4

struct args {
	struct arg arg[MAX_ARGS];
};

/* clang-format off */
#define BUF(p, n)	{ ARG_BUF, p, n, 0 }
#define ARR(p, n, size)	{ ARG_ARR, p, n, size }
#define MUL(p, m, n)	{ ARG_MUL, p, n, m }
#define FIX(p, size)	{ ARG_FIX, p, 0, size }
#define STR(p)		{ ARG_STR, p, 0, 0 }
#define TEXT(p)		{ ARG_TEXT, p, 0, 0 }
#define IOV(p, n)	{ ARG_IOV, p, n, 0 }
#define MSG(p)		{ ARG_MSG, p, 0, 0 }
#define MMSG(p, n)	{ ARG_MMSG, p, n, 0 }
#define FDS(p, n)	{ ARG_FDS, p, n, 0 }
#define IOCBS(p, n)	{ ARG_IOCBS, p, n, 0 }
#define AIO(p)		{ ARG_AIO, p, 0, 0 }
#define STAT(p)		FIX(p, sizeof(struct stat))
/* clang-format on */

static const struct args args_of[] = {
#define NB_ARGS(name, ...) [SYS_##name] = {{__VA_ARGS__}},
#include "syscall_args.def"
#undef NB_ARGS
};

#define NR_ARGS_OF (sizeof(args_of) / sizeof(args_of[0]))

/* Cold: real programs pass few of these. */
static void touch_iov(const struct iovec *iov, unsigned long n)
{
	/* More is EINVAL. */
	if (!iov || n > IOV_MAX)
		return;
	nb_hook_touch(iov, n * sizeof(*iov));
	for (unsigned long i = 0; i < n; i++)
		nb_hook_touch(iov[i].iov_base, iov[i].iov_len);
}

static void touch_msg(const struct msghdr *msg)
{
	if (!msg)
		return;
	nb_hook_touch(msg, sizeof(*msg));
	nb_hook_touch(msg->msg_name, msg->msg_namelen);
	nb_hook_touch(msg->msg_control, msg->msg_controllen);
	touch_iov(msg->msg_iov, msg->msg_iovlen);
}

static void touch_mmsg(const struct mmsghdr *msg, unsigned int n)
{
	if (!msg)
		return;
	/* The kernel serves no more of them. */
	n = n < IOV_MAX ? n : IOV_MAX;
	nb_hook_touch(msg, n * sizeof(*msg));
	for (unsigned int i = 0; i < n; i++)
		touch_msg(&msg[i].msg_hdr);
}

static void touch_iocbs(struct iocb **list, long n)
{
	if (!list || n <= 0)
		return;
	nb_hook_touch(list, (size_t)n * sizeof(*list));
	for (long i = 0; i < n; i++) {
		void *buf = (void *)(uintptr_t)list[i]->aio_buf;

		nb_hook_touch(list[i], sizeof(*list[i]));
		if (list[i]->aio_lio_opcode == IOCB_CMD_PREADV ||
		    list[i]->aio_lio_opcode == IOCB_CMD_PWRITEV)
			touch_iov(buf, list[i]->aio_nbytes);
		else
			nb_hook_touch(buf, list[i]->aio_nbytes);
	}
}

static void touch_array(const void *p, long n, size_t size)
{
	size_t bytes;

	if (n > 0 && !__builtin_mul_overflow((size_t)n, size, &bytes))
		nb_hook_touch(p, bytes);
}

/* What is longer than a path goes to the kernel by write(2). */
static void touch_text(const char *s)
{
	nb_hook_touch(s, strlen(s));
}

static void touch_arg(const struct arg *t, const long *a)
{
	void *p = (void *)a[t->ptr];
	long n = a[t->len];

	switch (t->kind) {
	case ARG_BUF:
		nb_hook_touch(p, (size_t)n);
		break;
	case ARG_ARR:
		touch_array(p, n, t->size);
		break;
	case ARG_MUL:
		touch_array(p, n, (size_t)a[t->size]);
		break;
	case ARG_FIX:
		nb_hook_touch(p, t->size);
		break;
	case ARG_STR:
		nb_hook_touch_str(p);
		break;
	case ARG_TEXT:
		touch_text(p);
		break;
	case ARG_IOV:
		touch_iov(p, (unsigned long)n);
		break;
	case ARG_MSG:
		touch_msg(p);
		break;
	case ARG_MMSG:
		touch_mmsg(p, (unsigned int)n);
		break;
	case ARG_FDS:
		touch_array(p, ((n & INT_MAX) + 63) / 64, 8);
		break;
	case ARG_IOCBS:
		touch_iocbs(p, n);
		break;
	case ARG_AIO:
		nb_hook_touch(p, sizeof(struct aiocb));
		nb_hook_touch((void *)((struct aiocb *)p)->aio_buf,
			      ((struct aiocb *)p)->aio_nbytes);
		break;
	}
}

static void touch_args(const struct args *t, const long *a)
{
	for (int i = 0; i < MAX_ARGS && t->arg[i].kind != NO_ARG; i++)
		if (a[t->arg[i].ptr])
			touch_arg(&t->arg[i], a);
}

/* ---- functions of libc -------------------------------------------------- */

#undef fread_unlocked
#undef fwrite_unlocked
#undef fputs_unlocked

#define BY(name) (&args_of[SYS_##name])
#define OWN(...) (&(const struct args){{__VA_ARGS__}})

#define TOUCH(args, ...)                                                       \
	do {                                                                   \
		if (nb_active()) {                                             \
			const long a_[] = {__VA_ARGS__};                       \
                                                                               \
			touch_args(args, a_);                                  \
		}                                                              \
	} while (0)

#define NB_CALL1(ret, name, args, t0)                                          \
	NB_EXPORT ret name(t0 a)                                               \
	{                                                                      \
		TOUCH(args, (long)a);                                          \
		return real(name)(a);                                          \
	}
#define NB_CALL2(ret, name, args, t0, t1)                                      \
	NB_EXPORT ret name(t0 a, t1 b)                                         \
	{                                                                      \
		TOUCH(args, (long)a, (long)b);                                 \
		return real(name)(a, b);                                       \
	}
#define NB_CALL3(ret, name, args, t0, t1, t2)                                  \
	NB_EXPORT ret name(t0 a, t1 b, t2 c)                                   \
	{                                                                      \
		TOUCH(args, (long)a, (long)b, (long)c);                        \
		return real(name)(a, b, c);                                    \
	}
#define NB_CALL4(ret, name, args, t0, t1, t2, t3)                              \
	NB_EXPORT ret name(t0 a, t1 b, t2 c, t3 d)                             \
	{                                                                      \
		TOUCH(args, (long)a, (long)b, (long)c, (long)d);               \
		return real(name)(a, b, c, d);                                 \
	}
#define NB_CALL5(ret, name, args, t0, t1, t2, t3, t4)                          \
	NB_EXPORT ret name(t0 a, t1 b, t2 c, t3 d, t4 e)                       \
	{                                                                      \
		TOUCH(args, (long)a, (long)b, (long)c, (long)d, (long)e);      \
		return real(name)(a, b, c, d, e);                              \
	}
#define NB_CALL6(ret, name, args, t0, t1, t2, t3, t4, t5)                      \
	NB_EXPORT ret name(t0 a, t1 b, t2 c, t3 d, t4 e, t5 f)                 \
	{                                                                      \
		TOUCH(args, (long)a, (long)b, (long)c, (long)d, (long)e,       \
		      (long)f);                                                \
		return real(name)(a, b, c, d, e, f);                           \
	}
/* A pointer to the first of two is what a parameter "int fd[2]" is. */
#pragma GCC diagnostic ignored "-Warray-parameter"
#include "syscall_guard.def"

/* An argument that is a union of pointers. */
#define SOCKADDR(u) ((long)(u).__sockaddr__)

NB_EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags,
			   __SOCKADDR_ARG addr, socklen_t *len)
{
	TOUCH(BY(recvfrom), fd, (long)buf, (long)n, flags, SOCKADDR(addr),
	      (long)len);
	return real(recvfrom)(fd, buf, n, flags, addr, len);
}

NB_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size,
				 int flags, __SOCKADDR_ARG addr, socklen_t *len)
{
	TOUCH(BY(recvfrom), fd, (long)buf, (long)n, flags, SOCKADDR(addr),
	      (long)len);
	return real(__recvfrom_chk)(fd, buf, n, size, flags, addr, len);
}

NB_EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags,
			 __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	TOUCH(BY(sendto), fd, (long)buf, (long)n, flags, SOCKADDR(addr));
	return real(sendto)(fd, buf, n, flags, addr, len);
}

NB_EXPORT int accept(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	TOUCH(BY(accept), fd, SOCKADDR(addr), (long)len);
	return real(accept)(fd, addr, len);
}

NB_EXPORT int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
	TOUCH(BY(accept4), fd, SOCKADDR(addr), (long)len);
	return real(accept4)(fd, addr, len, flags);
}

NB_EXPORT int bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	TOUCH(BY(bind), fd, SOCKADDR(addr), len);
	return real(bind)(fd, addr, len);
}

NB_EXPORT int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	TOUCH(BY(connect), fd, SOCKADDR(addr), len);
	return real(connect)(fd, addr, len);
}

NB_EXPORT int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	TOUCH(BY(getsockname), fd, SOCKADDR(addr), (long)len);
	return real(getsockname)(fd, addr, len);
}

NB_EXPORT int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	TOUCH(BY(getpeername), fd, SOCKADDR(addr), (long)len);
	return real(getpeername)(fd, addr, len);
}

/* A buffer without a given size is that of BUFSIZ bytes. */
NB_EXPORT void setbuf(FILE *f, char *buf)
{
	nb_hook_touch(buf, buf ? BUFSIZ : 0);
	real(setbuf)(f, buf);
}

NB_EXPORT void setbuffer(FILE *f, char *buf, size_t n)
{
	nb_hook_touch(buf, buf ? n : 0);
	real(setbuffer)(f, buf, n);
}

NB_EXPORT int lio_listio(int mode, struct aiocb *const list[], int n,
			 struct sigevent *sev)
{
	for (int i = 0; nb_active() && i < n; i++) {
		const long a[] = {(long)list[i]};

		touch_args(OWN(AIO(0)), a);
	}
	return real(lio_listio)(mode, list, n, sev);
}

/* ---- functions with a variable last argument ---------------------------- */

#define LAST_ARG(first, type)                                                  \
	({                                                                     \
		va_list ap_;                                                   \
		type v_;                                                       \
                                                                               \
		va_start(ap_, first);                                          \
		v_ = va_arg(ap_, type);                                        \
		va_end(ap_);                                                   \
		v_;                                                            \
	})

NB_EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode = LAST_ARG(flags, mode_t);

	TOUCH(OWN(STR(0)), (long)path);
	return real(open)(path, flags, mode);
}

NB_EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = LAST_ARG(flags, mode_t);

	TOUCH(OWN(STR(0)), (long)path);
	return real(open64)(path, flags, mode);
}

NB_EXPORT int openat(int fd, const char *path, int flags, ...)
{
	mode_t mode = LAST_ARG(flags, mode_t);

	TOUCH(OWN(STR(0)), (long)path);
	return real(openat)(fd, path, flags, mode);
}

NB_EXPORT int openat64(int fd, const char *path, int flags, ...)
{
	mode_t mode = LAST_ARG(flags, mode_t);

	TOUCH(OWN(STR(0)), (long)path);
	return real(openat64)(fd, path, flags, mode);
}

/*
 * The size of the argument is part of most commands; an old one's is unknown,
 * and none of them has more than this.  A number is no address of ours.
 */
#define OLD_IOCTL_BYTES 256

NB_EXPORT int ioctl(int fd, unsigned long cmd, ...)
{
	void *arg = LAST_ARG(cmd, void *);
	size_t size = _IOC_SIZE(cmd);

	if (nb_active() && arg)
		nb_hook_touch(arg, size ? size : OLD_IOCTL_BYTES);
	return real(ioctl)(fd, cmd, arg);
}

/* After a filter is set the kernel may kill us for what we call. */
NB_EXPORT int prctl(int option, ...)
{
	unsigned long b, c, d, e;
	va_list ap;

	va_start(ap, option);
	b = va_arg(ap, unsigned long);
	c = va_arg(ap, unsigned long);
	d = va_arg(ap, unsigned long);
	e = va_arg(ap, unsigned long);
	va_end(ap);
	if (nb_active()) {
		if (option == PR_SET_SECCOMP)
			nb_hook_filter();
#ifdef PR_SET_TSC
		if (option == PR_SET_TSC && b == PR_TSC_SIGSEGV)
			nb_hook_no_cycles();
#endif
		nb_hook_touch((void *)b, sizeof(long));
		if (option == PR_SET_NAME || option == PR_GET_NAME)
			nb_hook_touch((void *)b, 16);
	}
	return real(prctl)(option, b, c, d, e);
}

/* ---- liburing ----------------------------------------------------------- */

NB_EXPORT int io_uring_queue_init(unsigned int entries, void *ring,
				  unsigned int flags)
{
	nb_hook_async_io("io_uring");
	return real(io_uring_queue_init)(entries, ring, flags);
}

NB_EXPORT int io_uring_queue_init_params(unsigned int entries, void *ring,
					 struct io_uring_params *p)
{
	nb_hook_async_io("io_uring");
	return real(io_uring_queue_init_params)(entries, ring, p);
}

NB_EXPORT int io_uring_setup(unsigned int entries, struct io_uring_params *p)
{
	nb_hook_async_io("io_uring");
	return real(io_uring_setup)(entries, p);
}

/* ---- syscall(2) --------------------------------------------------------- */

static long guarded_syscall(long nr, const long *a, const void *caller)
{
	if (nr >= 0 && nr < (long)NR_ARGS_OF)
		touch_args(&args_of[nr], a);
	switch (nr) {
	case SYS_mmap:
	case SYS_munmap:
	case SYS_mremap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_madvise:
	case SYS_mlock:
	case SYS_mlock2:
	case SYS_mlockall:
	case SYS_remap_file_pages:
	case SYS_mbind:
	case SYS_set_mempolicy:
	case SYS_get_mempolicy:
		return nb_syscall_memory(nr, a, caller);
	case SYS_sched_setaffinity:
	case SYS_sched_getaffinity:
		return nb_syscall_thread(nr, a);
	case SYS_rt_sigaction:
	case SYS_rt_sigprocmask:
	case SYS_rt_sigsuspend:
	case SYS_ppoll:
	case SYS_pselect6:
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_sigaltstack:
		return nb_syscall_signal(nr, a);
#ifdef SYS_fork
	case SYS_fork:
	case SYS_vfork:
#endif
	case SYS_clone:
	case SYS_clone3:
	case SYS_execve:
	case SYS_execveat:
	case SYS_exit_group:
		return nb_syscall_process(nr, a);
	case SYS_io_uring_setup:
		nb_hook_async_io("io_uring");
		break;
	case SYS_userfaultfd:
		nb_hook_async_io("userfaultfd");
		break;
	case SYS_seccomp:
		nb_hook_filter();
		break;
	}
	return real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

NB_EXPORT long syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!nb_active())
		return real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return guarded_syscall(nr, a, __builtin_return_address(0));
}
