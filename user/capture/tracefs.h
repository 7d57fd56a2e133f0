/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What we need of tracefs and debugfs, without asking the user to mount it. No state; any thread.
 */
#ifndef HS_CAPTURE_TRACEFS_H
#define HS_CAPTURE_TRACEFS_H

/*
 * A descriptor of tracefs' root, the caller's: of a mount that exists, else of one that nobody sees. Or
 * -errno.
 */
int hs_tracefs_open(void);

/* The same of debugfs. */
int hs_debugfs_open(void);

/* The number by which perf_event_open() knows the tracepoint. -ENOENT: this kernel does not have it. */
int hs_tracefs_event_id(int tracefs_fd, const char *system, const char *name);

struct bpf_link;
struct bpf_program;

/*
 * Attaches a program to a classic tracepoint through that descriptor. libbpf would look for a mounted tracefs. NULL
 * with errno.
 */
struct bpf_link *hs_tracefs_attach(int tracefs_fd, const struct bpf_program *program, const char *system,
				   const char *name);

#endif
