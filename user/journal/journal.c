// SPDX-License-Identifier: GPL-2.0-only
/* Puts sources, merge and output together, and gives every record the time of day. All on the loop's thread. */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/resume.h"
#include "journal/source.h"
#include "timeline/clock.h"

#define SOURCES_MAX 256
#define NOTE_BYTES 400
#define BATCH_NS 20000000ull /* under load records are handed out so often */

struct hs_journal {
	struct hs_loop *loop;
	struct hs_journal_config config;
	struct hs_merge *merge;
	struct hs_log_files *files; /* NULL: standard output */
	struct hs_journal_buffer out;
	struct hs_resume resume; /* what this log has */
	struct hs_watch tick;
	uint64_t tick_ns;     /* when it is due; 0: not armed */
	uint64_t real_offset; /* REALTIME - BOOTTIME, as of real_ns */
	uint64_t sampled_ns;
	bool is_over;
	int error; /* why standard output took no more */

	const char *machines[HS_MERGE_STREAMS_MAX]; /* of the streams; in `names` */
	char *names[HS_MERGE_STREAMS_MAX];
	enum hs_journal_source sources[HS_MERGE_STREAMS_MAX];
	unsigned streams_nr;

	struct hs_host_log *host;
	struct hs_file_log *file_sources[SOURCES_MAX];
	struct hs_guest_log *guests[SOURCES_MAX];
	unsigned files_nr, guests_nr, heard_nr;
};

struct hs_loop *hs_journal_loop(struct hs_journal *journal)
{
	return journal->loop;
}

const struct hs_journal_config *hs_journal_config(const struct hs_journal *journal)
{
	return &journal->config;
}

/* ---- out ---- */

static void print(const struct hs_journal *journal, const struct hs_journal_record *record,
		  struct hs_journal_buffer *out)
{
	if (journal->config.json)
		hs_journal_record_print_json(record, out);
	else
		hs_journal_record_print(record, out);
}

static void write_stdout(struct hs_journal *journal)
{
	int err = journal->is_over ? 0 : hs_write_all(STDOUT_FILENO, journal->out.bytes, journal->out.len);

	journal->out.len = 0;
	if (!err)
		return;
	journal->is_over = true;
	if (err != -EPIPE)
		journal->error = hs_fail(err, "cannot write to standard output:");
}

#define STDOUT_CHUNK 65536

static void on_record(void *ctx, const struct hs_journal_record *record)
{
	struct hs_journal *journal = ctx;
	struct hs_resume_machine *entry;

	print(journal, record, &journal->out);
	if (journal->out.err) {
		hs_err("no memory for a record of %s: it is left out", record->machine);
		hs_journal_buffer_clear(&journal->out);
	} else if (journal->files) {
		hs_log_files_write(journal->files, journal->out.bytes, journal->out.len);
		journal->out.len = 0;
	} else if (journal->out.len >= STDOUT_CHUNK) {
		write_stdout(journal);
	}
	if (record->file_end) {
		entry = hs_resume_find_file(&journal->resume, record->machine, hs_journal_source_name(record->source),
					    false);
		if (entry) {
			entry->next = record->file_end;
			entry->lines = 0;
		}
	}
	if (!record->has_seq)
		return;
	entry = hs_resume_find(&journal->resume, record->machine);
	if (entry && record->last_seq >= entry->next)
		entry->next = record->last_seq + 1;
}

static void flush(struct hs_journal *journal)
{
	if (journal->files)
		hs_log_files_flush(journal->files);
	else if (journal->out.len)
		write_stdout(journal);
}

/* ---- notes ---- */

static uint64_t real_of(struct hs_journal *journal, uint64_t boot_ns)
{
	struct hs_clock_sample sample;
	uint64_t now_ns = hs_now_ns();

	if (now_ns - journal->sampled_ns > 1000000000ull || !journal->sampled_ns) {
		hs_clock_sample_take(&sample);
		journal->real_offset = sample.real_ns - sample.boot_ns;
		journal->sampled_ns = now_ns;
	}
	return boot_ns + journal->real_offset;
}

static struct hs_journal_record note_of(struct hs_journal *journal, const char *machine, const char *text, size_t len)
{
	struct hs_journal_record note = hs_journal_record_new(machine, HS_JOURNAL_HSBPF);

	note.kind = HS_JOURNAL_NOTE;
	note.boot_ns = hs_now_ns();
	note.real_ns = real_of(journal, note.boot_ns);
	note.text = text;
	note.len = len;
	return note;
}

void hs_journal_note(struct hs_journal *journal, const char *machine, int severity, const char *format, ...)
{
	char text[NOTE_BYTES];
	struct hs_journal_record note;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note = note_of(journal, machine, text, len < NOTE_BYTES ? (size_t)len : NOTE_BYTES - 1);
	note.severity = severity;
	on_record(journal, &note);
}

static int give_line(struct hs_journal *journal, struct hs_journal_buffer *text, char **line, size_t *len)
{
	struct hs_journal_buffer out = { 0 };
	struct hs_journal_record note;

	if (!text->err) {
		note = note_of(journal, "host", text->bytes, text->len);
		print(journal, &note, &out);
	}
	if (text->err || out.err) {
		hs_journal_buffer_clear(&out);
		return -ENOMEM;
	}
	*line = out.bytes;
	*len = out.len;
	return 0;
}

static int make_header(void *ctx, uint64_t number, char **line, size_t *len)
{
	struct hs_journal *journal = ctx;
	__attribute__((cleanup(hs_journal_buffer_scoped))) struct hs_journal_buffer text = { 0 };
	char begin[80];
	int begin_len = snprintf(begin, sizeof(begin), HS_LOG_FILES_MARK "%llu begins;", (unsigned long long)number);

	hs_journal_buffer_add(&text, begin, (size_t)begin_len);
	hs_resume_print(&journal->resume, &text);
	return give_line(journal, &text, line, len);
}

static int make_loss(void *ctx, uint64_t lines, char **line, size_t *len)
{
	__attribute__((cleanup(hs_journal_buffer_scoped))) struct hs_journal_buffer text = { 0 };
	char words[120];
	int words_len = snprintf(words, sizeof(words), "%llu lines were not written: there was no room",
				 (unsigned long long)lines);

	hs_journal_buffer_add(&text, words, (size_t)words_len);
	return give_line(ctx, &text, line, len);
}

/* ---- time ---- */

static void on_tick(void *ctx, uint32_t events);

static void arm(struct hs_journal *journal, uint64_t due_ns)
{
	if (journal->tick_ns && (!due_ns || journal->tick_ns <= due_ns))
		return;
	hs_loop_close(journal->loop, &journal->tick);
	journal->tick_ns = due_ns;
	/* Once: the next call arms it again. */
	if (due_ns)
		hs_loop_timer_at(journal->loop, &journal->tick, due_ns, 3600000000000ull, on_tick, journal);
}

/* What a guest logged while it booted comes when it has: until then records wait longer. */
static uint64_t window_of(const struct hs_journal *journal)
{
	bool is_settled = journal->config.settled_window_ns && journal->heard_nr >= journal->guests_nr;

	return is_settled ? journal->config.settled_window_ns : journal->config.window_ns;
}

static void on_tick(void *ctx, uint32_t events)
{
	struct hs_journal *journal = ctx;
	uint64_t now_ns = hs_now_ns(), merge_ns, files_ns = 0;

	(void)events;
	hs_merge_set_window(journal->merge, window_of(journal));
	hs_loop_close(journal->loop, &journal->tick);
	journal->tick_ns = 0;
	merge_ns = hs_merge_advance(journal->merge, now_ns);
	flush(journal);
	if (journal->files)
		files_ns = hs_log_files_tick(journal->files);
	if (merge_ns)
		arm(journal, merge_ns > now_ns + BATCH_NS ? merge_ns : now_ns + BATCH_NS);
	if (files_ns)
		arm(journal, files_ns);
}

/* ---- for sources ---- */

/* Two kernels of one name would take each other's numbers for their own. */
static bool has_kernel(const struct hs_journal *journal, const char *machine)
{
	for (unsigned i = 0; i < journal->streams_nr; i++)
		if (journal->sources[i] == HS_JOURNAL_KERNEL && !strcmp(journal->machines[i], machine))
			return true;
	return false;
}

int hs_journal_add_stream(struct hs_journal *journal, const char *machine, enum hs_journal_source source)
{
	bool is_new = hs_merge_level(journal->merge, machine) == HS_JOURNAL_UNKNOWN;
	int stream;

	if (source == HS_JOURNAL_KERNEL && has_kernel(journal, machine))
		return hs_fail(-EEXIST, "the kernel of '%s' is in this log already: another needs another name",
			       machine);
	stream = hs_merge_add_stream(journal->merge, machine, source);
	if (stream < 0)
		return stream == -ENOSPC ? hs_fail(stream, "a log of more than %d streams", HS_MERGE_STREAMS_MAX)
					 : stream;
	if (is_new)
		hs_merge_set_level(journal->merge, machine, journal->config.level);
	journal->names[stream] = strdup(machine);
	journal->machines[stream] = journal->names[stream];
	journal->sources[stream] = source;
	journal->streams_nr = (unsigned)stream + 1;
	return journal->names[stream] ? stream : -ENOMEM;
}

int hs_journal_begin_boot(struct hs_journal *journal, unsigned stream, const char *boot_id, uint64_t *next)
{
	const char *machine = journal->machines[stream];
	struct hs_resume_machine *entry = hs_resume_find(&journal->resume, machine);
	bool is_from_start;

	if (!entry)
		return hs_fail(-ENOSPC, "a log of more than %d machines, or of one with the name '%s'",
			       HS_RESUME_MACHINES_MAX, machine);
	/* Kernels count from 0. What this host's logged before there was a log of it is not missing in that. */
	is_from_start = strcmp(machine, "host") || (entry->boot_id[0] && !journal->config.only_new);
	hs_merge_restart(journal->merge, stream);
	if (strncmp(entry->boot_id, boot_id, sizeof(entry->boot_id) - 1)) {
		snprintf(entry->boot_id, sizeof(entry->boot_id), "%s", boot_id);
		entry->next = 0;
	}
	if (entry->next || is_from_start)
		hs_merge_expect(journal->merge, stream, entry->next);
	*next = entry->next;
	hs_journal_note(journal, machine, HS_JOURNAL_UNKNOWN, "the kernel's log of %s boot=%s next=%llu", machine,
			entry->boot_id, (unsigned long long)entry->next);
	return 0;
}

void hs_journal_begin_file(struct hs_journal *journal, unsigned stream, const char *id, uint64_t bytes,
			   uint64_t *offset, uint64_t *lines)
{
	const char *machine = journal->machines[stream], *source = hs_journal_source_name(journal->sources[stream]);
	struct hs_resume_machine *entry = hs_resume_find_file(&journal->resume, machine, source, true);
	char has[48] = "";

	*offset = *lines = 0;
	if (!entry)
		return; /* more than can be remembered: the next process begins it anew */
	if (strncmp(entry->boot_id, id, sizeof(entry->boot_id) - 1) || entry->next > bytes || !bytes) {
		snprintf(entry->boot_id, sizeof(entry->boot_id), "%s", id);
		entry->next = entry->lines = 0;
	}
	*offset = entry->next;
	*lines = entry->lines;
	if (*lines)
		snprintf(has, sizeof(has), "+%llu", (unsigned long long)*lines);
	hs_journal_note(journal, machine, HS_JOURNAL_UNKNOWN, "the file %s boot=%s next=%llu%s", entry->name,
			entry->boot_id, (unsigned long long)*offset, has);
}

bool hs_journal_has_last(struct hs_journal *journal, unsigned stream, const struct hs_journal_record *record)
{
	__attribute__((cleanup(hs_journal_buffer_scoped))) struct hs_journal_buffer line = { 0 };
	const char *machine = journal->machines[stream], *source = hs_journal_source_name(journal->sources[stream]);
	struct hs_resume_machine *entry = hs_resume_find_file(&journal->resume, machine, source, false);
	struct hs_journal_record copy = *record;

	copy.machine = machine;
	print(journal, &copy, &line);
	return entry && !line.err && hs_resume_is_last(entry, line.bytes, line.len - 1);
}

void hs_journal_hear(struct hs_journal *journal)
{
	journal->heard_nr++;
	arm(journal, hs_now_ns() + BATCH_NS);
}

void hs_journal_put(struct hs_journal *journal, unsigned stream, const struct hs_journal_record *record,
		    bool is_continuation)
{
	struct hs_journal_record copy = *record;
	uint64_t now_ns = hs_now_ns();

	if (!copy.boot_ns || copy.boot_ns > now_ns)
		copy.boot_ns = now_ns;
	copy.real_ns = real_of(journal, copy.boot_ns);
	if (hs_merge_put(journal->merge, stream, &copy, is_continuation, now_ns))
		hs_err("no memory for a record of %s: its number will be missing", journal->machines[stream]);
	arm(journal, now_ns + window_of(journal));
}

/* ---- the journal ---- */

static int open_files(struct hs_journal *journal)
{
	const struct hs_journal_config *config = &journal->config;
	struct hs_log_files_config files = { .dir = config->dir,
					     .name = config->json ? "hsbpf.jsonl" : "hsbpf.log",
					     .max_bytes = config->max_bytes,
					     .max_files = config->max_files,
					     .max_age_ns = config->max_age_ns,
					     .make_header = make_header,
					     .make_loss = make_loss,
					     .ctx = journal };
	int err = hs_log_files_open(&files, &journal->files);

	if (err)
		return err;
	hs_resume_read(&journal->resume, journal->files);
	err = hs_log_files_begin(journal->files);
	if (!err && config->max_age_ns)
		arm(journal, hs_log_files_tick(journal->files));
	return err;
}

int hs_journal_open(struct hs_loop *loop, const struct hs_journal_config *config, struct hs_journal **out)
{
	scoped(hs_journal) struct hs_journal *journal = calloc(1, sizeof(*journal));
	struct hs_merge_config merge = { .window_ns = config->window_ns,
					 .memory_bytes = HS_MERGE_MEMORY_BYTES,
					 .on_record = on_record,
					 .ctx = journal };
	int err;

	if (!journal)
		return -ENOMEM;
	journal->loop = loop;
	journal->config = *config;
	journal->tick = HS_WATCH_NONE;
	err = hs_merge_open(&merge, &journal->merge);
	if (!err && config->dir)
		err = open_files(journal);
	if (!err)
		*out = take(journal);
	return err;
}

int hs_journal_follow_host(struct hs_journal *journal)
{
	return hs_host_log_open(journal, &journal->host);
}

int hs_journal_follow_file(struct hs_journal *journal, const char *machine, enum hs_journal_source source,
			   const char *path)
{
	int err = journal->files_nr < SOURCES_MAX ? 0 : -ENOSPC;

	if (!err)
		err = hs_file_log_open(journal, machine, source, path, &journal->file_sources[journal->files_nr]);
	if (!err)
		journal->files_nr++;
	return err;
}

int hs_journal_follow_guest(struct hs_journal *journal, const char *machine, const char *path)
{
	int err = journal->guests_nr < SOURCES_MAX ? 0 : -ENOSPC;

	if (!err)
		err = hs_guest_log_open(journal, machine, path, &journal->guests[journal->guests_nr]);
	if (!err)
		journal->guests_nr++;
	return err;
}

int hs_journal_set_level(struct hs_journal *journal, const char *machine, int severity)
{
	bool all = !machine || !strcmp(machine, "all");
	int err = all ? 0 : hs_merge_set_level(journal->merge, machine, severity);

	for (unsigned i = 0; all && i < journal->streams_nr; i++)
		hs_merge_set_level(journal->merge, journal->machines[i], severity);
	if (all)
		journal->config.level = severity;
	if (!err)
		hs_journal_note(journal, all ? "host" : machine, HS_JOURNAL_UNKNOWN,
				"from here on records of %s: %s and worse", all ? "all machines" : machine,
				hs_journal_severity_name(severity));
	flush(journal);
	return err;
}

void hs_journal_reopen(struct hs_journal *journal)
{
	if (journal->files)
		hs_log_files_reopen(journal->files);
}

bool hs_journal_is_over(void *ctx)
{
	const struct hs_journal *journal = ctx;

	return journal->is_over;
}

int hs_journal_error(const struct hs_journal *journal)
{
	return journal->error;
}

void hs_journal_finish(struct hs_journal *journal)
{
	if (journal->host)
		hs_host_log_drain(journal->host);
	for (unsigned i = 0; i < journal->files_nr; i++)
		hs_file_log_drain(journal->file_sources[i]);
	for (unsigned i = 0; i < journal->guests_nr; i++)
		hs_guest_log_drain(journal->guests[i]);
	hs_merge_flush(journal->merge);
	flush(journal);
	hs_host_log_free(take(journal->host));
}

void hs_journal_counts(const struct hs_journal *journal, struct hs_journal_counts *counts)
{
	*counts = (struct hs_journal_counts){ .merge = *hs_merge_counts(journal->merge) };
	if (journal->files)
		counts->files = *hs_log_files_counts(journal->files);
}

void hs_journal_free(struct hs_journal *journal)
{
	if (!journal)
		return;
	hs_host_log_free(journal->host);
	for (unsigned i = 0; i < journal->files_nr; i++)
		hs_file_log_free(journal->file_sources[i]);
	for (unsigned i = 0; i < journal->guests_nr; i++)
		hs_guest_log_free(journal->guests[i]);
	if (journal->merge)
		hs_merge_flush(journal->merge);
	flush(journal);
	hs_loop_close(journal->loop, &journal->tick);
	hs_log_files_free(journal->files);
	hs_merge_free(journal->merge);
	hs_journal_buffer_clear(&journal->out);
	for (unsigned i = 0; i < journal->streams_nr; i++)
		free(journal->names[i]);
	free(journal);
}
