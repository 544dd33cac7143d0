/* SPDX-License-Identifier: MIT */
/*
 * Reading a file of /proc line by line, without malloc or stdio.
 */
#ifndef NB_LINE_READER_H
#define NB_LINE_READER_H

#include "../base/util.h"

/* A path of PATH_MAX and what /proc/PID/maps has before it fit. */
#define NB_LINE_READER_BYTES 4608

struct nb_line_reader {
	int fd;
	bool eof;
	bool skip; /* the rest of a line that was too long */
	size_t pos;
	size_t len;
	char buf[NB_LINE_READER_BYTES];
};

int nb_lines_open(struct nb_line_reader *r, const char *path);
int nb_lines_next(struct nb_line_reader *r, char **line);
void nb_lines_close(struct nb_line_reader *r);

#endif /* NB_LINE_READER_H */
