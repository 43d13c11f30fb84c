/* Each engine against the other: what one seals, both seal alike, and each opens what the other
 * sealed. With CRYPTO_DEVICE the first is that crypto device, by engine_cryptodev.
 */
#include "crypto_rig.h"

#include <rte_malloc.h>

#include "drivers.h"
#include "eal.h"

#define SESSIONS  24
#define KEY_CACHE (64 * 1024) /* fewer keys than sessions: entries come and go */
#define ROUNDS	  8

#ifdef CRYPTO_DEVICE
#include "lookaside.h"

#define COPY_OPS 1

static const struct engine *const engines[] = { &lookaside_engine, &engine_openssl };
#else
#define SUITES_SERVED 67
#define COPY_OPS      2 /* GCM, CCM */
static const struct engine *const engines[] = { &engine_ipsec_mb, &engine_openssl };
#endif
static struct engine_worker *workers[RTE_DIM(engines)];
static struct rte_mempool *pool;
static struct session sessions[SESSIONS];
static struct rig originals[CRYPTO_BURST_MAX], packets[2][CRYPTO_BURST_MAX];
static struct crypto_op ops[2][CRYPTO_BURST_MAX];

/* clang-format off */
static const struct row {
	enum alg_id cipher, auth;
	uint8_t icv;
	bool iiv;
} rows[] = {
	{ ALG_AES_GCM_128, ALG_NONE, 16, false },
	{ ALG_AES_GCM_128, ALG_NONE, 12, false },
	{ ALG_AES_GCM_128, ALG_NONE, 8, false },
	{ ALG_AES_GCM_128, ALG_NONE, 16, true },
	{ ALG_AES_GCM_192, ALG_NONE, 16, false },
	{ ALG_AES_GCM_192, ALG_NONE, 12, false },
	{ ALG_AES_GCM_192, ALG_NONE, 8, false },
	{ ALG_AES_GCM_192, ALG_NONE, 16, true },
	{ ALG_AES_GCM_256, ALG_NONE, 16, false },
	{ ALG_AES_GCM_256, ALG_NONE, 12, false },
	{ ALG_AES_GCM_256, ALG_NONE, 8, false },
	{ ALG_AES_GCM_256, ALG_NONE, 16, true },
	{ ALG_AES_CCM_128, ALG_NONE, 16, false },
	{ ALG_AES_CCM_128, ALG_NONE, 12, false },
	{ ALG_AES_CCM_128, ALG_NONE, 8, false },
	{ ALG_AES_CCM_128, ALG_NONE, 8, true },
	{ ALG_AES_CCM_192, ALG_NONE, 16, false },
	{ ALG_AES_CCM_192, ALG_NONE, 12, false },
	{ ALG_AES_CCM_192, ALG_NONE, 8, false },
	{ ALG_AES_CCM_192, ALG_NONE, 8, true },
	{ ALG_AES_CCM_256, ALG_NONE, 16, false },
	{ ALG_AES_CCM_256, ALG_NONE, 12, false },
	{ ALG_AES_CCM_256, ALG_NONE, 8, false },
	{ ALG_AES_CCM_256, ALG_NONE, 8, true },
	{ ALG_CHACHA20_POLY1305, ALG_NONE, 16, false },
	{ ALG_CHACHA20_POLY1305, ALG_NONE, 16, true },
	{ ALG_AES_GMAC_128, ALG_NONE, 16, false },
	{ ALG_AES_GMAC_192, ALG_NONE, 16, false },
	{ ALG_AES_GMAC_256, ALG_NONE, 16, false },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_AES_CBC_128, ALG_AES_XCBC_96, 0, false },
	{ ALG_AES_CBC_128, ALG_AES_CMAC_96, 0, false },
	{ ALG_AES_CBC_192, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_AES_CBC_192, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_AES_CBC_192, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_AES_CBC_192, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_AES_CBC_192, ALG_AES_XCBC_96, 0, false },
	{ ALG_AES_CBC_192, ALG_AES_CMAC_96, 0, false },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_AES_CBC_256, ALG_AES_XCBC_96, 0, false },
	{ ALG_AES_CBC_256, ALG_AES_CMAC_96, 0, false },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_AES_CTR_128, ALG_AES_XCBC_96, 0, false },
	{ ALG_AES_CTR_128, ALG_AES_CMAC_96, 0, false },
	{ ALG_AES_CTR_192, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_AES_CTR_192, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_AES_CTR_192, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_AES_CTR_192, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_AES_CTR_192, ALG_AES_XCBC_96, 0, false },
	{ ALG_AES_CTR_192, ALG_AES_CMAC_96, 0, false },
	{ ALG_AES_CTR_256, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_AES_CTR_256, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_AES_CTR_256, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_AES_CTR_256, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_AES_CTR_256, ALG_AES_XCBC_96, 0, false },
	{ ALG_AES_CTR_256, ALG_AES_CMAC_96, 0, false },
	{ ALG_NULL, ALG_HMAC_SHA1_96, 0, false },
	{ ALG_NULL, ALG_HMAC_SHA256_128, 0, false },
	{ ALG_NULL, ALG_HMAC_SHA384_192, 0, false },
	{ ALG_NULL, ALG_HMAC_SHA512_256, 0, false },
	{ ALG_NULL, ALG_AES_XCBC_96, 0, false },
	{ ALG_NULL, ALG_AES_CMAC_96, 0, false },
};
/* clang-format on */

static void
session_of(struct session *s, uint32_t id, uint32_t generation, const struct row *row, bool esn)
{
	const struct alg *auth = row->auth != ALG_NONE ? &algs[row->auth] : NULL;
	uint8_t key[ALG_KEY_MAX], auth_key[ALG_AUTH_KEY_MAX];
	struct suite suite;
	struct err err;

	if (suite_init(&suite, &algs[row->cipher], auth, row->icv, row->iiv, esn, &err) < 0)
		fail_msg("%s", err.text);
	rig_fill(key, sizeof(key));
	rig_fill(auth_key, sizeof(auth_key));
	assert_int_equal(session_init(s, id, generation, &suite, key, auth_key), 0);
}

/* What packets[e] goes through: engines[e], or twice the one that serves a suite alone. */
static size_t engine_of[2] = { 0, 1 };

static bool
served_by_all(const struct session *s)
{
	for (size_t e = 0; e < RTE_DIM(engines); e++)
		if (engines[e]->serves(&s->suite, NULL) < 0)
			return false;
	return true;
}

static uint16_t
random_len(const struct suite *suite)
{
	uint64_t kind = rig_random() % 16, len = rig_random() % 2000;

	if (kind < 4)
		len = rig_random() % 100;
	if (kind == 4)
		len = rig_random() % RIG_TEXT_MAX;
	len -= len % suite->align;
	return (uint16_t)RTE_MAX(len, (uint64_t)suite->align);
}

static void
burst_make(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct session *s = &sessions[rig_random() % SESSIONS];

		if (i > 0 && rig_random() % 2 == 0)
			s = originals[i - 1].session;
		rig_make(&originals[i], s, random_len(&s->suite));
	}
}

/* Runs packets[e]; ops[e] keeps the outcome. */
static void
burst_run(size_t e, uint16_t n, bool encrypt, bool cut)
{
	size_t engine = engine_of[e];

	for (uint16_t i = 0; i < n; i++) {
		if (cut && rig_random() % 3 == 0)
			rig_cut(&packets[e][i], pool);
		rig_op(&packets[e][i], &ops[e][i]);
	}
	if (encrypt)
		engines[engine]->encrypt(workers[engine], ops[e], n);
	else
		engines[engine]->decrypt(workers[engine], ops[e], n);
	for (uint16_t i = 0; i < n; i++) {
		struct rig *r = &packets[e][i];
		const uint8_t *tag = ops[e][i].tag;

		if (r->chain != NULL)
			rig_join(r);
		if (tag != rig_tag(r))
			memcpy(rig_tag(r), tag, r->session->suite.icv_len);
	}
}

/* What a receiver knows of the packet: its IV stands in it. */
static void
nonce_from_packet(struct rig *r)
{
	if (r->session->suite.iv_len == ALG_IV_MAX)
		memcpy(r->nonce, r->at + 8, ALG_IV_MAX);
}

static void
names_print(const struct rig *r, uint16_t i)
{
	char name[64];

	suite_name(&r->session->suite, name, sizeof(name));
	print_message("# %s, tag %u, esn %d, text %u, packet %u\n", name, r->session->suite.icv_len,
		      r->session->suite.esn, r->text_len, i);
}

static void
sealed_alike(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rig *a = &packets[0][i], *b = &packets[1][i];

		if (ops[0][i].ok && ops[1][i].ok && memcmp(a->at, b->at, rig_size(a)) == 0 &&
		    memcmp(rig_tag(a), rig_tag(b), a->session->suite.icv_len) == 0)
			continue;
		names_print(a, i);
		fail_msg("sealed differently: ok %d %d", ops[0][i].ok, ops[1][i].ok);
	}
}

static void
opened_alike(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		size_t head = rig_head(&originals[i]);

		for (size_t e = 0; e < 2; e++) {
			if (ops[e][i].ok && memcmp(packets[e][i].at + head, originals[i].at + head,
						   originals[i].text_len) == 0)
				continue;
			names_print(&originals[i], i);
			fail_msg("%s does not open it", engines[engine_of[e]]->name);
		}
	}
}

/* One bit of the tag, the text, the header or the high half turned: no engine may believe it. */
static bool
spoil(struct rig *r)
{
	const struct suite *suite = &r->session->suite;
	size_t bit = rig_random();
	uint64_t where = rig_random() % 8;

	if (where < 4) {
		rig_tag(r)[bit / 8 % suite->icv_len] ^= (uint8_t)(1u << bit % 8);
	} else if (where == 4) {
		r->at[rig_head(r) + bit / 8 % r->text_len] ^= (uint8_t)(1u << bit % 8);
	} else if (where == 5) {
		r->aad[bit / 8 % 8] ^= (uint8_t)(1u << bit % 8);
		memcpy(r->at, r->aad, suite->esn ? 4 : 8);
	}
	return where <= 5;
}

static void
spoiled_refused(uint16_t n)
{
	bool spoiled[CRYPTO_BURST_MAX];

	for (uint16_t i = 0; i < n; i++) {
		spoiled[i] = spoil(&packets[0][i]);
		rig_copy(&packets[1][i], &packets[0][i]);
	}
	burst_run(0, n, false, true);
	burst_run(1, n, false, true);
	for (uint16_t i = 0; i < n; i++) {
		for (size_t e = 0; e < 2; e++) {
			if (ops[e][i].ok == !spoiled[i])
				continue;
			names_print(&packets[e][i], i);
			fail_msg("%s: spoiled %d, ok %d", engines[engine_of[e]]->name, spoiled[i],
				 ops[e][i].ok);
		}
	}
}

static void
one_burst(uint16_t n, bool cut)
{
	static struct rig sealed[CRYPTO_BURST_MAX];

	burst_make(n);
	for (size_t e = 0; e < 2; e++) {
		for (uint16_t i = 0; i < n; i++)
			rig_copy(&packets[e][i], &originals[i]);
		burst_run(e, n, true, cut);
	}
	sealed_alike(n);
	for (uint16_t i = 0; i < n; i++) {
		nonce_from_packet(&packets[0][i]);
		nonce_from_packet(&packets[1][i]);
		rig_copy(&sealed[i], &packets[0][i]);
	}
	burst_run(0, n, false, cut);
	burst_run(1, n, false, cut);
	opened_alike(n);
	for (uint16_t i = 0; i < n; i++)
		rig_copy(&packets[0][i], &sealed[i]);
	spoiled_refused(n);
}

static void
bursts(void)
{
	for (int round = 0; round < ROUNDS; round++)
		one_burst((uint16_t)(1 + rig_random() % CRYPTO_BURST_MAX), round % 2 == 1);
	one_burst(CRYPTO_BURST_MAX, false);
	one_burst(1, true);
	assert_int_equal(rte_mempool_avail_count(pool), pool->size);
}

static void
each_suite_by_itself(void **state)
{
	size_t n_served = 0;

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		for (uint32_t k = 0; k < SESSIONS; k++)
			session_of(&sessions[k], k, (uint32_t)i, &rows[i], k % 2 == 0);
		if (!served_by_all(&sessions[0]))
			engine_of[0] = 1;
		else
			n_served++;
		bursts();
		engine_of[0] = 0;
	}
	/* Those with 192-bit keys of CCM are not ipsec_mb's. */
	assert_int_equal(n_served, SUITES_SERVED);
}

static void
sessions_of_any_suite(uint32_t generation)
{
	for (uint32_t k = 0; k < SESSIONS; k++)
		do
			session_of(&sessions[k], k, generation, &rows[rig_random() % RTE_DIM(rows)],
				   rig_random() % 2 == 0);
		while (!served_by_all(&sessions[k]));
}

static void
all_suites_in_one_burst(void **state)
{
	for (uint32_t generation = 1000; generation < 1010; generation++) {
		sessions_of_any_suite(generation);
		bursts();
	}
}

/* Ids whose keys share a set of the cache: more in one burst than the set has ways. */
static void
more_sessions_than_the_cache_holds(void **state)
{
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t k = 0; k < SESSIONS; k++)
			session_of(&sessions[k], k * 0x10000, 2000 + round, &rows[0], false);
		one_burst(CRYPTO_BURST_MAX, false);
	}
}

static void
an_id_comes_back_with_another_key(void **state)
{
	for (uint32_t generation = 3000; generation < 3010; generation++) {
		sessions_of_any_suite(generation);
		one_burst(CRYPTO_BURST_MAX, false);
		for (uint32_t k = 0; k < SESSIONS && generation % 2 == 0; k++)
			for (size_t e = 0; e < RTE_DIM(engines); e++)
				engines[e]->forget(workers[e], k);
	}
}

#define LARGE_TEXT 65440 /* the largest that IPv6 carries, about; whole blocks */
#define LARGE	   8	 /* together they are more than the arena of copies holds */

/* A chain of a packet whose text is a repetition of its number. */
static struct rte_mbuf *
large_make(uint8_t number, size_t size)
{
	struct rte_mbuf *first = NULL, *last = NULL;

	while (size > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint16_t len = (uint16_t)RTE_MIN(size, (size_t)RIG_SIZE - number);

		assert_non_null(m);
		memset(rte_pktmbuf_append(m, len), number, len);
		size -= len;
		if (first == NULL)
			first = m;
		else
			last->next = m;
		last = m;
	}
	return first;
}

static void
large_run(size_t e, bool encrypt, struct rte_mbuf **chains, uint8_t tags[][ALG_ICV_MAX],
	  bool iv_from_packet)
{
	size_t head = 8 + (size_t)sessions[0].suite.iv_len;

	for (uint16_t i = 0; i < LARGE; i++) {
		struct crypto_op *op = &ops[e][i];

		*op = (struct crypto_op) { .session = &sessions[0],
					   .chain = chains[i],
					   .text_off = head,
					   .text_len = LARGE_TEXT,
					   .tag = tags[i] };
		if (iv_from_packet)
			memcpy(op->nonce, rte_pktmbuf_mtod_offset(chains[i], uint8_t *, 8),
			       sizeof(op->nonce));
	}
	if (encrypt)
		engines[e]->encrypt(workers[e], ops[e], LARGE);
	else
		engines[e]->decrypt(workers[e], ops[e], LARGE);
	for (uint16_t i = 0; i < LARGE; i++)
		assert_true(ops[e][i].ok);
}

static void
octets_are(const struct rte_mbuf *m, size_t skip, uint8_t want)
{
	for (; m != NULL; m = m->next, skip = 0)
		for (size_t i = skip; i < m->data_len; i++)
			if (*rte_pktmbuf_mtod_offset(m, uint8_t *, i) != want)
				fail_msg("octet %zu is not %u", i, want);
}

static void
the_largest_packets_go_through(void **state)
{
	static const struct row large[] = { { ALG_AES_GCM_128, ALG_NONE, 16, false },
					    { ALG_AES_CCM_256, ALG_NONE, 16, false },
					    { ALG_CHACHA20_POLY1305, ALG_NONE, 16, false },
					    { ALG_AES_CBC_128, ALG_HMAC_SHA256_128, 0, false },
					    { ALG_AES_CBC_256, ALG_HMAC_SHA512_256, 0, false },
					    { ALG_AES_CTR_128, ALG_AES_XCBC_96, 0, false } };

	for (size_t i = 0; i < RTE_DIM(large) * 2; i++) {
		uint8_t tags[LARGE][ALG_ICV_MAX];
		struct rte_mbuf *chains[LARGE];
		size_t head, e = i % 2;
		bool cbc;

		session_of(&sessions[0], 0, (uint32_t)(4000 + i), &large[i / 2], true);
		if (!served_by_all(&sessions[0]))
			continue;
		head = 8 + (size_t)sessions[0].suite.iv_len;
		cbc = sessions[0].suite.iv_len == ALG_IV_MAX;
		for (uint8_t k = 0; k < LARGE; k++)
			chains[k] = large_make(k + 1, head + LARGE_TEXT);
		large_run(e, true, chains, tags, false);
		large_run(1 - e, false, chains, tags, cbc);
		for (uint8_t k = 0; k < LARGE; k++) {
			octets_are(chains[k], head, k + 1);
			rte_pktmbuf_free(chains[k]);
		}
	}
}

/* Less than the text says: nothing is read or written behind the chain, and nothing is believed. */
static void
a_chain_that_ends_early_is_refused(void **state)
{
	for (size_t i = 0; i < RTE_DIM(rows) * 2; i++) {
		struct crypto_op *op = &ops[0][0];
		uint8_t tag[ALG_ICV_MAX];

		session_of(&sessions[0], 0, (uint32_t)(5000 + i), &rows[i / 2], true);
		if (engines[i % 2]->serves(&sessions[0].suite, NULL) < 0)
			continue;
		*op = (struct crypto_op) { .session = &sessions[0],
					   .chain = large_make(1, 100),
					   .text_off = 8 + (size_t)sessions[0].suite.iv_len,
					   .text_len = 160,
					   .tag = tag };
		engines[i % 2]->encrypt(workers[i % 2], op, 1);
		assert_false(op->ok);
		engines[i % 2]->decrypt(workers[i % 2], op, 1);
		assert_false(op->ok);
		rte_pktmbuf_free(op->chain);
	}
}

/* The device gets both in one piece; ipsec_mb does GCM as it lies. */
static void
copies_are_counted(void **state)
{
	uint64_t before = engines[0]->bounced(workers[0]);
	uint16_t n = COPY_OPS;

	session_of(&sessions[0], 0, 6000, &(struct row) { ALG_AES_GCM_128, ALG_NONE, 16, false },
		   false);
	session_of(&sessions[1], 1, 6000, &(struct row) { ALG_AES_CCM_128, ALG_NONE, 16, false },
		   false);
	for (uint16_t i = 0; i < n; i++) {
		rig_make(&packets[0][i], &sessions[i], 640);
		rig_cut(&packets[0][i], pool);
		rig_op(&packets[0][i], &ops[0][i]);
	}
	engines[0]->encrypt(workers[0], ops[0], n);
	assert_int_equal(engines[0]->bounced(workers[0]), before + 1);
	for (uint16_t i = 0; i < n; i++)
		rig_join(&packets[0][i]);
}

static int
engines_open(void **state)
{
	struct err err;

	pool = rte_pktmbuf_pool_create("cross", 2047, 0, 0, RTE_PKTMBUF_HEADROOM + RIG_SIZE + 64,
				       0);
	if (pool == NULL)
		return -1;
	for (size_t e = 0; e < RTE_DIM(engines); e++)
		if (engines[e]->worker_init(KEY_CACHE, 0, SOCKET_ID_ANY, &workers[e], &err) < 0)
			return -1;
	return 0;
}

static int
engines_close(void **state)
{
	for (size_t e = 0; e < RTE_DIM(engines); e++)
		engines[e]->worker_fini(workers[e]);
	rte_mempool_free(pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_suite_by_itself),
		cmocka_unit_test(all_suites_in_one_burst),
		cmocka_unit_test(more_sessions_than_the_cache_holds),
		cmocka_unit_test(an_id_comes_back_with_another_key),
		cmocka_unit_test(the_largest_packets_go_through),
		cmocka_unit_test(a_chain_that_ends_early_is_refused),
		cmocka_unit_test(copies_are_counted),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, engines_open, engines_close);
}
