// SPDX-License-Identifier: GPL-2.0-only
/* Our own notes and the numbers of kernel records, found in lines of text or JSON without taking all of them apart. */
#include "journal/resume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scoped.h"

#define READ_BYTES (256u << 10)

static struct hs_resume_machine *look_up(struct hs_resume *resume, const char *name)
{
	for (unsigned i = 0; i < resume->count; i++)
		if (!strcmp(resume->machines[i].name, name))
			return &resume->machines[i];
	return NULL;
}

struct hs_resume_machine *hs_resume_find(struct hs_resume *resume, const char *machine)
{
	struct hs_resume_machine *entry = look_up(resume, machine);

	if (entry)
		return entry;
	if (resume->count == HS_RESUME_MACHINES_MAX || strlen(machine) >= HS_RESUME_NAME_SIZE || !*machine)
		return NULL;
	entry = &resume->machines[resume->count++];
	*entry = (struct hs_resume_machine){ 0 };
	strcpy(entry->name, machine);
	return entry;
}

struct hs_resume_machine *hs_resume_find_file(struct hs_resume *resume, const char *machine, const char *source,
					      bool is_new)
{
	char name[HS_RESUME_NAME_SIZE];

	if (snprintf(name, sizeof(name), "%s/%s", machine, source) >= (int)sizeof(name))
		return NULL;
	return is_new ? hs_resume_find(resume, name) : look_up(resume, name);
}

void hs_resume_print(const struct hs_resume *resume, struct hs_journal_buffer *out)
{
	char text[HS_RESUME_NAME_SIZE + HS_RESUME_BOOT_SIZE + 72];
	const char *comma = "";

	for (unsigned i = 0; i < resume->count; i++) {
		const struct hs_resume_machine *entry = &resume->machines[i];
		int len;

		if (!entry->boot_id[0])
			continue;
		len = snprintf(text, sizeof(text), "%s %s boot=%s next=%" PRIu64, comma, entry->name, entry->boot_id,
			       entry->next);
		if (entry->lines)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "+%" PRIu64, entry->lines);
		hs_journal_buffer_add(out, text, (size_t)len);
		comma = ",";
	}
}

/* "NAME boot=ID next=N" or "next=N+LINES" wherever it stands in a note of ours. */
static void take_note(struct hs_resume *resume, const char *line)
{
	char name[HS_RESUME_NAME_SIZE], boot_id[HS_RESUME_BOOT_SIZE];
	const char *at = line;
	uint64_t next, lines;

	while ((at = strstr(at, " boot="))) {
		const char *begin = at;
		struct hs_resume_machine *entry;
		int parts;

		while (begin > line && begin[-1] != ' ')
			begin--;
		parts = sscanf(at, " boot=%39[-0-9a-zA-Z] next=%" SCNu64 "+%" SCNu64, boot_id, &next, &lines);
		if (at - begin > 0 && (size_t)(at - begin) < sizeof(name) && parts >= 2) {
			memcpy(name, begin, (size_t)(at - begin));
			name[at - begin] = '\0';
			entry = hs_resume_find(resume, name);
			if (entry) {
				strcpy(entry->boot_id, boot_id);
				entry->next = next;
				entry->lines = parts == 3 ? lines : 0;
			}
		}
		at++;
	}
}

static void take_number(struct hs_resume *resume, const char *machine, uint64_t last_seq)
{
	struct hs_resume_machine *entry = hs_resume_find(resume, machine);

	if (entry && last_seq < UINT64_MAX && last_seq + 1 > entry->next)
		entry->next = last_seq + 1;
}

/* A record's text in a line of either form, the closing "} of JSON not among it; *len is the line's, then the text's.
 */
static const char *text_of(const char *line, size_t *len)
{
	bool is_json = *len > 2 && line[0] == '{';
	const char *mark = is_json ? "\"text\":\"" : ": ", *at = memmem(line, *len, mark, strlen(mark));

	if (!at)
		return NULL;
	at += strlen(mark);
	*len -= (size_t)(at - line) + (is_json ? 2 : 0);
	return at;
}

bool hs_resume_is_last(const struct hs_resume_machine *entry, const char *line, size_t len)
{
	const char *text = text_of(line, &len);
	size_t last_len = strlen(entry->last);

	/* Of a line that the log has half only the begin is there. */
	return text && len >= last_len && !memcmp(text, entry->last, last_len);
}

static void take_file_line(struct hs_resume *resume, const char *machine, const char *source, const char *line,
			   bool is_fragment)
{
	struct hs_resume_machine *entry = hs_resume_find_file(resume, machine, source, false);
	size_t len = strlen(line);
	const char *text = text_of(line, &len);

	if (!entry || !text || is_fragment)
		return;
	entry->lines++;
	snprintf(entry->last, sizeof(entry->last), "%.*s", (int)len, text);
}

static void take_text(struct hs_resume *resume, const char *line)
{
	char machine[HS_RESUME_NAME_SIZE], source[16];
	uint64_t seq, last;
	int end = 0, parts;

	if (sscanf(line, "%*s %*s %63s %*s %15s%n", machine, source, &end) != 2 || !end)
		return;
	if (!strcmp(source, "hsbpf")) {
		take_note(resume, line + end);
		return;
	}
	take_file_line(resume, machine, source, line, !strncmp(line + end, " - fragment", strlen(" - fragment")));
	parts = strcmp(source, "kernel") ? 0 : sscanf(line + end, " %" SCNu64 "-%" SCNu64, &seq, &last);
	if (parts > 0)
		take_number(resume, machine, parts == 2 ? last : seq);
}

static void take_json(struct hs_resume *resume, const char *line)
{
	const char *text = strstr(line, "\"text\":\""), *last = strstr(line, "\"last_seq\":");
	const char *fragment = strstr(line, "\"fragment\":true");
	char machine[HS_RESUME_NAME_SIZE], source[16];
	uint64_t seq;

	/* The members stand in the order in which record.c writes them; a text cannot come before. */
	if (!text ||
	    sscanf(line,
		   "{\"schema\":\"%*[^\"]\",\"kind\":\"%*[^\"]\",\"machine\":\"%63[^\"]\",\"source\":\"%15[^\"]\"",
		   machine, source) != 2)
		return;
	take_file_line(resume, machine, source, line, fragment && fragment < text);
	if (!strcmp(source, "hsbpf"))
		take_note(resume, text);
	else if (!strcmp(source, "kernel") && last && last < text && sscanf(last, "\"last_seq\":%" SCNu64, &seq) == 1)
		take_number(resume, machine, seq);
}

void hs_resume_take_line(struct hs_resume *resume, const char *line, size_t len)
{
	scoped(mem) char *copy = malloc(len + 1);

	if (!copy)
		return;
	memcpy(copy, line, len);
	copy[len] = '\0';
	if (copy[0] == '{')
		take_json(resume, copy);
	else
		take_text(resume, copy);
}

/* Lines longer than the buffer tell nothing: ours are short. A last line without newline was cut off. */
static bool on_file(void *ctx, int fd)
{
	scoped(mem) char *buffer = malloc(READ_BYTES);
	size_t have = 0;
	bool is_empty = true, is_cut = false;
	ssize_t got;

	while (buffer && (got = read(fd, buffer + have, READ_BYTES - have)) > 0) {
		char *line = buffer, *end = buffer + have + got, *newline;

		for (; (newline = memchr(line, '\n', (size_t)(end - line))); line = newline + 1) {
			if (!is_cut)
				hs_resume_take_line(ctx, line, (size_t)(newline - line));
			is_cut = is_empty = false;
		}
		have = (size_t)(end - line);
		if (have == READ_BYTES) {
			is_cut = true;
			have = 0;
		} else {
			memmove(buffer, line, have);
		}
	}
	return !is_empty;
}

void hs_resume_read(struct hs_resume *resume, const struct hs_log_files *files)
{
	hs_log_files_each(files, on_file, resume);
}
