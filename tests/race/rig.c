#include "rig.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "drivers.h"
#include "port/port.h"
#include "order.h"

#define POOL_SIZE	 16383
#define SETTLE_SECONDS	 60
#define TSAN_EXIT_STATUS 66

static const char laboratory[] =
	"version: 1\n"
	"gateway: {name: race, idle: sleep, max_sas: 16Ki, max_routes: {v4: 256, v6: 256}, mbufs: "
	"24575, key_cache: 1Mi%s}\n"
	"ports:\n"
	"  - {name: wan, device: net_ring_wan, side: black, addresses: [192.0.2.1/24]}\n"
	"  - {name: lan, device: net_ring_lan, side: red, addresses: [10.254.0.1/24]}\n"
	"routes:\n"
	"  - {to: 0.0.0.0/0, via: 192.0.2.254, port: wan}\n"
	"  - {to: 10.1.0.0/16, via: 10.254.0.2, port: lan}\n"
	"neighbours:\n"
	"  - {ip: 192.0.2.254, mac: \"02:00:00:00:00:fe\", port: wan}\n"
	"  - {ip: 10.254.0.2, mac: \"02:00:00:00:01:fe\", port: lan}\n";

void
race_must(bool held, const char *sentence, ...)
{
	va_list args;

	if (held)
		return;
	va_start(args, sentence);
	vfprintf(stderr, sentence, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

uint64_t
race_times(uint64_t usual, uint64_t sanitized, uint64_t full)
{
	const char *text = getenv("FULL");

	if (text != NULL && text[0] != 0)
		return TEST_TSAN ? 8 * sanitized : full;
	return TEST_TSAN ? sanitized : usual;
}

/* xorshift: the same with each run. */
uint64_t
race_random(uint64_t below)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static void
eal_up(uint16_t workers)
{
	static char words[][32] = {
		"race",		  "--no-huge",	   "-m",      "384", "--no-shconf", "--no-pci",
		"--no-telemetry", "--log-level=5", "--lcores"
	};
	char *argv[RTE_DIM(words) + 2] = { NULL };
	char lcores[256];
	size_t at = 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (uint16_t i = 0; i <= workers; i++)
		at += (size_t)snprintf(lcores + at, sizeof(lcores) - at, "%s%u@(0-%ld)",
				       i > 0 ? "," : "", i, cpus - 1);
	for (size_t i = 0; i < RTE_DIM(words); i++)
		argv[i] = words[i];
	argv[RTE_DIM(words)] = lcores;
	race_must(rte_eal_init(RTE_DIM(words) + 1, argv) >= 0, "the EAL does not start");
}

static void
port_up(struct race_port *port, const char *name, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		char text[RTE_RING_NAMESIZE];

		snprintf(text, sizeof(text), "%s_in_%u", name, i);
		port->in[i] = rte_ring_create(text, RACE_RING_SIZE, SOCKET_ID_ANY,
					      RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(text, sizeof(text), "%s_out_%u", name, i);
		port->out[i] = rte_ring_create(text, RACE_RING_SIZE, SOCKET_ID_ANY,
					       RING_F_SP_ENQ | RING_F_SC_DEQ);
		race_must(port->in[i] != NULL && port->out[i] != NULL, "no memory for rings");
	}
	int id = rte_eth_from_rings(name, port->in, n, port->out, n, 0);

	race_must(id >= 0, "no device of rings: %s", rte_strerror(rte_errno));
	port->dpdk_id = (uint16_t)id;
}

static void
rig_up(struct race *r, uint16_t workers)
{
	struct err err = { "" };

	r->workers = workers;
	eal_up(workers);
	race_tsan_pools();
	port_up(&r->ports[RACE_WAN], "wan", workers);
	port_up(&r->ports[RACE_LAN], "lan", workers);
	race_must(port_pool_create("race", POOL_SIZE, 1500, SOCKET_ID_ANY, &r->pool, &err) == 0,
		  "%s", err.text);
}

/* The smallest blocks, so that their ends are met often. */
static const char *
file_write(const struct race *r, const char *tunnels)
{
	static char name[64];
	char state[96] = "";
	FILE *f;

	snprintf(name, sizeof(name), "%s/espgw.yaml", r->folder);
	if (r->has_state)
		snprintf(state, sizeof(state), ", state_file: %s/state, state_block: 64",
			 r->folder);
	f = fopen(name, "w");
	race_must(f != NULL, "%s: %s", name, strerror(errno));
	race_must(chmod(name, 0600) == 0, "%s: %s", name, strerror(errno));
	fprintf(f, laboratory, state);
	fputs(tunnels, f);
	race_must(fclose(f) == 0, "%s: %s", name, strerror(errno));
	return name;
}

static void
complaints(struct conf_errors *errors, int rc)
{
	if (rc < 0)
		conf_errors_print(stderr, errors);
	race_must(rc == 0, "the configuration is refused");
	conf_errors_free(errors);
}

void
race_start(struct race *r, const char *tunnels)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb, &engine_openssl };
	const char *file = file_write(r, tunnels);
	const struct gw_options options = {
		.config = file,
		.poller = &r->poller,
		.engines = engines,
		.n_engines = RTE_DIM(engines),
	};
	struct conf_errors errors;
	struct conf *conf;
	struct err err = { "" };

	conf_errors_init(&errors, file);
	complaints(&errors, conf_load(file, &conf, &errors));
	race_must(poller_init(&r->poller) == 0, "no poller");
	race_must(gw_start(&r->gw, &options, conf, &err) == 0, "%s", err.text);
	for (int i = 0; i < 2; i++)
		race_tsan_port(r->ports[i].dpdk_id, r->gw.n_workers);
}

void
race_reload(struct race *r, const char *tunnels)
{
	struct conf_errors errors;
	FILE *out = fopen("/dev/null", "w");

	race_must(out != NULL, "no /dev/null");
	conf_errors_init(&errors, file_write(r, tunnels));
	complaints(&errors, gw_reload(&r->gw, false, out, &errors));
	fclose(out);
}

void
race_stop(struct race *r)
{
	struct gw_totals t;
	uint64_t came, went;

	gw_stop(&r->gw);
	for (uint8_t port = 0; port < 2; port++)
		race_take(r, port, NULL, NULL);
	totals_read(&r->gw, &t);
	came = t.rx + t.split;
	went = t.tx + t.merged + t.held;
	for (int i = 0; i < GENERATED_MAX; i++)
		came += t.generated[i];
	for (int i = 0; i < CONSUMED_MAX; i++)
		went += t.consumed[i];
	for (int i = 0; i < DROP_MAX; i++)
		went += t.drops[i];
	race_must(t.rx == r->fed, "%lu frames were fed and %lu were read", r->fed, t.rx);
	race_must(t.tx == r->sent, "%lu frames were counted as sent and %lu were", t.tx, r->sent);
	race_must(came == went, "%lu packets came in and %lu are accounted for", came, went);
	race_must(t.held == 0, "%lu are still held", t.held);
	gw_free(&r->gw);
	conf_free(r->gw.conf);
	poller_fini(&r->poller);
	race_must(rte_mempool_in_use_count(r->pool) == 0, "%u frames are nowhere",
		  rte_mempool_in_use_count(r->pool));
}

struct rte_mbuf *
race_frame(struct race *r, uint16_t len, uint8_t **ip)
{
	static const uint8_t header[RTE_ETHER_HDR_LEN] = { [6] = 2, [11] = 0xfe, [12] = 8 };
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	char *at;

	race_must(m != NULL, "no frame is left");
	at = rte_pktmbuf_append(m, (uint16_t)(RTE_ETHER_HDR_LEN + len));
	race_must(at != NULL, "%u octets do not fit", len);
	memcpy(at, header, sizeof(header));
	*ip = (uint8_t *)at + RTE_ETHER_HDR_LEN;
	return m;
}

bool
race_feed(struct race *r, uint8_t port, uint16_t worker, struct rte_mbuf **frames, uint16_t n)
{
	const struct port_map *map = &r->gw.ports->list[port]->map;
	uint16_t queue = 0;

	while (map->rx_owner[queue] != worker)
		queue++;
	for (uint16_t i = 0; i < n; i++)
		race_tsan_give(frames[i]);
	if (rte_ring_sp_enqueue_bulk(r->ports[port].in[queue], (void **)frames, n, NULL) != n)
		return false;
	r->fed += n;
	return true;
}

uint32_t
race_take(struct race *r, uint8_t port, void (*see)(void *ctx, const uint8_t *ip, uint16_t len),
	  void *ctx)
{
	uint32_t total = 0;

	for (uint16_t queue = 0; queue < r->gw.n_workers; queue++) {
		struct rte_mbuf *frames[64];
		unsigned int n;

		do {
			n = rte_ring_sc_dequeue_burst(r->ports[port].out[queue], (void **)frames,
						      RTE_DIM(frames), NULL);
			for (unsigned int i = 0; i < n; i++) {
				struct rte_mbuf *m = frames[i];

				race_tsan_take(m);
				if (see != NULL)
					see(ctx,
					    rte_pktmbuf_mtod_offset(m, uint8_t *,
								    RTE_ETHER_HDR_LEN),
					    (uint16_t)(m->pkt_len - RTE_ETHER_HDR_LEN));
				rte_pktmbuf_free(m);
			}
			total += n;
		} while (n > 0);
	}
	r->sent += total;
	return total;
}

void
race_tick(struct race *r)
{
	poller_wait(&r->poller, 0);
	gw_tick(&r->gw);
}

uint64_t
race_inside(struct race *r)
{
	struct gw_totals t;
	uint64_t gone;

	totals_read(&r->gw, &t);
	gone = t.tx;
	for (int i = 0; i < CONSUMED_MAX; i++)
		gone += t.consumed[i];
	for (int i = 0; i < DROP_MAX; i++)
		gone += t.drops[i];
	return r->fed - gone;
}

void
race_show(const struct race *r)
{
	struct gw_totals t;

	totals_read(&r->gw, &t);
	fprintf(stderr, "fed %lu, read %lu, sent %lu, held %lu", r->fed, t.rx, t.tx, t.held);
	for (int i = 0; i < CONSUMED_MAX; i++)
		if (t.consumed[i] != 0)
			fprintf(stderr, ", consumed %s %lu", consumed_names[i].name, t.consumed[i]);
	for (int i = 0; i < DROP_MAX; i++)
		if (t.drops[i] != 0)
			fprintf(stderr, ", dropped %s %lu", drop_names[i].name, t.drops[i]);
	fputc('\n', stderr);
}

/* In the child: the case, and an exit by which the sanitizer can say what it saw. */
static void
case_run(struct race *r, const struct race_case *c)
{
	/* DPDK writes to it. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	rig_up(r, c->workers);
	c->run(r);
	exit(0);
}

static void
folder_remove(const char *folder)
{
	static const char *const names[] = { "espgw.yaml", "state", "state.witness", "state.new" };

	for (size_t i = 0; i < RTE_DIM(names); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static bool
case_fork(const struct race_case *c)
{
	struct race r = { .folder = "/tmp/espgw-race-XXXXXX" };
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = mkdtemp(r.folder) == NULL ? -1 : fork();
	if (child == 0)
		case_run(&r, c);
	if (child > 0 && waitpid(child, &status, 0) != child)
		child = -1;
	folder_remove(r.folder);
	if (child < 0)
		return false;
	if (WIFSIGNALED(status))
		fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status) == TSAN_EXIT_STATUS)
		fprintf(stderr, "ThreadSanitizer saw a race\n");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
is_chosen(const struct race_case *c)
{
	const char *only = getenv("TEST_CASE");

	return only == NULL || strstr(c->what, only) != NULL;
}

int
race_main(const struct race_case *cases, unsigned int n)
{
	unsigned int number = 0, chosen = 0;
	bool good = true;

	for (unsigned int i = 0; i < n; i++)
		chosen += is_chosen(&cases[i]);
	printf("1..%u\n", chosen);
	for (unsigned int i = 0; i < n; i++) {
		bool held;

		if (!is_chosen(&cases[i]))
			continue;
		held = case_fork(&cases[i]);
		printf("%sok %u - %s\n", held ? "" : "not ", ++number, cases[i].what);
		good &= held;
	}
	return good ? 0 : 1;
}
