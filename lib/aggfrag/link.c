#include "aggfrag/link.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "aggfrag/cc_header.h"
#include "base/clock.h"

/* How long nothing is told while nothing happens: an RTT, within bounds. */
#define TELL_MIN     (100 * UINT64_C(1000))
#define TELL_MAX     (100 * UINT64_C(1000000))
#define FOLLOW_TRIES 1000

int
aggfrag_link_create(struct aggfrag_link **out, struct err *err)
{
	*out = rte_zmalloc("aggfrag_link", sizeof(**out), RTE_CACHE_LINE_SIZE);
	if (*out == NULL)
		return err_set(err, -ENOMEM, "no memory for the feedback of IP-TFS");
	return 0;
}

void
aggfrag_link_give(struct aggfrag_link *link)
{
	if (link != NULL && --link->users == 0)
		rte_free(link);
}

void
aggfrag_link_follow(struct aggfrag_link *link, const struct aggfrag_link *before)
{
	struct aggfrag_report r = { .own_loss_rate = 0 };
	uint64_t version = 0;

	/* One that is being written is soon whole. */
	for (int i = 0; i < FOLLOW_TRIES; i++)
		if (aggfrag_link_read(before, &version, &r))
			break;
	aggfrag_loss_begin(&link->loss, r.own_loss_rate);
}

/* Every word is released, so that who sees one of them sees the odd version too, and takes none of
 * it; a fence would do, but ThreadSanitizer knows none.
 */
static void
tell(struct aggfrag_link *link, uint64_t now)
{
	uint64_t rtt = __atomic_load_n(&link->rtt, __ATOMIC_RELAXED), words[AGGFRAG_REPORT_WORDS];
	struct aggfrag_report *r = &link->report;

	r->own_loss_rate = aggfrag_loss_rate(&link->loss);
	r->own_marked = aggfrag_loss_marked(&link->loss);
	r->received = link->loss.received;
	r->missed = link->loss.missed;
	memcpy(words, r, sizeof(words));
	__atomic_store_n(&link->version, link->version + 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < AGGFRAG_REPORT_WORDS; i++)
		__atomic_store_n(&link->told[i], words[i], __ATOMIC_RELEASE);
	__atomic_store_n(&link->version, link->version + 1, __ATOMIC_RELEASE);
	link->urgent = false;
	rtt = RTE_MAX(rtt, TELL_MIN);
	link->due = now + RTE_MIN(rtt, TELL_MAX);
}

/* The time that one packet took there and back. A time that we never sent, or that is more than
 * half of the field's range ago, is none. */
static uint32_t
rtt_sample(const struct aggfrag_cc_header *h, uint64_t now)
{
	uint32_t took = (uint32_t)(now / 1000) - h->techo;

	if (took > INT32_MAX || h->echo_delay_us > took || h->echo_delay_us == AGGFRAG_CC_DELAY_MAX)
		return 0;
	return RTE_MAX(took - h->echo_delay_us, UINT32_C(1));
}

void
aggfrag_link_heard(struct aggfrag_link *link, const struct aggfrag_cc_header *h, uint64_t seq,
		   uint64_t now)
{
	struct aggfrag_report *r = &link->report;

	if (seq <= link->header_seq)
		return;
	link->header_seq = seq;
	aggfrag_loss_rtt(&link->loss, h->rtt_us * UINT64_C(1000), now);
	if (h->tval != 0 && h->tval != r->tval) {
		r->tval = h->tval;
		r->tval_at = now;
	}
	/* Only what arrived there is an answer: a header that says the same again may come though
	 * nothing of ours gets through any more. */
	if (h->techo != 0 && h->techo != link->techo) {
		link->techo = h->techo;
		r->path_rtt_us = rtt_sample(h, now);
		r->answered++;
	}
	if (h->loss_rate != 0 && (r->loss_rate == 0 || h->loss_rate < r->loss_rate))
		link->urgent = true;
	r->heard++;
	r->loss_rate = h->loss_rate;
	r->peer_gap_us = h->gap_us;
	r->marked = h->marked;
	if (link->urgent || now >= link->due)
		tell(link, now);
}

void
aggfrag_link_took(struct aggfrag_link *link, uint64_t seq, uint8_t loss_flags, uint64_t now)
{
	if (aggfrag_loss_take(&link->loss, seq, loss_flags, now))
		link->urgent = true;
	if (unlikely(link->urgent || now >= link->due))
		tell(link, now);
}

bool
aggfrag_link_read(const struct aggfrag_link *link, uint64_t *version, struct aggfrag_report *out)
{
	uint64_t before = __atomic_load_n(&link->version, __ATOMIC_ACQUIRE);
	uint64_t words[AGGFRAG_REPORT_WORDS];

	if (before == *version || before % 2 != 0)
		return false;
	for (unsigned int i = 0; i < AGGFRAG_REPORT_WORDS; i++)
		words[i] = __atomic_load_n(&link->told[i], __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&link->version, __ATOMIC_RELAXED) != before)
		return false;
	memcpy(out, words, sizeof(*out));
	*version = before;
	return true;
}
