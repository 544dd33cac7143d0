/* SPDX-License-Identifier: MIT */
/*
 * plat/log.c: formatting against libc's, and where lines go.
 */
#include "../../lib/plat/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK(fmt, ...)                                                        \
	do {                                                                   \
		char got_[128], want_[128];                                    \
		struct nb_text t_;                                             \
		int len_ = snprintf(want_, sizeof(want_), fmt, __VA_ARGS__);   \
		nb_text_init(&t_, got_, sizeof(got_));                         \
		nb_text_add(&t_, fmt, __VA_ARGS__);                            \
		assert_string_equal(got_, want_);                              \
		assert_int_equal(t_.len, len_);                                \
	} while (0)

static void test_format(void **state)
{
	int width = -6;

	(void)state;
	CHECK("%s %c %d%%", "abc", 'x', 42);
	CHECK("%d %d %d", 0, INT_MIN, INT_MAX);
	CHECK("%ld %lld %zu", LONG_MIN, LLONG_MIN, SIZE_MAX);
	CHECK("%u %lu %llu", UINT_MAX, ULONG_MAX, ULLONG_MAX);
	CHECK("%x %lx %llx", 0xdeadbeefU, ULONG_MAX, 0x1ULL);
	CHECK("%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
	CHECK("%08x|%2x|%-8lx|", 0xabcU, 0xabcU, 0xabcUL);
	CHECK("%6s|%-6s|%2s|%.2s|%.*s", "abc", "abc", "abc", "abc", 1, "abc");
	CHECK("%*d|%*d|%3c|", 6, 1, width, 1, 'x');
	CHECK("%p", (void *)state);
	CHECK("%zd %i", (ssize_t)-1, -7);
}

static void test_format_odd(void **state)
{
	const char *volatile none = NULL;
	/* Unknown letters: not what a compiler would let through. */
	const char *volatile unknown = "a%qb";
	const char *volatile lone = "a%";
	char buf[64];
	struct nb_text t;

	(void)state;
	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add(&t, "%s", none);
	assert_string_equal(buf, "(null)");
	nb_text_init(&t, buf, sizeof(buf));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	nb_text_add(&t, unknown);
	nb_text_add(&t, lone);
#pragma GCC diagnostic pop
	assert_string_equal(buf, "aa");
}

static void test_bounds(void **state)
{
	char buf[8] = "XXXXXXX";
	struct nb_text t;

	(void)state;
	nb_text_init(&t, buf, 4);
	nb_text_add(&t, "%s", "abcdef");
	assert_string_equal(buf, "abc");
	assert_int_equal(t.len, 6);
	assert_memory_equal(buf + 4, "XXX", 3);
	nb_text_init(&t, buf, 1);
	nb_text_add(&t, "%d", 12345);
	assert_string_equal(buf, "");
	assert_int_equal(t.len, 5);
	nb_text_init(&t, NULL, 0);
	nb_text_add(&t, "%100d", 1);
	assert_int_equal(t.len, 100);
}

static void test_lists(void **state)
{
	static struct nb_cpumask cpus;
	struct nb_nodemask nodes = {0xd};
	char buf[64];
	struct nb_text t;

	(void)state;
	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add_cpulist(&t, &cpus);
	assert_string_equal(buf, "");
	nb_cpu_set(&cpus, 0);
	nb_cpu_set(&cpus, 63);
	nb_cpu_set(&cpus, 64);
	nb_cpu_set(&cpus, NB_MAX_CPUS - 1);
	nb_text_add_cpulist(&t, &cpus);
	assert_string_equal(buf, "0,63-64,8191");
	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add_nodelist(&t, &nodes);
	assert_string_equal(buf, "0,2-3");
	nodes.bits = ~0ULL;
	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add_nodelist(&t, &nodes);
	assert_string_equal(buf, "0-63");
}

struct seen {
	int nr;
	int level;
	char msg[1024];
};

static void sink(int level, const char *msg, void *arg)
{
	struct seen *seen = arg;

	seen->nr++;
	seen->level = level;
	snprintf(seen->msg, sizeof(seen->msg), "%s", msg);
	errno = EIO;
}

static void test_sink(void **state)
{
	struct seen seen = {0};

	(void)state;
	nb_log_setup(NB_LOG_INFO, NULL);
	nb_log_set_sink(sink, &seen, true);
	errno = ENOTTY;
	nb_log(NB_LOG_INFO, "one %d", 1);
	assert_int_equal(errno, ENOTTY);
	assert_string_equal(seen.msg, "one 1");
	assert_int_equal(seen.level, NB_LOG_INFO);
	nb_log(NB_LOG_DEBUG, "not shown");
	assert_int_equal(seen.nr, 1);
	assert_true(nb_log_on(NB_LOG_INFO));
	assert_false(nb_log_on(NB_LOG_DEBUG));
	nb_log(NB_LOG_WARN, "%s", "a\nb\033[1m\tc");
	assert_string_equal(seen.msg, "a?b?[1m c");
	nb_log(NB_LOG_WARN, "%2000d", 1);
	assert_in_range(strlen(seen.msg), 400, 511);
	assert_string_equal(seen.msg + strlen(seen.msg) - 3, "...");
	nb_log_set_sink(NULL, NULL, true);
	nb_log(NB_LOG_ERROR, "silence");
	assert_int_equal(seen.nr, 4 - 1);
	nb_log_set_sink(NULL, NULL, false);
}

static void read_back(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, buf, size - 1);

	close(fd);
	assert_true(len >= 0);
	buf[len] = '\0';
}

static void test_file(void **state)
{
	char dir[] = "/tmp/nb-log-XXXXXX";
	char path[64], buf[256];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(chdir(dir), 0);
	nb_log_setup(NB_LOG_DEBUG, "log");
	/* A relative name means where we were. */
	assert_int_equal(chdir("/"), 0);
	nb_log(NB_LOG_ERROR, "e");
	nb_log(NB_LOG_WARN, "w");
	nb_log(NB_LOG_INFO, "i");
	nb_log(NB_LOG_DEBUG, "d");
	read_back(path, buf, sizeof(buf));
	assert_string_equal(buf, "numabal: e\nnumabal: w\n"
				 "numabal: info: i\nnumabal: debug: d\n");
	unlink(path);
	rmdir(dir);
	nb_log_setup(NB_LOG_WARN, NULL);
}

/* Run with standard error on a pipe; what arrives in it is in @buf. */
static void with_stderr(void (*fn)(void), char *buf, size_t size)
{
	int saved = dup(STDERR_FILENO);
	int fds[2];
	ssize_t len;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = read(fds[0], buf, size - 1);
	assert_true(len >= 0);
	buf[len] = '\0';
	close(fds[0]);
}

static char fifo[64];

static void log_unwritable(void)
{
	nb_log_setup(NB_LOG_WARN, "/nonexistent/dir/log");
	nb_log(NB_LOG_WARN, "lost %s", "file");
	nb_log(NB_LOG_INFO, "not shown");
	/* Opening it must not wait for a reader. */
	nb_log_setup(NB_LOG_WARN, fifo);
	nb_log(NB_LOG_WARN, "fifo");
}

static void test_stderr(void **state)
{
	char dir[] = "/tmp/nb-log-XXXXXX";
	char buf[256];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	with_stderr(log_unwritable, buf, sizeof(buf));
	assert_string_equal(buf, "numabal: lost file\nnumabal: fifo\n");
	unlink(fifo);
	rmdir(dir);
	nb_log_setup(NB_LOG_WARN, NULL);
}

static volatile sig_atomic_t nr_sigpipe;

static void on_sigpipe(int sig)
{
	(void)sig;
	nr_sigpipe++;
}

static void test_closed_pipe(void **state)
{
	int saved = dup(STDERR_FILENO);
	sigset_t set;
	int fds[2];

	(void)state;
	signal(SIGPIPE, on_sigpipe);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	nb_log(NB_LOG_WARN, "nobody reads this");
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(nr_sigpipe, 0);
	sigpending(&set);
	assert_false(sigismember(&set, SIGPIPE));
	sigprocmask(SIG_BLOCK, NULL, &set);
	assert_false(sigismember(&set, SIGPIPE));
	raise(SIGPIPE);
	assert_int_equal(nr_sigpipe, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_odd),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_sink),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_stderr),
		cmocka_unit_test(test_closed_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
