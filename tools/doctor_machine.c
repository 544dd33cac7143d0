/* SPDX-License-Identifier: MIT */
/*
 * What this machine, and the container that we are in, allows.
 *
 * Each facility is asked for by a real call that changes nothing, as versions
 * say little: a container's seccomp filter refuses what the kernel has.
 *
 * Owns nothing; called by doctor.c.
 */
#include "doctor.h"

#include "../lib/base/parse.h"
#include "../lib/plat/features.h"
#include "../lib/plat/log.h"
#include "../lib/plat/sys.h"
#include "../lib/plat/topology.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static struct nb_topology topo;
static struct nb_feature_state feature[NB_NR_FEATURES];

#define UNBALANCED "programs run unbalanced"
#define BY_FILTER                                                              \
	"in a container: a seccomp profile that allows it, such as "           \
	"--security-opt seccomp=unconfined"

static void found(struct nb_check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void found(struct nb_check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->found, sizeof(c->found), fmt, ap);
	va_end(ap);
}

static void bad(struct nb_check *c, enum nb_check_level level,
		const char *means, const char *remedy)
{
	c->level = level;
	c->means = means;
	c->remedy = remedy;
}

/* Says "works", or with which error it was refused; true if it works. */
static bool works(struct nb_check *c, long err)
{
	if (err >= 0)
		found(c, "works");
	else
		found(c, "refused: %s", strerror((int)-err));
	return err >= 0;
}

/* A number in a file of /proc or /sys; false: not there. */
static bool read_number(const char *path, uint64_t *v)
{
	const char *end;
	char buf[32];

	return nb_sys_linux.read_file(path, buf, sizeof(buf)) > 0 &&
	       !nb_parse_u64(buf, &end, v);
}

/* ---- the machine --------------------------------------------------------- */

static bool forced(void)
{
	const char *v = getenv("NUMABAL_FORCE");

	return v && !strcmp(v, "1");
}

static void check_nodes(struct nb_check *c)
{
	int err = nb_topology_read(&topo);
	char list[256];
	struct nb_text t;

	if (err) {
		found(c, "the topology cannot be read: %s", strerror(-err));
		bad(c, NB_CHECK_FAILS, UNBALANCED, "mount /sys");
		return;
	}
	nb_text_init(&t, list, sizeof(list));
	nb_text_add_nodelist(&t, &topo.online);
	found(c, "%s (%s)", list, nb_topology_type_name(topo.type));
	if (nb_nodes_weight(&topo.online) < 2)
		bad(c, forced() ? NB_CHECK_NOTE : NB_CHECK_FAILS,
		    "one node: there is nothing to balance",
		    "none is needed; for tests NUMABAL_FORCE=1");
}

static void check_allowed(struct nb_check *c)
{
	char list[256];
	struct nb_text t;

	nb_text_init(&t, list, sizeof(list));
	nb_text_add_nodelist(&t, &topo.mems_allowed);
	found(c, "%s", list);
	if (nb_nodes_weight(&topo.online) > 1 &&
	    nb_nodes_weight(&topo.mems_allowed) < 2)
		bad(c, forced() ? NB_CHECK_NOTE : NB_CHECK_FAILS,
		    "one node is allowed: there is nothing to balance",
		    "a wider cpuset (docker: --cpuset-mems), or no numactl");
}

static void check_policy(struct nb_check *c)
{
	int mode = 0;
	long err = nb_syscall6(SYS_get_mempolicy, (long)&mode, 0, 0, 0, 0, 0);

	found(c, "%s",
	      err    ? "not told"
	      : mode ? "chosen explicitly"
		     : "default");
	if (!err && mode != MPOL_DEFAULT && mode != MPOL_LOCAL)
		bad(c, NB_CHECK_FAILS,
		    "what was placed explicitly stays: " UNBALANCED,
		    "run without numactl");
}

static void check_kernel(struct nb_check *c)
{
	int v = nb_kernel_numa_balancing();

	found(c, "%s", v > 0 ? "on" : v ? "not in this kernel" : "off");
	if (v > 0)
		bad(c, NB_CHECK_NOTE,
		    "it is kept away from balanced programs "
		    "(set_mempolicy(MPOL_LOCAL))",
		    NULL);
}

static void check_thp(struct nb_check *c)
{
	static const char *const names[] = {"never", "madvise", "always"};

	found(c, "%s", names[nb_thp_mode()]);
}

static void check_map_count(struct nb_check *c)
{
	uint64_t v;

	if (!read_number("/proc/sys/vm/max_map_count", &v)) {
		found(c, "not told");
		return;
	}
	found(c, "%llu", (unsigned long long)v);
	if (v < 65530)
		bad(c, NB_CHECK_LIMIT, "less memory can be armed at a time",
		    "sysctl vm.max_map_count=65530");
}

static void check_overcommit(struct nb_check *c)
{
	uint64_t v;

	if (!read_number("/proc/sys/vm/overcommit_memory", &v)) {
		found(c, "not told");
		return;
	}
	found(c, "%llu", (unsigned long long)v);
	if (v == 2)
		bad(c, NB_CHECK_NOTE,
		    "the library's tables count in full against the limit",
		    "sysctl vm.overcommit_memory=0");
}

static void check_seccomp(struct nb_check *c)
{
	static const char field[] = "\nSeccomp:\t";
	char buf[4096];
	const char *s;

	if (nb_sys_linux.read_file("/proc/self/status", buf, sizeof(buf)) < 0 ||
	    !(s = strstr(buf, field))) {
		found(c, "not told");
		return;
	}
	s += sizeof(field) - 1;
	found(c, "%s", *s == '0' ? "no filter" : "a filter is in force");
	if (*s != '0')
		bad(c, NB_CHECK_NOTE, "what it refuses is listed below", NULL);
}

/* ---- system calls -------------------------------------------------------- */

static void check_proc(struct nb_check *c)
{
	if (!works(c, feature[NB_FEATURE_proc].err))
		bad(c, NB_CHECK_FAILS, UNBALANCED, "mount /proc");
}

static void check_move_pages(struct nb_check *c)
{
	if (!works(c, feature[NB_FEATURE_move_pages].err))
		bad(c, NB_CHECK_FAILS,
		    "where memory is cannot be seen: " UNBALANCED,
		    BY_FILTER " (docker: --cap-add=SYS_NICE)");
}

static void check_setaffinity(struct nb_check *c)
{
	if (!works(c, feature[NB_FEATURE_setaffinity].err))
		bad(c, NB_CHECK_LIMIT, "threads stay where they are",
		    BY_FILTER);
}

static void check_get_mempolicy(struct nb_check *c)
{
	if (!works(c, feature[NB_FEATURE_mempolicy].err))
		bad(c, NB_CHECK_LIMIT,
		    "memory that was placed explicitly is not recognised",
		    BY_FILTER);
}

static void check_procmap(struct nb_check *c)
{
	if (!works(c, feature[NB_FEATURE_procmap_query].err))
		bad(c, NB_CHECK_NOTE,
		    "mappings are read from /proc/self/maps, which is slower",
		    "Linux 6.11");
}

static void check_set_mempolicy(struct nb_check *c)
{
	/* No such mode: refused after permission has been looked at. */
	long err = nb_syscall6(SYS_set_mempolicy, 0xff, 0, 0, 0, 0, 0);

	if (!works(c, err == -EINVAL ? 0 : err) &&
	    nb_kernel_numa_balancing() > 0)
		bad(c, NB_CHECK_LIMIT,
		    "the kernel's balancing cannot be kept away: both balance",
		    BY_FILTER);
}

static void check_mbind(struct nb_check *c)
{
	static char page[4096] __attribute__((aligned(4096)));
	long err = nb_syscall6(SYS_mbind, (long)page, sizeof(page),
			       MPOL_DEFAULT, 0, 0, 0);

	if (!works(c, err))
		bad(c, NB_CHECK_NOTE, "programs cannot place memory explicitly",
		    BY_FILTER);
}

static void check_membarrier(struct nb_check *c)
{
	const int need = MEMBARRIER_CMD_PRIVATE_EXPEDITED |
			 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	long ret = nb_syscall6(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0, 0, 0,
			       0);

	if (ret >= 0 && (ret & need) != need)
		ret = -ENOSYS;
	if (!works(c, ret))
		bad(c, NB_CHECK_LIMIT,
		    "system calls cannot be guarded: conservative tier",
		    BY_FILTER "; Linux 4.14");
}

static void check_own_memory(struct nb_check *c)
{
	volatile int word = 1;
	const int two = 2;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long err = 0;

	if (fd < 0 || pwrite(fd, &two, sizeof(two), (off_t)(uintptr_t)&word) !=
			      sizeof(two))
		err = -errno;
	else if (word != two)
		err = -EIO;
	if (fd >= 0)
		close(fd);
	if (!works(c, err))
		bad(c, NB_CHECK_NOTE,
		    "code is patched with mprotect(2), which SELinux or MDWE "
		    "may refuse",
		    NULL);
}

static void check_vm_readv(struct nb_check *c)
{
	int from = 1, to = 0;
	struct iovec local = {&to, sizeof(to)}, remote = {&from, sizeof(from)};
	long ret = nb_syscall6(SYS_process_vm_readv, getpid(), (long)&local, 1,
			       (long)&remote, 1, 0);

	if (works(c, ret))
		bad(c, NB_CHECK_NOTE,
		    "MPI ranks may copy from each other: stepped back from",
		    "OMPI_MCA_smsc=^cma, "
		    "OMPI_MCA_btl_vader_single_copy_mechanism=none, "
		    "UCX_TLS=^cma");
}

static long uffd_features(int flags, unsigned long long *features)
{
	struct uffdio_api api = {.api = UFFD_API};
	long fd =
		nb_syscall6(SYS_userfaultfd, O_CLOEXEC | flags, 0, 0, 0, 0, 0);
	long err;

	if (fd < 0)
		return fd;
	err = ioctl((int)fd, UFFDIO_API, &api) ? -errno : 0;
	close((int)fd);
	*features = api.features;
	return err;
}

static void check_uffd(struct nb_check *c)
{
	unsigned long long f = 0;
	long err = uffd_features(0, &f);
	const char *who = "for the kernel's accesses as well";

	if (err) {
		who = "for the program's own accesses";
		err = uffd_features(UFFD_USER_MODE_ONLY, &f);
	}
	if (!works(c, err))
		return;
	found(c, "%s; write protection: %s; features %#llx", who,
	      f & UFFD_FEATURE_PAGEFAULT_FLAG_WP ? "yes" : "no", f);
}

/* ---- the guard ----------------------------------------------------------- */

static void check_arch(struct nb_check *c)
{
#ifdef __x86_64__
	found(c, "x86-64");
#else
	found(c, "not x86-64");
	bad(c, NB_CHECK_LIMIT, "conservative tier", NULL);
#endif
}

static void check_decoder(struct nb_check *c)
{
	static const char *const names[] = {"libZydis.so.4.0", "libZydis.so.4",
					    "libZydis.so.4.1"};
	void *lib = NULL;

	for (size_t i = 0; !lib && i < nb_array_size(names); i++)
		lib = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
	found(c, "%s", lib ? "there" : "not found");
	if (lib)
		dlclose(lib);
	else
		bad(c, NB_CHECK_LIMIT,
		    "system calls cannot be guarded: conservative tier",
		    "install libZydis (Debian: libzydis4.0)");
}

static const struct {
	const char *name;
	void (*check)(struct nb_check *c);
} checks_of_machine[] = {
	{"NUMA nodes", check_nodes}, /* first: reads the topology */
	{"allowed nodes", check_allowed},
	{"memory policy", check_policy},
	{"kernel.numa_balancing", check_kernel},
	{"transparent huge pages", check_thp},
	{"vm.max_map_count", check_map_count},
	{"vm.overcommit_memory", check_overcommit},
	{"/proc", check_proc},
	{"seccomp", check_seccomp},
	{"move_pages(2)", check_move_pages},
	{"sched_setaffinity(2)", check_setaffinity},
	{"get_mempolicy(2)", check_get_mempolicy},
	{"set_mempolicy(2)", check_set_mempolicy},
	{"mbind(2)", check_mbind},
	{"PROCMAP_QUERY", check_procmap},
	{"process_vm_readv(2)", check_vm_readv},
	{"userfaultfd(2)", check_uffd},
	{"machine type", check_arch},
	{"membarrier(2)", check_membarrier},
	{"/proc/self/mem", check_own_memory},
	{"libZydis", check_decoder},
};

_Static_assert(nb_array_size(checks_of_machine) <= NB_MAX_CHECKS,
	       "NB_MAX_CHECKS is too small");

/**
 * nb_doctor_machine() - look at this machine
 * @checks: what was found
 *
 * Context: Tool.
 * Return: how many checks there are.
 */
int nb_doctor_machine(struct nb_check checks[NB_MAX_CHECKS])
{
	int nr = (int)nb_array_size(checks_of_machine);

	nb_features_probe(feature);
	memset(checks, 0, NB_MAX_CHECKS * sizeof(checks[0]));
	for (int i = 0; i < nr; i++) {
		checks[i].name = checks_of_machine[i].name;
		checks_of_machine[i].check(&checks[i]);
	}
	return nr;
}
