#include "crypto/crypto.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_malloc.h>

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
