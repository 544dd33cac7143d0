/* SPDX-License-Identifier: MIT */
/*
 * What the files of preload/ share: the table of real functions, and the
 * prototypes of wrapped functions that no public header declares (fortified
 * variants, libnuma's and libaio's system calls, old names).
 *
 * Rules of a wrapper: when nb_hook_active() is false it is the real function
 * and a load; errno is the real function's; it calls nothing that allocates;
 * its frame needs no clean-up, so that cancellation and longjmp may pass.
 */
#ifndef NB_PRELOAD_H
#define NB_PRELOAD_H

/* The fortified inlines would clash with the functions defined here. */
#undef _FORTIFY_SOURCE

/* Memory that the kernel fills is given to nb_hook_touch() before. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "../lib/hooks.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* Only wrapped functions have this: nothing else is exported. */
#define NB_EXPORT __attribute__((visibility("default")))

enum nb_real {
#define NB_REAL(name, need) NB_REAL_##name,
#include "real.def"
#undef NB_REAL
	NB_NR_REAL
};

extern _Atomic(void *) nb_real_table[NB_NR_REAL];
void *nb_real_resolve(enum nb_real i);
bool nb_real_missing(enum nb_real i);
bool nb_from_library(const void *caller);
bool nb_is_shared_child(void);
void nb_note_fork(void);
void nb_signals_start(void);
void nb_threads_start(void);

static inline void *nb_real_get(enum nb_real i)
{
	void *p = atomic_load_explicit(&nb_real_table[i], memory_order_relaxed);

	return __builtin_expect(!!p, 1) ? p : nb_real_resolve(i);
}

/* The function that the program would have called without us. */
#define real(name) ((__typeof__(name) *)nb_real_get(NB_REAL_##name))

/* owed.c: what is to be undone when a call that starts a program is over. */
struct nb_owed {
	uintptr_t frame;
	bool alternate; /* on an alternate stack */
	bool exec;
	bool here; /* by a child that shares our memory */
	bool blocked, ignored;
};

extern __thread int nb_nr_owed
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
void nb_owe_begin(struct nb_owed *o, const void *frame, bool exec);
void nb_owe_end(const struct nb_owed *o);
void nb_owe_settle(const void *frame);

#define OWE_BEGIN(o, exec) nb_owe_begin(o, __builtin_frame_address(0), exec)

/* nb_hook_active(), for wrappers that do not end the program. */
static inline __attribute__((always_inline)) bool nb_active(void)
{
	if (!nb_hook_active())
		return false;
	if (__builtin_expect(nb_nr_owed != 0, 0))
		nb_owe_settle(__builtin_frame_address(0));
	return true;
}

/* syscall(2), by subject: @a are its six arguments; -1 and errno as there. */
long nb_syscall_memory(long nr, const long *a, const void *caller);
long nb_syscall_thread(long nr, const long *a);
long nb_syscall_signal(long nr, const long *a);
long nb_syscall_process(long nr, const long *a);

struct iocb;
struct io_event;
struct io_uring_params;
struct statfs;
struct statfs64;

int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
__sighandler_t bsd_signal(int sig, __sighandler_t handler);
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
pid_t __fork(void);

long mbind(void *addr, unsigned long len, int mode, const unsigned long *nodes,
	   unsigned long maxnode, unsigned int flags);
long set_mempolicy(int mode, const unsigned long *nodes, unsigned long maxnode);
long get_mempolicy(int *mode, unsigned long *nodes, unsigned long maxnode,
		   void *addr, unsigned long flags);
long move_pages(int pid, unsigned long count, void **pages, const int *nodes,
		int *status, int flags);

int io_submit(void *ctx, long nr, struct iocb **iocbs);
int io_getevents(void *ctx, long min_nr, long nr, struct io_event *events,
		 struct timespec *timeout);
int io_uring_queue_init(unsigned int entries, void *ring, unsigned int flags);
int io_uring_queue_init_params(unsigned int entries, void *ring,
			       struct io_uring_params *p);
int io_uring_setup(unsigned int entries, struct io_uring_params *p);

ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t off, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t off, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
		       __SOCKADDR_ARG addr, socklen_t *len);
size_t __fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *f);
size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t n,
			    FILE *f);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask, size_t size);
char *__getcwd_chk(char *buf, size_t n, size_t size);
ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t size);
ssize_t __readlinkat_chk(int fd, const char *path, char *buf, size_t n,
			 size_t size);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int fd, const char *path, int flags);
int __openat64_2(int fd, const char *path, int flags);
int __xstat(int ver, const char *path, struct stat *st);
int __lxstat(int ver, const char *path, struct stat *st);
int __fxstat(int ver, int fd, struct stat *st);
int __fxstatat(int ver, int fd, const char *path, struct stat *st, int flags);
int __xstat64(int ver, const char *path, struct stat64 *st);
int __lxstat64(int ver, const char *path, struct stat64 *st);
int __fxstat64(int ver, int fd, struct stat64 *st);
int __fxstatat64(int ver, int fd, const char *path, struct stat64 *st,
		 int flags);

#endif /* NB_PRELOAD_H */
