#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"

static void
err_is_cut_to_fit(void **state)
{
	struct err err;

	assert_int_equal(err_set(&err, -EINVAL, "%1000d", 7), -EINVAL);
	assert_int_equal(strlen(err.text), ERR_TEXT_SIZE - 1);
	assert_int_equal(err_set(NULL, -ENOMEM, "nobody listens"), -ENOMEM);
}

static void
json_is_escaped_and_nested(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	json_string(&j, "a\"b", "line\nfeed \\ \xff \xe2\x82\xac");
	json_array(&j, "list");
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, -1);
	json_bool(&j, NULL, true);
	json_end(&j);
	json_object(&j, "empty");
	json_end(&j);
	json_end(&j);
	fclose(f);
	assert_string_equal(text, "{\"a\\\"b\":\"line\\u000afeed \\\\ \\ufffd \xe2\x82\xac\","
				  "\"list\":[18446744073709551615,-1,true],\"empty\":{}}");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_is_cut_to_fit),
		cmocka_unit_test(json_is_escaped_and_nested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
