/* SPDX-License-Identifier: MIT */
/*
 * The file of NUMABAL_RECORD: a buffer, and when it is written.
 *
 * Events gather in memory of ours and go out in large pieces, when a piece is
 * full or a second old, with a whole number of events in each.  So a process
 * that is killed leaves a file that can be read, without its last second.
 *
 * It must not cost the program anything that shows.  All of it is numabald's
 * work and no lock is held meanwhile; the file is opened so that nothing waits
 * for a reader, has a largest size, and what cannot be written ends the
 * recording, with one line.
 *
 * numabald has a table of descriptors of its own, and the file stays open in
 * it.  Where the kernel refuses that, or in a program that is linked, the
 * descriptor would be the program's to close, and its number the next file's:
 * it is open for the time of a write only.
 *
 * Owns the buffer.  All of it runs in numabald, but nb_record_after_fork().
 */
#include "record.h"

#include "nb.h"
#include "plat/arena.h"
#include "stats.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>

#define BUFFER_BYTES (256 * 1024U)
#define PIECE_BYTES (64 * 1024U)
#define PIECE_NS NB_NSEC_PER_SEC
/* Text of one event: a list of CPUs, all options. */
#define SCRATCH_BYTES (32 * 1024U)
/* Of the largest size, for the events that end it. */
#define TAIL_BYTES 512

uint64_t nb_record_max_bytes = NB_RECORD_MAX_BYTES;

static struct {
	uint8_t *buf; /* NULL: nothing is recorded; SCRATCH_BYTES behind it */
	size_t len;
	uint64_t bytes; /* of the file, with what waits in the buffer */
	uint64_t flushed_ns;
	int fd;	      /* or -1 */
	bool own_fds; /* nobody else closes it */
	bool created; /* this process has made the file */
	bool over;    /* for good */
	char path[PATH_MAX + NB_CONFIG_STR];
} rec = {.fd = -1};

/**
 * nb_record_on() - is this run recorded?
 *
 * Context: numabald.
 * Return: true if so.
 */
bool nb_record_on(void)
{
	return rec.buf;
}

static void close_file(void)
{
	if (rec.fd >= 0)
		nb_syscall6(SYS_close, rec.fd, 0, 0, 0, 0, 0);
	rec.fd = -1;
}

static void give_up(void)
{
	close_file();
	rec.over = true;
	nb_arena_unmap(rec.buf, BUFFER_BYTES + SCRATCH_BYTES);
	rec.buf = NULL;
}

/* A FIFO without a reader is an error, one that is full is another. */
static long open_file(void)
{
	long flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	if (rec.fd >= 0)
		return 0;
	flags |= rec.created ? O_APPEND : O_CREAT | O_TRUNC;
	/* It tells where the program's memory is. */
	rec.fd = (int)nb_syscall6(SYS_openat, AT_FDCWD, (long)rec.path, flags,
				  0600, 0, 0);
	if (rec.fd < 0)
		return rec.fd;
	rec.created = true;
	return 0;
}

static void write_piece(void)
{
	long err;

	if (!rec.len)
		return;
	err = open_file();
	if (!err)
		err = nb_sys_write_all(rec.fd, (const char *)rec.buf, rec.len);
	if (err < 0) {
		nb_log(NB_LOG_WARN,
		       "cannot write %s (error %ld): the recording ends here",
		       rec.path, -err);
		give_up();
		return;
	}
	rec.len = 0;
	if (!rec.own_fds)
		close_file();
}

/**
 * nb_record_flush() - write what is due
 * @now_ns: the time.
 *
 * Context: numabald, once a pass.
 */
void nb_record_flush(uint64_t now_ns)
{
	if (!rec.buf ||
	    (rec.len < PIECE_BYTES && now_ns - rec.flushed_ns < PIECE_NS))
		return;
	rec.flushed_ns = now_ns;
	write_piece();
}

static void end_at_limit(void)
{
	struct nb_record_event ev = {
		.type = NB_RECORD_LIMIT,
		.nr = NB_RECORD_LIMIT_NR,
		.v = {[NB_RECORD_LIMIT_time_ns] = (int64_t)nb_clock_ns(),
		      [NB_RECORD_LIMIT_bytes] = (int64_t)rec.bytes},
	};

	rec.len +=
		nb_record_put(rec.buf + rec.len, BUFFER_BYTES - rec.len, &ev);
	write_piece();
	if (!rec.buf)
		return;
	nb_log(NB_LOG_INFO, "%s has got its largest size: the recording ends",
	       rec.path);
	give_up();
}

/**
 * nb_record_add() - one more event
 * @ev: the event.
 *
 * Context: numabald.
 */
void nb_record_add(const struct nb_record_event *ev)
{
	size_t n;

	if (!rec.buf)
		return;
	n = nb_record_put(rec.buf + rec.len,
			  BUFFER_BYTES - TAIL_BYTES - rec.len, ev);
	if (!n) {
		write_piece();
		if (!rec.buf)
			return;
		n = nb_record_put(rec.buf, BUFFER_BYTES - TAIL_BYTES, ev);
	}
	if (rec.bytes + n + TAIL_BYTES > nb_record_max_bytes) {
		end_at_limit();
		return;
	}
	rec.len += n;
	rec.bytes += n;
}

/**
 * nb_record_scratch() - room for the text of an event
 * @size: out: how much.
 *
 * Context: numabald, while something is recorded.
 * Return: where it is.
 */
char *nb_record_scratch(size_t *size)
{
	*size = SCRATCH_BYTES;
	return (char *)rec.buf + BUFFER_BYTES;
}

/**
 * nb_record_open() - begin, or go on after another numabald of this process
 * @own_descriptors: the caller has a table of its own.
 *
 * Context: numabald, first of all.
 * Return: true if the file is to be a new one.
 */
bool nb_record_open(bool own_descriptors)
{
	if (!nb.cfg.record[0] || rec.over)
		return false;
	rec.own_fds = own_descriptors;
	rec.flushed_ns = nb_clock_ns();
	if (!rec.buf)
		rec.buf = nb_arena_map(BUFFER_BYTES + SCRATCH_BYTES);
	if (!rec.buf || rec.bytes)
		return false;
	nb_stats_output_path(nb.cfg.record, rec.path, sizeof(rec.path));
	rec.len = nb_record_put_header(rec.buf);
	rec.bytes = rec.len;
	return true;
}

/**
 * nb_record_close() - write what there is
 *
 * Context: numabald, at its end.
 */
void nb_record_close(void)
{
	if (rec.buf)
		write_piece();
	close_file();
}

/**
 * nb_record_after_fork() - the child's run is another one
 *
 * Its numabald writes a file of its own; what is in the buffer is its parent's.
 *
 * Context: forked child.
 */
void nb_record_after_fork(void)
{
	rec.len = 0;
	rec.bytes = 0;
	rec.fd = -1;
	rec.created = false;
	rec.over = false;
}
