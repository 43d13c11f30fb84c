/* A device that was lost is believed only when it has answered: each queue pair gets one packet of
 * zeros to decipher, under a key that nobody else has. That its tag does not hold is answer enough.
 */
#include "cryptodev.h"

#include <errno.h>
#include <string.h>

#include <openssl/rand.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#define PROBE_TEXT 64
#define PROBE_SIZE (CRYPTO_BEFORE + ALG_IV_MAX + PROBE_TEXT + ALG_ICV_MAX)

struct probe_packet {
	struct rte_mbuf m;
	uint8_t octets[PROBE_SIZE];
	bool back;
} __rte_cache_aligned;

struct probe {
	struct kept *kept;
	struct entry entry;
	bool asked;
	uint64_t since_ms;
	struct probe_packet packets[]; /* by queue pair */
};

/* A suite that the device is used for, without ESN: nothing of it needs more than a slot. */
static struct kept *
probe_session(const struct session *like)
{
	struct session s = { .suite = like->suite };
	struct kept *k = NULL;

	s.suite.esn = false;
	if (RAND_bytes(s.key, sizeof(s.key)) == 1 &&
	    RAND_bytes(s.auth_key, sizeof(s.auth_key)) == 1)
		k = kept_new(&s, false);
	explicit_bzero(&s, sizeof(s));
	return k;
}

/* -ENOENT: nothing is done by this device, so there is nothing to ask. */
int
probe_start(struct device *d)
{
	const struct kept *like = kept_of(d);
	enum shape shape;
	struct probe *p;
	int rc;

	if (like == NULL)
		return -ENOENT;
	p = rte_zmalloc("cryptodev_probe", sizeof(*p) + cd.n_workers * sizeof(p->packets[0]),
			RTE_CACHE_LINE_SIZE);
	if (p == NULL)
		return -ENOMEM;
	d->probe = p;
	p->kept = probe_session(&like->s);
	rc = p->kept == NULL ? -ENOMEM : kept_make(p->kept, d, &shape, NULL);
	if (rc < 0) {
		probe_end(d);
		return rc;
	}
	p->entry.shape = (uint8_t)shape;
	p->since_ms = ms_now();
	return 0;
}

void
probe_end(struct device *d)
{
	if (d->probe == NULL)
		return;
	if (d->probe->kept != NULL)
		kept_free(d->probe->kept);
	rte_free(d->probe);
	d->probe = NULL;
}

static bool
queue_ask(struct device *d, struct lane *l, struct probe_packet *packet)
{
	struct probe *p = d->probe;
	const struct suite *suite = &p->kept->s.suite;
	struct rte_crypto_op *op = &l->slots[0].op;
	struct crypto_op what = { .session = &p->kept->s, .text_len = PROBE_TEXT };
	struct rte_mbuf *m = &packet->m;

	m->buf_addr = packet->octets;
	m->buf_iova = rte_mem_virt2iova(packet->octets);
	m->buf_len = PROBE_SIZE;
	m->data_len = PROBE_SIZE;
	m->pkt_len = PROBE_SIZE;
	m->nb_segs = 1;
	m->refcnt = 1;
	what.text = packet->octets + CRYPTO_BEFORE + suite->iv_len;
	what.tag = what.text + PROBE_TEXT;
	p->entry.session = p->kept->of[l->queue].session;
	return lane_fill_one(l, 0, &what, m, &p->entry) &&
	       rte_cryptodev_enqueue_burst(d->id, l->queue, &op, 1) == 1;
}

static bool
queue_has_answered(const struct device *d, const struct lane *l, struct probe_packet *packet)
{
	struct rte_crypto_op *back[1];

	if (!packet->back && rte_cryptodev_dequeue_burst(d->id, l->queue, back, 1) == 1)
		packet->back = back[0] == &l->slots[0].op;
	return packet->back;
}

enum probe_state
probe_poll(struct device *d)
{
	struct probe *p = d->probe;
	bool all = true;

	for (uint16_t i = 0; i < cd.n_workers; i++) {
		struct lane *l = cd.workers[i] != NULL ? &cd.workers[i]->lanes[d->index] : NULL;

		if (l == NULL)
			continue;
		if (!p->asked && !queue_ask(d, l, &p->packets[i]))
			return PROBE_BAD;
		all = queue_has_answered(d, l, &p->packets[i]) && all;
	}
	p->asked = true;
	if (all)
		return PROBE_GOOD;
	return ms_now() - p->since_ms < LOST_MS ? PROBE_WAITS : PROBE_BAD;
}
