/* Published vectors through every engine, CCM against its definition, and what the dispatcher does.
 * With CRYPTO_DEVICE the first engine is that crypto device, by engine_cryptodev.
 */
#include "crypto_rig.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "../vectors/vectors.h"
#include "drivers.h"
#include "eal.h"

#define KEY_CACHE (64 * 1024)

#ifdef CRYPTO_DEVICE
#include "lookaside.h"

static const struct engine *const engines[] = { &lookaside_engine, &engine_openssl };
#else
static const struct engine *const engines[] = { &engine_ipsec_mb, &engine_openssl };
#endif
static struct crypto_worker *cw;
static struct rig packet;
static uint32_t next_id;

static size_t
unhex(const char *hex, uint8_t *to)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int octet;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
		to[i] = (uint8_t)octet;
	}
	return n;
}

/* A session under an id of its own; keys shorter than the algorithm's are filled up with zeros. */
static void
session_make(struct session *s, enum alg_id cipher, enum alg_id auth, uint8_t icv, bool esn,
	     const char *key, const char *auth_key)
{
	uint8_t k[ALG_KEY_MAX] = { 0 }, a[ALG_AUTH_KEY_MAX] = { 0 };
	struct suite suite;

	assert_int_equal(suite_init(&suite, &algs[cipher], auth != ALG_NONE ? &algs[auth] : NULL,
				    icv, false, esn, NULL),
			 0);
	unhex(key, k);
	unhex(auth_key, a);
	assert_int_equal(session_init(s, next_id++, 1, &suite, k, a), 0);
}

/* All of the vectors' suites are served by the engines that are no device. */
static bool
served(size_t engine, const struct session *s)
{
#ifdef CRYPTO_DEVICE
	return engines[engine]->serves(&s->suite, NULL) == 0;
#else
	return true;
#endif
}

static bool
run(size_t engine, bool encrypt)
{
	struct crypto_op op;

	rig_op(&packet, &op);
	op.engine = crypto_engines((uint8_t)engine, (uint8_t)engine);
	crypto_run(cw, &op, 1, encrypt);
	return op.ok;
}

static void
octets_are(const char *what, size_t engine, const char *part, const uint8_t *octets,
	   const char *hex)
{
	uint8_t want[RIG_TEXT_MAX];
	size_t n = unhex(hex, want);

	if (memcmp(octets, want, n) != 0)
		fail_msg("%s: %s: wrong %s", what, engines[engine]->name, part);
}

static void
packet_set(const struct session *s, const char *nonce, const char *aad, const char *text)
{
	uint8_t octets[RIG_TEXT_MAX];

	rig_make(&packet, s, (uint16_t)unhex(text, octets));
	packet.tag_apart = false;
	memcpy(packet.at + rig_head(&packet), octets, packet.text_len);
	unhex(nonce, packet.nonce);
	if (aad == NULL)
		return;
	unhex(aad, packet.aad);
	memcpy(packet.at, packet.aad, 4);
	memcpy(packet.at + 4, packet.aad + (s->suite.esn ? 8 : 4), 4);
	if (s->suite.iv_len == 8)
		memcpy(packet.at + 8, packet.nonce + algs[s->suite.cipher].salt_len, 8);
}

static void
aead_vectors_hold(void **state)
{
	for (size_t i = 0; i < n_vectors_aead * RTE_DIM(engines); i++) {
		const struct aead_vector *v = &vectors_aead[i / RTE_DIM(engines)];
		size_t e = i % RTE_DIM(engines);
		struct session s;

		session_make(&s, v->cipher, ALG_NONE, 0, strlen(v->aad) == 24, v->key, "");
		if (!served(e, &s))
			continue;
		packet_set(&s, v->nonce, v->aad, v->plain);
		if (!run(e, true))
			fail_msg("%s: %s does not seal", v->source, engines[e]->name);
		octets_are(v->source, e, "text", packet.at + rig_head(&packet), v->text);
		octets_are(v->source, e, "tag", rig_tag(&packet), v->tag);
		if (!run(e, false))
			fail_msg("%s: %s does not open", v->source, engines[e]->name);
		octets_are(v->source, e, "plain text", packet.at + rig_head(&packet), v->plain);
	}
}

/* The block that the engine would make that IV from. */
static void
cbc_nonce_for(const struct session *s, uint8_t *nonce)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[16];
	int len;

	memcpy(iv, nonce, sizeof(iv));
	assert_int_equal(EVP_DecryptInit_ex2(ctx, EVP_aes_128_ecb(), s->iv_key, NULL, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_set_padding(ctx, 0), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, nonce, &len, iv, sizeof(iv)), 1);
	assert_int_equal(len, 16);
	EVP_CIPHER_CTX_free(ctx);
}

static void
cipher_vectors_hold(void **state)
{
	for (size_t i = 0; i < n_vectors_cipher * RTE_DIM(engines); i++) {
		const struct cipher_vector *v = &vectors_cipher[i / RTE_DIM(engines)];
		size_t e = i % RTE_DIM(engines);
		struct session s;

		session_make(&s, v->cipher, ALG_HMAC_SHA256_128, 0, i % 3 == 0, v->key, "aabbcc");
		if (!served(e, &s))
			continue;
		packet_set(&s, v->iv, NULL, v->plain);
		if (s.suite.iv_len == ALG_IV_MAX)
			cbc_nonce_for(&s, packet.nonce);
		if (!run(e, true))
			fail_msg("%s: %s does not seal", v->source, engines[e]->name);
		octets_are(v->source, e, "text", packet.at + rig_head(&packet), v->text);
		if (s.suite.iv_len == ALG_IV_MAX)
			octets_are(v->source, e, "IV", packet.at + 8, v->iv);
		unhex(v->iv, packet.nonce);
		if (!run(e, false))
			fail_msg("%s: %s does not open", v->source, engines[e]->name);
		octets_are(v->source, e, "plain text", packet.at + rig_head(&packet), v->plain);
	}
}

/* With the NULL cipher the message is the ESP header and the text; with ESN its last 4 octets are
 * sent by nobody.
 */
static void
auth_vector_holds(const struct auth_vector *v, size_t e, bool esn)
{
	uint8_t message[RIG_TEXT_MAX];
	size_t n = unhex(v->message, message) - (esn ? 4 : 0);
	struct session s;

	session_make(&s, ALG_NULL, v->auth, 0, esn, "", v->key);
	if (!served(e, &s))
		return;
	rig_make(&packet, &s, (uint16_t)(n - 8));
	packet.tag_apart = false;
	memcpy(packet.at, message, n);
	if (esn)
		memcpy(packet.aad + 4, message + n, 4);
	if (!run(e, true))
		fail_msg("%s: %s does not seal", v->source, engines[e]->name);
	octets_are(v->source, e, "tag", rig_tag(&packet), v->tag);
	assert_int_equal(strlen(v->tag), 2 * s.suite.icv_len);
	if (memcmp(packet.at, message, n) != 0)
		fail_msg("%s: %s touches the message", v->source, engines[e]->name);
	if (!run(e, false))
		fail_msg("%s: %s does not open", v->source, engines[e]->name);
}

static void
auth_vectors_hold(void **state)
{
	for (size_t i = 0; i < n_vectors_auth; i++) {
		for (size_t e = 0; e < RTE_DIM(engines); e++) {
			auth_vector_holds(&vectors_auth[i], e, false);
			auth_vector_holds(&vectors_auth[i], e, true);
		}
	}
}

static EVP_CIPHER_CTX *
aes_new(const struct session *s)
{
	static const EVP_CIPHER *(*const by_len[])(void) = { EVP_aes_128_ecb, EVP_aes_192_ecb,
							     EVP_aes_256_ecb };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	assert_int_equal(EVP_EncryptInit_ex2(ctx, by_len[algs[s->suite.cipher].key_len / 8 - 2](),
					     s->key, NULL, NULL),
			 1);
	return ctx;
}

static void
aes(EVP_CIPHER_CTX *ctx, const uint8_t *in, uint8_t *out)
{
	int len;

	assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, in, 16), 1);
	assert_int_equal(len, 16);
}

static void
cbc_mac(EVP_CIPHER_CTX *ctx, uint8_t *x, const uint8_t *octets, size_t n)
{
	for (size_t at = 0; at < n; at += 16) {
		for (size_t i = 0; i < 16 && at + i < n; i++)
			x[i] ^= octets[at + i];
		aes(ctx, x, x);
	}
}

/* RFC 3610 sections 2.2 and 2.3 with the parameters of RFC 4309: L = 4, nonce of salt and IV. There
 * are no published vectors in this shape.
 */
static void
ccm_by_definition(const struct session *s, const struct rig *r, uint8_t *text, uint8_t *tag)
{
	size_t aad_len = s->suite.esn ? 12 : 8, n = r->text_len, icv_len = s->suite.icv_len;
	uint8_t b[16] = { 0 }, a[16] = { 3 }, x[16], key_stream[16], aad[16] = { 0 };
	EVP_CIPHER_CTX *ctx = aes_new(s);

	b[0] = (uint8_t)(0x40 | (icv_len - 2) / 2 << 3 | 3);
	memcpy(b + 1, r->nonce, 11);
	b[14] = (uint8_t)(n >> 8);
	b[15] = (uint8_t)n;
	aes(ctx, b, x);
	aad[1] = (uint8_t)aad_len;
	memcpy(aad + 2, r->aad, aad_len);
	cbc_mac(ctx, x, aad, sizeof(aad));
	cbc_mac(ctx, x, text, n);
	memcpy(a + 1, r->nonce, 11);
	aes(ctx, a, key_stream);
	for (size_t i = 0; i < icv_len; i++)
		tag[i] = x[i] ^ key_stream[i];
	for (size_t at = 0; at < n; at++) {
		if (at % 16 == 0) {
			a[14] = (uint8_t)((at / 16 + 1) >> 8);
			a[15] = (uint8_t)(at / 16 + 1);
			aes(ctx, a, key_stream);
		}
		text[at] ^= key_stream[at % 16];
	}
	EVP_CIPHER_CTX_free(ctx);
}

static void
ccm_is_what_it_is_defined_to_be(void **state)
{
	static const uint8_t icvs[] = { 8, 12, 16 };

	for (uint32_t i = 0; i < 300; i++) {
		uint8_t text[RIG_TEXT_MAX], tag[16];
		char key[65];
		struct session s;

		for (size_t k = 0; k < 64; k++)
			key[k] = "0123456789abcdef"[rig_random() % 16];
		key[64] = 0;
		session_make(&s, (enum alg_id)(ALG_AES_CCM_128 + i % 3), ALG_NONE, icvs[i / 3 % 3],
			     i % 2 == 0, key, "");
		rig_make(&packet, &s, (uint16_t)(1 + rig_random() % 1500));
		memcpy(text, packet.at + rig_head(&packet), packet.text_len);
		ccm_by_definition(&s, &packet, text, tag);
		for (size_t e = 0; e < RTE_DIM(engines); e++) {
			if (engines[e]->serves(&s.suite, NULL) < 0)
				continue;
			assert_true(run(e, true));
			assert_memory_equal(packet.at + rig_head(&packet), text, packet.text_len);
			assert_memory_equal(rig_tag(&packet), tag, s.suite.icv_len);
			assert_true(run(e, false));
		}
	}
}

static const struct {
	enum alg_id cipher, auth;
	uint8_t icv;
} tagged[] = {
	{ ALG_AES_GCM_128, ALG_NONE, 8 },
	{ ALG_AES_GCM_256, ALG_NONE, 12 },
	{ ALG_AES_GCM_192, ALG_NONE, 16 },
	{ ALG_AES_CCM_128, ALG_NONE, 8 },
	{ ALG_CHACHA20_POLY1305, ALG_NONE, 16 },
	{ ALG_AES_GMAC_128, ALG_NONE, 16 },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA1_96, 0 },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA256_128, 0 },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA384_192, 0 },
	{ ALG_NULL, ALG_HMAC_SHA512_256, 0 },
	{ ALG_AES_CBC_192, ALG_AES_XCBC_96, 0 },
	{ ALG_AES_CTR_256, ALG_AES_CMAC_96, 0 },
};

static void
every_bit_of_a_tag_counts(void **state)
{
	for (size_t i = 0; i < RTE_DIM(tagged) * RTE_DIM(engines); i++) {
		size_t e = i % RTE_DIM(engines), row = i / RTE_DIM(engines);
		struct session s;

		session_make(&s, tagged[row].cipher, tagged[row].auth, tagged[row].icv, true, "01",
			     "02");
		if (!served(e, &s))
			continue;
		for (unsigned int bit = 0; bit < 8u * s.suite.icv_len; bit++) {
			rig_make(&packet, &s, 64);
			assert_true(run(e, true));
			if (s.suite.iv_len == ALG_IV_MAX)
				memcpy(packet.nonce, packet.at + 8, ALG_IV_MAX);
			rig_tag(&packet)[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (run(e, false))
				fail_msg("%s: %s: bit %u of the tag does not count",
					 engines[e]->name, algs[tagged[row].cipher].name, bit);
		}
	}
}

static void
ivs_of_cbc_are_not_to_be_foreseen(void **state)
{
	uint8_t first[16];
	struct session s;

	session_make(&s, ALG_AES_CBC_128, ALG_HMAC_SHA256_128, 0, false, "0102", "03");
	if (!served(0, &s))
		return;
	rig_make(&packet, &s, 64);
	memset(packet.nonce, 0, sizeof(packet.nonce));
	assert_true(run(0, true));
	memcpy(first, packet.at + 8, sizeof(first));
	packet.nonce[15] = 1;
	assert_true(run(0, true));
	for (size_t i = 0; i < sizeof(first); i += 4)
		assert_memory_not_equal(first + i, packet.at + 8 + i, 4);
	assert_memory_not_equal(s.iv_key, s.key, 16);
}

static void
texts_that_are_no_blocks_are_refused(void **state)
{
	static const uint16_t lengths[] = { 0, 1, 15, 17, 33 };
	struct session s;

	session_make(&s, ALG_AES_CBC_128, ALG_HMAC_SHA256_128, 0, false, "0102", "03");
	for (size_t i = 0; i < RTE_DIM(lengths) * RTE_DIM(engines); i++) {
		if (!served(i % RTE_DIM(engines), &s))
			continue;
		rig_make(&packet, &s, lengths[i / RTE_DIM(engines)]);
		assert_false(run(i % RTE_DIM(engines), true));
		assert_false(run(i % RTE_DIM(engines), false));
	}
}

#ifndef CRYPTO_DEVICE
static const struct {
	const char *what;
	enum alg_id cipher, auth;
	int rc;
	uint8_t engine;
} picks[] = {
	{ "the first that serves", ALG_AES_GCM_128, ALG_NONE, 0, 0 },
	{ "CCM with 192-bit keys is for the second", ALG_AES_CCM_192, ALG_NONE, 0, 1 },
	{ "NULL with HMAC too has an engine", ALG_NULL, ALG_HMAC_SHA1_96, 0, 0 },
};

static void
the_first_engine_that_serves_is_picked(void **state)
{
	struct err err = { "" };
	struct suite suite;
	uint8_t engine;

	for (size_t i = 0; i < RTE_DIM(picks); i++) {
		const struct alg *auth = picks[i].auth != ALG_NONE ? &algs[picks[i].auth] : NULL;

		assert_int_equal(suite_init(&suite, &algs[picks[i].cipher], auth, 0, false, false,
					    &err),
				 0);
		if (crypto_engine_pick(engines, RTE_DIM(engines), &suite, &engine, &err) !=
			    picks[i].rc ||
		    crypto_chosen(engine) != picks[i].engine)
			fail_msg("%s: %u %s", picks[i].what, engine, err.text);
	}
	suite_init(&suite, &algs[ALG_AES_CCM_192], NULL, 0, false, false, &err);
	assert_int_equal(crypto_engine_pick(engines, 1, &suite, &engine, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "ipsec_mb: "));
	assert_non_null(strstr(err.text, "aes-ccm-192"));
}

/* A burst whose engines change from packet to packet: each goes to its own. */
static void
a_burst_is_split_by_engine(void **state)
{
	static struct rig rigs[CRYPTO_BURST_MAX];
	struct session s[2];

	session_make(&s[0], ALG_AES_GCM_128, ALG_NONE, 0, false, "01", "");
	session_make(&s[1], ALG_AES_CCM_192, ALG_NONE, 0, false, "02", "");
	for (int way = 0; way < 2; way++) {
		for (uint16_t i = 0; i < CRYPTO_BURST_MAX; i++) {
			uint8_t engine = i % 7 < 3;

			if (way == 0)
				rig_make(&rigs[i], &s[engine], 100);
			rig_op(&rigs[i], &cw->ops[i]);
			cw->ops[i].engine = crypto_engines(engine, engine);
		}
		crypto_run(cw, cw->ops, CRYPTO_BURST_MAX, way == 0);
		for (uint16_t i = 0; i < CRYPTO_BURST_MAX; i++)
			assert_true(cw->ops[i].ok);
	}
	crypto_run(cw, cw->ops, 0, true);
}

#endif

static void
a_wiped_session_holds_nothing(void **state)
{
	static const uint8_t zeros[sizeof(struct session)];
	struct session s;

	session_make(&s, ALG_AES_CBC_256, ALG_HMAC_SHA512_256, 0, true, "0102", "0304");
	session_wipe(&s);
	assert_memory_equal(&s, zeros, sizeof(s));
}

static int
open_all(void **state)
{
	struct err err;
	int rc = crypto_worker_init(engines, RTE_DIM(engines), KEY_CACHE, 0, SOCKET_ID_ANY, &cw,
				    &err);

	if (rc < 0)
		print_message("# %s\n", err.text);
	return rc;
}

static int
close_all(void **state)
{
	crypto_worker_fini(cw);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aead_vectors_hold),
		cmocka_unit_test(cipher_vectors_hold),
		cmocka_unit_test(auth_vectors_hold),
		cmocka_unit_test(ccm_is_what_it_is_defined_to_be),
		cmocka_unit_test(every_bit_of_a_tag_counts),
		cmocka_unit_test(ivs_of_cbc_are_not_to_be_foreseen),
		cmocka_unit_test(texts_that_are_no_blocks_are_refused),
#ifndef CRYPTO_DEVICE
		cmocka_unit_test(the_first_engine_that_serves_is_picked),
		cmocka_unit_test(a_burst_is_split_by_engine),
#endif
		cmocka_unit_test(a_wiped_session_holds_nothing),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, open_all, close_all);
}
