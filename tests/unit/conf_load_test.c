#include "conf_text.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static void
defaults_hold(void **state)
{
	struct conf *c = load_good(GOOD);
	const struct conf_sa *sa = &c->sas[0];

	assert_int_equal(c->version, 1);
	assert_string_equal(c->gateway.name, "espgw");
	assert_int_equal(c->gateway.max_sas, 65536);
	assert_int_equal(c->gateway.max_routes.v6, 16384);
	assert_int_equal(c->gateway.key_cache, 16 << 20);
	assert_int_equal(c->gateway.crypto.n, 4);
	assert_int_equal(c->gateway.crypto.list[2], CONF_ENGINE_IPSEC_MB);
	assert_int_equal(c->gateway.crypto_devices.n, 0);
	assert_int_equal(c->gateway.mbufs, CONF_AUTO);
	assert_int_equal(c->gateway.reassembly.timeout_us, 2000000);
	assert_int_equal(c->ports[0].mtu, 1500);
	assert_true(c->ports[0].workers == CONF_ALL);
	assert_true(c->ports[0].offloads);
	assert_string_equal(c->ports[0].ipsec, "auto");
	assert_int_equal(sa->spi, 0x1001);
	assert_int_equal(sa->mode, CONF_TUNNEL);
	assert_int_equal(sa->replay_window, 1024);
	assert_int_equal(sa->suite.cipher, ALG_AES_GCM_128);
	assert_int_equal(sa->suite.icv_len, 16);
	assert_true(sa->suite.esn);
	assert_int_equal(sa->key.len, 20);
	assert_int_equal(sa->key.octets[15], 0xff);
	assert_int_equal(sa->key.octets[19], 1);
	assert_int_equal(sa->outer_dscp.map[46], 46);
	assert_int_equal(sa->flow_label, CONF_FLOW_LABEL_HASH);
	assert_int_equal(sa->pmtu.floor, 1280);
	assert_int_equal(sa->pmtu.age_us, 600000000);
	assert_int_equal(sa->lanes, 1);
	assert_true(sa->ecn);
	assert_false(sa->encap.on);
	assert_int_equal(sa->mark.line, 5);
	conf_free(c);
}

static void
values_are_read(void **state)
{
	struct conf *c = load_good(
		SA("outer_dscp: {46: 10, 0: 8}, flow_label: 0x12345, lifetime: {hard_bytes: 5G, "
		   "soft_packets: 2Ki},\n"
		   "     encap: {udp: [4500, 31337], keepalive: 1500ms}, ttl: 255, df: set, ecn: "
		   "false, path_mtu: 1400,\n"
		   "     oseq: 18446744073709551615") "policies:\n  - {name: p, direction: out, "
						      "src: [10.0.0.0/8, \"2001:db8::/32\", "
						      "10.9.0.1-10.9.0.7], dst: any,\n"
						      "     protocol: udp, src_port: 1000-2000, "
						      "dst_port: 53, dscp: [46, 34], icmp: false, "
						      "action: protect, sa: a}\n"
						      "  - {name: q, direction: in, src: "
						      "10.0.0.4-10.0.0.7, dst: 10.0.0.1/32, "
						      "protocol: 50, action: discard}\n");
	const struct conf_sa *sa = &c->sas[0];
	const struct conf_policy *p = &c->policies[0];
	const struct conf_net *src, *dst;
	uint64_t at = 0;
	int pairs[7] = { 0 };

	assert_int_equal(sa->outer_dscp.map[46], 10);
	assert_int_equal(sa->outer_dscp.map[0], 8);
	assert_int_equal(sa->outer_dscp.map[1], 1);
	assert_int_equal(sa->flow_label, 0x12345);
	assert_true(sa->lifetime.hard_bytes == 5000000000);
	assert_int_equal(sa->lifetime.soft_packets, 2048);
	assert_true(sa->encap.on);
	assert_int_equal(sa->encap.ports[1], 31337);
	assert_int_equal(sa->encap.keepalive_us, 1500000);
	assert_true(sa->oseq == UINT64_MAX);
	assert_int_equal(sa->df, CONF_DF_SET);
	assert_int_equal(p->src.n, 3);
	assert_int_equal(p->dst.n, 2);
	assert_int_equal(p->src.list[2].prefix_len, CONF_NOT_PREFIX);
	assert_true(p->dscp == (UINT64_C(1) << 46 | UINT64_C(1) << 34));
	assert_int_equal(p->src_port.first, 1000);
	assert_int_equal(p->dst_port.last, 53);
	assert_int_equal(p->protocol, 17);
	assert_int_equal(p->sa, 0);
	assert_int_equal(c->policies[1].sa, CONF_NONE);
	assert_int_equal(c->policies[1].src.list[0].prefix_len, 30);
	while (conf_policy_pair(p, &at, &src, &dst))
		pairs[src->family]++;
	assert_int_equal(pairs[4], 2);
	assert_int_equal(pairs[6], 1);
	conf_free(c);
}

static void
tunnels_become_sas_and_policies(void **state)
{
	struct conf *c = load_good(TUNNEL(
		"    encap: {udp: [4500, 31337]}\n    tfc: {pad_to: 100}\n    ttl: 9\n",
		"spi: 0x1001, key: \"" KEY_A
		"\", ttl: 7, tfc: {dummy_rate: 5}") "policies:\n  - {name: first, direction: out, "
						    "src: any, dst: any, action: discard}\n");
	const struct conf_sa *out = &c->sas[0], *in = &c->sas[1];

	assert_int_equal(c->n_sas, 2);
	assert_int_equal(c->n_policies, 3);
	assert_string_equal(out->name, "t.out");
	assert_string_equal(in->name, "t.in");
	assert_int_equal(out->direction, CONF_OUT);
	assert_int_equal(in->direction, CONF_IN);
	assert_int_equal(out->src.octets[0], 192);
	assert_int_equal(in->src.octets[0], 198);
	assert_int_equal(out->ttl, 7);
	assert_int_equal(in->ttl, 9);
	assert_int_equal(out->tfc.pad_to, 100);
	assert_int_equal(out->tfc.dummy_rate, 5);
	assert_int_equal(in->tfc.dummy_rate, 0);
	/* Ours, the peer's; inbound packets have the peer's first. */
	assert_int_equal(out->encap.ports[0], 4500);
	assert_int_equal(in->encap.ports[0], 31337);
	assert_int_equal(in->encap.ports[1], 4500);
	assert_string_equal(c->policies[0].name, "first");
	assert_string_equal(c->policies[1].name, "t.out");
	assert_int_equal(c->policies[1].sa, 0);
	assert_int_equal(c->policies[1].src.list[0].first[1], 1);
	assert_int_equal(c->policies[2].sa, 1);
	assert_int_equal(c->policies[2].src.list[0].first[1], 2);
	assert_int_equal(c->policies[2].direction, CONF_IN);
	conf_free(c);
}

static void
a_transport_tunnel_protects_its_ends(void **state)
{
	struct conf *c = load_good(TOP "tunnels:\n  - {name: t, local: 192.0.2.1, remote: "
				       "192.0.2.2, aead: aes-gcm-128, mode: transport,\n"
				       "     out: {spi: 256, key: \"" KEY_A
				       "\"}, in: {spi: 257, key: \"" KEY_B "\"}}\n");

	assert_int_equal(c->policies[0].src.list[0].prefix_len, 32);
	assert_int_equal(c->policies[0].src.list[0].first[3], 1);
	assert_int_equal(c->policies[0].dst.list[0].last[3], 2);
	conf_free(c);
}

static void
a_loop_may_share_its_key(void **state)
{
	struct conf *c = load_good(GOOD SA_AS("b", "in", "0x1001", KEY_A, ""));

	assert_int_equal(c->n_sas, 2);
	conf_free(c);
}

/* A directory of this test, and a file in it. */
static char dir[64];

static void
put(const char *name, const void *octets, size_t len, mode_t mode, char *path, size_t size)
{
	FILE *f;

	snprintf(path, size, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(octets, 1, len, f), len);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

/* Longer than any key. */
static const char blob[5000];
static const uint8_t raw_key[20] = "0123456789abcdef\0\0\0\7";

static void
keys_come_from_files_and_the_environment(void **state)
{
	static const char hex[] = "30313233 34353637\n38396162 63646566\n00000007\n";
	static const struct {
		const char *what, *key;
		const void *octets;
		size_t len;
		mode_t mode;
		const char *wrong; /* NULL: it is good */
	} cases[] = {
		{ "raw octets", "file:k", raw_key, 20, 0600, NULL },
		{ "digits and white space", "file:k", hex, sizeof(hex) - 1, 0640, NULL },
		{ "the environment", "env:CONF_TEST_KEY", "", 0, 0600, NULL },
		{ "a file others may read", "file:k", raw_key, 20, 0604, "chmod o-rw" },
		{ "a file others may write", "file:k", raw_key, 20, 0602, "chmod o-rw" },
		{ "a file too short", "file:k", raw_key, 19, 0600,
		  "19 octets, aes-gcm-128 needs 20" },
		{ "digits too few", "file:k", hex, 10, 0600, "an odd number of digits (9)" },
		{ "a file too long", "file:k", blob, sizeof(blob), 0600,
		  "is longer than 4096 octets" },
		{ "no file", "file:none", "", 0, 0600, "No such file" },
		{ "a directory", "file:.", "", 0, 0600, "is no regular file" },
		{ "not in the environment", "env:CONF_TEST_NONE", "", 0, 0600,
		  "is not in the environment" },
	};
	char path[128], text[512];

	setenv("CONF_TEST_KEY", hex, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_errors e;
		struct conf *c;
		char *said;

		put("k", cases[i].octets, cases[i].len, cases[i].mode, path, sizeof(path));
		snprintf(text, sizeof(text), TOP "sas:\n" SA_AS("a", "out", "256", "%s", ""),
			 cases[i].key);
		put("t.yaml", text, strlen(text), 0600, path, sizeof(path));
		conf_errors_init(&e, "t");
		conf_load(path, &c, &e);
		said = printed(&e);
		if (cases[i].wrong == NULL ? c == NULL :
					     !says(said, "5:100: sas[0].key: ", cases[i].wrong))
			fail_msg("%s: got %s", cases[i].what, said);
		if (c != NULL)
			assert_memory_equal(c->sas[0].key.octets, raw_key, 20);
		free(said);
		conf_free(c);
		conf_errors_free(&e);
	}
}

static void
files_that_cannot_be_read_are_refused(void **state)
{
	static const struct {
		const char *path, *wrong;
	} cases[] = { { "/nonexistent/espgw.yaml", "No such file" },
		      { "/", "Is a directory" },
		      { "/dev/zero", "too large" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_errors e;
		struct conf *c;
		char *said;

		conf_errors_init(&e, "t");
		assert_true(conf_load(cases[i].path, &c, &e) < 0);
		assert_null(c);
		said = printed(&e);
		if (!says(said, " ", cases[i].wrong))
			fail_msg("%s: got %s", cases[i].path, said);
		free(said);
		conf_errors_free(&e);
	}
}

static void
an_open_file_with_keys_is_warned_of_once(void **state)
{
	static const char text[] = GOOD SA_AS("b", "in", "0x1002", KEY_B, "");
	struct conf_errors e;
	struct conf *c;
	char path[128];

	for (int open = 0; open < 2; open++) {
		put("t.yaml", text, sizeof(text) - 1, open ? 0644 : 0640, path, sizeof(path));
		conf_errors_init(&e, "t");
		assert_int_equal(conf_load(path, &c, &e), 0);
		assert_int_equal(e.n_warnings, open);
		conf_free(c);
		conf_errors_free(&e);
	}
}

/* No octet of a key in any text: wrong ones are told of by their length. */
static void
keys_are_never_printed(void **state)
{
	static const char digits[] = "c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55";
	char text[1024], *said = NULL;
	size_t size;
	FILE *f = open_memstream(&said, &size);

	for (int cut = 0; cut < 40; cut++) {
		struct conf_errors e;
		struct conf *c;

		snprintf(text, sizeof(text), TOP "sas:\n" SA_AS("a", "out", "256", "hex:%s%s", ""),
			 digits + cut, cut % 3 == 2 ? "zz" : "");
		c = load(text, &e);
		conf_errors_print(f, &e);
		if (c != NULL)
			conf_print(f, c);
		conf_free(c);
		conf_errors_free(&e);
	}
	fclose(f);
	assert_non_null(strstr(said, "redacted"));
	assert_null(strstr(said, "c0ffee"));
	assert_null(strstr(said, "ffee"));
	free(said);
}

static void
keys_for_the_other_direction_are_warned_of(void **state)
{
	struct conf_errors e;
	struct conf *c = load(SA("replay_top: 5"), &e);
	char *said = printed(&e);

	assert_non_null(c);
	assert_true(
		says(said, "6:18: warning: sas[0].replay_top", "does nothing with direction: out"));
	free(said);
	conf_free(c);
	conf_errors_free(&e);
}

static void
iptfs_has_defaults_of_its_own(void **state)
{
	struct conf_errors e;
	struct conf *c = load(TUNNEL("    mode: iptfs\n", "spi: 256, key: \"" KEY_A "\""), &e);
	const struct conf_sa *out, *in;

	assert_non_null(c);
	assert_int_equal(e.n_warnings, 0);
	out = &c->sas[0];
	in = &c->sas[1];
	assert_true(out->iptfs.on && in->iptfs.on);
	assert_int_equal(out->iptfs.rate_bps, 0);
	assert_int_equal(out->iptfs.packet_size, 1400);
	assert_int_equal(out->iptfs.init_delay_us, 2000);
	assert_int_equal(out->iptfs.max_queue, 1000000);
	assert_int_equal(out->iptfs.max_aggregation_us, 0);
	assert_int_equal(in->iptfs.reorder_window, 3);
	assert_int_equal(in->iptfs.drop_time_us, 1000000);
	assert_int_equal(out->df, CONF_DF_SET);
	for (int i = 0; i < 64; i++)
		assert_int_equal(out->outer_dscp.map[i], 0);
	conf_free(c);
	conf_errors_free(&e);
	/* A tunnel's block is for both halves, and a half adds to it. */
	c = load(TUNNEL("    mode: iptfs\n    outer_dscp: 46\n    df: clear\n"
			"    iptfs: {rate: 100M, layer: l2, max_aggregation: 5ms, drop_time: 20ms, "
			"packet_size: auto, breaker: {loss: 7}}\n",
			"spi: 256, iptfs: {rate: 50M}, key: \"" KEY_A "\""),
		 &e);
	assert_non_null(c);
	assert_int_equal(e.n_warnings, 0);
	out = &c->sas[0];
	in = &c->sas[1];
	assert_int_equal(out->iptfs.rate_bps, 50000000);
	assert_int_equal(out->iptfs.layer, CONF_LAYER_L2);
	assert_int_equal(out->iptfs.packet_size, CONF_AUTO);
	assert_int_equal(out->iptfs.max_aggregation_us, 5000);
	assert_true(out->iptfs.breaker.on);
	assert_int_equal(out->iptfs.breaker.loss_percent, 7);
	assert_int_equal(in->iptfs.drop_time_us, 20000);
	assert_int_equal(out->df, CONF_DF_CLEAR);
	assert_int_equal(out->outer_dscp.map[0], 46);
	conf_free(c);
	conf_errors_free(&e);
}

static void
what_iptfs_does_not_look_at_is_warned_of(void **state)
{
	static const struct {
		const char *text, *place, *wrong;
	} rows[] = {
		{ SA("mode: iptfs, iptfs: {drop_time: 2s}"),
		  "6:38: warning: sas[0].iptfs.drop_time",
		  "does nothing with direction: out: leave it out" },
		{ SA("mode: iptfs, mss_clamp: true"), "6:30: warning: sas[0].mss_clamp",
		  "which cuts what is larger: leave it out, or dont_frag: true" },
		{ SA("mode: iptfs, iptfs: {layer: l2}"), "6:34: warning: sas[0].iptfs.layer",
		  "does nothing without a rate" },
		{ SA("mode: iptfs, iptfs: {rate: 1M, init_delay: 0}"),
		  "6:49: warning: sas[0].iptfs.init_delay", "does nothing with a rate" },
		{ SA("mode: iptfs, iptfs: {packet_size: 1501}"),
		  "6:40: warning: sas[0].iptfs.packet_size", "no packet is larger than path_mtu" },
		{ SA("mode: iptfs, path_mtu: 9000, iptfs: {packet_size: 1501}"),
		  "6:56: warning: sas[0].iptfs.packet_size", "takes more than 1500" },
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct conf_errors e;
		struct conf *c = load(rows[i].text, &e);
		char *said = printed(&e);

		assert_non_null(c);
		assert_int_equal(e.n_warnings, 1);
		if (!says(said, rows[i].place, rows[i].wrong))
			fail_msg("wanted %s … %s, got %s", rows[i].place, rows[i].wrong, said);
		free(said);
		conf_free(c);
		conf_errors_free(&e);
	}
}

static void
an_address_that_no_port_has_is_warned_of(void **state)
{
	struct conf_errors e;
	struct conf *c = load("ports: [{name: a, device: x, side: black, addresses: "
			      "[192.0.2.2/24]}]\nsas:\n" SA_AS("a", "out", "256", KEY_A, "")
				      SA_AS("b", "out", "257", KEY_B, ""),
			      &e);

	assert_non_null(c);
	assert_int_equal(e.n_warnings, 1);
	conf_free(c);
	conf_errors_free(&e);
}

#define VIA(port, rest)                                                                         \
	"ports: [{name: a, device: x, side: black" port "}, {name: b, device: y, side: red}]\n" \
	"routes: [{to: 10.0.0.0/8, via: 192.0.2.9, port: a}, {to: 10.9.0.0/16, port: a}]\n" rest
#define STATION(ip, port) "neighbours: [{ip: " ip ", mac: \"02:00:00:00:00:07\", port: " port "}]\n"

static void
a_next_hop_that_nobody_knows_is_warned_of(void **state)
{
	static const struct {
		const char *what, *text;
		uint32_t warnings;
	} cases[] = {
		{ "no neighbour", VIA("", ""), 1 },
		{ "another one", VIA("", STATION("192.0.2.8", "a")), 1 },
		{ "one of another port", VIA("", STATION("192.0.2.9", "b")), 1 },
		{ "its own", VIA("", STATION("192.0.2.9", "a")), 0 },
		{ "a mirror, whose kernel asks", VIA(", mirror: {tap: tap0}", ""), 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct conf_errors e;
		struct conf *c = load(cases[i].text, &e);

		if (c == NULL || e.n_warnings != cases[i].warnings)
			fail_msg("%s: %u warnings", cases[i].what, e.n_warnings);
		conf_free(c);
		conf_errors_free(&e);
	}
}

static void
every_example_loads(void **state)
{
	const char *root = getenv("SOURCE_ROOT");
	char path[512];
	struct dirent *d;
	DIR *config;
	int n = 0;

	assert_non_null(root);
	snprintf(path, sizeof(path), "%s/config", root);
	config = opendir(path);
	assert_non_null(config);
	while ((d = readdir(config)) != NULL) {
		struct conf_errors e;
		struct conf *c;
		char *said;

		if (strstr(d->d_name, ".yaml") == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/config/%s", root, d->d_name);
		conf_errors_init(&e, d->d_name);
		conf_load(path, &c, &e);
		said = printed(&e);
		if (c == NULL)
			fail_msg("%s", said);
		free(said);
		conf_free(c);
		conf_errors_free(&e);
		n++;
	}
	closedir(config);
	assert_true(n >= 8);
}

static int
make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/conf_test.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/k", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/t.yaml", dir);
	unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(tunnels_become_sas_and_policies),
		cmocka_unit_test(a_transport_tunnel_protects_its_ends),
		cmocka_unit_test(a_loop_may_share_its_key),
		cmocka_unit_test(keys_come_from_files_and_the_environment),
		cmocka_unit_test(files_that_cannot_be_read_are_refused),
		cmocka_unit_test(an_open_file_with_keys_is_warned_of_once),
		cmocka_unit_test(keys_are_never_printed),
		cmocka_unit_test(keys_for_the_other_direction_are_warned_of),
		cmocka_unit_test(iptfs_has_defaults_of_its_own),
		cmocka_unit_test(what_iptfs_does_not_look_at_is_warned_of),
		cmocka_unit_test(an_address_that_no_port_has_is_warned_of),
		cmocka_unit_test(a_next_hop_that_nobody_knows_is_warned_of),
		cmocka_unit_test(every_example_loads),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
