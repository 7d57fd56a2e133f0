// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the compressed vmlinux out of a bzImage (Documentation/arch/x86/boot.rst, payload_offset and
 * payload_length) and writes a smaller ELF: the program headers, the notes, and the bytes of the segments
 * without long runs of zeroes, which the loader makes by itself (p_memsz > p_filesz). Debian's 6.1 shrinks
 * from 66 to 32 MB. Everything read here may be damaged: offsets are checked before use.
 */
#include "vmlinux_image.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "bytes.h"

#define BZIMAGE_MAX_BYTES (256u << 20)
#define VMLINUX_MAX_BYTES (1u << 30)
/* XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h: where PVH starts. */
#define NOTE_PHYS32_ENTRY 18
/* A shorter run of zeroes is not worth a program header of its own. */
#define ZERO_RUN_BYTES (64u << 10)
#define PAGE_BYTES 4096u
#define PIECES_MAX 128

/* The setup header: offsets in the file, from boot.rst. */
enum {
	SETUP_SECTS = 0x1f1,
	SETUP_MAGIC = 0x202,
	SETUP_VERSION = 0x206,
	SETUP_KERNEL_VERSION = 0x20e,
	SETUP_PAYLOAD_OFFSET = 0x248,
	SETUP_PAYLOAD_LENGTH = 0x24c,
	SETUP_END = 0x250,
};

struct piece {
	Elf64_Phdr header;
	const unsigned char *bytes;
};

struct image {
	Elf64_Ehdr header;
	struct piece pieces[PIECES_MAX];
	unsigned int pieces_nr;
	bool has_pvh;
};

static inline void elf_handle_free(Elf *elf)
{
	if (elf)
		elf_end(elf);
}

HS_SCOPED(elf_handle, Elf *, elf_handle_free)

static uint16_t le16_at(const unsigned char *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t le32_at(const unsigned char *at)
{
	return le16_at(at) | (uint32_t)le16_at(at + 2) << 16;
}

static int bzimage_read(const char *path, struct hs_bytes *out)
{
	scoped(bytes) struct hs_bytes file = { 0 };
	int err = hs_bytes_read(path, BZIMAGE_MAX_BYTES, &file);

	if (err)
		return err;
	if (file.len < SETUP_END || memcmp(file.data + SETUP_MAGIC, "HdrS", 4) != 0)
		return hs_fail(-EINVAL,
			       "%s is not an x86 kernel image (bzImage): give a vmlinuz with --kernel", path);
	/* 2.08 brought the payload fields; 2.6.26, 2008. */
	if (le16_at(file.data + SETUP_VERSION) < 0x208)
		return hs_fail(-EINVAL, "%s has a boot protocol older than 2.08: give a newer kernel", path);
	out->len = file.len;
	out->data = take(file.data);
	return 0;
}

int hs_bzimage_release(const char *bzimage, char **release)
{
	scoped(bytes) struct hs_bytes file = { 0 };
	const char *text;
	size_t start, len;
	int err = bzimage_read(bzimage, &file);

	if (err)
		return err;
	start = le16_at(file.data + SETUP_KERNEL_VERSION) + 0x200u;
	if (start == 0x200 || start >= file.len)
		return hs_fail(-EINVAL, "%s does not say which kernel it is", bzimage);
	text = (const char *)file.data + start;
	len = strcspn(memchr(text, 0, file.len - start) ? text : "", " ");
	if (len == 0 || memchr(text, '/', len))
		return hs_fail(-EINVAL, "%s does not say which kernel it is", bzimage);
	*release = strndup(text, len);
	return *release ? 0 : hs_fail(-ENOMEM, "cannot read %s:", bzimage);
}

/* The payload lies behind the real-mode part; its last four bytes are the length of what it holds. */
static int payload_unpack(const char *path, const struct hs_bytes *file, struct hs_bytes *out)
{
	unsigned int setup_sects = file->data[SETUP_SECTS] ? file->data[SETUP_SECTS] : 4;
	uint64_t start = (setup_sects + 1) * 512u + (uint64_t)le32_at(file->data + SETUP_PAYLOAD_OFFSET);
	uint64_t len = le32_at(file->data + SETUP_PAYLOAD_LENGTH);
	scoped(bytes) struct hs_bytes vmlinux = { 0 };
	const unsigned char *payload = file->data + start;
	uint32_t size;
	int err;

	if (len < 16 || start + len > file->len)
		return hs_fail(-EBADMSG, "%s is truncated: its kernel ends at byte %llu of %zu", path,
			       (unsigned long long)(start + len), file->len);
	size = le32_at(payload + len - 4);
	if (size == 0 || size > VMLINUX_MAX_BYTES)
		return hs_fail(-EBADMSG, "%s is damaged: it claims an unpacked kernel of %u bytes", path,
			       size);
	/* For gzip the four bytes are part of the stream, for the others they were appended to it. */
	err = hs_bytes_unpack(path, payload, payload[0] == 0x1f ? len : len - 4, size, &vmlinux);
	if (err == -ENOTSUP)
		hs_info("%s is packed in a way that cannot be unpacked here (first bytes %02x %02x %02x "
			"%02x): "
			"guests unpack it themselves, which is slower",
			path, payload[0], payload[1], payload[2], payload[3]);
	if (err)
		return err;
	if (vmlinux.len != size)
		return hs_fail(-EBADMSG, "%s is damaged: %zu bytes unpacked instead of %u", path, vmlinux.len,
			       size);
	out->len = vmlinux.len;
	out->data = take(vmlinux.data);
	return 0;
}

static bool has_pvh_note(Elf *elf, const GElf_Phdr *phdr)
{
	Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)phdr->p_offset, phdr->p_filesz, ELF_T_NHDR);
	size_t at = 0, next, name_at, desc_at;
	GElf_Nhdr note;

	while (data && (next = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0) {
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
		    memcmp((char *)data->d_buf + name_at, "Xen", 4) == 0)
			return true;
		at = next;
	}
	return false;
}

static int piece_add(struct image *image, const GElf_Phdr *phdr, const unsigned char *bytes, uint64_t skip,
		     uint64_t file_bytes, uint64_t memory_bytes)
{
	struct piece *piece = &image->pieces[image->pieces_nr];

	if (image->pieces_nr == PIECES_MAX)
		return -E2BIG;
	piece->bytes = bytes + skip;
	piece->header = (Elf64_Phdr){
		.p_type = phdr->p_type,
		.p_flags = phdr->p_flags,
		.p_vaddr = phdr->p_vaddr + skip,
		.p_paddr = phdr->p_paddr + skip,
		.p_filesz = file_bytes,
		.p_memsz = memory_bytes,
		.p_align = phdr->p_type == PT_LOAD ? PAGE_BYTES : phdr->p_align,
	};
	image->pieces_nr++;
	return 0;
}

static bool is_zero(const unsigned char *bytes, uint64_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The length of the next stretch from `from` on whose blocks are all zero, or all not. */
static uint64_t stretch_bytes(const unsigned char *bytes, uint64_t from, uint64_t end, bool zero)
{
	uint64_t at = from;

	while (at < end) {
		uint64_t block = end - at < ZERO_RUN_BYTES ? end - at : ZERO_RUN_BYTES;

		if (is_zero(bytes + at, block) != zero)
			break;
		at += block;
	}
	return at - from;
}

/* One segment becomes a piece for every stretch with contents, which the zeroes behind it belong to. */
static int segment_add(struct image *image, const GElf_Phdr *phdr, const unsigned char *bytes)
{
	uint64_t at = 0;
	int err = 0;

	while (!err && at < phdr->p_filesz) {
		uint64_t full = stretch_bytes(bytes, at, phdr->p_filesz, false);
		uint64_t zero = stretch_bytes(bytes, at + full, phdr->p_filesz, true);
		uint64_t end = at + full + zero;
		uint64_t memory_bytes = end == phdr->p_filesz ? phdr->p_memsz - at : full + zero;

		err = piece_add(image, phdr, bytes, at, full, memory_bytes);
		at = end;
	}
	if (!err && phdr->p_filesz == 0 && phdr->p_memsz > 0)
		err = piece_add(image, phdr, bytes, 0, 0, phdr->p_memsz);
	return err;
}

static int segments_read(const char *path, Elf *elf, const struct hs_bytes *vmlinux, struct image *image)
{
	size_t nr = 0;

	if (elf_getphdrnum(elf, &nr) < 0 || nr == 0)
		return hs_fail(-EBADMSG, "%s is damaged: its kernel has no segments", path);
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr phdr;
		int err = 0;

		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_offset > vmlinux->len ||
		    phdr.p_filesz > vmlinux->len - phdr.p_offset || phdr.p_filesz > phdr.p_memsz)
			return hs_fail(-EBADMSG, "%s is damaged: segment %zu of its kernel lies outside it",
				       path, i);
		if (phdr.p_type == PT_NOTE) {
			image->has_pvh |= has_pvh_note(elf, &phdr);
			err = piece_add(image, &phdr, vmlinux->data + phdr.p_offset, 0, phdr.p_filesz,
					phdr.p_memsz);
		} else if (phdr.p_type == PT_LOAD) {
			err = segment_add(image, &phdr, vmlinux->data + phdr.p_offset);
		}
		if (err)
			return hs_fail(err, "%s is damaged: its kernel has too many segments", path);
	}
	return 0;
}

static int image_read(const char *path, const struct hs_bytes *vmlinux, struct image *image)
{
	scoped(elf_handle) Elf *elf = NULL;
	GElf_Ehdr header;
	int err;

	elf_version(EV_CURRENT);
	elf = elf_memory((char *)vmlinux->data, vmlinux->len);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return hs_fail(-EBADMSG, "%s is damaged: what it holds is no ELF file", path);
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
		hs_info("%s is not a 64-bit x86 kernel: it is booted as it is", path);
		return -ENOTSUP;
	}
	err = segments_read(path, elf, vmlinux, image);
	if (err)
		return err;
	if (!image->has_pvh) {
		hs_info("%s has no PVH entry (CONFIG_PVH): guests unpack it themselves, which is slower",
			path);
		return -ENOTSUP;
	}
	memcpy(image->header.e_ident, header.e_ident, EI_NIDENT);
	image->header.e_type = header.e_type;
	image->header.e_machine = header.e_machine;
	image->header.e_version = header.e_version;
	image->header.e_entry = header.e_entry;
	image->header.e_flags = header.e_flags;
	return 0;
}

/* File offsets: the headers, then each piece at the next page. */
static void image_lay_out(struct image *image)
{
	uint64_t at = sizeof(image->header) + image->pieces_nr * sizeof(Elf64_Phdr);

	image->header.e_phoff = sizeof(image->header);
	image->header.e_ehsize = sizeof(image->header);
	image->header.e_phentsize = sizeof(Elf64_Phdr);
	image->header.e_phnum = (Elf64_Half)image->pieces_nr;
	image->header.e_shentsize = sizeof(Elf64_Shdr);
	for (unsigned int i = 0; i < image->pieces_nr; i++) {
		at = (at + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
		/* What ELF asks of a loadable segment: offset and address agree modulo the page. */
		at += image->pieces[i].header.p_vaddr & (PAGE_BYTES - 1);
		image->pieces[i].header.p_offset = at;
		at += image->pieces[i].header.p_filesz;
	}
}

static int image_write(const struct image *image, FILE *file)
{
	if (fwrite(&image->header, sizeof(image->header), 1, file) != 1)
		return -errno;
	for (unsigned int i = 0; i < image->pieces_nr; i++)
		if (fwrite(&image->pieces[i].header, sizeof(Elf64_Phdr), 1, file) != 1)
			return -errno;
	for (unsigned int i = 0; i < image->pieces_nr; i++) {
		const struct piece *piece = &image->pieces[i];

		if (fseek(file, (long)piece->header.p_offset, SEEK_SET) < 0 ||
		    fwrite(piece->bytes, 1, piece->header.p_filesz, file) != piece->header.p_filesz)
			return -errno;
	}
	return fflush(file) == 0 ? 0 : -errno;
}

/* Writes beside out_path and renames, so that out_path is whole or absent. */
static int image_store(const struct image *image, const char *out_path)
{
	scoped(mem) char *temp_path = NULL;
	scoped(file) FILE *file = NULL;
	int err, fd;

	if (asprintf(&temp_path, "%s.XXXXXX", out_path) < 0)
		return hs_fail(-ENOMEM, "cannot write %s:", out_path);
	fd = mkostemp(temp_path, O_CLOEXEC);
	if (fd < 0)
		return hs_fail(-errno, "cannot write %s:", temp_path);
	file = fdopen(fd, "w");
	if (!file) {
		err = -errno;
		close(fd);
	} else {
		err = image_write(image, file);
	}
	if (!err && (fchmod(fd, 0644) < 0 || rename(temp_path, out_path) < 0))
		err = -errno;
	if (!err)
		return 0;
	unlink(temp_path);
	return hs_fail(err, "cannot write %s:", out_path);
}

int hs_vmlinux_image_write(const char *bzimage, const char *out_path)
{
	scoped(bytes) struct hs_bytes file = { 0 };
	scoped(bytes) struct hs_bytes vmlinux = { 0 };
	scoped(mem) struct image *image = calloc(1, sizeof(*image));
	int err;

	if (!image)
		return hs_fail(-ENOMEM, "cannot read %s:", bzimage);
	err = bzimage_read(bzimage, &file);
	if (!err)
		err = payload_unpack(bzimage, &file, &vmlinux);
	if (!err)
		err = image_read(bzimage, &vmlinux, image);
	if (err)
		return err;
	image_lay_out(image);
	return image_store(image, out_path);
}
