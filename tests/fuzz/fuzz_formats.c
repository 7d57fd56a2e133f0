// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a formats file: the parser ends and stays inside them; what it takes prints a line for records of any
 * event, full of ones. Run for N seconds, without the parser's messages:
 *     build/tests/fuzz/fuzz_formats -max_total_time=N -close_fd_mask=2
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "print/formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hs_out out = { .fd = -1 };
	scoped(hs_formats) struct hs_formats *formats = NULL;
	scoped(mem) char *text = malloc(size + 1);

	hs_log_set_level(HS_LOG_ERR);
	if (out.fd < 0)
		out.fd = open("/dev/null", O_WRONLY);
	if (!text || out.fd < 0)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (hs_formats_parse("fuzz", text, size, &formats))
		return 0;
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		union {
			struct hs_event_header header;
			uint8_t bytes[64];
		} record;
		struct hs_print_row row = {
			.event = &hs_events[i], .header = &record.header, .machine = "host", .vm = "a\n\xff", .vcpu = -1
		};

		memset(&record, 0xff, sizeof(record));
		record.header.id = hs_events[i].id;
		hs_formats_print(formats, &out, &row);
	}
	return 0;
}
