/* SPDX-License-Identifier: MIT */
/*
 * A recorded run as text: its events line by line, or what came of a replay.
 */
#include "replay.h"

#include <inttypes.h>
#include <string.h>

const char *replay_why_name(enum nb_why why)
{
	static const char *const names[] = {
#define NAME(name, text, yes) #name,
		NB_WHY_LIST(NAME)
#undef NAME
	};

	return names[why];
}

static void print_text(const struct nb_record_event *ev, FILE *f)
{
	if (!ev->text_len)
		return;
	fputs(" \"", f);
	for (size_t i = 0; i < ev->text_len; i++) {
		unsigned char c = (unsigned char)ev->text[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c < 0x20 || c > 0x7e)
			fprintf(f, "\\x%02x", c);
		else
			putc(c, f);
	}
	putc('"', f);
}

static bool is_address(const char *field)
{
	return !strcmp(field, "addr") || !strcmp(field, "start");
}

static bool is_reason(const char *field)
{
	return !strcmp(field, "why") || !strcmp(field, "result") ||
	       !strcmp(field, "not_movable");
}

/* One line; a field that the file has not is left out. */
void replay_dump(const struct replay *r, const struct nb_record_event *ev,
		 FILE *f)
{
	const struct nb_record_type_info *ti = nb_record_type_info(ev->type);

	if (!ti) {
		fprintf(f, "type-%u\n", ev->type);
		return;
	}
	fputs(ti->name, f);
	for (uint32_t i = 0; i < ev->nr && i < ti->nr; i++) {
		const char *name = ti->fields[i];
		int64_t v = ev->v[i];

		if (is_address(name))
			fprintf(f, " %s=0x%" PRIx64, name, (uint64_t)v);
		else if (is_reason(name) && v >= 0 && v < 256 &&
			 r->why_name[v][0])
			fprintf(f, " %s=%s", name, r->why_name[v]);
		else
			fprintf(f, " %s=%" PRId64, name, v);
	}
	print_text(ev, f);
	putc('\n', f);
}

static double seconds(const struct replay *r, uint64_t ns)
{
	return ((double)ns - (double)r->start_ns) / 1e9;
}

static void print_counts(const struct replay *r, FILE *f)
{
	bool seen[NB_NR_WHY] = {false};
	uint64_t nr_other = 0;

	fprintf(f, "%-20s %12s %12s\n", "reason", "recorded", "replayed");
	for (int c = 0; c < 256; c++) {
		int own = r->why_of[c];
		uint64_t replayed = own < 0 ? 0 : r->replayed[own];

		if (!r->why_name[c][0])
			continue;
		if (own >= 0)
			seen[own] = true;
		if (r->recorded[c] || replayed || r->other[c])
			fprintf(f, "%-20s %12" PRIu64 " %12" PRIu64 "\n",
				r->why_name[c], r->recorded[c] + r->other[c],
				replayed + r->other[c]);
		nr_other += r->other[c];
	}
	for (int i = 0; i < NB_NR_WHY; i++)
		if (!seen[i] && r->replayed[i])
			fprintf(f, "%-20s %12d %12" PRIu64 "\n",
				replay_why_name((enum nb_why)i), 0,
				r->replayed[i]);
	if (nr_other)
		fprintf(f, "%" PRIu64 " of them were not replayed\n", nr_other);
}

void replay_report(const struct replay *r, FILE *f)
{
	static const char *const ends[] = {
		[REPLAY_CUT] = "ends without the process having ended",
		[REPLAY_TORN] = "ends in the middle of an event",
		[REPLAY_STOP] = "complete",
		[REPLAY_LIMIT] = "ends at its largest size",
	};
	const struct replay_difference *d = &r->first;

	fprintf(f,
		"%s (process %" PRId64 ", numabal %" PRId64 ".%" PRId64
		".%" PRId64 "): %d nodes, %" PRIu64 " tasks, %" PRIu64
		" samples, %" PRIu64 " rounds, %.1f s, %s\n",
		r->comm, r->pid, r->version[0], r->version[1], r->version[2],
		nb_nodes_weight(&r->topo.online), r->nr_tasks, r->nr_samples,
		r->nr_rounds, seconds(r, r->last_ns), ends[r->end]);
	print_counts(r, f);
	if (!d->about) {
		fputs("all decisions are the same\n", f);
		return;
	}
	fprintf(f, "%" PRIu64 " decisions differ; the first: %.6f s, ",
		r->nr_differ, seconds(r, d->time_ns));
	if (d->sample)
		fprintf(f, "sample %" PRIu64 " at 0x%" PRIx64 ", ", d->sample,
			d->addr);
	fprintf(f, "task %d, %s: recorded %s, replayed %s\n", d->tid, d->about,
		d->recorded, d->replayed);
}
