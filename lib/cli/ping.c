#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/table.h"
#include "ctl/gw.h"
#include "echo/echo.h"
#include "esp/echo.h"

#define OPEN_MAX     64
#define COUNT_MAX    1000000
#define COUNT	     5
#define NS_PER_MS    1e6
#define TIME_MAX_NS  (20 * NS_PER_SECOND) /* espctl waits for a sign of life no longer */
#define INTERVAL_MIN (10 * UINT64_C(1000000))
#define DATA	     16

struct ping {
	struct cli_session session; /* first */
	struct gw *gw;
	char name[SA_NAME_MAX];
	struct addr addr; /* of a plain one */
	bool plain, json;
	uint32_t sa, generation;
	struct echo_request request;
	uint64_t count, interval, next;
	uint64_t sent, received, lost;
	uint64_t min, max, sum; /* ns */
	uint32_t n_open, n_results;
	struct {
		uint64_t handle;
		bool open;
	} open[OPEN_MAX];
	struct echo_result results[OPEN_MAX];
};

/* ---- The words. ---- */

static int
number_read(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *n,
	    struct err *err)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && *n >= min && *n <= max)
		return 0;
	return err_set(err, -EINVAL, "%s \"%.40s\": a number from %" PRIu64 " to %" PRIu64, what,
		       text, min, max);
}

/* 0.2, 200ms, 1s */
static int
time_read(const char *what, const char *text, uint64_t min, uint64_t *ns, struct err *err)
{
	char *end;
	double n = strtod(text, &end);
	double unit = strcmp(end, "ms") == 0 ? NS_PER_MS : (double)NS_PER_SECOND;
	bool known = *end == 0 || strcmp(end, "s") == 0 || strcmp(end, "ms") == 0;

	if (text[0] < '0' || text[0] > '9' || !known || n * unit < (double)min ||
	    n * unit > (double)TIME_MAX_NS)
		return err_set(err, -EINVAL, "%s \"%.40s\": a time from %" PRIu64 "ms to 20s", what,
			       text, min / UINT64_C(1000000));
	*ns = (uint64_t)(n * unit);
	return 0;
}

static int
option_read(struct ping *p, const struct args *args, unsigned int *i, struct err *err)
{
	const char *word = args->words[*i], *value = *i + 1 < args->n ? args->words[*i + 1] : "";
	uint64_t n;
	int rc;

	*i += 2;
	if (strcmp(word, "count") == 0)
		return number_read(word, value, 0, COUNT_MAX, &p->count, err);
	if (strcmp(word, "interval") == 0)
		return time_read(word, value, INTERVAL_MIN, &p->interval, err);
	if (strcmp(word, "timeout") == 0)
		return time_read(word, value, INTERVAL_MIN, &p->request.timeout_ns, err);
	if (strcmp(word, "size") == 0) {
		rc = number_read(word, value, 0, UINT16_MAX, &n, err);
		p->request.size = (uint16_t)n;
		return rc;
	}
	*i -= 1;
	if (strcmp(word, "mtu") != 0)
		return err_set(err, -EINVAL,
			       "\"%.40s\" is none of count, interval, size, mtu, timeout", word);
	p->request.flags |= ECHO_PROBE;
	return 0;
}

static int
words_read(struct ping *p, const struct args *args, struct err *err)
{
	unsigned int i = 0;
	int rc = 0;

	p->plain = strcmp(args->words[0], "plain") == 0 || strcmp(args->words[0], "--plain") == 0;
	i = p->plain;
	if (i == args->n)
		return err_set(err, -EINVAL, "plain wants an address");
	if (p->plain && !addr_parse(args->words[i], &p->addr))
		return err_set(err, -EINVAL, "\"%.60s\" is no address", args->words[i]);
	snprintf(p->name, sizeof(p->name), "%s", args->words[i++]);
	while (i < args->n && rc == 0)
		rc = option_read(p, args, &i, err);
	return rc;
}

/* ---- What it goes by. ---- */

/* A tunnel of the file goes by its outbound SA, and so does what is called by its inbound one. */
static uint32_t
target_find(struct gw *gw, const char *name)
{
	uint32_t sa = sa_by_name(gw, name);
	char out[SA_NAME_MAX + 4];

	if (sa == SA_NONE) {
		snprintf(out, sizeof(out), "%s.out", name);
		sa = sa_by_name(gw, out);
	}
	if (sa != SA_NONE && (sa_at(&gw->sas, sa)->flags & SA_INBOUND) != 0)
		sa = echo_pair(gw, sa);
	return sa;
}

/* A rekey of the file brings another SA of the same name. */
static int
target_renew(struct ping *p, struct err *err)
{
	struct gw *gw = p->gw;

	if (p->plain ||
	    (sa_again(&gw->sas, p->sa, p->generation) != NULL && !sa_cold(&gw->sas, p->sa)->ended))
		return 0;
	p->sa = target_find(gw, p->name);
	if (p->sa == SA_NONE)
		return err_set(err, -ENOENT, "there is no SA %.60s to send by: see show sa",
			       p->name);
	p->generation = sa_at(&gw->sas, p->sa)->generation;
	return 0;
}

static void
answered(void *arg, const struct echo_result *r)
{
	struct ping *p = arg;

	p->open[r->seq % OPEN_MAX].open = false;
	p->n_open--;
	p->results[p->n_results++] = *r;
}

static int
send_one(struct ping *p, struct err *err)
{
	uint16_t slot;
	int rc = target_renew(p, err);

	p->request.seq = (uint16_t)(p->sent + 1);
	slot = p->request.seq % OPEN_MAX;
	if (rc == 0 && p->plain)
		rc = echo_plain_start(p->gw, &p->addr, &p->request, answered, p,
				      &p->open[slot].handle, err);
	else if (rc == 0)
		rc = echo_start(p->gw, p->sa, &p->request, answered, p, &p->open[slot].handle, err);
	if (rc < 0)
		return rc;
	p->open[slot].open = true;
	p->n_open++;
	p->sent++;
	p->next += p->interval;
	return 0;
}

static bool
is_all_sent(const struct ping *p)
{
	return p->count != 0 && p->sent >= p->count;
}

/* Results wait for who reads them: then nothing is sent that might not find room. */
static bool
is_due(const struct ping *p)
{
	return !is_all_sent(p) && p->n_open + p->n_results < OPEN_MAX &&
	       !p->open[(p->sent + 1) % OPEN_MAX].open && clock_now(&p->gw->clock) >= p->next;
}

static bool
is_ready(const struct cli_session *s)
{
	const struct ping *p = (const struct ping *)s;

	return p->n_results > 0 || is_due(p) || (is_all_sent(p) && p->n_open == 0);
}

static void
ping_end(struct cli_session *s)
{
	struct ping *p = (struct ping *)s;

	for (int i = 0; i < OPEN_MAX; i++)
		if (p->open[i].open)
			echo_cancel(p->gw, p->open[i].handle);
	free(p);
}

/* ---- What it says. ---- */

static const char *const ends[] = {
	[ECHO_ANSWERED] = "answered",
	[ECHO_LOST] = "lost",
	[ECHO_SA_GONE] = "sa_gone",
	[ECHO_UNSENT] = "unsent",
};

static void
result_json(FILE *out, const struct ping *p, const struct echo_result *r)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_u64(&j, "seq", r->seq);
	json_string(&j, "result", ends[r->end]);
	json_u64(&j, "outer_bytes", r->outer);
	if (!r->lost) {
		json_u64(&j, "data_bytes", r->data);
		json_u64(&j, "rtt_ns", r->rtt_ns);
		if (!p->plain)
			json_u64(&j, "spi_in", r->spi_in);
		json_bool(&j, "path_differs", r->path_differs);
	} else {
		json_bool(&j, "peer_heard", r->heard);
	}
	json_end(&j);
	fputc('\n', out);
}

static void
result_print(FILE *out, const struct ping *p, const struct echo_result *r)
{
	static const char *const lines[] = {
		[ECHO_LOST] = "no answer",
		[ECHO_SA_GONE] = "the SA ended before it was sent",
		[ECHO_UNSENT] = "not sent: its worker had no buffer, or stands still",
	};

	if (r->lost) {
		fprintf(out, "seq %u, %u octets: %s%s\n", r->seq, r->outer, lines[r->end],
			r->heard ? ", but the peer is heard" : "");
		return;
	}
	fprintf(out, "seq %u, %u octets: answered with %u octets of data", r->seq, r->outer,
		r->data);
	if (!p->plain)
		fprintf(out, " by SPI 0x%x", r->spi_in);
	fprintf(out, " in %.3f ms%s\n", (double)r->rtt_ns / NS_PER_MS,
		r->path_differs ? ", by another way than the SA's pair" : "");
}

static void
results_take(struct ping *p, FILE *out)
{
	for (uint32_t i = 0; i < p->n_results; i++) {
		const struct echo_result *r = &p->results[i];

		(p->json ? result_json : result_print)(out, p, r);
		p->lost += r->lost;
		if (r->lost)
			continue;
		p->min = p->received == 0 ? r->rtt_ns : RTE_MIN(p->min, r->rtt_ns);
		p->max = RTE_MAX(p->max, r->rtt_ns);
		p->sum += r->rtt_ns;
		p->received++;
	}
	p->n_results = 0;
}

static void
summary_print(const struct ping *p, FILE *out)
{
	uint64_t n = p->received + p->lost;
	struct json j;

	if (!p->json) {
		fprintf(out, "%" PRIu64 " sent, %" PRIu64 " answered, %.0f %% lost", n, p->received,
			n > 0 ? 100.0 * (double)p->lost / (double)n : 0.0);
		if (p->received > 0)
			fprintf(out, ", min/avg/max %.3f/%.3f/%.3f ms", (double)p->min / NS_PER_MS,
				(double)p->sum / (double)p->received / NS_PER_MS,
				(double)p->max / NS_PER_MS);
		fputc('\n', out);
		return;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	json_string(&j, "target", p->name);
	json_u64(&j, "sent", n);
	json_u64(&j, "answered", p->received);
	json_u64(&j, "lost", p->lost);
	if (p->received > 0) {
		json_u64(&j, "rtt_min_ns", p->min);
		json_u64(&j, "rtt_avg_ns", p->sum / p->received);
		json_u64(&j, "rtt_max_ns", p->max);
	}
	json_end(&j);
	fputc('\n', out);
}

static int
begin(struct cli *cli, bool json, const struct args *args, struct err *err)
{
	struct ping *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_set(err, -ENOMEM, "no memory for a ping");
	*p = (struct ping) {
		.session = { is_ready, ping_end },
		.gw = cli->gw,
		.json = json,
		.sa = SA_NONE,
		.count = COUNT,
		.interval = NS_PER_SECOND,
		.next = clock_now(&cli->gw->clock),
		.request = { .size = DATA, .id = echo_id(cli->gw) },
	};
	rc = words_read(p, args, err);
	if (rc == 0)
		rc = send_one(p, err);
	if (rc < 0)
		free(p);
	else
		cli->job->session = &p->session;
	return rc;
}

int
ping(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct cli_job *job = cli->job;
	struct ping *p;
	int rc = 0;

	if (job == NULL || cli->gw->echo == NULL)
		return err_set(err, -EOPNOTSUPP, "ping takes time, which there is none for here");
	if (job->session == NULL)
		rc = begin(cli, json, args, err);
	if (rc < 0)
		return rc;
	p = (struct ping *)job->session;
	results_take(p, out);
	if (!job->stop && is_due(p))
		rc = send_one(p, err);
	job->page.more = rc == 0 && !job->stop && !(is_all_sent(p) && p->n_open == 0);
	if (job->page.more)
		return 0;
	summary_print(p, out);
	if (rc == 0 && p->received == 0)
		rc = err_set(err, -ETIMEDOUT, "no echo was answered: a peer does so where its %s",
			     p->plain ? "port has esp_echo" : "inbound SA has esp_ping");
	return rc;
}
