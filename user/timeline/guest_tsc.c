// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time stamp counters of KVM guests. All arithmetic is modulo 2^64 as the processor's is, products take 128 bits.
 * Called by whoever pings guests.
 */
#include "timeline/guest_tsc.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/scoped.h"

#define NUMBER_BYTES 64

/* ---- what KVM tells ---- */

/* -ENOENT where there is no such file. KVM prints offsets signed. */
static int read_number(const char *vcpu, const char *name, uint64_t *number)
{
	scoped(mem) char *path = hs_format("%s/%s", vcpu, name), *text = NULL;
	int err = path ? hs_read_file(path, NUMBER_BYTES, &text, NULL) : -ENOMEM;
	char *end;

	if (err)
		return err;
	errno = 0;
	*number = *text == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
	return errno || end == text || (*end && *end != '\n') ? -EBADMSG : 0;
}

static int read_vcpu(const char *vcpu, struct hs_guest_tsc *tsc)
{
	uint64_t bits = 0;
	int err = read_number(vcpu, "tsc-offset", &tsc->offset);

	if (err)
		return err;
	err = read_number(vcpu, "tsc-scaling-ratio", &tsc->ratio);
	if (!err)
		err = read_number(vcpu, "tsc-scaling-ratio-frac-bits", &bits);
	if (err == -ENOENT) { /* this processor cannot scale */
		tsc->ratio = 1;
		bits = 0;
		err = 0;
	}
	tsc->ratio_bits = (unsigned int)bits;
	return err ? err : bits < 64 && tsc->ratio ? 0 : -EBADMSG;
}

static int read_vm(const char *vm, struct hs_guest_tsc *tsc)
{
	scoped(dir) DIR *dir = opendir(vm);
	const struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		scoped(mem) char *vcpu = NULL;
		struct hs_guest_tsc one = { 0 };
		int err;

		if (strncmp(entry->d_name, "vcpu", 4) != 0)
			continue;
		vcpu = hs_format("%s/%s", vm, entry->d_name);
		err = vcpu ? read_vcpu(vcpu, &one) : -ENOMEM;
		if (err)
			return err;
		if (tsc->vcpu_nr &&
		    (one.offset != tsc->offset || one.ratio != tsc->ratio || one.ratio_bits != tsc->ratio_bits))
			return -EXDEV;
		one.vcpu_nr = tsc->vcpu_nr + 1;
		*tsc = one;
	}
	return 0;
}

int hs_guest_tsc_read(const char *debugfs, pid_t pid, struct hs_guest_tsc *out)
{
	scoped(mem) char *kvm = hs_format("%s/kvm", debugfs), *prefix = hs_format("%d-", (int)pid);
	scoped(dir) DIR *dir = kvm ? opendir(kvm) : NULL;
	struct hs_guest_tsc tsc = { 0 };
	const struct dirent *entry;

	if (!kvm || !prefix)
		return -ENOMEM;
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		scoped(mem) char *vm = NULL;
		int err;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		vm = hs_format("%s/%s", kvm, entry->d_name);
		err = vm ? read_vm(vm, &tsc) : -ENOMEM;
		if (err)
			return err;
	}
	if (!tsc.vcpu_nr)
		return -ENOENT;
	*out = tsc;
	return 0;
}

uint64_t hs_guest_tsc_to_host(const struct hs_guest_tsc *tsc, uint64_t guest_tsc, uint64_t near)
{
	uint64_t scaled_near = (uint64_t)((unsigned __int128)near * tsc->ratio >> tsc->ratio_bits);
	int64_t ahead = (int64_t)(guest_tsc - tsc->offset - scaled_near);
	__int128 host_ahead = ahead * ((__int128)1 << tsc->ratio_bits) / tsc->ratio;

	return near + (uint64_t)host_ahead;
}

/* ---- the host's counter ---- */

/* The counter in ns at its mean rate: what is left is its clock's drift. */
static uint64_t ns_of(const struct hs_tsc_clock *clock, uint64_t tsc)
{
	__int128 ahead = (int64_t)(tsc - clock->first_tsc);
	__int128 ns = clock->first_ns + ahead * clock->span_ns / clock->ticks;

	return ns > 0 ? (uint64_t)ns : 0;
}

int hs_tsc_clock_open(const struct hs_clock_list *samples, struct hs_tsc_clock *out)
{
	const struct hs_clock_sample *first = samples->samples, *last;
	struct hs_tsc_clock clock = { 0 };

	if (samples->sample_nr < 2)
		return -ENODATA;
	last = first + samples->sample_nr - 1;
	if (last->tsc <= first->tsc)
		return -ENODATA;
	clock.first_tsc = first->tsc;
	clock.first_ns = (int64_t)first->boot_ns;
	clock.ticks = last->tsc - first->tsc;
	clock.span_ns = last->boot_ns - first->boot_ns;
	for (const struct hs_clock_sample *sample = first; sample <= last; sample++) {
		uint64_t half_ns = sample->width_ns / 2 + 1, at_ns = ns_of(&clock, sample->tsc);
		struct hs_guest_sample ping = { sample->boot_ns - half_ns, at_ns, at_ns, sample->boot_ns + half_ns };
		int err = hs_guest_clock_add_burst(&clock.clock, &ping, 1);

		if (err) {
			hs_guest_clock_clear(&clock.clock);
			return err == -EINVAL ? -ENODATA : err;
		}
	}
	*out = clock;
	return 0;
}

int hs_tsc_clock_to_boot(struct hs_tsc_clock *clock, uint64_t tsc, uint64_t *boot_ns, uint64_t *error_ns)
{
	return clock->ticks ? hs_guest_clock_to_host(&clock->clock, ns_of(clock, tsc), boot_ns, error_ns) : -ENODATA;
}

void hs_tsc_clock_clear(struct hs_tsc_clock *clock)
{
	hs_guest_clock_clear(&clock->clock);
	*clock = (struct hs_tsc_clock){ 0 };
}

int hs_guest_tsc_refine(const struct hs_guest_tsc *tsc, struct hs_tsc_clock *host, uint64_t guest_tsc,
			struct hs_guest_sample *sample)
{
	uint64_t guest_ns = sample->guest_send_ns - sample->guest_recv_ns, at_ns, error_ns, host_tsc, slack_ns;
	uint64_t send_ns, recv_ns;
	int err;

	if (!host->ticks)
		return -ENODATA;
	host_tsc = hs_guest_tsc_to_host(tsc, guest_tsc, host->first_tsc + host->ticks);
	err = hs_tsc_clock_to_boot(host, host_tsc, &at_ns, &error_ns);
	if (err)
		return err;
	if (at_ns + error_ns < sample->host_send_ns || at_ns > sample->host_recv_ns + error_ns)
		return -EDOM;
	/* It was read within the guest's own time, which may run at another rate. */
	slack_ns = error_ns + guest_ns + guest_ns / 1000000 * HS_GUEST_CLOCK_DRIFT_PPM + 1;
	send_ns = at_ns > slack_ns ? at_ns - slack_ns : 0;
	recv_ns = at_ns + slack_ns;
	if (send_ns > sample->host_send_ns)
		sample->host_send_ns = send_ns;
	if (recv_ns < sample->host_recv_ns)
		sample->host_recv_ns = recv_ns;
	return 0;
}
