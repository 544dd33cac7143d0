/* SPDX-License-Identifier: MIT */
/*
 * Look at a program before it is executed: can LD_PRELOAD work?
 *
 * LD_PRELOAD is a request to the dynamic linker.  A static program has none, a
 * program that gains privileges has one that ignores the request, one of
 * another machine type warns, and one of another C library (musl) loads ours
 * beside its own and crashes.  None of them can be balanced, all must run: so
 * `numabal run` asks here first and says why.
 *
 * Follows what execvp(3) and the kernel do: the PATH, then "#!" lines.  What
 * cannot be read is taken to be fine, as it is executed all the same.
 *
 * Owns nothing; called by run.c and doctor_command.c.
 */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Linux: BINPRM_BUF_SIZE, and the depth exec_binprm() goes to. */
#define HASHBANG_BYTES 256
#define HASHBANG_DEPTH 5
/* Programs have about 15; the limit only bounds a file made to be slow. */
#define MAX_PHDRS 256

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Phdr) elf_segment;

/* Our own header, as the linker put it into memory: needs no /proc. */
extern const elf_header __ehdr_start __attribute__((visibility("hidden")));

static bool same_base_name(const char *a, const char *b)
{
	const char *slash_a = strrchr(a, '/');
	const char *slash_b = strrchr(b, '/');

	return !strcmp(slash_a ? slash_a + 1 : a, slash_b ? slash_b + 1 : b);
}

/* 0 if execve(2) would try @path, else why not. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		return -EACCES;
	return 0;
}

/**
 * nb_target_resolve() - find a command as execvp(3) does
 * @command: path, or name to be searched for
 * @search: the PATH; NULL: the system's default
 * @path: where it is; also set on errors but -ENOENT
 * @size: bytes in @path
 *
 * Context: Tool.
 * Return: 0; -ENOENT; -EISDIR, -EACCES or another error of stat(2) if what
 * was found cannot be executed.
 */
int nb_target_resolve(const char *command, const char *search, char *path,
		      size_t size)
{
	char candidate[PATH_MAX];
	int found = -ENOENT;
	size_t len;
	int err;

	if (strchr(command, '/')) {
		snprintf(path, size, "%s", command);
		return executable(path);
	}
	if (!search)
		search = "/bin:/usr/bin"; /* glibc: confstr(_CS_PATH) */
	for (; *command && search; search += len + 1) {
		len = strcspn(search, ":");
		/* An empty element is the current directory. */
		if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)len,
			     search, len ? "/" : "./",
			     command) < (int)sizeof(candidate)) {
			err = executable(candidate);
			/* Of several that cannot be executed, the first. */
			if (!err || (err != -ENOENT && err != -ENOTDIR &&
				     found == -ENOENT)) {
				snprintf(path, size, "%s", candidate);
				found = err;
			}
			if (!err)
				break;
		}
		if (!search[len])
			break;
	}
	return found;
}

/* True if the kernel honours privileges that @path gives. */
static bool privileges_count(const char *path)
{
	struct statvfs fs;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	return statvfs(path, &fs) || !(fs.f_flag & ST_NOSUID);
}

/*
 * As the kernel decides about AT_SECURE: what counts is a change, so root may
 * preload into root's setuid programs.
 */
static enum nb_target_why privileged(const char *path)
{
	struct stat st;

	if (stat(path, &st) || !privileges_count(path))
		return NB_TARGET_OK;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return NB_TARGET_SETUID;
	/* Without S_IXGRP it once meant mandatory locking. */
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
	    st.st_gid != getgid())
		return NB_TARGET_SETGID;
	if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		return NB_TARGET_CAPS;
	return NB_TARGET_OK;
}

static int own_interp_cb(struct dl_phdr_info *info, size_t size, void *arg)
{
	char *interp = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			snprintf(interp, PATH_MAX, "%s",
				 (const char *)(info->dlpi_addr +
						info->dlpi_phdr[i].p_vaddr));
	return 1; /* the first one is the program */
}

/* The dynamic linker of numabal itself; empty if it is static. */
static void own_interp(char *interp)
{
	interp[0] = '\0';
	dl_iterate_phdr(own_interp_cb, interp);
}

/* 1: @interp is the file's PT_INTERP; 0: it has none; -errno: not told. */
static int read_interp(int fd, const elf_header *eh, char *interp, size_t size)
{
	elf_segment ph;
	ssize_t n;

	if (eh->e_phentsize != sizeof(ph) || eh->e_phnum > MAX_PHDRS)
		return -EINVAL;
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		off_t at = (off_t)(eh->e_phoff + i * sizeof(ph));

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			return -EINVAL;
		if (ph.p_type != PT_INTERP)
			continue;
		n = pread(fd, interp, size - 1, (off_t)ph.p_offset);
		if (n <= 0)
			return -EINVAL;
		interp[(size_t)n < ph.p_filesz ? (size_t)n : ph.p_filesz] =
			'\0';
		return 1;
	}
	return 0;
}

/* The dynamic linker executed as a command preloads like any program. */
static bool is_dynamic_linker(const char *path)
{
	char own[PATH_MAX];
	char real[PATH_MAX];
	char own_real[PATH_MAX];

	own_interp(own);
	return realpath(path, real) && realpath(own, own_real) &&
	       !strcmp(real, own_real);
}

static enum nb_target_why check_elf(int fd, const elf_header *eh,
				    const char *path)
{
	const elf_header *own = &__ehdr_start;
	char own_ld[PATH_MAX];
	char interp[PATH_MAX];
	int ret;

	if (eh->e_ident[EI_CLASS] != own->e_ident[EI_CLASS] ||
	    eh->e_ident[EI_DATA] != own->e_ident[EI_DATA] ||
	    eh->e_machine != own->e_machine)
		return NB_TARGET_MACHINE;
	ret = read_interp(fd, eh, interp, sizeof(interp));
	if (!ret && !is_dynamic_linker(path))
		return NB_TARGET_STATIC;
	/* A C library has a name for its linker; where it is differs. */
	own_interp(own_ld);
	if (ret > 0 && own_ld[0] && !same_base_name(interp, own_ld))
		return NB_TARGET_LIBC;
	return privileged(path);
}

/*
 * The word after "#!" in @text, and what follows it on the line; false: the
 * kernel does not see one.
 */
static bool hashbang(const char *text, struct nb_target *t)
{
	size_t len;

	if (strncmp(text, "#!", 2))
		return false;
	text += 2;
	text += strspn(text, " \t");
	len = strcspn(text, " \t\n");
	if (!len || len >= sizeof(t->path))
		return false;
	snprintf(t->path, sizeof(t->path), "%.*s", (int)len, text);
	text += len;
	text += strspn(text, " \t");
	snprintf(t->argument, sizeof(t->argument), "%.*s",
		 (int)strcspn(text, "\n"), text);
	return true;
}

/* Look at one file.  Returns 1 if t->path is now its interpreter. */
static int check_file(struct nb_target *t)
{
	union {
		elf_header eh;
		char text[HASHBANG_BYTES];
	} head;
	bool script;
	ssize_t n;
	int fd;

	if (executable(t->path))
		return -ENOENT;
	memset(&head, 0, sizeof(head));
	fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	n = fd < 0 ? -1 : pread(fd, &head, sizeof(head) - 1, 0);
	if (n < 0) {
		/* Executable but not readable: that much shows outside. */
		t->why = privileged(t->path);
		script = false;
	} else if ((size_t)n >= sizeof(head.eh) &&
		   !memcmp(head.eh.e_ident, ELFMAG, SELFMAG)) {
		t->why = check_elf(fd, &head.eh, t->path);
		script = false;
	} else {
		/* What is no program at all, execvp(3) gives to the shell. */
		script = true;
		t->argument[0] = '\0';
		if (!hashbang(head.text, t))
			snprintf(t->path, sizeof(t->path), "/bin/sh");
	}
	if (fd >= 0)
		close(fd);
	return script;
}

/**
 * nb_target_check() - can a program be preloaded into?
 * @path: the program, as nb_target_resolve() found it
 * @t: the answer
 *
 * Context: Tool.
 * Return: 0; -ENOENT if @t->path, the interpreter of a script, cannot be
 * executed; -ELOOP for too many interpreters.
 */
int nb_target_check(const char *path, struct nb_target *t)
{
	int ret;

	*t = (struct nb_target){.why = NB_TARGET_OK};
	snprintf(t->path, sizeof(t->path), "%s", path);
	for (;;) {
		ret = check_file(t);
		if (ret <= 0)
			return ret;
		if (++t->nr_interpreters > HASHBANG_DEPTH)
			return -ELOOP;
	}
}

/**
 * nb_target_env() - the program that "#!/usr/bin/env PROGRAM" means
 * @t: what nb_target_check() found
 * @name: the program
 * @size: bytes in @name
 *
 * env(1) is found in the place of most interpreters, and is not what runs.
 *
 * Context: Tool.
 * Return: true; false: it is something else.
 */
bool nb_target_env(const struct nb_target *t, char *name, size_t size)
{
	const char *s = t->argument;
	size_t len;

	if (!t->nr_interpreters || !same_base_name(t->path, "env"))
		return false;
	for (;; s += len) {
		s += strspn(s, " \t");
		len = strcspn(s, " \t");
		/* Options, "-S" above all, and variables; then the name. */
		if (*s != '-' && !memchr(s, '=', len))
			break;
	}
	if (!len || len >= size)
		return false;
	memcpy(name, s, len);
	name[len] = '\0';
	return true;
}

/**
 * nb_target_text() - why a program cannot be preloaded into
 * @why: the reason
 *
 * Context: Tool.
 * Return: a few words.
 */
const char *nb_target_text(enum nb_target_why why)
{
	switch (why) {
	case NB_TARGET_STATIC:
		return "statically linked";
	case NB_TARGET_SETUID:
		return "setuid";
	case NB_TARGET_SETGID:
		return "setgid";
	case NB_TARGET_CAPS:
		return "has file capabilities";
	case NB_TARGET_MACHINE:
		return "built for another machine type";
	case NB_TARGET_LIBC:
		return "built for another C library";
	case NB_TARGET_OK:
		break;
	}
	return "can be preloaded into";
}
