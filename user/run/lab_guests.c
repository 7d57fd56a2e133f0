// SPDX-License-Identifier: GPL-2.0-only
/* Where a lab's trace ports are, what its machines are recorded for, and how long anybody waits for that. */
#include "lab_guests.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "base/io.h"
#include "base/log.h"
#include "guest/document.h"
#include "guest/guests.h"

#define SECOND_NS 1000000000ull
#define START_LIMIT_NS (30 * SECOND_NS)
#define STOP_LIMIT_NS (30 * SECOND_NS)

/*
 * What a packet and a CPU do in a machine, and in L1 what its guests and their DMA do: what `hsbpf correlate` needs to
 * follow a packet. The dearest is napi_gro_receive_entry in an L2 under nested TCG, 30 us for each packet of its NIC.
 */
static const char *const default_events[] = {
	[HS_MACHINE_L1] =
		"kvm_entry,kvm_exit,kvm_inj_virq,sched:sched_switch,irq:irq_handler_entry,irq:irq_handler_exit,iommu:*",
	[HS_MACHINE_L2] =
		"net:net_dev_queue,net:net_dev_start_xmit,net:net_dev_xmit,net:netif_receive_skb,"
		"net:napi_gro_receive_entry,sched:sched_switch,irq:irq_handler_entry,irq_vectors:local_timer_entry",
	[HS_MACHINE_CLIENT] = "net:net_dev_queue,net:net_dev_start_xmit,net:net_dev_xmit,net:netif_receive_skb,"
			      "net:napi_gro_receive_entry,sched:sched_switch",
};

struct hs_lab_guests {
	struct hs_lab *lab;
	struct hs_guests *guests;
	struct hs_watch news;
};

static int add_machine(struct hs_lab_guests *guests, const struct hs_machine *machine, const char *events)
{
	struct hs_guest_config config = { .name = machine->name,
					  .agent = HS_GUEST_AGENT_HSBPF,
					  .events = events ? events : default_events[machine->kind] };
	scoped(mem) char *prefix = hs_format("%s/%s.", hs_lab_dir(guests->lab), machine->name);
	struct hs_guest_place *place;
	int err = prefix ? hs_guest_place_find(prefix, &place) : -ENOMEM;

	return err ? err : hs_guests_add(guests->guests, &config, place);
}

static int add_machines(struct hs_lab_guests *guests, const char *events)
{
	const struct hs_lab_config *config = hs_lab_config(guests->lab);
	int err = 0;

	for (unsigned i = 0; !err && i < hs_lab_machines(guests->lab); i++) {
		const struct hs_machine *machine = hs_lab_machine(guests->lab, i);

		if (machine->state == HS_STATE_READY && !(machine->kind == HS_MACHINE_CLIENT && config->client_netns))
			err = add_machine(guests, machine, events);
	}
	return err;
}

static void on_news(void *ctx, uint32_t events)
{
	struct hs_lab_guests *guests = ctx;

	(void)events;
	hs_guests_heard(guests->guests);
}

static bool all_are_settled(void *ctx)
{
	struct hs_guests *guests = ctx;

	return hs_guests_in(guests, HS_GUEST_RECORDING) + hs_guests_in(guests, HS_GUEST_FAILED) ==
	       hs_guests_count(guests);
}

static bool all_are_written(void *ctx)
{
	return hs_guests_are_written(ctx);
}

static void warn_of_silent(struct hs_guests *guests)
{
	for (unsigned i = 0; i < hs_guests_count(guests); i++) {
		enum hs_guest_state state = hs_guest_state(guests, i);
		scoped(json) json_object *document = NULL;

		if (state == HS_GUEST_RECORDING)
			continue;
		document = hs_guest_document(guests, i);
		hs_warn("%s is not traced%s: %s", hs_guest_name(guests, i), state == HS_GUEST_FAILED ? "" : " yet",
			*hs_json_get_string(document, "error") ? hs_json_get_string(document, "error")
							       : "its trace agent has not answered");
	}
}

int hs_lab_guests_start(struct hs_lab *lab, const char *trace_dir, const char *events, struct hs_lab_guests **out)
{
	scoped(hs_lab_guests) struct hs_lab_guests *guests = calloc(1, sizeof(*guests));
	struct hs_guests_config config = { .trace_dir = trace_dir };
	int news_fd, err;

	if (!guests)
		return -ENOMEM;
	guests->lab = lab;
	guests->news = HS_WATCH_NONE;
	err = hs_make_dirs(trace_dir);
	if (!err)
		err = hs_guests_open(&config, &guests->guests, &news_fd);
	if (!err)
		err = hs_loop_add(hs_lab_loop(lab), &guests->news, news_fd, EPOLLIN, on_news, guests);
	if (!err)
		err = add_machines(guests, events);
	if (!err)
		err = hs_guests_connect(guests->guests);
	if (err)
		return err;
	hs_guests_start(guests->guests);
	err = hs_lab_wait(lab, all_are_settled, guests->guests, hs_now_ns() + START_LIMIT_NS);
	if (!err || err == -ETIMEDOUT) {
		warn_of_silent(guests->guests);
		err = 0;
	}
	*out = take(guests); /* also after an interrupt: what came is kept */
	return err;
}

void hs_lab_guests_stop(struct hs_lab_guests *guests)
{
	hs_guests_stop(guests->guests);
	/* Not hs_lab_wait(), which an interrupt that has been heard already would end at once. */
	if (hs_loop_until(hs_lab_loop(guests->lab), all_are_written, guests->guests, hs_now_ns() + STOP_LIMIT_NS))
		hs_warn("some machines did not answer the order to stop their traces: what came of them is kept");
	hs_guests_end(guests->guests);
}

void hs_lab_guests_add_to(struct hs_lab_guests *guests, json_object *document)
{
	hs_guests_add_to(guests->guests, document);
}

void hs_lab_guests_free(struct hs_lab_guests *guests)
{
	if (!guests)
		return;
	hs_loop_remove(hs_lab_loop(guests->lab), &guests->news);
	hs_guests_free(guests->guests);
	free(guests);
}
