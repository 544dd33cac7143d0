/* SPDX-License-Identifier: MIT */
/*
 * 1. What to arm next: a cursor over the eligible memory, with budgets.
 */
#ifndef NB_SCAN_H
#define NB_SCAN_H

#include "../base/vma.h"

struct nb_scan_opts {
	uint32_t scan_size_mb; /* MiB considered per scan; Linux: 256 */
	uint32_t page_bytes;   /* a power of two */
	uint64_t step_bytes;   /* longest step, a power of two */
};

struct nb_scan {
	uint64_t scan_offset; /* address at which the next step starts */
	uint64_t window;      /* the one that it is in ... */
	uint64_t nr_windows;  /* ... of so many */
	uint64_t scan_seq;    /* full passes over the address space */
	uint64_t pages;	      /* left of this scan: pages in armed steps */
	uint64_t virtpages;   /* left of this scan: pages looked at */
	bool pass_ended;      /* this scan reached the end of memory */
};

void nb_scan_begin(struct nb_scan *s, const struct nb_scan_opts *o,
		   uint64_t nr_windows);
bool nb_scan_next(struct nb_scan *s, const struct nb_scan_opts *o,
		  const struct nb_vma *vmas, size_t nr, struct nb_range *step);
void nb_scan_charge(struct nb_scan *s, const struct nb_scan_opts *o,
		    const struct nb_range *step, uint64_t nr_armed);

#endif /* NB_SCAN_H */
