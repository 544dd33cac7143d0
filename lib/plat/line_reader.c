/* SPDX-License-Identifier: MIT */
/*
 * A file of /proc line by line, through a buffer that the caller owns.
 *
 * Such files have no size that could be asked for, and are made by the kernel
 * as they are read, so a line may be split over two reads.  A line longer than
 * the buffer is cut, not split in two.  Called by maps.c and taskinfo.c.
 */
#include "line_reader.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

/**
 * nb_lines_open() - start reading a file
 * @r: the reader
 * @path: the file
 *
 * Context: Any thread.
 * Return: 0 or -errno; on success nb_lines_close() has to follow.
 */
int nb_lines_open(struct nb_line_reader *r, const char *path)
{
	long fd;

	do {
		fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)path,
				 O_RDONLY | O_CLOEXEC | O_NOCTTY, 0, 0, 0);
	} while (fd == -EINTR);
	if (fd < 0)
		return (int)fd;
	r->fd = (int)fd;
	r->eof = false;
	r->skip = false;
	r->pos = 0;
	r->len = 0;
	return 0;
}

/* Move what is left to the front and read more behind it. */
static int refill(struct nb_line_reader *r)
{
	long ret;

	memmove(r->buf, r->buf + r->pos, r->len - r->pos);
	r->len -= r->pos;
	r->pos = 0;
	do {
		/* One byte stays free for the NUL after a last line. */
		ret = nb_syscall6(SYS_read, r->fd, (long)(r->buf + r->len),
				  (long)(sizeof(r->buf) - 1 - r->len), 0, 0, 0);
	} while (ret == -EINTR);
	if (ret < 0)
		return (int)ret;
	r->eof = ret == 0;
	r->len += (size_t)ret;
	return 0;
}

/* Hand out buf[pos, end) and go on at @next. */
static char *take(struct nb_line_reader *r, size_t end, size_t next)
{
	char *line = r->buf + r->pos;

	r->buf[end] = '\0';
	r->pos = next;
	return line;
}

/**
 * nb_lines_next() - get the next line
 * @r: the reader
 * @line: the line, without its newline, valid until the next call
 *
 * Context: Any thread.
 * Return: 1; 0 at the end; -errno.
 */
int nb_lines_next(struct nb_line_reader *r, char **line)
{
	for (;;) {
		char *nl = memchr(r->buf + r->pos, '\n', r->len - r->pos);
		bool skip = r->skip;
		int err;

		if (nl) {
			size_t end = (size_t)(nl - r->buf);

			*line = take(r, end, end + 1);
			r->skip = false;
			if (skip)
				continue;
			return 1;
		}
		if (r->eof) {
			if (r->pos == r->len || skip)
				return 0;
			*line = take(r, r->len, r->len);
			return 1;
		}
		if (r->len - r->pos == sizeof(r->buf) - 1) {
			*line = take(r, r->len, r->len);
			r->skip = true;
			if (!skip)
				return 1;
		}
		err = refill(r);
		if (err)
			return err;
	}
}

/**
 * nb_lines_close() - end reading
 * @r: the reader
 *
 * Context: Any thread.
 */
void nb_lines_close(struct nb_line_reader *r)
{
	nb_syscall6(SYS_close, r->fd, 0, 0, 0, 0, 0);
}
