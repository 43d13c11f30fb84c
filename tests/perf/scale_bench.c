/* What a gateway of very many SAs costs in memory, and how fast they come and go beside traffic.
 *
 *	scale_bench [--no-huge] [SAS [SECONDS]]
 *
 * Starts the gateway as the program does, with an SA of the file that a stream without end goes
 * through; installs SAS (1,000,000) in pairs with a policy each way; then for SECONDS (5) ends
 *pairs and puts others in their places; then ends all. Prints, against a gateway that is sized for
 *few: octets on DPDK's heap and on libc's at each step; SAs per second; what one more policy costs;
 *and each packet of the stream that did not come out. Exit status 1 if one was lost, or if the heap
 * did not come back.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "ctl/gw.h"
#include "ctl/policies.h"
#include "ctl/report.h"
#include "ctl/sas.h"
#include "ctl/sweep.h"
#include "drivers.h"
#include "numbers/numbers.h"

#define SLICE 64 /* pairs between two looks at what is due, as a daemon's requests come */

struct pair {
	uint32_t in, out;     /* SAs */
	uint32_t policies[2]; /* by direction */
};

struct bench {
	struct gw gw;
	struct conf *conf;
	uint32_t n_pairs;
	struct pair *pairs;
	uint32_t serial; /* keys are never used twice */
	double slowest;	 /* seconds of a slice */
};

struct heap {
	size_t dpdk, libc;
};

static void
must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "scale_bench: %s\n", what);
	exit(1);
}

static double
seconds(void)
{
	return (double)rte_rdtsc() / (double)rte_get_tsc_hz();
}

/* Of this thread: what the machine is shared with does not count. */
static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A look at all SAs, which is due once a second. */
static void
sweep(struct bench *b)
{
	double begin;

	b->gw.sweep_next = 0;
	b->gw.sweep_began = 0;
	begin = cpu_seconds();
	sweep_tick(&b->gw, clock_now(&b->gw.clock));
	printf("one look at all SAs: %.0f ms of control's CPU\n", (cpu_seconds() - begin) * 1e3);
}

static struct heap
heap_now(void)
{
	struct rte_malloc_socket_stats stats;
	struct heap h = { 0, mallinfo2().uordblks };

	for (unsigned int s = 0; s < RTE_MAX_NUMA_NODES; s++)
		if (rte_malloc_get_socket_stats(s, &stats) == 0)
			h.dpdk += stats.heap_allocsz_bytes;
	return h;
}

/* One packet of 64 octets, for the SA of the file: net_pcap repeats it for ever. Its ports'
 * addresses end in how many there were before.
 */
static void
stream_write(const char *path, uint8_t mac)
{
	static const uint32_t head[6] = { 0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1 };
	struct {
		uint32_t record[4];
		struct rte_ether_hdr eth;
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
		uint8_t payload[36];
	} __rte_packed __rte_aligned(4) f = { .record = { 0, 0, 78, 78 } };
	FILE *file = fopen(path, "wb");

	must(file != NULL, "no file for the stream");
	f.eth.dst_addr = (struct rte_ether_addr) { { 2, 0x70, 0x63, 0x61, 0x70, mac } };
	f.eth.src_addr = (struct rte_ether_addr) { { 2, 0, 0, 0, 1, 0xfe } };
	f.eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	f.ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = RTE_BE16(64),
		.time_to_live = 64,
		.next_proto_id = 17,
		.src_addr = RTE_BE32(RTE_IPV4(10, 1, 0, 5)),
		.dst_addr = RTE_BE32(RTE_IPV4(10, 2, 0, 5)),
	};
	f.ip.hdr_checksum = rte_ipv4_cksum(&f.ip);
	f.udp = (struct rte_udp_hdr) { RTE_BE16(1024), RTE_BE16(2000), RTE_BE16(44), 0 };
	must(fwrite(head, sizeof(head), 1, file) == 1 && fwrite(&f, sizeof(f), 1, file) == 1,
	     "the stream could not be written");
	fclose(file);
}

static struct conf *
conf_make(uint32_t max_sas, const char *stream)
{
	static const char text[] =
		"version: 1\n"
		"gateway: {max_sas: %u, key_cache: 64Ki, idle: sleep}\n"
		"ports:\n"
		"  - {name: wan, device: \"net_null0,no-rx=1\", side: black, addresses: "
		"[192.0.2.1/24]}\n"
		"  - {name: lan, device: \"net_pcap0,rx_pcap=%s,infinite_rx=1\", side: red, "
		"addresses: [10.254.0.1/24]}\n"
		"routes:\n"
		"  - {to: 0.0.0.0/0, via: 192.0.2.254, port: wan}\n"
		"neighbours:\n"
		"  - {ip: 192.0.2.254, mac: \"02:00:00:00:00:fe\", port: wan}\n"
		"sas:\n"
		"  - {name: stays, direction: out, spi: 0x100, src: 192.0.2.1, dst: 198.51.100.1, "
		"aead: aes-gcm-128, esn: true, key: "
		"\"hex:00112233445566778899aabbccddeeff00000001\"}\n"
		"policies:\n"
		"  - {name: stays, direction: out, action: protect, src: 10.1.0.0/16, dst: "
		"10.2.0.0/16, sa: stays}\n";
	struct conf_errors e;
	struct conf *conf = NULL;
	char full[sizeof(text) + 256];

	snprintf(full, sizeof(full), text, max_sas, stream);
	conf_errors_init(&e, "scale_bench");
	if (conf_load_text(full, strlen(full), "scale_bench", 0, &conf, &e) < 0) {
		conf_errors_print(stderr, &e);
		exit(1);
	}
	conf_errors_free(&e);
	return conf;
}

static void
start(struct bench *b, uint32_t max_sas, const char *stream)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	const struct gw_options options = { .engines = engines, .n_engines = 1 };
	struct err err = { "" };

	b->conf = conf_make(max_sas, stream);
	must(gw_start(&b->gw, &options, b->conf, &err) == 0, err.text);
}

static void
stop(struct bench *b)
{
	gw_stop(&b->gw);
	gw_free(&b->gw);
	conf_free(b->gw.conf);
}

static struct prefix
host_of(uint32_t pair, bool there)
{
	uint32_t be = rte_cpu_to_be_32(RTE_IPV4(10, there ? 128 : 16, 0, 0) + pair);
	struct addr a = { .family = 4 };

	memcpy(a.octets, &be, sizeof(be));
	return prefix_of(&a, 32);
}

static uint32_t
sa_add(struct bench *b, uint32_t pair, enum conf_direction direction, uint32_t serial)
{
	static struct conf_sa c; /* large, and nearly all of it 0 */
	const struct sa_origin origin = { SA_FROM_DAEMON, pair, pair + 1000 };
	uint64_t words[3] = { serial, UINT64_C(0x9e3779b97f4a7c15) * (serial + 1), direction };
	bool in = direction == CONF_IN;
	struct err err = { "" };
	uint32_t index;

	c.direction = direction;
	c.spi = 0x10000000 + serial;
	c.src = (struct addr) { 4, { 192, 0, 2, 1 } };
	c.dst = (struct addr) { 4, { 198, 18, (uint8_t)(pair >> 8), (uint8_t)pair } };
	if (in) {
		c.dst = c.src;
		c.src = (struct addr) { 4, { 198, 18, (uint8_t)(pair >> 8), (uint8_t)pair } };
	}
	must(suite_init(&c.suite, &algs[ALG_AES_GCM_128], NULL, 0, false, true, &err) == 0,
	     err.text);
	memcpy(c.key.octets, words, 20);
	c.replay_window = in ? 1024 : 0;
	c.ttl = 64;
	c.ecn = true;
	c.path_mtu = 1500;
	for (int i = 0; i < 64; i++)
		c.outer_dscp.map[i] = (uint8_t)i;
	must(sa_make(&b->gw, &c, &origin, SA_NONE, &index, &err) == 0, err.text);
	must(sa_publish(&b->gw, index, SA_NONE, &err) == 0, err.text);
	return index;
}

static void
policy_add(struct bench *b, uint32_t pair, enum spd_direction direction)
{
	struct pair *p = &b->pairs[pair];
	struct policy_spec spec = {
		.direction = direction,
		.action = POLICY_PROTECT,
		.priority = 1000,
		.src = host_of(pair, direction == SPD_IN),
		.dst = host_of(pair, direction == SPD_OUT),
		.protocol = SPD_ANY_PROTOCOL,
		.src_port = { 0, UINT16_MAX },
		.dst_port = { 0, UINT16_MAX },
		.group = pair + 1000,
		.sa = direction == SPD_OUT ? p->out : SA_NONE,
		.sa_generation = direction == SPD_OUT ? sa_at(&b->gw.sas, p->out)->generation : 0,
	};
	struct err err = { "" };

	must(policy_stage(&b->gw, &spec, &p->policies[direction], &err) == 0, err.text);
	spd_commit(b->gw.spd);
}

static void
sas_add(struct bench *b, uint32_t pair)
{
	uint32_t serial = b->serial++;

	b->pairs[pair].in = sa_add(b, pair, CONF_IN, serial);
	b->pairs[pair].out = sa_add(b, pair, CONF_OUT, serial);
}

static void
sa_del(struct bench *b, uint32_t index)
{
	sa_unpublish(&b->gw, index);
	sa_end(&b->gw, index);
}

/* As the program's loop: what is due, once in a while. */
static void
look(struct bench *b, double *since)
{
	double now = seconds();

	b->slowest = RTE_MAX(b->slowest, now - *since);
	*since = now;
	gw_tick(&b->gw);
}

static void
install(struct bench *b, bool policies)
{
	double cpu = cpu_seconds(), since = seconds();

	for (uint32_t i = 0; i < b->n_pairs; i++) {
		if (policies) {
			policy_add(b, i, SPD_IN);
			policy_add(b, i, SPD_OUT);
		} else {
			sas_add(b, i);
		}
		if (i % SLICE == 0)
			look(b, &since);
	}
	printf("%s: %.0f per second of control's CPU\n", policies ? "policies added" : "SAs added",
	       2 * b->n_pairs / (cpu_seconds() - cpu));
}

static uint64_t
mixed(uint64_t n)
{
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

/* What is ended is freed 50 ms and some grace periods later: no more of it may wait than the tables
 * have room for. Until then control sleeps, as the program's does.
 */
static void
backlog_wait(struct bench *b, uint32_t most, double *since)
{
	while (b->gw.defer.backlog > most) {
		usleep(1000);
		look(b, since);
	}
}

/* Half of the room that the tables have beyond what is installed, and 16 MB. */
static uint32_t
backlog_most(const struct bench *b)
{
	return RTE_MIN((b->gw.conf->gateway.max_sas - 2 * b->n_pairs) / 2, 16384u);
}

static void
churn(struct bench *b, double duration)
{
	double begin = seconds(), cpu = cpu_seconds(), since = begin, now;
	uint64_t n = 0;

	b->slowest = 0;
	do {
		for (uint32_t i = 0; i < SLICE; i++) {
			uint32_t pair = (uint32_t)(mixed(b->serial) % b->n_pairs);
			struct pair old = b->pairs[pair];

			sas_add(b, pair);
			spd_sa_set(b->gw.spd, old.policies[SPD_OUT], b->pairs[pair].out,
				   sa_at(&b->gw.sas, b->pairs[pair].out)->generation);
			sa_del(b, old.in);
			sa_del(b, old.out);
			n += 2;
		}
		look(b, &since);
		backlog_wait(b, backlog_most(b), &since);
		now = seconds();
	} while (now - begin < duration);
	printf("SAs added and ended, %u installed: %.0f per second, of control's CPU %.0f; %.1f ms "
	       "the longest slice\n",
	       2 * b->n_pairs, n / (now - begin), n / (cpu_seconds() - cpu), b->slowest * 1e3);
}

/* One more, and one less, each with its commit. */
static void
one_policy(struct bench *b)
{
	const uint32_t times = 20000;
	double cpu = cpu_seconds(), since = seconds();
	struct err err = { "" };

	for (uint32_t i = 0; i < times; i++) {
		uint32_t pair = (uint32_t)(mixed(i) % b->n_pairs);

		must(spd_del(b->gw.spd, b->pairs[pair].policies[SPD_IN], &err) == 0, err.text);
		policy_add(b, pair, SPD_IN);
		if (i % SLICE == 0)
			look(b, &since);
	}
	printf("a policy replaced, %u installed: %.2f us of control's CPU\n", 2 * b->n_pairs,
	       (cpu_seconds() - cpu) * 1e6 / times);
}

/* In random order, which no table likes. */
static void
end_all(struct bench *b)
{
	double cpu = cpu_seconds(), since = seconds();
	struct err err = { "" };

	for (uint32_t i = b->n_pairs; i > 1; i--) {
		uint32_t k = (uint32_t)(mixed(i) % i);
		struct pair p = b->pairs[k];

		b->pairs[k] = b->pairs[i - 1];
		b->pairs[i - 1] = p;
	}
	for (uint32_t i = 0; i < b->n_pairs; i++) {
		for (int direction = 0; direction < SPD_DIRECTIONS; direction++)
			must(spd_del(b->gw.spd, b->pairs[i].policies[direction], &err) == 0,
			     err.text);
		spd_commit(b->gw.spd);
		sa_del(b, b->pairs[i].in);
		sa_del(b, b->pairs[i].out);
		if (i % SLICE == 0)
			look(b, &since);
		backlog_wait(b, 65536, &since);
		if (i == b->n_pairs / 2)
			printf("half of all ended: %.1f MB\n", heap_now().dpdk / 1e6);
	}
	backlog_wait(b, 0, &since);
	printf("SAs and policies ended: %.0f of each per second of control's CPU\n",
	       2 * b->n_pairs / (cpu_seconds() - cpu));
}

static void
heap_print(const char *what, struct heap now, struct heap from, uint32_t n)
{
	printf("%-34s %9.1f MB, %7.1f octets each; libc %8.1f MB, %6.1f each\n", what,
	       (now.dpdk - from.dpdk) / 1e6, (double)(now.dpdk - from.dpdk) / n,
	       ((double)now.libc - from.libc) / 1e6, ((double)now.libc - from.libc) / n);
	fflush(stdout);
}

static bool
stream_judge(struct bench *b)
{
	struct gw_totals t;
	uint64_t lost = 0;

	gw_stop(&b->gw);
	totals_read(&b->gw, &t);
	for (int i = 0; i < DROP_MAX; i++) {
		if (t.drops[i] != 0)
			printf("dropped, %s: %" PRIu64 "\n", drop_names[i].name, t.drops[i]);
		lost += t.drops[i];
	}
	printf("stream: %" PRIu64 " packets in, %" PRIu64 " out, %" PRIu64 " lost\n", t.rx, t.tx,
	       lost);
	return lost == 0 && t.rx == t.tx && t.tx > 0;
}

int
main(int argc, char **argv)
{
	static char huge[][16] = { "scale_bench", "--lcores",	    "0@0,1@1",	    "--in-memory",
				   "--no-pci",	  "--no-telemetry", "--log-level=4" };
	static char small[][16] = { "scale_bench",  "--lcores", "0@0,1@1",
				    "--no-huge",    "-m",	"3072",
				    "--no-shconf",  "--no-pci", "--no-telemetry",
				    "--log-level=4" };
	bool no_huge = argc > 1 && strcmp(argv[1], "--no-huge") == 0;
	uint32_t n = no_huge ? RTE_DIM(small) : RTE_DIM(huge);
	char *eal[RTE_DIM(small) + 1] = { NULL }, path[] = "/tmp/scale_bench.XXXXXX";
	static struct bench few, b;
	struct heap base, empty, full;
	bool good;
	int fd;

	argv += no_huge;
	argc -= no_huge;
	for (uint32_t i = 0; i < n; i++)
		eal[i] = no_huge ? small[i] : huge[i];
	if (rte_eal_init(n, eal) < 0)
		return 1;
	n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	b.n_pairs = n / 2;
	b.pairs = calloc(b.n_pairs, sizeof(b.pairs[0]));
	fd = mkstemp(path);
	must(b.pairs != NULL && fd >= 0, "no memory");
	close(fd);
	stream_write(path, 0);
	start(&few, 64, path);
	base = heap_now();
	stop(&few);
	stream_write(path, 1);
	start(&b, rte_align32pow2(n + n / 32), path);
	unlink(path);
	empty = heap_now();
	heap_print("tables, empty", empty, base, n);
	install(&b, false);
	full = heap_now();
	heap_print("with all SAs", full, base, n);
	install(&b, true);
	heap_print("and policies", heap_now(), base, n);
	sweep(&b);
	churn(&b, argc > 2 ? strtod(argv[2], NULL) : 5);
	heap_print("after that", heap_now(), base, n);
	one_policy(&b);
	end_all(&b);
	heap_print("all ended", heap_now(), base, n);
	/* What is kept of dead keys, 48 octets each, is kept for a day. */
	numbers_expire(b.gw.numbers, clock_now(&b.gw.clock) + 25 * 3600 * NS_PER_SECOND);
	full = heap_now();
	heap_print("a day later", full, base, n);
	good = ((double)full.dpdk - empty.dpdk) * 50.0 <= empty.dpdk;
	printf("heap above that of the start: %.2f %%\n",
	       100.0 * ((double)full.dpdk - empty.dpdk) / empty.dpdk);
	good = stream_judge(&b) && good;
	gw_free(&b.gw);
	conf_free(b.gw.conf);
	free(b.pairs);
	return good ? 0 : 1;
}
