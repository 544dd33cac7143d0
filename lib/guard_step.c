/* SPDX-License-Identifier: MIT */
/*
 * Stepping back: system calls after which memory is used, or the library is
 * hindered, in ways that no guard sees.
 *
 * Before the call: io_uring (its requests read and write memory long after),
 * seccomp (what we need may be refused from then on, also to the SIGSEGV
 * handler), being traced from within, system calls handed to a handler, memory
 * shared with other processes by process_vm_readv(2).
 * After it, if it succeeded: devices that keep using memory, userfaultfd.
 * The first use of what was opened comes after our answer, so that is in time.
 *
 * Every file that the program opens comes by here, so the path is looked at
 * only as far as it begins with "/dev/".  A device that is opened by a
 * relative path or another name is not noticed.
 *
 * Owns nothing; called by the guard with vector state saved.
 */
#include "detect.h"
#include "guard_hooks.h"
#include "guard_mm.h"
#include "guard_task.h"
#include "hooks.h"
#include "mech/arm.h"
#include "nb.h"
#include "plat/cycles.h"
#include "plat/taskinfo.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#define PATH_READ 32	  /* no name of a device below needs more */
#define PAGE_BYTES 4096UL /* the smallest: a copy ends at its boundary */
#define MAX_IOCBS 65536	  /* in one call */
#define IOV_PER_READ 16

/* In call->aux of a call that leave() is to look at. */
enum { AUX_DEVICE };

/*
 * What is used by somebody else's clock.  A pattern that ends in '/' means
 * what is in that folder, not the folder itself, which is only listed.
 */
static const struct {
	const char *prefix;
	const char *why;
} devices[] = {
	{"kvm", "the program uses KVM"},
	{"vfio/", "the program uses VFIO"},
	{"dri/", "the program uses a GPU"},
	{"kfd", "the program uses a GPU"},
	{"nvidia", "the program uses a GPU"},
	{"accel/", "the program uses an accelerator"},
	{"infiniband/", "the program uses RDMA"},
	{"hfi1", "the program uses RDMA"},
	{"cxi", "the program uses RDMA"},
	{"xpmem", "the program shares its memory by XPMEM"},
	{"knem", "the program shares its memory by KNEM"},
	{"vhost-", "the program uses vhost"},
	{"sg", "the program sends SCSI commands"}, /* write(2), read(2) later */
	{"userfaultfd", "the program uses userfaultfd"},
};

#define NR_DEVICES ((int)nb_array_size(devices))

/*
 * Is this process somebody else's memory (vfork)?  What it does to itself
 * does not concern the process that is balanced.
 */
static bool is_own_process(void)
{
	return nb_sys_getpid() == atomic_load(&nb.pid);
}

/* ---- devices ------------------------------------------------------------- */

/*
 * Read up to @size bytes of a string, not more of the next page than needed.
 * Returns whether all of them or the end of the string were read.
 */
static bool read_path(char *buf, unsigned int size, uint64_t from)
{
	unsigned int len = 0;

	while (len < size) {
		uint64_t at = from + len;
		uint64_t room = PAGE_BYTES - at % PAGE_BYTES;
		unsigned int n =
			(unsigned int)nb_min(room, (uint64_t)(size - len));

		if (nb_guard_copy(buf + len, (const void *)at, n))
			return false;
		if (memchr(buf + len, 0, n))
			return true;
		len += n;
	}
	return true;
}

static int find_device(const char *name, unsigned int size)
{
	for (int i = 0; i < NR_DEVICES; i++) {
		size_t len = strlen(devices[i].prefix);

		if (len >= size || memcmp(name, devices[i].prefix, len))
			continue;
		if (devices[i].prefix[len - 1] == '/' && !name[len])
			continue;
		return i;
	}
	return -1;
}

static void open_enter(struct nb_call *call, uint64_t path)
{
	static const char dev[] = "/dev/";
	const unsigned int len = sizeof(dev) - 1;
	char buf[PATH_READ];
	int device;

	if (!read_path(buf, len, path) || memcmp(buf, dev, len))
		return;
	memset(buf, 0, sizeof(buf));
	if (!read_path(buf, sizeof(buf) - 1, path))
		return;
	device = find_device(buf + len, (unsigned int)sizeof(buf) - len);
	if (device < 0)
		return;
	call->aux[AUX_DEVICE] = (uint64_t)device;
	nb_call_want_leave(call);
}

/* ---- asynchronous I/O ---------------------------------------------------- */

static void never_iovec(uint64_t at, uint64_t nr)
{
	struct iovec iov[IOV_PER_READ];

	if (nr > UIO_MAXIOV)
		return; /* EINVAL */
	while (nr) {
		uint64_t n = nb_min(nr, (uint64_t)IOV_PER_READ);

		if (nb_guard_copy(iov, (const void *)at, n * sizeof(iov[0])))
			return;
		for (uint64_t i = 0; i < n; i++)
			if (iov[i].iov_len)
				nb_mm_never((uint64_t)iov[i].iov_base,
					    iov[i].iov_len);
		at += n * sizeof(iov[0]);
		nr -= n;
	}
}

static void never_iocb(uint64_t at)
{
	struct iocb cb;

	if (nb_guard_copy(&cb, (const void *)at, sizeof(cb)))
		return;
	nb_mm_never(at, sizeof(cb));
	switch (cb.aio_lio_opcode) {
	case IOCB_CMD_PREAD:
	case IOCB_CMD_PWRITE:
		if (cb.aio_nbytes)
			nb_mm_never(cb.aio_buf, cb.aio_nbytes);
		break;
	case IOCB_CMD_PREADV:
	case IOCB_CMD_PWRITEV:
		never_iovec(cb.aio_buf, cb.aio_nbytes);
		break;
	}
}

/*
 * io_submit(2): buffers are used until the request is reaped.  Programs use
 * the same ones over and over: they are excluded for good.
 */
static void submit_enter(uint64_t nr, uint64_t list)
{
	uint64_t cb;

	if (nr > MAX_IOCBS) {
		nb_standdown("the program submits too much AIO at once");
		return;
	}
	for (uint64_t i = 0; i < nr; i++, list += sizeof(cb)) {
		if (nb_guard_copy(&cb, (const void *)list, sizeof(cb)))
			return;
		never_iocb(cb);
	}
}

/* ---- the rest ------------------------------------------------------------ */

/* Loading no filter is how libraries ask whether filters are known at all. */
static bool installs_filter(uint64_t mode, uint64_t filter)
{
	return mode == SECCOMP_MODE_STRICT ||
	       (mode == SECCOMP_MODE_FILTER && filter);
}

static void seccomp_enter(uint32_t op, uint64_t filter)
{
	bool strict = op == SECCOMP_SET_MODE_STRICT;

	if (!strict && (op != SECCOMP_SET_MODE_FILTER || !filter))
		return;
	if (is_own_process())
		nb_hook_filter();
}

static void no_cycles(void)
{
	/* First: the program's own faults go on passing through the handler. */
	atomic_store(&nb_cycles_refused, true);
	nb_standdown("the program forbids itself to read the CPU's clock");
}

static void prctl_enter(const struct nb_regs *r)
{
	switch ((int)r->arg[0]) {
	case PR_SET_SECCOMP:
		if (installs_filter(r->arg[1], r->arg[2]) && is_own_process())
			nb_hook_filter();
		break;
	case PR_SET_SYSCALL_USER_DISPATCH:
		if (r->arg[1])
			nb_standdown("the program handles its system calls");
		break;
#ifdef PR_SET_TSC
	case PR_SET_TSC:
		if (r->arg[1] == PR_TSC_SIGSEGV && is_own_process())
			no_cycles();
		break;
#endif
#ifdef PR_SET_PTRACER
	case PR_SET_PTRACER:
		if (r->arg[1] && is_own_process())
			nb_standdown("the program lets others read its memory");
		break;
#endif
	case PR_SET_MM:
		nb_standdown("the program changes its memory layout");
		break;
	}
}

/*
 * Programs whose processes copy out of each other's memory do so both ways, and
 * what is armed is not there for the other one.  A debugger is no such program:
 * it traces what it reads.
 */
static void peer_copy_enter(pid_t pid)
{
	int tracer = nb_tracer_pid(nb.sys, pid);

	if (tracer < 0 || (tracer && nb_thread_exists(tracer)))
		return;
	if (is_own_process())
		nb_standdown("the program copies other processes' memory");
}

/* process_vm_readv(2) of ourselves: the "remote" side is ours as well. */
static void copy_enter(struct nb_call *call, const struct nb_regs *r)
{
	uint64_t at = r->arg[3], nr = r->arg[4];
	pid_t pid = (pid_t)r->arg[0];
	struct iovec iov;

	if (pid != atomic_load(&nb.pid) && !nb_thread_exists(pid)) {
		peer_copy_enter(pid);
		return;
	}
	for (uint64_t i = 0; i < nr && i < UIO_MAXIOV; i++) {
		if (nb_guard_copy(&iov, (const void *)(at + i * sizeof(iov)),
				  sizeof(iov)))
			return;
		nb_guard_keep_open(call, (uint64_t)iov.iov_base, iov.iov_len);
	}
}

static void step_enter(struct nb_call *call, struct nb_regs *r)
{
	call->aux[AUX_DEVICE] = (uint64_t)NR_DEVICES;
	switch (r->rax) {
#ifdef SYS_open
	case SYS_open:
		open_enter(call, r->arg[0]);
		break;
#endif
	case SYS_openat:
	case SYS_openat2:
		open_enter(call, r->arg[1]);
		break;
	case SYS_io_uring_setup:
		nb_standdown("the program uses io_uring");
		break;
	case SYS_seccomp:
		seccomp_enter((uint32_t)r->arg[0], r->arg[2]);
		break;
	case SYS_prctl:
		prctl_enter(r);
		break;
	case SYS_ptrace:
		if (r->arg[0] == PTRACE_TRACEME && is_own_process())
			nb_standdown("the program lets itself be traced");
		break;
	case SYS_userfaultfd:
		nb_call_want_leave(call);
		break;
	case SYS_process_vm_readv:
	case SYS_process_vm_writev:
		copy_enter(call, r);
		break;
	case SYS_io_submit:
		submit_enter(r->arg[1], r->arg[2]);
		break;
	default:
		nb_alone_enter(call, r);
	}
}

static void step_leave(struct nb_call *call, struct nb_regs *r)
{
	uint64_t device = call->aux[AUX_DEVICE];

	if ((int64_t)r->rax < 0 && call->nr != SYS_unshare &&
	    call->nr != SYS_setns)
		return;
	if (call->nr == SYS_userfaultfd)
		nb_standdown("the program uses userfaultfd");
	else if (device < (uint64_t)NR_DEVICES)
		nb_standdown(devices[device].why);
	else
		nb_alone_leave();
}

const struct nb_guard_hook nb_guard_step = {step_enter, step_leave};
