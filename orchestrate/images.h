/* SPDX-License-Identifier: GPL-2.0-only */
/* What the lab's machines boot from: the guest kernel and three initramfs, made in the lab's folder. */
#ifndef HS_ORCHESTRATE_IMAGES_H
#define HS_ORCHESTRATE_IMAGES_H

#include <stdbool.h>

#include "base/scoped.h"

struct hs_images {
	char *kernel;	  /* on the host */
	char *release;
	char *boot_dir;	  /* shared with L1 as /boot: "kernel" and "l2.cpio" */
	char *l1, *client; /* initramfs on the host */
	char *cache_dir;
};

/* kernel: --kernel or NULL; dir: the lab's folder; with_tracer: guests get the trace agent. Message on failure. */
int hs_images_make(const char *kernel, const char *dir, bool with_tracer, struct hs_images **out);
/* The same for guests that migrate: only `client` is made, with the tools for migrations in HS_IMAGES_MIGTOOLS. */
#define HS_IMAGES_MIGTOOLS "/sbin/hsbpf-migtools"
int hs_images_make_migrating(const char *kernel, const char *dir, struct hs_images **out);
void hs_images_free(struct hs_images *images);
HS_SCOPED(hs_images, struct hs_images *, hs_images_free)

/* A guest program (hsbpf-init, hsbpf-agent) beside the running hsbpf, or in LIBEXECDIR; malloc'd, NULL after a message.
 */
char *hs_images_find_program(const char *name);

#endif
