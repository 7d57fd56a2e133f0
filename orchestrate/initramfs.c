// SPDX-License-Identifier: GPL-2.0-only
/*
 * The initramfs builder over libarchive. Keeps a list of what is in the archive, which answers what is
 * there twice and which folders are still to be made. Times and owners are zero and inode numbers count
 * up, so that the bytes depend on the contents alone.
 */
#include "initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "elfdeps.h"
#include "modules.h"

#define COPY_BYTES (256u << 10)
/* Three digits, so that names sort. */
#define MODULES_MAX 1000u

/* What was added where; `key` says what it was made of. */
struct entry {
	char *path; /* without the leading slash */
	mode_t mode;
	unsigned char *key;
	size_t key_len;
};

struct hs_initramfs {
	char *out_path;
	char *temp_path; /* NULL once it has been renamed or removed */
	int fd;
	struct archive *archive;
	struct entry *entry;
	size_t nr;
	size_t modules_nr;
	int write_err; /* of the file: nothing is written after it */
	int err; /* the first failure: nothing is added after it */
};

/* What the guest sees at a path, for put(). */
struct node {
	const char *path;
	mode_t mode; /* with its type */
	const void *key;
	size_t key_len;
	/* Contents of a regular file: bytes, or a file that is open. */
	const void *bytes;
	int source_fd;
	size_t size_bytes;
	const char *target; /* of a symlink */
	dev_t device;
};

static inline void elf_files_free(struct hs_elf_files *files)
{
	hs_elf_files_free(files);
}

HS_SCOPED(elf_files, struct hs_elf_files *, elf_files_free)
HS_SCOPED(module_files, struct hs_module_files *, hs_module_files_free)
HS_SCOPED(archive_item, struct archive_entry *, archive_entry_free)

/* ---- names ------------------------------------------------------------------------------------- */

/* "/lib//x/./y/" becomes "lib/x/y". -EINVAL for the root itself and for "..". */
static int path_normalize(const char *path, char **out)
{
	scoped(mem) char *text = calloc(1, strlen(path) + 1);
	size_t used = 0;

	if (!text)
		return hs_fail(-ENOMEM, "cannot add %s to the initramfs:", path);
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0)
			return hs_fail(-EINVAL, "cannot add %s to the initramfs: a path there has no ..",
				       path);
		if (len > 0 && !(len == 1 && *path == '.')) {
			if (used > 0)
				text[used++] = '/';
			memcpy(text + used, path, len);
			used += len;
		}
		path += len;
		path += strspn(path, "/");
	}
	if (used == 0)
		return hs_fail(-EINVAL, "cannot add a path without a name to the initramfs");
	*out = take(text);
	return 0;
}

static struct entry *entry_find(struct hs_initramfs *ramfs, const char *path)
{
	for (size_t i = ramfs->nr; i > 0; i--)
		if (strcmp(ramfs->entry[i - 1].path, path) == 0)
			return &ramfs->entry[i - 1];
	return NULL;
}

static int entry_remember(struct hs_initramfs *ramfs, const struct node *node)
{
	struct entry *grown = reallocarray(ramfs->entry, ramfs->nr + 1, sizeof(*grown));
	struct entry entry = { .mode = node->mode, .key_len = node->key_len };

	if (!grown)
		return -ENOMEM;
	ramfs->entry = grown;
	entry.path = strdup(node->path);
	entry.key = malloc(node->key_len + 1);
	if (!entry.path || !entry.key) {
		free(entry.path);
		free(entry.key);
		return -ENOMEM;
	}
	if (node->key_len > 0)
		memcpy(entry.key, node->key, node->key_len);
	ramfs->entry[ramfs->nr++] = entry;
	return 0;
}

static bool entry_is_same(const struct entry *entry, const struct node *node)
{
	return entry->mode == node->mode && entry->key_len == node->key_len &&
	       (node->key_len == 0 || memcmp(entry->key, node->key, node->key_len) == 0);
}

/* ---- writing ----------------------------------------------------------------------------------- */

/*
 * libarchive's way to the file. It is never told of a failure: an archive in its fatal state leaks the
 * buffer, and has lost errno. write_check() asks for what was kept.
 */
static ssize_t archive_out(struct archive *archive, void *ctx, const void *bytes, size_t len)
{
	struct hs_initramfs *ramfs = ctx;
	size_t done = 0;

	(void)archive;
	while (!ramfs->write_err && done < len) {
		ssize_t written = write(ramfs->fd, (const char *)bytes + done, len - done);

		if (written > 0)
			done += (size_t)written;
		else if (written == 0 || errno != EINTR)
			ramfs->write_err = written == 0 ? -EIO : -errno;
	}
	return (ssize_t)len;
}

static int write_check(struct hs_initramfs *ramfs)
{
	if (!ramfs->write_err)
		return 0;
	return hs_fail(ramfs->write_err, "cannot write to the initramfs %s:", ramfs->out_path);
}

/* libarchive itself refused: not the file, but what was asked. */
static int archive_fail(struct hs_initramfs *ramfs, const char *path)
{
	return hs_fail(-EINVAL, "cannot add %s to the initramfs %s: %s", path, ramfs->out_path,
		       archive_error_string(ramfs->archive) ?: "libarchive refused it");
}

static int bytes_write(struct hs_initramfs *ramfs, const char *path, const unsigned char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = archive_write_data(ramfs->archive, bytes, len);

		if (written <= 0)
			return archive_fail(ramfs, path);
		bytes += written;
		len -= (size_t)written;
	}
	return 0;
}

static int file_copy(struct hs_initramfs *ramfs, const struct node *node)
{
	scoped(mem) unsigned char *buffer = malloc(COPY_BYTES);
	size_t left = node->size_bytes;
	int err = 0;

	if (!buffer)
		return hs_fail(-ENOMEM, "cannot add %s to the initramfs:", node->path);
	while (!err && left > 0) {
		ssize_t got = read(node->source_fd, buffer, left < COPY_BYTES ? left : COPY_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return hs_fail(-errno, "cannot read %s for the initramfs:", (const char *)node->key);
		if (got == 0)
			return hs_fail(-EIO, "cannot add %s to the initramfs: it shrank while it was read",
				       (const char *)node->key);
		err = bytes_write(ramfs, node->path, buffer, (size_t)got);
		left -= (size_t)got;
	}
	return err;
}

static int node_write(struct hs_initramfs *ramfs, const struct node *node)
{
	scoped(archive_item) struct archive_entry *item = archive_entry_new();

	if (!item || entry_remember(ramfs, node))
		return hs_fail(-ENOMEM, "cannot add %s to the initramfs:", node->path);
	archive_entry_set_pathname(item, node->path);
	archive_entry_set_mode(item, node->mode);
	archive_entry_set_ino64(item, (int64_t)ramfs->nr);
	archive_entry_set_nlink(item, S_ISDIR(node->mode) ? 2 : 1);
	archive_entry_set_uid(item, 0);
	archive_entry_set_gid(item, 0);
	archive_entry_set_mtime(item, 0, 0);
	archive_entry_set_dev(item, 0);
	if (node->target)
		archive_entry_set_symlink(item, node->target);
	if (S_ISCHR(node->mode))
		archive_entry_set_rdev(item, node->device);
	/* Without a size libarchive refuses the header, that of a device too. */
	archive_entry_set_size(item, S_ISREG(node->mode) ? (int64_t)node->size_bytes : 0);
	if (archive_write_header(ramfs->archive, item) != ARCHIVE_OK)
		return archive_fail(ramfs, node->path);
	if (!S_ISREG(node->mode))
		return 0;
	return node->bytes ? bytes_write(ramfs, node->path, node->bytes, node->size_bytes) :
			     file_copy(ramfs, node);
}

static int parents_put(struct hs_initramfs *ramfs, const char *path)
{
	scoped(mem) char *parent = strdup(path);
	int err = 0;

	if (!parent)
		return hs_fail(-ENOMEM, "cannot add %s to the initramfs:", path);
	for (char *slash = strchr(parent, '/'); !err && slash; slash = strchr(slash + 1, '/')) {
		const struct entry *there;

		*slash = 0;
		there = entry_find(ramfs, parent);
		if (!there)
			err = node_write(ramfs, &(struct node){ .path = parent, .mode = S_IFDIR | 0755 });
		else if (!S_ISDIR(there->mode) && !S_ISLNK(there->mode))
			err = hs_fail(-EEXIST, "cannot add %s to the initramfs: %s is a file there", path,
				      parent);
		*slash = '/';
	}
	return err;
}

/* The one way in. `path` is as the caller gave it; the rest of the node is ready. */
static int put(struct hs_initramfs *ramfs, const char *path, struct node node)
{
	scoped(mem) char *normal = NULL;
	const struct entry *there;
	int err = ramfs->err ? ramfs->err : path_normalize(path, &normal);

	if (err)
		return ramfs->err = err;
	node.path = normal;
	there = entry_find(ramfs, normal);
	if (there && entry_is_same(there, &node))
		return 0;
	if (there)
		return ramfs->err = hs_fail(
			       -EEXIST, "cannot add %s to the initramfs: something else has that path", path);
	err = parents_put(ramfs, normal);
	if (!err)
		err = node_write(ramfs, &node);
	if (!err)
		err = write_check(ramfs);
	return ramfs->err = err;
}

/* ---- what can be added ------------------------------------------------------------------------- */

int hs_initramfs_add_dir(struct hs_initramfs *ramfs, const char *path, mode_t mode)
{
	return put(ramfs, path, (struct node){ .mode = S_IFDIR | (mode & 07777) });
}

int hs_initramfs_add_file(struct hs_initramfs *ramfs, const char *path, const char *source_path, mode_t mode)
{
	scoped(mem) char *source = realpath(source_path, NULL);
	scoped(fd) int fd = -1;
	struct stat st;

	if (ramfs->err)
		return ramfs->err;
	if (source)
		fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ramfs->err = hs_fail(-errno, "cannot read %s for the initramfs:", source_path);
	if (!S_ISREG(st.st_mode))
		return ramfs->err = hs_fail(-EINVAL, "cannot add %s to the initramfs: not a regular file",
					    source_path);
	return put(ramfs, path,
		   (struct node){ .mode = S_IFREG | (mode & 07777),
				  .key = source,
				  .key_len = strlen(source) + 1,
				  .source_fd = fd,
				  .size_bytes = (size_t)st.st_size });
}

int hs_initramfs_add_bytes(struct hs_initramfs *ramfs, const char *path, const void *bytes, size_t len,
			   mode_t mode)
{
	return put(ramfs, path,
		   (struct node){ .mode = S_IFREG | (mode & 07777),
				  .key = bytes,
				  .key_len = len,
				  .bytes = len ? bytes : "",
				  .size_bytes = len });
}

int hs_initramfs_add_symlink(struct hs_initramfs *ramfs, const char *path, const char *target)
{
	return put(
		ramfs, path,
		(struct node){
			.mode = S_IFLNK | 0777, .key = target, .key_len = strlen(target), .target = target });
}

int hs_initramfs_add_node(struct hs_initramfs *ramfs, const char *path, mode_t mode, unsigned int major,
			  unsigned int minor)
{
	dev_t device = makedev(major, minor);

	return put(ramfs, path,
		   (struct node){ .mode = S_IFCHR | (mode & 07777),
				  .key = &device,
				  .key_len = sizeof(device),
				  .device = device });
}

int hs_initramfs_add_program(struct hs_initramfs *ramfs, const char *program_path)
{
	scoped(elf_files) struct hs_elf_files *files = NULL;
	int err = ramfs->err ? ramfs->err : hs_elf_closure(program_path, &files);

	for (size_t i = 0; !err && i < files->nr; i++)
		err = hs_initramfs_add_file(ramfs, files->file[i].guest_path, files->file[i].source_path,
					    0755);
	return ramfs->err = err;
}

/* Whether "lib/modules-ordered/NNN-<name>.ko" is there, under whatever number. */
static bool has_module(const struct hs_initramfs *ramfs, const char *name)
{
	const char *folder = &HS_INITRAMFS_MODULES_DIR[1];
	size_t number_at = strlen(folder) + 1, name_at = number_at + strlen("NNN-"), len = strlen(name);

	for (size_t i = 0; i < ramfs->nr; i++) {
		const char *path = ramfs->entry[i].path;

		if (strlen(path) == name_at + len + strlen(".ko") &&
		    strncmp(path, folder, number_at - 1) == 0 && strncmp(path + name_at, name, len) == 0)
			return true;
	}
	return false;
}

static int module_add(struct hs_initramfs *ramfs, const struct hs_module_file *file)
{
	scoped(bytes) struct hs_bytes module = { 0 };
	scoped(mem) char *path = NULL;
	int err;

	if (has_module(ramfs, file->name))
		return 0;
	if (ramfs->modules_nr == MODULES_MAX)
		return hs_fail(-E2BIG, "cannot add module %s to the initramfs: it has %u already", file->name,
			       MODULES_MAX);
	err = hs_module_read(file->path, &module);
	if (err)
		return err;
	if (asprintf(&path, "%s/%03zu-%s.ko", HS_INITRAMFS_MODULES_DIR, ramfs->modules_nr, file->name) < 0)
		return hs_fail(-ENOMEM, "cannot add module %s to the initramfs:", file->name);
	err = put(ramfs, path,
		  (struct node){ .mode = S_IFREG | 0644,
				 .key = file->path,
				 .key_len = strlen(file->path) + 1,
				 .bytes = module.data,
				 .size_bytes = module.len });
	if (!err)
		ramfs->modules_nr++;
	return err;
}

int hs_initramfs_add_modules(struct hs_initramfs *ramfs, const char *modules_dir, const char *release,
			     const char *const *names)
{
	scoped(module_files) struct hs_module_files *files = NULL;
	int err = ramfs->err ? ramfs->err : hs_modules_closure(modules_dir, release, names, &files);

	for (size_t i = 0; !err && i < files->nr; i++)
		err = module_add(ramfs, &files->file[i]);
	return ramfs->err = err;
}

/* ---- from open to free ------------------------------------------------------------------------- */

static int archive_start(struct hs_initramfs *ramfs)
{
	ramfs->archive = archive_write_new();
	if (!ramfs->archive)
		return hs_fail(-ENOMEM, "cannot write the initramfs %s:", ramfs->out_path);
	if (archive_write_set_format_cpio_newc(ramfs->archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(ramfs->archive, COPY_BYTES) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(ramfs->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(ramfs->archive, ramfs, NULL, archive_out, NULL) != ARCHIVE_OK)
		return archive_fail(ramfs, "anything");
	return 0;
}

int hs_initramfs_open(const char *out_path, struct hs_initramfs **out)
{
	scoped(initramfs) struct hs_initramfs *ramfs = calloc(1, sizeof(*ramfs));
	int err;

	if (!ramfs)
		return hs_fail(-ENOMEM, "cannot write the initramfs %s:", out_path);
	ramfs->fd = -1;
	ramfs->out_path = strdup(out_path);
	if (!ramfs->out_path || asprintf(&ramfs->temp_path, "%s.XXXXXX", out_path) < 0) {
		ramfs->temp_path = NULL;
		return hs_fail(-ENOMEM, "cannot write the initramfs %s:", out_path);
	}
	ramfs->fd = mkostemp(ramfs->temp_path, O_CLOEXEC);
	if (ramfs->fd < 0) {
		err = hs_fail(-errno, "cannot write the initramfs %s:", out_path);
		free(take(ramfs->temp_path));
		return err;
	}
	err = archive_start(ramfs);
	if (err)
		return err;
	*out = take(ramfs);
	return 0;
}

int hs_initramfs_close(struct hs_initramfs *ramfs)
{
	if (ramfs->err)
		return ramfs->err;
	if (archive_write_close(ramfs->archive) != ARCHIVE_OK)
		return ramfs->err = archive_fail(ramfs, "the end");
	ramfs->err = write_check(ramfs);
	if (ramfs->err)
		return ramfs->err;
	if (rename(ramfs->temp_path, ramfs->out_path) < 0)
		return ramfs->err = hs_fail(-errno, "cannot write the initramfs %s:", ramfs->out_path);
	free(take(ramfs->temp_path));
	return 0;
}

void hs_initramfs_free(struct hs_initramfs *ramfs)
{
	if (!ramfs)
		return;
	/* Freeing ends the archive, which an abandoned one need not have on disk. */
	ramfs->write_err = -ECANCELED;
	archive_write_free(ramfs->archive);
	if (ramfs->temp_path)
		unlink(ramfs->temp_path);
	if (ramfs->fd >= 0)
		close(ramfs->fd);
	for (size_t i = 0; i < ramfs->nr; i++) {
		free(ramfs->entry[i].path);
		free(ramfs->entry[i].key);
	}
	free(ramfs->entry);
	free(ramfs->temp_path);
	free(ramfs->out_path);
	free(ramfs);
}
