/* What lies behind the ICV: any octets as texts that an SA's peer sealed, as frames on either side,
 * in one buffer or cut into chains, through the whole way of a packet.
 *
 * The engine accepts every tag (accepting.h).
 *
 * An input is a list of packets, each a head (struct head) and its octets. They go through in
 * bursts, those of one port that stand together at once. After each input no packet may have
 * vanished and none be left: the counters balance and the pool is full.
 */
#include <netinet/in.h>
#include <stddef.h>

#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

#include <rte_byteorder.h>
#include <rte_esp.h>
#include <rte_udp.h>

#include "../unit/eal.h"
#include "../unit/path_rig.h"
#include "accepting.h"
#include "esp/echo.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MBUFS	     512
#define SMALL_ROOM   64 /* of the buffers of a chain that has no room to spare */
#define RED_ZONE     64 /* octets behind each buffer that nobody may touch */
#define PACKETS_MAX  16
#define FRAME_MAX    4000
#define SEGMENTS_MAX 20

enum how {
	HOW_BLACK_FRAME,
	HOW_RED_FRAME,
	HOW_TEXT,   /* an SA's text: Ethernet, IP and ESP headers are put before it, a tag behind */
	HOW_RED_IP, /* an IP packet: Ethernet before it */
	HOW_KIND = 3,
	HOW_MEND = 1 << 2,   /* right the IPv4 header checksum of the octets */
	HOW_NUMBER = 1 << 3, /* text: its number is the one before plus head.number; else plus 1 */
	HOW_SMALL = 1 << 4,  /* buffers without room */
	HOW_SHARED = 1 << 5, /* others hold the same buffers */
};

struct head {
	uint8_t how;
	uint8_t sa;  /* text: which SA, modulo */
	uint8_t cut; /* 0 = one segment, else octets per segment */
	int8_t number;
	uint8_t len[2]; /* little-endian */
};

static struct path_rig rig;
static struct rte_mempool *packets, *small, *clones;

/* clang-format off */
static const struct rig_suite suites[] = {
	{ ALG_AES_GCM_128, .esn = true, .window = 64 },
	{ ALG_AES_GCM_128, .esn = true, .window = 1024, .v6 = true },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, .window = 32, .transport = true },
	{ ALG_AES_GCM_256, .window = 128, .transport = true, .v6 = true, .icv_len = 8 },
	{ ALG_CHACHA20_POLY1305, .esn = true, .window = 64, .udp = true, .implicit_iv = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .udp = true, .transport = true },
	{ ALG_AES_GMAC_128, .window = 0 },
	{ ALG_AES_CCM_128, .esn = true, .window = 65536, .udp = true, .v6 = true, .icv_len = 12 },
	{ ALG_NULL, ALG_HMAC_SHA512_256, .window = 64, .udp = true, .transport = true, .v6 = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 0, .pad_to = 600 },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA1_96, .esn = true, .window = 64, .v6 = true, .pad_to = 65535 },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .lanes = 4 },
	{ ALG_CHACHA20_POLY1305, .esn = true, .window = 128, .lanes = 8, .udp = true, .implicit_iv = true, .transport = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .beet = 4 },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, .window = 64, .beet = 6 },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .beet = 4, .v6 = true },
	{ ALG_CHACHA20_POLY1305, .esn = true, .window = 64, .beet = 6, .v6 = true, .implicit_iv = true },
	{ .auth = ALG_HMAC_SHA256_128, .esn = true, .window = 64, .ah = true },
	{ ALG_AES_GMAC_128, .window = 64, .ah = true, .v6 = true },
	{ .auth = ALG_HMAC_SHA1_96, .window = 64, .ah = true, .transport = true },
	{ .auth = ALG_AES_CMAC_96, .esn = true, .window = 64, .ah = true, .transport = true, .v6 = true },
};
/* clang-format on */

static uint64_t numbers[RTE_DIM(suites)]; /* the last that each peer used, of all lanes alike */

/* Every frame that leaves is an IP packet behind an Ethernet header, whatever came in. */
static void
leaving_check(const struct rte_mbuf *m)
{
	uint8_t copy[WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX];
	uint32_t n = RTE_MIN(m->pkt_len - RTE_ETHER_HDR_LEN, sizeof(copy));
	struct ip_info info;
	const uint8_t *ip;

	rte_mbuf_sanity_check(m, 1);
	rig_must(m->pkt_len > RTE_ETHER_HDR_LEN && m->data_len >= RTE_ETHER_HDR_LEN, "a frame");
	ip = rte_pktmbuf_read(m, RTE_ETHER_HDR_LEN, n, copy);
	rig_must(ip != NULL, "lengths of a chain");
	rig_must(wire_ip_parse(ip, n, m->pkt_len - RTE_ETHER_HDR_LEN, &info) == WIRE_OK,
		 "an IP packet leaves");
	rig_must(info.total == m->pkt_len - RTE_ETHER_HDR_LEN, "its length");
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		leaving_check(pkts[i]);
		rte_pktmbuf_free(pkts[i]);
	}
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
red_zone(struct rte_mempool *pool, void *arg, void *obj, unsigned int i)
{
	struct rte_mbuf *m = obj;

	m->buf_len -= RED_ZONE;
	ASAN_POISON_MEMORY_REGION((uint8_t *)m->buf_addr + m->buf_len, RED_ZONE);
}

static struct rte_mempool *
pool_make(const char *name, uint16_t room, uint16_t zone)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, MBUFS, 0, sizeof(struct pkt),
					RTE_PKTMBUF_HEADROOM + room + zone, SOCKET_ID_ANY);

	rig_must(pool != NULL, "no memory for packets");
	if (zone > 0)
		rte_mempool_obj_iter(pool, red_zone, NULL);
	return pool;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct engine *const engines[] = { &accepting };
	static const struct policy_params special[] = {
		{ .action = POLICY_BYPASS, .protocol = IPPROTO_UDP, .dst_port = { 53, 53 } },
		{ .action = POLICY_DISCARD, .protocol = IPPROTO_TCP, .dst_port = { 23, 23 } },
	};

	/* Lives until the end, in memory that the leak check does not look through. */
	__lsan_disable();
	rig_must(test_eal_init() == 0, "EAL");
	packets = pool_make("packets", 2048, RED_ZONE);
	small = pool_make("small", SMALL_ROOM, RED_ZONE);
	/* Without a zone: DPDK writes buf_len anew when a clone ends. */
	clones = pool_make("clones", 0, 0);
	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = packets,
						   .sink = sink });
	for (size_t i = 0; i < RTE_DIM(special); i++) {
		rig_policy_add(&rig, 0, false, SPD_OUT, &special[i]);
		rig_policy_add(&rig, 0, false, SPD_IN, &special[i]);
	}
	for (size_t i = 0; i < RTE_DIM(suites); i++)
		path_rig_sa(&rig, &suites[i]);
	spd_commit(rig.spd);
	__lsan_enable();
	return 0;
}

/* A chain of n octets. NULL: they do not fit. */
static struct rte_mbuf *
chain_make(const struct head *h, const uint8_t *octets, uint32_t n)
{
	struct rte_mempool *pool = (h->how & HOW_SMALL) != 0 ? small : packets;
	uint16_t head = (h->how & HOW_SMALL) != 0 ? 0 : RTE_PKTMBUF_HEADROOM;
	uint32_t room = rte_pktmbuf_data_room_size(pool) - RED_ZONE - head;
	uint32_t piece = h->cut != 0 ? RTE_MIN(h->cut, room) : room;
	struct rte_mbuf *first = NULL, *last = NULL;

	if ((n + piece - 1) / piece > SEGMENTS_MAX)
		piece = room;
	for (uint32_t at = 0; at < n; at += piece) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint16_t take = (uint16_t)RTE_MIN(piece, n - at);

		rig_must(m != NULL, "packets run out");
		m->data_off = head;
		memset(m->buf_addr, 0xa5, m->buf_len);
		memcpy(rte_pktmbuf_append(m, take), octets + at, take);
		if (first == NULL) {
			first = m;
		} else {
			last->next = m;
			first->nb_segs++;
			first->pkt_len += take;
		}
		last = m;
	}
	return first;
}

static void
ether_write(uint8_t *at, uint8_t port, bool v6)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)at;

	memset(eth, 0, sizeof(*eth));
	eth->dst_addr = rig.links[port].mac;
	eth->ether_type = v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);
}

static void
checksum_mend(uint8_t *ip, uint32_t n)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)ip;

	if (n >= sizeof(*v4) && ip[0] >> 4 == 4 && rte_ipv4_hdr_len(v4) >= sizeof(*v4) &&
	    rte_ipv4_hdr_len(v4) <= n)
		v4->hdr_checksum = wire_ip4_checksum(ip, rte_ipv4_hdr_len(v4));
}

static uint8_t
proto_of(const struct rig_suite *s)
{
	if (s->ah)
		return IPPROTO_AH;
	return s->udp ? IPPROTO_UDP : IPPROTO_ESP;
}

/* The outer header, as the peer of an SA writes it, of a packet of total octets. Returns its size.
 */
static uint32_t
outer_write(uint8_t *at, const struct rig_suite *s, uint32_t n, uint32_t total)
{
	struct addr peer = rig_end(s->v6, true, n), here = rig_end(s->v6, false, n);
	uint32_t size = s->v6 ? 40 : 20;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(at + size);

	memset(at, 0, size);
	if (s->v6) {
		at[0] = 0x60;
		((struct rte_ipv6_hdr *)at)->payload_len =
			rte_cpu_to_be_16((uint16_t)(total - size));
		at[6] = proto_of(s);
		at[7] = 64;
		memcpy(at + 8, peer.octets, 16);
		memcpy(at + 24, here.octets, 16);
	} else {
		at[0] = 0x45;
		((struct rte_ipv4_hdr *)at)->total_length = rte_cpu_to_be_16((uint16_t)total);
		at[8] = 64;
		at[9] = proto_of(s);
		memcpy(at + 12, peer.octets, 4);
		memcpy(at + 16, here.octets, 4);
		checksum_mend(at, size);
	}
	if (!s->udp)
		return size;
	udp->src_port = udp->dst_port = RTE_BE16(4500);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(total - size));
	udp->dgram_cksum = 0;
	return size + sizeof(*udp);
}

static void
udp6_checksum(uint8_t *ip, uint32_t total)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + WIRE_IP6_HEADER);
	uint64_t sum = RTE_BE16(IPPROTO_UDP) + (uint64_t)udp->dgram_len;
	uint16_t folded;

	sum = wire_sum(sum, ip + 8, 32);
	folded = ~wire_sum_fold(wire_sum(sum, udp, total - WIRE_IP6_HEADER));
	udp->dgram_cksum = folded == 0 ? 0xffff : folded;
}

/* The number of a subspace SA's packet: the lane is the packet's number modulo one more than there
 * are, so that one is not agreed on. An explicit IV is its copy. */
static void
subspace_write(uint8_t *esp, const struct rig_suite *s, uint64_t number)
{
	uint64_t lane = number % (s->lanes + 1u);
	rte_be64_t whole = rte_cpu_to_be_64(lane << 48 | (number & LANE_SN_MAX));

	memcpy(esp + 4, &whole, sizeof(whole));
	if (!s->implicit_iv)
		memcpy(esp + 12, &whole, sizeof(whole));
}

/* The same for AH; the first octet of the text is its next header. */
static uint32_t
seal_ah(uint8_t *frame, uint32_t at, uint64_t number, const uint8_t *text, uint32_t n)
{
	const struct rig_suite *s = &suites[at];
	const struct sa *sa = sa_at(&rig.sas, rig.sa[at].in);
	uint32_t carried = n > 0 ? n - 1 : 0, head = s->v6 ? 40 : 20;
	uint32_t total = head + sa->esp_size + carried;
	rte_be32_t low = rte_cpu_to_be_32((uint32_t)number);
	uint8_t *ip = frame + RTE_ETHER_HDR_LEN, *ah = ip + head;

	ether_write(frame, RIG_BLACK, s->v6);
	memset(ip, 0, total);
	outer_write(ip, s, at, total);
	ah[0] = n > 0 ? text[0] : 0;
	ah[1] = sa->esp_size / 4 - 2;
	memcpy(ah + 4, &sa->spi_be, 4);
	memcpy(ah + 8, &low, 4);
	memcpy(ah + sa->esp_size, text + 1, carried);
	return RTE_ETHER_HDR_LEN + total;
}

/* A frame around n octets of text. Returns its size. */
static uint32_t
seal(uint8_t *frame, const struct head *h, const uint8_t *text, uint32_t n)
{
	uint32_t at = h->sa % RTE_DIM(suites);
	const struct rig_suite *s = &suites[at];
	const struct sa *sa = sa_at(&rig.sas, rig.sa[at].in);
	uint64_t number = numbers[at] += (h->how & HOW_NUMBER) != 0 ? (int64_t)h->number : 1;
	uint32_t esp_head = s->lanes != 0 ? 12 : 8;
	uint32_t head = (s->v6 ? 40 : 20) + (s->udp ? 8 : 0) + esp_head + sa->suite.iv_len;
	uint32_t total = head + n + sa->suite.icv_len;
	uint8_t *ip = frame + RTE_ETHER_HDR_LEN;
	struct rte_esp_hdr *esp;

	if (s->ah)
		return seal_ah(frame, at, number, text, n);
	ether_write(frame, RIG_BLACK, s->v6);
	memset(ip, 0, total);
	esp = (struct rte_esp_hdr *)(ip + outer_write(ip, s, at, total));
	esp->spi = sa->spi_be;
	if (s->lanes != 0)
		subspace_write((uint8_t *)esp, s, number);
	else
		esp->seq = rte_cpu_to_be_32((uint32_t)number);
	memcpy(ip + head, text, n);
	/* Behind a tunnel's ESP header an IPv4 packet has a checksum too. */
	if ((h->how & HOW_MEND) != 0 && !s->transport)
		checksum_mend(ip + head, n);
	if (s->udp && s->v6)
		udp6_checksum(ip, total);
	return RTE_ETHER_HDR_LEN + total;
}

static uint32_t
frame_make(uint8_t *frame, const struct head *h, const uint8_t *octets, uint32_t n)
{
	enum how kind = h->how & HOW_KIND;

	if (kind == HOW_TEXT)
		return seal(frame, h, octets, n);
	if (kind == HOW_RED_IP) {
		ether_write(frame, RIG_RED, n > 0 && octets[0] >> 4 == 6);
		memcpy(frame + RTE_ETHER_HDR_LEN, octets, n);
		n += RTE_ETHER_HDR_LEN;
	} else {
		memcpy(frame, octets, n);
	}
	if ((h->how & HOW_MEND) != 0 && n > RTE_ETHER_HDR_LEN)
		checksum_mend(frame + RTE_ETHER_HDR_LEN, n - RTE_ETHER_HDR_LEN);
	return n;
}

static void
burst_run(uint8_t port, struct rte_mbuf **pkts, uint16_t n)
{
	rig.w->now += NS_PER_SECOND / 8;
	path_rig_feed(&rig, port, pkts, n);
}

static void
swap(struct rte_mbuf **a, struct rte_mbuf **b)
{
	struct rte_mbuf *m = *a;

	*a = *b;
	*b = m;
}

/* The packets of an input, a burst at a time. */
static void
packets_run(const uint8_t *octets, size_t size)
{
	static uint8_t frame[FRAME_MAX + 512];
	struct rte_mbuf *pkts[PACKETS_MAX], *others[PACKETS_MAX];
	uint16_t n = 0, n_others = 0;
	uint8_t port = RIG_BLACK;
	struct head h;

	for (int i = 0; i < PACKETS_MAX && size > sizeof(h); i++) {
		uint8_t to;
		uint32_t len;

		memcpy(&h, octets, sizeof(h));
		octets += sizeof(h);
		size -= sizeof(h);
		len = h.len[0] + 256u * h.len[1];
		len = RTE_MIN(len, (uint32_t)size);
		len = RTE_MIN(len, (uint32_t)FRAME_MAX);
		to = (h.how & 1) != 0 ? RIG_RED : RIG_BLACK;
		if (n > 0 && to != port) {
			burst_run(port, pkts, n);
			n = 0;
		}
		port = to;
		pkts[n] = chain_make(&h, frame, frame_make(frame, &h, octets, len));
		if (pkts[n] != NULL && (h.how & HOW_SHARED) != 0) {
			others[n_others] = rte_pktmbuf_clone(pkts[n], clones);
			rig_must(others[n_others] != NULL, "packets run out");
			if ((h.sa & 1) != 0)
				swap(&others[n_others], &pkts[n]);
			n_others++;
		}
		n += pkts[n] != NULL;
		octets += len;
		size -= len;
	}
	if (n > 0)
		burst_run(port, pkts, n);
	for (uint16_t i = 0; i < n_others; i++)
		rte_pktmbuf_free(others[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct esp_echo_seen echo;
	struct worker_event event;

	path_rig_forget(&rig);
	memset(numbers, 0, sizeof(numbers));
	/* Rates of answers and of audit records have recovered. */
	rig.w->now += 10 * NS_PER_SECOND;
	packets_run(octets, size);
	while (esp_echo_next(rig.w->esp, &echo))
		rte_pktmbuf_free(echo.m);
	while (mailbox_event(rig.w, &event))
		rig_must(event.kind != EVENT_AUDIT ||
				 (event.audit.reason > DROP_NONE && event.audit.reason < DROP_MAX),
			 "a reason");
	rig_must(rig.w->pushed == 0, "nothing waits");
	rig_must(path_rig_conserves(&rig), "conservation");
	rig_must(rte_mempool_avail_count(packets) == MBUFS, "no packet is lost");
	rig_must(rte_mempool_avail_count(small) == MBUFS, "no segment is lost");
	rig_must(rte_mempool_avail_count(clones) == MBUFS, "no clone is lost");
	return 0;
}
