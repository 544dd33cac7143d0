/* SPDX-License-Identifier: MIT */
/*
 * Events of a recorded run to bytes and back; record.h has the format.
 *
 * The writer is lib/record.c, readers are the replay tool and the tests.  What
 * is read may be anything: nothing is read past its end, and what cannot be an
 * event is told from one that is not all there yet.
 *
 * Owns nothing.
 */
#include "record.h"

#include <errno.h>
#include <string.h>

#define MAX_VARINT 10 /* bytes of 64 bits */

#define FIELD_NAME(t, name) #name,
#define FIELD_NAMES(t, nr, text)                                               \
	static const char *const fields_##t[] = {                              \
		NB_RECORD_##t##_FIELDS(FIELD_NAME, t)};
NB_RECORD_TYPES(FIELD_NAMES)

#define TYPE_INFO(t, nr, text) [nr] = {text, fields_##t, NB_RECORD_##t##_NR},
static const struct nb_record_type_info types[] = {NB_RECORD_TYPES(TYPE_INFO)};

/**
 * nb_record_type_info() - the names of a type and its fields
 * @type: its number.
 *
 * Context: anywhere.
 * Return: NULL for a type that is not known.
 */
const struct nb_record_type_info *nb_record_type_info(uint32_t type)
{
	if (type >= nb_array_size(types) || !types[type].name)
		return NULL;
	return &types[type];
}

static uint8_t *put_fixed(uint8_t *p, uint64_t v, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		*p++ = (uint8_t)(v >> 8 * i);
	return p;
}

static uint64_t get_fixed(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static uint8_t *put_number(uint8_t *p, int64_t v)
{
	uint64_t z = (uint64_t)v << 1;

	if (v < 0)
		z = ~z;
	for (; z >= 0x80; z >>= 7)
		*p++ = (uint8_t)(z | 0x80);
	*p++ = (uint8_t)z;
	return p;
}

/* Returns what follows, or NULL: it does not end, or is too long. */
static const uint8_t *get_number(const uint8_t *p, const uint8_t *end,
				 int64_t *v)
{
	uint64_t z = 0;

	for (unsigned int i = 0; i < MAX_VARINT && p < end; i++, p++) {
		z |= (uint64_t)(*p & 0x7f) << 7 * i;
		if (*p & 0x80)
			continue;
		*v = (int64_t)(z >> 1 ^ (0 - (z & 1)));
		return p + 1;
	}
	return NULL;
}

/**
 * nb_record_put_header() - the header of a file
 * @buf: NB_RECORD_HEADER bytes.
 *
 * Context: anywhere.
 * Return: NB_RECORD_HEADER.
 */
size_t nb_record_put_header(uint8_t *buf)
{
	memcpy(buf, NB_RECORD_MAGIC, 8);
	put_fixed(buf + 8, NB_RECORD_VERSION, 4);
	put_fixed(buf + 12, 0, 4);
	return NB_RECORD_HEADER;
}

/**
 * nb_record_check_header() - is this a recorded run?
 * @buf: the file.
 * @size: its size.
 * @version: out: the version of the format, if it is a recorded run.
 *
 * Context: anywhere.
 * Return: 0; -ENODATA: too short; -EINVAL: something else; -ENOTSUP: another
 * version.
 */
int nb_record_check_header(const uint8_t *buf, size_t size, uint32_t *version)
{
	*version = 0;
	if (memcmp(buf, NB_RECORD_MAGIC, nb_min(size, 8U)) != 0)
		return -EINVAL;
	if (size < NB_RECORD_HEADER)
		return -ENODATA;
	*version = (uint32_t)get_fixed(buf + 8, 4);
	return *version == NB_RECORD_VERSION ? 0 : -ENOTSUP;
}

/**
 * nb_record_put() - one event to bytes
 * @buf: where.
 * @size: room there.
 * @ev: the event; text that does not fit into one is cut.
 *
 * Context: anywhere.
 * Return: bytes written; 0: there is not enough room.
 */
size_t nb_record_put(uint8_t *buf, size_t size,
		     const struct nb_record_event *ev)
{
	size_t most = NB_RECORD_EVENT_HEAD + ev->nr * (size_t)MAX_VARINT;
	size_t text = nb_min(ev->text_len, NB_RECORD_MAX_PAYLOAD - most);
	uint8_t *p = buf + NB_RECORD_EVENT_HEAD;

	if (size < most + text)
		return 0;
	for (uint32_t i = 0; i < ev->nr; i++)
		p = put_number(p, ev->v[i]);
	if (text)
		memcpy(p, ev->text, text);
	p += text;
	buf[0] = (uint8_t)ev->type;
	put_fixed(buf + 1, (uint64_t)(p - buf) - 3, 2);
	buf[3] = (uint8_t)ev->nr;
	return (size_t)(p - buf);
}

/**
 * nb_record_get() - the event at the start of some bytes
 * @buf: the bytes.
 * @size: how many there are.
 * @ev: out: the event; what it has not is 0; its text is in @buf.
 * @used: out: its length.
 *
 * Context: anywhere.
 * Return: 0; -ENODATA: it is not all there; -EINVAL: it is none.
 */
int nb_record_get(const uint8_t *buf, size_t size, struct nb_record_event *ev,
		  size_t *used)
{
	const uint8_t *p, *end;
	uint32_t nr;
	int64_t v;

	if (size < 3)
		return -ENODATA;
	*used = 3 + (size_t)get_fixed(buf + 1, 2);
	if (*used > size)
		return -ENODATA;
	if (*used < NB_RECORD_EVENT_HEAD || !buf[0])
		return -EINVAL;
	memset(ev, 0, sizeof(*ev));
	ev->type = buf[0];
	nr = buf[3];
	p = buf + NB_RECORD_EVENT_HEAD;
	end = buf + *used;
	for (uint32_t i = 0; i < nr; i++) {
		p = get_number(p, end, &v);
		if (!p)
			return -EINVAL;
		if (i < NB_RECORD_MAX_FIELDS)
			ev->v[ev->nr++] = v;
	}
	ev->text = (const char *)p;
	ev->text_len = (size_t)(end - p);
	return 0;
}
