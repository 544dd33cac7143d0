/* SPDX-License-Identifier: MIT */
/*
 * What the SIGSEGV handler writes and numabald reads.
 */
#ifndef NB_HINT_FAULT_H
#define NB_HINT_FAULT_H

#include <stdint.h>

enum nb_hint_fault_flags {
	NB_HF_WRITE = 1U << 0, /* the access was a write */
	NB_HF_NO_RW = 1U << 1, /* the machine does not tell reads and writes */
	NB_HF_EXEC = 1U << 2,  /* an instruction was to be run */
	NB_HF_OTHER = 1U << 3, /* none of these */
	NB_HF_KEEP = 1U << 4,  /* by a thread that is to take no such faults */
};

struct nb_hint_fault {
	uint64_t addr;	 /* the faulting address, to the byte */
	uint64_t cycles; /* when: nb_cycles() */
	int32_t cpu;
	int16_t nid; /* node of @cpu, from the kernel */
	uint16_t flags;
};

#endif /* NB_HINT_FAULT_H */
