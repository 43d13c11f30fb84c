#include "daemon/policy_requests.h"

#include <errno.h>

static struct xfrm_head
answer(uint16_t type, const struct xfrm_msg *msg, const struct dpolicies_cause *cause)
{
	return (struct xfrm_head) { .type = type, .seq = msg->head.seq, .pid = cause->pid };
}

static int
put_request(struct dpolicies *dp, const struct xfrm_msg *msg, const struct dpolicies_cause *cause,
	    struct xfrm_out *reply, struct err *err)
{
	struct xfrm_policy p;
	int rc = xfrm_parse_policy(msg, &p, err);

	if (rc < 0)
		return rc;
	return dpolicies_put(dp, &p, msg->head.type == XFRM_UPDPOLICY, cause, err);
}

static int
del_request(struct dpolicies *dp, const struct xfrm_msg *msg, const struct dpolicies_cause *cause,
	    struct xfrm_out *reply, struct err *err)
{
	struct xfrm_policy_id id;
	int rc = xfrm_parse_policy_id(msg, &id, err);

	return rc < 0 ? rc : dpolicies_del(dp, &id, cause, err);
}

static int
get_request(struct dpolicies *dp, const struct xfrm_msg *msg, const struct dpolicies_cause *cause,
	    struct xfrm_out *reply, struct err *err)
{
	const struct xfrm_head head = answer(XFRM_NEWPOLICY, msg, cause);
	struct xfrm_policy_id id;
	struct xfrm_policy p;
	int rc = xfrm_parse_policy_id(msg, &id, err);

	if (rc == 0)
		rc = dpolicies_get(dp, &id, &p, err);
	return rc < 0 ? rc : xfrm_put_policy(reply, &head, &p);
}

static int
flush_request(struct dpolicies *dp, const struct xfrm_msg *msg, const struct dpolicies_cause *cause,
	      struct xfrm_out *reply, struct err *err)
{
	int rc = xfrm_parse_flush_policy(msg, err);

	if (rc == 0)
		dpolicies_flush(dp, cause);
	return rc;
}

static int
info_get_request(struct dpolicies *dp, const struct xfrm_msg *msg,
		 const struct dpolicies_cause *cause, struct xfrm_out *reply, struct err *err)
{
	const struct xfrm_head head = answer(XFRM_NEWSPDINFO, msg, cause);
	struct xfrm_spd_info info;
	int rc = xfrm_parse_get_info(msg, err);

	if (rc < 0)
		return rc;
	dpolicies_info(dp, &info);
	return xfrm_put_spd_info(reply, &head, &info);
}

static int
info_set_request(struct dpolicies *dp, const struct xfrm_msg *msg,
		 const struct dpolicies_cause *cause, struct xfrm_out *reply, struct err *err)
{
	struct xfrm_spd_info info;
	int rc = xfrm_parse_spd_info(msg, &info, err);

	return rc < 0 ? rc : dpolicies_info_set(dp, &info, err);
}

/* What nothing says anything of never passes in clear, whoever asks for it. */
static int
default_set_request(struct dpolicies *dp, const struct xfrm_msg *msg,
		    const struct dpolicies_cause *cause, struct xfrm_out *reply, struct err *err)
{
	struct xfrm_defaults d;
	int rc = xfrm_parse_defaults(msg, &d, err);

	if (rc < 0)
		return rc;
	if (d.in == XFRM_DEFAULT_ACCEPT || d.fwd == XFRM_DEFAULT_ACCEPT ||
	    d.out == XFRM_DEFAULT_ACCEPT)
		return err_set(err, -EPERM,
			       "the gateway lets nothing pass that no policy names: block, and a "
			       "policy for what shall pass");
	return 0;
}

static int
default_get_request(struct dpolicies *dp, const struct xfrm_msg *msg,
		    const struct dpolicies_cause *cause, struct xfrm_out *reply, struct err *err)
{
	const struct xfrm_head head = answer(XFRM_GETDEFAULT, msg, cause);
	const struct xfrm_defaults d = { XFRM_DEFAULT_BLOCK, XFRM_DEFAULT_BLOCK,
					 XFRM_DEFAULT_BLOCK };

	return xfrm_put_defaults(reply, &head, &d);
}

typedef int request_fn(struct dpolicies *dp, const struct xfrm_msg *msg,
		       const struct dpolicies_cause *cause, struct xfrm_out *reply,
		       struct err *err);

static const struct {
	request_fn *run;
	bool changes;
} requests[XFRM_TYPE_END] = {
	[XFRM_NEWPOLICY] = { put_request, true },
	[XFRM_UPDPOLICY] = { put_request, true },
	[XFRM_DELPOLICY] = { del_request, true },
	[XFRM_GETPOLICY] = { get_request, false },
	[XFRM_FLUSHPOLICY] = { flush_request, true },
	[XFRM_GETSPDINFO] = { info_get_request, false },
	[XFRM_NEWSPDINFO] = { info_set_request, true },
	[XFRM_SETDEFAULT] = { default_set_request, true },
	[XFRM_GETDEFAULT] = { default_get_request, false },
};

bool
policy_request_is_ours(uint16_t type)
{
	return type < XFRM_TYPE_END && requests[type].run != NULL;
}

bool
policy_request_changes(uint16_t type)
{
	return requests[type].changes;
}

int
policy_request(struct dpolicies *dp, const struct xfrm_msg *msg,
	       const struct dpolicies_cause *cause, struct xfrm_out *reply, struct err *err)
{
	return requests[msg->head.type].run(dp, msg, cause, reply, err);
}

bool
policy_dump_more(const struct dpolicies *dp, struct policy_dump *dump, struct xfrm_out *out)
{
	const struct xfrm_head head = { XFRM_NEWPOLICY, XFRM_F_MULTI, dump->seq, dump->pid };
	bool interrupted = dump->changes != dpolicies_changes(dp);
	const uint8_t *start = out->at;
	uint32_t at = dump->cursor;
	struct xfrm_policy p;

	while (!dump->is_through && dpolicies_next(dp, &at, &p)) {
		if (xfrm_put_policy(out, &head, &p) < 0)
			return true;
		dump->cursor = at;
	}
	dump->is_through = true;
	return out->at != start || xfrm_put_done(out, dump->seq, dump->pid, interrupted) < 0;
}
