/* SPDX-License-Identifier: MIT */
/*
 * From a stub to C and back, and a copy that survives memory that is not
 * there.
 *
 * A stub calls nb_guard_enter_entry or nb_guard_leave_entry with the index of
 * its site in r11 and, in rcx, the address in the program's text that it
 * stands for.  Both registers are free around a system call; all others but
 * the flags come back as they were, or as the C functions changed them in
 * struct nb_regs.
 *
 * The stub of a call of a bridge (bridge.c) calls nb_guard_enter_call_entry:
 * arguments are where C has them, the bridge's own first one in rdi, the
 * number in rsi.  rcx is one of them, so that the address is in r10 there;
 * rax, r10 and r11 are free.  What the C functions change is put where the
 * bridge will look for it.
 *
 * To an unwinder the frame looks like that of a signal which arrived at the
 * address given with the stack pointer of the site: it gets from a hook to
 * the program without knowing of stubs.
 *
 * The C functions are called with a stack aligned to 16 bytes and use no
 * vector registers.  When the first of them says so the second one follows,
 * with the vector and x87 state saved: these are the parts of XCR0 that
 * nb_guard_xsave_mask names, or those of FXSAVE if it is 0.
 */
#if defined(__x86_64__) && defined(__LP64__)

#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

/* struct nb_regs */
#define REG_RAX 0
#define REG_RDI 8
#define REG_RSI 16
#define REG_RDX 24
#define REG_R10 32
#define REG_R8 40
#define REG_R9 48
#define REG_SP 56
#define REG_SITE 64

/* The red zone, which the stub skipped, the return address, rbp. */
#define SITE_SP (128 + 8 + 8)

/* struct nb_slot, its first call, and what makes an end unusual: guard.c */
#define SLOT_STACK_LO 16
#define SLOT_STACK_HI 24
#define SLOT_DEPTH 64
#define SLOT_OVERFLOW 72
#define CALL_SP 80
#define CALL_FLAGS 88
#define CALL_NR_RANGES 92
#define CALL_START 96
#define CALL_END 104
#define CALL_NR 224
#define CALL_BYTES 272
#define CALL_SLOW (4 + 8 + 16)

/* Below rbp: address of the site, that of struct nb_regs, rdi, the struct. */
#define SLOT_SITE -8
#define SLOT_REGS -16
#define SLOT_RDI -24
#define FRAME (16 + 72)

	.text
	.hidden nb_guard_enter
	.hidden nb_guard_enter_slow
	.hidden nb_guard_leave
	.hidden nb_guard_leave_slow
	.hidden nb_guard_shared_children
	.hidden nb_guard_quick
	.hidden nb_nr_armed
	.hidden nb_slot_guess
	.hidden nb_guard_xsave_mask
	.hidden nb_guard_xsave_bytes
	.hidden nb_guard_xsave_compact

/*
 * The two quick ways for what is usual.  Nothing is saved but what they use,
 * below the stack pointer, where signal handlers leave 128 bytes alone.  In
 * whatever case they go on behind with all registers as they were, and
 * whatever they have written then does no harm.
 *
 * enter: a thread on its usual stack and with no call in flight makes a call
 * of nb_guard_quick: buf is its only memory, len how much of it.  Nothing is
 * armed.  As nb_call_push() and nb_call_publish().
 */
	.macro QUICK_ENTER nr, buf, len, slot, sp
	cmpq	$0, nb_nr_armed(%rip)
	jne	9f
	cmp	$63, \nr
	ja	9f
	mov	\slot, -24(%rsp)
	mov	\sp, -32(%rsp)
	mov	nb_guard_quick(%rip), \slot
	bt	\nr, \slot
	jnc	8f
	cmpl	$0, nb_guard_shared_children(%rip)
	jne	8f
	mov	nb_slot_guess@gottpoff(%rip), \slot
	mov	%fs:(\slot), \slot
	test	\slot, \slot
	je	8f
	lea	SITE_SP - 8(%rsp), \sp
	cmp	SLOT_STACK_LO(\slot), \sp
	jb	8f
	cmp	SLOT_STACK_HI(\slot), \sp
	jae	8f
	cmpl	$0, SLOT_DEPTH(\slot)
	jne	8f
	cmpq	$0, SLOT_OVERFLOW(\slot)
	jne	8f
	mov	\sp, CALL_SP(\slot)
	movl	$1, SLOT_DEPTH(\slot)
	cmp	CALL_SP(\slot), \sp
	jne	8f
	movq	$0, CALL_FLAGS(\slot) /* and nr_ranges */
	mov	\nr, CALL_NR(\slot) /* and hook: none */
	test	\buf, \buf
	je	8f
	mov	\buf, \sp
	mov	\buf, CALL_START(\slot)
	add	\len, \sp
	jc	8f
	mov	\sp, CALL_END(\slot)
	movl	$1, CALL_NR_RANGES(\slot)
	cmpq	$0, nb_nr_armed(%rip)
	jne	8f
	mov	-24(%rsp), \slot
	mov	-32(%rsp), \sp
	ret
8:
	mov	-24(%rsp), \slot
	mov	-32(%rsp), \sp
9:
	.endm

/*
 * leave: the call's entry is the top one and nobody wants to know of its end.
 * The depth is stored as it was read, less one: see inflight.c, point 6.
 */
	.macro QUICK_LEAVE
	cmp	$-14, %rax /* -EFAULT */
	je	9f
	cmpl	$0, nb_guard_shared_children(%rip)
	jne	9f
	mov	%rax, -24(%rsp)
	mov	%rdx, -32(%rsp)
	mov	%rdi, -40(%rsp)
	mov	nb_slot_guess@gottpoff(%rip), %rdi
	mov	%fs:(%rdi), %rdi
	test	%rdi, %rdi
	je	8f
	lea	SITE_SP - 8(%rsp), %rax
	cmp	SLOT_STACK_LO(%rdi), %rax
	jb	8f
	cmp	SLOT_STACK_HI(%rdi), %rax
	jae	8f
	mov	SLOT_DEPTH(%rdi), %edx
	sub	$1, %edx
	jb	8f
	mov	%rdx, -48(%rsp)
	imul	$CALL_BYTES, %rdx, %rdx
	cmp	CALL_SP(%rdi, %rdx), %rax
	jne	8f
	testl	$CALL_SLOW, CALL_FLAGS(%rdi, %rdx)
	jne	8f
	cmpq	$0, SLOT_OVERFLOW(%rdi)
	jne	8f
	mov	-48(%rsp), %edx
	mov	%edx, SLOT_DEPTH(%rdi)
	mov	-24(%rsp), %rax
	mov	-32(%rsp), %rdx
	mov	-40(%rsp), %rdi
	ret
8:
	mov	-24(%rsp), %rax
	mov	-32(%rsp), %rdx
	mov	-40(%rsp), %rdi
9:
	.endm

	/* Registers of a site to struct nb_regs and back. */
	.macro FROM_SITE
	mov	%rax, REG_RAX(%rsp)
	mov	%rdi, REG_RDI(%rsp)
	mov	%rsi, REG_RSI(%rsp)
	mov	%rdx, REG_RDX(%rsp)
	mov	%r10, REG_R10(%rsp)
	mov	%r8, REG_R8(%rsp)
	mov	%r9, REG_R9(%rsp)
	lea	SITE_SP(%rbp), %rax
	mov	%rax, REG_SP(%rsp)
	.endm

	.macro TO_SITE
	mov	REG_RAX(%rsp), %rax
	mov	REG_RDI(%rsp), %rdi
	mov	REG_RSI(%rsp), %rsi
	mov	REG_RDX(%rsp), %rdx
	mov	REG_R10(%rsp), %r10
	mov	REG_R8(%rsp), %r8
	mov	REG_R9(%rsp), %r9
	.endm

	/* Likewise, of a call of a bridge; two arguments are on the stack. */
	.macro FROM_CALL
	mov	%rdi, SLOT_RDI(%rbp)
	mov	%rsi, REG_RAX(%rsp)
	mov	%rdx, REG_RDI(%rsp)
	mov	%rcx, REG_RSI(%rsp)
	mov	%r8, REG_RDX(%rsp)
	mov	%r9, REG_R10(%rsp)
	lea	SITE_SP(%rbp), %rax
	mov	%rax, REG_SP(%rsp)
	mov	(%rax), %rdx
	mov	%rdx, REG_R8(%rsp)
	mov	8(%rax), %rdx
	mov	%rdx, REG_R9(%rsp)
	.endm

	.macro TO_CALL
	mov	REG_R8(%rsp), %rdx
	mov	%rdx, SITE_SP(%rbp)
	mov	REG_R9(%rsp), %rdx
	mov	%rdx, SITE_SP + 8(%rbp)
	mov	SLOT_RDI(%rbp), %rdi
	mov	REG_RAX(%rsp), %rsi
	mov	REG_RDI(%rsp), %rdx
	mov	REG_RSI(%rsp), %rcx
	mov	REG_RDX(%rsp), %r8
	mov	REG_R10(%rsp), %r9
	.endm

	/* at: the register with the address that the stub stands for */
	.macro GUARD_ENTRY name, fast, slow, at, from, to, quick:vararg
	.globl \name
	.hidden \name
	.type \name, @function
	.balign 16
\name:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa %rsp, SITE_SP - 8
	.cfi_register %rip, \at
	_CET_ENDBR
	\quick
	push	%rbp
	.cfi_def_cfa_offset SITE_SP
	.cfi_offset %rbp, -SITE_SP
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	push	\at
	.cfi_offset %rip, -SITE_SP - 8
	sub	$FRAME, %rsp
	and	$-16, %rsp
	\from
	mov	%r11, REG_SITE(%rsp)
	cld
	mov	%rsp, %rdi
	call	\fast
	test	%al, %al
	jne	2f
1:
	\to
	mov	SLOT_SITE(%rbp), \at
	.cfi_remember_state
	.cfi_register %rip, \at
	leave
	.cfi_def_cfa %rsp, SITE_SP - 8
	.cfi_restore %rbp
	ret
	.cfi_restore_state
2:
	mov	%rsp, SLOT_REGS(%rbp)
	sub	nb_guard_xsave_bytes(%rip), %rsp
	and	$-64, %rsp
	mov	nb_guard_xsave_mask(%rip), %rax
	test	%rax, %rax
	je	5f
	mov	%rax, %rdx
	shr	$32, %rdx
	/* The header, of which XSAVE writes but a part. */
	xor	%ecx, %ecx
	mov	%rcx, 512(%rsp)
	mov	%rcx, 520(%rsp)
	mov	%rcx, 528(%rsp)
	mov	%rcx, 536(%rsp)
	mov	%rcx, 544(%rsp)
	mov	%rcx, 552(%rsp)
	mov	%rcx, 560(%rsp)
	mov	%rcx, 568(%rsp)
	cmpb	$0, nb_guard_xsave_compact(%rip)
	je	3f
	xsavec64 (%rsp)
	jmp	4f
3:
	xsave64	(%rsp)
4:
	mov	SLOT_REGS(%rbp), %rdi
	call	\slow
	mov	nb_guard_xsave_mask(%rip), %rax
	mov	%rax, %rdx
	shr	$32, %rdx
	xrstor64 (%rsp)
	mov	SLOT_REGS(%rbp), %rsp
	jmp	1b
5:
	fxsave64 (%rsp)
	mov	SLOT_REGS(%rbp), %rdi
	call	\slow
	fxrstor64 (%rsp)
	mov	SLOT_REGS(%rbp), %rsp
	jmp	1b
	.cfi_endproc
	.size \name, . - \name
	.endm

	GUARD_ENTRY nb_guard_enter_entry, nb_guard_enter, nb_guard_enter_slow, \
		%rcx, FROM_SITE, TO_SITE, \
		QUICK_ENTER %rax, %rsi, %rdx, %rdi, %r8
	GUARD_ENTRY nb_guard_enter_call_entry, nb_guard_enter, \
		nb_guard_enter_slow, %r10, FROM_CALL, TO_CALL, \
		QUICK_ENTER %rsi, %rcx, %r8, %rdi, %r9
	GUARD_ENTRY nb_guard_leave_entry, nb_guard_leave, nb_guard_leave_slow, \
		%rcx, FROM_SITE, TO_SITE, QUICK_LEAVE

/* long nb_guard_copy(void *to, const void *from, uint64_t bytes) */
	.globl nb_guard_copy, nb_guard_copy_begin
	.globl nb_guard_copy_end, nb_guard_copy_fault
	.hidden nb_guard_copy, nb_guard_copy_begin
	.hidden nb_guard_copy_end, nb_guard_copy_fault
	.type nb_guard_copy, @function
	.balign 16
nb_guard_copy:
	.cfi_startproc
	_CET_ENDBR
	mov	%rdx, %rcx
nb_guard_copy_begin:
	rep movsb
nb_guard_copy_end:
	xor	%eax, %eax
	ret
nb_guard_copy_fault:
	mov	$-14, %rax /* -EFAULT */
	ret
	.cfi_endproc
	.size nb_guard_copy, . - nb_guard_copy

#endif

	.section .note.GNU-stack, "", %progbits
