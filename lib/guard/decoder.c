/* SPDX-License-Identifier: MIT */
/*
 * Instructions, by libZydis: opened by name when there is code to look at and
 * closed afterwards, so that programs do not have it mapped for nothing and
 * numabal still starts where it is not installed.  Here its answers become the
 * little that site.c, branch.c and window.c ask for.
 */
#include "decoder.h"

#include "site.h"

#include <errno.h>

#if defined(__x86_64__) && __has_include(<Zydis/Zydis.h>)

#include <Zydis/Zydis.h>
#include <dlfcn.h>
#include <stdio.h>

typedef ZyanStatus decode_fn(const ZydisDecoder *d, ZydisDecoderContext *ctx,
			     const void *buf, ZyanUSize room,
			     ZydisDecodedInstruction *z);
typedef ZyanStatus init_fn(ZydisDecoder *d, ZydisMachineMode mode,
			   ZydisStackWidth width);
typedef ZyanStatus enable_fn(ZydisDecoder *d, ZydisDecoderMode mode,
			     ZyanBool on);
typedef ZyanU64 version_fn(void);

static void *lib;
static decode_fn *decode;
static ZydisDecoder decoder;

/**
 * nb_decoder_open() - get ready to decode.
 *
 * Context: not in a signal handler; one caller at a time.  Calls dlopen().
 * Return: 0, -ENOSYS when there is no libZydis of the version built for.
 */
int nb_decoder_open(void)
{
	version_fn *version;
	enable_fn *enable;
	init_fn *init;
	char name[32];

	if (lib)
		return 0;
	/* The structures are those of the header's major and minor version. */
	snprintf(name, sizeof(name), "libZydis.so.%d.%d",
		 ZYDIS_VERSION_MAJOR(ZYDIS_VERSION),
		 ZYDIS_VERSION_MINOR(ZYDIS_VERSION));
	lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return -ENOSYS;
	version = (version_fn *)dlsym(lib, "ZydisGetVersion");
	init = (init_fn *)dlsym(lib, "ZydisDecoderInit");
	enable = (enable_fn *)dlsym(lib, "ZydisDecoderEnableMode");
	decode = (decode_fn *)dlsym(lib, "ZydisDecoderDecodeInstruction");
	if (!version || !init || !enable || !decode ||
	    version() >> 32 != ZYDIS_VERSION >> 32 ||
	    !ZYAN_SUCCESS(init(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
			       ZYDIS_STACK_WIDTH_64)) ||
	    !ZYAN_SUCCESS(
		    enable(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE))) {
		nb_decoder_close();
		return -ENOSYS;
	}
	return 0;
}

/**
 * nb_decoder_close() - forget the decoder.
 *
 * Context: as nb_decoder_open().
 */
void nb_decoder_close(void)
{
	if (lib)
		dlclose(lib);
	lib = NULL;
	decode = NULL;
}

static bool has_prefix(const ZydisDecodedInstruction *z, uint8_t value)
{
	for (int i = 0; i < z->raw.prefix_count; i++)
		if (z->raw.prefixes[i].value == value)
			return true;
	return false;
}

static uint8_t flow_one_byte(const ZydisDecodedInstruction *z)
{
	switch (z->opcode) {
	case 0x70 ... 0x7f:
		return NB_FLOW_COND;
	case 0xe0 ... 0xe3:
		return NB_FLOW_SHORT;
	case 0xe8:
		return NB_FLOW_CALL;
	case 0xe9:
	case 0xeb:
		return NB_FLOW_JUMP;
	case 0xc2:
	case 0xc3:
		return NB_FLOW_RET;
	case 0xf4: /* hlt */
		return NB_FLOW_TRAP;
	case 0xca: /* far returns, software interrupts */
	case 0xcb:
	case 0xcc:
	case 0xcd:
	case 0xcf:
	case 0xf1:
		return NB_FLOW_FIXED;
	case 0xff:
		if (z->raw.modrm.reg == 2 || z->raw.modrm.reg == 3)
			return NB_FLOW_CALL;
		if (z->raw.modrm.reg == 4 || z->raw.modrm.reg == 5)
			return NB_FLOW_JUMP_INDIRECT;
		return NB_FLOW_NEXT;
	default:
		return NB_FLOW_NEXT;
	}
}

static uint8_t flow_two_bytes(const ZydisDecodedInstruction *z)
{
	switch (z->opcode) {
	case 0x05:
		return NB_FLOW_SYSCALL;
	case 0x80 ... 0x8f:
		return NB_FLOW_COND;
	case 0x0b: /* ud2 */
		return NB_FLOW_TRAP;
	case 0x07: /* sysret, sysenter, sysexit, ud1, rsm, ud0 */
	case 0x34:
	case 0x35:
	case 0xaa:
	case 0xb9:
	case 0xff:
		return NB_FLOW_FIXED;
	default:
		return NB_FLOW_NEXT;
	}
}

static void set_flow(const ZydisDecodedInstruction *z, struct nb_insn *in)
{
	bool legacy = z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	bool rel = z->raw.imm[0].is_relative;

	if (legacy && z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		in->flow = flow_one_byte(z);
	else if (legacy && z->opcode_map == ZYDIS_OPCODE_MAP_0F)
		in->flow = flow_two_bytes(z);
	if (rel && in->flow == NB_FLOW_NEXT) /* xbegin */
		in->flow = NB_FLOW_FIXED;
	in->direct = rel;
	in->rel = rel ? (int32_t)z->raw.imm[0].value.s : 0;
	if (!(z->attributes & ZYDIS_ATTRIB_HAS_MODRM) || z->raw.modrm.mod ||
	    z->raw.modrm.rm != 5 || z->raw.disp.size != 32)
		return;
	in->disp = z->raw.disp.offset;
	in->rel = (int32_t)z->raw.disp.value;
	if (z->address_width != 64) /* relative to eip */
		in->flow = NB_FLOW_FIXED;
}

static void set_kind(const ZydisDecodedInstruction *z, struct nb_insn *in)
{
	bool legacy = z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	bool rep = has_prefix(z, 0xf3);

	if (!legacy)
		return;
	if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		in->padding = (z->opcode == 0x90 && !rep && !z->raw.rex.B) ||
			      z->opcode == 0xcc;
	if (z->opcode_map != ZYDIS_OPCODE_MAP_0F)
		return;
	in->padding = z->opcode == 0x1f;
	in->endbr = z->opcode == 0x1e && rep && z->raw.modrm.mod == 3 &&
		    z->raw.modrm.reg == 7;
}

/* Is general register 0 (with the prefix's bit) not the one meant? */
static uint8_t rax_if(uint8_t reg, uint8_t rex_bit)
{
	return reg || rex_bit ? NB_RAX_KEPT : NB_RAX_OTHER;
}

static uint8_t rax_if_rm(const ZydisDecodedInstruction *z)
{
	if (z->raw.modrm.mod != 3)
		return NB_RAX_KEPT;
	return rax_if(z->raw.modrm.rm, z->raw.rex.B);
}

static uint8_t rax_one_byte(const ZydisDecodedInstruction *z)
{
	const ZydisDecodedInstructionRaw *raw = &z->raw;
	bool al = !raw->modrm.reg && !raw->modrm.rm && !raw->rex.B;

	switch (z->opcode) {
	case 0x31: /* xor %eax,%eax */
	case 0x33:
		if (al && !raw->rex.R && raw->modrm.mod == 3 &&
		    z->operand_width >= 32)
			return NB_RAX_CONST;
		return z->opcode == 0x31 ? rax_if_rm(z)
					 : rax_if(raw->modrm.reg, raw->rex.R);
	case 0xb8: /* not the form with 8 bytes */
		if (raw->rex.B)
			return NB_RAX_KEPT;
		return z->operand_width == 32 ? NB_RAX_CONST : NB_RAX_OTHER;
	case 0xc7:
		if (al && raw->modrm.mod == 3 && z->operand_width >= 32 &&
		    !raw->imm[0].is_relative)
			return NB_RAX_CONST;
		return rax_if_rm(z);
	case 0x01:
	case 0x09:
	case 0x21:
	case 0x29:
	case 0x83:
	case 0x89:
		return rax_if_rm(z);
	case 0x03:
	case 0x0b:
	case 0x23:
	case 0x2b:
	case 0x63:
	case 0x8b:
	case 0x8d:
		return rax_if(raw->modrm.reg, raw->rex.R);
	case 0xb9 ... 0xbf:
	case 0x38 ... 0x3d: /* cmp */
	case 0x50 ... 0x57: /* push */
	case 0x59 ... 0x5f: /* pop */
	case 0x84 ... 0x85: /* test */
	case 0xa8 ... 0xa9:
		return NB_RAX_KEPT;
	case 0x90: /* with the prefix: xchg */
		return raw->rex.B ? NB_RAX_OTHER : NB_RAX_KEPT;
	default:
		return NB_RAX_OTHER;
	}
}

/* What is not known to leave rax alone, does not. */
static void set_rax(const ZydisDecodedInstruction *z, struct nb_insn *in)
{
	in->rax = NB_RAX_OTHER;
	if (in->flow == NB_FLOW_COND)
		in->rax = NB_RAX_KEPT;
	else if (in->flow == NB_FLOW_NEXT &&
		 z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
		 z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		in->rax = rax_one_byte(z);
	else if (in->padding || in->endbr)
		in->rax = NB_RAX_KEPT;
	if (in->rax != NB_RAX_CONST)
		return;
	/* xor has no immediate: 0 */
	in->imm = (int32_t)z->raw.imm[0].value.s;
}

/* movslq without displacement, four bytes per element. */
static bool is_table_load(const ZydisDecodedInstructionRaw *raw)
{
	if (!raw->rex.W || raw->modrm.rm != 4 || raw->sib.scale != 2)
		return false;
	/* rbp and r13 need one to be a base, and have one of 0. */
	return raw->modrm.mod == (raw->sib.base == 5) && !raw->disp.value;
}

static void set_form(const ZydisDecodedInstruction *z, struct nb_insn *in)
{
	const ZydisDecodedInstructionRaw *raw = &z->raw;

	if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return;
	if (z->opcode == 0x8d && in->disp) {
		in->form = NB_FORM_LEA;
		in->reg = (uint8_t)(raw->modrm.reg | raw->rex.R << 3);
	} else if (z->opcode == 0x63 && is_table_load(raw)) {
		in->form = NB_FORM_LOAD;
		in->reg = (uint8_t)(raw->sib.base | raw->rex.B << 3);
	} else if ((z->opcode & 0xf8) == 0x58 || z->opcode == 0xc9) {
		in->form = NB_FORM_STACK;
	} else if ((z->opcode == 0x83 || z->opcode == 0x81) &&
		   raw->modrm.mod == 3 && !raw->modrm.reg &&
		   raw->modrm.rm == 4 && !raw->rex.B) {
		in->form = NB_FORM_STACK; /* add ...,%rsp */
	} else if (z->opcode == 0xff && raw->modrm.mod == 3 &&
		   raw->modrm.reg == 4) {
		in->form = NB_FORM_JUMP;
	}
}

/**
 * nb_decode() - decode one instruction.
 * @p:    its bytes
 * @room: how many may be looked at
 * @in:   out
 *
 * Context: the decoder is open; one caller at a time.
 * Return: false when there is no instruction, or none that fits.
 */
bool nb_decode(const uint8_t *p, uint64_t room, struct nb_insn *in)
{
	ZydisDecodedInstruction z;

	if (!decode || !room ||
	    !ZYAN_SUCCESS(decode(&decoder, NULL, p, room, &z)))
		return false;
	*in = (struct nb_insn){
		.len = z.length,
		.op = z.raw.prefix_count,
	};
	set_flow(&z, in);
	set_kind(&z, in);
	set_rax(&z, in);
	set_form(&z, in);
	return true;
}

#else

int nb_decoder_open(void)
{
	return -ENOSYS;
}

void nb_decoder_close(void)
{
}

bool nb_decode(const uint8_t *p, uint64_t room, struct nb_insn *in)
{
	(void)p;
	(void)room;
	(void)in;
	return false;
}

#endif
