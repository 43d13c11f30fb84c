/* Any octets as a datagram of the control socket: each message goes to its parser, as a request and
 * as an answer. What is accepted obeys what xfrm.h promises, and is the same when written and read
 * again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/xfrm.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

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

/* A refusal says something that may go into a log. */
static void
refused(const struct err *err)
{
	must(err->text[0] != 0 && memchr(err->text, 0, sizeof(err->text)) != NULL);
	for (const char *p = err->text; *p != 0; p++)
		must(*p >= ' ' && *p <= '~');
}

static uint8_t written[XFRM_DATAGRAM_MAX];

static struct xfrm_out
begin(void)
{
	return (struct xfrm_out) { written, written + sizeof(written) };
}

/* The message that was written, with everything that came in fitting. */
static struct xfrm_msg
again(const struct xfrm_out *out, int rc)
{
	size_t at = 0, len = (size_t)(out->at - written);
	struct xfrm_msg msg;

	must(rc == 0 && len % 4 == 0);
	must(xfrm_next(written, len, &at, &msg, NULL) == 1 && at == len);
	return msg;
}

/* An AEAD, or a cipher and an auth; AH's cipher is none that has a key. */
static void
suite_holds(const struct xfrm_sa *sa)
{
	const struct suite *s = &sa->suite;

	must(s->cipher < ALG_MAX && s->auth < ALG_MAX);
	must(xfrm_cipher_name(s)[0] != 0 && s->aead == (xfrm_auth_name(s)[0] == 0));
	must(sa->key.len == algs[s->cipher].key_len + algs[s->cipher].salt_len);
	must(s->aead ? sa->auth_key.len == 0 : sa->auth_key.len == algs[s->auth].key_len);
	must(sa->id.proto != XFRM_PROTO_AH || s->cipher == ALG_NULL);
}

static void
sa_holds(const struct xfrm_sa *sa)
{
	must(sa->family == 4 || sa->family == 6);
	must(sa->key.len <= XFRM_KEY_MAX && sa->auth_key.len <= XFRM_KEY_MAX);
	must(sa->replay.words <= XFRM_REPLAY_WORDS && sa->replay.window <= sa->replay.words * 32);
	must(sa->sel.src.len <= 128 || sa->sel.family == 0);
	if (sa->has & XFRM_HAS_SUITE)
		suite_holds(sa);
}

static int
try_sa(const struct xfrm_msg *m, struct err *err)
{
	static struct xfrm_sa sa, back;
	struct xfrm_head h = { m->head.type, m->head.flags, m->head.seq, m->head.pid };
	struct xfrm_out out = begin();
	struct xfrm_msg msg;
	int rc;

	if (m->head.type != XFRM_UPDSA && xfrm_read_sa(m, &sa, err) == 0)
		sa_holds(&sa);
	memset(&sa, 0, sizeof(sa));
	rc = xfrm_parse_sa(m, &sa, err);
	if (rc < 0) {
		must(sa.key.len == 0 && sa.auth_key.len == 0);
		return rc;
	}
	sa_holds(&sa);
	if (sa.id.proto == XFRM_PROTO_COMP)
		must((sa.has & XFRM_HAS_COMP) != 0);
	else
		must((sa.id.proto == XFRM_PROTO_ESP || sa.id.proto == XFRM_PROTO_AH) &&
		     sa.id.spi >= 256 && (sa.has & XFRM_HAS_SUITE) != 0);
	msg = again(&out, xfrm_put_sa(&out, &h, &sa, true));
	memset(&back, 0, sizeof(back));
	must(xfrm_parse_sa(&msg, &back, NULL) == 0 && memcmp(&sa, &back, sizeof(sa)) == 0);
	return 0;
}

static int
try_policy(const struct xfrm_msg *m, struct err *err)
{
	struct xfrm_head h = { m->head.type, m->head.flags, m->head.seq, m->head.pid };
	static struct xfrm_policy p, back;
	struct xfrm_out out = begin();
	struct xfrm_msg msg;
	int rc;

	rc = xfrm_parse_policy(m, &p, err);
	if (rc < 0)
		return rc;
	must(p.dir < XFRM_DIR_END && p.n_tmpls <= XFRM_TMPL_MAX && p.sel.family != 0);
	msg = again(&out, xfrm_put_policy(&out, &h, &p));
	must(xfrm_parse_policy(&msg, &back, NULL) == 0 && memcmp(&p, &back, sizeof(p)) == 0);
	return 0;
}

static int
try_migrate(const struct xfrm_msg *m, struct err *err)
{
	struct xfrm_head h = { XFRM_MIGRATE, XFRM_F_REQUEST, m->head.seq, m->head.pid };
	static struct xfrm_migrate mig, back;
	struct xfrm_out out = begin();
	struct xfrm_msg msg;
	int rc = xfrm_parse_migrate(m, &mig, err);

	if (rc < 0)
		return rc;
	must(mig.n_moves >= 1 && mig.n_moves <= XFRM_TMPL_MAX);
	msg = again(&out, xfrm_put_migrate(&out, &h, &mig));
	must(xfrm_parse_migrate(&msg, &back, NULL) == 0 && back.n_moves == mig.n_moves);
	return 0;
}

static int
try_ae(const struct xfrm_msg *m, struct err *err)
{
	struct xfrm_head h = { m->head.type, m->head.flags, m->head.seq, m->head.pid };
	static struct xfrm_ae ae, back;
	struct xfrm_out out = begin();
	struct xfrm_msg msg;
	int rc = xfrm_parse_ae(m, &ae, err);

	if (rc < 0)
		return rc;
	must(ae.replay.words <= XFRM_REPLAY_WORDS);
	msg = again(&out, xfrm_put_ae(&out, &h, &ae));
	must(xfrm_parse_ae(&msg, &back, NULL) == 0 && back.has == ae.has);
	return 0;
}

static int
try_others(const struct xfrm_msg *m, struct err *err)
{
	struct xfrm_sa_id sa_id;
	struct xfrm_filter filter;
	static struct xfrm_spi_range range;
	struct xfrm_policy_id policy_id;
	struct xfrm_defaults defaults;
	struct xfrm_spd_info info;
	uint8_t proto;

	switch (m->head.type) {
	case XFRM_DELSA:
	case XFRM_GETSA:
		return xfrm_is_dump(m) ? xfrm_parse_filter(m, &filter, err) :
					 xfrm_parse_sa_id(m, &sa_id, err);
	case XFRM_ALLOCSPI:
		return xfrm_parse_spi_range(m, &range, err);
	case XFRM_DELPOLICY:
	case XFRM_GETPOLICY:
		return xfrm_parse_policy_id(m, &policy_id, err);
	case XFRM_FLUSHSA:
		return xfrm_parse_flush_sa(m, &proto, err);
	case XFRM_FLUSHPOLICY:
		return xfrm_parse_flush_policy(m, err);
	case XFRM_GETSADINFO:
	case XFRM_GETSPDINFO:
		return xfrm_parse_get_info(m, err);
	case XFRM_NEWSPDINFO:
		return xfrm_parse_spd_info(m, &info, err);
	case XFRM_SETDEFAULT:
		return xfrm_parse_defaults(m, &defaults, err);
	default:
		return 0;
	}
}

static int
try_message(const struct xfrm_msg *m, struct err *err)
{
	static struct xfrm_sa sa;

	switch (m->head.type) {
	case XFRM_NEWSA:
	case XFRM_UPDSA:
		return try_sa(m, err);
	case XFRM_EXPIRE:
		return xfrm_read_sa(m, &sa, err);
	case XFRM_NEWPOLICY:
	case XFRM_UPDPOLICY:
		return try_policy(m, err);
	case XFRM_MIGRATE:
		return try_migrate(m, err);
	case XFRM_NEWAE:
	case XFRM_GETAE:
		return try_ae(m, err);
	default:
		return try_others(m, err);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	size_t at = 0;
	int more;

	do {
		struct err err = { "" };
		struct xfrm_msg msg;

		more = xfrm_next(octets, size, &at, &msg, &err);
		must(at <= size);
		if (more < 0) {
			must(at == size);
			refused(&err);
		} else if (more == 1 && try_message(&msg, &err) < 0) {
			struct xfrm_out out = begin();

			refused(&err);
			must(xfrm_put_error(&out, &msg.head, 1, -22, &err) == 0);
		}
	} while (more == 1);
	return 0;
}
