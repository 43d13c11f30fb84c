#include "emulated_rig.h"

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_malloc.h>

#include "drivers.h"
#include "eal.h"
#include "port/port.h"
#include "tunnel/tunnel.h"
#include "wire/ip.h"

struct rte_mempool *rig_pool;
const struct engine *rig_engine = &engine_openssl;

static const uint8_t key[ALG_KEY_MAX] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc };
static const uint8_t auth_key[ALG_AUTH_KEY_MAX] = { 0x21, 0x22, 0x23, 0x24, 0x25 };
static const uint8_t salt[4] = { 0xd0, 0xd1, 0xd2, 0xd3 };
static const struct addr src4 = { .family = 4, .octets = { 192, 0, 2, 1 } };
static const struct addr dst4 = { .family = 4, .octets = { 192, 0, 2, 2 } };
static const struct addr src6 = { .family = 6, .octets = { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
static const struct addr dst6 = { .family = 6, .octets = { 0x20, 1, 0xd, 0xb8, [15] = 2 } };

static struct rte_ring *
ring_new(const char *rig, const char *kind, uint16_t size)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *r;

	snprintf(name, sizeof(name), "%s_%s", rig, kind);
	r = rte_ring_create(name, size, SOCKET_ID_ANY,
			    RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	assert_non_null(r);
	return r;
}

int
rig_start(void)
{
	struct err err;

	if (test_eal_init() < 0)
		return -1;
	if (port_pool_create("rig", 511, 1800, SOCKET_ID_ANY, &rig_pool, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	return 0;
}

struct rig *
rig_new(const char *options, uint16_t ring)
{
	static int made;
	struct rte_eth_conf conf = { .txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS };
	struct rig *r = calloc(1, sizeof(*r));
	struct err err = { "" };
	char name[16];
	int id;

	snprintf(name, sizeof(name), "rig%d", made++);
	assert_int_equal(inline_emulated_use(&rig_engine, 1, &err), 0);
	r->rx = ring_new(name, "rx", ring);
	r->tx = ring_new(name, "tx", ring);
	id = rte_eth_from_rings(name, &r->rx, 1, &r->tx, 1, 0);
	assert_true(id >= 0);
	r->id = (uint16_t)id;
	assert_int_equal(rte_eth_dev_configure(r->id, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(r->id, 0, ring, SOCKET_ID_ANY, NULL, rig_pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(r->id, 0, ring, SOCKET_ID_ANY, NULL), 0);
	r->ctx = inline_emulated.open(r->id, options, 1, SOCKET_ID_ANY, &err);
	if (r->ctx == NULL)
		fail_msg("%s: %s", options, err.text);
	assert_int_equal(rte_eth_dev_start(r->id), 0);
	r->sessions = rte_mempool_create(name, 255, 256 + rte_security_session_get_size(r->ctx), 0,
					 0, NULL, NULL, NULL, NULL, SOCKET_ID_ANY, 0);
	assert_non_null(r->sessions);
	return r;
}

static void
ring_end(struct rte_ring *ring)
{
	struct rte_mbuf *m = NULL;

	while (rte_ring_dequeue(ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
rig_free(struct rig *r)
{
	assert_int_equal(rte_eth_dev_stop(r->id), 0);
	inline_emulated.close(r->id);
	assert_int_equal(rte_eth_dev_close(r->id), 0);
	ring_end(r->rx);
	ring_end(r->tx);
	rte_mempool_free(r->sessions);
	free(r);
	assert_int_equal(rte_mempool_in_use_count(rig_pool), 0);
}

struct suite
rig_suite(const struct rig_sa *sa)
{
	const char *cipher = sa->cipher != NULL ? sa->cipher : "aes-gcm-128";
	const struct alg *c = alg_find(cipher, ALG_AEAD);
	struct suite suite;
	struct err err;

	c = c != NULL ? c : alg_find(cipher, ALG_CIPHER);
	if (suite_init(&suite, c, sa->auth != NULL ? alg_find(sa->auth, ALG_AUTH) : NULL, sa->icv,
		       false, sa->esn, &err) < 0)
		fail_msg("%s", err.text);
	return suite;
}

static uint32_t
spi_of(const struct rig_sa *sa)
{
	return sa->spi != 0 ? sa->spi : 0x1001;
}

static int
algo_of(const struct suite *s)
{
	static const uint8_t algo[ALG_MAX] = {
		[ALG_AES_GCM_128] = RTE_CRYPTO_AEAD_AES_GCM,
		[ALG_AES_GCM_192] = RTE_CRYPTO_AEAD_AES_GCM,
		[ALG_AES_GCM_256] = RTE_CRYPTO_AEAD_AES_GCM,
		[ALG_AES_CCM_128] = RTE_CRYPTO_AEAD_AES_CCM,
		[ALG_AES_CCM_256] = RTE_CRYPTO_AEAD_AES_CCM,
		[ALG_CHACHA20_POLY1305] = RTE_CRYPTO_AEAD_CHACHA20_POLY1305,
		[ALG_AES_GMAC_128] = RTE_CRYPTO_AUTH_AES_GMAC,
		[ALG_AES_GMAC_256] = RTE_CRYPTO_AUTH_AES_GMAC,
		[ALG_AES_CBC_128] = RTE_CRYPTO_CIPHER_AES_CBC,
		[ALG_AES_CBC_256] = RTE_CRYPTO_CIPHER_AES_CBC,
		[ALG_AES_CTR_128] = RTE_CRYPTO_CIPHER_AES_CTR,
		[ALG_NULL] = RTE_CRYPTO_CIPHER_NULL,
	};

	return algo[s->cipher];
}

static int
auth_of(const struct suite *s)
{
	static const uint8_t algo[ALG_MAX] = {
		[ALG_HMAC_SHA1_96] = RTE_CRYPTO_AUTH_SHA1_HMAC,
		[ALG_HMAC_SHA256_128] = RTE_CRYPTO_AUTH_SHA256_HMAC,
		[ALG_HMAC_SHA512_256] = RTE_CRYPTO_AUTH_SHA512_HMAC,
		[ALG_AES_CMAC_96] = RTE_CRYPTO_AUTH_AES_CMAC,
	};

	return algo[s->auth];
}

static void
xforms_make(const struct rig_sa *sa, struct rte_crypto_sym_xform x[2])
{
	struct suite s = rig_suite(sa);

	memset(x, 0, 2 * sizeof(x[0]));
	if (s.aead && !suite_is_gmac(&s)) {
		x[0].type = RTE_CRYPTO_SYM_XFORM_AEAD;
		x[0].aead.algo = (enum rte_crypto_aead_algorithm)algo_of(&s);
		x[0].aead.key.data = key;
		x[0].aead.key.length = algs[s.cipher].key_len;
		x[0].aead.digest_length = s.icv_len;
		return;
	}
	x[1].type = RTE_CRYPTO_SYM_XFORM_AUTH;
	x[1].auth.digest_length = s.icv_len;
	if (s.aead) {
		x[1].auth.algo = (enum rte_crypto_auth_algorithm)algo_of(&s);
		x[1].auth.key.data = key;
		x[1].auth.key.length = algs[s.cipher].key_len;
		x[0] = x[1];
		return;
	}
	x[1].auth.algo = (enum rte_crypto_auth_algorithm)auth_of(&s);
	x[1].auth.key.data = auth_key;
	x[1].auth.key.length = algs[s.auth].key_len;
	x[0].type = RTE_CRYPTO_SYM_XFORM_CIPHER;
	x[0].cipher.algo = (enum rte_crypto_cipher_algorithm)algo_of(&s);
	x[0].cipher.key.data = key;
	x[0].cipher.key.length = algs[s.cipher].key_len;
	x[0].next = &x[1];
}

static void
tunnel_make(const struct rig_sa *sa, struct rte_security_ipsec_tunnel_param *t)
{
	uint8_t ttl = sa->ttl != 0 ? sa->ttl : 64;

	if (sa->v6) {
		t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
		memcpy(&t->ipv6.src_addr, src6.octets, 16);
		memcpy(&t->ipv6.dst_addr, dst6.octets, 16);
		t->ipv6.dscp = sa->dscp;
		t->ipv6.flabel = sa->label;
		t->ipv6.hlimit = ttl;
		return;
	}
	t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
	memcpy(&t->ipv4.src_ip, src4.octets, 4);
	memcpy(&t->ipv4.dst_ip, dst4.octets, 4);
	t->ipv4.dscp = sa->dscp;
	t->ipv4.df = sa->df;
	t->ipv4.ttl = ttl;
}

void *
rig_session(struct rig *r, const struct rig_sa *sa)
{
	struct rte_crypto_sym_xform x[2];
	uint64_t userdata = sa->userdata != 0 ? sa->userdata : RIG_USERDATA;
	struct rte_security_session_conf conf = {
		.action_type = sa->protocol ? RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL :
					      RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = { .spi = spi_of(sa),
			   .options = { .esn = sa->esn,
					.udp_encap = sa->udp,
					.copy_dscp = sa->copy_dscp,
					.copy_df = sa->copy_df,
					.copy_flabel = sa->copy_label,
					.ecn = sa->ecn,
					.stats = 1 },
			   .direction = sa->ingress ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS :
						      RTE_SECURITY_IPSEC_SA_DIR_EGRESS,
			   .proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
			   .mode = sa->transport ? RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT :
						   RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,
			   .replay_win_sz = sa->window,
			   .esn.value = sa->number,
			   .udp = { 4500, 4501 } },
		.crypto_xform = x,
		.userdata = (void *)(uintptr_t)userdata,
	};

	xforms_make(sa, x);
	memcpy(&conf.ipsec.salt, salt, sizeof(salt));
	if (!sa->transport)
		tunnel_make(sa, &conf.ipsec.tunnel);
	return rte_security_session_create(r->ctx, &conf, r->sessions);
}

void
rig_session_end(struct rig *r, void *session)
{
	assert_int_equal(rte_security_session_destroy(r->ctx, session), 0);
}

struct rte_flow *
rig_rule(struct rig *r, const struct rig_sa *sa, void *session)
{
	struct rte_flow_attr attr = { .ingress = sa->ingress, .egress = !sa->ingress };
	struct rte_flow_item_ipv4 ip4 = { 0 }, mask4 = { .hdr.dst_addr = UINT32_MAX };
	struct rte_flow_item_ipv6 ip6 = { 0 }, mask6 = { 0 };
	struct rte_flow_item_udp udp = { .hdr.dst_port = RTE_BE16(4501) };
	struct rte_flow_item_udp mask_udp = { .hdr.dst_port = UINT16_MAX };
	struct rte_flow_item_esp esp = { .hdr.spi = rte_cpu_to_be_32(spi_of(sa)) };
	struct rte_flow_item pattern[5] = { { .type = RTE_FLOW_ITEM_TYPE_ETH } };
	struct rte_flow_action actions[2] = { { RTE_FLOW_ACTION_TYPE_SECURITY, session },
					      { RTE_FLOW_ACTION_TYPE_END, NULL } };
	struct rte_flow_error error;
	int n = 1;

	memcpy(&ip4.hdr.dst_addr, dst4.octets, 4);
	memcpy(ip6.hdr.dst_addr, dst6.octets, 16);
	memset(mask6.hdr.dst_addr, 0xff, 16);
	pattern[n++] =
		sa->v6 ? (struct rte_flow_item) { RTE_FLOW_ITEM_TYPE_IPV6, &ip6, NULL, &mask6 } :
			 (struct rte_flow_item) { RTE_FLOW_ITEM_TYPE_IPV4, &ip4, NULL, &mask4 };
	if (sa->udp)
		pattern[n++] =
			(struct rte_flow_item) { RTE_FLOW_ITEM_TYPE_UDP, &udp, NULL, &mask_udp };
	pattern[n++] = (struct rte_flow_item) { RTE_FLOW_ITEM_TYPE_ESP, &esp, NULL, NULL };
	pattern[n] = (struct rte_flow_item) { .type = RTE_FLOW_ITEM_TYPE_END };
	return inline_emulated.flow_create(r->id, &attr, pattern, actions, &error);
}

void
rig_rule_end(struct rig *r, struct rte_flow *rule)
{
	struct rte_flow_error error;

	assert_int_equal(inline_emulated.flow_destroy(r->id, rule, &error), 0);
}

struct rte_security_ipsec_stats
rig_stats(struct rig *r, void *session)
{
	struct rte_security_stats stats;

	assert_int_equal(rte_security_session_stats_get(r->ctx, session, &stats), 0);
	return stats.ipsec;
}

static void
link_write(uint8_t *frame, bool v6)
{
	memset(frame, 2, 12);
	frame[12] = v6 ? 0x86 : 0x08;
	frame[13] = v6 ? 0xdd : 0x00;
}

uint32_t
rig_inner(uint8_t *frame, bool v6, uint32_t len, uint8_t tos, bool df)
{
	uint8_t *ip = frame + RIG_L2;
	struct rte_ipv4_hdr *h4 = (struct rte_ipv4_hdr *)ip;
	struct rte_ipv6_hdr *h6 = (struct rte_ipv6_hdr *)ip;

	for (uint32_t i = 0; i < len; i++)
		ip[i] = (uint8_t)rand();
	link_write(frame, v6);
	if (v6) {
		h6->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | (uint32_t)tos << 20 | 0x4321);
		h6->payload_len = rte_cpu_to_be_16((uint16_t)(len - sizeof(*h6)));
		h6->proto = IPPROTO_TCP;
		h6->hop_limits = 63;
		memcpy(h6->src_addr, src6.octets, 16);
		memcpy(h6->dst_addr, dst6.octets, 16);
		return RIG_L2 + len;
	}
	*h4 = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = tos,
		.total_length = rte_cpu_to_be_16((uint16_t)len),
		.fragment_offset = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0,
		.time_to_live = 63,
		.next_proto_id = IPPROTO_TCP,
	};
	memcpy(&h4->src_addr, src4.octets, 4);
	memcpy(&h4->dst_addr, dst4.octets, 4);
	h4->hdr_checksum = wire_ip4_checksum(h4, sizeof(*h4));
	return RIG_L2 + len;
}

static void
tunnel_of(const struct rig_sa *sa, struct tunnel_out *t)
{
	struct tunnel_params p = {
		.src = sa->v6 ? src6 : src4,
		.dst = sa->v6 ? dst6 : dst4,
		.udp = sa->udp,
		.udp_src = 4500,
		.udp_dst = 4501,
		.proto = IPPROTO_ESP,
		.ttl = sa->ttl != 0 ? sa->ttl : 64,
		.ecn = sa->ecn,
		.dscp = sa->copy_dscp ? TUNNEL_DSCP_COPY : TUNNEL_DSCP_FIXED,
		.dscp_value = sa->dscp,
		.df = sa->copy_df ? TUNNEL_DF_COPY :
		      sa->df	  ? TUNNEL_DF_SET :
				    TUNNEL_DF_CLEAR,
		.label = sa->copy_label ? TUNNEL_LABEL_COPY : TUNNEL_LABEL_FIXED,
		.label_value = sa->label,
	};
	struct err err;

	if (tunnel_out_init(t, &p, &err) < 0)
		fail_msg("%s", err.text);
}

/* Transport mode: the header in front, of 20 or 40 octets. */
static uint32_t
own_header(const struct rig_sa *sa, uint8_t *ip, bool v6, uint32_t total)
{
	struct rte_ipv4_hdr *h4 = (struct rte_ipv4_hdr *)ip;
	struct rte_ipv6_hdr *h6 = (struct rte_ipv6_hdr *)ip;
	uint8_t proto = sa->udp ? IPPROTO_UDP : IPPROTO_ESP;
	uint32_t size = v6 ? sizeof(*h6) : sizeof(*h4);
	struct rte_udp_hdr udp = { RTE_BE16(4500), RTE_BE16(4501),
				   rte_cpu_to_be_16((uint16_t)(total - size)), 0 };

	if (v6) {
		h6->proto = proto;
		h6->payload_len = rte_cpu_to_be_16((uint16_t)(total - size));
	} else {
		h4->next_proto_id = proto;
		h4->total_length = rte_cpu_to_be_16((uint16_t)total);
		h4->hdr_checksum = wire_ip4_checksum(h4, sizeof(*h4));
	}
	if (sa->udp)
		memcpy(ip + size, &udp, sizeof(udp));
	return size + (sa->udp ? sizeof(udp) : 0);
}

uint32_t
rig_encap(const struct rig_sa *sa, const uint8_t *inner, uint32_t len, uint64_t number,
	  uint16_t *ipv4_id, uint8_t *frame)
{
	const uint8_t *clear = inner + RIG_L2;
	bool v6 = clear[0] >> 4 == 6;
	uint32_t split = sa->transport ? (v6 ? 40 : 20) : 0, carried = len - RIG_L2 - split;
	struct suite s = rig_suite(sa);
	uint32_t text = RTE_ALIGN_CEIL(carried + 2, (uint32_t)s.align), pad = text - carried - 2;
	uint8_t tos = v6 ? (uint8_t)(wire_be16(clear) >> 4) : clear[1];
	uint64_t number_be = rte_cpu_to_be_64(number);
	rte_be32_t spi_be = rte_cpu_to_be_32(spi_of(sa));
	uint8_t *ip = frame + RIG_L2, *esp;
	struct tunnel_out t;
	uint32_t total;

	tunnel_of(sa, &t);
	link_write(frame, sa->transport ? v6 : sa->v6);
	total = (sa->transport ? split + (sa->udp ? 8 : 0) : t.size) + 8 + s.iv_len + text +
		s.icv_len;
	if (sa->transport) {
		memcpy(ip, clear, split);
		esp = ip + own_header(sa, ip, v6, total);
	} else {
		tunnel_outer_write(&t, ip, clear, v6, tos, v6 ? TUNNEL_DF : clear[6],
				   (uint16_t)total, ipv4_id);
		esp = ip + t.size;
	}
	memcpy(esp, &spi_be, 4);
	memcpy(esp + 4, (uint8_t *)&number_be + 4, 4);
	memset(esp + 8, 0, s.iv_len);
	if (s.iv_len == 8)
		memcpy(esp + 8, &number_be, 8);
	memcpy(esp + 8 + s.iv_len, clear + split, carried);
	for (uint32_t i = 0; i < pad; i++)
		esp[8 + s.iv_len + carried + i] = (uint8_t)(i + 1);
	esp[8 + s.iv_len + text - 2] = (uint8_t)pad;
	esp[8 + s.iv_len + text - 1] = sa->transport ? clear[v6 ? 6 : 9] :
				       v6	     ? IPPROTO_IPV6 :
						       IPPROTO_IPIP;
	memset(esp + 8 + s.iv_len + text, 0, s.icv_len);
	return RIG_L2 + total;
}

static void
udp6_checksum(uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rig_mbuf(frame + RIG_L2, len - RIG_L2, 0);

	tunnel_udp6_checksum(m, 40);
	memcpy(frame + RIG_L2, rte_pktmbuf_mtod(m, void *), len - RIG_L2);
	rte_pktmbuf_free(m);
}

void
rig_seal(const struct rig_sa *sa, uint8_t *frame, uint32_t len, uint64_t number)
{
	bool v6 = frame[RIG_L2] >> 4 == 6;
	uint32_t off = RIG_L2 + (v6 ? 40u : 20u) + (sa->udp ? 8 : 0);
	struct suite s = rig_suite(sa);
	uint64_t number_be = rte_cpu_to_be_64(number);
	uint8_t salt_len = algs[s.cipher].salt_len;
	struct crypto_op op = { 0 };
	struct engine_worker *ew;
	struct session session;
	struct err err;

	assert_int_equal(session_init(&session, 7, 1, &s, key, auth_key), 0);
	assert_int_equal(engine_openssl.worker_init(1 << 16, 0, SOCKET_ID_ANY, &ew, &err), 0);
	op.session = &session;
	memcpy(op.aad, frame + off, 8);
	if (sa->esn)
		memcpy(op.aad + 4, &number_be, 8);
	if (s.iv_len == ALG_IV_MAX) {
		memcpy(op.nonce, frame + off, 4);
		memcpy(op.nonce + 8, &number_be, 8);
	} else {
		memcpy(op.nonce, salt, 4);
		memcpy(op.nonce + salt_len, &number_be, 8);
	}
	op.text = frame + off + 8 + s.iv_len;
	op.text_len = (uint16_t)(len - off - 8 - s.iv_len - s.icv_len);
	op.tag = op.text + op.text_len;
	engine_openssl.encrypt(ew, &op, 1);
	assert_true(op.ok);
	engine_openssl.worker_fini(ew);
	session_wipe(&session);
	if (sa->udp && v6)
		udp6_checksum(frame, len);
}

struct rte_mbuf *
rig_mbuf(const uint8_t *frame, uint32_t len, uint32_t seg)
{
	struct rte_mbuf *first = NULL;

	for (uint32_t off = 0, n; off < len; off += n) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig_pool);

		assert_non_null(m);
		n = seg == 0 ? len : RTE_MIN(seg, len - off);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + off, n);
		if (first == NULL)
			first = m;
		else
			assert_int_equal(rte_pktmbuf_chain(first, m), 0);
	}
	return first;
}

void
rig_mark(struct rig *r, void *session, struct rte_mbuf *m, uint64_t number)
{
	assert_int_equal(rte_security_set_pkt_metadata(r->ctx, session, m, &number), 0);
	inline_emulated.tx_number_set(m, number);
	m->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
}

struct rte_mbuf *
rig_send(struct rig *r, struct rte_mbuf *m)
{
	assert_int_equal(rte_eth_tx_burst(r->id, 0, &m, 1), 1);
	return rte_ring_dequeue(r->tx, (void **)&m) == 0 ? m : NULL;
}

struct rte_mbuf *
rig_receive(struct rig *r, struct rte_mbuf *m)
{
	assert_int_equal(rte_ring_enqueue(r->rx, m), 0);
	return rte_eth_rx_burst(r->id, 0, &m, 1) == 1 ? m : NULL;
}

void
rig_same(const char *what, struct rte_mbuf *m, const uint8_t *frame, uint32_t len)
{
	uint8_t copy[RIG_FRAME_MAX];
	const uint8_t *is;

	if (m == NULL)
		fail_msg("%s: no packet", what);
	if (m->pkt_len != len)
		fail_msg("%s: %u octets, not %u", what, m->pkt_len, len);
	is = rte_pktmbuf_read(m, 0, len, copy);
	for (uint32_t i = 0; i < len; i++)
		if (is[i] != frame[i])
			fail_msg("%s: octet %u of %u is %02x, not %02x", what, i, len, is[i],
				 frame[i]);
	rte_pktmbuf_free(m);
}

const struct rig_sa rig_out = { .df = 1 };
const struct rig_sa rig_out_protocol = { .df = 1, .protocol = true };
const struct rig_sa rig_in = { .df = 1, .ingress = true };
const struct rig_sa rig_in_protocol = { .df = 1, .ingress = true, .protocol = true };

void
rig_frames_make(const struct rig_sa *sa, uint64_t number, struct rig_frames *f)
{
	uint16_t id = 0;

	f->inner_len = rig_inner(f->inner, sa->v6, 100, 0, true);
	f->len = rig_encap(sa, f->inner, f->inner_len, number, &id, f->clear);
	memcpy(f->sealed, f->clear, f->len);
	rig_seal(sa, f->sealed, f->len, number);
}

struct rte_mbuf *
rig_marked(struct rig *r, const struct rig_sa *sa, void *session, uint64_t number,
	   struct rig_frames *f)
{
	struct rte_mbuf *m;

	rig_frames_make(sa, number, f);
	m = sa->protocol ? rig_mbuf(f->inner, f->inner_len, 0) : rig_mbuf(f->clear, f->len, 0);
	rig_mark(r, session, m, number);
	return m;
}

void *
rig_opened(struct rig *r, const struct rig_sa *sa, struct rte_flow **rule)
{
	void *session = rig_session(r, sa);

	if (session == NULL)
		fail_msg("no session: %s", rte_strerror(rte_errno));
	if (sa->ingress) {
		*rule = rig_rule(r, sa, session);
		assert_non_null(*rule);
	}
	return session;
}
