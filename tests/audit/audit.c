/* SPDX-License-Identifier: MIT */
/*
 * Where do the system calls of a command, and of all that it starts, come
 * from?  Follows it with ptrace(2), looks at each call's instruction, and
 * tells of those that no guard is around.
 *
 *	audit [-o FILE] COMMAND...
 *
 * Guarded is a call whose instruction has a jump to a stub before it, or that
 * is made in a stub.  Allowed without are calls of numabal itself, calls that
 * hand over no memory and that nobody needs to know of, and sigreturn.  What a
 * process does before its first guarded call is the loader's and not judged.
 *
 * A filter for system calls has only those stop that are to be judged.
 *
 * Prints "guarded N", and for each call that is not "unguarded FILE+OFFSET NR";
 * exit status 1 if there are such.  With -o that is added to FILE instead, and
 * this process becomes the command: who has started it sees nothing else.
 */
#define _GNU_SOURCE
#include "../../lib/guard/syscall.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_TASKS 65536
#define NR_JUDGED 512 /* system calls; what is newer stops always */
#define WINDOW 24
#define JUMP 5

enum where { GUARDED, OURS, UNGUARDED };

/* Of a process: it runs guarded; of its other threads: whose they are. */
struct task {
	pid_t pid, group;
	int on, is_new; /* nothing of it is its parent's any more */
};

static struct task tasks[NR_TASKS];

/* The verdicts on instructions of this process image. */
#define NR_SEEN 8192
static struct {
	pid_t pid;
	uint64_t ip;
	enum where where;
} seen[NR_SEEN];

static unsigned long guarded, unguarded;
static FILE *report;

/* The process of a thread, by /proc. */
static pid_t group_of(pid_t tid)
{
	char path[64], line[256];
	int tgid = tid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return tgid;
}

static struct task *task_of(pid_t tid)
{
	for (unsigned int i = 0; i < NR_TASKS; i++) {
		struct task *t = &tasks[((unsigned int)tid + i) % NR_TASKS];

		if (t->pid == tid)
			return t;
		if (t->pid)
			continue;
		*t = (struct task){tid, group_of(tid), 0, 0};
		return t;
	}
	exit(2);
}

static struct task *process_of(pid_t tid)
{
	struct task *t = task_of(tid);

	return t->group == tid ? t : task_of(t->group);
}

/* Its number may be given again; the entry stays, for those behind it. */
static void ended(pid_t tid)
{
	task_of(tid)->group = tid;
	task_of(tid)->on = 0;
	task_of(tid)->is_new = 0;
}

/* What is mapped at @addr; @off: from its file's start. */
static void name_of(pid_t pid, uint64_t addr, char *name, size_t size,
		    uint64_t *off)
{
	unsigned long start, end, offset;
	char path[64], line[4200], prot[8];
	FILE *f;
	int at;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	snprintf(name, size, "?");
	*off = addr;
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s%n", &start, &end,
			   prot, &offset, &at) < 4 ||
		    addr < start || addr >= end)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, size, "%s", line + at + strspn(line + at, " "));
		*off = addr - start + offset;
		if (!*name && prot[2] != 'x')
			snprintf(name, size, "[data]");
		break;
	}
	if (f)
		fclose(f);
}

static int read_code(pid_t pid, uint64_t from, void *to, size_t n)
{
	struct iovec l = {to, n}, r = {(void *)from, n};

	return process_vm_readv(pid, &l, 1, &r, 1, 0) == (ssize_t)n;
}

/* Kernels may leave out the name that numabal gives them. */
static int is_stubs(const char *name)
{
	return !*name || !strcmp(name, "[anon:numabal stubs]");
}

/* In code without a name: is the call behind one of the guard's? */
static int in_stub(pid_t pid, uint64_t site)
{
	/* call *x(%rip); lea 128(%rsp), %rsp */
	static const uint8_t want[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};
	uint8_t code[6 + sizeof(want)];

	return read_code(pid, site - sizeof(code), code, sizeof(code)) &&
	       code[0] == 0xff && code[1] == 0x15 &&
	       !memcmp(code + 6, want, sizeof(want));
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

/*
 * Newer libcs make calls that can be cancelled in one function, which is left
 * as it is: is who called it led by way of a stub?
 */
static int has_call(pid_t pid, uint64_t sp)
{
	uint8_t code[JUMP];
	char name[4096];
	uint64_t off, behind;
	int32_t rel;

	if (!read_code(pid, sp, (uint8_t *)&behind, sizeof(behind)) ||
	    !read_code(pid, behind - JUMP, code, sizeof(code)) ||
	    code[0] != 0xe8)
		return 0;
	memcpy(&rel, code + 1, 4);
	name_of(pid, behind + (uint64_t)(int64_t)rel, name, sizeof(name), &off);
	return is_stubs(name);
}

static enum where judge(pid_t pid, uint64_t ip)
{
	const char *base;
	char name[4096];
	uint64_t off;

	if (has_jump(pid, ip - 2))
		return GUARDED;
	name_of(pid, ip, name, sizeof(name), &off);
	if (is_stubs(name) && in_stub(pid, ip - 2))
		return GUARDED;
	base = strrchr(name, '/');
	return base && !strncmp(base + 1, "libnumabal", 10) ? OURS : UNGUARDED;
}

/* @tid: of @pid, whose first thread may have ended. */
static enum where where_is(pid_t pid, pid_t tid, uint64_t ip)
{
	size_t i = (size_t)(ip ^ ip >> 13 ^ (uint64_t)pid) % NR_SEEN;

	/* What is not guarded may be soon. */
	if (seen[i].pid != pid || seen[i].ip != ip ||
	    seen[i].where == UNGUARDED) {
		seen[i].where = judge(tid, ip);
		seen[i].pid = pid;
		seen[i].ip = ip;
	}
	return seen[i].where;
}

static void on_call(pid_t tid)
{
	struct __ptrace_syscall_info si;
	struct task *t = process_of(tid);
	enum where w;
	char name[4096];
	uint64_t off;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(si), &si) <= 0 ||
	    si.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return;
	w = where_is(t->pid, tid, si.instruction_pointer);
	if (w == UNGUARDED && has_call(t->pid, si.stack_pointer))
		w = GUARDED;
	if (w == GUARDED) {
		t->on = 1;
		guarded++;
	}
	if (w != UNGUARDED || !t->on)
		return;
	name_of(tid, si.instruction_pointer - 2, name, sizeof(name), &off);
	if (!strcmp(name, "?")) /* killed meanwhile: it has no memory */
		return;
	unguarded++;
	fprintf(report, "unguarded %s+%lx %lu\n", name, (unsigned long)off,
		(unsigned long)si.seccomp.nr);
}

/* Another program: nothing is known of it. */
static void forget(pid_t pid)
{
	for (int i = 0; i < NR_SEEN; i++)
		if (seen[i].pid == pid)
			seen[i].pid = 0;
	ended(pid);
	task_of(pid)->is_new = 1;
}

/* A forked child is guarded as its parent is; a thread is nobody yet. */
static void inherit(pid_t tid, int event)
{
	unsigned long child = 0;
	struct task *t;

	ptrace(PTRACE_GETEVENTMSG, tid, 0, &child);
	if (!child)
		return;
	t = task_of((pid_t)child);
	if (t->is_new) /* the child was quicker */
		return;
	t->group = group_of((pid_t)child);
	if (event != PTRACE_EVENT_CLONE || t->group == (pid_t)child)
		t->on = process_of(tid)->on;
}

/* A stop of a task; lets it go on. */
static void on_stop(pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	switch (event) {
	case PTRACE_EVENT_SECCOMP:
		on_call(tid);
		break;
	case PTRACE_EVENT_EXEC:
		forget(tid);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		inherit(tid, event);
		break;
	case PTRACE_EVENT_STOP:
		if (sig != SIGTRAP) { /* stopped by a signal: it stays so */
			ptrace(PTRACE_LISTEN, tid, 0, 0);
			return;
		}
	}
	ptrace(PTRACE_CONT, tid, 0, (long)(event ? 0 : sig));
}

/* Stop at all calls that hand over memory, or that a guard wants to know of. */
static int filter(void)
{
	static struct sock_filter code[2 * NR_JUDGED + 2];
	struct sock_fprog prog = {.filter = code};
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned int nr = 0; nr < NR_JUDGED; nr++) {
		if (!nb_sysclass_is_plain(nr) && nr != SYS_rt_sigreturn)
			continue;
		code[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							 SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						 SECCOMP_RET_TRACE);
	prog.len = n;
	if (!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return 0;
	/* Not privileged: then it gives up that its programs are. */
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* The command's own process, when somebody follows it. */
static int be_command(int go, char **command)
{
	char c;

	if (read(go, &c, 1) != 1 || filter()) {
		fprintf(stderr, "it cannot be followed\n");
		return 126;
	}
	close(go);
	execvp(command[0], command);
	perror(command[0]);
	return 127;
}

static int follow(pid_t first, int go)
{
	const long opts = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC |
			  PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			  PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int status, code = 0;
	pid_t tid;

	if (ptrace(PTRACE_SEIZE, first, 0, opts) || write(go, "", 1) != 1)
		return 126;
	close(go);
	while ((tid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status)) {
			on_stop(tid, status);
			continue;
		}
		ended(tid);
		if (tid == first)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 126;
	}
	fprintf(report, "guarded %lu\n", guarded);
	return code;
}

/* Nobody's child, with nothing open that somebody may wait for. */
static void follow_aside(pid_t first, int go, const char *to)
{
	char *text = NULL;
	size_t len = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = open(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

	setsid();
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	for (int i = 3; i < 1024; i++)
		if (i != go && i != fd)
			close(i);
	report = open_memstream(&text, &len);
	if (fd < 0 || !report)
		_exit(2);
	follow(first, go);
	fclose(report);
	_exit(write(fd, text, len) != (ssize_t)len);
}

/* In a process that is about to be the command. */
static int audit_aside(const char *to, char **command)
{
	pid_t first = getpid(), child;
	int go[2];

	if (pipe2(go, O_CLOEXEC))
		return 2;
	child = fork();
	if (!child) {
		if (!fork())
			follow_aside(first, go[1], to);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	close(go[1]);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	return be_command(go[0], command);
}

int main(int argc, char **argv)
{
	int go[2], code;
	pid_t first;

	if (argc > 3 && !strcmp(argv[1], "-o"))
		return audit_aside(argv[2], argv + 3);
	if (argc < 2 || pipe2(go, O_CLOEXEC))
		return 2;
	report = stdout;
	first = fork();
	if (!first) {
		close(go[1]);
		_exit(be_command(go[0], argv + 1));
	}
	close(go[0]);
	code = follow(first, go[1]);
	if (code)
		fprintf(stderr, "the command's status: %d\n", code);
	return unguarded || code;
}
