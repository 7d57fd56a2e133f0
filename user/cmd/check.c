// SPDX-License-Identifier: GPL-2.0-only
/*
 * `hsbpf check`: what this machine can and cannot do, found by trying. Changes nothing that lasts: a namespace
 * and a tap are made and removed, BPF programs are loaded and unloaded.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/unit.h"
#include "capture/capture.h"
#include "cmd.h"
#include "orchestrate/kernel.h"
#include "orchestrate/labdir.h"
#include "orchestrate/net.h"

struct check_config {
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct check_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT_END,
};

/* needed: without it `collect` cannot run at all; otherwise it goes on with less. */
struct finding {
	const char *what;
	bool needed, ok;
	char text[256];
};

typedef void (*check_fn)(struct finding *finding);

static void set(struct finding *finding, bool ok, const char *text)
{
	finding->ok = ok;
	snprintf(finding->text, sizeof(finding->text), "%s", text);
}

static void check_program(struct finding *finding, const char *const *paths, const char *package)
{
	for (; *paths; paths++)
		if (access(*paths, X_OK) == 0) {
			set(finding, true, *paths);
			return;
		}
	snprintf(finding->text, sizeof(finding->text), "not installed: apt-get install %s", package);
}

static void check_qemu(struct finding *finding)
{
	static const char *const paths[] = { "/usr/bin/qemu-system-x86_64", "/usr/local/bin/qemu-system-x86_64", NULL };

	check_program(finding, paths, "qemu-system-x86");
}

static void check_iperf3(struct finding *finding)
{
	static const char *const paths[] = { "/usr/bin/iperf3", "/usr/local/bin/iperf3", NULL };

	check_program(finding, paths, "iperf3");
}

static void check_busybox(struct finding *finding)
{
	static const char *const paths[] = { "/bin/busybox", "/usr/bin/busybox", NULL };

	check_program(finding, paths, "busybox-static");
}

/* Makes and removes what a lab would: namespace, bridge, taps. */
static void check_network(struct finding *finding)
{
	struct hs_net_config config = { .lab = "check" };
	scoped(hs_net) struct hs_net *net = NULL;
	struct hs_pair pair = hs_pair_of(0);

	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		set(finding, false, "cannot open /dev/net/tun: load the module tun, or allow the device");
	else if (hs_net_open(&config, &net) || hs_net_add_pair(net, &pair) || hs_net_pair_up(net, &pair))
		set(finding, false, hs_log_last_error());
	else
		set(finding, true, "namespaces, bridges and taps work");
}

static void check_bpf(struct finding *finding)
{
	char dir[] = "/tmp/hsbpf-check-XXXXXX", reason[200] = "";
	scoped(mem) char *trace = mkdtemp(dir) ? hs_format("%s/host", dir) : NULL;
	scoped(hs_capture) struct hs_capture *capture = NULL;
	struct hs_capture_config config = { .trace_dir = trace,
					    .machine = "host",
					    .ring_bytes = 65536,
					    .reason = reason,
					    .reason_bytes = sizeof(reason) };
	size_t missing_nr = 0, used;
	const struct hs_probe_missing *missing;
	int err;

	hs_event_set_add_profile(&config.events, "kvm");
	hs_event_set_add_profile(&config.events, "net");
	err = trace ? hs_capture_open(&config, &capture) : -ENOMEM;
	if (err) {
		set(finding, false, *reason ? reason : hs_log_last_error());
	} else {
		missing = hs_capture_missing(capture, &missing_nr);
		used = (size_t)snprintf(finding->text, sizeof(finding->text), "KVM and tap events can be recorded%s",
					missing_nr ? ", without" : "");
		for (size_t i = 0; i < missing_nr && used < sizeof(finding->text); i++)
			used += (size_t)snprintf(finding->text + used, sizeof(finding->text) - used, " %s",
						 missing[i].event->name);
		finding->ok = true;
	}
	hs_capture_free(take(capture));
	hs_remove_tree(dir);
}

static void check_kvm(struct finding *finding)
{
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		snprintf(finding->text, sizeof(finding->text), "no /dev/kvm (%s): labs run under TCG", strerror(errno));
	else
		set(finding, true,
		    "/dev/kvm opens; whether a kernel boots under it is found at the first run, and remembered");
}

static void check_kernel(struct finding *finding)
{
	scoped(mem) char *kernels = hs_format("%s/kernels", hs_cache_dir(NULL));

	finding->ok = true;
	if (kernels && access(kernels, F_OK) == 0)
		snprintf(finding->text, sizeof(finding->text), "a guest kernel is in %s", kernels);
	else
		set(finding, true, "will be looked for in /boot, else fetched from Debian (70 MB, once)");
}

static void check_memory(struct finding *finding)
{
	struct hs_memory memory = { 0 };
	scoped(mem) char *text = NULL;
	unsigned long long free_kib = 0;
	unsigned pairs = 0;
	char bytes[32];
	const char *line;

	if (hs_read_file("/proc/meminfo", 65536, &text, NULL) || !(line = strstr(text, "MemAvailable:")))
		return;
	sscanf(line, "MemAvailable: %llu", &free_kib);
	while (pairs < HS_PAIRS_MAX) {
		memory = (struct hs_memory){ 0 };
		hs_memory_plan(&memory, pairs + 1, 1);
		if (memory.total_bytes > free_kib * 1024)
			break;
		pairs++;
	}
	finding->ok = pairs > 0;
	snprintf(finding->text, sizeof(finding->text), "%s available: enough for %u pair%s",
		 hs_format_bytes(bytes, sizeof(bytes), free_kib * 1024), pairs, pairs == 1 ? "" : "s");
}

static void print_findings(const struct finding *findings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%-8s %-12s %s\n",
		       findings[i].ok	    ? "yes"
		       : findings[i].needed ? "NO"
					    : "no",
		       findings[i].what, findings[i].text);
}

static void print_json(const struct finding *findings, size_t count)
{
	scoped(json) json_object *document = json_object_new_object();
	json_object *list;

	hs_json_add_string(document, "schema", "hsbpf.check/1");
	list = hs_json_add_array(document, "findings");
	for (size_t i = 0; i < count; i++) {
		json_object *row = hs_json_append_object(list);

		hs_json_add_string(row, "what", findings[i].what);
		hs_json_add_bool(row, "ok", findings[i].ok);
		hs_json_add_bool(row, "needed", findings[i].needed);
		hs_json_add_string(row, "text", findings[i].text);
	}
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
}

static int run(void *config_ptr, int argc, char **argv)
{
	static const struct {
		const char *what;
		bool needed;
		check_fn check;
	} checks[] = {
		{ "qemu", true, check_qemu },	    { "iperf3", true, check_iperf3 },
		{ "busybox", true, check_busybox }, { "network", true, check_network },
		{ "memory", true, check_memory },   { "kernel", true, check_kernel },
		{ "bpf", false, check_bpf },	    { "kvm", false, check_kvm },
	};
	const struct check_config *config = config_ptr;
	struct finding findings[HS_ARRAY_SIZE(checks)] = { 0 };
	bool can_collect = true;

	if (argc) {
		hs_err("check takes no operand, but '%s' was given", argv[0]);
		return HS_EXIT_USAGE;
	}
	hs_labs_sweep();
	for (size_t i = 0; i < HS_ARRAY_SIZE(checks); i++) {
		findings[i].what = checks[i].what;
		findings[i].needed = checks[i].needed;
		checks[i].check(&findings[i]);
		can_collect = can_collect && (findings[i].ok || !findings[i].needed);
	}
	if (config->json)
		print_json(findings, HS_ARRAY_SIZE(checks));
	else
		print_findings(findings, HS_ARRAY_SIZE(checks));
	if (!config->json)
		printf("%s\n", can_collect ? "`hsbpf collect` can run here" : "`hsbpf collect` cannot run here yet");
	return can_collect ? HS_EXIT_OK : HS_EXIT_PRIVILEGE;
}

const struct hs_verb cmd_check = {
	.name = "check",
	.synopsis = "",
	.help = "tell what this machine can and cannot do, by trying",
	.example = "check                   what this machine can and cannot do",
	.options = options,
	.config_size = sizeof(struct check_config),
	.run = run,
};
