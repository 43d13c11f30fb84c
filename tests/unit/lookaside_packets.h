/* Packets for engine_cryptodev on crypto_aesni_gcm, and two workers that submit and collect them.
 */
#ifndef TESTS_LOOKASIDE_PACKETS_H
#define TESTS_LOOKASIDE_PACKETS_H

#include "crypto_rig.h"
#include "lookaside.h"

#define DEVICE	 "crypto_aesni_gcm0"
#define WORKERS	 2
#define SESSIONS 65536
#define PACKETS	 600

static const char *const devices[] = { DEVICE };
static struct engine_worker *workers[WORKERS];
static struct rte_mempool *pool;
static struct rte_crypto_fp_ops genuine;
static uint8_t dev_id;

static inline void
session_of(struct session *s, uint32_t id, uint32_t generation, bool esn)
{
	uint8_t key[ALG_KEY_MAX];
	struct suite suite;

	assert_int_equal(suite_init(&suite, &algs[ALG_AES_GCM_128], NULL, 16, false, esn, NULL), 0);
	rig_fill(key, sizeof(key));
	assert_int_equal(session_init(s, id, generation, &suite, key, NULL), 0);
}

static inline int
opened(const struct session *s, bool encrypt)
{
	struct err err = { "" };
	int rc = lookaside()->session_open(s, encrypt, &err);

	if (rc < 0)
		print_message("# %s\n", err.text);
	return rc;
}

/* A packet of that number, ready to be sealed or opened. */
static inline struct rte_mbuf *
packet_make(struct crypto_op *op, const struct session *s, uint32_t number, uint16_t text_len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *at;

	assert_non_null(m);
	at = (uint8_t *)rte_pktmbuf_append(m, 8 + s->suite.iv_len + text_len + s->suite.icv_len);
	memset(at, (int)number, m->data_len);
	memset(op, 0, sizeof(*op));
	op->session = s;
	op->text = at + 8 + s->suite.iv_len;
	op->text_len = text_len;
	op->tag = op->text + text_len;
	memcpy(op->nonce + 4, &number, 4);
	memcpy(op->aad, &number, 4);
	return m;
}

/* Submits n packets to that worker; those from *made on are new. */
static inline uint16_t
packets_submit(uint16_t worker, const struct session *s, struct rte_mbuf **pkts, uint16_t n,
	       enum engine_refusal *why)
{
	uint16_t done = 0;

	*why = ENGINE_TAKEN;
	while (done < n && *why == ENGINE_TAKEN) {
		uint16_t some = RTE_MIN((uint16_t)(n - done), (uint16_t)32), taken;
		struct crypto_op ops[32];

		for (uint16_t i = 0; i < some; i++)
			pkts[done + i] = packet_make(&ops[i], s, done + i, 64);
		taken = lookaside()->submit(workers[worker], ops, &pkts[done], some, true, 0, why);
		memset(ops, 0xa5, sizeof(ops));
		for (uint16_t i = taken; i < some; i++)
			rte_pktmbuf_free(pkts[done + i]);
		done += taken;
	}
	return done;
}

/* Collects until n are there or none has come for a while; each has to be the next one. */
static inline uint16_t
packets_collect(uint16_t worker, struct rte_mbuf *const *pkts, uint16_t n, enum engine_verdict want)
{
	enum engine_verdict verdicts[48];
	struct rte_mbuf *back[48];
	uint16_t done = 0;

	for (uint32_t tries = 0; done < n && tries < 1000; tries++) {
		uint16_t max = 1 + rig_random() % RTE_DIM(back);
		uint16_t got = lookaside()->collect(workers[worker], back, verdicts, max, 0);

		assert_true(got <= max);
		for (uint16_t i = 0; i < got; i++, done++) {
			assert_true(done < n);
			assert_ptr_equal(back[i], pkts[done]);
			assert_int_equal(verdicts[i], want);
			rte_pktmbuf_free(back[i]);
		}
	}
	return done;
}

#endif
