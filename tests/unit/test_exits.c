// SPDX-License-Identifier: GPL-2.0-only
/* VM exits from records with known answers. */
#include "cm.h"

#include "analysis/exits.h"
#include "analysis_fixture.h"

static const struct hs_scope everything;

static void start(struct hs_exits *exits, const struct hs_scope *scope)
{
	assert_int_equal(hs_exits_start(exits, scope, NULL), 0);
}

static void feed(struct hs_exits *exits, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(hs_exits_add(exits, &steps[i].header, steps[i].cpu), 0);
}

static void analyse(struct hs_exits *exits, const struct step *steps, size_t count)
{
	start(exits, &everything);
	feed(exits, steps, count);
	assert_int_equal(hs_exits_finish(exits), 0);
}

static const struct hs_exits_row *row_of(const struct hs_exits *exits, uint32_t tgid, uint32_t vcpu, uint32_t kind,
					 uint32_t reason)
{
	const struct hs_exits_row *row = hs_keyed_find(
		&exits->rows, (struct hs_key){ .tgid = tgid, .vcpu = vcpu, .kind = kind, .code = reason });

	assert_non_null(row);
	return row;
}

static void expect_row(const struct hs_exits *exits, uint32_t vcpu, uint32_t reason, uint64_t count, uint64_t timed,
		       uint64_t time_ns)
{
	const struct hs_exits_row *row = row_of(exits, TGID, vcpu, 2, reason);

	assert_int_equal(row->count, count);
	assert_int_equal(row->time.count, timed);
	assert_int_equal(row->time.sum, time_ns);
}

static const struct hs_exits_vcpu *vcpu_of(const struct hs_exits *exits, uint32_t tgid, uint32_t vcpu)
{
	const struct hs_exits_vcpu *state = hs_keyed_find(&exits->vcpus, (struct hs_key){ .tgid = tgid, .vcpu = vcpu });

	assert_non_null(state);
	return state;
}

static void expect_untimed(const struct hs_exits *exits, uint64_t at_end, uint64_t lost, uint64_t no_entry,
			   uint64_t stepped_back)
{
	assert_int_equal(exits->untimed.at_end, at_end);
	assert_int_equal(exits->untimed.lost, lost);
	assert_int_equal(exits->untimed.no_entry, no_entry);
	assert_int_equal(exits->untimed.stepped_back, stepped_back);
}

static void test_hlt_only_trace_is_all_hlt(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(EXIT(100, 0, SVM_HLT), ENTRY(1100, 0), EXIT(1200, 0, SVM_HLT), ENTRY(3200, 0)));
	assert_int_equal(exits.rows.count, 1);
	expect_row(&exits, 0, SVM_HLT, 2, 2, 3000);
	assert_int_equal(vcpu_of(&exits, TGID, 0)->guest_ns, 100);
	assert_int_equal(vcpu_of(&exits, TGID, 0)->host_ns, 3000);
	expect_untimed(&exits, 0, 0, 0, 0);
	hs_exits_clear(&exits);
}

static void test_time_is_never_charged_to_another_reason(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(EXIT(0, 0, SVM_IOIO), ENTRY(10, 0), EXIT(20, 0, SVM_HLT), ENTRY(1020, 0),
			      EXIT(1030, 0, SVM_NPF), ENTRY(1035, 0)));
	expect_row(&exits, 0, SVM_IOIO, 1, 1, 10);
	expect_row(&exits, 0, SVM_HLT, 1, 1, 1000);
	expect_row(&exits, 0, SVM_NPF, 1, 1, 5);
	hs_exits_clear(&exits);
}

static void test_exit_without_entry_counts_and_has_no_time(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(EXIT(100, 0, SVM_HLT), EXIT(5000, 0, SVM_NPF), ENTRY(5010, 0), EXIT(5020, 0, SVM_IOIO)));
	expect_row(&exits, 0, SVM_HLT, 1, 0, 0);
	expect_row(&exits, 0, SVM_NPF, 1, 1, 10);
	expect_row(&exits, 0, SVM_IOIO, 1, 0, 0);
	expect_untimed(&exits, 1, 0, 1, 0);
	assert_int_equal(exits.exits, 3);
	hs_exits_clear(&exits);
}

static void test_entry_without_exit_gives_no_guest_time(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(ENTRY(100, 0), ENTRY(9000, 0), EXIT(9100, 0, SVM_HLT), ENTRY(9200, 0)));
	assert_int_equal(vcpu_of(&exits, TGID, 0)->guest_ns, 100);
	assert_int_equal(vcpu_of(&exits, TGID, 0)->lone_entries, 2);
	expect_row(&exits, 0, SVM_HLT, 1, 1, 100);
	hs_exits_clear(&exits);
}

static void test_loss_on_any_cpu_ends_what_is_open(void **state)
{
	struct hs_ctf_loss loss = { .cpu = 7, .begin_ns = 150, .end_ns = 400, .events = 9 };
	struct hs_exits exits;

	(void)state;
	start(&exits, &everything);
	feed(&exits, STEPS(EXIT(100, 0, SVM_HLT), ENTRY(110, 0), EXIT(140, 1, SVM_NPF)));
	hs_exits_add_loss(&exits, &loss);
	feed(&exits, STEPS(EXIT(300, 0, SVM_HLT), ENTRY(390, 0), EXIT(395, 0, SVM_NPF), ENTRY(900, 1), ENTRY(950, 0),
			   EXIT(1000, 0, SVM_IOIO), ENTRY(1007, 0)));
	assert_int_equal(hs_exits_finish(&exits), 0);
	expect_row(&exits, 0, SVM_HLT, 2, 1, 10);
	expect_row(&exits, 0, SVM_NPF, 1, 0, 0);
	expect_row(&exits, 1, SVM_NPF, 1, 0, 0);
	expect_row(&exits, 0, SVM_IOIO, 1, 1, 7);
	expect_untimed(&exits, 0, 3, 0, 0);
	/* Entered before the loss, or in it: not to be believed. Entered at 950: is. */
	assert_int_equal(vcpu_of(&exits, TGID, 0)->guest_ns, 50);
	hs_exits_clear(&exits);
}

static void test_time_stepping_back_is_no_time(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(EXIT(1000, 0, SVM_HLT), ENTRY(998, 0), EXIT(990, 0, SVM_NPF), ENTRY(1100, 0)));
	expect_row(&exits, 0, SVM_HLT, 1, 0, 0);
	expect_row(&exits, 0, SVM_NPF, 1, 1, 110);
	expect_untimed(&exits, 0, 0, 0, 1);
	assert_int_equal(vcpu_of(&exits, TGID, 0)->guest_ns, 0);
	hs_exits_clear(&exits);
}

static void test_vcpu_that_moves_between_cpus_keeps_its_times(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits,
		STEPS(EXIT_OF(100, 0, TGID, 3, SVM_HLT), EXIT_OF(105, 1, TGID, 4, SVM_NPF), ENTRY_OF(300, 5, TGID, 3),
		      ENTRY_OF(310, 0, TGID, 4), EXIT_OF(400, 2, TGID, 3, SVM_NPF), ENTRY_OF(450, 2, TGID, 3)));
	expect_row(&exits, 3, SVM_HLT, 1, 1, 200);
	expect_row(&exits, 4, SVM_NPF, 1, 1, 205);
	expect_row(&exits, 3, SVM_NPF, 1, 1, 50);
	assert_int_equal(vcpu_of(&exits, TGID, 3)->guest_ns, 100);
	hs_exits_clear(&exits);
}

static void test_vms_with_the_same_vcpu_numbers_stay_apart(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(EXIT_OF(100, 0, 100, 0, SVM_HLT), EXIT_OF(110, 1, 200, 0, SVM_HLT),
			      ENTRY_OF(150, 1, 200, 0), ENTRY_OF(1100, 0, 100, 0)));
	assert_int_equal(row_of(&exits, 100, 0, 2, SVM_HLT)->time.sum, 1000);
	assert_int_equal(row_of(&exits, 200, 0, 2, SVM_HLT)->time.sum, 40);
	hs_exits_clear(&exits);
}

static void test_hundred_vms_add_up(void **state)
{
	struct hs_exits exits;
	uint64_t now = 1000;

	(void)state;
	start(&exits, &everything);
	for (unsigned int round = 0; round < 20; round++)
		for (uint32_t vm = 0; vm < 100; vm++)
			for (uint32_t vcpu = 0; vcpu < 8; vcpu++) {
				struct step steps[] = { EXIT_OF(now, vcpu, 1000 + vm, vcpu, SVM_HLT),
							ENTRY_OF(now + vm + 1, vcpu, 1000 + vm, vcpu) };

				feed(&exits, steps, 2);
				now += 200;
			}
	assert_int_equal(hs_exits_finish(&exits), 0);
	assert_int_equal(exits.exits, 20 * 100 * 8);
	assert_int_equal(exits.rows.count, 800);
	for (uint32_t vm = 0; vm < 100; vm++)
		assert_int_equal(row_of(&exits, 1000 + vm, 7, 2, SVM_HLT)->time.sum, 20 * (vm + 1));
	hs_exits_clear(&exits);
}

static void test_rows_by_vm_and_of_all(void **state)
{
	static const struct step steps[] = { EXIT_OF(100, 0, 100, 0, SVM_HLT), ENTRY_OF(110, 0, 100, 0),
					     EXIT_OF(200, 0, 100, 1, SVM_HLT), ENTRY_OF(220, 0, 100, 1),
					     EXIT_OF(300, 0, 200, 1, SVM_HLT), ENTRY_OF(330, 0, 200, 1) };
	struct hs_scope scope = { .by = HS_BY_VM };
	struct hs_exits exits;

	(void)state;
	start(&exits, &scope);
	feed(&exits, steps, 6);
	hs_exits_finish(&exits);
	assert_int_equal(exits.rows.count, 2);
	assert_int_equal(row_of(&exits, 100, HS_KEY_ALL, 2, SVM_HLT)->time.sum, 30);
	hs_exits_clear(&exits);
	scope.by = HS_BY_ALL;
	start(&exits, &scope);
	feed(&exits, steps, 6);
	hs_exits_finish(&exits);
	assert_int_equal(exits.rows.count, 1);
	assert_int_equal(row_of(&exits, HS_KEY_ALL, HS_KEY_ALL, 2, SVM_HLT)->time.sum, 60);
	hs_exits_clear(&exits);
}

static void test_only_what_is_asked_for_is_counted(void **state)
{
	static const uint32_t tgids[] = { 200 };
	struct hs_cpulist cpus;
	struct hs_scope scope = { .tgids = tgids, .tgid_nr = 1, .cpus = &cpus };
	struct hs_exits exits;

	(void)state;
	assert_int_equal(hs_cpulist_parse("1", &cpus), 0);
	start(&exits, &scope);
	feed(&exits, STEPS(EXIT_OF(100, 1, 100, 0, SVM_HLT), ENTRY_OF(110, 1, 100, 0), EXIT_OF(120, 0, 200, 0, SVM_HLT),
			   ENTRY_OF(130, 0, 200, 0), EXIT_OF(140, 1, 200, 0, SVM_HLT), ENTRY_OF(145, 2, 200, 0)));
	hs_exits_finish(&exits);
	assert_int_equal(exits.exits, 1);
	assert_int_equal(row_of(&exits, 200, 0, 2, SVM_HLT)->time.sum, 5);
	assert_int_equal(vcpu_of(&exits, 200, 0)->guest_ns, 10);
	hs_exits_clear(&exits);
}

#define KVM_EXIT_IO 2

static void test_time_in_user_space_is_apart_from_kvms(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(EXIT(100, 0, SVM_IOIO), USER(130, 0, KVM_EXIT_IO), ENTRY(200, 0)));
	expect_row(&exits, 0, SVM_IOIO, 1, 1, 100);
	assert_int_equal(row_of(&exits, TGID, 0, HS_EXITS_USERSPACE, KVM_EXIT_IO)->time.sum, 70);
	assert_int_equal(vcpu_of(&exits, TGID, 0)->host_ns, 30);
	assert_int_equal(vcpu_of(&exits, TGID, 0)->user_ns, 70);
	hs_exits_clear(&exits);
}

static void test_thread_gets_its_vcpu_number_also_afterwards(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(USER(50, 2, KVM_EXIT_IO), ENTRY(90, 2), EXIT(100, 2, SVM_IOIO), USER(130, 2, KVM_EXIT_IO),
			      ENTRY(200, 2)));
	assert_int_equal(row_of(&exits, TGID, 2, HS_EXITS_USERSPACE, KVM_EXIT_IO)->count, 2);
	assert_int_equal(row_of(&exits, TGID, 2, HS_EXITS_USERSPACE, KVM_EXIT_IO)->time.sum, 110);
	assert_int_equal(vcpu_of(&exits, TGID, 2)->user_ns, 110);
	hs_exits_clear(&exits);
}

static void test_user_exits_alone_count_without_times(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(USER(50, 0, KVM_EXIT_IO), USER(60, 0, KVM_EXIT_IO), USER(70, 0, KVM_EXIT_IO)));
	assert_int_equal(exits.user_exits, 3);
	assert_int_equal(exits.user_untimed.no_entry + exits.user_untimed.at_end, 3);
	assert_int_equal(row_of(&exits, TGID, HS_VCPU_OF_TID | TID(TGID, 0), HS_EXITS_USERSPACE, KVM_EXIT_IO)->count,
			 3);
	hs_exits_clear(&exits);
}

/* As recorded with --min-exit: neither kvm_exit nor kvm_entry. */
static void test_long_exits_bring_their_time_along(void **state)
{
	struct hs_exits exits;

	(void)state;
	analyse(&exits, STEPS(STEP("kvm_exit_long", 5000, TID(TGID, 1), { "tgid", TGID }, { "vcpu_id", 1 },
				   { "isa", 2 }, { "exit_reason", SVM_NPF }, { "duration_ns", 900 })));
	expect_row(&exits, 1, SVM_NPF, 1, 1, 900);
	assert_int_equal(exits.long_exits, 1);
	assert_int_equal(vcpu_of(&exits, TGID, 1)->host_ns, 900);
	hs_exits_clear(&exits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hlt_only_trace_is_all_hlt),
		cmocka_unit_test(test_time_is_never_charged_to_another_reason),
		cmocka_unit_test(test_exit_without_entry_counts_and_has_no_time),
		cmocka_unit_test(test_entry_without_exit_gives_no_guest_time),
		cmocka_unit_test(test_loss_on_any_cpu_ends_what_is_open),
		cmocka_unit_test(test_time_stepping_back_is_no_time),
		cmocka_unit_test(test_vcpu_that_moves_between_cpus_keeps_its_times),
		cmocka_unit_test(test_vms_with_the_same_vcpu_numbers_stay_apart),
		cmocka_unit_test(test_hundred_vms_add_up),
		cmocka_unit_test(test_rows_by_vm_and_of_all),
		cmocka_unit_test(test_only_what_is_asked_for_is_counted),
		cmocka_unit_test(test_time_in_user_space_is_apart_from_kvms),
		cmocka_unit_test(test_thread_gets_its_vcpu_number_also_afterwards),
		cmocka_unit_test(test_user_exits_alone_count_without_times),
	};
	const struct CMUnitTest long_tests[] = {
		cmocka_unit_test(test_long_exits_bring_their_time_along),
	};

	return RUN_TESTS("exits", tests) + RUN_TESTS_IF("kvm_exit_long", "exits: long", long_tests);
}
