// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of VM exits both ways, and events chosen by what users type.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "trace_events/event_set.h"
#include "trace_events/exit_reason.h"

/* Numbers of uapi/asm/vmx.h and uapi/asm/svm.h. */
static void test_exits_have_the_kernels_names(void **state)
{
	(void)state;
	assert_string_equal(hs_exit_reason_text(HS_ISA_VMX, 0), "EXCEPTION_NMI");
	assert_string_equal(hs_exit_reason_text(HS_ISA_VMX, 12), "HLT");
	assert_string_equal(hs_exit_reason_text(HS_ISA_VMX, 48), "EPT_VIOLATION");
	assert_string_equal(hs_exit_reason_text(HS_ISA_SVM, 0x78), "hlt");
	assert_string_equal(hs_exit_reason_text(HS_ISA_SVM, 0x400), "npf");
	assert_string_equal(hs_exit_reason_text(HS_ISA_SVM, 0x60), "interrupt");
	assert_string_equal(hs_exit_reason_text(HS_ISA_SVM, 0x80000010), "vmgexit_page_state_change");
	assert_string_equal(hs_exit_reason_text(HS_ISA_SVM, UINT32_MAX), "invalid_guest_state");
	assert_null(hs_exit_reason_text(HS_ISA_VMX, 9999));
	assert_null(hs_exit_reason_text(HS_ISA_SVM, 9999));
	assert_null(hs_exit_reason_text(0, 12));
}

/* Bit 31 says that the entry failed, bit 27 and others where it came from. */
static void test_flags_of_vmx_are_no_part_of_the_reason(void **state)
{
	(void)state;
	assert_string_equal(hs_exit_reason_text(HS_ISA_VMX, 0x80000021), hs_exit_reason_text(HS_ISA_VMX, 0x21));
	assert_string_equal(hs_exit_reason_text(HS_ISA_VMX, 0x0800000c), "HLT");
	assert_null(hs_exit_reason_text(HS_ISA_SVM, 0x80000078));
}

static void test_reasons_are_found_by_name_and_number(void **state)
{
	uint32_t reason = 7;

	(void)state;
	assert_int_equal(hs_exit_reason_find(HS_ISA_VMX, "EPT_VIOLATION", &reason), 0);
	assert_int_equal(reason, 48);
	assert_int_equal(hs_exit_reason_find(HS_ISA_SVM, "NPF", &reason), 0);
	assert_int_equal(reason, 0x400);
	assert_int_equal(hs_exit_reason_find(HS_ISA_SVM, "0x78", &reason), 0);
	assert_int_equal(reason, 0x78);
	reason = 7;
	assert_int_equal(hs_exit_reason_find(HS_ISA_VMX, "npf", &reason), -ENOENT);
	assert_int_equal(hs_exit_reason_find(HS_ISA_VMX, "", &reason), -ENOENT);
	assert_int_equal(hs_exit_reason_find(HS_ISA_VMX, "12x", &reason), -ENOENT);
	assert_int_equal(hs_exit_reason_find(HS_ISA_VMX, "-1", &reason), -ENOENT);
	assert_int_equal(hs_exit_reason_find(HS_ISA_VMX, "0x100000000", &reason), -ENOENT);
	assert_int_equal(reason, 7);
}

static void test_every_name_is_its_own(void **state)
{
	(void)state;
	for (uint32_t isa = HS_ISA_VMX; isa <= HS_ISA_SVM; isa++) {
		for (uint32_t number = 0; number < 0x500; number++) {
			const char *text = hs_exit_reason_text(isa, number);
			uint32_t found;

			if (!text)
				continue;
			assert_int_equal(hs_exit_reason_find(isa, text, &found), 0);
			assert_int_equal(found, number);
		}
	}
}

static unsigned int chosen_nr(const struct hs_event_set *set)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < hs_event_nr; i++)
		nr += set->has[hs_events[i].id];
	return nr;
}

static void test_a_glob_takes_names_with_and_without_their_system(void **state)
{
	struct hs_event_set set = { 0 };

	(void)state;
	assert_int_equal(hs_event_set_add_glob(&set, "kvm_pio"), 1);
	assert_true(set.has[HS_EVENT_kvm_pio]);
	assert_int_equal(hs_event_set_add_glob(&set, "net:netif_*"), 1);
	assert_true(set.has[HS_EVENT_netif_receive_skb]);
	assert_int_equal(chosen_nr(&set), 2);
	assert_int_equal(hs_event_set_add_glob(&set, "kvm_pi"), 0);
	assert_int_equal(hs_event_set_add_glob(&set, "net:kvm_pio"), 0);
	assert_int_equal(chosen_nr(&set), 2);
}

static void test_events_of_kvm_go_by_the_kernels_system_too(void **state)
{
	struct hs_event_set kernels = { 0 }, ours = { 0 };

	(void)state;
	assert_int_equal(hs_event_set_add_glob(&kernels, "kvm:kvm_nested_vmexit"), 1);
	assert_int_equal(hs_event_set_add_glob(&ours, "nested:kvm_nested_vmexit"), 1);
	assert_memory_equal(&kernels, &ours, sizeof(ours));
	assert_int_equal(hs_event_set_add_glob(&kernels, "kvm:handle_userfault"), 0);
}

static void test_profiles_are_the_systems(void **state)
{
	static const char *const profiles[] = { "kvm", "nested", "vhost", "net", "sched", "migration" };
	struct hs_event_set tap = { 0 }, net = { 0 }, all = { 0 };
	unsigned int sum = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		struct hs_event_set one = { 0 };

		assert_int_equal(hs_event_set_add_profile(&one, profiles[i]), 0);
		assert_true(chosen_nr(&one) > 0);
		sum += chosen_nr(&one);
	}
	assert_int_equal(hs_event_set_add_profile(&all, "all"), 0);
	assert_int_equal(chosen_nr(&all), hs_event_nr);
	assert_int_equal(sum, hs_event_nr);
	hs_event_set_add_profile(&tap, "tap");
	hs_event_set_add_profile(&net, "net");
	assert_memory_equal(&tap, &net, sizeof(net));
	assert_int_equal(hs_event_set_add_profile(&all, "kv"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exits_have_the_kernels_names),
		cmocka_unit_test(test_flags_of_vmx_are_no_part_of_the_reason),
		cmocka_unit_test(test_reasons_are_found_by_name_and_number),
		cmocka_unit_test(test_every_name_is_its_own),
		cmocka_unit_test(test_a_glob_takes_names_with_and_without_their_system),
		cmocka_unit_test(test_events_of_kvm_go_by_the_kernels_system_too),
		cmocka_unit_test(test_profiles_are_the_systems),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("event choice", tests, NULL, NULL);
}
