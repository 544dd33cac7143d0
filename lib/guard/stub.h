/* SPDX-License-Identifier: MIT */
/*
 * Stubs as bytes: what a site's windows are replaced by.
 */
#ifndef NB_GUARD_STUB_H
#define NB_GUARD_STUB_H

#include "patch.h"

#define NB_JUMP_LEN 5U /* jmp rel32 */
/* The stubs of a site are never longer. */
#define NB_STUBS_MAX 256U
/* A site's windows and what is between them. */
#define NB_SITE_SPAN_MAX (2 * NB_WINDOW_MAX + NB_SYSCALL_LEN)

/* Stubs being written. */
struct nb_stub_buf {
	uint8_t *out;
	uint32_t room;
	uint32_t len;
	uint64_t at;	     /* where out[0] will be */
	uint64_t enter;	     /* address of a pointer to nb_guard_enter_entry */
	uint64_t leave;	     /* ... nb_guard_leave_entry */
	uint64_t enter_call; /* ... nb_guard_enter_call_entry */
	int err;
};

int nb_stub_build(struct nb_patched *p, uint32_t index, struct nb_stub_buf *b);
int nb_stub_jumps(const struct nb_patched *p, uint8_t *to);
uint64_t nb_stub_original(const struct nb_patched *p, uint64_t addr,
			  unsigned int *skew);

/* The first byte of a site's windows, and how many there are with all. */
static inline uint64_t nb_site_start(const struct nb_patched *p)
{
	return p->addr - p->pre_len;
}

static inline unsigned int nb_site_span(const struct nb_patched *p)
{
	return p->pre_len + nb_site_insn_len(p->call) + p->post_len;
}

#endif /* NB_GUARD_STUB_H */
