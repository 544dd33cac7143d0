/* SPDX-License-Identifier: MIT */
/*
 * guard/eh_frame.c on arbitrary tables.  The first bytes say whether there is
 * a sorted table, where the parts are, and how long the first is.  Whatever
 * the tables claim, a function that is found holds the address and is in the
 * segment, and the next one is behind it.
 *
 * Sources: lib/guard/eh_frame.c
 */
#include "fuzz_image.h"

#define TEXT_LEN 0x1000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct nb_image *im, uint64_t vaddr)
{
	struct nb_func f;
	uint64_t next;

	if (nb_eh_frame_find(im, vaddr, &f)) {
		CHECK(f.start <= vaddr && vaddr < f.end);
		CHECK(f.start >= im->vaddr && f.end <= im->vaddr + im->len);
	}
	if (nb_eh_frame_before(im, vaddr, &f))
		CHECK(f.start <= vaddr);
	next = nb_eh_frame_next(im, vaddr);
	CHECK(next > vaddr && next <= im->vaddr + im->len);
}

/* Tables that are right but for some bytes: offset and value in turn. */
static void broken(const uint8_t *data, size_t size)
{
	static const uint8_t text[TEXT_LEN];
	struct fuzz_image fi = {.nr_funcs = 4};

	for (unsigned int i = 0; i < fi.nr_funcs; i++)
		fi.func[i] = (struct nb_func){0x100U * i, 0x100U * i + 0x80};
	fuzz_image_make(&fi, text, sizeof(text));
	for (; size >= 2; data += 2, size -= 2) {
		if (data[0] < fi.im.eh_hdr_len)
			fi.hdr[data[0]] = data[1];
		else
			fi.frame[(data[0] - fi.im.eh_hdr_len) %
				 fi.im.eh_frame_len] = data[1];
	}
	for (uint64_t at = 0; at < TEXT_LEN; at += 397)
		ask(&fi.im, TEXT_AT + at);
	fuzz_image_free(&fi);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t text[TEXT_LEN];
	struct nb_image im = {
		.text = text,
		.vaddr = TEXT_AT,
		.len = sizeof(text),
		.eh_hdr_vaddr = HDR_AT,
		.eh_frame_vaddr = FRAME_AT,
	};
	uint8_t *hdr, *frame;

	if (size < 2)
		return 0;
	if (data[0] & 2) {
		broken(data + 1, size - 1);
		return 0;
	}
	im.eh_hdr_len = nb_min((size_t)data[1], size - 2);
	im.eh_frame_len = size - 2 - im.eh_hdr_len;
	hdr = exact_copy(data + 2, im.eh_hdr_len);
	frame = exact_copy(data + 2 + im.eh_hdr_len, im.eh_frame_len);
	im.eh_hdr = data[0] & 1 ? hdr : NULL;
	im.eh_frame = frame;
	for (uint64_t at = 0; at < TEXT_LEN; at += 397)
		ask(&im, TEXT_AT + at);
	free(hdr);
	free(frame);
	return 0;
}
