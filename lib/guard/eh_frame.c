/* SPDX-License-Identifier: MIT */
/*
 * Where functions begin and end: .eh_frame, by the sorted table that linkers
 * put into .eh_frame_hdr, or by walking it where there is no such table.
 *
 * All of it is read as if someone wanted to crash the reader: an entry that
 * makes no sense is no entry.  Called by site.c and branch.c.
 */
#include "image.h"

/* Encodings of pointers (DW_EH_PE_*): format, what it is added to. */
#define ENC_ABSPTR 0x00
#define ENC_ULEB 0x01
#define ENC_U2 0x02
#define ENC_U4 0x03
#define ENC_U8 0x04
#define ENC_SLEB 0x09
#define ENC_S2 0x0a
#define ENC_S4 0x0b
#define ENC_S8 0x0c
#define ENC_FORMAT 0x0f
#define ENC_PCREL 0x10
#define ENC_DATAREL 0x30
#define ENC_BASE 0x70
#define ENC_INDIRECT 0x80
#define ENC_OMIT 0xff

/* Bytes that are being read; @bad: there were not enough, or nonsense. */
struct reader {
	const uint8_t *p;
	const uint8_t *end;
	uint64_t vaddr; /* of *p */
	bool bad;
};

static struct reader reader(const uint8_t *p, uint64_t vaddr, uint64_t len)
{
	return (struct reader){.p = p, .end = p + len, .vaddr = vaddr};
}

static uint64_t left(const struct reader *r)
{
	return (uint64_t)(r->end - r->p);
}

static void skip(struct reader *r, uint64_t n)
{
	if (r->bad || n > left(r)) {
		r->bad = true;
		return;
	}
	r->p += n;
	r->vaddr += n;
}

/* @n bytes, the least significant first; 0 when there are not so many. */
static uint64_t get(struct reader *r, unsigned int n)
{
	const uint8_t *p = r->p;
	uint64_t v = 0;

	skip(r, n);
	if (r->bad)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static uint64_t get_leb(struct reader *r, bool is_signed)
{
	unsigned int shift = 0;
	uint64_t v = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)get(r, 1);
		if (r->bad || shift > 63) {
			r->bad = true;
			return 0;
		}
		v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (is_signed && byte & 0x40 && shift < 64)
		v |= ~0ULL << shift;
	return v;
}

static uint64_t get_format(struct reader *r, uint8_t enc)
{
	switch (enc & ENC_FORMAT) {
	case ENC_ULEB:
		return get_leb(r, false);
	case ENC_SLEB:
		return get_leb(r, true);
	case ENC_U2:
		return get(r, 2);
	case ENC_S2:
		return (uint64_t)(int16_t)get(r, 2);
	case ENC_U4:
		return get(r, 4);
	case ENC_S4:
		return (uint64_t)(int32_t)get(r, 4);
	case ENC_ABSPTR:
	case ENC_U8:
	case ENC_S8:
		return get(r, 8);
	default:
		r->bad = true;
		return 0;
	}
}

static uint64_t get_pointer(struct reader *r, uint8_t enc)
{
	uint64_t at = r->vaddr;

	if (enc == ENC_OMIT || enc & ENC_INDIRECT) {
		r->bad = true;
		return 0;
	}
	switch (enc & ENC_BASE) {
	case ENC_ABSPTR:
		return get_format(r, enc);
	case ENC_PCREL:
		return at + get_format(r, enc);
	default:
		r->bad = true;
		return 0;
	}
}

/* An entry's length: @r is left with its body, @next with what follows it. */
static bool get_entry(struct reader *r, struct reader *next)
{
	uint64_t len = get(r, 4);

	if (len == 0xffffffff)
		len = get(r, 8);
	if (r->bad || !len || len > left(r))
		return false;
	*next = *r;
	skip(next, len);
	r->end = r->p + len;
	return true;
}

/* The encoding that a CIE says its FDEs have. */
static bool cie_encoding(struct reader r, uint8_t *enc)
{
	char aug[9] = "";
	struct reader next;
	uint64_t version;
	unsigned int n;

	if (!get_entry(&r, &next) || get(&r, 4))
		return false;
	version = get(&r, 1);
	for (n = 0; n < sizeof(aug); n++) {
		aug[n] = (char)get(&r, 1);
		if (!aug[n])
			break;
	}
	if (r.bad || n == sizeof(aug) || (version != 1 && version != 3))
		return false;
	*enc = ENC_ABSPTR;
	if (aug[0] != 'z')
		return !aug[0];
	get_leb(&r, false); /* factors of code and data, return address */
	get_leb(&r, true);
	get_leb(&r, false);
	get_leb(&r, false);
	for (n = 1; aug[n] && !r.bad; n++) {
		if (aug[n] == 'R') {
			*enc = (uint8_t)get(&r, 1);
			break;
		}
		if (aug[n] == 'L')
			skip(&r, 1);
		else if (aug[n] == 'P')
			get_format(&r, (uint8_t)get(&r, 1));
		else if (aug[n] != 'S' && aug[n] != 'B')
			return false;
	}
	return !r.bad;
}

/*
 * The entry at @r, which goes to what follows it.  Return: is there an entry?
 * @f is empty when it is none of a function.
 */
static bool get_function(const struct nb_image *im, struct reader *r,
			 struct nb_func *f)
{
	struct reader body = *r, cie;
	uint64_t at, back, len;
	uint8_t enc;

	*f = (struct nb_func){0};
	if (!get_entry(&body, r))
		return false;
	at = body.vaddr;
	back = get(&body, 4);
	if (body.bad || !back || back > at - im->eh_frame_vaddr)
		return true;
	at -= back + im->eh_frame_vaddr;
	cie = reader(im->eh_frame + at, im->eh_frame_vaddr + at,
		     im->eh_frame_len - at);
	if (!cie_encoding(cie, &enc))
		return true;
	f->start = get_pointer(&body, enc);
	len = get_format(&body, enc);
	f->end = f->start + len;
	if (body.bad || f->start < im->vaddr ||
	    f->start - im->vaddr >= im->len ||
	    len > im->len - (f->start - im->vaddr))
		*f = (struct nb_func){0};
	return true;
}

/* The table of .eh_frame_hdr: pairs of 4 bytes, the function and its FDE. */
static uint64_t get_table(const struct nb_image *im, struct reader *r)
{
	uint8_t enc[4];
	uint64_t nr;

	if (!im->eh_hdr || !im->eh_frame)
		return 0;
	*r = reader(im->eh_hdr, im->eh_hdr_vaddr, im->eh_hdr_len);
	for (int i = 0; i < 4; i++)
		enc[i] = (uint8_t)get(r, 1);
	if (r->bad || enc[0] != 1 || enc[3] != (ENC_DATAREL | ENC_S4))
		return 0;
	if (enc[1] != ENC_OMIT)
		get_format(r, enc[1]);
	if (enc[2] == ENC_OMIT || enc[2] & (ENC_BASE | ENC_INDIRECT))
		return 0;
	nr = get_format(r, enc[2]);
	return r->bad ? 0 : nb_min(nr, left(r) / 8);
}

static uint64_t table_entry(const struct nb_image *im, const struct reader *t,
			    uint64_t i, bool fde)
{
	struct reader r = *t;

	skip(&r, i * 8 + (fde ? 4 : 0));
	return im->eh_hdr_vaddr + get_format(&r, ENC_S4);
}

/* How many of the table's functions start at or before @vaddr? */
static uint64_t table_search(const struct nb_image *im, const struct reader *t,
			     uint64_t nr, uint64_t vaddr)
{
	uint64_t lo = 0, hi = nr;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (table_entry(im, t, mid, false) <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Without a table: the last one that starts at or before @vaddr. */
static bool walk_before(const struct nb_image *im, uint64_t vaddr,
			struct nb_func *found)
{
	struct reader r =
		reader(im->eh_frame, im->eh_frame_vaddr, im->eh_frame_len);
	struct nb_func f;

	*found = (struct nb_func){0};
	while (get_function(im, &r, &f))
		if (f.end > f.start && f.start <= vaddr &&
		    (!found->end || f.start > found->start))
			*found = f;
	return found->end;
}

/**
 * nb_eh_frame_before() - which function is it, or was the last before it?
 * @im:	   the segment
 * @vaddr: an address in it
 * @f:	   out: the last function that starts there or before; it lies in the
 *	   segment
 *
 * Context: any; allocates nothing.
 * Return: false when there is none.
 */
bool nb_eh_frame_before(const struct nb_image *im, uint64_t vaddr,
			struct nb_func *f)
{
	struct reader t, r;
	uint64_t nr, off;

	if (!im->eh_frame)
		return false;
	nr = get_table(im, &t);
	if (!nr)
		return walk_before(im, vaddr, f);
	nr = table_search(im, &t, nr, vaddr);
	if (!nr)
		return false;
	off = table_entry(im, &t, nr - 1, true) - im->eh_frame_vaddr;
	if (off >= im->eh_frame_len)
		return false;
	r = reader(im->eh_frame + off, im->eh_frame_vaddr + off,
		   im->eh_frame_len - off);
	return get_function(im, &r, f) && f->end > f->start &&
	       f->start <= vaddr;
}

/**
 * nb_eh_frame_find() - which function is it?
 * @im:	   the segment
 * @vaddr: an address in it
 * @f:	   out: the function that covers it; it lies in the segment
 *
 * Context: any; allocates nothing.
 * Return: false when there is none.
 */
bool nb_eh_frame_find(const struct nb_image *im, uint64_t vaddr,
		      struct nb_func *f)
{
	return nb_eh_frame_before(im, vaddr, f) && vaddr < f->end;
}

/**
 * nb_eh_frame_next() - where does the next function begin?
 * @im:	   the segment
 * @vaddr: an address in it
 *
 * Context: any; allocates nothing.
 * Return: the first start of a function behind @vaddr, or the segment's end.
 */
uint64_t nb_eh_frame_next(const struct nb_image *im, uint64_t vaddr)
{
	uint64_t end = im->vaddr + im->len, nr, next;
	struct reader t, r;
	struct nb_func f;

	if (!im->eh_frame)
		return end;
	nr = get_table(im, &t);
	if (nr) {
		uint64_t i = table_search(im, &t, nr, vaddr);

		if (i == nr)
			return end;
		next = table_entry(im, &t, i, false);
		return nb_clamp(next, vaddr, end);
	}
	r = reader(im->eh_frame, im->eh_frame_vaddr, im->eh_frame_len);
	next = end;
	while (get_function(im, &r, &f))
		if (f.start > vaddr)
			next = nb_min(next, f.start);
	return next;
}
