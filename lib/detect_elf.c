/* SPDX-License-Identifier: MIT */
/*
 * What numabal must step back from, told by what is in a program's or
 * library's file: Go's notes, and the entry points of sanitizers that are
 * linked into the program itself.
 *
 * Of a file nothing is believed: every offset is checked against its size, and
 * what does not fit is not there.  Owns nothing; called at start and for each
 * module that is mapped later.
 */
#include "detect.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* More segments or sections than any linker makes: only costs time. */
#define MAX_HEADERS 4096

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Phdr) elf_segment;
typedef ElfW(Shdr) elf_section;
typedef ElfW(Dyn) elf_dynamic;
typedef ElfW(Nhdr) elf_note;

struct image {
	const uint8_t *bytes;
	uint64_t size;
	elf_header eh;
};

/* Copy a structure from the file: it need not be aligned. */
static bool get(const struct image *im, uint64_t at, void *to, uint64_t size)
{
	if (at > im->size || size > im->size - at)
		return false;
	memcpy(to, im->bytes + at, size);
	return true;
}

static bool segment(const struct image *im, unsigned int i, elf_segment *ph)
{
	return get(im, im->eh.e_phoff + (uint64_t)i * sizeof(*ph), ph,
		   sizeof(*ph));
}

static bool section(const struct image *im, unsigned int i, elf_section *sh)
{
	return get(im, im->eh.e_shoff + (uint64_t)i * sizeof(*sh), sh,
		   sizeof(*sh));
}

/* Where in the file the byte at link-time address @vaddr is. */
static bool file_offset(const struct image *im, uint64_t vaddr, uint64_t *at)
{
	elf_segment ph;

	for (unsigned int i = 0; i < im->eh.e_phnum; i++) {
		if (!segment(im, i, &ph))
			return false;
		if (ph.p_type != PT_LOAD || vaddr < ph.p_vaddr ||
		    vaddr - ph.p_vaddr >= ph.p_filesz)
			continue;
		*at = ph.p_offset + (vaddr - ph.p_vaddr);
		return true;
	}
	return false;
}

/* A note of owner "Go": its build id. */
static bool has_go_note(const struct image *im, const elf_segment *ph)
{
	uint64_t at = ph->p_offset;
	uint64_t left = ph->p_filesz;
	elf_note note;
	char name[4];

	for (int i = 0; i < 64 && left >= sizeof(note); i++) {
		uint64_t len;

		if (!get(im, at, &note, sizeof(note)))
			return false;
		if (note.n_namesz == sizeof(name) &&
		    get(im, at + sizeof(note), name, sizeof(name)) &&
		    !memcmp(name, "Go\0", sizeof(name)))
			return true;
		len = sizeof(note) + nb_align_up(note.n_namesz, 4) +
		      nb_align_up(note.n_descsz, 4);
		if (len > left)
			return false;
		at += len;
		left -= len;
	}
	return false;
}

static bool has_go_section(const struct image *im)
{
	static const char *const names[] = {".go.buildinfo", ".gopclntab",
					    ".note.go.buildid"};
	elf_section names_sh, sh;
	char name[20];

	if (im->eh.e_shnum > MAX_HEADERS ||
	    im->eh.e_shentsize != sizeof(elf_section) ||
	    im->eh.e_shstrndx >= im->eh.e_shnum ||
	    !section(im, im->eh.e_shstrndx, &names_sh))
		return false;
	for (unsigned int i = 0; i < im->eh.e_shnum; i++) {
		if (!section(im, i, &sh) ||
		    !get(im, names_sh.sh_offset + sh.sh_name, name,
			 sizeof(name)))
			continue;
		for (size_t k = 0; k < nb_array_size(names); k++)
			if (!strncmp(name, names[k], sizeof(name)))
				return true;
	}
	return false;
}

/*
 * The names of all dynamic symbols are one after the other; a sanitizer's
 * entry point is among them where it is called as well as where it is.
 */
static bool has_sanitizer_name(const char *names, uint64_t size)
{
	static const char *const entry[] = {"__asan_init", "__tsan_init",
					    "__msan_init", "__hwasan_init"};
	const char *end = names + size;

	while (names < end) {
		const char *stop = memchr(names, '\0', (size_t)(end - names));
		size_t len = (size_t)((stop ? stop : end) - names);

		/* There are ten thousands of them in some libraries. */
		for (size_t k = 0; *names == '_' && k < nb_array_size(entry);
		     k++)
			if (len == strlen(entry[k]) &&
			    !memcmp(names, entry[k], len))
				return true;
		names += len + 1;
	}
	return false;
}

static bool has_sanitizer(const struct image *im, const elf_segment *ph)
{
	uint64_t nr = ph->p_filesz / sizeof(elf_dynamic);
	uint64_t names = 0, size = 0, at;
	elf_dynamic d;

	for (uint64_t i = 0; i < nr && i < MAX_HEADERS; i++) {
		if (!get(im, ph->p_offset + i * sizeof(d), &d, sizeof(d)) ||
		    d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_STRTAB)
			names = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRSZ)
			size = d.d_un.d_val;
	}
	if (!size || !file_offset(im, names, &at) || at > im->size ||
	    size > im->size - at)
		return false;
	return has_sanitizer_name((const char *)im->bytes + at, size);
}

/**
 * nb_detect_elf() - judge a program or library by what is in its file
 * @elf: the whole file
 * @size: its size
 *
 * Context: any thread.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_elf(const void *elf, size_t size)
{
	const struct nb_verdict go = {
		NB_TIER_OFF, "Go's runtime has signals and stacks of its own"};
	const struct nb_verdict san = {NB_TIER_OFF, nb_why_sanitizer};
	struct image im = {.bytes = elf, .size = size};
	elf_segment ph;

	if (!get(&im, 0, &im.eh, sizeof(im.eh)) ||
	    memcmp(im.eh.e_ident, ELFMAG, SELFMAG) ||
	    im.eh.e_phentsize != sizeof(ph) || im.eh.e_phnum > MAX_HEADERS)
		return NB_VERDICT_NOTHING;
	for (unsigned int i = 0; i < im.eh.e_phnum; i++) {
		if (!segment(&im, i, &ph))
			break;
		if (ph.p_type == PT_NOTE && has_go_note(&im, &ph))
			return go;
		if (ph.p_type == PT_DYNAMIC && has_sanitizer(&im, &ph))
			return san;
	}
	return has_go_section(&im) ? go : NB_VERDICT_NOTHING;
}

/**
 * nb_detect_file() - judge a program or library by its file
 * @path: its path; what cannot be read has nothing against it
 *
 * Context: any thread; maps the file for a moment.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_file(const char *path)
{
	struct nb_verdict v = NB_VERDICT_NOTHING;
	struct stat st;
	long fd, p;

	fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)path,
			 O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0, 0, 0);
	if (fd < 0)
		return v;
	/* In 64 bits the kernel's struct and libc's are the same. */
	if (nb_syscall6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) ||
	    !S_ISREG(st.st_mode) || st.st_size <= 0)
		goto out;
	p = nb_syscall6(SYS_mmap, 0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p < 0 && p > -4096)
		goto out;
	v = nb_detect_elf((const void *)p, (size_t)st.st_size);
	nb_syscall6(SYS_munmap, p, st.st_size, 0, 0, 0, 0);
out:
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	return v;
}
