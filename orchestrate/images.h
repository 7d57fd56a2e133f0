/* SPDX-License-Identifier: GPL-2.0-only */
/* What the lab's machines boot from: the guest kernel and three initramfs, made in the lab's folder. */
#ifndef HS_ORCHESTRATE_IMAGES_H
#define HS_ORCHESTRATE_IMAGES_H

#include "base/scoped.h"

struct hs_images {
	char *kernel;	  /* on the host */
	char *release;
	char *boot_dir;	  /* shared with L1 as /boot: "kernel" and "l2.cpio" */
	char *l1, *client; /* initramfs on the host */
	char *cache_dir;
};

/* kernel: --kernel or NULL; dir: the lab's folder. Message on failure. */
int hs_images_make(const char *kernel, const char *dir, struct hs_images **out);
void hs_images_free(struct hs_images *images);
HS_SCOPED(hs_images, struct hs_images *, hs_images_free)

/* The init beside the running hsbpf, or in LIBEXECDIR; malloc'd, NULL after a message. */
char *hs_images_find_init(void);

#endif
