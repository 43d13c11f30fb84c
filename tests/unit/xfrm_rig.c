#include "xfrm_rig.h"

#include <errno.h>

static uint64_t state;

void
rig_seed(uint64_t seed)
{
	state = seed;
}

uint64_t
rig_random(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool
often(void)
{
	return rig_random() & 1;
}

static uint32_t
below(uint32_t n)
{
	return (uint32_t)(rig_random() % n);
}

struct addr
rig_addr(uint8_t family)
{
	struct addr a = { .family = family };

	for (unsigned i = 0; i < (family == 4 ? 4 : family == 6 ? 16 : 0); i++)
		a.octets[i] = (uint8_t)rig_random();
	return a;
}

void
rig_sel(struct xfrm_sel *sel, uint8_t family)
{
	uint32_t most = family == 4 ? 33 : 129;

	*sel = (struct xfrm_sel) {
		.family = family,
		.proto = (uint8_t)rig_random(),
		.src = { rig_addr(family), (uint8_t)below(most) },
		.dst = { rig_addr(family), (uint8_t)below(most) },
		.sport = (uint16_t)rig_random(),
		.sport_mask = often() ? 0xffff : 0,
		.dport = (uint16_t)rig_random(),
		.dport_mask = often() ? 0xfff0 : 0,
		.ifindex = (int32_t)below(100),
		.user = below(1000),
	};
}

static void
random_life(struct xfrm_life *life, struct xfrm_used *used)
{
	uint64_t *l = (uint64_t *)life, *u = (uint64_t *)used;

	for (size_t i = 0; i < sizeof(*life) / 8; i++)
		l[i] = often() ? rig_random() : XFRM_NO_LIMIT;
	for (size_t i = 0; i < sizeof(*used) / 8; i++)
		u[i] = rig_random();
}

static void
random_key(struct xfrm_key *key, uint8_t len)
{
	key->len = len;
	for (unsigned i = 0; i < len; i++)
		key->octets[i] = (uint8_t)(1 + below(255));
}

static const struct alg *
random_auth(void)
{
	return &algs[ALG_HMAC_SHA1_96 + below(ALG_MAX - ALG_HMAC_SHA1_96)];
}

static void
random_suite(struct xfrm_sa *sa)
{
	const struct alg *cipher = &algs[1 + below(ALG_NULL)], *auth = NULL;
	uint8_t icv = 0;

	sa->has |= XFRM_HAS_SUITE;
	if (sa->id.proto == XFRM_PROTO_AH) {
		auth = random_auth();
		assert_int_equal(suite_init_ah(&sa->suite, auth, (sa->flags & XFRM_SA_ESN) != 0,
					       NULL),
				 0);
		random_key(&sa->auth_key, auth->key_len);
		return;
	}
	if (cipher->kind == ALG_CIPHER)
		auth = random_auth();
	else if (cipher->short_icv && often())
		icv = often() ? 8 : 12;
	assert_int_equal(suite_init(&sa->suite, cipher, auth, icv, false,
				    (sa->flags & XFRM_SA_ESN) != 0, NULL),
			 0);
	random_key(&sa->key, cipher->key_len + cipher->salt_len);
	if (auth != NULL)
		random_key(&sa->auth_key, auth->key_len);
}

static void
random_replay(struct xfrm_sa *sa)
{
	struct xfrm_replay *r = &sa->replay;
	bool in = sa->dir != XFRM_SA_DIR_OUT, out = sa->dir != XFRM_SA_DIR_IN;

	if ((sa->flags & XFRM_SA_ESN) || often()) {
		sa->has |= XFRM_HAS_REPLAY_ESN;
		r->words = 1 + below(XFRM_REPLAY_WORDS);
		r->window = in ? 1 + below(r->words * 32) : 0;
		r->seq = in ? rig_random() : 0;
		r->oseq = out ? rig_random() : 0;
		for (unsigned i = 0; i < r->words; i++)
			r->bitmap[i] = (uint32_t)rig_random();
	} else {
		sa->window = in ? (uint8_t)rig_random() : 0;
		if (often())
			return;
		sa->has |= XFRM_HAS_REPLAY;
		r->words = 1;
		r->seq = in ? (uint32_t)rig_random() : 0;
		r->oseq = out ? (uint32_t)rig_random() : 0;
		r->bitmap[0] = (uint32_t)rig_random();
	}
}

static void
random_words(struct xfrm_sa *sa)
{
	if (often()) {
		sa->has |= XFRM_HAS_EXTRA_FLAGS;
		sa->extra_flags = sa->dir == XFRM_SA_DIR_IN ? 0 : below(4);
	}
	if (often()) {
		sa->has |= XFRM_HAS_COADDR;
		sa->coaddr = rig_addr(sa->family);
	}
	if (often()) {
		sa->has |= XFRM_HAS_LASTUSED;
		sa->lastused = rig_random();
	}
	if (often()) {
		sa->has |= XFRM_HAS_MARK | XFRM_HAS_SET_MARK;
		sa->mark = (struct xfrm_mark) { (uint32_t)rig_random(), (uint32_t)rig_random() };
		sa->set_mark =
			(struct xfrm_mark) { (uint32_t)rig_random(), (uint32_t)rig_random() };
	}
	if (often()) {
		sa->has |= XFRM_HAS_OFFLOAD | XFRM_HAS_IF_ID;
		sa->offload = (struct xfrm_offload) { (int32_t)below(9), (uint8_t)below(8) };
		sa->if_id = (uint32_t)rig_random();
	}
	if (sa->dir != XFRM_SA_DIR_NONE && often()) {
		sa->has |= XFRM_HAS_PCPU;
		sa->pcpu = below(64);
	}
	if (often()) {
		sa->has |= XFRM_HAS_LTIME | XFRM_HAS_REPLAY_THRESH | XFRM_HAS_ETIMER_THRESH;
		sa->replay_thresh = below(100);
		sa->etimer_thresh = below(100);
	}
}

static void
random_encap(struct xfrm_sa *sa)
{
	if (often())
		return;
	sa->has |= XFRM_HAS_ENCAP;
	sa->encap.type = XFRM_ENCAP_ESPINUDP;
	sa->encap.sport = (uint16_t)rig_random();
	sa->encap.dport = 4500;
	if (often())
		sa->encap.oa = rig_addr(sa->family);
	if (sa->dir != XFRM_SA_DIR_OUT && often()) {
		sa->has |= XFRM_HAS_MTIMER;
		sa->mtimer_s = (uint32_t)rig_random();
	}
	if (sa->dir != XFRM_SA_DIR_IN && often()) {
		sa->has |= XFRM_HAS_NAT_KEEPALIVE;
		sa->nat_keepalive_s = below(100);
	}
}

static void
random_iptfs(struct xfrm_sa *sa)
{
	if (sa->mode == XFRM_TUNNEL && often()) {
		sa->has |= XFRM_HAS_TFCPAD;
		sa->tfcpad = below(1500);
	}
	if (sa->mode != XFRM_IPTFS)
		return;
	if (sa->dir == XFRM_SA_DIR_IN) {
		sa->has |= XFRM_HAS_IPTFS_DROP_TIME | XFRM_HAS_IPTFS_REORDER_WINDOW;
		sa->iptfs.drop_time_us = below(1000000);
		sa->iptfs.reorder_window = (uint16_t)below(100);
		sa->iptfs_options.on = often();
		sa->iptfs_options.refuse_frags = sa->iptfs_options.on && often();
		sa->iptfs_options.send_immediately = sa->iptfs_options.on && often();
		return;
	}
	sa->has |= XFRM_HAS_IPTFS_DONT_FRAG | XFRM_HAS_IPTFS_INIT_DELAY | XFRM_HAS_IPTFS_MAX_QSIZE |
		   XFRM_HAS_IPTFS_PKT_SIZE | XFRM_HAS_IPTFS_RATE;
	sa->iptfs.dont_frag = true;
	sa->iptfs.init_delay_us = below(1000);
	sa->iptfs.max_queue = below(1000000);
	sa->iptfs.packet_size = below(1500);
	sa->iptfs_rate.bits_per_second = rig_random();
	sa->iptfs_rate.layer = 3;
	sa->iptfs_rate.congestion_control = often();
	if (!often())
		return;
	sa->iptfs_options.on = true;
	sa->iptfs_options.max_aggregation_us = below(60000001);
	sa->iptfs_options.dscp = (uint8_t)below(64);
	sa->iptfs_options.breaker_loss = (uint8_t)below(101);
	if (sa->iptfs_options.breaker_loss != 0)
		sa->iptfs_options.breaker_time_us = 1000 + below(3600000000u - 1000);
}

static void
random_ours(struct xfrm_sa *sa)
{
	if (sa->id.proto != XFRM_PROTO_AH && often()) {
		sa->has |= XFRM_HAS_SUBSPACES;
		sa->subspaces.count = (uint16_t)below(64);
		sa->subspaces.bits = (uint8_t)below(16);
	}
	if (often()) {
		sa->has |= XFRM_HAS_OUTER;
		sa->outer.df = (uint8_t)below(3);
		sa->outer.frag = (uint8_t)below(3);
	}
	if (often() && sa->dir != XFRM_SA_DIR_IN) {
		sa->classes.dscp = UINT64_C(1) << below(64) | below(64);
		sa->classes.rank = (uint8_t)below(256);
	}
	sa->esp_ping = often();
}

static uint8_t
random_proto(void)
{
	uint32_t which = below(8);

	return which == 0 ? XFRM_PROTO_COMP : which == 1 ? XFRM_PROTO_AH : XFRM_PROTO_ESP;
}

void
rig_sa(struct xfrm_sa *sa)
{
	/* AH has the first two of these, IPComp the first three. */
	static const uint8_t modes[] = { XFRM_TRANSPORT, XFRM_TUNNEL, XFRM_BEET, XFRM_IPTFS };
	uint8_t proto = random_proto();
	bool comp = proto == XFRM_PROTO_COMP, ah = proto == XFRM_PROTO_AH;

	memset(sa, 0, sizeof(*sa));
	xfrm_sa_init(sa);
	sa->family = often() ? 4 : 6;
	rig_sel(&sa->sel, often() ? 4 : 6);
	sa->src = rig_addr(sa->family);
	sa->id.dst = rig_addr(sa->family);
	sa->id.proto = proto;
	sa->id.spi = comp ? 1 + below(0xffff) : 256 + below(UINT32_MAX - 256);
	random_life(&sa->life, &sa->used);
	sa->stats.replay_window = (uint32_t)rig_random();
	sa->stats.replay = (uint32_t)rig_random();
	sa->stats.integrity_failed = (uint32_t)rig_random();
	sa->seq = (uint32_t)rig_random();
	sa->reqid = (uint32_t)rig_random();
	sa->mode = modes[below(comp ? 3 : ah ? 2 : 4)];
	if (sa->mode == XFRM_IPTFS || often()) {
		sa->has |= XFRM_HAS_DIR;
		sa->dir = often() ? XFRM_SA_DIR_IN : XFRM_SA_DIR_OUT;
	}
	sa->flags = XFRM_SA_NOECN | (often() ? XFRM_SA_ESN : 0) |
		    (sa->dir == XFRM_SA_DIR_OUT ? XFRM_SA_NOPMTUDISC : XFRM_SA_ICMP);
	if (comp)
		sa->has |= XFRM_HAS_COMP;
	else
		random_suite(sa);
	random_replay(sa);
	random_words(sa);
	if (!ah)
		random_encap(sa);
	if (!comp && !ah)
		random_iptfs(sa);
	random_ours(sa);
}

static void
random_tmpl(struct xfrm_tmpl *t, uint8_t inner, bool out)
{
	static const uint8_t modes[] = { XFRM_TRANSPORT, XFRM_TUNNEL, XFRM_BEET, XFRM_IPTFS };

	memset(t, 0, sizeof(*t));
	t->mode = modes[below(4)];
	t->family = t->mode == XFRM_TRANSPORT ? inner : often() ? 4 : 6;
	t->id.proto = often() ? XFRM_PROTO_ESP : XFRM_PROTO_COMP;
	t->id.spi = (uint32_t)rig_random();
	t->id.dst = rig_addr(t->family);
	t->src = rig_addr(t->family);
	t->reqid = (uint32_t)rig_random();
	t->share = (uint8_t)below(4);
	t->optional = !out && often();
	t->aalgos = t->ealgos = t->calgos = (uint32_t)rig_random();
}

void
rig_policy(struct xfrm_policy *p)
{
	uint8_t inner;

	memset(p, 0, sizeof(*p));
	inner = often() ? 4 : 6;
	rig_sel(&p->sel, inner);
	random_life(&p->life, &p->used);
	p->priority = (uint32_t)rig_random();
	p->dir = (uint8_t)below(XFRM_DIR_END);
	p->index = often() ? 0 : below(1000) * 8 + p->dir;
	p->action = often() ? XFRM_ALLOW : XFRM_BLOCK;
	p->flags = (uint8_t)rig_random();
	p->share = (uint8_t)below(4);
	p->n_tmpls = (uint8_t)below(XFRM_TMPL_MAX + 1);
	for (unsigned i = 0; i < p->n_tmpls; i++) {
		random_tmpl(&p->tmpls[i], inner, p->dir == XFRM_DIR_OUT);
		inner = p->tmpls[i].family;
	}
	if (often())
		p->has |= XFRM_HAS_POLICY_TYPE;
	if (often()) {
		p->has |= XFRM_HAS_MARK | XFRM_HAS_IF_ID | XFRM_HAS_OFFLOAD;
		p->mark = (struct xfrm_mark) { (uint32_t)rig_random(), (uint32_t)rig_random() };
		p->if_id = (uint32_t)rig_random();
		p->offload = (struct xfrm_offload) { (int32_t)below(9), (uint8_t)below(8) };
	}
}

void
rig_sa_id(struct xfrm_sa_id *id, uint8_t family)
{
	memset(id, 0, sizeof(*id));
	id->family = family;
	id->id.dst = rig_addr(family);
	id->id.spi = (uint32_t)rig_random();
	id->id.proto = XFRM_PROTO_ESP;
	id->want_lanes = often();
	if (often()) {
		id->has = XFRM_HAS_SRCADDR | XFRM_HAS_MARK;
		id->src = rig_addr(family);
		id->mark = (struct xfrm_mark) { (uint32_t)rig_random(), (uint32_t)rig_random() };
	}
}

void
rig_ae(struct xfrm_ae *ae, uint8_t family)
{
	struct xfrm_sa_id id;

	rig_sa_id(&id, family);
	memset(ae, 0, sizeof(*ae));
	ae->family = family;
	ae->id = id.id;
	ae->src = rig_addr(family);
	ae->flags = (uint32_t)rig_random();
	ae->reqid = (uint32_t)rig_random();
	ae->pcpu = XFRM_PCPU_NONE;
	ae->has = XFRM_HAS_LTIME | XFRM_HAS_REPLAY_THRESH | XFRM_HAS_ETIMER_THRESH;
	ae->used = (struct xfrm_used) { rig_random(), rig_random(), rig_random(), rig_random() };
	ae->replay_thresh = (uint32_t)rig_random();
	ae->etimer_thresh = (uint32_t)rig_random();
	ae->replay.words = 1;
	ae->replay.bitmap[0] = (uint32_t)rig_random();
	ae->replay.oseq = (uint32_t)rig_random();
	ae->replay.seq = (uint32_t)rig_random();
	if (often()) {
		ae->has |= XFRM_HAS_REPLAY;
	} else {
		ae->has |= XFRM_HAS_REPLAY_ESN;
		ae->replay.window = below(33);
	}
}

void
rig_migrate(struct xfrm_migrate *m, uint8_t family)
{
	memset(m, 0, sizeof(*m));
	rig_sel(&m->policy.sel, family);
	m->policy.dir = (uint8_t)below(XFRM_DIR_END);
	m->n_moves = (uint8_t)(1 + below(XFRM_TMPL_MAX));
	for (unsigned i = 0; i < m->n_moves; i++) {
		struct xfrm_move *v = &m->moves[i];
		uint8_t now = often() ? 4 : 6;

		memset(v, 0, sizeof(*v));
		v->old_src = rig_addr(family);
		v->old_dst = rig_addr(family);
		v->new_src = rig_addr(now);
		v->new_dst = rig_addr(now);
		v->proto = XFRM_PROTO_ESP;
		v->mode = XFRM_TUNNEL;
		v->reqid = (uint32_t)rig_random();
	}
	if (often()) {
		m->km.on = true;
		m->km.local = rig_addr(family);
		m->km.remote = rig_addr(family);
	}
	if (often()) {
		m->has = XFRM_HAS_ENCAP;
		m->encap.type = XFRM_ENCAP_ESPINUDP;
		m->encap.sport = m->encap.dport = 4500;
	}
}

struct xfrm_out *
rig_begin(struct rig_msg *m)
{
	memset(m->octets, 0xa5, sizeof(m->octets));
	m->out = (struct xfrm_out) { m->octets, m->octets + sizeof(m->octets) };
	return &m->out;
}

const struct xfrm_msg *
rig_end(struct rig_msg *m)
{
	size_t at = 0, len = (size_t)(m->out.at - m->octets);
	struct err err = { "" };

	assert_int_equal(xfrm_next(m->octets, len, &at, &m->msg, &err), 1);
	assert_int_equal(m->msg.head.len, len);
	assert_int_equal(at, len);
	assert_int_equal(len % 4, 0);
	return &m->msg;
}

void
raw_begin(struct raw *r, uint16_t type, const void *body, size_t size)
{
	struct xw_head head = { .type = type, .flags = XFRM_F_REQUEST };

	memset(r, 0, sizeof(*r));
	memcpy(r->octets, &head, sizeof(head));
	if (size > 0)
		memcpy(r->octets + sizeof(head), body, size);
	r->len = sizeof(head) + size;
}

void
raw_attr(struct raw *r, uint16_t type, const void *octets, size_t size)
{
	struct xw_attr head = { (uint16_t)(sizeof(head) + size), type };

	r->len = XFRM_ALIGN(r->len);
	memcpy(r->octets + r->len, &head, sizeof(head));
	if (octets != NULL)
		memcpy(r->octets + r->len + sizeof(head), octets, size);
	r->len += head.len;
}

uint8_t *
raw_message(const struct raw *r, size_t len, struct xfrm_msg *msg)
{
	uint32_t said = (uint32_t)len;
	struct err err = { "" };
	uint8_t *copy = malloc(len);
	size_t at = 0;

	assert_non_null(copy);
	memcpy(copy, r->octets, len);
	memcpy(copy, &said, sizeof(said));
	assert_int_equal(xfrm_next(copy, len, &at, msg, &err), 1);
	return copy;
}

const struct rig_gcm raw_gcm = { { "rfc4106(gcm(aes))", 160, 128 }, { 1, 2, 3 } };

const struct xw_sa raw_sa = {
	.id = { { 192, 0, 2, 2 }, 0x00100000, XFRM_PROTO_ESP, { 0 } },
	.saddr = { 192, 0, 2, 1 },
	.family = XFRM_FAMILY_V4,
	.mode = XFRM_TUNNEL,
};

const struct xw_policy raw_policy = {
	.sel = { .family = XFRM_FAMILY_V4, .plen_d = 24, .plen_s = 16 },
	.dir = XFRM_DIR_OUT,
};

static int
any_parse(const struct xfrm_msg *m, struct err *err)
{
	static union {
		struct xfrm_sa sa;
		struct xfrm_sa_id sa_id;
		struct xfrm_filter filter;
		struct xfrm_spi_range range;
		struct xfrm_policy policy;
		struct xfrm_policy_id policy_id;
		struct xfrm_defaults defaults;
		struct xfrm_ae ae;
		struct xfrm_migrate migrate;
		struct xfrm_spd_info info;
		uint8_t proto;
	} u;

	switch (m->head.type) {
	case XFRM_NEWSA:
	case XFRM_UPDSA:
		return xfrm_parse_sa(m, &u.sa, err);
	case XFRM_GETSA:
		if (xfrm_is_dump(m))
			return xfrm_parse_filter(m, &u.filter, err);
		return xfrm_parse_sa_id(m, &u.sa_id, err);
	case XFRM_DELSA:
		return xfrm_parse_sa_id(m, &u.sa_id, err);
	case XFRM_ALLOCSPI:
		return xfrm_parse_spi_range(m, &u.range, err);
	case XFRM_NEWPOLICY:
	case XFRM_UPDPOLICY:
		return xfrm_parse_policy(m, &u.policy, err);
	case XFRM_DELPOLICY:
	case XFRM_GETPOLICY:
		return xfrm_parse_policy_id(m, &u.policy_id, err);
	case XFRM_FLUSHSA:
		return xfrm_parse_flush_sa(m, &u.proto, err);
	case XFRM_FLUSHPOLICY:
		return xfrm_parse_flush_policy(m, err);
	case XFRM_NEWAE:
	case XFRM_GETAE:
		return xfrm_parse_ae(m, &u.ae, err);
	case XFRM_MIGRATE:
		return xfrm_parse_migrate(m, &u.migrate, err);
	case XFRM_GETSADINFO:
	case XFRM_GETSPDINFO:
		return xfrm_parse_get_info(m, err);
	case XFRM_NEWSPDINFO:
		return xfrm_parse_spd_info(m, &u.info, err);
	default:
		assert_int_equal(m->head.type, XFRM_SETDEFAULT);
		return xfrm_parse_defaults(m, &u.defaults, err);
	}
}

void
raw_want(const char *what, const struct raw *r, int rc, const char *says)
{
	struct err err = { "" };
	struct xfrm_msg msg;
	uint8_t *copy = raw_message(r, r->len, &msg);
	int got = any_parse(&msg, &err);

	free(copy);
	if (got != rc || (rc < 0 && strstr(err.text, says) == NULL))
		fail_msg("%s: %d (wanted %d): %s (wanted \"%s\")", what, got, rc, err.text,
			 rc < 0 ? says : "");
}
