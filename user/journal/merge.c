// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each stream keeps what it holds in the order of its numbers; a merge of a few streams looks at their heads. A record
 * below the threshold is held without text, so that its number is not missing.
 */
#include "journal/merge.h"

#include <errno.h>
#include <string.h>

#define GAPS_MAX 64  /* of a stream, remembered for records that come after all */
#define LOOK_BACK 64 /* records that others can have put between a line and its continuation */

struct held {
	struct hs_journal_record record;
	uint64_t came_ns;
	bool is_hidden; /* below the threshold, or joined into another: only its number counts */
	bool is_joined;
	size_t room;
	char text[];
};

struct range {
	uint64_t first, last;
};

struct stream {
	char *machine;
	enum hs_journal_source source;
	struct held **queue; /* ring of size `room`, a power of two */
	size_t head, count, room;
	bool has_next;
	uint64_t next_seq;  /* that is to be handed out */
	uint64_t newest_ns; /* time of what was handed out last */
	struct range gaps[GAPS_MAX];
	unsigned gaps_nr;
};

struct level {
	const char *machine; /* a stream's */
	int severity;
};

struct hs_merge {
	struct hs_merge_config config;
	struct hs_merge_counts counts;
	struct stream streams[HS_MERGE_STREAMS_MAX];
	struct level levels[HS_MERGE_STREAMS_MAX];
	unsigned streams_nr, levels_nr;
	uint64_t newest_ns; /* time of what was handed out last, of all */
	uint64_t held_bytes;
};

int hs_merge_open(const struct hs_merge_config *config, struct hs_merge **out)
{
	struct hs_merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return -ENOMEM;
	merge->config = *config;
	*out = merge;
	return 0;
}

static struct held **slot(const struct stream *stream, size_t i)
{
	return &stream->queue[(stream->head + i) & (stream->room - 1)];
}

void hs_merge_free(struct hs_merge *merge)
{
	if (!merge)
		return;
	for (unsigned s = 0; s < merge->streams_nr; s++) {
		for (size_t i = 0; i < merge->streams[s].count; i++)
			free(*slot(&merge->streams[s], i));
		free(merge->streams[s].queue);
		free(merge->streams[s].machine);
	}
	free(merge);
}

static struct level *find_level(const struct hs_merge *merge, const char *machine)
{
	for (unsigned i = 0; i < merge->levels_nr; i++)
		if (!strcmp(merge->levels[i].machine, machine))
			return (struct level *)&merge->levels[i];
	return NULL;
}

int hs_merge_add_stream(struct hs_merge *merge, const char *machine, enum hs_journal_source source)
{
	struct stream *stream = &merge->streams[merge->streams_nr];

	if (merge->streams_nr == HS_MERGE_STREAMS_MAX)
		return -ENOSPC;
	*stream = (struct stream){ .machine = strdup(machine), .source = source };
	if (!stream->machine)
		return -ENOMEM;
	if (!find_level(merge, machine))
		merge->levels[merge->levels_nr++] = (struct level){ stream->machine, HS_JOURNAL_SEVERITY_NR - 1 };
	return (int)merge->streams_nr++;
}

void hs_merge_set_window(struct hs_merge *merge, uint64_t window_ns)
{
	merge->config.window_ns = window_ns;
}

void hs_merge_expect(struct hs_merge *merge, unsigned stream, uint64_t seq)
{
	merge->streams[stream].has_next = true;
	merge->streams[stream].next_seq = seq;
}

int hs_merge_set_level(struct hs_merge *merge, const char *machine, int severity)
{
	struct level *level = find_level(merge, machine);

	if (!level)
		return -ENOENT;
	level->severity = severity;
	return 0;
}

int hs_merge_level(const struct hs_merge *merge, const char *machine)
{
	const struct level *level = find_level(merge, machine);

	return level ? level->severity : HS_JOURNAL_UNKNOWN;
}

const struct hs_merge_counts *hs_merge_counts(const struct hs_merge *merge)
{
	return &merge->counts;
}

/* ---- the queue of a stream ---- */

static int grow(struct stream *stream)
{
	size_t room = stream->room ? 2 * stream->room : 64;
	struct held **queue = calloc(room, sizeof(struct held *));

	if (!queue)
		return -ENOMEM;
	for (size_t i = 0; i < stream->count; i++)
		queue[i] = *slot(stream, i);
	free(stream->queue);
	stream->queue = queue;
	stream->head = 0;
	stream->room = room;
	return 0;
}

/* Where a record of that number belongs: behind all that have none or a lower one. */
static size_t find_place(const struct stream *stream, const struct hs_journal_record *record)
{
	size_t place = stream->count;

	while (record->has_seq && place && (*slot(stream, place - 1))->record.has_seq &&
	       (*slot(stream, place - 1))->record.seq > record->seq)
		place--;
	return place;
}

static void insert(struct stream *stream, size_t place, struct held *held)
{
	for (size_t i = stream->count; i > place; i--)
		*slot(stream, i) = *slot(stream, i - 1);
	*slot(stream, place) = held;
	stream->count++;
}

static struct range *find_gap(struct stream *stream, uint64_t seq)
{
	for (unsigned i = 0; i < stream->gaps_nr; i++)
		if (seq >= stream->gaps[i].first && seq <= stream->gaps[i].last)
			return &stream->gaps[i];
	return NULL;
}

static void note_gap(struct stream *stream, uint64_t first, uint64_t last)
{
	if (stream->gaps_nr == GAPS_MAX)
		memmove(stream->gaps, stream->gaps + 1, --stream->gaps_nr * sizeof(stream->gaps[0]));
	stream->gaps[stream->gaps_nr++] = (struct range){ first, last };
}

/* The number came after all. What lies behind it in the gap becomes a gap of its own. */
static void fill_gap(struct stream *stream, struct range *gap, uint64_t seq)
{
	struct range rest = { seq + 1, gap->last };

	gap->last = seq - 1;
	if (seq == gap->first)
		*gap = rest;
	else if (rest.first <= rest.last)
		note_gap(stream, rest.first, rest.last);
	for (unsigned i = 0; i < stream->gaps_nr; i++)
		if (stream->gaps[i].first > stream->gaps[i].last)
			stream->gaps[i--] = stream->gaps[--stream->gaps_nr];
}

static bool is_duplicate(struct stream *stream, const struct hs_journal_record *record, size_t place)
{
	if (!record->has_seq)
		return false;
	if (place && (*slot(stream, place - 1))->record.has_seq &&
	    (*slot(stream, place - 1))->record.last_seq >= record->seq)
		return true;
	return stream->has_next && record->seq < stream->next_seq && !find_gap(stream, record->seq);
}

/* ---- joining ---- */

static bool same_caller(const struct hs_journal_record *a, const struct hs_journal_record *b)
{
	return a->tid == b->tid && a->cpu == b->cpu;
}

/* What the continuation at `place` goes on with; NULL: it was handed out. */
static struct held **find_head(const struct stream *stream, const struct hs_journal_record *record, size_t place)
{
	bool has_caller = record->tid >= 0 || record->cpu >= 0;

	for (size_t back = 1; back <= place && back <= LOOK_BACK; back++) {
		struct held **held = slot(stream, place - back);

		if ((*held)->is_joined)
			continue; /* its head is further up */
		if (same_caller(&(*held)->record, record))
			return held;
		if (!has_caller)
			return NULL;
	}
	return NULL;
}

static int append(struct hs_merge *merge, struct held **at, const char *text, size_t len)
{
	struct held *held = *at;
	size_t need = held->record.len + len;

	if (need > held->room) {
		held = realloc(held, sizeof(*held) + 2 * need);
		if (!held)
			return -ENOMEM;
		merge->held_bytes += 2 * need - held->room;
		held->room = 2 * need;
		held->record.text = held->text;
		*at = held;
	}
	memcpy(held->text + held->record.len, text, len);
	held->record.len = need;
	return 0;
}

/* True when the record is part of another now; its own number needs no place then. */
static bool join(struct hs_merge *merge, struct stream *stream, const struct hs_journal_record *record, size_t place,
		 bool *needs_place)
{
	struct held **head = find_head(stream, record, place);
	struct hs_journal_record *joined = head ? &(*head)->record : NULL;

	if (!joined || joined->len + record->len > HS_MERGE_TEXT_MAX)
		return false;
	if (!(*head)->is_hidden && append(merge, head, record->text, record->len))
		return false;
	joined = &(*head)->record;
	*needs_place = !joined->has_seq || !record->has_seq || joined->last_seq + 1 != record->seq;
	if (!*needs_place)
		joined->last_seq = record->last_seq;
	merge->counts.joined++;
	return true;
}

/* ---- in ---- */

static int hold(struct hs_merge *merge, struct stream *stream, const struct hs_journal_record *record, size_t place,
		bool is_hidden, bool is_joined, uint64_t now_ns)
{
	size_t room = is_hidden ? 0 : record->len;
	struct held *held;

	if (stream->count == stream->room && grow(stream))
		return -ENOMEM;
	held = malloc(sizeof(*held) + room);
	if (!held)
		return -ENOMEM;
	*held = (struct held){
		.record = *record, .came_ns = now_ns, .is_hidden = is_hidden, .is_joined = is_joined, .room = room
	};
	if (room)
		memcpy(held->text, record->text, room);
	held->record.text = held->text;
	held->record.len = room;
	held->record.machine = stream->machine;
	held->record.source = stream->source;
	/* Nothing comes before it was made: a guest that says so would make all others late. */
	if (!held->record.boot_ns || held->record.boot_ns > now_ns)
		held->record.boot_ns = now_ns;
	insert(stream, place, held);
	merge->held_bytes += sizeof(*held) + room;
	return 0;
}

static void hand_out_one(struct hs_merge *merge, struct stream *stream);
static struct stream *find_first(struct hs_merge *merge, uint64_t *oldest_ns);

static void keep_within_memory(struct hs_merge *merge)
{
	uint64_t oldest_ns;
	struct stream *first;

	while (merge->held_bytes > merge->config.memory_bytes && (first = find_first(merge, &oldest_ns)))
		hand_out_one(merge, first);
}

int hs_merge_put(struct hs_merge *merge, unsigned stream_nr, const struct hs_journal_record *given,
		 bool is_continuation, uint64_t now_ns)
{
	struct stream *stream = &merge->streams[stream_nr];
	struct hs_journal_record record = *given;
	size_t place = find_place(stream, &record);
	bool is_hidden = record.severity > find_level(merge, stream->machine)->severity;
	bool is_joined, needs_place = true;
	int err;

	if (record.has_seq && record.last_seq < record.seq)
		record.last_seq = record.seq;
	if (is_duplicate(stream, &record, place)) {
		merge->counts.duplicates++;
		return 0;
	}
	is_joined = is_continuation && join(merge, stream, &record, place, &needs_place);
	if (!needs_place)
		return 0;
	record.is_fragment = record.is_fragment || is_continuation;
	err = hold(merge, stream, &record, place, is_hidden || is_joined, is_joined, now_ns);
	if (!err)
		keep_within_memory(merge);
	return err;
}

/* ---- out ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Where a stream's head belongs among the others: inside a stream numbers decide, so its time does not step back. */
static uint64_t time_of_head(const struct stream *stream)
{
	return later((*slot(stream, 0))->record.boot_ns, stream->newest_ns);
}

/* The stream whose head is next, NULL: none has one; *oldest_ns: when the head that waits longest came. */
static struct stream *find_first(struct hs_merge *merge, uint64_t *oldest_ns)
{
	struct stream *first = NULL;

	*oldest_ns = UINT64_MAX;
	for (unsigned s = 0; s < merge->streams_nr; s++) {
		struct stream *stream = &merge->streams[s];

		if (!stream->count)
			continue;
		if ((*slot(stream, 0))->came_ns < *oldest_ns)
			*oldest_ns = (*slot(stream, 0))->came_ns;
		if (!first || time_of_head(stream) < time_of_head(first))
			first = stream;
	}
	return first;
}

static void hand_out_gap(struct hs_merge *merge, struct stream *stream, const struct hs_journal_record *before)
{
	struct hs_journal_record gap = *before;

	gap.kind = HS_JOURNAL_GAP;
	gap.severity = gap.tid = gap.cpu = HS_JOURNAL_UNKNOWN;
	gap.seq = stream->next_seq;
	gap.last_seq = before->seq - 1;
	gap.has_machine_ns = gap.is_fragment = false;
	gap.late_ns = 0;
	gap.len = 0;
	note_gap(stream, gap.seq, gap.last_seq);
	merge->counts.missing += gap.last_seq - gap.seq + 1;
	merge->config.on_record(merge->config.ctx, &gap);
}

/* Its numbers' turn, several when others were joined into it: a gap before, or a place in one that was told; then true.
 */
static bool follow_numbers(struct hs_merge *merge, struct stream *stream, const struct hs_journal_record *record)
{
	bool was_missed = stream->has_next && record->seq < stream->next_seq;

	if (!record->has_seq)
		return false;
	for (uint64_t seq = record->seq; was_missed && seq <= record->last_seq && seq < stream->next_seq; seq++) {
		struct range *gap = find_gap(stream, seq);

		if (gap) {
			fill_gap(stream, gap, seq);
			merge->counts.missing--;
		}
	}
	if (stream->has_next && record->seq > stream->next_seq)
		hand_out_gap(merge, stream, record);
	if (!stream->has_next || record->last_seq >= stream->next_seq)
		stream->next_seq = record->last_seq + 1;
	stream->has_next = true;
	return was_missed;
}

static void hand_out_one(struct hs_merge *merge, struct stream *stream)
{
	struct held *held = *slot(stream, 0);
	uint64_t time_ns = time_of_head(stream);
	bool was_missed;

	stream->head = (stream->head + 1) & (stream->room - 1);
	stream->count--;
	was_missed = follow_numbers(merge, stream, &held->record);
	if (time_ns < merge->newest_ns)
		held->record.late_ns = merge->newest_ns - time_ns;
	else if (was_missed)
		held->record.late_ns = time_ns > held->record.boot_ns ? time_ns - held->record.boot_ns : 1;
	stream->newest_ns = time_ns;
	merge->newest_ns = later(merge->newest_ns, time_ns);
	merge->held_bytes -= sizeof(*held) + held->room;
	if (held->is_hidden) {
		merge->counts.below += !held->is_joined;
	} else {
		merge->counts.records++;
		merge->counts.late += held->record.late_ns != 0;
		merge->config.on_record(merge->config.ctx, &held->record);
	}
	free(held);
}

uint64_t hs_merge_advance(struct hs_merge *merge, uint64_t now_ns)
{
	uint64_t oldest_ns;
	struct stream *first;

	while ((first = find_first(merge, &oldest_ns)) && now_ns >= oldest_ns + merge->config.window_ns)
		hand_out_one(merge, first);
	return first ? oldest_ns + merge->config.window_ns : 0;
}

void hs_merge_flush(struct hs_merge *merge)
{
	uint64_t oldest_ns;
	struct stream *first;

	while ((first = find_first(merge, &oldest_ns)))
		hand_out_one(merge, first);
}

void hs_merge_restart(struct hs_merge *merge, unsigned stream_nr)
{
	struct stream *stream = &merge->streams[stream_nr];
	uint64_t oldest_ns;

	while (stream->count)
		hand_out_one(merge, find_first(merge, &oldest_ns));
	stream->has_next = false;
	stream->gaps_nr = 0;
}
