// SPDX-License-Identifier: GPL-2.0-only
/*
 * `hsbpf guest list|attach|start|stop|status`: traces of single guests. A guest is a machine of a lab, a libvirt
 * domain, or a path where its ports are; attach records in the foreground, start leaves a process behind.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/wire.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "cmd.h"
#include "guest/document.h"
#include "guest/libvirt.h"
#include "guest/recording.h"
#include "keeper.h"
#include "orchestrate/labdir.h"

#define SECOND_NS 1000000000ull
#define END_LIMIT_NS (60 * SECOND_NS)

struct guest_config {
	const char *lab, *out, *name, *events;
	struct hs_opt_list filters;
	int agent;
	uint64_t duration_ns, wait_ns, memory_bytes, disk_bytes, buffer_bytes;
	bool json, fail_on_loss, verbose;
};

static const char *const agents[] = { [HS_GUEST_AGENT_HSBPF] = "hsbpf", [HS_GUEST_AGENT_KERNEL] = "kernel", NULL };

#define LAB_OPTION                                                                                                     \
	HS_OPT(struct guest_config, lab, "lab", 0, HS_OPT_STR, "NAME", "lab",                                          \
	       "the lab in which the machine is looked for")
#define NAME_OPTION                                                                                                    \
	HS_OPT(struct guest_config, name, "name", 0, HS_OPT_STR, "NAME", NULL,                                         \
	       "what to call the guest; its machine, domain or path's name unless given")
#define JSON_OPTION HS_OPT(struct guest_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document")

/* ---- which guest ---- */

/* What the last part of a path says: "/run/x/vm1." is vm1. Letters that cannot be in a file name become '_'. */
static void name_of_path(const char *path, char *name, size_t size)
{
	size_t len = strlen(path), start;

	while (len && (path[len - 1] == '/' || path[len - 1] == '.'))
		len--;
	start = len;
	while (start && path[start - 1] != '/')
		start--;
	snprintf(name, size, "%.*s", (int)(len - start), path + start);
	for (char *at = name; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			*at = '_';
}

static int find_domain(const char *domain, struct hs_guest_place **out)
{
	scoped(hs_guest_place) struct hs_guest_place *place = NULL;
	scoped(mem) char *xml = NULL;
	unsigned vcpus;
	int err = hs_libvirt_read_domain(domain, &xml);

	if (!err)
		err = hs_libvirt_parse(xml, &place, &vcpus);
	if (err)
		return err;
	if (place->orders && place->cpus >= vcpus) {
		*out = take(place);
		return 0;
	}
	hs_err("the domain %s lacks trace ports: add these to its <devices> (`virsh edit %s`) and start it again",
	       domain, domain);
	hs_libvirt_print_missing(stdout, place, vcpus);
	return -ENODEV;
}

/* By path, by lab, by libvirt, in this order. */
static int find_guest(const struct guest_config *config, const char *word, char *name, size_t size,
		      struct hs_guest_place **out)
{
	scoped(mem) char *prefix = hs_format(HS_LAB_ROOT "/%s/%s.", config->lab, word);
	scoped(mem) char *orders = prefix ? hs_format("%s" HS_WIRE_CONTROL_PORT, prefix) : NULL;
	int err;

	if (!orders)
		return -ENOMEM;
	name_of_path(config->name ? config->name : word, name, size);
	if (!*name || *name == '.')
		return hs_fail(-EINVAL, "'%s' cannot be a guest's name", config->name ? config->name : word);
	if (strchr(word, '/'))
		return hs_guest_place_find(word, out);
	if (access(orders, F_OK) == 0)
		return hs_guest_place_find(prefix, out);
	err = hs_libvirt_is_here() ? find_domain(word, out) : -ENOENT;
	if (err == -ENOENT)
		return hs_fail(
			err,
			"there is no guest %s: neither a machine with trace ports in the lab '%s' nor a running "
			"libvirt domain; a path to its sockets or FIFOs has a slash; `hsbpf guest list` lists guests",
			word, config->lab);
	return err;
}

/* The one operand of most verbs. NULL after a message. */
static const char *one_guest(const char *verb, int argc, char **argv)
{
	if (argc == 1)
		return argv[0];
	hs_err("%s needs one guest: a lab's machine, a libvirt domain, or a path to its ports", verb);
	return NULL;
}

/* ---- attach and start ---- */

static const struct hs_opt record_options[] = {
	LAB_OPTION,
	NAME_OPTION,
	HS_OPT(struct guest_config, out, "out", 'o', HS_OPT_STR, "DIR", NULL,
	       "folder for the recording; hsbpf-guest-NAME unless given"),
	HS_OPT(struct guest_config, events, "events", 'e', HS_OPT_STR, "LIST",
	       "sched:sched_switch,irq:irq_handler_entry",
	       "what to record, with commas: tracepoints of the guest's kernel (sched:sched_switch, net:*) by ftrace, "
	       "events or profiles of `hsbpf events` (kvm) by BPF"),
	HS_OPT(struct guest_config, filters, "filter", 'f', HS_OPT_LIST, "FILTER", NULL,
	       "only events for which the guest's kernel finds this true: 'sched:sched_switch prev_pid != 0'; may be "
	       "repeated"),
	HS_OPT(struct guest_config, agent, "agent", 0, HS_OPT_CHOICE, "KIND", "hsbpf",
	       "what runs in the guest: hsbpf-agent, or the kernel's own trace-agent, which tells nothing of itself: "
	       "it "
	       "records what its tracefs is set to, and its pages are kept as they are",
	       .choices = agents),
	HS_OPT(struct guest_config, buffer_bytes, "buffer", 0, HS_OPT_SIZE, "SIZE", NULL,
	       "ring of each of the guest's CPUs; the agent's choice unless given", .min = 4096, .max = 1ull << 30),
	HS_OPT(struct guest_config, memory_bytes, "memory", 0, HS_OPT_SIZE, "SIZE", "16M",
	       "of this host, for what is not written yet; then a file takes it", .min = 4ull << 20, .max = 1ull << 36),
	HS_OPT(struct guest_config, disk_bytes, "spill", 0, HS_OPT_SIZE, "SIZE", "1G",
	       "the file's most; what finds no room is dropped and counted", .max = 1ull << 44),
	HS_OPT(struct guest_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; at Ctrl-C or `hsbpf guest stop` unless given"),
	HS_OPT(struct guest_config, wait_ns, "wait", 'w', HS_OPT_DURATION, "TIME", "30s",
	       "how long the guest may take to begin"),
	HS_OPT(struct guest_config, fail_on_loss, "fail-on-loss", 0, HS_OPT_FLAG, NULL, NULL,
	       "exit code 3 when an event was lost"),
	JSON_OPTION,
	HS_OPT(struct guest_config, verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step"),
	HS_OPT_END,
};

static void print_json(json_object *document)
{
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	fflush(stdout);
}

static void print_part(const char *folder, json_object *part)
{
	char bytes[32], bound[32];

	printf("%s: %s", folder, hs_json_get_bool(part, "complete") ? "complete" : "not complete");
	if (*hs_json_get_string(part, "ended"))
		printf(" (%s)", hs_json_get_string(part, "ended"));
	if (hs_json_get(part, "raw_bytes")) {
		printf(", %s of raw pages\n",
		       hs_format_bytes(bytes, sizeof(bytes), hs_json_get_u64(part, "raw_bytes")));
		return;
	}
	printf(", %llu events recorded, %llu lost, %s; its clock is known within %s\n",
	       (unsigned long long)hs_json_get_u64(part, "recorded"), (unsigned long long)hs_json_get_u64(part, "lost"),
	       hs_format_bytes(bytes, sizeof(bytes), hs_json_get_u64(part, "bytes")),
	       hs_format_ns(bound, sizeof(bound), hs_json_get_u64(part, "guest_clock.bound_ns")));
	if (!hs_json_get(part, "events"))
		return;
	json_object_object_foreach (hs_json_get(part, "events"), name, event)
		printf("  %-28s %14llu %10llu\n", name, (unsigned long long)hs_json_get_u64(event, "recorded"),
		       (unsigned long long)hs_json_get_u64(event, "lost"));
}

static void print_document(json_object *document)
{
	json_object *trace = hs_json_get(document, "trace"), *missing = hs_json_get(document, "not_recorded");

	printf("guest %s: %s", hs_json_get_string(document, "guest.machine"),
	       hs_json_get_string(document, "guest.state"));
	if (*hs_json_get_string(document, "guest.error"))
		printf(": %s", hs_json_get_string(document, "guest.error"));
	printf("\n");
	if (trace) {
		json_object_object_foreach (trace, folder, part)
			print_part(folder, part);
	}
	for (size_t i = 0; missing && i < json_object_array_length(missing); i++)
		printf("not recorded: %s: %s\n", hs_json_get_string(json_object_array_get_idx(missing, i), "event"),
		       hs_json_get_string(json_object_array_get_idx(missing, i), "reason"));
}

static void on_interrupt(void *ctx)
{
	hs_guest_recording_end(ctx);
}

static int exit_code(const struct guest_config *config, json_object *document, int err)
{
	if (err == -EINTR)
		return 128 + hs_interrupt_signal();
	if (err)
		return err == -EPERM || err == -EACCES ? HS_EXIT_PRIVILEGE : HS_EXIT_FAILURE;
	return config->fail_on_loss && hs_trace_document_lost(document) ? HS_EXIT_LOST : HS_EXIT_OK;
}

static struct hs_guest_recording_config recording_of(const struct guest_config *config, const char *name,
						     const char *dir)
{
	return (struct hs_guest_recording_config){
		.dir = dir,
		.guest = { .name = name,
			   .agent = (enum hs_guest_agent)config->agent,
			   .events = config->events,
			   .filters = config->filters.items, /* zeroed behind the last */
			   .buffer_kib = (uint32_t)(config->buffer_bytes >> 10) },
		.queue = { .memory_bytes = config->memory_bytes, .disk_bytes = config->disk_bytes },
		.duration_ns = config->duration_ns,
	};
}

/* Records one guest to its end; a keeper's child lets its parent go once it records. */
static int record(const struct guest_config *config, const char *name, struct hs_guest_place *place,
		  struct hs_keeper *keeper)
{
	scoped(mem) char *default_dir = hs_format("hsbpf-guest-%s", name);
	const char *dir = config->out ? config->out : default_dir;
	struct hs_guest_recording_config recording_config = recording_of(config, name, dir);
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_guest_recording) struct hs_guest_recording *recording = NULL;
	int err = hs_loop_open(&loop), code;

	if (err) {
		hs_guest_place_free(place);
		return err;
	}
	err = hs_guest_recording_open(loop, &recording_config, place, &recording);
	if (!err)
		err = hs_interrupt_open(loop, on_interrupt, recording);
	if (err)
		return err;
	err = hs_guest_recording_wait(recording, hs_now_ns() + config->wait_ns);
	if (!err) {
		hs_info("%s is being recorded into %s", name, dir);
		if (keeper)
			hs_keeper_detach(keeper, 0);
		err = hs_guest_recording_run(recording);
	}
	err = hs_guest_recording_finish(recording, err);
	code = exit_code(config, hs_guest_recording_document(recording), err);
	if (!keeper && config->json)
		print_json(hs_guest_recording_document(recording));
	else if (!keeper && !err)
		print_document(hs_guest_recording_document(recording));
	hs_interrupt_close(loop);
	return code;
}

/* 0 and the guest, or an exit code. */
static int prepare(const struct guest_config *config, const char *verb, int argc, char **argv, char *name, size_t size,
		   struct hs_guest_place **place)
{
	const char *word = one_guest(verb, argc, argv);

	if (!word)
		return HS_EXIT_USAGE;
	hs_log_set_level(config->verbose ? HS_LOG_DBG : HS_LOG_INFO);
	return find_guest(config, word, name, size, place);
}

static int run_attach(void *config, int argc, char **argv)
{
	struct hs_guest_place *place;
	char name[64];
	int err = prepare(config, "guest attach", argc, argv, name, sizeof(name), &place);

	return err ? err : record(config, name, place, NULL);
}

static int run_start(void *config, int argc, char **argv)
{
	struct hs_guest_place *place;
	struct hs_keeper keeper;
	char name[64];
	int err = prepare(config, "guest start", argc, argv, name, sizeof(name), &place);

	if (err)
		return err;
	if (hs_keeper_fork(&keeper, &err)) {
		hs_guest_place_free(place);
		return err;
	}
	err = record(config, name, place, &keeper);
	hs_keeper_end(&keeper, err);
}

const struct hs_verb cmd_guest_attach = {
	.name = "guest attach",
	.synopsis = "GUEST",
	.help = "record a guest's own kernel until Ctrl-C",
	.text = "GUEST is a machine of a lab (l1, l2-0, client-0), a libvirt domain, or a path: a folder that has the "
		"guest's ports\n"
		"as sockets or FIFOs (agent-ctl-path, trace-path-cpu0, ...), or what stands before those names. The "
		"guest "
		"runs\n"
		"hsbpf-agent, or the kernel's trace-agent. DIR gets guest.json and trace/NAME, CTF for babeltrace2. "
		"Whatever "
		"the\n"
		"guest sends is taken at once, so it never waits for this host.",
	.options = record_options,
	.config_size = sizeof(struct guest_config),
	.run = run_attach,
};

const struct hs_verb cmd_guest_start = {
	.name = "guest start",
	.synopsis = "GUEST",
	.help = "record a guest's own kernel in the background",
	.text = "Returns when the guest records; `hsbpf guest stop` ends it. GUEST is as in `hsbpf guest attach`.",
	.options = record_options,
	.config_size = sizeof(struct guest_config),
	.run = run_start,
};

/* ---- stop ---- */

static const struct hs_opt stop_options[] = {
	HS_OPT(struct guest_config, fail_on_loss, "fail-on-loss", 0, HS_OPT_FLAG, NULL, NULL,
	       "exit code 3 when an event was lost"),
	JSON_OPTION,
	HS_OPT_END,
};

static int read_document(const char *dir, json_object **document)
{
	scoped(mem) char *path = hs_format("%s/guest.json", dir);

	return path ? hs_json_read_file(path, document) : -ENOMEM;
}

static void on_gone(void *ctx, uint32_t events)
{
	(void)events;
	*(bool *)ctx = true;
}

static bool is_gone(void *ctx)
{
	return *(bool *)ctx;
}

/* Asks the process to end, and waits until it has. */
static int end_process(pid_t pid)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	struct hs_watch watch = HS_WATCH_NONE;
	bool gone = false;
	int err = hs_loop_open(&loop);

	if (!err)
		err = hs_loop_child(loop, &watch, pid, on_gone, &gone);
	if (!err && kill(pid, SIGTERM) < 0)
		err = hs_fail(-errno, "cannot end the recording's process %d:", pid);
	if (!err)
		err = hs_loop_until(loop, is_gone, &gone, hs_now_ns() + END_LIMIT_NS);
	if (err == -ETIMEDOUT)
		hs_err("the recording's process %d does not end", pid);
	if (loop)
		hs_loop_close(loop, &watch);
	return err;
}

static int run_stop(void *config_ptr, int argc, char **argv)
{
	const struct guest_config *config = config_ptr;
	scoped(json) json_object *document = NULL;
	scoped(mem) char *dir = NULL;
	char name[64];
	pid_t pid;
	int err;

	if (!one_guest("guest stop", argc, argv))
		return HS_EXIT_USAGE;
	name_of_path(argv[0], name, sizeof(name));
	dir = hs_guest_recording_find(name, &pid);
	if (!dir)
		return hs_fail(-ESRCH, "%s is not being recorded; `hsbpf guest list` says what is", name);
	err = end_process(pid);
	if (!err)
		err = read_document(dir, &document);
	if (err)
		return err;
	if (config->json)
		print_json(document);
	else
		print_document(document);
	if (strcmp(hs_json_get_string(document, "outcome"), "ok") != 0)
		return HS_EXIT_FAILURE;
	return config->fail_on_loss && hs_trace_document_lost(document) ? HS_EXIT_LOST : HS_EXIT_OK;
}

const struct hs_verb cmd_guest_stop = {
	.name = "guest stop",
	.synopsis = "GUEST",
	.help = "end a guest's recording and say what came of it",
	.text = "GUEST is the name that `hsbpf guest start` or `attach` gave it.",
	.options = stop_options,
	.config_size = sizeof(struct guest_config),
	.run = run_stop,
};

/* ---- status ---- */

static const struct hs_opt status_options[] = {
	LAB_OPTION,
	NAME_OPTION,
	HS_OPT(struct guest_config, wait_ns, "wait", 'w', HS_OPT_DURATION, "TIME", "5s",
	       "how long a guest that is not recorded may take to answer"),
	JSON_OPTION,
	HS_OPT_END,
};

static bool has_answered(void *ctx)
{
	return hs_guest_state(ctx, 0) != HS_GUEST_AWAY;
}

static void on_news(void *ctx, uint32_t events)
{
	(void)events;
	hs_guests_heard(*(struct hs_guests **)ctx);
}

/* Asks the agent who it is, and records nothing. */
static int ask_agent(const struct guest_config *config, const char *name, struct hs_guest_place *place,
		     json_object **guest)
{
	const struct hs_guests_config queue = { .trace_dir = "/tmp", .memory_bytes = 4u << 20 };
	const struct hs_guest_config who = { .name = name, .agent = HS_GUEST_AGENT_HSBPF };
	scoped(hs_guests) struct hs_guests *guests = NULL;
	scoped(hs_loop) struct hs_loop *loop = NULL;
	struct hs_watch news = HS_WATCH_NONE;
	int news_fd = -1, err = hs_loop_open(&loop);

	if (!err)
		err = hs_guests_open(&queue, &guests, &news_fd);
	if (err) {
		hs_guest_place_free(place);
		return err;
	}
	err = hs_guests_add(guests, &who, place);
	if (!err)
		err = hs_loop_add(loop, &news, news_fd, EPOLLIN, on_news, &guests);
	if (!err)
		err = hs_guests_connect(guests);
	if (!err)
		err = hs_loop_until(loop, has_answered, guests, hs_now_ns() + config->wait_ns);
	if (err == -ETIMEDOUT)
		err = 0; /* its state says so */
	*guest = hs_guest_document(guests, 0);
	return err;
}

static int run_status(void *config_ptr, int argc, char **argv)
{
	const struct guest_config *config = config_ptr;
	scoped(json) json_object *document = NULL;
	scoped(mem) char *dir = NULL;
	struct hs_guest_place *place;
	char name[64];
	pid_t pid;
	int err;

	if (!one_guest("guest status", argc, argv))
		return HS_EXIT_USAGE;
	name_of_path(config->name ? config->name : argv[0], name, sizeof(name));
	dir = hs_guest_recording_find(name, &pid);
	if (dir) {
		err = read_document(dir, &document);
	} else {
		json_object *guest = NULL;

		document = json_object_new_object();
		hs_json_add_string(document, "schema", HS_GUEST_SCHEMA);
		hs_json_add_string(document, "hsbpf", HS_VERSION);
		err = find_guest(config, argv[0], name, sizeof(name), &place);
		if (!err)
			err = ask_agent(config, name, place, &guest);
		if (guest) {
			json_object_object_del(guest, "parts");
			json_object_object_add(document, "guest", guest);
		}
	}
	if (err)
		return err;
	if (config->json)
		print_json(document);
	else
		print_document(document);
	return !strcmp(hs_json_get_string(document, "guest.state"), "away") ? HS_EXIT_FAILURE : HS_EXIT_OK;
}

const struct hs_verb cmd_guest_status = {
	.name = "guest status",
	.synopsis = "GUEST",
	.help = "say what a guest's trace agent does",
	.text = "Of a recording what it has so far; else the agent is asked. GUEST is as in `hsbpf guest attach`. Exit "
		"code "
		"1 when\nnobody answers.",
	.options = status_options,
	.config_size = sizeof(struct guest_config),
	.run = run_status,
};

/* ---- list ---- */

static const struct hs_opt list_options[] = { JSON_OPTION, HS_OPT_END };

static void add_row(json_object *guests, const char *kind, const char *name, const char *where)
{
	json_object *row = hs_json_append_object(guests);
	scoped(mem) char *dir = NULL;
	pid_t pid;

	hs_json_add_string(row, "guest", name);
	hs_json_add_string(row, "kind", kind);
	hs_json_add_string(row, "where", where);
	dir = hs_guest_recording_find(name, &pid);
	hs_json_add_string(row, "recorded_into", dir ? dir : "");
}

static void add_lab(void *ctx, const char *lab, pid_t owner)
{
	static const char suffix[] = "." HS_WIRE_CONTROL_PORT;
	scoped(mem) char *path = hs_format(HS_LAB_ROOT "/%s", lab);
	scoped(dir) DIR *dir = path ? opendir(path) : NULL;
	struct dirent *entry;

	(void)owner;
	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len <= sizeof(suffix) - 1 || strcmp(entry->d_name + len - (sizeof(suffix) - 1), suffix) != 0)
			continue;
		entry->d_name[len - (sizeof(suffix) - 1)] = '\0';
		add_row(ctx, "lab", entry->d_name, lab);
	}
}

static void add_domains(json_object *guests)
{
	scoped(mem) char *names = NULL;
	char *save = NULL;

	if (!hs_libvirt_is_here() || hs_libvirt_read_names(&names))
		return;
	for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save))
		if (*name && *name != ' ')
			add_row(guests, "libvirt", name, "");
}

static int run_list(void *config_ptr, int argc, char **argv)
{
	const struct guest_config *config = config_ptr;
	scoped(json) json_object *document = json_object_new_object();
	json_object *guests = hs_json_add_array(document, "guests");
	int err;

	if (argc) {
		hs_err("guest list takes no operand, but '%s' was given", argv[0]);
		return HS_EXIT_USAGE;
	}
	hs_json_add_string(document, "schema", "hsbpf.guests/1");
	err = hs_labs_each(add_lab, guests);
	if (err)
		return err;
	add_domains(guests);
	if (config->json) {
		print_json(document);
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(guests); i++) {
		json_object *row = json_object_array_get_idx(guests, i);
		const char *dir = hs_json_get_string(row, "recorded_into");

		printf("%-16s %-8s %-12s %s%s\n", hs_json_get_string(row, "guest"), hs_json_get_string(row, "kind"),
		       hs_json_get_string(row, "where"), *dir ? "recorded into " : "", dir);
	}
	if (!json_object_array_length(guests))
		printf("no lab is up, and libvirt has no running domain\n");
	return 0;
}

const struct hs_verb cmd_guest_list = {
	.name = "guest list",
	.synopsis = "",
	.help = "list guests with trace ports: machines of labs, libvirt domains",
	.options = list_options,
	.config_size = sizeof(struct guest_config),
	.run = run_list,
};
