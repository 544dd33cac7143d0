/* SPDX-License-Identifier: MIT */
/*
 * Start and end of libnumabal-preload.so, and the table of real functions.
 *
 * The table is filled by the constructor, so that later no wrapper calls into
 * the dynamic linker (a wrapper may run in a signal handler).  A wrapper that
 * is called earlier, by a constructor of another library, resolves its own
 * entry.  dlsym(3) allocates only to describe a failure; the allocator may
 * then call wrappers, each of which resolves an entry of its own: that ends,
 * because the functions that allocators need exist.
 *
 * Owns: the table; the process id, to know a child that shares our memory;
 * where libnumabal.so lies, to know its own calls.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <unistd.h>

_Atomic(void *) nb_real_table[NB_NR_REAL];

/* raw: no libc function stands behind it, the system call does. */
enum { optional, required, raw };

static const struct {
	const char *name;
	int need;
} symbols[NB_NR_REAL] = {
#define NB_REAL(name, need) [NB_REAL_##name] = {#name, need},
#include "real.def"
#undef NB_REAL
};

static _Atomic pid_t owner;
static uintptr_t library_start, library_end;

/* Stands for a function that this libc does not have. */
static long no_such_function(void)
{
	errno = ENOSYS;
	return -1;
}

void *nb_real_resolve(enum nb_real i)
{
	int saved = errno;
	void *p = NULL;

	if (symbols[i].need != raw)
		p = dlsym(RTLD_NEXT, symbols[i].name);
	if (!p) {
		/* The program shall not find our failure in dlerror(3). */
		if (symbols[i].need != raw)
			dlerror();
		p = (void *)no_such_function;
	}
	atomic_store_explicit(&nb_real_table[i], p, memory_order_relaxed);
	errno = saved;
	return p;
}

bool nb_real_missing(enum nb_real i)
{
	return nb_real_get(i) == (void *)no_such_function;
}

static bool resolve_all(void)
{
	bool ok = true;

	for (int i = 0; i < NB_NR_REAL; i++)
		if (nb_real_missing((enum nb_real)i) &&
		    symbols[i].need == required)
			ok = false;
	return ok;
}

static int find_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t inside = (uintptr_t)arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || inside < start ||
		    inside - start >= ph->p_memsz)
			continue;
		library_start = start;
		library_end = start + ph->p_memsz;
		return 1;
	}
	return 0;
}

/* Is @caller code of libnumabal.so?  Its thread is not the program's. */
bool nb_from_library(const void *caller)
{
	return (uintptr_t)caller >= library_start &&
	       (uintptr_t)caller < library_end;
}

/*
 * Are we a child that runs in its parent's memory (vfork(2))?  What it does to
 * itself must not be done to the parent's state.
 */
bool nb_is_shared_child(void)
{
	pid_t pid = atomic_load_explicit(&owner, memory_order_relaxed);

	return pid && !nb_hook_filtered() && getpid() != pid;
}

/* In a child with memory of its own. */
void nb_note_fork(void)
{
	if (!nb_hook_filtered())
		atomic_store_explicit(&owner, getpid(), memory_order_relaxed);
}

__attribute__((constructor)) static void preload_start(void)
{
	if (!resolve_all())
		return;
	dl_iterate_phdr(find_library, (void *)nb_hook_start);
	nb_note_fork();
	nb_threads_start();
	nb_hook_start();
	if (nb_hook_active())
		nb_signals_start();
}

__attribute__((destructor)) static void preload_end(void)
{
	if (!nb_is_shared_child())
		nb_hook_exit();
}
