// SPDX-License-Identifier: GPL-2.0-only
/*
 * hs_guest_kernel_find() with apt played by scripts in PATH: which kernel is chosen, what is fetched how
 * often, what a failure says and leaves behind. And the image: what it loads is what the vmlinux loads, and
 * a bzImage broken at any byte is refused.
 */
#include "tests/unit/kernel_fixture.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "orchestrate/kernel.h"
#include "orchestrate/vmlinux_image.h"

#define PACKAGE "linux-image-" FIXTURE_RELEASE
#define LOADED_BYTES (2u << 20)
#define LOADED_AT 0x1000000u

static const char *const needed[] = { "top", NULL };

/*
 * apt-cache knows the package unless DIR/no-lists is there; apt-get update removes that file; download copies
 * DIR/PACKAGE.deb, or fails if there is none. Each call is noted in DIR/calls.
 */
static int setup(void **state)
{
	static const char cache[] =
		"#!/bin/sh\necho \"apt-cache $*\" >>%s/calls\n[ -e %s/no-lists ] && exit 0\n"
		"echo "
		"linux-image-amd64\necho '  Depends: " PACKAGE "'\n";
	static const char get[] = "#!/bin/sh\necho \"apt-get $*\" >>%s/calls\ncase \"$*\" in\n"
				  "*update*) rm -f %s/no-lists;;\n"
				  "*download*) cp %s/" PACKAGE ".deb . 2>/dev/null && exit 0\n"
				  "echo 'W: noise' >&2; echo 'E: Failed to fetch it  404' >&2; echo 'more "
				  "noise' >&2; exit 100;;\n"
				  "esac\n";
	char path[4096], script[2048];

	if (fixture_setup(state) || shell("mkdir -p %s/bin", fixture_dir))
		return -1;
	snprintf(script, sizeof(script), cache, fixture_dir, fixture_dir);
	file_write(in_dir("bin/apt-cache"), script, strlen(script));
	snprintf(script, sizeof(script), get, fixture_dir, fixture_dir, fixture_dir);
	file_write(in_dir("bin/apt-get"), script, strlen(script));
	snprintf(path, sizeof(path), "%s/bin:%s:/usr/sbin:/sbin", fixture_dir, getenv("PATH"));
	setenv("PATH", path, 1);
	fixture_package(in_dir("tree"), KERNEL_GOOD);
	return shell("cd %s && chmod +x bin/* && cp -r tree deb && rm deb/lib/modules/*/modules.*.bin && "
		     "mkdir deb/DEBIAN "
		     "&& printf 'Package: %s\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: "
		     "x\\n' "
		     ">deb/DEBIAN/control && dpkg-deb -Znone -b deb whole.deb >/dev/null",
		     fixture_dir, PACKAGE);
}

/* Before each test: an empty cache and host, a mirror that works. */
static int fresh(void **state)
{
	(void)state;
	return shell("cd %s && rm -rf cache host calls no-lists && mkdir host && cp whole.deb " PACKAGE
		     ".deb",
		     fixture_dir);
}

static int find_kernel(const char *given, const char *const *modules, struct hs_guest_kernel **out)
{
	struct hs_guest_kernel_config config = {
		.kernel = given, .cache_dir = in_dir("cache"), .host_root = in_dir("host"), .needed = modules
	};

	return hs_guest_kernel_find(&config, out);
}

static int calls_of(const char *what)
{
	return WEXITSTATUS(shell("cd %s && touch calls && exit $(grep -c '%s' calls)", fixture_dir, what));
}

static bool exists(const char *below)
{
	return access(in_dir(below), F_OK) == 0;
}

static void assert_nothing_half_done(void)
{
	assert_int_equal(shell("ls -d %s/cache/kernels/.new-* %s/cache/kernels/*.deb 2>/dev/null",
			       fixture_dir, fixture_dir),
			 2 << 8);
}

/* ---- fetching ---------------------------------------------------------------------------------- */

static void test_fetched_kernel_is_ready_to_boot(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(find_kernel(NULL, needed, &kernel), 0);
	assert_string_equal(kernel->release, FIXTURE_RELEASE);
	assert_string_equal(kernel->image,
			    in_dir("cache/kernels/" FIXTURE_RELEASE "/boot/vmlinux-" FIXTURE_RELEASE));
	assert_string_equal(kernel->bzimage,
			    in_dir("cache/kernels/" FIXTURE_RELEASE "/boot/vmlinuz-" FIXTURE_RELEASE));
	assert_string_equal(kernel->modules_dir, in_dir("cache/kernels/" FIXTURE_RELEASE));
	assert_true(
		exists("cache/kernels/" FIXTURE_RELEASE "/lib/modules/" FIXTURE_RELEASE "/modules.dep.bin"));
	assert_int_equal(access(kernel->image, R_OK), 0);
	assert_nothing_half_done();
}

static void test_second_run_starts_no_program(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *first = NULL;
	scoped(guest_kernel) struct hs_guest_kernel *second = NULL;

	(void)state;
	assert_int_equal(find_kernel(NULL, needed, &first), 0);
	assert_int_equal(shell("rm %s/calls", fixture_dir), 0);
	assert_int_equal(find_kernel(NULL, needed, &second), 0);
	assert_string_equal(second->image, first->image);
	assert_false(exists("calls"));
}

static void test_empty_package_lists_are_renewed_once(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	file_write(in_dir("no-lists"), "", 0);
	assert_int_equal(find_kernel(NULL, needed, &kernel), 0);
	assert_int_equal(calls_of("apt-get.*update"), 1);
	assert_int_equal(calls_of("apt-get.*download"), 1);
}

static void test_failed_download_tells_apts_error_and_the_way_out(void **state)
{
	struct hs_guest_kernel *kernel = (void *)1;

	(void)state;
	assert_int_equal(unlink(in_dir(PACKAGE ".deb")), 0);
	assert_int_equal(find_kernel(NULL, needed, &kernel), -ENOENT);
	assert_ptr_equal(kernel, (void *)1);
	assert_non_null(strstr(hs_log_last_error(), "(E: Failed to fetch it  404)"));
	assert_non_null(strstr(hs_log_last_error(), "give a kernel with --kernel"));
	assert_int_equal(calls_of("apt-get.*update"), 1);
	assert_nothing_half_done();
}

static void test_truncated_package_leaves_nothing_in_the_cache(void **state)
{
	struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(truncate(in_dir(PACKAGE ".deb"), 20000), 0);
	assert_true(find_kernel(NULL, needed, &kernel) < 0);
	assert_non_null(strstr(hs_log_last_error(), "cannot unpack "));
	assert_false(exists("cache/kernels/" FIXTURE_RELEASE));
	assert_nothing_half_done();
}

static void test_leftover_of_an_interrupted_run_is_not_taken_for_whole(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(
		shell("cd %s && mkdir -p cache/kernels/.new-dead && cp -r tree/boot cache/kernels/.new-dead/",
		      fixture_dir),
		0);
	assert_int_equal(find_kernel(NULL, needed, &kernel), 0);
	assert_int_equal(calls_of("apt-get.*download"), 1);
	assert_nothing_half_done();
}

static void test_damaged_cache_is_fetched_again(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *first = NULL;
	scoped(guest_kernel) struct hs_guest_kernel *second = NULL;

	(void)state;
	assert_int_equal(find_kernel(NULL, needed, &first), 0);
	assert_int_equal(truncate(in_dir("cache/kernels/" FIXTURE_RELEASE "/lib/modules/" FIXTURE_RELEASE
					 "/modules.dep.bin"),
				  30),
			 0);
	assert_int_equal(find_kernel(NULL, needed, &second), 0);
	assert_int_equal(calls_of("apt-get.*download"), 2);
}

static void test_kernel_without_a_needed_module_is_fetched_once_and_refused(void **state)
{
	static const char *const absent[] = { "no_such_module", NULL };
	struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(find_kernel(NULL, absent, &kernel), -ENOENT);
	assert_int_equal(find_kernel(NULL, absent, &kernel), -ENOENT);
	assert_non_null(strstr(hs_log_last_error(), "has no module no_such_module"));
	assert_int_equal(calls_of("apt-get.*download"), 1);
}

static void test_runs_at_once_fetch_once(void **state)
{
	pid_t pids[4];

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

			_exit(find_kernel(NULL, needed, &kernel) == 0 && access(kernel->image, R_OK) == 0 ?
				      0 :
				      1);
		}
	}
	for (size_t i = 0; i < HS_ARRAY_SIZE(pids); i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(calls_of("apt-get.*download"), 1);
}

static void test_cache_that_cannot_be_made_is_told(void **state)
{
	struct hs_guest_kernel_config config = { .cache_dir = in_dir("whole.deb"),
						 .host_root = in_dir("host") };
	struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(hs_guest_kernel_find(&config, &kernel), -ENOTDIR);
	assert_non_null(strstr(hs_log_last_error(), "HSBPF_CACHE"));
}

/* ---- choosing ---------------------------------------------------------------------------------- */

static void test_hosts_kernel_is_used_where_it_has_the_modules(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(shell("cp -r %s/tree/. %s/host", fixture_dir, fixture_dir), 0);
	assert_int_equal(find_kernel(NULL, needed, &kernel), 0);
	assert_string_equal(kernel->modules_dir, in_dir("host"));
	assert_non_null(strstr(kernel->image, "/cache/images/vmlinux-" FIXTURE_RELEASE));
	assert_false(exists("calls"));
}

static void test_hosts_kernel_without_modules_is_passed_over(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(shell("cp -r %s/tree/boot %s/host", fixture_dir, fixture_dir), 0);
	assert_int_equal(find_kernel(NULL, needed, &kernel), 0);
	assert_string_equal(kernel->modules_dir, in_dir("cache/kernels/" FIXTURE_RELEASE));
}

static void test_newest_cached_kernel_that_has_the_modules_wins(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	/* 10.x is newer than 9.x, but is no kernel. */
	assert_int_equal(
		shell("cd %s && mkdir -p cache/kernels/10.0.0 && cp -r tree cache/kernels/" FIXTURE_RELEASE,
		      fixture_dir),
		0);
	assert_int_equal(find_kernel(NULL, needed, &kernel), 0);
	assert_string_equal(kernel->release, FIXTURE_RELEASE);
	assert_false(exists("calls"));
}

static void test_given_folder_is_used_and_depmod_run_in_it(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(shell("cd %s && rm -rf given && cp -r deb given", fixture_dir), 0);
	assert_int_equal(find_kernel(in_dir("given"), needed, &kernel), 0);
	assert_string_equal(kernel->modules_dir, in_dir("given"));
	assert_string_equal(kernel->bzimage, in_dir("given/boot/vmlinuz-" FIXTURE_RELEASE));
	assert_false(exists("calls"));
}

static void test_given_folder_with_merged_usr_is_used(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(shell("cd %s && rm -rf given && cp -r deb given && mkdir given/usr && mv given/lib "
			       "given/usr/",
			       fixture_dir),
			 0);
	assert_int_equal(find_kernel(in_dir("given"), needed, &kernel), 0);
	assert_string_equal(kernel->modules_dir, in_dir("given/usr"));
}

static void test_given_vmlinuz_finds_its_modules(void **state)
{
	scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

	(void)state;
	assert_int_equal(find_kernel(in_dir("tree/boot/vmlinuz-" FIXTURE_RELEASE), needed, &kernel), 0);
	assert_string_equal(kernel->modules_dir, in_dir("tree"));
	assert_string_equal(kernel->release, FIXTURE_RELEASE);
}

static void assert_given_refused(const char *given, int err, const char *words)
{
	struct hs_guest_kernel *kernel = NULL;

	assert_int_equal(find_kernel(given, needed, &kernel), err);
	assert_null(kernel);
	if (!strstr(hs_log_last_error(), words))
		fail_msg("\"%s\" does not say \"%s\"", hs_log_last_error(), words);
	assert_false(exists("calls"));
}

static void test_given_kernel_that_cannot_be_used_is_refused(void **state)
{
	(void)state;
	assert_given_refused(in_dir("absent"), -ENOENT, "No such file");
	assert_given_refused(in_dir("host"), -ENOENT, "there is no vmlinuz-*");
	assert_given_refused(in_dir("whole.deb"), -EINVAL, "not an x86 kernel image");
	assert_int_equal(shell("cp %s/tree/boot/vmlinuz-* %s/lone", fixture_dir, fixture_dir), 0);
	assert_given_refused(in_dir("lone"), -ENOENT, "its modules, lib/modules/" FIXTURE_RELEASE);
}

/* ---- the image --------------------------------------------------------------------------------- */

/* What a loader puts at LOADED_AT: file bytes, then zeroes up to p_memsz. */
static void load(const unsigned char *elf, size_t len, unsigned char *memory)
{
	const Elf64_Ehdr *header = (const void *)elf;

	memset(memory, 0xee, LOADED_BYTES);
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;

		memcpy(&segment, elf + header->e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type != PT_LOAD)
			continue;
		assert_true(segment.p_offset + segment.p_filesz <= len);
		assert_in_range(segment.p_paddr - LOADED_AT + segment.p_memsz, 1, LOADED_BYTES);
		memset(memory + segment.p_paddr - LOADED_AT, 0, segment.p_memsz);
		memcpy(memory + segment.p_paddr - LOADED_AT, elf + segment.p_offset, segment.p_filesz);
	}
}

static void test_image_loads_what_the_vmlinux_loads_and_is_smaller(void **state)
{
	scoped(mem) unsigned char *vmlinux = malloc(FIXTURE_VMLINUX_BYTES);
	scoped(mem) unsigned char *image = malloc(FIXTURE_VMLINUX_BYTES);
	scoped(mem) unsigned char *expected = malloc(LOADED_BYTES);
	scoped(mem) unsigned char *loaded = malloc(LOADED_BYTES);
	size_t len;

	(void)state;
	fixture_vmlinux(vmlinux, KERNEL_GOOD);
	load(vmlinux, FIXTURE_VMLINUX_BYTES, expected);
	assert_int_equal(
		hs_vmlinux_image_write(in_dir("tree/boot/vmlinuz-" FIXTURE_RELEASE), in_dir("image")), 0);
	len = file_read(in_dir("image"), image, FIXTURE_VMLINUX_BYTES);
	assert_in_range(len, 4096, 300 << 10);
	load(image, len, loaded);
	assert_memory_equal(loaded, expected, LOADED_BYTES);
	assert_int_equal(((Elf64_Ehdr *)image)->e_entry, 0x1000000);
	assert_int_equal(shell("readelf -n %s/image 2>&1 | grep -q Xen", fixture_dir), 0);
}

static void test_kernel_without_pvh_or_known_packing_boots_as_it_is(void **state)
{
	static const enum fixture_kind kinds[] = { KERNEL_WITHOUT_PVH, KERNEL_ODD_COMPRESSION };

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(kinds); i++) {
		scoped(guest_kernel) struct hs_guest_kernel *kernel = NULL;

		assert_int_equal(shell("cd %s && rm -rf given && cp -r tree given", fixture_dir), 0);
		fixture_kernel_write(in_dir("given/boot/vmlinuz-" FIXTURE_RELEASE), kinds[i]);
		assert_int_equal(
			hs_vmlinux_image_write(in_dir("given/boot/vmlinuz-" FIXTURE_RELEASE), in_dir("none")),
			-ENOTSUP);
		assert_int_equal(find_kernel(in_dir("given"), needed, &kernel), 0);
		assert_string_equal(kernel->image, kernel->bzimage);
		assert_false(exists("none"));
	}
}

static void test_truncated_bzimage_is_refused(void **state)
{
	scoped(mem) unsigned char *bytes = malloc(FIXTURE_VMLINUX_BYTES);
	size_t len = fixture_bzimage(bytes, FIXTURE_VMLINUX_BYTES, KERNEL_GOOD);

	(void)state;
	stderr_hush(true);
	for (size_t cut = 0; cut < len; cut += cut < 1100 ? 1 : 331) {
		file_write(in_dir("cut"), bytes, cut);
		assert_true(hs_vmlinux_image_write(in_dir("cut"), in_dir("cut-image")) < 0);
		assert_false(exists("cut-image"));
	}
	stderr_hush(false);
	assert_non_null(strstr(hs_log_last_error(), "is truncated"));
}

static void test_garbage_in_the_headers_never_crashes(void **state)
{
	scoped(mem) unsigned char *bytes = malloc(FIXTURE_VMLINUX_BYTES);
	size_t len = fixture_bzimage(bytes, FIXTURE_VMLINUX_BYTES, KERNEL_GOOD);

	(void)state;
	srandom(1);
	stderr_hush(true);
	for (int round = 0; round < 600; round++) {
		static const size_t starts[] = { 0x1f1, 0x206, 0x20e, 0x248, 0x24c };
		size_t at = starts[(size_t)round % HS_ARRAY_SIZE(starts)];
		scoped(mem) char *release = NULL;
		unsigned char kept[4];

		memcpy(kept, bytes + at, 4);
		for (int i = 0; i < 1 + round % 4; i++)
			bytes[at + (size_t)i] = (unsigned char)random();
		file_write(in_dir("garbage"), bytes, len);
		hs_vmlinux_image_write(in_dir("garbage"), in_dir("garbage-image"));
		hs_bzimage_release(in_dir("garbage"), &release);
		memcpy(bytes + at, kept, 4);
	}
	stderr_hush(false);
}

/* The program headers of the vmlinux inside: type and flags, offset, addresses, sizes, alignment. */
static void test_wild_offsets_in_the_vmlinux_are_refused(void **state)
{
	enum { OFFSET = 1, FILE_BYTES = 4, FIELDS = 7 };
	scoped(mem) unsigned char *bytes = malloc(2 * FIXTURE_VMLINUX_BYTES);
	scoped(mem) unsigned char *vmlinux = malloc(FIXTURE_VMLINUX_BYTES);

	(void)state;
	stderr_hush(true);
	for (size_t field = 0; field < 8 + 3 * FIELDS; field++) {
		bool must_fail =
			field >= 8 && ((field - 8) % FIELDS == OFFSET || (field - 8) % FIELDS == FILE_BYTES);
		int err;

		fixture_vmlinux(vmlinux, KERNEL_GOOD);
		memset(vmlinux + (field < 2 ? 16 : 0) + 8 * field, 0xf7, 8);
		file_write(in_dir("wild"), bytes,
			   fixture_bzimage_pack(bytes, 2 * FIXTURE_VMLINUX_BYTES, vmlinux));
		unlink(in_dir("wild-image"));
		err = hs_vmlinux_image_write(in_dir("wild"), in_dir("wild-image"));
		if (must_fail && err != -EBADMSG)
			fail_msg("field %zu gave %d", field, err);
		assert_int_equal(exists("wild-image"), err == 0);
	}
	stderr_hush(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fetched_kernel_is_ready_to_boot, fresh),
		cmocka_unit_test_setup(test_second_run_starts_no_program, fresh),
		cmocka_unit_test_setup(test_empty_package_lists_are_renewed_once, fresh),
		cmocka_unit_test_setup(test_failed_download_tells_apts_error_and_the_way_out, fresh),
		cmocka_unit_test_setup(test_truncated_package_leaves_nothing_in_the_cache, fresh),
		cmocka_unit_test_setup(test_leftover_of_an_interrupted_run_is_not_taken_for_whole, fresh),
		cmocka_unit_test_setup(test_damaged_cache_is_fetched_again, fresh),
		cmocka_unit_test_setup(test_kernel_without_a_needed_module_is_fetched_once_and_refused,
				       fresh),
		cmocka_unit_test_setup(test_runs_at_once_fetch_once, fresh),
		cmocka_unit_test_setup(test_cache_that_cannot_be_made_is_told, fresh),
		cmocka_unit_test_setup(test_hosts_kernel_is_used_where_it_has_the_modules, fresh),
		cmocka_unit_test_setup(test_hosts_kernel_without_modules_is_passed_over, fresh),
		cmocka_unit_test_setup(test_newest_cached_kernel_that_has_the_modules_wins, fresh),
		cmocka_unit_test_setup(test_given_folder_is_used_and_depmod_run_in_it, fresh),
		cmocka_unit_test_setup(test_given_folder_with_merged_usr_is_used, fresh),
		cmocka_unit_test_setup(test_given_vmlinuz_finds_its_modules, fresh),
		cmocka_unit_test_setup(test_given_kernel_that_cannot_be_used_is_refused, fresh),
		cmocka_unit_test_setup(test_image_loads_what_the_vmlinux_loads_and_is_smaller, fresh),
		cmocka_unit_test_setup(test_kernel_without_pvh_or_known_packing_boots_as_it_is, fresh),
		cmocka_unit_test_setup(test_truncated_bzimage_is_refused, fresh),
		cmocka_unit_test_setup(test_garbage_in_the_headers_never_crashes, fresh),
		cmocka_unit_test_setup(test_wild_offsets_in_the_vmlinux_are_refused, fresh),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("kernel", tests, setup, fixture_teardown);
}
