/* SPDX-License-Identifier: MIT */
/*
 * What the interposers of preload/ may call.  Exported under the private
 * version node: not for programs.
 *
 * Each is harmless before start, on a one-node machine, after a stand-down and
 * in a forked child; each keeps errno.  Unless said otherwise they may be
 * called from any thread, with any lock of the application or of libc held,
 * and call no libc function themselves.
 */
#ifndef NB_HOOKS_H
#define NB_HOOKS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NB_HOOK __attribute__((visibility("default")))

/*
 * Life.  nb_hook_start(): from the preload library's constructor, once; reads
 * the environment, decides whether this process is balanced, installs the
 * handler if so.  No thread is made yet: that happens when there is memory
 * worth balancing.  nb_hook_exit(): the process ends (destructor, _exit):
 * disarms, stops, writes the statistics; later calls do nothing.
 */
NB_HOOK void nb_hook_start(void);
NB_HOOK void nb_hook_exit(void);
/*
 * False: interposers may go straight to the real function, also because the
 * guard sees the system call behind it.  Cheap.
 */
NB_HOOK bool nb_hook_active(void);
/* The same, for those that the guard does not replace: threads. */
NB_HOOK bool nb_hook_balanced(void);

/*
 * Memory.  The _begin calls come before the real call and leave the range
 * disarmed and untracked (or excluded); nothing of it is armed until a later
 * nb_hook_mapped().
 */
NB_HOOK void nb_hook_unmap_begin(const void *addr, size_t len);
/*
 * After a successful mmap.  @caller: return address of the mmap call: what an
 * allocator maps is not tracked.  @track: false: only forget what was there.
 */
NB_HOOK void nb_hook_mapped(const void *addr, size_t len, int prot, int flags,
			    const void *caller);
/* Before mremap: true if [addr, addr+len) was tracked as a whole. */
NB_HOOK bool nb_hook_mremap_begin(const void *addr, size_t len);
NB_HOOK void nb_hook_mremap_end(const void *addr, size_t len, bool tracked);
NB_HOOK void nb_hook_mprotect_begin(const void *addr, size_t len, int prot);
NB_HOOK void nb_hook_madvise_begin(const void *addr, size_t len, int advice);
NB_HOOK void nb_hook_mlock_begin(const void *addr, size_t len);
NB_HOOK void nb_hook_mlockall_begin(int flags);
NB_HOOK void nb_hook_mbind_begin(const void *addr, size_t len);
/* The kernel is about to read or write [p, p+len): never armed again. */
NB_HOOK void nb_hook_touch(const void *p, size_t len);
/* The thread is about to go on with another stack pointer: a coroutine. */
NB_HOOK void nb_hook_stack(unsigned long sp);
/* A NUL-terminated string is about to be read by the kernel. */
NB_HOOK void nb_hook_touch_str(const char *s);
/* io_uring or another asynchronous kernel user: stand down for good. */
NB_HOOK void nb_hook_async_io(const char *what);
/*
 * About to have a filter for system calls: the kernel may kill us for any that
 * the program does not make itself.  All that is left to do is done now; after
 * it, nb_hook_filtered() says so.
 */
NB_HOOK void nb_hook_filter(void);
NB_HOOK bool nb_hook_filtered(void);
/* About to make reading the CPU's clock a SIGSEGV for this thread. */
NB_HOOK void nb_hook_no_cycles(void);

/*
 * Threads.  The creator asks for a token before it creates; the new thread
 * passes it first of all; it says when it ends (TSD destructor or return).
 */
NB_HOOK int nb_hook_thread_token(void);
NB_HOOK void nb_hook_thread_begin(int token);
NB_HOOK void nb_hook_thread_end(void);

/*
 * Affinity as the program sees it.  @tid 0: the calling thread.
 * Return: 1: not handled, call the real function; else 0 or -errno (get:
 * the number of bytes copied or -errno, as the system call does).
 */
NB_HOOK int nb_hook_setaffinity(pid_t tid, size_t size, const void *mask);
NB_HOOK int nb_hook_getaffinity(pid_t tid, size_t size, void *mask);

/*
 * set_mempolicy(2) of the calling thread.  Return: the mode to pass to the
 * kernel instead of @mode (differs only for MPOL_DEFAULT while the kernel's
 * own balancing is kept away).  nb_hook_mempolicy_view(): the mode to report
 * for one that get_mempolicy(2) (no flags) returned.
 */
NB_HOOK int nb_hook_set_mempolicy(int mode);
NB_HOOK int nb_hook_mempolicy_view(int mode);

/*
 * Processes.  prepare/parent/child are for pthread_atfork(3) and are
 * registered by the library itself; an interposer of _Fork() calls them too.
 * nb_hook_forked(): in the child, after the real fork returned and all atfork
 * handlers ran: here the child may start its own balancer.
 * nb_hook_spawn_begin/end: around calls that run another program or share our
 * memory with a child (posix_spawn, system, popen): all is disarmed between
 * them, and nothing is armed.  nb_hook_exec_begin: also restores the calling
 * thread's mask and memory policy; _end(): exec failed, go on.
 */
NB_HOOK void nb_hook_fork_prepare(void);
NB_HOOK void nb_hook_fork_parent(void);
NB_HOOK void nb_hook_fork_child(void);
NB_HOOK void nb_hook_forked(void);
NB_HOOK void nb_hook_spawn_begin(void);
NB_HOOK void nb_hook_spawn_end(void);
NB_HOOK void nb_hook_exec_begin(void);
NB_HOOK void nb_hook_exec_end(void);

/*
 * Signals.  nb_hook_sigsegv_action(): the whole of sigaction(SIGSEGV, ...);
 * libc's struct.  Return: true if handled (result 0).
 * nb_hook_sigsegv_ignore(): while an exec is tried, SIGSEGV is ignored in truth
 * if the program ignores it; true if so.  false: it has failed.
 * nb_hook_sigmask(): *@set is what is about to become the thread's mask by
 * @how; returns in @filtered what to pass to the kernel; _old(): patches the
 * old mask that the kernel returned (@was: what nb_hook_sigmask() returned).
 */
NB_HOOK bool nb_hook_sigsegv_action(const struct sigaction *act,
				    struct sigaction *old);
NB_HOOK bool nb_hook_sigsegv_ignore(bool on);
NB_HOOK bool nb_hook_sigmask(int how, const sigset_t *set, sigset_t *filtered);
NB_HOOK void nb_hook_sigmask_old(bool was, sigset_t *old);
/* Strip SIGSEGV from a mask that is for one call or a handler only. */
NB_HOOK void nb_hook_strip(const sigset_t *set, sigset_t *filtered);

#endif /* NB_HOOKS_H */
