// SPDX-License-Identifier: GPL-2.0-only
/* Heap and ring in one array. */
#include "hyper/sim_compat_queue.h"

#include <errno.h>
#include <stdlib.h>

static int grow(struct hs_compat_queue *queue)
{
	uint32_t room = queue->room ? queue->room * 2 : 64;
	struct hs_compat_event *grown = room ? malloc((size_t)room * sizeof(*grown)) : NULL;

	if (!grown)
		return -ENOMEM;
	for (uint32_t i = 0; i < queue->count; i++)
		grown[i] = queue->events[(queue->head + i) & (queue->room - 1)];
	free(queue->events);
	queue->events = grown;
	queue->room = room;
	queue->head = 0;
	return 0;
}

/* Parents that come later than it make way. */
static void rise(struct hs_compat_event *heap, uint32_t hole, struct hs_compat_event event)
{
	while (hole && heap[(hole - 1) / 2].time_ns > event.time_ns) {
		heap[hole] = heap[(hole - 1) / 2];
		hole = (hole - 1) / 2;
	}
	heap[hole] = event;
}

int hs_compat_queue_add(struct hs_compat_queue *queue, uint64_t time_ns, uint32_t request)
{
	const struct hs_compat_event event = { time_ns, request };

	if (queue->count == queue->room && grow(queue))
		return -ENOMEM;
	if (queue->in_order)
		queue->events[(queue->head + queue->count) & (queue->room - 1)] = event;
	else
		rise(queue->events, queue->count, event);
	queue->count++;
	return 0;
}

uint64_t hs_compat_queue_next(const struct hs_compat_queue *queue)
{
	return queue->count ? queue->events[queue->head].time_ns : HS_COMPAT_NO_TIME;
}

/* The right child rises unless the left one comes earlier; of the last pair there may be the left one only. */
static void take_top(struct hs_compat_event *heap, uint32_t count)
{
	uint32_t hole = 0, child = 2;

	for (; child < count; child = 2 * hole + 2) {
		if (heap[child].time_ns > heap[child - 1].time_ns)
			child--;
		heap[hole] = heap[child];
		hole = child;
	}
	if (child == count) {
		heap[hole] = heap[child - 1];
		hole = child - 1;
	}
	rise(heap, hole, heap[count]);
}

uint32_t hs_compat_queue_take(struct hs_compat_queue *queue)
{
	uint32_t request = queue->events[queue->head].request;

	queue->count--;
	if (queue->in_order)
		queue->head = (queue->head + 1) & (queue->room - 1);
	else if (queue->count)
		take_top(queue->events, queue->count);
	return request;
}

void hs_compat_queue_clear(struct hs_compat_queue *queue)
{
	free(queue->events);
	*queue = (struct hs_compat_queue){ 0 };
}
