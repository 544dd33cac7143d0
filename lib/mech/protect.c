/* SPDX-License-Identifier: MIT */
/*
 * The back end of the protection layer, and the choice of one: see protect.h.
 *
 * Owns the pointer to the back end in use.
 */
#include "protect.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static long mprotect_shut(const struct nb_sys *sys, uint64_t start,
			  uint64_t len)
{
	return sys->mprotect(start, len, PROT_NONE);
}

static long mprotect_open(const struct nb_sys *sys, uint64_t start,
			  uint64_t len)
{
	return sys->mprotect(start, len, PROT_READ | PROT_WRITE);
}

const struct nb_protection nb_protection_mprotect = {
	"mprotect",
	mprotect_shut,
	mprotect_open,
};

const struct nb_protection *nb_protection = &nb_protection_mprotect;

#ifdef UFFD_FEATURE_RWP
static bool kernel_has_rwp(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	long fd, err;

	fd = nb_syscall6(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY, 0, 0,
			 0, 0, 0);
	if (fd < 0)
		return false;
	err = nb_syscall6(SYS_ioctl, fd, UFFDIO_API, (long)&api, 0, 0, 0);
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	return !err && (api.features & UFFD_FEATURE_RWP);
}
#else
/* Headers that do not know its name: neither does the kernel they are of. */
static bool kernel_has_rwp(void)
{
	return false;
}
#endif

/**
 * nb_protection_choose() - take the best back end that there is
 *
 * Context: start only, before anything is armed.
 * Return: true if the kernel has read-write protection of userfaultfd, which
 * this version does not use.
 */
bool nb_protection_choose(void)
{
	nb_protection = &nb_protection_mprotect;
	return kernel_has_rwp();
}
