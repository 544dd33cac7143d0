/* SPDX-License-Identifier: MIT */
/*
 * Calls that change the address space: they keep the library's table of
 * regions true.  A range leaves the table before the call that changes it, and
 * what an mmap made enters it after; no lock is held over the call.
 *
 * libnuma's system-call functions are here as well.  They are in no libc, so
 * the kernel is called directly, and they work where libnuma is not loaded.
 *
 * shmat(2) and remap_file_pages(2) make shared mappings, which are never
 * armed: only what they replace matters.
 */
#include "preload.h"

#include <linux/mempolicy.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static bool replaces(int flags)
{
	return (flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE);
}

static void *map(const long *a, const void *caller)
{
	int prot = (int)a[2], flags = (int)a[3];
	size_t len = (size_t)a[1];
	void *p;

	if (replaces(flags))
		nb_hook_unmap_begin((void *)a[0], len);
	p = real(mmap)((void *)a[0], len, prot, flags, (int)a[4], (off_t)a[5]);
	if (p != MAP_FAILED)
		nb_hook_mapped(p, len, prot, flags, caller);
	return p;
}

NB_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		     off_t off)
{
	const long a[] = {(long)addr, (long)len, prot, flags, fd, off};

	if (!nb_active())
		return real(mmap)(addr, len, prot, flags, fd, off);
	return map(a, __builtin_return_address(0));
}

NB_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		       off64_t off)
{
	const long a[] = {(long)addr, (long)len, prot, flags, fd, off};

	if (!nb_active())
		return real(mmap64)(addr, len, prot, flags, fd, off);
	return map(a, __builtin_return_address(0));
}

NB_EXPORT int munmap(void *addr, size_t len)
{
	if (nb_active())
		nb_hook_unmap_begin(addr, len);
	return real(munmap)(addr, len);
}

NB_EXPORT void *mremap(void *old, size_t old_len, size_t len, int flags, ...)
{
	bool tracked;
	void *to, *p;
	va_list ap;

	va_start(ap, flags);
	to = va_arg(ap, void *);
	va_end(ap);
	if (!nb_active())
		return real(mremap)(old, old_len, len, flags, to);
	tracked = nb_hook_mremap_begin(old, old_len);
	if (flags & MREMAP_FIXED)
		nb_hook_unmap_begin(to, len);
	p = real(mremap)(old, old_len, len, flags, to);
	if (p == MAP_FAILED)
		nb_hook_mremap_end(old, old_len, tracked);
	else
		nb_hook_mremap_end(p, len, tracked);
	return p;
}

NB_EXPORT int mprotect(void *addr, size_t len, int prot)
{
	if (nb_active())
		nb_hook_mprotect_begin(addr, len, prot);
	return real(mprotect)(addr, len, prot);
}

NB_EXPORT int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	/* Giving back would lose the key: out of the table for good. */
	if (nb_active())
		nb_hook_unmap_begin(addr, len);
	return real(pkey_mprotect)(addr, len, prot, pkey);
}

NB_EXPORT int madvise(void *addr, size_t len, int advice)
{
	if (nb_active())
		nb_hook_madvise_begin(addr, len, advice);
	return real(madvise)(addr, len, advice);
}

NB_EXPORT int mlock(const void *addr, size_t len)
{
	if (nb_active())
		nb_hook_mlock_begin(addr, len);
	return real(mlock)(addr, len);
}

NB_EXPORT int mlock2(const void *addr, size_t len, unsigned int flags)
{
	if (nb_active())
		nb_hook_mlock_begin(addr, len);
	return real(mlock2)(addr, len, flags);
}

NB_EXPORT int mlockall(int flags)
{
	if (nb_active())
		nb_hook_mlockall_begin(flags);
	return real(mlockall)(flags);
}

NB_EXPORT void *shmat(int id, const void *addr, int flags)
{
	struct shmid_ds ds;

	if (nb_active() && addr && (flags & SHM_REMAP) &&
	    !shmctl(id, IPC_STAT, &ds))
		nb_hook_unmap_begin(addr, ds.shm_segsz);
	return real(shmat)(id, addr, flags);
}

NB_EXPORT int remap_file_pages(void *addr, size_t len, int prot, size_t pgoff,
			       int flags)
{
	if (nb_active())
		nb_hook_unmap_begin(addr, len);
	return real(remap_file_pages)(addr, len, prot, pgoff, flags);
}

static size_t nodes_size(unsigned long maxnode)
{
	return maxnode > 1UL << 20 ? 0 : (maxnode + 63) / 64 * 8;
}

NB_EXPORT long mbind(void *addr, unsigned long len, int mode,
		     const unsigned long *nodes, unsigned long maxnode,
		     unsigned int flags)
{
	if (nb_active()) {
		nb_hook_mbind_begin(addr, len);
		nb_hook_touch(nodes, nodes_size(maxnode));
	}
	return real(syscall)(SYS_mbind, addr, len, mode, nodes, maxnode, flags);
}

NB_EXPORT long set_mempolicy(int mode, const unsigned long *nodes,
			     unsigned long maxnode)
{
	if (nb_active()) {
		mode = nb_hook_set_mempolicy(mode);
		nb_hook_touch(nodes, nodes_size(maxnode));
	}
	return real(syscall)(SYS_set_mempolicy, mode, nodes, maxnode);
}

NB_EXPORT long get_mempolicy(int *mode, unsigned long *nodes,
			     unsigned long maxnode, void *addr,
			     unsigned long flags)
{
	bool active = nb_active();
	long r;

	if (active) {
		nb_hook_touch(mode, sizeof(*mode));
		nb_hook_touch(nodes, nodes_size(maxnode));
		/* The kernel reads the page to see where it is. */
		if (flags & MPOL_F_ADDR)
			nb_hook_touch(addr, 1);
	}
	r = real(syscall)(SYS_get_mempolicy, mode, nodes, maxnode, addr, flags);
	if (active && !r && mode && !flags)
		*mode = nb_hook_mempolicy_view(*mode);
	return r;
}

NB_EXPORT long move_pages(int pid, unsigned long count, void **pages,
			  const int *nodes, int *status, int flags)
{
	if (nb_active()) {
		nb_hook_touch(pages, count * sizeof(*pages));
		nb_hook_touch(nodes, nodes ? count * sizeof(*nodes) : 0);
		nb_hook_touch(status, count * sizeof(*status));
	}
	return real(syscall)(SYS_move_pages, pid, count, pages, nodes, status,
			     flags);
}

/* syscall(2) of one of the above; -1 and errno as there. */
long nb_syscall_memory(long nr, const long *a, const void *caller)
{
	void *p = (void *)a[0];
	size_t len = (size_t)a[1];

	switch (nr) {
	case SYS_mmap:
		return (long)map(a, caller);
	case SYS_munmap:
		return munmap(p, len);
	case SYS_mremap:
		return (long)mremap(p, len, (size_t)a[2], (int)a[3],
				    (void *)a[4]);
	case SYS_mprotect:
		return mprotect(p, len, (int)a[2]);
	case SYS_pkey_mprotect:
		nb_hook_unmap_begin(p, len);
		break;
	case SYS_madvise:
		return madvise(p, len, (int)a[2]);
	case SYS_mlock:
		return mlock(p, len);
	case SYS_mlock2:
		nb_hook_mlock_begin(p, len);
		break;
	case SYS_mlockall:
		return mlockall((int)a[0]);
	case SYS_remap_file_pages:
		nb_hook_unmap_begin(p, len);
		break;
	case SYS_mbind:
		return mbind(p, len, (int)a[2], (void *)a[3],
			     (unsigned long)a[4], (unsigned int)a[5]);
	case SYS_set_mempolicy:
		return set_mempolicy((int)a[0], (void *)a[1],
				     (unsigned long)a[2]);
	case SYS_get_mempolicy:
		return get_mempolicy((int *)a[0], (void *)a[1],
				     (unsigned long)a[2], (void *)a[3],
				     (unsigned long)a[4]);
	}
	return real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
