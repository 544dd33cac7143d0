/* SPDX-License-Identifier: MIT */
/*
 * The kernel's handler for signals that the program wants on the stack that
 * was interrupted.
 *
 * That stack may be memory that is armed and that nobody knows to be a stack:
 * a fiber's, say.  The kernel cannot make a signal's frame there, and throws
 * the signal away.  So all handlers ask for the alternate stack, where there
 * is always room, and the frame is copied from there to where the kernel would
 * have made it.  That costs a hint fault where the kernel would have failed.
 * The program's handler then runs there as if nothing had happened, and its
 * return uses the copy.  Where a thread has no alternate stack, or it was
 * interrupted on it, the frame stays.
 *
 * No signal is blocked meanwhile: masks are what the kernel has made them.
 * Instead everything before nb_sigmove_commit can be done again.  It reads the
 * frame as the kernel made it and writes below the interrupted stack pointer,
 * both of which stay as they are, and it uses no stack.  A signal that comes
 * in between, as two often do at once, finds that it has interrupted this
 * code.  It moves the frame that was being moved itself, from the beginning,
 * has that one's code go on at nb_sigmove_commit, and then moves its own frame
 * below: just as the kernel would have put them.
 *
 * rdx: the context in our own frame, and ebx: our signal, from the second
 * instruction on.  r8: the frame's context that is being moved, our own or one
 * further out.  r13: where that frame ends up.
 */
#if defined(__x86_64__) && defined(__LP64__)

/* struct rt_sigframe, from its ucontext on */
#define FRAME -8
#define SS_SP 16
#define SS_FLAGS 24
#define SS_SIZE 32
#define R13 80
#define RDI 104
#define RBX 128
#define RDX 136
#define RSP 160
#define RIP 168
#define FPREGS 224
#define INFO 304
#define FRAME_BYTES (8 + 304 + 128)
/* Below the frame, in what the kernel leaves alone: the next one further in. */
#define INNER -16

#define SS_DISABLE 2
#define RED_ZONE 128
/* As in sigframe.c. */
#define FP_LEGACY_BYTES 512
#define FP_MAX_BYTES (64 * 1024)
#define FP_SW_AT 464
#define FP_SW_MAGIC 0x46505853

	.text
	.hidden nb_sigmove_run
	.hidden nb_sigmove_no_room
	.globl nb_sigmove_entry, nb_sigmove_fault, nb_sigmove_commit
	.hidden nb_sigmove_entry, nb_sigmove_fault, nb_sigmove_commit
	.type nb_sigmove_entry, @function
	.balign 16
nb_sigmove_entry:
	.cfi_startproc
	mov	%edi, %ebx
	/* Not the kernel's frame: some tool is between. */
	lea	-FRAME(%rsp), %rax
	cmp	%rax, %rdx
	jne	.Lplain
	lea	INFO(%rdx), %rax
	cmp	%rax, %rsi
	jne	.Lplain

	/* Outwards, as long as it is us who was interrupted. */
	mov	%rdx, %r8
.Louter:
	mov	RIP(%r8), %rax
	lea	nb_sigmove_entry(%rip), %rcx
	sub	%rcx, %rax
	cmp	$(nb_sigmove_commit - nb_sigmove_entry), %rax
	ja	.Lwhere
	je	.Lbehind
	mov	RDX(%r8), %r9
	lea	FRAME(%r9), %rax
	cmp	%rax, RSP(%r8)
	jne	.Lwhere
	mov	%r8, INNER(%r9)
	mov	%r9, %r8
	jmp	.Louter

	/* It was about to go to r13: its frame stays with the one outside. */
.Lbehind:
	mov	R13(%r8), %rax
	mov	%rax, RSP(%r8)
	mov	RDX(%r8), %rcx
	add	$FRAME, %rcx
	cmp	%rax, %rcx
	je	.Lstay
	jmp	.Lmove

	/* Is the frame on an alternate stack, and was it entered just now? */
.Lwhere:
	testl	$SS_DISABLE, SS_FLAGS(%r8)
	jnz	.Lstay
	mov	%r8, %rax
	sub	SS_SP(%r8), %rax
	cmp	SS_SIZE(%r8), %rax
	jae	.Lstay
	mov	RSP(%r8), %rax
	sub	SS_SP(%r8), %rax
	dec	%rax
	cmp	SS_SIZE(%r8), %rax
	jb	.Lstay

	/* Vector state, then the rest: top down, as the stack grows. */
.Lmove:
	xor	%ecx, %ecx
	mov	FPREGS(%r8), %rsi
	test	%rsi, %rsi
	jz	1f
	mov	$FP_LEGACY_BYTES, %ecx
	cmpl	$FP_SW_MAGIC, FP_SW_AT(%rsi)
	jne	1f
	mov	FP_SW_AT + 4(%rsi), %ecx
	cmp	$FP_MAX_BYTES, %ecx
	ja	.Lstay
1:	mov	RSP(%r8), %rdi
	sub	$RED_ZONE, %rdi
	sub	%rcx, %rdi
	and	$-64, %rdi
	mov	%rdi, %r12
	rep movsb
	lea	-FRAME_BYTES(%r12), %rdi
	and	$-16, %rdi
	sub	$8, %rdi
	mov	%rdi, %r13
	lea	FRAME(%r8), %rsi
	mov	$FRAME_BYTES, %ecx
	rep movsb
	cmpq	$0, FPREGS(%r8)
	je	.Lnext
	mov	%r12, FPREGS - FRAME(%r13)
	jmp	.Lnext
.Lstay:
	lea	FRAME(%r8), %r13

	/* The store of rip is what counts: until then all is done again. */
.Lnext:
	cmp	%rdx, %r8
	je	nb_sigmove_commit
	mov	INNER(%r8), %r9
	lea	nb_sigmove_entry(%rip), %rax
	cmp	%rax, RIP(%r9)
	jne	2f
	mov	RDI(%r9), %rax
	mov	%rax, RBX(%r9)
2:	mov	%r13, R13(%r9)
	lea	nb_sigmove_commit(%rip), %rax
	mov	%rax, RIP(%r9)
	mov	%r9, %r8
	jmp	.Lbehind

	/* A copy has faulted: as when the kernel finds no room. */
nb_sigmove_fault:
	cmp	%rdx, %r8
	je	.Lno_room
	mov	INNER(%r8), %r9
	lea	.Lno_room(%rip), %rax
	mov	%rax, RIP(%r9)
	mov	%r9, %r8
	jmp	.Lwhere

nb_sigmove_commit:
	mov	%r13, %rsp
	mov	%ebx, %edi
	lea	INFO - FRAME(%rsp), %rsi
	lea	-FRAME(%rsp), %rdx
.Lplain:
	jmp	*nb_sigmove_run(%rip)
.Lno_room:
	mov	%rdx, %rdi
	jmp	nb_sigmove_no_room
	.cfi_endproc
	.size nb_sigmove_entry, . - nb_sigmove_entry

#endif

	.section .note.GNU-stack, "", %progbits
