#include <inttypes.h>
#include <string.h>

#include "conf/schema.h"

const struct conf_key *
schema_block(enum conf_block block, uint32_t *n)
{
	static uint32_t first[BLOCKS + 1];

	/* The rows of a block stand together, and the blocks in the order of their enum. */
	if (first[BLOCKS] == 0)
		for (uint32_t i = 0; i < conf_n_keys; i++)
			first[conf_keys[i].block + 1] = i + 1;
	*n = first[block + 1] - first[block];
	return &conf_keys[first[block]];
}

const struct conf_key *
schema_find(enum conf_block block, const char *name)
{
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (; n > 0; n--, k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

struct conf_place
conf_gateway_place(const struct conf *c, const char *key)
{
	uint32_t n, i = 0;
	const struct conf_key *k = schema_block(BLOCK_GATEWAY, &n);

	while (i < n && i < CONF_PLACES && strcmp(k[i].name, key) != 0)
		i++;
	return i < n && i < CONF_PLACES ? c->gateway.places[i] : (struct conf_place) { 0, 0 };
}

/* How many letters to add, drop, change or swap with the next; names are short. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[3][32] = { 0 };
	size_t la = strlen(a), lb = strlen(b);

	if (la > 30 || lb > 30)
		return UINT32_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *cur = row[i % 3], *up = row[(i + 2) % 3], *upper = row[(i + 1) % 3];

		cur[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (cur[j - 1] + 1 < best)
				best = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    upper[j - 2] + 1 < best)
				best = upper[j - 2] + 1;
			cur[j] = best;
		}
	}
	return row[la % 3][lb];
}

struct nearest {
	const char *name;
	unsigned away;
};

static void
nearer(struct nearest *n, const char *name, const char *wanted)
{
	unsigned away = distance(name, wanted);

	/* A third of the letters may be wrong; more is another word. */
	if (away * 3 <= strlen(wanted) + 1 && away < n->away)
		*n = (struct nearest) { name, away };
}

const char *
schema_nearest(enum conf_block block, enum conf_block also, const char *name)
{
	struct nearest best = { NULL, UINT32_MAX };
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (; n > 0; n--, k++)
		nearer(&best, k->name, name);
	k = schema_block(also, &n);
	for (; n > 0; n--, k++)
		nearer(&best, k->name, name);
	return best.name;
}

const char *
word_nearest(const struct conf_word *words, const char *name)
{
	struct nearest best = { NULL, UINT32_MAX };

	for (; words != NULL && words->name != NULL; words++)
		nearer(&best, words->name, name);
	return best.name;
}

static void
append(char *buf, size_t size, const char *text)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, "%s", text);
}

static void
words_text(const struct conf_key *k, char *buf, size_t size)
{
	for (const struct conf_word *w = k->words; w != NULL && w->name != NULL; w++) {
		if (w != k->words)
			append(buf, size, w[1].name == NULL && k->min > k->max ? " or " : ", ");
		append(buf, size, w->name);
	}
}

static void
algs_text(enum alg_kind kind, char *buf, size_t size)
{
	const char *lead = "";

	for (int i = ALG_NONE + 1; i < ALG_MAX; i++) {
		if (algs[i].kind != kind)
			continue;
		append(buf, size, lead);
		append(buf, size, algs[i].name);
		lead = ", ";
	}
}

static void
time_text(uint64_t us, char *buf, size_t size)
{
	static const struct {
		uint64_t us;
		const char *unit;
	} units[] = {
		{ UINT64_C(3600000000), "h" }, { 60000000, "m" }, { 1000000, "s" }, { 1000, "ms" }
	};
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64 "us", us);
	for (size_t i = 0; i < 4; i++)
		if (us != 0 && us % units[i].us == 0) {
			snprintf(text, sizeof(text), "%" PRIu64 "%s", us / units[i].us,
				 units[i].unit);
			break;
		}
	append(buf, size, us == 0 ? "0" : text);
}

static void
range_text(const struct conf_key *k, char *buf, size_t size)
{
	char text[96];

	if (k->max == UINT64_MAX)
		snprintf(text, sizeof(text), "%" PRIu64 " and up", k->min);
	else if (k->min == k->max)
		snprintf(text, sizeof(text), "%" PRIu64, k->min);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " to %" PRIu64, k->min, k->max);
	append(buf, size, text);
	if (k->unit[0] != 0) {
		append(buf, size, " ");
		append(buf, size, k->unit);
	}
}

static void
number_text(const struct conf_key *k, char *buf, size_t size)
{
	words_text(k, buf, size);
	if (k->min > k->max)
		return;
	if (k->words != NULL)
		append(buf, size, ", or ");
	range_text(k, buf, size);
}

static void
mask_text(const struct conf_key *k, char *buf, size_t size)
{
	words_text(k, buf, size);
	append(buf, size, k->words != NULL ? ", or a list of " : "a list of ");
	range_text(k, buf, size);
}

/* Some of its keys, for those who wrote `ipcomp: true`. */
static void
map_text(const struct conf_key *k, char *buf, size_t size)
{
	uint32_t n;
	const struct conf_key *sub = schema_block(k->sub, &n);

	append(buf, size, "a map of keys, such as {");
	append(buf, size, sub->name);
	append(buf, size, ": ...}");
}

void
schema_values(const struct conf_key *k, char *buf, size_t size)
{
	static const char *const fixed[] = {
		[TYPE_BOOL] = "true or false",
		[TYPE_NAMES] = "a name, or a list of names",
		[TYPE_NAME] = "a name of letters, digits, '_', '-' and '.'",
		[TYPE_TEXT] = "text",
		[TYPE_ADDR] = "an address such as 192.0.2.1 or 2001:db8::1",
		[TYPE_PREFIX] = "a prefix such as 10.2.0.0/16",
		[TYPE_NETS] = "any, a prefix (10.1.0.0/16), a range (10.1.0.5-10.1.0.9), or a list "
			      "of them",
		[TYPE_IFADDRS] = "a list of addresses such as 192.0.2.1/24",
		[TYPE_MAC] = "a MAC address such as \"02:00:00:00:00:fe\"",
		[TYPE_SECRET] = "\"hex:...\", \"file:PATH\" or \"env:NAME\"",
		[TYPE_DEVICES] = "a list of devices such as [crypto_aesni_gcm0]",
		[TYPE_PORT_PAIR] = "two ports such as [4500, 4500]",
		[TYPE_PORT_RANGE] = "any, a port, or a range such as 1000-2000",
		[TYPE_DSCP_MAP] = "copy, 0 to 63, or a map such as {46: 46, 0: 8}",
		[TYPE_LIST] = "a list",
		[TYPE_LIST + 1] = NULL,
	};

	buf[0] = 0;
	switch (k->type) {
	case TYPE_NUMBER:
		number_text(k, buf, size);
		break;
	case TYPE_MASK:
		mask_text(k, buf, size);
		break;
	case TYPE_TIME:
		time_text(k->min, buf, size);
		append(buf, size, " to ");
		time_text(k->max, buf, size);
		break;
	case TYPE_ALG:
		algs_text(k->min, buf, size);
		break;
	case TYPE_MAP:
	case TYPE_OPTION:
		map_text(k, buf, size);
		break;
	case TYPE_ENGINES:
		append(buf, size, "a list of ");
		words_text(k, buf, size);
		break;
	default:
		append(buf, size, fixed[k->type]);
	}
}
