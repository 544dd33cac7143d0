/* SPDX-License-Identifier: MIT */
/*
 * A child crashes beside armed memory, and its core is read: who was struck,
 * by what, and which access the memory has.  While the child dies its other
 * threads use armed memory, which must not be what it dies of.  Knows nothing
 * of numabal; run by test_guard_core.sh, in an empty folder.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <elf.h>
#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BAD ((volatile char *)0x1238)
#define HAMMERS 3

static unsigned char *buf; /* inherited: at the same place in the child */

static void *hammer(void *arg)
{
	(void)arg;
	for (;;)
		if (!pattern_ok(buf, BUF_BYTES))
			_exit(95);
	return NULL;
}

static int child(bool threads)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	pthread_t t;

	if (setrlimit(RLIMIT_CORE, &all))
		return 96;
	if (threads)
		for (int i = 0; i < HAMMERS; i++)
			pthread_create(&t, NULL, hammer, NULL);
	/* Behind what is being used, all of it may be armed at any moment. */
	if (!wait_armed(buf + BUF_BYTES / 2))
		return 97;
	*BAD = 1;
	return 98;
}

/* ---- the core ------------------------------------------------------------ */

static struct {
	const char *base;
	size_t bytes;
} core;

static bool read_core(void)
{
	struct stat st;
	glob_t g;
	int fd;

	CHECK(!glob("core*", 0, NULL, &g) && g.gl_pathc == 1);
	fd = open(g.gl_pathv[0], O_RDONLY);
	CHECK(fd >= 0 && !fstat(fd, &st) && !unlink(g.gl_pathv[0]));
	globfree(&g);
	core.bytes = (size_t)st.st_size;
	core.base = mmap(NULL, core.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	CHECK((void *)core.base != MAP_FAILED);
	CHECK(!memcmp(core.base, ELFMAG, SELFMAG));
	return true;
}

static const Elf64_Phdr *segment(int i)
{
	const Elf64_Ehdr *eh = (const void *)core.base;

	if (i >= eh->e_phnum)
		return NULL;
	return (const Elf64_Phdr *)(core.base + eh->e_phoff) + i;
}

/* The first note of a type: the kernel begins with the thread that is struck.
 */
static const void *note(uint32_t type)
{
	const Elf64_Phdr *ph;
	const char *at, *end;

	for (int i = 0; (ph = segment(i)); i++)
		if (ph->p_type == PT_NOTE)
			break;
	if (!ph)
		return NULL;
	at = core.base + ph->p_offset;
	for (end = at + ph->p_filesz; at < end;) {
		const Elf64_Nhdr *nh = (const void *)at;
		const char *desc =
			at + sizeof(*nh) + ((nh->n_namesz + 3) & ~3U);

		if (nh->n_type == type)
			return desc;
		at = desc + ((nh->n_descsz + 3) & ~3U);
	}
	return NULL;
}

/* Is all of the buffer there, to read and write, and as it was? */
static bool memory_is_right(void)
{
	uintptr_t at = (uintptr_t)buf;
	const Elf64_Phdr *ph;

	for (int i = 0; (ph = segment(i)); i++) {
		size_t off;

		if (ph->p_type != PT_LOAD || ph->p_vaddr + ph->p_memsz <= at ||
		    ph->p_vaddr > at || at >= (uintptr_t)buf + BUF_BYTES)
			continue;
		CHECK(ph->p_flags == (PF_R | PF_W));
		for (; at < ph->p_vaddr + ph->p_memsz &&
		       at < (uintptr_t)buf + BUF_BYTES;
		     at += 512) {
			off = at - (uintptr_t)buf;
			CHECK(core.base[ph->p_offset + at - ph->p_vaddr] ==
			      (char)(off / 512 * 7));
		}
	}
	CHECK(at == (uintptr_t)buf + BUF_BYTES);
	return true;
}

static bool crash(bool threads)
{
	const struct elf_prstatus *who;
	const siginfo_t *info;
	pid_t pid = fork();
	int st;

	if (!pid)
		_exit(child(threads));
	CHECK(waitpid(pid, &st, 0) == pid);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV && WCOREDUMP(st));
	CHECK(read_core());
	info = note(NT_SIGINFO);
	who = note(NT_PRSTATUS);
	CHECK(info && who);
	CHECK(who->pr_pid == pid && who->pr_cursig == SIGSEGV);
	CHECK(info->si_addr == (void *)BAD && info->si_code == SEGV_MAPERR);
	CHECK(memory_is_right());
	munmap((void *)core.base, core.bytes);
	return true;
}

static bool alone(void)
{
	buf = armed_buffer();
	return crash(false);
}

static bool beside_others(void)
{
	buf = armed_buffer();
	for (int i = 0; i < 8; i++)
		CHECK(crash(true));
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"alone", alone},
		{"beside-others", beside_others},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
