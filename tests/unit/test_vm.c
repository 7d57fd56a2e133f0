// SPDX-License-Identifier: GPL-2.0-only
/* The list of VMs: what is kept of it in a document and read back, and documents that make no sense. */
#include "cm.h"

#include <errno.h>

#include "capture/vm.h"

static void test_a_list_survives_its_document(void **state)
{
	scoped(hs_vms) struct hs_vm_list list = { 0 };
	scoped(hs_vms) struct hs_vm_list back = { 0 };
	scoped(json) json_object *document = json_object_new_object();
	const struct hs_vcpu *vcpu;
	const struct hs_vm *vm = NULL;

	(void)state;
	assert_int_equal(hs_vms_add_vcpu(&list, 1000001, 1000011, 0), 0);
	assert_int_equal(hs_vms_add_vcpu(&list, 1000001, 1000012, 1), 0);
	assert_int_equal(hs_vms_add_vcpu(&list, 1000002, 1000021, 0), 0);
	hs_vms_to_json(&list, document, "vms");
	assert_int_equal(hs_vms_from_json(hs_json_get(document, "vms"), &back), 0);
	assert_int_equal(back.vm_nr, 2);
	vcpu = hs_vms_find_thread(&back, 1000012, &vm);
	assert_non_null(vcpu);
	assert_int_equal(vcpu->vcpu_id, 1);
	assert_int_equal(vm->tgid, 1000001);
	assert_null(hs_vms_find_thread(&back, 1000013, &vm));
	assert_null(hs_vms_find(&back, 1000003));
}

static void test_a_replugged_vcpu_has_its_new_thread(void **state)
{
	scoped(hs_vms) struct hs_vm_list list = { 0 };
	const struct hs_vm *vm = NULL;

	(void)state;
	assert_int_equal(hs_vms_add_vcpu(&list, 1000001, 1000011, 3), 0);
	assert_int_equal(hs_vms_add_vcpu(&list, 1000001, 1000019, 3), 0);
	assert_null(hs_vms_find_thread(&list, 1000011, &vm));
	assert_int_equal(hs_vms_find_thread(&list, 1000019, &vm)->vcpu_id, 3);
	assert_int_equal(list.vms[0].vcpu_nr, 1);
}

static void test_rows_that_make_no_sense_are_left_out(void **state)
{
	scoped(hs_vms) struct hs_vm_list list = { 0 };
	scoped(json) json_object *array =
		json_tokener_parse("[1, null, {\"name\": \"no number\"}, {\"tgid\": 99999999999, \"name\": \"large\"},"
				   " {\"tgid\": 7, \"name\": 5, \"vcpus\": {}}, {\"tgid\": 8, \"name\": \"ok\", "
				   "\"vcpus\": [3, {\"vcpu_id\": 1},"
				   " {\"tid\": 81, \"vcpu_id\": 2}]}]");

	(void)state;
	assert_non_null(array);
	assert_int_equal(hs_vms_from_json(array, &list), 0);
	assert_int_equal(list.vm_nr, 2);
	assert_string_equal(hs_vms_find(&list, 8)->name, "ok");
	assert_int_equal(hs_vms_find(&list, 8)->vcpu_nr, 1);
	assert_int_equal(hs_vms_from_json(NULL, &list), 0);
}

static void test_who_runs_no_guest_is_not_a_vm(void **state)
{
	scoped(hs_vms) struct hs_vm_list list = { 0 };
	char self[16];

	(void)state;
	snprintf(self, sizeof(self), "%d", getpid());
	assert_int_equal(hs_vms_select(&list, self), -ENOENT);
	assert_int_equal(hs_vms_select(&list, "no such guest"), -ENOENT);
	assert_int_equal(list.vm_nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_survives_its_document),
		cmocka_unit_test(test_a_replugged_vcpu_has_its_new_thread),
		cmocka_unit_test(test_rows_that_make_no_sense_are_left_out),
		cmocka_unit_test(test_who_runs_no_guest_is_not_a_vm),
	};

	return RUN_TESTS("vm", tests);
}
