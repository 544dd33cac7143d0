/* SPDX-License-Identifier: MIT */
/*
 * The site finder against another disassembler: of each library here, objdump
 * must see as many `syscall` instructions, at the same addresses, and no direct
 * branch that leads into a window but to its first byte.  Prints the coverage:
 * sites by kind, and why those that have no two windows do not.
 *
 * With arguments it looks at these files instead, one line of counts for each,
 * and says of each kind of reason how many sites cannot be guarded for it.
 *
 * objdump takes tables between functions for code.  What it sees near to bytes
 * that are no instruction at all is not held against us.
 */
#include "../../lib/guard/site.h"
#include "../../lib/guard/syscall.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SITES 4096
#define LINE 512

/* Bytes from what is no instruction: so far it may be a table. */
#define TABLE_REACH 64
#define MAX_DOUBTS 64

static struct nb_site sites[MAX_SITES];
static int nr_sites, bad;
/* `syscall` that we do not have, and where objdump was lost last. */
static uint64_t doubts[MAX_DOUBTS], lost_at;
static int nr_doubts;
static struct nb_site_counts counts;

static const char *const libraries[] = {
	"libc.so.6",	  "ld-linux-x86-64.so.2", "libgomp.so.1",
	"libstdc++.so.6", "libcrypto.so.3",
};

static const uint8_t *part(const uint8_t *file, uint64_t vaddr, uint64_t *len)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(file + eh->e_phoff);

	for (int i = 0; i < eh->e_phnum; i++, ph++) {
		if (ph->p_type != PT_LOAD || vaddr < ph->p_vaddr ||
		    vaddr >= ph->p_vaddr + ph->p_filesz)
			continue;
		*len = ph->p_filesz - (vaddr - ph->p_vaddr);
		return file + ph->p_offset + (vaddr - ph->p_vaddr);
	}
	return NULL;
}

static void set_unwind_data(struct nb_image *im, const uint8_t *file,
			    const Elf64_Phdr *ph)
{
	int32_t rel;

	im->eh_hdr_vaddr = ph->p_vaddr;
	im->eh_hdr = part(file, ph->p_vaddr, &im->eh_hdr_len);
	memcpy(&rel, im->eh_hdr + 4, sizeof(rel));
	im->eh_frame_vaddr = ph->p_vaddr + 4 + (uint64_t)(int64_t)rel;
	im->eh_frame = part(file, im->eh_frame_vaddr, &im->eh_frame_len);
}

/* Its only executable segment. */
static bool find_sites(const uint8_t *file)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(file + eh->e_phoff);
	struct nb_image im = {0};

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X) {
			im.vaddr = ph[i].p_vaddr;
			im.text = part(file, ph[i].p_vaddr, &im.len);
		}
		if (ph[i].p_type == PT_GNU_EH_FRAME)
			set_unwind_data(&im, file, &ph[i]);
	}
	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD &&
		    im.eh_hdr_vaddr - ph[i].p_vaddr < ph[i].p_filesz) {
			im.data_vaddr = ph[i].p_vaddr;
			im.data = part(file, ph[i].p_vaddr, &im.data_len);
		}
	nr_sites = nb_sites_find(&im, sites, MAX_SITES, &counts);
	return nr_sites >= 0;
}

static bool moved(const struct nb_site *s)
{
	return s->kind == NB_SITE_OUT_OF_LINE;
}

/* A branch may lead to the first byte of a window, and behind it. */
static bool inside(const struct nb_site *s, uint64_t to)
{
	uint64_t behind = s->vaddr + nb_site_insn_len(s->call);

	if (to > s->vaddr - s->pre_len && to < s->vaddr)
		return true;
	if (moved(s))
		return s->pre_len + s->post_len && to > s->vaddr - s->pre_len &&
		       to < behind + s->post_len;
	return to > behind && to < behind + s->post_len;
}

static void check_branch(const char *path, uint64_t from, uint64_t to)
{
	for (int i = 0; i < nr_sites; i++) {
		if (!inside(&sites[i], to))
			continue;
		printf("FAIL %s: the branch at %#lx leads into the window of "
		       "%#lx: %#lx\n",
		       path, from, sites[i].vaddr, to);
		bad++;
	}
}

static bool is_site(uint64_t vaddr)
{
	for (int i = 0; i < nr_sites; i++)
		if (sites[i].vaddr == vaddr && !sites[i].call)
			return true;
	return false;
}

static void doubt(const char *path, uint64_t at)
{
	if (lost_at && at - lost_at <= TABLE_REACH)
		return;
	if (nr_doubts < MAX_DOUBTS) {
		doubts[nr_doubts++] = at;
		return;
	}
	printf("FAIL %s: not found: %#lx\n", path, at);
	bad++;
}

/* What was seen shortly before is no code, then. */
static void objdump_is_lost(uint64_t at)
{
	int n = 0;

	lost_at = at;
	for (int i = 0; i < nr_doubts; i++)
		if (at - doubts[i] > TABLE_REACH)
			doubts[n++] = doubts[i];
	nr_doubts = n;
}

/* "  1b60c:\tsyscall" or "  1b610:\tjne    1b630 <name+0x1>" */
static void check_line(const char *path, const char *line, int *seen)
{
	char insn[32], *end;
	uint64_t at = strtoull(line, &end, 16), to;
	int used = 0;

	if (*end != ':' || sscanf(end + 1, " %31s %n", insn, &used) != 1)
		return;
	if (!strcmp(insn, "(bad)"))
		objdump_is_lost(at);
	if (!strcmp(insn, "syscall")) {
		if (is_site(at))
			++*seen;
		else
			doubt(path, at);
		return;
	}
	if (insn[0] != 'j' && strncmp(insn, "call", 4) &&
	    strncmp(insn, "loop", 4) && strncmp(insn, "xbegin", 6))
		return;
	to = strtoull(end + 1 + used, &end, 16);
	if (to && (*end == ' ' || *end == '\n'))
		check_branch(path, at, to);
}

static void compare(const char *path)
{
	char cmd[LINE + 64], line[LINE];
	int seen = 0, calls = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "objdump -d --no-show-raw-insn '%s'", path);
	for (int i = 0; i < nr_sites; i++)
		calls += sites[i].call;
	nr_doubts = 0;
	lost_at = 0;
	f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f))
		check_line(path, line, &seen);
	if (!f || pclose(f) || seen != nr_sites - calls) {
		printf("FAIL %s: objdump sees %d sites, we %d\n", path, seen,
		       nr_sites - calls);
		bad++;
	}
	for (int i = 0; i < nr_doubts; i++, bad++)
		printf("FAIL %s: not found: %#lx\n", path, doubts[i]);
}

static void print(const char *name)
{
	printf("%-22s %4d sites:", name, nr_sites);
	for (int k = 0; k <= NB_SITE_UNGUARDED; k++)
		printf(" %u %s", counts.kind[k],
		       nb_site_kind_name((enum nb_site_kind)k));
	printf(", %u pairs of bytes that are none\n", counts.false_hits);
	for (int i = 0; i < nr_sites; i++)
		if (sites[i].why)
			printf("    %#lx, call %d: %s: %s\n", sites[i].vaddr,
			       sites[i].nr,
			       nb_site_kind_name(
				       (enum nb_site_kind)sites[i].kind),
			       nb_site_why_text(
				       (enum nb_site_why)sites[i].why));
	if (counts.kind[NB_SITE_UNGUARDED]) {
		printf("FAIL %s: not all can be guarded\n", name);
		bad++;
	}
}

/* For other_libc.sh: what is missing, by reason, and not an error. */
static void print_file(const char *path)
{
	printf("counts");
	for (int k = 0; k <= NB_SITE_UNGUARDED; k++)
		printf(" %s=%u", nb_site_kind_name((enum nb_site_kind)k),
		       counts.kind[k]);
	printf("\n");
	for (int i = 0; i < nr_sites; i++) {
		if (sites[i].kind != NB_SITE_UNGUARDED)
			continue;
		printf("unguarded %#lx, call %d: %s\n", sites[i].vaddr,
		       sites[i].nr,
		       nb_site_why_text((enum nb_site_why)sites[i].why));
		if (!sites[i].why) {
			printf("FAIL %s: no reason\n", path);
			bad++;
		}
	}
}

static bool check(const char *path, const char *name)
{
	const uint8_t *file;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return false;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return false;
	if (find_sites(file)) {
		if (name)
			print(name);
		else
			print_file(path);
		compare(path);
	} else {
		printf("FAIL %s\n", path);
		bad++;
	}
	munmap((void *)file, (size_t)st.st_size);
	return true;
}

static bool check_in(const char *dir, const char *name)
{
	char path[LINE];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return check(path, name);
}

static int check_files(char **path)
{
	for (; *path; path++)
		if (!check(*path, NULL)) {
			printf("FAIL %s: cannot be read\n", *path);
			bad++;
		}
	return bad > 0;
}

int main(int argc, char **argv)
{
	unsigned int found = 0;

	if (!nb_sysclass_is_plain(39) || nb_decoder_open()) {
		puts("no libZydis, or not x86-64");
		return 77;
	}
	if (system("objdump --version > /dev/null 2>&1")) {
		puts("no objdump");
		return 77;
	}
	if (argc > 1)
		return check_files(argv + 1);
	for (unsigned int i = 0; i < nb_array_size(libraries); i++)
		found += check_in("/lib/x86_64-linux-gnu", libraries[i]) ||
			 check_in("/lib64", libraries[i]);
	if (!found) {
		puts("no libraries where they are looked for");
		return 77;
	}
	return bad > 0;
}
