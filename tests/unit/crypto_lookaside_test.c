/* engine_cryptodev on crypto_aesni_gcm: order, room, sessions, keys, and a device that fails: its
 * calls are put in the place of the device's own.
 */
#include "crypto_rig.h"

#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <rte_memory.h>

#include "eal.h"
#include "lookaside_packets.h"

static void
packets_come_back_in_order(void **state)
{
	struct rte_mbuf *pkts[PACKETS];
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 1, false);
	assert_int_equal(opened(&s, true), 0);
	for (uint16_t round = 0; round < 200; round++) {
		uint16_t n = 1 + rig_random() % 500;

		assert_int_equal(packets_submit(0, &s, pkts, n, &why), n);
		assert_int_equal(lookaside()->held(workers[0]), n);
		assert_int_equal(lookaside()->held(workers[1]), 0);
		assert_int_equal(packets_collect(0, pkts, n, ENGINE_DONE), n);
		assert_int_equal(lookaside()->held(workers[0]), 0);
	}
	lookaside()->session_close(1);
}

/* As many as room() says, and not one more; and again when there is room. */
static void
a_full_queue_says_so(void **state)
{
	struct rte_mbuf *pkts[PACKETS];
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 2, false);
	assert_int_equal(opened(&s, true), 0);
	for (int round = 0; round < 3; round++) {
		uint16_t room = (uint16_t)lookaside()->room(workers[0]);

		assert_in_range(room, 256, PACKETS - 1);
		assert_int_equal(packets_submit(0, &s, pkts, PACKETS, &why), room);
		assert_int_equal(why, ENGINE_FULL);
		assert_int_equal(lookaside()->room(workers[0]), 0);
		assert_int_equal(packets_collect(0, pkts, room, ENGINE_DONE), room);
		assert_int_equal(lookaside()->room(workers[0]), room);
	}
	lookaside()->session_close(1);
}

static void
what_names_no_session_is_for_software(void **state)
{
	struct rte_mbuf *pkts[4];
	enum engine_refusal why;
	struct session s, other;

	session_of(&s, 7, 3, false);
	assert_int_equal(packets_submit(0, &s, pkts, 4, &why), 0);
	assert_int_equal(why, ENGINE_DOWN);
	assert_int_equal(opened(&s, true), 0);
	assert_int_equal(opened(&s, true), -EEXIST);
	assert_string_equal(lookaside()->device_of(7), DEVICE);
	session_of(&other, 7, 4, false);
	assert_int_equal(packets_submit(0, &other, pkts, 4, &why), 0);
	assert_int_equal(why, ENGINE_DOWN);
	assert_int_equal(packets_submit(0, &s, pkts, 4, &why), 4);
	lookaside()->session_close(7);
	assert_null(lookaside()->device_of(7));
	assert_int_equal(packets_collect(0, pkts, 4, ENGINE_DONE), 4);
	assert_int_equal(packets_submit(0, &s, pkts, 4, &why), 0);
	assert_int_equal(why, ENGINE_DOWN);
}

static struct rte_mbuf *sealed;

/* Seals a packet, changes its tag if asked, and opens it. */
static void
open_one(const struct session *out, const struct session *in, bool spoil, enum engine_verdict want)
{
	enum engine_refusal why;
	struct crypto_op op;

	sealed = packet_make(&op, out, 5, 100);
	assert_int_equal(lookaside()->submit(workers[1], &op, &sealed, 1, true, 0, &why), 1);
	for (enum engine_verdict v = ENGINE_LOST; v != ENGINE_DONE;)
		lookaside()->collect(workers[1], &sealed, &v, 1, 0);
	op.session = in;
	op.tag[15] ^= spoil ? 1 : 0;
	assert_int_equal(lookaside()->submit(workers[1], &op, &sealed, 1, false, 0, &why), 1);
	assert_int_equal(packets_collect(1, &sealed, 1, want), 1);
}

static void
a_bad_tag_is_told_from_a_good_one(void **state)
{
	struct session s, in;

	session_of(&s, 1, 5, true);
	in = s;
	in.id = 2;
	assert_int_equal(opened(&s, true), 0);
	assert_int_equal(opened(&in, false), 0);
	open_one(&s, &in, false, ENGINE_DONE);
	open_one(&s, &in, true, ENGINE_BAD_ICV);
	lookaside()->session_close(1);
	lookaside()->session_close(2);
}

/* Packets in pieces are more than there are copies: in order all the same, and nothing is left to
 * software, which would be faster.
 */
static void
packets_in_pieces_keep_their_order(void **state)
{
	struct rte_mbuf *pkts[64], *back[64];
	enum engine_verdict verdicts[64];
	uint64_t before = engine_cryptodev.bounced(workers[0]);
	struct crypto_op ops[64];
	enum engine_refusal why;
	uint16_t n = 0;
	struct session s;

	session_of(&s, 1, 15, true);
	assert_int_equal(opened(&s, true), 0);
	for (uint16_t i = 0; i < 64; i++) {
		pkts[i] = packet_make(&ops[i], &s, i, 200);
		ops[i].chain = pkts[i];
		ops[i].text_off = 16;
	}
	assert_int_equal(lookaside()->submit(workers[0], ops, pkts, 64, true, 0, &why), 64);
	for (uint32_t tries = 0; n < 64 && tries < 1000; tries++)
		n += lookaside()->collect(workers[0], back + n, verdicts + n, 64 - n, 0);
	assert_int_equal(n, 64);
	assert_memory_equal(back, pkts, sizeof(back));
	assert_int_equal(engine_cryptodev.bounced(workers[0]), before + 64);
	for (uint16_t i = 0; i < 64; i++) {
		assert_int_equal(verdicts[i], ENGINE_DONE);
		rte_pktmbuf_free(back[i]);
	}
	lookaside()->session_close(1);
}

/* A device that gives back what it has in any order: all that are done, shuffled. */
static struct rte_crypto_op *kept_ops[1024];
static uint16_t n_kept, give_each;

static uint16_t
dequeue_shuffled(void *qp, struct rte_crypto_op **ops, uint16_t n)
{
	uint16_t i = 0;

	n_kept += genuine.dequeue_burst(qp, kept_ops + n_kept,
					(uint16_t)(RTE_DIM(kept_ops) - n_kept));
	for (; i < n && i < give_each && n_kept > 0; i++) {
		uint16_t at = rig_random() % n_kept;

		ops[i] = kept_ops[at];
		kept_ops[at] = kept_ops[--n_kept];
	}
	return i;
}

static uint16_t
dequeue_nothing(void *qp, struct rte_crypto_op **ops, uint16_t n)
{
	return 0;
}

static uint16_t
enqueue_nothing(void *qp, struct rte_crypto_op **ops, uint16_t n)
{
	return 0;
}

static uint16_t
enqueue_few(void *qp, struct rte_crypto_op **ops, uint16_t n)
{
	return genuine.enqueue_burst(qp, ops, RTE_MIN(n, (uint16_t)3));
}

/* In the place of DPDK's own: how a device is when it has been started. */
static bool stays_dead;
static uint32_t n_starts;

int
rte_cryptodev_start(uint8_t id)
{
	int (*start)(uint8_t) = (int (*)(uint8_t))dlsym(RTLD_NEXT, "rte_cryptodev_start");
	int rc = start(id);

	n_starts++;
	if (stays_dead)
		rte_crypto_fp_ops[id].dequeue_burst = dequeue_nothing;
	return rc;
}

static void
order_is_kept_for_a_device_that_keeps_none(void **state)
{
	struct rte_mbuf *pkts[PACKETS];
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 6, false);
	assert_int_equal(opened(&s, true), 0);
	rte_crypto_fp_ops[dev_id].dequeue_burst = dequeue_shuffled;
	for (int round = 0; round < 30; round++) {
		uint16_t n = 1 + rig_random() % 400;

		give_each = 1 + rig_random() % 40;
		assert_int_equal(packets_submit(0, &s, pkts, n, &why), n);
		assert_int_equal(packets_collect(0, pkts, n, ENGINE_DONE), n);
	}
	rte_crypto_fp_ops[dev_id] = genuine;
	lookaside()->session_close(1);
}

static void
a_prefix_is_taken_by_a_device_that_takes_few(void **state)
{
	struct rte_mbuf *pkts[32];
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 7, false);
	assert_int_equal(opened(&s, true), 0);
	rte_crypto_fp_ops[dev_id].enqueue_burst = enqueue_few;
	assert_int_equal(packets_submit(0, &s, pkts, 32, &why), 3);
	assert_int_equal(why, ENGINE_FULL);
	assert_int_equal(packets_collect(0, pkts, 3, ENGINE_DONE), 3);
	rte_crypto_fp_ops[dev_id] = genuine;
	lookaside()->session_close(1);
}

/* Control's ticks and the workers' polls, until control has something to say. */
static bool
ticks(unsigned int ms, struct err *event)
{
	enum engine_verdict verdicts[1];
	struct rte_mbuf *back[1];

	for (unsigned int i = 0; i < ms; i++) {
		if (lookaside()->tick(0, event))
			return true;
		for (uint16_t w = 0; w < WORKERS; w++)
			if (lookaside()->held(workers[w]) == 0)
				lookaside()->collect(workers[w], back, verdicts, 1, 0);
		usleep(1000);
	}
	return false;
}

/* Lost, given up, and used again. n: what is inside when the device stops answering. */
static void
device_is_lost_and_comes_back(const struct session *s, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *back[1], *more[4];
	enum engine_verdict verdicts[1];
	struct err event = { "" };
	enum engine_refusal why;

	for (int i = 0; i < 20; i++)
		assert_int_equal(lookaside()->collect(workers[0], back, verdicts, 1, 0), 0);
	for (int i = 0; i < 400 && !lookaside()->tick(0, &event); i++) {
		if (n == 0)
			assert_int_equal(packets_submit(0, s, more, 4, &why), 0);
		lookaside()->collect(workers[0], back, verdicts, 1, 0);
		usleep(1000);
	}
	assert_non_null(strstr(event.text, "does not answer"));
	assert_int_equal(packets_submit(0, s, more, 4, &why), 0);
	assert_int_equal(why, ENGINE_DOWN);
	assert_int_equal(lookaside()->room(workers[0]), UINT32_MAX);
	assert_int_equal(packets_collect(0, pkts, n, ENGINE_LOST), 0);
	lookaside()->collect(workers[1], back, verdicts, 1, 0);
	lookaside()->tick(0, &event);
	assert_int_equal(packets_collect(0, pkts, n, ENGINE_LOST), n);
	assert_true(ticks(3000, &event));
	assert_non_null(strstr(event.text, "is up again; 0 of"));
	genuine = rte_crypto_fp_ops[dev_id];
	assert_int_equal(packets_submit(0, s, more, 4, &why), 4);
	assert_int_equal(packets_collect(0, more, 4, ENGINE_DONE), 4);
}

static void
a_device_that_answers_no_more_is_lost(void **state)
{
	struct rte_mbuf *pkts[PACKETS];
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 8, false);
	assert_int_equal(opened(&s, true), 0);
	assert_int_equal(packets_submit(0, &s, pkts, 100, &why), 100);
	rte_crypto_fp_ops[dev_id].dequeue_burst = dequeue_nothing;
	device_is_lost_and_comes_back(&s, pkts, 100);
	lookaside()->session_close(1);
}

static void
a_device_that_takes_nothing_is_lost(void **state)
{
	enum engine_refusal why;
	struct rte_mbuf *pkts[4];
	struct session s;

	session_of(&s, 1, 9, false);
	assert_int_equal(opened(&s, true), 0);
	rte_crypto_fp_ops[dev_id].enqueue_burst = enqueue_nothing;
	assert_int_equal(packets_submit(0, &s, pkts, 4, &why), 0);
	assert_int_equal(why, ENGINE_FULL);
	device_is_lost_and_comes_back(&s, NULL, 0);
	lookaside()->session_close(1);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* It is asked before it is believed: no packet goes to one that is as it was. It is tried once a
 * second. */
static void
a_device_that_stays_dead_gets_no_more_packets(void **state)
{
	struct rte_mbuf *pkts[8], *more[4];
	struct err event = { "" };
	uint64_t end = now_ms() + 2000;
	enum engine_refusal why;
	struct session s;
	time_t began;

	session_of(&s, 1, 14, true);
	assert_int_equal(opened(&s, true), 0);
	assert_int_equal(packets_submit(0, &s, pkts, 8, &why), 8);
	stays_dead = true;
	n_starts = 0;
	began = time(NULL);
	rte_crypto_fp_ops[dev_id].dequeue_burst = dequeue_nothing;
	while (now_ms() < end) {
		struct rte_mbuf *back[8];
		enum engine_verdict verdicts[8];

		if (lookaside()->tick(0, &event))
			assert_non_null(strstr(event.text, "does not answer"));
		for (uint16_t w = 0; w < WORKERS; w++) {
			uint16_t n = lookaside()->collect(workers[w], back, verdicts, 8, 0);

			for (uint16_t k = 0; k < n; k++) {
				assert_int_equal(verdicts[k], ENGINE_LOST);
				rte_pktmbuf_free(back[k]);
			}
		}
		usleep(1000);
	}
	/* Once a second, however long that was. */
	assert_in_range(n_starts, 1, (uint64_t)(time(NULL) - began) + 1);
	assert_int_equal(packets_submit(0, &s, more, 4, &why), 0);
	assert_int_equal(why, ENGINE_DOWN);
	stays_dead = false;
	assert_true(ticks(3000, &event));
	assert_non_null(strstr(event.text, "is up again"));
	genuine = rte_crypto_fp_ops[dev_id];
	assert_int_equal(packets_submit(0, &s, more, 4, &why), 4);
	assert_int_equal(packets_collect(0, more, 4, ENGINE_DONE), 4);
	lookaside()->session_close(1);
}

/* Quiet, or slow to ask, is not lost. */
static void
a_device_with_nothing_to_do_is_not_lost(void **state)
{
	struct rte_mbuf *pkts[8];
	struct err event = { "" };
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 10, false);
	assert_int_equal(opened(&s, true), 0);
	assert_false(ticks(150, &event));
	assert_int_equal(packets_submit(0, &s, pkts, 8, &why), 8);
	assert_false(ticks(150, &event));
	assert_int_equal(packets_collect(0, pkts, 8, ENGINE_DONE), 8);
	assert_false(ticks(5, &event));
	lookaside()->session_close(1);
}

/* A worker that got no core for long has asked often enough, but not lately. */
static void
a_device_that_nobody_asks_is_not_lost(void **state)
{
	enum engine_verdict verdicts[8];
	struct rte_mbuf *pkts[8], *back[8];
	struct err event = { "" };
	enum engine_refusal why;
	struct session s;

	session_of(&s, 1, 15, false);
	assert_int_equal(opened(&s, true), 0);
	assert_int_equal(packets_submit(0, &s, pkts, 8, &why), 8);
	rte_crypto_fp_ops[dev_id].dequeue_burst = dequeue_nothing;
	assert_false(lookaside()->tick(0, &event));
	for (int i = 0; i < 50; i++)
		assert_int_equal(lookaside()->collect(workers[0], back, verdicts, 8, 0), 0);
	for (int i = 0; i < 15; i++) {
		assert_false(lookaside()->tick(0, &event));
		usleep(10000);
	}
	rte_crypto_fp_ops[dev_id] = genuine;
	assert_int_equal(packets_collect(0, pkts, 8, ENGINE_DONE), 8);
	assert_false(ticks(5, &event));
	lookaside()->session_close(1);
}

struct search {
	const uint8_t *octets;
	size_t n, found;
};

static int
memory_search(const struct rte_memseg_list *list, const struct rte_memseg *seg, void *ctx)
{
	struct search *s = ctx;
	const uint8_t *at = seg->addr, *end = at + seg->len;

	while ((at = memmem(at, (size_t)(end - at), s->octets, s->n)) != NULL) {
		s->found++;
		at++;
	}
	return 0;
}

static size_t
copies_in_memory(const uint8_t *octets, size_t n)
{
	struct search s = { .octets = octets, .n = n };

	rte_memseg_walk(memory_search, &s);
	return s.found;
}

static int
all_open(void **state)
{
	struct err err = { "" };
	int rc = lookaside_open(devices, RTE_DIM(devices), WORKERS, SESSIONS, &err);

	pool = rte_pktmbuf_pool_create("lookaside", 1023, 0, 0, 2048, 0);
	for (uint16_t i = 0; i < WORKERS && rc == 0; i++)
		rc = engine_cryptodev.worker_init(0, i, SOCKET_ID_ANY, &workers[i], &err);
	if (rc < 0)
		print_message("# %s\n", err.text);
	dev_id = (uint8_t)rte_cryptodev_get_dev_id(DEVICE);
	genuine = rte_crypto_fp_ops[dev_id];
	return rc < 0 || pool == NULL ? -1 : 0;
}

static int
all_close(void **state)
{
	lookaside()->close();
	for (uint16_t i = 0; i < WORKERS; i++)
		engine_cryptodev.worker_fini(workers[i]);
	rte_mempool_free(pool);
	return 0;
}

/* Reopened, with what is not to be opened before and after. */
static void
devices_are_looked_at_before_they_are_used(void **state)
{
	static const struct {
		const char *what, *device, *says;
		uint16_t n_workers;
		int rc;
	} rows[] = {
		{ "no such driver", "crypto_nobody0", "crypto_nobody0", 1, -EINVAL },
		{ "no crypto device", "net_null0", "is no crypto device", 1, -EINVAL },
		{ "no name", ",x=1", "names no device", 1, -EINVAL },
		{ "fewer queue pairs than workers", "crypto_null1,max_nb_queue_pairs=2",
		  "has 2 queue pairs", 3, -EINVAL },
		{ "no workers", DEVICE, "0 workers", 0, -EINVAL },
		{ "a device without an algorithm of ours", "crypto_null0", "", 1, 0 },
	};
	struct session s;

	session_of(&s, 1, 12, false);
	all_close(NULL);
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct err err = { "" };
		int rc = lookaside_open(&rows[i].device, 1, rows[i].n_workers, 16, &err);

		if (rc != rows[i].rc || (rc < 0 && strstr(err.text, rows[i].says) == NULL))
			fail_msg("%s: %d %s", rows[i].what, rc, err.text);
		if (rc < 0)
			continue;
		assert_int_equal(engine_cryptodev.serves(&s.suite, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, "crypto_null0 has no aes-gcm"));
		assert_int_equal(opened(&s, true), -ENOTSUP);
		lookaside()->close();
	}
	assert_int_equal(all_open(NULL), 0);
}

/* The first device of the list that can; of two of one driver the emptier one; and when a device
 * has no memory for more sessions, none is left half made.
 */
static void
sessions_go_where_there_is_room(void **state)
{
	static const char *const three[] = { "crypto_aesni_gcm0", "crypto_aesni_mb0",
					     "crypto_aesni_gcm1" };
	struct err err = { "" };
	struct session s;
	uint32_t n = 0;
	int rc = 0;

	all_close(NULL);
	assert_int_equal(lookaside_open(three, 3, WORKERS, SESSIONS, &err), 0);
	session_of(&s, 0, 13, false);
	for (; n < SESSIONS && rc == 0; n++) {
		s.id = n;
		rc = lookaside()->session_open(&s, true, &err);
		if (n < 4)
			assert_string_equal(lookaside()->device_of(n), three[n % 2 == 0 ? 0 : 2]);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_non_null(strstr(err.text, "no memory for more sessions"));
	assert_true(n > 1000);
	assert_null(lookaside()->device_of(n - 1));
	lookaside()->session_close(n / 2);
	assert_int_equal(opened(&s, true), 0);
	lookaside()->session_close(s.id);
	lookaside()->close();
	assert_int_equal(copies_in_memory(s.key, 16), 0);
	assert_int_equal(all_open(NULL), 0);
}

/* AES's first round key is the key itself: what a device keeps of it is found so, too. */
static void
a_closed_session_leaves_no_key(void **state)
{
	struct rte_mbuf *pkts[4];
	enum engine_refusal why;
	struct session s;

	session_of(&s, 3, 11, false);
	assert_int_equal(copies_in_memory(s.key, 16), 0);
	assert_int_equal(opened(&s, true), 0);
	assert_true(copies_in_memory(s.key, 16) >= WORKERS);
	assert_int_equal(packets_submit(0, &s, pkts, 4, &why), 4);
	lookaside()->session_close(3);
	assert_true(copies_in_memory(s.key, 16) >= WORKERS);
	assert_int_equal(packets_collect(0, pkts, 4, ENGINE_DONE), 4);
	lookaside()->tick(0, NULL);
	assert_int_equal(copies_in_memory(s.key, 16), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_back_in_order),
		cmocka_unit_test(a_full_queue_says_so),
		cmocka_unit_test(what_names_no_session_is_for_software),
		cmocka_unit_test(a_bad_tag_is_told_from_a_good_one),
		cmocka_unit_test(packets_in_pieces_keep_their_order),
		cmocka_unit_test(order_is_kept_for_a_device_that_keeps_none),
		cmocka_unit_test(a_prefix_is_taken_by_a_device_that_takes_few),
		cmocka_unit_test(a_device_that_answers_no_more_is_lost),
		cmocka_unit_test(a_device_that_takes_nothing_is_lost),
		cmocka_unit_test(a_device_that_stays_dead_gets_no_more_packets),
		cmocka_unit_test(a_device_with_nothing_to_do_is_not_lost),
		cmocka_unit_test(a_device_that_nobody_asks_is_not_lost),
		cmocka_unit_test(a_closed_session_leaves_no_key),
		cmocka_unit_test(devices_are_looked_at_before_they_are_used),
		cmocka_unit_test(sessions_go_where_there_is_room),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, all_open, all_close);
}
