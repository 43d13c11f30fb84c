/* engine_cryptodev for tests: opened with some devices, and as a synchronous engine, which submits
 * and collects until everything is back.
 *
 * The driver is one to a process, so is this. Its sessions are opened when an operation names them
 * first, and the one opened longest ago makes room.
 */
#ifndef TESTS_LOOKASIDE_H
#define TESTS_LOOKASIDE_H

#include "unit.h"

#include <errno.h>

#include <rte_cryptodev.h>
#include <rte_mbuf.h>

#include "crypto/engine.h"
#include "drivers.h"

#define LOOKASIDE_SESSIONS 128
#define LOOKASIDE_TRIES	   100000 /* of collecting what does not come */

/* What of a session is known by its id here. */
struct lookaside_session {
	struct session s; /* with the id that the driver knows it by */
	uint32_t id, generation;
	bool encrypt, open;
};

static struct lookaside_session lookaside_sessions[LOOKASIDE_SESSIONS];
static struct rte_mbuf lookaside_mbufs[CRYPTO_BURST_MAX];
static uint32_t lookaside_next, lookaside_generation;

static inline const struct engine_async *
lookaside(void)
{
	return engine_cryptodev.async;
}

static inline int
lookaside_open(const char *const *devices, uint16_t n, uint16_t n_workers, uint32_t max_sessions,
	       struct err *err)
{
	struct engine_setup setup = { .n_workers = n_workers,
				      .max_sessions = max_sessions,
				      .devices = devices,
				      .n_devices = n };

	return lookaside()->open(&setup, err);
}

/* The driver's session for one of a test's. */
static inline const struct session *
lookaside_session(const struct session *s, bool encrypt)
{
	struct lookaside_session *l;
	struct err err = { "" };

	for (uint32_t i = 0; i < LOOKASIDE_SESSIONS; i++) {
		l = &lookaside_sessions[i];
		if (l->open && l->id == s->id && l->generation == s->generation &&
		    l->encrypt == encrypt)
			return &l->s;
	}
	l = &lookaside_sessions[lookaside_next];
	if (l->open)
		lookaside()->session_close(l->s.id);
	*l = (struct lookaside_session) {
		.s = *s, .id = s->id, .generation = s->generation, .encrypt = encrypt, .open = true
	};
	l->s.id = lookaside_next;
	l->s.generation = ++lookaside_generation;
	lookaside_next = (lookaside_next + 1) % LOOKASIDE_SESSIONS;
	if (lookaside()->session_open(&l->s, encrypt, &err) < 0)
		fail_msg("%s", err.text);
	return &l->s;
}

/* A packet of one segment around the octets of a flat operation. */
static inline struct rte_mbuf *
lookaside_mbuf(struct rte_mbuf *m, const struct crypto_op *op)
{
	size_t head = CRYPTO_BEFORE + (size_t)op->session->suite.iv_len;

	memset(m, 0, sizeof(*m));
	m->buf_addr = op->text - head;
	m->buf_iova = (rte_iova_t)(uintptr_t)m->buf_addr;
	m->nb_segs = 1;
	m->refcnt = 1;
	m->data_len = (uint16_t)(head + op->text_len + op->session->suite.icv_len);
	m->buf_len = m->data_len;
	m->pkt_len = m->data_len;
	return m;
}

static inline void
lookaside_run(struct engine_worker *ew, struct crypto_op *ops, uint16_t n, bool encrypt)
{
	struct rte_mbuf *pkts[CRYPTO_BURST_MAX], *back[CRYPTO_BURST_MAX];
	enum engine_verdict verdicts[CRYPTO_BURST_MAX];
	struct crypto_op copies[CRYPTO_BURST_MAX];
	uint16_t in = 0, out = 0;

	for (uint16_t i = 0; i < n; i++) {
		copies[i] = ops[i];
		copies[i].session = lookaside_session(ops[i].session, encrypt);
		pkts[i] = ops[i].chain != NULL ? ops[i].chain :
						 lookaside_mbuf(&lookaside_mbufs[i], &ops[i]);
	}
	for (uint32_t tries = 0; out < n; tries++) {
		enum engine_refusal why = ENGINE_TAKEN;
		uint16_t got;

		if (in < n)
			in += lookaside()->submit(ew, copies + in, pkts + in, (uint16_t)(n - in),
						  encrypt, 0, &why);
		got = lookaside()->collect(ew, back, verdicts, CRYPTO_BURST_MAX, 0);
		for (uint16_t i = 0; i < got; i++, out++) {
			assert_ptr_equal(back[i], pkts[out]);
			ops[out].ok = verdicts[i] == ENGINE_DONE;
		}
		if (tries == LOOKASIDE_TRIES)
			fail_msg("%u of %u operations come back", out, n);
	}
	assert_int_equal(lookaside()->held(ew), 0);
}

static inline void
lookaside_encrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	lookaside_run(ew, ops, n, true);
}

static inline void
lookaside_decrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	lookaside_run(ew, ops, n, false);
}

#ifdef CRYPTO_DEVICE
/* CRYPTO_DEVICE: a list of devices, ';' between them. */
static inline int
lookaside_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
	       struct err *err)
{
	static char text[] = CRYPTO_DEVICE;
	const char *devices[4];
	uint16_t n = 0;
	char *rest;
	int rc;

	for (char *at = strtok_r(text, ";", &rest); at != NULL; at = strtok_r(NULL, ";", &rest))
		devices[n++] = at;
	rc = lookaside_open(devices, n, 1, LOOKASIDE_SESSIONS, err);
	if (rc == 0)
		rc = engine_cryptodev.worker_init(key_cache, index, socket, out, err);
	if (rc < 0)
		print_message("# %s\n", err->text);
	return rc;
}

static inline void
lookaside_fini(struct engine_worker *ew)
{
	engine_cryptodev.worker_fini(ew);
	lookaside()->close();
}

static inline int
lookaside_serves(const struct suite *suite, struct err *err)
{
	return engine_cryptodev.serves(suite, err);
}

static inline void
lookaside_forget(struct engine_worker *ew, uint32_t id)
{
	for (uint32_t i = 0; i < LOOKASIDE_SESSIONS; i++) {
		struct lookaside_session *l = &lookaside_sessions[i];

		if (!l->open || l->id != id)
			continue;
		engine_cryptodev.forget(ew, l->s.id);
		lookaside()->session_close(l->s.id);
		l->open = false;
	}
}

static inline uint64_t
lookaside_bounced(const struct engine_worker *ew)
{
	return engine_cryptodev.bounced(ew);
}

static const struct engine lookaside_engine = {
	.name = CRYPTO_DEVICE,
	.kind = ENGINE_SYNC,
	.serves = lookaside_serves,
	.worker_init = lookaside_init,
	.worker_fini = lookaside_fini,
	.encrypt = lookaside_encrypt,
	.decrypt = lookaside_decrypt,
	.forget = lookaside_forget,
	.bounced = lookaside_bounced,
};
#endif

#endif
