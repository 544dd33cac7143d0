/* SPDX-License-Identifier: MIT */
/*
 * guard/site.c on real code: the libc, the dynamic linker and the vDSO of this
 * process.  Prints what was found, and each site that has no two windows.
 *
 * With arguments it does so for these shared libraries as well.
 */
#include "../../lib/guard/site.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#define SITES_MAX 65536

bool nb_sysclass_is_plain(uint64_t nr);

static struct nb_site sites[SITES_MAX];
static struct nb_site_counts total;
static unsigned int nr_total, nr_lost;
static double ms_total;
static char **extra;
static int nr_extra;

/* The rest of the table is not what is tested here. */
bool nb_sysclass_is_plain(uint64_t nr)
{
	return nr == SYS_getpid || nr == SYS_gettid || nr == SYS_sched_yield ||
	       nr == SYS_close || nr == SYS_lseek || nr == SYS_getuid;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static const uint8_t *in_memory(uint64_t bias, uint64_t vaddr)
{
	return (const uint8_t *)(uintptr_t)(bias + vaddr);
}

/* .eh_frame begins where the header says, relative to that very field. */
static void set_eh_frame(struct nb_image *im, const ElfW(Phdr) * eh,
			 const ElfW(Phdr) * load, uint64_t bias)
{
	uint64_t segment_end = load->p_vaddr + load->p_memsz;
	int32_t rel;

	/* The linker has put constants, and jump tables, there as well. */
	im->data = in_memory(bias, load->p_vaddr);
	im->data_vaddr = load->p_vaddr;
	im->data_len = load->p_memsz;

	im->eh_hdr = in_memory(bias, eh->p_vaddr);
	im->eh_hdr_vaddr = eh->p_vaddr;
	im->eh_hdr_len = eh->p_memsz;
	assert_int_equal(im->eh_hdr[1], 0x1b);
	memcpy(&rel, im->eh_hdr + 4, sizeof(rel));
	im->eh_frame_vaddr = eh->p_vaddr + 4 + (uint64_t)(int64_t)rel;
	im->eh_frame = in_memory(bias, im->eh_frame_vaddr);
	im->eh_frame_len = segment_end - im->eh_frame_vaddr;
}

static void count(const char *name, const struct nb_site *s)
{
	if (s->kind == NB_SITE_BRACKET || s->kind == NB_SITE_PLAIN)
		return;
	printf("    %s+%#lx nr %d %s: %s (-%u +%u)\n", name, s->vaddr, s->nr,
	       nb_site_kind_name(s->kind), nb_site_why_text(s->why), s->pre_len,
	       s->post_len);
	if (s->kind == NB_SITE_UNGUARDED && s->nr != SYS_exit)
		nr_lost++;
}

static void check(const struct nb_image *im, const char *name)
{
	struct nb_site_counts c;
	double ms = now_ms();
	uint64_t end = 0;
	int nr;

	nr = nb_sites_find(im, sites, SITES_MAX, &c);
	ms = now_ms() - ms;
	assert_true(nr >= 0);
	assert_int_equal(nr + c.false_hits, c.candidates);
	printf("%s: %d sites:", name, nr);
	for (int i = 0; i <= NB_SITE_UNGUARDED; i++) {
		printf(" %u %s", c.kind[i],
		       nb_site_kind_name((enum nb_site_kind)i));
		total.kind[i] += c.kind[i];
	}
	printf(", %u false, %.2f ms\n", c.false_hits, ms);
	nr_total += (unsigned int)nr;
	ms_total += ms;
	for (int i = 0; i < nr; i++) {
		const uint8_t *p = im->text + (sites[i].vaddr - im->vaddr);

		assert_memory_equal(p, "\x0f\x05", 2);
		assert_true(sites[i].vaddr - sites[i].pre_len >= end);
		end = sites[i].vaddr + 2 + sites[i].post_len;
		count(name, &sites[i]);
	}
}

/* Each segment with code of a module. */
static void check_module(const ElfW(Phdr) * ph, int nr, uint64_t bias,
			 const char *name)
{
	struct nb_image im = {0};
	const ElfW(Phdr) *eh = NULL;

	for (int i = 0; i < nr; i++)
		if (ph[i].p_type == PT_GNU_EH_FRAME)
			eh = &ph[i];
	for (int i = 0; i < nr && eh; i++)
		if (ph[i].p_type == PT_LOAD &&
		    eh->p_vaddr - ph[i].p_vaddr < ph[i].p_memsz)
			set_eh_frame(&im, eh, &ph[i], bias);
	for (int i = 0; i < nr; i++) {
		if (ph[i].p_type != PT_LOAD || !(ph[i].p_flags & PF_X))
			continue;
		im.text = in_memory(bias, ph[i].p_vaddr);
		im.vaddr = ph[i].p_vaddr;
		im.len = ph[i].p_memsz;
		check(&im, name);
	}
}

static bool is_wanted(const char *name)
{
	if (!strncmp(name, "libc.so", 7) || !strncmp(name, "ld-linux", 8))
		return true;
	for (int i = 0; i < nr_extra; i++) {
		const char *slash = strrchr(extra[i], '/');

		if (!strcmp(name, slash ? slash + 1 : extra[i]))
			return true;
	}
	return false;
}

static int each_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *slash = strrchr(info->dlpi_name, '/');
	const char *name = slash ? slash + 1 : info->dlpi_name;

	(void)size;
	(void)arg;
	if (is_wanted(name))
		check_module(info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr,
			     name);
	return 0;
}

static void check_vdso(void)
{
	const uint8_t *base =
		(const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	const ElfW(Ehdr) *eh = (const void *)base;

	if (!base)
		return;
	check_module((const void *)(base + eh->e_phoff), eh->e_phnum,
		     (uintptr_t)base, "vdso");
}

static void all_can_be_guarded(void **state)
{
	unsigned int done;
	double ms = now_ms();

	(void)state;
	if (nb_decoder_open()) {
		print_message("no libZydis here\n");
		skip();
	}
	ms_total = now_ms() - ms;
	for (int i = 0; i < nr_extra; i++)
		if (!dlopen(extra[i], RTLD_NOW))
			print_message("%s\n", dlerror());
	dl_iterate_phdr(each_module, NULL);
	check_vdso();
	nb_decoder_close();
	done = total.kind[NB_SITE_BRACKET] + total.kind[NB_SITE_PLAIN];
	printf("all: %u sites, %u with two windows or plain, %.2f ms\n",
	       nr_total, done, ms_total);
	assert_int_equal(nr_lost, 0);
	/* A libc that is made of a library of its own has few. */
	assert_true(done * 100 >= nr_total * 95);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_can_be_guarded),
	};

	extra = argv + 1;
	nr_extra = argc - 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
