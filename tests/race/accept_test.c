/* The same authentic packet at all workers at once: exactly one copy passes, whoever owns its
 * window, and whatever control does to the SA meanwhile.
 *
 * A round is a number. Rounds go in batches: each worker is given all packets of a batch, each in
 * an order of its own, and a batch ends when every copy has come to its end.
 */
#include <stdlib.h>

#include "rig.h"
#include "seal.h"

#define BATCH 64

struct accept {
	struct race *race;
	struct seal seal;
	uint16_t lanes;
	uint64_t next[64]; /* of each lane */
	uint64_t numbers[BATCH];
	uint8_t frames[BATCH][SEAL_SIZE_MAX];
	uint32_t passed[BATCH];
	uint64_t n_passed;
};

static const uint8_t key[SEAL_KEY_SIZE] = "the key of one peer";

static void
tunnel_text(char *text, size_t size, const char *name, uint16_t lanes, uint32_t window)
{
	char hex[2 * SEAL_KEY_SIZE + 1];

	for (int i = 0; i < SEAL_KEY_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	snprintf(
		text, size,
		"tunnels:\n  - {name: %s, local: 192.0.2.1, remote: 198.51.100.1, local_nets: "
		"[10.1.0.0/16], remote_nets: [10.2.0.0/16], aead: aes-gcm-128, esn: true, "
		"replay_window: %u, out: {spi: 0x1001, key: \"hex:%040x\"}, in: {spi: 0x2001, key: "
		"\"hex:%s\"}%s",
		name, window, 1, hex, lanes > 1 ? ", subspaces: true" : "");
	if (lanes > 1)
		snprintf(text + strlen(text), size - strlen(text), ", lanes: %u", lanes);
	strncat(text, "}\n", size - strlen(text) - 1);
}

static void
see(void *ctx, const uint8_t *ip, uint16_t len)
{
	struct accept *a = ctx;
	uint64_t number;

	race_must(len >= SEAL_INNER, "a packet of %u octets came out", len);
	number = seal_get64(ip + SEAL_IP);
	for (int i = 0; i < BATCH; i++) {
		if (a->numbers[i] != number)
			continue;
		race_must(a->passed[i]++ == 0, "number %#lx passed twice", number);
		a->n_passed++;
		return;
	}
	race_must(false, "number %#lx passed, which is of another batch", number);
}

static void
batch_make(struct accept *a)
{
	for (int i = 0; i < BATCH; i++) {
		uint64_t lane = a->lanes > 1 ? race_random(a->lanes) : 0;

		a->numbers[i] = lane << 48 | ++a->next[lane];
		a->passed[i] = 0;
		seal_packet(&a->seal, a->numbers[i], a->frames[i]);
	}
	a->n_passed = 0;
}

/* From another place in the batch for each worker, and backwards for some. */
static void
batch_feed(struct accept *a, uint16_t worker)
{
	struct rte_mbuf *frames[BATCH];
	uint32_t at = (uint32_t)race_random(BATCH);
	uint32_t step = race_random(2) != 0 ? 1 : BATCH - 1;

	for (int i = 0; i < BATCH; i++, at += step) {
		uint8_t *ip;

		frames[i] = race_frame(a->race, seal_size(&a->seal), &ip);
		memcpy(ip, a->frames[at % BATCH], seal_size(&a->seal));
	}
	race_must(race_feed(a->race, RACE_WAN, worker, frames, BATCH), "a worker reads nothing");
}

static void
batch_run(struct accept *a)
{
	uint16_t n = a->race->gw.n_workers;

	batch_make(a);
	for (uint16_t i = 0; i < n; i++)
		batch_feed(a, i);
	while (race_inside(a->race) > 0) {
		race_take(a->race, RACE_LAN, see, a);
		race_tick(a->race);
	}
	race_take(a->race, RACE_LAN, see, a);
	if (a->n_passed != BATCH)
		race_show(a->race);
	race_must(a->n_passed == BATCH, "of %d numbers %lu passed", BATCH, a->n_passed);
}

/* Only copies may have been dropped, each by its name. */
static void
drops_look(struct accept *a, uint64_t rounds)
{
	uint64_t copies = rounds * (a->race->gw.n_workers - 1), dropped = 0;
	struct gw_totals t;

	totals_read(&a->race->gw, &t);
	for (int i = 0; i < DROP_MAX; i++)
		if (i == DROP_REPLAY_DUP || i == DROP_REPLAY_OLD)
			dropped += t.drops[i];
		else
			race_must(t.drops[i] == 0, "%lu drops %s", t.drops[i], drop_names[i].name);
	race_must(dropped == copies, "%lu copies, and %lu dropped as replays", copies, dropped);
}

/* reloads: the SA is renamed, or its only window resized, while copies are on their way. */
static void
accepted_once(struct race *r, uint16_t lanes, bool reloads)
{
	struct accept *a = calloc(1, sizeof(*a));
	uint64_t rounds = race_times(50000, 2560, 1000000);
	char text[1024];

	race_must(a != NULL, "no memory");
	*a = (struct accept) { .race = r, .lanes = lanes };
	seal_init(&a->seal, key, 0x2001, lanes > 1);
	tunnel_text(text, sizeof(text), "peer", lanes, 1024);
	race_start(r, text);
	rounds -= rounds % BATCH;
	for (uint64_t i = 0; i < rounds; i += BATCH) {
		if (reloads && race_random(16) == 0) {
			tunnel_text(text, sizeof(text), race_random(2) != 0 ? "peer" : "other",
				    lanes, lanes == 1 && race_random(2) != 0 ? 4096 : 1024);
			race_reload(r, text);
		}
		batch_run(a);
	}
	drops_look(a, rounds);
	race_stop(r);
	EVP_CIPHER_CTX_free(a->seal.ctx);
	free(a);
}

static void
one_window(struct race *r)
{
	accepted_once(r, 1, false);
}

static void
one_window_reloaded(struct race *r)
{
	accepted_once(r, 1, true);
}

static void
many_windows(struct race *r)
{
	accepted_once(r, 24, false);
}

static void
many_windows_reloaded(struct race *r)
{
	accepted_once(r, 24, true);
}

int
main(void)
{
	static const struct race_case cases[] = {
		{ "A3.1 two workers, one window: each packet passes once", 2, one_window },
		{ "A3.1 four workers, one window: each packet passes once", 4, one_window },
		{ "A3.1 eight workers, one window: each packet passes once", 8, one_window },
		{ "A3.1 four workers, one window that is resized and renamed", 4,
		  one_window_reloaded },
		{ "A3.1 two workers, 24 lanes: each packet passes once", 2, many_windows },
		{ "A3.1 three workers, 24 lanes: each packet passes once", 3, many_windows },
		{ "A3.1 eight workers, 24 lanes: each packet passes once", 8, many_windows },
		{ "A3.1 four workers, 24 lanes of an SA that is renamed", 4,
		  many_windows_reloaded },
	};

	return race_main(cases, RTE_DIM(cases));
}
