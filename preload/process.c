/* SPDX-License-Identifier: MIT */
/*
 * Processes: forks, calls that run other programs, and ways to end that run
 * no destructor.
 *
 * fork(3) runs the library's pthread_atfork(3) handlers; only when it has
 * returned may the child start a balancer of its own.  _Fork(3), clone(2)
 * without CLONE_VM and their raw forms run no handlers: they are called here.
 * vfork(2) is not wrapped, since it returns twice to the same frame; its child
 * runs in our memory and is recognised where it matters (nb_is_shared_child).
 *
 * While a program is being started by a child that shares our memory, all is
 * readable (owed.c): argument strings may lie anywhere, and libc has SIGSEGV
 * blocked. system(3) returns only at the end of its command, so nothing is
 * armed while the command runs.
 */
#include "preload.h"

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- forks -------------------------------------------------------------- */

static pid_t after_fork(pid_t pid)
{
	if (!pid) {
		nb_note_fork();
		nb_hook_forked();
	}
	return pid;
}

NB_EXPORT pid_t fork(void)
{
	return after_fork(real(fork)());
}

NB_EXPORT pid_t __fork(void)
{
	return after_fork(real(fork)());
}

NB_EXPORT pid_t forkpty(int *master, char *name, const struct termios *term,
			const struct winsize *win)
{
	return after_fork(real(forkpty)(master, name, term, win));
}

NB_EXPORT int daemon(int nochdir, int noclose)
{
	pid_t before = getpid();
	int r = real(daemon)(nochdir, noclose);

	if (getpid() != before)
		after_fork(0);
	return r;
}

/*
 * Around a fork that runs no handlers.  The child may be able to make
 * async-signal-safe calls only: it starts no balancer.
 */
static long bare_fork_end(long pid)
{
	if (pid) {
		nb_hook_fork_parent();
		return pid;
	}
	nb_note_fork();
	nb_hook_fork_child();
	return pid;
}

NB_EXPORT pid_t _Fork(void)
{
	if (!nb_hook_active())
		return after_fork(real(_Fork)());
	nb_hook_fork_prepare();
	return (pid_t)bare_fork_end(real(_Fork)());
}

struct child {
	int (*fn)(void *);
	void *arg;
};

static int child_begin(void *arg)
{
	/* The parent's frame is copied with the rest of its memory. */
	struct child *c = arg;

	bare_fork_end(0);
	return c->fn(c->arg);
}

/* In a child that shares our memory nothing tells us when it is gone. */
static bool shares_memory_for_good(unsigned long flags)
{
	return (flags & CLONE_VM) && !(flags & CLONE_THREAD);
}

/* No lock can be held while the parent waits for the child to go on. */
static bool copies_and_waits(unsigned long flags)
{
	return (flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VFORK;
}

NB_EXPORT int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	struct child c = {fn, arg};
	void *parent_tid, *tls, *child_tid;
	struct nb_owed owed;
	va_list ap;
	int r;

	va_start(ap, arg);
	parent_tid = va_arg(ap, void *);
	tls = va_arg(ap, void *);
	child_tid = va_arg(ap, void *);
	va_end(ap);
	if (!nb_hook_active() || (flags & CLONE_THREAD))
		return real(clone)(fn, stack, flags, arg, parent_tid, tls,
				   child_tid);
	if (shares_memory_for_good((unsigned int)flags)) {
		if (!(flags & CLONE_VFORK)) {
			nb_hook_async_io("clone");
			return real(clone)(fn, stack, flags, arg, parent_tid,
					   tls, child_tid);
		}
		OWE_BEGIN(&owed, false);
		r = real(clone)(fn, stack, flags, arg, parent_tid, tls,
				child_tid);
		nb_owe_end(&owed);
		return r;
	}
	if (copies_and_waits((unsigned int)flags))
		nb_hook_async_io("clone");
	nb_hook_fork_prepare();
	r = real(clone)(child_begin, stack, flags, &c, parent_tid, tls,
			child_tid);
	nb_hook_fork_parent();
	return r;
}

NB_EXPORT int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	void *parent_tid, *tls, *child_tid;
	va_list ap;

	va_start(ap, arg);
	parent_tid = va_arg(ap, void *);
	tls = va_arg(ap, void *);
	child_tid = va_arg(ap, void *);
	va_end(ap);
	return clone(fn, stack, flags, arg, parent_tid, tls, child_tid);
}

/* ---- other programs ----------------------------------------------------- */

NB_EXPORT int posix_spawn(pid_t *pid, const char *path,
			  const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attr, char *const argv[],
			  char *const envp[])
{
	struct nb_owed owed;
	int r;

	if (!nb_hook_active())
		return real(posix_spawn)(pid, path, actions, attr, argv, envp);
	OWE_BEGIN(&owed, false);
	r = real(posix_spawn)(pid, path, actions, attr, argv, envp);
	nb_owe_end(&owed);
	return r;
}

NB_EXPORT int posix_spawnp(pid_t *pid, const char *file,
			   const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attr, char *const argv[],
			   char *const envp[])
{
	struct nb_owed owed;
	int r;

	if (!nb_hook_active())
		return real(posix_spawnp)(pid, file, actions, attr, argv, envp);
	OWE_BEGIN(&owed, false);
	r = real(posix_spawnp)(pid, file, actions, attr, argv, envp);
	nb_owe_end(&owed);
	return r;
}

static void spawn_end(void *owed)
{
	nb_owe_end(owed);
}

/* A cancellation point: the thread may end in the middle of it. */
NB_EXPORT int system(const char *command)
{
	struct nb_owed owed;
	int r;

	if (!nb_hook_active())
		return real(system)(command);
	OWE_BEGIN(&owed, false);
	pthread_cleanup_push(spawn_end, &owed);
	r = real(system)(command);
	pthread_cleanup_pop(1);
	return r;
}

NB_EXPORT FILE *popen(const char *command, const char *mode)
{
	struct nb_owed owed;
	FILE *f;

	if (!nb_hook_active())
		return real(popen)(command, mode);
	OWE_BEGIN(&owed, false);
	f = real(popen)(command, mode);
	nb_owe_end(&owed);
	return f;
}

/* Nothing is armed while @call tries to start a program in our place. */
#define EXEC(call)                                                             \
	({                                                                     \
		struct nb_owed owed_;                                          \
                                                                               \
		if (nb_hook_active()) {                                        \
			OWE_BEGIN(&owed_, true);                               \
			(void)(call);                                          \
			nb_owe_end(&owed_);                                    \
		} else {                                                       \
			(void)(call);                                          \
		}                                                              \
		-1;                                                            \
	})

NB_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return EXEC(real(execve)(path, argv, envp));
}

NB_EXPORT int execv(const char *path, char *const argv[])
{
	return EXEC(real(execv)(path, argv));
}

NB_EXPORT int execvp(const char *file, char *const argv[])
{
	return EXEC(real(execvp)(file, argv));
}

NB_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return EXEC(real(execvpe)(file, argv, envp));
}

NB_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	return EXEC(real(fexecve)(fd, argv, envp));
}

NB_EXPORT int execveat(int fd, const char *path, char *const argv[],
		       char *const envp[], int flags)
{
	return EXEC(real(execveat)(fd, path, argv, envp, flags));
}

/* The arguments of execl() and its kin as an array on the caller's stack. */
#define NR_ARGS(ap, first)                                                     \
	({                                                                     \
		size_t n_ = 0;                                                 \
                                                                               \
		for (const char *s_ = (first); s_; n_++)                       \
			s_ = va_arg(ap, const char *);                         \
		n_;                                                            \
	})
#define ARG_ARRAY(argv, ap, first)                                             \
	do {                                                                   \
		size_t i_ = 0;                                                 \
                                                                               \
		for (const char *s_ = (first); s_;                             \
		     s_ = va_arg(ap, const char *))                            \
			(argv)[i_++] = (char *)s_;                             \
		(argv)[i_] = NULL;                                             \
	} while (0)

NB_EXPORT int execl(const char *path, const char *arg, ...)
{
	char **argv;
	va_list ap;

	va_start(ap, arg);
	/* cppcheck-suppress allocaCalled */
	argv = alloca((NR_ARGS(ap, arg) + 1) * sizeof(*argv));
	va_end(ap);
	va_start(ap, arg);
	ARG_ARRAY(argv, ap, arg);
	va_end(ap);
	return execv(path, argv);
}

NB_EXPORT int execlp(const char *file, const char *arg, ...)
{
	char **argv;
	va_list ap;

	va_start(ap, arg);
	/* cppcheck-suppress allocaCalled */
	argv = alloca((NR_ARGS(ap, arg) + 1) * sizeof(*argv));
	va_end(ap);
	va_start(ap, arg);
	ARG_ARRAY(argv, ap, arg);
	va_end(ap);
	return execvp(file, argv);
}

NB_EXPORT int execle(const char *path, const char *arg, ...)
{
	char **argv, *const *envp;
	va_list ap;

	va_start(ap, arg);
	/* cppcheck-suppress allocaCalled */
	argv = alloca((NR_ARGS(ap, arg) + 1) * sizeof(*argv));
	va_end(ap);
	va_start(ap, arg);
	ARG_ARRAY(argv, ap, arg);
	/* The environment follows the terminator. */
	envp = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, envp);
}

/* ---- the end ------------------------------------------------------------ */

static void last_call(void)
{
	if (nb_hook_active() && !nb_is_shared_child())
		nb_hook_exit();
}

NB_EXPORT __attribute__((noreturn)) void _exit(int status)
{
	last_call();
	real(_exit)(status);
	__builtin_unreachable();
}

NB_EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

NB_EXPORT __attribute__((noreturn)) void quick_exit(int status)
{
	last_call();
	real(quick_exit)(status);
	__builtin_unreachable();
}

/* ---- syscall(2) --------------------------------------------------------- */

static long raw_clone(long nr, const long *a, unsigned long flags)
{
	long r;

	if (flags & CLONE_VM) {
		/* Threads are found; others share our memory unseen. */
		if (!(flags & CLONE_THREAD))
			nb_hook_async_io("clone");
		return real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	if (copies_and_waits(flags))
		nb_hook_async_io("clone");
	nb_hook_fork_prepare();
	r = real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return bare_fork_end(r);
}

static long raw_exec(long nr, const long *a)
{
	return EXEC(real(syscall)(nr, a[0], a[1], a[2], a[3], a[4]));
}

long nb_syscall_process(long nr, const long *a)
{
	switch (nr) {
#ifdef SYS_fork
	case SYS_fork:
		return raw_clone(nr, a, 0);
	case SYS_vfork:
		return raw_clone(nr, a, CLONE_VM);
#endif
	case SYS_clone:
		return raw_clone(nr, a, (unsigned long)a[0]);
	case SYS_clone3:
		/* The flags are the first word of its structure. */
		nb_hook_touch((void *)a[0], (size_t)a[1]);
		return raw_clone(nr, a, *(uint64_t *)a[0]);
	case SYS_exit_group:
		last_call();
		break;
	default: /* execve, execveat */
		return raw_exec(nr, a);
	}
	return real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
