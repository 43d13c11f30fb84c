/* Payloads of IP-TFS, in order, over every layout of buffers: what comes out, and what is dropped
 * for what, does not depend on where octets lie.
 *
 * An input is a list of payloads: an octet that says how (enum how), two that say how long
 * (little-endian), and the payload. It is run once for each layout. After each run no packet may
 * have vanished and none be left.
 */
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

#include "../unit/aggfrag_in_rig.h"
#include "../unit/eal.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MBUFS	     8192
#define RED_ZONE     64 /* octets behind each buffer that nobody may touch */
#define PAYLOADS_MAX 12
#define PAYLOAD_MAX  1900
#define HEADERS	     50 /* of an outer packet, in front of its payload */
#define MS	     UINT64_C(1000000)

enum how {
	HOW_LOST = 1 << 0,  /* the payload before it was */
	HOW_LATER = 1 << 1, /* a time goes by before it */
	HOW_WHOLE = 1 << 2, /* of the first one: the SA takes no pieces */
};

/* Octets of a segment, and whether others hold the buffers, too. */
static const struct {
	uint16_t segment;
	bool shared;
} layouts[] = { { PAYLOAD_MAX, false }, { PAYLOAD_MAX, true }, { 1, false },  { 3, false },
		{ 16, false },		{ 65, true },	       { 300, false } };

/* What became of an input. */
struct outcome {
	uint64_t drops[DROP_MAX], counts[AGGFRAG_RX_MAX];
	uint64_t all_pads, merged, packets, octets, hash;
};

static struct rte_mempool *pool;

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
	/* Lives until the end, in memory that the leak check does not look through. */
	__lsan_disable();
	in_rig_must(test_eal_init() == 0, "EAL");
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE + RED_ZONE, SOCKET_ID_ANY);
	in_rig_must(pool != NULL, "no memory for packets");
	rte_mempool_obj_iter(pool, red_zone, NULL);
	__lsan_enable();
	return 0;
}

static struct rte_mbuf *
payload_make(const uint8_t *octets, uint32_t n, uint16_t segment, bool shared)
{
	struct rte_mbuf *m = NULL, *last = NULL;
	uint32_t at = 0;

	do {
		uint16_t take = (uint16_t)RTE_MIN((uint32_t)segment, n - at);
		struct rte_mbuf *seg = rte_pktmbuf_alloc(pool);

		in_rig_must(seg != NULL, "packets run out");
		if (m == NULL)
			seg->data_off += HEADERS;
		memcpy(rte_pktmbuf_append(seg, take), octets + at, take);
		rte_mbuf_refcnt_set(seg, shared ? 2 : 1);
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

/* The other holder lets go. */
static void
others_free(struct rte_mbuf *const *segments, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free_seg(segments[i]);
}

static uint32_t
segments_note(struct rte_mbuf *m, struct rte_mbuf **segments)
{
	uint32_t n = 0;

	for (; m != NULL; m = m->next)
		segments[n++] = m;
	return n;
}

static void
outcome_read(const struct in_rig *rig, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	memcpy(o->drops, rig->w->drops, sizeof(o->drops));
	memcpy(o->counts, rig->in[0].counts, sizeof(o->counts));
	o->all_pads = rig->w->consumed[CONSUMED_ALL_PAD];
	o->merged = rig->w->merged;
	o->packets = rig->n;
	o->hash = 0xcbf29ce484222325;
	for (uint32_t i = 0; i < rig->n; i++) {
		o->octets += rig->out[i]->pkt_len;
		o->hash = (o->hash ^ rig->out[i]->pkt_len) * 0x100000001b3;
		for (const struct rte_mbuf *s = rig->out[i]; s != NULL; s = s->next)
			for (uint16_t k = 0; k < s->data_len; k++)
				o->hash = (o->hash ^ rte_pktmbuf_mtod(s, const uint8_t *)[k]) *
					  0x100000001b3;
	}
}

static void
layout_run(const uint8_t *octets, size_t size, uint16_t segment, bool shared, struct outcome *o)
{
	static struct in_rig rig;
	static struct rte_mbuf *others[PAYLOADS_MAX * PAYLOAD_MAX];
	struct aggfrag_params params = { .on = true, .reorder_window = 3, .drop_time = MS };
	uint64_t number = 0;
	uint32_t n_others = 0;

	params.dont_frag = size > 0 && (octets[0] & HOW_WHOLE) != 0;
	in_rig_up(&rig, pool, &params, 1);
	rig.w->now = 1000 * MS;
	for (int i = 0; i < PAYLOADS_MAX && size >= 3; i++) {
		uint32_t n = octets[1] + 256u * octets[2];
		uint8_t how = octets[0];
		struct rte_mbuf *m;

		octets += 3;
		size -= 3;
		n = RTE_MIN(n, (uint32_t)PAYLOAD_MAX);
		n = RTE_MIN(n, (uint32_t)size);
		m = payload_make(octets, n, segment, shared);
		if (shared)
			n_others += segments_note(m, others + n_others);
		if ((how & HOW_LATER) != 0)
			in_rig_wait(&rig, MS);
		number += 1 + (how & HOW_LOST);
		in_rig_give(&rig, number, m);
		if ((how & HOW_LOST) != 0)
			aggfrag_in_flush(rig.r, &rig.in[0]);
		in_rig_run(&rig);
		octets += n;
		size -= n;
	}
	outcome_read(&rig, o);
	others_free(others, n_others);
	in_rig_down(&rig);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct outcome first, other;

	for (size_t i = 0; i < RTE_DIM(layouts); i++) {
		layout_run(octets, size, layouts[i].segment, layouts[i].shared,
			   i == 0 ? &first : &other);
		if (i > 0)
			in_rig_must(memcmp(&first, &other, sizeof(first)) == 0,
				    "the same whatever the layout");
	}
	return 0;
}
