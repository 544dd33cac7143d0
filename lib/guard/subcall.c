/* SPDX-License-Identifier: MIT */
/*
 * System calls whose arguments depend on what the call's own first arguments
 * ask for: ioctl(2), fcntl(2), futex(2), prctl(2), semctl(2), clone3(2), socket
 * options.  What is not known here may reach any memory: it is opaque.
 *
 * On the way of every system call, called by syscall.c: general registers
 * only, no libc.  Owns nothing.
 */
#include "subcall.h"

#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/socket.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

#define LOCK_BYTES 4096	     /* fcntl(2): all structures are smaller */
#define SEM_ALL_BYTES 65536U /* all values of a set: 32000 at most */

/* Like all below: true: opaque. */
static bool add_ioctl(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t cmd = (uint32_t)r->arg[1];

	switch (cmd) {
	case 0x5401 ... 0x541b: /* terminals; FIONREAD is the last of these */
	case 0x541d ... 0x545f: /* without TIOCLINUX; FIONBIO and its like */
	case 0x802c542a:	/* TCGETS2, of tcgetattr(3) since glibc 2.42 */
	case 0x402c542b ... 0x402c542d: /* TCSETS2, TCSETSW2, TCSETSF2 */
	case 0x5460:			/* FIOQSIZE */
	case 0x80045430:		/* TIOCGPTN */
	case 0x40045431:		/* TIOCSPTLCK */
		nb_sink_add(to, r->arg[2], 256);
		return false;
	case 0x8901 ... 0x8907: /* FIOSETOWN to SIOCGSTAMPNS */
	case 0x8910 ... 0x8911: /* struct ifreq; not SIOCGIFCONF */
	case 0x8913 ... 0x8927:
	case 0x8933:
		nb_sink_add(to, r->arg[2], 64);
		return false;
	case 1 ... 2:		/* FIBMAP, FIGETBSZ */
	case 0x125d ... 0x1268: /* block devices; not BLKPG */
	case 0x126a ... 0x127f:
	case 0x80081272: /* BLKGETSIZE64 */
	case 0x80086601: /* FS_IOC_GETFLAGS */
	case 0x40086602: /* FS_IOC_SETFLAGS */
	case 0x801c581f: /* FS_IOC_FSGETXATTR */
		nb_sink_add(to, r->arg[2], 64);
		return false;
	case 0x40049409: /* FICLONE: a descriptor */
		return false;
	case 0x4020940d: /* FICLONERANGE */
		nb_sink_add(to, r->arg[2], 32);
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
	nb_sink_add(to, r->arg[2], LOCK_BYTES);
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
			nb_sink_add(to, r->arg[0], 4);
		return false;
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		nb_sink_add(to, r->arg[0], 4);
		nb_sink_add(to, r->arg[3], 16);
		return false;
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
	case FUTEX_FD:
		nb_sink_add(to, r->arg[0], 4);
		return false;
	case FUTEX_WAIT_REQUEUE_PI:
		nb_sink_add(to, r->arg[3], 16);
		/* fall through */
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
	case FUTEX_CMP_REQUEUE_PI:
		nb_sink_add(to, r->arg[0], 4);
		nb_sink_add(to, r->arg[4], 4);
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
		nb_sink_add(to, r->arg[1], 16);
		return false;
	case PR_SCHED_CORE:
		nb_sink_add(to, r->arg[4], 8);
		return false;
	case PR_SET_VMA:
		nb_sink_add(to, r->arg[4],
			    256); /* a name of 80 bytes at most */
		return false;
	case PR_GET_AUXV:
		nb_sink_add(to, r->arg[1], r->arg[2]);
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
		nb_sink_add(to, r->arg[3], SEM_ALL_BYTES);
		break;
	default: /* semid_ds, seminfo, or a value */
		nb_sink_add(to, r->arg[3], 128);
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
	if (!size || !nb_read_from(&a, r->arg[0], size))
		return false;
	nb_sink_add(to, a.pidfd, 4);
	nb_sink_add(to, a.child_tid, 4);
	nb_sink_add(to, a.parent_tid, 4);
	nb_sink_add(to, a.set_tid, nb_min(a.set_tid_size, 64ULL) * 4);
	return false;
}

/* Levels of socket options; libc does not name all of them. */
enum {
	LEVEL_IP = 0,
	LEVEL_SOCKET = 1, /* ICMP, too */
	LEVEL_TCP = 6,
	LEVEL_UDP = 17,
	LEVEL_IPV6 = 41,
	LEVEL_ICMPV6 = 58,
	LEVEL_UDPLITE = 136,
	LEVEL_RAW = 255,
	LEVEL_PACKET = 263,
	LEVEL_NETLINK = 270,
	LEVEL_BLUETOOTH = 274,
	LEVEL_ALG = 279,
	LEVEL_TLS = 282,
	TCP_ZEROCOPY = 35,
	FANOUT_DATA = 22,
	FILTER_TABLES = 64, /* netfilter's options, from here on */
};

/* Is the value of an option all that there is?  Others hold addresses. */
static bool is_flat_option(uint32_t level, uint32_t opt)
{
	switch (level) {
	case LEVEL_IP:
	case LEVEL_IPV6:
		return opt < FILTER_TABLES;
	case LEVEL_TCP:
		return opt != TCP_ZEROCOPY;
	case LEVEL_PACKET:
		return opt != FANOUT_DATA;
	case LEVEL_SOCKET:
	case LEVEL_UDP:
	case LEVEL_ICMPV6:
	case LEVEL_UDPLITE:
	case LEVEL_RAW:
	case LEVEL_NETLINK:
	case LEVEL_BLUETOOTH:
	case LEVEL_ALG:
	case LEVEL_TLS:
		return true;
	}
	return false;
}

static bool add_getopt(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t level = (uint32_t)r->arg[1], opt = (uint32_t)r->arg[2], len;

	/* Its length counts instructions of 8 bytes. */
	if (level == LEVEL_SOCKET && opt == SO_GET_FILTER &&
	    nb_read_from(&len, r->arg[4], sizeof(len)))
		nb_sink_add(to, r->arg[3], len * 8ULL);
	return !is_flat_option(level, opt);
}

static bool add_setopt(struct nb_range_sink *to, const struct nb_regs *r)
{
	uint32_t level = (uint32_t)r->arg[1], opt = (uint32_t)r->arg[2];
	uint64_t prog[2]; /* struct sock_fprog: how many, where */

	if (level == LEVEL_SOCKET &&
	    (opt == SO_ATTACH_FILTER || opt == SO_ATTACH_REUSEPORT_CBPF) &&
	    nb_read_from(prog, r->arg[3], sizeof(prog)))
		nb_sink_add(to, prog[1], (prog[0] & 0xffff) * 8);
	return !is_flat_option(level, opt);
}

/**
 * nb_subcall_ranges() - the memory that a call of many kinds hands over
 * @kind: which of those calls, NB_ARG_IOCTL to NB_ARG_SETOPT
 * @r: its arguments
 * @to: is told of each range
 *
 * Context: Anywhere; general registers only.
 * Return: true: that is not all, the call is opaque.
 */
bool nb_subcall_ranges(enum nb_arg_kind kind, const struct nb_regs *r,
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
