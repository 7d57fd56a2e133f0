/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libvirt's domains as guests: their trace ports are <channel>s of their XML, which virsh prints. Nothing of
 * libvirt is linked, and nothing in a domain is changed: what is missing is printed for its owner to add.
 */
#ifndef HS_GUEST_LIBVIRT_H
#define HS_GUEST_LIBVIRT_H

#include <stdio.h>

#include "place.h"

/* Whether there is a virsh to ask. */
bool hs_libvirt_is_here(void);

/* The XML of a running domain, malloc'd; -ENOENT when virsh knows none of that name (no message), -errno. */
int hs_libvirt_read_domain(const char *domain, char **xml);
/* Names of running domains, one a line, malloc'd; "" when there are none or libvirt does not answer. */
int hs_libvirt_read_names(char **names);

/*
 * What the XML says of trace ports: its channels over unix sockets with our names. *vcpus is its number of vCPUs.
 * The place may lack ports; -EBADMSG: no domain's XML.
 */
int hs_libvirt_parse(const char *xml, struct hs_guest_place **out, unsigned *vcpus);

/*
 * Prints the <channel> elements that are missing for that many vCPUs, as `virsh edit` takes them; how many. The one of
 * the kernel's log (`hsbpf log --guest`) is among them.
 */
unsigned hs_libvirt_print_missing(FILE *out, const struct hs_guest_place *place, unsigned vcpus);

#endif
