#include "worker/mailbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "worker/worker.h"

#define DOWN_SIZE 1024
#define UP_SIZE	  256
#define SECOND_NS UINT64_C(1000000000)

#define ASKED_SLOTS	64
#define ASKED_AGAIN_NS	(SECOND_NS / 10)
#define ASKED_OTHERS_NS (SECOND_NS / 100)

/* Whom control was told last to resolve, of the addresses that share a slot. */
struct asked {
	uint32_t hash;
	uint64_t at; /* ns; 0 = never */
};

struct mailbox {
	struct rte_ring *down, *up;
	uint64_t posted __rte_cache_aligned; /* control's */
	uint64_t run __rte_cache_aligned;    /* the worker's */
	uint64_t lost;
	struct asked asked[ASKED_SLOTS];
};

/* What an auditor wants to hear of; the rest is counted only. */
static const enum drop_reason audited[] = {
	DROP_FRAG_TO_ESP,      DROP_NO_SA,	   DROP_REPLAY_ZERO,	  DROP_REPLAY_OLD,
	DROP_REPLAY_DUP,       DROP_ICV_FAIL,	   DROP_ESP_PADDING,	  DROP_POLICY_SELECTOR,
	DROP_EXPIRED,	       DROP_SEQ_EXHAUSTED, DROP_POLICY_CLEARTEXT, DROP_CRYPTO_FAIL,
	DROP_SUBSPACE_UNKNOWN,
};

static struct rte_ring *
ring_make(const struct worker *w, const char *what, unsigned int element, unsigned int n)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "%s_%u", what, w->index);
	return rte_ring_create_elem(name, element, n, w->socket,
				    RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

int
mailbox_init(struct worker *w, struct err *err)
{
	struct mailbox *box =
		rte_zmalloc_socket("mailbox", sizeof(*box), RTE_CACHE_LINE_SIZE, w->socket);

	w->mailbox = box;
	if (box != NULL) {
		box->down = ring_make(w, "down", sizeof(struct mail), DOWN_SIZE);
		box->up = ring_make(w, "up", sizeof(struct worker_event), UP_SIZE);
	}
	if (box == NULL || box->down == NULL || box->up == NULL) {
		mailbox_fini(w);
		return err_set(err, -ENOMEM, "no memory for the mailbox of worker %u", w->index);
	}
	memset(w->audit_at, 0xff, sizeof(w->audit_at));
	for (size_t i = 0; i < RTE_DIM(audited); i++)
		w->audit_at[audited[i]] = 0;
	return 0;
}

void
mailbox_fini(struct worker *w)
{
	if (w->mailbox == NULL)
		return;
	rte_ring_free(w->mailbox->down);
	rte_ring_free(w->mailbox->up);
	rte_free(w->mailbox);
	w->mailbox = NULL;
}

int
mailbox_post(struct worker *w, struct mail mail)
{
	if (rte_ring_sp_enqueue_elem(w->mailbox->down, &mail, sizeof(mail)) != 0)
		return -ENOBUFS;
	w->mailbox->posted++;
	return 0;
}

uint64_t
mailbox_posted(const struct worker *w)
{
	return w->mailbox->posted;
}

uint64_t
mailbox_run_count(const struct worker *w)
{
	return __atomic_load_n(&w->mailbox->run, __ATOMIC_ACQUIRE);
}

bool
mailbox_event(struct worker *w, struct worker_event *event)
{
	return rte_ring_sc_dequeue_elem(w->mailbox->up, event, sizeof(*event)) == 0;
}

uint64_t
mailbox_lost(const struct worker *w)
{
	return cell_get(&w->mailbox->lost);
}

uint16_t
mailbox_poll(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct mailbox *box = w->mailbox;
	struct mail mail;

	while (unlikely(rte_ring_sc_dequeue_elem(box->down, &mail, sizeof(mail)) == 0)) {
		mail.run(w, mail.arg);
		/* Released: what the mail did is seen by whoever sees it done. */
		__atomic_store_n(&box->run, box->run + 1, __ATOMIC_RELEASE);
	}
	return 0;
}

bool
mailbox_raise(struct worker *w, const struct worker_event *event)
{
	if (w->mailbox == NULL)
		return false;
	if (likely(rte_ring_sp_enqueue_elem(w->mailbox->up, (void *)(uintptr_t)event,
					    sizeof(*event)) == 0))
		return true;
	cell_add(&w->mailbox->lost, 1);
	return false;
}

static void
addresses(const struct rte_mbuf *m, struct audit_event *e)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->data_len >= 40 && ip[0] >> 4 == 6) {
		memcpy(e->src, ip + 8, 16);
		memcpy(e->dst, ip + 24, 16);
		e->family = 6;
	} else if (m->data_len >= 20 && ip[0] >> 4 == 4) {
		memcpy(e->src, ip + 12, 4);
		memcpy(e->dst, ip + 16, 4);
		e->family = 4;
	}
}

void
audit_note(struct worker *w, const struct rte_mbuf *m, enum drop_reason why)
{
	const struct pkt *p = pkt_of(m);
	struct worker_event e = { .audit = {
					  .kind = EVENT_AUDIT,
					  .now = w->now,
					  .seq = p->seq,
					  .spi_be = p->spi_be,
					  .sa = p->sa,
					  .generation = p->generation,
					  .reason = why,
					  .worker = w->index,
				  } };

	w->audit_at[why] = w->now + SECOND_NS;
	addresses(m, &e.audit);
	mailbox_raise(w, &e);
}

/* A flood to addresses that nobody has shall neither fill the ring nor hide the others: addresses
 * that share a slot wait for each other, but not long.
 */
void
mailbox_unresolved(struct worker *w, uint8_t port, uint8_t family, const uint8_t *address)
{
	struct worker_event e = { .unresolved = {
					  .kind = EVENT_UNRESOLVED,
					  .family = family,
					  .port = port,
				  } };
	uint32_t key[4] = { 0 }, hash; /* aligned, which an address in a packet is not */
	struct asked *asked;

	if (w->mailbox == NULL)
		return;
	memcpy(key, address, family == 6 ? 16 : 4);
	hash = rte_hash_crc(key, sizeof(key), port);
	asked = &w->mailbox->asked[hash % ASKED_SLOTS];
	if (asked->at != 0 &&
	    w->now - asked->at < (asked->hash == hash ? ASKED_AGAIN_NS : ASKED_OTHERS_NS))
		return;
	memcpy(e.unresolved.address, key, sizeof(key));
	if (mailbox_raise(w, &e))
		*asked = (struct asked) { hash, w->now };
}
