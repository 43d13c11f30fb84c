#include "conf_text.h"

#include <errno.h>

static const char before[] = GOOD SA_AS(
	"b", "in", "0x1002", KEY_B,
	"") "routes:\n  - {to: 10.0.0.0/8, via: 192.0.2.7, port: wan}\n"
	    "neighbours:\n  - {ip: 192.0.2.7, mac: \"02:00:00:00:00:07\", port: wan}\n"
	    "policies:\n"
	    "  - {name: p, direction: out, src: 10.1.0.0/16, dst: any, action: protect, sa: a}\n"
	    "  - {name: q, direction: in, src: any, dst: any, action: discard}\n"
	    "  - {name: r, direction: out, src: any, dst: any, action: discard}\n";

/* The text with its first `from` replaced. */
static char *
edit(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out = NULL;

	assert_non_null(at);
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	return out;
}

static char *
lines_of(const struct conf_diff *d)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_diff_print(f, d);
	fclose(f);
	return text;
}

/* clang-format off */
static const struct {
	const char *what;
	const char *from, *to;
	const char *lines;
	const char *restart; /* what is said when it needs one, NULL: it does not */
	bool renew;
} cases[] = {
	{ "nothing changes", "version: 1", "version: 1", "", NULL, false },
	{ "a comment and the layout change nothing", "sas:", "# more\nsas:", "", NULL, false },
	{ "an option of an SA", "0x1001, src", "0x1001, df: set, pmtu: {age: 5m}, src",
	  "~ sa a: df copy -> set, pmtu.age 10m -> 5m\n", NULL, false },
	{ "a block that comes", "0x1001, src", "0x1001, encap: {udp: [4500, 4500]}, src",
	  "~ sa a: encap none -> {udp: [4500, 4500], keepalive: 20s, follow: false}\n", NULL, true },
	{ "a key", KEY_A, "hex:00112233445566778899aabbccddeeff00000009", "~ sa a: key changed\n", NULL, true },
	{ "an SPI", "0x1001", "0x1003", "~ sa a: spi 0x1001 -> 0x1003\n", NULL, true },
	{ "an SA comes", "sas:\n", "sas:\n" SA_AS("c", "out", "0x1004", KEY_C, ""), "+ sa c\n", NULL, false },
	{ "an SA goes", SA_AS("b", "in", "0x1002", KEY_B, ""), "", "- sa b\n", NULL, false },
	{ "a policy's net", "10.1.0.0/16", "[10.1.0.0/16, 10.3.0.0/16]",
	  "~ policy p: src 10.1.0.0/16 -> [10.1.0.0/16, 10.3.0.0/16]\n", NULL, false },
	{ "a policy's port", "sa: a}", "sa: a, protocol: tcp, dst_port: 80-90}",
	  "~ policy p: protocol any -> tcp, dst_port any -> 80-90\n", NULL, false },
	{ "a route's next hop", "192.0.2.7, port", "192.0.2.8, port", "~ route 10.0.0.0/8: via 192.0.2.7 -> 192.0.2.8\n", NULL,
	  false },
	{ "a route to elsewhere", "to: 10.0.0.0/8", "to: 11.0.0.0/8", "+ route 11.0.0.0/8\n- route 10.0.0.0/8\n", NULL, false },
	{ "a neighbour's MAC", "00:07\"", "00:08\"",
	  "~ neighbour 192.0.2.7 at wan: mac \"02:00:00:00:00:07\" -> \"02:00:00:00:00:08\"\n", NULL, false },
	{ "the MTU of a port", "side: black", "side: black, mtu: 9000", "~ port wan: mtu 1500 -> 9000\n",
	  "t:3:54: ports[0].mtu: cannot change while running: restart", false },
	{ "a live key of the gateway", "version: 1\n", "version: 1\ngateway: {burst: 16}\n", "~ gateway: burst 32 -> 16\n", NULL,
	  false },
	{ "the device of a port", "net_null0", "net_null1", "~ port wan: device \"net_null0\" -> \"net_null1\"\n",
	  "t:3:25: ports[0].device: cannot change while running: restart", false },
	{ "the workers of a port", "side: black", "side: black, workers: [1]", "~ port wan: workers all -> [1]\n",
	  "t:3:58: ports[0].workers: cannot change while running", false },
	{ "a limit", "version: 1\n", "version: 1\ngateway:\n  max_routes: {v6: 1}\n", "~ gateway: max_routes.v6 16384 -> 1\n",
	  "t:3:15: gateway.max_routes: cannot change while running", false },
	{ "crypto devices", "version: 1\n", "version: 1\ngateway: {crypto_devices: [a, b]}\n",
	  "~ gateway: crypto_devices none -> [\"a\", \"b\"]\n", "t:2:27: gateway.crypto_devices: cannot change while running", false },
	{ "a port's own IPsec", "side: black", "side: black, inline: off", "~ port wan: inline \"auto\" -> \"off\"\n",
	  "t:3:57: ports[0].inline: cannot change while running", false },
	{ "a port comes", "sas:", "  - {name: lan, device: net_null1, side: red}\nsas:", "+ port lan\n",
	  "t:4:5: ports: port lan cannot be added while running", false },
};
/* clang-format on */

static void
each_change_has_its_line(void **state)
{
	struct conf *old = load_good(before);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text, *lines, *said;
		struct conf *new;
		struct conf_errors e;
		struct conf_diff d;
		bool renew = false;
		int rc;

		text = edit(before, cases[i].from, cases[i].to);
		new = load_good(text);
		conf_errors_init(&e, "t");
		rc = conf_diff(old, new, &d, &e);
		lines = lines_of(&d);
		said = printed(&e);
		for (uint32_t k = 0; k < d.n; k++)
			renew |= d.changes[k].renew;
		if (strcmp(lines, cases[i].lines) != 0 || renew != cases[i].renew)
			fail_msg("%s: got\n%s", cases[i].what, lines);
		if (rc != (cases[i].restart != NULL ? -EINVAL : 0) || d.restart != (rc != 0) ||
		    (cases[i].restart != NULL ? strstr(said, cases[i].restart) == NULL :
						said[0] != 0))
			fail_msg("%s: said\n%s", cases[i].what, said);
		conf_diff_free(&d);
		conf_errors_free(&e);
		conf_free(new);
		free(said);
		free(lines);
		free(text);
	}
	conf_free(old);
}

/* Two policies in one order and the other. */
static void
the_order_of_policies_counts(void **state)
{
	static const char p[] =
		"  - {name: p, direction: out, src: any, dst: any, action: bypass}\n";
	static const char q[] =
		"  - {name: q, direction: out, src: any, dst: any, action: discard}\n";
	static const char r[] =
		"  - {name: r, direction: out, src: any, dst: any, action: discard}\n";
	char a[1024], b[1024], *lines;
	struct conf *old, *new;
	struct conf_errors e;
	struct conf_diff d;

	snprintf(a, sizeof(a), "%spolicies:\n%s%s%s", GOOD, p, q, r);
	snprintf(b, sizeof(b), "%spolicies:\n%s%s%s", GOOD, q, r, p);
	old = load_good(a);
	new = load_good(b);
	conf_errors_init(&e, "t");
	assert_int_equal(conf_diff(old, new, &d, &e), 0);
	lines = lines_of(&d);
	assert_string_equal(lines, "> policy p\n");
	assert_int_equal(d.from[CONF_POLICY][0], 1);
	assert_int_equal(d.from[CONF_POLICY][2], 0);
	assert_int_equal(d.changes[0].verb, CONF_MOVED);
	assert_int_equal(d.changes[0].was, 0);
	assert_int_equal(d.changes[0].now, 2);
	assert_int_equal(d.n_of[CONF_POLICY], 1);
	free(lines);
	conf_diff_free(&d);
	conf_free(old);
	conf_free(new);
}

static void
an_item_is_led_back_to_what_it_was(void **state)
{
	char *text = edit(before, "sas:\n", "sas:\n" SA_AS("c", "out", "0x1004", KEY_C, ""));
	struct conf *old = load_good(before), *new = load_good(text);
	struct conf_errors e;
	struct conf_diff d;

	conf_errors_init(&e, "t");
	assert_int_equal(conf_diff(old, new, &d, &e), 0);
	assert_int_equal(d.from[CONF_SA][0], CONF_NONE);
	assert_int_equal(d.from[CONF_SA][1], 0);
	assert_int_equal(d.from[CONF_SA][2], 1);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.changes[0].kind, CONF_SA);
	assert_int_equal(d.changes[0].verb, CONF_ADDED);
	assert_int_equal(d.changes[0].now, 0);
	assert_int_equal(d.changes[0].was, CONF_NONE);
	conf_diff_free(&d);
	conf_free(old);
	conf_free(new);
	free(text);
}

/* What is shown can be read again, once its keys are put in, and says the same. */
static void
what_is_shown_says_the_same(void **state)
{
	static const char text[] =
		SA("outer_dscp: {46: 10, 0: 8}, flow_label: 0x12345, ttl: 255, df: set, icv: 12,\n"
		   "     lifetime: {hard_bytes: 5G}, encap: {udp: [4500, 31337], keepalive: "
		   "1500ms}") "routes: [{to: \"::/0\", port: wan}]\n"
			      "neighbours: [{ip: \"fe80::1\", mac: \"02:00:00:00:00:07\", port: "
			      "wan}]\n"
			      "policies:\n  - {name: \"1\", direction: out, src: [10.0.0.0/8, "
			      "\"2001:db8::/32\", 10.9.0.1-10.9.0.7], dst: any,\n"
			      "     protocol: icmp, dscp: [46, 34], icmp: false, action: protect, "
			      "sa: a}\n"
			      "gateway: {crypto: [openssl, cryptodev, inline], max_sas: 1k, idle: "
			      "sleep, "
			      "crypto_devices: [\"0000:3d:01.0\", \"crypto_null0,a=b\"]}\n";
	struct conf *old = load_good(text), *new;
	char *shown = NULL, *again, *lines;
	size_t size;
	FILE *f = open_memstream(&shown, &size);
	struct conf_errors e;
	struct conf_diff d;

	conf_print(f, old);
	fclose(f);
	again = edit(shown, "redacted", "\"" KEY_A "\"");
	new = load_good(again);
	conf_errors_init(&e, "t");
	assert_int_equal(conf_diff(old, new, &d, &e), 0);
	lines = lines_of(&d);
	assert_string_equal(lines, "");
	free(lines);
	free(again);
	free(shown);
	conf_diff_free(&d);
	conf_free(old);
	conf_free(new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_has_its_line),
		cmocka_unit_test(the_order_of_policies_counts),
		cmocka_unit_test(an_item_is_led_back_to_what_it_was),
		cmocka_unit_test(what_is_shown_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
