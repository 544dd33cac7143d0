/* SPDX-License-Identifier: MIT */
/*
 * For plain programs: a table of system calls, each made with every object that
 * it is handed in armed memory, placed in several ways. What they return and
 * write is printed: the same with numabal and without.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include "armed.h"

#include <errno.h>
#include <sys/syscall.h>

#define MAX_OBJECTS 10 /* the first six may be arguments */
#define OBJECT_PAGES 8
#define FILL 0xa5

enum kind { NOTHING, NUMBER, OBJECT };

struct object {
	enum kind kind;
	long value;	  /* of a number */
	const void *init; /* NULL: filled */
	size_t bytes;
};

#define NUM(x)                                                                 \
	{                                                                      \
		NUMBER, (long)(x), NULL, 0                                     \
	}
#define STR(s)                                                                 \
	{                                                                      \
		OBJECT, 0, s, sizeof(s)                                        \
	}
#define IN(x)                                                                  \
	{                                                                      \
		OBJECT, 0, &(x), sizeof(x)                                     \
	}
#define OUT(n)                                                                 \
	{                                                                      \
		OBJECT, 0, NULL, n                                             \
	}

enum flags {
	VOLATILE = 1, /* what it writes differs from run to run */
	RESULT = 2,   /* so does what it returns */
	NEW_FD = 16,  /* a descriptor, to be closed */
	ALIGNED = 4,  /* its objects cannot be placed anywhere */
	VECTOR = 8,   /* only 6 to 8 are no pointers */
};

struct run {
	long arg[6];
	unsigned char *at[MAX_OBJECTS]; /* where the objects are */
};

struct row {
	long nr;
	const char *name;
	int flags;
	/* Descriptors to open, pointers in objects: before all is armed. */
	void (*prepare)(struct run *r);
	struct object obj[MAX_OBJECTS];
};

#define R(name, flags, prepare, ...)                                           \
	{                                                                      \
		SYS_##name, #name, flags, prepare,                             \
		{                                                              \
			__VA_ARGS__                                            \
		}                                                              \
	}

static const char *const modes[] = {"armed", "boundary", "last-byte"};

static inline unsigned char *area_of(unsigned char *mem, int i)
{
	return mem + (size_t)(i * OBJECT_PAGES + 2) * 4096;
}

static inline unsigned char *place(unsigned char *mem, int i, size_t bytes,
				   int mode)
{
	unsigned char *area = area_of(mem, i);

	switch (mode) {
	case 0:
		return area + 1024;
	case 1:
		return area + 4096 - bytes / 2;
	default:
		return area + 4096 - (bytes - 1);
	}
}

static inline void place_all(const struct row *w, struct run *r, int mode,
			     unsigned char *mem)
{
	memset(r, 0, sizeof(*r));
	memset(mem, FILL, (size_t)MAX_OBJECTS * OBJECT_PAGES * 4096);
	for (int i = 0; i < MAX_OBJECTS; i++) {
		const struct object *o = &w->obj[i];
		long value = o->value;

		if (o->kind == OBJECT) {
			r->at[i] = place(mem, i, o->bytes, mode);
			if (o->init)
				memcpy(r->at[i], o->init, o->bytes);
			value = (long)r->at[i];
		}
		if (i < 6)
			r->arg[i] = value;
	}
}

/* All of an object's pages; of the last byte, only its own. */
static inline bool arm_all(const struct row *w, const struct run *r, int mode)
{
	for (int i = 0; i < MAX_OBJECTS; i++) {
		size_t n = w->obj[i].bytes;

		if (!r->at[i])
			continue;
		for (size_t k = 0; k < n; k += 4096)
			if (!wait_armed(r->at[i] + k))
				return false;
		if (!wait_armed(r->at[i] + n - 1))
			return false;
		for (size_t k = 0; mode == 2 && k + 1 < n; k++)
			(void)*(volatile unsigned char *)(r->at[i] + k);
	}
	return true;
}

static inline uint64_t hash_of(const struct row *w, const struct run *r)
{
	uint64_t h = 14695981039346656037ULL;

	for (int i = 0; i < MAX_OBJECTS; i++) {
		if (w->flags & VECTOR && (i < 6 || i > 8))
			continue;
		for (size_t k = 0; r->at[i] && k < w->obj[i].bytes; k++)
			h = (h ^ r->at[i][k]) * 1099511628211ULL;
	}
	return h;
}

static inline uint64_t written(const struct row *w, const struct run *r)
{
	uint64_t bits = 0;

	for (int i = 0; i < MAX_OBJECTS; i++)
		for (size_t k = 0; r->at[i] && k < w->obj[i].bytes; k++)
			if (!w->obj[i].init && r->at[i][k] != FILL)
				bits |= 1U << i;
	return bits;
}

static inline bool run_row(const struct row *w, int mode, unsigned char *mem)
{
	struct run r;
	long ret;
	int err;

	place_all(w, &r, mode, mem);
	if (w->prepare)
		w->prepare(&r);
	if (!arm_all(w, &r, mode))
		return false;
	ret = syscall(w->nr, r.arg[0], r.arg[1], r.arg[2], r.arg[3], r.arg[4],
		      r.arg[5]);
	err = ret < 0 ? errno : 0;
	if (ret > 0 && w->flags & NEW_FD)
		close((int)ret);
	if (ret > 0 && w->flags & RESULT)
		ret = 1;
	printf("%s %s: %ld, errno %d, %s %llx\n", w->name, modes[mode], ret,
	       err, w->flags & VOLATILE ? "wrote" : "data",
	       (unsigned long long)(w->flags & VOLATILE ? written(w, &r)
							: hash_of(w, &r)));
	fflush(stdout);
	return true;
}

static inline bool run_matrix(const struct row *w, const char *only)
{
	unsigned char *mem =
		new_buffer((size_t)MAX_OBJECTS * OBJECT_PAGES * 4096);

	for (; w->name; w++)
		for (int mode = 0; mode < 3; mode++)
			if ((!only || !strcmp(only, w->name)) &&
			    !(mode && w->flags & ALIGNED) &&
			    !run_row(w, mode, mem))
				return false;
	return true;
}

#endif /* MATRIX_H */
