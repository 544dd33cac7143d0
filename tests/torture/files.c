/* SPDX-License-Identifier: MIT */
/*
 * Files and folders: every buffer, path, vector and structure that the kernel
 * reads or writes is in the heap.
 */
#include "torture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#define FILE_MODE 0600

static int make_file(const char *path, size_t bytes, uint64_t seed)
{
	int fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_TRUNC, FILE_MODE));
	void *p = get_filled(bytes, seed);

	full_write(fd, p, bytes);
	free(p);
	return fd;
}

static void check_file(int fd, size_t bytes, uint64_t seed)
{
	void *p = get(bytes);
	long n = AGAIN(pread(fd, p, bytes, 0));

	CHECK(n == (long)bytes, n);
	CHECK(same(p, bytes, seed), bytes);
	free(p);
}

static void read_write(struct worker *w)
{
	size_t bytes = 1 + below(w, 40000), at = below(w, 5000);
	char *path = path_of(w, "data"), *p = get(bytes);
	struct stat *st = get(sizeof(*st));
	uint64_t s = rnd(w);
	int fd = make_file(path, bytes, s);

	check_file(fd, bytes, s);
	MUST(fstat(fd, st));
	CHECK(st->st_size == (off_t)bytes, st->st_size);
	fill(p, bytes, s + 1);
	CHECK(AGAIN(pwrite(fd, p, bytes, (off_t)at)) == (long)bytes, bytes);
	memset(p, 0, bytes);
	MUST(lseek(fd, (off_t)at, SEEK_SET));
	full_read(fd, p, bytes);
	CHECK(same(p, bytes, s + 1), bytes);
	CHECK(read(fd, p, 1) == 0, 1);
	MUST(ftruncate(fd, 7));
	MUST(stat(path, st));
	CHECK(st->st_size == 7, st->st_size);
	note(w, (uint64_t)st->st_size + bytes + hash(p, bytes));
	MUST(close(fd));
	MUST(unlink(path));
	FAILS(open(path, O_RDONLY), ENOENT);
	FAILS(stat(path, st), ENOENT);
	free(st);
	free(p);
	free(path);
}

static void vectors(struct worker *w)
{
	size_t nr = 1 + below(w, 20), bytes = 0;
	struct iovec *v = calloc(nr, sizeof(*v));
	char *path = path_of(w, "vec");
	uint64_t s = rnd(w);
	int fd = (int)MUST(open(path, O_RDWR | O_CREAT, FILE_MODE));

	for (size_t i = 0; i < nr; i++) {
		v[i].iov_len = below(w, 6000);
		v[i].iov_base = get_filled(v[i].iov_len, s + i);
		bytes += v[i].iov_len;
	}
	CHECK(AGAIN(writev(fd, v, (int)nr)) == (long)bytes, bytes);
	for (size_t i = 0; i < nr; i++)
		memset(v[i].iov_base, 0, v[i].iov_len);
	CHECK(AGAIN(preadv(fd, v, (int)nr, 0)) == (long)bytes, bytes);
	for (size_t i = 0; i < nr; i++)
		CHECK(same(v[i].iov_base, v[i].iov_len, s + i), i);
	CHECK(AGAIN(pwritev(fd, v, (int)nr, 3)) == (long)bytes, bytes);
	MUST(lseek(fd, 3, SEEK_SET));
	CHECK(AGAIN(readv(fd, v, (int)nr)) == (long)bytes, bytes);
	for (size_t i = 0; i < nr; i++) {
		CHECK(same(v[i].iov_base, v[i].iov_len, s + i), i);
		note(w, hash(v[i].iov_base, v[i].iov_len));
		free(v[i].iov_base);
	}
	free(v);
	MUST(close(fd));
	MUST(unlink(path));
	free(path);
}

static void stdio(struct worker *w)
{
	unsigned int nr = 50 + (unsigned int)below(w, 400), seen = 0;
	char *path = path_of(w, "text"), *line = NULL;
	uint64_t s = rnd(w) >> 8;
	FILE *f = fopen(path, "w");
	size_t room = 0;

	CHECK(f, 0);
	if (!f)
		return;
	for (unsigned int i = 0; i < nr; i++)
		CHECK(fprintf(f, "%u %lx %.*s\n", i, (unsigned long)(s + i),
			      (int)(i % 60), path) > 0,
		      i);
	CHECK(!fclose(f), errno);
	f = fopen(path, "r");
	while (f && getline(&line, &room, f) > 0) {
		unsigned long v = 0;
		unsigned int i = 0;

		CHECK(sscanf(line, "%u %lx", &i, &v) == 2, seen);
		CHECK(i == seen && v == s + i, i);
		seen++;
	}
	CHECK(f && !ferror(f), errno);
	CHECK(seen == nr, seen);
	note(w, seen);
	fclose(f);
	free(line);
	MUST(remove(path));
	free(path);
}

static void fill_folder(struct worker *w, const char *dir, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		char *path = get(strlen(dir) + 40);
		int fd;

		sprintf(path, "%s/a_name_of_some_length_%u", dir, i);
		fd = (int)MUST(creat(path, FILE_MODE));
		MUST(close(fd));
		free(path);
	}
	note(w, nr);
}

/* Names are hashed one by one: their order is the file system's. */
static void folders(struct worker *w)
{
	unsigned int nr = 1 + (unsigned int)below(w, 60), seen = 0;
	char *dir = path_of(w, "folder"), *to = path_of(w, "moved");
	char *cwd = get(4096), *path;
	uint64_t names = 0;
	struct dirent *e;
	DIR *d;

	MUST(mkdir(dir, 0700));
	fill_folder(w, dir, nr);
	MUST(rename(dir, to));
	d = opendir(to);
	CHECK(d, errno);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		names += hash(e->d_name, strlen(e->d_name));
		MUST(unlinkat(dirfd(d), e->d_name, 0));
		seen++;
	}
	if (d)
		closedir(d);
	CHECK(seen == nr, seen);
	note(w, names);
	CHECK(getcwd(cwd, 4096), errno);
	path = realpath(to, NULL);
	CHECK(path && !strcmp(path, to), errno);
	free(path);
	MUST(symlink("no/where", dir));
	CHECK(readlink(dir, cwd, 4096) == 8 && !memcmp(cwd, "no/where", 8),
	      errno);
	MUST(unlink(dir));
	MUST(rmdir(to));
	free(cwd);
	free(dir);
	free(to);
}

static void about_files(struct worker *w)
{
	char *path = path_of(w, "about"), *value = get(64);
	struct timespec *ts = get(2 * sizeof(*ts));
	struct statfs *fs = get(sizeof(*fs));
	struct statx *sx = get(sizeof(*sx));
	struct flock *lock = get(sizeof(*lock));
	int fd = make_file(path, 100, 5);

	MUST(access(path, R_OK | W_OK));
	MUST(fchmod(fd, 0640));
	ts[0] = (struct timespec){1000000 + (long)w->id, 0};
	ts[1] = (struct timespec){2000000, 0};
	MUST(utimensat(AT_FDCWD, path, ts, 0));
	MUST(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, sx));
	CHECK(sx->stx_size == 100, sx->stx_size);
	CHECK((sx->stx_mode & 0777) == 0640, sx->stx_mode);
	CHECK(sx->stx_mtime.tv_sec == 2000000, sx->stx_mtime.tv_sec);
	MUST(statfs(path, fs));
	CHECK(fs->f_bsize > 0, fs->f_bsize);
	*lock = (struct flock){.l_type = F_WRLCK, .l_len = 50};
	MUST(fcntl(fd, F_SETLK, lock));
	lock->l_type = F_WRLCK;
	MUST(fcntl(fd, F_GETLK, lock));
	CHECK(lock->l_type == F_UNLCK, lock->l_type);
	MUST(flock(fd, LOCK_EX));
	if (!fsetxattr(fd, "user.torture", "value", 5, 0))
		CHECK(fgetxattr(fd, "user.torture", value, 64) == 5 &&
			      !memcmp(value, "value", 5),
		      errno);
	else
		CHECK(errno != EFAULT, errno);
	MUST(close(fd));
	MUST(unlink(path));
	note(w, (uint64_t)sx->stx_atime.tv_sec);
	free(value);
	free(ts);
	free(fs);
	free(sx);
	free(lock);
	free(path);
}

static void in_kernel_copies(struct worker *w)
{
	size_t bytes = 1 + below(w, 60000);
	char *path = path_of(w, "from"), *path2 = path_of(w, "to");
	off_t *at = get(2 * sizeof(*at));
	uint64_t s = rnd(w);
	int in = make_file(path, bytes, s), out = make_file(path2, 0, 0);
	long n, done = 0;
	int *p = get(2 * sizeof(*p));

	at[0] = 0;
	while (done < (long)bytes &&
	       (n = MUST(AGAIN(sendfile(out, in, at, bytes)))) > 0)
		done += n;
	CHECK(done == (long)bytes && at[0] == (off_t)bytes, done);
	check_file(out, bytes, s);
	MUST(ftruncate(out, 0));
	at[0] = at[1] = 0;
	for (done = 0; done < (long)bytes; done += n) {
		n = AGAIN(copy_file_range(in, at, out, at + 1, bytes, 0));
		if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP))
			break;
		CHECK(n > 0, n);
		if (n <= 0)
			break;
	}
	if (done == (long)bytes)
		check_file(out, bytes, s);
	MUST(pipe(p));
	at[0] = 0;
	n = MUST(AGAIN(splice(in, at, p[1], NULL, 4000, 0)));
	CHECK(at[0] == n, n);
	char *got = get((size_t)n);
	full_read(p[0], got, (size_t)n);
	CHECK(same(got, (size_t)n, s), n);
	note(w, bytes);
	free(got);
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
	MUST(unlink(path));
	MUST(unlink(path2));
	free(p);
	free(at);
	free(path);
	free(path2);
}

/* The pages in the pipe are read before they are reused. */
static void vm_splice(struct worker *w)
{
	size_t bytes = 1 + below(w, 30000);
	int *p = get(2 * sizeof(*p));
	struct iovec *v = get(sizeof(*v));
	char *from = get_filled(bytes, bytes), *to = get(bytes);
	long n, done = 0;

	MUST(pipe(p));
	while (done < (long)bytes) {
		*v = (struct iovec){from + done, bytes - (size_t)done};
		n = MUST(AGAIN(vmsplice(p[1], v, 1, 0)));
		if (n <= 0)
			break;
		full_read(p[0], to + done, (size_t)n);
		done += n;
	}
	CHECK(same(to, bytes, bytes), done);
	note(w, hash(to, bytes));
	close(p[0]);
	close(p[1]);
	free(from);
	free(to);
	free(v);
	free(p);
}

static void memory_files(struct worker *w)
{
	size_t bytes = 1 + below(w, 30000);
	char *name = get(16), *p;
	uint64_t s = rnd(w);
	int fd;

	strcpy(name, "torture");
	fd = (int)MUST(memfd_create(name, MFD_ALLOW_SEALING));
	MUST(ftruncate(fd, (off_t)bytes));
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED, errno);
	fill(p, bytes, s);
	check_file(fd, bytes, s);
	MUST(msync(p, bytes, MS_SYNC));
	MUST(munmap(p, bytes));
	MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	FAILS(ftruncate(fd, 1000000), EPERM);
	note(w, (uint64_t)MUST(fcntl(fd, F_GET_SEALS)));
	close(fd);
	free(name);
}

/* Short calls, each on another page: who arms it meanwhile must see them. */
static void short_calls(struct worker *w)
{
	enum { PAGES = 64, CALLS = 3000, BYTES = 64 };
	unsigned char *p = get(PAGES * 4096);
	int fd = (int)MUST(open("/dev/zero", O_RDONLY)), bad = 0;

	for (size_t i = 0; i < CALLS; i++) {
		unsigned char *at = p + i * 7 % PAGES * 4096 + below(w, 4000);

		at[BYTES - 1] = 1;
		bad += read(fd, at, BYTES) != BYTES || at[BYTES - 1];
	}
	CHECK(!bad, bad);
	note(w, CALLS);
	MUST(close(fd));
	free(p);
}

const struct op file_ops[] = {
	{"read-write", read_write, 1},
	{"vectors", vectors, 1},
	{"stdio", stdio, 1},
	{"folders", folders, 2},
	{"about-files", about_files, 1},
	{"in-kernel-copies", in_kernel_copies, 1},
	{"vmsplice", vm_splice, 1},
	{"memory-files", memory_files, 1},
	{"short-calls", short_calls, 1},
	{0},
};
