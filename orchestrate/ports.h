/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of the ports over which a machine's trace agent sends: one per CPU, one for orders and one for the log. As people know
 * them from the kernel's virtio-trace agent; on the host, a socket of that name behind the machine's.
 */
#ifndef HS_ORCHESTRATE_PORTS_H
#define HS_ORCHESTRATE_PORTS_H

#define HS_TRACE_DATA_PORT "trace-path-cpu"  /* and the CPU's number */
#define HS_TRACE_ORDERS_PORT "agent-ctl-path"
#define HS_LOG_PORT "agent-log-path" /* of the kernel's log */
#define HS_TRACE_AGENT "hsbpf-agent"

#define HS_GUEST_PORTS_DIR "/dev/virtio-ports"
#define HS_L2_CPUS 1u
#define HS_CLIENT_CPUS 1u

#endif
