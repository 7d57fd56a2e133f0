// SPDX-License-Identifier: GPL-2.0-only
/*
 * ncurses keeps what is on the terminal and sends only differences, so a screen that is drawn anew does not flicker.
 * It also catches SIGWINCH: the new size comes as a key.
 */
#include "stat/screen.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEY_CTRL_C 3
#define TOP_LINES 3 /* above the ranks */

static SCREEN *screen;

static const char *const help[] = {
	"q  quit",
	"s  sort by exits, exit time, kicks, packets",
	"v  VMs or vCPUs",
	"p  pause (counting goes on)",
	"up, down, page up, page down, home  scroll",
	"h  this help",
	"",
	"exits/s   times vCPUs left guest mode; in exit: share of time until they entered again",
	"user/s    times KVM_RUN returned to user space",
	"access/s  ports, emulated memory and MSRs that the guest used",
	"irq/s     interrupts put into vCPUs",
	"kicks/s   times the guest woke vhost",
	"on CPU, steal, guest: shares of time that vCPU threads ran, waited for a CPU, ran the guest; a VM's add up",
};

int hs_screen_open(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return -ENOTTY;
	setlocale(LC_CTYPE, "");
	screen = term && *term ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen)
		return -EOPNOTSUPP;
	if (!tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		hs_screen_close();
		return -EOPNOTSUPP;
	}
	raw(); /* Ctrl-C is a key: what is on the screen is ours */
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	return 0;
}

void hs_screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

/* One line from the left edge, cut at the right one. */
static void put_line(int line, attr_t attributes, const char *text)
{
	if (line >= LINES)
		return;
	attrset(attributes);
	mvaddnstr(line, 0, text, COLS);
	clrtoeol();
	attrset(A_NORMAL);
}

static void put_reverse_line(int line, const char *text)
{
	put_line(line, A_REVERSE, text);
	mvchgat(line, 0, -1, A_REVERSE, 0, NULL);
}

static void put_title(const struct hs_stat_report *report, const struct hs_stat_ranking *ranking,
		      const struct hs_screen_state *state)
{
	char summary[HS_STAT_RANK_TEXT_BYTES], title[HS_STAT_RANK_TEXT_BYTES + 48], clock[16];
	time_t now = time(NULL);
	struct tm local;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
	snprintf(title, sizeof(title), "hsbpf top %s%s  %s", clock, state->is_paused ? " (paused)" : "",
		 hs_stat_ranking_summary(report, ranking, summary, sizeof(summary)));
	put_line(0, A_BOLD, title);
}

void hs_screen_draw(const struct hs_stat_report *report, const struct hs_stat_ranking *ranking,
		    const struct hs_screen_state *state, const char *note)
{
	char text[HS_STAT_RANK_TEXT_BYTES];
	int line = TOP_LINES;

	erase();
	put_title(report, ranking, state);
	put_line(1, A_DIM, note);
	if (state->has_help) {
		for (size_t i = 0; i < HS_ARRAY_SIZE(help); i++)
			put_line(2 + (int)i, A_NORMAL, help[i]);
	} else {
		put_reverse_line(2, hs_stat_rank_head(text, sizeof(text)));
		for (size_t i = state->first; i < ranking->rank_nr && line < LINES - 1; i++)
			put_line(line++, A_NORMAL, hs_stat_rank_format(report, &ranking->ranks[i], text, sizeof(text)));
	}
	put_reverse_line(LINES - 1, "q quit  s sort  v VM/vCPU  p pause  h help");
	refresh();
}

static void scroll_by(struct hs_screen_state *state, int lines)
{
	if (lines < 0 && state->first < (size_t)-lines)
		state->first = 0;
	else
		state->first += lines;
}

bool hs_screen_read_keys(struct hs_screen_state *state)
{
	bool is_changed = false;
	int key, page = LINES > TOP_LINES + 2 ? LINES - TOP_LINES - 1 : 1;

	while ((key = getch()) != ERR) {
		is_changed = true;
		switch (key) {
		case 'q':
		case KEY_CTRL_C:
			state->is_over = true;
			break;
		case 's':
			state->sort = (state->sort + 1) % (HS_STAT_SORT_PACKETS + 1);
			break;
		case 'v':
			state->by_vcpu = !state->by_vcpu;
			state->first = 0;
			break;
		case 'p':
			state->is_paused = !state->is_paused;
			break;
		case 'h':
		case '?':
			state->has_help = !state->has_help;
			break;
		case KEY_DOWN:
			scroll_by(state, 1);
			break;
		case KEY_UP:
			scroll_by(state, -1);
			break;
		case KEY_NPAGE:
			scroll_by(state, page);
			break;
		case KEY_PPAGE:
			scroll_by(state, -page);
			break;
		case KEY_HOME:
			state->first = 0;
			break;
		default: /* KEY_RESIZE: ncurses knows the size already */
			break;
		}
	}
	return is_changed;
}
