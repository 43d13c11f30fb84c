#include "unit.h"

#include <rte_common.h>

#include "base/addr.h"

static struct addr
parsed(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("%s does not parse", text);
	return a;
}

static void
prefixes_cover(void **state)
{
	static const struct {
		const char *what, *addr;
		uint8_t len;
		const char *prefix, *other;
		bool covers;
	} cases[] = {
		{ "its own address", "10.1.2.3", 32, "10.1.2.3/32", "10.1.2.3", true },
		{ "bits behind the length are cut", "10.1.2.3", 20, "10.1.0.0/20", "10.1.15.255",
		  true },
		{ "one past the end", "10.1.2.3", 20, "10.1.0.0/20", "10.1.16.0", false },
		{ "the default route", "10.1.2.3", 0, "0.0.0.0/0", "255.255.255.255", true },
		{ "never the other family", "0.0.0.0", 0, "0.0.0.0/0", "::", false },
		{ "IPv6 in the middle of an octet", "2001:db8::ff", 125, "2001:db8::f8/125",
		  "2001:db8::f8", true },
		{ "IPv6, just outside", "2001:db8::ff", 125, "2001:db8::f8/125", "2001:db8::f7",
		  false },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct addr a = parsed(cases[i].addr), other = parsed(cases[i].other);
		struct prefix p = prefix_of(&a, cases[i].len);
		char text[ADDR_TEXT_SIZE];

		if (strcmp(prefix_text(&p, text), cases[i].prefix) != 0)
			fail_msg("%s: %s", cases[i].what, text);
		if (prefix_covers(&p, &other) != cases[i].covers)
			fail_msg("%s", cases[i].what);
	}
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = { "", "10.1.2", "10.1.2.3/24", "2001:db8::1%eth0", "x" };
	struct addr a;

	for (size_t i = 0; i < RTE_DIM(bad); i++)
		if (addr_parse(bad[i], &a))
			fail_msg("\"%s\" parsed", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_cover),
		cmocka_unit_test(what_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
