#include "echo/probes.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/paths.h"
#include "echo/echo.h"

struct flight {
	struct probes *probes;
	uint64_t token;
	bool busy;
};

struct probes {
	struct gw *gw;
	uint16_t id, seq;
	struct flight flights[PMTU_PROBES_MAX];
};

static void
ended(void *arg, const struct echo_result *result)
{
	struct flight *flight = arg;
	enum pmtu_probe_end end = !result->sent ? PMTU_PROBE_UNSENT :
				  result->lost	? PMTU_PROBE_LOST :
						  PMTU_PROBE_ANSWERED;

	flight->busy = false;
	paths_probe_done(flight->probes->gw, flight->token, end, result->rtt_ns);
}

static struct flight *
flight_free(struct probes *p)
{
	for (uint32_t i = 0; i < PMTU_PROBES_MAX; i++)
		if (!p->flights[i].busy)
			return &p->flights[i];
	return NULL;
}

static bool
send_one(void *ctx, uint32_t sa, uint16_t size, uint64_t timeout, uint64_t token)
{
	struct probes *p = ctx;
	struct flight *flight = flight_free(p);
	const struct echo_request request = {
		.flags = ECHO_PROBE | ECHO_NODATA,
		.id = p->id,
		.seq = p->seq++,
		.size = size,
		.timeout_ns = timeout,
	};
	struct err err;

	if (flight == NULL)
		return false;
	*flight = (struct flight) { p, token, true };
	if (echo_start(p->gw, sa, &request, ended, flight, NULL, &err) == 0)
		return true;
	flight->busy = false;
	return false;
}

int
echo_probes_begin(struct gw *gw, struct err *err)
{
	struct probes *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(err, -ENOMEM, "no memory for probes of path MTUs");
	p->gw = gw;
	p->id = echo_id(gw);
	paths_sender_set(gw, &(struct pmtu_sender) { p, send_one, free });
	return 0;
}
