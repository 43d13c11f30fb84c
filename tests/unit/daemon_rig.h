/* Ties and policies of key daemons over an SPD that no worker reads. */
#ifndef TESTS_DAEMON_RIG_H
#define TESTS_DAEMON_RIG_H

#include <errno.h>
#include <string.h>

#include "ctl/gw.h"
#include "daemon/policies.h"
#include "spd/spd.h"

#define EVENTS_MAX 64

/* An owner may change what is its own, or what is of nobody who is there any more. */
struct daemon_owner {
	const char *name;
	bool gone;
	int count;
};

struct daemon_rig {
	struct gw gw;
	struct ties *ties;
	struct dpolicies *dp;
	uint64_t sa_used; /* when any SA was last used; 0: the second 1000 + its index */
	uint32_t n_events;
	struct {
		unsigned int group;
		uint16_t type;
		uint32_t seq, pid;
		uint8_t message[1024];
		size_t size;
	} events[EVENTS_MAX];
};

static struct daemon_rig rig;
static struct daemon_owner charon = { .name = "charon" }, pluto = { .name = "pluto" };

static inline bool
rig_may_change(void *ctx, const struct daemon_owner *by, const struct daemon_owner *of)
{
	return by == of || of->gone;
}

static inline void
rig_count(void *ctx, struct daemon_owner *owner, int by)
{
	owner->count += by;
}

static inline const char *
rig_owner_text(void *ctx, const struct daemon_owner *owner)
{
	return owner->name;
}

static inline void
rig_event(void *ctx, unsigned int group, const void *message, size_t size)
{
	struct xw_head head;

	memcpy(&head, message, sizeof(head));
	assert_int_equal(head.len, size);
	assert_true(rig.n_events < EVENTS_MAX);
	rig.events[rig.n_events].group = group;
	rig.events[rig.n_events].type = head.type;
	rig.events[rig.n_events].seq = head.seq;
	rig.events[rig.n_events].pid = head.pid;
	rig.events[rig.n_events].size = size;
	memcpy(rig.events[rig.n_events++].message, message, size);
}

static inline uint64_t
rig_sa_used(void *ctx, const struct tie_sa *sa)
{
	return rig.sa_used != 0 ? rig.sa_used : 1000 + sa->index;
}

static inline int
rig_up(void **state)
{
	const struct spd_params spd = { .max_policies = 1 << 16, .socket = SOCKET_ID_ANY };
	struct dpolicies_env env = {
		.gw = &rig.gw,
		.may_change = rig_may_change,
		.count = rig_count,
		.owner_text = rig_owner_text,
		.event = rig_event,
		.sa_used = rig_sa_used,
	};
	struct err err;

	memset(&rig, 0, sizeof(rig));
	charon.count = pluto.count = 0;
	charon.gone = pluto.gone = false;
	assert_int_equal(spd_create(&spd, &rig.gw.spd, &err), 0);
	assert_int_equal(ties_create(&rig.gw, &rig.ties, &err), 0);
	env.ties = rig.ties;
	assert_int_equal(dpolicies_create(&env, 1 << 16, &rig.dp, &err), 0);
	return 0;
}

static inline int
rig_down(void **state)
{
	struct spd_stats stats;

	dpolicies_free(rig.dp);
	assert_int_equal(charon.count, 0);
	assert_int_equal(pluto.count, 0);
	spd_stats(rig.gw.spd, &stats);
	assert_int_equal(stats.policies, 0);
	ties_free(rig.ties);
	spd_free(rig.gw.spd);
	return 0;
}

static inline struct addr
rig_addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("%s is no address", text);
	return a;
}

/* 10.1.0.0/16 here, 10.2.0.0/16 there, in a tunnel from 192.0.2.1 to 198.51.100.1, reqid 7: what
 * charon installs.
 */
static inline struct xfrm_policy
rig_policy(uint8_t dir)
{
	const struct addr here = rig_addr("10.1.0.0"), there = rig_addr("10.2.0.0");
	const struct addr us = rig_addr("192.0.2.1"), peer = rig_addr("198.51.100.1");
	bool out = dir == XFRM_DIR_OUT;
	struct xfrm_policy p = {
		.sel = {
			.family = 4,
			.src = { out ? here : there, 16 },
			.dst = { out ? there : here, 16 },
		},
		.life = { XFRM_NO_LIMIT, XFRM_NO_LIMIT, XFRM_NO_LIMIT, XFRM_NO_LIMIT, 0, 0, 0, 0 },
		.priority = 383615,
		.dir = dir,
		.n_tmpls = 1,
	};

	p.tmpls[0] = (struct xfrm_tmpl) {
		.id = { .dst = out ? peer : us, .proto = XFRM_PROTO_ESP },
		.family = 4,
		.src = out ? us : peer,
		.reqid = 7,
		.mode = XFRM_TUNNEL,
		.aalgos = UINT32_MAX,
		.ealgos = UINT32_MAX,
		.calgos = UINT32_MAX,
	};
	return p;
}

/* The SA that such a policy means. */
static inline struct xfrm_sa
rig_sa(bool inbound)
{
	const struct xfrm_policy p = rig_policy(inbound ? XFRM_DIR_IN : XFRM_DIR_OUT);
	struct xfrm_sa sa = { .id = p.tmpls[0].id, .src = p.tmpls[0].src };

	sa.family = 4;
	sa.reqid = 7;
	sa.mode = XFRM_TUNNEL;
	return sa;
}

/* Puts an SA into its tie. */
static inline void
rig_sa_add(struct tie_sa *sa, bool inbound, uint32_t index, uint32_t spi)
{
	const struct xfrm_sa x = rig_sa(inbound);
	struct tie_key key;
	struct tie *tie;
	struct err err;

	*sa = (struct tie_sa) { .index = index, .generation = 100 + index, .spi = spi };
	tie_key_of_sa(&x, inbound, &key);
	assert_int_equal(tie_get(rig.ties, &key, &tie, &err), 0);
	tie_sa_add(rig.ties, tie, sa);
}

static inline void
rig_sa_del(struct tie_sa *sa)
{
	struct tie *tie = sa->tie;

	tie_sa_del(rig.ties, sa);
	tie_put(rig.ties, tie);
}

/* What the SPD says of a UDP packet from 10.1.2.3 to 10.2.3.4 (in: the other way): an index or
 * SPD_NO_MATCH.
 */
static inline uint32_t
rig_asked(bool out)
{
	struct spd_key key = { .protocol = 17, .src_port = 1000, .dst_port = 2000 };

	memcpy(out ? key.src : key.dst, ((uint8_t[]) { 10, 1, 2, 3 }), 4);
	memcpy(out ? key.dst : key.src, ((uint8_t[]) { 10, 2, 3, 4 }), 4);
	return spd_find(rig.gw.spd, out ? SPD_OUT : SPD_IN, &key);
}

/* The index of the SA that such a packet goes out by. */
static inline uint32_t
rig_goes_by(void)
{
	uint32_t policy = rig_asked(true);

	assert_int_not_equal(policy, SPD_NO_MATCH);
	return spd_sa_index(spd_out_sa(rig.gw.spd, policy));
}

#endif
