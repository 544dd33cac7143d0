/* SPDX-License-Identifier: MIT */
/*
 * For tests of lib/guard_signal.c with the real kernel: sys() makes a system
 * call as a program does, with the hook before and after it or without.
 *
 * The file under test is part of the test, so that what it calls is seen.
 */
#ifndef NB_GUARD_SYS_H
#define NB_GUARD_SYS_H

#include "../../lib/guard_signal.c"

#include "../../lib/guard/patch.h"
#include "../../lib/mech/chunk.h"
#include "../../lib/mech/sigframe.h"
#include "../../lib/plat/arena.h"
#include "guard_test.h"

#include <sys/wait.h>
#include <ucontext.h>

struct numabal nb;

static bool with_hook, lazy;
static volatile int calls, last_code;
static uint64_t never_start, never_len;
static const char *stood_down;
static uint64_t stub_stands_for; /* any address is in a stub, then */
#define SKEW 128

void nb_mm_never(uint64_t start, uint64_t len)
{
	never_start = start;
	never_len = len;
}

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	return copy_by_kernel(to, from, bytes);
}

bool nb_patch_original(uint64_t addr, uint64_t *original,
		       const struct nb_patched **site)
{
	(void)addr;
	(void)site;
	*original = stub_stands_for;
	return stub_stands_for;
}

bool nb_guard_shared_child(void)
{
	return false;
}

void nb_guard_process_handler_begin(const ucontext_t *uc)
{
	(void)uc;
}

void nb_guard_process_handler_end(ucontext_t *uc)
{
	(void)uc;
}

void nb_standdown(const char *why)
{
	stood_down = why;
}

unsigned int nb_patch_skew(uint64_t addr)
{
	(void)addr;
	return SKEW;
}

/* ---- what a site does ---------------------------------------------------- */

static struct nb_call_stack *stack_of_calls(void)
{
	return &nb_slot_self()->calls;
}

static long kernel(uint64_t nr, const uint64_t *a)
{
	return nb_syscall6((long)nr, (long)a[0], (long)a[1], (long)a[2],
			   (long)a[3], (long)a[4], (long)a[5]);
}

static long site(uint64_t nr, const uint64_t *a)
{
	struct nb_regs r = {.rax = nr, .sp = (uint64_t)&r};
	struct nb_call *call =
		&stack_of_calls()->call[stack_of_calls()->depth++];
	long ret;

	memset(call, 0xee, sizeof(*call));
	atomic_store(&call->flags, lazy ? NB_CALL_LAZY : 0);
	call->nr = (uint32_t)nr;
	memcpy(r.arg, a, sizeof(r.arg));
	memcpy(call->saved, a, sizeof(r.arg));
	nb_guard_signal.enter(call, &r);
	if (atomic_load(&call->flags) & NB_CALL_EMULATED)
		r.rax = SYS_getpid;
	ret = kernel(r.rax, r.arg);
	r.rax = (uint64_t)ret;
	if (lazy) {
		if (r.arg[1] != a[1] || call->flags & NB_CALL_EMULATED)
			_exit(88); /* it cannot be put back */
	} else {
		if (atomic_load(&call->flags) & NB_CALL_HOOK)
			nb_guard_signal.leave(call, &r);
		if (atomic_load(&call->flags) & NB_CALL_EMULATED)
			r.rax = (uint64_t)call->ret;
	}
	stack_of_calls()->depth--;
	return (long)r.rax;
}

static long sys6(uint64_t nr, const uint64_t *a)
{
	return with_hook ? site(nr, a) : kernel(nr, a);
}

#define sys(nr, ...)                                                           \
	sys6(nr, (uint64_t[6]){FOR_EACH_ARG(__VA_ARGS__, 0, 0, 0, 0, 0, 0)})
#define FOR_EACH_ARG(a, b, c, d, e, f, ...)                                    \
	ARG(a), ARG(b), ARG(c), ARG(d), ARG(e), ARG(f)

#endif /* NB_GUARD_SYS_H */
