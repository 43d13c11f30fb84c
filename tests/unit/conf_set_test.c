/* Bundles, SAs by class, and the policies that name them. */
#include "conf_text.h"

#define KEY_N(n)		"hex:ffeeddccbbaa998877665544332211000000" n
#define OUT(name, spi, n, more) SA_AS(name, "out", spi, KEY_N(n), more)
#define IN(name, spi, n)	SA_AS(name, "in", spi, KEY_N(n), "")
#define ONE(name, direction, sa)                     \
	"  - {name: " name ", direction: " direction \
	", src: 10.1.0.0/16, dst: 10.2.0.0/16, action: protect, sa: " sa "}\n"
/* clang-format off */
#define MEMBERS TOP "sas:\n" \
	OUT("f", "0x1001", "0001", ", bundle: {name: b}") \
	OUT("w0", "0x1002", "0002", ", bundle: {name: b, worker: 0}") \
	OUT("w1", "0x1003", "0003", ", bundle: {name: b, worker: 1}") \
	SA_AS("i0", "in", "0x2001", KEY_N("0004"), ", bundle: {name: b, worker: 0}") \
	SA_AS("i1", "in", "0x2002", KEY_N("0005"), ", bundle: {name: b, worker: 1}")
/* Lines 5 to 7, and policies from line 9 on. */
#define CLASSES TOP "sas:\n" \
	OUT("rest", "0x1001", "0001", "") \
	OUT("ef", "0x1002", "0002", ", dscp_set: [46]") \
	OUT("af", "0x1003", "0003", ", dscp_set: [10, 26]") \
	"policies:\n"
#define ITEM(spi, n, more) "      - {spi: " spi ", key: \"" KEY_N(n) "\"" more "}\n"

static const char several[] =
	TOP "tunnels:\n"
	    "  - name: t\n    local: 192.0.2.1\n    remote: 198.51.100.1\n"
	    "    local_nets: 10.1.0.0/16\n    remote_nets: 10.2.0.0/16\n    aead: aes-gcm-128\n"
	    "    out:\n"
		ITEM("0x1001", "0001", "")
		ITEM("0x1002", "0002", ", bundle: {worker: 0}")
		ITEM("0x1003", "0003", ", bundle: {worker: 0}")
		ITEM("0x1004", "0004", ", dscp_set: [46]")
		ITEM("0x1005", "0005", ", dscp_set: [46], bundle: {worker: 1}")
	    "    in:\n"
		ITEM("0x2001", "0011", "")
		ITEM("0x2002", "0012", "")
	    "  - name: u\n    local: 192.0.2.1\n    remote: 198.51.100.2\n"
	    "    local_nets: 10.1.0.0/16\n    remote_nets: 10.3.0.0/16\n    aead: aes-gcm-128\n"
	    "    out: {spi: 256, key: \"" KEY_N("0021") "\"}\n"
	    "    in: [{spi: 257, key: \"" KEY_N("0022") "\"}]\n";
/* clang-format on */

static void
assert_set(const struct conf *c, uint32_t set, const char *names)
{
	char text[256] = "";

	assert_true(set < c->n_sets);
	for (uint32_t i = 0; i < c->sets[set].n; i++) {
		strcat(text, i > 0 ? " " : "");
		strcat(text, c->sas[c->sets[set].sas[i]].name);
	}
	assert_string_equal(text, names);
}

static void
a_bundle_is_named_as_a_whole(void **state)
{
	struct conf *c = load_good(MEMBERS "policies:\n" ONE("p", "out", "b") ONE("q", "in", "b")
					   ONE("r", "out", "[w0, f]") ONE("s", "out", "b")
						   ONE("t", "out", "w1"));

	assert_int_equal(c->n_sets, 3);
	assert_set(c, c->policies[0].set, "f w0 w1");
	assert_set(c, c->policies[1].set, "i0 i1");
	assert_set(c, c->policies[2].set, "w0 f");
	assert_int_equal(c->policies[3].set, c->policies[0].set);
	assert_int_equal(c->policies[4].set, CONF_NONE);
	assert_int_equal(c->policies[4].sa, 2);
	assert_int_equal(c->sas[3].set, c->policies[1].set);
	assert_int_equal(c->sas[4].set, c->policies[1].set);
	assert_int_equal(c->sas[0].bundle.worker, CONF_WORKER_FALLBACK);
	assert_int_equal(c->sas[2].bundle.worker, 1);
	conf_free(c);
}

static void
a_tunnel_may_have_several_sas_each_way(void **state)
{
	struct conf *c = load_good(several);
	static const char *const names[] = { "t.out",	  "t.out.w0",	  "t.out.w0.2",
					     "t.out.d46", "t.out.d46.w1", "t.in",
					     "t.in.2",	  "u.out",	  "u.in" };

	assert_int_equal(c->n_sas, RTE_DIM(names));
	for (uint32_t i = 0; i < RTE_DIM(names); i++)
		assert_string_equal(c->sas[i].name, names[i]);
	assert_string_equal(c->sas[1].bundle.name, "t");
	assert_int_equal(c->n_policies, 4);
	assert_set(c, c->policies[0].set, "t.out t.out.w0 t.out.w0.2 t.out.d46 t.out.d46.w1");
	assert_set(c, c->policies[1].set, "t.in t.in.2");
	assert_int_equal(c->policies[2].set, CONF_NONE);
	assert_int_equal(c->policies[3].set, CONF_NONE);
	conf_free(c);
}

/* What show config prints is a file that means the same. */
static void
what_is_printed_can_be_read(void **state)
{
	struct conf *c =
		load_good(MEMBERS "policies:\n" ONE("p", "out", "[b]") ONE("r", "out", "[w0, f]"));
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_print(f, c);
	fclose(f);
	assert_non_null(strstr(text, "bundle: {name: b, worker: fallback}"));
	assert_non_null(strstr(text, "sa: b\n"));
	assert_non_null(strstr(text, "sa: [w0, f]\n"));
	free(text);
	conf_free(c);
}

/* clang-format off */
static const struct {
	const char *what, *text, *place, *wrong;
} bad[] = {
	{ "an SA of a bundle without a name", SA("bundle: {worker: 0}"), "6:14: sas[0].bundle: ", "its name is missing" },
	{ "a bundle with the name of an SA", SA("bundle: {name: a}"), "6:14: sas[0].bundle: ", "a is the name of an SA" },
	{ "a worker that no gateway has", SA("bundle: {name: b, worker: 64}"), "6:32: sas[0].bundle.worker: ", "64 is out of range" },
	{ "members with other algorithms", TOP "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b}")
		SA_AS("y", "out", "257", "hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00000009", ", bundle: {name: b}") ,
	  "6:", "36" },
	{ "members in other modes", TOP "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b}") OUT("y", "257", "0002", ", mode: transport, bundle: {name: b}"),
	  "6:", "bundle b: its members are alike but for SPI, key and ports, and y has another mode than x: as the others have it" },
	{ "members with and without ESN", TOP "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b}") OUT("y", "257", "0002", ", esn: false, bundle: {name: b}"),
	  "6:", "y has another esn than x" },
	{ "members to two peers", TOP "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b}")
		"  - {name: y, direction: out, spi: 257, src: 192.0.2.1, dst: 198.51.100.9, aead: aes-gcm-128, key: \"" KEY_N("0002") "\", bundle: {name: b}}\n",
	  "6:62: sas[1].dst: ", "y has another dst than x" },
	{ "an SA that is not there", CLASSES ONE("p", "out", "[rest, none]"), "9:", "there is no SA none" },
	{ "an SA twice", CLASSES ONE("p", "out", "[rest, ef, rest]"), "9:", "rest is named twice: each once" },
	{ "a bundle and its member", MEMBERS "policies:\n" ONE("p", "out", "[b, w0]"), "11:", "w0 is named twice" },
	{ "SAs of two directions", MEMBERS "policies:\n" ONE("p", "out", "[f, i0]"), "11:", "i0 is for direction: in" },
	{ "no name at all", CLASSES ONE("p", "out", "[]"), "9:", "an empty list" },
	{ "a name that is none", CLASSES ONE("p", "out", "[a b]"), "9:", "'a b' is no name" },
	{ "a list in a list", CLASSES ONE("p", "out", "[rest, [ef]]"), "9:", "no name" },
	{ "several with bypass", CLASSES "  - {name: p, direction: out, src: any, dst: any, action: bypass, sa: [rest, ef]}\n", "9:", "an SA with another action" },
	{ "an inbound SA in two sets", MEMBERS "policies:\n" ONE("p", "in", "b") ONE("q", "in", "i0"),
	  "12:", "policy p names i0 together with others than this one" },
	{ "the other way round", MEMBERS "policies:\n" ONE("p", "in", "i1") ONE("q", "in", "[i1, i0]"), "12:", "policy p names i1 together with others" },
	{ "an error in one of a list", TOP "tunnels:\n  - {name: u, local: 192.0.2.1, remote: 198.51.100.1, local_nets: any, remote_nets: any, aead: aes-gcm-128,\n"
		"     out: [{spi: 256, key: \"" KEY_A "\"},\n      {spi: 257, key: \"" KEY_B "\", ttl: 0}], in: {spi: 9999, key: \"" KEY_N("0001") "\"}}\n",
	  "7:76: tunnels[0].out[1].ttl: ", "0 is out of range" },
};
/* clang-format on */

static void
bad_sets_are_refused(void **state)
{
	int failed = 0;

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		struct conf_errors e;
		struct conf *c = load(bad[i].text, &e);
		char *text = printed(&e);

		if (c != NULL || e.n_errors != 1 || !says(text, bad[i].place, bad[i].wrong)) {
			print_error("%s: wanted t:%s … %s …, got\n%s", bad[i].what, bad[i].place,
				    bad[i].wrong, text);
			failed++;
		}
		conf_free(c);
		free(text);
		conf_errors_free(&e);
	}
	assert_int_equal(failed, 0);
}

static void
what_may_be_meant_is_warned_of(void **state)
{
	static const struct {
		const char *what, *text, *wrong; /* "": of nothing */
	} cases[] = {
		{ "classes apart", CLASSES ONE("p", "out", "[rest, ef, af]"), "" },
		{ "a bundle", MEMBERS "policies:\n" ONE("p", "out", "b"), "" },
		{ "lists that overlap, each with a class left",
		  TOP "sas:\n" OUT("x", "256", "0001", ", dscp_set: [1, 2]")
			  OUT("y", "257", "0002",
			      ", dscp_set: [2, 3, 4]") "policies:\n" ONE("p", "out", "[x, y]"),
		  "" },
		{ "a list of which others leave nothing",
		  TOP "sas:\n" OUT("x", "256", "0001", ", dscp_set: [1]") OUT("y", "257", "0002",
									      ", dscp_set: [2]")
			  OUT("z", "258", "0003",
			      ", dscp_set: [1, 2]") "policies:\n" ONE("p", "out", "[x, y, z]"),
		  "z has no class that others with shorter lists leave to it" },
		{ "two for one worker",
		  TOP "sas:\n" OUT("f", "256", "0001",
				   ", bundle: {name: b}") OUT("x", "257", "0002",
							      ", bundle: {name: b, worker: 3}")
			  OUT("y", "258", "0003",
			      ", bundle: {name: b, worker: 3}") "policies:\n" ONE("p", "out", "b"),
		  "another behind x is for the same worker and classes" },
		{ "a bundle without a fallback",
		  TOP "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b, worker: 0}")
			  OUT("y", "257", "0002",
			      ", bundle: {name: b, worker: 1}") "policies:\n" ONE("p", "out", "b"),
		  "workers without a member hand their packets to worker 1, for y" },
		{ "a bundle with an SA for all beside it",
		  TOP "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b, worker: 0}")
			  OUT("y", "257", "0002", "") "policies:\n" ONE("p", "out", "[b, y]"),
		  "" },
		{ "a bundle for some classes, and an SA for all of the rest",
		  TOP
		  "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b, worker: 0}, dscp_set: [46]")
			  OUT("y", "257", "0002", "") "policies:\n" ONE("p", "out", "[b, y]"),
		  "" },
		{ "the same, and the rest has none",
		  TOP
		  "sas:\n" OUT("x", "256", "0001", ", bundle: {name: b, worker: 0}, dscp_set: [46]")
			  OUT("y", "257", "0002",
			      ", bundle: {name: b}, dscp_set: [10]") "policies:\n" ONE("p", "out",
										       "b"),
		  "bundle b has no fallback" },
		{ "lanes that none are", TOP "sas:\n" OUT("x", "256", "0001", ", lanes: auto"),
		  "auto is 1 without subspaces: subspaces: true, or 1" },
		{ "lanes that some are",
		  TOP "sas:\n" OUT("x", "256", "0001", ", subspaces: true, lanes: auto"), "" },
		{ "an outer class that is not the SA's",
		  TOP "sas:\n" OUT("x", "256", "0001", ", dscp_set: [1, 2], outer_dscp: 46"),
		  "46 is not among the classes of x: one of them, or copy" },
		{ "one that is",
		  TOP "sas:\n" OUT("x", "256", "0001", ", dscp_set: [1, 2], outer_dscp: 2"), "" },
		{ "a map",
		  TOP "sas:\n" OUT("x", "256", "0001", ", dscp_set: [1, 2], outer_dscp: {0: 46}"),
		  "" },
		{ "a floor as high as the path",
		  TOP "sas:\n" OUT("x", "256", "0001", ", path_mtu: 1300, pmtu: {floor: 1300}"),
		  "nothing can be learnt between path_mtu 1300 and floor 1300: a floor below "
		  "path_mtu" },
		{ "a narrow path, and no word about what is learnt of it",
		  TOP "sas:\n" OUT("x", "256", "0001", ", path_mtu: 1200"), "" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct conf_errors e;
		struct conf *c = load(cases[i].text, &e);
		char *text = printed(&e);
		bool quiet = cases[i].wrong[0] == 0;

		/* Keys in an open file are warned of everywhere but in text. */
		if (c == NULL || e.n_warnings != !quiet ||
		    (!quiet && !says(text, "", cases[i].wrong)))
			fail_msg("%s: got\n%s", cases[i].what, text);
		conf_free(c);
		free(text);
		conf_errors_free(&e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_named_as_a_whole),
		cmocka_unit_test(a_tunnel_may_have_several_sas_each_way),
		cmocka_unit_test(what_is_printed_can_be_read),
		cmocka_unit_test(bad_sets_are_refused),
		cmocka_unit_test(what_may_be_meant_is_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
