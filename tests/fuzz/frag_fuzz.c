/* Sequences of fragments, with state: any octets as pieces of a few datagrams, in any order, with
 * time going by, through reassembly and through the memory of what first fragments got.
 *
 * An input is a list of steps, each a head (struct head) and its octets. After each step the books
 * are right: what is held is what the pool lacks, and what becomes whole is an IP packet of the
 * length that it says. After each input nothing is left.
 */
#include <stddef.h>

#include <sanitizer/lsan_interface.h>

#include "../unit/eal.h"
#include "../unit/path_rig.h"
#include "frag/table.h"
#include "frag/virtual.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MBUFS	  256
#define STEPS_MAX 96
#define FRAME_MAX 1800

enum how {
	HOW_V6 = 1 << 0,
	HOW_MORE = 1 << 1,
	HOW_RAW = 1 << 2,     /* the octets are the packet, whatever they say */
	HOW_PEER = 1 << 3,    /* its source has a reserve */
	HOW_VIRTUAL = 1 << 4, /* not to be put together */
	HOW_TIME = 1 << 5,    /* half a second passes */
	HOW_CHAIN = 1 << 6,   /* in segments */
	HOW_OPTIONS = 1 << 7, /* IPv4 options, or hop-by-hop ones */
};

struct head {
	uint8_t how;
	uint8_t name; /* of the datagram: some bits of addresses, protocol, identification, ECN */
	uint8_t at[2], len;
};

static struct rte_mempool *pool;
static struct frag_shared *shared;
static struct worker *w;
static uint64_t fed, out;

static void
must(bool held, const char *what)
{
	rig_must(held, what);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct frag_limits limits = { UINT64_C(2000000000), 8, 24, MBUFS / 4, 0 };
	struct err err = { "" };

	__lsan_disable();
	must(test_eal_init() == 0, "EAL");
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);
	must(pool != NULL && w != NULL, "memory");
	w->n_workers = 1;
	w->socket = SOCKET_ID_ANY;
	w->now = 1;
	w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	must(w->sparse != NULL, "memory");
	must(mailbox_init(w, &err) == 0, err.text);
	must(frag_shared_create(&shared, &err) == 0, err.text);
	/* The same way each time. */
	memset(shared->secret, 0x5a, sizeof(shared->secret));
	must(frag_worker_init(w, shared, &limits, &err) == 0, err.text);
	__lsan_enable();
	return 0;
}

/* What a head makes of octets: a fragment that is well formed but for what it says. */
static uint32_t
packet_make(uint8_t *to, const struct head *h, const uint8_t *octets, uint32_t len)
{
	uint16_t at = (uint16_t)(h->at[0] << 8 | h->at[1]);
	bool more = (h->how & HOW_MORE) != 0, options = (h->how & HOW_OPTIONS) != 0;
	uint32_t header;

	memset(to, 0, 64);
	if ((h->how & HOW_V6) != 0) {
		header = options ? 56 : 48;
		to[0] = 0x60;
		to[1] = (uint8_t)(h->name << 4 & 0x30);
		to[6] = options ? IPPROTO_HOPOPTS : IPPROTO_FRAGMENT;
		to[7] = 64;
		to[8] = to[24] = 0xfd;
		to[23] = h->name >> 2 & 1;
		if (options) {
			to[40] = IPPROTO_FRAGMENT;
			to[42] = 1;
			to[43] = 4;
		}
		to[header - 8] = (h->name & 8) != 0 ? IPPROTO_UDP : IPPROTO_ESP;
		to[header - 6] = (uint8_t)(at >> 8);
		to[header - 5] = (uint8_t)((at & 0xf8) | more);
		to[header - 1] = h->name >> 4;
		to[4] = (uint8_t)((header - 40 + len) >> 8);
		to[5] = (uint8_t)(header - 40 + len);
	} else {
		header = options ? 24 : 20;
		to[0] = (uint8_t)(0x40 | header / 4);
		to[1] = h->name & 3;
		to[2] = (uint8_t)((header + len) >> 8);
		to[3] = (uint8_t)(header + len);
		to[5] = h->name >> 4;
		to[6] = (uint8_t)((at >> 11) | more << 5);
		to[7] = (uint8_t)(at >> 3);
		to[8] = 64;
		to[9] = (h->name & 8) != 0 ? IPPROTO_UDP : IPPROTO_ESP;
		to[12] = to[16] = 10;
		to[15] = h->name >> 2 & 1;
		if (options)
			to[20] = to[21] = to[22] = 1;
	}
	memcpy(to + header, octets, len);
	return header + len;
}

static struct rte_mbuf *
mbuf_make(const uint8_t *octets, uint32_t n, bool chain)
{
	uint32_t step = chain ? 300 : FRAME_MAX;
	struct rte_mbuf *first = NULL;

	for (uint32_t at = 0; at < n; at += step) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		must(m != NULL, "buffers are bounded");
		memcpy(rte_pktmbuf_append(m, (uint16_t)RTE_MIN(step, n - at)), octets + at,
		       RTE_MIN(step, n - at));
		if (first == NULL)
			first = m;
		else
			must(rte_pktmbuf_chain(first, m) == 0, "a chain");
	}
	return first;
}

/* As classify would describe it. False: it would not have come here. */
static bool
describe(struct rte_mbuf *m)
{
	struct ip_info info;

	pkt_reset(pkt_of(m), 0);
	if (wire_ip_parse_sum(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, true,
			      &info) != WIRE_OK ||
	    (info.flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER)) == 0)
		return false;
	if (info.total < m->pkt_len)
		mbuf_cut_tail(m, m->pkt_len - info.total);
	pkt_fill(pkt_of(m), &info);
	return true;
}

static void
whole_check(struct rte_mbuf *m)
{
	struct ip_info info;

	rte_mbuf_sanity_check(m, 1);
	must(wire_ip_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &info) ==
		     WIRE_OK,
	     "what is whole is a packet");
	must(info.total == m->pkt_len, "its length is what it says");
	must((info.flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER)) == 0, "it is no fragment");
}

/* Pushed by a first fragment for those that waited for it. */
static void
pushed_take(bool again)
{
	struct pending *q = &w->pending[STAGE_FRAG_MATCH];
	uint16_t n = q->n;

	q->n = 0;
	w->pushed = 0;
	for (uint16_t i = 0; i < n; i++) {
		must(frag_virtual_match(w, q->pkts[i], FRAG_OUT, 1, STAGE_FRAG_MATCH) || !again,
		     "what waited for a first fragment gets what that got");
		rte_pktmbuf_free(q->pkts[i]);
		out++;
	}
}

static void
feed(struct rte_mbuf *m, const struct head *h)
{
	fed++;
	if ((h->how & HOW_VIRTUAL) == 0) {
		m = frag_table_put(w->frag->table, w, m, (h->how & HOW_PEER) != 0);
		if (m == NULL)
			return;
		whole_check(m);
	} else {
		pkt_of(m)->policy = h->at[1] & 3;
		if (!frag_virtual_match(w, m, FRAG_OUT, 1, STAGE_FRAG_MATCH))
			return;
		pushed_take(true);
	}
	rte_pktmbuf_free(m);
	out++;
}

static void
books_check(void)
{
	struct frag_counts c = frag_counts_read(w);
	uint64_t dropped = 0;

	for (int i = 0; i < DROP_MAX; i++)
		dropped += w->drops[i];
	must(fed == out + dropped + w->merged + frag_held(w), "no fragment vanishes");
	must(c.segments + c.match_segments == rte_mempool_in_use_count(pool), "nor a buffer");
	must(c.segments <= MBUFS / 4, "they are bounded");
	must(c.datagrams <= 8 && c.match_datagrams <= 8, "datagrams are");
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	static uint8_t packet[FRAME_MAX + 64];
	struct head h;

	for (int i = 0; i < STEPS_MAX && size > sizeof(h); i++) {
		struct rte_mbuf *m;
		uint32_t len, n;

		memcpy(&h, octets, sizeof(h));
		octets += sizeof(h);
		size -= sizeof(h);
		len = RTE_MIN(h.len * 8u, (uint32_t)size);
		len = RTE_MIN(len, (uint32_t)FRAME_MAX - 64);
		if ((h.how & HOW_TIME) != 0)
			w->now += UINT64_C(500000000);
		frag_expire(w, NULL, NULL, 0);
		n = (h.how & HOW_RAW) != 0 ? len : packet_make(packet, &h, octets, len);
		if ((h.how & HOW_RAW) != 0)
			memcpy(packet, octets, len);
		octets += len;
		size -= len;
		m = n == 0 ? NULL : mbuf_make(packet, n, (h.how & HOW_CHAIN) != 0);
		if (m != NULL && describe(m))
			feed(m, &h);
		else
			rte_pktmbuf_free(m);
		books_check();
	}
	frag_drop(w, DROP_STOPPED);
	must(rte_mempool_full(pool), "none is left");
	return 0;
}
