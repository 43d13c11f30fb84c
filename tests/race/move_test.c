/* SAs that change their worker while packets of them are everywhere: to where their packets arrive,
 * and by hand, again and again. Nothing is lost, nothing passes twice, no number is used twice, and
 * a flow keeps its order.
 */
#include <stdlib.h>

#include <rte_lcore.h>

#include "ctl/pin.h"
#include "pipe/handoff.h"
#include "rig.h"
#include "seal.h"
#include "stats/cell.h"

#define BATCH	     64
#define INSIDE_MAX   2048
#define SPI_IN	     0x2001
#define SPI_OUT	     0x1001
#define NUMBERS_MAX  (1u << 20)
#define PATIENCE_SEC 60

struct mover_case {
	struct race *race;
	struct seal in, out;
	uint64_t next_in[RACE_WORKERS_MAX];  /* by worker: each gets every number once */
	uint64_t next_out[RACE_WORKERS_MAX]; /* by worker: its flow */
	uint64_t n_in, n_out;		     /* how many there are to be */
	/* What came out: how often each number in; by number out, the flow and its place there. */
	uint8_t *passed;
	uint64_t *sent;
	uint64_t n_passed, n_sent;
};

static const uint8_t key_in[SEAL_KEY_SIZE] = "the key of the peer.";
static const uint8_t key_out[SEAL_KEY_SIZE] = "the key of our own..";

static void
hex_of(const uint8_t key[SEAL_KEY_SIZE], char text[2 * SEAL_KEY_SIZE + 1])
{
	for (int i = 0; i < SEAL_KEY_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
}

static void
tunnel_text(char *text, size_t size, const char *name)
{
	char in[2 * SEAL_KEY_SIZE + 1], out[2 * SEAL_KEY_SIZE + 1];

	hex_of(key_in, in);
	hex_of(key_out, out);
	snprintf(text, size,
		 "tunnels:\n  - {name: %s, local: 192.0.2.1, remote: 198.51.100.1, local_nets: "
		 "[10.1.0.0/16], remote_nets: [10.2.0.0/16], aead: aes-gcm-128, esn: true, "
		 "replay_window: 65536, out: {spi: 0x%x, key: \"hex:%s\"}, in: {spi: 0x%x, key: "
		 "\"hex:%s\"}}\n",
		 name, SPI_OUT, out, SPI_IN, in);
}

static struct mover_case *
begin(struct race *r, uint64_t n_in, uint64_t n_out)
{
	struct mover_case *c = calloc(1, sizeof(*c));
	char text[1024];

	race_must(c != NULL, "no memory");
	race_must(n_in < NUMBERS_MAX && n_out * (rte_lcore_count() - 1) < NUMBERS_MAX, "too many");
	c->race = r;
	c->n_in = n_in;
	c->n_out = n_out;
	c->passed = calloc(NUMBERS_MAX, sizeof(c->passed[0]));
	c->sent = calloc(NUMBERS_MAX, sizeof(c->sent[0]));
	race_must(c->passed != NULL && c->sent != NULL, "no memory");
	seal_init(&c->in, key_in, SPI_IN, false);
	seal_init(&c->out, key_out, SPI_OUT, false);
	tunnel_text(text, sizeof(text), "peer");
	race_start(r, text);
	return c;
}

static void
end(struct mover_case *c)
{
	race_stop(c->race);
	EVP_CIPHER_CTX_free(c->in.ctx);
	EVP_CIPHER_CTX_free(c->out.ctx);
	free(c->passed);
	free(c->sent);
	free(c);
}

/* Came out of the inbound SA. */
static void
see_in(void *ctx, const uint8_t *ip, uint16_t len)
{
	struct mover_case *c = ctx;
	uint64_t number;

	race_must(len >= SEAL_INNER, "a packet of %u octets came out", len);
	number = seal_get64(ip + SEAL_IP);
	race_must(number > 0 && number <= c->n_in, "a packet that nobody sent: %lu", number);
	race_must(c->passed[number]++ == 0, "number %lu passed twice", number);
	c->n_passed++;
}

/* Was sent by the outbound SA: opened by the key that it was to be sealed with. */
static void
see_out(void *ctx, const uint8_t *ip, uint16_t len)
{
	struct mover_case *c = ctx;
	const uint8_t *esp = ip + SEAL_IP, *text = esp + seal_head(&c->out);
	uint64_t number = seal_get64(text - 8);
	uint8_t inner[SEAL_TEXT];
	int n;

	race_must(len == seal_size(&c->out), "a packet of %u octets was sent", len);
	race_must(number > 0 && number < NUMBERS_MAX, "number %lu was sent", number);
	seal_begin(&c->out, number, false);
	race_must(EVP_CIPHER_CTX_ctrl(c->out.ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_ICV,
				      (void *)(uintptr_t)(text + SEAL_TEXT)) == 1 &&
			  EVP_CipherUpdate(c->out.ctx, inner, &n, text, SEAL_TEXT) == 1 &&
			  EVP_CipherFinal_ex(c->out.ctx, inner + n, &n) == 1,
		  "number %lu does not open", number);
	race_must(c->sent[number] == 0, "number %lu was sent twice", number);
	c->sent[number] = seal_get64(inner + SEAL_IP);
	c->n_sent++;
}

static void
take(struct mover_case *c)
{
	race_take(c->race, RACE_LAN, see_in, c);
	race_take(c->race, RACE_WAN, see_out, c);
	race_tick(c->race);
}

/* The next numbers to a worker, of which another may have had them already. */
static void
feed_in(struct mover_case *c, uint16_t worker)
{
	struct rte_mbuf *frames[BATCH];
	uint16_t n = 0;

	for (; n < BATCH && c->next_in[worker] < c->n_in; n++) {
		uint8_t *ip;

		frames[n] = race_frame(c->race, seal_size(&c->in), &ip);
		seal_packet(&c->in, ++c->next_in[worker], ip);
	}
	race_must(n == 0 || race_feed(c->race, RACE_WAN, worker, frames, n), "a port is full");
}

/* The next packets of the worker's own flow: worker and place in it are its payload. */
static void
feed_out(struct mover_case *c, uint16_t worker)
{
	struct rte_mbuf *frames[BATCH];
	uint16_t n = 0;

	for (; n < BATCH && c->next_out[worker] < c->n_out; n++) {
		uint8_t *ip;

		frames[n] = race_frame(c->race, SEAL_INNER, &ip);
		seal_ip(ip, SEAL_INNER, 253, 0, 0x0a010001, 0x0a020001);
		seal_put64(ip + SEAL_IP, (uint64_t)worker << 32 | ++c->next_out[worker]);
	}
	race_must(n == 0 || race_feed(c->race, RACE_LAN, worker, frames, n), "a port is full");
}

static uint32_t
index_of(const struct mover_case *c, bool inbound)
{
	const struct gw *gw = &c->race->gw;

	for (uint32_t i = 0; i < gw->conf->n_sas; i++)
		if ((gw->conf->sas[i].direction == CONF_IN) == inbound)
			return gw->sa_books[i].index;
	race_must(false, "there is no such SA");
	return 0;
}

static uint8_t
owner_of(const struct mover_case *c, bool inbound)
{
	return sa_owner(sa_at(&c->race->gw.sas, index_of(c, inbound)));
}

static uint64_t
handed_over(const struct mover_case *c)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < c->race->gw.n_workers; i++)
		n += cell_get(&c->race->gw.workers[i]->handoff->given);
	return n;
}

static void
drain(struct mover_case *c)
{
	while (race_inside(c->race) > 0)
		take(c);
	take(c);
}

static void
must_be(const struct mover_case *c, bool inbound, const char *how)
{
	char why[PIN_WHY_SIZE];
	const char *is = pin_how(&c->race->gw, index_of(c, inbound), why);

	race_must(strcmp(is, how) == 0, "it is pinned by %s, not by %s", is, how);
}

/* All packets of the peer arrive at one worker, which is not the SA's. */
static void
goes_where_its_packets_arrive(struct race *r)
{
	struct mover_case *c = begin(r, race_times(100000, 20000, 400000), 0);
	time_t until = time(NULL) + PATIENCE_SEC;
	uint64_t before;
	uint8_t at;

	at = (uint8_t)(1 - owner_of(c, true));
	must_be(c, true, "ring");
	while (owner_of(c, true) != at) {
		race_must(time(NULL) < until, "nobody moved it");
		if (race_inside(r) < INSIDE_MAX / 4)
			feed_in(c, at);
		race_must(c->next_in[at] < c->n_in, "no packet was enough to move it");
		take(c);
	}
	drain(c);
	before = handed_over(c);
	for (int i = 0; i < 16; i++) {
		feed_in(c, at);
		drain(c);
	}
	race_must(handed_over(c) == before, "%lu packets were handed over all the same",
		  handed_over(c) - before);
	race_must(c->n_passed == c->next_in[at], "of %lu packets %lu passed", c->next_in[at],
		  c->n_passed);
	race_must(owner_of(c, true) == at, "it was moved away again");
	end(c);
}

/* Packets that arrive in turns: no worker is right, and the SA is not dragged about. */
static void
stays_where_packets_arrive_in_turns(struct race *r)
{
	struct mover_case *c = begin(r, race_times(60000, 12000, 200000), 0);
	uint32_t moves = 0;
	uint8_t was = owner_of(c, true);
	time_t began = time(NULL);

	while (c->next_in[0] < c->n_in) {
		uint64_t next = RTE_MAX(c->next_in[0], c->next_in[1]);
		uint16_t worker = (uint16_t)(next / BATCH % 2);

		if (race_inside(r) < INSIDE_MAX / 4) {
			c->next_in[worker] = next;
			feed_in(c, worker);
			if (c->next_in[worker] >= c->n_in)
				c->next_in[0] = c->next_in[worker];
		}
		take(c);
		moves += owner_of(c, true) != was;
		was = owner_of(c, true);
	}
	drain(c);
	race_must(c->n_passed == c->n_in, "of %lu packets %lu passed", c->n_in, c->n_passed);
	race_must(moves <= 2 + (uint64_t)(time(NULL) - began), "it was moved %u times", moves);
	end(c);
}

static void
fixed_stays(struct race *r)
{
	struct mover_case *c = begin(r, race_times(20000, 6400, 80000), 0);
	uint32_t sa = index_of(c, true);
	struct err err = { "" };

	race_must(pin_set(&r->gw, sa, 0, &err) == 0, "%s", err.text);
	race_must(pin_set(&r->gw, sa, 2, &err) == -EINVAL, "there is no worker 2");
	while (c->next_in[1] < c->n_in) {
		if (race_inside(r) < INSIDE_MAX / 4)
			feed_in(c, 1);
		take(c);
	}
	drain(c);
	race_must(owner_of(c, true) == 0, "it was moved");
	must_be(c, true, "fixed");
	race_must(c->n_passed == c->n_in, "of %lu packets %lu passed", c->n_in, c->n_passed);
	end(c);
}

static bool
all_fed(const struct mover_case *c)
{
	for (uint16_t i = 0; i < c->race->gw.n_workers; i++)
		if (c->next_in[i] < c->n_in || c->next_out[i] < c->n_out)
			return false;
	return true;
}

/* By number, the packets of each worker's flow must rise. */
static void
orders_look(const struct mover_case *c)
{
	uint64_t last[RACE_WORKERS_MAX] = { 0 };

	for (uint64_t number = 1; number <= c->n_sent; number++) {
		uint64_t flow = c->sent[number] >> 32, place = c->sent[number] & UINT32_MAX;

		race_must(c->sent[number] != 0, "number %lu was never sent", number);
		race_must(flow < c->race->gw.n_workers, "flow %lu", flow);
		race_must(place > last[flow], "flow %lu: %lu comes behind %lu", flow, place,
			  last[flow]);
		last[flow] = place;
	}
}

/* Drops that are not copies. Of what was made again these are allowed: what waited for an SA that
 * was ended too long ago, or that no policy names any more.
 */
static uint64_t
losses(const struct mover_case *c, bool made_again)
{
	uint64_t lost = 0;
	struct gw_totals t;

	totals_read(&c->race->gw, &t);
	for (int i = 0; i < DROP_MAX; i++) {
		if (i == DROP_REPLAY_DUP || i == DROP_REPLAY_OLD)
			continue;
		race_must(t.drops[i] == 0 ||
				  (made_again && (i == DROP_NO_SA || i == DROP_NO_OUTBOUND_SA ||
						  i == DROP_POLICY_SELECTOR)),
			  "%lu drops %s", t.drops[i], drop_names[i].name);
		lost += t.drops[i];
	}
	return lost;
}

static void
disturb(struct mover_case *c, bool readds)
{
	struct err err = { "" };
	char text[1024];
	int rc;

	if (readds && race_random(8) == 0) {
		tunnel_text(text, sizeof(text), race_random(2) != 0 ? "peer" : "other");
		race_reload(c->race, text);
		return;
	}
	rc = pin_set(&c->race->gw, index_of(c, race_random(2) != 0),
		     (uint16_t)race_random(c->race->gw.n_workers), &err);
	/* Right after a reload its key has two SAs. */
	race_must(rc == 0 || (readds && rc == -EBUSY), "%s", err.text);
}

/* All workers are given the same numbers in, and a flow each out, as fast as they take them. */
static void
moves_under_load(struct race *r, bool readds)
{
	uint16_t workers = (uint16_t)(rte_lcore_count() - 1);
	uint64_t n = race_times(30000, 4000, 200000) / workers;
	struct mover_case *c = begin(r, n * 2, n);
	uint64_t lost;

	for (uint32_t round = 0; !all_fed(c); round++) {
		for (uint16_t i = 0; i < workers && race_inside(r) < INSIDE_MAX; i++) {
			feed_in(c, (uint16_t)((i + round) % workers));
			feed_out(c, (uint16_t)((i + round) % workers));
		}
		disturb(c, readds);
		take(c);
	}
	drain(c);
	lost = losses(c, readds);
	orders_look(c);
	race_must(c->n_sent + lost >= c->n_out * workers && c->n_sent <= c->n_out * workers,
		  "of %lu packets %lu were sent, %lu lost", c->n_out * workers, c->n_sent, lost);
	race_must(c->n_passed + lost >= c->n_in, "of %lu numbers %lu passed, %lu lost", c->n_in,
		  c->n_passed, lost);
	end(c);
}

static void
moves(struct race *r)
{
	moves_under_load(r, false);
}

static void
moves_and_readds(struct race *r)
{
	moves_under_load(r, true);
}

int
main(void)
{
	static const struct race_case cases[] = {
		{ "an SA goes where its packets arrive, and none is handed over any more", 2,
		  goes_where_its_packets_arrive },
		{ "an SA whose packets arrive in turns is not dragged about", 2,
		  stays_where_packets_arrive_in_turns },
		{ "an SA whose worker was chosen stays there", 2, fixed_stays },
		{ "two workers, SAs moved under load: each packet once, flows in order", 2, moves },
		{ "eight workers, SAs moved under load: each packet once, flows in order", 8,
		  moves },
		{ "four workers, SAs moved, deleted and made again under load", 4,
		  moves_and_readds },
	};

	return race_main(cases, RTE_DIM(cases));
}
