// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader of DMA traces, which trusts nothing in the file, and their writer, which keeps a buffer of records and
 * counts. Called by trace-gen, iommu-sim and explore. An open trace is read by any thread, a writer by one.
 */
#include "hyper/dmatrace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"

#define PAGE_BYTES 4096
#define BUFFER_RECORDS 16384

const char *hs_dmatrace_order_name(uint32_t order)
{
	static const char *const names[HS_DMATRACE_ORDER_NR] = {
		[HS_DMATRACE_RR] = "rr",
		[HS_DMATRACE_RAND] = "rand",
		[HS_DMATRACE_ORIG] = "orig",
	};

	return order < HS_DMATRACE_ORDER_NR ? names[order] : NULL;
}

const char *hs_dmatrace_ignored_name(enum hs_dmatrace_ignored reason)
{
	static const char *const names[HS_DMATRACE_IGNORED_NR] = {
		[HS_DMATRACE_IGNORED_FOREIGN] = "lines that are no trace event",
		[HS_DMATRACE_IGNORED_TORN] = "torn lines",
		[HS_DMATRACE_IGNORED_EVENT] = "lines of events that a trace does not need",
		[HS_DMATRACE_IGNORED_STRAY] = "translations in no packet",
		[HS_DMATRACE_IGNORED_OPEN] = "translations of packets that the log's end cut off",
		[HS_DMATRACE_IGNORED_ADDRESS] = "translations with an address or page size that cannot be",
		[HS_DMATRACE_IGNORED_TENANT] = "translations of devices beyond the tenants asked for",
		[HS_DMATRACE_IGNORED_INVALIDATION] = "invalidations that concern no tenant",
	};

	return reason < HS_DMATRACE_IGNORED_NR ? names[reason] : NULL;
}

/* ---- reading ------------------------------------------------------------------------------------- */

/* `nr` rows of `row_bytes` from `at` on lie behind the header and before `end`. */
static bool lies_before(uint64_t end, uint64_t at, uint64_t nr, uint64_t row_bytes)
{
	return at >= sizeof(struct hs_dmatrace_header) && at % 8 == 0 && at <= end && nr <= (end - at) / row_bytes;
}

static const char *check_header(const struct hs_dmatrace_header *header, size_t len)
{
	if (len < sizeof(*header) || memcmp(header->magic, HS_DMATRACE_MAGIC, sizeof(header->magic)) != 0)
		return "it is no DMA trace of hsbpf";
	if (header->version != HS_DMATRACE_VERSION)
		return "it has another version than this hsbpf reads";
	if (header->header_bytes != sizeof(*header) || header->source_bytes != sizeof(struct hs_dmatrace_source) ||
	    header->tenant_bytes != sizeof(struct hs_dmatrace_tenant) ||
	    header->record_bytes != sizeof(struct hs_dmatrace_record))
		return "its rows have other lengths than this version has";
	if (!header->tenant_nr || header->tenant_nr > HS_DMATRACE_TENANTS_MAX || !header->source_nr ||
	    header->source_nr > HS_DMATRACE_SOURCES_MAX)
		return "its number of tenants or logs cannot be";
	if (!hs_dmatrace_order_name(header->order))
		return "its order is unknown";
	if (header->records_at % PAGE_BYTES ||
	    !lies_before(len, header->records_at, header->record_nr, header->record_bytes))
		return "its records lie outside of the file: was it cut?";
	if (!lies_before(header->records_at, header->sources_at, header->source_nr, header->source_bytes) ||
	    !lies_before(header->records_at, header->tenants_at, header->tenant_nr, header->tenant_bytes))
		return "its tables lie outside of their place";
	if (header->records_at + header->record_nr * header->record_bytes != len)
		return "something follows its last record";
	if (header->first_end > header->record_nr)
		return "its first tenant ends behind the last record";
	return NULL;
}

static const char *check_tables(const struct hs_dmatrace *trace)
{
	for (uint32_t i = 0; i < trace->header->source_nr; i++)
		if (!memchr(trace->sources[i].name, '\0', sizeof(trace->sources[i].name)))
			return "the name of a log has no end";
	for (uint32_t i = 0; i < trace->header->tenant_nr; i++) {
		const struct hs_dmatrace_tenant *tenant = &trace->tenants[i];

		if (tenant->source >= trace->header->source_nr || tenant->copy_of >= trace->header->tenant_nr)
			return "a tenant is of a log, or a copy of a tenant, that is not there";
		if (tenant->levels < 2 || tenant->levels > 5)
			return "a tenant's page tables have a depth that cannot be";
	}
	return NULL;
}

/* One walk over all records, adding up what they are; compared with what the header says. */
static const char *check_records(const struct hs_dmatrace *trace)
{
	const struct hs_dmatrace_header *header = trace->header;
	uint64_t translations = 0, packets = 0;
	bool is_bad = false;

	for (uint64_t i = 0; i < header->record_nr; i++) {
		const struct hs_dmatrace_record *record = &trace->records[i];
		enum hs_dmatrace_kind kind = hs_dmatrace_kind(record);

		is_bad |= (hs_dmatrace_tenant(record) >= header->tenant_nr) | (kind >= HS_DMATRACE_KIND_NR);
		translations += kind == HS_DMATRACE_TRANSLATION;
		packets += hs_dmatrace_is_first(record);
		is_bad |= hs_dmatrace_is_first(record) & (kind != HS_DMATRACE_TRANSLATION);
	}
	if (is_bad)
		return "a record is of a tenant or of a kind that is not there";
	if (translations != header->translation_nr || packets != header->packet_nr)
		return "it does not have as many translations or packets as it says";
	return NULL;
}

static void point_into(struct hs_dmatrace *trace, const void *bytes)
{
	const struct hs_dmatrace_header *header = bytes;

	trace->header = header;
	trace->sources = (const void *)((const char *)bytes + header->sources_at);
	trace->tenants = (const void *)((const char *)bytes + header->tenants_at);
	trace->records = (const void *)((const char *)bytes + header->records_at);
}

const char *hs_dmatrace_parse(const void *bytes, size_t len, struct hs_dmatrace *trace)
{
	struct hs_dmatrace parsed = { 0 };
	const char *wrong = check_header(bytes, len);

	if (wrong)
		return wrong;
	point_into(&parsed, bytes);
	wrong = check_tables(&parsed);
	if (!wrong)
		wrong = check_records(&parsed);
	if (!wrong)
		*trace = parsed;
	return wrong;
}

/* The first map_bytes of the file, 0: all of it; *len is how much there is. */
static int map_file(const char *path, size_t map_bytes, struct hs_dmatrace *trace, size_t *len)
{
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return hs_fail(-errno, "cannot open the trace %s:", path);
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(struct hs_dmatrace_header))
		return hs_fail(-EINVAL, "%s cannot be read as a trace: it is no DMA trace of hsbpf", path);
	*len = (size_t)st.st_size;
	trace->map_bytes = map_bytes && map_bytes < *len ? map_bytes : *len;
	trace->map = mmap(NULL, trace->map_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (trace->map != MAP_FAILED)
		return 0;
	trace->map = NULL;
	return hs_fail(-errno, "cannot map the trace %s:", path);
}

int hs_dmatrace_open(const char *path, struct hs_dmatrace **out)
{
	scoped(hs_dmatrace) struct hs_dmatrace *trace = calloc(1, sizeof(*trace));
	struct hs_dmatrace parsed;
	const char *wrong;
	size_t len;
	int err = trace ? map_file(path, 0, trace, &len) : -ENOMEM;

	if (err)
		return err;
	madvise(trace->map, trace->map_bytes, MADV_SEQUENTIAL);
	wrong = hs_dmatrace_parse(trace->map, len, &parsed);
	if (wrong)
		return hs_fail(-EINVAL, "%s cannot be read as a trace: %s", path, wrong);
	parsed.map = trace->map;
	parsed.map_bytes = trace->map_bytes;
	*trace = parsed;
	*out = take(trace);
	return 0;
}

int hs_dmatrace_open_front(const char *path, struct hs_dmatrace **out)
{
	scoped(hs_dmatrace) struct hs_dmatrace *first = calloc(1, sizeof(*first)), *trace = calloc(1, sizeof(*trace));
	const struct hs_dmatrace_header *header;
	const char *wrong;
	size_t len;
	int err = first && trace ? map_file(path, sizeof(*header), first, &len) : -ENOMEM;

	if (err)
		return err;
	header = first->map;
	wrong = check_header(header, len);
	if (!wrong)
		err = map_file(path, header->records_at, trace, &len);
	if (err)
		return err;
	if (!wrong)
		wrong = check_header(trace->map, len);
	if (!wrong) {
		point_into(trace, trace->map);
		trace->records = NULL;
		wrong = check_tables(trace);
	}
	if (wrong)
		return hs_fail(-EINVAL, "%s cannot be read as a trace: %s", path, wrong);
	*out = take(trace);
	return 0;
}

void hs_dmatrace_free(struct hs_dmatrace *trace)
{
	if (!trace)
		return;
	if (trace->map)
		munmap(trace->map, trace->map_bytes);
	free(trace);
}

/* ---- writing ------------------------------------------------------------------------------------- */

struct tenant_count {
	uint64_t translations, packets, invalidations;
};

struct hs_dmatrace_writer {
	char *path, *temporary; /* temporary: NULL when there is nothing to remove */
	int fd, err;
	bool is_marked;
	struct hs_dmatrace_header header;
	struct tenant_count *counts;
	size_t used;
	struct hs_dmatrace_record buffer[BUFFER_RECORDS];
};

int hs_dmatrace_find_target(const char *path, char **target)
{
	scoped(mem) char *real = NULL;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno != ENOENT)
			return hs_fail(-errno, "cannot write the trace %s:", path);
		real = strdup(path);
	} else {
		real = realpath(path, NULL); /* where a link leads to, so that the link stays */
		if (!real || stat(real, &st) < 0 || !S_ISREG(st.st_mode))
			return hs_fail(-EINVAL, "cannot write the trace %s: what is there is no regular file", path);
	}
	if (!real)
		return -ENOMEM;
	*target = take(real);
	return 0;
}

/* A name beside the file that nobody has: an open file behind it. */
static int open_beside(const char *path, char **name)
{
	scoped(mem) char *unique = hs_format("%s.XXXXXX", path);
	int fd;

	if (!unique)
		return -ENOMEM;
	fd = mkostemp(unique, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*name = take(unique);
	return fd;
}

/* Without a name where the file system can do that, so that a process that is killed leaves nothing. */
static int begin_file(struct hs_dmatrace_writer *writer)
{
	scoped(mem) char *copy = strdup(writer->path);

	if (!copy)
		return -ENOMEM;
	writer->fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (writer->fd < 0)
		writer->fd =
			errno == EOPNOTSUPP || errno == EISDIR ? open_beside(writer->path, &writer->temporary) : -errno;
	if (writer->fd < 0)
		return hs_fail(writer->fd, "cannot create the trace %s:", writer->path);
	if (lseek(writer->fd, (off_t)writer->header.records_at, SEEK_SET) < 0)
		return hs_fail(-errno, "cannot write the trace %s:", writer->path);
	return 0;
}

/* A file without a name gets one beside that of the trace. */
static int name_beside(struct hs_dmatrace_writer *writer)
{
	char self[32];
	int fd = open_beside(writer->path, &writer->temporary);

	if (fd < 0)
		return fd;
	close(fd);
	unlink(writer->temporary);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", writer->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, writer->temporary, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* The file is whole: it gets its name, in place of one that is there. */
static int name_file(struct hs_dmatrace_writer *writer)
{
	int err = writer->temporary ? 0 : name_beside(writer);

	if (err)
		return err;
	if (rename(writer->temporary, writer->path) < 0)
		return -errno;
	free(take(writer->temporary));
	return 0;
}

int hs_dmatrace_writer_open(const char *path, const struct hs_dmatrace_header *header, struct hs_dmatrace_writer **out)
{
	scoped(hs_dmatrace_writer) struct hs_dmatrace_writer *writer = calloc(1, sizeof(*writer));
	struct hs_dmatrace_header *mine;
	int err;

	if (!writer)
		return -ENOMEM;
	writer->fd = -1;
	mine = &writer->header;
	*mine = *header;
	memcpy(mine->magic, HS_DMATRACE_MAGIC, sizeof(mine->magic));
	mine->version = HS_DMATRACE_VERSION;
	mine->header_bytes = sizeof(*mine);
	mine->source_bytes = sizeof(struct hs_dmatrace_source);
	mine->tenant_bytes = sizeof(struct hs_dmatrace_tenant);
	mine->record_bytes = sizeof(struct hs_dmatrace_record);
	mine->sources_at = sizeof(*mine);
	mine->tenants_at = mine->sources_at + (uint64_t)mine->source_nr * mine->source_bytes;
	mine->records_at = mine->tenants_at + (uint64_t)mine->tenant_nr * mine->tenant_bytes;
	mine->records_at = (mine->records_at + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	mine->record_nr = mine->translation_nr = mine->packet_nr = mine->first_end = 0;
	memset(mine->reserved, 0, sizeof(mine->reserved));
	writer->counts = calloc(mine->tenant_nr ? mine->tenant_nr : 1, sizeof(*writer->counts));
	if (!writer->counts)
		return -ENOMEM;
	err = hs_dmatrace_find_target(path, &writer->path);
	if (!err)
		err = begin_file(writer);
	if (err)
		return err;
	*out = take(writer);
	return 0;
}

static void flush(struct hs_dmatrace_writer *writer)
{
	if (!writer->err)
		writer->err = hs_write_all(writer->fd, writer->buffer, writer->used * sizeof(writer->buffer[0]));
	writer->used = 0;
}

void hs_dmatrace_writer_put(struct hs_dmatrace_writer *writer, const struct hs_dmatrace_record *record)
{
	struct tenant_count *count = &writer->counts[hs_dmatrace_tenant(record)];
	bool is_translation = hs_dmatrace_kind(record) == HS_DMATRACE_TRANSLATION;
	bool is_first = hs_dmatrace_is_first(record);

	count->translations += is_translation;
	count->invalidations += !is_translation;
	count->packets += is_first;
	writer->header.record_nr++;
	writer->header.translation_nr += is_translation;
	writer->header.packet_nr += is_first;
	writer->buffer[writer->used++] = *record;
	if (writer->used == BUFFER_RECORDS)
		flush(writer);
}

void hs_dmatrace_writer_mark_end(struct hs_dmatrace_writer *writer)
{
	if (!writer->is_marked)
		writer->header.first_end = writer->header.record_nr;
	writer->is_marked = true;
}

/* Header, tables and the zeroes up to the first record, which is where the file position was at the begin. */
static int write_front(struct hs_dmatrace_writer *writer, const struct hs_dmatrace_source *sources,
		       const struct hs_dmatrace_tenant *tenants)
{
	const struct hs_dmatrace_header *header = &writer->header;
	scoped(mem) char *front = calloc(1, header->records_at);
	struct hs_dmatrace_tenant *rows;

	if (!front)
		return -ENOMEM;
	memcpy(front, header, sizeof(*header));
	memcpy(front + header->sources_at, sources, (size_t)header->source_nr * sizeof(*sources));
	rows = (void *)(front + header->tenants_at);
	memcpy(rows, tenants, (size_t)header->tenant_nr * sizeof(*tenants));
	for (uint32_t i = 0; i < header->tenant_nr; i++) {
		rows[i].translations = writer->counts[i].translations;
		rows[i].packets = writer->counts[i].packets;
		rows[i].invalidations = writer->counts[i].invalidations;
	}
	if (lseek(writer->fd, 0, SEEK_SET) < 0)
		return -errno;
	return hs_write_all(writer->fd, front, header->records_at);
}

int hs_dmatrace_writer_finish(struct hs_dmatrace_writer *writer, const struct hs_dmatrace_source *sources,
			      const struct hs_dmatrace_tenant *tenants, struct hs_dmatrace_header *header)
{
	hs_dmatrace_writer_mark_end(writer);
	flush(writer);
	if (!writer->err)
		writer->err = write_front(writer, sources, tenants);
	if (!writer->err)
		writer->err = name_file(writer);
	if (writer->err)
		return hs_fail(writer->err, "cannot write the trace %s:", writer->path);
	if (header)
		*header = writer->header;
	return 0;
}

void hs_dmatrace_writer_free(struct hs_dmatrace_writer *writer)
{
	if (!writer)
		return;
	if (writer->temporary)
		unlink(writer->temporary);
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer->temporary);
	free(writer->path);
	free(writer->counts);
	free(writer);
}
