/* SPDX-License-Identifier: MIT */
/*
 * What the tests of hooks have in common: the registers of a call, and a copy
 * that survives memory that is not there.
 */
#ifndef NB_GUARD_TEST_H
#define NB_GUARD_TEST_H

#include "../../lib/guard/guard.h"
#include "policy_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* As entry.S does it, by the kernel. */
static inline long copy_by_kernel(void *to, const void *from, uint64_t bytes)
{
	struct iovec local = {to, bytes};
	struct iovec remote = {(void *)(uintptr_t)from, bytes};

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) !=
	    (ssize_t)bytes)
		return -EFAULT;
	return 0;
}

/* One call: enter(), what the kernel answers, leave() if that was wanted. */
struct test_call {
	struct nb_call call;
	struct nb_regs r;
};

#define ARG(x) ((uint64_t)(uintptr_t)(x))

static inline void call_enter(struct test_call *t,
			      const struct nb_guard_hook *hook, uint64_t nr)
{
	t->r.rax = nr;
	t->call.nr = (uint32_t)nr;
	hook->enter(&t->call, &t->r);
}

static inline uint32_t call_flags(struct test_call *t)
{
	return atomic_load(&t->call.flags);
}

static inline void call_leave(struct test_call *t,
			      const struct nb_guard_hook *hook, int64_t ret)
{
	t->r.rax = (uint64_t)ret;
	if (call_flags(t) & NB_CALL_HOOK)
		hook->leave(&t->call, &t->r);
}

/* Two pages, the second of which is not there; the end of the first. */
static inline char *end_of_memory(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p + page, (size_t)page);
	return p + page;
}

#endif /* NB_GUARD_TEST_H */
