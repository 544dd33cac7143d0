/* SPDX-License-Identifier: MIT */
/*
 * What numabal must step back from, told by names: of the program, of the
 * libraries that it loads, of variables in its environment.
 *
 * Two things make a program unfit.  It takes SIGSEGV for its own purposes, or
 * protects its memory itself, so thoroughly that two cannot share it (virtual
 * machines for languages, sanitizers, tracers).  Or its memory is used from
 * outside of the process, where no guard sees it (other ranks of an MPI job,
 * devices).  Both are "off".  What merely may make system calls from code that
 * did not exist when sites were looked for is "conservative".
 *
 * A name is compared up to its ".so" or its end, so that versions do not
 * matter.  Owns nothing; called at start, for each module that is mapped
 * later, and by numabald (tracers).
 */
#include "detect.h"

#include "config.h"
#include "plat/log.h"

#include <errno.h>
#include <string.h>

/* A rule of the table: the first whose pattern fits decides. */
struct rule {
	const char *pattern; /* of nb_glob_match(), for the last part */
	enum nb_tier best;
	const char *why;
};

#define OFF NB_TIER_OFF
#define LOW NB_TIER_CONSERVATIVE

static const char java[] = "it runs a Java virtual machine";
static const char dotnet[] = "it runs .NET";
static const char mono[] = "it runs Mono";
static const char v8[] = "it runs the V8 JavaScript engine";
static const char js[] = "it runs a JavaScript engine";
static const char wasm[] = "it runs WebAssembly";
static const char luajit[] = "it runs LuaJIT, which makes code";
static const char llvm[] = "it uses LLVM's just-in-time compiler";
static const char wine[] = "it runs under Wine";
const char nb_why_sanitizer[] = "it was built with a sanitizer";
static const char boehm[] = "it uses the Boehm garbage collector";
static const char valgrind[] = "it runs under valgrind";
static const char rr[] = "it runs under rr";
static const char frida[] = "Frida is in the process";
static const char pin[] = "it runs under Pin";
static const char dynamorio[] = "it runs under DynamoRIO";
static const char dmtcp[] = "it runs under DMTCP";
static const char patcher[] = "another library patches system calls";
static const char gpu[] = "a GPU may use its memory";
static const char rdma[] = "a network adapter may use its memory";
static const char mpi[] =
	"other MPI ranks may read its memory (single copy is not switched off)";

static const struct rule modules[] = {
	{"libjvm.so*", OFF, java},
	{"libjli.so*", OFF, java}, /* launchers: they load libjvm later */
	{"libj9vm*.so*", OFF, java},
	{"libcoreclr.so*", OFF, dotnet},
	{"libclrjit.so*", OFF, dotnet},
	{"libmono*-2.0.so*", OFF, mono},
	{"libmonoboehm*", OFF, mono},
	{"libnode.so*", OFF, v8},
	{"libv8*.so*", OFF, v8},
	{"libmozjs*.so*", OFF, js},
	{"libxul.so*", OFF, js},
	{"libjavascriptcoregtk*.so*", OFF, js},
	{"libwine.so*", OFF, wine},
	{"ntdll.so", OFF, wine},
	{"libwasmtime*.so*", LOW, wasm},
	{"libwasmer*.so*", LOW, wasm},
	{"libwasmedge*.so*", LOW, wasm},
	{"libluajit*.so*", LOW, luajit},
	{"libLLVM*JIT*.so*", LOW, llvm},
	/* gcc's and clang's; both as shared libraries */
	{"libasan.so*", OFF, nb_why_sanitizer},
	{"libtsan.so*", OFF, nb_why_sanitizer},
	{"libhwasan.so*", OFF, nb_why_sanitizer},
	{"liblsan.so*", OFF, nb_why_sanitizer},
	{"libclang_rt.asan*", OFF, nb_why_sanitizer},
	{"libclang_rt.tsan*", OFF, nb_why_sanitizer},
	{"libclang_rt.msan*", OFF, nb_why_sanitizer},
	{"libclang_rt.hwasan*", OFF, nb_why_sanitizer},
	{"libgc.so*", OFF, boehm},
	{"vgpreload_*", OFF, valgrind},
	{"librrpreload*.so*", OFF, rr},
	{"librrpage*.so*", OFF, rr},
	{"*frida-agent*", OFF, frida},
	{"*frida-gadget*", OFF, frida},
	{"pinbin", OFF, pin},
	{"libpindwarf.so*", OFF, pin},
	{"libpinvm.so*", OFF, pin},
	{"libdynamorio.so*", OFF, dynamorio},
	{"libdrpreload.so*", OFF, dynamorio},
	{"libdmtcp*.so*", OFF, dmtcp},
	{"libsyscall_intercept.so*", LOW, patcher},
	{"libzpoline.so*", LOW, patcher},
	/* devices that read and write memory when they like */
	{"libcuda.so*", OFF, gpu},
	{"libnvidia-*.so*", OFF, gpu},
	{"libhsa-runtime64.so*", OFF, gpu},
	{"libamdhip64.so*", OFF, gpu},
	{"libze_*.so*", OFF, gpu},
	{"libibverbs.so*", OFF, rdma},
	{"libpsm2.so*", OFF, rdma},
	{"libpsm_infinipath.so*", OFF, rdma},
};

static const struct rule programs[] = {
	{"node", OFF, v8},
	{"nodejs", OFF, v8},
	{"deno", OFF, v8},
	{"electron*", OFF, v8},
	{"chrome*", OFF, v8},
	{"chromium*", OFF, v8},
	{"bun", OFF, js},
	{"wine*-preloader", OFF, wine},
	{"luajit*", LOW, luajit},
	{"wasmtime", LOW, wasm},
	{"memcheck-*", OFF, valgrind},
};

#undef OFF
#undef LOW

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct nb_verdict by_rules(const struct rule *rules, size_t nr,
				  const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (nb_glob_match(rules[i].pattern, name))
			return (struct nb_verdict){rules[i].best, rules[i].why};
	return NB_VERDICT_NOTHING;
}

/**
 * nb_verdict_lower() - take the worse of two verdicts
 * @v: the verdict so far
 * @by: another one
 *
 * Context: any thread.
 * Return: true if @v has fallen; its reason is then that of @by.
 */
bool nb_verdict_lower(struct nb_verdict *v, const struct nb_verdict *by)
{
	if (by->best >= v->best)
		return false;
	*v = *by;
	return true;
}

/* ---- MPI ----------------------------------------------------------------- */

/* Is @word an element of the list at @s? */
static bool in_list(const char *s, const char *word)
{
	size_t len = strlen(word);

	while (*s) {
		size_t n = strcspn(s, ",");
		/* UCX: a backslash means this very transport. */
		size_t skip = n && *s == '\\';

		if (n - skip == len && !memcmp(s + skip, word, len))
			return true;
		s += n + (s[n] == ',');
	}
	return false;
}

static bool any_in_list(const char *s, const char *const *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (in_list(s, words[i]))
			return true;
	return false;
}

/*
 * A list of components, as Open MPI and UCX have it: "a,b" these, "^a,b" all
 * but these.  True if @cma is not left.  @aliases are names that stand for it
 * and others: they must not be there either.
 */
static bool list_excludes(const char *s, const char *cma,
			  const char *const *aliases, size_t nr)
{
	if (!s || !*s)
		return false;
	if (*s == '^')
		return in_list(s + 1, cma);
	return !in_list(s, cma) && !any_in_list(s, aliases, nr);
}

/* Open MPI: "vader" until 4, "sm" with "smsc" from 5 on. */
static bool open_mpi_copies_twice(char *const *env)
{
	static const char *const names[] = {
		"OMPI_MCA_btl_vader_single_copy_mechanism",
		"OMPI_MCA_btl_sm_single_copy_mechanism",
	};
	const char *v;

	for (size_t i = 0; i < nb_array_size(names); i++) {
		v = nb_config_getenv(env, names[i]);
		if (v && !strcmp(v, "none"))
			return true;
	}
	return list_excludes(nb_config_getenv(env, "OMPI_MCA_smsc"), "cma",
			     NULL, 0);
}

static bool ucx_copies_twice(char *const *env)
{
	static const char *const aliases[] = {"all", "sm", "shm"};
	const char *v = nb_config_getenv(env, "UCX_TLS");

	if (v && *v == '^' &&
	    any_in_list(v + 1, aliases + 1, nb_array_size(aliases) - 1))
		return true;
	return list_excludes(v, "cma", aliases, nb_array_size(aliases));
}

/*
 * Ranks on one host read each other's memory with process_vm_readv(2), which
 * fails where it is armed.  XPMEM and KNEM do so through devices: those are
 * noticed when they are opened.  Of MPICH and Intel MPI (libmpi.so.12, which
 * is their common ABI) no switch is known that covers it.
 */
static struct nb_verdict mpi_module(const char *name, char *const *env)
{
	const struct nb_verdict no = {NB_TIER_OFF, mpi};

	if (nb_glob_match("libmpich*", name) ||
	    nb_glob_match("libmpi.so.12*", name) ||
	    nb_glob_match("libmpifort.so.12*", name))
		return no;
	if ((nb_glob_match("libmpi.so*", name) ||
	     nb_glob_match("libopen-pal.so*", name)) &&
	    !open_mpi_copies_twice(env))
		return no;
	if ((nb_glob_match("libuc[pt].so*", name) ||
	     nb_glob_match("libuct_cma.so*", name)) &&
	    !ucx_copies_twice(env))
		return no;
	if (nb_glob_match("libxpmem.so*", name))
		return no;
	return NB_VERDICT_NOTHING;
}

/* ---- names --------------------------------------------------------------- */

/**
 * nb_detect_module() - judge a library by its name
 * @path: its path, or name
 * @env: the environment: MPI's switches
 *
 * Context: any thread.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_module(const char *path, char *const *env)
{
	const char *name = base_name(path);
	struct nb_verdict v;

	v = by_rules(modules, nb_array_size(modules), name);
	return v.why ? v : mpi_module(name, env);
}

/**
 * nb_detect_program() - judge a program by its name
 * @path: the path of its file (/proc/self/exe), or its name
 *
 * Context: any thread.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_program(const char *path)
{
	return by_rules(programs, nb_array_size(programs), base_name(path));
}

/**
 * nb_detect_anon_exec() - code that is in no file was mapped
 *
 * It may make system calls, and no one has looked for them.
 *
 * Context: any thread.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_anon_exec(void)
{
	return (struct nb_verdict){NB_TIER_CONSERVATIVE,
				   "it makes code at run time"};
}

/**
 * nb_detect_env() - judge by what tools leave in the environment
 * @env: the environment
 *
 * Context: any thread.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_env(char *const *env)
{
	static const struct {
		const char *name;
		const char *why;
	} vars[] = {
		{"RUNNING_ON_VALGRIND", valgrind},
		{"VALGRIND_LAUNCHER", valgrind},
		{"RUNNING_UNDER_RR", rr},
		{"PIN_VM_LD_LIBRARY_PATH", pin},
		{"PIN_APP_LD_LIBRARY_PATH", pin},
		{"DYNAMORIO_CONFIGDIR", dynamorio},
		{"WINELOADERNOEXEC", wine},
	};
	const char *list = nb_config_getenv(env, "LD_PRELOAD");
	struct nb_verdict v = NB_VERDICT_NOTHING;
	char name[256];

	for (size_t i = 0; i < nb_array_size(vars); i++)
		if (nb_config_getenv(env, vars[i].name))
			return (struct nb_verdict){NB_TIER_OFF, vars[i].why};
	while (list && *list) {
		size_t len = strcspn(list, " :");
		struct nb_verdict w;

		if (len && len < sizeof(name)) {
			memcpy(name, list, len);
			name[len] = '\0';
			w = nb_detect_module(name, env);
			nb_verdict_lower(&v, &w);
		}
		list += len + (list[len] != '\0');
	}
	return v;
}

/**
 * nb_tracer_pid() - who traces a process?
 * @sys: the kernel
 * @pid: the process; 0: this one
 *
 * A debugger stops at each hint fault and reads memory that is armed.
 *
 * Context: any thread; one small file of /proc.
 * Return: process id of the tracer; 0: nobody; -errno: not told.
 */
int nb_tracer_pid(const struct nb_sys *sys, pid_t pid)
{
	static const char field[] = "\nTracerPid:";
	char buf[512];
	const char *s, *end;
	struct nb_text path;
	uint64_t tracer;
	char name[32];
	long n;

	nb_text_init(&path, name, sizeof(name));
	if (pid)
		nb_text_add(&path, "/proc/%d/status", pid);
	else
		nb_text_add(&path, "/proc/self/status");
	/* The field is among the first ten. */
	n = sys->read_file(name, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	s = strstr(buf, field);
	if (!s)
		return -ENOENT;
	s += sizeof(field) - 1;
	s += strspn(s, " \t");
	return nb_parse_u64(s, &end, &tracer) ? -ENOENT : (int)tracer;
}
