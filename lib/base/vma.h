/* SPDX-License-Identifier: MIT */
/*
 * One mapping of the process, as plain data.
 */
#ifndef NB_VMA_H
#define NB_VMA_H

#include "util.h"

enum nb_vma_flags {
	NB_VMA_READ = 1U << 0,
	NB_VMA_WRITE = 1U << 1,
	NB_VMA_EXEC = 1U << 2,
	NB_VMA_SHARED = 1U << 3,
	NB_VMA_FILE = 1U << 4,	   /* backed by a file (inode is not 0) */
	NB_VMA_STACK = 1U << 5,	   /* [stack] */
	NB_VMA_HEAP = 1U << 6,	   /* [heap] */
	NB_VMA_SPECIAL = 1U << 7,  /* [vdso], [vvar], [vsyscall] ... */
	NB_VMA_IO_URING = 1U << 8, /* a ring of io_uring */
	NB_VMA_LOCKED = 1U << 9,   /* mlocked: hinted, never migrated */
	NB_VMA_HUGE = 1U << 10,	   /* transparent huge pages are likely */
};

#define NB_VMA_ACCESS (NB_VMA_READ | NB_VMA_WRITE | NB_VMA_EXEC)

struct nb_vma {
	uint64_t start;
	uint64_t end;
	uint32_t flags; /* enum nb_vma_flags */
};

#endif /* NB_VMA_H */
