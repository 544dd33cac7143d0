/* SPDX-License-Identifier: MIT */
/*
 * Which memory a system call hands to the kernel: the table of syscalls.def,
 * and how each kind of argument is read.
 *
 * Descriptors (iovecs, message headers, lengths in memory) are read by
 * nb_guard_copy() only, after their own memory was handed to the sink: what
 * cannot be read is the kernel's to complain about.  More than the kernel will
 * touch does no harm; less would be a hole.
 *
 * On the way of every system call: general registers only, no libc.  Owns
 * nothing but the constant table.
 */
#include "syscall.h"

#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/uio.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

#define PAGE 4096 /* Linux: PATH_MAX, and the limit of most structures */

/* clang-format off */
#define BUF(p, n)	  {NB_ARG_BUF, p, n, 0}
#define BUFX(p, n, x)	  {NB_ARG_BUF, p, n, x}
#define ARR(p, n, bytes)  {NB_ARG_ARR, p, n, bytes}
#define FIX(p, bytes)	  {NB_ARG_FIX, p, 0, bytes}
#define STR(p)		  {NB_ARG_FIX, p, 0, PAGE}
#define LENPTR(p, n)	  {NB_ARG_LENPTR, p, n, 0}
#define PAGES(p, n)	  {NB_ARG_PAGES, p, n, 0}
#define FDSET(p, n)	  {NB_ARG_FDSET, p, n, 0}
#define BITS(p, n)	  {NB_ARG_BITS, p, n, 0}
#define IOV(p, n)	  {NB_ARG_IOV, p, n, 0}
#define MSG(p)		  {NB_ARG_MSG, p, 0, 0}
#define MMSG(p, n)	  {NB_ARG_MMSG, p, n, 0}
#define IOCBS(p, n)	  {NB_ARG_IOCBS, p, n, 0}
#define WAITV(p, n)	  {NB_ARG_WAITV, p, n, 0}
#define WAITVN(p, x)	  {NB_ARG_WAITV, p, 0, x}
#define PTRLEN(p)	  {NB_ARG_PTRLEN, p, 0, 0}
/* Of exec: all memory is given back for it, whatever it points at. */
#define STRV(p)		  {NB_ARG_OPAQUE, p, 0, 0}
#define IOCTL		  {NB_ARG_IOCTL, 0, 0, 0}
#define FCNTL		  {NB_ARG_FCNTL, 0, 0, 0}
#define FUTEX		  {NB_ARG_FUTEX, 0, 0, 0}
#define PRCTL		  {NB_ARG_PRCTL, 0, 0, 0}
#define SEMCTL		  {NB_ARG_SEMCTL, 0, 0, 0}
#define CLONE3		  {NB_ARG_CLONE3, 0, 0, 0}
#define GETOPT		  {NB_ARG_GETOPT, 0, 0, 0}
#define SETOPT		  {NB_ARG_SETOPT, 0, 0, 0}
#define OPAQUE		  {NB_ARG_OPAQUE, 0, 0, 0}
/* clang-format on */

#define NB_SYSCALL(nr, name, hook, ...)                                        \
	[nr] = {#name, NB_HOOK_##hook, {__VA_ARGS__}},

#if defined(__x86_64__)
static const struct nb_sysclass classes[] = {
#include "syscalls.def"
};
#else
static const struct nb_sysclass classes[1];
#endif

static const struct nb_sysclass unknown = {"unknown", NB_HOOK_NONE, {OPAQUE}};

/* Elements of a vector that are read at a time. */
#define IOV_PER_READ 8U
#define WAITV_MAX 128U /* Linux: FUTEX_WAITV_MAX */
#define IOCBS_MAX 65536U
#define SEM_ALL_BYTES 65536U /* all values of a set: 32000 at most */

/**
 * nb_sysclass_count() - the numbers that the table knows
 *
 * Context: Anywhere.
 * Return: all below it may be in the table.
 */
int nb_sysclass_count(void)
{
	return (int)nb_array_size(classes);
}

/**
 * nb_sysclass() - what is known of a system call
 * @nr: its number
 *
 * Context: Anywhere; general registers only.
 * Return: its class; one that is opaque for what nobody knows.
 */
const struct nb_sysclass *nb_sysclass(uint64_t nr)
{
	if (nb_unlikely(nr >= nb_array_size(classes) || !classes[nr].name))
		return &unknown;
	return &classes[nr];
}

/**
 * nb_sysclass_is_plain() - does a call need no guard at all?
 * @nr: its number
 *
 * Context: Anywhere; general registers only.
 * Return: true if it hands over no memory and nobody wants to know of it.
 */
bool nb_sysclass_is_plain(uint64_t nr)
{
	const struct nb_sysclass *k = nb_sysclass(nr);

	return k->hook == NB_HOOK_NONE && k->arg[0].kind == NB_ARG_END;
}

/* ---- vectors ------------------------------------------------------------- */

static void add(struct nb_range_sink *to, uint64_t start, uint64_t len)
{
	if (start && len)
		to->add(to, start, len);
}

static bool read_from(void *buf, uint64_t at, uint64_t bytes)
{
	return at && !nb_guard_copy(buf, (const void *)at, bytes);
}

static uint64_t times(uint64_t n, uint64_t size)
{
	return n > UINT64_MAX / size ? UINT64_MAX : n * size;
}

static void add_iov(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	struct iovec iov[IOV_PER_READ];

	/* More is EINVAL; the number is an int, or a long. */
	nr = nb_min(nr, (uint64_t)UIO_MAXIOV);
	add(to, at, nr * sizeof(iov[0]));
	while (nr) {
		uint64_t n = nb_min(nr, (uint64_t)IOV_PER_READ);

		if (!read_from(iov, at, n * sizeof(iov[0])))
			return;
		for (uint64_t i = 0; i < n; i++)
			add(to, (uint64_t)iov[i].iov_base, iov[i].iov_len);
		at += n * sizeof(iov[0]);
		nr -= n;
	}
}

static void add_msg(struct nb_range_sink *to, uint64_t at)
{
	struct msghdr m;

	add(to, at, sizeof(m));
	if (!read_from(&m, at, sizeof(m)))
		return;
	add(to, (uint64_t)m.msg_name, m.msg_namelen);
	add(to, (uint64_t)m.msg_control, m.msg_controllen);
	add_iov(to, (uint64_t)m.msg_iov, m.msg_iovlen);
}

static void add_mmsg(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	/* The number is an unsigned int that the kernel limits. */
	nr = nb_min(nr & UINT32_MAX, (uint64_t)UIO_MAXIOV);
	add(to, at, nr * sizeof(struct mmsghdr));
	for (; nr; nr--, at += sizeof(struct mmsghdr))
		add_msg(to, at);
}

static void add_iocb(struct nb_range_sink *to, uint64_t at)
{
	struct iocb cb;

	add(to, at, sizeof(cb));
	if (!read_from(&cb, at, sizeof(cb)))
		return;
	if (cb.aio_lio_opcode == IOCB_CMD_PREADV ||
	    cb.aio_lio_opcode == IOCB_CMD_PWRITEV)
		add_iov(to, cb.aio_buf, cb.aio_nbytes);
	else
		add(to, cb.aio_buf, cb.aio_nbytes);
}

static void add_iocbs(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	uint64_t cb;

	nr = nb_min(nr, (uint64_t)IOCBS_MAX);
	add(to, at, nr * sizeof(cb));
	for (; nr && read_from(&cb, at, sizeof(cb)); nr--, at += sizeof(cb))
		add_iocb(to, cb);
}

/* struct futex_waitv */
struct waitv {
	uint64_t val;
	uint64_t uaddr;
	uint32_t flags;
	uint32_t reserved;
};

static void add_waitv(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	struct waitv w;

	nr = nb_min(nr & UINT32_MAX, (uint64_t)WAITV_MAX);
	add(to, at, nr * sizeof(w));
	for (; nr && read_from(&w, at, sizeof(w)); nr--, at += sizeof(w))
		add(to, w.uaddr, 16); /* a word, and perhaps a node */
}

static void add_lenptr(struct nb_range_sink *to, uint64_t at, uint64_t len_at)
{
	uint32_t len;

	add(to, len_at, sizeof(uint64_t));
	if (read_from(&len, len_at, sizeof(len)))
		add(to, at, len);
}

static void add_ptrlen(struct nb_range_sink *to, uint64_t at)
{
	uint64_t pair[2];

	add(to, at, sizeof(pair));
	if (read_from(pair, at, sizeof(pair)))
		add(to, pair[0], pair[1]);
}

/* ---- calls that say themselves what they are ----------------------------- */

/* Like all below: true: opaque. */
static bool add_ioctl(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t cmd = (uint32_t)r->arg[1];

	switch (cmd) {
	case 0x5401 ... 0x541b: /* terminals; FIONREAD is the last of these */
	case 0x541d ... 0x545f: /* without TIOCLINUX; FIONBIO and its like */
	case 0x80045430:	/* TIOCGPTN */
	case 0x40045431:	/* TIOCSPTLCK */
		add(to, r->arg[2], 256);
		return false;
	case 0x8901 ... 0x8907: /* FIOSETOWN to SIOCGSTAMPNS */
	case 0x8910 ... 0x8911: /* struct ifreq; not SIOCGIFCONF */
	case 0x8913 ... 0x8927:
	case 0x8933:
		add(to, r->arg[2], 64);
		return false;
	case 1 ... 2:		/* FIBMAP, FIGETBSZ */
	case 0x125d ... 0x1268: /* block devices; not BLKPG */
	case 0x126a ... 0x127f:
	case 0x80081272: /* BLKGETSIZE64 */
	case 0x80086601: /* FS_IOC_GETFLAGS */
	case 0x40086602: /* FS_IOC_SETFLAGS */
	case 0x801c581f: /* FS_IOC_FSGETXATTR */
		add(to, r->arg[2], 64);
		return false;
	case 0x40049409: /* FICLONE: a descriptor */
		return false;
	case 0x4020940d: /* FICLONERANGE */
		add(to, r->arg[2], 32);
		return false;
	default:
		/* What is behind the pointers of the others nobody knows. */
		return true;
	}
}

static bool add_fcntl(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t cmd = (uint32_t)r->arg[1];

	/* Descriptors, flags, owners, signals, leases, pipes, seals. */
	if (cmd <= 4 || (cmd >= 8 && cmd <= 11) || (cmd >= 1024 && cmd <= 1034))
		return false;
	add(to, r->arg[2], PAGE);
	return false;
}

static bool add_futex(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t op = (uint32_t)r->arg[1] & FUTEX_CMD_MASK;
	bool private = r->arg[1] & FUTEX_PRIVATE_FLAG;

	switch (op) {
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		/* Only the address counts; a shared one is looked up. */
		if (!private)
			add(to, r->arg[0], 4);
		return false;
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		add(to, r->arg[0], 4);
		add(to, r->arg[3], 16);
		return false;
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
	case FUTEX_FD:
		add(to, r->arg[0], 4);
		return false;
	case FUTEX_WAIT_REQUEUE_PI:
		add(to, r->arg[3], 16);
		/* fall through */
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
	case FUTEX_CMP_REQUEUE_PI:
		add(to, r->arg[0], 4);
		add(to, r->arg[4], 4);
		return false;
	default:
		return true;
	}
}

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif

static bool add_prctl(struct nb_range_sink *to, const struct nb_regs *r)
{
	switch ((int)r->arg[0]) {
	case PR_SET_PDEATHSIG:
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE:
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_GET_SECCOMP:
	case PR_GET_SECUREBITS:
	case PR_SET_SECUREBITS:
	case PR_SET_TIMERSLACK:
	case PR_GET_TIMERSLACK:
	case PR_SET_NO_NEW_PRIVS:
	case PR_GET_NO_NEW_PRIVS:
	case PR_SET_THP_DISABLE:
	case PR_GET_THP_DISABLE:
	case PR_SET_PTRACER:
	case PR_CAP_AMBIENT:
	case PR_SET_CHILD_SUBREAPER:
	case PR_GET_SPECULATION_CTRL:
	case PR_SET_SPECULATION_CTRL:
	case PR_MCE_KILL:
	case PR_MCE_KILL_GET:
		return false;
	case PR_SET_NAME:
	case PR_GET_NAME:
	case PR_GET_PDEATHSIG:
	case PR_GET_TSC:
	case PR_GET_CHILD_SUBREAPER:
	case PR_GET_TID_ADDRESS:
		add(to, r->arg[1], 16);
		return false;
	case PR_SCHED_CORE:
		add(to, r->arg[4], 8);
		return false;
	case PR_SET_VMA:
		add(to, r->arg[4], 256); /* a name of 80 bytes at most */
		return false;
	case PR_GET_AUXV:
		add(to, r->arg[1], r->arg[2]);
		return false;
	default:
		return true;
	}
}

static bool add_semctl(struct nb_range_sink *to, const struct nb_regs *r)
{
	enum { GET_ALL = 13, SET_ALL = 17, IPC_SIZE_64 = 0x100 };

	switch ((uint32_t)r->arg[2] & ~(uint32_t)IPC_SIZE_64) {
	case GET_ALL:
	case SET_ALL:
		add(to, r->arg[3], SEM_ALL_BYTES);
		break;
	default: /* semid_ds, seminfo, or a value */
		add(to, r->arg[3], 128);
	}
	return false;
}

static bool add_clone3(struct nb_range_sink *to, const struct nb_regs *r)
{
	struct clone_args a;
	uint64_t size = nb_min(r->arg[1], (uint64_t)sizeof(a));
	uint64_t *word = (uint64_t *)&a;

	for (unsigned int i = 0; i < sizeof(a) / sizeof(*word); i++)
		((volatile uint64_t *)word)[i] = 0;
	if (!size || !read_from(&a, r->arg[0], size))
		return false;
	add(to, a.pidfd, 4);
	add(to, a.child_tid, 4);
	add(to, a.parent_tid, 4);
	add(to, a.set_tid, nb_min(a.set_tid_size, 64ULL) * 4);
	return false;
}

enum {
	LEVEL_IP = 0,
	LEVEL_TCP = 6,
	LEVEL_IPV6 = 41,
	LEVEL_SCTP = 132,
	LEVEL_PACKET = 263,
	LEVEL_XDP = 283,
	TCP_ZEROCOPY = 35,
	FANOUT_DATA = 22,
	FILTER_TABLES = 64, /* netfilter's options, from here on */
};

static bool add_getopt(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t level = (uint32_t)r->arg[1], opt = (uint32_t)r->arg[2], len;

	if (level == SOL_SOCKET) {
		/* Its length counts instructions of 8 bytes. */
		if (opt == SO_GET_FILTER && read_from(&len, r->arg[4], 4))
			add(to, r->arg[3], len * 8ULL);
		return false;
	}
	return (level == LEVEL_TCP && opt == TCP_ZEROCOPY) ||
	       level == LEVEL_SCTP;
}

static bool add_setopt(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t level = (uint32_t)r->arg[1], opt = (uint32_t)r->arg[2];
	uint64_t prog[2]; /* struct sock_fprog: how many, where */

	if (level == SOL_SOCKET) {
		if ((opt == SO_ATTACH_FILTER ||
		     opt == SO_ATTACH_REUSEPORT_CBPF) &&
		    read_from(prog, r->arg[3], sizeof(prog)))
			add(to, prog[1], (prog[0] & 0xffff) * 8);
		return false;
	}
	return level == LEVEL_SCTP || level == LEVEL_XDP ||
	       (level == LEVEL_PACKET && opt == FANOUT_DATA) ||
	       ((level == LEVEL_IP || level == LEVEL_IPV6) &&
		opt >= FILTER_TABLES);
}

/* ---- all of them --------------------------------------------------------- */

/* What the call's own first arguments say. */
static bool add_special(enum nb_arg_kind kind, const struct nb_regs *r,
			struct nb_range_sink *to)
{
	switch (kind) {
	case NB_ARG_IOCTL:
		return add_ioctl(to, r);
	case NB_ARG_FCNTL:
		return add_fcntl(to, r);
	case NB_ARG_FUTEX:
		return add_futex(to, r);
	case NB_ARG_PRCTL:
		return add_prctl(to, r);
	case NB_ARG_SEMCTL:
		return add_semctl(to, r);
	case NB_ARG_CLONE3:
		return add_clone3(to, r);
	case NB_ARG_GETOPT:
		return add_getopt(to, r);
	case NB_ARG_SETOPT:
		return add_setopt(to, r);
	default:
		return true;
	}
}

static bool add_arg(const struct nb_arg *a, const struct nb_regs *r,
		    struct nb_range_sink *to)
{
	uint64_t p = r->arg[a->ptr], n = r->arg[a->len];

	switch ((enum nb_arg_kind)a->kind) {
	case NB_ARG_END:
		return false;
	case NB_ARG_BUF:
		add(to, p, n + a->size < n ? UINT64_MAX : n + a->size);
		return false;
	case NB_ARG_ARR:
		add(to, p, times(n, a->size));
		return false;
	case NB_ARG_FIX:
		add(to, p, a->size);
		return false;
	case NB_ARG_LENPTR:
		add_lenptr(to, p, n);
		return false;
	case NB_ARG_PAGES:
		add(to, p, n / PAGE + 1);
		return false;
	case NB_ARG_FDSET: /* an int */
		add(to, p, ((n & INT32_MAX) + 63) / 64 * 8);
		return false;
	case NB_ARG_BITS:
		add(to, p, n / 64 * 8 + 8);
		return false;
	case NB_ARG_IOV:
		add_iov(to, p, n);
		return false;
	case NB_ARG_MSG:
		add_msg(to, p);
		return false;
	case NB_ARG_MMSG:
		add_mmsg(to, p, n);
		return false;
	case NB_ARG_IOCBS:
		add_iocbs(to, p, n);
		return false;
	case NB_ARG_WAITV:
		add_waitv(to, p, a->size ? a->size : n);
		return false;
	case NB_ARG_PTRLEN:
		add_ptrlen(to, p);
		return false;
	default:
		return add_special((enum nb_arg_kind)a->kind, r, to);
	}
}

/**
 * nb_syscall_each_range() - the memory that a call hands over
 * @k: its class
 * @r: its arguments
 * @to: is told of each range
 *
 * Context: Anywhere; general registers only.
 * Return: true: that is not all, the call is opaque.
 */
bool nb_syscall_each_range(const struct nb_sysclass *k, const struct nb_regs *r,
			   struct nb_range_sink *to)
{
	bool opaque = false;

	for (int i = 0; i < NB_SYSCALL_ARGS && k->arg[i].kind != NB_ARG_END;
	     i++)
		opaque |= add_arg(&k->arg[i], r, to);
	return opaque;
}

struct publisher {
	struct nb_range_sink sink;
	struct nb_call *call;
};

static void publish(struct nb_range_sink *to, uint64_t start, uint64_t len)
{
	struct publisher *p = nb_container_of(to, struct publisher, sink);

	nb_call_publish(p->call, start, len);
}

/**
 * nb_syscall_ranges() - publish the memory that a call hands over
 * @k: its class
 * @r: its arguments
 * @call: its entry, from nb_call_push()
 *
 * Context: the call's thread; general registers only.
 * Return: true: the call is opaque, and its entry says so now.
 */
bool nb_syscall_ranges(const struct nb_sysclass *k, const struct nb_regs *r,
		       struct nb_call *call)
{
	struct publisher p = {{publish}, call};
	bool opaque = nb_syscall_each_range(k, r, &p.sink);

	if (nb_unlikely(opaque))
		/* release: after what was stored before, as in inflight.c */
		atomic_store_explicit(
			&call->flags,
			atomic_load_explicit(&call->flags,
					     memory_order_relaxed) |
				NB_CALL_OPAQUE,
			memory_order_release);
	return opaque;
}
