/* SPDX-License-Identifier: MIT */
/*
 * Where do the system calls of a command, and of all that it starts, come
 * from?  Follows it with ptrace(2), looks at each call's instruction, and
 * tells of those that no guard is around.
 *
 *	audit COMMAND...
 *
 * Guarded is a call whose instruction has a jump to a stub before it, or that
 * is made in a stub.  Allowed without are calls of numabal itself, calls that
 * hand over no memory and that nobody needs to know of, and sigreturn.  What a
 * process does before its first guarded call is the loader's and not judged.
 *
 * Prints "guarded N", and for each call that is not "unguarded FILE+OFFSET NR";
 * exit status 1 if there are such.
 */
#define _GNU_SOURCE
#include "../../lib/guard/syscall.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_TASKS 4096
#define WINDOW 24
#define JUMP 5

enum where { GUARDED, OURS, UNGUARDED };

/* What is known of each task: its process runs guarded. */
static struct {
	pid_t pid;
	int on;
} tasks[MAX_TASKS];

/* The verdicts on instructions of this process image. */
#define NR_SEEN 8192
static struct {
	pid_t pid;
	uint64_t ip;
	enum where where;
} seen[NR_SEEN];

static unsigned long guarded, unguarded;

static int *state_of(pid_t pid)
{
	for (int i = 0; i < MAX_TASKS; i++) {
		if (tasks[i].pid == pid)
			return &tasks[i].on;
		if (tasks[i].pid)
			continue;
		tasks[i].pid = pid;
		return &tasks[i].on;
	}
	fprintf(stderr, "too many processes\n");
	exit(2);
}

/* The process of a thread. */
static pid_t group_of(pid_t tid)
{
	char path[64], line[256];
	int tgid = tid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return tgid;
}

/* What is mapped at @addr; @off: from its file's start. */
static void name_of(pid_t pid, uint64_t addr, char *name, size_t size,
		    uint64_t *off)
{
	unsigned long start, end, offset;
	char path[64], line[4200];
	FILE *f;
	int at;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	snprintf(name, size, "?");
	*off = addr;
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = 0;
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s%n", &start, &end,
			   &offset, &at) < 3 ||
		    addr < start || addr >= end)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, size, "%s", line + at + strspn(line + at, " "));
		*off = addr - start + offset;
		break;
	}
	if (f)
		fclose(f);
}

/* Kernels may leave out the name that numabal gives them. */
static int is_stubs(const char *name)
{
	return !*name || !strcmp(name, "[anon:numabal stubs]");
}

static int read_code(pid_t pid, uint64_t from, void *to, size_t n)
{
	struct iovec l = {to, n}, r = {(void *)from, n};

	return process_vm_readv(pid, &l, 1, &r, 1, 0) == (ssize_t)n;
}

/* Is there a jump to a stub that ends, with what fills up, before @site? */
static int has_jump(pid_t pid, uint64_t site)
{
	uint8_t code[WINDOW];
	char name[4096];
	uint64_t off;
	int32_t rel;

	if (!read_code(pid, site - WINDOW, code, sizeof(code)))
		return 0;
	for (int at = WINDOW - JUMP; at >= 0; at--) {
		if (at < WINDOW - JUMP && code[at + JUMP] != 0xcc)
			break;
		if (code[at] == 0xe9) {
			memcpy(&rel, code + at + 1, 4);
			name_of(pid,
				site - WINDOW + (uint64_t)at + JUMP +
					(uint64_t)(int64_t)rel,
				name, sizeof(name), &off);
			if (is_stubs(name))
				return 1;
		}
	}
	return 0;
}

static enum where judge(pid_t pid, uint64_t ip)
{
	const char *base;
	char name[4096];
	uint64_t off;

	if (has_jump(pid, ip - 2))
		return GUARDED;
	name_of(pid, ip, name, sizeof(name), &off);
	if (is_stubs(name))
		return GUARDED;
	base = strrchr(name, '/');
	return base && !strncmp(base + 1, "libnumabal", 10) ? OURS : UNGUARDED;
}

static enum where where_is(pid_t pid, uint64_t ip)
{
	size_t i = (size_t)(ip ^ ip >> 13 ^ (uint64_t)pid) % NR_SEEN;

	/* What is not guarded may be soon. */
	if (seen[i].pid != pid || seen[i].ip != ip ||
	    seen[i].where == UNGUARDED) {
		seen[i].where = judge(pid, ip);
		seen[i].pid = pid;
		seen[i].ip = ip;
	}
	return seen[i].where;
}

static void on_call(pid_t tid)
{
	struct __ptrace_syscall_info si;
	enum where w;
	char name[4096];
	uint64_t off;
	pid_t pid;
	int *on;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(si), &si) <= 0 ||
	    si.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	pid = group_of(tid);
	on = state_of(pid);
	w = where_is(pid, si.instruction_pointer);
	if (w == GUARDED) {
		*on = 1;
		guarded++;
	}
	if (w != UNGUARDED || !*on || si.entry.nr == SYS_rt_sigreturn ||
	    nb_sysclass_is_plain(si.entry.nr))
		return;
	unguarded++;
	name_of(pid, si.instruction_pointer - 2, name, sizeof(name), &off);
	printf("unguarded %s+%lx %lu\n", name, (unsigned long)off,
	       (unsigned long)si.entry.nr);
}

static void forget(pid_t pid)
{
	for (int i = 0; i < NR_SEEN; i++)
		if (seen[i].pid == pid)
			seen[i].pid = 0;
	*state_of(pid) = 0;
}

/* A forked child is guarded as its parent is. */
static void inherit(pid_t tid)
{
	unsigned long child = 0;

	ptrace(PTRACE_GETEVENTMSG, tid, 0, &child);
	if (child)
		*state_of((pid_t)child) = *state_of(group_of(tid));
}

/* One stop of a task; the signal that it is to get. */
static int on_stop(pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (sig == (SIGTRAP | 0x80)) {
		on_call(tid);
		return 0;
	}
	if (event == PTRACE_EVENT_EXEC)
		forget(tid);
	else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
		inherit(tid);
	return event || sig == SIGSTOP ? 0 : sig;
}

int main(int argc, char **argv)
{
	const long opts = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |
			  PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			  PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int status, code = 0;
	pid_t first, tid;

	if (argc < 2)
		return 2;
	first = fork();
	if (!first) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (waitpid(first, &status, 0) != first ||
	    ptrace(PTRACE_SETOPTIONS, first, 0, opts))
		return 2;
	ptrace(PTRACE_SYSCALL, first, 0, 0);
	while ((tid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			ptrace(PTRACE_SYSCALL, tid, 0, on_stop(tid, status));
		else if (tid == first)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 126;
	}
	printf("guarded %lu\n", guarded);
	if (code)
		fprintf(stderr, "the command's status: %d\n", code);
	return unguarded || code;
}
