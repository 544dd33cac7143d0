/* SPDX-License-Identifier: MIT */
/*
 * The site finder on arbitrary code.  The first byte says how many functions
 * there are and whether what follows is code as it is, or made of instructions
 * that sites are made of.  Checked: windows are in their function's reach, do
 * not overlap, can be moved, decode when moved, and no branch that a linear
 * decode of a function finds leads into one.
 *
 * Sources: lib/guard/decoder.c lib/guard/eh_frame.c lib/guard/body.c
 * Sources: lib/guard/branch.c lib/guard/bridge.c lib/guard/shape.c
 * Sources: lib/guard/site.c lib/guard/window.c
 */
#include "../../lib/guard/decoder.h"
#include "../../lib/guard/site.h"
#include "fuzz_image.h"

#define MAX_TEXT 4096U
#define MAX_SITES 512
#define MOVED_TO (TEXT_AT + 0x100000ULL)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What compilers and people put around a system call. */
static const struct {
	uint8_t len;  /* bytes of it */
	uint8_t free; /* as many bytes at its end come from the input */
	uint8_t byte[40];
} parts[] = {
	{2, 0, {0x0f, 0x05}},		/* syscall */
	{5, 1, {0xb8, 1, 0, 0, 0}},	/* mov imm,%eax */
	{7, 0, {0x48, 0xc7, 0xc0, 39}}, /* mov imm,%rax */
	{2, 0, {0x31, 0xc0}},		/* xor %eax,%eax */
	{6, 0, {0x48, 0x3d, 0, 0xf0, 0xff, 0xff}},
	{2, 1, {0x73}},			  /* jae rel8 */
	{6, 4, {0x0f, 0x83}},		  /* jae rel32 */
	{2, 1, {0xeb}},			  /* jmp rel8 */
	{5, 4, {0xe9}},			  /* jmp rel32 */
	{5, 4, {0xe8}},			  /* call rel32 */
	{2, 1, {0xe3}},			  /* jrcxz */
	{1, 0, {0xc3}},			  /* ret */
	{3, 0, {0x48, 0x89, 0xd1}},	  /* mov %rdx,%rcx */
	{3, 0, {0x49, 0x89, 0xca}},	  /* mov %rcx,%r10 */
	{7, 4, {0x48, 0x8d, 0x05}},	  /* lea rel32(%rip),%rax */
	{4, 0, {0xf3, 0x0f, 0x1e, 0xfa}}, /* endbr64 */
	{2, 0, {0xff, 0xe0}},		  /* jmp *%rax */
	{4, 0, {0x0f, 0x1f, 0x40, 0}},	  /* nop */
	{1, 0, {0xcc}},			  /* int3 */
	{8, 4, {0x48, 0x83, 0x3d}},	  /* cmp imm8,rel32(%rip) */
	{10, 8, {0x48, 0xb8}},		  /* movabs imm64,%rax */
	{5, 4, {0x81, 0xf8}},		  /* its end is the next one's */
	{3, 0, {0x48, 0x63, 0x04}},	  /* the beginning of a load */
	{1, 0, {0x2e}},			  /* a prefix */
	/* a bridge: bridge.c */
	{37, 0, {0x8b, 0x07, 0x49, 0x89, 0xfb, 0x48, 0x89, 0xf0, 0x48, 0x89,
		 0xd7, 0x48, 0x89, 0xce, 0x4c, 0x89, 0xc2, 0x4d, 0x89, 0xca,
		 0x4c, 0x8b, 0x44, 0x24, 0x08, 0x4c, 0x8b, 0x4c, 0x24, 0x10,
		 0x4c, 0x89, 0x5c, 0x24, 0x08, 0x0f, 0x05}},
};

static size_t from_parts(const uint8_t *in, size_t size, uint8_t *text)
{
	size_t n = 0;

	while (size) {
		unsigned int k = *in++ % nb_array_size(parts);
		unsigned int fixed = parts[k].len - parts[k].free;

		size--;
		if (n + parts[k].len > MAX_TEXT)
			break;
		memcpy(text + n, parts[k].byte, parts[k].len);
		for (unsigned int i = fixed; i < parts[k].len && size; i++) {
			text[n + i] = *in++;
			size--;
			/* Near, mostly. */
			if (parts[k].free == 4 && i > fixed)
				text[n + i] = text[n + fixed] & 0x80 ? 0xff : 0;
		}
		n += parts[k].len;
	}
	return n;
}

static void check_moved(const struct fuzz_image *fi, uint64_t vaddr,
			unsigned int len)
{
	const uint8_t *window = fi->text + (vaddr - TEXT_AT);
	uint8_t out[256];
	struct nb_insn_map map[NB_WINDOW_MAX];
	struct nb_moved m = {out, sizeof(out), map, 0};
	int n = nb_window_move(window, len, vaddr, MOVED_TO, &m);
	struct nb_insn in;

	if (n < 0)
		return; /* then it is not patched */
	CHECK(m.nr_map > 0 && m.nr_map <= NB_WINDOW_MAX);
	for (int at = 0; at < n; at += in.len)
		CHECK(nb_decode(out + at, (uint64_t)(n - at), &in));
	for (unsigned int i = 0; i < m.nr_map; i++)
		CHECK(map[i].from < len && map[i].to < n);
}

static bool strictly_in(uint64_t x, uint64_t start, uint64_t end)
{
	return x > start && x < end;
}

static void check_target(const struct nb_site *s, uint64_t target)
{
	uint64_t after = s->vaddr + nb_site_insn_len(s->call);

	if (s->kind == NB_SITE_BRACKET || s->kind == NB_SITE_PRE_ONLY)
		CHECK(!strictly_in(target, s->vaddr - s->pre_len, s->vaddr));
	if (s->kind == NB_SITE_BRACKET)
		CHECK(!strictly_in(target, after, after + s->post_len));
	if (s->kind == NB_SITE_OUT_OF_LINE)
		CHECK(!strictly_in(target, s->vaddr - s->pre_len,
				   after + s->post_len));
}

/* As long as bytes are instructions, their branches are heeded. */
static void check_branches(const struct fuzz_image *fi,
			   const struct nb_site *sites, int nr)
{
	for (unsigned int i = 0; i < fi->nr_funcs; i++) {
		const struct nb_func *f = &fi->func[i];
		struct nb_insn in;

		for (uint64_t at = f->start; at < f->end; at += in.len) {
			if (!nb_decode(fi->text + (at - TEXT_AT), f->end - at,
				       &in))
				break;
			for (int k = 0; in.direct && k < nr; k++)
				check_target(&sites[k],
					     at + in.len + (uint64_t)in.rel);
		}
	}
}

static void check_sites(const struct fuzz_image *fi,
			const struct nb_site *sites, int nr)
{
	uint64_t floor = TEXT_AT;

	for (int i = 0; i < nr; i++) {
		const struct nb_site *s = &sites[i];
		uint64_t start = s->vaddr - s->pre_len;
		uint64_t after = s->vaddr + nb_site_insn_len(s->call);
		uint64_t end = after + s->post_len;

		CHECK(s->vaddr >= TEXT_AT && after <= TEXT_AT + fi->im.len);
		if (s->call)
			CHECK(fi->text[s->vaddr - 5 - TEXT_AT] == 0xe8);
		else
			CHECK(!memcmp(fi->text + (s->vaddr - TEXT_AT),
				      "\x0f\x05", 2));
		if (s->kind != NB_SITE_BRACKET && s->kind != NB_SITE_PRE_ONLY &&
		    s->kind != NB_SITE_OUT_OF_LINE)
			continue;
		CHECK(start >= floor && end <= TEXT_AT + fi->im.len);
		floor = end;
		CHECK(end - start >= 5);
		if (s->kind == NB_SITE_OUT_OF_LINE) {
			check_moved(fi, start, (unsigned int)(end - start));
			continue;
		}
		CHECK(s->pre_len >= 5 && s->pre_len <= NB_WINDOW_MAX);
		if (!s->call)
			check_moved(fi, start, s->pre_len);
		if (s->kind != NB_SITE_BRACKET)
			continue;
		CHECK(s->post_len >= 5 && s->post_len <= NB_WINDOW_MAX);
		check_moved(fi, after, s->post_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[MAX_TEXT];
	static struct nb_site sites[MAX_SITES];
	struct nb_site_counts counts;
	struct fuzz_image fi = {.nr_funcs = 0};
	uint64_t at = 0;
	size_t len;
	int nr;

	if (size < 3 || nb_decoder_open())
		return 0;
	fi.nr_funcs = 1 + (data[0] & 7);
	if (data[0] & 0x80) {
		len = nb_min(size - 2, (size_t)MAX_TEXT);
		memcpy(text, data + 2, len);
	} else {
		len = from_parts(data + 2, size - 2, text);
	}
	/* Functions of equal size, and what is left over is none's. */
	for (unsigned int i = 0; i < fi.nr_funcs; i++) {
		fi.func[i].start = at;
		at += len / fi.nr_funcs;
		fi.func[i].end = nb_max(at - nb_min(at, data[1] % 4ULL),
					fi.func[i].start + 1);
		if (fi.func[i].end > len)
			fi.nr_funcs = i;
	}
	fuzz_image_make(&fi, text, len);
	memset(&counts, 0, sizeof(counts));
	nr = nb_sites_find(&fi.im, sites, MAX_SITES, &counts);
	if (nr > 0) {
		check_sites(&fi, sites, nr);
		check_branches(&fi, sites, nr);
	}
	fuzz_image_free(&fi);
	return 0;
}
