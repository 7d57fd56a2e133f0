/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of one page of ftrace's ring buffer (kernel/trace/ring_buffer.c: struct buffer_data_page and struct
 * ring_buffer_event). The page is a guest's: whatever is in it, no byte outside it is read. Pure; any thread.
 */
#ifndef HS_FTRACE_PAGE_H
#define HS_FTRACE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_FTRACE_PAGE_BYTES_MAX (1u << 20)

/* As tracefs' events/header_page tells it. */
struct hs_ftrace_layout {
	uint32_t page_bytes; /* the header and the data: a sub-buffer, which may be larger than a page of memory */
	uint32_t commit_offset, commit_bytes; /* 4 or 8: the kernel's long */
	uint32_t data_offset;
};

extern const struct hs_ftrace_layout hs_ftrace_layout_x86_64;

/* -EBADMSG: not that text, or of a layout that cannot be. */
int hs_ftrace_layout_parse(const char *text, size_t bytes, struct hs_ftrace_layout *out);

struct hs_ftrace_page {
	const uint8_t *at, *end; /* events not given out yet */
	uint64_t ts;		 /* of the newest event, at first of the page: the unit of the trace's clock */
	bool has_missed;	 /* the ring lost events before this page ... */
	uint64_t missed;	 /* ... that many; 0: there was no room to say it */
};

struct hs_ftrace_raw {
	const uint8_t *data; /* the event's own bytes, 4-aligned in the page */
	size_t bytes;
	uint64_t ts;
};

/* `page` has layout->page_bytes. -EBADMSG: its header makes no sense. */
int hs_ftrace_page_open(const struct hs_ftrace_layout *layout, const void *page, struct hs_ftrace_page *out);

/* 1 and the next event; 0: there are no more; -EBADMSG: what follows makes no sense. */
int hs_ftrace_page_next(struct hs_ftrace_page *page, struct hs_ftrace_raw *out);

#endif
