/* Echoes of every kind of SA: made, sent by the whole way of a packet, taken by the far end and
 * given to control; plain ones, which have no SA.
 */
#include "unit.h"

#include <netinet/in.h>

#include "drivers.h"
#include "eal.h"
#include "esp/echo.h"
#include "path_bed.h"

#define MBUFS 1024

/* clang-format off */
static const struct rig_suite suites[] = {
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .echo = true },
	{ ALG_AES_GCM_256, .esn = true, .window = 64, .v6 = true, .echo = true },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, .window = 64, .echo = true },
	{ ALG_CHACHA20_POLY1305, .esn = true, .window = 64, .udp = true, .echo = true },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA1_96, .window = 64, .udp = true, .v6 = true, .echo = true },
	{ ALG_AES_GMAC_128, .esn = true, .window = 64, .echo = true },
	{ ALG_NULL, ALG_HMAC_SHA1_96, .window = 64, .echo = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .pad_to = 900, .echo = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .lanes = 3, .echo = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .transport = true, .echo = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .transport = true, .v6 = true, .echo = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .transport = true, .udp = true, .echo = true },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA1_96, .window = 64, .transport = true, .udp = true, .v6 = true, .echo = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64 }, /* answers nothing */
};
#define QUIET (RTE_DIM(suites) - 1)
/* clang-format on */

static int
setup(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb, &engine_openssl };

	bed_make(engines, RTE_DIM(engines), MBUFS);
	bed_sas(suites, RTE_DIM(suites));
	return 0;
}

/* Nobody has used up any rate. */
static int
a_minute_later(void **state)
{
	clock_set(&rig.clock, rig.clock.now + 60 * NS_PER_SECOND);
	rig.w->now = rig.clock.now;
	return 0;
}

static struct esp_echo_job
job_of(uint32_t n, uint8_t type, uint16_t data_len)
{
	struct esp_echo_job job = {
		.sa = rig.sa[n].out,
		.src = sa_cold(&rig.sas, rig.sa[n].out)->src,
		.dst = sa_cold(&rig.sas, rig.sa[n].out)->dst,
		.echo = { .type = type, .data_len = data_len, .id = 0xbeef, .seq = 7 },
	};

	return job;
}

static void
job_run(struct esp_echo_job *job)
{
	struct rte_mbuf *m = esp_echo_make(rig.w, job);

	assert_non_null(m);
	assert_int_equal(esp_echo_job_state(job), ESP_ECHO_SENT);
	pipe_run(rig.w, job->sa == SA_NONE ? STAGE_PLAIN_ECHO : STAGE_LIFE_COUNT_OUT, &m, 1);
	assert_int_equal(n_sent, 1);
}

/* Addresses change places, which no checksum notices: what we sent comes from the peer. */
static struct rte_mbuf *
turn_round(void)
{
	struct rte_mbuf *m = sent[--n_sent];
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_ETHER_HDR_LEN);
	bool v6 = ip[0] >> 4 == 6;
	uint8_t *src = ip + (v6 ? 8 : 12), copy[16];
	size_t n = v6 ? 16 : 4;

	memcpy(copy, src, n);
	memcpy(src, src + n, n);
	memcpy(src + n, copy, n);
	memcpy(rte_pktmbuf_mtod(m, void *), &rig.links[RIG_BLACK].mac, RTE_ETHER_ADDR_LEN);
	return m;
}

static void
feed(struct rte_mbuf *m)
{
	path_rig_feed(&rig, RIG_BLACK, &m, 1);
}

static void
seen_check(const struct esp_echo_job *job, uint32_t n)
{
	struct esp_echo_seen seen;
	uint16_t head = esp_echo_size(&job->echo);
	const uint8_t *data;
	uint8_t copy[1500];

	assert_true(esp_echo_next(rig.w->esp, &seen));
	assert_int_equal(seen.sa, rig.sa[n].in);
	assert_int_equal(seen.generation, sa_at(&rig.sas, rig.sa[n].in)->generation);
	assert_int_equal(seen.echo.type, job->echo.type);
	assert_int_equal(seen.echo.flags, job->echo.flags);
	assert_int_equal(seen.echo.data_len, job->echo.data_len);
	assert_int_equal(seen.echo.id, 0xbeef);
	assert_int_equal(seen.echo.seq, 7);
	assert_int_equal(seen.echo.return_spi, job->echo.return_spi);
	assert_int_equal(seen.lane, job->lane);
	assert_true(rte_pktmbuf_pkt_len(seen.m) >= (uint32_t)head + job->echo.data_len);
	data = rte_pktmbuf_read(seen.m, head, job->echo.data_len, copy);
	for (uint16_t i = 0; i < job->echo.data_len; i++)
		assert_int_equal(data[i], (uint8_t)i);
	rte_pktmbuf_free(seen.m);
	assert_false(esp_echo_next(rig.w->esp, &seen));
}

static void
round_of(uint32_t n, struct esp_echo_job *job)
{
	uint64_t consumed = rig.w->consumed[CONSUMED_ESP_ECHO];

	job_run(job);
	feed(turn_round());
	assert_int_equal(n_sent, 0);
	assert_int_equal(rig.w->consumed[CONSUMED_ESP_ECHO], consumed + 1);
	seen_check(job, n);
	bed_check();
}

static void
echoes_of_every_sa_come_to_the_far_ends_control(void **state)
{
	for (uint32_t n = 0; n < QUIET; n++) {
		struct esp_echo_job job = job_of(n, ESP_ECHO_REQUEST, 8);

		round_of(n, &job);
		job = job_of(n, ESP_ECHO_REQUEST, 1000);
		job.echo.flags = ESP_ECHO_RETURN | ESP_ECHO_NODATA;
		job.echo.return_spi = 0x55667788;
		round_of(n, &job);
		job = job_of(n, ESP_ECHO_RESPONSE, 0);
		round_of(n, &job);
	}
}

static void
each_lane_carries_its_own(void **state)
{
	for (uint16_t lane = 0; lane < 3; lane++) {
		struct esp_echo_job job = job_of(8, ESP_ECHO_REQUEST, 100);

		job.lane = lane;
		round_of(8, &job);
	}
}

/* The outer packet's size and DF, and that no SA's wish for padding counts. */
static void
probes_have_their_size_and_may_not_be_cut(void **state)
{
	for (uint32_t n = 0; n < QUIET; n++) {
		for (uint16_t data = 1300; data < 1316; data++) {
			const struct sa *sa = sa_at(&rig.sas, rig.sa[n].out);
			struct esp_echo_job job = job_of(n, ESP_ECHO_RESPONSE, data);
			bool v6 = suites[n].v6;
			uint32_t outer = (v6 ? 40 : 20) + (suites[n].udp ? 8 : 0) + sa->esp_size +
					 RTE_ALIGN_CEIL(8 + data + 2, sa->suite.align) +
					 sa->suite.icv_len;
			const struct rte_ipv4_hdr *ip;

			job.probe = true;
			job_run(&job);
			assert_int_equal(sent[0]->pkt_len, RTE_ETHER_HDR_LEN + outer);
			ip = rte_pktmbuf_mtod_offset(sent[0], const struct rte_ipv4_hdr *,
						     RTE_ETHER_HDR_LEN);
			if (!v6) {
				assert_int_equal(ip->fragment_offset,
						 RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
				assert_int_equal(wire_sum20((const uint8_t *)ip), 0xffff);
			}
			feed(turn_round());
			seen_check(&job, n);
		}
		a_minute_later(state);
	}
	bed_check();
}

static void
dropped(uint32_t n, const struct esp_echo_job *of, uint16_t text_len, enum drop_reason why)
{
	struct esp_echo_job job = *of;
	uint64_t before = rig.w->drops[why];
	struct rte_mbuf *m = esp_echo_make(rig.w, &job);
	struct pkt *p = pkt_of(m);

	/* As long as the case wants it. */
	rte_pktmbuf_trim(m,
			 (uint16_t)(m->pkt_len - text_len - (suites[n].transport ? p->l4_off : 0)));
	if (suites[n].transport) {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		ip->total_length = rte_cpu_to_be_16(m->pkt_len);
	}
	pipe_run(rig.w, STAGE_LIFE_COUNT_OUT, &m, 1);
	feed(turn_round());
	if (rig.w->drops[why] != before + 1)
		print_error("SA %u, %u octets, type %u: not dropped %s\n", n, text_len,
			    of->echo.type, drop_names[why].name);
	assert_int_equal(rig.w->drops[why], before + 1);
	bed_check();
}

static void
what_is_short_or_of_another_type_is_dropped(void **state)
{
	static const uint32_t sas[] = { 0, 2, 7, 9 };

	for (size_t i = 0; i < RTE_DIM(sas); i++) {
		struct esp_echo_job job = job_of(sas[i], ESP_ECHO_REQUEST, 20);

		/* TFC padding is as good as data that were said to come. */
		if (suites[sas[i]].pad_to == 0) {
			dropped(sas[i], &job, 1, DROP_PING_SHORT);
			dropped(sas[i], &job, 7, DROP_PING_SHORT);
			dropped(sas[i], &job, 8, DROP_PING_SHORT);
			dropped(sas[i], &job, 27, DROP_PING_SHORT);
			job.echo.flags = ESP_ECHO_RETURN;
			dropped(sas[i], &job, 11, DROP_PING_SHORT);
			dropped(sas[i], &job, 12, DROP_PING_SHORT);
		}
		job.echo.type = 1;
		dropped(sas[i], &job, 20, DROP_PING_TYPE);
		job.echo.type = 4;
		dropped(sas[i], &job, 20, DROP_PING_TYPE);
	}
}

static void
an_sa_without_esp_ping_answers_nothing_and_hears_answers(void **state)
{
	struct esp_echo_job job = job_of(QUIET, ESP_ECHO_REQUEST, 20);

	dropped(QUIET, &job, 28, DROP_PING_DISABLED);
	dropped(QUIET, &job, 4, DROP_NEXT_HEADER);
	job.echo.type = 1;
	dropped(QUIET, &job, 28, DROP_NEXT_HEADER);
	job = job_of(QUIET, ESP_ECHO_RESPONSE, 20);
	round_of(QUIET, &job);
}

static uint32_t
flood(uint32_t n, uint8_t type, uint32_t count)
{
	struct esp_echo_seen seen;
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct esp_echo_job job = job_of(n, type, 8);

		job_run(&job);
		feed(turn_round());
		while (esp_echo_next(rig.w->esp, &seen)) {
			rte_pktmbuf_free(seen.m);
			taken++;
		}
	}
	return taken;
}

static void
a_flood_gets_ten_a_second_and_leaves_others_theirs(void **state)
{
	uint64_t dropped_before = rig.w->drops[DROP_PING_RATE];

	assert_int_equal(flood(0, ESP_ECHO_REQUEST, 100), ESP_ECHO_SA_BURST);
	assert_int_equal(rig.w->drops[DROP_PING_RATE] - dropped_before, 90);
	assert_int_equal(flood(1, ESP_ECHO_REQUEST, 5), 5);
	assert_int_equal(flood(0, ESP_ECHO_RESPONSE, 5), 5);
	clock_set(&rig.clock, rig.clock.now + NS_PER_SECOND);
	rig.w->now = rig.clock.now;
	assert_int_equal(flood(0, ESP_ECHO_REQUEST, 100), ESP_ECHO_SA_RATE);
	/* That of all. */
	a_minute_later(state);
	assert_int_equal(flood(0, ESP_ECHO_RESPONSE, 1000), ESP_ECHO_BURST);
	bed_check();
}

static void
a_full_ring_drops(void **state)
{
	uint64_t before = rig.w->drops[DROP_PING_QUEUE];
	struct esp_echo_seen seen;

	for (uint32_t i = 0; i < ESP_ECHO_RING + 10; i++) {
		struct esp_echo_job job = job_of(0, ESP_ECHO_RESPONSE, 0);

		job_run(&job);
		feed(turn_round());
		clock_set(&rig.clock, rig.clock.now + NS_PER_SECOND);
		rig.w->now = rig.clock.now;
	}
	assert_int_equal(rig.w->drops[DROP_PING_QUEUE] - before, 10);
	while (esp_echo_next(rig.w->esp, &seen))
		rte_pktmbuf_free(seen.m);
	bed_check();
}

static void
without_mbufs_a_job_fails(void **state)
{
	static struct rte_mbuf *all[MBUFS];
	struct esp_echo_job job = job_of(0, ESP_ECHO_REQUEST, 8);
	uint32_t n = 0;

	while (n < MBUFS && (all[n] = rte_pktmbuf_alloc(rig.pool)) != NULL)
		n++;
	assert_null(esp_echo_make(rig.w, &job));
	assert_int_equal(esp_echo_job_state(&job), ESP_ECHO_FAILED);
	rte_pktmbuf_free_bulk(all, n);
	bed_check();
}

/* ---- Plain ones. ---- */

static struct esp_echo_job
plain_job(const char *src, const char *dst)
{
	return (struct esp_echo_job) {
		.sa = SA_NONE,
		.src = rig_addr(src),
		.dst = rig_addr(dst),
		.echo = { .type = ESP_ECHO_REQUEST, .data_len = 8, .id = 0xbeef, .seq = 1 },
	};
}

/* What a peer sends us is what we would send it, turned round. */
static struct rte_mbuf *
plain_from(const char *peer, bool v6)
{
	struct esp_echo_job job = plain_job(v6 ? "2001:db8::1" : "192.0.2.1", peer);

	job_run(&job);
	return turn_round();
}

static void
a_plain_request_is_answered_where_the_port_is_asked_to(void **state)
{
	static const char *const peers[] = { "198.51.100.77", "2001:db8:ffff::77" };

	for (int v6 = 0; v6 < 2; v6++) {
		uint64_t no_sa = rig.w->drops[DROP_NO_SA], consumed;
		uint32_t head = RTE_ETHER_HDR_LEN + (v6 ? 40 : 20);
		static const uint8_t answer[] = { 0,	0,    0, 8, 0, 0, 0, 0, 3, 0, 0, 8,
						  0xbe, 0xef, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7 };

		rig.view.echoing = 0;
		feed(plain_from(peers[v6], v6));
		assert_int_equal(rig.w->drops[DROP_NO_SA], no_sa + 1);
		rig.view.echoing = 1 << RIG_BLACK;
		consumed = rig.w->consumed[CONSUMED_ESP_ECHO];
		feed(plain_from(peers[v6], v6));
		assert_int_equal(rig.w->consumed[CONSUMED_ESP_ECHO], consumed + 1);
		assert_int_equal(n_sent, 1);
		assert_int_equal(sent[0]->pkt_len, head + sizeof(answer));
		assert_memory_equal(rte_pktmbuf_mtod_offset(sent[0], uint8_t *, head), answer,
				    sizeof(answer));
		if (!v6)
			assert_int_equal(rte_pktmbuf_mtod_offset(sent[0], struct rte_ipv4_hdr *,
								 RTE_ETHER_HDR_LEN)
						 ->fragment_offset,
					 RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
		rte_pktmbuf_free(sent[--n_sent]);
	}
	bed_check();
}

static void
a_plain_answer_comes_to_control_if_it_is_awaited(void **state)
{
	uint64_t no_sa = rig.w->drops[DROP_NO_SA];
	struct esp_echo_seen seen;

	rig.view.echoing = 1 << RIG_BLACK;
	for (int awaited = 0; awaited < 2; awaited++) {
		rig.view.awaits_echo = awaited;
		feed(plain_from("198.51.100.78", false));
		/* Our own answer comes back to us: an answer never makes another. */
		feed(turn_round());
		assert_int_equal(n_sent, 0);
		assert_int_equal(rig.w->drops[DROP_NO_SA], no_sa + 1);
		assert_int_equal(esp_echo_next(rig.w->esp, &seen), awaited);
		clock_set(&rig.clock, rig.clock.now + NS_PER_SECOND);
		rig.w->now = rig.clock.now;
	}
	assert_int_equal(seen.sa, SA_NONE);
	assert_int_equal(seen.echo.id, 0xbeef);
	rte_pktmbuf_free(seen.m);
	rig.view.awaits_echo = false;
	bed_check();
}

static void
sources_that_nobody_answers(void **state)
{
	static const char *const peers[] = { "224.0.0.9",	"127.0.0.1",   "0.0.0.0",
					     "255.255.255.255", "192.0.2.255", "192.0.2.1",
					     "10.254.0.1",	"10.1.2.3" };

	rig.view.echoing = 1 << RIG_BLACK;
	for (size_t i = 0; i < RTE_DIM(peers); i++) {
		uint64_t before = rig.w->drops[DROP_PING_SOURCE];
		struct rte_mbuf *m = plain_from("198.51.100.79", false);
		struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
		struct addr src = rig_addr(peers[i]);

		memcpy(&ip->src_addr, src.octets, 4);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
		feed(m);
		assert_int_equal(n_sent, 0);
		if (rig.w->drops[DROP_PING_SOURCE] != before + 1)
			print_error("%s is answered\n", peers[i]);
		assert_int_equal(rig.w->drops[DROP_PING_SOURCE], before + 1);
	}
	bed_check();
}

static void
plain_echoes_are_paced_like_icmp(void **state)
{
	uint64_t before = rig.w->drops[DROP_PING_RATE];

	rig.view.echoing = 1 << RIG_BLACK;
	for (int i = 0; i < 10; i++) {
		feed(plain_from("198.51.100.80", false));
		assert_int_equal(n_sent, i == 0);
		if (n_sent > 0)
			rte_pktmbuf_free(sent[--n_sent]);
	}
	assert_int_equal(rig.w->drops[DROP_PING_RATE], before + 9);
	bed_check();
}

/* The first draft's layout is answered in kind. */
static void
next_header_59_is_answered_in_kind(void **state)
{
	static const uint8_t answer[] = { 0, 0, 0, 8, 0, 0, 0, 0, 1, 2, 2, 59 };
	struct esp_echo_job job = plain_job("192.0.2.1", "198.51.100.81");

	rig.view.echoing = 1 << RIG_BLACK;
	job.nh59 = true;
	job.echo.data_len = 0;
	job_run(&job);
	feed(turn_round());
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0]->pkt_len, RTE_ETHER_HDR_LEN + 20 + sizeof(answer));
	assert_memory_equal(rte_pktmbuf_mtod_offset(sent[0], uint8_t *, RTE_ETHER_HDR_LEN + 20),
			    answer, sizeof(answer));
	rte_pktmbuf_free(sent[--n_sent]);
	bed_check();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(echoes_of_every_sa_come_to_the_far_ends_control,
				       a_minute_later),
		cmocka_unit_test_setup(each_lane_carries_its_own, a_minute_later),
		cmocka_unit_test_setup(probes_have_their_size_and_may_not_be_cut, a_minute_later),
		cmocka_unit_test_setup(what_is_short_or_of_another_type_is_dropped, a_minute_later),
		cmocka_unit_test_setup(an_sa_without_esp_ping_answers_nothing_and_hears_answers,
				       a_minute_later),
		cmocka_unit_test_setup(a_flood_gets_ten_a_second_and_leaves_others_theirs,
				       a_minute_later),
		cmocka_unit_test_setup(a_full_ring_drops, a_minute_later),
		cmocka_unit_test_setup(without_mbufs_a_job_fails, a_minute_later),
		cmocka_unit_test_setup(a_plain_request_is_answered_where_the_port_is_asked_to,
				       a_minute_later),
		cmocka_unit_test_setup(a_plain_answer_comes_to_control_if_it_is_awaited,
				       a_minute_later),
		cmocka_unit_test_setup(sources_that_nobody_answers, a_minute_later),
		cmocka_unit_test_setup(plain_echoes_are_paced_like_icmp, a_minute_later),
		cmocka_unit_test_setup(next_header_59_is_answered_in_kind, a_minute_later),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
