/* SPDX-License-Identifier: MIT */
/*
 * Virtual SIGSEGV: the kernel has our handler, the application has an action
 * and a mask of its own that it can set and ask for, and every SIGSEGV that is
 * not a hint fault ends as it would have without us.
 *
 * Invariants:
 * 1. While installed, the kernel's action for SIGSEGV is ours, until a SIGSEGV
 *    comes that the application's default action must take.
 * 2. The kernel never has SIGSEGV blocked in a thread whose mask calls come
 *    by us: blocked there means killed at the next hint fault.  What the
 *    application believes is in the thread's blocked flag.
 * 3. The application's action is read by the handler without a lock: two
 *    copies, and an index that changes when the new one is complete.
 */
#include "sigchain.h"

#include "../plat/lock.h"
#include "../plat/sys.h"
#include "hint_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

static struct nb_ksigaction actions[2]; /* the application's; invariant 3 */
static _Atomic int current_action;
static _Atomic uint32_t nr_set; /* times that the action was set */
static _Atomic bool installed;
static void (*on_crash)(void);
static struct nb_lock action_lock = NB_LOCK_INIT(NB_LOCK_ACTION);

#define TLS __attribute__((tls_model("initial-exec")))
static __thread bool blocked TLS; /* as the application believes */
static __thread bool pending TLS; /* came while blocked */
static __thread siginfo_t pending_info TLS;

#if defined(__x86_64__)
/*
 * Byte for byte what unwinders and debuggers recognise as the end of a
 * signal frame: mov $15,%rax; syscall.
 */
__asm__(".pushsection .text,\"ax\",@progbits\n"
	".balign 16\n"
	"nop\n"
	".globl nb_restore_rt\n"
	".hidden nb_restore_rt\n"
	".type nb_restore_rt,@function\n"
	"nb_restore_rt:\n"
	".byte 0x48,0xc7,0xc0,0x0f,0x00,0x00,0x00,0x0f,0x05\n"
	".size nb_restore_rt,.-nb_restore_rt\n"
	".popsection\n");
void nb_restore_rt(void);
#define RESTORER ((uint64_t)nb_restore_rt)
#define RESTORER_FLAG SA_RESTORER
#else
#define RESTORER 0
#define RESTORER_FLAG 0
#endif

static long rt_sigaction(const struct nb_ksigaction *act,
			 struct nb_ksigaction *old)
{
	return nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)act, (long)old,
			   sizeof(act->mask), 0, 0);
}

static void on_sigsegv(int sig, siginfo_t *info, void *uc)
{
	if (nb_hint_fault(info, uc))
		return;
	nb_sigchain_deliver(sig, info, uc);
}

static void set_action(const struct nb_ksigaction *act)
{
	int next = !atomic_load(&current_action);

	actions[next] = *act;
	atomic_store(&current_action, next);
	atomic_fetch_add(&nr_set, 1);
}

/* Without the lock: once more if it was set meanwhile. */
static void get_action(struct nb_ksigaction *act)
{
	uint32_t before;

	do {
		before = atomic_load(&nr_set);
		*act = actions[atomic_load(&current_action)];
	} while (before != atomic_load(&nr_set));
}

/**
 * nb_sigchain_install() - put our handler before the application's
 *
 * Context: start only.
 * Return: 0 or -errno of rt_sigaction(2).
 */
int nb_sigchain_install(void)
{
	struct nb_ksigaction ours = {
		.handler = (uint64_t)on_sigsegv,
		.flags = SA_SIGINFO | SA_ONSTACK | RESTORER_FLAG,
		.restorer = RESTORER,
		.mask = ~0ULL,
	};
	struct nb_ksigaction old;
	uint64_t segv = NB_SIG_BIT(SIGSEGV), mask = 0;
	long err;

	if (atomic_load(&installed))
		return 0;
	err = rt_sigaction(NULL, &old);
	if (err)
		return (int)err;
	set_action(&old);
	err = rt_sigaction(&ours, NULL);
	if (err)
		return (int)err;
	atomic_store(&installed, true);
	/* A parent may have left it blocked: invariant 2. */
	nb_syscall6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&segv, (long)&mask,
		    sizeof(segv), 0, 0);
	blocked = mask & segv;
	return 0;
}

/**
 * nb_sigchain_remove() - give SIGSEGV back to the application
 *
 * Only when nothing is armed any more.
 *
 * Context: any thread.
 * Return: 0 or -errno of rt_sigaction(2).
 */
int nb_sigchain_remove(void)
{
	struct nb_ksigaction act;
	struct nb_sigstate ss;
	long err;

	if (!atomic_exchange(&installed, false))
		return 0;
	nb_lock(&action_lock, &ss);
	act = actions[atomic_load(&current_action)];
	/* An action set since has none: that is libc's part, otherwise. */
	if (!act.restorer) {
		act.restorer = RESTORER;
		act.flags |= RESTORER_FLAG;
	}
	err = rt_sigaction(&act, NULL);
	nb_unlock(&action_lock, &ss);
	return (int)err;
}

/**
 * nb_sigchain_installed() - is SIGSEGV ours now?
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_sigchain_installed(void)
{
	return atomic_load(&installed);
}

/**
 * nb_sigchain_intact() - does the kernel have our handler, too?
 *
 * A program can replace it with a system call of its own, past every
 * interposer; the next hint fault would then be its end.
 *
 * Context: any thread.
 * Return: true if so.
 */
bool nb_sigchain_intact(void)
{
	struct nb_ksigaction now;

	return nb_sigchain_installed() && !rt_sigaction(NULL, &now) &&
	       now.handler == (uint64_t)on_sigsegv;
}

/**
 * nb_sigchain_fork_child() - another thread may have held our lock
 *
 * Context: forked child, the only thread there.
 */
void nb_sigchain_fork_child(void)
{
	nb_lock_reinit(&action_lock);
	pending = false; /* pending signals are not inherited */
}

/**
 * nb_sigchain_on_crash() - what to do before the default action strikes
 * @fn: gives all memory back, so that no other thread takes a hint fault
 *	while the kernel has the default action; async-signal-safe.
 *
 * Context: start only.
 */
void nb_sigchain_on_crash(void (*fn)(void))
{
	on_crash = fn;
}

/**
 * nb_sigchain_action() - the application's sigaction(SIGSEGV)
 * @act: its new action, or NULL.
 * @old: its old one, or NULL.
 *
 * Context: any thread, signal handler of the application.
 */
void nb_sigchain_action(const struct nb_ksigaction *act,
			struct nb_ksigaction *old)
{
	struct nb_sigstate ss;

	nb_lock(&action_lock, &ss);
	if (old)
		*old = actions[atomic_load(&current_action)];
	if (act)
		set_action(act);
	nb_unlock(&action_lock, &ss);
}

/**
 * nb_sigchain_block() - the application blocks or unblocks SIGSEGV
 * @now_blocked: what it wants for the calling thread.
 *
 * Unblocking delivers a SIGSEGV that somebody sent meanwhile.
 *
 * Context: any thread.
 * Return: whether it was blocked, as the application sees it.
 */
bool nb_sigchain_block(bool now_blocked)
{
	bool was = blocked;

	blocked = now_blocked;
	if (was && !now_blocked && pending) {
		pending = false;
		nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(),
			    nb_sys_gettid(), SIGSEGV, (long)&pending_info, 0,
			    0);
	}
	return was;
}

/**
 * nb_sigchain_blocked() - does the calling thread believe SIGSEGV blocked?
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_sigchain_blocked(void)
{
	return blocked;
}

/*
 * Let the kernel do what it does without a handler: with the same siginfo,
 * at the same instruction.  All signals are blocked until we return.
 */
static void default_action(siginfo_t *info)
{
	struct nb_ksigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	if (on_crash)
		on_crash();
	rt_sigaction(&dfl, NULL);
	/*
	 * A fault happens again by itself, except where another thread
	 * changes the mapping meanwhile; a sent signal must be sent again.
	 */
	if (info->si_code <= 0 || info->si_code == SI_KERNEL)
		nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(),
			    nb_sys_gettid(), SIGSEGV, (long)info, 0, 0);
}

static void call_handler(const struct nb_ksigaction *act, int sig,
			 siginfo_t *info, ucontext_t *uc)
{
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	/* Invariant 2: SIGSEGV stays open, for hint faults in the handler. */
	mask = (mask | act->mask) & ~NB_SIG_BIT(SIGSEGV);
	nb_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0,
		    sizeof(mask), 0, 0);
	if (act->flags & SA_SIGINFO)
		((void (*)(int, siginfo_t *, void *))act->handler)(sig, info,
								   uc);
	else
		((void (*)(int))act->handler)(sig);
}

/**
 * nb_sigchain_deliver() - a SIGSEGV that is not ours
 * @sig: SIGSEGV.
 * @info: as the handler got it.
 * @ucv: the interrupted context; the application's handler may change it.
 *
 * Context: signal handler, all signals blocked.
 */
void nb_sigchain_deliver(int sig, siginfo_t *info, void *ucv)
{
	bool sent = info->si_code <= 0;
	struct nb_ksigaction act;

	get_action(&act);
	if (sent && blocked) {
		pending_info = *info;
		pending = true;
		return;
	}
	if (sent && act.handler == (uint64_t)SIG_IGN)
		return;
	/* A fault while blocked or ignored kills: so does the kernel. */
	if (act.handler == (uint64_t)SIG_DFL ||
	    act.handler == (uint64_t)SIG_IGN || (!sent && blocked)) {
		default_action(info);
		return;
	}
	if (act.flags & SA_RESETHAND) {
		struct nb_ksigaction dfl = act;

		dfl.handler = (uint64_t)SIG_DFL;
		nb_sigchain_action(&dfl, NULL);
	}
	/*
	 * A second fault inside the handler calls it again, as if it had
	 * SA_NODEFER: a handler may be left by siglongjmp(3), which we do not
	 * see, so a note that it is running could not be trusted.
	 */
	call_handler(&act, sig, info, ucv);
}
