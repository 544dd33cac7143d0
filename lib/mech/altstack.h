/* SPDX-License-Identifier: MIT */
/*
 * An alternate signal stack of ours for each thread that has none.
 */
#ifndef NB_ALTSTACK_H
#define NB_ALTSTACK_H

#include "../base/util.h"

#include <signal.h>

struct nb_slot;

enum nb_altstack_whose {
	NB_ALTSTACK_NONE,    /* the thread has none */
	NB_ALTSTACK_OURS,    /* the thread believes that it has none */
	NB_ALTSTACK_INSTEAD, /* ours, in place of one that is too small */
	NB_ALTSTACK_THEIRS,
};

int nb_altstack_init(uint64_t min_frame);
enum nb_altstack_whose nb_altstack_install(struct nb_slot *slot);
void nb_altstack_unmap(struct nb_slot *slot, uint64_t start, uint64_t end);
long nb_altstack_set(struct nb_slot *slot, const stack_t *ss, stack_t *old);
enum nb_altstack_whose nb_altstack_whose(const stack_t *kernel);

#endif /* NB_ALTSTACK_H */
