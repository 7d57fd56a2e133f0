// SPDX-License-Identifier: GPL-2.0-only
/*
 * hs_elf_closure() against ldd, which asks the real loader, and on files that are damaged. Programs and
 * libraries are compiled on the spot.
 */
#include "tests/unit/kernel_fixture.h"

#include <errno.h>

#include "orchestrate/elfdeps.h"

HS_SCOPED(elf_files, struct hs_elf_files *, hs_elf_files_free)

static void write_guest_paths(const char *program, const char *out_path)
{
	scoped(elf_files) struct hs_elf_files *files = NULL;
	scoped(file) FILE *out = fopen(out_path, "w");

	assert_non_null(out);
	assert_int_equal(hs_elf_closure(program, &files), 0);
	assert_string_equal(files->file[0].guest_path, program);
	for (size_t i = 1; i < files->nr; i++)
		fprintf(out, "%s\n", files->file[i].guest_path);
}

static void assert_same_as_ldd(const char *program)
{
	write_guest_paths(program, in_dir("ours"));
	assert_int_equal(shell("ldd %s | grep -oE '/[^ ]+' | sort -u >%s/theirs", program, fixture_dir), 0);
	assert_int_equal(shell("sort %s/ours | diff - %s/theirs", fixture_dir, fixture_dir), 0);
}

static void test_programs_of_this_machine_need_what_ldd_says(void **state)
{
	static const char *const programs[] = { "/usr/bin/iperf3", "/usr/bin/qemu-system-x86_64", "/bin/bash",
						"/usr/bin/ld" };

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(programs); i++) {
		if (access(programs[i], X_OK) == 0)
			assert_same_as_ldd(programs[i]);
		else
			print_message("# skipped %s: not installed\n", programs[i]);
	}
}

/* DIR/bin/prog needs libouter.so in DIR/lib, which needs libinner.so there. */
static void compile(const char *outer_flags, const char *prog_flags)
{
	assert_int_equal(shell("cd %s && mkdir -p bin lib && "
			       "echo 'int inner(void); int inner(void) { return 1; }' >inner.c && "
			       "echo 'int inner(void); int outer(void); int outer(void) { return inner(); }' "
			       ">outer.c && "
			       "echo 'int outer(void); int main(void) { return outer(); }' >prog.c && "
			       "cc -shared -fPIC -Wl,-soname,libinner.so -o lib/libinner.so inner.c && "
			       "cc -shared -fPIC -Wl,-soname,libouter.so %s -o lib/libouter.so outer.c -Llib "
			       "-linner && "
			       "cc %s -o bin/prog prog.c -Llib -louter -Wl,-rpath-link,lib",
			       fixture_dir, outer_flags, prog_flags),
			 0);
}

static void test_runpath_with_origin_is_followed(void **state)
{
	static const char flags[] = "-Wl,--enable-new-dtags,-rpath,'$ORIGIN/../lib'";

	(void)state;
	compile(flags, flags);
	assert_same_as_ldd(in_dir("bin/prog"));
}

static void test_rpath_is_inherited_by_what_it_brings(void **state)
{
	(void)state;
	compile("", "-Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib'");
	assert_same_as_ldd(in_dir("bin/prog"));
}

static void test_runpath_is_not_inherited(void **state)
{
	struct hs_elf_files *files = NULL;

	(void)state;
	compile("", "-Wl,--enable-new-dtags,-rpath,'$ORIGIN/../lib'");
	assert_int_equal(shell("ldd %s/bin/prog | grep -q 'libinner.so => not found'", fixture_dir), 0);
	assert_int_equal(hs_elf_closure(in_dir("bin/prog"), &files), -ENOENT);
}

static void test_missing_library_is_named_with_who_needs_it(void **state)
{
	struct hs_elf_files *files = (void *)1;

	(void)state;
	compile("", "");
	assert_int_equal(hs_elf_closure(in_dir("bin/prog"), &files), -ENOENT);
	assert_ptr_equal(files, (void *)1);
	assert_non_null(strstr(hs_log_last_error(), "cannot find libouter.so, which "));
	assert_non_null(strstr(hs_log_last_error(), "bin/prog needs"));
}

/* As ld.so does: a library of another machine in the way is passed over. */
static void test_library_of_another_machine_is_passed_over(void **state)
{
	unsigned char bytes[65536];
	size_t len;

	(void)state;
	compile("-Wl,-rpath,'$ORIGIN'", "-Wl,-rpath,'$ORIGIN/../other:$ORIGIN/../lib'");
	len = file_read(in_dir("lib/libouter.so"), bytes, sizeof(bytes));
	bytes[18] = 183; /* e_machine: EM_AARCH64 */
	assert_int_equal(shell("mkdir -p %s/other", fixture_dir), 0);
	file_write(in_dir("other/libouter.so"), bytes, len);
	assert_same_as_ldd(in_dir("bin/prog"));
}

/* In the guest there is no link to follow: $ORIGIN is where the program lies there. */
static void test_libraries_follow_a_program_asked_for_by_a_link(void **state)
{
	static const char flags[] = "-Wl,-rpath,'$ORIGIN/../lib'";
	scoped(elf_files) struct hs_elf_files *files = NULL;
	bool found = false;

	(void)state;
	compile(flags, flags);
	assert_int_equal(
		shell("cd %s && mkdir -p elsewhere && ln -sf ../bin/prog elsewhere/link", fixture_dir), 0);
	assert_int_equal(hs_elf_closure(in_dir("elsewhere/link"), &files), 0);
	assert_string_equal(files->file[0].guest_path, in_dir("elsewhere/link"));
	assert_string_equal(files->file[0].source_path, in_dir("bin/prog"));
	for (size_t i = 0; i < files->nr; i++)
		found |= strcmp(files->file[i].guest_path, in_dir("elsewhere/../lib/libouter.so")) == 0;
	assert_true(found);
}

static void test_static_program_needs_only_itself(void **state)
{
	scoped(elf_files) struct hs_elf_files *files = NULL;

	(void)state;
	assert_int_equal(shell("cd %s && echo 'int main(void) { return 0; }' >s.c && cc -static -o s s.c",
			       fixture_dir),
			 0);
	assert_int_equal(hs_elf_closure(in_dir("s"), &files), 0);
	assert_int_equal(files->nr, 1);
}

static void test_what_is_no_program_is_refused(void **state)
{
	struct hs_elf_files *files = NULL;

	(void)state;
	file_write(in_dir("script"), "#!/bin/sh\n", 10);
	assert_int_equal(hs_elf_closure(in_dir("script"), &files), -ENOEXEC);
	file_write(in_dir("empty"), "", 0);
	assert_int_equal(hs_elf_closure(in_dir("empty"), &files), -ENOEXEC);
	assert_int_equal(hs_elf_closure(fixture_dir, &files), -ENOEXEC);
	assert_int_equal(hs_elf_closure(in_dir("absent"), &files), -ENOENT);
	assert_null(files);
}

static void try_bytes(const unsigned char *bytes, size_t len)
{
	scoped(elf_files) struct hs_elf_files *files = NULL;
	int err;

	file_write(in_dir("damaged"), bytes, len);
	err = hs_elf_closure(in_dir("damaged"), &files);
	assert_true(err <= 0 && (err == 0) == (files != NULL));
}

static void test_damaged_program_never_crashes(void **state)
{
	unsigned char bytes[65536], damaged[65536];
	size_t len;

	(void)state;
	compile("", "");
	len = file_read(in_dir("bin/prog"), bytes, sizeof(bytes));
	assert_in_range(len, 4096, sizeof(bytes) - 1);
	stderr_hush(true);
	for (size_t cut = 0; cut < len; cut += 97)
		try_bytes(bytes, cut);
	/* The ELF header and the program headers, where all offsets are; then the dynamic section and anything. */
	for (size_t at = 16; at < 64 + 13 * 56; at++) {
		memcpy(damaged, bytes, len);
		memset(damaged + at, 0xff, at % 3 ? 1 : 8);
		try_bytes(damaged, len);
	}
	srandom(1);
	for (int round = 0; round < 1000; round++) {
		memcpy(damaged, bytes, len);
		for (int flips = 0; flips < 8; flips++)
			damaged[64 + (size_t)random() % (len - 64)] = (unsigned char)random();
		try_bytes(damaged, len);
	}
	stderr_hush(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_programs_of_this_machine_need_what_ldd_says),
		cmocka_unit_test(test_runpath_with_origin_is_followed),
		cmocka_unit_test(test_rpath_is_inherited_by_what_it_brings),
		cmocka_unit_test(test_runpath_is_not_inherited),
		cmocka_unit_test(test_missing_library_is_named_with_who_needs_it),
		cmocka_unit_test(test_library_of_another_machine_is_passed_over),
		cmocka_unit_test(test_libraries_follow_a_program_asked_for_by_a_link),
		cmocka_unit_test(test_static_program_needs_only_itself),
		cmocka_unit_test(test_what_is_no_program_is_refused),
		cmocka_unit_test(test_damaged_program_never_crashes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("elfdeps", tests, fixture_setup, fixture_teardown);
}
