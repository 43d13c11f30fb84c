/* What comes from the link for our own host, and what the host sends by a mirror: any octets as
 * frames, whole or cut into chains, through classify, the policies and punt.
 *
 * An input is a list of frames, each a head (struct head) and its octets. After each input no frame
 * may have vanished and none be left: the counters balance and the pool is full.
 */
#include <errno.h>
#include <stddef.h>

#include <sanitizer/lsan_interface.h>

#include "../unit/eal.h"
#include "../unit/path_rig.h"
#include "punt/punt.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MBUFS	   512
#define FRAMES_MAX 16
#define FRAME_MAX  1900

enum how {
	HOW_RED = 1 << 0,
	HOW_HOST = 1 << 1, /* by the mirror */
	HOW_MEND = 1 << 2, /* right the IPv4 header checksum */
	HOW_OURS = 1 << 3, /* to our address, or from it; and to the port's MAC address */
};

struct head {
	uint8_t how;
	uint8_t cut; /* 0 = one segment, else octets per segment */
	uint8_t len[2];
};

/* There is no SA here: an engine that serves none. */
static int
serves(const struct suite *suite, struct err *err)
{
	return -ENOTSUP;
}

static int
idle_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out, struct err *err)
{
	*out = NULL;
	return 0;
}

static void
idle_fini(struct engine_worker *ew)
{
}

static void
idle_run(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	abort();
}

static const struct engine idle = {
	.name = "idle",
	.serves = serves,
	.worker_init = idle_init,
	.worker_fini = idle_fini,
	.encrypt = idle_run,
	.decrypt = idle_run,
};

static struct path_rig rig;
static uint64_t taken, fed;

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		rte_mbuf_sanity_check(pkts[i], 1);
		rig_must(pkts[i]->pkt_len >= RTE_ETHER_HDR_LEN, "a frame leaves");
		rte_pktmbuf_free(pkts[i]);
	}
	cell_add(&w->tx_packets, n);
	return 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct policy_params special[] = {
		{ .action = POLICY_BYPASS, .protocol = IPPROTO_UDP, .dst_port = { 53, 53 } },
		{ .action = POLICY_DISCARD, .protocol = IPPROTO_TCP, .dst_port = { 23, 23 } },
	};
	static const struct engine *const engines[] = { &idle };
	struct err err = { "" };

	__lsan_disable();
	rig_must(test_eal_init() == 0, "EAL");
	path_rig_make(&rig,
		      &(struct rig_params) { .engines = engines,
					     .n_engines = 1,
					     .pool = rte_pktmbuf_pool_create(
						     "packets", MBUFS, 0, sizeof(struct pkt),
						     RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY),
					     .sink = sink });
	for (size_t i = 0; i < RTE_DIM(special); i++) {
		rig_policy_add(&rig, 0, true, SPD_OUT, &special[i]);
		rig_policy_add(&rig, 0, true, SPD_IN, &special[i]);
	}
	spd_commit(rig.spd);
	rig_must(punt_worker_init(0, SOCKET_ID_ANY, &rig.w->punt, &err) == 0, err.text);
	rig.view.mirrored = 1 << RIG_BLACK | 1 << RIG_RED;
	__lsan_enable();
	return 0;
}

static void
checksum_mend(uint8_t *ip, uint32_t n)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)ip;

	if (n >= sizeof(*v4) && ip[0] >> 4 == 4 && rte_ipv4_hdr_len(v4) >= sizeof(*v4) &&
	    rte_ipv4_hdr_len(v4) <= n)
		v4->hdr_checksum = wire_ip4_checksum(ip, rte_ipv4_hdr_len(v4));
}

/* Chance finds our addresses seldom. */
static void
ours_write(uint8_t *frame, uint32_t n, uint8_t port, bool host)
{
	const struct link *link = &rig.links[port];
	uint8_t *ip = frame + RTE_ETHER_HDR_LEN;

	if (n < RTE_ETHER_HDR_LEN + WIRE_IP6_HEADER)
		return;
	if (!host)
		memcpy(frame, &link->mac, sizeof(link->mac));
	if (ip[0] >> 4 == 6)
		memcpy(ip + (host ? 8 : 24), link->addresses[1].addr.octets, 16);
	else
		memcpy(ip + (host ? 12 : 16), link->addresses[0].addr.octets, 4);
}

static struct rte_mbuf *
chain_make(const uint8_t *octets, uint32_t n, uint32_t piece)
{
	struct rte_mbuf *first = NULL;

	if (piece == 0 || n / piece > 20)
		piece = FRAME_MAX;
	for (uint32_t at = 0; at < n; at += piece) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
		uint16_t take = (uint16_t)RTE_MIN(piece, n - at);

		rig_must(m != NULL, "frames run out");
		memcpy(rte_pktmbuf_append(m, take), octets + at, take);
		if (first == NULL)
			first = m;
		else
			rig_must(rte_pktmbuf_chain(first, m) == 0, "a chain");
	}
	return first;
}

static void
feed(struct rte_mbuf *m, uint8_t port, bool host)
{
	struct rte_mbuf *burst[1] = { m };

	fed++;
	rig.w->now += 1000000;
	if (!host) {
		path_rig_feed(&rig, port, &m, 1);
		return;
	}
	pkt_of(m)->port = port;
	rig_must(punt_inject(rig.w->punt, m), "room");
	pipe_run(rig.w, STAGE_CLASSIFY_OWN, burst, inject_rx(rig.w, NULL, burst, 1));
}

static void
host_takes(void)
{
	struct rte_mbuf *m;

	for (int class = 0; class < PUNT_MAX; class ++)
		while (punt_take(rig.w->punt, class, &m, 1) == 1) {
			rte_mbuf_sanity_check(m, 1);
			rig_must(m->pkt_len >= RTE_ETHER_HDR_LEN &&
					 m->data_len >= RTE_ETHER_HDR_LEN && pkt_of(m)->port < 2,
				 "a frame for the host");
			rte_pktmbuf_free(m);
			taken++;
		}
}

static uint64_t
ended(void)
{
	uint64_t n = rig.w->tx_packets + taken;

	for (int i = 0; i < DROP_MAX; i++)
		n += rig.w->drops[i];
	for (int i = 0; i < CONSUMED_MAX; i++)
		n += rig.w->consumed[i];
	for (int i = 0; i < GENERATED_MAX; i++)
		n -= rig.w->generated[i];
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	static uint8_t frame[FRAME_MAX];
	struct head h;

	for (int i = 0; i < FRAMES_MAX && size > sizeof(h); i++) {
		uint32_t len;
		struct rte_mbuf *m;

		memcpy(&h, octets, sizeof(h));
		octets += sizeof(h);
		size -= sizeof(h);
		len = h.len[0] + 256u * h.len[1];
		len = RTE_MIN(len, (uint32_t)size);
		len = RTE_MIN(len, (uint32_t)FRAME_MAX);
		memcpy(frame, octets, len);
		octets += len;
		size -= len;
		if ((h.how & HOW_OURS) != 0)
			ours_write(frame, len, h.how & HOW_RED, (h.how & HOW_HOST) != 0);
		if ((h.how & HOW_MEND) != 0 && len > RTE_ETHER_HDR_LEN)
			checksum_mend(frame + RTE_ETHER_HDR_LEN, len - RTE_ETHER_HDR_LEN);
		m = len == 0 ? NULL : chain_make(frame, len, h.cut);
		if (m != NULL)
			feed(m, h.how & HOW_RED, (h.how & HOW_HOST) != 0);
	}
	host_takes();
	rig_must(ended() == fed, "no frame vanishes");
	rig_must(rte_mempool_full(rig.pool), "none is left");
	return 0;
}
