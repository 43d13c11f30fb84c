#include "sad/sad.h"
#include "sad/sad_stage.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "wire/bytes.h"
#include "wire/esp_echo.h"
#include "worker/worker.h"

#define SLOTS_MIN 4096

struct sad_key {
	uint32_t spi_be;
	uint32_t ah; /* or ESP */
	uint8_t local[16];
};

static struct rte_hash *
rest_create(uint32_t max_sas, int socket, struct rte_rcu_qsbr *qsbr)
{
	static unsigned int serial;
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters p = {
		.name = name,
		.entries = RTE_MAX(max_sas, 64u),
		.key_len = sizeof(struct sad_key),
		.hash_func = rte_hash_crc,
		.socket_id = socket,
		.extra_flag =
			RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = { .v = qsbr, .mode = RTE_HASH_QSBR_MODE_DQ };
	struct rte_hash *h;

	snprintf(name, sizeof(name), "sad_%u", serial++);
	h = rte_hash_create(&p);
	if (h != NULL && qsbr != NULL && rte_hash_rcu_qsbr_add(h, &rcu) != 0) {
		rte_hash_free(h);
		h = NULL;
	}
	return h;
}

int
sad_create(const struct sa_table *sas, uint32_t max_sas, int socket, struct rte_rcu_qsbr *qsbr,
	   struct sad **out, struct err *err)
{
	uint32_t n = rte_align32pow2(RTE_MAX(2 * max_sas, (uint32_t)SLOTS_MIN));
	struct sad *sad = rte_malloc_socket("sad", sizeof(*sad) + n * sizeof(sad->slots[0]),
					    RTE_CACHE_LINE_SIZE, socket);

	if (sad == NULL)
		return err_set(err, -ENOMEM, "no memory for the SPI table of %u SAs", max_sas);
	*sad = (struct sad) {
		.sas = sas, .mask = n - 1, .max_sas = max_sas, .socket = socket, .qsbr = qsbr
	};
	memset(sad->slots, 0xff, n * sizeof(sad->slots[0]));
	sad->kept = rte_zmalloc_socket("sad", n / 8, RTE_CACHE_LINE_SIZE, socket);
	if (sad->kept == NULL) {
		rte_free(sad);
		return err_set(err, -ENOMEM, "no memory for the SPI table of %u SAs", max_sas);
	}
	*out = sad;
	return 0;
}

void
sad_free(struct sad *sad)
{
	if (sad == NULL)
		return;
	rte_hash_free(sad->rest);
	rte_free(sad->kept);
	rte_free(sad);
}

static void
key_of(const struct sa *sa, struct sad_key *key)
{
	key->spi_be = sa->spi_be;
	key->ah = (sa->flags & SA_AH) != 0;
	memcpy(key->local, sa->in.local, sizeof(key->local));
}

static bool
same_place(const struct sa *a, const struct sa *b)
{
	return a->spi_be == b->spi_be &&
	       memcmp(a->in.local, b->in.local, sizeof(a->in.local)) == 0 &&
	       ((a->flags ^ b->flags) & (SA_V6 | SA_AH)) == 0;
}

static uint32_t
rest_find(const struct sad *sad, const struct sad_key *key)
{
	void *value;

	if (__atomic_load_n(&sad->n_rest, __ATOMIC_ACQUIRE) == 0 ||
	    rte_hash_lookup_data(sad->rest, key, &value) < 0)
		return SA_NONE;
	return (uint32_t)(uintptr_t)value;
}

/* The published SA at the place of this one. */
static uint32_t
peer_of(const struct sad *sad, const struct sa *sa)
{
	uint32_t held = *sad_slot(sad, sa->spi_be);
	struct sad_key key;

	if (held != SA_NONE && same_place(sa_at(sad->sas, held), sa))
		return held;
	key_of(sa, &key);
	return rest_find(sad, &key);
}

static uint64_t
bit_of(const struct sad *sad, const uint32_t *slot, uint64_t **word)
{
	uint32_t at = (uint32_t)(slot - sad->slots);

	*word = &sad->kept[at / 64];
	return UINT64_C(1) << at % 64;
}

static bool
is_kept(const struct sad *sad, const uint32_t *slot)
{
	uint64_t *word, bit = bit_of(sad, slot, &word);

	return (*word & bit) != 0;
}

bool
sad_slot_take(struct sad *sad, uint32_t spi)
{
	const uint32_t *slot = sad_slot(sad, rte_cpu_to_be_32(spi));
	uint64_t *word, bit = bit_of(sad, slot, &word);

	if (*slot != SA_NONE || (*word & bit) != 0)
		return false;
	*word |= bit;
	return true;
}

void
sad_slot_give(struct sad *sad, uint32_t spi)
{
	uint64_t *word, bit = bit_of(sad, sad_slot(sad, rte_cpu_to_be_32(spi)), &word);

	*word &= ~bit;
}

int
sad_add(struct sad *sad, uint32_t index, uint32_t replaces, struct err *err)
{
	const struct sa *sa = sa_at(sad->sas, index);
	uint32_t *slot = sad_slot(sad, sa->spi_be);
	uint32_t held = __atomic_load_n(slot, __ATOMIC_RELAXED);
	uint32_t peer = peer_of(sad, sa);
	char name[SA_NAME_MAX];
	struct sad_key key;

	if (peer != SA_NONE && peer != replaces)
		return err_set(err, -EEXIST, "SPI 0x%x is taken by SA %s at the same address",
			       rte_be_to_cpu_32(sa->spi_be),
			       sa_name(sa_cold(sad->sas, peer), name));
	if ((held == SA_NONE && !is_kept(sad, slot)) || (held == peer && peer != SA_NONE)) {
		__atomic_store_n(slot, index, __ATOMIC_RELEASE);
		return 0;
	}
	key_of(sa, &key);
	/* SPIs that we choose never need it, and it is large. */
	if (sad->rest == NULL)
		sad->rest = rest_create(sad->max_sas, sad->socket, sad->qsbr);
	if (sad->rest == NULL)
		return err_set(err, -ENOMEM, "no memory for the SPI hash of %u SAs", sad->max_sas);
	if (rte_hash_add_key_data(sad->rest, &key, (void *)(uintptr_t)index) < 0)
		return err_set(err, -ENOSPC, "the SPI hash is full");
	if (peer == SA_NONE)
		__atomic_store_n(&sad->n_rest, sad->n_rest + 1, __ATOMIC_RELEASE);
	return 0;
}

void
sad_del(struct sad *sad, uint32_t index)
{
	const struct sa *sa = sa_at(sad->sas, index);
	uint32_t *slot = sad_slot(sad, sa->spi_be);
	struct sad_key key;

	if (*slot == index) {
		__atomic_store_n(slot, SA_NONE, __ATOMIC_RELEASE);
		return;
	}
	key_of(sa, &key);
	if (rest_find(sad, &key) == index && rte_hash_del_key(sad->rest, &key) >= 0)
		__atomic_store_n(&sad->n_rest, sad->n_rest - 1, __ATOMIC_RELEASE);
}

uint32_t
sad_find(const struct sad *sad, uint32_t spi, bool ah, const struct addr *local)
{
	struct sa wanted = { .spi_be = rte_cpu_to_be_32(spi),
			     .flags = (local->family == 6 ? SA_V6 : 0) | (ah ? SA_AH : 0) };
	uint32_t peer;

	memcpy(wanted.in.local, local->octets, sizeof(wanted.in.local));
	peer = peer_of(sad, &wanted);
	return peer != SA_NONE && same_place(sa_at(sad->sas, peer), &wanted) ? peer : SA_NONE;
}

static __rte_always_inline bool
is_at(const struct sa *sa, const struct pkt *p, const uint8_t *ip)
{
	if (sa->spi_be != p->spi_be || ((sa->flags & SA_AH) != 0) != (p->proto == IPPROTO_AH))
		return false;
	if ((sa->flags & SA_V6) == 0)
		return (p->flags & PKT_V6) == 0 && memcmp(sa->in.local, ip + 16, 4) == 0;
	return (p->flags & PKT_V6) != 0 && memcmp(sa->in.local, ip + 24, 16) == 0;
}

static __rte_noinline uint32_t
lookup_rest(const struct sad *sad, const struct pkt *p, const uint8_t *ip)
{
	struct sad_key key = { .spi_be = p->spi_be, .ah = p->proto == IPPROTO_AH };
	uint32_t index;

	if ((p->flags & PKT_V6) != 0)
		memcpy(key.local, ip + 24, 16);
	else
		memcpy(key.local, ip + 16, 4);
	index = rest_find(sad, &key);
	return index != SA_NONE && is_at(sa_at(sad->sas, index), p, ip) ? index : SA_NONE;
}

/* Any source port will do: a NAT may have changed it, and whether it is the peer's packet the ICV
 * will say.
 */
static bool
is_encap_of(const struct sa *sa, const struct pkt *p)
{
	return sa->in.udp_local_be == p->udp_dst_be;
}

/* All that nearly every packet needs in one comparison: IPv4, ESP without UDP, SPI and address. The
 * packet is of ESP. */
static __rte_always_inline bool
is_plainly_of(const struct sa *sa, const struct pkt *p, const uint8_t *ip)
{
	return ((sa->spi_be ^ p->spi_be) | (wire_load32(sa->in.local) ^ wire_load32(ip + 16)) |
		(sa->flags & (SA_V6 | SA_UDP | SA_AH)) | (p->flags & (PKT_V6 | PKT_UDP_ENCAP))) ==
	       0;
}

/* No SA has an SPI below 256. */
static bool
is_plain_echo(const struct worker *w, const struct pkt *p)
{
	if ((p->flags & PKT_UDP_ENCAP) != 0)
		return false;
	return (p->spi_be == RTE_BE32(ESP_ECHO_SPI_REQUEST) &&
		(w->view->echoing >> p->port & 1) != 0) ||
	       (p->spi_be == RTE_BE32(ESP_ECHO_SPI_RESPONSE) && w->view->awaits_echo);
}

/* The SA, where more has to be asked. Drops the packet and returns false when there is none. */
static __rte_noinline bool
lookup_one(struct worker *w, struct rte_mbuf *m, struct pkt *p, uint32_t *index)
{
	const struct sad *sad = w->view->sad;
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct sa *sa;

	if (*index == SA_NONE || !is_at(sa_at(sad->sas, *index), p, ip))
		*index = lookup_rest(sad, p, ip);
	if (*index == SA_NONE) {
		if (is_plain_echo(w, p))
			pipe_push(w, STAGE_PLAIN_ECHO, m);
		else
			drop(w, m, DROP_NO_SA);
		return false;
	}
	sa = sa_at(sad->sas, *index);
	if (((sa->flags & SA_UDP) != 0) == ((p->flags & PKT_UDP_ENCAP) != 0) &&
	    ((sa->flags & SA_UDP) == 0 || is_encap_of(sa, p)))
		return true;
	p->sa = *index;
	p->generation = sa->generation;
	drop(w, m, DROP_ENCAP_MISMATCH);
	return false;
}

/* The SAs that a burst's slots name, on their way to the cache. */
static __rte_always_inline void
slots_read(const struct sad *sad, struct rte_mbuf **pkts, uint16_t n, uint32_t *found)
{
	uint32_t last = ~pkt_of(pkts[0])->spi_be;

	for (uint16_t i = 0; i < n; i++) {
		uint32_t spi_be = pkt_of(pkts[i])->spi_be;

		if (spi_be == last) {
			found[i] = found[i - 1];
			continue;
		}
		last = spi_be;
		found[i] = __atomic_load_n(sad_slot(sad, spi_be), __ATOMIC_ACQUIRE);
		if (found[i] != SA_NONE) {
			rte_prefetch0(sa_at(sad->sas, found[i]));
			rte_prefetch0(sa_session(sa_at(sad->sas, found[i])));
		}
	}
}

uint16_t
sad_lookup(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct sad *sad = w->view->sad;
	uint32_t found[BURST_MAX], last = SA_NONE;
	struct sa *usual = NULL; /* the SA at last */
	uint16_t kept = 0;

	slots_read(sad, pkts, n, found);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
		struct sa *sa;

		if (found[i] != last) {
			last = found[i];
			usual = last != SA_NONE ? sa_at(sad->sas, last) : NULL;
		}
		sa = usual;
		if (unlikely(sa == NULL || !is_plainly_of(sa, p, ip))) {
			if (!lookup_one(w, m, p, &found[i]))
				continue;
			sa = sa_at(sad->sas, found[i]);
		}
		rte_prefetch0(sa->window);
		p->sa = found[i];
		p->generation = sa->generation;
		p->hot = sa;
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
sad_lookup_ah(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct sad *sad = w->view->sad;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		uint32_t index = __atomic_load_n(sad_slot(sad, p->spi_be), __ATOMIC_ACQUIRE);

		if (!lookup_one(w, m, p, &index))
			continue;
		p->sa = index;
		p->hot = sa_at(sad->sas, index);
		p->generation = p->hot->generation;
		pkts[kept++] = m;
	}
	return kept;
}

bool
sad_takes(const struct sad *sad, const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t held = __atomic_load_n(sad_slot(sad, p->spi_be), __ATOMIC_ACQUIRE);

	if (held != SA_NONE && is_at(sa_at(sad->sas, held), p, ip))
		return true;
	return lookup_rest(sad, p, ip) != SA_NONE;
}
