/* SPDX-License-Identifier: MIT */
/*
 * tools/elf.c: which programs can be preloaded into, on files made up here.
 *
 * The tool's objects are in no archive, so its source is part of this test.
 */
#include "../../tools/elf.c"

#include "policy_test.h"

static char dir[] = "/tmp/numabal-elf-XXXXXX";

static const char *at(const char *name)
{
	static char path[2][PATH_MAX];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, const void *data, size_t size, mode_t mode)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put_script(const char *name, const char *text)
{
	put(name, text, strlen(text), 0755);
}

/* A program as far as it is looked at: header, two segments, a string. */
struct fake {
	elf_header eh;
	elf_segment ph[2];
	char interp[64];
};

static struct fake fake(const char *interp)
{
	struct fake f = {.eh = __ehdr_start};

	f.eh.e_phoff = offsetof(struct fake, ph);
	f.eh.e_phentsize = sizeof(elf_segment);
	f.eh.e_phnum = 2;
	f.ph[0].p_type = PT_PHDR;
	f.ph[1].p_type = interp ? PT_INTERP : PT_LOAD;
	f.ph[1].p_offset = offsetof(struct fake, interp);
	if (interp) {
		snprintf(f.interp, sizeof(f.interp), "%s", interp);
		f.ph[1].p_filesz = strlen(interp) + 1;
	}
	return f;
}

static enum nb_target_why check(const char *name)
{
	struct nb_target t;

	assert_int_equal(nb_target_check(at(name), &t), 0);
	return t.why;
}

static enum nb_target_why check_fake(const struct fake *f, size_t size)
{
	put("fake", f, size, 0755);
	return check("fake");
}

static void the_machine_has_to_be_ours(void **state)
{
	struct fake f = fake(NULL);

	(void)state;
	f.eh.e_machine++;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_MACHINE);
	f = fake(NULL);
	f.eh.e_ident[EI_CLASS] ^= ELFCLASS32 ^ ELFCLASS64;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_MACHINE);
	f = fake(NULL);
	f.eh.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_MACHINE);
}

static void the_dynamic_linker_decides(void **state)
{
	char ours[PATH_MAX];
	struct fake f = fake(NULL);

	(void)state;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_STATIC);
	f.eh.e_type = ET_EXEC;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_STATIC);
	f = fake("/lib/ld-musl-x86_64.so.1");
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_LIBC);
	own_interp(ours);
	f = fake(ours);
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_OK);
	/* The same one somewhere else. */
	snprintf(f.interp, sizeof(f.interp), "/nix%s", strrchr(ours, '/'));
	f.ph[1].p_filesz = strlen(f.interp) + 1;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_OK);
}

/* Nothing is known of them: execve(2) will tell. */
static void broken_files_are_left_to_the_kernel(void **state)
{
	struct fake f = fake("/lib/ld-musl-x86_64.so.1");

	(void)state;
	assert_int_equal(check_fake(&f, sizeof(f.eh)), NB_TARGET_OK);
	f.eh.e_phentsize = 1;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_OK);
	f.eh.e_phentsize = sizeof(elf_segment);
	f.eh.e_phnum = UINT16_MAX;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_OK);
	f.eh.e_phnum = 2;
	f.ph[1].p_offset = 1 << 20;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_OK);
	f.eh.e_phoff = UINT64_MAX - 8;
	assert_int_equal(check_fake(&f, sizeof(f)), NB_TARGET_OK);
}

static void real_programs(void **state)
{
	char ours[PATH_MAX];
	struct nb_target t;

	(void)state;
	assert_int_equal(nb_target_check("/proc/self/exe", &t), 0);
	assert_int_equal(t.why, NB_TARGET_OK);
	assert_int_equal(t.nr_interpreters, 0);
	/* "ld.so PROGRAM" preloads, though it has no linker of its own. */
	own_interp(ours);
	assert_int_equal(nb_target_check(ours, &t), 0);
	assert_int_equal(t.why, NB_TARGET_OK);
}

static void scripts_are_their_interpreters(void **state)
{
	struct fake f = fake(NULL);
	char text[PATH_MAX];
	struct nb_target t;

	(void)state;
	put("static", &f, sizeof(f), 0755);
	snprintf(text, sizeof(text), "#! \t%s -x\nexit\n", at("static"));
	put_script("one", text);
	snprintf(text, sizeof(text), "#!%s\n", at("one"));
	put_script("two", text);
	assert_int_equal(nb_target_check(at("two"), &t), 0);
	assert_int_equal(t.why, NB_TARGET_STATIC);
	assert_int_equal(t.nr_interpreters, 2);
	assert_string_equal(t.path, at("static"));
	put_script("plain", "true\n");
	assert_int_equal(nb_target_check(at("plain"), &t), 0);
	assert_string_equal(t.path, "/bin/sh");
	put_script("nothing", "");
	assert_int_equal(nb_target_check(at("nothing"), &t), 0);
	put_script("odd", "#!\n");
	assert_int_equal(nb_target_check(at("odd"), &t), 0);
	put_script("lost", "#!/no/such/shell\n");
	assert_int_equal(nb_target_check(at("lost"), &t), -ENOENT);
	assert_string_equal(t.path, "/no/such/shell");
	snprintf(text, sizeof(text), "#!%s\n", at("loop"));
	put_script("loop", text);
	assert_int_equal(nb_target_check(at("loop"), &t), -ELOOP);
}

/* What "#!/usr/bin/env NAME" runs is NAME. */
static void env_scripts(void **state)
{
	static const struct {
		const char *argument, *name;
	} rows[] = {
		{"python3", "python3"},
		{"-S python3 -u", "python3"},
		{"-S A=1\tB= awk -f", "awk"},
		{"", NULL},
		{"-i", NULL},
		{"A=1", NULL},
	};
	struct fake f = fake(NULL);
	char text[PATH_MAX], name[16];
	struct nb_target t;

	(void)state;
	put("env", &f, sizeof(f), 0755);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "#!%s %s\n", at("env"),
			 rows[i].argument);
		put_script("by-env", text);
		assert_int_equal(nb_target_check(at("by-env"), &t), 0);
		assert_int_equal(nb_target_env(&t, name, sizeof(name)),
				 rows[i].name != NULL);
		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
	}
	t = (struct nb_target){.nr_interpreters = 1,
			       .path = "/bin/env",
			       .argument = "a-name-of-16-let"};
	assert_false(nb_target_env(&t, name, sizeof(name)));
	t = (struct nb_target){.path = "/bin/env", .argument = "true"};
	assert_false(nb_target_env(&t, name, sizeof(name)));
	put("other", &f, sizeof(f), 0755);
	snprintf(text, sizeof(text), "#!%s true\n", at("other"));
	put_script("by-other", text);
	assert_int_equal(nb_target_check(at("by-other"), &t), 0);
	assert_false(nb_target_env(&t, name, sizeof(name)));
}

/* Only a change of identity makes the dynamic linker careful. */
static void privileges(void **state)
{
	char ours[PATH_MAX];
	struct statvfs fs;
	struct fake f;

	(void)state;
	own_interp(ours);
	f = fake(ours);
	put("suid", &f, sizeof(f), 06755);
	assert_int_equal(check("suid"), NB_TARGET_OK);
	if (getuid() || statvfs(dir, &fs) || (fs.f_flag & ST_NOSUID) ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		skip();
	assert_int_equal(chown(at("suid"), 12345, 0), 0);
	assert_int_equal(chmod(at("suid"), 04755), 0);
	assert_int_equal(check("suid"), NB_TARGET_SETUID);
	assert_int_equal(chown(at("suid"), 0, 12345), 0);
	assert_int_equal(chmod(at("suid"), 02755), 0);
	assert_int_equal(check("suid"), NB_TARGET_SETGID);
	assert_int_equal(chmod(at("suid"), 02745), 0);
	assert_int_equal(check("suid"), NB_TARGET_OK);
}

static void commands_are_found_as_by_exec(void **state)
{
	char search[3 * PATH_MAX];
	char path[PATH_MAX];

	(void)state;
	put_script("tool", "x");
	put("data", "x", 1, 0644);
	assert_int_equal(mkdir(at("sub"), 0755), 0);
	put_script("sub/data", "x");
	snprintf(search, sizeof(search), "/no/such:%s:%s", dir, at("sub"));
#define RESOLVE(name, where) nb_target_resolve(name, where, path, sizeof(path))
	assert_int_equal(RESOLVE("tool", search), 0);
	assert_string_equal(path, at("tool"));
	/* Passed over for the next one that can be executed. */
	assert_int_equal(RESOLVE("data", search), 0);
	assert_string_equal(path, at("sub/data"));
	assert_int_equal(RESOLVE("data", dir), -EACCES);
	assert_string_equal(path, at("data"));
	assert_int_equal(RESOLVE("sub", search), -EISDIR);
	assert_int_equal(RESOLVE("nobody-has-this", search), -ENOENT);
	assert_int_equal(RESOLVE("", search), -ENOENT);
	assert_int_equal(RESOLVE("sh", NULL), 0);
	assert_int_equal(RESOLVE(at("tool"), ""), 0);
	assert_int_equal(RESOLVE(at("tool/x"), search), -ENOTDIR);
	assert_int_equal(RESOLVE("/dev/null", search), -EACCES);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(RESOLVE("tool", "/no/such:"), 0);
	assert_string_equal(path, "./tool");
	assert_int_equal(RESOLVE("tool", "/no/such"), -ENOENT);
}

static void every_reason_has_a_text(void **state)
{
	(void)state;
	for (int i = NB_TARGET_OK; i < NB_TARGET_LIBC; i++)
		assert_string_not_equal(nb_target_text(i),
					nb_target_text(i + 1));
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"fake",	 "static",   "one",   "two",	 "env",	     "by-env",
		"other", "by-other", "plain", "nothing", "odd",	     "lost",
		"loop",	 "suid",     "tool",  "data",	 "sub/data",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(at(names[i]));
	rmdir(at("sub"));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_machine_has_to_be_ours),
		cmocka_unit_test(the_dynamic_linker_decides),
		cmocka_unit_test(broken_files_are_left_to_the_kernel),
		cmocka_unit_test(real_programs),
		cmocka_unit_test(scripts_are_their_interpreters),
		cmocka_unit_test(env_scripts),
		cmocka_unit_test(privileges),
		cmocka_unit_test(commands_are_found_as_by_exec),
		cmocka_unit_test(every_reason_has_a_text),
	};

	return cmocka_run_group_tests_name("elf", tests, setup, teardown);
}
