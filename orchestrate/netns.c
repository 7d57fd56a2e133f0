// SPDX-License-Identifier: GPL-2.0-only
/*
 * Namespaces by unshare and a bind mount under /run/netns, interfaces by libnl, taps by TUNSETIFF. A netlink socket
 * that was opened inside a namespace works on it from anywhere, so it is entered only for that and for taps.
 */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/tbf.h>
#include <sched.h>
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

#define TBF_BURST_BYTES 65536 /* a veth hands over segments of that size: less would never pass */
#define TBF_LATENCY_US 50000

struct hs_netns {
	char *name, *path;
	int fd;
	uint32_t inum;
	struct nl_sock *sock;
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

/* libnl's codes are its own; the message says more than a translation would. */
static int nl_fail(int code, const char *what, const char *name)
{
	return hs_fail(code == -NLE_PERM ? -EPERM : -EIO, "cannot %s %s: %s", what, name, nl_geterror(code));
}

/* /run/netns must be a shared mount, so that a namespace made here is seen and removed everywhere (as ip does it). */
static int prepare_netns_dir(void)
{
	if (mkdir(HS_NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return hs_fail(-errno, "cannot create " HS_NETNS_DIR ":");
	if (mount("", HS_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL || mount(HS_NETNS_DIR, HS_NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", HS_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return hs_fail(-errno, "cannot prepare " HS_NETNS_DIR " (CAP_SYS_ADMIN is needed):");
	return 0;
}

/*
 * What a host says by itself (IPv6's neighbours, groups and routers, membership of a bridge's own group) goes to every
 * port of a bridge, from a timer's interrupt: packets of no tenant, which some kernels hide from BPF. A kernel that does
 * not say them has no such files.
 */
static void be_quiet(void)
{
	static const struct {
		const char *file, *value;
	} settings[] = {
		{ "/proc/sys/net/ipv6/conf/all/disable_ipv6", "1" },
		{ "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1" },
		{ "/proc/sys/net/ipv4/igmp_link_local_mcast_reports", "0" },
	};

	for (size_t i = 0; i < HS_ARRAY_SIZE(settings); i++) {
		scoped(fd) int fd = open(settings[i].file, O_WRONLY | O_CLOEXEC);

		if (fd >= 0)
			hs_write_all(fd, settings[i].value, 1);
	}
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
		be_quiet();
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

/* Enters the namespace and gives a way home; leave() takes it. */
static int enter(int netns_fd, int *home_fd)
{
	scoped(fd) int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
		return hs_fail(-errno, "cannot enter a network namespace:");
	*home_fd = take_fd(&home);
	return 0;
}

static int leave(int home_fd)
{
	int err = setns(home_fd, CLONE_NEWNET) < 0 ? -errno : 0;

	close(home_fd);
	return err ? hs_fail(err, "cannot return from a network namespace:") : 0;
}

static int open_in(int netns_fd, struct nl_sock **out)
{
	scoped(nl_sock) struct nl_sock *sock = nl_socket_alloc();
	int code, home_fd, err = sock ? enter(netns_fd, &home_fd) : -ENOMEM;

	if (err)
		return err;
	code = nl_connect(sock, NETLINK_ROUTE);
	err = leave(home_fd);
	if (err)
		return err;
	if (code < 0)
		return nl_fail(code, "talk to", "rtnetlink");
	*out = take(sock);
	return 0;
}

int hs_netns_make(const char *name, struct hs_netns **out)
{
	scoped(mem) char *path = hs_format(HS_NETNS_DIR "/%s", name);
	scoped(hs_netns) struct hs_netns *netns = NULL;
	struct stat st;
	int err = path ? prepare_netns_dir() : -ENOMEM;

	if (!err)
		err = make_netns(path);
	if (err)
		return err;
	netns = calloc(1, sizeof(*netns));
	if (!netns) {
		remove_netns(path);
		return -ENOMEM;
	}
	netns->path = take(path);
	netns->name = strdup(name);
	netns->fd = open(netns->path, O_RDONLY | O_CLOEXEC);
	if (!netns->name || netns->fd < 0 || fstat(netns->fd, &st) < 0)
		return hs_fail(-errno, "cannot open the network namespace %s:", name);
	netns->inum = (uint32_t)st.st_ino;
	err = open_in(netns->fd, &netns->sock);
	if (!err)
		*out = take(netns);
	return err;
}

void hs_netns_free(struct hs_netns *netns)
{
	if (!netns)
		return;
	nl_socket_free(netns->sock);
	if (netns->fd >= 0)
		close(netns->fd);
	remove_netns(netns->path);
	free(netns->path);
	free(netns->name);
	free(netns);
}

void hs_netns_remove(const char *name)
{
	scoped(mem) char *path = hs_format(HS_NETNS_DIR "/%s", name);

	if (path)
		remove_netns(path);
}

const char *hs_netns_name(const struct hs_netns *netns)
{
	return netns->name;
}

int hs_netns_fd(const struct hs_netns *netns)
{
	return netns->fd;
}

uint32_t hs_netns_inode(const struct hs_netns *netns)
{
	return netns->inum;
}

int hs_netns_add_bridge(struct hs_netns *netns, const char *name)
{
	int code = rtnl_link_bridge_add(netns->sock, name);

	return code < 0 ? nl_fail(code, "add the bridge", name) : 0;
}

/* In the namespace that the thread is in; then tells it `request`. */
static int make_tap(const char *name, unsigned long request, unsigned long argument, int *out)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	scoped(fd) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return hs_fail(-errno, "cannot open /dev/net/tun (load the module tun, or allow the device):");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, request, argument) < 0)
		return hs_fail(-errno, "cannot make the tap %s (CAP_NET_ADMIN is needed):", name);
	*out = take_fd(&fd);
	return 0;
}

static int make_tap_in(struct hs_netns *netns, const char *name, unsigned long request, unsigned long argument,
		       int *out)
{
	int home_fd, left, err = enter(netns->fd, &home_fd);

	if (err)
		return err;
	err = make_tap(name, request, argument, out);
	left = leave(home_fd);
	return err ? err : left;
}

int hs_netns_add_tap(struct hs_netns *netns, const char *name)
{
	scoped(fd) int fd = -1;

	return make_tap_in(netns, name, TUNSETPERSIST, 1, &fd);
}

int hs_netns_open_tap(struct hs_netns *netns, const char *name, int *fd)
{
	return make_tap_in(netns, name, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, fd);
}

int hs_netns_add_veth(struct hs_netns *netns, const char *name, struct hs_netns *peer_netns, const char *peer_name)
{
	scoped(nl_link) struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *peer = link ? rtnl_link_veth_get_peer(link) : NULL;
	int code;

	if (!peer)
		return -ENOMEM;
	rtnl_link_set_name(link, name);
	rtnl_link_set_name(peer, peer_name);
	rtnl_link_set_ns_fd(peer, peer_netns->fd);
	code = rtnl_link_add(netns->sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(peer);
	return code < 0 ? nl_fail(code, "add the veth", name) : 0;
}

int hs_netns_add_address(struct hs_netns *netns, const char *name, const char *ip)
{
	scoped(mem) char *text = hs_format("%s/24", ip);
	scoped(nl_link) struct rtnl_link *link = NULL;
	struct rtnl_addr *address = rtnl_addr_alloc();
	struct nl_addr *local = NULL;
	int code = text && address ? nl_addr_parse(text, AF_INET, &local) : -NLE_NOMEM;

	if (code >= 0)
		code = rtnl_link_get_kernel(netns->sock, 0, name, &link);
	if (code >= 0) {
		rtnl_addr_set_ifindex(address, rtnl_link_get_ifindex(link));
		rtnl_addr_set_local(address, local);
		code = rtnl_addr_add(netns->sock, address, 0);
	}
	nl_addr_put(local);
	rtnl_addr_put(address);
	return code < 0 ? nl_fail(code, "give its address to", name) : 0;
}

int hs_netns_enslave(struct hs_netns *netns, const char *name, const char *bridge_name)
{
	scoped(nl_link) struct rtnl_link *link = NULL, *bridge = NULL;
	int code = rtnl_link_get_kernel(netns->sock, 0, name, &link);

	if (code >= 0)
		code = rtnl_link_get_kernel(netns->sock, 0, bridge_name, &bridge);
	if (code >= 0)
		code = rtnl_link_enslave(netns->sock, bridge, link);
	return code < 0 ? nl_fail(code, "put into its bridge", name) : 0;
}

int hs_netns_set_up(struct hs_netns *netns, const char *name, bool up)
{
	scoped(nl_link) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
	int code = rtnl_link_get_kernel(netns->sock, 0, name, &link);

	if (code < 0)
		return nl_fail(code, "find", name);
	if (!change)
		return -ENOMEM;
	if (up)
		rtnl_link_set_flags(change, IFF_UP);
	else
		rtnl_link_unset_flags(change, IFF_UP);
	code = rtnl_link_change(netns->sock, link, change, 0);
	return code < 0 ? nl_fail(code, up ? "bring up" : "take down", name) : 0;
}

int hs_netns_limit(struct hs_netns *netns, const char *name, uint64_t bytes_per_second)
{
	scoped(nl_link) struct rtnl_link *link = NULL;
	struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();
	struct rtnl_tc *tc = TC_CAST(qdisc);
	int code = rtnl_link_get_kernel(netns->sock, 0, name, &link);
	int rate = bytes_per_second > INT32_MAX ? INT32_MAX : (int)bytes_per_second;

	if (code >= 0 && qdisc) {
		rtnl_tc_set_link(tc, link);
		rtnl_tc_set_parent(tc, TC_H_ROOT);
		code = rtnl_tc_set_kind(tc, "tbf");
	}
	if (code >= 0 && qdisc) {
		rtnl_qdisc_tbf_set_rate(qdisc, rate, TBF_BURST_BYTES, 0);
		code = rtnl_qdisc_tbf_set_limit_by_latency(qdisc, TBF_LATENCY_US);
	}
	if (code >= 0 && qdisc)
		code = rtnl_qdisc_add(netns->sock, qdisc, NLM_F_CREATE | NLM_F_REPLACE);
	rtnl_qdisc_put(qdisc);
	return code < 0 ? nl_fail(code, "limit the bandwidth of", name) : qdisc ? 0 : -ENOMEM;
}

int hs_netns_ifindex(struct hs_netns *netns, const char *name)
{
	scoped(nl_link) struct rtnl_link *link = NULL;

	if (rtnl_link_get_kernel(netns->sock, 0, name, &link) < 0)
		return -ENOENT;
	return rtnl_link_get_ifindex(link);
}

int hs_netns_read_counters(struct hs_netns *netns, const char *name, struct hs_net_counters *counters)
{
	scoped(nl_link) struct rtnl_link *link = NULL;

	if (rtnl_link_get_kernel(netns->sock, 0, name, &link) < 0)
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
