/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One record of a machine's log, and its two forms on disk: a line of text and a line of JSON (hsbpf.log/1). What
 * sources make (kmsg.h, lines.h), the merge orders and files hold; crash logs are printed the same way. Pure; any
 * thread.
 */
#ifndef HS_JOURNAL_RECORD_H
#define HS_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_JOURNAL_SCHEMA "hsbpf.log/1"

enum hs_journal_kind {
	HS_JOURNAL_MESSAGE,
	HS_JOURNAL_GAP,	 /* records seq to last_seq are missing here; text is not used */
	HS_JOURNAL_NOTE, /* what hsbpf itself has to say of the machine's log: a boot, a level, a full disk */
	HS_JOURNAL_KIND_NR,
};

enum hs_journal_source {
	HS_JOURNAL_KERNEL,  /* /dev/kmsg */
	HS_JOURNAL_CONSOLE, /* serial console */
	HS_JOURNAL_QEMU,    /* QEMU's stderr */
	HS_JOURNAL_CRASH,   /* memory that outlived a crash */
	HS_JOURNAL_HSBPF,   /* notes */
	HS_JOURNAL_SOURCE_NR,
};

/* Severities are the kernel's, 0 (emerg) to 7 (debug). */
#define HS_JOURNAL_SEVERITY_NR 8
#define HS_JOURNAL_UNKNOWN (-1)

struct hs_journal_record {
	const char *machine; /* borrowed */
	enum hs_journal_kind kind;
	enum hs_journal_source source;
	int severity; /* or HS_JOURNAL_UNKNOWN */
	int cpu, tid; /* where the kernel told; a kernel tells one of both, if any (CONFIG_PRINTK_CALLER) */
	bool has_seq;
	uint64_t seq, last_seq; /* last_seq > seq: of a gap, or of continuation records that were joined */
	uint64_t boot_ns;	/* the host's CLOCK_BOOTTIME; 0: unknown, or of another boot of the host */
	uint64_t real_ns;	/* the host's CLOCK_REALTIME then; 0: unknown */
	uint64_t error_ns;	/* both may be off by so much */
	bool has_machine_ns;
	uint64_t machine_ns; /* what the machine's own log says, its clock */
	uint64_t late_ns;    /* came so long after a later one was written; 0: in order */
	bool is_fragment;    /* goes on with a record that was written before */
	uint64_t file_end;   /* of a line of a file: the offset behind it; not printed */
	const char *text;    /* raw bytes of the message, borrowed; not NUL-terminated, anything may be in it */
	size_t len;
};

/* All that is not known is said so; kind is MESSAGE. */
struct hs_journal_record hs_journal_record_new(const char *machine, enum hs_journal_source source);

/* "err"; "-" for HS_JOURNAL_UNKNOWN. */
const char *hs_journal_severity_name(int severity);
/* By name ("warning", also "warn", "error", "panic") or digit; -EINVAL. */
int hs_journal_severity_parse(const char *text);
const char *hs_journal_source_name(enum hs_journal_source source);

/* Bytes that grow. = {} is empty; err is kept (-ENOMEM): check it once, at the end. */
struct hs_journal_buffer {
	char *bytes;
	size_t len, size;
	int err;
};

void hs_journal_buffer_add(struct hs_journal_buffer *buffer, const char *bytes, size_t len);
void hs_journal_buffer_clear(struct hs_journal_buffer *buffer);
static inline void hs_journal_buffer_scoped(struct hs_journal_buffer *buffer)
{
	hs_journal_buffer_clear(buffer);
}

/*
 * Appends one line, newline included:
 *   2026-11-21T14:45:20.123456Z +-12us l1 warning kernel 1234 T55: text
 * time, its bound, machine, severity, source, number (or FROM-TO), thread T and CPU C, and words such as `late=3ms`
 * before ": "; what is not known is "-". Control characters, bytes that are no UTF-8 and backslashes of the text are
 * \xNN, as the kernel does it, so one record is one line and a guest cannot move the reader's cursor.
 */
void hs_journal_record_print(const struct hs_journal_record *record, struct hs_journal_buffer *out);
/* One line of JSON, newline included; bytes that are no UTF-8 are \xNN within the string. */
void hs_journal_record_print_json(const struct hs_journal_record *record, struct hs_journal_buffer *out);

#endif
