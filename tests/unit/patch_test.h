/* SPDX-License-Identifier: MIT */
/*
 * What the tests of patching have in common: code of the test itself, in a
 * section "guarded", as an image with the real .eh_frame of the program; and
 * where it was guarded, doubles of what is called from stubs.
 */
#ifndef NB_PATCH_TEST_H
#define NB_PATCH_TEST_H

#include "../../lib/guard/guard.h"
#include "../../lib/guard/patch.h"
#include "policy_test.h"

#include <errno.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No vector registers, as the real ones: entry.S relies on it. */
#define FAST __attribute__((target("general-regs-only")))

/* guard.c is not in these programs: no call is quick. */
_Atomic uint64_t nb_guard_quick;
_Atomic uint32_t nb_guard_shared_children;

/* Made by the linker: the section's name is one of C. */
extern const uint8_t __start_guarded[], __stop_guarded[];

static inline uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static inline int find_own_eh(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct nb_image *im = arg;
	int32_t rel;

	(void)size;
	im->vaddr = addr_of(__start_guarded) - info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_GNU_EH_FRAME)
			continue;
		im->eh_hdr_vaddr = ph->p_vaddr;
		im->eh_hdr_len = ph->p_memsz;
		im->eh_hdr = (const uint8_t *)(info->dlpi_addr + ph->p_vaddr);
		memcpy(&rel, im->eh_hdr + 4, sizeof(rel));
		im->eh_frame = im->eh_hdr + 4 + rel;
		im->eh_frame_vaddr =
			im->eh_hdr_vaddr + 4 + (uint64_t)(int64_t)rel;
		/* Far enough: the records end with a terminator. */
		im->eh_frame_len = 1 << 12;
	}
	return 1; /* the first one is the program */
}

/* The section as an image; text is where it is now. */
static inline struct nb_image own_image(const void *text)
{
	struct nb_image im = {
		.text = text,
		.len = (uint64_t)(__stop_guarded - __start_guarded),
	};

	dl_iterate_phdr(find_own_eh, &im);
	return im;
}

#endif /* NB_PATCH_TEST_H */
