/* SPDX-License-Identifier: MIT */
/*
 * Which modules there are: those that are loaded at start, and one that is
 * being mapped from a file.
 *
 * A module that is loaded is read where it is.  Of one that is being mapped,
 * only a segment is there yet, so it is read from its file, of which nothing
 * is believed: what does not fit is not there, and patch.c compares each
 * window with the memory before it changes it.
 *
 * Our own two libraries are left out: their calls are not to be guarded.
 *
 * Owns nothing.  Called by start, and by the hook of mmap.
 */
#include "module.h"

#include "../plat/arena.h"
#include "../plat/log.h"
#include "../plat/sys.h"
#include "patch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGE 4096ULL
#define OWN_PREFIX "libnumabal"
/* How .eh_frame_hdr says where .eh_frame is: DW_EH_PE_pcrel | sdata4 */
#define EH_PTR_USUAL 0x1b

/* A module: in memory, or its file. */
struct view {
	const ElfW(Phdr) * ph;
	unsigned int nr;
	uint64_t bias;
	const uint8_t *file; /* NULL: in memory */
	uint64_t size;	     /* of the file */
};

/* Where the byte at link-time address @vaddr is; @len: how many follow. */
static const uint8_t *find_bytes(const struct view *v, uint64_t vaddr,
				 uint64_t *len)
{
	for (unsigned int i = 0; i < v->nr; i++) {
		const ElfW(Phdr) *ph = &v->ph[i];
		uint64_t off = vaddr - ph->p_vaddr;

		if (ph->p_type != PT_LOAD || vaddr < ph->p_vaddr ||
		    off >= ph->p_filesz || !(ph->p_flags & PF_R))
			continue;
		*len = ph->p_filesz - off;
		if (!v->file)
			return (const uint8_t *)(v->bias + vaddr);
		if (ph->p_offset > v->size || off >= v->size - ph->p_offset)
			return NULL;
		*len = nb_min(*len, v->size - ph->p_offset - off);
		return v->file + ph->p_offset + off;
	}
	return NULL;
}

static void find_eh_frame(const struct view *v, struct nb_image *im)
{
	int32_t rel;

	if (im->eh_hdr_len < 8 || im->eh_hdr[1] != EH_PTR_USUAL)
		return;
	memcpy(&rel, im->eh_hdr + 4, sizeof(rel));
	im->eh_frame_vaddr = im->eh_hdr_vaddr + 4 + (uint64_t)(int64_t)rel;
	im->eh_frame = find_bytes(v, im->eh_frame_vaddr, &im->eh_frame_len);
	if (!im->eh_frame)
		im->eh_frame_len = 0;
}

/* Linkers put jump tables beside .eh_frame_hdr: all is only read. */
static void find_data(const struct view *v, struct nb_image *im)
{
	for (unsigned int i = 0; i < v->nr; i++) {
		const ElfW(Phdr) *ph = &v->ph[i];

		if (ph->p_type != PT_LOAD ||
		    im->eh_hdr_vaddr - ph->p_vaddr >= ph->p_filesz)
			continue;
		im->data_vaddr = ph->p_vaddr;
		im->data = find_bytes(v, ph->p_vaddr, &im->data_len);
		return;
	}
}

static void find_eh(const struct view *v, struct nb_image *im)
{
	for (unsigned int i = 0; i < v->nr; i++) {
		const ElfW(Phdr) *ph = &v->ph[i];
		uint64_t len;

		if (ph->p_type != PT_GNU_EH_FRAME)
			continue;
		im->eh_hdr = find_bytes(v, ph->p_vaddr, &len);
		if (!im->eh_hdr)
			return;
		im->eh_hdr_vaddr = ph->p_vaddr;
		im->eh_hdr_len = nb_min(len, ph->p_filesz);
		find_eh_frame(v, im);
		find_data(v, im);
		return;
	}
}

static bool is_text(const ElfW(Phdr) * ph)
{
	return ph->p_type == PT_LOAD && (ph->p_flags & PF_X) &&
	       (ph->p_flags & PF_R) && ph->p_filesz;
}

/* Guard a segment of the module, at most the first @max bytes of it. */
static int patch_segment(const struct view *v, const ElfW(Phdr) * ph,
			 uint64_t max, const char *name)
{
	struct nb_image im = {.vaddr = ph->p_vaddr};

	im.text = find_bytes(v, ph->p_vaddr, &im.len);
	im.len = nb_min(im.len, max);
	if (!im.text || !im.len)
		return -ENOEXEC;
	find_eh(v, &im);
	return nb_patch_image(&im, v->bias, name);
}

static bool is_own(const struct view *v, const char *name)
{
	uint64_t here = (uint64_t)(uintptr_t)nb_modules_scan;
	const char *last = strrchr(name, '/');

	for (unsigned int i = 0; i < v->nr; i++)
		if (is_text(&v->ph[i]) &&
		    here - v->bias - v->ph[i].p_vaddr < v->ph[i].p_memsz)
			return true;
	return !strncmp(last ? last + 1 : name, OWN_PREFIX,
			sizeof(OWN_PREFIX) - 1);
}

static int patch_view(const struct view *v, const char *name)
{
	int ret, first = 0;

	if (is_own(v, name))
		return 0;
	for (unsigned int i = 0; i < v->nr; i++) {
		if (!is_text(&v->ph[i]))
			continue;
		ret = patch_segment(v, &v->ph[i], UINT64_MAX, name);
		first = first ? first : ret;
	}
	return first;
}

struct scan {
	char exe[PATH_MAX];
	int ret; /* of the first that failed */
};

static int scan_loaded(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct view v = {
		.ph = info->dlpi_phdr,
		.nr = info->dlpi_phnum,
		.bias = info->dlpi_addr,
	};
	struct scan *s = arg;
	int ret;

	(void)size;
	/* The program has no name. */
	ret = patch_view(&v, *info->dlpi_name ? info->dlpi_name : s->exe);
	s->ret = s->ret ? s->ret : ret;
	return 0;
}

/* Loaders other than glibc's do not count it among the modules. */
static int scan_vdso(void)
{
	const uint8_t *base = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const ElfW(Ehdr) *eh = (const ElfW(Ehdr) *)base;
	struct view v = {0};

	if (!base)
		return 0;
	v.ph = (const ElfW(Phdr) *)(base + eh->e_phoff);
	v.nr = eh->e_phnum;
	for (unsigned int i = 0; i < v.nr; i++) {
		if (v.ph[i].p_type != PT_LOAD)
			continue;
		v.bias = (uint64_t)base - v.ph[i].p_vaddr;
		return patch_view(&v, "[vdso]");
	}
	return -ENOEXEC;
}

/**
 * nb_modules_scan() - guard all that is loaded
 *
 * Context: start only, with one thread; nb_patch_init() was called, the
 * decoder is open and stays so.
 * Return: 0; -errno of the first module that could not be patched: the others
 * are guarded.
 */
int nb_modules_scan(void)
{
	static struct scan s;
	long n;
	int ret;

	n = nb_syscall6(SYS_readlinkat, -1, (long)"/proc/self/exe", (long)s.exe,
			sizeof(s.exe) - 1, 0, 0);
	s.exe[n > 0 ? n : 0] = '\0';
	s.ret = 0;
	dl_iterate_phdr(scan_loaded, &s);
	ret = scan_vdso();
	return s.ret ? s.ret : ret;
}

/* The headers, if it is a file for this machine. */
static int open_view(struct view *v)
{
	const ElfW(Ehdr) *eh = (const ElfW(Ehdr) *)v->file;

	if (v->size < sizeof(*eh) ||
	    memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64 ||
	    eh->e_phentsize != sizeof(*v->ph) ||
	    eh->e_phoff % _Alignof(ElfW(Phdr)) || eh->e_phoff > v->size ||
	    eh->e_phnum > (v->size - eh->e_phoff) / sizeof(*v->ph))
		return -ENOEXEC;
	v->ph = (const ElfW(Phdr) *)(v->file + eh->e_phoff);
	v->nr = eh->e_phnum;
	return 0;
}

struct mapped {
	uint64_t addr, len, offset;
};

/* The segment that was mapped from the file at @mp->offset. */
static int patch_mapped(struct view *v, const struct mapped *mp,
			const char *name)
{
	int ret = open_view(v);

	for (unsigned int i = 0; !ret && i < v->nr; i++) {
		const ElfW(Phdr) *ph = &v->ph[i];
		uint64_t skip = ph->p_vaddr % PAGE;

		if (!is_text(ph) || skip != ph->p_offset % PAGE ||
		    ph->p_offset - skip != mp->offset || mp->len <= skip)
			continue;
		v->bias = mp->addr - (ph->p_vaddr - skip);
		return patch_segment(v, ph, mp->len - skip, name);
	}
	return ret ? ret : -ENOEXEC;
}

static void name_of_fd(int fd, char *name, size_t size)
{
	char path[64];
	struct nb_text t;
	long n;

	nb_text_init(&t, path, sizeof(path));
	nb_text_add(&t, "/proc/thread-self/fd/%d", fd);
	n = nb_syscall6(SYS_readlinkat, AT_FDCWD, (long)path, (long)name,
			(long)size - 1, 0, 0);
	name[n > 0 ? n : 0] = '\0';
}

/**
 * nb_module_from_fd() - guard a segment that was just mapped
 * @fd: the file
 * @addr: where it is
 * @len: how much was mapped
 * @offset: ... from where in the file
 *
 * Context: the hook of mmap, before it returns; no lock is held.
 * Return: 0; -ENOEXEC: this is no segment of a module with code; -errno: it
 * is not guarded.
 */
int nb_module_from_fd(int fd, uint64_t addr, uint64_t len, uint64_t offset)
{
	const struct mapped mp = {addr, len, offset};
	struct view v = {0};
	struct stat st;
	char *name;
	long ret;

	ret = nb_syscall6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	if (ret)
		return (int)ret;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return -ENOEXEC;
	v.size = (uint64_t)st.st_size;
	ret = nb_syscall6(SYS_mmap, 0, (long)v.size, PROT_READ, MAP_PRIVATE, fd,
			  0);
	if (ret < 0 && ret >= -4095)
		return (int)ret;
	v.file = (const uint8_t *)ret;
	name = nb_arena_map(PATH_MAX);
	if (name)
		name_of_fd(fd, name, PATH_MAX);
	ret = patch_mapped(&v, &mp, name ? name : "");
	nb_arena_unmap(name, PATH_MAX);
	nb_syscall6(SYS_munmap, (long)v.file, (long)v.size, 0, 0, 0, 0);
	return (int)ret;
}
