/* What this process has asked for, to ask for it again when the gateway started anew: it keeps
 * nothing of a daemon's, and the daemon does not hear that all is gone.
 *
 * No key is kept. SAs are told to the daemon as a soft XFRM_MSG_EXPIRE, so that it negotiates them;
 * policies are installed again, but for those that name one of these SAs: they come with the new
 * one.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>

#include "preload.h"

#define BUCKETS	    4096
#define REQUEST_MAX 1024
#define SOFT_SIZE   (NLMSG_HDRLEN + 232)

/* Of Linux's XFRM messages: types, and offsets in their bodies. */
enum {
	NEWSA = 16,
	DELSA,
	GETSA,
	NEWPOLICY,
	DELPOLICY,
	GETPOLICY,
	EXPIRE = 24,
	UPDPOLICY,
	UPDSA,
	FLUSHSA = 28,
	FLUSHPOLICY,
	SA_SIZE = 224,
	SA_DST = 56,
	SA_SPI = 72,
	SA_PROTO = 76,
	SA_REQID = 208,
	SA_FAMILY = 212,
	SAID_SIZE = 24,
	POLICY_SIZE = 168,
	POLICY_DIR = 160,
	POLICYID_SIZE = 64,
	SEL_SIZE = 56,
	ATTR_TMPL = 5,
	TMPL_SPI = 16,
	TMPL_REQID = 44,
	GROUP_EXPIRE = 1 << 1,
};

struct key {
	bool is_policy;
	uint8_t octets[SEL_SIZE + 1];
};

struct kept {
	struct kept *next;
	struct key key;
	uint32_t pid, seq; /* of the request */
	uint32_t reqid;	   /* of an SA, or of the one that a policy waits for; or 0 */
	size_t len;
	uint8_t body[]; /* of an SA its first part alone: keys are behind it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept *table[BUCKETS], *lost;
static uint32_t n_kept;

static uint32_t
u32_at(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static struct kept **
place_of(const struct key *key)
{
	uint32_t h = 2166136261u;
	struct kept **at;

	for (size_t i = 0; i < sizeof(key->octets); i++)
		h = (h ^ key->octets[i]) * 16777619u;
	at = &table[(h ^ h >> 16) % BUCKETS];
	while (*at != NULL && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

static void
forget(struct kept **at)
{
	struct kept *k = *at;

	if (k == NULL)
		return;
	*at = k->next;
	free(k);
	n_kept--;
}

static void
forget_all(bool policies, uint8_t proto)
{
	for (int i = 0; i < BUCKETS; i++)
		for (struct kept **at = &table[i]; *at != NULL;)
			if ((*at)->key.is_policy == policies &&
			    (policies || proto == 0 || (*at)->body[SA_PROTO] == proto))
				forget(at);
			else
				at = &(*at)->next;
}

static void
sa_key(struct key *key, const uint8_t *dst, const uint8_t *spi, uint8_t proto)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->octets, dst, 16);
	memcpy(key->octets + 16, spi, 4);
	key->octets[20] = proto;
}

static void
policy_key(struct key *key, const uint8_t *sel, uint8_t dir)
{
	memset(key, 0, sizeof(*key));
	key->is_policy = true;
	memcpy(key->octets, sel, SEL_SIZE);
	key->octets[SEL_SIZE] = dir;
}

/* The reqid of a policy's first template, where that names an SPI; 0: the policy comes without its
 * SA, too.
 */
static uint32_t
policy_waits_for(const uint8_t *body, size_t len)
{
	size_t at = POLICY_SIZE;

	while (len - at >= sizeof(struct nlattr)) {
		struct nlattr a;

		memcpy(&a, body + at, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > len - at)
			break;
		if (a.nla_type == ATTR_TMPL && a.nla_len >= NLA_HDRLEN + TMPL_REQID + 4)
			return u32_at(body + at + NLA_HDRLEN + TMPL_SPI) == 0 ?
				       0 :
				       u32_at(body + at + NLA_HDRLEN + TMPL_REQID);
		if ((size_t)NLA_ALIGN(a.nla_len) >= len - at)
			break;
		at += NLA_ALIGN(a.nla_len);
	}
	return 0;
}

static void
keep(const struct nlmsghdr *h, uint32_t pid, const struct key *key, const uint8_t *body, size_t len)
{
	struct kept **at = place_of(key), *k;

	forget(at);
	k = malloc(sizeof(*k) + len);
	if (k == NULL)
		return;
	k->key = *key;
	k->pid = pid;
	k->seq = h->nlmsg_seq;
	k->reqid = key->is_policy ? policy_waits_for(body, len) : u32_at(body + SA_REQID);
	k->len = len;
	memcpy(k->body, body, len);
	k->next = *at;
	*at = k;
	n_kept++;
}

void
again_asked(uint32_t pid, const void *request, size_t len)
{
	const uint8_t *body = (const uint8_t *)request + NLMSG_HDRLEN;
	struct nlmsghdr h;
	struct key key;

	memcpy(&h, request, sizeof(h));
	len = (h.nlmsg_len < len ? h.nlmsg_len : len) - NLMSG_HDRLEN;
	pthread_mutex_lock(&lock);
	if ((h.nlmsg_type == NEWSA || h.nlmsg_type == UPDSA) && len >= SA_SIZE) {
		sa_key(&key, body + SA_DST, body + SA_SPI, body[SA_PROTO]);
		keep(&h, pid, &key, body, SA_SIZE);
	} else if (h.nlmsg_type == DELSA && len >= SAID_SIZE) {
		sa_key(&key, body, body + 16, body[22]);
		forget(place_of(&key));
	} else if ((h.nlmsg_type == NEWPOLICY || h.nlmsg_type == UPDPOLICY) && len >= POLICY_SIZE) {
		policy_key(&key, body, body[POLICY_DIR]);
		keep(&h, pid, &key, body, len);
	} else if (h.nlmsg_type == DELPOLICY && len >= POLICYID_SIZE) {
		policy_key(&key, body, body[60]);
		forget(place_of(&key));
	} else if (h.nlmsg_type == FLUSHSA && len >= 1) {
		forget_all(false, body[0]);
	} else if (h.nlmsg_type == FLUSHPOLICY) {
		forget_all(true, 0);
	}
	pthread_mutex_unlock(&lock);
}

void
again_refused(uint32_t pid, uint32_t seq)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct kept **at = &table[i]; *at != NULL;)
			if ((*at)->pid == pid && (*at)->seq == seq)
				forget(at);
			else
				at = &(*at)->next;
	pthread_mutex_unlock(&lock);
}

void
again_forked(void)
{
	pthread_mutex_init(&lock, NULL);
}

/* ---- A new connection. ---- */

/* The error of a request's answer, 0 for a good one; 1: there is no answer. */
static int
ask(int fd, uint16_t type, const void *body, size_t len)
{
	union {
		struct nlmsghdr h;
		uint8_t octets[REQUEST_MAX + NLMSG_HDRLEN];
	} m;
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int32_t error;

	if (len > REQUEST_MAX)
		return 1;
	m.h = (struct nlmsghdr) { (uint32_t)(NLMSG_HDRLEN + len), type, NLM_F_REQUEST | NLM_F_ACK,
				  1, 0 };
	memcpy(m.octets + NLMSG_HDRLEN, body, len);
	if (real()->send(fd, m.octets, m.h.nlmsg_len, MSG_NOSIGNAL) < 0)
		return 1;
	do {
		if (poll(&ready, 1, HELLO_MS) <= 0 ||
		    real()->recv(fd, m.octets, sizeof(m.octets), MSG_DONTWAIT) <
			    NLMSG_HDRLEN + (ssize_t)sizeof(error))
			return 1;
	} while (m.h.nlmsg_seq != 1); /* an event */
	if (m.h.nlmsg_type != NLMSG_ERROR)
		return 0;
	memcpy(&error, m.octets + NLMSG_HDRLEN, sizeof(error));
	return error;
}

static bool
is_there(int fd, const struct kept *k)
{
	uint8_t id[POLICYID_SIZE] = { 0 };

	if (k->key.is_policy) {
		memcpy(id, k->body, SEL_SIZE);
		id[60] = k->body[POLICY_DIR];
		return ask(fd, GETPOLICY, id, POLICYID_SIZE) >= 0;
	}
	memcpy(id, k->body + SA_DST, 16);
	memcpy(id + 16, k->body + SA_SPI, 4);
	memcpy(id + 20, k->body + SA_FAMILY, 2);
	id[22] = k->body[SA_PROTO];
	return ask(fd, GETSA, id, SAID_SIZE) >= 0;
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Takes the SAs out, to be told, and returns their reqids, in order. */
static uint32_t *
sas_lose(uint32_t *n)
{
	uint32_t *reqids = calloc(n_kept, sizeof(*reqids));

	*n = 0;
	if (reqids == NULL)
		return NULL;
	for (int i = 0; i < BUCKETS; i++)
		for (struct kept **at = &table[i], *k; (k = *at) != NULL;) {
			if (k->key.is_policy) {
				at = &k->next;
				continue;
			}
			reqids[(*n)++] = k->reqid;
			*at = k->next;
			k->next = lost;
			lost = k;
			n_kept--;
		}
	qsort(reqids, *n, sizeof(*reqids), by_number);
	return reqids;
}

void
again_connected(int fd)
{
	struct kept *first = NULL;
	uint32_t *reqids, n;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < BUCKETS && first == NULL; i++)
		first = table[i];
	if (first == NULL || is_there(fd, first)) {
		pthread_mutex_unlock(&lock);
		return;
	}
	reqids = sas_lose(&n);
	for (int i = 0; i < BUCKETS && reqids != NULL; i++)
		for (struct kept **at = &table[i], *k; (k = *at) != NULL;) {
			if (k->reqid != 0 &&
			    bsearch(&k->reqid, reqids, n, sizeof(*reqids), by_number) != NULL) {
				forget(at);
				continue;
			}
			ask(fd, UPDPOLICY, k->body, k->len);
			at = &k->next;
		}
	free(reqids);
	pthread_mutex_unlock(&lock);
}

bool
again_tell(const struct link *l)
{
	uint8_t m[SOFT_SIZE];
	const struct nlmsghdr h = { SOFT_SIZE, EXPIRE, 0, 0, 0 };
	bool told = false;

	if ((l->groups & GROUP_EXPIRE) == 0 || l->far < 0)
		return false;
	pthread_mutex_lock(&lock);
	while (lost != NULL) {
		struct kept *k = lost;

		memset(m, 0, sizeof(m));
		memcpy(m, &h, sizeof(h));
		memcpy(m + NLMSG_HDRLEN, k->body, SA_SIZE);
		if (real()->send(l->far, m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		told = true;
		lost = k->next;
		free(k);
	}
	pthread_mutex_unlock(&lock);
	return told;
}
