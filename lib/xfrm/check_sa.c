#include "xfrm/check_sa.h"

#include <errno.h>
#include <inttypes.h>

#include "xfrm/attrs.h"
#include "xfrm/fields.h"

/* As espgw.yaml has them. */
#define MAX_AGGREGATION_US 60000000u
#define BREAKER_US_MIN	   1000u
#define BREAKER_US_MAX	   3600000000u

static int
mode_check(const struct xfrm_sa *sa, struct err *err)
{
	switch (sa->mode) {
	case XFRM_TRANSPORT:
	case XFRM_TUNNEL:
	case XFRM_BEET:
		return 0;
	case XFRM_IPTFS:
		if (sa->id.proto != XFRM_PROTO_ESP || sa->dir == XFRM_SA_DIR_NONE)
			return err_set(err, -EINVAL,
				       "mode 5 (IP-TFS): only of ESP, and with XFRMA_SA_DIR");
		return 0;
	default:
		return err_set(err, -EINVAL,
			       "mode %u: 0 (transport), 1 (tunnel), 4 (BEET) or 5 (IP-TFS)",
			       sa->mode);
	}
}

static int
spi_check(const struct xfrm_sa *sa, struct err *err)
{
	if (sa->id.proto == XFRM_PROTO_COMP && (sa->id.spi == 0 || sa->id.spi > UINT16_MAX))
		return err_set(err, -EINVAL, "id.spi %#x: a CPI is from 1 to 0xffff", sa->id.spi);
	if (sa->id.proto != XFRM_PROTO_COMP && sa->id.spi < 256)
		return err_set(err, -EINVAL, "id.spi %#x: 0x100 or more, those below are reserved",
			       sa->id.spi);
	return 0;
}

static bool
all_zero(const uint8_t *octets, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= octets[i];
	return n != 0 && any == 0;
}

/* What a daemon gets to see of another's SA, and may send back by mistake, must never be a key. */
static int
keys_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *a = attr_find(list, sa->suite.aead ? XFRM_A_ALG_AEAD : XFRM_A_ALG_CRYPT);

	if (all_zero(sa->key.octets, algs[sa->suite.cipher].key_len))
		return attr_refuse(a, -EINVAL, err,
				   "a key of zeros: the negotiated one (GETSA shows zeros to those "
				   "who did not install the SA)");
	if (sa->suite.aead || !all_zero(sa->auth_key.octets, sa->auth_key.len))
		return 0;
	a = attr_find(list, XFRM_A_ALG_AUTH_TRUNC);
	if (a == NULL)
		a = attr_find(list, XFRM_A_ALG_AUTH);
	return attr_refuse(a, -EINVAL, err,
			   "a key of zeros: the negotiated one (GETSA shows zeros to those who did "
			   "not install the SA)");
}

static int
algs_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *comp = attr_find(list, XFRM_A_ALG_COMP);

	if (sa->id.proto == XFRM_PROTO_COMP) {
		static const uint16_t others[] = { XFRM_A_ALG_AEAD, XFRM_A_ALG_CRYPT,
						   XFRM_A_ALG_AUTH, XFRM_A_ALG_AUTH_TRUNC,
						   XFRM_A_TFCPAD };

		if (comp == NULL)
			return err_set(err, -EINVAL,
				       "id.proto 108 (IPComp) without XFRMA_ALG_COMP: "
				       "deflate");
		for (size_t i = 0; i < RTE_DIM(others); i++)
			if (attr_find(list, others[i]) != NULL)
				return attr_refuse(
					attr_find(list, others[i]), -EINVAL, err,
					"with id.proto 108 (IPComp): XFRMA_ALG_COMP alone");
		return 0;
	}
	if (comp != NULL)
		return attr_refuse(comp, -EINVAL, err,
				   "with id.proto %u: it belongs in an SA of its own with 108 "
				   "(IPComp)",
				   sa->id.proto);
	if ((sa->has & XFRM_HAS_SUITE) == 0)
		return err_set(err, -EINVAL,
			       "no algorithm: XFRMA_ALG_AEAD, or XFRMA_ALG_CRYPT with "
			       "XFRMA_ALG_AUTH_TRUNC");
	return keys_check(sa, list, err);
}

static int
replay_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *esn = attr_find(list, XFRM_A_REPLAY_ESN_VAL);

	if (esn == NULL) {
		if (sa->flags & XFRM_SA_ESN)
			return err_set(err, -EINVAL,
				       "flag ESN (128) without XFRMA_REPLAY_ESN_VAL: both or none");
		return 0;
	}
	if (sa->window != 0)
		return err_set(err, -EINVAL,
			       "replay_window %u beside XFRMA_REPLAY_ESN_VAL: 0, the attribute has "
			       "its own",
			       sa->window);
	if ((sa->flags & XFRM_SA_ESN) && sa->replay.window == 0 && sa->dir != XFRM_SA_DIR_OUT)
		return attr_refuse(esn, -EINVAL, err,
				   "ESN with replay_window 0: 1 or more, or XFRMA_SA_DIR 2 (out)");
	return 0;
}

/* Of the attribute in which they came. */
static int
replay_dir_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_REPLAY_ESN_VAL);

	if (a == NULL)
		a = attr_find(list, XFRM_A_REPLAY_VAL);
	if (a == NULL)
		return 0;
	if (sa->dir == XFRM_SA_DIR_OUT && (sa->replay.window != 0 || sa->replay.seq != 0))
		return attr_refuse(a, -EINVAL, err,
				   "window %u and seq %" PRIu64 " of an outbound SA: 0",
				   sa->replay.window, sa->replay.seq);
	if (sa->dir == XFRM_SA_DIR_IN && sa->replay.oseq != 0)
		return attr_refuse(a, -EINVAL, err, "oseq %" PRIu64 " of an inbound SA: 0",
				   sa->replay.oseq);
	return 0;
}

static int
out_check(const struct xfrm_sa *sa, struct err *err)
{
	if (sa->flags & (XFRM_SA_DECAP_DSCP | XFRM_SA_ICMP | XFRM_SA_WILDRECV))
		return err_set(err, -EINVAL,
			       "flags %#x of an outbound SA: DECAP_DSCP (2), WILDRECV (8) and ICMP "
			       "(16) are for inbound ones",
			       sa->flags);
	if (sa->window != 0)
		return err_set(err, -EINVAL, "replay_window %u of an outbound SA: 0", sa->window);
	return 0;
}

static int
in_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	if (sa->flags & XFRM_SA_NOPMTUDISC)
		return err_set(err, -EINVAL,
			       "flags %#x of an inbound SA: NOPMTUDISC (4) is for outbound ones",
			       sa->flags);
	if (sa->extra_flags & (XFRM_SA_DONT_ENCAP_DSCP | XFRM_SA_OSEQ_MAY_WRAP))
		return attr_refuse(
			attr_find(list, XFRM_A_SA_EXTRA_FLAGS), -EINVAL, err,
			"%#x of an inbound SA: DONT_ENCAP_DSCP (1) and OSEQ_MAY_WRAP (2) "
			"are for outbound ones",
			sa->extra_flags);
	return 0;
}

static int
dir_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	int rc = pcpu_check(sa, list, err);

	if (rc == 0 && sa->dir == XFRM_SA_DIR_OUT)
		rc = out_check(sa, err);
	if (rc == 0 && sa->dir == XFRM_SA_DIR_IN)
		rc = in_check(sa, list, err);
	return rc < 0 ? rc : replay_dir_check(sa, list, err);
}

int
pcpu_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	if ((sa->has & XFRM_HAS_PCPU) == 0 || sa->dir != XFRM_SA_DIR_NONE)
		return 0;
	return attr_refuse(attr_find(list, XFRM_A_SA_PCPU), -EINVAL, err,
			   "without XFRMA_SA_DIR: both or none");
}

static int
encap_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *timer = attr_find(list, XFRM_A_MTIMER_THRESH);
	const struct attr *alive = attr_find(list, XFRM_A_NAT_KEEPALIVE);
	bool encap = (sa->has & XFRM_HAS_ENCAP) != 0;

	if (timer != NULL && (!encap || sa->dir == XFRM_SA_DIR_OUT))
		return attr_refuse(timer, -EINVAL, err,
				   "only with XFRMA_ENCAP, and not of an outbound SA");
	if (alive != NULL && (!encap || sa->dir == XFRM_SA_DIR_IN))
		return attr_refuse(alive, -EINVAL, err,
				   "only with XFRMA_ENCAP, and not of an inbound SA");
	return 0;
}

/* Numbers within those of espgw.yaml, and nothing of the other direction. */
static int
iptfs_options_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_IPTFS_OPTIONS);
	uint32_t loss = sa->iptfs_options.breaker_loss, time = sa->iptfs_options.breaker_time_us;
	uint32_t wait = sa->iptfs_options.max_aggregation_us, dscp = sa->iptfs_options.dscp;

	if (a == NULL)
		return 0;
	if (sa->dir == XFRM_SA_DIR_IN && (loss | time | wait | dscp) != 0)
		return attr_refuse(a, -EINVAL, err,
				   "of an inbound SA: refuse_frags and send_immediately alone");
	if (sa->dir == XFRM_SA_DIR_OUT &&
	    (sa->iptfs_options.refuse_frags || sa->iptfs_options.send_immediately))
		return attr_refuse(a, -EINVAL, err,
				   "refuse_frags and send_immediately of an outbound SA: 0");
	if (loss > 100 || (loss == 0 && time != 0) ||
	    (loss != 0 && (time < BREAKER_US_MIN || time > BREAKER_US_MAX)))
		return attr_refuse(a, -EINVAL, err,
				   "a circuit breaker of %u %% and %u us: 1 to 100 and %u to %u, "
				   "or 0 and 0",
				   loss, time, BREAKER_US_MIN, BREAKER_US_MAX);
	if (wait > MAX_AGGREGATION_US || dscp > 63)
		return attr_refuse(a, -EINVAL, err,
				   "max_aggregation %u us and dscp %u: at most %u and 63", wait,
				   dscp, MAX_AGGREGATION_US);
	return 0;
}

static int
iptfs_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	static const struct {
		uint16_t type;
		uint8_t dir; /* the only one it goes with; 0: either */
	} kinds[] = {
		{ XFRM_A_IPTFS_DROP_TIME, XFRM_SA_DIR_IN },
		{ XFRM_A_IPTFS_REORDER_WINDOW, XFRM_SA_DIR_IN },
		{ XFRM_A_IPTFS_DONT_FRAG, XFRM_SA_DIR_OUT },
		{ XFRM_A_IPTFS_INIT_DELAY, XFRM_SA_DIR_OUT },
		{ XFRM_A_IPTFS_MAX_QSIZE, XFRM_SA_DIR_OUT },
		{ XFRM_A_IPTFS_PKT_SIZE, XFRM_SA_DIR_OUT },
		{ XFRM_A_IPTFS_RATE, XFRM_SA_DIR_OUT },
		{ XFRM_A_IPTFS_OPTIONS, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		const struct attr *a = attr_find(list, kinds[i].type);

		if (a == NULL)
			continue;
		if (sa->mode != XFRM_IPTFS)
			return attr_refuse(a, -EINVAL, err, "with mode %u: only with 5 (IP-TFS)",
					   sa->mode);
		if (kinds[i].dir != 0 && sa->dir != kinds[i].dir)
			return attr_refuse(a, -EINVAL, err, "of an %s SA: only of an %s one",
					   sa->dir == XFRM_SA_DIR_IN ? "inbound" : "outbound",
					   sa->dir == XFRM_SA_DIR_IN ? "outbound" : "inbound");
	}
	return iptfs_options_check(sa, list, err);
}

/* What only ESP has. */
static int
ah_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	static const uint16_t others[] = { XFRM_A_ENCAP, XFRM_A_TFCPAD, XFRM_A_SUBSPACES };

	if (sa->id.proto != XFRM_PROTO_AH)
		return 0;
	if (sa->mode != XFRM_TUNNEL && sa->mode != XFRM_TRANSPORT)
		return err_set(err, -EINVAL,
			       "mode %u with id.proto 51 (AH): 0 (transport) or 1 (tunnel)",
			       sa->mode);
	for (size_t i = 0; i < RTE_DIM(others); i++)
		if (attr_find(list, others[i]) != NULL)
			return attr_refuse(attr_find(list, others[i]), -EINVAL, err,
					   "with id.proto 51 (AH): only of ESP");
	return 0;
}

static int
options_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_OUTER);
	int rc;

	if ((sa->has & XFRM_HAS_TFCPAD) && sa->mode != XFRM_TUNNEL)
		return attr_refuse(attr_find(list, XFRM_A_TFCPAD), -EINVAL, err,
				   "with mode %u: only with 1 (tunnel)", sa->mode);
	if (a != NULL && (sa->outer.df > 2 || sa->outer.frag > 2))
		return attr_refuse(a, -EINVAL, err,
				   "df %u, frag %u: 0 to 2 (copy, set, clear; pre, post, none)",
				   sa->outer.df, sa->outer.frag);
	if (sa->classes.dscp != 0 && sa->dir == XFRM_SA_DIR_IN)
		return attr_refuse(attr_find(list, XFRM_A_CLASSES), -EINVAL, err,
				   "of an inbound SA: nobody asks by which one a class came");
	rc = ah_check(sa, list, err);
	if (rc == 0)
		rc = encap_check(sa, list, err);
	return rc < 0 ? rc : iptfs_check(sa, list, err);
}

int
sa_check(const struct xfrm_sa *sa, const struct attrs *list, struct err *err)
{
	int rc = proto_check(sa->id.proto, "id.proto", err);

	if (rc == 0)
		rc = mode_check(sa, err);
	if (rc == 0)
		rc = spi_check(sa, err);
	if (rc == 0)
		rc = algs_check(sa, list, err);
	if (rc == 0)
		rc = replay_check(sa, list, err);
	if (rc == 0)
		rc = dir_check(sa, list, err);
	return rc < 0 ? rc : options_check(sa, list, err);
}
