// SPDX-License-Identifier: GPL-2.0-only
/* Threads and their vCPUs. A thread number that is used again is whatever was said last. */
#include "analysis/threads.h"

#include <errno.h>

struct thread {
	uint32_t vcpu_id;
};

int hs_threads_start(struct hs_threads *threads, const struct hs_vm_list *vms)
{
	int err = 0;

	*threads = (struct hs_threads){ .vcpus.value_bytes = sizeof(struct thread) };
	for (size_t vm = 0; vms && vm < vms->vm_nr; vm++)
		for (size_t i = 0; i < vms->vms[vm].vcpu_nr && !err; i++)
			err = hs_threads_learn(threads, (uint32_t)vms->vms[vm].vcpus[i].tid,
					       vms->vms[vm].vcpus[i].vcpu_id);
	return err;
}

int hs_threads_learn(struct hs_threads *threads, uint32_t tid, uint32_t vcpu_id)
{
	struct thread *thread;

	if (vcpu_id == UINT32_MAX) /* this event's kernel does not tell */
		return 0;
	thread = hs_keyed_get(&threads->vcpus, (struct hs_key){ .code = tid });
	if (!thread)
		return -ENOMEM;
	thread->vcpu_id = vcpu_id;
	return 0;
}

uint32_t hs_threads_vcpu(const struct hs_threads *threads, uint32_t tid)
{
	const struct thread *thread = hs_keyed_find(&threads->vcpus, (struct hs_key){ .code = tid });

	return thread ? thread->vcpu_id : HS_VCPU_OF_TID | tid;
}

uint32_t hs_threads_resolve(const struct hs_threads *threads, uint32_t vcpu)
{
	return vcpu != HS_KEY_ALL && vcpu & HS_VCPU_OF_TID ? hs_threads_vcpu(threads, vcpu & ~HS_VCPU_OF_TID) : vcpu;
}

void hs_threads_clear(struct hs_threads *threads)
{
	hs_keyed_clear(&threads->vcpus);
}
