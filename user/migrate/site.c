// SPDX-License-Identifier: GPL-2.0-only
/* Raises and lowers a site. Names of namespaces are those that hs_net_sweep() removes after a SIGKILL. */
#include "migrate/site.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/log.h"
#include "orchestrate/net.h"
#include "orchestrate/qemu.h"

#define GUEST_MAC "52:54:00:12:34:56"
#define SOURCE_IP "172.16.1.1"
#define END_LIMIT_NS 5000000000u

static const char *const hosts_uplinks[HS_END_NR] = { "sw0", "sw1" };

const char *hs_end_name(enum hs_end end)
{
	return end == HS_SOURCE ? "source" : "destination";
}

static int make_namespaces(struct hs_site *site)
{
	scoped(mem) char *source = hs_format("hsbpf-%s", site->config.lab);
	scoped(mem) char *destination = hs_format("hsbpf-%s-c0", site->config.lab);
	scoped(mem) char *client = hs_format("hsbpf-%s-c1", site->config.lab);
	int err = source && destination && client ? hs_netns_make(source, &site->hosts[HS_SOURCE]) : -ENOMEM;

	if (!err)
		err = hs_netns_make(destination, &site->hosts[HS_DESTINATION]);
	return err ? err : hs_netns_make(client, &site->client);
}

static int make_client(struct hs_site *site)
{
	int err = hs_netns_add_bridge(site->client, "br0");

	return err ? err : hs_netns_add_address(site->client, "br0", HS_SITE_CLIENT_IP);
}

/* Its bridge with a tap for the guest, joined to the client's. */
static int make_host(struct hs_site *site, enum hs_end end)
{
	struct hs_netns *host = site->hosts[end];
	const char *uplink = hosts_uplinks[end];
	int err = hs_netns_add_bridge(host, "br0");

	if (!err)
		err = hs_netns_add_tap(host, HS_SITE_TAP);
	if (!err)
		err = hs_netns_enslave(host, HS_SITE_TAP, "br0");
	if (!err)
		err = hs_netns_add_veth(host, "up0", site->client, uplink);
	if (!err)
		err = hs_netns_enslave(host, "up0", "br0");
	return err ? err : hs_netns_enslave(site->client, uplink, "br0");
}

static int make_link(struct hs_site *site)
{
	struct hs_netns *source = site->hosts[HS_SOURCE], *destination = site->hosts[HS_DESTINATION];
	uint64_t delay_ns = site->config.options->delay_ns;
	int err = delay_ns ? hs_delay_open(source, destination, HS_SITE_LINK, delay_ns, &site->link)
			   : hs_netns_add_veth(source, HS_SITE_LINK, destination, HS_SITE_LINK);

	if (!err)
		err = hs_netns_add_address(source, HS_SITE_LINK, SOURCE_IP);
	if (!err)
		err = hs_netns_add_address(destination, HS_SITE_LINK, HS_SITE_DESTINATION_IP);
	for (int end = 0; end < HS_END_NR && !err; end++)
		err = hs_netns_limit(site->hosts[end], HS_SITE_LINK, site->config.bandwidth_bps / 8);
	return err;
}

static int name_machines(struct hs_site *site, const struct hs_machine_ops *ops, void *ctx)
{
	const char *dir = site->config.dir;

	for (int end = 0; end < HS_END_NR; end++) {
		struct hs_machine *machine = &site->machines[end];
		const char *name = hs_end_name(end);

		hs_machine_init(machine, site->config.loop, name, HS_MACHINE_CLIENT, ops, ctx);
		machine->number = (unsigned)end;
		machine->console_path = hs_format("%s/console/%s.txt", dir, name);
		machine->errors_path = hs_format("%s/console/%s.qemu.txt", dir, name);
		site->logs[end] = hs_format("%s/%s.qemu.log", dir, name);
		if (!machine->console_path || !machine->errors_path || !site->logs[end])
			return -ENOMEM;
	}
	return 0;
}

int hs_site_open(const struct hs_site_config *config, const struct hs_machine_ops *ops, void *ctx, struct hs_site **out)
{
	scoped(hs_site) struct hs_site *site = calloc(1, sizeof(*site));
	int err;

	if (!site)
		return -ENOMEM;
	site->config = *config;
	err = name_machines(site, ops, ctx);
	if (!err)
		err = make_namespaces(site);
	if (!err)
		err = make_client(site);
	for (int end = 0; end < HS_END_NR && !err; end++)
		err = make_host(site, end);
	if (!err)
		err = make_link(site);
	if (!err)
		*out = take(site);
	return err;
}

int hs_site_up(struct hs_site *site)
{
	static const char *const host_interfaces[] = { "lo", "br0", HS_SITE_TAP, "up0", HS_SITE_LINK };
	static const char *const client_interfaces[] = { "lo", "br0", "sw0", "sw1" };
	int err = 0;

	for (int end = 0; end < HS_END_NR; end++)
		for (size_t i = 0; i < HS_ARRAY_SIZE(host_interfaces) && !err; i++)
			err = hs_netns_set_up(site->hosts[end], host_interfaces[i], true);
	for (size_t i = 0; i < HS_ARRAY_SIZE(client_interfaces) && !err; i++)
		err = hs_netns_set_up(site->client, client_interfaces[i], true);
	return err;
}

int hs_site_start(struct hs_site *site, enum hs_end end)
{
	const struct hs_site_config *config = &site->config;
	struct hs_machine *machine = &site->machines[end];
	scoped(argv) struct hs_argv argv = { 0 };
	struct hs_qemu_migrating guest = {
		.common = { .kvm = config->kvm,
			    .kernel = config->images->kernel,
			    .initramfs = config->images->client,
			    .run_dir = hs_labdir_path(config->labdir),
			    .console = machine->console_path,
			    .memory_bytes = config->options->mem_bytes },
		.name = machine->name,
		.tap = HS_SITE_TAP,
		.mac = GUEST_MAC,
		.ip = HS_SITE_GUEST_IP,
		.cpus = config->options->cpus,
		.incoming = end == HS_DESTINATION,
		.events_file = config->events_file,
		.log_file = site->logs[end],
	};
	int err;

	hs_qemu_migrating_argv(&argv, &guest);
	err = argv.err ? argv.err
		       : hs_machine_start(machine, hs_labdir_path(config->labdir), argv.words,
					  hs_netns_fd(site->hosts[end]));
	if (!err)
		hs_labdir_record(config->labdir, machine->pid);
	return err;
}

int hs_site_link_set_up(struct hs_site *site, bool up)
{
	return hs_netns_set_up(site->hosts[HS_SOURCE], HS_SITE_LINK, up);
}

static bool have_ended(void *ctx)
{
	const struct hs_site *site = ctx;

	return !site->machines[HS_SOURCE].pid && !site->machines[HS_DESTINATION].pid;
}

void hs_site_stop(struct hs_site *site)
{
	for (int end = 0; end < HS_END_NR; end++)
		hs_machine_signal(&site->machines[end], SIGTERM); /* QEMU flushes its log and ends */
	hs_loop_until(site->config.loop, have_ended, site, hs_now_ns() + END_LIMIT_NS);
	for (int end = 0; end < HS_END_NR; end++)
		hs_machine_signal(&site->machines[end], SIGKILL);
	hs_loop_until(site->config.loop, have_ended, site, hs_now_ns() + END_LIMIT_NS);
}

void hs_site_free(struct hs_site *site)
{
	if (!site)
		return;
	hs_delay_free(site->link);
	for (int end = 0; end < HS_END_NR; end++) {
		hs_machine_clear(&site->machines[end]);
		hs_netns_free(site->hosts[end]);
		free(site->logs[end]);
	}
	hs_netns_free(site->client);
	free(site);
}
