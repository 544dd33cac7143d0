/* SPDX-License-Identifier: MIT */
/*
 * numabal-replay: takes a run that NUMABAL_RECORD has recorded through the
 * policy again, counts the decisions by their reasons, and says where the first
 * one is another than was recorded.
 *
 * Exit status: 0, all decisions are the same; 2, some differ; 1, the file is
 * not a recorded run, or is damaged.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void usage(FILE *f)
{
	fprintf(f,
		"usage: numabal-replay [-d] FILE\n"
		"Replay a recorded run (NUMABAL_RECORD) through the policy.\n"
		"  -d  print all events instead\n"
		"  -h  show this text\n");
}

/* The file's bytes; NULL, with errno, if it has none or cannot be read. */
static const uint8_t *map_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st)) {
		*size = (size_t)st.st_size;
		errno = ENODATA;
		if (S_ISDIR(st.st_mode))
			errno = EISDIR;
		else if (st.st_size > 0)
			p = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static int replay(const char *path, bool dump)
{
	static struct replay r;
	size_t size = 0;
	const uint8_t *buf = map_file(path, &size);
	int ret = 1;

	if (!buf) {
		fprintf(stderr, "numabal-replay: %s: %s\n", path,
			errno == ENODATA ? "empty" : strerror(errno));
		return 1;
	}
	if (replay_init(&r)) {
		fprintf(stderr, "numabal-replay: no memory\n");
		return 1;
	}
	if (replay_run(&r, buf, size, dump ? stdout : NULL)) {
		fflush(stdout);
		fprintf(stderr, "numabal-replay: %s: %s\n", path, r.err);
	} else {
		if (!dump)
			replay_report(&r, stdout);
		ret = r.nr_differ && !dump ? 2 : 0;
	}
	replay_free(&r);
	if (fflush(stdout)) {
		fprintf(stderr, "numabal-replay: standard output: %s\n",
			strerror(errno));
		return 1;
	}
	return ret;
}

int main(int argc, char **argv)
{
	bool dump = false;
	int c;

	while ((c = getopt(argc, argv, "dh")) != -1) {
		switch (c) {
		case 'd':
			dump = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc - 1) {
		usage(stderr);
		return 1;
	}
	return replay(argv[optind], dump);
}
