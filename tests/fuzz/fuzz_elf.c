/* SPDX-License-Identifier: MIT */
/*
 * detect_elf.c on arbitrary files: as they are, or behind a header that is
 * right, so that what is behind it is reached.
 *
 * Sources: lib/detect_elf.c lib/plat/sys.c lib/plat/maps.c
 * Sources: lib/plat/line_reader.c
 */
#include "../../lib/detect.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

const char nb_why_sanitizer[] = "a sanitizer";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(uint8_t *file, const uint8_t *data, size_t size)
{
	Elf64_Ehdr h;

	if (size < sizeof(h))
		return;
	memset(&h, 0, sizeof(h));
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	h.e_type = ET_DYN;
	h.e_machine = EM_X86_64;
	h.e_phoff = sizeof(h);
	h.e_phentsize = sizeof(Elf64_Phdr);
	h.e_phnum = data[0] % 4;
	h.e_shoff = sizeof(h) + h.e_phnum * sizeof(Elf64_Phdr);
	h.e_shentsize = sizeof(Elf64_Shdr);
	h.e_shnum = data[1] % 4;
	h.e_shstrndx = data[2] % 4;
	memcpy(file, &h, sizeof(h));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nb_verdict v;
	uint8_t *file;

	if (size < 4)
		return 0;
	file = malloc(size - 1);
	if (!file)
		return 0;
	memcpy(file, data + 1, size - 1);
	if (data[0] & 1)
		header(file, data + 1, size - 1);
	v = nb_detect_elf(file, size - 1);
	if (v.best != NB_TIER_BRACKET && !v.why)
		abort();
	free(file);
	return 0;
}
