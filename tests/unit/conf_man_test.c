#include "conf_text.h"

#include "conf/schema.h"

static char *
page(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_man(f);
	fclose(f);
	return text;
}

static void
the_page_in_the_tree_is_that_of_the_schema(void **state)
{
	const char *root = getenv("SOURCE_ROOT");
	char path[512], *want = page(), *have = calloc(1, strlen(want) + 2);
	FILE *f;

	assert_non_null(root);
	snprintf(path, sizeof(path), "%s/man/espgw.yaml.5", root);
	f = fopen(path, "r");
	if (f == NULL || fread(have, 1, strlen(want) + 1, f) != strlen(want) ||
	    strcmp(have, want) != 0)
		fail_msg("%s is not what the schema says: run man/mkman > man/espgw.yaml.5", path);
	fclose(f);
	free(have);
	free(want);
}

static void
every_key_is_in_the_page(void **state)
{
	char *text = page();

	for (uint32_t i = 0; i < conf_n_keys; i++) {
		char item[64];

		snprintf(item, sizeof(item), ".It Cm %s\n", conf_keys[i].name);
		assert_non_null(strstr(text, item));
		assert_true(conf_keys[i].help[0] != 0);
	}
	free(text);
}

/* What finding a block's rows relies on. */
static void
the_rows_of_a_block_stand_together(void **state)
{
	uint32_t all = 0;

	for (enum conf_block block = BLOCK_ROOT; block < BLOCKS; block++) {
		uint32_t n;
		const struct conf_key *k = schema_block(block, &n);

		assert_true(n > 0 && n <= 64);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(k[i].block, block);
		all += n;
	}
	assert_int_equal(all, conf_n_keys);
}

static void
every_gate_is_at_a_key(void **state)
{
	for (uint32_t i = 0; i < conf_n_gates; i++)
		if (schema_find(conf_gates[i].block, conf_gates[i].name) == NULL)
			fail_msg("no key %s", conf_gates[i].name);
}

/* A restart is asked for at the line of the key only where there is room for it. */
static void
restart_keys_have_a_place(void **state)
{
	for (uint32_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		uint32_t n;

		if ((k->flags & KEY_RESTART) != 0 &&
		    (k->block == BLOCK_GATEWAY || k->block == BLOCK_PORT))
			assert_true(k - schema_block(k->block, &n) < CONF_PLACES);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_in_the_tree_is_that_of_the_schema),
		cmocka_unit_test(every_key_is_in_the_page),
		cmocka_unit_test(the_rows_of_a_block_stand_together),
		cmocka_unit_test(every_gate_is_at_a_key),
		cmocka_unit_test(restart_keys_have_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
