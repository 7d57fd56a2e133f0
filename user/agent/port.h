/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ports by name: a virtio-serial port of this guest, or in a folder of its place a FIFO, a Unix socket or any other
 * device. No state; any thread.
 */
#ifndef HS_AGENT_PORT_H
#define HS_AGENT_PORT_H

#include <stdbool.h>

#define HS_PORTS_DIR "/dev/virtio-ports"

struct hs_port {
	int fd;			/* non-blocking */
	bool answers;		/* what is written comes to the host; of a FIFO that orders come by it does not */
	bool hangs_up_for_good; /* its end of file is the end: open it again. A virtio port's host may come back */
};

/*
 * dir NULL: HS_PORTS_DIR, and without udev, which makes it, /dev/vport*. A FIFO is opened for both directions: it never
 * hangs up, and keeps what was written while nobody reads. -ENOENT, -ECONNREFUSED, ...: not there yet. Not said.
 */
int hs_port_open(const char *dir, const char *name, struct hs_port *out);

/* Standard output for writing whole frames, non-blocking where it can be without changing it for others. */
int hs_port_open_stdout(void);

#endif
