// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts from records with known answers. */
#include "cm.h"

#include "analysis/irqs.h"
#include "analysis_fixture.h"

#define INJ(time, vcpu_number, vec)                                                                                    \
	((struct step){ .inj = { HEADER(kvm_inj_virq, time, TID(TGID, vcpu_number)), .vector = (vec), .tgid = TGID } })

static const struct hs_scope everything;

static void feed(struct hs_irqs *irqs, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(hs_irqs_add(irqs, &steps[i].header, steps[i].cpu), 0);
}

static void analyse(struct hs_irqs *irqs, const struct step *steps, size_t count)
{
	assert_int_equal(hs_irqs_start(irqs, &everything, NULL), 0);
	feed(irqs, steps, count);
	assert_int_equal(hs_irqs_finish(irqs), 0);
}

static const struct hs_irqs_row *row_of(const struct hs_irqs *irqs, uint32_t vcpu, enum hs_irqs_kind kind,
					uint32_t code)
{
	const struct hs_irqs_row *row =
		hs_keyed_find(&irqs->rows, (struct hs_key){ .tgid = TGID, .vcpu = vcpu, .kind = kind, .code = code });

	assert_non_null(row);
	return row;
}

static void test_injections_count_by_vector_and_vcpu(void **state)
{
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(ENTRY(1, 0), ENTRY(2, 1), INJ(10, 0, 0x30), INJ(20, 0, 0x30), INJ(30, 0, 0x41),
			     INJ(40, 1, 0x30)));
	assert_int_equal(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30)->count, 2);
	assert_int_equal(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x41)->count, 1);
	assert_int_equal(row_of(&irqs, 1, HS_IRQS_VECTOR, 0x30)->count, 1);
	assert_int_equal(irqs.injections, 4);
	/* None of them was seen to end. */
	assert_int_equal(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30)->no_eoi, 2);
	hs_irqs_clear(&irqs);
}

static void test_repeated_delivery_is_the_same_interrupt(void **state)
{
	struct step again = INJ(20, 0, 0x30);
	struct hs_irqs irqs;

	(void)state;
	again.inj.reinjected = 1;
	analyse(&irqs, STEPS(ENTRY(1, 0), INJ(10, 0, 0x30), again));
	assert_int_equal(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30)->count, 1);
	assert_int_equal(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30)->reinjected, 1);
	hs_irqs_clear(&irqs);
}

static void test_vector_gets_its_vcpu_number_also_afterwards(void **state)
{
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(INJ(10, 5, 0x30), ENTRY(11, 5), INJ(20, 5, 0x30)));
	assert_int_equal(row_of(&irqs, 5, HS_IRQS_VECTOR, 0x30)->count, 2);
	hs_irqs_clear(&irqs);
}

#define EOI(time, vcpu, vec)                                                                                           \
	STEP("kvm_eoi", time, TID(TGID, vcpu), { "tgid", TGID }, { "apicid", vcpu }, { "vector", vec })
/* Whoever sends it. */
#define ACCEPT(time, vcpu, number)                                                                                     \
	STEP("kvm_apic_accept_irq", time, 7, { "tgid", TGID }, { "apicid", vcpu }, { "vec", number })

static void expect_service(const struct hs_irqs_row *row, uint64_t count, uint64_t sum_ns, uint64_t no_eoi,
			   uint64_t lost, uint64_t lone_eois)
{
	assert_int_equal(row->service.count, count);
	assert_int_equal(row->service.sum, sum_ns);
	assert_int_equal(row->no_eoi, no_eoi);
	assert_int_equal(row->lost, lost);
	assert_int_equal(row->lone_eois, lone_eois);
}

static void test_eoi_ends_its_own_vector_also_when_nested(void **state)
{
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(ENTRY(1, 0), ENTRY(2, 1), INJ(10, 0, 0x30), INJ(15, 1, 0x30), INJ(20, 0, 0x80),
			     EOI(25, 0, 0x80), EOI(40, 0, 0x30), EOI(115, 1, 0x30)));
	expect_service(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30), 1, 30, 0, 0, 0);
	expect_service(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x80), 1, 5, 0, 0, 0);
	expect_service(row_of(&irqs, 1, HS_IRQS_VECTOR, 0x30), 1, 100, 0, 0, 0);
	hs_irqs_clear(&irqs);
}

static void test_eoi_without_injection_is_counted_alone(void **state)
{
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(ENTRY(1, 0), EOI(10, 0, 0x30), INJ(20, 0, 0x30), EOI(30, 0, 0x30), EOI(40, 0, 0x30)));
	expect_service(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30), 1, 10, 0, 0, 2);
	hs_irqs_clear(&irqs);
}

static void test_missed_eoi_is_counted_and_gives_no_time(void **state)
{
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(ENTRY(1, 0), INJ(10, 0, 0x30), INJ(1000, 0, 0x30), EOI(1007, 0, 0x30)));
	expect_service(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30), 1, 7, 1, 0, 0);
	hs_irqs_clear(&irqs);
}

static void test_loss_between_injection_and_eoi_gives_no_time(void **state)
{
	struct hs_ctf_loss loss = { .cpu = 3, .begin_ns = 20, .end_ns = 30, .events = 1 };
	struct hs_irqs irqs;

	(void)state;
	assert_int_equal(hs_irqs_start(&irqs, &everything, NULL), 0);
	feed(&irqs, STEPS(ENTRY(1, 0), INJ(10, 0, 0x30)));
	hs_irqs_add_loss(&irqs, &loss);
	feed(&irqs, STEPS(EOI(40, 0, 0x30), INJ(50, 0, 0x30), EOI(60, 0, 0x30)));
	assert_int_equal(hs_irqs_finish(&irqs), 0);
	expect_service(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30), 1, 10, 0, 1, 0);
	hs_irqs_clear(&irqs);
}

static void test_delivery_is_from_the_first_acceptance_to_the_injection(void **state)
{
	const struct hs_irqs_row *row;
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(ENTRY(1, 0), ENTRY(2, 1), ACCEPT(10, 1, 0x30), ACCEPT(20, 1, 0x30), INJ(30, 0, 0x30),
			     INJ(50, 1, 0x30), INJ(90, 1, 0x30)));
	row = row_of(&irqs, 1, HS_IRQS_VECTOR, 0x30);
	assert_int_equal(row->delivery.count, 1);
	assert_int_equal(row->delivery.sum, 40);
	assert_int_equal(row_of(&irqs, 0, HS_IRQS_VECTOR, 0x30)->delivery.count, 0);
	hs_irqs_clear(&irqs);
}

static void test_lines_and_messages_count_by_number(void **state)
{
	struct step raise = { .set_irq = { HEADER(kvm_set_irq, 10, 1), .gsi = 4, .level = 1, .tgid = TGID } };
	struct step lower = { .set_irq = { HEADER(kvm_set_irq, 11, 1), .gsi = 4, .level = 0, .tgid = TGID } };
	struct step message = { .msi = { HEADER(kvm_msi_set_irq, 12, 1), .address = 0xfee03000, .data = 0x4041,
					 .tgid = TGID } };
	struct hs_irqs irqs;

	(void)state;
	analyse(&irqs, STEPS(raise, lower, raise, message));
	assert_int_equal(row_of(&irqs, HS_KEY_ALL, HS_IRQS_LINE, 4)->count, 2);
	assert_int_equal(row_of(&irqs, HS_KEY_ALL, HS_IRQS_LINE, 4)->lowered, 1);
	assert_int_equal(row_of(&irqs, HS_KEY_ALL, HS_IRQS_MSI, 3 << 8 | 0x41)->count, 1);
	hs_irqs_clear(&irqs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_injections_count_by_vector_and_vcpu),
		cmocka_unit_test(test_repeated_delivery_is_the_same_interrupt),
		cmocka_unit_test(test_vector_gets_its_vcpu_number_also_afterwards),
		cmocka_unit_test(test_lines_and_messages_count_by_number),
	};
	const struct CMUnitTest eoi_tests[] = {
		cmocka_unit_test(test_eoi_ends_its_own_vector_also_when_nested),
		cmocka_unit_test(test_eoi_without_injection_is_counted_alone),
		cmocka_unit_test(test_missed_eoi_is_counted_and_gives_no_time),
		cmocka_unit_test(test_loss_between_injection_and_eoi_gives_no_time),
	};
	const struct CMUnitTest delivery_tests[] = {
		cmocka_unit_test(test_delivery_is_from_the_first_acceptance_to_the_injection),
	};

	return RUN_TESTS("irqs", tests) + RUN_TESTS_IF("kvm_eoi", "irqs: EOI", eoi_tests) +
	       RUN_TESTS_IF("kvm_apic_accept_irq", "irqs: delivery", delivery_tests);
}
