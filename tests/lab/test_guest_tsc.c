// SPDX-License-Identifier: GPL-2.0-only
/*
 * A real KVM guest that reads its time stamp counter: what this kernel tells of its offset leads from the guest's value
 * to a moment between the host's before and after, however the counter is set; and narrows a slow ping.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/scoped.h"
#include "guest/counter.h"
#include "tests/lab/lab.h"
#include "timeline/guest_tsc.h"

#define CODE_ADDRESS 0x1000
#define TSS_ADDRESS 0xfffbd000
#define MSR_IA32_TSC 0x10
#define ROUNDS 500
#define SHIFT_NS 7000000000ull /* the guest's clock is ahead by that */
#define LINK_NS 2000000ull     /* each way */

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
};

static const char *debugfs = "/sys/kernel/debug";

static int refuse(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	return -1;
}

static int give_code(const struct guest *guest)
{
	static const uint8_t code[] = { 0x0f, 0x31, 0xf4, 0xeb, 0xfb }; /* again: rdtsc; hlt; jmp again */
	void *memory = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .guest_phys_addr = CODE_ADDRESS, .memory_size = 0x1000 };

	if (memory == MAP_FAILED)
		return -1;
	memcpy(memory, code, sizeof(code));
	region.userspace_addr = (uintptr_t)memory;
	return ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int start_guest(struct guest *guest)
{
	struct kvm_regs registers = { .rip = CODE_ADDRESS, .rflags = 2 };
	struct kvm_sregs segments;
	int size;

	guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (guest->kvm < 0)
		return refuse("/dev/kvm");
	guest->vm = ioctl(guest->kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		return refuse("KVM_CREATE_VM");
	ioctl(guest->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	size = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (guest->vcpu < 0 || size < 0 || give_code(guest))
		return refuse("the guest");
	guest->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	if (guest->run == MAP_FAILED || ioctl(guest->vcpu, KVM_GET_SREGS, &segments))
		return refuse("its vCPU");
	segments.cs.base = 0;
	segments.cs.selector = 0;
	if (ioctl(guest->vcpu, KVM_SET_SREGS, &segments) || ioctl(guest->vcpu, KVM_SET_REGS, &registers))
		return refuse("its registers");
	return 0;
}

static bool read_guest_tsc(const struct guest *guest, uint64_t *tsc)
{
	struct kvm_regs registers;

	while (ioctl(guest->vcpu, KVM_RUN, 0))
		if (errno != EINTR)
			return false;
	if (guest->run->exit_reason != KVM_EXIT_HLT || ioctl(guest->vcpu, KVM_GET_REGS, &registers))
		return false;
	*tsc = registers.rdx << 32 | (registers.rax & 0xffffffff);
	return true;
}

static void set_guest_tsc(const struct guest *guest, uint64_t value)
{
	uint64_t buffer[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) / 8] = { 0 };
	struct kvm_msrs *msrs = (void *)buffer;

	msrs->nmsrs = 1;
	msrs->entries[0] = (struct kvm_msr_entry){ .index = MSR_IA32_TSC, .data = value };
	lab_equal((uint64_t)ioctl(guest->vcpu, KVM_SET_MSRS, msrs), 1, "the counter can be set");
}

static uint64_t sample_now(struct hs_clock_list *list)
{
	struct hs_clock_sample sample;

	hs_clock_sample_take(&sample);
	hs_clock_list_append(list, &sample);
	return sample.boot_ns;
}

/* One ping of a guest whose clock is the host's, shifted, over a link that is slow. */
static bool ping(const struct guest *guest, struct hs_clock_list *list, struct hs_guest_sample *sample,
		 uint64_t *guest_tsc, uint64_t *before_tsc, uint64_t *after_tsc)
{
	uint64_t before_ns = sample_now(list), after_ns;

	*before_tsc = list->samples[list->sample_nr - 1].tsc;
	if (!read_guest_tsc(guest, guest_tsc))
		return false;
	after_ns = sample_now(list);
	*after_tsc = list->samples[list->sample_nr - 1].tsc;
	*sample = (struct hs_guest_sample){ before_ns - LINK_NS, before_ns + SHIFT_NS, after_ns + SHIFT_NS,
					    after_ns + LINK_NS };
	return true;
}

static void check_counter(const struct guest *guest, const char *name)
{
	static struct {
		struct hs_guest_sample sample;
		uint64_t tsc;
	} pings[ROUNDS];
	scoped(hs_tsc_clock) struct hs_tsc_clock host = { 0 };
	scoped(hs_guest_clock) struct hs_guest_clock clock = { 0 };
	struct hs_clock_list list = { 0 };
	unsigned int between = 0, narrowed = 0, refused = 0;
	struct hs_guest_tsc tsc;
	uint64_t host_ns = 0, error_ns = 0;

	if (!lab_equal((uint64_t)hs_guest_tsc_read(debugfs, getpid(), &tsc), 0, "%s: KVM tells its offset", name))
		return;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t before, after, at;

		if (!ping(guest, &list, &pings[i].sample, &pings[i].tsc, &before, &after))
			break;
		at = hs_guest_tsc_to_host(&tsc, pings[i].tsc, before);
		between += at >= before && at <= after;
	}
	lab_equal(between, ROUNDS, "%s: every value is between the host's before and after", name);
	lab_equal((uint64_t)hs_tsc_clock_open(&list, &host), 0, "%s: the host's counter has its clock", name);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct hs_guest_sample sample = pings[i].sample, wrong = sample;

		refused += hs_guest_tsc_refine(&tsc, &host, pings[i].tsc + 10000000000ull, &wrong) == -EDOM;
		if (!hs_guest_tsc_refine(&tsc, &host, pings[i].tsc, &sample))
			narrowed += sample.host_recv_ns - sample.host_send_ns < LINK_NS;
		hs_guest_clock_add_burst(&clock, &sample, 1);
	}
	lab_ok(narrowed > ROUNDS * 9 / 10, "%s: %u of %u slow pings tell more", name, narrowed, ROUNDS);
	lab_equal(refused, ROUNDS, "%s: a counter that cannot be is noticed", name);
	hs_guest_clock_to_host(&clock, pings[ROUNDS / 2].sample.guest_recv_ns, &host_ns, &error_ns);
	lab_ok(error_ns < LINK_NS / 2, "%s: the clock's bound is %llu ns", name, (unsigned long long)error_ns);
	lab_ok(llabs((int64_t)(host_ns + SHIFT_NS - pings[ROUNDS / 2].sample.guest_recv_ns)) <= (int64_t)error_ns,
	       "%s: and true", name);
	hs_clock_list_clear(&list);
}

/* As a guest's pings come: in bursts, of which all or none are narrowed. */
static void check_bursts(const struct guest *guest)
{
	struct hs_guest_counter counter = { .vmm = getpid() };
	unsigned int narrow = 0, unchanged = 0;

	for (unsigned int burst = 0; burst < 20; burst++) {
		struct hs_clock_list list = { 0 };
		struct hs_guest_sample pings[8], same[8];
		uint64_t tscs[8], before, after;

		for (int i = 0; i < 8; i++)
			if (!ping(guest, &list, &pings[i], &tscs[i], &before, &after))
				return;
		hs_clock_list_clear(&list);
		if (burst % 2)
			tscs[5] += 1ull << 40;
		memcpy(same, pings, sizeof(same));
		hs_guest_counter_refine(&counter, pings, tscs, 8);
		unchanged += !memcmp(same, pings, sizeof(same));
		narrow += pings[0].host_recv_ns - pings[0].host_send_ns < LINK_NS;
	}
	/* With the first burst the host's counter has one sample, which is no clock yet. */
	lab_ok(narrow >= 8, "bursts that agree are narrowed: %u", narrow);
	lab_equal(unchanged, 11, "of the others no ping is changed");
	lab_equal(counter.agreed, 9, "bursts that agree are counted");
	lab_equal(counter.disagreed, 10, "and those that do not");
	hs_guest_counter_clear(&counter);
}

int main(void)
{
	struct guest guest;

	if (access("/sys/kernel/debug/kvm", F_OK) < 0 && mount("debugfs", lab_folder(), "debugfs", 0, NULL) == 0)
		debugfs = lab_folder();
	if (start_guest(&guest))
		return lab_skip_all("KVM cannot run a guest here (see above)");
	if (access(debugfs, R_OK | X_OK) < 0)
		return lab_skip_all("debugfs cannot be read");
	check_counter(&guest, "as it is");
	set_guest_tsc(&guest, 12345);
	check_counter(&guest, "set to 12345");
	set_guest_tsc(&guest, 1ull << 62);
	check_counter(&guest, "set to 2^62");
	if (debugfs != lab_folder())
		check_bursts(&guest);
	else
		umount(debugfs);
	return lab_done();
}
