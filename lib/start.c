/* SPDX-License-Identifier: MIT */
/*
 * Starting and finishing: decides once whether this process can be balanced
 * and why not, and sets the parts up in order.
 *
 * Invariants:
 * 1. A start that fails half-way leaves nothing installed.
 * 2. On a machine with one node, or for a program that is not wanted, nothing
 *    is installed and no thread is made: all that stays is the reason.
 */
#include "detect.h"
#include "guard_hooks.h"
#include "guard_report.h"
#include "hooks.h"
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/hint_fault.h"
#include "mech/protect.h"
#include "mech/sigchain.h"
#include "nb.h"
#include "plat/log.h"
#include "plat/topology.h"
#include "regions.h"
#include "tasks.h"
#include "tiering.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct numabal nb = {
	.as_lock = NB_LOCK_INIT(NB_LOCK_AS),
	.sys = &nb_sys_linux,
};

static bool configured;	       /* (I) the configuration stands */
static bool atfork_registered; /* (I) */

/**
 * nb_is_active() - may memory be armed in this process? Context: any
 *
 * Context: any thread; see hooks.h.
 * Return: true if so.
 */
bool nb_is_active(void)
{
	int state = atomic_load_explicit(&nb.state, memory_order_relaxed);

	return state == NB_RUNNING || state == NB_PAUSED;
}

static int idle(const char *why)
{
	atomic_store(&nb.why, why);
	atomic_store(&nb.state, NB_IDLE);
	nb_log(NB_LOG_INFO, "idle: %s", why);
	return 0;
}

static void read_comm(void)
{
	char buf[64];
	long n = nb.sys->read_file("/proc/self/comm", buf, sizeof(buf));
	size_t len = 0;

	while (n > 0 && len < sizeof(nb.comm) - 1 && buf[len] &&
	       buf[len] != '\n') {
		nb.comm[len] = buf[len];
		len++;
	}
	nb.comm[len] = '\0';
}

static void display_env(void)
{
	static char buf[8192];
	const char *on = nb_config_getenv(environ, "NUMABAL_DISPLAY_ENV");

	if (!on || !*on || !strcmp(on, "0"))
		return;
	nb_config_display(&nb.cfg, buf, sizeof(buf));
	nb_sys_write_all(2, buf, strlen(buf));
}

static int set_opt(const char *name, uint32_t value)
{
	char err[NB_CONFIG_ERR], text[16];
	struct nb_config_arg arg = {name, text, NB_FROM_OPTS};
	struct nb_text t;

	if (!value)
		return 0; /* 0: the default, or what the environment says */
	nb_text_init(&t, text, sizeof(text));
	nb_text_add(&t, "%u", value);
	return nb_config_set(&nb.cfg, &arg, err, sizeof(err));
}

/* numabal_opts, as far as the caller's struct goes. */
static int take_opts(const struct numabal_opts *in)
{
	const char *bytes = (const char *)in;
	struct numabal_opts o;
	char err_text[NB_CONFIG_ERR];
	int err = 0;

	if (!in)
		return 0;
	if (in->sz < offsetof(struct numabal_opts, scan_delay_ms))
		return -EINVAL;
	for (size_t i = sizeof(o); i < in->sz; i++)
		if (bytes[i])
			return -E2BIG;
	memset(&o, 0, sizeof(o));
	memcpy(&o, in, nb_min(in->sz, sizeof(o)));
	if (o.reserved)
		return -EINVAL;
	if (o.flags & ~(uint32_t)(NUMABAL_F_OBSERVE | NUMABAL_F_FORCE))
		return -E2BIG;
	if (o.flags & NUMABAL_F_NO_TASK_MIGRATE)
		nb.cfg.move_tasks = 0;
	if (o.flags & NUMABAL_F_NO_PAGE_MIGRATE)
		nb.cfg.move_pages = 0;
	if (o.flags & NUMABAL_F_FORCE)
		nb.cfg.force = 1;
#define TAKE(field) err = err ? err : set_opt(#field, o.field)
	TAKE(scan_delay_ms);
	TAKE(scan_period_min_ms);
	TAKE(scan_period_max_ms);
	TAKE(scan_size_mb);
	TAKE(migrate_rate_mbps);
	TAKE(max_overhead_pct);
	TAKE(max_stall_us);
	TAKE(min_rss_mb);
	TAKE(min_region_kb);
	TAKE(chunk_kb);
#undef TAKE
	return err ? err : nb_config_check(&nb.cfg, err_text, sizeof(err_text));
}

static int configure(const struct numabal_opts *opts)
{
	static char msg[512];
	int err;

	err = nb_config_from_env(&nb.cfg, environ, msg, sizeof(msg));
	if (!err)
		nb_log_setup((int)nb.cfg.log,
			     nb.cfg.log_file[0] ? nb.cfg.log_file : NULL);
	if (nb.cfg.mode != NB_MODE_OFF &&
	    nb_config_unknown_env(environ, msg + 256, sizeof(msg) - 256) > 0)
		nb_log(NB_LOG_WARN, "%s", msg + 256);
	if (err) {
		nb_log(NB_LOG_ERROR, "%s", msg);
		return err;
	}
	err = take_opts(opts);
	if (!err) {
		display_env();
		nb_stats_prepare();
	}
	configured = !err;
	return err;
}

/* The policy of the calling thread, if the user or program chose one. */
static bool has_explicit_policy(void)
{
	int mode = 0;
	long err = nb_syscall6(SYS_get_mempolicy, (long)&mode, 0, 0, 0, 0, 0);

	return !err && mode != MPOL_DEFAULT && mode != MPOL_LOCAL;
}

/* Linux balances no memory of a thread that has any policy of its own. */
static void keep_kernel_away(void)
{
	if (nb_kernel_numa_balancing() <= 0)
		return;
	if (!nb_syscall6(SYS_set_mempolicy, MPOL_LOCAL, 0, 0, 0, 0, 0))
		nb.mpol_local = true;
	nb_log(NB_LOG_INFO, "the kernel's NUMA balancing is on: %s",
	       nb.mpol_local ? "switched off for this process"
			     : "it cannot be switched off for this process");
}

static const char *usable(void)
{
	static struct nb_feature_state f[NB_NR_FEATURES];

	nb_features_probe(f);
	if (f[NB_FEATURE_proc].err) {
		nb_log(NB_LOG_WARN, "/proc is not there: cannot balance");
		return "/proc is not there";
	}
	if (f[NB_FEATURE_move_pages].err) {
		nb_log(NB_LOG_WARN,
		       "move_pages(2) is refused (error %d; seccomp?): "
		       "cannot balance",
		       -f[NB_FEATURE_move_pages].err);
		return "move_pages(2) is refused";
	}
	return NULL;
}

static int set_up_parts(void)
{
	int err;

	nb.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	nb.thp = nb_thp_mode();
	err = nb_chunk_table_init();
	err = err ? err : nb_tiering_init();
	err = err ? err : nb_regions_init();
	err = err ? err : nb_tasks_init();
	err = err ? err : nb_samples_init();
	err = err ? err : nb_arming_init();
	err = err ? err : nb_affinity_init(nb.sys, &nb.topo);
	if (!err && !nb.migrate.pages)
		err = nb_migrate_init(&nb.migrate, nb.sys, &nb.topo,
				      nb.page_bytes);
	if (err)
		return err;
	/* A page being moved stops its user: about 2 us each (THP: copied
	 * at memory speed). */
	nb.migrate.batch_pages = nb_clamp(nb.cfg.max_stall_us / 2, 16U, 2048U);
	nb.migrate.huge = nb.thp != NB_THP_NEVER;
	nb.scan_opts.scan_size_mb = nb.cfg.scan_size_mb;
	nb.scan_opts.page_bytes = nb.page_bytes;
	nb.scan_opts.step_bytes = 4 * NB_BLOCK_BYTES;
	nb.period_opts.scan_period_min_ms = nb.cfg.scan_period_min_ms;
	nb.period_opts.scan_period_max_ms = nb.cfg.scan_period_max_ms;
	nb.period_opts.scan_size_mb = nb.cfg.scan_size_mb;
	nb_scan_period_start(&nb.period, &nb.period_opts, 0);
	if (nb_protection_choose())
		nb_log(NB_LOG_INFO, "the kernel has userfaultfd's read-write "
				    "protection, which is not used yet");
	nb_hint_fault_init(nb.sys, &nb.wake);
	nb_sigchain_on_crash(nb_before_crash);
	return nb_sigchain_install();
}

static const char *check_machine(void)
{
	struct nb_nodemask *nodes = &nb.cfg.nodes;

	if (!nb_config_program_wanted(&nb.cfg, nb.comm))
		return "NUMABAL_ONLY or NUMABAL_SKIP leaves this program out";
	if (nb_topology_read(&nb.topo))
		return "the topology cannot be read";
	if (!nb_topology_is_numa(&nb.topo) && !nb.cfg.force)
		return "one node";
	if (!nodes->bits)
		nodes->bits = nb.topo.mems_allowed.bits;
	nodes->bits &= nb.topo.mems_allowed.bits;
	if (!nodes->bits)
		return "NUMABAL_NODES has no node that may be used";
	if (nb_nodes_weight(nodes) < 2 && !nb.cfg.force)
		return "one node";
	if (has_explicit_policy())
		return "the memory policy was set explicitly";
	return usable();
}

static void register_atfork(void)
{
	if (atfork_registered)
		return;
	atfork_registered = !pthread_atfork(
		nb_hook_fork_prepare, nb_hook_fork_parent, nb_hook_fork_child);
}

/*
 * `numabal run` leaves its process id, which exec keeps; without it every
 * program that starts is the user's own.
 */
static bool is_root_process(void)
{
	const char *v = nb_config_getenv(environ, "NUMABAL_ROOT_PID");
	const char *end;
	uint64_t pid;

	return !v || nb_parse_u64(v, &end, &pid) || *end ||
	       (int)pid == atomic_load(&nb.pid);
}

/* nb_start() but for the report. */
static int start(const struct numabal_opts *opts, bool preloaded)
{
	const char *why;
	int err;

	nb.start_ns = nb_clock_ns();
	nb.preloaded |= preloaded;
	atomic_store(&nb.pid, (int)nb_sys_getpid());
	nb.root_process = is_root_process();
	read_comm();
	nb_config_defaults(&nb.cfg);
	err = configure(opts);
	if (err || nb.cfg.mode == NB_MODE_OFF)
		return err;
	why = check_machine();
	if (why)
		return idle(why);
	err = set_up_parts();
	if (err) {
		idle("starting failed");
		return err;
	}
	err = nb_guard_setup();
	if (err) {
		if (!nb_guarded())
			nb_sigchain_remove();
		idle(nb_guard_choice()->why);
		nb_stats_write_start();
		return 0;
	}
	/* Where fork(2) itself passes by us, its functions need not. */
	if (!nb_guarded())
		register_atfork();
	keep_kernel_away();
	nb_slots_set_owner((pid_t)nb_sys_getpid());
	nb_slot_self();
	atomic_store(&nb.stop, false);
	atomic_store(&nb.state, NB_RUNNING);
	return 0;
}

/**
 * nb_start() - decide, and set up
 * @opts: the caller's options, or NULL.
 * @preloaded: the interposers are there: memory and threads are seen.
 *
 * Context: start only.
 * Return: 0 (also when there is nothing to do here) or -errno.
 */
int nb_start(const struct numabal_opts *opts, bool preloaded)
{
	int err = start(opts, preloaded), fd = nb_guard_report_fd(environ);

	if (fd >= 0) {
		nb_guard_report(fd, nb_guard_choice());
		nb_syscall6(SYS_exit_group, 0, 0, 0, 0, 0, 0);
	}
	return err;
}

/* A child that ends at once would pay for a thread that does nothing. */
static bool too_young(void)
{
	uint64_t until = atomic_load(&nb.young_until_ns);

	if (!until)
		return false;
	if (atomic_load(&nb.state) == NB_RUNNING && nb_clock_ns() < until)
		return true;
	atomic_store(&nb.young_until_ns, 0);
	nb_guard_watch(false);
	return false;
}

/**
 * nb_maybe_start_daemon() - make numabald when there is something to balance
 *
 * A process that never maps enough memory never gets a second thread.
 *
 * Context: a thread of the application, no lock of ours held.
 */
void nb_maybe_start_daemon(void)
{
	struct nb_sigstate ss;
	uint64_t bytes;

	if (too_young() || atomic_load(&nb.state) != NB_RUNNING ||
	    atomic_load(&nb.thread_started) ||
	    nb_sys_getpid() != atomic_load(&nb.pid))
		return;
	nb_lock(&nb.as_lock, &ss);
	bytes = nb_regions_bytes();
	nb_unlock(&nb.as_lock, &ss);
	/* Guarded, nearly all memory is in the table: no need to ask. */
	if (bytes && !nb_guarded())
		bytes += nb_rss_bytes();
	if (!bytes || bytes < nb.cfg.min_rss_mb * NB_MIB)
		return;
	if (nb_daemon_start())
		nb_standdown("the balancer thread could not be made");
}

/* For a user who wonders why nothing was balanced. */
static const char *why_nothing(void)
{
	struct nb_sigstate ss;
	uint64_t bytes;

	nb_lock(&nb.as_lock, &ss);
	bytes = nb_regions_bytes();
	nb_unlock(&nb.as_lock, &ss);
	if (nb_rss_bytes() < nb.cfg.min_rss_mb * NB_MIB)
		return "the process was smaller than NUMABAL_MIN_RSS_MB";
	if (!bytes)
		return "there was no memory that may be armed";
	return "it ended before its memory was first scanned";
}

/* From now on nobody keeps the table true: a new start begins with none. */
static void forget_regions(void)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	nb_regions_clear();
	nb_unlock(&nb.as_lock, &ss);
}

/**
 * nb_finish() - the end: stop, give everything back, write the statistics
 *
 * Context: any thread of the application but numabald.
 */
void nb_finish(void)
{
	int state = atomic_load(&nb.state);

	if (nb_sys_getpid() != atomic_load(&nb.pid))
		return; /* a vfork child: this is its parent's memory */
	if (state == NB_OFF && !configured)
		return;
	if (state == NB_RUNNING && !atomic_load(&nb.count.numa_pte_updates))
		atomic_store(&nb.why, why_nothing());
	if (state == NB_RUNNING || state == NB_PAUSED ||
	    state == NB_STOOD_DOWN) {
		nb_daemon_stop();
		nb_release_all();
	}
	nb_stats_write_exit();
	configured = false;
	atomic_store(&nb.state, NB_OFF);
	if (state != NB_OFF && state != NB_IDLE)
		forget_regions();
}
