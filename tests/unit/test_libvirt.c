// SPDX-License-Identifier: GPL-2.0-only
/* libvirt's XML: which trace ports a domain has, and the text to add for those that it lacks. */
#include "cm.h"

#include <errno.h>
#include <string.h>

#include "base/io.h"
#include "guest/libvirt.h"

static const char domain[] =
	"<domain type='kvm' id='3'>\n"
	"  <name>web</name>\n"
	"  <vcpu placement='static' current='2'>4</vcpu>\n"
	"  <devices>\n"
	"    <channel type='unix'>\n"
	"      <source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-3-web/org.qemu.guest_agent.0'/>\n"
	"      <target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/>\n"
	"      <alias name='channel0'/>\n"
	"    </channel>\n"
	"    <channel type='unix'>\n"
	"      <source mode='bind' path='/run/a&amp;b/agent-ctl-path'/>\n"
	"      <target type='virtio' name='agent-ctl-path'/>\n"
	"    </channel>\n"
	"    <channel type='spicevmc'>\n"
	"      <target type='virtio' name='com.redhat.spice.0'/>\n"
	"    </channel>\n"
	"    <channel type='unix'>\n"
	"      <target type=\"virtio\" name=\"trace-path-cpu0\"/>\n"
	"      <source mode=\"bind\" path=\"/run/a/trace-path-cpu0\"/>\n"
	"    </channel>\n"
	"    <channel type='unix'>\n"
	"      <source mode='bind' path='/run/a/trace-path-cpu2'/>\n"
	"      <target type='virtio' name='trace-path-cpu2'/>\n"
	"    </channel>\n"
	"    <channel type='unix'>\n"
	"      <source mode='bind' path='/run/a/x'/>\n"
	"      <target type='virtio' name='trace-path-cpu99999'/>\n"
	"    </channel>\n"
	"  </devices>\n"
	"</domain>\n";

static void test_a_domains_channels_are_its_ports(void **state)
{
	struct hs_guest_place *place = NULL;
	unsigned vcpus = 0;

	(void)state;
	assert_int_equal(hs_libvirt_parse(domain, &place, &vcpus), 0);
	assert_int_equal(vcpus, 4);
	assert_false(place->is_fifo);
	assert_string_equal(place->orders, "/run/a&b/agent-ctl-path");
	assert_string_equal(place->data[0], "/run/a/trace-path-cpu0");
	assert_null(place->data[1]);
	assert_string_equal(place->data[2], "/run/a/trace-path-cpu2");
	assert_int_equal(place->cpus, 1); /* a gap: CPUs are counted up to it */
	hs_guest_place_free(place);
}

static void test_what_is_missing_is_printed_as_xml_that_makes_it_whole(void **state)
{
	struct hs_guest_place *place = NULL;
	scoped(mem) char *text = NULL;
	unsigned vcpus = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(hs_libvirt_parse(domain, &place, &vcpus), 0);
	assert_int_equal(hs_libvirt_print_missing(out, place, vcpus), 3);
	fclose(out);
	assert_non_null(strstr(text, "name='trace-path-cpu1'/>"));
	assert_non_null(strstr(text, "name='trace-path-cpu3'/>"));
	assert_non_null(strstr(text, "name='agent-log-path'/>"));
	assert_null(strstr(text, "agent-ctl-path"));
	hs_guest_place_free(place);
}

static void test_what_is_no_domain_is_refused(void **state)
{
	static const char *const texts[] = { "", "<html>", "error: no domain" };
	struct hs_guest_place *place = NULL;
	unsigned vcpus;

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(texts); i++)
		assert_int_equal(hs_libvirt_parse(texts[i], &place, &vcpus), -EBADMSG);
	assert_null(place);
}

static void test_cut_xml_is_read_as_far_as_it_goes(void **state)
{
	(void)state;
	for (size_t len = strlen("<domain"); len < sizeof(domain); len++) {
		scoped(mem) char *cut = strndup(domain, len);
		struct hs_guest_place *place = NULL;
		unsigned vcpus = 0;

		assert_int_equal(hs_libvirt_parse(cut, &place, &vcpus), 0);
		assert_true(place->cpus <= 1 && vcpus >= 1 && vcpus <= 4);
		hs_guest_place_free(place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_domains_channels_are_its_ports),
		cmocka_unit_test(test_what_is_missing_is_printed_as_xml_that_makes_it_whole),
		cmocka_unit_test(test_what_is_no_domain_is_refused),
		cmocka_unit_test(test_cut_xml_is_read_as_far_as_it_goes),
	};

	return RUN_TESTS("libvirt", tests);
}
