/* SPDX-License-Identifier: MIT */
/*
 * Guards the sites of one module: finds them, builds their stubs, puts these
 * where they are reached, and then replaces the windows by jumps, with one
 * write for each page.
 *
 * Owns nothing: works on the tables of patch.c, under its lock.  The stubs and
 * records of a site are complete before a jump leads to them.
 *
 * Invariants:
 *  1. Text is changed only where it is byte for byte what was analysed.
 *  2. A module is guarded as a whole, or not at all: a write that fails
 *     undoes those before it.
 */
#include "install.h"

#include "../plat/arena.h"
#include "area.h"
#include "record.h"
#include "stub.h"

#include <errno.h>
#include <string.h>

#define PAGE sizeof(((struct nb_job *)0)->page)

static bool is_patchable(const struct nb_site *s)
{
	return s->kind == NB_SITE_BRACKET || s->kind == NB_SITE_PRE_ONLY ||
	       s->kind == NB_SITE_OUT_OF_LINE;
}

static void count_as(struct nb_site_counts *c, enum nb_site_kind from,
		     enum nb_site_kind to, enum nb_site_why why)
{
	c->kind[from]--;
	c->kind[to]++;
	c->why[why]++;
}

/* Invariant 1.  The record of @s; false: memory differs from the image. */
static bool make_record(const struct nb_job *j, const struct nb_site *s,
			struct nb_patched *p)
{
	const uint8_t *text;

	*p = (struct nb_patched){
		.addr = s->vaddr + j->m->bias,
		.nr = s->nr,
		.kind = s->kind,
		.call = s->call,
		.pre_len = s->pre_len,
		.post_len = s->kind == NB_SITE_PRE_ONLY ? 0 : s->post_len,
	};
	if (p->pre_len > NB_WINDOW_MAX || p->post_len > NB_WINDOW_MAX)
		return false;
	text = j->im->text + (s->vaddr - j->im->vaddr);
	memcpy(p->bytes, text - p->pre_len, p->pre_len);
	memcpy(p->bytes + p->pre_len, text + nb_site_insn_len(p->call),
	       p->post_len);
	return memcmp((const void *)nb_site_start(p), text - p->pre_len,
		      nb_site_span(p)) == 0;
}

static int try_stubs(struct nb_patched *p, uint32_t index,
		     struct nb_stub_buf *b)
{
	uint8_t ignored[NB_SITE_SPAN_MAX];
	int ret = nb_stub_build(p, index, b);

	return ret ? ret : nb_stub_jumps(p, ignored);
}

/* Stubs of one site; without those behind the call if they cannot be had. */
static int build_site(struct nb_job *j, struct nb_patched *p, uint32_t index,
		      struct nb_stub_buf *b)
{
	int ret = try_stubs(p, index, b);

	if (!ret || ret == -ENOSPC || p->kind != NB_SITE_BRACKET)
		return ret;
	p->kind = NB_SITE_PRE_ONLY;
	p->post_len = 0;
	ret = try_stubs(p, index, b);
	if (!ret)
		count_as(&j->m->counts, NB_SITE_BRACKET, NB_SITE_PRE_ONLY,
			 NB_SITE_POST_FIXED);
	return ret;
}

/* All stubs, to run at @at. */
static int build_stubs(struct nb_job *j, uint64_t at, uint64_t pointers,
		       uint64_t room, uint64_t *len)
{
	uint64_t usable = nb_min(room, j->room);
	struct nb_stub_buf b = {
		.out = j->stubs,
		.room = (uint32_t)usable,
		.at = at,
		.enter = pointers + offsetof(struct nb_area_head, enter),
		.leave = pointers + offsetof(struct nb_area_head, leave),
		.enter_call =
			pointers + offsetof(struct nb_area_head, enter_call),
	};
	int ret = 0;

	j->m->nr_patched = 0;
	for (int i = 0; i < j->nr; i++) {
		uint32_t index = j->m->first_patched + j->m->nr_patched;
		struct nb_patched *p = nb_record(index);

		if (!is_patchable(&j->sites[i]))
			continue;
		ret = make_record(j, &j->sites[i], p) ? 0 : -ESTALE;
		if (!ret)
			ret = build_site(j, p, index, &b);
		if (ret == -ENOSPC)
			return ret;
		if (!ret)
			j->m->nr_patched++;
		else
			count_as(&j->m->counts, j->sites[i].kind,
				 NB_SITE_UNGUARDED, NB_SITE_PRE_FIXED);
	}
	*len = b.len;
	return 0;
}

/* Where its predecessor at this address had them; -ENOSPC: no room there. */
static int stubs_again(struct nb_job *j)
{
	const struct nb_place *pl = j->place;
	const struct nb_area *area = nb_area_of(pl->start);
	struct nb_site_counts counts = j->m->counts;
	uint64_t len;
	int ret;

	if (!area || pl->sites < j->wanted)
		return -ENOSPC;
	ret = build_stubs(j, pl->start, area->start, pl->end - pl->start, &len);
	if (!ret)
		ret = nb_code_write(&j->code, pl->start, j->stubs, len);
	if (ret)
		j->m->counts = counts;
	return ret;
}

static int stubs_new(struct nb_job *j)
{
	const struct nb_range text = {j->m->start, j->m->end};
	struct nb_area *area = NULL;
	uint64_t len;
	int ret;

	j->m->first_patched = nb_patch_nr_sites();
	ret = nb_records_make(j->m->first_patched, j->wanted);
	if (!ret)
		ret = nb_area_get(&j->code, &text, j->room, &area);
	if (!ret)
		ret = build_stubs(j, area->free, area->start,
				  area->end - area->free, &len);
	if (!ret)
		ret = nb_code_write(&j->code, area->free, j->stubs, len);
	if (ret)
		return ret;
	*j->place = (struct nb_place){
		.start = area->free,
		.end = area->free + len,
		.sites = j->m->nr_patched,
	};
	area->free += len;
	nb_records_publish(j->m->first_patched + j->m->nr_patched);
	return 0;
}

static void site_bytes(const struct nb_patched *p, bool guarded, uint8_t *to)
{
	static const uint8_t insn[NB_SYSCALL_LEN] = {0x0f, 0x05};
	unsigned int len = nb_site_insn_len(p->call);

	if (guarded) {
		nb_stub_jumps(p, to);
		return;
	}
	memcpy(to, p->bytes, p->pre_len);
	memcpy(to + p->pre_len, insn, len);
	memcpy(to + p->pre_len + len, p->bytes + p->pre_len, p->post_len);
}

/* The page that is being changed: one write for all of its sites. */
static int flush_page(struct nb_job *j, uint64_t page)
{
	return page ? nb_code_write(&j->code, page, j->page, PAGE) : 0;
}

static int write_sites(struct nb_job *j, bool guarded)
{
	uint8_t bytes[NB_SITE_SPAN_MAX];
	uint64_t page = 0;
	int ret;

	for (uint32_t i = 0; i < j->m->nr_patched; i++) {
		const struct nb_patched *p = nb_record(j->m->first_patched + i);
		uint64_t start = nb_site_start(p);

		site_bytes(p, guarded, bytes);
		for (unsigned int k = 0; k < nb_site_span(p); k++) {
			if (nb_align_down(start + k, PAGE) != page) {
				ret = flush_page(j, page);
				if (ret)
					return ret;
				page = nb_align_down(start + k, PAGE);
				memcpy(j->page, (const void *)page, PAGE);
			}
			j->page[start + k - page] = bytes[k];
		}
	}
	return flush_page(j, page);
}

/* Nothing of the module is guarded. */
static void give_up(struct nb_module *m)
{
	m->nr_patched = 0;
	for (int k = 0; k < NB_SITE_UNGUARDED; k++) {
		if (k == NB_SITE_PLAIN || k == NB_SITE_SIGRETURN)
			continue;
		m->counts.kind[NB_SITE_UNGUARDED] += m->counts.kind[k];
		m->counts.kind[k] = 0;
	}
}

static int patch(struct nb_job *j)
{
	int ret;

	nb_code_open(&j->code);
	ret = stubs_again(j);
	if (ret == -ENOSPC)
		ret = stubs_new(j);
	if (!ret) {
		ret = write_sites(j, true);
		/* Invariant 2. */
		if (ret)
			write_sites(j, false);
	}
	nb_code_close(&j->code);
	return ret;
}

static int find_and_patch(struct nb_job *j)
{
	int ret = nb_sites_find(j->im, j->sites, NB_MODULE_SITES_MAX,
				&j->m->counts);

	if (ret < 0)
		return ret;
	j->nr = ret;
	j->wanted = 0;
	for (int i = 0; i < j->nr; i++)
		j->wanted += is_patchable(&j->sites[i]);
	if (!j->wanted)
		return 0;
	j->room = (uint64_t)j->wanted * NB_STUBS_MAX;
	j->stubs = nb_arena_map(j->room);
	if (!j->stubs)
		return -ENOMEM;
	ret = patch(j);
	nb_arena_unmap(j->stubs, j->room);
	return ret;
}

/**
 * nb_install() - guard a module
 * @j: the job: im, m, place and sites are set
 *
 * Context: under the lock of patch.c; the decoder is open.
 * Return: 0 or -errno: nothing of it is guarded.
 */
int nb_install(struct nb_job *j)
{
	int ret = find_and_patch(j);

	if (ret)
		give_up(j->m);
	return ret;
}
