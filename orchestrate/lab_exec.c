// SPDX-License-Identifier: GPL-2.0-only
/* Programs in machines: each run has an id, its frames are handed to whoever started it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "lab_internal.h"

static struct hs_lab_exec_run *find_run(struct hs_lab *lab, uint32_t id)
{
	struct hs_lab_exec_run *run = lab->runs;

	while (run && run->id != id)
		run = run->next;
	return run;
}

static void unlink_run(struct hs_lab *lab, struct hs_lab_exec_run *run)
{
	struct hs_lab_exec_run **at = &lab->runs;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
}

static int send_to(struct hs_lab *lab, struct hs_machine *machine, struct hs_frame frame, const void *payload,
		   size_t len)
{
	bool is_l2 = machine->kind == HS_MACHINE_L2;

	frame.machine = is_l2 ? (uint16_t)(machine->tenant + 1) : 0;
	return hs_link_send(is_l2 ? lab->machines[0].link : machine->link, frame, payload, len);
}

int hs_lab_exec(struct hs_lab *lab, unsigned number, char *const *argv, uint16_t wait_port,
		const struct hs_exec_ops *ops, void *ctx, uint32_t *id)
{
	struct hs_machine *machine = &lab->machines[number];
	struct hs_frame frame = { .type = HS_FRAME_EXEC, .value = wait_port };
	scoped(mem) struct hs_lab_exec_run *run = calloc(1, sizeof(*run));
	char payload[32768];
	int len = hs_frame_pack_argv(payload, sizeof(payload), argv), err;

	if (!run)
		return -ENOMEM;
	if (len <= 0)
		return hs_fail(-E2BIG, "the command line for %s is empty or longer than %zu bytes", machine->name,
			       sizeof(payload));
	if (machine->state != HS_STATE_READY)
		return hs_fail(-EHOSTDOWN, "%s cannot run %s: its state is '%s'", machine->name, argv[0],
			       hs_state_name(machine->state));
	*run = (struct hs_lab_exec_run){ .id = ++lab->last_run_id, .machine = machine, .ops = *ops, .ctx = ctx };
	frame.id = run->id;
	err = send_to(lab, machine, frame, payload, (size_t)len);
	if (err)
		return hs_fail(err, "cannot send orders to %s:", machine->name);
	*id = run->id;
	run->next = lab->runs;
	lab->runs = take(run);
	return 0;
}

void hs_lab_exec_input(struct hs_lab *lab, uint32_t id, const char *bytes, size_t len)
{
	struct hs_lab_exec_run *run = find_run(lab, id);

	if (run)
		send_to(lab, run->machine, (struct hs_frame){ .type = HS_FRAME_EXEC_IN, .id = id }, bytes, len);
}

void hs_lab_exec_kill(struct hs_lab *lab, uint32_t id, int signal)
{
	struct hs_lab_exec_run *run = find_run(lab, id);

	if (run)
		send_to(lab, run->machine,
			(struct hs_frame){ .type = HS_FRAME_EXEC_KILL, .id = id, .value = (uint32_t)signal }, NULL, 0);
}

void hs_lab_exec_forget(struct hs_lab *lab, uint32_t id)
{
	struct hs_lab_exec_run *run = find_run(lab, id);

	if (!run)
		return;
	hs_lab_exec_kill(lab, id, SIGKILL);
	unlink_run(lab, run);
	free(run);
}

void hs_lab_exec_on_frame(struct hs_lab *lab, struct hs_machine *machine, const struct hs_frame *frame,
			  const char *payload)
{
	struct hs_lab_exec_run *run = find_run(lab, frame->id);

	if (!run || run->machine != machine)
		return; /* forgotten meanwhile, or a guest that makes ids up */
	if (frame->type == HS_FRAME_EXEC_READY && run->ops.on_ready) {
		run->ops.on_ready(run->ctx);
	} else if (frame->type == HS_FRAME_EXEC_OUT || frame->type == HS_FRAME_EXEC_ERR) {
		run->ops.on_output(run->ctx, frame->type == HS_FRAME_EXEC_ERR, payload, frame->len);
	} else if (frame->type == HS_FRAME_EXEC_EXIT) {
		unlink_run(lab, run);
		run->ops.on_exit(run->ctx, (int)frame->value);
		free(run);
	}
}

void hs_lab_exec_drop_machine(struct hs_lab *lab, unsigned number)
{
	struct hs_lab_exec_run *run = lab->runs;

	while (run) {
		if (run->machine->number != number) {
			run = run->next;
			continue;
		}
		unlink_run(lab, run);
		run->ops.on_exit(run->ctx, -1);
		free(run);
		run = lab->runs; /* the callback may have changed the list */
	}
}

void hs_lab_exec_clear(struct hs_lab *lab)
{
	while (lab->runs) {
		struct hs_lab_exec_run *run = lab->runs;

		lab->runs = run->next;
		free(run);
	}
}
