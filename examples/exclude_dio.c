/* SPDX-License-Identifier: MIT */
/*
 * Keep a direct-I/O buffer out of balancing: numabal_exclude().
 *
 * A buffer that the kernel or a device reads and writes by itself must not be
 * armed: a read(2) into armed memory fails with EFAULT. A program that is
 * linked with the library says so itself, once, when it makes the buffer.
 * (numabal_pause() and numabal_resume() are for the moment when that is hard
 * to say: a registration of all memory, a checkpoint.)
 *
 * Here one mapping is half working memory, half buffer. The file is read into
 * the buffer all the time while the other half is balanced; one failed or
 * wrong read makes the exit status 1.
 *
 * Build: cc exclude_dio.c $(pkg-config --cflags --libs numabal)
 */
#define _GNU_SOURCE
#include <numabal.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define HALF ((size_t)16 << 20)
#define IO_BYTES ((size_t)1 << 20)
#define PATIENCE_S 30

/* A file of a known content; direct where its file system can do that. */
static int open_file(const char *content)
{
	char path[] = "/var/tmp/exclude_dio.XXXXXX";
	int fd = mkstemp(path);
	int direct;

	if (fd < 0)
		return -1;
	if (write(fd, content, IO_BYTES) != (ssize_t)IO_BYTES) {
		unlink(path);
		close(fd);
		return -1;
	}
	fsync(fd);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (direct < 0)
		return fd;
	close(fd);
	return direct;
}

/* Fill all of the buffer from the file and compare. */
static int read_all(int fd, char *buf, const char *content)
{
	for (size_t at = 0; at < HALF; at += IO_BYTES)
		if (pread(fd, buf + at, IO_BYTES, 0) != (ssize_t)IO_BYTES ||
		    memcmp(buf + at, content, IO_BYTES) != 0)
			return -1;
	return 0;
}

int main(void)
{
	struct numabal_opts opts = {
		.sz = sizeof(opts),
		.flags = NUMABAL_F_FORCE,
		.scan_delay_ms = 10,
		.scan_period_min_ms = 10,
		.min_rss_mb = 1,
	};
	struct numabal_stats st = {.sz = sizeof(st)};
	time_t end = time(NULL) + PATIENCE_S;
	static char content[IO_BYTES];
	int fd, err, failed = 0;
	char *mem;

	memset(content, 'n', sizeof(content));
	fd = open_file(content);
	mem = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || mem == MAP_FAILED) {
		perror("exclude_dio");
		return 1;
	}
	err = numabal_start(&opts);
	/* All of it, then without the half that the kernel writes. */
	err = err ? err : numabal_include(mem, 2 * HALF);
	err = err ? err : numabal_exclude(mem + HALF, HALF);
	if (err) {
		fprintf(stderr, "exclude_dio: %s\n", strerror(-err));
		return 1;
	}
	for (int i = 1; !failed && st.numa_hint_faults < 8; i++) {
		memset(mem, i, HALF);
		failed = read_all(fd, mem + HALF, content) ||
			 numabal_get_stats(&st) || time(NULL) >= end;
	}
	printf("%llu hint faults in the working half; reads into the other "
	       "half: %s\n",
	       (unsigned long long)st.numa_hint_faults,
	       failed ? "FAILED" : "all right");
	return failed || numabal_stop();
}
