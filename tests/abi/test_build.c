/* SPDX-License-Identifier: MIT */
/*
 * numabal.h as a user's program sees it: alone, in every C and C++ that it
 * promises (test_header.sh), and with the installed library (test_install.sh).
 * Every function is called with the library idle, and must say so.
 */
#include <numabal.h>

#include <errno.h>
#include <stdio.h>

static int failed;

static void expect(const char *what, int got, int want)
{
	if (got == want)
		return;
	printf("%s: got %d, expected %d\n", what, got, want);
	failed = 1;
}

static int count_task(const struct numabal_task_stats *ts, void *arg)
{
	(void)ts;
	++*(int *)arg;
	return 0;
}

static void on_log(enum numabal_log_level level, const char *msg, void *arg)
{
	(void)level;
	(void)msg;
	(void)arg;
}

int main(void)
{
	struct numabal_opts opts = {0};
	struct numabal_stats st = {0};
	int tasks = 0;
	siginfo_t info;

	if (numabal_version() != NUMABAL_VERSION_NUM(NUMABAL_VERSION_MAJOR,
						     NUMABAL_VERSION_MINOR,
						     NUMABAL_VERSION_PATCH)) {
		printf("header and library have different versions\n");
		return 1;
	}
	numabal_set_log(on_log, NULL);
	opts.sz = sizeof(opts);
	opts.reserved = 1;
	expect("start, reserved field set", numabal_start(&opts), -EINVAL);
	expect("stop", numabal_stop(), -ESRCH);
	expect("pause", numabal_pause(), -ESRCH);
	expect("resume", numabal_resume(), -ESRCH);
	expect("exclude nothing", numabal_exclude(&st, 0), -EINVAL);
	expect("include nothing", numabal_include(&st, 0), -EINVAL);
	expect("register", numabal_thread_register(), -ESRCH);
	expect("unregister", numabal_thread_unregister(), -ESRCH);
	info.si_addr = &st;
	expect("handle", numabal_handle_sigsegv(SIGSEGV, &info, NULL), 0);
	st.sz = sizeof(st);
	expect("stats", numabal_get_stats(&st), -ESRCH);
	expect("tasks", numabal_for_each_task(count_task, &tasks), -ESRCH);
	numabal_set_log(NULL, NULL);
	return failed;
}
