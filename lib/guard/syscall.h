/* SPDX-License-Identifier: MIT */
/*
 * One system call on its way into the kernel and back, and what is known of
 * every system call: which memory it hands to the kernel, and who else wants
 * to know of it.
 */
#ifndef NB_GUARD_SYSCALL_H
#define NB_GUARD_SYSCALL_H

#include "../base/util.h"
#include "../mech/inflight.h"

/*
 * The registers at a site, as entry.S saves and restores them.  Before the
 * call @rax is its number, after it the result.  Whatever is written here is
 * what the kernel, or the program, will see.
 */
struct nb_regs {
	uint64_t rax;
	uint64_t arg[6]; /* rdi rsi rdx r10 r8 r9 */
	uint64_t sp;	 /* rsp at the site; read only */
	uint64_t site;	 /* index of the site; read only */
};

/* Who wants to know, besides the ranges. */
enum nb_hook {
	NB_HOOK_NONE,
	NB_HOOK_MM,	 /* the mmap family: lib/guard_mm.c */
	NB_HOOK_SIGNAL,	 /* actions, masks, alternate stacks: guard_signal.c */
	NB_HOOK_PROCESS, /* clone, fork, exec, exit: guard_process.c */
	NB_HOOK_TASK,	 /* affinity, memory policy, per-thread areas that the
			  * kernel writes: guard_task.c */
	NB_HOOK_STEP,	 /* what numabal must step back from: guard_step.c */
	NB_NR_HOOKS
};

/* What an argument hands to the kernel: see syscalls.def. */
enum nb_arg_kind {
	NB_ARG_END,
	NB_ARG_BUF,    /* arg[ptr], arg[len] + size bytes */
	NB_ARG_ARR,    /* arg[ptr], arg[len] elements of size bytes */
	NB_ARG_FIX,    /* arg[ptr], size bytes */
	NB_ARG_LENPTR, /* arg[ptr], as many bytes as the int at arg[len] says;
			* the int as well (accept, getsockname, getsockopt) */
	NB_ARG_PAGES,  /* arg[ptr], a byte for each page of arg[len] */
	NB_ARG_FDSET,  /* arg[ptr], bits for arg[len] descriptors */
	NB_ARG_BITS,   /* arg[ptr], arg[len] bits in whole longs */
	NB_ARG_IOV,    /* arg[ptr] iovec[arg[len]], and what they point at */
	NB_ARG_MSG,    /* arg[ptr] msghdr, and what it points at */
	NB_ARG_MMSG,   /* arg[ptr] mmsghdr[arg[len]], likewise */
	NB_ARG_IOCBS,  /* arg[ptr] iocb*[arg[len]], and their buffers */
	NB_ARG_WAITV,  /* arg[ptr] futex_waitv[size or arg[len]], their words */
	NB_ARG_PTRLEN, /* arg[ptr] {pointer, length}, and what it points at */
	/* What the call's own first arguments say. */
	NB_ARG_IOCTL,
	NB_ARG_FCNTL,
	NB_ARG_FUTEX,
	NB_ARG_PRCTL,
	NB_ARG_SEMCTL,
	NB_ARG_CLONE3,
	NB_ARG_GETOPT,
	NB_ARG_SETOPT,
	NB_ARG_OPAQUE, /* unknown: all memory is given back, nothing is armed
			* while it is under way */
};

struct nb_arg {
	uint8_t kind; /* enum nb_arg_kind */
	uint8_t ptr;  /* which argument */
	uint8_t len;  /* which argument says how much */
	uint16_t size;
};

#define NB_SYSCALL_ARGS 5

/* What is known of one system call. */
struct nb_sysclass {
	const char *name;
	uint8_t hook; /* enum nb_hook */
	struct nb_arg arg[NB_SYSCALL_ARGS];
};

extern const struct nb_sysclass nb_sysclass_table[]
	__attribute__((visibility("hidden")));
extern const struct nb_sysclass nb_sysclass_unknown
	__attribute__((visibility("hidden")));
extern const uint32_t nb_sysclass_nr __attribute__((visibility("hidden")));

/* What is known of call @nr; a class that is opaque for what nobody knows. */
static inline const struct nb_sysclass *nb_sysclass(uint64_t nr)
{
	uint32_t low = (uint32_t)nr; /* all that the kernel looks at */

	if (nb_unlikely(low >= nb_sysclass_nr || !nb_sysclass_table[low].name))
		return &nb_sysclass_unknown;
	return &nb_sysclass_table[low];
}

/* Without a jump through a table: most arguments are of these kinds. */
static inline bool nb_arg_is_simple(const struct nb_arg *a)
{
	return a->kind == NB_ARG_BUF || a->kind == NB_ARG_FIX;
}

/* The memory of such an argument; empty if its pointer is NULL. */
static inline void nb_arg_simple_range(const struct nb_arg *a,
				       const struct nb_regs *r, uint64_t *start,
				       uint64_t *end)
{
	uint64_t n = a->kind == NB_ARG_BUF ? r->arg[a->len] : 0;

	*start = r->arg[a->ptr];
	n = n + a->size < n ? UINT64_MAX : n + a->size;
	*end = *start + n < n ? UINT64_MAX : *start + n;
	if (!*start)
		*end = 0;
}

bool nb_sysclass_is_plain(uint64_t nr); /* no memory, no hook */
int nb_sysclass_count(void);		/* numbers below it are in the table */
bool nb_syscall_ranges(const struct nb_sysclass *k, const struct nb_regs *r,
		       struct nb_call *call);

/* To be told of each range that a call hands over, one by one. */
struct nb_range_sink {
	void (*add)(struct nb_range_sink *to, uint64_t start, uint64_t len);
};
bool nb_syscall_each_range(const struct nb_sysclass *k, const struct nb_regs *r,
			   struct nb_range_sink *to);

/*
 * entry.S: copy from memory that may not be there.  0, or -EFAULT.  The
 * SIGSEGV handler knows the code between the two labels.
 */
long nb_guard_copy(void *to, const void *from, uint64_t bytes);
extern const char nb_guard_copy_begin[], nb_guard_copy_end[];
extern const char nb_guard_copy_fault[]; /* where to go on with -EFAULT */

#endif /* NB_GUARD_SYSCALL_H */
