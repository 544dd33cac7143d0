/* SPDX-License-Identifier: MIT */
/*
 * Sites: the `syscall` instructions of a module, and how each can be guarded.
 *
 * A window is a run of whole instructions of at least 5 bytes that a jump can
 * replace: pre ends right before the syscall, post begins right after it.  The
 * syscall instruction itself stays where it is.
 */
#ifndef NB_GUARD_SITE_H
#define NB_GUARD_SITE_H

#include "image.h"

#define NB_WINDOW_MAX 24 /* bytes */
#define NB_NR_UNKNOWN (-1)

enum nb_site_kind {
	NB_SITE_BRACKET,     /* pre and post */
	NB_SITE_PRE_ONLY,    /* no post: entries are popped lazily */
	NB_SITE_OUT_OF_LINE, /* window holds the syscall: executed in the stub
			      */
	NB_SITE_PLAIN,	   /* constant number, no memory, no hook: left alone */
	NB_SITE_SIGRETURN, /* the restorer: never touched */
	NB_SITE_BRIDGE,	   /* bridge.c: never touched, its calls are sites */
	NB_SITE_UNGUARDED, /* none of these can be done */
};

enum nb_site_why {
	NB_SITE_OK,
	NB_SITE_NO_FUNCTION, /* no .eh_frame entry covers it */
	NB_SITE_NOT_REACHED, /* decoding does not arrive at it */
	NB_SITE_PRE_SHORT,   /* fewer than 5 bytes before it */
	NB_SITE_PRE_TARGET,  /* a jump leads into the window */
	NB_SITE_PRE_FIXED,   /* an instruction there cannot be moved */
	NB_SITE_POST_SHORT,
	NB_SITE_POST_TARGET,
	NB_SITE_POST_FIXED,
	NB_SITE_CANCEL, /* a bridge that cannot be guarded by its calls */
	NB_NR_SITE_WHY
};

struct nb_site {
	/* Of the syscall instruction, link time; @call: behind the call. */
	uint64_t vaddr;
	int32_t nr;	  /* constant call number, or NB_NR_UNKNOWN */
	uint8_t kind;	  /* enum nb_site_kind */
	uint8_t why;	  /* enum nb_site_why: of the missing window */
	uint8_t pre_len;  /* bytes before the syscall; 0: no window */
	uint8_t post_len; /* bytes after the syscall; 0: no window */
	bool call;	  /* the call of a bridge, which is its pre window */
};

#define NB_SYSCALL_LEN 2U /* syscall */

/* Bytes between the two windows of a site. */
static inline unsigned int nb_site_insn_len(bool call)
{
	return call ? 0 : NB_SYSCALL_LEN;
}

struct nb_site_counts {
	uint32_t candidates; /* byte pairs 0f 05 */
	uint32_t false_hits; /* ... that are no instruction */
	uint32_t kind[NB_SITE_UNGUARDED + 1];
	uint32_t why[NB_NR_SITE_WHY];
};

/* The decoder (libZydis), opened when needed: 0 or -ENOSYS. */
int nb_decoder_open(void);
void nb_decoder_close(void);

int nb_sites_find(const struct nb_image *im, struct nb_site *sites, int max,
		  struct nb_site_counts *counts);
const char *nb_site_kind_name(enum nb_site_kind kind);
const char *nb_site_why_text(enum nb_site_why why);

/* Where instructions of a window begin, there and in its copy. */
struct nb_insn_map {
	uint8_t from;
	uint8_t to;
};

/* A copy of a window. */
struct nb_moved {
	uint8_t *out; /* in: where to write it */
	unsigned int room;
	struct nb_insn_map *map; /* in: room for NB_WINDOW_MAX; NULL: no map */
	unsigned int nr_map;	 /* out */
};

/*
 * Copy the instructions of a window, to run at address @to instead of @from:
 * relative operands and branches are fixed up, a branch that was short becomes
 * near.  Return: bytes written, or -ERANGE / -EINVAL / -ENOSPC.
 */
int nb_window_move(const uint8_t *window, unsigned int len, uint64_t from,
		   uint64_t to, struct nb_moved *m);

#endif /* NB_GUARD_SITE_H */
