// SPDX-License-Identifier: GPL-2.0-only
/* Pages: a template's places are filled, and data cannot leave its place. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/page.h"
#include "base/scoped.h"
#include "cm.h"

static char *write_page(const char *html, json_object *document)
{
	char path[] = "/tmp/hsbpf-page.XXXXXX";
	char *text = NULL;

	close(mkstemp(path));
	assert_int_equal(hs_page_write(html, document, path), 0);
	assert_int_equal(hs_read_file(path, 1 << 20, &text, NULL), 0);
	unlink(path);
	return text;
}

static void test_every_place_of_a_template_is_filled(void **state)
{
	scoped(json) json_object *document = json_tokener_parse("{\"a\":1}");
	scoped(mem) char *text = write_page("<@STYLE@|@PLOT@|@DOCUMENT@|@ELSE@>", document);

	(void)state;
	assert_non_null(strstr(text, "figcaption {"));
	assert_non_null(strstr(text, "function plot("));
	assert_non_null(strstr(text, "|{\"a\":1}|@ELSE@>"));
	assert_null(strstr(text, "@STYLE@"));
}

static void test_data_does_not_end_its_script_nor_fill_a_place(void **state)
{
	scoped(json) json_object *document = json_tokener_parse("{\"a\":\"</script>@PLOT@\"}");
	scoped(mem) char *text = write_page("@DOCUMENT@", document);

	(void)state;
	assert_string_equal(text, "{\"a\":\"\\u003c\\/script>@PLOT@\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_place_of_a_template_is_filled),
		cmocka_unit_test(test_data_does_not_end_its_script_nor_fill_a_place),
	};

	return RUN_TESTS("page", tests);
}
