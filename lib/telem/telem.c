#include "telem/telem.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <rte_telemetry.h>

#include "ctl/engines.h"
#include "ctl/frags.h"
#include "ctl/offloads.h"
#include "ctl/report.h"
#include "ctl/reserve.h"
#include "ctl/streams.h"
#include "mirror/mirror.h"
#include "port/port.h"
#include "state/state.h"

#define TELEM_SESSIONS_MAX 1024

struct port_copy {
	char name[PORT_NAME_SIZE];
	struct port_counters counters;
	bool up;
};

struct sa_copy {
	char name[SA_NAME_MAX];
	uint64_t packets, bytes, dropped;
};

struct engine_copy {
	const char *name; /* a literal */
	bool used;
	uint32_t sas;
};

struct nic_copy {
	char name[PORT_NAME_SIZE];
	bool has;
	struct offload_caps caps;
	struct offload_port_counts counts;
};

/* Telemetry's callbacks are given no argument of ours, and the commands outlive any gateway. */
static struct {
	pthread_mutex_t lock;
	time_t made; /* second of the monotonic clock; control's alone */
	struct gw_totals totals;
	uint64_t ipcomp[IPCOMP_COUNTS_MAX];
	struct punt_counters punted;
	struct frag_counts frags;
	struct streams_totals iptfs;
	uint32_t n_ports, n_sas, n_sas_all;
	struct port_copy ports[PORTS_MAX];
	struct sa_copy sas[TELEM_SAS_MAX];
	uint8_t n_engines;
	struct engine_copy engines[CONF_ENGINES_MAX];
	struct nic_copy nics[PORTS_MAX];
	bool has_state_file;
	struct state_counts state; /* all 0 without a state file */
} copy = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
ports_copy(const struct gw *gw)
{
	copy.n_ports = gw->ports->n;
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		const struct port *port = gw->ports->list[i];
		struct port_copy *c = &copy.ports[i];

		snprintf(c->name, sizeof(c->name), "%s", port->link.name);
		c->counters = port_counters(gw->ports, i);
		c->up = port->up;
	}
}

static void
engines_copy(const struct gw *gw)
{
	struct engine_note note;
	uint8_t at = 0;

	while (engines_next(gw, &at, &note))
		copy.engines[at - 1] =
			(struct engine_copy) { note.name, note.engine != NULL, note.sas };
	copy.n_engines = at;
}

static void
nics_copy(const struct gw *gw)
{
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		struct nic_copy *c = &copy.nics[i];
		struct err unused;

		*c = (struct nic_copy) { .has = false };
		c->has = offloads_caps(gw, i, &c->caps, &unused);
		snprintf(c->name, sizeof(c->name), "%s", gw->ports->list[i]->link.name);
		/* Some devices take long to say what a session counted. */
		if (c->has && c->caps.sessions <= TELEM_SESSIONS_MAX)
			offloads_port_counts(gw, i, &c->counts);
	}
}

static void
sas_copy(const struct gw *gw)
{
	copy.n_sas_all = gw->conf->n_sas;
	copy.n_sas = RTE_MIN(gw->conf->n_sas, (uint32_t)TELEM_SAS_MAX);
	for (uint32_t i = 0; i < copy.n_sas; i++) {
		struct sa_copy *c = &copy.sas[i];
		struct sa_counts counts;

		sa_counts_read(gw, gw->sa_books[i].index, &counts);
		snprintf(c->name, sizeof(c->name), "%s", gw->conf->sas[i].name);
		c->packets = counts.packets;
		c->bytes = counts.bytes;
		c->dropped = cells_total(counts.drops, DROP_MAX);
	}
}

static void
ipcomp_copy(const struct gw *gw)
{
	for (unsigned int i = 0; i < IPCOMP_COUNTS_MAX; i++) {
		copy.ipcomp[i] = 0;
		for (uint16_t w = 0; w < gw->n_workers; w++)
			if (gw->workers[w]->ipcomp != NULL)
				copy.ipcomp[i] += cell_get(&gw->workers[w]->ipcomp->totals[i]);
	}
}

void
telem_tick(const struct gw *gw)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	if (t.tv_sec == copy.made)
		return;
	copy.made = t.tv_sec;
	pthread_mutex_lock(&copy.lock);
	totals_read(gw, &copy.totals);
	ipcomp_copy(gw);
	copy.punted = mirrors_punted(gw->mirrors);
	copy.frags = frags_total(gw);
	streams_totals_read(gw, &copy.iptfs);
	ports_copy(gw);
	sas_copy(gw);
	engines_copy(gw);
	nics_copy(gw);
	copy.has_state_file = reserve_counts(gw, &copy.state);
	if (!copy.has_state_file)
		copy.state = (struct state_counts) { .records = 0 };
	pthread_mutex_unlock(&copy.lock);
}

static void
totals_tell(struct rte_tel_data *d)
{
	const struct gw_totals *t = &copy.totals;

	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "rx", t->rx);
	rte_tel_data_add_dict_u64(d, "tx", t->tx);
	rte_tel_data_add_dict_u64(d, "generated", cells_total(t->generated, GENERATED_MAX));
	rte_tel_data_add_dict_u64(d, "split", t->split);
	rte_tel_data_add_dict_u64(d, "merged", t->merged);
	rte_tel_data_add_dict_u64(d, "consumed", cells_total(t->consumed, CONSUMED_MAX));
	rte_tel_data_add_dict_u64(d, "held", t->held);
	rte_tel_data_add_dict_u64(d, "dropped", cells_total(t->drops, DROP_MAX));
	rte_tel_data_add_dict_u64(d, "sas", copy.n_sas_all);
}

static void
drops_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
		rte_tel_data_add_dict_u64(d, drop_names[why].name, copy.totals.drops[why]);
}

/* A new entry, known by its number: as a key a name may have neither dots nor dashes, and 22.11
 * knows no list of such entries. NULL: no room, the answer ends here.
 */
static struct rte_tel_data *
entry_add(struct rte_tel_data *d, uint32_t number, const char *name)
{
	struct rte_tel_data *entry = rte_tel_data_alloc();
	char key[16];

	if (entry == NULL)
		return NULL;
	snprintf(key, sizeof(key), "%u", number);
	rte_tel_data_start_dict(entry);
	rte_tel_data_add_dict_string(entry, "name", name);
	if (rte_tel_data_add_dict_container(d, key, entry, 0) == 0)
		return entry;
	rte_tel_data_free(entry);
	return NULL;
}

static void
ports_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (uint32_t i = 0; i < copy.n_ports; i++) {
		const struct port_copy *c = &copy.ports[i];
		struct rte_tel_data *entry = entry_add(d, i, c->name);

		if (entry == NULL)
			return;
		rte_tel_data_add_dict_u64(entry, "rx_packets", c->counters.rx_packets);
		rte_tel_data_add_dict_u64(entry, "rx_bytes", c->counters.rx_bytes);
		rte_tel_data_add_dict_u64(entry, "tx_packets", c->counters.tx_packets);
		rte_tel_data_add_dict_u64(entry, "tx_bytes", c->counters.tx_bytes);
		rte_tel_data_add_dict_int(entry, "link", c->up);
	}
}

static void
sas_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (uint32_t i = 0; i < copy.n_sas; i++) {
		const struct sa_copy *c = &copy.sas[i];
		struct rte_tel_data *entry = entry_add(d, i, c->name);

		if (entry == NULL)
			return;
		rte_tel_data_add_dict_u64(entry, "packets", c->packets);
		rte_tel_data_add_dict_u64(entry, "bytes", c->bytes);
		rte_tel_data_add_dict_u64(entry, "dropped", c->dropped);
	}
}

static void
crypto_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (uint8_t i = 0; i < copy.n_engines; i++) {
		struct rte_tel_data *entry = entry_add(d, i, copy.engines[i].name);

		if (entry == NULL)
			return;
		rte_tel_data_add_dict_int(entry, "used", copy.engines[i].used);
		rte_tel_data_add_dict_u64(entry, "sas", copy.engines[i].sas);
	}
}

static void
nic_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (uint32_t i = 0; i < copy.n_ports; i++) {
		const struct nic_copy *c = &copy.nics[i];
		struct rte_tel_data *entry = entry_add(d, i, c->name);

		if (entry == NULL)
			return;
		rte_tel_data_add_dict_int(entry, "inline", c->has);
		rte_tel_data_add_dict_u64(entry, "sessions", c->caps.sessions);
		rte_tel_data_add_dict_u64(entry, "refused", c->counts.refused);
		rte_tel_data_add_dict_u64(entry, "sas", c->counts.sas);
		rte_tel_data_add_dict_u64(entry, "active", c->counts.active);
		rte_tel_data_add_dict_u64(entry, "packets", c->counts.all.packets);
		rte_tel_data_add_dict_u64(entry, "octets", c->counts.all.octets);
		rte_tel_data_add_dict_u64(entry, "errors", c->counts.all.errors);
	}
}

static void
mirrors_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (int class = 0; class < PUNT_MAX; class ++) {
		struct rte_tel_data *entry = entry_add(d, class, punt_limits[class].name);

		if (entry == NULL)
			return;
		rte_tel_data_add_dict_u64(entry, "given", copy.punted.given[class]);
		rte_tel_data_add_dict_u64(entry, "punt_limit", copy.punted.limited[class]);
		rte_tel_data_add_dict_u64(entry, "punt_full", copy.punted.full[class]);
	}
}

static void
reassembly_tell(struct rte_tel_data *d)
{
	const struct frag_counts *c = &copy.frags;

	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "pieces", c->pieces);
	rte_tel_data_add_dict_u64(d, "whole", c->whole);
	rte_tel_data_add_dict_u64(d, "timed_out", c->timed_out);
	rte_tel_data_add_dict_u64(d, "evicted", c->evicted);
	rte_tel_data_add_dict_u64(d, "killed", c->killed);
	rte_tel_data_add_dict_u64(d, "datagrams", c->datagrams);
	rte_tel_data_add_dict_u64(d, "held", c->held);
	rte_tel_data_add_dict_u64(d, "matched", c->matched);
	rte_tel_data_add_dict_u64(d, "match_held", c->match_held);
}

static void
state_tell(struct rte_tel_data *d)
{
	const struct state_counts *c = &copy.state;

	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "configured", copy.has_state_file);
	rte_tel_data_add_dict_int(d, "well", c->trouble[0] == 0);
	rte_tel_data_add_dict_u64(d, "records", c->records);
	rte_tel_data_add_dict_u64(d, "file_bytes", c->file_bytes);
	rte_tel_data_add_dict_u64(d, "memory_bytes", c->memory);
	rte_tel_data_add_dict_u64(d, "rewrites", c->rewrites);
	rte_tel_data_add_dict_u64(d, "commits", c->commits);
	rte_tel_data_add_dict_u64(d, "numbers_written", c->written);
	rte_tel_data_add_dict_u64(d, "fsyncs", c->fsyncs);
	rte_tel_data_add_dict_u64(d, "last_commit_us", c->last_us);
	rte_tel_data_add_dict_u64(d, "longest_commit_us", c->max_us);
	rte_tel_data_add_dict_u64(d, "waiting", c->waiting);
	rte_tel_data_add_dict_u64(d, "failures", c->failures);
}

static void
ipcomp_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < IPCOMP_COUNTS_MAX; i++)
		rte_tel_data_add_dict_u64(d, ipcomp_names[i].name, copy.ipcomp[i]);
}

static void
iptfs_tell(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "sas", copy.iptfs.sas);
	rte_tel_data_add_dict_u64(d, "breakers_open", copy.iptfs.breakers_open);
	for (unsigned int i = 0; i < AGGFRAG_TX_MAX; i++)
		rte_tel_data_add_dict_u64(d, aggfrag_out_names[i].name, copy.iptfs.out[i]);
	for (unsigned int i = 0; i < AGGFRAG_RX_MAX; i++)
		rte_tel_data_add_dict_u64(d, aggfrag_in_names[i].name, copy.iptfs.in[i]);
}

static const struct command {
	const char *name;
	void (*tell)(struct rte_tel_data *d);
	const char *help;
} commands[] = {
	{ "/espgw/totals", totals_tell, "Packets in, out and between. Takes no parameters" },
	{ "/espgw/drops", drops_tell, "Packets dropped, by reason. Takes no parameters" },
	{ "/espgw/ports", ports_tell, "Counters and links of the ports. Takes no parameters" },
	{ "/espgw/mirrors", mirrors_tell,
	  "What mirrors were given, by class. Takes no parameters" },
	{ "/espgw/reassembly", reassembly_tell,
	  "Fragments put together, or waiting for others. Takes no parameters" },
	{ "/espgw/state", state_tell,
	  "The state file: whether it is well, size, commits, failures. Takes no parameters" },
	{ "/espgw/ipcomp", ipcomp_tell, "What IPComp did, over all SAs. Takes no parameters" },
	{ "/espgw/iptfs", iptfs_tell,
	  "What IP-TFS did, over all SAs, those that are gone too. Takes no parameters" },
	{ "/espgw/crypto", crypto_tell,
	  "Crypto engines in order of preference, and how many SAs have them. Takes no "
	  "parameters" },
	{ "/espgw/nic", nic_tell, "What the ports' own devices do of IPsec. Takes no parameters" },
	{ "/espgw/sas", sas_tell, "Counters of the file's first 64 SAs. Takes no parameters" },
};

static int
answer(const char *name, const char *params, struct rte_tel_data *d)
{
	for (size_t i = 0; i < RTE_DIM(commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		pthread_mutex_lock(&copy.lock);
		commands[i].tell(d);
		pthread_mutex_unlock(&copy.lock);
		return 0;
	}
	return -ENOENT;
}

int
telem_init(struct err *err)
{
	for (size_t i = 0; i < RTE_DIM(commands); i++) {
		int rc = rte_telemetry_register_cmd(commands[i].name, answer, commands[i].help);

		if (rc < 0)
			return err_set(err, rc, "telemetry command %s: %s", commands[i].name,
				       strerror(-rc));
	}
	return 0;
}
