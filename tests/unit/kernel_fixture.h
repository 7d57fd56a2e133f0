/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of kernels, modules and initramfs stand on: a scratch folder, a module tree compiled on
 * the spot (with the real depmod), and a bzImage small enough to break at every byte. Included by test
 * programs only, one of them at a time.
 */
#ifndef HS_TESTS_KERNEL_FIXTURE_H
#define HS_TESTS_KERNEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <lzma.h>

#include "base/log.h"
#include "base/scoped.h"

#define FIXTURE_RELEASE "9.1.0-test"
#define FIXTURE_VMLINUX_BYTES (512u << 10)

static char fixture_dir[64];

/* Runs a line of shell; its exit code. */
__attribute__((format(printf, 1, 2), unused)) static int shell(const char *format, ...)
{
	char line[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return system(line);
}

__attribute__((unused)) static int fixture_setup(void **state)
{
	(void)state;
	strcpy(fixture_dir, "/tmp/hsbpf-test-XXXXXX");
	unsetenv("LD_LIBRARY_PATH");
	return mkdtemp(fixture_dir) ? 0 : -1;
}

__attribute__((unused)) static int fixture_teardown(void **state)
{
	(void)state;
	return shell("rm -rf %s", fixture_dir);
}

/* "DIR/name" in a buffer that the next 16 calls leave alone. */
__attribute__((unused)) static const char *in_dir(const char *name)
{
	static char paths[16][512];
	static unsigned int turn;
	char *path = paths[turn++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture_dir, name);
	return path;
}

__attribute__((unused)) static void file_write(const char *path, const void *bytes, size_t len)
{
	scoped(file) FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
}

__attribute__((unused)) static size_t file_read(const char *path, unsigned char *bytes, size_t room)
{
	scoped(file) FILE *file = fopen(path, "r");

	assert_non_null(file);
	return fread(bytes, 1, room, file);
}

/* Says what a kernel module says to depmod: its name, what it exports, needs and asks for softly. */
static void module_compile(const char *root, const char *name, const char *exports, const char *needs,
			   const char *modinfo)
{
	char source[2048];

	snprintf(source, sizeof(source),
		 "#define I(n, text) __attribute__((section(\".modinfo\"), used)) static const char n[] = "
		 "text;\n"
		 "#define E(f) __attribute__((section(\"__ksymtab_strings\"), used)) static const char "
		 "x_##f[] = #f;"
		 " int f(void); int f(void) { return 1; }\n"
		 "#define N(f) int f(void); int calls_##f(void); int calls_##f(void) { return f(); }\n"
		 "I(license, \"license=GPL\")\n%s\n%s\n%s\n",
		 exports, needs, modinfo);
	file_write(in_dir("module.c"), source, strlen(source));
	assert_int_equal(shell("cc -c -fno-pie -o %s/lib/modules/%s/kernel/%s.ko %s/module.c", root,
			       FIXTURE_RELEASE, name, fixture_dir),
			 0);
}

/*
 * root/lib/modules: top needs mid needs base; top asks for soft-pre before and soft-after after itself, and for
 * one that does not exist; apart-a and apart-b ask for each other; packed.ko.xz needs base; "inside" is built in.
 */
__attribute__((unused)) static void fixture_modules(const char *root)
{
	static const char builtin[] = "kernel/drivers/inside.ko\n";
	char path[512];

	assert_int_equal(shell("mkdir -p %s/lib/modules/" FIXTURE_RELEASE "/kernel", root), 0);
	module_compile(root, "base", "E(base_fn)", "", "");
	module_compile(root, "mid", "E(mid_fn)", "N(base_fn)", "");
	module_compile(root, "top", "", "N(mid_fn) N(base_fn)",
		       /* In one line: of several, libkmod and modprobe heed the first. */
		       "I(s, \"softdep=pre: soft-pre never-built post: soft-after\") I(a, \"alias=fs-top\")");
	module_compile(root, "soft-pre", "", "N(base_fn)", "");
	module_compile(root, "soft-after", "", "", "");
	module_compile(root, "apart-a", "", "", "I(s1, \"softdep=pre: apart-b\")");
	module_compile(root, "apart-b", "", "", "I(s1, \"softdep=pre: apart-a\")");
	module_compile(root, "packed", "", "N(base_fn)", "");
	assert_int_equal(shell("xz --check=crc32 %s/lib/modules/" FIXTURE_RELEASE "/kernel/packed.ko", root),
			 0);
	snprintf(path, sizeof(path), "%s/lib/modules/" FIXTURE_RELEASE "/modules.builtin", root);
	file_write(path, builtin, strlen(builtin));
	snprintf(path, sizeof(path), "%s/lib/modules/" FIXTURE_RELEASE "/modules.order", root);
	file_write(path, "", 0);
	snprintf(path, sizeof(path), "%s/lib/modules/" FIXTURE_RELEASE "/modules.builtin.modinfo", root);
	file_write(path, "", 0);
	assert_int_equal(shell("PATH=$PATH:/usr/sbin:/sbin depmod -b %s " FIXTURE_RELEASE, root), 0);
}

/* Thousands of expected messages are not shown: between on and off, stderr is /dev/null. */
__attribute__((unused)) static void stderr_hush(bool on)
{
	static int kept = -1;
	scoped(fd) int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (on)
		kept = dup(STDERR_FILENO);
	assert_true(dup2(on ? null : kept, STDERR_FILENO) >= 0);
	if (!on)
		close(take_fd(&kept));
}

/* ---- a kernel ---------------------------------------------------------------------------------- */

enum fixture_kind { KERNEL_GOOD, KERNEL_WITHOUT_PVH, KERNEL_ODD_COMPRESSION };

/*
 * A vmlinux in FIXTURE_VMLINUX_BYTES: code, 256 KiB of zeroes, more code; data that ends in zeroes, with memory
 * beyond the file; notes inside the first segment.
 */
static void fixture_vmlinux(unsigned char *bytes, enum fixture_kind kind)
{
	static const struct {
		Elf64_Nhdr header;
		char name[4];
		uint32_t entry;
	} note = { { 4, 4, 18 }, "Xen", 0x1000100 };
	const uint64_t text_at = 0x1000, text_len = 0x60000, data_at = 0x62000, data_len = 0x1c000;
	Elf64_Ehdr header = { .e_ident = ELFMAG,
			      .e_type = ET_EXEC,
			      .e_machine = EM_X86_64,
			      .e_version = 1,
			      .e_entry = 0x1000000,
			      .e_phoff = sizeof(header),
			      .e_ehsize = sizeof(header),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 3 };
	Elf64_Phdr segments[3] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_offset = text_at,
		  .p_vaddr = 0xffffffff81000000,
		  .p_paddr = 0x1000000,
		  .p_filesz = text_len,
		  .p_memsz = text_len,
		  .p_align = 0x1000 },
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_W,
		  .p_offset = data_at,
		  .p_vaddr = 0xffffffff81100000,
		  .p_paddr = 0x1100000,
		  .p_filesz = data_len,
		  .p_memsz = data_len + 0x5000,
		  .p_align = 0x1000 },
		{ .p_type = PT_NOTE,
		  .p_offset = text_at + 0x200,
		  .p_vaddr = 0xffffffff81000200,
		  .p_paddr = 0x1000200,
		  .p_filesz = sizeof(note),
		  .p_memsz = sizeof(note),
		  .p_align = 4 },
	};

	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	memset(bytes, 0, FIXTURE_VMLINUX_BYTES);
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), segments, sizeof(segments));
	for (size_t i = 0; i < 0x8000; i++) {
		bytes[text_at + i] = (unsigned char)(i * 7 + 1);
		bytes[text_at + 0x50000 + i] = (unsigned char)(i * 11 + 3);
		bytes[data_at + i] = (unsigned char)(i * 13 + 5);
	}
	memcpy(bytes + text_at + 0x200, &note, sizeof(note));
	if (kind == KERNEL_WITHOUT_PVH)
		bytes[text_at + 0x200 + 8] = 7; /* another type of Xen's notes */
}

/* A bzImage around a vmlinux of FIXTURE_VMLINUX_BYTES, as boot.rst describes it. Returns its length. */
static size_t fixture_bzimage_pack(unsigned char *bytes, size_t room, const unsigned char *vmlinux)
{
	static const char banner[] = FIXTURE_RELEASE " (builder@host) #1 SMP";
	const uint32_t start = 1024, size = FIXTURE_VMLINUX_BYTES;
	size_t packed = 0;
	uint32_t length;

	memset(bytes, 0, start);
	bytes[0x1f1] = 1;
	memcpy(bytes + 0x202, "HdrS\x0f\x02", 6);
	memcpy(bytes + 0x20e, "\x00\x01", 2); /* text at 0x100 + 0x200 */
	memcpy(bytes + 0x300, banner, sizeof(banner));
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, vmlinux, FIXTURE_VMLINUX_BYTES,
						 bytes + start, &packed, room - start - 4),
			 LZMA_OK);
	memcpy(bytes + start + packed, &size, 4);
	length = (uint32_t)packed + 4;
	memcpy(bytes + 0x24c, &length, 4);
	return start + length;
}

static size_t fixture_bzimage(unsigned char *bytes, size_t room, enum fixture_kind kind)
{
	scoped(mem) unsigned char *vmlinux = malloc(FIXTURE_VMLINUX_BYTES);
	size_t len;

	assert_non_null(vmlinux);
	fixture_vmlinux(vmlinux, kind);
	len = fixture_bzimage_pack(bytes, room, vmlinux);
	if (kind == KERNEL_ODD_COMPRESSION)
		memcpy(bytes + 1024, "\x89LZO\0\r\n\x1a", 8);
	return len;
}

__attribute__((unused)) static void fixture_kernel_write(const char *path, enum fixture_kind kind)
{
	scoped(mem) unsigned char *bytes = malloc(2 * FIXTURE_VMLINUX_BYTES);

	assert_non_null(bytes);
	file_write(path, bytes, fixture_bzimage(bytes, 2 * FIXTURE_VMLINUX_BYTES, kind));
}

/* An unpacked kernel package at root. */
__attribute__((unused)) static void fixture_package(const char *root, enum fixture_kind kind)
{
	char path[512];

	assert_int_equal(shell("mkdir -p %s/boot", root), 0);
	snprintf(path, sizeof(path), "%s/boot/vmlinuz-" FIXTURE_RELEASE, root);
	fixture_kernel_write(path, kind);
	fixture_modules(root);
}

#endif
