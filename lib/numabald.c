/* SPDX-License-Identifier: MIT */
/*
 * numabald: the balancer thread.  One pass = drain, account, place, move,
 * adapt, scan; all decisions are taken here and nowhere else.
 *
 * It is made when there is memory worth balancing, sleeps on a futex between
 * passes, has all signals blocked, and touches only the library's own memory,
 * so that it takes no hint fault.
 *
 * Invariants:
 * 1. There is at most one in a process, also when one was told to end and has
 *    not yet; a forked child starts its own.
 * 2. It ends when stop is set, when it stood down, or when every other thread
 *    is gone (a program whose main thread called pthread_exit(3) must end
 *    with its last own thread).
 */
#include "detect.h"
#include "guard_hooks.h"
#include "guard_mm.h"
#include "latency.h"
#include "mech/hint_fault.h"
#include "nb.h"
#include "plat/cycles.h"
#include "plat/log.h"
#include "plat/raw_thread.h"
#include "plat/taskinfo.h"
#include "record.h"
#include "regions.h"
#include "start_room.h"
#include "tasks.h"
#include "tiering.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define NB_SIGSETXID 33 /* libc's own */
/* Looks at the rings after a scan: at first, and when nothing comes. */
#define POLL_MIN_NS (10 * NB_NSEC_PER_MSEC)
#define POLL_MAX_NS (500 * NB_NSEC_PER_MSEC)
/* Threads are looked for, and small processes looked at, this often. */
#define WALK_NS NB_NSEC_PER_SEC
/* Costs that start-up may run up before the ceiling holds. */
#define COST_BURST_NS (100 * NB_NSEC_PER_MSEC)
/* Is the program gone?  Two files of /proc. */
#define ALONE_NS (500 * NB_NSEC_PER_MSEC)
/*
 * While memory is being put in its place the ceiling is higher: in the first
 * passes (Linux: should_numa_migrate_memory() calls 4 of them early life), and
 * after a change for as long as every pass makes it better.
 */
#define UNSETTLED_PASSES 4
#define UNSETTLED_FACTOR 5

__thread bool nb_creating_daemon __attribute__((tls_model("initial-exec")));

static struct nb_raw_thread raw_thread;

/* To turn the handler's cycles into time. */
static uint64_t base_cycles, base_ns;

static uint64_t cycles_to_ns(uint64_t cycles)
{
	uint64_t d_cycles = nb_cycles() - base_cycles;
	uint64_t d_ns = nb_clock_ns() - base_ns;

	if (!d_cycles || d_ns < NB_NSEC_PER_MSEC)
		return 0;
	return (uint64_t)((unsigned __int128)cycles * d_ns / d_cycles);
}

/**
 * nb_clock_of_cycles() - the time when the handler noted cycles
 * @cycles: nb_cycles() then.
 *
 * Context: numabald.
 * Return: nanoseconds of nb_clock_ns().
 */
uint64_t nb_clock_of_cycles(uint64_t cycles)
{
	if (cycles <= base_cycles)
		return base_ns;
	return base_ns + cycles_to_ns(cycles - base_cycles);
}

static void book_costs(void)
{
	struct nb_slot_totals t;

	nb_slots_totals(&t);
	atomic_store(&nb.fault_ns, cycles_to_ns(t.fault_cycles));
	atomic_store(&nb.max_fault_ns, cycles_to_ns(t.max_cycles));
	atomic_store(&nb.count.numa_hint_faults_dropped, t.dropped);
	atomic_store(&nb.count.numa_hint_faults_unknown,
		     atomic_load(&nb_fault_totals.unknown));
	atomic_store(&nb.daemon_ns, nb_thread_cpu_ns());
}

/**
 * nb_cost_ns() - CPU time that numabal has cost this process
 *
 * Context: any thread.
 * Return: nanoseconds.
 */
uint64_t nb_cost_ns(void)
{
	return atomic_load(&nb.daemon_ns) + atomic_load(&nb.fault_ns);
}

static uint32_t ceiling_pct(void)
{
	return nb.cfg.max_overhead_pct * (nb.unsettled ? UNSETTLED_FACTOR : 1);
}

/* Cost that has to be earned by the share of the process's CPU time. */
static int64_t cost_to_earn(void)
{
	return (int64_t)(nb_cost_ns() - nb.base_cost_ns - nb.placing_ns) -
	       nb.free_ns;
}

/*
 * For how long must the process run before the ceiling allows another scan?
 * What it leaves out is one migration of all memory: that is done once, and is
 * what the user came for.
 */
static uint64_t budget_delay(uint64_t cpu)
{
	int64_t cost = cost_to_earn();
	uint32_t pct = ceiling_pct();

	if (pct >= 100 || cost <= 0)
		return 0;
	return nb_scan_budget_delay((uint64_t)cost, cpu - nb.base_cpu_ns, pct);
}

/*
 * Before the ceiling changes: what is left is carried over, a burst at most,
 * and so is a debt.  Who changes often has no more to spend than who does not.
 */
static void carry_costs(void)
{
	uint64_t cpu = nb_process_cpu_ns();
	int64_t left = (int64_t)((cpu - nb.base_cpu_ns) / 100 * ceiling_pct());

	left -= cost_to_earn();
	nb.free_ns = nb_min(left, (int64_t)COST_BURST_NS);
	nb.base_cost_ns = nb_cost_ns();
	nb.base_cpu_ns = cpu;
	nb.placing_ns = 0;
}

/* After a pass: is memory in its place, or on its way there? */
static void note_settling(uint32_t local_before)
{
	uint32_t local = atomic_load(&nb.local_permille);
	uint32_t passes = nb.unsettled;

	if (local + 200 < local_before)
		passes = UNSETTLED_PASSES; /* others use it now */
	else if (local < 900 && local > local_before + 50)
		passes = nb_max(passes, 2U);
	else if (passes)
		passes--;
	if (!passes != !nb.unsettled)
		carry_costs();
	nb.unsettled = passes;
	nb.period.quick = passes;
}

/* A window is a sample of all memory: need the pass be waited for? */
static void note_phase_change(void)
{
	uint32_t local = atomic_load(&nb.local_permille);

	if (!nb_scan_phase_changed(&nb.window, &nb.pass, local))
		return;
	if (!nb.unsettled)
		carry_costs();
	nb.unsettled = UNSETTLED_PASSES;
	nb_scan_period_start(&nb.period, &nb.period_opts, nb.rss_bytes);
}

/* Between passes: how large windows are. */
static void size_windows(void)
{
	uint32_t mb = nb_scan_size_mb(nb.rss_bytes, nb.cfg.scan_size_mb);
	uint64_t ms = nb.period.scan_period_ms;

	ms = ms * mb / nb_max(nb.period_opts.scan_size_mb, 1U);
	nb.period.scan_period_ms = (uint32_t)nb_max(ms, 1ULL);
	nb.period_opts.scan_size_mb = mb;
	nb.scan_opts.scan_size_mb = mb;
}

/* CPU time that the process has to run before the next scan; 0: scan now. */
static uint64_t cpu_to_go(uint64_t cpu)
{
	uint64_t period_ns = nb.period.scan_period_ms * NB_NSEC_PER_MSEC;
	uint64_t ran = cpu - nb.scan_cpu_ns;

	/* Linux: task_tick_numa(), an idle process is not scanned. */
	if (nb.scan_cpu_ns && ran < period_ns)
		return period_ns - ran;
	return budget_delay(cpu);
}

/* If not, asks again when it may be so: not sooner than the rings do. */
static bool may_scan(uint64_t now)
{
	uint64_t cpu = nb_process_cpu_ns();
	uint64_t to_go = cpu_to_go(cpu);
	uint64_t wait = nb_scan_ask_delay(to_go, cpu - nb.ask_cpu_ns,
					  now - nb.ask_ns, nb.poll_ns);

	nb.ask_ns = now;
	nb.ask_cpu_ns = cpu;
	if (!to_go)
		return true;
	nb.next_scan_ns = nb_max(nb.next_scan_ns, now + wait);
	return false;
}

/*
 * A tracer stops at each hint fault, and code that it has changed is not ours
 * to judge: nothing is armed while there is one.
 */
static bool traced(void)
{
	static const char why[] = "it is being traced";
	bool is = !nb.cfg.trace && nb_tracer_pid(nb.sys, 0) > 0;
	struct nb_sigstate ss;
	int err;

	if (is == atomic_exchange(&nb.traced, is))
		return is;
	nb_log(NB_LOG_INFO, is ? "traced: nothing is armed" : "traced no more");
	if (!is) {
		atomic_store(&nb.why, nb.why_untraced);
		return false;
	}
	nb.why_untraced = atomic_load(&nb.why);
	atomic_store(&nb.why, why);
	nb_lock(&nb.as_lock, &ss);
	err = nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
	if (err)
		nb_standdown("the kernel refused to give memory back");
	return true;
}

/* Its faults are all there: what do they tell? */
static void end_pass(uint64_t now)
{
	uint32_t before = atomic_load(&nb.local_permille);

	nb.rss_bytes = nb_rss_bytes();
	nb_place_round(now);
	note_settling(before);
	size_windows();
	nb.scan.pass_ended = false;
	nb.window = nb.pass; /* which begins anew */
}

/* What costs little is asked first: mostly the answer is no. */
static bool scan_wanted(uint64_t now)
{
	if (!may_scan(now))
		return false;
	nb.next_scan_ns = nb_max(nb.next_scan_ns, now + nb.poll_ns);
	if (atomic_load(&nb.paused) || atomic_load(&nb.inhibit))
		return false;
	nb.rss_bytes = nb_rss_bytes();
	return nb.rss_bytes >= nb.cfg.min_rss_mb * NB_MIB && !traced();
}

static void maybe_scan(uint64_t now)
{
	if (now < nb.next_scan_ns)
		return;
	nb.next_scan_ns = now + nb.period.scan_period_ms * NB_NSEC_PER_MSEC;
	if (atomic_load(&nb.traced))
		return;
	if (nb.scan.pass_ended)
		end_pass(now);
	else
		note_phase_change();
	if (!scan_wanted(now))
		return;
	if (!nb.scan_cpu_ns) {
		size_windows();
		nb_scan_period_start(&nb.period, &nb.period_opts, nb.rss_bytes);
	}
	nb.scan_cpu_ns = nb_process_cpu_ns();
	nb.window = nb.pass;
	nb_mm_seen_stacks();
	nb_guard_check();
	if (!nb_is_active())
		return;
	nb_scan_run(now);
	nb.poll_ns = POLL_MIN_NS;
	nb.next_scan_ns =
		nb_clock_ns() + nb.period.scan_period_ms * NB_NSEC_PER_MSEC;
}

/* Not by an exec(2) on its way, which has it ignored if the program has. */
static bool handler_taken(void)
{
	for (int i = 0; i < 100; i++) /* one may follow another */
		if (nb_sigchain_intact() || atomic_load(&nb.inhibit))
			return false;
	return true;
}

static void check_health(void)
{
	if (atomic_load(&nb_fault_totals.not_restored))
		nb_standdown("the kernel refused to give memory back");
	else if (nb.preloaded && handler_taken() && !atomic_load(&nb.crashed))
		/* A linked program may have one that calls ours first. */
		nb_standdown("the SIGSEGV handler was taken away");
}

static void numabald_pass(uint64_t now)
{
	unsigned int nr;

	nb_tiering_begin(now);
	nr = nb_fault_drain();
	if (now >= nb.next_tasks_ns) {
		nb_tasks_walk();
		nb_latency_walk();
		nb_start_walk(now);
		traced(); /* when no scan is due, too */
		nb.next_tasks_ns = now + WALK_NS;
	}
	book_costs();
	check_health();
	if (atomic_load(&nb.state) != NB_RUNNING)
		return;
	nb_reconcile(now);
	if (atomic_load(&nb.state) != NB_RUNNING)
		return;
	nb_tiering_run(now);
	/* A look that found nothing makes the next one later. */
	nb.poll_ns = nr ? POLL_MIN_NS : nb_min(nb.poll_ns * 2, POLL_MAX_NS);
	maybe_scan(now);
}

/* Invariant 2: true when the program's own threads are all gone. */
static bool alone(uint64_t now)
{
	struct nb_taskinfo ti;

	if (now < nb.next_alone_ns)
		return false;
	nb.next_alone_ns = now + ALONE_NS;
	if (nb_taskinfo_read((pid_t)atomic_load(&nb.pid), &ti) ||
	    (ti.state != 'Z' && ti.state != 'X'))
		return false;
	nb_tasks_walk();
	return nb_tasks_alive() <= 2;
}

static void wait_for_work(uint64_t now)
{
	uint64_t until = nb_min(nb.next_scan_ns, now + nb.poll_ns);

	until = nb_min(until, nb.next_tasks_ns);
	until = nb_min(until, nb.next_alone_ns);
	until = nb_max(until, now + NB_NSEC_PER_MSEC);
	nb_futex_wait(&nb.wake, 0, until - now);
	__atomic_store_n(&nb.wake, 0, __ATOMIC_RELEASE);
}

/*
 * libc has setuid(2) and its like made by every thread that it knows: by a
 * signal, and it waits until all have.
 */
static void let_ids_change(void)
{
	uint64_t setxid = NB_SIG_BIT(NB_SIGSETXID);

	nb_syscall6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&setxid, 0,
		    sizeof(setxid), 0, 0);
}

static void *numabald(void *arg)
{
	struct nb_sigstate ss;
	uint64_t now = nb_clock_ns();
	bool own_fds = false;

	(void)arg;
	nb_signals_block_all(&ss);
	nb_signals_hold(false); /* it has no handlers */
	/* Who uses the interface may get messages here, and write them. */
	if (nb.preloaded)
		own_fds = nb_own_descriptors();
	if (!nb.thread_raw)
		let_ids_change();
	/* It may have inherited a pin, or a narrow mask of the program's. */
	nb.sys->sched_setaffinity(0, &nb.topo.cpus_allowed);
	nb_syscall6(SYS_prctl, PR_SET_NAME, (long)"numabald", 0, 0, 0, 0);
	atomic_store(&nb.thread_tid, (int)nb_sys_gettid());
	base_cycles = nb_cycles();
	base_ns = now;
	nb.next_scan_ns = now + nb.cfg.scan_delay_ms * NB_NSEC_PER_MSEC;
	nb.next_tasks_ns = now;
	nb.next_alone_ns = now;
	nb.ask_ns = now;
	nb.ask_cpu_ns = nb_process_cpu_ns();
	nb.poll_ns = POLL_MAX_NS;
	nb.unsettled = UNSETTLED_PASSES;
	nb.free_ns = COST_BURST_NS;
	/* An earlier one's time is not counted any more. */
	nb.base_cost_ns = atomic_load(&nb.fault_ns);
	nb_rate_limit_init(&nb.rate, nb.cfg.migrate_rate_mbps * NB_MIB, now);
	nb_record_start(now, own_fds);
	while (!atomic_load(&nb.stop) && !alone(nb_clock_ns())) {
		numabald_pass(nb_clock_ns());
		if (atomic_load(&nb.state) == NB_STOOD_DOWN)
			break;
		nb_record_flush(nb_clock_ns());
		wait_for_work(nb_clock_ns());
	}
	if (atomic_load(&nb.state) != NB_STOOD_DOWN)
		nb_fault_drain();
	nb_record_stop();
	book_costs();
	atomic_store(&nb.thread_running, false);
	nb_futex_wake((uint32_t *)&nb.thread_running, 1);
	return NULL;
}

/* Where system calls are guarded: perhaps in the middle of malloc(3). */
static void numabald_raw(void)
{
	numabald(NULL);
}

static int make_raw_thread(void)
{
	struct nb_sigstate ss;
	int err;

	nb_signals_block_all(&ss);
	err = nb_raw_thread_create(&raw_thread, numabald_raw);
	nb_signals_restore(&ss);
	return err;
}

static int make_libc_thread(void)
{
	struct nb_sigstate ss;
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	/*
	 * Born with all signals blocked: none is ever delivered to it.  The
	 * interposer of pthread_create(3) sees it too: it is told not to.
	 */
	nb_signals_block_all(&ss);
	nb_creating_daemon = true;
	err = pthread_create(&nb.thread, &attr, numabald, NULL);
	/* The program's thread-local storage may not fit into that stack. */
	if (err == EINVAL)
		err = pthread_create(&nb.thread, NULL, numabald, NULL);
	nb_creating_daemon = false;
	nb_signals_restore(&ss);
	pthread_attr_destroy(&attr);
	return -err;
}

/**
 * nb_daemon_start() - make numabald, if there is none
 *
 * Its stack is ours, never armed, and large enough for /proc buffers.
 *
 * Context: a thread of the application; outside of libc, unless system calls
 * are guarded.  Once per process.
 * Return: 0 or -errno (-EAGAIN: no thread could be made).
 */
int nb_daemon_start(void)
{
	int err;

	if (atomic_exchange(&nb.thread_started, true))
		return 0;
	atomic_store(&nb.thread_running, true);
	nb.thread_raw = nb_guarded() && nb_raw_thread_supported();
	err = nb.thread_raw ? make_raw_thread() : make_libc_thread();
	if (err) {
		atomic_store(&nb.thread_running, false);
		atomic_store(&nb.thread_started, false);
	}
	return err;
}

/**
 * nb_daemon_wake() - end numabald's sleep
 *
 * Context: any thread, signal handler.
 */
void nb_daemon_wake(void)
{
	__atomic_store_n(&nb.wake, 1, __ATOMIC_RELEASE);
	nb_futex_wake(&nb.wake, 1);
}

static bool joined(void)
{
	if (nb.thread_raw)
		return nb_raw_thread_join(&raw_thread, 100 * NB_NSEC_PER_MSEC);
	return !atomic_load(&nb.thread_running) &&
	       !pthread_join(nb.thread, NULL);
}

/**
 * nb_daemon_stop() - end numabald and wait for it
 *
 * Context: any thread of the application but numabald.
 * Return: false: it has not ended yet, and another one cannot be made.
 */
bool nb_daemon_stop(void)
{
	if (!atomic_load(&nb.thread_started))
		return true;
	atomic_store(&nb.stop, true);
	/* Bounded: a program that exits is not kept from it. */
	for (int i = 0; i < 200 && atomic_load(&nb.thread_running); i++) {
		nb_daemon_wake();
		nb_futex_wait((uint32_t *)&nb.thread_running, 1,
			      10 * NB_NSEC_PER_MSEC);
	}
	if (!joined())
		return false;
	atomic_store(&nb.thread_started, false);
	return true;
}

/**
 * nb_daemon_after_fork() - the child has no numabald
 *
 * Context: forked child.
 */
void nb_daemon_after_fork(void)
{
	atomic_store(&nb.thread_started, false);
	atomic_store(&nb.thread_running, false);
	atomic_store(&nb.thread_tid, 0);
	nb_raw_thread_forget(&raw_thread);
	atomic_store(&nb.stop, false);
	memset(&nb.scan, 0, sizeof(nb.scan));
	memset(&nb.pass, 0, sizeof(nb.pass));
	memset(&nb.count, 0, sizeof(nb.count));
	memset(nb.why_count, 0, sizeof(nb.why_count));
	nb_reconcile_after_fork();
	nb_record_after_fork();
	nb.scan_cpu_ns = 0;
	nb.placing_ns = 0;
	nb.base_cost_ns = 0;
	nb.base_cpu_ns = 0;
	nb.wake = 0;
	atomic_store(&nb.scan_ns, 0);
	atomic_store(&nb.migrate_ns, 0);
	atomic_store(&nb.daemon_ns, 0);
	atomic_store(&nb.fault_ns, 0);
	atomic_store(&nb_fault_totals.unknown, 0);
	atomic_store(&nb_fault_totals.kept, 0);
}
