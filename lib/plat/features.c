/* SPDX-License-Identifier: MIT */
/*
 * What this kernel and container let us do.
 *
 * Versions say little: a container's seccomp filter refuses calls that the
 * kernel has.  So each feature is asked for by a real call that changes
 * nothing, once, at start.  Owns nothing; called by start and by the tools.
 */
#include "features.h"

#include "../base/parse.h"
#include "maps.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

/* A word of our own memory, certainly mapped and resident. */
static volatile int probe_word = 1;

static int probe_proc(void)
{
	char buf[128];
	long ret = nb_sys_linux.read_file("/proc/thread-self/statm", buf,
					  sizeof(buf));

	return ret < 0 ? (int)ret : 0;
}

static int probe_move_pages(void)
{
	void *page = (void *)(uintptr_t)&probe_word;
	int status = -1;
	long ret;

	probe_word++;
	ret = nb_sys_linux.move_pages(1, &page, NULL, &status);
	return ret < 0 ? (int)ret : 0;
}

/*
 * With the mask that the thread has, the kernel would from then on keep it to
 * that mask when its cpuset grows.  An empty one is refused, after permission
 * has been looked at.
 */
static int probe_setaffinity(void)
{
	static const struct nb_cpumask none;
	long ret = nb_sys_linux.sched_setaffinity(0, &none);

	return ret < 0 && ret != -EINVAL ? (int)ret : 0;
}

static int probe_mempolicy(void)
{
	int mode;
	long ret = nb_sys_linux.get_vma_policy((uintptr_t)&probe_word, &mode);

	return ret < 0 ? (int)ret : 0;
}

static int probe_procmap_query(void)
{
	struct nb_vma vma;

	return nb_maps_query((uintptr_t)&probe_word, &vma);
}

/**
 * nb_features_probe() - ask for all features
 * @f: the answers, by enum nb_feature
 *
 * Context: Start only; some ten system calls.
 */
void nb_features_probe(struct nb_feature_state f[NB_NR_FEATURES])
{
#define PROBE(feature, text)                                                   \
	f[NB_FEATURE_##feature].name = #feature;                               \
	f[NB_FEATURE_##feature].doc = text;                                    \
	f[NB_FEATURE_##feature].err = probe_##feature();
	NB_FEATURES(PROBE)
#undef PROBE
}

/**
 * nb_kernel_numa_balancing() - is the kernel balancing already?
 *
 * Context: Any thread.
 * Return: kernel.numa_balancing (0: off), or -errno: -ENOENT means that this
 * kernel is built without it.
 */
int nb_kernel_numa_balancing(void)
{
	uint64_t v;
	char buf[16];
	const char *end;
	long ret;

	ret = nb_sys_linux.read_file("/proc/sys/kernel/numa_balancing", buf,
				     sizeof(buf));
	if (ret < 0)
		return (int)ret;
	if (nb_parse_u64(buf, &end, &v) || v > 0xff)
		return -EINVAL;
	return (int)v;
}

/**
 * nb_thp_mode() - when the kernel makes transparent huge pages
 *
 * Context: Any thread.
 * Return: the mode; NB_THP_NEVER where the kernel has none.
 */
enum nb_thp_mode nb_thp_mode(void)
{
	char buf[128];

	/* All words, the one in force in brackets. */
	if (nb_sys_linux.read_file(
		    "/sys/kernel/mm/transparent_hugepage/enabled", buf,
		    sizeof(buf)) < 0)
		return NB_THP_NEVER;
	if (strstr(buf, "[always]"))
		return NB_THP_ALWAYS;
	if (strstr(buf, "[madvise]"))
		return NB_THP_MADVISE;
	return NB_THP_NEVER;
}
