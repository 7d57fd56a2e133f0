/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a guest's trace ports are on the host: one for orders and one per CPU, each a unix socket that QEMU
 * listens on (a lab's, libvirt's, anybody's) or a pair of FIFOs NAME.in and NAME.out (QEMU's -chardev pipe, as in
 * the README of the kernel's virtio-trace agent). Plain data; any thread.
 */
#ifndef HS_GUEST_PLACE_H
#define HS_GUEST_PLACE_H

#include <stdbool.h>

#include "base/scoped.h"

#define HS_GUEST_CPUS_MAX 256u

struct hs_guest_place {
	bool is_fifo;
	char *orders; /* path without .in and .out */
	unsigned cpus;
	char *data[HS_GUEST_CPUS_MAX]; /* by CPU */
	char *log;		       /* NULL: it has none, and needs none to be recorded */
};

/*
 * PATH is a folder that has the ports under their own names (agent-ctl-path, trace-path-cpu0, ...), or what stands
 * before those names ("/run/hsbpf/lab/l2-0."). CPUs are counted from 0 until one has no port. -ENOENT after a message
 * that says which file was looked for.
 */
int hs_guest_place_find(const char *path, struct hs_guest_place **out);

/* An empty place, to be filled by hs_guest_place_add(). NULL without memory. */
struct hs_guest_place *hs_guest_place_new(void);
/* Notes the port of that name; other names are ignored. -ENOMEM. */
int hs_guest_place_add(struct hs_guest_place *place, const char *name, const char *path);

void hs_guest_place_free(struct hs_guest_place *place);
HS_SCOPED(hs_guest_place, struct hs_guest_place *, hs_guest_place_free)

/*
 * Opens one port, non-blocking: fds[0] to read, fds[1] to write (the same descriptor for a socket). 0, or -errno
 * without a message: -ENOENT and -ECONNREFUSED mean that nobody is there yet.
 */
int hs_guest_port_open(const char *path, bool is_fifo, int fds[2]);

#endif
