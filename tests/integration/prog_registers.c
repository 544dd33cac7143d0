/* SPDX-License-Identifier: MIT */
/*
 * prog_registers PRELOAD LIBRARY...: does any guarded site change what its
 * instructions alone do not?  Runs itself with PRELOAD, has it load the
 * libraries, and compares each window that was replaced by a jump: once as it
 * is now, with the stubs, and once with the bytes of the file, from the same
 * registers, flags, vector and x87 state, and stack.  System calls at the
 * sites are not made: both get the same result.
 *
 * What differs between file and memory is found without help of the library
 * under test.  Prints a line for each difference, and what was compared; exit
 * status 1 if there was one.  Knows nothing of numabal but its file names.
 */
#define _GNU_SOURCE
#include "changed_text.h"

#include <dlfcn.h>
#include <elf.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define MAX_STEPS 80
#define STATUS_FLAGS 0x8d5UL /* of arithmetic */
#define RED_ZONE 128
#define ABOVE 256
#define STUB 256UL /* nor a site's stubs */
#define SCRATCH 65536UL
#define XSTATE 16384

struct told {
	uint64_t scratch, landing;
};

/* What a run has come to. */
struct shot {
	struct user_regs_struct at_call, r;
	uint8_t x[XSTATE];
	uint8_t stack[RED_ZONE + ABOVE];
	bool called;
};

struct round {
	unsigned long flags;
	long result;
};

/* The call's number, where a register that is not the site's has it. */
static int number_in = -1;
static uint64_t mark_base;
static int bad, compared, not_run, rewritten, live_checked;
static struct told told;
static struct user_regs_struct first;
static struct iovec xstate;

/* ---- the one that is looked at ------------------------------------------- */

__attribute__((noinline)) static void landing(void)
{
	for (;;)
		__asm__ volatile("");
}

static int be_looked_at(char **libs)
{
	struct told t = {0, (uint64_t)(uintptr_t)landing};
	void *p = mmap(NULL, SCRATCH, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (; *libs; libs++)
		if (!dlopen(*libs, RTLD_NOW))
			printf("no %s\n", *libs);
	fflush(stdout);
	t.scratch = (uint64_t)(uintptr_t)p;
	if (p == MAP_FAILED || write(3, &t, sizeof(t)) != sizeof(t))
		return 2;
	landing(); /* no call in flight */
	return 0;
}

/* ---- running ------------------------------------------------------------- */

static int resume(int how, int sig)
{
	int status;

	if (ptrace(how, pid, 0, sig) || waitpid(pid, &status, 0) != pid ||
	    !WIFSTOPPED(status))
		die("it ended");
	return WSTOPSIG(status);
}

static void registers(struct user_regs_struct *r, bool set)
{
	if (ptrace(set ? PTRACE_SETREGS : PTRACE_GETREGS, pid, 0, r))
		die("registers");
}

/* From within a function of the guard to where it was called from. */
static bool finish(const struct user_regs_struct *r)
{
	const uint8_t trap = 0xcc;
	struct user_regs_struct now;
	uint64_t back;
	uint8_t was;
	int sig = 0;

	if (!get(r->rsp, &back, sizeof(back)) || !get(back, &was, 1))
		return false;
	put(back, &trap, 1);
	do /* its own faults are its own */
		sig = resume(PTRACE_CONT, sig);
	while (sig == SIGSEGV);
	put(back, &was, 1);
	registers(&now, false);
	if (sig != SIGTRAP || now.rip != back + 1)
		return false;
	now.rip = back;
	registers(&now, true);
	return true;
}

/*
 * What is in register @i: an address, so that windows may use it as one, or
 * an offset from fs.
 */
static uint64_t mark_of(int i)
{
	return mark_base + (uint64_t)i * (mark_base ? 2048 : 8);
}

/* The register that @v came from; -1: none. */
static int marked(uint64_t v)
{
	for (int i = 0; i < 15; i++)
		if ((uint32_t)v == (uint32_t)mark_of(i))
			return i;
	return -1;
}

/* The same state for both, with something else in each register. */
static void prepare(const struct site *s, const struct round *round)
{
	struct user_regs_struct r = first;
	unsigned long long *const free_regs[] = {
		&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8,	&r.r9,	&r.rbx, &r.rbp,
		&r.r12, &r.r13, &r.r14, &r.r15, &r.rcx, &r.r11, &r.rax,
	};
	uint64_t above[ABOVE / 8], below[RED_ZONE / 8];
	static const uint8_t zeros[SCRATCH];

	for (size_t i = 0; i < sizeof(free_regs) / sizeof(*free_regs); i++)
		*free_regs[i] =
			number_in == (int)i ? SYS_futex : mark_of((int)i);
	for (size_t i = 0; i < ABOVE / 8; i++)
		above[i] = told.landing;
	for (size_t i = 0; i < RED_ZONE / 8; i++)
		below[i] = told.scratch + 8 * i;
	r.rsp = (first.rsp - 65536) & ~15UL;
	r.rip = s->start;
	r.orig_rax = ~0UL;
	r.eflags = (r.eflags & ~STATUS_FLAGS) | round->flags;
	put(told.scratch, zeros, sizeof(zeros));
	put(r.rsp, above, sizeof(above));
	put(r.rsp - RED_ZONE, below, sizeof(below));
	registers(&r, true);
	if (ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &xstate))
		die("vector state");
}

/* Is the thread at a system call?  Then it is as if it had been made. */
static bool skip_call(struct user_regs_struct *r, struct shot *shot,
		      long result)
{
	uint8_t b[2];

	if (!get(r->rip, b, 2) || b[0] != 0x0f || b[1] != 0x05)
		return false;
	shot->at_call = *r;
	shot->called = true;
	r->rip += 2;
	r->rcx = r->rip;
	r->r11 = r->eflags;
	r->rax = (unsigned long)result;
	registers(r, true);
	return true;
}

/*
 * From the window to behind it: to @until, or with stubs to where the
 * program's own code goes on.  False: that is never reached.
 */
static bool run(const struct site *s, const struct round *round, uint64_t until,
		struct shot *shot)
{
	struct iovec x = {shot->x, sizeof(shot->x)};
	struct user_regs_struct *r = &shot->r;
	uint64_t stub = 0;
	bool done = false;

	memset(shot, 0, sizeof(*shot));
	prepare(s, round);
	for (int i = 0; i < MAX_STEPS && !done; i++) {
		registers(r, false);
		if (shot->called)
			done = until ? r->rip == until
				     : r->rip == told.landing ||
					       (in_text(s, r->rip) &&
						!stub_at(s, r->rip));
		if (done || skip_call(r, shot, round->result))
			continue;
		if (stub_at(s, r->rip))
			stub = stub_at(s, r->rip);
		if (!stub || in_text(s, r->rip) || r->rip - stub < STUB) {
			if (resume(PTRACE_SINGLESTEP, 0) != SIGTRAP)
				return false;
		} else if (!finish(r)) {
			return false;
		}
	}
	return done && !ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &x) &&
	       get(r->rsp - RED_ZONE, shot->stack, sizeof(shot->stack));
}

/* ---- comparing ----------------------------------------------------------- */

static void differs(const struct site *s, const char *what,
		    const struct shot *a)
{
	bad++;
	printf("FAIL %s, site %lx, call %lld: %s\n", s->module,
	       (unsigned long)s->start, a->at_call.rax, what);
}

#define REG(name)                                                              \
	{                                                                      \
#name, offsetof(struct user_regs_struct, name)                 \
	}
static const struct reg {
	const char *name;
	size_t at;
} kept_regs[] = {REG(rax), REG(rbx), REG(rbp), REG(rsp),     REG(r12),
		 REG(r13), REG(r14), REG(r15), REG(fs_base), REG(gs_base)},
  arg_regs[] = {REG(rdi), REG(rsi), REG(rdx), REG(r10), REG(r8), REG(r9)};

static int cmp_regs(const struct reg *l, size_t n,
		    const struct user_regs_struct *a,
		    const struct user_regs_struct *b, const char **name)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp((const char *)a + l[i].at, (const char *)b + l[i].at,
			   8) != 0) {
			*name = l[i].name;
			return 1;
		}
	return 0;
}

/* One instruction further; false: flags mean nothing from here on. */
static bool step_on(const struct site *s, struct user_regs_struct *r)
{
	uint8_t b[2];

	if (!get(r->rip, b, 2) || b[0] == 0xc3 || b[0] == 0xe8 ||
	    (b[0] == 0x0f && b[1] == 0x05) || r->rip == told.landing ||
	    stub_at(s, r->rip))
		return false;
	registers(r, true);
	if (resume(PTRACE_SINGLESTEP, 0) != SIGTRAP)
		return false;
	registers(r, false);
	return true;
}

/* Instructions from @r on, as far as flags may matter; returns how many. */
static int follow(const struct site *s, const struct shot *shot,
		  struct user_regs_struct *list)
{
	static const uint8_t zeros[SCRATCH];
	int n = 0;

	put(told.scratch, zeros, sizeof(zeros));
	put(shot->r.rsp - RED_ZONE, shot->stack, sizeof(shot->stack));
	list[0] = shot->r;
	while (n + 1 < MAX_STEPS) {
		list[n + 1] = list[n];
		if (!step_on(s, &list[n + 1]))
			break;
		n++;
	}
	return n;
}

/* Flags differ: does the code that follows want to know? */
static bool flags_matter(const struct site *s, const struct shot *a,
			 struct shot *b)
{
	static struct user_regs_struct x[MAX_STEPS], y[MAX_STEPS];
	int n, m;

	live_checked++;
	b->r.rcx = a->r.rcx; /* the system call's */
	b->r.r11 = a->r.r11;
	n = follow(s, a, x);
	m = follow(s, b, y);
	for (int i = 1; i <= n && i <= m && x[i].rip == y[i].rip; i++)
		if (!((x[i].eflags ^ y[i].eflags) & STATUS_FLAGS))
			return false;
	return n != m || x[n].rip != y[n].rip;
}

static void compare(const struct site *s, struct shot *a, struct shot *b)
{
	const char *name;

	if (cmp_regs(arg_regs, 6, &a->at_call, &b->at_call, &name) ||
	    a->at_call.rax != b->at_call.rax) {
		rewritten++;
		/* The guard has made the call itself, and knows the result. */
		if (a->at_call.rax != b->at_call.rax)
			a->r.rax = b->r.rax;
	} else if (cmp_regs(kept_regs, 10, &a->at_call, &b->at_call, &name)) {
		differs(s, name, a);
		return;
	}
	if (cmp_regs(kept_regs, 10, &a->r, &b->r, &name) ||
	    cmp_regs(arg_regs, 6, &a->r, &b->r, &name))
		differs(s, name, a);
	if (memcmp(a->x, b->x, xstate.iov_len) != 0)
		differs(s, "vector or x87 state", a);
	if (memcmp(a->stack, b->stack, sizeof(a->stack)) != 0)
		differs(s, "the stack", a);
	if ((a->r.eflags ^ b->r.eflags) & STATUS_FLAGS && flags_matter(s, a, b))
		differs(s, "flags", a);
}

static bool try_site(const struct site *s, const struct round *round)
{
	static struct shot now, then;
	bool ok;

	number_in = -1;
	ok = run(s, round, 0, &now);
	/* Once more: both find in memory what that has left there. */
	number_in = ok ? marked(now.at_call.rax) : -1;
	ok = ok && run(s, round, 0, &now);
	put(s->start, s->was, SPAN);
	ok = ok && run(s, round, now.r.rip, &then);
	if (ok) {
		compared++;
		compare(s, &then, &now);
	}
	put(s->start, s->is, SPAN);
	return ok;
}

static void try_all(const struct round *round)
{
	for (int i = 0; i < nr_sites; i++) {
		mark_base = told.scratch + 8192;
		if (try_site(&sites[i], round))
			continue;
		mark_base = 0;
		if (try_site(&sites[i], round))
			continue;
		printf("not run: %s, %lx\n", sites[i].module,
		       (unsigned long)sites[i].start);
		not_run++;
	}
}

/* A pattern in everything that XSAVE knows of. */
static void fill_vectors(void)
{
	static uint8_t x[XSTATE];
	uint64_t xcr0;

	xstate = (struct iovec){x, sizeof(x)};
	if (ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &xstate))
		die("vector state");
	memcpy(&xcr0, x + 464, sizeof(xcr0));
	x[24] = 0x80; /* MXCSR: all masked, exceptions seen, round down */
	x[25] = 0x3f;
	x[0] = 0x7f; /* x87: another precision */
	x[1] = 0x02;
	for (size_t i = 32; i < 160; i++)
		x[i] = i % 16 < 10 ? (uint8_t)(i * 3 + 1) : 0;
	for (size_t i = 160; i < 416; i++)
		x[i] = (uint8_t)(i * 5 + 1);
	if (xcr0 & 4) /* the upper halves of YMM */
		for (size_t i = 576; i < 832; i++)
			x[i] = (uint8_t)(i * 7 + 1);
	xcr0 &= 7;
	memcpy(x + 512, &xcr0, sizeof(xcr0));
	x[4] = 0xff; /* all x87 registers are in use */
	if (ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &xstate) ||
	    ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &xstate))
		die("vector state");
	printf("vector state: XCR0 %lx, %zu bytes\n", (unsigned long)xcr0,
	       xstate.iov_len);
}

static void start(char **argv)
{
	int fds[2], status;
	char path[64];

	if (pipe(fds))
		exit(2);
	pid = fork();
	if (!pid) {
		dup2(fds[1], 3);
		setenv("LD_PRELOAD", argv[1], 1);
		argv[1] = (char *)"-";
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(fds[1]);
	if (read(fds[0], &told, sizeof(told)) != sizeof(told) ||
	    ptrace(PTRACE_ATTACH, pid, 0, 0) ||
	    waitpid(pid, &status, 0) != pid ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL)) {
		puts("no ptrace");
		kill(pid, SIGKILL);
		exit(77);
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	registers(&first, false);
	fill_vectors();
}

int main(int argc, char **argv)
{
	static const struct round rounds[] = {{STATUS_FLAGS, -EINVAL},
					      {0, -EFAULT}};

	if (argc < 2)
		return 2;
	if (argv[1][0] == '-')
		return be_looked_at(argv + 2);
	start(argv);
	find_sites();
	for (int k = 0; k < 2; k++)
		try_all(&rounds[k]);
	kill(pid, SIGKILL);
	printf("%d sites, %d compared, %d not run, %d rewritten, flags "
	       "followed %d times\n",
	       nr_sites, compared, not_run, rewritten, live_checked);
	for (int i = 0, n = 0; i < nr_sites; i++) {
		n++;
		if (i + 1 < nr_sites &&
		    !strcmp(sites[i].module, sites[i + 1].module))
			continue;
		printf("module %s %d\n", sites[i].module, n);
		n = 0;
	}
	return bad || not_run || !nr_sites;
}
