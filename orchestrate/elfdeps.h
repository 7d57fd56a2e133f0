/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which files a program needs to start in an empty root: itself, its interpreter, its libraries. Read from
 * the ELF headers alone; nothing is executed. Called by initramfs.c.
 */
#ifndef HS_ORCHESTRATE_ELFDEPS_H
#define HS_ORCHESTRATE_ELFDEPS_H

#include <stddef.h>

struct hs_elf_file {
	char *guest_path; /* absolute; where the guest's loader will look */
	char *source_path; /* the file on this machine */
};

struct hs_elf_files {
	struct hs_elf_file *file; /* the program first, then its interpreter, then breadth first */
	size_t nr;
};

/*
 * Libraries are looked up as ld.so(8) does: DT_RPATH or DT_RUNPATH with $ORIGIN and $LIB, the folders of
 * /etc/ld.so.conf, the default folders; another ELF class or machine is passed over; LD_LIBRARY_PATH and
 * what a program opens later (dlopen, nss) are not followed. The guest has no ld.so.conf, so a library
 * found only through it goes to a default folder there. The program keeps its own path.
 * -ENOENT for a missing library, -ENOEXEC for what is no ELF program; any failure has been told.
 */
int hs_elf_closure(const char *program_path, struct hs_elf_files **out);
void hs_elf_files_free(struct hs_elf_files *files);

#endif
