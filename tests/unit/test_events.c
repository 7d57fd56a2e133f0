// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event table: what viewers, writers and readers of traces rely on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scoped.h"
#include "trace_events/events.h"

static void test_ids_and_names_are_unique_and_found(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (i)
			assert_true(hs_events[i].id > hs_events[i - 1].id);
		assert_ptr_equal(hs_event_find(hs_events[i].id), &hs_events[i]);
		assert_ptr_equal(hs_event_find_name(hs_events[i].name), &hs_events[i]);
	}
	assert_null(hs_event_find(0));
	assert_null(hs_event_find(HS_EVENT_ID_NR));
	assert_null(hs_event_find(UINT16_MAX));
	assert_null(hs_event_find_name("kvm_exi"));
}

/* The offsets are sums; these come from the compiler. */
static void test_offsets_are_those_of_the_structs(void **state)
{
	(void)state;
#define EVENT(id, system, name, doc)                                                               \
	{                                                                                          \
		typedef struct hs_event_##name record;                                             \
		const struct hs_event *event = hs_event_find(id);                                  \
		const struct hs_field *field = event->fields;                                      \
		assert_int_equal(event->size, sizeof(record));
#define FIELD_AS(type, member, field_name, field_format, doc)                                      \
	assert_string_equal(field->name, field_name);                                              \
	assert_int_equal(field->offset, offsetof(record, member));                                 \
	assert_int_equal(field->size, sizeof(((record *)NULL)->member));                           \
	assert_int_equal(field->is_signed, #type[0] == 's');                                       \
	field++;
#define END_EVENT(name)                                                                            \
	assert_int_equal(field - event->fields, event->field_nr);                                  \
	}
#include "trace_events/events.def"
}

static void test_released_events_keep_their_ids_and_sizes(void **state)
{
	static const struct {
		const char *name;
		unsigned int id, size;
	} released[] = {
		{ "kvm_exit", 1, 64 },	      { "kvm_entry", 2, 24 },	      { "kvm_userspace_exit", 3, 24 },
		{ "kvm_pio", 4, 32 },	      { "kvm_mmio", 5, 40 },	      { "kvm_set_irq", 6, 32 },
		{ "kvm_msi_set_irq", 7, 32 }, { "kvm_inj_virq", 8, 32 },
		{ "net_dev_start_xmit", 16, 64 },
		{ "netif_receive_skb", 17, 64 }, { "net_dev_xmit", 18, 32 },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(released); i++) {
		const struct hs_event *event = hs_event_find_name(released[i].name);

		assert_non_null(event);
		assert_int_equal(event->id, released[i].id);
		assert_int_equal(event->size, released[i].size);
	}
}

static void test_signed_fields_keep_their_sign(void **state)
{
	struct hs_event_kvm_userspace_exit record = { .reason = 0xffff, .err = -4 };
	const struct hs_field *fields = hs_event_find(HS_EVENT_kvm_userspace_exit)->fields;

	(void)state;
	assert_int_equal(hs_field_value(&fields[0], &record), 0xffff);
	assert_int_equal((int64_t)hs_field_value(&fields[1], &record), -4);
}

static char *json_of(const struct hs_event *event, const void *record)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	hs_event_print_json(file, event, record);
	fclose(file);
	return text;
}

static void test_json_names_enum_values_and_addresses(void **state)
{
	struct hs_event_netif_receive_skb packet = { .header = { .ts = 5, .tid = 6 },
						     .role = HS_ROLE_CLIENT,
						     .saddr = 0xac100014 };
	struct hs_event_kvm_userspace_exit exit = { .reason = 2, .err = -4, .tgid = 9 };
	scoped(mem) char *packet_json = json_of(hs_event_find(HS_EVENT_netif_receive_skb), &packet);
	scoped(mem) char *exit_json = json_of(hs_event_find(HS_EVENT_kvm_userspace_exit), &exit);

	(void)state;
	assert_non_null(strstr(packet_json, "{\"event\":\"netif_receive_skb\",\"ts_ns\":5,"
					    "\"tid\":6,\"ifindex\":0,"));
	assert_non_null(strstr(packet_json, "\"role\":\"client\""));
	assert_non_null(strstr(packet_json, "\"saddr\":\"172.16.0.20\""));
	assert_string_equal(exit_json, "{\"event\":\"kvm_userspace_exit\",\"ts_ns\":0,\"tid\":0,"
				       "\"reason\":\"io\",\"errno\":-4,\"tgid\":9}");
}

static void test_doc_has_every_field(void **state)
{
	scoped(mem) char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	(void)state;
	hs_events_print_doc(file);
	fclose(file);
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		assert_non_null(strstr(text, hs_events[i].name));
		for (unsigned int j = 0; j < hs_events[i].field_nr; j++)
			assert_non_null(strstr(text, hs_events[i].fields[j].doc));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_and_names_are_unique_and_found),
		cmocka_unit_test(test_offsets_are_those_of_the_structs),
		cmocka_unit_test(test_released_events_keep_their_ids_and_sizes),
		cmocka_unit_test(test_signed_fields_keep_their_sign),
		cmocka_unit_test(test_json_names_enum_values_and_addresses),
		cmocka_unit_test(test_doc_has_every_field),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
