/* SPDX-License-Identifier: MIT */
/*
 * Advice on memory, and locking it, at the sites of the system calls.
 *
 * What needs the memory accessible (populating, collapsing, locking) fails on
 * memory that is armed, so its range is published for the whole call, as a
 * buffer is.  What changes what the memory is (guard pages, not for children)
 * makes it not ours; see nb_hook_madvise_begin().
 *
 * Owns nothing; part of hook MM, see guard_mm.c.
 */
#include "guard_mm.h"
#include "guard_task.h"
#include "hooks.h"
#include "mech/chunk.h"
#include "nb.h"
#include "regions.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Accessible from before such a call begins until after it. */
static void advise(struct nb_call *call, uint64_t addr, uint64_t len, int what)
{
	switch (what) {
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_COLLAPSE:
		nb_guard_keep_open(call, addr, len);
		break;
	default:
		nb_hook_madvise_begin((const void *)addr, len, what);
	}
}

static void lock_enter(struct nb_call *call, uint64_t addr, uint64_t len)
{
	nb_guard_keep_open(call, addr, len);
	nb_hook_mlock_begin((const void *)addr, len);
}

static void lock_all_enter(struct nb_call *call, const struct nb_regs *r)
{
	nb_guard_keep_open(call, nb.page_bytes, 1ULL << NB_VA_BITS);
	nb_hook_mlockall_begin((int)r->arg[0]);
}

static void unlocked(uint64_t start, uint64_t end)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	nb_regions_flag(start, end, NB_VMA_LOCKED, false);
	nb_unlock(&nb.as_lock, &ss);
}

static void unlock_leave(const struct nb_call *call, const struct nb_regs *r)
{
	uint64_t start = nb_align_down(call->saved[0], nb.page_bytes);
	uint64_t end =
		nb_align_up(call->saved[0] + call->saved[1], nb.page_bytes);

	if (r->rax)
		return;
	if (call->nr == SYS_munlock) {
		unlocked(start, end);
		return;
	}
	atomic_store(&nb.all_locked, false);
	unlocked(0, 1ULL << NB_VA_BITS);
}

/* Whose memory it is does not matter: perhaps ours. */
static void process_madvise_enter(struct nb_call *call, const struct nb_regs *r)
{
	uint64_t at = r->arg[1];
	struct iovec iov;

	for (uint64_t i = 0; i < r->arg[2] && i < UIO_MAXIOV; i++) {
		if (nb_guard_copy(&iov, (const void *)at, sizeof(iov)))
			return;
		advise(call, (uint64_t)iov.iov_base, iov.iov_len,
		       (int)r->arg[3]);
		at += sizeof(iov);
	}
}

/**
 * nb_advice_enter() - before a call
 * @call: the call.
 * @r: its registers.
 *
 * Context: a hook's enter().
 */
void nb_advice_enter(struct nb_call *call, const struct nb_regs *r)
{
	switch (r->rax) {
	case SYS_madvise:
		advise(call, r->arg[0], r->arg[1], (int)r->arg[2]);
		break;
	case SYS_process_madvise:
		process_madvise_enter(call, r);
		break;
	case SYS_mlock:
	case SYS_mlock2:
		lock_enter(call, r->arg[0], r->arg[1]);
		break;
	case SYS_mlockall:
		lock_all_enter(call, r);
		break;
	}
}

/**
 * nb_advice_leave() - after it
 * @call: the call.
 * @r: its registers.
 *
 * Context: a hook's leave().
 */
void nb_advice_leave(const struct nb_call *call, const struct nb_regs *r)
{
	if (call->nr == SYS_munlock || call->nr == SYS_munlockall)
		unlock_leave(call, r);
}
