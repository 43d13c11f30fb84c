/* A worker's crypto: its part of every engine, and the operations of the burst at hand.
 *
 * The engines are a list that app gives, in order of preference; an index in that list is what an
 * SA stores and what crypto_op.engine says.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/engine.h"

#define CRYPTO_ENGINES_MAX 8
#define CRYPTO_NO_ENGINE   15
#define CRYPTO_ROOM_MIN	   (4 * CRYPTO_BURST_MAX) /* in a device, for what is on its way to it */

/* What sa->engine and crypto_op.engine say, half an octet each: the engine that the SA has, and the
 * synchronous one that does what that one cannot, or will not at the moment. With a synchronous
 * engine both are the same. CRYPTO_NO_ENGINE: no synchronous one serves it.
 */
static inline uint8_t
crypto_engines(uint8_t chosen, uint8_t software)
{
	return (uint8_t)(chosen | software << 4);
}

static inline uint8_t
crypto_chosen(uint8_t engines)
{
	return engines & 15;
}

static inline uint8_t
crypto_software(uint8_t engines)
{
	return engines >> 4;
}

/* The slot `crypto` of struct worker. ops is filled by the stage before the ciphers (esp_encap,
 * replay_check) and read by the stage behind them; ops[i] belongs to packet i of the burst.
 *
 * What is inside asynchronous engines is counted by turns: a packet takes the turn at which it went
 * in with it (pkt.turn). Who has to know when all that is inside now is back begins the other turn,
 * and waits until the one before is empty; devices may give back packets of each other's in any
 * order.
 */
struct crypto_worker {
	uint16_t n_engines;
	bool mixed;	    /* one is not synchronous */
	uint8_t async;	    /* mask of those that are asynchronous */
	uint8_t turn;	    /* 0 or 1 */
	uint32_t inside[2]; /* packets; by turn */
	uint64_t through;   /* packets that came back */
	const struct engine *engines[CRYPTO_ENGINES_MAX];
	struct engine_worker *workers[CRYPTO_ENGINES_MAX];
	struct crypto_op ops[CRYPTO_BURST_MAX] __rte_cache_aligned;
};

/* Opens each of the n engines for the worker of that index. key_cache (octets) is the bound for
 * each engine by itself.
 *
 * Returns 0, -EINVAL for no or too many engines, -ENOMEM, or the error of an engine that does not
 * run here.
 */
int crypto_worker_init(const struct engine *const *engines, uint16_t n, size_t key_cache,
		       uint16_t index, int socket, struct crypto_worker **out, struct err *err);
/* Wipes all cached keys; NULL is fine. */
void crypto_worker_fini(struct crypto_worker *cw);

/* The first synchronous engine that serves the suite. Any thread.
 *
 * Returns 0 with its index, as both halves of *pick, or -ENOTSUP with what each of them said.
 */
int crypto_engine_pick(const struct engine *const *engines, uint16_t n, const struct suite *suite,
		       uint8_t *pick, struct err *err);

/* The owner, of packets of one asynchronous engine: takes a prefix of n operations, see
 * engine_async.submit. */
uint16_t crypto_submit(struct crypto_worker *cw, uint8_t engine, struct rte_mbuf *const *pkts,
		       const struct crypto_op *ops, uint16_t n, bool encrypt, uint64_t now,
		       enum engine_refusal *why);
/* The owner: packets that are through, at most max of any one asynchronous engine. */
uint16_t crypto_collect(struct crypto_worker *cw, uint8_t engine, struct rte_mbuf **pkts,
			enum engine_verdict *verdicts, uint16_t max, uint64_t now);
/* The owner: whether an engine with packets inside has little room left. */
bool crypto_is_short(const struct crypto_worker *cw);
/* Packets inside the engines of one worker. Any thread. */
uint32_t crypto_held(const struct crypto_worker *cw);

/* Does n operations (at most CRYPTO_BURST_MAX), each by the synchronous engine it names; all are
 * done on return. */
void crypto_run(struct crypto_worker *cw, struct crypto_op *ops, uint16_t n, bool encrypt);

/* Owner only: wipes what any engine cached for a session about to die. */
void crypto_forget(struct crypto_worker *cw, uint32_t session_id);

/* Operations of all engines that went through a copy. Any thread. */
uint64_t crypto_bounced(const struct crypto_worker *cw);

#endif
