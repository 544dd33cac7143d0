/* SPDX-License-Identifier: MIT */
/*
 * Formatting and writing without stdio, malloc or locks.
 *
 * A message is one line and one write(2): "numabal: text", with the level in
 * front of the text for info and debug.  It goes to the sink that the program
 * set, else to LOG_FILE, else to standard error.
 *
 * The file is opened for each line and closed again: no descriptor is kept
 * that the program could close, and whose number could then be the program's
 * own file.  Bytes that would drive a terminal are replaced, as thread and
 * file names in a message are anybody's.
 *
 * Owns the level, the file's name and the sink.  Called from everywhere,
 * including the signal handler as long as no sink is set.
 */
#include "log.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#define LINE_BYTES 512
/* Sinks are replaced, not changed: who reads one sees a whole one. */
#define NR_SINKS 16

struct sink {
	nb_log_sink *fn; /* NULL: silence */
	void *arg;
};

static _Atomic int log_level = NB_LOG_WARN; /* (A) */
static char log_file[PATH_MAX];		    /* (I) empty: standard error */
static struct sink sinks[NR_SINKS];
static _Atomic unsigned int nr_sinks_set; /* (A) */
static _Atomic(struct sink *) log_sink;	  /* (A) NULL: none set */

/**
 * nb_text_init() - start building a text
 * @t: the text
 * @buf: where it is built
 * @size: bytes in @buf, the NUL included; may be 0
 *
 * Context: Anywhere, including the signal handler.
 */
void nb_text_init(struct nb_text *t, char *buf, size_t size)
{
	t->buf = buf;
	t->size = size;
	t->len = 0;
	if (size)
		buf[0] = '\0';
}

static void put(struct nb_text *t, char c)
{
	if (t->len + 1 < t->size) {
		t->buf[t->len] = c;
		t->buf[t->len + 1] = '\0';
	}
	t->len++;
}

/* What stands between the '%' and the letter. */
struct spec {
	bool zero;
	bool left;
	int width;
	int precision; /* -1: none */
};

static void put_padded(struct nb_text *t, const struct spec *spec,
		       const char *s, size_t len)
{
	size_t pad = spec->width > 0 && (size_t)spec->width > len
			     ? (size_t)spec->width - len
			     : 0;
	bool zero = spec->zero && !spec->left;

	/* Zeros go between the sign and the digits. */
	if (zero && len && *s == '-') {
		put(t, *s++);
		len--;
	}
	for (; pad && !spec->left; pad--)
		put(t, zero ? '0' : ' ');
	while (len--)
		put(t, *s++);
	for (; pad; pad--)
		put(t, ' ');
}

static void put_string(struct nb_text *t, struct spec *spec, const char *s)
{
	size_t len = 0;

	if (!s)
		s = "(null)";
	while ((spec->precision < 0 || len < (size_t)spec->precision) && s[len])
		len++;
	spec->zero = false;
	put_padded(t, spec, s, len);
}

static void put_number(struct nb_text *t, const struct spec *spec, uint64_t n,
		       unsigned int base, const char *prefix)
{
	char buf[32];
	char *p = buf + sizeof(buf);
	size_t len = strlen(prefix);

	do {
		*--p = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	p -= len;
	memcpy(p, prefix, len);
	put_padded(t, spec, p, (size_t)(buf + sizeof(buf) - p));
}

/* The widths of integer that a length modifier can name. */
enum length { LEN_INT, LEN_LONG, LEN_LLONG, LEN_SIZE };

static const char *parse_length(const char *p, enum length *length)
{
	*length = LEN_INT;
	if (*p == 'z') {
		*length = LEN_SIZE;
		p++;
	} else if (p[0] == 'l' && p[1] == 'l') {
		*length = LEN_LLONG;
		p += 2;
	} else if (*p == 'l') {
		*length = LEN_LONG;
		p++;
	}
	return p;
}

/* A va_list as a pointer target: passed as a parameter it may be an array. */
struct args {
	va_list ap;
};

static int64_t next_signed(struct args *a, enum length length)
{
	switch (length) {
	case LEN_LLONG:
		return va_arg(a->ap, long long);
	case LEN_LONG:
		return va_arg(a->ap, long);
	case LEN_SIZE:
		return va_arg(a->ap, ssize_t);
	case LEN_INT:
		break;
	}
	return va_arg(a->ap, int);
}

static uint64_t next_unsigned(struct args *a, enum length length)
{
	switch (length) {
	case LEN_LLONG:
		return va_arg(a->ap, unsigned long long);
	case LEN_LONG:
		return va_arg(a->ap, unsigned long);
	case LEN_SIZE:
		return va_arg(a->ap, size_t);
	case LEN_INT:
		break;
	}
	return va_arg(a->ap, unsigned int);
}

static const char *parse_int(const char *p, struct args *a, int *v)
{
	*v = 0;
	if (*p == '*') {
		*v = va_arg(a->ap, int);
		return p + 1;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		if (*v < 100000)
			*v = *v * 10 + (*p - '0');
	return p;
}

static const char *parse_spec(const char *p, struct args *a, struct spec *spec)
{
	*spec = (struct spec){.precision = -1};
	for (; *p == '0' || *p == '-'; p++) {
		if (*p == '0')
			spec->zero = true;
		else
			spec->left = true;
	}
	p = parse_int(p, a, &spec->width);
	if (spec->width < 0) {
		spec->left = true;
		spec->width = spec->width == INT_MIN ? 0 : -spec->width;
	}
	if (*p == '.')
		p = parse_int(p + 1, a, &spec->precision);
	return p;
}

/* Format one argument; returns false for a letter that we do not have. */
static bool put_arg(struct nb_text *t, struct spec *spec, char letter,
		    enum length length, struct args *a)
{
	int64_t n;
	char c;

	switch (letter) {
	case 's':
		put_string(t, spec, va_arg(a->ap, const char *));
		return true;
	case 'c':
		c = (char)va_arg(a->ap, int);
		spec->zero = false;
		put_padded(t, spec, &c, 1);
		return true;
	case 'd':
	case 'i':
		n = next_signed(a, length);
		put_number(t, spec, n < 0 ? -(uint64_t)n : (uint64_t)n, 10,
			   n < 0 ? "-" : "");
		return true;
	case 'u':
		put_number(t, spec, next_unsigned(a, length), 10, "");
		return true;
	case 'x':
		put_number(t, spec, next_unsigned(a, length), 16, "");
		return true;
	case 'p':
		spec->zero = false;
		put_number(t, spec, (uintptr_t)va_arg(a->ap, void *), 16, "0x");
		return true;
	case '%':
		put(t, '%');
		return true;
	}
	return false;
}

/**
 * nb_text_vadd() - append to a text, as vprintf
 * @t: the text
 * @fmt: %s %c %d %i %u %x %p %% with l, ll, z, width, 0, - and, for %s,
 *	 precision; '*' takes either from the arguments
 * @ap: arguments
 *
 * Context: Anywhere, including the signal handler.
 */
void nb_text_vadd(struct nb_text *t, const char *fmt, va_list ap)
{
	enum length length;
	struct spec spec;
	struct args a;

	va_copy(a.ap, ap);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(t, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &a, &spec);
		fmt = parse_length(fmt, &length);
		/* What follows an unknown letter cannot be read right. */
		if (!*fmt || !put_arg(t, &spec, *fmt, length, &a))
			break;
	}
	va_end(a.ap);
}

/**
 * nb_text_add() - append to a text, as printf
 * @t: the text
 * @fmt: as nb_text_vadd()
 *
 * Context: Anywhere, including the signal handler.
 */
void nb_text_add(struct nb_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	nb_text_vadd(t, fmt, ap);
	va_end(ap);
}

static void add_span(struct nb_text *t, int first, int last, bool comma)
{
	nb_text_add(t, "%s%d", comma ? "," : "", first);
	if (last > first)
		nb_text_add(t, "-%d", last);
}

/**
 * nb_text_add_cpulist() - append a set of CPUs
 * @t: the text
 * @mask: the set
 *
 * Context: Anywhere, including the signal handler.
 */
void nb_text_add_cpulist(struct nb_text *t, const struct nb_cpumask *mask)
{
	bool comma = false;
	int cpu, last;

	nb_for_each_cpu (cpu, mask) {
		for (last = cpu; nb_cpu_isset(mask, last + 1);)
			last++;
		add_span(t, cpu, last, comma);
		comma = true;
		cpu = last;
	}
}

/**
 * nb_text_add_nodelist() - append a set of nodes
 * @t: the text
 * @mask: the set
 *
 * Context: Anywhere, including the signal handler.
 */
void nb_text_add_nodelist(struct nb_text *t, const struct nb_nodemask *mask)
{
	bool comma = false;
	int nid, last;

	nb_for_each_nid (nid, mask) {
		for (last = nid; nb_node_isset(mask, last + 1);)
			last++;
		add_span(t, nid, last, comma);
		comma = true;
		nid = last;
	}
}

/**
 * nb_log_setup() - set what is written, and where to
 * @level: enum nb_log_level; messages above it are dropped
 * @file: file that lines are appended to; NULL or empty: standard error
 *
 * A relative name means the directory that the program is in now.
 *
 * Context: Start only.
 */
void nb_log_setup(int level, const char *file)
{
	struct nb_text t;
	char cwd[PATH_MAX];
	long ret = 0;

	atomic_store_explicit(&log_level, level, memory_order_relaxed);
	nb_text_init(&t, log_file, sizeof(log_file));
	if (!file || !*file)
		return;
	if (*file != '/')
		ret = nb_syscall6(SYS_getcwd, (long)cwd, sizeof(cwd), 0, 0, 0,
				  0);
	if (*file != '/' && ret > 0 && cwd[0] == '/')
		nb_text_add(&t, "%s/", cwd);
	nb_text_add(&t, "%s", file);
	if (t.len >= t.size)
		log_file[0] = '\0';
}

/**
 * nb_log_set_sink() - hand messages to the program
 * @fn: called with each message, without "numabal: "; NULL: silence
 * @arg: passed through
 * @set: false: back to file and standard error
 *
 * Context: Any thread.  A message that is on its way may still go to the
 * previous sink.
 */
void nb_log_set_sink(nb_log_sink *fn, void *arg, bool set)
{
	struct sink *s = NULL;
	unsigned int nr;

	if (set) {
		nr = atomic_fetch_add_explicit(&nr_sinks_set, 1,
					       memory_order_relaxed);
		s = &sinks[nr % NR_SINKS];
		s->fn = fn;
		s->arg = arg;
	}
	/* Pairs with the load in nb_log(). */
	atomic_store_explicit(&log_sink, s, memory_order_release);
}

/**
 * nb_log_on() - would a message be written?
 * @level: its level
 *
 * Context: Anywhere, including the signal handler.
 * Return: true if so; for messages that are costly to make.
 */
bool nb_log_on(int level)
{
	return level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* One line, nothing in it that a terminal would act on. */
static void make_clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = *s == '\t' ? ' ' : '?';
}

/* numabald has no descriptors: what the process has as standard error. */
static void write_borrowed(const char *line, size_t len)
{
	long process =
		nb_syscall6(SYS_pidfd_open, nb_sys_getpid(), 0, 0, 0, 0, 0);
	long fd = nb_syscall6(SYS_pidfd_getfd, process, STDERR_FILENO, 0, 0, 0,
			      0);

	if (fd >= 0) {
		nb_sys_write_all((int)fd, line, len);
		nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	if (process >= 0)
		nb_syscall6(SYS_close, process, 0, 0, 0, 0, 0);
}

static void write_line(const char *line, size_t len)
{
	long fd = -ENOENT;
	long ret = -1;

	/* Not to hang where LOG_FILE is a FIFO without a reader. */
	if (log_file[0])
		fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)log_file,
				 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
					 O_NOCTTY | O_NONBLOCK,
				 0644, 0, 0);
	if (fd >= 0) {
		ret = nb_sys_write_all((int)fd, line, len);
		nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	if (ret < 0)
		ret = nb_sys_write_all(STDERR_FILENO, line, len);
	if (ret == -EBADF)
		write_borrowed(line, len);
}

/**
 * nb_log() - say something
 * @level: enum nb_log_level
 * @fmt: as nb_text_vadd(), without a newline
 *
 * A message longer than a line is cut and ends in "...".
 *
 * Context: Anywhere; from the signal handler only while no sink is set.
 * errno is kept.
 */
void nb_log(int level, const char *fmt, ...)
{
	static const char head[] = "numabal: ";
	char line[LINE_BYTES];
	struct nb_text t;
	struct sink *s;
	va_list ap;
	int saved;

	if (!nb_log_on(level))
		return;
	/* Pairs with the store in nb_log_set_sink(). */
	s = atomic_load_explicit(&log_sink, memory_order_acquire);
	if (s && !s->fn)
		return;
	saved = errno;
	/* Room for the newline stays free. */
	nb_text_init(&t, line, sizeof(line) - 1);
	nb_text_add(&t, "%s", head);
	if (!s && level >= NB_LOG_INFO)
		nb_text_add(&t, level == NB_LOG_INFO ? "info: " : "debug: ");
	va_start(ap, fmt);
	nb_text_vadd(&t, fmt, ap);
	va_end(ap);
	if (t.len >= t.size) {
		t.len = t.size - 1;
		memcpy(line + t.len - 3, "...", 3);
	}
	make_clean(line);
	if (s) {
		s->fn(level, line + sizeof(head) - 1, s->arg);
	} else {
		line[t.len++] = '\n';
		write_line(line, t.len);
	}
	errno = saved;
}
