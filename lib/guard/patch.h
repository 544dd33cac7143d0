/* SPDX-License-Identifier: MIT */
/*
 * Stubs and patches: makes guarded sites out of found ones, in this process.
 */
#ifndef NB_GUARD_PATCH_H
#define NB_GUARD_PATCH_H

#include "site.h"

/* A guarded site of this process. */
struct nb_patched {
	uint64_t addr;	   /* of the syscall instruction, or behind the call */
	uint64_t pre_stub; /* 0: none; for OUT_OF_LINE the whole stub */
	uint64_t post_stub;
	/* Where the syscall executes (stub if moved); @call: the bridge. */
	uint64_t syscall_addr;
	int32_t nr;
	uint8_t kind;
	uint8_t pre_len, post_len;
	uint8_t pre_stub_len, post_stub_len;
	uint8_t nr_pre_map, nr_post_map;
	bool call; /* of a bridge: bytes begin with it */
	struct nb_insn_map pre_map[8], post_map[8];
	uint8_t bytes[2 * NB_WINDOW_MAX]; /* the original: pre, then post */
};

/* A module: one executable segment. */
struct nb_module {
	uint64_t start, end; /* in memory */
	uint64_t bias;	     /* memory address - link-time address */
	char name[64];	     /* last part of the path */
	struct nb_site_counts counts;
	uint32_t first_patched, nr_patched;
	bool gone; /* unmapped */
};

/*
 * Single-threaded, or no other thread may be inside of the text concerned
 * (a segment that was just mapped).  Return: 0 or -errno; what could not be
 * guarded is in the module's counts.
 */
int nb_patch_init(void);
void nb_patch_after_fork(void);
int nb_patch_image(const struct nb_image *im, uint64_t bias, const char *name);
void nb_patch_forget(uint64_t start, uint64_t end); /* it is being unmapped */
bool nb_patch_covers(uint64_t start, uint64_t end);
bool nb_patch_intact(void);
int nb_patch_nr_modules(void);
const struct nb_module *nb_patch_module(int i);
const struct nb_patched *nb_patch_site(uint64_t index);
uint32_t nb_patch_nr_sites(void);

/*
 * Where a stub stands for: @addr, an address in a stub, is the equivalent of
 * *@original in the program's text.  All registers are the program's but the
 * stack pointer, which is lower by nb_patch_skew() bytes.  (In enter or leave,
 * that is not in a stub: see nb_guard_active_regs.)  False: no stub.
 */
bool nb_patch_original(uint64_t addr, uint64_t *original,
		       const struct nb_patched **site);
unsigned int nb_patch_skew(uint64_t addr);
bool nb_patch_owns(uint64_t addr);

#endif /* NB_GUARD_PATCH_H */
