/* All workers send by one SA, which control renames, rekeys, re-addresses, takes away and puts back
 * meanwhile, under new keys and under old ones: no key meets a number twice.
 */
#include <stdlib.h>

#include "rig.h"
#include "seal.h"

#define FEED	   32	/* packets for a worker at a time */
#define AHEAD	   512	/* packets of a worker that may be under way */
#define AHEAD_FULL 2500 /* so many that every ring between workers is full */
#define KEYS_MAX   2048
#define PACKET	   64
#define VARIANTS   16 /* SPIs that a key has in turn */
#define SPI_FIRST  0x10000u
#define SAMPLE	   64 /* one of so many packets is decrypted */
#define CHANGES	   2048
#define OTHER_KEYS 0xfffffu

/* What was seen of (key, number), packed so that no two are one: 12 bits say the key, 10 the lane,
 * 42 the number in it. A table of open addresses; 0 is an empty place.
 */
struct ledger {
	uint64_t *places, mask, n;
};

struct nonce {
	struct race *race;
	struct ledger ledger;
	struct seal seal;
	uint16_t lanes;
	uint32_t n_keys, key, variant;
	bool there, by_class, other_name;
	uint64_t n_samples;
};

static void
ledger_init(struct ledger *l, uint64_t packets)
{
	l->mask = rte_align64pow2(2 * packets + KEYS_MAX) - 1;
	l->places = calloc(l->mask + 1, sizeof(l->places[0]));
	race_must(l->places != NULL, "no memory for a ledger of %lu packets", packets);
}

static void
ledger_enter(struct ledger *l, uint32_t key, uint64_t number)
{
	uint64_t lane = number >> 48, sn = number & ((UINT64_C(1) << 48) - 1), entry, at;

	race_must(lane < 1 << 10 && sn > 0 && sn < UINT64_C(1) << 42, "number %#lx", number);
	entry = (uint64_t)key << 52 | lane << 42 | sn;
	at = (entry * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & l->mask;
	for (; l->places[at] != 0; at = (at + 1) & l->mask)
		race_must(l->places[at] != entry, "key %u met number %#lx twice", key, number);
	l->places[at] = entry;
	l->n++;
}

static void
key_of(uint32_t number, uint8_t key[SEAL_KEY_SIZE])
{
	memset(key, 0x55, SEAL_KEY_SIZE);
	seal_put32(key + 8, number);
}

static void
text_of(const struct nonce *t, char *text, size_t size)
{
	char hex[2][2 * SEAL_KEY_SIZE + 1];
	uint8_t keys[2][SEAL_KEY_SIZE];
	char lanes[96] = "";

	if (!t->there) {
		snprintf(text, size, "tunnels: []\n");
		return;
	}
	key_of(t->key, keys[0]);
	key_of(OTHER_KEYS, keys[1]);
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < SEAL_KEY_SIZE; i++)
			snprintf(hex[k] + 2 * i, 3, "%02x", keys[k][i]);
	if (t->lanes > 1)
		snprintf(lanes, sizeof(lanes), ", subspaces: true, lanes: %u, lane_by: %s",
			 t->lanes, t->by_class ? "class" : "flow");
	snprintf(text, size,
		 "tunnels:\n  - {name: %s, local: 192.0.2.1, remote: 198.51.100.1, local_nets: "
		 "[10.1.0.0/16], remote_nets: [10.2.0.0/16], aead: aes-gcm-128, esn: true, out: "
		 "{spi: %u, key: \"hex:%s\"}, in: {spi: 0x2001, key: \"hex:%s\"}%s}\n",
		 t->other_name ? "other" : "peer", SPI_FIRST + t->key * VARIANTS + t->variant,
		 hex[0], hex[1], lanes);
}

static void
change(struct nonce *t)
{
	char text[1024];

	switch (race_random(6)) {
	case 0:
		t->other_name = !t->other_name;
		break;
	case 1:
		if (t->n_keys < KEYS_MAX)
			t->key = t->n_keys++;
		break;
	case 2: /* a key that was used before, of which only its number may be known */
		t->key = (uint32_t)race_random(t->n_keys);
		break;
	case 3:
		t->variant = (t->variant + 1) % VARIANTS;
		break;
	case 4:
		t->there = !t->there;
		break;
	default:
		t->by_class = !t->by_class;
	}
	text_of(t, text, sizeof(text));
	race_reload(t->race, text);
}

/* An authentic packet of ours says that number and nonce are those of its key. */
static void
sample(struct nonce *t, uint32_t key, const uint8_t *esp, uint16_t len)
{
	const uint8_t *text = esp + seal_head(&t->seal);
	uint16_t n = (uint16_t)(len - seal_head(&t->seal) - SEAL_ICV);
	uint8_t plain[256];
	int got;

	race_must(n <= sizeof(plain), "a text of %u octets", n);
	key_of(key, t->seal.key);
	t->seal.spi = seal_get32(esp);
	seal_begin(&t->seal, seal_get64(text - 8), false);
	race_must(EVP_CipherUpdate(t->seal.ctx, plain, &got, text, n) == 1 &&
			  EVP_CIPHER_CTX_ctrl(t->seal.ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_ICV,
					      (void *)(uintptr_t)(text + n)) == 1 &&
			  EVP_CipherFinal_ex(t->seal.ctx, plain + got, &got) == 1,
		  "a packet of key %u is not authentic under its IV", key);
	race_must(plain[0] == 0x45 && plain[16] == 10 && plain[17] == 2, "another packet came out");
	t->n_samples++;
}

static void
see(void *ctx, const uint8_t *ip, uint16_t len)
{
	struct nonce *t = ctx;
	const uint8_t *esp = ip + SEAL_IP;
	uint32_t key = (seal_get32(esp) - SPI_FIRST) / VARIANTS;
	uint64_t number = seal_get64(esp + seal_head(&t->seal) - 8);

	race_must(ip[9] == IPPROTO_ESP && key < KEYS_MAX, "a packet of SPI %#x was sent",
		  seal_get32(esp));
	if (t->lanes > 1)
		race_must(seal_get64(esp + 4) == number, "the IV is not the number");
	else
		race_must(seal_get32(esp + 4) == (uint32_t)number, "the IV is not the number");
	ledger_enter(&t->ledger, key, number);
	if (t->ledger.n % SAMPLE == 0)
		sample(t, key, esp, (uint16_t)(len - SEAL_IP));
}

static void
feed(struct nonce *t, uint16_t worker)
{
	struct rte_mbuf *frames[FEED];

	for (int i = 0; i < FEED; i++) {
		uint8_t *ip;

		frames[i] = race_frame(t->race, PACKET, &ip);
		memset(ip, 0, PACKET);
		seal_ip(ip, PACKET, 253, (uint8_t)(race_random(64) << 2),
			0x0a010000 | (uint32_t)race_random(256),
			0x0a020000 | (uint32_t)race_random(256));
	}
	if (!race_feed(t->race, RACE_LAN, worker, frames, FEED))
		rte_pktmbuf_free_bulk(frames, FEED);
}

static void
unique(struct race *r, uint16_t lanes, uint32_t ahead)
{
	uint64_t packets = race_times(1 << 20, 1 << 14, 1 << 24);
	uint64_t next = packets / CHANGES;
	struct nonce t = {
		.race = r,
		.lanes = lanes,
		.n_keys = 1,
		.there = true,
	};
	uint8_t key[SEAL_KEY_SIZE] = { 0 };
	char text[1024];

	ledger_init(&t.ledger, packets);
	seal_init(&t.seal, key, 0, lanes > 1);
	text_of(&t, text, sizeof(text));
	race_start(r, text);
	while (t.ledger.n < packets) {
		if (race_inside(r) < (uint64_t)ahead * r->gw.n_workers)
			for (uint16_t i = 0; i < r->gw.n_workers; i++)
				feed(&t, i);
		race_take(r, RACE_WAN, see, &t);
		race_tick(r);
		if (t.ledger.n >= next || (!t.there && race_random(64) == 0)) {
			change(&t);
			next = t.ledger.n + packets / CHANGES;
		}
	}
	race_must(t.n_samples > 0 && t.n_keys > 1, "nothing was looked at");
	while (race_inside(r) > 0) {
		race_take(r, RACE_WAN, see, &t);
		race_tick(r);
	}
	race_stop(r);
	EVP_CIPHER_CTX_free(t.seal.ctx);
	free(t.ledger.places);
}

static void
one_lane(struct race *r)
{
	unique(r, 1, AHEAD);
}

static void
a_lane_each(struct race *r)
{
	unique(r, r->workers, AHEAD);
}

static void
three_lanes(struct race *r)
{
	unique(r, 3, AHEAD);
}

static void
sixteen_lanes(struct race *r)
{
	unique(r, 16, AHEAD);
}

static void
full_rings(struct race *r)
{
	unique(r, 1, AHEAD_FULL);
}

static void
full_rings_of_lanes(struct race *r)
{
	unique(r, 2, AHEAD_FULL);
}

static void
reserved(struct race *r)
{
	r->has_state = true;
	unique(r, 3, AHEAD);
}

int
main(void)
{
	static const struct race_case cases[] = {
		{ "A3.12 four workers, one lane: no key meets a number twice", 4, one_lane },
		{ "A3.12 two workers, a lane each: no key meets a number twice", 2, a_lane_each },
		{ "A3.12 five workers, three lanes: no key meets a number twice", 5, three_lanes },
		{ "A3.12 three workers, 16 lanes by flow or by class: no key meets a number twice",
		  3, sixteen_lanes },
		{ "A3.12 one lane, every ring kept full: no key meets a number twice", 4,
		  full_rings },
		{ "A3.12 two lanes, every ring kept full: no key meets a number twice", 4,
		  full_rings_of_lanes },
		{ "A3.12 three lanes, numbers reserved by 64: no key meets a number twice", 3,
		  reserved },
	};

	return race_main(cases, RTE_DIM(cases));
}
