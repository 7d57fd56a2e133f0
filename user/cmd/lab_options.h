/* SPDX-License-Identifier: GPL-2.0-only */
/* The options that describe a lab, shared by the verbs that raise one. */
#ifndef HS_CMD_LAB_OPTIONS_H
#define HS_CMD_LAB_OPTIONS_H

#include "base/opt.h"
#include "run/session.h"

struct lab_options {
	uint32_t l2vm, l1_cpus;
	const char *name, *out, *log_prefix, *kernel, *qemu_events;
	int accel, nic, client;
	uint64_t l1_mem, l2_mem, client_mem;
	bool no_trace, no_guest_trace, dry_run, verbose;
	const char *guest_events;
};

extern const char *const lab_accels[], *const lab_nics[], *const lab_clients[];

#define LAB_SIZE_MIN (128ull << 20) /* Debian's kernel panics with less */
#define LAB_SIZE_MAX (1ull << 40)

/* Rows for a verb's config struct `type` that has a struct lab_options as `member`. */
#define LAB_OPTIONS(type, member)                                                                                      \
	HS_OPT(type, member.l2vm, "l2vm", 'n', HS_OPT_U32, "N", "1", "pairs of L2 VM and client, 1 to 24"),            \
		HS_OPT(type, member.name, "lab", 0, HS_OPT_STR, "NAME", "lab",                                         \
		       "name of the lab; several can stand side by side"),                                             \
		HS_OPT(type, member.out, "out", 'o', HS_OPT_STR, "DIR", "hsbpf-out",                                   \
		       "folder for everything that comes back"),                                                       \
		HS_OPT(type, member.log_prefix, "log-prefix", 0, HS_OPT_STR, "PREFIX", NULL,                           \
		       "name of the runs in it; hsbpf_<test>_vm_<N>_log unless given"),                                \
		HS_OPT(type, member.accel, "accel", 0, HS_OPT_CHOICE, "ACCEL", "auto", "accelerator",                  \
		       .choices = lab_accels),                                                                         \
		HS_OPT(type, member.nic, "nic", 0, HS_OPT_CHOICE, "MODEL", "e1000", "NIC that L2 VMs own",             \
		       .choices = lab_nics),                                                                           \
		HS_OPT(type, member.client, "client", 0, HS_OPT_CHOICE, "KIND", "vm",                                  \
		       "clients: VMs, or processes in namespaces", .choices = lab_clients),                            \
		HS_OPT(type, member.kernel, "kernel", 0, HS_OPT_STR, "PATH", NULL,                                     \
		       "guest kernel: a vmlinuz, or a folder with an unpacked package; found or fetched unless "       \
		       "given"),                                                                                       \
		HS_OPT(type, member.l1_cpus, "l1-cpus", 0, HS_OPT_U32, "N", NULL,                                      \
		       "CPUs of L1; unless given as many as the host, under TCG 1", .max = 255),                       \
		HS_OPT(type, member.l1_mem, "l1-mem", 0, HS_OPT_SIZE, "SIZE", NULL,                                    \
		       "memory of L1; by what its L2s need unless given", .min = LAB_SIZE_MIN, .max = LAB_SIZE_MAX),   \
		HS_OPT(type, member.l2_mem, "l2-mem", 0, HS_OPT_SIZE, "SIZE", "160M", "memory of one L2",              \
		       .min = LAB_SIZE_MIN, .max = LAB_SIZE_MAX),                                                      \
		HS_OPT(type, member.client_mem, "client-mem", 0, HS_OPT_SIZE, "SIZE", "128M",                          \
		       "memory of one client VM", .min = LAB_SIZE_MIN, .max = LAB_SIZE_MAX),                           \
		HS_OPT(type, member.qemu_events, "qemu-events", 0, HS_OPT_STR, "FILE", "iommu",                        \
		       "QEMU events of L1 to log: a file, or one of iommu, iommu-inv, iommu-ir, vfio"),                \
		HS_OPT(type, member.no_trace, "no-trace", 0, HS_OPT_FLAG, NULL, NULL,                                  \
		       "record neither the IOMMU log nor any event"),                                                  \
		HS_OPT(type, member.guest_events, "guest-events", 0, HS_OPT_STR, "LIST", NULL,                         \
		       "what every VM of the lab is recorded for during the test, with commas: tracepoints of its "    \
		       "kernel (sched:sched_switch, net:*), events or profiles of hsbpf events (kvm); unless given "   \
		       "KVM, interrupts and the scheduler in L1, packets, interrupts and the scheduler in L2s, "       \
		       "packets and the scheduler in clients"),                                                        \
		HS_OPT(type, member.no_guest_trace, "no-guest-trace", 0, HS_OPT_FLAG, NULL, NULL,                      \
		       "VMs get no trace agent and record nothing"),                                                   \
		HS_OPT(type, member.dry_run, "dry-run", 0, HS_OPT_FLAG, NULL, NULL,                                    \
		       "print the commands instead of doing it"),                                                      \
		HS_OPT(type, member.verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step")

/*
 * Checks them and fills in the session's config; *events_path (malloc'd, the caller's) must live as long as it. 0, or
 * an exit code after a message.
 */
int lab_options_apply(const struct lab_options *options, const char *default_prefix, struct hs_session_config *config,
		      char **events_path);

/* --test's rows for a verb. */
struct test_options {
	const char *test, *iperf3_args;
	uint32_t seconds;
};
#define TEST_OPTIONS(type, member)                                                                                     \
	HS_OPT(type, member.test, "test", 't', HS_OPT_STR, "TEST", "iperf3",                                           \
	       "what every pair runs: iperf3, iperf3-udp, ping, none"),                                                \
		HS_OPT(type, member.seconds, "iperf3time", 0, HS_OPT_U32, "SECONDS", "10", "how long it runs",         \
		       .min = 1, .max = 86400),                                                                        \
		HS_OPT(type, member.iperf3_args, "iperf3-args", 0, HS_OPT_STR, "ARGS", NULL,                           \
		       "more words for the iperf3 clients")

#endif
