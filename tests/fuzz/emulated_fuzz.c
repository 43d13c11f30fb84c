/* The receive side of the emulated NIC: any frames, and any texts behind the headers of its
 * sessions, in one piece or several, in bursts.
 *
 * The engine inside accepts every tag (accepting.h).
 *
 * An input is a list of packets, each a head (struct head) and its octets. Afterwards no packet may
 * be lost but those that the device has a reason to take, what it says nothing of is as it came,
 * and what it says it took out of ESP is behind a link-layer header of its kind. Each segment is a
 * buffer of its own and of its size, so that nothing beside it is read unseen.
 */
#include <netinet/in.h>

#include <sanitizer/lsan_interface.h>

#include "../unit/eal.h"
#include "../unit/emulated_rig.h"
#include "accepting.h"
#include "drivers.h"
#include "port/port.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PACKETS_MAX 32
#define FRAME_MAX   4000
#define RING	    64
#define SEC	    (RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED)

#define must(held)                                                                 \
	do {                                                                       \
		if (!(held)) {                                                     \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #held); \
			abort();                                                   \
		}                                                                  \
	} while (0)

enum how {
	HOW_FRAME,	     /* a frame as it is */
	HOW_TEXT = 1,	     /* behind the headers of a session's packet, a tag behind it */
	HOW_MEND = 1 << 1,   /* a frame: right its IPv4 checksum */
	HOW_SECOND = 1 << 7, /* an odd number of these: by the second NIC */
};

struct head {
	uint8_t how;
	uint8_t sa;	/* which session's, modulo */
	uint8_t cut;	/* 0 = one segment, else octets per segment */
	uint8_t len[2]; /* little-endian */
};

struct packet {
	uint8_t frame[FRAME_MAX];
	uint32_t len;
};

static const struct rig_sa sas[] = {
	{ 0 },
	{ .protocol = true },
	{ .protocol = true, .v6 = true, .esn = true },
	{ .protocol = true, .udp = true },
	{ .protocol = true, .transport = true },
	{ .protocol = true, .transport = true, .v6 = true },
	{ .protocol = true, .transport = true, .udp = true },
	{ .protocol = true, .cipher = "aes-cbc-128", .auth = "hmac-sha256-128", .window = 64 },
	{ .protocol = true, .cipher = "null", .auth = "hmac-sha1-96", .v6 = true },
	{ .esn = true, .v6 = true, .udp = true, .cipher = "aes-gcm-256", .icv = 8 },
	{ .cipher = "aes-cbc-128", .auth = "hmac-sha512-256", .transport = true },
};

/* By default, and one that takes trailers off. */
static struct rig *nics[2];
static uint64_t last;

static void
nic_open(int i, const char *options)
{
	nics[i] = rig_new(options, RING);
	for (uint32_t k = 0; k < RTE_DIM(sas); k++) {
		struct rig_sa sa = sas[k];
		void *session;

		sa.ingress = true;
		sa.spi = 0x1001 + k;
		session = rig_session(nics[i], &sa);
		must(session != NULL && rig_rule(nics[i], &sa, session) != NULL);
	}
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err err;

	/* What the EAL keeps until the end is no leak of an input. */
	__lsan_disable();
	must(test_eal_init() == 0);
	must(port_pool_create("rig", 2047, 1800, SOCKET_ID_ANY, &rig_pool, &err) == 0);
	rig_engine = &accepting;
	nic_open(0, "window=device");
	nic_open(1, "window=device,trailer=device");
	__lsan_enable();
	return 0;
}

static void
buffer_free(void *addr, void *info)
{
	free(addr);
	free(info);
}

/* A segment whose buffer has not an octet more. */
static struct rte_mbuf *
segment(const uint8_t *octets, uint32_t n)
{
	struct rte_mbuf_ext_shared_info *info = malloc(sizeof(*info));
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig_pool);
	uint8_t *buffer = malloc(n);

	must(m != NULL && info != NULL && buffer != NULL);
	memcpy(buffer, octets, n);
	*info = (struct rte_mbuf_ext_shared_info) { .free_cb = buffer_free, .fcb_opaque = info };
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, buffer, (rte_iova_t)(uintptr_t)buffer, (uint16_t)n, info);
	m->data_off = 0;
	m->data_len = (uint16_t)n;
	m->pkt_len = n;
	return m;
}

static struct rte_mbuf *
chain(const struct packet *p, uint32_t cut)
{
	struct rte_mbuf *m = NULL;

	for (uint32_t off = 0, n; off < p->len; off += n) {
		struct rte_mbuf *s;

		n = off == 0 ? cut : cut > 64 ? cut : 64;
		n = cut == 0 ? p->len : RTE_MIN(n, p->len - off);
		s = segment(p->frame + off, n);
		if (m == NULL)
			m = s;
		else
			must(rte_pktmbuf_chain(m, s) == 0);
	}
	return m;
}

static void
mend(struct packet *p)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(p->frame + RIG_L2);

	if (p->len < RIG_L2 + sizeof(*ip) || p->frame[12] != 8 || p->frame[13] != 0 ||
	    p->len < RIG_L2 + 4u * (p->frame[RIG_L2] & 15))
		return;
	ip->hdr_checksum = wire_ip4_checksum(ip, 4 * (p->frame[RIG_L2] & 15));
}

/* The text takes the place of one that a sender has written. */
static void
text_make(struct packet *p, uint8_t index, const uint8_t *octets, uint32_t n)
{
	struct rig_sa sa = sas[index % RTE_DIM(sas)];
	struct suite s = rig_suite(&sa);
	uint8_t inner[RIG_FRAME_MAX];
	uint32_t text = RTE_ALIGN_CEIL(n + 1, (uint32_t)s.align), size, head;
	uint16_t id = 0;

	sa.spi = 0x1001 + index % (uint32_t)RTE_DIM(sas);
	head = RIG_L2 + (sa.v6 ? 40 : 20) + (sa.udp ? 8 : 0) + 8u + s.iv_len;
	/* An inner packet for a text of this size: behind its own header, or as a whole. */
	size = text - 2 + (sa.transport ? (sa.v6 ? 40 : 20) : 0);
	if (size < 64)
		size = RTE_ALIGN_CEIL(64u - 2, (uint32_t)s.align) + size % s.align;
	p->len = rig_encap(&sa, inner, rig_inner(inner, sa.v6, size, 0, true), ++last, &id,
			   p->frame);
	memcpy(p->frame + head, octets, RTE_MIN(n, p->len - head - s.icv_len));
	/* The end of what was given is the trailer. */
	for (uint32_t i = 0; i < 2 && i < n; i++)
		p->frame[p->len - s.icv_len - 1 - i] = octets[n - 1 - i];
}

static size_t
packet_take(struct packet *p, struct head *h, const uint8_t *octets, size_t size)
{
	uint32_t n;

	memcpy(h, octets, sizeof(*h));
	n = RTE_MIN((uint32_t)(h->len[0] | h->len[1] << 8), (uint32_t)(size - sizeof(*h)));
	n = RTE_MIN(n, 1500u);
	octets += sizeof(*h);
	if ((h->how & HOW_TEXT) != 0) {
		text_make(p, h->sa, octets, n);
	} else {
		memcpy(p->frame, octets, n);
		p->len = n;
		if ((h->how & HOW_MEND) != 0)
			mend(p);
	}
	return sizeof(*h) + n;
}

static void
out_check(const struct rte_mbuf *m, const struct packet *given, uint16_t n)
{
	uint8_t copy[FRAME_MAX];
	uint64_t number;
	uint8_t tos;
	const uint8_t *frame;
	uint16_t i;

	rte_mbuf_sanity_check(m, 1);
	must(m->pkt_len <= sizeof(copy));
	frame = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	must(frame != NULL);
	if ((m->ol_flags & SEC) != 0) {
		must(inline_emulated.rx_number_get(m, &number, &tos));
		return;
	}
	for (i = 0; i < n; i++)
		if (given[i].len == m->pkt_len && memcmp(frame, given[i].frame, m->pkt_len) == 0)
			break;
	must(i < n);
}

static void
pass(struct rig *r, const struct packet *packets, const uint8_t *cuts, uint16_t n)
{
	struct rte_mbuf *pkts[PACKETS_MAX];
	uint64_t before = rig_stats(r, NULL).ipackets;
	uint16_t got, ok = 0;

	for (uint16_t i = 0; i < n; i++)
		must(rte_ring_enqueue(r->rx, chain(&packets[i], cuts[i])) == 0);
	got = rte_eth_rx_burst(r->id, 0, pkts, PACKETS_MAX);
	must(got <= n);
	for (uint16_t i = 0; i < got; i++) {
		out_check(pkts[i], packets, n);
		ok += (pkts[i]->ol_flags & SEC) == RTE_MBUF_F_RX_SEC_OFFLOAD;
		rte_pktmbuf_free(pkts[i]);
	}
	/* What the device took was well, and counted so. */
	must(rig_stats(r, NULL).ipackets - before == ok + (uint64_t)(n - got));
	must(rte_mempool_in_use_count(rig_pool) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	static struct packet packets[PACKETS_MAX];
	uint8_t cuts[PACKETS_MAX];
	uint16_t n = 0;
	uint8_t which = 0;

	while (n < PACKETS_MAX && size > sizeof(struct head)) {
		struct head h;
		size_t used = packet_take(&packets[n], &h, octets, size);

		octets += used;
		size -= used;
		cuts[n] = h.cut;
		which ^= (h.how & HOW_SECOND) != 0;
		if (packets[n].len > 0)
			n++;
	}
	pass(nics[which], packets, cuts, n);
	return 0;
}
