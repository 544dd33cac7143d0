/* SPDX-License-Identifier: MIT */
/*
 * nb_sys_linux: the kernel by raw system calls, and the few raw calls that no
 * test replaces.
 *
 * libc's wrappers are not used because they set errno, may be cancellation
 * points, and may have been replaced by the program's own.  Everything here
 * may run in the SIGSEGV handler and in a thread about which nothing is
 * known.  Owns nothing.  Called by mech, plat and the glue in lib.
 *
 * The exceptions to "raw" are getcpu(3), which reads a register or the vDSO
 * and is called for each hint fault, and, on machines without a system call
 * of our own in assembly, syscall(2); both keep errno.
 */
#include "sys.h"

#include "../base/parse.h"
#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* The kernel's sigset_t, which is not libc's. */
typedef uint64_t kernel_sigset;

#define SIG_BIT(nr) (1ULL << ((nr)-1))

/**
 * nb_syscall6() - a system call
 * @nr: number, SYS_*
 * @a: first argument; unused ones are 0
 * @b: second argument
 * @c: third argument
 * @d: fourth argument
 * @e: fifth argument
 * @f: sixth argument
 *
 * Context: Anywhere, including the signal handler.  errno is not touched.
 * Return: the kernel's result; -errno for a failure.
 */
#if defined(__x86_64__) && defined(__LP64__)
long nb_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
long nb_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}
#else
long nb_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long ret = syscall(nr, a, b, c, d, e, f);

	if (ret == -1)
		ret = -errno;
	errno = saved;
	return ret;
}
#endif

static long sys_mprotect(uint64_t addr, uint64_t len, int prot)
{
	return nb_syscall6(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0);
}

static long sys_move_pages(unsigned long count, void **pages, const int *nodes,
			   int *status)
{
	return nb_syscall6(SYS_move_pages, 0, (long)count, (long)pages,
			   (long)nodes, (long)status, MPOL_MF_MOVE);
}

static long sys_mincore(uint64_t addr, uint64_t len, unsigned char *vec)
{
	return nb_syscall6(SYS_mincore, (long)addr, (long)len, (long)vec, 0, 0,
			   0);
}

static long sys_membarrier(void)
{
	long cmd = MEMBARRIER_CMD_PRIVATE_EXPEDITED, ret;

	ret = nb_syscall6(SYS_membarrier, cmd, 0, 0, 0, 0, 0);
	/* EPERM: never registered, or refused; then it is so again. */
	if (ret != -EPERM || nb_sys_membarrier_register())
		return ret;
	return nb_syscall6(SYS_membarrier, cmd, 0, 0, 0, 0, 0);
}

static long sys_get_vma_policy(uint64_t addr, int *mode)
{
	int got = 0;
	long ret;

	ret = nb_syscall6(SYS_get_mempolicy, (long)&got, 0, 0, (long)addr,
			  MPOL_F_ADDR, 0);
	/* The kernel adds flags such as MPOL_F_STATIC_NODES: high bits. */
	if (ret >= 0)
		*mode = got & 0xff;
	return ret;
}

static long sys_sched_setaffinity(pid_t tid, const struct nb_cpumask *mask)
{
	return nb_syscall6(SYS_sched_setaffinity, tid, sizeof(*mask),
			   (long)mask, 0, 0, 0);
}

static long sys_sched_getaffinity(pid_t tid, struct nb_cpumask *mask)
{
	long ret = nb_syscall6(SYS_sched_getaffinity, tid, sizeof(*mask),
			       (long)mask, 0, 0, 0);

	/* The kernel writes as many bytes as it has CPUs for. */
	if (ret >= 0 && (size_t)ret < sizeof(*mask))
		memset((char *)mask + ret, 0, sizeof(*mask) - (size_t)ret);
	return ret;
}

static long sys_read_file(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	long fd, ret;

	if (!size)
		return -EINVAL;
	buf[0] = '\0';
	do {
		fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)path,
				 O_RDONLY | O_CLOEXEC | O_NOCTTY, 0, 0, 0);
	} while (fd == -EINTR);
	if (fd < 0)
		return fd;
	do {
		ret = nb_syscall6(SYS_read, fd, (long)(buf + len),
				  (long)(size - 1 - len), 0, 0, 0);
		if (ret > 0)
			len += (size_t)ret;
	} while (ret == -EINTR || (ret > 0 && len < size - 1));
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	buf[len] = '\0';
	return ret < 0 ? ret : (long)len;
}

/* Append @nr in decimal; returns the new end. */
static char *put_number(char *p, unsigned int nr)
{
	char digits[12];
	int i = 0;

	do {
		digits[i++] = (char)('0' + nr % 10);
		nr /= 10;
	} while (nr);
	while (i)
		*p++ = digits[--i];
	return p;
}

static const char *find_text(const char *s, const char *text)
{
	size_t len = strlen(text);

	for (; *s; s++)
		if (strncmp(s, text, len) == 0)
			return s + len;
	return NULL;
}

static long sys_node_free_bytes(int nid, uint64_t *bytes)
{
	static const char dir[] = "/sys/devices/system/node/node";
	/* "Node N MemFree:" is the second line. */
	char path[64], buf[512];
	const char *p;
	uint64_t kb;
	char *end;
	long ret;

	if (!nb_node_valid(nid))
		return -EINVAL;
	memcpy(path, dir, sizeof(dir) - 1);
	end = put_number(path + sizeof(dir) - 1, (unsigned int)nid);
	memcpy(end, "/meminfo", sizeof("/meminfo"));
	ret = sys_read_file(path, buf, sizeof(buf));
	if (ret < 0)
		return ret;
	p = find_text(buf, "MemFree:");
	if (!p)
		return -ENODATA;
	while (*p == ' ')
		p++;
	if (nb_parse_u64(p, &p, &kb) || kb > UINT64_MAX / 1024)
		return -ENODATA;
	*bytes = kb * 1024;
	return 0;
}

const struct nb_sys nb_sys_linux = {
	.mprotect = sys_mprotect,
	.move_pages = sys_move_pages,
	.mincore = sys_mincore,
	.membarrier = sys_membarrier,
	.get_vma_policy = sys_get_vma_policy,
	.walk_maps = nb_maps_walk,
	.sched_setaffinity = sys_sched_setaffinity,
	.sched_getaffinity = sys_sched_getaffinity,
	.read_file = sys_read_file,
	.node_free_bytes = sys_node_free_bytes,
};

/**
 * nb_sys_gettid() - the calling thread
 *
 * Context: Anywhere, including the signal handler and a forked child.
 * Return: its thread id.
 */
long nb_sys_gettid(void)
{
	return nb_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/**
 * nb_sys_getpid() - the calling process
 *
 * Context: As nb_sys_gettid(); never a cached value.
 * Return: its process id.
 */
long nb_sys_getpid(void)
{
	return nb_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/**
 * nb_sys_getcpu() - where the calling thread runs
 * @cpu: the CPU; NULL: not wanted
 * @nid: that CPU's node as the kernel has it; NULL: not wanted
 *
 * Context: Anywhere, including the signal handler; some ten nanoseconds where
 * the vDSO has it.
 * Return: 0 or -errno.
 */
long nb_sys_getcpu(int *cpu, int *nid)
{
	unsigned int c = 0, n = 0;
	int saved = errno;
	long ret = 0;

	if (getcpu(&c, &n)) {
		ret = -errno;
		errno = saved;
		return ret;
	}
	if (cpu)
		*cpu = (int)c;
	if (nid)
		*nid = (int)n;
	return ret;
}

_Atomic bool nb_cycles_refused; /* declared in cycles.h */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = {0, 0};

	nb_syscall6(SYS_clock_gettime, id, (long)&ts, 0, 0, 0, 0);
	return (uint64_t)ts.tv_sec * NB_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/**
 * nb_clock_ns() - monotonic time
 *
 * Context: Anywhere, including the signal handler; a system call.
 * Return: nanoseconds since some fixed moment.
 */
uint64_t nb_clock_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/**
 * nb_process_cpu_ns() - CPU time of the process
 *
 * Context: Anywhere; the kernel adds up all threads, so not in a hot path.
 * Return: nanoseconds, user and system.
 */
uint64_t nb_process_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/**
 * nb_thread_cpu_ns() - CPU time of the calling thread
 *
 * Context: Anywhere, including the signal handler.
 * Return: nanoseconds, user and system.
 */
uint64_t nb_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static long change_mask(int how, const kernel_sigset *set, kernel_sigset *old)
{
	return nb_syscall6(SYS_rt_sigprocmask, how, (long)set, (long)old,
			   sizeof(*set), 0, 0);
}

/**
 * nb_sys_write_all() - write text to a descriptor that is not ours
 * @fd: descriptor
 * @buf: bytes
 * @len: how many
 *
 * A closed pipe, a full quota or a terminal in the background must not send
 * the program a signal because of something that numabal had to say.  The
 * signals are held back meanwhile, and one that this write caused is taken.
 * A descriptor that would block is given up on: the rest is lost.
 *
 * Context: Anywhere, including the signal handler.
 * Return: 0 or -errno.
 */
long nb_sys_write_all(int fd, const char *buf, size_t len)
{
	const kernel_sigset hold =
		SIG_BIT(SIGPIPE) | SIG_BIT(SIGXFSZ) | SIG_BIT(SIGTTOU);
	const struct timespec now = {0, 0};
	kernel_sigset old, pending = 0, ours = 0;
	long held, ret = 0;

	held = change_mask(SIG_BLOCK, &hold, &old);
	nb_syscall6(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0, 0,
		    0);
	while (len) {
		ret = nb_syscall6(SYS_write, fd, (long)buf, (long)len, 0, 0, 0);
		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			break;
		buf += ret;
		len -= (size_t)ret;
	}
	if (ret == -EPIPE)
		ours = SIG_BIT(SIGPIPE);
	else if (ret == -EFBIG)
		ours = SIG_BIT(SIGXFSZ);
	if (held == 0 && (ours & ~pending))
		nb_syscall6(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&now,
			    sizeof(ours), 0, 0);
	if (held == 0)
		change_mask(SIG_SETMASK, &old, NULL);
	if (len)
		return ret < 0 ? ret : -EIO;
	return 0;
}

/**
 * nb_futex_wait() - sleep until woken
 * @word: the futex, private to the process
 * @val: return at once unless *@word is this
 * @timeout_ns: longest sleep; UINT64_MAX: no limit
 *
 * Context: A thread of ours, or one that may be made to wait.
 * Return: 0 when woken (perhaps for nothing), -EAGAIN (*@word differs),
 * -ETIMEDOUT, -EINTR.
 */
long nb_futex_wait(uint32_t *word, uint32_t val, uint64_t timeout_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(timeout_ns / NB_NSEC_PER_SEC),
		.tv_nsec = (long)(timeout_ns % NB_NSEC_PER_SEC),
	};

	return nb_syscall6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, val,
			   timeout_ns == UINT64_MAX ? 0 : (long)&ts, 0, 0);
}

/**
 * nb_futex_wake() - wake threads in nb_futex_wait()
 * @word: the futex
 * @nr: how many at most
 *
 * Context: Anywhere, including the signal handler.
 * Return: how many were woken, or -errno.
 */
long nb_futex_wake(uint32_t *word, int nr)
{
	return nb_syscall6(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, nr, 0, 0,
			   0);
}

/**
 * nb_sys_sched_yield() - let another thread run
 *
 * Context: Anywhere, including the signal handler.
 * Return: 0.
 */
long nb_sys_sched_yield(void)
{
	return nb_syscall6(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/**
 * nb_sys_membarrier_register() - tell the kernel that barriers will be wanted
 *
 * Not needed for them to work, but cheaper before there are threads.
 *
 * Context: Anywhere.
 * Return: 0, or -errno: struct nb_sys.membarrier will fail as well.
 */
long nb_sys_membarrier_register(void)
{
	return nb_syscall6(SYS_membarrier,
			   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0,
			   0, 0);
}

/**
 * nb_thread_exists() - is a thread of this process alive?
 * @tid: its id.
 *
 * Context: any thread, signal handler.
 * Return: false if it is gone.
 */
bool nb_thread_exists(pid_t tid)
{
	return nb_syscall6(SYS_tgkill, nb_sys_getpid(), tid, 0, 0, 0, 0) !=
	       -ESRCH;
}
