// SPDX-License-Identifier: GPL-2.0-only
/* The pairs' share of the lab's namespace, and a namespace per client; made by netns.c. Main thread. */
#include "net.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"

struct hs_net {
	struct hs_net_config config;
	char *name;
	struct hs_netns *netns; /* NULL in a dry run */
	struct hs_netns *client_netns[HS_PAIRS_MAX];
	unsigned clients;
};

/* In a dry run prints the command that would do the same and returns true; in -v says what is done. */
static bool __attribute__((format(printf, 2, 3))) step(const struct hs_net *net, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (net->config.dry_run)
		printf("%s\n", text);
	else
		hs_dbg("%s", text);
	return net->config.dry_run;
}

int hs_net_open(const struct hs_net_config *config, struct hs_net **out)
{
	scoped(hs_net) struct hs_net *net = calloc(1, sizeof(*net));
	int err = 0;

	if (!net)
		return -ENOMEM;
	net->config = *config;
	net->name = hs_format("hsbpf-%s", config->lab);
	if (!net->name)
		return -ENOMEM;
	if (!step(net, "ip netns add %s", net->name))
		err = hs_netns_make(net->name, &net->netns);
	if (!err)
		*out = take(net);
	return err;
}

void hs_net_free(struct hs_net *net)
{
	if (!net)
		return;
	for (unsigned i = 0; i < net->clients; i++)
		hs_netns_free(net->client_netns[i]);
	hs_netns_free(net->netns);
	free(net->name);
	free(net);
}

static int add_bridge(struct hs_net *net, const struct hs_pair *pair)
{
	int err;

	step(net, "ip -n %s link add %s type bridge", net->name, pair->bridge);
	if (step(net, "ip -n %s addr add %s/24 dev %s", net->name, pair->bridge_ip, pair->bridge))
		return 0;
	err = hs_netns_add_bridge(net->netns, pair->bridge);
	return err ? err : hs_netns_add_address(net->netns, pair->bridge, pair->bridge_ip);
}

static int add_tap(struct hs_net *net, const char *name, const char *bridge)
{
	int err;

	step(net, "ip -n %s tuntap add dev %s mode tap vnet_hdr", net->name, name);
	if (step(net, "ip -n %s link set %s master %s", net->name, name, bridge))
		return 0;
	err = hs_netns_add_tap(net->netns, name);
	return err ? err : hs_netns_enslave(net->netns, name, bridge);
}

/* The client's namespace, joined to the bridge, with its address. */
static int make_client(struct hs_net *net, const struct hs_pair *pair, const char *name)
{
	struct hs_netns *client;
	int err = hs_netns_make(name, &client);

	if (err)
		return err;
	net->client_netns[net->clients++] = client;
	err = hs_netns_add_veth(net->netns, pair->client_tap, client, "eth0");
	if (!err)
		err = hs_netns_enslave(net->netns, pair->client_tap, pair->bridge);
	if (!err)
		err = hs_netns_add_address(client, "eth0", pair->client_ip);
	if (!err)
		err = hs_netns_set_up(client, "lo", true);
	return err ? err : hs_netns_set_up(client, "eth0", true);
}

static int add_client_netns(struct hs_net *net, const struct hs_pair *pair)
{
	scoped(mem) char *name = hs_format("%s-c%u", net->name, pair->tenant);

	if (!name)
		return -ENOMEM;
	step(net, "ip netns add %s", name);
	step(net, "ip -n %s link add %s type veth peer name eth0 netns %s", net->name, pair->client_tap, name);
	step(net, "ip -n %s link set %s master %s", net->name, pair->client_tap, pair->bridge);
	step(net, "ip -n %s addr add %s/24 dev eth0", name, pair->client_ip);
	return step(net, "ip -n %s link set eth0 up", name) ? 0 : make_client(net, pair, name);
}

int hs_net_add_pair(struct hs_net *net, const struct hs_pair *pair)
{
	int err = add_bridge(net, pair);

	if (!err)
		err = add_tap(net, pair->l2_tap, pair->bridge);
	if (err)
		return err;
	return net->config.client_netns ? add_client_netns(net, pair) : add_tap(net, pair->client_tap, pair->bridge);
}

int hs_net_pair_up(struct hs_net *net, const struct hs_pair *pair)
{
	const char *names[] = { pair->bridge, pair->l2_tap, pair->client_tap };

	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		int err = 0;

		if (!step(net, "ip -n %s link set %s up", net->name, names[i]))
			err = hs_netns_set_up(net->netns, names[i], true);

		if (err)
			return err;
	}
	return 0;
}

int hs_net_fd(const struct hs_net *net)
{
	return net->netns ? hs_netns_fd(net->netns) : -1;
}

int hs_net_client_fd(const struct hs_net *net, unsigned tenant)
{
	return tenant < net->clients ? hs_netns_fd(net->client_netns[tenant]) : -1;
}

uint32_t hs_net_inum(const struct hs_net *net)
{
	return net->netns ? hs_netns_inode(net->netns) : 0;
}

int hs_net_ifindex(struct hs_net *net, const char *name)
{
	return net->netns ? hs_netns_ifindex(net->netns, name) : -ENOENT;
}

int hs_net_read_counters(struct hs_net *net, const char *name, struct hs_net_counters *counters)
{
	return net->netns ? hs_netns_read_counters(net->netns, name, counters) : -ENOENT;
}

void hs_net_sweep(const char *lab)
{
	scoped(mem) char *name = hs_format("hsbpf-%s", lab);
	scoped(dir) DIR *dir = opendir(HS_NETNS_DIR);
	size_t len = name ? strlen(name) : 0;
	struct dirent *entry;

	while (dir && name && (entry = readdir(dir))) {
		const char *rest = entry->d_name + len;

		if (strncmp(entry->d_name, name, len) != 0)
			continue;
		if (*rest && (strncmp(rest, "-c", 2) != 0 || rest[2 + strspn(rest + 2, "0123456789")]))
			continue;
		hs_netns_remove(entry->d_name);
	}
}
