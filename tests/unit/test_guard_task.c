/* SPDX-License-Identifier: MIT */
/*
 * lib/guard_task.c: affinity and memory policy as the program sees them, and
 * memory that the kernel writes to by itself.
 *
 * The file is part of this test, so that what it calls is seen.
 */
#include "../../lib/guard_task.c"

#include "guard_test.h"

#include <dlfcn.h>

struct numabal nb;

static bool active;
static int hook_ret;
static struct nb_cpumask hook_mask;
static size_t hook_size;
static struct nb_range nevers[16], published[4096];
static int nr_nevers, nr_published, nr_disarmed;
static uint64_t stack_seen;
static const char *stood_down;

bool nb_is_active(void)
{
	return active;
}

void nb_standdown(const char *why)
{
	stood_down = why;
}

int nb_hook_setaffinity(pid_t tid, size_t size, const void *mask)
{
	assert_int_equal(tid, 77);
	hook_size = size;
	memcpy(&hook_mask, mask, size);
	return hook_ret;
}

int nb_hook_getaffinity(pid_t tid, size_t size, void *mask)
{
	assert_int_equal(tid, 77);
	hook_size = size;
	memset(mask, 0x5a, size);
	return hook_ret;
}

int nb_hook_set_mempolicy(int mode)
{
	return mode == 0 ? 4 : mode;
}

int nb_hook_mempolicy_view(int mode)
{
	return mode == 4 ? 0 : mode;
}

void nb_mm_never(uint64_t start, uint64_t len)
{
	assert_true(nr_nevers < 16);
	nevers[nr_nevers++] = (struct nb_range){start, start + len};
}

void nb_mm_stack(struct nb_slot *slot, uint64_t sp)
{
	assert_null(slot);
	stack_seen = sp;
}

void nb_call_publish(struct nb_call *call, uint64_t start, uint64_t len)
{
	(void)call;
	assert_true(nr_published < 4096);
	published[nr_published++] = (struct nb_range){start, start + len};
}

int nb_disarm_for_call(const struct nb_sys *sys, uint64_t start, uint64_t end)
{
	(void)sys;
	/* What is disarmed was published before. */
	assert_int_equal(published[nr_published - 1].start, start);
	assert_int_equal(published[nr_published - 1].end, end);
	nr_disarmed++;
	return 0;
}

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	return copy_by_kernel(to, from, bytes);
}

static struct test_call t;

static int fresh(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	active = true;
	nr_nevers = nr_published = nr_disarmed = 0;
	stack_seen = 0;
	stood_down = NULL;
	hook_ret = 0;
	return 0;
}

static void enter(uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	fresh(NULL);
	t.r.arg[0] = a;
	t.r.arg[1] = b;
	t.r.arg[2] = c;
	call_enter(&t, &nb_guard_task, nr);
}

static bool emulated(int64_t ret)
{
	return (call_flags(&t) & NB_CALL_EMULATED) && t.call.ret == ret;
}

static void setting_affinity(void **state)
{
	uint64_t mask[2] = {0xff, 1};
	char *end = end_of_memory();

	(void)state;
	enter(SYS_sched_setaffinity, 77, sizeof(mask), ARG(mask));
	assert_true(emulated(0));
	assert_int_equal(hook_size, sizeof(mask));
	assert_memory_equal(&hook_mask, mask, sizeof(mask));
	/* what is wrong with it the kernel says */
	enter(SYS_sched_setaffinity, 77, sizeof(mask), ARG(end - 8));
	assert_int_equal(call_flags(&t), 0);
	enter(SYS_sched_setaffinity, 77, 8, 0);
	assert_int_equal(call_flags(&t), 0);
	/* not handled, refused, a mask of more CPUs than there can be */
	fresh(NULL);
	hook_ret = 1;
	t.r = (struct nb_regs){.arg = {77, sizeof(mask), ARG(mask)}};
	call_enter(&t, &nb_guard_task, SYS_sched_setaffinity);
	assert_int_equal(call_flags(&t), 0);
	hook_ret = -EINVAL;
	call_enter(&t, &nb_guard_task, SYS_sched_setaffinity);
	assert_true(emulated(-EINVAL));
	enter(SYS_sched_setaffinity, 77, 2048, ARG(end - 1024));
	assert_int_equal(hook_size, 1024);
	assert_true(emulated(0));
}

static void get(uint64_t size, void *mask, int ret)
{
	fresh(NULL);
	hook_ret = ret;
	t.r = (struct nb_regs){.arg = {77, size, ARG(mask)}};
	call_enter(&t, &nb_guard_task, SYS_sched_getaffinity);
}

static void getting_affinity(void **state)
{
	unsigned char mask[32];
	char *end = end_of_memory();

	(void)state;
	memset(mask, 0, sizeof(mask));
	get(sizeof(mask), mask, 8);
	assert_true(emulated(8));
	assert_int_equal(mask[7], 0x5a);
	assert_int_equal(mask[8], 0);
	get(sizeof(mask), end - 4, 8);
	assert_true(emulated(-EFAULT));
	get(sizeof(mask), mask, -ESRCH);
	assert_true(emulated(-ESRCH));
	get(sizeof(mask), mask, 1);
	assert_int_equal(call_flags(&t), 0);
	get(sizeof(mask) - 1, mask, 8);
	assert_int_equal(call_flags(&t), 0);
	fresh(NULL);
	active = false;
	call_enter(&t, &nb_guard_task, SYS_sched_getaffinity);
	assert_int_equal(call_flags(&t), 0);
}

static void memory_policy(void **state)
{
	char *end = end_of_memory();
	int mode = 4;

	(void)state;
	enter(SYS_set_mempolicy, 0, 0, 0);
	assert_int_equal(t.r.arg[0], 4);
	assert_true(call_flags(&t) & NB_CALL_REWRITTEN);
	enter(SYS_set_mempolicy, 2, ARG(&mode), 64);
	assert_int_equal(t.r.arg[0], 2);
	assert_int_equal(call_flags(&t), 0);
	enter(SYS_get_mempolicy, ARG(&mode), 0, 0);
	call_leave(&t, &nb_guard_task, -EINVAL);
	assert_int_equal(mode, 4);
	enter(SYS_get_mempolicy, ARG(&mode), 0, 0);
	call_leave(&t, &nb_guard_task, 0);
	assert_int_equal(mode, 0);
	/* of an address; no mode asked for; not there after all */
	mode = 4;
	fresh(NULL);
	t.r = (struct nb_regs){.arg = {ARG(&mode), 0, 0, ARG(&mode), 2}};
	call_enter(&t, &nb_guard_task, SYS_get_mempolicy);
	call_leave(&t, &nb_guard_task, 0);
	assert_int_equal(mode, 4);
	enter(SYS_get_mempolicy, 0, 0, 0);
	assert_int_equal(call_flags(&t), 0);
	enter(SYS_get_mempolicy, ARG(end), 0, 0);
	call_leave(&t, &nb_guard_task, 0);
}

static void only_never(uint64_t start, uint64_t end)
{
	assert_int_equal(nr_nevers, 1);
	assert_int_equal(nevers[0].start, start);
	assert_int_equal(nevers[0].end, end);
}

static void areas_of_the_kernel(void **state)
{
	(void)state;
	enter(SYS_rseq, 0x10000, 32, 0);
	only_never(0x10000, 0x10020);
	enter(SYS_rseq, 0x10000, 0, 0);
	only_never(0x10000, 0x10020);
	enter(SYS_rseq, 0x10000, 0xffffffff, 0);
	only_never(0x10000, 0x11000);
	enter(SYS_set_robust_list, 0x20000, 24, 0);
	only_never(0x20000, 0x20018);
	enter(SYS_set_tid_address, 0x30000, 0, 0);
	only_never(0x30000, 0x30004);
	enter(SYS_set_tid_address, 0, 0, 0);
	assert_int_equal(nr_nevers, 0);
#ifdef SYS_arch_prctl
	enter(SYS_arch_prctl, ARCH_SET_FS, 0x7f0000000000, 0);
	only_never(0x7f0000000000 - tls_below, 0x7f0000000000 + TLS_ABOVE);
	enter(SYS_arch_prctl, 0x1003, 0x7f0000000000, 0);
	assert_int_equal(nr_nevers, 0);
#endif
}

/* What the kernel had been told before numabal began: libc's own. */
static void areas_of_libc(void **state)
{
	const uint64_t tp = (uint64_t)__builtin_thread_pointer();
	const uint32_t *bytes =
		dlsym(RTLD_DEFAULT, "_thread_db_sizeof_pthread");
	const ptrdiff_t *rseq = dlsym(RTLD_DEFAULT, "__rseq_offset");
	struct robust_list_head *head = NULL;
	size_t len = 0;

	(void)state;
	nb_guard_never_tls(tp);
	assert_int_equal(nr_nevers, 1);
	assert_int_equal(syscall(SYS_get_robust_list, 0, &head, &len), 0);
	assert_in_range(ARG(head), nevers[0].start, nevers[0].end - len);
	if (bytes)
		assert_true(tp + *bytes <= nevers[0].end);
	if (rseq)
		assert_in_range(tp + (uint64_t)*rseq, nevers[0].start,
				nevers[0].end - RSEQ_BYTES);
}

static bool is_never(uint64_t start, uint64_t len)
{
	for (int i = 0; i < nr_nevers; i++)
		if (nevers[i].start == start && nevers[i].end == start + len)
			return true;
	return false;
}

static void new_threads(void **state)
{
	const uint64_t thread = CLONE_VM | CLONE_THREAD | CLONE_SETTLS |
				CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	struct clone_args args = {.flags = thread,
				  .parent_tid = 0x1000000,
				  .child_tid = 0x2000000,
				  .tls = 0x3000000,
				  .stack = 0x4000000,
				  .stack_size = 0x8000};
	struct nb_regs r = {.rax = SYS_clone3,
			    .arg = {ARG(&args), sizeof(args)}};
	char *end = end_of_memory();

	(void)state;
	nb_task_clone_never(&r);
	assert_int_equal(nr_nevers, 4);
	assert_true(is_never(0x1000000, 4));
	assert_true(is_never(0x2000000, 4));
	assert_true(is_never(0x3000000 - tls_below, tls_below + TLS_ABOVE));
	assert_true(is_never(0x4000000, 0x8000));
	assert_int_equal(stack_seen, 0);
	fresh(NULL);
	r.arg[0] = ARG(end - 8);
	nb_task_clone_never(&r);
	assert_int_equal(nr_nevers, 0);
#ifdef __x86_64__
	r = (struct nb_regs){
		.rax = SYS_clone,
		.arg = {thread, 0x4008000, 0x1000000, 0x2000000, 0x3000000}};
	nb_task_clone_never(&r);
	assert_int_equal(nr_nevers, 3);
	assert_true(is_never(0x2000000, 4));
	assert_int_equal(stack_seen, 0x4008000 - 1);
	/* a child with memory of its own */
	fresh(NULL);
	r.arg[0] = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	nb_task_clone_never(&r);
	assert_int_equal(nr_nevers, 0);
	assert_int_equal(stack_seen, 0);
#endif
}

/* ---- robust mutexes ------------------------------------------------------ */

struct node {
	uint32_t futex;
	uint32_t pad[3];
	struct robust_list list;
};

static bool is_published(const void *p, size_t len)
{
	for (int i = 0; i < nr_published; i++)
		if (published[i].start <= ARG(p) &&
		    published[i].end >= ARG(p) + len)
			return true;
	return false;
}

static void with_list(struct robust_list_head *head)
{
	struct robust_list_head *old;
	size_t len;

	fresh(NULL);
	assert_int_equal(syscall(SYS_get_robust_list, 0, &old, &len), 0);
	assert_int_equal(syscall(SYS_set_robust_list, head, sizeof(*head)), 0);
	nb_task_exit_robust(&t.call);
	assert_int_equal(syscall(SYS_set_robust_list, old, len), 0);
	assert_int_equal(nr_disarmed, nr_published);
	assert_null(stood_down);
}

static void robust_mutexes_stay_open(void **state)
{
	static struct node n[4];
	struct robust_list_head head = {
		.futex_offset = -(long)offsetof(struct node, list)};

	(void)state;
	head.list.next = &n[0].list;
	n[0].list.next = (void *)(ARG(&n[1].list) | 1); /* a PI mutex */
	n[1].list.next = &n[2].list;
	n[2].list.next = &head.list;
	head.list_op_pending = &n[3].list;
	with_list(&head);
	for (int i = 0; i < 4; i++) {
		assert_true(is_published(&n[i].futex, 4));
		assert_true(is_published(&n[i].list, 8));
	}
	assert_int_equal(nr_published, 5);
	/* a list that never ends, one that leads nowhere, none */
	n[2].list.next = &n[1].list;
	with_list(&head);
	assert_int_equal(nr_published, MAX_ROBUST + 2);
	n[2].list.next = (void *)0x1000;
	head.list_op_pending = NULL;
	with_list(&head);
	assert_int_equal(nr_published, 5);
	/* a futex word that is far away */
	n[2].list.next = &head.list;
	head.futex_offset = 1 << 20;
	with_list(&head);
	assert_int_equal(nr_published, 1 + 2 * 3);
	assert_true(is_published((void *)(ARG(&n[2].list) + (1 << 20)), 4));
	with_list(NULL);
	assert_int_equal(nr_published, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(setting_affinity, fresh),
		cmocka_unit_test_setup(getting_affinity, fresh),
		cmocka_unit_test_setup(memory_policy, fresh),
		cmocka_unit_test_setup(areas_of_the_kernel, fresh),
		cmocka_unit_test_setup(areas_of_libc, fresh),
		cmocka_unit_test_setup(new_threads, fresh),
		cmocka_unit_test_setup(robust_mutexes_stay_open, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
