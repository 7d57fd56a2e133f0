// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the option rows say, for people: --help, man pages (roff), bash completion. Pure printing.
 */
#include <string.h>

#include "opt.h"

static void print_option(FILE *out, const struct hs_opt *option)
{
	char left[80];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", option->key ? "-" : " ", option->key ? option->key : ' ',
		 option->key ? ", " : "  ", option->name, option->arg ? " " : "", option->arg ? option->arg : "");
	fprintf(out, "  %-30s %s", left, option->help);
	for (int i = 0; option->choices && option->choices[i]; i++)
		fprintf(out, "%s%s", i ? "|" : ": ", option->choices[i]);
	fprintf(out, option->def ? " (default %s)\n" : "\n", option->def);
}

void hs_verb_print_help(FILE *out, const struct hs_verb *verb)
{
	fprintf(out, "Usage: hsbpf %s [OPTION]... %s\n\n%s.\n", verb->name, verb->synopsis, verb->help);
	if (verb->text)
		fprintf(out, "\n%s\n", verb->text);
	fprintf(out, "\nOptions:\n");
	for (const struct hs_opt *option = verb->options; option->name; option++)
		print_option(out, option);
	fprintf(out, "  %-30s %s\n", "-h, --help", "this text");
}

/* roff takes '-' for a hyphen and a leading '.' for a request. */
static void print_roff(FILE *out, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
		line_start = *text == '\n';
	}
}

static void print_man_option(FILE *out, const struct hs_opt *option)
{
	fputs(".TP\n", out);
	if (option->key)
		fprintf(out, ".BR \\-%c \", \" ", option->key);
	else
		fputs(".B ", out);
	fputs("\"\\-\\-", out);
	print_roff(out, option->name);
	if (option->arg) {
		fputc(' ', out);
		print_roff(out, option->arg);
	}
	fputs("\"\n", out);
	print_roff(out, option->help);
	for (int i = 0; option->choices && option->choices[i]; i++) {
		fputs(i ? " | " : ": ", out);
		print_roff(out, option->choices[i]);
	}
	if (option->def) {
		fputs(" (default ", out);
		print_roff(out, option->def);
		fputc(')', out);
	}
	fputs(".\n", out);
}

/* "-VERB" as roff has it, a hyphen for each space. */
static void print_man_name(FILE *out, const char *name)
{
	if (*name)
		fputs("\\-", out);
	for (; *name; name++)
		fputs(*name == ' ' ? "\\-" : (char[]){ *name, 0 }, out);
}

static void print_man_head(FILE *out, const char *name, const char *what)
{
	fputs(".TH HSBPF", out);
	print_man_name(out, name);
	fprintf(out, " 1 \"\" \"hsbpf %s\" \"User Commands\"\n.SH NAME\nhsbpf", HS_VERSION);
	print_man_name(out, name);
	fputs(" \\- ", out);
	print_roff(out, what);
	fputc('\n', out);
}

static const char exit_status[] = ".SH EXIT STATUS\n0 success; 1 failure; 2 usage; 3 finished but data was lost and "
				  "\\-\\-fail\\-on\\-loss was given; "
				  "4 a privilege or kernel feature is missing; 5 a threshold was exceeded.\n";

void hs_verb_print_man(FILE *out, const struct hs_verb *verb)
{
	print_man_head(out, verb->name, verb->help);
	fprintf(out, ".SH SYNOPSIS\n.B hsbpf %s\n[OPTION]... ", verb->name);
	print_roff(out, verb->synopsis);
	fputs("\n.SH DESCRIPTION\n", out);
	print_roff(out, verb->help);
	fputs(".\n", out);
	if (verb->text) {
		fputs(".PP\n.nf\n", out);
		print_roff(out, verb->text);
		fputs("\n.fi\n", out);
	}
	fputs(".SH OPTIONS\n", out);
	for (const struct hs_opt *option = verb->options; option->name; option++)
		print_man_option(out, option);
	fputs(exit_status, out);
	fputs(".SH SEE ALSO\n.BR hsbpf (1)\n", out);
}

void hs_verbs_print_man(FILE *out, const struct hs_verb *const *verbs, const char *summary)
{
	print_man_head(out, "", summary);
	fputs(".SH SYNOPSIS\n.B hsbpf\nVERB [OPTION]...\n.SH VERBS\n", out);
	for (; *verbs; verbs++) {
		fprintf(out, ".TP\n.B %s\n", (*verbs)->name);
		print_roff(out, (*verbs)->help);
		fputs(".\n", out);
	}
	fputs(exit_status, out);
	fputs(".SH ENVIRONMENT\n.TP\n.B HSBPF_CACHE\nfolder for the guest kernel and cached answers "
	      "(default /var/cache/hsbpf)\n",
	      out);
}

/* What may follow the first word of verbs that have two. */
static void print_second_words(FILE *out, const struct hs_verb *const *verbs, const char *first)
{
	size_t len = strlen(first);

	fprintf(out, "\t'%s|'*) words='", first);
	for (; *verbs; verbs++)
		if (!strncmp((*verbs)->name, first, len) && (*verbs)->name[len] == ' ')
			fprintf(out, "%s ", (*verbs)->name + len + 1);
	fputs("' ;;\n", out);
}

void hs_verbs_print_completion(FILE *out, const struct hs_verb *const *verbs)
{
	fputs("# bash completion for hsbpf, made by `hsbpf gen completion`\n"
	      "_hsbpf()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal verb=${COMP_WORDS[1]} words=\n"
	      "\t[ \"$verb\" = lab ] || [ \"$verb\" = gen ] || [ \"$verb\" = report ] && [ \"$COMP_CWORD\" -gt 2 ] && "
	      "verb=\"$verb "
	      "${COMP_WORDS[2]}\"\n"
	      "\tcase \"$verb|$prev\" in\n",
	      out);
	for (const struct hs_verb *const *verb = verbs; *verb; verb++)
		for (const struct hs_opt *option = (*verb)->options; option->name; option++) {
			if (option->type != HS_OPT_CHOICE)
				continue;
			fprintf(out, "\t'%s|--%s') words='", (*verb)->name, option->name);
			for (int i = 0; option->choices[i]; i++)
				fprintf(out, "%s%s", i ? " " : "", option->choices[i]);
			fputs("' ;;\n", out);
		}
	for (const struct hs_verb *const *verb = verbs; *verb; verb++) {
		fprintf(out, "\t'%s|'*) words='--help", (*verb)->name);
		for (const struct hs_opt *option = (*verb)->options; option->name; option++)
			fprintf(out, " --%s", option->name);
		fputs("' ;;\n", out);
	}
	print_second_words(out, verbs, "lab");
	print_second_words(out, verbs, "report");
	fputs("\t*) words='", out);
	for (const struct hs_verb *const *verb = verbs; *verb; verb++)
		fprintf(out, "%.*s ", (int)strcspn((*verb)->name, " "), (*verb)->name);
	fputs("' ;;\n\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
	      "complete -o default -F _hsbpf hsbpf\n",
	      out);
}
