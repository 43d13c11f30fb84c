/* SAs of a daemon come, are rekeyed and go as fast as control can, while packets flow by SAs that
 * stay: not one of those is lost, and nothing of what went stays behind.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include <rte_malloc.h>

#include "daemon/daemon.h"
#include "numbers/numbers.h"
#include "rig.h"
#include "seal.h"
#include "xfrm/xfrm.h"

#define FEED	  32
#define AHEAD	  1024 /* packets of all workers under way */
#define LIVE	  256  /* pairs of SAs at a time */
#define PACKET	  64
#define SPI_FIRST 0x100000u
#define PER_LOOK  16	/* changes between two looks at the rings */
#define WAIT_MAX  16384 /* of what has ended and is not freed, a quarter of gateway.max_sas */

struct churn {
	struct race *race;
	struct daemons *daemons;
	struct daemon_client client;
	struct seal seal;
	uint64_t number;
	uint32_t spis[LIVE]; /* 0: none there */
	uint32_t next_spi;
	int32_t error; /* of the last answer */
	uint64_t n_changes;
};

static const uint8_t key[SEAL_KEY_SIZE] = "the key of the stay";

static void
on_reply(void *ctx, uint64_t client, const void *datagram, size_t len)
{
	struct churn *c = ctx;
	struct xw_head head;

	memcpy(&head, datagram, sizeof(head));
	race_must(head.type == XFRM_ERROR, "an answer of type %u", head.type);
	memcpy(&c->error, (const uint8_t *)datagram + sizeof(head), sizeof(c->error));
}

static void
on_event(void *ctx, unsigned int group, const void *message, size_t len)
{
}

static void
stay_text(char *text, size_t size)
{
	char hex[2 * SEAL_KEY_SIZE + 1];

	for (int i = 0; i < SEAL_KEY_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	snprintf(text, size,
		 "tunnels:\n  - {name: stays, local: 192.0.2.1, remote: 198.51.100.1, local_nets: "
		 "[10.1.0.0/16], remote_nets: [10.2.0.0/16], aead: aes-gcm-128, esn: true, "
		 "replay_window: 8192, out: {spi: 0x1001, key: \"hex:%040x\"}, in: {spi: 0x2001, "
		 "key: \"hex:%s\"}}\n",
		 1, hex);
}

static struct addr
address(uint32_t host)
{
	struct addr a;
	char text[16];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", host >> 24, host >> 16 & 255, host >> 8 & 255,
		 host & 255);
	race_must(addr_parse(text, &a), "%s is no address", text);
	return a;
}

static struct xfrm_ident
ident(bool inbound, uint32_t spi)
{
	/* Inbound to us, outbound to one of 250 peers. */
	return (struct xfrm_ident) { inbound ? address(0xc0000201) :
					       address(0xc6336402 + spi % 250),
				     spi, 50 };
}

static void
ask(struct churn *c, const uint8_t *message, const struct xfrm_out *out, const char *what)
{
	c->error = 1;
	daemon_request(c->daemons, &c->client, message, (size_t)(out->at - message));
	race_must(c->error == 0, "%s is answered with %d", what, c->error);
	c->n_changes++;
}

static void
sa_add(struct churn *c, bool inbound, uint32_t spi)
{
	const struct xfrm_head head = { XFRM_NEWSA, XFRM_F_REQUEST | XFRM_F_ACK, 7, 1 };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };
	struct xfrm_sa x;
	struct err err = { "" };

	xfrm_sa_init(&x);
	x.family = x.sel.family = x.sel.src.addr.family = x.sel.dst.addr.family = 4;
	x.id = ident(inbound, spi);
	x.src = ident(!inbound, spi).dst;
	x.mode = XFRM_TUNNEL;
	x.reqid = 7 + spi % LIVE;
	x.flags = XFRM_SA_ESN | XFRM_SA_AF_UNSPEC;
	x.has = XFRM_HAS_SUITE | XFRM_HAS_REPLAY_ESN;
	x.replay.window = 64;
	x.replay.words = 2;
	race_must(suite_init(&x.suite, &algs[ALG_AES_GCM_128], NULL, 16, false, true, &err) == 0,
		  "%s", err.text);
	x.key.len = SEAL_KEY_SIZE;
	memset(x.key.octets, inbound, SEAL_KEY_SIZE);
	seal_put32(x.key.octets, spi);
	race_must(xfrm_put_sa(&out, &head, &x, true) == 0, "no room for an SA");
	ask(c, message, &out, "NEWSA");
}

static void
sa_delete(struct churn *c, bool inbound, uint32_t spi)
{
	const struct xfrm_head head = { XFRM_DELSA, XFRM_F_REQUEST | XFRM_F_ACK, 7, 1 };
	const struct xfrm_sa_id id = { .family = 4, .id = ident(inbound, spi) };
	uint8_t message[256];
	struct xfrm_out out = { message, message + sizeof(message) };

	race_must(xfrm_put_sa_id(&out, &head, &id) == 0, "no room for a DELSA");
	ask(c, message, &out, "DELSA");
}

static void
pair_add(struct churn *c, uint32_t at)
{
	c->spis[at] = SPI_FIRST + c->next_spi++;
	sa_add(c, true, c->spis[at]);
	sa_add(c, false, c->spis[at]);
}

static void
pair_delete(struct churn *c, uint32_t spi)
{
	sa_delete(c, true, spi);
	sa_delete(c, false, spi);
}

/* One pair comes, goes, or is rekeyed: the new one first. */
static void
change(struct churn *c)
{
	uint32_t at = (uint32_t)race_random(LIVE), old = c->spis[at];

	if (old == 0) {
		pair_add(c, at);
	} else if (race_random(3) != 0) {
		pair_add(c, at);
		pair_delete(c, old);
	} else {
		pair_delete(c, old);
		c->spis[at] = 0;
	}
}

/* Both ways: red packets, and authentic ones of the peer, each number once. */
static void
feed(struct churn *c, uint16_t worker)
{
	struct rte_mbuf *out[FEED], *in[FEED];

	for (int i = 0; i < FEED; i++) {
		uint8_t *ip;

		out[i] = race_frame(c->race, PACKET, &ip);
		memset(ip, 0, PACKET);
		seal_ip(ip, PACKET, 253, 0, 0x0a010000 | (uint32_t)race_random(256), 0x0a020001);
		in[i] = race_frame(c->race, seal_size(&c->seal), &ip);
		seal_packet(&c->seal, ++c->number, ip);
	}
	race_must(race_feed(c->race, RACE_LAN, worker, out, FEED) &&
			  race_feed(c->race, RACE_WAN, worker, in, FEED),
		  "worker %u reads nothing", worker);
}

static void
look(struct churn *c)
{
	struct race *r = c->race;

	if (race_inside(r) < AHEAD)
		for (uint16_t i = 0; i < r->gw.n_workers; i++)
			feed(c, i);
	race_take(r, RACE_WAN, NULL, NULL);
	race_take(r, RACE_LAN, NULL, NULL);
	race_tick(r);
	daemons_tick(c->daemons, clock_now(&r->gw.clock));
}

/* Workers that get no core free nothing: a daemon would be told that the table is full, and try
 * again later.
 */
static void
room_wait(struct churn *c)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	while (c->race->gw.defer.backlog > WAIT_MAX) {
		nanosleep(&ms, NULL);
		look(c);
	}
}

static void
churn(struct churn *c, uint64_t changes)
{
	uint64_t end = c->n_changes + changes;

	while (c->n_changes < end) {
		for (int i = 0; i < PER_LOOK; i++)
			change(c);
		look(c);
		room_wait(c);
	}
}

/* No pair is left, and what waits to be freed is. */
static void
clear(struct churn *c)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (uint32_t i = 0; i < LIVE; i++) {
		if (c->spis[i] != 0)
			pair_delete(c, c->spis[i]);
		c->spis[i] = 0;
	}
	for (int i = 0; i < 400 || (i < 20000 && c->race->gw.defer.backlog > 0); i++) {
		look(c);
		nanosleep(&ms, NULL);
	}
	race_must(c->race->gw.sas.records.n_taken == 2, "%u SAs are there",
		  c->race->gw.sas.records.n_taken);
}

struct memory {
	size_t heap, hugepages;
};

static struct memory
memory_now(void)
{
	struct rte_malloc_socket_stats s = { 0 };

	rte_malloc_get_socket_stats(0, &s);
	return (struct memory) { mallinfo2().uordblks, s.heap_allocsz_bytes };
}

static void
grown(const char *what, size_t before, size_t after)
{
	race_must(after <= before + before / 50, "%s: %zu octets, and %zu after as much again",
		  what, before, after);
}

static void
all_arrived(struct churn *c)
{
	struct gw_totals t;

	while (race_inside(c->race) > 0) {
		race_take(c->race, RACE_WAN, NULL, NULL);
		race_take(c->race, RACE_LAN, NULL, NULL);
		race_tick(c->race);
	}
	totals_read(&c->race->gw, &t);
	if (t.tx != c->race->fed)
		race_show(c->race);
	race_must(t.tx == c->race->fed, "of %lu packets %lu arrived", c->race->fed, t.tx);
}

static void
come_and_go(struct race *r)
{
	const struct daemon_out out = { .reply = on_reply, .event = on_event };
	uint64_t changes = race_times(50000, 4000, 1000000);
	struct churn *c = calloc(1, sizeof(*c));
	struct daemon_out mine = out;
	struct memory before, after;
	struct err err = { "" };
	char text[1024];

	race_must(c != NULL, "no memory");
	c->race = r;
	mine.ctx = c;
	seal_init(&c->seal, key, 0x2001, false);
	stay_text(text, sizeof(text));
	race_start(r, text);
	race_must(daemons_create(&r->gw, &mine, &c->daemons, &err) == 0, "%s", err.text);
	c->client = (struct daemon_client) {
		.id = 1,
		.instance = 1,
		.nl_pid = 1,
		.groups = XFRM_GROUP_BIT(XFRM_GROUP_EXPIRE),
		.may_change = true,
		.program = "churn",
	};
	race_must(daemon_client_hello(c->daemons, &c->client, &err) == 0, "%s", err.text);
	churn(c, changes / 2);
	clear(c);
	before = memory_now();
	churn(c, changes / 2);
	clear(c);
	after = memory_now();
	grown("malloc", before.heap, after.heap);
	grown("rte_malloc", before.hugepages, after.hugepages);
	all_arrived(c);
	daemon_client_gone(c->daemons, &c->client);
	gw_stop(&r->gw);
	daemons_free(c->daemons);
	race_stop(r);
	EVP_CIPHER_CTX_free(c->seal.ctx);
	free(c);
}

int
main(void)
{
	static const struct race_case cases[] = {
		{ "SAs come and go at full rate: none that stays loses a packet, nothing is left",
		  4, come_and_go },
	};

	return race_main(cases, RTE_DIM(cases));
}
