// SPDX-License-Identifier: GPL-2.0-only
/*
 * Namespaces by unshare and a bind mount under /run/netns (where `ip netns` finds them), interfaces by
 * libnl, taps by TUNSETIFF. Runs in the main thread, which enters a namespace only for a few calls.
 */
#include "net.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#define NETNS_DIR "/run/netns"

struct hs_net {
	struct hs_net_config config;
	char *name;
	int fd, home_fd;
	uint32_t inum;
	struct nl_sock *sock; /* opened inside the namespace, works on it from anywhere */
	int client_fds[HS_PAIRS_MAX];
	unsigned clients;
};

static inline void nl_sock_scoped(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static inline void nl_link_scoped(struct rtnl_link **link)
{
	if (*link)
		rtnl_link_put(*link);
}

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

/* libnl's codes are its own; the message says more than a translation would. */
static int nl_fail(int code, const char *what, const char *name)
{
	return hs_fail(code == -NLE_PERM ? -EPERM : -EIO, "cannot %s %s: %s", what, name, nl_geterror(code));
}

/* /run/netns must be a shared mount, so that a namespace made here is seen and removed everywhere (as ip does it). */
static int prepare_netns_dir(void)
{
	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return hs_fail(-errno, "cannot create " NETNS_DIR ":");
	if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL || mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return hs_fail(-errno, "cannot prepare " NETNS_DIR " (CAP_SYS_ADMIN is needed):");
	return 0;
}

/* In a child, so that this process never leaves its own namespace: a new one, bound to its name. */
static int make_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0), status;
	pid_t child;

	if (fd < 0)
		return errno == EEXIST ? hs_fail(-EEXIST, "the network namespace %s exists already", path)
				       : hs_fail(-errno, "cannot create %s:", path);
	close(fd);
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET) < 0 || mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) < 0)
			_exit(errno);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status) {
		int err = child > 0 && WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;

		unlink(path);
		return hs_fail(
			err,
			"cannot make the network namespace %s (CAP_SYS_ADMIN and CAP_NET_ADMIN are needed):", path);
	}
	return 0;
}

static void remove_netns(const char *path)
{
	umount2(path, MNT_DETACH);
	unlink(path);
}

static int open_in(int netns_fd, int home_fd, struct nl_sock **out)
{
	scoped(nl_sock) struct nl_sock *sock = nl_socket_alloc();
	int code;

	if (!sock)
		return -ENOMEM;
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return hs_fail(-errno, "cannot enter the lab's network namespace:");
	code = nl_connect(sock, NETLINK_ROUTE);
	if (setns(home_fd, CLONE_NEWNET) < 0)
		return hs_fail(-errno, "cannot return from the lab's network namespace:");
	if (code < 0)
		return nl_fail(code, "talk to", "rtnetlink");
	*out = take(sock);
	return 0;
}

int hs_net_open(const struct hs_net_config *config, struct hs_net **out)
{
	scoped(hs_net) struct hs_net *net = calloc(1, sizeof(*net));
	scoped(mem) char *path = NULL;
	struct stat st;
	int err;

	if (!net)
		return -ENOMEM;
	net->config = *config;
	net->fd = net->home_fd = -1;
	net->name = hs_format("hsbpf-%s", config->lab);
	path = hs_format(NETNS_DIR "/hsbpf-%s", config->lab);
	if (!net->name || !path)
		return -ENOMEM;
	if (step(net, "ip netns add %s", net->name)) {
		*out = take(net);
		return 0;
	}
	err = prepare_netns_dir();
	if (!err)
		err = make_netns(path);
	if (err) {
		net->config.dry_run = true; /* nothing of ours to remove */
		return err;
	}
	net->fd = open(path, O_RDONLY | O_CLOEXEC);
	net->home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (net->fd < 0 || net->home_fd < 0 || fstat(net->fd, &st) < 0)
		return hs_fail(-errno, "cannot open the network namespace %s:", path);
	net->inum = (uint32_t)st.st_ino;
	err = open_in(net->fd, net->home_fd, &net->sock);
	if (!err)
		*out = take(net);
	return err;
}

void hs_net_free(struct hs_net *net)
{
	if (!net)
		return;
	nl_socket_free(net->sock);
	for (unsigned i = 0; i < net->clients; i++) {
		scoped(mem) char *path = hs_format(NETNS_DIR "/%s-c%u", net->name, i);

		if (net->client_fds[i] >= 0)
			close(net->client_fds[i]);
		if (path && !net->config.dry_run)
			remove_netns(path);
	}
	if (net->name && !net->config.dry_run) {
		scoped(mem) char *path = hs_format(NETNS_DIR "/%s", net->name);

		if (path)
			remove_netns(path);
	}
	if (net->fd >= 0)
		close(net->fd);
	if (net->home_fd >= 0)
		close(net->home_fd);
	free(net->name);
	free(net);
}

static int set_up(struct nl_sock *sock, const char *name)
{
	scoped(nl_link) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
	int code = rtnl_link_get_kernel(sock, 0, name, &link);

	if (code < 0)
		return nl_fail(code, "find", name);
	if (!change)
		return -ENOMEM;
	rtnl_link_set_flags(change, IFF_UP);
	code = rtnl_link_change(sock, link, change, 0);
	return code < 0 ? nl_fail(code, "bring up", name) : 0;
}

static int enslave(struct nl_sock *sock, const char *name, const char *bridge_name)
{
	scoped(nl_link) struct rtnl_link *link = NULL, *bridge = NULL;
	int code = rtnl_link_get_kernel(sock, 0, name, &link);

	if (code >= 0)
		code = rtnl_link_get_kernel(sock, 0, bridge_name, &bridge);
	if (code >= 0)
		code = rtnl_link_enslave(sock, bridge, link);
	return code < 0 ? nl_fail(code, "put into its bridge", name) : 0;
}

static int add_address(struct nl_sock *sock, const char *name, const char *ip)
{
	scoped(mem) char *text = hs_format("%s/24", ip);
	scoped(nl_link) struct rtnl_link *link = NULL;
	struct rtnl_addr *address = rtnl_addr_alloc();
	struct nl_addr *local = NULL;
	int code = text && address ? nl_addr_parse(text, AF_INET, &local) : -NLE_NOMEM;

	if (code >= 0)
		code = rtnl_link_get_kernel(sock, 0, name, &link);
	if (code >= 0) {
		rtnl_addr_set_ifindex(address, rtnl_link_get_ifindex(link));
		rtnl_addr_set_local(address, local);
		code = rtnl_addr_add(sock, address, 0);
	}
	nl_addr_put(local);
	rtnl_addr_put(address);
	return code < 0 ? nl_fail(code, "give its address to", name) : 0;
}

static int add_bridge(struct hs_net *net, const struct hs_pair *pair)
{
	int code;

	step(net, "ip -n %s link add %s type bridge", net->name, pair->bridge);
	if (step(net, "ip -n %s addr add %s/24 dev %s", net->name, pair->bridge_ip, pair->bridge))
		return 0;
	code = rtnl_link_bridge_add(net->sock, pair->bridge);
	if (code < 0)
		return nl_fail(code, "add the bridge", pair->bridge);
	return add_address(net->sock, pair->bridge, pair->bridge_ip);
}

/* A persistent tap: QEMU opens it by name, and it goes with the namespace. */
static int make_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	scoped(fd) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return hs_fail(-errno, "cannot open /dev/net/tun (load the module tun, or allow the device):");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)
		return hs_fail(-errno, "cannot make the tap %s (CAP_NET_ADMIN is needed):", name);
	return 0;
}

static int add_tap(struct hs_net *net, const char *name, const char *bridge)
{
	int err;

	step(net, "ip -n %s tuntap add dev %s mode tap vnet_hdr", net->name, name);
	if (step(net, "ip -n %s link set %s master %s", net->name, name, bridge))
		return 0;
	if (setns(net->fd, CLONE_NEWNET) < 0)
		return hs_fail(-errno, "cannot enter the lab's network namespace:");
	err = make_tap(name);
	if (setns(net->home_fd, CLONE_NEWNET) < 0)
		return hs_fail(-errno, "cannot return from the lab's network namespace:");
	return err ? err : enslave(net->sock, name, bridge);
}

/* Brings up what lies inside the client's namespace. */
static int set_up_client(struct hs_net *net, int client_fd, const struct hs_pair *pair)
{
	scoped(nl_sock) struct nl_sock *sock = NULL;
	int err = open_in(client_fd, net->home_fd, &sock);

	if (!err)
		err = add_address(sock, "eth0", pair->client_ip);
	if (!err)
		err = set_up(sock, "lo");
	return err ? err : set_up(sock, "eth0");
}

static int add_veth(struct hs_net *net, const struct hs_pair *pair, int client_fd)
{
	scoped(nl_link) struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *peer = link ? rtnl_link_veth_get_peer(link) : NULL;
	int code;

	if (!peer)
		return -ENOMEM;
	rtnl_link_set_name(link, pair->client_tap);
	rtnl_link_set_name(peer, "eth0");
	rtnl_link_set_ns_fd(peer, client_fd);
	code = rtnl_link_add(net->sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(peer);
	return code < 0 ? nl_fail(code, "add the veth", pair->client_tap) : 0;
}

static int add_client_netns(struct hs_net *net, const struct hs_pair *pair)
{
	scoped(mem) char *name = hs_format("%s-c%u", net->name, pair->tenant);
	scoped(mem) char *path = hs_format(NETNS_DIR "/%s-c%u", net->name, pair->tenant);
	int err;

	if (!name || !path)
		return -ENOMEM;
	step(net, "ip netns add %s", name);
	step(net, "ip -n %s link add %s type veth peer name eth0 netns %s", net->name, pair->client_tap, name);
	step(net, "ip -n %s link set %s master %s", net->name, pair->client_tap, pair->bridge);
	step(net, "ip -n %s addr add %s/24 dev eth0", name, pair->client_ip);
	if (step(net, "ip -n %s link set eth0 up", name))
		return 0;
	err = make_netns(path);
	if (err)
		return err;
	net->client_fds[net->clients++] = open(path, O_RDONLY | O_CLOEXEC);
	if (net->client_fds[pair->tenant] < 0)
		return hs_fail(-errno, "cannot open the network namespace %s:", name);
	err = add_veth(net, pair, net->client_fds[pair->tenant]);
	if (!err)
		err = enslave(net->sock, pair->client_tap, pair->bridge);
	return err ? err : set_up_client(net, net->client_fds[pair->tenant], pair);
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
		int err = step(net, "ip -n %s link set %s up", net->name, names[i]) ? 0 : set_up(net->sock, names[i]);

		if (err)
			return err;
	}
	return 0;
}

int hs_net_fd(const struct hs_net *net)
{
	return net->fd;
}

int hs_net_client_fd(const struct hs_net *net, unsigned tenant)
{
	return tenant < net->clients ? net->client_fds[tenant] : -1;
}

uint32_t hs_net_inum(const struct hs_net *net)
{
	return net->inum;
}

int hs_net_ifindex(struct hs_net *net, const char *name)
{
	scoped(nl_link) struct rtnl_link *link = NULL;

	if (!net->sock || rtnl_link_get_kernel(net->sock, 0, name, &link) < 0)
		return -ENOENT;
	return rtnl_link_get_ifindex(link);
}

int hs_net_read_counters(struct hs_net *net, const char *name, struct hs_net_counters *counters)
{
	scoped(nl_link) struct rtnl_link *link = NULL;

	if (!net->sock || rtnl_link_get_kernel(net->sock, 0, name, &link) < 0)
		return -ENOENT;
	*counters = (struct hs_net_counters){
		.rx_packets = rtnl_link_get_stat(link, RTNL_LINK_RX_PACKETS),
		.rx_bytes = rtnl_link_get_stat(link, RTNL_LINK_RX_BYTES),
		.tx_packets = rtnl_link_get_stat(link, RTNL_LINK_TX_PACKETS),
		.tx_bytes = rtnl_link_get_stat(link, RTNL_LINK_TX_BYTES),
		.tx_dropped = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED),
	};
	return 0;
}

void hs_net_sweep(const char *lab)
{
	scoped(mem) char *name = hs_format("hsbpf-%s", lab);
	scoped(dir) DIR *dir = opendir(NETNS_DIR);
	size_t len = name ? strlen(name) : 0;
	struct dirent *entry;

	while (dir && name && (entry = readdir(dir))) {
		const char *rest = entry->d_name + len;
		scoped(mem) char *path = NULL;

		if (strncmp(entry->d_name, name, len) != 0)
			continue;
		if (*rest && (strncmp(rest, "-c", 2) != 0 || rest[2 + strspn(rest + 2, "0123456789")]))
			continue;
		path = hs_format(NETNS_DIR "/%s", entry->d_name);
		if (path)
			remove_netns(path);
	}
}
