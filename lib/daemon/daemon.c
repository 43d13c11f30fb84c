#include "daemon/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/state.h"
#include "numbers/numbers.h"

/* Of what is not about policies; those have a table of their own. */
static const struct {
	state_request_fn *run;
	bool changes;
} requests[XFRM_TYPE_END] = {
	[XFRM_NEWSA] = { sa_new_request, true },	 [XFRM_UPDSA] = { sa_new_request, true },
	[XFRM_DELSA] = { sa_del_request, true },	 [XFRM_GETSA] = { sa_get_request, false },
	[XFRM_FLUSHSA] = { sa_flush_request, true },	 [XFRM_ALLOCSPI] = { spi_request, true },
	[XFRM_NEWAE] = { ae_new_request, true },	 [XFRM_GETAE] = { ae_get_request, false },
	[XFRM_GETSADINFO] = { sad_info_request, false }, [XFRM_MIGRATE] = { migrate_request, true },
};

static bool
may_change(void *ctx, const struct daemon_owner *by, const struct daemon_owner *of)
{
	return by != NULL && owner_may_change(by, of);
}

static void
count(void *ctx, struct daemon_owner *owner, int by)
{
	owner_count(ctx, owner, by);
}

static const char *
text(void *ctx, const struct daemon_owner *owner)
{
	return owner_text(owner);
}

static void
event(void *ctx, unsigned int group, const void *message, size_t size)
{
	struct daemons *d = ctx;

	d->out.event(d->out.ctx, group, message, size);
}

int
daemons_create(struct gw *gw, const struct daemon_out *out, struct daemons **daemons,
	       struct err *err)
{
	uint32_t max = gw->conf->gateway.max_sas;
	struct dpolicies_env env = {
		.gw = gw,
		.may_change = may_change,
		.count = count,
		.owner_text = text,
		.event = event,
		.sa_used = state_sa_used,
	};
	struct daemons *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return err_set(err, -ENOMEM, "no memory for what daemons install");
	d->gw = gw;
	d->out = *out;
	rc = states_init(d, max, err);
	if (rc == 0)
		rc = ties_create(gw, &d->ties, err);
	if (rc == 0)
		ties_lists(d->ties, state_classes, d);
	env.ctx = d;
	env.ties = d->ties;
	if (rc == 0)
		rc = dpolicies_create(&env, 2 * max, &d->policies, err);
	if (rc < 0) {
		daemons_free(d);
		return rc;
	}
	daemons_hook(d);
	*daemons = d;
	return 0;
}

void
daemons_free(struct daemons *d)
{
	if (d == NULL)
		return;
	for (uint32_t i = d->states.n_chunks == 0 ? STATE_NONE : slab_next(&d->states, 0);
	     i != STATE_NONE; i = slab_next(&d->states, i + 1))
		state_end(d, i);
	dpolicies_free(d->policies);
	ties_free(d->ties);
	d->gw->hooks = (struct gw_hooks) { .ctx = NULL };
	owners_free(d);
	states_fini(d);
	free(d);
}

static void
no_reply(void *ctx, uint64_t client, const void *datagram, size_t len)
{
}

static void
no_event(void *ctx, unsigned int group, const void *message, size_t len)
{
}

void
daemons_mute(struct daemons *d)
{
	if (d != NULL)
		d->out = (struct daemon_out) { .reply = no_reply, .event = no_event };
}

int
daemon_client_hello(struct daemons *d, struct daemon_client *c, struct err *err)
{
	return owner_of(d, c, err);
}

void
daemon_client_gone(struct daemons *d, struct daemon_client *c)
{
	c->dumping = false;
	owner_leave(d, c);
}

static bool
is_request(uint16_t type)
{
	return type < XFRM_TYPE_END && (requests[type].run != NULL || policy_request_is_ours(type));
}

static bool
changes(uint16_t type)
{
	return policy_request_is_ours(type) ? policy_request_changes(type) : requests[type].changes;
}

static int
dump_begin(const struct cause *c, struct err *err)
{
	struct daemon_client *client = c->client;
	struct daemon_dump dump = {
		.of_policies = c->msg->head.type == XFRM_GETPOLICY,
		.seq = c->msg->head.seq,
		.changes = c->d->changes,
		.policies = {
			.changes = dpolicies_changes(c->d->policies),
			.seq = c->msg->head.seq,
			.pid = client->nl_pid,
		},
	};
	int rc = 0;

	if (client->dumping)
		return err_set(err, -EBUSY, "a dump is under way on this socket");
	if (!dump.of_policies)
		rc = xfrm_parse_filter(c->msg, &dump.filter, err);
	if (rc < 0)
		return rc;
	client->dump = dump;
	client->dumping = true;
	return 0;
}

static int
run(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	const struct dpolicies_cause by = { c->client->owner, c->msg->head.seq, c->client->nl_pid };
	uint16_t type = c->msg->head.type;
	char name[XFRM_NAME_SIZE];

	if (!is_request(type))
		return err_set(err, -EINVAL, "%s is no request that the gateway knows",
			       xfrm_type_name(type, name));
	if (changes(type) && !c->client->may_change)
		return err_set(err, -EPERM,
			       "%s changes something, which root and the group espgw-admin may; "
			       "this client may read",
			       xfrm_type_name(type, name));
	return policy_request_is_ours(type) ?
		       policy_request(c->d->policies, c->msg, &by, reply, err) :
		       requests[type].run(c, reply, err);
}

static void
answer(const struct cause *c, int rc, const struct err *err)
{
	uint8_t datagram[REPLY_SIZE];
	struct xfrm_out out = { datagram, datagram + sizeof(datagram) };
	struct daemons *d = c->d;

	if (xfrm_put_error(&out, &c->msg->head, c->client->nl_pid, rc, err) == 0)
		d->out.reply(d->out.ctx, c->client->id, datagram, out.at - datagram);
}

static void
message_run(struct cause *c)
{
	uint8_t datagram[REPLY_SIZE];
	struct xfrm_out reply = { datagram, datagram + sizeof(datagram) };
	struct daemons *d = c->d;
	struct err err = { "" };
	int rc;

	if (xfrm_is_dump(c->msg)) {
		rc = dump_begin(c, &err);
		if (rc < 0)
			answer(c, rc, &err);
		return;
	}
	rc = run(c, &reply, &err);
	if (rc == 0 && reply.at > datagram)
		d->out.reply(d->out.ctx, c->client->id, datagram, reply.at - datagram);
	if (rc < 0 || (c->msg->head.flags & XFRM_F_ACK) != 0)
		answer(c, rc, &err);
	explicit_bzero(datagram, reply.at - datagram);
}

void
daemon_request(struct daemons *d, struct daemon_client *c, const void *datagram, size_t len)
{
	struct xfrm_msg msg;
	struct cause cause = { d, c, &msg };
	struct err err = { "" };
	size_t at = 0;
	int rc;

	for (;;) {
		rc = xfrm_next(datagram, len, &at, &msg, &err);
		if (rc == 0 || rc == -EBADMSG)
			return;
		if (rc > 0)
			rc = owner_of(d, c, &err);
		if (rc < 0)
			answer(&cause, rc, &err);
		else if (msg.head.type >= XFRM_NEWSA)
			message_run(&cause);
	}
}

bool
daemon_dump_more(struct daemons *d, struct daemon_client *c)
{
	uint8_t datagram[REPLY_SIZE];
	struct xfrm_out out = { datagram, datagram + sizeof(datagram) };

	if (!c->dumping)
		return false;
	c->dumping = c->dump.of_policies ? policy_dump_more(d->policies, &c->dump.policies, &out) :
					   sa_dump_more(d, c, &out);
	d->out.reply(d->out.ctx, c->id, datagram, out.at - datagram);
	explicit_bzero(datagram, out.at - datagram);
	return c->dumping;
}

void
daemons_tick(struct daemons *d, uint64_t now)
{
	uint64_t seconds = now / NS_PER_SECOND;

	if (seconds == d->ticked)
		return;
	d->ticked = seconds;
	states_tick(d, (uint32_t)seconds);
	dpolicies_tick(d->policies, time(NULL));
	numbers_expire(d->gw->numbers, now);
}

void
daemons_counts(const struct daemons *d, struct daemons_counts *counts)
{
	*counts = (struct daemons_counts) {
		.states = d->states.n_taken,
		.larval = d->n_larval,
		.owners = d->n_owners,
		.bytes = d->states.bytes + d->mores.bytes + d->n_buckets * sizeof(d->by_id[0]) +
			 d->n_owners * sizeof(struct daemon_owner),
	};
}
