/* A9.3 and A9.4 of the list of bad input: what SAs are refused, with which errno, in which words.
 */
#include "xfrm_rig.h"

#include <errno.h>

/* ---- What an SA says ---- */

struct sa_case {
	const char *what;
	size_t at; /* in the body, `width` octets of `value` */
	unsigned width;
	uint32_t value;
	struct part parts[3]; /* instead of gcm; type 0: none */
	bool with_gcm;
	int rc;
	const char *says;
};

static void
sa_case_run(const struct sa_case *c)
{
	struct raw r;

	raw_begin(&r, XFRM_NEWSA, &raw_sa, sizeof(raw_sa));
	memcpy(r.octets + sizeof(struct xw_head) + c->at, &c->value, c->width);
	for (size_t i = 0; i < RTE_DIM(c->parts) && c->parts[i].type != 0; i++)
		raw_attr(&r, c->parts[i].type, c->parts[i].octets, c->parts[i].size);
	if (c->with_gcm)
		raw_attr(&r, XFRM_A_ALG_AEAD, &raw_gcm, 92);
	raw_want(c->what, &r, c->rc, c->says);
}

#define IN(field) offsetof(struct xw_sa, field), sizeof(raw_sa.field)

static const struct sa_case body_cases[] = {
	{ "the SA of these cases is good", IN(seq), 0, NONE, true, 0, "" },
	{ "family 0", IN(family), 0, NONE, true, -EINVAL, "family 0: 2 (IPv4) or 10 (IPv6)" },
	{ "family 7", IN(family), 7, NONE, true, -EINVAL, "family 7" },
	{ "the selector's family", IN(sel.family), 9, NONE, true, -EINVAL, "sel.family 9" },
	{ "a prefix of 33 with IPv4", IN(sel.plen_d), 33, NONE, true, -EINVAL, "at most 32" },
	{ "mode 2", IN(mode), 2, NONE, true, -EINVAL, "mode 2: 0 (transport), 1 (tunnel)" },
	{ "mode 6", IN(mode), 6, NONE, true, -EINVAL, "mode 6" },
	{ "protocol 17", IN(id.proto), 17, NONE, true, -EINVAL, "id.proto 17: 50 (ESP), 51 (AH)" },
	{ "AH that encrypts", IN(id.proto), 51, NONE, true, -EINVAL,
	  "with id.proto 51 (AH): XFRMA_ALG_AUTH_TRUNC alone" },
	{ "SPI 0", IN(id.spi_be), 0, NONE, true, -EINVAL, "id.spi 0" },
	{ "SPI 255", IN(id.spi_be), 0xff000000, NONE, true, -EINVAL, "id.spi 0xff: 0x100 or more" },
	{ "SPI 256", IN(id.spi_be), 0x00010000, NONE, true, 0, "" },
	{ "no algorithm at all", IN(seq), 0, NONE, false, -EINVAL, "no algorithm: XFRMA_ALG_AEAD" },
	{ "ESN without a window", IN(flags), XFRM_SA_ESN, NONE, true, -EINVAL,
	  "flag ESN (128) without XFRMA_REPLAY_ESN_VAL" },
	{ "IP-TFS without a direction", IN(mode), 5, NONE, true, -EINVAL, "with XFRMA_SA_DIR" },
	{ "IPComp without an algorithm", IN(id.proto), 108, NONE, false, -EINVAL,
	  "without XFRMA_ALG_COMP" },
};

/* clang-format off */
static const struct sa_case attr_cases[] = {
	{ "direction 0", IN(seq), 0, { OCTET(XFRM_A_SA_DIR, 0) }, true, -EINVAL, "1 (in) or 2" },
	{ "direction 3", IN(seq), 0, { OCTET(XFRM_A_SA_DIR, 3) }, true, -EINVAL, "1 (in) or 2" },
	{ "in is fine", IN(seq), 0, { DIR_IN }, true, 0, "" },
	{ "a CPU without a direction", IN(seq), 0, { WORD(XFRM_A_SA_PCPU, 1) }, true, -EINVAL,
	  "XFRMA_SA_PCPU at offset 240: without XFRMA_SA_DIR" },
	{ "DECAP_DSCP out", IN(flags), 2, { DIR_OUT }, true, -EINVAL, "DECAP_DSCP (2)" },
	{ "WILDRECV out", IN(flags), 8, { DIR_OUT }, true, -EINVAL, "WILDRECV (8)" },
	{ "ICMP out", IN(flags), 16, { DIR_OUT }, true, -EINVAL, "ICMP (16)" },
	{ "a window out", IN(replay_window), 32, { DIR_OUT }, true, -EINVAL, "replay_window 32" },
	{ "NOPMTUDISC in", IN(flags), 4, { DIR_IN }, true, -EINVAL, "NOPMTUDISC (4)" },
	{ "DONT_ENCAP_DSCP in", IN(seq), 0, { DIR_IN, WORD(XFRM_A_SA_EXTRA_FLAGS, 1) }, true,
	  -EINVAL, "XFRMA_SA_EXTRA_FLAGS" },
	{ "seq out", IN(seq), 0, { DIR_OUT, REPLAY(0, 1) }, true, -EINVAL, "seq 1 of an outbound" },
	{ "oseq in", IN(seq), 0, { DIR_IN, REPLAY(1, 0) }, true, -EINVAL, "oseq 1 of an inbound" },
	{ "seq of ESN out", IN(flags), 128, { DIR_OUT, ESN(1, 1, 0) }, true, -EINVAL, "seq 1" },
	{ "ESN out without a window", IN(flags), 128, { DIR_OUT, ESN(1, 0, 0) }, true, 0, "" },
	{ "ESN without a window", IN(flags), 128, { ESN(1, 0, 0) }, true, -EINVAL,
	  "replay_window 0: 1 or more" },
	{ "a window wider than its map", IN(seq), 0, { ESN(1, 0, 33) }, true, -EINVAL,
	  "replay_window 33: bmp_len 1 has 32 bits" },
	{ "a map that is longer than the attribute", IN(seq), 0, { ESN(2, 0, 32) }, true, -EINVAL,
	  "28 octets: with bmp_len 2 it has 32" },
	{ "a map that is shorter", IN(seq), 0, { ESN(0, 0, 0) }, true, -EINVAL, "bmp_len 0 it has" },
	{ "a map of 129 words", IN(seq), 0, { ESN(129, 0, 32) }, true, -EINVAL, "at most 128" },
	{ "both forms of replay", IN(seq), 0, { ESN(1, 0, 32), REPLAY(0, 0) }, true, -EINVAL,
	  "beside XFRMA_REPLAY_ESN_VAL" },
	{ "both fields of the window", IN(replay_window), 32, { ESN(1, 0, 32) }, true, -EINVAL,
	  "replay_window 32 beside" },
	{ "NAT traversal", IN(seq), 0, { NATT }, true, 0, "" },
	{ "ESP in TCP", IN(seq), 0, { { XFRM_A_ENCAP, 24, (const uint8_t[24]) { 7 } } }, true,
	  -EOPNOTSUPP, "XFRMA_ENCAP at offset 240: encap_type 7 (ESP in TCP)" },
	{ "a port of 0", IN(seq), 0, { { XFRM_A_ENCAP, 24, (const uint8_t[24]) { 2 } } }, true,
	  -EINVAL, "encap_dport 0" },
	{ "a mapping timer without NAT", IN(seq), 0, { WORD(XFRM_A_MTIMER_THRESH, 1) }, true,
	  -EINVAL, "XFRMA_MTIMER_THRESH" },
	{ "a mapping timer out", IN(seq), 0, { NATT, DIR_OUT, WORD(XFRM_A_MTIMER_THRESH, 1) }, true,
	  -EINVAL, "not of an outbound SA" },
	{ "keepalives in", IN(seq), 0, { NATT, DIR_IN, WORD(XFRM_A_NAT_KEEPALIVE, 1) }, true,
	  -EINVAL, "not of an inbound SA" },
	{ "padding in transport mode", IN(mode), 0, { WORD(XFRM_A_TFCPAD, 100) }, true, -EINVAL,
	  "XFRMA_TFCPAD" },
	{ "IP-TFS attributes in tunnel mode", IN(seq), 0, { DIR_OUT, WORD(XFRM_A_IPTFS_PKT_SIZE,
	  100) }, true, -EINVAL, "only with 5 (IP-TFS)" },
	{ "an IP-TFS drop time out", IN(mode), 5, { DIR_OUT, WORD(XFRM_A_IPTFS_DROP_TIME, 9) },
	  true, -EINVAL, "only of an inbound one" },
	{ "an IP-TFS size in", IN(mode), 5, { DIR_IN, WORD(XFRM_A_IPTFS_PKT_SIZE, 9) }, true,
	  -EINVAL, "only of an outbound one" },
	{ "IP-TFS options in tunnel mode", IN(seq), 0, { DIR_OUT, OPTIONS(.dscp = 0) }, true, -EINVAL,
	  "IP-TFS options at offset 248: with mode 1" },
	{ "all of them, out", IN(mode), 5, { DIR_OUT, OPTIONS(.max_aggregation_us = 60000000, .breaker_time_us = 3600000000, .breaker_loss = 100, .dscp = 63) }, true, 0, "" },
	{ "the least of them, out", IN(mode), 5, { DIR_OUT, OPTIONS(.max_aggregation_us = 1, .breaker_time_us = 1000, .breaker_loss = 1) }, true, 0, "" },
	{ "all of them, in", IN(mode), 5, { DIR_IN, OPTIONS(.refuse_frags = 1, .send_immediately = 1) }, true, 0, "" },
	{ "half of them", IN(mode), 5, { DIR_OUT, { XFRM_A_IPTFS_OPTIONS, 8, (const uint8_t[8]) { 1 } } }, true,
	  -EINVAL, "8 octets: it has 16" },
	{ "a circuit breaker in", IN(mode), 5, { DIR_IN, OPTIONS(.breaker_time_us = 1000, .breaker_loss = 1) }, true, -EINVAL, "of an inbound SA" },
	{ "a time to wait in", IN(mode), 5, { DIR_IN, OPTIONS(.max_aggregation_us = 1) }, true, -EINVAL, "of an inbound SA" },
	{ "a DSCP in", IN(mode), 5, { DIR_IN, OPTIONS(.dscp = 1) }, true, -EINVAL, "of an inbound SA" },
	{ "pieces refused out", IN(mode), 5, { DIR_OUT, OPTIONS(.refuse_frags = 1) }, true, -EINVAL, "of an outbound SA" },
	{ "given on at once, out", IN(mode), 5, { DIR_OUT, OPTIONS(.send_immediately = 1) }, true, -EINVAL,
	  "of an outbound SA" },
	{ "a breaker of 101 %", IN(mode), 5, { DIR_OUT, OPTIONS(.breaker_time_us = 1000, .breaker_loss = 101) }, true, -EINVAL, "breaker of 101 %" },
	{ "a breaker of no time", IN(mode), 5, { DIR_OUT, OPTIONS(.breaker_time_us = 999, .breaker_loss = 5) }, true, -EINVAL, "5 % and 999 us" },
	{ "a breaker of more than an hour", IN(mode), 5, { DIR_OUT, OPTIONS(.breaker_time_us = 3600000001, .breaker_loss = 5) }, true, -EINVAL,
	  "3600000001 us" },
	{ "a time without a loss", IN(mode), 5, { DIR_OUT, OPTIONS(.breaker_time_us = 1000) }, true, -EINVAL, "0 and 0" },
	{ "a wait of more than a minute", IN(mode), 5, { DIR_OUT, OPTIONS(.max_aggregation_us = 60000001) }, true, -EINVAL, "60000001" },
	{ "a DSCP of 64", IN(mode), 5, { DIR_OUT, OPTIONS(.dscp = 64) }, true, -EINVAL, "dscp 64" },
	{ "a security label", IN(seq), 0, { { XFRM_A_SEC_CTX, 8, (const uint8_t[8]) { 8 } } }, true,
	  -EOPNOTSUPP, "XFRMA_SEC_CTX" },
	{ "EESP", IN(seq), 0, { { XFRM_A_EESP, 0, NULL } }, true, -EOPNOTSUPP, "EESP" },
	{ "classes of an inbound SA", IN(seq), 0, { DIR_IN, { XFRM_A_CLASSES, 16, (const uint8_t[16]) { 1 } } }, true,
	  -EINVAL, "nobody asks by which one a class came" },
	{ "half of the classes", IN(seq), 0, { { XFRM_A_CLASSES, 8, (const uint8_t[8]) { 1 } } }, true, -EINVAL, "classes" },
	{ "df 3", IN(seq), 0, { WORD(XFRM_A_OUTER, 3) }, true, -EINVAL, "df 3, frag 0" },
};
/* clang-format on */

static void
bodies_of_sas_are_checked(void **state)
{
	for (size_t i = 0; i < RTE_DIM(body_cases); i++)
		sa_case_run(&body_cases[i]);
}

static void
attributes_of_sas_are_checked(void **state)
{
	for (size_t i = 0; i < RTE_DIM(attr_cases); i++)
		sa_case_run(&attr_cases[i]);
}

/* ---- Algorithms ---- */

struct named {
	uint16_t type; /* 0: none */
	const char *name;
	uint32_t key_bits, icv_bits;
	uint16_t cut; /* octets that the attribute is too short */
	uint8_t fill; /* of the key */
};

static void
raw_alg(struct raw *r, const struct named *n)
{
	bool icv = n->type == XFRM_A_ALG_AEAD || n->type == XFRM_A_ALG_AUTH_TRUNC;
	size_t head = icv ? sizeof(struct xw_alg_icv) : sizeof(struct xw_alg);
	uint8_t octets[256];

	if (n->type == 0)
		return;
	memset(octets, n->fill, sizeof(octets));
	memset(octets, 0, head);
	memcpy(octets, n->name, strnlen(n->name, XFRM_ALG_NAME_SIZE));
	memcpy(octets + 64, &n->key_bits, 4);
	if (icv)
		memcpy(octets + 68, &n->icv_bits, 4);
	raw_attr(r, n->type, octets,
		 head + (n->key_bits / 8 < 128 ? n->key_bits / 8 : 128) - n->cut);
}

/* clang-format off */
#define A    XFRM_A_ALG_AEAD
#define C    XFRM_A_ALG_CRYPT
#define T    XFRM_A_ALG_AUTH_TRUNC
#define P    XFRM_A_ALG_AUTH
#define COMP XFRM_A_ALG_COMP
#define NO   { 0 }
static const struct {
	const char *what;
	struct named a, b;
	int rc;
	const char *says;
} alg_cases[] = {
	{ "GCM", { A, "rfc4106(gcm(aes))", 160, 64, 0, 1 }, NO, 0, "" },
	{ "GCM of 192 bits", { A, "rfc4106(gcm(aes))", 224, 96, 0, 1 }, NO, 0, "" },
	{ "CCM", { A, "rfc4309(ccm(aes))", 152, 64, 0, 1 }, NO, 0, "" },
	{ "GMAC", { A, "rfc4543(gcm(aes))", 288, 128, 0, 1 }, NO, 0, "" },
	{ "ChaCha20", { A, "rfc7539esp(chacha20,poly1305)", 288, 128, 0, 1 }, NO, 0, "" },
	{ "a GCM key without its salt", { A, "rfc4106(gcm(aes))", 128, 128, 0, 1 }, NO, -EINVAL,
	  "XFRMA_ALG_AEAD at offset 240: rfc4106(gcm(aes)) with a key of 128 bits: 160 or 224 or 288, its salt included" },
	{ "bits that are no octets", { A, "rfc4106(gcm(aes))", 161, 128, 0, 1 }, NO, -EINVAL,
	  "161 bits: whole octets" },
	{ "a key longer than its attribute", { A, "rfc4106(gcm(aes))", 160, 128, 1, 1 }, NO,
	  -EINVAL, "a key of 160 bits, and 19 octets for it: 20 are needed" },
	{ "the longest key", { A, "rfc4106(gcm(aes))", 0xfffffff8, 128, 0, 1 }, NO, -EINVAL,
	  "a key of 4294967288 bits" },
	{ "a tag of 80 bits", { A, "rfc4106(gcm(aes))", 160, 80, 0, 1 }, NO, -EINVAL,
	  "no tag of 10 octets" },
	{ "a tag of 0", { A, "rfc4106(gcm(aes))", 160, 0, 0, 1 }, NO, -EINVAL, "a tag of 0 bits" },
	{ "a tag of 2^11", { A, "rfc4106(gcm(aes))", 160, 2176, 0, 1 }, NO, -EINVAL, "2176 bits" },
	{ "a short tag of ChaCha20", { A, "rfc7539esp(chacha20,poly1305)", 288, 96, 0, 1 }, NO,
	  -EINVAL, "no tag of 12" },
	{ "an unknown AEAD", { A, "gcm(aes)", 160, 128, 0, 1 }, NO, -ENOSYS,
	  "there is no algorithm \"gcm(aes)\" here: rfc4106(gcm(aes)), rfc4309" },
	{ "a cipher as AEAD", { A, "cbc(aes)", 128, 128, 0, 1 }, NO, -ENOSYS, "\"cbc(aes)\"" },
	{ "a name that would write to a log", { A, "a\nb%s\x1b", 160, 128, 0, 1 }, NO, -ENOSYS,
	  "\"a?b?s?\"" },
	{ "a name without an end", { A,
	  "0123456789012345678901234567890123456789012345678901234567890123", 160, 128, 0, 1 }, NO,
	  -EINVAL, "the name has no end" },
	{ "a key of zeros", { A, "rfc4106(gcm(aes))", 160, 128, 0, 0 }, NO, -EINVAL,
	  "XFRMA_ALG_AEAD at offset 240: a key of zeros" },
	{ "CBC with SHA-256", { C, "cbc(aes)", 128, 0, 0, 1 }, { T, "hmac(sha256)", 256, 128, 0, 1 }, 0, "" },
	{ "CTR with CMAC", { C, "rfc3686(ctr(aes))", 288, 0, 0, 1 }, { P, "cmac(aes)", 128, 0, 0, 1 }, 0, "" },
	{ "NULL with SHA-1", { C, "cipher_null", 0, 0, 0, 1 }, { P, "sha1", 160, 0, 0, 1 }, 0, "" },
	{ "XCBC", { C, "aes", 256, 0, 0, 1 }, { P, "xcbc(aes)", 128, 0, 0, 1 }, 0, "" },
	{ "SHA-384 by default", { C, "aes", 256, 0, 0, 1 }, { P, "hmac(sha384)", 384, 0, 0, 1 }, 0,
	  "" },
	{ "SHA-512 by default", { C, "aes", 256, 0, 0, 1 }, { P, "hmac(sha512)", 512, 0, 0, 1 }, 0,
	  "" },
	{ "SHA-256 cut to 96 by default", { C, "aes", 256, 0, 0, 1 }, { P, "hmac(sha256)", 256, 0,
	  0, 1 }, -ENOSYS,
	  "hmac(sha256) cut to 96 bits (as Linux does unless told): XFRMA_ALG_AUTH_TRUNC with 128" },
	{ "SHA-1 whole", { C, "aes", 256, 0, 0, 1 }, { T, "hmac(sha1)", 160, 160, 0, 1 }, -ENOSYS,
	  "cut to 160 bits: XFRMA_ALG_AUTH_TRUNC with 96" },
	{ "MD5", { C, "aes", 256, 0, 0, 1 }, { P, "hmac(md5)", 128, 0, 0, 1 }, -ENOSYS,
	  "\"hmac(md5)\" here: hmac(sha1), hmac(sha256)" },
	{ "3DES", { C, "cbc(des3_ede)", 192, 0, 0, 1 }, { P, "hmac(sha1)", 160, 0, 0, 1 }, -ENOSYS,
	  "there is no algorithm \"cbc(des3_ede)\" here: cbc(aes), rfc3686(ctr(aes))" },
	{ "a cipher's key of 120 bits", { C, "cbc(aes)", 120, 0, 0, 1 }, { P, "hmac(sha1)", 160, 0,
	  0, 1 }, -EINVAL, "120 bits: 128 or 192 or 256" },
	{ "an auth's key of 128 bits", { C, "cbc(aes)", 128, 0, 0, 1 }, { P, "hmac(sha1)", 128, 0,
	  0, 1 }, -EINVAL, "hmac(sha1) with a key of 128 bits: 160" },
	{ "a cipher alone", { C, "cbc(aes)", 128, 0, 0, 1 }, NO, -EINVAL,
	  "XFRMA_ALG_CRYPT at offset 240: no XFRMA_ALG_AUTH_TRUNC beside it" },
	{ "an auth alone", { P, "hmac(sha1)", 160, 0, 0, 1 }, NO, -EINVAL,
	  "no XFRMA_ALG_CRYPT beside it" },
	{ "an AEAD with a cipher", { A, "rfc4106(gcm(aes))", 160, 128, 0, 1 }, { C, "cbc(aes)", 128,
	  0, 0, 1 }, -EINVAL, "beside XFRMA_ALG_AEAD" },
	{ "an AEAD with an auth", { A, "rfc4106(gcm(aes))", 160, 128, 0, 1 }, { T, "hmac(sha256)",
	  256, 128, 0, 1 }, -EINVAL, "beside XFRMA_ALG_AEAD" },
	{ "a cipher's key of zeros", { C, "cbc(aes)", 128, 0, 0, 0 }, { T, "hmac(sha256)", 256, 128,
	  0, 1 }, -EINVAL, "XFRMA_ALG_CRYPT at offset 240: a key of" },
	{ "an auth's key of zeros", { C, "cbc(aes)", 128, 0, 0, 1 }, { T, "hmac(sha256)", 256, 128,
	  0, 0 }, -EINVAL, "XFRMA_ALG_AUTH_TRUNC at offset" },
	{ "compression in an ESP SA", { A, "rfc4106(gcm(aes))", 160, 128, 0, 1 }, { COMP,
	  "deflate", 0, 0, 0, 0 }, -EINVAL, "an SA of its own with 108" },
	{ "a compression that we do not have", { COMP, "lzs", 0, 0, 0, 0 }, NO, -ENOSYS,
	  "\"lzs\" here: deflate" },
};
#undef A
#undef C
#undef T
#undef P
#undef COMP
#undef NO
/* clang-format on */

static void
algorithms_are_checked(void **state)
{
	for (size_t i = 0; i < RTE_DIM(alg_cases); i++) {
		struct raw r;

		raw_begin(&r, XFRM_NEWSA, &raw_sa, sizeof(raw_sa));
		raw_alg(&r, &alg_cases[i].a);
		raw_alg(&r, &alg_cases[i].b);
		raw_want(alg_cases[i].what, &r, alg_cases[i].rc, alg_cases[i].says);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_of_sas_are_checked),
		cmocka_unit_test(attributes_of_sas_are_checked),
		cmocka_unit_test(algorithms_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
