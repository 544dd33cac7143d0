/* SPDX-License-Identifier: MIT */
/*
 * guard/patch.c and what it uses: hand-made functions are copied to memory of
 * their own, guarded there, and run.
 */
#include "patch_test.h"

#include "../../lib/guard/code.h"
#include "../../lib/plat/maps.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/auxv.h>

#if defined(__x86_64__)

/*
 * long f(long a, long b, long c): makes a system call and returns its result,
 * or something made of it.
 */
#define FUNCTION(name, body)                                                   \
	__asm__(".pushsection guarded, \"ax\", @progbits\n"                    \
		".balign 16\n" #name ":\n.cfi_startproc\n" body                \
		"\n.cfi_endproc\n.popsection\n");                              \
	extern const uint8_t name[];

FUNCTION(f_usual, "mov $39, %eax\n syscall\n cmp $-4096, %rax\n"
		  "ja 1f\n ret\n 1: xor %eax, %eax\n ret")
__asm__(".pushsection guarded, \"ax\", @progbits\n.balign 8\n"
	"thousand: .quad 1000\n.popsection\n");
FUNCTION(f_rip, "mov $39, %eax\n mov thousand(%rip), %rdi\n syscall\n"
		"add thousand(%rip), %rax\n ret")
FUNCTION(f_branch, "mov $39, %eax\n syscall\n test %eax, %eax\n jne 1f\n"
		   "ret\n 1: mov $77, %eax\n ret")
FUNCTION(f_end, "mov $39, %eax\n syscall\n ret\n .nops 13, 4")
FUNCTION(f_pre_only, "push %rbx\n mov $39, %eax\n syscall\n call 1f\n"
		     "pop %rbx\n ret\n 1: ret")
FUNCTION(f_moved, "mov %edi, %eax\n syscall\n mov %rax, %rdx\n"
		  "lea 5(%rdx), %rax\n ret")
FUNCTION(f_args, "mov $39, %eax\n syscall\n mov %rdi, %rax\n"
		 "add %rsi, %rax\n ret")
FUNCTION(f_jumped_at, "mov $39, %eax\n jmp 1f\n nop\n 1: syscall\n call 2f\n"
		      "2: add $8, %rsp\n ret")

/* On a page of its own. */
__asm__(".pushsection guarded, \"ax\", @progbits\n.balign 4096\n"
	".popsection\n");
FUNCTION(f_far, "mov $39, %eax\n syscall\n cmp $-4096, %rax\n ret")

typedef long function(long a, long b, long c);

static struct {
	struct nb_regs enter[64], leave[64];
	int nr_enter, nr_leave, nr_slow;
	bool slow;
	uint64_t rewrite_arg, rewrite_ret;
} calls;

FAST static void note(struct nb_regs *to, const struct nb_regs *r)
{
	const volatile uint64_t *from = (const volatile uint64_t *)r;

	for (size_t i = 0; i < sizeof(*r) / 8; i++)
		((uint64_t *)to)[i] = from[i];
}

FAST bool nb_guard_enter(struct nb_regs *r)
{
	note(&calls.enter[calls.nr_enter++ % 64], r);
	if (calls.rewrite_arg)
		r->arg[0] = calls.rewrite_arg;
	return calls.slow;
}

FAST bool nb_guard_leave(struct nb_regs *r)
{
	note(&calls.leave[calls.nr_leave++ % 64], r);
	if (calls.rewrite_ret)
		r->rax = calls.rewrite_ret;
	return calls.slow;
}

void nb_guard_enter_slow(struct nb_regs *r)
{
	calls.nr_slow++;
	assert_true(r->site == calls.enter[0].site);
}

void nb_guard_leave_slow(struct nb_regs *r)
{
	calls.nr_slow++;
	assert_true(r->site == calls.leave[0].site);
}

struct copy {
	struct nb_image im;
	uint8_t *text;
	uint64_t bias;
};

static int setup(void **state)
{
	static struct copy c;
	size_t len = (size_t)(__stop_guarded - __start_guarded);

	if (nb_decoder_open() || nb_patch_init())
		return -1;
	memset(&calls, 0, sizeof(calls));
	c.im = own_image(__start_guarded);
	c.text = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(c.text, MAP_FAILED);
	memcpy(c.text, __start_guarded, len);
	assert_int_equal(mprotect(c.text, len, PROT_READ | PROT_EXEC), 0);
	c.bias = addr_of(c.text) - c.im.vaddr;
	*state = &c;
	return 0;
}

static int teardown(void **state)
{
	struct copy *c = *state;

	nb_patch_forget(addr_of(c->text), addr_of(c->text) + c->im.len);
	munmap(c->text, c->im.len);
	return 0;
}

static void patch(const struct copy *c)
{
	assert_int_equal(nb_patch_image(&c->im, c->bias, "/a/path/name.so"), 0);
}

static function *at(const struct copy *c, const uint8_t *f)
{
	return (function *)(uintptr_t)(c->text + (f - __start_guarded));
}

/* The module that was added last. */
static const struct nb_module *last(const struct copy *c)
{
	for (int i = 0; i < nb_patch_nr_modules(); i++)
		if (!nb_patch_module(i)->gone &&
		    nb_patch_module(i)->start == addr_of(c->text))
			return nb_patch_module(i);
	fail_msg("no module");
	return NULL;
}

/* The guarded site in function @f. */
static const struct nb_patched *site_in(const struct copy *c, const uint8_t *f)
{
	const struct nb_module *m = last(c);
	uint64_t start = addr_of(at(c, f));
	const struct nb_patched *best = NULL;

	for (uint32_t i = 0; i < m->nr_patched; i++) {
		const struct nb_patched *p =
			nb_patch_site(m->first_patched + i);

		if (p->addr >= start && (!best || p->addr < best->addr))
			best = p;
	}
	assert_non_null(best);
	return best;
}

static void check_run(struct copy *c, const uint8_t *f, long want, int leaves)
{
	calls.nr_enter = calls.nr_leave = 0;
	assert_int_equal(at(c, f)(39, 20, 3), want);
	assert_int_equal(calls.nr_enter, 1);
	assert_int_equal(calls.nr_leave, leaves);
	assert_int_equal(calls.enter[0].rax, 39);
	assert_int_equal(calls.enter[0].arg[1], 20);
	assert_int_equal(calls.enter[0].arg[2], 3);
	assert_ptr_equal(nb_patch_site(calls.enter[0].site), site_in(c, f));
	if (!leaves)
		return;
	assert_int_equal(calls.leave[0].rax, getpid());
	assert_true(calls.leave[0].site == calls.enter[0].site);
	assert_true(calls.leave[0].sp == calls.enter[0].sp);
}

static void test_run(void **state)
{
	struct copy *c = *state;
	const struct nb_module *m;
	long pid = getpid();

	patch(c);
	m = last(c);
	assert_string_equal(m->name, "name.so");
	assert_int_equal(m->counts.kind[NB_SITE_BRACKET], 6);
	assert_int_equal(m->counts.kind[NB_SITE_PRE_ONLY], 1);
	assert_int_equal(m->counts.kind[NB_SITE_OUT_OF_LINE], 1);
	assert_int_equal(m->counts.kind[NB_SITE_UNGUARDED], 1);
	assert_int_equal(m->nr_patched, 8);
	check_run(c, f_usual, pid, 1);
	assert_int_equal(calls.enter[0].arg[0], 39);
	check_run(c, f_rip, pid + 1000, 1);
	assert_int_equal(calls.enter[0].arg[0], 1000);
	check_run(c, f_branch, 77, 1);
	check_run(c, f_end, pid, 1);
	check_run(c, f_pre_only, pid, 0);
	check_run(c, f_moved, pid + 5, 1);
	check_run(c, f_far, pid, 1);
	calls.nr_enter = calls.nr_leave = 0;
	assert_int_equal(at(c, f_jumped_at)(0, 0, 0), pid);
	assert_int_equal(calls.nr_enter + calls.nr_leave, 0);
	assert_int_equal(site_in(c, f_moved)->kind, NB_SITE_OUT_OF_LINE);
	assert_int_equal(site_in(c, f_pre_only)->kind, NB_SITE_PRE_ONLY);
	/* A second time: nothing happens. */
	patch(c);
	assert_int_equal(last(c)->nr_patched, 8);
	check_run(c, f_usual, pid, 1);
}

static void test_hooks_change_registers(void **state)
{
	struct copy *c = *state;

	patch(c);
	calls.slow = true;
	calls.rewrite_arg = 5000;
	assert_int_equal(at(c, f_args)(1, 20, 3), 5020);
	assert_int_equal(calls.nr_slow, 2);
	calls.rewrite_arg = 0;
	calls.rewrite_ret = 123;
	calls.nr_enter = calls.nr_leave = 0;
	assert_int_equal(at(c, f_usual)(1, 2, 3), 123);
	calls.rewrite_ret = (uint64_t)-EPERM;
	calls.nr_enter = calls.nr_leave = 0;
	assert_int_equal(at(c, f_usual)(1, 2, 3), 0);
}

static void poke(void *at_, const void *bytes, size_t n)
{
	void *page = (void *)(addr_of(at_) & ~4095ULL);

	mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	memcpy(at_, bytes, n);
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void test_intact(void **state)
{
	struct copy *c = *state;
	const struct nb_patched *p;
	uint8_t *first;

	patch(c);
	assert_true(nb_patch_intact());
	p = site_in(c, f_usual);
	first = (uint8_t *)(uintptr_t)(p->addr - p->pre_len);
	for (int i = 0; i < p->pre_len + 2 + p->post_len; i++) {
		uint8_t was = first[i], other = (uint8_t)~was;

		poke(first + i, &other, 1);
		assert_false(nb_patch_intact());
		poke(first + i, &was, 1);
		assert_true(nb_patch_intact());
	}
}

static void test_text_differs(void **state)
{
	struct copy *c = *state;

	/* Somebody else was here first. */
	poke(c->text + (f_usual - __start_guarded), "\xb8\x28", 2);
	patch(c);
	assert_int_equal(last(c)->nr_patched, 7);
	assert_int_equal(last(c)->counts.kind[NB_SITE_UNGUARDED], 2);
	assert_memory_equal(c->text + (f_usual - __start_guarded), "\xb8\x28",
			    2);
	check_run(c, f_rip, getpid() + 1000, 1);
}

static void test_original(void **state)
{
	struct copy *c = *state;
	const struct nb_patched *p, *site;
	uint64_t original;

	patch(c);
	for (uint32_t i = 0; i < last(c)->nr_patched; i++) {
		p = nb_patch_site(last(c)->first_patched + i);
		assert_true(nb_patch_original(p->pre_stub, &original, &site));
		assert_ptr_equal(site, p);
		assert_true(original == p->addr - p->pre_len);
		assert_true(nb_patch_owns(p->pre_stub));
		assert_int_equal(nb_patch_skew(p->pre_stub), 0);
		if (!p->post_stub)
			continue;
		assert_true(
			nb_patch_original(p->post_stub + 5, &original, &site));
		assert_ptr_equal(site, p);
		assert_true(original == p->addr + 2);
		assert_int_equal(nb_patch_skew(p->post_stub + 5), 128);
	}
	assert_false(nb_patch_original(addr_of(c->text), &original, &site));
	assert_false(nb_patch_owns(addr_of(c->text)));
	assert_false(nb_patch_original(0, &original, &site));
}

/* A module that comes again takes nothing new. */
static void test_again(void **state)
{
	struct copy *c = *state;
	size_t len = c->im.len;
	uint32_t sites, first;
	uint64_t stub;
	int modules;

	patch(c);
	sites = nb_patch_nr_sites();
	modules = nb_patch_nr_modules();
	first = last(c)->first_patched;
	stub = site_in(c, f_usual)->pre_stub;
	for (int i = 0; i < 3; i++) {
		nb_patch_forget(addr_of(c->text), addr_of(c->text) + 1);
		assert_true(nb_patch_intact());
		munmap(c->text, len);
		assert_true(nb_patch_intact());
		mmap(c->text, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		memcpy(c->text, __start_guarded, len);
		mprotect(c->text, len, PROT_READ | PROT_EXEC);
		patch(c);
		assert_int_equal(nb_patch_nr_sites(), sites);
		assert_int_equal(nb_patch_nr_modules(), modules);
		assert_int_equal(last(c)->first_patched, first);
		assert_true(site_in(c, f_usual)->pre_stub == stub);
		check_run(c, f_usual, getpid(), 1);
		check_run(c, f_moved, getpid() + 5, 1);
	}
}

/* Text that cannot be changed: a shared mapping of what is only readable. */
static void map_fixed_text(struct copy *c, size_t offset)
{
	size_t len = c->im.len - offset;
	char path[] = "/tmp/test_patch.XXXXXX";
	int fd = mkstemp(path);
	int ro = open(path, O_RDONLY);

	unlink(path);
	assert_true(write(fd, __start_guarded + offset, len) == (ssize_t)len);
	assert_ptr_equal(mmap(c->text + offset, len, PROT_READ | PROT_EXEC,
			      MAP_SHARED | MAP_FIXED, ro, 0),
			 c->text + offset);
	close(fd);
	close(ro);
}

static void test_all_or_nothing(void **state)
{
	struct copy *c = *state;
	const struct nb_module *m;

	map_fixed_text(c, 4096);
	assert_true(nb_patch_image(&c->im, c->bias, "name") < 0);
	m = last(c);
	assert_int_equal(m->nr_patched, 0);
	assert_int_equal(m->counts.kind[NB_SITE_BRACKET], 0);
	assert_int_equal(m->counts.kind[NB_SITE_UNGUARDED], 9);
	assert_memory_equal(c->text, __start_guarded, c->im.len);
	assert_true(nb_patch_intact());
	assert_int_equal(at(c, f_far)(1, 2, 3), getpid());
	assert_int_equal(calls.nr_enter, 0);
}

static void test_write_by_mprotect(void **state)
{
	struct nb_code code = {.fd = -1};
	struct copy *c = *state;
	struct nb_vma vma;

	assert_int_equal(nb_code_write(&code, addr_of(c->text) + 4090,
				       (const uint8_t *)"0123456789", 10),
			 0);
	assert_memory_equal(c->text + 4090, "0123456789", 10);
	assert_int_equal(nb_maps_find(addr_of(c->text), &vma), 0);
	assert_int_equal(vma.flags & NB_VMA_ACCESS, NB_VMA_READ | NB_VMA_EXEC);
}

/*
 * Near to the text, and not where a stack grows to: that ends, without
 * randomisation, at the vDSO.
 */
static void check_near(uint64_t start, uint64_t end)
{
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	struct nb_vma vma;
	uint64_t p;

	assert_int_equal(nb_code_map_near(start, end, 8192, &p), 0);
	assert_true(nb_code_reaches(start, end, p, 8192));
	assert_int_equal(nb_maps_find(p, &vma), 0);
	assert_int_equal(vma.flags & NB_VMA_ACCESS, NB_VMA_READ | NB_VMA_EXEC);
	assert_int_equal(nb_maps_find(addr_of(&vma), &vma), 0);
	assert_true(p >= vma.end || vma.start - p >= (1ULL << 30) ||
		    (vdso > p && vdso < vma.start));
	munmap((void *)p, 8192);
}

static void test_near(void **state)
{
	uint64_t here = addr_of(__start_guarded), there;
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	uint64_t libc = addr_of(dlsym(RTLD_NEXT, "getpid"));

	(void)state;
	check_near(here, here + 100);
	check_near(libc, libc + 4096);
	if (vdso)
		check_near(vdso, vdso + 4096);
	assert_int_equal(
		nb_code_map_near(here, here + (3ULL << 30), 4096, &there),
		-ENOMEM);
}

static void test_bad_index(void **state)
{
	(void)state;
	assert_null(nb_patch_site(nb_patch_nr_sites()));
	assert_null(nb_patch_site(UINT64_MAX));
	assert_null(nb_patch_module(-1));
	assert_null(nb_patch_module(nb_patch_nr_modules()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hooks_change_registers,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_intact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_differs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_original, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_or_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_write_by_mprotect, setup,
						teardown),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_bad_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77;
}

#endif
