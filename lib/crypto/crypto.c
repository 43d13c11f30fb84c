#include "crypto/crypto.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_malloc.h>

#include "stats/cell.h"
#include "worker/pkt.h"

int
crypto_worker_init(const struct engine *const *engines, uint16_t n, size_t key_cache,
		   uint16_t index, int socket, struct crypto_worker **out, struct err *err)
{
	struct crypto_worker *cw;
	int rc;

	if (n == 0 || n > CRYPTO_ENGINES_MAX)
		return err_set(err, -EINVAL, "crypto: %u engines, 1 to %u can run", n,
			       CRYPTO_ENGINES_MAX);
	cw = rte_zmalloc_socket("crypto_worker", sizeof(*cw), RTE_CACHE_LINE_SIZE, socket);
	if (cw == NULL)
		return err_set(err, -ENOMEM, "crypto: no memory on socket %d", socket);
	for (cw->n_engines = 0; cw->n_engines < n; cw->n_engines++) {
		uint16_t i = cw->n_engines;

		cw->engines[i] = engines[i];
		cw->mixed |= engines[i]->kind != ENGINE_SYNC;
		if (engines[i]->kind == ENGINE_ASYNC)
			cw->async |= (uint8_t)(1u << i);
		rc = engines[i]->worker_init == NULL ?
			     0 :
			     engines[i]->worker_init(key_cache, index, socket, &cw->workers[i],
						     err);
		if (rc < 0) {
			crypto_worker_fini(cw);
			return rc;
		}
	}
	*out = cw;
	return 0;
}

void
crypto_worker_fini(struct crypto_worker *cw)
{
	if (cw == NULL)
		return;
	while (cw->n_engines > 0) {
		cw->n_engines--;
		if (cw->workers[cw->n_engines] != NULL)
			cw->engines[cw->n_engines]->worker_fini(cw->workers[cw->n_engines]);
	}
	rte_free(cw);
}

int
crypto_engine_pick(const struct engine *const *engines, uint16_t n, const struct suite *suite,
		   uint8_t *pick, struct err *err)
{
	char name[64], all[ERR_TEXT_SIZE] = "";
	size_t used = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct err why = { "" };

		if (engines[i]->kind != ENGINE_SYNC)
			continue;
		if (engines[i]->serves(suite, &why) == 0) {
			*pick = crypto_engines((uint8_t)i, (uint8_t)i);
			return 0;
		}
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "; %s: %s",
						 engines[i]->name, why.text);
	}
	suite_name(suite, name, sizeof(name));
	return err_set(err, -ENOTSUP, "no engine serves %s%s", name, all);
}

static void
run_one(struct crypto_worker *cw, struct crypto_op *ops, uint16_t n, bool encrypt)
{
	uint8_t i = crypto_software(ops[0].engine);

	if (encrypt)
		cw->engines[i]->encrypt(cw->workers[i], ops, n);
	else
		cw->engines[i]->decrypt(cw->workers[i], ops, n);
}

void
crypto_run(struct crypto_worker *cw, struct crypto_op *ops, uint16_t n, bool encrypt)
{
	uint16_t first = 0;

	if (unlikely(n == 0))
		return;
	if (likely(cw->n_engines == 1)) {
		run_one(cw, ops, n, encrypt);
		return;
	}
	for (uint16_t i = 1; i < n; i++) {
		if (likely(ops[i].engine == ops[first].engine))
			continue;
		run_one(cw, &ops[first], i - first, encrypt);
		first = i;
	}
	run_one(cw, &ops[first], n - first, encrypt);
}

/* Control reads it for the level of what is held. */
static inline void
inside_set(struct crypto_worker *cw, uint8_t turn, uint32_t n)
{
	__atomic_store_n(&cw->inside[turn], n, __ATOMIC_RELAXED);
}

uint16_t
crypto_submit(struct crypto_worker *cw, uint8_t engine, struct rte_mbuf *const *pkts,
	      const struct crypto_op *ops, uint16_t n, bool encrypt, uint64_t now,
	      enum engine_refusal *why)
{
	uint8_t turn = cw->turn;
	uint16_t taken;

	for (uint16_t i = 0; i < n; i++)
		pkt_of(pkts[i])->turn = turn;
	taken = cw->engines[engine]->async->submit(cw->workers[engine], ops, pkts, n, encrypt, now,
						   why);
	inside_set(cw, turn, cw->inside[turn] + taken);
	return taken;
}

uint16_t
crypto_collect(struct crypto_worker *cw, uint8_t engine, struct rte_mbuf **pkts,
	       enum engine_verdict *verdicts, uint16_t max, uint64_t now)
{
	uint16_t n =
		cw->engines[engine]->async->collect(cw->workers[engine], pkts, verdicts, max, now);
	uint32_t late = 0;

	if (n == 0)
		return 0;
	for (uint16_t i = 0; i < n; i++)
		late += pkt_of(pkts[i])->turn;
	inside_set(cw, 0, cw->inside[0] - (n - late));
	inside_set(cw, 1, cw->inside[1] - late);
	cell_add(&cw->through, n);
	return n;
}

bool
crypto_is_short(const struct crypto_worker *cw)
{
	if (cw->inside[0] + cw->inside[1] == 0)
		return false;
	for (uint32_t left = cw->async; left != 0; left &= left - 1) {
		int i = __builtin_ctz(left);

		if (cw->engines[i]->async->room(cw->workers[i]) < CRYPTO_ROOM_MIN)
			return true;
	}
	return false;
}

uint32_t
crypto_held(const struct crypto_worker *cw)
{
	return __atomic_load_n(&cw->inside[0], __ATOMIC_RELAXED) +
	       __atomic_load_n(&cw->inside[1], __ATOMIC_RELAXED);
}

void
crypto_forget(struct crypto_worker *cw, uint32_t session_id)
{
	for (uint16_t i = 0; i < cw->n_engines; i++)
		if (cw->engines[i]->forget != NULL)
			cw->engines[i]->forget(cw->workers[i], session_id);
}

uint64_t
crypto_bounced(const struct crypto_worker *cw)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < cw->n_engines; i++)
		if (cw->engines[i]->bounced != NULL)
			sum += cw->engines[i]->bounced(cw->workers[i]);
	return sum;
}
