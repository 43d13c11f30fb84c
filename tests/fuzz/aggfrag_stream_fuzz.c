/* Payloads of IP-TFS as an SA's peer sends them, in any order, through the stages of the receiver
 * and the line behind it; with time, holes, and the end of the SA.
 *
 * An input is a list of payloads: an octet that says how (enum how), two that say how long
 * (little-endian), and the payload. After each input no packet may have vanished and none be left,
 * and what left is an IP packet.
 */
#include <netinet/in.h>
#include <stddef.h>

#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

#include "../unit/eal.h"
#include "../unit/path_rig.h"
#include "aggfrag/split.h"
#include "base/clock.h"
#include "drivers.h"
#include "esp/echo.h"
#include "iptfs/iptfs_stage.h"
#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MBUFS	     1024
#define RED_ZONE     64 /* octets behind each buffer that nobody may touch */
#define PAYLOADS_MAX 64
#define PAYLOAD_MAX  1900
#define DROP_TIME    UINT64_C(1000000)

enum how {
	HOW_LOST = 1 << 0,  /* a number is left out before it */
	HOW_LATER = 1 << 1, /* the time of a hole goes by before it */
	HOW_KIND = 1 << 2,  /* the last octet of the payload is the next header */
	HOW_BACK = 1 << 3,  /* its number is that of the last hole */
	HOW_TIME = 1 << 4,  /* half of the time of a hole goes by before it */
	HOW_ENDED = 1 << 5, /* the SA ends before it */
	HOW_OTHER = 1 << 6, /* the second stream, whose whole packets wait for nothing */
	HOW_CUT = 1 << 7,   /* in segments of 100 octets */
};

static struct path_rig rig;
static struct rte_mempool *pool;
static uint64_t numbers[2], holes[2], clock_ns = DROP_TIME;

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint8_t copy[WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX];
		uint32_t len = pkts[i]->pkt_len - RTE_ETHER_HDR_LEN;
		uint32_t have = RTE_MIN(len, (uint32_t)sizeof(copy));
		const uint8_t *ip = rte_pktmbuf_read(pkts[i], RTE_ETHER_HDR_LEN, have, copy);
		struct ip_info info;

		rte_mbuf_sanity_check(pkts[i], 1);
		rig_must(ip != NULL && wire_ip_parse(ip, have, len, &info) == WIRE_OK &&
				 info.total == len,
			 "an IP packet leaves");
		rte_pktmbuf_free(pkts[i]);
	}
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
red_zone(struct rte_mempool *p, void *arg, void *obj, unsigned int i)
{
	struct rte_mbuf *m = obj;

	m->buf_len -= RED_ZONE;
	ASAN_POISON_MEMORY_REGION((uint8_t *)m->buf_addr + m->buf_len, RED_ZONE);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	static const struct aggfrag_params params[2] = {
		{ .on = true, .reorder_window = 3, .drop_time = DROP_TIME },
		{ .on = true,
		  .reorder_window = 200,
		  .drop_time = DROP_TIME,
		  .send_immediately = true },
	};

	/* Lives until the end, in memory that the leak check does not look through. */
	__lsan_disable();
	rig_must(test_eal_init() == 0, "EAL");
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE + RED_ZONE, SOCKET_ID_ANY);
	rig_must(pool != NULL, "no memory for packets");
	rte_mempool_obj_iter(pool, red_zone, NULL);
	path_rig_make(&rig,
		      &(struct rig_params) {
			      .engines = engines, .n_engines = 1, .pool = pool, .sink = sink });
	for (int i = 0; i < 2; i++)
		path_rig_sa(&rig, &(struct rig_suite) { ALG_AES_GCM_128, .esn = true, .window = 64,
							.echo = true, .iptfs = &params[i] });
	pipe_add(&rig.pipe, rig.rows, STAGE_IPTFS_SPLIT);
	__lsan_enable();
	return 0;
}

static struct aggfrag_in *
stream(int i)
{
	return sa_more(sa_at(&rig.sas, rig.sa[i].in))->split;
}

static void
deliver(void)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n;

	do {
		n = iptfs_deliver(rig.w, NULL, pkts, 8);
		pipe_run(rig.w, STAGE_ECN_DECAP, pkts, n);
	} while (n == 8);
}

static void
time_goes_by(uint64_t ns)
{
	clock_ns += ns;
	clock_set(&rig.clock, clock_ns);
	rig.w->now = clock_ns;
	deliver();
}

static void
sa_ends(int i)
{
	struct sa *sa = sa_at(&rig.sas, rig.sa[i].in);

	iptfs_in_close(rig.w, sa);
	deliver();
	iptfs_in_forget(rig.w, sa);
}

/* Behind the headers that esp_strip leaves there. */
static struct rte_mbuf *
payload_make(const uint8_t *octets, uint32_t n, uint16_t head, uint32_t piece)
{
	struct rte_mbuf *m = NULL, *last = NULL;
	uint32_t at = 0;

	do {
		struct rte_mbuf *seg = rte_pktmbuf_alloc(pool);
		uint16_t take = (uint16_t)RTE_MIN(piece, n - at);

		rig_must(seg != NULL, "packets run out");
		if (m == NULL) {
			uint8_t *ip = rte_pktmbuf_mtod(seg, uint8_t *);

			memset(ip, 0, head);
			ip[0] = RTE_IPV4_VHL_DEF;
			seg->data_off += head;
		}
		memcpy(rte_pktmbuf_append(seg, take), octets + at, take);
		at += take;
		if (m == NULL) {
			m = seg;
		} else {
			last->next = seg;
			m->nb_segs++;
			m->pkt_len += take;
		}
		last = seg;
	} while (at < n);
	return m;
}

static uint64_t
number_of(int i, uint8_t how)
{
	if ((how & HOW_BACK) != 0 && holes[i] != 0) {
		uint64_t hole = holes[i];

		holes[i] = 0;
		return hole;
	}
	if ((how & HOW_LOST) != 0)
		holes[i] = ++numbers[i];
	return ++numbers[i];
}

static void
give(uint8_t how, const uint8_t *octets, uint32_t n)
{
	int i = (how & HOW_OTHER) != 0;
	struct sa *sa = sa_at(&rig.sas, rig.sa[i].in);
	uint16_t head = 20 + sa->esp_size;
	struct rte_mbuf *m =
		payload_make(octets, n, head, (how & HOW_CUT) != 0 ? 100 : PAYLOAD_MAX);

	*pkt_of(m) = (struct pkt) {
		.seq = number_of(i, how),
		.sa = rig.sa[i].in,
		.generation = sa->generation,
		.policy = POLICY_NONE,
		.next_hop = NEXT_HOP_NONE,
		.esp_off = 20,
		.text_len = (uint16_t)n,
		.port = RIG_BLACK,
		.flags = PKT_FROM_SA,
		.next_header =
			(how & HOW_KIND) != 0 && n > 0 ? octets[n - 1] : WIRE_AGGFRAG_NEXT_HEADER,
		.hot = sa,
	};
	cell_add(&rig.w->rx_packets, 1);
	pipe_run(rig.w, STAGE_IPTFS_SPLIT, &m, 1);
}

static void
step(uint8_t how, const uint8_t *octets, uint32_t n)
{
	if ((how & HOW_LATER) != 0)
		time_goes_by(DROP_TIME);
	if ((how & HOW_TIME) != 0)
		time_goes_by(DROP_TIME / 2);
	if ((how & HOW_ENDED) != 0)
		sa_ends((how & HOW_OTHER) != 0);
	give(how, octets, n);
	deliver();
}

/* As if nothing had come. */
static void
forget(void)
{
	for (int i = 0; i < 2; i++) {
		struct aggfrag_in *in = stream(i);

		sa_ends(i);
		in->begun = in->ended = in->skipping = false;
		numbers[i] = holes[i] = 0;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct esp_echo_seen echo;
	struct worker_event event;

	/* Rates of answers and of audit records have recovered. */
	time_goes_by(10 * NS_PER_SECOND);
	for (int i = 0; i < PAYLOADS_MAX && size >= 3; i++) {
		uint32_t n = octets[1] + 256u * octets[2];
		uint8_t how = octets[0];

		octets += 3;
		size -= 3;
		n = RTE_MIN(n, (uint32_t)PAYLOAD_MAX);
		n = RTE_MIN(n, (uint32_t)size);
		step(how, octets, n);
		octets += n;
		size -= n;
	}
	forget();
	while (esp_echo_next(rig.w->esp, &echo))
		rte_pktmbuf_free(echo.m);
	while (mailbox_event(rig.w, &event))
		;
	rig_must(rig.w->pushed == 0, "nothing waits");
	rig_must(iptfs_held(rig.w) == 0, "nothing is held");
	rig_must(path_rig_conserves(&rig), "conservation");
	rig_must(rte_mempool_avail_count(pool) == MBUFS, "no packet is lost");
	return 0;
}
