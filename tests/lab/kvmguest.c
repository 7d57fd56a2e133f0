// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tiny KVM guest that does one of everything that makes KVM events: cpuid, MSRs, an exception, a hypercall, MMIO,
 * interrupts by line, by message and from itself, a halt that a timer ends, and writes to watched memory until the
 * dirty ring is full. Usage: kvmguest [hypercall]: not every nested KVM gets over one. Prints what was seen as
 * NAME=COUNT; exit code 4 when KVM cannot run it. One thread, so that all events are this thread's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define EXIT_NO_KVM 4
#define LOW_BYTES 0x10000
#define CODE_ADDRESS 0x1000
#define STACK_TOP 0x9000
#define TSS_ADDRESS 0xfffbd000
#define APIC_ADDRESS 0xfee00000 /* es */
#define MMIO_ADDRESS 0x10000000 /* fs: no memory there */
#define PAGES_ADDRESS 0x200000	/* gs: memory whose dirty pages are logged */
#define PAGE_NR 1024
#define RING_BYTES 16384
#define LINE 4
#define MSI_VECTOR 0x41

enum port { PORT_LINE = 0x10, PORT_MSI = 0x11, PORT_UNMAP = 0x12, PORT_END = 0x13 };

extern const uint8_t guest_start[], guest_gp[], guest_pic[], guest_timer[], guest_apic[], guest_end[];

__asm__(".pushsection .rodata\n"
	".code16\n"
	"guest_start:\n"
	"	movb $0x11, %al; outb %al, $0x20\n" /* PIC: vectors from 0x20, all lines open */
	"	movb $0x20, %al; outb %al, $0x21\n"
	"	movb $0x04, %al; outb %al, $0x21\n"
	"	movb $0x01, %al; outb %al, $0x21\n"
	"	movb $0x00, %al; outb %al, $0x21\n"
	"	movl $0x1ff, %es:0xf0\n" /* local APIC on */
	"	xorl %eax, %eax; xorl %ecx, %ecx; cpuid\n"
	"	movl $0x80000000, %eax; cpuid\n"
	"	movl $0x1b, %ecx; rdmsr\n"
	"	movl $0x277, %ecx; rdmsr; wrmsr\n"				    /* the PAT as it is */
	"	movl $0x1b, %ecx; movl $0xffffffff, %eax; movl %eax, %edx; wrmsr\n" /* #GP */
	"	testl %ebp, %ebp\n"						    /* set from outside */
	"	jz 1f\n"
	"	movl $1, %eax; movl $2, %ebx; movl $3, %ecx; movl $4, %edx; movl $5, %esi; vmcall\n"
	"1:\n"
	"	movl $0x12345678, %fs:0x10\n"
	"	movl %fs:0x18, %eax\n"
	"	movb %al, %fs:0x20\n"
	"	movl $0x00040040, %es:0x300\n" /* vector 0x40 to itself */
	"	sti; nop; nop\n"
	"	outb %al, $0x10; nop\n"
	"	outb %al, $0x11; nop\n"
	"	movl $0xb, %es:0x3e0\n" /* the APIC's timer, once: vector 0x42 */
	"	movl $0x42, %es:0x320\n"
	"	movl $20000000, %es:0x380\n"
	"1:	cli\n"
	"	cmpb $0, 0x8000\n"
	"	jne 1f\n"
	"	sti; hlt\n"
	"	jmp 1b\n"
	"1:	sti\n"
	"	xorl %edi, %edi\n"
	"1:	movl %edi, %gs:(%edi)\n"
	"	addl $0x1000, %edi\n"
	"	cmpl $0x400000, %edi\n"
	"	jb 1b\n"
	"	outb %al, $0x12\n"
	"	movl %gs:0, %eax\n"
	"	cli\n"
	"	outb %al, $0x13\n"
	"	hlt\n"
	"guest_gp:\n" /* over the wrmsr of two bytes; real mode has no error code */
	"	pushw %bp; movw %sp, %bp; addw $2, 2(%bp); popw %bp; iretw\n"
	"guest_pic:\n"
	"	pushw %ax; movb $0x20, %al; outb %al, $0x20; popw %ax; iretw\n"
	"guest_timer:\n"
	"	movb $1, 0x8000\n"
	"guest_apic:\n"
	"	movl $0, %es:0xb0; iretw\n"
	"guest_end:\n"
	".code64\n"
	".popsection\n");

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint8_t *low, *pages;
	uint32_t mmio_nr, io_nr, ring_full_nr, ring_reset_nr;
};

static int refuse(const char *what)
{
	fprintf(stderr, "kvmguest: %s: %s\n", what, strerror(errno));
	return EXIT_NO_KVM;
}

static int give_memory(const struct guest *guest, uint32_t slot, uint32_t flags, uint64_t address, uint64_t bytes,
		       uint8_t **memory)
{
	struct kvm_userspace_memory_region region = { .slot = slot, .flags = flags, .guest_phys_addr = address };

	*memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*memory == MAP_FAILED)
		return -1;
	region.memory_size = bytes;
	region.userspace_addr = (uintptr_t)*memory;
	return ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_vector(uint8_t *low, unsigned int vector, const uint8_t *handler)
{
	uint16_t entry[2] = { CODE_ADDRESS + (handler - guest_start), 0 };

	memcpy(low + 4 * vector, entry, sizeof(entry));
}

static void write_code(uint8_t *low)
{
	memcpy(low + CODE_ADDRESS, guest_start, guest_end - guest_start);
	set_vector(low, 13, guest_gp);
	set_vector(low, 0x20 + LINE, guest_pic);
	set_vector(low, 0x40, guest_apic);
	set_vector(low, MSI_VECTOR, guest_apic);
	set_vector(low, 0x42, guest_timer);
}

static int set_registers(int vcpu, bool hypercall)
{
	struct kvm_regs registers = { .rip = CODE_ADDRESS, .rsp = STACK_TOP, .rflags = 2, .rbp = hypercall };
	struct kvm_sregs segments;

	if (ioctl(vcpu, KVM_GET_SREGS, &segments))
		return -1;
	segments.cs.base = segments.cs.selector = 0;
	segments.es.base = APIC_ADDRESS;
	segments.fs.base = MMIO_ADDRESS;
	segments.gs.base = PAGES_ADDRESS;
	segments.gs.limit = UINT32_MAX;
	segments.gs.g = 1;
	return ioctl(vcpu, KVM_SET_SREGS, &segments) || ioctl(vcpu, KVM_SET_REGS, &registers) ? -1 : 0;
}

/* The leaves of the host, so that some cpuids are found. */
static int set_cpuid(const struct guest *guest)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[100];
	} cpuid = { .head.nent = 100 };

	if (ioctl(guest->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		return -1;
	return ioctl(guest->vcpu, KVM_SET_CPUID2, &cpuid);
}

static int make(struct guest *guest, bool hypercall)
{
	struct kvm_enable_cap ring = { .cap = KVM_CAP_DIRTY_LOG_RING, .args = { RING_BYTES } };
	int size;

	guest->vm = ioctl(guest->kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		return refuse("no VM");
	ioctl(guest->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	if (ioctl(guest->vm, KVM_CREATE_IRQCHIP, 0))
		return refuse("no interrupt controllers");
	if (ioctl(guest->vm, KVM_ENABLE_CAP, &ring))
		return refuse("no dirty ring");
	if (give_memory(guest, 0, 0, 0, LOW_BYTES, &guest->low) ||
	    give_memory(guest, 1, KVM_MEM_LOG_DIRTY_PAGES, PAGES_ADDRESS, PAGE_NR * 4096ul, &guest->pages))
		return refuse("no memory");
	write_code(guest->low);
	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	size = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (guest->vcpu < 0 || size < 0)
		return refuse("no vCPU");
	guest->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	if (guest->run == MAP_FAILED || set_cpuid(guest) || set_registers(guest->vcpu, hypercall))
		return refuse("no vCPU");
	return 0;
}

/* Takes what is in the ring and gives it back. */
static void reset_ring(struct guest *guest)
{
	struct kvm_dirty_gfn *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu,
					  KVM_DIRTY_LOG_PAGE_OFFSET * 4096);

	if (ring == MAP_FAILED)
		return;
	for (size_t i = 0; i < RING_BYTES / sizeof(*ring); i++) {
		if (__atomic_load_n(&ring[i].flags, __ATOMIC_ACQUIRE) == KVM_DIRTY_GFN_F_DIRTY)
			__atomic_store_n(&ring[i].flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
	munmap(ring, RING_BYTES);
	ioctl(guest->vm, KVM_RESET_DIRTY_RINGS);
	guest->ring_reset_nr++;
}

static void on_port(struct guest *guest, enum port port)
{
	struct kvm_irq_level line = { .irq = LINE, .level = 1 };
	struct kvm_msi msi = { .address_lo = APIC_ADDRESS, .data = MSI_VECTOR };

	guest->io_nr++;
	switch (port) {
	case PORT_LINE:
		ioctl(guest->vm, KVM_IRQ_LINE, &line);
		line.level = 0;
		ioctl(guest->vm, KVM_IRQ_LINE, &line);
		break;
	case PORT_MSI:
		ioctl(guest->vm, KVM_SIGNAL_MSI, &msi);
		break;
	case PORT_UNMAP:
		madvise(guest->pages, 4096, MADV_DONTNEED);
		break;
	default:
		break;
	}
}

/* Whether it goes on. */
static int step(struct guest *guest)
{
	if (ioctl(guest->vcpu, KVM_RUN, 0))
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	switch (guest->run->exit_reason) {
	case KVM_EXIT_IO:
		on_port(guest, guest->run->io.port);
		return guest->run->io.port != PORT_END;
	case KVM_EXIT_MMIO:
		guest->mmio_nr++;
		memset(guest->run->mmio.data, 0x5a, sizeof(guest->run->mmio.data));
		return 1;
	case KVM_EXIT_DIRTY_RING_FULL:
		guest->ring_full_nr++;
		reset_ring(guest);
		return 1;
	default:
		fprintf(stderr, "kvmguest: unexpected exit %u\n", guest->run->exit_reason);
		return -EIO;
	}
}

int main(int argc, char **argv)
{
	struct guest guest = { .kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC) };
	int status;

	if (guest.kvm < 0)
		return refuse("cannot open /dev/kvm");
	status = make(&guest, argc == 2 && !strcmp(argv[1], "hypercall"));
	if (status)
		return status;
	do {
		status = step(&guest);
	} while (status == 1);
	printf("io=%u mmio=%u ring_full=%u ring_reset=%u\n", guest.io_nr, guest.mmio_nr, guest.ring_full_nr,
	       guest.ring_reset_nr);
	return status ? 1 : 0;
}
