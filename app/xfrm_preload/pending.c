/* Requests that are under way, and their answers. */
#include <string.h>

#include <linux/netlink.h>

#include "preload.h"

#define REMEMBER_MAX 1024 /* of a request; daemons send no larger ones */

/* Whether Linux answers it without being asked for an acknowledgement: the ones that read. */
static bool
is_answered(const struct nlmsghdr *h)
{
	static const uint16_t reads[] = { 18, 21, 22, 31, 35, 37, 40 };

	if ((h->nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)) != 0)
		return true;
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		if (h->nlmsg_type == reads[i])
			return true;
	return false;
}

/* Octets at an offset of what lies in pieces; false: not so many are there. */
static bool
gather(const struct msghdr *msg, size_t at, void *to, size_t n)
{
	size_t got = 0;

	for (size_t i = 0; i < msg->msg_iovlen && got < n; i++) {
		const struct iovec *v = &msg->msg_iov[i];
		size_t part;

		if (at >= v->iov_len) {
			at -= v->iov_len;
			continue;
		}
		part = v->iov_len - at < n - got ? v->iov_len - at : n - got;
		memcpy((char *)to + got, (const char *)v->iov_base + at, part);
		got += part;
		at = 0;
	}
	return got == n;
}

/* What changes something is remembered, without what lies behind REMEMBER_MAX. */
static void
remember(struct link *l, const struct msghdr *msg, size_t at, const struct nlmsghdr *h)
{
	uint8_t request[REMEMBER_MAX];
	size_t n = h->nlmsg_len < sizeof(request) ? h->nlmsg_len : sizeof(request);

	if (gather(msg, at, request, n))
		again_asked(l->pid, request, n);
	explicit_bzero(request, n);
}

void
link_asked(struct link *l, const struct msghdr *msg, size_t len)
{
	struct nlmsghdr h;
	size_t at = 0;

	pthread_mutex_lock(&l->lock);
	while (len - at >= sizeof(h) && gather(msg, at, &h, sizeof(h)) &&
	       h.nlmsg_len >= sizeof(h) && h.nlmsg_len <= len - at) {
		if (is_answered(&h) && l->n_pending < PENDING_MAX)
			l->pending[l->n_pending++] =
				(struct pending) { h.nlmsg_seq,
						   now_ms() + ANSWER_S * INT64_C(1000) };
		remember(l, msg, at, &h);
		at += NLMSG_ALIGN(h.nlmsg_len);
		if (at >= len)
			break;
	}
	pthread_mutex_unlock(&l->lock);
}

void
link_unasked(struct link *l, const struct msghdr *msg)
{
	struct nlmsghdr h;

	if (!gather(msg, 0, &h, sizeof(h)))
		return;
	pthread_mutex_lock(&l->lock);
	for (unsigned int i = l->n_pending; i-- > 0;)
		if (l->pending[i].seq == h.nlmsg_seq)
			l->pending[i] = l->pending[--l->n_pending];
	pthread_mutex_unlock(&l->lock);
}

void
link_answered(struct link *l, const void *octets, size_t len)
{
	struct nlmsghdr h;
	unsigned int i = 0;
	int32_t error;

	if (len < sizeof(h))
		return;
	memcpy(&h, octets, sizeof(h));
	/* Events carry nobody's number. */
	if (h.nlmsg_pid != l->pid)
		return;
	if (h.nlmsg_type == NLMSG_ERROR && len >= sizeof(h) + sizeof(error)) {
		memcpy(&error, (const char *)octets + sizeof(h), sizeof(error));
		if (error < 0)
			again_refused(l->pid, h.nlmsg_seq);
	}
	pthread_mutex_lock(&l->lock);
	while (i < l->n_pending && l->pending[i].seq != h.nlmsg_seq)
		i++;
	if (i < l->n_pending && (h.nlmsg_flags & NLM_F_MULTI) != 0 && h.nlmsg_type != NLMSG_DONE)
		l->pending[i].until = now_ms() + ANSWER_S * INT64_C(1000);
	else if (i < l->n_pending)
		l->pending[i] = l->pending[--l->n_pending];
	pthread_mutex_unlock(&l->lock);
}
