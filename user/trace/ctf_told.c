// SPDX-License-Identifier: GPL-2.0-only
/* Records one behind the other in memory, with an index that is sorted before they are written. Called by one thread.
 */
#include "trace/ctf_told.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "trace/ctf_events.h"
#include "trace/ctf_file.h"
#include "trace/ctf_metadata.h"

#define PACKET_BYTES (256u << 10) /* a packet that has reached it is written */
#define KINDS_MAX (UINT16_MAX - HS_CTF_TOLD_ID_FIRST + 1u)
#define TEXT_BYTES_MAX 4096u

struct place {
	uint64_t ns;
	size_t at, bytes, content; /* in the records; content: without what fills up to 8 */
};

struct hs_ctf_told {
	struct hs_event *kinds[KINDS_MAX];
	uint16_t kind_nr;
	uint8_t *records;
	size_t used, room;
	struct place *places;
	size_t place_nr, place_room;
};

int hs_ctf_told_open(struct hs_ctf_told **out)
{
	struct hs_ctf_told *told = calloc(1, sizeof(*told));

	if (!told)
		return -ENOMEM;
	*out = told;
	return 0;
}

void hs_ctf_told_free(struct hs_ctf_told *told)
{
	if (!told)
		return;
	for (uint16_t i = 0; i < told->kind_nr; i++)
		hs_ctf_event_free(told->kinds[i]);
	free(told->records);
	free(told->places);
	free(told);
}

/* ---- kinds ------------------------------------------------------------------------------------- */

/* -EINVAL: a name that is none; -ENOMEM. */
static int set_fields(struct hs_event *event, const struct hs_ctf_told_kind *kind)
{
	struct hs_field *fields = calloc(HS_CTF_TOLD_NUMBERS_MAX + 1, sizeof(*fields));
	struct hs_field *field = fields;

	event->fields = fields;
	event->size = sizeof(struct hs_event_header);
	if (!fields)
		return -ENOMEM;
	for (unsigned int i = 0; i < HS_CTF_TOLD_NUMBERS_MAX && kind->numbers[i]; i++, field++) {
		*field = (struct hs_field){ .name = strdup(kind->numbers[i]),
					    .doc = "",
					    .kind = HS_FIELD_NUMBER,
					    .offset = event->size,
					    .size = sizeof(uint64_t) };
		event->size = (uint16_t)(event->size + sizeof(uint64_t));
	}
	if (kind->text) {
		*field = (struct hs_field){ .name = strdup(kind->text), .doc = "", .kind = HS_FIELD_STRING, .size = 1 };
		field++;
	}
	event->field_nr = (unsigned int)(field - fields);
	for (unsigned int i = 0; i < event->field_nr; i++)
		if (!fields[i].name)
			return -ENOMEM;
	return 0;
}

static int add_kind(struct hs_ctf_told *told, const struct hs_ctf_told_kind *kind, const struct hs_event **out)
{
	scoped(hs_ctf_event) struct hs_event *event = calloc(1, sizeof(*event));
	int err;

	if (!event)
		return -ENOMEM;
	if (!hs_ctf_is_name(kind->system) || !hs_ctf_is_name(kind->name))
		return -EINVAL;
	if (told->kind_nr == KINDS_MAX)
		return -E2BIG;
	event->id = (uint16_t)(HS_CTF_TOLD_ID_FIRST + told->kind_nr);
	event->system = strdup(kind->system);
	event->name = strdup(kind->name);
	event->doc = "";
	event->is_foreign = true;
	err = event->system && event->name ? set_fields(event, kind) : -ENOMEM;
	if (err)
		return err;
	*out = event;
	told->kinds[told->kind_nr++] = take(event);
	return 0;
}

static int find_kind(struct hs_ctf_told *told, const struct hs_ctf_told_kind *kind, const struct hs_event **out)
{
	for (uint16_t i = 0; i < told->kind_nr; i++) {
		if (!strcmp(told->kinds[i]->name, kind->name) && !strcmp(told->kinds[i]->system, kind->system)) {
			*out = told->kinds[i];
			return 0;
		}
	}
	return add_kind(told, kind, out);
}

/* ---- records ----------------------------------------------------------------------------------- */

static int make_room(struct hs_ctf_told *told, size_t bytes)
{
	size_t room = told->room ? told->room : PACKET_BYTES;
	struct place *places;
	uint8_t *records;

	while (told->used + bytes > room)
		room *= 2;
	if (room != told->room) {
		records = realloc(told->records, room);
		if (!records)
			return -ENOMEM;
		told->records = records;
		told->room = room;
	}
	if (told->place_nr < told->place_room)
		return 0;
	room = told->place_room ? 2 * told->place_room : 4096;
	places = reallocarray(told->places, room, sizeof(*places));
	if (!places)
		return -ENOMEM;
	told->places = places;
	told->place_room = room;
	return 0;
}

static size_t put_text(uint8_t *at, const char *text)
{
	size_t length = strnlen(text, TEXT_BYTES_MAX);

	for (size_t i = 0; i < length; i++)
		at[i] = text[i] < ' ' || text[i] > '~' ? '?' : (uint8_t)text[i];
	at[length] = '\0';
	return length + 1;
}

int hs_ctf_told_add(struct hs_ctf_told *told, uint64_t boot_ns, uint32_t tid, const struct hs_ctf_told_kind *kind,
		    const uint64_t *numbers, const char *text)
{
	struct hs_event_header header = { .ts = boot_ns, .tid = tid };
	const struct hs_event *event;
	struct place *place;
	uint8_t *record;
	int err = find_kind(told, kind, &event);

	if (!err)
		err = make_room(told, event->size + TEXT_BYTES_MAX + 8);
	if (err)
		return err;
	place = &told->places[told->place_nr++];
	*place = (struct place){ boot_ns, told->used, 0, event->size };
	record = told->records + told->used;
	header.id = event->id;
	memcpy(record, &header, sizeof(header));
	if (event->size > sizeof(header))
		memcpy(record + sizeof(header), numbers, event->size - sizeof(header));
	if (kind->text)
		place->content += put_text(record + event->size, text ? text : "");
	place->bytes = (place->content + 7) & ~(size_t)7;
	memset(record + place->content, 0, place->bytes - place->content);
	told->used += place->bytes;
	return 0;
}

/* ---- the trace --------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct place *one = a, *other = b;

	if (one->ns != other->ns)
		return one->ns < other->ns ? -1 : 1;
	return one->at < other->at ? -1 : one->at > other->at;
}

static int write_metadata(const struct hs_ctf_told *told, const char *dir, const struct hs_ctf_info *info)
{
	scoped(mem) char *path = hs_format("%s/metadata", dir), *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	if (!path || !file) {
		if (file)
			fclose(file);
		return -ENOMEM;
	}
	hs_ctf_metadata_print_head(file, info);
	hs_ctf_events_print_stream(file);
	for (uint16_t i = 0; i < told->kind_nr; i++)
		hs_ctf_event_print(file, told->kinds[i]);
	return fclose(file) ? -ENOMEM : hs_write_file_atomic(path, text, bytes);
}

/* Writes records from place `first` on as one packet; *next: the place behind them. */
static int write_packet(const struct hs_ctf_told *told, const struct hs_ctf_info *info, struct hs_ctf_file *file,
			uint8_t *buffer, size_t first, size_t *next)
{
	struct hs_ctf_packet packet = { .magic = HS_CTF_MAGIC,
					.stream_id = HS_CTF_FTRACE_STREAM,
					.timestamp_begin = told->places[first].ns,
					.packet_seq_num = file->packets };
	size_t used = sizeof(packet), at = first;

	for (; at < told->place_nr && used < PACKET_BYTES; at++) {
		const struct place *place = &told->places[at];

		memcpy(buffer + used, told->records + place->at, place->bytes);
		packet.content_bits = (used + place->content) * 8ull;
		packet.timestamp_end = place->ns;
		used += place->bytes;
	}
	packet.packet_bits = used * 8ull;
	memcpy(packet.uuid, info->uuid, sizeof(packet.uuid));
	memcpy(buffer, &packet, sizeof(packet));
	*next = at;
	return hs_ctf_file_put(file, buffer, used);
}

static int write_records(const struct hs_ctf_told *told, const char *dir, const struct hs_ctf_info *info)
{
	scoped(fd) int dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	scoped(mem) uint8_t *buffer = malloc(PACKET_BYTES + 2 * TEXT_BYTES_MAX);
	struct hs_ctf_file file;
	size_t at = 0;
	int err = dir_fd < 0 ? -errno : buffer ? 0 : -ENOMEM;

	hs_ctf_file_init(&file, dir_fd, HS_CTF_TOLD_PREFIX "cpu", 0);
	while (!err && at < told->place_nr)
		err = write_packet(told, info, &file, buffer, at, &at);
	hs_ctf_file_close(&file);
	return err;
}

int hs_ctf_told_write(struct hs_ctf_told *told, const char *dir, const char *machine, int64_t clock_offset_ns)
{
	struct hs_ctf_info info;
	int err = hs_ctf_info_init(&info, machine, HS_CTF_CLOCK, clock_offset_ns);

	if (err)
		return err;
	if (mkdir(dir, 0755))
		return hs_fail(-errno, "cannot make the trace folder %s:", dir);
	if (told->place_nr)
		qsort(told->places, told->place_nr, sizeof(*told->places), by_time);
	err = write_metadata(told, dir, &info);
	if (!err)
		err = write_records(told, dir, &info);
	return err ? hs_fail(err, "cannot write the trace %s:", dir) : 0;
}
