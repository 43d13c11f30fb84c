#include "xfrm_rig.h"

#include <errno.h>

#define ROUNDS 2000

static void
sa_comes_back(void **state)
{
	static struct xfrm_sa sa, back;
	static struct rig_msg m;
	struct err err = { "" };

	rig_seed(1);
	for (int i = 0; i < ROUNDS; i++) {
		struct xfrm_head h = { i & 1 ? XFRM_NEWSA : XFRM_UPDSA, XFRM_F_REQUEST | XFRM_F_ACK,
				       (uint32_t)rig_random(), (uint32_t)rig_random() };

		rig_sa(&sa);
		assert_int_equal(xfrm_put_sa(rig_begin(&m), &h, &sa, true), 0);
		memset(&back, 0, sizeof(back));
		if (xfrm_parse_sa(rig_end(&m), &back, &err) != 0)
			fail_msg("round %d: %s", i, err.text);
		assert_memory_equal(&sa, &back, sizeof(sa));
		assert_int_equal(m.msg.head.type, h.type);
		assert_int_equal(m.msg.head.flags, h.flags);
		assert_int_equal(m.msg.head.seq, h.seq);
		assert_int_equal(m.msg.head.pid, h.pid);
	}
}

/* What daemons send AH's SA with, and how long its key is. */
static const struct {
	const char *what, *name;
	uint32_t key_bits, icv_bits; /* icv_bits 0: by XFRMA_ALG_AUTH */
	uint8_t alg;
} ahs[] = {
	{ "charon's SHA-256, with its length", "hmac(sha256)", 256, 128, ALG_HMAC_SHA256_128 },
	{ "SHA-512 without one", "hmac(sha512)", 512, 0, ALG_HMAC_SHA512_256 },
	{ "SHA-1 without one", "hmac(sha1)", 160, 0, ALG_HMAC_SHA1_96 },
	{ "AES-CMAC", "cmac(aes)", 128, 96, ALG_AES_CMAC_96 },
};

static void
ah_message(struct raw *r, size_t i)
{
	struct xw_sa body = raw_sa;
	struct {
		struct xw_alg_icv head;
		uint8_t key[XFRM_KEY_MAX];
	} trunc = { { .key_bits = ahs[i].key_bits, .icv_bits = ahs[i].icv_bits }, { 1, 2, 3 } };
	struct {
		struct xw_alg head;
		uint8_t key[XFRM_KEY_MAX];
	} auth = { { .key_bits = ahs[i].key_bits }, { 1, 2, 3 } };

	strcpy(trunc.head.name, ahs[i].name);
	strcpy(auth.head.name, ahs[i].name);
	body.id.proto = XFRM_PROTO_AH;
	raw_begin(r, XFRM_NEWSA, &body, sizeof(body));
	if (ahs[i].icv_bits != 0)
		raw_attr(r, XFRM_A_ALG_AUTH_TRUNC, &trunc,
			 sizeof(trunc.head) + ahs[i].key_bits / 8);
	else
		raw_attr(r, XFRM_A_ALG_AUTH, &auth, sizeof(auth.head) + ahs[i].key_bits / 8);
}

/* It has an auth and no cipher, and the same when it is written and read again. */
static void
ah_comes_back(void **state)
{
	static struct xfrm_sa sa, back;
	static struct rig_msg m;
	static struct raw r;
	struct xfrm_head h = { XFRM_NEWSA, XFRM_F_REQUEST, 1, 2 };

	for (size_t i = 0; i < RTE_DIM(ahs); i++) {
		struct err err = { "" };
		struct xfrm_msg msg;
		uint8_t *copy;

		ah_message(&r, i);
		copy = raw_message(&r, r.len, &msg);
		memset(&sa, 0, sizeof(sa));
		if (xfrm_parse_sa(&msg, &sa, &err) != 0)
			fail_msg("%s: %s", ahs[i].what, err.text);
		free(copy);
		assert_int_equal(sa.id.proto, XFRM_PROTO_AH);
		assert_int_equal(sa.suite.auth, ahs[i].alg);
		assert_int_equal(sa.suite.cipher, ALG_NULL);
		assert_int_equal(sa.key.len, 0);
		assert_int_equal(sa.auth_key.len, ahs[i].key_bits / 8);

		assert_int_equal(xfrm_put_sa(rig_begin(&m), &h, &sa, true), 0);
		memset(&back, 0, sizeof(back));
		if (xfrm_parse_sa(rig_end(&m), &back, &err) != 0)
			fail_msg("%s, written: %s", ahs[i].what, err.text);
		assert_memory_equal(&sa, &back, sizeof(sa));
	}
}

/* The rank of a list of classes is nothing without the list. */
static void
rank_goes_with_its_list(void **state)
{
	static const struct xw_classes without = { .dscp = 0, .rank = 7 };
	static const struct xw_classes with = { .dscp = 1, .rank = 7 };
	static struct xfrm_sa sa;
	static struct raw r;

	for (int i = 0; i < 2; i++) {
		struct err err = { "" };
		struct xfrm_msg msg;
		uint8_t *copy;

		raw_begin(&r, XFRM_NEWSA, &raw_sa, sizeof(raw_sa));
		raw_attr(&r, XFRM_A_ALG_AEAD, &raw_gcm, 92);
		raw_attr(&r, XFRM_A_CLASSES, i == 0 ? &without : &with, sizeof(with));
		copy = raw_message(&r, r.len, &msg);
		if (xfrm_parse_sa(&msg, &sa, &err) != 0)
			fail_msg("%s", err.text);
		free(copy);
		assert_int_equal(sa.classes.dscp, i);
		assert_int_equal(sa.classes.rank, i == 0 ? 0 : 7);
	}
}

static void
policy_comes_back(void **state)
{
	static struct xfrm_policy p, back;
	static struct rig_msg m;
	struct err err = { "" };
	struct xfrm_head h = { XFRM_NEWPOLICY, XFRM_F_REQUEST, 7, 8 };

	rig_seed(2);
	for (int i = 0; i < ROUNDS; i++) {
		rig_policy(&p);
		assert_int_equal(xfrm_put_policy(rig_begin(&m), &h, &p), 0);
		memset(&back, 0, sizeof(back));
		if (xfrm_parse_policy(rig_end(&m), &back, &err) != 0)
			fail_msg("round %d: %s", i, err.text);
		assert_memory_equal(&p, &back, sizeof(p));
	}
}

static void
others_come_back(void **state)
{
	static struct rig_msg m;
	static struct xfrm_ae ae, ae_back;
	struct xfrm_migrate mig, mig_back;
	struct xfrm_sa_id id, id_back;
	struct xfrm_policy_id pid, pid_back;
	struct err err = { "" };

	rig_seed(4);
	for (int i = 0; i < ROUNDS; i++) {
		uint8_t family = i & 1 ? 4 : 6;
		struct xfrm_head h = { XFRM_NEWAE, XFRM_F_REQUEST | XFRM_F_REPLACE, 1, 2 };

		rig_ae(&ae, family);
		assert_int_equal(xfrm_put_ae(rig_begin(&m), &h, &ae), 0);
		memset(&ae_back, 0, sizeof(ae_back));
		if (xfrm_parse_ae(rig_end(&m), &ae_back, &err) != 0)
			fail_msg("NEWAE, round %d: %s", i, err.text);
		assert_memory_equal(&ae, &ae_back, sizeof(ae));

		h.type = XFRM_MIGRATE;
		rig_migrate(&mig, family);
		assert_int_equal(xfrm_put_migrate(rig_begin(&m), &h, &mig), 0);
		memset(&mig_back, 0, sizeof(mig_back));
		if (xfrm_parse_migrate(rig_end(&m), &mig_back, &err) != 0)
			fail_msg("MIGRATE, round %d: %s", i, err.text);
		assert_memory_equal(&mig, &mig_back, sizeof(mig));

		h.type = XFRM_GETSA;
		h.flags = XFRM_F_REQUEST;
		rig_sa_id(&id, family);
		assert_int_equal(xfrm_put_sa_id(rig_begin(&m), &h, &id), 0);
		memset(&id_back, 0, sizeof(id_back));
		if (xfrm_parse_sa_id(rig_end(&m), &id_back, &err) != 0)
			fail_msg("GETSA, round %d: %s", i, err.text);
		assert_memory_equal(&id, &id_back, sizeof(id));

		h.type = XFRM_DELPOLICY;
		pid = mig.policy;
		assert_int_equal(xfrm_put_policy_id(rig_begin(&m), &h, &pid), 0);
		memset(&pid_back, 0, sizeof(pid_back));
		if (xfrm_parse_policy_id(rig_end(&m), &pid_back, &err) != 0)
			fail_msg("DELPOLICY, round %d: %s", i, err.text);
		assert_memory_equal(&pid, &pid_back, sizeof(pid));
	}
}

/* Each writer, for the tests of all of them. */
static struct {
	struct xfrm_sa sa;
	struct xfrm_policy policy;
	struct xfrm_ae ae;
	struct xfrm_migrate migrate;
	struct xfrm_acquire acquire;
	struct xfrm_mapping mapping;
	struct xfrm_spi_range range;
	struct xfrm_sa_id sa_id;
	struct err err;
} what;
static const struct xfrm_head any = { 99, 0, 1, 2 };

static int
put_sa(struct xfrm_out *out)
{
	return xfrm_put_sa(out, &any, &what.sa, true);
}

static int
put_sa_hidden(struct xfrm_out *out)
{
	return xfrm_put_sa(out, &any, &what.sa, false);
}

static int
put_sa_gone(struct xfrm_out *out)
{
	return xfrm_put_sa_gone(out, &any, &what.sa);
}

static int
put_flush_sa(struct xfrm_out *out)
{
	return xfrm_put_flush_sa(out, &any, XFRM_PROTO_ESP);
}

static int
put_expire(struct xfrm_out *out)
{
	return xfrm_put_expire(out, &any, &what.sa, true);
}

static int
put_policy(struct xfrm_out *out)
{
	return xfrm_put_policy(out, &any, &what.policy);
}

static int
put_policy_gone(struct xfrm_out *out)
{
	return xfrm_put_policy_gone(out, &any, &what.policy);
}

static int
put_flush_policy(struct xfrm_out *out)
{
	return xfrm_put_flush_policy(out, &any);
}

static int
put_policy_expire(struct xfrm_out *out)
{
	return xfrm_put_policy_expire(out, &any, &what.policy, true);
}

static int
put_acquire(struct xfrm_out *out)
{
	return xfrm_put_acquire(out, &any, &what.acquire);
}

static int
put_mapping(struct xfrm_out *out)
{
	return xfrm_put_mapping(out, &any, &what.mapping);
}

static int
put_migrate(struct xfrm_out *out)
{
	return xfrm_put_migrate(out, &any, &what.migrate);
}

static int
put_ae(struct xfrm_out *out)
{
	return xfrm_put_ae(out, &any, &what.ae);
}

static int
put_sad_info(struct xfrm_out *out)
{
	return xfrm_put_sad_info(out, &any, 7, &(struct xw_hash_sizes) { 1, 2 });
}

static int
put_spd_info(struct xfrm_out *out)
{
	return xfrm_put_spd_info(out, &any, &(struct xfrm_spd_info) { .v4 = { 32, 32 } });
}

static int
put_defaults(struct xfrm_out *out)
{
	return xfrm_put_defaults(out, &any, &(struct xfrm_defaults) { 1, 1, 1 });
}

static int
put_sa_id(struct xfrm_out *out)
{
	return xfrm_put_sa_id(out, &any, &what.sa_id);
}

static int
put_spi_range(struct xfrm_out *out)
{
	return xfrm_put_spi_range(out, &any, &what.range);
}

static int
put_policy_id(struct xfrm_out *out)
{
	return xfrm_put_policy_id(out, &any, &what.migrate.policy);
}

static int
put_ack(struct xfrm_out *out)
{
	return xfrm_put_error(out, &(struct xw_head) { .seq = 1 }, 2, 0, NULL);
}

static int
put_done(struct xfrm_out *out)
{
	return xfrm_put_done(out, 1, 2, true);
}

static const struct {
	const char *name;
	int (*put)(struct xfrm_out *out);
	size_t least; /* octets, header included */
} writers[] = {
	{ "sa", put_sa, 240 },
	{ "sa without keys", put_sa_hidden, 240 },
	{ "sa_gone", put_sa_gone, 16 + 24 + 228 },
	{ "flush_sa", put_flush_sa, 20 },
	{ "expire", put_expire, 248 },
	{ "policy", put_policy, 184 },
	{ "policy_gone", put_policy_gone, 16 + 64 + 172 },
	{ "flush_policy", put_flush_policy, 28 },
	{ "policy_expire", put_policy_expire, 192 },
	{ "acquire", put_acquire, 296 },
	{ "mapping", put_mapping, 80 },
	{ "migrate", put_migrate, 80 },
	{ "ae", put_ae, 64 },
	{ "sad_info", put_sad_info, 40 },
	{ "spd_info", put_spd_info, 76 },
	{ "defaults", put_defaults, 20 },
	{ "sa_id", put_sa_id, 40 },
	{ "spi_range", put_spi_range, 248 },
	{ "policy_id", put_policy_id, 80 },
	{ "ack", put_ack, 36 },
	{ "done", put_done, 20 },
};

static void
what_random(uint8_t family)
{
	memset(&what, 0, sizeof(what));
	rig_sa(&what.sa);
	rig_policy(&what.policy);
	rig_ae(&what.ae, family);
	rig_migrate(&what.migrate, family);
	rig_sa_id(&what.sa_id, family);
	rig_sa(&what.range.sa);
	what.acquire.has = what.policy.has & (XFRM_HAS_MARK | XFRM_HAS_IF_ID);
	what.acquire.id = what.sa.id;
	what.acquire.src = what.sa.src;
	rig_sel(&what.acquire.sel, family);
	what.acquire.policy = what.policy;
	what.acquire.seq = 5;
	what.mapping.family = family;
	what.mapping.id = what.sa_id.id;
	what.mapping.new_src = rig_addr(family);
	what.mapping.new_sport = 4501;
}

static bool
is_blank(const uint8_t *octets, size_t n)
{
	uint8_t all = 0;

	for (size_t i = 0; i < n; i++)
		all |= octets[i];
	return all == 0;
}

/* What lay in the buffer is never sent, and what does not fit leaves no trace, least of all a key.
 */
static void
writers_write_all_or_nothing(void **state)
{
	static uint8_t a[XFRM_DATAGRAM_MAX + 1], b[sizeof(a)];

	rig_seed(5);
	for (int round = 0; round < 50; round++) {
		what_random(round & 1 ? 4 : 6);
		for (size_t i = 0; i < RTE_DIM(writers); i++) {
			struct xfrm_out out = { a, a + sizeof(a) }, other = { b, b + sizeof(b) };
			size_t n;

			memset(a, 0xa5, sizeof(a));
			memset(b, 0x5a, sizeof(b));
			assert_int_equal(writers[i].put(&out), 0);
			assert_int_equal(writers[i].put(&other), 0);
			n = (size_t)(out.at - a);
			if (n != (size_t)(other.at - b) || n % 4 != 0 || memcmp(a, b, n) != 0)
				fail_msg("%s: an octet of chance", writers[i].name);
			if (n < writers[i].least || *(uint32_t *)a != n || a[n] != 0xa5)
				fail_msg("%s: %zu octets", writers[i].name, n);
			for (size_t room = 0; room < n; room++) {
				memset(b, 0, room);
				out = (struct xfrm_out) { b, b + room };
				if (writers[i].put(&out) != -EMSGSIZE || out.at != b)
					fail_msg("%s: %zu octets in %zu", writers[i].name, n, room);
				if (!is_blank(b, room))
					fail_msg("%s: octets stay in %zu", writers[i].name, room);
			}
		}
	}
}

/* With every attribute there is, an answer is still one that daemons take. */
static void
the_longest_answer_fits(void **state)
{
	static struct rig_msg m;
	static struct xfrm_sa sa;

	rig_seed(6);
	do
		rig_sa(&sa);
	while (sa.suite.aead || sa.suite.auth != ALG_HMAC_SHA512_256);
	sa.has = UINT32_MAX & ~(uint32_t)(XFRM_HAS_REPLAY | XFRM_HAS_COMP);
	sa.replay.words = XFRM_REPLAY_WORDS;
	assert_int_equal(xfrm_put_sa(rig_begin(&m), &any, &sa, true), 0);
	assert_true(rig_end(&m)->head.len < 2048);
}

static bool
holds(const struct rig_msg *m, const struct xfrm_key *key)
{
	return key->len != 0 && memmem(m->octets, m->msg.head.len, key->octets, key->len) != NULL;
}

static void
keys_are_hidden(void **state)
{
	static struct xfrm_sa sa, back;
	static struct rig_msg m;
	struct err err = { "" };

	rig_seed(7);
	for (int i = 0; i < ROUNDS; i++) {
		rig_sa(&sa);
		assert_int_equal(xfrm_put_sa(rig_begin(&m), &any, &sa, true), 0);
		rig_end(&m);
		assert_int_equal(holds(&m, &sa.key), sa.key.len != 0);
		assert_int_equal(xfrm_put_sa(rig_begin(&m), &any, &sa, false), 0);
		rig_end(&m);
		assert_false(holds(&m, &sa.key) || holds(&m, &sa.auth_key));
		/* A client can read it, and cannot make an SA of it. */
		m.msg.head.type = XFRM_NEWSA;
		if (xfrm_read_sa(&m.msg, &back, &err) != 0)
			fail_msg("round %d: %s", i, err.text);
		assert_int_equal(back.key.len, sa.key.len);
		if (sa.key.len + sa.auth_key.len > 0)
			assert_int_equal(xfrm_parse_sa(&m.msg, &back, &err), -EINVAL);
		assert_int_equal(xfrm_put_sa_gone(rig_begin(&m), &any, &sa), 0);
		rig_end(&m);
		assert_false(holds(&m, &sa.key) || holds(&m, &sa.auth_key));
	}
}

static void
errors_say_why(void **state)
{
	struct xw_head request = { .len = 240, .type = XFRM_NEWSA, .flags = 5, .seq = 9, .pid = 3 };
	uint8_t octets[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { octets, octets + sizeof(octets) };
	struct err err = { "no algorithm" };
	struct xw_error body;
	struct xw_head head;
	struct xw_attr attr;

	assert_int_equal(xfrm_put_error(&out, &request, 77, -EINVAL, &err), 0);
	memcpy(&head, octets, sizeof(head));
	memcpy(&body, octets + 16, sizeof(body));
	memcpy(&attr, octets + 36, sizeof(attr));
	assert_int_equal(head.len, 36 + 4 + 16);
	assert_int_equal(head.type, XFRM_ERROR);
	assert_int_equal(head.flags, XFRM_F_CAPPED | XFRM_F_ACK_TLVS);
	assert_int_equal(head.seq, 9);
	assert_int_equal(head.pid, 77);
	assert_int_equal(body.error, -EINVAL);
	assert_memory_equal(&body.of, &request, sizeof(request));
	assert_int_equal(attr.type, XFRM_A_ERROR_MESSAGE);
	assert_int_equal(attr.len, 4 + sizeof("no algorithm"));
	assert_string_equal((char *)octets + 40, "no algorithm");

	/* A success has nothing to say, and a sentence that does not fit is cut. */
	out.at = octets;
	assert_int_equal(xfrm_put_error(&out, &request, 77, 0, &err), 0);
	assert_int_equal(out.at - octets, 36);
	memset(err.text, 'x', sizeof(err.text));
	out = (struct xfrm_out) { octets, octets + 60 };
	assert_int_equal(xfrm_put_error(&out, &request, 77, -EINVAL, &err), 0);
	assert_int_equal(out.at - octets, 60);
	assert_string_equal((char *)octets + 40, "xxxxxxxxxxxxxxxx");
}

static void
filters_match(void **state)
{
	struct addr a = { 4, { 192, 0, 2, 1 } }, b = { 4, { 198, 51, 100, 1 } };
	struct addr six = { 6, { 0x20, 1, 0xd, 0xb8 } };
	/* As iproute2 writes 192.0.2.1/24. */
	struct xw_filter by_source = { { 192, 0, 2, 99 }, { 0 }, XFRM_FAMILY_V4, 24, 0 };
	struct xfrm_filter f = { 0 };
	struct xfrm_msg msg;
	struct raw r;
	uint8_t *copy;

	assert_true(xfrm_filter_match(&f, XFRM_PROTO_ESP, &a, &b));
	f.proto = XFRM_PROTO_COMP;
	assert_false(xfrm_filter_match(&f, XFRM_PROTO_ESP, &a, &b));
	raw_begin(&r, XFRM_GETSA, NULL, 0);
	raw_attr(&r, XFRM_A_ADDRESS_FILTER, &by_source, sizeof(by_source));
	copy = raw_message(&r, r.len, &msg);
	assert_int_equal(xfrm_parse_filter(&msg, &f, NULL), 0);
	free(copy);
	assert_true(xfrm_filter_match(&f, XFRM_PROTO_ESP, &a, &b));
	assert_false(xfrm_filter_match(&f, XFRM_PROTO_ESP, &b, &a));
	assert_false(xfrm_filter_match(&f, XFRM_PROTO_ESP, &six, &six));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sa_comes_back),
		cmocka_unit_test(ah_comes_back),
		cmocka_unit_test(rank_goes_with_its_list),
		cmocka_unit_test(policy_comes_back),
		cmocka_unit_test(others_come_back),
		cmocka_unit_test(writers_write_all_or_nothing),
		cmocka_unit_test(the_longest_answer_fits),
		cmocka_unit_test(keys_are_hidden),
		cmocka_unit_test(errors_say_why),
		cmocka_unit_test(filters_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
