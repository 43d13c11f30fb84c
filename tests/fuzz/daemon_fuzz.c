/* Whole sessions of key daemons: any datagrams of up to three clients, against the daemon module
 * over a gateway in this process, whose workers stand still.
 *
 * An input is a list of steps, each a head (struct head) and the octets of a datagram. Whatever
 * they say, every request that wants an answer gets exactly one, no answer goes to another client,
 * a dump ends, what the file says stays as it is, and when all clients have flushed and gone
 * nothing is left of them: no SA, no policy, no memory.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <sanitizer/lsan_interface.h>

#include "conf/errors.h"
#include "ctl/gw.h"
#include "daemon/daemon.h"
#include "drivers.h"
#include "numbers/numbers.h"
#include "session.h"
#include "xfrm/xfrm.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define CLIENTS	     3
#define ANSWERS	     (2 * DATAGRAM_MAX / 16)
#define DATAGRAM_MAX UINT16_MAX
#define FILE_SAS     2
#define NL_PID	     1000
#define FLUSH_SEQ    0xf1054000

static const char file[] =
	"version: 1\n"
	"gateway: {max_sas: 256, max_routes: {v4: 256, v6: 256}, mbufs: 1024, key_cache: 64Ki}\n"
	"ports:\n"
	"  - {name: wan, device: net_null0, side: black, addresses: [192.0.2.1/24, "
	"\"2001:db8::1/64\"]}\n"
	"  - {name: lan, device: net_null1, side: red, addresses: [10.254.0.1/24]}\n"
	"routes: [{to: 0.0.0.0/0, via: 192.0.2.254, port: wan}]\n"
	"neighbours: [{ip: 192.0.2.254, mac: \"02:00:00:00:00:fe\", port: wan}]\n"
	"sas:\n"
	"  - {name: a, direction: in, spi: 0x1001, src: 198.51.100.1, dst: 192.0.2.1, aead: "
	"aes-gcm-128, key: \"hex:00112233445566778899aabbccddeeff00000001\"}\n"
	"  - {name: b, direction: out, spi: 0x2001, src: 192.0.2.1, dst: 198.51.100.1, aead: "
	"aes-gcm-128, key: \"hex:00112233445566778899aabbccddeeff00000002\"}\n"
	"policies:\n"
	"  - {name: p, direction: out, src: 10.1.0.0/16, dst: 10.2.0.0/16, action: protect, sa: "
	"b}\n"
	"  - {name: q, direction: in, src: 10.2.0.0/16, dst: 10.1.0.0/16, action: protect, sa: "
	"a}\n";

static const struct engine *const engines[] = { &engine_openssl };

static struct gw gw;
static struct daemons *daemons;
static struct daemon_client clients[CLIENTS];
static struct sa file_sas[FILE_SAS];
static uint32_t file_index[FILE_SAS];
static uint64_t now;
/* Answers to each request of the input, by its number. */
static struct {
	uint8_t client;
	bool wants_ack, is_dump, is_refused;
	uint8_t errors, ends, data;
} asked[ANSWERS];
static uint32_t n_asked;
static uint32_t last_spi_be;

/* Says which rule was broken. */
#define must(held) must_hold(held, #held)
static void
must_hold(bool held, const char *rule)
{
	if (held)
		return;
	fprintf(stderr, "broken: %s\n", rule);
	abort();
}

/* ---- What comes back ---- */

static void
answer_take(uint64_t client, const struct xfrm_msg *m)
{
	uint32_t number = m->head.seq;

	must(m->head.pid == NL_PID + client);
	if (number >= n_asked)
		must(number >= FLUSH_SEQ);
	else
		must(asked[number].client == client);
	if (m->head.type == XFRM_NEWSA && m->len >= sizeof(struct xw_sa))
		memcpy(&last_spi_be, m->body + offsetof(struct xw_sa, id.spi_be), 4);
	if (number >= n_asked)
		return;
	if (m->head.type == XFRM_ERROR) {
		struct xw_error e;

		must(m->len >= sizeof(e));
		memcpy(&e, m->body, sizeof(e));
		asked[number].errors++;
		asked[number].is_refused |= e.error != 0;
	}
	if (m->head.type == XFRM_DONE)
		asked[number].ends++;
	else if (m->head.type != XFRM_ERROR && !asked[number].is_dump)
		asked[number].data++;
}

static void
on_reply(void *ctx, uint64_t client, const void *datagram, size_t len)
{
	struct xfrm_msg m;
	struct err err;
	size_t at = 0;
	int more;

	must(len > 0 && len <= XFRM_DATAGRAM_MAX && len % 4 == 0);
	while ((more = xfrm_next(datagram, len, &at, &m, &err)) == 1)
		answer_take(client, &m);
	must(more == 0);
}

static void
on_event(void *ctx, unsigned int group, const void *datagram, size_t len)
{
	struct xfrm_msg m;
	struct err err;
	size_t at = 0;

	must(group >= 1 && group < XFRM_GROUP_END && len <= XFRM_DATAGRAM_MAX);
	must(xfrm_next(datagram, len, &at, &m, &err) == 1 && at == len);
}

/* ---- The gateway ---- */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct daemon_out out = { .reply = on_reply, .event = on_event };
	/* A worker's lcore, for as long as it takes to start and stop. */
	static char words[][16] = {
		"fuzz",		  "--no-huge",	   "-m",       "256",	 "--no-shconf", "--no-pci",
		"--no-telemetry", "--log-level=5", "--lcores", "0@0,1@0"
	};
	char *eal[RTE_DIM(words) + 1] = { NULL };
	static const struct codec *const codecs[] = { &codec_zlib };
	struct gw_options options = {
		.engines = engines, .n_engines = 1, .codecs = codecs, .n_codecs = 1
	};
	struct conf_errors errors;
	struct conf *conf;
	struct err err;

	/* Lives until the end, in memory that the leak check does not look through. */
	__lsan_disable();
	for (size_t i = 0; i < RTE_DIM(words); i++)
		eal[i] = words[i];
	must(rte_eal_init(RTE_DIM(words), eal) >= 0);
	conf_errors_init(&errors, "fuzz");
	must(conf_load_text(file, strlen(file), "fuzz", 0, &conf, &errors) == 0);
	must(gw_start(&gw, &options, conf, &err) == 0);
	/* From here on nobody runs but us: mail is run at once, and every grace period is over. */
	gw_stop(&gw);
	must(daemons_create(&gw, &out, &daemons, &err) == 0);
	must(gw.sas.records.n_taken == FILE_SAS);
	for (uint32_t i = 0, at = 0; i < FILE_SAS; i++, at++) {
		at = slab_next(&gw.sas.records, at);
		file_index[i] = at;
		file_sas[i] = *sa_at(&gw.sas, at);
	}
	__lsan_enable();
	return 0;
}

static void
time_goes_by(uint64_t ns)
{
	now += ns;
	daemons_tick(daemons, now);
	gw_tick(&gw);
}

/* ---- A session ---- */

static void
call(unsigned int n)
{
	struct daemon_client *c = &clients[n];
	struct err err;

	memset(c, 0, sizeof(*c));
	c->id = n;
	c->uid = n == 2 ? 1000 : 0;
	c->pid = 100 + (pid_t)n;
	c->instance = n + 1;
	c->nl_pid = NL_PID + n;
	/* The first is a daemon, the others are scripts: they hear of everything else. */
	c->groups = n == 0 ? 0xff : 0xfc;
	c->may_change = true;
	strcpy(c->program, "fuzz");
	must(daemon_client_hello(daemons, c, &err) == 0);
}

static void
request(unsigned int n, const void *datagram, size_t len)
{
	struct daemon_client *c = &clients[n];

	daemon_request(daemons, c, datagram, len);
	for (unsigned int i = 0; c->dumping; i++) {
		must(i < 1000);
		daemon_dump_more(daemons, c);
	}
}

/* Each message of a datagram gets a number of its own, by which its answers are known; the last may
 * be one whose length is wrong.
 */
static void
number(unsigned int n, uint8_t *datagram, size_t len)
{
	struct xfrm_msg m;
	struct err err;
	size_t at = 0, begin = 0;
	int more;

	while ((more = xfrm_next(datagram, len, &at, &m, &err)) == 1 || more == -EINVAL) {
		must(n_asked < ANSWERS);
		memcpy(datagram + begin + offsetof(struct xw_head, seq), &n_asked, 4);
		memset(&asked[n_asked], 0, sizeof(asked[n_asked]));
		asked[n_asked].client = (uint8_t)n;
		asked[n_asked].wants_ack =
			more == 1 && m.head.type >= XFRM_NEWSA && (m.head.flags & XFRM_F_ACK) != 0;
		asked[n_asked].is_dump = more == 1 && xfrm_is_dump(&m);
		n_asked++;
		begin = at;
	}
}

static void
spi_put(uint8_t *octets, uint16_t len)
{
	uint16_t type, at;

	if (len < sizeof(struct xw_head))
		return;
	memcpy(&type, octets + offsetof(struct xw_head, type), sizeof(type));
	at = type == XFRM_NEWSA || type == XFRM_UPDSA ? offsetof(struct xw_sa, id.spi_be) :
							offsetof(struct xw_sa_id, spi_be);
	if (sizeof(struct xw_head) + at + 4u <= len)
		memcpy(octets + sizeof(struct xw_head) + at, &last_spi_be, 4);
}

static void
step_take(const struct step *s)
{
	static uint8_t octets[DATAGRAM_MAX];
	unsigned int n = s->how & STEP_CLIENT;
	uint32_t len = s->len;
	uint8_t *exact;

	if (n == CLIENTS) {
		time_goes_by(len * UINT64_C(100000000));
		return;
	}
	if (s->how & STEP_GONE) {
		daemon_client_gone(daemons, &clients[n]);
		call(n);
	}
	memcpy(octets, s->octets, s->len);
	if ((s->how & STEP_FRAME) && len >= sizeof(struct xw_head))
		memcpy(octets, &len, sizeof(len));
	if (s->how & STEP_SPI)
		spi_put(octets, s->len);
	number(n, octets, len);
	/* Of exactly its size, so that the sanitizer sees who reads on. */
	exact = malloc(len + (len == 0));
	must(exact != NULL);
	memcpy(exact, octets, len);
	request(n, exact, len);
	free(exact);
}

/* As Linux does: data where there is some, and an ACK to who wants one; a refusal alone. */
static void
answers_check(void)
{
	for (uint32_t i = 0; i < n_asked; i++) {
		unsigned int verdicts = asked[i].errors + asked[i].ends;

		must(verdicts <= 1 && asked[i].data <= 1);
		must(verdicts == 1 || !(asked[i].is_dump || asked[i].wants_ack));
		must(asked[i].ends == 0 || asked[i].is_dump);
		must(asked[i].data == 0 || !asked[i].is_refused);
		must(asked[i].wants_ack || asked[i].errors == 0 || asked[i].is_refused);
	}
}

static void
flush(unsigned int n)
{
	struct {
		struct xw_head head;
		uint8_t proto, pad[3];
	} sas = { { sizeof(sas), XFRM_FLUSHSA, XFRM_F_REQUEST, FLUSH_SEQ, 0 }, 0, { 0 } };
	struct xw_head policies = { sizeof(policies), XFRM_FLUSHPOLICY, XFRM_F_REQUEST, FLUSH_SEQ,
				    0 };

	request(n, &policies, sizeof(policies));
	request(n, &sas, sizeof(sas));
	daemon_client_gone(daemons, &clients[n]);
}

static void
nothing_is_left(void)
{
	struct daemons_counts counts;

	for (unsigned int i = 0; i < 10 && gw.sas.records.n_taken != FILE_SAS; i++)
		time_goes_by(1000000000);
	must(gw.sas.records.n_taken == FILE_SAS);
	daemons_counts(daemons, &counts);
	must(counts.states == 0 && counts.larval == 0);
	for (uint32_t i = 0; i < FILE_SAS; i++)
		must(memcmp(sa_at(&gw.sas, file_index[i]), &file_sas[i], sizeof(file_sas[i])) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct step s;
	size_t at = 0;

	n_asked = 0;
	for (unsigned int n = 0; n < CLIENTS; n++)
		call(n);
	while (n_asked < ANSWERS / 2 && session_next(octets, size, &at, &s))
		step_take(&s);
	answers_check();
	for (unsigned int n = 0; n < CLIENTS; n++)
		flush(n);
	nothing_is_left();
	return 0;
}
