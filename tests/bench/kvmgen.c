// SPDX-License-Identifier: GPL-2.0-only
/*
 * A KVM guest of a dozen bytes that makes an exactly known number of events: N times `out` to a port (0x80), so N
 * kvm_pio and N + 1 kvm_userspace_exit (the last is hlt). The yardstick for loss and for cost per event.
 * Usage: kvmgen N [wait]; with "wait" the VM is
 * there and its vCPU starts at the first byte on stdin. Prints "io=N ns=TIME cpu_ns=TIME"; exit code 4 when KVM cannot
 * be used here. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define EXIT_NO_KVM 4
#define CODE_ADDRESS 0x1000
#define TSS_ADDRESS 0xfffbd000 /* three pages that no memory of the guest uses; VMX needs them */

struct used_time {
	uint64_t wall_ns;
	uint64_t cpu_ns; /* of the thread that is the vCPU: what others do on its CPU meanwhile is not in it */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static int give_code(int vm, uint32_t out_nr, uint16_t port)
{
	/* mov ecx,N ; mov dx,PORT ; again: out dx,al ; dec ecx ; jnz again ; hlt */
	const uint8_t code[] = { 0x66,	    0xb9, out_nr, out_nr >> 8, out_nr >> 16, out_nr >> 24, 0xba, port,
				 port >> 8, 0xee, 0x66,	  0x49,	       0x75,	     0xfb,	   0xf4 };
	void *memory = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_ADDRESS,
		.memory_size = 0x1000,
		.userspace_addr = (uintptr_t)memory,
	};

	if (memory == MAP_FAILED)
		return -errno;
	memcpy(memory, code, sizeof(code));
	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static int set_registers(int vcpu)
{
	struct kvm_regs registers = { .rip = CODE_ADDRESS, .rflags = 2 };
	struct kvm_sregs segments;

	if (ioctl(vcpu, KVM_GET_SREGS, &segments))
		return -errno;
	segments.cs.base = 0;
	segments.cs.selector = 0;
	return ioctl(vcpu, KVM_SET_SREGS, &segments) || ioctl(vcpu, KVM_SET_REGS, &registers) ? -errno : 0;
}

/* Runs to the hlt; returns the number of outs that were seen, or -errno. */
static int64_t run(int vcpu, const struct kvm_run *state)
{
	int64_t out_nr = 0;

	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (state->exit_reason == KVM_EXIT_HLT)
			return out_nr;
		if (state->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "kvmgen: unexpected exit %u\n", state->exit_reason);
			return -EIO;
		}
		out_nr++;
	}
}

static int64_t generate(int kvm, uint32_t out_nr, uint16_t port, bool waits, struct used_time *time)
{
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu, size, err;
	const struct kvm_run *state;
	int64_t made;

	if (vm < 0)
		return -errno;
	ioctl(vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	err = give_code(vm, out_nr, port);
	if (err)
		return err;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < 0)
		return -errno;
	state = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (state == MAP_FAILED)
		return -errno;
	err = set_registers(vcpu);
	if (err)
		return err;
	if (waits && getchar() == EOF)
		return -ECANCELED;
	time->wall_ns = now_ns(CLOCK_MONOTONIC);
	time->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
	made = run(vcpu, state);
	time->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - time->cpu_ns;
	time->wall_ns = now_ns(CLOCK_MONOTONIC) - time->wall_ns;
	return made;
}

int main(int argc, char **argv)
{
	bool waits = argc == 3 && !strcmp(argv[2], "wait");
	long out_nr = argc == 2 || argc == 3 ? atol(argv[1]) : 0;
	uint16_t port = argc == 3 && !waits ? strtoul(argv[2], NULL, 0) : 0x80;
	struct used_time time = { 0 };
	int64_t made;
	int kvm;

	if (out_nr < 1 || out_nr > UINT32_MAX) {
		fprintf(stderr, "usage: kvmgen N [wait|PORT]   (N: events to make, at least 1)\n");
		return 2;
	}
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		fprintf(stderr, "kvmgen: cannot open /dev/kvm: %s\n", strerror(errno));
		return EXIT_NO_KVM;
	}
	made = generate(kvm, out_nr, port, waits, &time);
	if (made < 0) {
		fprintf(stderr, "kvmgen: KVM cannot run the guest: %s\n", strerror((int)-made));
		return EXIT_NO_KVM;
	}
	printf("io=%" PRId64 " ns=%" PRIu64 " cpu_ns=%" PRIu64 "\n", made, time.wall_ns, time.cpu_ns);
	return made == out_nr ? 0 : 1;
}
