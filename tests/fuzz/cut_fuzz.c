/* Any octets as an IP packet that is cut into pieces of any size, and as one whose MSS is lowered.
 *
 * Of an input the first two octets are the size of a piece, the third says how much of the packet
 * lies in the first segment. The pieces are IP packets whose data are the packet's; lowering
 * changes two octets at most, and the checksum by as much.
 */
#include <netinet/in.h>
#include <stddef.h>

#include <sanitizer/lsan_interface.h>

#include <rte_tcp.h>

#include "../unit/eal.h"
#include "frag/cut.h"
#include "frag/mss.h"
#include "wire/ip.h"
#include "worker/pkt_fill.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define ROOM		2048
#define FRAME_MAX	1800
#define HEAD		3
#define FRAGMENT_HEADER 8

static struct rte_mempool *pool;

static void
must(bool held)
{
	if (!held)
		abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	__lsan_disable();
	must(test_eal_init() == 0);
	pool = rte_pktmbuf_pool_create("packets", 2 * CUT_PIECES_MAX, 0, sizeof(struct pkt),
				       RTE_PKTMBUF_HEADROOM + ROOM, SOCKET_ID_ANY);
	must(pool != NULL);
	__lsan_enable();
	return 0;
}

/* Extension headers of an IPv6 packet that wire_ip_parse() took. */
static uint32_t
headers_of(const uint8_t *ip, uint16_t l4_off)
{
	uint32_t n = 0, off = WIRE_IP6_HEADER;
	uint8_t here = ip[offsetof(struct rte_ipv6_hdr, proto)];

	for (; off < l4_off; n++) {
		uint32_t more = here == IPPROTO_FRAGMENT ? 0 : ip[off + 1];

		here = ip[off];
		off += (more + 1) * 8;
	}
	return n;
}

/* The headers lie in the first segment: classify sees to that. NULL: no packet. */
static struct rte_mbuf *
packet_make(const uint8_t *octets, uint32_t n, uint8_t first)
{
	struct rte_mbuf *m, *rest;
	struct ip_info info;
	uint32_t head;

	if (wire_ip_parse(octets, n, n, &info) != WIRE_OK)
		return NULL;
	/* The pieces have a fragment header more, and must be what we read. */
	if (info.l4_off > WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX - FRAGMENT_HEADER ||
	    ((info.flags & IP_INFO_V6) != 0 &&
	     headers_of(octets, info.l4_off) == WIRE_EXT_HEADERS_MAX))
		return NULL;
	n = info.total;
	head = RTE_MIN(n, (uint32_t)info.l4_off + first);
	m = rte_pktmbuf_alloc(pool);
	rest = rte_pktmbuf_alloc(pool);
	must(m != NULL && rest != NULL);
	memcpy(rte_pktmbuf_append(m, (uint16_t)head), octets, head);
	memcpy(rte_pktmbuf_append(rest, (uint16_t)(n - head)), octets + head, n - head);
	if (n == head)
		rte_pktmbuf_free(rest);
	else
		must(rte_pktmbuf_chain(m, rest) == 0);
	pkt_reset(pkt_of(m), 0);
	pkt_fill(pkt_of(m), &info);
	return m;
}

static void
pieces_check(struct rte_mbuf **pieces, uint16_t n, uint16_t mtu, uint32_t whole)
{
	uint32_t data = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct ip_info info;

		must(pieces[i]->nb_segs == 1 &&
		     pieces[i]->pkt_len <= (uint32_t)RTE_MAX(mtu, (uint16_t)28));
		must(wire_ip_parse(rte_pktmbuf_mtod(pieces[i], const uint8_t *),
				   pieces[i]->data_len, pieces[i]->pkt_len, &info) == WIRE_OK);
		must(info.total == pieces[i]->pkt_len);
		data += pieces[i]->pkt_len;
	}
	must(n > 0 && data + 40 >= whole);
	rte_pktmbuf_free_bulk(pieces, n);
}

static void
cut(const struct rte_mbuf *m, uint16_t mtu)
{
	struct rte_mbuf *pieces[CUT_PIECES_MAX];
	uint16_t n, ids = 0;
	const struct cut c = {
		.mtu = mtu,
		.max = CUT_PIECES_MAX,
		.v6 = (pkt_of(m)->flags & PKT_V6) != 0,
		.ipv4_id = &ids,
	};

	if (cut_up(m, &c, pool, pieces, &n) == DROP_NONE)
		pieces_check(pieces, n, mtu, m->pkt_len);
}

static void
clamp(struct rte_mbuf *m, uint16_t mtu)
{
	uint8_t before[FRAME_MAX], after[FRAME_MAX];
	uint32_t n = m->pkt_len, differ = 0;

	memcpy(before, rte_pktmbuf_read(m, 0, n, before), n);
	if (!mss_clamp(m, mtu)) {
		must(memcmp(before, rte_pktmbuf_read(m, 0, n, after), n) == 0);
		return;
	}
	must(m->pkt_len == n);
	memcpy(after, rte_pktmbuf_read(m, 0, n, after), n);
	for (uint32_t i = 0; i < n; i++)
		differ += before[i] != after[i];
	must(memcmp(before, after, pkt_of(m)->l4_off + offsetof(struct rte_tcp_hdr, cksum)) == 0);
	/* An option of four octets at most ten times. */
	must(differ <= 2 + 10 * 2);
	must(!mss_clamp(m, mtu));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	uint16_t mtu;
	struct rte_mbuf *m;

	if (size < HEAD || size > FRAME_MAX)
		return 0;
	m = packet_make(octets + HEAD, (uint32_t)size - HEAD, octets[2]);
	if (m == NULL)
		return 0;
	mtu = (uint16_t)(octets[0] << 8 | octets[1]);
	cut(m, mtu);
	clamp(m, mtu);
	rte_pktmbuf_free(m);
	must(rte_mempool_avail_count(pool) == 2 * CUT_PIECES_MAX);
	return 0;
}
