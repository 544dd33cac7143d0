/* SPDX-License-Identifier: MIT */
/*
 * From the bytes of a recorded run to its events, to their end.
 *
 * A file may end anywhere: the process may have been killed while it was being
 * written.  What cannot be an event makes all of it worthless: the rest cannot
 * be found any more.
 */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int replay_init(struct replay *r)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < nb_array_size(r->why_of); i++)
		r->why_of[i] = -1;
	r->task = calloc(REPLAY_MAX_SLOTS, sizeof(*r->task));
	r->sample = calloc(REPLAY_MAX_BATCH, sizeof(*r->sample));
	r->use = calloc(REPLAY_MAX_SLOTS, sizeof(*r->use));
	r->members = calloc(REPLAY_MAX_SLOTS, sizeof(*r->members));
	r->scratch = malloc(nb_group_scratch_bytes(REPLAY_MAX_SLOTS));
	r->groups.g = calloc(NB_MAX_GROUPS, sizeof(*r->groups.g));
	r->groups.max = NB_MAX_GROUPS;
	if (r->task && r->sample && r->use && r->members && r->scratch &&
	    r->groups.g)
		return 0;
	replay_free(r);
	return -ENOMEM;
}

void replay_free(struct replay *r)
{
	for (int i = 0; r->task && i < REPLAY_MAX_SLOTS; i++) {
		free(r->task[i].nf);
		free(r->task[i].partners);
	}
	free(r->members);
	free(r->scratch);
	free(r->groups.g);
	free(r->task);
	free(r->sample);
	free(r->use);
	free(r->history);
	memset(r, 0, sizeof(*r));
}

static int check_header(struct replay *r, const uint8_t *buf, size_t size)
{
	uint32_t version;

	switch (nb_record_check_header(buf, size, &version)) {
	case 0:
		return 0;
	case -ENODATA:
		return replay_wrong(r, "it ends in its header");
	case -ENOTSUP:
		return replay_wrong(r, "version %u of the format, not %u",
				    version, NB_RECORD_VERSION);
	default:
		return replay_wrong(r, "not a recorded run");
	}
}

/* Returns 0, or -errno with one line in r->err. */
int replay_run(struct replay *r, const uint8_t *buf, size_t size, FILE *dump)
{
	size_t at = NB_RECORD_HEADER, used;
	struct nb_record_event ev;
	int err = check_header(r, buf, size);

	if (err)
		return err;
	while (at < size) {
		err = nb_record_get(buf + at, size - at, &ev, &used);
		if (err == -ENODATA) {
			r->end = REPLAY_TORN;
			break;
		}
		if (err)
			return replay_wrong(r, "damaged at byte %zu", at);
		if (dump)
			replay_dump(r, &ev, dump);
		err = replay_event(r, &ev);
		if (err == -ENOMEM)
			return replay_wrong(r, "no memory");
		if (err) {
			size_t n = strlen(r->err);

			snprintf(r->err + n, sizeof(r->err) - n,
				 ": damaged at byte %zu", at);
			return err;
		}
		at += used;
	}
	return r->started ? 0 : replay_wrong(r, "it ends before its start");
}
