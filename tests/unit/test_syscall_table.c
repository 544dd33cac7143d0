/* SPDX-License-Identifier: MIT */
/*
 * guard/syscalls.def against a second list of the same, syscall_want.def, and
 * against the kernel headers of this machine: every number is known, by its
 * name, and what it hands over is what its arguments are.
 */
#include "guard_test.h"

#include <linux/aio_abi.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <utime.h>

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	return copy_by_kernel(to, from, bytes);
}

/* TSan has the address space laid out in its own way. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

#define N 3	      /* whatever is a length or a number */
#define INT_LEN 24    /* whatever is a length in memory */
#define AREA 0x100000 /* from one argument's memory to the next */
#define BASE 0x480000000000ULL

static const struct {
	const char *name;
	uint64_t bytes;
} types[] = {
#define T(x) {#x, sizeof(struct x)},
	T(stat) T(timespec) T(timeval) T(itimerspec) T(itimerval) T(rusage)
		T(rlimit) T(sysinfo) T(tms) T(pollfd) T(sembuf) T(sched_param)
			T(utimbuf) T(statfs) T(timex) T(epoll_event) T(mq_attr)
				T(iovec) T(statx) T(shmid_ds) T(msqid_ds)
					T(iocb) T(io_event) T(sigevent)
#undef T
						{"stack_t", sizeof(stack_t)},
	{"siginfo", sizeof(siginfo_t)},
	{"utsname", sizeof(struct utsname)},
	{"msg", sizeof(struct msghdr)},
	{"robust_list_head", 24},
	{"ksigaction", 32},
	{"path", 4096},
	{"page", 4096},
};

/* Of each argument: how far from its start are ranges? 0: none. */
static struct {
	struct nb_range_sink sink;
	uint64_t reach[6];
	bool elsewhere;
} seen;

static void note(struct nb_range_sink *to, uint64_t start, uint64_t len)
{
	uint64_t i = (start - BASE) / AREA, at = (start - BASE) % AREA;

	(void)to;
	/* What is not at the start is a part of what was there before. */
	if (start < BASE || i >= 6 || (at && at + len > seen.reach[i]))
		seen.elsewhere = true;
	else
		seen.reach[i] = nb_max(seen.reach[i], at + len);
}

static uint64_t type_bytes(const char *name)
{
	for (size_t i = 0; i < nb_array_size(types); i++)
		if (!strcmp(types[i].name, name))
			return types[i].bytes;
	assert_true(name[0] >= '1' && name[0] <= '9');
	return strtoull(name, NULL, 10);
}

/* The size of one word of syscall_want.def; arguments that count: @counts. */
static uint64_t word_bytes(const char *w, unsigned int *counts)
{
	static const struct {
		const char *word;
		uint64_t bytes;
	} vectors[] = {
		{"iov", N * sizeof(struct iovec)},
		{"mmsg", N * sizeof(struct mmsghdr)},
		{"iocbs", N * sizeof(void *)},
		{"waitv", N * 24},
		{"fds", 8},
		{"bits", 8},
		{"pages", 1},
	};

	if (w[0] == '*') {
		*counts |= 1U << (w[1] - '0');
		if (w[2] == ':')
			return N * type_bytes(w + 3);
		return N + (w[2] ? strtoull(w + 3, NULL, 10) : 0);
	}
	if (w[0] == '@')
		return INT_LEN;
	for (size_t i = 0; i < nb_array_size(vectors); i++) {
		size_t len = strlen(vectors[i].word);

		if (strncmp(w, vectors[i].word, len) || strlen(w) != len + 1)
			continue;
		*counts |= 1U << (w[len] - '0');
		return vectors[i].bytes;
	}
	return type_bytes(w);
}

/* Run a call of the table with the arguments that @spec describes. */
static bool opaque_with(uint64_t nr, const char *spec, uint64_t *want)
{
	struct nb_regs r = {.rax = nr};
	unsigned int counts = 0, n = 0;
	char text[64], *save = NULL, *w;

	memset(&seen, 0, sizeof(seen));
	seen.sink.add = note;
	memset(want, 0, 6 * sizeof(*want));
	memset((void *)BASE, 0, 6 * AREA);
	snprintf(text, sizeof(text), "%s", spec);
	for (w = strtok_r(text, " ", &save); w && *w != '?';
	     w = strtok_r(NULL, " ", &save)) {
		assert_true(n < 6);
		if (*w != '.')
			want[n] = word_bytes(w, &counts);
		if (*w == '@')
			*(uint32_t *)(BASE + (w[1] - '0') * AREA) = INT_LEN;
		n++;
	}
	for (int i = 0; i < 6; i++)
		r.arg[i] = counts & 1U << i ? N : BASE + i * AREA;
	return nb_syscall_each_range(nb_sysclass(nr), &r, &seen.sink);
}

static bool check_one(uint64_t nr, const char *name, const char *spec)
{
	uint64_t want[6];
	bool opaque, ok = true;

	if (strcmp(nb_sysclass(nr)->name, name)) {
		print_error("%llu is %s, not %s\n", (unsigned long long)nr,
			    nb_sysclass(nr)->name, name);
		return false;
	}
	if (spec[0] == '!')
		return true;
	opaque = opaque_with(nr, spec, want);
	if (opaque != (spec[0] == '?') || seen.elsewhere)
		ok = false;
	/* More is harmless, but for what is not handed over at all. */
	for (int i = 0; i < 6 && spec[0] != '?'; i++)
		ok &= want[i] ? seen.reach[i] >= want[i] &&
					seen.reach[i] <=
						nb_max(want[i], 4096ULL)
			      : !seen.reach[i];
	if (ok)
		return true;
	print_error("%s \"%s\":", name, spec);
	for (int i = 0; i < 6; i++)
		print_error(" %llu", (unsigned long long)seen.reach[i]);
	print_error("%s%s\n", opaque ? " opaque" : "",
		    seen.elsewhere ? " elsewhere" : "");
	return false;
}

static void test_every_call(void **state)
{
	int bad = 0, nr_known = 0, nr_checked = 0;

	(void)state;
#define WANT(nr, name, spec) bad += !check_one(nr, #name, spec), nr_checked++;
#include "syscall_want.def"
#undef WANT
	for (int i = 0; i < nb_sysclass_count(); i++)
		nr_known += !!strcmp(nb_sysclass((uint64_t)i)->name, "unknown");
	assert_int_equal(bad, 0);
	/* Whoever adds one to the table adds it here. */
	assert_int_equal(nr_checked, nr_known);
}

/* Which header has the numbers depends on the distribution. */
static FILE *open_header(void)
{
	static const char *const at[] = {
		"/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
		"/usr/include/asm/unistd_64.h",
	};
	FILE *f = NULL;

	for (size_t i = 0; !f && i < nb_array_size(at); i++)
		f = fopen(at[i], "r");
	return f;
}

static void test_kernel_headers(void **state)
{
	FILE *f = open_header();
	int bad = 0, n = 0, nr;
	char line[256], name[64];

	(void)state;
	if (!f)
		skip();
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "#define __NR_%63s %d", name, &nr) != 2)
			continue;
		n++;
		if (!strcmp(nb_sysclass((uint64_t)nr)->name, name))
			continue;
		print_error("syscalls.def lacks %d, %s\n", nr, name);
		bad++;
	}
	fclose(f);
	assert_true(n > 300);
	assert_int_equal(bad, 0);
}

static void test_unknown(void **state)
{
	static const uint64_t nrs[] = {337,	  423,	      472,
				       511,	  0x40000000, 0x40000001,
				       INT32_MAX, UINT32_MAX};
	uint64_t want[6];

	(void)state;
	for (size_t i = 0; i < nb_array_size(nrs); i++) {
		assert_string_equal(nb_sysclass(nrs[i])->name, "unknown");
		assert_int_equal(nb_sysclass(nrs[i])->hook, NB_HOOK_NONE);
		assert_true(opaque_with(nrs[i], "?", want));
		assert_false(nb_sysclass_is_plain(nrs[i]));
	}
	assert_int_equal(nb_sysclass_count(), 472);
}

/* The kernel looks at the lower half of the register only. */
static void test_upper_half(void **state)
{
	(void)state;
	assert_string_equal(nb_sysclass(1ULL << 32 | 9)->name, "mmap");
	assert_string_equal(nb_sysclass(UINT64_MAX << 32)->name, "read");
}

static void check_hook(int hook, const char *const *names)
{
	int n = 0, have = 0;

	for (; names[n]; n++) {
		bool found = false;

		for (int i = 0; i < nb_sysclass_count(); i++)
			if (!strcmp(nb_sysclass((uint64_t)i)->name, names[n]))
				found = nb_sysclass((uint64_t)i)->hook == hook;
		if (!found)
			fail_msg("%s: not hook %d", names[n], hook);
	}
	for (int i = 0; i < nb_sysclass_count(); i++)
		have += nb_sysclass((uint64_t)i)->hook == hook;
	assert_int_equal(have, n);
}

static const char *const mm[] = {"mmap",
				 "munmap",
				 "mremap",
				 "mprotect",
				 "pkey_mprotect",
				 "brk",
				 "madvise",
				 "process_madvise",
				 "shmat",
				 "shmdt",
				 "remap_file_pages",
				 "mlock",
				 "mlock2",
				 "mlockall",
				 "munlock",
				 "munlockall",
				 "mseal",
				 "mbind",
				 "set_mempolicy_home_node",
				 "migrate_pages",
				 "map_shadow_stack",
				 NULL};
static const char *const sig[] = {
	"rt_sigaction",	   "rt_sigprocmask", "rt_sigsuspend", "rt_sigpending",
	"rt_sigtimedwait", "sigaltstack",    "ppoll",	      "pselect6",
	"epoll_pwait",	   "epoll_pwait2",   "io_pgetevents", NULL};
static const char *const process[] = {"clone", "clone3",     "fork",
				      "vfork", "execve",     "execveat",
				      "exit",  "exit_group", NULL};
static const char *const task[] = {"sched_setaffinity",
				   "sched_getaffinity",
				   "set_mempolicy",
				   "get_mempolicy",
				   "set_tid_address",
				   "set_robust_list",
				   "rseq",
				   "arch_prctl",
				   NULL};
static const char *const step[] = {"io_uring_setup",
				   "seccomp",
				   "prctl",
				   "ptrace",
				   "userfaultfd",
				   "process_vm_readv",
				   "process_vm_writev",
				   "io_submit",
				   "open",
				   "openat",
				   "openat2",
				   "setuid",
				   "setgid",
				   "setreuid",
				   "setregid",
				   "setresuid",
				   "setresgid",
				   "setgroups",
				   "capset",
				   "unshare",
				   "setns",
				   NULL};

static void test_hooks(void **state)
{
	(void)state;
	check_hook(NB_HOOK_MM, mm);
	check_hook(NB_HOOK_SIGNAL, sig);
	check_hook(NB_HOOK_PROCESS, process);
	check_hook(NB_HOOK_TASK, task);
	check_hook(NB_HOOK_STEP, step);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
		cmocka_unit_test(test_kernel_headers),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_upper_half),
		cmocka_unit_test(test_hooks),
	};

	if (mmap((void *)BASE, 6 * AREA, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0) != (void *)BASE) {
		puts("the addresses that are wanted are taken");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	puts("not under TSan, nor on other machines than x86-64");
	return 77;
}

#endif
