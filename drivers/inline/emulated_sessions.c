#include "emulated.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_esp.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_security_driver.h>

/* A session's private room in rte_security's: its name. */
static uint64_t *
name_of(struct rte_security_session *s)
{
	return SECURITY_GET_SESS_PRIV(s);
}

static void
wait_for(const struct nic_queue *queues, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint32_t turn = __atomic_load_n(&queues[i].turn, __ATOMIC_SEQ_CST);

		while ((turn & 1) != 0 &&
		       __atomic_load_n(&queues[i].turn, __ATOMIC_SEQ_CST) == turn)
			sched_yield();
	}
}

/* What was taken out of the workers' sight before is in nobody's hands afterwards. */
void
nic_wait_for_queues(const struct nic_port *p)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wait_for(p->rx, p->n_rx);
	wait_for(p->tx, p->n_tx);
}

/* The cached keys of a session that is to be forgotten go when the queue has its next burst. */
static void
forget_tell(struct nic_port *p, uint32_t slot)
{
	__atomic_store_n(&p->forget[p->n_forget % p->n_slots], slot, __ATOMIC_RELAXED);
	__atomic_store_n(&p->n_forget, p->n_forget + 1, __ATOMIC_RELEASE);
}

void
nic_session_clear(struct nic_port *p, struct nic_session *s)
{
	uint32_t slot = (uint32_t)(s - p->slots), generation = s->generation;

	rte_free(s->window);
	explicit_bzero(s, sizeof(*s));
	s->generation = (generation + 1) & ~UINT32_C(1);
	forget_tell(p, slot);
}

static bool
is_lingering(const struct nic_session *s)
{
	return s->until != 0 && s->rte_gone;
}

void
nic_sessions_reap(struct nic_port *p)
{
	uint64_t now = rte_rdtsc();

	if (p->options.late_ms == 0)
		return;
	for (uint32_t i = 0; i < p->n_slots; i++) {
		struct nic_session *s = &p->slots[i];

		if ((s->generation & 1) == 0 || !is_lingering(s) || now < s->until)
			continue;
		nic_rule_drop(p, s);
		__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
		nic_wait_for_queues(p);
		nic_session_clear(p, s);
	}
}

static struct nic_session *
slot_free(const struct nic_port *p)
{
	for (uint32_t i = 0; i < p->n_slots; i++)
		if ((p->slots[i].generation & 1) == 0)
			return &p->slots[i];
	return NULL;
}

static int
conf_check(const struct nic_port *p, const struct rte_security_session_conf *conf)
{
	const struct rte_security_ipsec_xform *x = &conf->ipsec;
	bool tunnel = x->mode == RTE_SECURITY_IPSEC_SA_MODE_TUNNEL;
	const struct rte_security_capability *c;

	if (conf->protocol != RTE_SECURITY_PROTOCOL_IPSEC || x->spi == 0)
		return -EINVAL;
	if (!p->options.v6 && tunnel && x->tunnel.type == RTE_SECURITY_IPSEC_TUNNEL_IPV6)
		return -ENOTSUP;
	for (c = p->caps; c->action != RTE_SECURITY_ACTION_TYPE_NONE; c++)
		if (c->action == conf->action_type && c->ipsec.proto == x->proto &&
		    c->ipsec.mode == x->mode && c->ipsec.direction == x->direction)
			break;
	if (c->action == RTE_SECURITY_ACTION_TYPE_NONE ||
	    (x->options.esn && !c->ipsec.options.esn) ||
	    (x->options.udp_encap && !c->ipsec.options.udp_encap) ||
	    x->replay_win_sz > c->ipsec.replay_win_sz_max || x->options.dec_ttl ||
	    x->options.ip_reassembly_en || x->options.ip_csum_enable || x->options.l4_csum_enable)
		return -ENOTSUP;
	return 0;
}

static void
outer4_fill(struct nic_session *s, const struct rte_security_ipsec_tunnel_param *t)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)s->outer;

	s->ip_len = sizeof(*ip);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->type_of_service = (uint8_t)(t->ipv4.dscp << 2);
	ip->fragment_offset = t->ipv4.df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
	ip->time_to_live = t->ipv4.ttl;
	ip->next_proto_id = s->udp ? IPPROTO_UDP : IPPROTO_ESP;
	ip->src_addr = t->ipv4.src_ip.s_addr;
	ip->dst_addr = t->ipv4.dst_ip.s_addr;
}

static void
outer6_fill(struct nic_session *s, const struct rte_security_ipsec_tunnel_param *t)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)s->outer;

	s->ip_len = sizeof(*ip);
	s->outer_v6 = true;
	ip->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | (uint32_t)t->ipv6.dscp << 22 |
					(t->ipv6.flabel & RTE_IPV6_HDR_FL_MASK));
	ip->proto = s->udp ? IPPROTO_UDP : IPPROTO_ESP;
	ip->hop_limits = t->ipv6.hlimit;
	memcpy(ip->src_addr, &t->ipv6.src_addr, 16);
	memcpy(ip->dst_addr, &t->ipv6.dst_addr, 16);
}

static void
ipsec_fill(struct nic_session *s, const struct rte_security_session_conf *conf)
{
	const struct rte_security_ipsec_xform *x = &conf->ipsec;

	s->protocol = conf->action_type == RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
	s->ingress = x->direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS;
	s->tunnel = x->mode == RTE_SECURITY_IPSEC_SA_MODE_TUNNEL;
	s->udp = x->options.udp_encap;
	s->ecn = x->options.ecn;
	s->copy_dscp = x->options.copy_dscp;
	s->copy_df = x->options.copy_df;
	s->copy_label = x->options.copy_flabel;
	s->spi_be = rte_cpu_to_be_32(x->spi);
	s->userdata = (uint64_t)(uintptr_t)conf->userdata;
	s->udp_src_be = rte_cpu_to_be_16(x->udp.sport);
	s->udp_dst_be = rte_cpu_to_be_16(x->udp.dport);
	memcpy(s->salt, &x->salt, sizeof(s->salt));
	/* Out the driver says the next one, in the highest that was accepted. */
	s->number = s->ingress || x->esn.value == 0 ? x->esn.value : x->esn.value - 1;
	if (!s->tunnel)
		return;
	if (x->tunnel.type == RTE_SECURITY_IPSEC_TUNNEL_IPV6)
		outer6_fill(s, &x->tunnel);
	else
		outer4_fill(s, &x->tunnel);
}

static int
suite_fill(struct nic_port *p, struct nic_session *s, const struct rte_security_session_conf *conf,
	   uint32_t generation)
{
	const uint8_t *key, *auth_key;
	struct suite suite;
	int rc = nic_suite_of(p, conf, &suite, &key, &auth_key);

	if (rc < 0)
		return rc;
	for (s->engine = 0; s->engine < p->n_engines; s->engine++)
		if (p->engines[s->engine]->serves(&suite, NULL) == 0)
			break;
	if (s->engine == p->n_engines)
		return -ENOTSUP;
	s->esn = suite.esn;
	s->head = (uint8_t)(sizeof(struct rte_esp_hdr) + suite.iv_len);
	return session_init(&s->crypto, (uint32_t)(s - p->slots), generation, &suite, key,
			    auth_key);
}

static int
session_fill(struct nic_port *p, struct nic_session *s,
	     const struct rte_security_session_conf *conf)
{
	uint32_t window = conf->ipsec.replay_win_sz, generation = s->generation;
	int rc;

	ipsec_fill(s, conf);
	rc = suite_fill(p, s, conf, generation + 1);
	if (rc == 0 && window > 0 && s->ingress && s->protocol) {
		s->window =
			nic_window_new(window, s->number, (int)rte_eth_dev_socket_id(p->dpdk_id));
		rc = s->window == NULL ? -ENOMEM : 0;
	}
	return rc;
}

static void
counts_clear(struct nic_port *p, uint32_t slot)
{
	for (uint16_t i = 0; i < p->n_rx; i++)
		memset(&p->rx[i].counts[slot], 0, sizeof(struct nic_counts));
	for (uint16_t i = 0; i < p->n_tx; i++)
		memset(&p->tx[i].counts[slot], 0, sizeof(struct nic_counts));
}

static int
session_create(void *device, struct rte_security_session_conf *conf,
	       struct rte_security_session *rte)
{
	struct nic_port *p = device;
	struct nic_session *s;
	int rc;

	nic_sessions_reap(p);
	rc = conf_check(p, conf);
	s = slot_free(p);
	if (rc == 0 && (p->n_sessions == p->options.sessions || s == NULL))
		rc = -ENOSPC;
	if (rc == 0) {
		rc = session_fill(p, s, conf);
		if (rc < 0)
			nic_session_clear(p, s);
	}
	if (rc < 0) {
		rte_errno = -rc;
		return rc;
	}
	p->n_sessions++;
	counts_clear(p, (uint32_t)(s - p->slots));
	*name_of(rte) = nic_name((uint32_t)(s - p->slots), s->generation + 1);
	rte_security_session_fast_mdata_set(rte, *name_of(rte));
	__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
	return 0;
}

/* The high half of an inbound number, of a device that cannot find it by itself; this one can. */
static int
session_update(void *device, struct rte_security_session *rte,
	       struct rte_security_session_conf *conf)
{
	struct nic_session *s = nic_session_at(device, *name_of(rte));

	if (s == NULL || !s->ingress)
		return -EINVAL;
	__atomic_store_n(&s->number, conf->ipsec.esn.value, __ATOMIC_RELAXED);
	return 0;
}

/* One that went with a reset is gone already. */
static int
session_destroy(void *device, struct rte_security_session *rte)
{
	struct nic_port *p = device;
	struct nic_session *s = nic_session_at(p, *name_of(rte));

	nic_sessions_reap(p);
	if (s == NULL)
		return 0;
	p->n_sessions--;
	s->rte_gone = true;
	if (s->until > rte_rdtsc())
		return 0;
	nic_rule_drop(p, s);
	__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
	nic_wait_for_queues(p);
	nic_session_clear(p, s);
	return 0;
}

static unsigned int
session_get_size(void *device)
{
	return sizeof(uint64_t);
}

static void
counts_add(struct nic_counts *sum, const struct nic_counts *c)
{
	sum->packets += cell_get(&c->packets);
	sum->octets += cell_get(&c->octets);
	sum->errors += cell_get(&c->errors);
}

static struct nic_counts
counts_of(const struct nic_queue *queues, uint16_t n, const uint64_t *name)
{
	struct nic_counts sum = { 0 };

	for (uint16_t i = 0; i < n; i++)
		counts_add(&sum,
			   name == NULL ? &queues[i].total : &queues[i].counts[(uint32_t)*name]);
	return sum;
}

static int
session_stats_get(void *device, struct rte_security_session *rte, struct rte_security_stats *stats)
{
	const struct nic_port *p = device;
	const uint64_t *name = rte != NULL ? name_of(rte) : NULL;
	struct nic_counts in, out;

	if (name != NULL && nic_session_at(p, *name) == NULL)
		return -EINVAL;
	in = counts_of(p->rx, p->n_rx, name);
	out = counts_of(p->tx, p->n_tx, name);
	*stats = (struct rte_security_stats) {
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = { .ipackets = in.packets,
			   .ibytes = in.octets,
			   .ierrors = in.errors,
			   .opackets = out.packets,
			   .obytes = out.octets,
			   .oerrors = out.errors },
	};
	return 0;
}

static int
set_pkt_metadata(void *device, struct rte_security_session *rte, struct rte_mbuf *m, void *params)
{
	*rte_security_dynfield(m) = *name_of(rte);
	return 0;
}

static const struct rte_security_capability *
capabilities_get(void *device)
{
	return ((const struct nic_port *)device)->caps;
}

const struct rte_security_ops nic_security_ops = {
	.session_create = session_create,
	.session_update = session_update,
	.session_get_size = session_get_size,
	.session_stats_get = session_stats_get,
	.session_destroy = session_destroy,
	.set_pkt_metadata = set_pkt_metadata,
	.capabilities_get = capabilities_get,
};
