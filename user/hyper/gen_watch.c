// SPDX-License-Identifier: GPL-2.0-only
/* What has been done in the time so far says what the rest takes. Called by trace-gen for blocks and packets. One
 * thread. */
#include "hyper/gen_watch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/unit.h"

#define TELL_EVERY_NS 10000000000u
#define LOOKS 1000 /* at the clock, over the whole */

void hs_gen_watch_begin(struct hs_gen_watch *watch, const char *what, uint64_t whole)
{
	*watch = (struct hs_gen_watch){
		.what = what, .whole = whole, .look_at = whole / LOOKS, .start_ns = hs_now_ns()
	};
	watch->told_ns = watch->start_ns;
}

const char *hs_gen_watch_format(const struct hs_gen_watch *watch, uint64_t now_ns, char *text, size_t size)
{
	uint64_t done = watch->done < watch->whole ? watch->done : watch->whole, left_s;
	char left[32] = "", about[64] = "";

	if (done && done < watch->whole) {
		left_s = (uint64_t)((double)(now_ns - watch->start_ns) * (double)(watch->whole - done) / (double)done /
					    1e9 +
				    0.5);
		snprintf(about, sizeof(about), ", about %s left",
			 hs_format_ns(left, sizeof(left), left_s * 1000000000));
	}
	snprintf(text, size, "%s: %.0f %%%s", watch->what, 100 * (double)done / (double)watch->whole, about);
	return text;
}

void hs_gen_watch_look(struct hs_gen_watch *watch)
{
	uint64_t now_ns;
	char text[128];

	watch->look_at = watch->done + watch->whole / LOOKS;
	if (!watch->whole)
		return;
	now_ns = hs_now_ns();
	if (now_ns - watch->told_ns < TELL_EVERY_NS)
		return;
	watch->told_ns = now_ns;
	hs_info("%s", hs_gen_watch_format(watch, now_ns, text, sizeof(text)));
}
