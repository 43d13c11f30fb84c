/* Which stream of IP-TFS goes back to which, of SAs of the file. */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>

#include "aggfrag/cc.h"
#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "drivers.h"
#include "ctl/links.h"

#define WAYS(n, spi, key, more)                                                               \
	"  - {name: t" n ", local: 198.51.100.1, remote: 192.0.2.1, local_nets: [10." n       \
	".0.0/16], remote_nets: [10.1" n ".0.0/16], mode: iptfs, aead: aes-gcm-128, iptfs: {" \
	"rate: 1M" more "}, out: {spi: 0x" spi "1, key: \"hex:" key                           \
	"112233445566778899aabbccddeeff00000001\"}, in: {spi: 0x" spi "2, key: \"hex:" key    \
	"112233445566778899aabbccddeeff00000002\"}}\n"
#define FILE_OF(tunnels)                                                                       \
	"version: 1\n"                                                                         \
	"gateway: {idle: poll, max_sas: 1024, mbufs: 1024, key_cache: 64Ki, max_routes: {v4: " \
	"256, v6: 256}}\nports:\n"                                                             \
	"  - {name: wan, device: net_null0, side: black, addresses: [198.51.100.1/24]}\n"      \
	"tunnels:\n" tunnels

/* Two tunnels between the same peers, and one that needs no feedback; then other keys. */
static const char *const texts[] = {
	FILE_OF(WAYS("1", "100", "01", ", congestion_control: true")
			WAYS("2", "200", "02", ", congestion_control: true")
				WAYS("3", "300", "03", "")),
	FILE_OF(WAYS("1", "500", "05", ", congestion_control: true")
			WAYS("2", "600", "06", ", congestion_control: true")
				WAYS("3", "700", "07", "")),
};

static struct gw gw;
static char file[] = "/tmp/espgw-links-XXXXXX";

static void
file_write(int which)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(texts[which], f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
setup(void **state)
{
	static const struct engine *const engines[] = { &engine_openssl };
	const struct gw_options options = { .engines = engines, .n_engines = 1, .config = file };
	struct conf_errors e;
	struct conf *conf;
	struct err err = { "" };

	file_write(0);
	conf_errors_init(&e, "test");
	if (conf_load(file, &conf, &e) < 0) {
		conf_errors_print(stderr, &e);
		fail();
	}
	conf_errors_free(&e);
	if (gw_start(&gw, &options, conf, &err) < 0)
		fail_msg("%s", err.text);
	gw_stop(&gw);
	return 0;
}

static int
teardown(void **state)
{
	gw_free(&gw);
	conf_free(gw.conf);
	return 0;
}

static struct sa_more *
more_of(const char *name)
{
	for (uint32_t i = 0; i < gw.conf->n_sas; i++)
		if (strcmp(gw.conf->sas[i].name, name) == 0)
			return sa_more(sa_at(&gw.sas, gw.sa_books[i].index));
	fail_msg("no SA %s", name);
	return NULL;
}

static void
each_tunnel_has_its_own(void **state)
{
	struct aggfrag_link *first, *second;

	first = more_of("t1.out")->fill->link;
	second = more_of("t2.out")->fill->link;
	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_ptr_equal(first, more_of("t1.in")->split->link);
	assert_ptr_equal(second, more_of("t2.in")->split->link);
	assert_int_equal(first->users, 2);
	/* Who needs none has none. */
	assert_null(more_of("t3.out")->fill->link);
	assert_null(more_of("t3.in")->split->link);
	/* Looking again changes nothing. */
	links_all(&gw);
	assert_ptr_equal(first, more_of("t1.out")->fill->link);
	assert_int_equal(first->users, 2);
}

/* What the first half of a pair has is not the new one's, but follows it. */
static void
new_keys_follow_the_old_ones(void **state)
{
	struct aggfrag_report r;
	struct aggfrag_link *old, *fresh;
	const struct aggfrag_cc *cc;
	struct conf_errors e;
	uint64_t version = 0;

	old = more_of("t1.in")->split->link;
	for (uint64_t seq = 1; seq < 5000; seq++)
		if (seq % 100 != 0)
			aggfrag_link_took(old, seq, 0, seq * 1000000);
	assert_true(aggfrag_link_read(old, &version, &r));
	more_of("t1.out")->fill->cc->interval = 4000000;
	more_of("t1.out")->fill->cc->rtt_us = 50000;
	file_write(1);
	conf_errors_init(&e, "test");
	assert_int_equal(gw_reload(&gw, false, stderr, &e), 0);
	conf_errors_free(&e);
	fresh = more_of("t1.out")->fill->link;
	assert_ptr_not_equal(fresh, old);
	assert_ptr_equal(fresh, more_of("t1.in")->split->link);
	assert_int_equal(aggfrag_loss_rate(&fresh->loss), r.own_loss_rate);
	assert_in_range(r.own_loss_rate, 95, 105);
	cc = more_of("t1.out")->fill->cc;
	assert_int_equal(cc->first_interval, 4000000);
	assert_int_equal(cc->first_rtt_us, 50000);
	/* Of the other tunnel nothing is known. */
	assert_int_equal(more_of("t2.out")->fill->cc->first_interval, 0);
	assert_int_equal(aggfrag_loss_rate(&more_of("t2.in")->split->link->loss), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_tunnel_has_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(new_keys_follow_the_old_ones, setup, teardown),
	};

	static char words[][16] = {
		"unit",		  "--no-huge",	   "-m",       "256",	 "--no-shconf", "--no-pci",
		"--no-telemetry", "--log-level=5", "--lcores", "0@0,1@0"
	};
	char *argv[RTE_DIM(words) + 1] = { NULL };
	int fd = mkstemp(file), rc;

	for (size_t i = 0; i < RTE_DIM(words); i++)
		argv[i] = words[i];
	if (fd < 0 || close(fd) < 0 || rte_eal_init(RTE_DIM(words), argv) < 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	return rc;
}
