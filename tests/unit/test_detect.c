/* SPDX-License-Identifier: MIT */
/*
 * lib/detect.c, detect_elf.c, detect_tier.c: what is stepped back from, told
 * by names and by files, and which tier follows.
 */
#include "../../lib/config.h"
#include "../../lib/detect.h"
#include "policy_test.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *no_env[] = {NULL};

static enum nb_tier module(const char *name, const char *var)
{
	char *env[] = {(char *)var, NULL};
	struct nb_verdict v = nb_detect_module(name, env);

	assert_true((v.why == NULL) == (v.best == NB_TIER_BRACKET));
	return v.best;
}

static void libraries(void **state)
{
	static const struct {
		const char *name;
		enum nb_tier best;
	} rows[] = {
		{"/usr/lib/jvm/java-17/lib/server/libjvm.so", NB_TIER_OFF},
		{"/usr/lib/jvm/java-17/lib/libjli.so", NB_TIER_OFF},
		{"/usr/share/dotnet/libcoreclr.so", NB_TIER_OFF},
		{"libmonosgen-2.0.so.1", NB_TIER_OFF},
		{"/usr/lib/x86_64-linux-gnu/libnode.so.108", NB_TIER_OFF},
		{"libv8_libbase.so", NB_TIER_OFF},
		{"libmozjs-102.so.0", NB_TIER_OFF},
		{"libwasmtime.so", NB_TIER_CONSERVATIVE},
		{"libwasmer.so", NB_TIER_CONSERVATIVE},
		{"libluajit-5.1.so.2", NB_TIER_CONSERVATIVE},
		{"libasan.so.8", NB_TIER_OFF},
		{"libtsan.so.2", NB_TIER_OFF},
		{"libhwasan.so.0", NB_TIER_OFF},
		{"libclang_rt.asan-x86_64.so", NB_TIER_OFF},
		{"libgc.so.1", NB_TIER_OFF},
		{"vgpreload_core-amd64-linux.so", NB_TIER_OFF},
		{"librrpreload.so", NB_TIER_OFF},
		{"/tmp/re.frida.server/frida-agent-64.so", NB_TIER_OFF},
		{"libdynamorio.so", NB_TIER_OFF},
		{"libcuda.so.1", NB_TIER_OFF},
		{"libamdhip64.so.5", NB_TIER_OFF},
		{"libze_loader.so.1", NB_TIER_OFF},
		{"libibverbs.so.1", NB_TIER_OFF},
		{"libpsm2.so.2", NB_TIER_OFF},
		{"libsyscall_intercept.so", NB_TIER_CONSERVATIVE},
		/* only the last part of the path counts, and all of it */
		{"/opt/libjvm.so/libfoo.so", NB_TIER_BRACKET},
		{"libgcc_s.so.1", NB_TIER_BRACKET},
		{"libgcrypt.so.20", NB_TIER_BRACKET},
		{"mylibjvm.so", NB_TIER_BRACKET},
		{"libubsan.so.1", NB_TIER_BRACKET},
		{"libc.so.6", NB_TIER_BRACKET},
		{"libgomp.so.1", NB_TIER_BRACKET},
		{"", NB_TIER_BRACKET},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(rows); i++)
		if (module(rows[i].name, NULL) != rows[i].best)
			fail_msg("%s", rows[i].name);
}

static void mpi_may_have_single_copy_switched_off(void **state)
{
	static const struct {
		const char *name;
		const char *var;
		enum nb_tier best;
	} rows[] = {
		{"libmpi.so.40", NULL, NB_TIER_OFF},
		{"libmpi.so.40",
		 "OMPI_MCA_btl_vader_single_copy_mechanism=none",
		 NB_TIER_BRACKET},
		{"libmpi.so.40", "OMPI_MCA_btl_vader_single_copy_mechanism=cma",
		 NB_TIER_OFF},
		{"libopen-pal.so.80", "OMPI_MCA_smsc=^cma,^xpmem",
		 NB_TIER_BRACKET},
		{"libmpi.so.40", "OMPI_MCA_smsc=^xpmem,cma", NB_TIER_BRACKET},
		{"libmpi.so.40", "OMPI_MCA_smsc=^xpmem", NB_TIER_OFF},
		{"libmpi.so.40", "OMPI_MCA_smsc=cma", NB_TIER_OFF},
		{"libmpi.so.40", "OMPI_MCA_smsc=", NB_TIER_OFF},
		{"libmpi.so.40", "UCX_TLS=^cma", NB_TIER_OFF},
		/* MPICH has its own switches */
		{"libmpi.so.12", "OMPI_MCA_smsc=^cma", NB_TIER_OFF},
		{"libmpich.so.12", NULL, NB_TIER_OFF},
		{"libucp.so.0", NULL, NB_TIER_OFF},
		{"libucp.so.0", "UCX_TLS=^cma", NB_TIER_BRACKET},
		{"libucp.so.0", "UCX_TLS=^rc,cma", NB_TIER_BRACKET},
		{"libucp.so.0", "UCX_TLS=^sm", NB_TIER_BRACKET},
		{"libucp.so.0", "UCX_TLS=^rc,xcma", NB_TIER_OFF},
		{"libucp.so.0", "UCX_TLS=tcp,posix,self", NB_TIER_BRACKET},
		{"libucp.so.0", "UCX_TLS=tcp,sm", NB_TIER_OFF},
		{"libucp.so.0", "UCX_TLS=tcp,\\cma", NB_TIER_OFF},
		{"libuct_cma.so.0", "UCX_TLS=all", NB_TIER_OFF},
		{"libucp.so.0", "OMPI_MCA_smsc=^cma", NB_TIER_OFF},
		{"libxpmem.so.0", "UCX_TLS=^cma", NB_TIER_OFF},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(rows); i++)
		if (module(rows[i].name, rows[i].var) != rows[i].best)
			fail_msg("%s %s", rows[i].name, rows[i].var);
}

static void programs(void **state)
{
	(void)state;
	assert_int_equal(nb_detect_program("/usr/bin/node").best, NB_TIER_OFF);
	assert_int_equal(nb_detect_program("nodejs").best, NB_TIER_OFF);
	assert_int_equal(nb_detect_program("/usr/bin/luajit-2.1").best,
			 NB_TIER_CONSERVATIVE);
	assert_int_equal(nb_detect_program("/node/bin/ls").best,
			 NB_TIER_BRACKET);
	assert_int_equal(nb_detect_program("nodeinfo").best, NB_TIER_BRACKET);
	assert_int_equal(nb_detect_anon_exec().best, NB_TIER_CONSERVATIVE);
}

static enum nb_tier env_tier(const char *var)
{
	char *env[] = {(char *)var, NULL};

	return nb_detect_env(env).best;
}

static void environment(void **state)
{
	char list[512];

	(void)state;
	assert_int_equal(nb_detect_env(no_env).best, NB_TIER_BRACKET);
	assert_int_equal(nb_detect_env(NULL).best, NB_TIER_BRACKET);
	assert_int_equal(env_tier("RUNNING_ON_VALGRIND=1"), NB_TIER_OFF);
	assert_int_equal(env_tier("RUNNING_UNDER_RR=1"), NB_TIER_OFF);
	assert_int_equal(env_tier("RUNNING_UNDER_RRX=1"), NB_TIER_BRACKET);
	assert_int_equal(env_tier("LD_PRELOAD=/a/libfoo.so /b/libbar.so:"),
			 NB_TIER_BRACKET);
	assert_int_equal(env_tier("LD_PRELOAD=/a/libfoo.so:/usr/lib/"
				  "vgpreload_memcheck-amd64-linux.so"),
			 NB_TIER_OFF);
	assert_int_equal(env_tier("LD_PRELOAD= :libluajit.so libjvm.so"),
			 NB_TIER_OFF);
	/* an element that is longer than any name */
	snprintf(list, sizeof(list), "LD_PRELOAD=%0400d/libjvm.so:libgc.so", 0);
	assert_int_equal(env_tier(list), NB_TIER_OFF);
}

static void verdicts_only_fall(void **state)
{
	struct nb_verdict v = NB_VERDICT_NOTHING;
	const struct nb_verdict low = {NB_TIER_CONSERVATIVE, "low"};
	const struct nb_verdict off = {NB_TIER_OFF, "off"};
	const struct nb_verdict off2 = {NB_TIER_OFF, "off too"};

	(void)state;
	assert_true(nb_verdict_lower(&v, &low));
	assert_false(nb_verdict_lower(&v, &NB_VERDICT_NOTHING));
	assert_true(nb_verdict_lower(&v, &off));
	assert_false(nb_verdict_lower(&v, &low));
	assert_false(nb_verdict_lower(&v, &off2));
	assert_string_equal(v.why, "off");
}

/* ---- files --------------------------------------------------------------- */

struct file {
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph[3];
	ElfW(Shdr) sh[2];
	ElfW(Dyn) dyn[3];
	ElfW(Nhdr) note;
	char owner[4], id[4];
	char names[64];
};

static struct file plain(void)
{
	struct file f = {
		.eh = {.e_ident = ELFMAG,
		       .e_phoff = offsetof(struct file, ph),
		       .e_phentsize = sizeof(f.ph[0]),
		       .e_phnum = 3,
		       .e_shoff = offsetof(struct file, sh),
		       .e_shentsize = sizeof(f.sh[0]),
		       .e_shnum = 2},
		.ph = {{.p_type = PT_LOAD,
			.p_vaddr = 0x1000,
			.p_filesz = sizeof(f)},
		       {.p_type = PT_NOTE,
			.p_offset = offsetof(struct file, note),
			.p_filesz = sizeof(f.note) + 8},
		       {.p_type = PT_DYNAMIC,
			.p_offset = offsetof(struct file, dyn),
			.p_filesz = sizeof(f.dyn)}},
		.sh = {{.sh_offset = offsetof(struct file, names)},
		       {.sh_name = 32}},
		.dyn = {{.d_tag = DT_STRTAB,
			 .d_un.d_ptr = 0x1000 + offsetof(struct file, names)},
			{.d_tag = DT_STRSZ, .d_un.d_val = 64}},
		.note = {.n_namesz = 4, .n_descsz = 4, .n_type = 3},
		.owner = "GNU",
		.names = "\0main\0__asan_initialise\0x",
	};

	return f;
}

static enum nb_tier elf_tier(const struct file *f)
{
	return nb_detect_elf(f, sizeof(*f)).best;
}

static void files_of_go(void **state)
{
	const ElfW(Nhdr) second = {.n_namesz = 4, .n_type = 4};
	struct file f = plain();

	(void)state;
	assert_int_equal(elf_tier(&f), NB_TIER_BRACKET);
	memcpy(f.owner, "Go\0", 4);
	assert_int_equal(elf_tier(&f), NB_TIER_OFF);
	/* one note further on: right behind the first */
	f = plain();
	f.ph[1].p_filesz += sizeof(second) + 4;
	memcpy(f.names, &second, sizeof(second));
	memcpy(f.names + sizeof(second), "Go\0", 4);
	assert_int_equal(elf_tier(&f), NB_TIER_OFF);
	f.note.n_descsz = 400;
	assert_int_equal(elf_tier(&f), NB_TIER_BRACKET);
	/* stripped of notes, with a section */
	f = plain();
	memcpy(f.names + 32, ".go.buildinfo", 14);
	assert_int_equal(elf_tier(&f), NB_TIER_OFF);
	f.eh.e_shstrndx = 2;
	assert_int_equal(elf_tier(&f), NB_TIER_BRACKET);
}

static void files_with_sanitizers(void **state)
{
	static const char *const names[] = {"__asan_init", "__tsan_init",
					    "__msan_init", "__hwasan_init"};

	(void)state;
	for (size_t i = 0; i < nb_array_size(names); i++) {
		struct file f = plain();

		strcpy(f.names + 40, names[i]);
		assert_int_equal(elf_tier(&f), NB_TIER_OFF);
		f.dyn[1].d_un.d_val = 44; /* its end is not the table's */
		assert_int_equal(elf_tier(&f), NB_TIER_BRACKET);
		f.dyn[1].d_un.d_val = ~0ULL;
		assert_int_equal(elf_tier(&f), NB_TIER_BRACKET);
	}
}

/* Whatever is broken in it: no crash (under a sanitizer), no verdict. */
static void broken_files(void **state)
{
	uint64_t seed = 42;
	struct file f = plain();
	unsigned char *copy;

	(void)state;
	for (size_t n = 0; n <= sizeof(f); n++) {
		copy = malloc(n + 1);
		memcpy(copy, &f, n);
		assert_int_equal(nb_detect_elf(copy, n).best, NB_TIER_BRACKET);
		free(copy);
	}
	copy = malloc(sizeof(f));
	for (int i = 0; i < 200000; i++) {
		memcpy(copy, &f, sizeof(f));
		for (int k = 0; k < 4; k++)
			copy[4 + prng_below(&seed, sizeof(f) - 4)] =
				(unsigned char)prng(&seed);
		nb_detect_elf(copy, sizeof(f));
	}
	free(copy);
}

static void real_files(void **state)
{
	(void)state;
	assert_int_equal(nb_detect_file("/no/such/file").best, NB_TIER_BRACKET);
	assert_int_equal(nb_detect_file("/dev/null").best, NB_TIER_BRACKET);
	assert_int_equal(nb_detect_file("/bin/sh").best, NB_TIER_BRACKET);
}

/* This very process, with what each finding adds. */
static void ourselves(void **state)
{
	char *rr[] = {(char *)"RUNNING_UNDER_RR=1", NULL};
	void *code;

	(void)state;
	assert_int_equal(nb_detect_self(rr).best, NB_TIER_OFF);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_int_equal(nb_detect_self(no_env).best, NB_TIER_BRACKET);
#endif
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(code, MAP_FAILED);
	assert_int_equal(nb_detect_self(no_env).best, NB_TIER_CONSERVATIVE);
	munmap(code, 4096);
}

/* ---- tracers ------------------------------------------------------------- */

static const char *status;

static long read_status(const char *path, char *buf, size_t size)
{
	assert_string_equal(path, "/proc/self/status");
	if (!status)
		return -EACCES;
	return snprintf(buf, size, "%s", status);
}

static void tracers(void **state)
{
	const struct nb_sys sys = {.read_file = read_status};

	(void)state;
	status = "Name:\tx\nTgid:\t7\nTracerPid:\t0\nUid:\t0\n";
	assert_int_equal(nb_tracer_pid(&sys, 0), 0);
	status = "Name:\tx\nTgid:\t7\nTracerPid:\t4711\nUid:\t0\n";
	assert_int_equal(nb_tracer_pid(&sys, 0), 4711);
	status = "Name:\tTracerPid:\t4711\n";
	assert_int_equal(nb_tracer_pid(&sys, 0), -ENOENT);
	status = NULL;
	assert_int_equal(nb_tracer_pid(&sys, 0), -EACCES);
	assert_true(nb_tracer_pid(&nb_sys_linux, 0) >= 0);
}

/* ---- the tier ------------------------------------------------------------ */

static const struct nb_tier_module all_guarded[] = {{"libc.so.6", 514, 0},
						    {"ld.so", 46, 0}};
static const struct nb_tier_module holes[] = {{"libc.so.6", 514, 0},
					      {"libfoo.so", 7, 2}};

static struct nb_tier_input fine(uint32_t guard)
{
	return (struct nb_tier_input){.guard = guard,
				      .arch = true,
				      .membarrier = true,
				      .alone = true,
				      .verdict = NB_VERDICT_NOTHING,
				      .modules = all_guarded,
				      .nr_modules = 2};
}

static void expect(const struct nb_tier_input *in, enum nb_tier tier,
		   const char *why)
{
	struct nb_tier_choice c;

	nb_tier_choose(in, &c);
	assert_int_equal(c.tier, tier);
	assert_string_equal(c.why, why);
}

static void without_obstacles(void **state)
{
	struct nb_tier_input in;

	(void)state;
	in = fine(NB_GUARD_AUTO);
	expect(&in, NB_TIER_BRACKET, "every system call is guarded");
	in = fine(NB_GUARD_BRACKET);
	expect(&in, NB_TIER_BRACKET, "every system call is guarded");
	in = fine(NB_GUARD_CONSERVATIVE);
	expect(&in, NB_TIER_CONSERVATIVE, "NUMABAL_GUARD=conservative");
	in = fine(NB_GUARD_OFF);
	expect(&in, NB_TIER_CONSERVATIVE, "NUMABAL_GUARD=off");
}

static void obstacle(const struct nb_tier_input *in, const char *why)
{
	struct nb_tier_input i = *in;
	char text[160];

	i.guard = NB_GUARD_AUTO;
	expect(&i, NB_TIER_CONSERVATIVE, why);
	i.guard = NB_GUARD_BRACKET;
	snprintf(text, sizeof(text), "NUMABAL_GUARD=bracket, but %s", why);
	expect(&i, NB_TIER_OFF, text);
	i.guard = NB_GUARD_CONSERVATIVE;
	expect(&i, NB_TIER_CONSERVATIVE, "NUMABAL_GUARD=conservative");
}

static void each_obstacle(void **state)
{
	struct nb_tier_input in;

	(void)state;
	in = fine(0);
	in.arch = false;
	obstacle(&in, "bracketing is not there for this machine type");
	in = fine(0);
	in.membarrier = false;
	obstacle(&in, "membarrier(2) is refused");
	in = fine(0);
	in.alone = false;
	obstacle(&in, "threads were running already");
	in = fine(0);
	in.error = "the decoder (libZydis) is not there";
	obstacle(&in, in.error);
	in = fine(0);
	in.modules = holes;
	obstacle(&in, "2 of 7 system calls of libfoo.so cannot be guarded");
	in = fine(0);
	in.verdict = nb_detect_anon_exec();
	obstacle(&in, "it makes code at run time");
}

static void off_is_off(void **state)
{
	struct nb_tier_input in;

	(void)state;
	for (uint32_t g = NB_GUARD_AUTO; g <= NB_GUARD_OFF; g++) {
		in = fine(g);
		in.verdict = nb_detect_module("libjvm.so", no_env);
		expect(&in, NB_TIER_OFF, "it runs a Java virtual machine");
	}
	assert_string_equal(nb_tier_name(NB_TIER_OFF), "off");
	assert_string_equal(nb_tier_name(NB_TIER_CONSERVATIVE), "conservative");
	assert_string_equal(nb_tier_name(NB_TIER_BRACKET), "bracket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libraries),
		cmocka_unit_test(mpi_may_have_single_copy_switched_off),
		cmocka_unit_test(programs),
		cmocka_unit_test(environment),
		cmocka_unit_test(verdicts_only_fall),
		cmocka_unit_test(files_of_go),
		cmocka_unit_test(files_with_sanitizers),
		cmocka_unit_test(broken_files),
		cmocka_unit_test(real_files),
		cmocka_unit_test(ourselves),
		cmocka_unit_test(tracers),
		cmocka_unit_test(without_obstacles),
		cmocka_unit_test(each_obstacle),
		cmocka_unit_test(off_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
