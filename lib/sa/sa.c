#include "sa/sa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>
#include <rte_malloc.h>

#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "numbers/numbers.h"
#include "sa/lifetimes.h"
#include "wire/subspace.h"

int
sa_table_init(struct sa_table *t, uint32_t max_sas, int socket, struct err *err)
{
	int rc;

	*t = (struct sa_table) { .cold_of = calloc(max_sas, sizeof(t->cold_of[0])) };
	if (t->cold_of == NULL)
		return err_set(err, -ENOMEM, "no memory for %u SAs", max_sas);
	rc = slab_init(&t->records, "sa", sizeof(struct sa_record), max_sas, socket, err);
	if (rc < 0)
		goto free_cold_of;
	rc = slab_init(&t->cold, "sa cold", sizeof(struct sa_cold), max_sas, socket, err);
	if (rc < 0)
		goto fini_records;
	t->lifetimes = lifetimes_create();
	if (t->lifetimes == NULL) {
		rc = err_set(err, -ENOMEM, "no memory for lifetimes");
		goto fini_cold;
	}
	return 0;
fini_cold:
	slab_fini(&t->cold);
fini_records:
	slab_fini(&t->records);
free_cold_of:
	free(t->cold_of);
	t->cold_of = NULL;
	return rc;
}

void
sa_table_fini(struct sa_table *t)
{
	lifetimes_free(t->lifetimes);
	t->lifetimes = NULL;
	slab_fini(&t->cold);
	slab_fini(&t->records);
	free(t->cold_of);
	t->cold_of = NULL;
}

/* The inner header is not sent, and what it would take is room for what is. */
static uint16_t
beet_mtu(const struct sa *sa, uint16_t outer_mtu)
{
	uint32_t text = tunnel_mtu(&sa->suite, (sa->flags & SA_V6) != 0, (sa->flags & SA_UDP) != 0,
				   outer_mtu);
	uint32_t header =
		sa_more(sa)->inner.v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);

	return text == 0 ? 0 : (uint16_t)RTE_MIN(text + header, (uint32_t)UINT16_MAX);
}

static uint16_t
ah_mtu(const struct sa *sa, uint16_t outer_mtu)
{
	uint32_t more = sa->esp_size;

	if ((sa->flags & SA_TRANSPORT) == 0)
		more += (sa->flags & SA_V6) != 0 ? sizeof(struct rte_ipv6_hdr) :
						   sizeof(struct rte_ipv4_hdr);
	return outer_mtu > more ? outer_mtu - more : 0;
}

uint16_t
sa_mtu(const struct sa *sa, uint16_t outer_mtu)
{
	bool v6 = (sa->flags & SA_V6) != 0, udp = (sa->flags & SA_UDP) != 0;

	if ((sa->flags & SA_SUBSPACES) != 0)
		outer_mtu -= RTE_MIN(outer_mtu, (uint16_t)WIRE_SUBSPACE_EXTRA);
	if ((sa->flags & SA_AH) != 0)
		return ah_mtu(sa, outer_mtu);
	if ((sa->flags & SA_BEET) != 0)
		return beet_mtu(sa, outer_mtu);
	if ((sa->flags & SA_TRANSPORT) != 0)
		return tunnel_transport_mtu(&sa->suite, v6 ? 40 : 20, udp, outer_mtu);
	return tunnel_mtu(&sa->suite, v6, udp, outer_mtu);
}

/* RFC 9347 section 2.2.7: outer packets are no larger than asked for. */
static uint16_t
packet_size(const struct sa *sa, uint16_t outer_mtu)
{
	uint16_t size = sa_more(sa)->iptfs.packet_size;

	return size != 0 ? RTE_MIN(size, outer_mtu) : outer_mtu;
}

void
sa_set_mtu(struct sa *sa, uint16_t outer_mtu)
{
	if ((sa->flags & SA_IPTFS) != 0)
		outer_mtu = packet_size(sa, outer_mtu);
	__atomic_store_n(&sa->out.path_mtu, outer_mtu, __ATOMIC_RELAXED);
	__atomic_store_n(&sa->mtu, sa_mtu(sa, outer_mtu), __ATOMIC_RELAXED);
}

void
sa_udp_ports(const struct sa *sa, uint16_t *src, uint16_t *dst)
{
	rte_be16_t src_be = sa->in.udp_remote_be, dst_be = sa->in.udp_local_be;

	if ((sa->flags & SA_INBOUND) == 0)
		tunnel_udp_ports(&sa->out, &src_be, &dst_be);
	*src = rte_be_to_cpu_16(src_be);
	*dst = rte_be_to_cpu_16(dst_be);
}

static uint64_t
least(uint64_t asked, bool aead, uint64_t own)
{
	return aead && (asked == 0 || asked > own) ? own : asked;
}

uint64_t
sa_soft_packets(const struct suite *suite, const struct sa_lifetime *life)
{
	return least(life->soft_packets, suite->aead, SA_AEAD_SOFT_PACKETS);
}

uint64_t
sa_hard_packets(const struct suite *suite, const struct sa_lifetime *life)
{
	return least(life->hard_packets, suite->aead, SA_AEAD_HARD_PACKETS);
}

static bool
is_tfc(const struct sa_params *p)
{
	return !p->beet && !p->ah && (p->pad_to != 0 || p->dummy_rate != 0);
}

/* Out, with IP-TFS it is said of its payloads. */
static bool
is_plain(const struct sa_params *p)
{
	return !p->transport && !p->beet && !p->ah && !is_tfc(p) &&
	       algs[p->suite.cipher].salt_len == 4 &&
	       (p->suite.iv_len == 8 || (p->subspaces && p->suite.iv_len == 0)) &&
	       p->suite.align == 4;
}

static uint16_t
flags_of(const struct sa_params *p)
{
	return (p->inbound ? SA_INBOUND : 0) | (p->transport ? SA_TRANSPORT : 0) |
	       (p->dst.family == 6 ? SA_V6 : 0) | (p->udp ? SA_UDP : 0) | (p->ecn ? SA_ECN : 0) |
	       (algs[p->suite.cipher].iv_len == 16 ? SA_CBC : 0) | (is_tfc(p) ? SA_TFC : 0) |
	       (is_plain(p) ? SA_PLAIN : 0) | (p->subspaces ? SA_SUBSPACES : 0) |
	       (p->lane_by_class ? SA_LANE_BY_CLASS : 0) | (p->beet ? SA_BEET : 0) |
	       (p->ah ? SA_AH : 0) | (p->ipcomp.on ? SA_IPCOMP : 0) | (p->echo ? SA_ECHO : 0) |
	       (p->iptfs.on ? SA_IPTFS : 0) | (p->offloaded ? SA_INLINE : 0);
}

/* RFC 4302 section 2.2: all of AH, its ICV padded to 4 octets, over IPv6 to 8. GMAC's ICV begins
 * with its IV.
 */
static uint8_t
ah_size(const struct sa_params *p)
{
	uint32_t size = 12 + (p->suite.aead ? 8 : 0) + p->suite.icv_len;

	return (uint8_t)RTE_ALIGN_CEIL(size, p->dst.family == 6 || p->ah_align8 ? 8u : 4u);
}

static void
hot_fill(struct sa *sa, const struct sa_params *p, uint32_t generation)
{
	*sa = (struct sa) {
		.spi_be = rte_cpu_to_be_32(p->spi),
		.generation = generation,
		.suite = p->suite,
		.lanes = RTE_MAX(p->lanes, (uint16_t)1),
		.next_hop = NEXT_HOP_NONE,
		.flags = flags_of(p),
		.owner = p->owner,
		.engine = p->engine,
		.esp_size = p->ah ? ah_size(p) :
				    sizeof(struct rte_esp_hdr) + p->suite.iv_len +
					    (p->subspaces ? WIRE_SUBSPACE_EXTRA : 0),
	};
	memcpy(sa->salt, p->salt, algs[p->suite.cipher].salt_len);
}

static bool
wants_more(const struct sa_params *p)
{
	return p->beet || p->ipcomp.on || p->iptfs.on ||
	       (!p->inbound && p->outer.dscp == TUNNEL_DSCP_MAP);
}

static void
more_free(struct sa_more *more, bool inbound)
{
	if (more != NULL)
		ipcomp_sa_free(more->comp);
	if (more != NULL && !more->borrowed) {
		if (inbound)
			aggfrag_in_free(more->split);
		else
			aggfrag_out_free(more->fill);
	}
	rte_free(more);
}

static int
streams_make(const struct sa_params *p, uint64_t now, struct sa_more *more, struct err *err)
{
	uint16_t n = RTE_MAX(p->lanes, (uint16_t)1);

	more->iptfs = p->iptfs;
	more->borrowed = p->streams_of != NULL;
	if (more->borrowed && p->inbound)
		more->split = p->streams_of->split;
	else if (more->borrowed)
		more->fill = p->streams_of->fill;
	if (more->borrowed)
		return 0;
	return p->inbound ? aggfrag_in_create(&p->iptfs, n, &more->split, err) :
			    aggfrag_out_create(&p->iptfs, n, now, &more->fill, err);
}

static int
more_make(const struct sa_params *p, uint64_t now, struct sa_more **more, struct err *err)
{
	*more = NULL;
	if (!wants_more(p))
		return 0;
	*more = rte_zmalloc("sa_more", sizeof(**more), RTE_CACHE_LINE_SIZE);
	if (*more == NULL)
		return err_set(err, -ENOMEM, "SPI 0x%x: no memory", p->spi);
	if (p->beet) {
		(*more)->inner.v6 = p->inner_src.family == 6;
		(*more)->inner.reassemble = p->beet_reassemble;
		memcpy((*more)->inner.src, p->inner_src.octets, sizeof((*more)->inner.src));
		memcpy((*more)->inner.dst, p->inner_dst.octets, sizeof((*more)->inner.dst));
	}
	if (p->iptfs.on)
		return streams_make(p, now, *more, err);
	return p->ipcomp.on ? ipcomp_sa_create(&p->ipcomp, &(*more)->comp, err) : 0;
}

static int
direction_fill(struct sa *sa, struct sa_more *more, const struct sa_params *p, struct err *err)
{
	struct tunnel_params outer = p->outer;
	size_t addr_size = p->dst.family == 6 ? 16 : 4;
	int rc;

	if (!p->inbound) {
		sa->lane = p->lane;
		if (more != NULL)
			outer.more = &more->outer;
		rc = tunnel_out_init(&sa->out, &outer, err);
		if (rc < 0)
			return rc;
		sa->out.pad_to = p->pad_to;
		sa_set_mtu(sa, p->path_mtu);
		return rc;
	}
	sa->window = p->window; /* or windows */
	memcpy(sa->in.local, p->dst.octets, addr_size);
	memcpy(sa->in.remote, p->src.octets, addr_size);
	sa->in.udp_local_be = rte_cpu_to_be_16(p->udp_dst);
	sa->in.udp_remote_be = rte_cpu_to_be_16(p->udp_src);
	sa->in.group = p->origin.group;
	sa->in.more = more;
	return 0;
}

static void
cold_fill(struct sa_cold *c, const struct sa_params *p, uint64_t now)
{
	c->origin = p->origin;
	c->spi = p->spi;
	c->src = p->src;
	c->dst = p->dst;
	c->numbers = p->numbers;
	c->created = now;
	c->fixed = p->fixed;
	c->dummy_rate = p->dummy_rate;
	c->keepalive_ms = p->keepalive_ms;
	if (p->numbers != NULL) {
		struct numbers_counts counts;

		numbers_count(p->numbers, &counts);
		c->packets = counts.packets;
	}
	c->path_mtu = p->path_mtu;
}

static void
cold_give(struct sa_table *t, uint32_t cold)
{
	struct sa_cold *c = slab_at(&t->cold, cold);

	free(c->name);
	lifetimes_give(t->lifetimes, c->lifetime);
	slab_give(&t->cold, cold);
}

const char *
sa_name(const struct sa_cold *c, char text[SA_NAME_MAX])
{
	struct numbers_id id = { .spi = c->spi, .family = c->dst.family };

	memcpy(id.dst, c->dst.octets, sizeof(id.dst));
	return numbers_name(c->name, &id, text);
}

/* What of the cold part takes memory of its own. */
static int
cold_take(struct sa_table *t, struct sa_cold *c, const struct sa_params *p, struct err *err)
{
	c->lifetime = lifetimes_take(t->lifetimes, &p->lifetime);
	if (c->lifetime == NULL)
		return err_set(err, -ENOMEM, "SPI 0x%x: no memory for its lifetime", p->spi);
	if (p->name == NULL)
		return 0;
	c->name = strdup(p->name);
	return c->name != NULL ? 0 :
				 err_set(err, -ENOMEM, "SA %s: no memory for its name", p->name);
}

/* Each stream knows whose it is. */
static void
streams_name(const struct sa *sa, uint32_t index)
{
	for (uint16_t i = 0; i < sa->lanes; i++) {
		if ((sa->flags & SA_INBOUND) != 0) {
			sa_more(sa)->split[i].sa = index;
			sa_more(sa)->split[i].generation = sa->generation;
		} else {
			sa_more(sa)->fill[i].sa = index;
			sa_more(sa)->fill[i].generation = sa->generation;
		}
	}
}

int
sa_create(struct sa_table *t, const struct sa_params *p, uint64_t now, uint32_t *index,
	  struct err *err)
{
	uint32_t at, generation, cold, unused;
	struct sa_more *more = NULL;
	struct sa_record *r;
	int rc;

	rc = slab_take(&t->records, &at, &generation, err);
	if (rc < 0)
		return rc;
	r = slab_at(&t->records, at);
	rc = slab_take(&t->cold, &cold, &unused, err);
	if (rc < 0)
		goto give_record;
	hot_fill(&r->sa, p, generation);
	rc = cold_take(t, slab_at(&t->cold, cold), p, err);
	if (rc == 0)
		rc = more_make(p, now, &more, err);
	if (rc == 0)
		rc = direction_fill(&r->sa, more, p, err);
	if (rc < 0)
		goto give_cold;
	rc = session_init(&r->session, at, generation, &p->suite, p->key, p->auth_key);
	if (rc < 0) {
		err_set(err, rc, "SPI 0x%x: no memory to derive its keys", p->spi);
		goto give_cold;
	}
	cold_fill(slab_at(&t->cold, cold), p, now);
	if (p->iptfs.on && !more->borrowed)
		streams_name(&r->sa, at);
	t->cold_of[at] = cold;
	*index = at;
	return 0;
give_cold:
	more_free(more, p->inbound);
	cold_give(t, cold);
give_record:
	slab_retire(&t->records, at);
	slab_give(&t->records, at);
	return rc;
}

void
sa_retire(struct sa_table *t, uint32_t index)
{
	slab_retire(&t->records, index);
}

void
sa_destroy(struct sa_table *t, uint32_t index)
{
	session_wipe((struct session *)(uintptr_t)sa_session(sa_at(t, index)));
	more_free(sa_more(sa_at(t, index)), (sa_at(t, index)->flags & SA_INBOUND) != 0);
	cold_give(t, t->cold_of[index]);
	slab_give(&t->records, index);
}
