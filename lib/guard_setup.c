/* SPDX-License-Identifier: MIT */
/*
 * Setting the guard up, and what it tells of itself: decides the tier, patches
 * the sites of all modules, later those that are mapped, and lowers the tier
 * when something turns up that cannot be guarded.
 *
 * Invariants:
 * 1. The tier only ever falls.  It is set before anything is armed.
 * 2. Sites that were patched stay patched: after a stand-down they publish
 *    nothing, but the program's view of signals, masks and policy stays.
 */
#include "detect.h"
#include "guard/decoder.h"
#include "guard/module.h"
#include "guard/patch.h"
#include "guard_hooks.h"
#include "guard_mm.h"
#include "guard_signal.h"
#include "mech/arm.h"
#include "mech/hint_fault.h"
#include "nb.h"
#include "plat/log.h"
#include "plat/taskinfo.h"
#include "regions.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Data mapped as code is looked at if it is no larger; so much at a time. */
#define EXEC_SCAN_MAX (4 * NB_MIB)
#define EXEC_PIECE 1024

#define MAX_MODULES 4096 /* as many as patch.c knows */

static struct nb_tier_choice choice; /* (I) after start; .tier is in tier */
static _Atomic int tier = NB_TIER_OFF;
static bool guarded; /* (I) sites are patched */
static _Atomic uint64_t holes;
static struct nb_verdict found = {NB_TIER_BRACKET, NULL}; /* (L:as) */

/* ---- what the guard tells ------------------------------------------------ */

static void on_hole(const struct nb_call *call, uint64_t site)
{
	const struct nb_patched *p = nb_patch_site(site);

	if (atomic_fetch_add(&holes, 1))
		return;
	nb_log(NB_LOG_ERROR, "system call %u at %p met armed memory", call->nr,
	       p ? (void *)p->addr : NULL);
	nb_standdown("a system call met armed memory");
}

static void on_opaque(void)
{
	struct nb_sigstate ss;
	int err;

	if (!nb_is_active())
		return;
	nb_lock(&nb.as_lock, &ss);
	err = nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
	if (err)
		nb_standdown("the kernel refused to give memory back");
}

/* The thread is new here, or came with another stack. */
static void on_stack(struct nb_slot *slot, uint64_t sp)
{
	/* No alternate stack yet: a new thread. */
	if (atomic_load(&slot->alt_start) == atomic_load(&slot->alt_end))
		nb_signal_thread_begin(slot);
	if (nb_is_active())
		nb_mm_stack(slot, sp);
}

/* Nowhere to publish what this thread hands over, or to keep what it does. */
static void on_no_slot(void)
{
	nb_standdown("it has more threads than there is room for");
}

/* Memory was mapped, or a signal's action set, and it is not known. */
static void on_no_room(void)
{
	nb_standdown("its signal handlers interrupt each other too deeply");
}

static struct nb_guard_ops ops = {
	.hole = on_hole,
	.no_slot = on_no_slot,
	.no_room = on_no_room,
	.called = nb_maybe_start_daemon,
	.leaving = nb_guard_process_leaving,
	.abandoned = nb_guard_process_abandoned,
	.opaque = on_opaque,
	.stack = on_stack,
	.forked = nb_guard_process_forked,
	.shared_child = nb_guard_process_shared,
};

/* ---- start --------------------------------------------------------------- */

/* Sites that matter: a thread's last call hands nothing over. */
static int list_modules(struct nb_tier_module *list, int max)
{
	int n = 0;

	for (int i = 0; i < nb_patch_nr_modules() && n < max; i++) {
		const struct nb_module *m = nb_patch_module(i);

		list[n].name = m->name;
		list[n].sites = m->counts.candidates - m->counts.false_hits;
		list[n].unguarded = m->counts.kind[NB_SITE_UNGUARDED];
		n++;
	}
	return n;
}

static const char *patch_everything(void)
{
	if (nb_decoder_open())
		return "the instruction decoder (libZydis) is not there";
	if (nb_patch_init())
		return "code cannot be patched on this machine";
	/* No constant initialisers: these objects are other files'. */
	ops.hook[NB_HOOK_MM] = nb_guard_mm;
	ops.hook[NB_HOOK_SIGNAL] = nb_guard_signal;
	ops.hook[NB_HOOK_PROCESS] = nb_guard_process;
	ops.hook[NB_HOOK_TASK] = nb_guard_task;
	ops.hook[NB_HOOK_STEP] = nb_guard_step;
	nb_guard_init(nb.sys, &ops);
	if (nb_modules_scan())
		return "the program's code cannot be patched";
	guarded = nb_patch_nr_sites() > 0;
	return NULL;
}

static bool wants_patching(const struct nb_tier_input *in)
{
	return in->arch && in->membarrier && in->alone &&
	       in->verdict.best != NB_TIER_OFF &&
	       (in->guard == NB_GUARD_AUTO || in->guard == NB_GUARD_BRACKET);
}

/**
 * nb_guard_setup() - decide the tier, patch
 *
 * Context: start only, before anything is armed.
 * Return: 0, or -errno: this process cannot be balanced (nb_guard_why()).
 */
int nb_guard_setup(void)
{
	static struct nb_tier_module modules[MAX_MODULES];
	struct nb_tier_input in = {
		.guard = nb.cfg.guard,
/* A sanitizer uses vector registers everywhere. */
#if defined(__x86_64__) && !defined(NB_SANITIZED)
		.arch = true,
#endif
		.membarrier = !nb_sys_membarrier_register(),
		.alone = nb_nr_threads() == 1,
		.verdict = nb_detect_self(environ),
		.modules = modules,
	};

	found = in.verdict;
	if (wants_patching(&in))
		in.error = patch_everything();
	in.nr_modules = list_modules(modules, MAX_MODULES);
	nb_tier_choose(&in, &choice);
	atomic_store(&tier, choice.tier);
	nb_log(NB_LOG_INFO, "guard: %s%s%s", nb_tier_name(choice.tier),
	       choice.why[0] ? ": " : "", choice.why);
	if (choice.tier == NB_TIER_OFF)
		return -EPERM;
	nb_arm_without_barrier(!guarded);
	if (!guarded)
		return 0;
	nb_hint_fault_set_copy(nb_guard_copy_begin, nb_guard_copy_end,
			       nb_guard_copy_fault);
	nb_signal_start();
	nb_regions_only_large(choice.tier != NB_TIER_BRACKET);
	nb_slots_trust_pointers(choice.tier == NB_TIER_BRACKET);
	nb_mm_learn();
	nb_guard_on(true);
	return 0;
}

/* ---- later --------------------------------------------------------------- */

/* A verdict about something that came later: @v, perhaps with a reason. */
static void lower_to(struct nb_verdict v)
{
	struct nb_sigstate ss;
	bool fell;

	nb_lock(&nb.as_lock, &ss);
	fell = nb_verdict_lower(&found, &v);
	nb_unlock(&nb.as_lock, &ss);
	if (!fell)
		return;
	if (v.best == NB_TIER_OFF) {
		nb_standdown(v.why);
		return;
	}
	if (atomic_load(&tier) != NB_TIER_BRACKET)
		return;
	if (nb.cfg.guard == NB_GUARD_BRACKET) {
		nb_standdown(v.why);
		return;
	}
	atomic_store(&tier, NB_TIER_CONSERVATIVE);
	atomic_store(&nb.why, v.why);
	nb_log(NB_LOG_INFO, "guard: conservative: %s", v.why);
	/* What the lower tier would not arm must not stay armed. */
	nb_regions_only_large(true);
	nb_slots_trust_pointers(false);
	on_opaque();
}

static void look_at_file(int fd)
{
	char link[32], path[512];
	struct nb_text t;
	long n;

	nb_text_init(&t, link, sizeof(link));
	nb_text_add(&t, "/proc/self/fd/%d", fd);
	n = nb_syscall6(SYS_readlink, (long)link, (long)path, sizeof(path) - 1,
			0, 0, 0);
	if (n <= 0)
		return;
	path[n] = '\0';
	lower_to(nb_detect_module(path, environ));
	lower_to(nb_detect_file(link));
}

static const struct nb_verdict unguarded = {
	NB_TIER_CONSERVATIVE,
	"a library was loaded whose system calls cannot be guarded",
};

/*
 * Data that was mapped as code, as some programs map everything: no pair of
 * bytes in it is a system call.  Read by the kernel: it may end before @len.
 */
static bool makes_no_calls(uint64_t addr, uint64_t len)
{
	uint8_t buf[EXEC_PIECE] = {0}, last = 0;

	if (len > EXEC_SCAN_MAX)
		return false;
	for (uint64_t done = 0; done < len; done += sizeof(buf)) {
		uint64_t n = nb_min(len - done, (uint64_t)sizeof(buf));
		struct iovec to = {buf, n}, from = {(void *)(addr + done), n};

		if (nb_syscall6(SYS_process_vm_readv, nb_sys_getpid(),
				(long)&to, 1, (long)&from, 1, 0) != (long)n)
			return false;
		for (uint64_t i = 0; i < n; last = buf[i++])
			if (last == 0x0f && buf[i] == 0x05)
				return false;
	}
	return true;
}

/**
 * nb_guard_exec_mapped() - code was mapped; nobody has run it yet
 * @addr: first byte.
 * @len: bytes.
 * @fd: the file, or -1: made at run time.
 * @off: offset in the file.
 * @constant: it is a private mapping that cannot be written to.
 *
 * Context: a thread of the program, vector state saved, no lock held.
 */
void nb_guard_exec_mapped(uint64_t addr, uint64_t len, int fd, uint64_t off,
			  bool constant)
{
	struct stat st;
	int ret;

	if (!guarded)
		return;
	if (fd < 0) {
		lower_to(nb_detect_anon_exec());
		return;
	}
	if (nb_is_active())
		look_at_file(fd);
	ret = nb_module_from_fd(fd, addr, len, off);
	/* A file that has no name is one to be written to. */
	constant = constant &&
		   !nb_syscall6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) &&
		   st.st_nlink;
	if (ret && !(ret == -ENOEXEC && constant && makes_no_calls(addr, len)))
		lower_to(unguarded);
}

/**
 * nb_guard_exec_made() - what was mapped from a file has become code
 * @addr: first byte.
 * @len: bytes.
 * @constant: it cannot be written to as well.
 *
 * That of a module which was patched when it was mapped is known: linkers
 * write relocations into it.
 *
 * Context: a thread of the program, vector state saved, no lock held.
 */
void nb_guard_exec_made(uint64_t addr, uint64_t len, bool constant)
{
	if (guarded && !nb_patch_covers(addr, addr + len) &&
	    !(constant && makes_no_calls(addr, len)))
		lower_to(unguarded);
}

/**
 * nb_guard_exec_unmapped() - mappings go away, perhaps with code in them
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: a thread of the program, before the call.
 */
void nb_guard_exec_unmapped(uint64_t start, uint64_t end)
{
	if (guarded)
		nb_patch_forget(start, end);
}

/**
 * nb_guard_check() - is what was patched still as it was left?
 *
 * Debuggers, tracers and other libraries write into code, too.  Where one of
 * them has, calls may no longer pass by us.
 *
 * Context: numabald, before it arms anything; no lock held.
 */
void nb_guard_check(void)
{
	static const struct nb_verdict changed = {
		NB_TIER_CONSERVATIVE,
		"somebody else has changed the code of guarded system calls",
	};

	if (guarded && nb_guard_tier() == NB_TIER_BRACKET && !nb_patch_intact())
		lower_to(changed);
}

/**
 * nb_guarded() - do the program's system calls pass by us?
 *
 * Context: any thread, signal handler.
 * Return: true: the interposed functions have nothing to do.
 */
bool nb_guarded(void)
{
	return guarded;
}

/**
 * nb_guard_tier() - what may be armed
 *
 * Context: any thread.
 * Return: the tier; it only ever falls.
 */
enum nb_tier nb_guard_tier(void)
{
	return (enum nb_tier)atomic_load(&tier);
}

/**
 * nb_guard_choice() - the tier chosen at start, and why
 *
 * Context: any thread.
 * Return: constant after start.
 */
const struct nb_tier_choice *nb_guard_choice(void)
{
	return &choice;
}

/**
 * nb_guard_holes() - calls that met armed memory; there must be none
 *
 * Context: any thread.
 * Return: how many.
 */
uint64_t nb_guard_holes(void)
{
	return atomic_load(&holes);
}
