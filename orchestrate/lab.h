/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The nested lab as one object: raise it, run programs in its machines, take it down. The caller owns the
 * loop; every call is made from the main thread. Words about what went wrong are printed where it is known.
 */
#ifndef HS_ORCHESTRATE_LAB_H
#define HS_ORCHESTRATE_LAB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "accel.h"
#include "base/loop.h"
#include "frame.h"
#include "machine.h"
#include "net.h"
#include "topology.h"

struct hs_lab;

/* The host's side of a tap (or veth), as a packet recorder needs it. */
struct hs_lab_tap {
	const char *name;
	uint32_t netns_inum;
	int ifindex;
	unsigned tenant;
	bool is_client;
};

struct hs_lab_hooks {
	void (*on_process)(void *ctx, pid_t pid, const char *machine);
	void (*on_tap)(void *ctx, const struct hs_lab_tap *tap);
	void (*on_l1_restart)(void *ctx); /* L1's QEMU will write its log from the beginning again */
	/* Its kernel runs no more, by itself; called before it is started again, if it is. */
	void (*on_gone)(void *ctx, const struct hs_machine *machine);
	void *ctx;
};

struct hs_lab_config {
	const char *name;
	unsigned pairs;
	bool client_netns, dry_run;
	bool guest_trace; /* every VM gets trace ports and a trace agent, which waits for orders */
	enum hs_accel accel;
	const char *nic;	 /* "e1000" or "e1000e" */
	const char *kernel;	 /* NULL: found or fetched */
	unsigned l1_cpus;	 /* 0: as the host, under TCG 1 */
	struct hs_memory memory; /* 0: planned */
	const char *console_dir; /* exists; MACHINE.txt and MACHINE.qemu.txt are written there */
	const char *crash_dir;	 /* exists; what a kernel leaves when it dies, MACHINE.ramoops (crash.h); NULL: none */
	const char *events_file; /* QEMU events of L1, NULL: none */
	const char *log_file;	 /* L1's IOMMU log */
	struct hs_lab_hooks hooks;
};

/* Phases of a lab's life, for the summary. */
enum hs_phase {
	HS_PHASE_PREPARE,
	HS_PHASE_NETWORK,
	HS_PHASE_L1,
	HS_PHASE_MACHINES,
	HS_PHASE_TEST,
	HS_PHASE_DOWN,
	HS_PHASE_NR
};
const char *hs_phase_name(enum hs_phase phase);

/* Checks what the lab needs (memory, devices, programs) and takes its name. Strings of config are borrowed. */
int hs_lab_open(struct hs_loop *loop, const struct hs_lab_config *config, struct hs_lab **out);
/* Takes everything down (if hs_lab_lower() has not) and gives the name back. NULL is fine. */
void hs_lab_free(struct hs_lab *lab);
HS_SCOPED(hs_lab, struct hs_lab *, hs_lab_free)

/*
 * Raises it: 0 when L1 and at least one pair is ready; -EINTR when hs_lab_interrupt() was called. A pair
 * that gave up is told and skipped: hs_lab_pair_is_ready().
 */
int hs_lab_raise(struct hs_lab *lab);
/* Ends all machines, first nicely. The network stays, so that its counters can be read when they are final. */
void hs_lab_stop(struct hs_lab *lab);
/* hs_lab_stop(), then removes the network. */
void hs_lab_lower(struct hs_lab *lab);
/* Makes hs_lab_raise() and hs_lab_wait() return -EINTR. */
void hs_lab_interrupt(struct hs_lab *lab);

/* Runs the loop until done(ctx), the deadline (BOOTTIME, 0: none), an interrupt, or the end of L1 (-EIO). */
int hs_lab_wait(struct hs_lab *lab, hs_loop_done done, void *ctx, uint64_t deadline_ns);

/* ---- programs in machines ---- */
struct hs_exec_ops {
	void (*on_ready)(void *ctx); /* the port is being listened on; may be NULL */
	void (*on_output)(void *ctx, bool is_stderr, const char *bytes, size_t len);
	/* The last call. status is a wait status, or -1 when the machine went away. */
	void (*on_exit)(void *ctx, int status);
};
/* Starts argv in machine `number`; -EHOSTDOWN after a message if it is not ready. *id names the run. */
int hs_lab_exec(struct hs_lab *lab, unsigned number, char *const *argv, uint16_t wait_port,
		const struct hs_exec_ops *ops, void *ctx, uint32_t *id);
/* len 0: end of file. */
void hs_lab_exec_input(struct hs_lab *lab, uint32_t id, const char *bytes, size_t len);
void hs_lab_exec_kill(struct hs_lab *lab, uint32_t id, int signal);
/* No more callbacks for this run; it is killed. */
void hs_lab_exec_forget(struct hs_lab *lab, uint32_t id);

/* ---- what it is ---- */
struct hs_loop *hs_lab_loop(struct hs_lab *lab);
const struct hs_lab_config *hs_lab_config(const struct hs_lab *lab);
unsigned hs_lab_machines(const struct hs_lab *lab);
const struct hs_machine *hs_lab_machine(const struct hs_lab *lab, unsigned number);
bool hs_lab_pair_is_ready(const struct hs_lab *lab, unsigned tenant);
const char *hs_lab_dir(const struct hs_lab *lab);
struct hs_net *hs_lab_net(struct hs_lab *lab);
const struct hs_accel_answer *hs_lab_accel(const struct hs_lab *lab);
const char *hs_lab_kernel_release(const struct hs_lab *lab);
/* ns the phase took; 0 when it did not happen. The test's is set by whoever runs it. */
uint64_t hs_lab_phase_ns(const struct hs_lab *lab, enum hs_phase phase);
void hs_lab_phase_begin(struct hs_lab *lab, enum hs_phase phase);
void hs_lab_phase_end(struct hs_lab *lab, enum hs_phase phase);

/* Checks that can be made without raising anything; each tells what is missing. what_helps: "options" that "make it
 * smaller". */
int hs_lab_check_memory(uint64_t need_bytes, const char *what_helps);
/* Privileges, /dev/net/tun, QEMU and memory. */
int hs_lab_check_host(uint64_t need_bytes, const char *what_helps);

#endif
