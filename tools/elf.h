/* SPDX-License-Identifier: MIT */
/*
 * Whether a program can be preloaded into.
 */
#ifndef NB_ELF_H
#define NB_ELF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum nb_target_why {
	NB_TARGET_OK,	  /* or nothing is known against it */
	NB_TARGET_STATIC, /* no dynamic linker that could preload */
	NB_TARGET_SETUID, /* the dynamic linker ignores LD_PRELOAD */
	NB_TARGET_SETGID,
	NB_TARGET_CAPS,
	NB_TARGET_MACHINE, /* 32 bits, or another architecture */
	NB_TARGET_LIBC,	   /* ours and its C library in one process: crash */
};

struct nb_target {
	char path[PATH_MAX]; /* the file that @why is about */
	enum nb_target_why why;
	int nr_interpreters; /* "#!" lines between the command and @path */
	char argument[256];  /* what follows @path in the last of them */
};

int nb_target_resolve(const char *command, const char *search, char *path,
		      size_t size);
int nb_target_check(const char *path, struct nb_target *t);
bool nb_target_env(const struct nb_target *t, char *name, size_t size);
const char *nb_target_text(enum nb_target_why why);

#endif /* NB_ELF_H */
