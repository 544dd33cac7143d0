/* SPDX-License-Identifier: MIT */
/*
 * Entering a handler of the application for a SIGSEGV that the kernel has
 * delivered to us.
 *
 * Our own handler runs on the alternate stack.  A handler of the application
 * that did not ask for one expects to be on the stack that was interrupted,
 * and must be there: the next hint fault makes its frame at the top of the
 * alternate stack again, over whatever is there.  So the frame is copied below
 * the interrupted stack pointer, just as the kernel would have made it, and the
 * handler returns through the copy.
 *
 * Called by sigchain.c, in the handler.  x86-64; elsewhere the handler is
 * called on the frame as it is.
 *
 * Invariant: while the copy is being made SIGSEGV is open.  A stack that is
 * armed costs a hint fault, one that is used up makes the copy fail.
 */
#include "sigframe.h"

#include "../base/mutant.h"
#include "../plat/sys.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

void (*nb_sigmove_run)(int sig, siginfo_t *info, void *uc);

/**
 * nb_sigframe_on_alt() - is a stack pointer on the alternate stack?
 * @uc: a signal's context: it tells which alternate stack the thread had.
 * @sp: the stack pointer.
 *
 * Context: signal handler.
 * Return: true if so.
 */
bool nb_sigframe_on_alt(const ucontext_t *uc, uint64_t sp)
{
	uint64_t start = (uint64_t)uc->uc_stack.ss_sp;

	if (uc->uc_stack.ss_flags & SS_DISABLE)
		return false;
	return sp > start && sp - start <= uc->uc_stack.ss_size;
}

#if defined(__x86_64__)

/* What is below a stack pointer and still in use. */
#define RED_ZONE (NB_NO_RED_ZONE ? 0 : 128)
/* struct rt_sigframe: return address, the kernel's ucontext, siginfo. */
#define UC_AT 8
#define INFO_AT (UC_AT + 304)
#define FRAME_BYTES (INFO_AT + 128)
#define FP_ALIGN 64
#define FP_LEGACY_BYTES 512
#define FP_MAX_BYTES (64 * 1024)
/* struct _fpx_sw_bytes, in the legacy area: how much follows it. */
#define FP_SW_AT 464
#define FP_SW_MAGIC 0x46505853U

/*
 * nb_restore_rt: byte for byte what unwinders and debuggers recognise as the
 * end of a signal frame: mov $15,%rax; syscall.
 *
 * nb_sigsegv_entry: called by the kernel, so all registers are free.  The
 * return address of the handler is here, and its return ends up in
 * nb_restore_rt: what the handler leaves in the context's mask is for the
 * application's idea of the mask before it is for the kernel.
 *
 * nb_sigframe_copy: a copy that may fail.
 */
__asm__(".pushsection .text,\"ax\",@progbits\n"
	".balign 16\n"
	"nop\n"
	".globl nb_restore_rt\n"
	".hidden nb_restore_rt\n"
	".type nb_restore_rt,@function\n"
	"nb_restore_rt:\n"
	".byte 0x48,0xc7,0xc0,0x0f,0x00,0x00,0x00,0x0f,0x05\n"
	".size nb_restore_rt,.-nb_restore_rt\n"

	".balign 16\n"
	".globl nb_sigsegv_entry\n"
	".hidden nb_sigsegv_entry\n"
	".hidden nb_sigsegv_handle\n"
	".hidden nb_sigsegv_return\n"
	".type nb_sigsegv_entry,@function\n"
	"nb_sigsegv_entry:\n"
	".cfi_startproc\n"
	"	sub $40, %rsp\n" /* struct nb_sigjump; mask is on top */
	".cfi_def_cfa_offset 48\n"
	"	mov %rsp, %rcx\n"
	"	call nb_sigsegv_handle\n"
	"	test %al, %al\n"
	"	jz 1f\n"
	"	mov 0(%rsp), %rbx\n"
	"	mov 16(%rsp), %r12\n"
	"	mov 24(%rsp), %r13\n"
	"	mov 8(%rsp), %rsp\n"
	".cfi_def_cfa_offset 8\n"
	/* The mask last: what is pending comes on the handler's own stack. */
	"	mov $2, %edi\n" /* SIG_SETMASK */
	"	lea -8(%rsp), %rsi\n"
	"	xor %edx, %edx\n"
	"	mov $8, %r10d\n"
	"	mov $14, %eax\n" /* rt_sigprocmask */
	"	syscall\n"
	"	sub $8, %rsp\n"
	".cfi_def_cfa_offset 16\n"
	"	mov $11, %edi\n" /* SIGSEGV */
	"	mov %r12, %rsi\n"
	"	mov %r13, %rdx\n"
	"	xor %eax, %eax\n"
	"	call *%rbx\n"
	"	mov %r13, %rdi\n"
	"	call nb_sigsegv_return\n"
	"	add $8, %rsp\n"
	".cfi_def_cfa_offset 8\n"
	"	ret\n"
	"1:\n"
	".cfi_def_cfa_offset 48\n"
	"	add $40, %rsp\n"
	".cfi_def_cfa_offset 8\n"
	"	ret\n"
	".cfi_endproc\n"
	".size nb_sigsegv_entry,.-nb_sigsegv_entry\n"

	".balign 16\n"
	".hidden nb_sigframe_copy\n"
	".hidden nb_sigframe_copy_fault\n"
	".hidden nb_sigframe_copy_end\n"
	".globl nb_sigframe_copy\n"
	".globl nb_sigframe_copy_fault\n"
	".globl nb_sigframe_copy_end\n"
	".type nb_sigframe_copy,@function\n"
	"nb_sigframe_copy:\n"
	".cfi_startproc\n"
	"	mov %rdx, %rcx\n"
	"	rep movsb\n"
	"	mov $1, %eax\n"
	"	ret\n"
	"nb_sigframe_copy_fault:\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".cfi_endproc\n"
	"nb_sigframe_copy_end:\n"
	".size nb_sigframe_copy,.-nb_sigframe_copy\n"
	".popsection\n");

_Static_assert(
	offsetof(ucontext_t, uc_stack) == 16 &&
		offsetof(ucontext_t, uc_mcontext.gregs[REG_R13]) == 80 &&
		offsetof(ucontext_t, uc_mcontext.gregs[REG_RDI]) == 104 &&
		offsetof(ucontext_t, uc_mcontext.gregs[REG_RBX]) == 128 &&
		offsetof(ucontext_t, uc_mcontext.gregs[REG_RDX]) == 136 &&
		offsetof(ucontext_t, uc_mcontext.gregs[REG_RSP]) == 160 &&
		offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]) == 168 &&
		offsetof(ucontext_t, uc_mcontext.fpregs) == 224,
	"as in sigmove.S");
_Static_assert(offsetof(struct nb_sigjump, sp) == 8 &&
		       offsetof(struct nb_sigjump, info) == 16 &&
		       offsetof(struct nb_sigjump, uc) == 24 &&
		       offsetof(struct nb_sigjump, mask) == 32 &&
		       sizeof(struct nb_sigjump) == 40,
	       "as in the code above");

/* True, or false when @to cannot be written. */
bool nb_sigframe_copy(void *to, const void *from, uint64_t bytes);
extern const char nb_sigframe_copy_fault[], nb_sigframe_copy_end[];

/**
 * nb_sigframe_sp() - the stack pointer of an interrupted context
 * @uc: the context.
 *
 * Context: signal handler.
 * Return: it.
 */
uint64_t nb_sigframe_sp(const ucontext_t *uc)
{
	return (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
}

/**
 * nb_sigframe_copy_failed() - was it a copy of a frame that faulted?
 * @uc: the interrupted context; goes on with the failure, then.
 *
 * Context: signal handler.
 * Return: true if so.
 */
bool nb_sigframe_copy_failed(ucontext_t *uc)
{
	uint64_t ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

	if (ip >= (uint64_t)nb_sigmove_entry &&
	    ip < (uint64_t)nb_sigmove_commit) {
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)nb_sigmove_fault;
		return true;
	}
	if (ip < (uint64_t)nb_sigframe_copy ||
	    ip >= (uint64_t)nb_sigframe_copy_end)
		return false;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)nb_sigframe_copy_fault;
	return true;
}

/**
 * nb_sigframe_stay() - let a handler run on the frame as the kernel made it
 * @jump: handler and mask are set; the rest is filled in.
 * @info: as the kernel passed it.
 * @uc: likewise.
 *
 * Context: signal handler.
 */
void nb_sigframe_stay(struct nb_sigjump *jump, siginfo_t *info, ucontext_t *uc)
{
	jump->sp = (uint64_t)uc - UC_AT;
	jump->info = (uint64_t)info;
	jump->uc = (uint64_t)uc;
}

static uint64_t fp_bytes(const char *fp)
{
	uint32_t magic, bytes;

	memcpy(&magic, fp + FP_SW_AT, sizeof(magic));
	memcpy(&bytes, fp + FP_SW_AT + sizeof(magic), sizeof(bytes));
	return magic == FP_SW_MAGIC ? bytes : FP_LEGACY_BYTES;
}

/* The mask, the frame and the vector state: top down, as the stack grows. */
static bool write_frame(struct nb_sigjump *jump, uint64_t fp,
			const ucontext_t *uc, uint64_t bytes)
{
	uint64_t fp_at = jump->uc + offsetof(ucontext_t, uc_mcontext.fpregs);

	if (bytes &&
	    !nb_sigframe_copy((void *)fp, uc->uc_mcontext.fpregs, bytes))
		return false;
	return nb_sigframe_copy((void *)jump->sp, (const char *)uc - UC_AT,
				FRAME_BYTES) &&
	       (!bytes || nb_sigframe_copy((void *)fp_at, &fp, sizeof(fp))) &&
	       nb_sigframe_copy((void *)(jump->sp - sizeof(jump->mask)),
				&jump->mask, sizeof(jump->mask));
}

/**
 * nb_sigframe_move() - let a handler run on the interrupted stack
 * @jump: handler and mask are set; the rest is filled in.
 * @info: as the kernel passed it.
 * @uc: likewise.
 *
 * Context: signal handler, all signals blocked.
 * Return: false if there is no room on that stack.
 */
bool nb_sigframe_move(struct nb_sigjump *jump, siginfo_t *info, ucontext_t *uc)
{
	uint64_t segv = 1ULL << (SIGSEGV - 1), all = ~0ULL;
	uint64_t bytes = 0, fp = nb_sigframe_sp(uc) - RED_ZONE;
	bool ok;

	if (uc->uc_mcontext.fpregs)
		bytes = fp_bytes((const char *)uc->uc_mcontext.fpregs);
	/* Not the kernel's frame: some tool is between. */
	if (bytes > FP_MAX_BYTES ||
	    (uint64_t)info != (uint64_t)uc - UC_AT + INFO_AT) {
		nb_sigframe_stay(jump, info, uc);
		return true;
	}
	fp = nb_align_down(fp - bytes, FP_ALIGN);
	jump->sp = nb_align_down(fp - FRAME_BYTES, 16) - 8;
	jump->info = jump->sp + INFO_AT;
	jump->uc = jump->sp + UC_AT;
	nb_syscall6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&segv, 0,
		    sizeof(segv), 0, 0);
	ok = write_frame(jump, fp, uc, bytes);
	nb_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof(all),
		    0, 0);
	return ok;
}

#else

/**
 * nb_sigmove_entry() - the kernel's handler of other signals
 * @sig: which.
 * @info: as the kernel passed it.
 * @uc: the interrupted context.
 *
 * Context: signal handler.
 */
void nb_sigmove_entry(int sig, siginfo_t *info, void *uc)
{
	nb_sigmove_run(sig, info, uc);
}

uint64_t nb_sigframe_sp(const ucontext_t *uc)
{
	(void)uc;
	return (uint64_t)__builtin_frame_address(0);
}

bool nb_sigframe_copy_failed(ucontext_t *uc)
{
	(void)uc;
	return false;
}

void nb_sigframe_stay(struct nb_sigjump *jump, siginfo_t *info, ucontext_t *uc)
{
	jump->info = (uint64_t)info;
	jump->uc = (uint64_t)uc;
}

bool nb_sigframe_move(struct nb_sigjump *jump, siginfo_t *info, ucontext_t *uc)
{
	nb_sigframe_stay(jump, info, uc);
	return true;
}

/**
 * nb_sigsegv_entry() - the kernel's handler of SIGSEGV
 * @sig: SIGSEGV.
 * @info: where and why.
 * @uc: the interrupted context.
 *
 * Context: signal handler, all signals blocked.
 */
void nb_sigsegv_entry(int sig, siginfo_t *info, void *uc)
{
	struct nb_sigjump jump;

	if (!nb_sigsegv_handle(sig, info, uc, &jump))
		return;
	nb_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&jump.mask, 0,
		    sizeof(jump.mask), 0, 0);
	((void (*)(int, siginfo_t *, void *))jump.handler)(sig, info, uc);
	nb_sigsegv_return(uc);
}

#endif
