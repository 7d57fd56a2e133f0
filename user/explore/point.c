// SPDX-License-Identifier: GPL-2.0-only
/* Points are put together anew from the plan each time they are asked for: a plan of many points costs nothing. */
#include "explore/point.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "hyper/dmatrace.h"
#include "hyper/sim.h"

#define BASE_CONFIG "base" /* what is simulated when the plan names no configuration */

struct input_trace {
	struct hs_dmatrace *trace;
	uint64_t *work; /* work[n]: translations of the first n tenants */
	uint64_t hash;	/* of header and tables, which hold the hashes of the logs */
};

struct hs_point_inputs {
	struct input_trace *traces; /* by word of the axis */
	struct hs_sim_config *configs;
	size_t trace_nr, config_nr;
};

/* FNV-1a */
static uint64_t hash_more(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ull;
	return hash;
}

#define HASH_BEGIN 0xcbf29ce484222325ull

/* ---- inputs ------------------------------------------------------------------------------------ */

static int open_trace(const char *path, struct input_trace *input)
{
	const struct hs_dmatrace_header *header;
	int err = hs_dmatrace_open(path, &input->trace);

	if (err)
		return err;
	header = input->trace->header;
	input->hash = hash_more(HASH_BEGIN, header, sizeof(*header));
	input->hash = hash_more(input->hash, input->trace->sources, header->source_nr * sizeof(*input->trace->sources));
	input->hash = hash_more(input->hash, input->trace->tenants, header->tenant_nr * sizeof(*input->trace->tenants));
	input->work = calloc((size_t)header->tenant_nr + 1, sizeof(*input->work));
	if (!input->work)
		return -ENOMEM;
	for (uint32_t i = 0; i < header->tenant_nr; i++)
		input->work[i + 1] = input->work[i] + input->trace->tenants[i].translations;
	return 0;
}

static int open_all(const struct hs_explore_plan *plan, struct hs_point_inputs *inputs)
{
	const struct hs_explore_axis *traces = &plan->axes[HS_AXIS_TRACE], *configs = &plan->axes[HS_AXIS_CONFIG];
	int err = 0;

	for (size_t i = 0; !err && i < inputs->config_nr; i++)
		err = hs_sim_config_load(configs->nr ? configs->words[i] : BASE_CONFIG, &inputs->configs[i]);
	for (size_t i = 0; !err && i < inputs->trace_nr; i++)
		err = open_trace(traces->words[i], &inputs->traces[i]);
	return err;
}

int hs_point_inputs_open(const struct hs_explore_plan *plan, struct hs_point_inputs **out)
{
	struct hs_point_inputs *inputs = calloc(1, sizeof(*inputs));
	int err;

	if (!inputs)
		return -ENOMEM;
	inputs->trace_nr = plan->axes[HS_AXIS_TRACE].nr;
	inputs->config_nr = plan->axes[HS_AXIS_CONFIG].nr ? plan->axes[HS_AXIS_CONFIG].nr : 1;
	inputs->traces = calloc(inputs->trace_nr, sizeof(*inputs->traces));
	inputs->configs = calloc(inputs->config_nr, sizeof(*inputs->configs));
	err = inputs->traces && inputs->configs ? open_all(plan, inputs) : -ENOMEM;
	if (err)
		hs_point_inputs_free(inputs);
	else
		*out = inputs;
	return err;
}

void hs_point_inputs_free(struct hs_point_inputs *inputs)
{
	if (!inputs)
		return;
	for (size_t i = 0; inputs->traces && i < inputs->trace_nr; i++) {
		hs_dmatrace_free(inputs->traces[i].trace);
		free(inputs->traces[i].work);
	}
	free(inputs->traces);
	free(inputs->configs);
	free(inputs);
}

/* ---- points ------------------------------------------------------------------------------------ */

static const struct input_trace *trace_of(const struct hs_explore_plan *plan, size_t point)
{
	return &plan->inputs->traces[hs_explore_plan_index(plan, point, HS_AXIS_TRACE)];
}

static struct hs_sim_config config_of(const struct hs_explore_plan *plan, size_t point)
{
	struct hs_sim_config config = plan->inputs->configs[hs_explore_plan_index(plan, point, HS_AXIS_CONFIG)];

	for (size_t id = 0; id < HS_AXIS_NR; id++) {
		const char *word = hs_explore_plan_word(plan, point, id);

		if (word && hs_axes[id].is_parameter)
			hs_sim_config_set(&config, hs_axes[id].name, word); /* was checked with the plan */
	}
	return config;
}

/* As many as the plan or the configuration says: more than the trace has are told by the simulation. */
static uint64_t tenants_of(const struct hs_explore_plan *plan, size_t point)
{
	struct hs_sim_config config = config_of(plan, point);

	return config.tenants ? config.tenants : trace_of(plan, point)->trace->header->tenant_nr;
}

char *hs_point_id(const struct hs_explore_plan *plan, size_t point)
{
	scoped(json) json_object *object = json_object_new_object();
	struct hs_sim_config config = config_of(plan, point);
	uint64_t hash = trace_of(plan, point)->hash;
	const char *text;

	config.tenants = (uint32_t)tenants_of(plan, point); /* 0 means the same as all */
	hs_sim_config_to_json(&config, object, "config");
	json_object_object_del(hs_json_get(object, "config"), "name");
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	if (!text)
		return NULL;
	hash = hash_more(hash, text, strlen(text));
	hash = hash_more(hash, HS_VERSION, sizeof(HS_VERSION)); /* another one may have another model */
	return hs_format("%016" PRIx64, hash);
}

json_object *hs_point_describe(const struct hs_explore_plan *plan, size_t point)
{
	json_object *object = json_object_new_object();

	for (size_t id = 0; id < HS_AXIS_NR; id++) {
		const char *word = hs_explore_plan_word(plan, point, id);

		if (id == HS_AXIS_TENANTS)
			hs_json_add_u64(object, hs_axes[id].name, tenants_of(plan, point));
		else if (id == HS_AXIS_CONFIG && !word)
			hs_json_add_string(object, hs_axes[id].name, BASE_CONFIG);
		else if (word)
			json_object_object_add(object, hs_axes[id].name,
					       hs_axes[id].is_text ? json_object_new_string(word)
								   : hs_axis_value(word));
	}
	return object;
}

uint64_t hs_point_work(const struct hs_explore_plan *plan, size_t point)
{
	const struct input_trace *input = trace_of(plan, point);
	uint64_t tenants = tenants_of(plan, point), tenant_nr = input->trace->header->tenant_nr;

	return input->work[tenants < tenant_nr ? tenants : tenant_nr];
}

void hs_point_describe_traces(const struct hs_explore_plan *plan, json_object *array)
{
	for (size_t i = 0; i < plan->inputs->trace_nr; i++) {
		const struct hs_dmatrace_header *header = plan->inputs->traces[i].trace->header;
		json_object *object = hs_json_append_object(array);

		hs_json_add_string(object, "file", plan->axes[HS_AXIS_TRACE].words[i]);
		hs_json_add_u64(object, "tenants", header->tenant_nr);
		hs_json_add_string(object, "order", hs_dmatrace_order_name(header->order));
		hs_json_add_u64(object, "burst", header->burst);
		hs_json_add_u64(object, "translations", header->translation_nr);
		hs_json_add_u64(object, "packets", header->packet_nr);
	}
}

/* ---- simulation -------------------------------------------------------------------------------- */

int hs_point_simulate(const struct hs_explore_plan *plan, size_t point, json_object **result)
{
	const struct hs_dmatrace *trace = trace_of(plan, point)->trace;
	scoped(hs_sim_result) struct hs_sim_result simulated = { 0 };
	struct hs_sim_config config = config_of(plan, point);
	json_object *document;
	int err;

	err = hs_sim_run(trace, &config, &simulated);
	if (err)
		return err;
	document = hs_sim_result_to_json(&simulated, &config);
	if (!document)
		return -ENOMEM;
	*result = document;
	return 0;
}
