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
#include "subcall.h"

#include <linux/aio_abi.h>
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
#define PTRLEN(p)	  {NB_ARG_PTRLEN, p, 0, 8}
#define PTRLEN32(p)	  {NB_ARG_PTRLEN, p, 0, 4}
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
const struct nb_sysclass nb_sysclass_table[] = {
#include "syscalls.def"
};
#else
const struct nb_sysclass nb_sysclass_table[1];
#endif

const struct nb_sysclass nb_sysclass_unknown = {
	"unknown", NB_HOOK_NONE, {OPAQUE}};
const uint32_t nb_sysclass_nr = nb_array_size(nb_sysclass_table);

/* Elements of a vector that are read at a time. */
#define IOV_PER_READ 8U
#define WAITV_MAX 128U /* Linux: FUTEX_WAITV_MAX */
#define IOCBS_MAX 65536U

/**
 * nb_sysclass_count() - the numbers that the table knows
 *
 * Context: Anywhere.
 * Return: all below it may be in the table.
 */
int nb_sysclass_count(void)
{
	return (int)nb_array_size(nb_sysclass_table);
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

static uint64_t times(uint64_t n, uint64_t size)
{
	return n > UINT64_MAX / size ? UINT64_MAX : n * size;
}

static void add_iov(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	struct iovec iov[IOV_PER_READ];

	/* More is EINVAL; the number is an int, or a long. */
	nr = nb_min(nr, (uint64_t)UIO_MAXIOV);
	nb_sink_add(to, at, nr * sizeof(iov[0]));
	while (nr) {
		uint64_t n = nb_min(nr, (uint64_t)IOV_PER_READ);

		if (!nb_read_from(iov, at, n * sizeof(iov[0])))
			return;
		for (uint64_t i = 0; i < n; i++)
			nb_sink_add(to, (uint64_t)iov[i].iov_base,
				    iov[i].iov_len);
		at += n * sizeof(iov[0]);
		nr -= n;
	}
}

static void add_msg(struct nb_range_sink *to, uint64_t at)
{
	struct msghdr m;

	nb_sink_add(to, at, sizeof(m));
	if (!nb_read_from(&m, at, sizeof(m)))
		return;
	nb_sink_add(to, (uint64_t)m.msg_name, m.msg_namelen);
	nb_sink_add(to, (uint64_t)m.msg_control, m.msg_controllen);
	add_iov(to, (uint64_t)m.msg_iov, m.msg_iovlen);
}

static void add_mmsg(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	/* The number is an unsigned int that the kernel limits. */
	nr = nb_min(nr & UINT32_MAX, (uint64_t)UIO_MAXIOV);
	nb_sink_add(to, at, nr * sizeof(struct mmsghdr));
	for (; nr; nr--, at += sizeof(struct mmsghdr))
		add_msg(to, at);
}

static void add_iocb(struct nb_range_sink *to, uint64_t at)
{
	struct iocb cb;

	nb_sink_add(to, at, sizeof(cb));
	if (!nb_read_from(&cb, at, sizeof(cb)))
		return;
	if (cb.aio_lio_opcode == IOCB_CMD_PREADV ||
	    cb.aio_lio_opcode == IOCB_CMD_PWRITEV)
		add_iov(to, cb.aio_buf, cb.aio_nbytes);
	else
		nb_sink_add(to, cb.aio_buf, cb.aio_nbytes);
}

static void add_iocbs(struct nb_range_sink *to, uint64_t at, uint64_t nr)
{
	uint64_t cb;

	nr = nb_min(nr, (uint64_t)IOCBS_MAX);
	nb_sink_add(to, at, nr * sizeof(cb));
	for (; nr && nb_read_from(&cb, at, sizeof(cb)); nr--, at += sizeof(cb))
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
	nb_sink_add(to, at, nr * sizeof(w));
	for (; nr && nb_read_from(&w, at, sizeof(w)); nr--, at += sizeof(w))
		nb_sink_add(to, w.uaddr, 16); /* a word, and perhaps a node */
}

static void add_lenptr(struct nb_range_sink *to, uint64_t at, uint64_t len_at)
{
	uint32_t len;

	nb_sink_add(to, len_at, sizeof(uint64_t));
	if (nb_read_from(&len, len_at, sizeof(len)))
		nb_sink_add(to, at, len);
}

/* The length is a word of @size bytes; flags may follow it. */
static void add_ptrlen(struct nb_range_sink *to, uint64_t at, uint16_t size)
{
	uint64_t pair[2];

	nb_sink_add(to, at, sizeof(pair));
	if (nb_read_from(pair, at, sizeof(pair)))
		nb_sink_add(to, pair[0],
			    size == 4 ? (uint32_t)pair[1] : pair[1]);
}

/* ---- all of them --------------------------------------------------------- */

static bool add_arg(const struct nb_arg *a, const struct nb_regs *r,
		    struct nb_range_sink *to)
{
	uint64_t p = r->arg[a->ptr], n = r->arg[a->len];

	switch ((enum nb_arg_kind)a->kind) {
	case NB_ARG_END:
		return false;
	case NB_ARG_BUF:
		nb_sink_add(to, p, n + a->size < n ? UINT64_MAX : n + a->size);
		return false;
	case NB_ARG_ARR:
		nb_sink_add(to, p, times(n, a->size));
		return false;
	case NB_ARG_FIX:
		nb_sink_add(to, p, a->size);
		return false;
	case NB_ARG_LENPTR:
		add_lenptr(to, p, n);
		return false;
	case NB_ARG_PAGES:
		nb_sink_add(to, p, n / PAGE + 1);
		return false;
	case NB_ARG_FDSET: /* an int */
		nb_sink_add(to, p, ((n & INT32_MAX) + 63) / 64 * 8);
		return false;
	case NB_ARG_BITS:
		nb_sink_add(to, p, n / 64 * 8 + 8);
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
		add_ptrlen(to, p, a->size);
		return false;
	default:
		return nb_subcall_ranges((enum nb_arg_kind)a->kind, r, to);
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
	uint64_t start, end;
	bool opaque = false;

	for (int i = 0; i < NB_SYSCALL_ARGS && k->arg[i].kind != NB_ARG_END;
	     i++)
		if (nb_arg_is_simple(&k->arg[i])) {
			nb_arg_simple_range(&k->arg[i], r, &start, &end);
			if (end)
				nb_call_publish(call, start, end - start);
		} else {
			opaque |= add_arg(&k->arg[i], r, &p.sink);
		}
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
