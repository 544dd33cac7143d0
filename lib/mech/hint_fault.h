/* SPDX-License-Identifier: MIT */
/*
 * 2. The hint fault: from SIGSEGV to a record and an accessible chunk.
 */
#ifndef NB_MECH_HINT_FAULT_H
#define NB_MECH_HINT_FAULT_H

#include "../plat/sys.h"
#include "slot.h"

#include <signal.h>

struct nb_fault_totals {
	_Atomic uint64_t unknown;      /* by threads without a slot */
	_Atomic uint64_t races;	       /* resolved by somebody else */
	_Atomic uint64_t not_restored; /* the kernel refused to give back */
	_Atomic uint64_t frame_lost;   /* signals whose frame found no access */
	_Atomic uint64_t kept; /* hint faults of threads with a keeper */
};

extern struct nb_fault_totals nb_fault_totals;

void nb_hint_fault_init(const struct nb_sys *sys, uint32_t *wake_word);
void nb_hint_fault_set_copy(const void *begin, const void *end,
			    const void *fault);
void nb_open_new_stack(struct nb_slot *slot, uint64_t sp);
bool nb_hint_fault(const siginfo_t *info, ucontext_t *uc);

#endif /* NB_MECH_HINT_FAULT_H */
