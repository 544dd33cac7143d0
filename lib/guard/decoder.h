/* SPDX-License-Identifier: MIT */
/*
 * One x86-64 instruction, as far as moving it and following it needs.
 */
#ifndef NB_GUARD_DECODER_H
#define NB_GUARD_DECODER_H

#include "../base/util.h"

/* Where execution goes after an instruction. */
enum nb_flow {
	NB_FLOW_NEXT,
	NB_FLOW_SYSCALL,
	NB_FLOW_JUMP,	       /* to one place */
	NB_FLOW_JUMP_INDIRECT, /* to anywhere */
	NB_FLOW_COND,	       /* to one place, or on */
	NB_FLOW_SHORT, /* likewise, but reaches 127 bytes: loop, jrcxz */
	NB_FLOW_CALL,
	NB_FLOW_RET,
	NB_FLOW_TRAP,  /* ud2, hlt: not on */
	NB_FLOW_FIXED, /* on, but only makes sense where it is */
};

/* What an instruction does to rax. */
enum nb_rax {
	NB_RAX_KEPT,
	NB_RAX_CONST, /* eax = imm, the upper half its sign or zero */
	NB_RAX_OTHER,
};

/* What jumps through tables, and calls that end functions, are made of. */
enum nb_form {
	NB_FORM_OTHER,
	NB_FORM_LEA,   /* lea table(%rip),reg */
	NB_FORM_LOAD,  /* movslq (reg,index,4),... */
	NB_FORM_STACK, /* a frame is taken down */
	NB_FORM_JUMP,  /* jmp *reg */
};

struct nb_insn {
	uint8_t len;
	uint8_t flow; /* enum nb_flow */
	uint8_t rax;  /* enum nb_rax */
	uint8_t op;   /* offset of the opcode, behind prefixes */
	uint8_t form; /* enum nb_form */
	uint8_t reg;  /* the one that the form names */
	uint8_t disp; /* offset of a disp32 that is relative to rip; 0: none */
	bool direct;  /* @rel is set: jump, call or condition to one place */
	bool padding; /* a nop or int3, as there are between functions */
	bool endbr;   /* where an indirect jump or call may arrive */
	int32_t imm;
	int32_t rel; /* target, or with @disp: what is meant - end */
};

bool nb_decode(const uint8_t *p, uint64_t room, struct nb_insn *in);

/* Does execution never arrive at the instruction behind? */
static inline bool nb_insn_ends(const struct nb_insn *in)
{
	return in->flow == NB_FLOW_JUMP || in->flow == NB_FLOW_JUMP_INDIRECT ||
	       in->flow == NB_FLOW_RET || in->flow == NB_FLOW_TRAP;
}

/*
 * Can it be executed elsewhere?  Calls leave their address on the stack (and
 * on a shadow stack), loops cannot reach far; a branch with prefixes is
 * nothing that compilers make.
 */
static inline bool nb_insn_movable(const struct nb_insn *in)
{
	switch (in->flow) {
	case NB_FLOW_NEXT:
	case NB_FLOW_JUMP_INDIRECT:
	case NB_FLOW_RET:
	case NB_FLOW_TRAP:
		return true;
	case NB_FLOW_JUMP:
	case NB_FLOW_COND:
		return !in->op;
	default:
		return false;
	}
}

#endif /* NB_GUARD_DECODER_H */
