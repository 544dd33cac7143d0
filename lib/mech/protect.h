/* SPDX-License-Identifier: MIT */
/*
 * 1b. The protection layer: what takes access to memory away and gives it
 * back.  All arming goes through one table, so that another way of doing it
 * changes nothing above.
 *
 * There is one back end, mprotect(2): PROT_NONE and back.  The place is kept
 * for userfaultfd's read-write protection (UFFD_FEATURE_RWP,
 * UFFDIO_RWPROTECT), which marks page table entries as the kernel's own NUMA
 * balancing does: no mapping is split, and no system call fails on memory that
 * is armed, if the kernel may take faults for the program.  What such a back
 * end has to do:
 *
 *  - shut() and open() are UFFDIO_RWPROTECT with and without the mode bit, on a
 *    descriptor that the program cannot close; a range that is not registered
 *    any more (ENOENT) is no error: it was unmapped, and is accessible;
 *  - what enters the table of regions is registered, what leaves it needs
 *    nothing; after fork(2) the child's memory is neither registered nor shut;
 *  - with UFFD_USER_MODE_ONLY a fault is SIGBUS rather than SIGSEGV, and the
 *    guard of system calls stays as it is; otherwise a thread of ours answers,
 *    which must not touch memory that can be armed, and the guard is not needed
 *    for ranges, only to keep the table of regions true.
 *
 * None is built in: no kernel to test it on has been released.
 */
#ifndef NB_MECH_PROTECT_H
#define NB_MECH_PROTECT_H

#include "../plat/sys.h"

struct nb_protection {
	const char *name;
	/*
	 * Both: page bounds; 0 or -errno.  After a failure of shut() a part
	 * may be shut.  open() gives reading and writing back.
	 * Context: any thread, signal handler.
	 */
	long (*shut)(const struct nb_sys *sys, uint64_t start, uint64_t len);
	long (*open)(const struct nb_sys *sys, uint64_t start, uint64_t len);
};

extern const struct nb_protection nb_protection_mprotect;
/* The one in use: set before anything is armed, then constant. */
extern const struct nb_protection *nb_protection;

bool nb_protection_choose(void);

static inline long nb_protect_shut(const struct nb_sys *sys, uint64_t start,
				   uint64_t len)
{
	return nb_protection->shut(sys, start, len);
}

static inline long nb_protect_open(const struct nb_sys *sys, uint64_t start,
				   uint64_t len)
{
	return nb_protection->open(sys, start, len);
}

#endif /* NB_MECH_PROTECT_H */
