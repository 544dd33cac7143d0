/* SPDX-License-Identifier: MIT */
/*
 * The public functions: argument checks, and a call to the part that does it.
 */
#include "hooks.h"
#include "latency.h"
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/hint_fault.h"
#include "nb.h"
#include "plat/log.h"
#include "regions.h"
#include "tasks.h"

#include <errno.h>
#include <string.h>

/* numabal_start() and numabal_stop() of several threads, one by one. */
static pthread_mutex_t life_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool started_by_api;

NUMABAL_API int numabal_start(const struct numabal_opts *opts)
{
	int err = -EALREADY;

	pthread_mutex_lock(&life_mutex);
	if (atomic_load(&nb.state) == NB_OFF) {
		err = nb_start(opts, false);
		if (!err && atomic_load(&nb.state) == NB_RUNNING)
			err = nb_daemon_start();
		started_by_api = !err;
	} else if (!started_by_api && nb.preloaded) {
		/* The preload library started it: one balancer only. */
		started_by_api = true;
		err = 0;
	}
	pthread_mutex_unlock(&life_mutex);
	return err;
}

NUMABAL_API int numabal_stop(void)
{
	int err = -ESRCH;

	pthread_mutex_lock(&life_mutex);
	if (atomic_load(&nb.state) != NB_OFF && started_by_api) {
		nb_finish();
		started_by_api = false;
		err = 0;
	}
	pthread_mutex_unlock(&life_mutex);
	return err;
}

static bool running(void)
{
	return atomic_load(&nb.state) != NB_OFF;
}

NUMABAL_API int numabal_pause(void)
{
	struct nb_sigstate ss;
	int expected = NB_RUNNING, err = 0;

	if (!running())
		return -ESRCH;
	if (!nb_is_active())
		return 0; /* nothing is ever armed */
	atomic_fetch_add(&nb.paused, 1);
	nb_lock(&nb.as_lock, &ss);
	err = nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
	atomic_compare_exchange_strong(&nb.state, &expected, NB_PAUSED);
	if (err)
		nb_standdown("the kernel refused to give memory back");
	return 0;
}

NUMABAL_API int numabal_resume(void)
{
	uint32_t nr = atomic_load(&nb.paused);
	int expected = NB_PAUSED;

	if (!running())
		return -ESRCH;
	if (!nb_is_active())
		return 0;
	do {
		if (!nr)
			return -EINVAL;
	} while (!atomic_compare_exchange_weak(&nb.paused, &nr, nr - 1));
	if (nr == 1)
		atomic_compare_exchange_strong(&nb.state, &expected,
					       NB_RUNNING);
	return 0;
}

static int page_range(const void *addr, size_t len, struct nb_range *r)
{
	if (!len || (uint64_t)addr + len < (uint64_t)addr)
		return -EINVAL;
	if (!running())
		return -ESRCH;
	r->start = (uint64_t)addr;
	r->end = (uint64_t)addr + len;
	if (nb.page_bytes) {
		r->start = nb_align_down(r->start, nb.page_bytes);
		r->end = nb_align_up(r->end, nb.page_bytes);
	}
	return 0;
}

NUMABAL_API int numabal_exclude(const void *addr, size_t len)
{
	struct nb_range r;
	int err = page_range(addr, len, &r);

	if (!err && nb_is_active())
		nb_hook_unmap_begin((void *)r.start, r.end - r.start);
	return err;
}

NUMABAL_API int numabal_include(const void *addr, size_t len)
{
	struct nb_range r;
	struct nb_sigstate ss;
	int err = page_range(addr, len, &r);

	if (err || !nb_is_active())
		return err;
	/* Whole pages inside only: the rest is somebody else's. */
	r.start = nb_align_up((uint64_t)addr, nb.page_bytes);
	r.end = nb_align_down((uint64_t)addr + len, nb.page_bytes);
	if (r.start >= r.end)
		return -EINVAL;
	nb_hook_unmap_begin((void *)r.start, r.end - r.start);
	nb_lock(&nb.as_lock, &ss);
	err = nb_regions_add(r.start, r.end, NB_REGION_LARGE, nb_clock_ns());
	nb_unlock(&nb.as_lock, &ss);
	nb_maybe_start_daemon();
	return err;
}

NUMABAL_API int numabal_thread_register_flags(uint32_t flags)
{
	struct nb_slot *slot;

	if (flags & ~(uint32_t)NUMABAL_THREAD_LATENCY)
		return -EINVAL;
	if (!running())
		return -ESRCH;
	if (!nb_is_active())
		return 0;
	slot = nb_slot_self();
	if (!slot)
		return -ENOMEM;
	nb_latency_mark(slot, NB_LATENCY_BY_PROGRAM,
			flags & NUMABAL_THREAD_LATENCY);
	return 0;
}

NUMABAL_API int numabal_thread_register(void)
{
	if (!running())
		return -ESRCH;
	if (!nb_is_active())
		return 0;
	return nb_slot_self() ? 0 : -ENOMEM;
}

NUMABAL_API int numabal_thread_unregister(void)
{
	if (!running())
		return -ESRCH;
	if (nb_slot_self_existing())
		nb_latency_mark(nb_slot_self_existing(), NB_LATENCY_BY_PROGRAM,
				false);
	nb_hook_thread_end();
	return 0;
}

NUMABAL_API int numabal_handle_sigsegv(int sig, siginfo_t *info, void *ucontext)
{
	return sig == SIGSEGV && nb_is_active() &&
	       nb_hint_fault(info, ucontext);
}

NUMABAL_API int numabal_get_stats(struct numabal_stats *st)
{
	struct numabal_stats all = {.sz = sizeof(all)};
	size_t sz;

	if (!st || st->sz < sizeof(st->sz))
		return -EINVAL;
	if (!running())
		return -ESRCH;
	nb_stats_collect(&all);
	sz = st->sz;
	memset(st, 0, sz);
	memcpy(st, &all, nb_min(sz, sizeof(all)));
	st->sz = sz;
	return 0;
}

NUMABAL_API int numabal_for_each_task(numabal_task_fn *fn, void *arg)
{
	int i, ret = 0;

	if (!running())
		return -ESRCH;
	if (!nb_is_active())
		return 0;
	for (i = 0; i < nb_slots_used(); i++) {
		struct nb_task *t = nb_task_at(i);
		struct numabal_task_stats ts = {
			.sz = sizeof(ts),
			.tid = atomic_load(&t->pub_tid),
			.numa_preferred_nid =
				atomic_load(&t->pub_preferred_nid),
			.current_nid = atomic_load(&t->pub_nid),
			.numa_scan_period_ms = atomic_load(&nb.scan_period_ms),
			.active_nodes = 1,
			.total_numa_faults = atomic_load(&t->pub_total_faults),
		};

		if (!ts.tid)
			continue;
		ts.numa_group_id = ts.tid;
		ret = fn(&ts, arg);
		if (ret)
			return ret;
	}
	return ret;
}

static numabal_log_fn *log_fn;

static void log_sink(int level, const char *msg, void *arg)
{
	if (log_fn && level > NB_LOG_ERROR)
		log_fn((enum numabal_log_level)level, msg, arg);
}

NUMABAL_API void numabal_set_log(numabal_log_fn *fn, void *arg)
{
	log_fn = fn;
	nb_log_set_sink(log_sink, arg, true);
}

NUMABAL_API unsigned int numabal_version(void)
{
	return NUMABAL_VERSION_NUM(NUMABAL_VERSION_MAJOR, NUMABAL_VERSION_MINOR,
				   NUMABAL_VERSION_PATCH);
}
