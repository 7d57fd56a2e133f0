// SPDX-License-Identifier: GPL-2.0-only
/* Saving and reading of what crashes left. A folder appears whole, under its name, or not at all. */
#include "journal/last.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/pstore.h"

#define REGION_BYTES_MAX (64u << 20)
#define PAGE_BYTES 4096
#define SECOND_NS 1000000000ull

char *hs_last_folder(const char *last_dir, const char *machine, unsigned n)
{
	return n > 1 ? hs_format("%s/%s.%u", last_dir, machine, n) : hs_format("%s/%s", last_dir, machine);
}

unsigned hs_last_count(const char *last_dir, const char *machine)
{
	for (unsigned n = 1;; n++) {
		scoped(mem) char *dir = hs_last_folder(last_dir, machine, n);

		if (!dir || access(dir, F_OK) < 0)
			return n - 1;
	}
}

int hs_last_name(const char *last_dir, const char *machine, const char *making, char **out)
{
	scoped(mem) char *dir = hs_last_folder(last_dir, machine, hs_last_count(last_dir, machine) + 1);

	if (!dir)
		return -ENOMEM;
	if (rename(making, dir) < 0)
		return hs_fail(-errno, "cannot rename %s to %s:", making, dir);
	*out = take(dir);
	return 0;
}

/* ---- a machine's memory ---- */

static char *region_path(const char *last_dir, const char *machine)
{
	return hs_format("%s/%s" HS_LAST_REGION_SUFFIX, last_dir, machine);
}

static int decode_file(const char *path, const struct hs_ramoops_layout *layout, char **region, size_t *len,
		       struct hs_ramoops **out)
{
	int err = hs_read_file(path, REGION_BYTES_MAX, region, len);
	char *whole;

	/* Of a file that was cut off the rest counts as never written: so what is there lies where it belongs. */
	if (!err && *len < layout->region_bytes) {
		whole = realloc(*region, layout->region_bytes);
		if (!whole)
			return -ENOMEM;
		memset(whole + *len, 0, layout->region_bytes - *len);
		*region = whole;
		hs_warn("%s was cut off: %zu of %zu bytes are there", path, *len, layout->region_bytes);
		*len = layout->region_bytes;
	}
	return err ? err : hs_ramoops_decode(*region, *len, layout, out);
}

/* Pages of zeros become holes. */
static int write_sparse(int fd, const char *bytes, size_t len)
{
	static const char zeros[PAGE_BYTES];

	for (size_t at = 0; at < len; at += PAGE_BYTES) {
		size_t part = len - at < PAGE_BYTES ? len - at : PAGE_BYTES;

		if (memcmp(bytes + at, zeros, part) && pwrite(fd, bytes + at, part, (off_t)at) != (ssize_t)part)
			return errno ? -errno : -EIO;
	}
	return ftruncate(fd, (off_t)len) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_region(const char *dir, const char *region, size_t len)
{
	scoped(mem) char *path = hs_format("%s/" HS_LAST_REGION, dir);
	scoped(fd) int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	int err = !path ? -ENOMEM : fd < 0 ? -errno : write_sparse(fd, region, len);

	return err ? hs_fail(err, "cannot write %s/" HS_LAST_REGION ":", dir) : 0;
}

static int write_texts(const char *dir, const struct hs_ramoops *ramoops)
{
	int err = 0;

	for (size_t i = 0; !err && i < ramoops->nr; i++) {
		const struct hs_ramoops_record *record = &ramoops->record[i];
		scoped(mem) char *path =
			hs_format("%s/%s-%u.txt", dir, hs_ramoops_kind_name(record->kind), record->number);

		err = path ? hs_write_file_atomic(path, record->text, record->len) : -ENOMEM;
	}
	return err;
}

static int save(const char *last_dir, const char *machine, const char *region, size_t len,
		const struct hs_ramoops *ramoops, char **dir)
{
	scoped(mem) char *making = hs_format("%s/.%s", last_dir, machine);
	int err;

	if (!making)
		return -ENOMEM;
	hs_remove_tree(making);
	err = hs_make_dirs(making);
	if (!err)
		err = write_region(making, region, len);
	if (!err)
		err = write_texts(making, ramoops);
	return err ? err : hs_last_name(last_dir, machine, making, dir);
}

static int clear_region(const char *path, size_t len)
{
	scoped(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	scoped(mem) char *zeros = calloc(1, len);

	if (!zeros)
		return -ENOMEM;
	return fd < 0 || pwrite(fd, zeros, len, 0) != (ssize_t)len ? hs_fail(-errno, "cannot empty %s:", path) : 0;
}

int hs_last_save_region(const char *last_dir, const char *machine, const struct hs_ramoops_layout *layout)
{
	scoped(mem) char *path = region_path(last_dir, machine), *region = NULL, *dir = NULL;
	scoped(hs_ramoops) struct hs_ramoops *ramoops = NULL;
	size_t len = 0;
	int err = path ? decode_file(path, layout, &region, &len, &ramoops) : -ENOMEM;

	if (err)
		return err == -ENOENT ? 0 : hs_fail(err, "cannot read the crash memory %s:", path ? path : machine);
	if (!ramoops->nr && !ramoops->damaged_zones)
		return 0;
	err = save(last_dir, machine, region, len, ramoops, &dir);
	if (err)
		return err;
	hs_info("what the kernel of %s left when it crashed is in %s", machine, dir);
	err = clear_region(path, len);
	return err ? err : (int)(ramoops->nr + ramoops->damaged_zones);
}

/* ---- reading ---- */

struct reading {
	const char *machine;
	hs_last_fn on_line;
	void *ctx;
	int records;
};

static void tell(const struct reading *reading, const char *text)
{
	struct hs_journal_record record = hs_journal_record_new(reading->machine, HS_JOURNAL_HSBPF);

	record.kind = HS_JOURNAL_NOTE;
	record.text = text;
	record.len = strlen(text);
	reading->on_line(reading->ctx, &record, 0);
}

static void read_lines(const struct reading *reading, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	struct hs_pstore_line line;

	while (hs_pstore_line_next(&at, end, &line)) {
		struct hs_journal_record record = hs_journal_record_new(reading->machine, HS_JOURNAL_CRASH);

		record.severity = line.severity;
		record.has_machine_ns = line.has_machine_ns;
		record.machine_ns = line.machine_ns;
		record.text = line.text;
		record.len = line.len;
		reading->on_line(reading->ctx, &record, line.time_len);
	}
}

/* "dmesg 0: Panic#1 Part1, 2026-11-21 15:03:01.123456 UTC by its own clock; 3 bytes put right; ..." */
static char *describe(const struct hs_ramoops_record *record, const char *title, size_t title_len)
{
	char *text = NULL, when[32] = "";
	size_t size;
	FILE *out = open_memstream(&text, &size);
	time_t seconds = (time_t)(record->real_ns / SECOND_NS);
	struct tm tm;

	if (!out)
		return NULL;
	fprintf(out, "%s %u", hs_ramoops_kind_name(record->kind), record->number);
	if (title_len)
		fprintf(out, ": %.*s", (int)title_len, title);
	if (record->real_ns && gmtime_r(&seconds, &tm) && strftime(when, sizeof(when), "%F %T", &tm))
		fprintf(out, ", %s.%06" PRIu64 " UTC by its own clock", when,
			(uint64_t)(record->real_ns % SECOND_NS / 1000));
	if (record->corrected_bytes)
		fprintf(out, "; %u damaged bytes were put right", record->corrected_bytes);
	if (record->has_bad_header)
		fprintf(out, "; its header is damaged: where it begins and ends is a guess");
	if (record->damaged_blocks)
		fprintf(out, "; %u of %u blocks are damaged beyond repair", record->damaged_blocks, record->blocks);
	if (record->lost_bytes)
		fprintf(out, "; %zu %sbytes are lost", record->lost_bytes, record->was_packed ? "packed " : "");
	fclose(out);
	return text;
}

static void read_record(struct reading *reading, const struct hs_ramoops_record *record)
{
	/* A dump's first line is no part of the log, it says why it was made. */
	const char *newline = record->kind == HS_RAMOOPS_DUMP ? memchr(record->text, '\n', record->len) : NULL;
	size_t title_len = newline ? (size_t)(newline - record->text) : 0;
	bool has_title = title_len && title_len < 40 && memchr(record->text, '#', title_len) && record->text[0] != '<';
	size_t skip = has_title ? title_len + 1 : 0;
	scoped(mem) char *text = describe(record, record->text, has_title ? title_len : 0);

	if (text)
		tell(reading, text);
	read_lines(reading, record->text + skip, record->len - skip);
	reading->records++;
}

static int read_region(struct reading *reading, const char *path, const struct hs_ramoops_layout *layout)
{
	scoped(hs_ramoops) struct hs_ramoops *ramoops = NULL;
	scoped(mem) char *region = NULL, *text = NULL;
	size_t len;
	int err = decode_file(path, layout, &region, &len, &ramoops);

	if (err)
		return hs_fail(err, "cannot read the crash memory %s:", path);
	for (size_t i = 0; i < ramoops->nr; i++)
		read_record(reading, &ramoops->record[i]);
	reading->records += (int)ramoops->damaged_zones;
	if (ramoops->damaged_zones)
		text = hs_format("%u records are damaged so much that nothing of them is left", ramoops->damaged_zones);
	if (text)
		tell(reading, text);
	return 0;
}

static int is_visible_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A host's: copies of pstore's files. */
static int read_files(struct reading *reading, const char *dir)
{
	struct dirent **names;
	int count = scandir(dir, &names, is_visible_file, versionsort), err = 0;

	if (count < 0)
		return hs_fail(-errno, "cannot read %s:", dir);
	for (int i = 0; i < count; i++) {
		scoped(mem) char *path = hs_format("%s/%s", dir, names[i]->d_name), *text = NULL;
		size_t len = 0;

		if (!err)
			err = path ? hs_read_file(path, REGION_BYTES_MAX, &text, &len) : -ENOMEM;
		if (!err) {
			tell(reading, names[i]->d_name);
			read_lines(reading, text, len);
			reading->records++;
		} else if (path) {
			hs_err("cannot read %s: %s", path, strerror(-err));
		}
		free(names[i]);
	}
	free(names);
	return err;
}

/* Whose an entry of `last` is: its name without what counts crashes, or without the suffix; malloc'd. */
static char *owner_of(const char *name)
{
	size_t len = strlen(name), suffix = strlen(HS_LAST_REGION_SUFFIX), digits = 0;

	if (len > suffix && !strcmp(name + len - suffix, HS_LAST_REGION_SUFFIX))
		return strndup(name, len - suffix);
	while (digits < len && name[len - 1 - digits] >= '0' && name[len - 1 - digits] <= '9')
		digits++;
	return strndup(name, digits && digits + 1 < len && name[len - 1 - digits] == '.' ? len - 1 - digits : len);
}

static int read_entry(struct reading *reading, const char *last_dir, const char *name,
		      const struct hs_ramoops_layout *layout)
{
	scoped(mem) char *path = hs_format("%s/%s", last_dir, name);
	scoped(mem) char *region = hs_format("%s/%s/" HS_LAST_REGION, last_dir, name);
	struct stat st;

	if (!path || !region)
		return -ENOMEM;
	if (!stat(path, &st) && S_ISREG(st.st_mode))
		return read_region(reading, path, layout);
	return access(region, F_OK) == 0 ? read_region(reading, region, layout) : read_files(reading, path);
}

int hs_last_read(const char *last_dir, const char *machine, const struct hs_ramoops_layout *layout, hs_last_fn on_line,
		 void *ctx)
{
	struct reading reading = { .on_line = on_line, .ctx = ctx };
	struct dirent **names;
	int count = scandir(last_dir, &names, is_visible, versionsort), err = 0;

	if (count < 0)
		return errno == ENOENT ? 0 : hs_fail(-errno, "cannot read %s:", last_dir);
	for (int i = 0; i < count; i++) {
		scoped(mem) char *owner = owner_of(names[i]->d_name);

		reading.machine = owner;
		if (!err && owner && (!machine || !strcmp(machine, owner)))
			err = read_entry(&reading, last_dir, names[i]->d_name, layout);
		free(names[i]);
	}
	free(names);
	return err ? err : reading.records;
}
