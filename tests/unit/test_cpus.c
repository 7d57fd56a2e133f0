// SPDX-License-Identifier: GPL-2.0-only
/* CPU use from records with known answers. */
#include "cm.h"

#include "analysis/cpus.h"
#include "analysis_fixture.h"

#define KVM_EXIT_IO 2

static const struct hs_scope everything;

static void feed(struct hs_cpus *cpus, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(hs_cpus_add(cpus, &steps[i].header, steps[i].cpu), 0);
}

static void analyse(struct hs_cpus *cpus, const struct step *steps, size_t count)
{
	assert_int_equal(hs_cpus_start(cpus, &everything, NULL), 0);
	feed(cpus, steps, count);
	assert_int_equal(hs_cpus_finish(cpus), 0);
}

static const struct hs_cpus_row *vcpu_of(const struct hs_cpus *cpus, uint32_t tgid, uint32_t vcpu)
{
	const struct hs_cpus_row *row = hs_keyed_find(&cpus->vcpus, (struct hs_key){ .tgid = tgid, .vcpu = vcpu });

	assert_non_null(row);
	return row;
}

static void expect(const struct hs_cpus_row *row, uint64_t guest, uint64_t host, uint64_t user, uint64_t halted,
		   uint64_t steal)
{
	assert_int_equal(row->ns[HS_CPUS_GUEST], guest);
	assert_int_equal(row->ns[HS_CPUS_HOST], host);
	assert_int_equal(row->ns[HS_CPUS_USER], user);
	assert_int_equal(row->ns[HS_CPUS_HALTED], halted);
	assert_int_equal(row->ns[HS_CPUS_STEAL], steal);
}

static void test_each_moment_is_one_use(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(ENTRY(100, 0), EXIT(200, 0, SVM_IOIO), USER(230, 0, KVM_EXIT_IO), ENTRY(300, 0),
			     EXIT(1000, 0, SVM_NPF), ENTRY(1005, 0)));
	expect(vcpu_of(&cpus, TGID, 0), 100 + 700, 30 + 5, 70, 0, 0);
	hs_cpus_clear(&cpus);
}

static void test_hlt_exits_count_as_halted_where_the_scheduler_tells_nothing(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(ENTRY(100, 0), EXIT(150, 0, SVM_HLT), ENTRY(5150, 0), EXIT(5160, 0, SVM_HLT)));
	expect(vcpu_of(&cpus, TGID, 0), 60, 0, 0, 5000, 0);
	hs_cpus_clear(&cpus);
}

static void test_migrations_are_seen_and_time_goes_to_the_cpu_it_began_on(void **state)
{
	const struct hs_cpus_row *on_2, *on_3;
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(ENTRY_OF(100, 2, TGID, 0), EXIT_OF(150, 2, TGID, 0, SVM_NPF), ENTRY_OF(160, 3, TGID, 0),
			     EXIT_OF(260, 3, TGID, 0, SVM_NPF)));
	assert_int_equal(vcpu_of(&cpus, TGID, 0)->migrations, 1);
	on_2 = hs_keyed_find(&cpus.pcpus, (struct hs_key){ .tgid = TGID, .code = 2 });
	on_3 = hs_keyed_find(&cpus.pcpus, (struct hs_key){ .tgid = TGID, .code = 3 });
	assert_non_null(on_2);
	assert_non_null(on_3);
	expect(on_2, 50, 10, 0, 0, 0);
	expect(on_3, 100, 0, 0, 0, 0);
	hs_cpus_clear(&cpus);
}

static void test_loss_leaves_its_time_unseen(void **state)
{
	struct hs_ctf_loss loss = { .cpu = 1, .begin_ns = 120, .end_ns = 400, .events = 1 };
	struct hs_cpus cpus;

	(void)state;
	assert_int_equal(hs_cpus_start(&cpus, &everything, NULL), 0);
	feed(&cpus, STEPS(ENTRY(100, 0)));
	hs_cpus_add_loss(&cpus, &loss);
	feed(&cpus, STEPS(EXIT(300, 0, SVM_NPF), ENTRY(310, 0), EXIT(500, 0, SVM_NPF), ENTRY(520, 0)));
	assert_int_equal(hs_cpus_finish(&cpus), 0);
	expect(vcpu_of(&cpus, TGID, 0), 0, 20, 0, 0, 0);
	assert_int_equal(vcpu_of(&cpus, TGID, 0)->lost_ns, 200 + 10 + 190);
	hs_cpus_clear(&cpus);
}

static void test_user_exits_alone_tell_no_times(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(USER(100, 0, KVM_EXIT_IO), USER(200, 0, KVM_EXIT_IO), USER(300, 0, KVM_EXIT_IO)));
	expect(vcpu_of(&cpus, TGID, HS_VCPU_OF_TID | TID(TGID, 0)), 0, 0, 0, 0, 0);
	hs_cpus_clear(&cpus);
}

static void test_vms_with_the_same_vcpu_numbers_stay_apart(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(ENTRY_OF(100, 0, 100, 0), ENTRY_OF(110, 1, 200, 0), EXIT_OF(150, 1, 200, 0, SVM_NPF),
			     EXIT_OF(300, 0, 100, 0, SVM_NPF)));
	expect(vcpu_of(&cpus, 100, 0), 200, 0, 0, 0, 0);
	expect(vcpu_of(&cpus, 200, 0), 40, 0, 0, 0, 0);
	hs_cpus_clear(&cpus);
}

static void test_time_stepping_back_is_no_time(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(ENTRY(100, 0), EXIT(90, 0, SVM_NPF), ENTRY(120, 0)));
	expect(vcpu_of(&cpus, TGID, 0), 0, 30, 0, 0, 0);
	assert_int_equal(cpus.stepped_back, 1);
	hs_cpus_clear(&cpus);
}

/* On CPU 0, from one thread to another. */
#define SWITCH(time, prev, prev_is, next)                                                                              \
	STEP("sched_switch", time, prev, { "prev_pid", prev }, { "prev_state", prev_is }, { "next_pid", next })
#define WAKEUP(time, tid) STEP("sched_wakeup", time, 1, { "pid", tid })
#define ASLEEP 1
#define OTHER_TID 9999

static void test_scheduler_tells_steal_from_halted(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(ENTRY(100, 0), EXIT(200, 0, SVM_NPF), /* preempted in KVM */
			     SWITCH(210, TID(TGID, 0), 0, OTHER_TID), SWITCH(260, OTHER_TID, 0, TID(TGID, 0)),
			     ENTRY(270, 0), EXIT(300, 0, SVM_HLT), /* polls, sleeps, waits for the CPU */
			     SWITCH(305, TID(TGID, 0), ASLEEP, 0), WAKEUP(1305, TID(TGID, 0)),
			     SWITCH(1325, 0, 0, TID(TGID, 0)), ENTRY(1330, 0), EXIT(1340, 0, SVM_NPF)));
	expect(vcpu_of(&cpus, TGID, 0), 100 + 30 + 10, 10 + 10 + 5 + 5, 0, 1000, 50 + 20);
	assert_true(cpus.has_sched);
	hs_cpus_clear(&cpus);
}

static void test_threads_that_run_no_vcpu_are_nobodys(void **state)
{
	struct hs_cpus cpus;

	(void)state;
	analyse(&cpus, STEPS(SWITCH(100, 50, 0, 51), SWITCH(200, 51, ASLEEP, 50), WAKEUP(300, 51)));
	assert_int_equal(cpus.vcpus.count, 0);
	hs_cpus_clear(&cpus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_moment_is_one_use),
		cmocka_unit_test(test_hlt_exits_count_as_halted_where_the_scheduler_tells_nothing),
		cmocka_unit_test(test_migrations_are_seen_and_time_goes_to_the_cpu_it_began_on),
		cmocka_unit_test(test_loss_leaves_its_time_unseen),
		cmocka_unit_test(test_user_exits_alone_tell_no_times),
		cmocka_unit_test(test_vms_with_the_same_vcpu_numbers_stay_apart),
		cmocka_unit_test(test_time_stepping_back_is_no_time),
	};
	const struct CMUnitTest sched_tests[] = {
		cmocka_unit_test(test_scheduler_tells_steal_from_halted),
		cmocka_unit_test(test_threads_that_run_no_vcpu_are_nobodys),
	};

	return RUN_TESTS("cpus", tests) + RUN_TESTS_IF("sched_switch", "cpus: scheduler", sched_tests);
}
